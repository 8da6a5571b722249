//! What is created from a line read here, beside what Docker's own client creates from the same line: the body
//! that it sends, and what a real engine then shows.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use midwatch::launch::{GpuRequest, Surroundings, create, from_inspect, parse, words};
use serde_json::Value;

use crate::engine_rig::{docker, socket, try_docker};

const IMAGE: &str = "midwatch-test:busybox";

/// What both clients are given as their surroundings.
fn here(folder: &Path) -> Surroundings {
    let env = [
        ("HOME", "/nonexistent"),
        ("PATH", &std::env::var("PATH").unwrap()),
        ("FROM_ENV", "of the caller"),
    ];
    Surroundings {
        env: env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
        cwd: folder.to_owned(),
        home: Some("/nonexistent".into()),
        uid: 0,
        gid: 0,
    }
}

/// The files that the lines name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "one.env",
        "# a comment\nA=1\n  B = x\nFROM_ENV\nNOT_THERE\nQUOTED=\"q\"\nLAST=$A # no comment\n"
            .replace("  B = x\n", "  B= x\n")
            .as_str(),
    );
    write("labels", "com.example.a=1\nlone\n");
    write(
        "seccomp.json",
        "{ \"defaultAction\": \"SCMP_ACT_ALLOW\",\n  \"syscalls\": [ ] }\n",
    );
    std::fs::create_dir(folder.path().join("data")).unwrap();
    folder
}

/// The flags of each line, and its command. They stand for what users' lines have: every flag that reaches the
/// create call is in one of them.
const LINES: &[(&str, &str)] = &[
    ("", ""),
    (
        "-it --rm --gpus all --ipc=host --ulimit memlock=-1 --ulimit stack=67108864",
        "nvidia-smi -L",
    ),
    (
        "-d --gpus '\"device=0,1\"' --shm-size 1g -p 8000:8000 -v ./data:/data -e HF_TOKEN=x",
        "serve --model m",
    ),
    (
        "--gpus 2 -e A=1 -e B -e FROM_ENV -e A=2 --env-file one.env",
        "env",
    ),
    (
        "--gpus 'all,\"capabilities=compute,utility\"' -p 127.0.0.1:8888:8888 -p 6006 -P --expose 90-92/udp",
        "",
    ),
    (
        "--gpus '\"device=GPU-0aa1,GPU-2\",driver=nvidia,\"options=a=b,c=d\"'",
        "",
    ),
    (
        "-e NVIDIA_VISIBLE_DEVICES=all -w /work -u 1000:100 --entrypoint /bin/sh",
        "-c 'echo \"$HOME\"'",
    ),
    (
        "--restart unless-stopped -m 2g --cpus 1.5 --memory-swap -1 --memory-reservation 1g --cpu-shares 512",
        "x",
    ),
    (
        "--restart on-failure:3 --pids-limit 100 --oom-score-adj 100 --oom-kill-disable --memory-swappiness 0",
        "",
    ),
    (
        "-v vol:/a:ro -v /anon -v data2:/b --tmpfs /run:size=64m,mode=1777 --tmpfs /tmp --volume-driver local",
        "",
    ),
    (
        "--mount type=bind,src=./data,dst=/d,readonly --mount type=volume,src=vol3,dst=/v,volume-label=a=b,volume-nocopy \
         --mount type=tmpfs,dst=/t,tmpfs-size=10m,tmpfs-mode=1770",
        "",
    ),
    (
        "--mount type=bind,source=/tmp,target=/x,bind-propagation=rslave,consistency=cached -v /tmp:/y:rshared,Z",
        "",
    ),
    (
        "--privileged --cap-add SYS_ADMIN --cap-add=NET_ADMIN --cap-drop ALL --init --read-only",
        "true",
    ),
    (
        "--init=false --device /dev/null --device /dev/zero:/dev/z:r --device-cgroup-rule 'c 195:* rwm'",
        "",
    ),
    (
        "--security-opt seccomp=unconfined --security-opt no-new-privileges --security-opt systempaths=unconfined",
        "",
    ),
    (
        "--security-opt seccomp=seccomp.json --group-add video --group-add 44 --sysctl net.core.somaxconn=1024",
        "",
    ),
    (
        "-h box --domainname lab --add-host a:1.2.3.4 --add-host b=::1 --dns 10.0.0.1 --dns-search x.y --dns-opt use-vc",
        "",
    ),
    (
        "-l a=b --label lone --label-file labels --log-driver json-file --log-opt max-size=10m --log-opt max-file=3",
        "",
    ),
    (
        "--health-cmd 'curl -f localhost' --health-interval 1m30s --health-retries 3 --health-timeout=500ms",
        "",
    ),
    (
        "--no-healthcheck --stop-signal SIGINT --stop-timeout 30 --runtime runc --cgroup-parent /x",
        "",
    ),
    (
        "--pid host --uts host --userns host --cgroupns host --ipc shareable --cpuset-cpus 0 --cpuset-mems 0",
        "",
    ),
    (
        "--blkio-weight 300 --device-read-bps /dev/null:1mb --device-write-iops /dev/null:100 --cpu-period 100000 --cpu-quota 50000",
        "",
    ),
    ("-a stdout -i --entrypoint ''", "cat"),
    ("-i -a stdin -a STDERR -t", ""),
    ("--volumes-from mwl-docker-0:ro --isolation default", ""),
    (
        "--cpu-rt-period 1000 --cpu-rt-runtime 950 --kernel-memory 64m --device-read-iops /dev/null:5 --device-write-bps /dev/null:2k --blkio-weight-device /dev/null:200",
        "",
    ),
    ("--annotation a.b=c --annotation d=e", ""),
    ("--storage-opt size=1g", ""),
    (
        "-p 8000-8002:9000-9002 -p 9100-9110:91/udp -p [::1]:81:80 -p 0.0.0.0::82/sctp",
        "",
    ),
];

