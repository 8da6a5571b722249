//! `midwatch run`: docker run's flags, the right GPUs, the verdict before the start.

mod attached;
mod report;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;

use crate::check::{self, Cancel, ScanError, Subject};
use crate::demo::DemoHost;
use crate::engine::{Asked, Connected, Env, SourceConfig, connect, connect_simulated};
use crate::inspect::cache::Cache;
use crate::launch::parse::{self, Own, ScanAsk};
use crate::launch::{LaunchSpec, PullPolicy, Surroundings, Which};
use crate::launcher::start::Before;
use crate::launcher::{self, FetchError, HostNow, Launched, Plan, Start};
use crate::model::text::clean;
use crate::model::{HostId, Problem, Stamp};

use super::args::GlobalArgs;
use super::bar::Bar;
use super::lists::{DEMO_SEED, hear};
use super::{Exit, complain, print, ready};

use attached::Foreground;

/// Docker's status for what was refused or failed before the container ran.
const REFUSED: u8 = 125;

/// Runs it. `words` is what follows `run`.
///
/// # Errors
/// None: docker run's own statuses tell what went wrong, and standard error says it.
pub fn run(global: &GlobalArgs, words: &[String]) -> Result<Exit, Problem> {
    let around = Surroundings::of_process();
    if matches!(words.first().map(String::as_str), Some("--help")) {
        print(report::HELP.as_bytes())?;
        return Ok(Exit::Done);
    }
    let parsed = match parse::args(words, &around, true) {
        Ok(parsed) => parsed,
        Err(fault) if fault.faults.iter().any(|f| f.flag == "--help") => {
            print(report::HELP.as_bytes())?;
            return Ok(Exit::Done);
        }
        Err(fault) => {
            complain(&Problem {
                what: "nothing is launched".to_owned(),
                why: fault.to_string(),
                remedy: "Try `midwatch run --help`".to_owned(),
            });
            return Ok(Exit::Ended(REFUSED));
        }
    };
    for note in &parsed.notes {
        complain_line(note);
    }
    let exit = match prepared(global, &around, parsed.spec, &parsed.own) {
        Ok(exit) => exit,
        Err(problem) => {
            complain(&problem);
            REFUSED
        }
    };
    Ok(Exit::Ended(exit))
}

/// What a run of the command holds.
struct Run<'a> {
    global: &'a GlobalArgs,
    spec: LaunchSpec,
    own: &'a Own,
    around: &'a Surroundings,
    host: Mutex<Seen>,
    cache: Cache,
    connected: Connected,
    cancel: Cancel,
    bar: Arc<Bar>,
    env: Env,
    read_only: bool,
}

fn prepared(
    global: &GlobalArgs,
    around: &Surroundings,
    spec: LaunchSpec,
    own: &Own,
) -> Result<u8, Problem> {
    let usage = |why: &str, remedy: &str| Problem {
        what: "wrong usage".to_owned(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    };
    if global.read_only && !own.dry_run {
        return Err(Problem {
            what: "nothing is launched".to_owned(),
            why: "midwatch was started with --read-only".to_owned(),
            remedy: "Leave --read-only out, or give --dry-run".to_owned(),
        });
    }
    if own.json && !own.dry_run && !spec.detach {
        return Err(usage(
            "--json would stand in the middle of the container's own output",
            "Give -d or --dry-run with it",
        ));
    }
    if spec.tty
        && spec.interactive
        && !spec.detach
        && !own.dry_run
        && !std::io::stdin().is_terminal()
    {
        return Err(usage("the input device is not a TTY", "Leave -t out"));
    }
    // Who writes into a pipe may take its time.
    for file in &spec.env_files {
        if launcher::plan::is_pipe(file) {
            let _ = launcher::plan::read_file(file);
        }
    }
    let host = look(global, &spec)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem {
            what: "cannot launch".to_owned(),
            why: error.to_string(),
            remedy: "See whether the system gives descriptors (`ulimit -n`)".to_owned(),
        })?;
    let exit = runtime.block_on(async {
        let run = Run {
            connected: connected(global).await?,
            global,
            spec,
            own,
            around,
            host: Mutex::new((host, Instant::now())),
            cache: Cache::of(global.data_dir.as_deref(), global.demo),
            cancel: Cancel::default(),
            read_only: global.read_only,
            bar: Arc::new(Bar::new()),
            env: match global.demo {
                true => Env::of(&[], Path::new("/")),
                false => Env::from_process(),
            },
        };
        run.go().await
    });
    // Who types into a container's input is read by a thread that nothing can end.
    runtime.shutdown_background();
    exit
}

