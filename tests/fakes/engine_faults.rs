//! What a real engine does not do on demand: cut, hang, talk nonsense, refuse, lag behind, be very big.

use std::time::{Duration, Instant};

use midwatch::demo::DemoHost;
use midwatch::engine::endpoint::Env;
use midwatch::model::{ContainerState, EngineNews, EventKind, Problem};

use crate::engine_rig::{Rig, key};
use crate::fake_engine::{DemoSocket, FakeEngine, Fault, Script, id_of};

fn down(news: &EngineNews) -> Option<Problem> {
    match news {
        EngineNews::Down(problem) => Some(problem.clone()),
        _ => None,
    }
}

fn serve(count: u64) -> (tempfile::TempDir, Script, FakeEngine, Rig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.sock");
    let script = Script::with_containers(count);
    let engine = FakeEngine::unix(&path, script.clone()).unwrap();
    let rig = Rig::unix(&path);
    (folder, script, engine, rig)
}

/// Each fault of the list is a visible state with a reason, never an empty list, and ends when its cause ends.
#[test]
fn a_list_that_goes_wrong_is_told_and_recovers() {
    let cases: [(Fault, &str); 8] = [
        (Fault::Cut(40), "connection lost"),
        (Fault::Cut(0), "connection lost"),
        (Fault::Reset, "connection lost"),
        (Fault::Nonsense, "unexpected answer"),
        (
            Fault::WrongBody(b"[{\"Id\":".to_vec()),
            "unexpected answer: not the JSON",
        ),
        (
            Fault::WrongBody(b"{}".to_vec()),
            "unexpected answer: the answer is not a list",
        ),
        (
            Fault::Status(500, "on fire \u{1b}[31m".into()),
            "it answered 500: on fire",
        ),
        (
            Fault::Status(
                400,
                "client version 1.53 is too new. Maximum supported API version is 1.43".into(),
            ),
            "it answered 400: client version 1.53 is too new. Maximum supported API version is 1.43",
        ),
    ];
    for (fault, why) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.sock");
        let engine = FakeEngine::unix(&path, Script::with_containers(3)).unwrap();
        engine
            .faults()
            .plan("/containers/json", fault.clone(), None);
        let mut rig = Rig::unix(&path);
        let (problem, _) = rig.wait("down", down);
        assert!(problem.why.contains(why), "{fault:?}: {problem}");
        assert!(!problem.to_string().contains('\u{1b}'), "{problem}");
        engine.faults().clear();
        assert_eq!(rig.listed().len(), 3, "{fault:?}");
        assert!(!rig.told_nothing_is_there());
    }
}

#[test]
fn an_engine_that_hangs_is_told_within_its_limit() {
    for fault in [Fault::HangHead, Fault::HangBody(20)] {
        let (_folder, _script, engine, mut rig) = serve(2);
        rig.listed();
        // Until it is told: a count could be used up by a row that is asked for on the side.
        engine
            .faults()
            .plan("/containers/json", fault.clone(), None);
        engine.cut_all();
        let (problem, took) = rig.wait("down", down);
        engine.faults().clear();
        println!("{fault:?}: told after {took:?}: {problem}");
        assert!(problem.why.contains("took longer than"), "{problem}");
        assert_eq!(rig.listed().len(), 2);
    }
}

#[test]
fn a_broken_event_stream_of_a_living_engine_is_mended_without_a_word_of_doom() {
    let (_folder, script, engine, mut rig) = serve(2);
    rig.listed();
    rig.inspected(key(&id_of(0)));
    engine.cut_all();
    rig.listed();
    script.change(&id_of(1), |c| c.state = "paused".into());
    script.tell(&id_of(1), "pause", &[]);
    // By the event, or by the list that was asked for after the stream was open again.
    rig.wait("paused row", |n| {
        let paused = |r: &midwatch::model::Container| {
            r.key == key(&id_of(1)) && r.state == ContainerState::Paused
        };
        match n {
            EngineNews::Changed(row) if paused(row) => Some(()),
            EngineNews::Listed(rows) if rows.iter().any(paused) => Some(()),
            _ => None,
        }
    });
    assert!(
        !rig.seen.iter().any(|n| down(n).is_some()),
        "{:?}",
        rig.seen
    );
    // Nonsense in the stream is a broken stream.
    engine
        .faults()
        .plan("/events", Fault::WrongBody(b"<html>".to_vec()), Some(1));
    engine.cut_all();
    rig.listed();
    rig.listed();
}

