//! The body of the engine's create call: what Docker's own client (28) sends for the same line.

mod files;
mod network;
mod other;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::field::mount_body;
use super::{GpuRequest, LaunchSpec, MountAsk, PortAsk, Restart, Surroundings};

pub(super) use network::network;
pub(super) use other::{LISTS, NUMBERS, SIZES, SWITCHES, TEXTS, check};

/// What the create call takes.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateBody {
    /// The body.
    pub json: Value,
    /// `name=` of the call.
    pub name: Option<String>,
    /// `platform=` of the call (API 1.41 and later).
    pub platform: Option<String>,
}

/// Reads a file on the machine of who launches; the error says why not.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// The create call of a launch. `request` is how the GPUs are asked for (`None`: not at all); `files` reads
/// environment files, label files and seccomp profiles, whose paths are absolute where the line was parsed.
///
/// # Errors
/// Flags that contradict each other, as Docker's client refuses them; a file that cannot be read or is none; a
/// value that is none (not where the launch was parsed).
pub fn create(
    spec: &LaunchSpec,
    request: Option<&GpuRequest>,
    surroundings: &Surroundings,
    files: ReadFile<'_>,
) -> Result<CreateBody, String> {
    let mut draft = Draft::new(files);
    for flag in &spec.other {
        draft
            .apply(&flag.name, &flag.value)
            .map_err(|why| format!("--{}: {why}", flag.name))?;
    }
    let platform = spec
        .platform
        .as_deref()
        .map(platform)
        .transpose()?
        .flatten();
    draft.streams(spec)?;
    draft.environment(spec, request, surroundings)?;
    draft.mounts(spec)?;
    draft.ports(&spec.ports)?;
    draft.limits(spec)?;
    draft.devices(request);
    let json = draft.finish(spec)?;
    Ok(CreateBody {
        json,
        name: spec.name.clone(),
        platform,
    })
}

/// The lists that Docker's own client sends, empty or not.
const ALWAYS: [&str; 10] = [
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Ulimits",
];

/// A body while it is put together.
struct Draft<'a> {
    config: Map<String, Value>,
    host: Map<String, Value>,
    attach: Vec<String>,
    health: Map<String, Value>,
    no_health: bool,
    log_options: Map<String, Value>,
    file_labels: Map<String, Value>,
    labels: Map<String, Value>,
    exposed: Map<String, Value>,
    cdi: Vec<String>,
    ends: network::Ends,
    files: ReadFile<'a>,
}

impl<'a> Draft<'a> {
    fn new(files: ReadFile<'a>) -> Self {
        Self {
            config: Map::new(),
            host: Map::new(),
            attach: Vec::new(),
            health: Map::new(),
            no_health: false,
            log_options: Map::new(),
            file_labels: Map::new(),
            labels: Map::new(),
            exposed: Map::new(),
            cdi: Vec::new(),
            ends: network::Ends::default(),
            files,
        }
    }

    fn config(&mut self, key: &str, value: impl Into<Value>) {
        self.config.insert(key.to_owned(), value.into());
    }

    fn host(&mut self, key: &str, value: impl Into<Value>) {
        self.host.insert(key.to_owned(), value.into());
    }

