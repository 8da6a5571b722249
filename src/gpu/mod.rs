//! NVML: every GPU of this machine, its processes and its Xid events.
//!
//! [`start`] runs the source on threads of its own and never fails: what is wrong is in the snapshots. One thread
//! supervises and never calls NVML; one visits the GPUs in turn. A GPU whose visit outlasts the deadline keeps
//! that thread for itself and a new one goes on with the others. Nothing ever waits for a hung thread.
//!
//! The fast metrics are read each interval, the slow ones (ECC, PCIe link, limits, modes, MIG layout) each slow
//! interval; PCIe throughput, which blocks 20 ms a counter, never. What a GPU does not support is asked once in
//! the life of an opening. While GPUs are lost NVML is opened anew from time to time, so that one that comes back
//! is seen.

#![allow(
    clippy::vec_box,
    reason = "what is remembered of a GPU goes from thread to thread by its address"
)]

mod fault;
mod kmsg;
mod mig;
mod nvrm;
mod pci;
mod picture;
mod problem;
mod processes;
mod progress;
mod raw;
mod rounds;
mod session;
mod supervisor;
mod track;
mod visit;
mod worker;
mod xid;
mod xid_table;

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::lanes::{Queue, Slot, Waker};
use crate::model::{DriverStatus, GpuSnapshot, HostId, Stamp, XidEvent};

use supervisor::{Message, Supervisor};
pub use xid_table::{XidExplanation, XidSeverity, explain};

/// Where and how often to look.
#[derive(Debug, Clone)]
pub struct GpuConfig {
    /// Library to load; `None`: `libnvidia-ml.so.1` by the loader's rules.
    pub nvml_path: Option<PathBuf>,
    /// Root of procfs.
    pub procfs: PathBuf,
    /// Root of sysfs.
    pub sysfs: PathBuf,
    /// The kernel log.
    pub kmsg: PathBuf,
    /// This machine, for the keys.
    pub host: HostId,
    /// Time between rounds.
    pub interval: Duration,
    /// Time between two readings of the slow metrics.
    pub slow_interval: Duration,
    /// A visit to a GPU that takes longer is left behind.
    pub deadline: Duration,
    /// An opening of NVML that takes longer is told as "does not answer" (and still waited for). Without
    /// persistence mode it takes seconds.
    pub open_deadline: Duration,
    /// First wait before NVML is tried again; doubled after each failure, up to 32 times as long.
    pub retry: Duration,
    /// How long nothing is read at the start, so that what matters more has the processors to itself.
    pub head_start: Duration,
}

impl Default for GpuConfig {
    fn default() -> Self {
        Self {
            nvml_path: None,
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            kmsg: PathBuf::from("/dev/kmsg"),
            host: HostId::default(),
            interval: Duration::from_secs(1),
            slow_interval: Duration::from_secs(10),
            deadline: Duration::from_millis(2_500),
            open_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            head_start: Duration::ZERO,
        }
    }
}

/// Where the news goes.
#[derive(Debug, Clone)]
pub struct GpuLanes {
    /// The newest picture.
    pub snapshot: Slot<GpuSnapshot>,
    /// Xid events in the order they were read; earlier ones from the kernel log first.
    pub xids: Queue<XidEvent>,
}

/// The running source. Dropping it ends the source; nothing is waited for.
#[derive(Debug)]
pub struct GpuHandle {
    commands: Sender<Message>,
}

impl GpuHandle {
    /// Lets go of NVML (`true`), so that a GPU reset, a MIG change or a driver upgrade can go on; or takes it again
    /// (`false`), which loads the library anew. The snapshot says `Released` once the library is unloaded.
    pub fn release(&self, release: bool) {
        let _ = self.commands.send(Message::Release(release));
    }

    /// Sets the time between rounds (not less than 100 ms).
    pub fn set_interval(&self, interval: Duration) {
        let interval = interval.max(Duration::from_millis(100));
        let _ = self.commands.send(Message::Interval(interval));
    }
}

impl Drop for GpuHandle {
    fn drop(&mut self) {
        let _ = self.commands.send(Message::Stop);
    }
}

/// Starts the source.
pub fn start(config: GpuConfig, lanes: GpuLanes) -> GpuHandle {
    let (commands, rx) = channel();
    let tx = commands.clone();
    // Without a thread there is no snapshot, and the screen says that it waits for the driver.
    let _ = thread::Builder::new()
        .name("gpu".to_owned())
        .spawn(move || Supervisor::new(config, lanes, rx, tx).run());
    GpuHandle { commands }
}

/// One picture for headless use: two rounds, so that processes have their utilization. Waits at most `timeout`,
/// and returns what is known by then; where NVML cannot be used it returns at once.
pub fn sample_once(config: &GpuConfig, timeout: Duration) -> GpuSnapshot {
    sample_with_xids(config, timeout).0
}

/// As [`sample_once`], with the Xid events that were told meanwhile (those in the kernel log).
pub fn sample_with_xids(config: &GpuConfig, timeout: Duration) -> (GpuSnapshot, Vec<XidEvent>) {
    /// Time between the two rounds: longer than the driver's sample period of 1/6 s.
    const BETWEEN: Duration = Duration::from_millis(200);
    let waker = Waker::new();
    let lanes = GpuLanes {
        snapshot: Slot::new(waker.clone()),
        xids: Queue::new(4_096, waker.clone()),
    };
    let config = GpuConfig {
        interval: BETWEEN,
        ..config.clone()
    };
    let handle = start(config, lanes.clone());
    let end = Instant::now() + timeout;
    let mut newest = None;
    let mut rounds = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        waker.wait(Some(left));
        if let Some(snapshot) = lanes.snapshot.take() {
            rounds += u32::from(matches!(snapshot.driver, DriverStatus::Up(_)));
            let down = matches!(snapshot.driver, DriverStatus::Down(_));
            newest = Some(snapshot);
            if down || rounds >= 2 {
                break;
            }
        }
        if left.is_zero() {
            break;
        }
    }
    drop(handle);
    let snapshot = newest.unwrap_or_else(|| GpuSnapshot::starting(Stamp::now()));
    (snapshot, lanes.xids.drain().items.into())
}
