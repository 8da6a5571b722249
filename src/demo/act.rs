//! What users do to the machine, and what comes of it: the engine's rules and words.

use crate::model::{ContainerCommand, ContainerKey, EventKind, ProcKey, Signal};

use super::cast::{Asked, Program};
use super::programs::{self, KERNEL, RANK_1};
use super::world::{Cause, Doom, World, lost_since};
use super::{DemoError, DemoEvent, gpus, made};

/// What came of an action at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Done.
    Done,
    /// Nothing to do (HTTP 304).
    Unchanged,
    /// The container was told to end and has not yet.
    Stopping,
}

/// Acts at the world's present time.
pub(super) fn act(
    world: &mut World,
    key: ContainerKey,
    command: &ContainerCommand,
) -> Result<Acted, DemoError> {
    if !world.members.contains_key(&key) {
        return Err(DemoError::no_such(&key));
    }
    match command {
        ContainerCommand::Start => start(world, key),
        ContainerCommand::Stop { grace } => stop(world, key, grace.map(|g| g.as_millis()), false),
        ContainerCommand::Restart { grace } => stop(world, key, grace.map(|g| g.as_millis()), true),
        ContainerCommand::Pause => pause(world, key),
        ContainerCommand::Unpause => unpause(world, key),
        ContainerCommand::Kill { signal } => kill(world, key, *signal),
        ContainerCommand::Remove { force, .. } => remove(world, key, *force),
        ContainerCommand::Rename { to } => rename(world, key, to),
    }
}

/// Whether an end that was asked for has not come yet.
pub(super) fn is_stopping(world: &World, key: ContainerKey) -> bool {
    world
        .members
        .get(&key)
        .is_some_and(|m| m.live().is_some() && m.doom.is_some_and(|d| d.stopping))
}

fn is_live(world: &World, key: ContainerKey) -> bool {
    world.members.get(&key).is_some_and(|m| m.live().is_some())
}

fn is_paused(world: &World, key: ContainerKey) -> bool {
    world.members.get(&key).is_some_and(|m| m.paused)
}

fn start(world: &mut World, key: ContainerKey) -> Result<Acted, DemoError> {
    if is_paused(world, key) {
        return Err(DemoError::new(
            409,
            "cannot start a paused container, try unpause instead",
        ));
    }
    if is_live(world, key) {
        return Ok(Acted::Unchanged);
    }
    let now = world.now();
    let lost = now >= lost_since();
    let Some(member) = world.members.get_mut(&key) else {
        return Err(DemoError::no_such(&key));
    };
    member.stopped_by_user = false;
    if let Asked::Devices(ids) = member.role.asked
        && lost
        && ids.contains(&"3")
    {
        // The toolkit cannot find a card that fell off the bus; the engine tells its hook's words.
        let text = made::unknown_device("3");
        member.refused = Some((text.clone(), 128));
        return Err(DemoError::new(500, text));
    }
    if let Some(text) = made::refusal(world, key) {
        if let Some(member) = world.members.get_mut(&key) {
            member.refused = Some((text.clone(), 128));
        }
        return Err(DemoError::new(500, text));
    }
    world.run_again(key, now);
    Ok(Acted::Done)
}

fn stop(
    world: &mut World,
    key: ContainerKey,
    grace_ms: Option<u128>,
    restart: bool,
) -> Result<Acted, DemoError> {
    let now = world.now();
    if !is_live(world, key) {
        if let Some(member) = world.members.get_mut(&key) {
            member.again_at = None;
        }
        if !restart {
            return Ok(Acted::Unchanged);
        }
        start(world, key)?;
        world.tell(now, key, EventKind::Restart);
        return Ok(Acted::Done);
    }
    let Some(member) = world.members.get_mut(&key) else {
        return Err(DemoError::no_such(&key));
    };
    member.stopped_by_user = !restart;
    let (signal, number) = match member.role.program {
        // The postgres image's STOPSIGNAL.
        Program::Postgres => (Signal("INT"), "2"),
        _ => (Signal("TERM"), "15"),
    };
    let own = member.role.stop_timeout.unwrap_or(10) * 1000;
    let grace = grace_ms.map_or(own, |g| u64::try_from(g).unwrap_or(u64::MAX));
    let kill_at = now.saturating_add(i64::try_from(grace).unwrap_or(i64::MAX));
    let reaction = member
        .live()
        .and_then(|run| programs::reaction(member.role.program, run, signal, now));
    let (at, code) = reaction.map_or((i64::MAX, 137), |(delay, code)| (now + delay, code));
    let doom = Doom {
        at,
        code,
        cause: Cause::Exit,
        kill_at: (kill_at < at).then_some(kill_at),
        stopping: true,
        restart,
    };
    world.tell(now, key, EventKind::Kill(Some(number.into())));
    thaw_for_end(world, key);
    world.doom(key, doom, true);
    // A grace of 0 ends it now.
    world.advance(now);
    Ok(
        if is_live(world, key) && !restart || is_stopping(world, key) {
            Acted::Stopping
        } else {
            Acted::Done
        },
    )
}

