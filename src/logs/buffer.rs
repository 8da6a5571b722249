//! The lines of a log that are held: bounded by lines and by bytes, open at both ends.
//!
//! Lines go by a number that never changes while the log is open, so that a place in the log is a number
//! whatever is added or let go. The first line appended is 0; older ones added in front are negative.

use std::collections::VecDeque;
use std::ops::Range;

use super::batch::{LINE_COST, Line, LineBatch};

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lines.
    pub lines: usize,
    /// Bytes: text, and 12 a line.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lines: 100_000,
            bytes: 8 * 1024 * 1024,
        }
    }
}

#[derive(Debug, Clone)]
struct Chunk {
    batch: LineBatch,
    /// Lines at its front that were let go.
    gone: usize,
    /// The number of its first line, gone or not.
    first: i64,
}

/// The held lines.
#[derive(Debug, Clone, Default)]
pub struct LogBuffer {
    chunks: VecDeque<Chunk>,
    spare: Option<LineBatch>,
    lines: usize,
    bytes: usize,
    limits: Limits,
    /// Lines let go at the front since the log was opened.
    evicted: u64,
}

impl LogBuffer {
    /// An empty buffer with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Lines held.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// What the held lines cost, in bytes.
    pub fn cost(&self) -> usize {
        self.bytes
    }

    /// Lines let go at the front to keep the limits.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Numbers of the held lines.
    pub fn range(&self) -> Range<i64> {
        match (self.chunks.front(), self.chunks.back()) {
            (Some(front), Some(back)) => {
                front.first + front.gone as i64..back.first + back.batch.len() as i64
            }
            _ => 0..0,
        }
    }

