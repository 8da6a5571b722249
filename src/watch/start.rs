//! Starts the sources and brings their news into the [`World`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::demo::{self, DemoHost, DemoLanes, DemoThread};
use crate::engine::{Asked, Engine, EngineHandle, EngineLanes, Env, SourceConfig, source};
use crate::gpu::{self, GpuConfig, GpuHandle, GpuLanes};
use crate::host::{self, HostConfig, HostHandle, HostLanes, HostTargets, Toolkit};
use crate::lanes::{Queue, Slot, Waker};
use crate::model::{
    ContainerKey, EngineNews, EngineStatus, GpuSnapshot, HostId, HostReport, ProcKey, ProcSnapshot,
    Signal, Stamp, UsageSnapshot, XidEvent,
};
use crate::trace::{Kind, Trace};

use super::io::IoThread;
use super::world::{Changes, Locality, World};

/// Engine news kept for a slow reader; beyond, the whole list is asked for again.
const NEWS: usize = 16 << 10;
/// Xid events kept for a slow reader.
const XIDS: usize = 4096;

/// How long the machine's sources rest at the start: about what the engine's list takes, which comes first.
const HEAD_START: Duration = Duration::from_millis(20);

/// What to watch, and where.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// Which engine was asked for.
    pub asked: Asked,
    /// The process's environment.
    pub env: Env,
    /// NVML library; `None`: the loader's.
    pub nvml: Option<PathBuf>,
    /// Usually `/proc`.
    pub procfs: PathBuf,
    /// Usually `/sys`.
    pub sysfs: PathBuf,
    /// Time between two rounds of statistics and of NVML.
    pub interval: Duration,
    /// Seed of the simulated host; then nothing real is touched.
    pub demo: Option<u64>,
    /// Timings.
    pub trace: Trace,
}

/// The lanes of all sources.
#[derive(Debug)]
struct Lanes {
    news: Queue<EngineNews>,
    xids: Queue<XidEvent>,
    gpus: Slot<GpuSnapshot>,
    usage: Slot<UsageSnapshot>,
    engine_usage: Slot<UsageSnapshot>,
    procs: Slot<ProcSnapshot>,
    report: Slot<HostReport>,
    toolkit: Slot<Toolkit>,
}

impl Lanes {
    fn new(waker: &Waker) -> Self {
        Self {
            news: Queue::new(NEWS, waker.clone()),
            xids: Queue::new(XIDS, waker.clone()),
            gpus: Slot::new(waker.clone()),
            usage: Slot::new(waker.clone()),
            engine_usage: Slot::new(waker.clone()),
            procs: Slot::new(waker.clone()),
            report: Slot::new(waker.clone()),
            toolkit: Slot::new(waker.clone()),
        }
    }
}

/// The machine behind the lanes.
#[derive(Debug)]
enum Machine {
    Real { gpus: GpuHandle, host: HostHandle },
    Simulated { host: DemoHost, thread: DemoThread },
}

/// What may be asked of the sources, from any thread; clones share them.
#[derive(Debug, Clone)]
pub struct Control {
    engine: EngineHandle,
    machine: Arc<Machine>,
    news: Queue<EngineNews>,
}

impl Control {
    /// The engine's connection; `None` until it first answered.
    pub fn engine(&self) -> Option<Engine> {
        self.engine.engine()
    }

    /// Asks for the whole list again.
    pub fn relist(&self) {
        self.engine.relist();
    }

    /// Asks for the images; they come as news.
    pub fn fetch_images(&self) {
        self.engine.fetch_images();
    }

    /// Brings news into the world as though the engine's source had.
    pub fn news(&self, news: EngineNews) {
        self.news.push(news);
    }

    /// Which containers' rows are on the screen, most wanted first: whose statistics are asked of an
    /// engine that is elsewhere.
    pub fn set_visible(&self, keys: Vec<ContainerKey>) {
        self.engine.set_visible(keys);
    }

    /// Lets go of NVML, or takes it again.
    pub fn release_gpus(&self, release: bool) {
        if let Machine::Real { gpus, .. } = &*self.machine {
            gpus.release(release);
        }
    }

    /// Changes the time between two rounds.
    pub fn set_interval(&self, interval: Duration) {
        if let Machine::Real { gpus, host } = &*self.machine {
            gpus.set_interval(interval);
            host.set_interval(interval);
        }
    }

