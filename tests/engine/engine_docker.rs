//! List, inspect, grants, actions, statistics and events against a real engine.

use std::path::Path;
use std::time::{Duration, Instant};

use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Docker, Engine, EngineError};
use midwatch::model::{ContainerCommand, ContainerState, EngineNews, EventKind, HostId, Signal};

use crate::engine_rig::{Made, Rig, docker, socket, try_docker};

fn engine(socket: &str) -> Engine {
    Engine::Docker(Docker::new(
        Transport::new(Address::Unix(socket.into())),
        HostId(0),
    ))
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The ways of asking for a GPU that this engine accepts; CDI is refused by 20.10 and comes with its own
/// captured answers in the unit tests.
#[test]
fn grants_of_every_way_the_engine_accepts() {
    let Some(socket) = socket() else { return };
    let mut made = Made::on(&socket);
    let cases: [(&str, &[&str], Option<&str>); 9] = [
        ("engine-g-all", &["--gpus", "all"], Some("all")),
        (
            "engine-g-ids",
            &["--gpus", "\"device=0,1\""],
            Some("device=0,1"),
        ),
        ("engine-g-count", &["--gpus", "2"], Some("count=2")),
        (
            "engine-g-caps",
            &["--gpus", "\"capabilities=utility\",\"device=0\""],
            Some("device=0"),
        ),
        ("engine-g-privileged", &["--privileged"], Some("privileged")),
        ("engine-g-env", &["-e", "NVIDIA_VISIBLE_DEVICES=all"], None),
        ("engine-g-none", &[], None),
        (
            "engine-g-shm",
            &[
                "--shm-size",
                "1g",
                "--memory",
                "64m",
                "--tty",
                "--log-driver",
                "none",
            ],
            None,
        ),
        (
            "engine-g-label",
            &[
                "--label",
                "com.docker.compose.project=shop",
                "--label",
                "com.docker.compose.service=web",
            ],
            None,
        ),
    ];
    let keys: Vec<_> = cases
        .iter()
        .map(|(name, flags, _)| made.make("create", name, flags, &["true"]))
        .collect();
    let engine = engine(&socket);
    block(async {
        let rows = engine.list().await.unwrap();
        for ((name, _, want), key) in cases.iter().zip(&keys) {
            let detail = engine.inspect(*key).await.unwrap();
            assert_eq!(
                detail.grant.map(|g| g.to_string()).as_deref(),
                *want,
                "{name}"
            );
            let row = rows.iter().find(|r| r.key == *key).unwrap();
            assert_eq!(
                (row.name.as_str(), row.state),
                (*name, ContainerState::Created)
            );
            assert_eq!(row.image, "midwatch-test:busybox");
            match *name {
                "engine-g-shm" => {
                    assert_eq!(detail.shm_size_bytes, Some(1 << 30));
                    assert_eq!(detail.memory_limit_bytes, Some(64 << 20));
                    assert!(detail.tty);
                    assert_eq!(detail.log_driver.as_deref(), Some("none"));
                }
                "engine-g-env" => assert_eq!(detail.visible_devices_env.as_deref(), Some("all")),
                "engine-g-label" => {
                    let compose = row.compose.as_ref().unwrap();
                    assert_eq!(
                        (compose.project.as_str(), compose.service.as_str()),
                        ("shop", "web")
                    );
                }
                _ => {}
            }
            let json = engine.inspect_json(*key).await.unwrap();
            assert_eq!(json["Id"], key.id.to_string());
        }
        let images = engine.images().await.unwrap();
        let image = images
            .iter()
            .find(|i| i.tags.iter().any(|t| t == "midwatch-test:busybox"))
            .unwrap();
        assert!(image.size_bytes.unwrap() > 500_000);
        let json = engine.inspect_image_json(&image.id).await.unwrap();
        assert_eq!(json["Id"], *image.id.0);
    });
}

#[test]
fn every_action_does_what_it_says_and_refusals_carry_the_daemons_words() {
    use ContainerCommand as C;
    let Some(socket) = socket() else { return };
    let mut made = Made::on(&socket);
    let key = made.make(
        "create",
        "engine-act",
        &["-v", "/anonymous"],
        &["sleep", "1000"],
    );
    let engine = engine(&socket);
    block(async {
        let state = async || {
            let rows = engine.list().await.unwrap();
            rows.into_iter().find(|r| r.key == key).map(|r| r.state)
        };
        let act = async |command: C| engine.act(key, &command).await;
        act(C::Start).await.unwrap();
        assert_eq!(state().await, Some(ContainerState::Running));
        // Started already: the engine says 304, and nothing is wrong.
        act(C::Start).await.unwrap();
        act(C::Pause).await.unwrap();
        assert_eq!(state().await, Some(ContainerState::Paused));
        let refused = act(C::Pause).await.unwrap_err();
        assert!(refused.to_string().contains("already paused"), "{refused}");
        act(C::Unpause).await.unwrap();
        assert_eq!(state().await, Some(ContainerState::Running));
        act(C::Kill {
            signal: Signal("USR1"),
        })
        .await
        .unwrap();
        let running = engine.inspect(key).await.unwrap();
        act(C::Restart {
            grace: Some(Duration::ZERO),
        })
        .await
        .unwrap();
        assert_ne!(
            engine.inspect(key).await.unwrap().started_at,
            running.started_at
        );
        act(C::Rename {
            to: "engine-act-renamed".into(),
        })
        .await
        .unwrap();
        let refused = act(C::Rename {
            to: "not a name!".into(),
        })
        .await
        .unwrap_err();
        assert!(
            refused.to_string().contains("Invalid container name"),
            "{refused}"
        );
        let refused = act(C::Remove {
            force: false,
            volumes: false,
        })
        .await
        .unwrap_err();
        assert!(
            matches!(refused, EngineError::Status { code: 409, .. }),
            "{refused:?}"
        );
        assert!(
            refused.to_string().contains("running container"),
            "{refused}"
        );
        let begun = Instant::now();
        act(C::Stop {
            grace: Some(Duration::from_secs(1)),
        })
        .await
        .unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(state().await, Some(ContainerState::Exited));
        assert_eq!(engine.inspect(key).await.unwrap().exit_code, Some(137));
        act(C::Remove {
            force: true,
            volumes: true,
        })
        .await
        .unwrap();
        assert_eq!(state().await, None);
        let gone = act(C::Start).await.unwrap_err();
        assert!(
            gone.is_not_found() && gone.to_string().contains("No such container"),
            "{gone}"
        );
    });
}

#[test]
fn what_happens_outside_shows_at_once() {
    let Some(socket) = socket() else { return };
    let mut made = Made::on(&socket);
    let mut rig = Rig::unix(Path::new(&socket));
    rig.listed();
    let anchor = made.make("run", "engine-ev-anchor", &[], &["sleep", "1000"]);
    rig.inspected(anchor);
    let limit = Duration::from_millis(250);
    let mut told = Vec::new();
    // The engine's own clock on the event, against ours at the news: both run on this machine.
    let mut latency = |rig: &mut Rig, what: &'static str, kind: &dyn Fn(&EventKind) -> bool| {
        let news = rig.seen.iter().rev().find_map(|n| match n {
            EngineNews::Event(e) if kind(&e.kind) => Some(e.time),
            _ => None,
        });
        let took = news.map(|time| jiff::Timestamp::now().duration_since(time));
        told.push((what, took));
    };

    let key = made.make("create", "engine-ev", &[], &["sleep", "1000"]);
    rig.row("created row", key, |r| r.state == ContainerState::Created);
    latency(&mut rig, "create", &|k| *k == EventKind::Create);
    docker(&socket, &["start", "engine-ev"]);
    rig.row("running row", key, |r| r.state == ContainerState::Running);
    rig.inspected(key);
    docker(&socket, &["pause", "engine-ev"]);
    rig.row("paused row", key, |r| r.state == ContainerState::Paused);
    docker(&socket, &["unpause", "engine-ev"]);
    rig.row("running row", key, |r| r.state == ContainerState::Running);
    docker(&socket, &["rename", "engine-ev", "engine-ev2"]);
    rig.row("renamed row", key, |r| r.name == "engine-ev2");
    docker(&socket, &["exec", "engine-ev2", "true"]);
    // From the signal on, against our own clock: death, its exit code, and removal.
    let begun = Instant::now();
    docker(&socket, &["kill", "engine-ev2"]);
    let (row, _) = rig.row("exited row", key, |r| r.state == ContainerState::Exited);
    println!(
        "kill to exited row: {:?} (docker kill itself included)",
        begun.elapsed()
    );
    assert_eq!(row.exit_code(), Some(137));
    rig.wait("exit code", |n| match n {
        EngineNews::Inspected(k, d) if *k == key && d.exit_code == Some(137) => Some(()),
        _ => None,
    });
    docker(&socket, &["rm", "engine-ev2"]);
    rig.wait("removal", |n| {
        matches!(n, EngineNews::Removed(k) if *k == key).then_some(())
    });
    latency(&mut rig, "destroy", &|k| *k == EventKind::Destroy);
    for (what, took) in told {
        let took = took.unwrap_or_else(|| panic!("no {what} event"));
        println!("{what}: event to row {took:#}");
        assert!(
            took < jiff::SignedDuration::try_from(limit).unwrap(),
            "{what}: {took:#}"
        );
    }
    // Other tests' containers may have the word in their commands: what counts is what happened.
    let noise = rig.seen.iter().any(|n| match n {
        EngineNews::Event(event) => format!("{:?}", event.kind).contains("exec"),
        _ => false,
    });
    assert!(!noise, "exec events were not filtered out");
}

