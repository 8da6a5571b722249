//! The traps of single metrics (facts: NVML's header, issues of the peers).

use fake_nvml::{Gpu, Process, Sample, Scenario};
use midwatch::gpu;
use midwatch::model::{GpuSnapshot, GpuState, ProcessKind, ThrottleReasons};

use crate::nvml::{FakeNvml, PATIENCE};

fn now_micros() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_micros() as u64
}

fn one(gpu: Gpu) -> Scenario {
    Scenario {
        gpus: vec![gpu],
        ..Scenario::h100(0)
    }
}

fn sample(scenario: &Scenario) -> GpuSnapshot {
    gpu::sample_once(&FakeNvml::new(scenario).config(), PATIENCE)
}

fn busy(snapshot: &GpuSnapshot, pid: u32) -> Option<u32> {
    let mut found = snapshot.processes.iter().filter(|p| p.pid == pid);
    let percent = found.next().unwrap().sm_percent;
    assert!(found.next().is_none(), "{pid} is listed twice");
    percent
}

#[test]
fn a_gpu_that_supports_nothing_is_ok_with_nothing() {
    let bare = Gpu::bare("GPU-bare", "00000000:01:00.0");
    let snapshot = sample(&one(bare));
    let gpu = &snapshot.gpus[0];
    assert_eq!(gpu.state, GpuState::Ok);
    assert_eq!(gpu.key.uuid.as_str(), "GPU-bare");
    assert!(gpu.memory.is_none() && gpu.gpu_percent.is_none() && gpu.power_watts.is_none());
    assert!(gpu.ecc.is_none() && gpu.remapped_rows.is_none() && gpu.mig_mode.is_none());
    assert!(gpu.pcie == midwatch::model::Pcie::default());
    assert!(gpu.unified_memory, "no framebuffer of its own");
    assert!(snapshot.xid_note.unwrap().contains("kmsg"));
}

#[test]
fn memory_that_is_not_available_is_none_and_zero_total_is_unified() {
    let mut gpu = Gpu::h100(0);
    gpu.memory_total = Some(0);
    gpu.processes.push(Process {
        pid: 7,
        memory: None,
        ..Process::default()
    });
    let snapshot = sample(&one(gpu));
    assert_eq!(snapshot.processes[0].memory_used_bytes, None);
    assert_eq!(snapshot.gpus[0].memory, None);
    assert!(snapshot.gpus[0].unified_memory);
}

#[test]
fn idle_processes_are_at_zero_and_samples_are_clamped_and_newest() {
    let now = now_micros();
    let mut gpu = Gpu::h100(0);
    let samples = |list: &[(u64, u32)]| Process {
        sm: None,
        samples: list
            .iter()
            .map(|(at, sm)| Sample { at: *at, sm: *sm })
            .collect(),
        ..Process::compute(10, 1, 0)
    };
    gpu.processes.push(Process::compute(9, 1, 0));
    // In the future, so that they are newer than whatever was asked last; the newest is not the last one.
    gpu.processes.push(samples(&[
        (now + 400_000, 30),
        (now + 900_000, 50),
        (now + 500_000, 20),
    ]));
    gpu.processes.push(Process {
        pid: 11,
        ..samples(&[(now + 800_000, 150)])
    });
    // Old samples of a process that came and went.
    gpu.processes.push(Process {
        pid: 12,
        ..samples(&[(now - 60_000_000, 99)])
    });
    let snapshot = sample(&one(gpu));
    assert_eq!(busy(&snapshot, 9), Some(0));
    assert_eq!(busy(&snapshot, 10), Some(50));
    assert_eq!(busy(&snapshot, 11), Some(100));
    assert_eq!(busy(&snapshot, 12), Some(0));
}

#[test]
fn a_clock_that_was_put_back_does_not_hide_utilization_for_ever() {
    let mut scenario = Scenario::h100(1);
    let sample = Sample {
        at: now_micros() + 3_600_000_000,
        sm: 70,
    };
    scenario.gpus[0].processes = vec![Process {
        samples: vec![sample],
        sm: None,
        ..Process::compute(5, 1, 0)
    }];
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("a sample of the future", |s| {
        s.processes.first().and_then(|p| p.sm_percent) == Some(70)
    });
    scenario.gpus[0].processes = vec![Process::compute(5, 1, 33)];
    fake.play(&scenario);
    source.wait("one of the present", |s| {
        s.processes.first().and_then(|p| p.sm_percent) == Some(33)
    });
}

