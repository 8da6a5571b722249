//! What a build said so far: the step it is at, its last lines, the base image that is fetched.

use std::collections::{BTreeMap, VecDeque};

use super::fault::Failure;
use super::lines::Lines;
use super::{BuildNews, Told};
use crate::model::text::clean;

/// Lines of the log that a failure shows.
const LAST: usize = 20;
/// Most layers that are followed.
const MAX_LAYERS: usize = 1000;

/// Passes a build's words on and keeps what a failure needs.
pub(super) struct Record {
    told: Told,
    lines: Lines,
    last: VecDeque<String>,
    step: Option<String>,
    /// The image's id, once it was told.
    pub image: Option<String>,
    layers: BTreeMap<String, Layer>,
    pull_shown: bool,
}

#[derive(Default)]
struct Layer {
    bytes: u64,
    total: u64,
    done: bool,
}

impl Record {
    pub fn new(told: Told) -> Self {
        Self {
            told,
            lines: Lines::default(),
            last: VecDeque::new(),
            step: None,
            image: None,
            layers: BTreeMap::new(),
            pull_shown: false,
        }
    }

    /// Some of the log.
    pub fn text(&mut self, text: &str) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(text, &mut |news| self.tell(news));
        self.lines = lines;
    }

    /// A whole line.
    pub fn line(&mut self, text: String) {
        self.end();
        self.tell(BuildNews::Line(text));
    }

    /// The log ended, or something else comes in between.
    pub fn end(&mut self) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.end(&mut |news| self.tell(news));
    }

    /// A word of a base image's pull. All its layers are one line.
    pub fn pull(&mut self, id: Option<&str>, status: &str, bytes: Option<u64>, total: Option<u64>) {
        let layer = id.filter(|_| !status.starts_with("Pulling from"));
        let Some(id) = layer else {
            self.pull_shown = false;
            self.layers.clear();
            self.line(match id {
                Some(id) => format!("{id}: {status}"),
                None => status.to_owned(),
            });
            return;
        };
        if self.layers.len() >= MAX_LAYERS && !self.layers.contains_key(id) {
            return;
        }
        let layer = self.layers.entry(id.to_owned()).or_default();
        match status {
            "Pull complete" | "Already exists" => {
                layer.done = true;
                layer.bytes = layer.total;
            }
            "Downloading" => {
                layer.bytes = bytes.unwrap_or(layer.bytes);
                layer.total = total.unwrap_or(layer.total);
            }
            "Download complete" => layer.bytes = layer.total,
            _ => {}
        }
        let done = self.layers.values().filter(|layer| layer.done).count();
        let sum = |of: fn(&Layer) -> u64| self.layers.values().map(of).fold(0, u64::saturating_add);
        let text = format!(
            "base image: {done} of {} layers, {:.1} of {:.1} MiB",
            self.layers.len(),
            sum(|l| l.bytes) as f64 / 1_048_576.0,
            sum(|l| l.total) as f64 / 1_048_576.0
        );
        self.end();
        let news = match std::mem::replace(&mut self.pull_shown, true) {
            true => BuildNews::Replace(text),
            false => BuildNews::Line(text),
        };
        self.tell(news);
    }

    /// What a failure shows, with the builder's own text.
    pub fn failure(&mut self, message: &str, exit_code: Option<i64>) -> Failure {
        self.end();
        Failure {
            step: self.step.clone(),
            exit_code: exit_code.or_else(|| exit_code_in(message)),
            message: clean(message, 600),
            last: self.last.iter().cloned().collect(),
        }
    }

    /// The newest line that is not empty.
    pub fn last_line(&self) -> Option<&str> {
        self.last.back().map(String::as_str)
    }

    fn tell(&mut self, news: BuildNews) {
        match &news {
            BuildNews::Line(text) => {
                if let Some(step) = step(text) {
                    self.step = Some(step);
                }
                if !text.is_empty() {
                    if self.last.len() == LAST {
                        self.last.pop_front();
                    }
                    self.last.push_back(text.clone());
                }
            }
            BuildNews::Replace(text) => {
                if let Some(step) = step(text) {
                    self.step = Some(step);
                }
                if let Some(last) = self.last.back_mut() {
                    last.clone_from(text);
                }
            }
            BuildNews::Builder(_) | BuildNews::Context { .. } => {}
        }
        (self.told)(news);
    }
}

