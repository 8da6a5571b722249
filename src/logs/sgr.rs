//! Colours and attributes of terminal text (ECMA-48 SGR), and how stored lines carry them.
//!
//! A stored line is UTF-8 text in which the only control sequence is `ESC [ … m`, always written by
//! [`Sgr::write`] and always the whole state: a line's style at any place depends on the nearest sequence
//! before it in that line alone, and a line starts plain.

use std::borrow::Cow;
use std::fmt::Write;

/// A colour as the container asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// The terminal's own.
    #[default]
    Default,
    /// One of the 256: 0 to 15 are the terminal's palette.
    Indexed(u8),
    /// 24-bit.
    Rgb(u8, u8, u8),
}

/// What the following text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sgr {
    /// Text colour.
    pub fg: Color,
    /// Background colour.
    pub bg: Color,
    bits: u8,
}

impl Sgr {
    /// No colour, no attribute.
    pub const PLAIN: Self = Self {
        fg: Color::Default,
        bg: Color::Default,
        bits: 0,
    };
    const BOLD: u8 = 1;
    const DIM: u8 = 2;
    const ITALIC: u8 = 4;
    const UNDERLINE: u8 = 8;
    const REVERSE: u8 = 16;
    const STRIKE: u8 = 32;

    /// Bold.
    pub fn bold(self) -> bool {
        self.bits & Self::BOLD != 0
    }
    /// Faint.
    pub fn dim(self) -> bool {
        self.bits & Self::DIM != 0
    }
    /// Italic.
    pub fn italic(self) -> bool {
        self.bits & Self::ITALIC != 0
    }
    /// Underlined.
    pub fn underline(self) -> bool {
        self.bits & Self::UNDERLINE != 0
    }
    /// Foreground and background exchanged.
    pub fn reverse(self) -> bool {
        self.bits & Self::REVERSE != 0
    }
    /// Struck through.
    pub fn strike(self) -> bool {
        self.bits & Self::STRIKE != 0
    }

    fn set(&mut self, bit: u8, on: bool) {
        if on {
            self.bits |= bit;
        } else {
            self.bits &= !bit;
        }
    }

