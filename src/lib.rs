//! midwatch: a GPU-aware terminal dashboard for Docker.
//!
//! The library behind the `midwatch` binary. Arrows point down only (a test holds it): `tui` and `cli`
//! use `watch` and the services (`engine`, `gpu`, `host`, `demo`); services use `join`, `logs`, `lanes`
//! and `model`; those use nothing of ours but `model` and `lanes`.

// serde_json's `json!` recurses once a token: the simulated engine's inspect has many.
#![recursion_limit = "512"]

pub mod build;
pub mod check;
pub mod cli;
pub mod demo;
pub mod engine;
pub mod failures;
pub mod gpu;
pub mod host;
pub mod inspect;
pub mod join;
pub mod lanes;
pub mod launch;
pub mod launcher;
pub mod logs;
pub mod model;
pub mod trace;
pub mod tui;
pub mod verdict;
pub mod watch;
