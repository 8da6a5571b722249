//! The writer thread: one frame waits at most, a newer one replaces it. A terminal that takes no bytes
//! (a stalled SSH line) stops this thread alone.

mod clipboard;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub use clipboard::{Multiplexer, OSC52_LIMIT, TooLong, osc52};

use super::encode::Encoder;
use super::session::{self, Tty};
use super::theme::Capabilities;

/// Larger frames are wrapped in a synchronized update (DEC mode 2026), whose 16 bytes smaller ones save.
const SYNCHRONIZED_FROM: usize = 1024;
/// Bytes other than frames (clipboard, mouse) that may wait.
const EXTRA_LIMIT: usize = 256 * 1024;
/// How often a writer that the terminal makes wait looks whether it should give up.
const STALL_TURN: Duration = Duration::from_millis(100);

/// What the writer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScreenStats {
    /// Frames that reached the terminal.
    pub frames: u64,
    /// Frames that a newer one replaced before they were written.
    pub replaced: u64,
    /// Bytes written.
    pub bytes: u64,
    /// The terminal takes nothing at the moment.
    pub stalled: bool,
}

#[derive(Debug, Default)]
struct Inner {
    frame: Option<Buffer>,
    spare: Vec<Buffer>,
    extra: Vec<u8>,
    /// The next frame is drawn whole.
    afresh: bool,
    held: bool,
    stop: bool,
    busy: bool,
    failed: bool,
    stats: ScreenStats,
}

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's handle.
#[derive(Debug)]
pub struct Screen {
    shared: Arc<Shared>,
}

impl Screen {
    /// Starts the writer.
    pub fn start(tty: Tty, capabilities: Capabilities) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut writer = Writer {
            tty,
            shared: Arc::clone(&shared),
            encoder: Encoder::new(capabilities),
            shown: None,
            bytes: Vec::with_capacity(4096),
        };
        std::thread::Builder::new()
            .name("screen".into())
            .stack_size(256 * 1024)
            .spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// An empty buffer of this size to draw in, one that was used before where there is one.
    pub fn buffer(&self, cols: u16, rows: u16) -> Buffer {
        let area = Rect::new(0, 0, cols, rows);
        match self.shared.lock().spare.pop() {
            Some(mut buffer) => {
                if buffer.area != area {
                    buffer.resize(area);
                }
                buffer.reset();
                buffer
            }
            None => Buffer::empty(area),
        }
    }

    /// Hands a frame over; one that still waits is replaced. Never waits.
    pub fn show(&self, frame: Buffer) {
        let mut inner = self.shared.lock();
        if let Some(old) = inner.frame.replace(frame) {
            inner.stats.replaced += 1;
            keep(&mut inner.spare, old);
        }
        drop(inner);
        self.shared.changed.notify_all();
    }

    /// Sends bytes that are no frame, before the next frame. `false`: too much is waiting already.
    pub fn send(&self, bytes: &[u8]) -> bool {
        let mut inner = self.shared.lock();
        let fits = inner.extra.len() + bytes.len() <= EXTRA_LIMIT;
        if fits {
            inner.extra.extend_from_slice(bytes);
        }
        drop(inner);
        self.shared.changed.notify_all();
        fits
    }

    /// The next frame is drawn whole: something else has written to the terminal.
    pub fn invalidate(&self) {
        self.shared.lock().afresh = true;
    }