    /// Sends a signal to exactly this process.
    ///
    /// # Errors
    /// The reason in words: it ended, its pid is another's now, or it may not be signalled.
    pub fn signal_process(&self, process: &ProcKey, signal: Signal) -> Result<(), String> {
        match &*self.machine {
            Machine::Real { .. } => host::signal_process(*process, signal),
            Machine::Simulated { host, .. } => {
                let sent = host.signal_process(process, signal, Stamp::now());
                self.kick();
                sent.map_err(|error| error.to_string())
            }
        }
    }

    /// Shows an action's effect on the simulated host at once; the real one tells by itself.
    pub fn kick(&self) {
        if let Machine::Simulated { thread, .. } = &*self.machine {
            thread.kick();
        }
    }
}

/// Reads the container toolkit's files once, after what the first frame needs. Its own program may take its
/// time to say its version, so nobody waits for the thread.
fn look_for_toolkit(slot: Slot<Toolkit>) {
    let look = move || {
        std::thread::sleep(HEAD_START * 5);
        slot.put(Toolkit::read(std::path::Path::new("/")));
    };
    // Without it how GPUs get into containers is not known, and the verdicts say so.
    let _ = std::thread::Builder::new()
        .name("toolkit".into())
        .spawn(look);
}

/// The running sources. Dropping the last of it and of its [`Control`]s ends them.
#[derive(Debug)]
pub struct Watch {
    lanes: Lanes,
    control: Control,
    trace: Trace,
    targets: HostTargets,
    stats_from_engine: bool,
    /// Last: the sources end before the thread their tasks run on.
    io: IoThread,
}

