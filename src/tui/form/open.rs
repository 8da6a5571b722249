//! Opening and closing the form; the list of the last launches and presets.

use super::fields::{Kind, Value};
use super::state::Form;
use super::{after, flow, line};
use crate::inspect::Known;
use crate::launch::defaults::{Inside, Setting, training};
use crate::launch::{LaunchSpec, PortAsk, Surroundings, Which};
use crate::model::text::clean;
use crate::model::{ContainerKey, ImageId};
use crate::tui::Action;
use crate::tui::effect::Effect;
use crate::tui::keymap::{Key, KeyPress};
use crate::tui::state::launches::{self, Keep, Preset};
use crate::tui::state::layers::Layer;
use crate::tui::state::verdicts::Knowledge;
use crate::tui::state::{Page, State};
use crate::tui::widgets::Tone;

/// `L`: the form for what is selected.
pub fn launch(state: &mut State, effects: &mut Vec<Effect>) {
    match state.ui.page {
        Page::Images => match state.images.selected_id() {
            Some(id) => from_image(state, &id),
            None => list_or_blank(state),
        },
        Page::Containers => match state.list.selected_key() {
            Some(key) => from_container(state, key, effects),
            None => list_or_blank(state),
        },
        Page::Gpus => list_or_blank(state),
    }
}

/// Where nothing is selected to launch from: the list, or a form without an image.
fn list_or_blank(state: &mut State) {
    if entries(state).is_empty() {
        open_form(state, &new_spec(String::new()));
    } else {
        list(state);
    }
}

/// Asks for the launch that makes a container like this one: its form opens when it is known.
pub fn from_container(state: &mut State, key: ContainerKey, effects: &mut Vec<Effect>) {
    let Some(row) = state.world.rows.get(&key) else {
        return;
    };
    let image = row.container.image_id.clone();
    state.launch.like = Some(key);
    effects.push(Effect::LaunchLike { key, image });
}

/// The launch of a container is known. Where it cannot be, the form is that of its image.
pub fn like(
    state: &mut State,
    key: ContainerKey,
    result: Result<(Box<LaunchSpec>, Vec<String>), String>,
) {
    // Who has gone on meanwhile is not taken back.
    if state.launch.like.take_if(|like| *like == key).is_none() || !state.ui.layers.is_empty() {
        return;
    }
    match result {
        Ok((mut spec, notes)) => {
            spec.detach = true;
            open_form(state, &spec);
            if let Some(form) = flow::form_mut(state).filter(|_| !notes.is_empty()) {
                let notes: Vec<String> = notes.iter().take(8).map(|n| clean(n, 200)).collect();
                form.note = Some(format!("not taken over: {}", notes.join("; ")));
            }
        }
        Err(why) => {
            let text = format!("what it was launched with is not known: {why}");
            state.jobs.toast(Tone::Warn, &text, state.now);
            let Some(row) = state.world.rows.get(&key) else {
                return;
            };
            let (id, name) = (row.container.image_id.clone(), row.container.image.clone());
            with_offers(state, new_spec(name), Some(&id));
        }
    }
}

/// A launch as the dashboard makes it: nothing of it is attached to.
fn new_spec(image: String) -> LaunchSpec {
    LaunchSpec {
        image,
        detach: true,
        ..LaunchSpec::default()
    }
}

fn from_image(state: &mut State, id: &ImageId) {
    let listed = state.world.images.iter().flatten().find(|i| i.id == *id);
    let name = match listed.map(|image| image.tags.first()) {
        Some(Some(tag)) => tag.clone(),
        _ => id.0.to_string(),
    };
    let mut spec = new_spec(name);
    spec.ports = exposed(state, id);
    with_offers(state, spec, Some(id));
}

/// The form for an image that was just built: what it exposes is published under the same number.
pub fn built(state: &mut State, name: &str, image: &ImageId, exposed: &[PortAsk]) {
    let mut spec = new_spec(name.to_owned());
    spec.ports = exposed.to_vec();
    for port in &mut spec.ports {
        port.host = Some(port.container);
    }
    with_offers(state, spec, Some(image));
}

