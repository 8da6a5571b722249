//! The content of an image: a bounded walk over its file system, detectors, ELF and fatbinary readers.

pub mod archive;
pub mod cache;
pub mod config;
pub mod content;
mod decompress;
mod detect;
pub mod elf;
pub mod fatbin;
mod interest;
mod kept;
mod packages;
pub mod tar;
pub mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::verdict::facts::ImageFacts;

pub use config::Config;
pub use content::Content;

/// What is known of an image: its configuration, and its content where that was scanned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Its configuration.
    pub config: Config,
    /// What a scan kept.
    pub content: Option<Arc<Content>>,
    /// The content is that of a container that has run: empty driver libraries are where the host's were
    /// mounted.
    pub live: bool,
}

impl Known {
    /// What the verdict needs to know of it.
    pub fn facts(&self) -> ImageFacts {
        detect::facts(&self.config, self.content.as_deref(), self.live)
    }
}
