//! The GPUs that a launch gets: those that were asked for, pinned by UUID, or free ones.

use std::collections::HashMap;

use crate::join::{self, GpuRef, JoinInput, Owner};
use crate::launch::free::{self, Board, Choice, Holder, Unit};
use crate::launch::grant::{self, Named};
use crate::launch::{GpuAsk, LaunchSpec, Which};
use crate::model::text::clean;
use crate::model::{
    Container, DriverStatus, Gpu, GpuGrant, GpuKey, GpuSnapshot, GpuState, MigInstance,
};

use super::{ChosenGpu, Conflict, Field, GpuPlan, HostNow, Mend};

/// Says of a GPU why this image cannot run on it; `None`: nothing is against it.
pub(super) type Serves<'a> = &'a dyn Fn(&Gpu) -> Option<String>;

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Picked {
    /// The request with the GPUs pinned; `None` where `--gpus` and `--free` were not given, or it failed.
    pub ask: Option<GpuAsk>,
    /// Each pinned GPU under its names.
    pub named: Vec<Named>,
    pub plan: GpuPlan,
    pub conflicts: Vec<Conflict>,
}

/// Picks. `containers` are the engine's, with their details; `taken` are GPUs that others were just given.
pub(super) fn pick(
    spec: &LaunchSpec,
    host: &HostNow,
    containers: &[Container],
    taken: &HashMap<GpuKey, String>,
    serves: Serves<'_>,
) -> Picked {
    let Some(ask) = &spec.gpus else {
        return by_other_flags(spec, host, containers);
    };
    let snapshot = match usable(host) {
        Ok(snapshot) => snapshot,
        Err(why) => return unseen(ask, why),
    };
    let table = Table::new(host, snapshot, containers, taken);
    match &ask.which {
        Which::Free(count) => free_ones(ask, *count, &table, serves),
        Which::All => all(ask, &table, serves),
        Which::Count(count) => {
            let refs = join::resolve(&GpuGrant::Count(*count), snapshot);
            let found = u32::try_from(refs.len()).unwrap_or(u32::MAX);
            let mut picked = named(ask, refs, &table);
            if found < *count {
                picked.conflicts.push(stop(format!(
                    "{count} GPUs are asked for and this host has {found}"
                )));
            }
            picked
        }
        Which::Devices(words) => {
            let mut refs: Vec<GpuRef> = Vec::new();
            let mut unknown = Vec::new();
            for word in words {
                let grant = GpuGrant::Devices(vec![word.clone()]);
                let found = join::resolve(&grant, snapshot);
                if found.is_empty() {
                    unknown.push(clean(word, 80));
                }
                for gpu in found {
                    if !refs.iter().any(|known| known.key == gpu.key) {
                        refs.push(gpu);
                    }
                }
            }
            let mut picked = named(ask, refs, &table);
            if !unknown.is_empty() {
                picked.conflicts.push(Conflict {
                    remedy: format!("this host has {}", listed(snapshot)),
                    ..stop(format!("no GPU here is called {}", unknown.join(", ")))
                });
                // Who starts it nevertheless means what was typed.
                picked.ask = Some(ask.clone());
                picked.named.clear();
            }
            picked
        }
    }
}

/// The picture to choose from.
struct Table<'a> {
    host: &'a HostNow,
    snapshot: &'a GpuSnapshot,
    taken: &'a HashMap<GpuKey, String>,
    holders: Vec<Holder>,
    owners: HashMap<u32, String>,
}

impl<'a> Table<'a> {
    fn new(
        host: &'a HostNow,
        snapshot: &'a GpuSnapshot,
        containers: &[Container],
        taken: &'a HashMap<GpuKey, String>,
    ) -> Self {
        Self {
            host,
            snapshot,
            taken,
            holders: holders(containers, snapshot),
            owners: owners(containers, host, snapshot),
        }
    }

    fn board<'b>(&'b self, unfit: &'b HashMap<GpuKey, String>) -> Board<'b> {
        Board {
            gpus: self.snapshot,
            busy: &self.host.busy,
            unfit,
            holders: &self.holders,
            owners: &self.owners,
        }
    }

