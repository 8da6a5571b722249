//! What `check` found, as data, and how the program ends by it.

use crate::cli::Exit;
use crate::model::Problem;
use crate::verdict::facts::{HostFacts, ImageFacts};
use crate::verdict::matrix::{Matrix, matrix};
use crate::verdict::{Answer, Verdict};

use super::FailOn;

/// One image, container or image in a file.
#[derive(Debug, Clone)]
pub struct Judged {
    /// As it was asked for; of several in one file with their tags.
    pub name: String,
    /// Content id, where there is one.
    pub id: Option<String>,
    /// Its facts.
    pub facts: ImageFacts,
    /// The host it was judged for: of a container, the GPUs it is given alone.
    pub host: HostFacts,
    /// What will happen.
    pub verdict: Verdict,
}

/// What came of one word.
#[derive(Debug, Clone)]
pub enum Entry {
    /// It was judged.
    Judged(Box<Judged>),
    /// It could not be looked at.
    Failed {
        /// The word.
        name: String,
        /// Why.
        problem: Problem,
    },
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The host that was judged for.
    pub host: HostFacts,
    /// In the order of the command line.
    pub entries: Vec<Entry>,
    /// Whether the answers for this host count: not where the matrix was asked for on a machine without a driver.
    pub host_matters: bool,
    /// `--matrix`: the month that it is made for.
    pub matrix: Option<String>,
}

impl Report {
    /// The matrix of an image, where one is asked for.
    pub fn matrix(&self, judged: &Judged) -> Option<Matrix> {
        let month = self.matrix.as_deref()?;
        Some(matrix(&judged.facts, self.host.injection, month))
    }
}

/// Any that fails is a no; else any that is not known is that; else it is done.
pub fn exit(report: &Report, fail_on: FailOn) -> Exit {
    let answers = || {
        report.entries.iter().map(|entry| match entry {
            Entry::Judged(_) if !report.host_matters => Answer::Works,
            Entry::Judged(judged) => judged.verdict.answer,
            Entry::Failed { .. } => Answer::Unknown,
        })
    };
    let is_no = |answer| {
        answer == Answer::Fails || (answer == Answer::Limited && fail_on == FailOn::Warning)
    };
    if answers().any(is_no) {
        Exit::No
    } else if answers().any(|answer| answer == Answer::Unknown) {
        Exit::Unknown
    } else {
        Exit::Done
    }
}
