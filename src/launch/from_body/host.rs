//! The part of a container that is about its host.

use serde_json::{Map, Value, json};

use super::{Back, is_nothing, pairs, strings, text};
use crate::launch::body::{LISTS, NUMBERS, SIZES, SWITCHES, TEXTS};
use crate::launch::field::mount_body;
use crate::launch::{MountAsk, Restart, Surroundings, Ulimit};

/// Lists whose items are values of a flag.
const MORE_LISTS: [(&str, &str); 4] = [
    ("device-cgroup-rule", "DeviceCgroupRules"),
    ("dns", "Dns"),
    ("dns-search", "DnsSearch"),
    ("add-host", "ExtraHosts"),
];

const MODES: [(&str, &str); 3] = [
    ("pid", "PidMode"),
    ("userns", "UsernsMode"),
    ("uts", "UTSMode"),
];

const MAPS: [(&str, &str); 3] = [
    ("annotation", "Annotations"),
    ("storage-opt", "StorageOpt"),
    ("sysctl", "Sysctls"),
];

const THROTTLES: [(&str, &str, &str); 5] = [
    ("blkio-weight-device", "BlkioWeightDevice", "Weight"),
    ("device-read-bps", "BlkioDeviceReadBps", "Rate"),
    ("device-read-iops", "BlkioDeviceReadIOps", "Rate"),
    ("device-write-bps", "BlkioDeviceWriteBps", "Rate"),
    ("device-write-iops", "BlkioDeviceWriteIOps", "Rate"),
];

/// What is read elsewhere, or is the engine's or the client's own.
const KNOWN: [&str; 26] = [
    "AutoRemove",
    "Binds",
    "Cgroup",
    "CgroupnsMode",
    "ConsoleSize",
    "ContainerIDFile",
    "DeviceRequests",
    "Devices",
    "IpcMode",
    "KernelMemoryTCP",
    "Links",
    "LogConfig",
    "MaskedPaths",
    "Memory",
    "Mounts",
    "NanoCpus",
    "NetworkMode",
    "PortBindings",
    "ReadonlyPaths",
    "RestartPolicy",
    "SecurityOpt",
    "ShmSize",
    "Tmpfs",
    "Ulimits",
    "OomKillDisable",
    "Init",
];

impl Back {
    pub(super) fn host(&mut self) {
        let host = std::mem::take(&mut self.host);
        self.numbers(&host);
        self.plain(&host);
        self.security(&host);
        self.unknown(&host);
        self.host = host;
    }

