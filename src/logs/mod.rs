//! Text from containers, made safe and bounded: frames to lines, `\r`, colours, search. Pure.
//!
//! A log's way: bytes of the engine -> [`LogReader`] ([`frame`]: frames, [`stamp`]: times, [`assemble`]:
//! lines) -> [`LineBatch`]es in [`LogNews`] through the [`LogLane`] -> [`LogBuffer`] on the screen's side.

pub mod assemble;
mod batch;
mod buffer;
mod cells;
mod command;
pub mod frame;
mod lane;
mod live;
mod matcher;
mod reader;
pub mod sgr;
pub mod stamp;

pub use batch::{BATCH_BYTES, LINE_COST, Line, LineBatch};
pub use buffer::{Limits, LogBuffer};
pub use command::{
    LiveBar, LiveLine, LogCommand, LogNews, LogStatus, LogTarget, LogUpdate, Page, PageKind, Place,
};
pub use frame::Stream;
pub use lane::{LaneDrained, LogLane};
pub use live::LiveTail;
pub use matcher::{Matcher, PatternKind};
pub use reader::{Before, LogReader, Skip};
pub use stamp::LineTime;
