//! The flags without a field of their own, each at its place in the body.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Draft, files, network};
use crate::launch::PortRange;
use crate::launch::field::{bytes, said, truth};

/// Whether a flag takes this value, without reading files.
///
/// # Errors
/// It does not: what to write.
pub(in crate::launch) fn check(name: &str, value: &str) -> Result<(), String> {
    let mut draft = Draft::new(&|_| Ok("{}".to_owned()));
    draft.apply(name, value)
}

/// Strings of the host's part that are taken as they are.
pub(in crate::launch) const TEXTS: [(&str, &str); 6] = [
    ("cgroup-parent", "CgroupParent"),
    ("cpuset-cpus", "CpusetCpus"),
    ("cpuset-mems", "CpusetMems"),
    ("isolation", "Isolation"),
    ("runtime", "Runtime"),
    ("volume-driver", "VolumeDriver"),
];

/// Whole numbers of the host's part, with the least that is taken.
pub(in crate::launch) const NUMBERS: [(&str, &str, i64); 12] = [
    ("blkio-weight", "BlkioWeight", 0),
    ("cpu-count", "CpuCount", i64::MIN),
    ("cpu-percent", "CpuPercent", i64::MIN),
    ("cpu-period", "CpuPeriod", i64::MIN),
    ("cpu-quota", "CpuQuota", i64::MIN),
    ("cpu-rt-period", "CpuRealtimePeriod", i64::MIN),
    ("cpu-rt-runtime", "CpuRealtimeRuntime", i64::MIN),
    ("cpu-shares", "CpuShares", i64::MIN),
    ("io-maxiops", "IOMaximumIOps", 0),
    ("memory-swappiness", "MemorySwappiness", -1),
    ("oom-score-adj", "OomScoreAdj", i64::MIN),
    ("pids-limit", "PidsLimit", i64::MIN),
];

/// Sizes of the host's part.
pub(in crate::launch) const SIZES: [(&str, &str); 4] = [
    ("io-maxbandwidth", "IOMaximumBandwidth"),
    // Only engines before API 1.42 heed it, and newer clients send it to no other.
    ("kernel-memory", "KernelMemory"),
    ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"),
];

/// Lists of the host's part that are taken as they are.
pub(in crate::launch) const LISTS: [(&str, &str); 5] = [
    ("cap-add", "CapAdd"),
    ("cap-drop", "CapDrop"),
    ("dns-option", "DnsOptions"),
    ("group-add", "GroupAdd"),
    ("volumes-from", "VolumesFrom"),
];

/// Switches of the host's part.
pub(in crate::launch) const SWITCHES: [(&str, &str); 5] = [
    ("init", "Init"),
    ("oom-kill-disable", "OomKillDisable"),
    ("privileged", "Privileged"),
    ("publish-all", "PublishAllPorts"),
    ("read-only", "ReadonlyRootfs"),
];

fn find(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(flag, _)| *flag == name)
        .map(|(_, key)| *key)
}