/// Starts `docker` and measures from the moment at which the engine itself says that it happened.
#[test]
fn start_and_die_reach_the_row_within_the_limit() {
    let Some(socket) = socket() else { return };
    let mut made = Made::on(&socket);
    let mut rig = Rig::unix(Path::new(&socket));
    rig.listed();
    let mut worst = Duration::ZERO;
    for n in 0..5 {
        let name = format!("engine-lat-{n}");
        let key = made.make("create", &name, &[], &["true"]);
        rig.row("created row", key, |r| r.state == ContainerState::Created);
        let child = std::thread::spawn({
            let socket = socket.clone();
            move || docker(&socket, &["start", &name])
        });
        let (row, _) = rig.row("exited row", key, |r| r.state == ContainerState::Exited);
        let now = jiff::Timestamp::now();
        child.join().unwrap();
        assert_eq!(row.exit_code(), Some(0));
        let died = rig.seen.iter().find_map(|n| match n {
            EngineNews::Event(e)
                if e.container == Some(key) && matches!(e.kind, EventKind::Die(_)) =>
            {
                Some(e.time)
            }
            _ => None,
        });
        // The row comes before its event in the same batch; wait for the event where it does not.
        let died = died.unwrap_or_else(|| {
            rig.wait("die event", |n| match n {
                EngineNews::Event(e)
                    if e.container == Some(key) && matches!(e.kind, EventKind::Die(_)) =>
                {
                    Some(e.time)
                }
                _ => None,
            })
            .0
        });
        worst = worst.max(now.duration_since(died).unsigned_abs());
    }
    println!("die event to row, worst of 5: {worst:?}");
    assert!(worst < Duration::from_millis(250), "{worst:?}");
}

