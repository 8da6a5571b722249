//! The terminal in other hands: suspended, or given to a shell in a container.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, getpid, getppid, getsid, kill_current_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{App, ExitReason, Running};
use crate::lanes::Waker;
use crate::model::{ContainerKey, Stamp};
use crate::tui::effect::Outcome;
use crate::tui::event::Event;
use crate::tui::input::Input;
use crate::tui::runner::{Backend, ShellStream};
use crate::tui::session::Tty;

/// How long a frame in the middle may take to be finished.
const REST: Duration = Duration::from_millis(500);
/// How long the news of having been continued may take.
const CONTINUED: Duration = Duration::from_secs(1);
/// How often a printer that the terminal makes wait looks whether it should give up.
const STALL_TURN: Duration = Duration::from_millis(50);
/// How long the last output of a shell may take to reach the terminal.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// What came of opening a shell.
pub(super) type Opened = Result<ShellStream, String>;

/// Whether a shell with job control is there to bring a stopped process back.
fn resumable() -> bool {
    let own = getsid(None);
    // A session's leader has nobody above it that could say `fg`.
    if own == Ok(getpid()) {
        return false;
    }
    getppid().is_some_and(|parent| getsid(Some(parent)) == own)
}

impl<A: App, B: Backend> Running<'_, A, B> {
    /// As Ctrl-Z: gives the terminal back, stops, and comes back with `fg`.
    pub(super) fn suspend(&mut self) {
        if !resumable() {
            return;
        }
        self.runner.backend().hold_logs();
        self.input.park();
        self.screen.hold(REST);
        self.session.pause();
        // The group, as the terminal's own Ctrl-Z does it, so that a wrapper (sudo, time) stops too.
        if kill_current_process_group(Signal::STOP).is_ok() {
            self.until_continued();
        }
        self.come_back();
        self.runner.backend().resume_logs();
    }

    /// Another thread may take the signal, and this one run on for a moment before all stand still: only
    /// the SIGCONT that follows proves that the stop is over.
    fn until_continued(&mut self) {
        let began = Instant::now();
        while began.elapsed() < CONTINUED {
            let inputs: Vec<Input> = self.input.drain().collect();
            let mut continued = false;
            for input in inputs {
                match input {
                    Input::Continued => continued = true,
                    Input::End(_) | Input::Hangup => self.signal(input),
                    _ => {}
                }
            }
            if continued {
                return;
            }
            self.waker.wait(Some(CONTINUED));
        }
        // It is still on its way.
        self.continues += 1;
    }

    /// Takes the terminal again and draws everything anew; nothing is asked of the terminal.
    fn come_back(&mut self) {
        if self.session.resume().is_err() {
            self.end = Some(ExitReason::Hangup);
            return;
        }
        self.input.unpark();
        self.screen.release();
        self.resize(Stamp::now());
        self.owed = true;
    }

    /// Somebody stopped and continued the process: the terminal may have been changed meanwhile.
    pub(super) fn reenter(&mut self) {
        if self.continues > 0 {
            // The end of our own suspension.
            self.continues -= 1;
            return;
        }
        self.screen.hold(REST);
        self.session.pause();
        self.come_back();
    }

    /// Opens a shell in the background; the dashboard goes on until it is there.
    pub(super) fn open_shell(&mut self, key: ContainerKey) {
        if let Some(why) = self.runner.refuses_shell() {
            self.runner.outcomes().push(Outcome::ShellEnded(Err(why)));
            return;
        }
        let (cols, rows) = self.size;
        let opening = self.runner.backend().open_shell(key, cols, rows);
        let slot = self.shell.clone();
        self.runner.runtime().spawn(async move {
            slot.put(opening.await);
        });
    }

    /// Hands the terminal to the shell until it ends.
    pub(super) fn shell(&mut self, opened: Opened) {
        let stream = match opened {
            Ok(stream) => stream,
            Err(why) => {
                self.runner.outcomes().push(Outcome::ShellEnded(Err(why)));
                return;
            }
        };
        self.runner.backend().hold_logs();
        self.input.park();
        self.screen.hold(REST);
        let result = match self.session.hand_over() {
            Ok(()) => self.serve(stream),
            Err(error) => Err(error.to_string()),
        };
        if self.session.take_back().is_err() {
            self.end = self.end.or(Some(ExitReason::Hangup));
        }
        self.input.unpark();
        self.screen.release();
        self.resize(Stamp::now());
        self.owed = true;
        self.runner.backend().resume_logs();
        self.runner.outcomes().push(Outcome::ShellEnded(result));
    }

    /// Carries bytes both ways. Signals, the terminal's size and its end are still heeded here.
    fn serve(&mut self, stream: ShellStream) -> Result<(), String> {
        let ShellStream {
            mut output,
            input: mut to_shell,
            resize,
        } = stream;
        let (cols, rows) = self.size;
        resize(cols, rows);
        let done = Arc::new(AtomicBool::new(false));
        let (printed, to_print) = mpsc::channel::<Vec<u8>>(16);
        let (typed, mut to_send) = mpsc::channel::<Vec<u8>>(16);
        let runtime = self.runner.runtime();
        let reading = runtime.spawn(async move {
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(n @ 1..) = output.read(&mut bytes).await {
                let piece = bytes.get(..n).unwrap_or_default().to_vec();
                if printed.send(piece).await.is_err() {
                    break;
                }
            }
        });
        let sending = runtime.spawn(async move {
            while let Some(bytes) = to_send.recv().await {
                if to_shell.write_all(&bytes).await.is_err() || to_shell.flush().await.is_err() {
                    break;
                }
            }
        });
        let typing = self
            .print(to_print, &done)
            .and_then(|()| self.type_into(typed));
        let (typing, result) = match typing {
            Ok(typing) => (Some(typing), Ok(())),
            Err(error) => (None, Err(error.to_string())),
        };
        while result.is_ok() && !done.load(Ordering::Acquire) && self.end.is_none() {
            self.waker.wait(None);
            let inputs: Vec<Input> = self.input.drain().collect();
            for input in inputs {
                match input {
                    Input::Resized => {
                        self.size = self.tty.size().unwrap_or(self.size);
                        let (cols, rows) = self.size;
                        resize(cols, rows);
                        self.tell(Event::Resize { cols, rows }, Stamp::now());
                    }
                    // Ctrl-Z belongs to the shell; a SIGTSTP from outside waits for its end.
                    Input::End(_) | Input::Hangup | Input::ReleaseGpus => self.signal(input),
                    _ => {}
                }
            }
            if crate::tui::session::panicked() {
                self.end = Some(ExitReason::Panicked);
            }
        }
        done.store(true, Ordering::Release);
        reading.abort();
        sending.abort();
        if let Some((stop, thread)) = typing {
            // No key may be lost to it once the dashboard reads again.
            drop(stop);
            let _ = thread.join();
        }
        result
    }

    /// A thread that prints what the shell says, and tells when that has ended.
    fn print(
        &self,
        mut pieces: mpsc::Receiver<Vec<u8>>,
        done: &Arc<AtomicBool>,
    ) -> std::io::Result<()> {
        let tty = self.tty.try_clone()?;
        let over = Over {
            done: Arc::clone(done),
            waker: self.waker.clone(),
        };
        std::thread::Builder::new()
            .name("shell-out".into())
            .spawn(move || {
                let over = over;
                while let Some(bytes) = pieces.blocking_recv() {
                    let mut rest = bytes.as_slice();
                    let mut stalled = Duration::ZERO;
                    while !rest.is_empty() {
                        let Ok(n) = tty.write_some(rest, STALL_TURN) else {
                            return;
                        };
                        rest = rest.get(n..).unwrap_or_default();
                        stalled = if n == 0 {
                            stalled + STALL_TURN
                        } else {
                            Duration::ZERO
                        };
                        if over.done.load(Ordering::Acquire) && stalled >= LAST_OUTPUT {
                            return;
                        }
                    }
                }
            })?;
        Ok(())
    }

    /// A thread that sends the keyboard's bytes to the shell until the returned end is dropped.
    fn type_into(
        &self,
        keys: mpsc::Sender<Vec<u8>>,
    ) -> std::io::Result<(UnixStream, JoinHandle<()>)> {
        let tty = self.tty.try_clone()?;
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::Builder::new()
            .name("shell-in".into())
            .spawn(move || {
                while let Ok(bytes) = read_keys(&tty, &stopped) {
                    if keys.blocking_send(bytes).is_err() {
                        return;
                    }
                }
            })?;
        Ok((stop, thread))
    }
}

/// Sets the flag and wakes the loop when its thread ends, however it ends.
struct Over {
    done: Arc<AtomicBool>,
    waker: Waker,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// The next bytes that are typed; an error is the end, of the terminal or of the shell.
fn read_keys(tty: &Tty, stopped: &UnixStream) -> std::io::Result<Vec<u8>> {
    let input = tty.input();
    let mut bytes = [0; 4096];
    loop {
        let mut fds = [
            PollFd::new(stopped, PollFlags::IN),
            PollFd::new(&input, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [stop, ready] = fds.map(|fd| fd.revents());
        if !stop.is_empty() || !ready.contains(PollFlags::IN) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match rustix::io::read(input, &mut bytes) {
            Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => return Ok(bytes.get(..n).unwrap_or_default().to_vec()),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
