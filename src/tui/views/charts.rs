//! Charts of the last hour, or of the last five minutes in fine steps.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::details::note;
use crate::model::GpuKey;
use crate::tui::fmt::{ABSENT, Bytes, Percent, put};
use crate::tui::state::columns::gpu_label;
use crate::tui::state::{Page, State};
use crate::tui::widgets::{Chart, Paint, Tone, chart, width};
use crate::watch::Series;

/// Samples of the hour (ten seconds each) and of the five minutes (one second each).
const HOUR: usize = 360;
const FINE: usize = 300;

/// How a value is printed.
#[derive(Clone, Copy)]
enum Unit {
    Percent,
    Bytes,
    Watts,
    Celsius,
}

/// One chart of the pane.
struct Pane<'a> {
    title: Cow<'static, str>,
    series: Option<&'a Series>,
    /// The upper edge, where the thing itself gives one (100 %, the card's memory).
    ceiling: Option<f32>,
    unit: Unit,
    tone: Tone,
}

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, area: Rect) {
    match state.ui.page {
        Page::Gpus => gpu(state, paint, area),
        _ => container(state, paint, area),
    }
}

fn container(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let Some(key) = state.list.selected_key() else {
        note(paint, area, "select a container to see its last hour");
        return;
    };
    let Some(chart) = state.world.container_charts.get(&key) else {
        note(
            paint,
            area,
            "no samples yet: it has not run while midwatch was watching",
        );
        return;
    };
    let joined = state.world.joined.containers.get(&key);
    let used = joined.map(|g| g.used.as_slice()).unwrap_or(&[]);
    let gpus = used.iter().map(|u| &u.gpu.key);
    let memory_ceiling = total_memory(state, gpus.clone());
    let row = state.world.rows.get(&key);
    let usage = row.and_then(|r| r.usage.as_ref());
    let limit = usage.and_then(|u| u.memory_limit_bytes).map(|b| b as f32);
    let mut panes: Vec<Pane<'_>> = Vec::with_capacity(6);
    let has_gpu = !used.is_empty()
        || chart.gpu_memory_bytes.coarse().any(|v| v.is_some())
        || chart.gpu_memory_bytes.fine().any(|v| v.is_some());
    if has_gpu {
        panes.push(Pane {
            title: "SM % of its GPUs".into(),
            series: Some(&chart.sm_percent),
            ceiling: Some(100.0),
            unit: Unit::Percent,
            tone: Tone::ChartA,
        });
        panes.push(Pane {
            title: "GPU memory".into(),
            series: Some(&chart.gpu_memory_bytes),
            ceiling: memory_ceiling,
            unit: Unit::Bytes,
            tone: Tone::ChartB,
        });
    }
    panes.push(Pane {
        title: "CPU (one core = 100 %)".into(),
        series: Some(&chart.cpu_percent),
        ceiling: None,
        unit: Unit::Percent,
        tone: Tone::ChartA,
    });
    panes.push(Pane {
        title: "Memory".into(),
        series: Some(&chart.memory_bytes),
        ceiling: limit.filter(|l| chart.memory_bytes.last().is_some_and(|v| v * 4.0 > *l)),
        unit: Unit::Bytes,
        tone: Tone::ChartB,
    });
    // Power beside busy: 100 % at idle watts is a hung collective.
    for gpu in gpus.take(2) {
        panes.push(Pane {
            title: power_title(state, gpu),
            series: state.world.gpu_charts.get(gpu).map(|c| &c.power_watts),
            ceiling: power_limit(state, gpu),
            unit: Unit::Watts,
            tone: Tone::ChartC,
        });
    }
    // The most telling charts stay when room is short: busy, GPU memory, power, then the host's.
    if has_gpu && panes.len() > 4 {
        let power = panes.remove(4);
        panes.insert(2, power);
    }
    grid(state, paint, area, &panes);
}

fn gpu(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let Some(gpu) = state.selected_gpu() else {
        note(paint, area, "no GPU");
        return;
    };
    let Some(chart) = state.world.gpu_charts.get(&gpu.key) else {
        note(paint, area, "no samples yet");
        return;
    };
    let panes = [
        Pane {
            title: "Busy".into(),
            series: Some(&chart.gpu_percent),
            ceiling: Some(100.0),
            unit: Unit::Percent,
            tone: Tone::ChartA,
        },
        Pane {
            title: "Memory".into(),
            series: Some(&chart.memory_bytes),
            ceiling: gpu.memory.map(|m| m.total_bytes as f32),
            unit: Unit::Bytes,
            tone: Tone::ChartB,
        },
        Pane {
            title: "Power".into(),
            series: Some(&chart.power_watts),
            ceiling: power_limit(state, &gpu.key),
            unit: Unit::Watts,
            tone: Tone::ChartC,
        },
        Pane {
            title: "Temperature".into(),
            series: Some(&chart.temperature_celsius),
            ceiling: gpu.slowdown_celsius.map(|c| c as f32),
            unit: Unit::Celsius,
            tone: Tone::ChartD,
        },
    ];
    grid(state, paint, area, &panes);
}

/// With the GPU's number: two charts of two GPUs stand side by side.
fn power_title(state: &State, gpu: &GpuKey) -> Cow<'static, str> {
    let mut title = String::from("GPU ");
    gpu_label(&mut title, &state.world, gpu);
    title.push_str(" power");
    title.into()
}

fn total_memory<'a>(state: &State, keys: impl Iterator<Item = &'a GpuKey>) -> Option<f32> {
    let mut total = 0u64;
    for key in keys {
        let mut gpus = state.world.gpus.iter().flat_map(|s| &s.gpus);
        total += gpus.find(|g| g.key == *key)?.memory?.total_bytes;
    }
    (total > 0).then_some(total as f32)
}

