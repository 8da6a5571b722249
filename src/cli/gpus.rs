//! `midwatch gpus`: GPUs with their processes and containers, as tables or as JSON. Pure: [`World`] in, text out.

use jiff::Timestamp;
use serde::Serialize;

use crate::join::{Owner, ProcUse};
use crate::model::{
    DriverInfo, DriverStatus, Gpu, GpuState, ProcessKind, ThrottleReasons, XidEvent, XidSource,
    mask_command, same_pci_address,
};
use crate::watch::World;

use super::format::{UNKNOWN, bytes, cell};
use super::json::two_decimals;
use super::table::{Align, Table};

/// The `midwatch/gpus/v1` document.
#[derive(Debug, Serialize)]
pub struct GpusJson<'a> {
    schema: &'static str,
    driver_version: Option<&'a str>,
    cuda_driver_version: Option<String>,
    nvml_version: Option<&'a str>,
    /// Whether persistence mode is on for every GPU that tells.
    persistence: Option<bool>,
    gpus: Vec<GpuJson<'a>>,
}

#[derive(Debug, Serialize)]
struct GpuJson<'a> {
    index: Option<u32>,
    uuid: &'a str,
    name: &'a str,
    pci_bus_id: &'a str,
    brand: Option<&'a str>,
    architecture: Option<&'a str>,
    compute_capability: Option<String>,
    state: String,
    memory_total_bytes: Option<u64>,
    memory_used_bytes: Option<u64>,
    memory_reserved_bytes: Option<u64>,
    gpu_percent: Option<u32>,
    memory_percent: Option<u32>,
    temperature_celsius: Option<u32>,
    memory_temperature_celsius: Option<u32>,
    slowdown_celsius: Option<u32>,
    #[serde(serialize_with = "two_decimals")]
    power_watts: Option<f64>,
    #[serde(serialize_with = "two_decimals")]
    power_limit_watts: Option<f64>,
    #[serde(serialize_with = "two_decimals")]
    energy_joules: Option<f64>,
    sm_clock_mhz: Option<u32>,
    memory_clock_mhz: Option<u32>,
    fan_percent: Option<u32>,
    pcie_gen: Option<u32>,
    pcie_gen_max: Option<u32>,
    pcie_width: Option<u32>,
    pcie_width_max: Option<u32>,
    performance_state: Option<u8>,
    compute_mode: Option<&'a str>,
    persistence_mode: Option<bool>,
    throttle_reasons: Option<Vec<String>>,
    ecc: EccJson,
    remapped_rows: RemappedJson,
    xid_events: Vec<XidJson>,
    mig_mode: Option<bool>,
    mig_instances: Vec<MigJson<'a>>,
    processes: Vec<ProcessJson<'a>>,
    unattributed_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct EccJson {
    volatile_uncorrected: Option<u64>,
    aggregate_uncorrected: Option<u64>,
}

#[derive(Debug, Serialize)]
struct RemappedJson {
    pending: Option<bool>,
    failed: Option<bool>,
}

#[derive(Debug, Serialize)]
struct XidJson {
    time: Timestamp,
    xid: Option<u32>,
    source: &'static str,
}

#[derive(Debug, Serialize)]
struct MigJson<'a> {
    uuid: &'a str,
    profile: Option<&'a str>,
    memory_total_bytes: Option<u64>,
    memory_used_bytes: Option<u64>,
    parent_uuid: &'a str,
}

#[derive(Debug, Serialize)]
struct ProcessJson<'a> {
    pid: u32,
    kind: &'static str,
    user: Option<&'a str>,
    command: Option<String>,
    memory_used_bytes: Option<u64>,
    sm_percent: Option<u32>,
    mig_uuid: Option<&'a str>,
    /// `container`, `other-engine`, `host`, `not-permitted` or `unknown`.
    owner: &'static str,
    container: Option<ContainerJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ContainerJson<'a> {
    id: String,
    name: Option<&'a str>,
}

