//! GPU processes as table lines: of a container, a project, a GPU, or all. The selection follows the process.

use crate::join::{Owner, ProcUse};
use crate::model::{ContainerKey, GpuKey, ProcKey, mask_command};
use crate::tui::fmt::{ABSENT, ShortBytes, push_clean, put};
use crate::tui::widgets::Tone;
use crate::watch::World;

use super::columns::gpu_label;
use super::list::{Item, members};
use super::strip::owner_name;
use super::{Page, State};

/// Which processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    All,
    Container(ContainerKey),
    /// Those of a Compose project.
    Containers(Vec<ContainerKey>),
    /// A GPU or MIG instance.
    Gpu(GpuKey),
}

impl Scope {
    /// Those of what is selected.
    pub(super) fn of(state: &State) -> Self {
        if state.ui.page == Page::Containers {
            return match state.list.selected_item() {
                Some(Item::Container(key)) => Self::Container(*key),
                Some(Item::Project(project)) => {
                    Self::Containers(members(&state.world, project).collect())
                }
                None => Self::Containers(Vec::new()),
            };
        }
        let line = state.top.strip.get(state.gpus.selected);
        match line.and_then(|l| l.key.clone()) {
            Some(key) if !state.gpus.all_processes => Self::Gpu(key),
            _ => Self::All,
        }
    }

    fn has(&self, process: &ProcUse) -> bool {
        match self {
            Self::All => true,
            Self::Container(key) => process.owner == Owner::Container(*key),
            Self::Containers(keys) => match &process.owner {
                Owner::Container(key) => keys.contains(key),
                _ => false,
            },
            Self::Gpu(key) => process.gpu == *key || process.mig.as_ref() == Some(key),
        }
    }
}

/// One line.
#[derive(Debug, Default, Clone)]
pub struct ProcLine {
    pub pid: u32,
    pub gpu: Option<GpuKey>,
    pub gpu_text: String,
    pub kind: &'static str,
    pub user: String,
    pub memory: String,
    pub sm: String,
    pub owner: String,
    pub owner_tone: Tone,
    pub command: String,
}

/// The table.
#[derive(Debug, Default)]
pub struct Processes {
    pub lines: Vec<ProcLine>,
    pub scope: Scope,
    pub selected: usize,
    pub offset: usize,
    anchor: Option<(u32, Option<GpuKey>)>,
}

impl Processes {
    /// Fills it anew, most memory first.
    pub fn rebuild(&mut self, world: &World, scope: Scope) {
        self.scope = scope;
        let wanted = |p: &&ProcUse| self.scope.has(p);
        let mut chosen: Vec<&ProcUse> = world.joined.processes.iter().filter(wanted).collect();
        chosen.sort_by(|a, b| {
            b.memory_used_bytes
                .cmp(&a.memory_used_bytes)
                .then_with(|| a.pid.cmp(&b.pid))
                .then_with(|| a.gpu.cmp(&b.gpu))
        });
        self.lines.clear();
        self.lines
            .extend(chosen.into_iter().map(|p| line(world, p)));
        let found = self.anchor.as_ref().and_then(|(pid, gpu)| {
            self.lines
                .iter()
                .position(|l| l.pid == *pid && l.gpu == *gpu)
        });
        self.selected = found
            .unwrap_or(self.selected)
            .min(self.lines.len().saturating_sub(1));
    }

    /// Moves the selection.
    pub fn move_by(&mut self, by: isize) {
        self.select(self.selected.saturating_add_signed(by));
    }

    /// Selects a line.
    pub fn select(&mut self, index: usize) {
        self.selected = index.min(self.lines.len().saturating_sub(1));
        self.anchor = self
            .lines
            .get(self.selected)
            .map(|l| (l.pid, l.gpu.clone()));
    }

    /// Keeps the selection within a window of `rows` lines.
    pub fn window(&mut self, rows: usize) {
        if self.selected < self.offset {
            self.offset = self.selected;
        } else if rows > 0 && self.selected >= self.offset + rows {
            self.offset = self.selected + 1 - rows;
        }
        self.offset = self.offset.min(self.lines.len().saturating_sub(rows));
    }
}

/// The key to act on exactly this process; `None` where procfs did not tell its start time.
pub fn process_key(world: &World, pid: u32) -> Option<ProcKey> {
    world.procs.as_ref()?.get(pid)?.key
}

fn line(world: &World, process: &ProcUse) -> ProcLine {
    let mut line = ProcLine {
        pid: process.pid,
        gpu: Some(process.gpu.clone()),
        kind: process.kind.as_str(),
        ..ProcLine::default()
    };
    gpu_label(
        &mut line.gpu_text,
        world,
        process.mig.as_ref().unwrap_or(&process.gpu),
    );
    push_clean(&mut line.user, process.user.as_deref().unwrap_or(ABSENT));
    match process.memory_used_bytes {
        Some(bytes) => put(
            &mut line.memory,
            format_args!("{}", ShortBytes(bytes as f64)),
        ),
        None => line.memory.push_str(ABSENT),
    }
    match process.sm_percent {
        Some(sm) => put(&mut line.sm, format_args!("{sm}%")),
        None => line.sm.push_str(ABSENT),
    }
    match &process.owner {
        Owner::Host => line.owner.push_str("host"),
        Owner::NotPermitted => line.owner.push_str("not permitted"),
        Owner::Unknown => line.owner.push_str("unknown"),
        _ => owner_name(&mut line.owner, world, process),
    }
    line.owner_tone = match process.owner {
        Owner::Container(_) => Tone::Strong,
        Owner::Host | Owner::Foreign { .. } => Tone::Text,
        Owner::NotPermitted | Owner::Unknown => Tone::Dim,
    };
    let command = process.command.as_deref().map(mask_command);
    push_clean(&mut line.command, command.as_deref().unwrap_or(ABSENT));
    line
}
