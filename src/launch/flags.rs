//! All flags of `docker run` (Docker 28), and what each is to a launch.

/// How a flag's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None: it is there, or `=true` or `=false`.
    Switch,
    /// One; the last counts.
    One,
    /// One each time it is given.
    Each,
}

/// Where a flag goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A field of [`super::LaunchSpec`].
    Field,
    /// [`super::LaunchSpec::other`].
    Other,
    /// No part of a create call, and of no effect (a switch that is on; any value of another): it is named in a
    /// note. A switch that is off cannot be had.
    Idle(&'static str),
    /// No part of a create call: why, and what to do.
    Never(&'static str),
    /// midwatch's own.
    Own,
}

/// A flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Long name, without dashes.
    pub long: &'static str,
    /// One letter.
    pub short: Option<char>,
    /// Its value.
    pub takes: Takes,
    /// What becomes of it.
    pub place: Place,
}

const fn flag(long: &'static str, short: Option<char>, takes: Takes, place: Place) -> Flag {
    Flag {
        long,
        short,
        takes,
        place,
    }
}

const fn other(long: &'static str, takes: Takes) -> Flag {
    flag(long, None, takes, Place::Other)
}

use Place::{Field, Idle, Never, Other, Own};
use Takes::{Each, One, Switch};

/// Docker's.
pub const FLAGS: [Flag; 107] = [
    other("add-host", Each),
    other("annotation", Each),
    flag("attach", Some('a'), Each, Other),
    other("blkio-weight", One),
    other("blkio-weight-device", Each),
    other("cap-add", Each),
    other("cap-drop", Each),
    other("cgroup-parent", One),
    other("cgroupns", One),
    flag(
        "cidfile",
        None,
        One,
        Never(
            "Docker's client writes that file itself: `midwatch run -d` prints the id, send it there",
        ),
    ),
    other("cpu-count", One),
    other("cpu-percent", One),
    other("cpu-period", One),
    other("cpu-quota", One),
    other("cpu-rt-period", One),
    other("cpu-rt-runtime", One),
    flag("cpu-shares", Some('c'), One, Other),
    flag("cpus", None, One, Field),
    other("cpuset-cpus", One),
    other("cpuset-mems", One),
    flag("detach", Some('d'), Switch, Field),
    flag(
        "detach-keys",
        None,
        One,
        Never(
            "it is about Docker's own client at the terminal, not about the container: leave it out",
        ),
    ),
    other("device", Each),
    other("device-cgroup-rule", Each),
    other("device-read-bps", Each),
    other("device-read-iops", Each),
    other("device-write-bps", Each),
    other("device-write-iops", Each),
    flag(
        "disable-content-trust",
        None,
        Switch,
        Idle("is Docker's default and changes nothing"),
    ),
    other("dns", Each),
    other("dns-option", Each),
    other("dns-search", Each),
    other("domainname", One),
    flag("entrypoint", None, One, Field),
    flag("env", Some('e'), Each, Field),
    flag("env-file", None, Each, Field),
    other("expose", Each),
    flag("gpus", None, One, Field),
    other("group-add", Each),
    other("health-cmd", One),
    other("health-interval", One),
    other("health-retries", One),
    other("health-start-interval", One),
    other("health-start-period", One),
    other("health-timeout", One),
    flag(
        "help",
        None,
        Switch,
        Never("`midwatch run --help` and `docker run --help` tell of the flags"),
    ),
    flag("hostname", Some('h'), One, Other),
    other("init", Switch),
    flag("interactive", Some('i'), Switch, Field),
    other("io-maxbandwidth", One),
    other("io-maxiops", One),
    other("ip", One),
    other("ip6", One),
    flag("ipc", None, One, Field),
    other("isolation", One),
    other("kernel-memory", One),
    flag("label", Some('l'), Each, Other),
    other("label-file", Each),
    other("link", Each),
    other("link-local-ip", Each),
    other("log-driver", One),
    other("log-opt", Each),
    other("mac-address", One),
    flag("memory", Some('m'), One, Field),
    other("memory-reservation", One),
    other("memory-swap", One),
    other("memory-swappiness", One),
    flag("mount", None, Each, Field),
    flag("name", None, One, Field),
    flag("network", None, Each, Field),
    other("network-alias", Each),
    other("no-healthcheck", Switch),
    other("oom-kill-disable", Switch),
    other("oom-score-adj", One),
    other("pid", One),
    other("pids-limit", One),
    flag("platform", None, One, Field),
    other("privileged", Switch),
    flag("publish", Some('p'), Each, Field),
    flag("publish-all", Some('P'), Switch, Other),
    flag("pull", None, One, Field),
    flag(
        "quiet",
        Some('q'),
        Switch,
        Idle("is about how Docker's client shows a pull, and changes nothing in the container"),
    ),
    other("read-only", Switch),
    flag("restart", None, One, Field),
    flag("rm", None, Switch, Field),
    other("runtime", One),
    other("security-opt", Each),
    flag("shm-size", None, One, Field),
    flag(
        "sig-proxy",
        None,
        Switch,
        Idle("is the default: signals are passed on"),
    ),
    other("stop-signal", One),
    other("stop-timeout", One),
    other("storage-opt", Each),
    other("sysctl", Each),
    flag("tmpfs", None, Each, Field),
    flag("tty", Some('t'), Switch, Field),
    flag("ulimit", None, Each, Field),
    flag(
        "use-api-socket",
        None,
        Switch,
        Never(
            "Docker's client copies your registry logins into the container for it: for the socket alone write \
             -v /var/run/docker.sock:/var/run/docker.sock",
        ),
    ),
    flag("user", Some('u'), One, Field),
    other("userns", One),
    other("uts", One),
    flag("volume", Some('v'), Each, Field),
    other("volume-driver", One),
    other("volumes-from", Each),
    flag("workdir", Some('w'), One, Field),
    // Old names that still work and are not in the help.
    flag("dns-opt", None, Each, Other),
    flag("net", None, Each, Field),
    flag("net-alias", None, Each, Other),
];

