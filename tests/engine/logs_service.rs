//! The log service against a real engine.

use std::time::{Duration, Instant};

use midwatch::engine::transport::Address;
use midwatch::logs::LogStatus;
use midwatch::model::Stamp;
use midwatch::tui::Action;

use crate::host_docker::Docker;
use crate::logs_rig::{DEADLINE, Rig, texts, texts_end};

/// What tqdm does: one line written over, a newline at its end; three bars.
const BAR: &str = "n=0; while [ $n -lt 3 ]; do i=0; while [ $i -le 20 ]; do \
     printf '\\rbar %d: %d/20' $n $i >&2; i=$((i+1)); sleep 0.05; done; printf '\\n' >&2; n=$((n+1)); done; \
     sleep 1000";

fn name(short: &str) -> String {
    format!("logs-{short}-{}", std::process::id())
}

fn kill_file_count(docker: &Docker, container: &str) -> u64 {
    docker
        .ask(&["exec", container, "cat", "/count"])
        .trim()
        .parse()
        .unwrap_or(0)
}

#[test]
fn a_bar_moves_live_and_its_lines_come_once() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    // 20 KiB without a newline first: the log then shows that there is a bar.
    let script = format!(
        "i=0; while [ $i -lt 400 ]; do printf '\\rwarm up %050d' $i >&2; i=$((i+1)); done; echo >&2; sleep 1; {BAR}"
    );
    let container = docker.run(&name("bar"), &[], &script);
    rig.open(&[&container.id]);
    let moved = std::cell::RefCell::new(std::collections::BTreeSet::new());
    rig.until("third bar ended", |state| {
        if let Some(live) = state.live() {
            moved.borrow_mut().insert(live.text.clone());
        }
        texts(state).iter().any(|line| line == "bar 2: 20/20")
    });
    let moved = moved.into_inner();
    assert!(moved.len() > 10, "the bar stood: {moved:?}");
    let lines = texts(&rig.state);
    for n in 0..3 {
        let line = format!("bar {n}: 20/20");
        assert_eq!(lines.iter().filter(|l| **l == line).count(), 1, "{lines:?}");
    }
    rig.until("no bar under the finished one", |state| {
        state.live().is_none()
    });
    assert_eq!(rig.service.attached(), 1);
    let effects = rig.state.close();
    rig.run(effects);
    rig.until_service("detached", |service| service.attached() == 0);
}

#[test]
fn a_container_that_is_not_proven_local_is_never_attached_to() {
    let Some(docker) = Docker::find() else { return };
    let empty = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(
        Address::Unix(docker.socket.clone().into()),
        empty.path().to_str().unwrap(),
    );
    let container = docker.run(&name("far"), &["-t"], "echo hello; sleep 1000");
    rig.open(&[&container.id]);
    rig.until("note", |state| {
        state
            .header()
            .iter()
            .any(|part| part.text.contains("at newlines"))
    });
    assert_eq!(rig.service.attached(), 0);
}

/// Counts what a container has printed, from inside of it.
const WRITER: &str = "i=0; while :; do i=$((i+1)); \
    printf '\\r%0500d' $i; [ $((i % 200)) = 0 ] && echo $i >/count && echo; done";

fn goes_on(docker: &Docker, container: &str) {
    let first = kill_file_count(docker, container);
    let begun = Instant::now();
    // A socket and a pipe hold some 300 KiB: ten times that proves that somebody reads or nobody is waited for.
    while kill_file_count(docker, container) < first + 6000 {
        assert!(
            begun.elapsed() < DEADLINE,
            "the container stands at {first}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("3 MB printed on in {:?}", begun.elapsed());
}

#[test]
fn a_blocked_screen_does_not_stop_the_container() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let container = docker.run(&name("blocked"), &["-t"], WRITER);
    rig.open(&[&container.id]);
    rig.until("live", |state| state.live().is_some());
    assert_eq!(rig.service.attached(), 1);
    // Nobody takes anything from the lane from here on.
    goes_on(&docker, &container.id);
    assert_eq!(rig.service.attached(), 1);
    assert!(rig.lane.bytes() <= 4 * 1024 * 1024 + 64 * 1024);
    rig.until("live again", |state| state.live().is_some());
}

#[test]
fn a_held_service_is_attached_to_nothing_and_comes_back() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let container = docker.run(&name("held"), &["-t"], WRITER);
    rig.open(&[&container.id]);
    rig.until("live", |state| state.live().is_some());
    rig.service.hold();
    assert_eq!(rig.service.attached(), 0);
    goes_on(&docker, &container.id);
    assert_eq!(rig.service.attached(), 0);
    rig.service.resume();
    rig.until("live after resume", |state| state.live().is_some());
    assert_eq!(rig.service.attached(), 1);
}

