//! A flag with a condition variable: one thread sleeps on it, any thread wakes it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes one sleeping thread; clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Waker {
    /// A waker that nobody has woken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the sleeper, or lets its next sleep return at once.
    pub fn wake(&self) {
        let (flag, condvar) = &*self.inner;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        condvar.notify_one();
    }

    /// Sleeps until woken or until `timeout` is over; says whether it was woken.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let (flag, condvar) = &*self.inner;
        let mut woken = flag.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = timeout.and_then(|t| std::time::Instant::now().checked_add(t));
        while !*woken {
            match deadline {
                None => {
                    woken = condvar.wait(woken).unwrap_or_else(PoisonError::into_inner);
                }
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(std::time::Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    woken = condvar
                        .wait_timeout(woken, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
        }
        *woken = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_before_the_sleep_is_not_lost() {
        let waker = Waker::new();
        waker.wake();
        assert!(waker.wait(Some(Duration::ZERO)));
        assert!(!waker.wait(Some(Duration::ZERO)));
    }

    #[test]
    fn another_thread_wakes_the_sleeper() {
        let waker = Waker::new();
        let other = waker.clone();
        let thread = std::thread::spawn(move || other.wake());
        assert!(waker.wait(Some(Duration::from_secs(20))));
        thread.join().unwrap();
    }
}
