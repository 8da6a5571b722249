//! Writing cleaned, clipped text into a buffer, whatever its characters are wide.

use std::fmt::{self, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::model::text::is_unsafe;
use crate::tui::theme::{Glyphs, Theme};

/// What a piece of the screen means; the theme turns it into colours and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Ordinary text.
    #[default]
    Text,
    /// Less important: labels, units, absent values.
    Dim,
    /// Stands out without alarm: names, the program's own name.
    Strong,
    /// A title or a column's heading.
    Heading,
    /// Fine: running, healthy.
    Good,
    /// To be looked at.
    Warn,
    /// Broken, lost, killed.
    Bad,
    /// Chosen or live: active tab, keys, links.
    Accent,
    /// Data that may no longer be true.
    Stale,
    /// The frame of a box.
    Border,
    /// The frame of the box that has the keys.
    Focus,
    /// The row under the cursor, where the list has the keys.
    Selected,
    /// The row under the cursor, where another panel has the keys.
    SelectedIdle,
    /// A mark (Space).
    Marked,
    /// Filled part of a bar.
    BarFull,
    /// Empty part of a bar.
    BarEmpty,
    /// First chart colour.
    ChartA,
    /// Second chart colour.
    ChartB,
    /// Third chart colour.
    ChartC,
    /// Fourth chart colour.
    ChartD,
    /// Text found by search.
    Found,
    /// A text field.
    Input,
    /// The ground of dialogs.
    Dialog,
    /// The title of a box.
    Title,
    /// A row whose state has just changed.
    Changed,
    /// The top line.
    Header,
    /// The bottom line.
    Footer,
    /// A key in the footer or help.
    Key,
}

/// Columns that a text takes, hostile characters counted as the space they become.
pub fn width(text: &str) -> u16 {
    if text.is_ascii() {
        return u16::try_from(text.len()).unwrap_or(u16::MAX);
    }
    let mut total = 0usize;
    for grapheme in text.graphemes(true) {
        total += grapheme_width(grapheme);
    }
    u16::try_from(total).unwrap_or(u16::MAX)
}

/// The part of a text that fits, cut at a space where there is one, and the rest.
pub fn split(text: &str, room: u16) -> (&str, &str) {
    if width(text) <= room {
        return (text, "");
    }
    let mut used = 0;
    let mut cut = 0;
    let mut space = None;
    for (place, c) in text.char_indices() {
        let mut bytes = [0u8; 4];
        used += width(c.encode_utf8(&mut bytes));
        if used > room {
            break;
        }
        cut = place + c.len_utf8();
        if c == ' ' {
            space = Some(place);
        }
    }
    let at = space.filter(|s| *s > cut / 2).unwrap_or(cut);
    let (line, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    (line, rest.trim_start())
}

fn grapheme_width(grapheme: &str) -> usize {
    match grapheme.chars().next() {
        Some(c) if is_unsafe(c) => 1,
        _ => grapheme.width(),
    }
}

/// A buffer with the theme it is painted in.
pub struct Paint<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    clip: Rect,
}

