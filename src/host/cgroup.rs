//! What a container spends, from its cgroup files and its network namespace, read through descriptors that
//! stay open: one system call a number.
//!
//! Meanings are those of `docker stats`: memory is usage less inactive file cache, block I/O what the
//! throttling layer (v1) or io.stat (v2) counts, network the sum over all interfaces but loopback.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::mounts::{ContainerDirs, Dir};
use super::read;

/// Rounds between two readings of everything while no process of the container has run.
const SELDOM: u32 = 5;

/// Rounds between two readings of inactive cache where usage stands, and of a network of loopback alone.
const RARELY: u32 = 10;

/// Rounds between two readings of the memory limit (`docker update` changes it).
const LIMIT_AGAIN: u32 = 30;

/// memory.stat costs the kernel more than all else together. It is read again when usage has moved by a
/// 64th, and by more than the kernel's own play (it charges in lots of 64 pages for each CPU), since it was
/// read, and every few rounds: between, inactive cache is off by no more than that.
const MEMORY_MOVED: u64 = 64;
const MEMORY_PLAY_BYTES: u64 = 1 << 20;

/// Rounds between two searches for the file that counts block I/O, while none does.
const BLOCK_IO_AGAIN: u32 = 30;

/// The v1 files of block I/O, by preference: what all schedulers pass, then BFQ's and CFQ's own.
const V1_BLOCK_IO: [&str; 4] = [
    "blkio.throttle.io_service_bytes_recursive",
    "blkio.throttle.io_service_bytes",
    "blkio.bfq.io_service_bytes_recursive",
    "blkio.io_service_bytes_recursive",
];

/// One reading. What cannot be read is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time used, nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Memory less inactive file cache, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Its own limit, bytes; `None`: no limit, or not readable.
    pub memory_limit_bytes: Option<u64>,
    /// Whether the limit could be read.
    pub limit_read: bool,
    /// Bytes read from block devices.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub block_write_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processes killed for memory.
    pub oom_kills: Option<u64>,
    /// Bytes received; `None` for a container in the host's network.
    pub network_rx_bytes: Option<u64>,
    /// Bytes sent; `None` for a container in the host's network.
    pub network_tx_bytes: Option<u64>,
}

/// A file of numbers.
#[derive(Debug)]
struct Numbers {
    path: PathBuf,
    file: Option<File>,
    v2: bool,
}

impl Numbers {
    /// `None` where the file does not exist or may not be read.
    fn open(dir: Option<&Dir>, v1: &str, v2: &str, keep: bool) -> Option<Self> {
        let dir = dir?;
        let path = dir.path.join(if dir.v2 { v2 } else { v1 });
        Self::at(path, dir.v2, keep)
    }

    fn at(path: PathBuf, v2: bool, keep: bool) -> Option<Self> {
        let file = File::open(&path).ok()?;
        Some(Self {
            path,
            file: keep.then_some(file),
            v2,
        })
    }

    fn read<'b>(&self, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        match &self.file {
            Some(file) => read::again(file, buffer),
            None => read::again(&File::open(&self.path)?, buffer),
        }
    }
}

/// A container's files.
#[derive(Debug)]
pub struct CgroupFiles {
    cpu: Option<Numbers>,
    memory: Option<Numbers>,
    memory_stat: Option<Numbers>,
    memory_limit: Option<Numbers>,
    oom: Option<Numbers>,
    io: Option<Numbers>,
    io_dir: Option<Dir>,
    keep: bool,
    pids: Option<Numbers>,
    network: Option<Numbers>,
    last: Reading,
    /// Inactive file cache, and the usage when it was read.
    inactive: Option<(u64, u64)>,
    /// Whether there is an interface but loopback, as last seen.
    connected: bool,
    round: u32,
}

