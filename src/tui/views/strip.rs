//! The GPU strip: one line a GPU, or two GPUs a line where there are many.

use ratatui::layout::Rect;

use super::layout::{Layout, StripForm};
use super::{Regions, Target, header};
use crate::tui::state::State;
use crate::tui::state::strip::StripLine;
use crate::tui::widgets::{Paint, Tone, bar, width};

/// Columns of the strip's parts, common to all its lines.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    label: u16,
    name: u16,
    bar: u16,
    memory: u16,
    memory_bar: u16,
    temperature: u16,
    power: u16,
}

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    let mut area = layout.strip;
    if area.height == 0 {
        return;
    }
    if let Some(banner) = &state.top.strip_message {
        let used = header::draw_banner(paint, area, banner) - area.y;
        area.y += used;
        area.height -= used;
    }
    let lines = &state.top.strip;
    match layout.strip_form {
        StripForm::Full => {
            regions.add(area, Target::Gpu { a_line: 1 });
            let parts = parts(lines, area.width);
            let rows = usize::from(area.height);
            let cut = lines.len() > rows;
            let shown = if cut { rows.saturating_sub(1) } else { rows };
            for (line, y) in lines.iter().take(shown).zip(area.y..) {
                full_line(
                    paint,
                    Rect::new(area.x, y, area.width, 1),
                    line,
                    &parts,
                    None,
                );
            }
            if cut && area.height > 0 {
                rest(paint, area, lines.get(shown..).unwrap_or(&[]));
            }
        }
        StripForm::Pairs => pairs(state, paint, area, regions),
    }
}

/// Headings over the parts, for the GPUs page.
pub(super) fn heading(paint: &mut Paint<'_>, area: Rect, parts: &Parts) {
    let y = area.y;
    let mut x = area.x + 3;
    paint.text(x, y, parts.label, "GPU", Tone::Heading);
    x += parts.label + 2;
    paint.text(x, y, parts.name, "NAME", Tone::Heading);
    x += parts.name + if parts.name > 0 { 2 } else { 0 };
    paint.right(x, y, parts.bar + 5, "BUSY", Tone::Heading);
    x += parts.bar + 1 + 4 + 2;
    paint.right(x, y, parts.memory, "MEMORY", Tone::Heading);
    x += parts.memory + 1 + parts.memory_bar + if parts.memory_bar > 0 { 2 } else { 1 };
    paint.right(x, y, parts.temperature, "TEMP", Tone::Heading);
    x += parts.temperature + 2;
    paint.right(x, y, parts.power, "POWER", Tone::Heading);
    x += parts.power + 2;
    paint.text(
        x,
        y,
        area.right().saturating_sub(x),
        "ALARMS, HOLDERS",
        Tone::Heading,
    );
}

/// How wide the parts are in `columns` columns.
pub(super) fn parts(lines: &[StripLine], columns: u16) -> Parts {
    let widest = |get: fn(&StripLine) -> &str, least: u16| {
        lines.iter().map(|l| width(get(l))).fold(least, u16::max)
    };
    let mut parts = Parts {
        label: widest(|l| &l.label, 5),
        name: widest(|l| &l.name, 4).min(22),
        bar: 17,
        memory: widest(|l| &l.memory, 1).min(18),
        memory_bar: 15,
        temperature: widest(|l| &l.temperature, 1),
        power: widest(|l| &l.power, 1),
    };
    // The holders' names want room: bars give way first, then the product name.
    let holders = widest(|l| &l.holders, 8).min(if columns >= 140 { 40 } else { 14 });
    let fixed = |p: &Parts| {
        1 + p.label
            + 2
            + p.name
            + 2
            + p.bar
            + 1
            + 4
            + 2
            + p.memory
            + 1
            + p.memory_bar
            + 2
            + p.temperature
            + 2
            + p.power
            + 2
    };
    while fixed(&parts) + holders > columns {
        if parts.bar > 8 {
            parts.bar -= 1;
        } else if parts.memory_bar > 0 {
            parts.memory_bar = if parts.memory_bar > 6 {
                parts.memory_bar - 1
            } else {
                0
            };
        } else if parts.bar > 5 {
            parts.bar -= 1;
        } else if parts.name > 9 || (parts.name > 0 && fixed(&parts) + holders > columns + 8) {
            parts.name -= 1;
        } else {
            break;
        }
    }
    if columns >= 170 {
        parts.bar = 24;
        parts.memory_bar = 20;
    }
    parts
}

