use super::*;
use crate::model::GpuGrant;

const ID: &str = "0b35b3ae37fec5dd98070d814ab338b0d5f169c91883e20a775af092d6937eb0";

fn rows(json: &str) -> Listing {
    list(json.as_bytes(), HostId(0)).unwrap()
}

fn details(json: &str) -> ContainerDetail {
    inspect(json.as_bytes(), None).unwrap().0
}

#[test]
fn a_row_is_read_whole() {
    let listing = rows(&format!(
        r#"[{{"Id":"{ID}","Names":["/other/alias","/web"],"Image":"nginx:1","ImageID":"sha256:ab",
            "Command":"nginx -g","Created":1795450963,"State":"running","Status":"Up 2 hours (healthy)",
            "Ports":[{{"PrivatePort":443,"Type":"tcp"}},{{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"}}],
            "Labels":{{"com.docker.compose.project":"shop","com.docker.compose.service":"web","x":"y"}},
            "SizeRw":5,"Mounts":[]}}]"#
    ));
    assert_eq!(listing.unreadable, 0);
    let row = &listing.containers[0];
    assert_eq!(row.name, "web");
    assert_eq!(row.state, ContainerState::Running);
    assert_eq!(row.health, Some(HealthState::Healthy));
    assert_eq!(row.created_at.unwrap().as_second(), 1795450963);
    assert_eq!(row.compose.as_ref().unwrap().project, "shop");
    let ports: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["[::]:8080->80/tcp", "443/tcp"]);
}

#[test]
fn a_scans_container_is_no_row_and_a_label_alone_hides_nothing() {
    let row = |command: &str, state: &str| {
        format!(
            r#"[{{"Id":"{ID}","Command":"{command}","State":"{state}","Labels":{{"midwatch.scan":"box-1"}}}}]"#
        )
    };
    let listing = rows(&row("midwatch-scan", "created"));
    assert_eq!((listing.containers.len(), listing.unreadable), (0, 0));
    for (command, state) in [("midwatch-scan", "running"), ("python", "created")] {
        assert_eq!(rows(&row(command, state)).containers.len(), 1);
    }
}

#[test]
fn absent_null_and_strange_fields_never_lose_a_row() {
    let bad = [
        format!(r#"{{"Id":"{ID}"}}"#),
        format!(
            r#"{{"Id":"{ID}","Names":null,"Image":null,"ImageID":null,"Command":null,"Created":null,
                "State":null,"Status":null,"Ports":null,"Labels":null}}"#
        ),
        format!(
            r#"{{"Id":"{ID}","Names":{{"a":1}},"Image":7,"ImageID":[1],"Command":true,"Created":"soon",
                "State":{{}},"Status":1.5,"Ports":[null,5,{{"PrivatePort":"x"}},{{"PrivatePort":99999}}],"Labels":[3]}}"#
        ),
    ];
    for row in &bad {
        let listing = rows(&format!("[{row}]"));
        assert_eq!(
            (listing.containers.len(), listing.unreadable),
            (1, 0),
            "{row}"
        );
        let row = &listing.containers[0];
        assert_eq!(row.name, "0b35b3ae37fe");
        assert_eq!(row.state, ContainerState::Unknown);
        assert!(row.ports.is_empty());
    }
}

#[test]
fn unreadable_rows_are_counted_and_the_rest_is_kept() {
    let listing = rows(&format!(
        r#"[null, 7, "x", [], {{}}, {{"Id":"short"}}, {{"Id":"{ID}","Names":["/kept"]}}]"#
    ));
    assert_eq!(listing.unreadable, 6);
    assert_eq!(listing.containers[0].name, "kept");
}

#[test]
fn what_is_no_list_is_an_error_and_never_an_empty_list() {
    for text in [
        "",
        "{}",
        "null",
        "<html>",
        "[{",
        "\"x\"",
        r#"{"message":"no"}"#,
    ] {
        assert!(list(text.as_bytes(), HostId(0)).is_err(), "{text:?}");
    }
    assert_eq!(rows("[]"), Listing::default());
    assert!(inspect(b"[]", None).is_err());
    assert!(images(b"{}").is_err());
}

