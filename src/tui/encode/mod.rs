//! Turns the difference between two frames into the fewest bytes a terminal needs.
//!
//! ratatui's own backend moves the cursor absolutely and resets all attributes at each run; here moves
//! are relative where that is shorter, attributes change by steps, runs are visited in the cheapest order,
//! short gaps are written over, and blank tails are erased. Cells of unsure width (emoji, clusters) are
//! followed by an absolute move, so a terminal that disagrees about them cannot shift the line.

mod motion;
mod pen;
#[cfg(test)]
mod tests;

use ratatui::buffer::{Buffer, Cell};
use unicode_width::UnicodeWidthStr;

use self::motion::At;
use self::pen::Pen;
use super::theme::{Capabilities, ColorDepth, to_ascii};

/// Above so many runs they are written row by row; the search for the cheapest next one is quadratic.
const SEARCHED_RUNS: usize = 96;
/// Erasing to the end of the line takes three bytes, and one change of attributes at most.
const ERASE_FROM: usize = 5;

/// Cells of one row that must be written.
#[derive(Debug, Clone, Copy)]
struct Run {
    row: u16,
    start: u16,
    end: u16,
    /// Erase from `start` to the end of the row instead of writing.
    erase: bool,
}

/// What a terminal is known to be like, and the scratch space of the comparison.
#[derive(Debug)]
pub struct Encoder {
    capabilities: Capabilities,
    pen: Option<Pen>,
    at: Option<At>,
    runs: Vec<Run>,
    old_widths: Vec<u8>,
    new_widths: Vec<u8>,
}

/// What is on the screen at one cell.
struct Shown<'a> {
    symbol: &'a str,
    pen: Pen,
}

