//! Lost, hung, forbidden and sleeping GPUs: each shows as that, and the others go on.

use std::fs;

use fake_nvml::{Gpu, Process, Scenario};
use midwatch::model::{DriverStatus, GpuSnapshot, GpuState};

use crate::nvml::{FakeNvml, gpu};

fn uuid(index: usize) -> String {
    Gpu::h100(index).uuid
}

fn all_ok(snapshot: &GpuSnapshot, count: usize) -> bool {
    snapshot.gpus.len() == count && snapshot.gpus.iter().all(|g| g.state == GpuState::Ok)
}

#[test]
fn a_gpu_that_is_lost_and_comes_back() {
    let mut scenario = Scenario::h100(8);
    scenario.gpus[2].processes = vec![Process::compute(77, 1 << 30, 90)];
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("eight", |s| all_ok(s, 8));
    scenario.gpus[2].lost = true;
    fake.play(&scenario);
    let snapshot = source.wait("lost", |s| {
        matches!(gpu(s, &uuid(2)).state, GpuState::Lost(_))
    });
    let lost = gpu(&snapshot, &uuid(2));
    assert_eq!(&*lost.name, "NVIDIA H100 80GB HBM3");
    assert_eq!(
        (lost.gpu_percent, lost.memory, lost.power_watts),
        (None, None, None)
    );
    assert!(snapshot.processes.is_empty());
    assert_eq!(snapshot.gpus.len(), 8);
    // It stays lost over new openings of NVML, under its own UUID.
    let later = source.wait("the others go on", |s| {
        s.gpus.len() == 8
            && s.gpus.iter().filter(|g| g.state == GpuState::Ok).count() == 7
            && s.at.since(snapshot.at) > std::time::Duration::from_millis(800)
    });
    assert!(
        matches!(later.gpus[2].state, GpuState::Lost(_)),
        "{later:#?}"
    );
    // A new session is not told its UUID; it is the one that was there all the same.
    assert_eq!(later.gpus[2].key.uuid.as_str(), uuid(2));
    assert_eq!(later.gpus[2].index, Some(2));
    scenario.gpus[2].lost = false;
    fake.play(&scenario);
    let back = source.wait("back", |s| all_ok(s, 8));
    assert_eq!(back.gpus[2].gpu_percent, Some(92));
    assert_eq!(back.processes.len(), 1);
}

#[test]
fn a_gpu_that_nvml_no_longer_lists_stays_as_lost() {
    let mut scenario = Scenario::h100(4);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("four", |s| all_ok(s, 4));
    scenario.gpus[1].hidden = true;
    fake.play(&scenario);
    let snapshot = source.wait("lost", |s| {
        s.gpus.len() == 4 && matches!(gpu(s, &uuid(1)).state, GpuState::Lost(_))
    });
    assert_eq!(snapshot.gpus[1].key.uuid.as_str(), uuid(1), "in its place");
    assert_eq!(snapshot.gpus[1].index, None);
    let indices: Vec<_> = snapshot.gpus.iter().map(|g| g.index).collect();
    assert_eq!(indices, [Some(0), None, Some(1), Some(2)]);
    scenario.gpus[1].hidden = false;
    fake.play(&scenario);
    source.wait("back", |s| all_ok(s, 4));
}

#[test]
fn a_gpu_missing_from_the_start_is_found_on_the_bus_and_in_procfs() {
    let mut scenario = Scenario::h100(3);
    scenario.gpus.remove(1);
    let fake = FakeNvml::new(&scenario);
    for bus in ["17", "1f", "27"] {
        let device = fake.at(&format!("sys/bus/pci/devices/0000:{bus}:00.0"));
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("vendor"), "0x10de\n").unwrap();
        fs::write(device.join("class"), "0x030200\n").unwrap();
        std::os::unix::fs::symlink("/drivers/nvidia", device.join("driver")).unwrap();
        let information = fake.at(&format!("proc/driver/nvidia/gpus/0000:{bus}:00.0"));
        fs::create_dir_all(&information).unwrap();
        let text = format!(
            "Model: \t\t NVIDIA H100 80GB HBM3\nGPU UUID: \t GPU-lost-{bus}\nBus Location: \t 0000:{bus}:00.0\n"
        );
        fs::write(information.join("information"), text).unwrap();
    }
    let source = fake.start();
    let snapshot = source.wait("three", |s| s.gpus.len() == 3);
    let lost = &snapshot.gpus[1];
    assert_eq!(lost.key.uuid.as_str(), "GPU-lost-1f");
    assert_eq!(&*lost.name, "NVIDIA H100 80GB HBM3");
    let GpuState::Lost(why) = &lost.state else {
        panic!("{:?}", lost.state)
    };
    assert!(why.contains("NVML does not list it"), "{why}");
    assert_eq!(lost.index, None);
}

#[test]
fn one_gpu_of_eight_without_permission() {
    let mut scenario = Scenario::h100(8);
    scenario.gpus[5].fail.insert("*".into(), 4);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    let snapshot = source.wait("eight", |s| s.gpus.len() == 8);
    for gpu in &snapshot.gpus {
        match gpu.index {
            Some(5) => assert!(
                matches!(&gpu.state, GpuState::Error(text) if text.contains("permission")),
                "{:?}",
                gpu.state
            ),
            _ => assert_eq!(gpu.state, GpuState::Ok),
        }
    }
}

