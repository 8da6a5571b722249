//! A container in the foreground: its output here, what is typed to it, signals passed on, its exit status.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::complain_line;
use crate::engine::exec::TerminalSize;
use crate::engine::{Attached, Attaching, Engine, EngineError, Waiting};
use crate::failures::{self, Ended};
use crate::launch::LaunchSpec;
use crate::launcher::Launched;
use crate::model::{ContainerKey, Problem};

/// Bytes of the end of its output that are kept for explaining a failure.
const KEPT: usize = 64 * 1024;
/// How long the rest of its output may take once it has ended.
const REST: Duration = Duration::from_secs(10);
/// Signals that are passed on, by Linux's numbers, with the names that engines take. Not those of a program in
/// the background that reads or sets the terminal: caught, the system would send them again without end.
const PASSED: [(i32, &str); 7] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (10, "SIGUSR1"),
    (12, "SIGUSR2"),
    (15, "SIGTERM"),
    (18, "SIGCONT"),
];
/// So many SIGINT or SIGTERM that a container outlives let go of it, as with Docker's client.
const ENOUGH: u32 = 3;
/// How long the engine may take for a signal before the next one is looked at.
const PASSING: Duration = Duration::from_secs(2);
/// What the engine takes as the wish to detach: Ctrl-P, Ctrl-Q.
const DETACH: [u8; 2] = [0x10, 0x11];

/// What was made ready before the start.
type Ready = (Waiting, Attached);

/// A foreground run.
pub(super) struct Foreground<'a> {
    engine: &'a Engine,
    spec: &'a LaunchSpec,
    ready: Mutex<Option<Ready>>,
    signals: Mutex<Vec<(Signal, &'static str)>>,
}

/// How a foreground run ended.
enum End {
    /// The container did, with this status.
    Exit(Result<i64, EngineError>),
    /// Ctrl-P, Ctrl-Q.
    Detached,
    /// It takes no notice of signals: the status of who gives up, 128 and the signal's number.
    GivenUp(u8),
}

impl<'a> Foreground<'a> {
    /// Signals are kept for the container from here on.
    pub fn new(engine: &'a Engine, spec: &'a LaunchSpec) -> Self {
        let signals = PASSED.iter().filter_map(|(number, name)| {
            // With a terminal of its own the keys go in as bytes; what `kill` sends is passed on all the same.
            Some((signal(SignalKind::from_raw(*number)).ok()?, *name))
        });
        Self {
            engine,
            spec,
            ready: Mutex::default(),
            signals: Mutex::new(signals.collect()),
        }
    }

    /// Begins to wait and attaches, before the start: nothing of a short life is missed.
    pub async fn before(&self, key: ContainerKey) -> Result<(), EngineError> {
        let waiting = self.engine.wait_begin(key, self.spec.rm).await?;
        let attached = self.engine.attach(key, attaching(self.spec)).await?;
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some((waiting, attached));
        Ok(())
    }

    /// Stays with it to its end: its exit status.
    pub async fn until_the_end(&self, launched: &Launched) -> Result<u8, Problem> {
        let ready = self
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some((waiting, attached)) = ready else {
            return Err(lost("it was not attached to"));
        };
        let types = attaching(self.spec).stdin;
        // Where nothing is typed to it the keys keep their meaning: Ctrl-C is a signal.
        let raw = match self.spec.tty && types {
            true => Raw::enter(),
            false => None,
        };
        let tail = Tail::default();
        let typed = Typed::default();
        let pump = {
            let (out, err) = (
                Tee::new(tokio::io::stdout(), tail.clone()),
                Tee::new(tokio::io::stderr(), tail.clone()),
            );
            let typed = typed.clone();
            async move {
                match types {
                    true => {
                        attached
                            .pump(typed.from(tokio::io::stdin()), out, err)
                            .await
                    }
                    false => attached.pump(tokio::io::empty(), out, err).await,
                }
            }
        };
        let signals = self.pass_signals(launched.key);
        tokio::pin!(pump, signals);
        let exit = waiting.exit();
        tokio::pin!(exit);
        let mut pumped = false;
        let end = loop {
            tokio::select! {
                biased;
                code = &mut exit => break End::Exit(code),
                _ = &mut pump, if !pumped => {
                    pumped = true;
                    if self.spec.tty && typed.asks_to_detach() {
                        break End::Detached;
                    }
                }
                status = &mut signals => break End::GivenUp(status),
            }
        };
        if !pumped && matches!(end, End::Exit(_)) {
            let _ = tokio::time::timeout(REST, &mut pump).await;
        }
        drop(raw);
        let code = match end {
            End::Exit(Ok(code)) => code,
            End::Exit(Err(error)) => return Err(lost(&error.to_string())),
            End::Detached => {
                complain_line(&format!("detached from {}: it goes on", launched.name));
                return Ok(0);
            }
            End::GivenUp(status) => {
                complain_line(&format!(
                    "{} takes no notice of the signals and goes on: `docker kill {}` ends it",
                    launched.name, launched.name
                ));
                return Ok(status);
            }
        };
        if code != 0 {
            self.explain(launched, code, &tail.lines()).await;
        }
        // A shell has eight bits.
        Ok((code & 0xff) as u8)
    }

