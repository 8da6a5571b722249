//! One container's log body to lines: frames, times, text; and where to begin and end in it.

use super::assemble::{Assembled, Assembler};
use super::batch::{Line, LineBatch};
use super::buffer::{Limits, LogBuffer};
use super::command::Place;
use super::frame::{FrameDecoder, Stream};
use super::stamp::{LineTime, Stamped, Stamps};

/// From where lines are taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// From the first.
    Nothing,
    /// From the one after this place: the engine's `since` counts whole seconds (Podman) or takes the
    /// second for exact, so what was read before comes again.
    Through(Place),
}

#[derive(Debug, Clone)]
struct Output {
    stream: Stream,
    stamps: Stamps,
    assembler: Assembler,
    time: Option<LineTime>,
}

impl Output {
    fn new(stream: Stream, framed: bool) -> Self {
        Self {
            stream,
            stamps: Stamps::new(framed),
            assembler: Assembler::default(),
            time: None,
        }
    }

    fn feed(&mut self, event: Stamped<'_>, messages: &mut u64, out: &mut impl FnMut(Line<'_>)) {
        match event {
            Stamped::Begin(time) => {
                *messages += 1;
                if self.assembler.is_empty() || self.time.is_none() {
                    self.time = time;
                }
            }
            Stamped::Text(bytes) => {
                let (stream, time) = (self.stream, self.time);
                self.assembler
                    .push(bytes, &mut |line| out(stamped(line, stream, time)));
            }
        }
    }
}

fn stamped(line: Assembled<'_>, stream: Stream, time: Option<LineTime>) -> Line<'_> {
    Line {
        text: line.text,
        time,
        stream,
        continued: line.continued,
        note: false,
        source: 0,
    }
}

/// The last line, and how many lines of its time each output had.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    place: Option<Place>,
    out: Option<(LineTime, u32)>,
    err: Option<(LineTime, u32)>,
}

impl Last {
    fn at(place: Place) -> Self {
        let mut last = Self {
            place: Some(place),
            ..Self::default()
        };
        *last.of(place.stream) = Some((place.time, place.ties));
        last
    }

    fn of(&mut self, stream: Stream) -> &mut Option<(LineTime, u32)> {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }

    fn note(&mut self, line: &Line<'_>) {
        let Some(time) = line.time else { return };
        let of = self.of(line.stream);
        let ties = match of {
            Some((last, ties)) if *last == time => *ties + 1,
            _ => 1,
        };
        *of = Some((time, ties));
        self.place = Some(Place {
            time,
            stream: line.stream,
            source: line.source,
            ties,
        });
    }
}

/// Reads the body of a logs request made with `timestamps=true`.
#[derive(Debug, Clone)]
pub struct LogReader {
    decoder: FrameDecoder,
    out: Output,
    err: Output,
    source: u8,
    skip: Skip,
    skipped_ties: u32,
    last: Last,
    messages: u64,
}

impl LogReader {
    /// For a container with or without a TTY; its lines carry `source`.
    pub fn new(tty: bool, source: u8, skip: Skip) -> Self {
        Self {
            decoder: FrameDecoder::new(tty),
            out: Output::new(Stream::Out, !tty),
            err: Output::new(Stream::Err, !tty),
            source,
            skip,
            skipped_ties: 0,
            last: match skip {
                Skip::Nothing => Last::default(),
                Skip::Through(place) => Last::at(place),
            },
            messages: 0,
        }
    }

    /// The place of the last line handed out.
    pub fn last(&self) -> Option<Place> {
        self.last.place
    }

    /// Log messages read, skipped ones too.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether a line was written over: a sign of a progress bar.
    pub fn rewrote(&self) -> bool {
        self.out.assembler.rewrote() || self.err.assembler.rewrote()
    }

    /// The unfinished line as far as the log holds it; empty where there is none.
    pub fn unfinished(&self) -> String {
        let mut text = String::new();
        self.err.assembler.unfinished(&mut text);
        if text.is_empty() {
            self.out.assembler.unfinished(&mut text);
        }
        text
    }

