//! The Logs tab's picture. Only the lines on the screen are laid out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::header::Tone;
use super::line::{self, Glyph};
use super::screen::{Anchor, Viewport};
use super::state::LogsState;
use crate::logs::sgr::{self, Sgr};
use crate::logs::{Line, LogStatus};
use crate::tui::Theme;

/// Draws the tab into `area` and gives the size of the part that shows lines, for
/// [`LogsState::set_viewport`].
pub fn draw(buf: &mut Buffer, area: Rect, state: &LogsState, theme: &Theme) -> Viewport {
    if area.is_empty() {
        return Viewport::default();
    }
    let mut body = area;
    if area.height > 1 {
        header(buf, Rect { height: 1, ..area }, state, theme);
        body.y += 1;
        body.height -= 1;
    }
    if state.wants_text() && body.height > 1 {
        body.height -= 1;
        let line = Rect {
            y: body.bottom(),
            height: 1,
            ..area
        };
        prompt(buf, line, state, theme);
    }
    let viewport = Viewport {
        columns: body.width,
        rows: body.height,
    };
    let screen = state.screen(viewport);
    if screen.rows.is_empty() && screen.live == 0 {
        empty(buf, body, state, theme);
        return viewport;
    }
    let mut y = body.y;
    let mut rows = screen.rows.iter().peekable();
    while let Some(first) = rows.next() {
        let Some(text) = state.buffer.get(first.line) else {
            continue;
        };
        // All rows of one line that are on the screen are drawn in one go.
        let mut count = 1;
        while rows.next_if(|next| next.line == first.line).is_some() {
            count += 1;
        }
        let matches: Vec<std::ops::Range<usize>> = match &state.search {
            Some(search) => search.find(&sgr::plain(text.text)).collect(),
            None => Vec::new(),
        };
        let rect = Rect {
            y,
            height: count,
            ..body
        };
        let current = state.found == Some(first.line);
        row_prefix(buf, rect, state, theme, &text, *first);
        let paint = Paint {
            theme,
            state,
            note: text.note,
            matches: &matches,
            current,
        };
        paint.text(buf, rect, text.text, first.row);
        y += count;
    }
    if let Some(live) = state.live.as_ref().filter(|_| screen.live > 0) {
        live_line(buf, Rect { y, ..body }, state, theme, live, screen.live);
    }
    viewport
}

fn live_line(
    buf: &mut Buffer,
    rect: Rect,
    state: &LogsState,
    theme: &Theme,
    live: &crate::logs::LiveLine,
    count: usize,
) {
    let height = count as u16;
    let total = line::rows(&live.text, state.wrap_width(rect.width));
    let rect = Rect { height, ..rect };
    let as_line = Line {
        text: &live.text,
        time: None,
        stream: crate::logs::Stream::Out,
        continued: false,
        note: false,
        source: live.source,
    };
    let first = Anchor {
        line: 0,
        row: total.saturating_sub(count),
    };
    row_prefix(buf, rect, state, theme, &as_line, first);
    if live.partial && state.prefix() < usize::from(rect.width) {
        // Its beginning was not seen: marked at its first column.
        let x = rect.x + state.prefix() as u16;
        set(buf, x, rect.y, theme.glyphs.ellipsis, theme.dim);
    }
    let paint = Paint {
        theme,
        state,
        note: false,
        matches: &[],
        current: false,
    };
    let shifted = if live.partial {
        Rect {
            x: rect.x + 1,
            width: rect.width.saturating_sub(1),
            ..rect
        }
    } else {
        rect
    };
    paint.text(buf, shifted, &live.text, first.row);
}

/// How one line is painted.
struct Paint<'a> {
    theme: &'a Theme,
    state: &'a LogsState,
    note: bool,
    matches: &'a [std::ops::Range<usize>],
    current: bool,
}

impl Paint<'_> {
    /// Paints a line's rows from `from` on into `rect`.
    fn text(&self, buf: &mut Buffer, rect: Rect, text: &str, from: usize) {
        let width = self.state.wrap_width(rect.width);
        let columns = usize::from(rect.width);
        let indent = match width {
            Some(width) => columns.saturating_sub(width).min(self.state.prefix()),
            None => self.state.prefix().min(columns / 2),
        };
        let room = columns.saturating_sub(indent);
        let shift = if self.state.wrap { 0 } else { self.state.shift };
        let mut last: Option<(u16, u16)> = None;
        let mut cut_right = false;
        let mut cut_left = false;
        line::glyphs(text, width, |glyph: Glyph<'_>| {
            let Some(row) = glyph.row.checked_sub(from) else {
                return;
            };
            if row >= usize::from(rect.height) {
                return;
            }
            let Some(column) = glyph.column.checked_sub(shift) else {
                cut_left = true;
                return;
            };
            if column + glyph.width > room {
                cut_right = true;
                return;
            }
            let y = rect.y + row as u16;
            if glyph.width == 0 {
                if let Some((x, y)) = last
                    && let Some(cell) = buf.cell_mut((x, y))
                {
                    let joined = format!("{}{}", cell.symbol(), glyph.text);
                    cell.set_symbol(&joined);
                }
                return;
            }
            let x = rect.x + (indent + column) as u16;
            set(buf, x, y, glyph.text, self.style(&glyph));
            for next in 1..glyph.width as u16 {
                if let Some(cell) = buf.cell_mut((x + next, y)) {
                    cell.reset();
                }
            }
            last = Some((x, y));
        });
        if cut_right && room > 0 {
            let x = rect.right().saturating_sub(1);
            // Never over the right half of a wide character: it would stick out.
            if last.is_some_and(|(last, _)| last + 1 == x)
                && let Some(cell) = buf.cell_mut((x.saturating_sub(1), rect.y))
                && cell.symbol().width() > 1
            {
                cell.reset();
            }
            set(buf, x, rect.y, self.theme.glyphs.arrow, self.theme.dim);
        }
        if cut_left && room > 0 {
            let x = rect.x + indent as u16;
            set(buf, x, rect.y, self.theme.glyphs.ellipsis, self.theme.dim);
        }
    }

    fn style(&self, glyph: &Glyph<'_>) -> Style {
        if self.note {
            return self.theme.info;
        }
        let at = self.matches.partition_point(|range| range.end <= glyph.at);
        let matched = self
            .matches
            .get(at)
            .is_some_and(|range| range.contains(&glyph.at));
        match (matched, self.current) {
            (true, true) => self.theme.search_current,
            (true, false) => self.theme.search_match,
            _ => self.theme.text.patch(style_of(glyph.style)),
        }
    }
}

