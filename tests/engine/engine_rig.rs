//! What the engine tests share: the engine under test, its command line, a running source and its news.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use midwatch::engine::endpoint::{Asked, Env};
use midwatch::engine::source::{self, EngineHandle, EngineLanes, SourceConfig};
use midwatch::lanes::{Queue, Slot, Waker};
use midwatch::model::{
    Container, ContainerDetail, ContainerId, ContainerKey, EngineNews, HostId, UsageSnapshot,
};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The engine under test; `None` (told loudly) where there is none, a failure where one is required.
pub fn socket() -> Option<String> {
    if let Some(socket) = std::env::var("MIDWATCH_TEST_ENGINE")
        .ok()
        .filter(|s| !s.is_empty())
    {
        let socket = socket.strip_prefix("unix://").unwrap_or(&socket).to_owned();
        return Some(socket);
    }
    assert_ne!(
        std::env::var("MIDWATCH_REQUIRE_ENGINE").as_deref(),
        Ok("1"),
        "MIDWATCH_TEST_ENGINE names no engine"
    );
    eprintln!("SKIPPED: MIDWATCH_TEST_ENGINE names no engine");
    None
}

/// Runs the docker command on an engine; its output, or a panic with its error.
pub fn docker(socket: &str, args: &[&str]) -> String {
    let (ok, text) = try_docker(socket, args);
    assert!(ok, "docker {args:?}: {text}");
    text
}

/// Runs the docker command; whether it succeeded, and what it said.
pub fn try_docker(socket: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new("docker")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .args(["-H", &format!("unix://{socket}")])
        .args(args)
        .output()
        .expect("docker");
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8_lossy(&text).trim().to_owned(),
    )
}

/// Containers that are removed when the test ends, however it ends.
pub struct Made {
    pub socket: String,
    names: Vec<String>,
}

impl Made {
    pub fn on(socket: &str) -> Self {
        Self {
            socket: socket.to_owned(),
            names: Vec::new(),
        }
    }

    /// Makes a container with `docker VERB`, and returns its key.
    pub fn make(
        &mut self,
        verb: &str,
        name: &str,
        flags: &[&str],
        command: &[&str],
    ) -> ContainerKey {
        try_docker(&self.socket, &["rm", "-f", "-v", name]);
        self.names.push(name.to_owned());
        let mut args = vec![verb, "--network", "none", "--name", name];
        if verb == "run" {
            args.push("-d");
        }
        args.extend(flags);
        args.push("midwatch-test:busybox");
        args.extend(command);
        key(docker(&self.socket, &args).lines().last().unwrap())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for name in &self.names {
            try_docker(&self.socket, &["rm", "-f", "-v", name]);
        }
    }
}

/// The key of a full id.
pub fn key(id: &str) -> ContainerKey {
    ContainerKey {
        host: HostId(0),
        id: ContainerId::parse(id.trim()).unwrap_or_else(|| panic!("{id:?} is no id")),
    }
}

/// A running source on a runtime thread of its own, and all news it gave.
pub struct Rig {
    pub handle: EngineHandle,
    pub seen: Vec<EngineNews>,
    looked_at: usize,
    lanes: EngineLanes,
    waker: Waker,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    pub fn unix(socket: &Path) -> Self {
        Self::asking(
            Some(format!("unix://{}", socket.display())),
            Env::of(&[], Path::new("/nonexistent")),
        )
    }

