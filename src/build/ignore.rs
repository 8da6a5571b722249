//! `.dockerignore`, read and matched as Docker does: moby's `patternmatcher` and the walk of docker's own
//! client (`archive.TarWithOptions`), quirks included, so that both send the same files.
//!
//! A pattern's syntax is checked as Go's `filepath.Match` has it; the match itself is moby's translation into a
//! regular expression, in which `**` stands for any number of folders.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

use crate::model::text::clean;

/// Bytes of a `.dockerignore` that are read.
pub const MAX_BYTES: usize = 1 << 20;
/// Most patterns.
const MAX_PATTERNS: usize = 10_000;
/// Longest line, as the client's scanner has it.
const MAX_LINE: usize = 64 * 1024;
/// Most memory of one compiled pattern, bytes.
const MAX_COMPILED: usize = 1 << 20;

/// A line that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text:?} is no pattern: {why}")]
pub struct BadPattern {
    /// Which line of the file, from 1.
    pub line: usize,
    /// The line, shortened.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What of a folder is left out.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    exceptions: bool,
}

/// Which patterns matched a folder: what lies below it is matched by them too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched(Vec<bool>);

#[derive(Debug, Clone)]
struct Pattern {
    exception: bool,
    text: String,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Exact,
    /// All that begins with this.
    Prefix(String),
    /// All that ends with this.
    Suffix(String),
    Regex(Regex),
}

impl Ignore {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that is no pattern.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut ignore = Self::default();
        for (at, line) in text.split('\n').enumerate() {
            let bad = |why| BadPattern {
                line: at + 1,
                text: clean(line, 60),
                why,
            };
            if line.len() > MAX_LINE {
                return Err(bad("it is too long"));
            }
            // A comment begins in the first column.
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if ignore.patterns.len() == MAX_PATTERNS {
                return Err(bad("there are too many before it"));
            }
            let pattern = Pattern::read(line.trim()).map_err(bad)?;
            ignore.exceptions |= pattern.exception;
            ignore.patterns.push(pattern);
        }
        Ok(ignore)
    }

    /// Sends this file whatever the patterns say, as the engine's builder needs the Dockerfile and the
    /// `.dockerignore` itself. (The engine takes them out again where they are ignored.)
    pub fn keep(&mut self, path: &str) {
        if self.ignores(path) {
            self.exceptions = true;
            self.patterns.push(Pattern {
                exception: true,
                text: path.to_owned(),
                way: Way::Exact,
            });
        }
    }

    /// Whether a path, relative to the context and with `/` between its parts, is left out. `above` is what
    /// the folder that it lies in matched; without it the folders above are matched anew.
    pub fn judge(&self, path: &str, above: Option<&Matched>) -> (bool, Matched) {
        let mut out = false;
        let mut matched = vec![false; self.patterns.len()];
        for ((at, pattern), slot) in self.patterns.iter().enumerate().zip(&mut matched) {
            let mut hit = above.is_some_and(|above| above.0.get(at).copied().unwrap_or(false));
            if !hit {
                // An exception matters only to what is out, all else only to what is in.
                if pattern.exception != out {
                    continue;
                }
                hit = pattern.matches(path)
                    || (above.is_none() && folders(path).any(|folder| pattern.matches(folder)));
            }
            *slot = hit;
            if hit {
                out = !pattern.exception;
            }
        }
        (out, Matched(matched))
    }

    /// Whether a path is left out.
    pub fn ignores(&self, path: &str) -> bool {
        self.judge(path, None).0
    }

    /// Whether a folder that is left out is walked all the same, since an exception names something below it.
    /// As with Docker's client an exception that begins with a wildcard does not count.
    pub fn is_walked(&self, folder: &str) -> bool {
        self.exceptions
            && self
                .patterns
                .iter()
                .filter(|pattern| pattern.exception)
                .any(|pattern| {
                    let below = pattern.text.strip_prefix(folder);
                    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

/// `a`, `a/b` of `a/b/c`.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .filter_map(move |(at, _)| path.get(..at))
}

impl Pattern {
    fn read(text: &str) -> Result<Self, &'static str> {
        let (exception, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        if rest.is_empty() {
            return Err("`!` stands alone");
        }
        let mut text = path_clean(rest);
        if text.len() > 1 && text.starts_with('/') {
            text.remove(0);
        }
        if !well_formed(text.as_bytes()) {
            return Err("syntax error in pattern");
        }
        let way = Way::of(&text).ok_or("syntax error in pattern")?;
        Ok(Self {
            exception,
            text,
            way,
        })
    }

    fn matches(&self, path: &str) -> bool {
        match &self.way {
            Way::Exact => path == self.text,
            Way::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Way::Suffix(suffix) => {
                path.ends_with(suffix.as_str())
                    // `**/foo` is `foo` too.
                    || suffix.strip_prefix('/').is_some_and(|whole| whole == path)
            }
            Way::Regex(regex) => regex.is_match(path),
        }
    }
}

impl Way {
    /// moby's `Pattern.compile`.
    fn of(pattern: &str) -> Option<Self> {
        #[derive(PartialEq)]
        enum Kind {
            Exact,
            Prefix,
            Suffix,
            Regex,
        }
        let mut kind = Kind::Exact;
        let mut go = String::from("^");
        let mut chars = pattern.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            match c {
                '*' if chars.next_if_eq(&'*').is_some() => {
                    chars.next_if_eq(&'/');
                    if chars.peek().is_some() {
                        go.push_str("(.*/)?");
                        kind = Kind::Regex;
                    } else if kind == Kind::Exact {
                        kind = Kind::Prefix;
                    } else {
                        go.push_str(".*");
                        kind = Kind::Regex;
                    }
                    if first {
                        kind = Kind::Suffix;
                    }
                }
                '*' => {
                    go.push_str("[^/]*");
                    kind = Kind::Regex;
                }
                '?' => {
                    go.push_str("[^/]");
                    kind = Kind::Regex;
                }
                '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => {
                    go.push('\\');
                    go.push(c);
                }
                '\\' => {
                    go.push('\\');
                    if let Some(next) = chars.next() {
                        go.push(next);
                        kind = Kind::Regex;
                    }
                }
                '[' | ']' => {
                    go.push(c);
                    kind = Kind::Regex;
                }
                c => go.push(c),
            }
            first = false;
        }
        Some(match kind {
            Kind::Exact => Self::Exact,
            Kind::Prefix => Self::Prefix(pattern.strip_suffix("**")?.to_owned()),
            Kind::Suffix => Self::Suffix(pattern.strip_prefix("**")?.to_owned()),
            Kind::Regex => {
                go.push('$');
                let regex = RegexBuilder::new(&from_go(&go)?)
                    .size_limit(MAX_COMPILED)
                    .build()
                    .ok()?;
                Self::Regex(regex)
            }
        })
    }
}

