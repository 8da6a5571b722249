//! A backend with containers of its own: as many as wanted, with logs that flood or never end a line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{Action, Backend, Reply, Request, Route, Step, frame, route};

/// What a container's log has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogKind {
    /// These lines, on stdout, and no more.
    #[default]
    Quiet,
    /// Given lines.
    Lines(Vec<String>),
    /// Lines of so many bytes (line end included) at so many a second.
    Flood {
        /// Lines a second.
        per_second: u64,
        /// Bytes of each.
        bytes: usize,
    },
    /// One line of so many bytes that never ends, in pieces of 16 KiB as an engine gives them.
    Endless(u64),
}

/// A container of the script.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Boxed {
    /// 64 hex digits.
    pub id: String,
    /// Without slash.
    pub name: String,
    /// As asked for.
    pub image: String,
    /// `running`, `exited`…
    pub state: String,
    /// Exit code of the last run.
    pub exit_code: i64,
    /// Main process.
    pub pid: u32,
    /// Whether it has a pseudo-terminal.
    pub tty: bool,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `HostConfig.DeviceRequests`.
    pub device_requests: Value,
    /// Its log.
    pub log: LogKind,
}

/// The id of the container with this number.
pub fn id_of(number: u64) -> String {
    format!(
        "{:016x}",
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed
    )
    .repeat(4)
}

#[derive(Debug, Default)]
struct State {
    containers: Vec<Boxed>,
    events: Vec<Value>,
}

/// The backend; clones share its state.
#[derive(Debug, Clone, Default)]
pub struct Script {
    state: Arc<Mutex<State>>,
}

