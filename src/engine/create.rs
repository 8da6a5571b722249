//! Making containers and their first steps: create, start, wait for the end, last lines, signals, size.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::Value;

use crate::model::text::clean;
use crate::model::{ContainerId, ContainerKey};

use super::docker::Docker;
use super::error::EngineError;
use super::exec::TerminalSize;
use super::json;
use super::streamed::Streamed;
use super::transport::{self, REQUEST_TIMEOUT};
use super::{Engine, logs};

/// Making or removing a container on a machine that is busy with its disks.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Starting one: the hooks of a GPU runtime may have to wake the driver first.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// How often a removal is tried where the engine still holds the file system, and the time between.
const REMOVALS: u32 = 20;
const REMOVAL_GAP: Duration = Duration::from_millis(250);
/// Warnings of the engine that are passed on, and the characters of one.
const MAX_WARNINGS: usize = 20;
const MAX_WARNING: usize = 400;
/// A wait that says nothing for so long is asked after by a ping.
const QUIET: Duration = Duration::from_secs(20);
/// Bytes of a wait's answer that are read.
const MAX_WAIT: usize = 64 * 1024;

/// A container that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Which.
    pub key: ContainerKey,
    /// What the engine warned of, cleaned, at most 20.
    pub warnings: Vec<String>,
}

/// The end of a container's run, awaited. Dropped, it awaits nothing any more.
#[derive(Debug)]
pub struct Waiting {
    docker: Docker,
    exit: Streamed,
    /// Its removal, which is waited for after its end.
    removed: Option<Streamed>,
}

impl Engine {
    /// Makes a container from a create call's body. `platform` (`linux/arm64`) picks one of an image of
    /// several. A caller that stops waiting leaves none behind. Remove it with [`Self::remove_created`].
    ///
    /// # Errors
    /// The daemon's own: 404 for an image that is not there, 409 for a name in use, 400 for a body it takes
    /// amiss.
    pub async fn create(
        &self,
        body: &Value,
        name: Option<&str>,
        platform: Option<&str>,
    ) -> Result<Created, EngineError> {
        let Self::Docker(docker) = self;
        docker.create_kept(body.clone(), name, platform).await
    }

    /// Starts a container; one that runs already is fine. Waits at most 120 s.
    ///
    /// # Errors
    /// The daemon's own: what the runtime or a hook of it said. The container is then still there.
    pub async fn start(&self, key: ContainerKey) -> Result<(), EngineError> {
        let Self::Docker(docker) = self;
        let path = format!("/containers/{}/start", key.id);
        docker
            .change(Method::POST, &path, None, START_TIMEOUT)
            .await
            .map(|_| ())
    }

    /// Removes a container, running or not, with its anonymous volumes. One that is gone already is fine.
    ///
    /// # Errors
    /// The daemon's own, where it says no for longer than some seconds.
    pub async fn remove_created(&self, key: ContainerKey) -> Result<(), EngineError> {
        let Self::Docker(docker) = self;
        docker.remove_with_volumes(key).await
    }

    /// Waits until a container does not run, and gives its exit status; at once where it has ended already.
    ///
    /// # Errors
    /// The daemon's own, a connection that is lost, and 404 where the container is gone.
    pub async fn wait(&self, key: ContainerKey) -> Result<i64, EngineError> {
        let Self::Docker(docker) = self;
        let waiting = Waiting {
            docker: docker.clone(),
            exit: docker.waiting(key, "not-running").await?,
            removed: None,
        };
        waiting.exit().await
    }

    /// Begins to wait for the end of a container's next run, before it is started: none is too short to be
    /// seen. `removed`: until the removal that follows it (`--rm`). The engine waits when this returns.
    ///
    /// # Errors
    /// The daemon's own.
    pub async fn wait_begin(
        &self,
        key: ContainerKey,
        removed: bool,
    ) -> Result<Waiting, EngineError> {
        let Self::Docker(docker) = self;
        Ok(Waiting {
            docker: docker.clone(),
            exit: docker.waiting(key, "next-exit").await?,
            // Two questions: Podman answers a wait for the removal with 0, whatever the exit status was.
            removed: match removed {
                true => Some(docker.waiting(key, "removed").await?),
                false => None,
            },
        })
    }

