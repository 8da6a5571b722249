//! A shell's line as words, and words as a shell's line. What a shell would execute is never executed: it is
//! an error that names it.

mod written;

use std::collections::BTreeMap;

use super::Surroundings;
use super::field::shown;

pub use written::{lines, one_line, quote};

/// The words of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// The words, expanded; the program first.
    pub words: Vec<String>,
    /// Variables that the command gets: `NAME=value` before it, and those exported above it.
    pub assigned: BTreeMap<String, String>,
    /// Variables that were named and are not set: a shell puts nothing there.
    pub unset: Vec<String>,
}

/// Splits the text of one command as a POSIX shell would: quotes, `\`, line continuations, comments, `~`,
/// `$NAME`, `${NAME:-default}`, `$(pwd)`, `$(id -u)`, `$(id -g)`. Lines of assignments above the command set
/// variables. A prompt (`$ `) before the command is left out.
///
/// # Errors
/// A quote that is not closed; anything else that a shell would execute or read, by name.
pub fn split(text: &str, surroundings: &Surroundings) -> Result<Split, String> {
    let text = text.trim_start();
    let text = text.strip_prefix("$ ").unwrap_or(text);
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        surroundings,
        shell: BTreeMap::new(),
        exported: BTreeMap::new(),
        done: Split::default(),
        prefix: Vec::new(),
        word: Word::default(),
        ended: false,
    };
    reader.read()?;
    Ok(reader.done)
}

/// A word while it is read.
#[derive(Default)]
struct Word {
    text: String,
    /// Something stands there, be it an empty quote.
    begun: bool,
    /// Where an unquoted `{` opened, and whether a comma or `..` followed.
    brace: Option<bool>,
    /// An unquoted `*` was in it.
    star: bool,
}

struct Reader<'a> {
    chars: Vec<char>,
    at: usize,
    surroundings: &'a Surroundings,
    shell: BTreeMap<String, String>,
    exported: BTreeMap<String, String>,
    done: Split,
    prefix: Vec<(String, String)>,
    word: Word,
    /// The command is complete: a line end came after its words.
    ended: bool,
}

