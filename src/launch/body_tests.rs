use proptest::prelude::*;

use super::*;
use crate::launch::parse::{self, tests::any_spec};
use crate::launch::{GpuAsk, Which};

fn here() -> Surroundings {
    Surroundings {
        env: [("HERE", "yes"), ("A", "outer")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        cwd: "/proj".into(),
        ..Surroundings::default()
    }
}

fn files(path: &str) -> Result<String, String> {
    match path {
        "/proj/one.env" => Ok("\u{feff}# x\r\nA=1\r\n\n  HERE\nGONE\nB=\"2\" # kept\n".to_owned()),
        "/proj/bad.env" => Ok("export A=1\n".to_owned()),
        "/proj/none.env" => Ok("=1\n".to_owned()),
        "/proj/labels" => Ok("a=file\nlone\n".to_owned()),
        "/proj/p.json" => Ok("{ \"a b\": \"c \\\" d\",\n \"e\": [1, 2] }".to_owned()),
        "/proj/p.txt" => Ok("not json".to_owned()),
        _ => Err(format!("{path}: no such file")),
    }
}

fn body(line: &str) -> Result<CreateBody, String> {
    let spec = parse::line(line, &here())
        .map_err(|fault| fault.to_string())?
        .spec;
    let request = spec.gpus.as_ref().and_then(GpuRequest::plain);
    create(&spec, request.as_ref(), &here(), &files)
}

fn made(line: &str) -> Value {
    body(line)
        .unwrap_or_else(|why| panic!("{line}: {why}"))
        .json
}

#[test]
fn the_environment_is_in_dockers_order() {
    let json = made("docker run --env-file one.env -e A=2 -e HERE -e NONE -e A=3 img");
    assert_eq!(
        json["Env"],
        json!([
            "A=1",
            "HERE=yes",
            "B=\"2\" # kept",
            "A=3",
            "HERE=yes",
            "NONE"
        ])
    );
    for (line, say) in [
        (
            "docker run --env-file bad.env img",
            "line 1: `export`… has a blank",
        ),
        ("docker run --env-file none.env img", "no name before"),
        ("docker run --env-file gone.env img", "no such file"),
        ("docker run --label-file gone img", "no such file"),
        ("docker run --security-opt seccomp=p.txt img", "not JSON"),
        ("docker run --rm --restart always img", "contradict"),
        ("docker run -d -a stdin img", "contradict"),
        (
            "docker run --no-healthcheck --health-retries 1 img",
            "contradict",
        ),
        (
            "docker run --network a --network host img",
            "joined together",
        ),
        ("docker run --network a --network a img", "twice"),
        (
            "docker run --ip 1.2.3.4 --network name=a,ip=1.2.3.4 img",
            "both by itself",
        ),
        ("docker run --network-alias x img", "network of your own"),
    ] {
        let why = body(line).unwrap_err();
        assert!(why.contains(say), "{line}: {why}");
    }
}

#[test]
fn labels_profiles_and_modes() {
    let json = made(
        "docker run -l b=1 --label-file labels -l a=line --security-opt seccomp=p.json \
         --security-opt systempaths=unconfined --health-interval 0s img",
    );
    assert_eq!(json["Labels"], json!({"a": "line", "lone": "", "b": "1"}));
    assert_eq!(
        json["HostConfig"]["SecurityOpt"],
        json!(["seccomp={\"a b\":\"c \\\" d\",\"e\":[1,2]}"])
    );
    assert_eq!(json["HostConfig"]["MaskedPaths"], json!([]));
    assert!(json.get("Healthcheck").is_none());
    for (line, streams) in [
        ("docker run img", (false, true, true, false)),
        ("docker run -i img", (true, true, true, true)),
        ("docker run -id img", (false, false, false, false)),
        ("docker run -a stderr img", (false, false, true, false)),
        ("docker run -i -a stderr img", (true, false, true, true)),
        ("docker run -a stdin img", (true, false, false, false)),
    ] {
        let json = made(line);
        let got = ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"]
            .map(|key| json[key] == json!(true));
        assert_eq!(<(bool, bool, bool, bool)>::from(got), streams, "{line}");
    }
}

#[test]
fn gpus_are_asked_for_in_each_form() {
    let spec = parse::line(
        "docker run -e NVIDIA_VISIBLE_DEVICES=none --device nvidia.com/gpu=9 img",
        &here(),
    )
    .unwrap()
    .spec;
    let with = |request: &GpuRequest| create(&spec, Some(request), &here(), &files).unwrap().json;
    let mut ask = GpuAsk::of(Which::Devices(vec!["GPU-1".to_owned(), "0:1".to_owned()]));
    ask.capabilities = vec!["utility".to_owned()];
    let json = with(&GpuRequest::plain(&ask).unwrap());
    assert_eq!(
        json["HostConfig"]["DeviceRequests"],
        json!([
            {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-1", "0:1"], "Capabilities": [["utility", "gpu"]], "Options": {}},
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=9"], "Capabilities": null, "Options": null},
        ])
    );
    let json = with(&GpuRequest::Cdi(vec!["nvidia.com/gpu=0".to_owned()]));
    assert_eq!(
        json["HostConfig"]["DeviceRequests"],
        json!([
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=0", "nvidia.com/gpu=9"], "Capabilities": null, "Options": null},
        ])
    );
    assert_eq!(json["HostConfig"]["Devices"], json!([]));
    let json = with(&GpuRequest::Runtime {
        name: "nvidia".to_owned(),
        visible: "GPU-1".to_owned(),
        capabilities: Some("utility".to_owned()),
    });
    assert_eq!(json["HostConfig"]["Runtime"], "nvidia");
    assert_eq!(
        json["Env"],
        json!([
            "NVIDIA_VISIBLE_DEVICES=GPU-1",
            "NVIDIA_DRIVER_CAPABILITIES=utility"
        ])
    );
}

#[test]
fn platforms_are_named_as_the_call_takes_them() {
    for (text, want) in [
        ("linux/amd64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("arm/v6", "arm/v6"),
        ("windows/amd64", "windows/amd64"),
    ] {
        assert_eq!(platform(text), Ok(Some(want.to_owned())), "{text}");
    }
    assert_eq!(platform(""), Ok(None));
    for bad in ["/", "linux/", "a b", "a/b/c/d"] {
        assert!(platform(bad).is_err(), "{bad}");
    }
}

proptest! {
    /// What was parsed once can always be sent, or contradicts itself in words.
    #[test]
    fn every_spec_has_a_body_or_a_reason(spec in any_spec()) {
        match create(&spec, None, &here(), &|_| Ok("{}".to_owned())) {
            Ok(made) => {
                prop_assert_eq!(&made.json["Image"], &json!(spec.image));
                prop_assert!(made.json["HostConfig"]["NetworkMode"].is_string());
            }
            Err(why) => prop_assert!(why.len() > 10 && !why.contains("{}"), "{}", why),
        }
    }
}
