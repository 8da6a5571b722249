//! A build's context: a folder as a tar stream, what its `.dockerignore` names left out.
//!
//! Links are sent as links and never followed; owner and group become 0, as Docker's client has it. The
//! folder is walked on a blocking thread into a bounded channel: memory does not grow with the context.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rustix::fs::OFlags;
use tokio::sync::mpsc;

use super::ignore::{Ignore, Matched};
use super::place::Place;
use super::tar::{self, Kind};
use crate::check::Cancel;
use crate::model::Problem;
use crate::model::text::clean;

/// Bytes of one piece of the stream, and how many pieces wait.
const PIECE: usize = 128 * 1024;
const PIECES: usize = 4;
/// Between two words of progress.
const TELL: Duration = Duration::from_millis(100);
/// Most notes that are kept, and most large entries that are named.
const MAX_NOTES: usize = 20;
const MAX_LARGEST: usize = 3;
/// A context of more bytes than this is worth a word.
pub const HUGE: u64 = 1 << 30;
/// Longest path that is shown.
const SHOWN: usize = 200;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Context {
    /// The folder, absolute, links resolved.
    pub root: PathBuf,
    /// What is left out.
    pub ignore: Ignore,
    /// Where the Dockerfile is.
    pub place: Place,
}

/// How much there is to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The largest entries of the folder itself, with what is below them.
    pub largest: Vec<(String, u64)>,
}

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of files.
    pub bytes: u64,
    /// What was sent otherwise than it lies there, a line each.
    pub notes: Vec<String>,
}

/// Hears how many bytes were sent.
pub type Told = std::sync::Arc<dyn Fn(u64) + Send + Sync>;

/// The tar stream.
pub type Pieces = mpsc::Receiver<std::io::Result<Bytes>>;

impl Counted {
    /// What to say of a context that is very large: what makes it so, and what to write into
    /// `.dockerignore`.
    pub fn warning(&self) -> Option<String> {
        if self.bytes <= HUGE {
            return None;
        }
        let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
        let named: Vec<String> = self
            .largest
            .iter()
            .map(|(name, bytes)| format!("{} ({})", clean(name, 60), gib(*bytes)))
            .collect();
        let first = self.largest.first().map_or("data", |(name, _)| name);
        Some(format!(
            "the context is {}: {}. What the image does not need goes into .dockerignore, a line each: /{}",
            gib(self.bytes),
            named.join(", "),
            clean(first, 60)
        ))
    }
}

impl Context {
    /// Counts what will be sent. Reads no file.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn count(&self, cancel: &Cancel) -> Result<Counted, Problem> {
        let mut counted = Counted::default();
        let mut walk = Walk::new(self);
        let mut tops: Vec<(String, u64)> = Vec::new();
        while let Some(entry) = walk.next()? {
            if cancel.is_cancelled() {
                break;
            }
            if !entry.meta.is_file() {
                continue;
            }
            counted.files += 1;
            counted.bytes += entry.meta.len();
            let top = entry.shown.split('/').next().unwrap_or_default();
            // One top entry is walked to its end before the next begins.
            match tops.last_mut().filter(|(name, _)| name == top) {
                Some((_, bytes)) => *bytes += entry.meta.len(),
                None => {
                    keep_largest(&mut tops);
                    tops.push((top.to_owned(), entry.meta.len()));
                }
            }
        }
        keep_largest(&mut tops);
        counted.largest = tops;
        Ok(counted)
    }

    /// Begins to send it from a blocking thread of the runtime's: the pieces, and how it ended. Dropping the
    /// pieces ends it.
    pub fn stream(
        self,
        told: Told,
        cancel: Cancel,
    ) -> (Pieces, tokio::task::JoinHandle<Result<Sent, Problem>>) {
        let (send, pieces) = mpsc::channel(PIECES);
        let handle = tokio::task::spawn_blocking(move || {
            let mut sender = Sender {
                send,
                buffer: BytesMut::with_capacity(PIECE),
                sent: Sent::default(),
                told,
                last: None,
                cancel,
            };
            match self.send(&mut sender) {
                Ok(()) | Err(Stop::Gone) => Ok(sender.sent),
                Err(Stop::Fault(problem)) => {
                    // The engine must not take half a context for a whole one.
                    let broken = std::io::Error::other(problem.to_string());
                    let _ = sender.send.blocking_send(Err(broken));
                    Err(problem)
                }
            }
        });
        (pieces, handle)
    }

    fn send(&self, sender: &mut Sender) -> Result<(), Stop> {
        let mut walk = Walk::new(self);
        let mut extra = self.place.extra(&self.root)?;
        while let Some(entry) = walk.next()? {
            let own = extra
                .iter()
                .position(|(name, _)| name.as_bytes() == entry.path.as_os_str().as_bytes());
            if let Some(at) = own {
                let (name, content) = extra.swap_remove(at);
                sender.content(name.as_bytes(), &content)?;
                continue;
            }
            sender.entry(self, &entry)?;
        }
        for (name, content) in extra {
            sender.content(name.as_bytes(), &content)?;
        }
        sender.push(&tar::END)?;
        sender.flush()?;
        (sender.told)(sender.sent.bytes);
        Ok(())
    }
}

