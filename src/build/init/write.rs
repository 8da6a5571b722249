//! Writing what was made, never over what is there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::Made;
use crate::model::Problem;

/// What became of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// These were written, and those were there and were left alone.
    Done {
        /// New.
        new: Vec<&'static str>,
        /// Left as they are.
        kept: Vec<&'static str>,
    },
    /// There is a Dockerfile: nothing was written.
    Refused,
}

/// Writes into a folder. A Dockerfile that is there (a link to nowhere too) makes it leave everything alone;
/// a `.dockerignore` or `requirements.txt` that is there is kept.
///
/// # Errors
/// A file cannot be written; what this call had made is taken away again.
pub fn write(folder: &Path, made: &Made) -> Result<Written, Problem> {
    let files = [
        ("Dockerfile", Some(&made.dockerfile)),
        (".dockerignore", Some(&made.dockerignore)),
        ("requirements.txt", made.requirements.as_ref()),
    ];
    let mut new = Vec::new();
    let mut kept = Vec::new();
    for (name, text) in files {
        let Some(text) = text else {
            continue;
        };
        match create(&folder.join(name), text) {
            Ok(()) => new.push(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if name == "Dockerfile" {
                    return Ok(Written::Refused);
                }
                kept.push(name);
            }
            Err(error) => {
                for name in new {
                    let _ = fs::remove_file(folder.join(name));
                }
                return Err(Problem {
                    what: format!("cannot write {name}"),
                    why: error.to_string(),
                    remedy: "Give a folder that you may write to".to_owned(),
                });
            }
        }
    }
    Ok(Written::Done { new, kept })
}

/// A new file and no other: `O_EXCL` follows no link and replaces nothing.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}
