//! Keys, words and ends of builds as the user meets them.

use insta::assert_snapshot;

use super::*;
use crate::build::{BuildError, Built, Failure, dockerfile};
use crate::model::ImageId;
use crate::tui::fixture::*;
use crate::tui::keymap::{Key, Mode};
use crate::tui::state::State;
use crate::tui::state::layers::Layer;
use crate::tui::{Effect, Event, Outcome, update};

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];

fn snap(name: &str, story: impl Fn(&mut State)) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (columns, rows) in SIZES {
            let mut state = night(columns, rows);
            story(&mut state);
            assert_snapshot!(format!("{name}_{columns}x{rows}"), screen(&state));
        }
    });
}

fn hear(state: &mut State, outcome: Outcome) -> Vec<Effect> {
    update(state, Event::Outcome(outcome), at(400))
}

fn say(state: &mut State, news: Vec<BuildNews>) {
    hear(state, Outcome::BuildNews { id: 1, news });
}

fn lines(texts: &[&str]) -> Vec<BuildNews> {
    texts.iter().map(|t| BuildNews::Line((*t).into())).collect()
}

/// A build of `~/my-ai-api` that has begun.
fn begun(state: &mut State) {
    type_keys(state, "B~/my-ai-api", 400);
    let effects = press(state, Key::Enter, 400);
    assert!(
        matches!(effects.as_slice(), [Effect::Build { id: 1, ask }] if ask.folder.ends_with("my-ai-api")),
        "{effects:?}"
    );
    say(
        state,
        vec![
            BuildNews::Builder(
                "the engine's own builder: docker's buildx plugin is not installed".into(),
            ),
            BuildNews::Context {
                bytes: 12 << 20,
                total_bytes: Some(40 << 20),
            },
        ],
    );
    say(
        state,
        lines(&[
            "Step 1/5 : FROM python:3.12-slim",
            " ---> 8b29c0a2d1f4",
            "Step 2/5 : COPY requirements.txt .",
            " ---> Using cache",
            "Step 3/5 : RUN pip install -r requirements.txt",
            "Collecting fastapi==0.115.0",
            "  Downloading fastapi-0.115.0-py3-none-any.whl (94 kB)",
        ]),
    );
}

fn failure() -> Outcome {
    Outcome::Built {
        id: 1,
        result: Err(BuildError::Failed(Failure {
            step: Some("3/5 (RUN pip install -r requirements.txt)".into()),
            exit_code: Some(1),
            message: "The command '/bin/sh -c pip install -r requirements.txt' returned a non-zero code: 1".into(),
            last: Vec::new(),
        })),
    }
}

#[test]
fn the_dialog() {
    snap("build_form", |state| {
        let effects = type_keys(state, "B~/pro", 400);
        assert!(
            effects.contains(&Effect::BuildPaths("~/pro".into())),
            "{effects:?}"
        );
        hear(
            state,
            Outcome::BuildPaths {
                text: "~/pro".into(),
                paths: vec!["~/project-a/".into(), "~/project-b/".into()],
            },
        );
    });
}

#[test]
fn the_log() {
    snap("building", begun);
}

#[test]
fn a_failure_stays_with_its_log() {
    snap("build_failed", |state| {
        begun(state);
        say(
            state,
            lines(&["ERROR: No matching distribution found for fastapi==0.115.0"]),
        );
        hear(state, failure());
    });
}

#[test]
fn the_question() {
    snap("build_cancel", |state| {
        begun(state);
        press(state, Key::Esc, 400);
    });
}

