//! The commands that print and end, run as a user runs them.

use std::process::{Command, Output, Stdio};

use midwatch::tui::Mode;
use midwatch::tui::config::Config;

/// midwatch without anything of the person who runs the test.
pub fn midwatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("DOCKER_") || text.starts_with("MIDWATCH_") {
            command.env_remove(&name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = midwatch(arguments).output().unwrap();
    told(&output)
}

fn told(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [&["--help"][..], &["-h"], &["--version"], &["ps", "--help"]] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
        assert!(out.contains("midwatch"), "{out}");
    }
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    for arguments in [
        &["frobnicate"][..],
        &["ps", "--jsn"],
        &["-H"],
        &["-H", "a", "-c", "b"],
        &["completions", "cmd"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(
            err.starts_with("midwatch: wrong usage: ") && err.lines().count() == 1,
            "{err}"
        );
    }
}

#[test]
fn completions_are_scripts_that_their_shell_reads() {
    let (code, script, err) = run(&["completions", "bash"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let checked = bash.wait_with_output().unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let mut child = midwatch(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let (code, _, err) = told(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn the_default_configuration_is_printed_and_accepted() {
    let (code, text, err) = run(&["config", "print"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let read = Config::parse(&text, "printed").unwrap();
    let plain = Config::parse("", "empty").unwrap();
    for mode in Mode::ALL {
        assert_eq!(
            read.keys.help_entries(*mode),
            plain.keys.help_entries(*mode)
        );
    }
    assert_eq!((read.refresh, read.theme), (plain.refresh, plain.theme));
    // What is wrong in a file is told by its line, and nothing starts.
    let wrong = Config::parse(&text.replace("theme = ", "them = "), "printed").unwrap_err();
    assert!(wrong.to_string().contains("them"), "{wrong}");
}