    /// Takes bytes of the body and hands lines to `sink`.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Line<'_>)) {
        let Self {
            decoder,
            out,
            err,
            source,
            skip,
            skipped_ties,
            last,
            messages,
        } = self;
        decoder.push(bytes, |piece| {
            let output = match piece.stream {
                Stream::Out => &mut *out,
                Stream::Err => &mut *err,
            };
            let mut give = |line: Line<'_>| {
                let line = Line {
                    source: *source,
                    ..line
                };
                if wanted(&line, skip, skipped_ties) {
                    last.note(&line);
                    sink(line);
                }
            };
            // The stamps are taken out while they call back into the rest of the output.
            let mut stamps = std::mem::replace(&mut output.stamps, Stamps::new(false));
            if piece.starts {
                stamps.frame(&mut |event| output.feed(event, messages, &mut give));
            }
            stamps.push(piece.bytes, &mut |event| {
                output.feed(event, messages, &mut give);
            });
            output.stamps = stamps;
        });
    }

    /// Ends the body: unfinished lines are handed out.
    pub fn finish(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        let Self {
            out,
            err,
            source,
            skip,
            skipped_ties,
            last,
            messages,
            ..
        } = self;
        let mut give = |line: Line<'_>| {
            let line = Line {
                source: *source,
                ..line
            };
            if wanted(&line, skip, skipped_ties) {
                last.note(&line);
                sink(line);
            }
        };
        for output in [out, err] {
            let mut stamps = output.stamps.clone();
            stamps.finish(&mut |event| output.feed(event, messages, &mut give));
            output.stamps = stamps;
            let (stream, time) = (output.stream, output.time);
            output
                .assembler
                .finish(&mut |line| give(stamped(line, stream, time)));
        }
    }
}

/// An output without a line at the place is read on from this much after it, in nanoseconds: the two
/// outputs' times may be out of order by less.
const SLACK: i64 = 2_000_000_000;

fn wanted(line: &Line<'_>, skip: &mut Skip, ties: &mut u32) -> bool {
    let Skip::Through(place) = *skip else {
        return true;
    };
    let Some(time) = line.time else { return false };
    if line.stream != place.stream {
        let late = time.0 > place.time.0.saturating_add(SLACK);
        if late {
            *skip = Skip::Nothing;
        }
        return late;
    }
    if time < place.time {
        return false;
    }
    if time == place.time {
        *ties += 1;
        if *ties >= place.ties {
            *skip = Skip::Nothing;
        }
        return false;
    }
    *skip = Skip::Nothing;
    true
}

/// Keeps the last lines that come before a place.
#[derive(Debug)]
pub struct Before {
    place: Place,
    held: LogBuffer,
    /// Lines held after the last one of the place itself; `None` before that one came.
    behind: Option<usize>,
    done: bool,
    total: u64,
}

impl Before {
    /// Keeps as much as `limits` allow.
    pub fn new(place: Place, limits: Limits) -> Self {
        Self {
            place,
            held: LogBuffer::new(limits),
            behind: None,
            done: false,
            total: 0,
        }
    }

    /// Takes the next line of the log.
    pub fn push(&mut self, line: Line<'_>) {
        let Some(time) = line.time else {
            return self.hold(line);
        };
        if self.done || time.0 > self.place.time.0.saturating_add(SLACK) {
            self.done = true;
            return;
        }
        if line.source != self.place.source {
            if time <= self.place.time {
                self.hold(line);
            }
            return;
        }
        if line.stream == self.place.stream {
            if time > self.place.time {
                self.done = true;
                return;
            }
            if time == self.place.time {
                self.hold(line);
                self.behind = Some(0);
                return;
            }
        }
        self.hold(line);
    }

    fn hold(&mut self, line: Line<'_>) {
        self.held.push(line);
        self.total += 1;
        if let Some(behind) = &mut self.behind {
            *behind += 1;
        }
    }

    /// The lines up to and with those of the place, and how many there were in all before the limits.
    pub fn finish(mut self) -> (Vec<LineBatch>, u64) {
        match self.behind {
            Some(behind) => {
                for _ in 0..behind {
                    self.held.pop_back();
                    self.total = self.total.saturating_sub(1);
                }
            }
            None => {
                // The place is not in what came: only what is surely before it.
                while let Some(line) = self.held.get(self.held.range().end - 1)
                    && line.time.is_some_and(|time| time > self.place.time)
                {
                    self.held.pop_back();
                    self.total = self.total.saturating_sub(1);
                }
            }
        }
        (self.held.take(), self.total)
    }
}

#[cfg(test)]
mod tests;