impl Draft<'_> {
    /// One flag.
    pub(super) fn apply(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some(key) = find(&TEXTS, name) {
            if value.is_empty() {
                self.host.remove(key);
            } else {
                self.host(key, value);
            }
        } else if let Some((_, key, least)) = NUMBERS.iter().find(|(flag, ..)| *flag == name) {
            let number = whole(value, *least)?;
            ranged(name, number)?;
            self.host(key, number);
        } else if let Some(key) = find(&SIZES, name) {
            let size = match (name, value) {
                ("memory-swap", "-1") => -1,
                _ => i64::try_from(bytes(value)?).map_err(|_| "is too large".to_owned())?,
            };
            self.host(key, size);
        } else if let Some(key) = find(&LISTS, name) {
            if value.is_empty() {
                return Err("has no value".to_owned());
            }
            self.push(key, value);
        } else if let Some(key) = find(&SWITCHES, name) {
            let yes = truth(value)?;
            self.host(key, yes);
        } else if name.starts_with("health-") {
            self.health_flag(name, value)?;
        } else if name.starts_with("device-") && name != "device-cgroup-rule"
            || name == "blkio-weight-device"
        {
            self.throttle(name, value)?;
        } else if matches!(
            name,
            "ip" | "ip6"
                | "link"
                | "link-local-ip"
                | "mac-address"
                | "network-alias"
                | "dns"
                | "dns-search"
                | "add-host"
        ) {
            self.net(name, value)?;
        } else {
            self.special(name, value)?;
        }
        Ok(())
    }

    fn special(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "annotation" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                if key.is_empty() || value.is_empty() {
                    return Err("is a pair: NAME=VALUE".to_owned());
                }
                self.pair("Annotations", key, value);
            }
            "attach" => {
                let stream = value.to_lowercase();
                if !matches!(stream.as_str(), "stdin" | "stdout" | "stderr") {
                    return Err(format!("{} is not stdin, stdout or stderr", said(value)));
                }
                self.attach.push(stream);
            }
            "cgroupns" => self.mode("CgroupnsMode", value, &["host", "private"], false)?,
            "pid" => self.mode("PidMode", value, &["host"], true)?,
            "userns" => self.mode("UsernsMode", value, &["host"], false)?,
            "uts" => self.mode("UTSMode", value, &["host"], false)?,
            "device" => self.device(value)?,
            "device-cgroup-rule" => {
                if !is_cgroup_rule(value) {
                    return Err(format!("{} is no rule: `c 195:* rwm`", said(value)));
                }
                self.push("DeviceCgroupRules", value);
            }
            "domainname" => self.config("Domainname", value),
            "hostname" => self.config("Hostname", value),
            "stop-signal" => self.config("StopSignal", value),
            "stop-timeout" => {
                let seconds = whole(value, i64::MIN)?;
                self.config("StopTimeout", seconds);
            }
            "expose" => {
                let (ports, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
                let protocol = protocol.to_ascii_lowercase();
                let protocol = match protocol.as_str() {
                    "" => "tcp",
                    "tcp" | "udp" | "sctp" => &protocol,
                    _ => return Err(format!("{} is not tcp, udp or sctp", said(&protocol))),
                };
                let range = PortRange::parse(ports)?;
                for port in range.first..=range.last {
                    self.exposed.insert(format!("{port}/{protocol}"), json!({}));
                }
            }
            "label" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                let bare = key.trim_start_matches([' ', '\t']);
                if bare.is_empty() || bare.contains([' ', '\t']) {
                    return Err("is a pair without blanks in its name: NAME=VALUE".to_owned());
                }
                self.labels.insert(key.to_owned(), json!(value));
            }
            "label-file" => {
                let text = (self.files)(value)?;
                for (name, value) in files::pairs(value, &text, None)? {
                    self.file_labels
                        .insert(name, json!(value.unwrap_or_default()));
                }
            }
            "log-driver" => self.host("LogDriver", value),
            "log-opt" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                self.log_options.insert(key.to_owned(), json!(value));
            }
            "no-healthcheck" => self.no_health = truth(value)?,
            "security-opt" => self.security(value)?,
            "storage-opt" => {
                let Some((key, value)) = value.split_once('=') else {
                    return Err("is a pair: size=120G".to_owned());
                };
                self.pair("StorageOpt", key, value);
            }
            "sysctl" => {
                let allowed = |key: &str| {
                    key.starts_with("net.")
                        || key.starts_with("fs.mqueue.")
                        || matches!(
                            key,
                            "kernel.msgmax"
                                | "kernel.msgmnb"
                                | "kernel.msgmni"
                                | "kernel.sem"
                                | "kernel.shmall"
                                | "kernel.shmmax"
                                | "kernel.shmmni"
                                | "kernel.shm_rmid_forced"
                        )
                };
                match value.split_once('=') {
                    Some((key, value)) if allowed(key) => self.pair("Sysctls", key, value),
                    _ => {
                        return Err(format!(
                            "{} cannot be set for a container: net.…=, fs.mqueue.…= or a kernel.shm…/msg… one",
                            said(value)
                        ));
                    }
                }
            }
            _ => return Err("is no flag of docker run".to_owned()),
        }
        Ok(())
    }

    fn mode(
        &mut self,
        key: &str,
        value: &str,
        known: &[&str],
        container: bool,
    ) -> Result<(), String> {
        let joined = container
            && value
                .strip_prefix("container:")
                .is_some_and(|name| !name.is_empty());
        if value.is_empty() {
            self.host.remove(key);
        } else if known.contains(&value) || joined {
            self.host(key, value);
        } else {
            let and = if container { ", container:NAME" } else { "" };
            return Err(format!(
                "{} is not taken by Docker: {}{and}",
                said(value),
                known.join(", ")
            ));
        }
        Ok(())
    }

    fn net(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "ip" => self.ends.ip = Some(network::ipv4(value)?),
            "ip6" => self.ends.ip6 = Some(network::ipv6(value)?),
            "link-local-ip" => self.ends.link_local.push(network::ip(value)?),
            "mac-address" => self.ends.mac = Some(network::mac(value)?),
            "network-alias" => self.ends.aliases.push(value.to_owned()),
            "dns" => {
                let address = network::ip(value)?;
                self.push("Dns", address);
            }
            "dns-search" => {
                let domain = value.trim_matches(' ');
                let domain = if domain == "." {
                    domain
                } else {
                    domain.strip_suffix('.').unwrap_or(domain)
                };
                let clean = domain == "."
                    || domain.bytes().any(|b| b.is_ascii_alphabetic())
                        && domain.split('.').all(|part| {
                            !part.is_empty()
                                && !part.starts_with('-')
                                && !part.ends_with('-')
                                && part
                                    .bytes()
                                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                        });
                if !clean {
                    return Err(format!("{} is no domain", said(value)));
                }
                self.push("DnsSearch", domain);
            }
            "link" => {
                if value.is_empty() || value.split(':').count() > 2 {
                    return Err("is a container, and a name for it: db or db:database".to_owned());
                }
                self.ends.links.push(value.to_owned());
                self.push("Links", value);
            }
            _ => {
                let pair = value.split_once('=').or_else(|| value.split_once(':'));
                let Some((host, address)) =
                    pair.filter(|(host, _)| !host.is_empty() && !host.contains(':'))
                else {
                    return Err(format!("{} is no pair: NAME:ADDRESS", said(value)));
                };
                let address = address
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                    .unwrap_or(address);
                if address != "host-gateway" && address.trim().parse::<IpAddr>().is_err() {
                    return Err(format!(
                        "{} is no IP address: NAME:ADDRESS, or NAME:host-gateway",
                        said(address)
                    ));
                }
                self.push("ExtraHosts", format!("{host}:{address}"));
            }
        }
        Ok(())
    }

    fn health_flag(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (key, made) = match name {
            "health-cmd" => {
                if value.is_empty() {
                    self.health.remove("Test");
                    return Ok(());
                }
                ("Test", json!(["CMD-SHELL", value]))
            }
            "health-retries" => ("Retries", json!(whole(value, 0)?)),
            "health-interval" => ("Interval", json!(duration(value)?)),
            "health-timeout" => ("Timeout", json!(duration(value)?)),
            "health-start-period" => ("StartPeriod", json!(duration(value)?)),
            "health-start-interval" => ("StartInterval", json!(duration(value)?)),
            _ => return Err("is no flag of docker run".to_owned()),
        };
        self.health.insert(key.to_owned(), made);
        Ok(())
    }

    fn throttle(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some((path, amount)) = value
            .split_once(':')
            .filter(|(path, _)| path.starts_with("/dev/"))
        else {
            return Err(format!(
                "{} is no device and number: /dev/sda:1mb",
                said(value)
            ));
        };
        let size = || i64::try_from(bytes(amount)?).map_err(|_| "is too large".to_owned());
        let (key, field, number) = match name {
            "device-read-bps" => ("BlkioDeviceReadBps", "Rate", size()?),
            "device-write-bps" => ("BlkioDeviceWriteBps", "Rate", size()?),
            "device-read-iops" => ("BlkioDeviceReadIOps", "Rate", whole(amount, 0)?),
            "device-write-iops" => ("BlkioDeviceWriteIOps", "Rate", whole(amount, 0)?),
            "blkio-weight-device" => ("BlkioWeightDevice", "Weight", whole(amount, 0)?),
            _ => return Err("is no flag of docker run".to_owned()),
        };
        if field == "Weight" && number != 0 && !(10..=1000).contains(&number) {
            return Err(format!("{} is no weight: 10 to 1000, or 0", said(amount)));
        }
        self.push(key, json!({"Path": path, field: number}));
        Ok(())
    }

    /// `/dev/x[:/dev/y][:rwm]`, or a CDI name.
    fn device(&mut self, value: &str) -> Result<(), String> {
        if is_cdi_name(value) {
            self.cdi.push(value.to_owned());
            return Ok(());
        }
        let bad = || {
            format!(
                "{} is no device: /dev/x, /dev/x:/dev/y:rwm, or vendor.com/class=name",
                said(value)
            )
        };
        let parts: Vec<&str> = value.split(':').collect();
        let (source, target, access) = match parts.as_slice() {
            [source] => (*source, *source, "rwm"),
            [source, access] if is_access(access) => (*source, *source, *access),
            [source, target] => (*source, *target, "rwm"),
            [source, target, access] if is_access(access) => (*source, *target, *access),
            _ => return Err(bad()),
        };
        if source.is_empty() || !target.starts_with('/') {
            return Err(bad());
        }
        self.push(
            "Devices",
            json!({"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}),
        );
        Ok(())
    }

    fn security(&mut self, value: &str) -> Result<(), String> {
        let pair = value.split_once('=').or_else(|| value.split_once(':'));
        let (key, rest) = match pair {
            Some((key, rest)) if !rest.is_empty() || key == "no-new-privileges" => (key, rest),
            None if value == "no-new-privileges" => (value, ""),
            _ => {
                return Err(format!(
                    "{} is no security option: seccomp=unconfined, no-new-privileges, label=disable",
                    said(value)
                ));
            }
        };
        if value == "systempaths=unconfined" {
            self.host("MaskedPaths", json!([]));
            self.host("ReadonlyPaths", json!([]));
            return Ok(());
        }
        if key == "seccomp" && !matches!(rest, "unconfined" | "builtin") {
            let text = (self.files)(rest)?;
            let profile = compact(&text)
                .ok_or_else(|| format!("the seccomp profile {} is not JSON", said(rest)))?;
            self.push("SecurityOpt", format!("seccomp={profile}"));
            return Ok(());
        }
        self.push("SecurityOpt", value);
        Ok(())
    }
}

/// The same JSON without blanks between its parts, everything else as it stands.
fn compact(text: &str) -> Option<String> {
    serde_json::from_str::<Value>(text).ok()?;
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside {
            match (escaped, c) {
                (true, _) => escaped = false,
                (false, '\\') => escaped = true,
                (false, '"') => inside = false,
                _ => {}
            }
        } else if c.is_whitespace() {
            continue;
        } else if c == '"' {
            inside = true;
        }
        out.push(c);
    }
    Some(out)
}

