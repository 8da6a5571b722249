//! The engine module's own code against the simulated host: its list, details, images, actions and events
//! say what the world itself says.

use std::collections::VecDeque;
use std::time::Duration;

use midwatch::demo::DemoHost;
use midwatch::engine::endpoint::Endpoint;
use midwatch::engine::source::{self, EngineLanes};
use midwatch::engine::transport::Transport;
use midwatch::engine::{Docker, Engine};
use midwatch::lanes::{Queue, Slot, Waker};
use midwatch::model::{
    ContainerCommand, ContainerKey, ContainerState, EngineNews, EventKind, HostId, Stamp,
};

use midwatch::watch::IoThread;

use crate::fake_engine::DemoSocket;

const DEADLINE: Duration = Duration::from_secs(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn engine(host: &DemoHost) -> Docker {
    let transport = Transport::to(&Endpoint::simulated(host.clone())).unwrap();
    Docker::new(transport, HostId::default())
}

fn key(host: &DemoHost, name: &str) -> ContainerKey {
    host.find(name, Stamp::now()).unwrap()
}

#[test]
fn its_json_reads_as_the_world_is() {
    let host = DemoHost::new(3, Stamp::now());
    runtime().block_on(async {
        let docker = engine(&host);
        let engine = Engine::Docker(docker.clone());
        let mut listed = engine.list().await.unwrap();
        let mut told = host.containers(Stamp::now());
        listed.sort_by_key(|c| c.key);
        told.sort_by_key(|c| c.key);
        assert_eq!(listed, told);
        for container in &told {
            let read = engine.inspect(container.key).await.unwrap();
            let told = host.detail(container.key, Stamp::now()).unwrap();
            assert_eq!(read, told, "{}", container.name);
            let json = engine.inspect_json(container.key).await.unwrap();
            assert_eq!(json["Name"], format!("/{}", container.name));
        }
        let images = engine.images().await.unwrap();
        let told = host.images(Stamp::now());
        assert_eq!(images, told);
        let json = engine.inspect_image_json(&images[0].id).await.unwrap();
        assert_eq!(json["RepoTags"][0], images[0].tags[0]);
        let sft = key(&host, "llama-sft");
        let usage = engine.usage(sft).await.unwrap().unwrap();
        assert!(usage.memory_used_bytes.unwrap() > 80 << 30);
        assert_eq!(engine.usage(key(&host, "eval-7b")).await.unwrap(), None);
        docker.ping().await.unwrap();
    });
}

#[test]
fn its_json_is_what_bollard_expects() {
    let host = DemoHost::new(3, Stamp::now());
    let now = Stamp::now();
    let rows: Vec<bollard::models::ContainerSummary> =
        serde_json::from_value(host.list_json(now)).unwrap();
    assert!(rows.iter().all(|row| row.state.is_some()));
    for container in host.containers(now) {
        let json = host.inspect_json(container.key, now).unwrap();
        let read: bollard::models::ContainerInspectResponse = serde_json::from_value(json).unwrap();
        assert!(read.state.unwrap().status.is_some());
        let json = host.stats_json(container.key, now).unwrap();
        serde_json::from_value::<bollard::models::ContainerStatsResponse>(json).unwrap();
    }
    let images: Vec<bollard::models::ImageSummary> =
        serde_json::from_value(host.images_json(now)).unwrap();
    for image in &images {
        let id = midwatch::model::ImageId(image.id.as_str().into());
        let json = host.inspect_image_json(&id, now).unwrap();
        serde_json::from_value::<bollard::models::ImageInspect>(json).unwrap();
    }
    serde_json::from_value::<bollard::models::SystemInfo>(host.info_json(now)).unwrap();
    serde_json::from_value::<bollard::models::SystemVersion>(host.version_json()).unwrap();
}

#[test]
fn actions_and_refusals_come_through() {
    let host = DemoHost::new(3, Stamp::now());
    runtime().block_on(async {
        let engine = Engine::Docker(engine(&host));
        let redis = key(&host, "platform-redis-1");
        let stop = ContainerCommand::Stop {
            grace: Some(Duration::from_secs(5)),
        };
        engine.act(redis, &stop).await.unwrap();
        assert!(!host.is_live(redis, Stamp::now()));
        engine.act(redis, &stop).await.unwrap();
        engine.act(redis, &ContainerCommand::Start).await.unwrap();
        engine.act(redis, &ContainerCommand::Pause).await.unwrap();
        let error = engine
            .act(redis, &ContainerCommand::Pause)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("already paused"), "{error}");
        engine.act(redis, &ContainerCommand::Unpause).await.unwrap();
        let to = "a name".to_owned();
        let error = engine
            .act(redis, &ContainerCommand::Rename { to })
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("Invalid container name (a name)"),
            "{error}"
        );
        let remove = ContainerCommand::Remove {
            force: false,
            volumes: false,
        };
        let error = engine.act(redis, &remove).await.unwrap_err();
        assert!(
            error.to_string().contains("container is running"),
            "{error}"
        );
        let remove = ContainerCommand::Remove {
            force: true,
            volumes: false,
        };
        engine.act(redis, &remove).await.unwrap();
        assert!(engine.inspect(redis).await.unwrap_err().is_not_found());
        let eval = key(&host, "eval-7b");
        let error = engine
            .act(eval, &ContainerCommand::Start)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("unknown device"), "{error}");
    });
}

