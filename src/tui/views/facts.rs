//! A GPU's every fact, the users, the Xid events.

use std::fmt;

use ratatui::layout::Rect;

use super::details::note;
use crate::join::GpuRef;
use crate::model::{Gpu, GpuState, XidSource};
use crate::tui::fmt::{ABSENT, Bytes, LongAge, between};
use crate::tui::state::columns::gpu_list;
use crate::tui::state::strip::TELLING;
use crate::tui::state::{State, xid};
use crate::tui::widgets::{Paint, Tone};

/// A value or the sign for none.
struct Maybe<T>(Option<T>, &'static str);

impl<T: fmt::Display> fmt::Display for Maybe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => write!(f, "{value}{}", self.1),
            None => f.write_str(ABSENT),
        }
    }
}

/// Writes facts in as many columns as the pane holds.
struct Writer<'p, 'a> {
    paint: &'p mut Paint<'a>,
    area: Rect,
    column: u16,
    columns: u16,
    y: u16,
    skip: usize,
}

impl Writer<'_, '_> {
    fn fact(&mut self, label: &str, tone: Tone, value: fmt::Arguments<'_>) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        if self.column >= self.columns {
            return;
        }
        let width = self.area.width / self.columns;
        let x = self.area.x + 1 + self.column * width;
        let end = (x + width).saturating_sub(2).min(self.area.right());
        self.paint.text(x, self.y, 20, label, Tone::Dim);
        let at = x + 21;
        self.paint
            .write(at, self.y, end.saturating_sub(at), tone, value);
        self.y += 1;
        if self.y >= self.area.bottom() {
            self.y = self.area.y;
            self.column += 1;
        }
    }
}

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let Some(gpu) = state.selected_gpu() else {
        note(paint, area, "no GPU");
        return;
    };
    if area.height == 0 {
        return;
    }
    let mut out = Writer {
        paint,
        area,
        column: 0,
        columns: (area.width / 50).clamp(1, 4),
        y: area.y,
        skip: state.ui.scroll,
    };
    identity(&mut out, gpu);
    load(state, &mut out, gpu);
    health(&mut out, gpu);
    for (place, instance) in gpu.mig_instances.iter().enumerate() {
        let profile = instance.profile.as_deref().unwrap_or(ABSENT);
        let memory = instance.memory.map(|m| Bytes(m.total_bytes as f64));
        out.fact(
            "MIG instance",
            Tone::Text,
            format_args!(
                "{place}: {profile}, {}, {}",
                Maybe(memory, ""),
                instance.key.uuid
            ),
        );
    }
}

fn identity(out: &mut Writer<'_, '_>, gpu: &Gpu) {
    out.fact("name", Tone::Strong, format_args!("{}", gpu.name));
    let tone = if gpu.state == GpuState::Ok {
        Tone::Good
    } else {
        Tone::Bad
    };
    match &gpu.state {
        GpuState::Ok => out.fact("state", tone, format_args!("ok")),
        GpuState::Lost(how) => out.fact("state", tone, format_args!("lost: {how}")),
        GpuState::Stuck => out.fact("state", tone, format_args!("stuck: a call does not return")),
        GpuState::Error(text) => out.fact("state", tone, format_args!("error: {text}")),
    }
    out.fact("UUID", Tone::Text, format_args!("{}", gpu.key.uuid));
    out.fact(
        "PCI address",
        Tone::Text,
        format_args!("{}", gpu.pci_bus_id),
    );
    out.fact(
        "architecture",
        Tone::Text,
        format_args!("{}", Maybe(gpu.architecture.as_deref(), "")),
    );
    out.fact(
        "compute capability",
        Tone::Text,
        format_args!("{}", Maybe(gpu.compute_capability, "")),
    );
    out.fact(
        "brand",
        Tone::Text,
        format_args!("{}", Maybe(gpu.brand.as_deref(), "")),
    );
    out.fact(
        "compute mode",
        Tone::Text,
        format_args!("{}", Maybe(gpu.compute_mode.as_deref(), "")),
    );
    out.fact(
        "persistence mode",
        Tone::Text,
        format_args!("{}", on_off(gpu.persistence_mode)),
    );
    out.fact(
        "MIG mode",
        Tone::Text,
        format_args!("{}", on_off(gpu.mig_mode)),
    );
}

