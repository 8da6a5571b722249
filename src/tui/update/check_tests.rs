//! Scripts about checks: who is asked about, the keys, the queue, what is told, what is judged anew.

use std::sync::Arc;
use std::time::Duration;

use super::update;
use crate::check::{Progress, Subject};
use crate::inspect::Known;
use crate::model::*;
use crate::tui::effect::{Effect, Outcome};
use crate::tui::event::Event;
use crate::tui::fixture::*;
use crate::tui::keymap::Key;
use crate::tui::state::verdicts::Knowledge;
use crate::tui::state::{Focus, State, StateConfig, Tab};
use crate::verdict::facts::ImageFacts;

const JUPYTER: &str = "jupyter:cuda13";

fn select(state: &mut State, name: &str) {
    press(state, Key::Home, 401);
    for _ in 0..20 {
        let key = state.list.selected_key();
        if key.is_some_and(|key| state.world.rows[&key].container.name == name) {
            return;
        }
        press(state, Key::Down, 401);
    }
    panic!("{name} is not in the list");
}

fn image(name: &str) -> Subject {
    Subject::Image(image_id(name))
}

fn send(state: &mut State, outcome: Outcome, second: u64) -> Vec<Effect> {
    update(state, Event::Outcome(outcome), at(second))
}

fn checked(
    state: &mut State,
    subject: Subject,
    result: Result<Arc<Known>, &str>,
    second: u64,
) -> Vec<Effect> {
    let result = result.map_err(str::to_owned);
    send(state, Outcome::Checked { subject, result }, second)
}

/// The effects about checks.
fn about_checks(effects: Vec<Effect>) -> Vec<Effect> {
    let about = |e: &Effect| matches!(e, Effect::Check(_) | Effect::CancelCheck(_));
    effects.into_iter().filter(about).collect()
}

