//! Launching on the simulated engine, by the engine module's own code.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use midwatch::demo::DemoHost;
use midwatch::engine::endpoint::Endpoint;
use midwatch::engine::registry::Reference;
use midwatch::engine::transport::Transport;
use midwatch::engine::{Attaching, Docker, Engine, EngineError, PullFault, PullProgress};
use midwatch::model::{ContainerKey, EventKind, GpuGrant, HostId, Stamp};

const DEADLINE: Duration = Duration::from_secs(20);

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.unwrap() })
}

fn engine(host: &DemoHost) -> Engine {
    let transport = Transport::to(&Endpoint::simulated(host.clone())).unwrap();
    Engine::Docker(Docker::new(transport, HostId::default()))
}

async fn make(engine: &Engine, name: &str, body: &Value) -> ContainerKey {
    engine.create(body, Some(name), None).await.unwrap().key
}

fn status(error: EngineError) -> (u16, String) {
    match error {
        EngineError::Status { code, message } => (code, message),
        other => panic!("{other:?}"),
    }
}

/// The same moment of the clock, some time later.
fn later(now: Stamp, seconds: u64) -> Stamp {
    let by = Duration::from_secs(seconds);
    Stamp {
        mono: now.mono + by,
        wall: now.wall + jiff::SignedDuration::try_from(by).unwrap(),
    }
}

fn training(devices: &[&str]) -> Value {
    json!({
        "Image": "my-train:0.4", "Cmd": ["python", "train.py"], "Env": ["EPOCHS=3", "CUDA_VERSION=12.8"],
        "WorkingDir": "/w", "Labels": {"team": "vision"}, "User": "1000:1000",
        "HostConfig": {
            "DeviceRequests": [{"Driver": "", "Count": 0, "DeviceIDs": devices, "Capabilities": [["gpu"]], "Options": {}}],
            "ShmSize": 17_179_869_184_u64, "Binds": ["/srv/data:/data:ro"], "IpcMode": "shareable",
            "Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}],
            "PortBindings": {"7860/tcp": [{"HostIp": "", "HostPort": "7860"}]},
        },
    })
}

#[test]
fn what_is_made_shows_what_was_sent_and_computes_on_its_gpus() {
    let now = Stamp::now();
    let host = DemoHost::new(3, now);
    let engine = engine(&host);
    let uuid = host.gpus(now).gpus[2].key.uuid.to_string();
    let key = block(async {
        let body = training(&[&uuid]);
        let key = make(&engine, "mine", &body).await;
        let shown = engine.inspect_json(key).await.unwrap();
        assert_eq!(shown["State"]["Status"], "created");
        for name in [
            "DeviceRequests",
            "ShmSize",
            "Binds",
            "IpcMode",
            "Ulimits",
            "PortBindings",
        ] {
            assert_eq!(
                shown["HostConfig"][name], body["HostConfig"][name],
                "{name}"
            );
        }
        let env = shown["Config"]["Env"].as_array().unwrap();
        assert!(env.contains(&json!("EPOCHS=3")) && env.contains(&json!("CUDA_VERSION=12.8")));
        // The image's own stays, but for what was given anew.
        assert!(
            env.iter().any(|e| e.as_str().unwrap().starts_with("PATH=")),
            "{env:?}"
        );
        assert!(!env.contains(&json!("CUDA_VERSION=12.4.1")), "{env:?}");
        assert_eq!(shown["Config"]["Labels"]["team"], "vision");
        assert_eq!(shown["Mounts"][0]["Destination"], "/data");
        let detail = engine.inspect(key).await.unwrap();
        assert_eq!(detail.shm_size_bytes, Some(17_179_869_184));
        assert!(matches!(detail.grant, Some(GpuGrant::Devices(ids)) if ids.len() == 1));

        engine.start(key).await.unwrap();
        let row = engine
            .list()
            .await
            .unwrap()
            .into_iter()
            .find(|c| c.key == key)
            .unwrap();
        assert_eq!(
            (row.name.as_str(), row.image.as_str()),
            ("mine", "my-train:0.4")
        );
        assert_eq!(row.ports[0].host, Some(7860));
        key
    });
    let events: Vec<EventKind> = host
        .recent_events(Stamp::now())
        .into_iter()
        .filter(|e| e.container == key)
        .map(|e| e.kind)
        .collect();
    assert_eq!(events, [EventKind::Create, EventKind::Start]);
    // A minute on, its process is on the GPU that was named, and keeps it busy.
    let then = later(Stamp::now(), 60);
    let seen = host.gpus(then);
    let card = seen
        .gpus
        .iter()
        .find(|g| g.key.uuid.to_string() == uuid)
        .unwrap();
    assert!(card.gpu_percent > Some(50), "{:?}", card.gpu_percent);
    assert!(card.power_watts > Some(400.0));
    let procs = host.procs(then);
    let own = procs
        .processes
        .iter()
        .find(|p| format!("{:?}", p.owner).contains(&key.id.short()));
    let own = own.expect("its process");
    assert_eq!(own.uid, Some(1000));
    let held = seen.processes.iter().find(|p| p.pid == own.pid).unwrap();
    assert_eq!(held.gpu, card.key);
    assert!(held.memory_used_bytes > Some(30 << 30));
}

