//! What an exit status and the engine's own fields tell.

use super::Ended;
use super::found::{By, DEFAULT_SHM, Found};

/// Signals by number (Linux on x86-64 and arm64, signal(7)), and what they mean where one ends a program.
const SIGNALS: [(i64, &str, &str); 15] = [
    (1, "SIGHUP", "its terminal was closed"),
    (2, "SIGINT", "interrupted, as by Ctrl-C"),
    (3, "SIGQUIT", "asked to quit"),
    (4, "SIGILL", "an instruction that this CPU does not have"),
    (
        6,
        "SIGABRT",
        "it gave up by itself: a failed check or an exception",
    ),
    (
        7,
        "SIGBUS",
        "a bus error: shared memory or a disk is full, mostly",
    ),
    (8, "SIGFPE", "an arithmetic error"),
    (9, "SIGKILL", "killed: out of memory, or stopped by force"),
    (11, "SIGSEGV", "a crash: it used memory that is not its own"),
    (13, "SIGPIPE", "who read its output went away"),
    (14, "SIGALRM", "its own alarm went off"),
    (15, "SIGTERM", "asked to end, as by docker stop"),
    (24, "SIGXCPU", "its limit of CPU time is used up"),
    (25, "SIGXFSZ", "a file got larger than its limit"),
    (31, "SIGSYS", "a system call that is not allowed"),
];

/// What an exit status means in words: `killed: out of memory, or stopped by force (SIGKILL)`. `None` for one
/// that each program uses as it likes.
#[must_use]
pub fn exit_meaning(code: i64) -> Option<String> {
    let text = match code {
        0 => "it ended without an error",
        1 => "the program reported an error",
        125 => "docker run itself failed",
        126 => "the command was found and could not be executed",
        127 => "the command was not found",
        128 => "the engine could not start it",
        255 | -1 => "the program reported an error (255 is -1)",
        129..=192 => {
            let number = code - 128;
            let known = SIGNALS.iter().find(|(signal, ..)| *signal == number);
            return Some(known.map_or_else(
                || format!("ended by signal {number}"),
                |(_, name, meaning)| format!("{meaning} ({name})"),
            ));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Exit status of `docker run` for an engine that refused to create or start a container: 127 where the command
/// (or a path) was not found, 126 where it may not be executed or is a folder, else 125. The rule is the docker
/// CLI's own (`runStartContainerErr` in cli/command/container/run.go), words and order included.
#[must_use]
pub fn refused_exit(error: &str) -> u8 {
    let has = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if has(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file specified",
    ]) {
        127
    } else if has(&["permission denied", "is a directory"]) {
        126
    } else {
        125
    }
}

/// Failures that the fields alone tell.
pub(super) fn fields(ended: &Ended, found: &mut Found) {
    let Some(code) = ended.exit_code.filter(|code| *code != 0) else {
        return;
    };
    let status = match SIGNALS.iter().find(|(signal, ..)| signal + 128 == code) {
        Some((_, name, _)) => format!("exit status {code} ({name})"),
        None => format!("exit status {code}"),
    };
    if ended.oom_killed == Some(true) {
        let evidence = format!("the engine says OOMKilled; {status}");
        found.field("oom.killed", By::Field, evidence);
    }
    match code {
        130 | 143 => found.field(&format!("exit.{code}"), By::Field, status),
        135 => {
            let shm = ended.shm_bytes.filter(|shm| *shm <= DEFAULT_SHM);
            let evidence = match shm {
                Some(shm) => format!("{status}; /dev/shm has {} MiB", shm >> 20),
                None => status,
            };
            found.field("exit.135", By::Exit, evidence);
        }
        // An engine that refused it says more than the number.
        125..=127 if ended.error.is_some() => {}
        137 if ended.oom_killed == Some(false) => {
            let evidence = format!("{status}; OOMKilled is false");
            found.field("exit.137", By::Exit, evidence);
        }
        125..=127 | 132 | 134 | 137 | 139 | 255 => {
            found.field(&format!("exit.{code}"), By::Exit, status);
        }
        _ => {}
    }
}
