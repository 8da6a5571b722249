//! What the Logs tab holds, and how news changes it.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tui_input::Input;

use super::screen::{Anchor, Viewport};
use crate::logs::{
    Line, LineTime, LiveBar, LiveLine, LogBuffer, LogCommand, LogNews, LogStatus, LogTarget,
    LogUpdate, Matcher, Page, PageKind, PatternKind, Place, sgr,
};
use crate::model::Stamp;
use crate::tui::Effect;

/// From when on a log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Since {
    /// From its beginning.
    #[default]
    All,
    /// The last five minutes.
    FiveMinutes,
    /// The last half hour.
    HalfHour,
    /// The last hour.
    Hour,
    /// The last six hours.
    SixHours,
    /// From midnight on, by the user's clock.
    Today,
}

impl Since {
    /// Every preset, in the order in which the key goes through them.
    pub const ALL: [Since; 6] = [
        Since::All,
        Since::FiveMinutes,
        Since::HalfHour,
        Since::Hour,
        Since::SixHours,
        Since::Today,
    ];

    /// A word or two.
    pub fn label(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::FiveMinutes => "5m",
            Self::HalfHour => "30m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Today => "today",
        }
    }

    fn moment(self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let minutes = match self {
            Self::All => return None,
            Self::Today => {
                let day = now.to_zoned(zone.clone()).start_of_day().ok()?;
                return Some(day.timestamp());
            }
            Self::FiveMinutes => 5,
            Self::HalfHour => 30,
            Self::Hour => 60,
            Self::SixHours => 360,
        };
        now.checked_sub(jiff::SignedDuration::from_mins(minutes))
            .ok()
    }
}

/// A filter in force, with the numbers of the lines it lets through.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub matcher: Matcher,
    pub lines: VecDeque<i64>,
}

/// What is being typed.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub kind: PromptKind,
    pub input: Input,
    pub regex: bool,
    /// Why what is typed is no pattern; the last good one stays in force.
    pub error: Option<String>,
    /// What was in force before, for Escape.
    pub before: Option<(String, PatternKind)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PromptKind {
    Search,
    Filter,
}

/// The Logs tab.
#[derive(Debug, Clone)]
pub struct LogsState {
    pub(super) generation: u64,
    pub(super) targets: Vec<LogTarget>,
    pub(super) since: Since,
    pub(super) since_time: Option<Timestamp>,
    pub(super) zone: TimeZone,
    pub(super) buffer: LogBuffer,
    pub(super) reach: Reach,
    pub(super) source: SourceState,
    pub(super) live: Option<LiveLine>,
    pub(super) follow: bool,
    pub(super) top: Anchor,
    pub(super) shift: usize,
    pub(super) viewport: Viewport,
    pub(super) wrap: bool,
    pub(super) timestamps: bool,
    pub(super) filter: Option<Filter>,
    pub(super) search: Option<Matcher>,
    pub(super) found: Option<i64>,
    pub(super) prompt: Option<Prompt>,
    pub(super) message: Option<String>,
}

/// What the sources do.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceState {
    pub status: Vec<LogStatus>,
    pub bar: LiveBar,
    /// Lines dropped because the screen was too slow.
    pub lost: u64,
}

/// How far what is held reaches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    /// Nothing older is there.
    pub beginning: bool,
    /// The newest lines are not held: what comes is counted and not added.
    pub detached: bool,
    /// Lines that came while detached.
    pub behind: u64,
    /// A part that was asked for.
    pub loading: Option<PageKind>,
}

impl LogsState {
    /// No log open. `zone` is for timestamps and midnight.
    pub fn new(zone: TimeZone, limits: crate::logs::Limits) -> Self {
        Self {
            generation: 0,
            targets: Vec::new(),
            since: Since::All,
            since_time: None,
            zone,
            buffer: LogBuffer::new(limits),
            reach: Reach::default(),
            source: SourceState::default(),
            live: None,
            follow: true,
            top: Anchor::default(),
            shift: 0,
            viewport: Viewport::default(),
            wrap: true,
            timestamps: false,
            filter: None,
            search: None,
            found: None,
            prompt: None,
            message: None,
        }
    }

    /// Sets what the user's preferences say.
    pub fn prefer(&mut self, wrap: Option<bool>, timestamps: bool) {
        self.wrap = wrap.unwrap_or(true);
        self.timestamps = timestamps;
    }

    /// Whether long lines are wrapped.
    pub fn wraps(&self) -> bool {
        self.wrap
    }

    /// Whether times are shown.
    pub fn shows_timestamps(&self) -> bool {
        self.timestamps
    }

    /// Whose log is open; empty where none is.
    pub fn targets(&self) -> &[LogTarget] {
        &self.targets
    }

    /// Whether the end is followed.
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// The lines that are held.
    pub fn buffer(&self) -> &LogBuffer {
        &self.buffer
    }

