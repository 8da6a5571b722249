//! Why a container that was just launched is no more.

use crate::engine::Engine;
use crate::failures::{self, Ended};
use crate::model::text::clean;
use crate::model::{ContainerKey, ContainerState};

/// Lines of its log that are shown, and that are searched for a known failure.
const SHOWN: usize = 12;
const READ: usize = 200;

/// An end in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// `NAME ended: exit code 1`.
    pub title: String,
    /// What is known of it: cause, remedies, the last lines.
    pub lines: Vec<String>,
}

/// Explains the end of a container; `None` while it runs.
pub async fn explain(engine: &Engine, key: ContainerKey, name: &str) -> Option<Explained> {
    let name = clean(name, 64);
    let Ok(detail) = engine.inspect(key).await else {
        return Some(Explained {
            title: format!("{name} ended and is gone"),
            lines: vec![
                "It was removed at its end (--rm), and its log with it.".to_owned(),
                "Launch it without --rm to see its last lines.".to_owned(),
            ],
        });
    };
    let state = engine
        .list()
        .await
        .ok()
        .and_then(|list| list.into_iter().find(|c| c.key == key))
        .map(|c| c.state);
    if state.is_some_and(|s| matches!(s, ContainerState::Running | ContainerState::Paused)) {
        return None;
    }
    let tail = engine.tail(key, READ).await;
    let empty = Vec::new();
    let lines = tail.as_ref().unwrap_or(&empty);
    let ended = Ended {
        exit_code: detail.exit_code,
        oom_killed: detail.oom_killed,
        error: detail.error.as_deref().filter(|e| !e.is_empty()),
        lines,
        shm_bytes: detail.shm_size_bytes,
        has_gpus: detail.grant.is_some(),
    };
    let code = detail.exit_code.unwrap_or(0);
    let mut told = Vec::new();
    let failure = failures::explain(&ended);
    match &failure {
        Some(failure) => {
            told.push(failure.title.clone());
            if !failure.cause.is_empty() {
                told.push(failure.cause.clone());
            }
            if let Some(evidence) = &failure.evidence {
                told.push(format!("seen: {}", clean(evidence, 300)));
            }
            told.extend(failure.remedy.iter().map(|r| format!("try: {r}")));
        }
        None => {
            if let Some(meaning) = failures::exit_meaning(code) {
                told.push(meaning);
            }
        }
    }
    match &tail {
        Ok(lines) if lines.is_empty() => told.push("It wrote nothing to its log.".to_owned()),
        Ok(lines) => {
            told.push(String::new());
            told.push("its last lines:".to_owned());
            let old = lines.len().saturating_sub(SHOWN);
            told.extend(lines.iter().skip(old).map(|line| format!("  {line}")));
        }
        Err(error) => told.push(format!("Its log cannot be read: {error}")),
    }
    let restarts = state == Some(ContainerState::Restarting);
    Some(Explained {
        title: match restarts {
            true => format!("{name} ended with exit code {code} and is being restarted"),
            false => format!("{name} ended with exit code {code}"),
        },
        lines: told,
    })
}
