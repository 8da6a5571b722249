//! Many containers on a real engine, eight GPUs with those containers' real processes: every row right, and
//! what happens outside on the screen.

use std::time::{Duration, Instant};

use fake_nvml::{Process, Scenario};
use jiff::Timestamp;
use serde_json::Value;

use crate::cli_commands::midwatch;
use crate::docker::{Docker, IMAGE};
use crate::nvml::FakeNvml;
use crate::pty::Terminal;

const GPUS: usize = 8;
const GIB: u64 = 1 << 30;

/// The list's row of a container.
pub fn row(screen: &vt100::Screen, name: &str) -> Option<String> {
    let text = screen.contents();
    let found = text
        .lines()
        .find(|line| line.starts_with('│') && line.split_whitespace().any(|word| word == name));
    found.map(str::to_owned)
}

struct Box8 {
    docker: Docker,
    library: FakeNvml,
    scenario: Scenario,
    pids: Vec<u32>,
    ids: Vec<String>,
}

fn short(index: usize) -> String {
    format!("c{index:02}")
}

/// The first eight are given a GPU each and use it; the ninth is given two and uses none, the tenth is given
/// all, the eleventh is given none and uses the last one with the eighth.
fn options(index: usize) -> Vec<String> {
    let gpus = match index {
        0..GPUS => format!("device={index}"),
        8 => "\"device=0,1\"".to_owned(),
        9 => "all".to_owned(),
        _ => return Vec::new(),
    };
    vec!["--gpus".to_owned(), gpus]
}

impl Box8 {
    fn start(docker: Docker, count: usize) -> Self {
        let began = Instant::now();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let made = std::sync::Mutex::new(vec![(String::new(), 0); count]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if index >= count {
                            return;
                        }
                        let short = short(index);
                        let options = options(index);
                        let options: Vec<&str> = options.iter().map(String::as_str).collect();
                        let id = docker.run(&short, &options, "exec sleep 100000");
                        let pid = docker.inspect(&short, "{{.State.Pid}}").parse().unwrap();
                        made.lock().unwrap()[index] = (id, pid);
                    }
                });
            }
        });
        let (ids, pids) = made.into_inner().unwrap().into_iter().unzip();
        println!("{count} containers run after {:?}", began.elapsed());
        let mut it = Self {
            docker,
            library: FakeNvml::new(&Scenario::h100(GPUS)),
            scenario: Scenario::h100(GPUS),
            pids,
            ids,
        };
        it.occupy();
        it
    }

    /// GPU i is held by container i; GPU 7 by the eleventh container, too; GPU 6 by this test as well; on
    /// GPU 5 three GiB belong to nobody.
    fn occupy(&mut self) {
        for (index, gpu) in self.scenario.gpus.iter_mut().enumerate() {
            gpu.processes = vec![process(
                self.pids[index],
                index as u64 + 1,
                10 + index as u32,
            )];
            if index == 7 {
                gpu.processes.push(process(self.pids[10], 2, 5));
            }
            if index == 6 {
                gpu.processes.push(process(std::process::id(), 1, 1));
            }
            let held: u64 = gpu.processes.iter().filter_map(|p| p.memory).sum();
            gpu.memory_used = held + if index == 5 { 3 * GIB } else { 0 };
        }
        self.library.play(&self.scenario);
    }

    fn ask(&self, arguments: &[&str]) -> Value {
        let (endpoint, nvml) = (self.docker.endpoint(), self.library.path.to_str().unwrap());
        let mut all = vec!["-H", endpoint.as_str(), "--nvml", nvml];
        all.extend(arguments);
        let output = midwatch(&all).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{err}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn uuid(&self, index: usize) -> &str {
        &self.scenario.gpus[index].uuid
    }

    /// The GPUs that a container is given.
    fn given(&self, index: usize) -> Value {
        let indexes: Vec<usize> = match index {
            0..GPUS => vec![index],
            8 => vec![0, 1],
            9 => (0..GPUS).collect(),
            _ => Vec::new(),
        };
        let one = |i: &usize| serde_json::json!({"uuid": self.uuid(*i), "index": i});
        indexes.iter().map(one).collect()
    }
}

fn process(pid: u32, gib: u64, sm: u32) -> Process {
    Process {
        pid,
        memory: Some(gib * GIB),
        sm: Some(sm),
        ..Process::default()
    }
}

/// A process's command line as the kernel has it.
fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.trim_end_matches('\0').replace('\0', " ")
}

fn count() -> usize {
    let wanted = std::env::var("MIDWATCH_TEST_CONTAINERS").ok();
    wanted.map_or(12, |n| n.parse::<usize>().unwrap().max(12))
}