impl<'a> Paint<'a> {
    /// Paints the whole buffer.
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        let clip = *buffer.area();
        Self {
            buffer,
            theme,
            clip,
        }
    }

    /// The whole area.
    pub fn area(&self) -> Rect {
        self.clip
    }

    /// Buffer and theme, for a view that writes its own cells.
    pub fn parts(&mut self) -> (&mut Buffer, &'a Theme) {
        (self.buffer, self.theme)
    }

    /// Whether only ASCII may be drawn.
    pub fn ascii(&self) -> bool {
        !self.theme.glyphs.unicode
    }

    /// The theme's style for a tone.
    pub fn style(&self, tone: Tone) -> Style {
        let theme = self.theme;
        match tone {
            Tone::Text => theme.text,
            Tone::Dim => theme.dim,
            Tone::Strong => theme.accent,
            Tone::Heading => theme.heading,
            Tone::Title => theme.title,
            Tone::Good => theme.ok,
            Tone::Warn => theme.warn,
            Tone::Bad => theme.bad,
            Tone::Accent => theme.info,
            Tone::Stale => theme.stale,
            Tone::Border => theme.border,
            Tone::Focus => theme.border_focus,
            Tone::Selected => theme.selection,
            Tone::SelectedIdle => theme.selection_idle,
            Tone::Marked => theme.marked,
            Tone::Changed => theme.changed,
            Tone::Header => theme.header,
            Tone::Footer => theme.footer,
            Tone::BarFull => theme.bar_full,
            Tone::BarEmpty => theme.bar_empty,
            Tone::ChartA => theme.chart_1,
            Tone::ChartB => theme.chart_2,
            Tone::ChartC => theme.chart_3,
            Tone::ChartD => theme.chart_4,
            Tone::Found => theme.search_match,
            Tone::Input => theme.input,
            Tone::Dialog => theme.dialog,
            Tone::Key => theme.key,
        }
    }

    /// The theme's characters.
    pub fn glyphs(&self) -> &'a Glyphs {
        &self.theme.glyphs
    }

    /// One cell.
    pub fn cell(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(symbol).set_style(style);
        }
    }

    /// One cell by character.
    pub fn char(&mut self, x: u16, y: u16, symbol: char, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_char(symbol).set_style(style);
        }
    }

    /// Lays a style over an area, keeping its text.
    pub fn restyle(&mut self, area: Rect, tone: Tone) {
        let style = self.style(tone);
        self.buffer.set_style(area.intersection(self.clip), style);
    }

    /// Blanks an area in a tone.
    pub fn clear(&mut self, area: Rect, tone: Tone) {
        let style = self.style(tone);
        let area = area.intersection(self.clip);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    /// Writes text from `x` on, at most `max` columns; what does not fit ends in `…`. Returns the column
    /// after it.
    pub fn text(&mut self, x: u16, y: u16, max: u16, text: &str, tone: Tone) -> u16 {
        let style = self.style(tone);
        self.styled(x, y, max, text, style)
    }

    /// As [`Paint::text`], with a style of one's own.
    pub fn styled(&mut self, x: u16, y: u16, max: u16, text: &str, style: Style) -> u16 {
        let max = max.min(self.clip.right().saturating_sub(x));
        if max == 0 || y >= self.clip.bottom() {
            return x;
        }
        let fits = width(text) <= max;
        let ellipsis = self.glyphs().ellipsis;
        let limit = if fits { max } else { max - 1 };
        let mut at = x;
        let end = x + limit;
        let ascii = self.ascii();
        for grapheme in text.graphemes(true) {
            let (symbol, w) = printable(grapheme, ascii);
            if w == 0 {
                continue;
            }
            if at + w > end {
                break;
            }
            self.cell(at, y, symbol, style);
            for extra in 1..w {
                self.cell(at + extra, y, " ", style);
            }
            at += w;
        }
        if !fits {
            self.cell(at, y, ellipsis, style);
            at += 1;
        }
        at
    }

    /// Writes text so that it ends before `x + max`. Text too wide is cut as by [`Paint::text`].
    pub fn right(&mut self, x: u16, y: u16, max: u16, text: &str, tone: Tone) {
        let w = width(text).min(max);
        self.text(x + (max - w), y, w, text, tone);
    }

    /// Writes formatted text without allocating, cut at `max` columns. Returns the column after it.
    pub fn write(&mut self, x: u16, y: u16, max: u16, tone: Tone, args: fmt::Arguments<'_>) -> u16 {
        let style = self.style(tone);
        let end = x.saturating_add(max).min(self.clip.right());
        let mut pen = Pen {
            paint: self,
            x,
            y,
            end,
            style,
        };
        let _ = pen.write_fmt(args);
        pen.x
    }

    /// A box with a title written into its upper edge; returns its inside.
    pub fn frame(&mut self, area: Rect, focused: bool) -> Rect {
        let area = area.intersection(self.clip);
        if area.width < 2 || area.height < 2 {
            return Rect::new(area.x, area.y, 0, 0);
        }
        let style = self.style(if focused { Tone::Focus } else { Tone::Border });
        let border = &self.theme.glyphs.border;
        let (left, right) = (area.left(), area.right() - 1);
        let (top, bottom) = (area.top(), area.bottom() - 1);
        for x in left + 1..right {
            self.cell(x, top, border.horizontal, style);
            self.cell(x, bottom, border.horizontal, style);
        }
        for y in top + 1..bottom {
            self.cell(left, y, border.vertical, style);
            self.cell(right, y, border.vertical, style);
        }
        self.cell(left, top, border.top_left, style);
        self.cell(right, top, border.top_right, style);
        self.cell(left, bottom, border.bottom_left, style);
        self.cell(right, bottom, border.bottom_right, style);
        Rect::new(left + 1, top + 1, area.width - 2, area.height - 2)
    }

    /// A scroll mark on the right edge of a box: where `offset..offset + shown` lies in `total`.
    pub fn scrollbar(&mut self, area: Rect, offset: usize, shown: usize, total: usize) {
        let height = usize::from(area.height);
        if total <= shown || height == 0 {
            return;
        }
        let size = (shown * height / total).clamp(1, height);
        let room = total - shown;
        let start = (offset.min(room) * (height - size)).div_ceil(room.max(1));
        let style = self.style(Tone::Dim);
        let symbol = self.glyphs().scroll_thumb;
        for row in start..start + size {
            let y = area.y + u16::try_from(row).unwrap_or(0);
            self.cell(area.x, y, symbol, style);
        }
    }
}

