//! The only writer of the state: events in, effects out. No I/O, no clock.

mod actions;
mod checks;
mod commands;
mod dialogs;
mod mouse;

pub(crate) use commands::refused;
pub(crate) use dialogs::step;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::building;
use super::effect::{Effect, Outcome};
use super::event::Event;
use super::form::{act, after, flow, open};
use super::keymap::{KeyPress, Mode};
use super::state::inspect::Subject;
use super::state::layers::{Layer, PromptKind};
use super::state::{Page, State};
use super::widgets::Tone;
use crate::model::Stamp;

/// The details of a newly selected container are asked for once the selection has rested this long.
const SETTLE: Duration = Duration::from_millis(120);

/// Images that could not be had are asked for again after this time.
const IMAGES_AGAIN: Duration = Duration::from_secs(5);

/// Takes one event in and says what is to be done. Afterwards [`State::frame_owed`] tells whether to draw.
pub fn update(state: &mut State, event: Event, now: Stamp) -> Vec<Effect> {
    state.now = now;
    let mut effects = Vec::new();
    let mut forced = false;
    match event {
        Event::Key(key) => {
            state.touch();
            forced = true;
            on_key(state, key, &mut effects);
        }
        Event::Mouse(event) => {
            state.touch();
            mouse::on_mouse(state, event, &mut effects);
        }
        Event::Paste(text) => {
            if let Some(Layer::Prompt(prompt)) = state.ui.layers.last_mut() {
                prompt.paste(&text);
                dialogs::edited(state);
                state.touch();
            } else if let Some(Layer::BuildForm(_)) = state.ui.layers.last() {
                building::act::paste(state, &text, &mut effects);
                state.touch();
            } else if let Some(Layer::Form(form)) = state.ui.layers.last_mut() {
                if form.phase == crate::tui::form::state::Phase::Edit {
                    form.paste(&text, now.mono);
                }
                state.touch();
            } else if state.logs_focused() && state.logs.wants_text() {
                state.logs.paste(&text);
                state.touch();
            }
        }
        Event::Resize { cols, rows } => {
            state.ui.size = (cols, rows);
            state.touch();
        }
        Event::World(changes) => {
            if !changes.visible {
                return effects;
            }
            if changes.targets {
                state.verdicts.look_again();
            }
            state.touch();
        }
        Event::Outcome(outcome) => {
            state.touch();
            on_outcome(state, outcome, &mut effects);
        }
        Event::Logs(news) => {
            state.touch();
            effects.extend(state.logs.absorb(*news));
        }
        Event::Tick => on_tick(state),
    }
    if state.jobs.expire(now) {
        state.touch();
    }
    after::look(state, &mut effects);
    after::tell(state);
    flow::demand(state, &mut effects);
    state.refresh(forced);
    demand(state, now, &mut effects);
    effects
}

/// Something on the screen has grown older: the clock, an age, a toast.
fn on_tick(state: &mut State) {
    state.touch();
    if state
        .question_until()
        .is_some_and(|until| state.now.mono >= until)
    {
        state.ui.layers.pop();
        state.jobs.toast(
            Tone::Dim,
            "The question closed itself: nobody answered, nothing was done.",
            state.now,
        );
    }
}

fn on_key(state: &mut State, key: KeyPress, effects: &mut Vec<Effect>) {
    let mode = state.mode();
    let action = state.config.keymap.action(mode, key);
    match mode {
        Mode::Input if state.ui.layers.is_empty() => effects.extend(state.logs.key(key, action)),
        Mode::Form => act::on_key(state, key, action, effects),
        Mode::Input | Mode::Dialog => dialogs::on_key(state, key, action, effects),
        Mode::Normal | Mode::Logs => {
            let Some(action) = action else { return };
            let now = state.now;
            let taken = match mode {
                Mode::Logs => state.logs.handle(action, now),
                _ => None,
            };
            match taken {
                Some(more) => effects.extend(more),
                None => actions::run(state, action, effects),
            }
        }
    }
}

