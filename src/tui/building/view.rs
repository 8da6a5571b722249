//! Draws the build dialog, and a build's log over the whole screen.

use ratatui::layout::Rect;

use super::{BuildForm, Building};
use crate::tui::fmt::Bytes;
use crate::tui::views::{Regions, Target, dialog};
use crate::tui::widgets::{Paint, Tone, split, width};

/// Columns of the fields' names.
const NAMES: u16 = 12;
/// Paths that are offered below the fields.
const OFFERED: u16 = 3;
/// Lines of a failure at most.
const FAULT: u16 = 4;

/// Rows of the log on a screen of this size.
pub(crate) fn log_rows(size: (u16, u16)) -> usize {
    // Footer, frame, the line of the builder and an empty one.
    usize::from(size.1.saturating_sub(1 + 2 + 2))
}

pub(crate) fn form(paint: &mut Paint<'_>, form: &BuildForm, regions: &mut Regions) {
    let rows = u16::try_from(form.fields.len()).unwrap_or(5);
    let room = paint.area().width.saturating_sub(8).min(90);
    let area = dialog(paint, room, rows + 2 + OFFERED, "build an image", regions);
    let field_width = area.width.saturating_sub(NAMES);
    for (place, (field, prompt)) in form.fields.iter().enumerate() {
        let y = area.y + u16::try_from(place).unwrap_or(0);
        let here = place == form.at;
        let (name, empty) = field.words();
        let tone = if here { Tone::Strong } else { Tone::Text };
        paint.text(area.x, y, NAMES - 1, name, tone);
        let x = area.x + NAMES;
        paint.clear(Rect::new(x, y, field_width, 1), Tone::Input);
        let text = prompt.input.value();
        let skip = match here {
            true => prompt
                .input
                .visual_scroll(usize::from(field_width.saturating_sub(1))),
            false => 0,
        };
        let shown: String = text.chars().skip(skip).collect();
        paint.text(x, y, field_width, &shown, Tone::Input);
        if text.is_empty() {
            paint.text(x + 1, y, field_width.saturating_sub(1), empty, Tone::Dim);
        }
        if here {
            let at = prompt.input.visual_cursor().saturating_sub(skip);
            let at = u16::try_from(at).unwrap_or(0).min(field_width - 1);
            paint.restyle(Rect::new(x + at, y, 1, 1), Tone::Selected);
        }
    }
    let y = area.y + rows + 1;
    if let Some(error) = &form.error {
        paint.text(area.x, y, area.width, error, Tone::Bad);
        return;
    }
    offered(paint, form, Rect::new(area.x, y, area.width, OFFERED));
}

/// The paths that the text could go on with, by their last part.
fn offered(paint: &mut Paint<'_>, form: &BuildForm, area: Rect) {
    let is_path = form.fields.get(form.at).is_some_and(|(f, _)| f.is_path());
    if !is_path {
        return;
    }
    let (mut x, mut y) = (area.x, area.y);
    for path in &form.paths.1 {
        let inner = path.strip_suffix('/').unwrap_or(path);
        let start = inner.rfind('/').map_or(0, |at| at + 1);
        let name = path.get(start..).unwrap_or(path);
        if x > area.x && x + width(name) > area.right() {
            (x, y) = (area.x, y + 1);
        }
        if y >= area.bottom() {
            paint.text(
                area.right().saturating_sub(1),
                area.bottom() - 1,
                1,
                "…",
                Tone::Dim,
            );
            return;
        }
        x = paint.text(x, y, area.right().saturating_sub(x), name, Tone::Dim) + 2;
    }
}

pub(crate) fn log(paint: &mut Paint<'_>, building: &Building, regions: &mut Regions) {
    let all = paint.area();
    let area = Rect::new(0, 0, all.width, all.height.saturating_sub(1));
    paint.clear(area, Tone::Dialog);
    regions.add(area, Target::Dialog);
    let inside = paint.frame(area, true);
    paint.write(
        area.x + 2,
        area.y,
        area.width.saturating_sub(6),
        Tone::Title,
        format_args!(" build {} ", building.title),
    );
    let inside = Rect::new(
        inside.x + 1,
        inside.y,
        inside.width.saturating_sub(2),
        inside.height,
    );
    status(paint, building, inside);
    let mut log = Rect::new(
        inside.x,
        inside.y + 2,
        inside.width,
        inside.height.saturating_sub(2),
    );
    let mut fault = Vec::new();
    if let Some(problem) = &building.failed {
        let text = problem.to_string();
        let mut rest = text.as_str();
        while !rest.is_empty() && fault.len() < usize::from(FAULT) {
            let (line, after) = split(rest, log.width);
            fault.push(line.to_owned());
            rest = after;
        }
        let used = u16::try_from(fault.len()).unwrap_or(0) + 1;
        log.height = log.height.saturating_sub(used);
    }
    let rows = usize::from(log.height);
    let top = building.top(rows);
    for (line, y) in building.lines.iter().skip(top).zip(log.y..log.bottom()) {
        let tone = if line.starts_with("Step ") {
            Tone::Strong
        } else {
            Tone::Text
        };
        paint.text(log.x, y, log.width, line, tone);
    }
    paint.scrollbar(
        Rect::new(area.right().saturating_sub(1), log.y, 1, log.height),
        top,
        rows,
        building.lines.len(),
    );
    for (line, y) in fault.iter().zip(log.bottom() + 1..inside.bottom()) {
        paint.text(log.x, y, log.width, line, Tone::Bad);
    }
}

/// How far it is and who builds; what is not as usual at the right end.
fn status(paint: &mut Paint<'_>, building: &Building, inside: Rect) {
    let mut right = String::new();
    if building.dropped > 0 {
        right.push_str(&format!("{} lines fell out at the top  ", building.dropped));
    }
    if building.first.is_some() {
        right.push_str("stands still");
    }
    let who = match building.builder.as_str() {
        "" => "preparing".to_owned(),
        builder => format!("with {builder}"),
    };
    let (text, tone) = if building.failed.is_some() {
        (format!("failed, {who}"), Tone::Bad)
    } else if building.cancelling {
        ("stopping it".to_owned(), Tone::Warn)
    } else {
        match building.sent {
            Some((sent, Some(total))) if sent < total => (
                format!(
                    "context: {} of {}, {who}",
                    Bytes(sent as f64),
                    Bytes(total as f64)
                ),
                Tone::Text,
            ),
            _ => (who, Tone::Dim),
        }
    };
    let taken = match width(&right) {
        0 => 0,
        columns => columns + 2,
    };
    let room = inside.width.saturating_sub(taken);
    paint.text(inside.x, inside.y, room, &text, tone);
    paint.right(inside.x, inside.y, inside.width, &right, Tone::Warn);
}
