//! Keys of the build dialog and of a build's log, and what comes of a build.

use super::{BuildForm, Building};
use crate::build::{BuildError, BuildNews, Built};
use crate::tui::Action;
use crate::tui::effect::Effect;
use crate::tui::form::complete::common;
use crate::tui::form::open;
use crate::tui::keymap::KeyPress;
use crate::tui::state::State;
use crate::tui::state::layers::{Ask, Confirm, Layer};
use crate::tui::update::{refused, step};
use crate::tui::widgets::Tone;

/// Opens the dialog.
pub(crate) fn open(state: &mut State, effects: &mut Vec<Effect>) {
    if refused(state) {
        return;
    }
    state
        .ui
        .layers
        .push(Layer::BuildForm(Box::new(BuildForm::new(""))));
    complete(state, effects);
}

fn form(state: &mut State) -> Option<&mut BuildForm> {
    match state.ui.layers.last_mut() {
        Some(Layer::BuildForm(form)) => Some(form),
        _ => None,
    }
}

/// The build of this number.
fn building(state: &mut State, id: u64) -> Option<&mut Building> {
    state.ui.layers.iter_mut().find_map(|layer| match layer {
        Layer::Building(building) if building.id == id => Some(&mut **building),
        _ => None,
    })
}

/// A key in the dialog.
pub(crate) fn form_key(
    state: &mut State,
    key: KeyPress,
    action: Option<Action>,
    effects: &mut Vec<Effect>,
) {
    let Some(form) = form(state) else { return };
    match action {
        Some(Action::Back) => {
            state.ui.layers.pop();
        }
        Some(Action::Enter) => begin(state, effects),
        Some(Action::FocusNext) if extend(form) => complete(state, effects),
        Some(action) if step(action).is_some() => {
            let by = step(action).unwrap_or(0);
            let count = form.fields.len();
            form.at = match by {
                // Round and round.
                1 => (form.at + 1) % count,
                -1 => (form.at + count - 1) % count,
                by => form.at.saturating_add_signed(by).min(count - 1),
            };
            complete(state, effects);
        }
        _ => {
            let at = form.at;
            if let Some((_, prompt)) = form.fields.get_mut(at)
                && prompt.key(key)
            {
                form.error = None;
                complete(state, effects);
            }
        }
    }
}

/// Pasted text.
pub(crate) fn paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    if let Some(form) = form(state) {
        let at = form.at;
        if let Some((_, prompt)) = form.fields.get_mut(at) {
            prompt.paste(text);
        }
        complete(state, effects);
    }
}

/// Asks what the path under the cursor could go on with.
fn complete(state: &mut State, effects: &mut Vec<Effect>) {
    if let Some(form) = form(state)
        && let Some((field, prompt)) = form.fields.get(form.at)
    {
        let text = prompt.input.value().to_owned();
        form.paths = (text.clone(), Vec::new());
        if field.is_path() {
            effects.push(Effect::BuildPaths(text));
        }
    }
}

/// The paths that a text could go on with.
pub(crate) fn paths_found(state: &mut State, text: &str, paths: Vec<String>) {
    if let Some(form) = form(state)
        && form.paths.0 == text
    {
        form.paths.1 = paths;
    }
}

/// Writes what all paths have in common; `false` where that is nothing more.
fn extend(form: &mut BuildForm) -> bool {
    let (of, paths) = &form.paths;
    let Some((field, prompt)) = form.fields.get_mut(form.at) else {
        return false;
    };
    let more = common(paths);
    if !field.is_path() || prompt.input.value() != of || more.is_empty() || more == *of {
        return false;
    }
    prompt.input = tui_input::Input::new(more);
    true
}

fn begin(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(form) = form(state) else { return };
    let ask = match form.ask() {
        Ok(ask) => ask,
        Err(error) => {
            form.error = Some(error);
            return;
        }
    };
    state.ui.layers.pop();
    state.builds += 1;
    let id = state.builds;
    let building = Building::new(id, &ask);
    state.ui.layers.push(Layer::Building(Box::new(building)));
    effects.push(Effect::Build {
        id,
        ask: Box::new(ask),
    });
}

/// A key over a build's log.
pub(crate) fn log_key(state: &mut State, action: Option<Action>) {
    let rows = super::view::log_rows(state.ui.size);
    let now = state.now.mono;
    let Some(Layer::Building(building)) = state.ui.layers.last_mut() else {
        return;
    };
    match action {
        Some(Action::LogFollow) => {
            building.first = match building.first {
                None => Some(building.top(rows)),
                Some(_) => None,
            };
        }
        Some(Action::Back | Action::Enter) if building.failed.is_some() => {
            state.ui.layers.pop();
        }
        Some(Action::Back) if !building.cancelling => {
            let ask = Ask::CancelBuild {
                id: building.id,
                title: building.title.clone(),
            };
            state.ui.layers.push(Layer::Confirm(Confirm::new(ask, now)));
        }
        Some(action) => {
            if let Some(by) = step(action) {
                building.scroll(by, rows);
            }
        }
        None => {}
    }
}

/// The question was answered with yes.
pub(crate) fn cancel(state: &mut State, id: u64, effects: &mut Vec<Effect>) {
    if let Some(building) = building(state, id) {
        building.cancelling = true;
        effects.push(Effect::CancelBuild(id));
    }
}

/// Words of a build.
pub(crate) fn heard(state: &mut State, id: u64, news: Vec<BuildNews>) {
    if let Some(building) = building(state, id) {
        news.into_iter().for_each(|news| building.hear(news));
    }
}

/// A build ended.
pub(crate) fn ended(
    state: &mut State,
    id: u64,
    result: Result<Built, BuildError>,
    effects: &mut Vec<Effect>,
) {
    // A question about a build that is over has no answer.
    state.ui.layers.retain(
        |layer| !matches!(layer, Layer::Confirm(Confirm { ask: Ask::CancelBuild { id: of, .. }, .. }) if *of == id),
    );
    let Some(building) = building(state, id) else {
        return;
    };
    let error = match result {
        Ok(built) => {
            close(state, id);
            let text = format!("built {}", built.name);
            state.jobs.toast(Tone::Good, &text, state.now);
            launch(state, &built, effects);
            return;
        }
        Err(error) => error,
    };
    if error == BuildError::Cancelled {
        close(state, id);
        let text = "the build was cancelled, nothing is left of it";
        state.jobs.toast(Tone::Dim, text, state.now);
        return;
    }
    building.failed = Some(error.problem());
    building.first = None;
}

fn close(state: &mut State, id: u64) {
    state
        .ui
        .layers
        .retain(|layer| !matches!(layer, Layer::Building(building) if building.id == id));
}

/// What follows a build: the form that launches what was built. Nothing is opened over what the user does
/// meanwhile.
fn launch(state: &mut State, built: &Built, effects: &mut Vec<Effect>) {
    effects.push(Effect::FetchImages);
    if state.ui.layers.is_empty() {
        open::built(state, &built.name, &built.image, &built.exposed);
    }
}
