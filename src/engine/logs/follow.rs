//! One container's log from where it is opened on: over reconnects and restarts, until it is closed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::engine::EngineError;
use crate::engine::attach::{Attachment, LiveTo, is_local};
use crate::logs::{
    Line, LineBatch, LiveBar, LiveLine, LogReader, LogStatus, LogTarget, LogUpdate, Place, Skip,
    Stream,
};
use crate::model::ContainerDetail;

use super::Shared;
use super::request::{Body, LogEngine, Part, second};

/// Messages asked for at first.
const FIRST: u64 = 2000;
/// Bytes read in one go, before the screen is told and others have their turn.
const TURN: usize = 128 * 1024;
/// Between two tries: the first wait, doubled up to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// A running container whose log has been silent for so long may be writing a line that the engine holds
/// back until its end (a bar's first epoch): then it is attached to, too. Doubled, up to the last, each
/// time that nothing of the kind came to light.
const QUIET: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));

/// Where to begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub since: Option<Timestamp>,
    pub from: Option<Place>,
}

/// How a stretch of following ended.
enum End {
    /// The engine closed the stream: the container stopped, or its log was cut off.
    Closed,
    Failed(EngineError),
    /// Attaching may begin again: look anew.
    Removed,
    Unreadable(String),
}

/// Follows until the task is dropped, the container is gone, or its log cannot be read.
pub(super) async fn follow(shared: Shared, target: LogTarget, source: u8, start: Start) {
    let mut follower = Follower {
        shared,
        target,
        source,
        since: start.since,
        place: start.from,
        bar: LiveBar::None,
        stopped: false,
    };
    let mut wait = BACKOFF.0;
    loop {
        let end = follower.stretch(&mut wait).await;
        match end {
            End::Closed => wait = BACKOFF.0,
            End::Removed => {
                follower.set_bar(LiveBar::None);
                follower.status(LogStatus::Removed);
                return;
            }
            End::Unreadable(text) => {
                follower.status(LogStatus::Unreadable(text));
                return;
            }
            End::Failed(error) => {
                follower.set_bar(LiveBar::None);
                follower.status(LogStatus::Lost(error.to_string()));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
        }
    }
}

struct Follower {
    shared: Shared,
    target: LogTarget,
    source: u8,
    since: Option<Timestamp>,
    /// The last line that was handed on.
    place: Option<Place>,
    bar: LiveBar,
    /// Whether it was seen stopped since the last line.
    stopped: bool,
}

impl Follower {
    fn status(&self, status: LogStatus) {
        self.shared.status(self.source, status);
    }

    fn set_bar(&mut self, bar: LiveBar) {
        if self.bar != bar {
            self.bar = bar;
            self.shared.tell(LogUpdate::Bar(bar));
        }
    }

    /// From a connection to its end.
    async fn stretch(&mut self, wait: &mut Duration) -> End {
        let Some(engine) = (self.shared.setup.engine)() else {
            return End::Failed(EngineError::Gone("not connected".into()));
        };
        let engine = LogEngine::new(&engine);
        let facts = match engine.facts(self.target.key).await {
            Ok(facts) => facts,
            Err(error) => return ended(error),
        };
        let running = facts.pid.is_some();
        if self.stopped && running {
            self.stopped = false;
            self.note("the container started again");
        }
        if self.stopped {
            return self.until_started(&engine).await;
        }
        let part = Part {
            follow: true,
            since: match self.place {
                Some(place) => Some(place.time.seconds()),
                None => second(self.since),
            },
            until: None,
            tail: self.place.is_none().then_some(FIRST),
        };
        let body = match engine.logs(self.target.key, part).await {
            Ok(body) => body,
            Err(error) => return ended(error),
        };
        *wait = BACKOFF.0;
        self.status(LogStatus::Following);
        let end = self.read(&engine, &facts, body).await;
        self.set_bar(LiveBar::None);
        if !matches!(end, End::Closed) {
            return end;
        }
        // Closed: the container stopped, or the engine ended the stream for a reason of its own.
        match engine.facts(self.target.key).await {
            Ok(facts) if facts.pid.is_some() => {
                tokio::time::sleep(BACKOFF.0).await;
                End::Closed
            }
            Ok(_) => {
                self.stopped = true;
                self.until_started(&engine).await
            }
            Err(error) => ended(error),
        }
    }

    /// Waits for the container's next start without asking again and again.
    async fn until_started(&mut self, engine: &LogEngine) -> End {
        let mut changes = match engine.changes(self.target.key).await {
            Ok(changes) => changes,
            Err(error) => return End::Failed(error),
        };
        // Looked at after the stream is open: a start in between is not missed.
        match engine.facts(self.target.key).await {
            Ok(facts) if facts.pid.is_some() => return End::Closed,
            Ok(_) => self.status(LogStatus::Stopped),
            Err(error) => return ended(error),
        }
        match changes.next().await {
            Some(Ok(_)) | None => End::Closed,
            Some(Err(error)) => End::Failed(error),
        }
    }

    fn note(&self, text: &str) {
        let mut batch = LineBatch::default();
        batch.push(Line {
            text,
            time: None,
            stream: Stream::Out,
            continued: false,
            note: true,
            source: self.source,
        });
        self.shared.tell(LogUpdate::Lines(batch));
    }

    /// Reads the log until it ends; watches for a bar.
    async fn read(&mut self, engine: &LogEngine, facts: &ContainerDetail, mut body: Body) -> End {
        let skip = self.place.map_or(Skip::Nothing, Skip::Through);
        let mut reader = LogReader::new(facts.tty, self.source, skip);
        let mut attachment: Option<Attachment> = None;
        let mut batch = LineBatch::default();
        let mut shown = String::new();
        let resumed = std::sync::Arc::clone(&self.shared.resumed);
        let mut quiet_for = QUIET.0;
        let mut quiet = false;
        let mut silent_until = Instant::now() + quiet_for;
        // A TTY shows its unfinished line from the start on.
        if facts.tty {
            self.watch(engine, facts, &mut attachment, true);
        }
        let end = loop {
            let data = tokio::select! {
                biased;
                data = body.next() => data,
                () = resumed.notified() => {
                    let bar_known = facts.tty || reader.rewrote();
                    if bar_known || quiet {
                        self.watch(engine, facts, &mut attachment, bar_known);
                    }
                    continue;
                }
                () = tokio::time::sleep_until(silent_until), if !quiet => {
                    quiet = true;
                    let bar_known = facts.tty || reader.rewrote();
                    self.watch(engine, facts, &mut attachment, bar_known);
                    continue;
                }
            };
            let mut failed = None;
            let mut turn = 0;
            let mut data = match data {
                None => break End::Closed,
                Some(data) => Some(data),
            };
            while let Some(read) = data.take() {
                let bytes = match read {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                };
                turn += bytes.len();
                let before = reader.messages();
                let shared = &self.shared;
                reader.push(bytes, &mut |line| keep(shared, &mut batch, line));
                shared
                    .depth
                    .fetch_add(reader.messages() - before, Ordering::Relaxed);
                if turn >= TURN {
                    break; // a flood leaves time for the rest, too
                }
                data = body.ready();
            }
            flush(&self.shared, &mut batch);
            self.place = reader.last();
            if let Some(error) = failed {
                break End::Failed(error);
            }
            if facts.tty || reader.rewrote() {
                self.watch(engine, facts, &mut attachment, true);
            } else if std::mem::take(&mut quiet) {
                // Whole lines come by themselves: nothing was held back.
                attachment = None;
                self.set_bar(LiveBar::None);
                quiet_for = (quiet_for * 2).min(QUIET.1);
            }
            silent_until = Instant::now() + quiet_for;
            if self.bar != LiveBar::Live {
                self.show_unfinished(&reader, &mut shown);
            }
        };
        drop(attachment);
        if matches!(end, End::Closed) {
            // After a failure the unfinished line comes again.
            let shared = &self.shared;
            reader.finish(&mut |line| keep(shared, &mut batch, line));
            flush(&self.shared, &mut batch);
            self.place = reader.last();
        }
        end
    }

    /// Where the bar cannot be watched, as much of it as the log holds.
    fn show_unfinished(&self, reader: &LogReader, shown: &mut String) {
        let text = reader.unfinished();
        if text != *shown {
            shown.clone_from(&text);
            self.shared.tell(LogUpdate::Live(LiveLine {
                source: self.source,
                text,
                partial: false,
                finished: false,
            }));
        }
    }

    /// Attaches where there is a bar to see and it cannot harm.
    fn watch(
        &mut self,
        engine: &LogEngine,
        facts: &ContainerDetail,
        attachment: &mut Option<Attachment>,
        bar_known: bool,
    ) {
        let Some(pid) = facts.pid else { return };
        if self.shared.attachments.held() {
            return;
        }
        if self.bar == LiveBar::AtNewlines {
            return;
        }
        if attachment.as_ref().is_some_and(Attachment::is_open) {
            return;
        }
        let local = engine.is_own() || is_local(&self.shared.setup.procfs, pid, self.target.key.id);
        let stream = match local.then(|| engine.blocking_stream()).flatten() {
            Some(Ok(stream)) => stream,
            // The engine is going away: the log stream says so itself.
            Some(Err(_)) => return,
            None => {
                // Said only where a bar is known to be there.
                if bar_known {
                    self.set_bar(LiveBar::AtNewlines);
                }
                return;
            }
        };
        let to = LiveTo {
            lane: self.shared.setup.lane.clone(),
            generation: self.shared.generation,
            source: self.source,
        };
        match self
            .shared
            .attachments
            .attach(stream, self.target.key.id, facts.tty, to)
        {
            Ok(open) => {
                *attachment = Some(open);
                self.set_bar(LiveBar::Live);
            }
            Err(_) => {
                // The engine is going away: the log stream says so itself.
            }
        }
    }
}

fn ended(error: EngineError) -> End {
    if error.is_not_found() {
        return End::Removed;
    }
    match error {
        // dockerd's words for a driver that keeps no log it can read; also podman's.
        EngineError::Status { message, .. } => End::Unreadable(message),
        error => End::Failed(error),
    }
}

fn keep(shared: &Shared, batch: &mut LineBatch, line: Line<'_>) {
    if !batch.has_room(line.text.len()) {
        flush(shared, batch);
    }
    batch.push(line);
}

fn flush(shared: &Shared, batch: &mut LineBatch) {
    if !batch.is_empty() {
        shared.tell(LogUpdate::Lines(std::mem::take(batch)));
    }
}
