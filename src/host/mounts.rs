//! Where the cgroup hierarchies are mounted, and a container's folders in them.
//!
//! Found by type and controller in `self/mountinfo`, never by a fixed path: hosts have v1, v2, or both.

use std::path::{Path, PathBuf};

use crate::model::ContainerId;

use super::owner;

/// A mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// The cgroup that the mount shows as its root.
    root: String,
    /// Where.
    point: PathBuf,
    /// Options of the file system: for v1 its controllers.
    options: Vec<String>,
    /// Whether it is the unified hierarchy.
    v2: bool,
}

/// The cgroup hierarchies of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupMounts {
    mounts: Vec<Mount>,
}

/// A container's folder for one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// The folder.
    pub path: PathBuf,
    /// Whether its files are those of cgroup v2.
    pub v2: bool,
}

/// A container's folders. `None`: no hierarchy with that controller holds this container alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerDirs {
    /// CPU time.
    pub cpu: Option<Dir>,
    /// Memory.
    pub memory: Option<Dir>,
    /// Block I/O.
    pub io: Option<Dir>,
    /// Processes.
    pub pids: Option<Dir>,
}

impl CgroupMounts {
    /// Reads a `mountinfo`.
    pub fn parse(mountinfo: &str) -> Self {
        let mounts = mountinfo
            .lines()
            .filter_map(|line| {
                let entry = Entry::parse(line)?;
                let v2 = entry.kind == "cgroup2";
                (v2 || entry.kind == "cgroup").then(|| Mount {
                    root: unescape(entry.root),
                    point: PathBuf::from(unescape(entry.point)),
                    options: entry.options.split(',').map(ToOwned::to_owned).collect(),
                    v2,
                })
            })
            .collect();
        Self { mounts }
    }

    /// The container's folders, from the text of its main process's cgroup file. A line whose path does not
    /// name the container is not used: its numbers would be those of others too.
    pub fn dirs(&self, cgroup: &str, id: ContainerId) -> ContainerDirs {
        ContainerDirs {
            cpu: self.dir(cgroup, id, "cpuacct"),
            memory: self.dir(cgroup, id, "memory"),
            io: self.dir(cgroup, id, "blkio"),
            pids: self.dir(cgroup, id, "pids"),
        }
    }

    fn dir(&self, cgroup: &str, id: ContainerId, controller: &str) -> Option<Dir> {
        let id = id.to_string();
        let v1 = cgroup
            .lines()
            .filter_map(owner::fields)
            .find(|(_, controllers, _)| controllers.split(',').any(|c| c == controller))
            .and_then(|(_, _, path)| {
                let path = down_to(path, &id)?;
                self.find(path, |m| !m.v2 && m.options.iter().any(|o| o == controller))
            });
        if let Some(path) = v1 {
            return Some(Dir { path, v2: false });
        }
        let (_, _, path) = cgroup
            .lines()
            .filter_map(owner::fields)
            .find(|(number, controllers, _)| *number == "0" && controllers.is_empty())?;
        let path = self.find(down_to(path, &id)?, |m| m.v2)?;
        Some(Dir { path, v2: true })
    }

    /// The folder of a cgroup path under the first fitting mount that shows it.
    fn find(&self, path: &str, fits: impl Fn(&Mount) -> bool) -> Option<PathBuf> {
        self.mounts
            .iter()
            .filter(|m| fits(m))
            .filter_map(|m| {
                let below = match m.root.as_str() {
                    "/" => path,
                    root => path
                        .strip_prefix(root)
                        .filter(|rest| rest.is_empty() || rest.starts_with('/'))?,
                };
                Some(m.point.join(below.trim_start_matches('/')))
            })
            .find(|dir| dir.is_dir())
    }
}

/// The path down to the last part that names the container: below it are parts of the container
/// (`init.scope`, `container`), above it others too.
fn down_to<'p>(path: &'p str, id: &str) -> Option<&'p str> {
    let at = path.rfind(id)?;
    let rest = path.get(at..)?;
    let length = rest.find('/').unwrap_or(rest.len());
    path.get(..at + length)
}

/// One line of a `mountinfo`.
struct Entry<'a> {
    root: &'a str,
    point: &'a str,
    mount_options: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (head, tail) = line.split_once(" - ")?;
        let mut head = head.split(' ').skip(3);
        let mut tail = tail.split(' ');
        Some(Self {
            root: head.next()?,
            point: head.next()?,
            mount_options: head.next()?,
            kind: tail.next()?,
            options: tail.nth(1)?,
        })
    }
}

/// Whether the procfs at `root` hides other users' processes (mount option hidepid; proc(5)).
pub fn hides_pids(mountinfo: &str, root: &Path) -> bool {
    let hides = |entry: &Entry<'_>| {
        entry
            .mount_options
            .split(',')
            .chain(entry.options.split(','))
            .filter_map(|option| option.strip_prefix("hidepid="))
            .any(|level| !matches!(level, "0" | "off"))
    };
    let entries: Vec<Entry<'_>> = mountinfo
        .lines()
        .filter_map(Entry::parse)
        .filter(|e| e.kind == "proc")
        .collect();
    let at = |point: &Path| {
        entries
            .iter()
            .rfind(|e| Path::new(&unescape(e.point)) == point)
    };
    at(root)
        .or_else(|| at(Path::new("/proc")))
        .is_some_and(hides)
}

