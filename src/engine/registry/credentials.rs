//! Credentials for registries, from where `docker login` (or `podman login`) put them.
//!
//! Docker's `config.json`: `credHelpers` by registry, else `credsStore`, else `auths` (docker/cli,
//! `cli/config`). Podman's `auth.json` goes before it where the engine is Podman (containers-auth.json(5)).
//! Nothing of a secret is ever shown: not in `Debug`, not in an error.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::engine::endpoint::Env;
use crate::engine::json::{self, Object};
use crate::model::Problem;
use crate::model::text::clean;

use super::{HUB, Reference};

/// Docker Hub's key in Docker's configuration.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// How long a credential helper may take: it may ask a person to unlock a key ring.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a configuration file, and of a helper's answer, that are read.
const MAX_CONFIG: u64 = 4 * 1024 * 1024;
const MAX_ANSWER: u64 = 256 * 1024;
/// Most registries whose credentials are sent with a build.
const MAX_REGISTRIES: usize = 64;

/// Padding is left out by some who write these files.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a registry is told of who asks.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    username: String,
    password: String,
    identity_token: String,
    registry_token: String,
    server: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// A name and a password, for a server by its key in the configuration.
    pub fn new(username: &str, password: &str, server: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            server: server.to_owned(),
            ..Self::default()
        }
    }

    /// The value of `X-Registry-Auth`.
    pub(in crate::engine) fn header(&self) -> String {
        URL_SAFE.encode(self.json().to_string())
    }

    fn json(&self) -> serde_json::Value {
        let fields = [
            ("username", &self.username),
            ("password", &self.password),
            ("identitytoken", &self.identity_token),
            ("registrytoken", &self.registry_token),
            ("serveraddress", &self.server),
        ];
        fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.clone().into()))
            .collect::<serde_json::Map<String, serde_json::Value>>()
            .into()
    }

    fn is_nothing(&self) -> bool {
        [
            &self.username,
            &self.password,
            &self.identity_token,
            &self.registry_token,
        ]
        .iter()
        .all(|value| value.is_empty())
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(deserialize_with = "json::text")]
    auth: Option<String>,
    #[serde(deserialize_with = "json::text")]
    username: Option<String>,
    #[serde(deserialize_with = "json::text")]
    password: Option<String>,
    #[serde(rename = "identitytoken", deserialize_with = "json::text")]
    identity_token: Option<String>,
    #[serde(rename = "registrytoken", deserialize_with = "json::text")]
    registry_token: Option<String>,
}

impl Entry {
    fn credentials(&self, server: &str) -> Option<Credentials> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut found = Credentials {
            username: text(&self.username),
            password: text(&self.password),
            identity_token: text(&self.identity_token),
            registry_token: text(&self.registry_token),
            server: server.to_owned(),
        };
        let decoded = self.auth.as_deref().and_then(|auth| {
            let bytes = BASE64.decode(auth.trim()).ok()?;
            String::from_utf8(bytes).ok()
        });
        if let Some((name, password)) = decoded.as_deref().and_then(|both| both.split_once(':')) {
            found.username = name.to_owned();
            found.password = password.trim_matches('\0').to_owned();
        }
        (!found.is_nothing()).then_some(found)
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct File {
    auths: Option<Object<BTreeMap<String, Object<Entry>>>>,
    #[serde(rename = "credsStore", deserialize_with = "json::text")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: Option<Object<BTreeMap<String, json::Text>>>,
}

/// One configuration file.
#[derive(Default)]
struct Source {
    auths: BTreeMap<String, Entry>,
    store: Option<String>,
    helpers: BTreeMap<String, String>,
}

impl Source {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let file: File = json::parse(bytes).ok()?;
        let auths = file.auths.and_then(|object| object.0).unwrap_or_default();
        let helpers = file.helpers.and_then(|object| object.0).unwrap_or_default();
        Some(Self {
            auths: auths
                .into_iter()
                .filter_map(|(key, entry)| Some((key, entry.0?)))
                .collect(),
            store: file.store.filter(|name| !name.is_empty()),
            helpers: helpers
                .into_iter()
                .filter_map(|(key, name)| Some((key, name.0?)))
                .collect(),
        })
    }

    /// The helper for a registry; none where it is in the file itself.
    fn helper(&self, key: &str) -> Option<&str> {
        let own = self.helpers.get(key).map(String::as_str);
        own.or(self.store.as_deref())
            .filter(|name| !name.is_empty())
    }

