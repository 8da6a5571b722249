//! Checks: which images to ask about, what a check is started on, what came of it.

use std::sync::Arc;

use super::actions::tab;
use super::commands::{name_of, refused};
use crate::check::Subject;
use crate::inspect::Known;
use crate::model::{ContainerKey, EngineStatus, ImageId};
use crate::tui::effect::Effect;
use crate::tui::fmt::push_clean;
use crate::tui::form::state::Phase;
use crate::tui::state::checks::{Asked, Stage, Stopped};
use crate::tui::state::layers::Layer;
use crate::tui::state::verdict_pane::Whose;
use crate::tui::state::{Page, State, Tab};
use crate::tui::widgets::Tone;
use crate::verdict::{Answer, Verdict};

/// Asks for what is known of the images in use, a few at a time, those on the screen first. Without a GPU
/// nothing of it would be shown, but in the Verdict tab.
pub(super) fn know(state: &mut State, effects: &mut Vec<Effect>) {
    if !matches!(state.world.engine, EngineStatus::Up(_)) {
        return;
    }
    if !std::mem::replace(&mut state.swept, true) {
        effects.push(Effect::Sweep);
    }
    let gpus = state
        .world
        .gpus
        .as_ref()
        .is_some_and(|g| !g.gpus.is_empty());
    let tab = state
        .verdict_visible()
        .then(|| shown_image(state))
        .flatten();
    let images = gpus && state.ui.page == Page::Images;
    if tab.is_none() && !images && !(gpus && state.verdicts.wants()) {
        return;
    }
    let rows = &state.world.rows;
    let listed = state.told_visible.iter().filter(|_| gpus);
    let in_list = listed.filter_map(|key| rows.get(key).map(|r| &r.container.image_id));
    let lines = state.images.lines.iter().filter(|_| images);
    let first = tab
        .iter()
        .chain(lines.map(|line| &line.image.id))
        .chain(in_list);
    let wanted = state.verdicts.wanted(first, gpus);
    if !wanted.is_empty() {
        effects.push(Effect::Know(wanted));
    }
}

/// The image that the Verdict tab is about.
fn shown_image(state: &State) -> Option<ImageId> {
    match state.verdict_of()? {
        Whose::Image(id) => Some(id),
        Whose::Container(key) => image_of(state, key),
    }
}

fn image_of(state: &State, key: ContainerKey) -> Option<ImageId> {
    let row = state.world.rows.get(&key)?;
    Some(row.container.image_id.clone())
}

/// What a subject is called in messages.
fn called(state: &State, subject: &Subject) -> String {
    match subject {
        Subject::Container(key) => name_of(state, *key),
        Subject::Image(id) => {
            let listed = state.world.images.iter().flatten().find(|i| i.id == *id);
            let mut rows = state.world.rows.values();
            let name = match listed {
                Some(image) => Some(image.display_name()),
                None => rows
                    .find(|r| r.container.image_id == *id)
                    .map(|r| r.container.image.as_str()),
            };
            let mut clean = String::new();
            // One that was just fetched is in no list yet.
            let hex = id.0.strip_prefix("sha256:").unwrap_or(&id.0);
            push_clean(&mut clean, name.unwrap_or(hex.get(..12).unwrap_or(hex)));
            clean
        }
    }
}

/// Checks the images of what is selected or marked. Where the check is on the screen and runs: stops it.
pub(super) fn check(state: &mut State, effects: &mut Vec<Effect>) {
    let images: Vec<ImageId> = match state.ui.page {
        Page::Gpus => return,
        Page::Images => state.images.selected_id().into_iter().collect(),
        Page::Containers => {
            let shown = state.tab() == Tab::Verdict && state.verdict_visible();
            if shown && state.list.marks.is_empty() && stop_shown(state, effects) {
                return;
            }
            let keys = state.list.targets(&state.world);
            return check_images_of(state, &keys, effects);
        }
    };
    if state.verdict_visible() && stop_shown(state, effects) {
        return;
    }
    check_images(state, images, effects);
}

/// Checks the images of these containers.
pub(super) fn check_images_of(state: &mut State, keys: &[ContainerKey], effects: &mut Vec<Effect>) {
    let mut images: Vec<ImageId> = Vec::new();
    for image in keys.iter().filter_map(|key| image_of(state, *key)) {
        if !images.contains(&image) {
            images.push(image);
        }
    }
    check_images(state, images, effects);
}

fn check_images(state: &mut State, images: Vec<ImageId>, effects: &mut Vec<Effect>) {
    let one = images.len() == 1;
    let mut asked = 0;
    let mut known = 0;
    for image in images {
        if state.verdicts.has_content(&image) {
            known += 1;
        } else if !refused(state) && start(state, Subject::Image(image), effects) {
            asked += 1;
        }
    }
    if one {
        // What is selected stands in the tab: with several, the badges show how far they are.
        if state.ui.page == Page::Images || state.list.selected_key().is_some() {
            tab(state, Tab::Verdict);
        }
        if known > 0 {
            let text = "looked inside already: an image does not change";
            state.jobs.toast(Tone::Text, text, state.now);
        }
    } else if asked > 1 {
        let text = format!("looking inside {asked} images, one after the other");
        state.jobs.toast(Tone::Text, &text, state.now);
    } else if known > 0 && asked == 0 {
        let text = "looked inside all of them already";
        state.jobs.toast(Tone::Text, text, state.now);
    }
}