/// `\040` and its like back to what they stand for.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ce82d94d69e1fbbc7feeb66930c69e9b96d9f151f594773e5d0e342741d15437";

    /// Makes the folders under a temporary root, and gives the mounts with `/R` for that root.
    fn dirs(mountinfo: &str, cgroup: &str, folders: &[&str]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().to_str().unwrap();
        for folder in folders {
            std::fs::create_dir_all(root.path().join(folder.replace("ID", ID))).unwrap();
        }
        let mounts = CgroupMounts::parse(&mountinfo.replace("/R", at));
        let found = mounts.dirs(&cgroup.replace("ID", ID), ContainerId::parse(ID).unwrap());
        [found.cpu, found.memory, found.io, found.pids]
            .into_iter()
            .map(|dir| match dir {
                None => "-".to_owned(),
                Some(dir) => format!(
                    "{}{}",
                    if dir.v2 { "2:" } else { "1:" },
                    dir.path
                        .strip_prefix(at)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace(ID, "ID")
                ),
            })
            .collect()
    }

    #[test]
    fn folders_are_found_by_type_and_controller() {
        let v1 = "33 31 0:30 / /R/ca rw - cgroup cgroup rw,cpu,cpuacct\n\
                  35 31 0:32 / /R/mem rw - cgroup cgroup rw,memory\n\
                  38 31 0:35 / /R/blk rw - cgroup cgroup rw,blkio\n\
                  39 31 0:36 / /R/pids rw - cgroup cgroup rw,pids\n\
                  41 31 0:38 / /R/uni rw - cgroup2 cgroup2 rw\n";
        let lines = "8:pids:/docker/ID\n7:blkio:/docker/ID\n4:memory:/docker/ID/below\n\
                     2:cpu,cpuacct:/docker/ID\n0::/docker/ID\n";
        assert_eq!(
            dirs(
                v1,
                lines,
                &["ca/docker/ID", "mem/docker/ID", "blk/docker/ID"]
            ),
            ["1:ca/docker/ID", "1:mem/docker/ID", "1:blk/docker/ID", "-"]
        );
        // An engine in v2 mode on a v1 machine: the other lines are everybody's.
        let hybrid = "8:pids:/\n7:blkio:/\n4:memory:/\n2:cpuacct:/\n0::/docker/ID\n";
        let all = ["2:uni/docker/ID"; 4];
        assert_eq!(dirs(v1, hybrid, &["uni/docker/ID", "mem", "ca"]), all);
        // Pure v2, a scope with processes below, and a mount that shows a part of the tree.
        let v2 = "29 23 0:26 / /R/fs\\040x rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            dirs(
                v2,
                "0::/machine.slice/libpod-ID.scope/container\n",
                &["fs x/machine.slice/libpod-ID.scope/container"]
            ),
            ["2:fs x/machine.slice/libpod-ID.scope"; 4]
        );
        let part = "29 23 0:26 /system.slice /R/fs rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            dirs(
                part,
                "0::/system.slice/docker-ID.scope\n",
                &["fs/docker-ID.scope"]
            ),
            ["2:fs/docker-ID.scope"; 4]
        );
        assert_eq!(
            dirs(
                part,
                "0::/system.slices/docker-ID.scope\n",
                &["fs/docker-ID.scope"]
            ),
            ["-"; 4]
        );
        assert_eq!(dirs(v2, "0::/\n", &["fs x"]), ["-"; 4]);
        assert_eq!(dirs("", "0::/docker/ID\n", &[]), ["-"; 4]);
    }

    #[test]
    fn hidepid_is_seen_in_either_option_list() {
        let line = |mount: &str, fs: &str| {
            format!("22 25 0:21 / /proc {mount} shared:12 - proc proc {fs}\n")
        };
        let root = Path::new("/proc");
        assert!(hides_pids(&line("rw", "rw,hidepid=2"), root));
        assert!(hides_pids(&line("rw", "rw,hidepid=invisible"), root));
        assert!(hides_pids(&line("rw,hidepid=1", "rw"), root));
        assert!(!hides_pids(&line("rw", "rw,hidepid=0"), root));
        assert!(!hides_pids(&line("rw", "rw,hidepid=off"), root));
        assert!(!hides_pids(&line("rw", "rw"), root));
        // Of two procfs the named one counts.
        let two = format!(
            "{}22 25 0:21 / /host/proc rw - proc proc rw\n",
            line("rw", "rw,hidepid=2")
        );
        assert!(!hides_pids(&two, Path::new("/host/proc")));
        assert!(hides_pids(&two, Path::new("/proc")));
    }
}
