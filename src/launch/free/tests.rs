use super::*;
use crate::model::{DriverInfo, DriverStatus, GpuMemory, GpuProcess, GpuUuid, HostId, Stamp};
use jiff::Timestamp;
use std::time::Duration;

fn now() -> Stamp {
    Stamp::simulated(Timestamp::UNIX_EPOCH, Duration::ZERO)
}

fn key(uuid: &str) -> GpuKey {
    GpuKey {
        host: HostId(0),
        uuid: GpuUuid::new(uuid),
    }
}

fn card(index: u32, name: &str, used_mib: u64) -> Gpu {
    let mut gpu = Gpu::silent(
        key(&format!("GPU-{index}")),
        Some(index),
        name,
        &format!("00000000:{index:02x}:00.0"),
        now(),
    );
    gpu.memory = Some(GpuMemory {
        total_bytes: 80 << 30,
        used_bytes: used_mib << 20,
        reserved_bytes: Some(500 << 20),
    });
    gpu.gpu_percent = Some(0);
    gpu
}

fn process(gpu: &str, mig: Option<&str>, pid: u32, kind: ProcessKind) -> GpuProcess {
    GpuProcess {
        gpu: key(gpu),
        mig: mig.map(key),
        pid,
        kind,
        memory_used_bytes: None,
        sm_percent: None,
    }
}

struct Table {
    snapshot: GpuSnapshot,
    busy: HashMap<GpuKey, u32>,
    unfit: HashMap<GpuKey, String>,
    holders: Vec<Holder>,
    owners: HashMap<u32, String>,
}

impl Table {
    fn of(gpus: Vec<Gpu>) -> Self {
        Self {
            snapshot: GpuSnapshot {
                driver: DriverStatus::Up(DriverInfo {
                    driver_version: None,
                    cuda_driver_version: None,
                    nvml_version: None,
                }),
                gpus,
                ..GpuSnapshot::starting(now())
            },
            busy: HashMap::new(),
            unfit: HashMap::new(),
            holders: Vec::new(),
            owners: HashMap::new(),
        }
    }

    fn survey(&self) -> Choice {
        survey(&Board {
            gpus: &self.snapshot,
            busy: &self.busy,
            unfit: &self.unfit,
            holders: &self.holders,
            owners: &self.owners,
        })
    }

    fn free(&self) -> Vec<String> {
        let units = self.survey().free;
        units.iter().map(|u| u.key.uuid.to_string()).collect()
    }

    fn why_not(&self, uuid: &str) -> String {
        let out = self.survey().left_out;
        let found = out.into_iter().find(|(u, _)| u.key == key(uuid));
        found.map(|(_, why)| why).unwrap_or_default()
    }
}

#[test]
fn what_is_in_use_is_left_out_with_the_reason() {
    let mut table = Table::of((0..10).map(|i| card(i, "H100", 4)).collect());
    table.snapshot.processes = vec![
        process("GPU-0", None, 41, ProcessKind::Compute),
        process("GPU-1", None, 42, ProcessKind::Compute),
        process("GPU-1", None, 43, ProcessKind::ComputeAndGraphics),
        process("GPU-2", None, 44, ProcessKind::Graphics),
    ];
    table.owners.insert(41, "llama-sft".into());
    table.holders = vec![Holder {
        name: "notebook".into(),
        gpus: vec![key("GPU-3")],
    }];
    table.snapshot.gpus[4].state = GpuState::Lost("gone".into());
    table.snapshot.gpus[5].state = GpuState::Stuck;
    table.unfit.insert(key("GPU-6"), "Xid 48 2 min ago".into());
    table.snapshot.gpus[7].memory.as_mut().unwrap().used_bytes = 20 << 30;
    table.busy.insert(key("GPU-8"), 60);
    assert_eq!(table.free(), ["GPU-2", "GPU-9"]);
    for (gpu, why) in [
        ("GPU-0", "in use by llama-sft (pid 41)"),
        ("GPU-1", "in use by 2 processes"),
        ("GPU-3", "given to notebook by name"),
        ("GPU-4", "lost"),
        ("GPU-5", "does not answer"),
        ("GPU-6", "Xid 48 2 min ago"),
        (
            "GPU-7",
            "20.0 GiB of its memory are in use although no process is seen",
        ),
        ("GPU-8", "60 % busy in the last seconds"),
    ] {
        assert_eq!(table.why_not(gpu), why, "{gpu}");
    }
}

#[test]
fn the_least_loaded_come_first_and_of_one_kind() {
    let mut table = Table::of(vec![
        card(0, "A100", 400),
        card(1, "H100", 10),
        card(2, "A100", 20),
        card(3, "H100", 10),
    ]);
    table.busy.insert(key("GPU-1"), 5);
    assert_eq!(table.free(), ["GPU-2", "GPU-3", "GPU-1", "GPU-0"]);
    let names = |count| {
        let units = take(&table.survey(), count);
        units.map(|units| {
            let ids: Vec<String> = units.iter().map(|u| u.key.uuid.to_string()).collect();
            ids.join(" ")
        })
    };
    assert_eq!(names(0).as_deref(), Some(""));
    assert_eq!(names(1).as_deref(), Some("GPU-2"));
    assert_eq!(names(2).as_deref(), Some("GPU-0 GPU-2"));
    assert_eq!(names(3).as_deref(), Some("GPU-1 GPU-2 GPU-3"));
    assert_eq!(names(5), None);
    let first = table.survey().free.remove(0);
    assert_eq!(first.why, "no process, 0.0 of 80.0 GiB in use, 0 % busy");
}

#[test]
fn an_old_drivers_own_share_is_no_use() {
    let mut table = Table::of(vec![card(0, "V100", 700), card(1, "V100", 1100)]);
    for gpu in &mut table.snapshot.gpus {
        gpu.memory.as_mut().unwrap().reserved_bytes = None;
    }
    assert_eq!(table.free(), ["GPU-0"]);
    table.snapshot.gpus[0].memory = None;
    assert_eq!(table.free(), ["GPU-0"], "unified memory says nothing");
}

#[test]
fn a_card_in_mig_mode_counts_by_its_instances() {
    let mut table = Table::of(vec![card(0, "H100", 10), card(1, "H100", 10)]);
    let gpu = &mut table.snapshot.gpus[0];
    gpu.mig_mode = Some(true);
    gpu.gpu_percent = None;
    gpu.mig_instances = ["MIG-a", "MIG-b", "MIG-c"]
        .iter()
        .map(|uuid| MigInstance {
            key: key(uuid),
            parent: GpuUuid::new("GPU-0"),
            profile: Some("1g.10gb".into()),
            gpu_instance: Some(7),
            compute_instance: Some(0),
            memory: None,
        })
        .collect();
    table.snapshot.gpus[1].mig_mode = Some(true);
    table.snapshot.processes = vec![process("GPU-0", Some("MIG-a"), 5, ProcessKind::Compute)];
    assert_eq!(table.free(), ["MIG-b", "MIG-c"]);
    assert_eq!(table.why_not("GPU-1"), "in MIG mode, without an instance");
    table.holders = vec![Holder {
        name: "x".into(),
        gpus: vec![key("MIG-b")],
    }];
    assert_eq!(table.free(), ["MIG-c"]);
    table.holders[0].gpus = vec![key("GPU-0")];
    assert!(
        table.free().is_empty(),
        "who has the card has its instances"
    );
    table.holders.clear();
    table.snapshot.processes[0].mig = None;
    assert!(table.free().is_empty(), "it may be in any instance");
    assert_eq!(table.survey().left_out[0].0.name, "H100 MIG 1g.10gb");
}
