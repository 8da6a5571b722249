//! Building on a real engine: what is sent, what is built, what fails, what is cancelled.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use midwatch::build::{self, BuildAsk, BuildError, BuildNews, Built, How};
use midwatch::check::Cancel;
use midwatch::engine::{Asked, Connected, Env, SourceConfig, connect};
use midwatch::launch::Surroundings;
use midwatch::model::HostId;

use crate::engine_rig::{PATIENCE, docker, socket, try_docker};

/// Builds with the engine's own builder: no `docker` is on the PATH.
fn run(
    socket: &str,
    ask: &BuildAsk,
    cancel: &Cancel,
    hear: impl Fn(&BuildNews) + Send + Sync + 'static,
) -> (Result<Built, BuildError>, Vec<BuildNews>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&seen);
    let told: build::Told = Arc::new(move |news: BuildNews| {
        hear(&news);
        own.lock().unwrap().push(news);
    });
    let how = How {
        surroundings: Surroundings {
            env: BTreeMap::new(),
            cwd: "/".into(),
            ..Surroundings::default()
        },
        docker: None,
    };
    let result = runtime.block_on(async {
        let connected: Connected = connect(&SourceConfig {
            host: HostId(0),
            asked: Asked {
                host: Some(format!("unix://{socket}")),
                context: None,
            },
            env: Env::of(&[], Path::new("/nonexistent")),
        })
        .await
        .unwrap();
        build::build(&connected.engine, ask, &how, told, cancel).await
    });
    let news = seen.lock().unwrap().clone();
    (result, news)
}

fn ask(folder: &Path, tag: &str) -> BuildAsk {
    BuildAsk {
        folder: folder.to_owned(),
        tags: vec![tag.to_owned()],
        network: Some("none".into()),
        ..BuildAsk::default()
    }
}

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn lines(news: &[BuildNews]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for news in news {
        match news {
            BuildNews::Line(text) => out.push(text.clone()),
            BuildNews::Replace(text) => *out.last_mut().unwrap() = text.clone(),
            _ => {}
        }
    }
    out
}

/// The paths in an image.
fn files(socket: &str, image: &str) -> Vec<String> {
    let id = docker(socket, &["create", image, "x"]);
    let output = Command::new("sh")
        .args([
            "-c",
            "docker -H \"unix://$1\" export \"$2\" | tar -t --quoting-style=literal",
            "sh",
            socket,
            &id,
        ])
        .output()
        .unwrap();
    docker(socket, &["rm", &id]);
    let mut names: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    assert!(names.len() > 5, "{names:?}");
    names
}