    /// Sick ones, and those that others were just given.
    fn unfit(&self) -> HashMap<GpuKey, String> {
        let mut unfit = self.host.sick.clone();
        unfit.extend(self.taken.iter().map(|(k, why)| (k.clone(), why.clone())));
        unfit
    }
}

/// The GPUs' picture, where it is the engine's machine and the driver answers.
fn usable(host: &HostNow) -> Result<&GpuSnapshot, String> {
    if !host.local {
        return Err("the engine is not proven to run on this machine".to_owned());
    }
    let Some(snapshot) = &host.gpus else {
        return Err("the NVIDIA driver has not answered yet".to_owned());
    };
    match &snapshot.driver {
        DriverStatus::Up(_) if !snapshot.gpus.is_empty() => Ok(snapshot),
        DriverStatus::Up(_) => Err("the driver lists no GPU".to_owned()),
        DriverStatus::Released if !snapshot.gpus.is_empty() => Ok(snapshot),
        DriverStatus::Released => Err("NVML is let go of".to_owned()),
        DriverStatus::Starting => Err("the NVIDIA driver has not answered yet".to_owned()),
        DriverStatus::Down(problem) => Err(problem.to_string()),
    }
}

/// Nothing is known of the GPUs: what was typed is sent as it is; free ones cannot be chosen.
fn unseen(ask: &GpuAsk, why: String) -> Picked {
    let free = matches!(ask.which, Which::Free(_));
    let conflict = match free {
        true => Conflict {
            remedy: "name the GPUs instead (--gpus all, --gpus device=0)".to_owned(),
            ..stop(format!("which GPUs are free cannot be told: {why}"))
        },
        false => Conflict {
            stops: false,
            ..stop(format!(
                "the GPUs cannot be looked at: {why}; they are asked for as typed"
            ))
        },
    };
    Picked {
        ask: (!free).then(|| ask.clone()),
        conflicts: vec![conflict],
        ..Picked::default()
    }
}

fn stop(text: String) -> Conflict {
    Conflict {
        field: Field::Gpus,
        stops: true,
        text,
        remedy: String::new(),
        mend: None,
    }
}

/// Granted by a runtime, a CDI name or device nodes: nothing is changed, the GPUs are only looked at.
fn by_other_flags(spec: &LaunchSpec, host: &HostNow, containers: &[Container]) -> Picked {
    let Some(granted) = grant::grant(spec) else {
        return Picked::default();
    };
    let Ok(snapshot) = usable(host) else {
        return Picked::default();
    };
    let none = HashMap::new();
    let table = Table::new(host, snapshot, containers, &none);
    let refs = join::resolve(&granted, snapshot);
    let mut picked = match grant::is_named(&granted) {
        true => named(&GpuAsk::of(Which::All), refs, &table),
        false => Picked {
            plan: GpuPlan {
                chosen: refs.iter().filter_map(|r| chosen(&table, &r.key)).collect(),
                left_out: Vec::new(),
            },
            ..Picked::default()
        },
    };
    picked.ask = None;
    picked.named.clear();
    picked
}

/// All of them, as Docker's client asks; where the image runs on some alone, those are named.
fn all(ask: &GpuAsk, table: &Table<'_>, serves: Serves<'_>) -> Picked {
    let mut picked = Picked {
        ask: Some(ask.clone()),
        ..Picked::default()
    };
    let mut good = Vec::new();
    for gpu in &table.snapshot.gpus {
        let why = match &gpu.state {
            GpuState::Lost(_) => Some("lost".to_owned()),
            _ => serves(gpu),
        };
        match why {
            Some(why) => picked.plan.left_out.push((label(gpu), why)),
            None => good.push(gpu),
        }
    }
    let refs = join::resolve(&GpuGrant::All, table.snapshot);
    if good.is_empty() || picked.plan.left_out.is_empty() {
        picked.plan.left_out.clear();
        let units = refs.iter().filter_map(|r| chosen(table, &r.key));
        picked.plan.chosen = units.collect();
        return picked;
    }
    let refs: Vec<GpuRef> = refs
        .into_iter()
        .filter(|r| {
            good.iter()
                .any(|g| g.key == r.key || g.mig_instances.iter().any(|m| m.key == r.key))
        })
        .collect();
    let left_out = std::mem::take(&mut picked.plan.left_out);
    let words: Vec<String> = left_out
        .iter()
        .map(|(gpu, why)| format!("{gpu}: {why}"))
        .collect();
    let mut picked = named(ask, refs, table);
    picked.conflicts.clear();
    picked.conflicts.push(Conflict {
        stops: false,
        ..stop(format!(
            "all GPUs are asked for; it gets those it can use ({})",
            words.join("; ")
        ))
    });
    picked.plan.left_out = left_out;
    picked
}

