//! From an engine's JSON to the model. Pure; every field may be absent.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::text::clean;
use crate::model::{
    Compose, Container, ContainerDetail, ContainerId, ContainerKey, ContainerState, HealthState,
    HostId, Image, ImageId, Mount, Port,
};

use super::error::EngineError;
use super::grant::{self, Device, DeviceRequest, GrantFacts};
use super::json::{self, List};
use super::scan;

/// Longest name, image reference, status or path kept, characters.
const MAX_NAME: usize = 512;
/// Longest value of the environment kept, characters.
const MAX_ENV: usize = 32 * 1024;

/// What a list gave.
#[derive(Debug, Default, PartialEq)]
pub struct Listing {
    /// The rows that could be read.
    pub containers: Vec<Container>,
    /// Rows that had no readable id.
    pub unreadable: u32,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Row {
    #[serde(deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(deserialize_with = "json::texts")]
    names: Vec<String>,
    #[serde(deserialize_with = "json::text")]
    image: Option<String>,
    #[serde(rename = "ImageID", deserialize_with = "json::text")]
    image_id: Option<String>,
    #[serde(deserialize_with = "json::text")]
    command: Option<String>,
    #[serde(deserialize_with = "json::int")]
    created: Option<i64>,
    #[serde(deserialize_with = "json::text")]
    state: Option<String>,
    #[serde(deserialize_with = "json::text")]
    status: Option<String>,
    ports: List<RowPort>,
    #[serde(deserialize_with = "json::object")]
    labels: Labels,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RowPort {
    #[serde(rename = "IP", deserialize_with = "json::text")]
    ip: Option<String>,
    #[serde(deserialize_with = "json::count")]
    private_port: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    public_port: Option<u64>,
    #[serde(rename = "Type", deserialize_with = "json::text")]
    protocol: Option<String>,
}

/// The labels that are read; docker-compose and podman-compose both write the first pair.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "com.docker.compose.project", deserialize_with = "json::text")]
    project: Option<String>,
    #[serde(rename = "com.docker.compose.service", deserialize_with = "json::text")]
    service: Option<String>,
    #[serde(rename = "midwatch.scan", deserialize_with = "json::text")]
    scan: Option<String>,
}

/// Reads the answer of `/containers/json`. What was made for a scan is no row.
pub fn list(bytes: &[u8], host: HostId) -> Result<Listing, EngineError> {
    // Anything but a list is no answer: an empty list must never stand for it.
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Err(EngineError::Protocol("the answer is not a list".into()));
    }
    let rows: List<Row> = json::parse(bytes)?;
    let mut listing = Listing {
        containers: Vec::with_capacity(rows.0.len()),
        unreadable: 0,
    };
    let mut images = HashSet::new();
    for row in rows.0 {
        if row.as_ref().is_some_and(Row::is_scan) {
            continue;
        }
        match row.and_then(|row| container(row, host, &mut images)) {
            Some(container) => listing.containers.push(container),
            None => listing.unreadable += 1,
        }
    }
    Ok(listing)
}

impl Row {
    fn is_scan(&self) -> bool {
        let state = self.state.as_deref().map(ContainerState::parse);
        scan::is_scan(self.labels.scan.is_some(), self.command.as_deref(), state)
    }
}

fn container(row: Row, host: HostId, images: &mut HashSet<Arc<str>>) -> Option<Container> {
    let id = ContainerId::parse(row.id.as_deref()?)?;
    let status = clean(row.status.as_deref().unwrap_or_default(), MAX_NAME);
    let compose = row.labels.project.map(|project| Compose {
        project: clean(&project, MAX_NAME),
        service: clean(row.labels.service.as_deref().unwrap_or_default(), MAX_NAME),
    });
    Some(Container {
        key: ContainerKey { host, id },
        name: name(&row.names, &id),
        image: clean(row.image.as_deref().unwrap_or_default(), MAX_NAME),
        image_id: shared(row.image_id.as_deref().unwrap_or_default(), images),
        command: clean(row.command.as_deref().unwrap_or_default(), MAX_NAME),
        state: row
            .state
            .as_deref()
            .map_or(ContainerState::Unknown, ContainerState::parse),
        health: health_in_status(&status),
        status,
        created_at: row.created.and_then(|s| Timestamp::from_second(s).ok()),
        compose,
        ports: ports(&row.ports),
        detail: None,
    })
}

/// The container's own name: legacy links add names with a second slash (`/other/alias`).
fn name(names: &[String], id: &ContainerId) -> String {
    let own = names
        .iter()
        .map(|n| n.strip_prefix('/').unwrap_or(n))
        .find(|n| !n.contains('/'));
    match own.map(|n| clean(n, MAX_NAME)) {
        Some(name) if !name.is_empty() => name,
        _ => id.short(),
    }
}

