//! The unfinished line of an attached container: the end of what it writes, nothing else is kept.

use super::assemble::{Assembled, Assembler};
use super::command::LiveLine;
use super::frame::{FrameDecoder, Stream};

/// Of a piece that came in a flood only so much of its end is read, in bytes.
const HURRIED: usize = 4 * 1024;

#[derive(Debug, Clone, Default)]
struct Tail {
    assembler: Assembler,
    /// The last line that ended.
    last: String,
    /// Whether a line's beginning was seen.
    synced: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let Self {
            assembler,
            last,
            synced,
        } = self;
        assembler.push(bytes, &mut |line: Assembled<'_>| {
            if !line.continued {
                last.clear();
                last.push_str(line.text);
            }
            *synced = true;
        });
        *synced |= assembler.rewrote();
    }
}

/// Follows an attach stream.
#[derive(Debug, Clone)]
pub struct LiveTail {
    decoder: FrameDecoder,
    out: Tail,
    err: Tail,
    newest: Stream,
    source: u8,
    skipped: u64,
}

impl LiveTail {
    /// For a container with or without a TTY.
    pub fn new(tty: bool, source: u8) -> Self {
        Self {
            decoder: FrameDecoder::new(tty),
            out: Tail::default(),
            err: Tail::default(),
            newest: Stream::Out,
            source,
            skipped: 0,
        }
    }

    /// Bytes that were passed over to keep up.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes bytes. When `hurried`, text that cannot matter for the last line is passed over.
    pub fn push(&mut self, bytes: &[u8], hurried: bool) {
        let Self {
            decoder,
            out,
            err,
            newest,
            skipped,
            ..
        } = self;
        decoder.push(bytes, |piece| {
            if piece.bytes.is_empty() {
                return;
            }
            let tail = match piece.stream {
                Stream::Out => &mut *out,
                Stream::Err => &mut *err,
            };
            *newest = piece.stream;
            let over = piece.bytes.len().saturating_sub(HURRIED);
            match piece.bytes.get(over..) {
                Some(end) if hurried && over > 0 => {
                    *skipped += over as u64;
                    *tail = Tail::default();
                    tail.push(end);
                }
                _ => tail.push(piece.bytes),
            }
        });
    }

    /// The line as it stands.
    pub fn line(&self) -> LiveLine {
        let (newest, other) = match self.newest {
            Stream::Out => (&self.out, &self.err),
            Stream::Err => (&self.err, &self.out),
        };
        for tail in [newest, other] {
            let mut text = String::new();
            tail.assembler.unfinished(&mut text);
            if !text.trim().is_empty() {
                return LiveLine {
                    source: self.source,
                    text,
                    partial: !tail.synced,
                    finished: false,
                };
            }
        }
        LiveLine {
            source: self.source,
            text: newest.last.clone(),
            partial: !newest.synced,
            finished: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tail: &LiveTail) -> (String, bool, bool) {
        let line = tail.line();
        (line.text, line.finished, line.partial)
    }

    #[test]
    fn a_bar_moves_and_ends() {
        let mut tail = LiveTail::new(true, 0);
        tail.push(b"alf a line", false);
        assert_eq!(shown(&tail), ("alf a line".into(), false, true));
        tail.push(b"\r 1%", false);
        assert_eq!(shown(&tail), (" 1% a line".into(), false, false));
        tail.push(b"\n\r 2%", false);
        assert_eq!(shown(&tail), (" 2%".into(), false, false));
        tail.push(b"\r 3%\r\n", false);
        assert_eq!(shown(&tail), (" 3%".into(), true, false));
    }

    #[test]
    fn a_flood_is_passed_over_but_for_its_end() {
        let mut tail = LiveTail::new(true, 0);
        let mut flood = "y\n".repeat(40_000).into_bytes();
        flood.extend(b"end");
        tail.push(&flood, true);
        assert_eq!(shown(&tail), ("end".into(), false, false));
        assert!(tail.skipped() > 70_000);
    }

    #[test]
    fn standard_error_has_its_own_line() {
        let mut tail = LiveTail::new(false, 0);
        let frame = |kind: u8, text: &str| {
            let mut bytes = vec![kind, 0, 0, 0, 0, 0, 0, text.len() as u8];
            bytes.extend(text.as_bytes());
            bytes
        };
        tail.push(&frame(2, "\r 50%"), false);
        tail.push(&frame(1, "printed\n"), false);
        assert_eq!(shown(&tail).0, " 50%");
    }
}
