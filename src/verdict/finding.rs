//! What a rule says: code, severity, evidence, what the user would see, and what to type.

use std::fmt;

/// A rule's stable code. Codes are for ever: add, never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule(pub u16);

impl Rule {
    /// Reads `MW102` or `102`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text
            .strip_prefix("MW")
            .or_else(|| text.strip_prefix("mw"))
            .unwrap_or(text);
        (digits.len() == 3)
            .then(|| digits.parse().ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MW{:03}", self.0)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It works, not as it should.
    Warning,
    /// It does not work.
    Error,
}

impl Severity {
    /// Its name in the JSON contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Severity,
    /// One line, with the numbers that matter.
    pub title: String,
    /// Which file or variable said so, and what the user would see.
    pub evidence: Vec<String>,
    /// What to type or change, the best first.
    pub remedy: Vec<String>,
    /// Ids of the GPUs it is about; empty: the host as a whole.
    pub gpus: Vec<String>,
}

impl Finding {
    /// A finding about the whole host.
    pub fn new(rule: u16, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            rule: Rule(rule),
            severity,
            title: title.into(),
            evidence: Vec::new(),
            remedy: Vec::new(),
            gpus: Vec::new(),
        }
    }

    /// Adds evidence.
    #[must_use]
    pub fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Adds evidence.
    #[must_use]
    pub fn because_of(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Adds a remedy.
    #[must_use]
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }

    /// Adds remedies.
    #[must_use]
    pub fn try_these(mut self, remedies: impl IntoIterator<Item = String>) -> Self {
        self.remedy.extend(remedies);
        self
    }

    /// Says which GPUs it is about.
    #[must_use]
    pub fn on(mut self, gpus: impl IntoIterator<Item = String>) -> Self {
        self.gpus.extend(gpus);
        self
    }
}

/// What all findings together say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It will work.
    Works,
    /// It will work, not as it should.
    Limited,
    /// It will not work.
    Fails,
    /// There is no CUDA in it.
    NoCuda,
    /// A fact is missing.
    Unknown,
}

impl Answer {
    /// Its name in the JSON contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Limited => "limited",
            Self::Fails => "fails",
            Self::NoCuda => "no-cuda",
            Self::Unknown => "unknown",
        }
    }
}
