//! The GPU strip's lines: numbers, alarms, who holds what, and what became of a GPU that does not answer.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::lost;
use crate::join::Owner;
use crate::model::{Gpu, GpuKey, GpuState, MigInstance, Stamp, ThrottleReasons};
use crate::tui::fmt::{ABSENT, Gib, LongAge, push_clean, push_gpu_name, put};
use crate::tui::widgets::Tone;
use crate::watch::World;

/// Numbers older than this are shown as old.
const STALE_SECONDS: u64 = 5;
/// Memory that no process accounts for is worth a word from here on, bytes. Less is contexts and rounding.
pub const TELLING: u64 = 1 << 30;

/// One line of the GPU strip.
#[derive(Debug, Default)]
pub struct StripLine {
    pub key: Option<GpuKey>,
    /// `GPU 0`, or `0.1` for a MIG instance.
    pub label: String,
    pub name: String,
    /// A line of words instead of numbers: lost, stuck without numbers, an error.
    pub message: Option<(String, Tone)>,
    /// The same in fewer words; empty where there is one form alone.
    pub short: String,
    pub busy: Option<u32>,
    pub memory_share: Option<f64>,
    pub memory: String,
    pub temperature: String,
    pub temperature_tone: Tone,
    pub power: String,
    /// Throttle alarms, staleness.
    pub alarm: String,
    /// The same in the fewest words.
    pub alarm_short: String,
    pub holders: String,
    pub holders_tone: Tone,
    /// Memory that none of the holders accounts for.
    pub unattributed: String,
    pub mig: bool,
    pub stale: bool,
}

/// A GPU's line. `last_holders` remembers who held it when it last answered; `ages` is set where it shows an age.
pub(super) fn gpu_line(
    last_holders: &mut HashMap<GpuKey, String>,
    ages: &mut bool,
    world: &World,
    gpu: &Gpu,
    now: Stamp,
    live: bool,
    zone: &TimeZone,
) -> StripLine {
    let mut line = StripLine {
        key: Some(gpu.key.clone()),
        ..StripLine::default()
    };
    match gpu.index {
        Some(index) => put(&mut line.label, format_args!("GPU {index}")),
        None => line.label.push_str("GPU ?"),
    }
    push_gpu_name(&mut line.name, &gpu.name);
    holders(world, gpu, None, &mut line);
    if !live {
        // Without a driver no process is seen: that says nothing of the GPU.
        line.unattributed.clear();
        line.holders_tone = Tone::Dim;
        line.holders = match last_holders.get(&gpu.key) {
            Some(held) => was(held),
            None => String::new(),
        };
    }
    let age = now.since(gpu.sampled);
    match &gpu.state {
        GpuState::Lost(how) => {
            let (long, short) = lost::text(world, gpu, how, now, zone);
            line.message = Some((long, Tone::Bad));
            line.short = short;
            // A process was there for certain; a grant tells only who could have been.
            let held = match last_holders.get(&gpu.key) {
                Some(held) => Some(held.as_str()),
                None if line.holders_tone == Tone::Strong => Some(line.holders.as_str()),
                None => lost::given_by_name(world, gpu),
            };
            line.holders = held.map(was).unwrap_or_default();
            line.unattributed.clear();
            line.holders_tone = Tone::Dim;
            return line;
        }
        GpuState::Error(text) => {
            let mut message = String::from("error: ");
            push_clean(&mut message, text);
            line.message = Some((message, Tone::Bad));
            return line;
        }
        GpuState::Stuck => {
            *ages = true;
            line.stale = true;
            put(
                &mut line.alarm,
                format_args!("stuck {}: a driver call does not return", LongAge(age)),
            );
            put(
                &mut line.alarm_short,
                format_args!("stuck {}", LongAge(age)),
            );
        }
        GpuState::Ok if !live || age.as_secs() >= STALE_SECONDS => {
            *ages = true;
            line.stale = true;
            put(&mut line.alarm, format_args!("{} old", LongAge(age)));
            line.alarm_short.push_str(&line.alarm);
        }
        GpuState::Ok => {
            if line.holders_tone == Tone::Strong {
                last_holders.insert(gpu.key.clone(), line.holders.clone());
            }
        }
    }
    numbers(gpu, &mut line);
    line
}

