//! Sending a signal to exactly the process that was shown, never to another that got its pid.

use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};

use crate::model::{ProcKey, Signal};

use super::procfs::Procfs;

/// Sends `signal` to the process `key`.
///
/// A pidfd is opened first, then boot and start time are compared, then the signal goes through the pidfd:
/// should the process end in between, the kernel refuses. Kernels before 5.3 have no pidfd; there the
/// comparison stands right before the kill.
///
/// # Errors
/// One sentence for the user: it has ended, it belongs to somebody else, or the signal is unknown.
pub fn signal_process(key: ProcKey, signal: Signal) -> Result<(), String> {
    let pid = key.pid;
    let gone = || format!("process {pid} has already ended");
    let number =
        number(signal).ok_or_else(|| format!("{signal} is not a signal of this system"))?;
    let target = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(gone)?;
    let pidfd = match pidfd_open(target, PidfdFlags::empty()) {
        Ok(fd) => Some(fd),
        Err(Errno::SRCH) => return Err(gone()),
        Err(_) => None,
    };
    let mut procfs = Procfs::open(Path::new("/proc"));
    if procfs.boot() != Some(key.boot) {
        return Err(format!(
            "process {pid} belongs to an earlier boot or to another machine"
        ));
    }
    match procfs.stat(pid) {
        None => return Err(gone()),
        Some(stat) if stat.start_ticks != key.start_ticks => {
            return Err(format!(
                "process {pid} has ended, and its number now belongs to another process ({})",
                stat.comm
            ));
        }
        Some(_) => {}
    }
    let sent = match &pidfd {
        Some(fd) => pidfd_send_signal(fd, number),
        None => kill_process(target, number),
    };
    sent.map_err(|error| match error {
        Errno::SRCH => gone(),
        Errno::PERM => format!(
            "not permitted to send {signal} to process {pid}: it belongs to another user; run midwatch as \
             that user or as root"
        ),
        other => format!("cannot send {signal} to process {pid}: {other}"),
    })
}

fn number(signal: Signal) -> Option<rustix::process::Signal> {
    use rustix::process::Signal as S;
    Some(match signal.0 {
        "TERM" => S::TERM,
        "INT" => S::INT,
        "KILL" => S::KILL,
        "HUP" => S::HUP,
        "QUIT" => S::QUIT,
        "USR1" => S::USR1,
        "USR2" => S::USR2,
        "STOP" => S::STOP,
        "CONT" => S::CONT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostId;
    use std::os::unix::process::ExitStatusExt;

    fn key_of(pid: u32) -> ProcKey {
        let mut procfs = Procfs::open(Path::new("/proc"));
        ProcKey {
            host: HostId(0),
            boot: procfs.boot().unwrap(),
            pid,
            start_ticks: procfs.stat(pid).unwrap().start_ticks,
        }
    }

    #[test]
    fn only_the_very_process_is_hit() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let key = key_of(child.id());
        let other_start = ProcKey {
            start_ticks: key.start_ticks + 1,
            ..key
        };
        let text = signal_process(other_start, Signal("KILL")).unwrap_err();
        assert!(text.contains("another process (sleep)"), "{text}");
        let other_boot = ProcKey {
            boot: crate::model::BootId(1),
            ..key
        };
        let text = signal_process(other_boot, Signal("KILL")).unwrap_err();
        assert!(text.contains("earlier boot"), "{text}");
        assert!(signal_process(key, Signal("WINCH")).is_err());
        assert!(child.try_wait().unwrap().is_none(), "it still lives");
        for signal in Signal::ALL {
            assert!(number(signal).is_some(), "{signal}");
        }

        signal_process(key, Signal("USR1")).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(10));
        let text = signal_process(key, Signal("TERM")).unwrap_err();
        assert!(text.contains("already ended"), "{text}");
    }
}
