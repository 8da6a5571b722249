//! The host as a launch needs it: engine, GPUs with their last seconds, how GPUs get into containers.

use std::collections::HashMap;

use crate::check::host::{Sources, facts};
use crate::gpu::{XidSeverity, explain as xid_explanation};
use crate::host::Toolkit;
use crate::model::{
    Container, EngineInfo, EngineStatus, Gpu, GpuKey, GpuSnapshot, ProcSnapshot, Stamp, XidEvent,
};
use crate::verdict::facts::HostFacts;
use crate::watch::World;

/// Readings that count as "the last seconds".
const RECENT: usize = 5;
/// How long after an Xid of the card itself it is taken for sick, seconds.
const SICK: i64 = 3600;

/// What is known of the host at this moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostNow {
    /// The engine.
    pub engine: EngineInfo,
    /// NVML's newest picture; `None` before the first.
    pub gpus: Option<GpuSnapshot>,
    /// Highest busy percent of each GPU over the last seconds.
    pub busy: HashMap<GpuKey, u32>,
    /// GPUs that should get no new work, and why.
    pub sick: HashMap<GpuKey, String>,
    /// The GPU processes as procfs tells them, for naming whose they are.
    pub procs: Option<ProcSnapshot>,
    /// The engine's containers, with their details where inspect has told them.
    pub containers: Vec<Container>,
    /// The container toolkit of this machine.
    pub toolkit: Toolkit,
    /// Whether the engine's containers run on this machine.
    pub local: bool,
    /// A container that was granted GPUs runs on this engine.
    pub gives: bool,
    /// Today's month, `2026-11`.
    pub month: String,
}

impl HostNow {
    /// From the world; `None` while the engine is not connected.
    #[must_use]
    pub fn of(world: &World, now: Stamp) -> Option<Self> {
        let EngineStatus::Up(engine) = &world.engine else {
            return None;
        };
        let busy = world.gpu_charts.iter().filter_map(|(key, chart)| {
            let readings = chart.gpu_percent.fine();
            let old = readings.len().saturating_sub(RECENT);
            let highest = readings
                .skip(old)
                .flatten()
                .fold(None, |most: Option<f32>, value| {
                    Some(most.map_or(value, |m| m.max(value)))
                })?;
            Some((key.clone(), highest.round().clamp(0.0, 100.0) as u32))
        });
        let gpus = world.gpus.as_ref();
        let sick = gpus.into_iter().flat_map(|s| &s.gpus).filter_map(|gpu| {
            let why = sickness(gpu, world.xids.iter(), now)?;
            Some((gpu.key.clone(), why))
        });
        Some(Self {
            engine: engine.clone(),
            busy: busy.collect(),
            sick: sick.collect(),
            gpus: world.gpus.clone(),
            procs: world.procs.clone(),
            containers: world
                .rows
                .values()
                .map(|row| row.container.clone())
                .collect(),
            toolkit: world.toolkit.clone().unwrap_or_default(),
            local: world.judgeable(),
            gives: world.gives_gpus(),
            month: now.wall.strftime("%Y-%m").to_string(),
        })
    }

    /// The host as the verdict needs it. Whether the engine can give GPUs at all is left to its own answer:
    /// where its hook lies cannot be seen from outside.
    #[must_use]
    pub fn facts(&self) -> HostFacts {
        facts(&Sources {
            engine: Some(&self.engine),
            gpus: self.gpus.as_ref(),
            toolkit: &self.toolkit,
            local: self.local,
            gives: true,
            month: &self.month,
        })
    }

    /// The GPUs of this machine, where they are the engine's.
    #[must_use]
    pub fn cards(&self) -> &[Gpu] {
        match &self.gpus {
            Some(snapshot) if self.local => &snapshot.gpus,
            _ => &[],
        }
    }
}

/// Why a GPU should get no new work: what its memory says, and the last hour's Xids.
fn sickness<'a>(
    gpu: &Gpu,
    xids: impl DoubleEndedIterator<Item = &'a XidEvent>,
    now: Stamp,
) -> Option<String> {
    if gpu.remapped_rows.is_some_and(|rows| rows.failed) {
        return Some(
            "a row of its memory could not be remapped: the card is due for service".into(),
        );
    }
    if gpu.remapped_rows.is_some_and(|rows| rows.pending) {
        return Some("a row of its memory waits to be remapped: reset the GPU first".into());
    }
    if gpu.compute_mode.as_deref() == Some("Prohibited") {
        return Some("its compute mode is Prohibited".into());
    }
    let recent = xids.rev().find(|event| {
        event.gpu.as_ref() == Some(&gpu.key)
            && now.wall.as_second() - event.time.as_second() <= SICK
            && event
                .xid
                .is_none_or(|xid| xid_explanation(xid).severity >= XidSeverity::Gpu)
    })?;
    let minutes = (now.wall.as_second() - recent.time.as_second()).max(0) / 60;
    Some(match recent.xid {
        Some(xid) => format!("Xid {xid} {minutes} min ago: {}", xid_explanation(xid).name),
        None => format!("the kernel told of a loss {minutes} min ago"),
    })
}
