use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;

/// Serves each connection's requests with `answers` in turn (then closes), and counts connections.
fn server(
    dir: &tempfile::TempDir,
    answers: &'static [impl AsRef<str> + Sync],
) -> (Transport, Arc<AtomicUsize>) {
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                for answer in answers {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    stream.write_all(answer.as_ref().as_bytes()).await.unwrap();
                }
            });
        }
    });
    (Transport::new(Address::Unix(path)), connections)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

async fn get(transport: &Transport) -> Result<Bytes, EngineError> {
    transport.get("/x", Duration::from_secs(5), 1024).await
}

fn post(path: &str) -> Request<Full<Bytes>> {
    Request::post(path).body(Full::default()).unwrap()
}

async fn returned(transport: &Transport) {
    for _ in 0..1000 {
        if !transport.inner.idle.lock().unwrap().is_empty() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (transport, connections) = server(&dir, &[OK, OK, OK]);
    for _ in 0..3 {
        assert_eq!(get(&transport).await.unwrap(), "hi");
        returned(&transport).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_engine_closed_is_replaced_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let (transport, connections) = server(&dir, &[OK]);
    for _ in 0..3 {
        assert_eq!(get(&transport).await.unwrap(), "hi");
        returned(&transport).await;
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_is_not_there_and_what_nobody_answers_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.sock");
    let absent = Transport::new(Address::Unix(path.clone()));
    assert!(matches!(get(&absent).await, Err(EngineError::Absent(_))));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(get(&absent).await, Err(EngineError::Refused));
    let mute = dir.path().join("mute.sock");
    let _listener = UnixListener::bind(&mute).unwrap();
    let mute = Transport::new(Address::Unix(mute));
    let hung = mute.get("/x", Duration::from_millis(50), 1024).await;
    assert!(matches!(hung, Err(EngineError::Timeout { .. })));
}

#[tokio::test]
async fn the_daemons_own_words_come_back_clean() {
    let dir = tempfile::tempdir().unwrap();
    let body = r#"{"cause":"x","message":"No such \u001b[2Jthing"}"#;
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (transport, _) = server(&dir, vec![answer].leak());
    let error = get(&transport).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), "No such thing");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{}",
        "x".repeat(2000)
    );
    let (transport, _) = server(&dir, vec![answer].leak());
    let error = get(&transport).await.unwrap_err();
    assert!(matches!(error, EngineError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn a_taken_over_connection_begins_behind_the_head() {
    for answer in [
        "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nraw",
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (transport, _) = server(&dir, vec![answer].leak());
        let (_, mut stream) = transport
            .upgrade(post("/containers/x/attach"), Duration::from_secs(5))
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "raw");
    }
}

#[tokio::test]
async fn a_refused_takeover_is_the_daemons_error() {
    for answer in [
        "HTTP/1.1 409 Conflict\r\nContent-Length: 25\r\n\r\n{\"message\":\"not running\"}",
        "HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n{\"message\":\"not running\"}\r\n0\r\n\r\n",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (transport, _) = server(&dir, vec![answer].leak());
        let error = transport
            .upgrade(post("/exec/x/start"), Duration::from_secs(5))
            .await
            .unwrap_err();
        let message = "not running".to_owned();
        assert_eq!(error, EngineError::Status { code: 409, message });
    }
}
