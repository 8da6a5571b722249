//! Against a real Docker engine, and the machine's own side of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic: that is how it fails"
)]

#[path = "engine/builds.rs"]
mod builds;
#[path = "engine/engine_docker.rs"]
mod engine_docker;
#[path = "engine/engine_launch.rs"]
mod engine_launch;
#[path = "engine/engine_life.rs"]
mod engine_life;
#[path = "engine/engine_pull.rs"]
mod engine_pull;
#[path = "engine/engine_rig.rs"]
mod engine_rig;
#[path = "engine/engine_scan.rs"]
mod engine_scan;
#[path = "engine/host_docker.rs"]
mod host_docker;
#[path = "engine/host_stats.rs"]
mod host_stats;
#[path = "engine/host_trees.rs"]
mod host_trees;
#[path = "engine/host_v2.rs"]
mod host_v2;
#[path = "engine/launch_cli.rs"]
mod launch_cli;
#[path = "engine/logs_rig.rs"]
mod logs_rig;
#[path = "engine/logs_service.rs"]
mod logs_service;
#[path = "engine/logs_shell.rs"]
mod logs_shell;

#[path = "engine/registry_rig.rs"]
mod registry_rig;
#[path = "engine/wheels.rs"]
mod wheels;

#[path = "support/procfs.rs"]
mod procfs;
