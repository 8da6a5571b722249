//! Whose turn it is to be asked about: each id at most once at a time, few at a time, the urgent first. Pure.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// A queue of ids to ask about.
#[derive(Debug)]
pub(super) struct Turns<K> {
    limit: usize,
    waiting: VecDeque<K>,
    queued: HashSet<K>,
    asked: HashSet<K>,
    /// Wanted again while the answer was under way: that answer may be older than the reason.
    again: HashSet<K>,
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// At most `limit` are asked about at a time.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            waiting: VecDeque::new(),
            queued: HashSet::new(),
            asked: HashSet::new(),
            again: HashSet::new(),
        }
    }

    /// Wants an id asked about, the urgent ones before all others.
    pub fn want(&mut self, key: K, urgent: bool) {
        if self.asked.contains(&key) {
            self.again.insert(key);
            return;
        }
        if !self.queued.insert(key) {
            if !urgent {
                return;
            }
            self.waiting.retain(|k| *k != key);
        }
        match urgent {
            true => self.waiting.push_front(key),
            false => self.waiting.push_back(key),
        }
    }

    /// The next one to ask about, where there is one and it may be asked now.
    pub fn next(&mut self) -> Option<K> {
        if self.asked.len() >= self.limit {
            return None;
        }
        let key = self.waiting.pop_front()?;
        self.queued.remove(&key);
        self.asked.insert(key);
        Some(key)
    }

    /// Its answer came (or failed).
    pub fn done(&mut self, key: K) {
        self.asked.remove(&key);
        if self.again.remove(&key) {
            self.want(key, true);
        }
    }

    /// Nothing is wanted of it any more.
    pub fn forget(&mut self, key: K) {
        self.again.remove(&key);
        if self.queued.remove(&key) {
            self.waiting.retain(|k| *k != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_each_id_and_few_in_all() {
        let mut turns = Turns::new(2);
        for key in [1, 2, 3, 1] {
            turns.want(key, false);
        }
        assert_eq!(
            (turns.next(), turns.next(), turns.next()),
            (Some(1), Some(2), None)
        );
        turns.want(1, false);
        turns.done(1);
        // 1 was wanted while it was asked about: it comes again, before 3.
        assert_eq!((turns.next(), turns.next()), (Some(1), None));
        turns.done(1);
        turns.done(2);
        assert_eq!((turns.next(), turns.next()), (Some(3), None));
    }

    #[test]
    fn the_urgent_come_first_and_the_forgotten_never() {
        let mut turns = Turns::new(9);
        for key in [1, 2, 3] {
            turns.want(key, false);
        }
        turns.want(3, true);
        turns.forget(2);
        assert_eq!(
            (turns.next(), turns.next(), turns.next()),
            (Some(3), Some(1), None)
        );
        turns.want(3, false);
        turns.forget(3);
        turns.done(3);
        assert_eq!(turns.next(), None);
    }
}
