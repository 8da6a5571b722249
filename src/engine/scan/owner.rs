//! Whose a scan's container is: the labels it carries, and whether the process that made it is gone.
//!
//! A machine sweeps what its own dead processes left. The pid alone does not name a process (pids are used
//! again), the boot alone no machine that was started anew, and a pid of another namespace says nothing.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::engine::json;

/// On every container that is made for a scan; its value names the machine.
pub(in crate::engine) const LABEL: &str = "midwatch.scan";
/// The command of such a container; nothing of this name exists anywhere.
pub(in crate::engine) const COMMAND: &str = "midwatch-scan";

/// The process that made a scan's container, as its labels tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(super) struct Owner {
    #[serde(rename = "midwatch.scan", deserialize_with = "json::text")]
    machine: Option<String>,
    /// `/proc/sys/kernel/random/boot_id`.
    #[serde(rename = "midwatch.scan.boot", deserialize_with = "json::text")]
    boot: Option<String>,
    /// The pid namespace (`pid:[4026531836]`), in which the pid is one.
    #[serde(rename = "midwatch.scan.pidns", deserialize_with = "json::text")]
    namespace: Option<String>,
    #[serde(rename = "midwatch.scan.uid", deserialize_with = "json::count")]
    uid: Option<u64>,
    #[serde(rename = "midwatch.scan.pid", deserialize_with = "json::count")]
    pid: Option<u64>,
    /// Clock ticks after boot (field 22 of `/proc/PID/stat`).
    #[serde(rename = "midwatch.scan.start", deserialize_with = "json::count")]
    start: Option<u64>,
}

