//! Makes and starts what was planned: the right GPUs, in a form that the engine serves; nothing is left of
//! what was refused.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};

use super::pick::{self, Picked};
use super::plan::{self, Judge};
use super::{ChosenGpu, HostNow, LaunchFault, Launched, Plan};
use crate::check::{self, Cancel};
use crate::engine::{Engine, EngineError};
use crate::failures;
use crate::inspect::cache::Cache;
use crate::launch::{GpuRequest, LaunchSpec, Surroundings, Which, grant};
use crate::model::text::clean;
use crate::model::{Container, ContainerKey, ContainerState, Gpu, GpuKey, GpuSnapshot, Problem};

/// Containers that are looked at at a time.
const AT_ONCE: usize = 4;
/// How often other GPUs are picked because somebody was faster, and the pause where all that are left are just
/// being given to others.
const ROUNDS: usize = 16;
const AGAIN: Duration = Duration::from_millis(200);
/// A container that was made and not started has a claim on its GPUs for so long.
const CLAIM: SignedDuration = SignedDuration::from_secs(120);
/// How long another's container that is neither started nor given up is waited for.
const UNDECIDED: Duration = Duration::from_secs(60);
/// Between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What a launch is started with.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Where scans are kept.
    pub cache: &'a Cache,
    /// The host at this moment.
    pub host: &'a HostNow,
    /// Whose environment it takes.
    pub surroundings: &'a Surroundings,
    /// What was planned.
    pub plan: &'a Plan,
    /// Start what the verdict or a conflict forbids.
    pub force: bool,
}

/// Called with a container that was made and is about to start (to attach to it); again with another where
/// that one had to be given up.
pub type Before<'a> = dyn FnMut(ContainerKey) -> BoxFuture<'a, Result<(), EngineError>> + Send + 'a;

/// Starts it. Without `force`, what [`plan::refusal`] says is refused. A caller that stops waiting leaves
/// nothing behind as long as its runtime lives; one that ends uses [`start_until`].
///
/// # Errors
/// Why it did not come about, with Docker's exit status. The container is gone then.
pub async fn start(job: Start<'_>, before: &mut Before<'_>) -> Result<Launched, LaunchFault> {
    start_until(job, before, &Cancel::default()).await
}

