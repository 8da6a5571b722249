//! What one pass over a file system leaves behind: the paths, links, small texts and libraries that tell
//! something. It is what the cache keeps; the detectors turn it into facts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::elf::ElfFacts;

/// A path that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// A regular file of this size, bytes.
    File(u64),
    /// A symbolic or hard link to this path, as written for a symbolic link, from the root for a hard one.
    Link(String),
    /// A folder whose presence tells something.
    Folder,
}

/// What was kept of a file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Paths without leading slash.
    pub nodes: BTreeMap<String, Node>,
    /// Small text files.
    pub texts: BTreeMap<String, String>,
    /// Libraries and programs that have device code, need CUDA or are part of a driver.
    pub elves: BTreeMap<String, ElfFacts>,
    /// Packages of the distribution that have to do with CUDA or the C library: name and version.
    pub packages: Vec<(String, String)>,
    /// glibc's own version text.
    pub glibc: Option<String>,
    /// Bytes that were read.
    pub bytes: u64,
    /// Entries that were seen.
    pub entries: u64,
    /// What could not be read, in words.
    pub gaps: Vec<String>,
}
