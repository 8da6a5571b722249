//! Which failures show, and in what order they are told.

use super::table::{Entry, Only, Table};
use super::{Ended, Failure, MAX_LINE_BYTES, MAX_LINES};
use crate::model::text::clean;

/// Docker's default of `/dev/shm`, bytes.
pub(super) const DEFAULT_SHM: u64 = 64 << 20;

/// Most characters of a line that are shown.
const SHOWN: usize = 240;

/// Bytes shown before what was found in a long line.
const LEAD: usize = 80;

/// Most characters of a name out of a line.
const NAME: usize = 80;

/// What showed it; the smaller, the more it explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// A field that leaves no doubt: the kernel killed it, a signal from outside.
    Field,
    /// The engine's own text.
    Error,
    /// A line of the log.
    Line,
    /// The exit status alone.
    Exit,
    /// Something that a run that goes on says.
    Note,
}

/// A failure that shows.
#[derive(Debug)]
struct Hit {
    index: usize,
    by: By,
    evidence: String,
    what: Option<String>,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Found {
    table: &'static Table,
    hits: Vec<Hit>,
}

impl Found {
    /// Nothing yet.
    pub fn new(table: &'static Table) -> Self {
        Self {
            table,
            hits: Vec::new(),
        }
    }

    /// A failure that fields tell.
    pub fn field(&mut self, id: &str, by: By, evidence: String) {
        if let Some(index) = self.table.index(id) {
            self.hits.push(Hit {
                index,
                by,
                evidence,
                what: None,
            });
        }
    }

    /// Looks at the engine's error, which is one text even where it has line ends.
    pub fn error(&mut self, ended: &Ended) {
        if let Some(error) = ended.error {
            let text = cut(error).replace(['\n', '\r'], " ");
            self.text(ended, &text, By::Error);
        }
    }

    /// Looks at the last lines of the log.
    pub fn log(&mut self, ended: &Ended) {
        let first = ended.lines.len().saturating_sub(MAX_LINES);
        for line in ended.lines.get(first..).unwrap_or_default() {
            self.text(ended, cut(line), By::Line);
        }
    }

    fn text(&mut self, ended: &Ended, text: &str, by: By) {
        for index in self.table.matches(text.as_bytes()) {
            let Some(entry) = self.table.entries.get(index) else {
                continue;
            };
            if counts(entry, ended, by) {
                let by = if entry.note && by == By::Line {
                    By::Note
                } else {
                    by
                };
                let hit = self.hit(index, text, by);
                self.hits.push(hit);
            }
        }
    }

    fn hit(&self, index: usize, text: &str, by: By) -> Hit {
        let bytes = text.as_bytes();
        let captures = self.table.pattern(index).and_then(|p| p.captures(bytes));
        let start = captures
            .as_ref()
            .and_then(|c| c.get(0))
            .map_or(0, |all| all.start());
        let named = |name| {
            let group = captures.as_ref().and_then(|c| c.name(name))?;
            let name = clean(&String::from_utf8_lossy(group.as_bytes()), NAME);
            (!name.is_empty()).then_some(name)
        };
        // A banner that gives CUDA's code is that code's failure.
        let coded = named("code").and_then(|code| self.table.index(&format!("cuda.{code}")));
        let shown = if bytes.len() > SHOWN {
            bytes.get(start.saturating_sub(LEAD)..).unwrap_or(bytes)
        } else {
            bytes
        };
        Hit {
            index: coded.unwrap_or(index),
            by,
            evidence: clean(&String::from_utf8_lossy(shown), SHOWN),
            what: named("what"),
        }
    }

    /// All of them, the most specific first, each once and with the last line that shows it.
    pub fn failures(self) -> Vec<Failure> {
        let table = self.table;
        let mut kept: Vec<Hit> = Vec::new();
        for hit in self.hits {
            match kept.iter_mut().find(|known| known.index == hit.index) {
                Some(known) if hit.by <= known.by => *known = hit,
                Some(_) => {}
                None => kept.push(hit),
            }
        }
        let over = |hit: &Hit| table.entries.get(hit.index).map(|e| &e.over);
        let id = |hit: &Hit| table.entries.get(hit.index).map(|e| &e.id);
        let covers = |hit: &Hit, other: &Hit| {
            over(hit)
                .zip(id(other))
                .is_some_and(|(over, id)| over.contains(id))
        };
        // What explains another stands where that one would.
        let by: Vec<By> = kept
            .iter()
            .map(|hit| {
                let explained = kept.iter().filter(|other| covers(hit, other));
                explained
                    .map(|o| o.by)
                    .chain([hit.by])
                    .min()
                    .unwrap_or(hit.by)
            })
            .collect();
        let mut told: Vec<(By, &Hit)> = by
            .into_iter()
            .zip(&kept)
            .filter(|(_, hit)| !kept.iter().any(|other| covers(other, hit)))
            .collect();
        told.sort_by_key(|(by, hit)| (*by, hit.index));
        told.into_iter()
            .filter_map(|(_, hit)| Some(failure(table.entries.get(hit.index)?, hit)))
            .collect()
    }
}

/// Whether what matched is to be claimed.
fn counts(entry: &Entry, ended: &Ended, by: By) -> bool {
    let small = ended.shm_bytes.is_some_and(|shm| shm <= DEFAULT_SHM);
    let in_log = by == By::Line;
    // A run that ended well had no failure, whatever it printed and got over.
    let went_well = in_log && ended.exit_code == Some(0) && ended.error.is_none();
    let went_wrong = ended.exit_code.is_some_and(|code| code != 0);
    (entry.only != Some(Only::Error) || !in_log)
        && (!entry.gpus || ended.has_gpus)
        && (!entry.small_shm || small)
        && (!went_well || entry.note)
        && (!entry.is_exit() || (in_log && went_wrong))
}

fn failure(entry: &'static Entry, hit: &Hit) -> Failure {
    let what = hit.what.as_deref();
    Failure {
        id: &entry.id,
        title: fill(&entry.title, what),
        cause: fill(&entry.cause, what),
        evidence: Some(hit.evidence.clone()).filter(|evidence| !evidence.is_empty()),
        remedy: entry.remedy.clone(),
    }
}

/// `{what|else}` -> what was named, or the word for none.
pub(super) fn fill(text: &str, what: Option<&str>) -> String {
    let filled = || {
        let (before, rest) = text.split_once("{what|")?;
        let (other, after) = rest.split_once('}')?;
        Some(format!("{before}{}{after}", what.unwrap_or(other)))
    };
    filled().unwrap_or_else(|| text.to_owned())
}

/// At most [`MAX_LINE_BYTES`] of it.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_LINE_BYTES);
    text.get(..end).unwrap_or_default()
}
