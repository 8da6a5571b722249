//! Paths that a text could go on with.

use std::path::{Path, PathBuf};

/// Most entries of a folder that are looked at, and most that are offered.
const MAX_READ: usize = 20_000;
const MAX_SHOWN: usize = 200;

/// The paths that begin with `text`, folders with `/` at the end, sorted; `~/` is `home`. Blocks shortly.
pub fn folders(text: &str, home: Option<&Path>, cwd: &Path) -> Vec<String> {
    let (folder, begun) = match text.rsplit_once('/') {
        Some((folder, begun)) => (format!("{folder}/"), begun),
        None => (String::new(), text),
    };
    let place = real(&folder, home, cwd);
    let Ok(list) = std::fs::read_dir(place) else {
        return Vec::new();
    };
    let mut found: Vec<String> = list
        .take(MAX_READ)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            // What is hidden is offered to who asks for it.
            if !name.starts_with(begun) || (name.starts_with('.') && !begun.starts_with('.')) {
                return None;
            }
            let end = if entry.path().is_dir() { "/" } else { "" };
            Some(format!("{folder}{name}{end}"))
        })
        .collect();
    found.sort();
    found.truncate(MAX_SHOWN);
    found
}

/// A written path as the system has it.
pub(crate) fn real(text: &str, home: Option<&Path>, cwd: &Path) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => cwd.join(text),
    }
}

/// What all of them begin with.
pub(super) fn common(paths: &[String]) -> &str {
    let Some((first, rest)) = paths.split_first() else {
        return "";
    };
    let mut end = first.len();
    for path in rest {
        let same = first
            .char_indices()
            .zip(path.chars())
            .find(|((_, a), b)| a != b)
            .map_or(first.len().min(path.len()), |((at, _), _)| at);
        end = end.min(same);
    }
    first.get(..end).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_offered_as_they_were_begun() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["api", "app", "apx/in", ".git"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::write(root.join("app.py"), "").unwrap();
        let home = Path::new("/home/x");
        let of = |text: &str| folders(text, Some(home), root);
        assert_eq!(of("ap"), ["api/", "app.py", "app/", "apx/"]);
        assert_eq!(of("apx/"), ["apx/in/"]);
        assert_eq!(of("./.g"), ["./.git/"]);
        assert_eq!(of("none"), [""; 0]);
        assert_eq!(of("no/such/"), [""; 0]);
        assert_eq!(
            folders("~/ap", Some(root), home),
            ["~/api/", "~/app.py", "~/app/", "~/apx/"]
        );
        assert_eq!(real("~", Some(home), root), home);
        assert_eq!(real("~ada", Some(home), root), root.join("~ada"));
    }

    #[test]
    fn what_is_common_is_found() {
        for (paths, want) in [
            (&["api/", "app/"][..], "ap"),
            (&["été", "étage"], "ét"),
            (&["one"], "one"),
            (&[], ""),
            (&["a", "b"], ""),
            (&["ab", "abc"], "ab"),
        ] {
            let paths: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
            assert_eq!(common(&paths), want);
        }
    }
}
