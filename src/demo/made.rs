//! Containers that users make on the simulated engine: from a create call's body to a member of the world.

use serde_json::{Map, Value, json};

use crate::model::{ContainerId, ContainerKey, EventKind, HostId, Stamp};

use super::act::check_new_name;
use super::cast::{Asked, Program, Role};
use super::pictures::Picture;
use super::random::Dice;
use super::world::{Member, T, World};
use super::{DemoError, DemoHost, gpus, json as answers};

/// Most containers that are made in a program's life.
const MOST: u64 = 256;
/// `/dev/shm` where nothing is said, bytes.
const SHM: u64 = 64 << 20;
/// GPUs of the machine.
const GPUS: usize = 4;
/// Names for those without one, as the engine makes them.
const LEFT: [&str; 8] = [
    "brave", "eager", "focused", "gifted", "keen", "quirky", "serene", "vibrant",
];
const RIGHT: [&str; 8] = [
    "curie", "hopper", "kepler", "lovelace", "noether", "shannon", "turing", "wu",
];

/// What a made container has beside its role.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// The create call's body.
    pub body: Value,
    /// Indices of the GPUs it was given; a name that is no GPU's is kept in `unknown`.
    pub gpus: Vec<usize>,
    /// The first device that is not there.
    pub unknown: Option<String>,
    /// `--rm`.
    pub auto_remove: bool,
}

impl DemoHost {
    /// `POST /containers/create`: the answer.
    ///
    /// # Errors
    /// No such image, a name in use, or no name at all: in the engine's words.
    pub(super) fn create(
        &self,
        body: &Value,
        name: Option<&str>,
        now: Stamp,
    ) -> Result<Value, DemoError> {
        let label = body.pointer("/Labels/midwatch.scan");
        if label.is_some() {
            let id = self.make_scan(body, now)?;
            return Ok(json!({"Id": id, "Warnings": []}));
        }
        let (mut guard, t) = self.at(now);
        let world = &mut guard.world;
        let image = text(body, "/Image");
        let picture = answers::find_picture(world, &image)
            .ok_or_else(|| DemoError::new(404, format!("No such image: {image}")))?;
        if world.made_count >= MOST {
            let text = format!("the simulated engine makes no more than {MOST} containers");
            return Err(DemoError::new(400, text));
        }
        let count = world.made_count + 1;
        let dice = Dice::new(world.seed.wrapping_add(count), "made");
        let name = match name.filter(|name| !name.is_empty()) {
            Some(name) => name.strip_prefix('/').unwrap_or(name).to_owned(),
            None => {
                let pick = |words: [&'static str; 8], at| {
                    let at = dice.below(at, 8) as usize;
                    words.get(at).copied().unwrap_or("plain")
                };
                format!("{}_{}{count}", pick(LEFT, 1), pick(RIGHT, 2))
            }
        };
        check_new_name(world, &name, None)?;
        let key = ContainerKey {
            host: HostId::default(),
            id: ContainerId::from_bytes(dice.bytes()),
        };
        let role = role(world, body, picture, &name);
        let (gpus, unknown) = gpus_of(world.seed, &role);
        let auto_remove = flag(body, "/HostConfig/AutoRemove");
        world.made_count = count;
        world.members.insert(
            key,
            Member {
                // A role is data of the program's whole life; how many can be made is bounded.
                role: Box::leak(Box::new(role)),
                created: t,
                made: Some(Made {
                    body: body.clone(),
                    gpus,
                    unknown,
                    auto_remove,
                }),
                ..Member::new(key, name)
            },
        );
        world.tell(t, key, EventKind::Create);
        Ok(json!({"Id": key.id.to_string(), "Warnings": []}))
    }

    /// How a container's last run ended: when and with which code; `None` before its first end.
    ///
    /// # Errors
    /// No such container, now or lately.
    pub(super) fn last_end(&self, key: ContainerKey, now: Stamp) -> Result<LastEnd, DemoError> {
        let (guard, _) = self.at(now);
        let world = &guard.world;
        if let Some(member) = world.members.get(&key) {
            let ended = member.runs.iter().rev().find_map(|run| run.end);
            return Ok(LastEnd {
                at: ended.map(|end| end.at),
                code: super::facts::exit_code(member),
                live: member.live().is_some() || member.again_at.is_some(),
                gone: false,
            });
        }
        let gone = world.gone.iter().find(|(gone, _)| *gone == key);
        let (_, code) = gone.ok_or_else(|| DemoError::no_such(&key))?;
        Ok(LastEnd {
            at: None,
            code: *code,
            live: false,
            gone: true,
        })
    }
}

