//! The table against real lines, the order of what is told, fields, and hostile text.

mod samples;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::found::fill;
use super::table::Table;
use super::*;
use samples::{HARMLESS, LOGGED, REFUSED};

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn ids(ended: &Ended) -> Vec<&'static str> {
    all(ended).into_iter().map(|failure| failure.id).collect()
}

/// Ids for a container that ended with 1 after these lines.
fn logged(texts: &[&str]) -> Vec<&'static str> {
    ids(&Ended {
        exit_code: Some(1),
        lines: &lines(texts),
        has_gpus: true,
        ..Ended::default()
    })
}

fn table() -> Table {
    Table::load(include_str!("../../../assets/failures.toml")).unwrap()
}

#[test]
fn the_table_is_sound() {
    let table = table();
    assert!(table.entries.len() >= 95 + 25, "{}", table.entries.len());
    let mut seen = std::collections::BTreeSet::new();
    for entry in &table.entries {
        let id = &entry.id;
        assert!(seen.insert(id), "{id} twice");
        assert!(!entry.title.is_empty() && !entry.cause.is_empty(), "{id}");
        assert!(!entry.title.ends_with('.'), "{id}");
        assert!(!entry.remedy.is_empty(), "{id}");
        for text in entry.remedy.iter().chain([&entry.cause, &entry.title]) {
            assert!(!text.contains('<'), "{id}: a placeholder is left: {text}");
        }
        // What came out of a log is never part of what is typed.
        assert!(entry.remedy.iter().all(|r| !r.contains("{what")), "{id}");
        for other in &entry.over {
            assert!(table.index(other).is_some(), "{id}: over {other}");
        }
        for text in [&entry.title, &entry.cause] {
            assert!(!fill(text, Some("X")).contains("{what"), "{id}: {text}");
            let named = text.contains("{what");
            let pattern = entry.pattern.as_deref().unwrap_or_default();
            assert!(!named || pattern.contains("(?P<what>"), "{id}: {text}");
        }
    }
    let text = include_str!("../../../assets/failures.toml");
    assert_eq!(text.matches("\nsources = [\"").count(), table.entries.len());
}

#[test]
fn every_refusal_is_known_by_its_text() {
    for (id, text) in REFUSED {
        let told = refusal(text).unwrap_or_else(|| panic!("nothing is known of: {text}"));
        assert_eq!(told.id, *id, "{text}");
        assert!(told.evidence.is_some(), "{id}");
    }
}

#[test]
fn every_line_is_known() {
    for (id, text) in LOGGED {
        let told = logged(&["step 1", text, "    return self._call_impl(*args)"]);
        assert_eq!(told.first(), Some(id), "{text}: {told:?}");
    }
}

#[test]
fn every_pattern_has_a_line_that_it_was_made_for() {
    let shown: Vec<&str> = REFUSED.iter().chain(LOGGED).map(|(id, _)| *id).collect();
    for entry in table().entries.iter().filter(|e| e.pattern.is_some()) {
        // It needs a small /dev/shm: a test of its own.
        let elsewhere = entry.small_shm;
        assert!(
            elsewhere || shown.contains(&entry.id.as_str()),
            "{}",
            entry.id
        );
    }
}

#[test]
fn harmless_lines_show_nothing() {
    assert!(HARMLESS.len() >= 35);
    for line in HARMLESS {
        assert_eq!(logged(&[line]), [""; 0], "{line}");
        assert_eq!(refusal(line), None, "{line}");
    }
    assert_eq!(logged(HARMLESS), [""; 0]);
}

