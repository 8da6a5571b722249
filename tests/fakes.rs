//! Tests against the fakes: the fake engine, the fake NVML, described procfs and sysfs trees.

#[path = "support/nvml.rs"]
#[allow(dead_code, reason = "support for more tests than those here")]
mod nvml;

#[path = "fakes/gpu_basic.rs"]
mod gpu_basic;
