//! Bytes from the terminal to keys, mouse events and pasted text.
//!
//! Our own reader, since crossterm 0.29 spins when the terminal vanishes (its issue 793) and waits inside
//! `read` on a sequence that came in part. Sequences after xterm's ctlseqs, with the Linux console's,
//! rxvt's and kitty's (`u`) forms of keys.

use std::time::Duration;

use super::Input;
use crate::tui::event::{MouseEvent, MouseKind};
use crate::tui::keymap::{Key, KeyPress};

/// A lone Escape is a key if nothing follows it for so long.
const ESCAPE_WAIT: Duration = Duration::from_millis(10);
/// A sequence that came in part is given up after so long (split packets take less).
const SEQUENCE_WAIT: Duration = Duration::from_millis(60);
/// A paste whose end never comes is taken as it is after so long.
const PASTE_WAIT: Duration = Duration::from_secs(2);
/// No key's sequence is longer; longer ones are answers that nobody asked for.
const LONGEST: usize = 4096;
/// More pasted text than this is cut off.
const PASTE_LIMIT: usize = 1 << 20;
const PASTE_END: &[u8] = b"\x1b[201~";

/// The reader's memory between two reads.
#[derive(Debug, Default)]
pub struct Parser {
    bytes: Vec<u8>,
    paste: Option<Vec<u8>>,
}

enum Step {
    /// So many bytes made this.
    Took(usize, Option<Input>),
    /// From here on text is pasted.
    Paste(usize),
    /// More bytes are needed.
    Short,
}

fn key(key: Key) -> Option<Input> {
    Some(Input::Key(KeyPress::plain(key)))
}

impl Parser {
    /// Takes what was read and appends what it means.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Input>) {
        self.bytes.extend_from_slice(bytes);
        self.advance(out);
    }

    fn advance(&mut self, out: &mut Vec<Input>) {
        loop {
            if self.paste.is_some() && !self.pasted(out) {
                return;
            }
            match step(&self.bytes) {
                Step::Took(0, _) => return,
                Step::Took(n, input) => {
                    self.bytes.drain(..n);
                    out.extend(input);
                }
                Step::Paste(n) => {
                    self.bytes.drain(..n);
                    self.paste = Some(Vec::new());
                }
                Step::Short if self.bytes.len() > LONGEST => self.bytes.clear(),
                Step::Short => return,
            }
        }
    }

    /// Moves pasted bytes over; says whether the paste has ended.
    fn pasted(&mut self, out: &mut Vec<Input>) -> bool {
        let Some(paste) = &mut self.paste else {
            return true;
        };
        let end = self
            .bytes
            .windows(PASTE_END.len())
            .position(|window| window == PASTE_END);
        // The beginning of the end mark may be all that has come of it.
        let keep = PASTE_END.len() - 1;
        let upto = end.unwrap_or(self.bytes.len().saturating_sub(keep));
        let room = PASTE_LIMIT.saturating_sub(paste.len());
        paste.extend(self.bytes.drain(..upto).take(room));
        if end.is_none() {
            return false;
        }
        self.bytes.drain(..PASTE_END.len());
        self.end_paste(out);
        true
    }

    fn end_paste(&mut self, out: &mut Vec<Input>) {
        if let Some(paste) = self.paste.take() {
            out.push(Input::Paste(String::from_utf8_lossy(&paste).into_owned()));
        }
    }

    /// How long to wait for the rest of what has begun; `None`: nothing has.
    pub fn wait(&self) -> Option<Duration> {
        match self.bytes.as_slice() {
            _ if self.paste.is_some() => Some(PASTE_WAIT),
            [] => None,
            [0x1b] => Some(ESCAPE_WAIT),
            _ => Some(SEQUENCE_WAIT),
        }
    }

    /// Nothing followed in time: takes what is there as it is.
    pub fn flush(&mut self, out: &mut Vec<Input>) {
        if let Some(paste) = &mut self.paste {
            paste.append(&mut self.bytes);
            self.end_paste(out);
            return;
        }
        if self.bytes.first() == Some(&0x1b) {
            self.bytes.remove(0);
            match self.bytes.as_slice() {
                [] => out.extend(key(Key::Esc)),
                // Alt and a key whose character begins sequences: `ESC [` alone.
                [byte @ 0x21..=0x7e] => {
                    let c = char::from(*byte);
                    let press = KeyPress::new(Key::Char(c), false, true, false);
                    out.push(Input::Key(press));
                }
                _ => {}
            }
        }
        self.bytes.clear();
    }
}

