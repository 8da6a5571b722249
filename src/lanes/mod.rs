//! The ways by which a datum travels between threads, and what happens when its reader is slow.
//!
//! - [`Slot`]: newest wins (samples). A slow reader sees the latest value alone.
//! - [`Queue`]: in order, bounded (events, outcomes, keys). An overflow is counted and told, so that the
//!   reader can ask for the whole truth again.
//! - [`Waker`]: what a reader of several lanes sleeps on.

mod queue;
mod slot;
mod waker;

pub use queue::{Drained, Queue};
pub use slot::Slot;
pub use waker::Waker;
