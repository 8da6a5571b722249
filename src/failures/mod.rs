//! Known failures of GPU containers: from the engine's error, the exit status and the last lines of the log to
//! what it means and what to do. Pure; the table is `assets/failures.toml`.
//!
//! The most specific comes first: what the kernel or a signal from outside did, the engine's own error, the
//! log, the exit status alone, and last what a run that goes on only notes. A failure that explains another
//! takes its place.

mod exit;
mod found;
mod table;

#[cfg(test)]
mod tests;

pub use exit::{exit_meaning, refused_exit};

use found::Found;
use table::Table;

/// Most lines of a log that are looked at: the last ones.
pub const MAX_LINES: usize = 200;

/// Most bytes of a line, and of the engine's error, that are looked at.
pub const MAX_LINE_BYTES: usize = 4096;

/// What is known of a container that ended, or was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended<'a> {
    /// Exit status; `None` where it never ran.
    pub exit_code: Option<i64>,
    /// Whether the engine says that the kernel killed it for memory.
    pub oom_killed: Option<bool>,
    /// The engine's own text about a failed start or creation.
    pub error: Option<&'a str>,
    /// The last lines of its log, oldest first.
    pub lines: &'a [String],
    /// Size of `/dev/shm`, bytes.
    pub shm_bytes: Option<u64>,
    /// Whether it was granted GPUs.
    pub has_gpus: bool,
}

/// A failure by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `docker.no_gpu_driver`, `cuda.2`, `exit.137`…
    pub id: &'static str,
    /// What happened, in one line.
    pub title: String,
    /// Why.
    pub cause: String,
    /// The line or field that shows it.
    pub evidence: Option<String>,
    /// What to type or do, most likely first.
    pub remedy: Vec<String>,
}

/// The failure that explains best why it ended or was refused; `None` where nothing is known. Of a run that
/// ended with 0 only what it noted itself is told (that it ran on the CPU, say).
#[must_use]
pub fn explain(ended: &Ended) -> Option<Failure> {
    let table = Table::get();
    let is_hint = |failure: &Failure| {
        let entry = table.index(failure.id).and_then(|i| table.entries.get(i));
        entry.is_some_and(|entry| entry.hint)
    };
    all(ended).into_iter().find(|failure| !is_hint(failure))
}

/// Every known failure that shows, the most specific first; those that another one explains are left out.
/// The last [`MAX_LINES`] lines are read, of each the first [`MAX_LINE_BYTES`] bytes.
#[must_use]
pub fn all(ended: &Ended) -> Vec<Failure> {
    let table = Table::get();
    let mut found = Found::new(table);
    exit::fields(ended, &mut found);
    found.error(ended);
    found.log(ended);
    found.failures()
}

/// What the engine's text means where it refused to create or start a container; `None` where that is not
/// known, and the text itself is all there is.
#[must_use]
pub fn refusal(error: &str) -> Option<Failure> {
    explain(&Ended {
        error: Some(error),
        has_gpus: true,
        ..Ended::default()
    })
}
