//! The engine as a source of news: it never fails, it changes state, and comes back by itself.
//!
//! Order at connect: the first request of all is the list, so that the first frame waits for nothing else.
//! The event stream is opened right after it, from a moment before the list was asked for (by the
//! engine's clock, as the list's head tells it): the engine replays what happened in between, so nothing
//! is lost. What such a replayed event says is older than the list may be; it only makes its row be asked
//! for again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::demo::DemoHost;
use crate::lanes::{Queue, Slot};
use crate::model::{ContainerKey, EngineInfo, EngineNews, HostId, Problem, UsageSnapshot};

use super::docker::Docker;
use super::endpoint::{Asked, Choice, Endpoint, Env, Target, resolve};
use super::error::EngineError;
use super::session::{Session, Wish};
use super::transport::Transport;
use super::{Engine, problem, sampler};

/// Between two tries to connect: the first wait, doubled up to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What decides which engine is used.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The number of the engine's host in this process.
    pub host: HostId,
    /// `--host` and `--context`.
    pub asked: Asked,
    /// The process's surroundings.
    pub env: Env,
}

/// Where the news goes.
#[derive(Debug, Clone)]
pub struct EngineLanes {
    /// What must not be lost. After an overflow call [`EngineHandle::relist`].
    pub news: Queue<EngineNews>,
    /// One-shot statistics, newest wins.
    pub usage: Slot<UsageSnapshot>,
}

/// Which statistics are wanted from the engine.
#[derive(Debug, Default)]
pub(super) struct Demand {
    pub enabled: bool,
    pub visible: Vec<ContainerKey>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub lanes: EngineLanes,
    engine: Mutex<Option<Engine>>,
    demand: Mutex<Demand>,
    /// Told when the demand changed.
    pub demand_changed: Notify,
}

impl Shared {
    /// The containers whose statistics are wanted now; `None` where none are.
    pub fn demanded(&self) -> Option<Vec<ContainerKey>> {
        let demand = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        (demand.enabled && !demand.visible.is_empty()).then(|| demand.visible.clone())
    }
}

/// The running source; dropping the last clone ends it.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    shared: Arc<Shared>,
    wishes: mpsc::UnboundedSender<Wish>,
}

impl EngineHandle {
    /// The engine, once it has answered; it stays while the engine is away, and its calls then fail.
    pub fn engine(&self) -> Option<Engine> {
        let engine = self.shared.engine.lock();
        engine.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lists and inspects everything again; while the engine is away, tries to connect now.
    pub fn relist(&self) {
        let _ = self.wishes.send(Wish::Relist);
    }

    /// Fetches the images; they come as news, and again whenever an image event tells of a change.
    pub fn fetch_images(&self) {
        let _ = self.wishes.send(Wish::Images);
    }

    /// Which containers' statistics are looked at, most wanted first.
    pub fn set_visible(&self, keys: Vec<ContainerKey>) {
        self.change_demand(|demand| {
            let changed = demand.visible != keys;
            demand.visible = keys;
            changed
        });
    }

    /// Whether statistics come from the engine: only where its containers are not proven to run here.
    pub fn set_stats_from_engine(&self, wanted: bool) {
        self.change_demand(|demand| std::mem::replace(&mut demand.enabled, wanted) != wanted);
    }

    fn change_demand(&self, change: impl FnOnce(&mut Demand) -> bool) {
        let changed = {
            let demand = self.shared.demand.lock();
            change(&mut demand.unwrap_or_else(PoisonError::into_inner))
        };
        if changed {
            self.shared.demand_changed.notify_one();
        }
    }
}

/// An engine that was connected to for a few questions, without its news.
#[derive(Debug)]
pub struct Connected {
    /// The engine.
    pub engine: Engine,
    endpoint: Endpoint,
}

impl Connected {
    /// What the engine says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn info(&self) -> Result<EngineInfo, Problem> {
        let Engine::Docker(docker) = &self.engine;
        let facts = docker.facts().await.map_err(|e| self.problem(&e))?;
        let mut info = about(&self.endpoint);
        facts.apply(&mut info);
        Ok(info)
    }