/// What a waiting client is told from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastEnd {
    pub at: Option<T>,
    pub code: i64,
    pub live: bool,
    pub gone: bool,
}

fn text(body: &Value, at: &str) -> String {
    let text = body.pointer(at).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn flag(body: &Value, at: &str) -> bool {
    body.pointer(at).and_then(Value::as_bool).unwrap_or(false)
}

fn number(body: &Value, at: &str) -> Option<u64> {
    body.pointer(at).and_then(Value::as_u64).filter(|n| *n > 0)
}

fn words(body: &Value, at: &str) -> Option<Vec<String>> {
    let list = body.pointer(at)?.as_array()?;
    let texts = list.iter().filter_map(Value::as_str).map(str::to_owned);
    Some(texts.collect())
}

/// For the program's life, as the cast's own texts are.
fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn all_kept(texts: Vec<String>) -> &'static [&'static str] {
    Box::leak(texts.into_iter().map(kept).collect::<Vec<_>>().into())
}

fn role(world: &World, body: &Value, picture: &'static Picture, name: &str) -> Role {
    let own_entry = words(body, "/Entrypoint").map(all_kept);
    let own_command = words(body, "/Cmd").map(all_kept);
    let entrypoint = own_entry.unwrap_or(picture.entrypoint);
    let command = own_command.unwrap_or(match own_entry {
        // The image's command belongs to its own entrypoint.
        Some(_) => &[],
        None => picture.command,
    });
    let env = env(picture, words(body, "/Env").unwrap_or_default());
    let asked = asked(body, &env);
    let labelled = |name: &str| {
        let label = body.get("Labels").and_then(|labels| labels.get(name));
        label
            .and_then(Value::as_str)
            .map(|text| kept(text.to_owned()))
    };
    let user = text(body, "/User");
    let user = match user.split(':').next().unwrap_or_default() {
        "" | "0" | "root" => ("root", 0),
        name => (kept(name.to_owned()), name.parse().unwrap_or(1000)),
    };
    let workdir = text(body, "/WorkingDir");
    let restart = match text(body, "/HostConfig/RestartPolicy/Name").as_str() {
        "always" => "always",
        "unless-stopped" => "unless-stopped",
        "on-failure" => "on-failure",
        _ => "no",
    };
    Role {
        name: kept(name.to_owned()),
        image: picture.tag,
        program: program(picture.tag, entrypoint, command, flag(body, "/Tty")),
        entrypoint,
        command,
        env: all_kept(env),
        asked,
        user,
        compose: labelled("com.docker.compose.project").zip(labelled("com.docker.compose.service")),
        ports: Box::leak(ports(world, body).into()),
        mounts: Box::leak(mounts(body).into()),
        workdir: match workdir.is_empty() {
            true => "/",
            false => kept(workdir),
        },
        tty: flag(body, "/Tty"),
        memory_limit: number(body, "/HostConfig/Memory").unwrap_or(0),
        shm: number(body, "/HostConfig/ShmSize").unwrap_or(SHM),
        restart,
        health: false,
        stop_timeout: number(body, "/StopTimeout"),
        bash: !picture.tag.contains("alpine") && !picture.tag.starts_with("busybox"),
        created: 0,
        runs: &[],
    }
}

/// The image's environment with the sent one over it.
fn env(picture: &Picture, sent: Vec<String>) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut all: Vec<String> = picture.env.iter().map(|e| (*e).to_owned()).collect();
    for entry in sent {
        all.retain(|other| name(other) != name(&entry));
        if entry.contains('=') {
            all.push(entry);
        }
    }
    all
}

