//! What stands in a launch's way besides its GPUs: a name or a port that is taken, a mount that is not there.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::Path;

use crate::launch::{LaunchSpec, MountAsk, PortAsk, PullPolicy};
use crate::model::text::clean;
use crate::model::{Container, Port};

use super::{Conflict, Field, Mend};

/// How far from a taken port a free one is looked for.
const NEAR: u16 = 200;

/// Looks at this machine for a launch.
pub(super) trait Here {
    /// Whether a port of this machine could be listened on.
    fn is_free(&self, ip: Option<IpAddr>, port: u16, protocol: &str) -> bool;
    /// Whether a path is there.
    fn exists(&self, path: &Path) -> bool;
}

/// The machine itself.
pub(super) struct Machine;

impl Here for Machine {
    fn is_free(&self, ip: Option<IpAddr>, port: u16, protocol: &str) -> bool {
        let one = |ip: IpAddr| {
            let error = match protocol {
                "tcp" => TcpListener::bind((ip, port)).err(),
                "udp" => UdpSocket::bind((ip, port)).err(),
                _ => None,
            };
            // A low port of root's, or an address of another family, says nothing.
            error.is_none_or(|e| e.kind() != std::io::ErrorKind::AddrInUse)
        };
        match ip {
            Some(ip) => one(ip),
            None => one(Ipv4Addr::UNSPECIFIED.into()) && one(Ipv6Addr::UNSPECIFIED.into()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        // What may not be looked at may be there.
        !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
    }
}

/// All of them. `here` is `None` where the engine is not on this machine: then its ports and paths are
/// unknown.
pub(super) fn find(
    spec: &LaunchSpec,
    containers: &[Container],
    has_image: bool,
    here: Option<&dyn Here>,
) -> Vec<Conflict> {
    let mut found = Vec::new();
    if spec.image.trim().is_empty() {
        found.push(stop(Field::Image, "no image is named".into(), ""));
    } else if !has_image && spec.pull == Some(PullPolicy::Never) {
        found.push(stop(
            Field::Image,
            format!(
                "{} is not here, and --pull never forbids fetching it",
                clean(&spec.image, 120)
            ),
            "leave --pull never out",
        ));
    }
    found.extend(name(spec, containers));
    let host_network = spec.networks.iter().any(|n| n == "host");
    for (at, port) in spec.ports.iter().enumerate().filter(|_| !host_network) {
        found.extend(ports(at, port, spec, containers, here));
    }
    if let Some(here) = here {
        for (at, mount) in spec.mounts.iter().enumerate() {
            found.extend(mounts(at, mount, here));
        }
    }
    found.extend(shared_memory(spec));
    if spec.rm
        && spec
            .restart
            .is_some_and(|r| r != crate::launch::Restart::No)
    {
        found.push(stop(
            Field::Other,
            "--rm and --restart exclude each other".into(),
            "leave one of them out",
        ));
    }
    if host_network && !spec.ports.is_empty() {
        found.push(warn(
            Field::Port(0),
            "with --network host no port is published: the program listens on this host itself"
                .into(),
            "leave the ports or the network out",
        ));
    }
    found
}

fn stop(field: Field, text: String, remedy: &str) -> Conflict {
    Conflict {
        field,
        stops: true,
        text,
        remedy: remedy.to_owned(),
        mend: None,
    }
}

fn warn(field: Field, text: String, remedy: &str) -> Conflict {
    Conflict {
        stops: false,
        ..stop(field, text, remedy)
    }
}

fn name(spec: &LaunchSpec, containers: &[Container]) -> Option<Conflict> {
    let name = spec.name.as_deref()?;
    let other = containers.iter().find(|c| c.name == name)?;
    let free = (2..1000)
        .map(|n| format!("{name}-{n}"))
        .find(|candidate| !containers.iter().any(|c| c.name == *candidate));
    Some(Conflict {
        mend: free.clone().map(Mend::Name),
        ..stop(
            Field::Name,
            format!(
                "a container ({}) is called {} already",
                other.state,
                clean(name, 64)
            ),
            &free.map_or_else(String::new, |free| {
                format!("call it {free}, or remove the other")
            }),
        )
    })
}

fn ports(
    at: usize,
    ask: &PortAsk,
    spec: &LaunchSpec,
    containers: &[Container],
    here: Option<&dyn Here>,
) -> Option<Conflict> {
    let wanted = ask.host?;
    let ip = ask.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let by = |port| {
        let by = holder(containers, ip, port, &ask.protocol)
            .map(|name| format!("container {name}"))
            .or_else(|| twice(at, spec, ip, port, &ask.protocol))
            .or_else(|| {
                let here = here?;
                (!here.is_free(ip, port, &ask.protocol))
                    .then(|| "a program of this host".to_owned())
            })?;
        Some((port, by))
    };
    let mut all = wanted.first..=wanted.last;
    // Of several host ports for one of the container the engine takes one that is free.
    let (port, by) = match ask.container.first == ask.container.last {
        true => all.try_fold(None, |first, port| by(port).map(|it| first.or(Some(it))))??,
        false => all.find_map(by)?,
    };
    let mend = (wanted.first == wanted.last)
        .then(|| free_near(at, port, ip, spec, containers, here, &ask.protocol))
        .flatten();
    Some(Conflict {
        mend: mend.map(|host| Mend::Port { at, host }),
        ..stop(
            Field::Port(at),
            format!("port {port}/{} is taken by {by}", ask.protocol),
            &mend.map_or_else(
                || "publish another port".to_owned(),
                |host| format!("publish {host} instead"),
            ),
        )
    })
}

/// The container that publishes a port where it would be wanted.
fn holder(
    containers: &[Container],
    ip: Option<IpAddr>,
    port: u16,
    protocol: &str,
) -> Option<String> {
    let takes = |p: &Port| {
        p.host == Some(port) && p.protocol == protocol && same_place(ip, p.ip.as_deref())
    };
    containers
        .iter()
        .find(|c| c.state.is_live() && c.ports.iter().any(takes))
        .map(|c| clean(&c.name, 64))
}

/// Whether two addresses would clash: one of them is every address, or both are the same.
fn same_place(wanted: Option<IpAddr>, bound: Option<&str>) -> bool {
    let bound = bound.and_then(|ip| ip.parse::<IpAddr>().ok());
    match (wanted, bound) {
        (None, _) | (_, None) => true,
        (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
    }
}

/// The same port asked for twice in one launch.
fn twice(
    at: usize,
    spec: &LaunchSpec,
    ip: Option<IpAddr>,
    port: u16,
    protocol: &str,
) -> Option<String> {
    let clashes = |other: &PortAsk| {
        other.protocol == protocol
            && other
                .host
                .is_some_and(|range| (range.first..=range.last).contains(&port))
            && same_place(ip, other.ip.as_deref())
    };
    spec.ports
        .iter()
        .take(at)
        .any(clashes)
        .then(|| "another line of this launch".to_owned())
}

fn free_near(
    at: usize,
    port: u16,
    ip: Option<IpAddr>,
    spec: &LaunchSpec,
    containers: &[Container],
    here: Option<&dyn Here>,
    protocol: &str,
) -> Option<u16> {
    let asked: HashSet<u16> = spec
        .ports
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != at)
        .filter_map(|(_, p)| p.host)
        .flat_map(|range| range.first..=range.last)
        .collect();
    (port.checked_add(1)?..=port.saturating_add(NEAR)).find(|candidate| {
        !asked.contains(candidate)
            && holder(containers, ip, *candidate, protocol).is_none()
            && here.is_none_or(|here| here.is_free(ip, *candidate, protocol))
    })
}

fn mounts(at: usize, mount: &MountAsk, here: &dyn Here) -> Option<Conflict> {
    let source = mount.host_path()?;
    if here.exists(Path::new(source)) {
        return None;
    }
    let shown = clean(source, 200);
    let made = Mend::MakeFolder(source.to_owned());
    Some(match mount {
        // The engine makes it, empty and root's own: seldom what was meant.
        MountAsk::Bind { .. } => Conflict {
            mend: Some(made),
            ..warn(
                Field::Mount(at),
                format!(
                    "{shown} is not there: the engine would make an empty folder owned by root"
                ),
                "make it yourself, or name another path",
            )
        },
        _ => Conflict {
            mend: Some(made),
            ..stop(
                Field::Mount(at),
                format!("{shown} is not there"),
                "make it, or name another path",
            )
        },
    })
}

fn shared_memory(spec: &LaunchSpec) -> Option<Conflict> {
    let shared = spec
        .ipc
        .as_deref()
        .is_some_and(|ipc| ipc == "host" || ipc.starts_with("container:"));
    (shared && spec.shm_bytes.is_some()).then(|| {
        warn(
            Field::Memory,
            "--shm-size has no effect beside --ipc: /dev/shm is the other's".into(),
            "leave one of them out",
        )
    })
}

#[cfg(test)]
mod tests;
