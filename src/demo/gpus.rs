//! The four GPUs: numbers of real H100 SXM cards (idle 69 W and 345 MHz, about 630 W under training, no fan,
//! 81559 MiB of which the driver keeps 479), as seen in captures of such machines.

use std::sync::Arc;

use crate::model::{
    BootId, CgroupContainer, CgroupOwner, ComputeCapability, ContainerKey, DriverInfo,
    DriverStatus, Ecc, Gpu, GpuKey, GpuMemory, GpuProcess, GpuSnapshot, GpuState, GpuUuid, HostId,
    Pcie, ProcInfo, ProcKey, ProcSnapshot, ProcessKind, RemappedRows, RuntimeKind, Stamp,
    ThrottleReasons, XidEvent, XidSource,
};

use super::cast::{DRIVER, Program};
use super::programs::{self, KERNEL, RANK_1, training_phase};
use super::random::Dice;
use super::training::Phase;
use super::world::{Member, Run, T, World, lost_since};

const MIB: u64 = 1 << 20;
const TOTAL_MIB: u64 = 81_559;
const RESERVED_MIB: u64 = 479;
const LIMIT_WATTS: f64 = 700.0;
/// PCI addresses, in index order.
const BUSES: [&str; 4] = [
    "00000000:19:00.0",
    "00000000:3B:00.0",
    "00000000:9B:00.0",
    "00000000:CB:00.0",
];
/// The machine was booted this long before the start, milliseconds.
const BOOT_AGO: T = 13 * 86_400_000;

/// A process that holds a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub gpu: usize,
    pub pid: u32,
    pub start: T,
    pub memory_mib: u64,
    pub sm_percent: Option<u32>,
    pub user: (&'static str, u32),
    pub command: String,
    pub container: Option<ContainerKey>,
}

