//! The forms in which an engine may be asked for GPUs, each refused or dropped by one that does not serve it:
//! what was refused is removed, the next form is tried, and what was created is read back.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use midwatch::engine::transport::{Address, Transport};
use midwatch::engine::{Docker, Engine};
use midwatch::inspect::cache::Cache;
use midwatch::launch::{GpuAsk, LaunchSpec, Surroundings, Which};
use midwatch::launcher::{self, HostNow, LaunchFault, Launched, Start};
use midwatch::model::{
    DriverInfo, DriverStatus, EngineInfo, Gpu, GpuKey, GpuSnapshot, GpuUuid, HostId, Stamp,
};
use serde_json::{Value, json};

use crate::fake_engine::{Backend, FakeEngine, Reply, Request, id_of};

/// What an engine serves.
#[derive(Default)]
struct Serves {
    /// Device requests with the hook.
    hook: bool,
    /// CDI devices by these names; empty: CDI is off.
    cdi: Vec<&'static str>,
    /// The runtime `nvidia`.
    runtime: bool,
    /// Requests for devices vanish without a word, as Podman's.
    drops: bool,
    /// Somebody else's container with the same GPU, made after ours and before ours looks.
    rival: Option<Rival>,
    /// What the hook says at the start.
    hook_error: Option<&'static str>,
}

/// What becomes of it, some looks later.
#[derive(Clone, Copy, PartialEq)]
enum Rival {
    Runs,
    GivesWay,
}

/// Its number, and the list in which it is settled.
const RIVAL: u64 = 50;
const SETTLED: usize = 4;

#[derive(Default)]
struct State {
    lists: usize,
    /// Bodies by number; removed ones are `None`.
    made: Vec<Option<Value>>,
    running: Option<usize>,
}

struct Fussy {
    serves: Serves,
    state: Arc<Mutex<State>>,
}

impl Fussy {
    fn start(&self, body: &Value) -> Result<(), String> {
        let host = &body["HostConfig"];
        let requests = host["DeviceRequests"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for request in requests.iter().filter(|_| !self.serves.drops) {
            if request["Driver"] == "cdi" {
                let names = request["DeviceIDs"].as_array().cloned().unwrap_or_default();
                if self.serves.cdi.is_empty() {
                    return Err(
                        "could not select device driver \"cdi\" with capabilities: []".into(),
                    );
                }
                for name in names {
                    let name = name.as_str().unwrap();
                    if !self.serves.cdi.contains(&name) {
                        return Err(format!(
                            "CDI device injection failed: unresolvable CDI devices {name}"
                        ));
                    }
                }
            } else if !self.serves.hook {
                return Err(
                    "could not select device driver \"\" with capabilities: [[gpu]]".into(),
                );
            } else if let Some(error) = self.serves.hook_error {
                return Err(error.to_owned());
            }
        }
        Ok(())
    }
}

impl Backend for Fussy {
    fn reply(&self, request: &Request) -> Reply {
        let mut state = self.state.lock().unwrap();
        let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let at = |id: &str| (0..64).find(|n| id_of(*n) == id).map(|n| n as usize);
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["containers", "json"]) => {
                state.lists += 1;
                let row = |state: &str| {
                    json!([{"Id": id_of(RIVAL), "Names": ["/rival"], "Image": "x", "ImageID": "sha256:ab",
                            "State": state, "Status": state, "Created": 1_767_225_601}])
                };
                Reply::Json(
                    200,
                    match (self.serves.rival, state.lists) {
                        (Some(_), lists) if lists > 1 && lists < SETTLED => row("created"),
                        (Some(Rival::Runs), SETTLED..) => row("running"),
                        _ => json!([]),
                    },
                )
            }
            ("GET", ["containers", id, "json"]) if *id == id_of(RIVAL) => Reply::Json(
                200,
                json!({"Id": id, "Created": "2026-01-01T00:00:01Z", "Config": {},
                       "HostConfig": {"DeviceRequests": [{"Driver": "", "Count": 0, "DeviceIDs": ["GPU-a"],
                                                          "Capabilities": [["gpu"]]}]},
                       "State": {"Status": "created"}}),
            ),
            ("GET", ["images", ..]) => Reply::Json(
                200,
                json!({"Id": "sha256:ab", "Os": "linux", "Architecture": "amd64", "Config": {}}),
            ),
            ("POST", ["containers", "create"]) => {
                let body = request.json();
                let runtime = body["HostConfig"]["Runtime"].as_str().unwrap_or_default();
                if runtime == "nvidia" && !self.serves.runtime {
                    return Reply::error(400, "unknown or invalid runtime name: nvidia");
                }
                state.made.push(Some(body));
                let id = id_of(state.made.len() as u64 - 1);
                Reply::Json(201, json!({"Id": id, "Warnings": []}))
            }
            ("GET", ["containers", id, "json"]) => {
                match at(id).and_then(|n| state.made.get(n).cloned().flatten()) {
                    Some(body) => {
                        let mut host = body["HostConfig"].clone();
                        if self.serves.drops {
                            host["DeviceRequests"] = Value::Null;
                        }
                        Reply::Json(
                            200,
                            json!({"Id": id, "Created": "2026-01-01T00:00:00Z", "Config": body, "HostConfig": host,
                                   "State": {"Status": "created"}}),
                        )
                    }
                    None => Reply::error(404, "No such container"),
                }
            }
            ("POST", ["containers", id, "start"]) => {
                let Some(n) = at(id) else {
                    return Reply::error(404, "No such container");
                };
                let body = state.made.get(n).cloned().flatten().unwrap_or_default();
                match self.start(&body) {
                    Ok(()) => {
                        state.running = Some(n);
                        Reply::Empty(204)
                    }
                    Err(text) => Reply::error(500, text),
                }
            }
            ("DELETE", ["containers", id]) => {
                if let Some(place) = at(id).and_then(|n| state.made.get_mut(n)) {
                    *place = None;
                }
                Reply::Empty(204)
            }
            _ => Reply::error(404, "page not found"),
        }
    }
}

