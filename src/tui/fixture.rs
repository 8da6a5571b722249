//! A made-up host for the screen's tests: the night of design.md's picture, folded from news as the real one is.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub use super::fixture_images::*;
use super::state::{State, StateConfig};
use super::{Event, Key, KeyPress, Theme, draw, update};
use crate::model::*;
use crate::watch::{Changes, World};

pub const GIB: u64 = 1 << 30;

/// 02:41:00 UTC of a night in November.
pub fn base() -> Timestamp {
    "2026-11-22T02:41:00Z".parse().unwrap()
}

/// Seconds after the fixture's start.
pub fn at(seconds: u64) -> Stamp {
    Stamp::simulated(base(), Duration::from_secs(1000 + seconds))
}

fn ago(seconds: i64) -> Option<Timestamp> {
    let now = at(0).wall;
    Some(now - jiff::SignedDuration::from_secs(seconds))
}

pub fn key(number: u8) -> ContainerKey {
    ContainerKey {
        host: HostId(0),
        id: ContainerId::from_bytes([number; 32]),
    }
}

pub fn gpu_key(number: u32) -> GpuKey {
    GpuKey {
        host: HostId(0),
        uuid: GpuUuid::new(&format!("GPU-{number:08x}-1111-2222-3333-444444444444")),
    }
}

/// The id of an image of the night.
pub fn image_id(name: &str) -> ImageId {
    let byte = match name {
        "my-train:0.4" => "ab",
        "vllm/vllm-openai:0.9" => "cd",
        "jupyter:cuda13" => "13",
        "rag-api:2.1" => "21",
        "pgvector/pgvector:pg17" => "17",
        "my-train:0.3" => "03",
        _ => "ef",
    };
    ImageId(format!("sha256:{}", byte.repeat(32)).into())
}

pub fn container(number: u8, name: &str, image: &str, state: ContainerState) -> Container {
    let live = state.is_live();
    Container {
        key: key(number),
        name: name.to_owned(),
        image: image.to_owned(),
        image_id: image_id(image),
        command: "python train.py --token=abc".to_owned(),
        state,
        status: if live {
            "Up 9 hours"
        } else {
            "Exited (0) 2 hours ago"
        }
        .to_owned(),
        health: None,
        created_at: ago(40_000),
        compose: None,
        ports: Vec::new(),
        detail: Some(Box::new(ContainerDetail {
            pid: live.then_some(4000 + u32::from(number)),
            started_at: ago(33_000),
            finished_at: if live { None } else { ago(2600) },
            exit_code: if live { None } else { Some(0) },
            oom_killed: Some(false),
            restart_count: Some(0),
            shm_size_bytes: Some(64 << 20),
            ..ContainerDetail::default()
        })),
    }
}

fn grant(container: &mut Container, grant: GpuGrant) {
    if let Some(detail) = &mut container.detail {
        detail.grant = Some(grant);
    }
}

/// The six containers of the night.
pub fn containers() -> Vec<Container> {
    use ContainerState::{Exited, Running};
    let devices = |list: &[&str]| GpuGrant::Devices(list.iter().map(|d| (*d).to_owned()).collect());
    let mut train = container(1, "llama-sft", "my-train:0.4", Running);
    grant(&mut train, devices(&["0", "1"]));
    if let Some(detail) = &mut train.detail {
        detail.shm_size_bytes = Some(16 * GIB);
    }
    let mut eval = container(2, "eval-7b", "vllm/vllm-openai:0.9", Exited);
    grant(&mut eval, devices(&["3"]));
    if let Some(detail) = &mut eval.detail {
        detail.exit_code = Some(137);
        detail.oom_killed = Some(true);
    }
    let mut notebook = container(3, "notebook", "jupyter:cuda13", Running);
    grant(&mut notebook, devices(&["2"]));
    if let Some(detail) = &mut notebook.detail {
        detail.env = vec![
            "CUDA_VERSION=13.0.1".to_owned(),
            "NVIDIA_REQUIRE_CUDA=cuda>=13.0".to_owned(),
        ];
    }
    notebook.ports = vec![Port {
        container: 8888,
        host: Some(8888),
        ip: Some("0.0.0.0".into()),
        protocol: "tcp".into(),
    }];
    let mut api = container(4, "rag-api-1", "rag-api:2.1", Running);
    let mut db = container(5, "rag-db-1", "pgvector/pgvector:pg17", Running);
    for (member, service) in [(&mut api, "api"), (&mut db, "db")] {
        member.compose = Some(Compose {
            project: "rag".into(),
            service: service.into(),
        });
    }
    api.health = Some(HealthState::Unhealthy);
    let old = container(6, "data-prep", "my-train:0.3", Exited);
    vec![train, eval, notebook, api, db, old]
}

