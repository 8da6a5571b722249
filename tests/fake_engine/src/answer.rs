//! Writes answers, right or wrong.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::server::{Shared, TICK, Wire, gone};
use crate::{Fault, Reply, Source, Step};

/// One answer on its way.
pub(crate) struct Line<'a> {
    pub wire: &'a mut Wire,
    pub shared: &'a Shared,
    pub head_only: bool,
}

impl Line<'_> {
    /// Answers; says whether the connection may carry another request.
    pub fn answer(
        &mut self,
        mut reply: Reply,
        fault: Option<Fault>,
        ahead: &mut Vec<u8>,
    ) -> io::Result<bool> {
        match &fault {
            Some(Fault::HangHead) => return self.hang(),
            Some(Fault::Late(after)) => self.wait(*after)?,
            Some(Fault::Nonsense) => {
                self.wire
                    .write_all(b"\x00\xff SSH-2.0-nonsense\r\n<html>\r\n\r\n")?;
                return Ok(false);
            }
            Some(Fault::WrongBody(body)) => {
                self.head(200, "application/json", Some(body.len()))?;
                self.wire.write_all(body)?;
                return Ok(true);
            }
            Some(Fault::Status(status, message)) => reply = Reply::error(*status, message),
            _ => {}
        }
        loop {
            match reply {
                Reply::Later(mut ask) => match ask() {
                    Some(now) => reply = now,
                    None => {
                        reply = Reply::Later(ask);
                        self.wait(TICK)?;
                    }
                },
                Reply::Json(status, value) => {
                    let mut body = value.to_string().into_bytes();
                    body.push(b'\n');
                    return self.whole(status, "application/json", &body, fault);
                }
                Reply::Text(status, text) => {
                    return self.whole(status, "text/plain; charset=utf-8", text.as_bytes(), fault);
                }
                Reply::Empty(status) => {
                    let none = matches!(status, 204 | 304);
                    self.head(status, "", (!none).then_some(0))?;
                    return Ok(true);
                }
                Reply::Stream(source) => return self.stream(source, fault),
                Reply::Upgrade(source) => return self.upgrade(source, fault, ahead),
            }
        }
    }

    fn head(&mut self, status: u16, kind: &str, length: Option<usize>) -> io::Result<()> {
        let reason = match status {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            304 => "Not Modified",
            400 => "Bad Request",
            404 => "Not Found",
            409 => "Conflict",
            _ => "Internal Server Error",
        };
        let mut head = format!(
            "HTTP/1.1 {status} {reason}\r\nApi-Version: 1.50\r\nDocker-Experimental: false\r\nOstype: linux\r\n\
             Server: Docker/28.2.2 (linux)\r\n"
        );
        if !kind.is_empty() {
            head += &format!("Content-Type: {kind}\r\n");
        }
        if let Some(length) = length {
            head += &format!("Content-Length: {length}\r\n");
        }
        head += "\r\n";
        self.wire.write_all(head.as_bytes())
    }

    fn whole(
        &mut self,
        status: u16,
        kind: &str,
        body: &[u8],
        fault: Option<Fault>,
    ) -> io::Result<bool> {
        self.head(status, kind, Some(body.len()))?;
        if self.head_only {
            return Ok(true);
        }
        match fault {
            Some(Fault::HangBody(n)) => {
                self.wire.write_all(body.get(..n).unwrap_or(body))?;
                self.hang()
            }
            Some(Fault::Cut(n)) => {
                self.wire.write_all(body.get(..n).unwrap_or(body))?;
                Ok(false)
            }
            Some(Fault::Slow(size, apart)) => {
                for piece in body.chunks(size.max(1)) {
                    self.wire.write_all(piece)?;
                    self.wait(apart)?;
                }
                Ok(true)
            }
            _ => {
                self.wire.write_all(body)?;
                Ok(true)
            }
        }
    }

    fn stream(&mut self, mut source: Box<dyn Source>, fault: Option<Fault>) -> io::Result<bool> {
        self.wire.write_all(
            b"HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\nContent-Type: application/octet-stream\r\n\
              Transfer-Encoding: chunked\r\n\r\n",
        )?;
        let mut left = match fault {
            Some(Fault::Cut(n) | Fault::HangBody(n)) => Some(n),
            _ => None,
        };
        if fault == Some(Fault::LyingFrame) {
            self.chunk(&[1, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, b'x', b'\n'])?;
        }
        loop {
            let data = match source.step(&[], false) {
                Step::Data(data) => data,
                Step::Idle => {
                    self.wait(TICK)?;
                    self.client_is_there()?;
                    continue;
                }
                Step::End => {
                    self.wire.write_all(b"0\r\n\r\n")?;
                    return Ok(true);
                }
            };
            match (&mut left, &fault) {
                (Some(n), _) if data.len() >= *n => {
                    self.chunk(data.get(..*n).unwrap_or(&data))?;
                    return match fault {
                        Some(Fault::HangBody(_)) => self.hang(),
                        _ => Ok(false),
                    };
                }
                (Some(n), _) => {
                    *n -= data.len();
                    self.chunk(&data)?;
                }
                (None, Some(Fault::Slow(size, apart))) => {
                    for piece in data.chunks((*size).max(1)) {
                        self.chunk(piece)?;
                        self.wait(*apart)?;
                    }
                }
                (None, _) => self.chunk(&data)?,
            }
        }
    }

    fn chunk(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
        bytes.extend(data);
        bytes.extend(b"\r\n");
        self.wire.write_all(&bytes)
    }

    fn upgrade(
        &mut self,
        mut source: Box<dyn Source>,
        fault: Option<Fault>,
        ahead: &mut Vec<u8>,
    ) -> io::Result<bool> {
        self.wire.write_all(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\
              Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        )?;
        let mut left = match fault {
            Some(Fault::Cut(n) | Fault::HangBody(n)) => Some(n),
            _ => None,
        };
        if fault == Some(Fault::LyingFrame) {
            self.wire
                .write_all(&[1, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, b'x', b'\n'])?;
        }
        self.wire.read_timeout(Some(TICK))?;
        let mut input = std::mem::take(ahead);
        let mut closed = false;
        let mut buffer = [0; 16 * 1024];
        loop {
            self.check_stop()?;
            let step = source.step(&input, closed);
            input.clear();
            match step {
                Step::Data(data) => {
                    if let Some(n) = &mut left {
                        if data.len() >= *n {
                            self.wire.write_all(data.get(..*n).unwrap_or(&data))?;
                            return match fault {
                                Some(Fault::HangBody(_)) => self.hang(),
                                _ => Ok(false),
                            };
                        }
                        *n -= data.len();
                    }
                    self.wire.write_all(&data)?;
                }
                Step::Idle if closed => self.wait(TICK)?,
                Step::Idle => match self.wire.read(&mut buffer) {
                    Ok(0) => closed = true,
                    Ok(n) => input.extend(buffer.get(..n).unwrap_or_default()),
                    Err(e) if is_timeout(&e) => {}
                    Err(e) => return Err(e),
                },
                Step::End => return Ok(false),
            }
        }
    }

    /// Ends a stream whose client went away (it sends nothing on such a connection).
    fn client_is_there(&mut self) -> io::Result<()> {
        self.wire.read_timeout(Some(Duration::from_millis(1)))?;
        let answer = match self.wire.read(&mut [0; 1]) {
            Ok(0) => Err(gone()),
            Ok(_) => Ok(()),
            Err(e) if is_timeout(&e) => Ok(()),
            Err(e) => Err(e),
        };
        self.wire.read_timeout(None)?;
        answer
    }

    /// Says nothing until the client or the test ends the connection.
    fn hang(&mut self) -> io::Result<bool> {
        self.wire.read_timeout(Some(TICK))?;
        let mut buffer = [0; 1024];
        loop {
            self.check_stop()?;
            match self.wire.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn wait(&self, time: Duration) -> io::Result<()> {
        let end = std::time::Instant::now() + time;
        loop {
            self.check_stop()?;
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(TICK));
        }
    }

    fn check_stop(&self) -> io::Result<()> {
        if self.shared.stop.load(Ordering::SeqCst) {
            return Err(gone());
        }
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
