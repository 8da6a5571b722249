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

use crate::{Backend, Fault, Faults, Reply, Request, Source, Step};

/// How long an idle source or a pending answer waits before it is asked again.
const TICK: Duration = Duration::from_millis(5);
const MAX_HEAD: usize = 64 * 1024;

/// A connection of either kind.
#[derive(Debug)]
enum Wire {
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

    fn read_timeout(&self, after: Option<Duration>) -> io::Result<()> {
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

struct Shared {
    backend: Box<dyn Backend>,
    faults: Faults,
    versions: Mutex<Option<Versions>>,
    stop: AtomicBool,
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
            if let Some(twin) = lock(&own.open).remove(&number) {
                twin.shutdown();
            }
        });
        let mut workers = lock(&shared.workers);
        workers.retain(|w| !w.is_finished());
        workers.push(worker);
    }
}

fn gone() -> io::Error {
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

struct Line<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    head_only: bool,
}

impl Line<'_> {
    /// Answers; says whether the connection may carry another request.
    fn answer(
        &mut self,
        mut reply: Reply,
        fault: Option<Fault>,
        ahead: &mut Vec<u8>,
    ) -> io::Result<bool> {
        match &fault {
            Some(Fault::HangHead) => return self.hang(),
            Some(Fault::Late(after)) => self.wait(*after)?,
            Some(Fault::Nonsense) => {
                self.wire
                    .write_all(b"\x00\xff SSH-2.0-nonsense\r\n<html>\r\n\r\n")?;
                return Ok(false);
            }
            Some(Fault::WrongBody(body)) => {
                self.head(200, "application/json", Some(body.len()))?;
                self.wire.write_all(body)?;
                return Ok(true);
            }
            Some(Fault::Status(status, message)) => reply = Reply::error(*status, message),
            _ => {}
        }
        loop {
            match reply {
                Reply::Later(mut ask) => match ask() {
                    Some(now) => reply = now,
                    None => {
                        reply = Reply::Later(ask);
                        self.wait(TICK)?;
                    }
                },
                Reply::Json(status, value) => {
                    let mut body = value.to_string().into_bytes();
                    body.push(b'\n');
                    return self.whole(status, "application/json", &body, fault);
                }
                Reply::Text(status, text) => {
                    return self.whole(status, "text/plain; charset=utf-8", text.as_bytes(), fault);
                }
                Reply::Empty(status) => {
                    let none = matches!(status, 204 | 304);
                    self.head(status, "", (!none).then_some(0))?;
                    return Ok(true);
                }
                Reply::Stream(source) => return self.stream(source, fault),
                Reply::Upgrade(source) => return self.upgrade(source, fault, ahead),
            }
        }
    }

    fn head(&mut self, status: u16, kind: &str, length: Option<usize>) -> io::Result<()> {
        let reason = match status {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            304 => "Not Modified",
            400 => "Bad Request",
            404 => "Not Found",
            409 => "Conflict",
            _ => "Internal Server Error",
        };
        let mut head = format!(
            "HTTP/1.1 {status} {reason}\r\nApi-Version: 1.50\r\nDocker-Experimental: false\r\nOstype: linux\r\n\
             Server: Docker/28.2.2 (linux)\r\n"
        );
        if !kind.is_empty() {
            head += &format!("Content-Type: {kind}\r\n");
        }
        if let Some(length) = length {
            head += &format!("Content-Length: {length}\r\n");
        }
        head += "\r\n";
        self.wire.write_all(head.as_bytes())
    }

    fn whole(
        &mut self,
        status: u16,
        kind: &str,
        body: &[u8],
        fault: Option<Fault>,
    ) -> io::Result<bool> {
        self.head(status, kind, Some(body.len()))?;
        if self.head_only {
            return Ok(true);
        }
        match fault {
            Some(Fault::HangBody(n)) => {
                self.wire.write_all(body.get(..n).unwrap_or(body))?;
                self.hang()
            }
            Some(Fault::Cut(n)) => {
                self.wire.write_all(body.get(..n).unwrap_or(body))?;
                Ok(false)
            }
            Some(Fault::Slow(size, apart)) => {
                for piece in body.chunks(size.max(1)) {
                    self.wire.write_all(piece)?;
                    self.wait(apart)?;
                }
                Ok(true)
            }
            _ => {
                self.wire.write_all(body)?;
                Ok(true)
            }
        }
    }

    fn stream(&mut self, mut source: Box<dyn Source>, fault: Option<Fault>) -> io::Result<bool> {
        self.wire.write_all(
            b"HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nContent-Type: application/octet-stream\r\n\
              Transfer-Encoding: chunked\r\n\r\n",
        )?;
        let mut left = match fault {
            Some(Fault::Cut(n) | Fault::HangBody(n)) => Some(n),
            _ => None,
        };
        if fault == Some(Fault::LyingFrame) {
            self.chunk(&[1, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, b'x', b'\n'])?;
        }
        loop {
            let data = match source.step(&[], false) {
                Step::Data(data) => data,
                Step::Idle => {
                    self.wait(TICK)?;
                    self.client_is_there()?;
                    continue;
                }
                Step::End => {
                    self.wire.write_all(b"0\r\n\r\n")?;
                    return Ok(true);
                }
            };
            match (&mut left, &fault) {
                (Some(n), _) if data.len() >= *n => {
                    self.chunk(data.get(..*n).unwrap_or(&data))?;
                    return match fault {
                        Some(Fault::HangBody(_)) => self.hang(),
                        _ => Ok(false),
                    };
                }
                (Some(n), _) => {
                    *n -= data.len();
                    self.chunk(&data)?;
                }
                (None, Some(Fault::Slow(size, apart))) => {
                    for piece in data.chunks((*size).max(1)) {
                        self.chunk(piece)?;
                        self.wait(*apart)?;
                    }
                }
                (None, _) => self.chunk(&data)?,
            }
        }
    }

    fn chunk(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
        bytes.extend(data);
        bytes.extend(b"\r\n");
        self.wire.write_all(&bytes)
    }

    fn upgrade(
        &mut self,
        mut source: Box<dyn Source>,
        fault: Option<Fault>,
        ahead: &mut Vec<u8>,
    ) -> io::Result<bool> {
        self.wire.write_all(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
              Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        )?;
        let mut left = match fault {
            Some(Fault::Cut(n) | Fault::HangBody(n)) => Some(n),
            _ => None,
        };
        if fault == Some(Fault::LyingFrame) {
            self.wire
                .write_all(&[1, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, b'x', b'\n'])?;
        }
        self.wire.read_timeout(Some(TICK))?;
        let mut input = std::mem::take(ahead);
        let mut closed = false;
        let mut buffer = [0; 16 * 1024];
        loop {
            self.check_stop()?;
            let step = source.step(&input, closed);
            input.clear();
            match step {
                Step::Data(data) => {
                    if let Some(n) = &mut left {
                        if data.len() >= *n {
                            self.wire.write_all(data.get(..*n).unwrap_or(&data))?;
                            return match fault {
                                Some(Fault::HangBody(_)) => self.hang(),
                                _ => Ok(false),
                            };
                        }
                        *n -= data.len();
                    }
                    self.wire.write_all(&data)?;
                }
                Step::Idle if closed => self.wait(TICK)?,
                Step::Idle => match self.wire.read(&mut buffer) {
                    Ok(0) => closed = true,
                    Ok(n) => input.extend(buffer.get(..n).unwrap_or_default()),
                    Err(e) if is_timeout(&e) => {}
                    Err(e) => return Err(e),
                },
                Step::End => return Ok(false),
            }
        }
    }

    /// Ends a stream whose client went away (it sends nothing on such a connection).
    fn client_is_there(&mut self) -> io::Result<()> {
        self.wire.read_timeout(Some(Duration::from_millis(1)))?;
        let answer = match self.wire.read(&mut [0; 1]) {
            Ok(0) => Err(gone()),
            Ok(_) => Ok(()),
            Err(e) if is_timeout(&e) => Ok(()),
            Err(e) => Err(e),
        };
        self.wire.read_timeout(None)?;
        answer
    }

    /// Says nothing until the client or the test ends the connection.
    fn hang(&mut self) -> io::Result<bool> {
        self.wire.read_timeout(Some(TICK))?;
        let mut buffer = [0; 1024];
        loop {
            self.check_stop()?;
            match self.wire.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn wait(&self, time: Duration) -> io::Result<()> {
        let end = std::time::Instant::now() + time;
        loop {
            self.check_stop()?;
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(TICK));
        }
    }

    fn check_stop(&self) -> io::Result<()> {
        if self.shared.stop.load(Ordering::SeqCst) {
            return Err(gone());
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