#[test]
fn a_process_that_computes_and_draws_is_one() {
    let mut gpu = Gpu::h100(0);
    for (pid, kind) in [(1, "C"), (2, "G"), (3, "C+G")] {
        gpu.processes.push(Process {
            kind: kind.into(),
            ..Process::compute(pid, 1 << 20, 1)
        });
    }
    let snapshot = sample(&one(gpu));
    let kinds: Vec<_> = snapshot.processes.iter().map(|p| (p.pid, p.kind)).collect();
    assert_eq!(
        kinds,
        [
            (1, ProcessKind::Compute),
            (2, ProcessKind::Graphics),
            (3, ProcessKind::ComputeAndGraphics),
        ]
    );
    assert_eq!(snapshot.processes[2].memory_used_bytes, Some(1 << 20));
}

#[test]
fn lists_longer_than_the_buffer_are_read_whole() {
    let mut gpu = Gpu::h100(0);
    gpu.processes = (1..=500)
        .map(|pid| Process::compute(pid, 4096, 1))
        .collect();
    let snapshot = sample(&one(gpu));
    assert_eq!(snapshot.processes.len(), 500);
    assert!(snapshot.processes.iter().all(|p| p.sm_percent == Some(1)));
}

#[test]
fn unnamed_throttle_bits_and_fans_over_100_percent_pass() {
    let mut gpu = Gpu::h100(0);
    gpu.throttle = Some(0x244);
    gpu.fan = Some(120);
    gpu.power_mw = Some(70_000);
    gpu.gpu_percent = Some(100);
    let snapshot = sample(&one(gpu));
    let gpu = &snapshot.gpus[0];
    assert_eq!(gpu.throttle_reasons, Some(ThrottleReasons(0x244)));
    assert_eq!(gpu.fan_percent, Some(120));
    assert_eq!((gpu.gpu_percent, gpu.power_watts), (Some(100), Some(70.0)));
}

/// What R470 does not export, of what we call (facts: the real libraries' symbols).
const NOT_IN_470: [&str; 4] = [
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetGraphicsRunningProcesses_v3",
    "nvmlDeviceGetNumFans",
];

#[test]
fn an_old_driver_gives_memory_and_processes_by_its_own_calls() {
    let mut scenario = Scenario::h100(1);
    scenario.driver = Some("470.256.02".into());
    scenario.gpus[0].processes = vec![Process::compute(5, 1 << 30, 12)];
    for missing in [
        NOT_IN_470.to_vec(),
        [
            NOT_IN_470.to_vec(),
            vec![
                "nvmlDeviceGetComputeRunningProcesses_v2",
                "nvmlDeviceGetGraphicsRunningProcesses_v2",
            ],
        ]
        .concat(),
    ] {
        let fake = FakeNvml::without_symbols(&scenario, &missing);
        let snapshot = gpu::sample_once(&fake.config(), PATIENCE);
        let memory = snapshot.gpus[0].memory.unwrap();
        assert_eq!(memory.reserved_bytes, None);
        assert_eq!(
            memory.used_bytes,
            (61_000 + 479) << 20,
            "v1 counts reserved in"
        );
        assert!(!snapshot.gpus[0].unified_memory);
        assert_eq!(busy(&snapshot, 5), Some(12));
        assert_eq!(snapshot.processes[0].memory_used_bytes, Some(1 << 30));
    }
}

#[test]
fn entries_wider_than_the_header_says_are_not_believed() {
    let mut scenario = Scenario::h100(1);
    scenario.wide_processes = true;
    scenario.gpus[0].processes = (1..=100)
        .map(|n| Process::compute(n * 7, u64::from(n) << 20, 3))
        .collect();
    // Known to be so by its number, and found out by what it says.
    for driver in ["535.54.03", "550.127.08"] {
        scenario.driver = Some(driver.into());
        let snapshot = sample(&scenario);
        assert_eq!(snapshot.processes.len(), 100, "{driver}");
        for (at, process) in snapshot.processes.iter().enumerate() {
            let n = at as u32 + 1;
            assert_eq!(process.pid, n * 7, "{driver}");
            assert_eq!(
                process.memory_used_bytes,
                Some(u64::from(n) << 20),
                "{driver}"
            );
        }
    }
}

#[test]
fn what_is_not_supported_is_asked_once_and_pcie_throughput_never() {
    let mut scenario = one(Gpu::bare("GPU-bare", "00000000:01:00.0"));
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    scenario.trace = Some(trace.to_str().unwrap().to_owned());
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    let calls = |name: &str| {
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        text.lines()
            .filter(|l| l.split_whitespace().next() == Some(name))
            .count()
    };
    source.wait("ten rounds", |_| {
        calls("nvmlDeviceGetComputeRunningProcesses_v3") >= 10
    });
    for name in [
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetTotalEccErrors",
    ] {
        assert!(calls(name) <= 2, "{name}: {}", calls(name));
    }
    let text = std::fs::read_to_string(&trace).unwrap();
    assert!(!text.contains("PcieThroughput"));
}