    /// Applies the parameters of an SGR sequence (`1;38;5;9`, `38:2::1:2:3`). Unknown ones, blinking and
    /// concealed text (which could hide a line) are left out.
    pub fn apply(&mut self, parameters: &str) {
        let mut groups = parameters.split(';');
        while let Some(group) = groups.next() {
            let mut parts = group.split(':');
            let code = parts.next().map_or(0, number);
            match code {
                0 => *self = Self::default(),
                1 => self.set(Self::BOLD, true),
                2 => self.set(Self::DIM, true),
                3 => self.set(Self::ITALIC, true),
                4 => self.set(Self::UNDERLINE, parts.next().map_or(1, number) != 0),
                7 => self.set(Self::REVERSE, true),
                9 => self.set(Self::STRIKE, true),
                21 => self.set(Self::UNDERLINE, true),
                22 => self.set(Self::BOLD | Self::DIM, false),
                23 => self.set(Self::ITALIC, false),
                24 => self.set(Self::UNDERLINE, false),
                27 => self.set(Self::REVERSE, false),
                29 => self.set(Self::STRIKE, false),
                30..=37 => self.fg = Color::Indexed((code - 30) as u8),
                39 => self.fg = Color::Default,
                40..=47 => self.bg = Color::Indexed((code - 40) as u8),
                49 => self.bg = Color::Default,
                90..=97 => self.fg = Color::Indexed((code - 90 + 8) as u8),
                100..=107 => self.bg = Color::Indexed((code - 100 + 8) as u8),
                38 | 48 | 58 => {
                    let color = if group.contains(':') {
                        extended_sub(parts)
                    } else {
                        extended(&mut groups)
                    };
                    match (code, color) {
                        (38, Some(color)) => self.fg = color,
                        (48, Some(color)) => self.bg = color,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// Appends the sequence that means exactly this state.
    pub fn write(self, out: &mut String) {
        out.push_str("\x1b[");
        if self != Self::default() {
            out.push('0');
            for (bit, code) in [
                (Self::BOLD, ";1"),
                (Self::DIM, ";2"),
                (Self::ITALIC, ";3"),
                (Self::UNDERLINE, ";4"),
                (Self::REVERSE, ";7"),
                (Self::STRIKE, ";9"),
            ] {
                if self.bits & bit != 0 {
                    out.push_str(code);
                }
            }
            // Writing to a String cannot fail.
            let _ = match self.fg {
                Color::Default => Ok(()),
                Color::Indexed(n @ 0..=7) => write!(out, ";3{n}"),
                Color::Indexed(n) => write!(out, ";38;5;{n}"),
                Color::Rgb(r, g, b) => write!(out, ";38;2;{r};{g};{b}"),
            };
            let _ = match self.bg {
                Color::Default => Ok(()),
                Color::Indexed(n @ 0..=7) => write!(out, ";4{n}"),
                Color::Indexed(n) => write!(out, ";48;5;{n}"),
                Color::Rgb(r, g, b) => write!(out, ";48;2;{r};{g};{b}"),
            };
        }
        out.push('m');
    }

    /// The longest that [`Sgr::write`] writes, in bytes.
    pub const LONGEST: usize = 3 + 1 + 12 + 2 * 17;
}

fn number(text: &str) -> u16 {
    if text.is_empty() {
        0
    } else {
        text.parse().unwrap_or(u16::MAX)
    }
}

fn extended<'a>(groups: &mut impl Iterator<Item = &'a str>) -> Option<Color> {
    let mut byte = || groups.next().map(number);
    match byte()? {
        5 => u8::try_from(byte()?).ok().map(Color::Indexed),
        2 => {
            let (r, g, b) = (byte()?, byte()?, byte()?);
            rgb(r, g, b)
        }
        _ => None,
    }
}

/// The colon form: `38:5:N`, `38:2:R:G:B`, `38:2:SPACE:R:G:B`.
fn extended_sub<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Color> {
    let numbers: [Option<u16>; 6] = {
        let mut parts = parts.map(number);
        std::array::from_fn(|_| parts.next())
    };
    match numbers {
        [Some(5), Some(n), ..] => u8::try_from(n).ok().map(Color::Indexed),
        [Some(2), Some(r), Some(g), Some(b), None, _] => rgb(r, g, b),
        [Some(2), _, Some(r), Some(g), Some(b), _] => rgb(r, g, b),
        _ => None,
    }
}

fn rgb(r: u16, g: u16, b: u16) -> Option<Color> {
    Some(Color::Rgb(
        r.try_into().ok()?,
        g.try_into().ok()?,
        b.try_into().ok()?,
    ))
}

/// The runs of one style of a stored line, in order. Empty runs are left out.
pub fn runs(line: &str) -> impl Iterator<Item = (Sgr, &str)> {
    let mut style = Sgr::default();
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            if let Some(sequence) = text.strip_prefix("\x1b[") {
                let (parameters, after) = sequence.split_once('m').unwrap_or((sequence, ""));
                style = Sgr::default();
                style.apply(parameters);
                rest = Some(after);
                continue;
            }
            let at = text.find('\x1b').unwrap_or(text.len());
            let (run, after) = text.split_at_checked(at)?;
            // An ESC that starts no sequence is never stored; stop rather than loop on it.
            rest = (after.starts_with("\x1b[")).then_some(after);
            if !run.is_empty() {
                return Some((style, run));
            }
        }
    })
}

/// A stored line without its colours.
pub fn plain(line: &str) -> Cow<'_, str> {
    if line.contains('\x1b') {
        Cow::Owned(runs(line).map(|(_, text)| text).collect())
    } else {
        Cow::Borrowed(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_mean_what_terminals_take_them_for() {
        let after = |parameters: &str| {
            let mut sgr = Sgr::default();
            sgr.apply(parameters);
            sgr
        };
        assert_eq!(after("31").fg, Color::Indexed(1));
        assert_eq!(after("97").fg, Color::Indexed(15));
        assert_eq!(after("38;5;208").fg, Color::Indexed(208));
        assert_eq!(after("48;2;1;2;3").bg, Color::Rgb(1, 2, 3));
        assert_eq!(after("38:2::1:2:3").fg, Color::Rgb(1, 2, 3));
        assert_eq!(after("38:2:1:2:3").fg, Color::Rgb(1, 2, 3));
        assert_eq!(after("38:5:9").fg, Color::Indexed(9));
        assert!(after("1;4").bold() && after("1;4").underline());
        assert!(!after("4:0").underline());
        assert_eq!(after("1;31;"), Sgr::default());
        assert_eq!(after("38;5;300"), Sgr::default());
        assert_eq!(after("99999;;"), Sgr::default());
        // 58 (underline colour) swallows its own parameters.
        assert_eq!(after("58;5;1"), Sgr::default());
        assert_eq!(after("8;5"), Sgr::default());
    }

    #[test]
    fn runs_and_plain_text() {
        let line = "a\x1b[0;31mred\x1b[m\x1b[0;1mbold\x1b[m";
        let seen: Vec<_> = runs(line)
            .map(|(s, t)| (s.bold(), s.fg, t.to_owned()))
            .collect();
        assert_eq!(
            seen,
            [
                (false, Color::Default, "a".to_owned()),
                (false, Color::Indexed(1), "red".to_owned()),
                (true, Color::Default, "bold".to_owned()),
            ]
        );
        assert_eq!(plain(line), "aredbold");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(parameters in "[0-9;:]{0,40}") {
            let mut sgr = Sgr::default();
            sgr.apply(&parameters);
            let mut text = String::new();
            sgr.write(&mut text);
            prop_assert!(text.len() <= Sgr::LONGEST);
            text.push('x');
            let mut all = runs(&text);
            prop_assert_eq!(all.next(), Some((sgr, "x")));
            prop_assert_eq!(all.next(), None);
        }

        #[test]
        fn any_text_ends(text in "(\x1b|\x1b\\[|m|[a-c0-9;]){0,30}") {
            prop_assert!(runs(&text).count() <= text.len());
        }
    }
}
