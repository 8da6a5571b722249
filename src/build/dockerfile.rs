//! What midwatch reads out of a Dockerfile: its stages and their base images, what the final one exposes, and
//! what in it only BuildKit understands. Pure; whether the file is right is for the builder to say.

use std::collections::BTreeMap;

use super::words::{expand, words};
use crate::launch::{PortAsk, PortRange};
use crate::model::text::clean;

/// Most stages and ports that are read.
const MAX_STAGES: usize = 1000;
const MAX_PORTS: usize = 1000;
/// Longest name that is kept.
const MAX_NAME: usize = 256;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// `# syntax=`.
    pub syntax: Option<String>,
    /// Its stages, in order.
    pub stages: Vec<Stage>,
    /// What needs BuildKit, in order.
    pub needs: Vec<Need>,
}

/// From one `FROM` to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage {
    /// `AS NAME`, in small letters.
    pub name: Option<String>,
    /// The base image or the stage it goes on from, arguments put in.
    pub base: String,
    /// The earlier stage that it goes on from.
    pub parent: Option<usize>,
    /// What it exposes itself.
    pub exposed: Vec<PortAsk>,
    env: BTreeMap<String, String>,
}

/// Something that the engine's own builder does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Line, from 1.
    pub line: usize,
    /// `RUN --mount`, `a heredoc`…
    pub what: String,
}

/// Flags of instructions that BuildKit alone has.
const FLAGS: &[(&str, &[&str])] = &[
    ("RUN", &["--mount", "--network", "--security", "--device"]),
    ("COPY", &["--link", "--chmod", "--parents", "--exclude"]),
    (
        "ADD",
        &[
            "--link",
            "--chmod",
            "--checksum",
            "--keep-git-dir",
            "--exclude",
            "--unpack",
        ],
    ),
];

impl Dockerfile {
    /// Reads it. `args` are the build arguments, which go before the file's own values.
    pub fn read(text: &str, args: &BTreeMap<String, String>) -> Self {
        let mut reader = Reader {
            file: Self::default(),
            args,
            global: BTreeMap::new(),
        };
        let lines: Vec<&str> = text.lines().collect();
        let escape = reader.directives(&lines);
        let mut at = 0;
        while at < lines.len() {
            at = reader.instruction(&lines, at, escape);
        }
        reader.file
    }

    /// The stage that is built: the named one (or its number), else the last.
    pub fn stage(&self, target: Option<&str>) -> Option<usize> {
        let Some(target) = target else {
            return self.stages.len().checked_sub(1);
        };
        let small = target.to_lowercase();
        self.stages
            .iter()
            .position(|stage| stage.name.as_deref() == Some(&small))
            .or_else(|| target.parse().ok().filter(|at| *at < self.stages.len()))
    }

    /// What the built stage exposes, with what it has from the stages that it goes on from; sorted.
    pub fn exposed(&self, target: Option<&str>) -> Vec<PortAsk> {
        let mut ports = Vec::new();
        let mut at = self.stage(target);
        while let Some(stage) = at.and_then(|at| self.stages.get(at)) {
            ports.extend(stage.exposed.iter().cloned());
            at = stage.parent;
        }
        sorted(ports)
    }

    /// The names of its stages.
    pub fn targets(&self) -> Vec<&str> {
        self.stages
            .iter()
            .filter_map(|stage| stage.name.as_deref())
            .collect()
    }
}

/// By number and protocol, each once.
pub(super) fn sorted(mut ports: Vec<PortAsk>) -> Vec<PortAsk> {
    ports.sort_by(|a, b| {
        let key = |p: &PortAsk| (p.container.first, p.container.last);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.protocol.cmp(&b.protocol))
    });
    ports.dedup();
    ports
}

/// `7860`, `7860/tcp`, `7000-7010/udp`, as `EXPOSE` and an image's configuration have it.
pub fn port(text: &str) -> Option<PortAsk> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return None;
    }
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|n| *n > 0);
    let container = match numbers.split_once('-') {
        Some((first, last)) => PortRange {
            first: number(first)?,
            last: number(last)?,
        },
        None => {
            let first = number(numbers)?;
            PortRange { first, last: first }
        }
    };
    (container.first <= container.last).then_some(PortAsk {
        ip: None,
        host: None,
        container,
        protocol,
    })
}

struct Reader<'a> {
    file: Dockerfile,
    args: &'a BTreeMap<String, String>,
    /// What `ARG` before the first `FROM` set.
    global: BTreeMap<String, String>,
}

