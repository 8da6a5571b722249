//! The dashboard's services: the sources behind [`Watch`], the log service, shells.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::event::Event;
use super::run::Feed;
use super::runner::{Backend, ShellStream};
use crate::check::{self, Cancel, Progress, Subject, Told};
use crate::engine::exec::{Exec, TerminalSize};
use crate::engine::logs::{LogService, LogSetup};
use crate::engine::{Engine, EngineError, Env, PullProgress};
use crate::inspect::Known;
use crate::inspect::cache::Cache;
use crate::lanes::Waker;
use crate::launch::{LaunchSpec, Surroundings};
use crate::launcher::{self, FetchError, HostNow, LaunchFault, Launched, Plan, Stage, Start};
use crate::logs::{LogCommand, LogLane};
use crate::model::text::clean;
use crate::model::{
    ContainerKey, EngineInfo, EngineNews, ImageId, Problem, ProcKey, Signal, Stamp,
};
use crate::trace::{Kind, Trace};
use crate::watch::{Changes, Control, Watch, World};

/// What an effect is told while the engine is away.
const AWAY: &str = "the engine is not connected";

/// What effects may ask for.
pub struct Services {
    control: Control,
    logs: LogService,
    cache: Cache,
    around: Surroundings,
    term: String,
}

impl Services {
    /// The services beside a watch, and what feeds the loop from both. `procfs` is where the log service
    /// proves that a container runs here before it attaches; `cache` is where scans are kept.
    pub fn new(
        watch: Watch,
        procfs: PathBuf,
        cache: Cache,
        waker: Waker,
        trace: Trace,
    ) -> (Self, LiveFeed) {
        let lane = LogLane::new(waker);
        let control = watch.control().clone();
        let provider = {
            let control = control.clone();
            Arc::new(move || control.engine())
        };
        let logs = LogService::start(
            watch.runtime(),
            LogSetup {
                engine: provider,
                lane: lane.clone(),
                procfs,
            },
        );
        let services = Self {
            control,
            logs,
            cache,
            around: Surroundings::of_process(),
            term: std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned()),
        };
        (services, LiveFeed { watch, lane, trace })
    }
}

impl Backend for Services {
    fn engine(&self) -> Option<Engine> {
        self.control.engine()
    }

    fn news(&self, news: EngineNews) {
        self.control.news(news);
    }

    fn relist(&self) {
        self.control.relist();
    }

    fn set_visible(&self, keys: Vec<ContainerKey>) {
        self.control.set_visible(keys);
    }

    fn release_gpus(&self, release: bool) {
        self.control.release_gpus(release);
    }

    fn signal_process(&self, process: &ProcKey, signal: Signal) -> Result<(), String> {
        self.control.signal_process(process, signal)
    }

    fn log(&self, command: LogCommand) {
        self.logs.send(command);
    }

    fn hold_logs(&self) {
        self.logs.hold();
    }

    fn resume_logs(&self) {
        self.logs.resume();
    }

