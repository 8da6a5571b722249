//! The few NVML calls that nvml-wrapper has no safe form of, and lists read into reused buffers.
//!
//! The only `unsafe` of the program. Each call gets the handle of a [`Device`] that borrows the [`Nvml`] whose
//! symbols are called, so neither can be gone.
#![allow(unsafe_code, reason = "NVML's C ABI; every block says why it is sound")]

use std::ffi::c_uint;

use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlMemory_t, nvmlProcessInfo_v1_t, nvmlProcessInfo_v2_t,
    nvmlProcessUtilizationSample_t, nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE,
};

/// "Not available" in NVML's unsigned values.
const ABSENT: u64 = u64::MAX;
/// "No instance" in process lists.
const NO_INSTANCE: u32 = u32::MAX;
/// Entries of a list's first try.
const FIRST_ROOM: usize = 64;
/// A list longer than this is nonsense.
const MOST_ROOM: usize = 65_536;
/// Times a list that grew meanwhile is asked for again.
const TRIES: usize = 4;

/// Memory as v1 of the call tells it: `used` counts in what the driver reserves.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryV1 {
    /// Bytes.
    pub total: u64,
    /// Bytes.
    pub used: u64,
}

/// A process as NVML lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawProcess {
    /// Host pid.
    pub pid: u32,
    /// Bytes; `None`: not available.
    pub memory: Option<u64>,
    /// GPU instance under MIG.
    pub gpu_instance: Option<u32>,
    /// Compute instance under MIG.
    pub compute_instance: Option<u32>,
}

/// A process's utilization sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawSample {
    /// Host pid.
    pub pid: u32,
    /// µs since 1970.
    pub at: u64,
    /// Percent, as the driver says it.
    pub sm: u32,
}

/// Which processes a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListKind {
    /// CUDA contexts.
    Compute,
    /// Graphics contexts.
    Graphics,
    /// Clients of the MPS server.
    Mps,
}

/// Which of NVML's three list layouts is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListVersion {
    /// From R510 on.
    V3,
    /// From R450 on.
    V2,
    /// Without MIG ids.
    V1,
}

type ListV2 = unsafe extern "C" fn(nvmlDevice_t, *mut c_uint, *mut nvmlProcessInfo_v2_t) -> u32;
type ListV1 = unsafe extern "C" fn(nvmlDevice_t, *mut c_uint, *mut nvmlProcessInfo_v1_t) -> u32;

/// The process-list functions that this library has.
#[derive(Debug)]
pub(super) struct Lists {
    v3: [Option<ListV2>; 3],
    v2: [Option<ListV2>; 2],
    v1: [Option<ListV1>; 2],
}

impl Lists {
    /// Looks the functions up. The result must not be used after `nvml` is gone.
    pub fn load(nvml: &Nvml) -> Self {
        let lib = nvml.lib();
        // SAFETY: these symbols have had these signatures since R450 (v1: since R310): nvml.h.
        unsafe {
            Self {
                v3: [
                    lib.nvmlDeviceGetComputeRunningProcesses_v3
                        .as_ref()
                        .ok()
                        .copied(),
                    lib.nvmlDeviceGetGraphicsRunningProcesses_v3
                        .as_ref()
                        .ok()
                        .copied(),
                    lib.nvmlDeviceGetMPSComputeRunningProcesses_v3
                        .as_ref()
                        .ok()
                        .copied(),
                ],
                v2: [
                    lib.__library
                        .get::<ListV2>(b"nvmlDeviceGetComputeRunningProcesses_v2\0")
                        .ok()
                        .map(|f| *f),
                    lib.__library
                        .get::<ListV2>(b"nvmlDeviceGetGraphicsRunningProcesses_v2\0")
                        .ok()
                        .map(|f| *f),
                ],
                v1: [
                    lib.__library
                        .get::<ListV1>(b"nvmlDeviceGetComputeRunningProcesses\0")
                        .ok()
                        .map(|f| *f),
                    lib.__library
                        .get::<ListV1>(b"nvmlDeviceGetGraphicsRunningProcesses\0")
                        .ok()
                        .map(|f| *f),
                ],
            }
        }
    }

