//! Fetching images from a real registry.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use midwatch::engine::endpoint::Env;
use midwatch::engine::registry::{Credentials, Reference};
use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Docker, Engine, Logins, PullError, PullFault, PullProgress};
use midwatch::model::{HostId, ImageId};

use crate::engine_rig::{OwnEngine, PATIENCE, docker, socket};
use crate::registry_rig::{NAME, PASSWORD, Proxy, Registry};

/// Layers that do not compress, and what of them comes through a way that is shut at first.
const LAYERS: [usize; 2] = [9_000_000, 6_000_000];
const FIRST: u64 = 4_000_000;

fn engine(socket: &str) -> Engine {
    Engine::Docker(Docker::new(
        Transport::new(Address::Unix(socket.into())),
        HostId(0),
    ))
}

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 3, future).await.unwrap() })
}

fn reference(port: u16, rest: &str) -> Reference {
    Reference::parse(&format!("127.0.0.1:{port}/{rest}")).unwrap()
}

async fn pull(
    engine: &Engine,
    reference: &Reference,
    credentials: Option<&Credentials>,
) -> Result<ImageId, PullError> {
    let pulling = engine.pull(reference, None, credentials, &|_| {}, &|| false);
    fn can_be_spawned<T: Send>(_: &T) {}
    can_be_spawned(&pulling);
    pulling.await
}

/// The engine has nothing of it.
async fn assert_nothing_is_left(engine: &Engine, reference: &Reference) {
    let found = engine.find_image(&reference.in_store()).await.unwrap();
    assert_eq!(found.map(|f| f.0), None);
    let Engine::Docker(docker) = engine;
    let all = docker.images().await.unwrap();
    let ours = |image: &midwatch::model::Image| format!("{image:?}").contains(&reference.name());
    assert!(!all.iter().any(ours), "{all:?}");
}

#[test]
fn an_image_is_fetched_and_its_layers_are_told() {
    let Some(socket) = socket() else { return };
    let Some(()) = Registry::program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(&socket, folder.path(), false);
    let id = registry.push("team/told:1", &LAYERS, 1);
    let proxy = Proxy::to(&socket, registry.port, FIRST);
    let reference = reference(proxy.port, "team/told:1");
    registry.forget_at_end(&reference.in_store());
    let engine = engine(&socket);
    let seen = Mutex::new(Vec::<PullProgress>::new());
    let told = |progress: PullProgress| {
        if progress.bytes > 1_000_000 {
            proxy.open();
        }
        seen.lock().unwrap().push(progress);
    };
    let got = block(engine.pull(&reference, None, None, &told, &|| false));
    assert_eq!(&*got.unwrap().0, id);
    let seen = seen.into_inner().unwrap();
    let bytes: Vec<u64> = seen.iter().map(|p| p.bytes).collect();
    assert!(bytes.is_sorted(), "{bytes:?}");
    let partly = |p: &PullProgress| p.bytes > 0 && p.bytes <= FIRST && p.total_bytes > 5_000_000;
    assert!(seen.iter().any(partly), "{bytes:?}");
    let last = seen.last().unwrap();
    assert_eq!(last.layers.len(), LAYERS.len());
    assert!(
        last.layers.iter().all(|l| l.status == "Pull complete"),
        "{last:?}"
    );
    assert_eq!(last.bytes, last.total_bytes);
    assert!((15_000_000..15_100_000).contains(&last.bytes), "{last:?}");
    assert_eq!(
        last.reference,
        format!("127.0.0.1:{}/team/told:1", proxy.port)
    );

    // Once more: nothing is to be fetched. By its digest too.
    assert_eq!(&*block(pull(&engine, &reference, None)).unwrap().0, id);
    let digests = docker(
        &socket,
        &[
            "image",
            "inspect",
            "-f",
            "{{index .RepoDigests 0}}",
            &reference.in_store(),
        ],
    );
    let by_digest = Reference::parse(&digests).unwrap();
    assert_eq!(&*block(pull(&engine, &by_digest, None)).unwrap().0, id);
}

