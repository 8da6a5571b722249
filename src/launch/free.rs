//! Which GPUs nobody uses, and why.
//!
//! A GPU is free when no compute process runs on it, next to nothing of its memory is in use, it was not busy
//! over the last seconds, it is sound, and no container was given it by name. A container that was given all
//! GPUs reserves none of them by that: exporters and monitors are given all.

use std::collections::HashMap;

use crate::model::{Gpu, GpuKey, GpuSnapshot, GpuState, MigInstance, ProcessKind};

/// Memory that may be in use on a GPU without a process: what the driver and a display take. Older drivers
/// (before R510) count their own share in.
const IDLE_BYTES: u64 = 512 << 20;
const IDLE_BYTES_WITH_RESERVED: u64 = 1 << 30;
/// A desktop's compositor keeps a GPU busy for a few percent.
const IDLE_PERCENT: u32 = 10;
/// Differences in memory below this do not order GPUs.
const SAME_BYTES: u64 = 256 << 20;

/// What the choice looks at.
#[derive(Debug, Clone, Copy)]
pub struct Board<'a> {
    /// NVML's newest picture.
    pub gpus: &'a GpuSnapshot,
    /// Highest busy percent over the last seconds, where it was watched.
    pub busy: &'a HashMap<GpuKey, u32>,
    /// GPUs that should get no new work, and why.
    pub unfit: &'a HashMap<GpuKey, String>,
    /// Who was given which by name.
    pub holders: &'a [Holder],
    /// Names of the processes' owners, by pid.
    pub owners: &'a HashMap<u32, String>,
}

/// A container that was given GPUs by name (or the first so many).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name, clean.
    pub name: String,
    /// What it was given.
    pub gpus: Vec<GpuKey>,
}

/// A GPU or MIG instance that can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Which.
    pub key: GpuKey,
    /// NVML's present index of it, or of its parent.
    pub index: Option<u32>,
    /// Product name; with the profile for a MIG instance.
    pub name: String,
    /// Why it was chosen, or what is known of it.
    pub why: String,
    /// Memory in use, bytes.
    pub used_bytes: Option<u64>,
    /// All its memory, bytes.
    pub total_bytes: Option<u64>,
}

impl Unit {
    /// `GPU 3`, `GPU 3 MIG 1g.10gb`, or its UUID.
    #[must_use]
    pub fn label(&self) -> String {
        let mig = self.key.uuid.as_str().starts_with("MIG-");
        match (self.index, mig) {
            (Some(index), false) => format!("GPU {index}"),
            (Some(index), true) => format!("GPU {index} {}", self.key.uuid),
            (None, _) => self.key.uuid.to_string(),
        }
    }
}

/// What is free, best first, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Free, best first.
    pub free: Vec<Unit>,
    /// Not free, with the reason, in index order.
    pub left_out: Vec<(Unit, String)>,
}

/// Sorts the GPUs of this machine into free and not free. A GPU in MIG mode counts by its instances.
#[must_use]
pub fn survey(board: &Board<'_>) -> Choice {
    let mut choice = Choice::default();
    for gpu in &board.gpus.gpus {
        if gpu.mig_mode == Some(true) || !gpu.mig_instances.is_empty() {
            if gpu.mig_instances.is_empty() {
                let why = "in MIG mode, without an instance".to_owned();
                choice.left_out.push((whole(gpu), why));
            }
            for instance in &gpu.mig_instances {
                let mut unit = part(gpu, instance);
                match taken(board, gpu, Some(instance)) {
                    Some(why) => choice.left_out.push((unit, why)),
                    None => {
                        unit.why = reasons(board, gpu, Some(instance));
                        choice.free.push(unit);
                    }
                }
            }
            continue;
        }
        let mut unit = whole(gpu);
        match taken(board, gpu, None) {
            Some(why) => choice.left_out.push((unit, why)),
            None => {
                unit.why = reasons(board, gpu, None);
                choice.free.push(unit);
            }
        }
    }
    let rank = |unit: &Unit| {
        let busy = board.busy.get(&unit.key).copied().unwrap_or(0);
        (
            unit.used_bytes.unwrap_or(0) / SAME_BYTES,
            busy,
            unit.index.unwrap_or(u32::MAX),
        )
    };
    choice.free.sort_by_key(rank);
    choice
}

/// The best `count` of what is free, in index order: of one product where so many of one are free. `None`
/// where there are too few.
#[must_use]
pub fn take(choice: &Choice, count: u32) -> Option<Vec<Unit>> {
    let count = usize::try_from(count).ok()?;
    if count > choice.free.len() {
        return None;
    }
    // The best unit's own kind first, then any kind of which there are enough, then a mixture.
    let alike = choice.free.iter().find_map(|first| {
        let same: Vec<&Unit> = choice
            .free
            .iter()
            .filter(|unit| unit.name == first.name)
            .take(count)
            .collect();
        (same.len() == count).then_some(same)
    });
    let chosen = alike.unwrap_or_else(|| choice.free.iter().take(count).collect());
    let mut chosen: Vec<Unit> = chosen.into_iter().cloned().collect();
    chosen.sort_by(|a, b| {
        let at = |u: &Unit| (u.index.unwrap_or(u32::MAX), u.key.uuid.clone());
        at(a).cmp(&at(b))
    });
    Some(chosen)
}

