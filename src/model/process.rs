//! What procfs says of a process, and which container its cgroup names.

use std::sync::Arc;

use super::{ContainerId, ProcKey, Stamp};

/// Which engine's path shape a cgroup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimeKind {
    /// `/docker/<id>`, `docker-<id>.scope`.
    Docker,
    /// `libpod-<id>.scope`.
    Podman,
    /// `cri-containerd-<id>.scope`, `cri-containerd:<id>`.
    Containerd,
    /// `crio-<id>.scope`.
    Crio,
    /// An id below `kubepods` or a custom parent, without a runtime's name.
    Unnamed,
}

impl RuntimeKind {
    /// A word for the user.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Unnamed => "container",
        }
    }
}

/// A container named in a cgroup path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CgroupContainer {
    /// Path shape.
    pub runtime: RuntimeKind,
    /// Full id.
    pub id: ContainerId,
}

/// What the cgroup says about whose process it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CgroupOwner {
    /// It runs in these containers, outermost first (docker-in-docker has several).
    Containers(Vec<CgroupContainer>),
    /// It runs in no container.
    Host,
    /// `/proc` may not be read for it (hidepid).
    NotPermitted,
    /// Our own cgroup or pid namespace hides it.
    Hidden,
    /// It ended before it could be read.
    Gone,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcInfo {
    /// Pid with start time; `None` where the start time could not be read (hidden, gone).
    pub key: Option<ProcKey>,
    /// Pid in the host's namespace.
    pub pid: u32,
    /// Owner's uid.
    pub uid: Option<u32>,
    /// Owner's name, else the uid's digits.
    pub user: Option<Arc<str>>,
    /// Command line, control characters removed, bounded; `None`: not permitted or gone.
    pub command: Option<Arc<str>>,
    /// Whose it is.
    pub owner: CgroupOwner,
}

/// All processes that hold a GPU, newest wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcSnapshot {
    /// When they were read.
    pub at: Stamp,
    /// By pid.
    pub processes: Vec<ProcInfo>,
    /// Why pids cannot be matched at all (own pid namespace), with the remedy.
    pub blind: Option<super::Problem>,
    /// Whether command lines or users' names are still being looked up: what is told of them is not the last word.
    pub pending: bool,
}

impl ProcSnapshot {
    /// The process with this pid.
    pub fn get(&self, pid: u32) -> Option<&ProcInfo> {
        self.processes.iter().find(|p| p.pid == pid)
    }
}
