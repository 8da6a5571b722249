//! What a launch takes from where it is typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Environment, home, working directory and ids of whoever launches. Paths and `$NAME` in a line, `-e NAME`
/// without a value and `--env-file` are read with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Home folder.
    pub home: Option<PathBuf>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            home: env
                .get("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            env,
        }
    }
}
