//! From NVML's process lists and samples to one entry for each process: pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Gpu, GpuKey, GpuProcess, MigInstance, ProcessKind};

use super::raw::{RawProcess, RawSample};
use super::track::Busy;

/// The kernel's limit of pids (`PID_MAX_LIMIT` on 64 bits).
const PID_MAX: u32 = 4_194_304;
/// How long a utilization value holds without a newer sample, so that it does not flicker where we ask more
/// often than the driver samples (each 1/6 to 1 s).
const HOLDS: Duration = Duration::from_millis(900);

/// Whether a list can be true: pids are pids and no process holds more than there is.
pub(super) fn is_sane(list: &[RawProcess], memory_total: Option<u64>) -> bool {
    list.iter().all(|p| {
        (1..=PID_MAX).contains(&p.pid)
            && match (p.memory, memory_total) {
                (Some(used), Some(total)) if total > 0 => used <= total,
                _ => true,
            }
    })
}

/// Adds a list to what is known: a process in a compute and in a graphics list is one of both kinds.
pub(super) fn merge(gpu: &Gpu, list: &[RawProcess], kind: ProcessKind, into: &mut Vec<GpuProcess>) {
    for raw in list {
        let mig = mig_of(&gpu.mig_instances, raw);
        let known = into.iter_mut().find(|p| p.pid == raw.pid && p.mig == mig);
        match known {
            Some(known) => {
                if known.kind != kind {
                    known.kind = ProcessKind::ComputeAndGraphics;
                }
                known.memory_used_bytes = known.memory_used_bytes.max(raw.memory);
            }
            None => into.push(GpuProcess {
                gpu: gpu.key.clone(),
                mig,
                pid: raw.pid,
                kind,
                memory_used_bytes: raw.memory,
                sm_percent: None,
            }),
        }
    }
}

/// The MIG instance with the process's ids.
fn mig_of(instances: &[MigInstance], raw: &RawProcess) -> Option<GpuKey> {
    let gi = raw.gpu_instance?;
    instances
        .iter()
        .find(|i| i.gpu_instance == Some(gi) && i.compute_instance == raw.compute_instance)
        .map(|i| i.key.clone())
}

/// Takes the newest sample of each pid, and returns the newest time seen.
pub(super) fn newest(
    samples: &[RawSample],
    last_seen: u64,
    now: Duration,
    busy: &mut HashMap<u32, Busy>,
) -> u64 {
    let mut newest = last_seen;
    let mut times: HashMap<u32, u64> = HashMap::new();
    for sample in samples.iter().filter(|s| s.at > last_seen) {
        newest = newest.max(sample.at);
        let time = times.entry(sample.pid).or_default();
        if sample.at >= *time {
            *time = sample.at;
            let sm = sample.sm.min(100);
            busy.insert(sample.pid, Busy { sm, read: now });
        }
    }
    busy.retain(|_, b| now.saturating_sub(b.read) < HOLDS);
    newest
}

/// Gives each process its utilization; one without a sample is idle.
pub(super) fn fill_busy(processes: &mut [GpuProcess], busy: &HashMap<u32, Busy>) {
    for process in processes {
        process.sm_percent = Some(busy.get(&process.pid).map_or(0, |b| b.sm));
    }
}
