//! After a start: the dashboard goes to the new container, and an early end is explained.

use std::time::Duration;

use super::state::Form;
use crate::launch::LaunchSpec;
use crate::launcher::Launched;
use crate::model::ContainerKey;
use crate::tui::effect::Effect;
use crate::tui::state::launches::{self, Keep, Launches};
use crate::tui::state::layers::Layer;
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::widgets::{Tone, split};

/// An end within this time after the start is explained.
const EARLY: Duration = Duration::from_secs(30);

/// A container that was started and has not shown in the list after this time was removed at its end.
const APPEARS: Duration = Duration::from_secs(3);

/// A container that was just launched.
#[derive(Debug, Clone)]
struct Watched {
    key: ContainerKey,
    name: String,
    started: Duration,
    /// It was in the list.
    seen: bool,
}

/// What the dashboard knows of launches beside the open form.
#[derive(Debug, Default)]
pub struct Launching {
    /// What is kept.
    pub kept: Launches,
    /// The form that was closed last.
    pub draft: Option<LaunchSpec>,
    /// The container whose launch is asked for, to open its form.
    pub like: Option<ContainerKey>,
    ids: u64,
    watched: Vec<Watched>,
    /// The container to be selected when it shows in the list.
    awaited: Option<ContainerKey>,
    /// Something to read, once no dialog is open.
    message: Option<(String, Vec<String>)>,
}

impl Launching {
    /// With what was kept.
    pub fn new(kept: Launches) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    /// A number that no question had yet.
    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// When the next of the launched ones has to be looked at.
    pub fn deadline(&self) -> Option<Duration> {
        let unseen = self.watched.iter().filter(|w| !w.seen);
        unseen.map(|w| w.started + APPEARS).min()
    }
}

/// Changes what is kept, here and in the file.
pub fn keep(state: &mut State, change: Keep, effects: &mut Vec<Effect>) {
    state.launch.kept.keep(change.clone());
    // What the simulated host launches is nothing to launch again on a real one.
    if !state.config.demo {
        effects.push(Effect::KeepLaunch(change));
    }
}

/// It runs: the form is closed, its line kept, and the dashboard goes to the container.
pub fn launched(state: &mut State, form: &Form, launched: Launched, effects: &mut Vec<Effect>) {
    let (line, _) = launches::kept(&form.spec());
    keep(state, Keep::Last(line), effects);
    let name = crate::model::text::clean(&launched.name, 80);
    let gpus: Vec<String> = launched
        .gpus
        .iter()
        .map(|g| {
            g.index
                .map_or_else(|| g.key.uuid.to_string(), |i| i.to_string())
        })
        .collect();
    let text = match gpus.as_slice() {
        [] => format!("{name} was started"),
        [one] => format!("{name} was started on GPU {one}"),
        _ => format!("{name} was started on GPUs {}", gpus.join(", ")),
    };
    state.jobs.toast(Tone::Good, &text, state.now);
    for note in &launched.notes {
        state.jobs.toast(Tone::Warn, note, state.now);
    }
    state.ui.page = Page::Containers;
    state.ui.focus = Focus::List;
    state.ui.zoom = false;
    // Whatever would hide it.
    state.list.filter.clear();
    state.merged.clear();
    state.set_tab(Tab::Logs);
    if state.layout().details.is_none() {
        state.ui.zoom = true;
    }
    state.ui.focus = Focus::Details;
    state.launch.draft = None;
    state.launch.awaited = Some(launched.key);
    state.launch.watched.push(Watched {
        key: launched.key,
        name,
        started: state.now.mono,
        seen: false,
    });
    look(state, effects);
}

/// Looks for the containers that were launched: selects the one that is waited for, and asks why one ended.
pub fn look(state: &mut State, effects: &mut Vec<Effect>) {
    let now = state.now;
    if let Some(key) = state.launch.awaited
        && let Some(row) = state.world.rows.get(&key)
    {
        state.launch.awaited = None;
        state.list.show_stopped |= !row.container.state.is_live();
        let project = row.container.compose.as_ref().map(|c| c.project.clone());
        if let Some(project) = project {
            state.list.collapsed.remove(&project);
        }
        state.list.anchor_at(key, now);
    }
    let rows = &state.world.rows;
    let mut ended = Vec::new();
    state.launch.watched.retain_mut(|watched| {
        let row = rows.get(&watched.key);
        let live = row.is_some_and(|r| {
            use crate::model::ContainerState::{Created, Unknown};
            let state = r.container.state;
            // Made, and about to be started.
            state.is_live() || matches!(state, Created | Unknown)
        });
        let age = now.mono.saturating_sub(watched.started);
        watched.seen |= row.is_some();
        if live {
            return age < EARLY;
        }
        if !watched.seen && age < APPEARS {
            return true;
        }
        if age <= EARLY + APPEARS {
            ended.push((watched.key, watched.name.clone()));
        }
        false
    });
    effects.extend(
        ended
            .into_iter()
            .map(|(key, name)| Effect::ExplainEnd { key, name }),
    );
}

/// Why a container ended: shown at once, or when no dialog is open any more.
pub fn explained(state: &mut State, title: &str, lines: &[String]) {
    use crate::model::text::clean;
    if lines.is_empty() {
        return state.jobs.toast(Tone::Warn, title, state.now);
    }
    // So that it can be read on the smallest screen too.
    let room = state.ui.size.0.clamp(60, 104).saturating_sub(8);
    let mut shown = Vec::new();
    for line in lines.iter().take(200) {
        let indent = if line.starts_with(' ') { "  " } else { "" };
        let line = clean(line, 400);
        let mut rest = line.as_str();
        loop {
            let (piece, after) = split(rest, room - 2);
            shown.push(format!("{indent}{piece}"));
            if after.is_empty() || after.len() >= rest.len() {
                break;
            }
            rest = after;
        }
    }
    state.launch.message = Some((clean(title, 200), shown));
    tell(state);
}

/// Shows what is to be read, where no dialog is open.
pub fn tell(state: &mut State) {
    if state.ui.layers.is_empty()
        && let Some((title, lines)) = state.launch.message.take()
    {
        let scroll = 0;
        state.ui.layers.push(Layer::Message {
            title,
            lines,
            scroll,
        });
    }
}
