//! What reading an image's content needs of the engine: finding it, a container that is never started, its
//! file system as a stream, and leaving nothing behind.

mod export;
mod owner;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::model::{ContainerId, ContainerKey, ContainerState, ImageId};

use super::docker::{Docker, in_path};
use super::error::EngineError;
use super::json::{self, List};
use super::transport::{self, REQUEST_TIMEOUT};

pub use export::{EXPORT_IDLE, Export};
pub(super) use owner::{COMMAND, LABEL};

use owner::Owner;

/// Making or removing a container on a machine that is busy with its disks.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// How often a removal is tried where the engine still holds the file system, and the time between.
const REMOVALS: u32 = 20;
const REMOVAL_GAP: Duration = Duration::from_millis(250);
/// Most volumes of an image that are kept from being made.
const MAX_VOLUMES: usize = 256;

/// A container made for a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanContainer {
    /// Which.
    pub key: ContainerKey,
}

impl Docker {
    /// See [`super::Engine::find_image`].
    pub(super) async fn find_image(
        &self,
        reference: &str,
    ) -> Result<Option<(ImageId, Value)>, EngineError> {
        if !fits_in_path(reference) {
            return Ok(None);
        }
        let path = format!("/images/{}/json", in_path(reference));
        let body = match self.get(&path).await {
            Ok(body) => body,
            Err(error) if error.is_not_found() || no_reference(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let value: Value = json::parse(&body)?;
        let id = value.get("Id").and_then(Value::as_str).unwrap_or_default();
        let id = crate::model::text::clean(id, 128);
        if id.is_empty() {
            return Err(EngineError::Protocol("an image without an id".into()));
        }
        // Podman leaves the algorithm out in some answers.
        let id = match id.contains(':') {
            true => id,
            false => format!("sha256:{id}"),
        };
        Ok(Some((ImageId(id.into()), value)))
    }

    /// See [`super::Engine::find_container`].
    pub(super) async fn find_container(
        &self,
        name_or_id: &str,
    ) -> Result<Option<(ContainerKey, Value)>, EngineError> {
        let name = name_or_id.strip_prefix('/').unwrap_or(name_or_id);
        if !fits_in_path(name) || name.contains('/') {
            return Ok(None);
        }
        let path = format!("/containers/{}/json", in_path(name));
        let body = match self.get(&path).await {
            Ok(body) => body,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let value: Value = json::parse(&body)?;
        let id = value.get("Id").and_then(Value::as_str).unwrap_or_default();
        Ok(Some((self.key_of(id)?, value)))
    }

    fn key_of(&self, id: &str) -> Result<ContainerKey, EngineError> {
        let id = ContainerId::parse(id)
            .ok_or_else(|| EngineError::Protocol("a container without an id".into()))?;
        Ok(ContainerKey {
            host: self.host(),
            id,
        })
    }

    /// See [`super::Engine::create_scan_container`].
    pub(super) async fn create_scan_container(
        &self,
        image: &ImageId,
        platform: Option<&str>,
    ) -> Result<ScanContainer, EngineError> {
        // In a task of its own: the engine may have made it when the caller no longer waits.
        let (docker, image) = (self.clone(), image.clone());
        let platform = platform.map(str::to_owned);
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let made = docker.create(&image, platform.as_deref()).await;
            if let Err(Ok(nobodys)) = tell.send(made) {
                let _ = docker.remove_scan_container(nobodys.key).await;
            }
        });
        told.await
            .unwrap_or_else(|_| Err(EngineError::Gone("the program is ending".into())))
    }

    async fn create(
        &self,
        image: &ImageId,
        platform: Option<&str>,
    ) -> Result<ScanContainer, EngineError> {
        let volumes = match self.find_image(&image.0).await? {
            Some((_, value)) => volumes(&value),
            None => Vec::new(),
        };
        let owner = Owner::this(Path::new("/"));
        let plain = creation(image, &owner, &[]);
        if platform.is_some() || !volumes.is_empty() {
            match self
                .create_by(&creation(image, &owner, &volumes), platform)
                .await
            {
                // An engine that takes the platform's name or a volume's path amiss is asked plainly.
                Err(EngineError::Status { code, .. }) if (400..500).contains(&code) => {}
                other => return other,
            }
        }
        self.create_by(&plain, None).await
    }

    async fn create_by(
        &self,
        body: &Value,
        platform: Option<&str>,
    ) -> Result<ScanContainer, EngineError> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Created {
            #[serde(rename = "Id", deserialize_with = "json::text")]
            id: Option<String>,
        }
        let path = match platform {
            Some(platform) => format!(
                "/containers/create?platform={}",
                in_path(platform).replace('/', "%2F").replace('+', "%2B")
            ),
            None => "/containers/create".into(),
        };
        let answer = self
            .change(Method::POST, &path, Some(body.to_string()))
            .await?;
        let created: Created = json::parse(&answer)?;
        let key = self.key_of(created.id.as_deref().unwrap_or_default())?;
        Ok(ScanContainer { key })
    }

    /// Sends a request that changes something and reads its answer.
    async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Bytes, EngineError> {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(hyper::header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|e| EngineError::Protocol(e.to_string()))?;
        let response = self.transport().request(request, CHANGE_TIMEOUT).await?;
        let response = transport::success(response, REQUEST_TIMEOUT).await?;
        transport::read_body(response.into_body(), REQUEST_TIMEOUT, MAX_ANSWER).await
    }