/// The symbol to put and its columns; what may not be shown becomes a space, and on a terminal without
/// Unicode what is not ASCII becomes a question mark (of the same width).
fn printable(grapheme: &str, ascii: bool) -> (&str, u16) {
    let Some(first) = grapheme.chars().next() else {
        return ("", 0);
    };
    if is_unsafe(first) {
        return (" ", 1);
    }
    let w = u16::try_from(grapheme.width()).unwrap_or(0);
    if ascii && !grapheme.is_ascii() && w > 1 {
        // The encoder writes one plain character for it.
        return ("?", 1);
    }
    (grapheme, w)
}

struct Pen<'p, 'a> {
    paint: &'p mut Paint<'a>,
    x: u16,
    y: u16,
    end: u16,
    style: Style,
}

impl Write for Pen<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for grapheme in text.graphemes(true) {
            let (symbol, w) = printable(grapheme, self.paint.ascii());
            if w == 0 {
                continue;
            }
            if self.x + w > self.end {
                self.x = self.end;
                return Err(fmt::Error);
            }
            self.paint.cell(self.x, self.y, symbol, self.style);
            for extra in 1..w {
                self.paint.cell(self.x + extra, self.y, " ", self.style);
            }
            self.x += w;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(columns: u16, text: &str) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, columns, 1));
        let theme = Theme::default();
        let mut paint = Paint::new(&mut buffer, &theme);
        let end = paint.text(0, 0, columns, text, Tone::Text);
        assert!(end <= columns);
        (0..columns)
            .filter_map(|x| buffer.cell((x, 0)).map(|c| c.symbol().to_owned()))
            .collect()
    }

    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        assert_eq!(painted(6, "llama-sft"), "llama…");
        assert_eq!(painted(9, "llama-sft"), "llama-sft");
        // Each of these takes two columns; the second cell of each is blank.
        assert_eq!(painted(5, "訓練実行"), "訓 練 …");
        assert_eq!(painted(4, "訓練実行"), "訓 … ");
        assert_eq!(painted(5, "e\u{301}a"), "e\u{301}a   ");
    }

    #[test]
    fn control_characters_never_reach_a_cell() {
        let text = painted(12, "a\x1b]52;c;x\x07b");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert_eq!(width("a\x1bb"), 3);
    }
}