/// The GPUs in whatever form they were asked for.
fn asked(body: &Value, env: &[String]) -> Asked {
    let requests = body.pointer("/HostConfig/DeviceRequests");
    let request = requests
        .and_then(Value::as_array)
        .and_then(|all| all.last());
    let listed = |ids: Vec<String>| match ids.iter().any(|id| id == "all") {
        true => Asked::All,
        false => Asked::Devices(all_kept(ids)),
    };
    if let Some(request) = request {
        let ids = words(request, "/DeviceIDs").unwrap_or_default();
        let count = request.get("Count").and_then(Value::as_i64).unwrap_or(0);
        if !ids.is_empty() {
            let bare = |id: String| id.strip_prefix("nvidia.com/gpu=").unwrap_or(&id).to_owned();
            return listed(ids.into_iter().map(bare).collect());
        }
        return match count {
            -1 => Asked::All,
            count => listed((0..count.clamp(0, 64)).map(|n| n.to_string()).collect()),
        };
    }
    let visible = env
        .iter()
        .find_map(|entry| entry.strip_prefix("NVIDIA_VISIBLE_DEVICES="));
    match visible.filter(|_| text(body, "/HostConfig/Runtime") == "nvidia") {
        None | Some("" | "none" | "void") => Asked::Nothing,
        Some(visible) => listed(visible.split(',').map(str::to_owned).collect()),
    }
}

/// Which GPUs these are, and the first that is none.
fn gpus_of(seed: u64, role: &Role) -> (Vec<usize>, Option<String>) {
    let Asked::Devices(ids) = role.asked else {
        // The one that fell off the bus is not among all.
        let all = match role.asked {
            Asked::All => (0..GPUS - 1).collect(),
            _ => Vec::new(),
        };
        return (all, None);
    };
    let mut found = Vec::new();
    for id in ids {
        let index = (0..GPUS).find(|index| {
            id.parse() == Ok(*index) || gpus::gpu_key(seed, *index).uuid.as_str() == *id
        });
        match index {
            // A card that is lost is not known to the driver's library.
            Some(index) if index < GPUS - 1 => found.push(index),
            _ => return (found, Some((*id).to_owned())),
        }
    }
    (found, None)
}

/// Published TCP ports; the engine picks one where none is named.
fn ports(world: &World, body: &Value) -> Vec<(u16, Option<u16>)> {
    let mut all = Vec::new();
    let bindings = body.pointer("/HostConfig/PortBindings");
    for (inside, outside) in bindings.and_then(Value::as_object).into_iter().flatten() {
        let Some(inside) = inside.strip_suffix("/tcp").unwrap_or(inside).parse().ok() else {
            continue;
        };
        for binding in outside.as_array().into_iter().flatten() {
            let port = binding.get("HostPort").and_then(Value::as_str);
            let free = 32_768 + (world.made_count % 1000) as u16;
            all.push((
                inside,
                Some(port.and_then(|p| p.parse().ok()).unwrap_or(free)),
            ));
        }
    }
    let exposed = body.get("ExposedPorts").and_then(Value::as_object);
    for inside in exposed.into_iter().flat_map(Map::keys) {
        if let Some(inside) = inside.strip_suffix("/tcp").and_then(|p| p.parse().ok())
            && !all.iter().any(|(port, _)| *port == inside)
        {
            all.push((inside, None));
        }
    }
    all
}

fn mounts(body: &Value) -> Vec<(&'static str, &'static str, bool)> {
    let mut all = Vec::new();
    for bind in words(body, "/HostConfig/Binds").unwrap_or_default() {
        let mut parts = bind.splitn(3, ':');
        if let (Some(source), Some(target)) = (parts.next(), parts.next()) {
            let writable = !parts
                .next()
                .unwrap_or("")
                .split(',')
                .any(|word| word == "ro");
            all.push((kept(source.to_owned()), kept(target.to_owned()), writable));
        }
    }
    let more = body.pointer("/HostConfig/Mounts").and_then(Value::as_array);
    for mount in more.into_iter().flatten() {
        let kind = text(mount, "/Type");
        if kind == "bind" || kind == "volume" {
            let writable = !flag(mount, "/ReadOnly");
            let (source, target) = (text(mount, "/Source"), text(mount, "/Target"));
            all.push((kept(source), kept(target), writable));
        }
    }
    all
}

