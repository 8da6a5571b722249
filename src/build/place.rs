//! Where a build's Dockerfile is, and which `.dockerignore` holds for it.

use std::hash::{Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::ignore::{self, Ignore};
use crate::model::Problem;
use crate::model::text::clean;

/// Bytes of a Dockerfile that are read.
pub const MAX_DOCKERFILE: usize = 1 << 20;
/// The name that it has where none is given.
const USUAL: &str = "Dockerfile";
const IGNORE: &str = ".dockerignore";
const SHOWN: usize = 200;

/// Where the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the context: its path relative to it.
    Inside(String),
    /// Elsewhere: it is sent under a name that does not occur in the context.
    Outside {
        /// That name.
        name: String,
        /// Its text.
        text: String,
    },
}

/// A context with its Dockerfile.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What is sent.
    pub context: Context,
    /// The Dockerfile, absolute.
    pub dockerfile: PathBuf,
    /// Its text.
    pub text: String,
    /// The `.dockerignore` that holds, as it is shown.
    pub ignore_file: Option<String>,
}

impl Place {
    /// What the engine is told as `dockerfile`.
    pub fn name(&self) -> &str {
        match self {
            Self::Inside(name) | Self::Outside { name, .. } => name,
        }
    }

    /// Files that are sent besides those of the context, or instead of them. As docker's client does it: a
    /// Dockerfile from elsewhere, and a `.dockerignore` that keeps it out of the image.
    pub(super) fn extra(&self, root: &Path) -> Result<Vec<(String, Vec<u8>)>, Problem> {
        let Self::Outside { name, text } = self else {
            return Ok(Vec::new());
        };
        let own = read_bounded(&root.join(IGNORE), ignore::MAX_BYTES, IGNORE)?;
        let mut ignored = own.unwrap_or_else(|| IGNORE.to_owned());
        ignored.push_str(&format!("\n{name}\n"));
        Ok(vec![
            (name.clone(), text.clone().into_bytes()),
            (IGNORE.to_owned(), ignored.into_bytes()),
        ])
    }
}

/// Finds a build's files. `dockerfile` is relative to `cwd`, as `docker build -f` has it.
///
/// # Errors
/// There is no such folder or Dockerfile, one cannot be read, or a line of `.dockerignore` is no pattern.
pub fn open(folder: &Path, dockerfile: Option<&Path>, cwd: &Path) -> Result<Opened, Problem> {
    let given = cwd.join(folder);
    let fault = |why: String, remedy: &str| Problem {
        what: format!("cannot build {}", show(folder)),
        why,
        remedy: remedy.to_owned(),
    };
    let root = given.canonicalize().map_err(|e| {
        fault(
            io_why(&e, "there is no such folder"),
            "Name the project's folder",
        )
    })?;
    if !root.is_dir() {
        return Err(fault(
            "it is no folder".to_owned(),
            "Name the folder that holds the Dockerfile; another name of it goes with -f",
        ));
    }
    let path = match dockerfile {
        Some(file) => cwd.join(file),
        None => usual(&root),
    };
    let missing = || match dockerfile {
        Some(_) => "Name an existing one with -f".to_owned(),
        None => format!(
            "Write one, or let midwatch: `midwatch init fastapi|gradio|train {}`",
            show(folder)
        ),
    };
    let real = path.canonicalize().map_err(|e| Problem {
        what: format!("cannot build {}", show(folder)),
        why: match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!("there is no Dockerfile at {}", show(&path))
            }
            _ => format!("{}: {}", show(&path), clean(&e.to_string(), SHOWN)),
        },
        remedy: missing(),
    })?;
    let text = read_bounded(&real, MAX_DOCKERFILE, &show(&path))?.ok_or_else(|| Problem {
        what: format!("cannot build {}", show(folder)),
        why: format!("there is no Dockerfile at {}", show(&path)),
        remedy: missing(),
    })?;
    let place = match real.strip_prefix(&root).ok().and_then(Path::to_str) {
        Some(inside) => Place::Inside(inside.to_owned()),
        None => {
            let mut hasher = std::hash::DefaultHasher::new();
            text.hash(&mut hasher);
            Place::Outside {
                name: format!(".dockerfile.{:016x}", hasher.finish()),
                text: text.clone(),
            }
        }
    };
    let (ignore, ignore_file) = ignored(&root, &path, &place)?;
    Ok(Opened {
        context: Context {
            root,
            ignore,
            place,
        },
        dockerfile: path,
        text,
        ignore_file,
    })
}

/// `Dockerfile`, or `dockerfile` where only that is there.
fn usual(root: &Path) -> PathBuf {
    let usual = root.join(USUAL);
    let small = root.join("dockerfile");
    if usual.symlink_metadata().is_err() && small.symlink_metadata().is_ok() {
        small
    } else {
        usual
    }
}

/// `NAME.dockerignore` beside the Dockerfile goes before the folder's own, as BuildKit has it.
fn ignored(
    root: &Path,
    dockerfile: &Path,
    place: &Place,
) -> Result<(Ignore, Option<String>), Problem> {
    let mut beside = dockerfile.as_os_str().to_owned();
    beside.push(IGNORE);
    for path in [PathBuf::from(beside), root.join(IGNORE)] {
        let shown = show(path.strip_prefix(root).unwrap_or(&path));
        let Some(text) = read_bounded(&path, ignore::MAX_BYTES, &shown)? else {
            continue;
        };
        let mut ignore = Ignore::parse(&text).map_err(|bad| Problem {
            what: format!("cannot read {shown}"),
            why: bad.to_string(),
            remedy: "Write `\\[` for a bracket that is meant as such, or take the line out"
                .to_owned(),
        })?;
        ignore.keep(IGNORE);
        if let Place::Inside(name) = place {
            ignore.keep(name);
        }
        return Ok((ignore, Some(shown)));
    }
    Ok((Ignore::default(), None))
}

/// A file's text; `None` where there is none. What is not UTF-8 becomes replacement characters.
fn read_bounded(path: &Path, limit: usize, shown: &str) -> Result<Option<String>, Problem> {
    let fault = |why: String| Problem {
        what: format!("cannot read {shown}"),
        why,
        remedy: String::new(),
    };
    // A pipe would be waited for without end.
    match path.metadata() {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Err(fault("it is no file".to_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fault(clean(&e.to_string(), SHOWN))),
    }
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|e| fault(clean(&e.to_string(), SHOWN)))?;
    if bytes.len() > limit {
        return Err(fault(format!("it is larger than {} KiB", limit >> 10)));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn io_why(error: &std::io::Error, absent: &str) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => absent.to_owned(),
        _ => clean(&error.to_string(), SHOWN),
    }
}

fn show(path: &Path) -> String {
    clean(&path.to_string_lossy(), SHOWN)
}
