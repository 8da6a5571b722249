//! Several Python environments with the same framework, of which it cannot be told which one is used.

use super::facts::{HostFacts, ImageFacts};
use super::{Answer, Verdict};

/// More environments than this are judged as one.
const MOST: usize = 8;

/// The environments to choose from, where the same framework is in several and the PATH does not tell which.
pub fn ambiguous(image: &ImageFacts) -> Option<Vec<String>> {
    let open: Vec<_> = image
        .deciding()
        .into_iter()
        .map(|(_, f)| f)
        .filter(|f| f.on_path != Some(true))
        .collect();
    let mut places: Vec<String> = open
        .iter()
        .filter(|f| {
            open.iter()
                .any(|other| other.name == f.name && other.place != f.place)
        })
        .map(|f| f.place.clone())
        .collect();
    places.sort();
    places.dedup();
    (2..=MOST).contains(&places.len()).then_some(places)
}

/// Judges with each environment alone; where the answers differ it is unknown, and said what each gives.
pub fn judge(image: &ImageFacts, host: &HostFacts, places: &[String]) -> Verdict {
    let with = |place: &String| {
        let mut image = image.clone();
        image
            .frameworks
            .retain(|f| f.place == *place || !places.contains(&f.place));
        for framework in &mut image.frameworks {
            framework.on_path = None;
        }
        super::in_either_mode(&image, host)
    };
    let verdicts: Vec<Verdict> = places.iter().map(with).collect();
    let same = |a: &Verdict| verdicts.iter().all(|b| a.answer == b.answer);
    let Some(first) = verdicts.first().filter(|v| !same(v)) else {
        return verdicts
            .into_iter()
            .max_by(|a, b| a.needs.cmp(&b.needs))
            .unwrap_or_else(|| super::in_either_mode(image, host));
    };
    let told: Vec<String> = places
        .iter()
        .zip(&verdicts)
        .map(|(place, v)| format!("{place} ({})", v.answer.as_str()))
        .collect();
    // What is found in every environment is found whichever is used.
    let findings = first
        .findings
        .iter()
        .filter(|f| verdicts.iter().all(|v| v.findings.contains(f)))
        .cloned()
        .collect();
    Verdict {
        answer: Answer::Unknown,
        findings,
        unknown: vec![format!(
            "which Python environment the image starts: {}",
            told.join(", ")
        )],
        notes: first.notes.clone(),
        needs: verdicts.iter().filter_map(|v| v.needs.clone()).max(),
    }
}