    /// See [`super::Engine::remove_scan_container`].
    pub(super) async fn remove_scan_container(&self, key: ContainerKey) -> Result<(), EngineError> {
        let path = format!("/containers/{}?force=1&v=1", key.id);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.change(Method::DELETE, &path, None).await {
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

    /// See [`super::Engine::sweep_scan_containers`].
    pub(super) async fn sweep_scan_containers(&self) -> Result<usize, EngineError> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        struct Row {
            #[serde(deserialize_with = "json::text")]
            id: Option<String>,
            #[serde(deserialize_with = "json::text")]
            state: Option<String>,
            #[serde(deserialize_with = "json::text")]
            command: Option<String>,
            #[serde(deserialize_with = "json::object")]
            labels: Owner,
        }
        let root = Path::new("/");
        let here = Owner::this(root);
        let filters = json!({"label": [format!("{LABEL}={}", here.machine())]}).to_string();
        let filters = encoded(&filters);
        let body = self
            .get(&format!("/containers/json?all=1&filters={filters}"))
            .await?;
        let rows: List<Row> = json::parse(&body)?;
        let mut removed = 0;
        for row in rows.iter() {
            let state = row.state.as_deref().map(ContainerState::parse);
            if !is_scan(true, row.command.as_deref(), state) || !row.labels.is_gone(&here, root) {
                continue;
            }
            let Ok(key) = self.key_of(row.id.as_deref().unwrap_or_default()) else {
                continue;
            };
            self.remove_scan_container(key).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Whether a row is a scan's container. An image may carry the label too: what runs, has run or has another
/// command is somebody's.
pub(super) fn is_scan(
    labelled: bool,
    command: Option<&str>,
    state: Option<ContainerState>,
) -> bool {
    use ContainerState as S;
    labelled
        && command.is_some_and(|command| command.ends_with(COMMAND))
        && matches!(state, Some(S::Created | S::Removing | S::Dead))
}

/// Whether it can be a name in a path: engines redirect away from what holds `..` and the like.
fn fits_in_path(name: &str) -> bool {
    name.len() <= 4096
        && !name.is_empty()
        && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// dockerd answers 400 to text that cannot be an image's name.
fn no_reference(error: &EngineError) -> bool {
    matches!(error, EngineError::Status { code: 400, message } if message.contains("invalid reference"))
}

/// Everything but letters and digits percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// The volumes that the image asks for.
fn volumes(image: &Value) -> Vec<String> {
    let all = image.pointer("/Config/Volumes").and_then(Value::as_object);
    all.into_iter()
        .flat_map(|all| all.keys())
        .filter(|path| path.starts_with('/'))
        .take(MAX_VOLUMES)
        .cloned()
        .collect()
}

/// The body of the request.
fn creation(image: &ImageId, owner: &Owner, volumes: &[String]) -> Value {
    let labels: serde_json::Map<String, Value> = owner
        .labels()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    // In a volume's place: making one would copy the image's files into it.
    let mounts: Vec<Value> = volumes
        .iter()
        .map(|path| json!({"Type": "tmpfs", "Target": path}))
        .collect();
    json!({
        "Image": &*image.0, "Cmd": [COMMAND], "Entrypoint": [], "WorkingDir": "/", "Labels": labels,
        "NetworkDisabled": true,
        "HostConfig": {
            "NetworkMode": "none", "LogConfig": {"Type": "none"}, "RestartPolicy": {"Name": "no"},
            "Mounts": mounts,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        for good in ["a", "a/b:1", "sha256:ab", "host:5000/x/y@sha256:00", "Foo"] {
            assert!(fits_in_path(good), "{good}");
        }
        for bad in ["", "/", "a//b", "..", "a/../b", "./a", "/a", "a/"] {
            assert!(!fits_in_path(bad), "{bad}");
        }
    }

    #[test]
    fn only_a_scans_own_container_is_one() {
        use ContainerState as S;
        let command = Some("midwatch-scan");
        assert!(is_scan(true, command, Some(S::Created)));
        // Podman puts the image's entrypoint before it.
        assert!(is_scan(
            true,
            Some("/entry midwatch-scan"),
            Some(S::Created)
        ));
        for (labelled, command, state) in [
            (false, command, Some(S::Created)),
            (true, Some("python"), Some(S::Created)),
            (true, None, Some(S::Created)),
            (true, command, Some(S::Running)),
            (true, command, Some(S::Exited)),
            (true, command, None),
        ] {
            assert!(!is_scan(labelled, command, state), "{command:?} {state:?}");
        }
    }

    #[test]
    fn the_request_leaves_nothing_of_the_image_in_force() {
        let image = ImageId("sha256:ab".into());
        let told = json!({"Config": {"Volumes": {"/data": {}, "odd": {}}}});
        let volumes = volumes(&told);
        assert_eq!(volumes, ["/data"]);
        let body = creation(&image, &Owner::this(Path::new("/")), &volumes);
        assert_eq!(body["Image"], "sha256:ab");
        assert_eq!(body["Cmd"], json!(["midwatch-scan"]));
        assert_eq!(body["Entrypoint"], json!([]));
        assert_eq!(body["HostConfig"]["Mounts"][0]["Target"], "/data");
        assert!(body["Labels"][LABEL].is_string());
        assert_eq!(encoded("{\"a\":[1]}"), "%7B%22a%22%3A%5B1%5D%7D");
    }
}
