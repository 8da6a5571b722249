//! A launch as data.

use super::GpuAsk;

/// Everything `docker run` is told. What is not set is the engine's or the image's own.
///
/// The fields a form shows have a type of their own; every other flag that the engine's create call can
/// express is kept in [`Self::other`], so that nothing is dropped on the way from a line to a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchSpec {
    /// Image reference or id.
    pub image: String,
    /// The words after the image: the command, or the arguments of the entrypoint.
    pub command: Vec<String>,
    /// `--entrypoint`; empty resets the image's.
    pub entrypoint: Option<String>,
    /// `--name`.
    pub name: Option<String>,
    /// Which GPUs, as they were asked for; `None`: `--gpus` was not given.
    pub gpus: Option<GpuAsk>,
    /// `-e`, in order: the last of a name wins.
    pub env: Vec<EnvVar>,
    /// `--env-file`, paths on the machine of who launches.
    pub env_files: Vec<String>,
    /// `-v`, `--mount`, `--tmpfs`, in order.
    pub mounts: Vec<MountAsk>,
    /// `-p`.
    pub ports: Vec<PortAsk>,
    /// `--shm-size`, bytes.
    pub shm_bytes: Option<u64>,
    /// `--ipc`: `host`, `private`, `shareable`, `none`, `container:NAME`.
    pub ipc: Option<String>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `-u`.
    pub user: Option<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `--restart`.
    pub restart: Option<Restart>,
    /// `--network`, as given: a name, or `name=NET,alias=A,ip=I`.
    pub networks: Vec<String>,
    /// `-m`, bytes; 0 is unlimited.
    pub memory_bytes: Option<u64>,
    /// `--cpus`, in billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// `--rm`.
    pub rm: bool,
    /// `-d`.
    pub detach: bool,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub interactive: bool,
    /// `--pull`.
    pub pull: Option<PullPolicy>,
    /// `--platform`: `os[/architecture[/variant]]`.
    pub platform: Option<String>,
    /// All other flags, in order.
    pub other: Vec<OtherFlag>,
}

/// One `-e`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value; `None` takes the value of whoever launches (and sets nothing where there is none).
    pub value: Option<String>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountAsk {
    /// `-v SOURCE:TARGET[:OPTIONS]`: an absolute host path or a volume's name.
    Bind {
        /// Host path or volume name.
        source: String,
        /// Path inside the container.
        target: String,
        /// `ro`, `z`, `rshared`…, comma-separated; empty where there is none.
        options: String,
    },
    /// `-v TARGET`: a volume without a name.
    Anonymous {
        /// Path inside the container.
        target: String,
    },
    /// `--mount`: its fields in order; a field without `=` has `None`.
    Mount(Vec<(String, Option<String>)>),
    /// `--tmpfs TARGET[:OPTIONS]`.
    Tmpfs {
        /// Path inside the container.
        target: String,
        /// `size=64m,mode=1777`; empty where there is none.
        options: String,
    },
}

/// One port, or several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// First.
    pub first: u16,
    /// Last; the first for a single port.
    pub last: u16,
}

/// One `-p`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortAsk {
    /// Host address; `None` is every address.
    pub ip: Option<String>,
    /// Port on the host; `None` is one of the engine's choice.
    pub host: Option<PortRange>,
    /// Port in the container.
    pub container: PortRange,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// One `--ulimit NAME=SOFT[:HARD]`; -1 is unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// `memlock`, `stack`, `nofile`…
    pub name: String,
    /// Soft limit.
    pub soft: i64,
    /// Hard limit.
    pub hard: i64,
}

/// `--restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// `no`.
    No,
    /// `on-failure[:MAX]`; 0 is without end.
    OnFailure(u32),
    /// `always`.
    Always,
    /// `unless-stopped`.
    UnlessStopped,
}

/// `--pull`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always ask the registry.
    Always,
    /// Only an image that is not there.
    Missing,
    /// Never.
    Never,
}

/// A flag without a field of its own, by its long name without the dashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherFlag {
    /// `cap-add`, `privileged`, `runtime`…
    pub name: String,
    /// Its value; `true` or `false` for a switch.
    pub value: String,
}
