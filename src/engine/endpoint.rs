//! Which engine is meant: Docker's own order of flags, environment and contexts; where none of them names
//! one, the usual sockets are searched. Pure but for reading Docker's configuration files.
//!
//! The order is that of docker/cli (`resolveContextName`): `--host` or `--context` (never both), then
//! `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext` of `config.json`. A named endpoint that does not work
//! never falls back to another one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::demo::DemoHost;
use crate::model::Problem;
use crate::model::text::clean;

use super::context;
use super::ssh::SshTarget;
use super::tls::TlsMaterial;

/// The socket of Docker's own packages.
const ROOTFUL: &str = "/var/run/docker.sock";
/// Podman's, where its socket unit of the system runs.
const PODMAN: &str = "/run/podman/podman.sock";
/// The variables that are read.
const VARIABLES: [&str; 11] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_TLS",
    "HOME",
    "XDG_RUNTIME_DIR",
    "DOCKER_AUTH_CONFIG",
    "REGISTRY_AUTH_FILE",
    "PATH",
];

/// What of the process's surroundings decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    vars: BTreeMap<String, String>,
    uid: Option<u32>,
    rootful: PathBuf,
    podman: PathBuf,
}

impl Env {
    /// The process's own.
    pub fn from_process() -> Self {
        let vars = VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        Self {
            vars,
            uid: Some(rustix::process::getuid().as_raw()),
            rootful: ROOTFUL.into(),
            podman: PODMAN.into(),
        }
    }

    /// These variables, and sockets of the system under `root`: for tests.
    pub fn of(vars: &[(&str, &str)], root: &Path) -> Self {
        let under = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            vars: vars
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            uid: None,
            rootful: under(ROOTFUL),
            podman: under(PODMAN),
        }
    }

    /// A variable; one set to nothing counts as not set, as Docker has it.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Docker's configuration folder.
    pub fn config_dir(&self) -> Option<PathBuf> {
        match self.var("DOCKER_CONFIG") {
            Some(dir) => Some(dir.into()),
            None => self.var("HOME").map(|home| Path::new(home).join(".docker")),
        }
    }

    pub(super) fn runtime_dir(&self) -> Option<PathBuf> {
        match self.var("XDG_RUNTIME_DIR") {
            Some(dir) => Some(dir.into()),
            // `su` and `sudo` unset it; systemd's place for it is always this one.
            None => self.uid.map(|uid| format!("/run/user/{uid}").into()),
        }
    }
}

/// What the command line named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// `-H`, `--host`.
    pub host: Option<String>,
    /// `-c`, `--context`.
    pub context: Option<String>,
}

/// How an endpoint is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain TCP, `host:port`.
    Tcp(String),
    /// TCP with TLS.
    Tls {
        /// `host:port`.
        authority: String,
        /// Certificates, and whether the server's is verified.
        material: TlsMaterial,
    },
    /// The system's ssh.
    Ssh(SshTarget),
    /// The simulated host, in memory.
    Simulated(DemoHost),
}

/// One engine's address, and why this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// As it is shown: `unix:///var/run/docker.sock`, `ssh://user@host`; never a secret.
    pub url: String,
    /// The Docker context that named it.
    pub context: Option<String>,
    /// `--host`, `--context`, `DOCKER_HOST`, `DOCKER_CONTEXT`, `context NAME`, `found`.
    pub chosen_by: String,
    /// How it is reached.
    pub target: Target,
}

impl Endpoint {
    /// A socket that nobody named.
    fn found(path: PathBuf) -> Self {
        Self {
            url: format!("unix://{}", clean(&path.to_string_lossy(), 512)),
            context: None,
            chosen_by: "found".into(),
            target: Target::Unix(path),
        }
    }

    /// The simulated host.
    pub fn simulated(host: DemoHost) -> Self {
        Self {
            url: "simulated".into(),
            context: None,
            chosen_by: "--demo".into(),
            target: Target::Simulated(host),
        }
    }

    /// Whether it may be on another machine by its nature.
    pub fn is_remote(&self) -> bool {
        !matches!(self.target, Target::Unix(_) | Target::Simulated(_))
    }
}

/// Which endpoints may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This one and no other.
    Named(Endpoint),
    /// The first of these that answers; it is then kept.
    Search(Vec<Endpoint>),
}

/// Works out which endpoint is meant. The error says what was named wrongly.
pub fn resolve(asked: &Asked, env: &Env) -> Result<Choice, Problem> {
    let named = |url: &str, by: &str| parse_named(url, by, env).map(Choice::Named);
    match (asked.host.as_deref(), asked.context.as_deref()) {
        (Some(_), Some(_)) => Err(Problem {
            what: "cannot choose an engine".into(),
            why: "both --host and --context are given".into(),
            remedy: "give one of them".into(),
        }),
        (Some(host), None) => named(host, "--host"),
        (None, Some(name)) => of_context(name, "--context", env),
        (None, None) => {
            if let Some(host) = env.var("DOCKER_HOST") {
                return named(host, "DOCKER_HOST");
            }
            if let Some(name) = env.var("DOCKER_CONTEXT") {
                return of_context(name, "DOCKER_CONTEXT", env);
            }
            match context::current(env)? {
                Some(name) => of_context(&name, &format!("context {}", clean(&name, 128)), env),
                None => Ok(Choice::Search(candidates(env))),
            }
        }
    }
}

