//! A shell in a simulated container: enough to look round, nothing is run.

use std::collections::VecDeque;

use crate::model::{ContainerKey, ContainerState, GpuState, Stamp};

use super::cast::Asked;
use super::world::Member;
use super::{DemoError, DemoHost, facts};

/// Longest line it takes, bytes.
const LINE: usize = 4096;

/// A command running in a container: bytes in, bytes out.
#[derive(Debug)]
pub struct DemoShell {
    host: DemoHost,
    key: ContainerKey,
    tty: bool,
    prompt: String,
    env: Vec<String>,
    workdir: String,
    hostname: String,
    user: (&'static str, u32),
    grant: Option<Vec<usize>>,
    line: Vec<u8>,
    output: VecDeque<u8>,
    exit: Option<i64>,
    last_code: i64,
    after_return: bool,
}

/// Opens a command in a running container.
pub(super) fn open(
    host: DemoHost,
    key: ContainerKey,
    command: &[String],
    tty: bool,
    now: Stamp,
) -> Result<DemoShell, DemoError> {
    let mut shell = {
        let (guard, _) = host.at(now);
        let member = super::member(&guard.world, &key)?;
        match facts::state(member) {
            ContainerState::Running => {}
            ContainerState::Paused => {
                return Err(DemoError::new(
                    409,
                    format!(
                        "container {} is paused, unpause the container before exec",
                        key.id
                    ),
                ));
            }
            _ => {
                return Err(DemoError::new(
                    409,
                    format!("container {} is not running", key.id),
                ));
            }
        }
        prepared(&host, member, tty)
    };
    let has_bash = {
        let (guard, _) = host.at(now);
        super::member(&guard.world, &key)?.role.bash
    };
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let program = words.first().copied().unwrap_or_default();
    match program.rsplit('/').next().unwrap_or_default() {
        "bash" if !has_bash => return Err(not_found(program)),
        "sh" | "bash" | "ash" => {
            // `sh -c TEXT`: one line and out; anything else is an interactive shell.
            let script = words
                .iter()
                .position(|w| w.ends_with('c') && w.starts_with('-'));
            match script.and_then(|at| words.get(at + 1)) {
                Some(text) => shell.script(text, has_bash, now),
                None => shell.greet(),
            }
        }
        name if COMMANDS.contains(&name) => {
            let line = words.join(" ");
            shell.run(&line, now);
            shell.exit.get_or_insert(shell.last_code);
        }
        _ => return Err(not_found(program)),
    }
    Ok(shell)
}

fn not_found(program: &str) -> DemoError {
    DemoError::new(
        400,
        format!(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": \
             executable file not found in $PATH: unknown"
        ),
    )
}

fn prepared(host: &DemoHost, member: &Member, tty: bool) -> DemoShell {
    let role = member.role;
    let hostname = member.key.id.short();
    let (user, uid) = if role.user.0 == "root" {
        ("root", 0)
    } else {
        role.user
    };
    let mark = if uid == 0 { '#' } else { '$' };
    let prompt = if role.bash {
        format!("{user}@{hostname}:{}{mark} ", role.workdir)
    } else {
        format!("{} {mark} ", role.workdir)
    };
    let mut env: Vec<String> = role.env.iter().map(|e| (*e).to_owned()).collect();
    env.push(format!("HOSTNAME={hostname}"));
    let grant = match role.asked {
        Asked::Nothing => None,
        Asked::All => Some(vec![0, 1, 2, 3]),
        Asked::Devices(ids) => Some(ids.iter().filter_map(|id| id.parse().ok()).collect()),
    };
    if tty {
        env.push("TERM=xterm".into());
    }
    DemoShell {
        host: host.clone(),
        key: member.key,
        tty,
        prompt,
        env,
        workdir: role.workdir.to_owned(),
        hostname,
        user: (user, uid),
        grant,
        line: Vec::new(),
        output: VecDeque::new(),
        exit: None,
        last_code: 0,
        after_return: false,
    }
}

const COMMANDS: &[&str] = &[
    "cd",
    "clear",
    "date",
    "echo",
    "env",
    "exit",
    "help",
    "hostname",
    "id",
    "ls",
    "nvidia-smi",
    "printenv",
    "ps",
    "pwd",
    "true",
    "false",
    "uname",
    "uptime",
    "whoami",
];

impl DemoShell {
    /// Bytes to show, taken.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.output.drain(..).collect()
    }

    /// The exit code, once it ended.
    pub fn exit_code(&self) -> Option<i64> {
        self.exit
    }

    /// Whether its output is unframed.
    pub fn has_tty(&self) -> bool {
        self.tty
    }

    /// Whether the container ended under it: then it has ended too, with 137.
    pub fn check(&mut self, now: Stamp) {
        if self.exit.is_none() && !self.host.is_live(self.key, now) {
            self.exit = Some(137);
        }
    }

