//! How an answer's body is told from the bytes of its connection: in chunks, by length, or to the end.

use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use super::chunked::Chunked;
use super::error::EngineError;

/// How a body's end is told.
#[derive(Debug)]
pub(super) enum Coding {
    /// In chunks.
    Chunked(Chunked),
    /// So many bytes are to come.
    Length(u64),
    /// With the connection.
    Close,
}

impl Coding {
    /// What the head of the answer says.
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(TRANSFER_ENCODING) {
            return Self::Chunked(Chunked::new());
        }
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok()?.parse().ok());
        length.map_or(Self::Close, Self::Length)
    }

    /// Whether the body has come to its own end.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Chunked(chunked) => chunked.is_done(),
            Self::Length(left) => *left == 0,
            Self::Close => false,
        }
    }

    /// Appends the content of what was read to `content`. No bytes are the connection's end: an error where
    /// it is not the body's.
    pub fn take(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<(), EngineError> {
        match self {
            Self::Close => content.extend_from_slice(bytes),
            _ if bytes.is_empty() => {
                return Err(EngineError::Gone("cut in the middle of an answer".into()));
            }
            Self::Chunked(chunked) => chunked
                .push(bytes, content)
                .map_err(|error| EngineError::Protocol(error.to_string()))?,
            Self::Length(left) => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= take as u64;
                content.extend_from_slice(bytes.get(..take).unwrap_or_default());
            }
        }
        Ok(())
    }
}
