//! Scripts of the form: what is planned, started, refused.

use super::fields::Kind;
use super::flow::form;
use super::state::{Form, Phase, Spot};
use crate::check::{Progress, Subject};
use crate::engine::{LayerProgress, PullProgress};
use crate::launch::*;
use crate::launcher::*;
use crate::model::*;
use crate::tui::effect::{Effect, Outcome};
use crate::tui::fixture::*;
use crate::tui::keymap::Key;
use crate::tui::state::launches::{Keep, Preset};
use crate::tui::state::layers::{Ask, Layer};
use crate::tui::state::{Page, State, Tab};
use crate::tui::{Event, update};
use crate::verdict::{Answer, Finding, Severity, Verdict, Version};

pub fn send(state: &mut State, outcome: Outcome, second: u64) -> Vec<Effect> {
    update(state, Event::Outcome(outcome), at(second))
}

/// Opens the form for the image of this name, on the Images page.
pub fn open(state: &mut State, name: &str, second: u64) -> Vec<Effect> {
    let place = state
        .images
        .lines
        .iter()
        .position(|l| l.image.display_name() == name);
    state
        .images
        .select(place.unwrap_or_else(|| panic!("no {name}")));
    type_keys(state, "L", second)
}

/// The form for the training image.
pub fn opened(columns: u16, rows: u16) -> State {
    let mut state = judged(columns, rows);
    state
        .world
        .engine_news(EngineNews::Images(images()), at(390));
    type_keys(&mut state, "3", 400);
    open(&mut state, "my-train:0.4", 400);
    state
}

pub fn the_form(state: &State) -> &Form {
    form(state).expect("the form is open")
}

/// Goes to the last field of a kind.
pub fn go(state: &mut State, kind: Kind) {
    let form = super::flow::form_mut(state).expect("the form is open");
    let place = form.rows.iter().rposition(|r| r.kind == kind).unwrap();
    form.go(Spot::Row(place));
}

pub fn works() -> Verdict {
    Verdict {
        answer: Answer::Works,
        findings: Vec::new(),
        unknown: Vec::new(),
        notes: vec!["driver 550.163.01 is known up to November 2026".into()],
        needs: Version::parse("12.4"),
    }
}

pub fn fails() -> Verdict {
    let title =
        "driver 550.163.01 (CUDA 12.4) is too old for torch 2.9.0+cu130: it needs CUDA 13.0";
    Verdict {
        answer: Answer::Fails,
        findings: vec![
            Finding::new(102, Severity::Error, title)
                .because("torch/version.py: cuda = '13.0'")
                .try_this("upgrade the host driver to 580.65.06 or newer"),
        ],
        ..works()
    }
}

pub(super) fn limited() -> Verdict {
    Verdict {
        answer: Answer::Limited,
        findings: vec![Finding::new(404, Severity::Warning, "/dev/shm is 64 MiB")],
        ..works()
    }
}

/// The plan of what the form asks for, on GPU 2.
pub fn plan(form: &Form) -> Plan {
    let mut spec = form.spec();
    spec.detach = true;
    Plan {
        docker_run: super::line::of(&LaunchSpec {
            gpus: Some(GpuAsk::of(Which::Devices(vec![
                gpu_key(2).uuid.to_string(),
            ]))),
            ..spec.clone()
        }),
        image: Some(image_id(&spec.image)),
        gpus: GpuPlan {
            chosen: vec![ChosenGpu {
                key: gpu_key(2),
                index: Some(2),
                name: "NVIDIA H100 80GB HBM3".into(),
                why: "no process, 0.6 of 80 GiB used, 0 % busy".into(),
            }],
            left_out: vec![
                ("GPU 0".into(), "pid 5001 of llama-sft is on it".into()),
                ("GPU 1".into(), "pid 5002 of llama-sft is on it".into()),
                ("GPU 3".into(), "pid 7001 (bo) is on it".into()),
            ],
        },
        verdict: Some(works()),
        scan_would_tell: false,
        conflicts: Vec::new(),
        create: None,
        spec,
    }
}