/// The engine resumes a paused container that it was told to end.
fn thaw_for_end(world: &mut World, key: ContainerKey) {
    if is_paused(world, key) {
        let now = world.now();
        world.freeze(key, false);
        if let Some(member) = world.members.get_mut(&key) {
            member.paused = false;
        }
        world.tell(now, key, EventKind::Unpause);
    }
}

fn pause(world: &mut World, key: ContainerKey) -> Result<Acted, DemoError> {
    if !is_live(world, key) {
        return Err(not_running(&key, 409));
    }
    if is_paused(world, key) {
        return Err(DemoError::new(
            409,
            format!("container {} is already paused", key.id),
        ));
    }
    world.freeze(key, true);
    if let Some(member) = world.members.get_mut(&key) {
        member.paused = true;
    }
    world.tell(world.now(), key, EventKind::Pause);
    Ok(Acted::Done)
}

fn unpause(world: &mut World, key: ContainerKey) -> Result<Acted, DemoError> {
    if !is_paused(world, key) {
        return Err(DemoError::new(
            409,
            format!("container {} is not paused", key.id),
        ));
    }
    world.freeze(key, false);
    if let Some(member) = world.members.get_mut(&key) {
        member.paused = false;
    }
    world.tell(world.now(), key, EventKind::Unpause);
    Ok(Acted::Done)
}

fn not_running(key: &ContainerKey, status: u16) -> DemoError {
    DemoError::new(status, format!("container {} is not running", key.id))
}

fn kill(world: &mut World, key: ContainerKey, signal: Signal) -> Result<Acted, DemoError> {
    if !is_live(world, key) {
        return Err(DemoError::new(
            409,
            format!(
                "cannot kill container: {}: container {} is not running",
                key.id, key.id
            ),
        ));
    }
    let number = signal_number(signal)
        .ok_or_else(|| DemoError::new(400, format!("invalid signal: {}", signal.0)))?;
    let now = world.now();
    world.tell(now, key, EventKind::Kill(Some(number.to_string())));
    if matches!(signal.0, "KILL" | "TERM") {
        if let Some(member) = world.members.get_mut(&key) {
            // The engine takes either for the user's wish that it should stay down.
            member.stopped_by_user = true;
        }
        thaw_for_end(world, key);
    }
    signal_main(world, key, signal);
    Ok(Acted::Done)
}

/// What a signal does to a container's main process.
fn signal_main(world: &mut World, key: ContainerKey, signal: Signal) {
    let now = world.now();
    let Some(member) = world.members.get(&key) else {
        return;
    };
    let Some(run) = member.live() else { return };
    match signal.0 {
        "STOP" => world.freeze(key, true),
        "CONT" if !member.paused => world.freeze(key, false),
        "KILL" => {
            let doom = Doom {
                at: now,
                code: 137,
                cause: Cause::Killed,
                kill_at: None,
                stopping: false,
                restart: false,
            };
            // A stop under way keeps its word.
            let doom = Doom {
                stopping: member.doom.is_some_and(|d| d.stopping),
                restart: member.doom.is_some_and(|d| d.restart),
                ..doom
            };
            world.doom(key, doom, false);
            world.advance(now);
        }
        _ => {
            if member.doom.is_none()
                && let Some((delay, code)) =
                    programs::reaction(member.role.program, run, signal, now)
            {
                let doom = Doom {
                    at: now + delay,
                    code,
                    cause: Cause::Exit,
                    kill_at: None,
                    stopping: false,
                    restart: false,
                };
                world.doom(key, doom, true);
            }
        }
    }
}

fn remove(world: &mut World, key: ContainerKey, force: bool) -> Result<Acted, DemoError> {
    let name = world.members.get(&key).map(|m| m.name.clone());
    if is_live(world, key) {
        if !force {
            let (state, hint) = if is_paused(world, key) {
                ("paused", "unpause")
            } else {
                ("running", "stop")
            };
            return Err(DemoError::new(
                409,
                format!(
                    "cannot remove container \"{}\": container is {state}: {hint} the container before \
                     removing or force remove",
                    name.unwrap_or_default()
                ),
            ));
        }
        kill(world, key, Signal("KILL"))?;
    }
    // One that goes with its end is gone already.
    if world.members.contains_key(&key) {
        world.remove(key, world.now());
    }
    Ok(Acted::Done)
}