/// The document.
pub fn document<'a>(world: &'a World) -> GpusJson<'a> {
    let info = driver(world);
    let gpus = world
        .gpus
        .as_ref()
        .map_or(&[][..], |snapshot| &snapshot.gpus);
    let told: Vec<bool> = gpus.iter().filter_map(|gpu| gpu.persistence_mode).collect();
    GpusJson {
        schema: "midwatch/gpus/v1",
        driver_version: info.and_then(|i| i.driver_version.as_deref()),
        cuda_driver_version: info
            .and_then(|i| i.cuda_driver_version)
            .map(|(major, minor)| format!("{major}.{minor}")),
        nvml_version: info.and_then(|i| i.nvml_version.as_deref()),
        persistence: (!told.is_empty()).then(|| told.iter().all(|on| *on)),
        gpus: gpus.iter().map(|gpu| gpu_json(world, gpu)).collect(),
    }
}

fn driver(world: &World) -> Option<&DriverInfo> {
    match &world.gpus.as_ref()?.driver {
        DriverStatus::Up(info) => Some(info),
        _ => None,
    }
}

fn gpu_json<'a>(world: &'a World, gpu: &'a Gpu) -> GpuJson<'a> {
    // Numbers of a card that no longer answers are old: not what it is now.
    let fresh = gpu.state == GpuState::Ok;
    let now = |value: Option<u32>| value.filter(|_| fresh);
    GpuJson {
        index: gpu.index,
        uuid: gpu.key.uuid.as_str(),
        name: &gpu.name,
        pci_bus_id: &gpu.pci_bus_id,
        brand: gpu.brand.as_deref(),
        architecture: gpu.architecture.as_deref(),
        compute_capability: gpu.compute_capability.map(|cc| cc.to_string()),
        state: state(gpu),
        memory_total_bytes: gpu.memory.map(|m| m.total_bytes),
        memory_used_bytes: gpu.memory.filter(|_| fresh).map(|m| m.used_bytes),
        memory_reserved_bytes: gpu.memory.filter(|_| fresh).and_then(|m| m.reserved_bytes),
        gpu_percent: now(gpu.gpu_percent),
        memory_percent: now(gpu.memory_percent),
        temperature_celsius: now(gpu.temperature_celsius),
        memory_temperature_celsius: now(gpu.memory_temperature_celsius),
        slowdown_celsius: gpu.slowdown_celsius,
        power_watts: gpu.power_watts.filter(|_| fresh),
        power_limit_watts: gpu.power_limit_watts,
        energy_joules: gpu.energy_joules.filter(|_| fresh),
        sm_clock_mhz: now(gpu.sm_clock_mhz),
        memory_clock_mhz: now(gpu.memory_clock_mhz),
        fan_percent: now(gpu.fan_percent),
        pcie_gen: now(gpu.pcie.generation),
        pcie_gen_max: gpu.pcie.generation_max,
        pcie_width: now(gpu.pcie.width),
        pcie_width_max: gpu.pcie.width_max,
        performance_state: gpu.performance_state.filter(|_| fresh),
        compute_mode: gpu.compute_mode.as_deref(),
        persistence_mode: gpu.persistence_mode,
        throttle_reasons: gpu.throttle_reasons.filter(|_| fresh).map(|r| r.names()),
        ecc: EccJson {
            volatile_uncorrected: gpu.ecc.and_then(|e| e.volatile_uncorrected),
            aggregate_uncorrected: gpu.ecc.and_then(|e| e.aggregate_uncorrected),
        },
        remapped_rows: RemappedJson {
            pending: gpu.remapped_rows.map(|r| r.pending),
            failed: gpu.remapped_rows.map(|r| r.failed),
        },
        xid_events: xids(world, gpu).map(xid_json).collect(),
        mig_mode: gpu.mig_mode,
        mig_instances: mig_instances(gpu),
        processes: processes(world, gpu)
            .map(|process| process_json(world, process))
            .collect(),
        unattributed_bytes: world.joined.unattributed.get(&gpu.key).copied(),
    }
}

