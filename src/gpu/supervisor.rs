//! The thread that owns the source: opens NVML, begins rounds, leaves hung calls behind, tells what it knows.
//! It never calls NVML itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;

use super::kmsg;
use super::picture::Picture;
use super::problem::{Place, Trouble, describe};
use super::session::{DEFAULT_LIBRARY, Session};
use super::track::Track;
use super::worker::Worker;
use super::xid::{Watch, XidNews};
use super::{GpuConfig, GpuLanes, pci};
use crate::model::Stamp;

/// What reaches the supervisor.
#[derive(Debug)]
pub(super) enum Message {
    /// The user lets go of NVML, or takes it again.
    Release(bool),
    /// Another time between rounds.
    Interval(Duration),
    /// The end.
    Stop,
    /// An opening came to its end.
    Opened(u64, Result<Arc<Session>, NvmlError>),
    /// A worker's round is over.
    RoundDone(u64),
    /// A GPU whose call outlasted the deadline came back.
    Late {
        /// Of which opening.
        generation: u64,
        /// Its memory.
        track: Box<Track>,
    },
    /// NVML was shut down and unloaded.
    Closed(u64),
    /// An Xid, or something about how they come.
    Xid(XidNews),
}

/// Where the source is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not usable; tried again then.
    Down { retry_at: Instant },
    /// Being opened.
    Opening { since: Instant },
    /// Open.
    Up(Arc<Session>),
    /// Being let go of, since then; to be opened again, or not.
    Closing { since: Instant, reopen: bool },
    /// Let go of.
    Released,
}

/// Times that the wait between two tries is doubled.
pub(super) const DOUBLINGS: u32 = 5;

pub(super) struct Supervisor {
    pub(super) config: GpuConfig,
    pub(super) lanes: GpuLanes,
    pub(super) rx: Receiver<Message>,
    pub(super) tx: Sender<Message>,
    pub(super) phase: Phase,
    pub(super) generation: u64,
    pub(super) picture: Picture,
    pub(super) home: Vec<Box<Track>>,
    /// GPUs that a thread has kept longer than the deadline, or that have one of their own.
    pub(super) away: BTreeMap<u32, Worker>,
    pub(super) main: Option<Worker>,
    pub(super) round_since: Option<Instant>,
    pub(super) next_tick: Instant,
    pub(super) count_asked: Option<Instant>,
    pub(super) next_worker: u64,
    pub(super) tries: u32,
    pub(super) reopen_at: Option<Instant>,
    pub(super) reopen_tries: u32,
    pub(super) watch: Option<Watch>,
    pub(super) in_container: bool,
}

impl Supervisor {
    pub fn new(
        config: GpuConfig,
        lanes: GpuLanes,
        rx: Receiver<Message>,
        tx: Sender<Message>,
    ) -> Self {
        let now = Instant::now();
        let in_container = std::path::Path::new("/.dockerenv").exists()
            || std::path::Path::new("/run/.containerenv").exists();
        Self {
            picture: Picture::new(config.host),
            config,
            lanes,
            rx,
            tx,
            phase: Phase::Down { retry_at: now },
            generation: 0,
            home: Vec::new(),
            away: BTreeMap::new(),
            main: None,
            round_since: None,
            next_tick: now,
            count_asked: None,
            next_worker: 0,
            tries: 0,
            reopen_at: None,
            reopen_tries: 0,
            watch: None,
            in_container,
        }
    }

