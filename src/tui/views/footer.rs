//! The bottom line: pages and the keys that mean something now; toasts above it.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target};
use crate::tui::Action;
use crate::tui::keymap::Mode;
use crate::tui::state::layers::{Layer, PromptKind};
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::widgets::{Paint, Tone, width};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    let area = layout.footer;
    paint.clear(area, Tone::Footer);
    let mode = state.mode();
    let mut x = area.x + 1;
    if matches!(mode, Mode::Normal | Mode::Logs) {
        let pages = [
            (Action::PageContainers, Page::Containers),
            (Action::PageGpus, Page::Gpus),
            (Action::PageImages, Page::Images),
        ];
        for (action, page) in pages {
            let start = x;
            let tone = if state.ui.page == page {
                Tone::Accent
            } else {
                Tone::Footer
            };
            x = hint(state, paint, x, mode, action, tone);
            regions.add(
                Rect::new(start, area.y, x.saturating_sub(start), 1),
                Target::Page(page),
            );
        }
        x += 2;
    }
    for action in actions(state) {
        if x >= area.right() {
            break;
        }
        x = hint(state, paint, x, mode, *action, Tone::Footer);
    }
    toasts(state, paint, area);
}

/// What is worth a hint now.
fn actions(state: &State) -> &'static [Action] {
    use Action::*;
    match state.ui.layers.last() {
        Some(Layer::Prompt(prompt)) if prompt.kind == PromptKind::Filter => return &[Enter, Back],
        Some(Layer::Columns(_)) => return &[Up, Down, Mark, Left, Right, Enter, Back],
        Some(Layer::Confirm(_)) => return &[Left, Right, Enter, Back],
        Some(Layer::Prompt(_)) => return &[Enter, Back],
        Some(_) => return &[Up, Down, Enter, Back],
        None => {}
    }
    match (state.ui.page, state.ui.focus, state.tab()) {
        (Page::Containers, Focus::Details, Tab::Logs) => &[
            LogFollow,
            LogSearch,
            LogFilter,
            LogTimestamps,
            LogWrap,
            LogSince,
            LogSave,
            Help,
            Quit,
        ],
        (Page::Containers, Focus::Details, Tab::Processes) => &[KillProcess, Back, Help, Quit],
        (_, Focus::Details, Tab::Env | Tab::Inspect) => {
            &[Filter, ToggleSecrets, Copy, Zoom, Back, Help, Quit]
        }
        (Page::Gpus, Focus::List, _) => &[TabNext, ReleaseGpus, FocusNext, Zoom, Help, Quit],
        (Page::Gpus, ..) => &[KillProcess, TabNext, Back, Help, Quit],
        (Page::Images, ..) => &[Filter, Sort, FocusNext, Zoom, Help, Quit],
        _ => &[
            TabLogs,
            Shell,
            ActionMenu,
            Filter,
            Sort,
            Mark,
            Help,
            Quit,
            Columns,
            ToggleStopped,
            Zoom,
        ],
    }
}

fn hint(
    state: &State,
    paint: &mut Paint<'_>,
    x: u16,
    mode: Mode,
    action: Action,
    tone: Tone,
) -> u16 {
    let end = paint.area().right();
    let Some((key, label)) = state.hints.get(mode, action) else {
        return x;
    };
    if x + width(key) + 1 + width(label) > end {
        return end;
    }
    let y = paint.area().bottom() - 1;
    let x = paint.text(x, y, end - x, key, Tone::Key) + 1;
    paint.text(x, y, end - x, label, tone) + 2
}

fn toasts(state: &State, paint: &mut Paint<'_>, footer: Rect) {
    let mut y = footer.y;
    for toast in state.jobs.toasts.iter().rev() {
        let room = footer.width.saturating_sub(6);
        let w = width(&toast.text).min(room.saturating_mul(3));
        let lines = w.div_ceil(room.max(1)).clamp(1, 3);
        if y < lines + 2 {
            return;
        }
        y -= lines;
        let left = footer.right().saturating_sub(w.min(room) + 4);
        let area = Rect::new(left, y, footer.right() - left, lines);
        paint.clear(area, Tone::Dialog);
        let mut rest = toast.text.as_str();
        for row in 0..lines {
            paint.text(left, y + row, 1, paint.glyphs().border.vertical, toast.tone);
            let last = row + 1 == lines;
            let (line, after) = if last { (rest, "") } else { split(rest, room) };
            paint.text(left + 2, y + row, room, line, toast.tone);
            rest = after;
        }
    }
}

/// The part of a text that fits, cut at a space where there is one, and the rest.
pub(super) fn split(text: &str, room: u16) -> (&str, &str) {
    if width(text) <= room {
        return (text, "");
    }
    let mut used = 0;
    let mut cut = 0;
    let mut space = None;
    for (place, c) in text.char_indices() {
        let mut bytes = [0u8; 4];
        used += width(c.encode_utf8(&mut bytes));
        if used > room {
            break;
        }
        cut = place + c.len_utf8();
        if c == ' ' {
            space = Some(place);
        }
    }
    let at = space.filter(|s| *s > cut / 2).unwrap_or(cut);
    let (line, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    (line, rest.trim_start())
}
