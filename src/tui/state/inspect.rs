//! Inspect's JSON as lines, the environment as pairs; secrets masked until asked for.

use std::sync::Arc;

use serde_json::Value;

use super::list::contains_folded;
use jiff::Timestamp;

use crate::model::{ContainerKey, ContainerState, ImageId, looks_secret};
use crate::tui::fmt::{push_clean, put};

/// What is inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Container(ContainerKey),
    Image(ImageId),
}

/// What stands for a secret.
pub const MASK: &str = "••••••••";

/// How many lines and bytes of JSON are kept.
const MAX_LINES: usize = 20_000;

/// What inspect's answer depends on, as far as the list tells: state, start, name.
pub type Basis = Option<(ContainerState, Option<Timestamp>, String)>;

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvLine {
    pub name: String,
    /// As it is shown.
    pub value: String,
    pub masked: bool,
}

/// The Inspect and Env tabs' data.
#[derive(Debug, Default)]
pub struct Inspect {
    pub subject: Option<Subject>,
    pub loading: bool,
    /// What the subject was like when it was asked for.
    basis: Basis,
    pub error: Option<String>,
    value: Option<Arc<Value>>,
    pub lines: Vec<String>,
    pub env: Vec<EnvLine>,
    pub show_secrets: bool,
    pub scroll: usize,
    pub search: String,
    /// Lines that match the search.
    pub matches: Vec<usize>,
}

impl Inspect {
    /// Whether the subject has changed since it was asked for.
    pub fn outdated(&self, basis: &Basis) -> bool {
        !self.loading && self.basis != *basis
    }

    /// The JSON of a subject has been asked for. The old one stays until it comes, if it is the same subject.
    pub fn open(&mut self, subject: Subject, basis: Basis) {
        if self.subject.as_ref() == Some(&subject) {
            self.loading = true;
            self.basis = basis;
            return;
        }
        let show_secrets = self.show_secrets;
        let search = std::mem::take(&mut self.search);
        *self = Self {
            subject: Some(subject),
            loading: true,
            basis,
            show_secrets,
            search,
            ..Self::default()
        };
    }

    /// The JSON came, or why it did not. An answer to an older question is dropped.
    pub fn arrived(&mut self, subject: &Subject, result: Result<Arc<Value>, String>) {
        if self.subject.as_ref() != Some(subject) {
            return;
        }
        self.loading = false;
        match result {
            Ok(value) => {
                self.value = Some(value);
                self.error = None;
            }
            Err(text) => self.error = Some(text),
        }
        self.render();
    }

    /// Shows or masks secrets.
    pub fn toggle_secrets(&mut self) {
        self.show_secrets = !self.show_secrets;
        self.render();
    }

    /// Looks for text; an empty one clears.
    pub fn find(&mut self, text: &str) {
        text.clone_into(&mut self.search);
        self.match_lines();
        self.step(0);
    }

    /// Goes to the next (`1`) or previous (`-1`) match; `0` to the first at or below the top line.
    pub fn step(&mut self, by: isize) {
        let at = self.scroll;
        let found = match by {
            1 => self
                .matches
                .iter()
                .find(|m| **m > at)
                .or(self.matches.first()),
            -1 => self
                .matches
                .iter()
                .rev()
                .find(|m| **m < at)
                .or(self.matches.last()),
            _ => self
                .matches
                .iter()
                .find(|m| **m >= at)
                .or(self.matches.first()),
        };
        if let Some(line) = found {
            self.scroll = *line;
        }
    }

    fn match_lines(&mut self) {
        self.matches.clear();
        if self.search.is_empty() {
            return;
        }
        let exact = self.search.chars().any(char::is_uppercase);
        let found = |line: &String| {
            if exact {
                line.contains(&self.search)
            } else {
                contains_folded(line, &self.search)
            }
        };
        let lines = self.lines.iter().enumerate();
        self.matches = lines.filter(|(_, l)| found(l)).map(|(i, _)| i).collect();
    }