/// Lines about networks; they do not get `--network none`.
const NETWORKS: &[&str] = &[
    "--network host -p 80:80",
    "--network bridge",
    "--network mwl-net --network-alias a --network-alias b --ip 172.31.200.9 --link mwl-docker-0:y --mac-address 92:d0:c6:0a:29:33",
    "--network name=mwl-net,alias=c,ip=172.31.200.8,driver-opt=a=b",
    "--network mwl-net --network name=mwl-two,alias=z --ip6 fd00::9 --link-local-ip 169.254.1.2",
    "--network container:mwl-docker-0",
    "--net none --mac-address 92:d0:c6:0a:29:34",
    "--link mwl-docker-0:database",
];

/// Lines that Docker's client itself refuses, and this program as well.
const REFUSED: &[&str] = &[
    "--rm --restart always",
    "-d -a stdout",
    "--no-healthcheck --health-cmd x",
    "--network mwl-net --network host",
    "--network mwl-net --network mwl-net",
    "--network host --network-alias a",
    "--network name=mwl-net,ip=1.2.3.4 --ip 1.2.3.4",
    "--log-driver none --log-opt a=b",
    "--memory-swappiness 101",
    "--env-file missing.env",
    "--device x",
    "-p 1-2:1-3",
    "--ulimit nofile=2:1",
    "--mac-address x --network bridge",
    "--sysctl a=b",
    "--storage-opt x",
    "--security-opt x",
    "-v /a:",
    "--mount type=bind,target=/x,volume-nocopy",
    "--cpus 1.0000000001",
    "--gpus x",
    "--pid x",
    "--userns keep-id",
];

/// The line's own words between `run` or `create` and the image.
fn flags(text: &str, folder: &Path) -> Vec<String> {
    words::split(&format!("x {text}"), &here(folder))
        .unwrap()
        .words
        .split_off(1)
}