fn keep_largest(tops: &mut Vec<(String, u64)>) {
    tops.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    tops.truncate(MAX_LARGEST);
}

/// Why the sending ended early.
enum Stop {
    /// Nobody wants more.
    Gone,
    Fault(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Fault(problem)
    }
}

struct Sender {
    send: mpsc::Sender<std::io::Result<Bytes>>,
    buffer: BytesMut,
    sent: Sent,
    told: Told,
    last: Option<Instant>,
    cancel: Cancel,
}

impl Sender {
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let room = PIECE.saturating_sub(self.buffer.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() >= PIECE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Gone);
        }
        let piece = self.buffer.split().freeze();
        self.buffer.reserve(PIECE);
        self.send.blocking_send(Ok(piece)).map_err(|_| Stop::Gone)?;
        if self.last.is_none_or(|last| last.elapsed() >= TELL) {
            self.last = Some(Instant::now());
            (self.told)(self.sent.bytes);
        }
        Ok(())
    }

    fn note(&mut self, text: String) {
        if self.sent.notes.len() < MAX_NOTES {
            self.sent.notes.push(text);
        }
    }

    /// A file of our own.
    fn content(&mut self, name: &[u8], content: &[u8]) -> Result<(), Stop> {
        let size = content.len() as u64;
        self.push(&tar::header(name, Kind::File { size }, 0o600, 0))?;
        self.push(content)?;
        self.zeros(tar::padding(size) as u64)
    }

    fn zeros(&mut self, mut count: u64) -> Result<(), Stop> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while count > 0 {
            let now = usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(ZEROS.len());
            self.push(ZEROS.get(..now).unwrap_or_default())?;
            count -= now as u64;
        }
        Ok(())
    }

    fn entry(&mut self, context: &Context, entry: &Entry) -> Result<(), Stop> {
        let path = entry.path.as_os_str().as_bytes();
        let mode = entry.meta.mode();
        let mtime = u64::try_from(entry.meta.mtime()).unwrap_or(0);
        let kind = entry.meta.file_type();
        let whole = context.root.join(&entry.path);
        if kind.is_dir() {
            self.push(&tar::header(path, Kind::Folder, mode, mtime))
        } else if kind.is_symlink() {
            let target =
                std::fs::read_link(&whole).map_err(|e| unreadable("the link", &entry.shown, &e))?;
            let target = target.as_os_str().as_bytes();
            self.push(&tar::header(path, Kind::Link { target }, 0o777, mtime))
        } else if kind.is_file() {
            self.file(path, &whole, entry, mode, mtime)
        } else {
            let what = if kind.is_socket() {
                "a socket"
            } else if kind.is_fifo() {
                "a named pipe"
            } else {
                "a device"
            };
            self.note(format!("{} is {what} and is not sent", shown(&entry.shown)));
            Ok(())
        }
    }

    fn file(
        &mut self,
        path: &[u8],
        whole: &Path,
        entry: &Entry,
        mode: u32,
        mtime: u64,
    ) -> Result<(), Stop> {
        let fault = |e: &std::io::Error| unreadable("the file", &entry.shown, e);
        // What has become a link or a pipe since it was looked at is neither followed nor waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = File::options()
            .read(true)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(whole)
            .map_err(|e| fault(&e))?;
        let meta = file.metadata().map_err(|e| fault(&e))?;
        if !meta.is_file() {
            let changed = std::io::Error::other("it was replaced while the context was read");
            return Err(fault(&changed).into());
        }
        let size = meta.len();
        self.push(&tar::header(path, Kind::File { size }, mode, mtime))?;
        let mut left = size;
        let mut piece = vec![0u8; 64 * 1024];
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let room = piece.get_mut(..want).unwrap_or_default();
            let count = match file.read(room) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(fault(&e).into()),
            };
            self.push(room.get(..count).unwrap_or_default())?;
            self.sent.bytes += count as u64;
            left -= count as u64;
        }
        if left > 0 {
            self.note(format!(
                "{} became shorter while it was read: {left} zero bytes were sent at its end",
                shown(&entry.shown)
            ));
            self.zeros(left)?;
        }
        self.zeros(tar::padding(size) as u64)
    }
}

