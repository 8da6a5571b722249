//! The dashboard: terminal session, event loop, state, update, keymap, views.
//!
//! A key's way: terminal bytes -> [`input`] -> [`keymap`] (data) -> [`Action`] -> `update(state, event, now)` (pure)
//! -> [`Effect`]s, run as tasks -> [`Outcome`]s -> update again. Views are functions from state to cells.

pub mod action;
pub(crate) mod building;
pub mod config;
pub mod dashboard;
pub mod effect;
pub mod encode;
pub mod event;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod fixture_images;
mod fmt;
pub mod form;
pub mod input;
pub mod keymap;
pub mod launching;
pub mod live;
mod live_launch;
pub mod logs;
pub mod preferences;
pub mod run;
pub mod runner;
pub mod screen;
pub mod session;
mod state;
pub mod theme;
mod update;
mod views;
mod widgets;

pub use action::Action;
pub use dashboard::Dashboard;
pub use effect::{Effect, Outcome};
pub use event::{Event, MouseEvent, MouseKind};
pub use keymap::{Key, KeyPress, Keymap, Mode};
pub use state::launches::{Keep, Launches, Preset};
pub use state::{Focus, Page, State, StateConfig, Tab};
pub use theme::Theme;
pub use update::update;
pub use views::{Regions, Target, draw};
