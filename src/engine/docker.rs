//! A connected engine of flesh: Docker, or Podman's compatible socket.
//!
//! What is read often is read with own lean structures over [`Transport`]; what changes containers goes
//! through bollard, over the same transport.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bollard::query_parameters as query;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;

use crate::model::{
    ContainerCommand, ContainerDetail, ContainerKey, ContainerState, ContainerUsage, HostId, Image,
    ImageId, Stamp,
};

use super::convert::{self, Listing};
use super::error::EngineError;
use super::info::{Answered, Facts};
use super::stats::{self, CpuSample};
use super::transport::{self, REQUEST_TIMEOUT, Transport};

/// Bytes of a list that are read (5,000 containers make about 6 MB).
const MAX_LIST: usize = 256 * 1024 * 1024;
/// Bytes of one inspect or statistics answer that are read.
const MAX_INSPECT: usize = 16 * 1024 * 1024;
/// The engine's own stop timeout, where the container has none (dockerd's default).
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// How long an engine may take over an action besides the time a container has to end in.
const ACT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    host: HostId,
    bollard: OnceLock<Option<bollard::Docker>>,
    default_runtime: OnceLock<String>,
    cpu: Mutex<HashMap<ContainerKey, CpuSample>>,
}

/// A connected engine; clones share the connections. Futures need a tokio runtime.
#[derive(Debug, Clone)]
pub struct Docker {
    inner: Arc<Inner>,
}

impl Docker {
    /// An engine behind a transport; nothing is sent yet.
    pub fn new(transport: Transport, host: HostId) -> Self {
        Self {
            inner: Arc::new(Inner {
                transport,
                host,
                bollard: OnceLock::new(),
                default_runtime: OnceLock::new(),
                cpu: Mutex::default(),
            }),
        }
    }

    /// The connections to it.
    pub fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// The host that its containers' keys name.
    pub(super) fn host(&self) -> HostId {
        self.inner.host
    }

    /// All containers, stopped ones too, and what the answer's head told of the engine.
    pub async fn list(&self) -> Result<(Listing, Answered), EngineError> {
        self.list_path("/containers/json?all=1").await
    }

    /// The rows of these containers; those that are gone are not in it.
    pub async fn list_some(&self, keys: &[ContainerKey]) -> Result<Listing, EngineError> {
        let ids: Vec<String> = keys.iter().map(|k| format!("\"{}\"", k.id)).collect();
        // {"id":["…","…"]}, percent-encoded where a URI needs it.
        let filters = format!(
            "%7B%22id%22%3A%5B{}%5D%7D",
            ids.join(",").replace('"', "%22")
        );
        let path = format!("/containers/json?all=1&filters={filters}");
        Ok(self.list_path(&path).await?.0)
    }

    async fn list_path(&self, path: &str) -> Result<(Listing, Answered), EngineError> {
        let request = Request::get(path)
            .body(Full::default())
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let response = self.transport().request(request, REQUEST_TIMEOUT).await?;
        let response = transport::success(response, REQUEST_TIMEOUT).await?;
        let answered = Answered::from_headers(response.headers());
        let body =
            transport::read_body(response.into_body(), REQUEST_TIMEOUT * 2, MAX_LIST).await?;
        Ok((convert::list(&body, self.inner.host)?, answered))
    }

    /// Inspect's facts, with the GPU grant.
    pub async fn inspect(&self, key: ContainerKey) -> Result<ContainerDetail, EngineError> {
        Ok(self.inspect_live(key).await?.0)
    }

    /// Inspect's facts with the state, which is that of this moment (the list's may lag behind).
    pub(super) async fn inspect_live(
        &self,
        key: ContainerKey,
    ) -> Result<(ContainerDetail, Option<ContainerState>), EngineError> {
        let body = self.inspect_bytes(key).await?;
        convert::inspect(&body, self.inner.default_runtime.get().map(String::as_str))
    }

