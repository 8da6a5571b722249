//! Which containers a `/proc/PID/cgroup` names. Pure.
//!
//! Path shapes, each seen on a real machine or in another project's tests (kepler, NeuVector):
//! `/docker/ID`, `docker-ID.scope`, `/PARENT/ID`, `libpod-ID.scope/container`, `libpod-payload-ID`,
//! `cri-containerd-ID.scope`, `…slice:cri-containerd:ID`, `crio-ID.scope`, `/kubepods/…/podUID/ID`, and on
//! old Docker `/ID`. Whatever stands below (`/init.scope`) belongs to the same container.

use crate::model::{CgroupContainer, CgroupOwner, ContainerId, RuntimeKind};

/// Reads all lines. `namespaced`: we live in a cgroup namespace of our own, in which `/` is our own container
/// and not the machine's root.
pub fn owner(text: &str, namespaced: bool) -> CgroupOwner {
    let mut deepest = Vec::new();
    let mut lines = 0;
    let mut at_root = 0;
    for line in text.lines() {
        let Some(path) = path_of(line) else { continue };
        lines += 1;
        at_root += usize::from(path == "/");
        let found = containers(path);
        if found.len() > deepest.len() {
            deepest = found;
        }
    }
    if !deepest.is_empty() {
        CgroupOwner::Containers(deepest)
    } else if namespaced && lines > 0 && at_root == lines {
        CgroupOwner::Hidden
    } else {
        CgroupOwner::Host
    }
}

/// Whether the text names this container anywhere.
pub fn names(text: &str, id: ContainerId) -> bool {
    text.lines()
        .filter_map(path_of)
        .any(|path| containers(path).iter().any(|c| c.id == id))
}

/// The path of a line `N:controllers:path`; the path may hold colons.
pub fn path_of(line: &str) -> Option<&str> {
    let (_, _, path) = fields(line)?;
    Some(path)
}

/// Hierarchy number, controllers and path of a line; a removed cgroup's ` (deleted)` is taken off.
pub fn fields(line: &str) -> Option<(&str, &str, &str)> {
    let mut parts = line.splitn(3, ':');
    let number = parts.next()?;
    let controllers = parts.next()?;
    let path = parts.next()?;
    Some((
        number,
        controllers,
        path.strip_suffix(" (deleted)").unwrap_or(path),
    ))
}

/// The containers on a path, outermost first.
fn containers(path: &str) -> Vec<CgroupContainer> {
    let mut found: Vec<CgroupContainer> = Vec::new();
    let mut parent = "";
    for part in path.split('/').filter(|p| !p.is_empty()) {
        if let Some(container) = container(part, parent)
            && found.last().is_none_or(|last| last.id != container.id)
        {
            found.push(container);
        }
        parent = part;
    }
    found
}

fn container(part: &str, parent: &str) -> Option<CgroupContainer> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let at = name.len().checked_sub(64)?;
    let (head, digits) = name.split_at_checked(at)?;
    let id = ContainerId::parse(digits)?;
    let runtime = if head.is_empty() {
        // An id by itself: Docker's own parent, or (very old Docker) none at all.
        match parent {
            "docker" | "" => RuntimeKind::Docker,
            _ => RuntimeKind::Unnamed,
        }
    } else {
        runtime(head)?
    };
    Some(CgroupContainer { runtime, id })
}

