//! Timings for `--trace FILE`: what sources, frames and lanes cost, and what was dropped.
//!
//! A [`Trace`] is handed down, never global. Off, it costs a branch and reads no clock. On, an entry is a
//! few words in a bounded queue; a thread of its own writes the file, so that a slow disk delays nobody:
//! entries that do not fit are counted and the count is written.
//!
//! A line is `SECONDS KIND NAME [us=N] [n=N]`: seconds since the trace began, the kind below, what took
//! so long in microseconds, how many items.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Entries that may wait for the disk.
const WAITING: usize = 4096;
/// A quiet file is flushed after this long.
const FLUSH: Duration = Duration::from_millis(200);
/// At the end the writer is given this long.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A source's round: list, inspect, cgroup reading, NVML.
    Source,
    /// A frame: folding, laying out, writing to the terminal.
    Frame,
    /// A lane: how much was waiting when it was drained.
    Lane,
    /// Something was dropped.
    Drop,
    /// A moment worth a line: start, first list, first frame, a key.
    Mark,
}

impl Kind {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Frame => "frame",
            Self::Lane => "lane",
            Self::Drop => "drop",
            Self::Mark => "mark",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Duration,
    kind: Kind,
    name: &'static str,
    took: Option<Duration>,
    count: Option<u64>,
}

#[derive(Debug)]
struct Inner {
    began: Instant,
    entries: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
    done: std::sync::Mutex<Receiver<()>>,
}

/// Where timings go; clones share the file. The default writes nothing.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<Arc<Inner>>);

/// A running measurement.
#[derive(Debug)]
#[must_use = "a measurement counts once `done` is called"]
pub struct Timer<'a> {
    trace: &'a Trace,
    kind: Kind,
    name: &'static str,
    began: Option<Instant>,
}

impl Trace {
    /// A trace that writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Makes the file (an older one is overwritten) and starts its writer.
    ///
    /// # Errors
    /// The file cannot be made, or no thread.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Self::to_writer(File::create(path)?)
    }

    fn to_writer(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (entries, waiting) = sync_channel(WAITING);
        let (finished, done) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("trace".to_owned())
            .spawn(move || {
                // A full disk ends the trace, not the program.
                let _ = write_entries(BufWriter::new(out), &waiting, &counter);
                let _ = finished.try_send(());
            })?;
        Ok(Self(Some(Arc::new(Inner {
            began: Instant::now(),
            entries: Some(entries),
            lost,
            done: std::sync::Mutex::new(done),
        }))))
    }

    /// Whether anything is written: for callers whose numbers cost something to work out.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes a line without a duration.
    pub fn count(&self, kind: Kind, name: &'static str, count: u64) {
        self.put(kind, name, None, Some(count));
    }

    /// Writes a moment.
    pub fn mark(&self, name: &'static str) {
        self.put(Kind::Mark, name, None, None);
    }

    /// Writes a line with a duration measured elsewhere.
    pub fn took(&self, kind: Kind, name: &'static str, took: Duration, count: u64) {
        self.put(kind, name, Some(took), Some(count));
    }

    /// Starts a measurement.
    pub fn timer(&self, kind: Kind, name: &'static str) -> Timer<'_> {
        Timer {
            trace: self,
            kind,
            name,
            began: self.0.as_ref().map(|_| Instant::now()),
        }
    }

    fn put(&self, kind: Kind, name: &'static str, took: Option<Duration>, count: Option<u64>) {
        let Some(inner) = &self.0 else { return };
        let Some(entries) = &inner.entries else {
            return;
        };
        let entry = Entry {
            at: inner.began.elapsed(),
            kind,
            name,
            took,
            count,
        };
        if entries.try_send(entry).is_err() {
            inner.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Timer<'_> {
    /// Ends the measurement and writes it with the number of items it was about.
    pub fn done(self, count: u64) {
        if let Some(began) = self.began {
            self.trace
                .took(self.kind, self.name, began.elapsed(), count);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.entries = None;
        let done = self
            .done
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Bounded: a stuck disk must not hold the exit.
        let _ = done.recv_timeout(LAST_WORDS);
    }
}

fn write_entries(
    mut out: impl Write,
    waiting: &Receiver<Entry>,
    lost: &AtomicU64,
) -> io::Result<()> {
    let mut dirty = false;
    loop {
        let entry = if dirty {
            waiting.recv_timeout(FLUSH)
        } else {
            waiting.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match entry {
            Ok(entry) => {
                let dropped = lost.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    let seconds = entry.at.as_secs_f64();
                    writeln!(out, "{seconds:.6} drop trace n={dropped}")?;
                }
                write_entry(&mut out, &entry)?;
                dirty = true;
            }
            Err(RecvTimeoutError::Timeout) => {
                out.flush()?;
                dirty = false;
            }
            Err(RecvTimeoutError::Disconnected) => return out.flush(),
        }
    }
}

fn write_entry(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let seconds = entry.at.as_secs_f64();
    write!(out, "{seconds:.6} {} {}", entry.kind.as_str(), entry.name)?;
    if let Some(took) = entry.took {
        write!(out, " us={}", took.as_micros())?;
    }
    if let Some(count) = entry.count {
        write!(out, " n={count}")?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_when_the_last_handle_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let trace = Trace::to_file(&path).unwrap();
        let other = trace.clone();
        other.mark("start");
        trace.took(Kind::Source, "cgroup", Duration::from_micros(640), 50);
        trace.count(Kind::Lane, "engine", 3);
        trace.timer(Kind::Frame, "draw").done(1);
        drop(trace);
        drop(other);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        assert_eq!(
            lines[..3],
            ["mark start", "source cgroup us=640 n=50", "lane engine n=3"]
        );
        assert!(lines[3].starts_with("frame draw us=") && lines[3].ends_with(" n=1"));
        assert!(
            text.lines()
                .all(|line| line.split(' ').next().unwrap().parse::<f64>().is_ok())
        );
    }

    #[test]
    fn a_stuck_disk_delays_nobody_and_the_loss_is_counted() {
        struct Stuck(Receiver<()>, Arc<std::sync::Mutex<Vec<u8>>>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // The first write waits for the test; once the sender is gone it goes on.
                let _ = self.0.recv();
                self.1.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (go, gate) = sync_channel(0);
        let text = Arc::new(std::sync::Mutex::new(Vec::new()));
        let trace = Trace::to_writer(Stuck(gate, Arc::clone(&text))).unwrap();
        let put = 4 * WAITING as u64;
        for _ in 0..put {
            trace.mark("tick");
        }
        drop(go);
        // The loss is told with the next entry that fits.
        let deadline = Instant::now() + Duration::from_secs(20);
        let (mut told, mut lost, mut extra) = (0, 0, 0);
        while told + lost < put && Instant::now() < deadline {
            trace.mark("later");
            extra += 1;
            std::thread::yield_now();
            let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
            told = text.matches("mark tick\n").count() as u64;
            lost = text
                .lines()
                .filter_map(|l| l.split_once("drop trace n=")?.1.parse::<u64>().ok())
                .sum();
        }
        assert!(lost > 0, "{told} written of {put}, {extra} later");
    }

    #[test]
    fn off_is_silent() {
        let trace = Trace::off();
        assert!(!trace.is_on());
        trace.mark("nothing");
        trace.timer(Kind::Frame, "draw").done(0);
    }
}