impl Watch {
    /// Starts the sources; each wakes `waker` when it has news. The engine's first request goes out
    /// before anything else is begun.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: WatchConfig, waker: &Waker) -> io::Result<Self> {
        let io = IoThread::start()?;
        let lanes = Lanes::new(waker);
        let runtime = io.handle().clone();
        let control = match config.demo {
            Some(seed) => Self::simulated(seed, &lanes, &runtime)?,
            None => Self::real(&config, &lanes, &runtime),
        };
        Ok(Self {
            lanes,
            control,
            trace: config.trace,
            targets: HostTargets::default(),
            stats_from_engine: false,
            io,
        })
    }

    fn real(config: &WatchConfig, lanes: &Lanes, runtime: &Handle) -> Control {
        let id = HostId::default();
        let engine = source::start(
            runtime,
            SourceConfig {
                host: id,
                asked: config.asked.clone(),
                env: config.env.clone(),
            },
            EngineLanes {
                news: lanes.news.clone(),
                usage: lanes.engine_usage.clone(),
            },
        );
        let host = host::start(
            HostConfig {
                procfs: config.procfs.clone(),
                sysfs: config.sysfs.clone(),
                host: id,
                interval: config.interval,
                head_start: HEAD_START,
            },
            HostLanes {
                usage: lanes.usage.clone(),
                procs: lanes.procs.clone(),
                report: lanes.report.clone(),
            },
        );
        look_for_toolkit(lanes.toolkit.clone());
        let gpus = gpu::start(
            GpuConfig {
                nvml_path: config.nvml.clone(),
                procfs: config.procfs.clone(),
                sysfs: config.sysfs.clone(),
                host: id,
                interval: config.interval,
                head_start: HEAD_START,
                ..GpuConfig::default()
            },
            GpuLanes {
                snapshot: lanes.gpus.clone(),
                xids: lanes.xids.clone(),
            },
        );
        Control {
            engine,
            machine: Arc::new(Machine::Real { gpus, host }),
            news: lanes.news.clone(),
        }
    }

    fn simulated(seed: u64, lanes: &Lanes, runtime: &Handle) -> io::Result<Control> {
        let host = DemoHost::new(seed, Stamp::now());
        let engine = source::start_simulated(
            runtime,
            host.clone(),
            EngineLanes {
                news: lanes.news.clone(),
                usage: lanes.engine_usage.clone(),
            },
        )
        .map_err(io::Error::other)?;
        lanes.toolkit.put(Toolkit::simulated());
        let thread = demo::start(
            host.clone(),
            DemoLanes {
                gpus: lanes.gpus.clone(),
                usage: lanes.usage.clone(),
                procs: lanes.procs.clone(),
                report: lanes.report.clone(),
                xids: lanes.xids.clone(),
            },
        )?;
        Ok(Control {
            engine,
            machine: Arc::new(Machine::Simulated { host, thread }),
            news: lanes.news.clone(),
        })
    }

    /// For effects, from any thread.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The runtime that engine calls run on.
    pub fn runtime(&self) -> &Handle {
        self.io.handle()
    }

    /// Folds everything that came since the last call, and tells the sources what to look at next.
    pub fn drain(&mut self, world: &mut World, now: Stamp) -> Changes {
        let mut changes = Changes::default();
        let news = self.lanes.news.drain();
        if news.dropped > 0 {
            self.trace.count(Kind::Drop, "engine-news", news.dropped);
            self.control.relist();
        }
        changes.merge(world.all_engine_news(news.items, now));
        for xid in self.lanes.xids.drain().items {
            changes.merge(world.xid(xid));
        }
        if let Some(procs) = self.lanes.procs.take() {
            changes.merge(world.proc_snapshot(procs));
        }
        if let Some(gpus) = self.lanes.gpus.take() {
            changes.merge(world.gpu_snapshot(gpus, now));
        }
        if let Some(usage) = self.lanes.usage.take() {
            changes.merge(world.usage_snapshot(usage, now));
        }
        if let Some(usage) = self.lanes.engine_usage.take() {
            changes.merge(world.engine_usage(usage, now));
        }
        if let Some(report) = self.lanes.report.take() {
            changes.merge(world.host_report(report));
        }
        if let Some(toolkit) = self.lanes.toolkit.take() {
            world.toolkit = Some(toolkit);
            changes.visible = true;
        }
        if changes.targets {
            self.aim(world);
        }
        self.choose_statistics(world);
        changes
    }

    /// Tells the host thread which containers and pids to look at.
    fn aim(&mut self, world: &World) {
        let Machine::Real { host, .. } = &*self.control.machine else {
            return;
        };
        let targets = HostTargets {
            containers: world
                .rows
                .iter()
                .filter(|(_, row)| row.container.state.is_live())
                .filter_map(|(key, row)| Some((*key, row.container.pid()?)))
                .collect(),
            gpu_pids: world
                .gpus
                .iter()
                .flat_map(|s| &s.processes)
                .map(|p| p.pid)
                .collect(),
        };
        if targets != self.targets {
            host.set_targets(targets.clone());
            self.targets = targets;
        }
    }

    /// Statistics come from cgroup files where containers are proven to run here, from the engine
    /// otherwise; from nobody while that is still being found out.
    fn choose_statistics(&mut self, world: &World) {
        let engine = &self.control.engine;
        let elsewhere = world.locality == Locality::Elsewhere
            || (world.locality == Locality::Unknown && world.is_blind());
        let wanted = elsewhere && matches!(world.engine, EngineStatus::Up(_));
        if wanted != self.stats_from_engine {
            self.stats_from_engine = wanted;
            engine.set_stats_from_engine(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn config(demo: Option<u64>) -> WatchConfig {
        WatchConfig {
            asked: Asked::default(),
            env: Env::of(&[], std::path::Path::new("/nonexistent")),
            nvml: None,
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            interval: Duration::from_secs(1),
            demo,
            trace: Trace::off(),
        }
    }

    #[test]
    fn the_simulated_host_fills_the_world() {
        let waker = Waker::new();
        let mut watch = Watch::start(config(Some(7)), &waker).unwrap();
        let mut world = World::new(HostId::default());
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            watch.drain(&mut world, Stamp::now());
            let used = world.joined.containers.values().any(|c| !c.used.is_empty());
            if world.listed.is_some() && used && world.rows.values().any(|r| r.usage.is_some()) {
                break;
            }
            assert!(Instant::now() < end, "{world:?}");
            waker.wait(Some(Duration::from_millis(100)));
        }
        assert!(world.joinable());
        assert!(watch.control().engine().is_some());
    }

    #[test]
    fn no_engine_is_a_state_with_its_reason() {
        let waker = Waker::new();
        let mut watch = Watch::start(config(None), &waker).unwrap();
        let mut world = World::new(HostId::default());
        let end = Instant::now() + Duration::from_secs(20);
        while !matches!(world.engine, EngineStatus::Down { .. }) {
            watch.drain(&mut world, Stamp::now());
            assert!(Instant::now() < end, "{:?}", world.engine);
            waker.wait(Some(Duration::from_millis(100)));
        }
        assert!(
            world.listed.is_none(),
            "never an empty list as though it were true"
        );
    }
}