fn mig_instances(gpu: &Gpu) -> Vec<MigJson<'_>> {
    gpu.mig_instances
        .iter()
        .map(|mig| MigJson {
            uuid: mig.key.uuid.as_str(),
            profile: mig.profile.as_deref(),
            memory_total_bytes: mig.memory.map(|m| m.total_bytes),
            memory_used_bytes: mig.memory.map(|m| m.used_bytes),
            parent_uuid: mig.parent.as_str(),
        })
        .collect()
}

/// `ok`, `lost` or `error: …`.
fn state(gpu: &Gpu) -> String {
    match &gpu.state {
        GpuState::Ok => "ok".to_owned(),
        GpuState::Lost(_) => "lost".to_owned(),
        GpuState::Stuck => "error: a driver call to it does not return".to_owned(),
        GpuState::Error(text) => format!("error: {text}"),
    }
}

fn xids<'a>(world: &'a World, gpu: &'a Gpu) -> impl Iterator<Item = &'a XidEvent> {
    world.xids.iter().filter(move |event| match &event.gpu {
        Some(key) => *key == gpu.key,
        None => same_pci_address(&event.pci_bus_id, &gpu.pci_bus_id),
    })
}

fn xid_json(event: &XidEvent) -> XidJson {
    XidJson {
        time: event.time,
        xid: event.xid,
        source: match event.source {
            XidSource::Nvml => "nvml",
            XidSource::KernelLog => "kernel-log",
        },
    }
}

fn processes<'a>(world: &'a World, gpu: &'a Gpu) -> impl Iterator<Item = &'a ProcUse> {
    world
        .joined
        .processes
        .iter()
        .filter(move |process| process.gpu == gpu.key)
}

fn process_json<'a>(world: &'a World, process: &'a ProcUse) -> ProcessJson<'a> {
    ProcessJson {
        pid: process.pid,
        kind: match process.kind {
            ProcessKind::Compute => "compute",
            ProcessKind::Graphics => "graphics",
            ProcessKind::ComputeAndGraphics => "compute+graphics",
        },
        user: process.user.as_deref(),
        command: process.command.as_deref().map(mask_command),
        memory_used_bytes: process.memory_used_bytes,
        sm_percent: process.sm_percent,
        mig_uuid: process.mig.as_ref().map(|key| key.uuid.as_str()),
        owner: match process.owner {
            Owner::Container(_) => "container",
            Owner::Foreign { .. } => "other-engine",
            Owner::Host => "host",
            Owner::NotPermitted => "not-permitted",
            Owner::Unknown => "unknown",
        },
        container: match &process.owner {
            Owner::Container(key) => Some(ContainerJson {
                id: key.id.to_string(),
                name: world.rows.get(key).map(|row| row.container.name.as_str()),
            }),
            Owner::Foreign { id, .. } => Some(ContainerJson {
                id: id.to_string(),
                name: None,
            }),
            Owner::Host | Owner::NotPermitted | Owner::Unknown => None,
        },
    }
}

/// One line on the driver, a table of GPUs and, where there are any, one of processes.
pub fn text(world: &World, width: Option<usize>) -> String {
    let mut text = match driver(world) {
        Some(info) => format!(
            "driver {}  CUDA {}\n",
            info.driver_version.as_deref().unwrap_or(UNKNOWN),
            cell(info.cuda_driver_version, |(major, minor)| format!(
                "{major}.{minor}"
            )),
        ),
        None => String::new(),
    };
    let gpus = world
        .gpus
        .as_ref()
        .map_or(&[][..], |snapshot| &snapshot.gpus);
    if gpus.is_empty() {
        let notice = world
            .gpus
            .as_ref()
            .and_then(|snapshot| snapshot.notice.as_ref());
        text.push_str(
            &notice.map_or_else(|| "no GPU\n".to_owned(), |notice| format!("{notice}\n")),
        );
        return text;
    }
    text.push_str(&gpu_table(world, gpus).render(width));
    if !world.joined.processes.is_empty() {
        text.push('\n');
        text.push_str(&process_table(world, gpus).render(width));
    }
    text
}

