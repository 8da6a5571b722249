//! The input thread: waits on the keyboard, on signals and on its own control pipe at once; ends when the
//! terminal goes away. While a shell runs or the program is suspended it leaves the keyboard alone.

mod parse;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGWINCH};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

pub use parse::Parser;

use super::event::MouseEvent;
use super::keymap::KeyPress;
use super::session::{self, Tty};
use crate::lanes::{Queue, Waker};

/// More keys than anybody types before the loop comes round.
const LANE: usize = 4096;
/// How long a caller waits for the thread to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// A program that was told to end and has not is ended from here.
const LAST_RESORT: Duration = Duration::from_secs(3);

/// What came from the terminal or from a signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A key.
    Key(KeyPress),
    /// The mouse.
    Mouse(MouseEvent),
    /// Pasted text.
    Paste(String),
    /// The size may have changed.
    Resized,
    /// SIGTSTP from outside.
    Stop,
    /// SIGCONT: somebody else may have used the terminal.
    Continued,
    /// SIGUSR1: let go of NVML, or take it again.
    ReleaseGpus,
    /// SIGTERM, SIGINT or SIGQUIT: end, with `128 + n`.
    End(i32),
    /// The terminal is gone.
    Hangup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Read,
    Park,
    Stop,
}

#[derive(Debug)]
struct Control {
    wish: Wish,
    /// What the thread does.
    state: Wish,
}

#[derive(Debug)]
struct Shared {
    control: Mutex<Control>,
    changed: Condvar,
}

/// The thread's handle; dropping it ends the thread.
#[derive(Debug)]
pub struct InputThread {
    shared: Arc<Shared>,
    poke: UnixStream,
    lane: Queue<Input>,
}

impl InputThread {
    /// Starts reading `tty` and catching signals; what comes wakes `waker`.
    pub fn start(tty: Tty, waker: Waker) -> io::Result<Self> {
        let lane = Queue::new(LANE, waker);
        let (poke, poked) = UnixStream::pair()?;
        poke.set_nonblocking(true)?;
        poked.set_nonblocking(true)?;
        let (read, write) = UnixStream::pair()?;
        let signals = [
            SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT, SIGUSR1,
        ];
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        let shared = Arc::new(Shared {
            control: Mutex::new(Control {
                wish: Wish::Read,
                state: Wish::Read,
            }),
            changed: Condvar::new(),
        });
        let mut reader = Reader {
            tty,
            poked,
            signals,
            shared: Arc::clone(&shared),
            lane: lane.clone(),
            parser: Parser::default(),
            ending: None,
        };
        std::thread::Builder::new()
            .name("input".into())
            .stack_size(256 * 1024)
            .spawn(move || reader.run())?;
        Ok(Self { shared, poke, lane })
    }

    /// Everything since the last time, in order.
    pub fn drain(&self) -> impl Iterator<Item = Input> {
        self.lane.drain().items.into_iter()
    }

    /// Leaves the keyboard to somebody else; when this returns `true` no byte is read any more.
    pub fn park(&self) -> bool {
        self.wish(Wish::Park)
    }

    /// Reads the keyboard again.
    pub fn unpark(&self) -> bool {
        self.wish(Wish::Read)
    }

