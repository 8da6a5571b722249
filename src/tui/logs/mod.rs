//! The Logs tab: its state (pure) and its picture (a function of state and area).
//!
//! For `update`: [`LogsState::open`], [`LogsState::close`], [`LogsState::handle`] for actions,
//! [`LogsState::key`] while [`LogsState::wants_text`], [`LogsState::absorb`] for news of the log lane.
//! For the frame: [`draw`], and its [`Viewport`] back through [`LogsState::set_viewport`].

mod act;
mod export;
mod header;
mod line;
mod screen;
mod state;
mod view;

pub use header::{Part, Tone};
pub use screen::Viewport;
pub use state::{LogsState, Since};
pub use view::draw;

#[cfg(test)]
mod tests;
