//! What the engine says of a container.

use std::fmt;

use jiff::Timestamp;

use super::{ContainerKey, ImageId};

/// A container's life state, in the engine's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerState {
    /// Made, never started (or its start was refused).
    Created,
    /// Its main process runs.
    Running,
    /// Frozen by the engine.
    Paused,
    /// Between two runs of its restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Its main process ended.
    Exited,
    /// The engine failed to remove it.
    Dead,
    /// A word this version does not know (Podman's `stopped`, for one, is read as `Exited`).
    Unknown,
}

impl ContainerState {
    /// Reads the engine's word.
    pub fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "created" | "configured" | "initialized" => Self::Created,
            "running" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" | "stopping" => Self::Removing,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Unknown,
        }
    }

    /// The engine's word, as `docker ps` filters take it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it has processes now.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the image's health check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HealthState {
    /// Within its start period.
    Starting,
    /// The last check passed.
    Healthy,
    /// The last checks failed.
    Unhealthy,
}

impl HealthState {
    /// Reads the engine's word; `None` where there is no health check.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "starting" => Some(Self::Starting),
            "healthy" => Some(Self::Healthy),
            "unhealthy" => Some(Self::Unhealthy),
            _ => None,
        }
    }

    /// The engine's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The Compose project a container belongs to (labels `com.docker.compose.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// `com.docker.compose.project`.
    pub project: String,
    /// `com.docker.compose.service`.
    pub service: String,
}

/// One published or exposed port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Port inside the container.
    pub container: u16,
    /// Port on the host, where published.
    pub host: Option<u16>,
    /// Host address it is bound to, where published.
    pub ip: Option<String>,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ip, self.host) {
            (Some(ip), Some(host)) if ip.contains(':') => write!(f, "[{ip}]:{host}->")?,
            (Some(ip), Some(host)) => write!(f, "{ip}:{host}->")?,
            (None, Some(host)) => write!(f, "{host}->")?,
            _ => {}
        }
        write!(f, "{}/{}", self.container, self.protocol)
    }
}

/// A mount, as inspect lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Host path or volume name.
    pub source: String,
    /// Path inside the container.
    pub target: String,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// How a container was granted GPUs, as it was asked for.
///
/// `Display` gives the JSON contract's `given_as`: `all`, `count=2`, `device=0,1`, `nvidia.com/gpu=all`,
/// `NVIDIA_VISIBLE_DEVICES=all`, `privileged`, `device=/dev/nvidia0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuGrant {
    /// A device request with count -1.
    All,
    /// A device request with a count: the first ones, busy or not.
    Count(u32),
    /// A device request naming indices or UUIDs.
    Devices(Vec<String>),
    /// CDI devices of the kind `nvidia.com/*`.
    Cdi(Vec<String>),
    /// The nvidia runtime with `NVIDIA_VISIBLE_DEVICES` set to this.
    VisibleDevices(String),
    /// Device nodes handed over by path (`/dev/nvidia0`).
    DeviceNodes(Vec<String>),
    /// A privileged container: every device node of the host.
    Privileged,
}

impl GpuGrant {
    /// Whether it is a request that an engine without NVIDIA's runtime refuses at the start. Device nodes, a
    /// variable and privileges prove nothing of it.
    pub fn needs_runtime(&self) -> bool {
        matches!(
            self,
            Self::All | Self::Count(_) | Self::Devices(_) | Self::Cdi(_)
        )
    }
}

impl fmt::Display for GpuGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(n) => write!(f, "count={n}"),
            Self::Devices(ids) => write!(f, "device={}", ids.join(",")),
            Self::Cdi(names) => f.write_str(&names.join(",")),
            Self::VisibleDevices(value) => write!(f, "NVIDIA_VISIBLE_DEVICES={value}"),
            Self::DeviceNodes(paths) => write!(f, "device={}", paths.join(",")),
            Self::Privileged => f.write_str("privileged"),
        }
    }
}