/// How old the picture of the host may be when GPUs are picked.
const OLD: Duration = Duration::from_secs(10);

/// The host at this moment. The sources end here: an open NVML client must not outlive the choice.
fn look(global: &GlobalArgs, spec: &LaunchSpec) -> Result<Arc<HostNow>, Problem> {
    let gpus = launcher::plan::grants(spec);
    let free = matches!(&spec.gpus, Some(ask) if matches!(ask.which, Which::Free(_)));
    let (world, _watch) = hear(global, |world, began, now| {
        ready::launch(world, gpus, free, began, now)
    })?;
    Ok(Arc::new(
        HostNow::of(&world, Stamp::now()).unwrap_or_default(),
    ))
}

/// The engine that the options name.
async fn connected(global: &GlobalArgs) -> Result<Connected, Problem> {
    if global.demo {
        return connect_simulated(DemoHost::new(DEMO_SEED, Stamp::now())).map_err(|error| {
            Problem {
                what: "cannot reach the simulated engine".to_owned(),
                why: error.to_string(),
                remedy: String::new(),
            }
        });
    }
    connect(&SourceConfig {
        host: HostId::default(),
        asked: Asked {
            host: global.host.clone(),
            context: global.context.clone(),
        },
        env: Env::from_process(),
    })
    .await
}

/// A picture of the host and when it was taken.
type Seen = (Arc<HostNow>, Instant);