/// midwatch's own, for `midwatch run`.
pub const OWN: [Flag; 5] = [
    flag("free", None, One, Own),
    flag("dry-run", None, Switch, Own),
    flag("force", None, Switch, Own),
    flag("json", None, Switch, Own),
    flag("scan", None, One, Own),
];

/// The name that counts, of one that has an older one.
#[must_use]
pub fn real_name(long: &'static str) -> &'static str {
    match long {
        "net" => "network",
        "net-alias" => "network-alias",
        "dns-opt" => "dns-option",
        long => long,
    }
}

/// A flag by its long name; `own` adds midwatch's.
#[must_use]
pub fn by_long(name: &str, own: bool) -> Option<&'static Flag> {
    FLAGS
        .iter()
        .chain(OWN.iter().filter(|_| own))
        .find(|flag| flag.long == name)
}

/// A flag by its letter.
#[must_use]
pub fn by_short(letter: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.short == Some(letter))
}

/// Whether the value of this word, a flag, is the next word.
#[must_use]
pub fn wants_next(word: &str) -> bool {
    if let Some(long) = word.strip_prefix("--") {
        return by_long(long, true).is_some_and(|flag| flag.takes != Switch);
    }
    let Some(letters) = word.strip_prefix('-') else {
        return false;
    };
    let mut letters = letters.chars().peekable();
    while let Some(letter) = letters.next() {
        let switch = by_short(letter).is_none_or(|flag| flag.takes == Switch);
        if !switch {
            return letters.peek().is_none();
        }
        if letters.peek() == Some(&'=') {
            return false;
        }
    }
    false
}

/// The flag that was most likely meant by this name (without dashes).
#[must_use]
pub fn meant(name: &str, own: bool) -> Option<&'static str> {
    if name.is_empty() || name.len() > 40 {
        return None;
    }
    match name {
        "gpu" | "gpu-ids" | "gpu-devices" => return Some("gpus"),
        "cpu" | "cpu-limit" => return Some("cpus"),
        "volumes" => return Some("volume"),
        "port" | "ports" => return Some("publish"),
        "environment" | "envs" => return Some("env"),
        "shm" | "shm_size" => return Some("shm-size"),
        "working-dir" | "cwd" => return Some("workdir"),
        "cap_add" => return Some("cap-add"),
        _ => {}
    }
    let most = if name.len() < 5 { 1 } else { 2 };
    FLAGS
        .iter()
        .chain(OWN.iter().filter(|_| own))
        .filter(|flag| flag.long != "help")
        .map(|flag| (distance(name, flag.long), flag.long))
        .filter(|(far, _)| *far <= most)
        .min_by_key(|(far, _)| *far)
        .map(|(_, long)| real_name(long))
}

/// Edits from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            let here = (diagonal + usize::from(ca != *cb))
                .min(left + 1)
                .min(above + 1);
            diagonal = *above;
            left = here;
            next.push(here);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_letters_are_told_apart() {
        for (at, flag) in FLAGS.iter().chain(&OWN).enumerate() {
            for after in FLAGS.iter().chain(&OWN).skip(at + 1) {
                assert_ne!(flag.long, after.long);
                assert!(
                    flag.short.is_none() || flag.short != after.short,
                    "{}",
                    flag.long
                );
            }
        }
    }

    /// The installed client's help, as far as this table knows it: Docker 20.10 to 28.
    #[test]
    fn every_flag_of_docker_28_is_here() {
        let help = include_str!("../../tests/fixtures/launch/docker_run_help.txt");
        let mut count = 0;
        for line in help.lines().filter(|line| !line.starts_with('#')) {
            let (short, rest) = match line.trim().split_once(", --") {
                Some((short, rest)) => (short.strip_prefix('-'), rest),
                None => (None, line.trim().trim_start_matches('-')),
            };
            let mut words = rest.split_whitespace();
            let (name, kind) = (words.next().unwrap(), words.next());
            let flag = by_long(name, false).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(flag.short, short.and_then(|s| s.chars().next()), "{name}");
            assert_eq!(flag.takes == Switch, kind.is_none(), "{name}");
            let each = matches!(kind, Some("list" | "map" | "mount" | "ulimit" | "network"));
            assert_eq!(flag.takes == Each, each, "{name}");
            count += 1;
        }
        assert_eq!(count, FLAGS.len() - 3);
    }

    #[test]
    fn what_was_meant() {
        for (typed, real) in [
            ("gpu", Some("gpus")),
            ("volumne", Some("volume")),
            ("shm-sise", Some("shm-size")),
            ("netwrok", Some("network")),
            ("prot", None),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(meant(typed, false), real, "{typed}");
        }
        assert_eq!(meant("fre", true), Some("free"));
    }
}