pub fn gpu(index: u32, busy: u32, used: u64, heat: u32, power: f64) -> Gpu {
    Gpu {
        key: gpu_key(index),
        index: Some(index),
        name: "NVIDIA H100 80GB HBM3".into(),
        pci_bus_id: format!("00000000:{:02X}:00.0", 0x17 + index).into(),
        brand: Some("NVIDIA".into()),
        architecture: Some("Hopper".into()),
        compute_capability: Some(ComputeCapability { major: 9, minor: 0 }),
        state: GpuState::Ok,
        sampled: at(0),
        memory: Some(GpuMemory {
            total_bytes: 80 * GIB,
            used_bytes: used,
            reserved_bytes: Some(479 << 20),
        }),
        unified_memory: false,
        gpu_percent: Some(busy),
        memory_percent: Some(busy / 2),
        temperature_celsius: Some(heat),
        memory_temperature_celsius: Some(heat + 8),
        slowdown_celsius: Some(90),
        power_watts: Some(power),
        power_limit_watts: Some(700.0),
        energy_joules: Some(91_234_567.0),
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
        throttle_reasons: Some(ThrottleReasons(0)),
        ecc: Some(Ecc {
            volatile_uncorrected: Some(0),
            aggregate_uncorrected: Some(0),
        }),
        remapped_rows: Some(RemappedRows {
            pending: false,
            failed: false,
        }),
        mig_mode: Some(false),
        mig_instances: Vec::new(),
    }
}

fn process(gpu: u32, pid: u32, memory: u64, sm: u32) -> GpuProcess {
    GpuProcess {
        gpu: gpu_key(gpu),
        mig: None,
        pid,
        kind: ProcessKind::Compute,
        memory_used_bytes: Some(memory),
        sm_percent: Some(sm),
    }
}

pub fn driver() -> DriverStatus {
    DriverStatus::Up(DriverInfo {
        driver_version: Some("550.163.01".into()),
        cuda_driver_version: Some((12, 4)),
        nvml_version: Some("12.550.163.01".into()),
    })
}

pub fn gpus() -> GpuSnapshot {
    GpuSnapshot {
        at: at(0),
        driver: driver(),
        gpus: vec![
            gpu(0, 92, 61 * GIB + GIB / 5, 71, 612.0),
            gpu(1, 91, 61 * GIB, 70, 608.0),
            gpu(2, 0, GIB * 6 / 10, 34, 68.0),
            gpu(3, 64, 40 * GIB, 55, 320.0),
        ],
        processes: vec![
            process(0, 5001, 60 * GIB, 91),
            process(1, 5002, 60 * GIB, 90),
            process(3, 7001, 39 * GIB, 60),
        ],
        notice: None,
        xid_note: Some("Xid events: from NVML; earlier ones from the kernel log".into()),
    }
}

pub fn proc_info(pid: u32, user: &str, command: &str, owner: CgroupOwner) -> ProcInfo {
    ProcInfo {
        key: Some(ProcKey {
            host: HostId(0),
            boot: BootId(7),
            pid,
            start_ticks: 1000 + u64::from(pid),
        }),
        pid,
        uid: Some(1000),
        user: Some(user.into()),
        command: Some(command.into()),
        owner,
    }
}

pub fn procs() -> ProcSnapshot {
    let docker = |number: u8| {
        CgroupOwner::Containers(vec![CgroupContainer {
            runtime: RuntimeKind::Docker,
            id: key(number).id,
        }])
    };
    ProcSnapshot {
        at: at(0),
        processes: vec![
            proc_info(5001, "ana", "python train.py --rank 0", docker(1)),
            proc_info(5002, "ana", "python train.py --rank 1", docker(1)),
            proc_info(
                7001,
                "bo",
                "/opt/venv/bin/python infer.py",
                CgroupOwner::Host,
            ),
        ],
        blind: None,
        pending: false,
    }
}

pub fn usage(number: u8, cpu: f64, memory: u64, second: u64) -> ContainerUsage {
    ContainerUsage {
        key: key(number),
        at: at(second),
        source: UsageSource::Cgroup,
        cpu_percent: Some(cpu),
        memory_used_bytes: Some(memory),
        memory_limit_bytes: Some(256 * GIB),
        network_rx_bytes: Some(1_000_000 + second * 2_000),
        network_tx_bytes: Some(500_000 + second * 150_000),
        block_read_bytes: Some(second * 3_000_000),
        block_write_bytes: Some(0),
        pids: Some(40),
        oom_kills: Some(0),
    }
}

