//! `build` as a user runs it: on a real engine, with a `docker` of the test's own, stopped in the middle.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_commands::midwatch;
use crate::docker::Docker;

fn write(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// midwatch with no `docker` on its PATH and a cache of its own.
fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut all = vec!["--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    let mut command = midwatch(&all);
    command.env("PATH", "/nonexistent").env("HOME", data);
    command
}

fn texts(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let data = tempfile::tempdir().unwrap();
    texts(&command(data.path(), arguments).output().unwrap())
}

#[test]
fn wrong_usage_and_missing_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (arguments, code, words) in [
        (&["build"][..], 2, "wrong usage"),
        (&["build", "-"], 2, "only folders are built"),
        (
            &["build", "https://github.com/a/b"],
            2,
            "only folders are built",
        ),
        (&["--read-only", "build", "."], 2, "--read-only refuses"),
        (&["build", "--build-arg", "=x", "."], 2, "has no name"),
        (&["--demo", "build", path], 1, "midwatch init"),
        (&["--demo", "build", "/no/such"], 1, "no such folder"),
        (
            &["-H", "unix:///no/such.sock", "build", path],
            1,
            "there is no Dockerfile",
        ),
    ] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(
            err.starts_with("midwatch: ") && err.contains(words),
            "{arguments:?}: {err}"
        );
    }
    write(folder.path(), "Dockerfile", "FROM scratch\n");
    let (status, _, err) = run(&["--demo", "build", path]);
    assert_eq!(status, 1, "{err}");
    assert!(err.contains("the simulated engine builds nothing"), "{err}");
    let (status, _, err) = run(&["-H", "unix:///no/such.sock", "build", path]);
    assert_eq!(status, 3, "{err}");
    assert!(err.contains("cannot reach the engine"), "{err}");
}

