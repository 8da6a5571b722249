//! Which rows of which lines are on the screen, and moving about. Only lines near the screen are laid out.

use super::line;
use super::state::LogsState;
use crate::logs::{Line, PageKind};
use crate::tui::Effect;

/// The size of the part of the tab that shows lines, as it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Viewport {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// The first row on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Anchor {
    /// The line's number.
    pub line: i64,
    /// The row within it.
    pub row: usize,
}

/// Rows to draw, from the top.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub rows: Vec<Anchor>,
    /// How many of the live line's last rows come under them.
    pub live: usize,
}

impl LogsState {
    /// Takes the size of what was drawn, for paging and wrapping.
    pub fn set_viewport(&mut self, viewport: Viewport) {
        self.viewport = viewport;
    }

    /// Columns before a line's text: time and container's name.
    pub(super) fn prefix(&self) -> usize {
        let time = if self.timestamps { 19 } else { 0 };
        time + self.name_columns()
    }

    /// Columns of the merged containers' names.
    pub(super) fn name_columns(&self) -> usize {
        use unicode_width::UnicodeWidthStr;
        if self.targets.len() < 2 {
            return 0;
        }
        let longest = self.targets.iter().map(|t| t.name.width()).max();
        longest.unwrap_or(0).min(16) + 1
    }

    /// The width that lines are wrapped at; `None` where they are cut.
    pub(super) fn wrap_width(&self, columns: u16) -> Option<usize> {
        self.wrap.then(|| {
            let columns = usize::from(columns);
            // A prefix wider than half leaves too little: the text keeps half at least.
            columns
                .saturating_sub(self.prefix())
                .max(columns / 2)
                .max(1)
        })
    }

    fn height(&self, number: i64, columns: u16) -> usize {
        self.buffer
            .get(number)
            .map_or(1, |shown| line::rows(shown.text, self.wrap_width(columns)))
    }

    /// The first line that the filter lets through.
    pub(super) fn first_line(&self) -> Option<i64> {
        match &self.filter {
            Some(filter) => filter.lines.front().copied(),
            None => (!self.buffer.is_empty()).then(|| self.buffer.range().start),
        }
    }

    pub(super) fn last_line(&self) -> Option<i64> {
        match &self.filter {
            Some(filter) => filter.lines.back().copied(),
            None => (!self.buffer.is_empty()).then(|| self.buffer.range().end - 1),
        }
    }

    pub(super) fn line_after(&self, number: i64) -> Option<i64> {
        match &self.filter {
            Some(filter) => {
                let at = filter.lines.partition_point(|n| *n <= number);
                filter.lines.get(at).copied()
            }
            None => (number + 1 < self.buffer.range().end)
                .then(|| (number + 1).max(self.buffer.range().start)),
        }
    }

    pub(super) fn line_before(&self, number: i64) -> Option<i64> {
        match &self.filter {
            Some(filter) => {
                let at = filter.lines.partition_point(|n| *n < number);
                filter.lines.get(at.checked_sub(1)?).copied()
            }
            None => (number > self.buffer.range().start)
                .then(|| (number - 1).min(self.buffer.range().end - 1)),
        }
    }

    /// Up to `count` rows before `anchor`, nearest first.
    fn rows_before(&self, anchor: Anchor, count: usize, columns: u16) -> Vec<Anchor> {
        let mut rows = Vec::with_capacity(count.min(512));
        let mut at = anchor;
        while rows.len() < count {
            if at.row > 0 {
                at.row -= 1;
            } else if let Some(line) = self.line_before(at.line) {
                at = Anchor {
                    line,
                    row: self.height(line, columns).saturating_sub(1),
                };
            } else {
                break;
            }
            rows.push(at);
        }
        rows
    }

    /// Up to `count` rows from `anchor` on.
    fn rows_from(&self, anchor: Anchor, count: usize, columns: u16) -> Vec<Anchor> {
        let mut rows = Vec::with_capacity(count.min(512));
        let mut at = anchor;
        let mut height = self.height(at.line, columns);
        while rows.len() < count {
            if at.row >= height {
                let Some(line) = self.line_after(at.line) else {
                    break;
                };
                at = Anchor { line, row: 0 };
                height = self.height(line, columns);
            }
            rows.push(at);
            at.row += 1;
        }
        rows
    }

    fn live_rows(&self, area: Viewport) -> usize {
        // At most half of the screen for a line that is not finished.
        let most = usize::from(area.rows).div_ceil(2).min(8);
        match &self.live {
            Some(live) if self.follow => {
                line::rows(&live.text, self.wrap_width(area.columns)).min(most)
            }
            _ => 0,
        }
    }