/// dockerd tells `die` before its list knows of it.
#[test]
fn a_list_that_lags_behind_the_event_does_not_win() {
    let (_folder, script, engine, mut rig) = serve(1);
    rig.listed();
    let id = id_of(0);
    rig.inspected(key(&id));
    // The list goes on saying "running" while the events and inspect say otherwise.
    let stale =
        format!(r#"[{{"Id":"{id}","Names":["/c0"],"State":"running","Status":"Up 1 second"}}]"#);
    engine.faults().plan(
        "/containers/json?all=1&filters",
        Fault::WrongBody(stale.into_bytes()),
        Some(3),
    );
    script.change(&id, |c| {
        c.state = "exited".into();
        c.exit_code = 3;
    });
    script.tell(&id, "die", &[("exitCode", "3")]);
    rig.row("exited row", key(&id), |r| {
        r.state == ContainerState::Exited
    });
    // The truth of the list, with its own words, at last.
    rig.wait("settled", |_| {
        let asked = engine
            .seen()
            .iter()
            .filter(|s| s.contains("json?all=1&filters"))
            .count();
        (asked >= 4).then_some(())
    });
    let (_, changed): (Vec<_>, Vec<_>) = rig
        .seen
        .iter()
        .partition(|n| !matches!(n, EngineNews::Changed(_)));
    let last = changed.last().unwrap();
    assert!(
        matches!(last, EngineNews::Changed(r) if r.state == ContainerState::Exited),
        "{changed:?}"
    );
    assert!(
        !changed
            .iter()
            .any(|n| matches!(n, EngineNews::Changed(r) if r.state == ContainerState::Running)),
        "{changed:?}"
    );
}

#[test]
fn the_first_request_is_the_list_and_no_id_is_asked_about_twice_at_a_time() {
    let (_folder, _script, engine, mut rig) = serve(40);
    rig.listed();
    for n in 0..40 {
        let key = key(&id_of(n));
        if !rig
            .seen
            .iter()
            .any(|s| matches!(s, EngineNews::Inspected(k, _) if *k == key))
        {
            rig.inspected(key);
        }
    }
    let seen = engine.seen();
    assert!(seen[0].contains("/containers/json"), "{:?}", &seen[..4]);
    let inspections = seen
        .iter()
        .filter(|s| s.contains("/json") && s.contains(&id_of(0)[..12]))
        .count();
    // Once more where the engine tells no time and is listed again when its events flow.
    assert!((1..=2).contains(&inspections), "{inspections}");
    println!(
        "{} connections for {} requests",
        engine.connections(),
        seen.len()
    );
    assert!(engine.connections() <= 8, "{}", engine.connections());
}

#[test]
fn five_thousand_containers_in_bounded_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.sock");
    let engine = FakeEngine::unix(&path, Script::with_containers(5_000)).unwrap();
    let before = resident();
    let begun = Instant::now();
    let mut rig = Rig::unix(&path);
    let rows = rig.listed();
    println!(
        "5,000 rows after {:?} (debug build, the fake engine's share included)",
        begun.elapsed()
    );
    assert_eq!(rows.len(), 5_000);
    drop(rows);
    println!(
        "resident memory grew by {} kB with the news kept by the test",
        resident() - before
    );
    // Events still come through while thousands of inspections wait.
    let begun = Instant::now();
    engine.faults().clear();
    rig.inspected(key(&id_of(4_999)));
    println!("all inspected after {:?}", begun.elapsed());
}

fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_simulated_host_is_an_engine_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.sock");
    let socket = DemoSocket::start(&path, DemoHost::new(7, midwatch::model::Stamp::now()));
    let mut rig = Rig::asking(Some(socket.endpoint()), Env::of(&[], folder.path()));
    let rows = rig.listed();
    assert!(!rows.is_empty());
    let live = rows
        .iter()
        .find(|r| r.state == ContainerState::Running)
        .unwrap()
        .key;
    assert!(rig.inspected(live).started_at.is_some());
    rig.handle.fetch_images();
    rig.wait("images", |n| {
        matches!(n, EngineNews::Images(i) if !i.is_empty()).then_some(())
    });
    rig.handle.set_visible(vec![live]);
    rig.handle.set_stats_from_engine(true);
    while rig.usage().entries.iter().all(|u| u.cpu_percent.is_none()) {}
    let engine = rig.handle.engine().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // Calls from another runtime than the source's own: a connection of this one serves them.
        runtime.block_on(async move {
            let kill = midwatch::model::ContainerCommand::Kill {
                signal: midwatch::model::Signal("KILL"),
            };
            let _ = tokio::time::timeout(Duration::from_secs(20), engine.act(live, &kill)).await;
        });
    })
    .join()
    .unwrap();
    rig.wait("die", |n| matches!(n, EngineNews::Event(e) if e.container == Some(live) && matches!(e.kind, EventKind::Die(_))).then_some(()));
}
