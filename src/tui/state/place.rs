//! Where on the screen the user can be: pages, panels, tabs.

/// Which page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Containers.
    Containers,
    /// GPUs.
    Gpus,
    /// Images.
    Images,
}

/// Which panel has the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// The page's list.
    List,
    /// The details below or beside it.
    Details,
}

/// A tab of the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// The last hour.
    Charts,
    /// The log (of a container).
    Logs,
    /// GPU processes.
    Processes,
    /// Whether it runs on this host.
    Verdict,
    /// Inspect's JSON.
    Inspect,
    /// The environment.
    Env,
    /// A GPU's every fact.
    Facts,
    /// Who holds how much.
    Users,
    /// Xid events.
    Xids,
}

impl Tab {
    /// Its title.
    pub fn label(self) -> &'static str {
        match self {
            Self::Charts => "Charts",
            Self::Logs => "Logs",
            Self::Processes => "Processes",
            Self::Verdict => "Verdict",
            Self::Inspect => "Inspect",
            Self::Env => "Env",
            Self::Facts => "Facts",
            Self::Users => "Users",
            Self::Xids => "Xid events",
        }
    }
}

impl Page {
    /// The tabs of its details.
    pub fn tabs(self) -> &'static [Tab] {
        match self {
            Self::Containers => &[
                Tab::Charts,
                Tab::Logs,
                Tab::Processes,
                Tab::Verdict,
                Tab::Inspect,
                Tab::Env,
            ],
            Self::Gpus => &[
                Tab::Processes,
                Tab::Charts,
                Tab::Facts,
                Tab::Users,
                Tab::Xids,
            ],
            Self::Images => &[Tab::Verdict, Tab::Inspect, Tab::Env],
        }
    }
}
