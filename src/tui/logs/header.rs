//! The Logs tab's line of facts.

use super::state::{LogsState, PromptKind, Since};
use crate::logs::{LiveBar, LogStatus, PageKind, PatternKind};

/// How a part is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// A plain fact.
    Plain,
    /// To be noticed.
    Warn,
    /// Something does not work.
    Bad,
}

/// A part of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its text.
    pub text: String,
    /// How to read it.
    pub tone: Tone,
}

fn part(text: impl Into<String>, tone: Tone) -> Part {
    Part {
        text: text.into(),
        tone,
    }
}

impl LogsState {
    /// What the tab's first line says, most important first.
    pub fn header(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        self.status_part(&mut parts);
        if let Some(kind) = self.reach.loading {
            let what = match kind {
                PageKind::Older(_) => "loading older lines",
                PageKind::Newer(_) => "loading newer lines",
                PageKind::Beginning => "loading the beginning",
            };
            parts.push(part(what, Tone::Warn));
        }
        if let Some(message) = &self.message {
            parts.push(part(message.clone(), Tone::Warn));
        }
        let held = self.buffer.len();
        parts.push(match &self.filter {
            Some(filter) => part(
                format!(
                    "filter {} ({} of {held})",
                    filter.matcher.pattern(),
                    filter.lines.len()
                ),
                Tone::Plain,
            ),
            None => part(format!("{held} lines"), Tone::Plain),
        });
        if let Some(search) = &self.search {
            let slash = if search.kind() == PatternKind::Regex {
                "regex"
            } else {
                "search"
            };
            parts.push(part(format!("{slash} {}", search.pattern()), Tone::Plain));
        }
        if self.since != Since::All {
            parts.push(part(format!("since {}", self.since.label()), Tone::Plain));
        }
        if self.source.lost > 0 {
            parts.push(part(format!("{} dropped", self.source.lost), Tone::Warn));
        }
        if self.source.bar == LiveBar::AtNewlines {
            parts.push(part(
                "bar moves at newlines (engine not on this machine)",
                Tone::Plain,
            ));
        }
        parts
    }

    fn status_part(&self, parts: &mut Vec<Part>) {
        let merged = self.targets.len() > 1;
        let status = self
            .source
            .status
            .iter()
            .max_by_key(|status| rank(status))
            .unwrap_or(&LogStatus::Opening);
        match status {
            LogStatus::Unreadable(text) => {
                parts.push(part(format!("log not readable: {text}"), Tone::Bad));
                return;
            }
            LogStatus::Lost(text) => {
                parts.push(part(format!("engine away: {text}; retrying"), Tone::Bad));
                return;
            }
            LogStatus::Removed if !merged => parts.push(part("removed", Tone::Warn)),
            LogStatus::Stopped if !merged => parts.push(part("stopped", Tone::Warn)),
            LogStatus::Opening => parts.push(part("opening", Tone::Plain)),
            _ if self.follow => {
                let text = if self.source.bar == LiveBar::Live {
                    "following live"
                } else {
                    "following"
                };
                parts.push(part(text, Tone::Good));
                return;
            }
            _ => {}
        }
        if self.reach.detached {
            let behind = self.reach.behind;
            parts.push(part(format!("{behind}+ newer lines not shown"), Tone::Warn));
        } else if !self.follow {
            parts.push(part("not following", Tone::Warn));
        }
    }

    /// What is asked for at the bottom: its label, its text, the cursor's column in it, and an error.
    pub(super) fn prompt_line(&self) -> Option<(&'static str, &str, usize, Option<&str>)> {
        let prompt = self.prompt.as_ref()?;
        let label = match (prompt.kind, prompt.regex) {
            (PromptKind::Filter, _) => "filter (regex): ",
            (PromptKind::Search, false) => "search (ctrl-r: regex): ",
            (PromptKind::Search, true) => "search (regex; ctrl-r: text): ",
        };
        Some((
            label,
            prompt.input.value(),
            prompt.input.visual_cursor(),
            prompt.error.as_deref(),
        ))
    }
}

fn rank(status: &LogStatus) -> u8 {
    match status {
        LogStatus::Following => 0,
        LogStatus::Opening => 1,
        LogStatus::Stopped => 2,
        LogStatus::Removed => 3,
        LogStatus::Lost(_) => 4,
        LogStatus::Unreadable(_) => 5,
    }
}