    /// The last lines of a container's log, oldest first, as plain text without controls; at most 1,000
    /// lines of at most 2,000 characters.
    ///
    /// # Errors
    /// The daemon's own: also where the container's log driver cannot be read.
    pub async fn tail(&self, key: ContainerKey, lines: usize) -> Result<Vec<String>, EngineError> {
        logs::tail(self, key, lines).await
    }

    /// Sends a running container's first process a signal (`SIGTERM`, `TERM`, `15`).
    ///
    /// # Errors
    /// The daemon's own: 409 where it does not run, 400 for a signal it does not know.
    pub async fn kill(&self, key: ContainerKey, signal: &str) -> Result<(), EngineError> {
        let Self::Docker(docker) = self;
        let path = format!("/containers/{}/kill?signal={}", key.id, encoded(signal));
        docker
            .change(Method::POST, &path, None, CHANGE_TIMEOUT)
            .await
            .map(|_| ())
    }

    /// Tells a container's own terminal its size.
    ///
    /// # Errors
    /// The daemon's own: also where it does not run.
    pub async fn resize(&self, key: ContainerKey, size: TerminalSize) -> Result<(), EngineError> {
        let Self::Docker(docker) = self;
        let path = format!(
            "/containers/{}/resize?h={}&w={}",
            key.id, size.rows, size.columns
        );
        docker
            .change(Method::POST, &path, None, REQUEST_TIMEOUT)
            .await
            .map(|_| ())
    }
}

impl Waiting {
    /// The exit status, once there is one. A long silence is no error while the engine answers a ping.
    ///
    /// # Errors
    /// The connection is lost, or the engine could not wait to the end.
    pub async fn exit(self) -> Result<i64, EngineError> {
        let status = answer(&self.docker, self.exit).await;
        let Some(removed) = self.removed else {
            return status;
        };
        let gone = answer(&self.docker, removed).await;
        // Where the end itself went by unseen, the removal's word is all there is.
        status.or(gone)
    }
}

/// Reads a wait's answer to its end.
async fn answer(docker: &Docker, mut body: Streamed) -> Result<i64, EngineError> {
    let mut answer = Vec::new();
    loop {
        match tokio::time::timeout(QUIET, body.next()).await {
            Err(_) => docker.ping().await?,
            Ok(None) => return exit_status(&answer),
            Ok(Some(data)) => {
                let data = data?;
                if answer.len() + data.len() > MAX_WAIT {
                    return Err(EngineError::Protocol("an endless answer".into()));
                }
                answer.extend_from_slice(data);
            }
        }
    }
}

/// What a wait's answer says.
fn exit_status(answer: &[u8]) -> Result<i64, EngineError> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Fault {
        #[serde(deserialize_with = "json::text")]
        message: Option<String>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Ended {
        #[serde(deserialize_with = "json::int")]
        status_code: Option<i64>,
        #[serde(deserialize_with = "json::object")]
        error: Fault,
    }
    if answer.trim_ascii().is_empty() {
        return Err(EngineError::closed());
    }
    let ended: Ended = json::parse(answer)?;
    let said = ended.error.message.unwrap_or_default();
    match ended.status_code {
        _ if !said.is_empty() => Err(EngineError::Status {
            code: 500,
            message: clean(&said, MAX_WARNING),
        }),
        Some(code) => Ok(code),
        None => Err(EngineError::Protocol("an end without a status".into())),
    }
}

impl Docker {
    /// See [`Engine::create`].
    async fn create_kept(
        &self,
        body: Value,
        name: Option<&str>,
        platform: Option<&str>,
    ) -> Result<Created, EngineError> {
        let docker = self.clone();
        let (name, platform) = (name.map(str::to_owned), platform.map(str::to_owned));
        self.kept(async move {
            docker
                .create_once(&body, name.as_deref(), platform.as_deref())
                .await
        })
        .await
    }

