//! The supervisor's rounds: which thread visits which GPU, and what happens to one that takes too long.

use std::time::{Duration, Instant};

use super::pci;
use super::supervisor::{DOUBLINGS, Phase, Supervisor};
use super::track::Track;
use super::worker::{NO_GPU, Round, Worker};
use super::xid::Watch;
use crate::model::{GpuState, Stamp};

/// Visits a GPU makes on a thread of its own after it was slow.
const SOLO_VISITS: u8 = 3;
/// A visit quicker than this share of the deadline is a quick one.
const QUICK: u32 = 4;

impl Supervisor {
    pub(super) fn begin_round(&mut self, now: Instant) {
        let count = self
            .count_asked
            .is_none_or(|at| now.duration_since(at) >= self.config.slow_interval);
        if count {
            self.count_asked = Some(now);
        }
        let round = Round {
            slow_every: self.config.slow_interval,
            count,
            retry: self.config.retry,
        };
        let (solo, together): (Vec<_>, Vec<_>) = std::mem::take(&mut self.home)
            .into_iter()
            .partition(|t| t.solo_visits > 0);
        for track in solo {
            self.visit_alone(track, round);
        }
        if together.is_empty() && !count {
            self.round_over(now);
            return;
        }
        self.run_main(together, round, now);
    }

    pub(super) fn run_main(
        &mut self,
        tracks: impl IntoIterator<Item = Box<Track>>,
        round: Round,
        now: Instant,
    ) {
        if self.main.is_none() {
            self.main = self.new_worker();
        }
        match &self.main {
            Some(worker) => {
                worker.begin(tracks, round);
                self.round_since = Some(now);
            }
            // No thread to be had now: the next tick tries again.
            None => self.home.extend(tracks),
        }
    }

    pub(super) fn new_worker(&mut self) -> Option<Worker> {
        let Phase::Up(session) = &self.phase else {
            return None;
        };
        self.next_worker += 1;
        Worker::spawn(self.next_worker, session, &self.tx).ok()
    }

    /// A GPU that was slow gets a thread of its own, left from the start.
    pub(super) fn visit_alone(&mut self, track: Box<Track>, round: Round) {
        let index = track.index;
        let round = Round {
            count: false,
            ..round
        };
        match self.new_worker() {
            Some(worker) => {
                worker.begin_alone(track, round);
                self.away.insert(index, worker);
            }
            None => self.home.push(track),
        }
    }

    pub(super) fn check_deadline(&mut self, now: Instant) {
        let Some(worker) = &self.main else {
            self.round_since = None;
            return;
        };
        let Some((index, visit, _)) = worker.progress() else {
            return;
        };
        if Duration::from_millis(visit) < self.config.deadline {
            return;
        }
        let brought = worker.leave();
        let Some(worker) = self.main.take() else {
            return;
        };
        self.come_home(brought.done);
        if index != NO_GPU {
            self.away.insert(index, worker);
        }
        let round = Round {
            slow_every: self.config.slow_interval,
            count: false,
            retry: self.config.retry,
        };
        self.round_since = None;
        if brought.todo.is_empty() {
            self.round_over(now);
        } else {
            self.run_main(brought.todo, round, now);
            self.mark_stuck();
            self.publish();
        }
    }

    pub(super) fn round_done(&mut self, id: u64) {
        let Some(worker) = self.main.as_ref().filter(|w| w.id == id) else {
            return;
        };
        let brought = worker.collect();
        self.come_home(brought.done);
        self.home.extend(brought.todo);
        self.round_since = None;
        if let (Some(count), Phase::Up(session)) = (brought.count, &self.phase)
            && count != session.count
        {
            // GPUs came or went: handles and indices are only sound after a new opening.
            self.reopen_at = Some(Instant::now());
        }
        self.round_over(Instant::now());
    }

    pub(super) fn came_back(&mut self, mut track: Box<Track>) {
        let quick = self.away.remove(&track.index).is_some_and(|worker| {
            worker
                .took()
                .is_some_and(|took| took < self.config.deadline / QUICK)
        });
        track.solo_visits = if quick {
            track.solo_visits.saturating_sub(1)
        } else {
            SOLO_VISITS
        };
        self.come_home(vec![track]);
    }

    pub(super) fn come_home(&mut self, tracks: Vec<Box<Track>>) {
        for track in &tracks {
            self.picture.visited(track);
        }
        self.home.extend(tracks);
        self.home.sort_by_key(|t| t.index);
    }

    pub(super) fn mark_stuck(&mut self) {
        let deadline = self.config.deadline;
        for (index, worker) in &self.away {
            let stuck = worker
                .progress()
                .is_some_and(|(_, _, call)| Duration::from_millis(call) >= deadline * 3 / 4);
            if stuck {
                self.picture.set_state(*index, GpuState::Stuck);
            }
        }
    }

    pub(super) fn round_over(&mut self, now: Instant) {
        self.mark_stuck();
        self.watch_xids();
        if self.picture.bus_is_old() {
            self.picture.bus = pci::scan(&self.config.sysfs, &self.config.procfs);
            self.picture.bus_read = Some(Stamp::now().mono);
        }
        if self.picture.wants_reopening() {
            if self.reopen_at.is_none() {
                let wait = self.config.retry * 2_u32.pow(self.reopen_tries.min(2 * DOUBLINGS));
                self.reopen_tries += 1;
                self.reopen_at = Some(now + wait.min(Duration::from_secs(60)));
            }
        } else {
            self.reopen_tries = 0;
        }
        self.publish();
    }

    /// Keeps the Xid watch on the GPUs that answer.
    pub(super) fn watch_xids(&mut self) {
        let Phase::Up(session) = &self.phase else {
            return;
        };
        let indices: Vec<u32> = self
            .home
            .iter()
            .filter(|t| t.gpu.state == GpuState::Ok && t.known)
            .map(|t| t.index)
            .collect();
        match &self.watch {
            Some(watch) if watch.covers(&indices) => {}
            _ if indices.is_empty() => {}
            _ => self.watch = Watch::start(session, indices, &self.tx),
        }
    }
}
