//! The dashboard's services: the sources behind [`Watch`], the log service, shells.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::event::Event;
use super::live_launch::Asking;
use super::run::Feed;
use super::runner::{Backend, ShellStream};
use crate::build::{self, BuildAsk, BuildError, Built, How};
use crate::check::{self, Cancel, Progress, Subject, Told};
use crate::engine::exec::{Exec, TerminalSize};
use crate::engine::logs::{LogService, LogSetup};
use crate::engine::{Engine, Env, PullProgress};
use crate::inspect::Known;
use crate::inspect::cache::Cache;
use crate::lanes::Waker;
use crate::launch::{LaunchSpec, Surroundings};
use crate::launcher::{HostNow, LaunchFault, Launched, Plan, Stage};
use crate::logs::{LogCommand, LogLane};
use crate::model::{ContainerKey, EngineNews, ImageId, Problem, ProcKey, Signal, Stamp};
use crate::trace::{Kind, Trace};
use crate::watch::{Changes, Control, Watch, World};

/// What an effect is told while the engine is away.
const AWAY: &str = "the engine is not connected";

/// What effects may ask for.
pub struct Services {
    control: Control,
    logs: LogService,
    cache: Cache,
    env: Env,
    term: String,
}

impl Services {
    /// The services beside a watch, and what feeds the loop from both. `procfs` is where the log service
    /// proves that a container runs here before it attaches; `cache` is where scans are kept; `env` is where
    /// Docker's own configuration is looked for.
    pub fn new(
        watch: Watch,
        procfs: PathBuf,
        cache: Cache,
        env: Env,
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
            env,
            term: std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned()),
        };
        (services, LiveFeed { watch, lane, trace })
    }

    fn asking(&self) -> Asking {
        Asking {
            engine: self.control.engine(),
            cache: self.cache.clone(),
            env: self.env.clone(),
        }
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
        self.asking().plan(spec, host)
    }

    fn pull(
        &self,
        reference: String,
        platform: Option<String>,
        told: Box<dyn Fn(PullProgress) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<(), Problem>> {
        self.asking().pull(reference, platform, told, cancel)
    }

    fn launch(
        &self,
        plan: Plan,
        host: HostNow,
        force: bool,
        told: Box<dyn Fn(Stage) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Launched, LaunchFault>> {
        self.asking().launch(plan, host, force, told, cancel)
    }

    fn explain_end(
        &self,
        key: ContainerKey,
        name: String,
    ) -> BoxFuture<'static, (String, Vec<String>)> {
        self.asking().explain(key, name)
    }

    fn build(
        &self,
        mut ask: BuildAsk,
        told: build::Told,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Built, BuildError>> {
        let engine = self.control.engine();
        async move {
            let engine = engine.ok_or_else(|| {
                BuildError::Problem(Problem {
                    what: "cannot build".to_owned(),
                    why: AWAY.to_owned(),
                    remedy: String::new(),
                })
            })?;
            let surroundings = Surroundings::of_process();
            // No shell has put the home folder in.
            let (home, cwd) = (surroundings.home.as_deref(), &surroundings.cwd);
            for path in std::iter::once(&mut ask.folder).chain(&mut ask.dockerfile) {
                *path = super::building::real(&path.to_string_lossy(), home, cwd);
            }
            let how = How {
                surroundings,
                docker: Some(Env::from_process()),
            };
            build::build(&engine, &ask, &how, told, &cancel).await
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
