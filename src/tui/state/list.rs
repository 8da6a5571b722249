//! The container list: which rows, in which order, which one is selected, which are marked; and the
//! formatted text of the rows in the window.
//!
//! The selection is a container (or a project's heading), not a row: it stays with it while rows are
//! sorted anew, and goes to the nearest neighbour when it vanishes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::columns::{CellInput, Column};
use super::verdicts::Verdicts;
use crate::model::{ContainerKey, Stamp};
use crate::tui::widgets::{Tone, width};
use crate::watch::{Row, World};

/// Rows are sorted anew at most this often while only numbers change.
const RESORT: Duration = Duration::from_secs(3);
/// How long a row whose state changed stands out.
pub const FLASH: Duration = Duration::from_secs(3);
/// And not while the user has just moved.
const STEADY: Duration = Duration::from_secs(2);

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The heading of a Compose project.
    Project(String),
    /// A container.
    Container(ContainerKey),
}

/// A formatted cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
}

/// A formatted line of the window.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Place in [`List::items`].
    pub index: usize,
    /// A project's heading: its text stands in the first cell and runs over the whole line.
    pub heading: bool,
    /// Belongs to the project above it.
    pub indented: bool,
    pub marked: bool,
    /// Its state changed a moment ago.
    pub changed: bool,
    pub cells: Vec<Cell>,
}

/// The list.
#[derive(Debug)]
pub struct List {
    pub items: Vec<Item>,
    pub selected: usize,
    anchor: Option<Item>,
    pub offset: usize,
    pub marks: BTreeSet<ContainerKey>,
    pub columns: Vec<Column>,
    pub sort: Column,
    pub reversed: bool,
    pub filter: String,
    pub show_stopped: bool,
    pub collapsed: BTreeSet<String>,
    /// Columns in the window with their widths.
    pub widths: Vec<(Column, u16)>,
    pub lines: Vec<Line>,
    /// How many containers are left out for being stopped.
    pub stopped_hidden: usize,
    /// How many the filter leaves out.
    pub filtered_out: usize,
    grouped_keys: BTreeSet<ContainerKey>,
    /// When the last of the shown changes stops standing out.
    pub flash_until: Option<Duration>,
    sorted_at: Option<Stamp>,
    moved_at: Option<Stamp>,
}

impl List {
    pub fn new(preferences: &crate::tui::preferences::Preferences) -> Self {
        let mut columns: Vec<Column> = Vec::new();
        for id in &preferences.columns {
            if let Some(column) = Column::from_id(id)
                && !columns.contains(&column)
            {
                columns.push(column);
            }
        }
        if columns.is_empty() {
            columns = Column::DEFAULT.to_vec();
        }
        Self {
            items: Vec::new(),
            selected: 0,
            anchor: None,
            offset: 0,
            marks: BTreeSet::new(),
            columns,
            sort: preferences
                .sort
                .as_deref()
                .and_then(Column::from_id)
                .unwrap_or(Column::GpuMemory),
            reversed: preferences.sort_reversed,
            filter: String::new(),
            show_stopped: preferences.show_stopped.unwrap_or(true),
            collapsed: BTreeSet::new(),
            widths: Vec::new(),
            lines: Vec::new(),
            stopped_hidden: 0,
            filtered_out: 0,
            grouped_keys: BTreeSet::new(),
            flash_until: None,
            sorted_at: None,
            moved_at: None,
        }
    }

    /// The selected line.
    pub fn selected_item(&self) -> Option<&Item> {
        self.items.get(self.selected)
    }

    /// The selected container; `None` on a heading and in an empty list.
    pub fn selected_key(&self) -> Option<ContainerKey> {
        match self.selected_item()? {
            Item::Container(key) => Some(*key),
            Item::Project(_) => None,
        }
    }

    /// The containers that a command would act on: the marked ones, else the selected one or project.
    pub fn targets(&self, world: &World) -> Vec<ContainerKey> {
        if !self.marks.is_empty() {
            return self.marks.iter().copied().collect();
        }
        match self.selected_item() {
            Some(Item::Container(key)) => vec![*key],
            Some(Item::Project(project)) => members(world, project).collect(),
            None => Vec::new(),
        }
    }

    /// Moves the selection; `None` goes to an end.
    pub fn move_by(&mut self, by: isize, now: Stamp) {
        let last = self.items.len().saturating_sub(1);
        self.select(self.selected.saturating_add_signed(by).min(last), now);
    }

    /// Selects a line.
    pub fn select(&mut self, index: usize, now: Stamp) {
        self.selected = index.min(self.items.len().saturating_sub(1));
        self.anchor = self.selected_item().cloned();
        self.moved_at = Some(now);
    }

