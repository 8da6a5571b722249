//! A container as it is, back to the launch that would make it again.

mod host;

use serde_json::{Map, Value};

use super::field::{csv, shown};
use super::{EnvVar, GpuAsk, LaunchSpec, MountAsk, OtherFlag, PortAsk, Which, body};

/// The launch that makes a container like this one, from the engine's inspect JSON; what its image sets by itself
/// is left out where the image's inspect JSON is known. The sentences name what no flag of `docker run` can say.
///
/// A name, a host name and addresses are taken over too: two containers cannot have them at once.
#[must_use]
pub fn from_inspect(json: &Value, image: Option<&Value>) -> (LaunchSpec, Vec<String>) {
    let nothing = Map::new();
    let part = |value: Option<&Value>, key: &str| -> Map<String, Value> {
        value
            .and_then(|value| value.get(key))
            .and_then(Value::as_object)
            .unwrap_or(&nothing)
            .clone()
    };
    let mut back = Back {
        spec: LaunchSpec::default(),
        notes: Vec::new(),
        config: part(Some(json), "Config"),
        host: part(Some(json), "HostConfig"),
        networks: part(json.get("NetworkSettings"), "Networks"),
        image: part(image, "Config"),
        id: text(json, "Id").unwrap_or_default().to_owned(),
    };
    let name = text(json, "Name").map(|name| name.trim_start_matches('/'));
    back.spec.name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    back.config();
    back.environment();
    back.program();
    back.health();
    back.host();
    back.gpus();
    back.mounts();
    back.ports();
    back.networks();
    (back.spec, back.notes)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// Whether a value says nothing.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

struct Back {
    spec: LaunchSpec,
    notes: Vec<String>,
    config: Map<String, Value>,
    host: Map<String, Value>,
    networks: Map<String, Value>,
    image: Map<String, Value>,
    id: String,
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn pairs(value: Option<&Value>) -> Vec<(String, String)> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

impl Back {
    fn note(&mut self, what: &str, value: &str) {
        self.notes.push(format!(
            "{what} {} cannot be said in a docker run line",
            shown(value)
        ));
    }

    /// A flag, where it takes the value.
    fn other(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if body::check(name, &value).is_err() {
            self.note(&format!("--{name}"), &value);
            return;
        }
        self.spec.other.push(OtherFlag {
            name: name.to_owned(),
            value,
        });
    }

    /// A text of the container's that its image does not set the same.
    fn own(&self, key: &str) -> Option<String> {
        let value = self.config.get(key)?;
        if is_nothing(value) || self.image.get(key) == Some(value) {
            return None;
        }
        value.as_str().map(str::to_owned)
    }

    fn config(&mut self) {
        self.spec.image = self
            .config
            .get("Image")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        self.spec.user = self.own("User");
        self.spec.workdir = self.own("WorkingDir");
        let yes = |key: &str| self.config.get(key) == Some(&Value::Bool(true));
        self.spec.tty = yes("Tty");
        self.spec.interactive = yes("OpenStdin");
        let streams = [
            ("stdin", yes("AttachStdin")),
            ("stdout", yes("AttachStdout")),
            ("stderr", yes("AttachStderr")),
        ];
        self.spec.detach = streams.iter().all(|(_, on)| !on);
        let usual = streams
            == [
                ("stdin", self.spec.interactive),
                ("stdout", true),
                ("stderr", true),
            ];
        if !self.spec.detach && !usual {
            for (stream, _) in streams.iter().filter(|(_, on)| *on) {
                self.other("attach", *stream);
            }
        }
        if let Some(name) = self.own("Hostname")
            && !(name.len() == 12 && self.id.starts_with(&name))
        {
            self.other("hostname", name);
        }
        for (key, flag) in [("Domainname", "domainname"), ("StopSignal", "stop-signal")] {
            if let Some(value) = self.own(key) {
                self.other(flag, value);
            }
        }
        if let Some(seconds) = self.config.get("StopTimeout").and_then(Value::as_i64) {
            self.other("stop-timeout", seconds.to_string());
        }
        let known = pairs(self.image.get("Labels"));
        for (name, value) in pairs(self.config.get("Labels")) {
            if !known.contains(&(name.clone(), value.clone())) {
                self.other("label", format!("{name}={value}"));
            }
        }
        let inherited = pairs(self.image.get("Volumes"));
        for (target, _) in pairs(self.config.get("Volumes")) {
            if !inherited.iter().any(|(known, _)| *known == target) {
                self.spec.mounts.push(MountAsk::Anonymous { target });
            }
        }
        if self.config.get("NetworkDisabled") == Some(&Value::Bool(true)) {
            self.note("NetworkDisabled", "true");
        }
    }

    fn environment(&mut self) {
        let known = strings(self.image.get("Env"));
        for text in strings(self.config.get("Env")) {
            if known.contains(&text) {
                continue;
            }
            match EnvVar::parse(&text) {
                Ok(var) => self.spec.env.push(var),
                Err(_) => self.note("the variable", &text),
            }
        }
    }

    /// Entrypoint and command.
    fn program(&mut self) {
        let list = |of: &Map<String, Value>, key: &str| strings(of.get(key));
        let (entry, command) = (list(&self.config, "Entrypoint"), list(&self.config, "Cmd"));
        let (image_entry, image_command) =
            (list(&self.image, "Entrypoint"), list(&self.image, "Cmd"));
        if entry == image_entry {
            if command != image_command {
                self.spec.command = command;
            }
            return;
        }
        // An entrypoint of several words is its first, and the rest before the command.
        let mut words = entry.into_iter();
        self.spec.entrypoint = Some(words.next().unwrap_or_default());
        self.spec.command = words.chain(command).collect();
    }

    fn health(&mut self) {
        let Some(health) = self.config.get("Healthcheck").cloned() else {
            return;
        };
        if is_nothing(&health) || self.image.get("Healthcheck") == Some(&health) {
            return;
        }
        let test = strings(health.get("Test"));
        let test: Vec<&str> = test.iter().map(String::as_str).collect();
        match test.as_slice() {
            [] => {}
            ["NONE"] => self.other("no-healthcheck", "true"),
            ["CMD-SHELL", command] => self.other("health-cmd", *command),
            words => self.note("the health check", &words.join(" ")),
        }
        for (key, flag) in [
            ("Interval", "health-interval"),
            ("Timeout", "health-timeout"),
            ("StartPeriod", "health-start-period"),
            ("StartInterval", "health-start-interval"),
        ] {
            if let Some(nanos) = health
                .get(key)
                .and_then(Value::as_i64)
                .filter(|nanos| *nanos != 0)
            {
                let value = [
                    (60_000_000_000, "m"),
                    (1_000_000_000, "s"),
                    (1_000_000, "ms"),
                    (1, "ns"),
                ]
                .iter()
                .find(|(unit, _)| nanos % unit == 0)
                .map(|(unit, name)| format!("{}{name}", nanos / unit))
                .unwrap_or_default();
                self.other(flag, value);
            }
        }
        if let Some(count) = health
            .get("Retries")
            .and_then(Value::as_i64)
            .filter(|count| *count != 0)
        {
            self.other("health-retries", count.to_string());
        }
    }

    fn gpus(&mut self) {
        let requests = self
            .host
            .get("DeviceRequests")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        for request in requests {
            let ids = strings(request.get("DeviceIDs"));
            if text(&request, "Driver") == Some("cdi") {
                for id in ids {
                    self.other("device", id);
                }
                continue;
            }
            let ask = gpu_ask(&request, ids);
            match ask {
                Some(ask) if self.spec.gpus.is_none() => self.spec.gpus = Some(ask),
                _ => self.note("the device request", &request.to_string()),
            }
        }
    }

    fn ports(&mut self) {
        let bindings = self
            .host
            .get("PortBindings")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut asks = Vec::new();
        for (key, list) in &bindings {
            for binding in list.as_array().into_iter().flatten() {
                let ip = text(binding, "HostIp").unwrap_or_default();
                let ip = if ip.contains(':') {
                    format!("[{ip}]")
                } else {
                    ip.to_owned()
                };
                let port = text(binding, "HostPort").unwrap_or_default();
                match PortAsk::parse(&format!("{ip}:{port}:{key}")) {
                    Ok(ask) => asks.push(ask),
                    Err(_) => self.note("the port", &format!("{key} {binding}")),
                }
            }
        }
        asks.sort_by(|a, b| {
            (a.container.first, &a.protocol).cmp(&(b.container.first, &b.protocol))
        });
        self.spec.ports = asks;
        let inherited = pairs(self.image.get("ExposedPorts"));
        for (port, _) in pairs(self.config.get("ExposedPorts")) {
            let known = bindings.contains_key(&port)
                || inherited.iter().any(|(inherited, _)| *inherited == port);
            if !known {
                self.other("expose", port);
            }
        }
    }

    fn networks(&mut self) {
        let mode = self
            .host
            .get("NetworkMode")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let named = !matches!(mode.as_str(), "" | "default");
        let networks = std::mem::take(&mut self.networks);
        // The first is the mode; the others follow.
        let first = networks.get(&mode).cloned().unwrap_or(Value::Null);
        let mut list: Vec<(String, Value)> = vec![(mode.clone(), first)];
        if named {
            list.extend(
                networks
                    .iter()
                    .filter(|(name, _)| **name != mode)
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        let mac = self
            .config
            .get("MacAddress")
            .and_then(Value::as_str)
            .filter(|mac| !mac.is_empty())
            .map(str::to_owned);
        for (name, ends) in list {
            if !named {
                self.default_ends(&ends);
                break;
            }
            match self.network(&name, &ends) {
                Some(text) => self.spec.networks.push(text),
                None => self.note("the network", &name),
            }
        }
        if let Some(mac) = mac {
            self.other("mac-address", mac);
        }
        // `/db:/this/database` is how an engine shows `db:database`.
        let mut links = strings(self.host.get("Links"));
        if links.is_empty() {
            links = strings(networks.get(&mode).and_then(|ends| ends.get("Links")));
        }
        for link in links {
            let link = match link.split_once(':') {
                Some((target, alias)) => format!(
                    "{}:{}",
                    target.trim_start_matches('/'),
                    alias.rsplit('/').next().unwrap_or(alias)
                ),
                None => link,
            };
            self.other("link", link);
        }
    }

    /// What is said of the network that was not named.
    fn default_ends(&mut self, ends: &Value) {
        let ipam = ends.get("IPAMConfig").cloned().unwrap_or(Value::Null);
        for (key, flag) in [("IPv4Address", "ip"), ("IPv6Address", "ip6")] {
            if let Some(ip) = text(&ipam, key).filter(|ip| !ip.is_empty()) {
                self.other(flag, ip);
            }
        }
        for ip in strings(ipam.get("LinkLocalIPs")) {
            self.other("link-local-ip", ip);
        }
    }

    /// One `--network`; `None` where it cannot be written.
    fn network(&self, name: &str, ends: &Value) -> Option<String> {
        let mut fields = vec![format!("name={name}")];
        for alias in strings(ends.get("Aliases")) {
            // Older engines add the container's own id.
            if !(alias.len() == 12 && self.id.starts_with(&alias)) {
                fields.push(format!("alias={alias}"));
            }
        }
        let ipam = ends.get("IPAMConfig").cloned().unwrap_or(Value::Null);
        for (key, flag) in [("IPv4Address", "ip"), ("IPv6Address", "ip6")] {
            if let Some(ip) = text(&ipam, key).filter(|ip| !ip.is_empty()) {
                fields.push(format!("{flag}={ip}"));
            }
        }
        for ip in strings(ipam.get("LinkLocalIPs")) {
            fields.push(format!("link-local-ip={ip}"));
        }
        for (key, value) in pairs(ends.get("DriverOpts")) {
            fields.push(format!("driver-opt={key}={value}"));
        }
        if let Some(priority) = ends
            .get("GwPriority")
            .and_then(Value::as_i64)
            .filter(|priority| *priority != 0)
        {
            fields.push(format!("gw-priority={priority}"));
        }
        let text = if fields.len() == 1 {
            name.to_owned()
        } else {
            csv::join(fields.iter().map(String::as_str))
        };
        body::network(&text).ok().map(|_| text)
    }
}

fn gpu_ask(request: &Value, ids: Vec<String>) -> Option<GpuAsk> {
    let count = request.get("Count").and_then(Value::as_i64).unwrap_or(0);
    let which = match (ids.is_empty(), count) {
        (false, 0) => Which::Devices(ids),
        (true, -1) => Which::All,
        (true, count) => Which::Count(u32::try_from(count).ok()?),
        (false, _) => return None,
    };
    let sets = request.get("Capabilities").and_then(Value::as_array)?;
    let [set] = sets.as_slice() else { return None };
    let mut capabilities = strings(Some(set));
    // The client's own comes last.
    let own = capabilities.iter().rposition(|name| name == "gpu")?;
    capabilities.remove(own);
    Some(GpuAsk {
        which,
        capabilities,
        driver: text(request, "Driver").unwrap_or_default().to_owned(),
        options: pairs(request.get("Options")),
    })
}

#[cfg(test)]
#[path = "from_body_tests.rs"]
mod tests;
