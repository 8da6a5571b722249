//! The columns of the container list, as data: name, heading, width, order, and what a cell says.

use crate::join::{ContainerGpus, GpuRef};
use crate::model::{ContainerKey, ContainerState, GpuKey, HealthState, Stamp, mask_command};
use crate::tui::fmt::{ABSENT, Age, Percent, ShortBytes, between, push_clean, put};
use crate::tui::widgets::Tone;
use crate::watch::{Row, World};

use super::verdicts::Verdicts;

/// Where a cell's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// How wide a column may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WidthRule {
    /// Narrower than this it is dropped.
    pub min: u16,
    /// Wider than this it never gets.
    pub max: u16,
    /// Whether the contents of the list decide between the two; otherwise it is always `max`.
    pub by_content: bool,
}

macro_rules! columns {
    ($($variant:ident, $id:literal, $label:literal, $align:ident, $min:literal, $max:literal, $content:literal,
        $desc:literal, $priority:literal, $help:literal;)+) => {
        /// A column of the container list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Column { $($variant),+ }

        impl Column {
            /// All, in the order in which the chooser offers them.
            pub const ALL: &[Column] = &[$(Column::$variant),+];
            /// Its name in preferences and configuration.
            pub fn id(self) -> &'static str { match self { $(Column::$variant => $id),+ } }
            /// Its heading.
            pub fn label(self) -> &'static str { match self { $(Column::$variant => $label),+ } }
            /// What it shows, in words.
            pub fn help(self) -> &'static str { match self { $(Column::$variant => $help),+ } }
            /// Where its text stands.
            pub fn align(self) -> Align { match self { $(Column::$variant => Align::$align),+ } }
            /// Its width.
            pub fn width(self) -> WidthRule {
                match self {
                    $(Column::$variant => WidthRule { min: $min, max: $max, by_content: $content }),+
                }
            }
            /// Whether sorting by it begins with the greatest.
            pub fn descending(self) -> bool { match self { $(Column::$variant => $desc),+ } }
            /// Rank when room is short: the highest number is dropped first.
            pub fn priority(self) -> u8 { match self { $(Column::$variant => $priority),+ } }
            /// The column of that name.
            pub fn from_id(id: &str) -> Option<Self> {
                match id { $($id => Some(Column::$variant),)+ _ => None }
            }
        }
    };
}

columns! {
    Name, "name", "NAME", Left, 12, 34, true, false, 0, "container name";
    Id, "id", "ID", Left, 12, 12, false, false, 30, "first 12 digits of the id";
    Image, "image", "IMAGE", Left, 14, 40, true, false, 8, "image as it was asked for";
    Status, "status", "STATUS", Left, 15, 24, true, false, 2, "state, age, exit code, out-of-memory kills (sorts by what needs attention)";
    Cuda, "cuda", "CUDA", Left, 7, 7, false, false, 3, "whether it runs here: its CUDA, or the rule against it (failures first)";
    Health, "health", "HEALTH", Left, 9, 9, false, false, 31, "what the image's health check says";
    Gpus, "gpus", "GPUS given→used", Left, 8, 19, true, true, 1, "GPUs granted and GPUs its processes hold";
    GpuMemory, "gpu-mem", "GPU MEM", Right, 7, 7, false, true, 5, "GPU memory its processes hold";
    Sm, "sm", "SM%", Right, 4, 4, false, true, 7, "SM utilization, mean over its used GPUs";
    Cpu, "cpu", "CPU%", Right, 6, 6, false, true, 4, "CPU; one core = 100 %";
    Memory, "mem", "MEM", Right, 6, 6, false, true, 6, "memory less inactive file cache, as docker stats";
    MemoryPercent, "mem-percent", "MEM%", Right, 5, 5, false, true, 16, "memory by its limit";
    MemoryLimit, "mem-limit", "MEM LIM", Right, 7, 7, false, true, 20, "memory limit";
    NetRx, "net-rx", "NET ↓/s", Right, 7, 7, false, true, 10, "received over all interfaces, a second";
    NetTx, "net-tx", "NET ↑/s", Right, 7, 7, false, true, 11, "sent over all interfaces, a second";
    BlockRead, "block-read", "READ/s", Right, 7, 7, false, true, 12, "read from block devices, a second";
    BlockWrite, "block-write", "WRITE/s", Right, 7, 7, false, true, 13, "written to block devices, a second";
    Pids, "pids", "PIDS", Right, 5, 5, false, true, 14, "processes and threads";
    Restarts, "restarts", "RST", Right, 4, 4, false, true, 15, "restarts by its policy";
    OomKills, "oom-kills", "OOM", Right, 4, 4, false, true, 17, "processes the kernel killed for memory inside it";
    Ports, "ports", "PORTS", Left, 8, 30, true, false, 18, "published and exposed ports";
    Project, "project", "PROJECT", Left, 7, 20, true, false, 21, "Compose project";
    Service, "service", "SERVICE", Left, 7, 20, true, false, 22, "Compose service";
    Command, "command", "COMMAND", Left, 10, 50, true, false, 25, "command line";
    Created, "created", "CREATED", Right, 7, 7, false, true, 23, "age since it was created";
    Users, "users", "USER", Left, 5, 14, true, false, 19, "users whose processes hold its GPUs";
    ShmSize, "shm", "SHM", Right, 5, 5, false, true, 26, "size of /dev/shm";
}

