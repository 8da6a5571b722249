//! Keys of the form.

use super::complete::common;
use super::fields::Kind;
use super::state::{Form, Paths, Phase, Spot};
use super::{flow, open};
use crate::launch::Which;
use crate::launcher::Mend;
use crate::tui::Action;
use crate::tui::effect::Effect;
use crate::tui::keymap::{Key, KeyPress};
use crate::tui::state::State;
use crate::tui::state::launches;
use crate::tui::state::layers::{Layer, Prompt, PromptKind};
use crate::tui::widgets::Tone;

/// Spots of a page.
const PAGE: isize = 8;

/// A key while the form is on top.
pub fn on_key(state: &mut State, key: KeyPress, action: Option<Action>, effects: &mut Vec<Effect>) {
    let now = state.now.mono;
    let Some(Layer::Form(form)) = state.ui.layers.last_mut() else {
        return;
    };
    if form.phase != Phase::Edit {
        return busy(state, key, action, effects);
    }
    match action {
        Some(Action::FormStart) => flow::start(state, effects),
        Some(Action::Enter) if form.spot == Spot::Launch => flow::start(state, effects),
        Some(Action::Enter) => form.travel(1),
        Some(Action::Back) => {
            if form.paths.take().is_none() {
                open::close(state);
            }
        }
        Some(Action::Up | Action::FocusPrevious) => form.travel(-1),
        Some(Action::Down) => form.travel(1),
        Some(Action::FocusNext) => {
            if !complete(state, effects)
                && let Some(Layer::Form(form)) = state.ui.layers.last_mut()
            {
                form.travel(1);
            }
        }
        Some(Action::PageUp) => form.travel(-PAGE),
        Some(Action::PageDown) => form.travel(PAGE),
        Some(Action::FormAdd) => {
            if !form.add(now) {
                let text = "there is one of this field alone; env, mounts, ports, ulimits and networks may be several";
                state.jobs.toast(Tone::Text, text, state.now);
            }
        }
        Some(Action::FormRemove) => {
            form.remove(now);
        }
        Some(Action::FormMend) => mend(state, effects),
        Some(Action::FormSave) => save(state),
        Some(Action::Copy) => {
            let line = form.line();
            effects.push(Effect::Copy(line));
        }
        Some(Action::Help) => state.ui.layers.push(Layer::Help { scroll: 0 }),
        _ => write(state, key),
    }
}

/// A key for what is under the cursor.
fn write(state: &mut State, key: KeyPress) {
    let now = state.now.mono;
    let Some(Layer::Form(form)) = state.ui.layers.last_mut() else {
        return;
    };
    if form.writes() {
        form.key(key, now);
        return;
    }
    let text = key.text();
    match form.spot {
        Spot::Gpus => {
            match (key.key, text) {
                (Key::Left, _) => form.gpus.turn(-1),
                (Key::Right, _) | (_, Some(' ')) => form.gpus.turn(1),
                (_, Some('+')) => form.gpus.more(1),
                (_, Some('-')) => form.gpus.more(-1),
                (_, Some(digit @ '1'..='9')) => {
                    let count = digit.to_digit(10).unwrap_or(1);
                    form.gpus.more(0);
                    form.gpus.count = count;
                }
                _ => return,
            }
            form.changed(now);
        }
        Spot::Gpu(place) => {
            if text != Some(' ') {
                return;
            }
            match form.gpus.mark(place) {
                Ok(()) => form.changed(now),
                Err(why) => state.jobs.toast(Tone::Warn, &why, state.now),
            }
        }
        Spot::Row(place) => {
            let turn = text == Some(' ') || matches!(key.key, Key::Left | Key::Right);
            if let Some(row) = form.rows.get_mut(place).filter(|_| turn) {
                row.toggle();
                form.changed(now);
            }
        }
        Spot::Devices | Spot::Launch => {}
    }
}

