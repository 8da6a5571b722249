//! The details: a frame with tabs, and the tab's view in it.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target, charts, facts, inspect, processes};
use crate::tui::state::list::Item;
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::widgets::{Paint, Tone};

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
}

/// What the details are about.
fn subject(state: &State, paint: &mut Paint<'_>, x: u16, y: u16, room: u16) -> u16 {
    match state.ui.page {
        Page::Containers => match state.list.selected_item() {
            Some(Item::Container(key)) => match state.world.rows.get(key) {
                Some(row) => paint.text(x, y, room, &row.container.name, Tone::Title),
                None => x,
            },
            Some(Item::Project(project)) => paint.text(x, y, room, project, Tone::Title),
            None => paint.text(x, y, room, "Details", Tone::Title),
        },
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
