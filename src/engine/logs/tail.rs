//! The last lines of a log, read once.

use std::collections::VecDeque;

use crate::engine::{Engine, EngineError};
use crate::logs::{LogReader, Skip, sgr};
use crate::model::ContainerKey;
use crate::model::text::is_unsafe;

use super::request::{LogEngine, Part};

/// Most lines that are given.
const MAX_LINES: usize = 1000;
/// Most characters of one.
const MAX_CHARS: usize = 2000;

/// See [`Engine::tail`].
pub(in crate::engine) async fn tail(
    engine: &Engine,
    key: ContainerKey,
    lines: usize,
) -> Result<Vec<String>, EngineError> {
    let engine = LogEngine::new(engine);
    let lines = lines.min(MAX_LINES);
    let tty = engine.facts(key).await?.tty;
    let part = Part {
        tail: Some(lines as u64),
        ..Part::default()
    };
    let mut body = engine.logs(key, part).await?;
    let mut reader = LogReader::new(tty, 0, Skip::Nothing);
    let mut last = VecDeque::new();
    let mut take = |line: crate::logs::Line<'_>| {
        if last.len() == lines {
            last.pop_front();
        }
        if lines > 0 {
            last.push_back(plain(line.text));
        }
    };
    while let Some(data) = body.next().await {
        reader.push(data?, &mut take);
    }
    reader.finish(&mut take);
    Ok(last.into())
}

/// The text without colours; indentation stays, as tracebacks have it.
fn plain(line: &str) -> String {
    sgr::plain(line)
        .chars()
        .filter(|c| !is_unsafe(*c))
        .take(MAX_CHARS)
        .collect()
}