#[test]
fn the_specific_comes_before_the_general() {
    let cases: &[(&[&str], &str, &[&str])] = &[
        (
            &["unresolvable CDI devices nvidia.com/gpu=MIG-5a3c9b1e-0c9f"],
            "cdi.mig_stale",
            &["cdi.unresolvable"],
        ),
        (
            &["load library failed: libnvidia-ml.so.1: cannot open shared object file"],
            "nvc.libnvidia_ml_missing",
            &["lib.missing"],
        ),
        (
            &[
                "ERROR: The NVIDIA Driver is present, but CUDA failed to initialize.  GPU functionality will not be available.",
                "[[ Forward compatibility was attempted on non supported HW (error 804) ]]",
            ],
            "cuda.804",
            &["ngc.banner_init_failed"],
        ),
        (
            &[
                "NCCL WARN Error: failed to extend /dev/shm/nccl-XkG2Yy to 9637892 bytes: No space left on device",
                "Bus error (core dumped)",
            ],
            "shm.nccl",
            &["exit.135", "disk.full"],
        ),
        (
            &[
                "ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.",
                "NCCL WARN Call to posix_fallocate failed : No space left on device",
            ],
            "shm.nccl",
            &["disk.full", "nccl.unhandled_system"],
        ),
        (
            &["write /checkpoints/step-10.pt: no space left on device"],
            "disk.full",
            &["shm.nccl"],
        ),
        (
            &[
                "RuntimeError: NCCL error in: x.cpp:1, unhandled cuda error",
                "Cuda failure 'out of memory'",
                "torch.OutOfMemoryError: CUDA out of memory.",
            ],
            "cuda.2",
            &["nccl.unhandled_cuda"],
        ),
        (
            &[
                "RuntimeError: CUDA error: no kernel image is available for execution on the device",
                "X with CUDA capability sm_120 is not compatible with the current PyTorch installation.",
            ],
            "torch.sm_not_compatible",
            &["cuda.209"],
        ),
        (
            &[
                "terminate called after throwing an instance of 'c10::Error'",
                "what():  CUDA error: an illegal memory access was encountered",
            ],
            "cuda.700",
            &["exit.134"],
        ),
        (
            &["NVRM: Xid (PCI:0000:65:00): 79, pid=1, GPU has fallen off the bus."],
            "xid.79_text",
            &["xid.any"],
        ),
    ];
    for (texts, first, gone) in cases {
        let told = logged(texts);
        assert_eq!(told.first(), Some(first), "{texts:?}: {told:?}");
        for id in *gone {
            assert!(!told.contains(id), "{texts:?}: {told:?}");
        }
    }
}

#[test]
fn a_banner_gives_the_code_of_cuda() {
    // 101 has no words of its own in the banner.
    assert_eq!(
        logged(&["[[ Device ordinal is wrong (error 101) ]]"]),
        ["cuda.101"]
    );
    assert_eq!(
        logged(&["[[ What nobody knows (error 4711) ]]"]),
        ["ngc.banner_init_failed"]
    );
}

#[test]
fn fields_tell_what_the_log_does_not() {
    let ended = |exit_code, oom_killed, shm_bytes| Ended {
        exit_code: Some(exit_code),
        oom_killed,
        shm_bytes,
        ..Ended::default()
    };
    let cases = [
        (
            137,
            Some(true),
            None,
            Some("oom.killed"),
            "the engine says OOMKilled; exit status 137 (SIGKILL)",
        ),
        (
            1,
            Some(true),
            None,
            Some("oom.killed"),
            "the engine says OOMKilled; exit status 1",
        ),
        (
            137,
            Some(false),
            None,
            Some("exit.137"),
            "exit status 137 (SIGKILL); OOMKilled is false",
        ),
        (
            137,
            None,
            None,
            Some("exit.137"),
            "exit status 137 (SIGKILL)",
        ),
        (
            139,
            None,
            None,
            Some("exit.139"),
            "exit status 139 (SIGSEGV)",
        ),
        (
            134,
            None,
            None,
            Some("exit.134"),
            "exit status 134 (SIGABRT)",
        ),
        (
            135,
            None,
            Some(64 << 20),
            Some("exit.135"),
            "exit status 135 (SIGBUS); /dev/shm has 64 MiB",
        ),
        (
            135,
            None,
            Some(8 << 30),
            Some("exit.135"),
            "exit status 135 (SIGBUS)",
        ),
        (
            132,
            None,
            None,
            Some("exit.132"),
            "exit status 132 (SIGILL)",
        ),
        (125, None, None, Some("exit.125"), "exit status 125"),
        (126, None, None, Some("exit.126"), "exit status 126"),
        (127, None, None, Some("exit.127"), "exit status 127"),
        (
            130,
            None,
            None,
            Some("exit.130"),
            "exit status 130 (SIGINT)",
        ),
        (
            143,
            None,
            None,
            Some("exit.143"),
            "exit status 143 (SIGTERM)",
        ),
        (255, None, None, Some("exit.255"), "exit status 255"),
        (0, Some(true), None, None, ""),
        (0, None, None, None, ""),
        (1, None, None, None, ""),
        (42, Some(false), None, None, ""),
    ];
    for (code, oom, shm, id, evidence) in cases {
        let told = explain(&ended(code, oom, shm));
        assert_eq!(told.as_ref().map(|f| f.id), id, "{code} {oom:?}");
        if let Some(told) = told {
            assert_eq!(told.evidence.as_deref(), Some(evidence));
        }
    }
}

