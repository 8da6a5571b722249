//! Keys to actions, as data: per mode, remappable, and printable backwards for footer and help.

mod defaults;
mod key;

pub use defaults::UNBOUND;
pub use key::{Key, KeyPress, UnknownKey};

use super::action::{Action, Group};

/// What the keyboard does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Lists, charts, details.
    Normal,
    /// The log has the focus; keys that it does not use itself act as in `Normal`.
    Logs,
    /// A menu, a question or a form is open.
    Dialog,
    /// A line of text is being written.
    Input,
    /// The launch form is open: keys that mean nothing else write into its field.
    Form,
}

impl Mode {
    /// Every mode.
    pub const ALL: &[Mode] = &[
        Mode::Normal,
        Mode::Logs,
        Mode::Dialog,
        Mode::Input,
        Mode::Form,
    ];

    /// Its table in the configuration file: `[keys.normal]`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Normal => "normal",
            Mode::Logs => "logs",
            Mode::Dialog => "dialog",
            Mode::Input => "input",
            Mode::Form => "form",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Mode::ALL.iter().copied().find(|mode| mode.name() == name)
    }
}

/// A key of a mode and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// When.
    pub mode: Mode,
    /// Which key.
    pub key: KeyPress,
    /// What it asks for.
    pub action: Action,
    /// Set by the user (then it wins over a default of the same key).
    user: bool,
}

/// Two user bindings of one mode that use the same key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {key} is given to both \"{}\" and \"{}\" in [keys.{}]", .first.name(), .second.name(), .mode.name())]
pub struct KeyClash {
    /// Which mode.
    pub mode: Mode,
    /// Which key.
    pub key: KeyPress,
    /// Who has it.
    pub first: Action,
    /// Who wants it too.
    pub second: Action,
}

/// One line of the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpEntry {
    /// What it does.
    pub action: Action,
    /// Under which heading.
    pub group: Group,
    /// The user's real keys, `"up, k"`; empty where none is bound.
    pub keys: String,
    /// The sentence.
    pub help: &'static str,
}

/// One hint of the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// What it does.
    pub action: Action,
    /// The first of the user's keys for it.
    pub key: String,
    /// A word or two.
    pub label: &'static str,
}

/// The keys in force. Two are equal where every action has the same keys in the same order.
#[derive(Debug, Clone)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

impl PartialEq for Keymap {
    fn eq(&self, other: &Self) -> bool {
        let pairs = |mode: &'static Mode| Action::ALL.iter().map(move |action| (*mode, *action));
        Mode::ALL
            .iter()
            .flat_map(pairs)
            .all(|(mode, action)| self.keys(mode, action).eq(other.keys(mode, action)))
    }
}

impl Default for Keymap {
    fn default() -> Self {
        let mut bindings = Vec::new();
        for (mode, action, keys) in defaults::DEFAULTS {
            for text in *keys {
                // A test holds that every default spelling parses.
                if let Ok(key) = text.parse() {
                    bindings.push(Binding {
                        mode: *mode,
                        key,
                        action: *action,
                        user: false,
                    });
                }
            }
        }
        Self { bindings }
    }
}

impl Keymap {
    /// What this key asks for in this mode; `None` leaves it to the mode's own use (text, `y`/`n`).
    pub fn action(&self, mode: Mode, key: KeyPress) -> Option<Action> {
        let own = self.find(mode, key);
        match mode {
            Mode::Logs => own.or_else(|| self.find(Mode::Normal, key)),
            _ => own,
        }
    }

    fn find(&self, mode: Mode, key: KeyPress) -> Option<Action> {
        self.bindings
            .iter()
            .find(|b| b.mode == mode && b.key == key)
            .map(|b| b.action)
    }

    /// Gives `action` these keys in `mode` instead of those it has; an empty list unbinds it. A default
    /// binding of the same key gives way, a user's own one is a clash.
    pub fn rebind(
        &mut self,
        mode: Mode,
        action: Action,
        keys: &[KeyPress],
    ) -> Result<(), KeyClash> {
        self.bindings
            .retain(|b| !(b.mode == mode && b.action == action));
        for key in keys {
            let taken = self
                .bindings
                .iter()
                .find(|b| b.mode == mode && b.key == *key);
            if let Some(other) = taken
                && other.user
                && other.action != action
            {
                return Err(KeyClash {
                    mode,
                    key: *key,
                    first: other.action,
                    second: action,
                });
            }
            self.bindings.retain(|b| !(b.mode == mode && b.key == *key));
            self.bindings.push(Binding {
                mode,
                key: *key,
                action,
                user: true,
            });
        }
        Ok(())
    }

