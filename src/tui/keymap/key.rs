//! One key press: a key and its modifiers, with the spelling of the configuration file.

use std::fmt;
use std::str::FromStr;

/// A key, without modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character; upper case stands for itself (`S`, never shift and `s`).
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// F1 to F24.
    F(u8),
}

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPress {
    /// Which key.
    pub key: Key,
    /// Control held.
    pub ctrl: bool,
    /// Alt (Meta) held.
    pub alt: bool,
    /// Shift held; always `false` for characters, whose case tells it.
    pub shift: bool,
}

impl KeyPress {
    /// The key alone.
    pub const fn plain(key: Key) -> Self {
        Self {
            key,
            ctrl: false,
            alt: false,
            shift: false,
        }
    }

    /// A character alone.
    pub const fn char(c: char) -> Self {
        Self::plain(Key::Char(c))
    }

    /// Control and a character; its case does not count, as terminals do not tell it.
    pub const fn ctrl(c: char) -> Self {
        Self {
            key: Key::Char(c.to_ascii_lowercase()),
            ctrl: true,
            alt: false,
            shift: false,
        }
    }

    /// Key and modifiers in the one form that every terminal and the configuration file lead to.
    pub fn new(key: Key, ctrl: bool, alt: bool, shift: bool) -> Self {
        match key {
            Key::Char(c) => {
                let c = match (ctrl, shift) {
                    (true, _) => c.to_ascii_lowercase(),
                    (false, true) => c.to_ascii_uppercase(),
                    (false, false) => c,
                };
                Self {
                    key: Key::Char(c),
                    ctrl,
                    alt,
                    shift: false,
                }
            }
            key => Self {
                key,
                ctrl,
                alt,
                shift,
            },
        }
    }

    /// The character to insert into a text field: printable, without control or alt.
    pub fn text(self) -> Option<char> {
        match self.key {
            Key::Char(c) if !self.ctrl && !self.alt && !c.is_control() => Some(c),
            _ => None,
        }
    }
}

const NAMED: &[(&str, Key)] = &[
    ("enter", Key::Enter),
    ("esc", Key::Esc),
    ("tab", Key::Tab),
    ("space", Key::Char(' ')),
    ("backspace", Key::Backspace),
    ("delete", Key::Delete),
    ("insert", Key::Insert),
    ("up", Key::Up),
    ("down", Key::Down),
    ("left", Key::Left),
    ("right", Key::Right),
    ("home", Key::Home),
    ("end", Key::End),
    ("page-up", Key::PageUp),
    ("page-down", Key::PageDown),
    ("minus", Key::Char('-')),
    ("plus", Key::Char('+')),
];

/// Other spellings that are read, never printed.
const ALIASES: &[(&str, Key)] = &[
    ("escape", Key::Esc),
    ("return", Key::Enter),
    ("del", Key::Delete),
    ("ins", Key::Insert),
    ("pageup", Key::PageUp),
    ("pgup", Key::PageUp),
    ("pagedown", Key::PageDown),
    ("pgdn", Key::PageDown),
    ("pgdown", Key::PageDown),
];

/// Every key name of the configuration file but the single characters (for "did you mean").
pub(crate) fn key_names() -> impl Iterator<Item = String> {
    NAMED
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain((1..=24).map(|n| format!("f{n}")))
}

/// Why a key's spelling was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown key {text:?}{}", hint(.nearest))]
pub struct UnknownKey {
    /// What was written.
    pub text: String,
    /// The nearest key name, if one is near.
    pub nearest: Option<String>,
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(" (did you mean {name:?}?)"),
        None => " (write one character, or a name as \"ctrl-r\", \"shift-tab\", \"f1\", \"space\")"
            .to_owned(),
    }
}

impl FromStr for KeyPress {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        let mut rest = text;
        while let Some((modifier, key)) = rest.split_once('-') {
            if key.is_empty() {
                break;
            }
            match modifier.to_ascii_lowercase().as_str() {
                "ctrl" | "control" => ctrl = true,
                "alt" | "meta" => alt = true,
                "shift" => shift = true,
                _ => break,
            }
            rest = key;
        }
        let mut chars = rest.chars();
        if let (Some(c), None) = (chars.next(), chars.next())
            && !c.is_control()
        {
            return Ok(Self::new(Key::Char(c), ctrl, alt, shift));
        }
        let lower = rest.to_ascii_lowercase();
        let named = NAMED.iter().chain(ALIASES).find(|(name, _)| *name == lower);
        if let Some((_, key)) = named {
            return Ok(Self::new(*key, ctrl, alt, shift));
        }
        let function = lower.strip_prefix('f').and_then(|n| n.parse().ok());
        if let Some(n @ 1..=24) = function {
            return Ok(Self::new(Key::F(n), ctrl, alt, shift));
        }
        let names: Vec<String> = key_names().collect();
        let nearest = super::nearest(&lower, names.iter().map(String::as_str)).map(|name| {
            let head = text.strip_suffix(rest).unwrap_or_default();
            format!("{head}{name}")
        });
        Err(UnknownKey {
            text: text.to_owned(),
            nearest,
        })
    }
}

impl fmt::Display for KeyPress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        if self.shift {
            f.write_str("shift-")?;
        }
        match self.key {
            Key::Char(' ') => f.write_str("space"),
            Key::Char(c) => write!(f, "{c}"),
            Key::F(n) => write!(f, "f{n}"),
            key => match NAMED.iter().find(|(_, named)| *named == key) {
                Some((name, _)) => f.write_str(name),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let mut keys: Vec<Key> = NAMED.iter().map(|(_, key)| *key).collect();
        keys.extend((1..=24).map(Key::F));
        keys.extend("aZ09/?-+[]é中&#".chars().map(Key::Char));
        for key in keys {
            for bits in 0..8u8 {
                let press = KeyPress::new(key, bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let text = press.to_string();
                assert_eq!(text.parse::<KeyPress>().as_ref(), Ok(&press), "{text}");
            }
        }
    }

    #[test]
    fn spellings() {
        let parse = |text: &str| text.parse::<KeyPress>();
        assert_eq!(parse("ctrl-R"), Ok(KeyPress::ctrl('r')));
        assert_eq!(
            parse("Shift-Tab"),
            Ok(KeyPress::new(Key::Tab, false, false, true))
        );
        assert_eq!(parse("shift-s"), Ok(KeyPress::char('S')));
        assert_eq!(parse("-"), Ok(KeyPress::char('-')));
        assert_eq!(parse("ctrl--"), Ok(KeyPress::ctrl('-')));
        assert_eq!(parse("F5"), Ok(KeyPress::plain(Key::F(5))));
        for bad in ["", "ctrl-", "f0", "f25", "hyper-x", "\u{7}", "ab"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse("PgUp"), Ok(KeyPress::plain(Key::PageUp)));
        let error = parse("ctrl-page-dwon").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("ctrl-page-down"));
    }
}
