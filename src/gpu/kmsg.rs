//! Xids in the kernel log: those from before our start, and those of a GPU that is gone.

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use super::supervisor::Message;

/// The reading thread's owner.
#[derive(Debug)]
pub(super) struct Reader {}

/// Starts to read the kernel log at `path`.
pub(super) fn start(_path: PathBuf, _out: Sender<Message>) -> Option<Reader> {
    None
}
