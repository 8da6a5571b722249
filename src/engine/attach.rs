//! Attached to a container's output, for the line that it is writing.
//!
//! A container's writes stand still when an attached client stops reading (measured: `yes` stood at the
//! same byte count until the client went away). So the reader is a thread of its own that does nothing
//! but read: it waits for no lock that is held for long, for no screen and no runtime; what nobody takes
//! is forgotten. [`Attachments::hold`] ends all of them at once, before midwatch itself is stopped.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::logs::{LiveTail, LogLane, LogNews, LogUpdate};
use crate::model::ContainerId;

use super::error::EngineError;

/// Between two looks of the screen at the line.
const SHOWN_EVERY: Duration = Duration::from_millis(40);
/// For the answer to the request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEAD: usize = 16 * 1024;
const READ: usize = 64 * 1024;

/// Whether a process of this machine is in that container: only then is its engine proven to be here.
/// A socket alone proves nothing, it may be forwarded.
pub fn is_local(procfs: &Path, pid: u32, id: ContainerId) -> bool {
    let path = procfs.join(pid.to_string()).join("cgroup");
    std::fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(&id.to_string()))
}

#[derive(Debug, Default)]
struct Open {
    held: bool,
    next: u64,
    streams: Vec<(u64, UnixStream)>,
}

/// All attachments of the process.
#[derive(Debug, Clone, Default)]
pub struct Attachments {
    open: Arc<Mutex<Open>>,
}

/// Where what is seen goes.
#[derive(Debug, Clone)]
pub struct LiveTo {
    /// The lane to the screen.
    pub lane: LogLane,
    /// The log it belongs to.
    pub generation: u64,
    /// Which of the merged containers.
    pub source: u8,
}

/// One attachment; dropping it ends it.
#[derive(Debug)]
pub struct Attachment {
    all: Attachments,
    number: u64,
}

impl Attachment {
    /// Whether it still reads.
    pub fn is_open(&self) -> bool {
        self.all
            .lock()
            .streams
            .iter()
            .any(|(number, _)| *number == self.number)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.all.close(self.number);
    }
}

impl Attachments {
    /// Ends every attachment now, and lets none begin until [`Attachments::resume`]. When this returns the
    /// engine no longer waits for us, whatever happens to this process.
    pub fn hold(&self) {
        let mut open = self.lock();
        open.held = true;
        for (_, stream) in open.streams.drain(..) {
            // Its error would be that it is closed.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets attachments begin again.
    pub fn resume(&self) {
        self.lock().held = false;
    }

    /// Whether none may begin.
    pub fn held(&self) -> bool {
        self.lock().held
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.lock().streams.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, number: u64) {
        let mut open = self.lock();
        open.streams.retain(|(n, stream)| {
            if *n == number {
                let _ = stream.shutdown(Shutdown::Both);
            }
            *n != number
        });
    }

    /// Attaches to a running container's output over a fresh stream to the engine; the reader thread runs
    /// until the container stops, the engine goes, or the attachment is dropped or held.
    ///
    /// # Errors
    /// There is no thread to be had, or attaching is held at the moment.
    pub fn attach(
        &self,
        stream: UnixStream,
        id: ContainerId,
        tty: bool,
        to: LiveTo,
    ) -> Result<Attachment, EngineError> {
        let kept = stream.try_clone().map_err(|e| EngineError::from_io(&e))?;
        let number = {
            // Registered before a byte is sent: a hold finds it, or it finds the hold.
            let mut open = self.lock();
            if open.held {
                return Err(EngineError::Gone("attaching is held".into()));
            }
            open.next += 1;
            let number = open.next;
            open.streams.push((number, kept));
            number
        };
        let attachment = Attachment {
            all: self.clone(),
            number,
        };
        let all = self.clone();
        std::thread::Builder::new()
            .name("attach".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                // Whatever ended it, its end is the same: the line is no longer live.
                let _ = drain(stream, id, tty, &to);
                all.close(number);
                to.lane.push(LogNews {
                    generation: to.generation,
                    update: LogUpdate::Live(crate::logs::LiveLine {
                        source: to.source,
                        ..crate::logs::LiveLine::default()
                    }),
                });
            })
            .map_err(|e| EngineError::from_io(&e))?;
        Ok(attachment)
    }
}

fn drain(mut stream: UnixStream, id: ContainerId, tty: bool, to: &LiveTo) -> io::Result<()> {
    let request = format!(
        "POST /containers/{id}/attach?stream=1&stdout=1&stderr=1&logs=0 HTTP/1.1\r\nHost: docker\r\n\
         Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    );
    stream.set_read_timeout(Some(HEAD_TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut buffer = vec![0; READ];
    let ahead = read_head(&mut stream)?;
    stream.set_read_timeout(None)?;
    let mut tail = LiveTail::new(tty, to.source);
    tail.push(&ahead, false);
    let mut shown_at = Instant::now();
    let mut owed = !ahead.is_empty();
    let mut last = None;
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if is_timeout(&e) => 0,
            Err(e) => return Err(e),
        };
        if let Some(bytes) = buffer.get(..count)
            && count > 0
        {
            tail.push(bytes, count == READ);
            owed = true;
        }
        let since = shown_at.elapsed();
        if owed && since >= SHOWN_EVERY {
            let line = tail.line();
            if last.as_ref() != Some(&line) {
                to.lane.push(LogNews {
                    generation: to.generation,
                    update: LogUpdate::Live(line.clone()),
                });
                last = Some(line);
            }
            owed = false;
            shown_at = Instant::now();
            stream.set_read_timeout(None)?;
        } else if owed {
            // Come back for it, should nothing more be written.
            let wait = SHOWN_EVERY.saturating_sub(since);
            stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Reads the answer's head; what came behind it is returned. Engines say 101, or 200 and go on the same.
fn read_head(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    let mut piece = [0u8; 512];
    loop {
        let count = stream.read(&mut piece)?;
        let Some(bytes) = piece.get(..count) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if count == 0 || head.len() > MAX_HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(bytes);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            let status = head.get(9..12);
            if status != Some(b"101") && status != Some(b"200") {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            return Ok(head.split_off(end + 4));
        }
    }
}