/// One GPU over the whole width. `cursor` draws it as a row of a list.
pub(super) fn full_line(
    paint: &mut Paint<'_>,
    area: Rect,
    line: &StripLine,
    parts: &Parts,
    cursor: Option<bool>,
) {
    let y = area.y;
    let end = area.right();
    let mut x = area.x + 1;
    if let Some(selected) = cursor {
        if selected {
            let mark = paint.glyphs().selected;
            paint.text(x, y, 1, mark, Tone::Accent);
        }
        x += 2;
    }
    if line.mig {
        let mark = paint.glyphs().branch_last;
        paint.text(x, y, 1, mark, Tone::Dim);
        paint.text(x + 2, y, parts.label - 2, &line.label, Tone::Dim);
    } else {
        paint.text(x, y, parts.label, &line.label, Tone::Strong);
    }
    x += parts.label + 2;
    if line.message.is_some() {
        message(
            paint,
            Rect::new(x, y, end.saturating_sub(x), 1),
            line,
            parts,
        );
        return;
    }
    paint.text(
        x,
        y,
        parts.name,
        &line.name,
        if line.mig { Tone::Dim } else { Tone::Text },
    );
    x += parts.name + if parts.name > 0 { 2 } else { 0 };
    let tone = |tone| if line.stale { Tone::Stale } else { tone };
    if line.mig {
        x += parts.bar + 1;
        paint.right(x, y, 4, "MIG", Tone::Dim);
    } else {
        bar(
            paint,
            x,
            y,
            parts.bar,
            line.busy.map(|b| f64::from(b) / 100.0),
            tone(Tone::BarFull),
        );
        x += parts.bar + 1;
        match line.busy {
            Some(busy) => {
                let at = x + u16::from(busy < 100) + u16::from(busy < 10);
                paint.write(at, y, 5, tone(Tone::Text), format_args!("{busy}%"));
            }
            None => paint.right(x, y, 4, "—", Tone::Dim),
        }
    }
    x += 4 + 2;
    paint.right(x, y, parts.memory, &line.memory, tone(Tone::Text));
    x += parts.memory + 1;
    bar(
        paint,
        x,
        y,
        parts.memory_bar,
        line.memory_share,
        tone(Tone::BarFull),
    );
    x += parts.memory_bar + if parts.memory_bar > 0 { 2 } else { 1 };
    if !line.mig {
        paint.right(
            x,
            y,
            parts.temperature,
            &line.temperature,
            tone(line.temperature_tone),
        );
    }
    x += parts.temperature + 2;
    if !line.mig {
        paint.right(x, y, parts.power, &line.power, tone(Tone::Text));
    }
    x += parts.power + 2;
    if !line.alarm.is_empty() && x < end {
        let room = end.saturating_sub(x);
        let alarm_tone = if line.stale { Tone::Stale } else { Tone::Warn };
        // A long alarm gives way to some of the holder's name.
        let holders = width(&line.holders).min(8);
        let fits = 2 + width(&line.alarm) + 2 + holders <= room;
        let text = if fits { &line.alarm } else { &line.alarm_short };
        x = paint.text(x, y, 2, paint.glyphs().warning, alarm_tone);
        x = paint.text(x + 1, y, room.saturating_sub(2), text, alarm_tone) + 1;
        x += u16::from(fits);
    }
    if x < end {
        x = paint.text(x, y, end - x, &line.holders, tone(line.holders_tone)) + 2;
    }
    if !line.unattributed.is_empty() && x < end {
        paint.text(x, y, end - x, &line.unattributed, tone(Tone::Warn));
    }
}