/// The step that a line names: `Step 3/5 : RUN x` and ` > [2/2] RUN x:` (what BuildKit says of the one that
/// failed).
fn step(line: &str) -> Option<String> {
    let step = match line.strip_prefix("Step ") {
        Some(step) => step.trim(),
        None => line
            .strip_prefix(" > [")
            .map(|step| step.trim_end().trim_end_matches(':'))?,
    };
    let (place, words) = step.split_once(" : ").or_else(|| step.split_once("] "))?;
    place
        .contains('/')
        .then(|| clean(&format!("{place} ({words})"), 200))
}

/// `exit code: 3` of BuildKit, `returned a non-zero code: 3` of the engine's builder.
fn exit_code_in(message: &str) -> Option<i64> {
    let (_, after) = message.rsplit_once("code: ")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn record() -> (Record, Arc<Mutex<Vec<BuildNews>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&seen);
        let told: Told = Arc::new(move |news| own.lock().unwrap().push(news));
        (Record::new(told), seen)
    }

    #[test]
    fn a_failure_names_its_step_its_exit_code_and_the_last_lines() {
        let (mut record, _) = record();
        record.text("Step 1/3 : FROM a\n ---> 12\nStep 2/3 : RUN exit 3\n");
        for n in 0..30 {
            record.text(&format!("line {n}\n\n"));
        }
        let failure = record.failure(
            "The command '/bin/sh -c exit 3' returned a non-zero code: 3",
            None,
        );
        assert_eq!(failure.step.as_deref(), Some("2/3 (RUN exit 3)"));
        assert_eq!(failure.exit_code, Some(3));
        assert_eq!(failure.last.len(), LAST);
        assert_eq!(failure.last.last().unwrap(), "line 29");
        let problem = super::super::BuildError::Failed(failure).problem();
        assert_eq!(
            problem.to_string(),
            "the build failed at step 2/3 (RUN exit 3): exit code 3 (The command '/bin/sh -c exit 3' returned a non-zero code: 3)"
        );
    }

    #[test]
    fn buildkits_failure_is_read_as_well() {
        let (mut record, _) = record();
        record.text("#6 [2/2] RUN exit 3\n------\n > [2/2] RUN exit 3:\n------\nERROR: failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3\n");
        let text = record.last_line().unwrap().to_owned();
        let failure = record.failure(&text, None);
        assert_eq!(failure.step.as_deref(), Some("2/2 (RUN exit 3)"));
        assert_eq!(failure.exit_code, Some(3));
    }

    #[test]
    fn the_layers_of_a_base_image_are_one_line() {
        let (mut record, seen) = record();
        record.text("Step 1/1 : FROM debian\n");
        record.pull(Some("12"), "Pulling from library/debian", None, None);
        record.pull(Some("a"), "Pulling fs layer", None, None);
        record.pull(Some("b"), "Already exists", None, None);
        record.pull(Some("a"), "Downloading", Some(1 << 20), Some(4 << 20));
        record.pull(Some("a"), "Pull complete", None, None);
        record.pull(None, "Digest: sha256:1", None, None);
        let shown: Vec<String> = seen
            .lock()
            .unwrap()
            .iter()
            .map(|news| match news {
                BuildNews::Line(text) => format!("+{text}"),
                BuildNews::Replace(text) => format!("={text}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "+Step 1/1 : FROM debian",
                "+12: Pulling from library/debian",
                "+base image: 0 of 1 layers, 0.0 of 0.0 MiB",
                "=base image: 1 of 2 layers, 0.0 of 0.0 MiB",
                "=base image: 1 of 2 layers, 1.0 of 4.0 MiB",
                "=base image: 2 of 2 layers, 4.0 of 4.0 MiB",
                "+Digest: sha256:1",
            ]
        );
    }
}
