use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::build::place;

fn told() -> Told {
    Arc::new(|_| {})
}

fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn open(root: &Path) -> Context {
    place::open(root, None, Path::new("/")).unwrap().context
}

/// The whole stream, and how it ended.
fn send(context: Context) -> (Vec<u8>, Result<Sent, Problem>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut pieces, handle) = context.stream(told(), Cancel::default());
        let mut all = Vec::new();
        while let Some(piece) = pieces.recv().await {
            match piece {
                Ok(piece) => {
                    assert!(piece.len() <= PIECE);
                    all.extend_from_slice(&piece);
                }
                Err(_) => break,
            }
        }
        (all, handle.await.unwrap())
    })
}

/// What the system's tar makes of it: names (folders with a slash), and the folder it was unpacked into.
fn unpack(archive: &[u8]) -> (Vec<String>, tempfile::TempDir) {
    let into = tempfile::tempdir().unwrap();
    let mut child = Command::new("tar")
        .args([
            "-x",
            "-v",
            "-p",
            "--no-same-owner",
            "--quoting-style=literal",
        ])
        .arg("-C")
        .arg(into.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let archive = archive.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&archive).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    let names = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    (names, into)
}

#[test]
fn a_folder_arrives_as_it_lies_there_without_what_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
    write(root, "Dockerfile", b"FROM scratch\n");
    write(
        root,
        ".dockerignore",
        b"venv\n*.log\n!keep.log\ndeep/*\n!deep/in\nDockerfile\n",
    );
    write(root, "app.py", b"print(1)\n");
    write(root, "run.sh", b"#!/bin/sh\n");
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    write(root, "a.log", b"x");
    write(root, "keep.log", b"x");
    write(root, "venv/bin/python", b"x");
    write(root, "deep/in/x", b"x");
    write(root, "deep/out/x", b"x");
    write(root, "empty/.keep", b"");
    write(root, "ünï.txt", b"x");
    write(root, &long, &vec![7u8; 300_000]);
    symlink("/etc/passwd", root.join("outside")).unwrap();
    symlink("t".repeat(150), root.join("far")).unwrap();
    symlink("venv", root.join("linked-folder")).unwrap();

    let context = open(root);
    let counted = context.count(&Cancel::default()).unwrap();
    let (archive, ended) = send(context);
    let sent = ended.unwrap();
    assert_eq!(archive.len() % 512, 0);
    assert_eq!(sent.notes, Vec::<String>::new());
    assert_eq!((sent.bytes, counted.files), (counted.bytes, 9));
    assert_eq!(counted.largest[0], ("d".repeat(90), 300_000));
    let (names, into) = unpack(&archive);
    assert_eq!(
        names,
        [
            ".dockerignore",
            "Dockerfile",
            "app.py",
            &format!("{}/", "d".repeat(90)),
            &long,
            "deep/",
            "deep/in/",
            "deep/in/x",
            "empty/",
            "empty/.keep",
            "far",
            "keep.log",
            "linked-folder",
            "outside",
            "run.sh",
            "ünï.txt",
        ]
    );
    let into = into.path();
    let mode = fs::metadata(into.join("run.sh"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o750);
    assert_eq!(fs::read(into.join(&long)).unwrap(), vec![7u8; 300_000]);
    assert_eq!(
        fs::read_link(into.join("outside")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(
        fs::read_link(into.join("far")).unwrap(),
        Path::new(&"t".repeat(150))
    );
    // Nobody's ids: every owner and group of the archive is 0.
    assert_eq!(&archive[108..124], b"0000000\x000000000\x00");
}

#[test]
fn what_is_no_file_is_not_sent_and_said() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Dockerfile", b"FROM scratch\n");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("sock")).unwrap();
    let made = Command::new("mkfifo")
        .arg(folder.path().join("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    let (archive, ended) = send(open(folder.path()));
    assert_eq!(
        ended.unwrap().notes,
        [
            "pipe is a named pipe and is not sent",
            "sock is a socket and is not sent"
        ]
    );
    assert_eq!(unpack(&archive).0, ["Dockerfile"]);
}

#[test]
fn a_file_that_shrinks_is_filled_up_and_said() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Dockerfile", b"FROM scratch\n");
    write(folder.path(), "big", &vec![1u8; 4 << 20]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let context = open(folder.path());
    let path = folder.path().join("big");
    let (all, sent) = runtime.block_on(async {
        let (mut pieces, handle) = context.stream(told(), Cancel::default());
        // With its first piece here its size was sent; the rest is not read yet: four pieces wait at most.
        let mut all = pieces.recv().await.unwrap().unwrap().to_vec();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        while let Some(piece) = pieces.recv().await {
            all.extend_from_slice(&piece.unwrap());
        }
        (all, handle.await.unwrap().unwrap())
    });
    assert_eq!(sent.notes.len(), 1, "{sent:?}");
    assert!(
        sent.notes[0].starts_with("big became shorter while it was read: "),
        "{sent:?}"
    );
    let (_, into) = unpack(&all);
    let got = fs::read(into.path().join("big")).unwrap();
    assert_eq!(got.len(), 4 << 20);
    assert!(got.iter().rev().take(3 << 20).all(|b| *b == 0));
}

#[test]
fn what_cannot_be_read_is_named() {
    // root reads everything, so the fault is a file that cannot be opened at all.
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Dockerfile", b"FROM scratch\n");
    write(folder.path(), "sub/secret", b"x");
    let context = open(folder.path());
    let error = unreadable(
        "the file",
        "sub/secret",
        &std::io::Error::from(std::io::ErrorKind::PermissionDenied),
    );
    assert_eq!(
        error.to_string(),
        "cannot send the context: the file sub/secret cannot be read: permission denied. Make it readable, or leave it out with a line in .dockerignore: /sub/secret"
    );
    // A folder that is replaced by a link between the looks at it is an error as well, and not followed.
    let gone = Context {
        root: folder.path().join("nothing"),
        ..context
    };
    let (_, ended) = send(gone);
    assert!(
        ended
            .unwrap_err()
            .why
            .starts_with("the folder . cannot be read")
    );
}

#[test]
fn the_readers_of_the_stream_may_leave() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "Dockerfile", b"FROM scratch\n");
    write(folder.path(), "big", &vec![1u8; 8 << 20]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let sent = runtime.block_on(async {
        let own = Arc::clone(&seen);
        let told: Told = Arc::new(move |bytes| {
            own.fetch_max(bytes, Ordering::Relaxed);
        });
        let (mut pieces, handle) = open(folder.path()).stream(told, Cancel::default());
        assert!(pieces.recv().await.is_some());
        drop(pieces);
        handle.await.unwrap().unwrap()
    });
    assert!(sent.bytes < 8 << 20, "{sent:?}");
    assert!(seen.load(Ordering::Relaxed) < 8 << 20);
}

#[test]
fn a_dockerfile_from_elsewhere_is_sent_and_kept_out_of_the_image() {
    let (project, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(project.path(), "app.py", b"x");
    write(project.path(), ".dockerignore", b"*.log");
    write(
        other.path(),
        "Dockerfile.gpu",
        b"FROM scratch\nEXPOSE 7860\n",
    );
    let opened = place::open(
        project.path(),
        Some(&other.path().join("Dockerfile.gpu")),
        Path::new("/"),
    )
    .unwrap();
    let name = opened.context.place.name().to_owned();
    assert!(name.starts_with(".dockerfile."), "{name}");
    let (archive, ended) = send(opened.context);
    ended.unwrap();
    let (names, into) = unpack(&archive);
    assert_eq!(names, [".dockerignore", "app.py", &name]);
    assert_eq!(
        fs::read_to_string(into.path().join(".dockerignore")).unwrap(),
        format!("*.log\n{name}\n")
    );
    assert_eq!(
        fs::read_to_string(into.path().join(&name)).unwrap(),
        "FROM scratch\nEXPOSE 7860\n"
    );
}

#[test]
fn the_files_of_a_build_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "docker/gpu.Dockerfile", b"FROM gpu\n");
    write(root, "docker/gpu.Dockerfile.dockerignore", b"data\n");
    write(root, ".dockerignore", b"venv\n");
    let at = |dockerfile: Option<&str>| {
        place::open(Path::new("."), dockerfile.map(Path::new), root)
            .map(|o| (o.context.place.name().to_owned(), o.text, o.ignore_file))
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        at(Some("docker/gpu.Dockerfile")),
        Ok((
            "docker/gpu.Dockerfile".to_owned(),
            "FROM gpu\n".to_owned(),
            Some("docker/gpu.Dockerfile.dockerignore".to_owned())
        ))
    );
    let none = at(None).unwrap_err();
    assert!(
        none.contains("there is no Dockerfile at") && none.contains("midwatch init"),
        "{none}"
    );
    write(root, "dockerfile", b"FROM small\n");
    assert_eq!(
        at(None),
        Ok((
            "dockerfile".to_owned(),
            "FROM small\n".to_owned(),
            Some(".dockerignore".to_owned())
        ))
    );
    write(root, ".dockerignore", b"ok\n[a\n");
    let bad = at(None).unwrap_err();
    assert!(
        bad.starts_with("cannot read .dockerignore: line 2: \"[a\" is no pattern"),
        "{bad}"
    );
    let big = vec![b'#'; place::MAX_DOCKERFILE + 1];
    write(root, "dockerfile", &big);
    assert!(at(None).unwrap_err().contains("larger than 1024 KiB"));
    let absent = place::open(Path::new("no/such"), None, root).unwrap_err();
    assert!(absent.why.contains("no such folder"), "{absent}");
    let file = place::open(Path::new("dockerfile"), None, root).unwrap_err();
    assert!(file.why.contains("no folder"), "{file}");
}

#[test]
fn a_huge_context_names_what_makes_it_so() {
    let counted = Counted {
        files: 3,
        bytes: 5 << 30,
        largest: vec![
            ("checkpoints".to_owned(), 4 << 30),
            (".git".to_owned(), 1 << 29),
        ],
    };
    assert_eq!(
        counted.warning().unwrap(),
        "the context is 5.0 GiB: checkpoints (4.0 GiB), .git (0.5 GiB). What the image does not need goes into .dockerignore, a line each: /checkpoints"
    );
    let small = Counted {
        bytes: HUGE,
        ..counted
    };
    assert_eq!(small.warning(), None);
}

#[test]
fn the_largest_entries_are_those_of_the_folder_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "Dockerfile", b"FROM scratch\n");
    let mut want = BTreeMap::new();
    for (name, size) in [
        ("a/x", 10),
        ("a/y/z", 300),
        ("b", 200),
        ("c/d", 100),
        ("e", 90),
    ] {
        write(root, name, &vec![0u8; size]);
        *want.entry(name.split('/').next().unwrap()).or_insert(0) += size;
    }
    let counted = open(root).count(&Cancel::default()).unwrap();
    let largest: Vec<(&str, u64)> = counted
        .largest
        .iter()
        .map(|(name, bytes)| (name.as_str(), *bytes))
        .collect();
    assert_eq!(largest, [("a", 310), ("b", 200), ("c", 100)]);
}
