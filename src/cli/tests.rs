//! The documents and tables of a made-up world.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::ready::{self, Verdict};
use super::{gpus, json, ps};
use crate::model::*;
use crate::watch::World;

fn stamp(seconds: u64) -> Stamp {
    Stamp::simulated(
        "2026-11-23T02:00:00Z".parse().unwrap(),
        Duration::from_secs(seconds),
    )
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

fn key(byte: u8) -> ContainerKey {
    ContainerKey {
        host: HostId(0),
        id: ContainerId::from_bytes([byte; 32]),
    }
}

fn gpu_key(name: &str) -> GpuKey {
    GpuKey {
        host: HostId(0),
        uuid: GpuUuid::new(name),
    }
}

fn engine() -> EngineInfo {
    EngineInfo {
        name: "Docker".into(),
        version: "28.2.2".into(),
        api_version: "1.50".into(),
        endpoint: "unix:///var/run/docker.sock".into(),
        ..EngineInfo::default()
    }
}

fn container(byte: u8, name: &str, state: ContainerState, status: &str) -> Container {
    Container {
        key: key(byte),
        name: name.into(),
        image: format!("{name}:0.4"),
        image_id: ImageId("sha256:aa".into()),
        command: "python train.py".into(),
        state,
        status: status.into(),
        health: None,
        created_at: time("2026-11-22T17:00:00Z"),
        compose: None,
        ports: Vec::new(),
        detail: None,
    }
}

fn gpu(index: u32, uuid: &str) -> Gpu {
    Gpu {
        key: gpu_key(uuid),
        index: Some(index),
        name: "NVIDIA H100 80GB HBM3".into(),
        pci_bus_id: format!("00000000:{}7:00.0", index + 1).into(),
        brand: Some("Tesla".into()),
        architecture: Some("Hopper".into()),
        compute_capability: Some(ComputeCapability { major: 9, minor: 0 }),
        state: GpuState::Ok,
        sampled: stamp(1),
        memory: Some(GpuMemory {
            total_bytes: 80 << 30,
            used_bytes: 61 << 30,
            reserved_bytes: Some(500 << 20),
        }),
        unified_memory: false,
        gpu_percent: Some(92),
        memory_percent: Some(40),
        temperature_celsius: Some(71),
        memory_temperature_celsius: None,
        slowdown_celsius: Some(89),
        power_watts: Some(612.3456),
        power_limit_watts: Some(700.0),
        energy_joules: Some(1.0e9),
        sm_clock_mhz: Some(1980),
        memory_clock_mhz: Some(2619),
        fan_percent: None,
        pcie: Pcie {
            generation: Some(5),
            generation_max: Some(5),
            width: Some(16),
            width_max: Some(16),
        },
        performance_state: Some(0),
        compute_mode: Some("Default".into()),
        persistence_mode: Some(true),
        throttle_reasons: Some(ThrottleReasons(0x44)),
        ecc: Some(Ecc {
            volatile_uncorrected: Some(0),
            aggregate_uncorrected: Some(2),
        }),
        remapped_rows: Some(RemappedRows {
            pending: false,
            failed: false,
        }),
        mig_mode: Some(false),
        mig_instances: Vec::new(),
    }
}

fn lost_gpu() -> Gpu {
    Gpu {
        index: None,
        state: GpuState::Lost("no longer listed by NVML".into()),
        ecc: None,
        remapped_rows: None,
        mig_mode: None,
        fan_percent: None,
        ..gpu(2, "GPU-lost")
    }
}

fn mig_gpu() -> Gpu {
    Gpu {
        gpu_percent: None,
        mig_mode: Some(true),
        mig_instances: vec![MigInstance {
            key: gpu_key("MIG-1"),
            parent: GpuUuid::new("GPU-mig"),
            profile: Some("1g.10gb".into()),
            gpu_instance: Some(7),
            compute_instance: Some(0),
            memory: Some(GpuMemory {
                total_bytes: 10 << 30,
                used_bytes: 1 << 30,
                reserved_bytes: None,
            }),
        }],
        ..gpu(1, "GPU-mig")
    }
}

fn process(gpu: &str, mig: Option<&str>, pid: u32) -> GpuProcess {
    GpuProcess {
        gpu: gpu_key(gpu),
        mig: mig.map(gpu_key),
        pid,
        kind: ProcessKind::Compute,
        memory_used_bytes: Some(60 << 30),
        sm_percent: mig.is_none().then_some(91),
    }
}

fn proc_info(pid: u32, command: &str, owner: CgroupOwner) -> ProcInfo {
    ProcInfo {
        key: Some(ProcKey {
            host: HostId(0),
            boot: BootId(1),
            pid,
            start_ticks: 5,
        }),
        pid,
        uid: Some(1000),
        user: Some("ada".into()),
        command: Some(command.into()),
        owner,
    }
}

fn inside(byte: u8) -> CgroupOwner {
    CgroupOwner::Containers(vec![CgroupContainer {
        runtime: RuntimeKind::Docker,
        id: ContainerId::from_bytes([byte; 32]),
    }])
}

fn detail(grant: Option<GpuGrant>) -> ContainerDetail {
    ContainerDetail {
        pid: Some(100),
        started_at: time("2026-11-22T17:10:00Z"),
        exit_code: Some(137),
        oom_killed: Some(true),
        restart_count: Some(1),
        shm_size_bytes: Some(64 << 20),
        grant,
        ..ContainerDetail::default()
    }
}

fn usage(byte: u8, cpu: Option<f64>) -> ContainerUsage {
    ContainerUsage {
        key: key(byte),
        at: stamp(2),
        source: UsageSource::Cgroup,
        cpu_percent: cpu,
        memory_used_bytes: Some(88 << 30),
        memory_limit_bytes: Some(512 << 30),
        network_rx_bytes: Some(10),
        network_tx_bytes: Some(0),
        block_read_bytes: None,
        block_write_bytes: Some(4096),
        pids: Some(77),
        oom_kills: Some(0),
    }
}

/// A world in which everything has been heard.
fn world() -> World {
    let mut world = World::new(HostId(0));
    world.engine_news(EngineNews::Up(engine()), stamp(0));
    let mut train = container(
        1,
        "llama-sft",
        ContainerState::Running,
        "Up 9 hours (healthy)",
    );
    train.health = Some(HealthState::Healthy);
    train.ports = vec![Port {
        container: 8080,
        host: Some(80),
        ip: Some("0.0.0.0".into()),
        protocol: "tcp".into(),
    }];
    train.compose = Some(Compose {
        project: "night".into(),
        service: "train".into(),
    });
    let eval = container(
        2,
        "eval-7b",
        ContainerState::Exited,
        "Exited (137) 2 hours ago",
    );
    let web = container(3, "web", ContainerState::Running, "Up 2 days");
    world.engine_news(EngineNews::Listed(vec![train, eval, web]), stamp(0));
    let inspected = [
        (1, Some(GpuGrant::Devices(vec!["0".into()]))),
        (2, Some(GpuGrant::Count(1))),
        (3, None),
    ];
    for (byte, grant) in inspected {
        world.engine_news(
            EngineNews::Inspected(key(byte), Box::new(detail(grant))),
            stamp(0),
        );
    }
    world.usage_snapshot(
        UsageSnapshot {
            entries: vec![usage(1, Some(412.3456)), usage(3, Some(0.0))],
            local: vec![key(1), key(3)],
            not_local: Vec::new(),
            interval_ms: 1000,
        },
        stamp(2),
    );
    world.gpu_snapshot(
        GpuSnapshot {
            at: stamp(1),
            driver: DriverStatus::Up(DriverInfo {
                driver_version: Some("550.163.01".into()),
                cuda_driver_version: Some((12, 4)),
                nvml_version: Some("12.550.163.01".into()),
            }),
            gpus: vec![gpu(0, "GPU-0"), mig_gpu(), lost_gpu()],
            processes: vec![
                process("GPU-0", None, 4242),
                process("GPU-mig", Some("MIG-1"), 4343),
            ],
            notice: None,

            xid_note: None,
        },
        stamp(1),
    );
    world.proc_snapshot(ProcSnapshot {
        at: stamp(1),
        processes: vec![
            proc_info(4242, "python train.py --hub-token=hunter2", inside(1)),
            proc_info(4343, "python serve.py", CgroupOwner::Host),
        ],
        blind: None,
        pending: false,
    });
    world.xid(XidEvent {
        time: "2026-11-23T01:58:00Z".parse().unwrap(),
        gpu: None,
        pci_bus_id: "0000:37:00".into(),
        xid: Some(79),
        source: XidSource::KernelLog,
        pid: None,
        text: "GPU has fallen off the bus.".into(),
    });
    world
}

fn as_json(document: &impl serde::Serialize) -> Value {
    serde_json::from_slice(&json::document(document).unwrap()).unwrap()
}

/// The keys of the contract, as the design writes them: `a,b[]{c,d{e}}`.
fn contract(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut stack: Vec<String> = Vec::new();
    let mut name = String::new();
    for c in text.chars() {
        match c {
            '{' => stack.push(std::mem::take(&mut name)),
            '}' | ',' => {
                if !name.is_empty() {
                    let path: String = stack.iter().map(|part| format!("{part}.")).collect();
                    paths.push(path + &std::mem::take(&mut name));
                }
                if c == '}' {
                    stack.pop();
                }
            }
            c => name.push(c),
        }
    }
    assert!(stack.is_empty(), "unbalanced: {text}");
    paths.push(name);
    paths.retain(|path| !path.is_empty());
    paths
}

/// Whether the path is there; every element of a list must have it, and no list may be empty or null.
fn has(value: &Value, path: &str) -> Result<(), String> {
    let (part, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, list) = part
        .strip_suffix("[]")
        .map_or((part, false), |name| (name, true));
    let found = value.get(name).ok_or(format!("no `{name}`"))?;
    if rest.is_empty() {
        return Ok(());
    }
    if !list {
        return has(found, rest);
    }
    match found.as_array() {
        Some(items) if !items.is_empty() => items.iter().try_for_each(|item| has(item, rest)),
        _ => Ok(()),
    }
}

const PS: &str = "schema,engine{name,version,api_version,endpoint},containers[]{id,name,image,image_id,state,status,\
health,exit_code,oom_killed,created_at,started_at,finished_at,cpu_percent,memory_used_bytes,memory_limit_bytes,\
network_rx_bytes,network_tx_bytes,block_read_bytes,block_write_bytes,pids,restart_count,oom_kills,shm_size_bytes,\
compose_project,ports[],verdict,gpus{given[]{uuid,index},given_as,used[]{uuid,index,memory_used_bytes,sm_percent,\
processes[]{pid,user,command,memory_used_bytes}}}}";

const GPUS: &str = "schema,driver_version,cuda_driver_version,nvml_version,persistence,gpus[]{index,uuid,name,pci_bus_id,\
brand,architecture,compute_capability,state,memory_total_bytes,memory_used_bytes,memory_reserved_bytes,gpu_percent,\
memory_percent,temperature_celsius,memory_temperature_celsius,slowdown_celsius,power_watts,power_limit_watts,\
energy_joules,sm_clock_mhz,memory_clock_mhz,fan_percent,pcie_gen,pcie_gen_max,pcie_width,pcie_width_max,\
performance_state,compute_mode,persistence_mode,throttle_reasons[],ecc{volatile_uncorrected,aggregate_uncorrected},\
remapped_rows{pending,failed},xid_events[]{time,xid,source},mig_mode,mig_instances[]{uuid,profile,memory_total_bytes,\
memory_used_bytes,parent_uuid},processes[]{pid,kind,user,command,memory_used_bytes,sm_percent,container{id,name}},\
unattributed_bytes}";

#[test]
fn every_key_of_the_contract_is_there() {
    let world = world();
    let ps = as_json(&ps::document(&world, true, &ps::Verdicts::new()));
    for path in contract(PS) {
        has(&ps, &path).unwrap_or_else(|e| panic!("ps {path}: {e}"));
    }
    let mut gpus = as_json(&gpus::document(&world));
    // A host process has no container: its keys cannot be asked of null.
    for gpu in gpus["gpus"].as_array_mut().unwrap() {
        gpu["processes"]
            .as_array_mut()
            .unwrap()
            .retain(|p| !p["container"].is_null());
    }
    for path in contract(GPUS) {
        has(&gpus, &path).unwrap_or_else(|e| panic!("gpus {path}: {e}"));
    }
    assert!(has(&ps, "containers[].gpus.nonsense").is_err());
}

#[test]
fn ps_prints_what_it_knows() {
    let world = world();
    insta::assert_snapshot!(
        "ps_json",
        String::from_utf8(
            json::document(&ps::document(&world, true, &ps::Verdicts::new())).unwrap()
        )
        .unwrap()
    );
    insta::assert_snapshot!("ps_table", ps::table(&world, true).render(None));
    let shown = as_json(&ps::document(&world, false, &ps::Verdicts::new()));
    let names: Vec<&str> = shown["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["llama-sft", "web"]);
}

#[test]
fn gpus_prints_what_it_knows() {
    let world = world();
    insta::assert_snapshot!(
        "gpus_json",
        String::from_utf8(json::document(&gpus::document(&world)).unwrap()).unwrap()
    );
    insta::assert_snapshot!("gpus_text", gpus::text(&world, None));
}

#[test]
fn what_is_not_known_is_null_and_not_nothing() {
    // No driver: no one knows what is used, and a grant cannot be resolved.
    let mut none = world();
    let problem = Problem {
        what: "no NVIDIA driver".into(),
        why: "x".into(),
        remedy: "y".into(),
    };
    none.gpu_snapshot(
        GpuSnapshot {
            at: stamp(3),
            driver: DriverStatus::Down(problem.clone()),
            gpus: vec![],
            processes: vec![],
            notice: None,

            xid_note: None,
        },
        stamp(3),
    );
    let json = as_json(&ps::document(&none, true, &ps::Verdicts::new()));
    assert_eq!(json["containers"][0]["gpus"]["used"], Value::Null);
    assert_eq!(json["containers"][0]["gpus"]["given"], Value::Null);
    assert_eq!(json["containers"][0]["gpus"]["given_as"], "device=0");
    // What was never granted is known without a driver, and what has no process uses nothing.
    assert_eq!(
        json["containers"][1]["gpus"]["given"],
        serde_json::json!([])
    );
    assert_eq!(json["containers"][2]["gpus"]["used"], serde_json::json!([]));
    assert_eq!(ps::notes(&none, true), [problem]);

    // An engine on another machine: its containers are not joined with this machine's GPUs.
    let mut far = world();
    far.usage_snapshot(
        UsageSnapshot {
            entries: vec![],
            local: vec![],
            not_local: vec![key(1), key(3)],
            interval_ms: 1000,
        },
        stamp(3),
    );
    let json = as_json(&ps::document(&far, false, &ps::Verdicts::new()));
    assert_eq!(json["containers"][0]["gpus"]["used"], Value::Null);
    assert_eq!(json["containers"][0]["gpus"]["given"], Value::Null);

    // Nothing heard but the list.
    let mut bare = World::new(HostId(0));
    bare.engine_news(EngineNews::Up(engine()), stamp(0));
    let row = container(1, "a", ContainerState::Running, "Up");
    bare.engine_news(EngineNews::Listed(vec![row]), stamp(0));
    let json = as_json(&ps::document(&bare, false, &ps::Verdicts::new()));
    for name in [
        "cpu_percent",
        "memory_used_bytes",
        "pids",
        "restart_count",
        "oom_killed",
        "started_at",
        "verdict",
    ] {
        assert_eq!(json["containers"][0][name], Value::Null, "{name}");
    }
    assert_eq!(
        json["containers"][0]["gpus"],
        serde_json::json!({"given": null, "given_as": null, "used": null})
    );
    insta::assert_snapshot!("ps_bare", ps::table(&bare, false).render(None));
}

#[test]
fn no_secret_leaves_in_a_command_line() {
    let world = world();
    for text in [
        String::from_utf8(
            json::document(&ps::document(&world, true, &ps::Verdicts::new())).unwrap(),
        )
        .unwrap(),
        String::from_utf8(json::document(&gpus::document(&world)).unwrap()).unwrap(),
        gpus::text(&world, None),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn ps_waits_for_every_part_and_not_for_ever() {
    let began = stamp(0);
    let mut bare = World::new(HostId(0));
    assert_eq!(ready::ps(&bare, false, began, stamp(9)), Verdict::Wait);
    assert!(matches!(
        ready::ps(&bare, false, began, stamp(10)),
        Verdict::Fail(_)
    ));
    bare.engine_news(EngineNews::Up(engine()), stamp(1));
    bare.engine_news(
        EngineNews::Listed(vec![container(1, "a", ContainerState::Running, "Up")]),
        stamp(1),
    );
    assert_eq!(ready::ps(&bare, false, began, stamp(2)), Verdict::Wait);
    assert_eq!(ready::ps(&bare, false, began, stamp(4)), Verdict::Print);

    let mut whole = world();
    assert_eq!(ready::ps(&whole, true, began, stamp(1)), Verdict::Print);
    // One statistics round gives no CPU yet.
    whole.usage_snapshot(
        UsageSnapshot {
            entries: vec![usage(1, None)],
            local: vec![key(1), key(3)],
            not_local: vec![],
            interval_ms: 1000,
        },
        stamp(1),
    );
    assert_eq!(ready::ps(&whole, true, began, stamp(1)), Verdict::Wait);

    let problem = Problem {
        what: "cannot reach".into(),
        why: "refused".into(),
        remedy: "start it".into(),
    };
    whole.engine_news(EngineNews::Down(problem.clone()), stamp(1));
    assert_eq!(
        ready::ps(&whole, true, began, stamp(1)),
        Verdict::Fail(problem)
    );
}

#[test]
fn gpus_fails_without_a_driver_and_not_without_a_gpu() {
    let began = stamp(0);
    let mut world = World::new(HostId(0));
    assert_eq!(ready::gpus(&world, began, stamp(5)), Verdict::Wait);
    let round = |driver| GpuSnapshot {
        at: stamp(1),
        driver,
        gpus: vec![],
        processes: vec![],
        notice: None,

        xid_note: None,
    };
    world.gpu_snapshot(round(DriverStatus::Starting), stamp(1));
    assert_eq!(ready::gpus(&world, began, stamp(5)), Verdict::Wait);
    assert!(matches!(
        ready::gpus(&world, began, stamp(10)),
        Verdict::Fail(_)
    ));
    let problem = Problem {
        what: "no driver".into(),
        why: "x".into(),
        remedy: "y".into(),
    };
    world.gpu_snapshot(round(DriverStatus::Down(problem.clone())), stamp(1));
    assert_eq!(
        ready::gpus(&world, began, stamp(1)),
        Verdict::Fail(problem.clone())
    );
    let up = DriverInfo {
        driver_version: Some("550".into()),
        cuda_driver_version: None,
        nvml_version: None,
    };
    world.gpu_snapshot(round(DriverStatus::Up(up)), stamp(1));
    assert_eq!(
        ready::gpus(&world, began, stamp(1)),
        Verdict::Wait,
        "the engine has not been heard"
    );
    world.engine_news(EngineNews::Down(problem), stamp(1));
    assert_eq!(ready::gpus(&world, began, stamp(1)), Verdict::Print);
    assert_eq!(gpus::text(&world, None), "driver 550  CUDA —\nno GPU\n");
    assert_eq!(
        as_json(&gpus::document(&world))["gpus"],
        serde_json::json!([])
    );
}

/// The simulated host's night, folded as its lanes would bring it.
fn night() -> World {
    let host = crate::demo::DemoHost::new(1, stamp(0));
    let mut world = World::new(HostId(0));
    world.engine_news(EngineNews::Up(host.info()), stamp(0));
    let containers = host.containers(stamp(0));
    let keys: Vec<ContainerKey> = containers.iter().map(|c| c.key).collect();
    world.engine_news(EngineNews::Listed(containers), stamp(0));
    for key in keys {
        let detail = host.detail(key, stamp(0)).unwrap();
        world.engine_news(EngineNews::Inspected(key, Box::new(detail)), stamp(0));
    }
    for second in 0..3 {
        world.gpu_snapshot(host.gpus(stamp(second)), stamp(second));
        world.proc_snapshot(host.procs(stamp(second)));
        world.usage_snapshot(host.usage(stamp(second)), stamp(second));
    }
    for xid in host.xids() {
        world.xid(xid);
    }
    world
}

#[test]
fn the_simulated_night_prints_whole() {
    let world = night();
    assert_eq!(
        ready::ps(&world, true, stamp(0), stamp(0)),
        Verdict::Print,
        "nothing is left to wait for"
    );
    assert_eq!(ready::gpus(&world, stamp(0), stamp(0)), Verdict::Print);
    let table = ps::table(&world, true).render(None);
    let line = |text: &str, name: &str| text.lines().find(|l| l.contains(name)).unwrap().to_owned();
    assert!(line(&table, "llama-sft").contains("0,1→0,1"), "{table}");
    assert!(line(&table, "eval-7b").contains("OOM"), "{table}");
    let text = gpus::text(&world, None);
    assert!(line(&text, "lost").contains("Xid"), "{text}");
    assert!(line(&text, "ipykernel").contains("notebook"), "{text}");
    let ps = as_json(&ps::document(&world, true, &ps::Verdicts::new()));
    for path in contract(PS) {
        has(&ps, &path).unwrap_or_else(|e| panic!("ps {path}: {e}"));
    }
}
