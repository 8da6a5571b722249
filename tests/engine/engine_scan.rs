//! What a scan does with a real engine: a container that never starts, its file system, nothing left behind.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Docker, Engine, EngineError};
use midwatch::model::{ContainerKey, EngineNews, HostId, ImageId};

use crate::engine_rig::{Made, OwnEngine, PATIENCE, Rig, docker, socket, try_docker};

fn engine(socket: &Path) -> Engine {
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

/// An image of a test's own, removed when it ends.
struct Picture {
    socket: String,
    tag: String,
}

impl Picture {
    /// Imports what `write` puts into a folder.
    fn import(socket: &str, tag: &str, changes: &[&str], write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        let mut tar = Command::new("tar")
            .args(["-C", folder.path().to_str().unwrap(), "-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut import = Command::new("docker");
        import.args(["-H", &format!("unix://{socket}"), "import"]);
        for change in changes {
            import.args(["-c", change]);
        }
        let output = import
            .args(["-", tag])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(tar.wait().unwrap().success() && output.status.success());
        Self {
            socket: socket.to_owned(),
            tag: tag.to_owned(),
        }
    }

    fn id(&self) -> ImageId {
        let id = docker(
            &self.socket,
            &["image", "inspect", "-f", "{{.Id}}", &self.tag],
        );
        ImageId(id.as_str().into())
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        try_docker(&self.socket, &["rmi", "-f", &self.tag]);
    }
}

async fn whole(engine: &Engine, key: ContainerKey) -> Result<Vec<u8>, EngineError> {
    let mut export = engine.export(key).await?;
    let mut out = Vec::new();
    while export.read(&mut out).await? {}
    Ok(out)
}

/// Path to size and kind, by the system's tar.
fn entries(tar: &[u8]) -> BTreeMap<String, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(tar).unwrap();
    let output = Command::new("tar")
        .args(["--numeric-owner", "-tvf", file.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[5..].join(" "), format!("{} {}", words[0], words[2]))
        })
        .collect()
}

fn is_there(socket: &str, key: ContainerKey) -> bool {
    docker(socket, &["ps", "-a", "-q", "--no-trunc"]).contains(&key.id.to_string())
}

#[test]
fn images_and_containers_are_found_by_whatever_names_them() {
    let Some(socket) = socket() else { return };
    let mut made = Made::on(&socket);
    let container = made.make("create", "engine-find", &[], &["true"]);
    let engine = engine(Path::new(&socket));
    block(async {
        let (id, json) = engine
            .find_image("midwatch-test:busybox")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(json["Id"], *id.0);
        let short = id.0.strip_prefix("sha256:").unwrap().get(..12).unwrap();
        for name in [&*id.0, short] {
            let (same, _) = engine.find_image(name).await.unwrap().unwrap();
            assert_eq!(same, id);
        }
        for none in [
            "",
            "nosuch:1",
            "Upper",
            "a b",
            "..",
            "../containers",
            "a//b",
            "x\r\ny",
        ] {
            assert_eq!(engine.find_image(none).await, Ok(None), "{none:?}");
        }
        let id = container.id.to_string();
        for name in ["engine-find", "/engine-find", &id, &container.id.short()] {
            let (same, json) = engine.find_container(name).await.unwrap().unwrap();
            assert_eq!(same, container);
            assert_eq!(json["Name"], "/engine-find");
        }
        for none in ["", "nosuch", "..", "a/b", "../images", "a b"] {
            assert_eq!(engine.find_container(none).await, Ok(None), "{none:?}");
        }
    });
}

#[test]
fn a_file_system_is_dockers_own_and_nothing_is_left_behind() {
    let Some(socket) = socket() else { return };
    // As `FROM scratch` makes one: no command, no PATH, with a volume and a folder to work in.
    let changes = ["VOLUME /data", "WORKDIR /w/x", "ENTRYPOINT [\"/nothing\"]"];
    let picture = Picture::import(&socket, "midwatch-test:scan", &changes, |root| {
        std::fs::create_dir_all(root.join("data")).unwrap();
        std::fs::write(root.join("data/kept"), vec![7; 100_000]).unwrap();
        std::fs::write(root.join("empty"), b"").unwrap();
        std::fs::write(root.join("big"), vec![9; 3_000_000]).unwrap();
        std::fs::write(root.join("é name"), b"x").unwrap();
        std::os::unix::fs::symlink("big", root.join("link")).unwrap();
        std::fs::hard_link(root.join("big"), root.join("twin")).unwrap();
    });
    let bare = Picture::import(&socket, "midwatch-test:bare", &[], |_| {});
    let volumes = || docker(&socket, &["volume", "ls", "-q"]);
    let before = volumes();
    let engine = engine(Path::new(&socket));
    for (picture, platform) in [
        (&picture, Some("linux/amd64")),
        (&picture, Some("linux/riscv64")),
        (&picture, None),
        (&bare, None),
    ] {
        block(async {
            let made = engine
                .create_scan_container(&picture.id(), platform)
                .await
                .unwrap();
            let id = made.key.id.to_string();
            assert_eq!(
                docker(&socket, &["inspect", "-f", "{{.State.Status}}", &id]),
                "created"
            );
            let ours = whole(&engine, made.key).await.unwrap();
            let theirs = Command::new("docker")
                .args(["-H", &format!("unix://{socket}"), "export", &id])
                .output()
                .unwrap();
            assert_eq!(entries(&ours), entries(&theirs.stdout));
            assert_eq!(ours.len(), theirs.stdout.len());
            if picture.tag.ends_with("scan") {
                let all = entries(&ours);
                assert!(all["data/kept"].ends_with(" 100000"), "{all:?}");
                assert!(all.contains_key("twin link to big") || all.contains_key("twin"));
            }
            engine.remove_scan_container(made.key).await.unwrap();
            assert!(!is_there(&socket, made.key));
            // Gone already: fine.
            engine.remove_scan_container(made.key).await.unwrap();
            let gone = engine.export(made.key).await.unwrap_err();
            assert!(gone.is_not_found(), "{gone}");
        });
    }
    assert_eq!(volumes(), before);
    let none =
        ImageId("sha256:0000000000000000000000000000000000000000000000000000000000000000".into());
    let error = block(engine.create_scan_container(&none, None)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn an_export_given_up_in_its_middle_frees_the_container() {
    let Some(socket) = socket() else { return };
    let picture = Picture::import(&socket, "midwatch-test:half", &[], |root| {
        std::fs::write(root.join("big"), vec![1; 60_000_000]).unwrap();
    });
    let engine = engine(Path::new(&socket));
    block(async {
        let made = engine
            .create_scan_container(&picture.id(), None)
            .await
            .unwrap();
        let mut export = engine.export(made.key).await.unwrap();
        let mut out = Vec::new();
        while out.len() < 5_000_000 {
            assert!(export.read(&mut out).await.unwrap());
        }
        drop(export);
        let begun = Instant::now();
        engine.remove_scan_container(made.key).await.unwrap();
        println!("given up and removed after {:?}", begun.elapsed());
        assert!(!is_there(&socket, made.key));
        // A caller that does not wait for its container leaves none.
        let labelled = || {
            let args = [
                "ps",
                "-a",
                "-q",
                "--no-trunc",
                "--filter",
                "ancestor=midwatch-test:half",
            ];
            docker(&socket, &args)
        };
        let image = picture.id();
        let unwaited = engine.create_scan_container(&image, None);
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, unwaited)
                .await
                .is_err()
        );
        let mut seen = false;
        let begun = Instant::now();
        while !seen || !labelled().is_empty() {
            seen |= !labelled().is_empty() || begun.elapsed().as_millis() > 1500;
            assert!(begun.elapsed() < PATIENCE, "left behind: {}", labelled());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn what_dead_processes_left_is_swept_and_the_livings_stays() {
    let Some(socket) = socket() else { return };
    let engine = engine(Path::new(&socket));
    block(async {
        let (image, _) = engine
            .find_image("midwatch-test:busybox")
            .await
            .unwrap()
            .unwrap();
        // What an earlier run may have left.
        engine.sweep_scan_containers().await.unwrap();
        let living = engine.create_scan_container(&image, None).await.unwrap();
        let (_, told) = engine
            .find_container(&living.key.id.to_string())
            .await
            .unwrap()
            .unwrap();
        let labels = told["Config"]["Labels"].as_object().unwrap();
        // A process that has ended and was reaped.
        let mut child = Command::new("true").spawn().unwrap();
        let dead = child.id().to_string();
        child.wait().unwrap();
        let mut made = Made::on(&socket);
        let mut twin = |name: &str, command: &str, change: &[(&str, &str)]| {
            let mut flags = Vec::new();
            for (label, value) in labels {
                let value = change
                    .iter()
                    .find(|(changed, _)| changed == label)
                    .map_or(value.as_str().unwrap(), |(_, value)| *value);
                flags.push(format!("--label={label}={value}"));
            }
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            made.make("create", name, &flags, &[command])
        };
        let scan = "midwatch-scan";
        let pid = ("midwatch.scan.pid", dead.as_str());
        let orphan = twin("engine-sweep-dead", scan, &[pid]);
        let reused = twin("engine-sweep-reused", scan, &[("midwatch.scan.start", "1")]);
        let boot = twin(
            "engine-sweep-boot",
            scan,
            &[("midwatch.scan.boot", "old"), pid],
        );
        let other = twin(
            "engine-sweep-other",
            scan,
            &[("midwatch.scan", "box-1"), pid],
        );
        let somebodys = twin("engine-sweep-label", "sleep", &[pid]);

        assert_eq!(engine.sweep_scan_containers().await.unwrap(), 3);
        for gone in [orphan, reused, boot] {
            assert!(!is_there(&socket, gone), "{gone:?}");
        }
        for kept in [living.key, other, somebodys] {
            assert!(is_there(&socket, kept), "{kept:?}");
        }
        assert_eq!(engine.sweep_scan_containers().await.unwrap(), 0);
        engine.remove_scan_container(living.key).await.unwrap();
    });
}

#[test]
fn a_scans_container_is_never_seen_in_the_list_or_as_an_event() {
    let Some(socket) = socket() else { return };
    let engine = engine(Path::new(&socket));
    let mut rig = Rig::unix(Path::new(&socket));
    rig.listed();
    let mut made = Made::on(&socket);
    let scanned = block(async {
        let (image, _) = engine
            .find_image("midwatch-test:busybox")
            .await
            .unwrap()
            .unwrap();
        let scan = engine.create_scan_container(&image, None).await.unwrap();
        assert!(is_there(&socket, scan.key));
        let rows = engine.list().await.unwrap();
        assert!(!rows.iter().any(|row| row.key == scan.key));
        // A list made while it is there does not show it either.
        let listed = Rig::unix(Path::new(&socket)).listed();
        assert!(!listed.iter().any(|row| row.key == scan.key));
        engine.remove_scan_container(scan.key).await.unwrap();
        scan.key
    });
    // What comes after it has come: it would have been seen.
    let later = made.make("create", "engine-scan-later", &[], &["true"]);
    rig.wait("the row that came later", |news| {
        matches!(news, EngineNews::Changed(row) if row.key == later).then_some(())
    });
    docker(&socket, &["rm", "engine-scan-later"]);
    rig.wait("its removal", |news| {
        matches!(news, EngineNews::Removed(key) if *key == later).then_some(())
    });
    let told: Vec<&EngineNews> = rig
        .seen
        .iter()
        .filter(|news| match news {
            EngineNews::Event(event) => event.container == Some(scanned),
            EngineNews::Changed(row) => row.key == scanned,
            EngineNews::Removed(key) | EngineNews::Inspected(key, _) => *key == scanned,
            EngineNews::Listed(rows) => rows.iter().any(|row| row.key == scanned),
            _ => false,
        })
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn an_engine_that_dies_in_the_middle_is_an_error() {
    if socket().is_none() {
        return;
    }
    let own = OwnEngine::up("scan");
    let path = own.socket();
    let picture = Picture::import(path.to_str().unwrap(), "midwatch-test:die", &[], |root| {
        std::fs::write(root.join("big"), vec![1; 60_000_000]).unwrap();
    });
    let engine = engine(&path);
    block(async {
        let made = engine
            .create_scan_container(&picture.id(), None)
            .await
            .unwrap();
        let mut export = engine.export(made.key).await.unwrap();
        let mut out = Vec::new();
        assert!(export.read(&mut out).await.unwrap());
        own.kill();
        let error = loop {
            match export.read(&mut out).await {
                Ok(true) => {}
                Ok(false) => panic!("a short success: {} bytes", out.len()),
                Err(error) => break error,
            }
        };
        println!("{} bytes, then: {error}", out.len());
        assert!(error.is_connection(), "{error}");
        assert!(export.read(&mut out).await.is_err());
    });
}

/// The speed beside `docker export`'s, by hand: MIDWATCH_TEST_EXPORT names an image.
#[test]
fn speed_beside_dockers_own_if_named() {
    let (Some(socket), Ok(image)) = (socket(), std::env::var("MIDWATCH_TEST_EXPORT")) else {
        return;
    };
    let engine = engine(Path::new(&socket));
    block(async {
        let (image, _) = engine.find_image(&image).await.unwrap().unwrap();
        let made = engine.create_scan_container(&image, None).await.unwrap();
        let id = made.key.id.to_string();
        for round in 0..7 {
            let begun = Instant::now();
            let mut child = Command::new("docker")
                .args(["-H", &format!("unix://{socket}"), "export", &id])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut theirs = 0;
            let mut buffer = vec![0; 128 * 1024];
            let mut from = child.stdout.take().unwrap();
            loop {
                match from.read(&mut buffer).unwrap() {
                    0 => break,
                    n => theirs += n,
                }
            }
            child.wait().unwrap();
            let docker = begun.elapsed();
            let begun = Instant::now();
            let mut export = engine.export(made.key).await.unwrap();
            let (mut out, mut ours) = (Vec::new(), 0);
            while export.read(&mut out).await.unwrap() {
                ours += out.len();
                out.clear();
            }
            let own = begun.elapsed();
            assert_eq!(ours, theirs);
            println!(
                "{round}: {} MB: docker export {docker:?}, ours {own:?}: {:.0} %",
                ours >> 20,
                100.0 * docker.as_secs_f64() / own.as_secs_f64()
            );
        }
        engine.remove_scan_container(made.key).await.unwrap();
    });
}