const ONLY: &str = "only the docker run line itself is read: leave that out";

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        if there {
            self.at += 1;
        }
        there
    }

    fn read(&mut self) -> Result<(), String> {
        while let Some(c) = self.next() {
            match c {
                ' ' | '\t' | '\r' | '\u{a0}' => self.end_word()?,
                '\n' => self.end_line()?,
                '#' if !self.word.begun => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\\' => self.backslash(),
                '\'' => self.single()?,
                '"' => self.double()?,
                '$' => self.dollar(false)?,
                '`' => {
                    let value = self.backquoted()?;
                    self.push_split(&value)?;
                }
                '~' if !self.word.begun => self.tilde()?,
                ';' | '&' if self.only_assigned() => {
                    // `A=1; docker run` and `A=1 && docker run`.
                    if c == '&' && !self.eat('&') {
                        return Err(operator('&', None));
                    }
                    self.end_line()?;
                }
                '|' | ';' | '&' | '<' | '>' | '(' | ')' => return Err(operator(c, self.peek())),
                '“' | '”' | '‘' | '’' if !self.word.begun => {
                    return Err(format!("{c} is no quote to a shell: type \" or '"));
                }
                c => self.plain(c)?,
            }
        }
        self.end_line()?;
        if self.done.words.is_empty() && !self.prefix.is_empty() {
            self.settle();
        }
        Ok(())
    }

    fn plain(&mut self, c: char) -> Result<(), String> {
        let word = &mut self.word;
        match (c, word.brace) {
            ('{', _) => word.brace = Some(false),
            (',', Some(_)) => word.brace = Some(true),
            ('.', Some(_)) if word.text.ends_with('.') => word.brace = Some(true),
            ('}', Some(true)) => {
                return Err(format!(
                    "a shell makes several words of {}…}}: write each out, or quote it",
                    shown(&word.text)
                ));
            }
            ('*', _) => word.star = true,
            _ => {}
        }
        word.begun = true;
        word.text.push(c);
        Ok(())
    }

    /// All words so far are assignments (or `export` and assignments), and there are some.
    fn only_assigned(&self) -> bool {
        let whole = !self.word.begun || assignment(&self.word).is_some();
        whole
            && self.done.words.iter().all(|word| word == "export")
            && (!self.prefix.is_empty() || self.word.begun)
    }

    fn end_word(&mut self) -> Result<(), String> {
        let word = std::mem::take(&mut self.word);
        if !word.begun {
            return Ok(());
        }
        if self.ended {
            return Err(format!(
                "a second command begins at {}: {ONLY}",
                shown(&word.text)
            ));
        }
        if word.star && word.text.starts_with(['/', '.', '~']) {
            return Err(format!(
                "a shell puts file names in the place of {}: write them out, or quote it",
                shown(&word.text)
            ));
        }
        let exporting = self.done.words.iter().all(|word| word == "export");
        if exporting && let Some((name, value)) = assignment(&word) {
            self.prefix.push((name.to_owned(), value.to_owned()));
            return Ok(());
        }
        self.done.words.push(word.text);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), String> {
        self.end_word()?;
        match self.done.words.as_slice() {
            [] if self.prefix.is_empty() => {}
            [] => self.settle(),
            [only] if only == "export" && !self.prefix.is_empty() => {
                self.done.words.clear();
                for (name, value) in std::mem::take(&mut self.prefix) {
                    self.exported.insert(name.clone(), value.clone());
                    self.shell.insert(name, value);
                }
            }
            _ if !self.ended => {
                self.ended = true;
                let mut assigned = std::mem::take(&mut self.exported);
                assigned.extend(std::mem::take(&mut self.prefix));
                self.done.assigned = assigned;
            }
            _ => {}
        }
        Ok(())
    }

    /// A line of assignments alone.
    fn settle(&mut self) {
        for (name, value) in std::mem::take(&mut self.prefix) {
            // A variable of the environment stays one when it is set anew.
            if self.surroundings.env.contains_key(&name) || self.exported.contains_key(&name) {
                self.exported.insert(name.clone(), value.clone());
            }
            self.shell.insert(name, value);
        }
    }

    /// A line end after a backslash joins two lines; blanks between them are forgiven.
    fn backslash(&mut self) {
        let mut ahead = self.at;
        while self
            .chars
            .get(ahead)
            .is_some_and(|c| matches!(c, ' ' | '\t' | '\r'))
        {
            ahead += 1;
        }
        match self.chars.get(ahead) {
            Some('\n') => self.at = ahead + 1,
            None => self.at = ahead,
            Some(_) => {
                if let Some(c) = self.next() {
                    self.word.begun = true;
                    self.word.text.push(c);
                }
            }
        }
    }

    fn single(&mut self) -> Result<(), String> {
        self.word.begun = true;
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.word.text.push(c),
                None => return Err("a single quote (') is not closed".to_owned()),
            }
        }
    }

    fn double(&mut self) -> Result<(), String> {
        self.word.begun = true;
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.peek() {
                    Some(c @ ('$' | '"' | '\\' | '`')) => {
                        self.at += 1;
                        self.word.text.push(c);
                    }
                    Some('\n') => self.at += 1,
                    Some('\r') if self.chars.get(self.at + 1) == Some(&'\n') => self.at += 2,
                    _ => self.word.text.push('\\'),
                },
                Some('$') => self.dollar(true)?,
                Some('`') => {
                    let value = self.backquoted()?;
                    self.word.text.push_str(&value);
                }
                Some(c) => self.word.text.push(c),
                None => return Err("a double quote (\") is not closed".to_owned()),
            }
        }
    }

    fn tilde(&mut self) -> Result<(), String> {
        if self
            .peek()
            .is_some_and(|c| !matches!(c, '/' | ' ' | '\t' | '\r' | '\n' | ':'))
        {
            return Err("`~` with a name is another user's home: write the whole path".to_owned());
        }
        let Some(home) = self.surroundings.home.as_ref() else {
            return Err(
                "`~` needs a home folder, and HOME is not set: write the whole path".to_owned(),
            );
        };
        self.word.text.push_str(&home.display().to_string());
        self.word.begun = true;
        Ok(())
    }

    /// What follows a `$`.
    fn dollar(&mut self, quoted: bool) -> Result<(), String> {
        let value = match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.until(')', "$(")?;
                self.command(&inner, "$(", ")")?
            }
            Some('{') => {
                self.at += 1;
                let inner = self.until('}', "${")?;
                self.braced(&inner)?
            }
            Some('\'') if !quoted => {
                return Err("$'…' is not read: write the text in plain quotes".to_owned());
            }
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                let mut name = String::new();
                while let Some(c) = self
                    .peek()
                    .filter(|c| *c == '_' || c.is_ascii_alphanumeric())
                {
                    name.push(c);
                    self.at += 1;
                }
                self.variable(&name)
            }
            Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                return Err(format!(
                    "${c} is a script's own and has no meaning here: write its value"
                ));
            }
            _ => {
                self.word.begun = true;
                self.word.text.push('$');
                return Ok(());
            }
        };
        if quoted {
            self.word.text.push_str(&value);
            return Ok(());
        }
        self.push_split(&value)
    }

    /// An expansion outside quotes: a shell makes words of it at its blanks.
    fn push_split(&mut self, value: &str) -> Result<(), String> {
        let mut rest = value;
        loop {
            let blank = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
            let (part, after) = rest.split_at_checked(blank).unwrap_or((rest, ""));
            if !part.is_empty() {
                self.word.begun = true;
                self.word.text.push_str(part);
            }
            let trimmed = after.trim_start_matches([' ', '\t', '\n']);
            if trimmed.len() == after.len() {
                return Ok(());
            }
            // `NAME=$VALUE` is one assignment, blanks or not.
            if assignment(&self.word).is_some() && self.done.words.is_empty() {
                self.word.text.push_str(after);
                return Ok(());
            }
            self.end_word()?;
            rest = trimmed;
        }
    }

    fn until(&mut self, end: char, begin: &str) -> Result<String, String> {
        let mut inner = String::new();
        let mut depth = 0usize;
        while let Some(c) = self.next() {
            if c == end && depth == 0 {
                return Ok(inner);
            }
            match c {
                '(' | '{' => depth += 1,
                ')' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            inner.push(c);
        }
        Err(format!("{begin} is not closed"))
    }

    fn backquoted(&mut self) -> Result<String, String> {
        let mut inner = String::new();
        loop {
            match self.next() {
                Some('`') => return self.command(&inner, "`", "`"),
                Some(c) => inner.push(c),
                None => return Err("a backquote (`) is not closed".to_owned()),
            }
        }
    }

    /// The few commands whose output is known without running them.
    fn command(&self, inner: &str, begin: &str, end: &str) -> Result<String, String> {
        let words: Vec<&str> = inner.split_whitespace().collect();
        let id = |number: u32| Ok(number.to_string());
        match words.as_slice() {
            // A comment in the middle of a line: `#optional`.
            [first, ..] if first.starts_with('#') => Ok(String::new()),
            ["pwd" | "echo", "$PWD"] | ["pwd"] | ["pwd", "-P" | "-L"] => {
                Ok(self.surroundings.cwd.display().to_string())
            }
            ["id", "-u"] => id(self.surroundings.uid),
            ["id", "-g"] => id(self.surroundings.gid),
            ["whoami"] | ["id", "-un" | "-nu"] if self.surroundings.env.contains_key("USER") => {
                Ok(self
                    .surroundings
                    .env
                    .get("USER")
                    .cloned()
                    .unwrap_or_default())
            }
            _ => Err(format!(
                "{begin}{}{end} would run a program, and none is run here: write what it prints",
                shown(inner)
            )),
        }
    }

    fn known(&self, name: &str) -> Option<String> {
        if let Some(value) = self.shell.get(name) {
            return Some(value.clone());
        }
        let here = self.surroundings;
        match name {
            "PWD" => Some(here.cwd.display().to_string()),
            "UID" | "EUID" => Some(here.uid.to_string()),
            "HOME" => here
                .home
                .as_ref()
                .map(|home| home.display().to_string())
                .or_else(|| here.env.get(name).cloned()),
            "GID" => Some(
                here.env
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| here.gid.to_string()),
            ),
            _ => here.env.get(name).cloned(),
        }
    }

    fn variable(&mut self, name: &str) -> String {
        let value = self.known(name);
        if value.is_none() && !self.done.unset.iter().any(|seen| seen == name) {
            self.done.unset.push(name.to_owned());
        }
        value.unwrap_or_default()
    }

    /// `NAME`, `NAME:-default`, `NAME-default`, `NAME:?words`.
    fn braced(&mut self, inner: &str) -> Result<String, String> {
        let end = inner
            .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
            .unwrap_or(inner.len());
        let (name, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "${{{}}} is not read here: write its value",
                shown(inner)
            ));
        }
        let known = self.known(name);
        // A default may name a variable itself.
        let default = |rest: &str| Split::of_default(rest, self);
        if rest.is_empty() {
            return Ok(self.variable(name));
        }
        if let Some(rest) = rest.strip_prefix(":-").or_else(|| rest.strip_prefix(":=")) {
            return match known.filter(|value| !value.is_empty()) {
                Some(value) => Ok(value),
                None => default(rest),
            };
        }
        if let Some(rest) = rest.strip_prefix('-').or_else(|| rest.strip_prefix('=')) {
            return match known {
                Some(value) => Ok(value),
                None => default(rest),
            };
        }
        if let Some(rest) = rest.strip_prefix(":?").or_else(|| rest.strip_prefix('?')) {
            return known
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("{} is not set: {}", shown(name), shown(rest)));
        }
        Err(format!(
            "${{{}}} is not read here: write its value",
            shown(inner)
        ))
    }
}