/// A key while a start goes on: nothing can be written, one can stop or skip.
fn busy(state: &mut State, key: KeyPress, action: Option<Action>, effects: &mut Vec<Effect>) {
    match (key.text(), action) {
        (_, Some(Action::Back)) => flow::cancel(state, effects),
        (Some('s'), None) => flow::skip(state, effects),
        (_, Some(Action::Help)) => state.ui.layers.push(Layer::Help { scroll: 0 }),
        _ => {}
    }
}

/// Where a path begins in a field's text, and where it ends; `None` where the cursor is in no path.
fn path_in(kind: Kind, text: &str, cursor: usize) -> Option<(usize, usize)> {
    let end = text
        .char_indices()
        .nth(cursor)
        .map_or(text.len(), |(at, _)| at);
    let before = text.get(..end)?;
    let start = match kind {
        Kind::EnvFile => 0,
        // `type=bind,source=/da`
        Kind::Mount if before.contains('=') => {
            let start = before.rfind(',').map_or(0, |at| at + 1);
            let (name, _) = before.get(start..)?.split_once('=')?;
            if !matches!(name, "source" | "src") {
                return None;
            }
            start + name.len() + 1
        }
        // The path in the container is none of this host's.
        Kind::Mount if before.contains(':') => return None,
        Kind::Mount => 0,
        _ => return None,
    };
    let path = before.get(start..)?;
    path.starts_with(['/', '~', '.']).then_some((start, end))
}

/// Asks what a path could go on with; `false` where the cursor is in no path.
fn complete(state: &mut State, effects: &mut Vec<Effect>) -> bool {
    let id = state.launch.next_id();
    let Some(Layer::Form(form)) = state.ui.layers.last_mut() else {
        return false;
    };
    let Spot::Row(place) = form.spot else {
        return false;
    };
    let Some(row) = form.rows.get(place) else {
        return false;
    };
    let text = row.input.value().to_owned();
    let Some((start, end)) = path_in(row.kind, &text, row.input.cursor()) else {
        return false;
    };
    let path = text.get(start..end).unwrap_or_default().to_owned();
    form.paths = Some(Paths {
        id,
        row: place,
        text,
        found: None,
    });
    effects.push(Effect::CompletePath { id, text: path });
    true
}

/// Paths came.
pub fn completed(
    form: &mut Form,
    id: u64,
    result: Result<Vec<String>, String>,
    now: std::time::Duration,
) {
    let Some(paths) = form.paths.as_mut().filter(|p| p.id == id) else {
        return;
    };
    let place = paths.row;
    let Some(row) = form
        .rows
        .get_mut(place)
        .filter(|r| r.input.value() == paths.text)
    else {
        form.paths = None;
        return;
    };
    let found = result.as_deref().unwrap_or_default();
    let longest = common(found);
    if let Some((start, end)) = path_in(row.kind, &paths.text, row.input.cursor())
        && !longest.is_empty()
        && paths.text.get(start..end) != Some(longest.as_str())
    {
        let head = paths.text.get(..start).unwrap_or_default();
        let tail = paths.text.get(end..).unwrap_or_default();
        let text = format!("{head}{longest}{tail}");
        let cursor = head.chars().count() + longest.chars().count();
        row.input = tui_input::Input::new(text.clone()).with_cursor(cursor);
        row.edited(&form.surroundings);
        paths.text = text;
        let one = found.len() == 1;
        paths.found = Some(result);
        if one {
            form.paths = None;
        }
        form.changed(now);
        return;
    }
    paths.found = Some(result);
}

/// The mend that the key does now: that of the field under the cursor, else the first of what stops.
pub fn offered(form: &Form) -> Option<(&Mend, String)> {
    let plan = form.current()?;
    let here = plan
        .conflicts
        .iter()
        .filter(|c| form.spot_of(c.field) == Some(form.spot));
    let stops = plan.conflicts.iter().filter(|c| c.stops);
    let mends = here
        .chain(stops)
        .chain(&plan.conflicts)
        .filter_map(|c| c.mend.as_ref());
    let mend = mends.into_iter().next()?;
    Some((mend, in_words(mend)))
}

