//! The library's own state: the scenario as last read, references, handles.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::scenario::Scenario;

/// How long a read scenario is believed before the file is looked at again.
const FRESH: Duration = Duration::from_millis(5);

/// What a handle names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Gpu(String),
    /// GPU's UUID, MIG device's UUID.
    Mig(String, String),
}

/// An event set.
#[derive(Debug, Default)]
pub struct EventSet {
    /// UUIDs registered.
    pub gpus: BTreeSet<String>,
    /// How many of the scenario's Xids are behind it.
    pub seen: usize,
}

#[derive(Debug)]
pub struct State {
    pub references: u32,
    /// Raised at each last shutdown: older handles are invalid then.
    pub generation: usize,
    pub handles: Vec<Target>,
    /// GPUs that were seen lost since the first initialization.
    pub lost: BTreeSet<String>,
    pub sets: BTreeMap<usize, EventSet>,
    pub next_set: usize,
    scenario: Option<Arc<Scenario>>,
    path: Option<PathBuf>,
    identity: Option<(u64, i64, i64, u64)>,
    looked: Option<Instant>,
}

static STATE: Mutex<State> = Mutex::new(State {
    references: 0,
    generation: 1,
    handles: Vec::new(),
    lost: BTreeSet::new(),
    sets: BTreeMap::new(),
    next_set: 1,
    scenario: None,
    path: None,
    identity: None,
    looked: None,
});

pub fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scenario as it is now.
pub fn scenario() -> Arc<Scenario> {
    lock().scenario()
}

impl State {
    /// The scenario as it is now: the file is read again when another one is in its place.
    pub fn scenario(&mut self) -> Arc<Scenario> {
        let now = Instant::now();
        let fresh = self.looked.is_some_and(|at| now.duration_since(at) < FRESH);
        if let (true, Some(scenario)) = (fresh, &self.scenario) {
            return Arc::clone(scenario);
        }
        self.looked = Some(now);
        let path = self.path.get_or_insert_with(scenario_path);
        let identity = std::fs::metadata(&*path)
            .ok()
            .map(|m| (m.ino(), m.mtime(), m.mtime_nsec(), m.len()));
        if self.scenario.is_none() || (identity.is_some() && identity != self.identity) {
            match Scenario::read(path) {
                Ok(read) => {
                    self.scenario = Some(Arc::new(read));
                    self.identity = identity;
                }
                Err(error) => {
                    let _ = writeln!(std::io::stderr(), "fake_nvml: {}: {error}", path.display());
                }
            }
        }
        Arc::clone(self.scenario.get_or_insert_default())
    }

    /// The handle that names `target`, made if need be.
    pub fn handle(&mut self, target: Target) -> *mut c_void {
        let slot = self
            .handles
            .iter()
            .position(|t| *t == target)
            .unwrap_or_else(|| {
                self.handles.push(target);
                self.handles.len() - 1
            });
        (((self.generation << 16) | (slot + 1)) << 4) as *mut c_void
    }

    /// What a handle names; `None` for a stale or made-up one.
    pub fn target(&self, handle: *mut c_void) -> Option<Target> {
        let number = handle as usize >> 4;
        if number >> 16 != self.generation {
            return None;
        }
        self.handles.get((number & 0xffff).checked_sub(1)?).cloned()
    }
}

/// `<library>.toml` where there is one, else what the environment names.
fn scenario_path() -> PathBuf {
    let own = own_path().map(|mut path| {
        path.as_mut_os_string().push(".toml");
        path
    });
    if let Some(path) = own.filter(|path| path.exists()) {
        return path;
    }
    std::env::var_os("MIDWATCH_FAKE_NVML").map_or_else(
        || PathBuf::from("/nonexistent/fake_nvml.toml"),
        PathBuf::from,
    )
}

#[repr(C)]
struct DlInfo {
    file_name: *const c_char,
    file_base: *mut c_void,
    symbol_name: *const c_char,
    symbol_address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
}

/// The path this library was loaded from.
fn own_path() -> Option<PathBuf> {
    let mut info = DlInfo {
        file_name: std::ptr::null(),
        file_base: std::ptr::null_mut(),
        symbol_name: std::ptr::null(),
        symbol_address: std::ptr::null_mut(),
    };
    // SAFETY: dladdr fills `info`; the name it gives lives as long as the library.
    let name = unsafe {
        if dladdr(&raw const STATE as *const c_void, &raw mut info) == 0 || info.file_name.is_null()
        {
            return None;
        }
        CStr::from_ptr(info.file_name)
    };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}
