//! Questions that may take for ever: a process's command line (the kernel waits for a lock of its memory,
//! which a process stuck in the driver may hold), and the names of users that only the directory service knows.
//!
//! One thread answers, one question at a time. A question that outlasts its deadline keeps that thread; the
//! next question gets a new one. Nothing is ever joined.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::lanes::Waker;
use crate::model::text::clean;

use super::{procfs, read, users};

/// The most read of a command line, bytes.
const COMMAND_BYTES: usize = 4096;

/// The longest command line kept, characters.
const COMMAND_LONGEST: usize = 1024;

/// How long a question may hold up the others.
const DEADLINE: Duration = Duration::from_secs(2);

/// Threads given up on before no more questions are asked.
const GIVEN_UP_MOST: u32 = 8;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The command line of the process with this pid, if it still is the one started at these ticks.
    Command {
        /// Pid.
        pid: u32,
        /// Start time.
        start_ticks: u64,
    },
    /// The name of a user.
    User(u32),
}

/// An answer. `None`: nothing to be known.
pub type Answer = (Question, Option<Arc<str>>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Question>,
    answers: Vec<Answer>,
    /// What the present thread is at, and since when.
    busy: Option<Instant>,
    /// Number of the present thread; a thread with another number has been given up on.
    thread: u32,
    running: bool,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    procfs: PathBuf,
    state: Mutex<State>,
    asked: Condvar,
    answered: Waker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks and collects.
#[derive(Debug)]
pub struct Lookup {
    shared: Arc<Shared>,
}

impl Lookup {
    /// Answers come from the procfs at `procfs`; `answered` is woken by each.
    pub fn new(procfs: &Path, answered: Waker) -> Self {
        Self {
            shared: Arc::new(Shared {
                procfs: procfs.to_owned(),
                state: Mutex::default(),
                asked: Condvar::new(),
                answered,
            }),
        }
    }

    /// Asks; the answer comes with a later [`Lookup::answers`].
    pub fn ask(&self, question: Question) {
        {
            let mut state = self.shared.lock();
            state.waiting.push_back(question);
        }
        self.shared.asked.notify_one();
        self.keep_going(Instant::now());
    }

    /// Takes the answers there are, and replaces a thread that is past its deadline.
    pub fn answers(&self) -> Vec<Answer> {
        self.keep_going(Instant::now());
        std::mem::take(&mut self.shared.lock().answers)
    }

    /// Whether an answer is still to come or to be taken. A question that hangs counts until it is given up on.
    pub fn pending(&self) -> bool {
        let state = self.shared.lock();
        !state.waiting.is_empty() || !state.answers.is_empty() || state.busy.is_some()
    }

    fn keep_going(&self, now: Instant) {
        let mut state = self.shared.lock();
        let stuck = state
            .busy
            .is_some_and(|since| now.saturating_duration_since(since) > DEADLINE);
        if stuck {
            state.thread += 1;
            state.running = false;
            state.busy = None;
        }
        if state.running || state.waiting.is_empty() || state.thread > GIVEN_UP_MOST {
            return;
        }
        let number = state.thread;
        let shared = Arc::clone(&self.shared);
        state.running = std::thread::Builder::new()
            .name("midwatch-lookup".to_owned())
            .stack_size(128 << 10)
            .spawn(move || work(&shared, number))
            .is_ok();
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.asked.notify_all();
    }
}

fn work(shared: &Shared, number: u32) {
    let mut state = shared.lock();
    loop {
        if state.closed || state.thread != number {
            return;
        }
        let Some(question) = state.waiting.pop_front() else {
            state = shared
                .asked
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        state.busy = Some(Instant::now());
        drop(state);
        let answer = match question {
            Question::Command { pid, start_ticks } => command(&shared.procfs, pid, start_ticks),
            Question::User(uid) => directory_name(uid),
        };
        state = shared.lock();
        // A late answer of a thread given up on is still an answer.
        state.answers.push((question, answer));
        if state.thread == number {
            state.busy = None;
        }
        shared.answered.wake();
    }
}

/// The command line with blanks between its words; in brackets its short name where it has none (a zombie).
fn command(procfs: &Path, pid: u32, start_ticks: u64) -> Option<Arc<str>> {
    let at = procfs.join(pid.to_string());
    let mut buffer = Vec::new();
    read::file(&at.join("cmdline"), &mut buffer, COMMAND_BYTES).ok()?;
    // Read after the command line: the pid was this process's all the while.
    let stat = procfs::parse_stat(&read::text(&at.join("stat"), 4096).ok()?)?;
    if stat.start_ticks != start_ticks {
        return None;
    }
    for byte in &mut buffer {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    let line = clean(&String::from_utf8_lossy(&buffer), COMMAND_LONGEST);
    Some(if line.is_empty() {
        format!("[{}]", stat.comm).into()
    } else {
        line.into()
    })
}

/// A name from LDAP, SSSD and the like, which the C library's `getent` asks as `ps` and `ls` do.
fn directory_name(uid: u32) -> Option<Arc<str>> {
    let output = Command::new("getent")
        .args(["passwd", &uid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (found, name) = text.lines().find_map(users::line)?;
    (found == uid).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn wait(lookup: &Lookup, waker: &Waker, count: usize) -> Vec<Answer> {
        let deadline = Instant::now() + LONG;
        let mut all = Vec::new();
        while all.len() < count && Instant::now() < deadline {
            all.extend(lookup.answers());
            if all.len() < count {
                waker.wait(Some(Duration::from_millis(100)));
            }
        }
        all
    }

    fn described(pid: u32, cmdline: &[u8], start: u64) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().join(pid.to_string());
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("cmdline"), cmdline).unwrap();
        let stat = format!("{pid} (python) S {} {start} 0", ["0"; 18].join(" "));
        std::fs::write(at.join("stat"), stat).unwrap();
        root
    }

    #[test]
    fn command_lines_are_cleaned_bounded_and_of_the_right_process() {
        let ask = |cmdline: &[u8]| command(described(7, cmdline, 5).path(), 7, 5);
        assert_eq!(
            ask(b"python\0train.py\0--lr\x1b]0;x\x07 1\0").as_deref(),
            Some("python train.py --lr 1")
        );
        assert_eq!(ask(b"").as_deref(), Some("[python]"));
        let long = ask(&[b'x'; 10_000]).unwrap();
        assert_eq!(long.chars().count(), COMMAND_LONGEST);
        assert_eq!(command(described(7, b"x", 5).path(), 7, 6), None);
        assert_eq!(command(described(7, b"x", 5).path(), 8, 5), None);
    }

    #[test]
    fn a_question_that_hangs_does_not_hold_up_the_next() {
        let root = described(7, b"stuck", 5);
        // Opening a pipe without a writer hangs, as reading the command line of a stuck process does.
        let pipe = root.path().join("7/cmdline");
        std::fs::remove_file(&pipe).unwrap();
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let at = root.path().join("8");
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("cmdline"), "good\0").unwrap();
        std::fs::copy(root.path().join("7/stat"), at.join("stat")).unwrap();

        let waker = Waker::new();
        let lookup = Lookup::new(root.path(), waker.clone());
        for pid in [7, 8] {
            lookup.ask(Question::Command {
                pid,
                start_ticks: 5,
            });
        }
        let answers = wait(&lookup, &waker, 1);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].1.as_deref(), Some("good"));
        // Let the stuck thread go: its answer comes after all.
        std::fs::write(&pipe, "late\0").unwrap();
        let answers = wait(&lookup, &waker, 1);
        assert_eq!(answers[0].1.as_deref(), Some("late"));
    }

    #[test]
    fn the_directory_service_knows_root() {
        assert_eq!(directory_name(0).as_deref(), Some("root"));
        assert_eq!(directory_name(4_000_000_000), None);
    }
}
