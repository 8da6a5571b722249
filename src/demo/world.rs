//! The simulated machine's state: containers with their runs, what is about to happen to them, events.
//!
//! Time here is `T`: milliseconds since the story's start, negative before it. Numbers (usage, GPUs, logs)
//! are computed from this state elsewhere; only what users or the story change is kept.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::model::{ContainerId, ContainerKey, EventKind, HostId, ProcKey, Stamp};

use super::DemoEvent;
use super::cast::{self, Program, ROLES, Role};
use super::made::Made;
use super::pictures::Picture;
use super::random::Dice;
use super::training;

/// Milliseconds since the story's start.
pub(super) type T = i64;

/// Runs of one container that are kept (for its log).
const RUNS: usize = 6;
/// Pauses of one run that are kept apart; older ones are folded into its start.
const PAUSES: usize = 64;
/// Events kept for a late subscriber.
const EVENTS: usize = 512;
/// Removed containers that are remembered for who waits for their end.
const GONE: usize = 64;
/// Between two backups.
const BACKUP_EVERY: T = 30 * 60_000;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// By itself, or after a signal it handled.
    Exit,
    /// SIGKILL.
    Killed,
    /// The kernel, for memory.
    Oom,
    /// A worker of it was killed.
    WorkerLost,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub at: T,
    pub code: i64,
    pub cause: Cause,
}

/// One run of a container's main process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub start: T,
    pub end: Option<End>,
    /// Frozen from, to.
    pub pauses: VecDeque<(T, Option<T>)>,
    /// Main process's pid; its children follow it.
    pub pid: u32,
    /// The step a training resumed from.
    pub base: i64,
    /// When SIGTERM came that it is handling.
    pub term: Option<T>,
    /// When its worker (rank 1, the notebook's kernel) was killed.
    pub worker_lost: Option<T>,
}

impl Run {
    /// Milliseconds it has really run at `t`: pauses, and time after its end, left out.
    pub fn elapsed(&self, t: T) -> i64 {
        let t = self.end.map_or(t, |end| t.min(end.at));
        let frozen: i64 = self
            .pauses
            .iter()
            .map(|(from, to)| (to.unwrap_or(t).min(t) - from.min(&t)).max(0))
            .sum();
        t - self.start - frozen
    }

    /// When it had really run for `elapsed` milliseconds.
    pub fn when(&self, elapsed: i64) -> T {
        let mut t = self.start + elapsed;
        for (from, to) in &self.pauses {
            if t <= *from {
                break;
            }
            t += to.map_or(0, |to| to - from);
        }
        t
    }

    /// Whether it runs and is not frozen.
    pub fn is_awake(&self) -> bool {
        self.end.is_none() && !self.is_frozen()
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.pauses.back().is_some_and(|(_, to)| to.is_none())
    }

    fn freeze(&mut self, t: T) {
        if !self.is_frozen() {
            if self.pauses.len() >= PAUSES
                && let Some((from, Some(to))) = self.pauses.pop_front()
            {
                self.start += to - from;
            }
            self.pauses.push_back((t, None));
        }
    }

    fn thaw(&mut self, t: T) {
        if let Some((_, to @ None)) = self.pauses.back_mut() {
            *to = Some(t);
        }
    }
}

/// What will happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doom {
    pub at: T,
    pub code: i64,
    pub cause: Cause,
    /// When SIGKILL follows if it still runs.
    pub kill_at: Option<T>,
    /// A stop was asked: the engine says so after its end, and no policy restarts it.
    pub stopping: bool,
    /// Start it again afterwards.
    pub restart: bool,
}

/// A container.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub role: &'static Role,
    pub key: ContainerKey,
    pub name: String,
    pub created: T,
    pub runs: VecDeque<Run>,
    /// Frozen by the engine (a SIGSTOP freezes without the engine's knowledge).
    pub paused: bool,
    pub doom: Option<Doom>,
    /// The engine's text about a refused start, with the code it set.
    pub refused: Option<(String, i64)>,
    pub restarts: u64,
    /// Starts again at this time by its restart policy.
    pub again_at: Option<T>,
    /// A user stopped it: its restart policy rests.
    pub stopped_by_user: bool,
    /// For one that a user made.
    pub made: Option<Made>,
}