/// Waits for news that satisfies, at most the deadline. What comes behind it stays in `waiting`.
fn wait_for(
    lanes: &EngineLanes,
    waker: &Waker,
    waiting: &mut VecDeque<EngineNews>,
    mut wanted: impl FnMut(&EngineNews) -> bool,
) {
    let end = std::time::Instant::now() + DEADLINE;
    let mut seen = Vec::new();
    while std::time::Instant::now() < end {
        waiting.extend(lanes.news.drain().items);
        while let Some(news) = waiting.pop_front() {
            if wanted(&news) {
                return;
            }
            seen.push(news);
        }
        waker.wait(Some(Duration::from_millis(200)));
    }
    panic!("did not come; seen: {seen:#?}");
}

fn lanes(waker: &Waker) -> EngineLanes {
    EngineLanes {
        news: Queue::new(4096, waker.clone()),
        usage: Slot::new(waker.clone()),
    }
}

#[test]
fn the_source_tells_what_happens() {
    let io = IoThread::start().unwrap();
    let host = DemoHost::new(3, Stamp::now());
    let waker = Waker::new();
    let lanes = lanes(&waker);
    let mut waiting = VecDeque::new();
    let handle = source::start_simulated(io.handle(), host.clone(), lanes.clone()).unwrap();
    wait_for(
        &lanes,
        &waker,
        &mut waiting,
        |news| matches!(news, EngineNews::Up(info) if info.simulated),
    );
    let count = host.containers(Stamp::now()).len();
    wait_for(
        &lanes,
        &waker,
        &mut waiting,
        |news| matches!(news, EngineNews::Listed(all) if all.len() == count),
    );
    let sft = key(&host, "llama-sft");
    wait_for(
        &lanes,
        &waker,
        &mut waiting,
        |news| matches!(news, EngineNews::Inspected(k, d) if *k == sft && d.pid.is_some()),
    );

    // Killed from outside of the engine: only its event stream tells.
    let procs = host.procs(Stamp::now());
    let rank_0 = procs
        .processes
        .iter()
        .find(|p| p.user.as_deref() == Some("alice"))
        .unwrap();
    let signal = midwatch::model::Signal("KILL");
    host.signal_process(&rank_0.key.unwrap(), signal, Stamp::now())
        .unwrap();
    wait_for(
        &lanes,
        &waker,
        &mut waiting,
        |news| matches!(news, EngineNews::Event(e) if e.container == Some(sft) && e.kind == EventKind::Die(Some(137))),
    );
    let engine = handle.engine().unwrap();
    let (done, ended) = std::sync::mpsc::channel();
    io.handle().spawn(async move {
        done.send(engine.act(sft, &ContainerCommand::Start).await)
            .unwrap();
    });
    ended.recv_timeout(DEADLINE).unwrap().unwrap();
    wait_for(
        &lanes,
        &waker,
        &mut waiting,
        |news| matches!(news, EngineNews::Changed(c) if c.key == sft && c.state == ContainerState::Running),
    );
    handle.fetch_images();
    wait_for(
        &lanes,
        &waker,
        &mut waiting,
        |news| matches!(news, EngineNews::Images(all) if all.len() == 14),
    );
}

#[test]
fn it_serves_at_a_socket_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sock");
    let host = DemoHost::new(3, Stamp::now());
    let socket = DemoSocket::start(&path, host.clone());
    runtime().block_on(async {
        let address = midwatch::engine::transport::Address::Unix(path.clone());
        let docker = Docker::new(Transport::new(address), HostId::default());
        let (listing, answered) = docker.list().await.unwrap();
        assert_eq!(
            listing.containers.len(),
            host.containers(Stamp::now()).len()
        );
        assert_eq!(answered.version.as_deref(), Some("28.2.2"));
    });
    assert!(socket.endpoint().starts_with("unix:///"));
    drop(socket);
    assert!(!path.exists());
}
