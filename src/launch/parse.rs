//! A `docker run` line as a [`LaunchSpec`].

mod around;

use std::fmt;

use super::field::{self, said, shown, truth};
use super::flags::{self, Flag, Place, Takes};
use super::{
    EnvVar, GpuAsk, LaunchSpec, MountAsk, OtherFlag, PortAsk, PullPolicy, Restart, Surroundings,
    Ulimit, Which, body,
};

pub use around::line;

/// A line that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What is to be launched.
    pub spec: LaunchSpec,
    /// midwatch's own flags.
    pub own: Own,
    /// `create` was written, not `run`.
    pub create: bool,
    /// `docker -H`: the engine that the line means.
    pub host: Option<String>,
    /// `docker --context`.
    pub context: Option<String>,
    /// What was read and has no effect, a sentence each.
    pub notes: Vec<String>,
}

/// The flags of `midwatch run` that Docker does not have; `--free` is in [`LaunchSpec::gpus`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// `--dry-run`.
    pub dry_run: bool,
    /// `--force`.
    pub force: bool,
    /// `--json`.
    pub json: bool,
    /// `--scan`.
    pub scan: Option<ScanAsk>,
}

/// `--scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanAsk {
    /// Where it would tell more.
    Auto,
    /// Never: the configuration alone.
    Config,
    /// Always.
    Full,
}

/// A line that was not read, with everything that is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFault {
    /// At least one.
    pub faults: Vec<FlagFault>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagFault {
    /// The flag as it was written, without its value; empty where it is about the line.
    pub flag: String,
    /// Why, and what to write instead.
    pub why: String,
}

impl fmt::Display for FlagFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.flag.is_empty() {
            write!(f, "{}: ", self.flag)?;
        }
        f.write_str(&self.why)
    }
}

impl fmt::Display for ParseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseFault {}

impl ParseFault {
    fn one(flag: &str, why: impl Into<String>) -> Self {
        Self {
            faults: vec![FlagFault {
                flag: shown(flag),
                why: why.into(),
            }],
        }
    }
}

/// Reads what follows `run`; `own` takes midwatch's own flags too.
///
/// # Errors
/// Every flag that is unknown, badly valued or no part of a create call, at once; no image.
pub fn args(
    words: &[String],
    surroundings: &Surroundings,
    own: bool,
) -> Result<Parsed, ParseFault> {
    let mut reader = Reader {
        surroundings,
        own,
        done: Parsed::default(),
        faults: Vec::new(),
        free: None,
    };
    let rest = reader.flags(words);
    reader.finish(rest)
}

struct Reader<'a> {
    surroundings: &'a Surroundings,
    own: bool,
    done: Parsed,
    faults: Vec<FlagFault>,
    free: Option<u32>,
}