    /// Runs until it is told to stop.
    pub fn run(mut self) {
        match self.rx.recv_timeout(self.config.head_start) {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(message) => self.receive(message),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let reader = kmsg::start(self.config.kmsg.clone(), self.tx.clone());
        self.publish();
        loop {
            let wait = self.wake_at().saturating_duration_since(Instant::now());
            match self.rx.recv_timeout(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.receive(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.step(Instant::now());
        }
        drop(reader);
        self.let_go();
    }

    /// When something is due although no message comes.
    fn wake_at(&self) -> Instant {
        match &self.phase {
            Phase::Down { retry_at } => (*retry_at).min(self.next_tick),
            Phase::Opening { .. } | Phase::Closing { .. } => self.next_tick,
            Phase::Released => Instant::now() + Duration::from_secs(3_600),
            Phase::Up(_) => match (&self.round_since, &self.main) {
                (Some(since), Some(worker)) => {
                    let visit = worker.progress().map_or(0, |(_, visit, _)| visit);
                    let begun = Instant::now()
                        .checked_sub(Duration::from_millis(visit))
                        .unwrap_or(*since);
                    begun + self.config.deadline + Duration::from_millis(1)
                }
                _ => self.next_tick,
            },
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Stop => {}
            Message::Interval(interval) => {
                self.config.interval = interval;
                self.next_tick = self.next_tick.min(Instant::now() + interval);
            }
            Message::Release(true) => self.release(),
            Message::Release(false) => self.take_again(),
            Message::Opened(generation, result) => self.opened(generation, result),
            Message::RoundDone(id) => self.round_done(id),
            Message::Late { generation, track } => {
                if generation == self.generation && matches!(self.phase, Phase::Up(_)) {
                    self.came_back(track);
                }
            }
            Message::Closed(generation) => {
                if generation == self.generation {
                    self.closed();
                }
            }
            Message::Xid(news) => {
                self.picture.xid(news, &self.lanes.xids);
            }
        }
    }

    /// Does what is due.
    fn step(&mut self, now: Instant) {
        match &self.phase {
            Phase::Released => {}
            Phase::Down { retry_at } => {
                if now >= *retry_at {
                    self.open(now);
                } else if now >= self.next_tick {
                    self.tick(now);
                    self.publish();
                }
            }
            Phase::Opening { since } | Phase::Closing { since, .. } => {
                if now >= self.next_tick {
                    let late = now.duration_since(*since);
                    self.tick(now);
                    if late >= self.config.open_deadline {
                        let trouble = Trouble::NoAnswer {
                            seconds: late.as_secs(),
                        };
                        self.picture.down(self.describe(&trouble));
                    }
                    self.publish();
                }
            }
            Phase::Up(_) => self.step_up(now),
        }
    }

    fn step_up(&mut self, now: Instant) {
        if self.round_since.is_some() {
            self.check_deadline(now);
        } else if now >= self.next_tick {
            self.tick(now);
            if self.reopen_at.is_some_and(|at| now >= at) && self.away.is_empty() {
                self.reopen_at = None;
                self.close(true);
                return;
            }
            self.begin_round(now);
        }
    }

    /// Ticks keep their beat; after a pause (suspend, a stopped process) they start anew.
    fn tick(&mut self, now: Instant) {
        self.next_tick += self.config.interval;
        if self.next_tick <= now {
            self.next_tick = now + self.config.interval;
        }
    }

    // Opening and closing.

    fn open(&mut self, now: Instant) {
        self.generation += 1;
        let generation = self.generation;
        let (path, tx) = (self.config.nvml_path.clone(), self.tx.clone());
        let opener = thread::Builder::new()
            .name("gpu-open".to_owned())
            .spawn(move || {
                let opened = Session::open(path.as_deref(), generation, tx.clone());
                let _ = tx.send(Message::Opened(generation, opened.map(Arc::new)));
            });
        self.phase = if opener.is_ok() {
            Phase::Opening { since: now }
        } else {
            Phase::Down {
                retry_at: now + self.config.retry,
            }
        };
        self.next_tick = now + self.config.interval;
    }

    fn opened(&mut self, generation: u64, result: Result<Arc<Session>, NvmlError>) {
        if generation != self.generation || !matches!(self.phase, Phase::Opening { .. }) {
            // Let go of meanwhile.
            match result {
                Ok(session) => self.drop_elsewhere(session),
                Err(_) => self.closed(),
            }
            return;
        }
        let now = Instant::now();
        self.picture.bus = pci::scan(&self.config.sysfs, &self.config.procfs);
        match result {
            Err(error) => self.down(&Trouble::Nvml(error), now),
            Ok(session) => {
                self.tries = 0;
                self.picture.up(session.driver.clone());
                self.home = self.new_tracks(&session);
                self.away.clear();
                self.next_tick = now;
                self.count_asked = Some(now);
                if session.count == 0 && self.picture.missing_count() == 0 {
                    self.picture.notice(self.describe(&Trouble::NoGpus));
                }
                self.phase = Phase::Up(session);
            }
        }
    }

    fn new_tracks(&self, session: &Session) -> Vec<Box<Track>> {
        let now = Stamp::now();
        let version = session.list_version();
        let bus = &self.picture.bus;
        let matched = bus.len() == session.count as usize;
        (0..session.count)
            .map(|index| {
                let device = bus.get(index as usize).filter(|_| matched);
                let address = device.map(|d| d.address.as_str());
                let mut track = Track::new(index, self.config.host, address, version, now);
                if let Some(device) = device {
                    track.runtime_status = device.runtime_status.clone();
                    self.picture.name_by_bus(&mut track.gpu, device);
                }
                Box::new(track)
            })
            .collect()
    }

    fn down(&mut self, trouble: &Trouble, now: Instant) {
        let problem = self.describe(trouble);
        self.picture.down(problem);
        let wait = self.config.retry * 2_u32.pow(self.tries.min(DOUBLINGS));
        self.tries += 1;
        self.phase = Phase::Down {
            retry_at: now + wait,
        };
        self.publish();
    }

    fn describe(&self, trouble: &Trouble) -> crate::model::Problem {
        let library = self
            .config
            .nvml_path
            .as_ref()
            .map_or_else(|| DEFAULT_LIBRARY.into(), |p| p.to_string_lossy());
        describe(
            trouble,
            Place {
                library: &library,
                procfs: &self.config.procfs,
                on_bus: self.picture.bus.len(),
                in_container: self.in_container,
            },
        )
    }

    /// Lets go of NVML; it is closed when [`Message::Closed`] comes.
    fn close(&mut self, reopen: bool) {
        self.let_go();
        self.phase = Phase::Closing {
            since: Instant::now(),
            reopen,
        };
    }

    /// Ends every thread that holds NVML, as soon as its present call returns.
    fn let_go(&mut self) {
        self.main = None;
        self.watch = None;
        self.away.clear();
        self.home.clear();
        self.round_since = None;
        if let Phase::Up(session) = std::mem::replace(&mut self.phase, Phase::Released) {
            self.drop_elsewhere(session);
        }
    }

    /// The last holder shuts NVML down, which may hang: never here.
    fn drop_elsewhere(&self, session: Arc<Session>) {
        let _ = thread::Builder::new()
            .name("gpu-close".to_owned())
            .spawn(move || drop(session));
    }

    fn release(&mut self) {
        match &mut self.phase {
            Phase::Up(_) => self.close(false),
            Phase::Closing { reopen, .. } => *reopen = false,
            Phase::Opening { .. } => {
                self.phase = Phase::Closing {
                    since: Instant::now(),
                    reopen: false,
                };
            }
            Phase::Down { .. } => {
                self.phase = Phase::Released;
                self.picture.released();
                self.publish();
            }
            Phase::Released => {}
        }
    }

    fn take_again(&mut self) {
        match &mut self.phase {
            Phase::Closing { reopen, .. } => *reopen = true,
            Phase::Released => {
                self.picture.starting();
                self.publish();
                self.tries = 0;
                self.open(Instant::now());
            }
            _ => {}
        }
    }

    fn closed(&mut self) {
        let Phase::Closing { reopen, .. } = self.phase else {
            return;
        };
        if reopen {
            self.open(Instant::now());
        } else {
            self.phase = Phase::Released;
            self.picture.released();
            self.publish();
        }
    }

    pub(super) fn publish(&mut self) {
        let snapshot = self.picture.snapshot(Stamp::now());
        if !self.picture.awaits_gpus() {
            self.picture.flush_xids(&self.lanes.xids);
        }
        self.lanes.snapshot.put(snapshot);
    }
}