    async fn inspect_bytes(&self, key: ContainerKey) -> Result<Bytes, EngineError> {
        let path = format!("/containers/{}/json", key.id);
        self.get(&path).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Bytes, EngineError> {
        self.transport()
            .get(path, REQUEST_TIMEOUT, MAX_INSPECT)
            .await
    }

    /// Inspect as the engine gives it.
    pub async fn inspect_json(&self, key: ContainerKey) -> Result<serde_json::Value, EngineError> {
        super::json::parse(&self.inspect_bytes(key).await?)
    }

    /// Image inspect as the engine gives it.
    pub async fn inspect_image_json(
        &self,
        image: &ImageId,
    ) -> Result<serde_json::Value, EngineError> {
        let path = format!("/images/{}/json", in_path(&image.0));
        super::json::parse(&self.get(&path).await?)
    }

    /// The images of the store.
    pub async fn images(&self) -> Result<Vec<Image>, EngineError> {
        // A store with many images takes its time to add up their sizes.
        let limit = REQUEST_TIMEOUT * 4;
        let body = self
            .transport()
            .get("/images/json", limit, MAX_LIST)
            .await?;
        convert::images(&body)
    }

    /// One reading of a container's usage; `None` where it does not run. CPU is told from the second
    /// reading on.
    pub async fn usage(&self, key: ContainerKey) -> Result<Option<ContainerUsage>, EngineError> {
        let path = format!("/containers/{}/stats?stream=false&one-shot=true", key.id);
        let body = self.get(&path).await?;
        let cpu = || {
            self.inner
                .cpu
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let before = cpu().get(&key).copied();
        let read = stats::usage(&body, key, before, Stamp::now())?;
        Ok(read.map(|(usage, sample)| {
            match sample {
                Some(sample) => cpu().insert(key, sample),
                None => cpu().remove(&key),
            };
            usage
        }))
    }

    /// Drops the CPU samples of all other containers.
    pub(super) fn keep_samples(&self, keys: &[ContainerKey]) {
        let mut cpu = self
            .inner
            .cpu
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cpu.retain(|key, _| keys.contains(key));
    }

    /// Whether it is alive: the cheapest question there is.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.get("/_ping").await.map(|_| ())
    }

    /// What `/version` and `/info` tell; the default runtime is kept for reading grants.
    pub async fn facts(&self) -> Result<Facts, EngineError> {
        let (version, info) = tokio::join!(self.get("/version"), self.get("/info"));
        let facts = Facts::read(&version?, info.as_deref().unwrap_or(b"{}"))?;
        if let Some(runtime) = &facts.default_runtime {
            let _ = self.inner.default_runtime.set(runtime.clone());
        }
        Ok(facts)
    }

    /// Acts on a container and waits until the engine says that it is done.
    pub async fn act(
        &self,
        key: ContainerKey,
        command: &ContainerCommand,
    ) -> Result<(), EngineError> {
        use ContainerCommand as C;
        let id = key.id.to_string();
        let docker = self.bollard()?;
        let limit = self.act_limit(key, command).await;
        let acting = async {
            match command {
                C::Start => docker.start_container(&id, None).await,
                C::Stop { grace } => {
                    let options = query::StopContainerOptions {
                        signal: None,
                        t: seconds(*grace),
                    };
                    docker.stop_container(&id, Some(options)).await
                }
                C::Restart { grace } => {
                    let options = query::RestartContainerOptions {
                        signal: None,
                        t: seconds(*grace),
                    };
                    docker.restart_container(&id, Some(options)).await
                }
                C::Pause => docker.pause_container(&id).await,
                C::Unpause => docker.unpause_container(&id).await,
                C::Kill { signal } => {
                    let signal = signal.to_string();
                    let options = query::KillContainerOptions { signal };
                    docker.kill_container(&id, Some(options)).await
                }
                C::Remove { force, volumes } => {
                    let options = query::RemoveContainerOptions {
                        v: *volumes,
                        force: *force,
                        link: false,
                    };
                    docker.remove_container(&id, Some(options)).await
                }
                C::Rename { to } => {
                    let options = query::RenameContainerOptions { name: to.clone() };
                    docker.rename_container(&id, options).await
                }
            }
        };
        match tokio::time::timeout(limit, acting).await {
            Ok(result) => result.map_err(|e| from_bollard(&e)),
            Err(_) => Err(EngineError::Timeout {
                what: "the engine's answer",
                after: limit,
            }),
        }
    }

    /// How long an action may take: the container's time to end in, and 30 s.
    async fn act_limit(&self, key: ContainerKey, command: &ContainerCommand) -> Duration {
        let grace = match command {
            ContainerCommand::Stop { grace } | ContainerCommand::Restart { grace } => match grace {
                Some(grace) => *grace,
                None => match self.inspect_bytes(key).await {
                    Ok(body) => {
                        convert::stop_timeout(&body).map_or(DEFAULT_GRACE, Duration::from_secs)
                    }
                    Err(_) => DEFAULT_GRACE,
                },
            },
            _ => Duration::ZERO,
        };
        grace.saturating_add(ACT_TIMEOUT)
    }

    /// bollard over our transport, made when first needed.
    pub(super) fn bollard(&self) -> Result<&bollard::Docker, EngineError> {
        let made = self.inner.bollard.get_or_init(|| {
            let transport = self.inner.transport.clone();
            let send = move |request: bollard::BollardRequest| {
                let transport = transport.clone();
                async move {
                    // The caller of bollard has its own deadline; this one only ends what nobody awaits.
                    let request = request.map(BodyExt::boxed_unsync);
                    transport
                        .send(request, Duration::from_secs(24 * 3600))
                        .await
                        .map_err(|e| bollard::errors::Error::IOError {
                            err: std::io::Error::other(e),
                        })
                }
            };
            bollard::Docker::connect_with_custom_transport(
                send,
                Some("http://docker"),
                24 * 3600,
                bollard::API_DEFAULT_VERSION,
            )
            .ok()
        });
        made.as_ref()
            .ok_or_else(|| EngineError::Protocol("the client could not be made".into()))
    }
}

/// Whole seconds for the engine; a fraction rounds up, so that no grace becomes none.
fn seconds(grace: Option<Duration>) -> Option<i32> {
    let grace = grace?;
    let whole = grace
        .as_secs()
        .saturating_add(u64::from(grace.subsec_nanos() > 0));
    Some(i32::try_from(whole).unwrap_or(i32::MAX))
}

fn from_bollard(error: &bollard::errors::Error) -> EngineError {
    use bollard::errors::Error as E;
    match error {
        E::DockerResponseServerError {
            status_code,
            message,
        } => {
            let message = crate::model::text::clean(message, 600);
            EngineError::Status {
                code: *status_code,
                message: match message.is_empty() {
                    true => format!("HTTP status {status_code}"),
                    false => message,
                },
            }
        }
        E::IOError { err } => EngineError::from_io(err),
        E::HyperResponseError { err } => EngineError::from_hyper(err),
        other => EngineError::Protocol(crate::model::text::clean(&other.to_string(), 300)),
    }
}

/// A reference as one part of a path: slashes stay (engines route on them), all else that a path may not
/// hold is percent-encoded.
pub(super) fn in_path(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/@+".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_stays_one_path() {
        assert_eq!(in_path("sha256:abc"), "sha256:abc");
        assert_eq!(in_path("a/b:1 ?x#y%\r\n"), "a/b:1%20%3Fx%23y%25%0D%0A");
    }

    #[test]
    fn a_grace_of_a_fraction_is_not_none() {
        assert_eq!(seconds(None), None);
        assert_eq!(seconds(Some(Duration::ZERO)), Some(0));
        assert_eq!(seconds(Some(Duration::from_millis(1))), Some(1));
        assert_eq!(seconds(Some(Duration::MAX)), Some(i32::MAX));
    }
}
