//! What the user chose on screen and wants again: columns, sort, view. Kept apart from the configuration
//! file, which is the user's own to write.

use serde::{Deserialize, Serialize};

/// Choices made on screen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Preferences {
    /// Column names of the container list, in order; empty is the default set.
    pub columns: Vec<String>,
    /// Sort column's name.
    pub sort: Option<String>,
    /// Whether the order is reversed.
    pub sort_reversed: bool,
    /// Whether stopped containers are shown.
    pub show_stopped: Option<bool>,
    /// Log timestamps.
    pub log_timestamps: bool,
    /// Log wrap.
    pub log_wrap: Option<bool>,
}
