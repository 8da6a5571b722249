//! Docker and Podman: connect, list, events, statistics, logs, shells, images.
//!
//! No bollard or hyper type leaves this module. [`Engine`] is the one seam: a real engine or the simulated
//! one.

pub mod attach;
mod attached;
mod build;
mod chunked;
mod coding;
mod context;
mod convert;
mod create;
mod docker;
pub mod endpoint;
mod error;
mod events;
pub mod exec;
mod grant;
mod info;
mod json;
pub mod logs;
mod problem;
mod pull;
pub mod registry;
mod sampler;
mod scan;
mod session;
pub mod source;
mod ssh;
mod stats;
mod streamed;
mod tls;
pub mod transport;
mod turns;
mod upgrade;

pub use attached::{Attached, Attaching};
pub use build::{BuildFault, BuildParams, BuildWord, CliReach};
pub use create::{Created, Waiting};
pub use docker::Docker;
pub use endpoint::{Asked, Env};
pub use error::EngineError;
pub use pull::{LayerProgress, Logins, PullError, PullFault, PullProgress};
pub use scan::{EXPORT_IDLE, Export, ScanContainer};
pub use source::{Connected, EngineHandle, EngineLanes, SourceConfig, connect, connect_simulated};

use crate::model::{
    Container, ContainerCommand, ContainerDetail, ContainerKey, ContainerUsage, Image, ImageId,
};

/// A connected engine; clones share the connection pool.
#[derive(Debug, Clone)]
pub enum Engine {
    /// A real one.
    Docker(Docker),
}

impl Engine {
    /// All containers, stopped ones too: one request.
    pub async fn list(&self) -> Result<Vec<Container>, EngineError> {
        match self {
            Self::Docker(docker) => Ok(docker.list().await?.0.containers),
        }
    }

    /// Whether it is Podman; one that does not say is not.
    pub async fn is_podman(&self) -> bool {
        match self {
            Self::Docker(docker) => docker.facts().await.is_ok_and(|facts| facts.is_podman()),
        }
    }

    /// Inspect's facts.
    pub async fn inspect(&self, key: ContainerKey) -> Result<ContainerDetail, EngineError> {
        match self {
            Self::Docker(docker) => docker.inspect(key).await,
        }
    }

    /// Inspect as the engine gives it.
    pub async fn inspect_json(&self, key: ContainerKey) -> Result<serde_json::Value, EngineError> {
        match self {
            Self::Docker(docker) => docker.inspect_json(key).await,
        }
    }

    /// Image inspect as the engine gives it.
    pub async fn inspect_image_json(
        &self,
        image: &ImageId,
    ) -> Result<serde_json::Value, EngineError> {
        match self {
            Self::Docker(docker) => docker.inspect_image_json(image).await,
        }
    }

    /// The image of a reference (name, tag, digest, id or the beginning of one) and its inspect as the engine
    /// gives it; `None` where there is none, also for text that no image can be named with.
    pub async fn find_image(
        &self,
        reference: &str,
    ) -> Result<Option<(ImageId, serde_json::Value)>, EngineError> {
        match self {
            Self::Docker(docker) => docker.find_image(reference).await,
        }
    }

    /// The container of a name, an id or the beginning of one, and its inspect as the engine gives it; `None`
    /// where there is none.
    pub async fn find_container(
        &self,
        name_or_id: &str,
    ) -> Result<Option<(ContainerKey, serde_json::Value)>, EngineError> {
        match self {
            Self::Docker(docker) => docker.find_container(name_or_id).await,
        }
    }

    /// Makes a container of an image for reading its file system; it is never started. `platform`
    /// (`linux/arm64`) picks one of an image of several. A caller that stops waiting leaves none behind.
    /// Remove it with [`Self::remove_scan_container`].
    pub async fn create_scan_container(
        &self,
        image: &ImageId,
        platform: Option<&str>,
    ) -> Result<ScanContainer, EngineError> {
        match self {
            Self::Docker(docker) => docker.create_scan_container(image, platform).await,
        }
    }

    /// The container's file system as a tar stream, over a connection of its own; running or not.
    pub async fn export(&self, key: ContainerKey) -> Result<Export, EngineError> {
        self.export_within(key, EXPORT_IDLE).await
    }

    /// As [`Self::export`], with the longest silence that is borne.
    pub async fn export_within(
        &self,
        key: ContainerKey,
        idle: std::time::Duration,
    ) -> Result<Export, EngineError> {
        match self {
            Self::Docker(docker) => docker.export(key, idle).await,
        }
    }

    /// Removes a container that was made for a scan, with its volumes. One that is gone already is fine.
    pub async fn remove_scan_container(&self, key: ContainerKey) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.remove_with_volumes(key).await,
        }
    }

    /// Removes what scans of this machine left behind whose process is gone; those of living processes and
    /// of other machines stay. Says how many were removed.
    pub async fn sweep_scan_containers(&self) -> Result<usize, EngineError> {
        match self {
            Self::Docker(docker) => docker.sweep_scan_containers().await,
        }
    }

    /// The images of the store.
    pub async fn images(&self) -> Result<Vec<Image>, EngineError> {
        match self {
            Self::Docker(docker) => docker.images().await,
        }
    }

    /// One reading of a container's usage; `None` where it does not run.
    pub async fn usage(&self, key: ContainerKey) -> Result<Option<ContainerUsage>, EngineError> {
        match self {
            Self::Docker(docker) => docker.usage(key).await,
        }
    }

    /// Builds an image with the engine's own builder. `context` is a tar stream as it is read, `registries`
    /// the value of `X-Registry-Config`; `told` hears every word. Stops when `stop` is done: the engine then
    /// stops too and removes what it made.
    ///
    /// # Errors
    /// The build failed, was stopped, or the engine does not do it.
    pub async fn build(
        &self,
        params: &BuildParams,
        registries: Option<&str>,
        context: tokio::sync::mpsc::Receiver<std::io::Result<bytes::Bytes>>,
        told: &mut (dyn FnMut(BuildWord) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), BuildFault> {
        match self {
            Self::Docker(docker) => docker.build(params, registries, context, told, stop).await,
        }
    }

    /// How Docker's own command reaches this engine; `None` where it cannot.
    pub fn cli_reach(&self) -> Option<CliReach> {
        match self {
            Self::Docker(docker) => docker.transport().cli_reach().cloned(),
        }
    }

    /// What the engine says of itself, without what was configured here.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn about(&self) -> Result<crate::model::EngineInfo, EngineError> {
        match self {
            Self::Docker(docker) => docker.about().await,
        }
    }

    /// Acts on a container and waits until the engine says that it is done.
    pub async fn act(
        &self,
        key: ContainerKey,
        command: &ContainerCommand,
    ) -> Result<(), EngineError> {
        match self {
            Self::Docker(docker) => docker.act(key, command).await,
        }
    }
}