#[test]
fn hostile_output_becomes_plain_bounded_lines() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let script = "printf 'osc \\033]52;c;aGVsbG8=\\007 end\\n'; printf 'move \\033[2J\\033[10;10H end\\n'; \
        printf 'bad \\377\\376 end\\n'; printf 'wide 日本 e\\314\\201 end\\n'; printf '\\033[31mred\\033[0m\\n'; \
        yes x | tr -d '\\n' | head -c 100000000; echo; echo last; sleep 1000";
    let container = docker.run(&name("hostile"), &[], script);
    rig.open(&[&container.id]);
    rig.until("the last line", |state| {
        texts(state).last().is_some_and(|line| line == "last")
    });
    assert!(rig.state.buffer().cost() <= 8 * 1024 * 1024);
    let held = texts(&rig.state);
    assert!(held.iter().all(|line| line.len() <= 16 * 1024));
    assert!(held.iter().all(|line| !line.chars().any(char::is_control)));
    // The beginning is loaded back.
    let effects = rig.state.handle(Action::First, Stamp::now()).unwrap();
    rig.run(effects);
    rig.until("the beginning", |state| {
        texts(state).first().is_some_and(|line| line == "osc  end")
    });
    let held = texts(&rig.state);
    assert_eq!(
        held[..5],
        [
            "osc  end",
            "move  end",
            "bad \u{fffd}\u{fffd} end",
            "wide 日本 e\u{301} end",
            "red"
        ]
    );
}

#[test]
fn older_parts_are_loaded_to_the_beginning_without_gap_or_double() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let container = docker.run(
        &name("older"),
        &[],
        "i=0; while [ $i -lt 13000 ]; do echo out $i; i=$((i+1)); done; sleep 1000",
    );
    rig.open(&[&container.id]);
    rig.until("the end", |state| {
        texts(state).last().is_some_and(|line| line == "out 12999")
    });
    let begun = Instant::now();
    while texts(&rig.state).first().is_none_or(|line| line != "out 0") {
        assert!(begun.elapsed() < DEADLINE);
        let rows = rig.state.buffer().len() + 10;
        let effects = rig.state.wheel(-(rows as i32));
        rig.run(effects);
        let before = rig.state.buffer().len();
        rig.until("an older part", |state| {
            state.buffer().len() > before
                || !state.header().iter().any(|p| p.text.contains("loading"))
        });
    }
    let held = texts(&rig.state);
    assert_eq!(held.len(), 13_000);
    for (n, line) in held.iter().enumerate() {
        assert_eq!(*line, format!("out {n}"));
    }
    // From the beginning on, newer parts down to the end, and then what comes.
    rig.run_action(Action::LogSince);
    for _ in 0..5 {
        rig.run_action(Action::LogSince);
    }
    rig.until("open again", |state| {
        texts(state).last().is_some_and(|line| line == "out 12999")
    });
    rig.run_action(Action::First);
    rig.until("the beginning at once", |state| {
        texts(state).first().is_some_and(|line| line == "out 0")
    });
    let begun = Instant::now();
    while texts(&rig.state)
        .last()
        .is_none_or(|line| line != "out 12999")
    {
        assert!(begun.elapsed() < DEADLINE);
        let rows = rig.state.buffer().len() as i32 + 10;
        let effects = rig.state.wheel(rows);
        rig.run(effects);
        rig.until("a newer part", |state| {
            !state.header().iter().any(|p| p.text.contains("loading"))
        });
    }
    let held = texts(&rig.state);
    assert_eq!(held.len(), 13_000);
    assert!(
        held.iter()
            .enumerate()
            .all(|(n, line)| *line == format!("out {n}"))
    );
}