/// Many containers come from one image: its id is kept once.
fn shared(id: &str, images: &mut HashSet<Arc<str>>) -> ImageId {
    let id = clean(id, 128);
    if let Some(known) = images.get(id.as_str()) {
        return ImageId(Arc::clone(known));
    }
    let id: Arc<str> = id.into();
    images.insert(Arc::clone(&id));
    ImageId(id)
}

/// `Up 9 hours (healthy)`, `Up 2 seconds (health: starting)`: the list has no other word of health before
/// API 1.52.
fn health_in_status(status: &str) -> Option<HealthState> {
    let (_, word) = status.rsplit_once('(')?;
    let word = word.strip_suffix(')')?;
    HealthState::parse(word.strip_prefix("health: ").unwrap_or(word))
}

fn ports(rows: &List<RowPort>) -> Vec<Port> {
    let mut ports: Vec<Port> = rows
        .iter()
        .filter_map(|row| {
            Some(Port {
                container: u16::try_from(row.private_port?).ok()?,
                host: row
                    .public_port
                    .and_then(|p| u16::try_from(p).ok())
                    .filter(|p| *p != 0),
                ip: row
                    .ip
                    .as_deref()
                    .filter(|ip| !ip.is_empty())
                    .map(|ip| clean(ip, 64)),
                protocol: clean(row.protocol.as_deref().unwrap_or("tcp"), 16),
            })
        })
        .collect();
    ports.sort_by(|a, b| {
        let rank = |p: &Port| {
            (
                p.host.is_none(),
                p.container,
                p.host,
                p.ip.clone(),
                p.protocol.clone(),
            )
        };
        rank(a).cmp(&rank(b))
    });
    ports
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspect {
    #[serde(deserialize_with = "json::object")]
    state: State,
    #[serde(deserialize_with = "json::count")]
    restart_count: Option<u64>,
    #[serde(deserialize_with = "json::object")]
    host_config: HostConfig,
    #[serde(deserialize_with = "json::object")]
    config: Config,
    mounts: List<InspectMount>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    #[serde(deserialize_with = "json::text")]
    status: Option<String>,
    #[serde(deserialize_with = "json::count")]
    pid: Option<u64>,
    #[serde(deserialize_with = "json::int")]
    exit_code: Option<i64>,
    #[serde(rename = "OOMKilled", deserialize_with = "json::flag")]
    oom_killed: Option<bool>,
    #[serde(deserialize_with = "json::text")]
    error: Option<String>,
    #[serde(deserialize_with = "json::text")]
    started_at: Option<String>,
    #[serde(deserialize_with = "json::text")]
    finished_at: Option<String>,
}

fn own_ipc(mode: Option<&str>) -> bool {
    !mode.is_some_and(|mode| mode == "host" || mode.starts_with("container:"))
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    #[serde(deserialize_with = "json::count")]
    shm_size: Option<u64>,
    device_requests: List<DeviceRequest>,
    devices: List<Device>,
    #[serde(deserialize_with = "json::flag")]
    privileged: Option<bool>,
    #[serde(deserialize_with = "json::text")]
    runtime: Option<String>,
    #[serde(deserialize_with = "json::count")]
    memory: Option<u64>,
    #[serde(deserialize_with = "json::text")]
    cgroup_parent: Option<String>,
    #[serde(deserialize_with = "json::text")]
    pid_mode: Option<String>,
    #[serde(deserialize_with = "json::text")]
    ipc_mode: Option<String>,
    #[serde(deserialize_with = "json::text")]
    network_mode: Option<String>,
    #[serde(deserialize_with = "json::object")]
    log_config: LogConfig,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct LogConfig {
    #[serde(rename = "Type", deserialize_with = "json::text")]
    driver: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    #[serde(deserialize_with = "json::flag")]
    tty: Option<bool>,
    #[serde(deserialize_with = "json::texts")]
    env: Vec<String>,
    #[serde(deserialize_with = "json::count")]
    stop_timeout: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct InspectMount {
    #[serde(deserialize_with = "json::text")]
    source: Option<String>,
    #[serde(deserialize_with = "json::text")]
    name: Option<String>,
    #[serde(deserialize_with = "json::text")]
    destination: Option<String>,
    #[serde(rename = "RW", deserialize_with = "json::flag")]
    rw: Option<bool>,
}

/// Reads the answer of `/containers/ID/json`: its facts and its state. `default_runtime` is the engine's,
/// from `/info`.
pub fn inspect(
    bytes: &[u8],
    default_runtime: Option<&str>,
) -> Result<(ContainerDetail, Option<ContainerState>), EngineError> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(EngineError::Protocol("the answer is not an object".into()));
    }
    let inspect: Inspect = json::parse(bytes)?;
    let life = inspect.state.status.as_deref().map(ContainerState::parse);
    Ok((detail(inspect, life, default_runtime), life))
}

/// The container's own stop timeout, where it has one, seconds.
pub(super) fn stop_timeout(bytes: &[u8]) -> Option<u64> {
    json::parse::<Inspect>(bytes).ok()?.config.stop_timeout
}

fn detail(
    inspect: Inspect,
    life: Option<ContainerState>,
    default_runtime: Option<&str>,
) -> ContainerDetail {
    let Inspect {
        state,
        restart_count,
        host_config,
        config,
        mounts,
    } = inspect;
    let env: Vec<String> = config.env.iter().map(|e| clean(e, MAX_ENV)).collect();
    // The last one wins, as in an environment.
    let visible_devices_env = env
        .iter()
        .rev()
        .find_map(|e| e.strip_prefix("NVIDIA_VISIBLE_DEVICES="))
        .map(str::to_owned);
    let runtime = kept(host_config.runtime);
    let grant = grant::grant(&GrantFacts {
        requests: &host_config.device_requests,
        devices: &host_config.devices,
        privileged: host_config.privileged.unwrap_or(false),
        runtime: runtime.as_deref().or(default_runtime),
        visible_devices: visible_devices_env.as_deref(),
    });
    ContainerDetail {
        pid: state
            .pid
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid != 0),
        started_at: moment(state.started_at.as_deref()),
        finished_at: moment(state.finished_at.as_deref()),
        // Engines write 0 also where nothing has ended yet; a refused start leaves 128 and `created`.
        exit_code: state.exit_code.filter(|code| match life {
            Some(ContainerState::Running | ContainerState::Paused) => false,
            Some(ContainerState::Created) => *code != 0,
            _ => true,
        }),
        oom_killed: state.oom_killed,
        error: kept(state.error),
        restart_count,
        // With `--ipc=host` or another container's it is not its own, whatever the engine writes here.
        shm_size_bytes: host_config
            .shm_size
            .filter(|n| *n != 0 && own_ipc(host_config.ipc_mode.as_deref())),
        grant,
        visible_devices_env,
        tty: config.tty.unwrap_or(false),
        log_driver: kept(host_config.log_config.driver),
        runtime,
        memory_limit_bytes: host_config.memory.filter(|n| *n != 0),
        cgroup_parent: kept(host_config.cgroup_parent),
        pid_mode: kept(host_config.pid_mode),
        network_mode: kept(host_config.network_mode),
        mounts: mounts
            .iter()
            .map(|m| Mount {
                source: clean(
                    m.source
                        .as_deref()
                        .filter(|s| !s.is_empty())
                        .or(m.name.as_deref())
                        .unwrap_or_default(),
                    4096,
                ),
                target: clean(m.destination.as_deref().unwrap_or_default(), 4096),
                writable: m.rw.unwrap_or(false),
            })
            .collect(),
        env,
    }
}

