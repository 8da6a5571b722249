//! The engine going away and coming back, endpoints that do not work, and ssh, against a real engine.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use midwatch::engine::endpoint::Env;
use midwatch::model::{EngineNews, Problem};

use crate::engine_rig::{Made, OwnEngine, Rig, docker, socket};

fn down(news: &EngineNews) -> Option<Problem> {
    match news {
        EngineNews::Down(problem) => Some(problem.clone()),
        _ => None,
    }
}

#[test]
fn a_killed_engine_is_told_at_once_and_comes_back_by_itself() {
    if socket().is_none() {
        return;
    }
    let own = OwnEngine::up("life");
    let path = own.socket();
    let text = path.to_str().unwrap().to_owned();
    let mut made = Made::on(&text);
    let kept = made.make("create", "engine-life", &[], &["true"]);
    let mut rig = Rig::unix(&path);
    assert!(rig.listed().iter().any(|r| r.key == kept));
    rig.inspected(kept);

    own.kill();
    let begun = Instant::now();
    let (problem, _) = rig.wait("down", down);
    println!("dockerd's end to Down: {:?}: {problem}", begun.elapsed());
    assert!(problem.what.contains(&text), "{problem}");
    assert!(
        !problem.why.is_empty() && !problem.remedy.is_empty(),
        "{problem}"
    );

    let begun = Instant::now();
    own.again();
    println!("dockerd up again after {:?}", begun.elapsed());
    let begun = Instant::now();
    assert!(rig.listed().iter().any(|r| r.key == kept));
    println!("then listed after {:?}", begun.elapsed());
    assert!(!rig.told_nothing_is_there());
    // Events flow again.
    let later = made.make("create", "engine-life2", &[], &["true"]);
    rig.wait("row", |n| {
        matches!(n, EngineNews::Changed(r) if r.key == later).then_some(())
    });
}

#[test]
fn a_standing_engine_is_told_from_a_quiet_one() {
    if socket().is_none() {
        return;
    }
    let own = OwnEngine::up("stopped");
    let path = own.socket();
    let mut rig = Rig::unix(&path);
    rig.listed();
    own.signal("-STOP");
    let begun = Instant::now();
    let (problem, _) = rig.wait("down", down);
    own.signal("-CONT");
    println!(
        "a standing dockerd told after {:?}: {problem}",
        begun.elapsed()
    );
    assert!(problem.why.contains("longer than"), "{problem}");
    rig.listed();
}

#[test]
fn a_named_endpoint_never_falls_back_and_a_searched_one_is_found() {
    let Some(socket) = socket() else { return };
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("var/run")).unwrap();
    std::os::unix::fs::symlink(&socket, root.path().join("var/run/docker.sock")).unwrap();
    let env = Env::of(&[], root.path());
    let mut found = Rig::asking(None, env.clone());
    let (info, _) = found.wait("up", |n| match n {
        EngineNews::Up(info) => Some(info.clone()),
        _ => None,
    });
    assert_eq!(info.chosen_by, "found");
    assert!(
        info.endpoint.ends_with("/var/run/docker.sock"),
        "{}",
        info.endpoint
    );
    assert_eq!(info.name, "Docker");
    // Name and version are told with the first list; the rest follows.
    let (info, _) = found.wait("facts", |n| match n {
        EngineNews::Up(info) if info.cgroup_version.is_some() => Some(info.clone()),
        _ => None,
    });
    assert!(info.cpus.is_some() && info.memory_bytes.is_some() && !info.api_version.is_empty());

    let mut named = Rig::asking(Some("unix:///nonexistent/docker.sock".into()), env);
    for _ in 0..2 {
        let (problem, _) = named.wait("down", down);
        assert!(
            problem.what.contains("/nonexistent/docker.sock"),
            "{problem}"
        );
        assert!(problem.why.contains("no such socket"), "{problem}");
    }
    assert!(
        !named
            .seen
            .iter()
            .any(|n| matches!(n, EngineNews::Up(_) | EngineNews::Listed(_)))
    );
    assert!(named.handle.engine().is_none());
}

/// A program in ssh's place runs what it is told to run on the far side here: docker's own `dial-stdio`.
#[test]
fn an_engine_behind_ssh_works_through_dial_stdio() {
    let Some(socket) = socket() else { return };
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("ssh");
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nexport DOCKER_HOST=unix://{socket}\nexec sh -c \"$*\"\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "engine_life::ssh_child",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(
            "PATH",
            format!(
                "{}:{}",
                dir.path().display(),
                std::env::var("PATH").unwrap()
            ),
        )
        .env("XDG_RUNTIME_DIR", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{text}");
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .filter(|e| e.file_name() != "ssh")
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Run by the test above with its own PATH.
#[test]
#[ignore = "run by an_engine_behind_ssh_works_through_dial_stdio"]
fn ssh_child() {
    let socket = socket().unwrap();
    let mut rig = Rig::asking(
        Some("ssh://me@far".into()),
        Env::of(&[], Path::new("/nonexistent")),
    );
    let (info, took) = rig.wait("up", |n| match n {
        EngineNews::Up(info) => Some(info.clone()),
        _ => None,
    });
    assert!(info.remote_by_nature);
    assert_eq!(info.endpoint, "ssh://me@far");
    println!("listed through ssh's place after {took:?}");
    let mut made = Made::on(&socket);
    let key = made.make("create", "engine-ssh", &[], &["true"]);
    rig.wait("row", |n| {
        matches!(n, EngineNews::Changed(r) if r.key == key).then_some(())
    });
    docker(&socket, &["rm", "engine-ssh"]);
    rig.wait("removal", |n| {
        matches!(n, EngineNews::Removed(k) if *k == key).then_some(())
    });
}
