//! The form as cells: a pure function of the state.

use ratatui::layout::Rect;

use super::fields::{Kind, Row, Value};
use super::gpus::{Choice, GpuLine};
use super::state::{Form, Phase, Spot};
use super::text::{self, Keys};
use crate::model::{MASK, looks_secret, mask_command};
use crate::tui::Action;
use crate::tui::keymap::Mode;
use crate::tui::state::State;
use crate::tui::state::paragraphs::{Paragraphs, TextLine};
use crate::tui::views::{Regions, Target};
use crate::tui::widgets::{Paint, Tone, split, width};

/// Columns before a field's value: mark, label.
const LABEL: u16 = 14;
/// From so many columns on, the plan stands beside the form.
const WIDE: u16 = 160;
/// Paths that are shown.
const PATHS: usize = 8;

/// A line of the form.
enum Doc {
    Spot(Spot),
    /// The heading of the table.
    GpuHead,
    Text(TextLine),
    Gap,
}

/// Draws the form over everything but the top and the bottom line.
pub fn draw(state: &State, paint: &mut Paint<'_>, form: &Form, regions: &mut Regions) {
    let all = paint.area();
    let area = Rect::new(0, 1, all.width, all.height.saturating_sub(2));
    paint.clear(area, Tone::Text);
    regions.add(area, Target::Dialog);
    let inside = frame(paint, area, " launch ");
    match &form.phase {
        Phase::Edit | Phase::Planning => edit(state, paint, form, inside),
        _ => super::progress::draw(state, paint, form, inside),
    }
}

/// A box over an area with a title; its inside, a column free at both sides.
pub fn frame(paint: &mut Paint<'_>, area: Rect, title: &str) -> Rect {
    let inside = paint.frame(area, true);
    paint.text(
        area.x + 2,
        area.y,
        area.width.saturating_sub(4),
        title,
        Tone::Title,
    );
    Rect::new(
        inside.x + 1,
        inside.y,
        inside.width.saturating_sub(2),
        inside.height,
    )
}

/// Keys as they are bound.
fn keys(state: &State) -> Keys {
    let key = |action| {
        let hint = state.hints.get(Mode::Form, action);
        hint.map(|(key, _)| key.to_owned()).unwrap_or_default()
    };
    Keys {
        mend: key(Action::FormMend),
    }
}

fn edit(state: &State, paint: &mut Paint<'_>, form: &Form, inside: Rect) {
    let keys = keys(state);
    let most = if inside.height < 30 { 3 } else { 6 };
    let line = run_line(state, form, inside.width, most);
    let rows = u16::try_from(line.len()).unwrap_or(1);
    let (tone, status) = text::status(form, &keys);
    let status = pieces(&status, inside.width, 2);
    let said = u16::try_from(status.len()).unwrap_or(1);
    // A rule, the status, the line.
    let foot = rows + said + 1;
    let body = Rect::new(
        inside.x,
        inside.y,
        inside.width,
        inside.height.saturating_sub(foot),
    );
    let wide = inside.width >= WIDE - 4;
    if wide {
        let left = body.width * 11 / 20;
        let form_area = Rect::new(body.x, body.y, left, body.height);
        let plan_area = Rect::new(
            body.x + left + 3,
            body.y,
            body.width - left - 3,
            body.height,
        );
        document(state, paint, form, &keys, form_area, false);
        let bar = paint.glyphs().border.vertical;
        for y in body.top()..body.bottom() {
            paint.text(body.x + left + 1, y, 1, bar, Tone::Border);
        }
        let mut out = Paragraphs::new(plan_area.width);
        out.begin(0, Tone::Heading, "what a start would do");
        text::plan(form, &keys, &mut out);
        lines(paint, plan_area, out.lines.iter().skip(form.below));
    } else {
        document(state, paint, form, &keys, body, true);
    }
    let y = body.bottom();
    let rule = paint.glyphs().border.horizontal;
    for x in inside.left()..inside.right() {
        paint.text(x, y, 1, rule, Tone::Border);
    }
    let below = status.iter().chain(&line);
    for (line, y) in below.zip(y + 1..inside.bottom()) {
        let tone = if y <= body.bottom() + said {
            tone
        } else {
            Tone::Accent
        };
        paint.text(inside.x, y, inside.width, line, tone);
    }
}

/// A text in lines that fit; the last of at most `most` ends in `…` where there is more.
fn pieces(text: &str, room: u16, most: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if pieces.len() + 1 == most {
            // It is cut where it is painted.
            pieces.push(rest.to_owned());
            break;
        }
        let (piece, after) = split(rest, room.max(10));
        pieces.push(piece.to_owned());
        rest = if after.len() < rest.len() { after } else { "" };
    }
    pieces
}