/// `(was: llama-sft)`
fn was(held: &str) -> String {
    let mut text = String::from("(was: ");
    push_clean(&mut text, held.trim_start_matches("idle · "));
    text.push(')');
    text
}

/// Busy, memory, heat, power, alarms.
fn numbers(gpu: &Gpu, line: &mut StripLine) {
    line.busy = gpu.gpu_percent;
    match gpu.memory {
        Some(memory) => {
            put(
                &mut line.memory,
                format_args!("{}/{} GiB", Gib(memory.used_bytes), Gib(memory.total_bytes)),
            );
            if memory.total_bytes > 0 {
                line.memory_share = Some(memory.used_bytes as f64 / memory.total_bytes as f64);
            }
        }
        None if gpu.unified_memory => line.memory.push_str("host memory"),
        None => line.memory.push_str(ABSENT),
    }
    match gpu.temperature_celsius {
        Some(heat) => {
            put(&mut line.temperature, format_args!("{heat}°C"));
            let margin = gpu.slowdown_celsius.map(|s| s.saturating_sub(heat));
            line.temperature_tone = match margin {
                Some(0) => Tone::Bad,
                Some(1..=5) => Tone::Warn,
                _ => Tone::Text,
            };
        }
        None => line.temperature.push_str(ABSENT),
    }
    match (gpu.power_watts, gpu.power_limit_watts) {
        (Some(power), Some(limit)) => put(&mut line.power, format_args!("{power:.0}/{limit:.0} W")),
        (Some(power), None) => put(&mut line.power, format_args!("{power:.0} W")),
        _ => line.power.push_str(ABSENT),
    }
    let alarms = gpu
        .throttle_reasons
        .filter(|r| r.has_any(ThrottleReasons::ALARMS));
    if let Some(reasons) = alarms {
        let names = ThrottleReasons(reasons.0 & ThrottleReasons::ALARMS.0).names();
        for name in names {
            push_word(&mut line.alarm, &name);
            let short = match name.as_str() {
                name if name.contains("thermal") => "hot",
                name if name.contains("power_brake") => "brake",
                _ => "slow",
            };
            if !line.alarm_short.split(' ').any(|word| word == short) {
                push_word(&mut line.alarm_short, short);
            }
        }
    }
    if gpu.remapped_rows.is_some_and(|r| r.failed) {
        push_word(&mut line.alarm, "row remapping failed");
        push_word(&mut line.alarm_short, "bad rows");
    }
}

fn push_word(text: &mut String, word: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

/// A MIG instance's line.
pub(super) fn mig_line(
    world: &World,
    gpu: &Gpu,
    place: usize,
    instance: &MigInstance,
) -> StripLine {
    let mut line = StripLine {
        key: Some(instance.key.clone()),
        mig: true,
        ..StripLine::default()
    };
    match gpu.index {
        Some(index) => put(&mut line.label, format_args!("{index}.{place}")),
        None => put(&mut line.label, format_args!("?.{place}")),
    }
    push_clean(&mut line.name, instance.profile.as_deref().unwrap_or("MIG"));
    match instance.memory {
        Some(memory) => {
            put(
                &mut line.memory,
                format_args!("{}/{} GiB", Gib(memory.used_bytes), Gib(memory.total_bytes)),
            );
            if memory.total_bytes > 0 {
                line.memory_share = Some(memory.used_bytes as f64 / memory.total_bytes as f64);
            }
        }
        None => line.memory.push_str(ABSENT),
    }
    holders(world, gpu, Some(&instance.key), &mut line);
    line
}

/// Somebody who holds a GPU.
struct Holder {
    rank: u8,
    memory: u64,
    name: String,
}

/// Who holds it: containers by name, then host processes; without any, who was given it, or `free`.
fn holders(world: &World, gpu: &Gpu, mig: Option<&GpuKey>, line: &mut StripLine) {
    let mut names: Vec<Holder> = Vec::new();
    let here = |process: &&crate::join::ProcUse| {
        process.gpu == gpu.key && mig.is_none_or(|m| process.mig.as_ref() == Some(m))
    };
    if mig.is_none() && !gpu.mig_instances.is_empty() {
        line.holders = format!("MIG, {} instances", gpu.mig_instances.len());
        line.holders_tone = Tone::Dim;
        return;
    }
    for process in world.joined.processes.iter().filter(here) {
        let mut name = String::new();
        owner_name(&mut name, world, process);
        let rank = match process.owner {
            Owner::Container(_) => 0,
            Owner::Foreign { .. } => 1,
            Owner::Host => 2,
            Owner::NotPermitted | Owner::Unknown => 3,
        };
        let memory = process.memory_used_bytes.unwrap_or(0);
        match names.iter_mut().find(|h| h.name == name) {
            Some(holder) => holder.memory += memory,
            None => names.push(Holder { rank, memory, name }),
        }
    }
    // Containers first, the greatest first: a cut line keeps the one that matters.
    names.sort_by(|a, b| {
        let order = a.rank.cmp(&b.rank).then(b.memory.cmp(&a.memory));
        order.then_with(|| a.name.cmp(&b.name))
    });
    let target = mig.unwrap_or(&gpu.key);
    let unattributed = world.joined.unattributed.get(target).copied().unwrap_or(0);
    let idle = mig.is_some() || gpu.gpu_percent == Some(0);
    if !names.is_empty() {
        if idle && mig.is_none() {
            line.holders.push_str("idle · ");
        }
        for (place, holder) in names.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            put(&mut line.holders, format_args!("{comma}{}", holder.name));
        }
        line.holders_tone = Tone::Strong;
        // Contexts and rounding come to more where somebody computes.
        if unattributed >= 2 * TELLING {
            put(
                &mut line.unattributed,
                format_args!("+{} GiB unattributed", Gib(unattributed)),
            );
        }
        return;
    }
    if unattributed >= TELLING {
        put(
            &mut line.holders,
            format_args!("{} GiB held by no visible process", Gib(unattributed)),
        );
        line.holders_tone = Tone::Warn;
        return;
    }
    if !world.joinable() {
        line.holders.push_str(if idle { "idle" } else { "" });
        line.holders_tone = Tone::Dim;
        return;
    }
    given_to(world, target, line);
}

