//! The Docker API's JSON, as an engine 28.2 (API 1.50) gives it.

use serde_json::{Map, Value, json};

use crate::model::{EventKind, HealthState};

use super::DemoEvent;
use super::cast::{
    API_VERSION, Asked, CPUS, ENGINE_VERSION, HOST_MEMORY, HOST_NAME, OPERATING_SYSTEM, Role,
};
use super::facts::{self, by_age};
use super::made;
use super::output::rfc3339_nano;
use super::pictures::Picture;
use super::random::Dice;
use super::usage;
use super::world::{Cause, Member, Run, T, World};

const NEVER: &str = "0001-01-01T00:00:00Z";

fn labels(world: &World, member: &Member) -> Map<String, Value> {
    let role = member.role;
    let mut labels = Map::new();
    if let Some((project, service)) = role.compose {
        let hash = Dice::new(world.seed, service).at(7);
        for (name, value) in [
            ("com.docker.compose.project", project.to_owned()),
            ("com.docker.compose.service", service.to_owned()),
            ("com.docker.compose.container-number", "1".to_owned()),
            ("com.docker.compose.oneoff", "False".to_owned()),
            ("com.docker.compose.version", "2.36.2".to_owned()),
            ("com.docker.compose.config-hash", format!("{hash:016x}")),
            (
                "com.docker.compose.project.working_dir",
                format!("/srv/{project}"),
            ),
            (
                "com.docker.compose.project.config_files",
                format!("/srv/{project}/compose.yaml"),
            ),
        ] {
            labels.insert(name.to_owned(), Value::String(value));
        }
    }
    for (name, value) in facts::picture(role.image).map_or(&[][..], |p| p.labels) {
        labels.insert((*name).to_owned(), json!(value));
    }
    labels.extend(made::labels(member));
    labels
}

fn networks(world: &World, member: &Member) -> Value {
    let network = facts::network(member.role);
    let dice = Dice::new(world.seed, member.role.name);
    let live = member.live().is_some();
    let last = 2 + dice.below(3, 200);
    let address = if live {
        format!("172.18.0.{last}")
    } else {
        String::new()
    };
    let mac = if live {
        format!("02:42:ac:12:00:{last:02x}")
    } else {
        String::new()
    };
    let mut all = Map::new();
    all.insert(
        network,
        json!({
            "IPAMConfig": null, "Links": null, "Aliases": null, "DriverOpts": null, "GwPriority": 0,
            "MacAddress": mac, "IPAddress": address, "IPPrefixLen": if live { 16 } else { 0 },
            "Gateway": if live { "172.18.0.1" } else { "" }, "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
            "IPv6Gateway": "", "NetworkID": hex(dice.at(4)), "EndpointID": if live { hex(dice.at(5)) } else { String::new() },
            "DNSNames": null,
        }),
    );
    Value::Object(all)
}

fn hex(number: u64) -> String {
    format!("{number:016x}").repeat(4)
}

fn mounts(role: &Role) -> Value {
    role.mounts
        .iter()
        .map(|(source, target, writable)| {
            if source.starts_with('/') {
                json!({"Type": "bind", "Source": source, "Destination": target,
                       "Mode": if *writable { "" } else { "ro" }, "RW": writable, "Propagation": "rprivate"})
            } else {
                json!({"Type": "volume", "Name": source, "Source": facts::mount_source(source),
                       "Destination": target, "Driver": "local", "Mode": "z", "RW": writable, "Propagation": ""})
            }
        })
        .collect()
}

/// `GET /containers/json?all=true`.
pub(super) fn list(world: &World, t: T) -> Value {
    by_age(world)
        .into_iter()
        .map(|member| {
            let role = member.role;
            let ports: Vec<Value> = if member.live().is_some() {
                role.ports
                    .iter()
                    .flat_map(|(inside, outside)| match outside {
                        Some(outside) => vec![
                            json!({"IP": "0.0.0.0", "PrivatePort": inside, "PublicPort": outside, "Type": "tcp"}),
                            json!({"IP": "::", "PrivatePort": inside, "PublicPort": outside, "Type": "tcp"}),
                        ],
                        None => vec![json!({"PrivatePort": inside, "Type": "tcp"})],
                    })
                    .collect()
            } else {
                Vec::new()
            };
            json!({
                "Id": member.key.id.to_string(),
                "Names": [format!("/{}", member.name)],
                "Image": role.image,
                "ImageID": facts::image_id(world.seed, role.image),
                "Command": facts::command_line(role),
                "Created": world.wall(member.created).as_second(),
                "Ports": ports,
                "Labels": labels(world, member),
                "State": facts::state(member).as_str(),
                "Status": facts::status(member, t),
                "HostConfig": {"NetworkMode": facts::network(role)},
                "NetworkSettings": {"Networks": networks(world, member)},
                "Mounts": mounts(role),
            })
        })
        .collect()
}

