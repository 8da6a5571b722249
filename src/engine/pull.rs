//! Fetching an image from a registry.

/// How far a pull is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// What is pulled.
    pub reference: String,
    /// The layers, in the order of their first mention.
    pub layers: Vec<LayerProgress>,
    /// Bytes fetched of the layers whose size is known.
    pub bytes: u64,
    /// Bytes of the layers whose size is known.
    pub total_bytes: u64,
    /// The newest line that is of no layer.
    pub line: String,
}

/// One layer of a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerProgress {
    /// Its short id.
    pub id: String,
    /// The engine's word: `Downloading`, `Extracting`, `Pull complete`…
    pub status: String,
    /// Bytes done of the present step.
    pub bytes: u64,
    /// Bytes of the present step, where told.
    pub total_bytes: Option<u64>,
}
