//! What a container spends: CPU, memory, network, block I/O, pids.

use super::{ContainerKey, Stamp};

/// Where a usage sample was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// Cgroup files and procfs of this machine.
    Cgroup,
    /// The engine's statistics endpoint.
    Engine,
}

/// One container's usage. What cannot be read is `None`, never 0.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerUsage {
    /// Which container.
    pub key: ContainerKey,
    /// When it was read.
    pub at: Stamp,
    /// Where it was read.
    pub source: UsageSource,
    /// CPU, percent of one core, over the time since the last sample; `None` in the first one.
    pub cpu_percent: Option<f64>,
    /// Memory as `docker stats` counts it: usage less inactive file cache, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Memory limit, bytes; the machine's memory where it has none.
    pub memory_limit_bytes: Option<u64>,
    /// Received over all interfaces since the start, bytes.
    pub network_rx_bytes: Option<u64>,
    /// Sent over all interfaces since the start, bytes.
    pub network_tx_bytes: Option<u64>,
    /// Read from block devices since the start, bytes.
    pub block_read_bytes: Option<u64>,
    /// Written to block devices since the start, bytes.
    pub block_write_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processes the kernel killed for memory inside this container's cgroup since it was made.
    pub oom_kills: Option<u64>,
}

/// The usage of all containers that were looked at in one round, newest wins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UsageSnapshot {
    /// By container.
    pub entries: Vec<ContainerUsage>,
    /// Containers proven to run on this machine: `/proc/<pid>/cgroup` names their full id.
    pub local: Vec<ContainerKey>,
    /// Running containers that were looked for and are not on this machine.
    pub not_local: Vec<ContainerKey>,
    /// Milliseconds between two rounds, for the screen to say.
    pub interval_ms: u64,
}

/// What the machine itself says, newest wins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostReport {
    /// Host name.
    pub hostname: String,
    /// Logical CPUs.
    pub cpus: u32,
    /// Whole memory, bytes.
    pub memory_total_bytes: Option<u64>,
    /// Memory not available to new programs, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Load over one minute.
    pub load_1m: Option<f64>,
}
