//! One visit to one GPU: all that is asked in a round.

use std::sync::Arc;

use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, PerformanceState, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::device::{DeviceArchitecture, SampleValue};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_MEMORY_TEMP;
use nvml_wrapper::{Device, Nvml};

use super::fault::{blames_gpu, ends_visit, is_for_ever, state_for};
use super::progress::Progress;
use super::session::{Session, clean};
use super::track::{ASLEEP, Metric, Track, forget_readings};
use super::{mig, pci, processes, raw};
use crate::model::{
    ComputeCapability, Ecc, GpuKey, GpuMemory, GpuState, GpuUuid, ProcessKind, RemappedRows, Stamp,
    ThrottleReasons,
};

/// Asks one GPU. What went wrong is in the track's `gpu.state` afterwards.
pub(super) fn visit<'n>(
    session: &Session,
    nvml: &'n Nvml,
    handle: &mut Option<Device<'n>>,
    track: &mut Track,
    progress: &Progress,
    slow: bool,
) {
    if track.runtime_status.as_deref().is_some_and(pci::is_asleep) {
        forget_readings(&mut track.gpu);
        track.processes.clear();
        track.gpu.state = GpuState::Error(format!(
            "{ASLEEP}it is switched off to save power, and midwatch does not wake it"
        ));
        return;
    }
    if handle.is_none() {
        match nvml.device_by_index(track.index) {
            Ok(device) => *handle = Some(device),
            Err(error) => {
                forget_readings(&mut track.gpu);
                track.processes.clear();
                track.gpu.state = state_for(&error);
                return;
            }
        }
    }
    let Some(device) = handle.as_ref() else {
        return;
    };
    let mut visit = Visit {
        session,
        nvml,
        device,
        progress,
        broken: None,
        trouble: None,
        answers: 0,
    };
    if !track.known {
        visit.identity(track);
    }
    visit.fast(track);
    let now = Stamp::now();
    if slow || track.slow_read.is_none() {
        visit.slow(track);
        track.slow_read = Some(now.mono);
    }
    visit.processes(track);
    let ended = visit.state();
    if ended == GpuState::Ok {
        track.gpu.sampled = Stamp::now();
    } else {
        forget_readings(&mut track.gpu);
        track.processes.clear();
        track.slow_read = None;
        *handle = None;
    }
    track.gpu.state = ended;
}

/// What a visit holds on to. `'n` is the session's life.
struct Visit<'v, 'n> {
    session: &'v Session,
    nvml: &'n Nvml,
    device: &'v Device<'n>,
    progress: &'v Progress,
    /// The GPU is lost or needs a reset: no further call.
    broken: Option<GpuState>,
    /// The first error that says something of the whole GPU.
    trouble: Option<NvmlError>,
    /// Calls that succeeded.
    answers: u32,
}