fn now() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Seconds to RFC 3339 with nanoseconds (civil-from-days after Howard Hinnant's date algorithms).
fn rfc3339(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let days = (seconds / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let doe = days.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (
        doy - (153 * mp + 2) / 5 + 1,
        if mp < 10 { mp + 3 } else { mp - 9 },
    );
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        time.subsec_nanos()
    )
}

impl Script {
    /// A script with `count` running containers named `c0`, `c1`…
    pub fn with_containers(count: u64) -> Self {
        let script = Self::default();
        script.lock().containers = (0..count)
            .map(|k| Boxed {
                id: id_of(k),
                name: format!("c{k}"),
                image: "midwatch-test:busybox".into(),
                state: "running".into(),
                pid: 100_000 + k as u32,
                ..Boxed::default()
            })
            .collect();
        script
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a container and tells of it (`create`, and `start` if it runs).
    pub fn add(&self, boxed: Boxed) {
        let running = boxed.state == "running";
        let id = boxed.id.clone();
        self.lock().containers.push(boxed);
        self.tell(&id, "create", &[]);
        if running {
            self.tell(&id, "start", &[]);
        }
    }

    /// Changes a container, silently.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Boxed)) {
        if let Some(boxed) = self.lock().containers.iter_mut().find(|c| c.id == id) {
            change(boxed);
        }
    }

    /// Sends an event of a container, whatever its state.
    pub fn tell(&self, id: &str, action: &str, attributes: &[(&str, &str)]) {
        let mut state = self.lock();
        let known = state.containers.iter().find(|c| c.id == id);
        let (name, image) = known.map_or(("", ""), |c| (c.name.as_str(), c.image.as_str()));
        let mut all = json!({"image": image, "name": name});
        for (key, value) in attributes {
            all[*key] = json!(value);
        }
        let time = now();
        let event = json!({
            "status": action, "id": id, "from": image, "Type": "container", "Action": action,
            "Actor": {"ID": id, "Attributes": all}, "scope": "local", "time": time.as_secs(),
            "timeNano": time.as_nanos() as u64,
        });
        state.events.push(event);
    }

    fn find(&self, name: &str) -> Option<Boxed> {
        let state = self.lock();
        let hit = |c: &&Boxed| c.id == name || c.name == name;
        state.containers.iter().find(hit).cloned()
    }

    fn list(&self, all: bool) -> Value {
        let state = self.lock();
        state
            .containers
            .iter()
            .filter(|c| all || c.state == "running")
            .map(|c| {
                json!({
                    "Id": c.id, "Names": [format!("/{}", c.name)], "Image": c.image,
                    "ImageID": format!("sha256:{}", id_of(1 << 40)), "Command": "sleep 1d", "Created": 1_795_450_963,
                    "Ports": [], "Labels": {}, "State": c.state, "Status": status(c),
                    "HostConfig": {"NetworkMode": "none"},
                    "NetworkSettings": {"Networks": {}}, "Mounts": [],
                })
            })
            .collect()
    }

    fn act(&self, name: &str, action: &Action) -> Reply {
        let Some(found) = self.find(name) else {
            return Reply::error(404, format!("No such container: {name}"));
        };
        let id = found.id.as_str();
        let running = found.state == "running";
        let end = |code: i64| {
            self.change(id, |c| {
                (c.state, c.exit_code) = ("exited".into(), code);
            });
            self.tell(id, "die", &[("exitCode", &code.to_string())]);
        };
        match action {
            Action::Start | Action::Stop(_) if running == (*action == Action::Start) => {
                return Reply::Empty(304);
            }
            Action::Start => {
                self.change(id, |c| c.state = "running".into());
                self.tell(id, "start", &[]);
            }
            Action::Stop(_) => {
                self.tell(id, "kill", &[("signal", "15")]);
                end(143);
                self.tell(id, "stop", &[]);
            }
            Action::Restart(_) => {
                end(143);
                self.change(id, |c| c.state = "running".into());
                self.tell(id, "start", &[]);
                self.tell(id, "restart", &[]);
            }
            Action::Pause | Action::Unpause => {
                let (state, word) = match action {
                    Action::Pause => ("paused", "pause"),
                    _ => ("running", "unpause"),
                };
                self.change(id, |c| c.state = state.into());
                self.tell(id, word, &[]);
            }
            Action::Kill(signal) => {
                if !running {
                    return Reply::error(409, format!("container {id} is not running"));
                }
                self.tell(id, "kill", &[("signal", signal)]);
                end(137);
            }
            Action::Remove(force) => {
                if running && !force {
                    return Reply::error(
                        409,
                        format!(
                            "cannot remove container \"{}\": container is running",
                            found.name
                        ),
                    );
                }
                self.tell(id, "destroy", &[]);
                self.lock().containers.retain(|c| c.id != id);
            }
            Action::Rename(to) => {
                self.change(id, |c| c.name.clone_from(to));
                self.tell(id, "rename", &[("oldName", &format!("/{}", found.name))]);
            }
        }
        Reply::Empty(204)
    }

    fn events(&self) -> Reply {
        let script = self.clone();
        let mut next = self.lock().events.len();
        Reply::Stream(Box::new(move |_: &[u8], _: bool| {
            let state = script.lock();
            let Some(fresh) = state.events.get(next..).filter(|e| !e.is_empty()) else {
                return Step::Idle;
            };
            next += fresh.len();
            let text: String = fresh.iter().map(|event| format!("{event}\n")).collect();
            Step::Data(text.into_bytes())
        }))
    }
}

fn status(boxed: &Boxed) -> String {
    match boxed.state.as_str() {
        "running" => "Up 2 hours".into(),
        "paused" => "Up 2 hours (Paused)".into(),
        "created" => "Created".into(),
        _ => format!("Exited ({}) 2 minutes ago", boxed.exit_code),
    }
}

fn inspect(c: &Boxed) -> Value {
    let running = c.state == "running" || c.state == "paused";
    json!({
        "Id": c.id, "Created": "2026-11-23T00:00:00.000000000Z", "Path": "sleep", "Args": ["1d"],
        "State": {"Status": c.state, "Running": running, "Paused": c.state == "paused", "Restarting": false,
                  "OOMKilled": false, "Dead": false, "Pid": if running { c.pid } else { 0 },
                  "ExitCode": c.exit_code, "Error": "", "StartedAt": "2026-11-23T00:00:01.000000000Z",
                  "FinishedAt": "0001-01-01T00:00:00Z"},
        "Image": format!("sha256:{}", id_of(1 << 40)), "Name": format!("/{}", c.name), "RestartCount": 0,
        "Mounts": [],
        "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "json-file", "Config": {}},
                       "DeviceRequests": c.device_requests, "ShmSize": 67_108_864, "Memory": 0,
                       "Runtime": "runc", "Privileged": false, "Devices": []},
        "Config": {"Tty": c.tty, "Env": c.env, "Cmd": ["sleep", "1d"], "Image": c.image, "Labels": {}},
        "NetworkSettings": {"Ports": {}, "Networks": {}},
    })
}

fn stats(c: &Boxed) -> Value {
    let time = now();
    json!({
        "read": rfc3339(time), "preread": "0001-01-01T00:00:00Z", "id": c.id, "name": format!("/{}", c.name),
        "pids_stats": {"current": 3}, "num_procs": 0, "storage_stats": {},
        "blkio_stats": {"io_service_bytes_recursive": []},
        "cpu_stats": {"cpu_usage": {"total_usage": time.as_nanos() as u64 / 10},
                      "system_cpu_usage": time.as_nanos() as u64 * 4, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 0}},
        "memory_stats": {"usage": 9_437_184, "limit": 8_589_934_592u64, "stats": {"inactive_file": 1_048_576}},
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 2000}},
    })
}

