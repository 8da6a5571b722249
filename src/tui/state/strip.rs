//! The GPU strip's lines: numbers, alarms, who holds what, and what became of a GPU that does not answer.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::xid;
use crate::join::Owner;
use crate::model::{Gpu, GpuKey, GpuState, MigInstance, Stamp, ThrottleReasons};
use crate::tui::fmt::{ABSENT, Gib, LongAge, between, push_clean, push_gpu_name, put};
use crate::tui::widgets::Tone;
use crate::watch::World;

/// Numbers older than this are shown as old.
const STALE_SECONDS: u64 = 5;

/// One line of the GPU strip.
#[derive(Debug, Default)]
pub struct StripLine {
    pub key: Option<GpuKey>,
    /// `GPU 0`, or `0.1` for a MIG instance.
    pub label: String,
    pub name: String,
    /// A line of words instead of numbers: lost, stuck without numbers, an error.
    pub message: Option<(String, Tone)>,
    pub busy: Option<u32>,
    pub memory_share: Option<f64>,
    pub memory: String,
    pub temperature: String,
    pub temperature_tone: Tone,
    pub power: String,
    /// Throttle alarms, staleness.
    pub alarm: String,
    pub holders: String,
    pub holders_tone: Tone,
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
    let age = now.since(gpu.sampled);
    match &gpu.state {
        GpuState::Lost(how) => {
            line.message = Some((lost_text(world, gpu, how, now, zone), Tone::Bad));
            line.holders = match last_holders.get(&gpu.key) {
                Some(held) => format!("(was: {held})"),
                None if line.holders.is_empty() || line.holders == "free" => String::new(),
                None => format!("(was: {})", line.holders.trim_start_matches("idle · ")),
            };
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
        }
        GpuState::Ok if !live || age.as_secs() >= STALE_SECONDS => {
            *ages = true;
            line.stale = true;
            put(&mut line.alarm, format_args!("{} old", LongAge(age)));
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
            if !line.alarm.is_empty() {
                line.alarm.push(' ');
            }
            line.alarm.push_str(&name);
        }
    }
    if gpu.remapped_rows.is_some_and(|r| r.failed) {
        line.alarm.push_str(" row remapping failed");
    }
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

/// Who holds it: containers by name, then host processes; without any, who was given it, or `free`.
fn holders(world: &World, gpu: &Gpu, mig: Option<&GpuKey>, line: &mut StripLine) {
    let mut names: Vec<String> = Vec::new();
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
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let target = mig.unwrap_or(&gpu.key);
    let idle = mig.is_some() || gpu.gpu_percent == Some(0);
    if !names.is_empty() {
        if idle && mig.is_none() {
            line.holders.push_str("idle · ");
        }
        line.holders.push_str(&names.join(", "));
        line.holders_tone = Tone::Strong;
        return;
    }
    let unattributed = world.joined.unattributed.get(target).copied().unwrap_or(0);
    if unattributed >= 1 << 30 {
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
    let mut given: Vec<&str> = world
        .joined
        .containers
        .iter()
        .filter(|(_, gpus)| gpus.given.iter().any(|g| g.key == *target))
        .filter_map(|(key, _)| world.rows.get(key))
        .filter(|row| row.container.state.is_live())
        .map(|row| row.container.name.as_str())
        .collect();
    given.sort_unstable();
    line.holders_tone = Tone::Dim;
    if given.is_empty() {
        line.holders.push_str("free");
        line.holders_tone = Tone::Good;
    } else {
        line.holders.push_str("idle · ");
        push_clean(&mut line.holders, &given.join(", "));
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

fn lost_text(world: &World, gpu: &Gpu, how: &str, now: Stamp, zone: &TimeZone) -> String {
    let mut text = String::from("lost");
    let event = world.xids.iter().rev().find(|event| {
        event.gpu.as_ref() == Some(&gpu.key)
            || crate::model::same_pci_address(&event.pci_bus_id, &gpu.pci_bus_id)
    });
    match event {
        Some(event) => {
            text.push_str(" — ");
            xid::push_name(&mut text, event);
            let at = event.time.to_zoned(zone.clone());
            let recent = between(event.time, now.wall).as_secs() < 86_400;
            let form = if recent { "%H:%M" } else { "%b %d %H:%M" };
            put(&mut text, format_args!(" at {}", at.strftime(form)));
            text.push_str(": ");
            push_clean(&mut text, xid::name(event));
            // The first step alone: the GPUs page has the rest.
            let action = xid::action(event);
            let first = action.split(';').next().unwrap_or(action);
            put(&mut text, format_args!("; {first}"));
        }
        None => {
            text.push_str(" — ");
            push_clean(&mut text, how);
        }
    }
    text
}