/// The equal `docker run` line in pieces that fit; secrets masked.
fn run_line(state: &State, form: &Form, room: u16, most: usize) -> Vec<String> {
    let line = form.line();
    let line = match state.inspect.show_secrets {
        true => line,
        false => mask_command(&line),
    };
    let line = crate::model::text::clean(&line, 8000);
    pieces(&line, room, most)
}

fn lines<'a>(paint: &mut Paint<'_>, area: Rect, lines: impl Iterator<Item = &'a TextLine>) {
    for (line, y) in lines.zip(area.top()..area.bottom()) {
        spans(paint, area, y, line);
    }
}

fn spans(paint: &mut Paint<'_>, area: Rect, y: u16, line: &TextLine) {
    let mut x = area.x;
    for span in line {
        let room = area.right().saturating_sub(x);
        x = paint.text(x, y, room, &span.text, span.tone);
    }
}

/// Fields, what is said beside them, and where there is no room beside them the plan.
fn document(
    state: &State,
    paint: &mut Paint<'_>,
    form: &Form,
    keys: &Keys,
    area: Rect,
    plan: bool,
) {
    let mut docs = Vec::new();
    if let Some(fault) = &form.fault {
        let mut out = Paragraphs::new(area.width);
        out.begin(2, Tone::Bad, "✘")
            .text(Tone::Bad, &format!("{}: {}", fault.what, fault.why));
        if !fault.remedy.is_empty() {
            out.begin(2, Tone::Dim, "→")
                .prose(Tone::Text, &fault.remedy);
        }
        docs.extend(out.lines.into_iter().map(Doc::Text));
        docs.push(Doc::Gap);
    }
    let top = docs.len();
    let mut at = 0;
    for spot in form.spots() {
        if spot == Spot::Launch {
            docs.push(Doc::Gap);
        }
        if spot == Spot::Gpu(0) {
            docs.push(Doc::GpuHead);
        }
        if spot == form.spot {
            at = docs.len();
        }
        docs.push(Doc::Spot(spot));
        let mut out = Paragraphs::new(area.width.saturating_sub(1));
        beside(form, spot, keys, &mut out);
        docs.extend(out.lines.into_iter().map(Doc::Text));
    }
    if plan {
        docs.push(Doc::Gap);
        let mut out = Paragraphs::new(area.width.saturating_sub(1));
        text::plan(form, keys, &mut out);
        docs.extend(out.lines.into_iter().map(Doc::Text));
    }
    let height = usize::from(area.height);
    let last = docs.len().saturating_sub(height);
    // What went wrong stays in sight, as long as the cursor is near it.
    let centre = at.saturating_sub(height / 2);
    let first = if at < height { 0 } else { centre };
    let first = match form.spot {
        // The plan below it, as far as it goes.
        Spot::Launch if plan => at.saturating_sub(top.max(height / 3)),
        _ => first,
    };
    let first = (first + if plan { form.below } else { 0 }).min(last);
    for (doc, y) in docs.iter().skip(first).zip(area.top()..area.bottom()) {
        match doc {
            Doc::Gap => {}
            Doc::Text(line) => spans(paint, area, y, line),
            Doc::GpuHead => gpu_head(paint, area, y),
            Doc::Spot(spot) => {
                let row = Rect::new(area.x, y, area.width.saturating_sub(1), 1);
                draw_spot(state, paint, form, *spot, row);
            }
        }
    }
    paint.scrollbar(
        Rect::new(area.right().saturating_sub(1), area.y, 1, area.height),
        first,
        height,
        docs.len(),
    );
}

/// What is said below a field: why it cannot be read, why it is filled in, what stands in its way, paths.
fn beside(form: &Form, spot: Spot, keys: &Keys, out: &mut Paragraphs) {
    let (error, why) = match spot {
        Spot::Row(place) => {
            let row = form.rows.get(place);
            (
                row.and_then(|r| r.error.as_ref()),
                row.and_then(|r| r.why.as_ref()),
            )
        }
        Spot::Gpus => (None, form.gpus.why.as_ref()),
        Spot::Devices => (form.gpus.error.as_ref(), None),
        _ => (None, None),
    };
    if let Some(error) = error {
        out.begin(LABEL, Tone::Bad, "").text(Tone::Bad, error);
    }
    if let Some(why) = why {
        out.begin(LABEL, Tone::Dim, "")
            .text(Tone::Dim, &format!("why: {why}"));
    }
    if let Some(note) = form.gpus.note.filter(|_| spot == Spot::Gpus) {
        out.begin(LABEL, Tone::Dim, "").text(Tone::Dim, note);
    }
    for each in form.conflicts(spot) {
        text::conflict(each, keys, LABEL, out);
    }
    let Some(paths) = form.paths.as_ref().filter(|p| Spot::Row(p.row) == spot) else {
        return;
    };
    match &paths.found {
        None => {}
        Some(Err(why)) => {
            out.begin(LABEL, Tone::Warn, "").text(Tone::Warn, why);
        }
        Some(Ok(found)) if found.is_empty() => {
            out.begin(LABEL, Tone::Dim, "")
                .text(Tone::Dim, "nothing on this host begins like this");
        }
        Some(Ok(found)) => {
            let names: Vec<&str> = found
                .iter()
                .take(PATHS)
                .map(|p| {
                    let bare = p.trim_end_matches('/');
                    let start = bare.rfind('/').map_or(0, |at| at + 1);
                    p.get(start..).unwrap_or(p)
                })
                .collect();
            out.begin(LABEL, Tone::Dim, "")
                .text(Tone::Text, &names.join("  "));
            if found.len() > PATHS {
                out.text(Tone::Dim, &format!("  and {} more", found.len() - PATHS));
            }
        }
    }
}

