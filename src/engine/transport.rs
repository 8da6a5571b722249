//! HTTP/1 to the engine over a few kept-alive connections: Unix socket, TCP, TLS, or the system's ssh.
//!
//! bollard opens a connection for every request; an engine on a slow link then pays a handshake each time,
//! and an ssh endpoint a session. This keeps up to [`MAX_IDLE`] idle connections and hands a response's own
//! connection back once its body was read to the end.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::demo::DemoHost;

use super::build::CliReach;
use super::endpoint::{Endpoint, Target};
use super::error::EngineError;
use super::ssh::SshDialer;

/// Opening a connection, its TLS handshake included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A list, an inspect, an answer of a few kilobytes.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections kept.
pub const MAX_IDLE: usize = 4;
/// An idle connection older than this is not used again.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an error's body that are read.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A boxed byte stream to the engine.
pub type BoxDuplex = Box<dyn Duplex>;

/// The future of an opened stream.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<BoxDuplex, EngineError>> + Send + 'a>>;

/// Opens byte streams to the engine in a way of its own (the system's ssh does).
pub trait Dialer: Send + Sync + std::fmt::Debug {
    /// Opens one stream.
    fn dial(&self) -> Dialing<'_>;
    /// How long one may take.
    fn timeout(&self) -> Duration;
    /// Whether the engine is this process's own.
    fn is_own(&self) -> bool {
        false
    }
    /// A blocking stream to an engine that is this process's own; `None` for one elsewhere.
    fn own(&self) -> Option<std::io::Result<std::os::unix::net::UnixStream>> {
        None
    }
}

/// Opens in-memory streams to the simulated host.
#[derive(Debug)]
struct DemoDialer(DemoHost);

impl Dialer for DemoDialer {
    fn dial(&self) -> Dialing<'_> {
        Box::pin(async { Ok(Box::new(self.0.connect()) as BoxDuplex) })
    }

    fn timeout(&self) -> Duration {
        CONNECT_TIMEOUT
    }

    fn is_own(&self) -> bool {
        true
    }

    fn own(&self) -> Option<std::io::Result<std::os::unix::net::UnixStream>> {
        Some(serve_pair(self.0.clone()))
    }
}

/// One end of a socket pair whose other end the simulated engine serves. Needs a tokio runtime.
fn serve_pair(host: DemoHost) -> std::io::Result<std::os::unix::net::UnixStream> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    let theirs = tokio::net::UnixStream::from_std(theirs)?;
    tokio::spawn(async move {
        // An error is a client that went away.
        let _ = host.serve(theirs).await;
    });
    Ok(ours)
}

/// Where connections go.
#[derive(Clone, Debug)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain HTTP over TCP: `host:port`.
    Tcp(String),
    /// TLS over TCP.
    Tls {
        /// `host:port`.
        authority: String,
        /// Whom the certificate must name.
        name: ServerName<'static>,
        /// Roots, client certificate and the way of verifying.
        config: Arc<rustls::ClientConfig>,
    },
    /// A stream made by a dialer.
    Dialed(Arc<dyn Dialer>),
}

type RequestBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
type Sender = http1::SendRequest<RequestBody>;

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

#[derive(Debug)]
struct Inner {
    address: Address,
    host: HeaderValue,
    idle: Mutex<VecDeque<Idle>>,
    /// How Docker's own command reaches it.
    cli: Option<CliReach>,
}

/// The connections to one engine; clones share them. Futures need a tokio runtime.
#[derive(Clone, Debug)]
pub struct Transport {
    inner: Arc<Inner>,
}

impl Transport {
    /// A transport without a connection yet.
    pub fn new(address: Address) -> Self {
        Self::reached(address, None)
    }

    fn reached(address: Address, cli: Option<CliReach>) -> Self {
        let host = match &address {
            Address::Tcp(authority) | Address::Tls { authority, .. } => {
                HeaderValue::from_str(authority).ok()
            }
            Address::Unix(_) | Address::Dialed(_) => None,
        };
        Self {
            inner: Arc::new(Inner {
                address,
                host: host.unwrap_or(HeaderValue::from_static("docker")),
                idle: Mutex::default(),
                cli,
            }),
        }
    }

    /// A transport to an endpoint. The error is that of its certificates.
    pub fn to(endpoint: &Endpoint) -> Result<Self, EngineError> {
        let address = match &endpoint.target {
            Target::Unix(path) => Address::Unix(path.clone()),
            Target::Tcp(authority) => Address::Tcp(authority.clone()),
            Target::Tls {
                authority,
                material,
            } => Address::Tls {
                authority: authority.clone(),
                name: super::tls::server_name(authority)?,
                config: Arc::new(material.client_config()?),
            },
            Target::Ssh(target) => Address::Dialed(Arc::new(SshDialer::to(target.clone()))),
            Target::Simulated(host) => Address::Dialed(Arc::new(DemoDialer(host.clone()))),
        };
        Ok(Self::reached(address, CliReach::to(endpoint)))
    }

