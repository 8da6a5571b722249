//! `midwatch ps`: containers with what they use, as a table or as JSON. Pure: [`World`] in, text out.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::join::{ContainerGpus, GpuRef, GpuUse};
use crate::model::{ContainerKey, DriverStatus, EngineStatus, Problem, mask_command};
use crate::verdict::Answer;
use crate::watch::{Row, World};

use super::format::{UNKNOWN, bytes, cell, percent};
use super::json::{EngineJson, two_decimals};
use super::table::{Align, Table};

/// The `midwatch/ps/v1` document.
#[derive(Debug, Serialize)]
pub struct PsJson<'a> {
    schema: &'static str,
    engine: EngineJson<'a>,
    containers: Vec<ContainerJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ContainerJson<'a> {
    id: String,
    name: &'a str,
    image: &'a str,
    image_id: &'a str,
    state: &'static str,
    status: &'a str,
    health: Option<&'static str>,
    exit_code: Option<i64>,
    oom_killed: Option<bool>,
    created_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    #[serde(serialize_with = "two_decimals")]
    cpu_percent: Option<f64>,
    memory_used_bytes: Option<u64>,
    memory_limit_bytes: Option<u64>,
    network_rx_bytes: Option<u64>,
    network_tx_bytes: Option<u64>,
    block_read_bytes: Option<u64>,
    block_write_bytes: Option<u64>,
    pids: Option<u64>,
    restart_count: Option<u64>,
    oom_kills: Option<u64>,
    shm_size_bytes: Option<u64>,
    compose_project: Option<&'a str>,
    ports: Vec<String>,
    /// Whether the image can run here: `null` until it was checked.
    verdict: Option<&'static str>,
    gpus: GpusJson<'a>,
}

#[derive(Debug, Serialize)]
struct GpusJson<'a> {
    given: Option<Vec<GivenJson<'a>>>,
    given_as: Option<String>,
    used: Option<Vec<UsedJson<'a>>>,
}

#[derive(Debug, Serialize)]
struct GivenJson<'a> {
    uuid: &'a str,
    index: Option<u32>,
}

#[derive(Debug, Serialize)]
struct UsedJson<'a> {
    uuid: &'a str,
    index: Option<u32>,
    memory_used_bytes: Option<u64>,
    sm_percent: Option<u32>,
    processes: Vec<ProcessJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ProcessJson<'a> {
    pid: u32,
    user: Option<&'a str>,
    command: Option<String>,
    memory_used_bytes: Option<u64>,
}

/// The containers to show, by name.
pub fn rows(world: &World, all: bool) -> Vec<&Row> {
    let mut rows: Vec<&Row> = world
        .rows
        .values()
        .filter(|row| all || row.container.state.is_live())
        .collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row| {
            (
                !row.container.state.is_live(),
                row.container.name.clone(),
                row.container.key,
            )
        };
        key(a).cmp(&key(b))
    });
    rows
}

/// What can be said of the containers' images without looking inside any that was not scanned before.
pub type Verdicts = HashMap<ContainerKey, Answer>;

/// The document.
pub fn document<'a>(world: &'a World, all: bool, verdicts: &Verdicts) -> PsJson<'a> {
    PsJson {
        schema: "midwatch/ps/v1",
        engine: EngineJson::of(&world.engine),
        containers: rows(world, all)
            .into_iter()
            .map(|row| container(world, row, verdicts))
            .collect(),
    }
}

fn container<'a>(world: &'a World, row: &'a Row, verdicts: &Verdicts) -> ContainerJson<'a> {
    let it = &row.container;
    let usage = row.usage.as_ref();
    let detail = it.detail.as_deref();
    ContainerJson {
        id: it.key.id.to_string(),
        name: &it.name,
        image: &it.image,
        image_id: &it.image_id.0,
        state: it.state.as_str(),
        status: &it.status,
        health: it.health.map(|h| h.as_str()),
        exit_code: it.exit_code(),
        oom_killed: it.oom_killed(),
        created_at: it.created_at,
        started_at: it.started_at(),
        finished_at: detail.and_then(|d| d.finished_at),
        cpu_percent: usage.and_then(|u| u.cpu_percent),
        memory_used_bytes: usage.and_then(|u| u.memory_used_bytes),
        memory_limit_bytes: usage
            .and_then(|u| u.memory_limit_bytes)
            .or_else(|| detail.and_then(|d| d.memory_limit_bytes)),
        network_rx_bytes: usage.and_then(|u| u.network_rx_bytes),
        network_tx_bytes: usage.and_then(|u| u.network_tx_bytes),
        block_read_bytes: usage.and_then(|u| u.block_read_bytes),
        block_write_bytes: usage.and_then(|u| u.block_write_bytes),
        pids: usage.and_then(|u| u.pids),
        restart_count: detail.and_then(|d| d.restart_count),
        oom_kills: usage.and_then(|u| u.oom_kills),
        shm_size_bytes: detail.and_then(|d| d.shm_size_bytes),
        compose_project: it.compose.as_ref().map(|c| c.project.as_str()),
        ports: it.ports.iter().map(ToString::to_string).collect(),
        verdict: verdicts.get(&it.key).map(|answer| answer.as_str()),
        gpus: gpus(world, row),
    }
}

fn gpus<'a>(world: &'a World, row: &'a Row) -> GpusJson<'a> {
    GpusJson {
        given: given(world, row).map(|given| {
            let one = |gpu: &'a GpuRef| GivenJson {
                uuid: gpu.key.uuid.as_str(),
                index: gpu.index,
            };
            given.iter().map(one).collect()
        }),
        given_as: given_as(row),
        used: used(world, row).map(|used| used.iter().map(|one| used_json(world, one)).collect()),
    }
}

