//! MIG instances: their layout, memory and processes.

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::progress::Progress;
use super::raw::{Buffers, ListKind, ListVersion, Lists, RawProcess, instance_ids, memory_v1};
use super::session::clean;
use super::track::{Metric, Track};
use crate::model::{GpuKey, GpuMemory, GpuUuid, MigInstance};

/// A GPU has at most seven compute instances; the number NVML tells is not believed beyond this.
const MOST_SLOTS: u32 = 64;

/// Reads which instances there are.
pub(super) fn read_layout(
    nvml: &Nvml,
    device: &Device<'_>,
    progress: &Progress,
    track: &mut Track,
) {
    progress.next_call();
    let slots = device.mig_device_count().unwrap_or(0).min(MOST_SLOTS);
    let mut instances = Vec::new();
    let mut used = Vec::new();
    for slot in 0..slots {
        progress.next_call();
        // An empty slot answers NotFound.
        let Ok(mig) = device.mig_device_by_index(slot) else {
            continue;
        };
        if let Some(instance) = read_instance(nvml, &mig, track) {
            instances.push(instance);
            used.push(slot);
        }
    }
    track.gpu.mig_instances = instances;
    track.mig_slots = used;
}

fn read_instance(nvml: &Nvml, mig: &Device<'_>, track: &Track) -> Option<MigInstance> {
    let uuid = clean(mig.uuid().ok()?);
    let ids = instance_ids(nvml, mig).ok();
    let memory = memory_of(nvml, mig, track);
    let by_name = mig.name().ok().and_then(|name| profile_in_name(&name));
    let profile = by_name.or_else(|| {
        let a = mig.attributes().ok()?;
        profile_name(
            a.gpu_instance_slice_count,
            a.compute_instance_slice_count,
            a.memory_size_mb,
            track.gpu.memory.map(|m| m.total_bytes >> 20),
        )
    });
    Some(MigInstance {
        key: GpuKey {
            host: track.gpu.key.host,
            uuid: GpuUuid::new(&uuid),
        },
        parent: track.gpu.key.uuid.clone(),
        profile,
        gpu_instance: ids.map(|(gi, _)| gi),
        compute_instance: ids.map(|(_, ci)| ci),
        memory,
    })
}

/// Reads the instances' memory, which changes from second to second.
pub(super) fn read_memory(device: &Device<'_>, progress: &Progress, track: &mut Track) {
    for at in 0..track.mig_slots.len() {
        let Some(slot) = track.mig_slots.get(at).copied() else {
            break;
        };
        progress.next_call();
        let memory = device
            .mig_device_by_index(slot)
            .ok()
            .and_then(|mig| mig.memory_info().ok())
            .map(v2);
        if let Some(instance) = track.gpu.mig_instances.get_mut(at)
            && (memory.is_some() || !track.unsupported.has(Metric::MemoryV2))
        {
            instance.memory = memory;
        }
    }
}

fn memory_of(nvml: &Nvml, mig: &Device<'_>, track: &Track) -> Option<GpuMemory> {
    if track.unsupported.has(Metric::MemoryV2) {
        return memory_v1(nvml, mig).ok().map(|m| GpuMemory {
            total_bytes: m.total,
            used_bytes: m.used,
            reserved_bytes: None,
        });
    }
    mig.memory_info().ok().map(v2)
}

fn v2(m: nvml_wrapper::struct_wrappers::device::MemoryInfo) -> GpuMemory {
    GpuMemory {
        total_bytes: m.total,
        used_bytes: m.used,
        reserved_bytes: Some(m.reserved),
    }
}

/// Reads the process lists of the instances one by one.
pub(super) fn read_lists(
    device: &Device<'_>,
    lists: &Lists,
    version: ListVersion,
    kind: ListKind,
    track: &Track,
    buffers: &mut Buffers,
    out: &mut Vec<RawProcess>,
) -> bool {
    let mut any = false;
    for (slot, instance) in track.mig_slots.iter().zip(&track.gpu.mig_instances) {
        let Ok(mig) = device.mig_device_by_index(*slot) else {
            continue;
        };
        let from = out.len();
        let read: Result<(), NvmlError> = lists.read(&mig, version, kind, buffers, out);
        any |= read.is_ok();
        for process in out.iter_mut().skip(from) {
            process.gpu_instance = instance.gpu_instance;
            process.compute_instance = instance.compute_instance;
        }
    }
    any
}

/// `NVIDIA H100 80GB HBM3 MIG 1g.10gb` -> `1g.10gb`.
fn profile_in_name(name: &str) -> Option<String> {
    let (_, profile) = name.rsplit_once("MIG ")?;
    let profile = profile.trim();
    let shaped = profile.contains("g.") && profile.contains("gb");
    (shaped && !profile.contains(' ')).then(|| clean(profile.to_owned()))
}

/// A profile's name from what it consists of. NVIDIA names memory by the GPU's eighths, so 9,984 MiB of an 80 GB
/// GPU is `10gb` and 16,384 MiB of a 141 GB one `18gb`: the share of the whole decides (seen in captures of H100
/// and H200, MIT-licensed utkuozdemir/nvidia_gpu_exporter).
fn profile_name(
    gpu_slices: u32,
    compute_slices: u32,
    memory_mib: u64,
    total_mib: Option<u64>,
) -> Option<String> {
    if gpu_slices == 0 || memory_mib == 0 {
        return None;
    }
    let gigabytes = match total_mib {
        Some(total) if total >= memory_mib => {
            let eighths = (memory_mib as f64 / total as f64 * 8.0).round().max(1.0);
            // The whole card's gigabytes, rounded up: 81,559 MiB is 80, 143,771 MiB is 141.
            (eighths * (total as f64 / 1_024.0).ceil() / 8.0).round()
        }
        _ => (memory_mib as f64 / 1_024.0).round(),
    };
    let prefix = if compute_slices > 0 && compute_slices < gpu_slices {
        format!("{compute_slices}c.")
    } else {
        String::new()
    };
    Some(format!("{prefix}{gpu_slices}g.{gigabytes}gb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_named_as_nvidia_smi_names_them() {
        // Memory as the captures of real H100 and H200 show it.
        for (gpu, compute, mib, total, name) in [
            (1, 1, 9_984, 81_559, "1g.10gb"),
            (2, 2, 20_096, 81_559, "2g.20gb"),
            (3, 3, 40_448, 81_559, "3g.40gb"),
            (7, 7, 80_384, 81_559, "7g.80gb"),
            (1, 1, 16_384, 143_771, "1g.18gb"),
            (2, 2, 33_280, 143_771, "2g.35gb"),
            (3, 1, 71_424, 143_771, "1c.3g.71gb"),
            (1, 1, 4_864, 40_960, "1g.5gb"),
            (3, 3, 19_968, 40_960, "3g.20gb"),
        ] {
            let made = profile_name(gpu, compute, mib, Some(total));
            assert_eq!(made.as_deref(), Some(name));
        }
        assert_eq!(profile_name(0, 0, 0, None), None);
        assert_eq!(
            profile_in_name("NVIDIA H100 80GB HBM3 MIG 1g.10gb").as_deref(),
            Some("1g.10gb")
        );
        assert_eq!(profile_in_name("NVIDIA H100 80GB HBM3"), None);
    }
}