fn whole(text: &str, least: i64) -> Result<i64, String> {
    text.parse::<i64>()
        .ok()
        .filter(|number| *number >= least)
        .ok_or_else(|| format!("{} is no number that it takes", said(text)))
}

fn ranged(name: &str, number: i64) -> Result<(), String> {
    let (range, words) = match name {
        "memory-swappiness" => (-1..=100, "0 to 100, or -1"),
        "blkio-weight" => (0..=i64::from(u16::MAX), "10 to 1000, or 0"),
        _ => return Ok(()),
    };
    if range.contains(&number) {
        return Ok(());
    }
    Err(format!("`{number}` is out of range: {words}"))
}

fn is_access(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .enumerate()
            .all(|(at, c)| "rwm".contains(c) && !text.chars().skip(at + 1).any(|later| later == c))
}

/// `[acb] MAJOR:MINOR [rwm]{1,3}`, `*` for any number.
fn is_cgroup_rule(text: &str) -> bool {
    let number =
        |text: &str| text == "*" || !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, access] = parts.as_slice() else {
        return false;
    };
    matches!(*kind, "a" | "b" | "c")
        && numbers
            .split_once(':')
            .is_some_and(|(major, minor)| number(major) && number(minor))
        && (1..=3).contains(&access.len())
        && access.bytes().all(|b| b"rwm".contains(&b))
}

