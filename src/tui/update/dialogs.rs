//! Keys while a dialog or a text field is open: the top one takes them all.

use super::commands;
use crate::model::ContainerCommand;
use crate::tui::Action;
use crate::tui::building::act as building;
use crate::tui::effect::Effect;
use crate::tui::form::{act, flow, open};
use crate::tui::keymap::KeyPress;
use crate::tui::state::layers::{Ask, Confirm, Layer, Prompt, PromptKind};
use crate::tui::state::{Page, State};
use crate::tui::views;

pub(super) fn on_key(
    state: &mut State,
    key: KeyPress,
    action: Option<Action>,
    effects: &mut Vec<Effect>,
) {
    match action {
        Some(Action::Redraw) => return effects.push(Effect::Redraw),
        Some(Action::Suspend) => {
            effects.extend(state.logs.close());
            return effects.push(Effect::Suspend);
        }
        _ => {}
    }
    match state.ui.layers.last_mut() {
        Some(Layer::Prompt(_)) => prompt(state, key, action, effects),
        Some(Layer::Confirm(_)) => question(state, key, action, effects),
        Some(Layer::Menu(_)) => menu(state, action, effects),
        Some(Layer::Columns(_)) => columns(state, action),
        Some(Layer::Help { .. }) => help(state, action),
        Some(Layer::BuildForm(_)) => building::form_key(state, key, action, effects),
        Some(Layer::Building(_)) => building::log_key(state, action),
        // A start goes on: its keys are those of dialogs.
        Some(Layer::Form(_)) => act::on_key(state, key, action, effects),
        Some(Layer::Launches { .. }) => open::on_list_key(state, key, action, effects),
        Some(Layer::Message { .. }) => {
            if matches!(action, Some(Action::Enter | Action::Back)) {
                state.ui.layers.pop();
            } else if let (Some(by), Some(Layer::Message { lines, scroll, .. })) =
                (action.and_then(step), state.ui.layers.last_mut())
            {
                let most = lines.len().saturating_sub(1);
                *scroll = scroll.saturating_add_signed(by).min(most);
            }
        }
        None => {}
    }
}

/// How far a moving action moves.
pub(crate) fn step(action: Action) -> Option<isize> {
    Some(match action {
        Action::Up | Action::FocusPrevious => -1,
        Action::Down | Action::FocusNext => 1,
        Action::PageUp => -10,
        Action::PageDown => 10,
        Action::First => isize::MIN / 2,
        Action::Last => isize::MAX / 2,
        _ => return None,
    })
}

fn help(state: &mut State, action: Option<Action>) {
    let Some(action) = action else { return };
    if matches!(action, Action::Back | Action::Help | Action::Enter) {
        state.ui.layers.pop();
        return;
    }
    let most = views::help_length(state);
    if let (Some(by), Some(Layer::Help { scroll })) = (step(action), state.ui.layers.last_mut()) {
        *scroll = scroll.saturating_add_signed(by).min(most);
    }
}

fn menu(state: &mut State, action: Option<Action>, effects: &mut Vec<Effect>) {
    let Some(action) = action else { return };
    let Some(Layer::Menu(open)) = state.ui.layers.last_mut() else {
        return;
    };
    if let Some(by) = step(action) {
        let last = open.items.len().saturating_sub(1);
        open.selected = open.selected.saturating_add_signed(by).min(last);
    } else if action == Action::Back {
        state.ui.layers.pop();
    } else if action == Action::Enter {
        choose(state, effects);
    }
}

/// Carries out the selected line of the menu on top.
pub(super) fn choose(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Layer::Menu(menu)) = state.ui.layers.pop() else {
        return;
    };
    if let Some(pick) = menu.items.get(menu.selected).map(|i| i.pick.clone()) {
        commands::pick(state, menu, pick, effects);
    }
}

fn columns(state: &mut State, action: Option<Action>) {
    let Some(action) = action else { return };
    let Some(Layer::Columns(chooser)) = state.ui.layers.last_mut() else {
        return;
    };
    if let Some(by) = step(action) {
        let last = chooser.columns.len().saturating_sub(1);
        chooser.selected = chooser.selected.saturating_add_signed(by).min(last);
        return;
    }
    match action {
        Action::Mark => chooser.toggle(),
        Action::Left => chooser.shift(-1),
        Action::Right => chooser.shift(1),
        Action::Back => {
            state.ui.layers.pop();
        }
        Action::Enter => {
            state.list.columns = chooser.chosen();
            state.ui.layers.pop();
        }
        _ => {}
    }
}

fn question(state: &mut State, key: KeyPress, action: Option<Action>, effects: &mut Vec<Effect>) {
    let Some(Layer::Confirm(confirm)) = state.ui.layers.last_mut() else {
        return;
    };
    match (key.text(), action) {
        (Some('y' | 'Y'), None) => answer(state, effects),
        (Some('n' | 'N'), None) | (_, Some(Action::Back)) => {
            state.ui.layers.pop();
        }
        (_, Some(Action::Left | Action::Right | Action::FocusNext | Action::FocusPrevious)) => {
            confirm.yes = !confirm.yes;
        }
        (_, Some(Action::Down)) => scroll(confirm, 1),
        (_, Some(Action::Up)) => scroll(confirm, -1),
        (_, Some(Action::Mark)) => {
            if let Ask::Containers {
                command: ContainerCommand::Remove { volumes, .. },
                ..
            } = &mut confirm.ask
            {
                *volumes = !*volumes;
                confirm.yes = false;
            }
        }
        (_, Some(Action::Enter)) => {
            if confirm.yes {
                answer(state, effects);
            } else {
                state.ui.layers.pop();
            }
        }
        _ => {}
    }
}

