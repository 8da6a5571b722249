//! From a project folder to an image: the context with its `.dockerignore`, the engine's builder or
//! `docker buildx`, and what the Dockerfile exposes.

pub mod init;

use std::path::PathBuf;

use crate::launch::PortAsk;
use crate::model::ImageId;

/// What is to be built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildAsk {
    /// The context folder.
    pub folder: PathBuf,
    /// `-f`; `None` is the context's `Dockerfile`.
    pub dockerfile: Option<PathBuf>,
    /// `-t`, as many as wanted.
    pub tags: Vec<String>,
    /// `--build-arg NAME[=VALUE]`; `None` takes the value of whoever builds.
    pub args: Vec<(String, Option<String>)>,
    /// `--target`.
    pub target: Option<String>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--pull`: ask for newer base images.
    pub pull: bool,
    /// `--platform`.
    pub platform: Option<String>,
}

/// What a build tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildNews {
    /// Who builds, and why that one (`docker buildx 0.17`, `the engine's own builder: …`).
    Builder(String),
    /// Bytes of the context sent, and how many there are.
    Context {
        /// Sent.
        bytes: u64,
        /// All, once they are counted.
        total_bytes: Option<u64>,
    },
    /// A line of its log, control characters removed.
    Line(String),
    /// The same line again with a newer text (a progress bar).
    Replace(String),
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub image: ImageId,
    /// What it is to be called: the first tag, else the id.
    pub name: String,
    /// The ports that it exposes.
    pub exposed: Vec<PortAsk>,
}
