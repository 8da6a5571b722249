//! Requests and answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// `GET`…
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// API version in the path, where there is one.
    pub version: Option<(u32, u32)>,
    /// Path without the version.
    pub path: String,
    /// Query, decoded.
    pub query: BTreeMap<String, String>,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// Whether a query value is set and true.
    pub fn flag(&self, name: &str) -> bool {
        matches!(
            self.query.get(name).map(String::as_str),
            Some("1" | "true" | "True")
        )
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Reads a head (request line and headers).
    pub(crate) fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        // A proxy's form carries scheme and host before the path.
        let local = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| rest.split_at(at).1),
            None => target.as_str(),
        };
        let (path, query) = local.split_once('?').unwrap_or((local, ""));
        let (version, path) = split_version(path);
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self {
            method,
            path: decode(path),
            version,
            query,
            headers,
            body: Vec::new(),
            target,
        })
    }
}

fn split_version(path: &str) -> (Option<(u32, u32)>, &str) {
    let split = || {
        let rest = path.strip_prefix("/v")?;
        let (version, _) = rest.split_once('/')?;
        let (major, minor) = version.split_once('.')?;
        let numbers = (major.parse().ok()?, minor.parse().ok()?);
        Some((numbers, rest.strip_prefix(version)?))
    };
    match split() {
        Some((version, rest)) => (Some(version), rest),
        None => (None, path),
    }
}

/// Percent-decoding; `+` is a space.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => b'?',
                }
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a streaming answer does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These bytes.
    Data(Vec<u8>),
    /// Nothing now: it is asked again some milliseconds later.
    Idle,
    /// The end.
    End,
}

/// A body that comes bit by bit, asked from the connection's own thread. It must not block.
pub trait Source: Send {
    /// The next step. `input` is what the client sent since (upgraded connections only); `closed` says that
    /// it will send no more.
    fn step(&mut self, input: &[u8], closed: bool) -> Step;
}

impl<F: FnMut(&[u8], bool) -> Step + Send> Source for F {
    fn step(&mut self, input: &[u8], closed: bool) -> Step {
        self(input, closed)
    }
}

/// An answer.
pub enum Reply {
    /// JSON with this status.
    Json(u16, Value),
    /// Plain text with this status.
    Text(u16, String),
    /// This status and no body.
    Empty(u16),
    /// 200 and a chunked body, without or with end.
    Stream(Box<dyn Source>),
    /// 101 and then raw bytes both ways.
    Upgrade(Box<dyn Source>),
    /// Not yet: asked again until it gives an answer.
    Later(Box<dyn FnMut() -> Option<Reply> + Send>),
}

impl Reply {
    /// The daemon's error.
    pub fn error(status: u16, message: impl Into<String>) -> Self {
        Self::Json(status, json!({"message": message.into()}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let head = "GET /v1.41/containers/json?all=1&filters=%7B%22a%22%3A%5B%5D%7D HTTP/1.1\r\nHost: x\r\n";
        let request = Request::parse(head).unwrap();
        assert_eq!(request.path, "/containers/json");
        assert_eq!(request.version, Some((1, 41)));
        assert!(request.flag("all"));
        assert_eq!(request.query["filters"], "{\"a\":[]}");
        assert_eq!(request.headers["host"], "x");
        let proxied = Request::parse("GET http://h:1/volumes HTTP/1.1\r\n").unwrap();
        assert_eq!(proxied.path, "/volumes");
        assert_eq!(Request::parse("GET"), None);
    }
}
