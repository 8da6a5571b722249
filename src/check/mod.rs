//! The check of an image or container: its facts from the engine, the cache or a scan, judged for a host.

pub mod host;
pub mod judged;
mod scan;
pub mod subject;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model::{ContainerKey, ImageId};

pub use scan::{ScanError, Told, known, whole};

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An image of the engine's store.
    Image(ImageId),
    /// A container's own file system, with what was installed in it by hand.
    Container(ContainerKey),
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Bytes there are by the engine's word; it may be wrong by a few percent.
    pub total_bytes: Option<u64>,
    /// Since the scan began.
    pub elapsed: Duration,
}

impl Progress {
    /// Time left, from the speed so far; `None` before anything can be said.
    pub fn left(&self) -> Option<Duration> {
        let total = self.total_bytes?;
        if self.bytes == 0 || self.elapsed < Duration::from_millis(500) {
            return None;
        }
        let rest = total.saturating_sub(self.bytes) as f64 / self.bytes as f64;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * rest).ok()
    }
}

/// Asks a scan to stop; clones share the wish.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops it at its next piece.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it should stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_speed() {
        let progress = |bytes, total_bytes, ms| Progress {
            bytes,
            total_bytes,
            elapsed: Duration::from_millis(ms),
        };
        assert_eq!(
            progress(100, Some(400), 1000).left(),
            Some(Duration::from_secs(3))
        );
        assert_eq!(progress(500, Some(400), 1000).left(), Some(Duration::ZERO));
        for early in [
            progress(0, Some(4), 1000),
            progress(1, Some(4), 10),
            progress(1, None, 1000),
        ] {
            assert_eq!(early.left(), None);
        }
    }
}
