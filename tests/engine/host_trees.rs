//! The host thread on described machines: cgroup v1, v2, both, rootless, Podman, hidden and namespaced procfs.

use std::path::Path;
use std::time::{Duration, Instant};

use midwatch::host::{
    HostConfig, HostHandle, HostLanes, HostTargets, Lookup, Processes, Procfs, Users, start,
};
use midwatch::lanes::{Slot, Waker};
use midwatch::model::{
    CgroupOwner, ContainerId, ContainerKey, HostId, HostReport, ProcSnapshot, Stamp, UsageSnapshot,
};

use crate::procfs::{Proc, Tree};

const A: &str = "ce82d94d69e1fbbc7feeb66930c69e9b96d9f151f594773e5d0e342741d15437";
const B: &str = "2fa3e04b676df750842faf017052dd37ea0cc5bc7259a3487a1718c7fe100c94";

pub fn key(id: &str) -> ContainerKey {
    ContainerKey {
        host: HostId(0),
        id: ContainerId::parse(id).unwrap(),
    }
}

/// The host thread and its lanes.
pub struct Running {
    pub handle: HostHandle,
    pub waker: Waker,
    usage: Slot<UsageSnapshot>,
    procs: Slot<ProcSnapshot>,
    report: Slot<HostReport>,
}

impl Running {
    pub fn new(procfs: &Path, sysfs: &Path, interval: Duration) -> Self {
        let waker = Waker::new();
        let lanes = HostLanes {
            usage: Slot::new(waker.clone()),
            procs: Slot::new(waker.clone()),
            report: Slot::new(waker.clone()),
        };
        let config = HostConfig {
            procfs: procfs.to_owned(),
            sysfs: sysfs.to_owned(),
            host: HostId(0),
            interval,
            head_start: Duration::ZERO,
        };
        Self {
            handle: start(config, lanes.clone()),
            waker,
            usage: lanes.usage,
            procs: lanes.procs,
            report: lanes.report,
        }
    }

    fn of(tree: &Tree) -> Self {
        Self::new(
            &tree.procfs(),
            &tree.path("sys"),
            Duration::from_millis(250),
        )
    }

    pub fn targets(&self, containers: &[(&str, u32)], gpu_pids: &[u32]) {
        self.handle.set_targets(HostTargets {
            containers: containers.iter().map(|(id, pid)| (key(id), *pid)).collect(),
            gpu_pids: gpu_pids.to_vec(),
        });
    }

    fn wait<T>(&self, what: &str, slot: &Slot<T>, good: impl Fn(&T) -> bool) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(value) = slot.take()
                && good(&value)
            {
                return value;
            }
            self.waker.wait(Some(Duration::from_millis(50)));
        }
        panic!("no {what} within 20 s");
    }

    pub fn usage(&self, what: &str, good: impl Fn(&UsageSnapshot) -> bool) -> UsageSnapshot {
        self.wait(what, &self.usage, good)
    }

    pub fn procs(&self, what: &str, good: impl Fn(&ProcSnapshot) -> bool) -> ProcSnapshot {
        self.wait(what, &self.procs, good)
    }
}

const V1: [&str; 5] = [
    "33 31 0:30 / /R/sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "35 31 0:32 / /R/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "38 31 0:35 / /R/sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio",
    "39 31 0:36 / /R/sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
    "41 31 0:38 / /R/sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
];

fn v1() -> Tree {
    V1.iter().fold(Tree::new(), |tree, line| tree.mount(line))
}

fn v2() -> Tree {
    Tree::new().mount("29 23 0:26 / /R/sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate")
}

fn v2_files(tree: &Tree, dir: &str) {
    for (name, content) in [
        ("cpu.stat", "usage_usec 1000\n"),
        ("memory.current", "5000\n"),
        ("memory.stat", "anon 1\ninactive_file 1000\n"),
        ("memory.max", "max\n"),
        ("memory.events", "oom 1\noom_kill 2\n"),
        ("io.stat", "8:0 rbytes=10 wbytes=20\n"),
        ("pids.current", "3\n"),
    ] {
        tree.file(&format!("{dir}/{name}"), content);
    }
}

