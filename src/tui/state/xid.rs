//! What an Xid means and what to do about it, in words for the screen.

use crate::gpu::{XidSeverity, explain};
use crate::model::XidEvent;
use crate::tui::fmt::put;

/// `Xid 79`, or `fell off the bus` where the kernel gave no number.
pub fn push_name(out: &mut String, event: &XidEvent) {
    match event.xid {
        Some(xid) => put(out, format_args!("Xid {xid}")),
        None => out.push_str("loss"),
    }
}

/// What happened, in a few words.
pub fn name(event: &XidEvent) -> &str {
    match event.xid {
        Some(xid) => &explain(xid).name,
        None => &event.text,
    }
}

/// What it means, in a sentence; `None` where the kernel's own text is all there is.
pub fn meaning(event: &XidEvent) -> Option<&'static str> {
    event.xid.map(|xid| explain(xid).meaning.as_str())
}

/// What to do about it. A loss without a number is Xid 79 in all but name.
pub fn action(event: &XidEvent) -> &'static str {
    &explain(event.xid.unwrap_or(79)).action
}

/// Whether the GPU or the machine is ill, and not only a program.
pub fn severe(event: &XidEvent) -> bool {
    event
        .xid
        .is_none_or(|xid| explain(xid).severity >= XidSeverity::Gpu)
}
