//! Sockets and connections.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::answer::Line;
use crate::{Backend, Fault, Faults, Reply, Request};

/// How long an idle source or a pending answer waits before it is asked again.
pub(crate) const TICK: Duration = Duration::from_millis(5);
const MAX_HEAD: usize = 64 * 1024;

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Wire {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(s) => Self::Unix(s.try_clone()?),
            Self::Tcp(s) => Self::Tcp(s.try_clone()?),
        })
    }

    fn shutdown(&self) {
        // Failing means that it is down already.
        let _ = match self {
            Self::Unix(s) => s.shutdown(Shutdown::Both),
            Self::Tcp(s) => s.shutdown(Shutdown::Both),
        };
    }

    pub fn read_timeout(&self, after: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(s) => s.set_read_timeout(after),
            Self::Tcp(s) => s.set_read_timeout(after),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.read(buffer),
            Self::Tcp(s) => s.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(s) => s.write(bytes),
            Self::Tcp(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Lowest and highest API version served.
type Versions = ((u32, u32), (u32, u32));

pub(crate) struct Shared {
    backend: Box<dyn Backend>,
    faults: Faults,
    versions: Mutex<Option<Versions>>,
    pub stop: AtomicBool,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Wire>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    seen: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server. Dropping it ends every connection and thread and removes the socket.
pub struct FakeEngine {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    socket: Option<PathBuf>,
    port: Option<u16>,
}

impl FakeEngine {
    /// Listens at a Unix socket that does not exist yet.
    pub fn unix(path: &Path, backend: impl Backend) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        Self::start(
            Listener::Unix(listener),
            backend,
            Some(path.to_owned()),
            None,
        )
    }

    /// Listens at a free port of the loopback address.
    pub fn tcp(backend: impl Backend) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        Self::start(Listener::Tcp(listener), backend, None, Some(port))
    }

    fn start(
        listener: Listener,
        backend: impl Backend,
        socket: Option<PathBuf>,
        port: Option<u16>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            backend: Box::new(backend),
            faults: Faults::default(),
            versions: Mutex::new(None),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            workers: Mutex::default(),
            seen: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name("fake-engine".into())
            .spawn(move || accept(&listener, &own))?;
        Ok(Self {
            shared,
            acceptor: Some(acceptor),
            socket,
            port,
        })
    }

    /// The endpoint as `DOCKER_HOST` has it.
    pub fn endpoint(&self) -> String {
        match (&self.socket, self.port) {
            (Some(path), _) => format!("unix://{}", path.display()),
            (None, port) => format!("tcp://127.0.0.1:{}", port.unwrap_or(0)),
        }
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Refuses requests whose path names an API version outside of `min..=max`.
    pub fn refuse_versions(&self, min: (u32, u32), max: (u32, u32)) {
        *lock(&self.shared.versions) = Some((min, max));
    }

    /// Cuts every connection, as an engine that is killed; new ones are taken.
    pub fn cut_all(&self) {
        for wire in lock(&self.shared.open).values() {
            wire.shutdown();
        }
    }

    /// Connections now open.
    pub fn connections(&self) -> usize {
        lock(&self.shared.open).len()
    }

    /// Method and target of each request so far, in order.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.shared.seen).clone()
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        match (&self.socket, self.port) {
            (Some(path), _) => drop(UnixStream::connect(path)),
            (None, port) => drop(TcpStream::connect(("127.0.0.1", port.unwrap_or(0)))),
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.cut_all();
        let workers = std::mem::take(&mut *lock(&self.shared.workers));
        for worker in workers {
            let _ = worker.join();
        }
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn accept(listener: &Listener, shared: &Arc<Shared>) {
    loop {
        let wire = match listener {
            Listener::Unix(l) => l.accept().map(|(s, _)| Wire::Unix(s)),
            Listener::Tcp(l) => l.accept().map(|(s, _)| {
                let _ = s.set_nodelay(true);
                Wire::Tcp(s)
            }),
        };
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(wire) = wire else {
            thread::sleep(TICK);
            continue;
        };
        let Ok(twin) = wire.try_clone() else { continue };
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        lock(&shared.open).insert(number, twin);
        let own = Arc::clone(shared);
        let worker = thread::spawn(move || {
            // An error is a client that went away, or a fault that ends the connection.
            let _ = serve(wire, &own);
            // Closed, not shut down: only so does unread input reset the connection.
            lock(&own.open).remove(&number);
        });
        let mut workers = lock(&shared.workers);
        workers.retain(|w| !w.is_finished());
        workers.push(worker);
    }
}

pub(crate) fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

fn serve(mut wire: Wire, shared: &Shared) -> io::Result<()> {
    let mut ahead = Vec::new();
    loop {
        if shared.faults.has_reset() && ahead.is_empty() {
            reset_or_go_on(&mut wire, shared, &mut ahead)?;
        }
        let Some(request) = read_request(&mut wire, &mut ahead)? else {
            return Ok(());
        };
        {
            let mut seen = lock(&shared.seen);
            if seen.len() < 100_000 {
                seen.push(format!("{} {}", request.method, request.target));
            }
        }
        let fault = shared.faults.take(&request.target);
        if fault == Some(Fault::Reset) {
            return Err(gone());
        }
        let reply =
            refused_version(shared, &request).unwrap_or_else(|| shared.backend.reply(&request));
        let mut line = Line {
            wire: &mut wire,
            shared,
            head_only: request.method == "HEAD",
        };
        if !line.answer(reply, fault, &mut ahead)? {
            return Ok(());
        }
    }
}

/// Reads no more than the request line, so that closing with the rest unread resets the connection.
fn reset_or_go_on(wire: &mut Wire, shared: &Shared, ahead: &mut Vec<u8>) -> io::Result<()> {
    let mut byte = [0];
    while !ahead.ends_with(b"\r\n") && ahead.len() < MAX_HEAD {
        if wire.read(&mut byte)? == 0 {
            return Ok(());
        }
        ahead.extend(byte);
    }
    let line = String::from_utf8_lossy(ahead).into_owned();
    let target = line.split(' ').nth(1).unwrap_or_default();
    // Other faults stay for the answer to take.
    if shared.faults.has_reset() && shared.faults.take_reset(target) {
        return Err(gone());
    }
    Ok(())
}

fn refused_version(shared: &Shared, request: &Request) -> Option<Reply> {
    let ((min, max), asked) = ((*lock(&shared.versions))?, request.version?);
    let text = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    if asked < min {
        return Some(Reply::error(
            400,
            format!(
                "client version {} is too old. Minimum supported API version is {}, please upgrade your client \
                 to a newer version",
                text(asked),
                text(min)
            ),
        ));
    }
    (asked > max).then(|| {
        Reply::error(
            400,
            format!(
                "client version {} is too new. Maximum supported API version is {}",
                text(asked),
                text(max)
            ),
        )
    })
}

fn read_request(wire: &mut Wire, ahead: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let mut buffer = [0; 16 * 1024];
    let end = loop {
        if let Some(at) = find(ahead, b"\r\n\r\n") {
            break at;
        }
        if ahead.len() > MAX_HEAD {
            return Err(gone());
        }
        match wire.read(&mut buffer)? {
            0 => return Ok(None),
            n => ahead.extend(buffer.get(..n).unwrap_or_default()),
        }
    };
    let head = String::from_utf8_lossy(ahead.get(..end).unwrap_or_default()).into_owned();
    ahead.drain(..end + 4);
    let Some(mut request) = Request::parse(&head) else {
        return Err(gone());
    };
    let chunked = request
        .headers
        .get("transfer-encoding")
        .is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    let length: usize = request
        .headers
        .get("content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    loop {
        let whole = if chunked {
            unchunk(ahead)
        } else {
            (ahead.len() >= length).then(|| ahead.drain(..length).collect())
        };
        if let Some(body) = whole {
            request.body = body;
            return Ok(Some(request));
        }
        match wire.read(&mut buffer)? {
            0 => return Ok(None),
            n => ahead.extend(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Takes a whole chunked body off the front, once it is there.
fn unchunk(ahead: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = ahead.get(at..)?;
        let line = find(rest, b"\r\n")?;
        let size = String::from_utf8_lossy(rest.get(..line)?).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let data = rest.get(line + 2..line + 2 + size)?;
        rest.get(line + 2 + size..line + 4 + size)?;
        body.extend(data);
        at += line + 4 + size;
        if size == 0 {
            ahead.drain(..at);
            return Some(body);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}
