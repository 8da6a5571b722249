//! The files by kind and host, what is found in folders, and what is never written over.

mod folders;
mod hosts;

use super::*;
use crate::verdict::facts::Injection;
use crate::verdict::hypothetical;

/// A host by its driver and GPUs; no driver: none was found.
pub(super) fn host(driver: &str, gpus: &[&str]) -> HostFacts {
    if driver.is_empty() && gpus.is_empty() {
        return HostFacts::default();
    }
    let gpus: Vec<String> = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
    let driver = (!driver.is_empty()).then_some(driver);
    hypothetical::host(driver, None, &gpus, Injection::Legacy, None, "2026-11").unwrap()
}

/// The instructions of a Dockerfile with their arguments, continued lines joined, comments left out. Any word that
/// is no instruction fails.
pub(super) fn instructions(text: &str) -> Vec<(String, String)> {
    const KNOWN: [&str; 8] = [
        "FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "CMD",
    ];
    let mut found = Vec::new();
    let mut joined = String::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            assert!(
                joined.is_empty(),
                "a line is continued into nothing: {text}"
            );
            continue;
        }
        match line.strip_suffix('\\') {
            Some(more) => joined.push_str(more),
            None => {
                joined.push_str(line);
                let (word, rest) = joined.split_once(' ').unwrap();
                assert!(KNOWN.contains(&word), "{word}: {text}");
                found.push((word.to_owned(), rest.to_owned()));
                joined.clear();
            }
        }
    }
    assert!(joined.is_empty(), "{text}");
    found
}

/// What every Dockerfile of ours is.
pub(super) fn check(made: &Made) -> Vec<String> {
    let all = instructions(&made.dockerfile);
    assert_eq!(all.first().unwrap().0, "FROM");
    let (last, command) = all.last().unwrap();
    assert_eq!(last, "CMD");
    assert_eq!(all.iter().filter(|(word, _)| word == "FROM").count(), 1);
    let exposed: Vec<u16> = all
        .iter()
        .filter(|(word, _)| word == "EXPOSE")
        .map(|(_, port)| port.parse().unwrap())
        .collect();
    assert_eq!(exposed, made.port.into_iter().collect::<Vec<_>>());
    for line in made.dockerfile.lines().chain(made.dockerignore.lines()) {
        assert!(!line.contains(crate::model::text::is_unsafe), "{line:?}");
        let too_wide = line.starts_with('#') && line.chars().count() > 110;
        assert!(!too_wide, "{line}");
    }
    serde_json::from_str(command).unwrap()
}