/// Checks the selected container's own file system.
pub(super) fn check_own(state: &mut State, effects: &mut Vec<Effect>) {
    if state.ui.page != Page::Containers {
        return;
    }
    let Some(key) = state.list.selected_key() else {
        let text = "no container is selected";
        state.jobs.toast(Tone::Warn, text, state.now);
        return;
    };
    check_file_system(state, key, effects);
}

/// Checks a container's own file system.
pub(super) fn check_file_system(state: &mut State, key: ContainerKey, effects: &mut Vec<Effect>) {
    if refused(state) {
        return;
    }
    start(state, Subject::Container(key), effects);
    tab(state, Tab::Verdict);
}

/// Whether it was started or put in the queue.
fn start(state: &mut State, subject: Subject, effects: &mut Vec<Effect>) -> bool {
    let asked = state.verdicts.checks.ask(subject.clone());
    state.verdicts.touch();
    if asked == Asked::Start {
        effects.push(Effect::Check(subject));
    }
    asked != Asked::Already
}

/// Stops the check that the Verdict tab shows, a container's own first; `false` where none runs or waits.
pub(super) fn stop_shown(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let own = match state.verdict_of() {
        Some(Whose::Container(key)) => Some(Subject::Container(key)),
        _ => None,
    };
    let image = shown_image(state).map(Subject::Image);
    let checks = &state.verdicts.checks;
    let mut both = [own, image].into_iter().flatten();
    let Some(subject) = both.find(|s| checks.stage(s) != Stage::Idle) else {
        return false;
    };
    let stopped = state.verdicts.checks.stop(&subject);
    state.verdicts.touch();
    if stopped == Stopped::Tell {
        effects.push(Effect::CancelCheck(subject));
    }
    true
}

/// A check ended: its facts are kept, the next one begins, and who looks elsewhere is told.
pub(super) fn ended(
    state: &mut State,
    subject: &Subject,
    result: Result<Arc<Known>, String>,
    effects: &mut Vec<Effect>,
) {
    let fault = result.as_ref().err();
    let (cancelled, next) = state
        .verdicts
        .checks
        .ended(subject, fault.map(String::as_str));
    state.verdicts.touch();
    if let Some(next) = next {
        effects.push(Effect::Check(next));
    }
    let elsewhere = !shows(state, subject);
    let name = called(state, subject);
    match result {
        Ok(known) => {
            state.verdicts.scanned(subject, known, state.now);
            if elsewhere {
                state.verdicts.rebuild(&state.world, state.now);
                let verdict = match subject {
                    Subject::Image(id) => state.verdicts.of_image(id),
                    Subject::Container(key) => state.verdicts.of_container(key),
                };
                let (tone, text) = in_short(verdict);
                state
                    .jobs
                    .toast(tone, &format!("{name}: {text}"), state.now);
            }
        }
        Err(_) if cancelled => {
            if elsewhere {
                let text = format!("looking inside {name} was cancelled");
                state.jobs.toast(Tone::Dim, &text, state.now);
            }
        }
        Err(why) => {
            if elsewhere {
                let text = format!("looking inside {name} failed: {why}");
                state.jobs.toast(Tone::Bad, &text, state.now);
            }
        }
    }
}

/// Whether the Verdict tab, or a launch under way, shows this.
fn shows(state: &State, subject: &Subject) -> bool {
    if matches!(state.ui.layers.last(), Some(Layer::Form(form)) if form.phase != Phase::Edit) {
        return true;
    }
    state.verdict_visible()
        && match subject {
            Subject::Image(id) => shown_image(state).as_ref() == Some(id),
            Subject::Container(key) => state.verdict_of() == Some(Whose::Container(*key)),
        }
}

fn in_short(verdict: Option<&Verdict>) -> (Tone, String) {
    let Some(verdict) = verdict else {
        return (Tone::Text, "looked inside".to_owned());
    };
    let first = verdict.findings.first();
    let why = first.map_or_else(String::new, |f| format!(": {} {}", f.rule, f.title));
    let needs = verdict.needs.as_ref();
    match verdict.answer {
        Answer::Fails => (Tone::Bad, format!("fails on this host{why}")),
        Answer::Limited => (Tone::Warn, format!("works, not as it should{why}")),
        Answer::Works => {
            let cuda = needs.map_or_else(String::new, |n| format!(", CUDA {n}"));
            (Tone::Good, format!("works on this host{cuda}"))
        }
        Answer::NoCuda => (Tone::Text, "there is no CUDA in it".to_owned()),
        Answer::Unknown => (Tone::Warn, "cannot be told".to_owned()),
    }
}
