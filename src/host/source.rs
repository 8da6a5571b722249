//! The thread that reads the machine: one round an interval, and at once what is new.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::lanes::{Slot, Waker};
use crate::model::{ContainerKey, HostId, HostReport, ProcSnapshot, Stamp, UsageSnapshot};

use super::lookup::Lookup;
use super::mounts::CgroupMounts;
use super::procfs::Procfs;
use super::read;
use super::report::Machine;
use super::rounds::{Containers, Processes};
use super::users::Users;

/// Rounds between two readings of load and memory.
const REPORT_EVERY: u32 = 5;

/// Descriptors left to the rest of the program.
const DESCRIPTORS_RESERVED: u64 = 512;

/// The most descriptors asked of the system.
const DESCRIPTORS_WANTED: u64 = 8192;

/// Where and how often to read.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Usually `/proc`.
    pub procfs: PathBuf,
    /// Usually `/sys`.
    pub sysfs: PathBuf,
    /// The host the keys name.
    pub host: HostId,
    /// Time between two rounds.
    pub interval: Duration,
    /// How long nothing is read at the start, so that what matters more has the processors to itself.
    pub head_start: Duration,
}

/// Where the readings go.
#[derive(Debug, Clone)]
pub struct HostLanes {
    /// Usage of containers proven to run here.
    pub usage: Slot<UsageSnapshot>,
    /// Owners of GPU processes.
    pub procs: Slot<ProcSnapshot>,
    /// The machine.
    pub report: Slot<HostReport>,
}

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTargets {
    /// Running containers with their main process's pid.
    pub containers: Vec<(ContainerKey, u32)>,
    /// Pids that hold a GPU.
    pub gpu_pids: Vec<u32>,
}

#[derive(Debug, Default)]
struct Orders {
    targets: Option<HostTargets>,
    interval: Option<Duration>,
    closed: bool,
}

/// Tells the thread what to read; when it is dropped the thread ends by itself. Nothing waits for it: a
/// reading may hang.
#[derive(Debug)]
pub struct HostHandle {
    orders: Arc<Mutex<Orders>>,
    waker: Waker,
}

impl HostHandle {
    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.waker.wake();
    }

    /// Replaces what is read. New containers get a first sample and new pids an owner at once.
    pub fn set_targets(&self, targets: HostTargets) {
        self.order(|orders| orders.targets = Some(targets));
    }

    /// Changes the time between two rounds.
    pub fn set_interval(&self, interval: Duration) {
        self.order(|orders| orders.interval = Some(interval));
    }
}

impl Drop for HostHandle {
    fn drop(&mut self) {
        self.order(|orders| orders.closed = true);
    }
}

/// Starts the thread `midwatch-host`. Where no thread can be had nothing is ever read, and the lanes stay
/// empty.
pub fn start(config: HostConfig, lanes: HostLanes) -> HostHandle {
    let orders: Arc<Mutex<Orders>> = Arc::default();
    let waker = Waker::new();
    let handle = HostHandle {
        orders: Arc::clone(&orders),
        waker: waker.clone(),
    };
    let spawned = std::thread::Builder::new()
        .name("midwatch-host".to_owned())
        .stack_size(256 << 10)
        .spawn(move || {
            std::thread::sleep(config.head_start);
            Source::new(config, lanes, waker).run(&orders);
        });
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot start the host thread");
    }
    handle
}

struct Source {
    config: HostConfig,
    lanes: HostLanes,
    waker: Waker,
    procfs: Procfs,
    machine: Machine,
    containers: Containers,
    processes: Processes,
    lookup: Lookup,
    report: HostReport,
}