fn rename(world: &mut World, key: ContainerKey, to: &str) -> Result<Acted, DemoError> {
    let to = to.strip_prefix('/').unwrap_or(to);
    if to.is_empty() {
        return Err(DemoError::new(
            400,
            "Neither old nor new names may be empty",
        ));
    }
    check_new_name(world, to, Some(key))?;
    let time = world.wall(world.now());
    let Some(member) = world.members.get_mut(&key) else {
        return Err(DemoError::no_such(&key));
    };
    let old = std::mem::replace(&mut member.name, to.to_owned());
    let event = DemoEvent {
        time,
        container: key,
        name: to.to_owned(),
        image: member.role.image.to_owned(),
        kind: EventKind::Rename,
        old_name: Some(old),
    };
    world.push(event);
    Ok(Acted::Done)
}

/// Whether a container may be called so: `key` is that of one that is renamed.
pub(super) fn check_new_name(
    world: &World,
    to: &str,
    key: Option<ContainerKey>,
) -> Result<(), DemoError> {
    let mut letters = to.chars();
    let starts_well = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let goes_well = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !starts_well || to.len() < 2 || !letters.all(goes_well) {
        return Err(DemoError::new(
            400,
            format!("Invalid container name ({to}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ));
    }
    if let Some(other) = world.members.values().find(|m| m.name == to) {
        let same = Some(other.key) == key;
        let text = if same {
            "Renaming a container with the same name as its current name".to_owned()
        } else {
            format!(
                "Conflict. The container name \"/{to}\" is already in use by container \"{}\". You have to \
                 remove (or rename) that container to be able to reuse that name.",
                other.key.id
            )
        };
        let status = if same { 400 } else { 409 };
        return Err(DemoError::new(status, text));
    }
    Ok(())
}

/// Sends a signal to a process of the machine: not by way of the engine.
pub(super) fn signal_process(
    world: &mut World,
    process: &ProcKey,
    signal: Signal,
) -> Result<(), DemoError> {
    let now = world.now();
    let held = gpus::holders(world, now);
    let found = held
        .iter()
        .find(|h| h.pid == process.pid && gpus::start_ticks(h.start) == process.start_ticks);
    if found.is_none() {
        return Err(DemoError::new(
            404,
            format!("process {} has ended", process.pid),
        ));
    }
    if world.heartbeat.0 == process.pid {
        if matches!(signal.0, "TERM" | "INT" | "KILL" | "HUP" | "QUIT") {
            world.lose_heartbeat();
        }
        return Ok(());
    }
    let Some((key, nth)) = world.owner_of(process) else {
        return Err(DemoError::new(
            404,
            format!("process {} has ended", process.pid),
        ));
    };
    match nth {
        // The notebook's kernel ignores SIGINT but for the cell it runs; the server starts a fresh one,
        // which holds no GPU until somebody imports torch again.
        KERNEL if matches!(signal.0, "TERM" | "KILL" | "HUP" | "QUIT") => world.lose_worker(key),
        KERNEL => {}
        RANK_1 if matches!(signal.0, "TERM" | "INT" | "KILL" | "HUP" | "QUIT") => {
            world.lose_worker(key);
            let doom = Doom {
                at: now + programs::WORKER_LOST,
                code: 1,
                cause: Cause::WorkerLost,
                kill_at: None,
                stopping: false,
                restart: false,
            };
            world.doom(key, doom, false);
        }
        RANK_1 => {}
        _ => signal_main(world, key, signal),
    }
    Ok(())
}

/// Linux's numbers on x86-64.
fn signal_number(signal: Signal) -> Option<u8> {
    Some(match signal.0 {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        "KILL" => 9,
        "USR1" => 10,
        "USR2" => 12,
        "TERM" => 15,
        "CONT" => 18,
        "STOP" => 19,
        _ => return None,
    })
}

/// Finds a container by name, id, or the beginning of its id.
pub(super) fn find(world: &World, name: &str) -> Result<ContainerKey, DemoError> {
    let none = || DemoError::new(404, format!("No such container: {name}"));
    let bare = name.strip_prefix('/').unwrap_or(name);
    if let Some(member) = world.members.values().find(|m| m.name == bare) {
        return Ok(member.key);
    }
    if bare.is_empty() {
        return Err(none());
    }
    let mut hits = world
        .members
        .keys()
        .filter(|key| key.id.to_string().starts_with(bare));
    match (hits.next(), hits.next()) {
        (Some(key), None) => Ok(*key),
        (Some(_), Some(_)) => Err(DemoError::new(
            400,
            format!("Multiple IDs found with provided prefix: {name}"),
        )),
        _ => Err(none()),
    }
}