/// A container's colours as ratatui's. Depth and `NO_COLOR` are the encoder's business.
fn style_of(sgr: Sgr) -> Style {
    let color = |color: sgr::Color| match color {
        sgr::Color::Default => None,
        sgr::Color::Indexed(n) => Some(Color::Indexed(n)),
        sgr::Color::Rgb(r, g, b) => Some(Color::Rgb(r, g, b)),
    };
    let mut style = Style {
        fg: color(sgr.fg),
        bg: color(sgr.bg),
        ..Style::new()
    };
    for (on, modifier) in [
        (sgr.bold(), Modifier::BOLD),
        (sgr.dim(), Modifier::DIM),
        (sgr.italic(), Modifier::ITALIC),
        (sgr.underline(), Modifier::UNDERLINED),
        (sgr.reverse(), Modifier::REVERSED),
        (sgr.strike(), Modifier::CROSSED_OUT),
    ] {
        if on {
            style = style.add_modifier(modifier);
        }
    }
    style
}

fn set(buf: &mut Buffer, x: u16, y: u16, symbol: &str, style: Style) {
    if let Some(cell) = buf.cell_mut((x, y)) {
        cell.set_symbol(symbol).set_style(style);
    }
}

/// Time and name before a line's first row.
fn row_prefix(
    buf: &mut Buffer,
    rect: Rect,
    state: &LogsState,
    theme: &Theme,
    line: &Line<'_>,
    first: Anchor,
) {
    if first.row > 0 || state.prefix() > usize::from(rect.width) / 2 {
        return;
    }
    let mut x = rect.x;
    if state.timestamps {
        if let Some(time) = line.time
            && !line.continued
        {
            let time = time.timestamp().to_zoned(state.zone.clone());
            let text = time.strftime("%m-%d %H:%M:%S.%3f").to_string();
            buf.set_stringn(x, rect.y, text, 18, theme.dim);
        }
        x += 19;
    }
    let columns = state.name_columns();
    if columns > 0
        && !line.note
        && let Some(target) = state.targets.get(usize::from(line.source))
    {
        let styles = [theme.chart_1, theme.chart_2, theme.chart_3, theme.chart_4];
        let style = styles
            .get(usize::from(line.source) % styles.len())
            .copied()
            .unwrap_or_default();
        buf.set_stringn(x, rect.y, &target.name, columns - 1, style);
    }
}

fn header(buf: &mut Buffer, rect: Rect, state: &LogsState, theme: &Theme) {
    let mut x = rect.x;
    let separator = format!(" {} ", theme.glyphs.separator);
    for (index, part) in state.header().iter().enumerate() {
        let style = match part.tone {
            Tone::Good => theme.ok,
            Tone::Plain => theme.dim,
            Tone::Warn => theme.warn,
            Tone::Bad => theme.bad,
        };
        let room = |x: u16| usize::from(rect.right().saturating_sub(x));
        if index > 0 {
            (x, _) = buf.set_stringn(x, rect.y, &separator, room(x), theme.dim);
        }
        (x, _) = buf.set_stringn(x, rect.y, &part.text, room(x), style);
    }
}

fn prompt(buf: &mut Buffer, rect: Rect, state: &LogsState, theme: &Theme) {
    let Some((label, text, cursor, error)) = state.prompt_line() else {
        return;
    };
    let room = |x: u16| usize::from(rect.right().saturating_sub(x));
    let (start, _) = buf.set_stringn(rect.x, rect.y, label, room(rect.x), theme.accent);
    let (end, _) = buf.set_stringn(start, rect.y, text, room(start), theme.input);
    if let Some(cell) = buf.cell_mut((
        start
            .saturating_add(u16::try_from(cursor).unwrap_or(u16::MAX))
            .min(rect.right().saturating_sub(1)),
        rect.y,
    )) {
        cell.modifier.insert(Modifier::REVERSED);
    }
    if let Some(error) = error {
        let x = end.saturating_add(2);
        buf.set_stringn(x, rect.y, error, room(x), theme.bad);
    }
}

/// A tab without a line says why.
fn empty(buf: &mut Buffer, rect: Rect, state: &LogsState, theme: &Theme) {
    let text = match state.source.status.first() {
        _ if state.targets.is_empty() => "no container selected",
        _ if state.filter.is_some() && !state.buffer.is_empty() => "no line matches the filter",
        Some(LogStatus::Unreadable(text)) => text.as_str(),
        Some(LogStatus::Lost(_)) => "waiting for the engine",
        Some(LogStatus::Opening) | None => "opening the log",
        Some(LogStatus::Stopped) => "stopped, and printed nothing",
        Some(LogStatus::Removed) => "removed",
        Some(LogStatus::Following) => "nothing printed yet",
    };
    buf.set_stringn(rect.x, rect.y, text, usize::from(rect.width), theme.dim);
}
