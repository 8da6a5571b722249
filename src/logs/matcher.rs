//! What a search or a filter looks for: plain text or a regular expression, smart about case.

use regex::{Regex, RegexBuilder};

use super::sgr;

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatternKind {
    /// As it stands.
    Text,
    /// As a regular expression.
    Regex,
}

/// A compiled pattern. Without a capital letter in it, case does not matter.
#[derive(Debug, Clone)]
pub struct Matcher {
    regex: Regex,
    pattern: String,
    kind: PatternKind,
}

/// The compiled size that a pattern may have, in bytes.
const SIZE: usize = 1 << 20;

impl Matcher {
    /// Compiles a pattern; the error is one line for the user.
    pub fn new(pattern: &str, kind: PatternKind) -> Result<Self, String> {
        let source = match kind {
            PatternKind::Text => regex::escape(pattern),
            PatternKind::Regex => pattern.to_owned(),
        };
        let regex = RegexBuilder::new(&source)
            .case_insensitive(!pattern.chars().any(char::is_uppercase))
            .size_limit(SIZE)
            .dfa_size_limit(SIZE)
            .build()
            .map_err(|error| one_line(&error))?;
        Ok(Self {
            regex,
            pattern: pattern.to_owned(),
            kind,
        })
    }

    /// The pattern as it was typed.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// How it was read.
    pub fn kind(&self) -> PatternKind {
        self.kind
    }

    /// Whether a stored line matches; its colours do not count.
    pub fn is_match(&self, line: &str) -> bool {
        self.regex.is_match(&sgr::plain(line))
    }

    /// Where plain text matches, as byte ranges; empty matches are left out.
    pub fn find<'a>(&'a self, plain: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        self.regex
            .find_iter(plain)
            .map(|found| found.range())
            .filter(|range| !range.is_empty())
    }
}

/// regex prints the pattern with a caret, then `error: …`; the last line says what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("bad pattern").trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_smart_and_colours_do_not_count() {
        let lower = Matcher::new("loss", PatternKind::Text).unwrap();
        assert!(lower.is_match("Loss: 1") && lower.is_match("a LOSS"));
        let upper = Matcher::new("Loss", PatternKind::Text).unwrap();
        assert!(upper.is_match("Loss") && !upper.is_match("loss"));
        assert!(lower.is_match("lo\x1b[0;31mss"));
        assert!(
            Matcher::new("a.c", PatternKind::Text)
                .unwrap()
                .find("abc")
                .next()
                .is_none()
        );
        let regex = Matcher::new("l[0-9]+", PatternKind::Regex).unwrap();
        assert_eq!(regex.find("xl12 L3").collect::<Vec<_>>(), [1..4, 5..7]);
    }

    #[test]
    fn a_bad_pattern_says_why_in_one_line() {
        let error = Matcher::new("a(b", PatternKind::Regex).unwrap_err();
        assert_eq!(error, "unclosed group");
        let error = Matcher::new("(a{1000}){1000}", PatternKind::Regex).unwrap_err();
        assert!(!error.contains('\n') && !error.is_empty(), "{error}");
    }
}