    fn render(&mut self) {
        self.lines.clear();
        self.env.clear();
        let Some(value) = self.value.clone() else {
            return;
        };
        let mut writer = JsonLines {
            lines: std::mem::take(&mut self.lines),
            line: String::new(),
            show_secrets: self.show_secrets,
        };
        writer.value(&value, 0, "");
        writer.flush();
        self.lines = writer.lines;
        self.scroll = self.scroll.min(self.lines.len().saturating_sub(1));
        self.match_lines();
        let env = value.pointer("/Config/Env").and_then(Value::as_array);
        self.env = env
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|pair| env_line(pair, self.show_secrets))
            .collect();
        self.env.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

/// `NAME=value` as it is shown.
pub fn env_line(pair: &str, show_secrets: bool) -> EnvLine {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let secret = !value.is_empty() && (looks_secret(name) || secret_value(value));
    let masked = secret && !show_secrets;
    let mut line = EnvLine {
        name: String::new(),
        value: String::new(),
        masked,
    };
    push_clean(&mut line.name, name);
    if masked {
        line.value.push_str(MASK);
    } else {
        push_clean(&mut line.value, value);
    }
    line
}

/// Whether a value gives a secret away by its form: a URL with a password, a private key, a known token.
pub fn secret_value(value: &str) -> bool {
    const TOKENS: [&str; 9] = [
        "ghp_",
        "gho_",
        "github_pat_",
        "hf_",
        "sk-",
        "xoxb-",
        "xoxp-",
        "glpat-",
        "AKIA",
    ];
    if value.contains("-----BEGIN") && value.contains("PRIVATE KEY") {
        return true;
    }
    if TOKENS
        .iter()
        .any(|t| value.starts_with(t) && value.len() > t.len() + 8)
    {
        return true;
    }
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|u| u.split_once(':').is_some_and(|(_, pass)| !pass.is_empty()))
}

/// Writes JSON as indented lines, values of secret names masked.
struct JsonLines {
    lines: Vec<String>,
    line: String,
    show_secrets: bool,
}

impl JsonLines {
    fn flush(&mut self) {
        if self.lines.len() < MAX_LINES && !self.line.is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
        self.line.clear();
    }

    fn indent(&mut self, depth: usize) {
        for _ in 0..depth.min(40) {
            self.line.push_str("  ");
        }
    }

    fn value(&mut self, value: &Value, depth: usize, name: &str) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.line.push('{');
                self.flush();
                let last = map.len() - 1;
                for (place, (key, value)) in map.iter().enumerate() {
                    self.indent(depth + 1);
                    self.string(key);
                    self.line.push_str(": ");
                    self.value(value, depth + 1, key);
                    self.comma(place < last);
                }
                self.indent(depth);
                self.line.push('}');
            }
            Value::Array(list) if !list.is_empty() => {
                self.line.push('[');
                self.flush();
                let last = list.len() - 1;
                let mut before = "";
                for (place, value) in list.iter().enumerate() {
                    self.indent(depth + 1);
                    // `--token VALUE`: the flag names what follows it.
                    let named = if before.starts_with('-') {
                        before
                    } else {
                        name
                    };
                    self.value(value, depth + 1, named);
                    self.comma(place < last);
                    before = value.as_str().unwrap_or("");
                }
                self.indent(depth);
                self.line.push(']');
            }
            Value::String(text) => self.text(text, name),
            Value::Object(_) => self.line.push_str("{}"),
            Value::Array(_) => self.line.push_str("[]"),
            other => put(&mut self.line, format_args!("{other}")),
        }
    }

    fn comma(&mut self, more: bool) {
        if more {
            self.line.push(',');
        }
        self.flush();
    }

    /// A string value: `NAME=secret` (in `Env`, `Cmd`, `Args`, history…) keeps its name, and its value is masked.
    fn text(&mut self, text: &str, name: &str) {
        if !self.show_secrets {
            if let Some((variable, value)) = text.split_once('=')
                && !variable.contains(char::is_whitespace)
                && env_line(text, false).masked
            {
                let _ = value;
                self.string(&format!("{variable}={MASK}"));
                return;
            }
            if (looks_secret(name) || secret_value(text)) && !text.is_empty() {
                self.string(MASK);
                return;
            }
        }
        self.string(text);
    }

    fn string(&mut self, text: &str) {
        // serde's escapes keep control characters out.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        push_clean(&mut self.line, &quoted);
    }
}