#[test]
fn what_was_done_to_it_comes_before_what_it_said() {
    let log = lines(&["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"]);
    let ended = |exit_code, oom_killed| Ended {
        exit_code: Some(exit_code),
        oom_killed,
        lines: &log,
        ..Ended::default()
    };
    assert_eq!(ids(&ended(143, Some(false))), ["exit.143", "cuda.2"]);
    assert_eq!(ids(&ended(137, Some(true))), ["oom.killed", "cuda.2"]);
    assert_eq!(ids(&ended(137, Some(false))), ["cuda.2", "exit.137"]);
    assert_eq!(ids(&ended(1, Some(false))), ["cuda.2"]);
    // It got over it.
    assert_eq!(ids(&ended(0, Some(false))), [""; 0]);
}

#[test]
fn the_engines_error_comes_before_the_log() {
    let log = lines(&["CUDA error: out of memory"]);
    let told = ids(&Ended {
        exit_code: Some(127),
        error: Some(r#"exec: "trian.py": executable file not found in $PATH: unknown"#),
        lines: &log,
        ..Ended::default()
    });
    assert_eq!(told, ["refused.not_found", "cuda.2"]);
}

#[test]
fn nothing_is_claimed_without_evidence() {
    let gone = lines(&["RuntimeError: DataLoader worker (pid(s) 88, 89) exited unexpectedly"]);
    let with_shm = |shm_bytes| {
        ids(&Ended {
            exit_code: Some(1),
            lines: &gone,
            shm_bytes,
            ..Ended::default()
        })
    };
    assert_eq!(with_shm(Some(64 << 20)), ["shm.worker_gone"]);
    assert_eq!(with_shm(Some(8 << 30)), [""; 0]);
    assert_eq!(with_shm(None), [""; 0]);
    // These are of the engine's text alone, and of containers with GPUs.
    assert_eq!(
        logged(&["context desktop-linux, /snap/docker/current"]),
        [""; 0]
    );
    let desktop = Ended {
        error: Some("docker-desktop: it failed"),
        ..Ended::default()
    };
    assert_eq!(explain(&desktop), None);
    // A run that went well notes that it did not use the GPU, and that is told.
    let cpu = lines(&["Could not find cuda drivers on your machine, GPU will not be used."]);
    let well = Ended {
        exit_code: Some(0),
        lines: &cpu,
        ..Ended::default()
    };
    assert_eq!(ids(&well), ["tf.no_gpu_libs"]);
    assert_eq!(explain(&Ended::default()), None);
    // A banner that every start prints ended nothing.
    let banner = lines(&["NOTE: The SHMEM allocation limit is set to the default of 64MB."]);
    let ended = Ended {
        exit_code: Some(1),
        lines: &banner,
        ..Ended::default()
    };
    assert_eq!(
        (ids(&ended), explain(&ended)),
        (vec!["ngc.banner_shm"], None)
    );
}

#[test]
fn names_are_filled_in_and_cleaned() {
    let title = |error: &str| refusal(error).unwrap().title;
    assert_eq!(
        title("nvidia-container-cli: device error: 3: unknown device: unknown"),
        "there is no GPU 3 on this host"
    );
    assert_eq!(
        title(
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4, please update your driver"
        ),
        "the image asks for a newer driver: cuda>=12.4 is not met"
    );
    assert_eq!(
        title("nvidia-container-cli: device error: \u{1b}[31mGPU\u{202e}-7\r: unknown device"),
        "there is no GPU GPU-7 on this host"
    );
    let evidence = logged_evidence(&format!(
        "{}CUDA error: out of memory\u{7}",
        "x".repeat(2000)
    ));
    assert!(
        evidence.ends_with("xCUDA error: out of memory"),
        "{evidence}"
    );
    assert!(evidence.chars().count() <= 240);
}

fn logged_evidence(text: &str) -> String {
    let log = lines(&[text]);
    let told = explain(&Ended {
        exit_code: Some(1),
        lines: &log,
        ..Ended::default()
    });
    told.and_then(|f| f.evidence).unwrap_or_default()
}

#[test]
fn only_the_last_lines_and_the_first_of_each_are_read() {
    let mut log = lines(&["CUDA error: out of memory"]);
    log.extend((1..MAX_LINES).map(|n| format!("step {n}")));
    let told = |log: &[String]| {
        ids(&Ended {
            exit_code: Some(1),
            lines: log,
            ..Ended::default()
        })
    };
    assert_eq!(told(&log), ["cuda.2"]);
    log.push("step 200".to_owned());
    assert_eq!(told(&log), [""; 0]);
    let far = format!("{}CUDA error: out of memory", " ".repeat(MAX_LINE_BYTES));
    assert_eq!(logged(&[&far]), [""; 0]);
}

#[test]
fn the_last_line_that_shows_it_is_the_evidence() {
    let log = lines(&["CUDA out of memory. Tried 1", "CUDA out of memory. Tried 2"]);
    let told = all(&Ended {
        exit_code: Some(1),
        lines: &log,
        ..Ended::default()
    });
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].evidence.as_deref(),
        Some("CUDA out of memory. Tried 2")
    );
}

