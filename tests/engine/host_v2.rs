//! An engine in cgroup v2 mode on a machine that boots with v1: its own mount and network namespace, its own
//! socket and folders. Needs root; where the machine's `/sys/fs/cgroup` is v2 already the shared engine shows
//! the same.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::host_docker::Docker;
use crate::host_trees::{Running, key};

/// The engine; ends with the value.
struct Engine {
    child: Child,
    dir: PathBuf,
}

const UP: &str = r#"
mount --make-rprivate / && umount -R /sys/fs/cgroup && mkdir -p /sys/fs/cgroup \
  && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 77
exec dockerd -H "unix://$1/docker.sock" --data-root "$1/data" --exec-root "$1/exec" \
  --pidfile "$1/dockerd.pid" --bridge=none --iptables=false --ip6tables=false --log-level warn
"#;

impl Engine {
    /// `None`: this machine cannot have one.
    fn start() -> Option<Self> {
        let hybrid = std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .any(|line| line.contains(" - cgroup2 ") && !line.contains(" /sys/fs/cgroup "));
        if !hybrid || !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: this machine is not root's hybrid cgroup machine");
            return None;
        }
        let dir = PathBuf::from(format!("/tmp/midwatch-host-v2-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "-n", "sh", "-c", UP, "sh", dir.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut engine = Self { child, dir };
        let docker = engine.docker();
        let deadline = Instant::now() + Duration::from_secs(30);
        while docker.try_ask(&["version"]).is_err() {
            let log = std::fs::read_to_string(engine.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "no engine within 30 s: {log}");
            if let Some(status) = engine.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(77), "{log}");
                eprintln!("SKIPPED: the namespace's cgroup mount cannot be replaced: {log}");
                return None;
            }
        }
        Some(engine)
    }

    fn docker(&self) -> Docker {
        Docker {
            socket: self.dir.join("docker.sock").to_str().unwrap().to_owned(),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let pid = |name: &str| std::fs::read_to_string(self.dir.join(name)).ok();
        if let Some(pid) = pid("dockerd.pid") {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn cpu_is_read_and_what_stays_with_v1_is_null() {
    // The image comes from the shared engine.
    let Some(shared) = Docker::find() else { return };
    let Some(engine) = Engine::start() else {
        return;
    };
    let docker = engine.docker();
    assert_eq!(docker.ask(&["info", "-f", "{{.CgroupVersion}}"]), "2");
    let image = engine.dir.join("image.tar");
    shared.ask(&[
        "save",
        "-o",
        image.to_str().unwrap(),
        "midwatch-test:busybox",
    ]);
    docker.ask(&["load", "-i", image.to_str().unwrap()]);
    let busy = docker.run("host-v2", &[], "while :; do :; done");
    let running = Running::new(
        Path::new("/proc"),
        Path::new("/sys"),
        Duration::from_millis(500),
    );
    running.targets(&[(&busy.id, busy.pid)], &[busy.pid]);
    let usage = running.usage("a share of CPU", |u| {
        u.entries
            .first()
            .is_some_and(|e| e.cpu_percent.is_some_and(|p| p > 10.0))
    });
    assert_eq!(usage.local, [key(&busy.id)]);
    let entry = &usage.entries[0];
    assert_eq!(entry.memory_used_bytes, None, "{entry:?}");
    assert_eq!(entry.memory_limit_bytes, None);
    assert_eq!(entry.block_read_bytes, None);
    assert_eq!(entry.oom_kills, None);
    assert_eq!(entry.network_rx_bytes, Some(0));
}
