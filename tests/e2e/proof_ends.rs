//! The dashboard itself on every way out: signals, a hangup, a panic; and under a storm of resizes.

use std::io::Read;

use portable_pty::{CommandBuilder, native_pty_system};
use rustix::process::Signal;

use crate::pty::Terminal;
use crate::term_session::{
    assert_restored, cooked, probe_below, send, size, ticks_of_the_dead, until,
};

/// The dashboard's start in every test here: the simulated host, nothing of the person who runs it.
fn demo(dir: &tempfile::TempDir) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_midwatch"));
    command.arg("--demo");
    settings(&mut command, dir);
    command
}

fn settings(command: &mut CommandBuilder, dir: &tempfile::TempDir) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("DOCKER_") || text.starts_with("MIDWATCH_") || text == "NO_COLOR" {
            command.env_remove(&name);
        }
    }
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        command.env(name, dir.path());
    }
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
}

/// The dashboard under a shell that stays, and afterwards prints status and modes of its terminal.
fn under_shell(dir: &tempfile::TempDir, before: &str) -> Terminal {
    let mut command = CommandBuilder::new("sh");
    let line = format!(
        "{before} {} --demo; echo status=$?; stty -a; echo it-is-done",
        env!("CARGO_BIN_EXE_midwatch")
    );
    command.args(["-c", &line]);
    settings(&mut command, dir);
    Terminal::start(command, 120, 36)
}

/// Status, modes and screen after the end.
fn assert_given_back(terminal: &mut Terminal, status: u32) {
    terminal.wait_for("it-is-done");
    let text = terminal.text();
    assert!(text.contains(&format!("status={status}")), "{text}");
    for mode in ["icanon", "echo", "isig", "opost"] {
        let set = text.split_whitespace().any(|word| word == mode);
        assert!(set, "{mode}: {text}");
    }
    assert_restored(terminal);
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn every_signal_gives_the_terminal_back_and_ends_with_its_status() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let dir = tempfile::tempdir().unwrap();
        let mut terminal = under_shell(&dir, "");
        terminal.wait_for("llama-sft");
        let pid = probe_below(terminal.pid());
        assert!(terminal.with_screen(vt100::Screen::alternate_screen));
        assert!(terminal.with_screen(vt100::Screen::hide_cursor));
        assert!(!cooked(pid), "raw mode");
        let began = std::time::Instant::now();
        send(pid, signal);
        terminal.wait_for("it-is-done");
        println!("{signal:?}: the shell goes on after {:?}", began.elapsed());
        assert_given_back(&mut terminal, status);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_tells() {
    if !cfg!(debug_assertions) {
        eprintln!("SKIPPED, NOT PASSED: a release build has no way to ask for a panic");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = under_shell(&dir, "MIDWATCH_TEST_PANIC=after-first-frame");
    assert_given_back(&mut terminal, 101);
    let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
    let entered = raw.find("\x1b[?1049h").expect("it had the screen");
    let left = raw.find("\x1b[?1049l").expect("it gave the screen back");
    let told = raw
        .find("asked for by MIDWATCH_TEST_PANIC")
        .expect("the message");
    assert!(entered < left && left < told, "{entered} {left} {told}");
}

#[test]
fn a_dashboard_whose_terminal_goes_away_ends_without_spinning() {
    let dir = tempfile::tempdir().unwrap();
    let pair = native_pty_system().openpty(size(120, 36)).unwrap();
    let mut child = pair.slave.spawn_command(demo(&dir)).unwrap();
    drop(pair.slave);
    let pid = child.process_id().unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut screen = vt100::Parser::new(36.try_into().unwrap(), 120.try_into().unwrap(), 0);
    let mut bytes = [0; 4096];
    while !screen.screen().contents().contains("llama-sft") {
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
    assert!(ticks.unwrap() < 300, "it spun: {ticks:?} ticks");
    assert_eq!(child.wait().unwrap().exit_code(), 129);
}

#[test]
fn a_storm_of_resizes_ends_in_a_straight_picture_of_the_last_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(demo(&dir), 120, 36);
    terminal.wait_for("llama-sft");
    for round in 0..300u16 {
        terminal.resize(1 + round * 7 % 299, 1 + round * 5 % 79);
        if round.is_multiple_of(10) {
            terminal.keys("j");
        }
    }
    terminal.resize(133, 41);
    let took = terminal.wait("the last size", |screen| {
        straight(screen).is_ok_and(|rows| rows > 20) && screen.contents().contains("q quit")
    });
    println!("straight {took:?} after the last of 300 resizes");
    // Smaller than it can be drawn: one clear line; and back again.
    terminal.resize(30, 6);
    terminal.wait_for("needs 60x12, has 30x6");
    println!("at 30x6: {:?}", terminal.text());
    terminal.resize(133, 41);
    terminal.wait("the old size", |screen| {
        straight(screen).is_ok_and(|rows| rows > 20)
    });
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
    assert_restored(&terminal);
}

/// Whether every frame on the screen is straight: from its top to its bottom each row begins with the left
/// border and ends with the right one. Gives how many rows were looked at.
pub fn straight(screen: &vt100::Screen) -> Result<usize, String> {
    let size = screen.size();
    let (rows, columns) = (u16::from(size.0), u16::from(size.1));
    let at = |row: u16, column: u16| {
        screen
            .cell(row, column)
            .map_or_else(String::new, |cell| cell.contents().to_owned())
    };
    let mut inside = false;
    let mut looked = 0;
    for row in 0..rows {
        let (first, last) = (at(row, 0), at(row, columns - 1));
        let fits = match first.as_str() {
            "┌" => !std::mem::replace(&mut inside, true) && last == "┐",
            "└" => std::mem::replace(&mut inside, false) && last == "┘",
            // The right border may carry the scroll bar.
            "│" => inside && ["│", "█", "▐", "┃"].contains(&last.as_str()),
            _ => !inside,
        };
        if !fits {
            let line = screen.contents_between(row, 0, row, columns);
            return Err(format!(
                "row {row} begins {first:?}, ends {last:?}: {line:?}"
            ));
        }
        looked += usize::from(inside || first == "└");
    }
    if inside {
        return Err("a frame without an end".to_owned());
    }
    Ok(looked)
}
