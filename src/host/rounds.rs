//! What one round reads: containers' usage, and the owners of GPU processes. Time is an argument.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    CgroupOwner, ContainerKey, ContainerUsage, HostId, ProcInfo, ProcKey, ProcSnapshot, Stamp,
    UsageSnapshot, UsageSource,
};

use super::cgroup::{CgroupFiles, network_file};
use super::lookup::{Lookup, Question};
use super::mounts::CgroupMounts;
use super::procfs::Procfs;
use super::users::Users;
use super::{owner, read};

/// A share of CPU is told over no less than this: over less it says nothing.
const SHORTEST: Duration = Duration::from_millis(200);

/// A container whose main process is not to be found is said to be elsewhere after this long: it may just
/// have ended, and the engine's word of that be under way.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Descriptors a container may need.
pub const DESCRIPTORS_EACH: usize = 7;

/// Whether a container runs here.
#[derive(Debug)]
enum Place {
    /// Its main process was not found yet; since when it has been looked for.
    Sought(Stamp),
    /// Proven: the main process's cgroup names its full id.
    Here(Box<CgroupFiles>),
    /// It was here and has just ended.
    Ended,
    /// Another process has this pid here, or none.
    Elsewhere,
}

#[derive(Debug)]
struct Tracked {
    key: ContainerKey,
    pid: u32,
    place: Place,
    /// CPU time and when it was read.
    cpu: Option<(u64, Stamp)>,
    percent: Option<f64>,
}

/// All containers looked after.
#[derive(Debug, Default)]
pub struct Containers {
    tracked: Vec<Tracked>,
    mounts: CgroupMounts,
    machine_memory: Option<u64>,
    descriptors: usize,
    buffer: Vec<u8>,
}

impl Containers {
    /// `descriptors`: how many may be kept open; beyond that files are opened for each reading.
    pub fn new(mounts: CgroupMounts, machine_memory: Option<u64>, descriptors: usize) -> Self {
        Self {
            mounts,
            machine_memory,
            descriptors,
            ..Self::default()
        }
    }

    /// Takes the containers to look after. A container with another pid than before has been started anew.
    pub fn set(&mut self, targets: &[(ContainerKey, u32)], now: Stamp) {
        let mut old: HashMap<ContainerKey, Tracked> =
            self.tracked.drain(..).map(|t| (t.key, t)).collect();
        for (key, pid) in targets {
            let kept = old.remove(key).filter(|t| t.pid == *pid);
            self.tracked.push(kept.unwrap_or_else(|| Tracked {
                key: *key,
                pid: *pid,
                place: Place::Sought(now),
                cpu: None,
                percent: None,
            }));
        }
    }

    /// Reads all containers, or (`only_new`) those that have no sample yet.
    pub fn round(
        &mut self,
        procfs: &mut Procfs,
        now: Stamp,
        interval: Duration,
        only_new: bool,
    ) -> UsageSnapshot {
        let mut snapshot = UsageSnapshot {
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            ..UsageSnapshot::default()
        };
        let keep = self.tracked.len().saturating_mul(DESCRIPTORS_EACH) <= self.descriptors;
        for tracked in &mut self.tracked {
            let fresh = matches!(tracked.place, Place::Sought(_));
            if let Place::Sought(since) = tracked.place {
                tracked.place = seek(tracked, since, procfs, &self.mounts, now, keep);
            }
            match &tracked.place {
                Place::Sought(_) | Place::Ended => {}
                Place::Elsewhere => snapshot.not_local.push(tracked.key),
                Place::Here(_) => {
                    if fresh || !only_new {
                        let usage = sample(tracked, self.machine_memory, &mut self.buffer);
                        snapshot.entries.extend(usage);
                    }
                    snapshot.local.push(tracked.key);
                }
            }
        }
        snapshot
    }
}

