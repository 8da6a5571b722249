//! The Inspect and Env tabs.

use ratatui::layout::Rect;

use super::details::note;
use crate::tui::state::State;
use crate::tui::state::layers::{Layer, PromptKind};
use crate::tui::widgets::{Paint, Tone, width};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, area: Rect) {
    let inspect = &state.inspect;
    if waiting(state, paint, area) {
        return;
    }
    let bottom = search_line(state, paint, area);
    let rows = area.height - u16::from(bottom);
    let number = inspect.lines.len().max(1).ilog10() as u16 + 1;
    let shown = inspect.lines.iter().enumerate().skip(inspect.scroll);
    for ((place, line), y) in shown.zip(area.y..area.y + rows) {
        let found = inspect.matches.binary_search(&place).is_ok();
        paint.write(
            area.x + 1,
            y,
            number,
            Tone::Dim,
            format_args!("{:>1$}", place + 1, usize::from(number)),
        );
        let x = area.x + 2 + number;
        let room = area.right().saturating_sub(x);
        json_line(paint, x, y, room, line, found);
    }
    paint.scrollbar(
        Rect::new(area.right(), area.y, 1, rows),
        inspect.scroll,
        usize::from(rows),
        inspect.lines.len(),
    );
}

/// A line of JSON: its key stands out, a found line is marked.
fn json_line(paint: &mut Paint<'_>, x: u16, y: u16, room: u16, line: &str, found: bool) {
    let tone = if found { Tone::Found } else { Tone::Text };
    let trimmed = line.trim_start();
    if !found
        && trimmed.starts_with('"')
        && let Some((key, rest)) = line.split_once("\": ")
    {
        let mut at = paint.text(x, y, room, key, Tone::Accent);
        at = paint.text(at, y, room.saturating_sub(at - x), "\": ", Tone::Dim);
        paint.text(at, y, room.saturating_sub(at - x), rest, Tone::Text);
        return;
    }
    paint.text(x, y, room, line, tone);
}

/// The search at the lower edge, while it is written or has found something.
fn search_line(state: &State, paint: &mut Paint<'_>, area: Rect) -> bool {
    let y = area.bottom().saturating_sub(1);
    if area.height < 3 {
        return false;
    }
    if let Some(Layer::Prompt(prompt)) = state.ui.layers.last()
        && prompt.kind == PromptKind::Search
    {
        let x = paint.text(area.x + 1, y, 2, "/ ", Tone::Key);
        let room = area.right().saturating_sub(x);
        paint.text(x, y, room, prompt.input.value(), Tone::Input);
        let at = x + u16::try_from(prompt.input.visual_cursor()).unwrap_or(0);
        paint.restyle(Rect::new(at, y, 1, 1), Tone::Selected);
        return true;
    }
    let inspect = &state.inspect;
    if inspect.search.is_empty() {
        return false;
    }
    let x = paint.text(area.x + 1, y, 2, "/ ", Tone::Key);
    let x = paint.text(x, y, area.width / 2, &inspect.search, Tone::Input);
    paint.write(
        x + 1,
        y,
        area.right().saturating_sub(x + 1),
        Tone::Dim,
        format_args!(" {} lines match", inspect.matches.len()),
    );
    true
}

pub(super) fn draw_env(state: &State, paint: &mut Paint<'_>, area: Rect) {
    if waiting(state, paint, area) {
        return;
    }
    let inspect = &state.inspect;
    if inspect.env.is_empty() {
        note(paint, area, "its environment is empty");
        return;
    }
    let widest = inspect
        .env
        .iter()
        .map(|e| width(&e.name))
        .max()
        .unwrap_or(0);
    let names = widest.min(area.width / 2);
    let shown = inspect.env.iter().skip(state.ui.scroll);
    for (entry, y) in shown.zip(area.y..area.bottom()) {
        paint.text(area.x + 1, y, names, &entry.name, Tone::Accent);
        let x = area.x + 1 + names + 2;
        let tone = if entry.masked { Tone::Dim } else { Tone::Text };
        paint.text(x, y, area.right().saturating_sub(x), &entry.value, tone);
    }
    paint.scrollbar(
        Rect::new(area.right(), area.y, 1, area.height),
        state.ui.scroll,
        usize::from(area.height),
        inspect.env.len(),
    );
}

/// Says what is missing; `false` where the data is there.
fn waiting(state: &State, paint: &mut Paint<'_>, area: Rect) -> bool {
    let inspect = &state.inspect;
    let subject = state.inspect_subject();
    if area.height == 0 {
        return true;
    }
    if let Some(error) = inspect
        .error
        .as_ref()
        .filter(|_| inspect.subject == subject)
    {
        paint.text(area.x + 1, area.y, area.width - 1, error, Tone::Bad);
        return true;
    }
    if subject.is_none() {
        note(paint, area, "nothing is selected");
        return true;
    }
    if inspect.subject != subject || (inspect.loading && inspect.lines.is_empty()) {
        note(paint, area, "asking the engine…");
        return true;
    }
    false
}