/// The ports that an image exposes, published under the same number.
fn exposed(state: &State, id: &ImageId) -> Vec<PortAsk> {
    let Knowledge::Known(known) = state.verdicts.image(id) else {
        return Vec::new();
    };
    let ports = known.config.exposed.iter();
    ports
        .filter_map(|text| {
            let mut port = PortAsk::parse(text).ok()?;
            port.host = Some(port.container);
            Some(port)
        })
        .collect()
}

/// The form of a launch, with what a training wants filled in where the image tells that it is one.
fn with_offers(state: &mut State, spec: LaunchSpec, id: Option<&ImageId>) {
    let image = spec.image.clone();
    let known = id.map(|id| state.verdicts.image(id));
    let known = match &known {
        Some(Knowledge::Known(known)) => Some(&**known),
        _ => None,
    };
    let facts = known.map(|known| (state.verdicts.derive)(known));
    let loader = facts.as_ref().and_then(|facts| {
        let shares = |f: &&crate::verdict::facts::Framework| f.uses_shm && f.on_path != Some(false);
        facts.frameworks.iter().find(shares).map(|f| f.name.clone())
    });
    let inside = Inside {
        looked_into: known.is_some_and(|k| k.content.is_some()),
        loader: loader.as_deref(),
        cuda: facts.as_ref().is_some_and(|facts| {
            !facts.frameworks.is_empty()
                || !facts.libraries.is_empty()
                || facts.declared_cuda.is_some()
        }) || known.is_some_and(asks_for_gpus),
    };
    let offers = training(inside, &image);
    let mut form = Form::of(&spec, state.config.surroundings.clone());
    let local = state.world.judgeable();
    for offer in offers {
        match offer.setting {
            // Of an engine elsewhere it is not known which GPUs are free.
            Setting::Gpus(which) => {
                form.gpus.put(&if local { which } else { Which::All });
                form.gpus.why = local.then_some(offer.why);
            }
            Setting::Shm(bytes) => form.offer(Kind::Shm, Value::Bytes(bytes), offer.why),
            Setting::Ulimit(limit) => form.offer(Kind::Ulimit, Value::Ulimit(limit), offer.why),
        }
    }
    show(state, form);
}

/// Whether an image's configuration asks for a GPU.
fn asks_for_gpus(known: &Known) -> bool {
    let value = known.config.env("NVIDIA_VISIBLE_DEVICES");
    value.is_some_and(|v| !matches!(v, "" | "void" | "none"))
}

/// Opens the form of a launch, as it is.
pub fn open_form(state: &mut State, spec: &LaunchSpec) {
    let form = Form::of(spec, state.config.surroundings.clone());
    show(state, form);
}

fn show(state: &mut State, mut form: Form) {
    form.gpus.rebuild(&state.world);
    form.plan.due = Some(state.now.mono);
    state.ui.layers.push(Layer::Form(Box::new(form)));
}

/// Closes the form; what was written is kept until another one is closed.
pub fn close(state: &mut State) {
    let Some(Layer::Form(form)) = state.ui.layers.pop() else {
        return;
    };
    if !form.touched {
        return;
    }
    state.launch.draft = Some(form.spec());
    let keys = state
        .config
        .keymap
        .key_label(crate::tui::Mode::Normal, Action::Launches);
    let text = match keys {
        Some(key) => {
            format!("the form is closed, nothing was started; {key} then 0 brings it back")
        }
        None => "the form is closed, nothing was started".to_owned(),
    };
    state.jobs.toast(Tone::Dim, &text, state.now);
}

/// The last launches and presets.
pub fn list(state: &mut State) {
    let none = state.launch.kept.lines().next().is_none() && state.launch.draft.is_none();
    if none {
        let text = "nothing was launched from here yet: L on an image opens the form";
        state.jobs.toast(Tone::Text, text, state.now);
        return;
    }
    let selected = 0;
    state.ui.layers.push(Layer::Launches { selected });
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The digit that starts it.
    pub digit: Option<char>,
    /// The preset's name, or what it is.
    pub name: String,
    pub preset: bool,
    /// As it would be typed.
    pub line: String,
}

