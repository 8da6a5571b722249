//! The table of GPU processes.

use ratatui::layout::Rect;

use super::details::note;
use super::{Regions, Target};
use crate::tui::state::processes::Scope;
use crate::tui::state::{Focus, Page, State};
use crate::tui::widgets::{Paint, Tone};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, area: Rect, regions: &mut Regions) {
    if area.height < 2 {
        return;
    }
    let table = &state.processes;
    if table.lines.is_empty() {
        empty(state, paint, area);
        return;
    }
    let user = 10;
    // What is the same on every line is left out.
    let owner = match table.scope {
        Scope::Container(_) => 0,
        _ => (area.width / 5).clamp(12, 24),
    };
    let gpu = match table.scope {
        Scope::Gpu(_) => 0,
        _ => 6,
    };
    let columns = [8, gpu, 4, user, 9, 6, owner];
    let heads = ["PID", "GPU", "KIND", "USER", "GPU MEM", "SM%", "CONTAINER"];
    let mut x = area.x + 2;
    for (head, w) in heads.iter().zip(columns) {
        if w == 0 {
            continue;
        }
        match *head {
            "PID" | "GPU MEM" | "SM%" => paint.right(x, area.y, w, head, Tone::Heading),
            _ => {
                paint.text(x, area.y, w, head, Tone::Heading);
            }
        }
        x += w + 1;
    }
    paint.text(
        x,
        area.y,
        area.right().saturating_sub(x),
        "COMMAND",
        Tone::Heading,
    );
    let rows = Rect::new(area.x, area.y + 1, area.width, area.height - 1);
    regions.add(
        rows,
        Target::DetailRow {
            first: table.offset,
        },
    );
    let focused = state.ui.focus == Focus::Details;
    let shown = table.lines.iter().enumerate().skip(table.offset);
    for ((place, line), y) in shown.zip(rows.y..rows.bottom()) {
        if place == table.selected {
            let tone = if focused {
                Tone::Selected
            } else {
                Tone::SelectedIdle
            };
            paint.restyle(Rect::new(area.x, y, area.width, 1), tone);
            let mark = paint.glyphs().selected;
            paint.text(area.x, y, 1, mark, Tone::Accent);
        }
        let [pid, gpu, kind, user, memory, sm, owner] = columns;
        let mut x = area.x + 2;
        paint.write(
            x + pid.saturating_sub(digits(line.pid)),
            y,
            pid,
            Tone::Text,
            format_args!("{}", line.pid),
        );
        x += pid + 1;
        if gpu > 0 {
            paint.text(x, y, gpu, &line.gpu_text, Tone::Text);
            x += gpu + 1;
        }
        paint.text(x, y, kind, line.kind, Tone::Dim);
        x += kind + 1;
        paint.text(x, y, user, &line.user, Tone::Text);
        x += user + 1;
        paint.right(x, y, memory, &line.memory, Tone::Text);
        x += memory + 1;
        paint.right(x, y, sm, &line.sm, Tone::Text);
        x += sm + 1;
        if owner > 0 {
            paint.text(x, y, owner, &line.owner, line.owner_tone);
            x += owner + 1;
        }
        paint.text(
            x,
            y,
            area.right().saturating_sub(x),
            &line.command,
            Tone::Dim,
        );
    }
    paint.scrollbar(
        Rect::new(area.right(), rows.y, 1, rows.height),
        table.offset,
        usize::from(rows.height),
        table.lines.len(),
    );
}

fn digits(number: u32) -> u16 {
    u16::try_from(number.checked_ilog10().unwrap_or(0) + 1).unwrap_or(1)
}

fn empty(state: &State, paint: &mut Paint<'_>, area: Rect) {
    if !state.world.joinable() && state.ui.page == Page::Containers {
        note(
            paint,
            area,
            "the engine is not known to run on this machine: its containers' GPU processes cannot be seen",
        );
        return;
    }
    if let Some(problem) = &state.world.joined.problem {
        paint.write(
            area.x + 1,
            area.y,
            area.width - 1,
            Tone::Warn,
            format_args!("{problem}"),
        );
        return;
    }
    let text = match &state.processes.scope {
        Scope::Container(_) => "no process of this container holds a GPU",
        Scope::Containers(_) => "no process of these containers holds a GPU",
        Scope::Gpu(_) if !state.world.joined.processes.is_empty() => {
            "no process holds this GPU; others are held"
        }
        Scope::Gpu(_) => "no process holds this GPU",
        Scope::All => "no process holds a GPU",
    };
    note(paint, area, text);
}
