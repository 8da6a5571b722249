//! An engine behind `ssh://`: the system's own ssh, so that its configuration, agent, ports and jump hosts
//! all count.
//!
//! One master connection carries up to [`CHANNELS`] channels, each of which runs `docker system dial-stdio`
//! on the far side, as the docker command does. A forwarded socket (`-L`) would save a process per channel,
//! but it needs to know where the engine's socket is (rootless engines have theirs elsewhere), and servers
//! may forbid forwarding; `dial-stdio` asks the far side's own docker, with the rights of the user there.
//!
//! The master runs a small command that ends when our end of its input closes: however this process ends,
//! no ssh stays behind.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, oneshot};

use crate::model::text::clean;

use super::error::EngineError;
use super::transport::{BoxDuplex, Dialer, Dialing};

/// Channels that one master carries; sshd's `MaxSessions` is 10 by default, and the master needs one.
const CHANNELS: usize = 8;
/// What ssh is told to wait for a connection, seconds.
const CONNECT_SECONDS: u32 = 10;
/// The whole of connecting and logging in, over jump hosts too.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);
/// The word by which the far side says that the login is done.
const READY: &str = "midwatch-ready";

/// Where ssh goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTarget {
    /// Login name; else ssh's own choice.
    pub user: Option<String>,
    /// Host name, or a `Host` of ssh's configuration.
    pub host: String,
    /// Port; else ssh's own choice.
    pub port: Option<u16>,
    /// The engine's socket on the far side; else what docker there uses.
    pub socket: Option<String>,
}

impl SshTarget {
    /// Reads what stands behind `ssh://`: `[user@]host[:port][/path/to/docker.sock]`.
    pub(super) fn parse(rest: &str) -> Result<Self, String> {
        let shown = || clean(rest, 200);
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            // Not shown again: it is a secret.
            return Err(
                "a password in an ssh address is not supported: use a key or an agent".into(),
            );
        }
        let (host, port) = match address.strip_prefix('[') {
            Some(inner) => match inner.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, after)) => (host, Some(after.trim_start_matches(':'))),
                None => return Err(format!("not [USER@]HOST[:PORT]: {}", shown())),
            },
            None => match address.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(
                port.parse::<u16>()
                    .map_err(|_| format!("not a port: {}", clean(port, 40)))?,
            ),
        };
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        if !plain(host) || !user.is_none_or(plain) {
            return Err(format!("not [USER@]HOST[:PORT]: {}", shown()));
        }
        Ok(Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            socket: Some(path.to_owned()).filter(|p| p.len() > 1),
        })
    }
}

impl fmt::Display for SshTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", clean(user, 64))?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", clean(&self.host, 255))?,
            false => f.write_str(&clean(&self.host, 255))?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&clean(self.socket.as_deref().unwrap_or_default(), 512))
    }
}

/// A folder for control sockets that nobody else may enter, removed when dropped.
#[derive(Debug)]
struct PrivateDir(PathBuf);

impl PrivateDir {
    fn new(parent: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("midwatch-{}-{n}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process of the same number that was killed, or someone else's: take another.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 1000 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A connection that others share.
#[derive(Debug)]
struct Master {
    child: Child,
    /// Closing it ends the far side's command, and so the master.
    _input: ChildStdin,
    control: PathBuf,
    /// Counts the channels: each holds a clone.
    channels: Arc<()>,
}

/// Opens channels to one host.
#[derive(Debug)]
pub(super) struct SshDialer {
    target: SshTarget,
    program: OsString,
    /// Where the folder of control sockets is made.
    parent: PathBuf,
    masters: Mutex<Masters>,
}

#[derive(Debug, Default)]
struct Masters {
    // Before the folder: dropped first.
    running: Vec<Master>,
    dir: Option<PrivateDir>,
    made: u32,
}

impl SshDialer {
    /// A dialer that runs `program` (normally `ssh`); nothing is started yet.
    pub(super) fn new(target: SshTarget, program: OsString, parent: PathBuf) -> Self {
        Self {
            target,
            program,
            parent,
            masters: Mutex::default(),
        }
    }

    /// With the system's ssh, and control sockets in the user's runtime folder, else in the temporary one.
    pub(super) fn to(target: SshTarget) -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        // A socket's path has at most 104 bytes on some systems, and ssh adds 17 of its own while it makes one.
        let short = |dir: &PathBuf| dir.is_dir() && dir.as_os_str().len() < 50;
        let parent = runtime
            .filter(short)
            .or_else(|| Some(std::env::temp_dir()).filter(short))
            .unwrap_or_else(|| "/tmp".into());
        Self::new(target, "ssh".into(), parent)
    }

    /// What both kinds of call begin with. Nothing of the user's configuration may turn a channel into
    /// something else (forwardings, a command, a terminal), and nothing may ask a question.
    fn command(&self, control: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-S").arg(control);
        let connect = format!("ConnectTimeout={CONNECT_SECONDS}");
        for option in [
            "BatchMode=yes",
            connect.as_str(),
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            "ClearAllForwardings=yes",
            "ForwardAgent=no",
            "ForwardX11=no",
            "PermitLocalCommand=no",
            "RemoteCommand=none",
            "RequestTTY=no",
            "ControlPersist=no",
        ] {
            command.arg("-o").arg(option);
        }
        if let Some(user) = &self.target.user {
            command.arg("-l").arg(user);
        }
        if let Some(port) = self.target.port {
            command.arg("-p").arg(port.to_string());
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Keys and hang-ups of our terminal are for us.
            .process_group(0);
        command
    }

    fn spawn(&self, command: &mut Command) -> Result<Child, EngineError> {
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                EngineError::Ssh("there is no ssh program on the PATH".into())
            }
            _ => EngineError::Ssh(clean(&error.to_string(), 300)),
        })
    }