/// What a mend does.
pub fn in_words(mend: &Mend) -> String {
    let clean = |text: &str| crate::model::text::clean(text, 80);
    match mend {
        Mend::Port { host, .. } => format!("publish {host} instead"),
        Mend::Name(name) => format!("call it {} instead", clean(name)),
        Mend::MakeFolder(path) => format!("make the folder {}", clean(path)),
        Mend::Gpus(which) => match which {
            Which::All => "take all GPUs".to_owned(),
            Which::Count(1) | Which::Free(1) => "take 1 free GPU".to_owned(),
            Which::Count(count) | Which::Free(count) => format!("take {count} free GPUs"),
            Which::Devices(devices) => format!("take {} instead", clean(&devices.join(", "))),
        },
        Mend::Shm(bytes) => format!("--shm-size={}", crate::launch::field::size_text(*bytes)),
    }
}

/// Does what was offered.
fn mend(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    let Some(Layer::Form(form)) = state.ui.layers.last_mut() else {
        return;
    };
    let Some((mend, words)) = offered(form).map(|(mend, words)| (mend.clone(), words)) else {
        let text = "nothing stands in the way that could be mended at a key";
        state.jobs.toast(Tone::Text, text, now);
        return;
    };
    if let Mend::MakeFolder(path) = mend {
        if !crate::tui::update::refused(state) {
            effects.push(Effect::MakeFolder(path));
        }
        return;
    }
    match mend {
        Mend::Port { at, host } => {
            let held = |r: &&super::fields::Row| r.kind == Kind::Port && r.value.is_some();
            let port = form
                .rows
                .iter()
                .filter(held)
                .nth(at)
                .and_then(|r| match &r.value {
                    Some(super::fields::Value::Port(port)) => Some(port.clone()),
                    _ => None,
                });
            let place = form.spot_of(crate::launcher::Field::Port(at));
            if let (Some(mut port), Some(Spot::Row(place))) = (port, place) {
                let more = port.container.last.saturating_sub(port.container.first);
                port.host = Some(crate::launch::PortRange {
                    first: host,
                    last: host.saturating_add(more),
                });
                if let Some(row) = form.rows.get_mut(place) {
                    *row = super::fields::Row::of(Kind::Port, super::fields::Value::Port(port));
                }
                form.changed(now.mono);
            }
        }
        Mend::Name(name) => form.set(Kind::Name, 0, &name, now.mono),
        Mend::Gpus(which) => {
            form.gpus.put(&which);
            form.changed(now.mono);
        }
        Mend::Shm(bytes) => {
            let text = crate::launch::field::size_text(bytes);
            form.set(Kind::Shm, 0, &text, now.mono);
        }
        Mend::MakeFolder(_) => {}
    }
    form.note = Some(words);
    form.plan_now(now.mono);
}

/// Asks for a preset's name.
fn save(state: &mut State) {
    let Some(Layer::Form(form)) = state.ui.layers.last() else {
        return;
    };
    if form.faulty().is_some() {
        let text = "a field cannot be read: mend it first";
        state.jobs.toast(Tone::Warn, text, state.now);
        return;
    }
    let spec = form.spec();
    let (line, left_out) = launches::kept(&spec);
    let name = spec.name.unwrap_or_default();
    let kind = PromptKind::Preset { line, left_out };
    state
        .ui
        .layers
        .push(Layer::Prompt(Prompt::new(kind, &name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_where_a_host_path_can_be() {
        let at = |kind, text: &str| path_in(kind, text, text.chars().count());
        assert_eq!(at(Kind::EnvFile, "/etc/x"), Some((0, 6)));
        assert_eq!(at(Kind::EnvFile, "x"), None);
        assert_eq!(at(Kind::Mount, "~/da"), Some((0, 4)));
        assert_eq!(at(Kind::Mount, "/data:/da"), None);
        assert_eq!(at(Kind::Mount, "cache"), None, "a volume's name");
        assert_eq!(at(Kind::Mount, "type=bind,src=/da"), Some((14, 17)));
        assert_eq!(at(Kind::Mount, "type=bind,target=/da"), None);
        assert_eq!(at(Kind::Name, "/x"), None);
        assert_eq!(path_in(Kind::Mount, "/dé:/x", 3), Some((0, 4)));
    }
}