    /// Whether the compute list of this version is there.
    pub fn has(&self, version: ListVersion) -> bool {
        match version {
            ListVersion::V3 => self.v3.first().is_some_and(Option::is_some),
            ListVersion::V2 => self.v2.first().is_some_and(Option::is_some),
            ListVersion::V1 => self.v1.first().is_some_and(Option::is_some),
        }
    }

    /// Appends a list's processes to `out`.
    ///
    /// # Errors
    /// NVML's own; `FunctionNotFound` where the library lacks the function.
    pub fn read(
        &self,
        device: &Device<'_>,
        version: ListVersion,
        kind: ListKind,
        buffers: &mut Buffers,
        out: &mut Vec<RawProcess>,
    ) -> Result<(), NvmlError> {
        let at = kind as usize;
        let missing = || NvmlError::FunctionNotFound;
        match version {
            ListVersion::V3 | ListVersion::V2 => {
                let list = if version == ListVersion::V3 {
                    self.v3.get(at)
                } else {
                    self.v2.get(at)
                };
                let call = list.copied().flatten().ok_or_else(missing)?;
                let got = fill(&mut buffers.v2, EMPTY_V2, |count, entries| {
                    // SAFETY: the handle is alive, `entries` has twice the room that `count` tells.
                    unsafe { call(device.handle(), count, entries) }
                })?;
                out.extend(buffers.v2.iter().take(got).map(|p| RawProcess {
                    pid: p.pid,
                    memory: Some(p.usedGpuMemory).filter(|m| *m != ABSENT),
                    gpu_instance: Some(p.gpuInstanceId).filter(|i| *i != NO_INSTANCE),
                    compute_instance: Some(p.computeInstanceId).filter(|i| *i != NO_INSTANCE),
                }));
            }
            ListVersion::V1 => {
                let call = self.v1.get(at).copied().flatten().ok_or_else(missing)?;
                let got = fill(&mut buffers.v1, EMPTY_V1, |count, entries| {
                    // SAFETY: as above.
                    unsafe { call(device.handle(), count, entries) }
                })?;
                out.extend(buffers.v1.iter().take(got).map(|p| RawProcess {
                    pid: p.pid,
                    memory: Some(p.usedGpuMemory).filter(|m| *m != ABSENT),
                    gpu_instance: None,
                    compute_instance: None,
                }));
            }
        }
        Ok(())
    }
}

const EMPTY_V2: nvmlProcessInfo_v2_t = nvmlProcessInfo_v2_t {
    pid: 0,
    usedGpuMemory: ABSENT,
    gpuInstanceId: NO_INSTANCE,
    computeInstanceId: NO_INSTANCE,
};
const EMPTY_V1: nvmlProcessInfo_v1_t = nvmlProcessInfo_v1_t {
    pid: 0,
    usedGpuMemory: ABSENT,
};
const EMPTY_SAMPLE: nvmlProcessUtilizationSample_t = nvmlProcessUtilizationSample_t {
    pid: 0,
    timeStamp: 0,
    smUtil: 0,
    memUtil: 0,
    encUtil: 0,
    decUtil: 0,
};

/// Lists are read into these; they grow to the longest list seen.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    v2: Vec<nvmlProcessInfo_v2_t>,
    v1: Vec<nvmlProcessInfo_v1_t>,
    samples: Vec<nvmlProcessUtilizationSample_t>,
}

/// Calls with a buffer until it is large enough; returns how many entries were written.
///
/// Only half of the buffer is told to NVML: drivers 535.43 to 535.85 wrote entries of 32 bytes where the header
/// says 24, which must not run over the end.
fn fill<T: Copy>(
    buffer: &mut Vec<T>,
    empty: T,
    call: impl Fn(*mut c_uint, *mut T) -> u32,
) -> Result<usize, NvmlError> {
    let mut room = (buffer.len() / 2).max(FIRST_ROOM);
    for _ in 0..TRIES {
        if buffer.len() < room * 2 {
            buffer.resize(room * 2, empty);
        }
        let mut count = c_uint::try_from(room).unwrap_or(c_uint::MAX);
        let code = call(&raw mut count, buffer.as_mut_ptr());
        let told = count as usize;
        if code != nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE {
            nvml_try(code)?;
            return Ok(told.min(room));
        }
        room = told.max(room * 2);
        if room > MOST_ROOM {
            break;
        }
    }
    Err(NvmlError::InsufficientSize(None))
}

