//! A small program on the real loop, session, input and writer, with a scripted app and feed: the test
//! binary starts itself again as this one test, inside a pseudo-terminal.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use midwatch::check::{Cancel, Progress, Subject};
use midwatch::engine::Engine;
use midwatch::inspect::Known;
use midwatch::lanes::{Queue, Waker};
use midwatch::logs::LogCommand;
use midwatch::model::{
    ContainerId, ContainerKey, EngineNews, HostId, ImageId, ProcKey, Signal, Stamp,
};
use midwatch::tui::event::Event;
use midwatch::tui::keymap::{Key, KeyPress};
use midwatch::tui::run::{App, ExitReason, Feed, Options, run};
use midwatch::tui::runner::{Backend, Runner, ShellStream};
use midwatch::tui::{Effect, Outcome};
use midwatch::watch::{Changes, World};
use portable_pty::CommandBuilder;
use ratatui::buffer::Buffer;
use ratatui::style::Style;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SWITCH: &str = "MIDWATCH_TERM_PROBE";

/// The command that starts the probe; `busy` makes the feed change something that many times a second.
pub fn command(busy: u32) -> CommandBuilder {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "term_probe::probe",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(SWITCH, busy.to_string());
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env_remove("NO_COLOR");
    command.env_remove("TMUX");
    command
}

/// As a line for a shell.
pub fn command_line() -> String {
    format!(
        "{SWITCH}=0 {} --exact term_probe::probe --nocapture --test-threads=1",
        std::env::current_exe().unwrap().display()
    )
}

struct Probe {
    world: World,
    dirty: bool,
    size: (u16, u16),
    keys: u32,
    news: u64,
    note: String,
}

impl Probe {
    fn key(&mut self, key: KeyPress) -> Vec<Effect> {
        self.keys += 1;
        self.note = format!("last {key}");
        match key.key {
            Key::Char('q') => return vec![Effect::Quit],
            Key::Char('z') if key.ctrl => return vec![Effect::Suspend],
            Key::Char('p') => panic!("forced in the loop"),
            Key::Char('b') => {
                std::thread::spawn(|| panic!("forced in the background"));
            }
            Key::Char('h') => loop {
                std::thread::park();
            },
            Key::Char('m') => return vec![Effect::Mouse(true)],
            Key::Char('s') => {
                let id = ContainerId::from_bytes([7; 32]);
                let host = HostId(0);
                return vec![Effect::Shell(ContainerKey { host, id })];
            }
            _ => {}
        }
        Vec::new()
    }
}

impl App for Probe {
    fn world(&mut self) -> &mut World {
        &mut self.world
    }

    fn update(&mut self, event: Event, _now: Stamp) -> Vec<Effect> {
        self.dirty = true;
        match event {
            Event::Key(key) => return self.key(key),
            Event::Resize { cols, rows } => self.size = (cols, rows),
            Event::World(_) => self.news += 1,
            Event::Outcome(Outcome::ShellEnded(result)) => self.note = format!("shell {result:?}"),
            Event::Paste(text) => self.note = format!("pasted {text:?}"),
            Event::Mouse(mouse) => self.note = format!("mouse {},{}", mouse.column, mouse.row),
            _ => {}
        }
        Vec::new()
    }

    fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    fn next_deadline(&self, _now: Stamp) -> Option<Duration> {
        None
    }

    fn draw(&mut self, buffer: &mut Buffer, _now: Stamp) {
        let (cols, rows) = self.size;
        let line = format!("probe {cols}x{rows} keys={} {}", self.keys, self.note);
        buffer.set_string(0, 0, &line, Style::new());
        // A busy screen: every row changes with the news.
        for row in 1..rows.saturating_sub(1) {
            let text = format!("{row:>3} {}", self.news.wrapping_mul(7919 + u64::from(row)));
            buffer.set_string(0, row, &text, Style::new());
        }
        let corner = buffer.area.right().saturating_sub(1);
        if let Some(cell) = buffer.cell_mut((corner, rows.saturating_sub(1))) {
            cell.set_symbol("#");
        }
    }
}

