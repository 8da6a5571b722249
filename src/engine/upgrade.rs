//! The heads of a request that takes its connection over, by hand: hyper's client hands a connection over
//! on 101 only, and engines that answer 200 speak raw afterwards too.

use bytes::{Buf, BytesMut};
use hyper::Response;
use hyper::http::{request, response};
use tokio::io::AsyncReadExt;

use super::error::EngineError;
use super::transport::{BoxDuplex, Upgraded};

/// Longest head of an answer, bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The request's head with the headers that ask for the connection.
pub(super) fn request_head(parts: &request::Parts, body: usize) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", parts.method, parts.uri).into_bytes();
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if parts.method == hyper::Method::GET {
        // Read to its end by the caller; the connection serves nothing else.
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        return head;
    }
    let asks = |name| parts.headers.contains_key(name);
    if !asks(hyper::header::UPGRADE) && !asks(hyper::header::CONNECTION) {
        head.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: tcp\r\n");
    }
    head.extend_from_slice(format!("Content-Length: {body}\r\n\r\n").as_bytes());
    head
}

/// Reads the answer's head; any status but 101 and 200 is read on as the daemon's error.
pub(super) async fn read_head(
    mut stream: BoxDuplex,
    max_error: usize,
) -> Result<(response::Parts, Upgraded), EngineError> {
    let mut buffer = BytesMut::with_capacity(1024);
    let (parts, length) = loop {
        if let Some(parsed) = parse(&buffer)? {
            break parsed;
        }
        if buffer.len() > MAX_HEAD {
            return Err(EngineError::Protocol("an endless head".into()));
        }
        fill(&mut stream, &mut buffer).await?;
    };
    buffer.advance(length);
    let code = parts.status.as_u16();
    if code != 101 && code != 200 {
        return Err(refusal(&parts, stream, buffer, max_error).await);
    }
    let upgraded = Upgraded {
        ahead: buffer.freeze(),
        stream,
    };
    Ok((parts, upgraded))
}

/// Reads a refusal's body: of the told length, or in chunks, of which a small answer has one.
async fn refusal(
    parts: &response::Parts,
    mut stream: BoxDuplex,
    mut buffer: BytesMut,
    limit: usize,
) -> EngineError {
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let told = header(hyper::header::CONTENT_LENGTH).and_then(|v| v.parse::<usize>().ok());
    let chunked = header(hyper::header::TRANSFER_ENCODING).is_some();
    let told = told.unwrap_or(limit).min(limit);
    while buffer.len() < told && !(chunked && buffer.ends_with(b"0\r\n\r\n")) {
        if fill(&mut stream, &mut buffer).await.is_err() {
            break;
        }
    }
    let mut body: &[u8] = &buffer;
    if chunked {
        let begin = body.iter().position(|b| *b == b'{').unwrap_or(0);
        let end = body
            .iter()
            .rposition(|b| *b == b'}')
            .map_or(body.len(), |i| i + 1);
        body = body.get(begin..end).unwrap_or_default();
    }
    EngineError::from_answer(parts.status.as_u16(), body)
}

async fn fill(stream: &mut BoxDuplex, buffer: &mut BytesMut) -> Result<(), EngineError> {
    match stream.read_buf(buffer).await {
        Ok(0) => Err(EngineError::Gone("closed before an answer".into())),
        Ok(_) => Ok(()),
        Err(error) => Err(EngineError::from_io(&error)),
    }
}

/// Status and headers with the head's length; `None` while it is not whole.
fn parse(buffer: &[u8]) -> Result<Option<(response::Parts, usize)>, EngineError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let nonsense = |e: &dyn std::fmt::Display| EngineError::Protocol(e.to_string());
    match head.parse(buffer).map_err(|e| nonsense(&e))? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let mut response = Response::builder().status(head.code.unwrap_or(0));
            for header in head.headers.iter() {
                response = response.header(header.name, header.value);
            }
            let response = response.body(()).map_err(|e| nonsense(&e))?;
            Ok(Some((response.into_parts().0, length)))
        }
    }
}