    /// A blocking stream of its own to the engine, for a reader thread: over the Unix socket it goes to, or
    /// to the simulated engine; `None` for an engine that is reached in another way. Blocks shortly (a
    /// local socket's connect).
    pub fn blocking_stream(&self) -> Option<std::io::Result<std::os::unix::net::UnixStream>> {
        match &self.inner.address {
            Address::Unix(path) => Some(std::os::unix::net::UnixStream::connect(path)),
            Address::Dialed(dialer) => dialer.own(),
            _ => None,
        }
    }

    /// How Docker's own command reaches the same engine.
    pub(super) fn cli_reach(&self) -> Option<&CliReach> {
        self.inner.cli.as_ref()
    }

    /// Whether the engine is this process's own: nothing needs to prove that it is here.
    pub fn is_own(&self) -> bool {
        matches!(&self.inner.address, Address::Dialed(dialer) if dialer.is_own())
    }

    /// Sends a request and waits for the head of its answer, whatever its status, at most `deadline`;
    /// connecting, where it is needed, has its own limit. The body comes as the engine sends it: bound it with [`read_body`].
    pub async fn request(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<Response<Incoming>, EngineError> {
        self.send(request.map(boxed), deadline).await
    }

    /// As [`Self::request`], for a body of any kind (bollard's).
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<Incoming>, EngineError> {
        self.exchange(request, deadline).await
    }

    /// Sends a GET and reads its answer to the end: its body where the status is a success, else the
    /// daemon's error. `deadline` bounds the wait for the head and the reading of the body each, `limit` the
    /// body's bytes.
    pub async fn get(
        &self,
        path: &str,
        deadline: Duration,
        limit: usize,
    ) -> Result<Bytes, EngineError> {
        let request = Request::get(path)
            .body(Full::default())
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let response = self.request(request, deadline).await?;
        let response = success(response, deadline).await?;
        read_body(response.into_body(), deadline, limit).await
    }

    async fn exchange(
        &self,
        mut request: Request<RequestBody>,
        deadline: Duration,
    ) -> Result<Response<Incoming>, EngineError> {
        self.address_to_engine(&mut request)?;
        // Only a request that changes nothing may be sent again when its connection breaks before an answer.
        let again = (request.method() == Method::GET).then(|| {
            let mut copy = Request::new(boxed(Full::default()));
            copy.method_mut().clone_from(request.method());
            copy.uri_mut().clone_from(request.uri());
            copy.headers_mut().clone_from(request.headers());
            copy
        });
        while let Some(mut sender) = self.take_idle() {
            let mut failed = match within(deadline, sender.try_send_request(request)).await? {
                Ok(response) => {
                    self.keep_when_done(sender);
                    return Ok(response);
                }
                Err(failed) => failed,
            };
            if let Some(unsent) = failed.take_message() {
                // The engine had closed this connection: nothing was sent.
                request = unsent;
            } else if let Some(copy) = again.filter(|_| lost_before_answer(failed.error())) {
                request = copy;
                break;
            } else {
                return Err(EngineError::from_hyper(failed.error()));
            }
        }
        let mut sender = self.connect().await?;
        let response = within(deadline, sender.send_request(request))
            .await?
            .map_err(|e| EngineError::from_hyper(&e))?;
        self.keep_when_done(sender);
        Ok(response)
    }

    /// Gives the request the form that goes over the wire: path and query, and a `Host`.
    fn address_to_engine<B>(&self, request: &mut Request<B>) -> Result<(), EngineError> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        *request.uri_mut() = path
            .parse::<Uri>()
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        request.headers_mut().insert(HOST, self.inner.host.clone());
        Ok(())
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self
            .inner
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.retain(|c| !c.sender.is_closed() && c.since.elapsed() < IDLE_TIMEOUT);
        while let Some(kept) = idle.pop_back() {
            if kept.sender.is_ready() {
                return Some(kept.sender);
            }
        }
        None
    }

