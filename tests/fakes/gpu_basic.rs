//! What NVML says reaches the snapshot with the right names and units.

use fake_nvml::{Process, Scenario};
use midwatch::gpu;
use midwatch::model::{ComputeCapability, DriverStatus, GpuState, ProcessKind, ThrottleReasons};

use crate::nvml::{FakeNvml, PATIENCE};

#[test]
fn eight_gpus_are_listed_with_every_metric_in_its_unit() {
    let mut scenario = Scenario::h100(8);
    scenario.gpus[0].processes = vec![Process::compute(4242, 60_000 << 20, 91)];
    let fake = FakeNvml::new(&scenario);
    let snapshot = gpu::sample_once(&fake.config(), PATIENCE);
    let DriverStatus::Up(driver) = &snapshot.driver else {
        panic!("{:?}", snapshot.driver)
    };
    assert_eq!(driver.driver_version.as_deref(), Some("550.163.01"));
    assert_eq!(driver.cuda_driver_version, Some((12, 4)));
    assert_eq!(driver.nvml_version.as_deref(), Some("12.550.163.01"));
    assert_eq!(snapshot.gpus.len(), 8);
    for (index, gpu) in snapshot.gpus.iter().enumerate() {
        assert_eq!(gpu.index, Some(index as u32));
        assert_eq!(gpu.state, GpuState::Ok);
        assert_eq!(gpu.key.uuid.as_str(), scenario.gpus[index].uuid);
    }
    let gpu = &snapshot.gpus[0];
    assert_eq!(&*gpu.name, "NVIDIA H100 80GB HBM3");
    assert_eq!(&*gpu.pci_bus_id, "00000000:17:00.0");
    assert_eq!(gpu.brand.as_deref(), Some("Nvidia"));
    assert_eq!(gpu.architecture.as_deref(), Some("Hopper"));
    let capability = ComputeCapability { major: 9, minor: 0 };
    assert_eq!(gpu.compute_capability, Some(capability));
    let memory = gpu.memory.unwrap();
    assert_eq!(memory.total_bytes, 81_559 << 20);
    assert_eq!(memory.used_bytes, 61_000 << 20);
    assert_eq!(memory.reserved_bytes, Some(479 << 20));
    assert!(!gpu.unified_memory);
    assert_eq!(gpu.gpu_percent, Some(92));
    assert_eq!(gpu.memory_percent, Some(41));
    assert_eq!(gpu.temperature_celsius, Some(59));
    assert_eq!(gpu.memory_temperature_celsius, Some(54));
    assert_eq!(gpu.slowdown_celsius, Some(87));
    assert_eq!(gpu.power_watts, Some(632.0));
    assert_eq!(gpu.power_limit_watts, Some(700.0));
    assert_eq!(gpu.energy_joules, Some(1_000.0));
    assert_eq!(gpu.sm_clock_mhz, Some(1980));
    assert_eq!(gpu.memory_clock_mhz, Some(2619));
    assert_eq!(gpu.fan_percent, None, "passively cooled");
    assert_eq!(gpu.pcie.generation, Some(5));
    assert_eq!(gpu.pcie.width_max, Some(16));
    assert_eq!(gpu.performance_state, Some(0));
    assert_eq!(gpu.compute_mode.as_deref(), Some("Default"));
    assert_eq!(gpu.persistence_mode, Some(true));
    assert_eq!(gpu.throttle_reasons, Some(ThrottleReasons(4)));
    assert_eq!(gpu.ecc.unwrap().aggregate_uncorrected, Some(0));
    assert!(!gpu.remapped_rows.unwrap().pending);
    assert_eq!(gpu.mig_mode, Some(false));
    let [process] = &snapshot.processes[..] else {
        panic!("{:?}", snapshot.processes)
    };
    assert_eq!(process.gpu, gpu.key);
    assert_eq!((process.pid, process.kind), (4242, ProcessKind::Compute));
    assert_eq!(process.memory_used_bytes, Some(60_000 << 20));
    assert_eq!(process.sm_percent, Some(91));
}