    pub fn asking(host: Option<String>, env: Env) -> Self {
        let waker = Waker::new();
        let lanes = EngineLanes {
            news: Queue::new(100_000, waker.clone()),
            usage: Slot::new(waker.clone()),
        };
        let config = SourceConfig {
            host: HostId(0),
            asked: Asked {
                host,
                context: None,
            },
            env,
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (give, given) = std::sync::mpsc::channel();
        let started = lanes.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            give.send(source::start(runtime.handle(), config, started))
                .unwrap();
            let _ = runtime.block_on(stopped);
        });
        Self {
            handle: given.recv().unwrap(),
            seen: Vec::new(),
            looked_at: 0,
            lanes,
            waker,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Waits until a piece of news that has not been looked at yet matches; what comes before it counts as
    /// looked at. Says how long that took.
    pub fn wait<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&EngineNews) -> Option<T>,
    ) -> (T, Duration) {
        let begun = Instant::now();
        loop {
            self.seen.extend(self.lanes.news.drain().items);
            while let Some(news) = self.seen.get(self.looked_at) {
                self.looked_at += 1;
                if let Some(found) = wanted(news) {
                    return (found, begun.elapsed());
                }
            }
            let Some(left) = PATIENCE.checked_sub(begun.elapsed()) else {
                let last: Vec<_> = self.seen.iter().rev().take(6).collect();
                panic!("no {what} within {PATIENCE:?}; the last news first: {last:#?}");
            };
            self.waker.wait(Some(left));
        }
    }

    /// Waits for the next whole list.
    pub fn listed(&mut self) -> Vec<Container> {
        self.wait("list", |news| match news {
            EngineNews::Listed(rows) => Some(rows.clone()),
            _ => None,
        })
        .0
    }

    /// Waits for a container's facts.
    pub fn inspected(&mut self, key: ContainerKey) -> ContainerDetail {
        self.wait("inspection", |news| match news {
            EngineNews::Inspected(k, detail) if *k == key => Some((**detail).clone()),
            _ => None,
        })
        .0
    }

    /// Waits for a row that satisfies `wanted`.
    pub fn row(
        &mut self,
        what: &str,
        key: ContainerKey,
        wanted: impl Fn(&Container) -> bool,
    ) -> (Container, Duration) {
        self.wait(what, |news| match news {
            EngineNews::Changed(row) if row.key == key && wanted(row) => Some((**row).clone()),
            _ => None,
        })
    }

    /// Waits for a round of statistics.
    pub fn usage(&mut self) -> UsageSnapshot {
        let begun = Instant::now();
        loop {
            if let Some(usage) = self.lanes.usage.take() {
                return usage;
            }
            assert!(begun.elapsed() < PATIENCE, "no statistics");
            self.waker.wait(Some(Duration::from_millis(200)));
        }
    }

    /// Whether any news so far was a list without rows.
    pub fn told_nothing_is_there(&self) -> bool {
        self.seen
            .iter()
            .any(|n| matches!(n, EngineNews::Listed(rows) if rows.is_empty()))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An engine of a test's own, stopped and removed when dropped.
pub struct OwnEngine {
    pub dir: PathBuf,
}

impl OwnEngine {
    pub fn up(name: &str) -> Self {
        Self::up_with(name, &[])
    }

    /// With flags of dockerd's.
    pub fn up_with(name: &str, flags: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("mw-{name}-{}", std::process::id()));
        let own = Self { dir };
        own.run("up", flags);
        own
    }

    fn run(&self, verb: &str, flags: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/engine");
        let output = Command::new(script)
            .arg(verb)
            .arg(&self.dir)
            .args(flags)
            .output()
            .expect(".ci/engine");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    pub fn again(&self) {
        self.run("up", &[]);
    }

    /// Sends dockerd a signal by its own id.
    pub fn signal(&self, signal: &str) {
        send(signal, &read(&self.dir.join("dockerd.pid")));
    }

    /// Kills dockerd and its containerd, and waits until both are gone.
    pub fn kill(&self) {
        for file in ["dockerd.pid", "exec/containerd/containerd.pid"] {
            let file = self.dir.join(file);
            let pid = read(&file);
            send("-KILL", &pid);
            let stat = PathBuf::from(format!("/proc/{pid}/stat"));
            let begun = Instant::now();
            while std::fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z ")) {
                assert!(begun.elapsed() < PATIENCE, "{pid} lives on");
                std::thread::yield_now();
            }
            // One that nobody has reaped yet would count as running.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn send(signal: &str, pid: &str) {
    // containerd ends with its dockerd: it may be gone before it is told.
    let _ = Command::new("kill").args([signal, pid]).output().unwrap();
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/engine");
        let _ = Command::new(script).arg("down").arg(&self.dir).output();
    }
}
