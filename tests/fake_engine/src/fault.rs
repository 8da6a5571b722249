//! What goes wrong, and where.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One way in which an answer goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request is read and never answered.
    HangHead,
    /// The head and so many bytes of the body, then nothing more; the connection stays open.
    HangBody(usize),
    /// The head and so many bytes of the body, then the connection is closed.
    Cut(usize),
    /// The connection is reset instead of an answer.
    Reset,
    /// Bytes that are not HTTP.
    Nonsense,
    /// Status 200 and a body that is not what the endpoint gives.
    WrongBody(Vec<u8>),
    /// This status with the daemon's error text.
    Status(u16, String),
    /// The body in pieces of so many bytes, this far apart.
    Slow(usize, Duration),
    /// Before the first byte of the answer, this long.
    Late(Duration),
    /// A frame whose header promises far more than follows, before the body.
    LyingFrame,
}

#[derive(Debug)]
struct Planned {
    part: String,
    fault: Fault,
    left: Option<u32>,
}

/// The faults that are planned.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
}

impl Faults {
    /// From now on requests whose path (with query) has `part` in it go wrong: the next `times`, or all.
    pub fn plan(&self, part: &str, fault: Fault, times: Option<u32>) {
        self.lock().push(Planned {
            part: part.to_owned(),
            fault,
            left: times,
        });
    }

    /// All goes well again.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault for this path, used up by one.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut planned = self.lock();
        let at = planned.iter().position(|p| path.contains(&p.part))?;
        let hit = planned.get_mut(at)?;
        let fault = hit.fault.clone();
        if let Some(left) = &mut hit.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                planned.remove(at);
            }
        }
        Some(fault)
    }

    /// Whether resets are planned: then requests are not read to their end.
    pub(crate) fn has_reset(&self) -> bool {
        self.lock().iter().any(|p| p.fault == Fault::Reset)
    }

    /// Takes a reset that is planned for this path.
    pub(crate) fn take_reset(&self, path: &str) -> bool {
        let first = {
            let planned = self.lock();
            planned
                .iter()
                .find(|p| path.contains(&p.part))
                .map(|p| p.fault.clone())
        };
        first == Some(Fault::Reset) && self.take(path).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