fn load(state: &State, out: &mut Writer<'_, '_>, gpu: &Gpu) {
    out.fact(
        "busy",
        Tone::Text,
        format_args!("{}", Maybe(gpu.gpu_percent, " %")),
    );
    out.fact(
        "memory busy",
        Tone::Text,
        format_args!("{}", Maybe(gpu.memory_percent, " %")),
    );
    match gpu.memory {
        Some(m) => {
            out.fact(
                "memory used",
                Tone::Text,
                format_args!("{}", Bytes(m.used_bytes as f64)),
            );
            out.fact(
                "memory total",
                Tone::Text,
                format_args!("{}", Bytes(m.total_bytes as f64)),
            );
            let reserved = m.reserved_bytes.map(|b| Bytes(b as f64));
            out.fact(
                "kept by the driver",
                Tone::Text,
                format_args!("{}", Maybe(reserved, "")),
            );
        }
        None if gpu.unified_memory => {
            out.fact("memory", Tone::Text, format_args!("shared with the host"));
        }
        None => out.fact("memory", Tone::Text, format_args!("{ABSENT}")),
    }
    let unattributed = state.world.joined.unattributed.get(&gpu.key);
    let tone = if unattributed.is_some_and(|b| *b >= 1 << 30) {
        Tone::Warn
    } else {
        Tone::Text
    };
    out.fact(
        "held by no process",
        tone,
        format_args!("{}", Maybe(unattributed.map(|b| Bytes(*b as f64)), "")),
    );
    out.fact(
        "temperature",
        Tone::Text,
        format_args!("{}", Maybe(gpu.temperature_celsius, " °C")),
    );
    out.fact(
        "memory temperature",
        Tone::Text,
        format_args!("{}", Maybe(gpu.memory_temperature_celsius, " °C")),
    );
    out.fact(
        "slowdown at",
        Tone::Text,
        format_args!("{}", Maybe(gpu.slowdown_celsius, " °C")),
    );
    let power = gpu.power_watts.map(|w| w.round());
    out.fact("power", Tone::Text, format_args!("{}", Maybe(power, " W")));
    out.fact(
        "power limit",
        Tone::Text,
        format_args!("{}", Maybe(gpu.power_limit_watts.map(|w| w.round()), " W")),
    );
    let energy = gpu.energy_joules.map(|j| (j / 36_000.0).round() / 100.0);
    out.fact(
        "energy since load",
        Tone::Text,
        format_args!("{}", Maybe(energy, " kWh")),
    );
    out.fact(
        "SM clock",
        Tone::Text,
        format_args!("{}", Maybe(gpu.sm_clock_mhz, " MHz")),
    );
    out.fact(
        "memory clock",
        Tone::Text,
        format_args!("{}", Maybe(gpu.memory_clock_mhz, " MHz")),
    );
    out.fact(
        "performance state",
        Tone::Text,
        format_args!("{}", PState(gpu.performance_state)),
    );
    out.fact(
        "fan",
        Tone::Text,
        format_args!("{}", Maybe(gpu.fan_percent, " %")),
    );
}

struct PState(Option<u8>);

impl fmt::Display for PState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(state) => write!(f, "P{state}"),
            None => f.write_str(ABSENT),
        }
    }
}