impl Column {
    /// What is shown when nobody chose.
    pub const DEFAULT: &[Column] = &[
        Column::Name,
        Column::Image,
        Column::Status,
        Column::Cuda,
        Column::Gpus,
        Column::GpuMemory,
        Column::Sm,
        Column::Cpu,
        Column::Memory,
        Column::NetRx,
        Column::NetTx,
        Column::BlockRead,
        Column::BlockWrite,
        Column::Pids,
        Column::Restarts,
        Column::Users,
        Column::Ports,
    ];

    /// Whether it shows something of GPUs: meaningless on a machine that has none.
    pub fn is_gpu(self) -> bool {
        matches!(
            self,
            Self::Cuda | Self::Gpus | Self::GpuMemory | Self::Sm | Self::Users
        )
    }
}

/// All that a cell is made from.
pub struct CellInput<'a> {
    pub world: &'a World,
    pub verdicts: &'a Verdicts,
    pub row: &'a Row,
    /// Its GPUs; `None` where nothing was joined.
    pub gpus: Option<&'a ContainerGpus>,
    /// A running command's word, as `stopping`.
    pub pending: Option<&'static str>,
    pub now: Stamp,
}

impl<'a> CellInput<'a> {
    pub fn new(
        world: &'a World,
        verdicts: &'a Verdicts,
        key: &ContainerKey,
        row: &'a Row,
        now: Stamp,
    ) -> Self {
        Self {
            world,
            verdicts,
            row,
            gpus: world
                .joined
                .containers
                .get(key)
                .filter(|_| world.joinable()),
            pending: None,
            now,
        }
    }