#[test]
fn what_is_not_there_is_told_from_what_cannot_be_reached() {
    let Some(socket) = socket() else { return };
    let Some(()) = Registry::program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(&socket, folder.path(), false);
    registry.push("x:1", &[1000], 2);
    let engine = engine(&socket);
    let there = reference(registry.port, "x:1");
    let fault = |reference: &Reference, platform: Option<&str>| {
        let error = block(engine.pull(reference, platform, None, &|_| {}, &|| false)).unwrap_err();
        let problem = error.problem();
        assert!(
            !problem.why.is_empty() && !problem.remedy.is_empty(),
            "{problem}"
        );
        error.fault
    };
    for missing in ["x:2", "nosuch:1"] {
        let missing = reference(registry.port, missing);
        assert_eq!(fault(&missing, None), PullFault::NoSuchImage);
    }
    assert_eq!(fault(&reference(1, "x:1"), None), PullFault::Unreachable);
    let unknown = Reference::parse("midwatch-nosuch.invalid/x:1").unwrap();
    assert_eq!(fault(&unknown, None), PullFault::Unreachable);
    assert_eq!(fault(&there, Some("linux/s390x")), PullFault::NoPlatform);
    let gone = Engine::Docker(Docker::new(
        Transport::new(Address::Unix("/nonexistent/docker.sock".into())),
        HostId(0),
    ));
    let error = block(pull(&gone, &there, None)).unwrap_err();
    assert_eq!(error.fault, PullFault::Engine);
}

#[test]
fn a_registry_that_wants_a_login_gets_what_docker_knows() {
    let Some(socket) = socket() else { return };
    let Some(()) = Registry::program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let open = Registry::start(&socket, folder.path(), false);
    let id = open.push("private/x:1", &[2_000_000], 3);
    let registry = Registry::start(&socket, folder.path(), true);
    let host = format!("127.0.0.1:{}", registry.port);
    let reference = reference(registry.port, "private/x:1");
    registry.forget_at_end(&reference.in_store());
    let engine = engine(&socket);

    let error = block(pull(&engine, &reference, None)).unwrap_err();
    assert_eq!(error.fault, PullFault::Unauthorized, "{error}");
    let wants = format!("docker login {host}");
    assert!(error.to_string().contains(&wants), "{error}");
    let wrong = Credentials::new(NAME, "not-this", &host);
    let error = block(pull(&engine, &reference, Some(&wrong))).unwrap_err();
    assert_eq!(error.fault, PullFault::Unauthorized, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("refused the credentials") && text.contains(&wants),
        "{text}"
    );
    assert!(
        !format!("{text}{error:?}").contains("not-this"),
        "{error:?}"
    );
    block(assert_nothing_is_left(&engine, &reference));

    // As `docker login` leaves it.
    let config = tempfile::tempdir().unwrap();
    let write = |text: serde_json::Value| {
        std::fs::write(config.path().join("config.json"), text.to_string()).unwrap();
    };
    let dir = config.path().to_str().unwrap();
    let path = format!("{dir}:/usr/bin:/bin");
    let env = Env::of(
        &[("DOCKER_CONFIG", dir), ("PATH", &path)],
        Path::new("/nonexistent"),
    );
    let logins = Logins {
        env: &env,
        podman: false,
    };
    let fetch = || block(engine.fetch(&reference, None, logins, &|_| {}, &|| false));
    let auth = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{NAME}:{PASSWORD}"),
    );
    write(serde_json::json!({"auths": {&host: {"auth": auth}}}));
    assert_eq!(&*fetch().unwrap().0, id);
    docker(&socket, &["rmi", &reference.in_store()]);

    // As a credential helper keeps it.
    let helper = config.path().join("docker-credential-midwatchtest");
    let script = format!(
        "#!/bin/sh\nread server; [ \"$1 $server\" = 'get {host}' ] || exit 1\n\
         echo '{{\"ServerURL\":\"{host}\",\"Username\":\"{NAME}\",\"Secret\":\"{PASSWORD}\"}}'\n"
    );
    std::fs::write(&helper, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helper, mode).unwrap();
    // One that is not there is said where it matters.
    write(serde_json::json!({"credsStore": "midwatchnosuch"}));
    let error = fetch().unwrap_err();
    assert_eq!(error.fault, PullFault::Unauthorized, "{error}");
    let text = error.to_string();
    assert!(text.contains("docker-credential-midwatchnosuch"), "{text}");
    write(serde_json::json!({"credHelpers": {&host: "midwatchtest"}}));
    assert_eq!(&*fetch().unwrap().0, id);
}

