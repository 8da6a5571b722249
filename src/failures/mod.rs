//! Known failures of GPU containers: from the engine's error, the exit status and the last lines of the log to
//! what it means and what to do. Pure; the table is `assets/failures.toml`.

/// What is known of a container that ended, or was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended<'a> {
    /// Exit status; `None` where it never ran.
    pub exit_code: Option<i64>,
    /// Whether the engine says that the kernel killed it for memory.
    pub oom_killed: Option<bool>,
    /// The engine's own text about a failed start or creation.
    pub error: Option<&'a str>,
    /// The last lines of its log, oldest first.
    pub lines: &'a [String],
    /// Size of `/dev/shm`, bytes.
    pub shm_bytes: Option<u64>,
    /// Whether it was granted GPUs.
    pub has_gpus: bool,
}

/// A failure by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `docker.no_gpu_driver`, `cuda.2`, `exit.137`…
    pub id: &'static str,
    /// What happened, in one line.
    pub title: String,
    /// Why.
    pub cause: String,
    /// The line or field that shows it.
    pub evidence: Option<String>,
    /// What to type or do, most likely first.
    pub remedy: Vec<String>,
}