/// What happened and who it happened to. Where room is short it is said in fewer words, then the product's name goes.
fn message(paint: &mut Paint<'_>, area: Rect, line: &StripLine, parts: &Parts) {
    let Some((long, tone)) = &line.message else {
        return;
    };
    let name = if parts.name > 0 { parts.name + 2 } else { 0 };
    let holders = width(&line.holders);
    let needs = |text: &str, gap: u16| width(text) + if holders > 0 { gap + holders } else { 0 };
    let short = if line.short.is_empty() {
        long
    } else {
        &line.short
    };
    let (named, text, gap) = if name + needs(long, 3) <= area.width {
        (true, long, 3)
    } else if name + needs(short, 3) <= area.width {
        (true, short, 3)
    } else {
        let gap = if needs(short, 3) <= area.width { 3 } else { 1 };
        (false, short, gap)
    };
    let mut x = area.x;
    if named && name > 0 {
        paint.text(x, area.y, parts.name, &line.name, Tone::Text);
        x += name;
    }
    let room = |x: u16| area.right().saturating_sub(x);
    x = paint.text(x, area.y, room(x), text, *tone) + gap;
    paint.text(x, area.y, room(x), &line.holders, line.holders_tone);
}

fn pairs(state: &State, paint: &mut Paint<'_>, area: Rect, regions: &mut Regions) {
    regions.add(area, Target::Gpu { a_line: 2 });
    let half = area.width / 2;
    let lines = &state.top.strip;
    let rows = usize::from(area.height);
    let cut = lines.len().div_ceil(2) > rows;
    let shown = if cut { rows.saturating_sub(1) } else { rows };
    for (place, line) in lines.iter().take(shown * 2).enumerate() {
        let x = area.x + if place % 2 == 0 { 0 } else { half };
        let y = area.y + u16::try_from(place / 2).unwrap_or(0);
        short_line(paint, Rect::new(x, y, half, 1), line);
    }
    if cut && area.height > 0 {
        rest(paint, area, lines.get(shown * 2..).unwrap_or(&[]));
    }
}

/// `0 ████░ 92% 61.2/80.0 GiB 71°C llama-sft` in half a line.
fn short_line(paint: &mut Paint<'_>, area: Rect, line: &StripLine) {
    let y = area.y;
    let end = area.right().saturating_sub(1);
    let mut x = area.x + 1;
    let label = line.label.strip_prefix("GPU ").unwrap_or(&line.label);
    paint.right(x, y, 4, label, Tone::Strong);
    x += 5;
    if let Some((long, tone)) = &line.message {
        let room = end.saturating_sub(x);
        let fits = width(long) <= room || line.short.is_empty();
        paint.text(x, y, room, if fits { long } else { &line.short }, *tone);
        return;
    }
    let tone = |tone| if line.stale { Tone::Stale } else { tone };
    let columns = if area.width >= 60 { 10 } else { 5 };
    bar(
        paint,
        x,
        y,
        columns,
        line.busy.map(|b| f64::from(b) / 100.0),
        tone(Tone::BarFull),
    );
    x += columns + 1;
    match line.busy {
        Some(busy) => {
            let at = x + u16::from(busy < 100) + u16::from(busy < 10);
            paint.write(at, y, 5, tone(Tone::Text), format_args!("{busy}%"));
        }
        None => paint.right(x, y, 4, "—", Tone::Dim),
    }
    x += 5;
    let memory = line.memory.strip_suffix(" GiB").unwrap_or(&line.memory);
    paint.right(x, y, 10, memory, tone(Tone::Text));
    x += 11;
    if area.width >= 50 {
        paint.right(x, y, 5, &line.temperature, tone(line.temperature_tone));
        x += 6;
    }
    if !line.alarm.is_empty() {
        let alarm_tone = if line.stale { Tone::Stale } else { Tone::Warn };
        let mark = paint.glyphs().warning;
        x = paint.text(x, y, 1, mark, alarm_tone) + 1;
    }
    paint.text(
        x,
        y,
        end.saturating_sub(x),
        &line.holders,
        tone(line.holders_tone),
    );
}

/// What did not fit, in one line.
fn rest(paint: &mut Paint<'_>, area: Rect, lines: &[StripLine]) {
    let y = area.bottom() - 1;
    let lost = lines.iter().filter(|l| l.message.is_some()).count();
    let idle = lines.iter().filter(|l| l.busy == Some(0)).count();
    let x = paint.write(
        area.x + 1,
        y,
        area.width - 1,
        Tone::Dim,
        format_args!("… {} more, {idle} idle", lines.len()),
    );
    if lost > 0 {
        let room = area.right().saturating_sub(x);
        paint.write(
            x,
            y,
            room,
            Tone::Bad,
            format_args!(", {lost} lost or failed"),
        );
    }
}
