//! Joins containers, GPU processes and grants: given, used, unattributed. Pure.

mod grant;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{
    Container, ContainerId, ContainerKey, GpuGrant, GpuKey, GpuSnapshot, Problem, ProcSnapshot,
    ProcessKind, RuntimeKind,
};

/// What the join looks at.
pub struct JoinInput<'a> {
    /// The engine's containers.
    pub containers: &'a [&'a Container],
    /// Those proven to run on this machine.
    pub local: &'a dyn Fn(&ContainerKey) -> bool,
    /// NVML's last round.
    pub gpus: &'a GpuSnapshot,
    /// The GPU processes as procfs tells them.
    pub procs: Option<&'a ProcSnapshot>,
}

/// A GPU by key, and the index it is shown with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuRef {
    /// Which GPU or MIG instance.
    pub key: GpuKey,
    /// NVML's present index of it (of the parent for a MIG instance).
    pub index: Option<u32>,
}

/// Whose a GPU process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A container of this engine.
    Container(ContainerKey),
    /// A container this engine does not know.
    Foreign {
        /// Path shape of its cgroup.
        runtime: RuntimeKind,
        /// Its id.
        id: ContainerId,
    },
    /// No container: a process of the host.
    Host,
    /// procfs may not be read for it.
    NotPermitted,
    /// Namespaces hide it, or it has just ended.
    Unknown,
}

/// One process on one GPU, with all that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcUse {
    /// Pid on the host.
    pub pid: u32,
    /// Start time in clock ticks after boot, for acting on exactly this process; `None`: not readable.
    pub start_ticks: Option<u64>,
    /// The physical GPU.
    pub gpu: GpuKey,
    /// The MIG instance, where it runs in one.
    pub mig: Option<GpuKey>,
    /// Compute or graphics.
    pub kind: ProcessKind,
    /// User's name.
    pub user: Option<Arc<str>>,
    /// Command line.
    pub command: Option<Arc<str>>,
    /// Framebuffer memory, bytes.
    pub memory_used_bytes: Option<u64>,
    /// SM utilization on this GPU, percent.
    pub sm_percent: Option<u32>,
    /// Whose it is.
    pub owner: Owner,
}

/// A container's use of one GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuUse {
    /// Which.
    pub gpu: GpuRef,
    /// Sum over its processes that tell; `None` when none does.
    pub memory_used_bytes: Option<u64>,
    /// Sum over its processes that tell; `None` when none does.
    pub sm_percent: Option<u32>,
    /// Indices into [`Joined::processes`].
    pub processes: Vec<usize>,
}

/// A container's GPUs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerGpus {
    /// Granted, resolved to the GPUs as they were at its start; empty when nothing was granted.
    pub given: Vec<GpuRef>,
    /// The grant as it was made (see `GpuGrant`).
    pub given_as: Option<String>,
    /// Really used.
    pub used: Vec<GpuUse>,
}

impl ContainerGpus {
    /// Framebuffer memory over all its GPUs, bytes.
    pub fn memory_used_bytes(&self) -> Option<u64> {
        sum(self.used.iter().map(|u| u.memory_used_bytes))
    }

    /// Mean SM utilization over its used GPUs, percent.
    pub fn sm_percent(&self) -> Option<u32> {
        let told: Vec<u32> = self.used.iter().filter_map(|u| u.sm_percent).collect();
        let count = u32::try_from(told.len()).ok().filter(|n| *n > 0)?;
        Some(told.iter().sum::<u32>() / count)
    }
}

/// Sums what is told; `None` when nothing is.
fn sum(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    values
        .flatten()
        .fold(None, |total, value| Some(total.unwrap_or(0) + value))
}

/// What a user's processes hold over all GPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct UserUse {
    /// Name, or `not permitted`.
    pub user: Arc<str>,
    /// GPUs held.
    pub gpus: Vec<GpuRef>,
    /// Framebuffer memory, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Processes.
    pub processes: usize,
}

/// The joined picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Joined {
    /// By container; one entry for each container of the input that is local, has a grant or uses a GPU.
    pub containers: HashMap<ContainerKey, ContainerGpus>,
    /// All GPU processes.
    pub processes: Vec<ProcUse>,
    /// Memory in use that no process accounts for, bytes, by GPU; absent where it cannot be told.
    pub unattributed: HashMap<GpuKey, u64>,
    /// By user, most memory first.
    pub users: Vec<UserUse>,
    /// Why processes cannot be joined to containers, with the remedy.
    pub problem: Option<Problem>,
}

/// Joins.
///
/// A container has an entry when it is local, has a grant, or owns a GPU process. Its grant is resolved only
/// where it is local: the GPUs of the snapshot are this machine's. Where our own pid namespace hides the
/// host's processes (`ProcSnapshot::blind`), owners are unknown and neither users nor unattributed memory can
/// be told: NVML's list is then empty or meaningless. Users wait for the first reading of procfs.
pub fn join(input: &JoinInput<'_>) -> Joined {
    let board = grant::Board::new(input.gpus);
    let cards = usage::Cards::new(input.gpus);
    let processes = usage::processes(input);
    let mut used = usage::used(&processes, &cards);
    let mut containers = HashMap::with_capacity(input.containers.len());
    for container in input.containers {
        let grant = container.detail.as_ref().and_then(|d| d.grant.as_ref());
        let local = (input.local)(&container.key);
        let used = used.remove(&container.key).unwrap_or_default();
        if !local && grant.is_none() && used.is_empty() {
            continue;
        }
        let here = local || !used.is_empty();
        containers.insert(
            container.key,
            ContainerGpus {
                given: grant
                    .filter(|_| here)
                    .map(|grant| board.resolve(grant))
                    .unwrap_or_default(),
                given_as: grant.map(ToString::to_string),
                used,
            },
        );
    }
    let blind = input.procs.and_then(|p| p.blind.clone());
    let unattributed = match blind {
        Some(_) => HashMap::new(),
        None => usage::unattributed(input.gpus, &processes),
    };
    let users = match (&blind, input.procs) {
        (None, Some(_)) => usage::users(&processes, &cards),
        _ => Vec::new(),
    };
    let problem = blind.or_else(|| not_permitted(&processes));
    Joined {
        containers,
        processes,
        unattributed,
        users,
        problem,
    }
}

/// The GPUs that a grant names on this machine, in index order; what names no known GPU is left out.
#[must_use]
pub fn resolve(grant: &GpuGrant, gpus: &GpuSnapshot) -> Vec<GpuRef> {
    grant::Board::new(gpus).resolve(grant)
}

/// What to say when procfs hides some owners.
fn not_permitted(processes: &[ProcUse]) -> Option<Problem> {
    let hidden = processes
        .iter()
        .filter(|p| p.owner == Owner::NotPermitted)
        .count();
    (hidden > 0).then(|| Problem {
        what: format!(
            "cannot see whose {hidden} of {} GPU processes are",
            processes.len()
        ),
        why: "/proc is mounted with hidepid, which shows other users' processes to root alone"
            .to_owned(),
        remedy: "run midwatch as root, or in the group named by /proc's mount option gid="
            .to_owned(),
    })
}
