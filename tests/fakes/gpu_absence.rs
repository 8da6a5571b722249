//! Where NVML cannot be used the snapshot says what, why and the remedy, and it is seen when it comes back.

use std::fs;
use std::time::Duration;

use fake_nvml::Scenario;
use midwatch::gpu::{self, GpuConfig};
use midwatch::model::{DriverStatus, GpuSnapshot, Problem};

use crate::nvml::{FakeNvml, PATIENCE, Source};

fn problem(snapshot: &GpuSnapshot) -> &Problem {
    match &snapshot.driver {
        DriverStatus::Down(problem) => problem,
        other => panic!("{other:?}"),
    }
}

fn failing(code: u32) -> Scenario {
    let mut scenario = Scenario::h100(1);
    scenario.fail.insert("nvmlInit_v2".into(), code);
    scenario
}

fn is_up(snapshot: &GpuSnapshot) -> bool {
    matches!(snapshot.driver, DriverStatus::Up(_)) && snapshot.gpus.len() == 1
}

#[test]
fn without_a_library_it_says_so_and_sees_one_that_is_installed_later() {
    let fake = FakeNvml::new(&Scenario::h100(1));
    let later = fake.at("later.so");
    let config = GpuConfig {
        nvml_path: Some(later.clone()),
        ..fake.config()
    };
    let source = Source::start(config);
    let snapshot = source.wait("down", |s| matches!(s.driver, DriverStatus::Down(_)));
    let problem = problem(&snapshot);
    assert!(problem.why.contains("later.so"), "{problem}");
    assert!(problem.why.contains("not installed"), "{problem}");
    assert!(!problem.remedy.is_empty());
    fs::copy(fake.at("libnvidia-ml.so.1.toml"), fake.at("later.so.toml")).unwrap();
    fs::copy(&fake.path, fake.at("new")).unwrap();
    fs::rename(fake.at("new"), &later).unwrap();
    source.wait("up", is_up);
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let fake = FakeNvml::new(&Scenario::default());
    fs::write(fake.at("text"), "no ELF").unwrap();
    let config = GpuConfig {
        nvml_path: Some(fake.at("text")),
        ..fake.config()
    };
    let snapshot = gpu::sample_once(&config, PATIENCE);
    let problem = problem(&snapshot);
    assert!(problem.why.contains("text"), "{problem}");
    assert!(problem.remedy.contains("--nvml"), "{problem}");
}

#[test]
fn a_driver_that_is_not_loaded_is_seen_when_it_is() {
    let fake = FakeNvml::new(&failing(9));
    let source = fake.start();
    let snapshot = source.wait("down", |s| matches!(s.driver, DriverStatus::Down(_)));
    let problem = problem(&snapshot);
    assert!(problem.what.contains("not loaded"), "{problem}");
    assert!(snapshot.gpus.is_empty());
    fake.play(&Scenario::h100(1));
    source.wait("up", is_up);
}

#[test]
fn an_upgrade_under_the_running_module_names_its_version() {
    let fake = FakeNvml::new(&failing(18));
    fs::create_dir_all(fake.at("proc/driver/nvidia")).unwrap();
    fs::write(
        fake.at("proc/driver/nvidia/version"),
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n",
    )
    .unwrap();
    let snapshot = gpu::sample_once(&fake.config(), PATIENCE);
    let problem = problem(&snapshot);
    assert!(problem.why.contains("535.183.01"), "{problem}");
    assert!(problem.why.contains("running jobs go on"), "{problem}");
    assert!(problem.remedy.contains("reboot or reload"), "{problem}");
}

#[test]
fn no_permission_and_unknown_errors_have_their_own_words() {
    for (code, word) in [
        (4, "permission"),
        (999, "internal driver error"),
        (27, "27"),
    ] {
        let fake = FakeNvml::new(&failing(code));
        let snapshot = gpu::sample_once(&fake.config(), PATIENCE);
        let text = problem(&snapshot).to_string();
        assert!(text.contains(word), "{code}: {text}");
    }
}

#[test]
fn a_driver_without_gpus_is_up_with_a_notice() {
    let fake = FakeNvml::new(&Scenario::h100(0));
    let snapshot = gpu::sample_once(&fake.config(), PATIENCE);
    assert!(matches!(snapshot.driver, DriverStatus::Up(_)));
    assert!(snapshot.gpus.is_empty());
    let notice = snapshot.notice.unwrap();
    assert!(notice.why.contains("lists no GPU"), "{notice}");
    assert!(!notice.remedy.is_empty());
}

#[test]
fn a_hung_opening_is_told_and_waited_for() {
    let mut scenario = Scenario::h100(1);
    scenario.delay_ms.insert("nvmlInit_v2".into(), 45_000);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    assert!(matches!(source.next().driver, DriverStatus::Starting));
    let snapshot = source.wait("told", |s| matches!(s.driver, DriverStatus::Down(_)));
    assert!(problem(&snapshot).what.contains("does not answer"));
    let later = source.wait("goes on telling", |s| s.at != snapshot.at);
    assert!(later.at.since(snapshot.at) < Duration::from_secs(5));
    fake.play(&Scenario::h100(1));
    source.wait("up", is_up);
}
