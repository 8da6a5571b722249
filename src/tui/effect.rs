//! What update asks the outside world to do, and what comes back.

use std::path::PathBuf;
use std::sync::Arc;

use crate::build::{BuildAsk, BuildError, BuildNews, Built};
use crate::check::{Progress, Subject};
use crate::inspect::Known;
use crate::launch::LaunchSpec;
use crate::launcher::{HostNow, LaunchFault, Launched, Plan, Stage};
use crate::model::{ContainerCommand, ContainerKey, ImageId, Problem, ProcKey, Signal};
use crate::tui::state::launches::{Keep, Launches};

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
    /// Find out what would happen, without changing anything.
    PlanLaunch {
        /// The question's number.
        id: u64,
        /// What is asked for.
        spec: Box<LaunchSpec>,
        /// This host.
        host: Box<HostNow>,
    },
    /// Fetch an image.
    Pull {
        /// The launch's number.
        id: u64,
        /// Image reference.
        reference: String,
        /// `linux/amd64`, where one was named.
        platform: Option<String>,
    },
    /// Make and start a container.
    Launch {
        /// The launch's number.
        id: u64,
        /// What would happen.
        plan: Box<Plan>,
        /// This host.
        host: Box<HostNow>,
        /// Though the verdict says no.
        force: bool,
    },
    /// Find out the launch that makes a container like this one.
    LaunchLike {
        /// Which.
        key: ContainerKey,
        /// Its image: what that sets by itself is left out.
        image: ImageId,
    },
    /// Stop a pull or a start.
    CancelLaunch(u64),
    /// Find out why a container that was just launched ended.
    ExplainEnd {
        /// Which.
        key: ContainerKey,
        /// Its name; it may be gone.
        name: String,
    },
    /// Host paths that this text could go on with.
    CompletePath {
        /// The question's number.
        id: u64,
        /// The path so far.
        text: String,
    },
    /// Make a folder on this host.
    MakeFolder(String),
    /// Change what is kept of launches.
    KeepLaunch(Keep),
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
    /// What a launch would do, or why that cannot be told.
    Planned {
        /// The question's number.
        id: u64,
        /// The answer.
        result: Result<Box<Plan>, String>,
    },
    /// The launch that makes a container like this one.
    LaunchLike {
        /// Which.
        key: ContainerKey,
        /// The launch, and what of it no flag can say; or why it is not known.
        result: Result<(Box<LaunchSpec>, Vec<String>), String>,
    },
    /// How far a pull or a start is; told a few times a second at most.
    LaunchStage {
        /// The launch's number.
        id: u64,
        /// How far.
        stage: Stage,
    },
    /// A pull ended.
    Pulled {
        /// The launch's number.
        id: u64,
        /// How.
        result: Result<(), Problem>,
    },
    /// A start ended.
    Launched {
        /// The launch's number.
        id: u64,
        /// How.
        result: Result<Launched, LaunchFault>,
    },
    /// Why a container ended that was just launched.
    EndExplained {
        /// Which.
        key: ContainerKey,
        /// Its name.
        name: String,
        /// `eval-7b ended after 2 s with exit status 1`.
        title: String,
        /// The known failure with its remedy, and the last lines.
        lines: Vec<String>,
    },
    /// Host paths that a text could go on with.
    PathsFound {
        /// The question's number.
        id: u64,
        /// Whole paths, folders with `/` at the end; or why none.
        result: Result<Vec<String>, String>,
    },
    /// A folder was made (its path), or not.
    FolderMade(Result<String, String>),
    /// What is kept of launches, after a change.
    LaunchesKept(Result<Launches, String>),
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
