//! The one line of progress that a command shows on a terminal's standard error.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::check::Progress;

/// The progress line on a terminal's standard error.
#[derive(Debug)]
pub struct Bar {
    shown: bool,
    state: Mutex<(String, bool)>,
}

impl Bar {
    /// One that is shown where standard error is a terminal.
    pub fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (String, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Columns of the terminal but one: a full line would wrap.
    fn width(&self) -> usize {
        rustix::termios::tcgetwinsize(std::io::stderr())
            .map_or(79, |size| usize::from(size.ws_col).max(2) - 1)
    }

    /// What the next progress is about.
    pub fn begin(&self, word: &str) {
        let name = crate::model::text::clean(word, 60);
        self.lock().0 = name;
    }

    /// Shows how far a scan is.
    pub fn show(&self, progress: Progress) {
        let name = self.lock().0.clone();
        self.line(&progress_line(&name, &progress));
    }

    /// Shows a line in the place of the last one.
    pub fn line(&self, text: &str) {
        if !self.shown {
            return;
        }
        self.lock().1 = true;
        let text = crate::model::text::clean(text, self.width());
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\x1b[K{text}");
        let _ = out.flush();
    }

    /// Takes the line away.
    pub fn clear(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.1) {
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[K");
            let _ = out.flush();
        }
    }
}

/// `my-train:0.4: 1.2 GiB of 5.1 GiB, 23 %, 12 s left`.
fn progress_line(name: &str, progress: &Progress) -> String {
    use super::format::bytes;
    let mut line = format!("{name}: {}", bytes(progress.bytes));
    if let Some(total) = progress.total_bytes.filter(|t| *t > 0) {
        let percent = (progress.bytes as f64 / total as f64 * 100.0).min(99.0);
        line.push_str(&format!(" of {}, {percent:.0} %", bytes(total)));
    }
    if let Some(left) = progress.left() {
        line.push_str(&format!(", {} s left", left.as_secs().max(1)));
    }
    line
}