/// Who was given a GPU that nobody uses. On a machine of several GPUs a grant of all of them, as monitoring has, leaves
/// each of them free.
fn given_to(world: &World, target: &GpuKey, line: &mut StripLine) {
    let several = world.gpus.as_ref().is_some_and(|g| g.gpus.len() > 1);
    let (mut claims, mut everywhere): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (key, gpus) in &world.joined.containers {
        let given = gpus.given.iter().any(|g| g.key == *target);
        let Some(row) = world.rows.get(key).filter(|_| given) else {
            continue;
        };
        if row.container.state.is_live() {
            let name = row.container.name.as_str();
            if several && lost::of_all(gpus) {
                everywhere.push(name);
            } else {
                claims.push(name);
            }
        }
    }
    claims.sort_unstable();
    everywhere.sort_unstable();
    if !claims.is_empty() {
        line.holders_tone = Tone::Dim;
        line.holders.push_str("idle · ");
        push_clean(&mut line.holders, &claims.join(", "));
        return;
    }
    line.holders_tone = Tone::Good;
    line.holders.push_str("free");
    if !everywhere.is_empty() {
        line.holders.push_str(" (all GPUs given to ");
        push_clean(&mut line.holders, &everywhere.join(", "));
        line.holders.push(')');
    }
}

/// A process's owner as a name: the container's, or where else it runs.
pub fn owner_name(out: &mut String, world: &World, process: &crate::join::ProcUse) {
    match &process.owner {
        Owner::Container(key) => match world.rows.get(key) {
            Some(row) => push_clean(out, &row.container.name),
            None => out.push_str(&key.id.short()),
        },
        Owner::Foreign { runtime, id } => {
            put(out, format_args!("{} {}", runtime.as_str(), id.short()));
        }
        Owner::Host => {
            out.push_str("host: ");
            let command = process.command.as_deref().unwrap_or("");
            let program = command.split_whitespace().next().unwrap_or("");
            let program = program.rsplit('/').next().unwrap_or(program);
            if program.is_empty() {
                put(out, format_args!("pid {}", process.pid));
            } else {
                push_clean(out, program);
            }
            if let Some(user) = process.user.as_deref() {
                out.push_str(" (");
                push_clean(out, user);
                out.push(')');
            }
        }
        Owner::NotPermitted => put(out, format_args!("not permitted (pid {})", process.pid)),
        Owner::Unknown => put(out, format_args!("pid {}", process.pid)),
    }
}
