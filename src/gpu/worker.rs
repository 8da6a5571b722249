//! The thread that visits GPUs one after the other. Whoever waits for it may leave it behind: then it brings the
//! GPU that held it up when that call comes back, and ends.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nvml_wrapper::Device;

use super::progress::Progress;
use super::session::Session;
use super::supervisor::Message;
use super::track::Track;
use super::visit::visit;

/// Index told as progress while NVML itself is asked, not a GPU.
pub(super) const NO_GPU: u32 = u32::MAX;

/// A round's work, shared by the worker and the supervisor.
#[derive(Debug, Default)]
struct Batch {
    todo: VecDeque<Box<Track>>,
    done: Vec<Box<Track>>,
    /// GPUs in NVML's list, asked for in slow rounds.
    count: Option<u32>,
    /// The supervisor waits no longer.
    left: bool,
}

#[derive(Debug, Default)]
struct Shared {
    batch: Mutex<Batch>,
    progress: Progress,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervisor's end of a worker.
#[derive(Debug)]
pub(super) struct Worker {
    /// Tells workers apart.
    pub id: u64,
    shared: Arc<Shared>,
    start: Sender<Round>,
}

/// What kind of round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Ask the slow metrics of GPUs whose last answer is older than this; and ask for the number of GPUs.
    pub slow_every: Duration,
    /// Whether the number of GPUs is asked for.
    pub count: bool,
    /// First wait before a GPU that failed is asked again.
    pub retry: Duration,
}

/// What a worker brought home.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Visited.
    pub done: Vec<Box<Track>>,
    /// Not visited.
    pub todo: VecDeque<Box<Track>>,
    /// GPUs in NVML's list, where it was asked.
    pub count: Option<u32>,
}

impl Worker {
    /// Starts the thread; it sleeps until a round begins and ends when this value is dropped.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn spawn(
        id: u64,
        session: &Arc<Session>,
        out: &Sender<Message>,
    ) -> Result<Self, std::io::Error> {
        let (start, rounds) = channel();
        let shared = Arc::new(Shared::default());
        let (session, out) = (Arc::clone(session), out.clone());
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("gpu-sample".to_owned())
            .spawn(move || run(id, &session, &rounds, &theirs, &out))?;
        Ok(Self { id, shared, start })
    }

    /// Begins a round. The last one must be over.
    pub fn begin(&self, tracks: impl IntoIterator<Item = Box<Track>>, round: Round) {
        {
            let mut batch = self.shared.lock();
            batch.todo.extend(tracks);
            batch.count = None;
        }
        // A worker whose thread is gone lets the deadline bring the tracks back.
        let _ = self.start.send(round);
    }

    /// Begins a round with one GPU that nobody waits for: it comes as [`Message::Late`], and the thread ends.
    pub fn begin_alone(&self, track: Box<Track>, round: Round) {
        self.shared.lock().left = true;
        self.begin([track], round);
    }

    /// How long its last visit took.
    pub fn took(&self) -> Option<Duration> {
        self.shared.progress.took()
    }

    /// Which GPU it visits, and milliseconds since that visit and since the present call began.
    pub fn progress(&self) -> Option<(u32, u64, u64)> {
        self.shared.progress.now()
    }

    /// Takes what a finished round brought.
    pub fn collect(&self) -> Brought {
        let mut batch = self.shared.lock();
        Brought {
            done: std::mem::take(&mut batch.done),
            todo: std::mem::take(&mut batch.todo),
            count: batch.count.take(),
        }
    }

    /// Waits no longer: takes everything but the GPU under visit, which comes as [`Message::Late`].
    pub fn leave(&self) -> Brought {
        self.shared.lock().left = true;
        self.collect()
    }
}

fn run(
    id: u64,
    session: &Arc<Session>,
    rounds: &Receiver<Round>,
    shared: &Shared,
    out: &Sender<Message>,
) {
    let Ok(nvml) = session.nvml() else { return };
    let mut handles: HashMap<u32, Option<Device<'_>>> = HashMap::new();
    while let Ok(round) = rounds.recv() {
        loop {
            let Some(mut track) = shared.lock().todo.pop_front() else {
                break;
            };
            if !track.rests(round.retry) {
                shared.progress.begin(track.index);
                let slow = track.slow_due(round.slow_every);
                let handle = handles.entry(track.index).or_default();
                visit(session, nvml, handle, &mut track, &shared.progress, slow);
                track.visited();
                shared.progress.end();
            }
            let mut batch = shared.lock();
            if batch.left {
                drop(batch);
                let _ = out.send(Message::Late {
                    generation: session.generation,
                    track,
                });
                return;
            }
            batch.done.push(track);
        }
        if round.count {
            shared.progress.begin(NO_GPU);
            let count = nvml.device_count().ok();
            shared.progress.end();
            shared.lock().count = count;
        }
        if shared.lock().left || out.send(Message::RoundDone(id)).is_err() {
            return;
        }
    }
}