    /// Writes the cell's text into `out` and says how it is meant.
    pub fn write(&self, column: Column, out: &mut String) -> Tone {
        let row = self.row;
        let container = &row.container;
        let usage = row.usage.as_ref();
        match column {
            Column::Name => text(out, &container.name, Tone::Strong),
            Column::Id => {
                put(out, format_args!("{}", container.key.id.short()));
                Tone::Dim
            }
            Column::Image => text(out, &container.image, Tone::Text),
            Column::Status => self.status(out),
            Column::Cuda => match self.verdicts.container_badge(container) {
                Some((badge, tone)) => text(out, badge, tone),
                // A dash would say that there is no CUDA in it.
                None => Tone::Dim,
            },
            Column::Health => health(out, container.health),
            Column::Gpus => self.gpus(out),
            Column::GpuMemory => bytes(out, self.gpus.and_then(|g| g.memory_used_bytes())),
            Column::Sm => match self.gpus.and_then(|g| g.sm_percent()) {
                Some(sm) => {
                    put(out, format_args!("{sm}%"));
                    Tone::Text
                }
                None => absent(out),
            },
            Column::Cpu => match usage.and_then(|u| u.cpu_percent) {
                Some(cpu) => {
                    put(out, format_args!("{}", Percent(cpu)));
                    Tone::Text
                }
                None => absent(out),
            },
            Column::Memory => bytes(out, usage.and_then(|u| u.memory_used_bytes)),
            Column::MemoryPercent => match self.memory_share() {
                Some(share) => {
                    put(out, format_args!("{}", Percent(share * 100.0)));
                    if share >= 0.9 { Tone::Warn } else { Tone::Text }
                }
                None => absent(out),
            },
            Column::MemoryLimit => match container.detail.as_ref().map(|d| d.memory_limit_bytes) {
                Some(None) => text(out, "none", Tone::Dim),
                Some(limit) => bytes(out, limit),
                None => absent(out),
            },
            Column::NetRx => rate(out, row.rates.network_rx),
            Column::NetTx => rate(out, row.rates.network_tx),
            Column::BlockRead => rate(out, row.rates.block_read),
            Column::BlockWrite => rate(out, row.rates.block_write),
            Column::Pids => number(out, usage.and_then(|u| u.pids), Tone::Text),
            Column::Restarts => {
                let count = container.detail.as_ref().and_then(|d| d.restart_count);
                number(
                    out,
                    count,
                    if count > Some(0) {
                        Tone::Warn
                    } else {
                        Tone::Dim
                    },
                )
            }
            Column::OomKills => {
                let count = usage.and_then(|u| u.oom_kills);
                number(
                    out,
                    count,
                    if count > Some(0) {
                        Tone::Bad
                    } else {
                        Tone::Dim
                    },
                )
            }
            Column::Ports => ports(out, &container.ports),
            Column::Project => match &container.compose {
                Some(compose) => text(out, &compose.project, Tone::Text),
                None => absent(out),
            },
            Column::Service => match &container.compose {
                Some(compose) => text(out, &compose.service, Tone::Text),
                None => absent(out),
            },
            Column::Command => text(out, &mask_command(&container.command), Tone::Dim),
            Column::Created => match container.created_at {
                Some(at) => {
                    put(out, format_args!("{}", Age(between(at, self.now.wall))));
                    Tone::Dim
                }
                None => absent(out),
            },
            Column::Users => self.users(out),
            Column::ShmSize => bytes(
                out,
                container.detail.as_ref().and_then(|d| d.shm_size_bytes),
            ),
        }
    }

    pub(super) fn memory_share(&self) -> Option<f64> {
        let usage = self.row.usage.as_ref()?;
        let limit = usage.memory_limit_bytes.filter(|l| *l > 0)?;
        Some(usage.memory_used_bytes? as f64 / limit as f64)
    }

    fn users(&self, out: &mut String) -> Tone {
        let start = out.len();
        let Some(gpus) = self.gpus else {
            return absent(out);
        };
        let mut seen: Vec<&str> = Vec::new();
        for process in gpus.used.iter().flat_map(|u| &u.processes) {
            let user = self.world.joined.processes.get(*process);
            if let Some(user) = user.and_then(|p| p.user.as_deref())
                && !seen.contains(&user)
            {
                seen.push(user);
                if out.len() > start {
                    out.push(',');
                }
                push_clean(out, user);
            }
        }
        if out.len() == start {
            return absent(out);
        }
        Tone::Text
    }

