//! Dialogs over the page.

use ratatui::layout::Rect;

use super::layout::Layout;
use super::{Regions, Target};
use crate::model::{ContainerCommand, mask_command};
use crate::tui::action::Group;
use crate::tui::building;
use crate::tui::keymap::Mode;
use crate::tui::state::State;
use crate::tui::state::layers::{
    Ask, ColumnChooser, Confirm, Layer, Menu, Prompt, PromptKind, Target as Container,
};
use crate::tui::widgets::{Paint, Tone, split, width};

pub(super) fn draw(state: &State, paint: &mut Paint<'_>, layout: &Layout, regions: &mut Regions) {
    for layer in &state.ui.layers {
        match layer {
            Layer::Help { scroll } => help(state, paint, *scroll, regions),
            Layer::Confirm(confirm) => question(paint, confirm, regions),
            Layer::Menu(menu_layer) => menu(paint, menu_layer, regions),
            Layer::Columns(chooser) => columns(paint, chooser, regions),
            Layer::Prompt(prompt_layer) => prompt(paint, prompt_layer, layout, regions),
            Layer::BuildForm(form) => building::view::form(paint, form, regions),
            Layer::Building(build) => building::view::log(paint, build, regions),
            Layer::Message {
                title,
                lines,
                scroll,
            } => message(paint, title, lines, *scroll, regions),
            Layer::Form(form) => crate::tui::form::view::draw(state, paint, form, regions),
            Layer::Launches { selected } => launches(state, paint, *selected, regions),
        }
    }
}

/// An empty box in the middle; returns its inside.
pub(crate) fn open(
    paint: &mut Paint<'_>,
    columns: u16,
    rows: u16,
    title: &str,
    regions: &mut Regions,
) -> Rect {
    let all = paint.area();
    let w = (columns + 4).min(all.width.saturating_sub(2));
    let h = (rows + 2).min(all.height.saturating_sub(2));
    let area = Rect::new((all.width - w) / 2, (all.height - h) / 2, w, h);
    paint.clear(area, Tone::Dialog);
    regions.add(area, Target::Dialog);
    let inside = paint.frame(area, true);
    let x = paint.text(area.x + 2, area.y, 1, " ", Tone::Title);
    let x = paint.text(x, area.y, area.width.saturating_sub(6), title, Tone::Title);
    paint.text(x, area.y, 1, " ", Tone::Title);
    Rect::new(
        inside.x + 1,
        inside.y,
        inside.width.saturating_sub(2),
        inside.height,
    )
}

