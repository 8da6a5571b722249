//! Which engine it is: from the head of its first answer, then from `/version` and `/info`. Pure.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use jiff::Timestamp;
use serde::de::IgnoredAny;

use crate::model::EngineInfo;
use crate::model::text::clean;

use super::error::EngineError;
use super::json::{self, List};

/// Most runtimes and CDI devices that are kept.
const MOST: usize = 512;

/// What the head of any answer tells: `Server: Docker/20.10.24 (linux)` with `Api-Version: 1.41`;
/// `Server: Libpod/4.3.1 (linux)` with `Libpod-Api-Version`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// Whether it is Podman.
    pub podman: bool,
    /// Engine's version.
    pub version: Option<String>,
    /// Docker API version.
    pub api_version: Option<String>,
    /// The engine's clock, in whole seconds.
    pub date: Option<Timestamp>,
}

impl Answered {
    /// Reads them.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(|v| clean(v, 64))
                .filter(|v| !v.is_empty())
        };
        let server = text("server");
        let podman = headers.contains_key("libpod-api-version")
            || server.as_deref().is_some_and(|s| s.starts_with("Libpod/"));
        let version = server.as_deref().and_then(|server| {
            let (_, rest) = server.split_once('/')?;
            rest.split_whitespace().next().map(str::to_owned)
        });
        Self {
            podman,
            version,
            api_version: text("api-version"),
            date: text("date").and_then(|d| http_date(&d)),
        }
    }

    /// Puts it into what is known of the engine.
    pub fn apply(&self, info: &mut EngineInfo) {
        info.name = if self.podman { "Podman" } else { "Docker" }.into();
        if let Some(version) = &self.version {
            info.version.clone_from(version);
        }
        if let Some(version) = &self.api_version {
            info.api_version.clone_from(version);
        }
    }
}

/// `Mon, 23 Nov 2026 16:22:43 GMT` (RFC 9110, IMF-fixdate).
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text)
        .ok()?
        .to_datetime()
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|z| z.timestamp())
}

/// What `/version` and `/info` tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    podman: bool,
    version: Option<String>,
    api_version: Option<String>,
    host_name: Option<String>,
    cpus: Option<u32>,
    memory_bytes: Option<u64>,
    cgroup_driver: Option<String>,
    cgroup_version: Option<String>,
    platform: Option<String>,
    operating_system: Option<String>,
    runtimes: Vec<String>,
    cdi_devices: Vec<String>,
    /// The OCI runtime of containers that name none.
    pub default_runtime: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Version {
    #[serde(deserialize_with = "json::text")]
    version: Option<String>,
    #[serde(deserialize_with = "json::text")]
    api_version: Option<String>,
    #[serde(deserialize_with = "json::text")]
    os: Option<String>,
    #[serde(deserialize_with = "json::text")]
    arch: Option<String>,
    components: List<Component>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Component {
    #[serde(deserialize_with = "json::text")]
    name: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    #[serde(deserialize_with = "json::text")]
    name: Option<String>,
    #[serde(rename = "NCPU", deserialize_with = "json::count")]
    cpus: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    mem_total: Option<u64>,
    #[serde(deserialize_with = "json::text")]
    cgroup_driver: Option<String>,
    #[serde(deserialize_with = "json::text")]
    cgroup_version: Option<String>,
    #[serde(deserialize_with = "json::text")]
    default_runtime: Option<String>,
    #[serde(deserialize_with = "json::text")]
    operating_system: Option<String>,
    #[serde(deserialize_with = "json::object")]
    runtimes: BTreeMap<String, IgnoredAny>,
    discovered_devices: List<Discovered>,
}

/// A device that the engine has found; of API 1.50.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Discovered {
    #[serde(rename = "Source", deserialize_with = "json::text")]
    source: Option<String>,
    #[serde(rename = "ID", deserialize_with = "json::text")]
    id: Option<String>,
}

impl Facts {
    /// Whether it is Podman.
    pub fn is_podman(&self) -> bool {
        self.podman
    }

