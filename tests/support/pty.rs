//! The binary in a pseudo-terminal, with a terminal emulator that reads what it draws.

use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long a condition may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

struct Seen {
    parser: vt100::Parser,
    bytes: u64,
    raw: Vec<u8>,
    ended: bool,
}

/// Of what was written to the terminal, this much is kept as it came.
const RAW: usize = 16 << 20;

/// A running program with its terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Terminal {
    /// Starts the midwatch binary. `DOCKER_*` and `MIDWATCH_*` of the person who runs the test are taken away.
    pub fn midwatch(
        arguments: &[&str],
        environment: &[(&str, &str)],
        columns: u16,
        lines: u16,
    ) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(arguments);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("DOCKER_") || text.starts_with("MIDWATCH_") || text == "NO_COLOR" {
                command.env_remove(&name);
            }
        }
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for (name, value) in environment {
            command.env(name, value);
        }
        Self::start(command, columns, lines)
    }

    /// Starts any program.
    pub fn start(command: CommandBuilder, columns: u16, lines: u16) -> Self {
        let pair = native_pty_system().openpty(size(columns, lines)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keyboard = pair.master.take_writer().unwrap();
        let parser = vt100::Parser::new(lines.try_into().unwrap(), columns.try_into().unwrap(), 0);
        let seen = Arc::new((
            Mutex::new(Seen {
                parser,
                bytes: 0,
                raw: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut seen = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                seen.parser.process(&buffer[..read]);
                seen.bytes += read as u64;
                let room = read.min(RAW.saturating_sub(seen.raw.len()));
                seen.raw.extend_from_slice(&buffer[..room]);
                seen.ended = read == 0;
                shared.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            child,
            master: pair.master,
            keyboard,
            seen,
        }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&self, columns: u16, lines: u16) {
        let mut seen = self.seen.0.lock().unwrap();
        seen.parser
            .screen_mut()
            .set_size(lines.try_into().unwrap(), columns.try_into().unwrap());
        self.master.resize(size(columns, lines)).unwrap();
    }

    /// What is on the screen, without colours.
    pub fn text(&self) -> String {
        self.with_screen(|screen| screen.contents())
    }

    /// Looks at the screen.
    pub fn with_screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.0.lock().unwrap().parser.screen())
    }

    /// Bytes written to the terminal so far.
    pub fn bytes(&self) -> u64 {
        self.seen.0.lock().unwrap().bytes
    }

    /// What was written to the terminal, as it came (the first 16 MiB).
    pub fn raw(&self) -> Vec<u8> {
        self.seen.0.lock().unwrap().raw.clone()
    }

    /// Waits until the screen is as wanted; says how long that took. Fails the test after [`PATIENCE`].
    pub fn wait(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) -> Duration {
        let began = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if wanted(seen.parser.screen()) {
                return began.elapsed();
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            if left.is_zero() || seen.ended {
                let why = if seen.ended {
                    "the program ended"
                } else {
                    "time is up"
                };
                panic!(
                    "{what}: {why}; on the screen:\n{}",
                    seen.parser.screen().contents()
                );
            }
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until this text is on the screen.
    pub fn wait_for(&self, text: &str) -> Duration {
        self.wait(&format!("{text:?}"), |screen| {
            screen.contents().contains(text)
        })
    }

    /// Waits until nothing was drawn for this long: a frame is whole then.
    pub fn settle(&self, silence: Duration) {
        let began = Instant::now();
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            let bytes = seen.bytes;
            let (now, waited) = self.seen.1.wait_timeout(seen, silence).unwrap();
            seen = now;
            if waited.timed_out() && seen.bytes == bytes {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it draws without end");
        }
    }

    /// Waits for the end and gives the exit status.
    pub fn wait_for_end(&mut self) -> u32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end; on the screen:\n{}",
                self.text()
            );
            std::thread::yield_now();
            let seen = self.seen.0.lock().unwrap();
            drop(
                self.seen
                    .1
                    .wait_timeout(seen, Duration::from_millis(20))
                    .unwrap(),
            );
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, lines: u16) -> PtySize {
    PtySize {
        rows: lines,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}