fn health(out: &mut Writer<'_, '_>, gpu: &Gpu) {
    let pcie = &gpu.pcie;
    // A link narrower than it could be under load is worth a look; at idle it sleeps.
    let slow = gpu.gpu_percent.is_some_and(|b| b > 20)
        && (pcie.width < pcie.width_max || pcie.generation < pcie.generation_max);
    let tone = if slow { Tone::Warn } else { Tone::Text };
    out.fact(
        "PCIe now",
        tone,
        format_args!(
            "gen {} x{}",
            Maybe(pcie.generation, ""),
            Maybe(pcie.width, "")
        ),
    );
    out.fact(
        "PCIe at most",
        Tone::Text,
        format_args!(
            "gen {} x{}",
            Maybe(pcie.generation_max, ""),
            Maybe(pcie.width_max, "")
        ),
    );
    match gpu.throttle_reasons {
        Some(reasons) if reasons.0 != 0 => {
            let alarm = reasons.has_any(crate::model::ThrottleReasons::ALARMS);
            for name in reasons.names() {
                let tone = if alarm { Tone::Warn } else { Tone::Text };
                out.fact("clocks held by", tone, format_args!("{name}"));
            }
        }
        Some(_) => out.fact("clocks held by", Tone::Text, format_args!("nothing")),
        None => out.fact("clocks held by", Tone::Dim, format_args!("{ABSENT}")),
    }
    match gpu.ecc {
        Some(ecc) => {
            let bad = |n: Option<u64>| if n > Some(0) { Tone::Bad } else { Tone::Text };
            out.fact(
                "ECC since load",
                bad(ecc.volatile_uncorrected),
                format_args!("{} uncorrected", Maybe(ecc.volatile_uncorrected, "")),
            );
            out.fact(
                "ECC over its life",
                bad(ecc.aggregate_uncorrected),
                format_args!("{} uncorrected", Maybe(ecc.aggregate_uncorrected, "")),
            );
        }
        None => out.fact("ECC", Tone::Dim, format_args!("{ABSENT}")),
    }
    match gpu.remapped_rows {
        Some(rows) => {
            let tone = if rows.failed {
                Tone::Bad
            } else if rows.pending {
                Tone::Warn
            } else {
                Tone::Text
            };
            let text = match (rows.failed, rows.pending) {
                (true, _) => "failed: the card is due for service",
                (false, true) => "pending: reset the GPU to finish",
                (false, false) => "none pending, none failed",
            };
            out.fact("remapped rows", tone, format_args!("{text}"));
        }
        None => out.fact("remapped rows", Tone::Dim, format_args!("{ABSENT}")),
    }
}

fn on_off(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "on",
        Some(false) => "off",
        None => ABSENT,
    }
}

pub(super) fn draw_users(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let users = &state.world.joined.users;
    let orphans = orphans(state);
    if (users.is_empty() && orphans.is_empty()) || area.height < 2 {
        note(paint, area, "nobody holds a GPU");
        return;
    }
    let x = area.x + 1;
    paint.text(x, area.y, 20, "USER", Tone::Heading);
    paint.right(x + 21, area.y, 10, "GPU MEM", Tone::Heading);
    paint.right(x + 32, area.y, 9, "PROCESSES", Tone::Heading);
    paint.text(
        x + 43,
        area.y,
        area.width.saturating_sub(44),
        "GPUS",
        Tone::Heading,
    );
    let mut text = String::new();
    let mut end = area.y + 1;
    let shown = users.iter().skip(state.ui.scroll);
    for (user, y) in shown.zip(area.y + 1..area.bottom()) {
        paint.text(x, y, 20, &user.user, Tone::Strong);
        text.clear();
        match user.memory_used_bytes {
            Some(bytes) => crate::tui::fmt::put(&mut text, format_args!("{}", Bytes(bytes as f64))),
            None => text.push_str(ABSENT),
        }
        paint.right(x + 21, y, 10, &text, Tone::Text);
        text.clear();
        crate::tui::fmt::put(&mut text, format_args!("{}", user.processes));
        paint.right(x + 32, y, 9, &text, Tone::Text);
        text.clear();
        gpu_list(&mut text, &state.world, user.gpus.iter());
        paint.text(x + 43, y, area.width.saturating_sub(44), &text, Tone::Text);
        end = y + 1;
    }
    if orphans.is_empty() || end >= area.bottom() {
        return;
    }
    paint.text(x, end, 20, "(unattributed)", Tone::Warn);
    text.clear();
    let total: u64 = orphans.iter().map(|(_, bytes)| bytes).sum();
    crate::tui::fmt::put(&mut text, format_args!("{}", Bytes(total as f64)));
    paint.right(x + 21, end, 10, &text, Tone::Warn);
    text.clear();
    gpu_list(&mut text, &state.world, orphans.iter().map(|(gpu, _)| gpu));
    text.push_str("  held by no visible process");
    paint.text(x + 43, end, area.width.saturating_sub(44), &text, Tone::Dim);
}