    /// The unfinished line under them.
    pub fn live(&self) -> Option<&LiveLine> {
        self.live.as_ref()
    }

    /// What the source of a container's log does.
    pub fn status(&self, source: usize) -> Option<&LogStatus> {
        self.source.status.get(source)
    }

    /// The number of the open log: news of another is dropped.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Opens the logs of these containers (several: merged) at their end. Search and filter stay.
    pub fn open(&mut self, targets: Vec<LogTarget>, now: Stamp) -> Vec<Effect> {
        self.targets = targets;
        self.targets.truncate(usize::from(u8::MAX));
        self.reopen(now)
    }

    /// Closes the log and lets its memory go.
    pub fn close(&mut self) -> Vec<Effect> {
        if self.targets.is_empty() {
            return Vec::new();
        }
        self.targets.clear();
        self.generation += 1;
        self.empty();
        self.prompt = None;
        vec![Effect::Log(LogCommand::Close)]
    }

    /// Shows another stretch of time.
    pub fn set_since(&mut self, since: Since, now: Stamp) -> Vec<Effect> {
        self.since = since;
        self.reopen(now)
    }

    /// Opens at the end, afresh.
    pub(super) fn reopen(&mut self, now: Stamp) -> Vec<Effect> {
        self.since_time = self.since.moment(now.wall, &self.zone);
        self.empty();
        if self.targets.is_empty() {
            return Vec::new();
        }
        self.command_open(None)
    }

    fn command_open(&mut self, from: Option<Place>) -> Vec<Effect> {
        self.generation += 1;
        self.source.status = vec![LogStatus::Opening; self.targets.len()];
        self.source.bar = LiveBar::None;
        self.live = None;
        vec![Effect::Log(LogCommand::Open {
            generation: self.generation,
            targets: self.targets.clone(),
            since: self.since_time,
            from,
        })]
    }

    fn empty(&mut self) {
        self.buffer.clear();
        self.reach = Reach::default();
        self.source = SourceState::default();
        self.live = None;
        self.follow = true;
        self.top = Anchor::default();
        self.found = None;
        self.message = None;
        if let Some(filter) = &mut self.filter {
            filter.lines.clear();
        }
    }

    /// Takes news in; what belongs to another log is dropped.
    pub fn absorb(&mut self, news: LogNews) -> Vec<Effect> {
        if news.generation != self.generation || self.targets.is_empty() {
            return Vec::new();
        }
        match news.update {
            LogUpdate::Lines(batch) => {
                if self.reach.detached {
                    self.reach.behind += batch.len() as u64;
                    return Vec::new();
                }
                for line in batch.iter() {
                    self.settle_live(&line);
                    self.add(line);
                }
                self.trim();
            }
            LogUpdate::Page(page) => return self.page(page),
            LogUpdate::Live(live) => self.set_live(live),
            LogUpdate::Status { source, status } => self.set_status(source, status),
            LogUpdate::Bar(bar) => {
                self.source.bar = bar;
                if bar != LiveBar::Live {
                    self.live = None;
                }
            }
            LogUpdate::Dropped(count) => {
                self.source.lost += count;
                if !self.reach.detached {
                    self.note(&format!(
                        "{count} lines came faster than they could be shown"
                    ));
                }
            }
        }
        Vec::new()
    }

    fn set_status(&mut self, source: u8, status: LogStatus) {
        if status != LogStatus::Following {
            self.live = None;
        }
        if let Some(slot) = self.source.status.get_mut(usize::from(source)) {
            *slot = status;
        }
    }

    fn note(&mut self, text: &str) {
        self.add(Line {
            text,
            time: None,
            stream: crate::logs::Stream::Out,
            continued: false,
            note: true,
            source: 0,
        });
        self.trim();
    }

    fn add(&mut self, line: Line<'_>) {
        self.buffer.push(line);
        let number = self.buffer.range().end - 1;
        if let Some(filter) = &mut self.filter
            && (line.note || filter.matcher.is_match(line.text))
        {
            filter.lines.push_back(number);
        }
    }

    /// Forgets what points at lines that are gone.
    pub(super) fn trim(&mut self) {
        let range = self.buffer.range();
        if let Some(filter) = &mut self.filter {
            while filter.lines.front().is_some_and(|n| *n < range.start) {
                filter.lines.pop_front();
            }
            while filter.lines.back().is_some_and(|n| *n >= range.end) {
                filter.lines.pop_back();
            }
        }
        if self.buffer.evicted() > 0 && self.reach.beginning {
            self.reach.beginning = false;
        }
        if self.top.line < range.start {
            self.top = Anchor {
                line: range.start,
                row: 0,
            };
        }
        if self.found.is_some_and(|found| !range.contains(&found)) {
            self.found = None;
        }
    }

    /// The log brought a line that the live line showed: it is no longer live.
    fn settle_live(&mut self, line: &Line<'_>) {
        if let Some(live) = &self.live
            && live.source == line.source
            && (live.finished || same_text(&live.text, line.text))
        {
            self.live = None;
        }
    }

