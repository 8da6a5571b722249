//! The world: the newest truth about engine, containers, GPUs and processes, folded from news.
//!
//! Pure: time is an argument, and nothing here waits. Data of a source that went away stays, with its age.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use crate::host::Toolkit;
use crate::join::{self, JoinInput, Joined};
use crate::model::{
    Container, ContainerDetail, ContainerKey, ContainerState, ContainerUsage, DriverStatus,
    EngineEvent, EngineNews, EngineStatus, GpuGrant, GpuKey, GpuSnapshot, HostId, HostReport,
    Image, ProcSnapshot, Stamp, UsageSnapshot, XidEvent,
};

use super::charts::{ContainerChart, GpuChart};

/// Events and Xids kept for the screen.
const RECENT: usize = 256;

/// Whether the engine's containers run on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locality {
    /// No running container has been looked at yet.
    #[default]
    Unknown,
    /// A container's cgroup was found here.
    Proven,
    /// Running containers were looked for and none was found.
    Elsewhere,
}

/// Per-second rates between the last two samples, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Network, received.
    pub network_rx: Option<f64>,
    /// Network, sent.
    pub network_tx: Option<f64>,
    /// Block devices, read.
    pub block_read: Option<f64>,
    /// Block devices, written.
    pub block_write: Option<f64>,
}

/// A container with its newest usage.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What the engine says.
    pub container: Container,
    /// What it spends; `None` until the first sample, and after it stopped.
    pub usage: Option<ContainerUsage>,
    /// Rates.
    pub rates: Rates,
    /// Whether it was proven to run on this machine.
    pub local: bool,
    /// When its state last changed before our eyes (for a short highlight); `None` at first sight.
    pub changed: Option<Stamp>,
}

/// What a fold changed, so that the loop knows whether a frame or new targets are owed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Something that a view may show.
    pub visible: bool,
    /// The set of running containers, their pids, or the GPU pids.
    pub targets: bool,
}

impl Changes {
    /// Either's changes.
    pub fn merge(&mut self, other: Changes) {
        self.visible |= other.visible;
        self.targets |= other.targets;
    }
}

/// The newest truth.
#[derive(Debug, Clone)]
pub struct World {
    /// Which host this is.
    pub host: HostId,
    /// The engine.
    pub engine: EngineStatus,
    /// Containers by key.
    pub rows: BTreeMap<ContainerKey, Row>,
    /// When the rows were last known to be true; `None` before the first list.
    pub listed: Option<Stamp>,
    /// Images, once asked for.
    pub images: Option<Vec<Image>>,
    /// NVML's last round; `None` before the first.
    pub gpus: Option<GpuSnapshot>,
    /// The GPU processes in procfs.
    pub procs: Option<ProcSnapshot>,
    /// Xid events, oldest first.
    pub xids: VecDeque<XidEvent>,
    /// Engine events, oldest first.
    pub events: VecDeque<EngineEvent>,
    /// The machine.
    pub report: HostReport,
    /// The NVIDIA Container Toolkit of this machine; `None` until it was looked for.
    pub toolkit: Option<Toolkit>,
    /// Milliseconds between statistics rounds, and whether the engine is the source.
    pub usage_interval_ms: Option<u64>,
    /// Whether containers run on this machine.
    pub locality: Locality,
    /// Given and used.
    pub joined: Joined,
    /// Containers' last hour.
    pub container_charts: HashMap<ContainerKey, ContainerChart>,
    /// GPUs' last hour.
    pub gpu_charts: HashMap<GpuKey, GpuChart>,
    last_chart: Option<Duration>,
}

