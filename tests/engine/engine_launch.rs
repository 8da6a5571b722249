//! Making, starting, awaiting and removing containers on a real engine.

use std::time::Instant;

use serde_json::{Value, json};

use midwatch::engine::exec::TerminalSize;
use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Attaching, Created, Docker, Engine, EngineError};
use midwatch::model::HostId;

use crate::engine_rig::{PATIENCE, docker, socket, try_docker};

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

/// A create call's body without a network.
fn body(command: &[&str]) -> Value {
    json!({
        "Image": "midwatch-test:busybox", "Cmd": command,
        "HostConfig": {"NetworkMode": "none"},
    })
}

/// Names that are removed before and after.
struct Named<'a>(&'a str, String);

impl<'a> Named<'a> {
    fn on(socket: &'a str, name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        try_docker(socket, &["rm", "-f", "-v", &name]);
        Self(socket, name)
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        try_docker(self.0, &["rm", "-f", "-v", &self.1]);
    }
}

fn code(error: &EngineError) -> u16 {
    match error {
        EngineError::Status { code, .. } => *code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_is_made_started_and_awaited() {
    let Some(socket) = socket() else { return };
    let name = Named::on(&socket, "launch-awaited");
    let engine = engine(&socket);
    block(async {
        let script = "echo one; printf '  two\\033[31mred\\n' >&2; exit 7";
        let mut asked = body(&["sh", "-c", script]);
        asked["HostConfig"]["DeviceRequests"] =
            json!([{"Driver": "", "Count": 0, "DeviceIDs": ["3", "5"], "Capabilities": [["gpu"]]}]);
        let Created { key, warnings } = engine.create(&asked, Some(&name.1), None).await.unwrap();
        assert!(warnings.len() < 5, "{warnings:?}");
        let shown = engine.inspect_json(key).await.unwrap();
        assert_eq!(shown["Name"], format!("/{}", name.1));
        assert_eq!(
            shown["HostConfig"]["DeviceRequests"][0]["DeviceIDs"],
            json!(["3", "5"])
        );
        // The name is taken now, and an image that is not there is said to be missing.
        let taken = engine.create(&body(&["true"]), Some(&name.1), None).await;
        let taken = taken.unwrap_err();
        assert_eq!(code(&taken), 409, "{taken}");
        assert!(taken.to_string().contains("already in use"), "{taken}");
        let mut other = body(&["true"]);
        other["Image"] = "midwatch-nosuch:1".into();
        let missing = engine.create(&other, None, None).await.unwrap_err();
        assert_eq!(code(&missing), 404, "{missing}");
        assert!(missing.to_string().contains("No such image"), "{missing}");

        let waiting = engine.wait_begin(key, false).await.unwrap();
        engine.start(key).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, waiting.exit()).await;
        assert_eq!(ended.unwrap(), Ok(7));
        assert_eq!(engine.wait(key).await, Ok(7));
        let mut lines = engine.tail(key, 10).await.unwrap();
        lines.sort();
        assert_eq!(lines, ["  twored", "one"]);
        assert_eq!(engine.tail(key, 0).await.unwrap(), Vec::<String>::new());
        engine.remove_created(key).await.unwrap();
        engine.remove_created(key).await.unwrap();
        assert_eq!(code(&engine.wait(key).await.unwrap_err()), 404);
    });
}

#[test]
fn the_end_of_a_container_that_is_removed_at_once_is_seen() {
    let Some(socket) = socket() else { return };
    let engine = engine(&socket);
    block(async {
        for (removed, status) in [(true, 3), (true, 0), (false, 4)] {
            let mut asked = body(&["sh", "-c", &format!("exit {status}")]);
            asked["HostConfig"]["AutoRemove"] = true.into();
            let made = engine.create(&asked, None, None).await.unwrap();
            let waiting = engine.wait_begin(made.key, removed).await.unwrap();
            engine.start(made.key).await.unwrap();
            let ended = tokio::time::timeout(PATIENCE, waiting.exit()).await;
            assert_eq!(ended.unwrap(), Ok(status));
            // Removed by the engine, or by us, who come in its way.
            engine.remove_created(made.key).await.unwrap();
        }
    });
}

#[test]
fn a_refused_start_says_why_and_leaves_a_container_to_remove() {
    let Some(socket) = socket() else { return };
    let engine = engine(&socket);
    block(async {
        let made = engine
            .create(&body(&["/nosuch/program"]), None, None)
            .await
            .unwrap();
        let refused = engine.start(made.key).await.unwrap_err();
        assert!(
            refused.to_string().contains("no such file or directory"),
            "{refused}"
        );
        let shown = engine.inspect_json(made.key).await.unwrap();
        assert_eq!(shown["State"]["Status"], "created");
        engine.remove_created(made.key).await.unwrap();
        assert!(
            engine
                .inspect_json(made.key)
                .await
                .unwrap_err()
                .is_not_found()
        );
    });
}

#[test]
fn signals_and_sizes_reach_a_running_container() {
    let Some(socket) = socket() else { return };
    let engine = engine(&socket);
    block(async {
        let mut asked = body(&[
            "sh",
            "-c",
            "trap 'exit 42' USR1; while :; do read -t 1 x; done",
        ]);
        asked["Tty"] = true.into();
        asked["OpenStdin"] = true.into();
        let made = engine.create(&asked, None, None).await.unwrap();
        let stopped = engine.kill(made.key, "SIGUSR1").await.unwrap_err();
        assert!(stopped.to_string().contains("running"), "{stopped}");
        let waiting = engine.wait_begin(made.key, false).await.unwrap();
        engine.start(made.key).await.unwrap();
        // One that runs already is fine.
        engine.start(made.key).await.unwrap();
        let size = TerminalSize {
            columns: 91,
            rows: 23,
        };
        engine.resize(made.key, size).await.unwrap();
        assert!(engine.kill(made.key, "NO SUCH&x=1").await.is_err());
        engine.kill(made.key, "USR1").await.unwrap();
        // The shell may not have set its trap yet: then the signal ends it.
        let ended = tokio::time::timeout(PATIENCE, waiting.exit()).await;
        let ended = ended.unwrap().unwrap();
        assert!(matches!(ended, 42 | 138), "{ended}");
        engine.remove_created(made.key).await.unwrap();
    });
}

#[test]
fn who_stops_waiting_for_a_container_leaves_none_behind() {
    let Some(socket) = socket() else { return };
    let name = Named::on(&socket, "launch-nobodys");
    let engine = engine(&socket);
    block(async {
        for _ in 0..4 {
            let asked = body(&["true"]);
            let creating = engine.create(&asked, Some(&name.1), None);
            // Polled once: on its way.
            let given_up = tokio::time::timeout(std::time::Duration::ZERO, creating).await;
            assert!(given_up.is_err());
            let begun = Instant::now();
            loop {
                // It is made, or not yet; and then gone for good.
                match engine.create(&body(&["true"]), Some(&name.1), None).await {
                    Ok(made) => {
                        engine.remove_created(made.key).await.unwrap();
                        break;
                    }
                    Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
                }
                assert!(begun.elapsed() < PATIENCE, "it stays");
            }
        }
        let begun = Instant::now();
        let filter = format!("name={}", name.1);
        while !docker(&socket, &["ps", "-a", "-q", "--filter", &filter]).is_empty() {
            assert!(begun.elapsed() < PATIENCE, "one is left");
            tokio::task::yield_now().await;
        }
    });
}

/// A made container, attached to, started, pumped to its end: what came out of both outputs, and its status.
async fn foreground(
    engine: &Engine,
    asked: &Value,
    what: Attaching,
    stdin: impl tokio::io::AsyncRead + Unpin,
) -> (Vec<u8>, Vec<u8>, i64) {
    let made = engine.create(asked, None, None).await.unwrap();
    let attached = engine.attach(made.key, what).await.unwrap();
    let waiting = engine.wait_begin(made.key, false).await.unwrap();
    engine.start(made.key).await.unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let pumped = tokio::time::timeout(PATIENCE * 3, attached.pump(stdin, &mut out, &mut err)).await;
    pumped.unwrap().unwrap();
    let status = tokio::time::timeout(PATIENCE, waiting.exit()).await;
    engine.remove_created(made.key).await.unwrap();
    (out, err, status.unwrap().unwrap())
}

const OUTPUTS: Attaching = Attaching {
    stdin: false,
    stdout: true,
    stderr: true,
    tty: false,
};
const ALL: Attaching = Attaching {
    stdin: true,
    ..OUTPUTS
};

/// A body whose input is open, and ends with who is attached.
fn typed(command: &[&str]) -> Value {
    let mut asked = body(command);
    for name in [
        "OpenStdin",
        "StdinOnce",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
    ] {
        asked[name] = true.into();
    }
    asked
}

#[test]
fn both_outputs_come_whole_and_the_end_of_the_input_is_passed_on() {
    let Some(socket) = socket() else { return };
    let engine = engine(&socket);
    block(async {
        let script = "echo out; echo err >&2; printf 'no end'; exit 9";
        let got = foreground(
            &engine,
            &body(&["sh", "-c", script]),
            OUTPUTS,
            tokio::io::empty(),
        )
        .await;
        assert_eq!(got, (b"out\nno end".to_vec(), b"err\n".to_vec(), 9));

        // 10 MB there and back: `cat` ends at the end of its input alone.
        let much: Vec<u8> = (0..10_000_000u32).map(|n| (n % 251) as u8).collect();
        let (out, err, status) = foreground(&engine, &typed(&["cat"]), ALL, &*much).await;
        assert!(out == much, "{} bytes came back", out.len());
        assert_eq!((err.len(), status), (0, 0));

        // What the container writes behind the end of its input counts.
        let script = "cat >/dev/null; echo done; echo late >&2; exit 3";
        let got = foreground(
            &engine,
            &typed(&["sh", "-c", script]),
            ALL,
            &b"some\nlines\n"[..],
        )
        .await;
        assert_eq!(got, (b"done\n".to_vec(), b"late\n".to_vec(), 3));
    });
}

#[test]
fn a_container_with_a_terminal_is_raw() {
    let Some(socket) = socket() else { return };
    let engine = engine(&socket);
    block(async {
        let mut asked = typed(&[
            "sh",
            "-c",
            "read line; echo \"got $line\"; echo e >&2; exit 5",
        ]);
        asked["Tty"] = true.into();
        let (mut keys, far) = tokio::io::duplex(64);
        // Its end is not the input's: a terminal's end is a key.
        tokio::io::AsyncWriteExt::write_all(&mut keys, b"words\r")
            .await
            .unwrap();
        let what = Attaching { tty: true, ..ALL };
        let (out, err, status) = foreground(&engine, &asked, what, far).await;
        drop(keys);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "words\r\ngot words\r\ne\r\n");
        assert_eq!((err.len(), status), (0, 5));
    });
}

