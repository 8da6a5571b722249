//! An area chart in braille: two samples and four steps a cell, newest at the right. A gap stays a gap.

use ratatui::layout::Rect;

use super::{Paint, Tone};

/// What to draw.
pub struct Chart<I> {
    /// Values, oldest first; `None` is a gap.
    pub values: I,
    /// How many values the whole width stands for.
    pub span: usize,
    /// The value at the upper edge; above it the column is full (its number is printed elsewhere).
    pub max: f32,
    /// Colour.
    pub tone: Tone,
}

/// Dots of a braille cell's left column, from the bottom, then of its right column.
const LEFT: [u32; 5] = [0, 0x40, 0x44, 0x46, 0x47];
const RIGHT: [u32; 5] = [0, 0x80, 0xa0, 0xb0, 0xb8];

/// Draws it. The mean of the values that share a column is shown.
pub fn chart<I>(paint: &mut Paint<'_>, area: Rect, chart: Chart<I>)
where
    I: ExactSizeIterator<Item = Option<f32>>,
{
    let per_cell: usize = if paint.glyphs().braille { 2 } else { 1 };
    let columns = usize::from(area.width) * per_cell;
    if columns == 0 || area.height == 0 || chart.span == 0 {
        return;
    }
    let known = chart.values.len().min(chart.span);
    let skip = chart.values.len() - known;
    let mut values = chart.values.skip(skip);
    let first = chart.span - known;
    let mut taken = first;
    let mut pair = [None, None];
    let mut held = None;
    for column in 0..columns {
        // The half-open range of slots that this column stands for.
        let from = column * chart.span / columns;
        let to = ((column + 1) * chart.span / columns).max(from + 1);
        let mut sum = 0.0f32;
        let mut count = 0u16;
        while taken < to {
            held = values.next().flatten();
            if let Some(value) = held {
                sum += value;
                count += 1;
            }
            taken += 1;
        }
        let value = if count > 0 {
            Some(sum / f32::from(count))
        } else if from >= first && to <= taken && chart.span < columns {
            // Fewer values than columns: a value is as wide as its slot.
            held
        } else {
            None
        };
        if let Some(slot) = pair.get_mut(column % per_cell) {
            *slot = value;
        }
        if column % per_cell == per_cell - 1 {
            let x = area.x + u16::try_from(column / per_cell).unwrap_or(u16::MAX);
            draw_column(paint, area, x, pair, &chart.max, chart.tone);
            pair = [None, None];
        }
    }
}

fn draw_column(
    paint: &mut Paint<'_>,
    area: Rect,
    x: u16,
    pair: [Option<f32>; 2],
    max: &f32,
    tone: Tone,
) {
    let style = paint.style(tone);
    let steps = u32::from(area.height) * 4;
    let level = |value: Option<f32>| -> u32 {
        match value {
            None => 0,
            // The lowest dot is always set, so that 0 differs from a gap.
            Some(v) if *max > 0.0 => {
                let share = (v / *max).clamp(0.0, 1.0);
                ((share * steps as f32).round() as u32).max(1)
            }
            Some(_) => 1,
        }
    };
    let [left, right] = pair.map(level);
    for row in 0..area.height {
        let below = u32::from(area.height - 1 - row) * 4;
        let l = left.saturating_sub(below).min(4) as usize;
        let r = right.saturating_sub(below).min(4) as usize;
        if l == 0 && r == 0 {
            continue;
        }
        let y = area.y + row;
        let glyphs = paint.glyphs();
        if !glyphs.braille {
            let steps = glyphs.chart_steps;
            let step = (l.max(r) * steps.len()).div_ceil(4).saturating_sub(1);
            paint.cell(x, y, steps.get(step).copied().unwrap_or(" "), style);
        } else {
            let dots = LEFT.get(l).unwrap_or(&0) | RIGHT.get(r).unwrap_or(&0);
            let symbol = char::from_u32(0x2800 + dots).unwrap_or(' ');
            paint.char(x, y, symbol, style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;
    use ratatui::buffer::Buffer;

    fn drawn(values: &[Option<f32>], span: usize, columns: u16, rows: u16) -> Vec<String> {
        let area = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(area);
        let theme = Theme::default();
        let mut paint = Paint::new(&mut buffer, &theme);
        chart(
            &mut paint,
            area,
            Chart {
                values: values.iter().copied(),
                span,
                max: 100.0,
                tone: Tone::ChartA,
            },
        );
        (0..rows)
            .map(|y| {
                (0..columns)
                    .filter_map(|x| buffer.cell((x, y)).map(|c| c.symbol().to_owned()))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn newest_is_right_gaps_stay_gaps_and_zero_is_not_a_gap() {
        let values = [Some(100.0), None, Some(0.0), Some(50.0)];
        assert_eq!(drawn(&values, 8, 4, 1), ["  ⡇⣠"]);
        assert_eq!(drawn(&[], 8, 4, 1), ["    "]);
    }

    #[test]
    fn values_share_columns_by_their_mean() {
        let values: Vec<_> = (0..8)
            .map(|i| Some(if i < 4 { 100.0 } else { 50.0 }))
            .collect();
        assert_eq!(drawn(&values, 8, 2, 1), ["⣿⣤"]);
    }

    #[test]
    fn fewer_values_than_columns_are_as_wide_as_their_slot() {
        let values = [Some(100.0), Some(50.0)];
        assert_eq!(drawn(&values, 2, 2, 1), ["⣿⣤"]);
        assert_eq!(drawn(&values, 2, 2, 2), ["⣿ ", "⣿⣿"]);
    }

    #[test]
    fn values_over_the_scale_fill_and_do_not_wrap() {
        assert_eq!(drawn(&[Some(1e9); 2], 2, 1, 1), ["⣿"]);
    }
}