fn shown(path: &str) -> String {
    clean(path, SHOWN)
}

fn unreadable(what: &str, path: &str, error: &std::io::Error) -> Problem {
    Problem {
        what: "cannot send the context".to_owned(),
        why: format!(
            "{what} {} cannot be read: {}",
            shown(path),
            clean(&error.to_string(), SHOWN)
        ),
        remedy: format!(
            "Make it readable, or leave it out with a line in .dockerignore: /{}",
            shown(path)
        ),
    }
}

/// One thing to send.
#[derive(Debug)]
struct Entry {
    /// Relative to the context.
    path: PathBuf,
    /// The same as text.
    shown: String,
    meta: Metadata,
}

/// Walks the folder in Docker's order: names sorted, a folder before what is in it.
struct Walk<'a> {
    context: &'a Context,
    levels: Vec<Level>,
    begun: bool,
}

struct Level {
    path: PathBuf,
    shown: String,
    names: std::vec::IntoIter<std::ffi::OsString>,
    matched: Option<Matched>,
}

impl<'a> Walk<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            context,
            levels: Vec::new(),
            begun: false,
        }
    }

    fn next(&mut self) -> Result<Option<Entry>, Problem> {
        if !std::mem::replace(&mut self.begun, true) {
            self.enter(PathBuf::new(), String::new(), None)?;
        }
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let text = name.to_string_lossy();
            let shown = match level.shown.as_str() {
                "" => text.into_owned(),
                above => format!("{above}/{text}"),
            };
            let (out, matched) = self.context.ignore.judge(&shown, level.matched.as_ref());
            let meta = match std::fs::symlink_metadata(self.context.root.join(&path)) {
                Ok(meta) => meta,
                // It went away, or nobody asks for it.
                Err(e) if out || e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unreadable("the file", &shown, &e)),
            };
            if meta.is_dir() && (!out || self.context.ignore.is_walked(&shown)) {
                self.enter(path.clone(), shown.clone(), Some(matched))?;
            }
            if !out {
                return Ok(Some(Entry { path, shown, meta }));
            }
        }
    }

    fn enter(
        &mut self,
        path: PathBuf,
        shown: String,
        matched: Option<Matched>,
    ) -> Result<(), Problem> {
        let whole = self.context.root.join(&path);
        let named = if shown.is_empty() { "." } else { &shown };
        let list = std::fs::read_dir(&whole).and_then(|list| {
            list.map(|entry| Ok(entry?.file_name()))
                .collect::<std::io::Result<Vec<_>>>()
        });
        let mut names = list.map_err(|e| unreadable("the folder", named, &e))?;
        names.sort();
        self.levels.push(Level {
            path,
            shown,
            names: names.into_iter(),
            matched,
        });
        Ok(())
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
