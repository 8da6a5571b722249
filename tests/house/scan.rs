//! Finds source files and reads paths out of them.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file with comments and the insides of strings blanked out, line by line as it was.
pub struct Source {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// As it stands on disk.
    pub text: String,
    /// Code alone, without `#[cfg(test)]` modules.
    pub code: String,
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository, read whole.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every Rust file below a folder of the repository.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let sources: Vec<Source> = found
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            Source {
                path: name.to_owned(),
                code: without_tests(&code_only(&text)),
                text,
            }
        })
        .collect();
    assert!(!sources.is_empty(), "no Rust file in {folder}");
    sources
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Whether a file holds tests alone.
pub fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// Blanks comments, string and character literals, keeping the lines.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match literal_end(&chars, at) {
            Some(end) => end,
            None => {
                out.push(chars[at]);
                at += 1;
                continue;
            }
        };
        out.push(' ');
        out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |n: usize| chars.get(at + n).copied();
    match (chars[at], next(1)) {
        ('/', Some('/')) => Some(find(chars, at, |i| chars[i] == '\n')),
        ('/', Some('*')) => {
            let mut depth = 0;
            let mut i = at;
            while i < chars.len() {
                match (chars[i], chars.get(i + 1)) {
                    ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
                    ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            Some(i)
        }
        ('"', _) => Some(quoted(chars, at + 1)),
        ('r', Some('"' | '#')) if !after_word(chars, at) => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) != Some(&'"') {
                return None;
            }
            let close =
                |i: usize| chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#'));
            Some((find(chars, at + 2 + hashes, close) + 1 + hashes).min(chars.len()))
        }
        ('\'', Some('\\')) => {
            Some((find(chars, at + 3, |i| chars[i] == '\'') + 1).min(chars.len()))
        }
        ('\'', Some(_)) if next(2) == Some('\'') => Some(at + 3),
        _ => None,
    }
}

fn after_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') && chars[at - 1] != 'b'
}

fn find(chars: &[char], from: usize, wanted: impl Fn(usize) -> bool) -> usize {
    (from..chars.len())
        .find(|i| wanted(*i))
        .unwrap_or(chars.len())
}

fn quoted(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Blanks every item behind a `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(start);
        out.push_str(before);
        let end = item_end(item);
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// Where an item ends: at the `;` or the closing brace of depth 0.
fn item_end(item: &str) -> usize {
    let mut depth = 0usize;
    for (i, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            ';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    item.len()
}

/// The words of the code, with `::`, `{`, `}`, `,` and other marks as words of their own.
pub fn words(code: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in code.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c == ':' && words.last().is_some_and(|w| w == ":") {
            words.pop();
            words.push("::".to_owned());
        } else if !c.is_whitespace() {
            words.push(c.to_string());
        }
    }
    words.push(word);
    words
}

/// The top modules named by `crate::…` paths, in `use` groups too.
pub fn crate_paths(code: &str) -> Vec<String> {
    let words = words(code);
    let word = |i: usize| words.get(i).map_or("", String::as_str);
    let mut found = Vec::new();
    for at in 0..words.len() {
        if word(at) != "crate" || word(at + 1) != "::" {
            continue;
        }
        if word(at + 2) != "{" {
            found.push(word(at + 2).to_owned());
            continue;
        }
        let mut depth = 0;
        for i in at + 2..words.len() {
            match word(i) {
                "{" => depth += 1,
                "}" => depth -= 1,
                name if depth == 1 && matches!(word(i - 1), "{" | ",") => {
                    found.push(name.to_owned());
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn comments_and_strings_are_no_code() {
    let text = "use crate::model; // crate::tui\n/* crate::cli /* x */ */ let a = \"crate::gpu \\\" \";\n\
                let c = '\"'; let r = r#\"crate::host \" \"#; let l: &'static str = b\"unsafe\"; crate::join::x();";
    assert_eq!(crate_paths(&code_only(text)), ["model", "join"]);
    assert_eq!(code_only(text).lines().count(), text.lines().count());
}

#[test]
fn groups_and_tests_are_read_right() {
    let code = "use crate::{model::{A, B}, lanes, watch::World as W};\nfn f() { crate::engine::go() }\n\
                #[cfg(test)]\nmod tests { use crate::tui::x; fn t() { } }\nuse crate::host;";
    assert_eq!(
        crate_paths(&without_tests(code)),
        ["model", "lanes", "watch", "engine", "host"]
    );
    assert_eq!(
        crate_paths(&without_tests("#[cfg(test)]\nmod tests;\nuse crate::gpu;")),
        ["gpu"]
    );
}
