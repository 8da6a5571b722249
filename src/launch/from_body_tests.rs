use proptest::prelude::*;
use serde_json::json;

use super::host::meant;
use super::*;
use crate::launch::parse::{self, tests::any_spec};
use crate::launch::{GpuRequest, Surroundings, create};

fn body_of(spec: &LaunchSpec) -> Result<Value, String> {
    let request = spec.gpus.as_ref().and_then(GpuRequest::plain);
    create(spec, request.as_ref(), &Surroundings::default(), &|_| {
        Ok("low=1\nlone\n".to_owned())
    })
    .map(|body| body.json)
}

/// A body as an engine would show the container that it made of it.
fn shown_of(spec: &LaunchSpec, body: &Value) -> Value {
    let mut config = body.clone();
    let map = config.as_object_mut().unwrap();
    let host = map.remove("HostConfig").unwrap();
    let networks = map.remove("NetworkingConfig").unwrap()["EndpointsConfig"].take();
    json!({
        "Name": spec.name.as_ref().map(|name| format!("/{name}")),
        "Config": config, "HostConfig": host, "NetworkSettings": {"Networks": networks},
    })
}

fn here() -> Surroundings {
    Surroundings {
        cwd: "/proj".into(),
        ..Surroundings::default()
    }
}

fn read(line: &str) -> LaunchSpec {
    parse::line(line, &here())
        .unwrap_or_else(|fault| panic!("{line}: {fault}"))
        .spec
}

#[test]
fn a_container_is_its_line_again() {
    for line in [
        "docker run -d --rm --name train --gpus all -e A=b -v /data:/data -p 8000:8000 --shm-size 8g --ipc host img serve -x",
        "docker run -it --gpus '\"device=0,1\",capabilities=utility' --ulimit memlock=-1 --ulimit stack=67108864 img",
        "docker run -v /anon -v vol:/v:ro --tmpfs /t:size=1m -u 1:2 -w /w --restart on-failure:3 --network host img",
        "docker run --network name=net,alias=a,ip=10.0.0.2 -m 1g --cpus 1.5 --entrypoint sh img -c 'a b'",
        "docker run -p 127.0.0.1:80:80 -p 9000-9010:81/udp -p 82 --privileged --init=false --expose 90/tcp img",
        "docker run --mount type=volume,source=vv,target=/v,readonly,volume-nocopy,volume-label=a=b img",
        "docker run --entrypoint '' --device /dev/a --device /dev/b:/dev/c:r --device nvidia.com/gpu=0 img",
        "docker run --cap-add CAP_SYS_ADMIN --security-opt seccomp=unconfined --security-opt systempaths=unconfined img",
        "docker run --health-cmd 'curl x' --health-interval 30s --health-retries 3 --memory-swap -1 img",
        "docker run -a stdout --hostname box --link db:database --label a=b --log-opt max-size=1m img",
        "docker run --network a --network b img",
    ] {
        let spec = read(line);
        let body = body_of(&spec).unwrap();
        let (back, notes) = from_inspect(&shown_of(&spec, &body), None);
        assert_eq!(notes, Vec::<String>::new(), "{line}");
        let mut back = back;
        let mut spec = spec;
        let name = |flag: &OtherFlag| (flag.name.clone(), flag.value.clone());
        back.other.sort_by_key(name);
        spec.other.sort_by_key(name);
        assert_eq!(back, spec, "{line}");
    }
}

