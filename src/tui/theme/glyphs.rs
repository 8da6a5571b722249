//! The characters of bars, borders, marks and charts: one set for Unicode terminals, one for plain ASCII.

/// What boxes are drawn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Border {
    /// `─`.
    pub horizontal: &'static str,
    /// `│`.
    pub vertical: &'static str,
    /// `┌`.
    pub top_left: &'static str,
    /// `┐`.
    pub top_right: &'static str,
    /// `└`.
    pub bottom_left: &'static str,
    /// `┘`.
    pub bottom_right: &'static str,
}

/// Every non-letter that the views draw; each is one column wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Whether this is the Unicode set.
    pub unicode: bool,
    /// Whether charts may use braille dots (else they use `chart_steps`).
    pub braille: bool,
    /// A full cell of a bar.
    pub bar_full: &'static str,
    /// An empty cell of a bar.
    pub bar_empty: &'static str,
    /// A cell filled from the left by 1/8 to 7/8; empty where the set has none.
    pub bar_parts: &'static [&'static str],
    /// Columns of a chart from lowest to highest.
    pub chart_steps: &'static [&'static str],
    /// The selected row.
    pub selected: &'static str,
    /// A marked row.
    pub marked: &'static str,
    /// Good.
    pub check: &'static str,
    /// Bad.
    pub cross: &'static str,
    /// A warning.
    pub warning: &'static str,
    /// A lamp.
    pub dot: &'static str,
    /// Cut text.
    pub ellipsis: &'static str,
    /// No value.
    pub absent: &'static str,
    /// Sorted upwards.
    pub ascending: &'static str,
    /// Sorted downwards.
    pub descending: &'static str,
    /// From given to used.
    pub arrow: &'static str,
    /// Between facts on one line.
    pub separator: &'static str,
    /// A member of a group that is not the last.
    pub branch: &'static str,
    /// The last member of a group.
    pub branch_last: &'static str,
    /// Masks a secret.
    pub mask: &'static str,
    /// The moving part of a scroll bar.
    pub scroll_thumb: &'static str,
    /// The resting part of a scroll bar.
    pub scroll_track: &'static str,
    /// Degrees Celsius' sign before the C.
    pub degree: &'static str,
    /// Boxes.
    pub border: Border,
}

/// The Unicode set.
pub const UNICODE: Glyphs = Glyphs {
    unicode: true,
    braille: true,
    bar_full: "█",
    bar_empty: "░",
    bar_parts: &["▏", "▎", "▍", "▌", "▋", "▊", "▉"],
    chart_steps: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    selected: "▶",
    marked: "●",
    check: "✔",
    cross: "✘",
    warning: "▲",
    dot: "●",
    ellipsis: "…",
    absent: "—",
    ascending: "↑",
    descending: "↓",
    arrow: "→",
    separator: "·",
    branch: "├",
    branch_last: "└",
    mask: "•",
    scroll_thumb: "█",
    scroll_track: "│",
    degree: "°",
    border: Border {
        horizontal: "─",
        vertical: "│",
        top_left: "┌",
        top_right: "┐",
        bottom_left: "└",
        bottom_right: "┘",
    },
};

/// The ASCII set.
pub const ASCII: Glyphs = Glyphs {
    unicode: false,
    braille: false,
    bar_full: "#",
    bar_empty: ".",
    bar_parts: &[],
    chart_steps: &[".", ":", "|", "#"],
    selected: ">",
    marked: "*",
    check: "+",
    cross: "x",
    warning: "!",
    dot: "*",
    ellipsis: "~",
    absent: "-",
    ascending: "^",
    descending: "v",
    arrow: ">",
    separator: "-",
    branch: "|",
    branch_last: "`",
    mask: "*",
    scroll_thumb: "#",
    scroll_track: "|",
    degree: " ",
    border: Border {
        horizontal: "-",
        vertical: "|",
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
    },
};

/// The nearest ASCII character for one that a terminal without Unicode could not show (used by the
/// encoder for everything that reaches the screen, also names from outside).
pub fn to_ascii(symbol: &str) -> char {
    let mut chars = symbol.chars();
    match chars.next() {
        None => ' ',
        Some(c) if c.is_ascii() => c,
        Some(c) => match c {
            '─'..='╿' => box_to_ascii(c),
            '▀'..='▐' | '▓' | '■' => '#',
            '░' | '▒' => '.',
            '\u{2800}' => ' ',
            '\u{2801}'..='\u{28ff}' => ':',
            '…' => '~',
            '—' | '–' | '‐'..='―' | '·' | '•' => '-',
            '→' | '▶' | '▸' | '›' | '»' => '>',
            '←' | '◀' | '‹' | '«' => '<',
            '↑' | '▲' => '^',
            '↓' | '▼' | '▾' => 'v',
            '●' | '○' | '◉' | '◆' => '*',
            '✔' | '✓' => '+',
            '✘' | '✗' | '×' => 'x',
            '°' => 'o',
            'µ' | 'μ' => 'u',
            '‘' | '’' => '\'',
            '“' | '”' => '"',
            '\u{a0}' => ' ',
            _ => '?',
        },
    }
}

fn box_to_ascii(c: char) -> char {
    match c {
        '─' | '━' | '┄' | '┅' | '┈' | '┉' | '═' | '╌' | '╍' | '╴' | '╶' | '╸' | '╺' => {
            '-'
        }
        '│' | '┃' | '┆' | '┇' | '┊' | '┋' | '║' | '╎' | '╏' | '╵' | '╷' | '╹' | '╻' => {
            '|'
        }
        _ => '+',
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn all(glyphs: &Glyphs) -> Vec<&'static str> {
        let Glyphs { border, .. } = glyphs;
        let mut list = vec![
            glyphs.bar_full,
            glyphs.bar_empty,
            glyphs.selected,
            glyphs.marked,
            glyphs.check,
            glyphs.cross,
            glyphs.warning,
            glyphs.dot,
            glyphs.ellipsis,
            glyphs.absent,
            glyphs.ascending,
            glyphs.descending,
            glyphs.arrow,
            glyphs.separator,
            glyphs.branch,
            glyphs.branch_last,
            glyphs.mask,
            glyphs.scroll_thumb,
            glyphs.scroll_track,
            glyphs.degree,
            border.horizontal,
            border.vertical,
            border.top_left,
            border.top_right,
            border.bottom_left,
            border.bottom_right,
        ];
        list.extend(glyphs.bar_parts);
        list.extend(glyphs.chart_steps);
        list
    }

    #[test]
    fn every_glyph_is_one_column_and_ascii_is_ascii() {
        for glyph in all(&UNICODE) {
            assert_eq!(glyph.width(), 1, "{glyph}");
            assert_ne!(to_ascii(glyph), '?', "{glyph} has no plain form");
        }
        for glyph in all(&ASCII) {
            assert_eq!(glyph.width(), 1, "{glyph}");
            assert!(glyph.is_ascii());
        }
    }
}
