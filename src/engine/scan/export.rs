//! A container's file system as it streams by: a tar, taken from the connection itself.
//!
//! An HTTP library would hand over the engine's 32 KiB chunks one by one; here a read takes what the
//! connection holds, and the coding is taken off by hand.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use tokio::io::AsyncReadExt;

use crate::engine::coding::Coding;
use crate::engine::docker::Docker;
use crate::engine::error::EngineError;
use crate::engine::transport::Upgraded;
use crate::model::ContainerKey;

/// Longest silence within an export.
pub const EXPORT_IDLE: Duration = Duration::from_secs(60);
/// Bytes asked of the connection at a time.
const READ: usize = 256 * 1024;
/// A tar ends with two blocks of zeros.
const TAR_END: usize = 1024;

/// A file system on its way. Dropped, it closes its connection, at which the engine stops.
pub struct Export {
    stream: Upgraded,
    coding: Coding,
    buffer: Vec<u8>,
    idle: Duration,
    /// The last bytes of the content.
    tail: Vec<u8>,
    over: bool,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").finish_non_exhaustive()
    }
}

impl Docker {
    /// Asks for the file system and waits for the head of the answer.
    pub(in crate::engine) async fn export(
        &self,
        key: ContainerKey,
        idle: Duration,
    ) -> Result<Export, EngineError> {
        let request = Request::get(format!("/containers/{}/export", key.id))
            .body(Full::default())
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let (head, stream) = self.transport().upgrade(request, idle).await?;
        Ok(Export {
            stream,
            coding: Coding::of(&head.headers),
            buffer: vec![0; READ],
            idle,
            tail: Vec::new(),
            over: false,
        })
    }
}

impl Export {
    /// Appends the next bytes to `out`, at most 256 KiB; `false`: that was all of it, and it is whole.
    /// Nothing is lost when this is dropped before it is ready.
    ///
    /// # Errors
    /// A silence that is too long, a connection that broke, and a file system that the engine could not read
    /// to its end: never a short success. After an error there is nothing more to read.
    pub async fn read(&mut self, out: &mut Vec<u8>) -> Result<bool, EngineError> {
        let begin = out.len();
        while !self.over && !self.coding.is_over() {
            let read = tokio::time::timeout(self.idle, self.stream.read(&mut self.buffer)).await;
            let count = match read {
                Err(_) => {
                    self.over = true;
                    return Err(EngineError::Timeout {
                        what: "the next bytes of the file system",
                        after: self.idle,
                    });
                }
                Ok(Ok(count)) => count,
                Ok(Err(error)) => {
                    self.over = true;
                    return Err(EngineError::from_io(&error));
                }
            };
            let bytes = self.buffer.get(..count).unwrap_or_default();
            if let Err(error) = self.coding.take(bytes, out) {
                self.over = true;
                return Err(error);
            }
            self.over = count == 0;
            let fresh = out.get(begin..).unwrap_or_default();
            if !fresh.is_empty() {
                keep_tail(&mut self.tail, fresh);
                return Ok(true);
            }
        }
        self.over = true;
        ended(&self.tail).map(|()| false)
    }
}

fn keep_tail(tail: &mut Vec<u8>, fresh: &[u8]) {
    let take = fresh.len().min(TAR_END);
    let excess = (tail.len() + take).saturating_sub(TAR_END);
    tail.drain(..excess.min(tail.len()));
    tail.extend_from_slice(fresh.get(fresh.len() - take..).unwrap_or_default());
}

/// Whether the content ended as a tar does. dockerd, when it fails in the middle, writes its error's JSON
/// behind what it has sent and ends the body in good order.
fn ended(tail: &[u8]) -> Result<(), EngineError> {
    if tail.len() == TAR_END && tail.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let said = tail
        .windows(2)
        .rposition(|pair| pair == b"{\"")
        .and_then(|at| tail.get(at..))
        .map(|text| EngineError::from_answer(500, text.trim_ascii()))
        .filter(|error| matches!(error, EngineError::Status { message, .. } if !message.starts_with('{')));
    Err(said.unwrap_or_else(|| EngineError::Gone("the file system ended in its middle".into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_tar_is_told_from_an_end_in_the_middle() {
        let mut tail = Vec::new();
        for piece in [&[1u8; 5000][..], &[0; 600], &[0; 423]] {
            keep_tail(&mut tail, piece);
        }
        assert_eq!(tail.len(), TAR_END);
        assert!(ended(&tail).is_err());
        keep_tail(&mut tail, &[0]);
        assert_eq!(ended(&tail), Ok(()));
        keep_tail(&mut tail, &[0; 8192]);
        assert_eq!(ended(&tail), Ok(()));
        assert!(ended(&[0; 1000]).is_err());
        keep_tail(
            &mut tail,
            b"{\"message\":\"lstat /x: input/output error\"}\n",
        );
        assert_eq!(
            ended(&tail).unwrap_err().to_string(),
            "lstat /x: input/output error"
        );
        let text = ended(b"\"{\"no json").unwrap_err().to_string();
        assert!(text.contains("in its middle"), "{text}");
    }
}