impl<'n> Visit<'_, 'n> {
    /// One call. `None` for whatever is not to be had.
    fn get<T>(
        &mut self,
        track: &mut Track,
        metric: Metric,
        call: impl FnOnce(&Nvml, &Device<'n>) -> Result<T, NvmlError>,
    ) -> Option<T> {
        if self.broken.is_some() || track.unsupported.has(metric) {
            return None;
        }
        self.progress.next_call();
        match call(self.nvml, self.device) {
            Ok(value) => {
                self.answers += 1;
                Some(value)
            }
            Err(error) => {
                if is_for_ever(&error) {
                    track.unsupported.add(metric);
                } else if ends_visit(&error) {
                    self.broken = Some(state_for(&error));
                } else if self.trouble.is_none() && blames_gpu(&error) {
                    self.trouble = Some(error);
                }
                None
            }
        }
    }

    /// The GPU's state at the end of the visit.
    fn state(&mut self) -> GpuState {
        if let Some(broken) = self.broken.take() {
            return broken;
        }
        match &self.trouble {
            Some(error) if self.answers == 0 => state_for(error),
            _ => GpuState::Ok,
        }
    }

    /// What never changes.
    fn identity(&mut self, track: &mut Track) {
        self.progress.next_call();
        let uuid = match self.device.uuid() {
            Ok(uuid) => clean(uuid),
            Err(error) => {
                self.broken = Some(state_for(&error));
                return;
            }
        };
        self.progress.next_call();
        if let Ok(pci) = self.device.pci_info() {
            track.gpu.pci_bus_id = Arc::from(clean(pci.bus_id));
        }
        track.gpu.key = GpuKey {
            host: track.gpu.key.host,
            uuid: GpuUuid::new(&uuid),
        };
        self.answers += 1;
        if let Some(name) = self.get(track, Metric::Name, |_, d| d.name()) {
            track.gpu.name = Arc::from(clean(name));
        }
        track.gpu.brand = self
            .get(track, Metric::Brand, |_, d| d.brand())
            .map(|brand| Arc::from(format!("{brand:?}")));
        track.gpu.architecture = self
            .get(track, Metric::Architecture, |_, d| d.architecture())
            .filter(|a| *a != DeviceArchitecture::Unknown)
            .map(|a| Arc::from(format!("{a:?}")));
        track.gpu.compute_capability = self
            .get(track, Metric::Capability, |_, d| {
                d.cuda_compute_capability()
            })
            .and_then(|cc| {
                Some(ComputeCapability {
                    major: u32::try_from(cc.major).ok()?,
                    minor: u32::try_from(cc.minor).ok()?,
                })
            });
        track.known = self.broken.is_none();
    }

    /// What changes from second to second.
    fn fast(&mut self, track: &mut Track) {
        let rates = if track.gpu.mig_mode == Some(true) {
            None
        } else {
            self.get(track, Metric::Utilization, |_, d| d.utilization_rates())
        };
        track.gpu.gpu_percent = rates.as_ref().map(|r| r.gpu);
        track.gpu.memory_percent = rates.as_ref().map(|r| r.memory);
        self.memory(track);
        track.gpu.temperature_celsius = self.get(track, Metric::Temperature, |_, d| {
            d.temperature(TemperatureSensor::Gpu)
        });
        track.gpu.power_watts = self
            .get(track, Metric::Power, |_, d| d.power_usage())
            .map(|mw| f64::from(mw) / 1_000.0);
        track.gpu.sm_clock_mhz = self.get(track, Metric::SmClock, |_, d| d.clock_info(Clock::SM));
        track.gpu.memory_clock_mhz = self.get(track, Metric::MemoryClock, |_, d| {
            d.clock_info(Clock::Memory)
        });
        track.gpu.throttle_reasons = self
            .get(track, Metric::Throttle, raw::throttle_reasons)
            .map(ThrottleReasons);
        track.gpu.performance_state = self
            .get(track, Metric::PerformanceState, |_, d| {
                d.performance_state()
            })
            .and_then(p_state);
        track.gpu.energy_joules = self
            .get(track, Metric::Energy, |_, d| d.total_energy_consumption())
            .map(|mj| mj as f64 / 1_000.0);
    }

    fn memory(&mut self, track: &mut Track) {
        let v2 = self
            .get(track, Metric::MemoryV2, |_, d| d.memory_info())
            .map(|m| GpuMemory {
                total_bytes: m.total,
                used_bytes: m.used,
                reserved_bytes: Some(m.reserved),
            });
        let memory = match v2 {
            Some(memory) => Some(memory),
            // Drivers before R510.
            None if track.unsupported.has(Metric::MemoryV2) => self
                .get(track, Metric::MemoryV1, raw::memory_v1)
                .map(|m| GpuMemory {
                    total_bytes: m.total,
                    used_bytes: m.used,
                    reserved_bytes: None,
                }),
            None => None,
        };
        let none_of_its_own =
            memory.is_some_and(|m| m.total_bytes == 0) || track.unsupported.has(Metric::MemoryV1);
        track.gpu.unified_memory = none_of_its_own;
        track.gpu.memory = memory.filter(|m| m.total_bytes > 0);
        if self.broken.is_none() && track.gpu.mig_mode == Some(true) {
            mig::read_memory(self.device, self.progress, track);
        }
    }

    /// What changes seldom, or costs more.
    fn slow(&mut self, track: &mut Track) {
        track.gpu.memory_temperature_celsius =
            self.get(track, Metric::MemoryTemperature, memory_temperature);
        track.gpu.slowdown_celsius = self.get(track, Metric::Slowdown, |_, d| {
            d.temperature_threshold(TemperatureThreshold::Slowdown)
        });
        track.gpu.power_limit_watts = self
            .get(track, Metric::PowerLimit, |_, d| d.enforced_power_limit())
            .map(|mw| f64::from(mw) / 1_000.0);
        track.gpu.fan_percent = self.get(track, Metric::Fan, |_, d| d.fan_speed(0));
        let pcie = &mut track.gpu.pcie.clone();
        pcie.generation = self.get(track, Metric::PcieGen, |_, d| d.current_pcie_link_gen());
        pcie.generation_max = self.get(track, Metric::PcieGenMax, |_, d| d.max_pcie_link_gen());
        pcie.width = self.get(track, Metric::PcieWidth, |_, d| d.current_pcie_link_width());
        pcie.width_max = self.get(track, Metric::PcieWidthMax, |_, d| d.max_pcie_link_width());
        track.gpu.pcie = *pcie;
        track.gpu.compute_mode = self
            .get(track, Metric::ComputeMode, |_, d| d.compute_mode())
            .map(|mode| Arc::from(mode_word(&format!("{mode:?}"))));
        track.gpu.persistence_mode =
            self.get(track, Metric::Persistence, |_, d| d.is_in_persistent_mode());
        let mig_mode = self
            .get(track, Metric::MigMode, |_, d| d.mig_mode())
            .map(|mode| mode.current != 0);
        if mig_mode != track.gpu.mig_mode {
            // What MIG takes away comes back with its end.
            for metric in [Metric::Utilization, Metric::Samples, Metric::RemappedRows] {
                track.unsupported.remove(metric);
            }
            track.gpu.mig_mode = mig_mode;
        }
        self.health(track);
        if track.gpu.mig_mode == Some(true) && self.broken.is_none() {
            mig::read_layout(self.nvml, self.device, self.progress, track);
            mig::read_memory(self.device, self.progress, track);
            track.gpu.gpu_percent = None;
            track.gpu.memory_percent = None;
        } else {
            track.gpu.mig_instances.clear();
            track.mig_slots.clear();
        }
    }

    fn health(&mut self, track: &mut Track) {
        let volatile = self.get(track, Metric::EccVolatile, |_, d| {
            d.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile)
        });
        let aggregate = self.get(track, Metric::EccAggregate, |_, d| {
            d.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Aggregate)
        });
        track.gpu.ecc = (volatile.is_some() || aggregate.is_some()).then_some(Ecc {
            volatile_uncorrected: volatile,
            aggregate_uncorrected: aggregate,
        });
        track.gpu.remapped_rows = self
            .get(track, Metric::RemappedRows, raw::remapped_rows)
            .map(|(pending, failed)| RemappedRows { pending, failed });
    }

    /// Who holds memory, and who is busy.
    fn processes(&mut self, track: &mut Track) {
        let mut found = std::mem::take(&mut track.processes);
        found.clear();
        for (metric, list, kind) in [
            (
                Metric::Compute,
                raw::ListKind::Compute,
                ProcessKind::Compute,
            ),
            (
                Metric::Graphics,
                raw::ListKind::Graphics,
                ProcessKind::Graphics,
            ),
            (Metric::Mps, raw::ListKind::Mps, ProcessKind::Compute),
        ] {
            if self.list(track, metric, list) {
                processes::merge(&track.gpu, &track.raw, kind, &mut found);
            }
        }
        found.sort_by_key(|p| p.pid);
        self.busy(track, &mut found);
        track.processes = found;
    }

    /// Reads one list into `track.raw`; false where there is none.
    fn list(&mut self, track: &mut Track, metric: Metric, kind: raw::ListKind) -> bool {
        let total = track.gpu.memory.map(|m| m.total_bytes);
        let lists = &self.session.lists;
        let mut version = track.list_version;
        let mut raw_list = std::mem::take(&mut track.raw);
        let mut buffers = std::mem::take(&mut track.buffers);
        raw_list.clear();
        let denied = &mut false;
        let mut read = self.get(track, metric, |_, d| {
            let result = lists.read(d, version, kind, &mut buffers, &mut raw_list);
            *denied = matches!(result, Err(NvmlError::NoPermission));
            result
        });
        if read.is_some() && !processes::is_sane(&raw_list, total) {
            // Another struct layout than the header's: ask in the older one, and keep to it.
            if version == raw::ListVersion::V3 && lists.has(raw::ListVersion::V2) {
                version = raw::ListVersion::V2;
                raw_list.clear();
                read = self.get(track, metric, |_, d| {
                    lists.read(d, version, kind, &mut buffers, &mut raw_list)
                });
                track.list_version = version;
            }
            if !processes::is_sane(&raw_list, total) {
                raw_list.retain(|p| processes::is_sane(std::slice::from_ref(p), total));
            }
        }
        let mut got = read.is_some();
        if *denied && track.gpu.mig_mode == Some(true) {
            // Only a privileged user may ask the whole GPU; its instances answer each for itself.
            raw_list.clear();
            got = mig::read_lists(
                self.device,
                lists,
                version,
                kind,
                track,
                &mut buffers,
                &mut raw_list,
            );
        }
        track.raw = raw_list;
        track.buffers = buffers;
        got
    }

    fn busy(&mut self, track: &mut Track, found: &mut [crate::model::GpuProcess]) {
        if track.gpu.mig_mode == Some(true) {
            return;
        }
        let now = Stamp::now();
        let wall = u64::try_from(now.wall.as_microsecond()).unwrap_or(0);
        // The first time only fresh samples, not the driver's whole buffer; and a clock that was put back
        // must not hide all samples to come.
        if track.last_seen == 0 || track.last_seen > wall.saturating_add(1_000_000) {
            track.last_seen = wall.saturating_sub(1_000_000);
        }
        let mut samples = std::mem::take(&mut track.samples);
        let mut buffers = std::mem::take(&mut track.buffers);
        samples.clear();
        let since = track.last_seen;
        let read = self.get(track, Metric::Samples, |nvml, d| {
            match raw::process_samples(nvml, d, since, &mut buffers, &mut samples) {
                // No sample means that nobody was busy.
                Err(NvmlError::NotFound) => Ok(()),
                other => other,
            }
        });
        if read.is_some() {
            track.last_seen = processes::newest(&samples, since, now.mono, &mut track.busy);
            processes::fill_busy(found, &track.busy);
        }
        track.samples = samples;
        track.buffers = buffers;
    }
}