impl Owner {
    /// This process, by the files under `/` or, in tests, another root.
    pub fn this(root: &Path) -> Self {
        let text = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            Some(text.trim().to_owned()).filter(|t| !t.is_empty())
        };
        let stat = text("proc/self/stat").and_then(|stat| Stat::parse(&stat));
        let name = text("proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".into());
        let id = text("etc/machine-id").unwrap_or_default();
        Self {
            machine: Some(machine(&name, &id)),
            boot: text("proc/sys/kernel/random/boot_id"),
            namespace: std::fs::read_link(root.join("proc/self/ns/pid"))
                .ok()
                .map(|link| link.to_string_lossy().into_owned()),
            uid: std::fs::metadata(root.join("proc/self"))
                .ok()
                .map(|meta| u64::from(meta.uid())),
            pid: stat.as_ref().map(|stat| stat.pid),
            start: stat.map(|stat| stat.start),
        }
    }

    /// The labels that say so.
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        [
            (LABEL, self.machine.clone()),
            ("midwatch.scan.boot", self.boot.clone()),
            ("midwatch.scan.pidns", self.namespace.clone()),
            ("midwatch.scan.uid", number(self.uid)),
            ("midwatch.scan.pid", number(self.pid)),
            ("midwatch.scan.start", number(self.start)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The value of [`LABEL`].
    pub fn machine(&self) -> &str {
        self.machine.as_deref().unwrap_or_default()
    }

    /// Whether this owner is gone for certain, as seen by `here`, a process that lives.
    pub fn is_gone(&self, here: &Self, root: &Path) -> bool {
        if self.machine != here.machine {
            return false;
        }
        match (&self.boot, &here.boot) {
            (Some(theirs), Some(ours)) if theirs != ours => return true,
            (Some(_), Some(_)) => {}
            _ => return false,
        }
        // With `hidepid` another user's processes look dead.
        let sees = here.uid == Some(0) || (here.uid.is_some() && here.uid == self.uid);
        if here.namespace.is_none() || self.namespace != here.namespace || !sees {
            return false;
        }
        // Where not even this process can be read, nothing is known of others.
        let (Some(pid), Some(start), Some(_)) = (self.pid, self.start, here.start) else {
            return false;
        };
        let stat = std::fs::read_to_string(root.join(format!("proc/{pid}/stat")));
        match stat.map(|stat| Stat::parse(&stat)) {
            Ok(Some(stat)) => stat.start != start || stat.ended,
            Ok(None) => false,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

/// The host's name for people, and a digest of name and machine id: copies of a machine have the same id,
/// and the id itself is nobody's business (machine-id(5)).
fn machine(name: &str, id: &str) -> String {
    // FNV-1a: needs to tell machines apart, not to be secret.
    let digest = name
        .bytes()
        .chain([0])
        .chain(id.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-' || *c == '.')
        .take(64)
        .collect();
    format!("{plain}-{digest:016x}")
}

/// What is needed of `/proc/PID/stat`.
struct Stat {
    pid: u64,
    ended: bool,
    start: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name stands in parentheses and may hold anything, parentheses too.
        let (pid, rest) = text.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Self {
            pid: pid.parse().ok()?,
            ended: matches!(state, "Z" | "X"),
            start: fields.nth(18)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        std::fs::create_dir_all(at("proc/sys/kernel/random")).unwrap();
        std::fs::create_dir_all(at("etc")).unwrap();
        std::fs::write(at("proc/sys/kernel/hostname"), "box\n").unwrap();
        std::fs::write(at("proc/sys/kernel/random/boot_id"), "b1\n").unwrap();
        std::fs::write(at("etc/machine-id"), "0123\n").unwrap();
        process(root.path(), 7, "mid) watch (", 'S', 100);
        process(root.path(), 8, "other", 'R', 200);
        process(root.path(), 9, "dead", 'Z', 300);
        std::os::unix::fs::symlink("7", at("proc/self")).unwrap();
        std::fs::create_dir(at("proc/7/ns")).unwrap();
        std::os::unix::fs::symlink("pid:[1]", at("proc/7/ns/pid")).unwrap();
        root
    }

    fn process(root: &Path, pid: u32, name: &str, state: char, start: u64) {
        let folder = root.join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        let zeros = "0 ".repeat(18);
        std::fs::write(
            folder.join("stat"),
            format!("{pid} ({name}) {state} {zeros}{start} 0 0\n"),
        )
        .unwrap();
    }

    #[test]
    fn this_process_is_told_and_read_back() {
        let root = root();
        let here = Owner::this(root.path());
        assert_eq!((here.pid, here.start), (Some(7), Some(100)));
        assert_eq!(here.namespace.as_deref(), Some("pid:[1]"));
        assert!(
            here.machine().starts_with("box-") && here.uid.is_some(),
            "{here:?}"
        );
        let labels: serde_json::Map<String, serde_json::Value> = here
            .labels()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let read: Owner = serde_json::from_value(labels.into()).unwrap();
        assert_eq!(read, here);
        // The machine at hand has all of it.
        let real = Owner::this(Path::new("/"));
        assert_eq!(real.labels().len(), 6, "{real:?}");
        assert_eq!(real.pid, Some(u64::from(std::process::id())));
    }

    #[test]
    fn only_what_is_dead_for_certain_is_gone() {
        let root = root();
        let here = Owner::this(root.path());
        let with = |change: &dyn Fn(&mut Owner)| {
            let mut owner = here.clone();
            change(&mut owner);
            owner.is_gone(&here, root.path())
        };
        let process = |pid, start| move |o: &mut Owner| (o.pid, o.start) = (Some(pid), Some(start));
        assert!(!with(&|_| {}), "itself");
        assert!(!with(&process(8, 200)), "another that lives");
        assert!(with(&process(8, 199)), "its pid was used again");
        assert!(with(&process(10, 1)), "no such process");
        assert!(with(&process(9, 300)), "ended and not reaped");
        assert!(
            with(&|o| o.boot = Some("b0".into())),
            "before the last boot"
        );
        let unsure: [&dyn Fn(&mut Owner); 6] = [
            &|o| o.machine = Some("box-0000".into()),
            &|o| o.namespace = Some("pid:[2]".into()),
            &|o| o.namespace = None,
            &|o| o.boot = None,
            &|o| o.pid = None,
            &|o| o.start = None,
        ];
        for (n, change) in unsure.into_iter().enumerate() {
            let dead = |o: &mut Owner| {
                process(10, 1)(o);
                change(o);
            };
            assert!(!with(&dead), "case {n}");
        }
        // Another user's process may be hidden.
        let mut plain = here.clone();
        plain.uid = Some(1000);
        let mut dead = here.clone();
        (dead.pid, dead.uid) = (Some(10), Some(1001));
        assert!(!dead.is_gone(&plain, root.path()));
        plain.uid = Some(0);
        assert!(dead.is_gone(&plain, root.path()));
    }
}
