//! What the containers and the machine spend, as functions of time.

use crate::model::{ContainerUsage, HostReport, Stamp, UsageSnapshot, UsageSource};

use super::cast::{CPUS, GIB, HOST_MEMORY, HOST_NAME, Program};
use super::programs::training_phase;
use super::random::Dice;
use super::training::{self, Phase};
use super::world::{Member, Run, T, World};

/// One container's spending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spent {
    pub cpu_percent: f64,
    pub memory: u64,
    pub rx: u64,
    pub tx: u64,
    pub read: u64,
    pub written: u64,
    pub pids: u64,
}

/// Bytes after `elapsed` milliseconds at a mean rate, in bursts, never falling.
fn grown(dice: Dice, elapsed: i64, bytes_per_second: f64) -> u64 {
    let seconds = elapsed.max(0) as f64 / 1000.0;
    let knot = (elapsed.max(0) / 10_000) as u64;
    // Within ten seconds the counter moves between its two ends by a part that only grows.
    let part = seconds / 10.0 - knot as f64;
    let bend = 0.4 + 0.5 * dice.unit(knot);
    let bent = part.powf(1.0 / (0.5 + bend));
    ((knot as f64 + bent) * 10.0 * bytes_per_second) as u64
}

/// What a live run spends at `t`.
pub(super) fn spent(world: &World, member: &Member, run: &Run, t: T) -> Spent {
    let dice = Dice::new(world.seed, member.role.name);
    let ripple = dice.wave(t, 3_100);
    let slow = dice.wave(t, 60_000);
    let age = run.elapsed(t);
    let mib = |m: f64| (m.max(1.0) * 1_048_576.0) as u64;
    let gib = |g: f64| mib(g * 1024.0);
    let quiet = |cpu: f64, memory: u64, rx: f64, tx: f64, wr: f64, pids: u64| Spent {
        cpu_percent: (cpu * (1.0 + 0.35 * ripple)).max(0.0),
        memory: (memory as f64 * (1.0 + 0.004 * slow)) as u64,
        rx: grown(dice, age, rx),
        tx: grown(dice, age + 3_000, tx),
        read: mib(38.0),
        written: grown(dice, age, wr),
        pids,
    };
    let mut spent = match member.role.program {
        Program::Trainer => trainer(dice, run, t),
        Program::Evaluation => quiet(310.0, gib(20.0), 900.0, 400.0, 0.0, 214),
        Program::Notebook => quiet(0.9, gib(2.1), 260.0, 410.0, 900.0, 61),
        Program::Server => quiet(96.0, gib(1.7), 3_000.0, 800.0, 0.0, 44),
        Program::Redis => quiet(0.35, mib(212.0), 21_000.0, 64_000.0, 9_000.0, 6),
        Program::Postgres => quiet(1.6, mib(1_480.0), 38_000.0, 91_000.0, 120_000.0, 23),
        Program::Grafana => quiet(0.5, mib(168.0), 4_000.0, 21_000.0, 700.0, 31),
        Program::Prometheus => quiet(2.4, mib(871.0), 52_000.0, 9_000.0, 61_000.0, 27),
        Program::Exporter => quiet(1.1, mib(412.0), 900.0, 14_000.0, 0.0, 26),
        Program::Backup => quiet(71.0, mib(38.0), 9_400_000.0, 31_000.0, 6_100_000.0, 3),
        Program::Training => quiet(238.0, gib(18.0), 1_900.0, 2_600.0, 41_000.0, 94),
        Program::Serving => quiet(104.0, gib(9.0), 21_000.0, 64_000.0, 300.0, 71),
        Program::Smi | Program::Brief => quiet(3.0, mib(24.0), 0.0, 0.0, 0.0, 2),
        Program::Job => quiet(0.2, mib(31.0), 300.0, 200.0, 0.0, 4),
    };
    // A young process has not grown yet.
    let young = (age as f64 / 20_000.0).clamp(0.05, 1.0);
    spent.memory = (spent.memory as f64 * young) as u64;
    if run.is_frozen() {
        spent.cpu_percent = 0.0;
    }
    spent
}

fn trainer(dice: Dice, run: &Run, t: T) -> Spent {
    let ripple = dice.wave(t, 2_900);
    let age = run.elapsed(t);
    let (phase, ending) = training_phase(run, t)
        .map_or((Phase::Done, true), |(progress, ending)| {
            (progress.phase, ending)
        });
    let (cpu, memory) = match phase {
        Phase::Loading(part) => (140.0 + 40.0 * ripple, 6.0 + part * 70.0),
        _ if ending => (190.0 + 20.0 * ripple, 104.0),
        Phase::Step => (412.0 + 14.0 * ripple, 88.0 + 0.4 * ripple),
        Phase::Eval => (236.0 + 11.0 * ripple, 88.6),
        Phase::Checkpoint(part) => (197.0 + 22.0 * ripple, 88.0 + 16.0 * (1.0 - part)),
        Phase::Done => (3.0, 86.0),
    };
    // A checkpoint of an 8 B model with its optimizer: 96 GB.
    let written = training::checkpoints(run.base, age) * 96.4e9;
    Spent {
        cpu_percent: cpu.max(0.0),
        memory: (memory * GIB as f64) as u64,
        rx: grown(dice, age, 1_900.0),
        tx: grown(dice, age, 2_600.0),
        read: 32_200_000_000u64.min(age.max(0) as u64 * 340_000)
            + grown(dice, age - training::LOAD, 1_150_000.0),
        written: written.max(0.0) as u64 + grown(dice, age, 3_100.0),
        pids: if matches!(phase, Phase::Loading(_)) {
            96
        } else {
            287
        },
    }
}

/// Every live container's spending.
pub(super) fn snapshot(world: &World, t: T, now: Stamp) -> UsageSnapshot {
    let mut entries = Vec::new();
    let mut local = Vec::new();
    for member in world.members.values() {
        let Some(run) = member.live() else { continue };
        local.push(member.key);
        let used = spent(world, member, run, t);
        let limit = match member.role.memory_limit {
            0 => HOST_MEMORY,
            limit => limit,
        };
        entries.push(ContainerUsage {
            key: member.key,
            at: now,
            source: UsageSource::Cgroup,
            // Like a real source, the first second of a run has nothing to compare with.
            cpu_percent: (run.elapsed(t) >= 1_000).then_some(used.cpu_percent),
            memory_used_bytes: Some(used.memory),
            memory_limit_bytes: Some(limit),
            network_rx_bytes: Some(used.rx),
            network_tx_bytes: Some(used.tx),
            block_read_bytes: Some(used.read),
            block_write_bytes: Some(used.written),
            pids: Some(used.pids),
            oom_kills: Some(0),
        });
    }
    UsageSnapshot {
        entries,
        local,
        not_local: Vec::new(),
        interval_ms: 1000,
    }
}

/// The machine.
pub(super) fn report(world: &World, t: T) -> HostReport {
    let mut memory = 21 * GIB;
    let mut cpu = 60.0;
    for member in world.members.values() {
        if let Some(run) = member.live() {
            let used = spent(world, member, run, t);
            memory += used.memory;
            cpu += used.cpu_percent;
        }
    }
    HostReport {
        hostname: HOST_NAME.to_owned(),
        cpus: CPUS,
        memory_total_bytes: Some(HOST_MEMORY),
        // Whole megabytes and hundredths: what a screen could show changing.
        memory_used_bytes: Some(memory >> 20 << 20),
        load_1m: Some(f64::round(cpu) / 100.0),
    }
}
