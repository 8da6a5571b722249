//! What containers write: the log as the engine keeps it, and the stream as an attached client sees it.

use jiff::Timestamp;

use super::programs::{self, Write};
use super::world::{Member, Run, T, World};

/// No line takes longer to be written, milliseconds: 25 steps with an evaluation and a checkpoint among them.
const LONGEST: i64 = 10 * 60_000;

/// Which pipe text came out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output (and everything, where there is a pseudo-terminal).
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output: a whole line of the log, or what one write wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When the engine read it.
    pub time: Timestamp,
    /// Which pipe.
    pub output: Output,
    /// The text, line end included.
    pub text: String,
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Before or at this.
    pub until: Option<Timestamp>,
    /// The last so many lines alone.
    pub tail: Option<usize>,
}

/// The frame that the logs and attach endpoints put round a piece where there is no pseudo-terminal: stream
/// type, three zeroes, length as a big-endian 32-bit number.
pub fn frame(output: Output, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    let kind = match output {
        Output::Stdout => 1,
        Output::Stderr => 2,
    };
    bytes.extend([kind, 0, 0, 0]);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(payload);
    bytes
}

impl LogRecord {
    /// The bytes of the logs endpoint, with the time in front if asked for.
    pub fn to_bytes(&self, tty: bool, timestamps: bool) -> Vec<u8> {
        let payload = if timestamps {
            format!("{} {}", rfc3339_nano(self.time), self.text)
        } else {
            self.text.clone()
        };
        if tty {
            payload.into_bytes()
        } else {
            frame(self.output, payload.as_bytes())
        }
    }
}

/// Docker's form of a log time: nine digits, always, so that lines stand under each other.
pub(super) fn rfc3339_nano(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// The log: whole lines, as json-file keeps them. An unfinished line is held back.
pub(super) fn log(world: &World, member: &Member, query: &LogQuery, t: T) -> Vec<LogRecord> {
    let until = query
        .until
        .map_or(t, |until| world_time(world, until).saturating_add(1).min(t));
    let mut newest_first: Vec<LogRecord> = Vec::new();
    for run in member.runs.iter().rev() {
        let wanted = query.tail.map(|n| n.saturating_sub(newest_first.len()));
        if wanted == Some(0) {
            break;
        }
        let mut lines = lines(world, member, run, query, until, wanted);
        if let Some(wanted) = wanted {
            lines.drain(..lines.len().saturating_sub(wanted));
        }
        newest_first.extend(lines.into_iter().rev());
    }
    newest_first.reverse();
    newest_first
}

/// One run's lines within the query; with `wanted`, no more than needed are made.
fn lines(
    world: &World,
    member: &Member,
    run: &Run,
    query: &LogQuery,
    until: T,
    wanted: Option<usize>,
) -> Vec<LogRecord> {
    let end = run.elapsed(until.max(run.start));
    let since = query.since.map_or(0, |since| {
        run.elapsed(world_time(world, since).max(run.start)) - 1
    });
    let mut reach = if wanted.is_some() { 5 * 60_000 } else { end };
    loop {
        let from = (end - reach).max(since).max(0);
        // A line is timed by its end: it is made from its beginning, and those that end before are left out.
        let made = programs::writes(world, member, run, (from - LONGEST).max(0), end + 1);
        let mut lines = join_lines(world, run, made);
        let first = world.wall(run.when(from));
        lines.retain(|line| {
            (from == 0 || line.time >= first)
                && query.since.is_none_or(|since| line.time >= since)
                && query.until.is_none_or(|until| line.time <= until)
        });
        let enough = wanted.is_none_or(|n| lines.len() >= n);
        if enough || from <= since.max(0) {
            return lines;
        }
        reach = reach.saturating_mul(4);
    }
}

fn join_lines(world: &World, run: &Run, writes: Vec<Write>) -> Vec<LogRecord> {
    let mut lines = Vec::new();
    let mut open = [String::new(), String::new()];
    for write in writes {
        let time = time_of(world, run, &write);
        let [stdout, stderr] = &mut open;
        let held = match write.output {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        };
        for part in write.text.split_inclusive('\n') {
            held.push_str(part);
            if part.ends_with('\n') {
                lines.push(LogRecord {
                    time,
                    output: write.output,
                    text: std::mem::take(held),
                });
            }
        }
    }
    lines
}

/// What was written after `from` up to `t`.
pub(super) fn written(world: &World, member: &Member, from: T, t: T) -> Vec<LogRecord> {
    member
        .runs
        .iter()
        .filter(|run| run.start <= t && run.end.is_none_or(|end| end.at >= from))
        .flat_map(|run| {
            let first = if from < run.start {
                0
            } else {
                run.elapsed(from) + 1
            };
            let last = run.elapsed(t.max(run.start));
            programs::writes(world, member, run, first, last + 1)
                .into_iter()
                .map(|write| LogRecord {
                    time: time_of(world, run, &write),
                    output: write.output,
                    text: write.text,
                })
        })
        .collect()
}

/// A millisecond has room for several writes: each gets its own time.
fn time_of(world: &World, run: &Run, write: &Write) -> Timestamp {
    let time = world.wall(run.when(write.at));
    let nanos = 1_000 + i64::from(write.order) * 7_919;
    time.checked_add(jiff::SignedDuration::from_nanos(nanos))
        .unwrap_or(time)
}

fn world_time(world: &World, time: Timestamp) -> T {
    let apart = time.duration_since(world.start.wall);
    i64::try_from(apart.as_millis()).unwrap_or(i64::MAX)
}