const DOCKERFILE: &str = "\
FROM midwatch-test:busybox
ARG WHO=nobody
RUN echo hello $WHO
COPY . /app
EXPOSE 7860
CMD [\"true\"]
";

#[test]
fn a_project_becomes_an_image_with_the_line_to_run_it() {
    let Some(docker) = Docker::for_test("e2e-build") else {
        return;
    };
    let project = tempfile::tempdir().unwrap();
    write(project.path(), "Dockerfile", DOCKERFILE);
    write(project.path(), "app.py", "print(1)");
    write(project.path(), ".dockerignore", "venv\n");
    write(project.path(), "venv/x", "x");
    let path = project.path().to_str().unwrap();
    let endpoint = docker.endpoint();
    let tag = "midwatch-test:e2e-build";
    let no_driver = "/nonexistent/libnvidia-ml.so.1";
    let (code, out, err) = run(&[
        "--nvml",
        no_driver,
        "-H",
        &endpoint,
        "build",
        "-t",
        tag,
        "--network",
        "none",
        "--no-cache",
        "--build-arg",
        "WHO=ada",
        path,
    ]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.starts_with("builds with the engine's own builder: there is no docker command here\n"),
        "{err}"
    );
    assert!(err.contains("\nhello ada\n"), "{err}");
    assert_eq!(err.matches("Step 1/6").count(), 1, "{err}");
    // Nothing here tells of GPUs: one line says so, and the image is built all the same.
    assert!(err.contains("\nmidwatch: no verdict: "), "{err}");
    let id = docker.docker(&["inspect", "-f", "{{.Id}}", tag]);
    assert_eq!(
        out,
        format!("built {tag}  {id}\nrun it: midwatch run -p 7860:7860 {tag}\n")
    );
    // As a document; what is asked for and cannot be told is 3.
    let (code, out, err) = run(&[
        "--nvml",
        no_driver,
        "-H",
        &endpoint,
        "build",
        "-t",
        tag,
        "--network",
        "none",
        "--json",
        "--check",
        path,
    ]);
    assert_eq!(code, 3, "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["schema"], "midwatch/build/v1");
    assert_eq!(document["name"], tag);
    assert_eq!(document["exposed"][0], "7860/tcp");
    assert_eq!(document["check"], Value::Null);
    // With a driver there is a verdict.
    let library = crate::nvml::FakeNvml::new(&fake_nvml::Scenario::h100(1));
    let (code, out, err) = run(&[
        "--nvml",
        library.path.to_str().unwrap(),
        "-H",
        &endpoint,
        "build",
        "-t",
        tag,
        "--network",
        "none",
        "--check",
        path,
    ]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("no CUDA in it"), "{out}");
    assert!(
        out.ends_with(&format!("run it: midwatch run -p 7860:7860 {tag}\n")),
        "{out}"
    );
    docker.docker(&["rmi", "-f", tag]);
}

#[test]
fn a_build_that_fails_is_a_no_with_its_step() {
    let Some(docker) = Docker::for_test("e2e-build-fails") else {
        return;
    };
    let project = tempfile::tempdir().unwrap();
    write(
        project.path(),
        "Dockerfile",
        "FROM midwatch-test:busybox\nRUN echo before && exit 9\n",
    );
    let (code, out, err) = run(&[
        "-H",
        &docker.endpoint(),
        "build",
        "--network",
        "none",
        "-t",
        "midwatch-test:e2e-fails",
        project.path().to_str().unwrap(),
    ]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    let last = err.lines().last().unwrap();
    assert!(
        last.starts_with(
            "midwatch: the build failed at step 2/2 (RUN echo before && exit 9): exit code 9"
        ),
        "{err}"
    );
}

#[test]
fn ctrl_c_cancels_a_build_and_leaves_no_container() {
    let Some(docker) = Docker::for_test("e2e-build-cut") else {
        return;
    };
    let project = tempfile::tempdir().unwrap();
    write(
        project.path(),
        "Dockerfile",
        "FROM midwatch-test:busybox\nRUN echo cut-me-5 && sleep 600\n",
    );
    let data = tempfile::tempdir().unwrap();
    let mut child = command(
        data.path(),
        &[
            "-H",
            &docker.endpoint(),
            "build",
            "--network",
            "none",
            project.path().to_str().unwrap(),
        ],
    )
    .stderr(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let seen = log.lines().map_while(Result::ok).any(|l| l == "cut-me-5");
    assert!(seen, "its step never began");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    let end = Instant::now() + Duration::from_secs(20);
    while docker
        .docker(&["ps", "-a", "--no-trunc", "--format", "{{.Command}}"])
        .contains("cut-me-5")
    {
        assert!(Instant::now() < end, "its container lives on");
        std::thread::yield_now();
    }
}

#[test]
fn with_buildx_on_the_path_that_builds() {
    let Some(docker) = Docker::for_test("e2e-buildx") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        "project/Dockerfile",
        "FROM scratch\nRUN --mount=type=cache,target=/x true\n",
    );
    // A plugin that says what the real one says, and whose image is one that is there.
    let id = docker.docker(&["inspect", "-f", "{{.Id}}", crate::docker::IMAGE]);
    write(
        root,
        "script",
        &format!(
            "#!/bin/sh\nif [ \"$2\" = version ]; then echo 'github.com/docker/buildx v0.17.1 abc'; exit; fi\necho \"#1 host $DOCKER_HOST\" >&2\nwhile [ \"$1\" != --iidfile ]; do shift; done\necho {id} >\"$2\"\n"
        ),
    );
    fs::create_dir(root.join("bin")).unwrap();
    let made = Command::new("install")
        .args(["-m", "755"])
        .args([root.join("script"), root.join("bin/docker")])
        .status()
        .unwrap();
    assert!(made.success());
    assert!(
        fs::metadata(root.join("bin/docker"))
            .unwrap()
            .permissions()
            .mode()
            & 0o111
            != 0
    );
    let data = tempfile::tempdir().unwrap();
    let output = command(
        data.path(),
        &[
            "-H",
            &docker.endpoint(),
            "build",
            "-t",
            crate::docker::IMAGE,
            root.join("project").to_str().unwrap(),
        ],
    )
    .env(
        "PATH",
        format!("{}:/usr/bin:/bin", root.join("bin").display()),
    )
    .output()
    .unwrap();
    let (code, out, err) = texts(&output);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.starts_with(&format!(
            "builds with docker buildx v0.17.1\n#1 host {}\n",
            docker.endpoint()
        )),
        "{err}"
    );
    assert!(out.contains(&id), "{out}");
}

#[test]
fn in_the_dashboard_a_folder_becomes_an_image_and_its_launch_form() {
    let Some(docker) = Docker::for_test("e2e-build-form") else {
        return;
    };
    let project = tempfile::tempdir().unwrap();
    write(project.path(), "Dockerfile", DOCKERFILE);
    write(
        project.path(),
        "Dockerfile.slow",
        "FROM midwatch-test:busybox\nRUN echo slow-8 && sleep 600\n",
    );
    let path = project.path().to_str().unwrap();
    let tag = "midwatch-test:e2e-form";
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    let mut terminal = crate::pty::Terminal::midwatch(
        &[
            "-H",
            &docker.endpoint(),
            "--nvml",
            "/nonexistent/libnvidia-ml.so.1",
        ],
        &[
            ("HOME", home),
            ("XDG_CONFIG_HOME", home),
            ("XDG_DATA_HOME", home),
            ("XDG_CACHE_HOME", home),
            ("PATH", "/nonexistent"),
        ],
        120,
        40,
    );
    terminal.wait_for("Containers");
    terminal.keys("B");
    terminal.wait_for("build an image");
    terminal.keys(path);
    terminal.keys("\x1b[B");
    terminal.keys(tag);
    terminal.keys("\r");
    terminal.wait("the form with the port", |screen| {
        let text = screen.contents();
        text.contains("7860:7860") && text.contains(tag) && text.contains("docker run")
    });
    terminal.keys("\x1b");
    terminal.wait("the form is closed", |screen| {
        !screen.contents().contains("docker run")
    });
    // Another Dockerfile, stopped while it runs.
    terminal.keys("B");
    terminal.wait_for("build an image");
    terminal.keys(path);
    terminal.keys("\x1b[B\x1b[B");
    terminal.keys(&format!("{path}/Dockerfile.slow"));
    terminal.keys("\r");
    terminal.wait("the step's output", |screen| {
        screen
            .contents()
            .lines()
            .any(|l| l.contains("slow-8") && !l.contains("RUN"))
    });
    terminal.keys("\x1b");
    terminal.wait_for("Stop building");
    terminal.keys("y");
    terminal.wait_for("the build was cancelled");
    let end = Instant::now() + Duration::from_secs(20);
    while docker
        .docker(&["ps", "-a", "--no-trunc", "--format", "{{.Command}}"])
        .contains("slow-8")
    {
        assert!(Instant::now() < end, "its container lives on");
        std::thread::yield_now();
    }
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
    docker.docker(&["rmi", "-f", tag]);
}