impl Run<'_> {
    async fn go(self) -> Result<u8, Problem> {
        let plan = match self.until_stopped(self.ready_plan()).await {
            (Some(plan), None) => plan?,
            (_, status) => return Ok(status.unwrap_or(REFUSED)),
        };
        for line in report::remarks(&plan) {
            complain_line(&line);
        }
        let refusal = launcher::refusal(&plan).filter(|_| !self.own.force);
        if self.own.dry_run {
            match self.own.json {
                true => print(&report::document(&plan, None, &self.spec)?)?,
                false => print(report::dry_run(&plan).as_bytes())?,
            }
            if let Some(problem) = refusal {
                complain(&problem);
                return Ok(REFUSED);
            }
            return Ok(0);
        }
        if let Some(problem) = refusal {
            return Err(problem);
        }
        if self.spec.detach {
            return self.detached(&plan).await;
        }
        self.foreground(&plan).await
    }

    /// The plan with all that can be known: the image is fetched, and looked into where its configuration
    /// does not settle the verdict.
    async fn ready_plan(&self) -> Result<Plan, Problem> {
        if self.spec.pull == Some(PullPolicy::Always) && !self.own.dry_run {
            self.fetch().await?;
            self.look_again().await?;
        }
        let mut plan = self.plan().await?;
        if plan.image.is_none()
            && !self.own.dry_run
            && !self.spec.image.is_empty()
            && self.spec.pull != Some(PullPolicy::Never)
        {
            // What would be refused anyway is refused before gigabytes are fetched.
            if !self.own.force
                && let Some(problem) = launcher::refusal(&plan)
            {
                return Err(problem);
            }
            self.fetch().await?;
            self.look_again().await?;
            plan = self.plan().await?;
        }
        let look = match self.own.scan.unwrap_or(ScanAsk::Auto) {
            ScanAsk::Config => false,
            ScanAsk::Auto => plan.scan_would_tell && !self.own.force && !self.read_only,
            ScanAsk::Full => plan.image.is_some() && !self.read_only,
        };
        if look && let Some(image) = plan.image.clone() {
            self.bar.begin(&self.spec.image);
            let bar = Arc::clone(&self.bar);
            let told: check::Told = Arc::new(move |progress| bar.show(progress));
            let subject = Subject::Image(image);
            let engine = &self.connected.engine;
            let read = check::whole(engine, &self.cache, &subject, told, &self.cancel).await;
            self.bar.clear();
            match read {
                Ok(_) => {
                    self.look_again().await?;
                    plan = self.plan().await?;
                }
                // The launch does not depend on it; the verdict stays what it was.
                Err(ScanError::Cancelled) => {}
                Err(error) => complain_line(&format!("could not look inside the image: {error}")),
            }
        }
        Ok(plan)
    }

    fn host(&self) -> Arc<HostNow> {
        let seen = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&seen.0)
    }

    /// Takes a new picture of the host where fetching or scanning took long: who computed then may be done, and
    /// others may have begun.
    async fn look_again(&self) -> Result<(), Problem> {
        let since = self
            .host
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .elapsed();
        if since < OLD {
            return Ok(());
        }
        let (global, spec) = (self.global.clone(), self.spec.clone());
        let looked = tokio::task::spawn_blocking(move || look(&global, &spec)).await;
        let host = looked.map_err(|error| Problem {
            what: "cannot launch".to_owned(),
            why: error.to_string(),
            remedy: String::new(),
        })??;
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = (host, Instant::now());
        Ok(())
    }

    async fn plan(&self) -> Result<Plan, Problem> {
        launcher::plan(
            &self.connected.engine,
            &self.cache,
            &self.host(),
            self.around,
            &self.spec,
        )
        .await
    }

    async fn fetch(&self) -> Result<(), Problem> {
        let image = &self.spec.image;
        if !std::io::stderr().is_terminal() {
            complain_line(&format!("pulling {}", clean(image, 200)));
        }
        let bar = Arc::clone(&self.bar);
        let told = move |progress| bar.line(&report::pulled(&progress));
        let fetched = launcher::fetch(
            &self.connected.engine,
            &self.env,
            image,
            self.spec.platform.as_deref(),
            &told,
            &self.cancel,
        )
        .await;
        self.bar.clear();
        match fetched {
            Ok(_) => Ok(()),
            Err(FetchError::Failed(problem)) => Err(problem),
            // The signal's status ends the program.
            Err(FetchError::Cancelled) => Err(Problem {
                what: format!("{} was not pulled", clean(image, 200)),
                why: "cancelled".to_owned(),
                remedy: String::new(),
            }),
        }
    }

    /// The work's end, and the status to end with where a signal came: what was begun is given up first. A
    /// second signal waits for nothing.
    async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> (Option<T>, Option<u8>) {
        use tokio::signal::unix::{SignalKind, signal};
        tokio::pin!(work);
        let signals = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        );
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
            return (Some(work.await), None);
        };
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
                _ = hangup.recv() => 129,
            }
        };
        let status = tokio::select! {
            done = &mut work => return (Some(done), None),
            status = next() => status,
        };
        self.cancel.cancel();
        let done = tokio::select! {
            done = &mut work => Some(done),
            _ = next() => None,
        };
        self.bar.clear();
        (done, Some(status))
    }

    /// Makes and starts it; else the status to end with. What a signal stopped is gone first.
    async fn started(&self, plan: &Plan, before: &mut Before<'_>) -> Result<Launched, u8> {
        let host = self.host();
        let starting = launcher::start_until(self.start(plan, &host), before, &self.cancel);
        match self.until_stopped(starting).await {
            // It ran before the signal could stop it: in the foreground the signal waits for the container in
            // [`Foreground`], which listens from before the start. Sent here too it would come twice.
            (Some(Ok(launched)), _) => Ok(launched),
            (Some(Err(fault)), status) => {
                if status.is_none() || fault.problem.why != launcher::CANCELLED {
                    complain(&fault.problem);
                }
                Err(status.unwrap_or(fault.exit))
            }
            (None, status) => {
                complain_line("not waited for: see `docker ps -a` for what may be left of it");
                Err(status.unwrap_or(REFUSED))
            }
        }
    }

    fn start<'a>(&'a self, plan: &'a Plan, host: &'a HostNow) -> Start<'a> {
        Start {
            engine: &self.connected.engine,
            cache: &self.cache,
            host,
            surroundings: self.around,
            plan,
            force: self.own.force,
        }
    }

    async fn detached(&self, plan: &Plan) -> Result<u8, Problem> {
        let mut before = |_| std::future::ready(Ok(())).boxed();
        let launched = match self.started(plan, &mut before).await {
            Ok(launched) => launched,
            Err(status) => return Ok(status),
        };
        self.noted(&launched);
        match self.own.json {
            true => print(&report::document(plan, Some(&launched), &self.spec)?)?,
            false => print(format!("{}\n", launched.key.id).as_bytes())?,
        }
        Ok(0)
    }

    async fn foreground(&self, plan: &Plan) -> Result<u8, Problem> {
        let engine = &self.connected.engine;
        let foreground = Foreground::new(engine, &self.spec);
        let started = {
            let mut before = |key| foreground.before(key).boxed();
            self.started(plan, &mut before).await
        };
        let launched = match started {
            Ok(launched) => launched,
            Err(status) => return Ok(status),
        };
        self.noted(&launched);
        foreground.until_the_end(&launched).await
    }

    fn noted(&self, launched: &Launched) {
        for note in &launched.notes {
            complain_line(note);
        }
    }
}

/// One line on standard error.
fn complain_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "midwatch: {text}");
}