    /// By the exact key, else by a key that names the same host (`https://r.io/v1/` for `r.io`).
    fn entry(&self, key: &str) -> Option<Credentials> {
        let exact = self.auths.get(key).and_then(|entry| entry.credentials(key));
        exact.or_else(|| {
            let same = |other: &str| hostname(other) == hostname(key);
            self.auths
                .iter()
                .filter(|(other, _)| same(other))
                .find_map(|(_, entry)| entry.credentials(key))
        })
    }
}

/// Without the scheme and the path.
fn hostname(key: &str) -> &str {
    let key = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    key.split_once('/').map_or(key, |(host, _)| host)
}

/// Where credentials are looked for.
pub struct RegistryConfig {
    /// Podman's own file.
    podman: Option<Source>,
    docker: Source,
    env: Env,
}

impl fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfig").finish_non_exhaustive()
    }
}

impl RegistryConfig {
    /// Reads the files. None at all is fine.
    ///
    /// # Errors
    /// A file that is there and cannot be read, or is not JSON.
    pub fn load(env: &Env, podman: bool) -> Result<Self, Problem> {
        let docker = match env.var("DOCKER_AUTH_CONFIG") {
            // As Docker has it: the variable goes before the file.
            Some(text) => Source::parse(text.as_bytes())
                .ok_or_else(|| unreadable("the variable DOCKER_AUTH_CONFIG", "not JSON"))?,
            None => match env.config_dir() {
                Some(dir) => read(&dir.join("config.json"))?.unwrap_or_default(),
                None => Source::default(),
            },
        };
        let own = match env.auth_file().filter(|_| podman) {
            Some(path) => read(&path)?,
            None => None,
        };
        Ok(Self {
            podman: own,
            docker,
            env: env.clone(),
        })
    }

    /// The credentials for a reference's registry; `None` where nobody logged in there.
    ///
    /// # Errors
    /// A credential helper that is not there, fails or does not answer.
    pub async fn credentials(&self, reference: &Reference) -> Result<Option<Credentials>, Problem> {
        if let Some(own) = &self.podman {
            // The longest part of the name that is there goes first.
            let mut name = reference.name();
            loop {
                let found = match own.helpers.get(&name) {
                    Some(helper) => self.ask(helper, &name).await?,
                    None => own.auths.get(&name).and_then(|e| e.credentials(&name)),
                };
                if found.is_some() {
                    return Ok(found);
                }
                match name.rsplit_once('/') {
                    Some((shorter, _)) => name = shorter.to_owned(),
                    None => break,
                }
            }
            if let Some(found) = own.entry(key(&reference.host)) {
                return Ok(Some(found));
            }
        }
        self.of_docker(key(&reference.host)).await
    }

    async fn of_docker(&self, key: &str) -> Result<Option<Credentials>, Problem> {
        match self.docker.helper(key) {
            Some(helper) => self.ask(helper, key).await,
            None => Ok(self.docker.entry(key)),
        }
    }

    /// The value of `X-Registry-Config`, which a build is sent with: the credentials for every registry that
    /// there are any for. Those whose helper fails are left out: a build may need none of them.
    pub async fn build_header(&self) -> Option<String> {
        let mut keys: Vec<String> = self.docker.auths.keys().cloned().collect();
        keys.extend(self.docker.helpers.keys().cloned());
        if let Some(store) = &self.docker.store
            && let Ok(listed) = self.run(store, "list", "").await
            && let Ok(Object(Some(listed))) =
                json::parse::<Object<BTreeMap<String, json::Text>>>(&listed)
        {
            keys.extend(listed.into_keys());
        }
        if let Some(own) = &self.podman {
            keys.extend(own.auths.keys().cloned());
        }
        keys.sort();
        keys.dedup();
        let mut all = serde_json::Map::new();
        for key in keys.into_iter().take(MAX_REGISTRIES) {
            let own = self.podman.as_ref().and_then(|own| own.entry(&key));
            let found = match own {
                Some(found) => Some(found),
                None => self.of_docker(&key).await.ok().flatten(),
            };
            if let Some(found) = found {
                all.insert(key, found.json());
            }
        }
        let header = serde_json::Value::Object(all);
        (header != serde_json::json!({})).then(|| URL_SAFE.encode(header.to_string()))
    }