/// Free ones on which the image runs.
fn free_ones(ask: &GpuAsk, count: u32, table: &Table<'_>, serves: Serves<'_>) -> Picked {
    let mut unfit = table.unfit();
    for gpu in &table.snapshot.gpus {
        if let Some(why) = serves(gpu) {
            unfit.entry(gpu.key.clone()).or_insert(why);
        }
    }
    let board = table.board(&unfit);
    let choice = free::survey(&board);
    let left_out = |choice: &Choice| -> Vec<(String, String)> {
        choice
            .left_out
            .iter()
            .map(|(unit, why)| (unit.label(), why.clone()))
            .collect()
    };
    let Some(units) = free::take(&choice, count) else {
        let have = u32::try_from(choice.free.len()).unwrap_or(u32::MAX);
        let words: Vec<String> = left_out(&choice)
            .iter()
            .map(|(gpu, why)| format!("{gpu}: {why}"))
            .collect();
        let mut conflict = stop(format!(
            "{count} free {} asked for and {have} {} ({})",
            if count == 1 { "GPU is" } else { "GPUs are" },
            if have == 1 { "is" } else { "are" },
            words.join("; ")
        ));
        if have > 0 {
            conflict.mend = Some(Mend::Gpus(Which::Free(have)));
            conflict.remedy = format!("take {have}");
        } else {
            conflict.remedy = "name a GPU to share it (--gpus device=0), or wait".to_owned();
        }
        return Picked {
            plan: GpuPlan {
                chosen: Vec::new(),
                left_out: left_out(&choice),
            },
            conflicts: vec![conflict],
            ..Picked::default()
        };
    };
    let names: std::collections::BTreeSet<&str> = units.iter().map(|u| u.name.as_str()).collect();
    let mut conflicts = Vec::new();
    if names.len() > 1 {
        conflicts.push(Conflict {
            stops: false,
            ..stop(format!(
                "the free GPUs are of several kinds: {}",
                names.into_iter().collect::<Vec<_>>().join(", ")
            ))
        });
    }
    Picked {
        ask: Some(pinned(ask, &units)),
        named: units.iter().map(|u| names_of(table, u)).collect(),
        plan: GpuPlan {
            left_out: left_out(&choice),
            chosen: units.into_iter().map(ChosenGpu::from).collect(),
        },
        conflicts,
    }
}

/// Exactly these, whether free or not; what is in use is said.
fn named(ask: &GpuAsk, refs: Vec<GpuRef>, table: &Table<'_>) -> Picked {
    let sick = table.unfit();
    let board = table.board(&sick);
    let mut picked = Picked::default();
    let mut units = Vec::new();
    let mut busy = Vec::new();
    for gpu in &refs {
        let Some(unit) = free::unit(&board, &gpu.key) else {
            continue;
        };
        if lost(table.snapshot, &gpu.key) {
            picked.conflicts.push(stop(format!(
                "{} is lost: it cannot be given",
                unit.label()
            )));
        } else if let Some(why) = free::not_free(&board, &gpu.key) {
            let memory = match (unit.used_bytes, unit.total_bytes) {
                (Some(used), Some(total)) => {
                    format!(
                        ", {} of {} GiB of its memory are taken",
                        gib(used),
                        gib(total)
                    )
                }
                _ => String::new(),
            };
            busy.push(format!("{} is {why}{memory}", unit.label()));
        }
        units.push(unit);
    }
    if !busy.is_empty() {
        let count = u32::try_from(units.len()).unwrap_or(0);
        let enough = free::take(&free::survey(&board), count).is_some();
        picked.conflicts.push(Conflict {
            stops: false,
            remedy: match enough {
                true => format!("{count} free ones are there: --free {count}"),
                false => "both will share its memory and time".to_owned(),
            },
            mend: enough.then_some(Mend::Gpus(Which::Free(count))),
            ..stop(busy.join("; "))
        });
    }
    if !units.is_empty() {
        picked.ask = Some(pinned(ask, &units));
        picked.named = units.iter().map(|u| names_of(table, u)).collect();
    } else if picked.conflicts.is_empty() {
        picked.ask = Some(ask.clone());
    }
    picked.plan.chosen = units.into_iter().map(ChosenGpu::from).collect();
    picked
}

