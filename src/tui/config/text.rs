//! The commented default file that `midwatch config print` writes, made from the options and the keymap.

use std::fmt::Write as _;

use super::options::OPTIONS;
use crate::tui::action::Action;
use crate::tui::keymap::{Keymap, Mode};

const HEAD: &str = "\
# midwatch: the configuration file, with every option at its default.
# Its place: $XDG_CONFIG_HOME/midwatch/config.toml (~/.config/midwatch/config.toml), or --config FILE.
# Leave out what you do not change. Flags and the environment stand above this file.
";

const KEYS: &str = "
# Keys. One character, or a name: enter esc tab space backspace delete insert up down left right home end
# page-up page-down minus plus f1 to f24, with ctrl-, alt- or shift- before it (\"ctrl-r\", \"shift-tab\").
# A letter's case counts: \"S\" is shift and s. A list gives an action several keys, the first of which is
# shown in the footer; [] takes its keys away. A key given here is taken from the action that has it.
# What stops, kills or removes asks before it acts, whatever key it is on.
";

/// The default file.
pub fn default_text() -> String {
    let mut out = HEAD.to_owned();
    let mut table = "";
    for option in OPTIONS {
        if option.table != table {
            table = option.table;
            let _ = write!(out, "\n[{table}]\n");
        } else if table.is_empty() {
            out.push('\n');
        }
        for line in option.help.lines() {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "{} = {}", option.name, option.default);
    }
    out.push_str(KEYS);
    let keymap = Keymap::default();
    for mode in Mode::ALL {
        let _ = writeln!(out, "\n[keys.{}]", mode.name());
        match mode {
            Mode::Normal => {}
            Mode::Logs => {
                out.push_str("# While the log has the focus; other keys act as in [keys.normal].\n")
            }
            Mode::Dialog => {
                out.push_str("# Menus, questions and forms; questions also take y and n.\n")
            }
            Mode::Input => {
                out.push_str("# While a line of text is written; every other key edits it.\n")
            }
            Mode::Form => {
                out.push_str("# The launch form; every other key writes into its field.\n")
            }
        }
        for action in Action::ALL {
            let keys: Vec<String> = keymap
                .bindings()
                .iter()
                .filter(|b| b.mode == *mode && b.action == *action)
                .map(|b| toml::Value::String(b.key.to_string()).to_string())
                .collect();
            if keys.is_empty() {
                continue;
            }
            let line = format!("{} = [{}]", action.name(), keys.join(", "));
            let _ = writeln!(out, "{line:<42} # {}", action.help());
        }
    }
    out
}