impl Member {
    /// One that has not run yet, of no role of its own.
    pub fn new(key: ContainerKey, name: String) -> Self {
        Self {
            role: &cast::NOBODY,
            key,
            name,
            created: 0,
            runs: VecDeque::new(),
            paused: false,
            doom: None,
            refused: None,
            restarts: 0,
            again_at: None,
            stopped_by_user: false,
            made: None,
        }
    }

    /// The present or last run.
    pub fn run(&self) -> Option<&Run> {
        self.runs.back()
    }

    /// The present run.
    pub fn live(&self) -> Option<&Run> {
        self.runs.back().filter(|run| run.end.is_none())
    }

    fn live_mut(&mut self) -> Option<&mut Run> {
        self.runs.back_mut().filter(|run| run.end.is_none())
    }
}

/// The state.
#[derive(Debug)]
pub(super) struct World {
    pub seed: u64,
    pub start: Stamp,
    pub members: BTreeMap<ContainerKey, Member>,
    pub events: VecDeque<DemoEvent>,
    /// Events not yet told to the subscribers.
    pub fresh: Vec<DemoEvent>,
    /// The site's own check on GPU 1: a process of no container, its pid and start (may lie ahead).
    pub heartbeat: (u32, T),
    /// Commands made in containers, and how many there were.
    pub execs: super::request::Execs,
    pub exec_count: u64,
    /// Containers made for scans, and how many there were.
    pub scans: Vec<super::scans::Scan>,
    pub scan_count: u64,
    /// How many containers users made.
    pub made_count: u64,
    /// Images that users fetched.
    pub pulled: Vec<&'static Picture>,
    /// Containers that were removed, with their last exit code, for who waits for that.
    pub gone: VecDeque<(ContainerKey, i64)>,
    now: T,
    next_pid: u32,
    next_backup: T,
}

impl World {
    pub fn new(seed: u64, start: Stamp) -> Self {
        let mut world = Self {
            seed,
            start,
            members: BTreeMap::new(),
            events: VecDeque::new(),
            fresh: Vec::new(),
            heartbeat: (3071, -11 * 86_400_000),
            execs: VecDeque::new(),
            exec_count: 0,
            scans: Vec::new(),
            scan_count: 0,
            made_count: 0,
            pulled: Vec::new(),
            gone: VecDeque::new(),
            now: 0,
            next_pid: 4100,
            next_backup: 8 * 60_000,
        };
        for role in ROLES {
            let key = ContainerKey {
                host: HostId::default(),
                id: ContainerId::from_bytes(Dice::new(seed, role.name).bytes()),
            };
            let mut member = Member {
                role,
                created: -role.created * 1000,
                ..Member::new(key, role.name.to_owned())
            };
            for past in role.runs {
                let pid = world.pid();
                member.runs.push_back(Run {
                    start: -past.began * 1000 + 300,
                    end: past.ended.map(|(ago, code, oom)| End {
                        at: -ago * 1000,
                        code,
                        cause: if oom { Cause::Oom } else { Cause::Exit },
                    }),
                    pauses: VecDeque::new(),
                    pid,
                    base: 0,
                    term: None,
                    worker_lost: None,
                });
            }
            world.members.insert(key, member);
        }
        world
    }

    /// A fresh pid with room for children behind it.
    fn pid(&mut self) -> u32 {
        let step = 40 + Dice::new(self.seed, "pid").below(u64::from(self.next_pid), 3000) as u32;
        // Linux's default pid_max on such machines is 4194304.
        self.next_pid = (self.next_pid + step) % 4_000_000 + 300;
        self.next_pid
    }

    /// The story's time of a stamp.
    pub fn t(&self, now: Stamp) -> T {
        let signed = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        signed(now.mono).saturating_sub(signed(self.start.mono))
    }

    /// The wall clock at a time of the story.
    pub fn wall(&self, t: T) -> Timestamp {
        self.start
            .wall
            .checked_add(jiff::SignedDuration::from_millis(t))
            .unwrap_or(self.start.wall)
    }

    /// The time of the newest change.
    pub fn now(&self) -> T {
        self.now
    }

    /// The container a process belongs to, and which of its processes it is (0: the main one).
    pub fn owner_of(&self, process: &ProcKey) -> Option<(ContainerKey, u32)> {
        self.members.values().find_map(|member| {
            let run = member.live()?;
            let nth = process.pid.checked_sub(run.pid).filter(|n| *n < 8)?;
            Some((member.key, nth))
        })
    }