impl CgroupFiles {
    /// Opens what there is. `network` is the main process's `net/dev`, and `None` in the host's network.
    /// `keep`: hold descriptors (up to seven); else each reading opens the files again.
    pub fn open(dirs: &ContainerDirs, network: Option<PathBuf>, keep: bool) -> Self {
        let memory = dirs.memory.as_ref();
        Self {
            cpu: Numbers::open(dirs.cpu.as_ref(), "cpuacct.usage", "cpu.stat", keep),
            memory: Numbers::open(memory, "memory.usage_in_bytes", "memory.current", keep),
            memory_stat: Numbers::open(memory, "memory.stat", "memory.stat", keep),
            memory_limit: Numbers::open(memory, "memory.limit_in_bytes", "memory.max", false),
            oom: Numbers::open(memory, "memory.oom_control", "memory.events", keep),
            io: dirs.io.as_ref().and_then(|dir| block_io(dir, keep)),
            io_dir: dirs.io.clone(),
            keep,
            pids: Numbers::open(dirs.pids.as_ref(), "pids.current", "pids.current", keep),
            network: network.and_then(|path| Numbers::at(path, false, keep)),
            last: Reading::default(),
            inactive: None,
            connected: true,
            round: 0,
        }
    }

    /// Reads. `None`: the cgroup is gone (the container ended), or nothing of it can be read.
    ///
    /// While no process of the container has run since the last reading, its numbers are taken over, for at
    /// most four rounds: others may still send to it or take memory from it.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> Option<Reading> {
        let cpu_ns = match &self.cpu {
            None => None,
            Some(numbers) => match numbers.read(buffer) {
                Ok(bytes) if numbers.v2 => {
                    read::field(bytes, b"usage_usec").and_then(|us| us.checked_mul(1000))
                }
                Ok(bytes) => read::number(bytes),
                Err(_) => return None,
            },
        };
        let due = self.round.is_multiple_of(SELDOM);
        let rare = self.round.is_multiple_of(RARELY);
        let even = self.round.is_multiple_of(2);
        let limit_due = self.round.is_multiple_of(LIMIT_AGAIN);
        self.round = self.round.wrapping_add(1);
        if cpu_ns.is_some() && cpu_ns == self.last.cpu_ns && !due {
            return Some(self.last);
        }
        let mut reading = Reading {
            cpu_ns,
            memory_used_bytes: self.memory_used(buffer, rare),
            ..self.last
        };
        self.read_io(&mut reading, buffer);
        if rare || self.connected {
            self.read_network(&mut reading, buffer);
        }
        // Counts of processes and of kills can wait a round.
        if even || due {
            reading.pids = first(self.pids.as_ref(), buffer);
        }
        if !even || due {
            reading.oom_kills = self.oom.as_ref().and_then(|numbers| {
                read::field(numbers.read(buffer).unwrap_or_default(), b"oom_kill")
            });
        }
        if limit_due {
            let limit = self
                .memory_limit
                .as_ref()
                .and_then(|numbers| numbers.read(buffer).ok());
            reading.limit_read = limit.is_some();
            reading.memory_limit_bytes = limit.and_then(read::number);
        }
        let nothing = reading
            == Reading {
                memory_limit_bytes: reading.memory_limit_bytes,
                limit_read: reading.limit_read,
                ..Reading::default()
            };
        self.last = reading;
        (!nothing).then_some(reading)
    }

    fn memory_used(&mut self, buffer: &mut Vec<u8>, due: bool) -> Option<u64> {
        let raw = first(self.memory.as_ref(), buffer)?;
        let moved = self.inactive.is_none_or(|(_, then)| {
            raw.abs_diff(then) > MEMORY_PLAY_BYTES.max(then / MEMORY_MOVED)
        });
        if due || moved {
            self.inactive = self.memory_stat.as_ref().and_then(|numbers| {
                let key: &[u8] = if numbers.v2 {
                    b"inactive_file"
                } else {
                    b"total_inactive_file"
                };
                Some((read::field(numbers.read(buffer).ok()?, key)?, raw))
            });
        }
        let (inactive, _) = self.inactive?;
        Some(raw.checked_sub(inactive).unwrap_or(raw))
    }

    fn read_io(&mut self, reading: &mut Reading, buffer: &mut Vec<u8>) {
        let uncounted = self.round > 1 && self.last.block_read_bytes.is_none();
        if uncounted {
            if !self.round.is_multiple_of(BLOCK_IO_AGAIN) {
                return;
            }
            let dir = self.io_dir.as_ref();
            self.io = dir.and_then(|dir| block_io(dir, self.keep));
        }
        let Some(numbers) = &self.io else { return };
        let sums = numbers.read(buffer).ok().and_then(|bytes| {
            if numbers.v2 {
                Some(io_stat(bytes))
            } else {
                service_bytes(bytes)
            }
        });
        reading.block_read_bytes = sums.map(|s| s.0);
        reading.block_write_bytes = sums.map(|s| s.1);
    }

    fn read_network(&mut self, reading: &mut Reading, buffer: &mut Vec<u8>) {
        let Some(numbers) = &self.network else { return };
        let sums = numbers.read(buffer).ok().and_then(net_dev);
        self.connected = sums.is_none_or(|s| s.interfaces > 0);
        reading.network_rx_bytes = sums.map(|s| s.received);
        reading.network_tx_bytes = sums.map(|s| s.sent);
    }
}

