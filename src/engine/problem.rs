//! What the user is told when an engine cannot be reached: what was tried, why it failed, and the one
//! command that mends it. Pure.

use std::path::Path;

use crate::model::Problem;
use crate::model::text::clean;

use super::endpoint::{Endpoint, Target};
use super::error::EngineError;

impl EngineError {
    /// What, why and the remedy, for the endpoint that was tried.
    pub fn problem(&self, endpoint: &Endpoint) -> Problem {
        let whose = match (&endpoint.context, endpoint.chosen_by.as_str()) {
            (Some(context), _) => format!(" (context {context})"),
            (None, "found") => String::new(),
            (None, by) => format!(" ({by})"),
        };
        Problem {
            what: format!("cannot reach the engine at {}{whose}", endpoint.url),
            why: self.why(endpoint),
            remedy: self.remedy(endpoint),
        }
    }

    fn why(&self, endpoint: &Endpoint) -> String {
        match (self, &endpoint.target) {
            (Self::Refused, Target::Unix(_)) => "the socket is there, but nobody listens".into(),
            (Self::Status { code, message }, _) => format!("it answered {code}: {message}"),
            (error, _) => error.to_string(),
        }
    }

    fn remedy(&self, endpoint: &Endpoint) -> String {
        match &endpoint.target {
            Target::Unix(path) => self.mend_socket(path, &endpoint.chosen_by),
            Target::Tcp(authority) => self.mend_tcp(authority),
            Target::Tls {
                authority,
                material,
            } => match self {
                Self::Tls(_) => match &endpoint.context {
                    Some(name) if name != "default" => format!(
                        "docker context update {name} --docker host=tcp://{authority},ca=ca.pem,cert=cert.pem,key=key.pem"
                    ),
                    _ => format!(
                        "put ca.pem, cert.pem and key.pem for it into {}",
                        clean(&material.folder.to_string_lossy(), 300)
                    ),
                },
                _ => self.mend_tcp(authority),
            },
            Target::Simulated(_) => "start midwatch again".into(),
            Target::Ssh(target) => {
                let mut command = String::from("try: ssh ");
                if let Some(port) = target.port {
                    command.push_str(&format!("-p {port} "));
                }
                if let Some(user) = &target.user {
                    command.push_str(&format!("{}@", clean(user, 64)));
                }
                command.push_str(&clean(&target.host, 255));
                command.push_str(" docker version");
                command
            }
        }
    }

    fn mend_socket(&self, path: &Path, chosen_by: &str) -> String {
        let unit = Unit::of(path);
        match (self, unit) {
            (Self::PermissionDenied, Unit::Docker | Unit::Other) => {
                "sudo usermod -aG docker $USER && newgrp docker".into()
            }
            (Self::PermissionDenied, Unit::Podman) => {
                "systemctl --user start podman.socket && export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/podman/podman.sock".into()
            }
            (Self::PermissionDenied, Unit::UserDocker | Unit::UserPodman) => {
                "run midwatch as the user whose engine it is".into()
            }
            (Self::Absent(_), Unit::Docker) => "sudo systemctl start docker".into(),
            (Self::Absent(_), Unit::UserDocker) => "systemctl --user start docker".into(),
            (Self::Absent(_), Unit::UserPodman) => "systemctl --user start podman.socket".into(),
            (Self::Absent(_), Unit::Podman) => "sudo systemctl start podman.socket".into(),
            (Self::Absent(_), Unit::Other) => {
                let instead = match chosen_by {
                    "DOCKER_HOST" => "unset DOCKER_HOST",
                    "--host" => "leave --host out",
                    _ => "docker context use default",
                };
                format!("start the engine of this socket, or, for the one in its usual place: {instead}")
            }
            (Self::Refused | Self::Gone(_) | Self::Timeout { .. }, unit) => match unit {
                Unit::Docker => "sudo systemctl restart docker".into(),
                Unit::UserDocker => "systemctl --user restart docker".into(),
                Unit::UserPodman => "systemctl --user restart podman.socket".into(),
                Unit::Podman => "sudo systemctl restart podman.socket".into(),
                Unit::Other => "start the engine of this socket again".into(),
            },
            (Self::Status { .. } | Self::Protocol(_), _) => {
                "check that a Docker or Podman engine is behind this socket".into()
            }
            _ => String::new(),
        }
    }

    fn mend_tcp(&self, authority: &str) -> String {
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        match self {
            Self::Absent(_) => format!("check the name: getent hosts {host}"),
            Self::Refused => format!("start the engine there with: dockerd -H tcp://{authority}"),
            // Go's own words, as dockerd answers them.
            Self::Status { code: 400, message } if message.contains("HTTPS server") => {
                "export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$HOME/.docker".into()
            }
            Self::Timeout { .. } => format!("check the way there: ping {host}"),
            Self::Protocol(_) | Self::Status { .. } => {
                format!("check what answers there: curl http://{authority}/version")
            }
            _ => String::new(),
        }
    }
}

/// Which service makes a socket, by its usual place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Docker,
    UserDocker,
    UserPodman,
    Podman,
    Other,
}

impl Unit {
    fn of(path: &Path) -> Self {
        let ends = |tail: &str| path.ends_with(tail);
        if path.starts_with("/run/user") && ends("docker.sock") {
            Self::UserDocker
        } else if ends("podman/podman.sock") && path.starts_with("/run/user") {
            Self::UserPodman
        } else if ends("podman/podman.sock") {
            Self::Podman
        } else if ends("run/docker.sock") {
            Self::Docker
        } else {
            Self::Other
        }
    }
}

/// No searched socket could be used: the most telling failure of all of them. A socket that refuses us says
/// more than ten that are not there.
pub(super) fn nothing_found(tried: &[(Endpoint, EngineError)]) -> Problem {
    let refused = tried
        .iter()
        .find(|(_, e)| !matches!(e, EngineError::Absent(_)));
    if let Some((endpoint, error)) = refused {
        return error.problem(endpoint);
    }
    let places: Vec<&str> = tried
        .iter()
        .map(|(e, _)| e.url.strip_prefix("unix://").unwrap_or(&e.url))
        .collect();
    Problem {
        what: "found no container engine".into(),
        why: format!("there is no socket at {}", places.join(", ")),
        remedy: "sudo systemctl start docker (or see the simulated host: midwatch --demo)".into(),
    }
}

#[cfg(test)]
mod tests;