    /// All bindings, in the order in which the footer prefers them.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The keys of an action as they act in this mode (in `Logs` those of `Normal` too, unless shadowed).
    pub fn keys(&self, mode: Mode, action: Action) -> impl Iterator<Item = KeyPress> + '_ {
        let own = self.bindings.iter().filter(move |b| b.mode == mode);
        let inherited = self.bindings.iter().filter(move |b| {
            mode == Mode::Logs && b.mode == Mode::Normal && self.find(mode, b.key).is_none()
        });
        own.chain(inherited)
            .filter(move |b| b.action == action)
            .map(|b| b.key)
    }

    /// The first key of an action in this mode, printed.
    pub fn key_label(&self, mode: Mode, action: Action) -> Option<String> {
        self.keys(mode, action).next().map(|key| key.to_string())
    }

    /// The footer for these actions; those without a key in this mode are left out.
    pub fn hints(&self, mode: Mode, actions: &[Action]) -> Vec<Hint> {
        let hint = |action: &Action| {
            Some(Hint {
                action: *action,
                key: self.key_label(mode, *action)?,
                label: defaults::label(*action),
            })
        };
        actions.iter().filter_map(hint).collect()
    }

    /// The help of a mode: every action that has a key in it, in the help's order. In `Normal` also the
    /// actions that no mode has a key for, so that nothing is hidden.
    pub fn help_entries(&self, mode: Mode) -> Vec<HelpEntry> {
        let mut entries = Vec::new();
        for action in Action::ALL {
            let keys: Vec<String> = self.keys(mode, *action).map(|k| k.to_string()).collect();
            let nowhere = || !self.bindings.iter().any(|b| b.action == *action);
            if !keys.is_empty() || (mode == Mode::Normal && nowhere()) {
                entries.push(HelpEntry {
                    action: *action,
                    group: action.group(),
                    keys: keys.join(", "),
                    help: action.help(),
                });
            }
        }
        entries
    }
}

/// The name nearest to `text`, if it is near enough to be meant.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (text.chars().count() / 3).max(2);
    names
        .map(|name| (distance(text, name), name))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, name)| name)
}

/// Edit distance with swaps of neighbours counted as one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let change = at(&last, j) + usize::from(ca != cb);
            let mut best = change.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca) && ca != cb;
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_default_parses_and_no_mode_has_a_key_twice() {
        let mut seen = HashSet::new();
        let mut count = 0;
        for (mode, action, keys) in defaults::DEFAULTS {
            for text in *keys {
                let key: KeyPress = text.parse().unwrap();
                assert_eq!(&key.to_string(), text, "spelled as it is printed");
                assert!(
                    seen.insert((*mode, key)),
                    "{text} twice in {mode:?} ({action:?})"
                );
                count += 1;
            }
        }
        assert_eq!(Keymap::default().bindings().len(), count);
    }

    #[test]
    fn every_action_is_bound_or_unbound_on_purpose_and_in_the_help() {
        let keymap = Keymap::default();
        for action in Action::ALL {
            let bound = keymap.bindings().iter().any(|b| b.action == *action);
            assert_ne!(bound, UNBOUND.contains(action), "{action:?}");
            let told = Mode::ALL
                .iter()
                .any(|m| keymap.help_entries(*m).iter().any(|e| e.action == *action));
            assert!(told, "{action:?} is in no help");
        }
        assert!(keymap.help_entries(Mode::Logs).len() > keymap.help_entries(Mode::Input).len());
    }

    #[test]
    fn nothing_that_ends_something_is_on_a_bare_key() {
        use Action::*;
        let destructive = [Stop, Restart, PauseToggle, Kill, Remove, KillProcess, Start];
        for binding in Keymap::default().bindings() {
            if destructive.contains(&binding.action) {
                let chord = binding.key.ctrl || matches!(binding.key.key, Key::F(_));
                assert!(chord, "{binding:?}");
            }
        }
        let keymap = Keymap::default();
        let sort = keymap.action(Mode::Normal, KeyPress::char('s'));
        assert_eq!(sort, Some(Sort));
    }

    #[test]
    fn the_log_shadows_and_inherits() {
        let keymap = Keymap::default();
        let action = |mode, c| keymap.action(mode, KeyPress::char(c));
        assert_eq!(action(Mode::Logs, '/'), Some(Action::LogSearch));
        assert_eq!(action(Mode::Normal, '/'), Some(Action::Filter));
        assert_eq!(action(Mode::Logs, 'q'), Some(Action::Quit));
        assert_eq!(action(Mode::Input, 'q'), None);
        // What is shadowed is not promised in the log's help.
        assert_eq!(keymap.keys(Mode::Logs, Action::Filter).count(), 0);
        assert_eq!(
            keymap.key_label(Mode::Logs, Action::Quit).as_deref(),
            Some("q")
        );
    }

    #[test]
    fn a_user_key_takes_a_default_ones_place_and_two_user_keys_clash() {
        let mut keymap = Keymap::default();
        let s = KeyPress::char('s');
        keymap.rebind(Mode::Normal, Action::Shell, &[s]).unwrap();
        assert_eq!(keymap.action(Mode::Normal, s), Some(Action::Shell));
        assert_eq!(keymap.action(Mode::Normal, KeyPress::char('e')), None);
        assert_eq!(keymap.key_label(Mode::Normal, Action::Sort), None);
        let clash = keymap.rebind(Mode::Normal, Action::Sort, &[s]).unwrap_err();
        assert_eq!(clash.first, Action::Shell);
        let hints = keymap.hints(Mode::Normal, &[Action::Sort, Action::Shell]);
        assert_eq!(hints.len(), 1);
        assert_eq!(hints[0].key, "s");
    }

    #[test]
    fn nearest_finds_the_slip_and_nothing_far() {
        let names = ["page-up", "page-down", "sort", "stop"];
        let near = |text| nearest(text, names.iter().copied());
        assert_eq!(near("pagedown"), Some("page-down"));
        assert_eq!(near("sotp"), Some("stop"));
        assert_eq!(near("completely-else"), None);
    }
}
