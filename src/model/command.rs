//! What a user can ask of a container.

use std::fmt;
use std::time::Duration;

/// A signal by name, without `SIG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(pub &'static str);

impl Signal {
    /// The signals offered to the user, usual ones first.
    pub const ALL: [Signal; 9] = [
        Signal("TERM"),
        Signal("INT"),
        Signal("KILL"),
        Signal("HUP"),
        Signal("QUIT"),
        Signal("USR1"),
        Signal("USR2"),
        Signal("STOP"),
        Signal("CONT"),
    ];
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.0)
    }
}

/// An action on one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerCommand {
    /// Start it.
    Start,
    /// Send its stop signal, and SIGKILL after `grace`; `None` is the container's own timeout.
    Stop {
        /// Time to checkpoint in.
        grace: Option<Duration>,
    },
    /// Stop and start.
    Restart {
        /// As for stop.
        grace: Option<Duration>,
    },
    /// Freeze.
    Pause,
    /// Thaw.
    Unpause,
    /// Send a signal.
    Kill {
        /// Which.
        signal: Signal,
    },
    /// Remove it.
    Remove {
        /// Kill it first if it runs.
        force: bool,
        /// Remove its anonymous volumes too.
        volumes: bool,
    },
    /// Give it another name.
    Rename {
        /// The new name.
        to: String,
    },
}

impl ContainerCommand {
    /// The verb for messages: `stop`, `remove`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop { .. } => "stop",
            Self::Restart { .. } => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Kill { .. } => "kill",
            Self::Remove { .. } => "remove",
            Self::Rename { .. } => "rename",
        }
    }
}