    /// Writes nothing more until [`Screen::release`]; waits until the writer rests, `limit` at most, and
    /// says whether it does. A frame in the middle is finished or, at a stalled terminal, given up.
    pub fn hold(&self, limit: Duration) -> bool {
        let start = Instant::now();
        let mut inner = self.shared.lock();
        inner.held = true;
        self.shared.changed.notify_all();
        while inner.busy && start.elapsed() < limit {
            let left = limit.saturating_sub(start.elapsed());
            inner = self
                .shared
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        !inner.busy
    }

    /// Writes again; the next frame is drawn whole.
    pub fn release(&self) {
        let mut inner = self.shared.lock();
        inner.held = false;
        inner.afresh = true;
        drop(inner);
        self.shared.changed.notify_all();
    }

    /// Waits until everything handed over is written, `limit` at most; says whether it is.
    pub fn flush(&self, limit: Duration) -> bool {
        let start = Instant::now();
        let mut inner = self.shared.lock();
        let pending = |i: &Inner| i.busy || i.frame.is_some() || !i.extra.is_empty();
        while pending(&inner) && !inner.failed && start.elapsed() < limit {
            let left = limit.saturating_sub(start.elapsed());
            inner = self
                .shared
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        !pending(&inner)
    }

    /// What was written so far.
    pub fn stats(&self) -> ScreenStats {
        self.shared.lock().stats
    }

    /// Whether the terminal refused bytes for good (it is gone).
    pub fn failed(&self) -> bool {
        self.shared.lock().failed
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
    }
}

fn keep(spare: &mut Vec<Buffer>, buffer: Buffer) {
    // One is drawn in, one waits, one is shown: more are never needed.
    if spare.len() < 2 {
        spare.push(buffer);
    }
}

struct Writer {
    tty: Tty,
    shared: Arc<Shared>,
    encoder: Encoder,
    /// What the terminal shows.
    shown: Option<Buffer>,
    bytes: Vec<u8>,
}

impl Writer {
    fn run(&mut self) {
        while let Some((frame, extra, afresh)) = self.next() {
            self.bytes.clear();
            if !extra.is_empty() {
                self.bytes.extend_from_slice(&extra);
            }
            if afresh {
                self.encoder.forget();
                self.shown = None;
            }
            let framed = frame.is_some();
            if let Some(frame) = frame {
                self.encode(frame);
            }
            let result = self.write();
            let mut inner = self.shared.lock();
            match result {
                Ok(true) => {
                    inner.stats.frames += u64::from(framed && !self.bytes.is_empty());
                    inner.stats.bytes += self.bytes.len() as u64;
                    inner.stats.stalled = false;
                }
                // Cut off in the middle: what the terminal shows is not known.
                Ok(false) => inner.afresh = true,
                Err(_) => inner.failed = true,
            }
            inner.busy = false;
            drop(inner);
            self.shared.changed.notify_all();
        }
    }

    fn next(&mut self) -> Option<(Option<Buffer>, Vec<u8>, bool)> {
        let mut inner = self.shared.lock();
        loop {
            if inner.stop {
                return None;
            }
            let work = inner.frame.is_some() || !inner.extra.is_empty();
            if work && !inner.held && !inner.failed {
                inner.busy = true;
                let frame = inner.frame.take();
                let afresh = frame.is_some() && std::mem::take(&mut inner.afresh);
                return Some((frame, std::mem::take(&mut inner.extra), afresh));
            }
            inner = self
                .shared
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn encode(&mut self, frame: Buffer) {
        let start = self.bytes.len();
        self.encoder
            .frame(self.shown.as_ref(), &frame, &mut self.bytes);
        if self.bytes.len() - start >= SYNCHRONIZED_FROM {
            self.bytes
                .splice(start..start, b"\x1b[?2026h".iter().copied());
            self.bytes.extend_from_slice(b"\x1b[?2026l");
        }
        if let Some(old) = self.shown.replace(frame) {
            keep(&mut self.shared.lock().spare, old);
        }
    }

    /// Writes everything; `false` where the terminal was left, or where it was told to rest or stop while
    /// the terminal was stalled.
    fn write(&self) -> io::Result<bool> {
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let taken = if self.tty.wait_writable(STALL_TURN)? {
                session::write_now(&self.tty, rest)?
            } else {
                Some(0)
            };
            let Some(n) = taken else {
                return Ok(false);
            };
            rest = rest.get(n..).unwrap_or_default();
            if n == 0 {
                let mut inner = self.shared.lock();
                inner.stats.stalled = true;
                if inner.held || inner.stop {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
