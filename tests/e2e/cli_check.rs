//! `check` and `explain` as a user and a CI pipeline run them: on the simulated host, on a real engine, on files.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli_commands::midwatch;
use crate::docker::Docker;

struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs it with a cache of its own.
fn run(arguments: &[&str]) -> Run {
    let data = tempfile::tempdir().unwrap();
    run_in(data.path(), arguments)
}

fn run_in(data: &std::path::Path, arguments: &[&str]) -> Run {
    let mut all = vec!["--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    let output = midwatch(&all).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|e| panic!("{e}: {} {}", run.out, run.err))
}

fn rules(image: &Value) -> Vec<&str> {
    let findings = image["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|f| f["rule"].as_str().unwrap())
        .collect()
}

#[test]
fn the_simulated_hosts_images_are_judged_as_its_story_tells() {
    for (image, verdict, code, rule) in [
        ("my-train:0.4", "works", 0, None),
        ("vllm:0.9", "works", 0, Some("MW103")),
        ("acme/embed:0.3", "limited", 0, Some("MW301")),
        ("acme/simulate:1.2", "limited", 0, Some("MW103")),
        ("acme/serve-x:2.1", "fails", 1, Some("MW102")),
        ("redis:7.4-alpine", "no-cuda", 0, None),
    ] {
        let told = run(&["--demo", "check", image, "--json", "--scan", "full"]);
        let document = json(&told);
        let found = &document["images"][0];
        assert_eq!(found["verdict"], verdict, "{image}: {found:#}");
        assert_eq!(told.code, code, "{image}");
        assert_eq!(rules(found).first().copied(), rule, "{image}: {found:#}");
        assert_eq!(document["schema"], "midwatch/check/v1");
    }
}

#[test]
fn every_key_of_the_contract_is_there() {
    let document = json(&run(&["--demo", "check", "my-train:0.4", "--json"]));
    let has = |value: &Value, keys: &[&str]| {
        for key in keys {
            assert!(value.get(key).is_some(), "{key}: {value:#}");
        }
    };
    let host = &document["host"];
    has(
        host,
        &[
            "driver_version",
            "cuda_driver_version",
            "gpus",
            "mode",
            "toolkit_version",
            "hypothetical",
        ],
    );
    has(&host["gpus"][0], &["name", "compute_capability", "brand"]);
    let image = &document["images"][0];
    has(
        image,
        &[
            "image",
            "id",
            "platform",
            "verdict",
            "scan",
            "cuda",
            "frameworks",
            "libraries",
            "findings",
        ],
    );
    has(
        &image["cuda"],
        &[
            "runtime", "toolkit", "declared", "requires", "compat", "cudnn",
        ],
    );
    let torch = &image["frameworks"][0];
    has(
        torch,
        &["name", "version", "cuda", "library", "sass", "ptx"],
    );
    assert_eq!(torch["cuda"], "12.4");
    assert_eq!(torch["sass"][6], "sm_90");
    has(&image["libraries"][0], &["path", "sass", "ptx"]);
    assert_eq!(image["libraries"][0]["sass"]["sm_90"], 1.0);
    // An image that cannot be looked at has the same keys.
    let absent = run(&["--demo", "check", "no-such-image", "--json"]);
    assert_eq!(absent.code, 3);
    let document = json(&absent);
    has(
        &document["images"][0],
        &[
            "image",
            "id",
            "platform",
            "verdict",
            "scan",
            "cuda",
            "frameworks",
            "libraries",
            "findings",
        ],
    );
    assert_eq!(document["images"][0]["verdict"], "unknown");
}

#[test]
fn a_pipelines_exit_statuses() {
    let on = |driver: &str, gpu: &str, more: &[&str]| {
        let mut all = vec![
            "--demo",
            "check",
            "my-train:0.4",
            "--driver",
            driver,
            "--gpu",
            gpu,
        ];
        all.extend(more);
        run(&all)
    };
    assert_eq!(on("550.54.15", "H100", &[]).code, 0);
    assert_eq!(on("550.54.15", "A100", &["--gpu", "sm_90"]).code, 0);
    // NVIDIA_REQUIRE_CUDA asks for the brand on this branch, and a bare capability has none.
    assert_eq!(on("535.104.05", "A100", &["--gpu", "sm_90"]).code, 3);
    assert_eq!(on("470.256.02", "RTX 3090", &[]).code, 1);
    assert_eq!(on("580.95.05", "RTX 5090", &[]).code, 1);
    // All that are named must be served.
    assert_eq!(on("580.95.05", "A100", &["--gpu", "RTX 5090"]).code, 1);
    // A driver that nobody knows yet tells no CUDA by itself.
    assert_eq!(on("990.10", "H100", &[]).code, 3);
    assert_eq!(on("990.10", "H100", &["--cuda", "15.0"]).code, 0);
    for (arguments, why) in [
        (&["--gpu", "Voodoo2"][..], "Voodoo2"),
        (&["--gpu", "RTX 4000"], "several"),
        (&["--driver", "new"], "driver"),
        (&["--mode", "cdi"], "--mode"),
    ] {
        let mut all = vec!["--demo", "check", "my-train:0.4"];
        all.extend(arguments);
        let told = run(&all);
        assert_eq!(told.code, 2, "{arguments:?}: {}", told.err);
        assert!(
            told.err.contains(why) && told.err.lines().count() == 1,
            "{}",
            told.err
        );
    }
    let limited = ["--demo", "check", "acme/embed:0.3"];
    assert_eq!(run(&limited).code, 0);
    let strict = [&limited[..], &["--fail-on", "warning"]].concat();
    assert_eq!(run(&strict).code, 1);
    // One that fails outweighs one that is not known.
    let many = ["--demo", "check", "no-such-image", "acme/serve-x:2.1"];
    assert_eq!(run(&many).code, 1);
}

#[test]
fn a_container_is_judged_with_what_it_was_given_and_the_matrix_shows_portability() {
    let told = run(&["--demo", "check", "llama-sft"]);
    assert_eq!(told.code, 0, "{} {}", told.out, told.err);
    assert!(told.out.contains("given: "), "{}", told.out);
    assert!(told.out.contains("2x "), "{}", told.out);
    let matrix = run(&["--demo", "check", "my-train:0.4", "--matrix"]);
    assert!(matrix.out.contains("DRIVER"), "{}", matrix.out);
    let row = |branch: &str| {
        let found = matrix.out.lines().find(|l| l.starts_with(branch));
        found
            .unwrap_or_else(|| panic!("{branch}: {}", matrix.out))
            .to_owned()
    };
    assert!(row("550").contains("works"), "{}", matrix.out);
    assert!(row("580").contains("MW201"), "{}", matrix.out);
    assert!(row("470").contains("~MW104"), "{}", matrix.out);
    assert!(row("530").contains("MW101"), "{}", matrix.out);
}

#[test]
fn rules_are_explained() {
    let told = run(&["explain", "mw102"]);
    assert_eq!(told.code, 0);
    assert!(told.out.starts_with("MW102 driver-too-old"), "{}", told.out);
    assert!(told.out.contains("Example"), "{}", told.out);
    let told = run(&["explain", "MW999"]);
    assert_eq!((told.code, told.out.as_str()), (2, ""));
}

#[test]
fn read_only_looks_into_no_image() {
    let told = run(&[
        "--demo",
        "--read-only",
        "check",
        "my-train:0.4",
        "--scan",
        "full",
    ]);
    assert_eq!(told.code, 3, "{} {}", told.out, told.err);
    assert!(told.err.contains("--read-only"), "{}", told.err);
    let told = run(&["--demo", "--read-only", "check", "my-train:0.4"]);
    assert_eq!(told.code, 3, "{}", told.out);
    assert!(told.out.contains("configuration"), "{}", told.out);
}

/// An image of this many megabytes in the engine.
fn image(docker: &Docker, name: &str, megabytes: u32) -> String {
    let container = docker.name(name);
    let script = format!("dd if=/dev/zero of=/big bs=1048576 count={megabytes} 2>/dev/null");
    docker.docker(&[
        "run",
        "--network",
        "none",
        "--name",
        &container,
        "midwatch-test:busybox",
        "sh",
        "-c",
        &script,
    ]);
    let tag = format!("midwatch-test:{container}");
    docker.docker(&["commit", &container, &tag]);
    docker.docker(&["rm", &container]);
    tag
}

fn scan_containers(docker: &Docker, image: &str) -> usize {
    let of = format!("ancestor={image}");
    let filters = ["--filter", "label=midwatch.scan", "--filter", &of];
    let all = [&["ps", "-aq", "--no-trunc"][..], &filters].concat();
    docker.docker(&all).lines().count()
}

#[test]
fn on_a_real_engine_images_files_and_containers_are_checked_and_nothing_is_left() {
    let Some(docker) = Docker::for_test("e2e-check") else {
        return;
    };
    let endpoint = docker.endpoint();
    let data = tempfile::tempdir().unwrap();
    let host = ["--driver", "550.54.15", "--gpu", "H100"];
    let check = |what: &str, more: &[&str]| {
        let all = [&["-H", &endpoint, "check", what][..], &host, more].concat();
        run_in(data.path(), &all)
    };
    let told = check("midwatch-test:busybox", &["--json"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert_eq!(json(&told)["images"][0]["verdict"], "no-cuda");
    // Again, from the cache: nothing is made in the engine.
    assert_eq!(
        std::fs::read_dir(data.path().join("scans"))
            .unwrap()
            .count(),
        1
    );
    let began = Instant::now();
    assert_eq!(check("midwatch-test:busybox", &[]).code, 0);
    println!("a cached check took {:?}", began.elapsed());
    // A container's own file system.
    let container = docker.run("job", &[], "sleep 600");
    assert_eq!(check(container.trim(), &[]).code, 0);
    // The same image out of a file.
    let file = data.path().join("image.tar");
    docker.docker(&[
        "save",
        "-o",
        file.to_str().unwrap(),
        "midwatch-test:busybox",
    ]);
    let told = check(file.to_str().unwrap(), &["--json"]);
    assert_eq!(told.code, 0, "{} {}", told.out, told.err);
    assert_eq!(json(&told)["images"][0]["verdict"], "no-cuda");
    let told = check("midwatch-test:absent", &[]);
    assert_eq!(told.code, 3);
    assert!(told.err.contains("docker pull"), "{}", told.err);
    // Descendants count as well, and another test may be scanning one.
    let end = Instant::now() + Duration::from_secs(20);
    while scan_containers(&docker, "midwatch-test:busybox") > 0 {
        assert!(Instant::now() < end, "a container was left behind");
    }
}

#[test]
fn ctrl_c_ends_a_scan_at_once_and_leaves_no_container() {
    let Some(docker) = Docker::for_test("e2e-cancel") else {
        return;
    };
    let tag = image(&docker, "big", 300);
    let data = tempfile::tempdir().unwrap();
    let child = |signal: Option<&str>| {
        let mut child: Child = midwatch(&[
            "-H",
            &docker.endpoint(),
            "--data-dir",
            data.path().to_str().unwrap(),
            "check",
            &tag,
            "--driver",
            "550.54.15",
            "--gpu",
            "H100",
            "--scan",
            "full",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while scan_containers(&docker, &tag) == 0 && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "no scan began");
        }
        if let Some(signal) = signal {
            let pid = child.id().to_string();
            Command::new("kill").args([signal, &pid]).status().unwrap();
        }
        let sent = Instant::now();
        let status = child.wait().unwrap();
        (status, sent.elapsed())
    };
    let (status, took) = child(Some("-INT"));
    // A scan that was quicker than the signal has ended by itself.
    assert!(matches!(status.code(), Some(130 | 0)), "{status:?}");
    println!("ended {took:?} after Ctrl-C");
    assert_eq!(scan_containers(&docker, &tag), 0);
    // One that is killed leaves its container; the next check sweeps it.
    let (status, _) = child(Some("-KILL"));
    let left = scan_containers(&docker, &tag);
    println!("killed ({status:?}), left {left}");
    let (status, _) = child(None);
    assert_eq!(status.code(), Some(0));
    assert_eq!(scan_containers(&docker, &tag), 0);
    docker.docker(&["rmi", "-f", &tag]);
}
