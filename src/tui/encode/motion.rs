//! The shortest way of the cursor from one cell to another. The terminal is in raw mode, so a line feed
//! goes straight down.

/// Where bytes go: into a buffer, or nowhere but a count.
pub(super) trait Put {
    fn byte(&mut self, byte: u8);

    fn number(&mut self, n: u16) {
        let digits = [
            n / 10_000,
            n / 1_000 % 10,
            n / 100 % 10,
            n / 10 % 10,
            n % 10,
        ];
        let skip = 4 - n.checked_ilog10().unwrap_or(0).min(4) as usize;
        for digit in digits.iter().skip(skip) {
            self.byte(b'0' + *digit as u8);
        }
    }

    /// `ESC [ n letter`, with `n` left out where it is 1.
    fn csi(&mut self, n: u16, letter: u8) {
        self.byte(0x1b);
        self.byte(b'[');
        if n != 1 {
            self.number(n);
        }
        self.byte(letter);
    }

    fn repeat(&mut self, byte: u8, times: u16) {
        for _ in 0..times {
            self.byte(byte);
        }
    }
}

impl Put for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// A number's digits.
fn digits(n: u16) -> usize {
    n.checked_ilog10().unwrap_or(0) as usize + 1
}

fn csi_len(n: u16) -> usize {
    if n == 1 { 3 } else { 3 + digits(n) }
}

/// A cell: column and row, from 0.
pub(super) type At = (u16, u16);

#[derive(Clone, Copy)]
enum Step {
    Stay,
    /// This byte so many times.
    Bytes(u8, u16),
    /// `ESC [ n letter`.
    Csi(u16, u8),
    /// To column 0, then right by n.
    ReturnRight(u16),
}

impl Step {
    fn len(self) -> usize {
        match self {
            Step::Stay => 0,
            Step::Bytes(_, n) => usize::from(n),
            Step::Csi(n, _) => csi_len(n),
            Step::ReturnRight(n) => 1 + csi_len(n),
        }
    }

    fn put(self, out: &mut impl Put) {
        match self {
            Step::Stay => {}
            Step::Bytes(byte, n) => out.repeat(byte, n),
            Step::Csi(n, letter) => out.csi(n, letter),
            Step::ReturnRight(n) => {
                out.byte(b'\r');
                out.csi(n, b'C');
            }
        }
    }

    fn shorter(self, other: Step) -> Step {
        if other.len() < self.len() {
            other
        } else {
            self
        }
    }
}

fn vertical(from: u16, to: u16) -> Step {
    if to == from {
        Step::Stay
    } else if let Some(down @ 1..) = to.checked_sub(from) {
        Step::Bytes(b'\n', down)
            .shorter(Step::Csi(down, b'B'))
            .shorter(Step::Csi(to + 1, b'd'))
    } else {
        Step::Csi(from - to, b'A').shorter(Step::Csi(to + 1, b'd'))
    }
}

fn horizontal(from: u16, to: u16) -> Step {
    if to == from {
        Step::Stay
    } else if to == 0 {
        Step::Bytes(b'\r', 1)
    } else if let Some(right @ 1..) = to.checked_sub(from) {
        Step::Csi(right, b'C').shorter(Step::Csi(to + 1, b'G'))
    } else {
        let left = from - to;
        Step::Bytes(0x08, left)
            .shorter(Step::Csi(left, b'D'))
            .shorter(Step::Csi(to + 1, b'G'))
            .shorter(Step::ReturnRight(to))
    }
}

fn absolute_len((column, row): At) -> usize {
    match (column, row) {
        (0, row) => csi_len(row + 1),
        (column, row) => 4 + digits(row + 1) + digits(column + 1),
    }
}

/// How many bytes the way takes; `None` is an unknown place.
pub(super) fn cost(from: Option<At>, to: At) -> usize {
    let absolute = absolute_len(to);
    match from {
        None => absolute,
        Some((column, row)) => {
            let relative = horizontal(column, to.0).len() + vertical(row, to.1).len();
            relative.min(absolute)
        }
    }
}

/// Goes there the shortest way.
pub(super) fn go(from: Option<At>, to: At, out: &mut impl Put) {
    if let Some((column, row)) = from {
        let across = horizontal(column, to.0);
        let down = vertical(row, to.1);
        if across.len() + down.len() <= absolute_len(to) {
            across.put(out);
            down.put(out);
            return;
        }
    }
    match to {
        (0, row) => out.csi(row + 1, b'H'),
        (column, row) => {
            out.byte(0x1b);
            out.byte(b'[');
            out.number(row + 1);
            out.byte(b';');
            out.number(column + 1);
            out.byte(b'H');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_cursor_gets_there_at_the_cost_foretold(
            from in proptest::option::of((0u16..300, 0u16..90)),
            to in (0u16..300, 0u16..90),
        ) {
            let size = |n| NonZeroU16::new(n).unwrap();
            let mut parser = vt100::Parser::new(size(90), size(300), 0);
            if let Some((column, row)) = from {
                parser.process(format!("\x1b[{};{}H", row + 1, column + 1).as_bytes());
            }
            let mut out = Vec::new();
            go(from, to, &mut out);
            prop_assert_eq!(out.len(), cost(from, to));
            parser.process(&out);
            prop_assert_eq!(parser.screen().cursor_position(), (to.1, to.0));
        }
    }

    #[test]
    fn short_ways() {
        let way = |from, to| {
            let mut out = Vec::new();
            go(Some(from), to, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(way((5, 5), (5, 5)), "");
        assert_eq!(way((7, 5), (5, 6)), "\x08\x08\n");
        assert_eq!(way((70, 5), (0, 6)), "\r\n");
        assert_eq!(way((5, 5), (15, 5)), "\x1b[10C");
        assert_eq!(way((5, 30), (5, 0)), "\x1b[d");
    }
}
