//! Engine and driver going away under the dashboard, and coming back.

use std::time::{Duration, Instant};

use crate::engine_rig::{OwnEngine, docker, socket};
use crate::nvml::FakeNvml;
use crate::proof_rows::row;
use crate::pty::Terminal;

const NO_ENGINE: &str = "unix:///nonexistent/midwatch.sock";

fn start(arguments: &[&str], dir: &tempfile::TempDir) -> Terminal {
    let home = dir.path().to_str().unwrap();
    let environment = [
        ("HOME", home),
        ("XDG_CONFIG_HOME", home),
        ("XDG_DATA_HOME", home),
    ];
    Terminal::midwatch(arguments, &environment, 160, 45)
}

/// The strip's line of a GPU.
fn strip(screen: &vt100::Screen, index: usize) -> String {
    let label = format!("GPU {index} ");
    let text = screen.contents();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(&label));
    line.unwrap_or_default().to_owned()
}

#[test]
fn an_engine_killed_and_started_again_leaves_the_rows_with_their_age() {
    // An engine of its own needs what the shared one needs.
    if socket().is_none() {
        return;
    }
    let own = OwnEngine::up("proof-life");
    let path = own.socket().to_str().unwrap().to_owned();
    let image = "midwatch-test:busybox";
    for (verb, name) in [("create", "proof-made"), ("run", "proof-runs")] {
        let mut arguments = vec![verb, "--name", name, "--network", "none"];
        if verb == "run" {
            arguments.push("-d");
        }
        arguments.extend([image, "sleep", "1000"]);
        docker(&path, &arguments);
    }
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{path}");
    let mut terminal = start(
        &["-H", &endpoint, "--nvml", "/nonexistent/libnvidia-ml.so.1"],
        &dir,
    );
    terminal.wait("both rows", |s| {
        row(s, "proof-made").is_some_and(|r| r.contains("created"))
            && row(s, "proof-runs").is_some_and(|r| r.contains(" up "))
    });

    own.kill();
    let took = terminal.wait("the loss", |s| {
        let text = s.contents();
        text.contains("engine down since") && text.contains("as of ")
    });
    println!("dockerd's death is on the screen after {took:?}");
    let both = |s: &vt100::Screen| row(s, "proof-made").is_some() && row(s, "proof-runs").is_some();
    // The words may be there before the frame that holds them is whole.
    terminal.wait("the rows, still there", both);
    let age = |s: &vt100::Screen| -> Option<u64> {
        let text = s.contents();
        let rest = text.split("as of ").nth(1)?;
        rest.split("s ago").next()?.parse().ok()
    };
    for least in [2, 3] {
        terminal.wait("its age grows beside the rows", |s| {
            age(s).is_some_and(|now| now >= least) && both(s)
        });
    }

    own.again();
    let began = Instant::now();
    terminal.wait("the recovery", |s| {
        let text = s.contents();
        !text.contains("engine down") && !text.contains("as of ") && both(s)
    });
    println!("recovered {:?} after it answered again", began.elapsed());
    // Events flow again, to the same process.
    docker(&path, &["rm", "-f", "proof-made"]);
    let took = terminal.wait("a removal", |s| row(s, "proof-made").is_none());
    println!("a removal afterwards is on the screen {took:?} after the client returned");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn a_lost_gpu_is_told_and_comes_back_without_a_restart() {
    let mut scenario = fake_nvml::Scenario::h100(3);
    let library = FakeNvml::new(&scenario);
    let nvml = library.path.to_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = start(&["-H", NO_ENGINE, "--nvml", &nvml], &dir);
    terminal.wait("three GPUs", |s| {
        (0..3).all(|i| strip(s, i).contains("H100") && strip(s, i).contains('W'))
    });

    scenario.gpus[1].lost = true;
    library.play(&scenario);
    let took = terminal.wait("the loss", |s| strip(s, 1).contains("lost"));
    println!(
        "a lost GPU is on the screen after {took:?}: {}",
        terminal.with_screen(|s| strip(s, 1))
    );
    scenario.gpus[0].gpu_percent = Some(37);
    library.play(&scenario);
    let took = terminal.wait("the others", |s| {
        strip(s, 0).contains("37%") && strip(s, 1).contains("lost")
    });
    println!("the others go on: {took:?}");

    scenario.gpus[1].lost = false;
    scenario.gpus[1].gpu_percent = Some(58);
    library.play(&scenario);
    let took = terminal.wait("its return", |s| strip(s, 1).contains("58%"));
    println!("back on the screen after {took:?}");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn a_driver_call_of_45_seconds_holds_up_its_gpu_alone_and_not_the_end() {
    let mut scenario = fake_nvml::Scenario::h100(3);
    let library = FakeNvml::new(&scenario);
    let nvml = library.path.to_str().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = start(&["-H", NO_ENGINE, "--nvml", &nvml], &dir);
    terminal.wait("three GPUs", |s| {
        (0..3).all(|i| strip(s, i).contains("H100") && strip(s, i).contains('W'))
    });

    let hang = ("nvmlDeviceGetTemperature".to_owned(), 45_000);
    scenario.gpus[1].delay_ms.extend([hang]);
    library.play(&scenario);
    let took = terminal.wait("stuck", |s| strip(s, 1).contains("stuck"));
    println!(
        "told as stuck after {took:?}: {}",
        terminal.with_screen(|s| strip(s, 1))
    );
    let age = |s: &vt100::Screen| -> Option<u64> {
        let line = strip(s, 1);
        let rest = line.split("stuck ").nth(1)?;
        rest.split('s').next()?.parse().ok()
    };
    let first = terminal.with_screen(age).expect("an age in seconds");
    scenario.gpus[0].gpu_percent = Some(37);
    scenario.gpus[2].gpu_percent = Some(73);
    library.play(&scenario);
    let took = terminal.wait("the others", |s| {
        strip(s, 0).contains("37%") && strip(s, 2).contains("73%")
    });
    println!("the others go on: {took:?}");
    terminal.wait("its age grows", |s| age(s).is_some_and(|now| now > first));
    // A key is answered meanwhile.
    terminal.keys("2");
    let took = terminal.wait("the GPUs page", |s| s.contents().contains("Xid events"));
    println!("a key meanwhile: {took:?}");

    let began = Instant::now();
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
    println!(
        "left {:?} after the key, with the call still hanging",
        began.elapsed()
    );
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}
