//! HTTP's chunked coding (RFC 9112, 7.1), taken off by hand.
//!
//! An engine sends each log line, and each 32 KiB of a file system, as a chunk of its own. An HTTP library
//! hands over each chunk by itself, which costs more than the line; here a read of many chunks is one piece
//! of work.

/// Longest line of a chunk's size and extensions, and of a trailer, in bytes.
const MAX_LINE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a size line: the size so far, whether it has a digit, whether its digits are over.
    Size {
        size: u64,
        digits: bool,
        over: bool,
    },
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    /// Behind the last chunk: bytes in this line of the trailer.
    Trailer(usize),
    Done,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body that is not chunked as it says")]
pub(super) struct NotChunked;

/// Takes the coding off a body, whatever its reads' borders.
#[derive(Debug, Clone)]
pub(super) struct Chunked {
    state: State,
    line: usize,
}

const SIZE: State = State::Size {
    size: 0,
    digits: false,
    over: false,
};

impl Chunked {
    pub fn new() -> Self {
        Self {
            state: SIZE,
            line: 0,
        }
    }

    /// Whether the body has come to its own end.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Appends the content of `bytes` to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), NotChunked> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Data(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let (data, behind) = rest.split_at_checked(take).ok_or(NotChunked)?;
                    out.extend_from_slice(data);
                    let left = left - take as u64;
                    self.state = if left == 0 {
                        State::DataEnd
                    } else {
                        State::Data(left)
                    };
                    rest = behind;
                    continue;
                }
                State::Done => return Ok(()),
                state => self.state = self.framing(state, byte)?,
            }
            rest = after;
        }
        Ok(())
    }

    fn framing(&mut self, state: State, byte: u8) -> Result<State, NotChunked> {
        self.line += 1;
        if self.line > MAX_LINE {
            return Err(NotChunked);
        }
        if byte == b'\n' {
            self.line = 0;
        }
        match state {
            State::Size { digits: false, .. } if !byte.is_ascii_hexdigit() => Err(NotChunked),
            State::Size { size, .. } if byte == b'\n' => Ok(match size {
                0 => State::Trailer(0),
                size => State::Data(size),
            }),
            State::Size {
                size, over: false, ..
            } if byte.is_ascii_hexdigit() => {
                let digit = u64::from((byte as char).to_digit(16).ok_or(NotChunked)?);
                let size = size.checked_mul(16).ok_or(NotChunked)? | digit;
                Ok(State::Size {
                    size,
                    digits: true,
                    over: false,
                })
            }
            State::Size { size, .. } => Ok(State::Size {
                size,
                digits: true,
                over: true,
            }),
            State::DataEnd if byte == b'\r' => Ok(State::DataEnd),
            State::DataEnd if byte == b'\n' => Ok(SIZE),
            State::Trailer(0) if byte == b'\n' => Ok(State::Done),
            State::Trailer(_) if byte == b'\n' => Ok(State::Trailer(0)),
            State::Trailer(count) if byte == b'\r' => Ok(State::Trailer(count)),
            State::Trailer(count) => Ok(State::Trailer(count + 1)),
            _ => Err(NotChunked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8], size: usize) -> (Vec<u8>, bool, bool) {
        let mut chunked = Chunked::new();
        let mut out = Vec::new();
        let mut good = true;
        for part in bytes.chunks(size) {
            good &= chunked.push(part, &mut out).is_ok();
            if !good {
                break;
            }
        }
        (out, chunked.is_done(), good)
    }

    #[test]
    fn chunks_extensions_and_trailers() {
        let body = b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nExpires: never\r\n\r\n";
        for size in [1, 3, 1000] {
            assert_eq!(decode(body, size), (b"Wikipedia".to_vec(), true, true));
        }
        for bad in [
            &b"\r\n"[..],
            b"zz\r\n",
            b"1\r\nab",
            b"fffffffffffffffff\r\n",
        ] {
            assert!(!decode(bad, 1000).2, "{bad:?}");
        }
        assert!(!decode(&vec![b'1'; 10_000], 1000).2);
    }

    proptest! {
        #[test]
        fn any_content_in_any_chunks_comes_back(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..10),
            size in 1usize..30,
        ) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend(format!("{:x}\r\n", part.len()).bytes());
                body.extend(part);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n\r\n");
            prop_assert_eq!(decode(&body, size), (parts.concat(), true, true));
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (out, _, _) = decode(&bytes, 7);
            prop_assert!(out.len() <= bytes.len());
        }
    }
}