fn on_outcome(state: &mut State, outcome: Outcome, effects: &mut Vec<Effect>) {
    let now = state.now;
    match outcome {
        Outcome::Acted {
            key,
            command,
            result,
        } => {
            let name = commands::name_of(state, key);
            state.jobs.acted(key, name, &command, result, now);
            // It never takes the keys away from a dialog that is open.
            if state.ui.layers.is_empty()
                && let Some((title, lines)) = state.jobs.report.take()
            {
                let scroll = 0;
                state.ui.layers.push(Layer::Message {
                    title,
                    lines,
                    scroll,
                });
            }
        }
        Outcome::Signalled { process, result } => match result {
            Ok(()) => {
                let text = format!("signal sent to pid {}", process.pid);
                state.jobs.toast(Tone::Good, &text, now);
            }
            Err(text) => {
                let text = format!("pid {}: {text}", process.pid);
                state.jobs.toast(Tone::Bad, &text, now);
            }
        },
        Outcome::ShellEnded(result) => {
            state.away = false;
            if let Err(text) = result {
                state.jobs.toast(Tone::Bad, &text, now);
            }
        }
        Outcome::Inspected { key, result } => {
            state.inspect.arrived(&Subject::Container(key), result);
        }
        Outcome::ImageInspected { id, result } => {
            state.inspect.arrived(&Subject::Image(id), result);
        }
        Outcome::Known { image, result } => state.verdicts.known(image, result),
        Outcome::CheckProgress { subject, progress } => {
            if state.verdicts.checks.progress(&subject, progress) {
                state.verdicts.touch();
            }
        }
        Outcome::Checked { subject, result } => {
            let fault = result.as_ref().err().cloned();
            checks::ended(state, &subject, result, effects);
            flow::checked(state, &subject, fault.as_deref(), effects);
        }
        Outcome::Planned { id, result } => flow::planned(state, id, result, effects),
        Outcome::LaunchLike { key, result } => open::like(state, key, result),
        Outcome::LaunchStage { id, stage } => flow::stage(state, id, stage),
        Outcome::Pulled { id, result } => flow::pulled(state, id, result, effects),
        Outcome::Launched { id, result } => flow::launched(state, id, result, effects),
        Outcome::EndExplained { title, lines, .. } => after::explained(state, &title, &lines),
        Outcome::PathsFound { id, result } => {
            if let Some(form) = flow::form_mut(state) {
                act::completed(form, id, result, now.mono);
            }
        }
        Outcome::FolderMade(result) => {
            if let Some(form) = flow::form_mut(state) {
                form.plan_now(now.mono);
            }
            match result {
                Ok(path) => state.jobs.toast(Tone::Good, &format!("made {path}"), now),
                Err(text) => state.jobs.toast(Tone::Bad, &text, now),
            }
        }
        Outcome::LaunchesKept(Ok(kept)) => state.launch.kept = kept,
        Outcome::LaunchesKept(Err(text)) => state.jobs.toast(Tone::Bad, &text, now),
        Outcome::BuildNews { id, news } => building::act::heard(state, id, news),
        Outcome::Built { id, result } => building::act::ended(state, id, result, effects),
        Outcome::BuildPaths { text, paths } => building::act::paths_found(state, &text, paths),
        Outcome::ImagesFailed(text) => {
            state.images.asked = false;
            state.images.again = Some(now.mono + IMAGES_AGAIN);
            if state.world.images.is_some() {
                state.jobs.toast(Tone::Bad, &text, now);
            }
            state.images.error = Some(text);
        }
        Outcome::Saved(Ok(path)) => {
            let text = format!("saved {}", path.display());
            state.jobs.toast(Tone::Good, &text, now);
        }
        Outcome::Copied(Ok(bytes)) => {
            let text = format!("copied {bytes} bytes to the terminal's clipboard");
            state.jobs.toast(Tone::Good, &text, now);
        }
        Outcome::Saved(Err(text)) | Outcome::Copied(Err(text)) => {
            state.jobs.toast(Tone::Bad, &text, now);
        }
    }
}

/// Asks for what the screen needs and does not have.
fn demand(state: &mut State, now: Stamp, effects: &mut Vec<Effect>) {
    let visible = state.list.keys_shown();
    if visible != state.told_visible {
        state.told_visible.clone_from(&visible);
        effects.push(Effect::Visible(visible));
    }
    checks::know(state, effects);
    let rest = state.images.again.is_some_and(|again| now.mono < again);
    if state.ui.page == Page::Images && !state.images.asked && !rest {
        state.images.asked = true;
        state.images.again = None;
        effects.push(Effect::FetchImages);
    }
    let subject = state.inspect_subject();
    let inspect_due = subject.is_some()
        && (state.inspect.subject != subject || state.inspect.outdated(&state.inspect_basis()));
    let targets = state.log_targets();
    let logs_due = targets.as_slice() != state.logs.targets();
    if logs_due && targets.is_empty() {
        // At once: an attached client that nobody reads could stop the container.
        effects.extend(state.logs.close());
    }
    if !inspect_due && (!logs_due || targets.is_empty()) {
        state.settle = None;
        return;
    }
    let due = state.ui.moved + SETTLE;
    if state.ui.moved > Duration::ZERO && due > now.mono {
        state.settle = Some(due);
        return;
    }
    state.settle = None;
    if logs_due && !targets.is_empty() {
        effects.extend(state.logs.open(targets, now));
    }
    if let Some(subject) = subject.filter(|_| inspect_due) {
        effects.push(match &subject {
            Subject::Container(key) => Effect::Inspect(*key),
            Subject::Image(id) => Effect::InspectImage(id.clone()),
        });
        let basis = state.inspect_basis();
        state.inspect.open(subject, basis);
    }
}

/// Whether the prompt on top is of this kind.
fn prompt_is(state: &State, kind: &PromptKind) -> bool {
    matches!(state.ui.layers.last(), Some(Layer::Prompt(p)) if p.kind == *kind)
}
