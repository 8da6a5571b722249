//! A fake libnvidia-ml for one test: a copy of its own, with its scenario beside it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fake_nvml::Scenario;
use midwatch::gpu::{GpuConfig, GpuHandle, GpuLanes, start};
use midwatch::lanes::{Queue, Slot, Waker};
use midwatch::model::{Gpu, GpuSnapshot, XidEvent};

/// The library that cargo built beside the test's own binary.
pub fn library() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let deps = exe.parent().unwrap();
    [deps, deps.parent().unwrap()]
        .iter()
        .map(|dir| dir.join("libfake_nvml.so"))
        .find(|path| path.exists())
        .expect("cargo builds libfake_nvml.so with the tests")
}

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One test's library, scenario and directories.
pub struct FakeNvml {
    pub dir: tempfile::TempDir,
    /// To load with `--nvml`.
    pub path: PathBuf,
}

impl FakeNvml {
    /// A copy of the library that plays `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        Self::without_symbols(scenario, &[])
    }

    /// A copy from which these symbols are really missing, as from an old driver's: their names are patched in
    /// the file, so that looking them up fails.
    pub fn without_symbols(scenario: &Scenario, missing: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libnvidia-ml.so.1");
        let mut bytes = std::fs::read(library()).unwrap();
        for name in missing {
            let wanted = format!("\0{name}\0");
            let at: Vec<usize> = find_all(&bytes, wanted.as_bytes());
            assert!(!at.is_empty(), "{name} is not in the library");
            for at in at {
                bytes[at + 1] = b'X';
            }
        }
        std::fs::write(&path, bytes).unwrap();
        let fake = Self { dir, path };
        fake.play(scenario);
        fake
    }

    /// Puts another scenario in place.
    pub fn play(&self, scenario: &Scenario) {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".toml");
        scenario.write(Path::new(&name)).unwrap();
    }

    /// A path below the test's directory.
    pub fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Configuration with this library, quick intervals, and nothing of this machine.
    pub fn config(&self) -> GpuConfig {
        GpuConfig {
            nvml_path: Some(self.path.clone()),
            procfs: self.at("proc"),
            sysfs: self.at("sys"),
            kmsg: self.at("kmsg"),
            interval: Duration::from_millis(100),
            slow_interval: Duration::from_millis(300),
            deadline: Duration::from_millis(400),
            open_deadline: Duration::from_millis(600),
            retry: Duration::from_millis(100),
            ..GpuConfig::default()
        }
    }

    /// Starts the source on it.
    pub fn start(&self) -> Source {
        Source::start(self.config())
    }

    /// Whether the library is mapped into this process.
    pub fn is_mapped(&self) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.contains(self.path.to_str().unwrap())
    }
}

fn find_all(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    bytes
        .windows(wanted.len())
        .enumerate()
        .filter(|(_, w)| *w == wanted)
        .map(|(at, _)| at)
        .collect()
}

/// A running source and its lanes.
pub struct Source {
    pub handle: GpuHandle,
    pub lanes: GpuLanes,
    pub waker: Waker,
}

impl Source {
    pub fn start(config: GpuConfig) -> Self {
        let waker = Waker::new();
        let lanes = GpuLanes {
            snapshot: Slot::new(waker.clone()),
            xids: Queue::new(1_000, waker.clone()),
        };
        Self {
            handle: start(config, lanes.clone()),
            lanes,
            waker,
        }
    }

    /// The first snapshot that `wanted` says yes to; the test fails with the last one otherwise.
    pub fn wait(&self, what: &str, wanted: impl Fn(&GpuSnapshot) -> bool) -> GpuSnapshot {
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < PATIENCE {
            self.waker.wait(Some(Duration::from_millis(100)));
            if let Some(snapshot) = self.lanes.snapshot.take() {
                if wanted(&snapshot) {
                    if what != "a snapshot" {
                        println!("{what}: after {:?}", begin.elapsed());
                    }
                    return snapshot;
                }
                last = Some(snapshot);
            }
        }
        panic!("{what}: not within {PATIENCE:?}; last: {last:#?}");
    }

    /// The next snapshot.
    pub fn next(&self) -> GpuSnapshot {
        self.wait("a snapshot", |_| true)
    }

    /// Waits until this many Xids have come.
    pub fn xids(&self, count: usize) -> Vec<XidEvent> {
        let begin = Instant::now();
        let mut events = Vec::new();
        while begin.elapsed() < PATIENCE {
            events.extend(self.lanes.xids.drain().items);
            if events.len() >= count {
                return events;
            }
            self.waker.wait(Some(Duration::from_millis(100)));
        }
        panic!("{count} Xids: not within {PATIENCE:?}; there are {events:#?}");
    }
}

/// The GPU whose UUID ends so.
pub fn gpu<'a>(snapshot: &'a GpuSnapshot, uuid: &str) -> &'a Gpu {
    snapshot
        .gpus
        .iter()
        .find(|g| g.key.uuid.as_str() == uuid)
        .unwrap_or_else(|| panic!("{uuid} is not in {snapshot:#?}"))
}