#[test]
fn refusals_are_in_the_engines_words() {
    let host = DemoHost::new(3, Stamp::now());
    let engine = engine(&host);
    block(async {
        let body = json!({"Image": "busybox:9"});
        let missing = status(engine.create(&body, None, None).await.unwrap_err());
        assert_eq!(missing, (404, "No such image: busybox:9".into()));
        let body = json!({"Image": "my-train:0.4", "Cmd": ["sleep", "9"]});
        let taken = status(
            engine
                .create(&body, Some("llama-sft"), None)
                .await
                .unwrap_err(),
        );
        assert_eq!(taken.0, 409);
        assert!(taken.1.starts_with(
            "Conflict. The container name \"/llama-sft\" is already in use by container"
        ));
        let odd = status(engine.create(&body, Some("-x"), None).await.unwrap_err());
        assert_eq!(odd.0, 400);

        // The notebook publishes 8888.
        let mut body = training(&["2"]);
        body["HostConfig"]["PortBindings"] =
            json!({"8888/tcp": [{"HostIp": "", "HostPort": "8888"}]});
        let key = make(&engine, "ports", &body).await;
        let (code, text) = status(engine.start(key).await.unwrap_err());
        assert_eq!(code, 500);
        assert!(
            text.ends_with("Bind for 0.0.0.0:8888 failed: port is already allocated"),
            "{text}"
        );
        let shown = engine.inspect_json(key).await.unwrap();
        assert_eq!(shown["State"]["Status"], "created");
        assert_eq!(shown["State"]["ExitCode"], 128);
        assert!(
            shown["State"]["Error"]
                .as_str()
                .unwrap()
                .contains("port is already allocated")
        );
        engine.remove_created(key).await.unwrap();

        // The card that fell off the bus, and one that never was.
        for device in ["3", "7", "GPU-00000000-0000-0000-0000-000000000000"] {
            let key = make(&engine, "lost", &training(&[device])).await;
            let (_, text) = status(engine.start(key).await.unwrap_err());
            assert!(
                text.contains(&format!("device error: {device}: unknown device")),
                "{text}"
            );
            engine.remove_created(key).await.unwrap();
        }
        assert!(engine.find_container("lost").await.unwrap().is_none());
    });
}

