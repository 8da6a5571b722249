//! The terminal's ways: restored on every end, suspended, handed to a shell, resized, stalled, gone.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

use crate::pty::{PATIENCE, Terminal};
use crate::term_probe;

fn start(busy: u32) -> Terminal {
    let terminal = Terminal::start(term_probe::command(busy), 80, 24);
    terminal.wait_for("probe 80x24");
    assert!(terminal.with_screen(vt100::Screen::alternate_screen));
    assert!(terminal.with_screen(vt100::Screen::hide_cursor));
    assert!(!cooked(terminal.pid()), "raw mode");
    terminal
}

/// Whether the terminal of a process echoes and edits lines, as a shell wants it.
pub fn cooked(pid: u32) -> bool {
    let tty = File::open(format!("/proc/{pid}/fd/0")).unwrap();
    let modes = tcgetattr(&tty).unwrap().local_modes;
    modes.contains(LocalModes::ECHO | LocalModes::ICANON)
}

pub fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Waits until `done`; fails after [`PATIENCE`].
pub fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    began.elapsed()
}

/// The screen is as before the program: normal screen, cursor, no paste marks, no mouse.
pub fn assert_restored(terminal: &Terminal) {
    terminal.with_screen(|screen| {
        assert!(!screen.alternate_screen());
        assert!(!screen.hide_cursor());
        assert!(!screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    });
}

/// Starts the probe through a shell of ours that stays and prints the terminal's modes afterwards.
fn start_under_shell() -> Terminal {
    let mut command = CommandBuilder::new("sh");
    let line = format!(
        "{}; echo status=$?; stty -a; echo over",
        term_probe::command_line()
    );
    command.args(["-c", &line]);
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    let terminal = Terminal::start(command, 80, 24);
    terminal.wait_for("probe 80x24");
    terminal
}

pub fn probe_below(shell: u32) -> u32 {
    let children = format!("/proc/{shell}/task/{shell}/children");
    let list = std::fs::read_to_string(children).unwrap();
    list.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn signals_restore_the_terminal_and_give_their_status() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut terminal = start_under_shell();
        terminal.keys("m");
        terminal.wait("the mouse", |s| {
            s.mouse_protocol_mode() != vt100::MouseProtocolMode::None
        });
        send(probe_below(terminal.pid()), signal);
        terminal.wait_for("over");
        let text = terminal.text();
        assert!(text.contains(&format!("status={status}")), "{text}");
        assert!(
            text.contains(" icanon") && text.contains(" echo "),
            "{text}"
        );
        assert_restored(&terminal);
        terminal.wait_for_end();
    }
}

#[test]
fn a_panic_restores_the_terminal_and_its_message_is_seen() {
    for (key, message) in [
        ("p", "forced in the loop"),
        ("b", "forced in the background"),
    ] {
        let mut terminal = start_under_shell();
        terminal.keys(key);
        terminal.wait_for("over");
        let text = terminal.text();
        assert!(text.contains("status=101"), "{text}");
        assert!(
            text.contains(" icanon") && text.contains(" echo "),
            "{text}"
        );
        assert_restored(&terminal);
        terminal.wait_for_end();
        // The message came before the list of modes, and may have scrolled.
        let mut again = start(0);
        again.keys(key);
        again.wait_for(message);
        assert_eq!(again.wait_for_end(), 101);
        assert_restored(&again);
    }
}

#[test]
fn a_loop_that_hangs_is_ended_by_the_last_resort() {
    let mut terminal = start(0);
    terminal.keys("h");
    send(terminal.pid(), Signal::TERM);
    assert_eq!(terminal.wait_for_end(), 143);
    assert_restored(&terminal);
}

