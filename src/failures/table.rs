//! The table of known failures: `assets/failures.toml`, read once, its patterns compiled together.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

/// Memory that the compiled patterns and their search may take, bytes.
const SIZE_LIMIT: usize = 16 << 20;

/// Where a pattern may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Only {
    /// In the engine's own text.
    Error,
}

/// A known failure, as its file has it.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Its name.
    pub id: String,
    /// What a line of it looks like; none where fields alone tell.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Where it counts; everywhere if absent.
    #[serde(default)]
    pub only: Option<Only>,
    /// A run that says so goes on.
    #[serde(default)]
    pub note: bool,
    /// It is worth a word and ends nothing.
    #[serde(default)]
    pub hint: bool,
    /// It counts only where GPUs were asked for.
    #[serde(default)]
    pub gpus: bool,
    /// It counts only where `/dev/shm` is known to be small.
    #[serde(default)]
    pub small_shm: bool,
    /// Names of failures that this one explains.
    #[serde(default)]
    pub over: Vec<String>,
    /// What happened.
    pub title: String,
    /// Why.
    pub cause: String,
    /// What to do.
    pub remedy: Vec<String>,
}

impl Entry {
    /// Whether it is known by the exit status: its pattern is only a hint.
    pub fn is_exit(&self) -> bool {
        self.id.starts_with("exit.")
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    /// The most specific first.
    pub entries: Vec<Entry>,
    set: RegexSet,
    /// Entry of each pattern of the set, and the pattern alone once it was needed.
    patterns: Vec<(usize, OnceLock<Option<Regex>>)>,
}

impl Table {
    /// The table compiled into the program. Its file is checked by a test; one that could not be read would
    /// leave the table empty, which only costs explanations.
    pub fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| {
            Self::load(include_str!("../../assets/failures.toml")).unwrap_or_else(|_| Self {
                entries: Vec::new(),
                set: RegexSet::empty(),
                patterns: Vec::new(),
            })
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// In words: it is no such table, or a pattern is none.
    pub fn load(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct File {
            failure: Vec<Entry>,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let with_pattern = || {
            let entries = file.failure.iter().enumerate();
            entries.filter_map(|(index, entry)| Some((index, entry.pattern.as_deref()?)))
        };
        // Bytes: a line may hold anything, and classes of ASCII alone keep the automaton small.
        let set = RegexSetBuilder::new(with_pattern().map(|(_, pattern)| pattern))
            .unicode(false)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| error.to_string())?;
        let patterns = with_pattern()
            .map(|(index, _)| (index, OnceLock::new()))
            .collect();
        Ok(Self {
            entries: file.failure,
            set,
            patterns,
        })
    }

    /// Indices of the entries whose pattern is in `text`.
    pub fn matches(&self, text: &[u8]) -> Vec<usize> {
        let matched = self.set.matches(text);
        matched
            .iter()
            .filter_map(|at| self.patterns.get(at).map(|(index, _)| *index))
            .collect()
    }

    /// The pattern of an entry by itself: for where it matches and what it names.
    pub fn pattern(&self, index: usize) -> Option<&Regex> {
        let (_, cell) = self.patterns.iter().find(|(of, _)| *of == index)?;
        cell.get_or_init(|| {
            let pattern = self.entries.get(index)?.pattern.as_deref()?;
            RegexBuilder::new(pattern).unicode(false).build().ok()
        })
        .as_ref()
    }

    /// The place of an entry.
    pub fn index(&self, id: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }
}
