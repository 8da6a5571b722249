//! A log service on a runtime of its own, and a screen's worth of state that takes its news.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use midwatch::engine::logs::{LogService, LogSetup};
use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Docker as Engine, Engine as Seam};
use midwatch::lanes::Waker;
use midwatch::logs::{LineTime, LogCommand, LogLane, LogTarget, Place, Stream, sgr};
use midwatch::model::{ContainerId, ContainerKey, HostId, Stamp};
use midwatch::tui::Effect;
use midwatch::tui::logs::{LogsState, Viewport};

pub const DEADLINE: Duration = Duration::from_secs(20);

/// A service and the tab that listens to it.
pub struct Rig {
    pub runtime: tokio::runtime::Runtime,
    pub service: LogService,
    pub lane: LogLane,
    pub waker: Waker,
    pub state: LogsState,
    pub engine: Engine,
    /// Ends the service's thread when it is dropped.
    _stop: tokio::sync::oneshot::Sender<()>,
}

pub fn key(id: &str) -> ContainerKey {
    ContainerKey {
        host: HostId(0),
        id: ContainerId::parse(id).unwrap(),
    }
}

impl Rig {
    pub fn new(address: Address, procfs: &str) -> Self {
        Self::over(Transport::new(address), procfs)
    }

    pub fn over(transport: Transport, procfs: &str) -> Self {
        let build = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
        };
        let runtime = build();
        // As in the program: one thread for all input and output, not the screen's.
        let io = build();
        let handle = io.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = io.block_on(stopped);
        });
        let waker = Waker::new();
        let lane = LogLane::new(waker.clone());
        let engine = Engine::new(transport, HostId(0));
        let seam = Seam::Docker(engine.clone());
        let setup = LogSetup {
            engine: Arc::new(move || Some(seam.clone())),
            lane: lane.clone(),
            procfs: PathBuf::from(procfs),
        };
        let service = LogService::start(&handle, setup);
        let mut state = LogsState::new(TimeZone::UTC, midwatch::logs::Limits::default());
        state.set_viewport(Viewport {
            columns: 100,
            rows: 30,
        });
        Self {
            runtime,
            service,
            lane,
            waker,
            state,
            engine,
            _stop: stop,
        }
    }

    pub fn local(socket: &str) -> Self {
        Self::new(Address::Unix(socket.into()), "/proc")
    }

    pub fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Log(command) = effect {
                self.service.send(command);
            }
        }
    }

    pub fn open(&mut self, ids: &[&str]) {
        let targets = ids
            .iter()
            .enumerate()
            .map(|(n, id)| LogTarget {
                key: key(id),
                name: format!("c{n}"),
            })
            .collect();
        let effects = self.state.open(targets, Stamp::now());
        assert!(matches!(effects[0], Effect::Log(LogCommand::Open { .. })));
        self.run(effects);
    }

    /// Follows all of a log that was printed after a moment, not its end alone.
    pub fn open_since(&mut self, id: &str, time: &str) {
        let time: jiff::Timestamp = time.parse().unwrap();
        let place = Place {
            time: LineTime::from_timestamp(time),
            stream: Stream::Out,
            source: 0,
            ties: 1,
        };
        let target = LogTarget {
            key: key(id),
            name: "all".into(),
        };
        let _ = self.state.open(vec![target.clone()], Stamp::now());
        self.service.send(LogCommand::Open {
            generation: self.state.generation(),
            targets: vec![target],
            since: None,
            from: Some(place),
        });
    }

    pub fn pump(&mut self) {
        for news in self.lane.drain().news {
            let effects = self.state.absorb(news);
            self.run(effects);
        }
    }

    pub fn run_action(&mut self, action: midwatch::tui::Action) {
        let effects = self.state.handle(action, Stamp::now()).unwrap();
        self.run(effects);
    }

    /// Waits for the service itself.
    pub fn until_service(&mut self, what: &str, holds: impl Fn(&LogService) -> bool) {
        let begun = Instant::now();
        while !holds(&self.service) {
            assert!(begun.elapsed() < DEADLINE, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes news until the condition holds; how long that took.
    pub fn until(&mut self, what: &str, holds: impl Fn(&LogsState) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            self.pump();
            if holds(&self.state) {
                println!("{what}: {:?}", begun.elapsed());
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < DEADLINE,
                "{what}: not within {DEADLINE:?}; lines {:?}, header {:?}",
                texts(&self.state).iter().rev().take(5).collect::<Vec<_>>(),
                self.state.header()
            );
            self.waker.wait(Some(Duration::from_millis(50)));
        }
    }
}

/// The held lines without colours.
pub fn texts(state: &LogsState) -> Vec<String> {
    let buffer = state.buffer();
    buffer
        .iter_from(buffer.range().start)
        .map(|(_, line)| sgr::plain(line.text).into_owned())
        .collect()
}

/// The last held line.
pub fn texts_end(state: &LogsState) -> String {
    let buffer = state.buffer();
    let last = buffer.get(buffer.range().end - 1);
    last.map(|line| line.text.to_owned()).unwrap_or_default()
}