/// Sums over the interfaces but loopback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Network {
    interfaces: u32,
    received: u64,
    sent: u64,
}

fn first(numbers: Option<&Numbers>, buffer: &mut Vec<u8>) -> Option<u64> {
    read::number(numbers?.read(buffer).ok()?)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|w| !w.is_empty())
}

/// The v2 file, or the first of v1's that counts a device (which one does is up to the I/O scheduler), else
/// the first there is.
fn block_io(dir: &Dir, keep: bool) -> Option<Numbers> {
    if dir.v2 {
        return Numbers::at(dir.path.join("io.stat"), true, keep);
    }
    let mut found = None;
    for name in V1_BLOCK_IO {
        let Some(numbers) = Numbers::at(dir.path.join(name), false, keep) else {
            continue;
        };
        let counts = numbers
            .read(&mut Vec::new())
            .is_ok_and(|bytes| service_bytes(bytes).is_some());
        if counts {
            return Some(numbers);
        }
        found = found.or(Some(numbers));
    }
    found
}

/// v1: lines `253:0 Read 4096`, and a total without a device. Read and written bytes over all devices; `None`
/// where no device is counted: since Linux 6.10 the throttling layer counts only where a limit is set, and
/// its bare `Total 0` does not mean that nothing was read (`docker stats` prints 0 B then).
fn service_bytes(bytes: &[u8]) -> Option<(u64, u64)> {
    let (mut read, mut written) = (0u64, 0u64);
    let mut counted = false;
    for line in lines(bytes) {
        let mut words = words(line).skip(1);
        let (Some(what), Some(value)) = (words.next(), words.next().and_then(read::number)) else {
            continue;
        };
        match what {
            b"Read" => read = read.saturating_add(value),
            b"Write" => written = written.saturating_add(value),
            _ => {}
        }
        counted = true;
    }
    counted.then_some((read, written))
}

/// v2: lines `253:0 rbytes=4096 wbytes=0 rios=1 …`.
fn io_stat(bytes: &[u8]) -> (u64, u64) {
    let (mut read, mut written) = (0u64, 0u64);
    for word in lines(bytes).flat_map(words) {
        if let Some(value) = word.strip_prefix(b"rbytes=") {
            read = read.saturating_add(read::number(value).unwrap_or(0));
        } else if let Some(value) = word.strip_prefix(b"wbytes=") {
            written = written.saturating_add(read::number(value).unwrap_or(0));
        }
    }
    (read, written)
}

/// `net/dev`: after two lines of heading `name: received-bytes … (8 columns) sent-bytes …`; `None` where this
/// is no such file.
fn net_dev(bytes: &[u8]) -> Option<Network> {
    let mut sums = Network::default();
    let mut rows = lines(bytes);
    rows.next()?;
    rows.next()?;
    for line in rows {
        // The name may hold colons itself (aliases), numbers never do.
        let at = line.iter().rposition(|b| *b == b':')?;
        let (name, counts) = line.split_at_checked(at)?;
        if name.trim_ascii() == b"lo" {
            continue;
        }
        let mut counts = words(counts.get(1..)?);
        sums.interfaces += 1;
        sums.received = sums.received.saturating_add(read::number(counts.next()?)?);
        sums.sent = sums.sent.saturating_add(read::number(counts.nth(7)?)?);
    }
    Some(sums)
}

