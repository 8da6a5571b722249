//! The GPUs page: every GPU and MIG instance as a row.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target, header, strip};
use crate::tui::state::{Focus, State};
use crate::tui::widgets::{Paint, Tone};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    let area = layout.list;
    if area.height == 0 {
        return;
    }
    regions.add(area, Target::List);
    let focused = state.ui.focus == Focus::List && state.ui.layers.is_empty();
    let frame = paint.frame(area, focused);
    let y = area.y;
    let mut x = paint.text(area.x + 1, y, area.width - 2, " GPUs ", Tone::Title);
    let count = state.world.gpus.as_ref().map_or(0, |g| g.gpus.len());
    x = paint.write(
        x,
        y,
        area.right() - x - 1,
        Tone::Strong,
        format_args!("{count} "),
    );
    if let Some(note) = state
        .world
        .gpus
        .as_ref()
        .and_then(|g| g.xid_note.as_deref())
    {
        let room = (area.right() - 1).saturating_sub(x + 2);
        let x = paint.text(x + 1, y, room, " ", Tone::Dim);
        let x = paint.text(x, y, (area.right() - 2).saturating_sub(x), note, Tone::Dim);
        paint.text(x, y, 1, " ", Tone::Dim);
    }
    let inside = layout.list_inside();
    let parts = strip::parts(&state.top.strip, frame.width - 2);
    match &state.top.strip_message {
        Some(banner) => {
            // Above rows it has the place of the headings alone.
            let most = if state.top.strip.is_empty() { 4 } else { 1 };
            let room = Rect::new(frame.x, frame.y, frame.width, frame.height.min(most));
            header::draw_banner(paint, room, banner);
            if state.top.strip.is_empty() {
                return;
            }
        }
        None => strip::heading(paint, frame, &parts),
    }
    let shown = state.top.strip.iter().enumerate().skip(state.gpus.offset);
    for ((place, line), y) in shown.zip(inside.y..inside.bottom()) {
        let row = Rect::new(frame.x, y, frame.width, 1);
        let selected = place == state.gpus.selected;
        if selected {
            let here = state.ui.focus == Focus::List;
            paint.restyle(
                row,
                if here {
                    Tone::Selected
                } else {
                    Tone::SelectedIdle
                },
            );
        }
        strip::full_line(paint, row, line, &parts, Some(selected));
    }
    regions.add(
        Rect::new(frame.x, inside.y, frame.width, inside.height),
        Target::Row {
            first: state.gpus.offset,
        },
    );
}
