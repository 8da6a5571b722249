//! The image list.

use std::time::Duration;

use crate::model::{Image, ImageId};
use crate::watch::World;

use super::list::contains_folded;
use super::verdicts::Verdicts;

/// What it is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageSort {
    #[default]
    Tag,
    /// What fails first.
    Verdict,
    Size,
    Created,
    Used,
}

impl ImageSort {
    /// The next one.
    pub fn next(self) -> Self {
        match self {
            Self::Tag => Self::Verdict,
            Self::Verdict => Self::Size,
            Self::Size => Self::Created,
            Self::Created => Self::Used,
            Self::Used => Self::Tag,
        }
    }

    /// Its heading.
    pub fn label(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Verdict => "verdict",
            Self::Size => "size",
            Self::Created => "created",
            Self::Used => "used",
        }
    }
}

/// One line.
#[derive(Debug, Clone)]
pub struct ImageLine {
    pub image: Image,
    /// Containers made from it.
    pub used: usize,
}

/// The list.
#[derive(Debug, Default)]
pub struct Images {
    pub lines: Vec<ImageLine>,
    pub selected: usize,
    pub offset: usize,
    pub sort: ImageSort,
    pub reversed: bool,
    pub filter: String,
    /// They have been asked for.
    pub asked: bool,
    /// They could not be had: not asked for again before this time (on the monotonic clock).
    pub again: Option<Duration>,
    pub error: Option<String>,
    anchor: Option<ImageId>,
}

impl Images {
    /// Fills it anew.
    pub fn rebuild(&mut self, world: &World, verdicts: &Verdicts) {
        let Some(images) = &world.images else {
            self.lines.clear();
            return;
        };
        let exact = self.filter.chars().any(char::is_uppercase);
        let has = |text: &str| {
            if exact {
                text.contains(&self.filter)
            } else {
                contains_folded(text, &self.filter)
            }
        };
        let wanted = |image: &&Image| {
            self.filter.is_empty()
                || has(&image.id.0)
                || has(image.display_name())
                || image.tags.iter().any(|t| has(t))
        };
        self.lines = images
            .iter()
            .filter(wanted)
            .map(|image| {
                let listed = world
                    .rows
                    .values()
                    .filter(|r| r.container.image_id == image.id)
                    .count();
                ImageLine {
                    image: image.clone(),
                    used: listed,
                }
            })
            .collect();
        let sort = self.sort;
        self.lines.sort_by(|a, b| {
            let by_tag = || {
                let (a, b) = (&a.image, &b.image);
                let untagged = a.tags.is_empty().cmp(&b.tags.is_empty());
                untagged.then_with(|| a.display_name().cmp(b.display_name()))
            };
            // Of what nothing is known comes last.
            let rank = |line: &ImageLine| verdicts.image_rank(&line.image.id).unwrap_or(u8::MAX);
            let order = match sort {
                ImageSort::Tag => by_tag(),
                ImageSort::Verdict => rank(a).cmp(&rank(b)).then_with(by_tag),
                ImageSort::Size => b.image.size_bytes.cmp(&a.image.size_bytes),
                ImageSort::Created => b.image.created_at.cmp(&a.image.created_at),
                ImageSort::Used => b.used.cmp(&a.used),
            };
            order.then_with(|| a.image.id.cmp(&b.image.id))
        });
        if self.reversed {
            self.lines.reverse();
        }
        let found = self
            .anchor
            .as_ref()
            .and_then(|id| self.lines.iter().position(|l| l.image.id == *id));
        self.selected = found
            .unwrap_or(self.selected)
            .min(self.lines.len().saturating_sub(1));
    }

    /// Selects a line.
    pub fn select(&mut self, index: usize) {
        self.selected = index.min(self.lines.len().saturating_sub(1));
        self.anchor = self.selected_id();
    }

    /// Moves the selection.
    pub fn move_by(&mut self, by: isize) {
        self.select(self.selected.saturating_add_signed(by));
    }

    /// The selected image.
    pub fn selected_id(&self) -> Option<ImageId> {
        self.lines.get(self.selected).map(|l| l.image.id.clone())
    }

    /// Keeps the selection within a window of `rows` lines.
    pub fn window(&mut self, rows: usize) {
        if self.selected < self.offset {
            self.offset = self.selected;
        } else if rows > 0 && self.selected >= self.offset + rows {
            self.offset = self.selected + 1 - rows;
        }
        self.offset = self.offset.min(self.lines.len().saturating_sub(rows));
    }
}
