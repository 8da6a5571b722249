//! NVML is really let go of, and taken again from the file that is there then.

use fake_nvml::Scenario;
use midwatch::model::{DriverStatus, GpuState};

use crate::nvml::FakeNvml;

fn wait_unmapped(fake: &FakeNvml) {
    let begin = std::time::Instant::now();
    while fake.is_mapped() {
        assert!(begin.elapsed() < crate::nvml::PATIENCE, "still mapped");
        std::thread::yield_now();
    }
}

#[test]
fn release_unloads_the_library_and_taking_it_again_loads_the_new_one() {
    let mut scenario = Scenario::h100(2);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("up", |s| s.gpus.len() == 2);
    assert!(fake.is_mapped());
    source.handle.release(true);
    let snapshot = source.wait("released", |s| s.driver == DriverStatus::Released);
    assert!(snapshot.gpus.is_empty());
    wait_unmapped(&fake);
    // The driver is upgraded meanwhile.
    scenario.driver = Some("580.126.09".into());
    scenario.cuda = Some(13_000);
    fake.play(&scenario);
    source.handle.release(false);
    source.wait("up again", |s| match &s.driver {
        DriverStatus::Up(driver) => {
            driver.cuda_driver_version == Some((13, 0)) && s.gpus.len() == 2
        }
        _ => false,
    });
}

#[test]
fn release_while_a_call_hangs_says_so_and_happens_when_it_returns() {
    let mut scenario = Scenario::h100(2);
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("up", |s| s.gpus.len() == 2);
    scenario.gpus[0].delay_ms.extend([("*".to_owned(), 45_000)]);
    fake.play(&scenario);
    source.wait("stuck", |s| s.gpus[0].state == GpuState::Stuck);
    source.handle.release(true);
    source.wait("told", |s| matches!(s.driver, DriverStatus::Down(_)));
    assert!(fake.is_mapped());
    scenario.gpus[0].delay_ms.clear();
    fake.play(&scenario);
    source.wait("released", |s| s.driver == DriverStatus::Released);
    wait_unmapped(&fake);
}

#[test]
fn dropping_the_source_unloads_the_library() {
    let fake = FakeNvml::new(&Scenario::h100(1));
    let source = fake.start();
    source.wait("up", |s| s.gpus.len() == 1);
    drop(source);
    wait_unmapped(&fake);
}
