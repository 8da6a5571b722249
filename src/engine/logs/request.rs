//! The questions that the log service asks an engine.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use crate::engine::coding::Coding;
use crate::engine::transport::{REQUEST_TIMEOUT, Upgraded};
use crate::engine::{Docker, Engine, EngineError};
use crate::model::{ContainerDetail, ContainerKey};

/// A quiet stream is asked after by a ping this often.
const QUIET: Duration = Duration::from_secs(20);
/// Before the first byte of a log: the engine may have to look for its tail in large files.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes read at a time.
const READ: usize = 64 * 1024;

/// Which part of a log is asked for. Engines take whole seconds for certain; more exact is filtered here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    pub follow: bool,
    /// Seconds since 1970: messages of this second or later.
    pub since: Option<i64>,
    /// Messages before or in this second.
    pub until: Option<i64>,
    /// The last so many messages alone.
    pub tail: Option<u64>,
}

/// The engine, as the log service uses it.
#[derive(Debug, Clone)]
pub struct LogEngine {
    docker: Docker,
}

impl LogEngine {
    /// Over this connection.
    pub fn new(engine: &Engine) -> Self {
        let Engine::Docker(docker) = engine;
        Self {
            docker: docker.clone(),
        }
    }

    pub(super) async fn facts(&self, key: ContainerKey) -> Result<ContainerDetail, EngineError> {
        self.docker.inspect(key).await
    }

    /// A stream for attaching; `None` where the engine is not reached over a local socket.
    pub(super) fn blocking_stream(
        &self,
    ) -> Option<std::io::Result<std::os::unix::net::UnixStream>> {
        self.docker.transport().blocking_stream()
    }

    /// Whether the engine is the simulated one, of this very process.
    pub(super) fn is_own(&self) -> bool {
        self.docker.transport().is_own()
    }

    async fn stream(&self, path: &str, deadline: Duration) -> Result<Body, EngineError> {
        let request = Request::get(path)
            .body(Full::default())
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        // The connection itself, not a body cut into its chunks: see `coding`.
        let (head, stream) = self.docker.transport().upgrade(request, deadline).await?;
        Ok(Body {
            stream,
            coding: Coding::of(&head.headers),
            buffer: vec![0; READ],
            content: Vec::new(),
            engine: self.clone(),
        })
    }

    pub(super) async fn logs(&self, key: ContainerKey, part: Part) -> Result<Body, EngineError> {
        let mut path = format!(
            "/containers/{}/logs?stdout=1&stderr=1&timestamps=1&follow={}",
            key.id,
            u8::from(part.follow)
        );
        if let Some(since) = part.since {
            path.push_str(&format!("&since={since}"));
        }
        if let Some(until) = part.until {
            path.push_str(&format!("&until={until}"));
        }
        match part.tail {
            Some(tail) => path.push_str(&format!("&tail={tail}")),
            None => path.push_str("&tail=all"),
        }
        self.stream(&path, OPEN_TIMEOUT).await
    }

    /// A stream that says something when the container starts or is removed.
    pub(super) async fn changes(&self, key: ContainerKey) -> Result<Body, EngineError> {
        let filters = format!(
            "%7B%22container%22%3A%5B%22{}%22%5D%2C%22event%22%3A%5B%22start%22%2C%22destroy%22%5D%7D",
            key.id
        );
        self.stream(&format!("/events?filters={filters}"), OPEN_TIMEOUT)
            .await
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.docker
            .transport()
            .get("/_ping", REQUEST_TIMEOUT, 4096)
            .await
            .map(|_| ())
    }
}

/// The body of an answer.
pub(super) struct Body {
    stream: Upgraded,
    coding: Coding,
    buffer: Vec<u8>,
    content: Vec<u8>,
    engine: LogEngine,
}

impl Body {
    /// The next bytes; `None` at the end. A long silence is no error while the engine answers a ping.
    /// Nothing is lost when this is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<&[u8], EngineError>> {
        self.content.clear();
        loop {
            if self.coding.is_over() {
                return None;
            }
            let read = tokio::time::timeout(QUIET, self.stream.read(&mut self.buffer)).await;
            let count = match read {
                Err(_) => match self.engine.ping().await {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                },
                Ok(Ok(count)) => count,
                Ok(Err(error)) => return Some(Err(EngineError::from_io(&error))),
            };
            if let Err(error) = self.take(count) {
                return Some(Err(error));
            }
            if count == 0 {
                return None;
            }
            if !self.content.is_empty() {
                return Some(Ok(&self.content));
            }
        }
    }

    /// The next bytes, if they are there already.
    pub fn ready(&mut self) -> Option<Result<&[u8], EngineError>> {
        use futures_util::FutureExt;
        self.next().now_or_never().flatten()
    }

    /// Takes what was read into the content; a connection's end that is not the body's is an error.
    fn take(&mut self, count: usize) -> Result<(), EngineError> {
        let bytes = self.buffer.get(..count).unwrap_or_default();
        self.coding.take(bytes, &mut self.content)
    }
}

/// The second that a moment lies in.
pub(super) fn second(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}
