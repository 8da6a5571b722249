//! The dashboard: terminal session, event loop, state, update, keymap, views.
//!
//! A key's way: crossterm event -> [`keymap`] (data) -> [`Action`] -> `update(state, event, now)` (pure)
//! -> [`Effect`]s, run as tasks -> [`Outcome`]s -> update again. Views are functions from state to cells.

pub mod action;
pub mod effect;
pub mod preferences;

pub use action::Action;
pub use effect::{Effect, Outcome};