/// The lines of the list: the closed form, presets, the last launches.
pub fn entries(state: &State) -> Vec<Entry> {
    let draft = state.launch.draft.as_ref().map(|spec| Entry {
        digit: Some('0'),
        name: "closed form".to_owned(),
        preset: false,
        line: line::one_line(&line::of(spec)),
    });
    let kept = state
        .launch
        .kept
        .lines()
        .enumerate()
        .map(|(place, (name, line))| Entry {
            digit: u32::try_from(place + 1)
                .ok()
                .and_then(|n| char::from_digit(n, 10)),
            name: name
                .map(|n| crate::model::text::clean(n, 24))
                .unwrap_or_default(),
            preset: name.is_some(),
            line: line.to_owned(),
        });
    draft.into_iter().chain(kept).collect()
}

/// A key while the list is on top.
pub fn on_list_key(
    state: &mut State,
    key: KeyPress,
    action: Option<Action>,
    effects: &mut Vec<Effect>,
) {
    let entries = entries(state);
    let Some(Layer::Launches { selected }) = state.ui.layers.last_mut() else {
        return;
    };
    let last = entries.len().saturating_sub(1);
    let chosen = *selected;
    if let Some(by) = action.and_then(crate::tui::update::step) {
        *selected = selected.saturating_add_signed(by).min(last);
        return;
    }
    match (key.text(), action) {
        (_, Some(Action::Back)) => {
            state.ui.layers.pop();
        }
        (_, Some(Action::Enter)) => take(state, entries.get(chosen), true, effects),
        (Some('e'), _) => take(state, entries.get(chosen), false, effects),
        (Some(digit), _) if digit.is_ascii_digit() => {
            let entry = entries.iter().find(|e| e.digit == Some(digit));
            take(state, entry, digit != '0', effects);
        }
        _ if key.key == Key::Delete => forget(state, entries.get(chosen), effects),
        _ => {}
    }
}

/// Opens a line's form, and starts it where that is wished.
fn take(state: &mut State, entry: Option<&Entry>, start: bool, effects: &mut Vec<Effect>) {
    let Some(entry) = entry else { return };
    let draft = state
        .launch
        .draft
        .clone()
        .filter(|_| entry.digit == Some('0'));
    let start = start && draft.is_none();
    let read = match draft {
        Some(spec) => Ok(spec),
        None => launches::read(&entry.line, &Surroundings::default()),
    };
    match read {
        Ok(mut spec) => {
            spec.detach = true;
            state.ui.layers.pop();
            open_form(state, &spec);
            if start {
                flow::start(state, effects);
            }
        }
        Err(why) => {
            let text = format!("this line cannot be read any more: {why}");
            state.jobs.toast(Tone::Bad, &text, state.now);
        }
    }
}

fn forget(state: &mut State, entry: Option<&Entry>, effects: &mut Vec<Effect>) {
    let Some(entry) = entry.filter(|e| e.preset) else {
        let text = "presets alone can be removed; the last launches make room by themselves";
        return state.jobs.toast(Tone::Text, text, state.now);
    };
    // The name as it is kept, which may be longer than it is shown.
    let mut presets = state.launch.kept.presets.iter();
    let name = presets
        .find(|p| p.line == entry.line)
        .map(|p| p.name.clone());
    if let Some(name) = name {
        after::keep(state, Keep::Forget(name), effects);
        let text = format!("the preset {} is removed", entry.name);
        state.jobs.toast(Tone::Text, &text, state.now);
    }
    let count = entries(state).len();
    if count == 0 {
        state.ui.layers.pop();
    } else if let Some(Layer::Launches { selected }) = state.ui.layers.last_mut() {
        *selected = (*selected).min(count - 1);
    }
}

/// Keeps a preset under the name that was typed.
pub fn preset(
    state: &mut State,
    name: &str,
    line: String,
    left_out: &[String],
    effects: &mut Vec<Effect>,
) {
    let known = state.launch.kept.presets.iter().any(|p| p.name == name);
    let mut text = match known {
        true => format!("the preset {name} is this form now"),
        false => format!("kept as the preset {name}"),
    };
    if !left_out.is_empty() {
        text.push_str(&format!(
            "; the value of {} is not kept: it looks secret, and is taken from your environment",
            left_out.join(", ")
        ));
    }
    let name = name.to_owned();
    after::keep(state, Keep::Preset(Preset { name, line }), effects);
    state.jobs.toast(Tone::Good, &text, state.now);
}
