//! What an Xid means and what to do about it, in words for the screen.

use crate::model::XidEvent;
use crate::tui::fmt::put;

/// `Xid 79`, or `loss` where the kernel gave no number.
pub fn push_name(out: &mut String, event: &XidEvent) {
    match event.xid {
        Some(xid) => put(out, format_args!("Xid {xid}")),
        None => out.push_str("loss"),
    }
}

/// What happened, in a few words.
pub fn meaning(event: &XidEvent) -> Option<&'static str> {
    let _ = event;
    None
}

/// What to do about it.
pub fn action(event: &XidEvent) -> Option<&'static str> {
    let _ = event;
    None
}

/// Whether it means that work on the GPU is lost or the card is ill.
pub fn severe(event: &XidEvent) -> bool {
    event.xid.is_none()
}