fn draw_spot(state: &State, paint: &mut Paint<'_>, form: &Form, spot: Spot, area: Rect) {
    let here = form.spot == spot;
    if here {
        let mark = paint.glyphs().selected;
        paint.text(area.x, area.y, 1, mark, Tone::Accent);
    }
    let tone = if here { Tone::Strong } else { Tone::Text };
    match spot {
        Spot::Row(place) => {
            if let Some(row) = form.rows.get(place) {
                let first =
                    place == 0 || form.rows.get(place - 1).is_none_or(|r| r.kind != row.kind);
                if first {
                    paint.text(area.x + 1, area.y, LABEL - 2, row.kind.label(), tone);
                }
                field(state, paint, row, here, value_area(area));
            }
        }
        Spot::Gpus => {
            paint.text(area.x + 1, area.y, LABEL - 2, "GPUs", tone);
            choices(paint, form, here, value_area(area));
        }
        Spot::Devices => {
            input(
                paint,
                &form.gpus.input,
                "0,1 or UUIDs, or mark them below",
                here,
                value_area(area),
            );
        }
        Spot::Gpu(place) => {
            if let Some(line) = form.gpus.lines.get(place) {
                gpu(paint, form, line, here, area);
            }
        }
        Spot::Launch => {
            let label = " Launch ";
            let tone = if here { Tone::Selected } else { Tone::Key };
            let x = area.x + LABEL;
            let end = paint.text(x, area.y, 12, "[", Tone::Dim);
            let end = paint.text(end, area.y, 12, label, Tone::Text);
            paint.restyle(Rect::new(x + 1, area.y, width(label), 1), tone);
            let end = paint.text(end, area.y, 1, "]", Tone::Dim);
            if let Some((key, _)) = state.hints.get(Mode::Form, Action::FormStart) {
                let room = area.right().saturating_sub(end);
                paint.write(
                    end + 1,
                    area.y,
                    room,
                    Tone::Dim,
                    format_args!("or {key}, from anywhere"),
                );
            }
        }
    }
}

fn value_area(area: Rect) -> Rect {
    Rect::new(area.x + LABEL, area.y, area.width.saturating_sub(LABEL), 1)
}

fn field(state: &State, paint: &mut Paint<'_>, row: &Row, here: bool, area: Rect) {
    if row.kind.switch() {
        let (mark, tone) = if row.is_on() {
            ("[x] ", Tone::Strong)
        } else {
            ("[ ] ", Tone::Text)
        };
        let x = paint.text(area.x, area.y, 4, mark, tone);
        paint.text(
            x,
            area.y,
            area.right().saturating_sub(x),
            row.kind.hint(),
            Tone::Dim,
        );
        return;
    }
    // What looks secret shows while it is written.
    if let (Kind::Env, Some(Value::Env(var)), false) = (row.kind, &row.value, here)
        && !state.inspect.show_secrets
        && var.value.as_ref().is_some_and(|v| !v.is_empty())
        && looks_secret(&var.name)
    {
        paint.write(
            area.x,
            area.y,
            area.width,
            Tone::Text,
            format_args!("{}={MASK}", var.name),
        );
        return;
    }
    input(paint, &row.input, row.kind.hint(), here, area);
}