#[test]
fn paths_are_completed_and_tab_goes_on_after() {
    let mut state = night(80, 24);
    type_keys(&mut state, "B/srv/a", 400);
    hear(
        &mut state,
        Outcome::BuildPaths {
            text: "/srv/a".into(),
            paths: vec!["/srv/api-one/".into(), "/srv/api-two/".into()],
        },
    );
    let effects = press(&mut state, Key::Tab, 400);
    assert!(
        effects.contains(&Effect::BuildPaths("/srv/api-".into())),
        "{effects:?}"
    );
    // An answer that is too late counts for nothing.
    hear(
        &mut state,
        Outcome::BuildPaths {
            text: "/srv/a".into(),
            paths: vec!["/srv/abc".into()],
        },
    );
    press(&mut state, Key::Tab, 400);
    type_keys(&mut state, "my/api:1", 400);
    press(&mut state, Key::Down, 400);
    press(&mut state, Key::Down, 400);
    type_keys(&mut state, "A=1 B='two words' C", 400);
    press(&mut state, Key::Up, 400);
    update(
        &mut state,
        Event::Paste("gpu.\u{1b}Dockerfile".into()),
        at(400),
    );
    let effects = press(&mut state, Key::Enter, 400);
    let [Effect::Build { id: 1, ask }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(ask.folder, PathBuf::from("/srv/api-"));
    assert_eq!(ask.tags, ["my/api:1"]);
    assert_eq!(ask.dockerfile, Some(PathBuf::from("gpu.Dockerfile")));
    assert_eq!(
        ask.args,
        [
            ("A".to_owned(), Some("1".to_owned())),
            ("B".to_owned(), Some("two words".to_owned())),
            ("C".to_owned(), None)
        ]
    );
}

#[test]
fn what_is_missing_is_said_in_the_dialog() {
    let mut state = night(80, 24);
    type_keys(&mut state, "B", 400);
    assert_eq!(state.mode(), Mode::Input);
    assert_eq!(press(&mut state, Key::Enter, 400), []);
    assert!(screen(&state).contains("name the project's folder"));
    type_keys(&mut state, "x", 400);
    assert!(!screen(&state).contains("name the project's folder"));
    press(&mut state, Key::Esc, 400);
    assert_eq!(state.mode(), Mode::Normal);
}

#[test]
fn a_build_is_stopped_with_a_question() {
    let mut state = night(80, 24);
    begun(&mut state);
    press(&mut state, Key::Esc, 400);
    // No is chosen.
    assert_eq!(press(&mut state, Key::Enter, 400), []);
    press(&mut state, Key::Esc, 400);
    let effects = type_keys(&mut state, "y", 400);
    assert_eq!(effects, [Effect::CancelBuild(1)]);
    assert!(screen(&state).contains("stopping it"));
    // It is asked once.
    assert_eq!(press(&mut state, Key::Esc, 400), []);
    hear(
        &mut state,
        Outcome::Built {
            id: 1,
            result: Err(BuildError::Cancelled),
        },
    );
    assert_eq!(state.mode(), Mode::Normal);
    assert!(screen(&state).contains("the build was cancelled"));
}

#[test]
fn a_build_that_ends_takes_its_question_along() {
    let mut state = night(80, 24);
    begun(&mut state);
    press(&mut state, Key::Esc, 400);
    hear(&mut state, failure());
    assert!(matches!(state.ui.layers.as_slice(), [Layer::Building(_)]));
    press(&mut state, Key::Esc, 400);
    assert_eq!(state.mode(), Mode::Normal);
}

#[test]
fn what_was_built_is_said_and_offered() {
    let mut state = night(80, 24);
    begun(&mut state);
    hear(
        &mut state,
        Outcome::Built {
            id: 1,
            result: Ok(Built {
                image: ImageId("sha256:1234".into()),
                name: "my-ai-api".into(),
                exposed: dockerfile::port("7860").into_iter().collect(),
            }),
        },
    );
    let Some(Layer::Form(form)) = state.ui.layers.last() else {
        panic!("{:?}", state.ui.layers);
    };
    let spec = form.spec();
    assert_eq!(spec.image, "my-ai-api");
    let ports: Vec<String> = spec.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["7860:7860"]);
    let toasts: Vec<&str> = state.jobs.toasts.iter().map(|t| t.text.as_str()).collect();
    assert!(toasts.contains(&"built my-ai-api"), "{toasts:?}");
}

#[test]
fn a_written_home_is_put_in() {
    let (home, cwd) = (Path::new("/home/x"), Path::new("/srv"));
    for (text, want) in [
        ("~", "/home/x"),
        ("~/a", "/home/x/a"),
        ("~ada", "/srv/~ada"),
        ("a/b", "/srv/a/b"),
        ("/abs", "/abs"),
    ] {
        assert_eq!(real(text, Some(home), cwd), Path::new(want), "{text}");
    }
}

#[test]
fn read_only_builds_nothing() {
    let mut state = night(80, 24);
    state.config.read_only = true;
    assert_eq!(type_keys(&mut state, "B", 400), []);
    assert!(state.ui.layers.is_empty());
}

#[test]
fn the_log_follows_its_end_until_it_is_scrolled() {
    let ask = BuildAsk::default();
    let mut building = Building::new(1, &ask);
    for n in 0..100 {
        building.hear(BuildNews::Line(format!("line {n}")));
    }
    assert_eq!(building.top(10), 90);
    building.scroll(-5, 10);
    assert_eq!(building.top(10), 85);
    building.hear(BuildNews::Line("more".into()));
    assert_eq!(building.top(10), 85);
    building.scroll(isize::MAX / 2, 10);
    assert_eq!((building.top(10), building.first), (91, None));
    building.hear(BuildNews::Replace("less".into()));
    assert_eq!(building.lines.back().map(String::as_str), Some("less"));
    assert_eq!(building.lines.len(), 101);
}

#[test]
fn a_log_without_end_is_bounded() {
    let mut building = Building::new(1, &BuildAsk::default());
    for n in 0..MAX_LINES + 500 {
        building.hear(BuildNews::Line(n.to_string()));
    }
    assert_eq!(building.lines.len(), MAX_LINES);
    assert_eq!(building.dropped, 500);
    building.first = Some(100);
    let long = "x".repeat(100_000);
    for _ in 0..200 {
        building.hear(BuildNews::Line(long.clone()));
    }
    assert!(building.bytes <= MAX_BYTES);
    let bytes: usize = building.lines.iter().map(String::len).sum();
    assert_eq!(bytes, building.bytes);
    assert_eq!(building.first, Some(0));
}
