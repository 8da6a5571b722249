//! The image list.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target, containers};
use crate::tui::fmt::{ABSENT, Age, Bytes, between, put};
use crate::tui::state::{Focus, State};
use crate::tui::widgets::{Paint, Tone};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    let area = layout.list;
    if area.height == 0 {
        return;
    }
    regions.add(area, Target::List);
    let focused = state.ui.focus == Focus::List && state.ui.layers.is_empty();
    let frame = paint.frame(area, focused);
    let images = &state.images;
    let end = area.right() - 1;
    let mut x = paint.text(area.x + 1, area.y, end - area.x, " Images ", Tone::Title);
    if state.world.images.is_some() {
        x = paint.write(
            x,
            area.y,
            end - x,
            Tone::Strong,
            format_args!("{} ", images.lines.len()),
        );
    }
    x = containers::filter(state, paint, x + 1, area.y, end, &images.filter);
    paint.write(
        x + 1,
        area.y,
        end.saturating_sub(x + 1),
        Tone::Dim,
        format_args!(" sort: {} ", images.sort.label()),
    );
    if images.lines.is_empty() {
        let text = match (&images.error, &state.world.images) {
            (Some(error), None) => error.as_str(),
            (_, None) => "asking the engine for its images…",
            (_, Some(_)) if !images.filter.is_empty() => "no image matches the filter",
            (_, Some(_)) => "no images",
        };
        let tone = if images.error.is_some() {
            Tone::Bad
        } else {
            Tone::Dim
        };
        paint.text(
            frame.x + 2,
            frame.y + 1,
            frame.width.saturating_sub(3),
            text,
            tone,
        );
        return;
    }
    let name = frame.width.saturating_sub(2 + 14 + 12 + 9 + 6 + 8);
    rows(state, paint, frame, layout, name);
    regions.add(
        Rect::new(
            frame.x,
            frame.y + 1,
            frame.width,
            frame.height.saturating_sub(1),
        ),
        Target::Row {
            first: images.offset,
        },
    );
    paint.scrollbar(
        Rect::new(
            area.right() - 1,
            frame.y + 1,
            1,
            frame.height.saturating_sub(1),
        ),
        images.offset,
        usize::from(frame.height.saturating_sub(1)),
        images.lines.len(),
    );
}

fn rows(state: &State, paint: &mut Paint<'_>, frame: Rect, layout: &Layout, name: u16) {
    let images = &state.images;
    let left = frame.x + 2;
    paint.text(left, frame.y, name, "TAG", Tone::Heading);
    paint.text(left + name + 2, frame.y, 12, "ID", Tone::Heading);
    paint.right(left + name + 16, frame.y, 10, "SIZE", Tone::Heading);
    paint.right(left + name + 28, frame.y, 7, "CREATED", Tone::Heading);
    paint.right(left + name + 37, frame.y, 5, "USED", Tone::Heading);
    let inside = layout.list_inside();
    let mut text = String::new();
    let shown = images.lines.iter().enumerate().skip(images.offset);
    for ((place, line), y) in shown.zip(inside.y..inside.bottom()) {
        if place == images.selected {
            let here = state.ui.focus == Focus::List;
            let tone = if here {
                Tone::Selected
            } else {
                Tone::SelectedIdle
            };
            paint.restyle(Rect::new(frame.x, y, frame.width, 1), tone);
            let mark = paint.glyphs().selected;
            paint.text(frame.x, y, 1, mark, Tone::Accent);
        }
        let image = &line.image;
        let dangling = image.tags.is_empty();
        let tone = if state.stale() {
            Tone::Stale
        } else if dangling {
            Tone::Dim
        } else {
            Tone::Strong
        };
        let end = paint.text(
            left,
            y,
            name,
            if dangling {
                "<none>"
            } else {
                image.display_name()
            },
            tone,
        );
        if image.tags.len() > 1 {
            let room = (left + name).saturating_sub(end + 1);
            paint.write(
                end + 1,
                y,
                room,
                Tone::Dim,
                format_args!("+{}", image.tags.len() - 1),
            );
        }
        let id: &str = &image.id.0;
        let id = id.strip_prefix("sha256:").unwrap_or(id);
        paint.text(
            left + name + 2,
            y,
            12,
            id.get(..12).unwrap_or(id),
            Tone::Dim,
        );
        text.clear();
        match image.size_bytes {
            Some(size) => put(&mut text, format_args!("{}", Bytes(size as f64))),
            None => text.push_str(ABSENT),
        }
        paint.right(left + name + 16, y, 10, &text, Tone::Text);
        text.clear();
        match image.created_at {
            Some(at) => put(
                &mut text,
                format_args!("{}", Age(between(at, state.now.wall))),
            ),
            None => text.push_str(ABSENT),
        }
        paint.right(left + name + 28, y, 7, &text, Tone::Text);
        text.clear();
        put(&mut text, format_args!("{}", line.used));
        paint.right(
            left + name + 37,
            y,
            5,
            &text,
            if line.used > 0 { Tone::Good } else { Tone::Dim },
        );
    }
}
