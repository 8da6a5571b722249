//! What an action does where no dialog is open.

use super::{checks, commands};
use crate::tui::Action;
use crate::tui::effect::Effect;
use crate::tui::state::layers::{ColumnChooser, Layer, Prompt, PromptKind};
use crate::tui::state::list::{Item, members};
use crate::tui::state::{Focus, Page, State, Tab};
use crate::tui::widgets::Tone;

pub(super) fn run(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    use Action::*;
    match action {
        Up | Down | PageUp | PageDown | First | Last => travel(state, action),
        Left | Right => sideways(state, action == Right),
        FocusNext | FocusPrevious => swap_focus(state),
        Enter => enter(state),
        Back => back(state, effects),
        PageContainers => go(state, Page::Containers),
        PageGpus => go(state, Page::Gpus),
        PageImages => go(state, Page::Images),
        TabNext => next_tab(state, 1),
        TabPrevious => next_tab(state, -1),
        TabCharts => tab(state, Tab::Charts),
        TabLogs => tab(state, Tab::Logs),
        TabProcesses => tab(state, Tab::Processes),
        TabVerdict => tab(state, Tab::Verdict),
        TabInspect => tab(
            state,
            if state.ui.page == Page::Gpus {
                Tab::Facts
            } else {
                Tab::Inspect
            },
        ),
        TabEnv => tab(state, Tab::Env),
        Zoom => {
            state.ui.zoom = !state.ui.zoom;
            if state.ui.zoom {
                state.ui.focus = Focus::Details;
            }
        }
        Filter => filter(state),
        Sort => commands::sort_menu(state),
        SortReverse => match state.ui.page {
            Page::Images => state.images.reversed = !state.images.reversed,
            _ => state.list.reversed = !state.list.reversed,
        },
        Columns => {
            if state.ui.page == Page::Containers {
                let chooser = ColumnChooser::new(&state.list.columns);
                state.ui.layers.push(Layer::Columns(chooser));
            }
        }
        ToggleStopped => state.list.show_stopped = !state.list.show_stopped,
        Mark | MarkAll | MarkProject | ClearMarks => mark(state, action),
        ActionMenu | Start | Stop | Restart | PauseToggle | Kill | Remove | Rename | Shell => {
            commands::run(state, action, effects);
        }
        Launch => crate::tui::form::open::launch(state, effects),
        Launches => crate::tui::form::open::list(state),
        // Of the form, where it is open.
        FormStart | FormAdd | FormRemove | FormMend | FormSave => {}
        Build => crate::tui::building::act::open(state, effects),
        Check => checks::check(state, effects),
        CheckContainer => checks::check_own(state, effects),
        ToggleSecrets => {
            state.inspect.toggle_secrets();
            let text = if state.inspect.show_secrets {
                "secrets are shown"
            } else {
                "secrets are masked"
            };
            state.jobs.toast(Tone::Text, text, state.now);
        }
        AllProcesses => {
            let here = state.ui.page == Page::Gpus && state.tab() == Tab::Processes;
            state.gpus.all_processes = !(here && state.gpus.all_processes);
            go(state, Page::Gpus);
            state.set_tab(Tab::Processes);
        }
        KillProcess => commands::process_menu(state),
        ReleaseGpus => {
            state.gpus.released = !state.gpus.released;
            effects.push(Effect::ReleaseGpus(state.gpus.released));
        }
        Copy => copy(state, effects),
        MouseToggle => {
            state.ui.mouse = !state.ui.mouse;
            effects.push(Effect::Mouse(state.ui.mouse));
        }
        Refresh => {
            effects.push(Effect::Relist);
            state.inspect.subject = None;
            state.images.asked = false;
            state.images.again = None;
            state.verdicts.retry();
            let text = "the engine is asked for everything again";
            state.jobs.toast(Tone::Text, text, state.now);
        }
        Redraw => effects.push(Effect::Redraw),
        SavePreferences => {
            effects.push(Effect::SavePreferences(Box::new(state.preferences())));
            state
                .jobs
                .toast(Tone::Good, "columns, sort and view saved", state.now);
        }
        Suspend => {
            effects.extend(state.logs.close());
            effects.push(Effect::Suspend);
        }
        Help => state.ui.layers.push(Layer::Help { scroll: 0 }),
        Quit => effects.push(Effect::Quit),
        LogFollow | LogSearch | LogFilter | LogNext | LogPrevious | LogTimestamps | LogWrap
        | LogSince | LogSave | LogMerge => log(state, action),
    }
}