fn step(bytes: &[u8]) -> Step {
    match bytes {
        [] => Step::Took(0, None),
        [0x1b, rest @ ..] => escape(rest),
        [byte, ..] if *byte < 0x80 => Step::Took(1, single(*byte)),
        _ => text(bytes),
    }
}

/// One ASCII byte.
fn single(byte: u8) -> Option<Input> {
    match byte {
        b'\r' | b'\n' => key(Key::Enter),
        b'\t' => key(Key::Tab),
        0x7f | 0x08 => key(Key::Backspace),
        0 => Some(Input::Key(KeyPress::ctrl(' '))),
        0x01..=0x1a => Some(Input::Key(KeyPress::ctrl(char::from(byte + 0x60)))),
        0x1c..=0x1f => {
            // ctrl-\ ctrl-] ctrl-^ ctrl-_
            Some(Input::Key(KeyPress::ctrl(char::from(byte + 0x40))))
        }
        _ => key(Key::Char(char::from(byte))),
    }
}

/// A character of several bytes.
fn text(bytes: &[u8]) -> Step {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return Step::Took(1, None),
    };
    let Some(head) = bytes.get(..length) else {
        let tail = bytes.get(1..).unwrap_or_default();
        let whole_so_far = tail.iter().all(|b| (0x80..0xc0).contains(b));
        return if whole_so_far {
            Step::Short
        } else {
            Step::Took(1, None)
        };
    };
    match std::str::from_utf8(head)
        .ok()
        .and_then(|s| s.chars().next())
    {
        Some(c) if !c.is_control() => Step::Took(length, key(Key::Char(c))),
        Some(_) => Step::Took(length, None),
        None => Step::Took(1, None),
    }
}

/// What follows an Escape.
fn escape(rest: &[u8]) -> Step {
    match rest {
        [] => Step::Short,
        [b'[', rest @ ..] => csi(rest),
        [b'O', rest @ ..] => ss3(rest),
        // DCS, OSC, APC, PM: an answer of the terminal's; nobody asked, so it is dropped whole.
        [b'P' | b']' | b'_' | b'^', rest @ ..] => answer(rest),
        // The first Escape was a key of its own.
        [0x1b, ..] => Step::Took(1, key(Key::Esc)),
        _ => match step(rest) {
            Step::Took(n, Some(Input::Key(mut press))) => {
                press.alt = true;
                Step::Took(n + 1, Some(Input::Key(press)))
            }
            Step::Took(n, _) => Step::Took(n + 1, None),
            other => other,
        },
    }
}

fn answer(rest: &[u8]) -> Step {
    let bell = rest.iter().position(|b| *b == 0x07).map(|i| i + 1);
    let end = rest.windows(2).position(|w| w == b"\x1b\\").map(|i| i + 2);
    match (bell, end) {
        (Some(a), Some(b)) => Step::Took(2 + a.min(b), None),
        (Some(n), None) | (None, Some(n)) => Step::Took(2 + n, None),
        (None, None) => Step::Short,
    }
}

fn ss3(rest: &[u8]) -> Step {
    match rest {
        [] => Step::Short,
        [byte, ..] => {
            let shift = byte.is_ascii_lowercase();
            let named = letter(byte.to_ascii_uppercase());
            match named {
                // rxvt's ctrl-arrows are lower case.
                Some(key) => {
                    let press = KeyPress::new(key, shift, false, false);
                    Step::Took(3, Some(Input::Key(press)))
                }
                None if *byte == b'M' => Step::Took(3, key(Key::Enter)),
                None => Step::Took(3, None),
            }
        }
    }
}

/// The keys that a final letter names.
fn letter(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        b'P' => Key::F(1),
        b'Q' => Key::F(2),
        b'R' => Key::F(3),
        b'S' => Key::F(4),
        _ => return None,
    })
}

