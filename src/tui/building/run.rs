//! Builds as tasks of the I/O runtime; what they say is told in batches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::build::{BuildAsk, BuildError, BuildNews};
use crate::model::Problem;
use crate::tui::effect::Outcome;
use crate::tui::runner::{Backend, READ_ONLY, Runner};

/// Between two tellings of a build's log, and the most words of one.
const BUILD_TELL: Duration = Duration::from_millis(50);
const MAX_SAID: usize = 20_000;

impl<B: Backend> Runner<B> {
    /// Stops every build and waits, `within` at most, until nothing of them is left. For the end of the program;
    /// whether all of them ended.
    pub fn end_builds(&self, within: Duration) -> bool {
        self.builds.end_all(within)
    }

    pub(in crate::tui) fn build(&self, id: u64, ask: BuildAsk) {
        let outcomes = self.outcomes().clone();
        if self.read_only {
            let result = Err(BuildError::Problem(Problem {
                what: "cannot build".to_owned(),
                why: READ_ONLY.to_owned(),
                remedy: String::new(),
            }));
            outcomes.push(Outcome::Built { id, result });
            return;
        }
        let Some(cancel) = self.builds.begin(id) else {
            return;
        };
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let told: crate::build::Told = {
            let said = Arc::clone(&said);
            Arc::new(move |news| {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                // Faster than anybody reads: the log keeps no more of it either.
                if said.len() >= MAX_SAID {
                    said.pop_front();
                }
                said.push_back(news);
            })
        };
        let building = self.backend().build(ask, told, cancel);
        let builds = Arc::clone(&self.builds);
        self.runtime().spawn(async move {
            let tell = || {
                let said: VecDeque<BuildNews> =
                    std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
                if !said.is_empty() {
                    let news = said.into();
                    outcomes.push(Outcome::BuildNews { id, news });
                }
            };
            tokio::pin!(building);
            let result = loop {
                match tokio::time::timeout(BUILD_TELL, &mut building).await {
                    Ok(result) => break result,
                    Err(_) => tell(),
                }
            };
            tell();
            builds.end(&id);
            outcomes.push(Outcome::Built { id, result });
        });
    }
}
