//! An answer that comes over a long time, on a connection of its own.
//!
//! An HTTP library notices that nobody wants a body any more only when the next bytes of it come. Here the
//! connection is closed when this is dropped, and the engine stops what it does for it.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use tokio::io::AsyncReadExt;

use super::coding::Coding;
use super::docker::Docker;
use super::error::EngineError;
use super::transport::Upgraded;

/// Bytes read at a time.
const READ: usize = 16 * 1024;

/// The body of an answer, as it comes.
pub(super) struct Streamed {
    stream: Upgraded,
    coding: Coding,
    buffer: Vec<u8>,
    content: Vec<u8>,
    over: bool,
}

impl std::fmt::Debug for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed").finish_non_exhaustive()
    }
}

impl Docker {
    /// Sends a POST without a body and waits for the head of its answer.
    pub(super) async fn stream(
        &self,
        request: hyper::http::request::Builder,
        deadline: Duration,
    ) -> Result<Streamed, EngineError> {
        let request: Request<Full<bytes::Bytes>> = request
            .method(hyper::Method::POST)
            .header(hyper::header::CONNECTION, "close")
            .body(Full::default())
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let (head, stream) = self.transport().upgrade(request, deadline).await?;
        Ok(Streamed {
            stream,
            coding: Coding::of(&head.headers),
            buffer: vec![0; READ],
            content: Vec::new(),
            over: false,
        })
    }
}

impl Streamed {
    /// The next bytes; `None` at the end. Nothing is lost when this is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<&[u8], EngineError>> {
        self.content.clear();
        while !self.over && !self.coding.is_over() {
            let taken = match self.stream.read(&mut self.buffer).await {
                Ok(count) => {
                    self.over = count == 0;
                    let bytes = self.buffer.get(..count).unwrap_or_default();
                    self.coding.take(bytes, &mut self.content)
                }
                Err(error) => Err(EngineError::from_io(&error)),
            };
            if let Err(error) = taken {
                self.over = true;
                return Some(Err(error));
            }
            if !self.content.is_empty() {
                return Some(Ok(&self.content));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::transport::{Address, Transport};
    use crate::model::HostId;
    use tokio::io::AsyncWriteExt;

    /// An engine that answers so, and then says nothing until its client has gone: what it was asked.
    async fn answered(answer: &'static [u8]) -> (Docker, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
            let mut asked = Vec::new();
            stream.read_to_end(&mut asked).await.unwrap();
            String::from_utf8(asked).unwrap()
        });
        let transport = Transport::new(Address::Tcp(address));
        (Docker::new(transport, HostId(0)), serving)
    }

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_body_comes_in_pieces_and_letting_go_of_it_ends_the_connection() {
        let (docker, serving) =
            answered(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
        let mut body = docker.stream(Request::post("/x?y=1"), SOON).await.unwrap();
        assert_eq!(body.next().await, Some(Ok(&b"abc"[..])));
        drop(body);
        let asked = tokio::time::timeout(SOON, serving).await.unwrap().unwrap();
        assert!(asked.starts_with("POST /x?y=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Content-Length: 0\r\n"), "{asked}");
        assert!(!asked.contains("Upgrade"), "{asked}");
    }

    #[tokio::test]
    async fn an_end_is_told_from_a_cut() {
        let (docker, _) = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc").await;
        let mut body = docker.stream(Request::post("/"), SOON).await.unwrap();
        assert_eq!(body.next().await, Some(Ok(&b"ab"[..])));
        assert_eq!(body.next().await, None);

        let (docker, serving) =
            answered(b"HTTP/1.1 500 E\r\nContent-Length: 17\r\n\r\n{\"message\":\"odd\"}").await;
        let refused = docker.stream(Request::post("/"), SOON).await.unwrap_err();
        assert_eq!(refused.to_string(), "odd");
        drop(serving);
    }
}