/// The unit of a GPU's or instance's key, with its load in words.
#[must_use]
pub fn unit(board: &Board<'_>, key: &GpuKey) -> Option<Unit> {
    board.gpus.gpus.iter().find_map(|gpu| {
        if gpu.key == *key {
            let mut unit = whole(gpu);
            unit.why = reasons(board, gpu, None);
            return Some(unit);
        }
        let instance = gpu.mig_instances.iter().find(|m| m.key == *key)?;
        let mut unit = part(gpu, instance);
        unit.why = reasons(board, gpu, Some(instance));
        Some(unit)
    })
}

/// Why a GPU or instance is not free; `None`: it is.
#[must_use]
pub fn not_free(board: &Board<'_>, key: &GpuKey) -> Option<String> {
    board.gpus.gpus.iter().find_map(|gpu| {
        if gpu.key == *key {
            return taken(board, gpu, None);
        }
        let instance = gpu.mig_instances.iter().find(|m| m.key == *key)?;
        taken(board, gpu, Some(instance))
    })
}

fn taken(board: &Board<'_>, gpu: &Gpu, mig: Option<&MigInstance>) -> Option<String> {
    match &gpu.state {
        GpuState::Ok => {}
        GpuState::Lost(_) => return Some("lost".to_owned()),
        GpuState::Stuck => return Some("does not answer".to_owned()),
        GpuState::Error(text) => return Some(format!("answers with an error: {text}")),
    }
    if let Some(why) = board.unfit.get(&gpu.key) {
        return Some(why.clone());
    }
    let key = mig.map_or(&gpu.key, |m| &m.key);
    if let Some(why) = board.unfit.get(key) {
        return Some(why.clone());
    }
    // Who was given the whole card may use each of its instances, and the other way round.
    let holder = board
        .holders
        .iter()
        .find(|h| h.gpus.iter().any(|g| g == key || *g == gpu.key));
    let compute: Vec<u32> = board
        .gpus
        .processes
        .iter()
        .filter(|p| p.gpu == gpu.key && p.kind != ProcessKind::Graphics)
        .filter(|p| match mig {
            // A process whose instance is not told may be in any.
            Some(instance) => p.mig.as_ref().is_none_or(|m| *m == instance.key),
            None => true,
        })
        .map(|p| p.pid)
        .collect();
    if let Some(first) = compute.first() {
        let who = holder
            .map(|h| h.name.clone())
            .or_else(|| board.owners.get(first).cloned());
        let more = match compute.len() {
            1 => format!("pid {first}"),
            n => format!("{n} processes"),
        };
        return Some(match who {
            Some(who) => format!("in use by {who} ({more})"),
            None => format!("in use by {more}"),
        });
    }
    if let Some(holder) = holder {
        return Some(format!("given to {} by name", holder.name));
    }
    let memory = mig.map_or(gpu.memory, |m| m.memory);
    let used = memory.map_or(0, |m| m.used_bytes);
    let idle = match memory.and_then(|m| m.reserved_bytes) {
        Some(_) => IDLE_BYTES,
        None => IDLE_BYTES_WITH_RESERVED,
    };
    if used > idle {
        return Some(format!(
            "{} of its memory are in use although no process is seen",
            gib(used)
        ));
    }
    let busy = board.busy.get(&gpu.key).copied().max(gpu.gpu_percent);
    match busy {
        Some(percent) if mig.is_none() && percent >= IDLE_PERCENT => {
            Some(format!("{percent} % busy in the last seconds"))
        }
        _ => None,
    }
}

/// `no process, 0.0 of 80.0 GiB in use, 0 % busy`.
fn reasons(board: &Board<'_>, gpu: &Gpu, mig: Option<&MigInstance>) -> String {
    let mut words = Vec::new();
    let processes = board
        .gpus
        .processes
        .iter()
        .filter(|p| p.gpu == gpu.key && p.kind != ProcessKind::Graphics)
        .filter(|p| mig.is_none_or(|m| p.mig.as_ref() == Some(&m.key)))
        .count();
    words.push(match processes {
        0 => "no process".to_owned(),
        1 => "1 process".to_owned(),
        n => format!("{n} processes"),
    });
    if let Some(memory) = mig.map_or(gpu.memory, |m| m.memory) {
        words.push(format!(
            "{} of {} in use",
            gib(memory.used_bytes).trim_end_matches(" GiB"),
            gib(memory.total_bytes)
        ));
    }
    let busy = board.busy.get(&gpu.key).copied().max(gpu.gpu_percent);
    if let (Some(percent), None) = (busy, mig) {
        words.push(format!("{percent} % busy"));
    }
    words.join(", ")
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}

fn whole(gpu: &Gpu) -> Unit {
    Unit {
        key: gpu.key.clone(),
        index: gpu.index,
        name: gpu.name.to_string(),
        why: String::new(),
        used_bytes: gpu.memory.map(|m| m.used_bytes),
        total_bytes: gpu.memory.map(|m| m.total_bytes),
    }
}

fn part(gpu: &Gpu, instance: &MigInstance) -> Unit {
    let profile = instance.profile.as_deref().unwrap_or("instance");
    Unit {
        key: instance.key.clone(),
        index: gpu.index,
        name: format!("{} MIG {profile}", gpu.name),
        why: String::new(),
        used_bytes: instance.memory.map(|m| m.used_bytes),
        total_bytes: instance.memory.map(|m| m.total_bytes),
    }
}

#[cfg(test)]
mod tests;
