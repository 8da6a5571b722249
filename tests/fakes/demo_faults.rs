//! The scripted engine does what it is told, wrong or right: what other tests stand on.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::fake_engine::{FakeEngine, Fault, LogKind, Script, id_of};

fn ask(path: &Path, request: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // Writing may fail where the engine resets at once.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn get(path: &Path, target: &str) -> String {
    let answer = ask(path, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn serve(count: u64) -> (tempfile::TempDir, std::path::PathBuf, Script, FakeEngine) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.sock");
    let script = Script::with_containers(count);
    let engine = FakeEngine::unix(&path, script.clone()).unwrap();
    (folder, path, script, engine)
}

#[test]
fn faults_happen_where_they_are_planned_and_no_longer() {
    let (_folder, path, _script, engine) = serve(2);
    let faults = engine.faults();
    faults.plan("/info", Fault::Cut(10), Some(1));
    let cut = get(&path, "/info");
    assert_eq!(cut.split_once("\r\n\r\n").unwrap().1.len(), 10);
    assert!(get(&path, "/info").ends_with("}\n"));
    faults.plan("/_ping", Fault::Status(500, "on fire".into()), None);
    assert!(get(&path, "/_ping").contains("{\"message\":\"on fire\"}"));
    faults.clear();
    assert!(get(&path, "/_ping").ends_with("\r\n\r\nOK"));
    faults.plan("/version", Fault::Nonsense, Some(1));
    assert!(get(&path, "/version").contains("nonsense"));
    faults.plan("/version", Fault::Reset, Some(1));
    let reset = ask(&path, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n").unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    engine.refuse_versions((1, 44), (1, 50));
    assert!(get(&path, "/v1.41/info").contains("client version 1.41 is too old"));
    assert!(get(&path, "/v1.60/info").contains("client version 1.60 is too new"));
    assert!(get(&path, "/v1.44/info").starts_with("HTTP/1.1 200"));
    assert!(engine.seen().len() >= 8);
}

#[test]
fn a_hanging_engine_hangs_and_still_ends() {
    let (_folder, path, _script, engine) = serve(1);
    engine.faults().plan("/info", Fault::HangHead, None);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let silence = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    let begun = Instant::now();
    drop(engine);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(!path.exists());
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn five_thousand_containers_and_a_flood() {
    let (_folder, path, script, _engine) = serve(5_000);
    let list = get(&path, "/containers/json?all=true");
    let body = list.split_once("\r\n\r\n").unwrap().1;
    let rows: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 5_000);
    script.change(&id_of(7), |c| {
        c.log = LogKind::Flood {
            per_second: 200_000,
            bytes: 100,
        }
    });
    let mut stream = UnixStream::connect(&path).unwrap();
    let request = format!(
        "GET /containers/{}/logs?follow=true&stdout=true HTTP/1.1\r\n\r\n",
        id_of(7)
    );
    stream.write_all(request.as_bytes()).unwrap();
    // Half a second of it: 100,000 lines of 108 bytes with their frames.
    let (mut taken, mut buffer, begun) = (0, vec![0; 1 << 18], Instant::now());
    while taken < 10_800_000 {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0 && begun.elapsed() < Duration::from_secs(20));
        taken += n;
    }
    eprintln!("100,000 lines in {:?}", begun.elapsed());
}

#[test]
fn events_are_told_as_they_are_made() {
    let (_folder, path, script, _engine) = serve(1);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("chunked\r\n\r\n") {
        let n = stream.read(&mut buffer).unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    assert!(
        ask(
            &path,
            &format!("POST /containers/{}/stop?t=1 HTTP/1.1\r\n\r\n", id_of(0))
        )
        .unwrap()
        .starts_with(b"HTTP/1.1 204")
    );
    while !text.contains("\"Action\":\"stop\"") {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0);
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    let order = [
        "\"Action\":\"kill\"",
        "\"Action\":\"die\"",
        "\"Action\":\"stop\"",
    ];
    assert!(order.map(|word| text.find(word).unwrap()).is_sorted());
    assert!(get(&path, "/containers/json?all=1").contains("Exited (143)"));
    drop(script);
}
