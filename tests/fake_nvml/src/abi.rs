//! What every call goes through: delays, failures, handles.

use std::ffi::{c_char, c_void};
use std::io::Write;
use std::time::{Duration, Instant};

use nvml_wrapper_sys::bindings::nvmlDevice_t;

use crate::scenario::{Gpu, Mig, Scenario};
use crate::state::{self, Target};

pub type Code = u32;
pub type Answer = Result<(), Code>;

pub const UNINITIALIZED: Code = 1;
pub const INVALID_ARGUMENT: Code = 2;
pub const NOT_SUPPORTED: Code = 3;
pub const NO_PERMISSION: Code = 4;
pub const NOT_FOUND: Code = 6;
pub const INSUFFICIENT_SIZE: Code = 7;
pub const TIMEOUT: Code = 10;
pub const LIBRARY_NOT_FOUND: Code = 12;
pub const GPU_IS_LOST: Code = 15;
pub const ARGUMENT_VERSION_MISMATCH: Code = 25;

pub fn code(answer: Answer) -> Code {
    answer.err().unwrap_or(0)
}

/// Writes through a caller's pointer.
///
/// # Safety
/// `out` is null or valid for writing.
pub unsafe fn put<T>(out: *mut T, value: T) -> Answer {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller's own by contract.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a C string into a caller's buffer.
///
/// # Safety
/// `out` is null or valid for `length` bytes.
pub unsafe fn put_text(out: *mut c_char, length: u32, text: &str) -> Answer {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if text.len() + 1 > length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the buffer holds the text and its end, checked above.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len());
        out.add(text.len()).write(0);
    }
    Ok(())
}

/// A call that names no device. `needs_init`: answers `UNINITIALIZED` before `nvmlInit`.
pub fn system_call(name: &str, needs_init: bool, body: impl FnOnce(&Scenario) -> Answer) -> Code {
    let scenario = state::scenario();
    trace(&scenario, name, "");
    wait(|| state::scenario().delay_ms.get(name).copied());
    let scenario = state::scenario();
    if let Some(code) = scenario.fail.get(name) {
        return *code;
    }
    if needs_init && state::lock().references == 0 {
        return UNINITIALIZED;
    }
    code(body(&scenario))
}

/// A call on a device: `body` gets the GPU, and the MIG instance where the handle names one.
pub fn device_call(
    handle: nvmlDevice_t,
    name: &str,
    body: impl FnOnce(&Scenario, &Gpu, Option<&Mig>) -> Answer,
) -> Code {
    let target = {
        let state = state::lock();
        if state.references == 0 {
            return UNINITIALIZED;
        }
        state.target(handle.cast::<c_void>())
    };
    let (uuid, mig) = match target {
        None => return INVALID_ARGUMENT,
        Some(Target::Gpu(uuid)) => (uuid, None),
        Some(Target::Mig(uuid, mig)) => (uuid, Some(mig)),
    };
    code(gpu_call(&uuid, name, |scenario, gpu| {
        let instance = match &mig {
            None => None,
            Some(mig) => Some(
                gpu.instances
                    .iter()
                    .find(|i| i.uuid == *mig)
                    .ok_or(NOT_FOUND)?,
            ),
        };
        body(scenario, gpu, instance)
    }))
}

/// Delays, failures and losses of one GPU around `body`.
pub fn gpu_call(uuid: &str, name: &str, body: impl FnOnce(&Scenario, &Gpu) -> Answer) -> Answer {
    trace(&state::scenario(), name, uuid);
    wait(|| {
        let scenario = state::scenario();
        let gpu = scenario.gpus.iter().find(|g| g.uuid == uuid)?;
        let of = |delays: &std::collections::BTreeMap<String, u64>| {
            delays.get(name).or_else(|| delays.get("*")).copied()
        };
        of(&gpu.delay_ms).or_else(|| of(&scenario.delay_ms))
    });
    let scenario = state::scenario();
    let gpu = scenario
        .gpus
        .iter()
        .find(|g| g.uuid == uuid)
        .ok_or(GPU_IS_LOST)?;
    if gpu.lost {
        state::lock().lost.insert(uuid.to_owned());
    }
    if state::lock().lost.contains(uuid) {
        return Err(GPU_IS_LOST);
    }
    for fails in [&gpu.fail, &scenario.fail] {
        if let Some(code) = fails.get(name).or_else(|| fails.get("*")) {
            return Err(*code);
        }
    }
    body(&scenario, gpu)
}

/// Sleeps as long as the scenario says, and ends early when it no longer says so.
fn wait(delay: impl Fn() -> Option<u64>) {
    let begin = Instant::now();
    while let Some(delay) = delay() {
        let left = Duration::from_millis(delay).saturating_sub(begin.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(10)));
    }
}

fn trace(scenario: &Scenario, name: &str, uuid: &str) {
    let Some(path) = &scenario.trace else { return };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    if let Ok(mut file) = file {
        let _ = file.write_all(format!("{name} {uuid}\n").as_bytes());
    }
}
