//! One value of one device.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlDeviceAttributes_t, nvmlFieldValue_t, nvmlMemory_t, nvmlMemory_v2_t,
    nvmlPciInfo_t, nvmlUtilization_t, nvmlValue_t,
};

use crate::abi::*;
use crate::scenario::{Gpu, Mig};

/// Functions that write one value.
macro_rules! values {
    ($($name:ident: $ty:ty = |$gpu:ident, $mig:ident| $value:expr;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(device: nvmlDevice_t, out: *mut $ty) -> Code {
            device_call(device, stringify!($name), |_, $gpu: &Gpu, $mig: Option<&Mig>| {
                let value: Option<$ty> = $value;
                unsafe { put(out, value.ok_or(NOT_SUPPORTED)?) }
            })
        }
    )*};
}

/// Whole-GPU values: MIG devices do not have them.
fn whole<T>(mig: Option<&Mig>, value: Option<T>) -> Option<T> {
    if mig.is_some() { None } else { value }
}

values! {
    nvmlDeviceGetBrand: c_uint = |g, m| whole(m, g.brand);
    nvmlDeviceGetArchitecture: c_uint = |g, _m| g.architecture;
    nvmlDeviceGetPowerUsage: c_uint = |g, m| whole(m, g.power_mw);
    nvmlDeviceGetEnforcedPowerLimit: c_uint = |g, m| whole(m, g.power_limit_mw);
    nvmlDeviceGetTotalEnergyConsumption: c_ulonglong = |g, m| whole(m, g.energy_mj);
    nvmlDeviceGetCurrentClocksThrottleReasons: c_ulonglong = |g, m| whole(m, g.throttle);
    nvmlDeviceGetNumFans: c_uint = |g, m| whole(m, g.fan).map(|_| 1);
    nvmlDeviceGetCurrPcieLinkGeneration: c_uint = |g, m| whole(m, g.pcie_gen);
    nvmlDeviceGetMaxPcieLinkGeneration: c_uint = |g, m| whole(m, g.pcie_gen_max);
    nvmlDeviceGetCurrPcieLinkWidth: c_uint = |g, m| whole(m, g.pcie_width);
    nvmlDeviceGetMaxPcieLinkWidth: c_uint = |g, m| whole(m, g.pcie_width_max);
    nvmlDeviceGetPerformanceState: c_uint = |g, m| whole(m, g.pstate);
    nvmlDeviceGetComputeMode: c_uint = |g, m| whole(m, g.compute_mode);
    nvmlDeviceGetPersistenceMode: c_uint = |g, m| whole(m, g.persistence).map(u32::from);
    nvmlDeviceGetMaxMigDeviceCount: c_uint = |g, m| whole(m, g.mig).map(|_| g.instances.len().max(7) as u32);
    nvmlDeviceGetGpuInstanceId: c_uint = |_g, m| m.map(|m| m.gi);
    nvmlDeviceGetComputeInstanceId: c_uint = |_g, m| m.map(|m| m.ci);
    nvmlDeviceGetSupportedEventTypes: c_ulonglong = |g, m| whole(m, Some(if g.no_events { 0 } else { 0x1f }));
    nvmlDeviceGetMinorNumber: c_uint = |_g, _m| None;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUUID(
    device: nvmlDevice_t,
    out: *mut c_char,
    length: c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetUUID", |_, gpu, mig| unsafe {
        put_text(out, length, mig.map_or(&gpu.uuid, |m| &m.uuid))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetName(
    device: nvmlDevice_t,
    out: *mut c_char,
    length: c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetName", |_, gpu, mig| {
        let name = mig.map_or(gpu.name.as_ref(), |m| m.name.as_ref());
        unsafe { put_text(out, length, name.ok_or(NOT_SUPPORTED)?) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(
    device: nvmlDevice_t,
    out: *mut nvmlPciInfo_t,
) -> Code {
    device_call(device, "nvmlDeviceGetPciInfo_v3", |_, gpu, _| {
        let hex = |at: std::ops::Range<usize>| {
            gpu.pci
                .get(at)
                .and_then(|t| u32::from_str_radix(t, 16).ok())
                .unwrap_or(0)
        };
        let mut info = nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: hex(0..8),
            bus: hex(9..11),
            device: hex(12..14),
            pciDeviceId: 0x2330_10de,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        for (to, from) in info.busId.iter_mut().zip(gpu.pci.bytes().take(31)) {
            *to = from as c_char;
        }
        unsafe { put(out, info) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: nvmlDevice_t,
    major: *mut c_int,
    minor: *mut c_int,
) -> Code {
    device_call(device, "nvmlDeviceGetCudaComputeCapability", |_, gpu, _| {
        let (high, low) = gpu.capability.ok_or(NOT_SUPPORTED)?;
        unsafe {
            put(major, high)?;
            put(minor, low)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    out: *mut nvmlUtilization_t,
) -> Code {
    device_call(device, "nvmlDeviceGetUtilizationRates", |_, gpu, mig| {
        if mig.is_some() || gpu.mig == Some(true) {
            return Err(NOT_SUPPORTED);
        }
        let value = nvmlUtilization_t {
            gpu: gpu.gpu_percent.ok_or(NOT_SUPPORTED)?,
            memory: gpu.memory_percent.ok_or(NOT_SUPPORTED)?,
        };
        unsafe { put(out, value) }
    })
}

/// (total, used without reserved, reserved)
fn memory(gpu: &Gpu, mig: Option<&Mig>) -> Result<(u64, u64, u64), Code> {
    match mig {
        Some(m) => Ok((m.memory_total, m.memory_used, 0)),
        None => Ok((
            gpu.memory_total.ok_or(NOT_SUPPORTED)?,
            gpu.memory_used,
            gpu.memory_reserved,
        )),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo(
    device: nvmlDevice_t,
    out: *mut nvmlMemory_t,
) -> Code {
    device_call(device, "nvmlDeviceGetMemoryInfo", |_, gpu, mig| {
        let (total, used, reserved) = memory(gpu, mig)?;
        let value = nvmlMemory_t {
            total,
            free: total.saturating_sub(used + reserved),
            used: used + reserved,
        };
        unsafe { put(out, value) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    out: *mut nvmlMemory_v2_t,
) -> Code {
    device_call(device, "nvmlDeviceGetMemoryInfo_v2", |_, gpu, mig| {
        if out.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        let version = unsafe { (*out).version };
        if version != (size_of::<nvmlMemory_v2_t>() as u32 | 2 << 24) {
            return Err(ARGUMENT_VERSION_MISMATCH);
        }
        let (total, used, reserved) = memory(gpu, mig)?;
        let value = nvmlMemory_v2_t {
            version,
            total,
            reserved,
            free: total.saturating_sub(used + reserved),
            used,
        };
        unsafe { put(out, value) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: nvmlDevice_t,
    _sensor: c_uint,
    out: *mut c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetTemperature", |_, gpu, mig| unsafe {
        put(out, whole(mig, gpu.temperature).ok_or(NOT_SUPPORTED)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperatureThreshold(
    device: nvmlDevice_t,
    threshold: c_uint,
    out: *mut c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetTemperatureThreshold", |_, gpu, _| {
        // 1 is the slowdown threshold.
        let value = gpu.slowdown.filter(|_| threshold == 1);
        unsafe { put(out, value.ok_or(NOT_SUPPORTED)?) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetClockInfo(
    device: nvmlDevice_t,
    clock: c_uint,
    out: *mut c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetClockInfo", |_, gpu, mig| {
        let value = match clock {
            0 | 1 => gpu.sm_clock,
            2 => gpu.memory_clock,
            _ => None,
        };
        unsafe { put(out, whole(mig, value).ok_or(NOT_SUPPORTED)?) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFanSpeed_v2(
    device: nvmlDevice_t,
    fan: c_uint,
    out: *mut c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetFanSpeed_v2", |_, gpu, _| {
        let speed = gpu.fan.ok_or(NOT_SUPPORTED)?;
        if fan > 0 {
            return Err(INVALID_ARGUMENT);
        }
        unsafe { put(out, speed) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    kind: c_uint,
    counter: c_uint,
    out: *mut c_ulonglong,
) -> Code {
    device_call(device, "nvmlDeviceGetTotalEccErrors", |_, gpu, _| {
        let value = match (kind, counter) {
            (1, 0) => gpu.ecc_volatile,
            (1, 1) => gpu.ecc_aggregate,
            _ => None,
        };
        unsafe { put(out, value.ok_or(NOT_SUPPORTED)?) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetRemappedRows(
    device: nvmlDevice_t,
    correctable: *mut c_uint,
    uncorrectable: *mut c_uint,
    pending: *mut c_uint,
    failed: *mut c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetRemappedRows", |_, gpu, _| {
        let (waits, failure) = gpu
            .remapped
            .filter(|_| gpu.mig != Some(true))
            .ok_or(NOT_SUPPORTED)?;
        unsafe {
            put(correctable, 0)?;
            put(uncorrectable, u32::from(waits))?;
            put(pending, u32::from(waits))?;
            put(failed, u32::from(failure))
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> Code {
    device_call(device, "nvmlDeviceGetMigMode", |_, gpu, mig| {
        let on = u32::from(whole(mig, gpu.mig).ok_or(NOT_SUPPORTED)?);
        unsafe {
            put(current, on)?;
            put(pending, on)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetAttributes_v2(
    device: nvmlDevice_t,
    out: *mut nvmlDeviceAttributes_t,
) -> Code {
    device_call(device, "nvmlDeviceGetAttributes_v2", |_, _, mig| {
        let mig = mig.ok_or(NOT_SUPPORTED)?;
        let value = nvmlDeviceAttributes_t {
            multiprocessorCount: 16 * mig.compute_slices,
            sharedCopyEngineCount: 1,
            sharedDecoderCount: 0,
            sharedEncoderCount: 0,
            sharedJpegCount: 0,
            sharedOfaCount: 0,
            gpuInstanceSliceCount: mig.gpu_slices,
            computeInstanceSliceCount: mig.compute_slices,
            memorySizeMB: mig.memory_total >> 20,
        };
        unsafe { put(out, value) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    values: *mut nvmlFieldValue_t,
) -> Code {
    device_call(device, "nvmlDeviceGetFieldValues", |_, gpu, mig| {
        if values.is_null() || count < 1 {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: the caller gives `count` values.
        let values = unsafe { std::slice::from_raw_parts_mut(values, count as usize) };
        for value in values {
            // 82 is NVML_FI_DEV_MEMORY_TEMP; type 1 is unsigned int.
            let found = whole(mig, gpu.memory_temperature).filter(|_| value.fieldId == 82);
            value.nvmlReturn = if found.is_some() { 0 } else { NOT_SUPPORTED };
            value.valueType = 1;
            value.value = nvmlValue_t {
                uiVal: found.unwrap_or(0),
            };
        }
        Ok(())
    })
}
