//! Containers, details and images as the model has them.

use crate::model::{
    Compose, Container, ContainerDetail, ContainerState, EngineInfo, GpuGrant, HealthState, Image,
    ImageId, Mount, Port,
};

use super::cast::{
    API_VERSION, Asked, CPUS, ENGINE_VERSION, HOST_MEMORY, HOST_NAME, OPERATING_SYSTEM, RUNTIMES,
    Role,
};
use super::pictures::{FETCHED, PICTURES, Picture};
use super::random::Dice;
use super::world::{Cause, Member, T, World};

/// What the simulated engine says of itself.
pub(super) fn info() -> EngineInfo {
    EngineInfo {
        name: "Docker".into(),
        version: ENGINE_VERSION.into(),
        api_version: API_VERSION.into(),
        endpoint: "simulated".into(),
        context: None,
        chosen_by: "--demo".into(),
        host_name: Some(HOST_NAME.into()),
        cpus: Some(CPUS),
        memory_bytes: Some(HOST_MEMORY),
        cgroup_driver: Some("systemd".into()),
        cgroup_version: Some("2".into()),
        platform: Some("linux/amd64".into()),
        operating_system: Some(OPERATING_SYSTEM.into()),
        runtimes: RUNTIMES.iter().map(|name| (*name).to_owned()).collect(),
        default_runtime: Some("runc".into()),
        simulated: true,
        ..EngineInfo::default()
    }
}

/// An image's content id.
pub(super) fn image_id(seed: u64, tag: &str) -> String {
    let hex: String = Dice::new(seed, tag)
        .bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// The image of a tag.
pub(super) fn picture(tag: &str) -> Option<&'static Picture> {
    PICTURES.iter().chain(FETCHED).find(|p| p.tag == tag)
}

/// Life state, in the engine's words.
pub(super) fn state(member: &Member) -> ContainerState {
    if member.paused {
        ContainerState::Paused
    } else if member.live().is_some() {
        ContainerState::Running
    } else if member.again_at.is_some() {
        ContainerState::Restarting
    } else if member.runs.is_empty() {
        ContainerState::Created
    } else {
        ContainerState::Exited
    }
}

/// Health, for images that have a check: the first one comes after half a minute.
pub(super) fn health(member: &Member, t: T) -> Option<HealthState> {
    let run = member.live().filter(|_| member.role.health)?;
    Some(if run.elapsed(t) < 30_000 {
        HealthState::Starting
    } else {
        HealthState::Healthy
    })
}

/// Exit code of the last run.
pub(super) fn exit_code(member: &Member) -> i64 {
    match &member.refused {
        Some((_, code)) => *code,
        None => member.run().and_then(|r| r.end).map_or(0, |end| end.code),
    }
}

/// The status line, as the engine words it.
pub(super) fn status(member: &Member, t: T) -> String {
    let ago = |at: T| human_duration((t - at) / 1000);
    let ended = member
        .run()
        .and_then(|run| run.end)
        .map_or(member.created, |e| e.at);
    match state(member) {
        ContainerState::Created => "Created".into(),
        ContainerState::Running | ContainerState::Paused => {
            let up = member.run().map_or(member.created, |run| run.start);
            let tail = match (member.paused, health(member, t)) {
                (true, _) => " (Paused)",
                (_, Some(HealthState::Starting)) => " (health: starting)",
                (_, Some(HealthState::Healthy)) => " (healthy)",
                (_, Some(HealthState::Unhealthy)) => " (unhealthy)",
                (_, None) => "",
            };
            format!("Up {}{tail}", ago(up))
        }
        ContainerState::Restarting => {
            format!("Restarting ({}) {} ago", exit_code(member), ago(ended))
        }
        _ => format!("Exited ({}) {} ago", exit_code(member), ago(ended)),
    }
}

/// The engine's coarse way to tell a duration (go-units `HumanDuration`).
fn human_duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ => format!("{} months", hours / 24 / 30),
    }
}

/// The command line as the list shows it.
pub(super) fn command_line(role: &Role) -> String {
    let words: Vec<&str> = role
        .entrypoint
        .iter()
        .chain(role.command)
        .copied()
        .collect();
    words.join(" ")
}

/// All containers, newest first, as the list gives them.
pub(super) fn containers(world: &World, t: T) -> Vec<Container> {
    by_age(world)
        .into_iter()
        .map(|member| container(world, member, t))
        .collect()
}

/// Newest first.
pub(super) fn by_age(world: &World) -> Vec<&Member> {
    let mut members: Vec<&Member> = world.members.values().collect();
    members.sort_by_key(|m| (std::cmp::Reverse(m.created), m.role.name));
    members
}