/// A fully qualified CDI name: `vendor.com/class=device`.
pub(in crate::launch) fn is_cdi_name(text: &str) -> bool {
    let Some((kind, device)) = text.split_once('=') else {
        return false;
    };
    let Some((vendor, class)) = kind.split_once('/') else {
        return false;
    };
    let word = |text: &str, letter_first: bool, marks: &[u8]| {
        let bytes = text.as_bytes();
        match (bytes.first(), bytes.last()) {
            (Some(first), Some(last)) => {
                (first.is_ascii_alphabetic() || !letter_first && first.is_ascii_alphanumeric())
                    && last.is_ascii_alphanumeric()
                    && bytes
                        .iter()
                        .all(|b| b.is_ascii_alphanumeric() || marks.contains(b))
            }
            _ => false,
        }
    };
    word(vendor, true, b"-_.") && word(class, true, b"-_") && word(device, false, b"-_.:")
}

/// Nanoseconds of `1m30s`, `500ms`, `1.5h` or `0`.
fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("{} is no duration: 30s, 1m30s, 500ms", said(text));
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut sum = 0f64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let (number, after) = rest.split_at_checked(end).ok_or_else(bad)?;
        let number: f64 = number.parse().map_err(|_| bad())?;
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end).ok_or_else(bad)?;
        sum += number
            * match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(bad()),
            };
        rest = after;
    }
    if sum > 9.2e18 {
        return Err(bad());
    }
    Ok(sum.round() as i64)
}