/// One launch for both clients: the words between `run` and the image, and those after the image.
struct Case {
    flags: Vec<String>,
    command: Vec<String>,
    /// It says something of networks; else it is joined to none.
    network: bool,
    /// `-d`, which `create` does not have.
    detached: bool,
}

impl Case {
    fn of(mut flags: Vec<String>, command: Vec<String>) -> Self {
        let before = flags.len();
        flags.retain(|flag| !matches!(flag.as_str(), "-d" | "--detach" | "--detach=true"));
        let network = flags
            .iter()
            .any(|flag| flag.starts_with("--net") || flag == "--link");
        Self {
            detached: flags.len() < before,
            flags,
            command,
            network,
        }
    }

    /// `docker VERB --name NAME FLAGS IMAGE COMMAND` without the first word; the name last, so that it counts, and no pull.
    fn words(&self, verb: &str, name: &str) -> Vec<String> {
        let mut words = vec![verb.to_owned()];
        if verb == "run" && self.detached {
            words.push("-d".to_owned());
        }
        words.extend(self.flags.iter().cloned());
        words.extend(["--name", name, "--pull", "never", IMAGE].map(str::to_owned));
        words.extend(self.command.iter().cloned());
        words
    }
}

/// All of the above, and the lines of real projects.
fn cases(folder: &Path) -> Vec<Case> {
    let networks = NETWORKS.iter().map(|flags| (*flags, ""));
    let mut cases: Vec<Case> = LINES
        .iter()
        .copied()
        .chain(networks)
        .map(|(line, command)| Case::of(flags(line, folder), flags(command, folder)))
        .collect();
    let text = include_str!("../fixtures/launch/lines.txt");
    for part in text
        .split("\n%%\n")
        .filter(|part| !part.contains("\n=> error "))
    {
        let line: Vec<&str> = part
            .lines()
            .filter(|line| !line.starts_with("## ") && !line.starts_with("=> "))
            .collect();
        let surroundings = here(folder);
        let split = words::split(&line.join("\n"), &surroundings).unwrap().words;
        // Other programs say more than their words: what they add is tested elsewhere.
        if !split.iter().take(2).any(|word| word == "docker") {
            continue;
        }
        let spec = parse::line(&words::one_line(&split), &surroundings)
            .unwrap()
            .spec;
        let run = split.iter().position(|word| word == "run").unwrap();
        let image = split.len() - spec.command.len() - 1;
        assert_eq!(split[image], spec.image);
        cases.push(Case::of(split[run + 1..image].to_vec(), spec.command));
    }
    cases
}

/// What this program sends for a line.
fn ours(folder: &Path, line: &str) -> Result<midwatch::launch::CreateBody, String> {
    let surroundings = here(folder);
    let parsed = parse::line(line, &surroundings).map_err(|fault| fault.to_string())?;
    let request = parsed.spec.gpus.as_ref().and_then(GpuRequest::plain);
    create(&parsed.spec, request.as_ref(), &surroundings, &|path| {
        std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
    })
}

/// Docker's client on a socket, in the folder, with the same environment.
fn client(socket: &str, folder: &Path, args: &[String]) -> (bool, String) {
    let output = Command::new("docker")
        .env_clear()
        .envs(here(folder).env)
        .current_dir(folder)
        .args(["-H", &format!("unix://{socket}")])
        .args(args)
        .output()
        .expect("docker");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).trim().to_owned(),
    )
}

/// One request to an engine, closed after it; the status and the body.
fn call(socket: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let start = answer.find('{').unwrap();
    let end = answer.rfind('}').unwrap();
    (status, serde_json::from_str(&answer[start..=end]).unwrap())
}

