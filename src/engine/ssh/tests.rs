use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::engine::transport::{Address, Transport};

/// A program in ssh's place: notes its arguments, then plays the master or a channel's far side.
fn fake(dir: &tempfile::TempDir, master: &str, channel: &str) -> SshDialer {
    let script = format!(
        r#"#!/bin/sh
echo "$*" >>"{log}"
for a in "$@"; do [ "$a" = -M ] && {{ {master} ; exit $?; }}; done
{channel}
"#,
        log = dir.path().join("log").display(),
    );
    let program = dir.path().join("ssh");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let target = SshTarget::parse("me@box:2222").unwrap();
    SshDialer::new(target, program.into(), dir.path().to_owned())
}

const LOGIN: &str = "echo Welcome; echo midwatch-ready; cat >/dev/null";
/// Answers each request with two bytes, as long as requests come.
const ENGINE: &str = r#"while read -r line; do
  case "$line" in ?) printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi' ;; esac
done"#;

fn log(dir: &tempfile::TempDir) -> Vec<String> {
    let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
    text.lines().map(str::to_owned).collect()
}

async fn get(transport: &Transport) -> Result<bytes::Bytes, EngineError> {
    transport.get("/x", Duration::from_secs(20), 1024).await
}

#[tokio::test]
async fn one_master_carries_the_channels_and_the_folder_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let dialer = Arc::new(fake(&dir, LOGIN, ENGINE));
    let transport = Transport::new(Address::Dialed(dialer.clone()));
    let both = tokio::join!(get(&transport), get(&transport));
    assert_eq!(both.0.unwrap(), "hi");
    assert_eq!(both.1.unwrap(), "hi");
    let calls = log(&dir);
    assert_eq!(
        calls.iter().filter(|c| c.contains(" -M ")).count(),
        1,
        "{calls:?}"
    );
    assert_eq!(calls.len(), 3, "{calls:?}");
    for call in &calls {
        for part in [
            "-o BatchMode=yes",
            "-o ClearAllForwardings=yes",
            "-l me",
            "-p 2222",
            "-- box ",
            "-S ",
        ] {
            assert!(call.contains(part), "{call}");
        }
    }
    assert!(
        calls
            .iter()
            .skip(1)
            .all(|c| c.ends_with("-- box docker system dial-stdio")),
        "{calls:?}"
    );
    let folder = std::fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .find(|e| e.file_name().to_string_lossy().starts_with("midwatch-"))
        .unwrap();
    assert_eq!(
        folder.metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    drop(transport);
    drop(dialer);
    assert!(!folder.path().exists());
}

#[tokio::test]
async fn a_full_master_gets_a_second_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let dialer = fake(&dir, LOGIN, "cat");
    let mut open = Vec::new();
    for _ in 0..=CHANNELS {
        open.push(dialer.dial().await.map_err(|e| e.to_string()).unwrap());
    }
    let masters = dialer.masters.lock().await.running.len();
    assert_eq!(masters, 2);
    open.clear();
    drop(dialer.dial().await.map_err(|e| e.to_string()).unwrap());
    assert_eq!(dialer.masters.lock().await.running.len(), 2);
}

#[tokio::test]
async fn what_ssh_says_is_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let refused = fake(
        &dir,
        "echo 'me@box: Permission denied (publickey).' >&2; exit 255",
        "",
    );
    let transport = Transport::new(Address::Dialed(Arc::new(refused)));
    let error = get(&transport).await.unwrap_err();
    assert_eq!(
        error,
        EngineError::Ssh("me@box: Permission denied (publickey).".into())
    );

    let dir = tempfile::tempdir().unwrap();
    let silent = fake(&dir, "exit 3", "");
    let transport = Transport::new(Address::Dialed(Arc::new(silent)));
    let error = get(&transport).await.unwrap_err().to_string();
    assert!(error.contains("exit status: 3"), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let without_docker = fake(&dir, LOGIN, "echo 'sh: docker: not found' >&2; exit 127");
    let transport = Transport::new(Address::Dialed(Arc::new(without_docker)));
    let error = get(&transport).await.unwrap_err();
    assert_eq!(error, EngineError::Ssh("sh: docker: not found".into()));
}

#[tokio::test]
async fn a_master_that_died_is_replaced_and_a_missing_ssh_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dialer = fake(&dir, LOGIN, "cat");
    drop(dialer.dial().await.map_err(|e| e.to_string()).unwrap());
    dialer.masters.lock().await.running[0]
        .child
        .kill()
        .await
        .unwrap();
    drop(dialer.dial().await.map_err(|e| e.to_string()).unwrap());
    assert_eq!(log(&dir).iter().filter(|c| c.contains(" -M ")).count(), 2);

    let target = SshTarget::parse("box").unwrap();
    let none = SshDialer::new(
        target,
        dir.path().join("none").into(),
        dir.path().to_owned(),
    );
    let error = none.dial().await.err().unwrap();
    assert!(error.to_string().contains("no ssh program"), "{error}");
}

#[test]
fn a_socket_named_on_the_far_side_stays_one_word() {
    assert_eq!(quoted("unix:///a b'c"), r"'unix:///a b'\''c'");
}

#[tokio::test]
async fn the_end_of_what_is_sent_is_passed_on_and_the_answer_still_comes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let dialer = fake(&dir, LOGIN, "cat; printf ' and all'");
    let mut stream = dialer.dial().await.unwrap();
    stream.write_all(b"this").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, "this and all");
    assert!(stream.write_all(b"more").await.is_err());
}