    fn numbers(&mut self, host: &Map<String, Value>) {
        let number = |key: &str| {
            host.get(key)
                .and_then(Value::as_i64)
                .filter(|number| *number != 0)
        };
        let size = |key: &str| number(key).and_then(|number| u64::try_from(number).ok());
        // 64 MiB is what an engine gives by itself.
        self.spec.shm_bytes = size("ShmSize").filter(|size| *size != 64 << 20);
        self.spec.memory_bytes = size("Memory");
        self.spec.nano_cpus = size("NanoCpus");
        for (flag, key, _) in NUMBERS {
            // -1 is what is not set, too.
            let none = key == "MemorySwappiness" && host.get(key) == Some(&json!(-1));
            if let Some(number) = number(key).filter(|_| !none) {
                self.other(flag, number.to_string());
            } else if key == "MemorySwappiness" && host.get(key) == Some(&json!(0)) {
                self.other(flag, "0");
            }
        }
        for (flag, key) in SIZES {
            // Twice the memory is what an engine gives by itself.
            let twice = self.spec.memory_bytes.and_then(|size| size.checked_mul(2));
            match number(key) {
                Some(size)
                    if key == "MemorySwap" && twice == u64::try_from(size).ok() && size > 0 => {}
                Some(size) => self.other(flag, size.to_string()),
                None => {}
            }
        }
        for limit in host
            .get("Ulimits")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let number = |key: &str| limit.get(key).and_then(Value::as_i64).unwrap_or(0);
            let name = text(limit, "Name").unwrap_or_default();
            let written = format!("{name}={}:{}", number("Soft"), number("Hard"));
            match Ulimit::parse(&written) {
                Ok(limit) => self.spec.ulimits.push(limit),
                Err(_) => self.note("the limit", &written),
            }
        }
        for (flag, key, field) in THROTTLES {
            for item in host
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let path = text(item, "Path").unwrap_or_default();
                let rate = item.get(field).and_then(Value::as_i64).unwrap_or(0);
                self.other(flag, format!("{path}:{rate}"));
            }
        }
    }

    fn plain(&mut self, host: &Map<String, Value>) {
        let word = |key: &str| {
            host.get(key)
                .and_then(Value::as_str)
                .filter(|word| !word.is_empty())
        };
        for (flag, key) in TEXTS.into_iter().chain(MODES) {
            let default =
                key == "Runtime" && matches!(word(key), Some("runc" | "io.containerd.runc.v2"));
            if let Some(word) = word(key).filter(|_| !default) {
                self.other(flag, word);
            }
        }
        // Private is what an engine gives by itself, with few exceptions.
        self.spec.ipc = word("IpcMode")
            .filter(|mode| *mode != "private")
            .map(str::to_owned);
        if let Some(mode) = word("CgroupnsMode").filter(|mode| *mode != "private") {
            self.other("cgroupns", mode);
        }
        for (flag, key) in LISTS.into_iter().chain(MORE_LISTS) {
            for item in strings(host.get(key)) {
                self.other(flag, item);
            }
        }
        for (flag, key) in MAPS {
            for (name, value) in pairs(host.get(key)) {
                self.other(flag, format!("{name}={value}"));
            }
        }
        for (flag, key) in SWITCHES {
            match host.get(key) {
                Some(Value::Bool(true)) => self.other(flag, "true"),
                Some(Value::Bool(false)) if key == "Init" => self.other(flag, "false"),
                _ => {}
            }
        }
        self.spec.rm = host.get("AutoRemove") == Some(&json!(true));
        let policy = host.get("RestartPolicy").cloned().unwrap_or(Value::Null);
        let tries = policy
            .get("MaximumRetryCount")
            .and_then(Value::as_u64)
            .and_then(|tries| u32::try_from(tries).ok())
            .unwrap_or(0);
        self.spec.restart = match text(&policy, "Name") {
            Some("always") => Some(Restart::Always),
            Some("unless-stopped") => Some(Restart::UnlessStopped),
            Some("on-failure") => Some(Restart::OnFailure(tries)),
            _ => None,
        };
        let log = host.get("LogConfig").cloned().unwrap_or(Value::Null);
        let options = pairs(log.get("Config"));
        let driver = text(&log, "Type").unwrap_or_default();
        // json-file is what most engines use by themselves.
        if !driver.is_empty() && (driver != "json-file" || !options.is_empty()) {
            self.other("log-driver", driver);
        }
        for (name, value) in options {
            self.other("log-opt", format!("{name}={value}"));
        }
        for device in host
            .get("Devices")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let source = text(device, "PathOnHost").unwrap_or_default();
            let target = text(device, "PathInContainer").unwrap_or_default();
            let access = text(device, "CgroupPermissions").unwrap_or_default();
            self.other(
                "device",
                match (source == target, access) {
                    (true, "rwm") => source.to_owned(),
                    (true, access) => format!("{source}:{access}"),
                    (false, "rwm") => format!("{source}:{target}"),
                    (false, access) => format!("{source}:{target}:{access}"),
                },
            );
        }
    }

    fn security(&mut self, host: &Map<String, Value>) {
        let says = |key: &str, value: Value| host.get(key) == Some(&value);
        // An engine adds it by itself there.
        let open = says("Privileged", json!(true))
            || says("IpcMode", json!("host"))
            || says("PidMode", json!("host"));
        for option in strings(host.get("SecurityOpt")) {
            if option.starts_with("seccomp={") {
                self.note("the seccomp profile", "of this container");
            } else if !(open && option == "label=disable") {
                self.other("security-opt", option);
            }
        }
        if says("MaskedPaths", json!([])) && says("ReadonlyPaths", json!([])) {
            self.other("security-opt", "systempaths=unconfined");
        }
    }

    /// What is set and has no flag.
    fn unknown(&mut self, host: &Map<String, Value>) {
        let read = |key: &str| {
            KNOWN.contains(&key)
                || NUMBERS.iter().any(|(_, known, _)| *known == key)
                || THROTTLES.iter().any(|(_, known, _)| *known == key)
                || TEXTS
                    .iter()
                    .chain(&MODES)
                    .chain(&MAPS)
                    .chain(&LISTS)
                    .chain(&MORE_LISTS)
                    .chain(&SIZES)
                    .chain(&SWITCHES)
                    .any(|(_, known)| *known == key)
        };
        for (key, value) in host {
            if !read(key) && !is_nothing(value) {
                self.note(
                    &format!("HostConfig.{}", super::shown(key)),
                    &value.to_string(),
                );
            }
        }
    }

    pub(super) fn mounts(&mut self) {
        let host = std::mem::take(&mut self.host);
        for bind in strings(host.get("Binds")) {
            match MountAsk::volume(&bind, &Surroundings::default()) {
                Ok(mount @ MountAsk::Bind { .. }) => self.spec.mounts.push(mount),
                _ => self.note("the mount", &bind),
            }
        }
        for mount in host
            .get("Mounts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let fields = mount_fields(mount);
            match mount_body(&fields) {
                // A key that no field says.
                Ok(made) if meant(&made) == meant(mount) => {
                    self.spec.mounts.push(MountAsk::Mount(fields));
                }
                _ => self.note("the mount", &mount.to_string()),
            }
        }
        for (target, options) in pairs(host.get("Tmpfs")) {
            self.spec.mounts.push(MountAsk::Tmpfs { target, options });
        }
        self.host = host;
    }
}