fn row_count(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The words of a question: what will be done to exactly whom.
pub(crate) fn question_text(command: &ContainerCommand, count: usize, live: usize) -> String {
    let who = if count == 1 {
        "this container".to_owned()
    } else {
        format!("these {count} containers")
    };
    match command {
        ContainerCommand::Start => format!("Start {who}?"),
        ContainerCommand::Stop { grace } => format!("Stop {who}? {}", grace_text(*grace, count)),
        ContainerCommand::Restart { grace } => {
            format!("Restart {who}? {}", grace_text(*grace, count))
        }
        ContainerCommand::Pause => {
            format!("Pause {who}? Every process in it stands still until it is unpaused.")
        }
        ContainerCommand::Unpause => format!("Unpause {who}?"),
        ContainerCommand::Kill { signal } => format!("Send {signal} to {who}?"),
        ContainerCommand::Remove { volumes, .. } => {
            let mut text = format!("Remove {who} for good?");
            match (count, live) {
                (_, 0) => {}
                (1, _) => text.push_str(" It runs and will be killed first."),
                (_, 1) => text.push_str(" 1 of them runs and will be killed first."),
                _ => text.push_str(&format!(" {live} of them run and will be killed first.")),
            }
            text.push_str(if *volumes {
                " Anonymous volumes are removed too."
            } else {
                " Volumes stay."
            });
            text
        }
        ContainerCommand::Rename { to } => format!("Rename {who} to {to}?"),
    }
}

fn grace_text(grace: Option<std::time::Duration>, count: usize) -> String {
    let who = if count == 1 { "It" } else { "Each" };
    match grace {
        Some(grace) => format!(
            "{who} gets its stop signal, and SIGKILL after {} s.",
            grace.as_secs()
        ),
        None => format!(
            "{who} gets its stop signal, and SIGKILL after its own timeout (10 s unless set)."
        ),
    }
}

fn question(paint: &mut Paint<'_>, confirm: &Confirm, regions: &mut Regions) {
    let room = paint.area().width.saturating_sub(8).min(72);
    let (title, text, rows) = match &confirm.ask {
        Ask::Containers { command, targets } => {
            let there = targets.iter().filter(|t| !t.gone);
            let live = there.clone().filter(|t| t.live).count();
            let text = question_text(command, there.count(), live);
            (command.verb(), text, row_count(targets.len()))
        }
        Ask::Process { signal, lines, .. } => (
            "kill process",
            format!("Send {signal} to exactly this process?"),
            row_count(lines.len()),
        ),
        Ask::CancelBuild { title, .. } => (
            "stop the build",
            format!(
                "Stop building {title}? Nothing of it is left but what the engine keeps for the next build."
            ),
            0,
        ),
        Ask::Launch { text, lines, .. } => ("launch", text.clone(), row_count(lines.len())),
    };
    let volumes = matches!(
        &confirm.ask,
        Ask::Containers {
            command: ContainerCommand::Remove { .. },
            ..
        }
    );
    let text_rows = width(&text).div_ceil(room).max(1) + 1;
    let fixed = text_rows + 3 + u16::from(confirm.changed) + u16::from(volumes);
    let listed = rows.min(paint.area().height.saturating_sub(fixed + 6).max(1));
    let area = open(paint, room, fixed + listed, title, regions);
    let mut y = area.y;
    let mut rest = text.as_str();
    while !rest.is_empty() && y < area.bottom() {
        let (line, after) = split(rest, area.width);
        paint.text(area.x, y, area.width, line, Tone::Strong);
        y += 1;
        rest = if after.len() < rest.len() { after } else { "" };
    }
    y += 1;
    let list = Rect::new(area.x, y, area.width, listed);
    match &confirm.ask {
        Ask::Containers { targets, .. } => names(paint, list, targets, confirm.scroll),
        Ask::Process { lines, .. } => {
            for (line, y) in lines.iter().zip(list.y..list.bottom()) {
                paint.text(list.x + 2, y, list.width - 2, line, Tone::Text);
            }
        }
        Ask::CancelBuild { .. } => {}
        Ask::Launch { lines, .. } => {
            let shown = lines.iter().skip(confirm.scroll);
            for (line, y) in shown.zip(list.y..list.bottom()) {
                let tone = if line.starts_with(' ') {
                    Tone::Text
                } else {
                    Tone::Warn
                };
                paint.text(list.x, y, list.width, line, tone);
            }
        }
    }
    y += listed;
    if confirm.changed {
        paint.text(
            area.x,
            y,
            area.width,
            "it changed while this question stood: look again",
            Tone::Warn,
        );
        y += 1;
    }
    if volumes {
        paint.text(
            area.x,
            y,
            area.width,
            "space: keep or remove anonymous volumes",
            Tone::Dim,
        );
        y += 1;
    }
    buttons(paint, Rect::new(area.x, y + 1, area.width, 1), confirm.yes);
}

fn names(paint: &mut Paint<'_>, area: Rect, targets: &[Container], scroll: usize) {
    let rows = usize::from(area.height);
    let shown = targets.iter().enumerate().skip(scroll);
    for ((place, target), y) in shown.zip(area.y..area.bottom()) {
        let more = targets.len() - place;
        if y + 1 == area.bottom() && more > 1 && rows > 1 {
            paint.write(
                area.x + 2,
                y,
                area.width - 2,
                Tone::Dim,
                format_args!("… and {more} more (down shows them)"),
            );
            return;
        }
        let tone = if target.gone { Tone::Dim } else { Tone::Text };
        let x = paint.text(
            area.x + 2,
            y,
            area.width.saturating_sub(16),
            &target.name,
            tone,
        );
        let word = match (target.gone, target.live) {
            (true, _) => "gone",
            (false, true) => "runs",
            (false, false) => "stopped",
        };
        paint.write(x + 1, y, 12, Tone::Dim, format_args!("({word})"));
    }
}

fn buttons(paint: &mut Paint<'_>, area: Rect, yes: bool) {
    let mut x = area.x;
    for (label, chosen) in [(" [n] No ", !yes), (" [y] Yes ", yes)] {
        let tone = if chosen { Tone::Selected } else { Tone::Text };
        let start = x;
        x = paint.text(x, area.y, area.right().saturating_sub(x), label, Tone::Text);
        paint.restyle(Rect::new(start, area.y, x - start, 1), tone);
        x += 2;
    }
}

fn menu(paint: &mut Paint<'_>, menu: &Menu, regions: &mut Regions) {
    let labels = menu
        .items
        .iter()
        .map(|i| width(&i.label))
        .max()
        .unwrap_or(0);
    let notes = menu.items.iter().map(|i| width(&i.note)).max().unwrap_or(0);
    let about = about(menu);
    let lines = row_count(menu.lines.len()) + u16::from(!about.is_empty());
    let columns = (labels + notes + 6)
        .max(width(&about))
        .max(width(&menu.title) + 2)
        .max(30);
    let columns = menu
        .lines
        .iter()
        .map(|l| width(l))
        .fold(columns, u16::max)
        .min(90);
    let head = if lines > 0 { lines + 1 } else { 0 };
    let area = open(
        paint,
        columns,
        head + row_count(menu.items.len()),
        &menu.title,
        regions,
    );
    let mut y = area.y;
    if !about.is_empty() {
        paint.text(area.x, y, area.width, &about, Tone::Strong);
        y += 1;
    }
    for line in &menu.lines {
        paint.text(area.x, y, area.width, line, Tone::Text);
        y += 1;
    }
    y += u16::from(head > 0);
    let rows = usize::from(area.bottom().saturating_sub(y));
    let first = (menu.selected + 1).saturating_sub(rows);
    regions.add(
        Rect::new(area.x, y, area.width, area.bottom().saturating_sub(y)),
        Target::MenuItem { first },
    );
    let shown = menu.items.iter().enumerate().skip(first);
    for ((place, item), y) in shown.zip(y..area.bottom()) {
        if place == menu.selected {
            paint.restyle(Rect::new(area.x, y, area.width, 1), Tone::Selected);
            let mark = paint.glyphs().selected;
            paint.text(area.x, y, 1, mark, Tone::Accent);
        }
        paint.text(area.x + 2, y, labels, &item.label, Tone::Text);
        let x = area.x + 2 + labels + 2;
        paint.text(x, y, area.right().saturating_sub(x), &item.note, Tone::Dim);
    }
}

fn about(menu: &Menu) -> String {
    match menu.targets.as_slice() {
        [] => String::new(),
        [one] => one.name.clone(),
        [first, second] => format!("{}, {}", first.name, second.name),
        [first, second, rest @ ..] => {
            format!("{}, {} and {} more", first.name, second.name, rest.len())
        }
    }
}

fn columns(paint: &mut Paint<'_>, chooser: &ColumnChooser, regions: &mut Regions) {
    let help = chooser
        .columns
        .iter()
        .map(|(c, _)| width(c.help()))
        .max()
        .unwrap_or(0);
    let area = open(
        paint,
        21 + help,
        row_count(chooser.columns.len()) + 2,
        "columns",
        regions,
    );
    paint.text(
        area.x,
        area.y,
        area.width,
        "space shows or hides, left and right move; the last ones go where room is short",
        Tone::Dim,
    );
    let rows = usize::from(area.height.saturating_sub(2));
    let first = (chooser.selected + 1).saturating_sub(rows);
    let shown = chooser.columns.iter().enumerate().skip(first);
    for ((place, (column, on)), y) in shown.zip(area.y + 2..area.bottom()) {
        if place == chooser.selected {
            paint.restyle(Rect::new(area.x, y, area.width, 1), Tone::Selected);
        }
        let x = paint.text(area.x, y, 4, if *on { "[x] " } else { "[ ] " }, Tone::Key);
        paint.text(
            x,
            y,
            16,
            column.id(),
            if *on { Tone::Strong } else { Tone::Text },
        );
        paint.text(
            x + 16,
            y,
            area.right().saturating_sub(x + 16),
            column.help(),
            Tone::Dim,
        );
    }
}

fn prompt(paint: &mut Paint<'_>, prompt: &Prompt, layout: &Layout, regions: &mut Regions) {
    let title = match &prompt.kind {
        // Both are drawn in place.
        PromptKind::Filter | PromptKind::Search | PromptKind::Field => return,
        PromptKind::Rename(_) => "new name",
        PromptKind::Preset { .. } => "keep as the preset",
        PromptKind::Grace { restart: false, .. } => "stop: seconds to end in",
        PromptKind::Grace { restart: true, .. } => "restart: seconds to end in",
    };
    let _ = layout;
    let area = open(paint, 50, 2, title, regions);
    let text = prompt.input.value();
    let room = usize::from(area.width.saturating_sub(1));
    let skip = prompt.input.visual_scroll(room);
    let shown: String = text.chars().skip(skip).collect();
    paint.clear(Rect::new(area.x, area.y, area.width, 1), Tone::Input);
    paint.text(area.x, area.y, area.width, &shown, Tone::Input);
    let at = prompt.input.visual_cursor().saturating_sub(skip);
    let at = area.x
        + u16::try_from(at)
            .unwrap_or(0)
            .min(area.width.saturating_sub(1));
    paint.restyle(Rect::new(at, area.y, 1, 1), Tone::Selected);
    if let Some(error) = &prompt.error {
        paint.text(area.x, area.y + 1, area.width, error, Tone::Bad);
    }
}

/// The last launches and presets.
fn launches(state: &State, paint: &mut Paint<'_>, selected: usize, regions: &mut Regions) {
    let entries = crate::tui::form::open::entries(state);
    let all = paint.area();
    // The chosen one's whole line stands below.
    let below = 5;
    let columns = all.width.saturating_sub(8).min(150);
    let rows = row_count(entries.len()) + 2 + below;
    let area = open(paint, columns, rows, "launch again", regions);
    let text = "a digit or enter: start · e: edit it first · delete: forget a preset";
    paint.text(area.x, area.y, area.width, text, Tone::Dim);
    let rows = usize::from(area.height.saturating_sub(2 + below));
    let first = (selected + 1).saturating_sub(rows);
    let shown = entries.iter().enumerate().skip(first).take(rows);
    for ((place, entry), y) in shown.zip(area.y + 2..area.bottom()) {
        if place == selected {
            paint.restyle(Rect::new(area.x, y, area.width, 1), Tone::Selected);
        }
        if let Some(digit) = entry.digit {
            paint.write(area.x, y, 2, Tone::Key, format_args!("{digit}"));
        }
        let mut x = area.x + 3;
        if !entry.name.is_empty() {
            x = paint.text(x, y, 24, &entry.name, Tone::Strong) + 2;
        }
        let line = mask_command(&entry.line);
        paint.text(x, y, area.right().saturating_sub(x), &line, Tone::Text);
    }
    let whole = entries.get(selected).map(|entry| mask_command(&entry.line));
    let whole = crate::model::text::clean(&whole.unwrap_or_default(), 4000);
    let mut rest = whole.as_str();
    for y in area.bottom().saturating_sub(below - 1)..area.bottom() {
        let last = y + 1 == area.bottom();
        let (line, after) = if last {
            (rest, "")
        } else {
            split(rest, area.width)
        };
        paint.text(area.x, y, area.width, line, Tone::Accent);
        rest = after;
    }
}

fn message(
    paint: &mut Paint<'_>,
    title: &str,
    lines: &[String],
    scroll: usize,
    regions: &mut Regions,
) {
    let columns = lines
        .iter()
        .map(|l| width(l))
        .max()
        .unwrap_or(20)
        .max(width(title) + 2)
        .clamp(20, 100);
    let area = open(paint, columns, row_count(lines.len()), title, regions);
    let rows = usize::from(area.height);
    let first = scroll.min(lines.len().saturating_sub(rows));
    for (line, y) in lines.iter().skip(first).zip(area.y..area.bottom()) {
        paint.text(area.x, y, area.width, line, Tone::Text);
    }
    let bar = Rect::new(area.right(), area.y, 1, area.height);
    paint.scrollbar(bar, first, rows, lines.len());
}

fn group_title(group: Group) -> &'static str {
    match group {
        Group::Move => "Moving",
        Group::View => "Views",
        Group::List => "The list",
        Group::Container => "Containers",
        Group::Logs => "Logs",
        Group::Gpu => "GPUs",
        Group::Program => "Program",
    }
}