    /// State, age, exit code and what went wrong, in one line.
    fn status(&self, out: &mut String) -> Tone {
        let container = &self.row.container;
        if let Some(pending) = self.pending {
            put(out, format_args!("{pending}…"));
            return Tone::Accent;
        }
        let detail = container.detail.as_deref();
        let up = container.started_at().map(|at| between(at, self.now.wall));
        let mut tone = match container.state {
            ContainerState::Running => {
                match up {
                    Some(up) => put(out, format_args!("up {}", Age(up))),
                    None => lower_status(out, &container.status, "up"),
                }
                Tone::Good
            }
            ContainerState::Paused => {
                match up {
                    Some(up) => put(out, format_args!("paused, up {}", Age(up))),
                    None => out.push_str("paused"),
                }
                Tone::Warn
            }
            ContainerState::Restarting => {
                out.push_str("restarting");
                if let Some(count) = detail.and_then(|d| d.restart_count) {
                    put(out, format_args!(" ×{count}"));
                }
                Tone::Warn
            }
            ContainerState::Exited | ContainerState::Dead => return self.ended(out),
            ContainerState::Created if detail.is_some_and(|d| has_text(d.error.as_deref())) => {
                out.push_str("failed to start");
                Tone::Bad
            }
            other => {
                out.push_str(other.as_str());
                Tone::Dim
            }
        };
        let killed = self.row.usage.as_ref().and_then(|u| u.oom_kills);
        if let Some(killed) = killed.filter(|n| *n > 0) {
            put(out, format_args!(" OOM×{killed}"));
            tone = Tone::Bad;
        }
        if container.health == Some(HealthState::Unhealthy) {
            out.push_str(" unhealthy");
            tone = Tone::Bad;
        }
        tone
    }

    fn ended(&self, out: &mut String) -> Tone {
        let container = &self.row.container;
        let code = container.exit_code();
        let oom = container.oom_killed() == Some(true);
        out.push_str(container.state.as_str());
        if let Some(code) = code {
            put(out, format_args!(" {code}"));
        }
        if oom {
            out.push_str(" OOM");
        }
        if let Some(at) = container.detail.as_ref().and_then(|d| d.finished_at) {
            put(
                out,
                format_args!(" {} ago", Age(between(at, self.now.wall))),
            );
        }
        if oom {
            return Tone::Bad;
        }
        match code {
            // 143 and 130 are what SIGTERM and SIGINT leave: somebody asked for it.
            Some(0 | 130 | 143) => Tone::Dim,
            Some(_) => Tone::Bad,
            None => Tone::Dim,
        }
    }

    fn gpus(&self, out: &mut String) -> Tone {
        let Some(gpus) = self.gpus else {
            return absent(out);
        };
        if gpus.given.is_empty() && gpus.given_as.is_none() && gpus.used.is_empty() {
            return absent(out);
        }
        if gpus.given.is_empty() {
            push_clean(out, gpus.given_as.as_deref().unwrap_or(ABSENT));
        } else {
            gpu_list(out, self.world, gpus.given.iter());
        }
        out.push('→');
        if gpus.used.is_empty() {
            out.push_str(ABSENT);
            return Tone::Dim;
        }
        gpu_list(out, self.world, gpus.used.iter().map(|u| &u.gpu));
        Tone::Text
    }
}

fn has_text(text: Option<&str>) -> bool {
    text.is_some_and(|t| !t.trim().is_empty())
}

fn lower_status(out: &mut String, status: &str, fallback: &str) {
    if status.is_empty() {
        out.push_str(fallback);
    } else {
        let start = out.len();
        push_clean(out, status);
        if let Some(first) = out.get_mut(start..start + 1) {
            first.make_ascii_lowercase();
        }
    }
}

fn absent(out: &mut String) -> Tone {
    out.push_str(ABSENT);
    Tone::Dim
}

fn text(out: &mut String, value: &str, tone: Tone) -> Tone {
    if value.is_empty() {
        return absent(out);
    }
    push_clean(out, value);
    tone
}

fn bytes(out: &mut String, value: Option<u64>) -> Tone {
    match value {
        Some(value) => {
            put(out, format_args!("{}", ShortBytes(value as f64)));
            Tone::Text
        }
        None => absent(out),
    }
}

fn rate(out: &mut String, value: Option<f64>) -> Tone {
    match value {
        Some(value) => {
            put(out, format_args!("{}", ShortBytes(value)));
            if value == 0.0 { Tone::Dim } else { Tone::Text }
        }
        None => absent(out),
    }
}