    /// The line of that number.
    pub fn get(&self, number: i64) -> Option<Line<'_>> {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.first <= number)
            .checked_sub(1)?;
        let chunk = self.chunks.get(at)?;
        let index = usize::try_from(number - chunk.first).ok()?;
        (index >= chunk.gone)
            .then(|| chunk.batch.get(index))
            .flatten()
    }

    /// Lines from `from` on with their numbers.
    pub fn iter_from(&self, from: i64) -> impl Iterator<Item = (i64, Line<'_>)> {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.first <= from)
            .saturating_sub(1);
        self.chunks.range(at..).flat_map(move |chunk| {
            let start = usize::try_from(from - chunk.first)
                .unwrap_or(0)
                .max(chunk.gone);
            (start..chunk.batch.len()).filter_map(move |index| {
                Some((chunk.first + index as i64, chunk.batch.get(index)?))
            })
        })
    }

    /// Adds a line at the end and lets go of what is too much at the front.
    pub fn push(&mut self, line: Line<'_>) {
        let next = self.range().end;
        let needs_chunk = self
            .chunks
            .back()
            .is_none_or(|chunk| !chunk.batch.has_room(line.text.len()));
        if needs_chunk {
            self.chunks.push_back(Chunk {
                batch: self.spare.take().unwrap_or_default(),
                gone: 0,
                first: next,
            });
        }
        if let Some(chunk) = self.chunks.back_mut()
            && chunk.batch.push(line)
        {
            self.lines += 1;
            self.bytes += line.text.len() + LINE_COST;
        }
        while self.too_much() {
            self.pop_front();
            self.evicted += 1;
        }
    }

    /// Adds older lines before the first, and lets go of what is too much at the end; says how many of
    /// the newest were let go.
    pub fn prepend(&mut self, batches: Vec<LineBatch>) -> usize {
        // Lines gone from the front chunk would leave a hole in the numbers: close it.
        if let Some(front) = self.chunks.front()
            && front.gone > 0
            && let Some(old) = self.chunks.pop_front()
        {
            let mut batch = LineBatch::default();
            for index in old.gone..old.batch.len() {
                if let Some(line) = old.batch.get(index) {
                    batch.push(line);
                }
            }
            self.chunks.push_front(Chunk {
                first: old.first + old.gone as i64,
                gone: 0,
                batch,
            });
        }
        for batch in batches.into_iter().rev().filter(|batch| !batch.is_empty()) {
            let first = self.range().start - batch.len() as i64;
            self.lines += batch.len();
            self.bytes += batch.cost();
            self.chunks.push_front(Chunk {
                batch,
                gone: 0,
                first,
            });
        }
        let mut gone = 0;
        while self.too_much() {
            self.pop_back();
            gone += 1;
        }
        gone
    }

    /// Takes the first line away (its number with it).
    pub fn pop_front(&mut self) {
        let Some(chunk) = self.chunks.front_mut() else {
            return;
        };
        let Some(line) = chunk.batch.get(chunk.gone) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(line.text.len() + LINE_COST);
        self.lines = self.lines.saturating_sub(1);
        chunk.gone += 1;
        // The last chunk stays, so that numbers go on.
        if chunk.gone >= chunk.batch.len()
            && self.chunks.len() > 1
            && let Some(mut old) = self.chunks.pop_front()
        {
            old.batch.clear();
            self.spare = Some(old.batch);
        }
    }

    /// Takes the last line away.
    pub fn pop_back(&mut self) {
        while self.chunks.len() > 1
            && self
                .chunks
                .back()
                .is_some_and(|chunk| chunk.batch.len() <= chunk.gone)
        {
            self.chunks.pop_back();
        }
        let Some(chunk) = self.chunks.back_mut() else {
            return;
        };
        if chunk.batch.len() <= chunk.gone {
            return;
        }
        if let Some(line) = chunk.batch.get(chunk.batch.len() - 1) {
            self.bytes = self.bytes.saturating_sub(line.text.len() + LINE_COST);
            self.lines = self.lines.saturating_sub(1);
        }
        chunk.batch.pop();
        if chunk.batch.len() <= chunk.gone && self.chunks.len() > 1 {
            self.chunks.pop_back();
        }
    }

    /// Lets go of everything; numbers start at 0 again.
    pub fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    /// The lines as batches, leaving the buffer empty.
    pub fn take(&mut self) -> Vec<LineBatch> {
        let mut batches = Vec::with_capacity(self.chunks.len());
        for chunk in std::mem::take(&mut self.chunks) {
            if chunk.gone == 0 {
                batches.push(chunk.batch);
                continue;
            }
            let mut batch = LineBatch::default();
            for index in chunk.gone..chunk.batch.len() {
                if let Some(line) = chunk.batch.get(index) {
                    batch.push(line);
                }
            }
            batches.push(batch);
        }
        self.clear();
        batches
    }

    fn too_much(&self) -> bool {
        self.lines > 1 && (self.lines > self.limits.lines || self.bytes > self.limits.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Stream;
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Line<'_> {
        Line {
            text,
            time: None,
            stream: Stream::Out,
            continued: false,
            note: false,
            source: 0,
        }
    }

    fn texts(buffer: &LogBuffer) -> Vec<String> {
        buffer
            .iter_from(buffer.range().start)
            .map(|(_, l)| l.text.to_owned())
            .collect()
    }

    #[test]
    fn both_bounds_hold_and_numbers_stay() {
        let mut buffer = LogBuffer::new(Limits {
            lines: 3,
            bytes: 1000,
        });
        for n in 0..5 {
            buffer.push(line(&n.to_string()));
        }
        assert_eq!(texts(&buffer), ["2", "3", "4"]);
        assert_eq!(buffer.range(), 2..5);
        assert_eq!(buffer.evicted(), 2);
        assert_eq!(buffer.get(3).unwrap().text, "3");
        assert_eq!(buffer.get(1), None);
        buffer.push(line(&"x".repeat(980)));
        assert_eq!(buffer.len(), 1);
        assert!(buffer.cost() <= 1000);
    }

    #[test]
    fn older_lines_push_out_the_newest() {
        let mut buffer = LogBuffer::new(Limits {
            lines: 4,
            bytes: 1000,
        });
        for text in ["c", "d", "e"] {
            buffer.push(line(text));
        }
        let mut batch = LineBatch::default();
        assert!(batch.push(line("a")) && batch.push(line("b")));
        assert_eq!(buffer.prepend(vec![batch]), 1);
        assert_eq!(texts(&buffer), ["a", "b", "c", "d"]);
        assert_eq!(buffer.range(), -2..2);
        assert_eq!(buffer.get(-2).unwrap().text, "a");
    }

    #[test]
    fn a_full_default_buffer_costs_what_it_says() {
        let mut buffer = LogBuffer::default();
        let text = "y".repeat(100);
        for _ in 0..300_000 {
            buffer.push(line(&text));
        }
        assert!(buffer.cost() <= 8 * 1024 * 1024);
        assert!(buffer.len() > 70_000);
        let held: usize = buffer.chunks.iter().map(|c| c.batch.cost()).sum();
        assert!(held <= 8 * 1024 * 1024 + 70 * 1024);
    }

    proptest! {
        #[test]
        fn it_is_a_deque(steps in prop::collection::vec((0u8..5, "[a-z]{0,9}"), 0..200)) {
            let mut buffer = LogBuffer::new(Limits { lines: 20, bytes: 300 });
            let mut model: VecDeque<String> = VecDeque::new();
            for (step, text) in steps {
                match step {
                    0..=1 => {
                        model.push_back(text.clone());
                        buffer.push(line(&text));
                    }
                    2 => {
                        let mut batch = LineBatch::default();
                        batch.push(line(&text));
                        buffer.prepend(vec![batch]);
                        model.push_front(text);
                        while model.len() > 20 || model.iter().map(|t| t.len() + 12).sum::<usize>() > 300 {
                            model.pop_back();
                        }
                    }
                    3 => { buffer.pop_front(); model.pop_front(); }
                    _ => { buffer.pop_back(); model.pop_back(); }
                }
                while model.len() > 20 || model.iter().map(|t| t.len() + 12).sum::<usize>() > 300 {
                    model.pop_front();
                }
                let seen = texts(&buffer);
                prop_assert_eq!(&seen, &model.iter().cloned().collect::<Vec<_>>());
                prop_assert_eq!(buffer.len(), model.len());
                prop_assert_eq!(buffer.cost(), model.iter().map(|t| t.len() + 12).sum::<usize>());
                let range = buffer.range();
                prop_assert_eq!((range.end - range.start) as usize, model.len());
            }
        }
    }
}
