//! What the loop tells `update`, one event at a time: keys first, then what the sources brought.

use super::effect::Outcome;
use super::keymap::KeyPress;
use crate::watch::Changes;

/// What the mouse did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseKind {
    /// The left button went down.
    Press,
    /// The left button was dragged.
    Drag,
    /// The left button went up.
    Release,
    /// The wheel turned up.
    ScrollUp,
    /// The wheel turned down.
    ScrollDown,
}

/// A mouse event, in cells from the top left corner (0, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MouseEvent {
    /// What happened.
    pub kind: MouseKind,
    /// Column.
    pub column: u16,
    /// Row.
    pub row: u16,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key was pressed.
    Key(KeyPress),
    /// The mouse, while it is captured.
    Mouse(MouseEvent),
    /// Text was pasted (bracketed paste); control characters are still in it.
    Paste(String),
    /// The terminal has another size.
    Resize {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// News was folded into the state's world.
    World(Changes),
    /// An effect ended.
    Outcome(Outcome),
    /// The log has more to show.
    Logs(Box<crate::logs::LogNews>),
    /// The deadline that the state asked for has come.
    Tick,
}