    /// Selects a container, at the next look where it is not among the rows yet.
    pub fn anchor_at(&mut self, key: ContainerKey, now: Stamp) {
        self.anchor = Some(Item::Container(key));
        self.moved_at = Some(now);
        let anchor = self.anchor.as_ref();
        if let Some(place) = self.items.iter().position(|item| Some(item) == anchor) {
            self.selected = place;
        }
    }

    /// Marks or unmarks the selected container or project, and steps down.
    pub fn toggle_mark(&mut self, world: &World, now: Stamp) {
        let keys: Vec<ContainerKey> = match self.selected_item() {
            Some(Item::Container(key)) => vec![*key],
            Some(Item::Project(project)) => members(world, project).collect(),
            None => return,
        };
        self.toggle_all(&keys);
        self.move_by(1, now);
    }

    /// Marks all of `keys`, or unmarks them when all are marked.
    pub fn toggle_all(&mut self, keys: &[ContainerKey]) {
        if keys.iter().all(|k| self.marks.contains(k)) {
            for key in keys {
                self.marks.remove(key);
            }
        } else {
            self.marks.extend(keys.iter().copied());
        }
    }

    /// The containers that are shown.
    pub fn shown(&self) -> impl Iterator<Item = ContainerKey> + '_ {
        self.items.iter().filter_map(|item| match item {
            Item::Container(key) => Some(*key),
            Item::Project(_) => None,
        })
    }

    /// Brings the rows up to date with the world. With `settle`, only what forces it (rows that came or went,
    /// the user's wish) sorts at once; numbers alone wait.
    pub fn rebuild(&mut self, world: &World, verdicts: &Verdicts, now: Stamp, forced: bool) {
        self.marks.retain(|key| world.rows.contains_key(key));
        let mut keep: Vec<(&ContainerKey, &Row)> = Vec::with_capacity(world.rows.len());
        self.stopped_hidden = 0;
        self.filtered_out = 0;
        for (key, row) in &world.rows {
            if !self.show_stopped && !row.container.state.is_live() {
                self.stopped_hidden += 1;
            } else if !matches(&self.filter, row) {
                self.filtered_out += 1;
            } else {
                keep.push((key, row));
            }
        }
        let same_set = !forced && {
            let hidden = |p: &String| self.collapsed.contains(p);
            let shown = self.shown().count()
                + keep
                    .iter()
                    .filter(|(k, r)| {
                        self.grouped_keys.contains(k)
                            && r.container
                                .compose
                                .as_ref()
                                .is_some_and(|c| hidden(&c.project))
                    })
                    .count();
            shown == keep.len()
                && self
                    .shown()
                    .all(|key| keep.binary_search_by(|(k, _)| (*k).cmp(&key)).is_ok())
        };
        let recently = |at: Option<Stamp>, span| at.is_some_and(|at| now.since(at) < span);
        if same_set && (recently(self.sorted_at, RESORT) || recently(self.moved_at, STEADY)) {
            return;
        }
        self.sorted_at = Some(now);
        let (sort, reversed) = (self.sort, self.reversed);
        let mut inputs: Vec<(ContainerKey, CellInput<'_>)> = keep
            .into_iter()
            .map(|(key, row)| (*key, CellInput::new(world, verdicts, key, row, now)))
            .collect();
        inputs.sort_by(|(ka, a), (kb, b)| {
            CellInput::compare(sort, a, b, reversed)
                .then_with(|| live_first(a.row, b.row))
                .then_with(|| a.row.container.name.cmp(&b.row.container.name))
                .then_with(|| ka.cmp(kb))
        });
        let keys: Vec<ContainerKey> = inputs.iter().map(|(key, _)| *key).collect();
        self.arrange(world, &keys);
        self.follow();
    }

    /// Lays the sorted containers out, those of a project (two and more) under its heading, at the place of
    /// the first of them.
    fn arrange(&mut self, world: &World, keys: &[ContainerKey]) {
        self.items.clear();
        self.grouped_keys.clear();
        let project = |key: &ContainerKey| {
            let row = world.rows.get(key)?;
            row.container.compose.as_ref().map(|c| c.project.as_str())
        };
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for key in keys {
            let Some(name) = project(key) else {
                self.items.push(Item::Container(*key));
                continue;
            };
            if done.contains(name) {
                continue;
            }
            done.insert(name);
            let group: Vec<ContainerKey> = keys
                .iter()
                .copied()
                .filter(|k| project(k) == Some(name))
                .collect();
            if group.len() < 2 {
                self.items.extend(group.into_iter().map(Item::Container));
                continue;
            }
            self.items.push(Item::Project(name.to_owned()));
            self.grouped_keys.extend(group.iter().copied());
            if !self.collapsed.contains(name) {
                self.items.extend(group.into_iter().map(Item::Container));
            }
        }
    }

    /// Puts the selection where its container is now, or near where it was.
    fn follow(&mut self) {
        let found = self
            .anchor
            .as_ref()
            .and_then(|anchor| self.items.iter().position(|item| item == anchor));
        match found {
            Some(index) => self.selected = index,
            None => {
                self.selected = self.selected.min(self.items.len().saturating_sub(1));
                // On the way in, the first row is a container rather than a heading.
                if self.anchor.is_none()
                    && matches!(self.items.first(), Some(Item::Project(_)))
                    && self.selected == 0
                    && self.items.len() > 1
                {
                    self.selected = 1;
                }
                if self.anchor.is_some() || self.moved_at.is_some() {
                    self.anchor = self.selected_item().cloned();
                }
            }
        }
    }

    /// The containers whose lines are in the window.
    pub fn keys_shown(&self) -> Vec<ContainerKey> {
        self.lines
            .iter()
            .filter_map(|line| match self.items.get(line.index) {
                Some(Item::Container(key)) => Some(*key),
                _ => None,
            })
            .collect()
    }

    /// Formats the lines of a window of `rows` lines and `columns` columns.
    pub fn format(
        &mut self,
        world: &World,
        verdicts: &Verdicts,
        now: Stamp,
        rows: usize,
        columns: u16,
        pending: &dyn Fn(&ContainerKey) -> Option<&'static str>,
    ) {
        if self.selected < self.offset {
            self.offset = self.selected;
        } else if rows > 0 && self.selected >= self.offset + rows {
            self.offset = self.selected + 1 - rows;
        }
        let most = self.items.len().saturating_sub(rows);
        self.offset = self.offset.min(most);
        self.fit(world, verdicts, now, columns);
        let mut lines = std::mem::take(&mut self.lines);
        let end = (self.offset + rows).min(self.items.len());
        lines.resize_with(end.saturating_sub(self.offset), Line::default);
        for (place, line) in lines.iter_mut().enumerate() {
            line.index = self.offset + place;
            if let Some(item) = self.items.get(line.index) {
                self.format_line((world, verdicts), now, item, line, pending);
            }
        }
        self.lines = lines;
        let newest = world
            .rows
            .values()
            .filter_map(|r| r.changed)
            .map(|at| at.mono + FLASH);
        self.flash_until = newest.max().filter(|until| *until > now.mono);
    }

    fn format_line(
        &self,
        (world, verdicts): (&World, &Verdicts),
        now: Stamp,
        item: &Item,
        line: &mut Line,
        pending: &dyn Fn(&ContainerKey) -> Option<&'static str>,
    ) {
        match item {
            Item::Project(project) => {
                line.heading = true;
                line.indented = false;
                line.changed = false;
                line.marked = members(world, project).all(|k| self.marks.contains(&k));
                line.cells.resize_with(1, Cell::default);
                if let Some(cell) = line.cells.first_mut() {
                    project_heading(cell, world, project, self.collapsed.contains(project));
                }
            }
            Item::Container(key) => {
                line.heading = false;
                line.indented = self.grouped_keys.contains(key);
                line.marked = self.marks.contains(key);
                line.cells.resize_with(self.widths.len(), Cell::default);
                let Some(row) = world.rows.get(key) else {
                    return;
                };
                line.changed = row.changed.is_some_and(|at| now.since(at) < FLASH);
                let mut input = CellInput::new(world, verdicts, key, row, now);
                input.pending = pending(key);
                for (cell, (column, w)) in line.cells.iter_mut().zip(&self.widths) {
                    cell.text.clear();
                    cell.tone = input.write(*column, &mut cell.text);
                    // Too long for its column: the name and tag say more than the registry.
                    if *column == Column::Image
                        && width(&cell.text) > *w
                        && let Some(slash) = cell.text.rfind('/')
                    {
                        cell.text.drain(..=slash);
                    }
                }
            }
        }
    }

    /// Chooses the columns that fit and how wide they are.
    fn fit(&mut self, world: &World, verdicts: &Verdicts, now: Stamp, room: u16) {
        let any_gpu = world.gpus.as_ref().is_some_and(|g| !g.gpus.is_empty())
            || world
                .joined
                .containers
                .values()
                .any(|g| g.given_as.is_some());
        let indent = if self.grouped_keys.is_empty() { 0 } else { 2 };
        let mut wanted: Vec<(Column, u16, u16)> = Vec::with_capacity(self.columns.len());
        for column in self.columns.iter().copied() {
            if column.is_gpu() && !any_gpu {
                continue;
            }
            let rule = column.width();
            let extra = if column == Column::Name { indent } else { 0 };
            let ideal = if rule.by_content {
                let content = self.content_width(world, verdicts, now, column) + extra;
                let label = column.label();
                let label = if room >= 110 {
                    label
                } else {
                    label.split(' ').next().unwrap_or(label)
                };
                content.max(width(label)).clamp(rule.min, rule.max + extra)
            } else {
                rule.max
            };
            wanted.push((column, rule.min.max(extra).min(ideal), ideal));
        }
        let gap = gap(room);
        let total = |list: &[(Column, u16, u16)], ideal: bool| -> u32 {
            list.iter()
                .map(|(_, min, full)| u32::from(if ideal { *full } else { *min } + gap))
                .sum::<u32>()
                .saturating_sub(u32::from(gap))
        };
        // Columns go, the least important first, until the rest fits at its best width; the most important
        // ones are narrowed before they go.
        while wanted.len() > 1 {
            let dispensable = wanted.iter().map(|(c, ..)| c.priority()).max().unwrap_or(0) > 8;
            if total(&wanted, dispensable) <= u32::from(room) {
                break;
            }
            let worst = wanted
                .iter()
                .enumerate()
                .max_by_key(|(_, (c, ..))| c.priority())
                .map(|(i, _)| i);
            if let Some(worst) = worst {
                wanted.remove(worst);
            }
        }
        let mut over = total(&wanted, true).saturating_sub(u32::from(room));
        // What is too much is taken from the flexible columns, the least important first.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(wanted.get(*i).map(|(c, ..)| c.priority())));
        for index in order {
            if let Some((_, min, full)) = wanted.get_mut(index) {
                let cut = over.min(u32::from(*full - *min));
                *full -= u16::try_from(cut).unwrap_or(0);
                over -= cut;
            }
        }
        self.widths.clear();
        self.widths
            .extend(wanted.into_iter().map(|(c, _, full)| (c, full)));
    }

    fn content_width(&self, world: &World, verdicts: &Verdicts, now: Stamp, column: Column) -> u16 {
        let mut text = String::new();
        let mut widest = 0;
        // Bounded: 5,000 containers need not be measured to place a column.
        for item in self
            .items
            .iter()
            .skip(self.offset.saturating_sub(50))
            .take(200)
        {
            if let Item::Container(key) = item
                && let Some(row) = world.rows.get(key)
            {
                let shown = match column {
                    Column::Name => width(&row.container.name),
                    Column::Image => width(&row.container.image),
                    _ => {
                        text.clear();
                        CellInput::new(world, verdicts, key, row, now).write(column, &mut text);
                        width(&text)
                    }
                };
                widest = widest.max(shown);
            }
        }
        widest
    }
}

