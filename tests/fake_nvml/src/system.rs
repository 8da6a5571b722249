//! Initialization, versions, handles.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use nvml_wrapper_sys::bindings::nvmlDevice_t;

use crate::abi::*;
use crate::scenario::{Gpu, Scenario};
use crate::state::{self, Target};

fn init(name: &str) -> Code {
    system_call(name, false, |_| {
        state::lock().references += 1;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> Code {
    init("nvmlInit_v2")
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> Code {
    init("nvmlInitWithFlags")
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> Code {
    system_call("nvmlShutdown", true, |_| {
        let mut state = state::lock();
        state.references -= 1;
        if state.references == 0 {
            state.generation += 1;
            state.handles.clear();
            state.lost.clear();
            state.sets.clear();
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(out: *mut c_char, length: c_uint) -> Code {
    system_call("nvmlSystemGetDriverVersion", true, |s| unsafe {
        put_text(out, length, s.driver.as_deref().ok_or(NOT_SUPPORTED)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetNVMLVersion(out: *mut c_char, length: c_uint) -> Code {
    system_call("nvmlSystemGetNVMLVersion", true, |s| unsafe {
        put_text(out, length, s.nvml.as_deref().ok_or(NOT_SUPPORTED)?)
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(out: *mut c_int) -> Code {
    system_call("nvmlSystemGetCudaDriverVersion_v2", true, |s| unsafe {
        put(out, s.cuda.ok_or(LIBRARY_NOT_FOUND)?)
    })
}

fn listed(scenario: &Scenario) -> impl Iterator<Item = &Gpu> {
    scenario.gpus.iter().filter(|g| !g.hidden)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(out: *mut c_uint) -> Code {
    system_call("nvmlDeviceGetCount_v2", true, |s| unsafe {
        put(out, listed(s).count() as c_uint)
    })
}

/// The handle of the GPU that `find` picks.
unsafe fn handle(
    name: &str,
    out: *mut nvmlDevice_t,
    find: impl Fn(&Scenario) -> Option<String>,
    missing: Code,
) -> Code {
    system_call(name, true, |scenario| {
        let uuid = find(scenario).ok_or(missing)?;
        gpu_call(&uuid, name, |_, gpu| {
            let handle = state::lock().handle(Target::Gpu(gpu.uuid.clone()));
            unsafe { put(out, handle.cast()) }
        })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(
    index: c_uint,
    out: *mut nvmlDevice_t,
) -> Code {
    let find = |s: &Scenario| listed(s).nth(index as usize).map(|g| g.uuid.clone());
    unsafe { handle("nvmlDeviceGetHandleByIndex_v2", out, find, INVALID_ARGUMENT) }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByUUID(
    uuid: *const c_char,
    out: *mut nvmlDevice_t,
) -> Code {
    let wanted = unsafe { text(uuid) };
    let find = |s: &Scenario| listed(s).find(|g| g.uuid == wanted).map(|g| g.uuid.clone());
    unsafe { handle("nvmlDeviceGetHandleByUUID", out, find, NOT_FOUND) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(
    pci: *const c_char,
    out: *mut nvmlDevice_t,
) -> Code {
    let wanted = unsafe { text(pci) };
    let find = |s: &Scenario| {
        listed(s)
            .find(|g| g.pci.eq_ignore_ascii_case(&wanted))
            .map(|g| g.uuid.clone())
    };
    unsafe { handle("nvmlDeviceGetHandleByPciBusId_v2", out, find, NOT_FOUND) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    index: c_uint,
    out: *mut nvmlDevice_t,
) -> Code {
    device_call(
        device,
        "nvmlDeviceGetMigDeviceHandleByIndex",
        |_, gpu, _| {
            let mig = gpu
                .instances
                .get(index as usize)
                .filter(|m| !m.uuid.is_empty())
                .ok_or(NOT_FOUND)?;
            let target = Target::Mig(gpu.uuid.clone(), mig.uuid.clone());
            let handle: *mut c_void = state::lock().handle(target);
            unsafe { put(out, handle.cast()) }
        },
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetDeviceHandleFromMigDeviceHandle(
    device: nvmlDevice_t,
    out: *mut nvmlDevice_t,
) -> Code {
    device_call(
        device,
        "nvmlDeviceGetDeviceHandleFromMigDeviceHandle",
        |_, gpu, mig| {
            mig.ok_or(INVALID_ARGUMENT)?;
            let handle = state::lock().handle(Target::Gpu(gpu.uuid.clone()));
            unsafe { put(out, handle.cast()) }
        },
    )
}
