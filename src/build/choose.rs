//! Who builds: `docker buildx` where it can, else the engine's own builder. Pure.

use std::fmt;

use super::dockerfile::Dockerfile;
use crate::model::Problem;

/// Who builds, and why that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Builder {
    /// Docker's command with its plugin, of this version.
    Buildx(String),
    /// The engine, for this reason.
    Engine(Why),
}

/// Why it is the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no `docker` command.
    NoDocker,
    /// It has no buildx plugin.
    NoBuildx,
    /// Docker's command cannot reach this engine.
    OutOfReach,
    /// Podman's builder knows all that BuildKit knows, and buildx cannot talk to it.
    Podman,
}

/// The choice. `buildx` is its version, or why there is none.
pub fn builder(buildx: Result<&str, &Why>, reachable: bool, podman: bool) -> Builder {
    match buildx {
        _ if podman => Builder::Engine(Why::Podman),
        Err(why) => Builder::Engine(*why),
        Ok(_) if !reachable => Builder::Engine(Why::OutOfReach),
        Ok(version) => Builder::Buildx(version.to_owned()),
    }
}

/// Refuses a Dockerfile that the engine's own builder would stumble over halfway.
///
/// # Errors
/// It needs BuildKit, and that is not there.
pub fn refuse(builder: &Builder, file: &Dockerfile) -> Result<(), Problem> {
    let Builder::Engine(why) = builder else {
        return Ok(());
    };
    let Some(need) = file.needs.first().filter(|_| *why != Why::Podman) else {
        return Ok(());
    };
    Err(Problem {
        what: "this Dockerfile needs BuildKit".to_owned(),
        why: format!(
            "line {} has {}, which the engine's own builder does not know, and {why}",
            need.line, need.what
        ),
        remedy: match why {
            Why::OutOfReach => format!("Write line {} without it", need.line),
            _ => "Install the plugin: sudo apt-get install docker-buildx-plugin (Debian's own \
                  package: docker-buildx)"
                .to_owned(),
        },
    })
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buildx(version) => write!(f, "docker buildx {version}"),
            Self::Engine(why) => write!(f, "the engine's own builder: {why}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDocker => "there is no docker command here",
            Self::NoBuildx => "docker's buildx plugin is not installed",
            Self::OutOfReach => "docker's command cannot reach this engine",
            Self::Podman => "Podman builds by itself",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::dockerfile::Need;
    use super::*;

    #[test]
    fn who_builds() {
        for (buildx, reachable, podman, want) in [
            (Ok("v0.17.1"), true, false, "docker buildx v0.17.1"),
            (
                Ok("v0.17.1"),
                false,
                false,
                "the engine's own builder: docker's command cannot reach this engine",
            ),
            (
                Ok("v0.17.1"),
                true,
                true,
                "the engine's own builder: Podman builds by itself",
            ),
            (
                Err(Why::NoBuildx),
                true,
                false,
                "the engine's own builder: docker's buildx plugin is not installed",
            ),
            (
                Err(Why::NoDocker),
                false,
                false,
                "the engine's own builder: there is no docker command here",
            ),
            (
                Err(Why::NoDocker),
                true,
                true,
                "the engine's own builder: Podman builds by itself",
            ),
        ] {
            let chosen = builder(buildx.as_ref().map(|v| *v), reachable, podman);
            assert_eq!(chosen.to_string(), want);
        }
    }

    #[test]
    fn what_needs_buildkit_is_refused_where_only_the_engine_builds() {
        let file = Dockerfile {
            needs: vec![Need {
                line: 7,
                what: "RUN --mount".to_owned(),
            }],
            ..Dockerfile::default()
        };
        let plain = Dockerfile::default();
        for (builder, file, refused) in [
            (Builder::Buildx("v0".to_owned()), &file, false),
            (Builder::Engine(Why::Podman), &file, false),
            (Builder::Engine(Why::NoBuildx), &file, true),
            (Builder::Engine(Why::OutOfReach), &file, true),
            (Builder::Engine(Why::NoBuildx), &plain, false),
        ] {
            assert_eq!(refuse(&builder, file).is_err(), refused, "{builder}");
        }
        let problem = refuse(&Builder::Engine(Why::NoBuildx), &file).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "this Dockerfile needs BuildKit: line 7 has RUN --mount, which the engine's own builder does not know, and docker's buildx plugin is not installed. Install the plugin: sudo apt-get install docker-buildx-plugin (Debian's own package: docker-buildx)"
        );
    }
}