fn gpu_table(world: &World, gpus: &[Gpu]) -> Table {
    let mut table = Table::new(&[
        ("GPU", Align::Right),
        ("NAME", Align::Left),
        ("BUSY", Align::Right),
        ("MEM", Align::Right),
        ("TOTAL", Align::Right),
        ("UNATTRIBUTED", Align::Right),
        ("TEMP", Align::Right),
        ("POWER", Align::Right),
        ("STATE", Align::Left),
    ]);
    for gpu in gpus {
        let fresh = gpu.state == GpuState::Ok;
        let memory = gpu.memory.filter(|_| fresh);
        table.row([
            cell(gpu.index, |i| i.to_string()),
            gpu.name.to_string(),
            cell(gpu.gpu_percent.filter(|_| fresh), |v| format!("{v}%")),
            cell(memory, |m| bytes(m.used_bytes)),
            cell(gpu.memory, |m| bytes(m.total_bytes)),
            cell(world.joined.unattributed.get(&gpu.key).copied(), bytes),
            cell(gpu.temperature_celsius.filter(|_| fresh), |v| {
                format!("{v}°C")
            }),
            power(gpu, fresh),
            state_words(world, gpu),
        ]);
        for mig in &gpu.mig_instances {
            table.row([
                String::new(),
                format!("└ MIG {}", mig.profile.as_deref().unwrap_or(UNKNOWN)),
                UNKNOWN.to_owned(),
                cell(mig.memory, |m| bytes(m.used_bytes)),
                cell(mig.memory, |m| bytes(m.total_bytes)),
                UNKNOWN.to_owned(),
                UNKNOWN.to_owned(),
                UNKNOWN.to_owned(),
                mig.key.uuid.to_string(),
            ]);
        }
    }
    table
}

fn power(gpu: &Gpu, fresh: bool) -> String {
    let draw = cell(gpu.power_watts.filter(|_| fresh), |v| format!("{v:.0}"));
    let limit = cell(gpu.power_limit_watts, |v| format!("{v:.0}"));
    format!("{draw}/{limit} W")
}

/// State, alarms and the newest Xid.
fn state_words(world: &World, gpu: &Gpu) -> String {
    let mut words = match &gpu.state {
        GpuState::Lost(why) => format!("lost: {why}"),
        _ => state(gpu),
    };
    let alarms = gpu
        .throttle_reasons
        .filter(|_| gpu.state == GpuState::Ok)
        .filter(|r| r.has_any(ThrottleReasons::ALARMS));
    if let Some(reasons) = alarms {
        let alarms = ThrottleReasons(reasons.0 & ThrottleReasons::ALARMS.0);
        words.push_str(&format!(", {}", alarms.names().join(", ")));
    }
    if let Some(event) = xids(world, gpu).last() {
        let number = cell(event.xid, |n| n.to_string());
        words.push_str(&format!(
            ", Xid {number} at {}",
            event.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        ));
    }
    words
}

fn process_table(world: &World, gpus: &[Gpu]) -> Table {
    let mut table = Table::new(&[
        ("GPU", Align::Right),
        ("PID", Align::Right),
        ("USER", Align::Left),
        ("CONTAINER", Align::Left),
        ("MEM", Align::Right),
        ("SM%", Align::Right),
        ("COMMAND", Align::Left),
    ]);
    for gpu in gpus {
        for process in processes(world, gpu) {
            table.row([
                cell(gpu.index, |i| i.to_string()),
                process.pid.to_string(),
                cell(process.user.as_deref(), str::to_owned),
                owner(world, process),
                cell(process.memory_used_bytes, bytes),
                cell(process.sm_percent, |v| format!("{v}%")),
                cell(process.command.as_deref(), mask_command),
            ]);
        }
    }
    table
}

fn owner(world: &World, process: &ProcUse) -> String {
    match &process.owner {
        Owner::Container(key) => world
            .rows
            .get(key)
            .map_or_else(|| key.id.short(), |row| row.container.name.clone()),
        Owner::Foreign { runtime, id } => {
            format!("{} {} (another engine)", runtime.as_str(), id.short())
        }
        Owner::Host => "host".to_owned(),
        Owner::NotPermitted => "not permitted".to_owned(),
        Owner::Unknown => UNKNOWN.to_owned(),
    }
}