#[test]
fn what_the_image_sets_is_left_out() {
    let image = json!({"Config": {
        "Env": ["PATH=/bin", "CUDA_VERSION=12.4"], "Cmd": ["sh"], "Entrypoint": ["/entry", "-q"], "User": "app",
        "WorkingDir": "/app", "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
        "StopSignal": "SIGINT", "Healthcheck": {"Test": ["CMD", "x"]},
    }});
    let mut container = json!({
        "Id": "0123456789abcdef", "Name": "/one", "Config": image["Config"], "HostConfig": {
            "NetworkMode": "default", "ShmSize": 67_108_864, "IpcMode": "private", "Runtime": "runc", "CgroupnsMode": "private",
            "LogConfig": {"Type": "json-file", "Config": {}}, "RestartPolicy": {"Name": "no"}, "MaskedPaths": ["/proc/x"],
            "Memory": 1024, "MemorySwap": 2048, "PidsLimit": null, "ConsoleSize": [24, 80],
        },
        "NetworkSettings": {"Networks": {"bridge": {"MacAddress": "02:42:ac:11:00:02", "Aliases": ["0123456789ab"]}}},
    });
    container["Config"]["Image"] = "img:1".into();
    container["Config"]["Hostname"] = "0123456789ab".into();
    container["Config"]["AttachStdout"] = true.into();
    container["Config"]["AttachStderr"] = true.into();
    let (spec, notes) = from_inspect(&container, Some(&image));
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(
        spec,
        LaunchSpec {
            image: "img:1".to_owned(),
            name: Some("one".to_owned()),
            memory_bytes: Some(1024),
            ..LaunchSpec::default()
        }
    );
    // An entrypoint of its own, a command of its own, and what cannot be said.
    container["Config"]["Cmd"] = json!(["train"]);
    container["Config"]["Env"] = json!(["PATH=/bin", "CUDA_VERSION=12.4", "A=1"]);
    container["Config"]["Healthcheck"] = json!({"Test": ["CMD", "other"]});
    container["HostConfig"]["Novelty"] = json!({"x": 1});
    container["HostConfig"]["SecurityOpt"] = json!(["seccomp={}", "label=disable"]);
    container["HostConfig"]["Privileged"] = true.into();
    container["HostConfig"]["Mounts"] =
        json!([{"Type": "bind", "Source": "/a", "Target": "/b", "New": 1}]);
    container["HostConfig"]["DeviceRequests"] = json!([
        {"Count": -1, "Capabilities": [["gpu"], ["tpu"]]},
        {"Count": -1, "Capabilities": [["gpu"]]},
        {"Count": 2, "Capabilities": [["gpu"]]},
    ]);
    let (spec, notes) = from_inspect(&container, Some(&image));
    assert_eq!(spec.command, ["train"]);
    assert_eq!(spec.env.len(), 1);
    assert_eq!(spec.gpus, Some(GpuAsk::of(Which::All)));
    assert_eq!(spec.other_value("security-opt"), None);
    assert_eq!(notes.len(), 6, "{notes:?}");
    for say in [
        "health check",
        "Novelty",
        "seccomp",
        "mount",
        "device request",
    ] {
        assert!(
            notes.iter().any(|note| note.contains(say)),
            "{say}: {notes:?}"
        );
    }
    container["Config"]["Entrypoint"] = Value::Null;
    let (spec, _) = from_inspect(&container, Some(&image));
    assert_eq!(spec.entrypoint.as_deref(), Some(""));
    container["Config"]["Entrypoint"] = json!(["python", "-m"]);
    let (spec, _) = from_inspect(&container, Some(&image));
    assert_eq!(
        (spec.entrypoint.as_deref(), spec.command),
        (Some("python"), vec!["-m".to_owned(), "train".to_owned()])
    );
}

proptest! {
    /// The container that is made of a launch makes the same container again.
    #[test]
    fn a_body_is_read_back(spec in any_spec()) {
        let mut spec = spec;
        // What an engine does by itself is not told apart from what was asked for.
        spec.ipc = spec.ipc.filter(|ipc| ipc != "private");
        spec.other.retain(|flag| flag.value != "label=disable");
        spec.platform = None;
        if let Ok(body) = body_of(&spec) {
            let (back, notes) = from_inspect(&shown_of(&spec, &body), None);
            // A seccomp profile is in the body, and was a file.
            let profile = spec.other.iter().any(|flag| flag.value.starts_with("seccomp=/"));
            prop_assume!(!profile);
            prop_assert_eq!(&notes, &Vec::<String>::new());
            let again = body_of(&back).unwrap();
            prop_assert_eq!(meant(&again), meant(&body));
        }
    }

    #[test]
    fn no_json_panics(text in "\\PC{0,10}", number in any::<i64>()) {
        let values = [json!(text), json!(number), json!([text, {"Path": text}]), json!({&text: [text]}), json!({&text: {"HostPort": text}})];
        for key in ["Binds", "Mounts", "PortBindings", "Ulimits", "DeviceRequests", "Devices", "Tmpfs", "LogConfig", "Links", "NetworkMode"] {
            for value in &values {
                let container = json!({"Name": value, "Config": {"Env": value, "Cmd": value, "Healthcheck": value}, "HostConfig": {key: value}, "NetworkSettings": {"Networks": value}});
                let (_, notes) = from_inspect(&container, Some(&container));
                prop_assert!(notes.iter().all(|note| note.len() < 600));
            }
        }
    }
}