#[test]
fn a_v1_machine() {
    let tree = v1();
    let path = format!("docker/{A}");
    for (name, content) in [
        ("cpu,cpuacct/D/cpuacct.usage", "1000000\n"),
        ("memory/D/memory.usage_in_bytes", "5000\n"),
        ("memory/D/memory.stat", "total_inactive_file 1000\n"),
        ("memory/D/memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory/D/memory.oom_control", "oom_kill 1\n"),
        (
            "blkio/D/blkio.throttle.io_service_bytes",
            "8:0 Read 10\n8:0 Write 20\n",
        ),
        ("pids/D/pids.current", "3\n"),
    ] {
        tree.file(
            &format!("sys/fs/cgroup/{}", name.replace('D', &path)),
            content,
        );
    }
    let lines = "8:pids:/D\n7:blkio:/D\n4:memory:/D\n2:cpu,cpuacct:/D\n0::/D\n".replace('D', &path);
    tree.process(&Proc {
        cgroup: &lines,
        ..Proc::default()
    });
    let running = Running::of(&tree);
    running.targets(&[(A, 100)], &[]);
    let first = running.usage("first sample", |u| !u.entries.is_empty());
    let usage = &first.entries[0];
    assert_eq!(first.local, [key(A)]);
    assert_eq!(usage.cpu_percent, None, "one reading says nothing of CPU");
    assert_eq!(usage.memory_used_bytes, Some(4000));
    assert_eq!(usage.memory_limit_bytes, Some(1_000_000 * 1024));
    assert_eq!(usage.block_read_bytes, Some(10));
    assert_eq!(usage.block_write_bytes, Some(20));
    assert_eq!(usage.pids, Some(3));
    assert_eq!(usage.oom_kills, Some(1));
    assert_eq!(usage.network_rx_bytes, Some(111));
    assert_eq!(usage.network_tx_bytes, Some(222));
    let report = running.wait("report", &running.report, |_| true);
    assert_eq!(report.hostname, "gpu-box-3");
    assert_eq!(report.cpus, 8);
    assert_eq!(report.load_1m, Some(1.5));
    assert_eq!(report.memory_used_bytes, Some(600_000 * 1024));
}

#[test]
fn v2_machines_of_docker_rootless_docker_and_podman() {
    for path in [
        "system.slice/docker-ID.scope",
        "user.slice/user-1000.slice/user@1000.service/app.slice/docker-ID.scope",
        "train.slice/docker-ID.scope",
        "docker/ID",
    ] {
        let path = path.replace("ID", A);
        let tree = v2();
        v2_files(&tree, &format!("sys/fs/cgroup/{path}"));
        tree.process(&Proc {
            cgroup: &format!("0::/{path}/init.scope\n"),
            ..Proc::default()
        });
        check_v2(&tree);
    }
    let path = format!("machine.slice/libpod-{A}.scope");
    let tree = v2();
    v2_files(&tree, &format!("sys/fs/cgroup/{path}"));
    tree.file(
        &format!("sys/fs/cgroup/{path}/container/cpu.stat"),
        "usage_usec 1\n",
    );
    tree.process(&Proc {
        cgroup: &format!("0::/{path}/container\n"),
        ..Proc::default()
    });
    check_v2(&tree);
}

fn check_v2(tree: &Tree) {
    let running = Running::of(tree);
    running.targets(&[(A, 100)], &[]);
    let usage = running.usage("sample", |u| !u.entries.is_empty());
    let usage = &usage.entries[0];
    assert_eq!(usage.memory_used_bytes, Some(4000));
    assert_eq!(usage.memory_limit_bytes, Some(1_000_000 * 1024));
    assert_eq!(
        (usage.block_read_bytes, usage.block_write_bytes),
        (Some(10), Some(20))
    );
    assert_eq!((usage.pids, usage.oom_kills), (Some(3), Some(2)));
}

