//! Lines side by side in one piece of memory: what travels to the screen, and what a log is kept in.

use super::frame::Stream;
use super::stamp::LineTime;

/// Bytes a line costs besides its text (its end and its time).
pub const LINE_COST: usize = 12;

/// A batch takes no more text than this, in bytes.
pub const BATCH_BYTES: usize = 64 * 1024;

/// A batch takes no more lines than this.
pub const BATCH_LINES: usize = 4096;

const END: u32 = (1 << 18) - 1;
const ERR: u32 = 1 << 18;
const CONTINUED: u32 = 1 << 19;
const NOTE: u32 = 1 << 20;
const SOURCE: u32 = 24;
const NO_TIME: i64 = i64::MIN;

/// One line as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Stored text: colours as [`super::sgr`] writes them.
    pub text: &'a str,
    /// When the engine got it.
    pub time: Option<LineTime>,
    /// Which output.
    pub stream: Stream,
    /// It goes on the line before it, which was cut for its length.
    pub continued: bool,
    /// midwatch's own words (lines dropped, container restarted).
    pub note: bool,
    /// Which of the merged containers.
    pub source: u8,
}

/// Lines in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineBatch {
    text: String,
    ends: Vec<u32>,
    times: Vec<i64>,
}

impl LineBatch {
    /// Whether another line of `bytes` bytes of text may be added. A batch takes any first line.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.is_empty() || (self.text.len() + bytes <= BATCH_BYTES && self.ends.len() < BATCH_LINES)
    }

    /// Adds a line. One that finds no room, or is longer than a batch, is refused with `false`.
    pub fn push(&mut self, line: Line<'_>) -> bool {
        let end = self.text.len() + line.text.len();
        if !self.has_room(line.text.len()) || end > END as usize {
            return false;
        }
        self.text.push_str(line.text);
        let mut entry = end as u32;
        if line.stream == Stream::Err {
            entry |= ERR;
        }
        if line.continued {
            entry |= CONTINUED;
        }
        if line.note {
            entry |= NOTE;
        }
        self.ends.push(entry | u32::from(line.source) << SOURCE);
        self.times.push(line.time.map_or(NO_TIME, |time| time.0));
        true
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What they cost: text and [`LINE_COST`] a line, in bytes.
    pub fn cost(&self) -> usize {
        self.text.len() + self.ends.len() * LINE_COST
    }

    fn end(&self, index: usize) -> usize {
        self.ends
            .get(index)
            .map_or(0, |entry| (entry & END) as usize)
    }

    /// The line at `index`.
    pub fn get(&self, index: usize) -> Option<Line<'_>> {
        let entry = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.end(before));
        let time = *self.times.get(index)?;
        Some(Line {
            text: self.text.get(start..(entry & END) as usize)?,
            time: (time != NO_TIME).then_some(LineTime(time)),
            stream: if entry & ERR == 0 {
                Stream::Out
            } else {
                Stream::Err
            },
            continued: entry & CONTINUED != 0,
            note: entry & NOTE != 0,
            source: (entry >> SOURCE) as u8,
        })
    }

    /// The lines in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Line<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Takes the last line off.
    pub fn pop(&mut self) {
        self.ends.pop();
        self.times.pop();
        let end = self.len().checked_sub(1).map_or(0, |last| self.end(last));
        self.text.truncate(end);
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.times.clear();
    }
}