/// Columns between two columns: more where there is room.
pub fn gap(room: u16) -> u16 {
    if room >= 110 { 2 } else { 1 }
}

/// All containers of a Compose project.
pub fn members<'a>(world: &'a World, project: &'a str) -> impl Iterator<Item = ContainerKey> + 'a {
    world
        .rows
        .iter()
        .filter(move |(_, row)| {
            row.container
                .compose
                .as_ref()
                .is_some_and(|c| c.project == project)
        })
        .map(|(key, _)| *key)
}

fn project_heading(cell: &mut Cell, world: &World, project: &str, collapsed: bool) {
    use crate::tui::fmt::{push_clean, put};
    let (mut all, mut live) = (0, 0);
    for key in members(world, project) {
        all += 1;
        if world
            .rows
            .get(&key)
            .is_some_and(|r| r.container.state.is_live())
        {
            live += 1;
        }
    }
    cell.text.clear();
    cell.text.push_str(if collapsed { "▸ " } else { "▾ " });
    push_clean(&mut cell.text, project);
    put(
        &mut cell.text,
        format_args!("  project, {live} of {all} up"),
    );
    cell.tone = Tone::Accent;
}

fn live_first(a: &Row, b: &Row) -> std::cmp::Ordering {
    b.container
        .state
        .is_live()
        .cmp(&a.container.state.is_live())
}

/// Smart-case substring over name, image, id, project, state and status: lower case finds both.
pub fn matches(filter: &str, row: &Row) -> bool {
    if filter.is_empty() {
        return true;
    }
    let exact = filter.chars().any(char::is_uppercase);
    let container = &row.container;
    let has = |text: &str| {
        if exact {
            text.contains(filter)
        } else {
            contains_folded(text, filter)
        }
    };
    let id = || container.key.id.to_string().starts_with(filter);
    has(&container.name)
        || has(&container.image)
        || has(container.state.as_str())
        || has(&container.status)
        || container
            .compose
            .as_ref()
            .is_some_and(|c| has(&c.project) || has(&c.service))
        || id()
}

/// Whether `text` contains `needle`, which has no upper case.
pub fn contains_folded(text: &str, needle: &str) -> bool {
    let mut rest = text.chars();
    loop {
        let mut folded = rest.clone().flat_map(char::to_lowercase);
        if needle.chars().all(|c| folded.next() == Some(c)) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}