fn container(world: &World, member: &Member, t: T) -> Container {
    let role = member.role;
    Container {
        key: member.key,
        name: member.name.clone(),
        image: role.image.to_owned(),
        image_id: ImageId(image_id(world.seed, role.image).into()),
        command: command_line(role),
        state: state(member),
        status: status(member, t),
        health: health(member, t),
        // The list counts whole seconds.
        created_at: jiff::Timestamp::from_second(world.wall(member.created).as_second()).ok(),
        compose: role.compose.map(|(project, service)| Compose {
            project: project.into(),
            service: service.into(),
        }),
        ports: ports(role, member.live().is_some()),
        detail: None,
    }
}

/// Ports as the list shows them: only while it runs.
fn ports(role: &Role, live: bool) -> Vec<Port> {
    if !live {
        return Vec::new();
    }
    let port = |container: u16, host: Option<u16>, ip: Option<&str>| Port {
        container,
        host,
        ip: ip.map(str::to_owned),
        protocol: "tcp".into(),
    };
    role.ports
        .iter()
        .flat_map(|(inside, outside)| match outside {
            Some(outside) => vec![
                port(*inside, Some(*outside), Some("0.0.0.0")),
                port(*inside, Some(*outside), Some("::")),
            ],
            None => vec![port(*inside, None, None)],
        })
        .collect()
}

/// Inspect's facts.
pub(super) fn detail(world: &World, member: &Member, _t: T) -> ContainerDetail {
    let role = member.role;
    let run = member.run();
    let end = run.and_then(|run| run.end);
    let visible = role
        .env
        .iter()
        .find_map(|entry| entry.strip_prefix("NVIDIA_VISIBLE_DEVICES="));
    ContainerDetail {
        pid: member.live().map(|run| run.pid),
        started_at: run.map(|run| world.wall(run.start)),
        finished_at: end.map(|end| world.wall(end.at)),
        // The 0 that inspect shows while it runs is of no run.
        exit_code: member.live().is_none().then(|| exit_code(member)),
        oom_killed: Some(end.is_some_and(|end| end.cause == Cause::Oom)),
        error: member.refused.as_ref().map(|(text, _)| text.clone()),
        restart_count: Some(member.restarts),
        shm_size_bytes: Some(role.shm),
        grant: match role.asked {
            Asked::Nothing => None,
            Asked::All => Some(GpuGrant::All),
            Asked::Devices(ids) => Some(GpuGrant::Devices(
                ids.iter().map(|id| (*id).into()).collect(),
            )),
        },
        visible_devices_env: visible.map(str::to_owned),
        tty: role.tty,
        log_driver: Some("json-file".into()),
        runtime: Some("runc".into()),
        memory_limit_bytes: (role.memory_limit > 0).then_some(role.memory_limit),
        cgroup_parent: None,
        pid_mode: None,
        network_mode: Some(network(role)),
        mounts: role
            .mounts
            .iter()
            .map(|(source, target, writable)| Mount {
                source: mount_source(source),
                target: (*target).into(),
                writable: *writable,
            })
            .collect(),
        env: role.env.iter().map(|entry| (*entry).to_owned()).collect(),
    }
}

/// A mount's place on the host: volumes lie below the engine's folder.
pub(super) fn mount_source(source: &str) -> String {
    if source.starts_with('/') {
        source.to_owned()
    } else {
        format!("/var/lib/docker/volumes/{source}/_data")
    }
}

/// The network a container is in.
pub(super) fn network(role: &Role) -> String {
    role.compose
        .map_or("bridge".into(), |(project, _)| format!("{project}_default"))
}

/// What is in the store: what was always there, and what was fetched.
pub(super) fn store(world: &World) -> impl Iterator<Item = &'static Picture> {
    PICTURES.iter().chain(world.pulled.iter().copied())
}

/// The store's images.
pub(super) fn images(world: &World) -> Vec<Image> {
    store(world)
        .map(|p| Image {
            id: ImageId(image_id(world.seed, p.tag).into()),
            tags: vec![p.tag.to_owned()],
            size_bytes: Some(p.size),
            created_at: jiff::Timestamp::from_second(built(world, p).as_second()).ok(),
            containers: Some(users(world, p.tag)),
        })
        .collect()
}

/// When an image was built.
pub(super) fn built(world: &World, picture: &Picture) -> jiff::Timestamp {
    let hour = Dice::new(world.seed, picture.tag).below(99, 20_000) as i64;
    world.wall(-(picture.age_days * 86_400 + hour) * 1000)
}

/// Containers made from an image.
pub(super) fn users(world: &World, tag: &str) -> u64 {
    world
        .members
        .values()
        .filter(|m| m.role.image == tag)
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::human_duration;

    #[test]
    fn durations_read_as_the_engine_words_them() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3_000, "50 minutes"),
            (3_600, "About an hour"),
            (33_119, "9 hours"),
            (2 * 86_400 + 3 * 3600, "2 days"),
            (20 * 86_400, "2 weeks"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }
}