#[test]
fn an_output_that_is_gone_stops_no_container() {
    let Some(socket) = socket() else { return };
    let engine = engine(&socket);
    block(async {
        // 40 MB, more than is held for a slow reader.
        let script = "dd if=/dev/zero bs=65536 count=640 2>/dev/null; echo end >&2";
        let made = engine
            .create(&body(&["sh", "-c", script]), None, None)
            .await
            .unwrap();
        let attached = engine.attach(made.key, OUTPUTS).await.unwrap();
        let waiting = engine.wait_begin(made.key, false).await.unwrap();
        engine.start(made.key).await.unwrap();
        let (out, closed) = tokio::io::duplex(1024);
        drop(closed);
        let mut err = Vec::new();
        let pumping = attached.pump(tokio::io::empty(), out, &mut err);
        let pumped = tokio::time::timeout(PATIENCE * 2, pumping).await;
        pumped.unwrap().unwrap();
        assert_eq!(err, b"end\n");
        assert_eq!(waiting.exit().await, Ok(0));
        engine.remove_created(made.key).await.unwrap();

        // A reader that is slow gets everything all the same.
        let made = engine
            .create(&body(&["sh", "-c", script]), None, None)
            .await
            .unwrap();
        let attached = engine.attach(made.key, OUTPUTS).await.unwrap();
        engine.start(made.key).await.unwrap();
        let (out, mut slow) = tokio::io::duplex(1024);
        let reading = async {
            let mut buffer = vec![0; 4096];
            let mut count = 0;
            loop {
                match tokio::io::AsyncReadExt::read(&mut slow, &mut buffer)
                    .await
                    .unwrap()
                {
                    0 => return count,
                    read => count += read,
                }
            }
        };
        let pumping = attached.pump(tokio::io::empty(), out, tokio::io::sink());
        let both = async { tokio::join!(pumping, reading) };
        let (pumped, count) = tokio::time::timeout(PATIENCE * 3, both).await.unwrap();
        pumped.unwrap();
        assert_eq!(count, 640 * 65536);
        engine.remove_created(made.key).await.unwrap();
    });
}
