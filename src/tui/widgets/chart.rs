//! An area chart in braille: two samples and four steps a cell, newest at the right. A gap stays a gap.
//!
//! Columns lie on a grid that is fixed to the values' numbers, and move by whole cells: what was drawn stays
//! as it is from one value to the next, and few cells are sent to the terminal.

use ratatui::layout::Rect;

use super::{Paint, Tone};

/// What to draw.
pub struct Chart<I> {
    /// Values, oldest first; `None` is a gap.
    pub values: I,
    /// How many values there have been in all, those that are no longer kept included.
    pub count: u64,
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
    if columns == 0 || area.height == 0 || chart.span == 0 || chart.count == 0 {
        return;
    }
    let mut grid = Grid::new(chart.values, chart.count, chart.span, columns);
    let per_cell = per_cell as u64;
    let newest = grid.column_of(chart.count - 1);
    // The cell with the newest value is the last one.
    let end = (newest / per_cell + 1) * per_cell;
    for x in 0..area.width {
        let behind = u64::from(area.width - x) * per_cell;
        let Some(column) = end.checked_sub(behind) else {
            continue;
        };
        let left = grid.value(column);
        let right = (per_cell == 2).then(|| grid.value(column + 1)).flatten();
        let pair = if per_cell == 2 {
            [left, right]
        } else {
            [None, left]
        };
        draw_column(paint, area, area.x + x, pair, &chart.max, chart.tone);
    }
}

/// Which values fall in which column, counted from the first value there ever was.
struct Grid<I> {
    values: I,
    /// Number of the next value that is read.
    next: u64,
    count: u64,
    span: u64,
    columns: u64,
    held: Option<f32>,
}

impl<I: ExactSizeIterator<Item = Option<f32>>> Grid<I> {
    fn new(values: I, count: u64, span: usize, columns: usize) -> Self {
        Self {
            next: count.saturating_sub(values.len() as u64),
            values,
            count,
            span: span as u64,
            columns: columns as u64,
            held: None,
        }
    }

    /// The column that the value of this number falls in.
    fn column_of(&self, number: u64) -> u64 {
        ((number + 1) * self.columns - 1) / self.span
    }

    /// The mean of a column's values; columns are asked for from left to right.
    fn value(&mut self, column: u64) -> Option<f32> {
        let from = column * self.span / self.columns;
        let to = ((column + 1) * self.span / self.columns).max(from + 1);
        if from >= self.count {
            return None;
        }
        // Fewer values than columns: a value is as wide as its slot.
        if to <= self.next && self.span < self.columns {
            return self.held;
        }
        let mut sum = 0.0f32;
        let mut known = 0u16;
        while self.next < to {
            let Some(value) = self.values.next() else {
                break;
            };
            self.held = None;
            if self.next >= from {
                self.held = value;
                if let Some(value) = value {
                    sum += value;
                    known += 1;
                }
            }
            self.next += 1;
        }
        (known > 0).then(|| sum / f32::from(known))
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
                count: values.len() as u64,
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
    fn what_was_drawn_stays_until_the_chart_moves_by_a_cell() {
        let all: Vec<_> = (0..1000u32)
            .map(|i| Some((i * 7919 % 100) as f32))
            .collect();
        let theme = Theme::default();
        let frame = |count: usize| {
            let area = Rect::new(0, 0, 20, 3);
            let mut buffer = Buffer::empty(area);
            let kept = all.get(count - 300..count).unwrap();
            let what = Chart {
                values: kept.iter().copied(),
                count: count as u64,
                span: 300,
                max: 100.0,
                tone: Tone::ChartA,
            };
            chart(&mut Paint::new(&mut buffer, &theme), area, what);
            buffer
        };
        let mut moves = 0;
        for count in 600..900 {
            let (before, after) = (frame(count), frame(count + 1));
            let differ = |x: u16, shift: u16| {
                (0..3).any(|y| before.cell((x + shift, y)) != after.cell((x, y)))
            };
            // The oldest cell loses values that are no longer kept, the newest gains one.
            let stayed = !(1..19).any(|x| differ(x, 0));
            let moved = !(1..18).any(|x| differ(x, 1));
            assert!(stayed || moved, "{count}");
            moves += usize::from(!stayed);
        }
        assert_eq!(moves, 20, "one cell for each 15 of 300 values");
    }

    #[test]
    fn values_over_the_scale_fill_and_do_not_wrap() {
        assert_eq!(drawn(&[Some(1e9); 2], 2, 1, 1), ["⣿"]);
    }
}