    fn push(&mut self, key: &str, value: impl Into<Value>) {
        let list = self.host.entry(key.to_owned()).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(value.into());
        }
    }

    /// One pair of a map; the last of a name counts.
    fn pair(&mut self, key: &str, name: &str, value: impl Into<Value>) {
        let map = self.host.entry(key.to_owned()).or_insert_with(|| json!({}));
        if let Value::Object(map) = map {
            map.insert(name.to_owned(), value.into());
        }
    }

    fn streams(&mut self, spec: &LaunchSpec) -> Result<(), String> {
        if spec.detach && !self.attach.is_empty() {
            return Err(
                "--detach and --attach contradict each other: leave one of them out".to_owned(),
            );
        }
        let has = |stream: &str, attach: &[String]| {
            !spec.detach && attach.iter().any(|name| name == stream)
        };
        let all = self.attach.is_empty() && !spec.detach;
        let stdin = (spec.interactive && !spec.detach) || has("stdin", &self.attach);
        let stdout = all || has("stdout", &self.attach);
        let stderr = all || has("stderr", &self.attach);
        self.config("AttachStdin", stdin);
        self.config("AttachStdout", stdout);
        self.config("AttachStderr", stderr);
        self.config("Tty", spec.tty);
        self.config("OpenStdin", spec.interactive);
        // Standard input closes with the client that was attached to it.
        self.config("StdinOnce", spec.interactive && stdin);
        Ok(())
    }

    fn environment(
        &mut self,
        spec: &LaunchSpec,
        request: Option<&GpuRequest>,
        surroundings: &Surroundings,
    ) -> Result<(), String> {
        let mut env: Vec<(String, Option<String>)> = Vec::new();
        for file in &spec.env_files {
            let text = (self.files)(file)?;
            let pairs = files::pairs(file, &text, Some(&surroundings.env))?;
            env.extend(pairs.into_iter().filter(|(_, value)| value.is_some()));
        }
        let from_files = env.len();
        for var in &spec.env {
            let value = var
                .value
                .clone()
                .or_else(|| surroundings.env.get(&var.name).cloned());
            let before = env
                .iter_mut()
                .skip(from_files)
                .find(|(name, _)| *name == var.name);
            match before {
                Some(before) => before.1 = value,
                None => env.push((var.name.clone(), value)),
            }
        }
        if let Some(GpuRequest::Runtime {
            name,
            visible,
            capabilities,
        }) = request
        {
            self.host("Runtime", name.as_str());
            let set = [
                ("NVIDIA_VISIBLE_DEVICES", Some(visible)),
                ("NVIDIA_DRIVER_CAPABILITIES", capabilities.as_ref()),
            ];
            for (name, value) in set {
                if let Some(value) = value {
                    env.retain(|(before, _)| before != name);
                    env.push((name.to_owned(), Some(value.clone())));
                }
            }
        }
        if !env.is_empty() {
            // A name alone takes the variable out of what the image sets.
            let env: Vec<String> = env
                .into_iter()
                .map(|(name, value)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => name,
                })
                .collect();
            self.config("Env", env);
        }
        Ok(())
    }

    fn mounts(&mut self, spec: &LaunchSpec) -> Result<(), String> {
        let mut binds: Vec<String> = Vec::new();
        let mut volumes = Map::new();
        for mount in &spec.mounts {
            match mount {
                MountAsk::Bind { .. } => {
                    let bind = mount.to_string();
                    if !binds.contains(&bind) {
                        binds.push(bind);
                    }
                }
                MountAsk::Anonymous { target } => {
                    volumes.insert(target.clone(), json!({}));
                }
                MountAsk::Mount(fields) => {
                    let body = mount_body(fields).map_err(|why| format!("--mount: {why}"))?;
                    self.push("Mounts", body);
                }
                MountAsk::Tmpfs { target, options } => self.pair("Tmpfs", target, options.as_str()),
            }
        }
        if !binds.is_empty() {
            self.host("Binds", binds);
        }
        if !volumes.is_empty() {
            self.config("Volumes", volumes);
        }
        Ok(())
    }

    fn ports(&mut self, ports: &[PortAsk]) -> Result<(), String> {
        let mut bindings: Map<String, Value> = Map::new();
        for port in ports {
            let range = port.container.first..=port.container.last;
            for (at, inner) in range.enumerate() {
                let host = match port.host {
                    None => String::new(),
                    // Several host ports for one of the container: the engine takes one that is free.
                    Some(host) if port.container.count() == 1 => host.to_string(),
                    Some(host) => u16::try_from(at)
                        .ok()
                        .and_then(|at| host.first.checked_add(at))
                        .filter(|port| *port <= host.last)
                        .ok_or_else(|| format!("-p {port}: both ranges must be as long"))?
                        .to_string(),
                };
                let key = format!("{inner}/{}", port.protocol);
                self.exposed.insert(key.clone(), json!({}));
                let binding = json!({
                    "HostIp": port.ip.clone().unwrap_or_default(),
                    "HostPort": host,
                });
                let list = bindings.entry(key).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(binding);
                }
            }
        }
        self.host("PortBindings", bindings);
        Ok(())
    }

    fn limits(&mut self, spec: &LaunchSpec) -> Result<(), String> {
        let number = |value: Option<u64>| {
            value
                .map(|value| i64::try_from(value).map_err(|_| "a size is too large".to_owned()))
                .transpose()
        };
        let sizes = [
            ("ShmSize", spec.shm_bytes),
            ("Memory", spec.memory_bytes),
            ("NanoCpus", spec.nano_cpus),
        ];
        for (key, value) in sizes {
            if let Some(value) = number(value)?.filter(|value| *value != 0) {
                self.host(key, value);
            }
        }
        if !spec.ulimits.is_empty() {
            let mut limits = spec.ulimits.clone();
            limits.sort_by(|a, b| a.name.cmp(&b.name));
            let limits: Vec<Value> = limits
                .iter()
                .map(|limit| json!({"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft}))
                .collect();
            self.host("Ulimits", limits);
        }
        if spec.rm && spec.restart.is_some_and(|policy| policy != Restart::No) {
            return Err(
                "--rm and --restart contradict each other: leave one of them out".to_owned(),
            );
        }
        let (name, max) = match spec.restart.unwrap_or(Restart::No) {
            Restart::No => ("no", 0),
            Restart::OnFailure(max) => ("on-failure", max),
            Restart::Always => ("always", 0),
            Restart::UnlessStopped => ("unless-stopped", 0),
        };
        self.host(
            "RestartPolicy",
            json!({"Name": name, "MaximumRetryCount": max}),
        );
        self.host("AutoRemove", spec.rm);
        Ok(())
    }

    fn devices(&mut self, request: Option<&GpuRequest>) {
        let mut cdi = Vec::new();
        match request {
            Some(GpuRequest::Device {
                ids,
                count,
                capabilities,
                driver,
                options,
            }) => {
                let mut capabilities = capabilities.clone();
                capabilities.push("gpu".to_owned());
                let options: Map<String, Value> = options
                    .iter()
                    .map(|(key, value)| (key.clone(), json!(value)))
                    .collect();
                let ids = (!ids.is_empty()).then_some(ids);
                self.push(
                    "DeviceRequests",
                    json!({
                        "Driver": driver,
                        "Count": count,
                        "DeviceIDs": ids,
                        "Capabilities": [capabilities],
                        "Options": options,
                    }),
                );
            }
            Some(GpuRequest::Cdi(names)) => cdi.clone_from(names),
            Some(GpuRequest::Runtime { .. }) | None => {}
        }
        cdi.append(&mut self.cdi);
        if !cdi.is_empty() {
            self.push(
                "DeviceRequests",
                json!({
                    "Driver": "cdi",
                    "Count": 0,
                    "DeviceIDs": cdi,
                    "Capabilities": null,
                    "Options": null,
                }),
            );
        }
    }

    /// Names in one spelling, each once; `ALL` stands for the rest, and what is added is not dropped.
    fn capabilities(&mut self) {
        let mut read = |key: &str| {
            let list = self.host.remove(key);
            let names: BTreeSet<String> = list
                .iter()
                .filter_map(Value::as_array)
                .flatten()
                .filter_map(Value::as_str)
                .map(|name| {
                    let name = name.trim().to_ascii_uppercase();
                    match name.as_str() {
                        "ALL" | "RESET" => name,
                        long if long.starts_with("CAP_") => name,
                        _ => format!("CAP_{name}"),
                    }
                })
                .collect();
            match names.get("ALL").cloned() {
                Some(all) => BTreeSet::from([all]),
                None => names,
            }
        };
        let (added, mut dropped) = (read("CapAdd"), read("CapDrop"));
        dropped.retain(|name| !added.contains(name));
        for (key, names) in [("CapAdd", added), ("CapDrop", dropped)] {
            if !names.is_empty() {
                self.host(key, names.into_iter().collect::<Vec<_>>());
            }
        }
    }

    fn health(&mut self) -> Result<(), String> {
        // Zero is what is not set.
        self.health.retain(|_, value| *value != json!(0));
        if self.no_health {
            if !self.health.is_empty() {
                return Err(
                    "--no-healthcheck and --health-… contradict each other: leave one of them out"
                        .to_owned(),
                );
            }
            self.config("Healthcheck", json!({"Test": ["NONE"]}));
        } else if !self.health.is_empty() {
            let health = std::mem::take(&mut self.health);
            self.config("Healthcheck", health);
        }
        Ok(())
    }

    fn finish(mut self, spec: &LaunchSpec) -> Result<Value, String> {
        self.health()?;
        self.config("Image", spec.image.as_str());
        if !spec.command.is_empty() {
            self.config("Cmd", spec.command.clone());
        }
        if let Some(entrypoint) = &spec.entrypoint {
            self.config("Entrypoint", json!([entrypoint]));
        }
        for (key, value) in [("User", &spec.user), ("WorkingDir", &spec.workdir)] {
            if let Some(value) = value {
                self.config(key, value.as_str());
            }
        }
        if let Some(ipc) = &spec.ipc {
            self.host("IpcMode", ipc.as_str());
        }
        let exposed = std::mem::take(&mut self.exposed);
        if !exposed.is_empty() {
            self.config("ExposedPorts", exposed);
        }
        let mut labels = std::mem::take(&mut self.file_labels);
        labels.append(&mut self.labels);
        self.config("Labels", labels);
        let driver = self.host.remove("LogDriver").unwrap_or_else(|| json!(""));
        if driver == json!("none") && !self.log_options.is_empty() {
            return Err("--log-opt has no meaning with --log-driver none".to_owned());
        }
        let options = std::mem::take(&mut self.log_options);
        self.host("LogConfig", json!({"Type": driver, "Config": options}));
        // What Docker's client always sends: an engine shows `[]` then, and null else.
        for key in ALWAYS {
            self.host.entry(key.to_owned()).or_insert_with(|| json!([]));
        }
        for (key, value) in [
            ("OomKillDisable", json!(false)),
            ("MemorySwappiness", json!(-1)),
            ("PidsLimit", json!(0)),
        ] {
            self.host.entry(key.to_owned()).or_insert(value);
        }
        self.capabilities();
        let ends = std::mem::take(&mut self.ends);
        if let Some(mac) = &ends.mac {
            // Engines before API 1.44 read it here, later ones at the network.
            self.config("MacAddress", mac.as_str());
        }
        let (mode, endpoints) = network::endpoints(&spec.networks, ends)?;
        self.host("NetworkMode", mode);
        let mut json = self.config;
        json.insert("HostConfig".to_owned(), Value::Object(self.host));
        json.insert(
            "NetworkingConfig".to_owned(),
            json!({"EndpointsConfig": endpoints}),
        );
        Ok(Value::Object(json))
    }
}

/// A platform as the call takes it; `None` where nothing is said.
///
/// # Errors
/// No platform.
pub(super) fn platform(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || {
        format!(
            "{} is no platform: linux/amd64, linux/arm64 and the like",
            super::field::said(text)
        )
    };
    let parts: Vec<String> = text.split('/').map(str::to_ascii_lowercase).collect();
    let clean = parts.iter().all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    });
    if !clean || parts.len() > 3 {
        return Err(bad());
    }
    let system = |part: &str| matches!(part, "linux" | "windows" | "darwin" | "freebsd");
    let (os, machine, variant) = match parts.as_slice() {
        [os] if system(os) => (os.as_str(), std::env::consts::ARCH, ""),
        [machine] => ("linux", machine.as_str(), ""),
        [os, machine] => (os.as_str(), machine.as_str(), ""),
        [os, machine, variant] => (os.as_str(), machine.as_str(), variant.as_str()),
        _ => return Err(bad()),
    };
    let (machine, variant) = match (machine, variant) {
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("i386" | "i686" | "386", _) => ("386", ""),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        known => known,
    };
    Ok(Some(if variant.is_empty() {
        format!("{os}/{machine}")
    } else {
        format!("{os}/{machine}/{variant}")
    }))
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