/// A line of text; the cursor where the keys go.
fn input(paint: &mut Paint<'_>, input: &tui_input::Input, hint: &str, here: bool, area: Rect) {
    let text = input.value();
    if !here {
        if text.is_empty() {
            paint.text(area.x, area.y, area.width, hint, Tone::Dim);
        } else {
            paint.text(area.x, area.y, area.width, text, Tone::Strong);
        }
        return;
    }
    paint.clear(area, Tone::Input);
    if text.is_empty() {
        paint.text(
            area.x + 2,
            area.y,
            area.width.saturating_sub(2),
            hint,
            Tone::Dim,
        );
    }
    let room = usize::from(area.width.saturating_sub(1));
    let skip = input.visual_scroll(room);
    let shown: String = text.chars().skip(skip).collect();
    paint.text(area.x, area.y, area.width, &shown, Tone::Input);
    let at = u16::try_from(input.visual_cursor().saturating_sub(skip)).unwrap_or(0);
    let at = area.x + at.min(area.width.saturating_sub(1));
    paint.restyle(Rect::new(at, area.y, 1, 1), Tone::Selected);
}

/// `none  free 1  these  all  first 1`, the chosen one marked.
fn choices(paint: &mut Paint<'_>, form: &Form, here: bool, area: Rect) {
    let gpus = &form.gpus;
    let mut x = area.x;
    for choice in Choice::ALL {
        let word = match choice {
            Choice::None => "none".to_owned(),
            Choice::Free => format!("free {}", gpus.count),
            Choice::These => "these".to_owned(),
            Choice::All => "all".to_owned(),
            Choice::First => format!("first {}", gpus.count),
        };
        let chosen = choice == gpus.choice;
        let text = format!(" {word} ");
        let start = x;
        let tone = if chosen { Tone::Strong } else { Tone::Dim };
        x = paint.text(x, area.y, area.right().saturating_sub(x), &text, tone);
        if chosen {
            let tone = if here {
                Tone::Selected
            } else {
                Tone::SelectedIdle
            };
            paint.restyle(Rect::new(start, area.y, x - start, 1), tone);
        }
        x += 1;
    }
    let rest = gpus.rest();
    if !rest.is_empty() {
        x = paint.text(x, area.y, area.right().saturating_sub(x), &rest, Tone::Dim) + 1;
    }
    if here {
        let hint = "left right, + -";
        paint.text(x, area.y, area.right().saturating_sub(x), hint, Tone::Dim);
    }
}

/// Columns of the table: mark and number, name, busy, memory, who.
fn columns(area: Rect) -> [u16; 5] {
    let x = area.x + LABEL;
    let name = if area.width < 100 { 16 } else { 24 };
    [x, x + 9, x + 10 + name, x + 16 + name, x + 33 + name]
}

fn gpu_head(paint: &mut Paint<'_>, area: Rect, y: u16) {
    let [_, name, busy, memory, who] = columns(area);
    for (x, title) in [
        (name, "GPU"),
        (busy, "busy"),
        (memory, "memory"),
        (who, "used by"),
    ] {
        paint.text(x, y, area.right().saturating_sub(x), title, Tone::Heading);
    }
}

fn gpu(paint: &mut Paint<'_>, form: &Form, line: &GpuLine, here: bool, area: Rect) {
    let [x, name, busy, memory, who] = columns(area);
    let y = area.y;
    let marked = form.gpus.has(line);
    let chosen = form.current().is_some_and(|plan| {
        let mut chosen = plan.gpus.chosen.iter();
        chosen.any(|gpu| gpu.key.uuid.as_str() == line.uuid)
    });
    let mark = match (&line.lost, marked, chosen) {
        (Some(_), ..) => " x  ",
        (None, true, _) => "[x] ",
        // Of the free ones it is the plan that chooses.
        (None, false, true) => "[•] ",
        (None, false, false) => "[ ] ",
    };
    let marked = marked || chosen;
    let plain = if line.lost.is_some() {
        Tone::Dim
    } else {
        Tone::Text
    };
    let tone = if marked { Tone::Strong } else { plain };
    let next = paint.text(
        x,
        y,
        4,
        mark,
        if line.lost.is_some() { Tone::Bad } else { tone },
    );
    paint.text(next, y, name.saturating_sub(next + 1), &line.label, tone);
    paint.text(name, y, busy - name - 1, &line.name, tone);
    match &line.lost {
        Some(why) => {
            paint.text(busy, y, area.right().saturating_sub(busy), why, Tone::Bad);
        }
        None => {
            paint.right(busy, y, 4, &line.busy, plain);
            paint.text(memory, y, who - memory - 1, &line.memory, plain);
            let (text, tone) = match line.holders.as_str() {
                "" if line.idle => ("free", Tone::Good),
                "" => ("nobody", Tone::Text),
                holders => (holders, Tone::Warn),
            };
            paint.text(who, y, area.right().saturating_sub(who), text, tone);
        }
    }
    if here {
        paint.restyle(
            Rect::new(x, y, area.right().saturating_sub(x), 1),
            Tone::Selected,
        );
    }
}
