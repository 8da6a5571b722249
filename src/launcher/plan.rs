//! What a launch would do, found out without changing anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::conflicts::{self, Here, Machine};
use super::pick::{self, Picked};
use super::{Conflict, Field, HostNow, Mend, Plan};
use crate::check::{self, ScanError};
use crate::engine::Engine;
use crate::inspect::Known;
use crate::inspect::cache::Cache;
use crate::launch::body::{self, CreateBody};
use crate::launch::{EnvVar, GpuRequest, LaunchSpec, OtherFlag, Surroundings, Which, grant};
use crate::model::{Gpu, Problem};
use crate::verdict::facts::{HostFacts, HostGpu, ImageFacts, LaunchFacts};
use crate::verdict::{Answer, Severity, Verdict, judge};

/// Looking at paths and ports of this machine may hang on a file server that is away.
const LOOK: Duration = Duration::from_secs(3);
/// Bytes of an environment or label file that are read.
const MAX_FILE: u64 = 1 << 20;
/// The engine's own `/dev/shm`, bytes.
const DEFAULT_SHM: u64 = 64 << 20;

/// Plans a launch. The engine is asked for the image alone; all else is in `host`.
///
/// # Errors
/// The engine does not answer.
pub async fn plan(
    engine: &Engine,
    cache: &Cache,
    host: &HostNow,
    surroundings: &Surroundings,
    spec: &LaunchSpec,
) -> Result<Plan, Problem> {
    let found = match spec.image.trim() {
        "" => None,
        image => engine
            .find_image(image)
            .await
            .map_err(|error| trouble(&error.to_string()))?,
    };
    // One for another CPU is not the one that is asked for: Docker's client fetches it then.
    let found = match (found, spec.platform.as_deref()) {
        (Some((_, value)), Some(asked)) if !engine.is_for(&spec.image, asked, &value).await => None,
        (found, _) => found,
    };
    let known = match &found {
        Some((id, _)) => match check::known(engine, cache, id).await {
            Ok(known) => Some(known),
            Err(ScanError::Absent) => None,
            Err(error) => return Err(trouble(&error.to_string())),
        },
        None => None,
    };
    let (spec, host, around) = (spec.clone(), host.clone(), surroundings.clone());
    let image = found.map(|(id, _)| id);
    let work = tokio::task::spawn_blocking(move || {
        let mut plan = decide(&spec, &host, &around, known.as_ref());
        plan.image = image;
        let here: Option<&dyn Here> =
            (host.local && !host.engine.simulated).then_some(&Machine as &dyn Here);
        let more = conflicts::find(&spec, &host.containers, plan.image.is_some(), here);
        plan.conflicts.extend(more);
        plan.conflicts.sort_by_key(|conflict| !conflict.stops);
        if plan
            .conflicts
            .iter()
            .any(|c| c.stops && c.field == Field::Gpus)
        {
            plan.create = None;
        }
        plan
    });
    match tokio::time::timeout(LOOK, work).await {
        Ok(Ok(plan)) => Ok(plan),
        Ok(Err(error)) => Err(trouble(&error.to_string())),
        Err(_) => Err(Problem {
            what: "cannot plan this launch".to_owned(),
            why: format!(
                "a path of it did not answer within {} s (a file server that is away?)",
                LOOK.as_secs()
            ),
            remedy: "See whether `ls` on its mounts comes back".to_owned(),
        }),
    }
}

fn trouble(why: &str) -> Problem {
    Problem {
        what: "cannot plan this launch".to_owned(),
        why: why.to_owned(),
        remedy: String::new(),
    }
}

/// What pipes gave, by path: they give it once, and a launch reads its files several times.
static PIPES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Reads a file that a flag names. What a pipe gives (`--env-file <(…)`) is kept.
///
/// # Errors
/// It cannot be read, is no text, or is larger than 1 MiB.
pub fn read_file(path: &str) -> Result<String, String> {
    let pipe = is_pipe(path);
    if pipe
        && let Some(text) = PIPES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
    {
        return Ok(text.clone());
    }
    let text = read_once(path)?;
    if pipe {
        let mut kept = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(path.to_owned(), text.clone());
    }
    Ok(text)
}