fn power_limit(state: &State, key: &GpuKey) -> Option<f32> {
    let mut gpus = state.world.gpus.iter().flat_map(|s| &s.gpus);
    gpus.find(|g| g.key == *key)?
        .power_limit_watts
        .map(|w| w as f32)
}

/// Whether the five minutes are shown: by choice, else while the hour has little to show.
pub(crate) fn fine(state: &State, series: &Series) -> bool {
    state.ui.fine.unwrap_or_else(|| series.coarse().len() < 60)
}

/// Lays the charts out: side by side as far as each keeps a readable width.
fn grid(state: &State, paint: &mut Paint<'_>, area: Rect, panes: &[Pane<'_>]) {
    if area.height < 2 || panes.is_empty() {
        return;
    }
    let most_columns = (area.width / 34).clamp(1, 3);
    let least_columns = (area.width / 62).clamp(1, most_columns);
    let rows_for = |columns: u16| u16::try_from(panes.len()).unwrap_or(1).div_ceil(columns);
    let mut columns = least_columns;
    while columns < most_columns && area.height / rows_for(columns) < 7 {
        columns += 1;
    }
    // What does not get three lines is left out.
    let rows = rows_for(columns).min((area.height / 3).max(1));
    let height = area.height / rows;
    let extra = area.height % rows;
    let width = area.width / columns;
    for (place, pane) in panes.iter().enumerate().take(usize::from(rows * columns)) {
        let place = u16::try_from(place).unwrap_or(0);
        let (row, column) = (place / columns, place % columns);
        let x = area.x + column * width;
        let last = column + 1 == columns;
        let w = if last { area.right() - x } else { width - 1 };
        let y = area.y + row * height + row.min(extra);
        let h = height + u16::from(row < extra);
        draw_pane(state, paint, Rect::new(x, y, w, h), pane);
    }
}

fn draw_pane(state: &State, paint: &mut Paint<'_>, area: Rect, pane: &Pane<'_>) {
    let Some(series) = pane.series else { return };
    let fine = fine(state, series);
    let peak = if fine {
        peak(series.fine())
    } else {
        peak(series.coarse())
    };
    // Where nothing has been drawn yet there is a value all the same.
    let highest = peak.or_else(|| series.last());
    let max = match (pane.ceiling, highest) {
        (Some(ceiling), Some(peak)) if peak <= ceiling => ceiling,
        (Some(ceiling), None) => ceiling,
        _ => nice(highest.unwrap_or(0.0), pane.unit),
    };
    let y = area.y;
    let end = area.right();
    let mut x = paint.text(
        area.x + 1,
        y,
        area.width.saturating_sub(1),
        &pane.title,
        Tone::Heading,
    ) + 1;
    match series.last() {
        Some(last) => {
            let mut text = String::new();
            push_value(&mut text, last, pane.unit);
            x = paint.text(x, y, end.saturating_sub(x), &text, Tone::Strong);
        }
        None => x = paint.text(x, y, end.saturating_sub(x), ABSENT, Tone::Dim),
    }
    let span = if fine { " · 5 min" } else { " · 1 h" };
    x = piece(paint, x, y, end, span);
    let mut text = String::new();
    if let Some(peak) = peak {
        text.push_str(" · peak ");
        push_value(&mut text, peak, pane.unit);
        x = piece(paint, x, y, end, &text);
    }
    text.clear();
    text.push_str(" · top ");
    push_value(&mut text, max, pane.unit);
    piece(paint, x, y, end, &text);
    let area = Rect::new(
        area.x + 1,
        y + 1,
        area.width.saturating_sub(1),
        area.height.saturating_sub(1),
    );
    if fine {
        let what = Chart {
            values: series.fine(),
            count: series.fine_count(),
            span: FINE,
            max,
            tone: pane.tone,
        };
        chart(paint, area, what);
    } else {
        let what = Chart {
            values: series.coarse(),
            count: series.coarse_count(),
            span: HOUR,
            max,
            tone: pane.tone,
        };
        chart(paint, area, what);
    }
}

fn peak(values: impl Iterator<Item = Option<f32>>) -> Option<f32> {
    values.flatten().reduce(f32::max)
}

/// The next round number at or above a peak.
fn nice(peak: f32, unit: Unit) -> f32 {
    // Round in the unit that is printed: binary for bytes, decimal for the rest.
    let (mut step, base, parts): (f32, f32, &[f32]) = match unit {
        Unit::Bytes => (1_048_576.0, 2.0, &[1.0, 1.25, 1.5, 1.75]),
        Unit::Percent | Unit::Watts | Unit::Celsius => (10.0, 10.0, &[1.0, 2.0, 3.0, 5.0, 8.0]),
    };
    while step < f32::MAX / 100.0 {
        if let Some(part) = parts.iter().find(|part| step * **part >= peak) {
            return step * part;
        }
        step *= base;
    }
    step
}

/// A piece of the title, if the whole of it fits.
fn piece(paint: &mut Paint<'_>, x: u16, y: u16, end: u16, text: &str) -> u16 {
    if x + width(text) > end {
        return end;
    }
    paint.text(x, y, end - x, text, Tone::Dim)
}

fn push_value(out: &mut String, value: f32, unit: Unit) {
    let number = f64::from(value);
    match unit {
        Unit::Percent => put(out, format_args!("{}", Percent(number))),
        Unit::Bytes => put(out, format_args!("{}", Bytes(number))),
        Unit::Watts => put(out, format_args!("{number:.0} W")),
        Unit::Celsius => put(out, format_args!("{number:.0}°C")),
    }
}
