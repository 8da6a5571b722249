//! A bounded queue whose writer never waits: what does not fit is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Waker;

/// What a reader took out of a [`Queue`].
#[derive(Debug, PartialEq, Eq)]
pub struct Drained<T> {
    /// In the order they were pushed.
    pub items: VecDeque<T>,
    /// How many were dropped since the last time because the queue was full.
    pub dropped: u64,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    dropped: u64,
}

/// A bounded queue; clones share it.
#[derive(Debug)]
pub struct Queue<T> {
    inner: Arc<Mutex<Inner<T>>>,
    limit: usize,
    waker: Waker,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            limit: self.limit,
            waker: self.waker.clone(),
        }
    }
}

impl<T> Queue<T> {
    /// A queue of at most `limit` items whose writers wake `waker`.
    pub fn new(limit: usize, waker: Waker) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                items: VecDeque::new(),
                dropped: 0,
            })),
            limit,
            waker,
        }
    }

    /// Adds an item and wakes the reader; a full queue drops it, counts it, and returns `false`.
    pub fn push(&self, item: T) -> bool {
        let kept = {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if inner.items.len() < self.limit {
                inner.items.push_back(item);
                true
            } else {
                inner.dropped += 1;
                false
            }
        };
        self.waker.wake();
        kept
    }

    /// Takes everything.
    pub fn drain(&self) -> Drained<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Drained {
            items: std::mem::take(&mut inner.items),
            dropped: std::mem::take(&mut inner.dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_an_overflow_is_counted_once() {
        let queue = Queue::new(2, Waker::new());
        assert!(queue.push(1));
        assert!(queue.push(2));
        assert!(!queue.push(3));
        let drained = queue.drain();
        assert_eq!(drained.items, [1, 2]);
        assert_eq!(drained.dropped, 1);
        assert_eq!(queue.drain().dropped, 0);
    }
}