/// The container as the engine shows it, without what is its own: ids, names, times, places of its files.
fn shown(socket: &str, name: &str) -> Value {
    // A link tells the name of its own container.
    let text = docker(socket, &["inspect", name]).replace(&format!("/{name}/"), "/NAME/");
    let mut all: Value = serde_json::from_str(&text).unwrap();
    let mut one = all[0].take();
    let id = one["Id"].as_str().unwrap().to_owned();
    let map = one.as_object_mut().unwrap();
    for key in [
        "Id",
        "Name",
        "Created",
        "GraphDriver",
        "LogPath",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
    ] {
        map.remove(key);
    }
    if one["Config"]["Hostname"] == id[..12] {
        one["Config"]["Hostname"] = "ID".into();
    }
    for mount in one["Mounts"].as_array_mut().unwrap() {
        // A volume without a name gets one of the engine's.
        if mount["Name"].as_str().is_some_and(|name| name.len() == 64) {
            mount["Name"] = "ANY".into();
            mount["Source"] = "ANY".into();
        }
    }
    sorted(&mut one);
    one
}

/// Lists whose order Docker's own client leaves to chance, in one order.
fn sorted(value: &mut Value) {
    let by_text = |list: &mut Value| {
        if let Some(list) = list.as_array_mut() {
            list.sort_by_key(Value::to_string);
        }
    };
    let parts = ["/Config/Env", "/Env", "/HostConfig/Binds", "/Mounts"];
    for part in parts {
        if let Some(list) = value.pointer_mut(part) {
            by_text(list);
        }
    }
}

/// A body without what means nothing: null, empty, zero and false.
fn meant(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(list) if list.iter().all(|item| item == 0) => None,
        Value::Object(map) => {
            let kept: serde_json::Map<String, Value> = map
                .iter()
                .filter_map(|(key, value)| {
                    // What an empty thing means is its being there.
                    let keeps = matches!(value, Value::Object(map) if map.is_empty())
                        && (key.contains('/') || key == "MaskedPaths");
                    if keeps {
                        return Some((key.clone(), value.clone()));
                    }
                    meant(value).map(|value| (key.clone(), value))
                })
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other.clone()),
    }
}

/// The places where two values differ.
fn differences(at: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> =
                left.keys().chain(right.keys()).collect();
            for key in keys {
                let (left, right) = (left.get(key), right.get(key));
                match (left, right) {
                    (Some(left), Some(right)) => {
                        differences(&format!("{at}.{key}"), left, right, out)
                    }
                    _ => out.push(format!("{at}.{key}: docker {left:?}, ours {right:?}")),
                }
            }
        }
        _ if a == b => {}
        _ => out.push(format!("{at}: docker {a}, ours {b}")),
    }
}

/// An engine that answers just enough for `docker run -d`, and tells the body of the create call.
fn listener(path: &Path) -> mpsc::Receiver<(String, Value)> {
    let listener = UnixListener::bind(path).unwrap();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let send = send.clone();
            std::thread::spawn(move || answer(stream, &send));
        }
    });
    receive
}

