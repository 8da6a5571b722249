//! The kernel log, read from the start of its buffer: Xids from before our start, then new ones as they come.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::nvrm::{Found, Scanner};
use super::supervisor::Message;
use super::xid::{RawXid, XidNews};
use crate::model::XidSource;

/// Xids from before our start that are told: the newest.
const EARLIER: usize = 256;
/// Longer than any record of the kernel's.
const BUFFER: usize = 16 * 1024;
/// A line longer than this is cut: it is not the kernel's.
const LONGEST: usize = 64 * 1024;
/// How often a plain file is looked at again (tests; `/dev/kmsg` wakes us).
const LOOK_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The reading thread's owner; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Reader {
    _stop: OwnedFd,
}

/// Starts to read the kernel log at `path`; says so where it may not be read.
pub(super) fn start(path: PathBuf, out: Sender<Message>) -> Option<Reader> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let log = match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(log) => log,
        Err(error) => {
            tell(&out, Some(unreadable(&path, error)));
            return None;
        }
    };
    let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).ok()?;
    thread::Builder::new()
        .name("gpu-kmsg".to_owned())
        .spawn(move || {
            if let Err(error) = read(&log, &stopped, &out) {
                tell(&out, Some(unreadable(&path, error)));
            }
        })
        .ok()?;
    Some(Reader { _stop: stop })
}

fn tell(out: &Sender<Message>, note: Option<String>) {
    let _ = out.send(Message::Xid(XidNews::KernelLog(note)));
}

/// Why, and how to mend it.
fn unreadable(path: &Path, error: Errno) -> String {
    let path = path.display();
    match error {
        Errno::PERM | Errno::ACCESS => format!(
            "earlier Xids and lost GPUs' last words are not known: {path} may not be read (sudo sysctl kernel.dmesg_restrict=0, or run midwatch as root)"
        ),
        Errno::NOENT | Errno::NXIO | Errno::NODEV => format!(
            "earlier Xids are not known: there is no {path} here (in a container: --device /dev/kmsg --cap-add SYSLOG)"
        ),
        error => format!(
            "the kernel log {path} cannot be read: {}",
            io::Error::from(error)
        ),
    }
}

/// Reads until told to stop.
fn read(log: &OwnedFd, stopped: &OwnedFd, out: &Sender<Message>) -> Result<(), Errno> {
    let mut buffer = vec![0_u8; BUFFER];
    let mut lines = Lines::new(boot_time());
    let mut live = false;
    loop {
        match rustix::io::read(log, buffer.as_mut_slice()) {
            Ok(0) => {
                live = go_live(live, &mut lines, out);
                if wait(&[stopped], Some(&LOOK_AGAIN))? {
                    return Ok(());
                }
            }
            Ok(count) => {
                lines.feed(buffer.get(..count).unwrap_or_default(), live);
                if live {
                    lines.send(out);
                }
            }
            Err(Errno::AGAIN) => {
                live = go_live(live, &mut lines, out);
                if wait(&[stopped, log], None)? {
                    return Ok(());
                }
            }
            // Records were overwritten before we read them; or a signal.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What was in the log before is read: it is told, and what comes now has the present time.
fn go_live(live: bool, lines: &mut Lines, out: &Sender<Message>) -> bool {
    if !live {
        tell(out, None);
        lines.send(out);
    }
    true
}

/// Sleeps until there is something; true: to stop (the first descriptor).
fn wait(fds: &[&OwnedFd], timeout: Option<&Timespec>) -> Result<bool, Errno> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN))
        .collect();
    match poll(&mut polled, timeout) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    Ok(polled.first().is_some_and(|p| !p.revents().is_empty()))
}

/// When the machine was booted, by the clock the kernel stamps its log with.
fn boot_time() -> Option<Timestamp> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    let up = SignedDuration::try_from(Duration::try_from_secs_f64(seconds).ok()?).ok()?;
    Timestamp::now().checked_sub(up).ok()
}

/// Bytes to Xids.
struct Lines {
    boot: Option<Timestamp>,
    rest: Vec<u8>,
    scanner: Scanner,
    found: std::collections::VecDeque<RawXid>,
}

impl Lines {
    fn new(boot: Option<Timestamp>) -> Self {
        Self {
            boot,
            rest: Vec::new(),
            scanner: Scanner::default(),
            found: std::collections::VecDeque::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8], live: bool) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.rest.len() > LONGEST {
                let line = std::mem::take(&mut self.rest);
                self.line(&String::from_utf8_lossy(&line), live);
            }
        }
    }

    /// `4,1234,206764307,-;NVRM: …`; lines that begin with a space are a record's dictionary.
    fn line(&mut self, line: &str, live: bool) {
        let Some((head, text)) = line.split_once(';').filter(|_| !line.starts_with(' ')) else {
            return;
        };
        let stamp = head.split(',').nth(2).and_then(|t| t.parse::<u64>().ok());
        let Some(found) = self.scanner.scan(text.trim_end(), stamp.unwrap_or(0)) else {
            return;
        };
        let at = stamp
            .and_then(|micros| i64::try_from(micros).ok())
            .zip(self.boot)
            .and_then(|(micros, boot)| boot.checked_add(SignedDuration::from_micros(micros)).ok())
            .filter(|_| !live);
        if self.found.len() >= EARLIER {
            self.found.pop_front();
        }
        self.found
            .push_back(event(found, at.unwrap_or_else(Timestamp::now)));
    }

    fn send(&mut self, out: &Sender<Message>) {
        for event in self.found.drain(..) {
            let _ = out.send(Message::Xid(XidNews::Event(event)));
        }
    }
}

fn event(found: Found, time: Timestamp) -> RawXid {
    RawXid {
        time,
        uuid: None,
        pci_bus_id: found.address,
        xid: found.xid,
        source: XidSource::KernelLog,
        pid: found.pid,
        text: found.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gets_the_wall_time_of_its_stamp_and_dictionaries_are_skipped() {
        let boot = Timestamp::from_second(1_000_000).unwrap();
        let mut lines = Lines::new(Some(boot));
        let text = "6,1,5,-;nvidia-nvswitch2: open (major=510)\n DEVICE=+pci:0000:17:00.0\n4,2,2500000,-;NVRM: Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n";
        // Cut anywhere: reads of a plain file end where they like.
        for piece in text.as_bytes().chunks(7) {
            lines.feed(piece, false);
        }
        let [event] = lines.found.make_contiguous() else {
            panic!("{:?}", lines.found)
        };
        assert_eq!(event.time.as_microsecond(), 1_000_002_500_000);
        assert_eq!((event.xid, event.pid), (Some(79), None));
    }

    #[test]
    fn only_the_newest_earlier_ones_are_kept_and_endless_lines_are_cut() {
        let mut lines = Lines::new(None);
        for n in 0..1_000_u64 {
            let stamp = n * 10_000_000;
            let line = format!("4,{n},{stamp},-;NVRM: Xid (PCI:0000:05:00): 31, pid={n}, x\n");
            lines.feed(line.as_bytes(), false);
        }
        assert_eq!(lines.found.len(), EARLIER);
        assert_eq!(lines.found.back().unwrap().pid, Some(999));
        lines.feed(&vec![b'x'; 10 * LONGEST], true);
        assert!(lines.rest.len() <= 2 * LONGEST);
    }
}
