//! Runs `ps` and `gpus`: starts the sources, waits until enough was heard, prints.

use std::time::Duration;

use crate::engine::{Asked, Env};
use crate::inspect::cache::Cache;
use crate::lanes::Waker;
use crate::model::{DriverStatus, HostId, Problem, Stamp};
use crate::trace::Trace;
use crate::watch::{Locality, Watch, WatchConfig, World};

use super::args::GlobalArgs;
use super::ready::{self, Verdict};
use super::{Exit, complain, gather, gpus, json, print, ps, terminal_width, verdicts};

/// The simulated host's night is always the same one.
pub const DEMO_SEED: u64 = 1;

/// Between two rounds: CPU needs two, and somebody waits.
const ROUND: Duration = Duration::from_millis(500);

/// What the options say of the sources.
///
/// # Errors
/// The trace file cannot be made.
pub fn watch_config(global: &GlobalArgs, interval: Duration) -> Result<WatchConfig, Problem> {
    let trace = match &global.trace {
        None => Trace::off(),
        Some(path) => Trace::to_file(path).map_err(|error| Problem {
            what: format!("cannot write timings to {}", path.display()),
            why: error.to_string(),
            remedy: "Give --trace a file that can be made".to_owned(),
        })?,
    };
    Ok(WatchConfig {
        asked: Asked {
            host: global.host.clone(),
            context: global.context.clone(),
        },
        env: Env::from_process(),
        nvml: global.nvml.clone(),
        procfs: global.procfs.clone(),
        sysfs: global.sysfs.clone(),
        interval,
        demo: global.demo.then_some(DEMO_SEED),
        trace,
    })
}

/// `midwatch ps`.
///
/// # Errors
/// The engine cannot be asked.
pub fn run_ps(global: &GlobalArgs, all: bool, as_json: bool) -> Result<Exit, Problem> {
    let (world, watch) = hear(global, |world, began, now| {
        ready::ps(world, all, began, now)
    })?;
    if as_json {
        let verdicts = verdicts::of(
            &world,
            &watch,
            all,
            &Cache::of(global.data_dir.as_deref(), global.demo),
        );
        print(&json::document(&ps::document(&world, all, &verdicts))?)?;
    } else {
        print(ps::table(&world, all).render(terminal_width()).as_bytes())?;
        for note in ps::notes(&world, all) {
            complain(&note);
        }
    }
    Ok(Exit::Done)
}

/// `midwatch gpus`.
///
/// # Errors
/// There is no driver that answers.
pub fn run_gpus(global: &GlobalArgs, as_json: bool) -> Result<Exit, Problem> {
    let (world, _watch) = hear(global, ready::gpus)?;
    if as_json {
        print(&json::document(&gpus::document(&world))?)?;
    } else {
        print(gpus::text(&world, terminal_width()).as_bytes())?;
    }
    // Cards that are there although the driver does not answer were printed: the rest could not be found out.
    match world.gpus.map(|snapshot| snapshot.driver) {
        Some(DriverStatus::Down(problem)) => Err(problem),
        _ => Ok(Exit::Done),
    }
}

/// Starts the sources and folds their news until `verdict` says that it is enough.
///
/// # Errors
/// What `verdict` failed with, or no thread.
pub(super) fn hear(
    global: &GlobalArgs,
    verdict: impl Fn(&World, Stamp, Stamp) -> Verdict,
) -> Result<(World, Watch), Problem> {
    let began = Stamp::now();
    let waker = Waker::new();
    let mut watch =
        Watch::start(watch_config(global, ROUND)?, &waker).map_err(|error| Problem {
            what: "cannot start the sources".to_owned(),
            why: error.to_string(),
            remedy: "See whether the system gives threads (`ulimit -u`)".to_owned(),
        })?;
    let mut world = World::new(HostId::default());
    let hear = |world: &mut World, timeout| {
        waker.wait(Some(timeout));
        let now = Stamp::now();
        watch.drain(world, now);
        if world.locality == Locality::Elsewhere {
            watch
                .control()
                .set_visible(world.rows.keys().copied().collect());
        }
        now
    };
    gather::gather(&mut world, began, hear, |world, now| {
        verdict(world, began, now)
    })?;
    Ok((world, watch))
}
