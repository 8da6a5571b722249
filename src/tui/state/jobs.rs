//! Commands under way and what came of them: several on one order are summed up in one toast.

use std::time::Duration;

use crate::model::{ContainerCommand, ContainerKey, Stamp};
use crate::tui::fmt::{push_clean, put};
use crate::tui::widgets::Tone;

/// A short message that goes away by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub text: String,
    pub tone: Tone,
    pub until: Duration,
}

/// One order on one or more containers.
#[derive(Debug)]
struct Batch {
    command: ContainerCommand,
    waiting: Vec<ContainerKey>,
    total: usize,
    /// Names of those that went well.
    done: Vec<String>,
    failed: Vec<(String, String)>,
}

/// Orders and toasts.
#[derive(Debug, Default)]
pub struct Jobs {
    batches: Vec<Batch>,
    pub toasts: Vec<Toast>,
    /// Of an order that failed on several: each with its reason, to be read at leisure.
    pub report: Option<(String, Vec<String>)>,
}

/// Toasts kept at once.
const TOASTS: usize = 4;

impl Jobs {
    /// Notes an order that has been given.
    pub fn ordered(&mut self, command: &ContainerCommand, targets: &[ContainerKey]) {
        self.batches.push(Batch {
            command: command.clone(),
            waiting: targets.to_vec(),
            total: targets.len(),
            done: Vec::new(),
            failed: Vec::new(),
        });
    }

    /// The word for what is being done to a container now.
    pub fn pending(&self, key: &ContainerKey) -> Option<&'static str> {
        let batch = self.batches.iter().find(|b| b.waiting.contains(key))?;
        Some(match batch.command {
            ContainerCommand::Start => "starting",
            ContainerCommand::Stop { .. } => "stopping",
            ContainerCommand::Restart { .. } => "restarting",
            ContainerCommand::Pause => "pausing",
            ContainerCommand::Unpause => "unpausing",
            ContainerCommand::Kill { .. } => "killing",
            ContainerCommand::Remove { .. } => "removing",
            ContainerCommand::Rename { .. } => "renaming",
        })
    }

    /// Notes how one of an order ended.
    pub fn acted(
        &mut self,
        key: ContainerKey,
        name: String,
        command: &ContainerCommand,
        result: Result<(), String>,
        now: Stamp,
    ) {
        let place = self
            .batches
            .iter()
            .position(|b| b.command == *command && b.waiting.contains(&key));
        let Some(batch) = place.and_then(|p| self.batches.get_mut(p)) else {
            // Not ours: still never silent.
            if let Err(text) = result {
                self.toast(
                    Tone::Bad,
                    &format!("{} {name}: {text}", command.verb()),
                    now,
                );
            }
            return;
        };
        batch.waiting.retain(|k| *k != key);
        match result {
            Ok(()) => batch.done.push(name),
            Err(text) => batch.failed.push((name, text)),
        }
        if !batch.waiting.is_empty() {
            return;
        }
        let (tone, text) = batch.summary();
        if batch.failed.len() > 1 {
            let title = format!(
                "{}: {} of {} failed",
                command.verb(),
                batch.failed.len(),
                batch.total
            );
            let lines = batch.failed.iter().map(|(name, why)| {
                let mut line = String::new();
                push_clean(&mut line, name);
                line.push_str(": ");
                push_clean(&mut line, why);
                line
            });
            self.report = Some((title, lines.collect()));
        }
        if let Some(place) = place {
            self.batches.remove(place);
        }
        self.toast(tone, &text, now);
    }

    /// Shows a toast: long enough to read it, trouble longer.
    pub fn toast(&mut self, tone: Tone, text: &str, now: Stamp) {
        let mut clean = String::new();
        push_clean(&mut clean, text);
        let seconds = match tone {
            Tone::Bad => 15,
            Tone::Warn => 8,
            _ => 4,
        };
        self.toasts.retain(|t| t.text != clean);
        self.toasts.push(Toast {
            text: clean,
            tone,
            until: now.mono + Duration::from_secs(seconds),
        });
        if self.toasts.len() > TOASTS {
            self.toasts.remove(0);
        }
    }

    /// Drops what has been shown long enough; whether anything was.
    pub fn expire(&mut self, now: Stamp) -> bool {
        let before = self.toasts.len();
        self.toasts.retain(|t| t.until > now.mono);
        before != self.toasts.len()
    }
}

impl Batch {
    fn summary(&self) -> (Tone, String) {
        let past = match self.command {
            ContainerCommand::Start => "started",
            ContainerCommand::Stop { .. } => "stopped",
            ContainerCommand::Restart { .. } => "restarted",
            ContainerCommand::Pause => "paused",
            ContainerCommand::Unpause => "unpaused",
            ContainerCommand::Kill { .. } => "signalled",
            ContainerCommand::Remove { .. } => "removed",
            ContainerCommand::Rename { .. } => "renamed",
        };
        let mut text = String::new();
        match (self.done.as_slice(), self.failed.as_slice()) {
            ([name], []) => put(&mut text, format_args!("{past} {name}")),
            (_, []) => put(
                &mut text,
                format_args!("{past} all {}: {}", self.total, self.done.join(", ")),
            ),
            ([], [(name, why)]) => {
                put(
                    &mut text,
                    format_args!("{} {name}: {why}", self.command.verb()),
                );
            }
            (done, failed) => {
                put(
                    &mut text,
                    format_args!("{past} {} of {}; failed: ", done.len(), self.total),
                );
                let each: Vec<String> = failed
                    .iter()
                    .map(|(n, why)| format!("{n}: {why}"))
                    .collect();
                text.push_str(&each.join(" · "));
            }
        }
        let tone = if self.failed.is_empty() {
            Tone::Good
        } else {
            Tone::Bad
        };
        (tone, text)
    }
}
