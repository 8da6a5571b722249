//! A file system's stream that goes wrong: never a short success.

use std::time::Duration;

use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Docker, Engine, EngineError};
use midwatch::model::HostId;

use crate::engine_rig::key;
use crate::fake_engine::{FakeEngine, Fault, Script, id_of};

fn fetch(fault: Option<Fault>, idle: Duration) -> (usize, Result<(), EngineError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.sock");
    let fake = FakeEngine::unix(&path, Script::with_containers(1)).unwrap();
    if let Some(fault) = fault {
        fake.faults().plan("/export", fault, None);
    }
    fetch_from(Address::Unix(path), idle)
}

fn fetch_from(address: Address, idle: Duration) -> (usize, Result<(), EngineError>) {
    let engine = Engine::Docker(Docker::new(Transport::new(address), HostId(0)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut out = Vec::new();
        let read = async {
            let mut export = engine.export_within(key(&id_of(0)), idle).await?;
            while export.read(&mut out).await? {}
            // Asked again, it says the same.
            assert!(!export.read(&mut out).await?);
            Ok(())
        };
        let result = read.await;
        (out.len(), result)
    })
}

#[test]
fn a_whole_file_system_comes_whole_also_slowly() {
    let patience = Duration::from_secs(20);
    assert_eq!(fetch(None, patience), (1 << 20, Ok(())));
    let far = FakeEngine::tcp(Script::with_containers(1)).unwrap();
    let authority = far.endpoint().replace("tcp://", "");
    assert_eq!(
        fetch_from(Address::Tcp(authority), patience),
        (1 << 20, Ok(()))
    );
    // Each piece comes in time although all of them take longer.
    let slow = Fault::Slow(128 * 1024, Duration::from_millis(100));
    assert_eq!(
        fetch(Some(slow), Duration::from_millis(700)),
        (1 << 20, Ok(()))
    );
}

#[test]
fn what_goes_wrong_in_the_middle_is_an_error_with_its_reason() {
    let short = Duration::from_millis(200);
    let cases = [
        (
            Fault::HangHead,
            "the engine's answer took longer than 0.2 s",
        ),
        (
            Fault::HangBody(300_000),
            "the next bytes of the file system took longer than 0.2 s",
        ),
        (Fault::Cut(0), "connection lost"),
        (Fault::Cut(300_000), "connection lost: cut in the middle"),
        (Fault::Reset, "connection lost"),
        (Fault::Nonsense, "unexpected answer"),
        (
            Fault::Status(500, "lstat /x: input/output error \u{1b}[31m".into()),
            "lstat /x: input/output error",
        ),
        // dockerd ends a body in good order when it fails behind its head.
        (
            Fault::WrongBody(b"ustar{\"message\":\"lstat /y: no space\"}\n".to_vec()),
            "lstat /y: no space",
        ),
        (
            Fault::WrongBody(vec![0; 1000]),
            "connection lost: the file system ended in its middle",
        ),
        (
            Fault::WrongBody(Vec::new()),
            "connection lost: the file system ended in its middle",
        ),
    ];
    for (fault, why) in cases {
        let (_, result) = fetch(Some(fault.clone()), short);
        let error = result.expect_err("a short success").to_string();
        assert!(error.starts_with(why), "{fault:?}: {error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