#[test]
fn an_engine_in_v2_mode_on_a_v1_machine_has_null_for_what_stays_with_v1() {
    let tree = v1();
    // The machine's own numbers, which must not be taken for the container's.
    tree.file("sys/fs/cgroup/memory/memory.usage_in_bytes", "999\n");
    tree.file(
        "sys/fs/cgroup/memory/memory.stat",
        "total_inactive_file 0\n",
    );
    tree.file("sys/fs/cgroup/pids/pids.current", "999\n");
    tree.file(
        &format!("sys/fs/cgroup/unified/docker/{A}/cpu.stat"),
        "usage_usec 1000\n",
    );
    let lines = format!("8:pids:/\n7:blkio:/\n4:memory:/\n2:cpu,cpuacct:/\n0::/docker/{A}\n");
    tree.process(&Proc {
        cgroup: &lines,
        ..Proc::default()
    });
    let running = Running::of(&tree);
    running.targets(&[(A, 100)], &[]);
    let usage = running.usage("sample", |u| !u.entries.is_empty());
    let usage = &usage.entries[0];
    assert_eq!(usage.memory_used_bytes, None);
    assert_eq!(usage.memory_limit_bytes, None);
    assert_eq!(usage.pids, None);
    assert_eq!(usage.block_read_bytes, None);
    assert_eq!(usage.oom_kills, None);
    tree.file(
        &format!("sys/fs/cgroup/unified/docker/{A}/cpu.stat"),
        "usage_usec 100001000\n",
    );
    running.usage("CPU share", |u| {
        u.entries
            .first()
            .and_then(|e| e.cpu_percent)
            .is_some_and(|p| p > 1000.0)
    });
}

#[test]
fn locality_is_proven_by_the_full_id_and_proven_again_for_a_new_pid() {
    let tree = v2();
    let dir = format!("docker/{A}");
    v2_files(&tree, &format!("sys/fs/cgroup/{dir}"));
    let of = |pid, id: &str| {
        tree.process(&Proc {
            pid,
            cgroup: &format!("0::/docker/{id}\n"),
            ..Proc::default()
        });
    };
    of(100, A);
    // The engine is elsewhere, and its pid 200 happens to be another container here; 300 is nothing here.
    of(200, B);
    let short = "0".repeat(64);
    let running = Running::of(&tree);
    running.targets(&[(A, 100), (&short, 200)], &[]);
    let usage = running.usage("both", |u| !u.not_local.is_empty());
    assert_eq!(usage.local, [key(A)]);
    assert_eq!(usage.not_local, [key(&short)]);
    running.targets(&[(&short, 300)], &[]);
    // A round of before may still be on its way.
    running.usage("patience over", |u| {
        u.not_local == [key(&short)] && u.local.is_empty() && u.entries.is_empty()
    });
    // Restarted: another pid, proven anew, and CPU starts anew.
    running.targets(&[(A, 100)], &[]);
    running.usage("a share of CPU", |u| {
        u.entries.first().is_some_and(|e| e.cpu_percent.is_some())
    });
    of(101, A);
    tree.end(100);
    running.targets(&[(A, 101)], &[]);
    let usage = running.usage("the new run", |u| {
        u.entries.first().is_some_and(|e| e.cpu_percent.is_none())
    });
    assert_eq!(usage.local, [key(A)]);
}

#[test]
fn gpu_processes_are_resolved_at_once_and_followed() {
    let tree = v2();
    tree.process(&Proc {
        pid: 7,
        comm: "python",
        start: 99,
        cmdline: "python\0-c\0\u{1b}[31mx\0",
        cgroup: &format!("0::/docker/{A}/docker/{B}\n"),
        ..Proc::default()
    });
    tree.process(&Proc {
        pid: 8,
        cmdline: "",
        cgroup: "0::/user.slice/session-2.scope\n",
        ..Proc::default()
    });
    let running = Running::new(
        &tree.procfs(),
        &tree.path("sys"),
        Duration::from_millis(250),
    );
    running.targets(&[], &[7, 8, 9]);
    let procs = running.procs("command lines", |p| {
        p.get(7)
            .is_some_and(|i| i.command.as_deref() == Some("python -c x"))
            && p.get(8)
                .is_some_and(|i| i.command.as_deref() == Some("[python]"))
    });
    let inner = procs.get(7).unwrap();
    assert_eq!(inner.user.as_deref(), Some("root"));
    assert_eq!(inner.key.unwrap().start_ticks, 99);
    let CgroupOwner::Containers(nested) = &inner.owner else {
        panic!("{:?}", inner.owner)
    };
    let ids: Vec<String> = nested.iter().map(|c| c.id.to_string()).collect();
    assert_eq!(ids, [A, B], "outermost first");
    assert_eq!(procs.get(8).unwrap().owner, CgroupOwner::Host);
    assert_eq!(procs.get(9).unwrap().owner, CgroupOwner::Gone);
    // It moves to another cgroup: seen within a round.
    tree.file("proc/7/cgroup", &format!("0::/docker/{A}\n"));
    running.procs(
        "the move",
        |p| matches!(p.get(7).map(|i| &i.owner), Some(CgroupOwner::Containers(c)) if c.len() == 1),
    );
    // A pid that appears later is found by the next round.
    tree.process(&Proc {
        pid: 9,
        ..Proc::default()
    });
    running.procs("pid 9", |p| {
        p.get(9).is_some_and(|i| i.owner == CgroupOwner::Host)
    });
}

