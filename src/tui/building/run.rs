//! Runs builds outside the UI thread.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::build::{BuildAsk, BuildError, BuildNews, Told};
use crate::model::Problem;
use crate::tui::effect::Outcome;
use crate::tui::form::complete::complete;
use crate::tui::runner::{Backend, READ_ONLY, Runner};

/// Between two tellings of a build's log, and the most words of one.
const TELL: Duration = Duration::from_millis(50);
const MAX_SAID: usize = 20_000;

impl<B: Backend> Runner<B> {
    /// As `end_checks`, for builds.
    pub fn end_builds(&self, within: Duration) -> bool {
        self.builds.end_all(within)
    }

    pub(in crate::tui) fn build_paths(&self, text: String) {
        self.blocking(move || {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            let cwd = std::env::current_dir().unwrap_or_default();
            let paths = complete(&text, home.as_deref(), &cwd).unwrap_or_default();
            Outcome::BuildPaths { text, paths }
        });
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
        let told: Told = {
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
        let (backend, builds) = (Arc::clone(self.backend()), Arc::clone(&self.builds));
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
                match tokio::time::timeout(TELL, &mut building).await {
                    Ok(result) => break result,
                    Err(_) => tell(),
                }
            };
            tell();
            // The form that opens next offers what fits what is in it.
            if let Ok(built) = &result {
                let image = built.image.clone();
                let result = backend.know(image.clone()).await;
                outcomes.push(Outcome::Known { image, result });
            }
            builds.end(&id);
            outcomes.push(Outcome::Built { id, result });
        });
    }
}
