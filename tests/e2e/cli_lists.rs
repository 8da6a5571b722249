//! `ps` and `gpus` as a user runs them: on a real engine with the fake NVML, on the simulated host, and on a
//! machine that has neither.

use std::process::Output;

use serde_json::Value;

use crate::cli_commands::midwatch;
use crate::docker::Docker;
use crate::nvml::FakeNvml;

fn answered(output: &Output) -> Value {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// The error line of a command that could not find out.
fn refused(arguments: &[&str]) -> String {
    let output = midwatch(arguments).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.len()),
        (Some(3), 0),
        "{arguments:?}: {err}"
    );
    assert!(
        err.starts_with("midwatch: ") && err.lines().count() == 1,
        "{err}"
    );
    err
}

#[test]
fn without_an_engine_ps_names_the_endpoint_the_reason_and_the_remedy() {
    for json in [false, true] {
        let mut arguments = vec!["-H", "unix:///nonexistent/midwatch.sock", "ps"];
        if json {
            arguments.push("--json");
        }
        let err = refused(&arguments);
        assert!(err.contains("unix:///nonexistent/midwatch.sock"), "{err}");
    }
}

#[test]
fn without_a_driver_gpus_says_so_and_with_one_and_no_gpu_it_is_done() {
    let err = refused(&[
        "-H",
        "unix:///nonexistent/midwatch.sock",
        "--nvml",
        "/nonexistent/libnvidia-ml.so.1",
        "gpus",
    ]);
    assert!(err.contains("/nonexistent/libnvidia-ml.so.1"), "{err}");

    let library = FakeNvml::new(&fake_nvml::Scenario::h100(0));
    let nvml = library.path.to_str().unwrap();
    let document = answered(
        &midwatch(&[
            "-H",
            "unix:///nonexistent/midwatch.sock",
            "--nvml",
            nvml,
            "gpus",
            "--json",
        ])
        .output()
        .unwrap(),
    );
    assert_eq!(document["driver_version"], "550.163.01");
    assert_eq!(document["gpus"], serde_json::json!([]));
}

#[test]
fn the_simulated_host_answers_both() {
    let ps = answered(
        &midwatch(&["--demo", "ps", "--all", "--json"])
            .output()
            .unwrap(),
    );
    let gpus = answered(&midwatch(&["--demo", "gpus", "--json"]).output().unwrap());
    assert_eq!(ps["schema"], "midwatch/ps/v1");
    assert_eq!(gpus["schema"], "midwatch/gpus/v1");
    let containers = ps["containers"].as_array().unwrap();
    let used = |c: &Value| c["gpus"]["used"].as_array().map_or(0, Vec::len);
    assert!(
        containers.iter().any(|c| used(c) == 2),
        "a two-GPU run: {ps:#}"
    );
    assert!(
        containers
            .iter()
            .any(|c| c["oom_killed"] == true && c["exit_code"] == 137),
        "{ps:#}"
    );
    assert_eq!(gpus["gpus"].as_array().unwrap().len(), 4);
    assert!(
        gpus["gpus"]
            .as_array()
            .unwrap()
            .iter()
            .any(|g| g["state"] == "lost"),
        "{gpus:#}"
    );
}

#[test]
fn every_row_is_right_on_a_real_engine() {
    let Some(docker) = Docker::for_test("cli-ps") else {
        return;
    };
    let id = docker.run(
        "train",
        &["--gpus", "device=0", "-m", "64m"],
        "while :; do :; done",
    );
    docker.run("ended", &[], "exit 3");
    docker.docker(&["wait", &docker.name("ended")]);
    let pid: u32 = docker.inspect("train", "{{.State.Pid}}").parse().unwrap();

    let mut scenario = fake_nvml::Scenario::h100(2);
    scenario.gpus[0].processes = vec![fake_nvml::Process {
        pid,
        memory: Some(5 << 30),
        sm: Some(77),
        ..Default::default()
    }];
    scenario.gpus[1].processes.clear();
    let library = FakeNvml::new(&scenario);
    let nvml = library.path.to_str().unwrap().to_owned();
    let endpoint = docker.endpoint();
    let ask = |arguments: &[&str]| {
        let mut all = vec!["-H", endpoint.as_str(), "--nvml", nvml.as_str()];
        all.extend(arguments);
        answered(&midwatch(&all).output().unwrap())
    };

    let ps = ask(&["ps", "--all", "--json"]);
    let row = |short: &str| {
        let name = docker.name(short);
        ps["containers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["name"] == name.as_str())
            .unwrap_or_else(|| panic!("{name}"))
    };
    let train = row("train");
    assert_eq!(train["id"], id.as_str());
    assert_eq!(train["state"], "running");
    assert_eq!(train["image"], crate::docker::IMAGE);
    assert_eq!(
        train["started_at"].as_str().unwrap().get(..19),
        docker.inspect("train", "{{.State.StartedAt}}").get(..19)
    );
    assert_eq!(train["memory_limit_bytes"], 64 << 20);
    let cpu = train["cpu_percent"].as_f64().unwrap();
    assert!(cpu > 1.0, "a busy loop: {cpu}");
    assert!(
        train["memory_used_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes < 64 << 20),
        "{train:#}"
    );
    assert_eq!(train["gpus"]["given_as"], "device=0");
    assert_eq!(
        train["gpus"]["given"],
        serde_json::json!([{"uuid": scenario.gpus[0].uuid, "index": 0}])
    );
    let used = &train["gpus"]["used"][0];
    assert_eq!(used["uuid"], scenario.gpus[0].uuid.as_str());
    assert_eq!(used["memory_used_bytes"], 5u64 << 30);
    assert_eq!(used["processes"][0]["pid"], pid);
    assert!(
        used["processes"][0]["command"]
            .as_str()
            .unwrap()
            .starts_with("sh -c"),
        "{used:#}"
    );

    let ended = row("ended");
    assert_eq!(
        (&ended["state"], &ended["exit_code"]),
        (&"exited".into(), &3.into())
    );
    assert_eq!(ended["cpu_percent"], Value::Null);
    assert_eq!(
        ended["gpus"],
        serde_json::json!({"given": [], "given_as": null, "used": []})
    );

    let gpus = ask(&["gpus", "--json"]);
    let process = &gpus["gpus"][0]["processes"][0];
    assert_eq!(process["container"]["id"], id.as_str());
    assert_eq!(process["container"]["name"], docker.name("train").as_str());
    assert_eq!(gpus["gpus"][1]["processes"], serde_json::json!([]));

    let running = ask(&["ps", "--json"]);
    let names = running["containers"].as_array().unwrap();
    assert!(
        names
            .iter()
            .all(|c| c["name"] != docker.name("ended").as_str())
    );
}
