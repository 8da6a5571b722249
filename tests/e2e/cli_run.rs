//! `midwatch run` on a real engine, with the fake NVML: which GPUs reach the container, what is refused, exit
//! statuses, signals, and two launches that want the same GPU.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fake_nvml::{Process, Scenario};
use serde_json::Value;

use crate::cli_commands::midwatch;
use crate::docker::{Docker, IMAGE};
use crate::nvml::FakeNvml;
use crate::pty::Terminal;

/// Sixteen GPUs, of which only the last four are free: other tests on this engine give the first ones by
/// index.
const GPUS: usize = 16;
const FIRST_FREE: usize = 12;

struct Rig {
    docker: Docker,
    library: FakeNvml,
    scenario: Scenario,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new(prefix: &str) -> Option<Self> {
        let docker = Docker::for_test(prefix)?;
        let mut scenario = Scenario::h100(GPUS);
        // Tests run side by side on one engine: each has GPUs of its own.
        let own: u32 = prefix
            .bytes()
            .fold(7, |sum, b| sum * 31 % 65_521 + u32::from(b));
        for (index, gpu) in scenario.gpus.iter_mut().enumerate() {
            gpu.uuid = format!("GPU-{own:08x}-0000-4000-8000-{index:012x}");
            gpu.memory_used = 0;
            gpu.processes = Vec::new();
            gpu.gpu_percent = Some(0);
            if index < FIRST_FREE {
                gpu.memory_used = 40 << 30;
                gpu.processes = vec![Process {
                    pid: std::process::id(),
                    memory: Some(40 << 30),
                    ..Process::default()
                }];
            }
        }
        let library = FakeNvml::new(&scenario);
        Some(Self {
            docker,
            library,
            scenario,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn uuid(&self, index: usize) -> &str {
        &self.scenario.gpus[index].uuid
    }

    /// `midwatch … run WORDS`.
    fn command(&self, words: &[&str]) -> Command {
        self.command_with(self.library.path.to_str().unwrap(), words)
    }

    fn command_with(&self, nvml: &str, words: &[&str]) -> Command {
        let endpoint = self.docker.endpoint();
        let data = self.folder.path().to_str().unwrap();
        let mut all = vec!["-H", &endpoint, "--nvml", nvml, "--data-dir", data, "run"];
        all.extend(words);
        midwatch(&all)
    }

    fn run(&self, words: &[&str]) -> (i32, String, String) {
        told(&self.command(words).output().unwrap())
    }

    /// What `env` prints in a container that is launched with these flags.
    fn env(&self, nvml: &str, flags: &[&str]) -> String {
        let mut words = vec!["--rm", "--network", "none"];
        words.extend(flags);
        words.extend([IMAGE, "env"]);
        let (code, out, err) = told(&self.command_with(nvml, &words).output().unwrap());
        assert_eq!(code, 0, "{flags:?}: {err}");
        out
    }

    fn gone(&self, short: &str) {
        let name = format!("name=^/{}$", self.docker.name(short));
        let list = self
            .docker
            .docker(&["ps", "-a", "--format", "{{.Names}}", "--filter", &name]);
        assert_eq!(list, "", "nothing is left of a launch that was refused");
    }
}

fn told(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn visible(env: &str) -> Option<&str> {
    env.lines()
        .find_map(|line| line.trim_end().strip_prefix("NVIDIA_VISIBLE_DEVICES="))
}

#[test]
fn each_way_of_asking_reaches_the_container() {
    let Some(rig) = Rig::new("mw-run-ways") else {
        return;
    };
    let nvml = rig.library.path.to_str().unwrap();
    let last = rig.uuid(FIRST_FREE);
    let first_two = format!("{},{}", rig.uuid(0), rig.uuid(1));
    for (flags, expected) in [
        (&["--gpus", "all"][..], "all"),
        (&["--gpus", "2"][..], first_two.as_str()),
        (&["--gpus", "\"device=12\""][..], last),
        (&["--gpus", &format!("device={last}")][..], last),
        (&["--free", "1"][..], last),
        (&["--free=1"][..], last),
    ] {
        assert_eq!(visible(&rig.env(nvml, flags)), Some(expected), "{flags:?}");
    }
    let env = rig.env(nvml, &["--gpus", "\"capabilities=utility\",\"device=12\""]);
    assert!(env.contains("NVIDIA_DRIVER_CAPABILITIES=utility"), "{env}");
    assert_eq!(visible(&env), Some(last));
    assert_eq!(visible(&rig.env(nvml, &[])), None);

    // Without a driver what was typed is sent as it is.
    for (flag, expected) in [("2", "0,1"), ("device=3", "3"), ("all", "all")] {
        let env = rig.env("/nonexistent", &["--gpus", flag]);
        assert_eq!(visible(&env), Some(expected), "{flag}");
    }
    let free = rig
        .command_with(
            "/nonexistent",
            &["--free", "1", "--network", "none", IMAGE, "env"],
        )
        .output()
        .unwrap();
    let (code, out, err) = told(&free);
    assert_eq!((code, out.as_str()), (125, ""), "{err}");
    assert!(err.contains("which GPUs are free cannot be told"), "{err}");

    // The request as inspect shows it.
    let name = rig.docker.name("kept");
    let (code, out, err) = rig.run(&[
        "-d",
        "--rm",
        "--name",
        &name,
        "--network",
        "none",
        "--free",
        "2",
        IMAGE,
        "sleep",
        "600",
    ]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.trim().len(), 64, "docker run -d prints the id: {out}");
    let request = rig
        .docker
        .inspect("kept", "{{json .HostConfig.DeviceRequests}}");
    let request: Value = serde_json::from_str(&request).unwrap();
    let wanted = serde_json::json!([{
        "Driver": "", "Count": 0, "DeviceIDs": [rig.uuid(12), rig.uuid(13)], "Capabilities": [["gpu"]],
        "Options": {},
    }]);
    assert_eq!(request, wanted);
    rig.docker.docker(&["rm", "-f", &name]);
}

#[test]
fn exit_statuses_are_docker_runs_own() {
    let Some(rig) = Rig::new("mw-run-exit") else {
        return;
    };
    let name = rig.docker.name("one");
    let base = ["--name", name.as_str(), "--network", "none", "--rm"];
    for (tail, expected) in [
        (&[IMAGE, "sh", "-c", "exit 7"][..], 7),
        (&[IMAGE, "true"][..], 0),
        (&[IMAGE, "no-such-program"][..], 127),
        (&[IMAGE, "/tmp"][..], 126),
        (&["--no-such-flag", IMAGE, "true"][..], 125),
        (
            &["--pull", "never", "midwatch-test:absent", "true"][..],
            125,
        ),
        // Docker calls every missing file that, a device too.
        (&["--device", "/dev/no-such-device", IMAGE, "true"][..], 127),
        (
            &[
                "--mount",
                "type=bind,source=/no/such,target=/x",
                IMAGE,
                "true",
            ][..],
            125,
        ),
        (&[][..], 125),
    ] {
        let mut words = base.to_vec();
        words.extend(tail);
        let (code, out, err) = rig.run(&words);
        assert_eq!(code, expected, "{tail:?}: {out} {err}");
        if expected >= 125 {
            assert!(err.starts_with("midwatch: "), "{tail:?}: {err}");
        }
        rig.gone("one");
    }
    // Both outputs stay apart, and the input goes in.
    let (code, out, err) = rig.run(&[
        "--rm",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "echo out; echo err >&2",
    ]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "out\n", "err\n"));
    let mut child = rig
        .command(&["--rm", "-i", "--network", "none", IMAGE, "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let data = "line\n".repeat(20_000);
    let mut input = child.stdin.take().unwrap();
    let sent = data.clone();
    let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
    let mut back = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut back)
        .unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(back == data, "{} of {} bytes", back.len(), data.len());
}

#[test]
fn signals_are_passed_on_and_a_terminal_is_one() {
    let Some(rig) = Rig::new("mw-run-signal") else {
        return;
    };
    let script = "trap 'echo caught; exit 42' TERM; echo ready; while :; do sleep 0.1; done";
    let mut child = rig
        .command(&["--rm", "--network", "none", IMAGE, "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    assert_eq!(child.wait().unwrap().code(), Some(42));

    // With -it the container's terminal has this one's size, and keys go in as they are typed.
    let endpoint = rig.docker.endpoint();
    let words = [
        "-H",
        &endpoint,
        "--nvml",
        "/nonexistent",
        "run",
        "-it",
        "--rm",
        "--network",
        "none",
        IMAGE,
        "sh",
    ];
    let mut terminal = Terminal::midwatch(&words, &[], 100, 30);
    terminal.wait_for("#");
    terminal.keys("busybox stty size; echo a$((40+2))b\r");
    terminal.wait_for("30 100");
    terminal.wait_for("a42b");
    terminal.keys("exit 9\r");
    assert_eq!(terminal.wait_for_end(), 9);
}

#[test]
fn a_foreground_run_can_be_left() {
    let Some(rig) = Rig::new("mw-run-leave") else {
        return;
    };
    let endpoint = rig.docker.endpoint();
    let start = |short: &str, flags: &[&str], script: &str| {
        let name = rig.docker.name(short);
        let mut words = vec![
            "-H",
            &endpoint,
            "--nvml",
            "/nonexistent",
            "run",
            "--name",
            &name,
        ];
        words.extend(["--network", "none"]);
        words.extend(flags);
        words.extend([IMAGE, "sh", "-c", script]);
        Terminal::midwatch(&words, &[], 100, 30)
    };
    let state = |short: &str| rig.docker.inspect(short, "{{.State.Running}}");
    // Ctrl-P, Ctrl-Q: the engine lets go, and so does the terminal.
    let mut terminal = start("keys", &["-it"], "echo up; exec sleep 600");
    terminal.wait_for("up");
    terminal.keys("\x10\x11");
    terminal.wait_for("it goes on");
    assert_eq!((terminal.wait_for_end(), state("keys").trim()), (0, "true"));
    // Without -i a key is a signal, also with -t; who takes no notice of three is left alone.
    let mut terminal = start("deaf", &["-t"], "echo up; exec sleep 600");
    terminal.wait_for("up");
    for _ in 0..3 {
        terminal.keys("\x03");
        terminal.settle(Duration::from_millis(300));
    }
    terminal.wait_for("takes no notice");
    assert_eq!(
        (terminal.wait_for_end(), state("deaf").trim()),
        (130, "true")
    );
}

#[test]
fn launches_of_the_same_moment_get_different_gpus() {
    let Some(rig) = Rig::new("mw-run-race") else {
        return;
    };
    let free = GPUS - FIRST_FREE;
    let names: Vec<String> = (0..=free)
        .map(|i| rig.docker.name(&format!("r{i}")))
        .collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let words = [
                "-d",
                "--name",
                name,
                "--network",
                "none",
                "--free",
                "1",
                IMAGE,
                "sleep",
                "600",
            ];
            rig.command(&words)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let ended: Vec<_> = children
        .into_iter()
        .map(|child| told(&child.wait_with_output().unwrap()))
        .collect();
    let mut given: Vec<String> = Vec::new();
    for name in &names {
        let template = "{{range .HostConfig.DeviceRequests}}{{join .DeviceIDs \",\"}}{{end}}";
        let output = Command::new("docker")
            .args([
                "-H",
                &rig.docker.endpoint(),
                "inspect",
                "--format",
                template,
                name,
            ])
            .output()
            .unwrap();
        if output.status.success() {
            given.push(String::from_utf8(output.stdout).unwrap().trim().to_owned());
        }
    }
    for name in &names {
        let _ = Command::new("docker")
            .args(["-H", &rig.docker.endpoint(), "rm", "-f", name])
            .output();
    }
    let refused: Vec<_> = ended.iter().filter(|(code, _, _)| *code != 0).collect();
    assert_eq!(refused.len(), 1, "one too many were asked for: {ended:?}");
    assert_eq!(refused[0].0, 125);
    assert!(
        refused[0].2.contains("free GPU is asked for and 0 are"),
        "{:?}",
        refused[0]
    );
    given.sort();
    let mut all: Vec<String> = (FIRST_FREE..GPUS).map(|i| rig.uuid(i).to_owned()).collect();
    all.sort();
    assert_eq!(given, all, "{ended:?}");
}

#[test]
fn a_dry_run_tells_all_and_does_nothing() {
    let Some(rig) = Rig::new("mw-run-dry") else {
        return;
    };
    let name = rig.docker.name("dry");
    let words = [
        "--dry-run",
        "--json",
        "--name",
        &name,
        "--free",
        "1",
        "-p",
        "127.0.0.1:47860:7860",
        "-e",
        "A=b c",
        "-e",
        "HF_TOKEN=hunter2",
        "--shm-size",
        "8g",
        IMAGE,
        "sh",
        "-c",
        "echo hi",
    ];
    let (code, out, err) = rig.run(&words);
    assert_eq!(code, 0, "{err}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["schema"], "midwatch/run/v1");
    let line = json["docker_run"].as_str().unwrap();
    assert!(line.starts_with("docker run "), "{line}");
    assert!(line.contains(&format!("device={}", rig.uuid(12))), "{line}");
    assert!(line.contains("'A=b c'"), "{line}");
    assert!(!out.contains("hunter2"), "a secret is masked: {out}");
    assert_eq!(json["create"]["HostConfig"]["ShmSize"], 8_u64 << 30);
    assert_eq!(
        json["create"]["HostConfig"]["DeviceRequests"][0]["DeviceIDs"][0],
        rig.uuid(12)
    );
    assert_eq!(json["gpus"][0]["index"], 12);
    assert!(
        json["gpus"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("no process")
    );
    assert_eq!(json["left_out"].as_array().unwrap().len(), FIRST_FREE);
    assert_eq!(json["verdict"], "no-cuda");
    assert_eq!(json["container"], Value::Null);
    rig.gone("dry");
}

#[test]
fn what_would_fail_is_refused_unless_forced() {
    let Some(rig) = Rig::new("mw-run-verdict") else {
        return;
    };
    // CUDA 13 by its configuration; the fake driver carries 12.
    let image = format!("midwatch-test:cuda13-{}", std::process::id());
    let mut export = Command::new("sh");
    let endpoint = rig.docker.endpoint();
    export.arg("-c").arg(format!(
        "docker -H {endpoint} create --network none --name {0} {IMAGE} true >/dev/null && docker -H {endpoint} export {0} \
         | docker -H {endpoint} import -c 'ENV PATH=/bin' -c 'ENV CUDA_VERSION=13.0.1' - {image} >/dev/null; \
         docker -H {endpoint} rm {0} >/dev/null",
        rig.docker.name("base")
    ));
    assert!(export.status().unwrap().success());
    let name = rig.docker.name("no");
    let flags = [
        "--name",
        name.as_str(),
        "--rm",
        "--network",
        "none",
        "--gpus",
        "device=12",
    ];
    let mut words = flags.to_vec();
    words.extend([image.as_str(), "echo", "started"]);
    let (code, out, err) = rig.run(&words);
    assert_eq!((code, out.as_str()), (125, ""), "{err}");
    assert!(err.contains("MW102") && err.contains("--force"), "{err}");
    rig.gone("no");
    words.insert(0, "--force");
    let (code, out, err) = rig.run(&words);
    assert_eq!((code, out.as_str()), (0, "started\n"), "{err}");
    // Without GPUs it is started, with a word.
    let (code, out, err) = rig.run(&["--rm", "--network", "none", &image, "echo", "started"]);
    assert_eq!((code, out.as_str()), (0, "started\n"), "{err}");
    assert!(err.contains("it is given no GPU"), "{err}");
    rig.docker.docker(&["rmi", &image]);
}

#[test]
fn a_launch_that_is_stopped_leaves_nothing() {
    let Some(rig) = Rig::new("mw-run-stop") else {
        return;
    };
    let name = rig.docker.name("stop");
    let mut child = rig
        .command(&[
            "--name",
            &name,
            "--rm",
            "--network",
            "none",
            "--free",
            "1",
            IMAGE,
            "sleep",
            "600",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(!status.success());
    rig.gone("stop");
}
