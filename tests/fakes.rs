//! Tests against the fakes: the fake engine, the fake NVML, described procfs and sysfs trees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test may panic: that is how it fails"
)]

#[path = "support/nvml.rs"]
#[allow(dead_code, reason = "support for more tests than those here")]
mod nvml;

#[path = "support/fake_engine.rs"]
#[allow(dead_code, reason = "support for more tests than those here")]
mod fake_engine;

#[path = "fakes/demo_engine.rs"]
mod demo_engine;
#[path = "fakes/demo_faults.rs"]
mod demo_faults;
#[path = "fakes/demo_launch.rs"]
mod demo_launch;
#[path = "fakes/engine_faults.rs"]
mod engine_faults;
#[path = "engine/engine_rig.rs"]
#[allow(dead_code, reason = "support for more tests than those here")]
mod engine_rig;
#[path = "fakes/export_faults.rs"]
mod export_faults;
#[path = "fakes/gpu_absence.rs"]
mod gpu_absence;
#[path = "fakes/gpu_basic.rs"]
mod gpu_basic;
#[path = "fakes/gpu_faults.rs"]
mod gpu_faults;
#[path = "fakes/gpu_metrics.rs"]
mod gpu_metrics;
#[path = "fakes/gpu_mig.rs"]
mod gpu_mig;
#[path = "fakes/gpu_release.rs"]
mod gpu_release;
#[path = "fakes/gpu_soak.rs"]
mod gpu_soak;
#[path = "fakes/gpu_xid.rs"]
mod gpu_xid;
#[path = "fakes/launch_forms.rs"]
mod launch_forms;
#[path = "fakes/logs_faults.rs"]
mod logs_faults;
#[path = "engine/logs_rig.rs"]
#[allow(dead_code, reason = "support for more tests than those here")]
mod logs_rig;
#[path = "fakes/long_night.rs"]
mod long_night;