    /// Reads both answers.
    pub fn read(version: &[u8], info: &[u8]) -> Result<Self, EngineError> {
        let version: Version = json::parse(version)?;
        let info: Info = json::parse(info)?;
        let text = |t: Option<String>| t.map(|t| clean(&t, 128)).filter(|t| !t.is_empty());
        let cdi = info
            .discovered_devices
            .iter()
            .filter(|device| device.source.as_deref() == Some("cdi"));
        let mut cdi_devices: Vec<String> = cdi
            .filter_map(|device| text(device.id.clone()))
            .take(MOST)
            .collect();
        cdi_devices.sort();
        cdi_devices.dedup();
        let platform = match (text(version.os), text(version.arch)) {
            (Some(os), Some(arch)) => Some(format!("{os}/{arch}")),
            _ => None,
        };
        Ok(Self {
            podman: version
                .components
                .iter()
                .any(|c| c.name.as_deref().is_some_and(|n| n.starts_with("Podman"))),
            version: text(version.version),
            api_version: text(version.api_version),
            host_name: text(info.name),
            cpus: info
                .cpus
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| *n != 0),
            memory_bytes: info.mem_total.filter(|n| *n != 0),
            cgroup_driver: text(info.cgroup_driver),
            cgroup_version: text(info.cgroup_version),
            platform,
            operating_system: text(info.operating_system),
            runtimes: info
                .runtimes
                .into_keys()
                .filter_map(|name| text(Some(name)))
                .take(MOST)
                .collect(),
            cdi_devices,
            default_runtime: text(info.default_runtime),
        })
    }

    /// Puts them into what is known of the engine.
    pub fn apply(&self, info: &mut EngineInfo) {
        info.name = if self.podman { "Podman" } else { "Docker" }.into();
        if let Some(version) = &self.version {
            info.version.clone_from(version);
        }
        if let Some(version) = &self.api_version {
            info.api_version.clone_from(version);
        }
        info.host_name.clone_from(&self.host_name);
        info.cpus = self.cpus;
        info.memory_bytes = self.memory_bytes;
        info.cgroup_driver.clone_from(&self.cgroup_driver);
        info.cgroup_version.clone_from(&self.cgroup_version);
        info.platform.clone_from(&self.platform);
        info.operating_system.clone_from(&self.operating_system);
        info.runtimes.clone_from(&self.runtimes);
        info.default_runtime.clone_from(&self.default_runtime);
        info.cdi_devices.clone_from(&self.cdi_devices);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answers_head_names_the_engine() {
        let mut headers = HeaderMap::new();
        headers.insert("server", "Docker/20.10.24+dfsg1 (linux)".parse().unwrap());
        headers.insert("api-version", "1.41".parse().unwrap());
        headers.insert("date", "Mon, 23 Nov 2026 16:22:43 GMT".parse().unwrap());
        let answered = Answered::from_headers(&headers);
        assert!(!answered.podman);
        assert_eq!(answered.version.as_deref(), Some("20.10.24+dfsg1"));
        assert_eq!(answered.api_version.as_deref(), Some("1.41"));
        assert_eq!(answered.date, Some("2026-11-23T16:22:43Z".parse().unwrap()));
        headers.insert("server", "Libpod/4.3.1 (linux)".parse().unwrap());
        assert!(Answered::from_headers(&headers).podman);
        assert_eq!(
            Answered::from_headers(&HeaderMap::new()),
            Answered::default()
        );
    }

    #[test]
    fn version_and_info_are_read_and_podman_is_known() {
        let facts = Facts::read(
            br#"{"Version":"5.4.2","ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]}"#,
            br#"{"Name":"box\u001b[2J","NCPU":8,"MemTotal":1024,"CgroupDriver":"systemd","CgroupVersion":"2"}"#,
        )
        .unwrap();
        let mut info = EngineInfo::default();
        facts.apply(&mut info);
        assert_eq!(info.name, "Podman");
        assert_eq!(info.host_name.as_deref(), Some("box"));
        assert_eq!(info.cpus, Some(8));
        assert!(Facts::read(b"nonsense", b"{}").is_err());
    }

    #[test]
    fn what_gives_containers_their_gpus_is_read() {
        // As 28.2 with CDI, 20.10, Podman 4.3, and nothing that fits.
        type Want<'a> = (
            Option<&'a str>,
            &'a [&'a str],
            Option<&'a str>,
            &'a [&'a str],
        );
        let cases: [(&str, &str, Want<'_>); 4] = [
            (
                r#"{"Os":"linux","Arch":"amd64"}"#,
                r#"{"Runtimes":{"runc":{"path":"runc"},"nvidia":{"path":"nvidia-container-runtime","runtimeArgs":[]}},
                    "DefaultRuntime":"nvidia","DiscoveredDevices":[{"Source":"cdi","ID":"nvidia.com/gpu=all"},
                    {"Source":"cdi","ID":"nvidia.com/gpu=0"},{"Source":"other","ID":"x"},null,{"Source":"cdi"}]}"#,
                (
                    Some("linux/amd64"),
                    &["nvidia", "runc"],
                    Some("nvidia"),
                    &["nvidia.com/gpu=0", "nvidia.com/gpu=all"],
                ),
            ),
            (
                r#"{"Os":"linux","Arch":"arm64"}"#,
                r#"{"Runtimes":{"runc":{}},"DefaultRuntime":"runc"}"#,
                (Some("linux/arm64"), &["runc"], Some("runc"), &[]),
            ),
            (
                r#"{"Os":"linux","Arch":"amd64"}"#,
                r#"{"Runtimes":{"crun":{"path":"/usr/bin/crun"}},"DefaultRuntime":"crun","DiscoveredDevices":null}"#,
                (Some("linux/amd64"), &["crun"], Some("crun"), &[]),
            ),
            (
                r#"{"Os":"linux","Arch":3}"#,
                r#"{"Runtimes":["runc"],"DefaultRuntime":"","DiscoveredDevices":{"a":1}}"#,
                (None, &[], None, &[]),
            ),
        ];
        for (version, info, (platform, runtimes, default, devices)) in cases {
            let facts = Facts::read(version.as_bytes(), info.as_bytes()).unwrap();
            let mut told = EngineInfo::default();
            facts.apply(&mut told);
            assert_eq!(told.platform.as_deref(), platform);
            assert_eq!(told.runtimes, runtimes);
            assert_eq!(told.default_runtime.as_deref(), default);
            assert_eq!(told.cdi_devices, devices);
        }
    }
}
