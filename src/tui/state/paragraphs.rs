//! Paragraphs of several tones, wrapped at spaces to a width.

use crate::tui::fmt::push_clean;
use crate::tui::widgets::{Tone, split, width};

/// Bytes of one text that are shown; the rest of a longer one says nothing more.
const LONGEST: usize = 2000;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub tone: Tone,
    pub text: String,
}

/// A line that fits.
pub type TextLine = Vec<Span>;

/// Writes paragraphs line by line.
#[derive(Debug)]
pub struct Paragraphs {
    room: u16,
    pub lines: Vec<TextLine>,
    /// The column after what is written of the last line.
    at: u16,
    /// Where the lines after a paragraph's first begin.
    hang: u16,
}

impl Paragraphs {
    /// Lines of at most `room` columns.
    pub fn new(room: u16) -> Self {
        Self {
            room: room.max(20),
            lines: Vec::new(),
            at: 0,
            hang: 0,
        }
    }

    /// Columns of a line.
    pub fn room(&self) -> u16 {
        self.room
    }

    /// Begins a paragraph with `lead`, padded to `hang` columns, where its further lines begin.
    pub fn begin(&mut self, hang: u16, tone: Tone, lead: &str) -> &mut Self {
        let mut text = String::new();
        push_clean(&mut text, lead);
        let used = width(&text);
        for _ in used..hang {
            text.push(' ');
        }
        self.at = used.max(hang);
        self.hang = hang.min(self.room / 2);
        self.lines.push(vec![Span { tone, text }]);
        self
    }

    /// An empty line, but none at the top and no two.
    pub fn gap(&mut self) {
        if self.lines.last().is_some_and(|l| !l.is_empty()) {
            self.lines.push(Vec::new());
        }
    }

    /// Goes on with text, wrapped at spaces; a word too long for a line is cut.
    pub fn text(&mut self, tone: Tone, text: &str) -> &mut Self {
        let mut clean = String::new();
        let end = text.floor_char_boundary(LONGEST);
        push_clean(&mut clean, text.get(..end).unwrap_or(text));
        if end < text.len() {
            clean.push('…');
        }
        for word in clean.split_inclusive(' ') {
            self.word(tone, word);
        }
        self
    }

    /// Goes on with a piece that is not to be broken where a line can hold it.
    pub fn whole(&mut self, tone: Tone, text: &str) -> &mut Self {
        let mut clean = String::new();
        push_clean(&mut clean, text);
        if width(&clean) <= self.room.saturating_sub(self.hang) {
            self.word(tone, &clean);
            return self;
        }
        self.text(tone, text)
    }

    /// Prose in which pieces between backticks are to be typed.
    pub fn prose(&mut self, tone: Tone, text: &str) -> &mut Self {
        for (place, piece) in text.split('`').enumerate() {
            if place % 2 == 1 {
                self.text(Tone::Key, &format!("`{piece}`"));
            } else {
                self.text(tone, piece);
            }
        }
        self
    }

    fn word(&mut self, tone: Tone, word: &str) {
        let bare = width(word.trim_end_matches(' '));
        if self.at + bare > self.room && self.at > self.hang {
            self.break_line();
        }
        let mut rest = word;
        while width(rest.trim_end_matches(' ')) > self.room.saturating_sub(self.at) {
            let (line, after) = split(rest, self.room.saturating_sub(self.at).max(1));
            if line.is_empty() || after.is_empty() {
                break;
            }
            self.push(tone, line);
            self.break_line();
            rest = after;
        }
        // A space that does not fit any more ends the line.
        let fits = if self.at + width(rest) > self.room {
            rest.trim_end_matches(' ')
        } else {
            rest
        };
        self.push(tone, fits);
        if fits.len() < rest.len() {
            self.at = self.room;
        }
    }

    fn push(&mut self, tone: Tone, text: &str) {
        if text.is_empty() {
            return;
        }
        self.at += width(text);
        if self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
        let Some(line) = self.lines.last_mut() else {
            return;
        };
        match line.last_mut() {
            Some(last) if last.tone == tone => last.text.push_str(text),
            _ => line.push(Span {
                tone,
                text: text.to_owned(),
            }),
        }
    }

    fn break_line(&mut self) {
        let text = " ".repeat(usize::from(self.hang));
        self.at = self.hang;
        let tone = Tone::Text;
        self.lines.push(vec![Span { tone, text }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(paragraphs: &Paragraphs) -> Vec<String> {
        let line = |l: &TextLine| l.iter().map(|s| s.text.as_str()).collect::<String>();
        paragraphs
            .lines
            .iter()
            .map(|l| line(l).trim_end().to_owned())
            .collect()
    }

    #[test]
    fn lines_break_at_spaces_hang_and_never_run_over() {
        let mut out = Paragraphs::new(24);
        out.begin(6, Tone::Dim, "CUDA")
            .text(Tone::Text, "declared 12.4, runtime 12.4.127 and more");
        assert_eq!(
            plain(&out),
            [
                "CUDA  declared 12.4,",
                "      runtime 12.4.127",
                "      and more"
            ]
        );
        let mut out = Paragraphs::new(20);
        out.begin(2, Tone::Dim, "→").prose(
            Tone::Text,
            "type `a b` or 0123456789012345678901234567890123456789 訓練実行訓練実行訓練実行",
        );
        for line in plain(&out) {
            assert!(width(&line) <= 20, "{line}");
        }
        assert!(out.lines.iter().flatten().any(|s| s.tone == Tone::Key));
        let all = plain(&out).join("").replace(' ', "");
        assert!(
            all.contains("0123456789012345678901234567890123456789"),
            "{all}"
        );
    }

    #[test]
    fn hostile_text_is_cleaned_and_bounded() {
        let mut out = Paragraphs::new(40);
        out.begin(0, Tone::Text, "\u{1b}[31m");
        out.text(Tone::Text, &"a\u{1b}]52;c;x\u{7}\u{202e}".repeat(10_000));
        let text = plain(&out).join("");
        assert!(!text.chars().any(crate::model::text::is_unsafe), "{text:?}");
        assert!(text.len() < 3000);
        let mut tight = Paragraphs::new(0);
        tight
            .begin(30, Tone::Text, "x")
            .text(Tone::Text, "some words and 訓練");
        assert!(!tight.lines.is_empty());
    }

    #[test]
    fn gaps_are_single_and_never_first() {
        let mut out = Paragraphs::new(40);
        out.gap();
        assert!(out.lines.is_empty());
        out.begin(0, Tone::Text, "a");
        out.gap();
        out.gap();
        assert_eq!(out.lines.len(), 2);
    }
}
