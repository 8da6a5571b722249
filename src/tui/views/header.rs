//! The top line and the lines of trouble under it.

use super::layout::Layout;
use crate::tui::state::State;
use crate::tui::state::top::Banner;
use crate::tui::widgets::{Paint, Tone, width};

/// Whether trouble and remedy fit on one line.
pub(crate) fn banner_fits(banner: &Banner, columns: u16) -> bool {
    let text = u32::from(width(&banner.text)) + 3;
    let remedy = u32::from(width(&banner.remedy));
    let both = if remedy == 0 { text } else { text + remedy + 4 };
    both <= u32::from(columns) || banner.remedy.is_empty()
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
        let mark = paint.glyphs().warning;
        paint.text(area.x + 1, y, 1, mark, banner.tone);
        let left = area.x + 3;
        let room = area.width.saturating_sub(3);
        let end = paint.text(left, y, room, &banner.text, banner.tone);
        if banner_fits(banner, area.width) {
            if !banner.remedy.is_empty() {
                let x = paint.text(end, y, 4, " → ", Tone::Dim);
                paint.text(
                    x,
                    y,
                    area.right().saturating_sub(x),
                    &banner.remedy,
                    Tone::Text,
                );
            }
            y += 1;
            continue;
        }
        y += 1;
        if y < area.bottom() {
            let x = paint.text(left, y, 2, "→ ", Tone::Dim);
            paint.text(
                x,
                y,
                area.right().saturating_sub(x),
                &banner.remedy,
                Tone::Text,
            );
            y += 1;
        }
    }
}
