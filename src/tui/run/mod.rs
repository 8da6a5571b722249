//! The loop on the main thread: keys first, then everything else that came, then at most one frame.
//!
//! It sleeps on one [`Waker`] until a lane has something or a deadline of the state's comes; nothing is
//! polled. A key's frame is drawn at once; frames that data asks for are at most ten a second, after a
//! burst of three that lets a start and a change come through undelayed.

mod hand;
mod pace;

use std::io;
use std::time::Duration;

use ratatui::buffer::Buffer;

use self::pace::Pace;
use super::effect::{Effect, Outcome};
use super::event::Event;
use super::input::{Input, InputThread};
use super::runner::{Backend, Runner};
use super::screen::{Multiplexer, Screen, ScreenStats, osc52};
use super::session::{self, Session, Tty, TtyError};
use super::theme::Capabilities;
use crate::lanes::Waker;
use crate::model::{DriverStatus, Stamp};
use crate::watch::{Changes, World};

/// How long the end waits for the last frame; a stalled terminal gets no more.
const LAST_FRAME: Duration = Duration::from_millis(300);

/// How long the first frame waits for the engine's list, so that it is not drawn twice.
const FIRST_FRAME: Duration = Duration::from_millis(30);

/// Where news comes from.
pub trait Feed {
    /// Folds everything that came since the last time into the world.
    fn drain(&mut self, world: &mut World, now: Stamp) -> Changes;

    /// What came beside the world (the log), as events; none by default.
    fn events(&mut self, _now: Stamp, _into: &mut Vec<Event>) {}
}

/// The dashboard as the loop sees it: state, update and views.
pub trait App {
    /// The world that the feed folds its news into.
    fn world(&mut self) -> &mut World;
    /// Folds one event.
    fn update(&mut self, event: Event, now: Stamp) -> Vec<Effect>;
    /// Whether a frame is owed; asking settles it.
    fn take_dirty(&mut self) -> bool;
    /// In how long something on the screen ages; `None`: nothing does.
    fn next_deadline(&self, now: Stamp) -> Option<Duration>;
    /// Draws, and keeps the regions that update needs.
    fn draw(&mut self, buffer: &mut Buffer, now: Stamp);
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// The user left.
    Quit,
    /// A signal, by its number.
    Signal(i32),
    /// The terminal went away.
    Hangup,
    /// A thread panicked; its message has been printed.
    Panicked,
}

impl ExitReason {
    /// The process's exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::Quit => 0,
            Self::Signal(n) => u8::try_from(128 + n).unwrap_or(255),
            Self::Hangup => 129,
            Self::Panicked => 101,
        }
    }
}

/// Why the loop could not begin or go on; one line for the user.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The terminal.
    #[error(transparent)]
    Tty(#[from] TtyError),
    /// A thread or a descriptor.
    #[error("the terminal cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// How the loop behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the terminal shows.
    pub capabilities: Capabilities,
    /// What stands between.
    pub multiplexer: Multiplexer,
    /// Capture the mouse from the start.
    pub mouse: bool,
    /// Shortest time between two frames that data asks for.
    pub data_frame_interval: Duration,
}

impl Options {
    /// For this process's environment.
    pub fn detect() -> Self {
        let env = |name: &str| std::env::var(name).ok();
        Self {
            capabilities: Capabilities::detect(env),
            multiplexer: Multiplexer::detect(env),
            mouse: false,
            data_frame_interval: Duration::from_millis(100),
        }
    }
}

