//! `-v`, `--mount`, `--tmpfs`.

use std::fmt;
use std::path::{Component, Path};

use serde_json::{Map, Value, json};

use super::{bytes, csv, is_name, said, shown};
use crate::launch::{MountAsk, Surroundings};

/// The options that stand last in `-v`: Docker's and podman's.
const OPTIONS: [&str; 25] = [
    "rw",
    "ro",
    "z",
    "Z",
    "U",
    "O",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "nocopy",
    "copy",
    "consistent",
    "cached",
    "delegated",
    "bind",
    "rbind",
    "exec",
    "noexec",
    "dev",
    "nodev",
    "suid",
    "nosuid",
];

/// An absolute path of what was typed: `~` and `~/x` are the home folder's, `.`, `./x`, `..` and other relative
/// ones the working directory's. An absolute path stays as it is.
///
/// # Errors
/// `~name`, or `~` without a home.
pub fn path(text: &str, surroundings: &Surroundings) -> Result<String, String> {
    if text.contains('\0') {
        return Err("a path cannot hold a NUL".to_owned());
    }
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    if let Some(rest) = text.strip_prefix('~') {
        let Some(home) = &surroundings.home else {
            return Err(format!(
                "{} needs a home folder, and HOME is not set: write the whole path",
                said(text)
            ));
        };
        return match rest.strip_prefix('/') {
            None if rest.is_empty() => Ok(home.display().to_string()),
            Some(rest) => Ok(format!(
                "{}/{rest}",
                home.display().to_string().trim_end_matches('/')
            )),
            None => Err(format!(
                "{} is another user's home: write the whole path",
                said(text)
            )),
        };
    }
    Ok(cleaned(&surroundings.cwd.join(text)))
}

/// Without `.`, `..` and doubled slashes, by the text alone.
fn cleaned(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    format!("/{}", parts.join("/"))
}

fn target(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!(
            "{} is no place in the container: it is a path from /",
            said(text)
        ));
    }
    if cleaned(Path::new(text)) == "/" {
        return Err("a mount cannot replace the container's whole file system".to_owned());
    }
    if text.contains('\0') {
        return Err("a path cannot hold a NUL".to_owned());
    }
    Ok(text.to_owned())
}

impl MountAsk {
    /// `-v`: `SOURCE:TARGET[:OPTIONS]` or `TARGET`. A source that begins with `/`, `.` or `~` is a path, and
    /// becomes absolute; any other is a volume's name.
    ///
    /// # Errors
    /// A target that is not absolute, an option that nobody knows, a name that is none.
    pub fn volume(text: &str, surroundings: &Surroundings) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (first, second, options) =
            (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(format!(
                "{} has too many colons: SOURCE:TARGET:OPTIONS (a path with a colon needs --mount)",
                said(text)
            ));
        }
        let Some(second) = second else {
            return Ok(Self::Anonymous {
                target: target(first)?,
            });
        };
        if first.is_empty() || second.is_empty() || options == Some("") {
            return Err(format!(
                "{} lacks a part between its colons: SOURCE:TARGET or SOURCE:TARGET:ro",
                said(text)
            ));
        }
        let source = if first.starts_with(['/', '.', '~']) {
            let source = path(first, surroundings)?;
            if source.contains(':') {
                return Err(format!(
                    "{} has a colon: write --mount type=bind,source=…,target={}",
                    said(&source),
                    shown(second)
                ));
            }
            source
        } else if is_name(first) {
            first.to_owned()
        } else if first.contains('/') {
            return Err(format!(
                "{} is neither a volume's name nor a path to Docker: write ./{}",
                said(first),
                shown(first)
            ));
        } else {
            return Err(format!(
                "{} is no volume name: at least two of a-z, A-Z, 0-9, `_`, `.`, `-` (a path begins with / or ./)",
                said(first)
            ));
        };
        let options = options.unwrap_or_default();
        for option in options.split(',') {
            let known = options.is_empty()
                || OPTIONS.contains(&option)
                || ["upperdir=", "workdir=", "idmap"]
                    .iter()
                    .any(|start| option.starts_with(start));
            if !known {
                return Err(format!(
                    "{} is no option of a mount: ro, rw, z, Z, rshared, nocopy and the like",
                    said(option)
                ));
            }
        }
        Ok(Self::Bind {
            source,
            target: target(second)?,
            options: options.to_owned(),
        })
    }

    /// `--mount`: `type=bind,source=/data,target=/data,readonly`.
    ///
    /// # Errors
    /// A key or value that Docker does not know, no target, options of another type of mount.
    pub fn mount(text: &str, surroundings: &Surroundings) -> Result<Self, String> {
        let mut fields = Vec::new();
        for field in csv::split(text)? {
            let Some((key, value)) = field.split_once('=') else {
                fields.push((field.to_ascii_lowercase(), None));
                continue;
            };
            let key = key.to_ascii_lowercase();
            let value = if matches!(key.as_str(), "source" | "src")
                && (value == "."
                    || value == "~"
                    || ["./", "../", "~/"]
                        .iter()
                        .any(|start| value.starts_with(start)))
            {
                path(value, surroundings)?
            } else {
                value.to_owned()
            };
            fields.push((key, Some(value)));
        }
        mount_body(&fields)?;
        Ok(Self::Mount(fields))
    }

    /// `--tmpfs`: `TARGET[:OPTIONS]`.
    ///
    /// # Errors
    /// A target that is not absolute.
    pub fn tmpfs(text: &str) -> Result<Self, String> {
        let (place, options) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self::Tmpfs {
            target: target(place)?,
            options: options.to_owned(),
        })
    }

    /// The flag and its value.
    #[must_use]
    pub fn to_flag(&self) -> [String; 2] {
        let flag = match self {
            Self::Bind { .. } | Self::Anonymous { .. } => "-v",
            Self::Mount(_) => "--mount",
            Self::Tmpfs { .. } => "--tmpfs",
        };
        [flag.to_owned(), self.to_string()]
    }

    /// Path inside the container.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. } | Self::Anonymous { target } | Self::Tmpfs { target, .. } => {
                target
            }
            Self::Mount(fields) => last(fields, &["target", "dst", "destination"]).unwrap_or(""),
        }
    }

    /// The path on the engine's host, of a mount that has one; a volume's name is none.
    #[must_use]
    pub fn host_path(&self) -> Option<&str> {
        match self {
            Self::Bind { source, .. } => Some(source.as_str()).filter(|s| s.starts_with('/')),
            Self::Mount(fields) if last(fields, &["type"]) == Some("bind") => {
                last(fields, &["source", "src"])
            }
            Self::Mount(_) | Self::Anonymous { .. } | Self::Tmpfs { .. } => None,
        }
    }
}

