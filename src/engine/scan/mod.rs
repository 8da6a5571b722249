//! What reading an image's content needs of the engine: finding it, a container that is never started, its
//! file system as a stream, and leaving nothing behind.

mod export;
mod owner;

use std::path::Path;

use serde_json::{Value, json};

use crate::model::{ContainerKey, ContainerState, ImageId};

use super::create::{Created, encoded};
use super::docker::{Docker, in_path};
use super::error::EngineError;
use super::json::{self, List};

pub use export::{EXPORT_IDLE, Export};
pub(super) use owner::{COMMAND, LABEL};

use owner::Owner;

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

    /// See [`super::Engine::create_scan_container`].
    pub(super) async fn create_scan_container(
        &self,
        image: &ImageId,
        platform: Option<&str>,
    ) -> Result<ScanContainer, EngineError> {
        let docker = self.clone();
        let (image, platform) = (image.clone(), platform.map(str::to_owned));
        let made = self
            .kept(async move { docker.create_for_scan(&image, platform.as_deref()).await })
            .await?;
        Ok(ScanContainer { key: made.key })
    }

    async fn create_for_scan(
        &self,
        image: &ImageId,
        platform: Option<&str>,
    ) -> Result<Created, EngineError> {
        let volumes = match self.find_image(&image.0).await? {
            Some((_, value)) => volumes(&value),
            None => Vec::new(),
        };
        let owner = Owner::this(Path::new("/"));
        let plain = creation(image, &owner, &[]);
        if platform.is_some() || !volumes.is_empty() {
            match self
                .create_once(&creation(image, &owner, &volumes), None, platform)
                .await
            {
                // An engine that takes the platform's name or a volume's path amiss is asked plainly.
                Err(EngineError::Status { code, .. }) if (400..500).contains(&code) => {}
                other => return other,
            }
        }
        self.create_once(&plain, None, None).await
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
            self.remove_with_volumes(key).await?;
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
    }
}
