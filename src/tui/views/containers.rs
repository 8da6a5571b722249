//! The container list.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target};
use crate::model::EngineStatus;
use crate::tui::state::columns::Align;
use crate::tui::state::list::{Line, gap};
use crate::tui::state::{Focus, State};
use crate::tui::widgets::{Paint, Tone, width};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    let area = layout.list;
    if area.height == 0 {
        return;
    }
    regions.add(area, Target::List);
    let focused = state.ui.focus == Focus::List && state.ui.layers.is_empty();
    let frame = paint.frame(area, focused);
    title(state, paint, area);
    let inside = layout.list_inside();
    if state.list.items.is_empty() {
        nothing(state, paint, frame);
        return;
    }
    headings(
        state,
        paint,
        Rect::new(inside.x + 2, area.y + 1, inside.width, 1),
    );
    for (line, y) in state.list.lines.iter().zip(inside.y..inside.bottom()) {
        let row = Rect::new(frame.x, y, frame.width, 1);
        draw_line(state, paint, row, line);
    }
    regions.add(
        Rect::new(frame.x, inside.y, frame.width, inside.height),
        Target::Row {
            first: state.list.offset,
        },
    );
    paint.scrollbar(
        Rect::new(area.right() - 1, inside.y, 1, inside.height),
        state.list.offset,
        usize::from(inside.height),
        state.list.items.len(),
    );
}

/// `┌ Containers 6 ─ / filter ─ sort: GPU mem ↓ ─ 2 marked ─`
fn title(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let list = &state.list;
    let y = area.y;
    let end = area.right() - 1;
    let shown = list.shown().count();
    let total = state.world.rows.len();
    let mut x = paint.text(area.x + 1, y, end - area.x - 1, " Containers ", Tone::Title);
    x = if shown == total {
        paint.write(x, y, end - x, Tone::Strong, format_args!("{total} "))
    } else {
        paint.write(
            x,
            y,
            end - x,
            Tone::Strong,
            format_args!("{shown} of {total} "),
        )
    };
    x = filter(state, paint, x + 1, y, end, &list.filter);
    let room = |x: u16| end.saturating_sub(x);
    let down = list.sort.descending() != list.reversed;
    let arrow = if down {
        paint.glyphs().descending
    } else {
        paint.glyphs().ascending
    };
    x = paint.write(
        x + 1,
        y,
        room(x + 1),
        Tone::Dim,
        format_args!(" sort: {} {arrow} ", list.sort.label()),
    );
    if list.stopped_hidden > 0 {
        x = paint.write(
            x + 1,
            y,
            room(x + 1),
            Tone::Dim,
            format_args!(" {} stopped hidden ", list.stopped_hidden),
        );
    }
    if !list.marks.is_empty() {
        x = paint.write(
            x + 1,
            y,
            room(x + 1),
            Tone::Marked,
            format_args!(" {} marked ", list.marks.len()),
        );
    }
    if state.stale() && !list.items.is_empty() {
        // The rows were kept true by events until the engine went away.
        if let EngineStatus::Down { since: listed, .. } = &state.world.engine {
            let listed = *listed;
            let age = crate::tui::fmt::LongAge(state.now.since(listed));
            paint.write(
                x + 1,
                y,
                room(x + 1),
                Tone::Bad,
                format_args!(" as of {age} ago "),
            );
        }
    } else if let Some(interval) = state.world.usage_interval_ms.filter(|ms| *ms > 1500) {
        let seconds = interval as f64 / 1000.0;
        paint.write(
            x + 1,
            y,
            room(x + 1),
            Tone::Dim,
            format_args!(" statistics every {seconds:.0} s "),
        );
    }
}

/// The filter in a frame's title, with a cursor while it is written. Returns the column after it.
pub(super) fn filter(
    state: &State,
    paint: &mut Paint<'_>,
    x: u16,
    y: u16,
    end: u16,
    filter: &str,
) -> u16 {
    let room = end.saturating_sub(x);
    match state.filter_prompt() {
        Some(prompt) => {
            let x = paint.text(x, y, room, " / ", Tone::Key);
            let text = prompt.input.value();
            let after = paint.text(x, y, end.saturating_sub(x), text, Tone::Input);
            let at = x + u16::try_from(prompt.input.visual_cursor()).unwrap_or(0);
            if at < end {
                if at >= after {
                    paint.text(at, y, 1, " ", Tone::Input);
                }
                paint.restyle(Rect::new(at, y, 1, 1), Tone::Selected);
            }
            after.max(at + 1) + 1
        }
        None if !filter.is_empty() => {
            let x = paint.text(x, y, room, " / ", Tone::Key);
            paint.text(x, y, end.saturating_sub(x), filter, Tone::Input) + 1
        }
        None => paint.text(x, y, room, " / filter ", Tone::Dim),
    }
}

