//! One line as terminal cells, for lines that are written over (`\r`, backspace, cursor columns).
//!
//! Writing over costs what is written, not what is under it, so a bar redrawn a million times stays cheap.

use unicode_width::UnicodeWidthChar;

use super::sgr::{self, Sgr};

/// The widest line kept as cells, in columns; text beyond is cut into another line.
pub const MAX_COLUMNS: usize = 4096;

const TEXT: usize = 11;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    style: Sgr,
    /// UTF-8 of the character and what combines with it; none for the right half of a wide character.
    text: [u8; TEXT],
    len: u8,
}

impl Cell {
    const BLANK: Self = Self {
        style: Sgr::PLAIN,
        text: [b' ', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        len: 1,
    };

    fn as_str(&self) -> &str {
        self.text
            .get(..usize::from(self.len))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }

    fn push(&mut self, c: char) {
        let mut buffer = [0; 4];
        let encoded = c.encode_utf8(&mut buffer).as_bytes();
        let at = usize::from(self.len);
        if let Some(room) = self.text.get_mut(at..at + encoded.len()) {
            room.copy_from_slice(encoded);
            self.len += encoded.len() as u8;
        }
    }
}

/// A line being written over.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    cells: Vec<Cell>,
    cursor: usize,
}

impl Cells {
    /// Takes over a stored line, the cursor at its end.
    pub fn load(&mut self, line: &str) {
        self.cells.clear();
        self.cursor = 0;
        for (style, text) in sgr::runs(line) {
            for c in text.chars() {
                self.put(c, style);
            }
        }
    }

    /// Writes a character at the cursor; `false` if the line is full.
    pub fn put(&mut self, c: char, style: Sgr) -> bool {
        let width = UnicodeWidthChar::width(c).unwrap_or(0);
        if width == 0 {
            self.combine(c);
            return true;
        }
        if self.cursor + width > MAX_COLUMNS {
            return false;
        }
        if self.cells.len() < self.cursor + width {
            self.cells.resize(self.cursor + width, Cell::BLANK);
        }
        // Half a wide character is no character: blank the other half.
        if self.is_right_half(self.cursor)
            && let Some(left) = self.cells.get_mut(self.cursor.wrapping_sub(1))
        {
            *left = Cell::BLANK;
        }
        let end = self.cursor + width;
        if self.is_right_half(end)
            && let Some(right) = self.cells.get_mut(end)
        {
            *right = Cell::BLANK;
        }
        if let Some(cell) = self.cells.get_mut(self.cursor) {
            *cell = Cell {
                style,
                text: [0; TEXT],
                len: 0,
            };
            cell.push(c);
        }
        if width == 2
            && let Some(cell) = self.cells.get_mut(self.cursor + 1)
        {
            *cell = Cell {
                style,
                text: [0; TEXT],
                len: 0,
            };
        }
        self.cursor = end;
        true
    }

    fn is_right_half(&self, at: usize) -> bool {
        self.cells.get(at).is_some_and(|cell| cell.len == 0)
    }

    fn combine(&mut self, c: char) {
        let Some(mut at) = self.cursor.checked_sub(1) else {
            return;
        };
        if self.is_right_half(at) {
            at = at.saturating_sub(1);
        }
        if let Some(cell) = self.cells.get_mut(at) {
            cell.push(c);
        }
    }

    /// Column of the cursor.
    pub fn column(&self) -> usize {
        self.cursor
    }

    /// Moves the cursor to a column.
    pub fn move_to(&mut self, column: usize) {
        self.cursor = column.min(MAX_COLUMNS);
    }

    /// Erases in the line: 0 from the cursor, 1 to the cursor, 2 all.
    pub fn erase(&mut self, how: u16) {
        match how {
            0 => {
                if self.is_right_half(self.cursor)
                    && let Some(left) = self.cells.get_mut(self.cursor.wrapping_sub(1))
                {
                    *left = Cell::BLANK;
                }
                self.cells.truncate(self.cursor);
            }
            1 => {
                if self.is_right_half(self.cursor + 1)
                    && let Some(right) = self.cells.get_mut(self.cursor + 1)
                {
                    *right = Cell::BLANK;
                }
                for cell in self.cells.iter_mut().take(self.cursor + 1) {
                    *cell = Cell::BLANK;
                }
            }
            2 => self.cells.clear(),
            _ => {}
        }
    }

    /// Empties the line.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.cursor = 0;
    }

    /// Appends the line as stored text. Plain blanks at its end (bars pad with them) are left out.
    pub fn store(&self, out: &mut String) {
        let used = self
            .cells
            .iter()
            .rposition(|cell| *cell != Cell::BLANK)
            .map_or(0, |at| at + 1);
        let mut style = Sgr::PLAIN;
        for cell in self.cells.iter().take(used) {
            if cell.len > 0 && cell.style != style {
                style = cell.style;
                style.write(out);
            }
            out.push_str(cell.as_str());
        }
    }
}
