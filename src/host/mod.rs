//! The machine itself: which container a process is in, what containers spend, load and memory.
//!
//! One thread reads procfs and the cgroup files of containers that are proven to run here. What cannot be
//! read is said to be unknown, never 0. Uses `model` and `lanes`; `watch` starts it.

mod cgroup;
mod lookup;
mod mounts;
mod owner;
mod procfs;
mod read;
mod report;
mod rounds;
mod signal;
mod source;
mod toolkit;
mod users;

pub use cgroup::{CgroupFiles, Reading};
pub use lookup::Lookup;
pub use mounts::{CgroupMounts, ContainerDirs, Dir};
pub use procfs::{Procfs, Stat};
pub use rounds::{Containers, Processes};
pub use signal::signal_process;
pub use source::{HostConfig, HostHandle, HostLanes, HostTargets, start};
pub use toolkit::Toolkit;
pub use users::Users;
