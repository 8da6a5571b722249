//! A procfs and cgroup tree described in a test: folders of plain files under a temporary root.

use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The tree.
pub struct Tree {
    root: tempfile::TempDir,
    mountinfo: String,
}

/// A process to describe.
pub struct Proc<'a> {
    pub pid: u32,
    pub comm: &'a str,
    pub start: u64,
    pub uid: u32,
    pub cmdline: &'a str,
    pub cgroup: &'a str,
}

impl Default for Proc<'_> {
    fn default() -> Self {
        Self {
            pid: 100,
            comm: "python",
            start: 4711,
            uid: 0,
            cmdline: "python\0train.py\0",
            cgroup: "0::/\n",
        }
    }
}

impl Tree {
    /// A machine's own namespace: pid 1, the first kernel thread, ourselves.
    pub fn new() -> Self {
        let tree = Self::namespace();
        tree.process(&Proc {
            pid: 2,
            comm: "kthreadd",
            start: 0,
            cmdline: "",
            ..Proc::default()
        });
        tree
    }

    /// A pid namespace other than the machine's first.
    pub fn namespace() -> Self {
        let tree = Self {
            root: tempfile::tempdir().expect("a temporary folder"),
            mountinfo: String::new(),
        };
        tree.file(
            "proc/sys/kernel/random/boot_id",
            "11111111-2222-3333-4444-555555555555\n",
        );
        tree.file(
            "proc/meminfo",
            "MemTotal: 1000000 kB\nMemAvailable: 400000 kB\n",
        );
        tree.file("proc/loadavg", "1.50 1 1 1/1 1\n");
        tree.file("proc/sys/kernel/hostname", "gpu-box-3\n");
        tree.file("sys/devices/system/cpu/online", "0-7\n");
        tree.process(&Proc {
            pid: 1,
            comm: "systemd",
            cgroup: "0::/init.scope\n",
            ..Proc::default()
        });
        tree.own("NSpid:\t4242\n", "pid:[4026532999]");
        tree
    }

    /// Our own process: what status says, and our pid namespace.
    pub fn own(&self, status: &str, namespace: &str) {
        self.file("proc/self/status", status);
        self.file("proc/self/mountinfo", &self.mountinfo);
        let link = self.path("proc/self/ns/pid");
        std::fs::create_dir_all(link.parent().expect("a parent")).expect("a folder");
        let _ = std::fs::remove_file(&link);
        symlink(namespace, link).expect("a link");
    }

    /// Adds a mount; `/R` stands for the root.
    pub fn mount(mut self, line: &str) -> Self {
        let line = line.replace("/R", self.root.path().to_str().expect("a plain path"));
        writeln!(self.mountinfo, "{line}").expect("a line");
        self.file("proc/self/mountinfo", &self.mountinfo);
        self
    }

    /// Adds or replaces a process.
    pub fn process(&self, process: &Proc<'_>) {
        let Proc {
            pid,
            comm,
            start,
            uid,
            cmdline,
            cgroup,
        } = process;
        let zeros = ["0"; 18].join(" ");
        let file = |name: &str, content: &str| self.file(&format!("proc/{pid}/{name}"), content);
        file("stat", &format!("{pid} ({comm}) S {zeros} {start} 0 0\n"));
        file(
            "status",
            &format!("Name:\t{comm}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"),
        );
        file("cmdline", cmdline);
        file("cgroup", cgroup);
        file(
            "net/dev",
            "heading\nheading\n lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n \
             eth0: 111 0 0 0 0 0 0 0 222 0 0 0 0 0 0 0\n",
        );
    }

    /// Removes a process.
    pub fn end(&self, pid: u32) {
        std::fs::remove_dir_all(self.path(&format!("proc/{pid}"))).expect("a process to end");
    }

    /// Writes a file.
    pub fn file(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }

    /// A path in the tree.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Its procfs.
    pub fn procfs(&self) -> PathBuf {
        self.path("proc")
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}
