//! The Verdict tab: lines that were written and wrapped by `update`.

use ratatui::layout::Rect;

use super::details::note;
use crate::tui::state::State;
use crate::tui::state::list::Item;
use crate::tui::widgets::Paint;

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, area: Rect) {
    if state.verdict_of().is_none() {
        let text = match state.list.selected_item() {
            Some(Item::Project(_)) => "select a container of the project",
            _ => "nothing is selected",
        };
        note(paint, area, text);
        return;
    }
    let lines = &state.verdict_pane.lines;
    for (line, y) in lines
        .iter()
        .skip(state.ui.scroll)
        .zip(area.y..area.bottom())
    {
        let mut x = area.x + 1;
        for span in line {
            let room = area.right().saturating_sub(x);
            x = paint.text(x, y, room, &span.text, span.tone);
        }
    }
    paint.scrollbar(
        Rect::new(area.right(), area.y, 1, area.height),
        state.ui.scroll,
        usize::from(area.height),
        lines.len(),
    );
}