#[test]
fn a_brief_one_is_attached_to_awaited_and_removed() {
    let host = DemoHost::new(3, Stamp::now());
    let engine = engine(&host);
    block(async {
        let body = json!({
            "Image": "nvidia/cuda:12.4.1-base-ubuntu22.04", "Cmd": ["nvidia-smi"], "AttachStdout": true,
            "HostConfig": {"AutoRemove": true,
                "DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": null, "Capabilities": [["gpu"]]}]},
        });
        let made = engine.create(&body, None, None).await.unwrap();
        let what = Attaching {
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
        };
        let attached = engine.attach(made.key, what).await.unwrap();
        let waiting = engine.wait_begin(made.key, true).await.unwrap();
        engine.start(made.key).await.unwrap();
        let mut out = Vec::new();
        let pumped = attached.pump(tokio::io::empty(), &mut out, tokio::io::sink());
        pumped.await.unwrap();
        assert_eq!(waiting.exit().await, Ok(0));
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("Driver Version: 550.163.01"), "{out}");
        assert_eq!(out.matches("NVIDIA H100").count(), 3, "{out}");
        assert!(
            engine
                .inspect_json(made.key)
                .await
                .unwrap_err()
                .is_not_found()
        );

        // One that fails: its story is the image's.
        let body = json!({"Image": "acme/serve-x:2.1"});
        let key = make(&engine, "again", &body).await;
        let waiting = engine.wait_begin(key, false).await.unwrap();
        engine.start(key).await.unwrap();
        assert_eq!(waiting.exit().await, Ok(1));
        assert_eq!(engine.wait(key).await, Ok(1));
        let last = engine.tail(key, 1).await.unwrap();
        assert!(
            last[0].contains("CUDA driver version is insufficient"),
            "{last:?}"
        );
    });
}

#[test]
fn an_image_is_fetched_layer_by_layer_or_refused() {
    let host = DemoHost::new(3, Stamp::now());
    let engine = engine(&host);
    let parse = |text| Reference::parse(text).unwrap();
    block(async {
        let reference = parse("pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime");
        assert!(
            engine
                .find_image(&reference.in_store())
                .await
                .unwrap()
                .is_none()
        );
        // Given up in the middle: nothing is left.
        let begun = |progress: &PullProgress| progress.bytes > 0;
        let some = std::sync::atomic::AtomicBool::new(false);
        let told = |p: PullProgress| some.store(begun(&p), std::sync::atomic::Ordering::Relaxed);
        let cancelled = || some.load(std::sync::atomic::Ordering::Relaxed);
        let error = engine
            .pull(&reference, None, None, &told, &cancelled)
            .await
            .unwrap_err();
        assert_eq!(error.fault, PullFault::Cancelled);
        assert!(
            engine
                .find_image(&reference.in_store())
                .await
                .unwrap()
                .is_none()
        );

        let seen = Mutex::new(Vec::new());
        let told = |progress| seen.lock().unwrap().push(progress);
        let started = Instant::now();
        let id = engine
            .pull(&reference, None, None, &told, &|| false)
            .await
            .unwrap();
        let took = started.elapsed();
        assert!((2..8).contains(&took.as_secs()), "{took:?}");
        let seen: Vec<PullProgress> = seen.into_inner().unwrap();
        let bytes: Vec<u64> = seen.iter().map(|p| p.bytes).collect();
        assert!(bytes.is_sorted() && seen.len() > 10, "{bytes:?}");
        let last = seen.last().unwrap();
        assert_eq!(last.layers.len(), 5);
        assert!(
            last.layers.iter().all(|l| l.status == "Pull complete"),
            "{last:?}"
        );
        assert_eq!(last.bytes, last.total_bytes);
        assert!(last.total_bytes > 2_000_000_000);
        let images = engine.images().await.unwrap();
        assert!(images.iter().any(|image| image.id == id), "{images:?}");
        let body = json!({"Image": "pytorch/pytorch:2.6.0-cuda12.4-cudnn9-runtime", "Cmd": ["python", "train.py"]});
        let key = make(&engine, "fetched", &body).await;
        engine.start(key).await.unwrap();

        for (text, fault) in [
            ("pytorch/pytorch:nosuch", PullFault::NoSuchImage),
            ("acme/secret:1", PullFault::Unauthorized),
            ("registry.acme.test/x:1", PullFault::Unreachable),
        ] {
            let error = engine
                .pull(&parse(text), None, None, &|_| {}, &|| false)
                .await
                .unwrap_err();
            assert_eq!(error.fault, fault, "{error}");
        }
        let there = engine
            .pull(&parse("redis:7.4-alpine"), None, None, &|_| {}, &|| false)
            .await;
        assert!(there.is_ok(), "{there:?}");
    });
}
