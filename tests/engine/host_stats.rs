//! Statistics out of cgroup files against `docker stats`, on a real engine.

use std::io::BufRead;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use midwatch::host::{CgroupMounts, Containers, Procfs};
use midwatch::model::{CgroupOwner, ContainerUsage, Stamp};

use crate::host_docker::{Docker, Running as Container};
use crate::host_trees::{Running, key};

fn host() -> Running {
    Running::new(
        Path::new("/proc"),
        Path::new("/sys"),
        Duration::from_millis(500),
    )
}

/// What `docker stats` prints of one container.
#[derive(Debug, Clone)]
struct Said {
    cpu_percent: f64,
    memory_used: f64,
    memory_limit: f64,
    network: (f64, f64),
    block: (f64, f64),
    pids: u64,
}

const FORMAT: &str = "{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDs}}";

impl Said {
    /// One line; control sequences of the streaming form are skipped.
    fn parse(line: &str) -> Option<Self> {
        let mut pieces = line.split("\u{1b}[");
        let mut plain = pieces.next()?.to_owned();
        for piece in pieces {
            plain.push_str(
                piece
                    .trim_start_matches(|c: char| c.is_ascii_digit())
                    .get(1..)?,
            );
        }
        let parts: Vec<&str> = plain.trim().split('|').collect();
        let [cpu, memory, network, block, pids] = parts.as_slice() else {
            return None;
        };
        let pair = |text: &str| {
            let (a, b) = text.split_once(" / ")?;
            Some((size(a)?, size(b)?))
        };
        let (memory_used, memory_limit) = pair(memory)?;
        Some(Self {
            cpu_percent: cpu.trim_end_matches('%').parse().ok()?,
            memory_used,
            memory_limit,
            network: pair(network)?,
            block: pair(block)?,
            pids: pids.parse().ok()?,
        })
    }
}