/// A regular expression of Go's as one of this crate's, which read character classes and escapes differently;
/// `None` for what Go refuses, and for the escapes that no file name needs.
fn from_go(go: &str) -> Option<String> {
    let mut out = String::with_capacity(go.len() + 16);
    let mut chars = go.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_str(&escape(chars.next()?)?),
            '[' => class(&mut chars, &mut out)?,
            c => out.push(c),
        }
    }
    Some(out)
}

fn escape(c: char) -> Option<String> {
    Some(match c {
        'd' => "[0-9]".to_owned(),
        'D' => "[^0-9]".to_owned(),
        'w' => "[0-9A-Za-z_]".to_owned(),
        'W' => "[^0-9A-Za-z_]".to_owned(),
        's' => "[\\t\\n\\f\\r ]".to_owned(),
        'S' => "[^\\t\\n\\f\\r ]".to_owned(),
        'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'A' | 'z' => format!("\\{c}"),
        'b' | 'B' => format!("(?-u:\\{c})"),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => regex::escape(&c.to_string()),
        _ => return None,
    })
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    loop {
        if !first && chars.next_if_eq(&']').is_some() {
            out.push(']');
            return Some(());
        }
        first = false;
        let low = member(chars)?;
        let mut ahead = chars.clone();
        let high = match (ahead.next(), ahead.peek()) {
            (Some('-'), Some(']')) | (_, None) => low,
            (Some('-'), _) => {
                chars.next();
                member(chars)?
            }
            _ => low,
        };
        if high < low {
            return None;
        }
        let _ = write!(
            out,
            "\\x{{{:x}}}-\\x{{{:x}}}",
            u32::from(low),
            u32::from(high)
        );
    }
}

fn member(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '\\' => match chars.next()? {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            't' => Some('\t'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            'v' => Some('\u{b}'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        },
        c => Some(c),
    }
}

/// Whether Go's `filepath.Match` takes it: every class is closed and holds something, no `\` ends it.
fn well_formed(pattern: &[u8]) -> bool {
    let mut rest = pattern;
    loop {
        rest = match rest {
            [] => return true,
            [b'\\'] => return false,
            [b'\\', _, rest @ ..] => rest,
            [b'[', inner @ ..] => match class_end(inner) {
                Some(rest) => rest,
                None => return false,
            },
            [_, rest @ ..] => rest,
        };
    }
}

/// What follows a class whose `[` was read.
fn class_end(inner: &[u8]) -> Option<&[u8]> {
    let mut rest = inner.strip_prefix(b"^").unwrap_or(inner);
    let mut ranges = 0;
    loop {
        if ranges > 0
            && let Some(after) = rest.strip_prefix(b"]")
        {
            return Some(after);
        }
        rest = class_member(rest)?;
        if let Some(after) = rest.strip_prefix(b"-") {
            rest = class_member(after)?;
        }
        ranges += 1;
    }
}

/// What follows one character of a class; something must.
fn class_member(chunk: &[u8]) -> Option<&[u8]> {
    let chunk = match chunk {
        [] | [b'-' | b']', ..] => return None,
        [b'\\', rest @ ..] => rest,
        all => all,
    };
    let first = *chunk.first()?;
    let width = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    chunk.get(width..).filter(|rest| !rest.is_empty())
}

/// Go's `filepath.Clean`.
pub(crate) fn path_clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
#[path = "ignore_tests.rs"]
mod tests;