/// The sockets that are searched, in this order.
fn candidates(env: &Env) -> Vec<Endpoint> {
    let mut sockets = vec![env.rootful.clone()];
    if let Some(dir) = env.runtime_dir() {
        sockets.push(dir.join("docker.sock"));
        sockets.push(dir.join("podman/podman.sock"));
    }
    sockets.push(env.podman.clone());
    sockets.into_iter().map(Endpoint::found).collect()
}

fn of_context(name: &str, by: &str, env: &Env) -> Result<Choice, Problem> {
    // Docker's own name for "no context": DOCKER_HOST, else the usual socket.
    if name == "default" {
        let (url, by) = match env.var("DOCKER_HOST") {
            Some(host) => (host.to_owned(), "DOCKER_HOST"),
            None => (format!("unix://{}", env.rootful.display()), by),
        };
        let mut endpoint = parse_named(&url, by, env)?;
        endpoint.context = Some("default".into());
        return Ok(Choice::Named(endpoint));
    }
    let found = context::load(name, env)?;
    let shown = clean(name, 128);
    let url = found.host.as_deref().unwrap_or(ROOTFUL_URL);
    let (url, target) = parse(url, found.tls).map_err(|why| Problem {
        what: format!("cannot use the Docker context \"{shown}\""),
        why,
        remedy: format!("docker context inspect {shown}"),
    })?;
    Ok(Choice::Named(Endpoint {
        url,
        context: Some(shown),
        chosen_by: by.to_owned(),
        target,
    }))
}

const ROOTFUL_URL: &str = "unix:///var/run/docker.sock";

fn parse_named(url: &str, by: &str, env: &Env) -> Result<Endpoint, Problem> {
    let (url, target) = parse(url, TlsMaterial::from_env(env)).map_err(|why| Problem {
        what: format!("cannot use the engine that {by} names"),
        why,
        remedy: "name one as unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST".into(),
    })?;
    Ok(Endpoint {
        url,
        context: None,
        chosen_by: by.to_owned(),
        target,
    })
}

/// Reads a host as Docker writes it: a scheme and an address; without a scheme it is TCP.
fn parse(text: &str, tls: Option<TlsMaterial>) -> Result<(String, Target), String> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    match scheme {
        "unix" => {
            let path = if rest.is_empty() { ROOTFUL } else { rest };
            if !path.starts_with('/') {
                return Err(format!(
                    "the socket's path must begin with /: {}",
                    clean(path, 200)
                ));
            }
            Ok((
                format!("unix://{}", clean(path, 512)),
                Target::Unix(path.into()),
            ))
        }
        "tcp" => {
            let authority = tcp_authority(rest, tls.is_some())?;
            let url = format!("tcp://{authority}");
            Ok(match tls {
                Some(material) => (
                    url,
                    Target::Tls {
                        authority,
                        material,
                    },
                ),
                None => (url, Target::Tcp(authority)),
            })
        }
        "ssh" => {
            let target = SshTarget::parse(rest)?;
            Ok((target.to_string(), Target::Ssh(target)))
        }
        "npipe" => Err(format!(
            "{} is a named pipe of Windows, which only a program of Windows can open",
            clean(text, 200)
        )),
        "fd" => Err("fd:// is for dockerd itself, not for its clients".into()),
        "http" | "https" => Err(format!(
            "{} is no engine's address: write tcp:// (with DOCKER_TLS_VERIFY=1 for TLS)",
            clean(text, 200)
        )),
        other => Err(format!("the scheme \"{}\" is not known", clean(other, 40))),
    }
}

/// `host:port` with Docker's defaults: 127.0.0.1, 2375, or 2376 with TLS.
fn tcp_authority(rest: &str, tls: bool) -> Result<String, String> {
    let shown = || clean(rest, 200);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@'])
        || rest.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(format!("not HOST:PORT: {}", shown()));
    }
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner
                .split_once(']')
                .ok_or_else(|| format!("not HOST:PORT: {}", shown()))?;
            (format!("[{host}]"), after.strip_prefix(':'))
        }
        None => match rest.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(format!(
                    "an IPv6 address is written in brackets: {}",
                    shown()
                ));
            }
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (rest.to_owned(), None),
        },
    };
    let host = if host.is_empty() {
        "127.0.0.1".to_owned()
    } else {
        host
    };
    let port: u16 = match port {
        None | Some("") => {
            if tls {
                2376
            } else {
                2375
            }
        }
        Some(port) => port
            .parse()
            .ok()
            .filter(|p| *p != 0)
            .ok_or_else(|| format!("not a port: {}", clean(port, 40)))?,
    };
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests;