    /// Standard input was closed.
    pub fn close_input(&mut self) {
        self.exit.get_or_insert(self.last_code);
    }

    /// Bytes typed.
    pub fn input(&mut self, bytes: &[u8], now: Stamp) {
        self.check(now);
        for byte in bytes {
            if self.exit.is_some() {
                return;
            }
            self.byte(*byte, now);
        }
    }

    fn byte(&mut self, byte: u8, now: Stamp) {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\n' if after_return => {}
            b'\r' | b'\n' => {
                self.echo("\r\n");
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                self.run(&line, now);
                if self.exit.is_none() {
                    self.show_prompt();
                }
            }
            0x03 => {
                self.line.clear();
                self.last_code = 130;
                self.echo("^C\r\n");
                self.show_prompt();
            }
            0x04 if self.line.is_empty() => {
                self.echo("exit\r\n");
                self.exit = Some(self.last_code);
            }
            0x08 | 0x7f => {
                // A character may be several bytes: the whole of it goes.
                let mut width = 0;
                while let Some(last) = self.line.pop() {
                    if last & 0xc0 != 0x80 {
                        width = 1;
                        break;
                    }
                }
                if width > 0 {
                    self.echo("\u{8} \u{8}");
                }
            }
            0x15 => {
                let count = String::from_utf8_lossy(&self.line).chars().count();
                self.line.clear();
                self.echo(&"\u{8} \u{8}".repeat(count));
            }
            byte if byte >= 0x20 && self.line.len() < LINE => {
                self.line.push(byte);
                if self.tty {
                    self.output.push_back(byte);
                }
            }
            _ => {}
        }
    }

    fn greet(&mut self) {
        self.show_prompt();
    }

    fn show_prompt(&mut self) {
        if self.tty {
            let prompt = self.prompt.clone();
            self.put(&prompt);
        }
    }

    /// What the terminal shows of what is typed.
    fn echo(&mut self, text: &str) {
        if self.tty {
            self.put(text);
        }
    }

    fn put(&mut self, text: &str) {
        self.output.extend(text.bytes());
    }

    fn say(&mut self, text: &str) {
        let end = if self.tty { "\r\n" } else { "\n" };
        for line in text.lines() {
            self.put(line);
            self.put(end);
        }
    }

    /// `sh -c TEXT`. A text that execs a shell (`exec bash || exec sh`, `command -v bash && …`) becomes one.
    fn script(&mut self, text: &str, has_bash: bool, now: Stamp) {
        let wants_shell = ["exec bash", "exec sh", "exec /bin/bash", "exec /bin/sh"]
            .iter()
            .any(|s| text.contains(s));
        if wants_shell {
            self.greet();
            return;
        }
        if let Some(wanted) = text.strip_prefix("command -v ") {
            let wanted = wanted.trim();
            let found =
                wanted == "sh" || (wanted == "bash" && has_bash) || COMMANDS.contains(&wanted);
            if found {
                let path = format!("/bin/{wanted}");
                self.say(&path);
            }
            self.exit = Some(if found { 0 } else { 127 });
            return;
        }
        for part in text.split(';') {
            self.run(part, now);
        }
        self.exit.get_or_insert(self.last_code);
    }

    fn run(&mut self, line: &str, now: Stamp) {
        let mut words = line.split_whitespace();
        let Some(program) = words.next() else { return };
        let rest: Vec<&str> = words.collect();
        self.last_code = 0;
        match program {
            "exit" | "logout" => {
                let code = rest.first().and_then(|c| c.parse::<u8>().ok()).unwrap_or(0);
                self.echo("exit\r\n");
                self.exit = Some(i64::from(code));
            }
            "echo" => {
                let text = rest
                    .iter()
                    .map(|word| self.expand(word))
                    .collect::<Vec<_>>()
                    .join(" ");
                let text = format!("{text}\n");
                self.say(&text);
            }
            "env" | "printenv" => {
                let text = match rest.first() {
                    Some(name) => {
                        let value = self.variable(name);
                        self.last_code = i64::from(value.is_none());
                        value.unwrap_or_default()
                    }
                    None => self.env.join("\n"),
                };
                self.say(&text);
            }
            "ls" => self.say(listing(&self.workdir)),
            "pwd" => self.say(&self.workdir.clone()),
            "whoami" => self.say(self.user.0),
            "id" => {
                let (name, uid) = self.user;
                self.say(&format!(
                    "uid={uid}({name}) gid={uid}({name}) groups={uid}({name})"
                ));
            }
            "hostname" => self.say(&self.hostname.clone()),
            "uname" => self.say(&format!(
                "Linux {} 5.15.0-143-generic #153-Ubuntu SMP x86_64 GNU/Linux",
                self.hostname
            )),
            "date" => self.say(&now.wall.strftime("%a %b %e %H:%M:%S UTC %Y").to_string()),
            "uptime" => {
                let load = self.host.report(now).load_1m.unwrap_or(0.0);
                let text = format!(
                    " {} up 13 days,  load average: {load:.2}, {load:.2}, {load:.2}",
                    now.wall.strftime("%H:%M:%S")
                );
                self.say(&text);
            }
            "ps" => self.processes(now),
            "nvidia-smi" => self.smi(now),
            "clear" => self.put("\u{1b}[H\u{1b}[2J"),
            "cd" | "true" => {}
            "false" => self.last_code = 1,
            "help" => self.say(&format!(
                "a simulated shell: nothing runs here. It knows: {}",
                COMMANDS.join(" ")
            )),
            other => {
                let text = format!("{}: {other}: command not found", self.name());
                self.last_code = 127;
                self.say(&text);
            }
        }
    }

    fn name(&self) -> &'static str {
        if self.prompt.contains('@') {
            "bash"
        } else {
            "sh"
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.env
            .iter()
            .filter_map(|entry| entry.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }

    fn expand(&self, word: &str) -> String {
        let bare = word.trim_matches(|c| c == '"' || c == '\'');
        match bare.strip_prefix('$') {
            Some("?") => self.last_code.to_string(),
            Some(name) => self.variable(name).unwrap_or_default(),
            None => bare.to_owned(),
        }
    }

    fn processes(&mut self, now: Stamp) {
        let command = {
            let (guard, _) = self.host.at(now);
            guard
                .world
                .members
                .get(&self.key)
                .map(|m| facts::command_line(m.role))
                .unwrap_or_default()
        };
        let user = self.user.0;
        let shell = self.name();
        self.say(&format!(
            "USER         PID COMMAND\n{user:<10} {:>5} {command}\n{user:<10} {:>5} {shell}\n{user:<10} {:>5} ps",
            1, 812, 813
        ));
    }

    /// The table that nvidia-smi prints, for the GPUs given to the container.
    fn smi(&mut self, now: Stamp) {
        let Some(given) = self.grant.clone() else {
            self.last_code = 127;
            let text = format!("{}: nvidia-smi: command not found", self.name());
            self.say(&text);
            return;
        };
        let snapshot = self.host.gpus(now);
        let rule = format!("+{}+{}+{}+", "-".repeat(41), "-".repeat(24), "-".repeat(22));
        let mut text = format!(
            "{}\n+{}+\n| NVIDIA-SMI {:<22} Driver Version: {:<14} CUDA Version: {:<8} |\n{rule}\n",
            now.wall.strftime("%a %b %e %H:%M:%S %Y"),
            "-".repeat(89),
            super::cast::DRIVER,
            super::cast::DRIVER,
            "12.4"
        );
        text.push_str("| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n");
        text.push_str("| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n");
        text.push_str(&rule.replace('-', "="));
        text.push('\n');
        let mut shown = 0;
        for gpu in given.iter().filter_map(|index| snapshot.gpus.get(*index)) {
            if matches!(gpu.state, GpuState::Lost(_)) {
                text.push_str(&format!(
                    "Unable to determine the device handle for GPU {}: GPU is lost.  Reboot the system to recover this GPU\n",
                    gpu.pci_bus_id
                ));
                self.last_code = 15;
                continue;
            }
            let memory = gpu
                .memory
                .map_or((0, 0), |m| (m.used_bytes >> 20, m.total_bytes >> 20));
            text.push_str(&format!(
                "| {shown:>3}  {:<27} {:>6} | {:<16} {:>5} | {:>20} |\n",
                gpu.name, "On", gpu.pci_bus_id, "Off", 0
            ));
            text.push_str(&format!(
                "| N/A  {:>3}C    P0            {:>5.0}W / {:>4.0}W | {:>7}MiB / {:>6}MiB | {:>6}%      Default |\n",
                gpu.temperature_celsius.unwrap_or(0),
                gpu.power_watts.unwrap_or(0.0),
                gpu.power_limit_watts.unwrap_or(0.0),
                memory.0,
                memory.1,
                gpu.gpu_percent.unwrap_or(0)
            ));
            text.push_str(&rule);
            text.push('\n');
            shown += 1;
        }
        self.say(&text);
    }
}

fn listing(workdir: &str) -> &'static str {
    match workdir {
        "/workspace" => "configs  data.py  model.py  requirements.txt  train.py  utils",
        "/home/jovyan" => "work",
        "/app" => "pyproject.toml  serve_x",
        "/data" => "dump.rdb",
        "/" => {
            "bin  dev  etc  home  lib  lib64  opt  proc  root  run  sbin  srv  sys  tmp  usr  var"
        }
        _ => "bin  conf  data",
    }
}
