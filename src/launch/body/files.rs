//! `--env-file` and `--label-file`.

use std::collections::BTreeMap;

use crate::launch::field::{said, shown};

/// The pairs of a file: one a line, `#` begins a comment, nothing is unquoted. A name alone takes its value from
/// `env` and has none where that lacks it.
///
/// # Errors
/// A line without a name, or with a blank in its name.
pub(super) fn pairs(
    file: &str,
    text: &str,
    env: Option<&BTreeMap<String, String>>,
) -> Result<Vec<(String, Option<String>)>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pairs = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = |why: &str| {
            let number = at + 1;
            Err(format!("{}, line {number}: {why}", shown(file)))
        };
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line.trim_end(), None),
        };
        if name.is_empty() {
            return bad("no name before the `=`");
        }
        if name.contains([' ', '\t']) {
            // What stands after the blank may be a secret.
            let first = name.split([' ', '\t']).next().unwrap_or_default();
            return bad(&format!(
                "{}… has a blank in its name: NAME=value, without export and without blanks around the `=`",
                said(first)
            ));
        }
        let value = value.or_else(|| env.and_then(|env| env.get(name).cloned()));
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}