/// Runs the dashboard until it ends. Every lane of `feed` and the runner's outcomes must wake `waker`.
pub fn run<A: App, F: Feed, B: Backend>(
    app: &mut A,
    feed: &mut F,
    runner: &Runner<B>,
    waker: &Waker,
    options: &Options,
) -> Result<(ExitReason, ScreenStats), RunError> {
    let tty = Tty::open()?;
    session::install_panic_hook(waker);
    let mut session = Session::enter(&tty)?;
    let screen = Screen::start(tty.try_clone()?, options.capabilities)?;
    let input = InputThread::start(tty.try_clone()?, waker.clone())?;
    if options.mouse {
        screen.send(session.mouse(true));
    }
    let size = tty.size().unwrap_or((80, 24));
    let mut running = Running {
        app,
        runner,
        waker,
        options,
        pace: Pace::new(options.data_frame_interval, 3),
        session,
        screen,
        input,
        tty,
        size,
        owed: true,
        continues: 0,
        end: None,
        shell: crate::lanes::Slot::new(waker.clone()),
    };
    let reason = running.run(feed);
    if reason != ExitReason::Panicked && reason != ExitReason::Hangup {
        running.screen.flush(LAST_FRAME);
    }
    running.screen.hold(LAST_FRAME);
    let stats = running.screen.stats();
    session::leave();
    if reason == ExitReason::Panicked {
        session::wait_for_panic_message();
    }
    Ok((reason, stats))
}

/// The engine's first list is what the user waits for at the start: its frame is drawn at once, whatever
/// the frames before it have used up.
struct First {
    /// Until then no frame is drawn without the list.
    until: Duration,
    listed: bool,
}

impl First {
    fn new(now: Duration) -> Self {
        Self {
            until: now + FIRST_FRAME,
            listed: false,
        }
    }

    /// How long a frame that is owed waits, where by its pace alone it would wait for `paced`.
    fn wait(&mut self, listed: bool, now: Duration, paced: Duration) -> Duration {
        if self.listed {
            return paced;
        }
        self.listed = listed;
        if listed {
            Duration::ZERO
        } else {
            paced.max(self.until.saturating_sub(now))
        }
    }
}

struct Running<'a, A, B> {
    app: &'a mut A,
    runner: &'a Runner<B>,
    waker: &'a Waker,
    options: &'a Options,
    pace: Pace,
    session: Session,
    screen: Screen,
    input: InputThread,
    tty: Tty,
    size: (u16, u16),
    /// A frame is owed.
    owed: bool,
    /// SIGCONTs still to come that end suspensions of our own.
    continues: u32,
    end: Option<ExitReason>,
    /// A shell that was opened, to be handed the terminal.
    shell: crate::lanes::Slot<hand::Opened>,
}