#[test]
fn one_shot_statistics_agree_with_docker_stats() {
    let Some(socket) = socket() else { return };
    let mut made = Made::on(&socket);
    let busy = made.make(
        "run",
        "engine-stats",
        &["--cpus", "0.2", "--memory", "256m"],
        &["sh", "-c", "while true; do true; done"],
    );
    let idle = made.make("create", "engine-stats-idle", &[], &["true"]);
    let mut rig = Rig::unix(Path::new(&socket));
    rig.listed();
    rig.handle.set_visible(vec![busy, idle]);
    rig.handle.set_stats_from_engine(true);
    let mut cpu = Vec::new();
    let usage = loop {
        let round = rig.usage();
        assert!(
            (1000..=10_000).contains(&round.interval_ms),
            "{}",
            round.interval_ms
        );
        assert!(
            round.entries.iter().all(|u| u.key == busy),
            "a stopped container has no usage"
        );
        let usage = round.entries.into_iter().next().unwrap();
        cpu.extend(usage.cpu_percent);
        if cpu.len() >= 4 {
            break usage;
        }
    };
    let mean = cpu.iter().sum::<f64>() / cpu.len() as f64;
    println!("cpu: {cpu:.1?}, mean {mean:.2} % of one core (limit 20)");
    // A loaded machine gives it less than its share, never more.
    assert!((8.0..=23.0).contains(&mean), "{cpu:?}");
    assert_eq!(usage.memory_limit_bytes, Some(256 << 20));
    assert!(
        usage
            .memory_used_bytes
            .is_some_and(|n| n > 0 && n < 64 << 20),
        "{usage:?}"
    );
    assert!(usage.pids.is_some_and(|n| n >= 1));
    let stats = docker(
        &socket,
        &[
            "stats",
            "--no-stream",
            "--format",
            "{{.CPUPerc}} {{.MemUsage}}",
            "engine-stats",
        ],
    );
    println!(
        "docker stats: {stats}; ours: {:?} bytes",
        usage.memory_used_bytes
    );
    let theirs: f64 = stats.split('%').next().unwrap().trim().parse().unwrap();
    assert!(
        (theirs - mean).abs() <= 3.0,
        "docker stats {theirs}, ours {mean}"
    );
    rig.handle.set_stats_from_engine(false);
}

#[test]
fn a_burst_becomes_few_requests_and_ends_true() {
    let Some(socket) = socket() else { return };
    let mut rig = Rig::unix(Path::new(&socket));
    rig.listed();
    let mut made = Made::on(&socket);
    let keys: Vec<_> = (0..10)
        .map(|n| made.make("run", &format!("engine-burst-{n}"), &[], &["sleep", "1000"]))
        .collect();
    for key in &keys {
        rig.handle.engine().unwrap();
        let known = rig
            .seen
            .iter()
            .any(|n| matches!(n, EngineNews::Inspected(k, d) if k == key && d.pid.is_some()));
        if !known {
            rig.wait("pid", |n| {
                matches!(n, EngineNews::Inspected(k, d) if k == key && d.pid.is_some())
                    .then_some(())
            });
        }
    }
    let mut args = vec!["rm".to_owned(), "-f".to_owned()];
    args.extend((0..10).map(|n| format!("engine-burst-{n}")));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (ok, text) = try_docker(&socket, &args);
    assert!(ok, "{text}");
    for key in &keys {
        let gone = rig
            .seen
            .iter()
            .any(|n| matches!(n, EngineNews::Removed(k) if k == key));
        if !gone {
            rig.wait("removal", |n| {
                matches!(n, EngineNews::Removed(k) if k == key).then_some(())
            });
        }
    }
    let changes = rig
        .seen
        .iter()
        .filter(|n| matches!(n, EngineNews::Changed(_)))
        .count();
    println!("10 containers run and removed: {changes} row changes told");
}
