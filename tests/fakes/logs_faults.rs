//! The log service over what a real engine will not do on demand, and over the simulated host.

use std::sync::Arc;

use ::fake_engine::{Boxed, FakeEngine, Fault, LogKind, Script, id_of};
use midwatch::demo::DemoHost;
use midwatch::engine::endpoint::Endpoint;
use midwatch::engine::transport::{Address, Transport};
use midwatch::logs::LogStatus;
use midwatch::model::{ContainerState, Stamp};

use crate::logs_rig::{Rig, texts};

struct Fake {
    engine: FakeEngine,
    rig: Rig,
    id: String,
    _folder: tempfile::TempDir,
}

fn fake(log: LogKind) -> Fake {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let script = Arc::new(Script::with_containers(0));
    let id = id_of(1);
    script.add(Boxed {
        id: id.clone(),
        name: "one".into(),
        image: "busybox".into(),
        state: "running".into(),
        pid: 4_000_000,
        log,
        ..Boxed::default()
    });
    let engine = FakeEngine::unix(&path, script).unwrap();
    Fake {
        rig: Rig::new(Address::Unix(path), "/nowhere"),
        engine,
        id,
        _folder: folder,
    }
}

fn numbered(count: usize) -> LogKind {
    LogKind::Lines((0..count).map(|n| format!("line {n}")).collect())
}

#[test]
fn a_log_cut_in_the_middle_of_a_frame_goes_on_without_gap_or_double() {
    let mut f = fake(numbered(1000));
    // In the middle of some frame's payload, header, time.
    for cut in [5003, 12_001, 20_000] {
        f.engine.faults().plan("/logs", Fault::Cut(cut), Some(1));
    }
    f.rig.open(&[&f.id]);
    f.rig.until("all lines", |state| {
        texts(state).last().is_some_and(|line| line == "line 999")
    });
    let held = texts(&f.rig.state);
    assert_eq!(held.len(), 1000);
    assert!(
        held.iter()
            .enumerate()
            .all(|(n, line)| *line == format!("line {n}"))
    );
}

#[test]
fn an_engine_that_is_away_is_said_and_comes_back() {
    let mut f = fake(numbered(3));
    f.engine.faults().plan("/json", Fault::Reset, Some(3));
    f.rig.open(&[&f.id]);
    f.rig.until("lost", |state| {
        matches!(state.status(0), Some(LogStatus::Lost(_)))
    });
    f.rig.until("back", |state| texts(state).len() == 3);
}

#[test]
fn a_frame_that_lies_about_its_length_costs_nothing() {
    let mut f = fake(numbered(3));
    f.engine.faults().plan("/logs", Fault::LyingFrame, Some(1));
    f.rig.open(&[&f.id]);
    f.rig.until("something", |state| {
        !state.buffer().is_empty() || state.live().is_some()
    });
    assert!(f.rig.state.buffer().cost() < 100_000);
}

#[test]
fn a_flood_is_bounded_whether_it_is_taken_or_not() {
    let mut f = fake(LogKind::Flood {
        per_second: 200_000,
        bytes: 100,
    });
    f.rig.open(&[&f.id]);
    f.rig
        .until("a full buffer", |state| state.buffer().evicted() > 50_000);
    assert!(f.rig.state.buffer().cost() <= 8 * 1024 * 1024);
    // Nobody takes anything until the lane has overflowed.
    let begun = std::time::Instant::now();
    while f.rig.lane.bytes() < 3_900_000 {
        assert!(begun.elapsed() < crate::logs_rig::DEADLINE);
        std::thread::yield_now();
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(f.rig.lane.bytes() <= 4 * 1024 * 1024 + 128);
    f.rig.until("the drop is told", |state| {
        state
            .header()
            .iter()
            .any(|part| part.text.ends_with("dropped"))
    });
}

#[test]
fn a_line_that_never_ends_is_cut_and_bounded() {
    let mut f = fake(LogKind::Endless(20_000_000));
    f.rig.open(&[&f.id]);
    f.rig
        .until("8 MiB of it", |state| state.buffer().evicted() > 100);
    assert!(f.rig.state.buffer().cost() <= 8 * 1024 * 1024);
    assert!(
        texts(&f.rig.state)
            .iter()
            .all(|line| line.len() <= 16 * 1024)
    );
}

#[test]
fn the_simulated_hosts_bar_moves() {
    let host = DemoHost::new(7, Stamp::now());
    let running: Vec<String> = host
        .containers(Stamp::now())
        .into_iter()
        .filter(|container| container.state == ContainerState::Running)
        .map(|container| container.key.id.to_string())
        .collect();
    let transport = Transport::to(&Endpoint::simulated(host)).unwrap();
    let mut rig = Rig::over(transport, "/nowhere");
    let moved = running.iter().any(|id| {
        rig.open(&[id]);
        rig.until("its lines", |state| !state.buffer().is_empty());
        let begun = std::time::Instant::now();
        while rig.state.live().is_none() && begun.elapsed() < std::time::Duration::from_secs(3) {
            rig.waker.wait(Some(std::time::Duration::from_millis(50)));
            rig.pump();
        }
        rig.state.live().is_some()
    });
    assert!(moved, "no container of the simulated host shows a live bar");
}
