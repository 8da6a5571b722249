//! When `ps` and `gpus` have heard enough to print. Pure: what is missing at the deadline is printed as unknown.

use std::time::Duration;

use crate::join::Owner;
use crate::model::{ContainerKey, DriverStatus, EngineStatus, Problem, Stamp};
use crate::watch::{Locality, World};

/// For the first answer, without which there is nothing to print: longer than connecting may take.
pub const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// For the other parts, counted from the first answer: two rounds of statistics and one of NVML.
pub const OTHER_PARTS: Duration = Duration::from_millis(2500);

/// Whether to go on waiting.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Something is still to come.
    Wait,
    /// Print.
    Print,
    /// There is nothing to print.
    Fail(Problem),
}

/// Whether `ps` can print. `began` is when the waiting began.
pub fn ps(world: &World, all: bool, began: Stamp, now: Stamp) -> Verdict {
    let EngineStatus::Up(_) = &world.engine else {
        return match &world.engine {
            // Also where it answered and went away: half a picture is not the truth.
            EngineStatus::Down { problem, .. } => Verdict::Fail(problem.clone()),
            _ => wait_for_first(began, now, || no_answer(world)),
        };
    };
    let Some(listed) = world.listed else {
        return wait_for_first(began, now, || no_answer(world));
    };
    let complete = containers_told(world, all) && driver_told(world) && processes_told(world);
    if complete || now.since(listed) >= OTHER_PARTS {
        Verdict::Print
    } else {
        Verdict::Wait
    }
}

/// Whether `gpus` can print.
pub fn gpus(world: &World, began: Stamp, now: Stamp) -> Verdict {
    let Some(snapshot) = &world.gpus else {
        return wait_for_first(began, now, driver_silent);
    };
    match &snapshot.driver {
        DriverStatus::Down(problem) if snapshot.gpus.is_empty() => {
            return Verdict::Fail(problem.clone());
        }
        DriverStatus::Starting => return wait_for_first(began, now, driver_silent),
        DriverStatus::Down(_) | DriverStatus::Up(_) | DriverStatus::Released => {}
    }
    let engine_told = match &world.engine {
        EngineStatus::Up(_) => world.listed.is_some(),
        EngineStatus::Down { .. } => true,
        EngineStatus::Connecting { .. } => false,
    };
    let named = engine_told && processes_told(world) && owners_told(world);
    if named || now.since(began) >= OTHER_PARTS {
        Verdict::Print
    } else {
        Verdict::Wait
    }
}

/// How long GPUs are watched before free ones are chosen.
pub const WATCHED: Duration = Duration::from_millis(2000);

/// Whether a launch can be planned: containers and, where GPUs are wanted, the driver's picture, watched for a
/// moment where free ones are to be chosen.
pub fn launch(world: &World, gpus: bool, free: bool, began: Stamp, now: Stamp) -> Verdict {
    let EngineStatus::Up(info) = &world.engine else {
        return match &world.engine {
            EngineStatus::Down { problem, .. } => Verdict::Fail(problem.clone()),
            _ => wait_for_first(began, now, || no_answer(world)),
        };
    };
    let Some(listed) = world.listed else {
        return wait_for_first(began, now, || no_answer(world));
    };
    let inspected = world
        .rows
        .values()
        .all(|row| row.container.detail.is_some() || !row.container.state.is_live());
    let told = info.platform.is_some() && (!gpus || inspected && world.toolkit.is_some());
    let seen = !gpus || driver_told(world) && processes_told(world);
    let watched = !free || now.since(listed) >= WATCHED;
    let late = now.since(listed) >= OTHER_PARTS.max(WATCHED * 2);
    match told && seen && watched || late {
        true => Verdict::Print,
        false => Verdict::Wait,
    }
}

fn wait_for_first(began: Stamp, now: Stamp, problem: impl FnOnce() -> Problem) -> Verdict {
    if now.since(began) >= FIRST_ANSWER {
        Verdict::Fail(problem())
    } else {
        Verdict::Wait
    }
}

fn no_answer(world: &World) -> Problem {
    let endpoint = match &world.engine {
        EngineStatus::Connecting { endpoint } => endpoint.clone(),
        EngineStatus::Up(info) => info.endpoint.clone(),
        EngineStatus::Down { info, .. } => info
            .as_ref()
            .map(|i| i.endpoint.clone())
            .unwrap_or_default(),
    };
    Problem {
        what: format!("no answer from the Docker engine at {endpoint}"),
        why: format!("nothing came within {} s", FIRST_ANSWER.as_secs()),
        remedy: "See whether `docker version` answers there".to_owned(),
    }
}

fn driver_silent() -> Problem {
    Problem {
        what: "no answer from the NVIDIA driver".to_owned(),
        why: format!("NVML did not come up within {} s", FIRST_ANSWER.as_secs()),
        remedy: "See whether `nvidia-smi` answers, and `sudo dmesg | grep -i nvrm`".to_owned(),
    }
}

/// Inspected, and the running ones with statistics of two rounds.
fn containers_told(world: &World, all: bool) -> bool {
    let elsewhere = world.locality == Locality::Elsewhere;
    super::ps::rows(world, all).into_iter().all(|row| {
        let inspected = row.container.detail.is_some();
        let measured = !row.container.state.is_live()
            || row
                .usage
                .as_ref()
                .is_some_and(|usage| usage.cpu_percent.is_some());
        inspected
            && measured
            && (row.local || elsewhere || !row.container.state.is_live() || simulated(world))
    })
}

fn simulated(world: &World) -> bool {
    matches!(&world.engine, EngineStatus::Up(info) if info.simulated)
}

fn driver_told(world: &World) -> bool {
    world
        .gpus
        .as_ref()
        .is_some_and(|g| g.driver != DriverStatus::Starting)
}

/// procfs was read for every GPU process.
fn processes_told(world: &World) -> bool {
    let Some(gpus) = &world.gpus else {
        return false;
    };
    let read = |pid: u32| {
        world
            .procs
            .as_ref()
            .is_some_and(|procs| procs.get(pid).is_some())
    };
    let blind = world
        .procs
        .as_ref()
        .is_some_and(|procs| procs.blind.is_some());
    let pending = world.procs.as_ref().is_some_and(|procs| procs.pending);
    blind || !pending && gpus.processes.iter().all(|process| read(process.pid))
}

/// No process is left whose container the engine lists although the two were not joined yet.
fn owners_told(world: &World) -> bool {
    world
        .joined
        .processes
        .iter()
        .all(|process| match &process.owner {
            Owner::Foreign { id, .. } => {
                let key = ContainerKey {
                    host: world.host,
                    id: *id,
                };
                !world.rows.contains_key(&key) || world.locality == Locality::Elsewhere
            }
            _ => true,
        })
}
