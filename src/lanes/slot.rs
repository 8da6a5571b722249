//! A place for one value: a newer one replaces one not yet taken.

use std::sync::{Arc, Mutex, PoisonError};

use super::Waker;

/// Holds the newest value until it is taken; clones share the place.
#[derive(Debug)]
pub struct Slot<T> {
    value: Arc<Mutex<Option<T>>>,
    waker: Waker,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            waker: self.waker.clone(),
        }
    }
}

impl<T> Slot<T> {
    /// An empty slot whose writer wakes `waker`.
    pub fn new(waker: Waker) -> Self {
        Self {
            value: Arc::default(),
            waker,
        }
    }

    /// Puts the newest value and wakes the reader. Returns the value that nobody had taken, if any.
    pub fn put(&self, value: T) -> Option<T> {
        let old = self
            .value
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(value);
        self.waker.wake();
        old
    }

    /// Takes the newest value, once.
    pub fn take(&self) -> Option<T> {
        self.value
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_wins_and_is_taken_once() {
        let slot = Slot::new(Waker::new());
        assert_eq!(slot.put(1), None);
        assert_eq!(slot.put(2), Some(1));
        assert_eq!(slot.take(), Some(2));
        assert_eq!(slot.take(), None);
    }
}