#[test]
fn every_row_of_many_containers_and_eight_gpus_is_right() {
    let Some(docker) = Docker::for_test("proof-rows") else {
        return;
    };
    let it = Box8::start(docker, count());
    let began = Instant::now();
    let ps = it.ask(&["ps", "--json"]);
    println!("ps --json: {:?}", began.elapsed());
    let rows = ps["containers"].as_array().unwrap();
    for (index, id) in it.ids.iter().enumerate() {
        let row = rows.iter().find(|row| row["id"] == id.as_str());
        let row = row.unwrap_or_else(|| panic!("{id} is missing"));
        assert_eq!(row["name"], it.docker.name(&short(index)).as_str());
        assert_eq!(
            (&row["state"], &row["image"]),
            (&"running".into(), &IMAGE.into())
        );
        assert_eq!(row["pids"], 1, "{row:#}");
        assert!(
            row["memory_used_bytes"]
                .as_u64()
                .is_some_and(|b| b < 64 << 20),
            "{row:#}"
        );
        assert!(
            row["cpu_percent"].as_f64().is_some_and(|cpu| cpu < 50.0),
            "{row:#}"
        );
        assert_eq!(row["gpus"]["given"], it.given(index), "{row:#}");
        let given_as = &row["gpus"]["given_as"];
        match index {
            0..GPUS => assert_eq!(*given_as, format!("device={index}").as_str()),
            8 | 9 => assert!(given_as.is_string(), "{row:#}"),
            _ => assert_eq!(*given_as, Value::Null),
        }
        let used = row["gpus"]["used"].as_array().unwrap();
        let gpu = match index {
            0..GPUS => Some((index, index as u64 + 1, 10 + index as u32)),
            10 => Some((7, 2, 5)),
            _ => None,
        };
        let Some((gpu, gib, sm)) = gpu else {
            assert!(used.is_empty(), "{row:#}");
            continue;
        };
        assert_eq!(used.len(), 1, "{row:#}");
        assert_eq!(used[0]["uuid"], it.uuid(gpu));
        assert_eq!(used[0]["index"], gpu);
        assert_eq!(used[0]["memory_used_bytes"], gib * GIB);
        assert_eq!(used[0]["sm_percent"], sm);
        let pid = it.pids[index];
        assert_eq!(
            used[0]["processes"],
            serde_json::json!([{
                "pid": pid, "user": "root", "command": command_line(pid), "memory_used_bytes": gib * GIB,
            }])
        );
    }

    let document = it.ask(&["gpus", "--json"]);
    let gpus = document["gpus"].as_array().unwrap();
    assert_eq!(gpus.len(), GPUS);
    for (index, gpu) in gpus.iter().enumerate() {
        let scenario = &it.scenario.gpus[index];
        assert_eq!(gpu["index"], index);
        assert_eq!(gpu["uuid"], scenario.uuid.as_str());
        assert_eq!(gpu["state"], "ok");
        assert_eq!(gpu["memory_used_bytes"], scenario.memory_used);
        assert_eq!(gpu["gpu_percent"], scenario.gpu_percent.unwrap());
        assert_eq!(
            gpu["unattributed_bytes"],
            if index == 5 { 3 * GIB } else { 0 },
            "{gpu:#}"
        );
        let processes = gpu["processes"].as_array().unwrap();
        assert_eq!(processes.len(), scenario.processes.len(), "{gpu:#}");
        for wanted in &scenario.processes {
            let told = processes.iter().find(|p| p["pid"] == wanted.pid);
            let told = told.unwrap_or_else(|| panic!("{} in {gpu:#}", wanted.pid));
            assert_eq!(told["memory_used_bytes"], wanted.memory.unwrap());
            assert_eq!(told["sm_percent"], wanted.sm.unwrap());
            assert_eq!(told["command"], command_line(wanted.pid).as_str());
            match it.pids.iter().position(|pid| *pid == wanted.pid) {
                Some(container) => {
                    assert_eq!(
                        (&told["owner"], &told["user"]),
                        (&"container".into(), &"root".into())
                    );
                    let name = it.docker.name(&short(container));
                    assert_eq!(
                        told["container"],
                        serde_json::json!({"id": it.ids[container], "name": name})
                    );
                }
                None => assert_eq!(
                    (&told["owner"], &told["container"]),
                    (&"host".into(), &Value::Null)
                ),
            }
        }
    }
}

/// The engine's own time of the newest such event of a container.
fn event_time(docker: &Docker, name: &str, action: &str, since: Timestamp) -> Timestamp {
    let time = |t: Timestamp| format!("{}.{:09}", t.as_second(), t.subsec_nanosecond());
    let (since, until) = (time(since), time(Timestamp::now()));
    let events = docker.docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &format!("container={name}"),
        "--format",
        "{{.TimeNano}} {{.Action}}",
    ]);
    let newest = events.lines().rev().find_map(|line| {
        let (nanos, told) = line.split_once(' ')?;
        (told == action).then(|| nanos.parse::<i128>().unwrap())
    });
    let newest = newest.unwrap_or_else(|| panic!("no {action} of {name} in {events:?}"));
    Timestamp::from_nanosecond(newest).unwrap()
}

