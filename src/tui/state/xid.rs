//! What an Xid means and what to do about it, in words for the screen.

use crate::gpu::{XidSeverity, explain};
use crate::model::XidEvent;
use crate::tui::fmt::put;

/// The GPU has fallen off the bus.
const OFF_THE_BUS: u32 = 79;
/// The driver's recommendation has changed.
const RECOVERY_ACTION: u32 = 154;

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
    &explain(event.xid.unwrap_or(OFF_THE_BUS)).action
}

/// What to do in two or three words, where the table's first step is longer than a line has room for.
pub fn short_action(event: &XidEvent) -> Option<&'static str> {
    match explain(event.xid.unwrap_or(OFF_THE_BUS)).severity {
        XidSeverity::Host => Some("reboot needed"),
        XidSeverity::Gpu => Some("GPU reset needed"),
        XidSeverity::Application | XidSeverity::Info => None,
    }
}

/// How well it tells why a GPU is lost; `None`: it does not. 154 only repeats what to do after another one.
pub fn loss_rank(event: &XidEvent) -> Option<u8> {
    match event.xid {
        None | Some(OFF_THE_BUS) => Some(3),
        Some(RECOVERY_ACTION) => Some(0),
        Some(xid) => match explain(xid).severity {
            XidSeverity::Host => Some(2),
            XidSeverity::Gpu => Some(1),
            XidSeverity::Application | XidSeverity::Info => None,
        },
    }
}

/// Whether the GPU or the machine is ill, and not only a program.
pub fn severe(event: &XidEvent) -> bool {
    event
        .xid
        .is_none_or(|xid| explain(xid).severity >= XidSeverity::Gpu)
}
