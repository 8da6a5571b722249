//! Other parts of a log than its end: older lines, newer ones, the beginning; and several logs by time.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use crate::engine::EngineError;
use crate::logs::{
    Before, Limits, Line, LineBatch, LogBuffer, LogReader, LogTarget, LogUpdate, Page, PageKind,
    Place, Skip,
};

use super::Shared;
use super::request::{LogEngine, Part, second};

/// A part holds so much.
const PAGE: Limits = Limits {
    lines: 5000,
    bytes: 1024 * 1024,
};
/// Lines of each of several logs at first.
const BACKLOG: u64 = 500;
/// As long as this many messages lie between the log's end and the place, the engine is asked for a tail
/// (it reads its files backwards); beyond, for stretches of time.
const TAIL: u64 = 200_000;
/// The stretches of time tried, in seconds; the last is without a bound.
const STRETCHES: [Option<i64>; 5] = [Some(60), Some(1800), Some(43_200), Some(864_000), None];

/// Loads a part; what goes wrong stands in it.
pub(super) async fn load(
    shared: &Shared,
    targets: &[LogTarget],
    kind: PageKind,
    since: Option<Timestamp>,
) -> Page {
    match try_load(shared, targets, kind, since).await {
        Ok((batches, end)) => Page {
            kind,
            batches,
            end,
            error: None,
        },
        Err(error) => Page {
            kind,
            batches: Vec::new(),
            end: false,
            error: Some(error.to_string()),
        },
    }
}

fn engine(shared: &Shared) -> Result<LogEngine, EngineError> {
    match (shared.setup.engine)() {
        Some(engine) => Ok(LogEngine::new(&engine)),
        None => Err(EngineError::Gone("not connected".into())),
    }
}

async fn try_load(
    shared: &Shared,
    targets: &[LogTarget],
    kind: PageKind,
    since: Option<Timestamp>,
) -> Result<(Vec<LineBatch>, bool), EngineError> {
    let engine = engine(shared)?;
    let mut parts = Vec::new();
    let mut end = true;
    for (source, target) in targets.iter().enumerate() {
        let Ok(source) = u8::try_from(source) else {
            break;
        };
        let reading = Reading {
            engine: &engine,
            target,
            source,
            since,
        };
        let (batches, this_end) = match kind {
            PageKind::Older(place) => {
                let depth = shared.depth.load(Ordering::Relaxed);
                reading.older(place, depth).await?
            }
            PageKind::Newer(place) => reading.newer(Some(place)).await?,
            PageKind::Beginning => reading.newer(None).await?,
        };
        end &= this_end;
        parts.push(batches);
    }
    if parts.len() == 1 {
        return Ok((parts.pop().unwrap_or_default(), end));
    }
    let lines: Vec<Line<'_>> = by_time(&parts);
    let too_many = lines.len().saturating_sub(PAGE.lines);
    end &= too_many == 0;
    let kept = match kind {
        PageKind::Older(_) => lines.get(too_many..),
        PageKind::Newer(_) | PageKind::Beginning => lines.get(..lines.len() - too_many),
    };
    Ok((batches(kept.unwrap_or_default().iter().copied()), end))
}

/// What is there of several logs, by time; gives each one's last place.
pub(super) async fn backlog(
    shared: &Shared,
    targets: &[LogTarget],
    since: Option<Timestamp>,
) -> Vec<Option<Place>> {
    let mut ends = vec![None; targets.len()];
    let Ok(engine) = engine(shared) else {
        return ends; // each follower says so
    };
    let mut parts = Vec::new();
    for (source, (target, end)) in targets.iter().zip(&mut ends).enumerate() {
        let reading = Reading {
            engine: &engine,
            target,
            source: u8::try_from(source).unwrap_or(u8::MAX),
            since,
        };
        let part = Part {
            since: second(since),
            tail: Some(BACKLOG),
            ..Part::default()
        };
        let mut held = LogBuffer::new(PAGE);
        if let Ok(place) = reading.whole(part, |line| held.push(line)).await {
            *end = place;
        }
        parts.push(held.take());
    }
    for batch in batches(by_time(&parts).into_iter()) {
        shared.tell(LogUpdate::Lines(batch));
    }
    ends
}

/// The lines of several logs by time; lines without one stay behind the line before them.
fn by_time(parts: &[Vec<LineBatch>]) -> Vec<Line<'_>> {
    let mut lines: Vec<(i64, Line<'_>)> = Vec::new();
    for part in parts {
        let mut last = i64::MIN;
        for line in part.iter().flat_map(LineBatch::iter) {
            // The two outputs of one container are kept in the order they came in.
            last = line.time.map_or(last, |time| time.0.max(last));
            lines.push((last, line));
        }
    }
    lines.sort_by_key(|(time, _)| *time);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn batches<'a>(lines: impl Iterator<Item = Line<'a>>) -> Vec<LineBatch> {
    let mut all: Vec<LineBatch> = Vec::new();
    for line in lines {
        let kept = all.last_mut().is_some_and(|last| last.push(line));
        if !kept {
            let mut next = LineBatch::default();
            next.push(line);
            all.push(next);
        }
    }
    all
}