fn seek(
    tracked: &Tracked,
    since: Stamp,
    procfs: &mut Procfs,
    mounts: &CgroupMounts,
    now: Stamp,
    keep: bool,
) -> Place {
    if procfs.blind().is_some() {
        return Place::Elsewhere;
    }
    match procfs.cgroup_text(tracked.pid) {
        Ok(text) if owner::names(&text, tracked.key.id) => {
            let dirs = mounts.dirs(&text, tracked.key.id);
            let network = network_file(procfs.root(), tracked.pid);
            let files = CgroupFiles::open(&dirs, network, keep);
            // Opened by pid: only if the pid is still that container's are they its files.
            match procfs.names(tracked.pid, tracked.key.id) {
                Ok(true) => Place::Here(Box::new(files)),
                _ => Place::Ended,
            }
        }
        Ok(_) => Place::Elsewhere,
        Err(error) if procfs.missing(&error) == CgroupOwner::NotPermitted => Place::Elsewhere,
        Err(_) if now.since(since) < PATIENCE => Place::Sought(since),
        Err(_) => Place::Elsewhere,
    }
}

fn sample(
    tracked: &mut Tracked,
    machine_memory: Option<u64>,
    buffer: &mut Vec<u8>,
) -> Option<ContainerUsage> {
    let Place::Here(files) = &mut tracked.place else {
        return None;
    };
    // The true moment: a round may be held up between two containers.
    let at = Stamp::now();
    let Some(reading) = files.read(buffer) else {
        tracked.place = Place::Ended;
        return None;
    };
    match (tracked.cpu, reading.cpu_ns) {
        (Some((before, then)), Some(cpu)) => {
            let elapsed = at.since(then);
            if elapsed >= SHORTEST {
                let used = cpu.checked_sub(before);
                tracked.percent = used.map(|ns| percent(ns, elapsed));
                tracked.cpu = Some((cpu, at));
            }
        }
        (_, cpu) => {
            tracked.cpu = cpu.map(|cpu| (cpu, at));
            tracked.percent = None;
        }
    }
    let limit = match (reading.memory_limit_bytes, machine_memory) {
        _ if !reading.limit_read => None,
        (Some(limit), Some(machine)) => Some(limit.min(machine)),
        (None, machine) => machine,
        // v1 writes "no limit" as the highest multiple of a page: no machine has it.
        (Some(limit), None) => Some(limit).filter(|limit| *limit < 1 << 62),
    };
    Some(ContainerUsage {
        key: tracked.key,
        at,
        source: UsageSource::Cgroup,
        cpu_percent: tracked.percent,
        memory_used_bytes: reading.memory_used_bytes,
        memory_limit_bytes: limit,
        network_rx_bytes: reading.network_rx_bytes,
        network_tx_bytes: reading.network_tx_bytes,
        block_read_bytes: reading.block_read_bytes,
        block_write_bytes: reading.block_write_bytes,
        pids: reading.pids,
        oom_kills: reading.oom_kills,
    })
}

/// CPU time over elapsed time; one core is 100.
fn percent(ns: u64, elapsed: Duration) -> f64 {
    ns as f64 / elapsed.as_nanos() as f64 * 100.0
}

/// A GPU process and the descriptor that belongs to it alone.
#[derive(Debug)]
struct Followed {
    info: ProcInfo,
    /// Its cgroup file: reading fails once it has ended, whoever gets its pid.
    cgroup: Option<File>,
    /// What was last read there.
    text: Vec<u8>,
}

/// All GPU processes.
#[derive(Debug)]
pub struct Processes {
    host: HostId,
    followed: Vec<Followed>,
    users: Users,
    /// Names from the directory service; `None`: asked, or not known there either.
    directory: HashMap<u32, Option<Arc<str>>>,
    buffer: Vec<u8>,
    /// What the last snapshot said of answers that are still to come.
    pending: bool,
}

impl Processes {
    /// None yet.
    pub fn new(host: HostId, users: Users) -> Self {
        Self {
            host,
            followed: Vec::new(),
            users,
            directory: HashMap::new(),
            buffer: Vec::new(),
            pending: false,
        }
    }

    /// Takes the pids that hold a GPU; new ones are resolved at once. Whether anything changed.
    pub fn set(&mut self, pids: &[u32], procfs: &mut Procfs, lookup: &Lookup) -> bool {
        let before = self.followed.len();
        self.followed.retain(|f| pids.contains(&f.info.pid));
        let mut changed = self.followed.len() != before;
        for pid in pids {
            if !self.followed.iter().any(|f| f.info.pid == *pid) {
                let new = self.resolve(*pid, procfs, lookup);
                self.followed.push(new);
                changed = true;
            }
        }
        changed
    }

