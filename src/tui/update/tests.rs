//! Scripts of events against the state: what is selected, asked, ordered.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::update;
use crate::model::*;
use crate::tui::effect::{Effect, Outcome};
use crate::tui::event::{Event, MouseEvent, MouseKind};
use crate::tui::fixture::*;
use crate::tui::keymap::Key;
use crate::tui::state::layers::Layer;
use crate::tui::state::{Focus, Page, State, StateConfig, Tab};

fn selected(state: &State) -> String {
    match state.list.selected_key() {
        Some(key) => state.world.rows[&key].container.name.clone(),
        None => format!("{:?}", state.list.selected_item()),
    }
}

/// Moves to a container by name.
fn select(state: &mut State, name: &str) {
    press(state, Key::Home, 401);
    for _ in 0..20 {
        if selected(state) == name {
            return;
        }
        press(state, Key::Down, 401);
    }
    panic!("{name} is not in the list");
}

/// The screen's words without frames and line ends, as a person reads them.
fn words(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || "│─┌┐└┘".contains(c));
    words
        .filter(|w| !w.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn acts(effects: &[Effect]) -> Vec<(Vec<ContainerKey>, ContainerCommand)> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Act { targets, command } => Some((targets.clone(), command.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn the_selection_follows_the_container_and_not_the_row() {
    let mut state = night(140, 40);
    select(&mut state, "notebook");
    let before = state.list.selected;
    // It becomes the greatest holder: the order changes, once the user has rested.
    let mut snapshot = gpus();
    snapshot.processes[0].pid = 8001;
    snapshot.processes[1].pid = 8001;
    let mut procs = procs();
    procs.processes.push(proc_info(
        8001,
        "ana",
        "jupyter",
        CgroupOwner::Containers(vec![CgroupContainer {
            runtime: RuntimeKind::Docker,
            id: key(3).id,
        }]),
    ));
    state.world.proc_snapshot(procs);
    state.world.gpu_snapshot(snapshot, at(402));
    told(&mut state, 402);
    assert_eq!(
        state.list.selected, before,
        "not while the user has just moved"
    );
    told(&mut state, 410);
    assert_eq!(selected(&state), "notebook");
    assert_eq!(state.list.selected, 0);
    // It vanishes: the nearest neighbour is selected.
    state
        .world
        .engine_news(EngineNews::Removed(key(3)), at(411));
    told(&mut state, 411);
    assert_eq!(state.list.selected, 0);
    assert_ne!(selected(&state), "notebook");
}

#[test]
fn typing_a_filter_swallows_keys_and_works_at_once() {
    let mut state = night(140, 40);
    // `q` would quit, `j` would move.
    let effects = type_keys(&mut state, "/jq", 401);
    let only_visible = effects.iter().all(|e| matches!(e, Effect::Visible(_)));
    assert!(only_visible, "{effects:?}");
    assert_eq!(state.list.items.len(), 0);
    press(&mut state, Key::Backspace, 401);
    press(&mut state, Key::Backspace, 401);
    type_keys(&mut state, "rag", 401);
    assert_eq!(state.list.shown().count(), 2);
    press(&mut state, Key::Enter, 401);
    assert_eq!(state.list.filter, "rag");
    press(&mut state, Key::Esc, 401);
    assert_eq!(state.list.shown().count(), 6);
    // Smart case, ids and states.
    for (filter, count) in [
        ("RAG", 0),
        ("rag-DB", 0),
        ("0404", 1),
        ("exited", 2),
        ("vllm", 1),
    ] {
        state.list.filter = filter.to_owned();
        told(&mut state, 402);
        assert_eq!(state.list.shown().count(), count, "{filter}");
    }
}

#[test]
fn a_stop_asks_for_its_time_and_then_for_exactly_the_marked_set() {
    let mut state = night(140, 40);
    select(&mut state, "llama-sft");
    press(&mut state, Key::Char(' '), 401);
    select(&mut state, "notebook");
    press(&mut state, Key::Char(' '), 401);
    assert!(acts(&ctrl(&mut state, 't', 402)).is_empty());
    assert!(matches!(state.ui.layers.last(), Some(Layer::Menu(_))));
    for _ in 0..3 {
        press(&mut state, Key::Down, 402);
    }
    press(&mut state, Key::Enter, 402);
    let text = screen(&state);
    assert!(text.contains("Stop these 2 containers?"), "{text}");
    assert!(words(&text).contains("SIGKILL after 300 s"), "{text}");
    assert!(text.contains("llama-sft (runs)") && text.contains("notebook (runs)"));
    // Enter alone is No.
    assert!(press(&mut state, Key::Enter, 402).is_empty());
    assert!(state.ui.layers.is_empty());
    ctrl(&mut state, 't', 403);
    press(&mut state, Key::Enter, 403);
    let ordered = acts(&type_keys(&mut state, "y", 403));
    let grace = None;
    assert_eq!(
        ordered,
        [(vec![key(1), key(3)], ContainerCommand::Stop { grace })]
    );
    // While it runs, the rows say so; what came of it is summed up.
    assert!(screen(&state).contains("stopping…"));
    let command = ContainerCommand::Stop { grace: None };
    let acted = |state: &mut State, number, result| {
        let outcome = Outcome::Acted {
            key: key(number),
            command: command.clone(),
            result,
        };
        update(state, Event::Outcome(outcome), at(404));
    };
    acted(&mut state, 1, Ok(()));
    assert!(!screen(&state).contains("stopped 1 of 2"));
    acted(
        &mut state,
        3,
        Err("cannot kill container: permission denied".into()),
    );
    let text = screen(&state);
    assert!(
        text.contains("stopped 1 of 2; failed: notebook: cannot kill container: permission denied"),
        "{text}"
    );
}

#[test]
fn a_question_is_bound_to_its_set_and_starts_over_when_that_changes() {
    let mut state = night(140, 40);
    select(&mut state, "eval-7b");
    press(&mut state, Key::Char(' '), 401);
    select(&mut state, "data-prep");
    press(&mut state, Key::Char(' '), 401);
    ctrl(&mut state, 'd', 402);
    assert!(screen(&state).contains("Remove these 2 containers for good?"));
    // One of them is removed by somebody else, and a third comes: neither is acted on.
    state
        .world
        .engine_news(EngineNews::Removed(key(6)), at(403));
    told(&mut state, 403);
    let text = screen(&state);
    assert!(
        text.contains("data-prep (gone)") && text.contains("look again"),
        "{text}"
    );
    assert!(acts(&type_keys(&mut state, "y", 404)).is_empty());
    assert!(screen(&state).contains("Remove this container for good?"));
    let ordered = acts(&type_keys(&mut state, "y", 405));
    let command = ContainerCommand::Remove {
        force: false,
        volumes: false,
    };
    assert_eq!(ordered, [(vec![key(2)], command)]);
}

#[test]
fn removing_a_running_container_says_that_it_is_killed() {
    let mut state = night(140, 40);
    select(&mut state, "notebook");
    ctrl(&mut state, 'd', 402);
    let text = screen(&state);
    assert!(text.contains("It runs and will be killed first"), "{text}");
    press(&mut state, Key::Char(' '), 402);
    assert!(screen(&state).contains("Anonymous volumes are removed too"));
    let ordered = acts(&type_keys(&mut state, "y", 403));
    let command = ContainerCommand::Remove {
        force: true,
        volumes: true,
    };
    assert_eq!(ordered, [(vec![key(3)], command)]);
}

#[test]
fn a_project_is_acted_on_together_and_folds() {
    let mut state = night(140, 40);
    select(&mut state, "rag-api-1");
    press(&mut state, Key::Up, 401);
    assert!(selected(&state).contains("Project"));
    ctrl(&mut state, 'r', 402);
    press(&mut state, Key::Enter, 402);
    let ordered = acts(&type_keys(&mut state, "y", 402));
    assert_eq!(ordered[0].0, [key(4), key(5)]);
    press(&mut state, Key::Left, 403);
    assert_eq!(state.list.items.len(), 5);
    press(&mut state, Key::Right, 403);
    assert_eq!(state.list.items.len(), 7);
    type_keys(&mut state, "P", 404);
    assert_eq!(state.list.marks.len(), 2);
}

#[test]
fn read_only_refuses_everything_that_changes_something() {
    let mut config = StateConfig::new(HostId(0));
    config.read_only = true;
    config.size = (140, 40);
    let mut state = State::new(config, at(0));
    state.world = night(140, 40).world;
    told(&mut state, 400);
    for c in ['t', 'g', 'r', 'p', 'k', 'd', 'n'] {
        assert!(acts(&ctrl(&mut state, c, 401)).is_empty());
        assert!(state.ui.layers.is_empty(), "ctrl-{c} opened something");
    }
    let effects = type_keys(&mut state, "em", 401);
    assert!(!effects.iter().any(|e| matches!(e, Effect::Shell(_))));
    let text = screen(&state);
    assert!(text.contains("read-only: midwatch was started with --read-only"));
    assert!(text.lines().next().unwrap().contains("read-only"));
}

#[test]
fn inspect_is_asked_once_the_selection_rests_and_masks_secrets() {
    let mut state = night(140, 40);
    let effects = type_keys(&mut state, "v", 401);
    assert_eq!(effects, [Effect::Inspect(key(1))]);
    let value = json!({"Config": {"Env": [
        "HF_TOKEN=hf_abcdefghijklmnop", "PATH=/usr/bin", "DB=postgres://u:secret@db/x", "NCCL_DEBUG=INFO",
    ], "Cmd": ["serve", "--api-key", "topsecret"]}});
    let arrived = |key, value: serde_json::Value| {
        Event::Outcome(Outcome::Inspected {
            key,
            result: Ok(Arc::new(value)),
        })
    };
    update(&mut state, arrived(key(2), json!({})), at(402));
    assert!(
        state.inspect.env.is_empty(),
        "an answer to another question is dropped"
    );
    update(&mut state, arrived(key(1), value), at(402));
    let text = screen(&state);
    assert!(
        text.contains("HF_TOKEN") && text.contains("NCCL_DEBUG  INFO"),
        "{text}"
    );
    for secret in ["hf_abc", "secret@db"] {
        assert!(!text.contains(secret), "{text}");
    }
    type_keys(&mut state, "i", 402);
    let text = screen(&state);
    assert!(
        !text.contains("topsecret") && text.contains("--api-key"),
        "{text}"
    );
    type_keys(&mut state, "V", 403);
    assert!(screen(&state).contains("topsecret"));
    // Running down the list asks nothing until it rests.
    press(&mut state, Key::Esc, 404);
    let mut effects = Vec::new();
    for _ in 0..3 {
        effects.extend(press(&mut state, Key::Down, 405));
    }
    assert!(effects.is_empty(), "{effects:?}");
    let due = state.deadline().unwrap();
    let now = Stamp::simulated(base(), due + Duration::from_millis(1));
    let effects = update(&mut state, Event::Tick, now);
    assert_eq!(effects.len(), 1);
}

#[test]
fn the_log_opens_with_its_tab_and_closes_before_a_shell() {
    let mut state = night(140, 40);
    let effects = type_keys(&mut state, "l", 401);
    assert!(
        matches!(effects.as_slice(), [Effect::Log(crate::logs::LogCommand::Open { targets, .. })] if targets[0].key == key(1)),
        "{effects:?}"
    );
    assert_eq!(state.ui.focus, Focus::Details);
    let effects = type_keys(&mut state, "e", 402);
    assert_eq!(
        effects,
        [
            Effect::Log(crate::logs::LogCommand::Close),
            Effect::Shell(key(1))
        ]
    );
    let ended = Event::Outcome(Outcome::ShellEnded(Ok(())));
    let effects = update(&mut state, ended, at(450));
    assert!(matches!(
        effects.as_slice(),
        [Effect::Log(crate::logs::LogCommand::Open { .. })]
    ));
    // Searching in the log takes keys as text.
    type_keys(&mut state, "/q", 451);
    assert!(state.logs.wants_text());
    press(&mut state, Key::Esc, 451);
    let effects = type_keys(&mut state, "t", 452);
    assert!(effects.is_empty() && state.logs.shows_timestamps());
    let effects = type_keys(&mut state, "2", 453);
    assert_eq!(effects, [Effect::Log(crate::logs::LogCommand::Close)]);
}

#[test]
fn a_gpu_process_is_killed_after_being_named() {
    let mut state = night(140, 40);
    type_keys(&mut state, "2jjj", 401);
    press(&mut state, Key::Tab, 401);
    press(&mut state, Key::F(9), 402);
    press(&mut state, Key::Enter, 402);
    let text = screen(&state);
    assert!(
        text.contains("Send SIGTERM to exactly this process?"),
        "{text}"
    );
    assert!(
        text.contains("pid 7001 of bo on GPU 3")
            && text.contains("a process of the host")
            && text.contains("infer.py")
    );
    assert!(press(&mut state, Key::Enter, 402).is_empty());
    press(&mut state, Key::F(9), 403);
    press(&mut state, Key::Enter, 403);
    let effects = type_keys(&mut state, "y", 403);
    let process = procs().processes[2].key.unwrap();
    let signal = Signal("TERM");
    assert_eq!(effects, [Effect::SignalProcess { process, signal }]);
}

#[test]
fn names_are_checked_before_a_rename() {
    let mut state = night(140, 40);
    ctrl(&mut state, 'n', 401);
    ctrl(&mut state, 'u', 401);
    type_keys(&mut state, "-bad", 401);
    assert!(acts(&press(&mut state, Key::Enter, 401)).is_empty());
    assert!(screen(&state).contains("begins with a letter or digit"));
    ctrl(&mut state, 'u', 401);
    type_keys(&mut state, "sft-2", 401);
    let ordered = acts(&press(&mut state, Key::Enter, 401));
    let to = "sft-2".to_owned();
    assert_eq!(ordered, [(vec![key(1)], ContainerCommand::Rename { to })]);
}

#[test]
fn columns_are_chosen_moved_and_kept() {
    let mut state = night(200, 50);
    type_keys(&mut state, "C", 401);
    press(&mut state, Key::Down, 401);
    press(&mut state, Key::Char(' '), 401);
    press(&mut state, Key::Down, 401);
    press(&mut state, Key::Left, 401);
    press(&mut state, Key::Enter, 401);
    let effects = ctrl(&mut state, 's', 402);
    let Some(Effect::SavePreferences(kept)) = effects.first() else {
        panic!("{effects:?}");
    };
    assert_eq!(kept.columns[..3], ["name", "status", "cuda"]);
    let again = crate::tui::state::list::List::new(kept);
    assert_eq!(again.columns, state.list.columns);
    assert_eq!(again.sort, state.list.sort);
}

#[test]
fn sorting_keeps_absent_values_last_both_ways() {
    let mut state = night(140, 40);
    type_keys(&mut state, "s", 401);
    for _ in 0..20 {
        if screen(&state).lines().any(|l| l.contains("▶ cpu")) {
            break;
        }
        press(&mut state, Key::Down, 401);
    }
    press(&mut state, Key::Enter, 401);
    let order = |state: &State| -> Vec<String> {
        let shown = state.list.shown();
        shown
            .map(|k| state.world.rows[&k].container.name.clone())
            .collect()
    };
    assert_eq!(
        order(&state),
        [
            "llama-sft",
            "rag-api-1",
            "rag-db-1",
            "notebook",
            "data-prep",
            "eval-7b"
        ]
    );
    type_keys(&mut state, "r", 402);
    assert_eq!(
        order(&state),
        [
            "rag-db-1",
            "rag-api-1",
            "notebook",
            "llama-sft",
            "data-prep",
            "eval-7b"
        ]
    );
}

#[test]
fn the_mouse_selects_rows_tabs_and_pages_and_never_acts_through_a_dialog() {
    let mut state = night(140, 40);
    let click = |state: &mut State, column, row| {
        let mut buffer = buffer(state);
        let regions = crate::tui::draw(state, &theme(), &mut buffer);
        state.drawn(regions);
        let kind = MouseKind::Press;
        update(
            state,
            Event::Mouse(MouseEvent { kind, column, row }),
            at(401),
        )
    };
    click(&mut state, 20, 8);
    assert_eq!(selected(&state), "notebook");
    let tabs = screen(&state);
    let (row, line) = tabs
        .lines()
        .enumerate()
        .find(|(_, l)| l.contains("[Charts]"))
        .unwrap();
    let column = line.split("Processes").next().unwrap().chars().count();
    click(&mut state, column as u16 + 1, row as u16);
    assert_eq!(state.tab(), Tab::Processes);
    ctrl(&mut state, 'd', 402);
    click(&mut state, 20, 7);
    assert_eq!(selected(&state), "notebook");
    assert_eq!(state.ui.layers.len(), 1);
    press(&mut state, Key::Esc, 402);
    click(&mut state, 17, 39);
    assert_eq!(state.ui.page, Page::Gpus);
}

#[test]
fn images_are_fetched_when_looked_at() {
    let mut state = night(140, 40);
    let effects = type_keys(&mut state, "3", 401);
    assert_eq!(effects, [Effect::FetchImages]);
    let failed = Event::Outcome(Outcome::ImagesFailed("server error".into()));
    update(&mut state, failed, at(402));
    assert!(screen(&state).contains("server error"));
}

#[test]
fn images_that_cannot_be_had_are_asked_for_again_after_a_rest() {
    let mut state = night(140, 40);
    type_keys(&mut state, "3", 401);
    let failed = || Event::Outcome(Outcome::ImagesFailed("engine away".into()));
    assert_eq!(update(&mut state, failed(), at(402)), []);
    for second in 402..407 {
        assert_eq!(update(&mut state, Event::Tick, at(second)), []);
    }
    assert!(state.deadline() <= Some(at(407).mono));
    let again = update(&mut state, Event::Tick, at(407));
    assert_eq!(again, [Effect::FetchImages]);
    update(&mut state, failed(), at(408));
    // The user need not wait.
    let now = type_keys(&mut state, "R", 409);
    assert_eq!(now, [Effect::Relist, Effect::FetchImages]);
}

fn pids(state: &State) -> Vec<u32> {
    state.processes.lines.iter().map(|l| l.pid).collect()
}

#[test]
fn processes_are_those_of_what_is_selected() {
    let mut state = night(140, 40);
    type_keys(&mut state, "p", 401);
    assert_eq!(pids(&state), [5001, 5002]);
    press(&mut state, Key::Esc, 401);
    for _ in 0..20 {
        if matches!(
            state.list.selected_item(),
            Some(crate::tui::state::list::Item::Project(_))
        ) {
            break;
        }
        press(&mut state, Key::Down, 401);
    }
    // A project's own: none of its containers holds a GPU, whatever others do.
    assert_eq!(pids(&state), [0; 0]);
    assert!(screen(&state).contains("no process of these containers holds a GPU"));
    press(&mut state, Key::F(9), 401);
    assert!(state.ui.layers.is_empty());
    type_keys(&mut state, "2", 402);
    assert_eq!(pids(&state), [5001]);
    press(&mut state, Key::Down, 402);
    assert_eq!(pids(&state), [5002]);
    type_keys(&mut state, "A", 403);
    assert_eq!(pids(&state), [5001, 5002, 7001]);
    assert!(screen(&state).contains("all GPUs"));
    type_keys(&mut state, "A", 403);
    assert_eq!(pids(&state), [5002]);
    // From another page it shows all.
    type_keys(&mut state, "1A", 404);
    assert_eq!((state.ui.page, pids(&state).len()), (Page::Gpus, 3));
}

fn xid(second: u64, number: Option<u32>) -> XidEvent {
    XidEvent {
        time: at(second).wall,
        gpu: Some(gpu_key(3)),
        pci_bus_id: "0000:1a:00".into(),
        xid: number,
        source: XidSource::KernelLog,
        pid: None,
        text: "GPU has fallen off the bus.".into(),
    }
}

/// The screen after GPU 3 was lost at 420, in a night where nobody had been seen on it when `seen` is false.
fn lost(columns: u16, seen: bool, xids: &[Option<u32>]) -> String {
    let mut state = night(columns, 40);
    let mut snapshot = gpus();
    snapshot.processes.truncate(2);
    snapshot.gpus[3].state = GpuState::Lost("NVML says that it is lost".into());
    for gpu in &mut snapshot.gpus {
        gpu.sampled = at(470);
    }
    if !seen {
        state.top.last_holders.clear();
    }
    for (number, second) in xids.iter().zip(420..) {
        state.world.xid(xid(second, *number));
    }
    state.world.gpu_snapshot(snapshot, at(470));
    told(&mut state, 470);
    let text = screen(&state);
    let line = text.lines().find(|l| l.contains("GPU 3")).unwrap();
    line.trim().to_owned()
}

#[test]
fn a_lost_gpus_line_tells_the_cause_and_who_was_on_it() {
    for xids in [
        &[Some(79), Some(154), Some(45)][..],
        &[Some(31), Some(48), Some(79), Some(119), Some(154)],
        &[Some(154), Some(79)],
    ] {
        let line = lost(140, false, xids);
        assert!(line.contains("lost — Xid 79 at "), "{line}");
        assert!(line.contains("fallen off the bus; reboot"), "{line}");
        assert!(line.ends_with("(was: eval-7b)"), "{line}");
    }
    // A number is not always told.
    let line = lost(140, false, &[None, Some(154)]);
    assert!(line.contains("lost — loss at "), "{line}");
    // What programs did wrong is no cause.
    let line = lost(140, false, &[Some(31), Some(45)]);
    assert!(line.contains("lost — NVML says that it is lost"), "{line}");
    let line = lost(80, false, &[]);
    assert!(line.contains("lost — no Xid seen; reboot needed"), "{line}");
    assert!(line.ends_with("(was: eval-7b)"), "{line}");
    // Who was seen on it beats who was given it.
    let line = lost(140, true, &[Some(79)]);
    assert!(line.ends_with("(was: host: python (bo))"), "{line}");
}

#[test]
fn a_lost_gpus_line_keeps_remedy_and_holder_in_eighty_columns() {
    let line = lost(80, false, &[Some(79), Some(154)]);
    assert!(line.contains("fallen off the bus; reboot needed"), "{line}");
    assert!(line.ends_with("(was: eval-7b)"), "{line}");
}

#[test]
fn an_alarm_leaves_room_for_the_holder() {
    let mut state = night(80, 24);
    let mut snapshot = gpus();
    for gpu in &mut snapshot.gpus {
        gpu.sampled = at(410);
        gpu.throttle_reasons = Some(ThrottleReasons(0x60));
    }
    state.world.gpu_snapshot(snapshot, at(410));
    told(&mut state, 410);
    let text = screen(&state);
    assert!(text.contains("▲ hot llama-sft"), "{text}");
}

#[test]
fn what_a_grant_of_all_gpus_names_is_nobody() {
    let mut state = night(140, 40);
    let mut all = containers();
    all.truncate(3);
    for container in &mut all {
        if let Some(detail) = &mut container.detail {
            detail.grant = Some(GpuGrant::All);
        }
    }
    state.world.engine_news(EngineNews::Listed(all), at(410));
    let mut snapshot = gpus();
    snapshot.processes.clear();
    snapshot.gpus[2].sampled = at(410);
    snapshot.gpus[3].state = GpuState::Lost("NVML says that it is lost".into());
    state.top.last_holders.clear();
    state.world.gpu_snapshot(snapshot, at(410));
    told(&mut state, 410);
    let text = screen(&state);
    let line = text.lines().find(|l| l.contains("GPU 3")).unwrap();
    assert!(!line.contains("was:"), "{line}");
    // And it leaves every GPU free.
    let line = text.lines().find(|l| l.contains("GPU 2")).unwrap();
    assert!(
        line.contains("  free (all GPUs given to llama-sft, notebook)"),
        "{line}"
    );
}

#[test]
fn holders_are_containers_first_and_what_nobody_holds_is_told() {
    let mut state = night(200, 50);
    let mut snapshot = gpus();
    let mut other = snapshot.processes[2].clone();
    other.gpu = gpu_key(0);
    other.memory_used_bytes = Some(GIB);
    snapshot.processes.insert(0, other);
    snapshot.processes[1].memory_used_bytes = Some(20 * GIB);
    for gpu in &mut snapshot.gpus {
        gpu.sampled = at(410);
    }
    state.world.gpu_snapshot(snapshot, at(410));
    told(&mut state, 410);
    let text = screen(&state);
    let line = text.lines().find(|l| l.contains("GPU 0")).unwrap();
    assert!(line.contains("llama-sft, host: python (bo)"), "{line}");
    assert!(line.contains("GiB unattributed"), "{line}");
    type_keys(&mut state, "2]]]", 411);
    assert!(screen(&state).contains("(unattributed)"));
}

#[test]
fn released_gpus_do_not_say_that_nobody_holds_their_memory() {
    let mut state = night(140, 40);
    let mut snapshot = gpus();
    snapshot.driver = DriverStatus::Released;
    snapshot.processes.clear();
    state.world.gpu_snapshot(snapshot, at(410));
    told(&mut state, 410);
    let text = screen(&state);
    assert!(text.contains("f8 takes them again"), "{text}");
    assert!(text.contains("(was: llama-sft)"), "{text}");
    assert!(!text.contains("held by no visible"), "{text}");
}

#[test]
fn nothing_grows_over_many_ticks() {
    let mut state = night(140, 40);
    for second in 400..1000 {
        state.world.gpu_snapshot(gpus(), at(second));
        state.world.usage_snapshot(usages(second), at(second));
        told(&mut state, second);
        update(&mut state, Event::Tick, at(second));
    }
    assert!(state.jobs.toasts.is_empty());
    assert!(state.top.last_holders.len() <= 4);
    assert!(state.list.lines.len() <= 40);
}
