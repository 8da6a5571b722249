//! Why there is no image.

use std::fmt;

use crate::engine::EngineError;
use crate::model::Problem;

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildError {
    /// The caller wants no more.
    Cancelled,
    /// The engine does not do it.
    Engine(EngineError),
    /// Something of the project, or of what builds it, is not as it must be.
    Problem(Problem),
    /// A step failed.
    Failed(Failure),
}

/// A build that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The step, as the builder wrote it (`3/5 : RUN pip install torch`).
    pub step: Option<String>,
    /// How its command ended.
    pub exit_code: Option<i64>,
    /// The builder's own text.
    pub message: String,
    /// The last lines of the log, oldest first.
    pub last: Vec<String>,
}

impl From<EngineError> for BuildError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<Problem> for BuildError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl BuildError {
    /// As the user is told it.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Cancelled => Problem {
                what: "the build".to_owned(),
                why: "cancelled".to_owned(),
                remedy: String::new(),
            },
            Self::Engine(error) => Problem {
                what: "the engine does not build".to_owned(),
                why: error.to_string(),
                remedy: String::new(),
            },
            Self::Problem(problem) => problem.clone(),
            Self::Failed(failure) => Problem {
                what: match &failure.step {
                    Some(step) => format!("the build failed at step {step}"),
                    None => "the build failed".to_owned(),
                },
                why: match failure.exit_code {
                    Some(code) => format!("exit code {code} ({})", failure.message),
                    None => failure.message.clone(),
                },
                remedy: String::new(),
            },
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem().fmt(f)
    }
}

impl std::error::Error for BuildError {}