impl From<Unit> for ChosenGpu {
    fn from(unit: Unit) -> Self {
        Self {
            key: unit.key,
            index: unit.index,
            name: unit.name,
            why: unit.why,
        }
    }
}

fn chosen(table: &Table<'_>, key: &GpuKey) -> Option<ChosenGpu> {
    let none = HashMap::new();
    free::unit(&table.board(&none), key).map(ChosenGpu::from)
}

/// The request with these by UUID: an index or a count may mean others by the time it starts.
fn pinned(ask: &GpuAsk, units: &[Unit]) -> GpuAsk {
    let ids = units.iter().map(|u| u.key.uuid.to_string()).collect();
    GpuAsk {
        which: Which::Devices(ids),
        ..ask.clone()
    }
}

fn names_of(table: &Table<'_>, unit: &Unit) -> Named {
    let index = table.snapshot.gpus.iter().find_map(|gpu| {
        let index = gpu.index?;
        if gpu.key == unit.key {
            return Some(index.to_string());
        }
        let is_it = |m: &MigInstance| m.key == unit.key;
        let place = gpu.mig_instances.iter().position(is_it)?;
        Some(format!("{index}:{place}"))
    });
    Named {
        uuid: unit.key.uuid.to_string(),
        index,
    }
}

fn lost(snapshot: &GpuSnapshot, key: &GpuKey) -> bool {
    snapshot
        .gpus
        .iter()
        .any(|gpu| gpu.key == *key && matches!(gpu.state, GpuState::Lost(_)))
}

fn label(gpu: &Gpu) -> String {
    match gpu.index {
        Some(index) => format!("GPU {index}"),
        None => gpu.key.uuid.to_string(),
    }
}

/// `GPU 0 to 3`, or each by UUID.
fn listed(snapshot: &GpuSnapshot) -> String {
    let labels: Vec<String> = snapshot.gpus.iter().map(label).collect();
    match (labels.first(), labels.last(), labels.len()) {
        (Some(first), Some(last), 4..) => {
            format!("{first} to {}", last.trim_start_matches("GPU "))
        }
        _ => labels.join(", "),
    }
}

fn gib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / (1u64 << 30) as f64)
}

/// The containers that were given GPUs by name and have a claim on them.
fn holders(containers: &[Container], snapshot: &GpuSnapshot) -> Vec<Holder> {
    containers
        .iter()
        .filter(|container| container.state.is_live())
        .filter_map(|container| {
            let granted = container.detail.as_ref()?.grant.as_ref()?;
            grant::is_named(granted).then(|| Holder {
                name: clean(&container.name, 64),
                gpus: keys(granted, snapshot),
            })
        })
        .collect()
}

/// The GPUs of a grant.
pub(super) fn keys(granted: &GpuGrant, snapshot: &GpuSnapshot) -> Vec<GpuKey> {
    let refs = join::resolve(granted, snapshot);
    refs.into_iter().map(|gpu| gpu.key).collect()
}

/// Whose the GPU processes are, in words.
fn owners(
    containers: &[Container],
    host: &HostNow,
    snapshot: &GpuSnapshot,
) -> HashMap<u32, String> {
    let rows: Vec<&Container> = containers.iter().collect();
    let joined = join::join(&JoinInput {
        containers: &rows,
        local: &|_| host.local,
        gpus: snapshot,
        procs: host.procs.as_ref(),
    });
    joined
        .processes
        .iter()
        .filter_map(|process| {
            let name = match &process.owner {
                Owner::Container(key) => {
                    let row = containers.iter().find(|c| c.key == *key)?;
                    clean(&row.name, 64)
                }
                _ => clean(process.user.as_deref()?, 32),
            };
            Some((process.pid, name))
        })
        .collect()
}

#[cfg(test)]
mod tests;
