//! Scripts of the form's keys: fields, GPUs, rows, presets, paths, and what it opens with.

use super::fields::Kind;
use super::flow::form;
use super::flow_tests::*;
use super::state::{Phase, Spot};
use crate::launch::*;
use crate::model::*;
use crate::tui::effect::{Effect, Outcome};
use crate::tui::fixture::*;
use crate::tui::keymap::Key;
use crate::tui::state::State;
use crate::tui::state::launches::Keep;
use crate::tui::state::layers::Layer;
use crate::tui::{Event, update};

#[test]
fn a_field_that_cannot_be_read_stops_the_start_and_takes_the_cursor() {
    let mut state = opened(140, 40);
    go(&mut state, Kind::Port);
    type_keys(&mut state, "80 80", 401);
    go(&mut state, Kind::Name);
    assert!(plans(&rest(&mut state, 402)).is_empty(), "nothing to plan");
    assert!(ctrl(&mut state, 's', 403).is_empty());
    assert_eq!(the_form(&state).row().unwrap().kind, Kind::Port);
}

#[test]
fn gpus_are_chosen_by_keys() {
    let mut state = opened(140, 40);
    let which = |state: &State| the_form(state).spec().gpus.map(|g| g.which);
    press(&mut state, Key::Down, 401);
    assert_eq!(which(&state), Some(Which::Free(1)));
    type_keys(&mut state, "++-", 401);
    assert_eq!(which(&state), Some(Which::Free(2)));
    press(&mut state, Key::Left, 401);
    assert_eq!(which(&state), None);
    // Space on a line marks that GPU.
    for _ in 0..3 {
        press(&mut state, Key::Down, 401);
    }
    type_keys(&mut state, " ", 401);
    let uuid = |number| gpu_key(number).uuid.to_string();
    assert_eq!(which(&state), Some(Which::Devices(vec![uuid(2)])));
    press(&mut state, Key::Down, 401);
    type_keys(&mut state, " ", 401);
    assert_eq!(which(&state), Some(Which::Devices(vec![uuid(2), uuid(3)])));
    type_keys(&mut state, " ", 401);
    assert_eq!(which(&state), Some(Which::Devices(vec![uuid(2)])));
    // Removing them asks for none.
    ctrl(&mut state, 'x', 401);
    assert_eq!(which(&state), None);
}

#[test]
fn a_lost_gpu_cannot_be_marked() {
    let mut state = judged(140, 40);
    let mut snapshot = gpus();
    snapshot.gpus[0].state = GpuState::Lost("gone".into());
    state.world.gpu_snapshot(snapshot, at(400));
    state
        .world
        .engine_news(EngineNews::Images(images()), at(400));
    type_keys(&mut state, "3", 400);
    open(&mut state, "my-train:0.4", 400);
    press(&mut state, Key::Down, 401);
    press(&mut state, Key::Down, 401);
    assert_eq!(the_form(&state).spot, Spot::Gpu(0));
    type_keys(&mut state, " ", 401);
    assert!(screen(&state).contains("GPU 0 cannot be chosen: it is lost"));
}

#[test]
fn an_engine_elsewhere_shows_no_gpus_of_this_machine() {
    let mut state = judged(140, 40);
    state.world.locality = crate::watch::Locality::Elsewhere;
    state
        .world
        .engine_news(EngineNews::Images(images()), at(390));
    type_keys(&mut state, "3", 400);
    open(&mut state, "my-train:0.4", 400);
    let form = the_form(&state);
    assert!(form.gpus.lines.is_empty());
    assert_eq!(form.spec().gpus.map(|g| g.which), Some(Which::All));
}

#[test]
fn the_form_of_a_container_is_of_its_image_and_rows_come_and_go() {
    let mut state = judged(140, 40);
    let asked = Effect::LaunchLike {
        key: key(1),
        image: image_id("my-train:0.4"),
    };
    assert!(type_keys(&mut state, "L", 401).contains(&asked));
    // What it was launched with cannot be had: the form is that of its image.
    let result = Err("no such container".to_owned());
    send(
        &mut state,
        Outcome::LaunchLike {
            key: key(1),
            result,
        },
        401,
    );
    assert!(screen(&state).contains("what it was launched with is not known"));
    let form = the_form(&state);
    assert_eq!(form.spec().image, "my-train:0.4");
    assert_eq!(form.spec().shm_bytes, Some(8 << 30));
    assert_eq!(form.spec().ulimits.len(), 2);
    // Each of the offers is removed at a key.
    go(&mut state, Kind::Shm);
    ctrl(&mut state, 'x', 401);
    go(&mut state, Kind::Ulimit);
    ctrl(&mut state, 'x', 401);
    ctrl(&mut state, 'x', 401);
    let spec = the_form(&state).spec();
    assert_eq!((spec.shm_bytes, spec.ulimits.len()), (None, 0));
    go(&mut state, Kind::Env);
    type_keys(&mut state, "A=1", 401);
    ctrl(&mut state, 'n', 401);
    type_keys(&mut state, "B=2", 401);
    press(&mut state, Key::Up, 401);
    ctrl(&mut state, 'x', 401);
    let names: Vec<String> = the_form(&state)
        .spec()
        .env
        .iter()
        .map(|e| e.to_string())
        .collect();
    assert_eq!(names, ["B=2"]);
    // Pasted into the field, line ends left out.
    go(&mut state, Kind::Command);
    update(&mut state, Event::Paste("python\n -V".into()), at(401));
    assert_eq!(the_form(&state).spec().command, ["python", "-V"]);
}