#[test]
fn errors_of_the_whole_gpu_are_told_and_mended_and_those_of_one_metric_are_not() {
    let mut scenario = Scenario::h100(2);
    scenario.gpus[1]
        .fail
        .insert("nvmlDeviceGetPowerUsage".into(), 999);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    let snapshot = source.wait("two", |s| all_ok(s, 2));
    assert_eq!(snapshot.gpus[1].power_watts, None);
    assert_eq!(snapshot.gpus[1].gpu_percent, Some(0));
    scenario.gpus[1].fail.clear();
    fake.play(&scenario);
    source.wait("power is back", |s| s.gpus[1].power_watts == Some(69.0));
    for (code, word) in [(999, "unknown error"), (16, "reset"), (17, "cgroup")] {
        scenario.gpus[1].fail.insert("*".into(), code);
        fake.play(&scenario);
        source.wait(word, |s| {
            s.gpus.len() == 2
                && s.gpus[0].state == GpuState::Ok
                && matches!(&s.gpus[1].state, GpuState::Error(text) if text.contains(word))
        });
    }
    scenario.gpus[1].fail.clear();
    fake.play(&scenario);
    source.wait("both again", |s| all_ok(s, 2));
}

#[test]
fn a_call_that_hangs_holds_up_its_gpu_alone() {
    let mut scenario = Scenario::h100(8);
    scenario.gpus[3].processes = vec![Process::compute(33, 1 << 30, 10)];
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    let before = source.wait("eight", |s| all_ok(s, 8) && s.processes.len() == 1);
    let hang = ("nvmlDeviceGetTemperature".to_owned(), 45_000);
    scenario.gpus[3].delay_ms.extend([hang]);
    fake.play(&scenario);
    let stuck = source.wait("stuck", |s| s.gpus[3].state == GpuState::Stuck);
    assert_eq!(stuck.gpus[3].key, before.gpus[3].key);
    assert!(
        stuck.gpus[3].power_watts.is_some(),
        "old numbers stay, with their age"
    );
    assert_eq!(stuck.processes.len(), 1);
    let later = source.wait("the others go on", |s| {
        s.gpus[0].sampled.since(stuck.gpus[0].sampled) > fake.config().interval * 5
    });
    assert_eq!(later.gpus[3].state, GpuState::Stuck);
    assert_eq!(later.gpus[3].sampled, stuck.gpus[3].sampled);
    let others = later.gpus.iter().filter(|g| g.state == GpuState::Ok);
    assert_eq!(others.count(), 7);
    scenario.gpus[3].delay_ms.clear();
    fake.play(&scenario);
    source.wait("it comes back", |s| {
        all_ok(s, 8) && s.gpus[3].sampled.since(later.gpus[3].sampled) > fake.config().interval
    });
}

#[test]
fn a_gpu_that_hangs_from_the_start_and_then_all_of_them() {
    let mut scenario = Scenario::h100(3);
    let hang = |gpu: &mut Gpu| gpu.delay_ms.extend([("*".to_owned(), 45_000)]);
    hang(&mut scenario.gpus[1]);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("two of three", |s| {
        s.gpus.len() == 3
            && s.gpus[0].state == GpuState::Ok
            && s.gpus[1].state == GpuState::Stuck
            && s.gpus[2].state == GpuState::Ok
    });
    scenario.gpus.iter_mut().for_each(hang);
    fake.play(&scenario);
    let all = source.wait("none of three", |s| {
        s.gpus.iter().all(|g| g.state == GpuState::Stuck)
    });
    let later = source.wait("snapshots still come", |s| {
        s.at.since(all.at) > fake.config().interval * 3
    });
    assert!(matches!(later.driver, DriverStatus::Up(_)));
    scenario.gpus.iter_mut().for_each(|g| g.delay_ms.clear());
    fake.play(&scenario);
    source.wait("all of three", |s| all_ok(s, 3));
}

#[test]
fn a_sleeping_gpu_is_not_woken() {
    let mut scenario = Scenario::h100(1);
    let fake = FakeNvml::new(&scenario);
    let trace = fake.at("trace");
    scenario.trace = Some(trace.to_str().unwrap().to_owned());
    fake.play(&scenario);
    let device = fake.at("sys/bus/pci/devices/0000:17:00.0");
    fs::create_dir_all(device.join("power")).unwrap();
    fs::write(device.join("vendor"), "0x10de\n").unwrap();
    fs::write(device.join("class"), "0x030000\n").unwrap();
    fs::write(device.join("power/control"), "auto\n").unwrap();
    fs::write(device.join("power/runtime_status"), "suspended\n").unwrap();
    let source = fake.start();
    let snapshot = source.wait("asleep", |s| s.gpus.len() == 1);
    assert!(
        matches!(&snapshot.gpus[0].state, GpuState::Error(text) if text.starts_with("asleep")),
        "{:?}",
        snapshot.gpus[0].state
    );
    source.wait("still", |s| {
        s.at.since(snapshot.at) > fake.config().interval * 5
    });
    let calls = fs::read_to_string(&trace).unwrap();
    assert!(
        !calls.contains("nvmlDevice") || !calls.contains("Handle"),
        "{calls}"
    );
    fs::write(device.join("power/runtime_status"), "active\n").unwrap();
    source.wait("awake", |s| all_ok(s, 1));
}