pub fn conflicts() -> Vec<Conflict> {
    vec![
        Conflict {
            field: Field::Gpus,
            stops: false,
            text: "GPU 2 was given to notebook, which does not use it".into(),
            remedy: String::new(),
            mend: None,
        },
        Conflict {
            field: Field::Name,
            stops: true,
            text: "the name llama-sft is taken by a container that runs".into(),
            remedy: "choose another name, or remove that container".into(),
            mend: Some(Mend::Name("llama-sft-2".into())),
        },
        Conflict {
            field: Field::Other,
            stops: false,
            text: "the engine gives no memory limit to swap".into(),
            remedy: String::new(),
            mend: None,
        },
    ]
}

/// Answers the newest question for a plan, changed by `change`.
pub fn answer(state: &mut State, change: impl FnOnce(&mut Plan), second: u64) -> Vec<Effect> {
    let form = the_form(state);
    let (id, _) = form.plan.asked.expect("a plan was asked for");
    let mut plan = plan(form);
    change(&mut plan);
    let result = Ok(Box::new(plan));
    send(state, Outcome::Planned { id, result }, second)
}

/// The same, after the form has rested.
pub(super) fn rest(state: &mut State, second: u64) -> Vec<Effect> {
    update(state, Event::Tick, at(second))
}

pub(super) fn plans(effects: &[Effect]) -> Vec<&LaunchSpec> {
    let mut specs: Vec<&LaunchSpec> = Vec::new();
    for effect in effects {
        if let Effect::PlanLaunch { spec, .. } = effect {
            specs.push(spec);
        }
    }
    specs
}

pub(super) fn launches(effects: &[Effect]) -> Vec<(u64, bool)> {
    let launch = |e: &Effect| match e {
        Effect::Launch { id, force, .. } => Some((*id, *force)),
        _ => None,
    };
    effects.iter().filter_map(launch).collect()
}

pub fn pulling(columns: u16, rows: u16) -> State {
    let mut state = opened(columns, rows);
    answer(&mut state, |plan| plan.image = None, 401);
    ctrl(&mut state, 's', 402);
    let layer = |id: &str, status: &str, bytes, total_bytes| LayerProgress {
        id: id.into(),
        status: status.into(),
        bytes,
        total_bytes,
    };
    let progress = PullProgress {
        reference: "my-train:0.4".into(),
        layers: vec![
            layer("a1b2c3d4e5f6", "Pull complete", 0, None),
            layer("b1b2c3d4e5f6", "Already exists", 0, None),
            layer("c1b2c3d4e5f6", "Downloading", GIB, Some(3 * GIB)),
            layer("d1b2c3d4e5f6", "Waiting", 0, None),
        ],
        bytes: GIB,
        total_bytes: 3 * GIB,
        line: "Pulling from library/my-train".into(),
    };
    let id = the_form(&state).id;
    let stage = Stage::Pulling(progress);
    send(&mut state, Outcome::LaunchStage { id, stage }, 403);
    state
}

pub fn checking(columns: u16, rows: u16) -> State {
    let mut state = opened(columns, rows);
    answer(&mut state, |plan| plan.scan_would_tell = true, 401);
    ctrl(&mut state, 's', 402);
    let progress = Progress {
        bytes: 6 * GIB,
        total_bytes: Some(12 * GIB),
        elapsed: std::time::Duration::from_secs(8),
    };
    let subject = Subject::Image(image_id("my-train:0.4"));
    send(
        &mut state,
        Outcome::CheckProgress { subject, progress },
        403,
    );
    state
}

pub(super) fn fault() -> LaunchFault {
    LaunchFault {
        problem: Problem {
            what: "the engine refused the start".into(),
            why: "could not select device driver \"\" with capabilities: [[gpu]]".into(),
            remedy:
                "install the NVIDIA Container Toolkit, then `sudo nvidia-ctk runtime configure`"
                    .into(),
        },
        exit: 125,
    }
}

