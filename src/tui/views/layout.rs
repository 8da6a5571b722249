//! Where everything stands: one function that both `update` (page sizes) and the views use.

use ratatui::layout::Rect;

use crate::tui::state::{Page, State};

/// Smaller than this the screen shows one line alone.
pub const LEAST: (u16, u16) = (60, 12);

/// How the GPU strip is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripForm {
    /// One line a GPU.
    Full,
    /// Two GPUs a line.
    Pairs,
}

/// The areas.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The terminal is too small for anything.
    pub too_small: bool,
    pub header: Rect,
    pub banners: Rect,
    pub strip: Rect,
    pub strip_form: StripForm,
    /// The page's list with its frame.
    pub list: Rect,
    /// The details with their frame.
    pub details: Option<Rect>,
    pub footer: Rect,
}

impl Layout {
    /// The rows of the list: without frame and column headings; two columns at the left are for cursor and mark.
    pub fn list_inside(&self) -> Rect {
        let Rect {
            x,
            y,
            width,
            height,
        } = self.list;
        Rect::new(
            x + 1,
            y + 2,
            width.saturating_sub(5),
            height.saturating_sub(3),
        )
    }

    /// The details without their frame.
    pub fn details_inside(&self) -> Rect {
        self.details.map_or(Rect::ZERO, |r| {
            Rect::new(
                r.x + 1,
                r.y + 1,
                r.width.saturating_sub(2),
                r.height.saturating_sub(2),
            )
        })
    }
}

/// Lays the screen out.
pub fn compute(state: &State) -> Layout {
    let (columns, rows) = state.ui.size;
    let whole = Rect::new(0, 0, columns, rows);
    let mut layout = Layout {
        too_small: columns < LEAST.0 || rows < LEAST.1,
        header: Rect::new(0, 0, columns, rows.min(1)),
        banners: Rect::ZERO,
        strip: Rect::ZERO,
        strip_form: StripForm::Full,
        list: whole,
        details: None,
        footer: Rect::new(0, rows.saturating_sub(1), columns, rows.min(1)),
    };
    if layout.too_small {
        return layout;
    }
    let mut y = 1;
    let banners = banner_rows(state, columns, rows);
    layout.banners = Rect::new(0, y, columns, banners);
    y += banners;
    if state.ui.page != Page::Gpus {
        let (form, height) = strip_size(state, columns, rows);
        layout.strip_form = form;
        layout.strip = Rect::new(0, y, columns, height);
        y += height;
    }
    let body = Rect::new(0, y, columns, rows - 1 - y);
    split(state, body, &mut layout);
    layout
}

fn banner_rows(state: &State, columns: u16, rows: u16) -> u16 {
    let most = if rows < 20 { 2 } else { 5 };
    let mut total = 0u16;
    for banner in &state.top.banners {
        total += super::header::banner_rows(banner, columns);
    }
    total.min(most)
}

fn strip_size(state: &State, columns: u16, rows: u16) -> (StripForm, u16) {
    let message = state.top.strip_message.as_ref();
    let message = message.map_or(0, |b| super::header::banner_rows(b, columns));
    let lines = u16::try_from(state.top.strip.len()).unwrap_or(u16::MAX);
    let most = match rows {
        0..=19 => 4,
        20..=29 => 6,
        30..=39 => 9,
        _ => rows / 4,
    };
    let full = lines.saturating_add(message);
    if full <= most {
        return (StripForm::Full, full);
    }
    if columns >= 76 {
        return (StripForm::Pairs, (lines.div_ceil(2) + message).min(most));
    }
    (StripForm::Full, most)
}

fn split(state: &State, body: Rect, layout: &mut Layout) {
    if state.ui.zoom {
        layout.list = Rect::new(body.x, body.y, body.width, 0);
        layout.details = Some(body);
        return;
    }
    layout.list = body;
    if body.height < 12 {
        return;
    }
    if body.width >= 230 {
        let list = body.width * 11 / 20;
        layout.list.width = list;
        layout.details = Some(Rect::new(
            body.x + list,
            body.y,
            body.width - list,
            body.height,
        ));
        return;
    }
    let items = match state.ui.page {
        Page::Containers => state.list.items.len(),
        Page::Gpus => state.top.strip.len(),
        Page::Images => state.images.lines.len(),
    };
    let wanted = u16::try_from(items).unwrap_or(u16::MAX).saturating_add(3);
    let share = if state.ui.page == Page::Images { 7 } else { 5 };
    let most = (body.height * share / 10).max(6);
    let height = wanted.clamp(6, most);
    layout.list.height = height;
    layout.details = Some(Rect::new(
        body.x,
        body.y + height,
        body.width,
        body.height - height,
    ));
}
