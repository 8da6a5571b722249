//! Dialogs, as a stack: a key goes to the top one first.

use std::time::Duration;

use tui_input::{Input, InputRequest};

use super::columns::Column;
use crate::model::{ContainerCommand, ContainerKey, ProcKey, Signal};
use crate::tui::Action;
use crate::tui::building::{BuildForm, Building};
use crate::tui::form::Form;
use crate::tui::keymap::{Key, KeyPress};

/// One dialog.
#[derive(Debug)]
pub enum Layer {
    /// All keys.
    Help { scroll: usize },
    /// A question bound to an exact set.
    Confirm(Confirm),
    /// A list to choose from.
    Menu(Menu),
    /// Which columns, in which order.
    Columns(ColumnChooser),
    /// A line of text.
    Prompt(Prompt),
    /// What is to be built.
    BuildForm(Box<BuildForm>),
    /// A build and its log.
    Building(Box<Building>),
    /// Something to read.
    Message {
        title: String,
        lines: Vec<String>,
        /// First line shown.
        scroll: usize,
    },
    /// The launch form, over the whole screen.
    Form(Box<Form>),
    /// The last launches and presets: the selected line.
    Launches { selected: usize },
}

/// A container that a question is about. Its name is the one the user saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub key: ContainerKey,
    pub name: String,
    /// It runs.
    pub live: bool,
    /// It vanished while the question stood: it will not be acted on.
    pub gone: bool,
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A command on exactly these containers.
    Containers {
        command: ContainerCommand,
        targets: Vec<Target>,
    },
    /// A signal to exactly this process.
    Process {
        process: ProcKey,
        signal: Signal,
        /// Pid, user, command, container: a line each.
        lines: Vec<String>,
    },
    /// Whether a build is to be stopped.
    CancelBuild {
        /// Its number.
        id: u64,
        /// What it builds.
        title: String,
    },
    /// To start what the form describes though its verdict says no (`force`), or "not as it should".
    Launch {
        force: bool,
        text: String,
        /// Why, by which file, and what would help.
        lines: Vec<String>,
    },
}

/// A question; `No` is chosen until the user says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirm {
    pub ask: Ask,
    /// When it was asked, on the monotonic clock.
    pub asked: Duration,
    pub yes: bool,
    pub scroll: usize,
    /// The set changed under the question.
    pub changed: bool,
}

impl Confirm {
    pub fn new(ask: Ask, asked: Duration) -> Self {
        Self {
            ask,
            asked,
            yes: false,
            scroll: 0,
            changed: false,
        }
    }
}

/// What a menu's line does.
#[derive(Debug, Clone, PartialEq)]
pub enum Pick {
    Do(Action),
    SortBy(Column),
    /// Stop or restart with this time to end.
    Grace {
        restart: bool,
        grace: Option<Duration>,
    },
    /// Stop or restart with a time to be typed.
    CustomGrace {
        restart: bool,
    },
    Kill(Signal),
    SignalProcess {
        process: ProcKey,
        signal: Signal,
    },
}

/// A menu's line.
#[derive(Debug, Clone, PartialEq)]
pub struct MenuItem {
    pub label: String,
    pub note: String,
    pub pick: Pick,
}

/// A menu about a fixed set of containers.
#[derive(Debug, Clone, PartialEq)]
pub struct Menu {
    pub title: String,
    pub items: Vec<MenuItem>,
    pub selected: usize,
    /// The set it was opened for.
    pub targets: Vec<Target>,
    /// For the process menu: who would get the signal.
    pub lines: Vec<String>,
}

/// What a line of text is for.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptKind {
    /// The list's filter; takes effect with each key.
    Filter,
    /// Search in the Inspect tab.
    Search,
    Rename(ContainerKey),
    /// The name of a preset, for this line.
    Preset {
        line: String,
        left_out: Vec<String>,
    },
    /// Seconds to end in.
    Grace {
        restart: bool,
        targets: Vec<Target>,
    },
    /// A field of a larger dialog.
    Field,
}

/// What a key does to a line of text; `None`: nothing.
pub fn edit_request(press: KeyPress) -> Option<InputRequest> {
    if let Some(c) = press.text() {
        return Some(InputRequest::InsertChar(c));
    }
    Some(match (press.key, press.ctrl) {
        (Key::Backspace, _) => InputRequest::DeletePrevChar,
        (Key::Delete, _) => InputRequest::DeleteNextChar,
        (Key::Left, false) => InputRequest::GoToPrevChar,
        (Key::Right, false) => InputRequest::GoToNextChar,
        (Key::Left, true) => InputRequest::GoToPrevWord,
        (Key::Right, true) => InputRequest::GoToNextWord,
        (Key::Home, _) | (Key::Char('a'), true) => InputRequest::GoToStart,
        (Key::End, _) | (Key::Char('e'), true) => InputRequest::GoToEnd,
        (Key::Char('w'), true) => InputRequest::DeletePrevWord,
        (Key::Char('u'), true) => InputRequest::DeleteFromStart,
        (Key::Char('k'), true) => InputRequest::DeleteTillEnd,
        _ => return None,
    })
}

/// A line of text being written.
#[derive(Debug)]
pub struct Prompt {
    pub kind: PromptKind,
    pub input: Input,
    pub error: Option<String>,
}

impl Prompt {
    pub fn new(kind: PromptKind, text: &str) -> Self {
        Self {
            kind,
            input: Input::new(text.to_owned()),
            error: None,
        }
    }

    /// Edits the line; `false` when the key means nothing here.
    pub fn key(&mut self, press: KeyPress) -> bool {
        let Some(request) = edit_request(press) else {
            return false;
        };
        self.error = None;
        self.input.handle(request);
        true
    }

    /// Inserts pasted text, its control characters left out.
    pub fn paste(&mut self, text: &str) {
        self.error = None;
        for c in text.chars().filter(|c| !c.is_control()).take(1000) {
            self.input.handle(InputRequest::InsertChar(c));
        }
    }
}

/// The column chooser: all columns, the shown ones first and in order.
#[derive(Debug)]
pub struct ColumnChooser {
    pub columns: Vec<(Column, bool)>,
    pub selected: usize,
}

impl ColumnChooser {
    pub fn new(shown: &[Column]) -> Self {
        let rest = Column::ALL.iter().filter(|c| !shown.contains(c));
        Self {
            columns: shown
                .iter()
                .map(|c| (*c, true))
                .chain(rest.map(|c| (*c, false)))
                .collect(),
            selected: 0,
        }
    }

    /// Shows or hides the selected column; the name stays.
    pub fn toggle(&mut self) {
        if let Some((column, on)) = self.columns.get_mut(self.selected)
            && *column != Column::Name
        {
            *on = !*on;
        }
    }

    /// Moves the selected column up or down in the order.
    pub fn shift(&mut self, by: isize) {
        let to = self.selected.saturating_add_signed(by);
        if to < self.columns.len() && to != self.selected {
            self.columns.swap(self.selected, to);
            self.selected = to;
        }
    }

    /// The chosen columns.
    pub fn chosen(&self) -> Vec<Column> {
        self.columns
            .iter()
            .filter(|(_, on)| *on)
            .map(|(c, _)| *c)
            .collect()
    }
}