impl<A: App, B: Backend> Running<'_, A, B> {
    fn run<F: Feed>(&mut self, feed: &mut F) -> ExitReason {
        let (cols, rows) = self.size;
        self.tell(Event::Resize { cols, rows }, Stamp::now());
        let mut tick_at = None;
        let mut events = Vec::new();
        let mut first = First::new(Stamp::now().mono);
        loop {
            let now = Stamp::now();
            self.keys(now);
            for outcome in self.runner.outcomes().drain().items {
                self.tell(Event::Outcome(outcome), now);
            }
            let changes = feed.drain(self.app.world(), now);
            if changes != Changes::default() {
                self.tell(Event::World(changes), now);
            }
            feed.events(now, &mut events);
            for event in events.drain(..) {
                self.tell(event, now);
            }
            if tick_at.is_some_and(|at| now.mono >= at) {
                self.tell(Event::Tick, now);
            }
            if let Some(opened) = self.shell.take() {
                self.shell(opened);
            }
            if session::panicked() {
                return ExitReason::Panicked;
            }
            if let Some(reason) = self.end {
                return reason;
            }
            let now = Stamp::now();
            self.owed |= self.app.take_dirty();
            let frame_in = if self.owed {
                let listed = self.app.world().listed.is_some();
                let wait = first.wait(listed, now.mono, self.pace.wait(now.mono));
                if wait.is_zero() {
                    self.draw(now);
                    None
                } else {
                    Some(wait)
                }
            } else {
                None
            };
            let deadline = self.app.next_deadline(now);
            tick_at = deadline.and_then(|d| now.mono.checked_add(d));
            let timeout = match (frame_in, deadline) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            self.waker.wait(timeout);
        }
    }

    /// Handles everything that the user did, and shows it at once.
    fn keys(&mut self, now: Stamp) {
        let inputs: Vec<Input> = self.input.drain().collect();
        let mut resized = false;
        let mut acted = false;
        for input in inputs {
            match input {
                Input::Key(key) => {
                    acted = true;
                    self.tell(Event::Key(key), now);
                }
                Input::Mouse(mouse) => {
                    acted = true;
                    self.tell(Event::Mouse(mouse), now);
                }
                Input::Paste(text) => {
                    acted = true;
                    self.tell(Event::Paste(text), now);
                }
                Input::Resized => resized = true,
                other => self.signal(other),
            }
        }
        if resized {
            acted |= self.resize(now);
        }
        self.owed |= self.app.take_dirty();
        if acted && self.owed && self.end.is_none() {
            self.draw(Stamp::now());
        }
    }

    fn signal(&mut self, input: Input) {
        match input {
            Input::Stop => self.suspend(),
            // Continued from outside after a SIGSTOP: the shell has had the terminal meanwhile.
            Input::Continued => self.reenter(),
            Input::ReleaseGpus => {
                let released = matches!(
                    self.app.world().gpus.as_ref().map(|g| &g.driver),
                    Some(DriverStatus::Released)
                );
                self.runner.backend().release_gpus(!released);
            }
            Input::End(n) => self.end = Some(ExitReason::Signal(n)),
            Input::Hangup => self.end = Some(ExitReason::Hangup),
            Input::Key(_) | Input::Mouse(_) | Input::Paste(_) | Input::Resized => {}
        }
    }

    /// Takes the terminal's size; says whether it is another one.
    fn resize(&mut self, now: Stamp) -> bool {
        let size = self.tty.size().unwrap_or(self.size);
        if size == self.size {
            return false;
        }
        self.size = size;
        self.owed = true;
        let (cols, rows) = size;
        self.tell(Event::Resize { cols, rows }, now);
        true
    }

    fn tell(&mut self, event: Event, now: Stamp) {
        for effect in self.app.update(event, now) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match self.runner.execute(effect) {
            None => {}
            Some(Effect::Quit) => self.end = self.end.or(Some(ExitReason::Quit)),
            Some(Effect::Redraw) => self.redraw(),
            Some(Effect::Mouse(on)) => {
                let bytes = self.session.mouse(on);
                self.screen.send(bytes);
            }
            Some(Effect::Copy(text)) => self.copy(&text),
            Some(Effect::Suspend) => self.suspend(),
            Some(Effect::Shell(key)) => self.open_shell(key),
            Some(_) => {}
        }
    }

    fn copy(&mut self, text: &str) {
        let result = osc52(text, self.options.multiplexer)
            .map_err(|e| e.to_string())
            .and_then(|bytes| {
                let sent = self.screen.send(&bytes);
                sent.then_some(text.len())
                    .ok_or_else(|| "the terminal takes nothing at the moment".to_owned())
            });
        self.runner.outcomes().push(Outcome::Copied(result));
    }

    fn redraw(&mut self) {
        self.screen.invalidate();
        self.owed = true;
    }

    fn draw(&mut self, now: Stamp) {
        let (cols, rows) = self.size;
        let mut buffer = self.screen.buffer(cols, rows);
        self.app.draw(&mut buffer, now);
        self.screen.show(buffer);
        self.pace.drawn(now.mono);
        self.owed = false;
        #[cfg(debug_assertions)]
        panic_if_asked();
    }
}

/// Lets a test see what a panic in the middle of the loop does to its terminal. Not in a release build.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "that is what it is for")]
fn panic_if_asked() {
    if std::env::var("MIDWATCH_TEST_PANIC").is_ok_and(|when| when == "after-first-frame") {
        panic!("asked for by MIDWATCH_TEST_PANIC");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_s_frame_never_waits_and_none_is_drawn_just_before_it() {
        let ms = Duration::from_millis;
        let mut first = First::new(ms(1000));
        assert_eq!(first.wait(false, ms(1000), ms(0)), FIRST_FRAME);
        assert_eq!(first.wait(false, ms(1010), ms(90)), ms(90));
        assert_eq!(first.wait(true, ms(1012), ms(88)), ms(0));
        assert_eq!(first.wait(true, ms(1013), ms(87)), ms(87));

        let mut nobody = First::new(ms(1000));
        assert_eq!(nobody.wait(false, ms(1030), ms(0)), ms(0));
        assert_eq!(nobody.wait(false, ms(9000), ms(40)), ms(40));
    }
}
