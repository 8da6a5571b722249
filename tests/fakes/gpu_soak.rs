//! Ten thousand rounds leave nothing behind. Runs in a process of its own: other tests would be counted in.

use std::time::{Duration, Instant};

use fake_nvml::{Process, Scenario};
use midwatch::gpu::GpuConfig;

use crate::nvml::{FakeNvml, Source};

/// Rounds, each of 8 GPUs.
const ROUNDS: usize = 10_000;

struct Footprint {
    descriptors: usize,
    threads: usize,
    resident_kib: u64,
    cpu: Duration,
}

fn footprint() -> Footprint {
    let count = |dir: &str| std::fs::read_dir(dir).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // utime and stime, in ticks of 10 ms.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Footprint {
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        resident_kib: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
        cpu: Duration::from_millis(ticks * 10),
    }
}

#[test]
fn ten_thousand_rounds_leave_nothing_behind() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "gpu_soak::child", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    println!("{text}");
    assert!(
        child.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child() {
    let mut scenario = Scenario::h100(8);
    for (at, gpu) in scenario.gpus.iter_mut().enumerate() {
        gpu.processes = vec![Process::compute(1_000 + at as u32, 1 << 30, 50)];
    }
    let fake = FakeNvml::new(&scenario);
    std::fs::write(fake.at("kmsg"), "").unwrap();
    let source = Source::start(GpuConfig {
        interval: Duration::from_micros(500),
        // Of a thousand rounds a hundred ask the slow metrics, too.
        slow_interval: Duration::from_millis(10),
        ..fake.config()
    });
    let rounds = |count: usize| {
        let begin = Instant::now();
        for _ in 0..count {
            let snapshot = source.next();
            assert!(begin.elapsed() < Duration::from_secs(300));
            drop(snapshot);
        }
    };
    source.wait("eight", |s| s.gpus.len() == 8);
    rounds(500);
    let before = footprint();
    rounds(ROUNDS);
    let after = footprint();
    println!(
        "{ROUNDS} rounds of 8 GPUs: {:?} of CPU a round; descriptors {} -> {}, threads {} -> {}, resident {} -> {} KiB",
        (after.cpu - before.cpu) / ROUNDS as u32,
        before.descriptors,
        after.descriptors,
        before.threads,
        after.threads,
        before.resident_kib,
        after.resident_kib,
    );
    assert!(after.descriptors <= before.descriptors);
    assert!(after.threads <= before.threads);
    assert!(after.resident_kib <= before.resident_kib + 512);
}