fn answer(stream: UnixStream, send: &mpsc::Sender<(String, Value)>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).ok()? == 0 {
            return None;
        }
        let path = first.split(' ').nth(1)?.to_owned();
        let mut length = 0usize;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, text) = if path.contains("/containers/create") {
            send.send((path, serde_json::from_slice(&body).ok()?))
                .ok()?;
            ("201 Created", r#"{"Id":"0123456789ab","Warnings":[]}"#)
        } else if path.contains("/wait") {
            ("200 OK", r#"{"StatusCode":0}"#)
        } else if path.contains("/start") {
            ("204 No Content", "")
        } else {
            ("200 OK", r#"{"ApiVersion":"1.50","Os":"linux"}"#)
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nApi-Version: 1.50\r\nOSType: linux\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        )
        .ok()?;
    }
}

/// Whether the installed client is one that the bodies are those of; told loudly where it is not.
fn client_is_new() -> bool {
    let output = Command::new("docker").arg("--version").output();
    let text = output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    let major = text
        .split([' ', '.'])
        .find_map(|word| word.parse::<u32>().ok())
        .unwrap_or(0);
    if major < 28 {
        eprintln!("SKIPPED: docker's client is {text:?}, and these bodies are those of 28");
    }
    major >= 28
}

#[test]
fn the_bodies_are_those_of_dockers_client() {
    if !client_is_new() {
        return;
    }
    let folder = folder();
    let socket = folder.path().join("client.sock");
    let bodies = listener(&socket);
    let mut cases = cases(folder.path());
    for more in [
        "--device nvidia.com/gpu=all --gpus 1 --device nvidia.com/gpu=0",
        "--platform arm64",
    ] {
        cases.push(Case::of(flags(more, folder.path()), Vec::new()));
    }
    assert!(cases.len() >= 80, "{}", cases.len());
    let mut faults = Vec::new();
    for case in cases {
        let verb = if case.detached { "run" } else { "create" };
        let args = case.words(verb, "mw");
        let line = words::one_line(&args);
        let (_, said) = client(socket.to_str().unwrap(), folder.path(), &args);
        let Ok((path, mut theirs)) = bodies.try_recv() else {
            panic!("{line}: docker sent nothing: {said}");
        };
        let mut mine = ours(folder.path(), &format!("docker {line}"))
            .unwrap_or_else(|fault| panic!("{line}: {fault}"));
        assert_eq!(mine.name.as_deref(), Some("mw"));
        let platform = path
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("platform="))
            .map(|platform| platform.replace("%2F", "/"));
        assert_eq!(mine.platform, platform, "{line}");
        sorted(&mut theirs);
        sorted(&mut mine.json);
        // It stands at the network; engines before API 1.44 read it here, and the client asks for the version.
        if let Some(mac) = mine.json.as_object_mut().unwrap().remove("MacAddress") {
            assert!(
                theirs
                    .to_string()
                    .contains(&format!("\"MacAddress\":{mac}"))
            );
        }
        // The same with this one, before API 1.42.
        mine.json["HostConfig"]
            .as_object_mut()
            .unwrap()
            .remove("KernelMemory");
        let (theirs, mine) = (meant(&theirs).unwrap(), meant(&mine.json).unwrap());
        let mut found = Vec::new();
        differences("", &theirs, &mine, &mut found);
        faults.extend(
            found
                .into_iter()
                .map(|found| format!("{line}\n    {found}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_dockers_client_refuses_is_refused() {
    let folder = folder();
    let socket = folder.path().join("client.sock");
    let bodies = listener(&socket);
    for line in REFUSED {
        if client_is_new() {
            let mut args = vec!["run".to_owned()];
            args.extend(flags(line, folder.path()));
            args.push(IMAGE.to_owned());
            let (ok, said) = client(socket.to_str().unwrap(), folder.path(), &args);
            assert!(!ok && bodies.try_recv().is_err(), "{line}: {said}");
        }
        let error = ours(folder.path(), &format!("docker run {line} {IMAGE}")).unwrap_err();
        assert!(error.len() > 10, "{line}: {error}");
    }
}

#[test]
fn the_engine_creates_what_it_creates_from_dockers_client() {
    let Some(socket) = socket() else { return };
    let folder = folder();
    let left = Left(socket.clone());
    left.away();
    let has_networks = NETS.iter().all(|(net, subnet)| {
        try_docker(&socket, &["network", "create", "--subnet", subnet, net]).0
    });
    let cases = cases(folder.path());
    let own = LINES.len() + NETWORKS.len();
    let (mut compared, mut real, mut faults) = (0, 0, Vec::new());
    for (at, mut case) in cases.into_iter().enumerate() {
        if !case.network {
            let none = ["--network", "none"].map(str::to_owned);
            case.flags.splice(0..0, none);
        }
        let (theirs, mine) = (format!("mwl-docker-{at}"), format!("mwl-ours-{at}"));
        let args = case.words("create", &theirs);
        let line = words::one_line(&args);
        if line.contains("mwl-net") && !has_networks {
            continue;
        }
        let (ok, said) = client(&socket, folder.path(), &args);
        // `create` leaves out -d, which says that nothing is attached: that is compared in the body.
        case.detached = false;
        let own_line = words::one_line(&case.words("run", &mine));
        let body = ours(folder.path(), &format!("docker {own_line}"))
            .unwrap_or_else(|fault| panic!("{line}: {fault}"));
        let path = format!("/containers/create?name={mine}");
        let (status, answer) = call(&socket, &path, &body.json);
        if said.contains("requires API version") {
            eprintln!("this engine is older than the flag: {line}");
            continue;
        }
        // What this engine refuses (an older one a new flag, this kernel a limit), it refuses both.
        assert_eq!(ok, status == 201, "{line}\n{said}\n{answer}");
        if !ok {
            let why = answer["message"].as_str().unwrap();
            // The engine names several things in any order.
            let missing = why.split([' ', ',']).find(|word| !said.contains(word));
            assert_eq!(missing, None, "{line}\n{said}\n{why}");
            eprintln!("refused by this engine: {line}: {why}");
            continue;
        }
        let again = again(&socket, folder.path(), &mine, &case);
        let mut found = Vec::new();
        let (theirs, mine) = (shown(&socket, &theirs), shown(&socket, &mine));
        differences("", &theirs, &mine, &mut found);
        if let Some(again) = again {
            differences(" made again", &mine, &again, &mut found);
        }
        faults.extend(
            found
                .into_iter()
                .map(|found| format!("{line}\n    {found}")),
        );
        compared += 1;
        real += usize::from(at >= own);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    eprintln!("{compared} lines compared, {real} of them of real projects");
    assert!(
        real >= 15 && compared >= 40,
        "{compared} lines, {real} of real projects"
    );
}

/// The container, read back as a launch, and made again from that; `None` where a note says that not all of it can be.
fn again(socket: &str, folder: &Path, name: &str, case: &Case) -> Option<Value> {
    let inspect = |what: &str, name: &str| -> Value {
        let text = docker(socket, &[what, "inspect", name]);
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    };
    let image = inspect("image", IMAGE);
    let (mut spec, notes) = from_inspect(&inspect("container", name), Some(&image));
    if !notes.is_empty() {
        // A profile that was a file is the one thing here that a line cannot say.
        assert!(
            case.flags.iter().any(|flag| flag.contains("seccomp.json")),
            "{notes:?}"
        );
        return None;
    }
    if case.flags.iter().any(|flag| flag == "--env-file") {
        // A variable that a file and the line both set stands there twice, and a line sets it once.
        return None;
    }
    let name = format!("{name}-again");
    spec.name = Some(name.clone());
    let body = ours(folder, &words::one_line(&spec.docker_run())).unwrap();
    let (status, answer) = call(
        socket,
        &format!("/containers/create?name={name}"),
        &body.json,
    );
    assert_eq!(
        status,
        201,
        "{}\n{answer}",
        words::one_line(&spec.docker_run())
    );
    Some(shown(socket, &name))
}

/// Networks of the test's own.
const NETS: [(&str, &str); 2] = [
    ("mwl-net", "172.31.200.0/24"),
    ("mwl-two", "172.31.201.0/24"),
];

/// What the test made; it goes when the test ends, however it ends.
struct Left(String);

impl Left {
    fn away(&self) {
        let made = try_docker(&self.0, &["ps", "-aq", "--filter", "name=mwl-"]).1;
        let mut args = vec!["rm", "-f", "-v"];
        args.extend(made.lines());
        if args.len() > 3 {
            try_docker(&self.0, &args);
        }
        for volume in [
            "vol",
            "data2",
            "vol3",
            "ollama",
            "open-webui",
            "jellyfin-config",
            "jellyfin-cache",
        ] {
            try_docker(&self.0, &["volume", "rm", volume]);
        }
        for (net, _) in NETS {
            try_docker(&self.0, &["network", "rm", net]);
        }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.away();
    }
}
