//! The lane of log news to the screen: bounded in bytes; a reader never waits for the screen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::command::{LogNews, LogUpdate};
use crate::lanes::Waker;

/// What the lane holds at most by default, in bytes.
pub const LANE_BYTES: usize = 4 * 1024 * 1024;

/// What an item costs besides its lines.
const ITEM: usize = 128;

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<LogNews>,
    bytes: usize,
    dropped: u64,
}

/// What was taken out of a [`LogLane`].
#[derive(Debug, Default)]
pub struct LaneDrained {
    /// In order. Where lines were dropped, [`LogUpdate::Dropped`] stands in their place.
    pub news: VecDeque<LogNews>,
    /// Lines dropped since the last time.
    pub dropped: u64,
}

/// The lane; clones share it.
#[derive(Debug, Clone)]
pub struct LogLane {
    inner: Arc<Mutex<Inner>>,
    limit: usize,
    waker: Waker,
}

impl LogLane {
    /// A lane of [`LANE_BYTES`] whose writers wake `waker`.
    pub fn new(waker: Waker) -> Self {
        Self::with_limit(LANE_BYTES, waker)
    }

    /// A lane of at most `limit` bytes.
    pub fn with_limit(limit: usize, waker: Waker) -> Self {
        Self {
            inner: Arc::default(),
            limit,
            waker,
        }
    }

    /// Adds news and wakes the reader. What is too much makes the oldest lines give way, counted.
    pub fn push(&self, news: LogNews) {
        {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if matches!(news.update, LogUpdate::Live(_)) {
                // Newest wins: an older one that was not read yet says nothing any more.
                if let Some(last) = inner.items.back_mut()
                    && last.generation == news.generation
                    && matches!(last.update, LogUpdate::Live(_))
                {
                    let old = cost(last);
                    let new = cost(&news);
                    *last = news;
                    inner.bytes = (inner.bytes + new).saturating_sub(old);
                    drop(inner);
                    self.waker.wake();
                    return;
                }
            }
            inner.bytes += cost(&news);
            inner.items.push_back(news);
            while inner.bytes > self.limit {
                if !inner.drop_oldest() {
                    break;
                }
            }
        }
        self.waker.wake();
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Takes everything.
    pub fn drain(&self) -> LaneDrained {
        let mut inner = self.lock();
        inner.bytes = 0;
        LaneDrained {
            news: std::mem::take(&mut inner.items),
            dropped: std::mem::take(&mut inner.dropped),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(news: &LogNews) -> usize {
    ITEM + match &news.update {
        LogUpdate::Lines(batch) => batch.cost(),
        LogUpdate::Page(page) => page.batches.iter().map(super::LineBatch::cost).sum(),
        LogUpdate::Live(live) => live.text.len(),
        LogUpdate::Status { .. } | LogUpdate::Bar(_) | LogUpdate::Dropped(_) => 0,
    }
}

impl Inner {
    /// Turns the oldest lines into a count, joined with the count before them; `false` if none is left.
    fn drop_oldest(&mut self) -> bool {
        let Some(at) = self
            .items
            .iter()
            .position(|news| matches!(news.update, LogUpdate::Lines(_)))
        else {
            // Only what cannot be lost is left, of which there is little; live lines may go all the same.
            let live = |news: &LogNews| matches!(news.update, LogUpdate::Live(_));
            let Some(at) = self.items.iter().position(live) else {
                return false;
            };
            if let Some(old) = self.items.remove(at) {
                self.bytes = self.bytes.saturating_sub(cost(&old));
            }
            return true;
        };
        let Some(old) = self.items.get_mut(at) else {
            return false;
        };
        let before = cost(old);
        let generation = old.generation;
        let lines = match &old.update {
            LogUpdate::Lines(batch) => batch.len() as u64,
            _ => 0,
        };
        old.update = LogUpdate::Dropped(lines);
        self.bytes = self.bytes.saturating_sub(before) + ITEM;
        self.dropped += lines;
        if let Some(previous) = at.checked_sub(1)
            && let Some(news) = self.items.get_mut(previous)
            && news.generation == generation
            && let LogUpdate::Dropped(count) = &mut news.update
        {
            *count += lines;
            self.items.remove(at);
            self.bytes = self.bytes.saturating_sub(ITEM);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Line, LineBatch, LiveLine, LogStatus, Stream};
    use super::*;

    fn lines(count: usize) -> LogNews {
        let mut batch = LineBatch::default();
        for _ in 0..count {
            batch.push(Line {
                text: "0123456789",
                time: None,
                stream: Stream::Out,
                continued: false,
                note: false,
                source: 0,
            });
        }
        LogNews {
            generation: 1,
            update: LogUpdate::Lines(batch),
        }
    }

    #[test]
    fn the_oldest_lines_give_way_and_are_counted_where_they_stood() {
        let lane = LogLane::with_limit(10_000, Waker::new());
        lane.push(LogNews {
            generation: 1,
            update: LogUpdate::Status {
                source: 0,
                status: LogStatus::Following,
            },
        });
        for _ in 0..100 {
            lane.push(lines(100));
            assert!(lane.bytes() <= 10_000);
        }
        let drained = lane.drain();
        let updates: Vec<_> = drained.news.iter().map(|n| &n.update).collect();
        assert!(matches!(updates[0], LogUpdate::Status { .. }));
        assert!(matches!(updates[1], LogUpdate::Dropped(n) if *n == drained.dropped));
        let kept: usize = updates
            .iter()
            .map(|u| match u {
                LogUpdate::Lines(batch) => batch.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(kept as u64 + drained.dropped, 10_000);
        assert!(lane.drain().news.is_empty());
    }

    #[test]
    fn a_live_line_replaces_the_one_before_it() {
        let lane = LogLane::new(Waker::new());
        for n in 0..1000 {
            lane.push(LogNews {
                generation: 1,
                update: LogUpdate::Live(LiveLine {
                    text: n.to_string(),
                    ..LiveLine::default()
                }),
            });
        }
        let drained = lane.drain();
        assert_eq!(drained.news.len(), 1);
        assert!(matches!(&drained.news[0].update, LogUpdate::Live(l) if l.text == "999"));
    }
}
