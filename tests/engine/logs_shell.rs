//! Shells in containers of a real engine.

use std::time::Duration;

use midwatch::engine::exec::{Exec, TerminalSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::host_docker::Docker;
use crate::logs_rig::{DEADLINE, Rig, key};

const SIZE: TerminalSize = TerminalSize {
    columns: 90,
    rows: 33,
};

/// Reads what is printed until it contains `wanted`.
async fn until(printed: &mut (impl AsyncReadExt + Unpin), seen: &mut String, wanted: &str) {
    let reading = async {
        let mut buffer = [0; 1024];
        while !seen.contains(wanted) {
            let count = printed.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "ended with {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    let done = tokio::time::timeout(DEADLINE, reading).await;
    assert!(done.is_ok(), "no {wanted:?} in {seen:?}");
}

#[test]
fn a_shell_has_a_terminal_of_the_right_size_and_an_exit_status() {
    let Some(docker) = Docker::find() else { return };
    let rig = Rig::local(&docker.socket);
    let name = format!("logs-shell-{}", std::process::id());
    let container = docker.run(&name, &[], "sleep 1000");
    rig.runtime.block_on(async {
        let exec = Exec::shell(&rig.engine, key(&container.id), SIZE, "xterm")
            .await
            .unwrap();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (mut printed, mut keys) = tokio::io::split(ours);
        let (input, output) = tokio::io::split(theirs);
        let (resize, sizes) = tokio::sync::watch::channel(SIZE);
        let pump = tokio::spawn(exec.pump(input, output, sizes));
        let mut seen = String::new();
        keys.write_all(b"stty size; echo term=$TERM; echo ready-$((40+2))\n")
            .await
            .unwrap();
        until(&mut printed, &mut seen, "ready-42").await;
        assert!(seen.contains("33 90"), "{seen}");
        assert!(seen.contains("term=xterm"), "{seen}");
        resize
            .send(TerminalSize {
                columns: 120,
                rows: 40,
            })
            .unwrap();
        // The size comes by another connection than the keys: ask until it is there.
        let begun = std::time::Instant::now();
        while !seen.contains("40 120") {
            assert!(begun.elapsed() < DEADLINE, "{seen}");
            keys.write_all(b"stty size; echo asked-$((1+1))\n")
                .await
                .unwrap();
            seen.clear();
            until(&mut printed, &mut seen, "asked-2").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        keys.write_all(b"exit 7\n").await.unwrap();
        let drain = tokio::spawn(async move {
            let mut rest = Vec::new();
            let _ = printed.read_to_end(&mut rest).await;
        });
        let code = tokio::time::timeout(DEADLINE, pump).await.unwrap().unwrap();
        assert_eq!(code.unwrap(), Some(7));
        drop(keys);
        let _ = drain.await;
    });
}

#[test]
fn a_container_that_does_not_run_says_so_in_the_daemons_words() {
    let Some(docker) = Docker::find() else { return };
    let rig = Rig::local(&docker.socket);
    let name = format!("logs-noshell-{}", std::process::id());
    let container = docker.run(&name, &[], "sleep 1000");
    rig.runtime.block_on(async {
        let error = Exec::start(&rig.engine, key(&container.id), &["nosuch"], SIZE, "xterm")
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("executable file not found"),
            "{error}"
        );
    });
    docker.ask(&["kill", &container.id]);
    rig.runtime.block_on(async {
        let error = Exec::shell(&rig.engine, key(&container.id), SIZE, "xterm")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("is not running"), "{error}");
    });
}