pub fn usages(second: u64) -> UsageSnapshot {
    let mut api = usage(4, 12.0, GIB, second);
    api.oom_kills = Some(2);
    UsageSnapshot {
        entries: vec![
            usage(1, 412.3, 88 * GIB, second),
            usage(3, 1.2, 2 * GIB, second),
            api,
            usage(5, 0.4, 3 * GIB / 2, second),
        ],
        local: vec![key(1), key(3), key(4), key(5)],
        not_local: Vec::new(),
        interval_ms: 1000,
    }
}

pub fn engine() -> EngineInfo {
    EngineInfo {
        name: "Docker".into(),
        version: "28.2.2".into(),
        api_version: "1.50".into(),
        endpoint: "unix:///var/run/docker.sock".into(),
        context: None,
        chosen_by: "found".into(),
        host_name: Some("gpu-box-3".into()),
        cpus: Some(64),
        memory_bytes: Some(512 * GIB),
        cgroup_driver: Some("systemd".into()),
        cgroup_version: Some("2".into()),
        ..EngineInfo::default()
    }
}

fn report() -> HostReport {
    HostReport {
        hostname: "gpu-box-3".into(),
        cpus: 64,
        memory_total_bytes: Some(512 * GIB),
        memory_used_bytes: Some(120 * GIB),
        load_1m: Some(8.0),
    }
}

/// A state of this size in which nothing was heard.
pub fn blank(columns: u16, rows: u16) -> State {
    let mut config = StateConfig::new(HostId(0));
    config.size = (columns, rows);
    let mut state = State::new(config, at(0));
    state.world.host_report(report());
    told(&mut state, 0);
    state
}

/// Lets the state see what was folded.
pub fn told(state: &mut State, second: u64) {
    let changes = Changes {
        visible: true,
        targets: false,
    };
    update(state, Event::World(changes), at(second));
}

/// The night's world after 400 seconds.
fn night_world() -> World {
    static WORLD: std::sync::OnceLock<World> = std::sync::OnceLock::new();
    let build = || {
        let mut world = World::new(HostId(0));
        world.host_report(report());
        world.engine_news(EngineNews::Up(engine()), at(0));
        world.engine_news(EngineNews::Listed(containers()), at(0));
        world.proc_snapshot(procs());
        for second in 0..400 {
            let mut snapshot = gpus();
            for gpu in &mut snapshot.gpus {
                gpu.sampled = at(second);
                if let Some(busy) = &mut gpu.gpu_percent {
                    let wave = (second / 7 + u64::from(gpu.index.unwrap_or(0))) % 9;
                    *busy = busy.saturating_sub(wave as u32 * (*busy / 30));
                }
            }
            world.gpu_snapshot(snapshot, at(second));
            world.usage_snapshot(usages(second), at(second));
        }
        world
    };
    WORLD.get_or_init(build).clone()
}

/// The night, live, with a short history.
pub fn night(columns: u16, rows: u16) -> State {
    let mut state = blank(columns, rows);
    state.world = night_world();
    told(&mut state, 400);
    state
}

/// Presses keys, a character each; returns all effects.
pub fn type_keys(state: &mut State, text: &str, second: u64) -> Vec<super::Effect> {
    text.chars()
        .flat_map(|c| update(state, Event::Key(KeyPress::char(c)), at(second)))
        .collect()
}

/// Presses one key.
pub fn press(state: &mut State, key: Key, second: u64) -> Vec<super::Effect> {
    update(state, Event::Key(KeyPress::plain(key)), at(second))
}

/// Presses Control and a character.
pub fn ctrl(state: &mut State, c: char, second: u64) -> Vec<super::Effect> {
    update(state, Event::Key(KeyPress::ctrl(c)), at(second))
}

/// The drawn buffer.
pub fn buffer(state: &State) -> Buffer {
    let (columns, rows) = state.ui.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    draw(state, &theme(), &mut buffer);
    buffer
}

pub fn theme() -> Theme {
    Theme::built_in("dark").unwrap()
}

/// The screen as text, wide characters once, blanks at line ends left out.
pub fn screen(state: &State) -> String {
    use unicode_width::UnicodeWidthStr;
    let buffer = buffer(state);
    let area = *buffer.area();
    let mut text = String::new();
    for y in 0..area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..area.width {
            let symbol = buffer.cell((x, y)).map_or(" ", |c| c.symbol());
            if skip > 0 {
                skip -= 1;
                assert_eq!(
                    symbol, " ",
                    "the second cell of a wide character at {x},{y}"
                );
                continue;
            }
            skip = symbol.width().saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