    /// Passes signals on until there were enough of those that ask to end: 128 and the last one's number.
    async fn pass_signals(&self, key: ContainerKey) -> u8 {
        let mut streams =
            std::mem::take(&mut *self.signals.lock().unwrap_or_else(PoisonError::into_inner));
        let mut resized = signal(SignalKind::window_change()).ok();
        if self.spec.tty {
            self.resize(key).await;
        }
        let mut asked = 0;
        loop {
            match next_signal(&mut streams, &mut resized).await {
                Some(name) => {
                    asked += u32::from(matches!(name, "SIGINT" | "SIGTERM"));
                    if asked >= ENOUGH {
                        return if name == "SIGINT" { 130 } else { 143 };
                    }
                    // One that has just ended takes no signal; an engine that hangs must not hold the next ones.
                    let _ = tokio::time::timeout(PASSING, self.engine.kill(key, name)).await;
                }
                None if self.spec.tty => self.resize(key).await,
                None => {}
            }
        }
    }

    async fn resize(&self, key: ContainerKey) {
        if let Ok(size) = tcgetwinsize(io::stdout()) {
            let size = TerminalSize {
                columns: size.ws_col,
                rows: size.ws_row,
            };
            let _ = self.engine.resize(key, size).await;
        }
    }

    /// A known failure is explained; what the program itself said stands above it.
    async fn explain(&self, launched: &Launched, code: i64, lines: &[String]) {
        let detail = self.engine.inspect(launched.key).await.ok();
        let ended = Ended {
            exit_code: Some(code),
            oom_killed: detail.as_ref().and_then(|d| d.oom_killed),
            error: detail
                .as_ref()
                .and_then(|d| d.error.as_deref())
                .filter(|e| !e.is_empty()),
            lines,
            shm_bytes: detail.as_ref().and_then(|d| d.shm_size_bytes),
            has_gpus: !launched.gpus.is_empty(),
        };
        let Some(failure) = failures::explain(&ended) else {
            return;
        };
        complain_line(&format!(
            "{} ended with exit code {code}: {}",
            launched.name, failure.title
        ));
        if !failure.cause.is_empty() {
            complain_line(&failure.cause);
        }
        for remedy in &failure.remedy {
            complain_line(&format!("try: {remedy}"));
        }
    }
}

/// What is attached to: what `-a` names, else both outputs; the input with `-i`.
fn attaching(spec: &LaunchSpec) -> Attaching {
    let named: Vec<String> = spec
        .other
        .iter()
        .filter(|flag| flag.name == "attach")
        .map(|flag| flag.value.to_ascii_lowercase())
        .collect();
    let has = |stream: &str| named.is_empty() || named.iter().any(|name| name == stream);
    Attaching {
        stdin: spec.interactive || (!named.is_empty() && has("stdin")),
        stdout: has("stdout"),
        stderr: has("stderr"),
        tty: spec.tty,
    }
}

fn lost(why: &str) -> Problem {
    Problem {
        what: "lost sight of the container".to_owned(),
        why: why.to_owned(),
        remedy: "It may still run: see `midwatch ps`".to_owned(),
    }
}

