//! A style as text: `"bold red on #202020"`, and colours brought down to what a terminal can show.

use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColorDepth {
    /// None: bold, dim, underlined and reversed alone.
    Mono,
    /// The sixteen of the user's palette.
    Ansi16,
    /// The 256 of xterm.
    Ansi256,
    /// 24 bits.
    True,
}

const NAMES: &[(&str, Color)] = &[
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

const MODIFIERS: &[(&str, Modifier)] = &[
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

fn color(word: &str) -> Option<Color> {
    if let Some(hex) = word.strip_prefix('#') {
        let value = u32::from_str_radix(hex, 16).ok()?;
        let [_, r, g, b] = value.to_be_bytes();
        return (hex.len() == 6).then_some(Color::Rgb(r, g, b));
    }
    if let Ok(index) = word.parse::<u8>() {
        return Some(Color::Indexed(index));
    }
    NAMES.iter().find(|(n, _)| *n == word).map(|(_, c)| *c)
}

/// Reads a style: modifiers, a colour, and after `on` a background. Colours are the sixteen names
/// (`red`, `bright-red`…), `default`, `0` to `255`, or `#rrggbb`.
pub fn parse_style(text: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut background = false;
    for word in text.split_whitespace() {
        let lower = word.to_ascii_lowercase();
        if lower == "on" {
            background = true;
        } else if let Some((_, modifier)) = MODIFIERS.iter().find(|(n, _)| *n == lower) {
            style = style.add_modifier(*modifier);
        } else if let Some(color) = color(&lower) {
            style = if background {
                style.bg(color)
            } else {
                style.fg(color)
            };
        } else {
            let names = NAMES
                .iter()
                .map(|(n, _)| *n)
                .chain(MODIFIERS.iter().map(|(n, _)| *n));
            return Err(match crate::tui::keymap::nearest(&lower, names) {
                Some(name) => format!("unknown colour {word:?} (did you mean {name:?}?)"),
                None => format!("unknown colour {word:?} (a name, 0-255, or \"#rrggbb\")"),
            });
        }
    }
    Ok(style)
}

/// The colour as a terminal of this depth can show it.
pub fn reduce(color: Color, depth: ColorDepth) -> Color {
    match (depth, color) {
        (ColorDepth::Mono, _) => Color::Reset,
        (ColorDepth::True, color) => color,
        (ColorDepth::Ansi256, Color::Rgb(r, g, b)) => Color::Indexed(nearest_256(r, g, b)),
        (ColorDepth::Ansi256, color) => color,
        (ColorDepth::Ansi16, Color::Rgb(r, g, b)) => nearest_16(r, g, b),
        (ColorDepth::Ansi16, Color::Indexed(i)) => match NAMES.get(usize::from(i) + 1) {
            Some((_, named)) => *named,
            None => {
                let (r, g, b) = xterm_rgb(i);
                nearest_16(r, g, b)
            }
        },
        (ColorDepth::Ansi16, color) => color,
    }
}

const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// xterm's default colour for an index from 16 up; lower ones are the user's palette.
fn xterm_rgb(index: u8) -> (u8, u8, u8) {
    if index >= 232 {
        let level = 8 + 10 * (index - 232);
        return (level, level, level);
    }
    let i = index.saturating_sub(16);
    let level = |n: u8| CUBE.get(usize::from(n)).copied().unwrap_or(0);
    (level(i / 36), level(i / 6 % 6), level(i % 6))
}

fn squared(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let d = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    // Green counts most to the eye, blue least.
    3 * d(a.0, b.0) + 6 * d(a.1, b.1) + d(a.2, b.2)
}

fn nearest_256(r: u8, g: u8, b: u8) -> u8 {
    (16..=255u8)
        .min_by_key(|i| squared(xterm_rgb(*i), (r, g, b)))
        .unwrap_or(16)
}

/// The usual values of the sixteen (xterm's), to choose by.
const ANSI: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

fn nearest_16(r: u8, g: u8, b: u8) -> Color {
    let named = NAMES.iter().skip(1).map(|(_, c)| *c);
    ANSI.iter()
        .zip(named)
        .min_by_key(|(rgb, _)| squared(**rgb, (r, g, b)))
        .map_or(Color::Reset, |(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_read() {
        assert_eq!(parse_style(""), Ok(Style::new()));
        assert_eq!(
            parse_style("bold bright-red on #102030"),
            Ok(Style::new()
                .fg(Color::LightRed)
                .bg(Color::Rgb(16, 32, 48))
                .add_modifier(Modifier::BOLD))
        );
        assert_eq!(parse_style("240"), Ok(Style::new().fg(Color::Indexed(240))));
        assert!(parse_style("gren").unwrap_err().contains("green"));
        for bad in ["#12345", "#1234567", "256", "#é"] {
            assert!(parse_style(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn colours_come_down() {
        let red = Color::Rgb(250, 5, 5);
        assert_eq!(reduce(red, ColorDepth::True), red);
        assert_eq!(reduce(red, ColorDepth::Ansi16), Color::LightRed);
        assert_eq!(
            reduce(Color::Rgb(255, 0, 0), ColorDepth::Ansi256),
            Color::Indexed(196)
        );
        assert_eq!(reduce(Color::Indexed(1), ColorDepth::Ansi16), Color::Red);
        assert_eq!(reduce(Color::Indexed(15), ColorDepth::Ansi16), Color::White);
        assert_eq!(reduce(Color::Indexed(255), ColorDepth::Ansi16), Color::Gray);
        assert_eq!(reduce(red, ColorDepth::Mono), Color::Reset);
    }
}
