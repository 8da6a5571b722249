//! Plain tables for `ps` and `gpus`: columns aligned by the width their characters take on a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::text::clean;

/// Characters of a cell; a command line may have megabytes.
const LONGEST_CELL: usize = 400;
/// Between two columns.
const GAP: &str = "  ";

/// Which side a column's cells stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table under construction.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, one cell a column. Control characters are taken out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(
            cells
                .into_iter()
                .map(|cell| clean(&cell, LONGEST_CELL))
                .collect(),
        );
    }

    /// The lines, each ended by a newline; `width` cuts them to a terminal's columns.
    pub fn render(&self, width: Option<usize>) -> String {
        let headers: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let mut widths: Vec<usize> = headers.iter().map(|h| h.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut out = String::new();
        for row in std::iter::once(&headers).chain(&self.rows) {
            let line = self.line(row, &widths);
            let line = line.trim_end();
            out.push_str(width.map_or(line, |width| cut(line, width)));
            out.push('\n');
        }
        out
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(&self.columns) {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let space = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => line.extend([cell.as_str(), &space]),
                Align::Right => line.extend([space.as_str(), cell]),
            }
        }
        line
    }
}

/// The longest beginning that takes at most `width` columns.
fn cut(line: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, c) in line.char_indices() {
        used += c.width().unwrap_or(0);
        if used > width {
            return line.get(..at).unwrap_or(line);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_straight_with_wide_and_hostile_text() {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("MEM", Align::Right),
            ("COMMAND", Align::Left),
        ]);
        table.row(["训练".into(), "9 B".into(), "a\u{1b}]52;c;x\u{7}b\n".into()]);
        table.row(["e\u{301}a".into(), "12.0 GiB".into(), "x \u{202e}y".into()]);
        assert_eq!(
            table.render(None),
            "NAME       MEM  COMMAND\n\
             训练       9 B  ab\n\
             e\u{301}a    12.0 GiB  x y\n"
        );
        assert_eq!(
            table.render(Some(7)),
            "NAME\n训练\ne\u{301}a\n"
                .replace("NAME", "NAME   ")
                .replace("训练", "训练   ")
                .replace("e\u{301}a", "e\u{301}a    1")
        );
        assert_eq!(cut("训练", 3), "训");
    }
}