#[test]
fn hidepid_is_not_permitted_and_neither_gone_nor_the_host() {
    let tree =
        v2().mount("22 25 0:21 / /proc rw,nosuid shared:12 - proc proc rw,hidepid=invisible");
    tree.process(&Proc {
        pid: 7,
        ..Proc::default()
    });
    let mut procfs = Procfs::open_as(&tree.procfs(), false);
    assert_eq!(procfs.owner(7), CgroupOwner::Host);
    assert_eq!(procfs.owner(8), CgroupOwner::NotPermitted);
    let lookup = Lookup::new(&tree.procfs(), Waker::new());
    let mut processes = Processes::new(HostId(0), Users::new(Path::new("/etc/passwd")));
    assert!(processes.set(&[7, 8], &mut procfs, &lookup));
    let snapshot = processes.snapshot(&procfs, &lookup, Stamp::now());
    let hidden = snapshot.get(8).unwrap();
    assert_eq!(hidden.owner, CgroupOwner::NotPermitted);
    assert_eq!(
        (hidden.key, &hidden.user, &hidden.command),
        (None, &None, &None)
    );
    // Root is not bound by it.
    let mut procfs = Procfs::open_as(&tree.procfs(), true);
    assert_eq!(procfs.owner(8), CgroupOwner::Gone);
}

#[test]
fn a_pid_namespace_of_our_own_is_said_with_its_remedy() {
    let tree = Tree::namespace();
    tree.process(&Proc {
        pid: 7,
        ..Proc::default()
    });
    let running = Running::of(&tree);
    running.targets(&[(A, 7)], &[7]);
    let procs = running.procs("blindness", |p| {
        p.blind.is_some() && !p.processes.is_empty()
    });
    let blind = procs.blind.unwrap();
    assert!(blind.remedy.contains("--pid=host") && blind.remedy.contains("--procfs"));
    assert_eq!(procs.processes[0].owner, CgroupOwner::Hidden);
    let usage = running.usage("no proof", |u| !u.not_local.is_empty());
    assert!(usage.local.is_empty());

    // The host's procfs mounted into our container: we are there under the host's number.
    tree.own("NSpid:\t4242\t7\n", "pid:[4026532999]");
    assert_eq!(Procfs::open(&tree.procfs()).blind(), None);
    // The machine's own namespace, kernel threads hidden by hidepid.
    tree.own("NSpid:\t4242\n", "pid:[4026531836]");
    assert_eq!(Procfs::open(&tree.procfs()).blind(), None);
    // No procfs at all.
    let nowhere = Procfs::open(&tree.path("nowhere"));
    assert!(nowhere.blind().unwrap().why.contains("no procfs"));
    // A private cgroup namespace: what has our own path is our container, not the host.
    let tree = v2();
    tree.file("proc/1/cgroup", "0::/../../init.scope\n");
    tree.process(&Proc {
        pid: 7,
        cgroup: "0::/\n",
        ..Proc::default()
    });
    tree.process(&Proc {
        pid: 8,
        cgroup: &format!("0::/../docker-{A}.scope\n"),
        ..Proc::default()
    });
    let mut procfs = Procfs::open(&tree.procfs());
    assert_eq!(procfs.owner(7), CgroupOwner::Hidden);
    assert!(matches!(procfs.owner(8), CgroupOwner::Containers(_)));
    assert!(tree.root().exists());
}
