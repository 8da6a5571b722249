//! A moment on both clocks: ages are counted on the monotonic one, people read the wall one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// One moment, read from the monotonic and the wall clock together.
///
/// Ages and deadlines use `mono`, so that a suspended laptop or a corrected clock cannot make data look
/// younger or older than it is. Time is passed into every pure function as an argument; only the edges
/// (sources, loops) call [`Stamp::now`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Time since the process's own epoch (its first call of [`Stamp::now`]).
    pub mono: Duration,
    /// Wall-clock time, UTC.
    pub wall: Timestamp,
}

impl Stamp {
    /// Reads both clocks.
    pub fn now() -> Self {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        let epoch = *EPOCH.get_or_init(Instant::now);
        Self {
            mono: epoch.elapsed(),
            wall: Timestamp::now(),
        }
    }

    /// A made-up moment: `mono` after the epoch, the wall clock at the same distance from `base`.
    /// For tests and the simulated host.
    pub fn simulated(base: Timestamp, mono: Duration) -> Self {
        let wall = jiff::SignedDuration::try_from(mono)
            .ok()
            .and_then(|d| base.checked_add(d).ok())
            .unwrap_or(base);
        Self { mono, wall }
    }

    /// How long before `self` the moment `earlier` was; zero if it was not before.
    pub fn since(&self, earlier: Stamp) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }
}