/// The last value under one of these keys.
fn last<'a>(fields: &'a [(String, Option<String>)], keys: &[&str]) -> Option<&'a str> {
    fields
        .iter()
        .rev()
        .find(|(key, _)| keys.contains(&key.as_str()))
        .and_then(|(_, value)| value.as_deref())
}

impl fmt::Display for MountAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind {
                source,
                target,
                options,
            } if options.is_empty() => write!(f, "{source}:{target}"),
            Self::Bind {
                source,
                target,
                options,
            } => write!(f, "{source}:{target}:{options}"),
            Self::Anonymous { target } => f.write_str(target),
            Self::Tmpfs { target, options } if options.is_empty() => f.write_str(target),
            Self::Tmpfs { target, options } => write!(f, "{target}:{options}"),
            Self::Mount(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(key, value)| match value {
                        Some(value) => format!("{key}={value}"),
                        None => key.clone(),
                    })
                    .collect();
                f.write_str(&csv::join(fields.iter().map(String::as_str)))
            }
        }
    }
}

/// Yes or no as Docker's flags read it.
///
/// # Errors
/// Another word.
pub(in crate::launch) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{} is neither true nor false", said(text))),
    }
}

/// The engine's `Mount` of a `--mount`.
///
/// # Errors
/// As [`MountAsk::mount`].
pub(in crate::launch) fn mount_body(fields: &[(String, Option<String>)]) -> Result<Value, String> {
    let mut made = Made {
        kind: "volume".to_owned(),
        ..Made::default()
    };
    for (key, value) in fields {
        match value {
            Some(value) => made.keyed(key, value)?,
            None => match key.as_str() {
                "readonly" | "ro" => made.top("ReadOnly", json!(true)),
                "volume-nocopy" => made.volume("NoCopy", json!(true)),
                "bind-nonrecursive" => made.bind("NonRecursive", json!(true)),
                _ => {
                    return Err(format!(
                        "{} needs a value: type=bind,source=/data,target=/data",
                        said(key)
                    ));
                }
            },
        }
    }
    made.done()
}

/// A mount while it is put together. What is false or empty is left out, as Docker's own client does.
#[derive(Default)]
struct Made {
    kind: String,
    top: Map<String, Value>,
    bind: Option<Map<String, Value>>,
    volume: Option<Map<String, Value>>,
    labels: Map<String, Value>,
    driver: Map<String, Value>,
    driver_options: Map<String, Value>,
    image: Option<Map<String, Value>>,
    tmpfs: Option<Map<String, Value>>,
}

fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    if value == json!(false) || value == json!("") || value == json!(0) {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), value);
    }
}

impl Made {
    fn top(&mut self, key: &str, value: Value) {
        put(&mut self.top, key, value);
    }

    fn bind(&mut self, key: &str, value: Value) {
        put(self.bind.get_or_insert_default(), key, value);
    }