fn logs(c: &Boxed, follow: bool, timestamps: bool) -> Reply {
    let tty = c.tty;
    let stamp = move || {
        if timestamps {
            format!("{} ", rfc3339(now()))
        } else {
            String::new()
        }
    };
    let wrap = move |text: &str| {
        if tty {
            text.as_bytes().to_vec()
        } else {
            frame(1, text.as_bytes())
        }
    };
    let began = Instant::now();
    match c.log.clone() {
        LogKind::Quiet | LogKind::Lines(_) => {
            let lines = match &c.log {
                LogKind::Lines(lines) => lines.clone(),
                _ => Vec::new(),
            };
            let mut first = true;
            Reply::Stream(Box::new(move |_: &[u8], _: bool| {
                if std::mem::take(&mut first) && !lines.is_empty() {
                    // What was printed was printed: its times are the same whoever asks when.
                    let bytes = lines.iter().enumerate().flat_map(|(n, l)| {
                        let time = std::time::Duration::from_millis(1_700_000_000_000 + n as u64);
                        let stamp = match timestamps {
                            true => format!("{} ", rfc3339(time)),
                            false => String::new(),
                        };
                        wrap(&format!("{stamp}{l}\n"))
                    });
                    return Step::Data(bytes.collect());
                }
                if follow { Step::Idle } else { Step::End }
            }))
        }
        LogKind::Flood { per_second, bytes } => {
            let mut sent = 0u64;
            let filler = "x".repeat(bytes.saturating_sub(12));
            Reply::Stream(Box::new(move |_: &[u8], _: bool| {
                let due =
                    (began.elapsed().as_micros() as u64).saturating_mul(per_second) / 1_000_000;
                let count = due.saturating_sub(sent).min(4_000);
                if count == 0 {
                    return Step::Idle;
                }
                let mut block = Vec::with_capacity(count as usize * (bytes + 48));
                let stamp = stamp();
                for k in sent..sent + count {
                    block.extend(wrap(&format!("{stamp}{k:010} {filler}\n")));
                }
                sent += count;
                Step::Data(block)
            }))
        }
        LogKind::Endless(total) => {
            let mut left = total;
            let mut first = true;
            Reply::Stream(Box::new(move |_: &[u8], _: bool| {
                let size = left.min(16 * 1024);
                if size == 0 {
                    return if follow { Step::Idle } else { Step::End };
                }
                left -= size;
                // An engine puts the time before each partial message.
                let mut piece = if std::mem::take(&mut first) || timestamps {
                    stamp()
                } else {
                    String::new()
                };
                piece.push_str(&"y".repeat(size as usize));
                Step::Data(wrap(&piece))
            }))
        }
    }
}

/// A file system: a megabyte of zeros, which is a tar without an entry.
fn export() -> Reply {
    let mut left = 16;
    Reply::Stream(Box::new(move |_: &[u8], _: bool| {
        if left == 0 {
            return Step::End;
        }
        left -= 1;
        Step::Data(vec![0; 64 * 1024])
    }))
}

impl Backend for Script {
    fn reply(&self, request: &Request) -> Reply {
        let one = |name: &str, answer: &dyn Fn(&Boxed) -> Reply| match self.find(name) {
            Some(found) => answer(&found),
            None => Reply::error(404, format!("No such container: {name}")),
        };
        match route(request) {
            Route::Ping => Reply::Text(200, "OK".into()),
            Route::Version => Reply::Json(
                200,
                json!({"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24", "Os": "linux",
                       "Arch": "amd64", "Components": [{"Name": "Engine", "Version": "28.2.2"}],
                       "Platform": {"Name": "Docker Engine - Community"}}),
            ),
            Route::Info => Reply::Json(
                200,
                json!({"Name": "fake-engine", "ServerVersion": "28.2.2", "NCPU": 4, "MemTotal": 8_589_934_592u64,
                       "CgroupDriver": "cgroupfs", "CgroupVersion": "2", "OSType": "linux", "Architecture": "x86_64",
                       "Containers": self.lock().containers.len(), "Images": 1}),
            ),
            Route::Events => self.events(),
            Route::List => Reply::Json(200, self.list(request.flag("all"))),
            Route::Inspect(name) => one(&name, &|c| Reply::Json(200, inspect(c))),
            Route::Stats(name) => one(&name, &|c| Reply::Json(200, stats(c))),
            Route::Logs(name) => one(&name, &|c| {
                logs(c, request.flag("follow"), request.flag("timestamps"))
            }),
            Route::Export(name) => one(&name, &|_| export()),
            Route::Attach(name) => one(&name, &|c| match logs(c, true, false) {
                Reply::Stream(source) => Reply::Upgrade(source),
                other => other,
            }),
            Route::Images => Reply::Json(
                200,
                json!([{"Id": format!("sha256:{}", id_of(1 << 40)), "RepoTags": ["midwatch-test:busybox"],
                        "RepoDigests": [], "ParentId": "", "Created": 1_795_000_000, "Size": 1_982_373,
                        "SharedSize": -1, "Containers": -1, "Labels": null}]),
            ),
            Route::InspectImage(name) => Reply::error(404, format!("No such image: {name}")),
            Route::Act(name, action) => self.act(&name, &action),
            Route::ExecCreate(_)
            | Route::ExecStart(_)
            | Route::ExecResize(_)
            | Route::ExecInspect(_)
            | Route::Unknown => Reply::error(404, "page not found"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_engines_do() {
        let time = std::time::Duration::new(1_795_450_963, 5);
        assert_eq!(rfc3339(time), "2026-11-23T16:22:43.000000005Z");
        let leap = std::time::Duration::from_secs(1_709_164_800);
        assert_eq!(rfc3339(leap), "2024-02-29T00:00:00.000000000Z");
    }
}