/// What only inspect tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerDetail {
    /// Main process's pid in the engine's pid namespace; `None` when not running.
    pub pid: Option<u32>,
    /// Start of the last run.
    pub started_at: Option<Timestamp>,
    /// End of the last run.
    pub finished_at: Option<Timestamp>,
    /// Exit status of the last run.
    pub exit_code: Option<i64>,
    /// Whether the engine says that the kernel killed it for memory.
    pub oom_killed: Option<bool>,
    /// The engine's own text about a failed start.
    pub error: Option<String>,
    /// Restarts made by its policy.
    pub restart_count: Option<u64>,
    /// Size of `/dev/shm`, bytes.
    pub shm_size_bytes: Option<u64>,
    /// How GPUs were granted; `None`: not at all.
    pub grant: Option<GpuGrant>,
    /// The image's or launch's `NVIDIA_VISIBLE_DEVICES`, whatever the runtime (for the doctor).
    pub visible_devices_env: Option<String>,
    /// Whether it has a pseudo-terminal (its log then has no stdout/stderr frames).
    pub tty: bool,
    /// `json-file`, `local`, `journald`, `none`…
    pub log_driver: Option<String>,
    /// OCI runtime name.
    pub runtime: Option<String>,
    /// Memory limit, bytes; `None` is unlimited.
    pub memory_limit_bytes: Option<u64>,
    /// The cgroup parent named at creation, where one was.
    pub cgroup_parent: Option<String>,
    /// `host` where it shares the host's pid namespace.
    pub pid_mode: Option<String>,
    /// `host`, `bridge`, a network's name.
    pub network_mode: Option<String>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Environment, `NAME=value`, as inspect gives it.
    pub env: Vec<String>,
}

/// One container: the list's row, and inspect's facts once they are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Which container.
    pub key: ContainerKey,
    /// Name without the leading slash.
    pub name: String,
    /// Image as it was asked for.
    pub image: String,
    /// The image's content id.
    pub image_id: ImageId,
    /// Command line as the list prints it.
    pub command: String,
    /// Life state.
    pub state: ContainerState,
    /// The engine's status line (`Up 9 hours`, `Exited (137) 2 hours ago`).
    pub status: String,
    /// Health check state.
    pub health: Option<HealthState>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Its Compose project.
    pub compose: Option<Compose>,
    /// Exposed and published ports.
    pub ports: Vec<Port>,
    /// What inspect says; `None` until it was asked.
    pub detail: Option<Box<ContainerDetail>>,
}

impl Container {
    /// Exit status of the last run: inspect's, else the one in the status line; `None` while it runs.
    pub fn exit_code(&self) -> Option<i64> {
        if !matches!(self.state, ContainerState::Exited | ContainerState::Dead) {
            return None;
        }
        self.detail
            .as_ref()
            .and_then(|d| d.exit_code)
            .or_else(|| exit_code_in_status(&self.status))
    }

    /// Whether the engine says its last run was killed for memory.
    pub fn oom_killed(&self) -> Option<bool> {
        self.detail.as_ref().and_then(|d| d.oom_killed)
    }

    /// Start of the present or last run.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.detail.as_ref().and_then(|d| d.started_at)
    }

    /// Main process's pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.detail.as_ref().and_then(|d| d.pid)
    }
}

/// `Exited (137) 2 hours ago` -> 137.
fn exit_code_in_status(status: &str) -> Option<i64> {
    let rest = status.strip_prefix("Exited (")?;
    rest.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_print_as_the_json_contract_says() {
        let cases = [
            (GpuGrant::All, "all"),
            (GpuGrant::Count(2), "count=2"),
            (
                GpuGrant::Devices(vec!["0".into(), "1".into()]),
                "device=0,1",
            ),
            (
                GpuGrant::Cdi(vec!["nvidia.com/gpu=all".into()]),
                "nvidia.com/gpu=all",
            ),
            (
                GpuGrant::VisibleDevices("all".into()),
                "NVIDIA_VISIBLE_DEVICES=all",
            ),
            (GpuGrant::Privileged, "privileged"),
            (
                GpuGrant::DeviceNodes(vec!["/dev/nvidia0".into()]),
                "device=/dev/nvidia0",
            ),
        ];
        for (grant, text) in cases {
            assert_eq!(grant.to_string(), text);
        }
    }

    #[test]
    fn the_status_line_tells_the_exit_code() {
        assert_eq!(exit_code_in_status("Exited (137) 2 hours ago"), Some(137));
        assert_eq!(exit_code_in_status("Exited (-1) now"), Some(-1));
        assert_eq!(exit_code_in_status("Up 2 hours"), None);
        assert_eq!(exit_code_in_status("Exited (x)"), None);
    }
}
