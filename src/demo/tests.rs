//! A night in fast time: the same for the same seed, bounded, and with the consequences of what users do.

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::model::{CgroupOwner, ContainerState, GpuState, HealthState};

fn start() -> Stamp {
    let wall: Timestamp = "2026-11-23T02:41:00Z".parse().unwrap();
    Stamp {
        mono: Duration::from_secs(100),
        wall,
    }
}

fn after(ms: u64) -> Stamp {
    let start = start();
    Stamp {
        mono: start.mono + Duration::from_millis(ms),
        wall: start.wall + Duration::from_millis(ms),
    }
}

fn host() -> DemoHost {
    DemoHost::new(7, start())
}

fn key(host: &DemoHost, name: &str) -> ContainerKey {
    host.find(name, start()).unwrap()
}

fn row(host: &DemoHost, key: ContainerKey, now: Stamp) -> Container {
    host.containers(now)
        .into_iter()
        .find(|c| c.key == key)
        .unwrap()
}

fn kinds(host: &DemoHost, key: ContainerKey, now: Stamp) -> Vec<EventKind> {
    host.recent_events(now)
        .into_iter()
        .filter(|e| e.container == key)
        .map(|e| e.kind)
        .collect()
}

fn code(word: &str) -> EventKind {
    EventKind::Kill(Some(word.into()))
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[test]
fn the_picture_of_the_night() {
    let host = host();
    let now = start();
    let by_name = |name| row(&host, key(&host, name), now);
    assert_eq!(by_name("llama-sft").status, "Up 9 hours");
    assert_eq!(by_name("eval-7b").status, "Exited (137) 32 minutes ago");
    assert_eq!(by_name("notebook").status, "Up 2 days (healthy)");
    assert_eq!(by_name("serve-x").status, "Exited (1) About an hour ago");
    let eval = host.detail(key(&host, "eval-7b"), now).unwrap();
    assert_eq!(eval.oom_killed, Some(true));
    assert_eq!(eval.exit_code, Some(137));
    assert_eq!(eval.grant.unwrap().to_string(), "device=3");

    let gpus = host.gpus(now);
    let busy: Vec<_> = gpus.gpus.iter().map(|g| g.gpu_percent).collect();
    assert!(busy[0] > Some(80) && busy[1] > Some(80), "{busy:?}");
    assert_eq!(busy[2..], [Some(0), None]);
    let used: Vec<_> = gpus
        .gpus
        .iter()
        .map(|g| g.memory.map(|m| gib(m.used_bytes)))
        .collect();
    assert!((60.0..62.0).contains(&used[0].unwrap()), "{used:?}");
    assert!((60.0..62.0).contains(&used[1].unwrap()), "{used:?}");
    assert!((0.5..0.7).contains(&used[2].unwrap()), "{used:?}");
    assert_eq!(used[3], None);
    let watts = gpus.gpus[0].power_watts.unwrap();
    assert!((570.0..660.0).contains(&watts), "{watts}");
    let heat = gpus.gpus[0].temperature_celsius.unwrap();
    assert!((66..76).contains(&heat), "{heat}");
    assert!(matches!(&gpus.gpus[3].state, GpuState::Lost(_)));
    let xid = host.xids().into_iter().find(|x| x.xid == Some(79)).unwrap();
    assert_eq!(xid.time.to_string(), "2026-11-23T01:58:00Z");
    assert!(crate::model::same_pci_address(
        xid.pci_bus_id.strip_prefix("PCI:").unwrap(),
        &gpus.gpus[3].pci_bus_id
    ));

    let procs = host.procs(now);
    let users: Vec<_> = procs
        .processes
        .iter()
        .map(|p| p.user.as_deref().unwrap())
        .collect();
    assert_eq!(users.iter().filter(|u| **u == "alice").count(), 2);
    assert!(users.contains(&"bob") && users.contains(&"root"));
    assert!(procs.processes.iter().any(|p| p.owner == CgroupOwner::Host));
    // Every GPU process is in procfs, and the memory of each card covers its processes.
    for gpu in &gpus.gpus {
        let held: u64 = gpus
            .processes
            .iter()
            .filter(|p| p.gpu == gpu.key)
            .map(|p| p.memory_used_bytes.unwrap())
            .sum();
        assert!(gpu.memory.is_none_or(|m| m.used_bytes >= held));
    }
    assert!(gpus.processes.iter().all(|p| procs.get(p.pid).is_some()));

    let usage = host.usage(now);
    let sft = usage
        .entries
        .iter()
        .find(|u| u.key == key(&host, "llama-sft"))
        .unwrap();
    let cpu = sft.cpu_percent.unwrap();
    assert!((380.0..450.0).contains(&cpu), "{cpu}");
    assert!((85.0..92.0).contains(&gib(sft.memory_used_bytes.unwrap())));
    assert!(host.info().simulated);
    assert!(
        host.images(now)
            .iter()
            .any(|i| i.tags[0].contains("cuda:13"))
    );
}

#[test]
fn the_same_seed_and_times_give_the_same_night() {
    let (a, b, other) = (host(), host(), DemoHost::new(8, start()));
    for second in 0..600 {
        // One of the two is asked far more often: what is seen must not depend on it.
        a.gpus(after(second * 1000));
        a.advance(after(second * 1000 + 500));
    }
    let now = after(600_000);
    assert_eq!(a.gpus(now), b.gpus(now));
    assert_eq!(a.usage(now), b.usage(now));
    assert_eq!(a.procs(now), b.procs(now));
    assert_eq!(a.containers(now), b.containers(now));
    assert_eq!(a.list_json(now), b.list_json(now));
    let (sft, sft_b) = (key(&a, "llama-sft"), key(&b, "llama-sft"));
    assert_eq!(
        a.log(sft, &LogQuery::default(), now),
        b.log(sft_b, &LogQuery::default(), now)
    );
    assert_ne!(
        a.gpus(now).gpus[0].power_watts,
        other.gpus(now).gpus[0].power_watts
    );
    // And it moves.
    assert_ne!(
        a.gpus(now).gpus[0].power_watts,
        a.gpus(after(601_000)).gpus[0].power_watts
    );
}

#[test]
fn twelve_hours_pass_without_growth() {
    let host = host();
    let (mut evals, mut saves, mut energy) = (0, 0, 0.0);
    let mut written = 0;
    for second in 0..12 * 3600 {
        let now = after(second * 1000);
        let gpus = host.gpus(now);
        let card = &gpus.gpus[0];
        let watts = card.power_watts.unwrap();
        assert!((60.0..700.0).contains(&watts));
        evals += u32::from((300.0..540.0).contains(&watts));
        saves += u32::from((100.0..160.0).contains(&watts));
        assert!(card.energy_joules.unwrap() >= energy);
        energy = card.energy_joules.unwrap();
        if second % 7 == 0 {
            let usage = host.usage(now);
            let sft = &usage.entries.iter().find(|u| u.pids == Some(287)).unwrap();
            assert!(sft.block_write_bytes.unwrap() >= written);
            written = sft.block_write_bytes.unwrap();
            host.containers(now);
            host.report(now);
        }
    }
    // 22 cycles of two evaluations (24 s) and a checkpoint (31 s).
    assert!((900..1200).contains(&evals), "{evals}");
    assert!((600..760).contains(&saves), "{saves}");
    let end = after(12 * 3_600_000);
    assert!(host.recent_events(end).len() <= 512);
    let (guard, _) = host.at(end);
    assert!(guard.world.members.values().all(|m| m.runs.len() <= 6));
    assert!(guard.world.fresh.is_empty());
}

#[test]
fn counters_only_grow() {
    let host = host();
    let mut last = host.usage(start());
    for tenth in 1..2_000 {
        let now = host.usage(after(tenth * 100));
        for (old, new) in last.entries.iter().zip(&now.entries) {
            if old.key == new.key && new.pids != Some(3) {
                assert!(new.network_rx_bytes >= old.network_rx_bytes);
                assert!(new.network_tx_bytes >= old.network_tx_bytes);
                assert!(new.block_write_bytes >= old.block_write_bytes);
                assert!(new.block_read_bytes >= old.block_read_bytes);
            }
        }
        last = now;
    }
}

#[test]
fn a_trainer_that_is_stopped_checkpoints_and_resumes_there() {
    let host = host();
    let sft = key(&host, "llama-sft");
    let stop = ContainerCommand::Stop {
        grace: Some(Duration::from_secs(30)),
    };
    assert_eq!(host.act(sft, &stop, after(0)), Ok(Acted::Stopping));
    assert!(host.is_stopping(sft, after(5_000)));
    assert!(host.gpus(after(5_000)).gpus[0].gpu_percent < Some(10));
    assert!(!host.is_stopping(sft, after(7_000)));
    let now = after(7_000);
    assert_eq!(host.detail(sft, now).unwrap().exit_code, Some(143));
    assert_eq!(
        kinds(&host, sft, now),
        [code("15"), EventKind::Die(Some(143)), EventKind::Stop]
    );
    let cards = host.gpus(now);
    assert!(cards.processes.iter().all(|p| p.gpu != cards.gpus[0].key));
    assert!(cards.gpus[0].memory.unwrap().used_bytes < 1 << 30);
    let log = host
        .log(
            sft,
            &LogQuery {
                tail: Some(3),
                ..Default::default()
            },
            now,
        )
        .unwrap();
    assert!(
        log.last()
            .unwrap()
            .text
            .starts_with("saved /runs/checkpoint-"),
        "{log:?}"
    );

    host.act(sft, &ContainerCommand::Start, after(8_000))
        .unwrap();
    assert_eq!(
        row(&host, sft, after(8_500)).status,
        "Up Less than a second"
    );
    let step = log
        .last()
        .unwrap()
        .text
        .split(['-', ' '])
        .nth(2)
        .unwrap()
        .to_owned();
    let log = host
        .log(sft, &LogQuery::default(), after(8_000 + 120_000))
        .unwrap();
    let resumed = format!("resuming from /runs/checkpoint-{step}\n");
    assert!(log.iter().any(|r| r.text == resumed), "{resumed}");
}

#[test]
fn a_grace_too_short_ends_in_sigkill() {
    let host = host();
    let sft = key(&host, "llama-sft");
    let stop = ContainerCommand::Stop {
        grace: Some(Duration::from_secs(2)),
    };
    host.act(sft, &stop, after(0)).unwrap();
    assert!(host.is_stopping(sft, after(1_900)));
    assert!(!host.is_stopping(sft, after(2_100)));
    let now = after(2_100);
    assert_eq!(host.detail(sft, now).unwrap().exit_code, Some(137));
    assert_eq!(
        kinds(&host, sft, now),
        [
            code("15"),
            code("9"),
            EventKind::Die(Some(137)),
            EventKind::Stop
        ]
    );
}

#[test]
fn restart_pause_rename_remove() {
    let host = host();
    let redis = key(&host, "platform-redis-1");
    let restart = ContainerCommand::Restart { grace: None };
    host.act(redis, &restart, after(0)).unwrap();
    assert!(!host.is_stopping(redis, after(1_000)));
    let now = after(1_000);
    assert_eq!(row(&host, redis, now).health, Some(HealthState::Starting));
    host.act(redis, &ContainerCommand::Pause, now).unwrap();
    assert_eq!(
        row(&host, redis, now).status,
        "Up Less than a second (Paused)"
    );
    assert_eq!(
        host.act(redis, &ContainerCommand::Pause, now)
            .unwrap_err()
            .status,
        409
    );
    let later = after(60_000);
    let used = host.usage(later);
    let entry = used.entries.iter().find(|u| u.key == redis).unwrap();
    assert_eq!(
        entry.cpu_percent, None,
        "frozen since before its first second"
    );
    let refused = host
        .act(
            redis,
            &ContainerCommand::Remove {
                force: false,
                volumes: false,
            },
            later,
        )
        .unwrap_err();
    assert!(refused.message.contains("container is paused"), "{refused}");
    host.act(redis, &ContainerCommand::Unpause, later).unwrap();
    let to = "notebook".to_owned();
    let conflict = host
        .act(redis, &ContainerCommand::Rename { to }, later)
        .unwrap_err();
    assert!(
        conflict
            .message
            .starts_with("Conflict. The container name \"/notebook\"")
    );
    let to = "cache".to_owned();
    host.act(redis, &ContainerCommand::Rename { to }, later)
        .unwrap();
    assert_eq!(row(&host, redis, later).name, "cache");
    let remove = ContainerCommand::Remove {
        force: true,
        volumes: true,
    };
    host.act(redis, &remove, later).unwrap();
    assert!(host.containers(later).iter().all(|c| c.key != redis));
    assert_eq!(
        kinds(&host, redis, later),
        [
            code("15"),
            EventKind::Die(Some(0)),
            EventKind::Stop,
            EventKind::Start,
            EventKind::Restart,
            EventKind::Pause,
            EventKind::Unpause,
            EventKind::Rename,
            code("9"),
            EventKind::Die(Some(137)),
            EventKind::Destroy,
        ]
    );
    assert_eq!(host.detail(redis, later).unwrap_err().status, 404);
}

#[test]
fn the_image_that_cannot_run_fails_again() {
    let host = host();
    let serve = key(&host, "serve-x");
    host.act(serve, &ContainerCommand::Start, after(0)).unwrap();
    assert_eq!(
        row(&host, serve, after(3_000)).state,
        ContainerState::Running
    );
    let now = after(8_000);
    assert_eq!(row(&host, serve, now).state, ContainerState::Exited);
    assert_eq!(host.detail(serve, now).unwrap().exit_code, Some(1));
    let log = host
        .log(
            serve,
            &LogQuery {
                tail: Some(1),
                ..Default::default()
            },
            now,
        )
        .unwrap();
    assert!(
        log[0]
            .text
            .contains("CUDA driver version is insufficient for CUDA runtime version")
    );
    // And the one whose GPU is lost is refused by the toolkit's hook.
    let eval = key(&host, "eval-7b");
    let refused = host.act(eval, &ContainerCommand::Start, now).unwrap_err();
    assert!(refused.message.contains("device error: 3: unknown device"));
    let detail = host.detail(eval, now).unwrap();
    assert_eq!(
        (detail.exit_code, detail.error.is_some()),
        (Some(128), true)
    );
}

fn process(host: &DemoHost, user: &str, nth: usize, now: Stamp) -> ProcKey {
    let procs = host.procs(now);
    let mut of_user = procs
        .processes
        .iter()
        .filter(|p| p.user.as_deref() == Some(user));
    of_user.nth(nth).unwrap().key.unwrap()
}

#[test]
fn killing_gpu_processes_has_consequences() {
    let host = host();
    let now = after(0);
    // The training's main process: the container dies of it.
    let sft = key(&host, "llama-sft");
    let rank_0 = process(&host, "alice", 0, now);
    host.signal_process(&rank_0, Signal("KILL"), now).unwrap();
    assert_eq!(host.detail(sft, now).unwrap().exit_code, Some(137));
    assert_eq!(
        kinds(&host, sft, now),
        [EventKind::Die(Some(137))],
        "the engine sent no signal"
    );
    assert_eq!(
        host.signal_process(&rank_0, Signal("KILL"), now)
            .unwrap_err()
            .status,
        404
    );
    // The notebook's kernel: the memory is free, the container goes on.
    let kernel = process(&host, "bob", 0, now);
    host.signal_process(&kernel, Signal("TERM"), now).unwrap();
    assert!(
        host.procs(now)
            .processes
            .iter()
            .all(|p| p.user.as_deref() != Some("bob"))
    );
    // The host's own check: systemd starts it again.
    let check = process(&host, "root", 0, now);
    host.signal_process(&check, Signal("KILL"), now).unwrap();
    assert!(host.procs(after(10_000)).processes.is_empty());
    assert!(host.is_live(key(&host, "notebook"), after(10_000)));
    assert_ne!(process(&host, "root", 0, after(31_000)).pid, check.pid);

    // A worker of the training: the main process ends with an error.
    let host = self::host();
    let sft = key(&host, "llama-sft");
    let rank_1 = process(&host, "alice", 1, now);
    host.signal_process(&rank_1, Signal("KILL"), now).unwrap();
    assert!(host.is_live(sft, after(1_000)));
    assert_eq!(host.detail(sft, after(3_000)).unwrap().exit_code, Some(1));
    // A stale key acts on nothing.
    let host = self::host();
    let mut stale = process(&host, "alice", 0, now);
    stale.start_ticks += 1;
    assert_eq!(
        host.signal_process(&stale, Signal("KILL"), now)
            .unwrap_err()
            .status,
        404
    );
}

#[test]
fn a_policy_restarts_what_died_by_itself() {
    let host = host();
    let redis = key(&host, "platform-redis-1");
    let (mut guard, t) = host.at(after(0));
    let doom = world::Doom {
        at: t,
        code: 139,
        cause: world::Cause::Exit,
        kill_at: None,
        stopping: false,
        restart: false,
    };
    guard.world.doom(redis, doom, false);
    drop(guard);
    assert_eq!(
        row(&host, redis, after(100)).state,
        ContainerState::Restarting
    );
    assert_eq!(
        row(&host, redis, after(2_000)).state,
        ContainerState::Running
    );
    assert_eq!(
        host.detail(redis, after(2_000)).unwrap().restart_count,
        Some(1)
    );
    // `docker kill` is the user's wish that it stay down.
    let kill = ContainerCommand::Kill {
        signal: Signal("KILL"),
    };
    host.act(redis, &kill, after(2_000)).unwrap();
    assert_eq!(
        row(&host, redis, after(60_000)).state,
        ContainerState::Exited
    );
}

#[test]
fn the_live_stream_joins_the_log() {
    let host = host();
    for name in ["llama-sft", "notebook", "platform-postgres-1"] {
        let key = key(&host, name);
        let all = host.log(key, &LogQuery::default(), after(600_000)).unwrap();
        assert!(!all.is_empty());
        assert!(all.iter().all(|r| r.text.ends_with('\n')));
        assert!(all.is_sorted_by_key(|r| r.time), "{name}");
        // What was written since the start, joined to lines, is what the log has since.
        for output in [Output::Stdout, Output::Stderr] {
            let mut live = String::new();
            for second in 0..600 {
                let (from, to) = (after(second * 1000), after(second * 1000 + 1000));
                let records = host.written(key, from, to).unwrap();
                live.extend(
                    records
                        .iter()
                        .filter(|r| r.output == output)
                        .map(|r| r.text.as_str()),
                );
            }
            let logged: String = all
                .iter()
                .filter(|r| r.output == output)
                .map(|r| r.text.as_str())
                .collect();
            let whole = live
                .rsplit_once('\n')
                .map_or(String::new(), |(w, _)| format!("{w}\n"));
            assert!(logged.ends_with(&whole), "{name}");
            assert!(
                name != "llama-sft" || output == Output::Stdout || live.contains("\rTraining:")
            );
        }
    }
}

#[test]
fn parts_of_a_log_are_parts_of_the_whole() {
    let host = host();
    let now = after(300_000);
    for container in host.containers(now) {
        let all = host.log(container.key, &LogQuery::default(), now).unwrap();
        for tail in [0, 1, 10, 300, 100_000] {
            let query = LogQuery {
                tail: Some(tail),
                ..Default::default()
            };
            let part = host.log(container.key, &query, now).unwrap();
            assert_eq!(
                part,
                all[all.len().saturating_sub(tail)..],
                "{} {tail}",
                container.name
            );
        }
        let Some(middle) = all.get(all.len() / 2).map(|r| r.time) else {
            continue;
        };
        let query = LogQuery {
            since: Some(middle),
            ..Default::default()
        };
        let newer = host.log(container.key, &query, now).unwrap();
        let query = LogQuery {
            until: Some(middle),
            ..Default::default()
        };
        let older = host.log(container.key, &query, now).unwrap();
        let wanted: Vec<_> = all.iter().filter(|r| r.time >= middle).cloned().collect();
        assert_eq!(newer, wanted, "{}", container.name);
        let wanted: Vec<_> = all.iter().filter(|r| r.time <= middle).cloned().collect();
        assert_eq!(older, wanted, "{}", container.name);
    }
}

#[test]
fn a_shell_looks_round() {
    let host = host();
    let sft = key(&host, "llama-sft");
    let now = start();
    let command = ["sh".to_owned()];
    let mut shell = host.exec(sft, &command, true, now).unwrap();
    let shown = |shell: &mut DemoShell| String::from_utf8(shell.take_output()).unwrap();
    assert!(shown(&mut shell).ends_with("$ "));
    shell.input("echo höllo\u{7f}\u{7f} $WANDB_PROJECT\r".as_bytes(), now);
    assert!(shown(&mut shell).contains("\r\nhöl llama-sft\r\n"));
    shell.input(b"nvidia-smi\r", now);
    let table = shown(&mut shell);
    assert_eq!(table.matches("NVIDIA H100 80GB HBM3").count(), 2, "{table}");
    shell.input(b"env\rnonsense\rexit 3\r", now);
    let text = shown(&mut shell);
    assert!(text.contains("CUDA_VERSION=12.4.1") && text.contains("nonsense: command not found"));
    assert_eq!(shell.exit_code(), Some(3));

    let redis = key(&host, "platform-redis-1");
    let bash = ["bash".to_owned()];
    assert!(
        host.exec(redis, &bash, true, now)
            .unwrap_err()
            .message
            .contains("not found in $PATH")
    );
    let script = ["sh", "-c", "echo a; echo b"].map(str::to_owned);
    let mut ran = host.exec(redis, &script, false, now).unwrap();
    assert_eq!(
        (shown(&mut ran).as_str(), ran.exit_code()),
        ("a\nb\n", Some(0))
    );
    let eval = key(&host, "eval-7b");
    assert_eq!(
        host.exec(eval, &command, true, now).unwrap_err().status,
        409
    );
    // The container ends under the shell.
    let mut shell = host.exec(redis, &command, true, now).unwrap();
    let kill = ContainerCommand::Kill {
        signal: Signal("KILL"),
    };
    host.act(redis, &kill, after(10)).unwrap();
    shell.check(after(20));
    assert_eq!(shell.exit_code(), Some(137));
}

#[test]
fn the_async_face_stops_follows_and_tells() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        use futures_util::StreamExt;
        let host = DemoHost::new(7, Stamp::now());
        let engine = DemoEngine::new(host.clone());
        let mut events = engine.events();
        let redis = host.find("platform-redis-1", Stamp::now()).unwrap();
        let query = LogQuery {
            tail: Some(1),
            ..Default::default()
        };
        let mut log = engine.logs(redis, query, true, true).await.unwrap();
        let first = log.next().await.unwrap();
        assert_eq!(first[..4], [1, 0, 0, 0]);
        let stop = ContainerCommand::Stop { grace: None };
        engine.act(redis, &stop).await.unwrap();
        assert!(
            !host.is_live(redis, Stamp::now()),
            "it answers when the container has ended"
        );
        assert_eq!(events.next().await.unwrap().kind, code("15"));
        assert_eq!(events.next().await.unwrap().kind, EventKind::Die(Some(0)));
        assert_eq!(events.next().await.unwrap().kind, EventKind::Stop);
        let mut rest = Vec::new();
        while let Some(bytes) = log.next().await {
            rest.extend(bytes);
        }
        assert!(String::from_utf8_lossy(&rest).contains("bye bye"));
        assert_eq!(engine.attach(redis).await.err().unwrap().status, 409);
    });
}

#[test]
fn the_thread_feeds_the_lanes_and_ends() {
    use crate::lanes::{Queue, Slot, Waker};
    let waker = Waker::new();
    let lanes = DemoLanes {
        gpus: Slot::new(waker.clone()),
        usage: Slot::new(waker.clone()),
        procs: Slot::new(waker.clone()),
        report: Slot::new(waker.clone()),
        xids: Queue::new(16, waker.clone()),
    };
    let thread = super::start(DemoHost::new(1, Stamp::now()), lanes.clone()).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        assert!(std::time::Instant::now() < deadline);
        if lanes.report.take().is_some() {
            break;
        }
        waker.wait(Some(Duration::from_secs(1)));
    }
    assert_eq!(lanes.gpus.take().unwrap().gpus.len(), 4);
    assert_eq!(lanes.xids.drain().items.len(), 3);
    thread.kick();
    drop(thread);
}
