//! The terminal's two ends: where keys come from, where frames go.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// A number of bytes that a terminal's driver takes at once without making the writer wait.
const CHUNK: usize = 1024;

/// Why there is no terminal; one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum TtyError {
    /// Output is a pipe or a file.
    #[error(
        "standard output is not a terminal: use `midwatch ps` or `midwatch gpus` for text or JSON"
    )]
    NotATerminal,
    /// There is no keyboard.
    #[error("no terminal to read keys from: {0}")]
    NoInput(io::Error),
    /// The terminal refused something.
    #[error("the terminal cannot be used: {0}")]
    Refused(#[from] io::Error),
}

/// The terminal.
#[derive(Debug)]
pub struct Tty {
    input: OwnedFd,
    output: OwnedFd,
}

impl Tty {
    /// Takes standard input and output, or `/dev/tty` where standard input is not a terminal. The output
    /// is opened anew, so that writing without waiting does not change it for the shell and its children.
    pub fn open() -> Result<Self, TtyError> {
        let stdout = io::stdout();
        if !rustix::termios::isatty(stdout.as_fd()) {
            return Err(TtyError::NotATerminal);
        }
        let stdin = io::stdin();
        let input = if rustix::termios::isatty(stdin.as_fd()) {
            stdin
                .as_fd()
                .try_clone_to_owned()
                .map_err(TtyError::NoInput)?
        } else {
            let file = File::open("/dev/tty").map_err(TtyError::NoInput)?;
            file.into()
        };
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let reopened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open("/proc/self/fd/1");
        let output = match reopened {
            Ok(file) => file.into(),
            // Another user's terminal (after su): shared and waiting, so only small pieces are written.
            Err(_) => stdout.as_fd().try_clone_to_owned()?,
        };
        Ok(Self { input, output })
    }

    /// A terminal on descriptors of the caller's (a pseudo-terminal's, in tests).
    pub fn from_parts(input: OwnedFd, output: OwnedFd) -> Self {
        Self { input, output }
    }

    /// Another handle on the same two ends.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            input: self.input.try_clone()?,
            output: self.output.try_clone()?,
        })
    }

    /// Where keys come from.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Where frames go.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Columns and rows; `None` where the terminal does not tell.
    pub fn size(&self) -> Option<(u16, u16)> {
        let size = rustix::termios::tcgetwinsize(self.output.as_fd()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    }

    /// Waits until the terminal takes bytes, at most `wait`; says whether it does.
    pub fn wait_writable(&self, wait: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.output, PollFlags::OUT)];
        let timeout = Timespec::try_from(wait).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes as much of `bytes` as the terminal takes now; 0 is "not now".
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = bytes.get(..bytes.len().min(CHUNK)).unwrap_or(bytes);
        match rustix::io::write(&self.output, chunk) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => Ok(n),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes some of `bytes`, waiting at most `wait` until the terminal takes any; 0 is "not now".
    pub fn write_some(&self, bytes: &[u8], wait: Duration) -> io::Result<usize> {
        if self.wait_writable(wait)? {
            self.write_now(bytes)
        } else {
            Ok(0)
        }
    }

    /// Writes all of `bytes` unless that takes longer than `limit`.
    pub fn write_all(&self, mut bytes: &[u8], limit: Duration) -> io::Result<()> {
        let start = Instant::now();
        while !bytes.is_empty() {
            let left = limit.saturating_sub(start.elapsed());
            let n = self.write_some(bytes, left)?;
            if n == 0 && start.elapsed() >= limit {
                return Err(io::ErrorKind::TimedOut.into());
            }
            bytes = bytes.get(n..).unwrap_or_default();
        }
        Ok(())
    }
}