#[test]
fn a_storm_of_resizes_ends_in_the_last_size() {
    let mut terminal = start(200);
    for round in 0..150u16 {
        terminal.resize(40 + round % 100, 10 + round % 30);
    }
    terminal.resize(97, 31);
    terminal.wait("the last size", |screen| {
        let corner = screen.cell(30, 96).map(|c| c.contents().to_owned());
        screen.contents().contains("probe 97x31") && corner.as_deref() == Some("#")
    });
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn keys_pastes_and_the_mouse_arrive() {
    let mut terminal = start(0);
    terminal.keys("\x1b[1;5C");
    terminal.wait_for("last ctrl-right");
    terminal.keys("\x1b");
    terminal.wait_for("last esc");
    terminal.keys("中");
    terminal.wait_for("last 中");
    terminal.keys("\x1b[200~two\nlines\x1b[201~");
    terminal.wait_for("pasted \"two\\nlines\"");
    terminal.keys("m");
    terminal.wait("the mouse", |s| {
        s.mouse_protocol_mode() != vt100::MouseProtocolMode::None
    });
    terminal.keys("\x1b[<0;11;6M");
    terminal.wait_for("mouse 10,5");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert_restored(&terminal);
}

#[test]
fn suspended_and_brought_back() {
    let mut command = CommandBuilder::new("bash");
    command.args(["--norc", "--noprofile", "-i"]);
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env("PS1", "ready> ");
    let mut terminal = Terminal::start(command, 80, 24);
    terminal.wait_for("ready>");
    terminal.keys(&format!("{}\n", term_probe::command_line()));
    terminal.wait_for("probe 80x24");
    for round in ["by key", "by signal"] {
        if round == "by key" {
            terminal.keys("\x1a");
        } else {
            send(probe_below(terminal.pid()), Signal::TSTP);
        }
        terminal.wait(round, |s| {
            !s.alternate_screen() && s.contents().contains("Stopped")
        });
        assert!(!terminal.with_screen(vt100::Screen::hide_cursor));
        terminal.keys("clear; fg\n");
        terminal.wait("back", |s| {
            s.alternate_screen() && s.contents().contains("probe 80x24")
        });
    }
    terminal.keys("x");
    terminal.wait_for("last x");
    terminal.keys("q");
    terminal.wait("the prompt", |s| {
        !s.alternate_screen() && s.contents().contains("ready>")
    });
}

#[test]
fn a_shell_has_the_terminal_to_itself_and_gives_it_back() {
    let mut terminal = start(50);
    terminal.keys("s");
    terminal.wait_for("shell 80x24$");
    assert!(!terminal.with_screen(vt100::Screen::alternate_screen));
    assert!(!terminal.with_screen(vt100::Screen::hide_cursor));
    terminal.keys("hello\r");
    terminal.wait_for("HELLO");
    terminal.resize(100, 30);
    terminal.keys("again\r");
    terminal.wait_for("AGAIN");
    terminal.keys("exit\r");
    terminal.wait_for("probe 100x30");
    terminal.wait_for("shell Ok(())");
    assert!(!terminal.with_screen(vt100::Screen::application_cursor));
    terminal.keys("x");
    // Not a key went to the dashboard meanwhile: s and x are all.
    terminal.wait_for("keys=2 last x");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert_restored(&terminal);
}

/// CPU time of a process that has ended and was not waited for, in clock ticks (1/100 s).
pub fn ticks_of_the_dead(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
    (fields.first() == Some(&"Z")).then_some(())?;
    Some(number(11)? + number(12)?)
}

pub fn size(cols: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

#[test]
fn a_terminal_that_goes_away_ends_the_program_without_spinning() {
    let pair = native_pty_system().openpty(size(80, 24)).unwrap();
    let mut child = pair.slave.spawn_command(term_probe::command(20)).unwrap();
    drop(pair.slave);
    let pid = child.process_id().unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut screen = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
    let mut bytes = [0; 4096];
    while !screen.screen().contents().contains("probe 80x24") {
        let n = reader.read(&mut bytes).unwrap();
        assert!(n > 0);
        screen.process(&bytes[..n]);
    }
    drop(reader);
    drop(pair.master);
    let mut ticks = None;
    let took = until("it goes on without a terminal", || {
        ticks = ticks_of_the_dead(pid);
        ticks.is_some()
    });
    println!("ended {took:?} after the hangup, {ticks:?} ticks of CPU in all");
    assert!(ticks.unwrap() < 100, "it spun: {ticks:?} ticks");
    assert_eq!(child.wait().unwrap().exit_code(), 129);
}

#[test]
fn a_terminal_that_takes_nothing_neither_blocks_the_keys_nor_the_end() {
    let pair = native_pty_system().openpty(size(200, 60)).unwrap();
    let mut child = pair.slave.spawn_command(term_probe::command(200)).unwrap();
    drop(pair.slave);
    let pid = child.process_id().unwrap();
    let mut keyboard = pair.master.take_writer().unwrap();
    // Nobody reads: the pseudo-terminal fills up, and the writer thread stands still at it.
    let screen_thread = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.flatten().find(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            name.trim() == "screen"
        })
    };
    until("the writer starts", || screen_thread().is_some());
    // The queue towards the terminal holds still once it is full.
    let mut last = (0, Instant::now());
    let master = pair.master.try_clone_reader().unwrap();
    until("the terminal fills up", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let written = stat
            .lines()
            .find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok())
            .unwrap_or(0);
        if written != last.0 {
            last = (written, Instant::now());
        }
        written > 2000 && last.1.elapsed() > Duration::from_millis(300)
    });
    keyboard.write_all(b"q").unwrap();
    let mut status = None;
    let took = until("it waits for the terminal", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    println!("left a stalled terminal {took:?} after the key");
    assert_eq!(status.unwrap().exit_code(), 0);
    drop(master);
}

#[test]
fn a_key_changes_the_screen_while_news_floods() {
    let mut terminal = start(1000);
    let mut times: Vec<Duration> = (1..=200)
        .map(|n| {
            terminal.keys("x");
            terminal.wait_for(&format!("keys={n} "))
        })
        .collect();
    times.sort();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("key to changed frame: median {median:?}, p99 {p99:?}");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(
        terminal.text().contains("ended Quit"),
        "{}",
        terminal.text()
    );
}