    /// What is shown in `area`.
    pub(super) fn screen(&self, area: Viewport) -> Screen {
        let live = self.live_rows(area);
        let count = usize::from(area.rows).saturating_sub(live);
        let mut rows;
        if self.follow {
            let after_last = Anchor {
                line: i64::MAX,
                row: 0,
            };
            rows = self.rows_before(after_last, count, area.columns);
            rows.reverse();
        } else {
            let anchor = self.settled(area.columns);
            rows = anchor.map_or_else(Vec::new, |a| self.rows_from(a, count, area.columns));
            // At the end the screen stays full.
            if rows.len() < count
                && let Some(anchor) = anchor
            {
                let mut above = self.rows_before(anchor, count - rows.len(), area.columns);
                above.reverse();
                above.append(&mut rows);
                rows = above;
            }
        }
        Screen { rows, live }
    }

    /// The anchor on a line that is there.
    fn settled(&self, columns: u16) -> Option<Anchor> {
        let shown = match &self.filter {
            None => self.buffer.get(self.top.line).is_some(),
            Some(filter) => filter.lines.binary_search(&self.top.line).is_ok(),
        };
        if shown {
            let last = self.height(self.top.line, columns).saturating_sub(1);
            return Some(Anchor {
                line: self.top.line,
                row: self.top.row.min(last),
            });
        }
        let line = self
            .line_after(self.top.line)
            .or_else(|| self.line_before(self.top.line))?;
        Some(Anchor { line, row: 0 })
    }

    /// Stops following where the screen stands.
    pub(super) fn hold(&mut self) {
        if self.follow {
            if let Some(first) = self.screen(self.viewport).rows.first() {
                self.top = *first;
            }
            self.follow = false;
        } else if let Some(first) = self.screen(self.viewport).rows.first() {
            self.top = *first;
        }
    }

    /// Goes up by so many rows; asks for older lines at the top.
    pub(super) fn scroll_up(&mut self, count: usize) -> Vec<Effect> {
        self.hold();
        let rows = self.rows_before(self.top, count, self.viewport.columns);
        let short = rows.len() < count;
        if let Some(top) = rows.last() {
            self.top = *top;
        }
        if short { self.load_older() } else { Vec::new() }
    }

    /// Goes down by so many rows; at the end the log is followed again.
    pub(super) fn scroll_down(&mut self, count: usize) -> Vec<Effect> {
        if self.follow {
            return Vec::new();
        }
        let columns = self.viewport.columns;
        if let Some(anchor) = self.settled(columns) {
            let rows = self.rows_from(anchor, count + 1, columns);
            if let Some(top) = rows.last() {
                self.top = *top;
            }
        }
        let screen = self.screen(self.viewport);
        if let Some(first) = screen.rows.first() {
            self.top = *first;
        }
        let at_end = match (screen.rows.last(), self.last_line()) {
            (Some(last), Some(end)) => {
                last.line == end && last.row + 1 >= self.height(end, columns)
            }
            _ => true,
        };
        if !at_end {
            return Vec::new();
        }
        if self.reach.detached {
            return self.load_newer();
        }
        self.follow = true;
        Vec::new()
    }

    /// Brings a line to the screen, with some lines above it.
    pub(super) fn show_line(&mut self, number: i64) {
        self.hold();
        let screen = self.screen(self.viewport);
        if screen.rows.iter().any(|row| row.line == number) {
            return;
        }
        let above = usize::from(self.viewport.rows / 3);
        let anchor = Anchor {
            line: number,
            row: 0,
        };
        let rows = self.rows_before(anchor, above, self.viewport.columns);
        self.top = rows.last().copied().unwrap_or(anchor);
    }

    pub(super) fn load_older(&mut self) -> Vec<Effect> {
        if self.reach.beginning {
            return Vec::new();
        }
        match self.front_place() {
            Some(place) => self.load(PageKind::Older(place)),
            None => Vec::new(),
        }
    }

    pub(super) fn load_newer(&mut self) -> Vec<Effect> {
        match self.back_place() {
            Some(place) => self.load(PageKind::Newer(place)),
            None => Vec::new(),
        }
    }

    pub(super) fn load(&mut self, page: PageKind) -> Vec<Effect> {
        if self.reach.loading.is_some() || self.targets.is_empty() {
            return Vec::new();
        }
        self.reach.loading = Some(page);
        vec![Effect::Log(crate::logs::LogCommand::Load {
            generation: self.generation,
            page,
            since: self.since_time,
        })]
    }

    /// The lines on the screen, once each.
    pub(super) fn visible(&self) -> Vec<Line<'_>> {
        let mut numbers: Vec<i64> = self
            .screen(self.viewport)
            .rows
            .iter()
            .map(|row| row.line)
            .collect();
        numbers.dedup();
        numbers
            .into_iter()
            .filter_map(|number| self.buffer.get(number))
            .collect()
    }
}