    /// An error of this engine's as the user is told it.
    pub fn problem(&self, error: &EngineError) -> Problem {
        error.problem(&self.endpoint)
    }
}

/// Connects to the engine that is asked for; nothing is sent yet where it is named.
///
/// # Errors
/// It is named wrongly, or none is found.
pub async fn connect(config: &SourceConfig) -> Result<Connected, Problem> {
    let (endpoint, docker) = choose(config, |_| {}).await?;
    Ok(Connected {
        engine: Engine::Docker(docker),
        endpoint,
    })
}

/// The same for the simulated host.
///
/// # Errors
/// None today: the endpoint has no certificates.
pub fn connect_simulated(demo: DemoHost) -> Result<Connected, EngineError> {
    let endpoint = Endpoint::simulated(demo);
    let docker = Docker::new(Transport::to(&endpoint)?, HostId::default());
    Ok(Connected {
        engine: Engine::Docker(docker),
        endpoint,
    })
}

/// Starts the source on a runtime with I/O and time enabled.
pub fn start(
    runtime: &tokio::runtime::Handle,
    config: SourceConfig,
    lanes: EngineLanes,
) -> EngineHandle {
    start_kept(runtime, config, lanes, None)
}

/// Starts the source for the simulated host: the same code over connections in memory.
///
/// # Errors
/// None today: the endpoint has no certificates.
pub fn start_simulated(
    runtime: &tokio::runtime::Handle,
    demo: DemoHost,
    lanes: EngineLanes,
) -> Result<EngineHandle, EngineError> {
    let config = SourceConfig {
        host: HostId::default(),
        asked: Asked::default(),
        env: Env::of(&[], std::path::Path::new("/")),
    };
    let endpoint = Endpoint::simulated(demo);
    let docker = Docker::new(Transport::to(&endpoint)?, config.host);
    let kept = Kept {
        endpoint,
        docker,
        listed: false,
        memory: super::session::Memory::default(),
    };
    Ok(start_kept(runtime, config, lanes, Some(kept)))
}

fn start_kept(
    runtime: &tokio::runtime::Handle,
    config: SourceConfig,
    lanes: EngineLanes,
    kept: Option<Kept>,
) -> EngineHandle {
    let (wishes, wished) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        lanes,
        engine: Mutex::new(None),
        demand: Mutex::default(),
        demand_changed: Notify::new(),
    });
    runtime.spawn(run(config, Arc::clone(&shared), wished, kept));
    EngineHandle { shared, wishes }
}

/// Connects, and connects again, until nobody holds the handle.
async fn run(
    config: SourceConfig,
    shared: Arc<Shared>,
    mut wishes: mpsc::UnboundedReceiver<Wish>,
    mut kept: Option<Kept>,
) {
    let mut wait = BACKOFF.0;
    let mut again = 0u8;
    loop {
        let begun = Instant::now();
        let Some(Lost { problem, certain }) =
            attempt(&config, &shared, &mut kept, &mut wishes).await
        else {
            return;
        };
        if kept
            .as_mut()
            .is_some_and(|kept| std::mem::take(&mut kept.listed))
        {
            wait = BACKOFF.0;
            // The connection broke: ask at once whether the engine is gone, but not again and again.
            again = if begun.elapsed() > BACKOFF.1 {
                0
            } else {
                again.saturating_add(1)
            };
            if !certain && again <= 1 {
                continue;
            }
        }
        shared.lanes.news.push(EngineNews::Down(problem));
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(BACKOFF.1),
            wish = wishes.recv() => match wish {
                None => return,
                Some(Wish::Images) => {}
                Some(Wish::Relist) => wait = BACKOFF.0,
            },
        }
    }
}

