//! Who uses what: processes to owners, containers' and users' sums, and memory nobody accounts for.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{
    CgroupOwner, Container, ContainerId, ContainerKey, Gpu, GpuKey, GpuProcess, GpuSnapshot,
    GpuState, ProcInfo, ProcessKind,
};

use super::{GpuRef, GpuUse, JoinInput, Owner, ProcUse, UserUse};

/// Memory that a GPU may hold beside its processes before it counts as unattributed: the driver's own
/// context, the channels of a MIG instance (59 MiB seen on an idle, cut up H100, 55 MiB on an H200).
pub const OVERHEAD_BYTES: u64 = 128 << 20;

/// What may be missing in NVML's number for each process.
pub const OVERHEAD_PER_PROCESS_BYTES: u64 = 8 << 20;

/// Finds GPUs by key.
pub struct Cards<'a>(HashMap<&'a GpuKey, &'a Gpu>);

impl<'a> Cards<'a> {
    /// Of a snapshot; MIG instances lead to their GPU.
    pub fn new(snapshot: &'a GpuSnapshot) -> Self {
        let mut cards = HashMap::with_capacity(snapshot.gpus.len());
        for gpu in &snapshot.gpus {
            cards.insert(&gpu.key, gpu);
            for instance in &gpu.mig_instances {
                cards.insert(&instance.key, gpu);
            }
        }
        Self(cards)
    }

    fn reference(&self, key: &GpuKey) -> GpuRef {
        GpuRef {
            key: key.clone(),
            index: self.0.get(key).and_then(|gpu| gpu.index),
        }
    }
}

/// Every GPU process with its owner, in the snapshot's order; a process told twice for one GPU (as compute
/// and as graphics) comes once.
pub fn processes(input: &JoinInput<'_>) -> Vec<ProcUse> {
    let known: HashMap<ContainerId, ContainerKey> = input
        .containers
        .iter()
        .map(|c: &&Container| (c.key.id, c.key))
        .collect();
    let infos: HashMap<u32, &ProcInfo> = input
        .procs
        .filter(|p| p.blind.is_none())
        .map(|p| p.processes.iter().map(|i| (i.pid, i)).collect())
        .unwrap_or_default();
    let mut seen: HashMap<(u32, &GpuKey, Option<&GpuKey>), usize> = HashMap::new();
    let mut uses: Vec<ProcUse> = Vec::with_capacity(input.gpus.processes.len());
    for process in &input.gpus.processes {
        let place = (process.pid, &process.gpu, process.mig.as_ref());
        if let Some(twin) = seen.get(&place).and_then(|at| uses.get_mut(*at)) {
            merge(twin, process);
            continue;
        }
        seen.insert(place, uses.len());
        uses.push(process_use(
            process,
            infos.get(&process.pid).copied(),
            &known,
        ));
    }
    uses
}

fn process_use(
    process: &GpuProcess,
    info: Option<&ProcInfo>,
    known: &HashMap<ContainerId, ContainerKey>,
) -> ProcUse {
    ProcUse {
        pid: process.pid,
        start_ticks: info.and_then(|i| i.key).map(|key| key.start_ticks),
        gpu: process.gpu.clone(),
        mig: process.mig.clone(),
        kind: process.kind,
        user: info.and_then(|i| i.user.clone()),
        command: info.and_then(|i| i.command.clone()),
        memory_used_bytes: process.memory_used_bytes,
        sm_percent: process.sm_percent,
        owner: info.map_or(Owner::Unknown, |i| owner(&i.owner, known)),
    }
}

/// The innermost container that this engine knows; else the innermost of another engine. A cgroup that
/// names a container's 256-bit id is itself the proof that the container runs on this machine.
fn owner(cgroup: &CgroupOwner, known: &HashMap<ContainerId, ContainerKey>) -> Owner {
    match cgroup {
        CgroupOwner::Containers(nested) => {
            let ours = nested.iter().rev().find_map(|c| known.get(&c.id));
            match (ours, nested.last()) {
                (Some(key), _) => Owner::Container(*key),
                (None, Some(inner)) => Owner::Foreign {
                    runtime: inner.runtime,
                    id: inner.id,
                },
                (None, None) => Owner::Unknown,
            }
        }
        CgroupOwner::Host => Owner::Host,
        CgroupOwner::NotPermitted => Owner::NotPermitted,
        CgroupOwner::Hidden | CgroupOwner::Gone => Owner::Unknown,
    }
}

/// The same process on the same GPU in NVML's compute and graphics lists: one memory, told twice.
fn merge(twin: &mut ProcUse, process: &GpuProcess) {
    if twin.kind != process.kind {
        twin.kind = ProcessKind::ComputeAndGraphics;
    }
    twin.memory_used_bytes = twin.memory_used_bytes.max(process.memory_used_bytes);
    twin.sm_percent = twin.sm_percent.max(process.sm_percent);
}