#[test]
fn esc_closes_the_form_and_0_brings_it_back() {
    let mut state = opened(140, 40);
    press(&mut state, Key::Esc, 401);
    assert!(state.ui.layers.is_empty() && state.launch.draft.is_none());
    open(&mut state, "my-train:0.4", 402);
    go(&mut state, Kind::Command);
    type_keys(&mut state, "a b", 402);
    let spec = the_form(&state).spec();
    press(&mut state, Key::Esc, 402);
    assert!(screen(&state).contains("o then 0 brings it back"));
    let effects = type_keys(&mut state, "o0", 403);
    assert_eq!(the_form(&state).spec(), spec);
    assert!(launches(&effects).is_empty());
}

#[test]
fn a_preset_is_kept_without_its_secrets() {
    let mut state = opened(140, 40);
    go(&mut state, Kind::Env);
    type_keys(&mut state, "HF_TOKEN=abc", 401);
    ctrl(&mut state, 'p', 401);
    let effects = type_keys(&mut state, "night run", 401);
    assert!(effects.is_empty());
    let effects = press(&mut state, Key::Enter, 401);
    let kept = effects.iter().find_map(|e| match e {
        Effect::KeepLaunch(Keep::Preset(preset)) => Some(preset.clone()),
        _ => None,
    });
    let preset = kept.expect("it is kept");
    assert_eq!(preset.name, "night run");
    assert!(preset.line.contains("-e HF_TOKEN ") && !preset.line.contains("abc"));
    assert!(screen(&state).contains("the value of HF_TOKEN is not kept"));
    assert_eq!(the_form(&state).spec().env[0].to_string(), "HF_TOKEN=abc");
    assert!(!screen(&state).contains("HF_TOKEN=abc") || the_form(&state).row().is_some());
    // It is removed from the list again.
    press(&mut state, Key::Esc, 402);
    type_keys(&mut state, "o", 402);
    press(&mut state, Key::Down, 402);
    let effects = press(&mut state, Key::Delete, 402);
    assert!(effects.contains(&Effect::KeepLaunch(Keep::Forget("night run".into()))));
}