struct Scripted {
    news: Queue<()>,
}

impl Feed for Scripted {
    fn drain(&mut self, _world: &mut World, _now: Stamp) -> Changes {
        Changes {
            visible: !self.news.drain().items.is_empty(),
            targets: false,
        }
    }
}

struct Services;

impl Backend for Services {
    fn engine(&self) -> Option<Engine> {
        None
    }
    fn news(&self, _news: EngineNews) {}
    fn relist(&self) {}

    fn set_visible(&self, _keys: Vec<midwatch::model::ContainerKey>) {}
    fn release_gpus(&self, _release: bool) {}
    fn signal_process(&self, _process: &ProcKey, _signal: Signal) -> Result<(), String> {
        Err("not here".into())
    }
    fn log(&self, _command: LogCommand) {}
    fn hold_logs(&self) {}
    fn resume_logs(&self) {}

    fn know(&self, _image: ImageId) -> BoxFuture<'static, Result<Arc<Known>, String>> {
        Box::pin(async { Err("not here".into()) })
    }

    fn check(
        &self,
        _subject: Subject,
        _progress: Box<dyn Fn(Progress) + Send + Sync>,
        _cancel: Cancel,
    ) -> BoxFuture<'static, Result<Arc<Known>, String>> {
        Box::pin(async { Err("not here".into()) })
    }

    /// A shell that says everything in capitals, and its size, until `exit`.
    fn open_shell(
        &self,
        _key: ContainerKey,
        cols: u16,
        rows: u16,
    ) -> BoxFuture<'static, Result<ShellStream, String>> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(4096);
            let (mut input, mut output) = tokio::io::split(theirs);
            tokio::spawn(async move {
                let hello = format!("shell {cols}x{rows}$ ");
                output.write_all(hello.as_bytes()).await.unwrap();
                let mut line = Vec::new();
                while let Ok(byte) = input.read_u8().await {
                    if byte != b'\r' {
                        line.push(byte);
                        continue;
                    }
                    if line == b"exit" {
                        return;
                    }
                    let answer = String::from_utf8_lossy(&line).to_uppercase();
                    let answer = format!("\r\n\x1b[1;31m{answer}\x1b[?1h$ ");
                    output.write_all(answer.as_bytes()).await.unwrap();
                    line.clear();
                }
            });
            let (output, input) = tokio::io::split(ours);
            Ok(ShellStream {
                output: Box::new(output),
                input: Box::new(input),
                resize: Box::new(|_, _| {}),
            })
        })
    }
}

#[test]
fn probe() {
    let Ok(busy) = std::env::var(SWITCH) else {
        return;
    };
    let waker = Waker::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let outcomes = Queue::new(64, waker.clone());
    let preferences = std::env::temp_dir().join("never-written");
    let runner = Runner::new(Arc::new(Services), handle, outcomes, false, preferences);
    let news = Queue::new(16, waker.clone());
    let mut feed = Scripted { news: news.clone() };
    if let Ok(hertz @ 1..) = busy.parse::<u32>() {
        std::thread::spawn(move || {
            loop {
                news.push(());
                std::thread::sleep(Duration::from_secs(1) / hertz);
            }
        });
    }
    let mut app = Probe {
        world: World::new(HostId(0)),
        dirty: true,
        size: (0, 0),
        keys: 0,
        news: 0,
        note: String::new(),
    };
    let (reason, stats) = run(&mut app, &mut feed, &runner, &waker, &Options::detect()).unwrap();
    // Printing would wait for a stalled terminal, and panic at one that is gone.
    if reason == ExitReason::Quit && !stats.stalled {
        println!("ended {reason:?} {stats:?}\r");
    }
    #[allow(clippy::exit, reason = "the probe is a program of its own")]
    std::process::exit(i32::from(reason.code()));
}
