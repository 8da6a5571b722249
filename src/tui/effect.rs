//! What update asks the outside world to do, and what comes back.

use std::path::PathBuf;
use std::sync::Arc;

use crate::build::{BuildAsk, BuildError, BuildNews, Built};
use crate::check::{Progress, Subject};
use crate::inspect::Known;
use crate::model::{ContainerCommand, ContainerKey, ImageId, ProcKey, Signal};

/// Something to be done outside the UI thread (or to the terminal itself), asked by `update`.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Do this to exactly these containers, one task each.
    Act {
        /// The set the user confirmed.
        targets: Vec<ContainerKey>,
        /// What to do.
        command: ContainerCommand,
    },
    /// Send a signal to exactly this process (checked by start time first).
    SignalProcess {
        /// Which process.
        process: ProcKey,
        /// Which signal.
        signal: Signal,
    },
    /// Leave the screen, open a shell in the container, come back.
    Shell(ContainerKey),
    /// Fetch inspect's JSON for the Inspect and Env tabs.
    Inspect(ContainerKey),
    /// Fetch an image's inspect JSON.
    InspectImage(ImageId),
    /// Fetch the image list.
    FetchImages,
    /// Take away what checks that were killed left on the engine.
    Sweep,
    /// Find out what is known of these images without looking inside: configuration, and the cache.
    Know(Vec<ImageId>),
    /// Look inside; one check at a time is asked for.
    Check(Subject),
    /// Stop a check.
    CancelCheck(Subject),
    /// Build an image.
    Build {
        /// The build's number.
        id: u64,
        /// What is asked for.
        ask: Box<BuildAsk>,
    },
    /// Stop a build.
    CancelBuild(u64),
    /// Paths on this machine that a text could go on with.
    BuildPaths(String),
    /// Ask the log service (see `logs`).
    Log(crate::logs::LogCommand),
    /// Write text to a file that must not exist yet.
    SaveFile {
        /// Where.
        path: PathBuf,
        /// What.
        text: Arc<str>,
    },
    /// Put text on the user's clipboard (OSC 52).
    Copy(String),
    /// Switch mouse capture.
    Mouse(bool),
    /// Let go of NVML (`true`) or take it again.
    ReleaseGpus(bool),
    /// These containers' rows are on the screen: whose statistics are worth asking a remote engine for.
    Visible(Vec<ContainerKey>),
    /// List everything again.
    Relist,
    /// Draw every cell anew.
    Redraw,
    /// Write preferences.
    SavePreferences(Box<crate::tui::preferences::Preferences>),
    /// Stop as for Ctrl-Z.
    Suspend,
    /// Leave.
    Quit,
}

/// What came of an effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// An action on one container ended; the text is the engine's own.
    Acted {
        /// Which.
        key: ContainerKey,
        /// What was asked.
        command: ContainerCommand,
        /// How it ended.
        result: Result<(), String>,
    },
    /// A signal was sent or refused.
    Signalled {
        /// Which process.
        process: ProcKey,
        /// How it ended.
        result: Result<(), String>,
    },
    /// A shell ended, or could not be opened.
    ShellEnded(Result<(), String>),
    /// Inspect's JSON.
    Inspected {
        /// Which.
        key: ContainerKey,
        /// The JSON, or why not.
        result: Result<Arc<serde_json::Value>, String>,
    },
    /// An image's inspect JSON.
    ImageInspected {
        /// Which.
        id: ImageId,
        /// The JSON, or why not.
        result: Result<Arc<serde_json::Value>, String>,
    },
    /// What is known of an image.
    Known {
        /// Which.
        image: ImageId,
        /// What, or why nothing.
        result: Result<Arc<Known>, String>,
    },
    /// How far a check is; told a few times a second at most.
    CheckProgress {
        /// Of what.
        subject: Subject,
        /// How far.
        progress: Progress,
    },
    /// A check ended.
    Checked {
        /// Of what.
        subject: Subject,
        /// What was found, or why nothing; `cancelled` where it was asked to stop.
        result: Result<Arc<Known>, String>,
    },
    /// What a build said; told many times a second at most.
    BuildNews {
        /// The build's number.
        id: u64,
        /// Its words, oldest first.
        news: Vec<BuildNews>,
    },
    /// A build ended.
    Built {
        /// The build's number.
        id: u64,
        /// How.
        result: Result<Built, BuildError>,
    },
    /// Paths that a text could go on with.
    BuildPaths {
        /// The text.
        text: String,
        /// Whole paths, folders with `/` at the end.
        paths: Vec<String>,
    },
    /// Images could not be listed (the list itself comes as engine news).
    ImagesFailed(String),
    /// A file was written (its path), or not.
    Saved(Result<PathBuf, String>),
    /// Text was sent to the clipboard (its bytes), or is too long for it. Terminals do not confirm.
    Copied(Result<usize, String>),
}
