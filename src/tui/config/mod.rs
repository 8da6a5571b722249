//! The configuration file: TOML, every field checked, errors with file and line.
//!
//! Default, then file, then environment and flags. The options are one table ([`options::OPTIONS`]) from
//! which defaults, reader and the commented default file are made.

mod options;
mod text;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy as _;
use toml::de::{DeTable, DeValue};

pub use text::default_text;

use super::action::Action;
use super::keymap::{self, KeyPress, Keymap, Mode};
use super::theme::{Capabilities, ColorDepth, Theme, ThemeError};

/// Errors of one file that are told at once.
const TOLD: usize = 20;

/// Something that may be left to what the terminal says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auto<T> {
    /// As detected.
    #[default]
    Auto,
    /// As the user says.
    Set(T),
}

/// Limits of an open log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// Lines kept.
    pub max_lines: usize,
    /// Bytes kept.
    pub max_bytes: usize,
    /// Show timestamps at first.
    pub timestamps: bool,
    /// Wrap long lines at first.
    pub wrap: bool,
}

/// What the user chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Time between two rounds of statistics.
    pub refresh: Duration,
    /// A built-in theme's name, a file in `themes/` beside the configuration, or a path.
    pub theme: String,
    /// Colours.
    pub colors: Auto<ColorDepth>,
    /// Unicode glyphs.
    pub unicode: Auto<bool>,
    /// Capture the mouse from the start.
    pub mouse: bool,
    /// Refuse everything that changes anything.
    pub read_only: bool,
    /// Show stopped containers at first.
    pub show_stopped: bool,
    /// Column names in order; empty is the usual set.
    pub columns: Vec<String>,
    /// Sort column's name; empty is the usual order.
    pub sort: String,
    /// The log.
    pub logs: LogConfig,
    /// A question that nobody answers for so long closes itself, undone; zero: never.
    pub confirm_timeout: Duration,
    /// The stop timeouts offered, beside the container's own.
    pub stop_timeouts: Vec<Duration>,
    /// The keys.
    pub keys: Keymap,
}

impl Default for Config {
    fn default() -> Self {
        options::defaults()
    }
}

/// What stands above the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--read-only`.
    pub read_only: bool,
    /// `MIDWATCH_THEME`.
    pub theme: Option<String>,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Line, from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub what: String,
}

/// A configuration file that cannot be used; prints one line for each complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as the user named it.
    pub file: String,
    /// At least one, in the order of the lines.
    pub complaints: Vec<Complaint>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, complaint) in self.complaints.iter().take(TOLD).enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            match complaint.line {
                Some(line) => write!(f, "{}:{line}: {}", self.file, complaint.what)?,
                None => write!(f, "{}: {}", self.file, complaint.what)?,
            }
        }
        if let Some(more @ 1..) = self.complaints.len().checked_sub(TOLD) {
            write!(f, "\n{}: and {more} more", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file's text; `file` names it in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let error = |complaints| ConfigError {
            file: file.to_owned(),
            complaints,
        };
        let document = DeTable::parse(text).map_err(|e| {
            error(vec![Complaint {
                line: e.span().map(|span| line_of(text, span.start)),
                what: e.message().to_owned(),
            }])
        })?;
        let mut reader = Reader {
            text,
            config: Self::default(),
            complaints: Vec::new(),
        };
        reader.table(document.get_ref(), "");
        let mut complaints = reader.complaints;
        if complaints.is_empty() {
            return Ok(reader.config);
        }
        complaints.sort_by_key(|c| c.line);
        Err(error(complaints))
    }

    /// The configuration in force: the file at `path` (which must exist then), or the one in its usual
    /// place (which may be missing), and what stands above it.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let usual = config_dir().map(|dir| dir.join("config.toml"));
        let mut config = match path.or(usual.as_deref()) {
            None => Self::default(),
            Some(file) => match std::fs::read_to_string(file) {
                Ok(text) => Self::parse(&text, &file.display().to_string())?,
                Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                    Self::default()
                }
                Err(error) => {
                    return Err(ConfigError {
                        file: file.display().to_string(),
                        complaints: vec![Complaint {
                            line: None,
                            what: format!("cannot be read: {error}"),
                        }],
                    });
                }
            },
        };
        config.read_only |= overrides.read_only;
        if let Some(theme) = &overrides.theme {
            config.theme.clone_from(theme);
        }
        Ok(config)
    }

    /// What the terminal shows: as detected, unless the user says otherwise (which also stands above
    /// `NO_COLOR`, as no-color.org wants it).
    pub fn capabilities(&self, detected: Capabilities) -> Capabilities {
        Capabilities {
            depth: match self.colors {
                Auto::Auto => detected.depth,
                Auto::Set(depth) => depth,
            },
            unicode: match self.unicode {
                Auto::Auto => detected.unicode,
                Auto::Set(unicode) => unicode,
            },
        }
    }

    /// The theme as this terminal can show it.
    pub fn load_theme(&self, capabilities: Capabilities) -> Result<Theme, ThemeError> {
        Theme::load(&self.theme, config_dir().as_deref()).map(|theme| theme.adapted(capabilities))
    }
}