    /// Lets the time between the last change and `t` happen. A clock that went back changes nothing.
    pub fn advance(&mut self, t: T) {
        // Bounded: each turn moves on to a due moment, and each moment is spent when it came.
        for _ in 0..10_000 {
            let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= t) else {
                break;
            };
            self.now = self.now.max(at);
            self.happen(due, at);
        }
        self.now = self.now.max(t);
    }

    fn next_due(&self) -> Option<(T, Due)> {
        let members = self.members.values().flat_map(|member| {
            let awake = member.live().is_some_and(Run::is_awake);
            let doom = member.doom.filter(|_| member.live().is_some());
            let kill = doom.and_then(|d| Some((d.kill_at?, Due::Kill(member.key))));
            let end = doom
                .filter(|d| awake || d.cause == Cause::Killed)
                .map(|d| (d.at, Due::End(member.key)));
            let again = member.again_at.map(|at| (at, Due::Again(member.key)));
            let done = member
                .live()
                .filter(|run| awake && run.term.is_none())
                .and_then(|run| {
                    let (life, _) = natural_end(member.role.program, run)?;
                    Some((run.when(life), Due::Natural(member.key)))
                });
            [kill, end, again, done].into_iter().flatten()
        });
        members
            .chain([(self.next_backup, Due::Backup)])
            .min_by_key(|(at, _)| *at)
    }

    fn happen(&mut self, due: Due, at: T) {
        match due {
            Due::Kill(key) => {
                self.tell(at, key, EventKind::Kill(Some("9".into())));
                if let Some(doom) = self.members.get_mut(&key).and_then(|m| m.doom.as_mut()) {
                    (doom.at, doom.code, doom.cause) = (at, 137, Cause::Killed);
                    doom.kill_at = None;
                }
            }
            Due::End(key) => self.end(key, at),
            Due::Natural(key) => {
                let ending = self.members.get(&key).and_then(|m| {
                    let (_, code) = natural_end(m.role.program, m.live()?)?;
                    Some(code)
                });
                if let (Some(code), Some(member)) = (ending, self.members.get_mut(&key)) {
                    member.doom = Some(Doom {
                        at,
                        code,
                        cause: Cause::Exit,
                        kill_at: None,
                        stopping: false,
                        restart: false,
                    });
                    self.end(key, at);
                }
            }
            Due::Again(key) => {
                if let Some(member) = self.members.get_mut(&key) {
                    member.again_at = None;
                    member.restarts += 1;
                }
                self.run_again(key, at);
            }
            Due::Backup => {
                self.next_backup = at + BACKUP_EVERY;
                let idle = self
                    .members
                    .values()
                    .find(|m| m.role.program == Program::Backup && m.live().is_none())
                    .map(|m| m.key);
                if let Some(key) = idle {
                    self.run_again(key, at);
                }
            }
        }
    }

    /// Ends a container's run, with the events in the engine's order.
    fn end(&mut self, key: ContainerKey, at: T) {
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        let Some(doom) = member.doom.take() else {
            return;
        };
        member.paused = false;
        if let Some(run) = member.live_mut() {
            run.thaw(at);
            run.end = Some(End {
                at,
                code: doom.code,
                cause: doom.cause,
            });
        }
        let always = matches!(member.role.restart, "always" | "unless-stopped");
        let rests = doom.stopping || member.stopped_by_user || doom.restart;
        if always && !rests {
            member.again_at = Some(at + 1_500);
        }
        if doom.cause == Cause::Oom {
            self.tell(at, key, EventKind::Oom);
        }
        self.tell(at, key, EventKind::Die(Some(doom.code)));
        if doom.stopping {
            self.tell(at, key, EventKind::Stop);
        }
        if doom.restart {
            self.run_again(key, at + 1);
            self.tell(at + 1, key, EventKind::Restart);
            return;
        }
        let goes = self.members.get(&key).and_then(|m| m.made.as_ref());
        if goes.is_some_and(|made| made.auto_remove) {
            self.remove(key, at);
        }
    }

    /// Removes a container that does not run.
    pub fn remove(&mut self, key: ContainerKey, at: T) {
        self.tell(at, key, EventKind::Destroy);
        if let Some(member) = self.members.remove(&key) {
            while self.gone.len() >= GONE {
                self.gone.pop_front();
            }
            self.gone.push_back((key, super::facts::exit_code(&member)));
        }
    }

    /// Starts a container's main process.
    pub fn run_again(&mut self, key: ContainerKey, at: T) {
        let pid = self.pid();
        let Some(member) = self.members.get_mut(&key) else {
            return;
        };
        if member.live().is_some() {
            return;
        }
        let base = member.run().map_or(0, |run| resume_step(member.role, run));
        member.refused = None;
        member.again_at = None;
        member.doom = None;
        while member.runs.len() >= RUNS {
            member.runs.pop_front();
        }
        member.runs.push_back(Run {
            start: at,
            end: None,
            pauses: VecDeque::new(),
            pid,
            base,
            term: None,
            worker_lost: None,
        });
        self.tell(at, key, EventKind::Start);
    }

    /// Freezes or thaws a container's processes.
    pub fn freeze(&mut self, key: ContainerKey, frozen: bool) {
        let now = self.now;
        if let Some(run) = self.members.get_mut(&key).and_then(Member::live_mut) {
            if frozen {
                run.freeze(now);
            } else {
                let since = run.pauses.back().map_or(now, |(from, _)| *from);
                run.thaw(now);
                // What was to come keeps its distance from the freeze.
                if let Some(doom) = self.members.get_mut(&key).and_then(|m| m.doom.as_mut()) {
                    doom.at += now - since.min(now);
                }
            }
        }
    }

    /// Sends SIGTERM's consequences on their way: `None` where the process ignores it.
    pub fn doom(&mut self, key: ContainerKey, doom: Doom, term: bool) {
        let now = self.now;
        if let Some(member) = self.members.get_mut(&key) {
            member.doom = Some(doom);
            if term && let Some(run) = member.live_mut() {
                run.term.get_or_insert(now);
            }
        }
    }

    /// The worker of a container's main process is gone.
    pub fn lose_worker(&mut self, key: ContainerKey) {
        let now = self.now;
        if let Some(run) = self.members.get_mut(&key).and_then(Member::live_mut) {
            run.worker_lost.get_or_insert(now);
        }
    }

    /// The site's check was killed; systemd starts it again after 30 s.
    pub fn lose_heartbeat(&mut self) {
        let pid = self.pid();
        self.heartbeat = (pid, self.now + 30_000);
    }

    /// Records an event.
    pub fn tell(&mut self, t: T, key: ContainerKey, kind: EventKind) {
        let Some(member) = self.members.get(&key) else {
            return;
        };
        let event = DemoEvent {
            time: self.wall(t),
            container: key,
            name: member.name.clone(),
            image: member.role.image.to_owned(),
            kind,
            old_name: None,
        };
        self.push(event);
    }

    /// Records an event made elsewhere.
    pub fn push(&mut self, event: DemoEvent) {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event.clone());
        self.fresh.push(event);
    }
}