/// Clean text; `None` where it is empty.
fn kept(text: Option<String>) -> Option<String> {
    text.map(|t| clean(&t, 4096)).filter(|t| !t.is_empty())
}

/// A time; engines write the year 1 for "never".
fn moment(text: Option<&str>) -> Option<Timestamp> {
    let time: Timestamp = text?.parse().ok()?;
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ImageRow {
    #[serde(deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(deserialize_with = "json::texts")]
    repo_tags: Vec<String>,
    #[serde(deserialize_with = "json::count")]
    size: Option<u64>,
    #[serde(deserialize_with = "json::int")]
    created: Option<i64>,
    #[serde(deserialize_with = "json::int")]
    containers: Option<i64>,
}

/// Reads the answer of `/images/json`; rows without an id are left out.
pub fn images(bytes: &[u8]) -> Result<Vec<Image>, EngineError> {
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Err(EngineError::Protocol("the answer is not a list".into()));
    }
    let rows: List<ImageRow> = json::parse(bytes)?;
    Ok(rows.iter().filter_map(image).collect())
}

fn image(row: &ImageRow) -> Option<Image> {
    let id = clean(row.id.as_deref()?, 128);
    // Podman leaves the algorithm out in some answers.
    let id = match id.contains(':') {
        true => id,
        false => format!("sha256:{id}"),
    };
    Some(Image {
        id: ImageId(id.into()),
        tags: row
            .repo_tags
            .iter()
            .filter(|tag| !tag.starts_with("<none>"))
            .map(|tag| clean(tag, MAX_NAME))
            .collect(),
        size_bytes: row.size,
        created_at: row.created.and_then(|s| Timestamp::from_second(s).ok()),
        // Engines say -1 where they did not count.
        containers: row.containers.and_then(|n| u64::try_from(n).ok()),
    })
}

#[cfg(test)]
mod tests;
