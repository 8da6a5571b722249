//! The details: a frame with tabs, and the tab's view in it.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target, charts, facts, inspect, processes, verdict};
use crate::tui::state::columns::Column;
use crate::tui::state::list::Item;
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::widgets::{Paint, Tone, width};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    let Some(area) = layout.details.filter(|a| a.height >= 3) else {
        return;
    };
    regions.add(area, Target::Details);
    let focused = state.ui.focus == Focus::Details && state.ui.layers.is_empty();
    let inside = paint.frame(area, focused);
    tabs(state, paint, area, regions);
    match state.tab() {
        Tab::Charts => charts::draw(state, paint, inside),
        Tab::Logs => logs(state, paint, inside),
        Tab::Processes => processes::draw(state, paint, inside, regions),
        Tab::Verdict => verdict::draw(state, paint, inside),
        Tab::Inspect => inspect::draw(state, paint, inside),
        Tab::Env => inspect::draw_env(state, paint, inside),
        Tab::Facts => facts::draw(state, paint, inside),
        Tab::Users => facts::draw_users(state, paint, inside),
        Tab::Xids => facts::draw_xids(state, paint, inside),
    }
}

/// `┌ llama-sft ── [Charts] Logs  Processes  Inspect  Env ─`
fn tabs(state: &State, paint: &mut Paint<'_>, area: Rect, regions: &mut Regions) {
    let y = area.y;
    let end = area.right() - 1;
    let mut x = paint.text(area.x + 1, y, 1, " ", Tone::Title);
    let room = (area.width / 3).max(12);
    x = subject(state, paint, x, y, room);
    x = paint.text(x, y, 1, " ", Tone::Title) + 2;
    for tab in state.ui.page.tabs() {
        if x + 4 >= end {
            break;
        }
        let start = x;
        let label = tab.label();
        if *tab == state.tab() {
            x = paint.write(x, y, end - x, Tone::Accent, format_args!("[{label}]"));
        } else {
            x = paint.write(x, y, end - x, Tone::Dim, format_args!(" {label} "));
        }
        regions.add(Rect::new(start, y, x - start, 1), Target::Tab(*tab));
    }
    image(state, paint, x, y, end);
}

/// The selected container's image at the frame's right end, where the list has no room for that column.
fn image(state: &State, paint: &mut Paint<'_>, x: u16, y: u16, end: u16) {
    let listed = |column: Column| state.list.widths.iter().any(|(c, _)| *c == column);
    if state.ui.page != Page::Containers || listed(Column::Image) || merged(state) {
        return;
    }
    let key = state.list.selected_key();
    let Some(row) = key.and_then(|key| state.world.rows.get(&key)) else {
        return;
    };
    let full = row.container.image.as_str();
    let name = full.rsplit('/').next().unwrap_or(full);
    let room = end.saturating_sub(x + 4);
    if room < 8 || name.is_empty() {
        return;
    }
    let w = width(name).min(room);
    let left = paint.text(end - w - 3, y, 1, " ", Tone::Dim);
    let right = paint.text(left, y, w, name, Tone::Dim);
    paint.text(right, y, 1, " ", Tone::Dim);
}

/// The log shown is of several containers, and not of the selected one.
fn merged(state: &State) -> bool {
    state.tab() == Tab::Logs && !state.merged.is_empty()
}

/// What the details are about.
fn subject(state: &State, paint: &mut Paint<'_>, x: u16, y: u16, room: u16) -> u16 {
    match state.ui.page {
        Page::Containers if merged(state) => paint.write(
            x,
            y,
            room,
            Tone::Title,
            format_args!("{} logs merged", state.merged.len()),
        ),
        Page::Containers => match state.list.selected_item() {
            Some(Item::Container(key)) => match state.world.rows.get(key) {
                Some(row) => paint.text(x, y, room, &row.container.name, Tone::Title),
                None => x,
            },
            Some(Item::Project(project)) => paint.text(x, y, room, project, Tone::Title),
            None => paint.text(x, y, room, "Details", Tone::Title),
        },
        Page::Gpus if state.gpus.all_processes && state.tab() == Tab::Processes => {
            paint.text(x, y, room, "all GPUs", Tone::Title)
        }
        Page::Gpus => match state.top.strip.get(state.gpus.selected) {
            Some(line) => {
                let x = paint.text(x, y, room, &line.label, Tone::Title);
                paint.text(x + 1, y, room.saturating_sub(7), &line.name, Tone::Title)
            }
            None => paint.text(x, y, room, "GPUs", Tone::Title),
        },
        Page::Images => match state.images.lines.get(state.images.selected) {
            Some(line) => paint.text(x, y, room, line.image.display_name(), Tone::Title),
            None => paint.text(x, y, room, "Details", Tone::Title),
        },
    }
}

fn logs(state: &State, paint: &mut Paint<'_>, area: Rect) {
    if state.logs.targets().is_empty() {
        let text = match state.log_targets().is_empty() {
            true => "select a container to read its log",
            false => "opening the log…",
        };
        note(paint, area, text);
        return;
    }
    let (buffer, theme) = paint.parts();
    crate::tui::logs::draw(buffer, area, &state.logs, theme);
}

/// One dim line in an empty pane.
pub(super) fn note(paint: &mut Paint<'_>, area: Rect, text: &str) {
    if area.height > 0 {
        paint.text(
            area.x + 1,
            area.y,
            area.width.saturating_sub(1),
            text,
            Tone::Dim,
        );
    }
}