/// As [`start`]; `cancel` stops it up to the moment that the container runs, and this returns when what was
/// made is gone.
///
/// # Errors
/// As [`start`]; why is [`CANCELLED`] where it was cancelled.
pub async fn start_until(
    job: Start<'_>,
    before: &mut Before<'_>,
    cancel: &Cancel,
) -> Result<Launched, LaunchFault> {
    if !job.force
        && let Some(problem) = plan::refusal(job.plan)
    {
        return Err(LaunchFault { problem, exit: 125 });
    }
    let spec = &job.plan.spec;
    let known = match &job.plan.image {
        Some(image) => check::known(job.engine, job.cache, image).await.ok(),
        None => None,
    };
    let free = matches!(&spec.gpus, Some(ask) if matches!(ask.which, Which::Free(_)));
    let mut left = Vec::new();
    for round in 0..ROUNDS {
        if cancel.is_cancelled() {
            return Err(cancelled());
        }
        let containers = fresh(job.engine, &job.host.containers)
            .await
            .map_err(|error| refused(&error, spec))?;
        let taken = match &job.host.gpus {
            Some(snapshot) if free => claims(&containers, snapshot),
            _ => HashMap::new(),
        };
        // Made anew each time: it is not kept over an await.
        let picked = {
            let judge = Judge::new(spec, job.host, job.surroundings, known.as_ref());
            let serves = |gpu: &Gpu| judge.against(gpu).filter(|_| !job.force);
            pick::pick(spec, job.host, &containers, &taken, &serves)
        };
        if let Some(conflict) = picked.conflicts.iter().find(|c| c.stops)
            && (free || !job.force)
        {
            // Who is about to start may lose to another and give its GPUs back.
            if !taken.is_empty() && round + 1 < ROUNDS {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            return Err(fault(
                "no GPUs for this launch",
                &conflict.text,
                &conflict.remedy,
                125,
            ));
        }
        match attempt(&job, &picked, free, before, cancel).await? {
            Attempt::Started(made, mut notes) => {
                notes.extend(left);
                // It runs: from here on it is the user's, whoever stops waiting.
                let key = made.key;
                made.keep();
                return Ok(launched(&job, key, picked, notes).await);
            }
            Attempt::Lost(still) => left.extend(still),
        }
    }
    Err(fault(
        "no GPUs for this launch",
        "others were faster each time",
        "Try again, or name the GPUs",
        125,
    ))
}

enum Attempt<'a> {
    Started(Made<'a>, Vec<String>),
    /// Somebody else was given these GPUs first; what of ours could not be removed.
    Lost(Option<String>),
}

/// What became of a container that was made.
enum Step {
    Runs,
    Lost,
    /// The engine does not serve this form of request.
    Unserved(EngineError),
}

/// Makes it with these GPUs and starts it, in the first form that the engine serves.
async fn attempt<'a>(
    job: &Start<'a>,
    picked: &Picked,
    free: bool,
    before: &mut Before<'_>,
    cancel: &Cancel,
) -> Result<Attempt<'a>, LaunchFault> {
    let spec = &job.plan.spec;
    let requests = plan::requests(picked, job.host);
    let mut forms: Vec<Option<_>> = requests.into_iter().map(Some).collect();
    if forms.is_empty() {
        forms.push(None);
    }
    let mut unserved = None;
    for form in &forms {
        let body = plan::make(spec, form.as_ref(), job.surroundings)
            .map_err(|why| fault("this launch cannot be made", &why, "", 125))?;
        let created = job
            .engine
            .create(&body.json, body.name.as_deref(), body.platform.as_deref())
            .await;
        let created = match created {
            Ok(created) => created,
            Err(error) if form.is_some() && grant::is_not_served(&error.to_string()) => {
                unserved.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(refused(&error, spec)),
        };
        let made = Made::new(job.engine, created.key);
        let step = tokio::select! {
            biased;
            step = bring_up(job, form.as_ref(), created.key, picked, free, before) => step,
            () = stopped(cancel) => Err(cancelled()),
        };
        match step {
            Ok(Step::Runs) => return Ok(Attempt::Started(made, created.warnings)),
            Ok(Step::Lost) => return Ok(Attempt::Lost(made.remove().await)),
            Ok(Step::Unserved(error)) => {
                if let Some(left) = made.remove().await {
                    return Err(with_left(refused(&error, spec), Some(left)));
                }
                unserved.get_or_insert(error);
            }
            Err(fault) => return Err(with_left(fault, made.remove().await)),
        }
    }
    Err(match unserved {
        Some(error) => refused(&error, spec),
        None => fault(
            "this launch cannot be made",
            "no form of it is served",
            "",
            125,
        ),
    })
}

/// From a container that was made to one that runs. Whoever calls removes it where it does not.
async fn bring_up(
    job: &Start<'_>,
    form: Option<&GpuRequest>,
    key: ContainerKey,
    picked: &Picked,
    free: bool,
    before: &mut Before<'_>,
) -> Result<Step, LaunchFault> {
    let spec = &job.plan.spec;
    if let Some(form) = form {
        let inspected = job
            .engine
            .inspect_json(key)
            .await
            .map_err(|error| refused(&error, spec))?;
        if !grant::is_kept(form, &inspected) {
            return Ok(Step::Unserved(EngineError::Status {
                code: 0,
                message: format!(
                    "{} dropped the request for GPUs without a word",
                    job.host.engine.name
                ),
            }));
        }
        if free
            && let Some(snapshot) = &job.host.gpus
            && beaten(job, key, &inspected, picked, snapshot).await?
        {
            return Ok(Step::Lost);
        }
    }
    before(key).await.map_err(|error| refused(&error, spec))?;
    match job.engine.start(key).await {
        Ok(()) => Ok(Step::Runs),
        Err(error) if form.is_some() && grant::is_not_served(&error.to_string()) => {
            Ok(Step::Unserved(error))
        }
        Err(error) => Err(refused(&error, spec)),
    }
}

/// Why a launch did not come about that was cancelled.
pub const CANCELLED: &str = "cancelled";

fn cancelled() -> LaunchFault {
    fault("nothing was launched", CANCELLED, "", 125)
}

