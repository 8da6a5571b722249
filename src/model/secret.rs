//! Which names look as though their values were secret, and command lines without such values.

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// Whole words of a name that make its value secret.
const SECRET_WORDS: [&str; 9] = [
    "pass",
    "pwd",
    "pw",
    "secrets",
    "credential",
    "credentials",
    "auth",
    "bearer",
    "authorization",
];

/// Endings of a word that do so too: `PGPASSWORD`.
const SECRET_ENDINGS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
];

/// A name that ends in `key` is secret unless the word before it says what kind of harmless key it is.
const HARMLESS_KEYS: [&str; 8] = [
    "public",
    "sort",
    "group",
    "partition",
    "primary",
    "foreign",
    "cache",
    "hot",
];

/// Beginnings of well-known tokens, secret wherever they stand (Hugging Face, GitHub, GitLab, OpenAI, Slack).
const TOKEN_PREFIXES: [&str; 8] = [
    "hf_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk-",
    "xoxb-",
];

/// Whether a variable, option or key of this name probably holds a secret: `HF_TOKEN`, `--db-password`,
/// `awsSecretAccessKey`; not `PWD`, `max_tokens`, `sort_key`.
pub fn looks_secret(name: &str) -> bool {
    if matches!(name, "PWD" | "OLDPWD") {
        return false;
    }
    let words = name_words(name);
    let secret = |word: &String| {
        SECRET_WORDS.contains(&word.as_str())
            || SECRET_ENDINGS.iter().any(|ending| word.ends_with(ending))
    };
    if words.iter().any(secret) {
        return true;
    }
    let mut from_end = words.iter().rev();
    from_end.next().is_some_and(|last| last == "key")
        && from_end
            .next()
            .is_none_or(|before| !HARMLESS_KEYS.contains(&before.as_str()))
}

/// `awsSecret_ACCESS-key` -> aws, secret, access, key.
fn name_words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut lower_before = false;
    for c in name.chars() {
        if (!c.is_alphanumeric() || (c.is_uppercase() && lower_before)) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A command line with the values of secret-looking options, variables and URLs masked:
/// `--token=x`, `--token x`, `PASSWORD=x`, `Authorization: Bearer x`, `scheme://user:x@host`.
///
/// The words are taken to be parted by white space, as procfs readers join them.
pub fn mask_command(command: &str) -> String {
    let mut masked = String::with_capacity(command.len());
    let mut next_is_secret = false;
    for piece in command.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let space = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            masked.push_str(space);
            continue;
        }
        let scheme = word.trim_start_matches(['"', '\'']);
        let scheme = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic");
        if next_is_secret && scheme {
            masked.push_str(word);
        } else if next_is_secret && !word.starts_with("--") {
            masked.push_str(MASK);
            next_is_secret = false;
        } else {
            next_is_secret = mask_word(word, &mut masked);
        }
        masked.push_str(space);
    }
    masked
}

/// Writes a word masked; says whether the word after it is the secret.
fn mask_word(word: &str, masked: &mut String) -> bool {
    if let Some((name, value)) = word.split_once('=')
        && !value.is_empty()
        && is_name(name)
        && looks_secret(name)
    {
        masked.push_str(name);
        masked.push('=');
        masked.push_str(MASK);
        return false;
    }
    let token = word.split_once('=').map_or(word, |(_, value)| value);
    let token = token.trim_start_matches(['"', '\'']);
    if token.len() >= 12
        && TOKEN_PREFIXES
            .iter()
            .any(|prefix| token.starts_with(prefix))
    {
        let kept = word.len() - token.len();
        masked.push_str(word.get(..kept).unwrap_or_default());
        masked.push_str(MASK);
        return false;
    }
    mask_url(word, masked);
    let option = word.starts_with('-') && !word.contains('=');
    let header = word.ends_with(':');
    (option || header) && looks_secret(word)
}

/// Whether this can be a variable's or option's name (`--db.password`, `"TOKEN`), not a URL or an expression.
fn is_name(text: &str) -> bool {
    text.trim_start_matches(['"', '\'', '-'])
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// `postgres://me:secret@db/x` -> `postgres://me:***@db/x`.
fn mask_url(word: &str, masked: &mut String) {
    let found = word.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next()?;
        let (credentials, _) = authority.rsplit_once('@')?;
        let (user, _) = credentials.split_once(':')?;
        let tail = rest.get(credentials.len()..)?;
        Some((scheme, user, tail))
    });
    match found {
        Some((scheme, user, tail)) => {
            for part in [scheme, "://", user, ":", MASK, tail] {
                masked.push_str(part);
            }
        }
        None => masked.push_str(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_secret() {
        for name in [
            "HF_TOKEN",
            "--token",
            "DB_PASSWORD",
            "PGPASSWORD_",
            "awsSecretAccessKey",
            "AWS_SECRET_ACCESS_KEY",
            "WANDB_API_KEY",
            "OPENAI_APIKEY",
            "REDIS_AUTH",
            "--db-pass",
            "SSH_PRIVATE_KEY",
            "KEY",
            "MYSQL_PWD",
            "GOOGLE_CREDENTIALS",
            "Authorization:",
        ] {
            assert!(looks_secret(name), "{name}");
        }
        for name in [
            "PWD",
            "OLDPWD",
            "PATH",
            "--max-tokens",
            "TOKENIZERS_PARALLELISM",
            "--sort-key",
            "KEYBOARD",
            "monkey",
            "AUTHOR",
            "COMPASS",
            "PUBLIC_KEY",
            "CUDA_VERSION",
            "",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_leave_command_lines() {
        for (line, masked) in [
            (
                "python train.py --token=abc --epochs=3",
                "python train.py --token=*** --epochs=3",
            ),
            (
                "serve --api-key abc --port 80",
                "serve --api-key *** --port 80",
            ),
            (
                "env PASSWORD=x HF_TOKEN=y python",
                "env PASSWORD=*** HF_TOKEN=*** python",
            ),
            (
                "curl -H Authorization: Bearer abc http://x",
                "curl -H Authorization: Bearer *** http://x",
            ),
            (
                "curl -H 'Authorization: Bearer abc' x",
                "curl -H 'Authorization: Bearer *** x",
            ),
            (
                "sync postgres://me:pw@db:5432/x?a=b",
                "sync postgres://me:***@db:5432/x?a=b",
            ),
            ("git clone https://me@host/x", "git clone https://me@host/x"),
            ("login hf_abcdefghijklmnop", "login ***"),
            ("run --auth --verbose", "run --auth --verbose"),
            ("run --hub=sk-abcdefghijklmnop  x", "run --hub=***  x"),
            ("run --token", "run --token"),
            ("run --password= x", "run --password= x"),
            ("", ""),
            (
                "python -m x --max-tokens 100",
                "python -m x --max-tokens 100",
            ),
            (
                "día --contraseña=é --token=é ü",
                "día --contraseña=é --token=*** ü",
            ),
        ] {
            assert_eq!(mask_command(line), masked, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_breaks_it(line in "\\PC*") {
            mask_command(&line);
        }

        #[test]
        fn an_options_value_never_shows(value in "[a-z0-9]{4,20}Z") {
            for line in [format!("x --token={value}"), format!("x --token {value}"), format!("A_SECRET={value} x")] {
                assert!(!mask_command(&line).contains(&value), "{line}");
            }
        }
    }
}
