//! Launches for the dashboard: what effects ask of `launcher`, with this process's surroundings.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::check::Cancel;
use crate::engine::{Engine, Env, PullProgress};
use crate::inspect::cache::Cache;
use crate::launch::{LaunchSpec, Surroundings};
use crate::launcher::{self, FetchError, HostNow, LaunchFault, Launched, Plan, Stage, Start};
use crate::model::{ContainerKey, Problem};

/// What is said while it is away.
const AWAY: &str = "the engine is not connected";

/// What the engine is asked with.
#[derive(Clone)]
pub(super) struct Asking {
    /// The connection; `None` while it is away.
    pub engine: Option<Engine>,
    /// Where scans are kept.
    pub cache: Cache,
    /// Where Docker's own configuration is looked for.
    pub env: Env,
}

fn away(what: &str) -> Problem {
    Problem {
        what: what.to_owned(),
        why: AWAY.to_owned(),
        remedy: String::new(),
    }
}

impl Asking {
    pub fn plan(self, spec: LaunchSpec, host: HostNow) -> BoxFuture<'static, Result<Plan, String>> {
        async move {
            let engine = self.engine.ok_or(AWAY)?;
            let around = Surroundings::of_process();
            launcher::plan(&engine, &self.cache, &host, &around, &spec)
                .await
                .map_err(|problem| problem.to_string())
        }
        .boxed()
    }

    pub fn pull(
        self,
        reference: String,
        platform: Option<String>,
        told: Box<dyn Fn(PullProgress) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<(), Problem>> {
        async move {
            let engine = self.engine.ok_or_else(|| away("cannot pull"))?;
            let fetched = launcher::fetch(
                &engine,
                &self.env,
                &reference,
                platform.as_deref(),
                &*told,
                &cancel,
            )
            .await;
            match fetched {
                Ok(_) => Ok(()),
                Err(FetchError::Failed(problem)) => Err(problem),
                Err(FetchError::Cancelled) => Err(Problem {
                    what: format!("{reference} was not pulled"),
                    why: "cancelled".to_owned(),
                    remedy: String::new(),
                }),
            }
        }
        .boxed()
    }

    pub fn launch(
        self,
        plan: Plan,
        host: HostNow,
        force: bool,
        told: Box<dyn Fn(Stage) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Launched, LaunchFault>> {
        async move {
            let fault = |problem| LaunchFault { problem, exit: 125 };
            let Some(engine) = self.engine else {
                return Err(fault(away("cannot launch")));
            };
            told(Stage::Starting);
            let around = Surroundings::of_process();
            let mut before = |_| std::future::ready(Ok(())).boxed();
            let job = Start {
                engine: &engine,
                cache: &self.cache,
                host: &host,
                surroundings: &around,
                plan: &plan,
                force,
            };
            launcher::start_until(job, &mut before, &cancel).await
        }
        .boxed()
    }

    pub fn explain(
        self,
        key: ContainerKey,
        name: String,
    ) -> BoxFuture<'static, (String, Vec<String>)> {
        async move {
            let Some(engine) = self.engine else {
                return (format!("{name} ended"), vec![AWAY.to_owned()]);
            };
            match launcher::explain(&engine, key, &name).await {
                Some(explained) => (explained.title, explained.lines),
                None => (format!("{name} runs again"), Vec::new()),
            }
        }
        .boxed()
    }
}
