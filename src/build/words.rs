//! Words and `$NAME` of a Dockerfile, as moby's shell lexer has them. Pure.

/// Longest text that variables may make of one.
const MAX_EXPANDED: usize = 64 * 1024;

/// Splits at blanks outside quotes; quotes are taken off, `$` and what is escaped with it stay for [`expand`].
pub(super) fn words(text: &str, escape: char) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                begun = true;
            }
            None if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    out.push(std::mem::take(&mut word));
                }
            }
            Some('\'') if c == '$' => {
                word.push(escape);
                word.push(c);
            }
            _ if c == escape && quote != Some('\'') => {
                begun = true;
                match chars.next() {
                    Some('$') => {
                        word.push(escape);
                        word.push('$');
                    }
                    Some(next) => word.push(next),
                    None => {}
                }
            }
            _ => {
                begun = true;
                word.push(c);
            }
        }
    }
    if begun {
        out.push(word);
    }
    out
}

/// Puts values in for `$NAME`, `${NAME}`, `${NAME:-DEFAULT}` and `${NAME:+OTHER}`; a name without a value
/// becomes nothing.
pub(super) fn expand(text: &str, escape: char, value: &dyn Fn(&str) -> Option<String>) -> String {
    expand_in(text, escape, value, 8)
}

fn expand_in(
    text: &str,
    escape: char,
    value: &dyn Fn(&str) -> Option<String>,
    depth: u8,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let before = rest.get(..at).unwrap_or_default();
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(plain) = before.strip_suffix(escape) {
            out.push_str(plain);
            out.push('$');
            continue;
        }
        out.push_str(before);
        if let Some(inner) = rest.strip_prefix('{') {
            let Some(end) = closing(inner) else {
                return out;
            };
            let body = inner.get(..end).unwrap_or_default();
            rest = inner.get(end + 1..).unwrap_or_default();
            let name_end = body.find([':', '-', '+']).unwrap_or(body.len());
            let (name, rule) = body.split_at(name_end);
            let (empty_counts, rule) = match rule.strip_prefix(':') {
                Some(rule) => (true, rule),
                None => (false, rule),
            };
            let found = value(name).filter(|v| !(empty_counts && v.is_empty()));
            let other = |text: &str| match depth {
                0 => String::new(),
                depth => expand_in(text, escape, value, depth - 1),
            };
            let put = match (rule.chars().next(), rule.get(1..)) {
                (Some('-'), Some(default)) => found.unwrap_or_else(|| other(default)),
                (Some('+'), Some(text)) => found.map(|_| other(text)).unwrap_or_default(),
                _ => found.unwrap_or_default(),
            };
            out.push_str(&put);
        } else {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            match name {
                "" => out.push('$'),
                name => out.push_str(&value(name).unwrap_or_default()),
            }
            rest = after;
        }
        if out.len() > MAX_EXPANDED {
            return out.chars().take(MAX_EXPANDED / 4).collect();
        }
    }
    out.push_str(rest);
    out
}

/// Where the brace closes that was opened before the text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let value = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, want) in [
            ("$A", "one"),
            ("x${A}y$A-z", "xoneyone-z"),
            ("$NONE.", "."),
            ("${NONE:-7}", "7"),
            ("${EMPTY:-7}${EMPTY-8}", "7"),
            ("${A:+set}${NONE:+not}", "set"),
            ("${NONE:-${A}}", "one"),
            ("\\$A", "$A"),
            ("$", "$"),
            ("${A", ""),
            ("cost 5$ x", "cost 5$ x"),
            ("é$Aé", "éoneé"),
        ] {
            assert_eq!(expand(text, '\\', &value), want, "{text}");
        }
        // Values that name each other by the thousand stay bounded.
        let big = |_: &str| Some("x".repeat(50_000));
        assert!(expand(&"$A".repeat(100), '\\', &big).len() <= MAX_EXPANDED);
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        for (text, want) in [
            ("a b  c", &["a", "b", "c"][..]),
            ("K='a b' L=\"c d\"e", &["K=a b", "L=c de"]),
            ("K=a\\ b", &["K=a b"]),
            ("K='$x'", &["K=\\$x"]),
            ("''", &[""]),
            ("", &[]),
        ] {
            assert_eq!(words(text, '\\'), want, "{text}");
        }
    }
}
