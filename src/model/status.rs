//! The state of a source: it never fails, it changes state, with the reason and the remedy in words.

use super::Stamp;

/// What is wrong, why, and the one thing to do about it. All three are whole plain sentences or
/// commands, without control characters, fit for one line each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// What does not work (`cannot reach the Docker engine at unix:///var/run/docker.sock`).
    pub what: String,
    /// Why (`permission denied`), with the other side's own text where it gave one.
    pub why: String,
    /// What to type or do (`sudo usermod -aG docker $USER, then log in again`).
    pub remedy: String,
}

impl std::error::Error for Problem {}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        if !self.remedy.is_empty() {
            write!(f, ". {}", self.remedy)?;
        }
        Ok(())
    }
}

/// What is known of the engine once it answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineInfo {
    /// `Docker` or `Podman`.
    pub name: String,
    /// `28.2.2`.
    pub version: String,
    /// `1.50`.
    pub api_version: String,
    /// `unix:///var/run/docker.sock`, `ssh://user@host`; never a secret.
    pub endpoint: String,
    /// Docker context that named it, where one did.
    pub context: Option<String>,
    /// Why this endpoint: `--host`, `DOCKER_HOST`, `context prod`, `found`.
    pub chosen_by: String,
    /// The machine's name as the engine reports it, where it was asked.
    pub host_name: Option<String>,
    /// Logical CPUs of the engine's machine.
    pub cpus: Option<u32>,
    /// Memory of the engine's machine, bytes.
    pub memory_bytes: Option<u64>,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: Option<String>,
    /// `1` or `2`.
    pub cgroup_version: Option<String>,
    /// The platform of the engine's machine in Go's words (`linux/amd64`), from `/version`.
    pub platform: Option<String>,
    /// What its machine runs (`Ubuntu 22.04.5 LTS`, `Docker Desktop`), from `/info`.
    pub operating_system: Option<String>,
    /// Names of the OCI runtimes it knows (`runc`, `nvidia`), in order, from `/info`.
    pub runtimes: Vec<String>,
    /// The OCI runtime of containers that name none.
    pub default_runtime: Option<String>,
    /// CDI devices it has found (`nvidia.com/gpu=0`), in order; engines before API 1.50 tell none.
    pub cdi_devices: Vec<String>,
    /// Whether the endpoint may be on another machine by its nature (tcp, ssh).
    pub remote_by_nature: bool,
    /// Whether the engine is midwatch's own simulated one.
    pub simulated: bool,
    /// Rows of its list that could not be read and are not shown.
    pub unreadable_rows: u32,
}

/// Whether the engine answers.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineStatus {
    /// The first answer is awaited.
    Connecting {
        /// The endpoint being tried.
        endpoint: String,
    },
    /// It answers and events flow.
    Up(EngineInfo),
    /// It went away or never came. The last rows stay, with their age.
    Down {
        /// What is known from before, where it had answered once.
        info: Option<EngineInfo>,
        /// What, why and the remedy.
        problem: Problem,
        /// Since when.
        since: Stamp,
    },
}