enum Due {
    Kill(ContainerKey),
    End(ContainerKey),
    Natural(ContainerKey),
    Again(ContainerKey),
    Backup,
}

/// When a program ends by itself, in milliseconds of its run, and with which code.
fn natural_end(program: Program, run: &Run) -> Option<(i64, i64)> {
    match program {
        Program::Trainer => Some((training::finish(run.base) + 4_000, 0)),
        Program::Server => Some((super::programs::SERVER_LIFE, 1)),
        Program::Backup => Some((super::programs::BACKUP_LIFE, 0)),
        Program::Smi => Some((super::programs::SMI_LIFE, 0)),
        Program::Brief => Some((super::programs::BRIEF_LIFE, 0)),
        _ => None,
    }
}

/// The step from which the next run of a training goes on: its last checkpoint.
fn resume_step(role: &Role, run: &Run) -> i64 {
    if role.program != Program::Trainer {
        return 0;
    }
    let Some(end) = run.end else { return run.base };
    let saved = run
        .term
        .filter(|term| end.cause == Cause::Exit && end.at - term >= training::LAST_CHECKPOINT);
    let step = match saved {
        Some(term) => training::progress(run.base, run.elapsed(term)).step,
        None => {
            let step = training::progress(run.base, run.elapsed(end.at)).step;
            let written = training::checkpoints(run.base, run.elapsed(end.at)).floor() as i64;
            let whole =
                (run.base / training::CHECKPOINT_EVERY + written) * training::CHECKPOINT_EVERY;
            whole.min(step).max(run.base)
        }
    };
    if step >= training::TOTAL { 0 } else { step }
}

/// Whether GPU 3 is on the bus at a time of the story: it never is while the program runs.
pub(super) fn lost_since() -> T {
    -cast::XID_AGO * 1000
}