#[test]
fn a_restart_is_followed_and_a_removal_told() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let container = docker.run(
        &name("restart"),
        &["--stop-timeout", "0"],
        "echo run; exec sleep 1000",
    );
    rig.open(&[&container.id]);
    rig.until("first run", |state| {
        texts(state).iter().any(|line| line == "run")
    });
    docker.ask(&["kill", &container.id]);
    rig.until("stopped", |state| {
        state.status(0) == Some(&LogStatus::Stopped)
    });
    docker.ask(&["start", &container.id]);
    rig.until("second run", |state| {
        texts(state).iter().filter(|line| *line == "run").count() == 2
    });
    docker.ask(&["rm", "-f", &container.id]);
    rig.until("removed", |state| {
        state.status(0) == Some(&LogStatus::Removed)
    });
}

#[test]
fn a_driver_without_a_log_gives_one_line() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let container = docker.run(
        &name("none"),
        &["--log-driver", "none"],
        "echo x; sleep 1000",
    );
    rig.open(&[&container.id]);
    rig.until("told", |state| {
        matches!(state.status(0), Some(LogStatus::Unreadable(text)) if text.contains("does not support reading"))
    });
    assert!(texts(&rig.state).is_empty());
}

#[test]
fn several_logs_come_by_time_with_their_names() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let one = docker.run(
        &name("m1"),
        &[],
        "echo one-1; sleep 2; echo one-2; sleep 1000",
    );
    let two = docker.run(
        &name("m2"),
        &[],
        "sleep 1; echo two-1; sleep 2; echo two-2; sleep 1000",
    );
    // What the engine itself dates, in order: a loaded machine may start the second one late.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut dated: Vec<(String, String)> = Vec::new();
    while dated.len() < 4 {
        assert!(std::time::Instant::now() < deadline, "{dated:?}");
        dated = [&one.id, &two.id]
            .into_iter()
            .flat_map(|id| {
                let log = docker.ask(&["logs", "--timestamps", id]);
                let lines: Vec<String> = log.lines().map(str::to_owned).collect();
                lines
            })
            .filter_map(|line| {
                let (time, text) = line.split_once(' ')?;
                Some((time.to_owned(), text.to_owned()))
            })
            .collect();
    }
    dated.sort();
    let expected: Vec<String> = dated.into_iter().map(|(_, text)| text).collect();
    rig.open(&[&one.id, &two.id]);
    rig.until("all four", |state| texts(state).len() == 4);
    assert_eq!(texts(&rig.state), expected);
}

/// Not a test of time: prints what the budget is judged by.
#[test]
fn a_large_log_is_read() {
    let Some(docker) = Docker::find() else { return };
    let mut rig = Rig::local(&docker.socket);
    let container = docker.run(
        &name("large"),
        &[],
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456 \
         | head -n 50000; echo done; sleep 1000",
    );
    let begun = Instant::now();
    while docker.ask(&["logs", "--tail", "1", &container.id]) != "done" {
        assert!(begun.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(100));
    }
    let begun = Instant::now();
    let output = docker
        .command(&["logs", &container.id])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(output.success());
    let theirs = begun.elapsed();
    // As it is followed: all of it, through the service, into the screen's buffer.
    let begun = Instant::now();
    rig.open_since(&container.id, "1970-01-01T00:00:00Z");
    rig.until("everything followed", |state| texts_end(state) == "done");
    println!(
        "50,001 lines of 98 bytes: docker logs {theirs:?}, midwatch {:?}",
        begun.elapsed()
    );
    assert!(rig.state.buffer().cost() <= 8 * 1024 * 1024);
}
