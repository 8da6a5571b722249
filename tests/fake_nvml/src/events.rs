//! Event sets: Xid events that the scenario lists are delivered once to every set that was there before.

use std::ffi::{c_uint, c_ulonglong, c_void};
use std::time::{Duration, Instant};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t};

use crate::abi::*;
use crate::state::{self, EventSet, Target};

/// `nvmlEventTypeXidCriticalError`.
const XID: c_ulonglong = 8;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetCreate(out: *mut nvmlEventSet_t) -> Code {
    system_call("nvmlEventSetCreate", true, |scenario| {
        let mut state = state::lock();
        let id = state.next_set;
        state.next_set += 1;
        state.sets.insert(
            id,
            EventSet {
                seen: scenario.xids.len(),
                ..EventSet::default()
            },
        );
        unsafe { put(out, (id << 4) as nvmlEventSet_t) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetFree(set: nvmlEventSet_t) -> Code {
    system_call("nvmlEventSetFree", true, |_| {
        let id = set as usize >> 4;
        state::lock()
            .sets
            .remove(&id)
            .map(|_| ())
            .ok_or(INVALID_ARGUMENT)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceRegisterEvents(
    device: nvmlDevice_t,
    types: c_ulonglong,
    set: nvmlEventSet_t,
) -> Code {
    device_call(device, "nvmlDeviceRegisterEvents", |_, gpu, _| {
        if gpu.no_events || types & !0x1f != 0 {
            return Err(NOT_SUPPORTED);
        }
        let id = set as usize >> 4;
        let mut state = state::lock();
        let set = state.sets.get_mut(&id).ok_or(INVALID_ARGUMENT)?;
        if types & XID != 0 {
            set.gpus.insert(gpu.uuid.clone());
        }
        Ok(())
    })
}

/// The next event of a set, if there is one.
fn next(id: usize) -> Result<Option<nvmlEventData_t>, Code> {
    let mut state = state::lock();
    let scenario = state.scenario();
    loop {
        let set = state.sets.get_mut(&id).ok_or(INVALID_ARGUMENT)?;
        let Some(xid) = scenario.xids.get(set.seen) else {
            return Ok(None);
        };
        set.seen += 1;
        if set.gpus.contains(&xid.gpu) {
            let handle: *mut c_void = state.handle(Target::Gpu(xid.gpu.clone()));
            return Ok(Some(nvmlEventData_t {
                device: handle.cast(),
                eventType: XID,
                eventData: xid.xid,
                gpuInstanceId: u32::MAX,
                computeInstanceId: u32::MAX,
            }));
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    out: *mut nvmlEventData_t,
    timeout_ms: c_uint,
) -> Code {
    let end = Instant::now() + Duration::from_millis(u64::from(timeout_ms));
    system_call("nvmlEventSetWait_v2", true, |_| {
        loop {
            if let Some(event) = next(set as usize >> 4)? {
                return unsafe { put(out, event) };
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TIMEOUT);
            }
            // Few wake-ups: what this costs would be counted as the program's.
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    })
}
