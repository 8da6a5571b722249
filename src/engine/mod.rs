//! Docker and Podman over bollard: connect, list, events, statistics, logs, shells, images.
//!
//! No bollard type leaves this module. `Engine` is the one seam: a real engine or the simulated one.

mod error;
pub mod transport;
mod upgrade;

pub use error::EngineError;

use crate::model::{Container, ContainerCommand, ContainerDetail, ContainerKey, Image, ImageId};

/// A connected engine; clones share the connection pool.
#[derive(Debug, Clone)]
pub enum Engine {}

impl Engine {
    /// All containers, stopped ones too: one request.
    pub async fn list(&self) -> Result<Vec<Container>, EngineError> {
        match *self {}
    }

    /// Inspect's facts.
    pub async fn inspect(&self, _key: ContainerKey) -> Result<ContainerDetail, EngineError> {
        match *self {}
    }

    /// Inspect as the engine gives it.
    pub async fn inspect_json(&self, _key: ContainerKey) -> Result<serde_json::Value, EngineError> {
        match *self {}
    }

    /// Image inspect as the engine gives it.
    pub async fn inspect_image_json(
        &self,
        _image: &ImageId,
    ) -> Result<serde_json::Value, EngineError> {
        match *self {}
    }

    /// The images of the store.
    pub async fn images(&self) -> Result<Vec<Image>, EngineError> {
        match *self {}
    }

    /// Acts on a container.
    pub async fn act(
        &self,
        _key: ContainerKey,
        _command: &ContainerCommand,
    ) -> Result<(), EngineError> {
        match *self {}
    }
}
