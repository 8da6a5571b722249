//! Words as a shell's line.

use crate::launch::flags;

/// One word as a shell reads it back.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b));
    if plain {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The words as one line.
#[must_use]
pub fn one_line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word)).collect();
    words.join(" ")
}

/// The words of a `docker run` on several lines: a flag and its value on each, the image and its command on the
/// last; all but the last end in ` \`.
#[must_use]
pub fn lines(words: &[String]) -> Vec<String> {
    let quoted = |words: &[String]| one_line(words);
    let run = words
        .iter()
        .position(|word| word == "run" || word == "create")
        .map_or(0, |at| at + 1);
    let (head, mut rest) = words.split_at_checked(run).unwrap_or((words, &[]));
    let mut out = Vec::new();
    if !head.is_empty() {
        out.push(quoted(head));
    }
    while let Some(first) = rest.first() {
        let size = if !first.starts_with('-') || first == "-" || first == "--" {
            rest.len()
        } else if flags::wants_next(first) {
            2
        } else {
            1
        };
        let (line, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        out.push(quoted(line));
        rest = after;
    }
    let last = out.len().saturating_sub(1);
    out.iter()
        .enumerate()
        .map(|(at, line)| match at {
            0 if last > 0 => format!("{line} \\"),
            at if at < last => format!("  {line} \\"),
            0 => line.clone(),
            _ => format!("  {line}"),
        })
        .collect()
}