    fn sweep(&self) -> BoxFuture<'static, ()> {
        let engine = self.control.engine();
        async move {
            if let Some(engine) = engine {
                // An engine that cannot do it now is asked again at the next start.
                let _ = engine.sweep_scan_containers().await;
            }
        }
        .boxed()
    }

    fn know(&self, image: ImageId) -> BoxFuture<'static, Result<Arc<Known>, String>> {
        let (engine, cache) = (self.control.engine(), self.cache.clone());
        async move {
            let engine = engine.ok_or(AWAY)?;
            let known = check::known(&engine, &cache, &image).await;
            known.map(Arc::new).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn check(
        &self,
        subject: Subject,
        progress: Box<dyn Fn(Progress) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Arc<Known>, String>> {
        let (engine, cache) = (self.control.engine(), self.cache.clone());
        async move {
            let engine = engine.ok_or(AWAY)?;
            let told: Told = Arc::from(progress);
            let known = check::whole(&engine, &cache, &subject, told, &cancel).await;
            known.map(Arc::new).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn plan(&self, spec: LaunchSpec, host: HostNow) -> BoxFuture<'static, Result<Plan, String>> {
        let (engine, cache) = (self.control.engine(), self.cache.clone());
        let around = self.around.clone();
        async move {
            let engine = engine.ok_or(AWAY)?;
            let plan = launcher::plan(&engine, &cache, &host, &around, &spec).await;
            plan.map_err(|problem| problem.to_string())
        }
        .boxed()
    }

    fn pull(
        &self,
        reference: String,
        platform: Option<String>,
        info: EngineInfo,
        told: Box<dyn Fn(PullProgress) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<(), Problem>> {
        let engine = self.control.engine();
        async move {
            let fault = |why: &str| Problem {
                what: format!("{} was not pulled", clean(&reference, 200)),
                why: why.to_owned(),
                remedy: String::new(),
            };
            let engine = engine.ok_or_else(|| fault(AWAY))?;
            let env = match info.simulated {
                true => Env::of(&[], Path::new("/")),
                false => Env::from_process(),
            };
            let platform = platform.as_deref();
            let fetched =
                launcher::fetch(&engine, &info, &env, &reference, platform, &*told, &cancel).await;
            match fetched {
                Ok(_) => Ok(()),
                Err(FetchError::Failed(problem)) => Err(problem),
                Err(FetchError::Cancelled) => Err(fault("cancelled")),
            }
        }
        .boxed()
    }

    fn launch(
        &self,
        plan: Plan,
        host: HostNow,
        force: bool,
        told: Box<dyn Fn(Stage) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Launched, LaunchFault>> {
        let (engine, cache) = (self.control.engine(), self.cache.clone());
        let around = self.around.clone();
        async move {
            let engine = engine.ok_or_else(|| LaunchFault {
                problem: Problem {
                    what: "nothing was started".to_owned(),
                    why: AWAY.to_owned(),
                    remedy: String::new(),
                },
                exit: 125,
            })?;
            told(Stage::Starting);
            let start = Start {
                engine: &engine,
                cache: &cache,
                host: &host,
                surroundings: &around,
                plan: &plan,
                force,
            };
            // The one moment at which it can be given up with nothing of it left.
            let mut before = |_| {
                let stop = cancel.is_cancelled();
                let result = match stop {
                    true => Err(EngineError::Gone("cancelled".to_owned())),
                    false => Ok(()),
                };
                std::future::ready(result).boxed()
            };
            launcher::start(start, &mut before).await
        }
        .boxed()
    }

    fn explain_end(
        &self,
        key: ContainerKey,
        name: String,
    ) -> BoxFuture<'static, Option<(String, Vec<String>)>> {
        let engine = self.control.engine();
        async move {
            let explained = launcher::explain(&engine?, key, &name).await?;
            Some((explained.title, explained.lines))
        }
        .boxed()
    }

    fn open_shell(
        &self,
        key: ContainerKey,
        cols: u16,
        rows: u16,
    ) -> BoxFuture<'static, Result<ShellStream, String>> {
        let engine = self.control.engine();
        let term = self.term.clone();
        async move {
            let Some(Engine::Docker(docker)) = engine else {
                return Err("the engine is not connected".to_owned());
            };
            let size = TerminalSize {
                columns: cols,
                rows,
            };
            let exec = Exec::shell(&docker, key, size, &term)
                .await
                .map_err(|error| error.to_string())?;
            let control = exec.control();
            let runtime = tokio::runtime::Handle::current();
            let (output, input) = exec.split();
            Ok(ShellStream {
                output: Box::new(output),
                input: Box::new(input),
                resize: Box::new(move |columns, rows| {
                    let control = control.clone();
                    runtime.spawn(async move {
                        // A program that has just ended has no size to set.
                        let _ = control.resize(TerminalSize { columns, rows }).await;
                    });
                }),
            })
        }
        .boxed()
    }
}

/// Brings the sources' news and the log's into the loop.
#[derive(Debug)]
pub struct LiveFeed {
    watch: Watch,
    lane: LogLane,
    trace: Trace,
}

impl Feed for LiveFeed {
    fn drain(&mut self, world: &mut World, now: Stamp) -> Changes {
        self.watch.drain(world, now)
    }

    fn events(&mut self, _now: Stamp, into: &mut Vec<Event>) {
        let drained = self.lane.drain();
        if drained.dropped > 0 {
            self.trace.count(Kind::Drop, "log-lines", drained.dropped);
        }
        into.extend(drained.news.into_iter().map(|n| Event::Logs(Box::new(n))));
    }
}