/// Returns once it is cancelled.
async fn stopped(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

/// The fault, and what could not be removed.
fn with_left(mut fault: LaunchFault, left: Option<String>) -> LaunchFault {
    if let Some(left) = left {
        fault.problem.why = format!("{} ({left})", fault.problem.why);
    }
    fault
}

/// Removes what was made unless it is kept: also where nobody waits any more.
struct Made<'a> {
    engine: &'a Engine,
    key: ContainerKey,
    /// Whether its fate is settled.
    done: bool,
}

impl<'a> Made<'a> {
    fn new(engine: &'a Engine, key: ContainerKey) -> Self {
        Self {
            engine,
            key,
            done: false,
        }
    }

    fn keep(mut self) {
        self.done = true;
    }

    /// Removes it; where that cannot be done, what is left and what to type.
    async fn remove(mut self) -> Option<String> {
        let removed = self.engine.remove_created(self.key).await;
        self.done = true;
        removed.err().map(|error| {
            format!(
                "the container that was made for it could not be removed: {error}; \
                 docker rm -f {} does it",
                self.key.id.short()
            )
        })
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.done
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (engine, key) = (self.engine.clone(), self.key);
            runtime.spawn(async move {
                let _ = engine.remove_created(key).await;
            });
        }
    }
}

async fn launched(
    job: &Start<'_>,
    key: ContainerKey,
    picked: Picked,
    mut notes: Vec<String>,
) -> Launched {
    let planned: Vec<&GpuKey> = job.plan.gpus.chosen.iter().map(|g| &g.key).collect();
    let got: Vec<&GpuKey> = picked.plan.chosen.iter().map(|g| &g.key).collect();
    if !planned.is_empty() && planned != got {
        let labels: Vec<String> = picked.plan.chosen.iter().map(ChosenGpu::label).collect();
        notes.push(format!(
            "other GPUs than planned: {} (somebody was faster)",
            labels.join(", ")
        ));
    }
    let listed = job.engine.list().await.unwrap_or_default();
    let name = listed
        .into_iter()
        .find(|c| c.key == key)
        .map(|c| c.name)
        .or_else(|| job.plan.spec.name.clone());
    Launched {
        key,
        name: clean(&name.unwrap_or_else(|| key.id.short()), 128),
        gpus: picked.plan.chosen,
        notes,
    }
}

impl ChosenGpu {
    /// `GPU 3`, or its UUID.
    #[must_use]
    pub fn label(&self) -> String {
        match self.index {
            Some(index) if !self.key.uuid.as_str().starts_with("MIG-") => format!("GPU {index}"),
            Some(index) => format!("GPU {index} {}", self.key.uuid),
            None => self.key.uuid.to_string(),
        }
    }
}

/// The engine's containers of this moment, with the details of those that may hold GPUs. What is known of a
/// container's grant stays true for its life.
async fn fresh(engine: &Engine, known: &[Container]) -> Result<Vec<Container>, EngineError> {
    let mut list = engine.list().await?;
    let details: HashMap<ContainerKey, &Container> = known
        .iter()
        .filter(|c| c.detail.is_some())
        .map(|c| (c.key, c))
        .collect();
    let newest = list.iter().filter_map(|c| c.created_at).max();
    let mut wanted = Vec::new();
    for container in &mut list {
        match details.get(&container.key) {
            Some(old) => container.detail.clone_from(&old.detail),
            None if may_hold(container, newest) => wanted.push(container.key),
            None => {}
        }
    }
    let asked = stream::iter(wanted)
        .map(|key| async move { (key, engine.inspect(key).await) })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    for (key, detail) in asked {
        match (detail, list.iter_mut().find(|c| c.key == key)) {
            (Ok(detail), Some(container)) => container.detail = Some(Box::new(detail)),
            // It went away meanwhile.
            (Err(error), _) if error.is_not_found() => {}
            (Err(error), _) => return Err(error),
            (Ok(_), None) => {}
        }
    }
    Ok(list)
}

/// Whether a container runs, or was made so lately that it is about to; not one whose start was refused. Times
/// are the engine's own.
fn may_hold(container: &Container, newest: Option<Timestamp>) -> bool {
    let detail = container.detail.as_ref();
    let refused = detail.and_then(|d| d.error.as_deref());
    container.state.is_live()
        || (container.state == ContainerState::Created
            && refused.is_none_or(str::is_empty)
            && match (container.created_at, newest) {
                (Some(made), Some(newest)) => newest.duration_since(made) <= CLAIM,
                _ => true,
            })
}

