//! Checks that run or wait: one scan at a time, each subject once.

use std::collections::{HashMap, VecDeque};

use crate::check::{Progress, Subject};
use crate::tui::fmt::{ShortBytes, put};

/// The word with which a cancelled check ends.
pub const CANCELLED: &str = "cancelled";

/// The check that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub subject: Subject,
    /// `None` until the first report.
    pub progress: Option<Progress>,
    /// It was asked to stop and has not yet.
    pub cancelling: bool,
    /// What stands in the lists: `34%`.
    pub badge: String,
}

/// How far a subject's check is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage<'a> {
    /// None is wanted.
    Idle,
    /// So many are before it.
    Waiting(usize),
    /// It runs.
    Running(&'a Running),
}

/// What happened to a wish for a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is to be started.
    Start,
    /// It waits for others.
    Queued,
    /// It runs or waits already.
    Already,
}

/// What happened to a wish to stop one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It runs and is to be told.
    Tell,
    /// It waited and does no more, or was told before.
    Done,
    /// There was none.
    Nothing,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Checks {
    running: Option<Running>,
    waiting: VecDeque<Subject>,
    failed: HashMap<Subject, String>,
}

impl Checks {
    /// Wishes for a check.
    pub fn ask(&mut self, subject: Subject) -> Asked {
        if self.stage(&subject) != Stage::Idle {
            return Asked::Already;
        }
        self.failed.remove(&subject);
        if self.running.is_some() {
            self.waiting.push_back(subject);
            return Asked::Queued;
        }
        self.start(subject);
        Asked::Start
    }

    fn start(&mut self, subject: Subject) {
        self.running = Some(Running {
            subject,
            progress: None,
            cancelling: false,
            badge: "0%".to_owned(),
        });
    }

    /// Wishes that one stops.
    pub fn stop(&mut self, subject: &Subject) -> Stopped {
        if let Some(place) = self.waiting.iter().position(|s| s == subject) {
            self.waiting.remove(place);
            return Stopped::Done;
        }
        match &mut self.running {
            Some(running) if running.subject == *subject => {
                if std::mem::replace(&mut running.cancelling, true) {
                    Stopped::Done
                } else {
                    Stopped::Tell
                }
            }
            _ => Stopped::Nothing,
        }
    }

    /// How far the running one is; whether that is news to see.
    pub fn progress(&mut self, subject: &Subject, progress: Progress) -> bool {
        let Some(running) = self.running.as_mut().filter(|r| r.subject == *subject) else {
            return false;
        };
        running.progress = Some(progress);
        running.badge.clear();
        match percent(&progress) {
            Some(percent) => put(&mut running.badge, format_args!("{percent}%")),
            None => put(
                &mut running.badge,
                format_args!("{}", ShortBytes(progress.bytes as f64)),
            ),
        }
        true
    }

    /// One ended, with its fault if it has one; returns whether it had been cancelled, and the next to start.
    pub fn ended(&mut self, subject: &Subject, fault: Option<&str>) -> (bool, Option<Subject>) {
        let ours = self.running.take_if(|r| r.subject == *subject);
        let cancelled =
            fault.is_some_and(|f| f == CANCELLED || ours.as_ref().is_some_and(|r| r.cancelling));
        match fault {
            Some(fault) if !cancelled => {
                self.failed.insert(subject.clone(), fault.to_owned());
            }
            _ => {
                self.failed.remove(subject);
            }
        }
        if self.running.is_some() {
            return (cancelled, None);
        }
        let next = self.waiting.pop_front();
        if let Some(next) = &next {
            self.start(next.clone());
        }
        (cancelled, next)
    }

    /// How far a subject's check is.
    pub fn stage(&self, subject: &Subject) -> Stage<'_> {
        if let Some(running) = self.running.as_ref().filter(|r| r.subject == *subject) {
            return Stage::Running(running);
        }
        match self.waiting.iter().position(|s| s == subject) {
            Some(place) => Stage::Waiting(place + 1),
            None => Stage::Idle,
        }
    }

    /// Whether none runs or waits.
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Why the last check of a subject failed.
    pub fn failure(&self, subject: &Subject) -> Option<&str> {
        self.failed.get(subject).map(String::as_str)
    }
}

/// Percent read; 99 at most, since the total is the engine's word and may be short.
pub fn percent(progress: &Progress) -> Option<u64> {
    let total = progress.total_bytes.filter(|t| *t > 0)?;
    Some((progress.bytes as f64 / total as f64 * 100.0).min(99.0) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ImageId;

    fn image(name: &str) -> Subject {
        Subject::Image(ImageId(name.into()))
    }

    #[test]
    fn one_runs_and_the_rest_wait_in_order() {
        let mut checks = Checks::default();
        assert_eq!(checks.ask(image("a")), Asked::Start);
        assert_eq!(checks.ask(image("a")), Asked::Already);
        for name in ["b", "c", "d"] {
            assert_eq!(checks.ask(image(name)), Asked::Queued);
        }
        assert_eq!(checks.stage(&image("c")), Stage::Waiting(2));
        assert_eq!(checks.stop(&image("b")), Stopped::Done);
        assert_eq!(checks.stop(&image("x")), Stopped::Nothing);
        assert_eq!(checks.stop(&image("a")), Stopped::Tell);
        assert_eq!(checks.stop(&image("a")), Stopped::Done, "told once");
        let after = checks.ended(&image("a"), Some(CANCELLED));
        assert_eq!(after, (true, Some(image("c"))));
        assert_eq!(checks.failure(&image("a")), None, "cancelled is no failure");
        // An answer that nobody waits for starts nothing.
        assert_eq!(checks.ended(&image("x"), None), (false, None));
        let after = checks.ended(&image("c"), Some("disk full"));
        assert_eq!(after, (false, Some(image("d"))));
        assert_eq!(checks.failure(&image("c")), Some("disk full"));
        assert_eq!(checks.ended(&image("d"), None), (false, None));
        assert!(checks.is_idle());
        checks.ask(image("c"));
        assert_eq!(checks.failure(&image("c")), None, "it is tried again");
    }

    #[test]
    fn progress_is_percent_or_bytes_and_never_a_hundred() {
        let mut checks = Checks::default();
        checks.ask(image("a"));
        let cases = [(0, Some(100), "0%"), (34, Some(100), "34%")];
        let more = [
            (250, Some(100), "99%"),
            (3 << 30, None, "3.0G"),
            (5, Some(0), "5B"),
        ];
        for (bytes, total_bytes, badge) in cases.into_iter().chain(more) {
            let progress = Progress {
                bytes,
                total_bytes,
                elapsed: Duration::from_secs(1),
            };
            assert!(checks.progress(&image("a"), progress));
            let Stage::Running(running) = checks.stage(&image("a")) else {
                panic!("it runs");
            };
            assert_eq!(running.badge, badge);
            assert!(!checks.progress(&image("b"), progress));
        }
    }
}
