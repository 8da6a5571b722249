//! The binary as users run it: its commands, and the dashboard in a pseudo-terminal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic: that is how it fails"
)]

#[path = "e2e/cli_build.rs"]
mod cli_build;
#[path = "e2e/cli_check.rs"]
mod cli_check;
#[path = "e2e/cli_commands.rs"]
mod cli_commands;
#[path = "e2e/cli_init.rs"]
mod cli_init;
#[path = "e2e/cli_lists.rs"]
mod cli_lists;
#[path = "e2e/cli_picture.rs"]
mod cli_picture;
#[path = "e2e/cli_run.rs"]
mod cli_run;
#[allow(
    dead_code,
    reason = "support code, not all of it is used in every test binary"
)]
#[path = "support/docker.rs"]
mod docker;
#[allow(
    dead_code,
    reason = "support code, not all of it is used in every test binary"
)]
#[path = "engine/engine_rig.rs"]
mod engine_rig;
#[path = "e2e/launch_form.rs"]
mod launch_form;
#[allow(
    dead_code,
    reason = "support code, not all of it is used in every test binary"
)]
#[path = "support/nvml.rs"]
mod nvml;
#[path = "e2e/proof_ends.rs"]
mod proof_ends;
#[path = "e2e/proof_faults.rs"]
mod proof_faults;
#[path = "e2e/proof_hostile.rs"]
mod proof_hostile;
#[path = "e2e/proof_rows.rs"]
mod proof_rows;
#[allow(
    dead_code,
    reason = "support code, not all of it is used in every test binary"
)]
#[path = "support/pty.rs"]
mod pty;
#[path = "support/svg.rs"]
mod svg;
#[path = "e2e/term_probe.rs"]
mod term_probe;
#[path = "e2e/term_session.rs"]
mod term_session;