    async fn start_master(&self, control: PathBuf) -> Result<Master, EngineError> {
        let mut command = self.command(&control);
        command
            .args(["-M", "-T", "--"])
            .arg(&self.target.host)
            .arg(format!("echo {READY}; cat >/dev/null"));
        let mut child = self.spawn(&mut command)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(EngineError::Ssh("its pipes are missing".into()));
        };
        let told = gather(errors);
        let mut lines = BufReader::new(output.take(64 * 1024)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // Shells that print a greeting do so before.
            if line.trim() == READY {
                return Ok(Master {
                    child,
                    _input: input,
                    control,
                    channels: Arc::default(),
                });
            }
        }
        drop(input);
        Err(EngineError::Ssh(own_words(told, &mut child).await))
    }

    /// A master with room for one more channel.
    async fn master(&self) -> Result<(PathBuf, Arc<()>), EngineError> {
        let mut masters = self.masters.lock().await;
        masters
            .running
            .retain_mut(|master| matches!(master.child.try_wait(), Ok(None)));
        let free = masters
            .running
            .iter()
            .find(|m| Arc::strong_count(&m.channels) <= CHANNELS);
        if let Some(master) = free {
            return Ok((master.control.clone(), Arc::clone(&master.channels)));
        }
        let dir = match &masters.dir {
            Some(dir) => dir.0.clone(),
            None => {
                let dir = PrivateDir::new(&self.parent).map_err(|e| {
                    EngineError::Ssh(clean(&format!("{}: {e}", self.parent.display()), 300))
                })?;
                masters.dir.insert(dir).0.clone()
            }
        };
        let control = dir.join(masters.made.to_string());
        masters.made = masters.made.wrapping_add(1);
        let master = self.start_master(control).await?;
        let given = (master.control.clone(), Arc::clone(&master.channels));
        masters.running.push(master);
        Ok(given)
    }

    async fn channel(&self) -> Result<BoxDuplex, EngineError> {
        let (control, seat) = self.master().await?;
        let mut command = self.command(&control);
        command
            .args(["-o", "ControlMaster=no", "-T", "--"])
            .arg(&self.target.host);
        match &self.target.socket {
            None => command.args(["docker", "system", "dial-stdio"]),
            Some(path) => {
                let host = quoted(&format!("unix://{path}"));
                command.args(["docker", "--host", &host, "system", "dial-stdio"])
            }
        };
        let mut child = self.spawn(&mut command)?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(EngineError::Ssh("its pipes are missing".into()));
        };
        Ok(Box::new(Channel {
            input: Some(input),
            output,
            told: gather(errors),
            spoken: false,
            _child: child,
            _seat: seat,
        }))
    }
}

impl Dialer for SshDialer {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(self.channel())
    }

    fn timeout(&self) -> Duration {
        LOGIN_TIMEOUT
    }
}

/// One word for the far side's shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Reads what a program says on its error output, at most 4 KiB, to its end.
fn gather(errors: ChildStderr) -> oneshot::Receiver<String> {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let mut text = Vec::new();
        let mut errors = errors.take(4096);
        let _ = errors.read_to_end(&mut text).await;
        let _ = tell.send(String::from_utf8_lossy(&text).into_owned());
        // Whoever still writes must not stand still.
        let _ = tokio::io::copy(&mut errors.into_inner(), &mut tokio::io::sink()).await;
    });
    told
}

/// ssh's last words, else its exit status.
async fn own_words(told: oneshot::Receiver<String>, child: &mut Child) -> String {
    let text = tokio::time::timeout(Duration::from_secs(2), told).await;
    let text = match text {
        Ok(Ok(text)) => clean(&text, 300),
        _ => String::new(),
    };
    if !text.is_empty() {
        return text;
    }
    match tokio::time::timeout(Duration::from_secs(2), child.wait()).await {
        Ok(Ok(status)) => format!("it ended with {status} and said nothing"),
        _ => "the login was not finished".into(),
    }
}

/// One channel: the far docker's input and output.
struct Channel {
    /// `None` once it is at its end: a child's input ends when it is dropped, not at a shutdown.
    input: Option<ChildStdin>,
    output: ChildStdout,
    told: oneshot::Receiver<String>,
    spoken: bool,
    _child: Child,
    _seat: Arc<()>,
}

impl Channel {
    /// It ended without an answer: why stands on its error output; else `otherwise`.
    fn poll_last_words<T>(
        &mut self,
        cx: &mut Context<'_>,
        otherwise: io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(told) = Pin::new(&mut self.told).poll(cx) else {
            return Poll::Pending;
        };
        self.spoken = true;
        let text = clean(&told.unwrap_or_default(), 300);
        Poll::Ready(match text.is_empty() {
            true => otherwise,
            false => Err(io::Error::other(EngineError::Ssh(text))),
        })
    }

    fn or_last_words<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(error)) if !self.spoken => self.poll_last_words(cx, Err(error)),
            other => other,
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.output).poll_read(cx, buf);
        match read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                self.spoken = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) if !self.spoken => self.poll_last_words(cx, Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.input {
            Some(input) => Pin::new(input).poll_write(cx, data),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        self.or_last_words(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        };
        self.or_last_words(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
