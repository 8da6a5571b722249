//! The terminal as a guard: what `enter` changes, `leave` restores, on every way out.
//!
//! The state lives in one place of the process, since the panic hook and the last resort of a signal must
//! reach it without anybody's help. `leave` may be called any number of times, from any thread.

mod tty;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, TryLockError};
use std::time::{Duration, Instant};

use crossterm::Command as _;
use crossterm::cursor::{Hide, Show};
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

pub use tty::{Tty, TtyError};

use crate::lanes::Waker;

/// Bracketed paste; crossterm has it beside its event reader alone, which is not used.
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";
/// Plain cursor keys and keypad, ASCII letters, the whole screen scrolls.
const AFTER_OTHERS: &[u8] = b"\x1b[?1l\x1b>\x1b(B\x0f\x1b[r";
/// A terminal that takes nothing for so long is stalled; the process leaves without it.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long the message of a panic, with its backtrace, may take.
const MESSAGE: Duration = Duration::from_secs(2);

/// What is written on the way in and on the way out; made before it is needed, since a panic hook makes
/// nothing.
struct Sequences {
    /// Alternate screen, no cursor, bracketed paste.
    enter: Vec<u8>,
    /// CAN ends a sequence that was cut in its middle; then everything that may have been switched on
    /// goes off, and the cursor is shown on the screen that the user came from.
    leave: Vec<u8>,
}

fn sequences() -> &'static Sequences {
    static SEQUENCES: OnceLock<Sequences> = OnceLock::new();
    SEQUENCES.get_or_init(|| {
        // Writing to a string cannot fail.
        let mut enter = String::new();
        let _ = EnterAlternateScreen.write_ansi(&mut enter);
        let _ = Hide.write_ansi(&mut enter);
        enter.push_str(PASTE_ON);
        let mut leave = String::from("\x18");
        let _ = EndSynchronizedUpdate.write_ansi(&mut leave);
        leave.push_str(MOUSE_OFF);
        leave.push_str(PASTE_OFF);
        let _ = SetAttribute(Attribute::Reset).write_ansi(&mut leave);
        let _ = LeaveAlternateScreen.write_ansi(&mut leave);
        let _ = Show.write_ansi(&mut leave);
        Sequences {
            enter: enter.into_bytes(),
            leave: leave.into_bytes(),
        }
    })
}

struct Entered {
    tty: Tty,
    before: Termios,
}

static ENTERED: Mutex<Option<Entered>> = Mutex::new(None);
static PANICKED: AtomicBool = AtomicBool::new(false);
static PRINTED: AtomicBool = AtomicBool::new(false);
static PANIC_WAKER: OnceLock<Waker> = OnceLock::new();

/// The lock, taken even where its holder panicked, and given up where its holder hangs.
fn entered() -> Option<MutexGuard<'static, Option<Entered>>> {
    let start = Instant::now();
    loop {
        match ENTERED.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

/// Gives the terminal back: attributes, screen, cursor. Ignores errors, waits a moment at most.
pub fn leave() {
    let Some(Entered { tty, before }) = entered().and_then(|mut guard| guard.take()) else {
        return;
    };
    let _ = tty.write_all(&sequences().leave, PATIENCE);
    let _ = tcsetattr(tty.input(), OptionalActions::Now, &before);
}

/// Writes as much of `bytes` as the terminal takes now, if it is still entered; `None`: it was left, and
/// nothing may follow the bytes that restored it.
pub fn write_now(tty: &Tty, bytes: &[u8]) -> io::Result<Option<usize>> {
    let guard = entered();
    match guard.as_deref() {
        Some(Some(_)) => tty.write_now(bytes).map(Some),
        _ => Ok(None),
    }
}

/// Waits until the message of a panic is printed, a moment at most.
pub fn wait_for_panic_message() {
    let start = Instant::now();
    while !PRINTED.load(Ordering::Acquire) && start.elapsed() < MESSAGE {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether any thread of the process has panicked since [`install_panic_hook`].
pub fn panicked() -> bool {
    PANICKED.load(Ordering::Acquire)
}

/// From now on a panic of any thread restores the terminal before its message is printed, and wakes the
/// loop, which ends the program. Installed once; `waker` is the loop's.
pub fn install_panic_hook(waker: &Waker) {
    static HOOK: Once = Once::new();
    let _ = PANIC_WAKER.set(waker.clone());
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.store(true, Ordering::Release);
            leave();
            before(info);
            PRINTED.store(true, Ordering::Release);
            if let Some(waker) = PANIC_WAKER.get() {
                waker.wake();
            }
        }));
    });
}

/// The guard: while it lives (and was not left), the terminal is ours.
#[derive(Debug)]
pub struct Session {
    tty: Tty,
    mouse: bool,
}

impl Session {
    /// Enters: raw mode, alternate screen, hidden cursor, bracketed paste.
    pub fn enter(tty: &Tty) -> io::Result<Self> {
        let session = Self {
            tty: tty.try_clone()?,
            mouse: false,
        };
        session.begin()?;
        Ok(session)
    }

    fn begin(&self) -> io::Result<()> {
        let mut guard = entered().ok_or(io::ErrorKind::WouldBlock)?;
        let before = tcgetattr(self.tty.input())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(self.tty.input(), OptionalActions::Now, &raw)?;
        *guard = Some(Entered {
            tty: self.tty.try_clone()?,
            before,
        });
        drop(guard);
        let mut bytes = sequences().enter.clone();
        if self.mouse {
            bytes.extend_from_slice(MOUSE_ON.as_bytes());
        }
        self.tty.write_all(&bytes, PATIENCE)
    }

    /// Gives the terminal back for a while (suspended, a shell). The writer must be at rest.
    pub fn pause(&self) {
        leave();
    }

    /// Leaves the alternate screen to a shell in a container; raw mode stays, its terminal is far away.
    pub fn hand_over(&self) -> io::Result<()> {
        self.tty.write_all(&sequences().leave, PATIENCE)
    }

    /// Comes back after [`Session::hand_over`], undoing what the shell may have left switched on.
    pub fn take_back(&self) -> io::Result<()> {
        let mut bytes = sequences().leave.clone();
        bytes.extend_from_slice(AFTER_OTHERS);
        bytes.extend_from_slice(&sequences().enter);
        if self.mouse {
            bytes.extend_from_slice(MOUSE_ON.as_bytes());
        }
        self.tty.write_all(&bytes, PATIENCE)
    }

    /// Takes the terminal again after [`Session::pause`].
    pub fn resume(&self) -> io::Result<()> {
        self.begin()
    }

    /// The bytes that switch mouse capture, to be sent in order with the frames; remembered for `resume`.
    pub fn mouse(&mut self, on: bool) -> &'static [u8] {
        self.mouse = on;
        if on { MOUSE_ON } else { MOUSE_OFF }.as_bytes()
    }

    /// Whether the mouse is captured.
    pub fn has_mouse(&self) -> bool {
        self.mouse
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        leave();
    }
}
