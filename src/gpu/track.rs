//! What is remembered of one GPU from visit to visit. It travels: the supervisor lends it to the thread that
//! visits the GPU, so nothing is shared and nothing locked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Gpu, GpuKey, GpuProcess, GpuState, GpuUuid, HostId, Stamp};

use super::raw::{Buffers, ListVersion, RawProcess, RawSample};

/// What can be asked of a GPU. One that is not supported is never asked for again in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Metric {
    Name,
    Brand,
    Architecture,
    Capability,
    Utilization,
    MemoryV2,
    MemoryV1,
    Temperature,
    MemoryTemperature,
    Slowdown,
    Power,
    PowerLimit,
    Energy,
    SmClock,
    MemoryClock,
    Throttle,
    Fan,
    PcieGen,
    PcieGenMax,
    PcieWidth,
    PcieWidthMax,
    PerformanceState,
    ComputeMode,
    Persistence,
    EccVolatile,
    EccAggregate,
    RemappedRows,
    MigMode,
    Compute,
    Graphics,
    Mps,
    Samples,
}

/// A set of metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Metrics(u64);

impl Metrics {
    pub fn add(&mut self, metric: Metric) {
        self.0 |= 1 << metric as u8;
    }

    pub fn remove(&mut self, metric: Metric) {
        self.0 &= !(1 << metric as u8);
    }

    pub fn has(self, metric: Metric) -> bool {
        self.0 & (1 << metric as u8) != 0
    }
}

/// A process's newest utilization.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy {
    /// Percent.
    pub sm: u32,
    /// When it was read, on our monotonic clock.
    pub read: Duration,
}

/// One GPU's memory between visits.
#[derive(Debug)]
pub(super) struct Track {
    /// NVML's index in this session.
    pub index: u32,
    /// The GPU as it is to be shown.
    pub gpu: Gpu,
    /// Its processes.
    pub processes: Vec<GpuProcess>,
    /// Whether UUID, address and name were read.
    pub known: bool,
    /// What this GPU lacks.
    pub unsupported: Metrics,
    /// Newest utilization sample seen, µs since 1970; 0: none yet.
    pub last_seen: u64,
    /// Utilization by pid.
    pub busy: HashMap<u32, Busy>,
    /// When the slow metrics were read.
    pub slow_read: Option<Duration>,
    /// Process-list layout in use.
    pub list_version: ListVersion,
    /// MIG slots in use: slot, and where it is in `gpu.mig_instances`.
    pub mig_slots: Vec<u32>,
    /// File that says whether the GPU sleeps; `None` where it never does.
    pub runtime_status: Option<PathBuf>,
    /// Visits in a row that failed.
    pub failures: u32,
    /// When the last of them ended.
    pub failed_at: Duration,
    /// Visits it stays on a thread of its own, after it was slow.
    pub solo_visits: u8,
    /// Lists are read into these.
    pub buffers: Buffers,
    /// Processes of one visit.
    pub raw: Vec<RawProcess>,
    /// Samples of one visit.
    pub samples: Vec<RawSample>,
}

impl Track {
    /// A GPU that was not visited yet. `address` is where it seems to be, by its index.
    pub fn new(
        index: u32,
        host: HostId,
        address: Option<&str>,
        list_version: ListVersion,
        now: Stamp,
    ) -> Self {
        let pci = address.unwrap_or("unknown");
        let uuid = address.map_or_else(|| format!("index-{index}"), |a| format!("PCI-{a}"));
        let key = GpuKey {
            host,
            uuid: GpuUuid::new(&uuid),
        };
        let mut gpu = empty_gpu(key, pci, now);
        gpu.index = Some(index);
        Self {
            index,
            gpu,
            processes: Vec::new(),
            known: false,
            unsupported: Metrics::default(),
            last_seen: 0,
            busy: HashMap::new(),
            slow_read: None,
            list_version,
            mig_slots: Vec::new(),
            runtime_status: None,
            failures: 0,
            failed_at: Duration::ZERO,
            solo_visits: 0,
            buffers: Buffers::default(),
            raw: Vec::new(),
            samples: Vec::new(),
        }
    }
}

impl Track {
    /// Whether it is to be left alone for now: asking a dead GPU again makes the driver try to bring it up, which
    /// takes seconds and fills the kernel log. The first wait is `retry`, doubled up to 32 times as long.
    pub fn rests(&self, retry: Duration) -> bool {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return false;
        };
        let wait = retry * 2_u32.pow(doublings.min(5));
        Stamp::now().mono.saturating_sub(self.failed_at) < wait
    }

    /// Notes how a visit ended.
    pub fn visited(&mut self) {
        if self.gpu.state == GpuState::Ok || is_asleep(&self.gpu.state) {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            self.failed_at = Stamp::now().mono;
        }
    }

    /// Whether the slow metrics are to be asked for again.
    pub fn slow_due(&self, every: Duration) -> bool {
        self.slow_read
            .is_none_or(|at| Stamp::now().mono.saturating_sub(at) >= every)
    }
}

/// How the state of a sleeping GPU begins.
pub(super) const ASLEEP: &str = "asleep: ";

/// Whether the state is that of a GPU that sleeps.
pub(super) fn is_asleep(state: &GpuState) -> bool {
    matches!(state, GpuState::Error(text) if text.starts_with(ASLEEP))
}

/// A GPU of which nothing but key and address is known.
pub(super) fn empty_gpu(key: GpuKey, pci_bus_id: &str, now: Stamp) -> Gpu {
    Gpu::silent(key, None, "NVIDIA GPU", pci_bus_id, now)
}

/// Takes away what changes with time and is no longer true: for a GPU that does not answer any more.
pub(super) fn forget_readings(gpu: &mut Gpu) {
    let bare = empty_gpu(gpu.key.clone(), &gpu.pci_bus_id, gpu.sampled);
    let old = std::mem::replace(gpu, bare);
    gpu.index = old.index;
    gpu.name = old.name;
    gpu.brand = old.brand;
    gpu.architecture = old.architecture;
    gpu.compute_capability = old.compute_capability;
    gpu.state = old.state;
    gpu.unified_memory = old.unified_memory;
}
