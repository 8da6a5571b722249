//! The commands that print and end: `ps`, `gpus`, completions. One file a command, no logic of its own.
//!
//! It reads what `watch` gathered and is called by `main`. Tables and JSON go to a locked standard output;
//! who closes the other end early (`| head`) ends us quietly.

pub mod args;
mod bar;
pub mod build;
pub mod check;
pub mod dashboard;
pub mod explain;
mod format;
pub mod gather;
pub mod gpus;
pub mod init;
mod json;
pub mod lists;
pub mod ps;
pub mod ready;
pub mod run;
mod table;
mod verdicts;

use std::io::{self, Write};

use crate::model::Problem;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The answer is no.
    No,
    /// Wrong usage.
    Usage,
    /// It could not be found out.
    Unknown,
    /// The dashboard ended with this status (128 and the number of a signal, as shells have it).
    Ended(u8),
}

impl Exit {
    /// The exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Ended(code) => code,
        }
    }
}

/// Writes to standard output. Someone who stopped reading is no error.
///
/// # Errors
/// What else goes wrong with standard output, as a full disk.
pub fn print(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Problem {
            what: "cannot write to standard output".to_owned(),
            why: error.to_string(),
            remedy: String::new(),
        }),
        _ => Ok(()),
    }
}

/// Columns of the terminal on standard output; `None` where it is none.
pub fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Writes `midwatch: WHAT: WHY. TRY` to standard error.
pub fn complain(problem: &Problem) {
    let _ = writeln!(io::stderr().lock(), "midwatch: {problem}");
}

#[cfg(test)]
mod tests;