/// `12.3MiB`, `4.5kB`.
fn size(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.trim().split_at(at);
    let factor = match unit {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

fn once(docker: &Docker, container: &Container) -> Said {
    let line = docker.ask(&["stats", "--no-stream", "--format", FORMAT, &container.id]);
    Said::parse(&line).unwrap_or_else(|| panic!("{line:?}"))
}

#[track_caller]
fn agree(what: &str, ours: f64, theirs: f64) {
    println!("{what}: ours {ours:.2}, docker stats {theirs:.2}");
    let apart = (ours - theirs).abs() / theirs.max(1.0);
    assert!(apart <= 0.05, "{what}: ours {ours}, docker stats {theirs}");
}

/// The newest usage of the container for which `good` holds.
fn usage(
    running: &Running,
    container: &Container,
    good: impl Fn(&ContainerUsage) -> bool,
) -> ContainerUsage {
    let wanted = key(&container.id);
    let found = |u: &midwatch::model::UsageSnapshot| {
        u.entries
            .iter()
            .find(|e| e.key == wanted)
            .filter(|e| good(e))
            .cloned()
    };
    let snapshot = running.usage("usage", |u| found(u).is_some());
    found(&snapshot).unwrap()
}

struct Streaming(Child);

impl Drop for Streaming {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Means of the same ten seconds by `docker stats` and by us.
fn cpu_means(docker: &Docker, busy: &Container) -> (f64, f64) {
    let running = host();
    running.targets(&[(&busy.id, busy.pid)], &[]);
    let percent = || {
        usage(&running, busy, |u| u.cpu_percent.is_some())
            .cpu_percent
            .unwrap()
    };
    let mut child = docker
        .command(&["stats", "--format", FORMAT, &busy.id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let _stop = Streaming(child);
    let (send, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for said in lines.map_while(Result::ok).filter_map(|l| Said::parse(&l)) {
            if send.send(said.cpu_percent).is_err() {
                return;
            }
        }
    });
    // Its first lines are zero; each value is printed several times.
    while said.recv_timeout(Duration::from_secs(20)).unwrap() == 0.0 {}
    percent();
    let ours: Vec<f64> = (0..20).map(|_| percent()).collect();
    let theirs: Vec<f64> = said.try_iter().collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(theirs.len() >= 5, "{theirs:?}");
    (mean(&ours), mean(&theirs))
}

#[test]
fn cpu_agrees_with_docker_stats_on_a_steady_load() {
    let Some(docker) = Docker::find() else { return };
    let busy = docker.run("host-cpu", &["--cpus=0.2"], "while :; do :; done");
    // A machine under other load does not keep the load steady: up to six windows.
    const WINDOWS: u32 = 6;
    for window in 1..=WINDOWS {
        let (ours, theirs) = cpu_means(&docker, &busy);
        println!("window {window}: ours {ours:.2}, docker stats {theirs:.2}");
        if window == WINDOWS || (ours - theirs).abs() / theirs <= 0.05 {
            agree("CPU percent", ours, theirs);
            break;
        }
    }
}

/// The whole disk whose sizes the kernel lists first; empty where there is none.
fn first_disk() -> String {
    let mut disks: Vec<String> = std::fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with("loop") && !name.starts_with("ram"))
        .filter(|name| Path::new("/dev").join(name).exists())
        .collect();
    disks.sort();
    disks
        .first()
        .map(|name| format!("/dev/{name}"))
        .unwrap_or_default()
}

#[test]
fn memory_pids_and_block_io_agree_with_docker_stats() {
    let Some(docker) = Docker::find() else { return };
    // Linux 6.10 and newer count block I/O in cgroup v1 only where a limit is set.
    let disk = first_disk();
    let (read, write) = (
        format!("--device-read-bps={disk}:1gb"),
        format!("--device-write-bps={disk}:1gb"),
    );
    let mut options = vec!["--memory=256m", "--tmpfs=/held:size=128m"];
    if !disk.is_empty() {
        options.extend([read.as_str(), write.as_str()]);
    }
    // 48 MiB that count (tmpfs), 24 MiB of file cache read once, which does not.
    let holder = docker.run(
        "host-memory",
        &options,
        "dd if=/dev/zero of=/held/a bs=1M count=48 2>/dev/null; \
         dd if=/dev/zero of=/file bs=1M count=24 conv=fsync 2>/dev/null; \
         busybox dd if=/file of=/dev/null bs=1M iflag=direct 2>/dev/null; \
         sleep 300 & sleep 300 & echo ready; wait",
    );
    holder.says("ready");
    let running = host();
    running.targets(&[(&holder.id, holder.pid)], &[]);
    let said = once(&docker, &holder);
    let ours = usage(&running, &holder, |u| u.cpu_percent.is_some());
    agree(
        "memory",
        ours.memory_used_bytes.unwrap() as f64,
        said.memory_used,
    );
    agree(
        "memory limit",
        ours.memory_limit_bytes.unwrap() as f64,
        said.memory_limit,
    );
    assert!(
        said.memory_used > 48e6 && said.memory_used < 70e6,
        "{said:?}"
    );
    assert_eq!(ours.pids, Some(said.pids));
    assert_eq!(said.pids, 3);
    agree(
        "block read",
        ours.block_read_bytes.unwrap() as f64,
        said.block.0,
    );
    agree(
        "block written",
        ours.block_write_bytes.unwrap() as f64,
        said.block.1,
    );
    assert!(said.block.0 > 20e6 && said.block.1 > 20e6, "{said:?}");
    assert_eq!(ours.oom_kills, Some(0));
    // No network but loopback: nothing was sent, and that is known.
    assert_eq!(ours.network_rx_bytes, Some(0));
    assert_eq!(ours.network_tx_bytes, Some(0));
}

#[test]
fn network_agrees_with_docker_stats() {
    let Some(docker) = Docker::find() else { return };
    let _ = docker.try_ask(&["network", "rm", "host-net"]);
    docker.ask(&["network", "create", "host-net"]);
    struct Net(Docker);
    impl Drop for Net {
        fn drop(&mut self) {
            let _ = self.0.try_ask(&["network", "rm", "host-net"]);
        }
    }
    let _net = Net(docker.clone());
    let server = docker.run(
        "host-server",
        &["--network=host-net"],
        "sleep 4 | busybox nc -l -p 9000 >/dev/null; echo received; sleep 300",
    );
    let address = docker.ask(&[
        "inspect",
        "-f",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        &server.id,
    ]);
    let client = docker.run(
        "host-client",
        &["--network=host-net"],
        &format!(
            "sleep 1; dd if=/dev/zero bs=1M count=8 | busybox nc {address} 9000; echo sent; sleep 300"
        ),
    );
    server.says("received");
    client.says("sent");
    let running = host();
    running.targets(&[(&server.id, server.pid), (&client.id, client.pid)], &[]);
    for container in [&server, &client] {
        let said = once(&docker, container);
        let ours = usage(&running, container, |u| u.cpu_percent.is_some());
        agree(
            "received",
            ours.network_rx_bytes.unwrap() as f64,
            said.network.0,
        );
        agree(
            "sent",
            ours.network_tx_bytes.unwrap() as f64,
            said.network.1,
        );
        assert!(said.network.0.max(said.network.1) > 8e6, "{said:?}");
    }
}

#[test]
fn a_process_killed_for_memory_in_a_living_container_is_counted() {
    let Some(docker) = Docker::find() else { return };
    let container = docker.run(
        "host-oom",
        &["--memory=32m", "--memory-swap=32m"],
        "sleep 1; tail /dev/zero; echo lost a worker; sleep 300",
    );
    let running = host();
    running.targets(&[(&container.id, container.pid)], &[]);
    let before = usage(&running, &container, |_| true);
    assert_eq!(before.oom_kills, Some(0));
    let after = usage(&running, &container, |u| u.oom_kills != Some(0));
    assert_eq!(after.oom_kills, Some(1));
    container.says("lost a worker");
    let state = docker.ask(&["inspect", "-f", "{{.State.Running}}", &container.id]);
    assert_eq!(state, "true", "its main process lives");
}

#[test]
fn locality_and_owner_follow_a_real_container_through_its_restart_and_end() {
    let Some(docker) = Docker::find() else { return };
    let container = docker.run(
        "host-local",
        &[],
        "trap 'exit 0' TERM; while :; do sleep 0.1; done",
    );
    let stranger = docker.run("host-stranger", &[], "sleep 300");
    let running = host();
    // The pid of one under the id of the other: it is another container's process, so it proves nothing.
    let absent = "f".repeat(64);
    running.targets(
        &[(&container.id, container.pid), (&absent, stranger.pid)],
        &[container.pid, std::process::id()],
    );
    let snapshot = running.usage("proof", |u| !u.entries.is_empty());
    assert_eq!(snapshot.local, [key(&container.id)]);
    assert_eq!(snapshot.not_local, [key(&absent)]);
    let procs = running.procs("command", |p| {
        p.get(container.pid).is_some_and(|i| {
            i.command
                .as_deref()
                .is_some_and(|c| c.starts_with("sh -c trap"))
        })
    });
    let info = procs.get(container.pid).unwrap();
    let CgroupOwner::Containers(nested) = &info.owner else {
        panic!("{:?}", info.owner)
    };
    assert_eq!(nested.last().unwrap().id, key(&container.id).id);
    assert_eq!(
        procs.get(std::process::id()).unwrap().owner,
        CgroupOwner::Host
    );

    docker.ask(&["restart", "-t", "5", &container.id]);
    let ended = running.procs("its end", |p| {
        p.get(container.pid)
            .is_some_and(|i| i.owner == CgroupOwner::Gone)
    });
    assert_eq!(ended.get(container.pid).unwrap().key, None);
    running.usage("silence", |u| u.entries.is_empty() && u.local.is_empty());
    let pid = docker.ask(&["inspect", "-f", "{{.State.Pid}}", &container.id]);
    running.targets(&[(&container.id, pid.parse().unwrap())], &[]);
    running.usage("the new run", |u| {
        u.local == [key(&container.id)] && !u.entries.is_empty()
    });
}

/// CPU time of this thread, nanoseconds.
fn thread_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_ascii_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_cost_of_a_round_is_printed() {
    let Some(docker) = Docker::find() else { return };
    const CONTAINERS: usize = 5;
    // Enough that the scheduler, which accounts by ticks, tells the truth.
    const ROUNDS: u64 = 4000;
    // They print, so that no round can take over what a sleeping container had.
    let containers: Vec<Container> = (0..CONTAINERS)
        .map(|n| {
            docker.run(
                &format!("host-cost{n}"),
                &[],
                "while :; do echo x; sleep 0.01; done",
            )
        })
        .collect();
    let targets: Vec<_> = containers.iter().map(|c| (key(&c.id), c.pid)).collect();
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut procfs = Procfs::open(Path::new("/proc"));
    for (name, descriptors) in [("kept open", 4096), ("opened each time", 0)] {
        let mut all = Containers::new(CgroupMounts::parse(&mountinfo), None, descriptors);
        all.set(&targets, Stamp::now());
        let mut round = |only_new| {
            all.round(&mut procfs, Stamp::now(), Duration::from_secs(1), only_new)
                .entries
                .len()
        };
        assert_eq!(round(true), CONTAINERS);
        let begin = thread_cpu();
        for _ in 0..ROUNDS {
            assert_eq!(round(false), CONTAINERS);
        }
        let each = (thread_cpu() - begin) / ROUNDS / CONTAINERS as u64;
        println!(
            "descriptors {name}: {} ns a container, {:.3} ms a round of 50, {:.4} % of a core at 1 s",
            each,
            each as f64 * 50.0 / 1e6,
            each as f64 * 50.0 / 1e9 * 100.0
        );
    }
}