/// Each container's GPUs in use, in index order; MIG instances are GPUs of their own here.
pub fn used(processes: &[ProcUse], cards: &Cards<'_>) -> HashMap<ContainerKey, Vec<GpuUse>> {
    let mut all: HashMap<ContainerKey, Vec<GpuUse>> = HashMap::new();
    for (at, process) in processes.iter().enumerate() {
        let Owner::Container(key) = process.owner else {
            continue;
        };
        let gpu = process.mig.as_ref().unwrap_or(&process.gpu);
        let uses = all.entry(key).or_default();
        let place = match uses.iter().position(|u| u.gpu.key == *gpu) {
            Some(place) => place,
            None => {
                uses.push(GpuUse {
                    gpu: cards.reference(gpu),
                    memory_used_bytes: None,
                    sm_percent: None,
                    processes: Vec::new(),
                });
                uses.len() - 1
            }
        };
        if let Some(entry) = uses.get_mut(place) {
            add(&mut entry.memory_used_bytes, process.memory_used_bytes);
            if let Some(sm) = process.sm_percent {
                entry.sm_percent = Some(entry.sm_percent.unwrap_or(0).saturating_add(sm));
            }
            entry.processes.push(at);
        }
    }
    for uses in all.values_mut() {
        uses.sort_by(|a, b| by_index(&a.gpu, &b.gpu));
    }
    all
}

fn add(total: &mut Option<u64>, value: Option<u64>) {
    if let Some(value) = value {
        *total = Some(total.unwrap_or(0).saturating_add(value));
    }
}

/// By index; GPUs without one last.
fn by_index(a: &GpuRef, b: &GpuRef) -> std::cmp::Ordering {
    let rank = |gpu: &GpuRef| gpu.index.unwrap_or(u32::MAX);
    rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
}

/// Memory in use that no process accounts for, bytes, by physical GPU: held by a process NVML does not list
/// (zombie, stuck in the kernel, managed memory, another namespace).
///
/// It cannot be told, and is absent, where the card does not answer, has no memory of its own, or a process
/// on it keeps its memory to itself; nor on drivers before R510, whose "used" counts the driver's reserve in.
/// A MIG parent's own number already covers its instances, so theirs are never added.
pub fn unattributed(snapshot: &GpuSnapshot, processes: &[ProcUse]) -> HashMap<GpuKey, u64> {
    snapshot
        .gpus
        .iter()
        .filter_map(|gpu| Some((gpu.key.clone(), unattributed_of(gpu, processes)?)))
        .collect()
}

fn unattributed_of(gpu: &Gpu, processes: &[ProcUse]) -> Option<u64> {
    if gpu.state != GpuState::Ok || gpu.unified_memory {
        return None;
    }
    let memory = gpu.memory?;
    memory.reserved_bytes?;
    let mut sum = 0u64;
    let mut count = 0u64;
    for process in processes.iter().filter(|p| p.gpu == gpu.key) {
        sum = sum.saturating_add(process.memory_used_bytes?);
        count += 1;
    }
    let allowed = OVERHEAD_BYTES + OVERHEAD_PER_PROCESS_BYTES.saturating_mul(count);
    let rest = memory.used_bytes.saturating_sub(sum);
    Some(if rest > allowed { rest } else { 0 })
}

/// What each user holds, most memory first.
pub fn users(processes: &[ProcUse], cards: &Cards<'_>) -> Vec<UserUse> {
    struct Tally {
        gpus: Vec<GpuRef>,
        memory: Option<u64>,
        pids: Vec<u32>,
    }
    let mut tallies: HashMap<Arc<str>, Tally> = HashMap::new();
    for process in processes {
        let user = match (&process.user, &process.owner) {
            (Some(user), _) => Arc::clone(user),
            (None, Owner::NotPermitted) => "not permitted".into(),
            (None, _) => "unknown".into(),
        };
        let tally = tallies.entry(user).or_insert_with(|| Tally {
            gpus: Vec::new(),
            memory: None,
            pids: Vec::new(),
        });
        let gpu = process.mig.as_ref().unwrap_or(&process.gpu);
        if !tally.gpus.iter().any(|g| g.key == *gpu) {
            tally.gpus.push(cards.reference(gpu));
        }
        add(&mut tally.memory, process.memory_used_bytes);
        if !tally.pids.contains(&process.pid) {
            tally.pids.push(process.pid);
        }
    }
    let mut users: Vec<UserUse> = tallies
        .into_iter()
        .map(|(user, mut tally)| {
            tally.gpus.sort_by(by_index);
            UserUse {
                user,
                gpus: tally.gpus,
                memory_used_bytes: tally.memory,
                processes: tally.pids.len(),
            }
        })
        .collect();
    users.sort_by(|a, b| {
        b.memory_used_bytes
            .cmp(&a.memory_used_bytes)
            .then_with(|| a.user.cmp(&b.user))
    });
    users
}