/// The GPUs that containers which are about to start were given by name.
fn claims(containers: &[Container], snapshot: &GpuSnapshot) -> HashMap<GpuKey, String> {
    let newest = containers.iter().filter_map(|c| c.created_at).max();
    let mut claims = HashMap::new();
    for container in containers {
        let Some(granted) = container.detail.as_ref().and_then(|d| d.grant.as_ref()) else {
            continue;
        };
        if may_hold(container, newest) && !container.state.is_live() && grant::is_named(granted) {
            let why = format!("given to {} just now", clean(&container.name, 64));
            for gpu in pick::keys(granted, snapshot) {
                claims.insert(gpu, why.clone());
            }
        }
    }
    claims
}

/// Whether somebody was given one of our GPUs first: whoever runs with it, and whoever made a container with
/// it earlier (by the engine's clock, then by id: both sides see it alike). One that was made later may have
/// looked before ours was to be seen: it gives way or it runs, and until then ours waits.
async fn beaten(
    job: &Start<'_>,
    ours: ContainerKey,
    inspected: &serde_json::Value,
    picked: &Picked,
    snapshot: &GpuSnapshot,
) -> Result<bool, LaunchFault> {
    let began = Instant::now();
    loop {
        match race(job, ours, inspected, picked, snapshot).await? {
            Race::Lost => return Ok(true),
            // Whoever made the other one and died does not hold ours for ever.
            Race::Open if began.elapsed() < UNDECIDED => tokio::time::sleep(AGAIN).await,
            Race::Open | Race::Won => return Ok(false),
        }
    }
}

enum Race {
    Won,
    Lost,
    /// A container that was made later has our GPU too and is about to start or to give way.
    Open,
}

/// One look at who else has one of our GPUs.
async fn race(
    job: &Start<'_>,
    ours: ContainerKey,
    inspected: &serde_json::Value,
    picked: &Picked,
    snapshot: &GpuSnapshot,
) -> Result<Race, LaunchFault> {
    let spec = &job.plan.spec;
    let containers = fresh(job.engine, &job.host.containers)
        .await
        .map_err(|error| refused(&error, spec))?;
    let newest = containers.iter().filter_map(|c| c.created_at).max();
    let own: Vec<&GpuKey> = picked.plan.chosen.iter().map(|g| &g.key).collect();
    let mut race = Race::Won;
    for other in &containers {
        let Some(granted) = other.detail.as_ref().and_then(|d| d.grant.as_ref()) else {
            continue;
        };
        if other.key == ours || !grant::is_named(granted) || !may_hold(other, newest) {
            continue;
        }
        let shared = pick::keys(granted, snapshot)
            .iter()
            .any(|gpu| own.contains(&gpu));
        if !shared {
            continue;
        }
        if other.state.is_live() {
            return Ok(Race::Lost);
        }
        match job.engine.inspect_json(other.key).await {
            Ok(theirs) if (made_at(&theirs), other.key.id) < (made_at(inspected), ours.id) => {
                return Ok(Race::Lost);
            }
            Ok(_) => race = Race::Open,
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(refused(&error, spec)),
        }
    }
    Ok(race)
}

/// When a container was made, to the nanosecond.
fn made_at(inspected: &serde_json::Value) -> Option<Timestamp> {
    inspected.get("Created")?.as_str()?.parse().ok()
}

fn fault(what: &str, why: &str, remedy: &str, exit: u8) -> LaunchFault {
    LaunchFault {
        problem: Problem {
            what: what.to_owned(),
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        },
        exit,
    }
}

/// The engine's refusal, explained where it is a known one.
fn refused(error: &EngineError, spec: &LaunchSpec) -> LaunchFault {
    let text = error.to_string();
    let image = clean(&spec.image, 120);
    let exit = failures::refused_exit(&text);
    match failures::refusal(&text) {
        Some(known) => LaunchFault {
            problem: Problem {
                what: format!("{image} was not started: {}", known.title),
                why: match known.cause.is_empty() {
                    true => text,
                    false => format!("{} (the engine: {text})", known.cause.trim_end_matches('.')),
                },
                remedy: known.remedy.join("; "),
            },
            exit,
        },
        None => fault(&format!("{image} was not started"), &text, "", exit),
    }
}
