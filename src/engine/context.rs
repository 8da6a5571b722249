//! Docker contexts as the docker command keeps them on disk.
//!
//! `config.json` names the current one; a context's metadata is in `contexts/meta/ID/meta.json` and its
//! certificates in `contexts/tls/ID/docker/`, where ID is the SHA-256 of its name in hex (docker/cli,
//! `cli/context/store`).

use std::path::{Path, PathBuf};

use crate::model::Problem;
use crate::model::text::clean;

use super::endpoint::Env;
use super::json;
use super::tls::TlsMaterial;

/// What a context says of its engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Context {
    /// `Endpoints.docker.Host`; absent means the default.
    pub host: Option<String>,
    /// Its certificates, where it has any or says not to verify.
    pub tls: Option<TlsMaterial>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Config {
    #[serde(rename = "currentContext", deserialize_with = "json::text")]
    current: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Meta {
    #[serde(deserialize_with = "json::text")]
    name: Option<String>,
    #[serde(deserialize_with = "json::object")]
    endpoints: Endpoints,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DockerEndpoint {
    #[serde(deserialize_with = "json::text")]
    host: Option<String>,
    #[serde(rename = "SkipTLSVerify", deserialize_with = "json::flag")]
    skip_tls_verify: Option<bool>,
}

/// The name in `currentContext`, where there is one. A file that cannot be read is an error: it could name
/// another engine than the one that would be used without it.
pub(super) fn current(env: &Env) -> Result<Option<String>, Problem> {
    let Some(path) = env.config_dir().map(|dir| dir.join("config.json")) else {
        return Ok(None);
    };
    let problem = |why: String| Problem {
        what: "cannot tell which engine is meant".into(),
        why: format!("{}: {why}", clean(&path.to_string_lossy(), 300)),
        remedy: "mend the file, or name the engine with --host or --context".into(),
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(problem(clean(&error.to_string(), 200))),
    };
    let config: Config = json::parse(&bytes).map_err(|_| problem("not JSON".into()))?;
    Ok(config.current.filter(|name| !name.is_empty()))
}

fn absent(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// Reads a context.
pub(super) fn load(name: &str, env: &Env) -> Result<Context, Problem> {
    let shown = clean(name, 128);
    let problem = |why: String, remedy: String| Problem {
        what: format!("cannot use the Docker context \"{shown}\""),
        why,
        remedy,
    };
    let contexts = env
        .config_dir()
        .map(|dir| dir.join("contexts"))
        .ok_or_else(|| {
            problem(
                "neither HOME nor DOCKER_CONFIG is set".into(),
                "export HOME".into(),
            )
        })?;
    let id = id(name);
    let path = contexts.join("meta").join(&id).join("meta.json");
    let bytes = std::fs::read(&path).map_err(|error| {
        if !absent(&error) {
            let why = format!("{}: {error}", path.display());
            return problem(clean(&why, 300), "docker context ls".into());
        }
        let known = known(&contexts.join("meta"));
        let remedy = match known.is_empty() {
            true => format!("docker context create {shown} --docker host=ssh://USER@HOST"),
            false => format!("use one of: default, {}", known.join(", ")),
        };
        problem("there is no such context".into(), remedy)
    })?;
    let inspect = || format!("docker context inspect {shown}");
    let meta: Meta = json::parse(&bytes)
        .map_err(|_| problem(format!("{} is not its JSON", path.display()), inspect()))?;
    let Some(docker) = meta.endpoints.docker else {
        return Err(problem("it names no Docker engine".into(), inspect()));
    };
    let dir = contexts.join("tls").join(&id).join("docker");
    let tls = TlsMaterial::of_context(&dir, docker.skip_tls_verify.unwrap_or(false));
    Ok(Context {
        host: docker.host.filter(|host| !host.is_empty()),
        tls,
    })
}

/// The SHA-256 of a context's name in hex: its folder.
fn id(name: &str) -> String {
    ring::digest::digest(&ring::digest::SHA256, name.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The names of the contexts there are, sorted, at most 20.
fn known(meta: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(meta).into_iter().flatten().flatten();
    let mut names: Vec<String> = folders
        .take(200)
        .filter_map(|folder| {
            let path: PathBuf = folder.path().join("meta.json");
            let meta: Meta = json::parse(&std::fs::read(path).ok()?).ok()?;
            Some(clean(&meta.name?, 128))
        })
        .collect();
    names.sort();
    names.truncate(20);
    names
}