impl Encoder {
    /// An encoder for a terminal of these capabilities, in an unknown state.
    pub fn new(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            pen: None,
            at: None,
            runs: Vec::new(),
            old_widths: Vec::new(),
            new_widths: Vec::new(),
        }
    }

    /// Something else wrote to the terminal: its cursor and attributes are unknown.
    pub fn forget(&mut self) {
        self.pen = None;
        self.at = None;
    }

    /// Appends to `out` what turns the screen that shows `old` into one that shows `new`. Without `old`,
    /// or where its size differs, the screen is cleared first. Returns how many cells were written.
    pub fn frame(&mut self, old: Option<&Buffer>, new: &Buffer, out: &mut Vec<u8>) -> usize {
        let old = old.filter(|old| old.area == new.area);
        if old.is_none() {
            Pen::DEFAULT.change(self.pen, out);
            out.extend_from_slice(b"\x1b[H\x1b[2J");
            self.pen = Some(Pen::DEFAULT);
            self.at = Some((0, 0));
        }
        self.find_runs(old, new);
        let mut runs = std::mem::take(&mut self.runs);
        let mut written = 0;
        let search = runs.len() <= SEARCHED_RUNS;
        let mut next = 0;
        while let Some(left) = runs.get(next..)
            && !left.is_empty()
        {
            if search {
                let nearest = left
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, run)| self.distance(run))
                    .map_or(0, |(i, _)| i);
                // The rest stays in reading order, which the tie-break and later choices profit from.
                if let Some(span) = runs.get_mut(next..=next + nearest) {
                    span.rotate_right(1);
                }
            }
            let Some(run) = runs.get(next).copied() else {
                break;
            };
            written += usize::from(run.end - run.start);
            self.write_run(run, new, out);
            next += 1;
        }
        self.runs = runs;
        written
    }

    /// About how many bytes the way to a run takes: a gap may be written over.
    fn distance(&self, run: &Run) -> usize {
        let cost = motion::cost(self.at, (run.start, run.row));
        match self.at {
            Some((column, row)) if row == run.row && column <= run.start => {
                cost.min(usize::from(run.start - column))
            }
            _ => cost,
        }
    }

    fn row(buffer: &Buffer, row: u16) -> &[Cell] {
        let width = usize::from(buffer.area.width);
        let start = usize::from(row) * width;
        buffer.content.get(start..start + width).unwrap_or_default()
    }

    fn find_runs(&mut self, old: Option<&Buffer>, new: &Buffer) {
        self.runs.clear();
        for row in 0..new.area.height {
            let new_cells = Self::row(new, row);
            let old_cells = old.map(|old| Self::row(old, row));
            if old_cells == Some(new_cells) {
                continue;
            }
            let mut new_widths = std::mem::take(&mut self.new_widths);
            let mut old_widths = std::mem::take(&mut self.old_widths);
            widths(new_cells, &mut new_widths);
            match old_cells {
                Some(cells) => widths(cells, &mut old_widths),
                None => {
                    old_widths.clear();
                    old_widths.resize(new_cells.len(), 1);
                }
            }
            self.row_runs(row, old_cells, new_cells, &old_widths, &new_widths);
            self.new_widths = new_widths;
            self.old_widths = old_widths;
        }
    }

    fn row_runs(
        &mut self,
        row: u16,
        old: Option<&[Cell]>,
        new: &[Cell],
        old_widths: &[u8],
        new_widths: &[u8],
    ) {
        let first = self.runs.len();
        let depth = self.capabilities.depth;
        let blank = |(cell, width): (&Cell, &u8)| *width == 1 && shown(cell, 1, depth).is_blank();
        let blanks = new.iter().zip(new_widths).rev().take_while(|c| blank(*c));
        let tail = new.len() - blanks.count();
        let (mut tail_first, mut tail_count) = (None, 0);
        let mut dirty = false;
        let mut pending: Option<Run> = None;
        let widths = old_widths.iter().zip(new_widths);
        for (x, (cell, (old_width, new_width))) in new.iter().zip(widths).enumerate() {
            if *new_width != 0 || *old_width != 0 {
                let before = old.map(|old| old.get(x));
                dirty = old_width != new_width
                    || match before {
                        Some(Some(before)) => {
                            before != cell && !self.same(before, cell, *new_width)
                        }
                        Some(None) => true,
                        None => !blank((cell, new_width)),
                    };
            }
            let column = x as u16;
            if dirty && x >= tail {
                tail_first.get_or_insert(column);
                tail_count += 1;
            }
            match &mut pending {
                Some(run) if dirty => run.end = column + 1,
                Some(run) => {
                    self.runs.push(*run);
                    pending = None;
                }
                None if dirty => {
                    pending = Some(Run {
                        row,
                        start: column,
                        end: column + 1,
                        erase: false,
                    });
                }
                None => {}
            }
        }
        self.runs.extend(pending);
        if let Some(start) = tail_first
            && tail_count >= ERASE_FROM
        {
            self.erase_tail(first, row, start, new.len() as u16);
        }
    }

    /// Replaces what the row's runs (from index `first` on) do behind `start` by one erasure.
    fn erase_tail(&mut self, first: usize, row: u16, start: u16, end: u16) {
        while self.runs.len() > first {
            match self.runs.last_mut() {
                Some(run) if run.start >= start => {
                    self.runs.pop();
                }
                Some(run) => {
                    run.end = run.end.min(start);
                    break;
                }
                None => break,
            }
        }
        self.runs.push(Run {
            row,
            start,
            end,
            erase: true,
        });
    }

    fn same(&self, a: &Cell, b: &Cell, width: u8) -> bool {
        let (a, b) = (self.shown(a, width), self.shown(b, width));
        a.symbol == b.symbol && a.pen == b.pen
    }

    fn shown<'a>(&self, cell: &'a Cell, width: u8) -> Shown<'a> {
        shown(cell, width, self.capabilities.depth)
    }

    fn write_run(&mut self, run: Run, new: &Buffer, out: &mut Vec<u8>) {
        let cells = Self::row(new, run.row);
        self.approach(run, cells, out);
        if run.erase {
            Pen::DEFAULT.change(self.pen, out);
            self.pen = Some(Pen::DEFAULT);
            out.extend_from_slice(b"\x1b[K");
            return;
        }
        let mut column = run.start;
        while column < run.end {
            let Some(cell) = cells.get(usize::from(column)) else {
                break;
            };
            let room = cells.len() - usize::from(column);
            let width = cell_width(cell, room);
            motion_if_needed(self.at, (column, run.row), out);
            self.write_cell(cell, width, out);
            column += u16::from(width);
            let sure = is_sure(cell.symbol(), width) || !self.capabilities.unicode;
            // At the right edge terminals differ in where the cursor stands.
            let edge = usize::from(column) >= cells.len();
            self.at = (sure && !edge).then_some((column, run.row));
        }
    }

    /// Moves to the run's start; over a short gap by writing again what stands there.
    fn approach(&mut self, run: Run, cells: &[Cell], out: &mut Vec<u8>) {
        let to = (run.start, run.row);
        if let (Some((column, row)), Some(pen)) = (self.at, self.pen)
            && row == run.row
            && column < run.start
        {
            let gap = cells
                .get(usize::from(column)..usize::from(run.start))
                .unwrap_or_default();
            let cost = motion::cost(self.at, to);
            let again = |cell: &Cell| {
                let [byte @ b' '..=b'~'] = cell.symbol().as_bytes() else {
                    return None;
                };
                let shown = self.shown(cell, 1);
                let fits = shown.pen == pen || (*byte == b' ' && pen.blank_as(&shown.pen));
                fits.then_some(*byte)
            };
            if gap.len() <= cost {
                let length = out.len();
                for cell in gap {
                    match again(cell) {
                        Some(byte) => out.push(byte),
                        None => {
                            out.truncate(length);
                            break;
                        }
                    }
                }
                if out.len() == length + gap.len() {
                    self.at = Some(to);
                    return;
                }
            }
        }
        motion::go(self.at, to, out);
        self.at = Some(to);
    }

    fn write_cell(&mut self, cell: &Cell, width: u8, out: &mut Vec<u8>) {
        let shown = self.shown(cell, width);
        let blank = shown.symbol == " ";
        if !(blank && self.pen.is_some_and(|pen| pen.blank_as(&shown.pen))) {
            shown.pen.change(self.pen, out);
            self.pen = Some(shown.pen);
        }
        if self.capabilities.unicode || shown.symbol.is_ascii() {
            out.extend_from_slice(shown.symbol.as_bytes());
        } else {
            out.push(to_ascii(shown.symbol) as u8);
            out.extend(std::iter::repeat_n(
                b' ',
                usize::from(width.saturating_sub(1)),
            ));
        }
    }

    /// How many colours the terminal shows.
    pub fn depth(&self) -> ColorDepth {
        self.capabilities.depth
    }
}

