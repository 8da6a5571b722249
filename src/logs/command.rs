//! What the Logs tab asks of the log service, and what comes back.

use jiff::Timestamp;

use super::batch::LineBatch;
use super::frame::Stream;
use super::stamp::LineTime;
use crate::model::ContainerKey;

/// A container whose log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// Which.
    pub key: ContainerKey,
    /// Its name: the prefix of its lines where several are merged.
    pub name: String,
}

/// A place in a log, next to a line that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line's time.
    pub time: LineTime,
    /// Its output: each output's times never go back, both together may.
    pub stream: Stream,
    /// Which of the merged containers.
    pub source: u8,
    /// How many lines of this time and output are held at this end, at least 1.
    pub ties: u32,
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// What comes before this line. The lines of the very time and output of the place come again: the
    /// held ones are let go for them.
    Older(Place),
    /// What comes after this line.
    Newer(Place),
    /// The very beginning.
    Beginning,
}

/// What the Logs tab asks of the log service. `generation` is a number of the asker's own: news carry it,
/// so that what was meant for a log closed since can be told.
#[derive(Debug, Clone, PartialEq)]
pub enum LogCommand {
    /// Follow these containers' logs (several: merged), closing what was open.
    Open {
        /// The asker's number for this log.
        generation: u64,
        /// Whose.
        targets: Vec<LogTarget>,
        /// Nothing from before this moment.
        since: Option<Timestamp>,
        /// Go on after this line instead of beginning near the end (one container only).
        from: Option<Place>,
    },
    /// Load another part of the open log.
    Load {
        /// The log's number; a load for another log is not done.
        generation: u64,
        /// Which part.
        page: PageKind,
        /// Nothing from before this moment.
        since: Option<Timestamp>,
    },
    /// Close it: nothing is read any more.
    Close,
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What was asked for.
    pub kind: PageKind,
    /// The lines in order.
    pub batches: Vec<LineBatch>,
    /// Whether there is nothing more in that direction (for `Beginning`: whether this is all there is).
    pub end: bool,
    /// Why it could not be read, in the daemon's words.
    pub error: Option<String>,
}

/// The unfinished line at the end of the log: a progress bar as it moves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveLine {
    /// Which of the merged containers.
    pub source: u8,
    /// Stored text; empty where there is none.
    pub text: String,
    /// Whether its beginning was not seen.
    pub partial: bool,
    /// Whether its end has come: the log endpoint will bring it as a line.
    pub finished: bool,
}

/// What a log's source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogStatus {
    /// Asked for.
    Opening,
    /// All that is there was read; more is read as it comes.
    Following,
    /// The container stopped; when it starts again, the log goes on.
    Stopped,
    /// The container is gone.
    Removed,
    /// Its log cannot be read, in the daemon's words (log driver `none` and the like).
    Unreadable(String),
    /// The engine does not answer; tried again.
    Lost(String),
}

/// Whether the unfinished line is seen as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LiveBar {
    /// Nothing shows that there is a bar.
    #[default]
    None,
    /// Attached: it moves as it is written.
    Live,
    /// It moves at newlines: the engine is not proven to be on this machine, so attaching could stop the
    /// container when the connection stalls.
    AtNewlines,
}

/// News of a log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogUpdate {
    /// Lines at its end.
    Lines(LineBatch),
    /// A part that was asked for.
    Page(Page),
    /// The unfinished line changed.
    Live(LiveLine),
    /// Its source does something else now.
    Status {
        /// Which of the merged containers.
        source: u8,
        /// What it does.
        status: LogStatus,
    },
    /// How a bar is seen.
    Bar(LiveBar),
    /// Lines were dropped here because the screen did not take them in time.
    Dropped(u64),
}

/// News of the log of that generation.
#[derive(Debug, Clone, PartialEq)]
pub struct LogNews {
    /// The number that [`LogCommand::Open`] gave.
    pub generation: u64,
    /// What is new.
    pub update: LogUpdate,
}