/// Utilization samples newer than `last_seen` (µs since 1970), oldest first as NVML gives them.
///
/// # Errors
/// `NotFound` where there is none.
pub(super) fn process_samples(
    nvml: &Nvml,
    device: &Device<'_>,
    last_seen: u64,
    buffers: &mut Buffers,
    out: &mut Vec<RawSample>,
) -> Result<(), NvmlError> {
    let call = *nvml_sym(nvml.lib().nvmlDeviceGetProcessUtilization.as_ref())?;
    let got = fill(&mut buffers.samples, EMPTY_SAMPLE, |count, samples| {
        // SAFETY: the handle is alive and the buffer larger than told.
        unsafe { call(device.handle(), samples, count, last_seen) }
    })?;
    let samples = buffers.samples.iter().take(got);
    out.extend(samples.filter(|s| s.pid != 0).map(|s| RawSample {
        pid: s.pid,
        at: s.timeStamp,
        sm: s.smUtil,
    }));
    Ok(())
}

/// Memory by the call that every driver has.
///
/// # Errors
/// NVML's own.
pub(super) fn memory_v1(nvml: &Nvml, device: &Device<'_>) -> Result<MemoryV1, NvmlError> {
    let call = *nvml_sym(nvml.lib().nvmlDeviceGetMemoryInfo.as_ref())?;
    let mut memory = nvmlMemory_t {
        total: 0,
        free: 0,
        used: 0,
    };
    // SAFETY: the handle is alive, `memory` is ours.
    nvml_try(unsafe { call(device.handle(), &raw mut memory) })?;
    Ok(MemoryV1 {
        total: memory.total,
        used: memory.used,
    })
}

/// Row remapping: (one is pending, one failed).
///
/// # Errors
/// `NotSupported` before Ampere and under MIG.
pub(super) fn remapped_rows(nvml: &Nvml, device: &Device<'_>) -> Result<(bool, bool), NvmlError> {
    let call = *nvml_sym(nvml.lib().nvmlDeviceGetRemappedRows.as_ref())?;
    let mut rows: [c_uint; 4] = [0; 4];
    let [correctable, uncorrectable, pending, failed] = &mut rows;
    // SAFETY: the handle is alive, the four numbers are ours.
    nvml_try(unsafe { call(device.handle(), correctable, uncorrectable, pending, failed) })?;
    let [_, _, pending, failed] = rows;
    Ok((pending != 0, failed != 0))
}

/// Ids of a MIG device: (GPU instance, compute instance).
///
/// # Errors
/// NVML's own.
pub(super) fn instance_ids(nvml: &Nvml, device: &Device<'_>) -> Result<(u32, u32), NvmlError> {
    let gpu_instance = *nvml_sym(nvml.lib().nvmlDeviceGetGpuInstanceId.as_ref())?;
    let compute_instance = *nvml_sym(nvml.lib().nvmlDeviceGetComputeInstanceId.as_ref())?;
    let (mut gi, mut ci) = (0, 0);
    // SAFETY: the handle is alive, both numbers are ours.
    unsafe {
        nvml_try(gpu_instance(device.handle(), &raw mut gi))?;
        nvml_try(compute_instance(device.handle(), &raw mut ci))?;
    }
    Ok((gi, ci))
}

/// Clock event reasons as the driver gives them, unnamed bits kept (the wrapper cuts those off).
///
/// # Errors
/// NVML's own.
pub(super) fn throttle_reasons(nvml: &Nvml, device: &Device<'_>) -> Result<u64, NvmlError> {
    let call = *nvml_sym(
        nvml.lib()
            .nvmlDeviceGetCurrentClocksThrottleReasons
            .as_ref(),
    )?;
    let mut reasons = 0;
    // SAFETY: the handle is alive, the number is ours.
    nvml_try(unsafe { call(device.handle(), &raw mut reasons) })?;
    Ok(reasons)
}

/// Whether both are the same handle.
pub(super) fn same_handle(a: &Device<'_>, b: &Device<'_>) -> bool {
    // SAFETY: the pointers are compared, never followed.
    unsafe { a.handle() == b.handle() }
}