fn state(world: &World, member: &Member, t: T) -> Value {
    let run = member.run();
    let end = run.and_then(|run| run.end);
    let live = member.live();
    let time = |at: Option<T>| at.map_or(NEVER.to_owned(), |at| rfc3339_nano(world.wall(at)));
    let mut state = json!({
        "Status": facts::state(member).as_str(),
        "Running": live.is_some() || member.again_at.is_some(),
        "Paused": member.paused,
        "Restarting": member.again_at.is_some(),
        "OOMKilled": end.is_some_and(|end| end.cause == Cause::Oom),
        "Dead": false,
        "Pid": live.map_or(0, |run| run.pid),
        "ExitCode": facts::exit_code(member),
        "Error": member.refused.as_ref().map_or("", |(text, _)| text),
        "StartedAt": time(run.map(|run| run.start)),
        "FinishedAt": time(end.map(|end| end.at)),
    });
    if let (Some(object), Some(health)) = (state.as_object_mut(), facts::health(member, t)) {
        let failing = u8::from(health == HealthState::Unhealthy);
        object.insert(
            "Health".into(),
            json!({"Status": health.as_str(), "FailingStreak": failing, "Log": []}),
        );
    }
    state
}

fn device_requests(role: &Role) -> Value {
    match role.asked {
        Asked::Nothing => Value::Null,
        Asked::All => {
            json!([{"Driver": "", "Count": -1, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": {}}])
        }
        Asked::Devices(ids) => {
            json!([{"Driver": "", "Count": 0, "DeviceIDs": ids, "Capabilities": [["gpu"]], "Options": {}}])
        }
    }
}

fn port_bindings(role: &Role) -> Value {
    let mut all = Map::new();
    for (inside, outside) in role.ports {
        if let Some(outside) = outside {
            all.insert(
                format!("{inside}/tcp"),
                json!([{"HostIp": "", "HostPort": outside.to_string()}]),
            );
        }
    }
    Value::Object(all)
}

fn exposed(role: &Role) -> Value {
    let all: Map<String, Value> = role
        .ports
        .iter()
        .map(|(inside, _)| (format!("{inside}/tcp"), json!({})))
        .collect();
    Value::Object(all)
}

fn binds(role: &Role) -> Vec<String> {
    role.mounts
        .iter()
        .map(|(source, target, writable)| {
            format!("{source}:{target}:{}", if *writable { "rw" } else { "ro" })
        })
        .collect()
}

fn host_config(role: &Role) -> Value {
    json!({
        "Binds": binds(role), "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": facts::network(role), "PortBindings": port_bindings(role),
        "RestartPolicy": {"Name": role.restart, "MaximumRetryCount": 0},
        "AutoRemove": false, "VolumeDriver": "", "VolumesFrom": null, "ConsoleSize": [0, 0],
        "CapAdd": null, "CapDrop": null, "CgroupnsMode": "private", "Dns": [], "DnsOptions": [], "DnsSearch": [],
        "ExtraHosts": null, "GroupAdd": null, "IpcMode": "private", "Cgroup": "", "Links": null,
        "OomScoreAdj": 0, "PidMode": "", "Privileged": false, "PublishAllPorts": false, "ReadonlyRootfs": false,
        "SecurityOpt": null, "UTSMode": "", "UsernsMode": "", "ShmSize": role.shm, "Runtime": "runc",
        "Isolation": "", "CpuShares": 0, "Memory": role.memory_limit, "NanoCpus": 0, "CgroupParent": "",
        "BlkioWeight": 0, "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [],
        "DeviceCgroupRules": null, "DeviceRequests": device_requests(role), "MemoryReservation": 0,
        "MemorySwap": role.memory_limit * 2, "MemorySwappiness": null, "OomKillDisable": null, "PidsLimit": null,
        "Ulimits": [],
    })
}

/// `GET /containers/ID/json`.
pub(super) fn inspect(world: &World, member: &Member, t: T) -> Value {
    let role = member.role;
    let id = member.key.id.to_string();
    let command: Vec<&str> = role
        .entrypoint
        .iter()
        .chain(role.command)
        .copied()
        .collect();
    let (path, args) = match command.split_first() {
        Some((path, args)) => (*path, args),
        None => ("", &[][..]),
    };
    let user = match role.user {
        ("root", _) => String::new(),
        (_, uid) => format!("{uid}:{uid}"),
    };
    let mut answer = json!({
        "Id": id, "Created": rfc3339_nano(world.wall(member.created)), "Path": path, "Args": args,
        "State": state(world, member, t),
        "Image": facts::image_id(world.seed, role.image),
        "ResolvConfPath": format!("/var/lib/docker/containers/{id}/resolv.conf"),
        "HostnamePath": format!("/var/lib/docker/containers/{id}/hostname"),
        "HostsPath": format!("/var/lib/docker/containers/{id}/hosts"),
        "LogPath": format!("/var/lib/docker/containers/{id}/{id}-json.log"),
        "Name": format!("/{}", member.name), "RestartCount": member.restarts, "Driver": "overlay2",
        "Platform": "linux", "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "docker-default",
        "ExecIDs": null, "HostConfig": host_config(role),
        "GraphDriver": {"Data": {"ID": id, "MergedDir": format!("/var/lib/docker/overlay2/{id}/merged")}, "Name": "overlay2"},
        "Mounts": mounts(role),
        "Config": {
            "Hostname": member.key.id.short(), "Domainname": "", "User": user, "AttachStdin": false,
            "AttachStdout": true, "AttachStderr": true, "ExposedPorts": exposed(role), "Tty": role.tty,
            "OpenStdin": false, "StdinOnce": false, "Env": role.env,
            "Cmd": if role.command.is_empty() { Value::Null } else { json!(role.command) },
            "Image": role.image, "Volumes": null, "WorkingDir": role.workdir,
            "Entrypoint": if role.entrypoint.is_empty() { Value::Null } else { json!(role.entrypoint) },
            "OnBuild": null, "Labels": labels(world, member), "StopTimeout": role.stop_timeout,
        },
        "NetworkSettings": {
            "Bridge": "", "SandboxID": hex(Dice::new(world.seed, role.name).at(9)), "SandboxKey": "",
            "Ports": if member.live().is_some() { port_bindings(role) } else { json!({}) },
            "Networks": networks(world, member),
        },
    });
    if let Some(made) = &member.made {
        made::overlay(&mut answer, made);
    }
    answer
}

/// `GET /images/json`.
pub(super) fn images(world: &World) -> Value {
    facts::store(world)
        .map(|p| {
            json!({
                "Containers": facts::users(world, p.tag), "Created": facts::built(world, p).as_second(),
                "Id": facts::image_id(world.seed, p.tag), "Labels": pairs(p.labels), "ParentId": "",
                "RepoDigests": digests(world, p), "RepoTags": [p.tag], "SharedSize": -1, "Size": p.size,
            })
        })
        .collect()
}

fn pairs(labels: &[(&str, &str)]) -> Value {
    let all: Map<String, Value> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    Value::Object(all)
}

/// The picture of an id, the beginning of an id, or a tag.
pub(super) fn find_picture(world: &World, name: &str) -> Option<&'static Picture> {
    let bare = name.strip_prefix("docker.io/").unwrap_or(name);
    let bare = bare.strip_prefix("library/").unwrap_or(bare);
    facts::store(world).find(|p| {
        let id = facts::image_id(world.seed, p.tag);
        let hex = id.strip_prefix("sha256:").unwrap_or(&id);
        let wanted = name.strip_prefix("sha256:").unwrap_or(name);
        p.tag == bare || (wanted.len() >= 4 && hex.starts_with(wanted))
    })
}

/// What the image was pulled as; none for those that were built here.
fn digests(world: &World, p: &Picture) -> Vec<String> {
    let name = p.tag.split_once(':').map_or(p.tag, |(name, _)| name);
    let local = ["my-", "acme/", "vllm"];
    if local.iter().any(|begin| name.starts_with(begin)) {
        return Vec::new();
    }
    let digest = facts::image_id(world.seed, &format!("{}@", p.tag));
    vec![format!("{name}@{digest}")]
}

/// `GET /images/NAME/json`. Its size is that of the content, which a scan has before it; the list's is the
/// story's.
pub(super) fn inspect_image(world: &World, name: &str) -> Option<Value> {
    let p = find_picture(world, name)?;
    let dice = Dice::new(world.seed, p.tag);
    let layers: Vec<String> = (0..p.layers)
        .map(|k| format!("sha256:{}", hex(dice.at(1000 + k))))
        .collect();
    let null_if_empty = |words: &[&str]| {
        if words.is_empty() {
            Value::Null
        } else {
            json!(words)
        }
    };
    Some(json!({
        "Id": facts::image_id(world.seed, p.tag), "RepoTags": [p.tag], "RepoDigests": digests(world, p), "Parent": "",
        "Comment": "buildkit.dockerfile.v0", "Created": rfc3339_nano(facts::built(world, p)), "DockerVersion": "",
        "Author": "", "Architecture": "amd64", "Os": "linux", "Size": super::content::archive(p.tag).len(),
        "GraphDriver": {"Data": null, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": layers},
        "Metadata": {"LastTagTime": NEVER},
        "Config": {
            "Cmd": null_if_empty(p.command), "Entrypoint": null_if_empty(p.entrypoint), "Env": p.env,
            "Labels": pairs(p.labels), "OnBuild": null, "User": "", "Volumes": null, "WorkingDir": "",
        },
    }))
}

/// `GET /info`.
pub(super) fn info(world: &World, t: T) -> Value {
    let count = |wanted: &str| {
        world
            .members
            .values()
            .filter(|m| facts::state(m).as_str() == wanted)
            .count()
    };
    let (running, paused) = (count("running"), count("paused"));
    json!({
        "ID": "00000000-demo-0000-0000-000000000000", "Containers": world.members.len(),
        "ContainersRunning": running, "ContainersPaused": paused,
        "ContainersStopped": world.members.len() - running - paused, "Images": facts::store(world).count(),
        "Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "xfs"]], "MemoryLimit": true,
        "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true, "CPUSet": true,
        "PidsLimit": true, "IPv4Forwarding": true, "Debug": false, "NFd": 96, "OomKillDisable": false,
        "NGoroutines": 118, "SystemTime": rfc3339_nano(world.wall(t)), "LoggingDriver": "json-file",
        "CgroupDriver": "systemd", "CgroupVersion": "2", "NEventsListener": 1, "KernelVersion": "5.15.0-143-generic",
        "OperatingSystem": OPERATING_SYSTEM, "OSVersion": "22.04", "OSType": "linux", "Architecture": "x86_64",
        "NCPU": CPUS, "MemTotal": HOST_MEMORY, "DockerRootDir": "/var/lib/docker", "HttpProxy": "",
        "HttpsProxy": "", "NoProxy": "", "Name": HOST_NAME, "Labels": [], "ExperimentalBuild": false,
        "ServerVersion": ENGINE_VERSION, "DefaultRuntime": "runc", "LiveRestoreEnabled": false,
        "Runtimes": {
            "io.containerd.runc.v2": {"path": "runc"}, "runc": {"path": "runc"},
            "nvidia": {"path": "nvidia-container-runtime"},
        },
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"], "DiscoveredDevices": null,
        "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"], "Warnings": null,
    })
}

/// `GET /version`.
pub(super) fn version() -> Value {
    json!({
        "Platform": {"Name": "Docker Engine - Community"},
        "Components": [{"Name": "Engine", "Version": ENGINE_VERSION,
                        "Details": {"ApiVersion": API_VERSION, "Arch": "amd64", "MinAPIVersion": "1.24", "Os": "linux"}}],
        "Version": ENGINE_VERSION, "ApiVersion": API_VERSION, "MinAPIVersion": "1.24", "GitCommit": "45873be",
        "GoVersion": "go1.24.3", "Os": "linux", "Arch": "amd64", "KernelVersion": "5.15.0-143-generic",
        "BuildTime": "2025-05-30T12:07:26.000000000+00:00",
    })
}

/// One-shot statistics, cgroup v2. Counters of CPU time grow with the present draw's long mean.
pub(super) fn stats(world: &World, member: &Member, t: T) -> Value {
    let limit = match member.role.memory_limit {
        0 => HOST_MEMORY,
        limit => limit,
    };
    let id = member.key.id.to_string();
    let name = format!("/{}", member.name);
    let Some(run) = member.live() else {
        return json!({
            "read": NEVER, "preread": NEVER, "id": id, "name": name, "num_procs": 0, "storage_stats": {},
            "pids_stats": {}, "blkio_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}},
            "precpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {},
        });
    };
    let used = usage::spent(world, member, run, t);
    let cache = 64 << 20;
    json!({
        "read": rfc3339_nano(world.wall(t)), "preread": NEVER, "id": id, "name": name, "num_procs": 0,
        "storage_stats": {},
        "pids_stats": {"current": used.pids, "limit": 18_446_744_073_709_551_615u64},
        "blkio_stats": {"io_service_bytes_recursive": [
            {"major": 259, "minor": 0, "op": "read", "value": used.read},
            {"major": 259, "minor": 0, "op": "write", "value": used.written}]},
        "cpu_stats": {
            "cpu_usage": {"total_usage": cpu_nanoseconds(world, member, run, t)},
            "system_cpu_usage": system_nanoseconds(t), "online_cpus": CPUS,
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
        },
        "precpu_stats": {"cpu_usage": {"total_usage": 0},
            "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}},
        "memory_stats": {"usage": used.memory + cache, "limit": limit, "stats": {"inactive_file": cache}},
        "networks": {"eth0": {"rx_bytes": used.rx, "rx_packets": used.rx / 900, "rx_errors": 0, "rx_dropped": 0,
                              "tx_bytes": used.tx, "tx_packets": used.tx / 900, "tx_errors": 0, "tx_dropped": 0}},
    })
}

/// CPU time of a run: each whole ten seconds at the draw in its middle would be a sum over hours; the long
/// mean plus this second's difference gives the same rate between two calls a second apart.
fn cpu_nanoseconds(world: &World, member: &Member, run: &Run, t: T) -> u64 {
    let age = run.elapsed(t).max(0) as u64;
    // Steady over the run's life: the draw a minute after the beginning stands for it.
    let steady = usage::spent(world, member, run, t.min(run.when(200_000)));
    (age as f64 * 1e6 * steady.cpu_percent / 100.0) as u64
}

fn system_nanoseconds(t: T) -> u64 {
    let up = (t + 13 * 86_400_000).max(0) as u64;
    up.saturating_mul(1_000_000).saturating_mul(u64::from(CPUS))
}

/// An event as `GET /events` gives it.
pub(super) fn event(event: &DemoEvent) -> Value {
    let id = event.container.id.to_string();
    let mut attributes = Map::new();
    attributes.insert("image".into(), json!(event.image));
    attributes.insert("name".into(), json!(event.name));
    let action = match &event.kind {
        EventKind::Create => "create".to_owned(),
        EventKind::Start => "start".to_owned(),
        EventKind::Die(code) => {
            if let Some(code) = code {
                attributes.insert("exitCode".into(), json!(code.to_string()));
            }
            "die".to_owned()
        }
        EventKind::Oom => "oom".to_owned(),
        EventKind::Kill(signal) => {
            if let Some(signal) = signal {
                attributes.insert("signal".into(), json!(signal));
            }
            "kill".to_owned()
        }
        EventKind::Stop => "stop".to_owned(),
        EventKind::Pause => "pause".to_owned(),
        EventKind::Unpause => "unpause".to_owned(),
        EventKind::Restart => "restart".to_owned(),
        EventKind::Destroy => "destroy".to_owned(),
        EventKind::Rename => {
            if let Some(old) = &event.old_name {
                attributes.insert("oldName".into(), json!(format!("/{old}")));
            }
            "rename".to_owned()
        }
        EventKind::Health(state) => format!("health_status: {state}"),
        EventKind::Update => "update".to_owned(),
        EventKind::Image => "tag".to_owned(),
    };
    json!({
        "status": action, "id": id, "from": event.image, "Type": "container", "Action": action,
        "Actor": {"ID": id, "Attributes": attributes}, "scope": "local", "time": event.time.as_second(),
        "timeNano": i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX),
    })
}