/// The next signal by name; `None`: the terminal has another size.
async fn next_signal<'n>(
    streams: &mut [(Signal, &'n str)],
    resized: &mut Option<Signal>,
) -> Option<&'n str> {
    std::future::poll_fn(|context| {
        for (stream, name) in streams.iter_mut() {
            if let Poll::Ready(Some(())) = stream.poll_recv(context) {
                return Poll::Ready(Some(*name));
            }
        }
        match resized.as_mut().map(|stream| stream.poll_recv(context)) {
            Some(Poll::Ready(Some(()))) => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await
}

/// The terminal without its own meaning of keys, until dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The last two bytes that were typed.
#[derive(Debug, Clone, Default)]
struct Typed(Arc<Mutex<[u8; 2]>>);

impl Typed {
    fn from<R>(self, from: R) -> Typing<R> {
        Typing { from, typed: self }
    }

    fn push(&self, bytes: &[u8]) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes.iter().skip(bytes.len().saturating_sub(2)) {
            let [_, before] = *last;
            *last = [before, *byte];
        }
    }

    fn asks_to_detach(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == DETACH
    }
}

/// Reads on, and remembers what was typed last.
struct Typing<R> {
    from: R,
    typed: Typed,
}

impl<R: AsyncRead + Unpin> AsyncRead for Typing<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.from).poll_read(context, buffer);
        self.typed
            .push(buffer.filled().get(before..).unwrap_or_default());
        read
    }
}

/// The end of what was written, of both outputs.
#[derive(Debug, Clone, Default)]
struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = bytes.len().min(KEPT);
        let surplus = (kept.len() + new).saturating_sub(KEPT);
        let old = surplus.min(kept.len());
        kept.drain(..old);
        kept.extend(bytes.iter().skip(bytes.len() - new));
    }

    fn lines(&self) -> Vec<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        String::from_utf8_lossy(&bytes)
            .split(['\n', '\r'])
            .filter(|line| !line.trim().is_empty())
            .map(|line| crate::model::text::clean(line, 4096))
            .collect()
    }
}

/// Writes on, and keeps the end.
struct Tee<W> {
    to: W,
    tail: Tail,
}

impl<W> Tee<W> {
    fn new(to: W, tail: Tail) -> Self {
        Self { to, tail }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Tee<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.to).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.tail.push(bytes.get(..count).unwrap_or_default());
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::OtherFlag;

    #[test]
    fn the_keys_to_detach_are_known_however_they_come() {
        for (pieces, asks) in [
            (&[&b"ls\r\x10\x11"[..]][..], true),
            (&[&b"\x10"[..], b"\x11"], true),
            (&[&b"\x10"[..], b"x", b"\x11"], false),
            (&[&b"\x10\x11"[..], b"x"], false),
            (&[], false),
        ] {
            let typed = Typed::default();
            for piece in pieces {
                typed.push(piece);
            }
            assert_eq!(typed.asks_to_detach(), asks, "{pieces:?}");
        }
    }

    #[test]
    fn what_is_attached_to_is_what_was_asked_for() {
        let told = |names: &[&str], interactive| {
            let what = attaching(&LaunchSpec {
                interactive,
                other: names
                    .iter()
                    .map(|name| OtherFlag {
                        name: "attach".into(),
                        value: (*name).into(),
                    })
                    .collect(),
                ..LaunchSpec::default()
            });
            (what.stdin, what.stdout, what.stderr)
        };
        assert_eq!(told(&[], false), (false, true, true));
        assert_eq!(told(&[], true), (true, true, true));
        assert_eq!(told(&["STDOUT"], false), (false, true, false));
        assert_eq!(told(&["stdin", "stderr"], false), (true, false, true));
    }

    #[test]
    fn the_end_of_the_output_is_kept_and_bounded() {
        let tail = Tail::default();
        tail.push(b"one\ntwo\r 50%\r100%\n\n\x1b[31mred\x1b[0m\n");
        assert_eq!(tail.lines(), ["one", "two", "50%", "100%", "red"]);
        tail.push(&vec![b'x'; 3 * KEPT]);
        assert_eq!(tail.lines().len(), 1);
        tail.push(b"\nlast");
        assert_eq!(tail.lines().last().map(String::as_str), Some("last"));
        assert!(tail.0.lock().unwrap().len() <= KEPT);
    }
}