#[test]
fn text_from_containers_is_clean_and_bounded() {
    let long = "x".repeat(100_000);
    let listing = list(
        &[
            format!(r#"[{{"Id":"{ID}","Names":["/a\u001b]52;c;x\u0007b"],"Image":"\u202eevil","Command":"{long}","Status":""#)
                .into_bytes(),
            vec![0xff, 0xfe],
            br#""}]"#.to_vec(),
        ]
        .concat(),
        HostId(0),
    )
    .unwrap();
    let row = &listing.containers[0];
    assert_eq!((row.name.as_str(), row.image.as_str()), ("ab", "evil"));
    assert_eq!(row.command.chars().count(), MAX_NAME);
}

/// Every row of the table of ways that were seen on real engines, and the traps beside them.
#[test]
fn grants_are_read_from_every_way_of_asking() {
    let request = |body: &str| format!(r#"{{"HostConfig":{{"DeviceRequests":[{body}]}}}}"#);
    let with_env = |runtime: &str, value: &str| {
        format!(
            r#"{{"HostConfig":{{"Runtime":"{runtime}"}},"Config":{{"Env":["PATH=/bin","NVIDIA_VISIBLE_DEVICES={value}"]}}}}"#
        )
    };
    let cases: Vec<(String, Option<&str>)> = vec![
        (
            request(r#"{"Driver":"","Count":-1,"DeviceIDs":null,"Capabilities":[["gpu"]],"Options":{}}"#),
            Some("all"),
        ),
        (
            request(r#"{"Driver":"nvidia","Count":0,"DeviceIDs":["0","1"],"Capabilities":[["gpu"]],"Options":null}"#),
            Some("device=0,1"),
        ),
        (
            request(r#"{"Driver":"","Count":2,"DeviceIDs":null,"Capabilities":[["gpu"]]}"#),
            Some("count=2"),
        ),
        (
            request(r#"{"Driver":"","Count":0,"DeviceIDs":["0"],"Capabilities":[["utility","gpu"]]}"#),
            Some("device=0"),
        ),
        (
            request(r#"{"Driver":"cdi","Count":0,"DeviceIDs":["nvidia.com/gpu=all"],"Capabilities":null,"Options":null}"#),
            Some("nvidia.com/gpu=all"),
        ),
        (request(r#"{"Driver":"cdi","DeviceIDs":["vendor.com/nic=0"]}"#), None),
        (request(r#"{"Driver":"other","Count":-1,"Capabilities":[["tpu"]]}"#), None),
        (request(r#"{"Count":0,"Capabilities":[["gpu"]]}"#), None),
        (
            request(r#"{"Count":1,"Capabilities":[["gpu"]]},{"Count":-1,"Capabilities":[["gpu"]]}"#),
            Some("all"),
        ),
        (request(r#"null,7,{"Capabilities":{"a":1}}"#), None),
        (with_env("nvidia", "all"), Some("NVIDIA_VISIBLE_DEVICES=all")),
        (with_env("nvidia", "GPU-1,GPU-2"), Some("NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2")),
        (
            with_env("/usr/bin/nvidia-container-runtime", "0"),
            Some("NVIDIA_VISIBLE_DEVICES=0"),
        ),
        (with_env("nvidia", "void"), None),
        (with_env("nvidia", "none"), None),
        (with_env("nvidia", ""), None),
        // Most CUDA images say so in their configuration: it counts for nothing without the runtime.
        (with_env("runc", "all"), None),
        (
            r#"{"HostConfig":{"Devices":[{"PathOnHost":"/dev/nvidiactl"},{"PathOnHost":"/dev/nvidia-uvm"},{"PathOnHost":"/dev/nvidia0"},{"PathOnHost":"/dev/nvidia3"}]}}"#.into(),
            Some("device=/dev/nvidia0,/dev/nvidia3"),
        ),
        (
            r#"{"HostConfig":{"Devices":[{"PathOnHost":"nvidia.com/gpu=0"}]}}"#.into(),
            Some("nvidia.com/gpu=0"),
        ),
        (r#"{"HostConfig":{"Devices":[{"PathOnHost":"/dev/nvidiactl"},{"PathOnHost":"/dev/fuse"}]}}"#.into(), None),
        (r#"{"HostConfig":{"Privileged":true}}"#.into(), Some("privileged")),
        (
            r#"{"HostConfig":{"Privileged":true,"DeviceRequests":[{"Count":-1,"Capabilities":[["gpu"]]}]}}"#.into(),
            Some("all"),
        ),
        (r#"{"HostConfig":{"DeviceRequests":null,"Devices":null}}"#.into(), None),
        ("{}".into(), None),
    ];
    for (json, want) in cases {
        let grant = details(&json).grant.map(|g| g.to_string());
        assert_eq!(grant.as_deref(), want, "{json}");
    }
}

#[test]
fn the_engines_default_runtime_counts_where_the_container_names_none() {
    let json = br#"{"HostConfig":{"Runtime":""},"Config":{"Env":["NVIDIA_VISIBLE_DEVICES=0"]}}"#;
    let grant = |default| inspect(json, default).unwrap().0.grant;
    assert_eq!(
        grant(Some("nvidia")),
        Some(GpuGrant::VisibleDevices("0".into()))
    );
    assert_eq!(grant(Some("runc")), None);
    assert_eq!(grant(None), None);
}

#[test]
fn states_and_times_are_told_only_where_they_are_true() {
    let running = details(
        r#"{"State":{"Status":"running","Pid":41,"ExitCode":0,"OOMKilled":false,"StartedAt":"2026-11-23T16:22:44.1Z",
            "FinishedAt":"0001-01-01T00:00:00Z","Error":""},"RestartCount":2,"HostConfig":{"ShmSize":67108864,"Memory":0},
            "Config":{"Tty":true,"StopTimeout":600},"Mounts":[{"Source":"/data","Destination":"/d","RW":true}]}"#,
    );
    assert_eq!((running.pid, running.exit_code), (Some(41), None));
    assert!(running.started_at.is_some() && running.finished_at.is_none());
    assert_eq!((running.error, running.memory_limit_bytes), (None, None));
    assert!(running.tty && running.mounts[0].writable);
    let refused = details(
        r#"{"State":{"Status":"created","Pid":0,"ExitCode":128,"Error":"could not select device driver"}}"#,
    );
    assert_eq!((refused.pid, refused.exit_code), (None, Some(128)));
    assert_eq!(
        refused.error.as_deref(),
        Some("could not select device driver")
    );
    let fresh = details(r#"{"State":{"Status":"created","ExitCode":0}}"#);
    assert_eq!(fresh.exit_code, None);
    let killed = details(r#"{"State":{"Status":"exited","ExitCode":137,"OOMKilled":true}}"#);
    assert_eq!(
        (killed.exit_code, killed.oom_killed),
        (Some(137), Some(true))
    );
    assert_eq!(
        stop_timeout(br#"{"Config":{"StopTimeout":600}}"#),
        Some(600)
    );
}

#[test]
fn images_without_tags_and_with_strange_counts() {
    let read = images(
        br#"[{"Id":"sha256:aa","RepoTags":["a:1","b:2"],"Size":5,"Created":1795450963,"Containers":-1},
            {"Id":"bb","RepoTags":null,"Containers":3},{"Id":"sha256:cc","RepoTags":["<none>:<none>"]},{"RepoTags":[]},null]"#,
    )
    .unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!(read[0].tags, ["a:1", "b:2"]);
    assert_eq!((read[0].containers, read[1].containers), (None, Some(3)));
    assert_eq!(&*read[1].id.0, "sha256:bb");
    assert!(read[2].tags.is_empty());
}
