//! What the engine says of an image.

use jiff::Timestamp;

use super::ImageId;

/// One image of the engine's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Content id.
    pub id: ImageId,
    /// `name:tag`, as many as it has; empty for a dangling image.
    pub tags: Vec<String>,
    /// Size of all its layers, bytes.
    pub size_bytes: Option<u64>,
    /// When it was built.
    pub created_at: Option<Timestamp>,
    /// Containers that were made from it, where the engine counts them.
    pub containers: Option<u64>,
}

impl Image {
    /// The first tag, else the short id.
    pub fn display_name(&self) -> &str {
        match self.tags.first() {
            Some(tag) => tag,
            None => {
                let id: &str = &self.id.0;
                let hex = id.strip_prefix("sha256:").unwrap_or(id);
                hex.get(..12).unwrap_or(hex)
            }
        }
    }
}