impl World {
    /// A world in which nothing has been heard yet.
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            engine: EngineStatus::Connecting {
                endpoint: String::new(),
            },
            rows: BTreeMap::new(),
            listed: None,
            images: None,
            gpus: None,
            procs: None,
            xids: VecDeque::new(),
            events: VecDeque::new(),
            report: HostReport::default(),
            toolkit: None,
            usage_interval_ms: None,
            locality: Locality::Unknown,
            joined: Joined::default(),
            container_charts: HashMap::new(),
            gpu_charts: HashMap::new(),
            last_chart: None,
        }
    }

    /// Folds one piece of engine news.
    pub fn engine_news(&mut self, news: EngineNews, now: Stamp) -> Changes {
        self.all_engine_news([news], now)
    }

    /// Folds engine news that came together: what depends on all of it is found out once.
    pub fn all_engine_news(
        &mut self,
        news: impl IntoIterator<Item = EngineNews>,
        now: Stamp,
    ) -> Changes {
        let mut changes = Changes::default();
        for item in news {
            changes.merge(self.fold_news(item, now));
        }
        if changes.targets {
            self.rejoin();
        }
        changes
    }

    fn fold_news(&mut self, news: EngineNews, now: Stamp) -> Changes {
        let mut changes = Changes {
            visible: true,
            targets: false,
        };
        match news {
            EngineNews::Connecting(endpoint) => {
                if !matches!(self.engine, EngineStatus::Down { .. }) {
                    self.engine = EngineStatus::Connecting { endpoint };
                }
            }
            EngineNews::Up(info) => self.engine = EngineStatus::Up(info),
            EngineNews::Down(problem) => self.engine_down(problem, now),
            EngineNews::Listed(containers) => {
                self.listed(containers, now);
                changes.targets = true;
            }
            EngineNews::Changed(container) => {
                self.upsert(*container, now);
                changes.targets = true;
            }
            EngineNews::Inspected(key, detail) => {
                if let Some(row) = self.rows.get_mut(&key) {
                    apply_detail(&mut row.container, detail);
                    changes.targets = true;
                }
            }
            EngineNews::Removed(key) => {
                self.rows.remove(&key);
                self.container_charts.remove(&key);
                changes.targets = true;
            }
            EngineNews::Images(images) => self.images = Some(images),
            EngineNews::Event(event) => push_recent(&mut self.events, event),
        }
        changes
    }

    fn engine_down(&mut self, problem: crate::model::Problem, now: Stamp) {
        let previous = std::mem::replace(
            &mut self.engine,
            EngineStatus::Connecting {
                endpoint: String::new(),
            },
        );
        let (info, since) = match previous {
            EngineStatus::Up(info) => (Some(info), now),
            EngineStatus::Down { info, since, .. } => (info, since),
            EngineStatus::Connecting { .. } => (None, now),
        };
        self.engine = EngineStatus::Down {
            info,
            problem,
            since,
        };
    }

    fn listed(&mut self, containers: Vec<Container>, now: Stamp) {
        let present: HashSet<ContainerKey> = containers.iter().map(|c| c.key).collect();
        self.rows.retain(|key, _| present.contains(key));
        self.container_charts.retain(|key, _| present.contains(key));
        for container in containers {
            self.upsert(container, now);
        }
        self.listed = Some(now);
    }

    fn upsert(&mut self, mut container: Container, now: Stamp) {
        match self.rows.get_mut(&container.key) {
            Some(row) => {
                if container.detail.is_none() {
                    container.detail = row.container.detail.take();
                }
                if row.container.state != container.state {
                    row.changed = Some(now);
                }
                if !container.state.is_live() {
                    row.usage = None;
                    row.rates = Rates::default();
                    row.local = false;
                }
                row.container = container;
            }
            None => {
                let changed = self.listed.map(|_| now);
                self.rows.insert(
                    container.key,
                    Row {
                        container,
                        usage: None,
                        rates: Rates::default(),
                        local: false,
                        changed,
                    },
                );
            }
        }
    }

    /// Folds a round of NVML.
    pub fn gpu_snapshot(&mut self, mut snapshot: GpuSnapshot, now: Stamp) -> Changes {
        if let (DriverStatus::Down(_) | DriverStatus::Starting | DriverStatus::Released, Some(old)) =
            (&snapshot.driver, &self.gpus)
            && snapshot.gpus.is_empty()
        {
            // The last known cards stay on the screen, with their age.
            snapshot.gpus.clone_from(&old.gpus);
        }
        let pids = |s: &GpuSnapshot| s.processes.iter().map(|p| p.pid).collect::<Vec<_>>();
        let targets = self.gpus.as_ref().map(&pids) != Some(pids(&snapshot));
        if !snapshot.gpus.is_empty() {
            // A card that was taken out, or an UUID that is no more, keeps no hour of its own.
            self.gpu_charts
                .retain(|key, _| snapshot.gpus.iter().any(|gpu| gpu.key == *key));
        }
        self.gpus = Some(snapshot);
        self.rejoin();
        self.chart(now);
        Changes {
            visible: true,
            targets,
        }
    }

    /// Folds a reading of procfs.
    pub fn proc_snapshot(&mut self, procs: ProcSnapshot) -> Changes {
        let visible = self
            .procs
            .as_ref()
            .is_none_or(|old| old.processes != procs.processes || old.blind != procs.blind);
        self.procs = Some(procs);
        if visible {
            self.rejoin();
        }
        Changes {
            visible,
            targets: false,
        }
    }

    /// Folds a round of container statistics.
    pub fn usage_snapshot(&mut self, snapshot: UsageSnapshot, now: Stamp) -> Changes {
        self.usage_interval_ms = Some(snapshot.interval_ms);
        if !snapshot.local.is_empty() {
            self.locality = Locality::Proven;
        } else if !snapshot.not_local.is_empty() {
            // Without sight of the host's processes nothing is proven either way.
            self.locality = if self.is_blind() {
                Locality::Unknown
            } else {
                Locality::Elsewhere
            };
        }
        let mut moved = false;
        for key in &snapshot.local {
            if let Some(row) = self.rows.get_mut(key) {
                moved |= !std::mem::replace(&mut row.local, true);
            }
        }
        for key in &snapshot.not_local {
            if let Some(row) = self.rows.get_mut(key) {
                moved |= std::mem::replace(&mut row.local, false);
            }
        }
        for usage in snapshot.entries {
            if let Some(row) = self.rows.get_mut(&usage.key) {
                if row.container.state == ContainerState::Exited {
                    continue;
                }
                row.rates = rates(row.usage.as_ref(), &usage);
                row.usage = Some(usage);
            }
        }
        if moved {
            self.rejoin();
        }
        self.chart(now);
        Changes {
            visible: true,
            targets: false,
        }
    }

    /// Folds a round of the engine's own statistics, for containers that are not proven to run here.
    pub fn engine_usage(&mut self, snapshot: UsageSnapshot, now: Stamp) -> Changes {
        self.usage_interval_ms = Some(snapshot.interval_ms);
        for usage in snapshot.entries {
            if let Some(row) = self.rows.get_mut(&usage.key).filter(|row| !row.local) {
                row.rates = rates(row.usage.as_ref(), &usage);
                row.usage = Some(usage);
            }
        }
        self.chart(now);
        Changes {
            visible: true,
            targets: false,
        }
    }

    /// Folds an Xid event; the same one told by NVML and the kernel log is kept once.
    pub fn xid(&mut self, event: XidEvent) -> Changes {
        let twice = self.xids.iter().any(|old| same_xid(old, &event));
        if !twice {
            let at = self
                .xids
                .iter()
                .rposition(|old| old.time <= event.time)
                .map_or(0, |i| i + 1);
            self.xids.insert(at, event);
            if self.xids.len() > RECENT {
                self.xids.pop_front();
            }
        }
        Changes {
            visible: !twice,
            targets: false,
        }
    }

    /// Folds what the machine says of itself.
    pub fn host_report(&mut self, report: HostReport) -> Changes {
        let visible = self.report != report;
        self.report = report;
        Changes {
            visible,
            targets: false,
        }
    }

    /// Whether our own pid namespace hides the host's processes.
    pub fn is_blind(&self) -> bool {
        self.procs.as_ref().is_some_and(|p| p.blind.is_some())
    }

    /// Whether verdicts may be told for this machine's GPUs: the engine's containers are proven to run here, or
    /// there is none to prove it by and a local engine gives this machine's name.
    pub fn judgeable(&self) -> bool {
        self.joinable()
            || (self.locality == Locality::Unknown
                && matches!(&self.engine, EngineStatus::Up(info)
                    if !info.remote_by_nature
                        && !self.report.hostname.is_empty()
                        && info.host_name.as_deref() == Some(&*self.report.hostname)))
    }

    /// Whether a container that was granted GPUs runs: the engine can give them.
    pub fn gives_gpus(&self) -> bool {
        self.rows.values().any(|row| {
            let grant = row.container.detail.as_ref().and_then(|d| d.grant.as_ref());
            row.container.state.is_live() && grant.is_some_and(GpuGrant::needs_runtime)
        })
    }

    /// Whether GPUs and containers may be joined: never for an engine that is not proven local.
    pub fn joinable(&self) -> bool {
        self.locality == Locality::Proven
            || matches!(&self.engine, EngineStatus::Up(info) if info.simulated)
    }

    fn rejoin(&mut self) {
        let Some(gpus) = &self.gpus else { return };
        let containers: Vec<&Container> = self.rows.values().map(|r| &r.container).collect();
        let simulated = matches!(&self.engine, EngineStatus::Up(info) if info.simulated);
        let proven = self.locality == Locality::Proven;
        let local = |key: &ContainerKey| {
            simulated
                || self
                    .rows
                    .get(key)
                    .is_some_and(|r| r.local || (proven && !r.container.state.is_live()))
        };
        self.joined = join::join(&JoinInput {
            containers: &containers,
            local: &local,
            gpus,
            procs: self.procs.as_ref(),
        });
    }

    /// Adds a second to every chart, at most once a second.
    fn chart(&mut self, now: Stamp) {
        let due = self
            .last_chart
            .is_none_or(|last| now.mono.saturating_sub(last) >= Duration::from_millis(950));
        if !due {
            return;
        }
        self.last_chart = Some(now.mono);
        for (key, row) in &self.rows {
            if !row.container.state.is_live() {
                continue;
            }
            let chart = self.container_charts.entry(*key).or_default();
            let usage = row.usage.as_ref();
            chart
                .cpu_percent
                .push(now, usage.and_then(|u| u.cpu_percent).map(|v| v as f32));
            chart.memory_bytes.push(
                now,
                usage.and_then(|u| u.memory_used_bytes).map(|v| v as f32),
            );
            let gpus = self
                .joined
                .containers
                .get(key)
                .filter(|g| !g.used.is_empty());
            chart
                .sm_percent
                .push_if_any(now, gpus.and_then(|g| g.sm_percent()).map(|v| v as f32));
            chart.gpu_memory_bytes.push_if_any(
                now,
                gpus.and_then(|g| g.memory_used_bytes()).map(|v| v as f32),
            );
        }
        for gpu in self.gpus.iter().flat_map(|s| &s.gpus) {
            let fresh = gpu.state == crate::model::GpuState::Ok;
            let chart = self.gpu_charts.entry(gpu.key.clone()).or_default();
            let told = |value: Option<f32>| value.filter(|_| fresh);
            chart
                .gpu_percent
                .push(now, told(gpu.gpu_percent.map(|v| v as f32)));
            chart
                .memory_bytes
                .push(now, told(gpu.memory.map(|m| m.used_bytes as f32)));
            chart
                .power_watts
                .push(now, told(gpu.power_watts.map(|v| v as f32)));
            chart
                .temperature_celsius
                .push(now, told(gpu.temperature_celsius.map(|v| v as f32)));
        }
    }
}

