//! A request to the simulated engine, and the commands made in its containers.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::model::{ContainerKey, Stamp};

use super::{DemoError, DemoHost, DemoShell, member, random, world};

/// Commands kept after their end, for their exit code to be asked.
const EXECS: usize = 64;

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    /// Decoded, without an API version.
    pub path: String,
    query: BTreeMap<String, String>,
    /// Bytes of the body, as the head tells.
    pub length: usize,
    pub body: Vec<u8>,
}

impl Request {
    /// Reads a head.
    pub fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Some(0), |(_, value)| value.trim().parse().ok())?;
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect();
        Some(Self {
            method: method.to_owned(),
            path: decode(without_version(path)),
            query,
            length,
            body: Vec::new(),
        })
    }

    /// A query value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Whether a query value is true.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some("1" | "true" | "True"))
    }

    /// The body's JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn without_version(path: &str) -> &str {
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let (version, _) = rest.split_once('/')?;
        let digits = version.chars().all(|c| c.is_ascii_digit() || c == '.');
        rest.strip_prefix(version)
            .filter(|_| digits && !version.is_empty())
    });
    versioned.unwrap_or(path)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => b'?',
                }
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A command made in a container, started or not.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    id: String,
    container: ContainerKey,
    command: Vec<String>,
    tty: bool,
    running: bool,
    code: Option<i64>,
}

/// The last commands, oldest first.
pub(super) type Execs = VecDeque<Exec>;

impl DemoHost {
    /// Makes a command; it is run by [`DemoHost::start_exec`].
    pub(super) fn make_exec(
        &self,
        key: ContainerKey,
        body: &Value,
        now: Stamp,
    ) -> Result<String, DemoError> {
        let (mut guard, _) = self.at(now);
        let live = member(&guard.world, &key)?.live().is_some();
        if !live {
            return Err(DemoError::new(
                409,
                format!("container {} is not running", key.id),
            ));
        }
        let command = body.get("Cmd").and_then(Value::as_array).map(|words| {
            words
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        });
        let world: &mut world::World = &mut guard.world;
        world.exec_count += 1;
        let dice = random::Dice::new(world.seed, "exec");
        let id = format!("{:016x}", dice.at(world.exec_count)).repeat(4);
        if world.execs.len() >= EXECS {
            world.execs.pop_front();
        }
        world.execs.push_back(Exec {
            id: id.clone(),
            container: key,
            command: command.unwrap_or_default(),
            tty: body.get("Tty").and_then(Value::as_bool).unwrap_or(false),
            running: false,
            code: None,
        });
        Ok(id)
    }

    /// Runs a command that was made.
    pub(super) fn start_exec(&self, id: &str, now: Stamp) -> Result<DemoShell, DemoError> {
        let exec = self.known_exec(id)?;
        let opened = self.exec(exec.container, &exec.command, exec.tty, now);
        self.change_exec(id, |exec| match &opened {
            Ok(_) => exec.running = true,
            // What the runtime exits with when there is no such program.
            Err(_) => exec.code = Some(127),
        });
        opened
    }

    /// A command has ended.
    pub(super) fn end_exec(&self, id: &str, code: i64) {
        self.change_exec(id, |exec| (exec.running, exec.code) = (false, Some(code)));
    }

    /// `GET /exec/ID/json`.
    pub(super) fn exec_json(&self, id: &str) -> Result<Value, DemoError> {
        let exec = self.known_exec(id)?;
        let (program, arguments) = match exec.command.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => ("", &[][..]),
        };
        Ok(json!({
            "ID": exec.id, "Running": exec.running, "ExitCode": exec.code, "OpenStdin": true, "OpenStderr": true,
            "OpenStdout": true, "CanRemove": false, "ContainerID": exec.container.id.to_string(), "DetachKeys": "",
            "Pid": 0,
            "ProcessConfig": {"tty": exec.tty, "entrypoint": program, "arguments": arguments, "privileged": false},
        }))
    }

    fn known_exec(&self, id: &str) -> Result<Exec, DemoError> {
        let (guard, _) = self.at(Stamp::now());
        let known = guard.world.execs.iter().find(|exec| exec.id == id);
        known
            .cloned()
            .ok_or_else(|| DemoError::new(404, format!("No such exec instance: {id}")))
    }

    fn change_exec(&self, id: &str, change: impl FnOnce(&mut Exec)) {
        let (mut guard, _) = self.at(Stamp::now());
        if let Some(exec) = guard.world.execs.iter_mut().find(|exec| exec.id == id) {
            change(exec);
        }
    }
}