/// What such an image and command would do.
fn program(image: &str, entrypoint: &[&str], command: &[&str], tty: bool) -> Program {
    let words: Vec<&str> = entrypoint.iter().chain(command).copied().collect();
    let line = words.join(" ");
    let says = |any: &[&str]| any.iter().any(|word| line.contains(word));
    let first = words
        .first()
        .map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    if says(&["nvidia-smi"]) {
        return Program::Smi;
    }
    if says(&["train", "torchrun", "accelerate", "simulate", "deepspeed"]) {
        return Program::Training;
    }
    if image.starts_with("acme/serve-x") {
        return Program::Server;
    }
    for (begin, program) in [
        ("redis:", Program::Redis),
        ("postgres:", Program::Postgres),
        ("grafana/", Program::Grafana),
        ("prom/prometheus", Program::Prometheus),
        ("nvcr.io/nvidia/k8s/dcgm-exporter", Program::Exporter),
    ] {
        if image.starts_with(begin) && !matches!(first, "sh" | "bash") {
            return program;
        }
    }
    if says(&["jupyter", "notebook"]) {
        return Program::Notebook;
    }
    if says(&[
        "vllm", "serve", "uvicorn", "gradio", "ollama", "embed", "server",
    ]) {
        return Program::Serving;
    }
    match (first, words.len()) {
        ("sh" | "bash" | "python" | "python3", 1) if tty => Program::Job,
        // A shell without anybody who types ends at once.
        ("sh" | "bash" | "python" | "python3", 1) | ("true" | "echo" | "hello", _) => {
            Program::Brief
        }
        _ => Program::Job,
    }
}

/// Why a start is refused; `None` where nothing stands in its way.
pub(super) fn refusal(world: &World, key: ContainerKey) -> Option<String> {
    let member = world.members.get(&key)?;
    let made = member.made.as_ref()?;
    if let Some(device) = &made.unknown {
        return Some(unknown_device(device));
    }
    let wanted = member.role.ports.iter().filter_map(|(_, outside)| *outside);
    let mut others = world
        .members
        .values()
        .filter(|m| m.key != key && m.live().is_some());
    let taken = wanted.into_iter().find(|port| {
        others.by_ref().any(|other| {
            other
                .role
                .ports
                .iter()
                .any(|(_, outside)| *outside == Some(*port))
        })
    })?;
    let endpoint = Dice::new(world.seed, &member.name).at(5);
    Some(format!(
        "failed to set up container networking: driver failed programming external connectivity on endpoint {} \
         ({}): Bind for 0.0.0.0:{taken} failed: port is already allocated",
        member.name,
        format!("{endpoint:016x}").repeat(4)
    ))
}

/// The toolkit's words, which the engine hands on, for a card that the driver does not know.
pub(super) fn unknown_device(device: &str) -> String {
    format!(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create \
         failed: unable to start container process: error during container init: error running prestart hook #0: \
         exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: device error: \
         {device}: unknown device: unknown"
    )
}

/// Lays what was sent over inspect's answer.
pub(super) fn overlay(answer: &mut Value, made: &Made) {
    let Some(sent) = made.body.as_object() else {
        return;
    };
    let lay = |over: &mut Value, sent: &Map<String, Value>| {
        let Some(over) = over.as_object_mut() else {
            return;
        };
        for (name, value) in sent {
            let known = over.get(name);
            // An absent value leaves the engine's own word; environment and labels were merged with the image's.
            if !value.is_null()
                && known.is_some()
                && !matches!(name.as_str(), "Env" | "Labels" | "Image")
            {
                over.insert(name.clone(), value.clone());
            }
        }
    };
    if let Some(host) = sent.get("HostConfig").and_then(Value::as_object)
        && let Some(over) = answer.get_mut("HostConfig")
    {
        lay(over, host);
    }
    if let Some(over) = answer.get_mut("Config") {
        lay(over, sent);
        if let Some(image) = sent.get("Image") {
            over["Image"] = image.clone();
        }
    }
}

/// The labels that were sent.
pub(super) fn labels(member: &Member) -> Map<String, Value> {
    let sent = member
        .made
        .as_ref()
        .and_then(|made| made.body.get("Labels"));
    sent.and_then(Value::as_object).cloned().unwrap_or_default()
}