fn used_json<'a>(world: &'a World, used: &'a GpuUse) -> UsedJson<'a> {
    let processes = used
        .processes
        .iter()
        .filter_map(|i| world.joined.processes.get(*i));
    UsedJson {
        uuid: used.gpu.key.uuid.as_str(),
        index: used.gpu.index,
        memory_used_bytes: used.memory_used_bytes,
        sm_percent: used.sm_percent,
        processes: processes
            .map(|process| ProcessJson {
                pid: process.pid,
                user: process.user.as_deref(),
                command: process.command.as_deref().map(mask_command),
                memory_used_bytes: process.memory_used_bytes,
            })
            .collect(),
    }
}

fn given_as(row: &Row) -> Option<String> {
    let grant = row.container.detail.as_ref()?.grant.as_ref()?;
    Some(grant.to_string())
}

fn joined<'a>(world: &'a World, row: &Row) -> Option<&'a ContainerGpus> {
    world.joined.containers.get(&row.container.key)
}

/// GPUs granted; `None` where it is not known which.
fn given<'a>(world: &'a World, row: &Row) -> Option<&'a [GpuRef]> {
    if row.container.detail.as_ref()?.grant.is_none() {
        return Some(&[]);
    }
    if !driver_answers(world) || !world.joinable() {
        return None;
    }
    joined(world, row)
        .map(|gpus| gpus.given.as_slice())
        .filter(|given| !given.is_empty())
}

/// GPUs in use; `None` where it cannot be known.
fn used<'a>(world: &'a World, row: &Row) -> Option<&'a [GpuUse]> {
    if !row.container.state.is_live() {
        return Some(&[]);
    }
    let gpus = world.gpus.as_ref().filter(|_| driver_answers(world))?;
    let simulated = matches!(&world.engine, EngineStatus::Up(info) if info.simulated);
    let seen = gpus.processes.is_empty() || world.procs.is_some();
    let here = simulated || row.local;
    if !seen || !here || world.joined.problem.is_some() {
        return None;
    }
    Some(joined(world, row).map_or(&[], |gpus| gpus.used.as_slice()))
}

fn driver_answers(world: &World) -> bool {
    matches!(
        world.gpus.as_ref().map(|g| &g.driver),
        Some(DriverStatus::Up(_))
    )
}

/// The table.
pub fn table(world: &World, all: bool) -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("IMAGE", Align::Left),
        ("STATUS", Align::Left),
        ("GPUS given→used", Align::Left),
        ("GPU MEM", Align::Right),
        ("SM%", Align::Right),
        ("CPU%", Align::Right),
        ("MEM", Align::Right),
        ("PIDS", Align::Right),
    ]);
    for row in rows(world, all) {
        let usage = row.usage.as_ref();
        let gpus = used(world, row).and_then(|_| joined(world, row));
        table.row([
            row.container.name.clone(),
            row.container.image.clone(),
            status(row),
            gpu_cell(world, row),
            cell(gpus.and_then(ContainerGpus::memory_used_bytes), bytes),
            cell(gpus.and_then(ContainerGpus::sm_percent), |v| {
                format!("{v}%")
            }),
            cell(usage.and_then(|u| u.cpu_percent), percent),
            cell(usage.and_then(|u| u.memory_used_bytes), bytes),
            cell(usage.and_then(|u| u.pids), |v| v.to_string()),
        ]);
    }
    table
}

/// The engine's words, and what they leave out.
fn status(row: &Row) -> String {
    let mut status = row.container.status.clone();
    if row.container.oom_killed() == Some(true) && !row.container.state.is_live() {
        status.push_str(" OOM");
    }
    let inside = row
        .usage
        .as_ref()
        .and_then(|u| u.oom_kills)
        .filter(|n| *n > 0);
    if let Some(kills) = inside {
        status.push_str(&format!(" OOM kills: {kills}"));
    }
    status
}

/// `0,1→0,1`; empty where no GPU is given or used.
fn gpu_cell(world: &World, row: &Row) -> String {
    let given = match given(world, row) {
        Some(given) => indices(given.iter()),
        None => given_as(row).unwrap_or_else(|| UNKNOWN.to_owned()),
    };
    let used = used(world, row).map(|used| indices(used.iter().map(|u| &u.gpu)));
    match (given.as_str(), used.as_deref()) {
        ("", Some("")) => String::new(),
        ("", Some(used)) => format!("{UNKNOWN}→{used}"),
        (given, Some("")) => format!("{given}→{UNKNOWN}"),
        ("", None) => String::new(),
        (UNKNOWN, None) => UNKNOWN.to_owned(),
        (given, None) => format!("{given}→?"),
        (given, Some(used)) => format!("{given}→{used}"),
    }
}

fn indices<'a>(gpus: impl Iterator<Item = &'a GpuRef>) -> String {
    let mut names: Vec<String> = Vec::new();
    for gpu in gpus {
        let name = gpu
            .index
            .map_or_else(|| gpu.key.uuid.to_string(), |i| i.to_string());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

/// What a reader of the table should know beside it.
pub fn notes(world: &World, all: bool) -> Vec<Problem> {
    let mut notes = Vec::new();
    let granted = rows(world, all).iter().any(|row| given_as(row).is_some());
    if let (true, Some(DriverStatus::Down(problem))) =
        (granted, world.gpus.as_ref().map(|g| &g.driver))
    {
        notes.push(problem.clone());
    }
    if driver_answers(world) {
        notes.extend(world.joined.problem.clone());
    }
    notes
}