    /// Puts the connection back once the answer's body has been read; drops it when the body is dropped
    /// before (hyper then closes it).
    fn keep_when_done(&self, mut sender: Sender) {
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            if sender.ready().await.is_err() {
                return;
            }
            if let Some(inner) = inner.upgrade() {
                let mut idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < MAX_IDLE {
                    idle.push_back(Idle {
                        sender,
                        since: Instant::now(),
                    });
                }
            }
        });
    }

    async fn connect(&self) -> Result<Sender, EngineError> {
        let stream = self.open().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(128 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| EngineError::from_hyper(&e))?;
        tokio::spawn(async move {
            // Its error reaches the request in flight; an idle connection's end is of no interest.
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// Opens a byte stream to the engine, for a protocol of the caller's own.
    pub async fn open(&self) -> Result<BoxDuplex, EngineError> {
        let limit = match &self.inner.address {
            Address::Dialed(dialer) => dialer.timeout(),
            _ => CONNECT_TIMEOUT,
        };
        timeout(limit, self.dial())
            .await
            .map_err(|_| EngineError::Timeout {
                what: "connecting",
                after: limit,
            })?
    }

    async fn dial(&self) -> Result<BoxDuplex, EngineError> {
        match &self.inner.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                Ok(Box::new(stream.map_err(|e| EngineError::from_io(&e))?))
            }
            Address::Tcp(authority) => Ok(Box::new(dial_tcp(authority).await?)),
            Address::Tls {
                authority,
                name,
                config,
            } => {
                let stream = dial_tcp(authority).await?;
                let tls = tokio_rustls::TlsConnector::from(Arc::clone(config))
                    .connect(name.clone(), stream)
                    .await
                    .map_err(|e| {
                        EngineError::Tls(crate::model::text::clean(&e.to_string(), 300))
                    })?;
                Ok(Box::new(tls))
            }
            Address::Dialed(dialer) => dialer.dial().await,
        }
    }

    /// Sends a request that takes the connection over (attach, exec start) and waits for the head of the
    /// answer, at most `deadline`. Engines say 101, or 200 and then speak raw all the same; any other
    /// status is the daemon's error. The stream starts at the first byte after the head.
    pub async fn upgrade(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<(hyper::http::response::Parts, Upgraded), EngineError> {
        self.take_over(request, deadline).await
    }

    async fn take_over(
        &self,
        mut request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<(hyper::http::response::Parts, Upgraded), EngineError> {
        use tokio::io::AsyncWriteExt;
        self.address_to_engine(&mut request)?;
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let mut stream = self.open().await?;
        let head = super::upgrade::request_head(&parts, body.len());
        let talk = async {
            let write = async {
                stream.write_all(&head).await?;
                stream.write_all(&body).await?;
                stream.flush().await
            };
            write
                .await
                .map_err(|e: io::Error| EngineError::from_io(&e))?;
            super::upgrade::read_head(stream, MAX_ERROR_BODY).await
        };
        within(deadline, talk).await?
    }
}

/// Waits for the engine's answer.
async fn within<T>(deadline: Duration, answer: impl Future<Output = T>) -> Result<T, EngineError> {
    timeout(deadline, answer)
        .await
        .map_err(|_| EngineError::Timeout {
            what: "the engine's answer",
            after: deadline,
        })
}

fn boxed(body: Full<Bytes>) -> RequestBody {
    body.map_err(|never| match never {}).boxed_unsync()
}

/// The engine closed the connection that we thought idle: no byte of an answer came.
fn lost_before_answer(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}

async fn dial_tcp(authority: &str) -> Result<TcpStream, EngineError> {
    let stream = TcpStream::connect(authority).await.map_err(|e| {
        // A name without an address comes as an uncategorized error that carries the resolver's text.
        if e.raw_os_error().is_none() && e.kind() != io::ErrorKind::ConnectionRefused {
            EngineError::Absent(crate::model::text::clean(&e.to_string(), 300))
        } else {
            EngineError::from_io(&e)
        }
    })?;
    // Requests are small and answers are awaited: never wait to fill a packet.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Passes a successful answer (or 304) on; reads any other to the end as the daemon's error.
pub async fn success(
    response: Response<Incoming>,
    deadline: Duration,
) -> Result<Response<Incoming>, EngineError> {
    let status = response.status();
    if status.is_success() || status == hyper::StatusCode::NOT_MODIFIED {
        return Ok(response);
    }
    let body = read_body(response.into_body(), deadline, MAX_ERROR_BODY)
        .await
        .unwrap_or_default();
    Err(EngineError::from_answer(status.as_u16(), &body))
}

/// Reads a body to its end: at most `limit` bytes, within `deadline`.
pub async fn read_body<B>(body: B, deadline: Duration, limit: usize) -> Result<Bytes, EngineError>
where
    B: Body<Data = Bytes, Error = hyper::Error>,
{
    let whole = Limited::new(body, limit).collect();
    match timeout(deadline, whole).await {
        Err(_) => Err(EngineError::Timeout {
            what: "the engine's answer",
            after: deadline,
        }),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) => Err(match error.downcast_ref::<hyper::Error>() {
            Some(error) => EngineError::from_hyper(error),
            None => EngineError::Protocol(format!("an answer of more than {limit} bytes")),
        }),
    }
}

/// The next piece of a body's data, waited for at most `idle` where given; `None` at its end.
pub async fn next_data(
    body: &mut Incoming,
    idle: Option<Duration>,
) -> Option<Result<Bytes, EngineError>> {
    loop {
        let frame = match idle {
            None => body.frame().await,
            Some(idle) => match timeout(idle, body.frame()).await {
                Ok(frame) => frame,
                Err(_) => {
                    return Some(Err(EngineError::Timeout {
                        what: "the engine's next word",
                        after: idle,
                    }));
                }
            },
        };
        match frame? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(EngineError::from_hyper(&error))),
        }
    }
}

/// A connection taken over: first what came behind the head, then the stream.
pub struct Upgraded {
    pub(super) ahead: Bytes,
    pub(super) stream: BoxDuplex,
}

impl std::fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let n = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(n));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