fn memory_temperature(_: &Nvml, device: &Device<'_>) -> Result<u32, NvmlError> {
    let values = device.field_values_for(&[FieldId(NVML_FI_DEV_MEMORY_TEMP)])?;
    let value = values.into_iter().next().ok_or(NvmlError::NoData)??.value?;
    let celsius = match value {
        SampleValue::U32(v) => Some(v),
        SampleValue::U64(v) => u32::try_from(v).ok(),
        SampleValue::I64(v) => u32::try_from(v).ok(),
        SampleValue::F64(_) => None,
    };
    // A card without the sensor says 0.
    celsius
        .filter(|c| (1..=200).contains(c))
        .ok_or(NvmlError::NotSupported)
}

fn p_state(state: PerformanceState) -> Option<u8> {
    // The wrapper's variants are in order, 0 to 15, then Unknown.
    u8::try_from(state.as_c()).ok().filter(|p| *p <= 15)
}

/// `ExclusiveProcess` -> `Exclusive_Process`, as nvidia-smi writes it.
fn mode_word(debug: &str) -> String {
    let mut word = String::with_capacity(debug.len() + 1);
    for (at, c) in debug.chars().enumerate() {
        if at > 0 && c.is_ascii_uppercase() {
            word.push('_');
        }
        word.push(c);
    }
    word
}
