//! The colours and attributes in force at the terminal, and the shortest way from one set to another.

use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use crate::tui::theme::{ColorDepth, reduce};

/// Attributes that also show on a space.
const ON_SPACE: Modifier = Modifier::REVERSED
    .union(Modifier::UNDERLINED)
    .union(Modifier::CROSSED_OUT);

/// Attribute, code that sets it, code that ends it. Bold and dim end together.
const ATTRIBUTES: [(Modifier, u8, u8); 8] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

/// What the next character will look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pen {
    pub fg: Color,
    pub bg: Color,
    pub modifier: Modifier,
}

impl Pen {
    pub const DEFAULT: Pen = Pen {
        fg: Color::Reset,
        bg: Color::Reset,
        modifier: Modifier::empty(),
    };

    /// The pen for a cell; for a space only what a space shows counts.
    pub fn of(cell: &Cell, blank: bool, depth: ColorDepth) -> Self {
        let mut modifier = cell.modifier;
        if modifier.contains(Modifier::RAPID_BLINK) {
            modifier.remove(Modifier::RAPID_BLINK);
            modifier.insert(Modifier::SLOW_BLINK);
        }
        let bg = reduce(cell.bg, depth);
        if blank && !modifier.intersects(ON_SPACE) {
            return Pen {
                bg,
                ..Self::DEFAULT
            };
        }
        Pen {
            fg: reduce(cell.fg, depth),
            bg,
            modifier,
        }
    }

    /// Whether a space written with this pen looks as one written with `wanted` (a pen made for a space).
    pub fn blank_as(&self, wanted: &Pen) -> bool {
        !wanted.modifier.intersects(ON_SPACE)
            && !self.modifier.intersects(ON_SPACE)
            && self.bg == wanted.bg
    }

    /// Appends what turns `from` (`None`: unknown) into `self`.
    pub fn change(&self, from: Option<Pen>, out: &mut Vec<u8>) {
        if from == Some(*self) {
            return;
        }
        let mut afresh = Codes::NONE;
        if *self != Self::DEFAULT {
            afresh.push(0);
            for (flag, set, _) in ATTRIBUTES {
                if self.modifier.contains(flag) {
                    afresh.push(set);
                }
            }
            afresh.color(self.fg, 30);
            afresh.color(self.bg, 40);
        }
        let Some(from) = from else {
            return afresh.write(out);
        };
        let mut step = Codes::NONE;
        let lost = from.modifier.difference(self.modifier);
        let mut gained = self.modifier.difference(from.modifier);
        let weight = Modifier::BOLD | Modifier::DIM;
        if lost.intersects(weight) {
            step.push(22);
            gained.insert(self.modifier.intersection(weight));
        }
        for (flag, _, end) in ATTRIBUTES {
            if lost.contains(flag) && end != 22 {
                step.push(end);
            }
        }
        for (flag, set, _) in ATTRIBUTES {
            if gained.contains(flag) {
                step.push(set);
            }
        }
        for (old, new, base) in [(from.fg, self.fg, 30), (from.bg, self.bg, 40)] {
            if old != new {
                if new == Color::Reset {
                    step.push(base + 9);
                } else {
                    step.color(new, base);
                }
            }
        }
        if afresh.len() < step.len() {
            afresh.write(out);
        } else {
            step.write(out);
        }
    }
}

/// The parameters of one SGR sequence.
struct Codes {
    text: [u8; 96],
    used: usize,
}

impl Codes {
    const NONE: Codes = Codes {
        text: [0; 96],
        used: 0,
    };

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
    }

    fn push(&mut self, code: u8) {
        if self.used > 0 {
            self.byte(b';');
        }
        if code >= 100 {
            self.byte(b'0' + code / 100);
        }
        if code >= 10 {
            self.byte(b'0' + code / 10 % 10);
        }
        self.byte(b'0' + code % 10);
    }

    /// A colour; `base` is 30 for the foreground and 40 for the background. `Reset` adds nothing.
    fn color(&mut self, color: Color, base: u8) {
        let plain = |i: u8| if i < 8 { base + i } else { base + 52 + i };
        match color {
            Color::Reset => {}
            Color::Rgb(r, g, b) => [base + 8, 2, r, g, b]
                .into_iter()
                .for_each(|c| self.push(c)),
            Color::Indexed(i) => [base + 8, 5, i].into_iter().for_each(|c| self.push(c)),
            Color::Black => self.push(plain(0)),
            Color::Red => self.push(plain(1)),
            Color::Green => self.push(plain(2)),
            Color::Yellow => self.push(plain(3)),
            Color::Blue => self.push(plain(4)),
            Color::Magenta => self.push(plain(5)),
            Color::Cyan => self.push(plain(6)),
            Color::Gray => self.push(plain(7)),
            Color::DarkGray => self.push(plain(8)),
            Color::LightRed => self.push(plain(9)),
            Color::LightGreen => self.push(plain(10)),
            Color::LightYellow => self.push(plain(11)),
            Color::LightBlue => self.push(plain(12)),
            Color::LightMagenta => self.push(plain(13)),
            Color::LightCyan => self.push(plain(14)),
            Color::White => self.push(plain(15)),
        }
    }

    fn len(&self) -> usize {
        self.used
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\x1b[");
        out.extend_from_slice(self.text.get(..self.used).unwrap_or_default());
        out.push(b'm');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: Option<Pen>, to: Pen) -> String {
        let mut out = Vec::new();
        to.change(from, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_shorter_way_is_taken() {
        let red = Pen {
            fg: Color::Red,
            ..Pen::DEFAULT
        };
        let bold_red = Pen {
            modifier: Modifier::BOLD,
            ..red
        };
        let dim_red = Pen {
            modifier: Modifier::DIM,
            ..red
        };
        assert_eq!(change(Some(red), red), "");
        assert_eq!(change(Some(Pen::DEFAULT), red), "\x1b[31m");
        assert_eq!(change(Some(red), Pen::DEFAULT), "\x1b[m");
        assert_eq!(change(Some(red), bold_red), "\x1b[1m");
        assert_eq!(change(Some(bold_red), red), "\x1b[22m");
        assert_eq!(change(Some(bold_red), dim_red), "\x1b[22;2m");
        assert_eq!(change(None, Pen::DEFAULT), "\x1b[m");
        assert_eq!(change(None, red), "\x1b[0;31m");
        let bright = Pen {
            fg: Color::LightRed,
            bg: Color::DarkGray,
            ..Pen::DEFAULT
        };
        assert_eq!(change(Some(Pen::DEFAULT), bright), "\x1b[91;100m");
        let rgb = Pen {
            fg: Color::Rgb(1, 20, 255),
            bg: Color::Indexed(240),
            ..Pen::DEFAULT
        };
        assert_eq!(
            change(Some(Pen::DEFAULT), rgb),
            "\x1b[38;2;1;20;255;48;5;240m"
        );
    }
}
