//! procfs under a root of the user's choice: whose a process is, when it started, what may be seen at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::text::clean;
use crate::model::{BootId, CgroupOwner, ContainerId, Problem};

use super::{mounts, owner, read};

/// Inode of the machine's first pid namespace (`PROC_PID_INIT_INO` in the kernel's `proc_ns.h`).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The most read of a process's small files, bytes.
const SMALL: usize = 64 << 10;

/// What `/proc/PID/stat` says that we need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The program's name, control characters removed.
    pub comm: String,
    /// Start time in clock ticks after boot.
    pub start_ticks: u64,
}

/// A procfs, and what it lets us see. Buffers are used again.
#[derive(Debug)]
pub struct Procfs {
    root: PathBuf,
    boot: Option<BootId>,
    hidepid: bool,
    namespaced: bool,
    blind: Option<Problem>,
    buffer: Vec<u8>,
}

impl Procfs {
    /// Looks at the procfs at `root`. Never fails: what is wrong is in [`Procfs::blind`].
    pub fn open(root: &Path) -> Self {
        Self::open_as(root, rustix::process::geteuid().is_root())
    }

    /// As [`Procfs::open`]; `privileged`: hidepid does not bind us.
    pub fn open_as(root: &Path, privileged: bool) -> Self {
        let text = |path: &str| read::text(&root.join(path), read::MAX).unwrap_or_default();
        let mountinfo = text("self/mountinfo");
        let first = text("1/cgroup");
        Self {
            root: root.to_owned(),
            boot: BootId::parse(&text("sys/kernel/random/boot_id")),
            hidepid: !privileged && mounts::hides_pids(&mountinfo, root),
            namespaced: first
                .lines()
                .filter_map(owner::path_of)
                .any(|path| path.starts_with("/..")),
            blind: blind(root),
            buffer: Vec::new(),
        }
    }

    /// Its root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// This boot; `None` where the kernel does not tell.
    pub fn boot(&self) -> Option<BootId> {
        self.boot
    }

    /// Whether we live in a cgroup namespace of our own.
    pub fn namespaced(&self) -> bool {
        self.namespaced
    }

    /// Why the host's pids mean nothing here, with the remedy; `None`: they can be looked up.
    pub fn blind(&self) -> Option<&Problem> {
        self.blind.as_ref()
    }

    /// The path of a file of a process.
    pub fn path(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    fn read(&mut self, pid: u32, name: &str) -> io::Result<std::borrow::Cow<'_, str>> {
        let path = self.path(pid, name);
        read::file(&path, &mut self.buffer, SMALL)?;
        Ok(String::from_utf8_lossy(&self.buffer))
    }

    /// Name and start time; `None`: gone or hidden.
    pub fn stat(&mut self, pid: u32) -> Option<Stat> {
        parse_stat(&self.read(pid, "stat").ok()?)
    }

    /// Real uid; `None`: gone or hidden.
    pub fn uid(&mut self, pid: u32) -> Option<u32> {
        let status = self.read(pid, "status").ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("Uid:"))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Which containers its cgroup names.
    pub fn owner(&mut self, pid: u32) -> CgroupOwner {
        let namespaced = self.namespaced;
        match self.read(pid, "cgroup") {
            Ok(text) => owner::owner(&text, namespaced),
            Err(error) => self.missing(&error),
        }
    }

    /// What an error of opening or reading a process's file means for its owner.
    pub fn missing(&self, error: &io::Error) -> CgroupOwner {
        match error.kind() {
            io::ErrorKind::PermissionDenied => CgroupOwner::NotPermitted,
            // hidepid=invisible leaves out even the folder; NVML has just named this pid, so it is there.
            _ if self.hidepid => CgroupOwner::NotPermitted,
            _ => CgroupOwner::Gone,
        }
    }

    /// The text of its cgroup file.
    pub fn cgroup_text(&mut self, pid: u32) -> io::Result<String> {
        Ok(self.read(pid, "cgroup")?.into_owned())
    }

    /// Whether its cgroup names this container's full id: the proof that the container runs here.
    pub fn names(&mut self, pid: u32, id: ContainerId) -> io::Result<bool> {
        Ok(owner::names(&self.read(pid, "cgroup")?, id))
    }

    /// Opens its cgroup file, to be read again and again. The descriptor belongs to this very process: after
    /// its end every read fails, also when the pid is given to another.
    pub fn open_cgroup(&self, pid: u32) -> io::Result<File> {
        File::open(self.path(pid, "cgroup"))
    }
}

/// Field 2 (in brackets; it may hold any character, brackets too) and field 22.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    Some(Stat {
        comm: clean(comm, 64),
        start_ticks: tail.split_ascii_whitespace().nth(19)?.parse().ok()?,
    })
}

/// Whether this procfs shows another pid namespace than the machine's first, the one NVML's pids are of.
fn blind(root: &Path) -> Option<Problem> {
    let what = "cannot match GPU processes to containers".to_owned();
    let text = |path: &str| read::text(&root.join(path), SMALL).ok();
    let Some(status) = text("self/status") else {
        return Some(Problem {
            what,
            why: format!("no procfs at {}", clean(&root.to_string_lossy(), 200)),
            remedy: "mount one there, or name another with --procfs".to_owned(),
        });
    };
    // The first kernel thread has pid 2 in the machine's own namespace and nowhere else.
    let first_thread = text("2/stat").and_then(|stat| parse_stat(&stat));
    if first_thread.is_some_and(|stat| stat.comm == "kthreadd") {
        return None;
    }
    let own = std::fs::read_link(root.join("self/ns/pid")).unwrap_or_default();
    if own == Path::new(FIRST_PID_NAMESPACE) {
        return None;
    }
    // A procfs of a namespace above ours numbers us there first and here last.
    let levels = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .map_or(1, |pids| pids.split_ascii_whitespace().count());
    if levels > 1 {
        return None;
    }
    Some(Problem {
        what,
        why: "midwatch runs in a pid namespace of its own, and the driver's pids are the host's"
            .to_owned(),
        remedy: "start its container with --pid=host, or mount the host's /proc and name it with --procfs"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_after_the_last_bracket() {
        let tail = "S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4711 1 2";
        let stat = parse_stat(&format!("7 (a) b) (c\u{1b}[31m) {tail}")).unwrap();
        assert_eq!(stat.start_ticks, 4711);
        assert_eq!(stat.comm, "a) b) (c");
        assert_eq!(parse_stat("7 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_is_seen_in_the_real_procfs() {
        let mut procfs = Procfs::open(Path::new("/proc"));
        let pid = std::process::id();
        assert!(procfs.boot().is_some());
        assert!(procfs.stat(pid).unwrap().start_ticks > 0);
        assert_eq!(procfs.uid(pid), Some(rustix::process::getuid().as_raw()));
        assert_ne!(procfs.owner(pid), CgroupOwner::Gone);
        assert_eq!(procfs.owner(u32::MAX), CgroupOwner::Gone);
    }
}