/// Keys of the log that mean something elsewhere too.
fn log(state: &mut State, action: Action) {
    match action {
        Action::LogNext if state.tab() == Tab::Inspect => state.inspect.step(1),
        Action::LogPrevious if state.tab() == Tab::Inspect => state.inspect.step(-1),
        Action::LogMerge => merge(state),
        _ => {}
    }
}

/// Merges the logs of the marked containers; again, and the selected one's is shown alone.
fn merge(state: &mut State) {
    if state.ui.page != Page::Containers {
        return;
    }
    if !state.merged.is_empty() {
        state.merged.clear();
    } else if state.list.marks.len() < 2 {
        state.jobs.toast(
            Tone::Warn,
            "mark two or more containers to merge their logs",
            state.now,
        );
        return;
    } else {
        state.merged = state.list.marks.iter().copied().collect();
    }
    tab(state, Tab::Logs);
}

/// Rows of a page: what is shown of the panel that moves.
fn page_rows(state: &State) -> isize {
    let layout = state.layout();
    let rows = match state.ui.focus {
        Focus::List => layout.list_inside().height,
        Focus::Details => layout.details_inside().height,
    };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

fn travel(state: &mut State, action: Action) {
    let page = page_rows(state);
    let by = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -page,
        Action::PageDown => page,
        Action::First => isize::MIN / 2,
        _ => isize::MAX / 2,
    };
    scroll(state, state.ui.focus, by);
}

/// Moves the selection or the view of a panel.
pub(super) fn scroll(state: &mut State, focus: Focus, by: isize) {
    let now = state.now;
    if focus == Focus::List {
        state.ui.moved = now.mono;
    }
    match (focus, state.ui.page) {
        (Focus::List, Page::Containers) => {
            let before = state.list.selected_key();
            state.list.move_by(by, now);
            if before != state.list.selected_key() {
                state.ui.scroll = 0;
            }
        }
        (Focus::List, Page::Gpus) => {
            let to = state.gpus.selected.saturating_add_signed(by);
            state.select_gpu(to);
            state.ui.scroll = 0;
        }
        (Focus::List, Page::Images) => {
            state.images.move_by(by);
            state.ui.scroll = 0;
        }
        (Focus::Details, _) => scroll_details(state, by),
    }
}

fn scroll_details(state: &mut State, by: isize) {
    let rows = usize::from(state.layout().details_inside().height);
    let limit = |total: usize| total.saturating_sub(rows.max(1));
    match state.tab() {
        Tab::Processes => state.processes.move_by(by),
        Tab::Inspect => {
            let most = limit(state.inspect.lines.len());
            state.inspect.scroll = state.inspect.scroll.saturating_add_signed(by).min(most);
        }
        Tab::Env => {
            let most = limit(state.inspect.env.len());
            state.ui.scroll = state.ui.scroll.saturating_add_signed(by).min(most);
        }
        Tab::Verdict => {
            let most = limit(state.verdict_pane.lines.len());
            state.ui.scroll = state.ui.scroll.saturating_add_signed(by).min(most);
        }
        Tab::Users => {
            let most = limit(state.world.joined.users.len() + 2);
            state.ui.scroll = state.ui.scroll.saturating_add_signed(by).min(most);
        }
        Tab::Xids => {
            let most = state.world.xids.len().saturating_sub(1);
            state.ui.scroll = state.ui.scroll.saturating_add_signed(by).min(most);
        }
        Tab::Facts => {
            state.ui.scroll = state.ui.scroll.saturating_add_signed(by).min(40);
        }
        Tab::Charts | Tab::Logs => {}
    }
}