pub fn refused(columns: u16, rows: u16) -> State {
    let mut state = opened(columns, rows);
    answer(&mut state, |_| {}, 401);
    ctrl(&mut state, 's', 402);
    let id = the_form(&state).id;
    let result = Err(fault());
    send(&mut state, Outcome::Launched { id, result }, 403);
    state
}

/// The night, with launches that were kept.
pub fn kept(columns: u16, rows: u16) -> State {
    let mut state = judged(columns, rows);
    let kept = &mut state.launch.kept;
    for line in [
        "docker run -d --gpus all --name old vllm/vllm-openai:0.9 --model meta-llama/Llama-3.1-8B",
        "midwatch run --free 1 -d -e HF_TOKEN --shm-size=8g my-train:0.4 python train.py --epochs 3 --token=hf_abcdefghijklmnop",
    ] {
        kept.keep(Keep::Last(line.into()));
    }
    kept.keep(Keep::Preset(Preset {
        name: "smoke".into(),
        line: "docker run -d --rm --gpus all my-train:0.4 nvidia-smi".into(),
    }));
    state
}

#[test]
fn a_plan_is_asked_for_at_once_and_then_when_the_form_rests_and_the_newest_wins() {
    let mut state = judged(140, 40);
    state
        .world
        .engine_news(EngineNews::Images(images()), at(390));
    type_keys(&mut state, "3", 400);
    let effects = open(&mut state, "my-train:0.4", 400);
    assert_eq!(plans(&effects).len(), 1, "at once");
    let first = the_form(&state).plan.asked.unwrap().0;
    go(&mut state, Kind::Name);
    let effects = type_keys(&mut state, "llama", 401);
    assert_eq!(
        plans(&effects),
        [] as [&LaunchSpec; 0],
        "not while it is typed"
    );
    let deadline = state.deadline().unwrap();
    assert!(deadline <= at(401).mono + super::state::SETTLE);
    let effects = rest(&mut state, 402);
    assert_eq!(plans(&effects).len(), 1);
    assert_eq!(plans(&effects)[0].name.as_deref(), Some("llama"));
    assert!(plans(&rest(&mut state, 403)).is_empty(), "once");
    // The answer to the first question says nothing of the form as it is.
    let mut old = plan(the_form(&state));
    old.verdict = Some(fails());
    let result = Ok(Box::new(old));
    send(&mut state, Outcome::Planned { id: first, result }, 403);
    assert!(the_form(&state).current().is_none());
    answer(&mut state, |_| {}, 404);
    assert!(screen(&state).contains("✔ it runs (CUDA 12.4)"));
    // A change makes it old.
    type_keys(&mut state, "x", 405);
    assert!(the_form(&state).current().is_none());
}

#[test]
fn from_an_absent_image_to_the_running_container() {
    let mut state = opened(140, 40);
    answer(&mut state, |plan| plan.image = None, 401);
    let effects = ctrl(&mut state, 's', 402);
    let pull = effects.iter().find_map(|e| match e {
        Effect::Pull { id, reference, .. } => Some((*id, reference.clone())),
        _ => None,
    });
    let (id, reference) = pull.expect("it is pulled");
    assert_eq!(reference, "my-train:0.4");
    assert!(screen(&state).contains("pulling my-train:0.4"));
    // Pulled: planned anew.
    let effects = send(&mut state, Outcome::Pulled { id, result: Ok(()) }, 403);
    assert_eq!(plans(&effects).len(), 1);
    assert!(effects.contains(&Effect::FetchImages));
    // Looking inside would tell more: it is looked into.
    let effects = answer(&mut state, |plan| plan.scan_would_tell = true, 404);
    let subject = Subject::Image(image_id("my-train:0.4"));
    assert!(
        effects.contains(&Effect::Check(subject.clone())),
        "{effects:?}"
    );
    let result = Ok(known("my-train:0.4", true));
    let effects = send(&mut state, Outcome::Checked { subject, result }, 405);
    assert_eq!(plans(&effects).len(), 1);
    // It fails: refused, and forced after a question whose No is chosen.
    let fail = |plan: &mut Plan| {
        plan.verdict = Some(fails());
        plan.scan_would_tell = true;
    };
    let effects = answer(&mut state, fail, 406);
    assert!(launches(&effects).is_empty());
    let Some(Layer::Confirm(confirm)) = state.ui.layers.last() else {
        panic!("{:?}", state.ui.layers);
    };
    assert!(!confirm.yes && matches!(confirm.ask, Ask::Launch { force: true, .. }));
    assert!(screen(&state).contains("too old for torch 2.9.0+cu130"));
    press(&mut state, Key::Enter, 407);
    assert!(the_form(&state).phase == Phase::Edit, "No leaves the form");
    let effects = ctrl(&mut state, 's', 407);
    assert!(launches(&effects).is_empty(), "{effects:?}");
}

