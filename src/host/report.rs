//! What the machine says of itself: name, CPUs, memory, load.

use std::path::{Path, PathBuf};

use crate::model::HostReport;
use crate::model::text::clean;

use super::read;

/// Reads the machine's report; the buffer is used again.
#[derive(Debug)]
pub struct Machine {
    procfs: PathBuf,
    sysfs: PathBuf,
    buffer: Vec<u8>,
}

impl Machine {
    /// Of the machine whose procfs and sysfs these are.
    pub fn new(procfs: &Path, sysfs: &Path) -> Self {
        Self {
            procfs: procfs.to_owned(),
            sysfs: sysfs.to_owned(),
            buffer: Vec::new(),
        }
    }

    fn text(&mut self, path: PathBuf) -> Option<String> {
        read::file(&path, &mut self.buffer, 64 << 10).ok()?;
        Some(String::from_utf8_lossy(&self.buffer).into_owned())
    }

    /// Reads it.
    pub fn report(&mut self) -> HostReport {
        let hostname = self
            .text(self.procfs.join("sys/kernel/hostname"))
            .or_else(|| sysinfo::System::host_name().ok())
            .map(|name| clean(&name, 64))
            .unwrap_or_default();
        let cpus = self
            .text(self.sysfs.join("devices/system/cpu/online"))
            .and_then(|list| count(list.trim()))
            .or_else(|| {
                // Not `available_parallelism`: that is what this process may use, not what the machine has.
                u32::try_from(sysinfo::System::physical_core_count().ok()?).ok()
            })
            .unwrap_or(0);
        let memory = self.text(self.procfs.join("meminfo")).unwrap_or_default();
        let total = kib(&memory, "MemTotal:");
        let available = kib(&memory, "MemAvailable:");
        let load = self.text(self.procfs.join("loadavg"));
        HostReport {
            hostname,
            cpus,
            memory_total_bytes: total,
            memory_used_bytes: total
                .zip(available)
                .map(|(total, free)| total.saturating_sub(free)),
            load_1m: load.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok()),
        }
    }
}

/// A line of meminfo in bytes.
fn kib(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
    let value: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    value.checked_mul(1024)
}

/// How many CPUs a kernel list names: `0-3,8`.
fn count(list: &str) -> Option<u32> {
    list.split(',').try_fold(0u32, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.parse().ok()?;
        let last: u32 = last.parse().ok()?;
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_lists_are_counted() {
        for (list, cpus) in [
            ("0", Some(1)),
            ("0-3", Some(4)),
            ("0-3,8,10-11", Some(7)),
            ("", None),
            ("3-0", None),
            ("0-4294967295", None),
        ] {
            assert_eq!(count(list), cpus, "{list}");
        }
    }

    #[test]
    fn this_machine_reports_itself() {
        let report = Machine::new(Path::new("/proc"), Path::new("/sys")).report();
        assert!(report.cpus > 0);
        assert!(report.memory_used_bytes.unwrap() < report.memory_total_bytes.unwrap());
        assert!(report.load_1m.is_some());
        assert!(!report.hostname.is_empty());
    }
}
