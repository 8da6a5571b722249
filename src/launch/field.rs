//! The values of `docker run`'s flags: read and written in Docker's own syntax. Whatever is read here is written
//! again so that it reads the same. A line and the form on screen both use these.

pub mod csv;
mod gpus;
mod mounts;
mod ports;
mod size;

use std::fmt;

use super::{EnvVar, PullPolicy, Restart, Ulimit};

pub use mounts::path;
pub(super) use mounts::{mount_body, truth};
pub use size::{bytes, nano_cpus, nano_text, size_text};

/// Longest text of the user's that an error repeats, in characters.
const REPEATED: usize = 60;

/// What was typed, as an error repeats it.
pub(super) fn said(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// The same without marks around it.
pub(super) fn shown(text: &str) -> String {
    crate::model::text::clean(text, REPEATED)
}

impl EnvVar {
    /// `NAME=value`, or `NAME` for the value of whoever launches.
    ///
    /// # Errors
    /// No name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("a variable needs a name: NAME=value".to_owned());
        }
        if text.contains('\0') {
            return Err("a variable cannot hold a NUL".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }

    /// The flag and its value.
    #[must_use]
    pub fn to_flag(&self) -> [String; 2] {
        ["-e".to_owned(), self.to_string()]
    }
}

impl fmt::Display for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.value
            .as_ref()
            .map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// The limits that Docker knows by name.
pub const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl Ulimit {
    /// `NAME=SOFT[:HARD]`; -1 is unlimited.
    ///
    /// # Errors
    /// A name that Docker does not know, no number, a soft limit above the hard one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, limits)) = text.split_once('=') else {
            return Err(format!(
                "{} has no limit: write NAME=SOFT or NAME=SOFT:HARD, as in memlock=-1",
                said(text)
            ));
        };
        if !ULIMITS.contains(&name) {
            return Err(format!(
                "there is no limit {}: it is one of {}",
                said(name),
                ULIMITS.join(", ")
            ));
        }
        let number = |text: &str| match text {
            "infinity" => Ok(-1),
            text => text.parse::<i64>().map_err(|_| {
                format!(
                    "{} is not a number: a limit is a number, -1 is unlimited",
                    said(text)
                )
            }),
        };
        let (soft, hard) = match limits.split_once(':') {
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => (number(limits)?, number(limits)?),
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            return Err(format!(
                "the soft limit of {name} is above its hard limit: write {name}=SOFT:HARD with SOFT at most HARD"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            soft,
            hard,
        })
    }

    /// The flag and its value.
    #[must_use]
    pub fn to_flag(&self) -> [String; 2] {
        ["--ulimit".to_owned(), self.to_string()]
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.soft)?;
        if self.hard == self.soft {
            return Ok(());
        }
        write!(f, ":{}", self.hard)
    }
}

impl Restart {
    /// `no`, `on-failure[:MAX]`, `always`, `unless-stopped`.
    ///
    /// # Errors
    /// Another word, or a number that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, max) = match text.split_once(':') {
            Some((name, max)) => (name, Some(max)),
            None => (text, None),
        };
        match (name, max) {
            ("no", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None | Some("")) => Ok(Self::OnFailure(0)),
            ("on-failure", Some(max)) => max
                .parse::<u32>()
                .map(Self::OnFailure)
                .map_err(|_| format!("{} is not a number of tries: on-failure:3", said(max))),
            ("no" | "always" | "unless-stopped", Some(_)) => Err(format!(
                "only on-failure takes a number of tries: write {name}, or on-failure:3"
            )),
            _ => Err(format!(
                "{} is no restart policy: no, on-failure, on-failure:3, always or unless-stopped",
                said(text)
            )),
        }
    }

    /// The flag and its value.
    #[must_use]
    pub fn to_flag(self) -> [String; 2] {
        ["--restart".to_owned(), self.to_string()]
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::OnFailure(0) => f.write_str("on-failure"),
            Self::OnFailure(max) => write!(f, "on-failure:{max}"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

impl PullPolicy {
    /// `always`, `missing`, `never`.
    ///
    /// # Errors
    /// Another word.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "always" => Ok(Self::Always),
            "missing" => Ok(Self::Missing),
            "never" => Ok(Self::Never),
            _ => Err(format!(
                "{} is no pull policy: always, missing or never",
                said(text)
            )),
        }
    }

    /// The flag and its value.
    #[must_use]
    pub fn to_flag(self) -> [String; 2] {
        ["--pull".to_owned(), self.to_string()]
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Missing => "missing",
            Self::Never => "never",
        })
    }
}

/// Whether a text is a name for a container or a volume: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric())
        && text.len() > 1
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// A container's name.
///
/// # Errors
/// One that the engine would refuse.
pub fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is no container name: at least two of a-z, A-Z, 0-9, `_`, `.`, `-`, the first a letter or digit",
        said(text)
    ))
}

#[cfg(test)]
#[path = "field_tests.rs"]
mod tests;