/// Whether a path is no file that may be read again.
#[must_use]
pub fn is_pipe(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn read_once(path: &str) -> Result<String, String> {
    use std::io::Read as _;
    let shown = crate::model::text::clean(path, 200);
    let file = std::fs::File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut text = String::new();
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    match read {
        Ok(n) if n as u64 <= MAX_FILE => Ok(text),
        Ok(_) => Err(format!("{shown}: larger than 1 MiB")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Everything of a plan but the conflicts of ports, paths and names.
fn decide(spec: &LaunchSpec, host: &HostNow, around: &Surroundings, known: Option<&Known>) -> Plan {
    let judge_with = Judge::new(spec, host, around, known);
    let serves = |gpu: &Gpu| judge_with.against(gpu);
    let picked = pick::pick(spec, host, &host.containers, &HashMap::new(), &serves);
    let verdict = judge_with.on(&picked.plan.chosen_ids());
    let mut conflicts = picked.conflicts.clone();
    let requests = requests(&picked, host);
    let typed = as_typed(spec, &picked, requests.first());
    let create = match make(spec, requests.first(), around) {
        Ok(body) => Some(body.json),
        Err(text) => {
            conflicts.push(Conflict {
                field: Field::Other,
                stops: true,
                text,
                remedy: String::new(),
                mend: None,
            });
            None
        }
    };
    // The runtime of containers that name none may give GPUs unasked.
    let gives = host.engine.default_runtime.as_deref();
    let unasked = gives.is_some_and(|name| name.starts_with("nvidia"));
    if let Some(known) = known.filter(|_| !grants(spec) && !unasked) {
        conflicts.extend(forgotten(known));
    }
    Plan {
        spec: spec.clone(),
        image: None,
        scan_would_tell: grants(spec)
            && known.is_some_and(|k| k.content.is_none())
            && verdict
                .as_ref()
                .is_some_and(|v| v.answer == Answer::Unknown),
        verdict,
        gpus: picked.plan,
        conflicts,
        docker_run: typed.docker_run(),
        create,
    }
}

/// Whether the launch is to have GPUs.
#[must_use]
pub fn grants(spec: &LaunchSpec) -> bool {
    spec.gpus
        .as_ref()
        .is_some_and(|ask| ask.which != Which::Count(0))
        || grant::grant(spec).is_some()
}

/// The body of the create call with GPUs asked for in this form.
pub(super) fn make(
    spec: &LaunchSpec,
    request: Option<&GpuRequest>,
    around: &Surroundings,
) -> Result<CreateBody, String> {
    body::create(spec, request, around, &read_file)
}

/// The forms in which the picked GPUs may be asked for.
pub(super) fn requests(picked: &Picked, host: &HostNow) -> Vec<GpuRequest> {
    match &picked.ask {
        Some(ask) => grant::forms(ask, &picked.named, &host.engine),
        None => Vec::new(),
    }
}

/// The launch as one would type it for Docker: GPUs pinned, in the form that is sent.
fn as_typed(spec: &LaunchSpec, picked: &Picked, request: Option<&GpuRequest>) -> LaunchSpec {
    let mut typed = spec.clone();
    let flag = |name: &str, value: &str| OtherFlag {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    match request {
        Some(GpuRequest::Cdi(names)) => {
            typed.gpus = None;
            typed
                .other
                .extend(names.iter().map(|name| flag("device", name)));
        }
        Some(GpuRequest::Runtime {
            name,
            visible,
            capabilities,
        }) => {
            typed.gpus = None;
            typed.other.push(flag("runtime", name));
            let var = |name: &str, value: &str| EnvVar {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            };
            typed.env.push(var("NVIDIA_VISIBLE_DEVICES", visible));
            if let Some(all) = capabilities {
                typed.env.push(var("NVIDIA_DRIVER_CAPABILITIES", all));
            }
        }
        Some(GpuRequest::Device { .. }) | None => {
            if picked.ask.is_some() {
                typed.gpus.clone_from(&picked.ask);
            }
        }
    }
    typed
}

/// A CUDA image that is given no GPU: seldom what was meant.
fn forgotten(known: &Known) -> Option<Conflict> {
    let facts = known.facts();
    let cuda = facts.declared_cuda.is_some()
        || !facts.runtimes.is_empty()
        || facts
            .frameworks
            .iter()
            .any(|f| matches!(f.build, crate::verdict::facts::Build::Cuda(_)));
    cuda.then(|| Conflict {
        field: Field::Gpus,
        stops: false,
        text: "this image has CUDA in it, and it is given no GPU".to_owned(),
        remedy: "give it one: --free 1".to_owned(),
        mend: Some(Mend::Gpus(Which::Free(1))),
    })
}

/// Judges an image as it would be launched.
pub(super) struct Judge {
    facts: Option<ImageFacts>,
    host: HostFacts,
    launch: LaunchFacts,
    grants: bool,
    /// The card of each MIG instance.
    parents: HashMap<String, String>,
    kinds: RefCell<HashMap<String, Option<String>>>,
}

impl Judge {
    pub fn new(
        spec: &LaunchSpec,
        host: &HostNow,
        around: &Surroundings,
        known: Option<&Known>,
    ) -> Self {
        let facts = known.map(|known| {
            let mut env: Vec<String> = known
                .config
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            // A file that cannot be read is a conflict of its own.
            if let Ok(body) = make(spec, None, around) {
                let own = body.json.get("Env").and_then(serde_json::Value::as_array);
                env.extend(
                    own.into_iter()
                        .flatten()
                        .filter_map(|var| var.as_str().map(str::to_owned)),
                );
            }
            Known {
                config: known.config.with_env(&env),
                ..known.clone()
            }
            .facts()
        });
        let shared = spec
            .ipc
            .as_deref()
            .is_some_and(|ipc| ipc == "host" || ipc.starts_with("container:"));
        let granted = grant::grant(spec);
        let by_request = spec.gpus.is_some() || granted.is_some_and(|g| g.needs_runtime());
        Self {
            facts,
            host: host.facts(),
            launch: LaunchFacts {
                grants_gpus: by_request,
                shm_bytes: (!shared).then_some(spec.shm_bytes.unwrap_or(DEFAULT_SHM)),
            },
            grants: grants(spec),
            parents: host
                .cards()
                .iter()
                .flat_map(|gpu| &gpu.mig_instances)
                .map(|mig| (mig.key.uuid.to_string(), mig.parent.to_string()))
                .collect(),
            kinds: RefCell::default(),
        }
    }

    /// The verdict on these GPUs (by id; none: all of the host, as though it were given them); `None` without
    /// the image.
    pub fn on(&self, ids: &[String]) -> Option<Verdict> {
        let facts = self.facts.as_ref()?;
        let mut host = self.host.clone();
        host.launch = self.grants.then(|| self.launch.clone());
        // An instance is judged as the card it is part of, under its own name.
        let chosen: Vec<HostGpu> = ids
            .iter()
            .filter_map(|id| {
                let card = self.parents.get(id).unwrap_or(id);
                let gpu = host.gpus.iter().find(|gpu| gpu.id == *card)?;
                Some(HostGpu {
                    id: id.clone(),
                    ..gpu.clone()
                })
            })
            .collect();
        if !chosen.is_empty() {
            host.gpus = chosen;
        }
        Some(judge(facts, &host))
    }

    /// Why the image cannot run on this GPU for a reason of the GPU itself; `None`: nothing is against it, or
    /// it would fail on every GPU alike.
    pub fn against(&self, gpu: &Gpu) -> Option<String> {
        let facts = self.facts.as_ref()?;
        let kind = format!("{} {:?}", gpu.name, gpu.compute_capability);
        if let Some(told) = self.kinds.borrow().get(&kind) {
            return told.clone();
        }
        let id = gpu.key.uuid.as_str();
        let mut host = self.host.clone();
        host.gpus.retain(|g| g.id == id);
        let told = match host.gpus.is_empty() {
            true => None,
            false => judge(facts, &host)
                .findings
                .into_iter()
                .find(|f| f.severity == Severity::Error && OF_A_GPU.contains(&f.rule.0))
                .map(|f| format!("{} {}", f.rule, f.title)),
        };
        self.kinds.borrow_mut().insert(kind, told.clone());
        told
    }
}

/// The rules whose outcome depends on the GPU itself.
const OF_A_GPU: [u16; 6] = [105, 106, 107, 108, 201, 203];

impl super::GpuPlan {
    /// The UUIDs of what was chosen.
    pub(super) fn chosen_ids(&self) -> Vec<String> {
        self.chosen
            .iter()
            .map(|gpu| gpu.key.uuid.to_string())
            .collect()
    }
}

impl Plan {
    /// The verdict, where it counts: a launch that is given no GPU is none of its business.
    #[must_use]
    pub fn decisive(&self) -> Option<&Verdict> {
        self.verdict.as_ref().filter(|_| grants(&self.spec))
    }
}

/// Whether a plan may be started: what forbids it, in words.
#[must_use]
pub fn refusal(plan: &Plan) -> Option<Problem> {
    if let Some(verdict) = plan.decisive().filter(|v| v.answer == Answer::Fails) {
        let (what, remedy) = match verdict.root() {
            Some(finding) => (
                format!("{} {}", finding.rule, finding.title),
                finding.remedy.first().cloned().unwrap_or_default(),
            ),
            None => ("the image does not run here".to_owned(), String::new()),
        };
        let evidence: Vec<String> = verdict
            .root()
            .map(|f| f.evidence.clone())
            .unwrap_or_default();
        return Some(Problem {
            what: format!(
                "{} would fail on these GPUs",
                crate::model::text::clean(&plan.spec.image, 120)
            ),
            why: match evidence.is_empty() {
                true => what,
                false => format!("{what} ({})", evidence.join("; ")),
            },
            remedy: match remedy.is_empty() {
                true => "Start it nevertheless with --force".to_owned(),
                false => format!("{remedy}; or start it nevertheless with --force"),
            },
        });
    }
    let stops: Vec<&Conflict> = plan.conflicts.iter().filter(|c| c.stops).collect();
    let joined = |each: fn(&Conflict) -> &str| {
        let texts: Vec<&str> = stops
            .iter()
            .map(|c| each(c))
            .filter(|t| !t.is_empty())
            .collect();
        texts.join("; ")
    };
    (!stops.is_empty()).then(|| Problem {
        what: "this launch would fail".to_owned(),
        why: joined(|c| &c.text),
        remedy: joined(|c| &c.remedy),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pipe_gives_is_read_once_and_kept() {
        use std::io::Write as _;
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"A=1\n").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        assert!(is_pipe(&path));
        for _ in 0..3 {
            assert_eq!(read_file(&path).as_deref(), Ok("A=1\n"));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        std::fs::write(path, "B=1").unwrap();
        assert_eq!(read_file(path).as_deref(), Ok("B=1"));
        std::fs::write(path, "B=2").unwrap();
        assert_eq!(read_file(path).as_deref(), Ok("B=2"));
        assert!(read_file("/").is_err() && !is_pipe("/"));
    }
}
