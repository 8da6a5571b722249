//! Docker's stream framing: an 8-byte header (stream, three zeros, big-endian length), then that many
//! bytes. With a TTY there is no framing. (Docker Engine API, "Attach to a container", stream format.)
//!
//! Lengths are the sender's claim: nothing is ever reserved or kept for them. Payload is passed on as it
//! arrives, in pieces, so that a frame of 4 GiB costs 8 bytes here.

/// Which of the container's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output; everything, where the container has a TTY.
    Out,
    /// Standard error.
    Err,
}

/// A part of what a container wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// Whether it is the first of its frame: an engine sends one log message a frame. Never set for a TTY.
    pub starts: bool,
    /// At most [`MAX_PIECE`] bytes; empty only for an empty frame.
    pub bytes: &'a [u8],
}

/// The longest [`Piece`] handed on, in bytes.
pub const MAX_PIECE: usize = 64 * 1024;

const HEADER: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No framing: TTY, or the sender broke the framing.
    Raw,
    /// So many header bytes are there.
    Header(usize),
    /// Inside a payload with so many bytes to come.
    Payload {
        stream: Stream,
        left: u32,
        starts: bool,
    },
}

/// Takes a log or attach body apart, whatever its chunks' borders.
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    state: State,
    header: [u8; HEADER],
    broken: bool,
}

impl FrameDecoder {
    /// A decoder for a container with (`tty`: raw) or without a TTY (framed).
    pub fn new(tty: bool) -> Self {
        Self {
            state: if tty { State::Raw } else { State::Header(0) },
            header: [0; HEADER],
            broken: false,
        }
    }

    /// Whether a header was no header. All that follows is passed on as raw text: better to show a strange
    /// log than none.
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// Hands the payload within `bytes` to `out`.
    pub fn push(&mut self, bytes: &[u8], mut out: impl FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.state {
                State::Raw => {
                    for piece in rest.chunks(MAX_PIECE) {
                        out(Piece {
                            stream: Stream::Out,
                            starts: false,
                            bytes: piece,
                        });
                    }
                    return;
                }
                State::Header(have) => self.header(rest, have, &mut out),
                State::Payload {
                    stream,
                    left,
                    starts,
                } => {
                    let take = rest.len().min(left as usize).min(MAX_PIECE);
                    let Some((piece, rest)) = rest.split_at_checked(take) else {
                        return;
                    };
                    out(Piece {
                        stream,
                        starts,
                        bytes: piece,
                    });
                    let left = left.saturating_sub(take as u32);
                    self.state = if left == 0 {
                        State::Header(0)
                    } else {
                        State::Payload {
                            stream,
                            left,
                            starts: false,
                        }
                    };
                    rest
                }
            };
        }
    }

    fn header<'a>(
        &mut self,
        bytes: &'a [u8],
        have: usize,
        out: &mut impl FnMut(Piece<'_>),
    ) -> &'a [u8] {
        let Some((part, rest)) = bytes.split_at_checked((HEADER - have).min(bytes.len())) else {
            return &[];
        };
        for (to, from) in self.header.iter_mut().skip(have).zip(part) {
            *to = *from;
        }
        if have + part.len() < HEADER {
            self.state = State::Header(have + part.len());
            return rest;
        }
        let [kind, a, b, c, l0, l1, l2, l3] = self.header;
        // 0 is stdin (an engine echoes it as output), 3 the daemon's own errors.
        let stream = match kind {
            0 | 1 => Stream::Out,
            2 | 3 => Stream::Err,
            _ => return self.not_a_header(rest, out),
        };
        if (a, b, c) != (0, 0, 0) {
            return self.not_a_header(rest, out);
        }
        let left = u32::from_be_bytes([l0, l1, l2, l3]);
        self.state = if left == 0 {
            out(Piece {
                stream,
                starts: true,
                bytes: &[],
            });
            State::Header(0)
        } else {
            State::Payload {
                stream,
                left,
                starts: true,
            }
        };
        rest
    }

    fn not_a_header<'a>(&mut self, rest: &'a [u8], out: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        self.broken = true;
        self.state = State::Raw;
        out(Piece {
            stream: Stream::Out,
            starts: false,
            bytes: &self.header,
        });
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Joined = Vec<(Stream, bool, Vec<u8>)>;

    /// Joins pieces of one frame, so that chunk borders do not show.
    fn decode(tty: bool, chunks: &[&[u8]]) -> Joined {
        let mut decoder = FrameDecoder::new(tty);
        let mut all: Joined = Vec::new();
        for chunk in chunks {
            decoder.push(chunk, |piece| {
                assert!(piece.bytes.len() <= MAX_PIECE);
                match all.last_mut() {
                    Some((stream, _, bytes)) if !piece.starts && *stream == piece.stream => {
                        bytes.extend(piece.bytes);
                    }
                    _ => all.push((piece.stream, piece.starts, piece.bytes.to_vec())),
                }
            });
        }
        all
    }

    fn frame(kind: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend((text.len() as u32).to_be_bytes());
        bytes.extend(text);
        bytes
    }

    #[test]
    fn frames_come_out_with_their_stream() {
        let mut bytes = frame(1, b"out\n");
        bytes.extend(frame(2, b"err\n"));
        bytes.extend(frame(1, b""));
        assert_eq!(
            decode(false, &[&bytes]),
            [
                (Stream::Out, true, b"out\n".to_vec()),
                (Stream::Err, true, b"err\n".to_vec()),
                (Stream::Out, true, vec![]),
            ]
        );
    }

    #[test]
    fn a_length_that_lies_keeps_nothing_and_loses_nothing() {
        let mut bytes = vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        bytes.extend(b"text");
        let mut decoder = FrameDecoder::new(false);
        let mut seen: Vec<u8> = Vec::new();
        decoder.push(&bytes, |p| seen.extend(p.bytes));
        assert_eq!(seen, b"text");
        assert!(std::mem::size_of::<FrameDecoder>() <= 32);
    }

    #[test]
    fn what_is_no_header_is_shown_raw() {
        let mut decoder = FrameDecoder::new(false);
        let mut seen: Vec<u8> = Vec::new();
        decoder.push(b"plain text, no frames\n", |p| seen.extend(p.bytes));
        assert_eq!(seen, b"plain text, no frames\n");
        assert!(decoder.broken());
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(
            frames in prop::collection::vec((1u8..3, prop::collection::vec(any::<u8>(), 0..200)), 0..20),
            tail in prop::collection::vec(any::<u8>(), 0..64),
            size in 1usize..40,
            tty: bool,
        ) {
            let mut bytes: Vec<u8> = frames.iter().flat_map(|(k, t)| frame(*k, t)).collect();
            bytes.extend(tail);
            let whole = decode(tty, &[&bytes]);
            let parts: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(whole, decode(tty, &parts));
        }
    }
}