fn headings(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let space = gap(area.width);
    let mut x = area.x;
    for (column, w) in &state.list.widths {
        let sorted = *column == state.list.sort;
        let tone = if sorted { Tone::Accent } else { Tone::Heading };
        let label = column.label();
        match column.align() {
            Align::Left => {
                // `GPUS given→used` is `GPUS` where the column is narrow.
                let short = label.split(' ').next().unwrap_or(label);
                let label = if width(label) > *w { short } else { label };
                paint.text(x, area.y, *w, label, tone);
            }
            Align::Right => paint.right(x, area.y, *w, label, tone),
        }
        x += w + space;
    }
}

fn draw_line(state: &State, paint: &mut Paint<'_>, area: Rect, line: &Line) {
    let selected = line.index == state.list.selected;
    let stale = state.stale();
    if line.changed && !stale {
        paint.restyle(area, Tone::Changed);
    }
    if selected {
        let here = state.ui.focus == Focus::List;
        paint.restyle(
            area,
            if here {
                Tone::Selected
            } else {
                Tone::SelectedIdle
            },
        );
        let mark = paint.glyphs().selected;
        paint.text(area.x, area.y, 1, mark, Tone::Accent);
    }
    if line.marked {
        let mark = paint.glyphs().marked;
        paint.text(area.x + 1, area.y, 1, mark, Tone::Marked);
    }
    let mut x = area.x + 2;
    if line.heading {
        if let Some(cell) = line.cells.first() {
            let tone = if stale { Tone::Stale } else { cell.tone };
            paint.text(x, area.y, area.right().saturating_sub(x), &cell.text, tone);
        }
        return;
    }
    let space = gap(area.width.saturating_sub(3));
    for (place, (cell, (column, w))) in line.cells.iter().zip(&state.list.widths).enumerate() {
        let mut tone = cell.tone;
        if stale && tone != Tone::Dim {
            tone = Tone::Stale;
        } else if place == 0 && line.marked {
            tone = Tone::Marked;
        }
        let indent = if place == 0 && line.indented {
            2.min(*w)
        } else {
            0
        };
        match column.align() {
            Align::Left => {
                paint.text(x + indent, area.y, w - indent, &cell.text, tone);
            }
            // A number that does not fit is never cut: it takes the gap at its left.
            Align::Right => {
                let over = width(&cell.text).saturating_sub(*w).min(space);
                paint.right(x - over, area.y, w + over, &cell.text, tone);
            }
        }
        x += w + space;
    }
}

/// Why the list is empty. `No containers` only where the engine said so.
fn nothing(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let list = &state.list;
    let y = area.y + 1;
    let x = area.x + 2;
    let room = area.width.saturating_sub(2);
    if state.world.listed.is_none() {
        match &state.world.engine {
            EngineStatus::Down { .. } => {
                paint.text(
                    x,
                    y,
                    room,
                    "nothing is known of the containers: the engine has not answered yet",
                    Tone::Bad,
                );
            }
            _ => {
                paint.text(
                    x,
                    y,
                    room,
                    "asking the engine for its containers…",
                    Tone::Dim,
                );
            }
        }
    } else if list.filtered_out > 0 {
        paint.write(
            x,
            y,
            room,
            Tone::Text,
            format_args!(
                "none of {} containers matches the filter (esc clears it)",
                list.filtered_out
            ),
        );
    } else if list.stopped_hidden > 0 {
        paint.write(
            x,
            y,
            room,
            Tone::Text,
            format_args!(
                "nothing runs; {} stopped containers are hidden",
                list.stopped_hidden
            ),
        );
    } else if state.stale() {
        paint.text(
            x,
            y,
            room,
            "there were no containers when the engine last answered",
            Tone::Stale,
        );
    } else {
        paint.text(x, y, room, "no containers", Tone::Text);
    }
}
