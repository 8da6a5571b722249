//! The questions that the log service asks an engine.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use jiff::Timestamp;

use crate::engine::transport::{self, REQUEST_TIMEOUT};
use crate::engine::{Docker, Engine, EngineError};
use crate::model::{ContainerDetail, ContainerKey};

/// A quiet stream is asked after by a ping this often.
const QUIET: Duration = Duration::from_secs(20);
/// Before the first byte of a log: the engine may have to look for its tail in large files.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

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
        let response = self.docker.transport().request(request, deadline).await?;
        let response = transport::success(response, REQUEST_TIMEOUT).await?;
        Ok(Body {
            body: response.into_body(),
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
    body: Incoming,
    engine: LogEngine,
}

impl Body {
    /// The next bytes; `None` at the end. A long silence is no error while the engine answers a ping.
    pub async fn next(&mut self) -> Option<Result<Bytes, EngineError>> {
        loop {
            match transport::next_data(&mut self.body, Some(QUIET)).await {
                Some(Err(EngineError::Timeout { .. })) => {
                    if let Err(error) = self.engine.ping().await {
                        return Some(Err(error));
                    }
                }
                other => return other,
            }
        }
    }

    /// The next bytes, if they are there already.
    pub async fn ready(&mut self) -> Option<Result<Bytes, EngineError>> {
        use futures_util::FutureExt;
        // The connection is a task of its own: one turn for it to hand over what it has.
        for turn in 0..2 {
            if turn > 0 {
                tokio::task::yield_now().await;
            }
            if let Some(Some(data)) = transport::next_data(&mut self.body, None).now_or_never() {
                return Some(data);
            }
        }
        None
    }
}

/// The second that a moment lies in.
pub(super) fn second(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_second)
}