/// The wheel over the details.
pub(super) fn wheel_details(state: &mut State, by: isize, effects: &mut Vec<Effect>) {
    if state.logs_visible() {
        effects.extend(state.logs.wheel(i32::try_from(by).unwrap_or(0)));
    } else {
        scroll_details(state, by);
    }
}

/// Left folds a project or shows the hour; right unfolds it or shows the five minutes.
fn sideways(state: &mut State, right: bool) {
    if state.ui.focus == Focus::Details {
        if state.tab() == Tab::Charts {
            state.ui.fine = Some(right);
        }
        return;
    }
    if state.ui.page != Page::Containers {
        return;
    }
    match state.list.selected_item().cloned() {
        Some(Item::Project(project)) => fold(state, project, !right),
        Some(Item::Container(_)) if state.tab() == Tab::Charts => state.ui.fine = Some(right),
        _ => {}
    }
}

fn fold(state: &mut State, project: String, folded: bool) {
    if folded {
        state.list.collapsed.insert(project);
    } else {
        state.list.collapsed.remove(&project);
    }
}

fn swap_focus(state: &mut State) {
    let has_details = state.layout().details.is_some();
    state.ui.focus = match state.ui.focus {
        Focus::List if has_details => Focus::Details,
        Focus::Details if !state.ui.zoom => Focus::List,
        focus => focus,
    };
}

/// Opens the details: gives them the keys, and the whole screen where there is no room for both.
fn enter(state: &mut State) {
    if state.ui.focus == Focus::List {
        if state.ui.page == Page::Containers
            && let Some(Item::Project(project)) = state.list.selected_item().cloned()
        {
            let folded = state.list.collapsed.contains(&project);
            fold(state, project, !folded);
            return;
        }
        if state.layout().details.is_none() {
            state.ui.zoom = true;
        }
        state.ui.focus = Focus::Details;
    }
}

/// One step back: running check, whole screen, details, search, filter, marks.
fn back(state: &mut State, effects: &mut Vec<Effect>) {
    if state.ui.focus == Focus::Details
        && state.verdict_visible()
        && checks::stop_shown(state, effects)
    {
        return;
    }
    if state.ui.focus == Focus::Details
        && state.tab() == Tab::Inspect
        && !state.inspect.search.is_empty()
    {
        state.inspect.find("");
    } else if state.ui.zoom {
        state.ui.zoom = false;
        if state.layout().details.is_none() {
            state.ui.focus = Focus::List;
        }
    } else if state.ui.focus == Focus::Details {
        state.ui.focus = Focus::List;
    } else if state.ui.page == Page::Images && !state.images.filter.is_empty() {
        state.images.filter.clear();
    } else if state.ui.page == Page::Containers && !state.list.filter.is_empty() {
        state.list.filter.clear();
    } else if state.ui.page == Page::Containers && !state.list.marks.is_empty() {
        state.list.marks.clear();
    } else if state.verdict_visible() {
        // The keys are the list's, and the tab says that this stops the check.
        checks::stop_shown(state, effects);
    }
}

pub(super) fn go(state: &mut State, page: Page) {
    if state.ui.page != page {
        state.ui.page = page;
        state.ui.focus = Focus::List;
        state.ui.zoom = false;
        state.ui.scroll = 0;
    }
}

fn next_tab(state: &mut State, by: isize) {
    let tabs = state.ui.page.tabs();
    let count = isize::try_from(tabs.len()).unwrap_or(1).max(1);
    let at = tabs.iter().position(|t| *t == state.tab()).unwrap_or(0);
    let to = (isize::try_from(at).unwrap_or(0) + by).rem_euclid(count);
    if let Some(next) = tabs.get(usize::try_from(to).unwrap_or(0)) {
        state.set_tab(*next);
    }
}

