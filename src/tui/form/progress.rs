//! The form while a start goes on: the pull with its layers, the look inside, the start.

use ratatui::layout::Rect;

use super::state::{Form, Phase};
use crate::check::Subject;
use crate::engine::PullProgress;
use crate::tui::fmt::{Bytes, LongAge};
use crate::tui::state::State;
use crate::tui::state::checks::{Stage, percent};
use crate::tui::widgets::{self, Paint, Tone};

/// A bar; the column after it.
fn bar(paint: &mut Paint<'_>, x: u16, y: u16, columns: u16, share: f64) -> u16 {
    widgets::bar(paint, x, y, columns, Some(share), Tone::BarFull);
    x + columns
}

/// Draws how far it is.
pub fn draw(state: &State, paint: &mut Paint<'_>, form: &Form, area: Rect) {
    let image = form.spec().image;
    let y = area.y + 1;
    match &form.phase {
        Phase::Pulling(progress) => {
            paint.write(
                area.x,
                y,
                area.width,
                Tone::Strong,
                format_args!("pulling {image}"),
            );
            pull(
                paint,
                progress,
                Rect::new(area.x, y + 1, area.width, area.height.saturating_sub(4)),
            );
            keys(paint, form, area, "esc stops it");
        }
        Phase::Checking(subject) => {
            paint.write(
                area.x,
                y,
                area.width,
                Tone::Strong,
                format_args!("looking inside {image}"),
            );
            let why = "its files tell whether it runs on these GPUs";
            paint.text(area.x, y + 1, area.width, why, Tone::Dim);
            check(
                state,
                paint,
                subject,
                Rect::new(area.x, y + 3, area.width, 2),
            );
            keys(
                paint,
                form,
                area,
                "s: start without looking inside · esc stops it",
            );
        }
        Phase::Starting => {
            paint.write(
                area.x,
                y,
                area.width,
                Tone::Strong,
                format_args!("starting {image}…"),
            );
            keys(paint, form, area, "esc stops it");
        }
        Phase::Edit | Phase::Planning => {}
    }
}

fn keys(paint: &mut Paint<'_>, form: &Form, area: Rect, text: &str) {
    let y = area.bottom().saturating_sub(1);
    let (text, tone) = match form.cancelling {
        true => ("stopping…", Tone::Warn),
        false => (text, Tone::Dim),
    };
    paint.text(area.x, y, area.width, text, tone);
}

fn pull(paint: &mut Paint<'_>, progress: &PullProgress, area: Rect) {
    let mut y = area.y;
    if progress.total_bytes > 0 {
        let share = progress.bytes as f64 / progress.total_bytes as f64;
        let end = bar(paint, area.x, y, 30.min(area.width), share);
        paint.write(
            end + 1,
            y,
            area.right().saturating_sub(end + 1),
            Tone::Text,
            format_args!(
                "{} of {}",
                Bytes(progress.bytes as f64),
                Bytes(progress.total_bytes as f64)
            ),
        );
    }
    y += 1;
    if !progress.line.is_empty() {
        paint.text(area.x, y, area.width, &progress.line, Tone::Dim);
    }
    y += 2;
    // Where there is no room for all, those at work are what one wants to see.
    let room = usize::from(area.bottom().saturating_sub(y));
    let done = |status: &str| matches!(status, "Pull complete" | "Already exists");
    let skip = progress.layers.len().saturating_sub(room);
    let mut left = skip;
    let shown = progress.layers.iter().filter(|layer| {
        let drop = left > 0 && done(&layer.status);
        left -= usize::from(drop);
        !drop
    });
    for (layer, y) in shown.zip(y..area.bottom()) {
        let tone = if done(&layer.status) {
            Tone::Dim
        } else {
            Tone::Text
        };
        let x = paint.text(area.x, y, 14, &layer.id, tone);
        let x = x.max(area.x + 14);
        let end = paint.text(x, y, 20, &layer.status, tone).max(x + 20);
        if let Some(total) = layer.total_bytes.filter(|t| *t > 0 && !done(&layer.status)) {
            let share = layer.bytes as f64 / total as f64;
            let end = bar(paint, end, y, 20, share);
            paint.write(
                end + 1,
                y,
                area.right().saturating_sub(end + 1),
                Tone::Dim,
                format_args!("{} of {}", Bytes(layer.bytes as f64), Bytes(total as f64)),
            );
        }
    }
}

fn check(state: &State, paint: &mut Paint<'_>, subject: &Subject, area: Rect) {
    match state.verdicts.checks.stage(subject) {
        Stage::Waiting(before) => {
            let s = if before == 1 { "" } else { "s" };
            paint.write(
                area.x,
                area.y,
                area.width,
                Tone::Text,
                format_args!("waits for {before} other check{s}"),
            );
        }
        Stage::Running(running) => {
            let Some(progress) = &running.progress else {
                paint.text(area.x, area.y, area.width, "beginning…", Tone::Text);
                return;
            };
            let mut x = area.x;
            if let Some(percent) = percent(progress) {
                x = bar(paint, x, area.y, 30.min(area.width), percent as f64 / 100.0) + 1;
            }
            let room = area.right().saturating_sub(x);
            let x = paint.write(
                x,
                area.y,
                room,
                Tone::Text,
                format_args!("{}", Bytes(progress.bytes as f64)),
            );
            if let Some(left) = progress.left() {
                let room = area.right().saturating_sub(x);
                paint.write(
                    x,
                    area.y,
                    room,
                    Tone::Dim,
                    format_args!(" · {} left", LongAge(left)),
                );
            }
        }
        Stage::Idle => {}
    }
}
