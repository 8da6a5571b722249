use proptest::prelude::*;

use super::*;
use crate::launch::{PortRange, words};

fn here() -> Surroundings {
    Surroundings {
        env: [("HOME", "/home/ada"), ("USER", "ada"), ("HF_TOKEN", "hf_1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        cwd: "/proj/demo".into(),
        home: Some("/home/ada".into()),
        uid: 1000,
        gid: 1000,
    }
}

fn read(text: &str) -> Parsed {
    line(text, &here()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn fault(text: &str) -> String {
    line(text, &here()).expect_err(text).to_string()
}

#[test]
fn flags_are_read_as_docker_reads_them() {
    let spec = read(
        "docker run -itd -p8080:80 -e=A --env B=c -eD=e --rm --name=xy --gpus all -v ./m:/m --shm-size=1g \
         --ulimit memlock=-1 --ulimit stack=67108864 --privileged --init=false img:1 --model x --rm -p 1",
    )
    .spec;
    assert!(spec.interactive && spec.tty && spec.detach && spec.rm);
    assert_eq!(spec.ports.first().unwrap().host, Some(PortRange::one(8080)));
    let env: Vec<String> = spec.env.iter().map(ToString::to_string).collect();
    assert_eq!(env, ["A", "B=c", "D=e"]);
    assert_eq!(spec.shm_bytes, Some(1 << 30));
    assert_eq!(spec.ulimits.len(), 2);
    assert_eq!(spec.mounts.first().unwrap().to_string(), "/proj/demo/m:/m");
    assert_eq!(spec.other_value("privileged"), Some("true"));
    assert_eq!(spec.other_value("init"), Some("false"));
    assert_eq!(spec.image, "img:1");
    // What follows the image is the container's.
    assert_eq!(spec.command, ["--model", "x", "--rm", "-p", "1"]);

    let spec = read("run --rm=false -d=0 --net host --net-alias a --dns-opt x -- img -x").spec;
    assert!(!spec.rm && !spec.detach);
    assert_eq!(spec.networks, ["host"]);
    assert_eq!(spec.other_value("network-alias"), Some("a"));
    assert_eq!(spec.other_value("dns-option"), Some("x"));
    assert_eq!((spec.image.as_str(), spec.command.len()), ("img", 1));

    // The last of a flag with one value counts.
    let spec =
        read("docker run --name aa --name bb -h c -h d --ulimit nofile=1 --ulimit nofile=2 img")
            .spec;
    assert_eq!(spec.name.as_deref(), Some("bb"));
    assert_eq!(spec.other.len(), 1);
    assert_eq!(spec.other_value("hostname"), Some("d"));
    assert_eq!(spec.ulimits.len(), 1);
    // Empty is not given, but an empty entrypoint resets the image's.
    let spec = read("docker run --name= -u '' --entrypoint '' img").spec;
    assert_eq!(
        (spec.name, spec.user, spec.entrypoint),
        (None, None, Some(String::new()))
    );
    assert_eq!(
        read("docker run -h box img").spec.other_value("hostname"),
        Some("box")
    );
}

#[test]
fn everything_around_run_is_read() {
    let parsed = read("sudo -E docker -H tcp://1.2.3.4:2375 --context=lab -D container create img");
    assert!(parsed.create);
    assert_eq!(parsed.host.as_deref(), Some("tcp://1.2.3.4:2375"));
    assert_eq!(parsed.context.as_deref(), Some("lab"));
    assert_eq!(parsed.notes.len(), 1);
    let parsed =
        read("$ CUDA=1 sudo FOO=2 /usr/bin/podman run -e CUDA -e FOO -e HF_TOKEN -e NONE img");
    let env: Vec<String> = parsed.spec.env.iter().map(ToString::to_string).collect();
    // A value of the surroundings stays theirs until the body is made.
    assert_eq!(env, ["CUDA=1", "FOO=2", "HF_TOKEN", "NONE"]);
    let spec = read("NV_GPU=0,1 nvidia-docker run --rm img nvidia-smi").spec;
    assert_eq!(spec.other_value("runtime"), Some("nvidia"));
    assert_eq!(
        spec.env.first().unwrap().to_string(),
        "NVIDIA_VISIBLE_DEVICES=0,1"
    );
    assert_eq!(read("--rm img").spec.image, "img");
    let parsed = read("docker run -q --sig-proxy --disable-content-trust -e T=$NOPE img");
    assert_eq!(parsed.notes.len(), 4, "{:?}", parsed.notes);
    assert_eq!(
        read("midwatch run --free 2 --dry-run img").spec.gpus,
        Some(GpuAsk::of(Which::Free(2)))
    );
}

#[test]
fn own_flags_are_midwatchs() {
    let words: Vec<String> = "--free 2 --dry-run --force --json --scan full -d img --json"
        .split(' ')
        .map(str::to_owned)
        .collect();
    let parsed = args(&words, &here(), true).unwrap();
    assert_eq!(
        parsed.own,
        Own {
            dry_run: true,
            force: true,
            json: true,
            scan: Some(ScanAsk::Full)
        }
    );
    assert_eq!(parsed.spec.gpus, Some(GpuAsk::of(Which::Free(2))));
    assert_eq!(parsed.spec.command, ["--json"]);
    let faults = args(&words, &here(), false).unwrap_err().faults;
    assert_eq!(faults.len(), 5, "{faults:?}");
    assert!(
        faults
            .iter()
            .all(|fault| fault.why.contains("midwatch run"))
    );
    for bad in [
        "--free 0 img",
        "--free x img",
        "--free 1 --gpus all img",
        "--scan x img",
    ] {
        let words: Vec<String> = bad.split(' ').map(str::to_owned).collect();
        assert!(args(&words, &here(), true).is_err(), "{bad}");
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let all = fault(
        "docker run --gpu all --cidfile x --replace -Z --detach-keys a -p x:y --sig-proxy=false --use-api-socket \
         —rm -gpus all --userns keep-id img",
    );
    for say in [
        "--gpu: is no flag of docker run: did you mean --gpus?",
        "--cidfile: Docker's client writes",
        "--replace: is no flag",
        "-Z: is no flag",
        "--detach-keys: it is about",
        "-p: `y` is no port",
        "--sig-proxy: it is about",
        "--use-api-socket: ",
        "—rm: begins with a long dash: type --rm",
        "-gpus: did you mean --gpus?",
        "--userns: `keep-id` is not taken",
    ] {
        assert!(all.contains(say), "{say}\n{all}");
    }
    for (text, say) in [
        ("", "no command"),
        ("docker", "write docker run IMAGE"),
        ("docker run", "no image"),
        ("docker run --rm", "no image"),
        ("docker run ''", "empty"),
        ("docker run -p", "-p: has no value"),
        ("docker run --name", "--name: has no value"),
        ("docker exec -it x sh", "this is docker exec"),
        ("docker compose up", "this is docker compose"),
        ("docker --rm run img", "come after run"),
        ("docker --tls run img", "midwatch --help"),
        ("ls -l", "not docker run"),
        ("docker run img | cat", "`|`"),
        ("docker run --rm=maybe img", "neither true nor false"),
        ("docker run --gpus all --gpus 1 img", "given twice"),
        ("docker run -w x img", "path from /"),
        ("docker run --ipc x img", "no ipc mode"),
        ("docker run --network '' img", "needs a name"),
        ("docker run --network name=a,foo=1 img", "no `foo`"),
        ("docker run --device x img", "no device"),
        ("docker run --sysctl a=b img", "cannot be set"),
        ("docker run --oom-score-adj x img", "no number"),
        ("docker run --memory-swappiness 101 img", "out of range"),
        ("docker run --health-interval 5 img", "no duration"),
        ("docker run --security-opt x img", "no security option"),
        ("docker run --add-host x img", "NAME:ADDRESS"),
        ("docker run --label =x img", "NAME=VALUE"),
        ("docker run --mac-address x img", "no MAC"),
        ("docker run --platform a/b/c/d img", "no platform"),
        ("docker run --attach x img", "not stdin"),
        ("docker run --pid x img", "not taken"),
        (
            "docker run --device-read-bps /dev/sda img",
            "device and number",
        ),
        ("docker run --free 1 img", "flag of midwatch run"),
    ] {
        let error = fault(text);
        assert!(error.contains(say), "{text}: {error}");
    }
    let hostile = "--\u{1b}[31m\u{202e}x";
    let error = args(&[hostile.to_owned(), "i".to_owned()], &here(), false).unwrap_err();
    assert!(
        error
            .to_string()
            .chars()
            .all(|c| !crate::model::text::is_unsafe(c))
    );
}

/// One real line of the fixture, with what must be true of it.
fn real_lines() -> Vec<(String, String, Vec<String>)> {
    let text = include_str!("../../tests/fixtures/launch/lines.txt");
    text.split("\n%%\n")
        .map(|part| {
            let (mut source, mut command, mut wants) = (String::new(), Vec::new(), Vec::new());
            for line in part.lines() {
                if let Some(text) = line.strip_prefix("## ") {
                    source = text.to_owned();
                } else if let Some(want) = line.strip_prefix("=> ") {
                    wants.push(want.to_owned());
                } else if !line.starts_with("## ") {
                    command.push(line);
                }
            }
            (source, command.join("\n"), wants)
        })
        .collect()
}

/// A property of a spec by name, as the fixture writes it.
fn property(parsed: &Parsed, name: &str) -> String {
    let spec = &parsed.spec;
    let join = |items: Vec<String>| items.join(" ");
    match name {
        "image" => spec.image.clone(),
        "command" => words::one_line(&spec.command),
        "gpus" => spec
            .gpus
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        "name" => spec.name.clone().unwrap_or_default(),
        "env" => join(spec.env.iter().map(ToString::to_string).collect()),
        "env-file" => spec.env_files.join(" "),
        "mounts" => join(spec.mounts.iter().map(ToString::to_string).collect()),
        "ports" => join(spec.ports.iter().map(ToString::to_string).collect()),
        "shm" => spec.shm_bytes.map(field::size_text).unwrap_or_default(),
        "ipc" => spec.ipc.clone().unwrap_or_default(),
        "ulimits" => join(spec.ulimits.iter().map(ToString::to_string).collect()),
        "user" => spec.user.clone().unwrap_or_default(),
        "workdir" => spec.workdir.clone().unwrap_or_default(),
        "entrypoint" => spec.entrypoint.clone().unwrap_or_default(),
        "restart" => spec
            .restart
            .map(|restart| restart.to_string())
            .unwrap_or_default(),
        "network" => spec.networks.join(" "),
        "memory" => spec.memory_bytes.map(field::size_text).unwrap_or_default(),
        "pull" => spec.pull.map(|pull| pull.to_string()).unwrap_or_default(),
        "switches" => join(
            [
                (spec.detach, "d"),
                (spec.interactive, "i"),
                (spec.tty, "t"),
                (spec.rm, "rm"),
            ]
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| (*name).to_owned())
            .collect(),
        ),
        "notes" => parsed.notes.len().to_string(),
        other => join(
            spec.other
                .iter()
                .filter(|flag| flag.name == other)
                .map(|flag| flag.value.clone())
                .collect(),
        ),
    }
}

#[test]
fn real_lines_are_read() {
    let lines = real_lines();
    assert!(lines.len() >= 50, "{}", lines.len());
    for (source, text, wants) in &lines {
        assert!(source.starts_with("http"), "{text}");
        assert!(wants.len() >= 2, "{source}");
        // A line with a placeholder in it, as its page has it.
        let errors: Vec<&str> = wants
            .iter()
            .filter_map(|want| want.strip_prefix("error "))
            .collect();
        if !errors.is_empty() {
            let said = fault(text);
            assert!(
                errors.iter().all(|want| said.contains(want)),
                "{source}\n{said}"
            );
            continue;
        }
        let parsed =
            line(text, &here()).unwrap_or_else(|fault| panic!("{source}\n{text}\n{fault}"));
        for want in wants {
            let (name, value) = want.split_once(' ').unwrap_or((want, ""));
            assert_eq!(property(&parsed, name), value, "{source}\n{text}\n{name}");
        }
        stable(&parsed.spec);
    }
}

/// A spec's own line reads as the spec, and its body is the same.
fn stable(spec: &LaunchSpec) {
    let words = spec.docker_run();
    let again = line(&words::one_line(&words), &here())
        .unwrap_or_else(|fault| panic!("{words:?}\n{fault}"));
    assert_eq!(&again.spec, spec, "{words:?}");
    let text = words::lines(&words).join("\n");
    assert_eq!(&line(&text, &here()).unwrap().spec, spec, "{text}");
    let request = spec
        .gpus
        .as_ref()
        .and_then(crate::launch::GpuRequest::plain);
    let files = |_: &str| Ok("{}".to_owned());
    let body = |spec: &LaunchSpec| crate::launch::create(spec, request.as_ref(), &here(), &files);
    assert_eq!(body(&again.spec), body(spec));
}

pub(in crate::launch) fn any_spec() -> impl Strategy<Value = LaunchSpec> {
    let word = "[a-zA-Z0-9 '\"$\\\\é=,:/-]{1,10}";
    let name = "[a-zA-Z0-9][a-zA-Z0-9_.-]{1,8}";
    let place = "/[a-z ]{1,6}(/[a-z]{1,4})?";
    let texts = |pattern: &'static str| prop::option::of(pattern);
    let env = ("[A-Z_ ]{1,6}", prop::option::of("[ -~é]{0,8}"))
        .prop_map(|(name, value)| EnvVar { name, value });
    let mount = prop_oneof![
        (
            place,
            place,
            prop_oneof![Just(""), Just("ro"), Just("rw,Z")]
        )
            .prop_map(|(source, target, options)| MountAsk::Bind {
                source,
                target,
                options: options.to_owned()
            }),
        (name, place).prop_map(|(source, target)| MountAsk::Bind {
            source,
            target,
            options: String::new()
        }),
        place.prop_map(|target| MountAsk::Anonymous { target }),
        (place, "[a-z=,0-9]{0,8}")
            .prop_map(|(target, options)| MountAsk::Tmpfs { target, options }),
        ("/[a-z,\"]{1,6}", "/[a-z,\"]{1,6}", any::<bool>()).prop_map(|(source, target, ro)| {
            let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
            let mut fields = vec![
                pair("type", "bind"),
                pair("source", &source),
                pair("target", &target),
            ];
            if ro {
                fields.push(("readonly".to_owned(), None));
            }
            MountAsk::Mount(fields)
        }),
    ];
    let port = (
        1u16..100,
        prop::option::of(1u16..60_000),
        0u16..4,
        any::<bool>(),
        0u8..3,
    )
        .prop_map(|(inner, host, more, udp, ip)| PortAsk {
            ip: [None, Some("127.0.0.1"), Some("::1")][usize::from(ip)].map(str::to_owned),
            host: host.map(|first| PortRange {
                first,
                last: first + more,
            }),
            container: PortRange {
                first: inner,
                last: inner + more,
            },
            protocol: if udp { "udp" } else { "tcp" }.to_owned(),
        });
    let gpus = (
        prop_oneof![
            Just(Which::All),
            (0u32..9).prop_map(Which::Count),
            prop::collection::vec("[0-9]|GPU-[0-9a-f]{4}|[0-9]:[0-9]", 1..4)
                .prop_map(Which::Devices),
            (1u32..9).prop_map(Which::Free),
        ],
        prop::collection::vec("utility|compute|gpu", 0..3),
        "|nvidia",
        prop::collection::vec(("[a-z]{1,3}", "[a-z,\"]{0,3}"), 0..2),
    )
        .prop_map(|(which, capabilities, driver, options)| GpuAsk {
            which,
            capabilities,
            driver,
            options,
        });
    let limit =
        (0usize..field::ULIMITS.len(), -1i64..9, 0i64..9).prop_map(|(at, soft, more)| Ulimit {
            name: field::ULIMITS[at].to_owned(),
            soft,
            hard: if soft == -1 { -1 } else { soft + more },
        });
    let other = prop_oneof![
        (
            "cap-add|cap-drop|group-add|volumes-from|runtime|cpuset-cpus|hostname",
            "[a-zA-Z0-9_]{1,8}"
        ),
        (
            "privileged|init|read-only|publish-all|oom-kill-disable",
            "true|false"
        ),
        (
            "label|annotation|log-opt|storage-opt",
            "[a-z]{1,4}=[a-z =]{1,5}"
        ),
        ("add-host", "[a-z]{1,4}:1\\.2\\.3\\.[1-9]"),
        ("device", "/dev/[a-z]{1,4}|nvidia\\.com/gpu=[0-9]"),
        (
            "security-opt",
            "seccomp=unconfined|no-new-privileges|systempaths=unconfined|label=disable|seccomp=/p"
        ),
        ("memory-swap|memory-reservation", "[1-9][gm]"),
        (
            "pids-limit|oom-score-adj|cpu-shares|stop-timeout",
            "-?[1-9][0-9]"
        ),
        ("health-interval|health-timeout", "[1-9]m?s"),
        ("health-cmd", "[ -~]{1,8}"),
        ("dns", "10\\.0\\.0\\.[1-9]"),
        ("sysctl", "net\\.[a-z]{1,3}=[0-9]"),
        ("expose", "[1-9]{1,4}|[1-4][0-9]-[5-9][0-9]/udp"),
        ("label-file", "/[a-z]{1,4}"),
    ]
    .prop_map(|(name, value)| OtherFlag { name, value });
    let lists = (
        prop::collection::vec(env, 0..4),
        prop::collection::vec("/[a-z]{1,4}\\.env", 0..2),
        prop::collection::vec(mount, 0..4),
        prop::collection::vec(port, 0..3),
        prop::collection::vec(limit, 0..3),
        prop::collection::vec("bridge|host|none|[a-z]{2,5}|name=[a-z]{2,4},alias=x", 0..2),
        prop::collection::vec(other, 0..4),
        prop::collection::vec(word, 0..4),
    );
    let fields = (
        texts(name),
        prop::option::of(gpus),
        prop::option::of(0u64..1 << 40),
        texts("host|private|none|container:x"),
        texts("[0-9a-z]{1,4}(:[0-9]{1,4})?"),
        texts("/[a-z ]{0,4}"),
        prop::option::of(prop_oneof![
            Just(Restart::No),
            Just(Restart::Always),
            Just(Restart::UnlessStopped),
            (0u32..9).prop_map(Restart::OnFailure)
        ]),
        prop::option::of(0u64..1 << 40),
        prop::option::of(0u64..64_000_000_000),
        (
            any::<[bool; 4]>(),
            prop::option::of(prop_oneof![
                Just(PullPolicy::Always),
                Just(PullPolicy::Missing),
                Just(PullPolicy::Never)
            ]),
        ),
        texts("linux/amd64|linux/arm64"),
        texts("[a-z /]{0,5}"),
    );
    (
        "[a-z]{1,6}(/[a-z]{1,4})?(:[a-z0-9.]{1,5})?|-img",
        lists,
        fields,
    )
        .prop_map(
            |(
                image,
                (env, env_files, mounts, ports, ulimits, networks, other, command),
                fields,
            )| {
                let (
                    name,
                    gpus,
                    shm_bytes,
                    ipc,
                    user,
                    workdir,
                    restart,
                    memory_bytes,
                    nano_cpus,
                    (switches, pull),
                    platform,
                    entrypoint,
                ) = fields;
                let mut spec = LaunchSpec {
                    image,
                    command,
                    entrypoint,
                    name,
                    gpus,
                    env,
                    env_files,
                    mounts,
                    ports,
                    shm_bytes,
                    ipc,
                    ulimits,
                    user,
                    workdir,
                    restart,
                    networks,
                    memory_bytes,
                    nano_cpus,
                    pull,
                    platform,
                    other,
                    rm: switches[0],
                    detach: switches[1],
                    tty: switches[2],
                    interactive: switches[3],
                };
                // A line holds one limit of a name, and one of a flag that takes one value.
                let mut seen = Vec::new();
                spec.ulimits.retain(|limit| {
                    let new = !seen.contains(&limit.name);
                    seen.push(limit.name.clone());
                    new
                });
                let mut seen = Vec::new();
                spec.other.retain(|flag| {
                    let new = !seen.contains(&flag.name)
                        || flags::by_long(&flag.name, false).unwrap().takes == Takes::Each;
                    seen.push(flag.name.clone());
                    new
                });
                spec
            },
        )
}

proptest! {
    #[test]
    fn a_spec_is_read_back_from_its_line(spec in any_spec()) {
        stable(&spec);
    }

    #[test]
    fn no_line_panics_and_what_is_read_is_stable(
        text in prop::collection::vec(
            "-[a-zA-Z]{1,3}|--[a-z-]{2,12}(=[a-z0-9:/,]{0,6})?|--(gpus|env|volume|mount|publish|device|label|network)|[ -~]{0,6}|[a-z0-9:/=,.]{1,12}",
            0..8
        )
    ) {
        if let Ok(parsed) = args(&text, &here(), true) {
            stable(&parsed.spec);
        }
    }
}