fn asked(effects: &[Effect]) -> Vec<ImageId> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Know(images) => Some(images.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

fn badge(state: &State, number: u8) -> String {
    let container = &state.world.rows[&key(number)].container;
    let badge = state.verdicts.container_badge(container);
    badge.map_or_else(String::new, |(text, _)| text.to_owned())
}

#[test]
fn images_in_use_are_asked_about_a_few_at_a_time_and_once() {
    let mut state = blank(140, 40);
    state.world = night(140, 40).world;
    let visible = crate::watch::Changes {
        visible: true,
        targets: false,
    };
    let tell = |state: &mut State, second| update(state, Event::World(visible), at(second));
    let first = asked(&tell(&mut state, 400));
    assert_eq!(first.len(), 4, "{first:?}");
    assert!(
        asked(&tell(&mut state, 401)).is_empty(),
        "four are under way"
    );
    let fail = |state: &mut State, image: &ImageId| {
        let result = Err("no such image".to_owned());
        let image = image.clone();
        asked(&send(state, Outcome::Known { image, result }, 402))
    };
    let mut all = first.clone();
    for image in &first {
        all.extend(fail(&mut state, image));
    }
    assert_eq!(all.len(), 6, "{all:?}");
    for image in &all[4..] {
        assert!(fail(&mut state, image).is_empty());
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "each once");
    for second in 403..410 {
        assert!(asked(&tell(&mut state, second)).is_empty(), "never again");
    }
    assert_eq!(
        badge(&state, 3),
        "?",
        "that there is no CUDA in it was not told"
    );
    // But on the user's wish, and when the engine has been away.
    assert_eq!(asked(&type_keys(&mut state, "R", 411)).len(), 4);
    for image in &all {
        fail(&mut state, image);
    }
    let gone = Problem {
        what: "gone".into(),
        why: String::new(),
        remedy: String::new(),
    };
    state.world.engine_news(EngineNews::Down(gone), at(412));
    assert!(asked(&tell(&mut state, 412)).is_empty());
    state.world.engine_news(EngineNews::Up(engine()), at(413));
    assert_eq!(asked(&tell(&mut state, 413)).len(), 4);
}

#[test]
fn without_a_gpu_nobody_is_asked_until_the_tab_is_opened() {
    let mut state = blank(140, 40);
    state.world.engine_news(EngineNews::Up(engine()), at(0));
    let listed = EngineNews::Listed(containers());
    state.world.engine_news(listed, at(0));
    told(&mut state, 1);
    assert!(asked(&type_keys(&mut state, "j", 2)).is_empty());
    let wanted = asked(&type_keys(&mut state, "d", 3));
    assert_eq!(wanted.len(), 1, "{wanted:?}");
}

#[test]
fn the_check_key_starts_shows_and_cancels() {
    let mut state = judged(140, 40);
    select(&mut state, "notebook");
    let effects = about_checks(type_keys(&mut state, "c", 402));
    assert_eq!(effects, [Effect::Check(image(JUPYTER))]);
    assert_eq!(
        (state.tab(), state.ui.focus),
        (Tab::Verdict, Focus::Details)
    );
    let progress = Progress {
        bytes: 6 * GIB,
        total_bytes: Some(12 * GIB),
        elapsed: Duration::from_secs(8),
    };
    let subject = image(JUPYTER);
    send(
        &mut state,
        Outcome::CheckProgress { subject, progress },
        403,
    );
    assert_eq!(badge(&state, 3), "50%");
    let text = screen(&state);
    assert!(
        text.contains("50 % · 6.0/12.0 GiB · 8s left · c or esc cancels"),
        "{text}"
    );
    // Elsewhere the key only leads here.
    type_keys(&mut state, "t", 404);
    assert!(about_checks(type_keys(&mut state, "c", 404)).is_empty());
    assert_eq!(state.tab(), Tab::Verdict);
    // Here it cancels, once.
    let effects = about_checks(press(&mut state, Key::Esc, 405));
    assert_eq!(effects, [Effect::CancelCheck(image(JUPYTER))]);
    assert!(screen(&state).contains("stopping…"));
    assert!(about_checks(type_keys(&mut state, "c", 405)).is_empty());
    checked(&mut state, image(JUPYTER), Err("cancelled"), 406);
    let text = screen(&state);
    assert!(text.contains("press c to look inside (14.0 GiB)"), "{text}");
    assert!(!text.contains("failed"), "{text}");
    // And `esc` goes back again.
    press(&mut state, Key::Esc, 407);
    assert_eq!(state.ui.focus, Focus::List);
}

#[test]
fn several_wait_their_turn_and_one_that_waits_is_taken_out() {
    let mut state = judged(140, 40);
    // The two of the project: one image is known through and through.
    select(&mut state, "rag-api-1");
    press(&mut state, Key::Up, 402);
    let effects = about_checks(type_keys(&mut state, "c", 402));
    assert_eq!(effects, [Effect::Check(image("rag-api:2.1"))]);
    assert_eq!(
        state.tab(),
        Tab::Charts,
        "a heading has no verdict of its own"
    );
    select(&mut state, "notebook");
    assert!(about_checks(type_keys(&mut state, "c", 403)).is_empty());
    assert!(screen(&state).contains("waits for 1 other check"));
    assert_eq!(badge(&state, 3), "waits");
    // Its own file system waits too; then the image is taken out of the queue.
    assert!(about_checks(type_keys(&mut state, "O", 403)).is_empty());
    let own = Subject::Container(key(3));
    press(&mut state, Key::Esc, 404);
    press(&mut state, Key::Esc, 404);
    assert_eq!(badge(&state, 3), "✘ MW102");
    type_keys(&mut state, "O", 405);
    let done = known("rag-api:2.1", true);
    let effects = checked(&mut state, image("rag-api:2.1"), Ok(done), 406);
    assert_eq!(about_checks(effects), [Effect::Check(own.clone())]);
    // Who looks elsewhere is told.
    assert!(screen(&state).contains("rag-api:2.1: there is no CUDA in it"));
    let done = known("my-train:0.4", true);
    checked(&mut state, own, Ok(done), 407);
    let text = screen(&state);
    assert!(text.contains("its own file system, at 03:04:27"), "{text}");
    // An image's end does not change what is known of the container itself.
    let before = badge(&state, 3);
    learn(&mut state, JUPYTER, true, 408);
    assert_eq!(badge(&state, 3), before);
}

#[test]
fn a_failure_says_why_and_is_tried_again() {
    let mut state = judged(140, 40);
    select(&mut state, "rag-api-1");
    type_keys(&mut state, "c", 402);
    type_keys(&mut state, "t", 402);
    let why = "no space\u{1b}[31m left";
    checked(&mut state, image("rag-api:2.1"), Err(why), 403);
    assert!(screen(&state).contains("looking inside rag-api:2.1 failed: no space"));
    type_keys(&mut state, "d", 403);
    let text = screen(&state);
    assert!(
        text.contains("✘ looking inside the image failed: no space"),
        "{text}"
    );
    assert!(text.contains("c tries again"), "{text}");
    let effects = about_checks(type_keys(&mut state, "c", 404));
    assert_eq!(effects, [Effect::Check(image("rag-api:2.1"))]);
}

#[test]
fn an_image_that_was_looked_into_is_not_looked_into_again() {
    let mut state = judged(140, 40);
    assert!(about_checks(type_keys(&mut state, "c", 402)).is_empty());
    assert_eq!(state.tab(), Tab::Verdict);
    assert!(screen(&state).contains("looked inside already"));
    // A late answer about the configuration alone takes nothing away.
    learn(&mut state, "my-train:0.4", false, 403);
    let knowledge = state.verdicts.image(&image_id("my-train:0.4"));
    assert!(matches!(knowledge, Knowledge::Known(known) if known.content.is_some()));
}

#[test]
fn read_only_starts_no_check_and_says_so() {
    let mut config = StateConfig::new(HostId(0));
    config.read_only = true;
    config.size = (140, 40);
    let mut state = State::new(config, at(0));
    state.world = night(140, 40).world;
    told(&mut state, 400);
    learn(&mut state, JUPYTER, false, 400);
    select(&mut state, "notebook");
    let effects = type_keys(&mut state, "cOd", 401);
    assert!(about_checks(effects).is_empty());
    let text = screen(&state);
    assert!(
        text.contains("read-only: midwatch was started with --read-only"),
        "{text}"
    );
    assert!(
        text.contains("looking inside creates a container"),
        "{text}"
    );
}

#[test]
fn what_killed_checks_left_is_swept_once_and_without_a_gpu_too() {
    let mut state = blank(140, 40);
    let swept = |effects: &[Effect]| effects.iter().filter(|e| **e == Effect::Sweep).count();
    assert_eq!(
        swept(&press(&mut state, Key::Down, 400)),
        0,
        "no engine yet"
    );
    state.world = night(140, 40).world;
    state.world.gpus = None;
    assert_eq!(swept(&press(&mut state, Key::Down, 401)), 1);
    assert_eq!(swept(&press(&mut state, Key::Up, 402)), 0);
}

#[test]
fn esc_in_the_list_clears_the_marks_and_then_stops_the_check_on_the_screen() {
    let mut state = judged(140, 40);
    select(&mut state, "notebook");
    let effects = about_checks(type_keys(&mut state, "c", 402));
    let [Effect::Check(subject)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    press(&mut state, Key::Tab, 403);
    type_keys(&mut state, " ", 403);
    assert!(about_checks(press(&mut state, Key::Esc, 404)).is_empty());
    assert!(state.list.marks.is_empty());
    select(&mut state, "notebook");
    let effects = about_checks(press(&mut state, Key::Esc, 405));
    assert_eq!(effects, [Effect::CancelCheck(subject.clone())]);
}

#[test]
fn the_menu_offers_both_checks() {
    let mut state = judged(140, 40);
    select(&mut state, "notebook");
    type_keys(&mut state, "x", 402);
    let text = screen(&state);
    assert!(
        text.contains("look inside it") && text.contains("its own file system"),
        "{text}"
    );
    press(&mut state, Key::Down, 402);
    let effects = about_checks(press(&mut state, Key::Enter, 402));
    assert_eq!(effects, [Effect::Check(Subject::Container(key(3)))]);
    assert_eq!(badge(&state, 3), "0%");
}

#[test]
fn the_first_remedy_is_copied() {
    let mut state = judged(140, 40);
    select(&mut state, "eval-7b");
    let effects = type_keys(&mut state, "dy", 402);
    assert!(
        effects.contains(&Effect::Copy("--shm-size=8g".into())),
        "{effects:?}"
    );
    select_list(&mut state);
    select(&mut state, "rag-db-1");
    let effects = type_keys(&mut state, "dy", 403);
    assert!(!effects.iter().any(|e| matches!(e, Effect::Copy(_))));
}

fn select_list(state: &mut State) {
    press(state, Key::Esc, 402);
    assert_eq!(state.ui.focus, Focus::List);
}

#[test]
fn a_container_is_judged_with_what_it_was_given() {
    // A card that torch 2.6 has no code for, beside the three that it serves.
    let mut state = judged(140, 40);
    let mut snapshot = gpus();
    for (place, gpu) in snapshot.gpus.iter_mut().enumerate() {
        gpu.sampled = at(401);
        if place == 1 {
            gpu.name = "NVIDIA GeForce RTX 5090".into();
            gpu.compute_capability = Some(ComputeCapability {
                major: 12,
                minor: 0,
            });
        }
    }
    state.world.gpu_snapshot(snapshot, at(401));
    told(&mut state, 401);
    // llama-sft was given GPUs 0 and 1; another was given GPU 2 alone, which is served.
    assert_eq!(badge(&state, 1), "~ 12.4");
    let verdict = state.verdicts.of_container(&key(1)).unwrap();
    assert!(
        verdict.findings.iter().any(|f| f.rule.0 == 204),
        "{verdict:?}"
    );
    let mut container = container(8, "second", "my-train:0.4", ContainerState::Exited);
    if let Some(detail) = &mut container.detail {
        detail.grant = Some(GpuGrant::Devices(vec!["2".into()]));
        detail.shm_size_bytes = Some(GIB);
    }
    let changed = EngineNews::Changed(Box::new(container));
    state.world.engine_news(changed, at(402));
    told(&mut state, 402);
    assert_eq!(badge(&state, 8), "✔ 12.4");
    // Where the engine is elsewhere, nothing is known of its GPUs.
    state.world.locality = crate::watch::Locality::Elsewhere;
    told(&mut state, 403);
    assert_eq!(badge(&state, 1), "?");
}

#[test]
fn nothing_is_judged_anew_while_nothing_changes() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static MADE: AtomicUsize = AtomicUsize::new(0);
    fn counted(known: &Known) -> ImageFacts {
        MADE.fetch_add(1, Ordering::Relaxed);
        facts(known)
    }
    let mut state = judged(140, 40);
    state.verdicts.derive = counted;
    for second in 401..450 {
        let mut snapshot = gpus();
        for gpu in &mut snapshot.gpus {
            gpu.sampled = at(second);
            gpu.gpu_percent = Some(second as u32 % 100);
        }
        state.world.gpu_snapshot(snapshot, at(second));
        told(&mut state, second);
        press(&mut state, Key::Down, second);
    }
    assert_eq!(MADE.load(Ordering::Relaxed), 0);
    // The driver goes away: all is judged anew, once.
    let mut snapshot = gpus();
    let DriverStatus::Up(info) = &mut snapshot.driver else {
        panic!("it is up");
    };
    info.driver_version = Some("580.95.05".into());
    info.cuda_driver_version = Some((13, 0));
    state.world.gpu_snapshot(snapshot, at(450));
    told(&mut state, 450);
    let made = MADE.load(Ordering::Relaxed);
    assert_eq!(made, 12, "six images and six containers");
    told(&mut state, 451);
    assert_eq!(MADE.load(Ordering::Relaxed), made);
    assert_eq!(badge(&state, 6), "✔ 13.0");
}

#[test]
fn the_tabs_text_is_written_when_something_of_it_changes() {
    let mut state = judged(140, 40);
    type_keys(&mut state, "d", 402);
    let before = state.verdict_pane.lines.as_ptr();
    told(&mut state, 403);
    press(&mut state, Key::Down, 404);
    assert_eq!(state.verdict_pane.lines.as_ptr(), before);
    let resize = Event::Resize { cols: 90, rows: 30 };
    update(&mut state, resize, at(405));
    let text = screen(&state);
    assert!(text.contains("works on this host"), "{text}");
}