/// The keys that `CSI number ~` names.
fn numbered(number: u32) -> Option<Key> {
    Some(match number {
        1 | 7 => Key::Home,
        2 => Key::Insert,
        3 => Key::Delete,
        4 | 8 => Key::End,
        5 => Key::PageUp,
        6 => Key::PageDown,
        11..=15 => Key::F((number - 10) as u8),
        17..=21 => Key::F((number - 11) as u8),
        23..=26 => Key::F((number - 12) as u8),
        28 | 29 => Key::F((number - 13) as u8),
        31..=34 => Key::F((number - 14) as u8),
        _ => return None,
    })
}

fn csi(rest: &[u8]) -> Step {
    match rest {
        // Linux console: CSI [ A to E are F1 to F5.
        [b'[', byte @ b'A'..=b'E', ..] => Step::Took(4, key(Key::F(byte - b'A' + 1))),
        [b'['] => Step::Short,
        // The old mouse form: three bytes follow; never asked for.
        [b'M', tail @ ..] => {
            if tail.len() < 3 {
                Step::Short
            } else {
                Step::Took(6, None)
            }
        }
        _ => sequence(rest),
    }
}

fn sequence(rest: &[u8]) -> Step {
    let Some(end) = rest.iter().position(|b| !(0x20..=0x3f).contains(b)) else {
        return Step::Short;
    };
    let (Some(head), Some(last)) = (rest.get(..end), rest.get(end)) else {
        return Step::Short;
    };
    if !(0x40..=0x7e).contains(last) {
        // Broken off by a control character: that one is read again.
        return Step::Took(2 + end, None);
    }
    let length = 2 + end + 1;
    let head = std::str::from_utf8(head).unwrap_or_default();
    if let Some(numbers) = head.strip_prefix('<') {
        return Step::Took(length, mouse(numbers, *last));
    }
    if head.starts_with(['?', '>', '=']) {
        return Step::Took(length, None);
    }
    let mut fields = head.split(';').map(|field| field.split(':'));
    let mut number = || {
        let mut parts = fields.next()?;
        let value = parts.next()?.parse::<u32>().ok();
        let kind = parts.next().and_then(|k| k.parse::<u32>().ok());
        Some((value, kind))
    };
    let (first, _) = number().unwrap_or((None, None));
    let (modifiers, kind) = number().unwrap_or((None, None));
    if first == Some(200) && *last == b'~' {
        return Step::Paste(length);
    }
    // Kitty's third kind is a key let go; a cursor report looks like F3 but for its first number.
    let report = *last == b'R' && first.is_some_and(|n| n != 1);
    let bits = modifiers.unwrap_or(1).saturating_sub(1);
    let base = match *last {
        _ if kind == Some(3) || report => None,
        b'~' => first.and_then(numbered),
        b'Z' => Some(Key::Tab),
        b'u' => first.and_then(code_point),
        other => letter(other),
    };
    let press = base.map(|key| {
        let shift = bits & 1 != 0 || *last == b'Z';
        KeyPress::new(key, bits & 4 != 0, bits & 2 != 0, shift)
    });
    Step::Took(length, press.map(Input::Key))
}

fn code_point(number: u32) -> Option<Key> {
    Some(match number {
        9 => Key::Tab,
        13 => Key::Enter,
        27 => Key::Esc,
        127 => Key::Backspace,
        // Kitty's private numbers are keys that nothing here is bound to.
        0xe000..=0xf8ff => return None,
        n => Key::Char(char::from_u32(n).filter(|c| !c.is_control())?),
    })
}

