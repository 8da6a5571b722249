//! Host paths that a text could go on with.

use std::path::{Path, PathBuf};

/// Paths that are given; a folder has millions at worst.
const MOST: usize = 200;
/// Entries that are looked at.
const LOOKED_AT: usize = 20_000;

/// The paths that `text` is the beginning of, whole and sorted, folders with `/` at the end. `~` is `home`,
/// and what does not begin with `/` is below `cwd`. Reads one folder: not for the UI's thread.
///
/// # Errors
/// The folder cannot be read.
pub fn complete(text: &str, home: Option<&Path>, cwd: &Path) -> Result<Vec<String>, String> {
    let text = match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}/{}", home.display(), rest.trim_start_matches('/'))
        }
        _ => text.to_owned(),
    };
    let (folder, begin) = text.rsplit_once('/').unwrap_or(("", &text));
    let folder = match folder {
        "" if text.starts_with('/') => PathBuf::from("/"),
        "" => cwd.to_owned(),
        folder if folder.starts_with('/') => PathBuf::from(folder),
        folder => cwd.join(folder),
    };
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries.take(LOOKED_AT).flatten() {
        // A name that is no text cannot be typed here.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let hidden = name.starts_with('.') && !begin.starts_with('.');
        if hidden || !name.starts_with(begin) || name.chars().any(crate::model::text::is_unsafe) {
            continue;
        }
        let mut path = folder.join(&name).display().to_string();
        // Through a link too.
        if std::fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()) {
            path.push('/');
        }
        found.push(path);
        if found.len() == MOST {
            break;
        }
    }
    found.sort();
    Ok(found)
}

/// The longest beginning that all of them have.
pub fn common(paths: &[String]) -> String {
    let mut paths = paths.iter();
    let Some(first) = paths.next() else {
        return String::new();
    };
    let mut common = first.as_str();
    for path in paths {
        while !path.starts_with(common) {
            let mut chars = common.chars();
            chars.next_back();
            common = chars.as_str();
        }
    }
    common.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_completed_below_home_and_here_too() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["data/imagenet", "data/imdb", ".cache", "models"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("data/im.txt"), "").unwrap();
        std::fs::write(root.join("data/a\u{1b}b"), "").unwrap();
        std::os::unix::fs::symlink(root.join("models"), root.join("latest")).unwrap();
        let shown = root.display().to_string();
        let find = |text: &str| {
            let found = complete(text, Some(root), root);
            found.map(|list| {
                let short = list.iter().map(|p| p.replace(&shown, "R"));
                short.collect::<Vec<_>>()
            })
        };
        let all = ["R/data/im.txt", "R/data/imagenet/", "R/data/imdb/"];
        assert_eq!(find(&format!("{shown}/data/im")).unwrap(), all);
        assert_eq!(find("~/data/ima").unwrap(), ["R/data/imagenet/"]);
        assert_eq!(find("data/imd").unwrap(), ["R/data/imdb/"]);
        assert_eq!(find("").unwrap(), ["R/data/", "R/latest/", "R/models/"]);
        assert_eq!(find("~/.").unwrap(), ["R/.cache/"]);
        assert_eq!(find("data/").unwrap(), all, "no name with controls");
        assert!(find("nowhere/x").is_err());
        let list: Vec<String> = all.iter().map(|p| (*p).to_owned()).collect();
        assert_eq!(common(&list), "R/data/im");
        assert_eq!(common(&list[1..2]), "R/data/imagenet/");
        assert_eq!(common(&["é".into(), "è".into()]), "");
    }
}
