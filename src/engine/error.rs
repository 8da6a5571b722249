//! Why the engine did not do what was asked, and what the user can do about it.

use std::io;
use std::time::Duration;

use crate::model::text::clean;

/// Longest text of an engine's or a program's own that is passed on, in characters.
const MAX_TEXT: usize = 600;

/// Why the engine did not do what was asked. `Display` is one clean line with the other side's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is nothing at the endpoint: no such socket, or its host has no address.
    #[error("{0}")]
    Absent(String),
    /// The socket is there and may not be opened.
    #[error("permission denied")]
    PermissionDenied,
    /// Something is there and nobody listens.
    #[error("connection refused")]
    Refused,
    /// The connection could not be secured.
    #[error("TLS: {0}")]
    Tls(String),
    /// The system's ssh failed; the text is its own.
    #[error("ssh: {0}")]
    Ssh(String),
    /// No answer in time.
    #[error("{what} took longer than {} s", .after.as_secs_f32())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// The engine answered with an error; the text is its own.
    #[error("{message}")]
    Status {
        /// HTTP status.
        code: u16,
        /// The daemon's own text.
        message: String,
    },
    /// What came back is not what an engine says.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Gone(String),
    /// The endpoint is named wrongly, or in a way that midwatch cannot use.
    #[error("{0}")]
    Endpoint(String),
}

impl EngineError {
    /// The error of opening or using a socket.
    pub fn from_io(error: &io::Error) -> Self {
        if let Some(own) = error.get_ref().and_then(|e| e.downcast_ref::<Self>()) {
            return own.clone();
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent("no such socket".into()),
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Gone(clean(&error.to_string(), MAX_TEXT)),
        }
    }

    /// The error of an HTTP exchange.
    pub(super) fn from_hyper(error: &hyper::Error) -> Self {
        let source = std::error::Error::source(error);
        if let Some(io) = source.and_then(|e| e.downcast_ref::<io::Error>()) {
            return match io.kind() {
                io::ErrorKind::UnexpectedEof => Self::closed(),
                _ => Self::from_io(io),
            };
        }
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            return Self::closed();
        }
        let text = match source {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let text = clean(&text, MAX_TEXT);
        if error.is_parse() || error.is_user() {
            Self::Protocol(text)
        } else {
            Self::Gone(text)
        }
    }

    /// The other side ended the connection.
    pub(super) fn closed() -> Self {
        Self::Gone("the engine closed it".into())
    }

    /// The daemon's answer with a status that is not a success: its `message` where it is JSON, else its text.
    pub fn from_answer(code: u16, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Answer {
            message: String,
        }
        let message = match serde_json::from_slice::<Answer>(body) {
            Ok(answer) => clean(&answer.message, MAX_TEXT),
            Err(_) => clean(&String::from_utf8_lossy(body), MAX_TEXT),
        };
        let message = if message.is_empty() {
            format!("HTTP status {code}")
        } else {
            message
        };
        Self::Status { code, message }
    }

    /// Whether the connection rather than the request failed: the engine is gone or was never there.
    pub fn is_connection(&self) -> bool {
        !matches!(self, Self::Status { .. } | Self::Protocol(_))
    }

    /// Whether the engine said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { code: 404, .. })
    }
}