impl Shown<'_> {
    fn is_blank(&self) -> bool {
        self.symbol == " " && self.pen == Pen::DEFAULT
    }
}

fn shown(cell: &Cell, width: u8, depth: ColorDepth) -> Shown<'_> {
    let symbol = safe_symbol(cell.symbol(), width);
    Shown {
        symbol,
        pen: Pen::of(cell, symbol == " ", depth),
    }
}

fn motion_if_needed(from: Option<At>, to: At, out: &mut Vec<u8>) {
    if from != Some(to) {
        motion::go(from, to, out);
    }
}

/// For each cell of a row how many columns it takes; 0 where a wide cell to its left covers it.
fn widths(cells: &[Cell], widths: &mut Vec<u8>) {
    widths.clear();
    let mut covered = false;
    for (x, cell) in cells.iter().enumerate() {
        if covered {
            widths.push(0);
            covered = false;
            continue;
        }
        let width = cell_width(cell, cells.len() - x);
        widths.push(width);
        covered = width == 2;
    }
}

/// 1 or 2 columns: what does not fit, has no width or would control the terminal is shown as a space.
fn cell_width(cell: &Cell, room: usize) -> u8 {
    let symbol = cell.symbol();
    if symbol.len() == 1 {
        return 1;
    }
    match symbol.width() {
        2 if room >= 2 && !symbol.chars().any(char::is_control) => 2,
        _ => 1,
    }
}

/// The symbol if it really takes `width` columns and is harmless, else a space.
fn safe_symbol(symbol: &str, width: u8) -> &str {
    if let [byte] = symbol.as_bytes() {
        return if (b' '..=b'~').contains(byte) {
            symbol
        } else {
            " "
        };
    }
    let control = |c: char| c.is_control() || is_bidi_control(c);
    if symbol.width() == usize::from(width) && !symbol.chars().any(control) {
        symbol
    } else {
        " "
    }
}

/// Characters that reorder a line's other characters; nothing from outside may do that to the screen.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether every terminal agrees about the width: single characters that are not emoji.
fn is_sure(symbol: &str, width: u8) -> bool {
    if symbol.len() == 1 {
        return true;
    }
    let mut chars = symbol.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => match width {
            // The replacement character is of one column, of two, or not shown at all.
            1 => !matches!(c, '\u{fffd}' | '\u{1f000}'..),
            _ => {
                matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}')
            }
        },
        _ => false,
    }
}