impl Reader<'_> {
    fn fault(&mut self, flag: &str, why: impl Into<String>) {
        self.faults.push(FlagFault {
            flag: shown(flag),
            why: why.into(),
        });
    }

    /// Flags up to the first word that is none; what follows.
    fn flags<'a>(&mut self, words: &'a [String]) -> &'a [String] {
        let mut rest = words;
        while let Some((first, after)) = rest.split_first() {
            if first == "--" {
                return after;
            }
            rest = if let Some(long) = first.strip_prefix("--") {
                self.long(long, after)
            } else if let Some(letters) = first.strip_prefix('-').filter(|l| !l.is_empty()) {
                self.short(letters, after)
            } else if first.starts_with(['–', '—', '−']) {
                let bare = first.trim_start_matches(['–', '—', '−', '-']);
                let dashes = if bare.chars().count() > 1 { "--" } else { "-" };
                self.fault(
                    first,
                    format!("begins with a long dash: type {dashes}{}", shown(bare)),
                );
                likely_value(after)
            } else {
                return rest;
            };
        }
        rest
    }

    fn long<'a>(&mut self, text: &str, after: &'a [String]) -> &'a [String] {
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let written = format!("--{name}");
        let Some(flag) = flags::by_long(name, self.own) else {
            let why = self.unknown(name);
            self.fault(&written, why);
            return if inline.is_some() {
                after
            } else {
                likely_value(after)
            };
        };
        match (flag.takes, inline, after.split_first()) {
            (_, Some(value), _) => {
                self.take(flag, &written, value);
                after
            }
            (Takes::Switch, None, _) => {
                self.take(flag, &written, "true");
                after
            }
            (_, None, Some((value, after))) => {
                self.take(flag, &written, value);
                after
            }
            (_, None, None) => {
                self.fault(&written, "has no value");
                after
            }
        }
    }

    fn unknown(&self, name: &str) -> String {
        if flags::OWN.iter().any(|flag| flag.long == name) {
            return "is a flag of midwatch run, not of docker run".to_owned();
        }
        match flags::meant(name, self.own) {
            Some(meant) => format!("is no flag of docker run: did you mean --{meant}?"),
            None => "is no flag of docker run".to_owned(),
        }
    }

    fn short<'a>(&mut self, letters: &str, after: &'a [String]) -> &'a [String] {
        let mut rest = letters;
        loop {
            let mut chars = rest.chars();
            let Some(letter) = chars.next() else {
                return after;
            };
            let tail = chars.as_str();
            let written = format!("-{letter}");
            let Some(flag) = flags::by_short(letter) else {
                // `-gpus all`: one dash too few.
                match flags::by_long(letters, self.own).or_else(|| {
                    letters
                        .split_once('=')
                        .and_then(|(name, _)| flags::by_long(name, self.own))
                }) {
                    Some(flag) => self.fault(
                        &format!("-{letters}"),
                        format!("did you mean --{}?", flag.long),
                    ),
                    None => self.fault(&written, "is no flag of docker run"),
                }
                return likely_value(after);
            };
            if let Some(value) = tail.strip_prefix('=').filter(|_| tail.len() > 1) {
                self.take(flag, &written, value);
                return after;
            }
            if flag.takes == Takes::Switch {
                self.take(flag, &written, "true");
                rest = tail;
                continue;
            }
            if !tail.is_empty() {
                self.take(flag, &written, tail);
                return after;
            }
            let Some((value, after)) = after.split_first() else {
                self.fault(&written, "has no value");
                return after;
            };
            self.take(flag, &written, value);
            return after;
        }
    }

    /// One flag with its value.
    fn take(&mut self, flag: &'static Flag, written: &str, value: &str) {
        let switch = if flag.takes == Takes::Switch {
            match truth(value) {
                Ok(yes) => yes,
                Err(why) => return self.fault(written, why),
            }
        } else {
            false
        };
        let result = match flag.place {
            Place::Field => self.field(flags::real_name(flag.long), value, switch),
            Place::Other => self.other(flag, value, switch),
            Place::Own => self.own(flag.long, value, switch),
            Place::Never(why) => Err(why.to_owned()),
            Place::Idle(why) if switch || flag.takes != Takes::Switch => {
                self.done.notes.push(format!("--{} {why}", flag.long));
                Ok(())
            }
            Place::Idle(_) => Err(match flag.long {
                "sig-proxy" => {
                    "it is about Docker's own client: an attached midwatch run passes signals on"
                }
                "disable-content-trust" => {
                    "image signatures are checked by Docker's own client alone: leave it out"
                }
                _ => return,
            }
            .to_owned()),
        };
        if let Err(why) = result {
            self.fault(written, why);
        }
    }

    fn field(&mut self, name: &str, value: &str, switch: bool) -> Result<(), String> {
        let here = self.surroundings;
        let spec = &mut self.done.spec;
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match name {
            "detach" => spec.detach = switch,
            "interactive" => spec.interactive = switch,
            "tty" => spec.tty = switch,
            "rm" => spec.rm = switch,
            "entrypoint" => spec.entrypoint = Some(value.to_owned()),
            "name" => spec.name = text().as_deref().map(field::name).transpose()?,
            "user" => spec.user = text(),
            "workdir" => spec.workdir = text().as_deref().map(workdir).transpose()?,
            "ipc" => spec.ipc = text().as_deref().map(ipc).transpose()?,
            "platform" => {
                spec.platform = text();
                body::platform(value)?;
            }
            "env" => spec.env.push(EnvVar::parse(value)?),
            "env-file" => spec.env_files.push(field::path(value, here)?),
            "gpus" if spec.gpus.is_some() => {
                return Err(
                    "is given twice, and what a container then gets is up to the engine: \
                     name all GPUs in one, as in '\"device=0,1\"'"
                        .to_owned(),
                );
            }
            "gpus" => spec.gpus = Some(GpuAsk::parse(value)?),
            "mount" => spec.mounts.push(MountAsk::mount(value, here)?),
            "volume" => spec.mounts.push(MountAsk::volume(value, here)?),
            "tmpfs" => spec.mounts.push(MountAsk::tmpfs(value)?),
            "publish" => spec.ports.push(PortAsk::parse(value)?),
            "shm-size" => spec.shm_bytes = Some(field::bytes(value)?),
            "memory" => spec.memory_bytes = Some(field::bytes(value)?),
            "cpus" => spec.nano_cpus = Some(field::nano_cpus(value)?),
            "ulimit" => {
                let limit = Ulimit::parse(value)?;
                spec.ulimits.retain(|before| before.name != limit.name);
                spec.ulimits.push(limit);
            }
            "restart" => spec.restart = text().as_deref().map(Restart::parse).transpose()?,
            "pull" => spec.pull = text().as_deref().map(PullPolicy::parse).transpose()?,
            "network" => {
                body::network(value)?;
                spec.networks.push(value.to_owned());
            }
            _ => return Err("is not read".to_owned()),
        }
        Ok(())
    }

    fn other(&mut self, flag: &Flag, value: &str, switch: bool) -> Result<(), String> {
        let name = flags::real_name(flag.long);
        let value = match (name, value.split_once('=')) {
            ("label-file", _) => field::path(value, self.surroundings)?,
            ("security-opt", Some(("seccomp", file)))
                if !matches!(file, "unconfined" | "builtin" | "") =>
            {
                format!("seccomp={}", field::path(file, self.surroundings)?)
            }
            _ if flag.takes == Takes::Switch => switch.to_string(),
            _ => value.to_owned(),
        };
        body::check(name, &value)?;
        let other = &mut self.done.spec.other;
        if flag.takes != Takes::Each {
            other.retain(|before| before.name != name);
        }
        other.push(OtherFlag {
            name: name.to_owned(),
            value,
        });
        Ok(())
    }

    fn own(&mut self, name: &str, value: &str, switch: bool) -> Result<(), String> {
        let own = &mut self.done.own;
        match name {
            "dry-run" => own.dry_run = switch,
            "force" => own.force = switch,
            "json" => own.json = switch,
            "free" => {
                let count = value.parse().ok().filter(|count| *count > 0);
                let Some(count) = count else {
                    return Err(format!("{} is no number of GPUs: --free 2", said(value)));
                };
                self.free = Some(count);
            }
            "scan" => {
                own.scan = Some(match value {
                    "auto" => ScanAsk::Auto,
                    "config" => ScanAsk::Config,
                    "full" => ScanAsk::Full,
                    _ => return Err(format!("{} is not auto, config or full", said(value))),
                });
            }
            _ => return Err("is not read".to_owned()),
        }
        Ok(())
    }

    fn finish(mut self, rest: &[String]) -> Result<Parsed, ParseFault> {
        match rest.split_first() {
            Some((image, command)) if !image.is_empty() => {
                self.done.spec.image = image.clone();
                self.done.spec.command = command.to_vec();
            }
            Some(_) => self.fault("", "the image's name is empty"),
            None if self.faults.is_empty() => {
                self.fault(
                    "",
                    "no image: it comes after the flags, as in docker run --rm IMAGE",
                );
            }
            None => {}
        }
        if let Some(count) = self.free {
            if self.done.spec.gpus.is_some() {
                self.fault(
                    "--free",
                    "--gpus says which GPUs already: write one of both",
                );
            } else {
                self.done.spec.gpus = Some(GpuAsk::of(Which::Free(count)));
            }
        }
        if self.faults.is_empty() {
            Ok(self.done)
        } else {
            Err(ParseFault {
                faults: self.faults,
            })
        }
    }
}

/// What follows an unknown flag without what is likely its value: a word with a flag after it.
fn likely_value(after: &[String]) -> &[String] {
    match after {
        [value, rest @ ..]
            if !value.starts_with('-')
                && rest.first().is_some_and(|next| next.starts_with('-')) =>
        {
            rest
        }
        after => after,
    }
}

fn workdir(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is no folder of the container: it is a path from /",
        said(text)
    ))
}

fn ipc(text: &str) -> Result<String, String> {
    let known = matches!(text, "host" | "private" | "shareable" | "none")
        || text
            .strip_prefix("container:")
            .is_some_and(|name| !name.is_empty());
    if known {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is no ipc mode: host, private, shareable, none or container:NAME",
        said(text)
    ))
}

#[cfg(test)]
#[path = "parse_tests.rs"]
pub(super) mod tests;