/// The same without what is empty.
pub(super) fn meant(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), meant(value)))
                .filter(|(_, value)| !is_nothing(value))
                .collect(),
        ),
        other => other.clone(),
    }
}

fn mount_fields(mount: &Value) -> Vec<(String, Option<String>)> {
    let mut fields: Vec<(String, Option<String>)> = Vec::new();
    let mut put = |key: &str, value: Option<String>| fields.push((key.to_owned(), value));
    let words = |of: &Value, key: &str| {
        text(of, key)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
    };
    let yes = |of: &Value, key: &str| of.get(key) == Some(&json!(true));
    for (key, name) in [
        ("Type", "type"),
        ("Source", "source"),
        ("Target", "target"),
        ("Consistency", "consistency"),
    ] {
        if let Some(word) = words(mount, key) {
            put(name, Some(word));
        }
    }
    if yes(mount, "ReadOnly") {
        put("readonly", None);
    }
    let part = |key: &str| mount.get(key).cloned().unwrap_or(Value::Null);
    let bind = part("BindOptions");
    if let Some(word) = words(&bind, "Propagation") {
        put("bind-propagation", Some(word));
    }
    for (key, name, value) in [
        ("NonRecursive", "bind-recursive", "disabled"),
        ("ReadOnlyNonRecursive", "bind-recursive", "writable"),
        ("ReadOnlyForceRecursive", "bind-recursive", "readonly"),
        ("CreateMountpoint", "bind-create-src", "true"),
    ] {
        if yes(&bind, key) {
            put(name, Some(value.to_owned()));
        }
    }
    let volume = part("VolumeOptions");
    if yes(&volume, "NoCopy") {
        put("volume-nocopy", None);
    }
    if let Some(word) = words(&volume, "Subpath") {
        put("volume-subpath", Some(word));
    }
    for (key, value) in pairs(volume.get("Labels")) {
        put("volume-label", Some(format!("{key}={value}")));
    }
    let driver = volume.get("DriverConfig").cloned().unwrap_or(Value::Null);
    if let Some(word) = words(&driver, "Name") {
        put("volume-driver", Some(word));
    }
    for (key, value) in pairs(driver.get("Options")) {
        put("volume-opt", Some(format!("{key}={value}")));
    }
    if let Some(word) = words(&part("ImageOptions"), "Subpath") {
        put("image-subpath", Some(word));
    }
    let tmpfs = part("TmpfsOptions");
    let number = |key: &str| {
        tmpfs
            .get(key)
            .and_then(Value::as_u64)
            .filter(|number| *number != 0)
    };
    if let Some(size) = number("SizeBytes") {
        put("tmpfs-size", Some(size.to_string()));
    }
    if let Some(mode) = number("Mode") {
        put("tmpfs-mode", Some(format!("{mode:o}")));
    }
    fields
}
