//! Views: pure functions from state to cells. No clock, no lock, no allocation worth speaking of: what is shown
//! was sorted, filtered and formatted by `update`.

mod charts;
mod containers;
mod details;
mod empty;
mod facts;
mod footer;
mod gpus;
pub(crate) mod header;
mod images;
mod inspect;
mod layers;
pub(crate) mod layout;
mod processes;
mod strip;
mod verdict;

#[cfg(test)]
mod tests;

pub(crate) use layers::{help_length, open as dialog};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::state::{Page, State, Tab};
use super::theme::Theme;
use super::widgets::{Paint, Tone};

/// What a click on a region means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Go to a page.
    Page(Page),
    /// Go to a tab.
    Tab(Tab),
    /// A row of the page's list; the first row shown has this number.
    Row {
        /// Number of the first row shown.
        first: usize,
    },
    /// A row of the table in the details.
    DetailRow {
        /// Number of the first row shown.
        first: usize,
    },
    /// A line of the menu on top.
    MenuItem {
        /// Number of the first line shown.
        first: usize,
    },
    /// The strip: a GPU.
    Gpu {
        /// GPUs on one line.
        a_line: u16,
    },
    /// The list's panel.
    List,
    /// The details' panel.
    Details,
    /// A dialog (swallows the click).
    Dialog,
}

/// Where the parts of the last frame are, the topmost last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Regions {
    parts: Vec<(Rect, Target)>,
}

impl Regions {
    pub(crate) fn add(&mut self, area: Rect, target: Target) {
        self.parts.push((area, target));
    }

    /// What lies at a cell, and the line within it.
    pub fn at(&self, column: u16, row: u16) -> Option<(Target, u16, u16)> {
        self.parts.iter().rev().find_map(|(area, target)| {
            let inside = column >= area.left()
                && column < area.right()
                && row >= area.top()
                && row < area.bottom();
            inside.then(|| (*target, row - area.y, column - area.x))
        })
    }
}

/// Draws the whole screen into a blank buffer of the terminal's size.
pub fn draw(state: &State, theme: &Theme, buffer: &mut Buffer) -> Regions {
    let mut regions = Regions {
        parts: Vec::with_capacity(32),
    };
    let mut paint = Paint::new(buffer, theme);
    let layout = state.layout();
    let area = paint.area();
    if (area.width, area.height) != state.ui.size {
        // A frame between a resize and its event: the next one is right.
        return regions;
    }
    if layout.too_small {
        let (columns, rows) = layout::LEAST;
        let (width, height) = (area.width, area.height);
        let (y, tone) = (height / 2, Tone::Warn);
        if width >= 36 {
            let text = format_args!("midwatch needs {columns}x{rows}, this is {width}x{height}");
            paint.write(0, y, width, tone, text);
        } else {
            let text = format_args!("needs {columns}x{rows}, has {width}x{height}");
            paint.write(0, y, width, tone, text);
        }
        return regions;
    }
    header::draw(state, &mut paint, &layout);
    if empty::applies(state) {
        empty::draw(state, &mut paint, &layout);
    } else {
        strip::draw(state, &mut paint, &layout, &mut regions);
        match state.ui.page {
            Page::Containers => containers::draw(state, &mut paint, &layout, &mut regions),
            Page::Gpus => gpus::draw(state, &mut paint, &layout, &mut regions),
            Page::Images => images::draw(state, &mut paint, &layout, &mut regions),
        }
        details::draw(state, &mut paint, &layout, &mut regions);
    }
    footer::draw(state, &mut paint, &layout, &mut regions);
    layers::draw(state, &mut paint, &layout, &mut regions);
    if crate::tui::form::flow::form(state).is_some() {
        // The form covers the whole page, what is said about it not.
        footer::toasts(state, &mut paint, layout.footer);
    }
    regions
}
