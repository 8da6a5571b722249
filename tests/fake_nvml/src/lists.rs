//! Process lists, in the three struct layouts, and process utilization.

use std::collections::BTreeMap;
use std::ffi::{c_uint, c_ulonglong};
use std::time::{SystemTime, UNIX_EPOCH};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlProcessInfo_t, nvmlProcessInfo_v1_t, nvmlProcessUtilizationSample_t,
};

use crate::abi::*;
use crate::scenario::{Gpu, Mig, Process};

/// What drivers 535.43 to 535.85 wrote: eight bytes more than the header says.
#[repr(C)]
struct WideProcess {
    info: nvmlProcessInfo_t,
    protected_memory: c_ulonglong,
}

fn info(p: &Process) -> nvmlProcessInfo_t {
    nvmlProcessInfo_t {
        pid: p.pid,
        usedGpuMemory: p.memory.unwrap_or(u64::MAX),
        gpuInstanceId: p.gi.unwrap_or(u32::MAX),
        computeInstanceId: p.ci.unwrap_or(u32::MAX),
    }
}

fn listed<'a>(gpu: &'a Gpu, mig: Option<&Mig>, graphics: bool) -> Vec<&'a Process> {
    let ids = mig.map(|m| (Some(m.gi), Some(m.ci)));
    gpu.processes
        .iter()
        .filter(|p| match p.kind.as_str() {
            "G" => graphics,
            "C+G" => true,
            _ => !graphics,
        })
        .filter(|p| ids.is_none_or(|ids| ids == (p.gi, p.ci)))
        .collect()
}

/// NVML's way with lists: the count goes in as room and comes out as need.
unsafe fn put_list<T>(
    count: *mut c_uint,
    out: *mut T,
    entries: impl ExactSizeIterator<Item = T>,
) -> Answer {
    if count.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    unsafe {
        let room = *count as usize;
        *count = entries.len() as c_uint;
        if entries.len() == 0 {
            return Ok(());
        }
        if out.is_null() || room < entries.len() {
            return Err(INSUFFICIENT_SIZE);
        }
        for (at, entry) in entries.enumerate() {
            out.add(at).write(entry);
        }
    }
    Ok(())
}

macro_rules! lists {
    ($($name:ident, $entry:ty, $graphics:expr, |$p:ident| $make:expr;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            device: nvmlDevice_t,
            count: *mut c_uint,
            out: *mut $entry,
        ) -> Code {
            device_call(device, stringify!($name), |scenario, gpu, mig| {
                if gpu.mig_denied && gpu.mig == Some(true) && mig.is_none() {
                    return Err(NO_PERMISSION);
                }
                let processes = listed(gpu, mig, $graphics);
                if scenario.wide_processes && stringify!($name).ends_with("_v3") {
                    let wide = processes.into_iter().map(|p| WideProcess {
                        info: info(p),
                        protected_memory: 0,
                    });
                    return unsafe { put_list(count, out.cast::<WideProcess>(), wide) };
                }
                let entries = processes.into_iter().map(|$p| $make);
                unsafe { put_list(count, out, entries) }
            })
        }
    )*};
}

fn old(p: &Process) -> nvmlProcessInfo_v1_t {
    nvmlProcessInfo_v1_t {
        pid: p.pid,
        usedGpuMemory: p.memory.unwrap_or(u64::MAX),
    }
}

lists! {
    nvmlDeviceGetComputeRunningProcesses_v3, nvmlProcessInfo_t, false, |p| info(p);
    nvmlDeviceGetGraphicsRunningProcesses_v3, nvmlProcessInfo_t, true, |p| info(p);
    nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_t, false, |p| info(p);
    nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_t, true, |p| info(p);
    nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t, false, |p| old(p);
    nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t, true, |p| old(p);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetProcessUtilization(
    device: nvmlDevice_t,
    out: *mut nvmlProcessUtilizationSample_t,
    count: *mut c_uint,
    last_seen: c_ulonglong,
) -> Code {
    device_call(device, "nvmlDeviceGetProcessUtilization", |_, gpu, mig| {
        if mig.is_some() || gpu.mig == Some(true) {
            return Err(NOT_SUPPORTED);
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_micros() as u64);
        // One entry a pid and time, as the driver's ring buffer has them; idle processes have none.
        let mut samples: BTreeMap<(u64, u32), u32> = BTreeMap::new();
        for process in &gpu.processes {
            for sample in &process.samples {
                samples.insert((sample.at, process.pid), sample.sm);
            }
            if let Some(sm) = process.sm.filter(|sm| *sm > 0) {
                samples.insert((now, process.pid), sm);
            }
        }
        let found: Vec<_> = samples
            .into_iter()
            .filter(|((at, _), _)| *at > last_seen)
            .map(|((at, pid), sm)| nvmlProcessUtilizationSample_t {
                pid,
                timeStamp: at,
                smUtil: sm,
                memUtil: sm / 2,
                encUtil: 0,
                decUtil: 0,
            })
            .collect();
        if found.is_empty() {
            return Err(NOT_FOUND);
        }
        unsafe { put_list(count, out, found.into_iter()) }
    })
}