#[test]
fn what_is_sent_is_what_dockers_client_sends() {
    let Some(socket) = socket() else { return };
    let project = tempfile::tempdir().unwrap();
    let root = project.path();
    for name in [
        "app.py",
        "a.log",
        "keep.log",
        "sub/b.log",
        "sub/keep/c.txt",
        "sub/other/d.txt",
        "node_modules/x/y.js",
        "sub/node_modules/z.js",
        ".git/HEAD",
        "data/1.bin",
        "data/2.csv",
        "data/deep/3.csv",
        "weird[1].txt",
        "weird1.txt",
        "q?x",
        "tmp-a",
        "tmp-b/f",
        "ex/only/this.txt",
        "ex/only/that.txt",
        "src/a.py",
        "src/a.pyc",
        "src/deep/b.pyc",
        "docs/README.md",
        "docs/note.md",
        "spa ce.txt",
        "ünï.txt",
        "empty/.keep",
        "Dockerfile.other",
    ] {
        write(root, name, name);
    }
    symlink("/etc/hostname", root.join("outside")).unwrap();
    symlink("data", root.join("inside")).unwrap();
    write(root, "Dockerfile", "FROM scratch\nCOPY . /\n");
    let tables = [
        "",
        "# all\n*\n",
        "*\n!app.py\n!src\n",
        "node_modules\n*.log\n!keep.log\n.git/\n",
        "**/node_modules\n**/*.pyc\n/data/*.csv\ntmp-?\n",
        "weird\\[1].txt\nq\\?x\n  spa ce.txt  \n",
        "weird[[]1].txt\n[!a]x\n[t-u]mp-[^b]\n",
        "ex\n!ex/only/this.txt\nDockerfile*\n",
        "*\n!**/*.py\n!docs/README*\n",
        "**\n!sub/keep\n!ünï.txt\n",
        "./sub/../data//\n!/data/deep/\n\u{feff}x\n",
        "*/*\n!sub/*\nsub/other\n",
        "docs/*.md\n!docs/README.md\n.dockerignore\nDockerfile\n",
        "inside\noutside\n**/keep*\n",
    ];
    for (at, text) in tables.iter().enumerate() {
        write(root, ".dockerignore", text);
        let (ours, theirs) = (
            format!("midwatch-test:ctx-ours-{at}"),
            format!("midwatch-test:ctx-theirs-{at}"),
        );
        let (result, news) = run(&socket, &ask(root, &ours), &Cancel::default(), |_| {});
        let output = Command::new("docker")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("DOCKER_BUILDKIT", "0")
            .args([
                "-H",
                &format!("unix://{socket}"),
                "build",
                "-q",
                "-t",
                &theirs,
            ])
            .arg(root)
            .output()
            .unwrap();
        assert_eq!(
            result.is_ok(),
            output.status.success(),
            "{text:?}: {result:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let built = result.unwrap();
        assert_eq!(files(&socket, &ours), files(&socket, &theirs), "{text:?}");
        // The engine hashes names, modes, owners and contents: it takes ours for the same as docker's.
        assert_eq!(
            built.image.0.to_string(),
            docker(&socket, &["inspect", "-f", "{{.Id}}", &theirs]),
            "{text:?}: {news:?}"
        );
        docker(&socket, &["rmi", &ours, &theirs]);
    }
    // What is no pattern is refused by both.
    write(root, ".dockerignore", "ok\n[a\n");
    let (result, _) = run(
        &socket,
        &ask(root, "midwatch-test:bad"),
        &Cancel::default(),
        |_| {},
    );
    let text = result.unwrap_err().to_string();
    assert!(text.contains("line 2: \"[a\" is no pattern"), "{text}");
}

const SERVER: &str = "\
# A server as a FastAPI project has it.
ARG BASE=midwatch-test:busybox
FROM ${BASE} AS base
ARG VERSION=dev
ENV PORT=7860
RUN echo \"building $VERSION\" && echo $VERSION >/version
EXPOSE $PORT

FROM base AS dev
RUN echo dev-tools
EXPOSE 5678

FROM base AS final
COPY app /app
EXPOSE 9000/udp
CMD [\"cat\", \"/version\"]
";

#[test]
fn a_project_is_built_with_its_arguments_stages_and_ports() {
    let Some(socket) = socket() else { return };
    let project = tempfile::tempdir().unwrap();
    let root = project.path();
    write(root, "Dockerfile", SERVER);
    write(root, ".dockerignore", "venv\n");
    write(root, "app/main.py", "print(1)");
    write(root, "venv/big", &"x".repeat(100_000));
    let mut wanted = ask(root, "midwatch-test:server");
    wanted.args = vec![("VERSION".into(), Some("1.2 \"x\"".into()))];
    let (result, news) = run(&socket, &wanted, &Cancel::default(), |_| {});
    let built = result.unwrap();
    assert_eq!(built.name, "midwatch-test:server");
    let ports: Vec<String> = built
        .exposed
        .iter()
        .map(|p| format!("{}/{}", p.container.first, p.protocol))
        .collect();
    assert_eq!(ports, ["7860/tcp", "9000/udp"]);
    let log = lines(&news);
    assert!(log.iter().any(|l| l.starts_with("Step 1/")), "{log:#?}");
    assert!(
        log.iter().any(|l| l.trim() == "building 1.2 \"x\""),
        "{log:#?}"
    );
    assert!(
        matches!(news.first(), Some(BuildNews::Builder(who)) if who.starts_with("the engine's own builder: ")),
        "{news:?}"
    );
    let sent = news.iter().rev().find_map(|news| match news {
        BuildNews::Context { bytes, total_bytes } => Some((*bytes, *total_bytes)),
        _ => None,
    });
    let small = (SERVER.len() + "venv\n".len() + "print(1)".len()) as u64;
    assert_eq!(sent, Some((small, Some(small))));
    let version = docker(
        &socket,
        &["run", "--rm", "--network", "none", "midwatch-test:server"],
    );
    assert_eq!(version, "1.2 \"x\"");
    // A stage by its name; without a tag it is called as its folder.
    wanted.target = Some("dev".into());
    wanted.tags.clear();
    let (result, _) = run(&socket, &wanted, &Cancel::default(), |_| {});
    let built = result.unwrap();
    assert_eq!(built.name, build::name::of_folder(root));
    let ports: Vec<u16> = built.exposed.iter().map(|p| p.container.first).collect();
    assert_eq!(ports, [5678, 7860]);
    wanted.target = Some("none".into());
    let (result, _) = run(&socket, &wanted, &Cancel::default(), |_| {});
    assert_eq!(
        result.unwrap_err().to_string(),
        "cannot build: the Dockerfile has no stage none. It has: base, dev, final"
    );
    try_docker(&socket, &["rmi", "-f", "midwatch-test:server", &built.name]);
}

/// The engine's containers, those of other tests left out.
fn containers_of(socket: &str, words: &str) -> Vec<String> {
    docker(
        socket,
        &["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Command}}"],
    )
    .lines()
    .filter(|line| line.contains(words))
    .map(str::to_owned)
    .collect()
}

#[test]
fn a_step_that_fails_is_named_and_leaves_no_container() {
    let Some(socket) = socket() else { return };
    let project = tempfile::tempdir().unwrap();
    let root = project.path();
    write(
        root,
        "Dockerfile",
        "FROM midwatch-test:busybox\nRUN echo fine\nRUN echo no-such-module-7 && exit 42\nRUN echo never\n",
    );
    let (result, _) = run(
        &socket,
        &ask(root, "midwatch-test:fails"),
        &Cancel::default(),
        |_| {},
    );
    let Err(BuildError::Failed(failure)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(failure.exit_code, Some(42), "{failure:?}");
    assert!(
        failure
            .step
            .as_deref()
            .is_some_and(|s| s.starts_with("3/4 (RUN echo no-such-module-7")),
        "{failure:?}"
    );
    assert!(
        failure.last.iter().any(|line| line == "no-such-module-7"),
        "{failure:?}"
    );
    assert_eq!(containers_of(&socket, "no-such-module-7"), [""; 0]);
    let (there, _) = try_docker(&socket, &["inspect", "midwatch-test:fails"]);
    assert!(!there);
    // What only BuildKit knows is told before anything is sent.
    write(
        root,
        "Dockerfile",
        "FROM midwatch-test:busybox\nRUN --mount=type=cache,target=/x true\n",
    );
    let (result, news) = run(
        &socket,
        &ask(root, "midwatch-test:fails"),
        &Cancel::default(),
        |_| {},
    );
    let text = result.unwrap_err().to_string();
    assert!(
        text.starts_with("this Dockerfile needs BuildKit: line 2 has RUN --mount"),
        "{text}"
    );
    assert_eq!(news, []);
    // A base image that is not there is the engine's own word.
    write(root, "Dockerfile", "FROM midwatch-no-such/image:1\n");
    let (result, _) = run(
        &socket,
        &ask(root, "midwatch-test:fails"),
        &Cancel::default(),
        |_| {},
    );
    assert!(matches!(result, Err(BuildError::Failed(_))), "{result:?}");
}

#[test]
fn a_cancelled_build_leaves_nothing_behind() {
    let Some(socket) = socket() else { return };
    let project = tempfile::tempdir().unwrap();
    write(
        project.path(),
        "Dockerfile",
        "FROM midwatch-test:busybox\nRUN echo waiting-9 && sleep 600\n",
    );
    let cancel = Cancel::default();
    let own = cancel.clone();
    let began = Instant::now();
    let (result, news) = run(
        &socket,
        &ask(project.path(), "midwatch-test:cancelled"),
        &cancel,
        move |news| {
            if matches!(news, BuildNews::Line(text) if text == "waiting-9") {
                own.cancel();
            }
        },
    );
    assert_eq!(result, Err(BuildError::Cancelled), "{news:?}");
    assert!(began.elapsed() < PATIENCE);
    let end = Instant::now() + PATIENCE;
    while !containers_of(&socket, "waiting-9").is_empty() {
        assert!(Instant::now() < end, "its container lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_build_is_cancelled_while_its_context_is_sent() {
    let Some(socket) = socket() else { return };
    let project = tempfile::tempdir().unwrap();
    write(project.path(), "Dockerfile", "FROM scratch\nCOPY . /\n");
    let big = fs::File::create(project.path().join("big")).unwrap();
    big.set_len(2 << 30).unwrap();
    let cancel = Cancel::default();
    let own = cancel.clone();
    let began = Instant::now();
    let (result, news) = run(
        &socket,
        &ask(project.path(), "midwatch-test:cut"),
        &cancel,
        move |news| {
            if matches!(news, BuildNews::Context { bytes, .. } if *bytes > 1 << 20) {
                own.cancel();
            }
        },
    );
    assert_eq!(result, Err(BuildError::Cancelled), "{news:?}");
    let warned = lines(&news);
    assert!(
        warned[0].starts_with("warning: the context is 2.0 GiB: big (2.0 GiB)"),
        "{warned:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_context_of_two_hundred_megabytes_costs_no_memory() {
    let Some(socket) = socket() else { return };
    let project = tempfile::tempdir().unwrap();
    write(
        project.path(),
        "Dockerfile",
        "FROM scratch\nCOPY Dockerfile /\n",
    );
    let block = vec![7u8; 1 << 20];
    for n in 0..4 {
        let mut file = fs::File::create(project.path().join(format!("part-{n}"))).unwrap();
        for _ in 0..50 {
            std::io::Write::write_all(&mut file, &block).unwrap();
        }
    }
    let before = resident();
    let most = Arc::new(Mutex::new(0u64));
    let own = Arc::clone(&most);
    let (result, _) = run(
        &socket,
        &ask(project.path(), "midwatch-test:big"),
        &Cancel::default(),
        move |_| {
            let mut most = own.lock().unwrap();
            *most = (*most).max(resident());
        },
    );
    result.unwrap();
    let grown = most.lock().unwrap().saturating_sub(before);
    eprintln!("200 MB of context: {} KiB more resident", grown >> 10);
    assert!(grown < 48 << 20, "{grown} bytes more");
    try_docker(&socket, &["rmi", "-f", "midwatch-test:big"]);
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
