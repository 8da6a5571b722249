//! How rows are ordered by a column.

use std::cmp::Ordering;

use super::columns::{CellInput, Column};
use crate::model::{ContainerState, HealthState};

impl CellInput<'_> {
    /// Orders two rows by a column; what has no value comes last, whichever way the order goes.
    pub fn compare(column: Column, a: &Self, b: &Self, reversed: bool) -> Ordering {
        let descending = column.descending() != reversed;
        let by_key = match column {
            Column::Name => Some(a.row.container.name.cmp(&b.row.container.name)),
            Column::Id => Some(a.row.container.key.cmp(&b.row.container.key)),
            Column::Image => Some(a.row.container.image.cmp(&b.row.container.image)),
            Column::Status => Some(attention(a).cmp(&attention(b))),
            Column::Command => Some(a.row.container.command.cmp(&b.row.container.command)),
            _ => None,
        };
        if let Some(order) = by_key {
            return if descending { order.reverse() } else { order };
        }
        if let (Some(text_a), Some(text_b)) = (a.sort_text(column), b.sort_text(column)) {
            return absent_last(text_a, text_b, descending, |x, y| x.cmp(y));
        }
        let (x, y) = (a.sort_number(column), b.sort_number(column));
        absent_last(x, y, descending, |x, y| x.total_cmp(y))
    }

    fn sort_text(&self, column: Column) -> Option<Option<&str>> {
        let container = &self.row.container;
        match column {
            Column::Project => Some(container.compose.as_ref().map(|c| c.project.as_str())),
            Column::Service => Some(container.compose.as_ref().map(|c| c.service.as_str())),
            Column::Health => Some(container.health.map(HealthState::as_str)),
            Column::Users => Some(self.gpus.and_then(|g| {
                let first = g.used.iter().flat_map(|u| &u.processes).next()?;
                self.world.joined.processes.get(*first)?.user.as_deref()
            })),
            _ => None,
        }
    }

    fn sort_number(&self, column: Column) -> Option<f64> {
        let row = self.row;
        let usage = row.usage.as_ref();
        let detail = row.container.detail.as_ref();
        let whole = |value: Option<u64>| value.map(|v| v as f64);
        match column {
            Column::Cuda => {
                let rank = self.verdicts.container_rank(&row.container.key);
                rank.map(f64::from)
            }
            Column::Gpus => self.gpus.and_then(|g| {
                let count = g.used.len() * 1000 + g.given.len();
                (count > 0).then_some(count as f64)
            }),
            Column::GpuMemory => whole(self.gpus.and_then(|g| g.memory_used_bytes())),
            Column::Sm => self.gpus.and_then(|g| g.sm_percent()).map(f64::from),
            Column::Cpu => usage.and_then(|u| u.cpu_percent),
            Column::Memory => whole(usage.and_then(|u| u.memory_used_bytes)),
            Column::MemoryPercent => self.memory_share(),
            Column::MemoryLimit => whole(detail.and_then(|d| d.memory_limit_bytes)),
            Column::NetRx => row.rates.network_rx,
            Column::NetTx => row.rates.network_tx,
            Column::BlockRead => row.rates.block_read,
            Column::BlockWrite => row.rates.block_write,
            Column::Pids => whole(usage.and_then(|u| u.pids)),
            Column::Restarts => whole(detail.and_then(|d| d.restart_count)),
            Column::OomKills => whole(usage.and_then(|u| u.oom_kills)),
            Column::ShmSize => whole(detail.and_then(|d| d.shm_size_bytes)),
            Column::Ports => row
                .container
                .ports
                .first()
                .map(|p| f64::from(p.host.unwrap_or(p.container))),
            Column::Created => row.container.created_at.map(|t| t.as_second() as f64),
            _ => None,
        }
    }
}

fn absent_last<T>(
    a: Option<T>,
    b: Option<T>,
    descending: bool,
    order: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => order(&b, &a),
        (Some(a), Some(b)) => order(&a, &b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// What needs a look comes first: 0 is broken, 9 is of no interest.
fn attention(input: &CellInput<'_>) -> u8 {
    let container = &input.row.container;
    let oom_inside = input.row.usage.as_ref().and_then(|u| u.oom_kills) > Some(0);
    match container.state {
        ContainerState::Dead => 0,
        ContainerState::Restarting => 1,
        _ if container.health == Some(HealthState::Unhealthy) => 1,
        ContainerState::Running if oom_inside => 2,
        ContainerState::Exited if container.oom_killed() == Some(true) => 3,
        ContainerState::Exited if !matches!(container.exit_code(), Some(0 | 130 | 143)) => 4,
        ContainerState::Paused => 5,
        ContainerState::Running => 6,
        ContainerState::Removing | ContainerState::Unknown => 7,
        ContainerState::Created => 8,
        ContainerState::Exited => 9,
    }
}
