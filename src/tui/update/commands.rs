//! Commands on containers and processes: menus, questions, and the effects of an answer. With `--read-only` every
//! one of them is refused here.

use std::time::Duration;

use crate::model::{ContainerCommand, ContainerKey, ContainerState, ProcKey, Signal};
use crate::tui::Action;
use crate::tui::effect::Effect;
use crate::tui::fmt::push_clean;
use crate::tui::state::columns::Column;
use crate::tui::state::layers::{
    Ask, Confirm, Layer, Menu, MenuItem, Pick, Prompt, PromptKind, Target,
};
use crate::tui::state::processes::process_key;
use crate::tui::state::{Page, State, Tab};
use crate::tui::widgets::Tone;

/// A container's name, for messages.
pub(super) fn name_of(state: &State, key: ContainerKey) -> String {
    let mut name = String::new();
    match state.world.rows.get(&key) {
        Some(row) => push_clean(&mut name, &row.container.name),
        None => name = key.id.short(),
    }
    name
}

/// The set a command would act on, as the user sees it now.
fn targets(state: &State) -> Vec<Target> {
    let describe = |key: ContainerKey| Target {
        key,
        name: name_of(state, key),
        live: state
            .world
            .rows
            .get(&key)
            .is_some_and(|r| r.container.state.is_live()),
        gone: false,
    };
    let mut list: Vec<Target> = state
        .list
        .targets(&state.world)
        .into_iter()
        .map(describe)
        .collect();
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

/// Refuses with a plain word where nothing may be changed.
pub(crate) fn refused(state: &mut State) -> bool {
    if state.config.read_only {
        state.jobs.toast(
            Tone::Warn,
            "read-only: midwatch was started with --read-only",
            state.now,
        );
    }
    state.config.read_only
}

/// Runs a container action.
pub(super) fn run(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    if state.ui.page != Page::Containers || refused(state) {
        return;
    }
    let targets = targets(state);
    if targets.is_empty() {
        state
            .jobs
            .toast(Tone::Warn, "no container is selected", state.now);
        return;
    }
    run_on(state, action, targets, effects);
}

/// Runs a container action on a fixed set.
pub(super) fn run_on(
    state: &mut State,
    action: Action,
    targets: Vec<Target>,
    effects: &mut Vec<Effect>,
) {
    let only = match targets.as_slice() {
        [one] => Some(one.key),
        _ => None,
    };
    match action {
        Action::ActionMenu => action_menu(state, targets),
        Action::Launch => {
            if let Some(key) = only {
                crate::tui::form::open::from_container(state, key, effects);
            }
        }
        Action::Check => {
            let keys: Vec<ContainerKey> = targets.iter().map(|t| t.key).collect();
            super::checks::check_images_of(state, &keys, effects);
        }
        Action::CheckContainer => {
            if let Some(key) = only {
                super::checks::check_file_system(state, key, effects);
            }
        }
        Action::Start => {
            let (live, stopped): (Vec<Target>, Vec<Target>) =
                targets.into_iter().partition(|t| t.live);
            if stopped.is_empty() {
                let text = if live.len() == 1 {
                    "it runs already"
                } else {
                    "all of them run already"
                };
                state.jobs.toast(Tone::Warn, text, state.now);
            } else {
                ask_or_do(state, ContainerCommand::Start, stopped, effects);
            }
        }
        Action::Stop | Action::Restart => {
            let restart = action == Action::Restart;
            let targets: Vec<Target> = targets.into_iter().filter(|t| t.live || restart).collect();
            if targets.is_empty() {
                state.jobs.toast(Tone::Warn, "it does not run", state.now);
            } else {
                grace_menu(state, restart, targets);
            }
        }
        Action::PauseToggle => pause(state, targets, effects),
        Action::Kill => {
            let targets: Vec<Target> = targets.into_iter().filter(|t| t.live).collect();
            if targets.is_empty() {
                state.jobs.toast(Tone::Warn, "it does not run", state.now);
            } else {
                signal_menu(state, targets);
            }
        }
        Action::Remove => {
            let force = targets.iter().any(|t| t.live);
            let command = ContainerCommand::Remove {
                force,
                volumes: false,
            };
            ask(state, command, targets);
        }
        Action::Rename => match (only, targets.first()) {
            (Some(key), Some(target)) => {
                let prompt = Prompt::new(PromptKind::Rename(key), &target.name);
                state.ui.layers.push(Layer::Prompt(prompt));
            }
            _ => state.jobs.toast(
                Tone::Warn,
                "one container at a time can be renamed",
                state.now,
            ),
        },
        Action::Shell => match (only, targets.first()) {
            (Some(key), Some(target)) if target.live => {
                // The log is closed before the terminal is given away.
                effects.extend(state.logs.close());
                state.away = true;
                effects.push(Effect::Shell(key));
            }
            (Some(_), _) => state.jobs.toast(
                Tone::Warn,
                "it does not run: there is no shell to open",
                state.now,
            ),
            _ => state.jobs.toast(
                Tone::Warn,
                "a shell opens in one container at a time",
                state.now,
            ),
        },
        _ => {}
    }
}

/// Paused ones are thawed where all are paused, else the running ones are frozen.
fn pause(state: &mut State, targets: Vec<Target>, effects: &mut Vec<Effect>) {
    let is = |target: &Target, wanted| {
        let row = state.world.rows.get(&target.key);
        row.is_some_and(|r| r.container.state == wanted)
    };
    let paused: Vec<Target> = targets
        .iter()
        .filter(|t| is(t, ContainerState::Paused))
        .cloned()
        .collect();
    let running: Vec<Target> = targets
        .iter()
        .filter(|t| is(t, ContainerState::Running))
        .cloned()
        .collect();
    if !running.is_empty() {
        ask(state, ContainerCommand::Pause, running);
    } else if !paused.is_empty() {
        ask_or_do(state, ContainerCommand::Unpause, paused, effects);
    } else {
        state.jobs.toast(Tone::Warn, "it does not run", state.now);
    }
}

fn ask(state: &mut State, command: ContainerCommand, targets: Vec<Target>) {
    let ask = Ask::Containers { command, targets };
    let asked = state.now.mono;
    state
        .ui
        .layers
        .push(Layer::Confirm(Confirm::new(ask, asked)));
}

/// A harmless command on one container is done at once; on several it is asked.
fn ask_or_do(
    state: &mut State,
    command: ContainerCommand,
    targets: Vec<Target>,
    effects: &mut Vec<Effect>,
) {
    if targets.len() == 1 {
        act(state, command, &targets, effects);
    } else {
        ask(state, command, targets);
    }
}

/// Gives the order for exactly these, but those that vanished.
pub(super) fn act(
    state: &mut State,
    command: ContainerCommand,
    targets: &[Target],
    effects: &mut Vec<Effect>,
) {
    let keys: Vec<ContainerKey> = targets.iter().filter(|t| !t.gone).map(|t| t.key).collect();
    if keys.is_empty() {
        return;
    }
    state.jobs.ordered(&command, &keys);
    for key in &keys {
        state.list.marks.remove(key);
    }
    effects.push(Effect::Act {
        targets: keys,
        command,
    });
}

fn item(label: impl Into<String>, note: impl Into<String>, pick: Pick) -> MenuItem {
    MenuItem {
        label: label.into(),
        note: note.into(),
        pick,
    }
}

fn open_menu(state: &mut State, title: &str, items: Vec<MenuItem>, targets: Vec<Target>) {
    state.ui.layers.push(Layer::Menu(Menu {
        title: title.to_owned(),
        items,
        selected: 0,
        targets,
        lines: Vec::new(),
    }));
}

fn action_menu(state: &mut State, targets: Vec<Target>) {
    use Action::{
        Check, CheckContainer, Kill, Launch, PauseToggle, Remove, Rename, Restart, Shell, Start,
        Stop,
    };
    let live = targets.iter().any(|t| t.live);
    let stopped = targets.iter().any(|t| !t.live);
    let one = targets.len() == 1;
    let mut items = Vec::new();
    let mut offer = |action: Action, possible: bool| {
        if possible {
            let keys = state
                .config
                .keymap
                .key_label(crate::tui::keymap::Mode::Normal, action);
            items.push(item(
                action.help(),
                keys.unwrap_or_default(),
                Pick::Do(action),
            ));
        }
    };
    offer(Check, true);
    offer(CheckContainer, one);
    offer(Shell, one && live);
    offer(Start, stopped);
    offer(Stop, live);
    offer(Restart, true);
    offer(PauseToggle, live);
    offer(Kill, live);
    offer(Launch, one);
    offer(Rename, one);
    offer(Remove, true);
    open_menu(state, "actions", items, targets);
}

fn grace_menu(state: &mut State, restart: bool, targets: Vec<Target>) {
    let mut items = vec![item(
        "its own timeout",
        "10 s unless it was made with another",
        Pick::Grace {
            restart,
            grace: None,
        },
    )];
    for timeout in state.config.stop_timeouts.clone() {
        let note = match timeout.as_secs() {
            0..300 => "",
            300..1800 => "trainers that write a checkpoint on SIGTERM",
            _ => "large checkpoints, slow disks",
        };
        items.push(item(
            in_words(timeout),
            note,
            Pick::Grace {
                restart,
                grace: Some(timeout),
            },
        ));
    }
    items.push(item("other…", "seconds", Pick::CustomGrace { restart }));
    let title = if restart {
        "restart: time to end in"
    } else {
        "stop: time to end in"
    };
    open_menu(state, title, items, targets);
}

/// `10 seconds`, `5 minutes`, `1 hour`, `90 seconds`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (count, unit) = match seconds {
        s if s >= 3600 && s.is_multiple_of(3600) => (s / 3600, "hour"),
        s if s > 60 && s.is_multiple_of(60) => (s / 60, "minute"),
        s => (s, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn signal_note(signal: Signal) -> &'static str {
    match signal.0 {
        "TERM" => "asks it to end; trainers may checkpoint",
        "INT" => "as Ctrl-C",
        "KILL" => "ends it at once, nothing is saved",
        "HUP" => "many programs read their configuration again",
        "QUIT" => "ends with a core dump; Go and Java print stacks",
        "USR1" | "USR2" => "what the program makes of it",
        "STOP" => "freezes it",
        "CONT" => "lets it go on",
        _ => "",
    }
}

fn signal_menu(state: &mut State, targets: Vec<Target>) {
    let items = Signal::ALL
        .iter()
        .map(|s| item(s.to_string(), signal_note(*s), Pick::Kill(*s)))
        .collect();
    open_menu(state, "send a signal to the main process", items, targets);
}

/// The sort chooser; on the images page the next order.
pub(super) fn sort_menu(state: &mut State) {
    match state.ui.page {
        Page::Images => state.images.sort = state.images.sort.next(),
        Page::Gpus => {}
        Page::Containers => {
            let mut columns: Vec<Column> = state.list.columns.clone();
            columns.extend(
                Column::ALL
                    .iter()
                    .filter(|c| !state.list.columns.contains(c)),
            );
            let selected = columns
                .iter()
                .position(|c| *c == state.list.sort)
                .unwrap_or(0);
            let items = columns
                .into_iter()
                .map(|c| item(c.id(), c.help(), Pick::SortBy(c)))
                .collect();
            open_menu(state, "sort by", items, Vec::new());
            if let Some(Layer::Menu(menu)) = state.ui.layers.last_mut() {
                menu.selected = selected;
            }
        }
    }
}

/// The signal chooser for the selected GPU process.
pub(super) fn process_menu(state: &mut State) {
    if state.tab() != Tab::Processes {
        state.jobs.toast(
            Tone::Warn,
            "choose a process in the Processes tab first",
            state.now,
        );
        return;
    }
    if refused(state) {
        return;
    }
    let Some(line) = state.processes.lines.get(state.processes.selected) else {
        state
            .jobs
            .toast(Tone::Warn, "no process is selected", state.now);
        return;
    };
    let Some(process) = process_key(&state.world, line.pid) else {
        let text = format!(
            "pid {} cannot be told from a later process of the same number: its start time is not readable",
            line.pid
        );
        state.jobs.toast(Tone::Warn, &text, state.now);
        return;
    };
    let mut lines = vec![
        format!("pid {} of {} on GPU {}", line.pid, line.user, line.gpu_text),
        match line.owner.as_str() {
            "host" => "of no container: a process of the host".to_owned(),
            "not permitted" | "unknown" => format!("container: {}", line.owner),
            owner => format!("in {owner}"),
        },
    ];
    lines.push(line.command.chars().take(120).collect());
    let pick = |name| Pick::SignalProcess {
        process,
        signal: Signal(name),
    };
    let items = vec![
        item("SIGTERM", signal_note(Signal("TERM")), pick("TERM")),
        item("SIGINT", signal_note(Signal("INT")), pick("INT")),
        item("SIGKILL", signal_note(Signal("KILL")), pick("KILL")),
    ];
    open_menu(state, "kill GPU process", items, Vec::new());
    if let Some(Layer::Menu(menu)) = state.ui.layers.last_mut() {
        menu.lines = lines;
    }
}

/// Carries out a menu's line.
pub(super) fn pick(state: &mut State, menu: Menu, pick: Pick, effects: &mut Vec<Effect>) {
    match pick {
        Pick::Do(action) => run_on(state, action, menu.targets, effects),
        Pick::SortBy(column) => {
            if state.list.sort == column {
                state.list.reversed = !state.list.reversed;
            } else {
                state.list.sort = column;
                state.list.reversed = false;
            }
        }
        Pick::Grace { restart, grace } => ask(state, grace_command(restart, grace), menu.targets),
        Pick::CustomGrace { restart } => {
            let kind = PromptKind::Grace {
                restart,
                targets: menu.targets,
            };
            state.ui.layers.push(Layer::Prompt(Prompt::new(kind, "")));
        }
        Pick::Kill(signal) => ask(state, ContainerCommand::Kill { signal }, menu.targets),
        Pick::SignalProcess { process, signal } => {
            let ask = Ask::Process {
                process,
                signal,
                lines: menu.lines,
            };
            let asked = state.now.mono;
            state
                .ui
                .layers
                .push(Layer::Confirm(Confirm::new(ask, asked)));
        }
    }
}

/// Stop or restart.
pub(super) fn grace_command(restart: bool, grace: Option<Duration>) -> ContainerCommand {
    if restart {
        ContainerCommand::Restart { grace }
    } else {
        ContainerCommand::Stop { grace }
    }
}

/// Stop or restart with a typed time: the question comes next.
pub(super) fn ask_grace(state: &mut State, restart: bool, seconds: u64, targets: Vec<Target>) {
    ask(
        state,
        grace_command(restart, Some(Duration::from_secs(seconds))),
        targets,
    );
}

/// Sends the signal that was agreed to.
pub(super) fn signal(process: ProcKey, signal: Signal, effects: &mut Vec<Effect>) {
    effects.push(Effect::SignalProcess { process, signal });
}
