//! MIG: instances with keys of their own, their memory, their processes.

use fake_nvml::{Gpu, Mig, Process, Scenario};
use midwatch::gpu;
use midwatch::model::GpuState;

use crate::nvml::{FakeNvml, PATIENCE};

/// An H200 as in a real capture (driver 590.48.01): two compute instances share one GPU instance.
fn h200() -> Gpu {
    let mig = |uuid: &str, gi, ci, gpu_slices, compute_slices, mib: u64| Mig {
        uuid: uuid.into(),
        gi,
        ci,
        gpu_slices,
        compute_slices,
        memory_total: mib << 20,
        memory_used: 22 << 20,
        name: None,
    };
    let process = |pid, gi, ci| Process {
        gi: Some(gi),
        ci: Some(ci),
        ..Process::compute(pid, 10 << 20, 50)
    };
    Gpu {
        name: Some("NVIDIA H200".into()),
        memory_total: Some(143_771 << 20),
        memory_used: 55 << 20,
        mig: Some(true),
        instances: vec![
            mig("MIG-a", 2, 0, 3, 1, 71_424),
            mig("MIG-b", 2, 1, 3, 2, 71_424),
            Mig::default(),
            Mig {
                name: Some("NVIDIA H200 MIG 2g.35gb".into()),
                ..mig("MIG-c", 3, 0, 2, 2, 33_280)
            },
            mig("MIG-d", 9, 0, 1, 1, 16_384),
        ],
        processes: vec![process(100, 2, 0), process(101, 2, 1), process(100, 9, 0)],
        ..Gpu::h100(0)
    }
}

fn scenario() -> Scenario {
    Scenario {
        gpus: vec![h200()],
        ..Scenario::h100(0)
    }
}

#[test]
fn instances_have_their_own_keys_profiles_and_memory() {
    let snapshot = gpu::sample_once(&FakeNvml::new(&scenario()).config(), PATIENCE);
    let gpu = &snapshot.gpus[0];
    assert_eq!(gpu.state, GpuState::Ok);
    assert_eq!(gpu.mig_mode, Some(true));
    assert_eq!((gpu.gpu_percent, gpu.remapped_rows), (None, None));
    let seen: Vec<_> = gpu
        .mig_instances
        .iter()
        .map(|i| {
            assert_eq!(i.parent, gpu.key.uuid);
            (
                i.key.uuid.as_str(),
                i.profile.as_deref().unwrap(),
                i.gpu_instance.unwrap(),
                i.compute_instance.unwrap(),
                i.memory.unwrap().total_bytes >> 20,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("MIG-a", "1c.3g.71gb", 2, 0, 71_424),
            ("MIG-b", "2c.3g.71gb", 2, 1, 71_424),
            ("MIG-c", "2g.35gb", 3, 0, 33_280),
            ("MIG-d", "1g.18gb", 9, 0, 16_384),
        ]
    );
}

fn in_instances(scenario: &Scenario) -> Vec<(u32, String)> {
    let snapshot = gpu::sample_once(&FakeNvml::new(scenario).config(), PATIENCE);
    let mut found: Vec<_> = snapshot
        .processes
        .iter()
        .map(|p| {
            assert_eq!(p.sm_percent, None, "NVML does not tell under MIG");
            assert_eq!(p.memory_used_bytes, Some(10 << 20));
            (p.pid, p.mig.as_ref().unwrap().uuid.to_string())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn processes_are_in_the_instance_their_ids_name() {
    let wanted = [
        (100, "MIG-a".to_owned()),
        (100, "MIG-d".to_owned()),
        (101, "MIG-b".to_owned()),
    ];
    assert_eq!(in_instances(&scenario()), wanted);
    // An unprivileged user may not ask the whole GPU, but each instance.
    let mut denied = scenario();
    denied.gpus[0].mig_denied = true;
    assert_eq!(in_instances(&denied), wanted);
}

#[test]
fn a_layout_that_changes_is_followed() {
    let mut scenario = scenario();
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("four", |s| {
        s.gpus.first().is_some_and(|g| g.mig_instances.len() == 4)
    });
    scenario.gpus[0].instances.truncate(1);
    scenario.gpus[0].instances[0].memory_used = 5 << 20;
    fake.play(&scenario);
    source.wait("one", |s| match &s.gpus[0].mig_instances[..] {
        [only] => only.memory.unwrap().used_bytes == 5 << 20,
        _ => false,
    });
    scenario.gpus[0].mig = Some(false);
    fake.play(&scenario);
    source.wait("none, and busy time is back", |s| {
        s.gpus[0].mig_instances.is_empty()
            && s.gpus[0].gpu_percent == Some(92)
            && s.gpus[0].remapped_rows.is_some()
    });
}