/// Why a connection ended.
struct Lost {
    problem: Problem,
    /// Whether the engine does not answer; else only a connection broke.
    certain: bool,
}

impl From<Problem> for Lost {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            certain: true,
        }
    }
}

/// The endpoint in use, for life, and what is connected to it.
struct Kept {
    endpoint: Endpoint,
    docker: Docker,
    /// Whether the last attempt got as far as a list.
    listed: bool,
    /// What is known of the engine and of its last event.
    memory: super::session::Memory,
}

/// One connection from its start to its end; `None` when nobody wants news any more.
async fn attempt(
    config: &SourceConfig,
    shared: &Arc<Shared>,
    kept: &mut Option<Kept>,
    wishes: &mut mpsc::UnboundedReceiver<Wish>,
) -> Option<Lost> {
    let kept = match kept {
        Some(kept) => kept,
        None => match choose(config, |url| {
            shared
                .lanes
                .news
                .push(EngineNews::Connecting(url.to_owned()));
        })
        .await
        {
            Ok((endpoint, docker)) => kept.insert(Kept {
                endpoint,
                docker,
                listed: false,
                memory: super::session::Memory::default(),
            }),
            Err(problem) => return Some(problem.into()),
        },
    };
    let news = &shared.lanes.news;
    news.push(EngineNews::Connecting(kept.endpoint.url.clone()));
    let error = match kept.docker.list().await {
        Err(error) => error,
        Ok((listing, answered)) => {
            kept.listed = true;
            let mut info = about(&kept.endpoint);
            answered.apply(&mut info);
            if let Some(old) = &kept.memory.info {
                // Until it is asked again, what was known of the same engine is still the best guess.
                info = EngineInfo {
                    name: info.name,
                    version: info.version,
                    api_version: info.api_version,
                    ..old.clone()
                };
            }
            info.unreadable_rows = listing.unreadable;
            *shared.engine.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Engine::Docker(kept.docker.clone()));
            let sampling = tokio::spawn(sampler::run(kept.docker.clone(), Arc::clone(shared)));
            let session = Session::new(&kept.docker, shared, config.host, info, &mut kept.memory);
            let ended = session.run(listing, answered, wishes).await;
            sampling.abort();
            ended?
        }
    };
    let problem = error.problem(&kept.endpoint);
    if matches!(error, EngineError::Tls(_))
        && let Ok(transport) = Transport::to(&kept.endpoint)
    {
        // The files may have been mended meanwhile.
        kept.docker = Docker::new(transport, config.host);
    }
    Some(Lost {
        problem,
        certain: !matches!(error, EngineError::Gone(_)),
    })
}

fn about(endpoint: &Endpoint) -> EngineInfo {
    EngineInfo {
        endpoint: endpoint.url.clone(),
        context: endpoint.context.clone(),
        chosen_by: endpoint.chosen_by.clone(),
        remote_by_nature: endpoint.is_remote(),
        simulated: matches!(endpoint.target, Target::Simulated(_)),
        ..EngineInfo::default()
    }
}

/// The named endpoint, or the first searched socket that can be connected.
async fn choose(
    config: &SourceConfig,
    trying: impl Fn(&str),
) -> Result<(Endpoint, Docker), Problem> {
    let candidates = match resolve(&config.asked, &config.env)? {
        Choice::Named(endpoint) => {
            let transport = Transport::to(&endpoint).map_err(|e| e.problem(&endpoint))?;
            return Ok((endpoint, Docker::new(transport, config.host)));
        }
        Choice::Search(candidates) => candidates,
    };
    let mut tried = Vec::new();
    for endpoint in candidates {
        trying(&endpoint.url);
        let error = match Transport::to(&endpoint) {
            Err(error) => error,
            Ok(transport) => match transport.open().await {
                Ok(_) => return Ok((endpoint, Docker::new(transport, config.host))),
                Err(error) => error,
            },
        };
        tried.push((endpoint, error));
    }
    Err(problem::nothing_found(&tried))
}
