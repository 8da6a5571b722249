//! Every option as data: its name, its default as the file spells it, its comment, how it is read.

use std::time::Duration;

use toml::de::DeValue;

use super::value;
use super::{Auto, Config, LogConfig};
use crate::tui::keymap::Keymap;
use crate::tui::theme::ColorDepth;

/// One option.
pub(super) struct ConfigOption {
    /// Its table; empty: none.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its default, as the file spells it.
    pub default: &'static str,
    /// What it does, one line or more.
    pub help: &'static str,
    /// Reads it.
    pub set: fn(&mut Config, &DeValue<'_>) -> Result<(), String>,
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// All options, in the order of the default file.
pub(super) const OPTIONS: &[ConfigOption] = &[
    ConfigOption {
        table: "",
        name: "refresh",
        default: "\"1s\"",
        help: "Time between two rounds of statistics: \"500ms\" to \"60s\".",
        set: |config, v| {
            config.refresh = value::duration(v, SECOND / 2, SECOND * 60)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "theme",
        default: "\"dark\"",
        help: "\"dark\", \"light\", \"high-contrast\", \"mono\", the name of a file in themes/ beside this one\n(without .toml), or a path. MIDWATCH_THEME stands above it.",
        set: |config, v| {
            config.theme = value::text(v)?;
            if config.theme.is_empty() {
                return Err("must not be empty".to_owned());
            }
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "colors",
        default: "\"auto\"",
        help: "\"auto\" (TERM, COLORTERM, NO_COLOR), \"none\", \"16\", \"256\", \"truecolor\".",
        set: |config, v| {
            let words = [
                ("auto", Auto::Auto),
                ("none", Auto::Set(ColorDepth::Mono)),
                ("16", Auto::Set(ColorDepth::Ansi16)),
                ("256", Auto::Set(ColorDepth::Ansi256)),
                ("truecolor", Auto::Set(ColorDepth::True)),
            ];
            config.colors = value::choice(v, &words)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "unicode",
        default: "\"auto\"",
        help: "\"auto\" (LC_ALL, LC_CTYPE, LANG), \"on\", \"off\": plain ASCII, also for bars and charts.",
        set: |config, v| {
            let words = [
                ("auto", Auto::Auto),
                ("on", Auto::Set(true)),
                ("off", Auto::Set(false)),
            ];
            config.unicode = value::choice(v, &words)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "mouse",
        default: "false",
        help: "Capture the mouse from the start. While it is captured, the terminal's own selection needs Shift.",
        set: |config, v| {
            config.mouse = value::flag(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "read-only",
        default: "false",
        help: "Refuse everything that changes containers or processes, shells included.",
        set: |config, v| {
            config.read_only = value::flag(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "show-stopped",
        default: "true",
        help: "Show stopped containers at first.",
        set: |config, v| {
            config.show_stopped = value::flag(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "columns",
        default: "[]",
        help: "Columns of the container list in order, as the column chooser names them; [] is the usual set.",
        set: |config, v| {
            config.columns = value::texts(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "",
        name: "sort",
        default: "\"\"",
        help: "Column that the container list is sorted by at first; \"\" is the usual order.",
        set: |config, v| {
            config.sort = value::text(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "logs",
        name: "max-lines",
        default: "100_000",
        help: "Lines of an open log that are kept, whichever of the two limits comes first.",
        set: |config, v| {
            config.logs.max_lines = value::number(v, 1000, 10_000_000)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "logs",
        name: "max-bytes",
        default: "\"8MiB\"",
        help: "Bytes of an open log that are kept: \"64KiB\" to \"1GiB\".",
        set: |config, v| {
            config.logs.max_bytes = value::bytes(v, 64 << 10, 1 << 30)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "logs",
        name: "timestamps",
        default: "false",
        help: "Show timestamps at first.",
        set: |config, v| {
            config.logs.timestamps = value::flag(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "logs",
        name: "wrap",
        default: "true",
        help: "Wrap long lines at first.",
        set: |config, v| {
            config.logs.wrap = value::flag(v)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "confirm",
        name: "timeout",
        default: "\"60s\"",
        help: "A question that nobody answers for so long closes itself, and nothing is done; \"0s\": never.",
        set: |config, v| {
            config.confirm_timeout = value::duration(v, Duration::ZERO, DAY)?;
            Ok(())
        },
    },
    ConfigOption {
        table: "stop",
        name: "timeouts",
        default: "[\"10s\", \"60s\", \"5m\", \"30m\"]",
        help: "Times to offer between the stop signal and SIGKILL, beside the container's own: trainers\nwrite a checkpoint on SIGTERM.",
        set: |config, v| {
            let Some(list) = v.as_array() else {
                return Err("must be a list of times".to_owned());
            };
            let times: Result<Vec<Duration>, String> = list
                .iter()
                .map(|time| value::duration(time.get_ref(), SECOND, DAY))
                .collect();
            config.stop_timeouts = times?;
            Ok(())
        },
    },
];

/// The option of that name.
pub(super) fn find(table: &str, name: &str) -> Option<&'static ConfigOption> {
    OPTIONS
        .iter()
        .find(|option| option.table == table && option.name == name)
}

/// Whether options stand in a table of that name.
pub(super) fn has_table(name: &str) -> bool {
    !name.is_empty() && OPTIONS.iter().any(|option| option.table == name)
}

/// What may be written in a table: options, and in the document the tables too.
pub(super) fn names(table: &str) -> impl Iterator<Item = &'static str> {
    let own = OPTIONS.iter().filter(move |option| option.table == table);
    let tables = OPTIONS.iter().map(|option| option.table);
    let tables = tables.chain(["keys"]).filter(move |_| table.is_empty());
    own.map(|option| option.name)
        .chain(tables.filter(|name| !name.is_empty()))
}

/// The defaults: every option's own default, read as from a file (a test holds that all can be).
pub(super) fn defaults() -> Config {
    let mut config = Config {
        refresh: SECOND,
        theme: String::new(),
        colors: Auto::Auto,
        unicode: Auto::Auto,
        mouse: false,
        read_only: false,
        show_stopped: false,
        columns: Vec::new(),
        sort: String::new(),
        logs: LogConfig::default(),
        confirm_timeout: Duration::ZERO,
        stop_timeouts: Vec::new(),
        keys: Keymap::default(),
    };
    for option in OPTIONS {
        let read = default_of(option, &mut config);
        debug_assert_eq!(read, Ok(()), "{}", option.name);
    }
    config
}

/// Sets an option to its default.
pub(super) fn default_of(option: &ConfigOption, config: &mut Config) -> Result<(), String> {
    let value = DeValue::parse(option.default).map_err(|e| e.to_string())?;
    (option.set)(config, value.get_ref())
}