fn host(name: &str, version: &str, runtimes: &[&str]) -> HostNow {
    let now = Stamp::simulated(Timestamp::UNIX_EPOCH, std::time::Duration::ZERO);
    let key = GpuKey {
        host: HostId(0),
        uuid: GpuUuid::new("GPU-a"),
    };
    let gpu = Gpu::silent(key, Some(0), "NVIDIA H100", "00000000:17:00.0", now);
    HostNow {
        local: true,
        engine: EngineInfo {
            name: name.into(),
            version: version.into(),
            runtimes: runtimes.iter().map(|r| (*r).to_owned()).collect(),
            ..EngineInfo::default()
        },
        gpus: Some(GpuSnapshot {
            driver: DriverStatus::Up(DriverInfo {
                driver_version: Some("550.54.15".into()),
                cuda_driver_version: Some((12, 4)),
                nvml_version: None,
            }),
            gpus: vec![gpu],
            ..GpuSnapshot::starting(now)
        }),
        ..HostNow::default()
    }
}

/// Launches with one free GPU; what came of it, the body that runs, and how many containers are left.
fn launch(serves: Serves, host: &HostNow) -> (Result<Launched, LaunchFault>, Option<Value>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.sock");
    let state = Arc::<Mutex<State>>::default();
    let backend = Fussy {
        serves,
        state: Arc::clone(&state),
    };
    let _fake = FakeEngine::unix(&path, backend).unwrap();
    let engine = Engine::Docker(Docker::new(Transport::new(Address::Unix(path)), HostId(0)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (cache, around) = (Cache::default(), Surroundings::default());
    let spec = LaunchSpec {
        image: "x".into(),
        gpus: Some(GpuAsk::of(Which::Free(1))),
        ..LaunchSpec::default()
    };
    let came = runtime.block_on(async {
        let plan = launcher::plan(&engine, &cache, host, &around, &spec)
            .await
            .unwrap();
        let mut before = |_| std::future::ready(Ok(())).boxed();
        let job = Start {
            engine: &engine,
            cache: &cache,
            host,
            surroundings: &around,
            plan: &plan,
            force: false,
        };
        launcher::start(job, &mut before).await
    });
    let state = state.lock().unwrap();
    let running = state.running.and_then(|n| state.made[n].clone());
    let left = state.made.iter().flatten().count();
    (came, running, left)
}

#[test]
fn the_next_form_is_tried_and_what_was_refused_is_removed() {
    let docker = host("Docker", "28.2.2", &["runc", "nvidia"]);
    let old = host("Docker", "20.10.24", &["runc", "nvidia"]);
    let podman = host("Podman", "5.4.2", &["crun"]);
    let device = json!([{"Driver": "", "Count": 0, "DeviceIDs": ["GPU-a"], "Capabilities": [["gpu"]], "Options": {}}]);
    let cdi = |name: &str| json!([{"Driver": "cdi", "Count": 0, "DeviceIDs": [name], "Capabilities": null, "Options": null}]);
    let cases: [(&str, Serves, &HostNow, Value); 5] = [
        (
            "the hook",
            Serves {
                hook: true,
                ..Serves::default()
            },
            &docker,
            device,
        ),
        (
            "CDI by UUID",
            Serves {
                cdi: vec!["nvidia.com/gpu=GPU-a"],
                ..Serves::default()
            },
            &docker,
            cdi("nvidia.com/gpu=GPU-a"),
        ),
        (
            "CDI by index",
            Serves {
                cdi: vec!["nvidia.com/gpu=0"],
                ..Serves::default()
            },
            &docker,
            cdi("nvidia.com/gpu=0"),
        ),
        (
            "the runtime",
            Serves {
                runtime: true,
                ..Serves::default()
            },
            &old,
            Value::Null,
        ),
        (
            "Podman with CDI",
            Serves {
                cdi: vec!["nvidia.com/gpu=0"],
                ..Serves::default()
            },
            &podman,
            cdi("nvidia.com/gpu=0"),
        ),
    ];
    for (name, serves, host, requests) in cases {
        let (came, running, left) = launch(serves, host);
        let launched = came.unwrap_or_else(|fault| panic!("{name}: {}", fault.problem));
        assert_eq!(launched.gpus.len(), 1, "{name}");
        let body = running.unwrap_or_else(|| panic!("{name}: nothing runs"));
        if requests.is_null() {
            assert_eq!(body["HostConfig"]["Runtime"], "nvidia", "{name}");
            let env = body["Env"].as_array().unwrap();
            assert!(
                env.contains(&json!("NVIDIA_VISIBLE_DEVICES=GPU-a")),
                "{name}: {env:?}"
            );
        } else {
            assert_eq!(body["HostConfig"]["DeviceRequests"], requests, "{name}");
        }
        assert_eq!(left, 1, "{name}: what was refused is removed");
    }
}

#[test]
fn where_no_form_is_served_the_remedy_is_told_and_nothing_is_left() {
    let docker = host("Docker", "28.2.2", &["runc"]);
    let podman = host("Podman", "4.3.1", &["runc"]);
    for (serves, host, words) in [
        (Serves::default(), &docker, "nvidia-container-toolkit"),
        (
            Serves {
                drops: true,
                ..Serves::default()
            },
            &podman,
            "dropped the request for GPUs",
        ),
        // Another reason than the form: it is told, and no other form is tried.
        (
            Serves {
                hook: true,
                cdi: vec!["nvidia.com/gpu=0"],
                hook_error: Some(
                    "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver",
                ),
                ..Serves::default()
            },
            &docker,
            "cuda>=12.8",
        ),
    ] {
        let (came, running, left) = launch(serves, host);
        let fault = came.unwrap_err();
        let text = fault.problem.to_string();
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(fault.exit, 125, "{text}");
        assert_eq!((running, left), (None, 0), "{text}");
    }
}

#[test]
fn one_that_was_made_later_and_looked_too_early_is_waited_for() {
    let docker = host("Docker", "28.2.2", &["runc"]);
    let with = |rival| {
        launch(
            Serves {
                hook: true,
                rival: Some(rival),
                ..Serves::default()
            },
            &docker,
        )
    };
    let (came, running, left) = with(Rival::GivesWay);
    assert!(came.is_ok() && running.is_some() && left == 1);
    let (came, running, left) = with(Rival::Runs);
    let text = came.unwrap_err().problem.to_string();
    assert!(text.contains("given to rival by name"), "{text}");
    assert_eq!((running, left), (None, 0), "{text}");
}
