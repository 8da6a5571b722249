//! News from the engine: what must not be lost on its way to the world.

use jiff::Timestamp;

use super::{Container, ContainerDetail, ContainerKey, EngineInfo, Image, Problem};

/// What an engine event tells of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// Made.
    Create,
    /// Its main process started.
    Start,
    /// Its main process ended, with this status where the engine gave it.
    Die(Option<i64>),
    /// The kernel killed a process of it for memory.
    Oom,
    /// It was sent this signal.
    Kill(Option<String>),
    /// Stopped by a user.
    Stop,
    /// Frozen.
    Pause,
    /// Thawed.
    Unpause,
    /// Started again.
    Restart,
    /// Removed.
    Destroy,
    /// Given another name.
    Rename,
    /// The health check's state changed.
    Health(String),
    /// Its limits changed.
    Update,
    /// An image was pulled, tagged, removed…
    Image,
}

/// One event of the engine's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// When it happened, by the engine's clock.
    pub time: Timestamp,
    /// The container; `None` for image events.
    pub container: Option<ContainerKey>,
    /// Container's name (or image reference) as the event carries it.
    pub name: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// News of the engine, in order.
#[allow(
    clippy::large_enum_variant,
    reason = "the largest is told a few times a connection, and news is taken at once"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum EngineNews {
    /// Something is being tried.
    Connecting(String),
    /// It answers.
    Up(EngineInfo),
    /// It went away.
    Down(Problem),
    /// The whole truth about containers: what is not in it is gone. Details known before are kept.
    Listed(Vec<Container>),
    /// One container's row, new or changed, with or without details.
    Changed(Box<Container>),
    /// Inspect's facts of one container.
    Inspected(ContainerKey, Box<ContainerDetail>),
    /// It was removed.
    Removed(ContainerKey),
    /// The images, as far as they were asked for.
    Images(Vec<Image>),
    /// An event as it came (for toasts, the recorder, flashes); the rows' changes come beside it.
    Event(EngineEvent),
}
