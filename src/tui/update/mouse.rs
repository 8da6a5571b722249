//! The mouse, while it is captured: clicks on rows, tabs, pages; the wheel.

use super::{actions, dialogs};
use crate::tui::effect::Effect;
use crate::tui::event::{MouseEvent, MouseKind};
use crate::tui::state::layers::Layer;
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::views::Target;

/// Lines a turn of the wheel.
const WHEEL: isize = 3;

pub(super) fn on_mouse(state: &mut State, event: MouseEvent, effects: &mut Vec<Effect>) {
    let Some((target, line, column)) = state.ui.regions.at(event.column, event.row) else {
        return;
    };
    match event.kind {
        MouseKind::ScrollUp => wheel(state, target, -WHEEL, effects),
        MouseKind::ScrollDown => wheel(state, target, WHEEL, effects),
        MouseKind::Press => press(state, target, line, column, effects),
        MouseKind::Drag | MouseKind::Release => {}
    }
}

fn wheel(state: &mut State, target: Target, by: isize, effects: &mut Vec<Effect>) {
    if let Some(layer) = state.ui.layers.last_mut() {
        let unit = by.signum();
        match layer {
            Layer::Help { scroll } => *scroll = scroll.saturating_add_signed(by),
            Layer::Menu(menu) => {
                let last = menu.items.len().saturating_sub(1);
                menu.selected = menu.selected.saturating_add_signed(unit).min(last);
            }
            Layer::Columns(chooser) => {
                let last = chooser.columns.len().saturating_sub(1);
                chooser.selected = chooser.selected.saturating_add_signed(unit).min(last);
            }
            Layer::Form(form) if form.phase == crate::tui::form::state::Phase::Edit => {
                form.travel(unit);
            }
            _ => {}
        }
        return;
    }
    match target {
        Target::Row { .. } | Target::List => actions::scroll(state, Focus::List, by.signum()),
        Target::Details | Target::DetailRow { .. } => actions::wheel_details(state, by, effects),
        _ => {}
    }
}

fn press(state: &mut State, target: Target, line: u16, column: u16, effects: &mut Vec<Effect>) {
    let place = |first: usize| first + usize::from(line);
    if !state.ui.layers.is_empty() {
        // A click beside a dialog does nothing: it must not act on what lies below.
        if let (Target::MenuItem { first }, Some(Layer::Menu(menu))) =
            (target, state.ui.layers.last_mut())
            && place(first) < menu.items.len()
        {
            menu.selected = place(first);
            dialogs::choose(state, effects);
        }
        return;
    }
    match target {
        Target::Page(page) => actions::go(state, page),
        Target::Tab(tab) => actions::tab(state, tab),
        Target::List => state.ui.focus = Focus::List,
        Target::Details => state.ui.focus = Focus::Details,
        Target::Row { first } => {
            state.ui.focus = Focus::List;
            let now = state.now;
            match state.ui.page {
                Page::Containers if place(first) < state.list.items.len() => {
                    state.list.select(place(first), now);
                }
                Page::Gpus => state.select_gpu(place(first)),
                Page::Images if place(first) < state.images.lines.len() => {
                    state.images.select(place(first));
                }
                _ => {}
            }
        }
        Target::DetailRow { first } => {
            state.ui.focus = Focus::Details;
            if state.tab() == Tab::Processes {
                state.processes.select(place(first));
            }
        }
        Target::Gpu { a_line } => {
            let half = state.ui.size.0 / 2;
            let right = usize::from(a_line == 2 && column >= half);
            let index = usize::from(line) * usize::from(a_line) + right;
            actions::go(state, Page::Gpus);
            state.select_gpu(index);
        }
        Target::Dialog | Target::MenuItem { .. } => {}
    }
}