    fn set_live(&mut self, live: LiveLine) {
        if live.text.is_empty() || self.reach.detached {
            self.live = None;
            return;
        }
        if live.finished {
            // The log may have brought it already, or it was seen in part only and will come whole.
            let end = self.buffer.range().end;
            let came = self
                .buffer
                .iter_from(end.saturating_sub(4))
                .any(|(_, line)| line.source == live.source && same_text(&live.text, line.text));
            if came || live.partial {
                self.live = None;
                return;
            }
        }
        self.live = Some(live);
    }

    fn page(&mut self, page: Page) -> Vec<Effect> {
        if self.reach.loading != Some(page.kind) {
            return Vec::new();
        }
        self.reach.loading = None;
        if let Some(error) = page.error {
            self.message = Some(error);
            return Vec::new();
        }
        match page.kind {
            PageKind::Older(place) => {
                self.older(place, page);
                Vec::new()
            }
            PageKind::Newer(_) => self.newer(page),
            PageKind::Beginning => {
                let generation = self.generation;
                let source = std::mem::take(&mut self.source);
                self.empty();
                self.source = source;
                self.generation = generation;
                self.follow = false;
                for line in page.batches.iter().flat_map(|batch| batch.iter()) {
                    self.add(line);
                }
                self.trim();
                self.reach.beginning = true;
                self.reach.detached = true;
                self.top = Anchor {
                    line: self.first_line().unwrap_or(0),
                    row: 0,
                };
                if page.end { self.attach() } else { Vec::new() }
            }
        }
    }

    fn older(&mut self, place: Place, page: Page) {
        let top = self.top;
        let replaced = page.batches.iter().any(|batch| !batch.is_empty());
        if replaced {
            while let Some(front) = self.buffer.get(self.buffer.range().start)
                && front.time == Some(place.time)
                && front.stream == place.stream
                && front.source == place.source
            {
                self.buffer.pop_front();
            }
        }
        self.reach.beginning = page.end;
        let gone = self.buffer.prepend(page.batches);
        if gone > 0 {
            self.reach.detached = true;
            self.reach.behind += gone as u64;
            self.live = None;
        }
        self.rebuild_filter();
        self.top = top;
        self.trim();
    }

    fn newer(&mut self, page: Page) -> Vec<Effect> {
        for line in page.batches.iter().flat_map(|batch| batch.iter()) {
            self.reach.behind = self.reach.behind.saturating_sub(1);
            self.add(line);
        }
        self.trim();
        if page.end { self.attach() } else { Vec::new() }
    }

    /// All that the log holds is held: go on with what comes, from the last held line on.
    fn attach(&mut self) -> Vec<Effect> {
        let Some(place) = self.back_place() else {
            return Vec::new();
        };
        if self.targets.len() != 1 {
            return Vec::new();
        }
        self.reach.detached = false;
        self.reach.behind = 0;
        self.command_open(Some(place))
    }

    /// The place of the first held line with a time.
    pub(super) fn front_place(&self) -> Option<Place> {
        let start = self.buffer.range().start;
        let mut lines = self.buffer.iter_from(start).filter(|(_, l)| !l.note);
        let (_, first) = lines.next()?;
        let time = first.time?;
        let ties = 1 + lines
            .take_while(|(_, l)| l.time == Some(time) && l.stream == first.stream)
            .count();
        Some(place(&first, time, ties))
    }

    /// The place of the last held line with a time.
    pub(super) fn back_place(&self) -> Option<Place> {
        let range = self.buffer.range();
        let mut lines = (range.start..range.end)
            .rev()
            .filter_map(|number| self.buffer.get(number))
            .filter(|line| !line.note && line.time.is_some());
        let last = lines.next()?;
        let time = last.time?;
        let ties = 1 + lines
            .filter(|l| l.stream == last.stream && l.source == last.source)
            .take_while(|l| l.time == Some(time))
            .count();
        Some(place(&last, time, ties))
    }

    /// Goes through all held lines for the filter again.
    pub(super) fn rebuild_filter(&mut self) {
        if let Some(mut filter) = self.filter.take() {
            filter.lines = self
                .buffer
                .iter_from(self.buffer.range().start)
                .filter(|(_, line)| line.note || filter.matcher.is_match(line.text))
                .map(|(number, _)| number)
                .collect();
            self.filter = Some(filter);
        }
    }
}

fn place(line: &Line<'_>, time: LineTime, ties: usize) -> Place {
    Place {
        time,
        stream: line.stream,
        source: line.source,
        ties: u32::try_from(ties).unwrap_or(u32::MAX),
    }
}

/// Whether two stored lines show the same, blanks at the end aside.
fn same_text(one: &str, other: &str) -> bool {
    sgr::plain(one).trim_end() == sgr::plain(other).trim_end()
}