    /// Makes a container in a task of its own, and removes it where nobody waits for it any more: the engine
    /// may have made it by then.
    pub(super) async fn kept(
        &self,
        making: impl Future<Output = Result<Created, EngineError>> + Send + 'static,
    ) -> Result<Created, EngineError> {
        let docker = self.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            if let Err(Ok(nobodys)) = tell.send(making.await) {
                let _ = docker.remove_with_volumes(nobodys.key).await;
            }
        });
        told.await
            .unwrap_or_else(|_| Err(EngineError::Gone("the program is ending".into())))
    }

    /// Asks to be told of a container's state.
    async fn waiting(&self, key: ContainerKey, condition: &str) -> Result<Streamed, EngineError> {
        let path = format!("/containers/{}/wait?condition={condition}", key.id);
        self.stream(Request::post(path), REQUEST_TIMEOUT).await
    }

    /// One create call.
    pub(super) async fn create_once(
        &self,
        body: &Value,
        name: Option<&str>,
        platform: Option<&str>,
    ) -> Result<Created, EngineError> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        struct Answer {
            #[serde(deserialize_with = "json::text")]
            id: Option<String>,
            #[serde(deserialize_with = "json::texts")]
            warnings: Vec<String>,
        }
        let asked = [("name", name), ("platform", platform)];
        let query: Vec<String> = asked
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", encoded(value?))))
            .collect();
        let path = match query.is_empty() {
            true => "/containers/create".to_owned(),
            false => format!("/containers/create?{}", query.join("&")),
        };
        let answer = self
            .change(Method::POST, &path, Some(body.to_string()), CHANGE_TIMEOUT)
            .await?;
        let answer: Answer = json::parse(&answer)?;
        Ok(Created {
            key: self.key_of(answer.id.as_deref().unwrap_or_default())?,
            warnings: warnings(&answer.warnings),
        })
    }

    /// Removes a container by force, with its anonymous volumes. One that is gone already is fine.
    pub(super) async fn remove_with_volumes(&self, key: ContainerKey) -> Result<(), EngineError> {
        let path = format!("/containers/{}?force=1&v=1", key.id);
        let mut tries = 0;
        loop {
            tries += 1;
            match self
                .change(Method::DELETE, &path, None, CHANGE_TIMEOUT)
                .await
            {
                Ok(_) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                // An export that was given up is still being taken down, or another removal is under way.
                Err(EngineError::Status { code, .. })
                    if tries < REMOVALS && (code == 409 || code >= 500) =>
                {
                    tokio::time::sleep(REMOVAL_GAP).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The key of a full id that the engine gave.
    pub(super) fn key_of(&self, id: &str) -> Result<ContainerKey, EngineError> {
        let id = ContainerId::parse(id)
            .ok_or_else(|| EngineError::Protocol("a container without an id".into()))?;
        Ok(ContainerKey {
            host: self.host(),
            id,
        })
    }

    /// Sends a request that changes something and reads its answer.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: Duration,
    ) -> Result<Bytes, EngineError> {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(hyper::header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let response = self.transport().request(request, deadline).await?;
        let response = transport::success(response, REQUEST_TIMEOUT).await?;
        transport::read_body(response.into_body(), REQUEST_TIMEOUT, MAX_ANSWER).await
    }
}

fn warnings(said: &[String]) -> Vec<String> {
    said.iter()
        .map(|text| clean(text, MAX_WARNING))
        .filter(|text| !text.is_empty())
        .take(MAX_WARNINGS)
        .collect()
}

/// Everything but letters and digits percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waits_answer_is_a_status_or_says_why_not() {
        assert_eq!(exit_status(b"{\"StatusCode\":137}\n"), Ok(137));
        assert_eq!(exit_status(b"{\"Error\":null,\"StatusCode\":0}"), Ok(0));
        for bad in [
            &b""[..],
            b"\n",
            b"{}",
            b"[]",
            b"{\"StatusCode\":\"x\"}",
            b"{\"StatusCode\":0,\"Error\":{\"Message\":\"no such container\"}}",
        ] {
            assert!(exit_status(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn warnings_are_clean_and_few() {
        let said: Vec<String> = std::iter::once("\u{1b}[2Jno\nswap".to_owned())
            .chain((0..100).map(|n| n.to_string().repeat(1000)))
            .collect();
        let told = warnings(&said);
        assert_eq!((told.len(), told[0].as_str()), (MAX_WARNINGS, "no swap"));
        assert!(told.iter().all(|text| text.chars().count() <= MAX_WARNING));
        assert!(warnings(&["\n".into()]).is_empty());
    }

    #[test]
    fn a_query_holds_nothing_but_letters_and_digits() {
        assert_eq!(encoded("{\"a\":[1]}"), "%7B%22a%22%3A%5B1%5D%7D");
        assert_eq!(encoded("linux/arm64"), "linux%2Farm64");
    }
}
