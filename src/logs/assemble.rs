//! Bytes of one output to lines that are safe to show.
//!
//! What comes out holds no control character and no control sequence but SGR in the one form of
//! [`super::sgr`]. `\r`, backspace and moves within the line write over it, as a terminal would; moves
//! elsewhere, OSC (the clipboard among them), DCS, APC, C1 controls and bidirectional overrides are left
//! out. Invalid UTF-8 shows as U+FFFD. A line that never ends is cut into lines of [`MAX_LINE`] bytes.
//! The same bytes give the same lines in whatever chunks they come.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cells::Cells;
use super::sgr::Sgr;

/// The longest line, in bytes of stored text.
pub const MAX_LINE: usize = 16 * 1024;

/// Marks that may combine with one character; more are left out (terminals stack them over other lines).
const MAX_MARKS: u8 = 8;

/// Parameters of a control sequence that are kept, in bytes; a longer sequence is left out.
const MAX_PARAMETERS: usize = 64;

const TAB: usize = 8;

/// A finished line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assembled<'a> {
    /// Stored text.
    pub text: &'a str,
    /// Whether it goes on the line before it, which was cut for its length.
    pub continued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    /// `ESC` and an intermediate byte: one more byte ends it.
    EscapeIntermediate,
    Csi,
    /// OSC, DCS, SOS, PM, APC: swallowed up to its end, a newline at the latest.
    Text,
    TextEscape,
    /// A byte C2 within such text: 9C would end it.
    TextC2,
}

/// Makes lines of one output's bytes.
#[derive(Debug, Clone)]
pub struct Assembler {
    state: State,
    parameters: [u8; MAX_PARAMETERS],
    /// How many; more than fit means the sequence is left out.
    parameter_count: usize,
    utf8: [u8; 4],
    utf8_len: usize,
    line: String,
    cells: Cells,
    rewriting: bool,
    return_pending: bool,
    style: Sgr,
    /// The style in effect at the end of `line`.
    written: Sgr,
    /// Up to which byte of `line` its columns were counted, and how many.
    counted: (usize, usize),
    marks: u8,
    cut: bool,
    rewrote: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            state: State::Ground,
            parameters: [0; MAX_PARAMETERS],
            parameter_count: 0,
            utf8: [0; 4],
            utf8_len: 0,
            line: String::new(),
            cells: Cells::default(),
            rewriting: false,
            return_pending: false,
            style: Sgr::PLAIN,
            written: Sgr::PLAIN,
            counted: (0, 0),
            marks: 0,
            cut: false,
            rewrote: false,
        }
    }
}

impl Assembler {
    /// Whether a line was ever written over: a sign of a progress bar.
    pub fn rewrote(&self) -> bool {
        self.rewrote
    }