fn number(out: &mut String, value: Option<u64>, tone: Tone) -> Tone {
    match value {
        Some(value) => {
            put(out, format_args!("{value}"));
            tone
        }
        None => absent(out),
    }
}

fn health(out: &mut String, health: Option<HealthState>) -> Tone {
    match health {
        None => absent(out),
        Some(state) => {
            out.push_str(state.as_str());
            match state {
                HealthState::Healthy => Tone::Good,
                HealthState::Starting => Tone::Warn,
                HealthState::Unhealthy => Tone::Bad,
            }
        }
    }
}

/// Published ports first; the same port bound over IPv4 and IPv6 is said once.
fn ports(out: &mut String, ports: &[crate::model::Port]) -> Tone {
    let start = out.len();
    let published = ports.iter().filter(|p| p.host.is_some());
    let exposed = ports.iter().filter(|p| p.host.is_none());
    let mut last = None;
    for port in published.chain(exposed) {
        let same = (port.host, port.container, port.protocol.as_str());
        if last == Some(same) {
            continue;
        }
        last = Some(same);
        if out.len() > start {
            out.push(' ');
        }
        if let Some(host) = port.host {
            put(out, format_args!("{host}→"));
        }
        put(out, format_args!("{}", port.container));
        if port.protocol != "tcp" {
            out.push('/');
            push_clean(out, &port.protocol);
        }
    }
    if out.len() == start {
        return absent(out);
    }
    Tone::Text
}

/// GPU indices, runs of three and more shortened: `0,1`, `0-7`; MIG instances as `0.1` (the second of GPU 0).
pub fn gpu_list<'a>(out: &mut String, world: &World, gpus: impl Iterator<Item = &'a GpuRef>) {
    let mut whole: Vec<u32> = Vec::new();
    let mut others: Vec<&GpuRef> = Vec::new();
    for gpu in gpus {
        match gpu.index {
            Some(index) if mig_position(world, &gpu.key).is_none() => whole.push(index),
            _ => others.push(gpu),
        }
    }
    whole.sort_unstable();
    whole.dedup();
    let mut first = true;
    let mut comma = |out: &mut String| {
        if !std::mem::replace(&mut first, false) {
            out.push(',');
        }
    };
    let mut rest = whole.as_slice();
    while let Some(start) = rest.first() {
        let run = rest
            .iter()
            .zip(*start..)
            .take_while(|(index, expected)| **index == *expected)
            .count();
        let taken = if run >= 3 { run } else { 1 };
        comma(out);
        put(out, format_args!("{start}"));
        if taken >= 3 {
            put(out, format_args!("-{}", start + taken as u32 - 1));
        }
        rest = rest.get(taken..).unwrap_or(&[]);
    }
    for gpu in others {
        comma(out);
        gpu_label(out, world, &gpu.key);
    }
}

/// What a GPU or MIG instance is called on screen: `0`, `0.1`, else the beginning of its UUID.
pub fn gpu_label(out: &mut String, world: &World, key: &GpuKey) {
    if let Some((parent, position)) = mig_position(world, key) {
        put(out, format_args!("{parent}.{position}"));
        return;
    }
    let index = world
        .gpus
        .iter()
        .flat_map(|s| &s.gpus)
        .find(|g| g.key == *key)
        .and_then(|g| g.index);
    match index {
        Some(index) => put(out, format_args!("{index}")),
        None => {
            let uuid = key.uuid.as_str();
            push_clean(out, uuid.get(..8).unwrap_or(uuid));
        }
    }
}

/// The parent's index and the instance's place under it.
fn mig_position(world: &World, key: &GpuKey) -> Option<(u32, usize)> {
    world.gpus.iter().flat_map(|s| &s.gpus).find_map(|gpu| {
        let place = gpu.mig_instances.iter().position(|m| m.key == *key)?;
        Some((gpu.index?, place))
    })
}