/// GPUs with memory that no process accounts for, bytes.
fn orphans(state: &State) -> Vec<(GpuRef, u64)> {
    let gpus = state.world.gpus.iter().flat_map(|s| &s.gpus);
    gpus.filter_map(|gpu| {
        let bytes = *state.world.joined.unattributed.get(&gpu.key)?;
        let of = GpuRef {
            key: gpu.key.clone(),
            index: gpu.index,
        };
        (bytes >= TELLING).then_some((of, bytes))
    })
    .collect()
}

pub(super) fn draw_xids(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let mut y = area.y;
    let room = area.width.saturating_sub(2);
    let note_text = state
        .world
        .gpus
        .as_ref()
        .and_then(|g| g.xid_note.as_deref());
    if state.world.xids.is_empty() {
        note(paint, area, "no Xid event has been seen");
        y += 1;
    }
    let zone = &state.config.time_zone;
    let events = state.world.xids.iter().rev().skip(state.ui.scroll);
    for event in events {
        if y >= area.bottom() {
            return;
        }
        let at = event.time.to_zoned(zone.clone());
        let mut x = paint.write(
            area.x + 1,
            y,
            room,
            Tone::Text,
            format_args!("{}", at.strftime("%b %d %H:%M:%S")),
        );
        let age = LongAge(between(event.time, state.now.wall));
        x = paint.write(
            x + 1,
            y,
            area.right().saturating_sub(x + 1),
            Tone::Dim,
            format_args!("{age} ago "),
        );
        let mut name = String::new();
        match &event.gpu {
            Some(key) => {
                name.push_str("GPU ");
                crate::tui::state::columns::gpu_label(&mut name, &state.world, key);
            }
            None => name.push_str(&event.pci_bus_id),
        }
        name.push(' ');
        xid::push_name(&mut name, event);
        let severe = if xid::severe(event) {
            Tone::Bad
        } else {
            Tone::Warn
        };
        x = paint.text(x, y, area.right().saturating_sub(x), &name, severe);
        x = paint.text(x, y, 2, ": ", Tone::Dim);
        x = paint.text(
            x,
            y,
            area.right().saturating_sub(x),
            xid::name(event),
            Tone::Text,
        );
        if let Some(pid) = event.pid {
            x = paint.write(
                x,
                y,
                area.right().saturating_sub(x),
                Tone::Dim,
                format_args!(" pid {pid}"),
            );
        }
        let source = match event.source {
            XidSource::Nvml => "NVML",
            XidSource::KernelLog => "kernel log",
        };
        paint.write(
            x,
            y,
            area.right().saturating_sub(x),
            Tone::Dim,
            format_args!(" ({source})"),
        );
        y += 1;
        for (mark, line, tone) in [
            ("  ", xid::meaning(event).unwrap_or(""), Tone::Dim),
            ("→ ", xid::action(event), Tone::Text),
        ] {
            if !line.is_empty() && y < area.bottom() {
                let x = paint
                    .text(area.x + 4, y, 2, mark, Tone::Dim)
                    .max(area.x + 6);
                paint.text(x, y, area.right().saturating_sub(x), line, tone);
                y += 1;
            }
        }
    }
    if let Some(text) = note_text
        && y < area.bottom()
    {
        paint.text(area.x + 1, y, room, text, Tone::Dim);
    }
}
