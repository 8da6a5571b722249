//! Tests against the fakes: the fake engine, the fake NVML, described procfs and sysfs trees.

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
#[path = "fakes/gpu_basic.rs"]
mod gpu_basic;
