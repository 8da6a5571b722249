//! A bar of eighths.

use super::{Paint, Tone};

/// Draws `share` (0 to 1; more fills the bar) of `columns` cells; `None` draws an empty one.
pub fn bar(paint: &mut Paint<'_>, x: u16, y: u16, columns: u16, share: Option<f64>, tone: Tone) {
    let full = paint.style(tone);
    let empty = paint.style(Tone::BarEmpty);
    let share = share.unwrap_or(0.0).clamp(0.0, 1.0);
    let glyphs = paint.glyphs();
    let steps = glyphs.bar_parts.len() + 1;
    let filled = (share * f64::from(columns) * steps as f64).round() as usize;
    for column in 0..columns {
        let left = filled
            .saturating_sub(usize::from(column) * steps)
            .min(steps);
        let at = x + column;
        let part = left.checked_sub(1).and_then(|i| glyphs.bar_parts.get(i));
        if left == steps {
            paint.cell(at, y, glyphs.bar_full, full);
        } else if let Some(part) = part {
            paint.cell(at, y, part, full);
        } else {
            paint.cell(at, y, glyphs.bar_empty, empty);
        }
    }
}