fn apply_detail(container: &mut Container, detail: Box<ContainerDetail>) {
    container.detail = Some(detail);
}

fn push_recent<T>(recent: &mut VecDeque<T>, item: T) {
    if recent.len() >= RECENT {
        recent.pop_front();
    }
    recent.push_back(item);
}

/// NVML and the kernel log tell the same Xid within seconds of each other.
fn same_xid(a: &XidEvent, b: &XidEvent) -> bool {
    let apart = a.time.duration_since(b.time).abs();
    a.xid == b.xid
        && a.xid.is_some()
        && a.source != b.source
        && crate::model::same_pci_address(&a.pci_bus_id, &b.pci_bus_id)
        && apart <= jiff::SignedDuration::from_secs(5)
}

fn rates(old: Option<&ContainerUsage>, new: &ContainerUsage) -> Rates {
    let Some(old) = old else {
        return Rates::default();
    };
    let seconds = new.at.since(old.at).as_secs_f64();
    if seconds < 0.05 {
        return Rates::default();
    }
    let rate = |old: Option<u64>, new: Option<u64>| {
        let grown = new?.checked_sub(old?)?;
        Some(grown as f64 / seconds)
    };
    Rates {
        network_rx: rate(old.network_rx_bytes, new.network_rx_bytes),
        network_tx: rate(old.network_tx_bytes, new.network_tx_bytes),
        block_read: rate(old.block_read_bytes, new.block_read_bytes),
        block_write: rate(old.block_write_bytes, new.block_write_bytes),
    }
}