    /// Whether a line is begun.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty() && !self.rewriting && self.utf8_len == 0
    }

    /// Appends the unfinished line, as it would be shown.
    pub fn unfinished(&self, out: &mut String) {
        if self.rewriting {
            self.cells.store(out);
        } else {
            out.push_str(&self.line);
        }
    }

    /// Takes bytes and hands finished lines to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(Assembled<'_>)) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.state == State::Ground && self.utf8_len == 0 && (0x20..0x7f).contains(&byte) {
                let end = rest
                    .iter()
                    .position(|b| !(0x20..0x7f).contains(b))
                    .unwrap_or(rest.len());
                let Some((run, after)) = rest.split_at_checked(end) else {
                    return;
                };
                self.ascii(run, out);
                rest = after;
            } else {
                self.byte(byte, out);
                rest = after;
            }
        }
    }

    /// Ends the stream: an unfinished line is finished, a half sequence forgotten.
    pub fn finish(&mut self, out: &mut impl FnMut(Assembled<'_>)) {
        self.flush_utf8(out);
        self.return_pending = false;
        if !self.is_empty() {
            self.end_line(out);
        }
        *self = Self {
            rewrote: self.rewrote,
            ..Self::default()
        };
    }

    fn byte(&mut self, byte: u8, out: &mut impl FnMut(Assembled<'_>)) {
        match self.state {
            State::Ground => self.ground(byte, out),
            State::Escape => self.escape(byte, out),
            State::EscapeIntermediate => match byte {
                0x20..=0x2f => {}
                0x30..=0x7e => self.state = State::Ground,
                _ => self.again(byte, out),
            },
            State::Csi => match byte {
                0x20..=0x3f => {
                    if let Some(slot) = self.parameters.get_mut(self.parameter_count) {
                        *slot = byte;
                    }
                    self.parameter_count = (self.parameter_count + 1).min(MAX_PARAMETERS + 1);
                }
                0x40..=0x7e => {
                    self.state = State::Ground;
                    self.control_sequence(byte, out);
                }
                _ => self.again(byte, out),
            },
            State::Text => match byte {
                0x1b => self.state = State::TextEscape,
                0x07 | 0x18 | 0x1a => self.state = State::Ground,
                0xc2 => self.state = State::TextC2,
                b'\n' => self.again(byte, out),
                _ => {}
            },
            State::TextEscape => {
                self.state = State::Escape;
                if byte == b'\\' {
                    self.state = State::Ground;
                } else {
                    self.escape(byte, out);
                }
            }
            State::TextC2 => {
                self.state = State::Text;
                if byte == 0x9c {
                    self.state = State::Ground;
                } else {
                    self.byte(byte, out);
                }
            }
        }
    }

    /// The byte ends a sequence and stands for itself.
    fn again(&mut self, byte: u8, out: &mut impl FnMut(Assembled<'_>)) {
        self.state = State::Ground;
        self.ground(byte, out);
    }

    fn escape(&mut self, byte: u8, out: &mut impl FnMut(Assembled<'_>)) {
        match byte {
            b'[' => self.start_csi(),
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::Text,
            b'c' => {
                self.state = State::Ground;
                self.style = Sgr::PLAIN;
            }
            0x20..=0x2f => self.state = State::EscapeIntermediate,
            0x1b => {}
            0x30..=0x7e => self.state = State::Ground,
            _ => self.again(byte, out),
        }
    }

    fn start_csi(&mut self) {
        self.state = State::Csi;
        self.parameter_count = 0;
    }

    fn ground(&mut self, byte: u8, out: &mut impl FnMut(Assembled<'_>)) {
        if byte >= 0x80 {
            self.utf8_byte(byte, out);
            return;
        }
        self.flush_utf8(out);
        match byte {
            b'\n' => {
                self.return_pending = false;
                self.end_line(out);
            }
            b'\r' => self.return_pending = true,
            b'\t' => self.tab(out),
            0x08 => {
                self.settle_return();
                if !self.is_empty() {
                    self.rewrite();
                    let column = self.cells.column().saturating_sub(1);
                    self.cells.move_to(column);
                }
            }
            0x1b => self.state = State::Escape,
            0x20..0x7f => self.ascii(&[byte], out),
            _ => {}
        }
    }

    fn utf8_byte(&mut self, byte: u8, out: &mut impl FnMut(Assembled<'_>)) {
        if let Some(slot) = self.utf8.get_mut(self.utf8_len) {
            *slot = byte;
            self.utf8_len += 1;
        }
        while self.utf8_len > 0 {
            let pending = self.utf8;
            let Some(pending) = pending.get(..self.utf8_len) else {
                return;
            };
            match std::str::from_utf8(pending) {
                Ok(text) => {
                    self.utf8_len = 0;
                    for c in text.chars() {
                        self.character(c, out);
                    }
                }
                Err(error) => match error.error_len() {
                    None => return,
                    Some(bad) => {
                        self.utf8.copy_within(bad.., 0);
                        self.utf8_len -= bad.min(self.utf8_len);
                        self.put(char::REPLACEMENT_CHARACTER, out);
                    }
                },
            }
        }
    }

    /// A character cut short by another byte.
    fn flush_utf8(&mut self, out: &mut impl FnMut(Assembled<'_>)) {
        if self.utf8_len > 0 {
            self.utf8_len = 0;
            self.put(char::REPLACEMENT_CHARACTER, out);
        }
    }

    /// A character beyond ASCII.
    fn character(&mut self, c: char, out: &mut impl FnMut(Assembled<'_>)) {
        match c {
            '\u{9b}' => self.start_csi(),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => self.state = State::Text,
            // Other C1 controls; bidirectional embeddings, overrides and isolates; byte-order mark;
            // interlinear annotation.
            '\u{80}'..='\u{9f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' => {}
            '\u{2028}' | '\u{2029}' => self.put(' ', out),
            _ => self.put(c, out),
        }
    }

    fn put(&mut self, c: char, out: &mut impl FnMut(Assembled<'_>)) {
        self.settle_return();
        if UnicodeWidthChar::width(c).unwrap_or(0) == 0 {
            if self.marks >= MAX_MARKS {
                return;
            }
            self.marks += 1;
        } else {
            self.marks = 0;
        }
        if self.rewriting {
            if self.cells.put(c, self.style) {
                return;
            }
            self.cut_line(out);
        }
        self.room(c.len_utf8(), out);
        self.line.push(c);
    }

    fn ascii(&mut self, run: &[u8], out: &mut impl FnMut(Assembled<'_>)) {
        self.settle_return();
        self.marks = 0;
        let Ok(mut run) = std::str::from_utf8(run) else {
            return;
        };
        while self.rewriting {
            let mut chars = run.chars();
            let Some(c) = chars.next() else { return };
            if self.cells.put(c, self.style) {
                run = chars.as_str();
            } else {
                self.cut_line(out);
            }
        }
        while !run.is_empty() {
            self.room(1, out);
            let free = MAX_LINE.saturating_sub(self.line.len()).max(1);
            let Some((now, later)) = run.split_at_checked(free.min(run.len())) else {
                return;
            };
            self.line.push_str(now);
            run = later;
        }
    }

    /// Makes room for `bytes` of text in the current style, cutting the line if it is full.
    fn room(&mut self, bytes: usize, out: &mut impl FnMut(Assembled<'_>)) {
        let style = if self.style == self.written {
            0
        } else {
            Sgr::LONGEST
        };
        if self.line.len() + style + bytes > MAX_LINE {
            self.cut_line(out);
        }
        if self.style != self.written {
            self.style.write(&mut self.line);
            self.written = self.style;
        }
    }

    fn tab(&mut self, out: &mut impl FnMut(Assembled<'_>)) {
        self.settle_return();
        self.marks = 0;
        if self.rewriting {
            let column = (self.cells.column() / TAB + 1) * TAB;
            self.cells.move_to(column);
            return;
        }
        let column = self.columns();
        for _ in 0..TAB - column % TAB {
            self.put(' ', out);
        }
    }

    /// Columns of the line so far; what was counted before is not counted again.
    fn columns(&mut self) -> usize {
        let (at, columns) = self.counted;
        let new = self.line.get(at..).unwrap_or("");
        let more: usize = super::sgr::runs(new).map(|(_, text)| text.width()).sum();
        self.counted = (self.line.len(), columns + more);
        columns + more
    }

    /// A `\r` that something other than a newline follows writes over the line.
    fn settle_return(&mut self) {
        if self.return_pending {
            self.return_pending = false;
            if !self.is_empty() {
                self.rewrite();
                self.cells.move_to(0);
            }
        }
    }

    fn rewrite(&mut self) {
        self.rewrote = true;
        if !self.rewriting {
            self.rewriting = true;
            self.cells.load(&self.line);
            self.reset_line();
        }
    }

    fn reset_line(&mut self) {
        self.line.clear();
        self.written = Sgr::PLAIN;
        self.counted = (0, 0);
    }

    fn cut_line(&mut self, out: &mut impl FnMut(Assembled<'_>)) {
        self.give_line(out);
        self.cut = true;
    }

    fn end_line(&mut self, out: &mut impl FnMut(Assembled<'_>)) {
        if !(self.cut && self.is_empty()) {
            self.give_line(out);
        }
        self.cut = false;
        self.marks = 0;
    }

    fn give_line(&mut self, out: &mut impl FnMut(Assembled<'_>)) {
        if self.rewriting {
            self.cells.store(&mut self.line);
            self.cells.clear();
            self.rewriting = false;
        }
        let line = std::mem::take(&mut self.line);
        out(Assembled {
            text: &line,
            continued: self.cut,
        });
        self.line = line;
        self.reset_line();
    }

    fn control_sequence(&mut self, end: u8, out: &mut impl FnMut(Assembled<'_>)) {
        let parameters = self.parameters;
        let Some(parameters) = parameters
            .get(..self.parameter_count)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
        else {
            return;
        };
        if !parameters
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b';' || b == b':')
        {
            return; // private or with intermediates: a mode, not text
        }
        if end == b'm' {
            self.style.apply(parameters);
            return;
        }
        let count: u16 = parameters.parse().unwrap_or(0);
        let step = usize::from(count.max(1));
        match end {
            b'K' => {
                self.flush_utf8(out);
                self.settle_return();
                if !self.is_empty() {
                    self.rewrite();
                    self.cells.erase(count);
                }
            }
            b'C' | b'D' | b'G' => {
                self.settle_return();
                if self.is_empty() && end != b'C' {
                    return;
                }
                self.rewrite();
                let column = self.cells.column();
                self.cells.move_to(match end {
                    b'C' => column + step,
                    b'D' => column.saturating_sub(step),
                    _ => step - 1,
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