#[test]
fn a_verdict_that_says_no_is_forced_and_one_that_warns_is_agreed_to() {
    for (verdict, forced) in [(fails(), true), (limited(), false)] {
        let mut state = opened(140, 40);
        answer(&mut state, |plan| plan.verdict = Some(verdict), 401);
        assert!(launches(&ctrl(&mut state, 's', 402)).is_empty());
        let id = the_form(&state).id;
        let effects = type_keys(&mut state, "y", 403);
        assert_eq!(launches(&effects), [(id, forced)]);
        assert!(screen(&state).contains("starting my-train:0.4"));
        // Typing goes nowhere meanwhile, and a second start is none.
        assert!(type_keys(&mut state, "yx", 403).is_empty());
        assert!(ctrl(&mut state, 's', 403).is_empty());
    }
}

/// Starts the form's launch; returns what the dashboard did once it ran.
pub(super) fn run(state: &mut State, number: u8, second: u64) -> Vec<Effect> {
    if the_form(state).plan.asked.is_some() {
        answer(state, |_| {}, second);
    }
    ctrl(state, 's', second);
    let id = the_form(state).id;
    assert_eq!(the_form(state).phase, Phase::Starting);
    let launched = Launched {
        key: key(number),
        name: "fresh".into(),
        gpus: plan(the_form(state)).gpus.chosen,
        notes: Vec::new(),
    };
    let result = Ok(launched);
    send(state, Outcome::Launched { id, result }, second)
}

#[test]
fn the_dashboard_goes_to_the_new_container_and_its_log() {
    let mut state = opened(140, 40);
    state.list.filter = "rag".into();
    let effects = run(&mut state, 40, 402);
    assert!(state.ui.layers.is_empty());
    assert_eq!(state.ui.page, Page::Containers);
    assert_eq!(state.tab(), Tab::Logs);
    assert!(screen(&state).contains("fresh was started on GPU 2"));
    let kept = effects.iter().find_map(|e| match e {
        Effect::KeepLaunch(Keep::Last(line)) => Some(line.clone()),
        _ => None,
    });
    let line = kept.expect("its line is kept");
    assert!(
        line.starts_with("midwatch run") && line.contains("--free 1"),
        "{line}"
    );
    assert_ne!(state.list.selected_key(), Some(key(40)));
    // It comes in the list a moment later.
    let row = container(40, "fresh", "my-train:0.4", ContainerState::Running);
    state
        .world
        .engine_news(EngineNews::Changed(Box::new(row)), at(403));
    told(&mut state, 403);
    assert_eq!(state.list.selected_key(), Some(key(40)));
    let targets = state.log_targets();
    assert_eq!(targets.iter().map(|t| t.key).collect::<Vec<_>>(), [key(40)]);
    // And stays selected: nothing else takes the selection.
    told(&mut state, 420);
    assert_eq!(state.list.selected_key(), Some(key(40)));
}