    fn volume(&mut self, key: &str, value: Value) {
        put(self.volume.get_or_insert_default(), key, value);
    }

    fn keyed(&mut self, key: &str, value: &str) -> Result<(), String> {
        let bad = |why: &str| format!("{key}={}: {why}", shown(value));
        let yes = || truth(value).map(Value::Bool).map_err(|why| bad(&why));
        match key {
            "type" => self.kind = value.to_lowercase(),
            "source" | "src" => self.top("Source", json!(value)),
            "target" | "dst" | "destination" => self.top("Target", json!(value)),
            "readonly" | "ro" => self.top("ReadOnly", yes()?),
            "consistency" => self.top("Consistency", json!(value.to_lowercase())),
            "bind-propagation" => self.bind("Propagation", json!(value.to_lowercase())),
            "bind-nonrecursive" => self.bind("NonRecursive", yes()?),
            "bind-create-src" => self.bind("CreateMountpoint", yes()?),
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => self.bind("NonRecursive", json!(true)),
                "writable" => self.bind("ReadOnlyNonRecursive", json!(true)),
                "readonly" => self.bind("ReadOnlyForceRecursive", json!(true)),
                _ => return Err(bad("it is enabled, disabled, writable or readonly")),
            },
            "volume-nocopy" => self.volume("NoCopy", yes()?),
            "volume-subpath" => self.volume("Subpath", json!(value)),
            "volume-label" => {
                self.volume.get_or_insert_default();
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                if !name.is_empty() {
                    self.labels.insert(name.to_owned(), json!(value));
                }
            }
            "volume-driver" => {
                self.volume.get_or_insert_default();
                put(&mut self.driver, "Name", json!(value));
            }
            "volume-opt" => {
                self.volume.get_or_insert_default();
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                if !name.is_empty() {
                    self.driver_options.insert(name.to_owned(), json!(value));
                }
            }
            "image-subpath" => put(self.image.get_or_insert_default(), "Subpath", json!(value)),
            "tmpfs-size" => {
                let size = bytes(value).map_err(|why| bad(&why))?;
                put(self.tmpfs.get_or_insert_default(), "SizeBytes", json!(size));
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8)
                    .map_err(|_| bad("a mode is an octal number, as 1777"))?;
                put(self.tmpfs.get_or_insert_default(), "Mode", json!(mode));
            }
            _ => {
                return Err(format!(
                    "there is no {} in a mount: type=, source=, target=, readonly, bind-…=, volume-…=, tmpfs-…=",
                    said(key)
                ));
            }
        }
        Ok(())
    }

    fn done(mut self) -> Result<Value, String> {
        if self.kind.is_empty() {
            return Err("a mount needs a type: type=bind, volume or tmpfs".to_owned());
        }
        let Some(target) = self.top.get("Target").and_then(Value::as_str) else {
            return Err("a mount needs a place in the container: target=/data".to_owned());
        };
        if !target.starts_with('/') {
            return Err(format!(
                "{} is no place in the container: target= is a path from /",
                said(target)
            ));
        }
        for (kind, there) in [
            ("bind", self.bind.is_some()),
            ("volume", self.volume.is_some()),
            ("image", self.image.is_some()),
            ("tmpfs", self.tmpfs.is_some()),
        ] {
            if there && self.kind != kind {
                return Err(format!(
                    "{kind}-… options are for type={kind}, and this mount is type={}",
                    crate::model::text::clean(&self.kind, 20)
                ));
            }
        }
        let read_only = self.top.contains_key("ReadOnly");
        if let Some(bind) = &self.bind {
            if bind.contains_key("ReadOnlyNonRecursive") && !read_only {
                return Err("bind-recursive=writable needs readonly beside it".to_owned());
            }
            if bind.contains_key("ReadOnlyForceRecursive")
                && !(read_only && bind.get("Propagation") == Some(&json!("rprivate")))
            {
                return Err(
                    "bind-recursive=readonly needs readonly and bind-propagation=rprivate beside it"
                        .to_owned(),
                );
            }
        }
        self.top.insert("Type".to_owned(), json!(self.kind));
        if let Some(mut volume) = self.volume {
            if !self.labels.is_empty() {
                volume.insert("Labels".to_owned(), Value::Object(self.labels));
            }
            if !self.driver_options.is_empty() {
                self.driver
                    .insert("Options".to_owned(), Value::Object(self.driver_options));
            }
            volume.insert("DriverConfig".to_owned(), Value::Object(self.driver));
            self.top
                .insert("VolumeOptions".to_owned(), Value::Object(volume));
        }
        for (key, options) in [
            ("BindOptions", self.bind),
            ("ImageOptions", self.image),
            ("TmpfsOptions", self.tmpfs),
        ] {
            if let Some(options) = options {
                self.top.insert(key.to_owned(), Value::Object(options));
            }
        }
        Ok(Value::Object(self.top))
    }
}