fn mouse(numbers: &str, last: u8) -> Option<Input> {
    let mut numbers = numbers.split(';').map(|n| n.parse::<u16>().ok());
    let code = numbers.next()??;
    let column = numbers.next()??.checked_sub(1)?;
    let row = numbers.next()??.checked_sub(1)?;
    let kind = match (code & 0b1110_0011, last) {
        (0, b'M') => MouseKind::Press,
        (0, b'm') => MouseKind::Release,
        (32, b'M') => MouseKind::Drag,
        (64, b'M') => MouseKind::ScrollUp,
        (65, b'M') => MouseKind::ScrollDown,
        _ => return None,
    };
    Some(Input::Mouse(MouseEvent { kind, column, row }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> String {
        let mut parser = Parser::default();
        let mut out = Vec::new();
        parser.feed(bytes, &mut out);
        parser.flush(&mut out);
        let words: Vec<String> = out
            .iter()
            .map(|input| match input {
                Input::Key(key) => key.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        words.join(" ")
    }

    #[test]
    fn keys_of_the_usual_terminals() {
        for (bytes, want) in [
            ("a", "a"),
            ("A", "A"),
            ("é中😀", "é 中 😀"),
            (" ", "space"),
            ("\r", "enter"),
            ("\t", "tab"),
            ("\x7f", "backspace"),
            ("\x08", "backspace"),
            ("\x03", "ctrl-c"),
            ("\x1a", "ctrl-z"),
            ("\x00", "ctrl-space"),
            ("\x1d", "ctrl-]"),
            ("\x1b", "esc"),
            ("\x1b\x1b", "esc esc"),
            ("\x1bx", "alt-x"),
            ("\x1b\r", "alt-enter"),
            ("\x1b[A", "up"),
            ("\x1bOA", "up"),
            ("\x1b\x1b[A", "esc up"),
            ("\x1b[1;5C", "ctrl-right"),
            ("\x1b[1;2D", "shift-left"),
            ("\x1bOd", "ctrl-left"),
            ("\x1b[Z", "shift-tab"),
            (
                "\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~",
                "home end home end home end",
            ),
            (
                "\x1b[5~\x1b[6~\x1b[3~\x1b[2~",
                "page-up page-down delete insert",
            ),
            (
                "\x1bOP\x1b[11~\x1b[[A\x1b[15~\x1b[17~\x1b[24~",
                "f1 f1 f1 f5 f6 f12",
            ),
            ("\x1b[1;2P", "shift-f1"),
            ("\x1b[97;5u\x1b[27u\x1b[13;2u", "ctrl-a esc shift-enter"),
            ("\x1b[97;1:3u", ""),
            ("\x1b[12;40R", ""),
            ("\x1b[?62;4c", ""),
            ("\x1b]11;rgb:0000/0000/0000\x07x", "x"),
            ("\x1bP1$r0m\x1b\\x", "x"),
            ("\x1b[", "alt-["),
            ("\x1b[12\x1b[A", "up"),
        ] {
            assert_eq!(read(bytes.as_bytes()), want, "{bytes:?}");
        }
        assert_eq!(read(b"\xff\xc3x\xe4\xb8"), "x");
    }

    #[test]
    fn mouse_and_paste() {
        assert_eq!(
            read(b"\x1b[<0;3;4M"),
            "Mouse(MouseEvent { kind: Press, column: 2, row: 3 })"
        );
        assert!(read(b"\x1b[<65;1;1M").contains("ScrollDown"));
        assert_eq!(read(b"\x1b[<0;0;0M"), "");
        assert_eq!(read(b"\x1b[M !!q"), "q");
        assert_eq!(
            read(b"\x1b[200~a\x1b[A\r\x1b[201~q"),
            "Paste(\"a\\u{1b}[A\\r\") q"
        );
        // An end that never comes does not eat what follows for ever.
        assert_eq!(read(b"\x1b[200~abc"), "Paste(\"abc\")");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_mean_the_same_and_never_panic(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b';'), Just(b'~'), b'0'..=b'9'],
                0..200,
            ),
            cut in 1usize..7,
        ) {
            let mut whole = Vec::new();
            let mut parser = Parser::default();
            parser.feed(&bytes, &mut whole);
            parser.flush(&mut whole);
            let mut pieces = Vec::new();
            let mut parser = Parser::default();
            for piece in bytes.chunks(cut) {
                parser.feed(piece, &mut pieces);
            }
            parser.flush(&mut pieces);
            prop_assert_eq!(whole, pieces);
            prop_assert!(parser.wait().is_none());
        }
    }
}
