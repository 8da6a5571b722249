//! The top line and the lines of trouble under it.

use ratatui::layout::Rect;

use super::layout::Layout;
use crate::tui::state::State;
use crate::tui::state::top::Banner;
use crate::tui::widgets::{Paint, Tone, split, width};

/// Lines that a text of trouble may take.
const TEXT_LINES: u16 = 2;

/// How many lines trouble and remedy take.
pub(crate) fn banner_rows(banner: &Banner, columns: u16) -> u16 {
    let room = columns.saturating_sub(4).max(1);
    let mut rows = 1;
    let mut rest = banner.text.as_str();
    let mut last;
    loop {
        let (line, after) = split(rest, room);
        last = width(line);
        if after.is_empty() || rows >= TEXT_LINES {
            break;
        }
        rest = after;
        rows += 1;
    }
    let remedy = width(&banner.remedy);
    if remedy > 0 && last.min(room) + 3 + remedy > room {
        rows += if remedy + 2 > room { 2 } else { 1 };
    }
    rows
}

/// Draws trouble and remedy; returns the line after them.
pub(super) fn draw_banner(paint: &mut Paint<'_>, area: Rect, banner: &Banner) -> u16 {
    let mark = paint.glyphs().warning;
    let quiet = banner.tone == Tone::Dim;
    paint.text(
        area.x + 1,
        area.y,
        1,
        if quiet { " " } else { mark },
        banner.tone,
    );
    let left = area.x + 3;
    let room = area.width.saturating_sub(4).max(1);
    let mut y = area.y;
    let mut rest = banner.text.as_str();
    let mut end = left;
    for row in 0..TEXT_LINES {
        if y >= area.bottom() {
            return y;
        }
        let last = row + 1 == TEXT_LINES;
        let (line, after) = if last { (rest, "") } else { split(rest, room) };
        end = paint.text(left, y, room, line, banner.tone);
        y += 1;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if banner.remedy.is_empty() {
        return y;
    }
    if end - left + 3 + width(&banner.remedy) <= room {
        let x = paint.text(end, y - 1, 3, " → ", Tone::Dim);
        paint.text(
            x,
            y - 1,
            area.right().saturating_sub(x),
            &banner.remedy,
            Tone::Text,
        );
        return y;
    }
    let mut rest = banner.remedy.as_str();
    for row in 0..TEXT_LINES {
        if y >= area.bottom() || rest.is_empty() {
            return y;
        }
        if row == 0 {
            paint.text(left, y, 2, "→ ", Tone::Dim);
        }
        let last = row + 1 == TEXT_LINES || y + 1 == area.bottom();
        let (line, after) = if last {
            (rest, "")
        } else {
            split(rest, room.saturating_sub(2))
        };
        let x = left + 2;
        paint.text(x, y, area.right().saturating_sub(x), line, Tone::Text);
        y += 1;
        rest = after;
    }
    y
}

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout) {
    let area = layout.header;
    paint.clear(area, Tone::Header);
    let mut x = area.x + 1;
    for segment in &state.top.left {
        let text = segment.text();
        if text.is_empty() || x >= area.right() {
            continue;
        }
        x = paint.text(x, area.y, area.right() - x, text, segment.tone) + 2;
    }
    let mut end = area.right().saturating_sub(1);
    for segment in state.top.right.iter().rev() {
        let text = segment.text();
        let w = width(text);
        if w == 0 || end < x.saturating_sub(1) + w {
            continue;
        }
        paint.text(end - w, area.y, w, text, segment.tone);
        end = end.saturating_sub(w + 2);
    }
    banners(state, paint, layout);
}

fn banners(state: &State, paint: &mut Paint<'_>, layout: &Layout) {
    let area = layout.banners;
    let mut y = area.y;
    for banner in &state.top.banners {
        if y >= area.bottom() {
            return;
        }
        y = draw_banner(
            paint,
            Rect::new(area.x, y, area.width, area.bottom() - y),
            banner,
        );
    }
}
