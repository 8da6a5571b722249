//! The whole page for a machine where there is nothing to show: what is missing, why, and what to do.

use ratatui::layout::Rect;

use super::layout::Layout;
use crate::model::{DriverStatus, EngineStatus, Problem};
use crate::tui::state::State;
use crate::tui::widgets::{Paint, Tone, split};

/// Whether neither an engine has ever answered nor a GPU been seen, and the engine's reason is known.
pub(super) fn applies(state: &State) -> bool {
    let never = state.world.listed.is_none()
        && matches!(&state.world.engine, EngineStatus::Down { info: None, .. });
    let gpus = state.world.gpus.as_ref();
    never
        && gpus.is_none_or(|g| g.gpus.is_empty())
        && state.ui.page != crate::tui::state::Page::Gpus
}

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout) {
    let columns = layout.footer.width;
    let top = layout.header.bottom() + 1;
    let width = columns.saturating_sub(4).min(100);
    let x = (columns - width) / 2;
    let mut text = Writer {
        paint,
        area: Rect::new(x, top, width, layout.footer.y.saturating_sub(top)),
        y: top,
    };
    // The banner line says the same: this page says it better.
    text.paint.clear(
        Rect::new(0, layout.header.bottom(), columns, layout.footer.y - 1),
        Tone::Text,
    );
    text.line(
        0,
        Tone::Title,
        "Nothing to show yet: midwatch found neither containers nor GPUs.",
    );
    text.gap();
    if let EngineStatus::Down { problem, .. } = &state.world.engine {
        text.line(0, Tone::Heading, "Containers");
        text.problem(problem);
        text.gap();
    }
    text.line(0, Tone::Heading, "GPUs");
    match state.world.gpus.as_ref().map(|g| &g.driver) {
        Some(DriverStatus::Down(problem)) => text.problem(problem),
        Some(DriverStatus::Up(_)) => {
            text.line(2, Tone::Warn, "the driver is loaded and finds no GPU")
        }
        Some(DriverStatus::Released) => text.line(2, Tone::Warn, "NVML is released"),
        Some(DriverStatus::Starting) | None => text.line(2, Tone::Dim, "loading NVML…"),
    }
    text.gap();
    text.line(0, Tone::Heading, "To see what midwatch does");
    text.line(2, Tone::Accent, "midwatch --demo");
    text.line(2, Tone::Dim, "a simulated host with four GPUs in the middle of a night: no Docker, no GPU, no network needed");
    text.gap();
    text.line(
        0,
        Tone::Dim,
        "Both are tried again all the time: this page goes away as soon as one answers.",
    );
}

struct Writer<'p, 'a> {
    paint: &'p mut Paint<'a>,
    area: Rect,
    y: u16,
}

impl Writer<'_, '_> {
    fn line(&mut self, indent: u16, tone: Tone, text: &str) {
        let mut rest = text;
        let room = self.area.width.saturating_sub(indent);
        while !rest.is_empty() && self.y < self.area.bottom() {
            let (line, after) = split(rest, room);
            self.paint
                .text(self.area.x + indent, self.y, room, line, tone);
            self.y += 1;
            if after.len() >= rest.len() {
                return;
            }
            rest = after;
        }
    }

    fn problem(&mut self, problem: &Problem) {
        self.line(2, Tone::Bad, &problem.what);
        if !problem.why.is_empty() {
            self.line(2, Tone::Text, &problem.why);
        }
        if !problem.remedy.is_empty() {
            self.line(2, Tone::Good, &problem.remedy);
        }
    }

    fn gap(&mut self) {
        self.y += 1;
    }
}