/// `$XDG_CONFIG_HOME/midwatch`, else `~/.config/midwatch`; `None` without a home.
pub fn config_dir() -> Option<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().ok()?;
    Some(base.config_dir().join("midwatch"))
}

/// Where preferences are kept: in `data_dir` (`--data-dir`), else in `$XDG_STATE_HOME/midwatch`
/// (`~/.local/state/midwatch`); `None` without a home.
pub fn preferences_path(data_dir: Option<&Path>) -> Option<PathBuf> {
    let folder = match data_dir {
        Some(dir) => dir.to_owned(),
        None => {
            let base = etcetera::base_strategy::Xdg::new().ok()?;
            base.state_dir()
                .unwrap_or_else(|| base.data_dir())
                .join("midwatch")
        }
    };
    Some(folder.join("preferences.toml"))
}

/// The 1-based line of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    let upto = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    upto.iter().filter(|b| **b == b'\n').count() + 1
}

struct Reader<'a> {
    text: &'a str,
    config: Config,
    complaints: Vec<Complaint>,
}

impl Reader<'_> {
    fn complain(&mut self, at: usize, what: String) {
        self.complaints.push(Complaint {
            line: Some(line_of(self.text, at)),
            what,
        });
    }

    /// The document (`inside` is empty) or one of its tables.
    fn table(&mut self, table: &DeTable<'_>, inside: &str) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let at = key.span().start;
            if inside.is_empty() {
                if name == "keys" {
                    self.modes(value.get_ref(), at);
                    continue;
                }
                if options::has_table(name) {
                    match value.get_ref().as_table() {
                        Some(table) => self.table(table, name),
                        None => self.complain(at, format!("{name} is a table: [{name}]")),
                    }
                    continue;
                }
            }
            match options::find(inside, name) {
                Some(option) => {
                    if let Err(why) = (option.set)(&mut self.config, value.get_ref()) {
                        self.complain(value.span().start, format!("{name}: {why}"));
                    }
                }
                None => {
                    let place = match inside {
                        "" => String::new(),
                        table => format!(" in [{table}]"),
                    };
                    let hint = meant(name, options::names(inside));
                    self.complain(at, format!("no option {name:?}{place}{hint}"));
                }
            }
        }
    }

    fn modes(&mut self, value: &DeValue<'_>, at: usize) {
        let Some(modes) = value.as_table() else {
            return self.complain(at, "keys is a table: [keys.normal]".to_owned());
        };
        for (key, value) in modes {
            let name: &str = key.get_ref();
            let at = key.span().start;
            let Some(mode) = Mode::from_name(name) else {
                let hint = meant(name, Mode::ALL.iter().map(|mode| mode.name()));
                self.complain(at, format!("no mode {name:?} in [keys]{hint}"));
                continue;
            };
            match value.get_ref().as_table() {
                Some(actions) => self.actions(mode, actions),
                None => self.complain(at, format!("keys.{name} is a table: [keys.{name}]")),
            }
        }
    }

    fn actions(&mut self, mode: Mode, actions: &DeTable<'_>) {
        for (key, value) in actions {
            let name: &str = key.get_ref();
            let at = key.span().start;
            let Some(action) = Action::from_name(name) else {
                let hint = meant(name, Action::ALL.iter().map(|action| action.name()));
                self.complain(at, format!("no action {name:?}{hint}"));
                continue;
            };
            let keys = match value::texts(value.get_ref()) {
                Ok(keys) => keys,
                Err(why) => {
                    self.complain(at, format!("{name}: {why}"));
                    continue;
                }
            };
            let keys: Result<Vec<KeyPress>, _> = keys.iter().map(|key| key.parse()).collect();
            let result = keys.map_err(|e| e.to_string()).and_then(|keys| {
                self.config
                    .keys
                    .rebind(mode, action, &keys)
                    .map_err(|clash| clash.to_string())
            });
            if let Err(why) = result {
                self.complain(value.span().start, format!("{name}: {why}"));
            }
        }
    }
}

/// `(did you mean …?)`, if something near was meant.
fn meant<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    keymap::nearest(name, names)
        .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

#[cfg(test)]
mod tests;
