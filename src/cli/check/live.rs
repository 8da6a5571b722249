//! What `check` asks of this machine: the engine, NVML, the container toolkit.

use std::time::{Duration, Instant};

use crate::check::host::{self, Sources};
use crate::cli::args::GlobalArgs;
use crate::cli::lists::DEMO_SEED;
use crate::demo::DemoHost;
use crate::engine::{Asked, Connected, Engine, Env, SourceConfig, connect, connect_simulated};
use crate::gpu::{self, GpuConfig, GpuLanes};
use crate::host::Toolkit;
use crate::lanes::{Queue, Slot, Waker};
use crate::model::{DriverStatus, EngineInfo, GpuSnapshot, HostId, Problem, Stamp};
use crate::verdict::facts::HostFacts;

/// How long NVML may take: without persistence mode it takes seconds.
const DRIVER: Duration = Duration::from_secs(10);

/// What was found.
pub(in crate::cli) struct Live {
    /// The engine, where one is needed.
    pub engine: Option<Connected>,
    info: Option<EngineInfo>,
    /// NVML's picture, where it is asked.
    pub gpus: Option<GpuSnapshot>,
    toolkit: Toolkit,
    local: bool,
    gives: bool,
}

impl Live {
    /// Asks. The engine is needed unless only files are judged; this machine's GPUs unless a host is named.
    pub async fn open(global: &GlobalArgs, engine: bool, gpus: bool) -> Result<Self, Problem> {
        let demo = global.demo.then(|| DemoHost::new(DEMO_SEED, Stamp::now()));
        let pictures = async {
            match (&demo, gpus) {
                (_, false) => None,
                (Some(demo), true) => Some(demo.gpus(Stamp::now())),
                (None, true) => {
                    let config = nvml(global);
                    tokio::task::spawn_blocking(move || picture(config))
                        .await
                        .ok()
                        .flatten()
                }
            }
        };
        let toolkit = async {
            match (gpus, global.demo) {
                (false, _) => Toolkit::default(),
                (true, true) => Toolkit::simulated(),
                (true, false) => {
                    let read =
                        tokio::task::spawn_blocking(|| Toolkit::read(std::path::Path::new("/")));
                    read.await.unwrap_or_default()
                }
            }
        };
        let connected = async {
            if !engine {
                return Ok(None);
            }
            let connected = match &demo {
                Some(demo) => connect_simulated(demo.clone()).map_err(|error| Problem {
                    what: "cannot reach the simulated engine".to_owned(),
                    why: error.to_string(),
                    remedy: String::new(),
                })?,
                None => {
                    connect(&SourceConfig {
                        host: HostId::default(),
                        asked: Asked {
                            host: global.host.clone(),
                            context: global.context.clone(),
                        },
                        env: Env::from_process(),
                    })
                    .await?
                }
            };
            // A named host needs nothing of what the engine says of itself.
            let info = match gpus {
                true => Some(connected.info().await?),
                false => None,
            };
            Ok(Some((connected, info)))
        };
        let (gpus, toolkit, connected) = tokio::join!(pictures, toolkit, connected);
        let (engine, info) = match connected? {
            Some((engine, info)) => (Some(engine), info),
            None => (None, None),
        };
        let local = info
            .as_ref()
            .is_none_or(|info| host::looks_local(info, &host_name(global)));
        let mut live = Self {
            engine,
            info,
            gpus,
            toolkit,
            local,
            gives: false,
        };
        // What looks like no way to give GPUs is held against what runs: its hook may lie elsewhere.
        if live.host("").no_gpu_runtime.is_some()
            && let Some(connected) = &live.engine
        {
            live.gives = gives(&connected.engine).await;
        }
        Ok(live)
    }

    /// The host that is here.
    pub fn host(&self, month: &str) -> HostFacts {
        host::facts(&Sources {
            engine: self.info.as_ref(),
            gpus: self.gpus.as_ref(),
            toolkit: &self.toolkit,
            local: self.local,
            gives: self.gives,
            month,
        })
    }

    /// Why there is no driver to judge by.
    pub fn no_driver(&self) -> Problem {
        const REMEDY: &str = "Name the host that is meant: `--driver 550.54.15 --gpu H100`";
        if !self.local {
            return Problem {
                what: "this machine's GPUs are not judged for".to_owned(),
                why: "the engine is not proven to run on this machine".to_owned(),
                remedy: REMEDY.to_owned(),
            };
        }
        match self.gpus.as_ref().map(|g| &g.driver) {
            Some(DriverStatus::Down(problem)) => Problem {
                remedy: REMEDY.to_owned(),
                ..problem.clone()
            },
            _ => Problem {
                what: "no answer from the NVIDIA driver".to_owned(),
                why: format!("NVML did not come up within {} s", DRIVER.as_secs()),
                remedy: REMEDY.to_owned(),
            },
        }
    }
}

/// Whether a container that was granted GPUs runs.
async fn gives(engine: &Engine) -> bool {
    for container in engine.list().await.unwrap_or_default() {
        if container.state.is_live()
            && let Ok(detail) = engine.inspect(container.key).await
            && detail.grant.is_some_and(|grant| grant.needs_runtime())
        {
            return true;
        }
    }
    false
}

fn nvml(global: &GlobalArgs) -> GpuConfig {
    GpuConfig {
        nvml_path: global.nvml.clone(),
        procfs: global.procfs.clone(),
        sysfs: global.sysfs.clone(),
        ..GpuConfig::default()
    }
}

/// NVML's first whole picture.
fn picture(config: GpuConfig) -> Option<GpuSnapshot> {
    let waker = Waker::new();
    let snapshot = Slot::new(waker.clone());
    let lanes = GpuLanes {
        snapshot: snapshot.clone(),
        xids: Queue::new(1, waker.clone()),
    };
    let _source = gpu::start(config, lanes);
    let end = Instant::now() + DRIVER;
    let mut newest = None;
    while Instant::now() < end {
        if let Some(taken) = snapshot.take() {
            let starting = matches!(taken.driver, DriverStatus::Starting);
            newest = Some(taken);
            if !starting {
                break;
            }
        }
        waker.wait(Some(Duration::from_millis(50)));
    }
    newest
}

fn host_name(global: &GlobalArgs) -> String {
    let path = global.procfs.join("sys/kernel/hostname");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    crate::model::text::clean(&text, 64)
}