/// Does something from outside while the screen is watched; how long after the engine's event it was on it.
fn watched(
    terminal: &Terminal,
    docker: &Docker,
    short: &str,
    (what, action): (&str, &str),
    arguments: &[&str],
    wanted: impl Fn(Option<String>) -> bool,
) -> f64 {
    let name = docker.name(short);
    let since = Timestamp::now();
    let mut all = arguments.to_vec();
    all.push(&name);
    let seen = std::thread::scope(|scope| {
        let client = scope.spawn(|| docker.docker(&all));
        terminal.wait(what, |screen| wanted(row(screen, &name)));
        let seen = Timestamp::now();
        client.join().unwrap();
        seen
    });
    let happened = event_time(docker, &name, action, since);
    let latency = seen.duration_since(happened).as_secs_f64() * 1e3;
    println!("{what}: on the screen {latency:.0} ms after the engine's event (target 250 ms)");
    latency
}

#[test]
fn what_happens_outside_is_on_the_screen() {
    let Some(docker) = Docker::for_test("proof-seen") else {
        return;
    };
    let mut it = Box8::start(docker, count());
    it.docker.create("late", &[], "exec sleep 100000");
    it.docker.run(
        "oom",
        &["--memory=32m", "--memory-swap=32m"],
        "trap 'exec tail /dev/zero' USR1; while :; do sleep 0.1; done",
    );
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let (endpoint, nvml) = (
        it.docker.endpoint(),
        it.library.path.to_str().unwrap().to_owned(),
    );
    let lines = 60 + 2 * u16::try_from(it.ids.len()).unwrap();
    let began = Instant::now();
    let mut terminal = Terminal::midwatch(
        &["-H", &endpoint, "--nvml", &nvml],
        &[
            ("HOME", home),
            ("XDG_CONFIG_HOME", home),
            ("XDG_DATA_HOME", home),
        ],
        200,
        lines,
    );
    let took = terminal.wait_for(&it.docker.name("c00"));
    println!("the list is on the screen after {took:?}");
    terminal.keys(&format!("/{}\r", it.docker.name("")));
    let name = |index: usize| it.docker.name(&short(index));
    let shows = |screen: &vt100::Screen, index: usize, gpus: &str| {
        row(screen, &name(index)).is_some_and(|row| {
            row.contains(" up ") && row.split_whitespace().any(|word| word == gpus)
        })
    };
    terminal.wait("every row", |screen| {
        (0..it.ids.len()).all(|index| match index {
            0..GPUS => shows(screen, index, &format!("{index}→{index}")),
            8 => shows(screen, index, "0,1→—"),
            9 => row(screen, &name(9)).is_some_and(|row| row.contains("→—")),
            10 => row(screen, &name(10)).is_some_and(|row| row.contains("→7")),
            _ => shows(screen, index, "—"),
        })
    });
    println!("every row right after {:?}", began.elapsed());
    terminal.wait("the one that was made and not started", |screen| {
        row(screen, &it.docker.name("late")).is_some_and(|row| row.contains("created"))
    });

    let seen =
        |what, action, short: &str, arguments: &[&str], wanted: &dyn Fn(Option<String>) -> bool| {
            watched(
                &terminal,
                &it.docker,
                short,
                (what, action),
                arguments,
                wanted,
            )
        };
    let says =
        |word: &'static str| move |row: Option<String>| row.is_some_and(|r| r.contains(word));
    let latencies = [
        seen("started", "start", "late", &["start"], &says(" up ")),
        seen(
            "stopped",
            "die",
            "c08",
            &["stop", "-t", "0"],
            &says("exited 137"),
        ),
        seen(
            "out of memory",
            "die",
            "oom",
            &["kill", "-s", "USR1"],
            &says("exited 137 OOM"),
        ),
        seen("removed", "destroy", "c09", &["rm", "-f"], &|row| {
            row.is_none()
        }),
        seen("paused", "pause", "c11", &["pause"], &says("paused")),
        seen("went on", "unpause", "c11", &["unpause"], &|row| {
            row.is_some_and(|r| r.contains(" up ") && !r.contains("paused"))
        }),
    ];
    let worst = latencies.iter().fold(0.0f64, |a, b| a.max(*b));
    println!("slowest: {worst:.0} ms");
    assert!(worst < 5_000.0, "{latencies:?}");

    // The process on GPU 3 is another container's now.
    let moved = it.pids[4];
    it.scenario.gpus[3].processes[0].pid = moved;
    it.library.play(&it.scenario);
    let took = terminal.wait("the move", |screen| {
        shows(screen, 3, "3→—") && shows(screen, 4, "4→3,4")
    });
    println!("a GPU process moved to another container: on the screen after {took:?} (target 2 s)");
    assert!(took < Duration::from_secs(10), "{took:?}");
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
}
