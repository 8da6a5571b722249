//! One simulated world, seeded and moving: behind `--demo`, and behind the fake engine of the tests.
//!
//! [`DemoHost`] is the machine: every number is a function of the seed, the time passed in and what users
//! did to it. It touches no network, no Docker and no GPU. [`DemoEngine`] gives it the engine's asynchronous
//! face; [`start`] feeds the lanes that GPUs, statistics and procfs feed on a real host.

mod act;
mod cast;
pub mod content;
#[cfg(test)]
mod content_tests;
pub mod elf;
mod engine;
mod facts;
mod gpus;
mod json;
mod made;
mod output;
mod pictures;
mod programs;
mod pulls;
mod random;
mod request;
mod requires;
mod scans;
mod server;
mod shell;
mod source;
pub mod tar;
#[cfg(test)]
mod tests;
mod training;
mod usage;
mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::model::{
    Container, ContainerCommand, ContainerDetail, ContainerKey, EngineEvent, EngineInfo, EventKind,
    GpuSnapshot, HostReport, Image, ImageId, ProcKey, ProcSnapshot, Signal, Stamp, UsageSnapshot,
    XidEvent,
};

pub use act::Acted;
pub use engine::DemoEngine;
pub use output::{LogQuery, LogRecord, Output, frame};
pub use shell::DemoShell;
pub use source::{DemoLanes, DemoThread, start};

/// Why the simulated engine refused, as a real one answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DemoError {
    /// HTTP status.
    pub status: u16,
    /// The daemon's text.
    pub message: String,
}

impl DemoError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn no_such(key: &ContainerKey) -> Self {
        Self::new(404, format!("No such container: {}", key.id))
    }
}

/// An event of the simulated engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoEvent {
    /// When.
    pub time: Timestamp,
    /// The container.
    pub container: ContainerKey,
    /// Its name (the new one, for a rename).
    pub name: String,
    /// Its image.
    pub image: String,
    /// What happened.
    pub kind: EventKind,
    /// For a rename.
    pub old_name: Option<String>,
}

impl DemoEvent {
    /// As the model has it.
    pub fn to_model(&self) -> EngineEvent {
        EngineEvent {
            time: self.time,
            container: Some(self.container),
            name: Some(self.name.clone()),
            kind: self.kind.clone(),
        }
    }
}

struct Shared {
    world: Mutex<world::World>,
    events: broadcast::Sender<DemoEvent>,
}

/// The simulated machine; clones share it, and are equal.
#[derive(Clone)]
pub struct DemoHost {
    shared: Arc<Shared>,
}

impl PartialEq for DemoHost {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for DemoHost {}

impl fmt::Debug for DemoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DemoHost")
    }
}

impl DemoHost {
    /// The machine of this seed; its story is at its middle at `start`.
    pub fn new(seed: u64, start: Stamp) -> Self {
        Self {
            shared: Arc::new(Shared {
                world: Mutex::new(world::World::new(seed, start)),
                events: broadcast::Sender::new(1024),
            }),
        }
    }

    /// The state, with everything up to `now` happened and told. Every reading goes through here.
    fn at(&self, now: Stamp) -> (Guard<'_>, world::T) {
        let mut guard = Guard {
            world: self
                .shared
                .world
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
            events: &self.shared.events,
        };
        let t = guard.world.t(now);
        guard.world.advance(t);
        let t = guard.world.now();
        (guard, t)
    }

