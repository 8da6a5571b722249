//! How far a visit is, told between threads without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::model::Stamp;

/// How far a visit is, for the supervisor to see whether a call hangs.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Milliseconds on the monotonic clock when the present call began, plus 1; 0: no call is under way.
    call_began: AtomicU64,
    /// The same for the visit.
    visit_began: AtomicU64,
    /// Index of the GPU visited.
    index: AtomicU32,
    /// Milliseconds that the last visit took, plus 1.
    took: AtomicU64,
}

impl Progress {
    /// A visit begins.
    pub fn begin(&self, index: u32) {
        let now = millis();
        self.index.store(index, Ordering::Relaxed);
        self.call_began.store(now, Ordering::Relaxed);
        self.visit_began.store(now, Ordering::Release);
    }

    /// The next call begins.
    pub fn next_call(&self) {
        self.call_began.store(millis(), Ordering::Relaxed);
    }

    /// The visit is over.
    pub fn end(&self) {
        let begun = self.visit_began.load(Ordering::Relaxed);
        let took = millis().saturating_sub(begun) + 1;
        self.took.store(took, Ordering::Relaxed);
        self.call_began.store(0, Ordering::Relaxed);
        self.visit_began.store(0, Ordering::Release);
    }

    /// How long the last visit took.
    pub fn took(&self) -> Option<Duration> {
        let millis = self.took.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(millis))
    }

    /// Index of the GPU under visit, and milliseconds since the visit and since the present call began.
    pub fn now(&self) -> Option<(u32, u64, u64)> {
        let visit = self.visit_began.load(Ordering::Acquire);
        if visit == 0 {
            return None;
        }
        let call = self.call_began.load(Ordering::Relaxed).max(visit);
        let now = millis();
        let index = self.index.load(Ordering::Relaxed);
        Some((index, now.saturating_sub(visit), now.saturating_sub(call)))
    }
}

fn millis() -> u64 {
    u64::try_from(Stamp::now().mono.as_millis()).unwrap_or(u64::MAX - 1) + 1
}