struct Reading<'a> {
    engine: &'a LogEngine,
    target: &'a LogTarget,
    source: u8,
    since: Option<Timestamp>,
}

impl Reading<'_> {
    /// Reads a part to its end.
    async fn whole(
        &self,
        part: Part,
        mut sink: impl FnMut(Line<'_>),
    ) -> Result<Option<Place>, EngineError> {
        let tty = self.engine.facts(self.target.key).await?.tty;
        let mut body = self.engine.logs(self.target.key, part).await?;
        let mut reader = LogReader::new(tty, self.source, Skip::Nothing);
        while let Some(data) = body.next().await {
            reader.push(data?, &mut sink);
        }
        reader.finish(&mut sink);
        Ok(reader.last())
    }

    /// The lines before a place; whether there are no more before them.
    async fn older(&self, place: Place, depth: u64) -> Result<(Vec<LineBatch>, bool), EngineError> {
        let at = place.time.seconds();
        let part = Part {
            until: Some(at.saturating_add(3)),
            since: second(self.since),
            ..Part::default()
        };
        if depth < TAIL {
            let tail = Part {
                tail: Some(depth + PAGE.lines as u64),
                ..part
            };
            let (batches, older, _) = self.before(place, tail).await?;
            if older > 0 {
                return Ok((batches, false));
            }
        }
        for stretch in STRETCHES {
            let from = stretch.map(|seconds| at.saturating_sub(seconds));
            let bounded = from > part.since;
            let part = Part {
                since: if bounded { from } else { part.since },
                ..part
            };
            let (batches, older, all) = self.before(place, part).await?;
            if !bounded {
                return Ok((batches, all));
            }
            if older > 0 {
                return Ok((batches, false));
            }
        }
        Ok((Vec::new(), true))
    }

    /// The last lines of a part before a place, how many are older than the place, and whether these are
    /// all of the part.
    async fn before(
        &self,
        place: Place,
        part: Part,
    ) -> Result<(Vec<LineBatch>, u64, bool), EngineError> {
        let mut before = Before::new(place, PAGE);
        self.whole(part, |line| before.push(line)).await?;
        let (batches, total) = before.finish();
        let held: usize = batches.iter().map(LineBatch::len).sum();
        let ties = batches
            .iter()
            .flat_map(LineBatch::iter)
            .filter(|line| {
                line.time == Some(place.time)
                    && line.stream == place.stream
                    && line.source == place.source
            })
            .count();
        Ok((batches, (held - ties) as u64, total == held as u64))
    }

    /// The lines after a place, or from the beginning; whether there are no more after them.
    async fn newer(&self, place: Option<Place>) -> Result<(Vec<LineBatch>, bool), EngineError> {
        let tty = self.engine.facts(self.target.key).await?.tty;
        let own = place.filter(|place| place.source == self.source);
        let part = Part {
            since: place
                .map(|place| place.time.seconds())
                .or(second(self.since)),
            ..Part::default()
        };
        let mut body = self.engine.logs(self.target.key, part).await?;
        let skip = own.map_or(Skip::Nothing, Skip::Through);
        let mut reader = LogReader::new(tty, self.source, skip);
        let foreign = place.filter(|place| place.source != self.source);
        let mut first = First::default();
        let mut take = |line: Line<'_>| {
            let before = foreign.is_some_and(|p| line.time.is_some_and(|time| time <= p.time));
            if !before {
                first.push(line);
            }
            first.full()
        };
        let mut end = true;
        let mut full = false;
        while let Some(data) = body.next().await {
            reader.push(data?, &mut |line| full |= take(line));
            if full {
                end = false;
                break;
            }
        }
        if end {
            reader.finish(&mut |line| full |= take(line));
        }
        Ok((first.batches, end && first.over == 0))
    }
}

/// The first lines of a part, as many as a page holds.
#[derive(Default)]
struct First {
    batches: Vec<LineBatch>,
    lines: usize,
    bytes: usize,
    /// Lines that found no room any more.
    over: usize,
}

impl First {
    fn full(&self) -> bool {
        self.lines >= PAGE.lines || self.bytes >= PAGE.bytes
    }

    fn push(&mut self, line: Line<'_>) {
        if self.full() {
            self.over += 1;
            return;
        }
        self.lines += 1;
        self.bytes += line.text.len();
        let kept = self.batches.last_mut().is_some_and(|last| last.push(line));
        if !kept {
            let mut next = LineBatch::default();
            next.push(line);
            self.batches.push(next);
        }
    }
}