/// The runtime by what stands before the id, its separator included.
fn runtime(head: &str) -> Option<RuntimeKind> {
    let name = head.strip_suffix(['-', ':'])?;
    // `kubepods-….slice:cri-containerd:ID`: containerd given a systemd path by a cgroupfs driver.
    let name = name.rsplit(':').next().unwrap_or(name);
    match name {
        "docker" => Some(RuntimeKind::Docker),
        "libpod" | "libpod-payload" => Some(RuntimeKind::Podman),
        "cri-containerd" | "containerd" | "nerdctl" => Some(RuntimeKind::Containerd),
        "crio" => Some(RuntimeKind::Crio),
        // The monitor of a container lives beside it, on the host.
        "libpod-conmon" | "crio-conmon" => None,
        _ => Some(RuntimeKind::Unnamed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ce82d94d69e1fbbc7feeb66930c69e9b96d9f151f594773e5d0e342741d15437";
    const B: &str = "2fa3e04b676df750842faf017052dd37ea0cc5bc7259a3487a1718c7fe100c94";

    /// Runtime words and ids (as A and B) of a text.
    fn read(text: &str, namespaced: bool) -> String {
        let text = text.replace('A', A).replace('B', B);
        match owner(&text, namespaced) {
            CgroupOwner::Containers(found) => found
                .iter()
                .map(|c| {
                    let id = if c.id.to_string() == A { "A" } else { "B" };
                    format!("{} {id}", c.runtime.as_str())
                })
                .collect::<Vec<_>>()
                .join(", "),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_known_path_shape_names_its_container() {
        let cases = [
            ("12:memory:/docker/A", "docker A"),
            ("13:hugetlb:/system.slice/docker-A.scope", "docker A"),
            ("0::/system.slice/docker-A.scope", "docker A"),
            ("10:net_prio:/A", "docker A"),
            ("0::/docker/A/init.scope", "docker A"),
            ("0::/docker/A (deleted)", "docker A"),
            ("0::/system.slice/docker-A.scope/init.scope", "docker A"),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker-A.scope",
                "docker A",
            ),
            ("0::/training/A", "container A"),
            ("0::/train.slice/docker-A.scope", "docker A"),
            (
                "0::/system.slice/docker-A.scope/kubelet.slice/kubelet-kubepods.slice/x-podeab5_a.slice/cri-containerd-B.scope",
                "docker A, containerd B",
            ),
            ("9:name=systemd:/docker/A/docker/B", "docker A, docker B"),
            (
                "1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podd0511cd2.slice/crio-A.scope",
                "cri-o A",
            ),
            (
                "0::/kubepods.slice/p.slice/crio-A.scope/container",
                "cri-o A",
            ),
            (
                "13:memory:/system.slice/containerd.service/kubepods-besteffort-pod00_18.slice:cri-containerd:A",
                "containerd A",
            ),
            ("0::/system.slice:docker:A", "docker A"),
            (
                "11:blkio:/kubepods/burstable/podf6adb0af-0855-4bab-b25b-c853f18d0ce2/A",
                "container A",
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-A.scope/container",
                "podman A",
            ),
            ("0::/machine.slice/libpod-A.scope/container", "podman A"),
            (
                "0::/system.slice/kepler.service/libpod-payload-A",
                "podman A",
            ),
            ("9:pids:/libpod_parent/libpod-A", "podman A"),
            ("0::/machine.slice/libpod-conmon-A.scope", "Host"),
            ("0::/../A", "container A"),
            ("0::/../docker-A.scope", "docker A"),
            ("0::/system.slice/ssh.service", "Host"),
            ("0::/user.slice/user-1000.slice/session-2.scope", "Host"),
            ("0::/lxc/name", "Host"),
            ("0::/", "Host"),
            ("", "Host"),
            ("nonsense", "Host"),
            ("0::/docker/ce82d94d69e1", "Host"),
            ("0::/docker/Aé", "Host"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, false), expected, "{text}");
        }
    }

    #[test]
    fn the_deepest_line_decides_and_a_namespace_hides_our_own_container() {
        assert_eq!(read("2:cpu:/\n1:pids:/docker/A\n0::/\n", false), "docker A");
        assert_eq!(
            read("2:cpu:/docker/A\n1:pids:/docker/A/docker/B\n", true),
            "docker A, docker B"
        );
        assert_eq!(read("2:cpu:/\n0::/\n", true), "Hidden");
        assert_eq!(read("2:cpu:/\n0::/\n", false), "Host");
        assert_eq!(read("0::/../../system.slice/ssh.service\n", true), "Host");
        assert!(names(
            &format!("0::/docker/{A}"),
            ContainerId::parse(A).unwrap()
        ));
        assert!(!names(
            &format!("0::/docker/{A}"),
            ContainerId::parse(B).unwrap()
        ));
    }
}
