//! From a word on the command line to what is to be judged: an image, a container, images in a file.

use std::path::Path;

use serde_json::Value;

use crate::engine::{Engine, EngineError};
use crate::inspect::archive::{self, ArchiveError};
use crate::inspect::cache::Cache;
use crate::inspect::{Config, Known};
use crate::join::{JoinInput, join};
use crate::model::{Container, ContainerKey, GpuKey, GpuSnapshot};

use super::scan::{ScanError, known};
use super::{Cancel, Progress, Subject, Told};

/// What a word stands for.
#[derive(Debug, Clone)]
pub enum Found {
    /// An image of the engine's store; its content where it was kept.
    Image(Subject, Box<Known>),
    /// A container; of its own file system nothing is known yet.
    Container(Box<Launched>),
    /// A file that is to be read as an archive.
    File,
    /// Nothing by that name.
    Absent,
}

/// A container as it was launched.
#[derive(Debug, Clone)]
pub struct Launched {
    /// Which.
    pub key: ContainerKey,
    /// Its configuration: the image's with the launch's over it.
    pub config: Config,
    /// Its row with its details; which GPUs it is given shows with NVML's picture ([`given`]).
    pub container: Option<Container>,
}

/// Whether a word can only be a file.
pub fn is_file_name(word: &str) -> bool {
    let name = word.to_ascii_lowercase();
    word.starts_with('/')
        || word.starts_with("./")
        || word.starts_with("../")
        || [".tar", ".tar.gz", ".tgz", ".oci"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Looks for an image, then a container, then a file of that name; what is written like a file is one.
///
/// # Errors
/// The engine does not answer.
pub async fn find(engine: &Engine, cache: &Cache, word: &str) -> Result<Found, ScanError> {
    if is_file_name(word) {
        return Ok(Found::File);
    }
    if let Some((id, _)) = engine.find_image(word).await? {
        let known = known(engine, cache, &id).await?;
        return Ok(Found::Image(Subject::Image(id), Box::new(known)));
    }
    if let Some((key, json)) = engine.find_container(word).await? {
        return Ok(Found::Container(Box::new(
            launched(engine, key, &json).await?,
        )));
    }
    Ok(match Path::new(word).is_file() {
        true => Found::File,
        false => Found::Absent,
    })
}

async fn launched(
    engine: &Engine,
    key: ContainerKey,
    json: &Value,
) -> Result<Launched, EngineError> {
    let image = json
        .get("Image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let base = match engine.find_image(image).await? {
        Some((_, json)) => Config::from_image(&json),
        // Its image may have been removed by force.
        None => Config::default(),
    };
    let detail = engine.inspect(key).await?;
    let mut container = engine.list().await?.into_iter().find(|c| c.key == key);
    if let Some(container) = &mut container {
        container.detail = Some(Box::new(detail));
    }
    Ok(Launched {
        key,
        config: base.of_container(json),
        container,
    })
}

/// The GPUs that a container of this machine is given; `None`: it was granted none.
pub fn given(container: &Container, gpus: &GpuSnapshot) -> Option<Vec<GpuKey>> {
    container.detail.as_ref()?.grant.as_ref()?;
    let joined = join(&JoinInput {
        containers: &[container],
        local: &|_| true,
        gpus,
        procs: None,
    });
    let own = joined.containers.get(&container.key)?;
    Some(own.given.iter().map(|gpu| gpu.key.clone()).collect())
}

/// Reads the images of a file on this thread.
///
/// # Errors
/// The file cannot be read or holds no image, or the caller cancelled.
pub fn file(
    path: &Path,
    platform: Option<&str>,
    told: &Told,
    cancel: &Cancel,
) -> Result<Vec<archive::Archived>, ArchiveError> {
    let began = std::time::Instant::now();
    let mut last = None::<std::time::Instant>;
    archive::read(path, platform, &mut |bytes, total| {
        if last.is_none_or(|at| at.elapsed() >= super::scan::TELL) {
            last = Some(std::time::Instant::now());
            told(Progress {
                bytes,
                total_bytes: Some(total),
                elapsed: began.elapsed(),
            });
        }
        !cancel.is_cancelled()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_told_from_references() {
        for word in [
            "/tmp/x",
            "./image",
            "../x.tar",
            "image.tar",
            "IMAGE.TAR",
            "x.tar.gz",
        ] {
            assert!(is_file_name(word), "{word}");
        }
        for word in [
            "ubuntu",
            "ubuntu:22.04",
            "registry:5000/a/b:c",
            "sha256:ab",
            "tar",
        ] {
            assert!(!is_file_name(word), "{word}");
        }
    }
}