#[test]
fn paths_are_completed_as_far_as_they_agree() {
    let mut state = opened(140, 40);
    go(&mut state, Kind::Mount);
    type_keys(&mut state, "/da", 401);
    let effects = press(&mut state, Key::Tab, 401);
    let [Effect::CompletePath { id, text }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(text, "/da");
    let found = ["/data/imagenet/", "/data/imdb/"]
        .map(str::to_owned)
        .to_vec();
    let outcome = Outcome::PathsFound {
        id: *id,
        result: Ok(found),
    };
    send(&mut state, outcome, 401);
    assert_eq!(the_form(&state).row().unwrap().input.value(), "/data/im");
    let text = screen(&state);
    assert!(text.contains("imagenet/  imdb/"), "{text}");
    type_keys(&mut state, "d", 402);
    let effects = press(&mut state, Key::Tab, 402);
    let [Effect::CompletePath { id, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    let outcome = Outcome::PathsFound {
        id: *id,
        result: Ok(vec!["/data/imdb/".into()]),
    };
    send(&mut state, outcome, 402);
    type_keys(&mut state, ":/data", 403);
    assert_eq!(
        the_form(&state).row().unwrap().input.value(),
        "/data/imdb/:/data"
    );
    // In the container's path tab goes on to the next field.
    assert!(press(&mut state, Key::Tab, 403).is_empty());
    assert_ne!(the_form(&state).row().unwrap().kind, Kind::Mount);
}

#[test]
fn two_keys_start_a_launch_again_through_plan_and_verdict() {
    let mut state = kept(140, 40);
    let effects = type_keys(&mut state, "o2", 401);
    let asked = plans(&effects);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].image, "my-train:0.4");
    assert_eq!(asked[0].gpus, Some(GpuAsk::of(Which::Free(1))));
    assert_eq!(asked[0].command.first().map(String::as_str), Some("python"));
    let effects = answer(&mut state, |_| {}, 402);
    assert_eq!(launches(&effects).len(), 1);
    // A verdict that says no is asked about here too.
    let mut state = kept(140, 40);
    type_keys(&mut state, "o2", 401);
    let effects = answer(&mut state, |plan| plan.verdict = Some(fails()), 402);
    assert!(launches(&effects).is_empty());
    assert!(matches!(state.ui.layers.last(), Some(Layer::Confirm(_))));
    // `e` opens it and starts nothing.
    let mut state = kept(140, 40);
    type_keys(&mut state, "o", 401);
    press(&mut state, Key::Down, 401);
    type_keys(&mut state, "e", 401);
    assert_eq!(the_form(&state).phase, Phase::Edit);
    assert!(launches(&answer(&mut state, |_| {}, 402)).is_empty());
    // A line that no one can read is said, and the list stays.
    let mut state = kept(140, 40);
    state.launch.kept.keep(Keep::Last("rm -rf /".into()));
    type_keys(&mut state, "o2", 401);
    assert!(screen(&state).contains("this line cannot be read any more"));
}

#[test]
fn without_an_image_the_form_is_blank_and_asks_for_one() {
    let mut state = judged(140, 40);
    type_keys(&mut state, "3", 400);
    let effects = type_keys(&mut state, "L", 400);
    assert!(plans(&effects).is_empty());
    assert!(ctrl(&mut state, 's', 401).is_empty());
    assert!(screen(&state).contains("it needs an image"));
    type_keys(&mut state, "busybox", 401);
    assert_eq!(plans(&rest(&mut state, 402)).len(), 1);
}

#[test]
fn a_plan_that_is_old_is_made_anew_while_the_form_is_looked_at() {
    let mut state = opened(140, 40);
    answer(&mut state, |_| {}, 401);
    assert!(plans(&rest(&mut state, 405)).is_empty());
    assert!(state.deadline().unwrap() <= at(411).mono);
    assert_eq!(plans(&rest(&mut state, 411)).len(), 1);
    assert!(
        the_form(&state).current().is_some(),
        "the last one stands meanwhile"
    );
    // A start wants a fresh one.
    answer(&mut state, |_| {}, 411);
    let effects = ctrl(&mut state, 's', 420);
    assert!(launches(&effects).is_empty());
    assert_eq!(plans(&effects).len(), 1);
    assert_eq!(launches(&answer(&mut state, |_| {}, 421)).len(), 1);
}

#[test]
fn what_the_simulated_host_launches_is_not_kept() {
    let mut state = opened(140, 40);
    state.config.demo = true;
    let effects = run(&mut state, 40, 402);
    assert!(!effects.iter().any(|e| matches!(e, Effect::KeepLaunch(_))));
    assert_eq!(state.launch.kept.last.len(), 1, "while it runs");
}

#[test]
fn an_engine_that_is_away_is_said_and_asked_again_when_it_is_back() {
    let mut state = opened(140, 40);
    let problem = Problem {
        what: "cannot reach the Docker engine".into(),
        why: "connection refused".into(),
        remedy: String::new(),
    };
    state.world.engine_news(EngineNews::Down(problem), at(401));
    go(&mut state, Kind::Name);
    type_keys(&mut state, "ab", 401);
    assert!(plans(&rest(&mut state, 402)).is_empty());
    let text = screen(&state);
    assert!(
        text.contains("cannot reach the Docker engine: connection refused"),
        "{text}"
    );
    state.world.engine_news(EngineNews::Up(engine()), at(403));
    assert_eq!(plans(&tell(&mut state, 403)).len(), 1);
}

#[test]
fn the_form_of_a_container_is_what_it_was_launched_with() {
    let like = |spec: &LaunchSpec| Outcome::LaunchLike {
        key: key(1),
        result: Ok((
            Box::new(spec.clone()),
            vec!["MaskedPaths cannot be said in a docker run line".into()],
        )),
    };
    let spec = LaunchSpec {
        image: "my-train:0.4".into(),
        name: Some("llama-sft".into()),
        gpus: Some(GpuAsk::of(Which::Devices(vec!["0".into(), "1".into()]))),
        ..LaunchSpec::default()
    };
    let mut state = judged(140, 40);
    type_keys(&mut state, "L", 401);
    let effects = send(&mut state, like(&spec), 402);
    assert_eq!(plans(&effects).len(), 1);
    let form = the_form(&state);
    assert!(form.gpus.has(&form.gpus.lines[0]) && !form.gpus.has(&form.gpus.lines[2]));
    let detached = LaunchSpec {
        detach: true,
        ..spec.clone()
    };
    assert_eq!(form.spec(), detached);
    assert!(screen(&state).contains("not taken over: MaskedPaths"));
    // Who has opened something else meanwhile is left there.
    let mut state = judged(140, 40);
    type_keys(&mut state, "L?", 401);
    send(&mut state, like(&spec), 402);
    assert!(form_is_closed(&state));
}

fn form_is_closed(state: &State) -> bool {
    form(state).is_none()
}