impl Reader<'_> {
    /// Reads `# NAME=VALUE` lines at the top; gives the escape character.
    fn directives(&mut self, lines: &[&str]) -> char {
        let mut escape = '\\';
        for line in lines {
            let line = line.trim_start_matches('\u{feff}').trim();
            let Some((name, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once('='))
            else {
                break;
            };
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "syntax" => self.file.syntax = Some(clean(value, MAX_NAME)),
                "escape" if value == "`" => escape = '`',
                "escape" | "check" => {}
                _ => break,
            }
        }
        escape
    }

    /// Reads the instruction that begins at a line; gives the line after it.
    fn instruction(&mut self, lines: &[&str], start: usize, escape: char) -> usize {
        let mut text = String::new();
        let mut at = start;
        while let Some(line) = lines.get(at) {
            at += 1;
            let bare = line.trim_start_matches('\u{feff}').trim();
            // Comments and empty lines inside an instruction are left out.
            if bare.starts_with('#') || bare.is_empty() {
                if text.is_empty() {
                    return at;
                }
                continue;
            }
            match bare.strip_suffix(escape) {
                Some(more) => {
                    text.push_str(more);
                    text.push(' ');
                }
                None => {
                    text.push_str(bare);
                    break;
                }
            }
        }
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let word = word.to_ascii_uppercase();
        let rest = rest.trim();
        let heredocs = match word.as_str() {
            "RUN" | "COPY" | "ADD" => heredocs(rest),
            _ => Vec::new(),
        };
        self.needs(&word, rest, start + 1, !heredocs.is_empty());
        match word.as_str() {
            "FROM" => self.from(rest, escape),
            "ARG" => self.arg(rest, escape),
            "ENV" => self.env(rest, escape),
            "EXPOSE" => self.expose(rest, escape),
            _ => {}
        }
        for (end, tabs) in heredocs {
            while let Some(line) = lines.get(at) {
                at += 1;
                let line = match tabs {
                    true => line.trim_start_matches('\t'),
                    false => line,
                };
                if line == end {
                    break;
                }
            }
        }
        at
    }

    fn needs(&mut self, word: &str, rest: &str, line: usize, heredoc: bool) {
        let known = FLAGS.iter().find(|(name, _)| *name == word);
        let flags = rest
            .split_whitespace()
            .take_while(|flag| flag.starts_with("--"));
        for flag in flags {
            let name = flag.split('=').next().unwrap_or(flag);
            if known.is_some_and(|(_, flags)| flags.contains(&name)) {
                let what = format!("{word} {name}");
                self.file.needs.push(Need { line, what });
            }
        }
        if heredoc {
            let what = format!("a heredoc in {word}");
            self.file.needs.push(Need { line, what });
        }
    }

    fn from(&mut self, rest: &str, escape: char) {
        if self.file.stages.len() >= MAX_STAGES {
            return;
        }
        let parts: Vec<&str> = rest
            .split_whitespace()
            .skip_while(|word| word.starts_with("--"))
            .collect();
        let base = parts.first().copied().unwrap_or_default();
        let base = clean(
            &expand(base, escape, &|name| self.global_value(name)),
            MAX_NAME,
        );
        let name = match parts.as_slice() {
            [_, word, name, ..] if word.eq_ignore_ascii_case("as") => {
                Some(clean(&name.to_lowercase(), MAX_NAME))
            }
            _ => None,
        };
        let small = base.to_lowercase();
        let parent = self
            .file
            .stages
            .iter()
            .rposition(|stage| stage.name.as_deref() == Some(&small));
        let env = parent
            .and_then(|at| self.file.stages.get(at))
            .map(|stage| stage.env.clone())
            .unwrap_or_default();
        self.file.stages.push(Stage {
            name,
            base,
            parent,
            exposed: Vec::new(),
            env,
        });
    }

    fn global_value(&self, name: &str) -> Option<String> {
        self.global.get(name).cloned()
    }

    fn value(&self, name: &str) -> Option<String> {
        match self.file.stages.last() {
            Some(stage) => stage.env.get(name).cloned(),
            None => self.global_value(name),
        }
    }

    fn arg(&mut self, rest: &str, escape: char) {
        for word in words(rest, escape) {
            let (name, default) = match word.split_once('=') {
                Some((name, value)) => (
                    name.to_owned(),
                    Some(expand(value, escape, &|n| self.value(n))),
                ),
                None => (word.clone(), None),
            };
            let given = self.args.get(&name).cloned();
            match self.file.stages.last_mut() {
                None => {
                    if let Some(value) = given.or(default) {
                        self.global.insert(name, value);
                    }
                }
                Some(stage) => {
                    let outer = || self.global.get(&name).cloned();
                    if let Some(value) = given.or(default).or_else(outer) {
                        // An ENV of the same name wins, and it came before.
                        stage.env.entry(name).or_insert(value);
                    }
                }
            }
        }
    }

    fn env(&mut self, rest: &str, escape: char) {
        let first = rest.split_whitespace().next().unwrap_or_default();
        let pairs: Vec<(String, String)> = if first.contains('=') {
            words(rest, escape)
                .into_iter()
                .filter_map(|word| {
                    let (name, value) = word.split_once('=')?;
                    Some((name.to_owned(), value.to_owned()))
                })
                .collect()
        } else {
            let value = rest.strip_prefix(first).unwrap_or_default().trim();
            vec![(first.to_owned(), value.to_owned())]
        };
        for (name, value) in pairs {
            let value = expand(&value, escape, &|n| self.value(n));
            if let Some(stage) = self.file.stages.last_mut() {
                stage.env.insert(name, value);
            }
        }
    }

    fn expose(&mut self, rest: &str, escape: char) {
        let text = expand(rest, escape, &|name| self.value(name));
        if let Some(stage) = self.file.stages.last_mut() {
            let room = MAX_PORTS.saturating_sub(stage.exposed.len());
            let ports = text.split_whitespace().filter_map(port);
            stage.exposed.extend(ports.take(room));
        }
    }
}

/// The ends of an instruction's heredocs, and whether tabs before them count for nothing.
fn heredocs(rest: &str) -> Vec<(String, bool)> {
    // In the JSON form nothing is a heredoc.
    if rest.starts_with('[') {
        return Vec::new();
    }
    rest.split_whitespace()
        .filter_map(|word| {
            let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
            let end = word.strip_prefix("<<")?;
            let (end, tabs) = match end.strip_prefix('-') {
                Some(end) => (end, true),
                None => (end, false),
            };
            let end = end.trim_matches(['"', '\'']);
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            (!end.is_empty() && end.chars().all(plain)).then(|| (end.to_owned(), tabs))
        })
        .take(64)
        .collect()
}

#[cfg(test)]
#[path = "dockerfile_tests.rs"]
mod tests;
