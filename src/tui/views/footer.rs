//! The bottom line: pages and the keys that mean something now; toasts above it.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target};
use crate::tui::Action;
use crate::tui::keymap::Mode;
use crate::tui::state::layers::Layer;
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::widgets::{Paint, Tone, split, width};

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
    if mode == Mode::Form {
        form_hints(state, paint, x);
        return toasts(state, paint, area);
    }
    match dialog_hints(state) {
        Some(hints) => {
            for (actions, label) in hints {
                x = dialog_hint(state, paint, x, mode, actions, label);
            }
        }
        None => page_hints(state, paint, x, mode),
    }
    toasts(state, paint, area);
}

/// The keys of the dialog on top, several of one meaning together; `None` where none is open.
fn dialog_hints(state: &State) -> Option<&'static [(&'static [Action], &'static str)]> {
    use Action::{Back, Down, Enter, FocusNext, Left, LogFollow, Mark, Right, Up};
    const TEXT: &[(&[Action], &str)] = &[(&[Enter], "keep"), (&[Back], "cancel")];
    const MENU: &[(&[Action], &str)] = &[
        (&[Up, Down], "move"),
        (&[Enter], "choose"),
        (&[Back], "close"),
    ];
    const READ: &[(&[Action], &str)] = &[(&[Up, Down], "scroll"), (&[Back], "close")];
    const BUSY: &[(&[Action], &str)] = &[(&[Back], "stop")];
    const COLUMNS: &[(&[Action], &str)] = &[
        (&[Up, Down], "move"),
        (&[Mark], "show or hide"),
        (&[Left, Right], "order"),
        (&[Enter], "keep"),
        (&[Back], "cancel"),
    ];
    const ASK: &[(&[Action], &str)] = &[
        (&[Left, Right], "no or yes"),
        (&[Enter], "answer"),
        (&[Back], "no"),
    ];
    const BUILD: &[(&[Action], &str)] = &[
        (&[Enter], "build"),
        (&[FocusNext], "complete, next"),
        (&[Up, Down], "move"),
        (&[Back], "cancel"),
    ];
    const RUNS: &[(&[Action], &str)] = &[
        (&[Up, Down], "scroll"),
        (&[LogFollow], "follow"),
        (&[Back], "stop it"),
    ];
    Some(match state.ui.layers.last() {
        Some(Layer::BuildForm(_)) => BUILD,
        Some(Layer::Building(build)) if build.failed.is_none() => RUNS,
        Some(Layer::Building(_)) => READ,
        Some(Layer::Prompt(_)) => TEXT,
        Some(Layer::Menu(_)) => MENU,
        Some(Layer::Columns(_)) => COLUMNS,
        Some(Layer::Confirm(_)) => ASK,
        Some(Layer::Help { .. } | Layer::Message { .. }) => READ,
        Some(Layer::Form(_)) => BUSY,
        Some(Layer::Launches { .. }) => MENU,
        None if state.mode() == Mode::Input => TEXT,
        None => return None,
    })
}

/// The form's keys, as many as there is room for; the way out always.
fn form_hints(state: &State, paint: &mut Paint<'_>, mut x: u16) {
    use Action::{Back, Copy, FocusNext, FormAdd, FormMend, FormRemove, FormSave, FormStart, Help};
    let always = [(Help, "help"), (Back, "close")];
    let needed = |action: Action, label: &str| {
        let hint = state.hints.get(Mode::Form, action);
        hint.map_or(0, |(key, _)| width(key) + width(label) + 3)
    };
    let end = paint.area().right();
    let end = end.saturating_sub(always.iter().map(|(a, l)| needed(*a, l)).sum());
    let hints = [
        (FormStart, "start"),
        (FormAdd, "add"),
        (FormRemove, "remove"),
        (Copy, "copy line"),
        (FocusNext, "next, paths"),
        (FormSave, "preset"),
        (FormMend, "mend"),
    ];
    for (action, label) in hints {
        if x + needed(action, label) > end {
            break;
        }
        x = dialog_hint(state, paint, x, Mode::Form, &[action], label);
    }
    let mut x = x.max(end);
    for (action, label) in always {
        x = dialog_hint(state, paint, x, Mode::Form, &[action], label);
    }
}

fn dialog_hint(
    state: &State,
    paint: &mut Paint<'_>,
    mut x: u16,
    mode: Mode,
    actions: &[Action],
    label: &str,
) -> u16 {
    let y = paint.area().bottom() - 1;
    let end = paint.area().right();
    for action in actions {
        if let Some((key, _)) = state.hints.get(mode, *action) {
            x = paint.text(x, y, end.saturating_sub(x), key, Tone::Key) + 1;
        }
    }
    paint.text(x, y, end.saturating_sub(x), label, Tone::Footer) + 2
}

/// The page's keys, and always the way to the help and out, at the right end.
fn page_hints(state: &State, paint: &mut Paint<'_>, mut x: u16, mode: Mode) {
    let always = [Action::Help, Action::Quit];
    let needed: u16 = always.iter().map(|a| hint_width(state, mode, *a) + 2).sum();
    let end = paint.area().right().saturating_sub(needed);
    for action in actions(state) {
        if x + hint_width(state, mode, *action) >= end {
            break;
        }
        x = hint(state, paint, x, mode, *action, Tone::Footer);
    }
    let mut x = end.max(x);
    for action in always {
        x = hint(state, paint, x, mode, action, Tone::Footer);
    }
}

fn hint_width(state: &State, mode: Mode, action: Action) -> u16 {
    let hint = state.hints.get(mode, action);
    hint.map_or(0, |(key, label)| width(key) + 1 + width(label))
}

/// What is worth a hint now.
fn actions(state: &State) -> &'static [Action] {
    use Action::*;
    match (state.ui.page, state.ui.focus, state.tab()) {
        (Page::Containers, Focus::Details, Tab::Logs) => &[
            LogFollow,
            LogSearch,
            LogFilter,
            LogTimestamps,
            LogWrap,
            LogSince,
            LogSave,
        ],
        (Page::Containers, Focus::Details, Tab::Processes) => &[KillProcess, Back],
        (Page::Images, Focus::Details, Tab::Verdict) => &[Launch, Check, Copy, Zoom, Back],
        (_, Focus::Details, Tab::Verdict) => &[Check, Copy, Zoom, Back, CheckContainer],
        (_, Focus::Details, Tab::Env | Tab::Inspect) => &[Filter, ToggleSecrets, Copy, Zoom, Back],
        (Page::Gpus, Focus::List, _) => &[TabNext, AllProcesses, ReleaseGpus, FocusNext, Zoom],
        (Page::Gpus, _, Tab::Processes) => &[KillProcess, AllProcesses, TabNext, Back],
        (Page::Gpus, ..) => &[TabNext, AllProcesses, Back],
        (Page::Images, ..) => &[Launch, Check, Filter, Sort, Launches, FocusNext, Zoom],
        _ => &[
            TabLogs,
            Check,
            Shell,
            ActionMenu,
            Filter,
            Sort,
            Mark,
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

pub(super) fn toasts(state: &State, paint: &mut Paint<'_>, footer: Rect) {
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