/// The main process's `net/dev`, or `None` where it lives in the host's network: its counters would be the
/// whole machine's (`docker stats` shows none either). Every network namespace has its own procfs entries,
/// so the inode tells, without the right to look at the namespace itself.
pub fn network_file(procfs: &Path, pid: u32) -> Option<PathBuf> {
    let inode = |who: &str| {
        let path = procfs.join(who).join("net/dev");
        std::fs::metadata(path)
            .ok()
            .map(|meta| (meta.dev(), meta.ino()))
    };
    let own = inode(&pid.to_string())?;
    let host = inode("1").or_else(|| inode("self"));
    (host != Some(own)).then(|| procfs.join(pid.to_string()).join("net/dev"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(root.path().join(name), content).unwrap();
        }
        root
    }

    fn dirs(root: &Path, v2: bool) -> ContainerDirs {
        let dir = Some(Dir {
            path: root.to_owned(),
            v2,
        });
        ContainerDirs {
            cpu: dir.clone(),
            memory: dir.clone(),
            io: dir.clone(),
            pids: dir,
        }
    }

    const NET: &str = "Inter-|   Receive                                                |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
        lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0\n  \
        eth0:1000 1 0 0 0 0 0 0 2000 2 0 0 0 0 0 0\n  eth1: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n";

    #[test]
    fn v1_files_are_read_as_docker_stats_does() {
        let root = tree(&[
            ("cpuacct.usage", "123456789\n"),
            ("memory.usage_in_bytes", "5000\n"),
            (
                "memory.stat",
                "inactive_file 1\nhierarchical_memory_limit 9\ntotal_inactive_file 1000\n",
            ),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            (
                "memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
            ),
            (
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n253:1 Read 1\n253:1 Write 2\nTotal 33\n",
            ),
            ("pids.current", "7\n"),
            ("dev", NET),
        ]);
        for keep in [true, false] {
            let mut files = CgroupFiles::open(
                &dirs(root.path(), false),
                Some(root.path().join("dev")),
                keep,
            );
            let reading = files.read(&mut Vec::new()).unwrap();
            assert_eq!(
                reading,
                Reading {
                    cpu_ns: Some(123_456_789),
                    memory_used_bytes: Some(4000),
                    memory_limit_bytes: Some(9_223_372_036_854_771_712),
                    limit_read: true,
                    block_read_bytes: Some(11),
                    block_write_bytes: Some(22),
                    pids: Some(7),
                    oom_kills: Some(3),
                    network_rx_bytes: Some(1010),
                    network_tx_bytes: Some(2020),
                }
            );
        }
    }

    #[test]
    fn v2_files_are_read_and_what_is_not_there_is_not_zero() {
        let root = tree(&[
            ("cpu.stat", "usage_usec 42\nuser_usec 40\nsystem_usec 2\n"),
            ("memory.current", "500\n"),
            ("memory.stat", "anon 1\nfile 2\ninactive_file 1000\n"),
            ("memory.max", "max\n"),
            (
                "memory.events",
                "low 0\noom 9\noom_kill 2\noom_group_kill 1\n",
            ),
            (
                "io.stat",
                "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:0 rbytes=1 wbytes=2\n",
            ),
            ("pids.current", "1\n"),
        ]);
        let mut files = CgroupFiles::open(&dirs(root.path(), true), None, true);
        assert_eq!(
            files.read(&mut Vec::new()).unwrap(),
            Reading {
                cpu_ns: Some(42_000),
                memory_used_bytes: Some(500),
                memory_limit_bytes: None,
                limit_read: true,
                block_read_bytes: Some(11),
                block_write_bytes: Some(22),
                pids: Some(1),
                oom_kills: Some(2),
                network_rx_bytes: None,
                network_tx_bytes: None,
            }
        );
        // An engine in v2 mode on a v1 machine: CPU time alone.
        let bare = tree(&[("cpu.stat", "usage_usec 42\n")]);
        let mut files = CgroupFiles::open(&dirs(bare.path(), true), None, true);
        assert_eq!(
            files.read(&mut Vec::new()).unwrap(),
            Reading {
                cpu_ns: Some(42_000),
                ..Reading::default()
            }
        );
        // Nothing at all.
        let empty = tree(&[]);
        let mut files = CgroupFiles::open(&dirs(empty.path(), true), None, true);
        assert_eq!(files.read(&mut Vec::new()), None);
        assert_eq!(
            CgroupFiles::open(&ContainerDirs::default(), None, true).read(&mut Vec::new()),
            None
        );
    }

    #[test]
    fn numbers_of_a_sleeping_container_are_taken_over_for_a_few_rounds_only() {
        let root = tree(&[("cpu.stat", "usage_usec 42\n"), ("pids.current", "1\n")]);
        let mut files = CgroupFiles::open(&dirs(root.path(), true), None, true);
        let mut buffer = Vec::new();
        assert_eq!(files.read(&mut buffer).unwrap().pids, Some(1));
        std::fs::write(root.path().join("pids.current"), "2\n").unwrap();
        assert_eq!(files.read(&mut buffer).unwrap().pids, Some(1));
        std::fs::write(root.path().join("cpu.stat"), "usage_usec 43\n").unwrap();
        assert_eq!(files.read(&mut buffer).unwrap().pids, Some(2));
        std::fs::write(root.path().join("pids.current"), "3\n").unwrap();
        let seen = (0..SELDOM).map(|_| files.read(&mut buffer).unwrap().pids);
        assert_eq!(seen.last().unwrap(), Some(3));
    }

    #[test]
    fn inactive_cache_is_read_again_when_usage_moves() {
        let root = tree(&[
            ("cpu.stat", "usage_usec 1\n"),
            ("memory.current", "100000000\n"),
            ("memory.stat", "inactive_file 10000000\n"),
        ]);
        let mut files = CgroupFiles::open(&dirs(root.path(), true), None, true);
        let mut buffer = Vec::new();
        let mut at = |second: u32, current: &str, inactive: &str| {
            let write = |name: &str, text: String| {
                std::fs::write(root.path().join(name), text).unwrap();
            };
            write("cpu.stat", format!("usage_usec {second}\n"));
            write("memory.current", format!("{current}\n"));
            write("memory.stat", format!("inactive_file {inactive}\n"));
            files.read(&mut buffer).unwrap().memory_used_bytes
        };
        assert_eq!(at(2, "100000000", "10000000"), Some(90_000_000));
        // A little more: the cache is taken over. Much more: it is read.
        assert_eq!(at(3, "101000000", "11000000"), Some(91_000_000));
        assert_eq!(at(4, "200000000", "110000000"), Some(90_000_000));
        assert_eq!(at(5, "200000000", "50000000"), Some(90_000_000));
        assert_eq!(at(6, "200000000", "50000000"), Some(90_000_000));
        let later = (7..13).map(|second| at(second, "200000000", "50000000"));
        assert_eq!(later.last(), Some(Some(150_000_000)), "after ten rounds");
    }

    #[test]
    fn block_io_that_nobody_counts_is_not_zero() {
        let root = tree(&[
            ("blkio.throttle.io_service_bytes_recursive", "Total 0\n"),
            ("pids.current", "1\n"),
        ]);
        let read = || {
            let mut files = CgroupFiles::open(&dirs(root.path(), false), None, true);
            files.read(&mut Vec::new()).unwrap().block_read_bytes
        };
        assert_eq!(read(), None);
        std::fs::write(
            root.path().join("blkio.bfq.io_service_bytes_recursive"),
            "8:0 Read 5\n8:0 Write 6\nTotal 11\n",
        )
        .unwrap();
        assert_eq!(read(), Some(5));
    }

    #[test]
    fn net_dev_tells_nothing_from_nonsense() {
        let sums = |interfaces, received, sent| {
            Some(Network {
                interfaces,
                received,
                sent,
            })
        };
        assert_eq!(net_dev(NET.as_bytes()), sums(2, 1010, 2020));
        assert_eq!(net_dev(b""), None);
        assert_eq!(net_dev(b"a\nb\n"), sums(0, 0, 0));
        assert_eq!(net_dev(b"a\nb\neth0: x\n"), None);
        assert_eq!(net_dev(b"a\nb\nno colon\n"), None);
    }
}