    fn wish(&self, wish: Wish) -> bool {
        let mut control = self
            .shared
            .control
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        control.wish = wish;
        self.poke();
        let start = Instant::now();
        while control.state != wish && start.elapsed() < ANSWER {
            let left = ANSWER.saturating_sub(start.elapsed());
            control = self
                .shared
                .changed
                .wait_timeout(control, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        control.state == wish
    }

    /// Wakes the thread, whichever of its two sleeps it is in.
    fn poke(&self) {
        let _ = io::Write::write(&mut &self.poke, &[0]);
        self.shared.changed.notify_all();
    }
}

impl Drop for InputThread {
    fn drop(&mut self) {
        let mut control = self
            .shared
            .control
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        control.wish = Wish::Stop;
        drop(control);
        self.poke();
    }
}

struct Reader {
    tty: Tty,
    poked: UnixStream,
    signals: SignalDelivery<UnixStream, SignalOnly>,
    shared: Arc<Shared>,
    lane: Queue<Input>,
    parser: Parser,
    /// Told to end: when, and with which status the last resort does it.
    ending: Option<(Instant, i32)>,
}

#[derive(Default)]
struct Ready {
    keys: bool,
    hangup: bool,
    signals: bool,
    poked: bool,
    nothing: bool,
}

impl Reader {
    fn run(&mut self) {
        let mut inputs = Vec::new();
        loop {
            let wish = self.answer();
            if wish == Wish::Stop {
                return;
            }
            let Ok(ready) = self.wait(wish == Wish::Read) else {
                return self.hung_up();
            };
            if ready.poked {
                let _ = io::Read::read(&mut &self.poked, &mut [0; 64]);
            }
            if ready.signals {
                self.on_signals();
            }
            if ready.hangup {
                return self.hung_up();
            }
            if ready.keys && self.answer() == Wish::Read && !self.read(&mut inputs) {
                return self.hung_up();
            }
            if ready.nothing {
                self.parser.flush(&mut inputs);
                self.overdue();
            }
            for input in inputs.drain(..) {
                self.lane.push(input);
            }
        }
    }

    /// Takes the newest wish and tells that it was heard.
    fn answer(&self) -> Wish {
        let mut control = self
            .shared
            .control
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if control.state != control.wish {
            control.state = control.wish;
            self.shared.changed.notify_all();
        }
        control.state
    }

    fn wait(&self, reading: bool) -> io::Result<Ready> {
        let parser = if reading { self.parser.wait() } else { None };
        let ending = self
            .ending
            .map(|(since, _)| LAST_RESORT.saturating_sub(since.elapsed()));
        let timeout = match (parser, ending) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
        let keys = if reading {
            PollFlags::IN
        } else {
            // Only the hangup, which is always told.
            PollFlags::empty()
        };
        let input = self.tty.input();
        let mut fds = [
            PollFd::new(&input, keys),
            PollFd::new(self.signals.get_read(), PollFlags::IN),
            PollFd::new(&self.poked, PollFlags::IN),
        ];
        let count = match poll(&mut fds, timeout.as_ref()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        };
        let [keys, signals, poked] = fds.map(|fd| fd.revents());
        Ok(Ready {
            keys: keys.contains(PollFlags::IN),
            hangup: keys.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
            signals: signals.contains(PollFlags::IN),
            poked: poked.intersects(PollFlags::IN | PollFlags::HUP),
            nothing: count == 0,
        })
    }

    /// Reads once; `false` is the end of the terminal.
    fn read(&mut self, inputs: &mut Vec<Input>) -> bool {
        let mut bytes = [0u8; 4096];
        match rustix::io::read(self.tty.input(), &mut bytes) {
            Ok(0) => false,
            Ok(n) => {
                self.parser.feed(bytes.get(..n).unwrap_or_default(), inputs);
                true
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => true,
            Err(_) => false,
        }
    }

    fn on_signals(&mut self) {
        let pending: Vec<i32> = self.signals.pending().collect();
        for signal in pending {
            let input = match signal {
                SIGWINCH => Input::Resized,
                SIGTSTP => Input::Stop,
                SIGCONT => Input::Continued,
                SIGUSR1 => Input::ReleaseGpus,
                SIGHUP => {
                    self.ending.get_or_insert((Instant::now(), 128 + signal));
                    Input::Hangup
                }
                _ => {
                    self.ending.get_or_insert((Instant::now(), 128 + signal));
                    Input::End(signal)
                }
            };
            self.lane.push(input);
        }
    }

    /// The terminal is gone: tells so, and sees to it that the process ends.
    fn hung_up(&mut self) {
        self.lane.push(Input::Hangup);
        self.ending.get_or_insert((Instant::now(), 128 + SIGHUP));
        while self.answer() != Wish::Stop {
            let control = self
                .shared
                .control
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let _ = self.shared.changed.wait_timeout(control, LAST_RESORT);
            self.overdue();
        }
    }

    /// The loop was told to end and did not: it hangs. The terminal is restored and the process ended here.
    fn overdue(&self) {
        if let Some((since, status)) = self.ending
            && since.elapsed() >= LAST_RESORT
        {
            session::leave();
            #[allow(
                clippy::exit,
                reason = "the main thread hangs: nobody else can end the process"
            )]
            std::process::exit(status);
        }
    }
}
