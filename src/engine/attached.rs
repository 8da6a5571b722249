//! In the foreground of a container: its output here, what is typed here to it.
//!
//! A container's writes stand still when its attached client does not read (measured). So reading never waits
//! for who types, and an output that is gone (a closed pipe) is read on and dropped. An output that is slow is
//! held for, up to [`MAX_HELD`]; only beyond that does the container wait, as in any pipe, so that nothing of
//! what it wrote is lost.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::logs::Stream;
use crate::logs::frame::FrameDecoder;
use crate::model::ContainerKey;

use super::Engine;
use super::error::EngineError;
use super::transport::Upgraded;

/// For the head of the answer.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes read at a time, from the engine and from who types.
const READ: usize = 64 * 1024;
/// Bytes of output that wait for a slow reader of ours.
const MAX_HELD: usize = 16 * 1024 * 1024;

/// What of a container is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attaching {
    /// Its standard input.
    pub stdin: bool,
    /// Its standard output.
    pub stdout: bool,
    /// Its standard error.
    pub stderr: bool,
    /// Whether it has a terminal of its own: then there is one output, without frames.
    pub tty: bool,
}

/// Attached to a container. Dropped, it lets go; the container goes on.
#[derive(Debug)]
pub struct Attached {
    what: Attaching,
    stream: Upgraded,
}

impl Engine {
    /// Attaches to a container, mostly before it is started: then nothing of its output is missed.
    ///
    /// # Errors
    /// The daemon's own: 409 where it is paused, 404 where it is gone.
    pub async fn attach(
        &self,
        key: ContainerKey,
        what: Attaching,
    ) -> Result<Attached, EngineError> {
        let Self::Docker(docker) = self;
        let path = format!(
            "/containers/{}/attach?stream=1&stdin={}&stdout={}&stderr={}",
            key.id,
            u8::from(what.stdin),
            u8::from(what.stdout),
            u8::from(what.stderr)
        );
        let request = Request::post(path)
            .body(Full::default())
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let (_, stream) = docker.transport().upgrade(request, ATTACH_TIMEOUT).await?;
        Ok(Attached { what, stream })
    }
}

impl Attached {
    /// Carries bytes both ways until the container ends (or the engine lets go), and all of its output is
    /// written. The end of `stdin` is passed on, the output still counts. A `stdout` or `stderr` that cannot
    /// be written any more is written to no more, without an error: the container goes on.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn pump<I, O, E>(
        self,
        mut stdin: I,
        mut stdout: O,
        mut stderr: E,
    ) -> Result<(), EngineError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin,
        E: AsyncWrite + Unpin,
    {
        let what = self.what;
        let (mut from, mut to) = tokio::io::split(self.stream);
        let typing = async {
            let mut buffer = vec![0; READ];
            while let Ok(count) = stdin.read(&mut buffer).await {
                let typed = buffer.get(..count).unwrap_or_default();
                if typed.is_empty() {
                    break;
                }
                if to.write_all(typed).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
            // Half of the connection: the container's input ends, its output comes.
            let _ = to.shutdown().await;
        };
        tokio::pin!(typing);
        let mut types = what.stdin;
        let mut decoder = FrameDecoder::new(what.tty);
        let mut held = Held::default();
        let mut buffer = vec![0; READ];
        let mut ended = None;
        // Whether something written may still be in a buffer of ours.
        let mut unflushed = false;
        loop {
            let owed = held.first();
            let owes = owed.is_some();
            if let (false, false, Some(ended)) = (owes, unflushed, &ended) {
                return Result::clone(ended);
            }
            tokio::select! {
                read = from.read(&mut buffer), if ended.is_none() && held.bytes < MAX_HELD => match read {
                    Ok(0) => ended = Some(Ok(())),
                    Ok(count) => decoder.push(buffer.get(..count).unwrap_or_default(), |piece| {
                        held.push(piece.stream, piece.bytes);
                    }),
                    Err(error) => ended = Some(Err(EngineError::from_io(&error))),
                },
                wrote = write_or_flush(owed, &mut stdout, &mut stderr), if owes || unflushed => {
                    unflushed = owes;
                    if owes {
                        held.wrote(wrote);
                    }
                }
                () = &mut typing, if types => types = false,
            }
        }
    }
}

/// Writes some of what is owed, else sees to it that all of it is on its way. An error of writing is an output
/// that is gone.
async fn write_or_flush<O, E>(
    owed: Option<(Stream, &[u8])>,
    stdout: &mut O,
    stderr: &mut E,
) -> std::io::Result<usize>
where
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    match owed {
        Some((Stream::Out, bytes)) => stdout.write(bytes).await,
        Some((Stream::Err, bytes)) => stderr.write(bytes).await,
        None => {
            let _ = stdout.flush().await;
            let _ = stderr.flush().await;
            Ok(0)
        }
    }
}

/// Output on its way, in the order it came.
#[derive(Debug, Default)]
struct Held {
    parts: VecDeque<(Stream, Vec<u8>)>,
    /// Bytes of the first part that are written.
    done: usize,
    bytes: usize,
    out_gone: bool,
    err_gone: bool,
}

impl Held {
    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let gone = match stream {
            Stream::Out => self.out_gone,
            Stream::Err => self.err_gone,
        };
        if gone || bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.parts.back_mut() {
            Some((last, part)) if *last == stream && part.len() < READ => {
                part.extend_from_slice(bytes);
            }
            _ => self.parts.push_back((stream, bytes.to_vec())),
        }
    }

    fn first(&self) -> Option<(Stream, &[u8])> {
        let (stream, part) = self.parts.front()?;
        Some((*stream, part.get(self.done..).unwrap_or_default()))
    }

    fn wrote(&mut self, wrote: std::io::Result<usize>) {
        let Some((stream, part)) = self.parts.front() else {
            return;
        };
        match wrote {
            Ok(count) if count > 0 => {
                self.done += count;
                self.bytes = self.bytes.saturating_sub(count);
                if self.done >= part.len() {
                    self.parts.pop_front();
                    self.done = 0;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => {
                let gone = *stream;
                match gone {
                    Stream::Out => self.out_gone = true,
                    Stream::Err => self.err_gone = true,
                }
                self.done = 0;
                self.parts.retain(|(stream, _)| *stream != gone);
                self.bytes = self.parts.iter().map(|(_, part)| part.len()).sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_keeps_its_order_and_what_nobody_takes_is_dropped() {
        let mut held = Held::default();
        for (stream, text) in [
            (Stream::Out, "a"),
            (Stream::Out, "b"),
            (Stream::Err, "c"),
            (Stream::Out, "d"),
        ] {
            held.push(stream, text.as_bytes());
        }
        assert_eq!(held.bytes, 4);
        assert_eq!(held.first(), Some((Stream::Out, &b"ab"[..])));
        held.wrote(Ok(1));
        assert_eq!(held.first(), Some((Stream::Out, &b"b"[..])));
        held.wrote(Err(std::io::ErrorKind::Interrupted.into()));
        assert_eq!(held.bytes, 3);
        held.wrote(Err(std::io::ErrorKind::BrokenPipe.into()));
        assert_eq!(held.first(), Some((Stream::Err, &b"c"[..])));
        assert_eq!(held.bytes, 1);
        held.push(Stream::Out, b"e");
        held.push(Stream::Err, b"f");
        assert_eq!(held.first(), Some((Stream::Err, &b"cf"[..])));
        held.wrote(Ok(2));
        assert_eq!((held.first(), held.bytes), (None, 0));
        held.wrote(Ok(0));
    }
}