fn scroll(confirm: &mut Confirm, by: isize) {
    let count = match &confirm.ask {
        Ask::Containers { targets, .. } => targets.len(),
        Ask::Process { .. } | Ask::CancelBuild { .. } => 0,
        Ask::Launch { lines, .. } => lines.len(),
    };
    confirm.scroll = confirm
        .scroll
        .saturating_add_signed(by)
        .min(count.saturating_sub(1));
}

/// Yes: to exactly what the question named. Where the set changed since it was last looked at, the question
/// stays, once more, with what is left.
fn answer(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Layer::Confirm(confirm)) = state.ui.layers.last_mut() else {
        return;
    };
    if confirm.changed {
        confirm.changed = false;
        confirm.yes = false;
        if let Ask::Containers { targets, command } = &mut confirm.ask {
            targets.retain(|t| !t.gone);
            if let ContainerCommand::Remove { force, .. } = command {
                *force = targets.iter().any(|t| t.live);
            }
            if targets.is_empty() {
                state.ui.layers.pop();
            }
        }
        return;
    }
    let Some(Layer::Confirm(confirm)) = state.ui.layers.pop() else {
        return;
    };
    match confirm.ask {
        Ask::Containers { command, targets } => commands::act(state, command, &targets, effects),
        Ask::Process {
            process, signal, ..
        } => commands::signal(process, signal, effects),
        Ask::CancelBuild { id, .. } => building::cancel(state, id, effects),
        Ask::Launch { force, .. } => flow::allow(state, force, effects),
    }
}

fn prompt(state: &mut State, key: KeyPress, action: Option<Action>, effects: &mut Vec<Effect>) {
    match action {
        Some(Action::Back) => cancel(state),
        Some(Action::Enter) => accept(state, effects),
        Some(Action::Up | Action::Down) if super::prompt_is(state, &PromptKind::Filter) => {
            let by = if action == Some(Action::Up) { -1 } else { 1 };
            super::actions::scroll(state, state.ui.focus, by);
        }
        _ => {
            if let Some(Layer::Prompt(prompt)) = state.ui.layers.last_mut()
                && prompt.key(key)
            {
                edited(state);
            }
        }
    }
}

/// The filter and the search follow each key.
pub(super) fn edited(state: &mut State) {
    let Some(Layer::Prompt(prompt)) = state.ui.layers.last() else {
        return;
    };
    let text = prompt.input.value().to_owned();
    match prompt.kind {
        PromptKind::Filter if state.ui.page == Page::Images => state.images.filter = text,
        PromptKind::Filter => state.list.filter = text,
        PromptKind::Search => state.inspect.find(&text),
        _ => {}
    }
}

fn cancel(state: &mut State) {
    match state.ui.layers.pop() {
        Some(Layer::Prompt(prompt)) if prompt.kind == PromptKind::Filter => match state.ui.page {
            Page::Images => state.images.filter.clear(),
            _ => state.list.filter.clear(),
        },
        Some(Layer::Prompt(prompt)) if prompt.kind == PromptKind::Search => state.inspect.find(""),
        _ => {}
    }
}

/// Names that engines take: a letter or digit, then letters, digits, `_`, `.` and `-`.
fn name_fault(name: &str) -> Option<&'static str> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = chars
        .clone()
        .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if name.len() < 2 {
        Some("a name has two characters at least")
    } else if !first {
        Some("a name begins with a letter or digit")
    } else if !rest {
        Some("a name has letters, digits, _ . and - alone")
    } else {
        None
    }
}

fn refuse(state: &mut State, mut prompt: Prompt, error: &str) {
    prompt.error = Some(error.to_owned());
    state.ui.layers.push(Layer::Prompt(prompt));
}

fn accept(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(Layer::Prompt(prompt)) = state.ui.layers.pop() else {
        return;
    };
    let text = prompt.input.value().trim().to_owned();
    match &prompt.kind {
        PromptKind::Filter | PromptKind::Search | PromptKind::Field => {}
        PromptKind::Preset { .. } if text.is_empty() || text.chars().count() > 60 => {
            refuse(state, prompt, "a name of 1 to 60 characters");
        }
        PromptKind::Preset { line, left_out } => {
            let (line, left_out) = (line.clone(), left_out.clone());
            open::preset(state, &text, line, &left_out, effects);
        }
        PromptKind::Rename(key) => {
            let key = *key;
            if let Some(fault) = name_fault(&text) {
                refuse(state, prompt, fault);
                return;
            }
            if text == commands::name_of(state, key) {
                return;
            }
            let command = ContainerCommand::Rename { to: text };
            state.jobs.ordered(&command, &[key]);
            effects.push(Effect::Act {
                targets: vec![key],
                command,
            });
        }
        PromptKind::Grace { restart, targets } => match text.parse::<u64>() {
            Ok(seconds) if seconds <= 7 * 86_400 => {
                commands::ask_grace(state, *restart, seconds, targets.clone());
            }
            Ok(_) => refuse(state, prompt, "a week at most"),
            Err(_) => refuse(state, prompt, "a whole number of seconds, as 120"),
        },
    }
}