    /// Asks a helper for a registry's credentials.
    async fn ask(&self, helper: &str, key: &str) -> Result<Option<Credentials>, Problem> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        struct Answer {
            #[serde(deserialize_with = "json::text")]
            username: Option<String>,
            #[serde(deserialize_with = "json::text")]
            secret: Option<String>,
        }
        let answer = match self.run(helper, "get", key).await {
            Ok(answer) => answer,
            Err(HelperError::NotFound) => return Ok(None),
            Err(HelperError::Other(problem)) => return Err(problem),
        };
        let answer: Answer = json::parse(&answer)
            .map_err(|_| helper_problem(helper, key, "its answer is not what a helper says"))?;
        let (name, secret) = (
            answer.username.unwrap_or_default(),
            answer.secret.unwrap_or_default(),
        );
        let mut found = Credentials::new(&name, &secret, key);
        if name == "<token>" {
            found = Credentials {
                identity_token: secret,
                server: key.to_owned(),
                ..Credentials::default()
            };
        }
        Ok((!found.is_nothing()).then_some(found))
    }

    async fn run(&self, helper: &str, verb: &str, input: &str) -> Result<Vec<u8>, HelperError> {
        let problem = |why: &str| HelperError::Other(helper_problem(helper, input, why));
        let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !helper.bytes().all(good) {
            return Err(problem("that is no program's name"));
        }
        let program = format!("docker-credential-{helper}");
        let path = self
            .env
            .find_program(&program)
            .ok_or_else(|| problem("no such program on the PATH"))?;
        let mut command = tokio::process::Command::new(path);
        command
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(path) = self.env.var("PATH") {
            command.env("PATH", path);
        }
        let talk = async {
            let mut child = command.spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // One that reads nothing is no fault.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            let mut answer = Vec::new();
            if let Some(stdout) = child.stdout.take() {
                stdout.take(MAX_ANSWER).read_to_end(&mut answer).await?;
            }
            Ok::<_, std::io::Error>((child.wait().await?, answer))
        };
        let (status, answer) = match tokio::time::timeout(HELPER_TIMEOUT, talk).await {
            Err(_) => {
                let after = HELPER_TIMEOUT.as_secs();
                return Err(problem(&format!("it does not answer within {after} s")));
            }
            Ok(Err(error)) => return Err(problem(&clean(&error.to_string(), 200))),
            Ok(Ok(talked)) => talked,
        };
        if status.success() {
            return Ok(answer);
        }
        // Helpers say on their standard output why they fail; that is never a secret, but may be long.
        let said = clean(&String::from_utf8_lossy(&answer), 200);
        if said.contains("credentials not found") {
            return Err(HelperError::NotFound);
        }
        Err(problem(match said.is_empty() {
            true => "it failed and said nothing",
            false => &said,
        }))
    }
}

enum HelperError {
    NotFound,
    Other(Problem),
}

/// A registry's key in Docker's configuration.
fn key(host: &str) -> &str {
    if host == HUB { HUB_KEY } else { host }
}

fn helper_problem(helper: &str, key: &str, why: &str) -> Problem {
    let helper = clean(helper, 64);
    let host = match hostname(key) {
        "" | "index.docker.io" => String::new(),
        host => format!(" {}", clean(host, 200)),
    };
    Problem {
        what: format!(
            "cannot read the credentials{}",
            match host.as_str() {
                "" => String::new(),
                host => format!(" for{host}"),
            }
        ),
        why: format!("the credential helper docker-credential-{helper}: {why}"),
        remedy: format!(
            "install docker-credential-{helper}, or take credHelpers and credsStore out of Docker's config.json and run: docker login{host}"
        ),
    }
}

fn unreadable(what: &str, why: &str) -> Problem {
    Problem {
        what: "cannot read the credentials for registries".into(),
        why: format!("{what}: {why}"),
        remedy: "mend it, or log in again with docker login".into(),
    }
}

/// One file; `None` where there is none.
fn read(path: &Path) -> Result<Option<Source>, Problem> {
    use std::io::{ErrorKind, Read};
    let problem = |why: &str| unreadable(&clean(&path.to_string_lossy(), 300), why);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(problem(&clean(&error.to_string(), 200))),
    };
    let mut bytes = Vec::new();
    file.take(MAX_CONFIG)
        .read_to_end(&mut bytes)
        .map_err(|error| problem(&clean(&error.to_string(), 200)))?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    Source::parse(&bytes)
        .map(Some)
        .ok_or_else(|| problem("not JSON"))
}

impl Env {
    /// Podman's file of credentials.
    fn auth_file(&self) -> Option<PathBuf> {
        match self.var("REGISTRY_AUTH_FILE") {
            Some(path) => Some(path.into()),
            None => Some(self.runtime_dir()?.join("containers/auth.json")),
        }
    }

    /// A program of the PATH.
    fn find_program(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.var("PATH")?;
        std::env::split_paths(path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|file| {
                std::fs::metadata(file)
                    .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
            })
    }
}

#[cfg(test)]
#[path = "credentials/tests.rs"]
mod tests;