pub(super) fn ends(effects: &[Effect]) -> Vec<ContainerKey> {
    let end = |e: &Effect| match e {
        Effect::ExplainEnd { key, .. } => Some(*key),
        _ => None,
    };
    effects.iter().filter_map(end).collect()
}

/// The world told, with what it makes the dashboard ask.
pub(super) fn tell(state: &mut State, second: u64) -> Vec<Effect> {
    let changes = crate::watch::Changes {
        visible: true,
        targets: true,
    };
    update(state, Event::World(changes), at(second))
}

#[test]
fn an_early_end_is_explained_and_a_late_one_is_not() {
    for (second, explained) in [(404, true), (431, true), (440, false)] {
        let mut state = opened(140, 40);
        run(&mut state, 40, 402);
        let row = |state| container(40, "fresh", "my-train:0.4", state);
        let live = row(ContainerState::Running);
        state
            .world
            .engine_news(EngineNews::Changed(Box::new(live)), at(403));
        assert!(ends(&tell(&mut state, 403)).is_empty());
        if second > 432 {
            assert!(ends(&tell(&mut state, 433)).is_empty());
        }
        let dead = row(ContainerState::Exited);
        state
            .world
            .engine_news(EngineNews::Changed(Box::new(dead)), at(second));
        let asked = ends(&tell(&mut state, second));
        assert_eq!(!asked.is_empty(), explained, "{second}");
        assert!(ends(&tell(&mut state, second + 1)).is_empty(), "once");
    }
    // One with --rm is gone with its end; another never came into the list.
    let mut state = opened(140, 40);
    run(&mut state, 40, 402);
    assert!(ends(&tell(&mut state, 403)).is_empty());
    assert!(state.deadline().unwrap() <= at(405).mono);
    assert_eq!(ends(&tell(&mut state, 406)), [key(40)]);
    // What is told stands until it is read, and never over another dialog.
    type_keys(&mut state, "?", 407);
    let outcome = Outcome::EndExplained {
        key: key(40),
        name: "fresh".into(),
        title: "fresh ended after 2 s with exit status 1".into(),
        lines: vec!["CUDA out of memory\u{1b}[31m".into()],
    };
    send(&mut state, outcome, 407);
    assert!(!screen(&state).contains("CUDA out of memory"));
    press(&mut state, Key::Esc, 408);
    let text = screen(&state);
    assert!(text.contains("fresh ended after 2 s"), "{text}");
    assert!(text.contains("CUDA out of memory"));
}

#[test]
fn what_stands_in_the_way_blocks_the_start_and_is_mended_at_a_key() {
    let mut state = opened(140, 40);
    answer(&mut state, |plan| plan.conflicts = conflicts(), 401);
    assert!(launches(&ctrl(&mut state, 's', 402)).is_empty());
    let form = the_form(&state);
    assert_eq!(form.phase, Phase::Edit);
    assert_eq!(
        form.row().unwrap().kind,
        Kind::Name,
        "there it is to be mended"
    );
    assert!(screen(&state).contains("something stands in the way"));
    let effects = ctrl(&mut state, 'f', 403);
    assert_eq!(the_form(&state).spec().name.as_deref(), Some("llama-sft-2"));
    assert_eq!(plans(&effects).len(), 1, "planned at once");
    // A port of three is moved as a whole.
    go(&mut state, Kind::Port);
    type_keys(&mut state, "8000-8002:80-82", 404);
    rest(&mut state, 405);
    let port = Conflict {
        field: Field::Port(0),
        stops: true,
        text: "port 8000 is taken".into(),
        remedy: String::new(),
        mend: Some(Mend::Port { at: 0, host: 9000 }),
    };
    answer(&mut state, |plan| plan.conflicts = vec![port], 405);
    let text = screen(&state);
    assert!(text.contains("ctrl-f: publish 9000 instead"), "{text}");
    ctrl(&mut state, 'f', 406);
    let ports = the_form(&state).spec().ports;
    assert_eq!(ports[0].to_string(), "9000-9002:80-82");
    // A folder is made, and then planned anew.
    let folder = Conflict {
        field: Field::Mount(0),
        stops: true,
        text: "/data is not there".into(),
        remedy: String::new(),
        mend: Some(Mend::MakeFolder("/data".into())),
    };
    answer(&mut state, |plan| plan.conflicts = vec![folder], 407);
    let effects = ctrl(&mut state, 'f', 407);
    assert!(effects.contains(&Effect::MakeFolder("/data".into())));
    let made = Outcome::FolderMade(Ok("/data".into()));
    assert_eq!(plans(&send(&mut state, made, 408)).len(), 1);
}

