//! Docker and Podman: connect, list, events, statistics, logs, shells, images.
//!
//! No bollard or hyper type leaves this module. [`Engine`] is the one seam: a real engine or the simulated
//! one.

pub mod attach;
mod context;
mod convert;
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
mod sampler;
mod session;
pub mod source;
mod ssh;
mod stats;
mod tls;
pub mod transport;
mod turns;
mod upgrade;

pub use docker::Docker;
pub use endpoint::{Asked, Env};
pub use error::EngineError;
pub use source::{EngineHandle, EngineLanes, SourceConfig};

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
