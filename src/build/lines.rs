//! A builder's output as lines that are safe to show. Pure.

use super::BuildNews;
use crate::model::text::plain;

/// Longest line that is shown, in characters, and the most bytes of one that are kept.
const MAX_SHOWN: usize = 2000;
const MAX_BYTES: usize = 16 * 1024;

/// Makes lines of text in whatever pieces it comes. What ends in `\r` is the line again with a newer text.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    line: String,
    /// What of this line was told already.
    told: Option<String>,
    /// `\r` was read: what follows writes over the line.
    returned: bool,
}

impl Lines {
    /// Takes a piece; tells the lines in it, and what the last one is by now.
    pub fn push(&mut self, text: &str, tell: &mut dyn FnMut(BuildNews)) {
        let mut fresh = false;
        for part in text.split_inclusive(['\n', '\r']) {
            let (body, end) = match part.chars().next_back() {
                Some(end @ ('\n' | '\r')) => {
                    (part.get(..part.len() - 1).unwrap_or_default(), Some(end))
                }
                _ => (part, None),
            };
            if !body.is_empty() {
                if std::mem::take(&mut self.returned) {
                    self.line.clear();
                }
                let room = MAX_BYTES.saturating_sub(self.line.len());
                let cut = body.floor_char_boundary(room.min(body.len()));
                self.line.push_str(body.get(..cut).unwrap_or_default());
                fresh = true;
            }
            match end {
                Some('\n') => {
                    self.show(tell);
                    self.line.clear();
                    (self.told, self.returned, fresh) = (None, false, false);
                }
                Some(_) => self.returned = true,
                None => {}
            }
        }
        if fresh {
            self.show(tell);
        }
    }

    /// The output ended.
    pub fn end(&mut self, tell: &mut dyn FnMut(BuildNews)) {
        if !self.line.is_empty() && self.told.is_none() {
            self.show(tell);
        }
        *self = Self::default();
    }

    fn show(&mut self, tell: &mut dyn FnMut(BuildNews)) {
        let text = plain(&self.line, MAX_SHOWN);
        match self.told.replace(text.clone()) {
            Some(told) if told == text => {}
            Some(_) => tell(BuildNews::Replace(text)),
            None => tell(BuildNews::Line(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&str]) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut lines = Lines::default();
        let mut tell = |news| match news {
            BuildNews::Line(text) => out.push(text),
            BuildNews::Replace(text) => *out.last_mut().expect("a line") = text,
            other => panic!("{other:?}"),
        };
        for piece in pieces {
            lines.push(piece, &mut tell);
        }
        lines.end(&mut tell);
        out
    }

    #[test]
    fn pieces_become_lines_and_returns_write_over_them() {
        for (pieces, want) in [
            (&["a\nb\n"][..], &["a", "b"][..]),
            (&["a", "b", "\n", "c"], &["ab", "c"]),
            (&["\n", "a\n\n"], &["", "a", ""]),
            (&["1 %\r2 %\r", "3 %\n", "done\n"], &["3 %", "done"]),
            (&["a\r\nb\r\n"], &["a", "b"]),
            (&["half\r"], &["half"]),
            (&["  \u{1b}[31mred\u{1b}[0m  x\u{7}\n"], &["  red  x"]),
            (&["é", "é\n"], &["éé"]),
            (&[""], &[]),
        ] {
            assert_eq!(all(pieces), want, "{pieces:?}");
        }
    }

    #[test]
    fn an_end_that_comes_later_tells_nothing_anew() {
        let mut count = 0;
        let mut lines = Lines::default();
        for piece in ["Step 1", "\n", "x\n"] {
            lines.push(piece, &mut |_| count += 1);
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let piece = "é".repeat(5000);
        let pieces: Vec<&str> = vec![&piece; 10];
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(piece, &mut |_| {});
        }
        assert!(lines.line.len() <= MAX_BYTES);
    }
}