    /// Looks whether they still live and where; follows a pid's next owner. Whether anything changed.
    pub fn round(&mut self, procfs: &mut Procfs, lookup: &Lookup) -> bool {
        let mut changed = false;
        let mut followed = std::mem::take(&mut self.followed);
        for process in &mut followed {
            let now = process
                .cgroup
                .as_ref()
                .and_then(|file| read::again(file, &mut self.buffer).ok());
            match now {
                Some(text) if text == process.text => {}
                Some(text) => {
                    process.text = text.to_owned();
                    let owner = owner::owner(&String::from_utf8_lossy(text), procfs.namespaced());
                    changed |= owner != process.info.owner;
                    process.info.owner = owner;
                }
                None => {
                    let next = self.resolve(process.info.pid, procfs, lookup);
                    if next.info != process.info {
                        *process = next;
                        changed = true;
                    }
                }
            }
        }
        self.followed = followed;
        changed
    }

    fn resolve(&mut self, pid: u32, procfs: &mut Procfs, lookup: &Lookup) -> Followed {
        let nothing = |owner| Followed {
            info: ProcInfo {
                key: None,
                pid,
                uid: None,
                user: None,
                command: None,
                owner,
            },
            cgroup: None,
            text: Vec::new(),
        };
        if procfs.blind().is_some() {
            return nothing(CgroupOwner::Hidden);
        }
        let file = match procfs.open_cgroup(pid) {
            Ok(file) => file,
            Err(error) => return nothing(procfs.missing(&error)),
        };
        let text = match read::again(&file, &mut self.buffer) {
            Ok(text) => text.to_owned(),
            Err(error) => return nothing(procfs.missing(&error)),
        };
        let stat = procfs.stat(pid);
        let uid = procfs.uid(pid);
        // Read last: if this still answers, stat and uid were this very process's.
        if let Err(error) = read::again(&file, &mut self.buffer) {
            return nothing(procfs.missing(&error));
        }
        if let Some(stat) = &stat {
            lookup.ask(Question::Command {
                pid,
                start_ticks: stat.start_ticks,
            });
        }
        let boot = procfs.boot();
        Followed {
            info: ProcInfo {
                key: stat.as_ref().zip(boot).map(|(stat, boot)| ProcKey {
                    host: self.host,
                    boot,
                    pid,
                    start_ticks: stat.start_ticks,
                }),
                pid,
                uid,
                user: uid.map(|uid| self.user(uid, lookup)),
                command: stat.map(|stat| stat.comm.into()),
                owner: owner::owner(&String::from_utf8_lossy(&text), procfs.namespaced()),
            },
            cgroup: Some(file),
            text,
        }
    }

    fn user(&mut self, uid: u32, lookup: &Lookup) -> Arc<str> {
        if let Some(name) = self.users.name(uid) {
            return name;
        }
        match self.directory.get(&uid) {
            Some(Some(name)) => return Arc::clone(name),
            Some(None) => {}
            None => {
                self.directory.insert(uid, None);
                lookup.ask(Question::User(uid));
            }
        }
        uid.to_string().into()
    }

    /// Takes the answers of the lookup. Whether anything changed.
    pub fn answers(&mut self, lookup: &Lookup) -> bool {
        let mut changed = false;
        for (question, answer) in lookup.answers() {
            let Some(answer) = answer else { continue };
            match question {
                Question::Command { pid, start_ticks } => {
                    let same = |f: &&mut Followed| {
                        f.info
                            .key
                            .is_some_and(|k| k.pid == pid && k.start_ticks == start_ticks)
                    };
                    if let Some(process) = self.followed.iter_mut().find(same) {
                        process.info.command = Some(answer);
                        changed = true;
                    }
                }
                Question::User(uid) => {
                    for process in self.followed.iter_mut().filter(|f| f.info.uid == Some(uid)) {
                        process.info.user = Some(Arc::clone(&answer));
                        changed = true;
                    }
                    self.directory.insert(uid, Some(answer));
                }
            }
        }
        // That nothing more is to come is news, too.
        changed || (self.pending && !lookup.pending())
    }

    /// The whole picture.
    pub fn snapshot(&mut self, procfs: &Procfs, lookup: &Lookup, now: Stamp) -> ProcSnapshot {
        self.pending = lookup.pending();
        ProcSnapshot {
            at: now,
            processes: self.followed.iter().map(|f| f.info.clone()).collect(),
            blind: procfs.blind().cloned(),
            pending: self.pending,
        }
    }
}