#[test]
fn a_fault_stands_in_the_form_and_nothing_is_lost() {
    let mut state = opened(140, 40);
    go(&mut state, Kind::Command);
    type_keys(&mut state, "python train.py", 400);
    let spec = the_form(&state).spec();
    rest(&mut state, 401);
    answer(&mut state, |_| {}, 401);
    ctrl(&mut state, 's', 402);
    let id = the_form(&state).id;
    let result = Err(fault());
    send(&mut state, Outcome::Launched { id, result }, 403);
    let text = screen(&state);
    assert!(text.contains("the engine refused the start"), "{text}");
    assert_eq!(the_form(&state).spec(), spec);
    type_keys(&mut state, "x", 404);
    assert!(
        !screen(&state).contains("refused the start"),
        "it was changed"
    );
}

#[test]
fn a_pull_and_a_look_inside_can_be_stopped_and_the_look_skipped() {
    let mut state = pulling(140, 40);
    let id = the_form(&state).id;
    let effects = press(&mut state, Key::Esc, 404);
    assert_eq!(effects, [Effect::CancelLaunch(id)]);
    assert!(press(&mut state, Key::Esc, 404).is_empty(), "once");
    let result = Err(Problem::default());
    send(&mut state, Outcome::Pulled { id, result }, 405);
    assert!(screen(&state).contains("the pull was stopped"));
    assert_eq!(the_form(&state).phase, Phase::Edit);

    let subject = Subject::Image(image_id("my-train:0.4"));
    let mut state = checking(140, 40);
    let effects = press(&mut state, Key::Esc, 404);
    assert_eq!(effects, [Effect::CancelCheck(subject.clone())]);
    assert_eq!(the_form(&state).phase, Phase::Edit);
    let result = Err("cancelled".to_owned());
    let late = Outcome::Checked {
        subject: subject.clone(),
        result,
    };
    assert!(launches(&send(&mut state, late.clone(), 405)).is_empty());

    let mut state = checking(140, 40);
    let effects = type_keys(&mut state, "s", 404);
    assert!(
        effects.contains(&Effect::CancelCheck(subject)),
        "{effects:?}"
    );
    assert_eq!(launches(&effects).len(), 1, "{effects:?}");
    assert!(
        launches(&send(&mut state, late, 405)).is_empty(),
        "no second start"
    );
}

#[test]
fn a_look_inside_that_fails_is_said_and_the_start_goes_on() {
    let mut state = checking(140, 40);
    let subject = Subject::Image(image_id("my-train:0.4"));
    let result = Err("no space left".to_owned());
    send(&mut state, Outcome::Checked { subject, result }, 404);
    assert!(screen(&state).contains("looking inside failed: no space left"));
    let effects = answer(&mut state, |plan| plan.scan_would_tell = true, 405);
    assert_eq!(launches(&effects).len(), 1);
}

#[test]
fn read_only_shows_the_form_and_starts_nothing() {
    let mut state = opened(140, 40);
    state.config.read_only = true;
    answer(&mut state, |_| {}, 401);
    let effects = ctrl(&mut state, 's', 402);
    assert!(effects.is_empty(), "{effects:?}");
    assert!(screen(&state).contains("read-only"));
}
