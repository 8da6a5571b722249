//! midwatch: a GPU-aware terminal dashboard for Docker.
//!
//! The library behind the `midwatch` binary. Arrows point down only (a test holds it): `tui` and `cli`
//! use `watch` and the services (`engine`, `gpu`, `host`, `demo`); services use `join`, `logs`, `lanes`
//! and `model`; those use nothing of ours but `model` and `lanes`.

pub mod cli;
pub mod engine;
pub mod host;
pub mod join;
pub mod lanes;
pub mod logs;
pub mod model;
pub mod trace;
pub mod tui;
pub mod watch;