#[test]
fn a_pull_that_is_cancelled_or_forgotten_leaves_nothing() {
    let Some(socket) = socket() else { return };
    let Some(()) = Registry::program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(&socket, folder.path(), false);
    registry.push("cancel:1", &LAYERS, 4);
    let engine = engine(&socket);
    // While nothing comes, while the engine talks, and by a caller that goes away.
    for (drops, allowed) in [(false, FIRST), (false, u64::MAX), (true, FIRST)] {
        let proxy = Proxy::to(&socket, registry.port, allowed);
        let reference = reference(proxy.port, "cancel:1");
        let begun = AtomicBool::new(false);
        let told = |progress: PullProgress| {
            begun.fetch_or(progress.bytes > 1_000_000, Ordering::Relaxed);
        };
        let stop = || begun.load(Ordering::Relaxed);
        let asked = Mutex::new(None);
        block(async {
            if drops {
                let pulling = engine.pull(&reference, None, None, &told, &|| false);
                let until = async {
                    while !stop() {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    got = pulling => panic!("{got:?}"),
                    () = until => {}
                }
            } else {
                let cancelled = || {
                    if stop() {
                        asked.lock().unwrap().get_or_insert_with(Instant::now);
                    }
                    stop()
                };
                let got = engine.pull(&reference, None, None, &told, &cancelled).await;
                assert_eq!(got.unwrap_err().fault, PullFault::Cancelled);
                let after = asked.lock().unwrap().unwrap().elapsed();
                assert!(after < Duration::from_secs(1), "{after:?}");
            }
        });
        // The engine stops in the middle of what now comes.
        proxy.open();
        let passed = proxy.wait_until_left();
        assert!(passed < 12_000_000, "{passed}");
        block(assert_nothing_is_left(&engine, &reference));
    }
}

#[test]
fn a_pull_that_is_cut_says_so_in_time_and_leaves_nothing() {
    let Some(_) = socket() else { return };
    let Some(()) = Registry::program() else {
        return;
    };
    // By itself an engine tries five times, for 50 s.
    let own = OwnEngine::up_with("pull-cut", &["--max-download-attempts=1"]);
    let socket = own.socket().to_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(&socket, folder.path(), false);
    registry.push("cut:1", &LAYERS, 5);
    let proxy = Proxy::to(&socket, registry.port, FIRST);
    let reference = reference(proxy.port, "cut:1");
    let engine = engine(&socket);
    let told = |progress: PullProgress| {
        if progress.bytes > 1_000_000 {
            proxy.cut();
        }
    };
    let begun = Instant::now();
    let error = block(engine.pull(&reference, None, None, &told, &|| false)).unwrap_err();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(error.fault, PullFault::Cut, "{error:?}");
    assert!(
        error.to_string().contains("broke off in the middle"),
        "{error}"
    );
    block(assert_nothing_is_left(&engine, &reference));

    // An engine that dies in the middle.
    let proxy = Proxy::to(&socket, registry.port, FIRST);
    let reference = self::reference(proxy.port, "cut:1");
    let died = AtomicBool::new(false);
    let told = |progress: PullProgress| {
        if progress.bytes > 1_000_000 && !died.swap(true, Ordering::Relaxed) {
            own.kill();
        }
    };
    let error = block(engine.pull(&reference, None, None, &told, &|| false)).unwrap_err();
    assert!(died.load(Ordering::Relaxed));
    assert_eq!(error.fault, PullFault::Engine, "{error:?}");
}
