//! The content of an image: a bounded walk over its file system, detectors, ELF and fatbinary readers.

pub mod config;
pub mod content;
pub mod elf;
pub mod fatbin;
pub mod tar;

use std::sync::Arc;

pub use config::Config;
pub use content::Content;

/// What is known of an image: its configuration, and its content where that was scanned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Its configuration.
    pub config: Config,
    /// What a scan kept.
    pub content: Option<Arc<Content>>,
}
