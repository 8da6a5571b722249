//! The log service: follows containers' logs, loads older parts, watches the line being written.
//!
//! News goes into a [`LogLane`]; nothing here waits for the screen. The logs endpoint may be read slowly
//! without harm (the engine reads its own files), an attach stream may not: see [`super::attach`].

mod follow;
mod page;
mod request;
mod tail;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::logs::{LogCommand, LogLane, LogNews, LogStatus, LogTarget, LogUpdate, PageKind, Place};

use super::Engine;
use super::attach::Attachments;

pub use request::LogEngine;
pub(in crate::engine) use tail::tail;

/// Gives the engine's current connection; `None` while it is away.
pub type Provider = Arc<dyn Fn() -> Option<Engine> + Send + Sync>;

/// What the service needs.
#[derive(Clone)]
pub struct LogSetup {
    /// The engine.
    pub engine: Provider,
    /// Where news goes.
    pub lane: LogLane,
    /// Where processes are looked up to prove that the engine is on this machine (`/proc`).
    pub procfs: PathBuf,
}

impl std::fmt::Debug for LogSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogSetup").finish_non_exhaustive()
    }
}

/// What the tasks of one open log share.
#[derive(Debug, Clone)]
struct Shared {
    setup: LogSetup,
    attachments: Attachments,
    /// Told when attaching may begin again.
    resumed: Arc<Notify>,
    generation: u64,
    /// Messages from the log's end back to the first that was handed out.
    depth: Arc<AtomicU64>,
}

impl Shared {
    fn tell(&self, update: LogUpdate) {
        self.setup.lane.push(LogNews {
            generation: self.generation,
            update,
        });
    }

    fn status(&self, source: u8, status: LogStatus) {
        self.tell(LogUpdate::Status { source, status });
    }
}

/// The running service; dropping the last clone closes what is open.
#[derive(Debug, Clone)]
pub struct LogService {
    commands: mpsc::UnboundedSender<LogCommand>,
    attachments: Attachments,
    resumed: Arc<Notify>,
}

impl LogService {
    /// Starts it on a runtime with I/O and time enabled.
    pub fn start(runtime: &Handle, setup: LogSetup) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let attachments = Attachments::default();
        let resumed = Arc::new(Notify::new());
        let shared = Shared {
            setup,
            attachments: attachments.clone(),
            resumed: Arc::clone(&resumed),
            generation: 0,
            depth: Arc::default(),
        };
        runtime.spawn(run(shared, receiver));
        Self {
            commands,
            attachments,
            resumed,
        }
    }

    /// Asks for something; never waits.
    pub fn send(&self, command: LogCommand) {
        if !matches!(command, LogCommand::Load { .. }) && self.attachments.count() > 0 {
            // Also where the runtime is busy: a closed tab is attached to nothing.
            self.attachments.hold();
            self.attachments.resume();
        }
        let _ = self.commands.send(command);
    }

    /// Ends every attachment before this returns: call it before the process is suspended or a shell takes
    /// the terminal. The logs themselves stay open.
    pub fn hold(&self) {
        self.attachments.hold();
    }

    /// Attaching may begin again.
    pub fn resume(&self) {
        self.attachments.resume();
        self.resumed.notify_waiters();
    }

    /// How many containers are attached to.
    pub fn attached(&self) -> usize {
        self.attachments.count()
    }
}

/// What is open.
#[derive(Default)]
struct Opened {
    tasks: JoinSet<()>,
    page: Option<AbortHandle>,
    shared: Option<Shared>,
    targets: Vec<LogTarget>,
}

async fn run(base: Shared, mut commands: mpsc::UnboundedReceiver<LogCommand>) {
    let mut opened = Opened::default();
    while let Some(command) = commands.recv().await {
        match command {
            LogCommand::Close => opened = Opened::default(),
            LogCommand::Open {
                generation,
                targets,
                since,
                from,
            } => {
                let shared = Shared {
                    generation,
                    depth: Arc::default(),
                    ..base.clone()
                };
                opened = Opened {
                    shared: Some(shared.clone()),
                    targets: targets.clone(),
                    ..Opened::default()
                };
                open(&mut opened.tasks, shared, targets, since, from);
            }
            LogCommand::Load {
                generation,
                page,
                since,
            } => {
                let Some(shared) = opened
                    .shared
                    .clone()
                    .filter(|shared| shared.generation == generation)
                else {
                    continue;
                };
                if let Some(before) = opened.page.take() {
                    before.abort();
                }
                let targets = opened.targets.clone();
                opened.page = Some(opened.tasks.spawn(load(shared, targets, page, since)));
            }
        }
        // What has ended is let go of.
        while opened.tasks.try_join_next().is_some() {}
    }
}

fn open(
    tasks: &mut JoinSet<()>,
    shared: Shared,
    targets: Vec<LogTarget>,
    since: Option<jiff::Timestamp>,
    from: Option<Place>,
) {
    let one = targets.len() == 1;
    if one {
        for target in targets {
            let start = follow::Start { since, from };
            tasks.spawn(follow::follow(shared.clone(), target, 0, start));
        }
        return;
    }
    tasks.spawn(async move {
        // What is there already, by time; then each goes on where it was.
        let ends = page::backlog(&shared, &targets, since).await;
        let mut all = JoinSet::new();
        for (source, target) in targets.into_iter().enumerate() {
            let Ok(source) = u8::try_from(source) else {
                break;
            };
            let from = ends.get(usize::from(source)).copied().flatten();
            let start = follow::Start { since, from };
            all.spawn(follow::follow(shared.clone(), target, source, start));
        }
        while all.join_next().await.is_some() {}
    });
}

async fn load(
    shared: Shared,
    targets: Vec<LogTarget>,
    kind: PageKind,
    since: Option<jiff::Timestamp>,
) {
    let page = page::load(&shared, &targets, kind, since).await;
    let lines: usize = page.batches.iter().map(crate::logs::LineBatch::len).sum();
    shared.depth.fetch_add(lines as u64, Ordering::Relaxed);
    shared.tell(LogUpdate::Page(page));
}
