//! Building an image from the dashboard: what is asked for, the live log over the whole screen, its end.

pub(crate) mod act;
mod run;
pub(crate) mod view;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::build::{BuildAsk, BuildNews};
use crate::launch::{Surroundings, words};
use crate::model::Problem;
use crate::tui::state::layers::{Prompt, PromptKind};

/// Lines of a log that are kept, and their bytes.
const MAX_LINES: usize = 20_000;
const MAX_BYTES: usize = 4 << 20;

/// A field of the dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Folder,
    Tag,
    Dockerfile,
    Args,
    Target,
}

impl Field {
    pub const ALL: [Field; 5] = [
        Field::Folder,
        Field::Tag,
        Field::Dockerfile,
        Field::Args,
        Field::Target,
    ];

    /// What stands before it, and what it is left empty for.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Folder => ("folder", "the project's, with its Dockerfile"),
            Self::Tag => ("name", "the folder's name"),
            Self::Dockerfile => ("Dockerfile", "the folder's"),
            Self::Args => ("arguments", "none; NAME=VALUE, several with blanks between"),
            Self::Target => ("stage", "the last one"),
        }
    }

    /// Whether it names something on this machine.
    pub fn is_path(self) -> bool {
        matches!(self, Self::Folder | Self::Dockerfile)
    }
}

/// A written path as the system has it: `~/` is `home`, for no shell has read it.
pub(crate) fn real(text: &str, home: Option<&Path>, cwd: &Path) -> PathBuf {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => cwd.join(text),
    }
}

/// What is to be built, as it is written.
#[derive(Debug)]
pub struct BuildForm {
    pub fields: Vec<(Field, Prompt)>,
    pub at: usize,
    pub error: Option<String>,
    /// Paths that the text of the field could go on with, and that text.
    pub paths: (String, Vec<String>),
}

impl BuildForm {
    pub fn new(folder: &str) -> Self {
        let field = |field| {
            let text = if field == Field::Folder { folder } else { "" };
            (field, Prompt::new(PromptKind::Field, text))
        };
        Self {
            fields: Field::ALL.map(field).into(),
            at: 0,
            error: None,
            paths: (String::new(), Vec::new()),
        }
    }

    pub fn text(&self, field: Field) -> &str {
        let found = self.fields.iter().find(|(f, _)| *f == field);
        found.map_or("", |(_, prompt)| prompt.input.value().trim())
    }

    /// What it asks for.
    pub fn ask(&self) -> Result<BuildAsk, String> {
        let folder = self.text(Field::Folder);
        if folder.is_empty() {
            return Err("name the project's folder".to_owned());
        }
        let optional = |field| Some(self.text(field).to_owned()).filter(|text| !text.is_empty());
        // A word in front: what stands first would be read as the shell's own variables.
        let line = format!("x {}", self.text(Field::Args));
        let split = words::split(&line, &Surroundings::default())?;
        let mut args = Vec::new();
        for word in split.words.iter().skip(1) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            if name.is_empty() {
                return Err(format!("{word} has no name: write NAME=VALUE"));
            }
            args.push((name.to_owned(), value));
        }
        Ok(BuildAsk {
            folder: folder.into(),
            dockerfile: optional(Field::Dockerfile).map(PathBuf::from),
            tags: optional(Field::Tag).into_iter().collect(),
            args,
            target: optional(Field::Target),
            ..BuildAsk::default()
        })
    }
}

/// A build and its log.
#[derive(Debug)]
pub struct Building {
    pub id: u64,
    /// What is built, as the title has it.
    pub title: String,
    pub builder: String,
    /// Bytes of the context sent, and all of them.
    pub sent: Option<(u64, Option<u64>)>,
    pub lines: VecDeque<String>,
    bytes: usize,
    /// Lines that fell out of the ring.
    pub dropped: u64,
    /// The first line shown; `None` follows the end.
    pub first: Option<usize>,
    /// How it failed.
    pub failed: Option<Problem>,
    pub cancelling: bool,
}

impl Building {
    pub fn new(id: u64, ask: &BuildAsk) -> Self {
        let title = match ask.tags.first() {
            Some(tag) => tag.clone(),
            None => ask.folder.display().to_string(),
        };
        Self {
            id,
            title: crate::model::text::clean(&title, 80),
            builder: String::new(),
            sent: None,
            lines: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            first: None,
            failed: None,
            cancelling: false,
        }
    }

    pub fn hear(&mut self, news: BuildNews) {
        match news {
            BuildNews::Builder(builder) => self.builder = builder,
            BuildNews::Context { bytes, total_bytes } => self.sent = Some((bytes, total_bytes)),
            BuildNews::Line(line) => {
                self.bytes += line.len();
                self.lines.push_back(line);
            }
            BuildNews::Replace(line) => {
                if let Some(last) = self.lines.pop_back() {
                    self.bytes = self.bytes.saturating_sub(last.len());
                }
                self.bytes += line.len();
                self.lines.push_back(line);
            }
        }
        while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let Some(line) = self.lines.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(line.len());
            self.dropped += 1;
            self.first = self.first.map(|first| first.saturating_sub(1));
        }
    }

    /// The first line shown where `rows` are.
    pub fn top(&self, rows: usize) -> usize {
        let last = self.lines.len().saturating_sub(rows);
        self.first.map_or(last, |first| first.min(last))
    }

    /// Moves; at the end it follows again.
    pub fn scroll(&mut self, by: isize, rows: usize) {
        let last = self.lines.len().saturating_sub(rows);
        let to = self.top(rows).saturating_add_signed(by).min(last);
        self.first = (to < last).then_some(to);
    }
}