/// One line of the help: a heading, or keys with what they do.
enum HelpLine {
    Heading(&'static str),
    Keys(String, &'static str),
    Gap,
}

/// All keys by group, from the live keymap: those of lists, then those that differ in logs and dialogs.
fn help_lines(state: &State) -> Vec<HelpLine> {
    let mut lines = Vec::new();
    let keymap = &state.config.keymap;
    let mut group = None;
    for entry in keymap.help_entries(Mode::Normal) {
        if group != Some(entry.group) {
            if group.is_some() {
                lines.push(HelpLine::Gap);
            }
            lines.push(HelpLine::Heading(group_title(entry.group)));
            group = Some(entry.group);
        }
        lines.push(HelpLine::Keys(entry.keys, entry.help));
    }
    for (mode, title) in [
        (Mode::Logs, "In the log"),
        (Mode::Dialog, "In dialogs"),
        (Mode::Input, "In text fields"),
        (Mode::Form, "In the launch form"),
    ] {
        lines.push(HelpLine::Gap);
        lines.push(HelpLine::Heading(title));
        for entry in keymap.help_entries(mode) {
            let own = keymap
                .bindings()
                .iter()
                .any(|b| b.mode == mode && b.action == entry.action);
            if own {
                lines.push(HelpLine::Keys(entry.keys, entry.help));
            }
        }
    }
    lines
}

/// How many lines the help has, for scrolling.
pub(crate) fn help_length(state: &State) -> usize {
    help_lines(state).len()
}

fn help(state: &State, paint: &mut Paint<'_>, scroll: usize, regions: &mut Regions) {
    let lines = help_lines(state);
    let all = paint.area();
    let columns = (all.width / 60).clamp(1, 3);
    // One column takes what room there is: it is the small screen's.
    let wide = if columns == 1 { 74 } else { 58 };
    let area = open(
        paint,
        (columns * wide).min(all.width.saturating_sub(6)),
        all.height.saturating_sub(4),
        "help",
        regions,
    );
    let rows = usize::from(area.height);
    let wide = area.width / columns;
    let first = scroll.min(lines.len().saturating_sub(rows * usize::from(columns)));
    for (place, line) in lines
        .iter()
        .skip(first)
        .enumerate()
        .take(rows * usize::from(columns))
    {
        let column = u16::try_from(place / rows).unwrap_or(0);
        let x = area.x + column * wide;
        let y = area.y + u16::try_from(place % rows).unwrap_or(0);
        match line {
            HelpLine::Gap => {}
            HelpLine::Heading(title) => {
                paint.text(x, y, wide - 1, title, Tone::Title);
            }
            HelpLine::Keys(keys, what) => {
                let tone = if keys.is_empty() {
                    Tone::Dim
                } else {
                    Tone::Key
                };
                let shown = if keys.is_empty() {
                    "no key"
                } else {
                    keys.as_str()
                };
                paint.text(x + 1, y, 16, shown, tone);
                paint.text(x + 18, y, wide.saturating_sub(19), what, Tone::Text);
            }
        }
    }
    paint.scrollbar(
        Rect::new(area.right() + 1, area.y, 1, area.height),
        first,
        rows * usize::from(columns),
        lines.len(),
    );
}