    /// Lets time pass up to `now`: due ends, restarts and timers happen, and their events are sent.
    pub fn advance(&self, now: Stamp) {
        drop(self.at(now));
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<DemoEvent> {
        self.shared.events.subscribe()
    }

    /// What was told since a time (as far as it is remembered), and what will be told, without a gap.
    pub fn subscribe_since(
        &self,
        since: Option<Timestamp>,
        now: Stamp,
    ) -> (Vec<DemoEvent>, broadcast::Receiver<DemoEvent>) {
        let (mut guard, _) = self.at(now);
        guard.tell();
        let events = self.shared.events.subscribe();
        let past = since.map_or(Vec::new(), |since| {
            let told = guard.world.events.iter();
            told.filter(|event| event.time >= since).cloned().collect()
        });
        (past, events)
    }

    /// The last events (bounded), oldest first.
    pub fn recent_events(&self, now: Stamp) -> Vec<DemoEvent> {
        self.at(now).0.world.events.iter().cloned().collect()
    }

    /// What the engine says of itself.
    pub fn info(&self) -> EngineInfo {
        facts::info()
    }

    /// All containers, as a list gives them.
    pub fn containers(&self, now: Stamp) -> Vec<Container> {
        let (guard, t) = self.at(now);
        facts::containers(&guard.world, t)
    }

    /// Inspect's facts.
    ///
    /// # Errors
    /// No such container.
    pub fn detail(&self, key: ContainerKey, now: Stamp) -> Result<ContainerDetail, DemoError> {
        let (guard, t) = self.at(now);
        let member = member(&guard.world, &key)?;
        Ok(facts::detail(&guard.world, member, t))
    }

    /// The images.
    pub fn images(&self, now: Stamp) -> Vec<Image> {
        let (guard, _) = self.at(now);
        facts::images(&guard.world)
    }

    /// The container list as `GET /containers/json` gives it.
    pub fn list_json(&self, now: Stamp) -> serde_json::Value {
        let (guard, t) = self.at(now);
        json::list(&guard.world, t)
    }

    /// Inspect as the engine gives it.
    ///
    /// # Errors
    /// No such container.
    pub fn inspect_json(
        &self,
        key: ContainerKey,
        now: Stamp,
    ) -> Result<serde_json::Value, DemoError> {
        let (guard, t) = self.at(now);
        let member = member(&guard.world, &key)?;
        Ok(json::inspect(&guard.world, member, t))
    }

    /// The images as `GET /images/json` gives them.
    pub fn images_json(&self, now: Stamp) -> serde_json::Value {
        let (guard, _) = self.at(now);
        json::images(&guard.world)
    }

    /// Image inspect as the engine gives it, by id or tag.
    ///
    /// # Errors
    /// No such image.
    pub fn inspect_image_json(
        &self,
        image: &ImageId,
        now: Stamp,
    ) -> Result<serde_json::Value, DemoError> {
        let (guard, _) = self.at(now);
        json::inspect_image(&guard.world, &image.0)
            .ok_or_else(|| DemoError::new(404, format!("No such image: {}", image.0)))
    }

    /// `GET /info`.
    pub fn info_json(&self, now: Stamp) -> serde_json::Value {
        let (guard, t) = self.at(now);
        json::info(&guard.world, t)
    }

    /// `GET /version`.
    pub fn version_json(&self) -> serde_json::Value {
        json::version()
    }

    /// `GET /containers/ID/stats?stream=false&one-shot=true`.
    ///
    /// # Errors
    /// No such container.
    pub fn stats_json(
        &self,
        key: ContainerKey,
        now: Stamp,
    ) -> Result<serde_json::Value, DemoError> {
        let (guard, t) = self.at(now);
        let member = member(&guard.world, &key)?;
        Ok(json::stats(&guard.world, member, t))
    }

    /// An event as `GET /events` gives it.
    pub fn event_json(&self, event: &DemoEvent) -> serde_json::Value {
        json::event(event)
    }

    /// Acts on a container. [`Acted::Stopping`]: the engine answers when the container has ended; ask
    /// [`DemoHost::is_stopping`] until then.
    ///
    /// # Errors
    /// What a real engine refuses, in its words.
    pub fn act(
        &self,
        key: ContainerKey,
        command: &ContainerCommand,
        now: Stamp,
    ) -> Result<Acted, DemoError> {
        let (mut guard, _) = self.at(now);
        act::act(&mut guard.world, key, command)
    }

    /// Whether a stop, restart or kill is still under way, and when at the latest it will be done.
    pub fn is_stopping(&self, key: ContainerKey, now: Stamp) -> bool {
        let (guard, _) = self.at(now);
        act::is_stopping(&guard.world, key)
    }

    /// Sends a signal to a process, as `kill` does on the host.
    ///
    /// # Errors
    /// The process has ended.
    pub fn signal_process(
        &self,
        process: &ProcKey,
        signal: Signal,
        now: Stamp,
    ) -> Result<(), DemoError> {
        let (mut guard, _) = self.at(now);
        act::signal_process(&mut guard.world, process, signal)
    }

    /// What NVML says.
    pub fn gpus(&self, now: Stamp) -> GpuSnapshot {
        let (guard, t) = self.at(now);
        gpus::snapshot(&guard.world, t, now)
    }

    /// What procfs says of the GPU processes.
    pub fn procs(&self, now: Stamp) -> ProcSnapshot {
        let (guard, t) = self.at(now);
        gpus::procs(&guard.world, t, now)
    }

    /// Xid events of the night so far, oldest first.
    pub fn xids(&self) -> Vec<XidEvent> {
        let world = self
            .shared
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        gpus::xids(&world)
    }

    /// What the containers spend.
    pub fn usage(&self, now: Stamp) -> UsageSnapshot {
        let (guard, t) = self.at(now);
        usage::snapshot(&guard.world, t, now)
    }

    /// What the machine says of itself.
    pub fn report(&self, now: Stamp) -> HostReport {
        let (guard, t) = self.at(now);
        usage::report(&guard.world, t)
    }

    /// A container's log as the engine keeps it: whole lines, oldest first.
    ///
    /// # Errors
    /// No such container.
    pub fn log(
        &self,
        key: ContainerKey,
        query: &LogQuery,
        now: Stamp,
    ) -> Result<Vec<LogRecord>, DemoError> {
        let (guard, t) = self.at(now);
        // The world may have gone on: what is asked for ends at the asker's own time.
        let t = t.min(guard.world.t(now));
        let member = member(&guard.world, &key)?;
        Ok(output::log(&guard.world, member, query, t))
    }

    /// What a container wrote after `from` up to `now`, as an attached client sees it: unfinished lines too.
    ///
    /// # Errors
    /// No such container.
    pub fn written(
        &self,
        key: ContainerKey,
        from: Stamp,
        now: Stamp,
    ) -> Result<Vec<LogRecord>, DemoError> {
        let (guard, t) = self.at(now);
        let (from, t) = (guard.world.t(from), t.min(guard.world.t(now)));
        let member = member(&guard.world, &key)?;
        Ok(output::written(&guard.world, member, from, t))
    }

    /// Whether the container runs.
    pub fn is_live(&self, key: ContainerKey, now: Stamp) -> bool {
        let (guard, _) = self.at(now);
        guard
            .world
            .members
            .get(&key)
            .is_some_and(|m| m.live().is_some())
    }

    /// Whether the container has never run.
    pub fn is_new(&self, key: ContainerKey, now: Stamp) -> bool {
        let (guard, _) = self.at(now);
        let member = guard.world.members.get(&key);
        member.is_some_and(|m| m.runs.is_empty() && m.refused.is_none())
    }

    /// Whether the container has a pseudo-terminal.
    ///
    /// # Errors
    /// No such container.
    pub fn has_tty(&self, key: ContainerKey, now: Stamp) -> Result<bool, DemoError> {
        let (guard, _) = self.at(now);
        Ok(member(&guard.world, &key)?.role.tty)
    }

    /// Runs a command in a container: a shell that answers a handful of commands.
    ///
    /// # Errors
    /// Not running, paused, or no such program in the image (status 400, as Docker 28 answers).
    pub fn exec(
        &self,
        key: ContainerKey,
        command: &[String],
        tty: bool,
        now: Stamp,
    ) -> Result<DemoShell, DemoError> {
        shell::open(self.clone(), key, command, tty, now)
    }

    /// The container whose name or id (or the beginning of it) this is.
    ///
    /// # Errors
    /// None, or several.
    pub fn find(&self, name: &str, now: Stamp) -> Result<ContainerKey, DemoError> {
        let (guard, _) = self.at(now);
        act::find(&guard.world, name)
    }
}

/// The lock; what happened while it was held is told when it is let go.
struct Guard<'a> {
    world: MutexGuard<'a, world::World>,
    events: &'a broadcast::Sender<DemoEvent>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Guard<'_> {
    fn tell(&mut self) {
        for event in self.world.fresh.drain(..) {
            // Nobody listening is no fault.
            let _ = self.events.send(event);
        }
    }
}

fn member<'a>(world: &'a world::World, key: &ContainerKey) -> Result<&'a world::Member, DemoError> {
    world
        .members
        .get(key)
        .ok_or_else(|| DemoError::no_such(key))
}