/// Goes to a tab and gives it the keys: `l` then scrolls and searches the log.
pub(super) fn tab(state: &mut State, tab: Tab) {
    if !state.ui.page.tabs().contains(&tab) {
        if state.ui.page == Page::Containers {
            return;
        }
        // The tab of a container, asked for on another page.
        if !Page::Containers.tabs().contains(&tab) {
            return;
        }
        go(state, Page::Containers);
    }
    state.set_tab(tab);
    if state.layout().details.is_none() {
        state.ui.zoom = true;
    }
    if !matches!(tab, Tab::Charts) {
        state.ui.focus = Focus::Details;
    }
}

fn filter(state: &mut State) {
    if state.ui.focus == Focus::Details && state.tab() == Tab::Inspect {
        let prompt = Prompt::new(PromptKind::Search, &state.inspect.search);
        state.ui.layers.push(Layer::Prompt(prompt));
        return;
    }
    let text = match state.ui.page {
        Page::Containers => state.list.filter.clone(),
        Page::Images => state.images.filter.clone(),
        Page::Gpus => return,
    };
    state.ui.focus = Focus::List;
    state.ui.zoom = false;
    state
        .ui
        .layers
        .push(Layer::Prompt(Prompt::new(PromptKind::Filter, &text)));
}

fn mark(state: &mut State, action: Action) {
    if state.ui.page != Page::Containers {
        return;
    }
    match action {
        Action::Mark => state.list.toggle_mark(&state.world, state.now),
        Action::MarkAll => {
            let shown: Vec<_> = state.list.shown().collect();
            state.list.toggle_all(&shown);
        }
        Action::MarkProject => {
            let project = match state.list.selected_item() {
                Some(Item::Project(project)) => Some(project.clone()),
                Some(Item::Container(key)) => state
                    .world
                    .rows
                    .get(key)
                    .and_then(|r| r.container.compose.as_ref())
                    .map(|c| c.project.clone()),
                None => None,
            };
            match project {
                Some(project) => {
                    let keys: Vec<_> = members(&state.world, &project).collect();
                    state.list.toggle_all(&keys);
                }
                None => state
                    .jobs
                    .toast(Tone::Warn, "it belongs to no Compose project", state.now),
            }
        }
        _ => state.list.marks.clear(),
    }
}

/// Copies what the user looks at: the JSON, the environment, a process's command; in lists the id.
fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let inspect = &state.inspect;
    let text = match (state.ui.page, state.ui.focus, state.tab()) {
        (_, Focus::Details, Tab::Inspect) if !inspect.lines.is_empty() => {
            Some(inspect.lines.join("\n"))
        }
        (_, Focus::Details, Tab::Env) if !inspect.env.is_empty() => {
            let pairs = inspect
                .env
                .iter()
                .map(|e| format!("{}={}", e.name, e.value));
            Some(pairs.collect::<Vec<_>>().join("\n"))
        }
        (_, Focus::Details, Tab::Verdict) => state.verdict_pane.remedy.clone(),
        (_, Focus::Details, Tab::Processes) => {
            let line = state.processes.lines.get(state.processes.selected);
            line.map(|l| format!("{} {}", l.pid, l.command))
        }
        (Page::Gpus, ..) => state.selected_gpu().map(|g| g.key.uuid.to_string()),
        (Page::Images, ..) => state.images.selected_id().map(|id| id.0.to_string()),
        (Page::Containers, ..) => state.list.selected_key().map(|key| key.id.to_string()),
    };
    match text {
        Some(text) => effects.push(Effect::Copy(text)),
        None => {
            let text = "nothing is selected that could be copied";
            state.jobs.toast(Tone::Warn, text, state.now);
        }
    }
}