impl Split {
    /// The default of `${NAME:-default}`, expanded as if quoted.
    fn of_default(text: &str, reader: &Reader<'_>) -> Result<String, String> {
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        let mut env = reader.surroundings.clone();
        env.env.extend(reader.shell.clone());
        let escaped = bare.replace('"', "\\\"");
        let inner = split(&format!("x \"{escaped}\""), &env)?;
        Ok(inner.words.into_iter().nth(1).unwrap_or_default())
    }
}

/// `NAME=value` that a shell takes as an assignment.
fn assignment(word: &Word) -> Option<(&str, &str)> {
    let (name, value) = word.text.split_once('=')?;
    let mut chars = name.chars();
    let first = chars.next()?;
    ((first == '_' || first.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric()))
    .then_some((name, value))
}

fn operator(c: char, next: Option<char>) -> String {
    let (what, does) = match (c, next) {
        ('&', Some('&')) => ("&&", "runs another command after this one"),
        ('|', Some('|')) => ("||", "runs another command when this one fails"),
        ('|', _) => ("|", "hands the output to another program"),
        ('&', Some('>')) => ("&>", "sends the output to a file"),
        ('&', _) => (
            "&",
            "puts the command in the background (-d detaches a container)",
        ),
        (';', _) => (";", "ends the command for another one"),
        ('>', Some('>')) => (">>", "sends the output to a file"),
        ('>', _) => (">", "sends the output to a file"),
        ('<', Some('<')) => ("<<", "hands text to the command"),
        ('<', _) => ("<", "hands a file to the command"),
        _ => ("( )", "runs commands in a shell of their own"),
    };
    format!("`{what}` {does}: {ONLY}")
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