#[test]
fn an_exit_status_has_words() {
    let cases = [
        (0, Some("it ended without an error")),
        (
            137,
            Some("killed: out of memory, or stopped by force (SIGKILL)"),
        ),
        (143, Some("asked to end, as by docker stop (SIGTERM)")),
        (127, Some("the command was not found")),
        (128, Some("the engine could not start it")),
        (165, Some("ended by signal 37")),
        (255, Some("the program reported an error (255 is -1)")),
        (3, None),
        (200, None),
        (-9, None),
        (i64::MAX, None),
        (i64::MIN, None),
    ];
    for (code, meaning) in cases {
        assert_eq!(exit_meaning(code).as_deref(), meaning, "{code}");
    }
}

#[test]
fn a_refusal_ends_as_docker_run_does() {
    let cases = [
        (
            r#"exec: "uvicorn": executable file not found in $PATH: unknown"#,
            127,
        ),
        (
            r#"exec: "/x": stat /x: no such file or directory: unknown"#,
            127,
        ),
        // docker's own rule: a path is a path, whatever it was for.
        (
            r#"error gathering device information while adding custom device "/dev/x": no such file or directory"#,
            127,
        ),
        (r#"exec: "/start.sh": permission denied: unknown"#, 126),
        (r#"exec: "/app": is a directory: unknown"#, 126),
        // Both: not found is asked first.
        ("no such file or directory: permission denied", 127),
        (
            r#"could not select device driver "" with capabilities: [[gpu]]"#,
            125,
        ),
        ("Conflict. The container name is already in use", 125),
        ("port is already allocated", 125),
        ("", 125),
    ];
    for (error, code) in cases {
        assert_eq!(refused_exit(error), code, "{error}");
    }
}

/// Text that makes a searcher remember as much as it can: pieces of the patterns, over and over.
fn hostile(piece: &str) -> Vec<String> {
    let line: String = piece.chars().cycle().take(MAX_LINE_BYTES).collect();
    vec![line; MAX_LINES]
}

#[test]
fn hostile_text_takes_bounded_time() {
    for piece in [
        "NCCL WARN Error: NCCL error in: cgroup device nouveau NVRM: Xid (PCI:0: nvidia-persistenced/socket",
        "failed to add device rules: error mounting libcuda.so.1 no such file or directory libnvidia-a",
        "[[ [[ [[ (error ",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "\u{0}\u{7f}\u{1b}é💥",
        "exec: \"exec: \"stat stat : libcudnn_libcudnn_ libcudnn_.so.1.1.1.1: cannot open",
    ] {
        let log = hostile(piece);
        let error = log.concat();
        let start = Instant::now();
        let _ = all(&Ended {
            exit_code: Some(1),
            error: Some(&error),
            lines: &log,
            shm_bytes: Some(1),
            has_gpus: true,
            ..Ended::default()
        });
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{piece:?}: {took:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_breaks_it(
        texts in prop::collection::vec("(?s).{0,200}|(CUDA|NCCL|error|/dev/shm|\\[\\[|\\(error [0-9]+\\)| ){0,40}", 0..30),
        error in prop::option::of("(?s).{0,400}"),
        exit_code in prop::option::of(any::<i64>()),
        oom_killed in prop::option::of(any::<bool>()),
        shm_bytes in prop::option::of(any::<u64>()),
        has_gpus: bool,
    ) {
        let ended = Ended { exit_code, oom_killed, error: error.as_deref(), lines: &texts, shm_bytes, has_gpus };
        let told = all(&ended);
        if let Some(best) = explain(&ended) {
            prop_assert!(told.contains(&best));
        }
        for failure in &told {
            let shown = [Some(&failure.title), Some(&failure.cause), failure.evidence.as_ref()];
            for text in shown.into_iter().flatten() {
                prop_assert!(!text.contains(crate::model::text::is_unsafe), "{text:?}");
            }
        }
    }
}