pub(super) fn gpu_key(seed: u64, index: usize) -> GpuKey {
    let d = Dice::new(seed, "gpu");
    let (a, b) = (d.at(index as u64 * 2), d.at(index as u64 * 2 + 1));
    let uuid = format!(
        "GPU-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    );
    GpuKey {
        host: HostId::default(),
        uuid: GpuUuid::new(&uuid),
    }
}

/// Clock ticks after boot.
pub(super) fn start_ticks(start: T) -> u64 {
    u64::try_from((start + BOOT_AGO).max(0) / 10).unwrap_or(0)
}

fn boot(world: &World) -> BootId {
    let d = Dice::new(world.seed, "boot");
    BootId(u128::from(d.at(0)) << 64 | u128::from(d.at(1)))
}

/// How busy a rank of the training is: SM percent and watts.
fn load(dice: Dice, phase: Phase, frozen: bool, t: T) -> (f64, f64) {
    let ripple = dice.wave(t, 2_600);
    let slow = dice.wave(t, 45_000);
    if frozen {
        return (0.0, 118.0 + 2.0 * ripple);
    }
    match phase {
        Phase::Loading(part) if part < 0.25 => (0.0, 84.0 + 3.0 * ripple),
        Phase::Loading(_) => (3.0 + 3.0 * ripple, 131.0 + 8.0 * ripple),
        Phase::Step => (
            91.2 + 2.6 * ripple + 1.2 * slow,
            609.0 + 17.0 * ripple + 8.0 * slow,
        ),
        Phase::Eval => (63.0 + 5.0 * ripple, 431.0 + 22.0 * ripple),
        Phase::Checkpoint(_) => (1.4 + 1.4 * ripple, 127.0 + 4.0 * ripple),
        Phase::Done => (0.0, 121.0 + 2.0 * ripple),
    }
}

/// Framebuffer of a rank, MiB.
fn rank_memory(rank: u64, phase: Phase) -> u64 {
    let full = if rank == 0 { 62_120 } else { 61_342 };
    match phase {
        Phase::Loading(part) if part < 0.05 => 0,
        Phase::Loading(part) if part < 0.2 => 524,
        Phase::Loading(part) => 524 + ((part - 0.2) / 0.8 * 33_000.0) as u64,
        _ => full,
    }
}

/// The training's live run, what it does and whether it is frozen.
fn trainer(world: &World, t: T) -> Option<(ContainerKey, &Run, Phase, bool)> {
    let member = world
        .members
        .values()
        .find(|m| m.role.program == Program::Trainer)?;
    let run = member.live()?;
    let (progress, ending) = training_phase(run, t)?;
    let phase = match progress.phase {
        Phase::Loading(part) => Phase::Loading(part),
        _ if ending => Phase::Checkpoint(0.5),
        phase => phase,
    };
    Some((member.key, run, phase, run.is_frozen()))
}

/// MiB of a card that programs can have: the rest is the driver's and the contexts'.
const MOST_MIB: u64 = 80_800;

/// The processes that hold a GPU, by GPU.
pub(super) fn holders(world: &World, t: T) -> Vec<Holder> {
    let mut held = Vec::new();
    if let Some((key, run, phase, frozen)) = trainer(world, t) {
        for (gpu, nth, command) in [
            (
                0,
                0,
                "python train.py --config configs/llama3-8b-sft.yaml --gpus 2",
            ),
            (
                1,
                RANK_1,
                "/opt/conda/bin/python -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=14, pipe_handle=16)",
            ),
        ] {
            let memory = rank_memory(gpu as u64, phase);
            if memory == 0 || (nth == RANK_1 && run.worker_lost.is_some()) {
                continue;
            }
            let (sm, _) = load(card_dice(world, gpu), phase, frozen, t);
            held.push(Holder {
                gpu,
                pid: run.pid + nth,
                start: run.start + i64::from(nth) * 4_200,
                memory_mib: memory,
                sm_percent: Some(sm.round().clamp(0.0, 100.0) as u32),
                user: ("alice", 1001),
                command: command.to_owned(),
                container: Some(key),
            });
        }
    }
    let (pid, start) = world.heartbeat;
    if start <= t {
        held.push(Holder {
            gpu: 1,
            pid,
            start,
            memory_mib: 526,
            sm_percent: Some(0),
            user: ("root", 0),
            command: "/usr/bin/python3 /opt/site/gpu-heartbeat.py --device 1 --every 60".to_owned(),
            container: None,
        });
    }
    for member in world.members.values() {
        let Some(run) = member.live().filter(|run| {
            // Only the first kernel imported torch; later ones hold nothing.
            member.role.program == Program::Notebook
                && run.worker_lost.is_none()
                && run.start < 0
                && run.term.is_none()
        }) else {
            continue;
        };
        held.push(Holder {
            gpu: 2,
            pid: run.pid + KERNEL,
            start: run.start + 184_000,
            memory_mib: 606,
            sm_percent: Some(0),
            user: ("bob", 1000),
            command: "/opt/conda/bin/python -m ipykernel_launcher -f /home/jovyan/.local/share/jupyter/runtime/kernel-7c1f6a0e.json".to_owned(),
            container: Some(member.key),
        });
    }
    let made: Vec<Holder> = world
        .members
        .values()
        .flat_map(|member| made_holders(world, member, t))
        .collect();
    for mut holder in made {
        // Allocators take what is left: a card never holds more than it has.
        let taken: u64 = held
            .iter()
            .filter(|other| other.gpu == holder.gpu)
            .map(|other| other.memory_mib)
            .sum();
        holder.memory_mib = holder.memory_mib.min(MOST_MIB.saturating_sub(taken)).max(1);
        held.push(holder);
    }
    held.sort_by_key(|h| (h.gpu, h.pid));
    held
}

/// The GPU processes of a container that a user made: one a GPU.
fn made_holders(world: &World, member: &Member, t: T) -> Vec<Holder> {
    let Some((run, made)) = member.live().zip(member.made.as_ref()) else {
        return Vec::new();
    };
    let age = run.elapsed(t);
    let full = match member.role.program {
        Program::Training => 41_000,
        Program::Serving => 72_900,
        _ => return Vec::new(),
    };
    if age < programs::GPU_AFTER {
        return Vec::new();
    }
    let span = (programs::READY_AFTER - programs::GPU_AFTER) as f64;
    let part = ((age - programs::GPU_AFTER) as f64 / span).min(1.0);
    let gpus = made.gpus.iter().enumerate();
    gpus.map(|(nth, gpu)| Holder {
        gpu: *gpu,
        pid: run.pid + nth as u32,
        start: run.start + nth as i64 * 900,
        memory_mib: 520 + (part * f64::from(full - 520)) as u64,
        sm_percent: Some(made_load(world, member, run, *gpu, t).0.round() as u32),
        user: member.role.user,
        command: super::facts::command_line(member.role),
        container: Some(member.key),
    })
    .collect()
}

/// How busy a program that a user made keeps a card: percent and watts.
fn made_load(world: &World, member: &Member, run: &Run, gpu: usize, t: T) -> (f64, f64) {
    let dice = card_dice(world, gpu);
    let (ripple, slow) = (dice.wave(t, 2_900), dice.wave(t, 21_000));
    let loading = run.elapsed(t) < programs::READY_AFTER;
    match member.role.program {
        _ if run.is_frozen() || loading => (0.0, 121.0 + 2.0 * ripple),
        Program::Training => (94.0 + 3.0 * ripple, 588.0 + 21.0 * ripple),
        // A server waits for requests most of the time.
        _ => (
            18.0 + 9.0 * ripple + 8.0 * slow,
            190.0 + 40.0 * slow + 12.0 * ripple,
        ),
    }
}

/// The busiest of them on a card.
fn made_draw(world: &World, index: usize, t: T) -> Option<(f64, f64)> {
    let loads = world.members.values().filter_map(|member| {
        let (run, made) = member.live().zip(member.made.as_ref())?;
        let holds = matches!(member.role.program, Program::Training | Program::Serving)
            && made.gpus.contains(&index)
            && run.elapsed(t) >= programs::GPU_AFTER;
        holds.then(|| made_load(world, member, run, index, t))
    });
    loads.max_by(|a, b| a.1.total_cmp(&b.1))
}

fn card_dice(world: &World, index: usize) -> Dice {
    Dice::new(
        world.seed,
        ["gpu0", "gpu1", "gpu2", "gpu3"]
            .get(index)
            .unwrap_or(&"gpu"),
    )
}

/// Draw of a card at a time, watts, with its busy time in percent.
fn draw(world: &World, index: usize, t: T) -> (f64, f64) {
    let story = story_draw(world, index, t);
    match made_draw(world, index, t) {
        Some((busy, watts)) => (story.0.max(busy.clamp(0.0, 100.0)), story.1.max(watts)),
        None => story,
    }
}

/// As the story has it.
fn story_draw(world: &World, index: usize, t: T) -> (f64, f64) {
    let dice = card_dice(world, index);
    let idle = [70.0, 69.0, 68.0, 0.0].get(index).copied().unwrap_or(69.0);
    let idle = idle + 1.2 * dice.wave(t, 9_000);
    if index > 1 {
        return (0.0, idle);
    }
    match trainer(world, t) {
        Some((_, run, phase, frozen)) => {
            if index == 1 && run.worker_lost.is_some() || rank_memory(index as u64, phase) == 0 {
                return (0.0, idle);
            }
            let (sm, watts) = load(dice, phase, frozen, t);
            // The device counts as busy whenever any kernel runs: a little more than the SMs.
            let busy = if sm < 5.0 {
                sm
            } else {
                (sm + 0.8 + 0.6 * dice.wave(t, 1_700)).min(100.0)
            };
            (busy.max(0.0), watts)
        }
        None => (0.0, idle),
    }
}

/// Core temperature: follows the draw of the last minute.
fn temperature(world: &World, index: usize, t: T) -> f64 {
    let live = trainer(world, t).map(|(_, run, _, _)| run);
    let began = live.map_or(i64::MIN, |run| run.start);
    let mean = (0..6)
        .map(|k| {
            let at = (t - k * 10_000).max(began.min(t));
            draw(world, index, at).1
        })
        .sum::<f64>()
        / 6.0;
    let base = [29.0, 28.0, 30.0, 30.0].get(index).copied().unwrap_or(29.0);
    base + mean * 0.068
}

/// What NVML says.
pub(super) fn snapshot(world: &World, t: T, now: Stamp) -> GpuSnapshot {
    let held = holders(world, t);
    let gpus = (0..BUSES.len())
        .map(|index| {
            if index == 3 {
                lost(world, now)
            } else {
                card(world, index, &held, t, now)
            }
        })
        .collect();
    let processes = held
        .iter()
        .map(|h| GpuProcess {
            gpu: gpu_key(world.seed, h.gpu),
            mig: None,
            pid: h.pid,
            kind: ProcessKind::Compute,
            memory_used_bytes: Some(h.memory_mib * MIB),
            sm_percent: h.sm_percent,
        })
        .collect();
    GpuSnapshot {
        at: now,
        driver: DriverStatus::Up(DriverInfo {
            driver_version: Some(DRIVER.to_owned()),
            cuda_driver_version: Some((12, 4)),
            nvml_version: Some("12.550.163.01".to_owned()),
        }),
        gpus,
        processes,
        notice: None,
        xid_note: None,
    }
}

fn card(world: &World, index: usize, held: &[Holder], t: T, now: Stamp) -> Gpu {
    let (busy, watts) = draw(world, index, t);
    let working = held
        .iter()
        .any(|h| h.gpu == index && h.sm_percent > Some(0));
    let busy = busy.round().clamp(0.0, 100.0) as u32;
    let used: u64 = held
        .iter()
        .filter(|h| h.gpu == index)
        .map(|h| h.memory_mib)
        .sum();
    let heat = temperature(world, index, t).round() as u32;
    let capped = watts > 634.0;
    let reasons = match (working, capped) {
        (false, _) => 0x1,
        (true, true) => 0x4,
        (true, false) => 0,
    };
    let clock = match (working, capped) {
        (false, _) => 345,
        (true, true) => 1905,
        (true, false) => 1980,
    };
    // Joules since the driver was loaded: the mean draw, with the ripple left out so that it never falls.
    let seconds = (t + BOOT_AGO) as f64 / 1000.0;
    let mean = [402.0, 399.0, 188.0].get(index).copied().unwrap_or(69.0);
    Gpu {
        memory: Some(GpuMemory {
            total_bytes: TOTAL_MIB * MIB,
            // A driver keeps a few MiB a card that no process accounts for.
            used_bytes: (used + if used > 0 { 14 } else { 1 }) * MIB,
            reserved_bytes: Some(RESERVED_MIB * MIB),
        }),
        gpu_percent: Some(busy),
        memory_percent: Some(busy * 46 / 100),
        temperature_celsius: Some(heat),
        memory_temperature_celsius: Some(heat + if watts > 300.0 { 12 } else { 6 }),
        slowdown_celsius: Some(87),
        power_watts: Some((watts * 100.0).round() / 100.0),
        power_limit_watts: Some(LIMIT_WATTS),
        energy_joules: Some((seconds * mean).round()),
        sm_clock_mhz: Some(clock),
        memory_clock_mhz: Some(2619),
        pcie: Pcie {
            generation: Some(5),
            generation_max: Some(5),
            width: Some(16),
            width_max: Some(16),
        },
        performance_state: Some(0),
        compute_mode: Some("Default".into()),
        persistence_mode: Some(true),
        throttle_reasons: Some(ThrottleReasons(reasons)),
        ecc: Some(Ecc {
            volatile_uncorrected: Some(0),
            aggregate_uncorrected: Some(0),
        }),
        remapped_rows: Some(RemappedRows {
            pending: false,
            failed: false,
        }),
        mig_mode: Some(false),
        ..empty(world, index, GpuState::Ok, now)
    }
}

fn lost(world: &World, now: Stamp) -> Gpu {
    let state = GpuState::Lost("it fell off the bus".to_owned());
    let mut gpu = empty(world, 3, state, now);
    gpu.sampled = stamp_before(world, now);
    gpu
}

/// When the lost card last answered: before this process's own clock began, so its beginning stands in.
fn stamp_before(world: &World, now: Stamp) -> Stamp {
    Stamp {
        mono: std::time::Duration::ZERO.min(now.mono),
        wall: world.wall(lost_since()),
    }
}

fn empty(world: &World, index: usize, state: GpuState, now: Stamp) -> Gpu {
    let bus = BUSES.get(index).copied().unwrap_or_default();
    let key = gpu_key(world.seed, index);
    let index = u32::try_from(index).ok();
    Gpu {
        brand: Some("Nvidia".into()),
        architecture: Some("Hopper".into()),
        compute_capability: Some(ComputeCapability { major: 9, minor: 0 }),
        state,
        ..Gpu::silent(key, index, "NVIDIA H100 80GB HBM3", bus, now)
    }
}

/// What procfs says of these processes.
pub(super) fn procs(world: &World, t: T, now: Stamp) -> ProcSnapshot {
    let boot = boot(world);
    let processes = holders(world, t)
        .into_iter()
        .map(|h| ProcInfo {
            key: Some(ProcKey {
                host: HostId::default(),
                boot,
                pid: h.pid,
                start_ticks: start_ticks(h.start),
            }),
            pid: h.pid,
            uid: Some(h.user.1),
            user: Some(Arc::from(h.user.0)),
            command: Some(h.command.into()),
            owner: match h.container {
                Some(key) => CgroupOwner::Containers(vec![CgroupContainer {
                    runtime: RuntimeKind::Docker,
                    id: key.id,
                }]),
                None => CgroupOwner::Host,
            },
        })
        .collect();
    ProcSnapshot {
        at: now,
        processes,
        blind: None,
        pending: false,
    }
}

/// The night's Xids: a page fault of the notebook's in the evening, then the loss of GPU 3.
pub(super) fn xids(world: &World) -> Vec<XidEvent> {
    let event = |t: T, gpu: usize, xid: u32, pid: Option<u32>, rest: &str| {
        let address = BUSES.get(gpu).copied().unwrap_or_default();
        let short = address.get(4..13).unwrap_or(address).to_ascii_lowercase();
        let short = short.strip_suffix(".0").unwrap_or(&short).to_owned();
        let short = short.strip_suffix(".").unwrap_or(&short).to_owned();
        let who = pid.map_or("pid='<unknown>', name=<unknown>".to_owned(), |pid| {
            format!("pid={pid}, name=python")
        });
        XidEvent {
            time: world.wall(t),
            gpu: Some(gpu_key(world.seed, gpu)),
            pci_bus_id: format!("PCI:{short}"),
            xid: Some(xid),
            source: XidSource::KernelLog,
            pid,
            text: format!("NVRM: Xid (PCI:{short}): {xid}, {who}, {rest}"),
        }
    };
    let lost = lost_since();
    vec![
        event(
            -(7 * 60 + 12) * 60_000,
            2,
            31,
            Some(20_917),
            "Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 GPCCLIENT_T1_3 faulted @ 0x7f1c_00000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
        ),
        event(lost, 3, 79, None, "GPU has fallen off the bus."),
        event(
            lost + 20,
            3,
            154,
            None,
            "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
        ),
    ]
}