impl Source {
    fn new(config: HostConfig, lanes: HostLanes, waker: Waker) -> Self {
        let procfs = Procfs::open(&config.procfs);
        let mut machine = Machine::new(&config.procfs, &config.sysfs);
        let report = machine.report();
        let mountinfo =
            read::text(&config.procfs.join("self/mountinfo"), 4 << 20).unwrap_or_default();
        let mounts = CgroupMounts::parse(&mountinfo);
        Self {
            containers: Containers::new(mounts, report.memory_total_bytes, descriptors()),
            processes: Processes::new(config.host, Users::new(&passwd(&procfs))),
            lookup: Lookup::new(&config.procfs, waker.clone()),
            procfs,
            machine,
            report,
            config,
            lanes,
            waker,
        }
    }

    fn run(mut self, orders: &Mutex<Orders>) {
        self.lanes.report.put(self.report.clone());
        if self.procfs.blind().is_some() {
            self.publish_processes(Stamp::now());
        }
        let mut due = Stamp::now().mono;
        let mut count = 0u32;
        loop {
            let now = Stamp::now();
            let left = due.saturating_sub(now.mono);
            if !left.is_zero() {
                self.waker.wait(Some(left));
            }
            let taken = {
                let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *orders)
            };
            if taken.closed {
                return;
            }
            if let Some(interval) = taken.interval {
                self.config.interval = interval;
            }
            if let Some(targets) = taken.targets {
                self.take_targets(&targets);
            }
            if self.processes.answers(&self.lookup) {
                self.publish_processes(Stamp::now());
            }
            let now = Stamp::now();
            if now.mono >= due {
                self.round(now, count);
                count = count.wrapping_add(1);
                // From this round's own time on: after a suspension no round is made up for.
                due = now.mono + self.config.interval;
            }
        }
    }

    fn take_targets(&mut self, targets: &HostTargets) {
        let now = Stamp::now();
        if self
            .processes
            .set(&targets.gpu_pids, &mut self.procfs, &self.lookup)
        {
            self.publish_processes(now);
        }
        self.containers.set(&targets.containers, now);
        self.usage(now, true);
    }

    fn round(&mut self, now: Stamp, count: u32) {
        self.usage(now, false);
        if self.processes.round(&mut self.procfs, &self.lookup) {
            self.publish_processes(now);
        }
        if count % REPORT_EVERY == REPORT_EVERY - 1 {
            let report = self.machine.report();
            if report != self.report {
                self.report = report;
                self.lanes.report.put(self.report.clone());
            }
        }
    }

    fn usage(&mut self, now: Stamp, only_new: bool) {
        let mut snapshot =
            self.containers
                .round(&mut self.procfs, now, self.config.interval, only_new);
        // What nobody has taken yet must not be lost: a round may follow a first sample at once.
        if let Some(waiting) = self.lanes.usage.take() {
            let here: Vec<ContainerKey> = snapshot.entries.iter().map(|e| e.key).collect();
            snapshot.entries.extend(
                waiting
                    .entries
                    .into_iter()
                    .filter(|e| !here.contains(&e.key) && snapshot.local.contains(&e.key)),
            );
        }
        if !snapshot.local.is_empty() || !snapshot.not_local.is_empty() {
            self.lanes.usage.put(snapshot);
        }
    }

    fn publish_processes(&mut self, now: Stamp) {
        self.lanes
            .procs
            .put(self.processes.snapshot(&self.procfs, &self.lookup, now));
    }
}

/// The passwd file of the machine that procfs shows: from inside a container its first process's, where that
/// may be read.
fn passwd(procfs: &Procfs) -> PathBuf {
    let own = PathBuf::from("/etc/passwd");
    if procfs.root() == Path::new("/proc") && !procfs.namespaced() {
        return own;
    }
    let theirs = procfs.root().join("1/root/etc/passwd");
    if theirs.is_file() { theirs } else { own }
}

/// How many descriptors the readings may keep open; asks the system for more where the limit is low.
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let mut current = limit.current.unwrap_or(u64::MAX);
    let wanted = DESCRIPTORS_WANTED.min(limit.maximum.unwrap_or(u64::MAX));
    if current < wanted {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            current = wanted;
        }
    }
    usize::try_from(current.saturating_sub(DESCRIPTORS_RESERVED)).unwrap_or(usize::MAX)
}
