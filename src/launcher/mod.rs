//! A launch from its plan to its first seconds: what would happen ([`Plan`]), the image fetched, the container
//! made with the right GPUs, started, read back, and an early end explained.

mod conflicts;
mod explain;
mod fetch;
mod host;
mod pick;
pub mod plan;
pub mod start;

pub use explain::{Explained, explain};
pub use fetch::{FetchError, fetch};
pub use host::HostNow;
pub use plan::{plan, refusal};
pub use start::{CANCELLED, Start, start, start_until};

use serde_json::Value;

use crate::check::Progress;
use crate::engine::PullProgress;
use crate::launch::{LaunchSpec, Which};
use crate::model::{ContainerKey, GpuKey, ImageId, Problem};
use crate::verdict::Verdict;

/// What would happen, found out without changing anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What was asked.
    pub spec: LaunchSpec,
    /// The image in the engine's store; `None`: it has to be pulled.
    pub image: Option<ImageId>,
    /// The GPUs it would get.
    pub gpus: GpuPlan,
    /// The verdict on exactly these GPUs (where none are asked for: on the host's, for information alone);
    /// `None` without the image.
    pub verdict: Option<Verdict>,
    /// Whether looking inside the image would tell more than is known.
    pub scan_would_tell: bool,
    /// What stands in the way, and what should be known.
    pub conflicts: Vec<Conflict>,
    /// The equal `docker run` line, GPUs pinned, one word each.
    pub docker_run: Vec<String>,
    /// The body that would be sent to the engine; `None` where a conflict leaves none.
    pub create: Option<Value>,
}

/// The GPUs of a plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuPlan {
    /// Those it would get, in index order; empty where none are asked for, or all.
    pub chosen: Vec<ChosenGpu>,
    /// Those that were not taken, and why.
    pub left_out: Vec<(String, String)>,
}

/// One GPU of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenGpu {
    /// Which GPU or MIG instance.
    pub key: GpuKey,
    /// NVML's present index.
    pub index: Option<u32>,
    /// Product name.
    pub name: String,
    /// Why (`no process, 0 of 80 GiB used, 0 % busy`).
    pub why: String,
}

/// What part of a launch a conflict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The image.
    Image,
    /// The GPUs.
    Gpus,
    /// The name.
    Name,
    /// The mount of this place in the list.
    Mount(usize),
    /// The port of this place in the list.
    Port(usize),
    /// An environment file or variable.
    Env,
    /// Shared memory, ipc.
    Memory,
    /// Anything else.
    Other,
}

/// Something that stands in the way, or should be known.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// What it is about.
    pub field: Field,
    /// Whether it would fail; else it is a warning.
    pub stops: bool,
    /// What and why, one line.
    pub text: String,
    /// What would mend it, in words.
    pub remedy: String,
    /// What would mend it, to be done at a key.
    pub mend: Option<Mend>,
}

/// A change that removes a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// Publish the port of this place in the list at another host port.
    Port {
        /// Place in the list.
        at: usize,
        /// A host port that is free.
        host: u16,
    },
    /// Another name.
    Name(String),
    /// Make this folder on the host.
    MakeFolder(String),
    /// Other GPUs.
    Gpus(Which),
    /// Another size of `/dev/shm`, bytes.
    Shm(u64),
}

/// How far a launch is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// The image is being fetched.
    Pulling(PullProgress),
    /// Its content is being read for the verdict.
    Scanning(Progress),
    /// The container is being made and started.
    Starting,
}

/// A container that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// Which.
    pub key: ContainerKey,
    /// Its name.
    pub name: String,
    /// The GPUs it got.
    pub gpus: Vec<ChosenGpu>,
    /// What should be known: the engine's warnings, another GPU than planned.
    pub notes: Vec<String>,
}

/// A launch that did not come about; nothing of it is left.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchFault {
    /// What, why, and what to do.
    pub problem: Problem,
    /// Docker's exit status: 125, 126 or 127.
    pub exit: u8,
}
