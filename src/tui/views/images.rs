//! The image list.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target, containers};
use crate::tui::fmt::{ABSENT, Age, Bytes, between, put};
use crate::tui::state::images::{ImageLine, ImageSort};
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
    rows(state, paint, frame, layout);
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

/// The columns after the tag: heading, width, whether it stands at the right.
const COLUMNS: [(&str, u16, bool); 5] = [
    ("CUDA", 7, false),
    ("ID", 12, false),
    ("SIZE", 8, true),
    ("CREATED", 7, true),
    ("USED", 4, true),
];

/// In fewer columns than this the id gives way to the tag.
const ID_FROM: u16 = 100;

fn rows(state: &State, paint: &mut Paint<'_>, frame: Rect, layout: &Layout) {
    let images = &state.images;
    let left = frame.x + 2;
    let columns = || {
        let fits = |c: &&(&str, u16, bool)| c.0 != "ID" || frame.width >= ID_FROM;
        COLUMNS.iter().filter(fits)
    };
    let taken: u16 = columns().map(|(_, w, _)| w + 2).sum();
    let name = frame.width.saturating_sub(4 + taken);
    paint.text(left, frame.y, name, "TAG", Tone::Heading);
    let mut x = left + name + 2;
    for (head, w, right) in columns() {
        let tone = match *head {
            "CUDA" if images.sort == ImageSort::Verdict => Tone::Accent,
            _ => Tone::Heading,
        };
        if *right {
            paint.right(x, frame.y, *w, head, tone);
        } else {
            paint.text(x, frame.y, *w, head, tone);
        }
        x += w + 2;
    }
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
        tag(state, paint, Rect::new(left, y, name, 1), line);
        let mut x = left + name + 2;
        for (head, w, right) in columns() {
            text.clear();
            let tone = cell(state, line, head, &mut text);
            if *right {
                paint.right(x, y, *w, &text, tone);
            } else {
                paint.text(x, y, *w, &text, tone);
            }
            x += w + 2;
        }
    }
}

fn tag(state: &State, paint: &mut Paint<'_>, area: Rect, line: &ImageLine) {
    let image = &line.image;
    let dangling = image.tags.is_empty();
    let tone = if state.stale() {
        Tone::Stale
    } else if dangling {
        Tone::Dim
    } else {
        Tone::Strong
    };
    let name = if dangling {
        "<none>"
    } else {
        image.display_name()
    };
    let end = paint.text(area.x, area.y, area.width, name, tone);
    if image.tags.len() > 1 {
        let more = image.tags.len() - 1;
        let room = area.right().saturating_sub(end + 1);
        paint.write(end + 1, area.y, room, Tone::Dim, format_args!("+{more}"));
    }
}

fn cell(state: &State, line: &ImageLine, head: &str, out: &mut String) -> Tone {
    let image = &line.image;
    match head {
        "CUDA" => {
            let badge = state.verdicts.image_badge(&image.id);
            // A dash would say that there is no CUDA in it.
            let (text, tone) = badge.unwrap_or(("", Tone::Dim));
            out.push_str(text);
            return tone;
        }
        "ID" => {
            let id: &str = &image.id.0;
            let id = id.strip_prefix("sha256:").unwrap_or(id);
            out.push_str(id.get(..12).unwrap_or(id));
            return Tone::Dim;
        }
        "SIZE" => match image.size_bytes {
            Some(size) => put(out, format_args!("{}", Bytes(size as f64))),
            None => out.push_str(ABSENT),
        },
        "CREATED" => match image.created_at {
            Some(at) => put(out, format_args!("{}", Age(between(at, state.now.wall)))),
            None => out.push_str(ABSENT),
        },
        _ => {
            put(out, format_args!("{}", line.used));
            return if line.used > 0 { Tone::Good } else { Tone::Dim };
        }
    }
    Tone::Text
}
