//! One log line to rows of a given width.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::logs::sgr::{self, Sgr};

/// A character as it is shown, with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph<'a> {
    pub text: &'a str,
    /// Row within the line.
    pub row: usize,
    /// Column within the row.
    pub column: usize,
    /// Columns it takes: 1 or 2; 0 combines with the one before it.
    pub width: usize,
    pub style: Sgr,
    /// Where it begins in the line's plain text, in bytes.
    pub at: usize,
}

/// Goes through a stored line's characters, wrapped at `width` columns (`None`: one endless row).
pub(super) fn glyphs(line: &str, width: Option<usize>, mut each: impl FnMut(Glyph<'_>)) {
    let width = width.map(|width| width.max(1));
    let (mut row, mut column, mut at) = (0usize, 0usize, 0usize);
    for (style, run) in sgr::runs(line) {
        let mut place = |text: &str, columns: usize, at: usize| {
            // What is wider than the whole area cannot be shown.
            let (text, columns) = match width {
                Some(width) if columns > width => ("?", 1),
                _ => (text, columns),
            };
            if let Some(width) = width
                && columns > 0
                && column + columns > width
            {
                row += 1;
                column = 0;
            }
            each(Glyph {
                text,
                row,
                column,
                width: columns,
                style,
                at,
            });
            column += columns;
        };
        if run.is_ascii() {
            for (index, _) in run.char_indices() {
                place(run.get(index..index + 1).unwrap_or(" "), 1, at);
                at += 1;
            }
        } else {
            for text in run.graphemes(true) {
                place(text, text.width().min(2), at);
                at += text.len();
            }
        }
    }
}

/// How many rows a stored line takes at `width` columns (`None`: not wrapped).
pub(super) fn rows(line: &str, width: Option<usize>) -> usize {
    let Some(columns) = width else { return 1 };
    let columns = columns.max(1);
    if line.len() <= columns {
        return 1;
    }
    if line.is_ascii() && !line.contains('\x1b') {
        return line.len().div_ceil(columns);
    }
    let mut last = 0;
    glyphs(line, width, |glyph| last = glyph.row);
    last + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_characters_go_whole_to_the_next_row() {
        let mut seen = Vec::new();
        glyphs("a日本e\u{301}", Some(4), |g| {
            seen.push((g.text.to_owned(), g.row, g.column, g.width));
        });
        assert_eq!(
            seen,
            [
                ("a".to_owned(), 0, 0, 1),
                ("日".to_owned(), 0, 1, 2),
                ("本".to_owned(), 1, 0, 2),
                ("e\u{301}".to_owned(), 1, 2, 1),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide_and_the_count_is_right(
            text in "([a-z日本é\u{301}\u{1f469}\u{200d}\u{1f680}]|\x1b\\[0;31m|\x1b\\[m){0,60}",
            width in 1usize..20,
        ) {
            let (mut last, mut end, mut joined) = (0, 0, 0);
            glyphs(&text, Some(width), |g| {
                assert!(g.column + g.width <= width.max(g.column));
                last = g.row;
                end = g.column + g.width;
                joined += 1;
            });
            let _ = (end, joined);
            prop_assert_eq!(rows(&text, Some(width)), last + 1);
        }
    }
}
