//! The form's fields: what each is called, what it holds, and how its text becomes a part of the launch.

use tui_input::Input;

use super::syntax;
use crate::launch::{
    EnvVar, LaunchSpec, MountAsk, OtherFlag, PortAsk, PullPolicy, Restart, Surroundings, Ulimit,
};

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Image,
    Command,
    Name,
    Env,
    EnvFile,
    Mount,
    Port,
    Shm,
    Ipc,
    Ulimit,
    User,
    Workdir,
    Restart,
    Network,
    Memory,
    Cpus,
    Rm,
    Tty,
    Interactive,
    Entrypoint,
    Pull,
    Platform,
    Other,
}

impl Kind {
    /// Every field, in the order of the form. The GPUs stand after the image.
    pub const ALL: &[Kind] = &[
        Kind::Image,
        Kind::Command,
        Kind::Name,
        Kind::Env,
        Kind::EnvFile,
        Kind::Mount,
        Kind::Port,
        Kind::Shm,
        Kind::Ipc,
        Kind::Ulimit,
        Kind::User,
        Kind::Workdir,
        Kind::Restart,
        Kind::Network,
        Kind::Memory,
        Kind::Cpus,
        Kind::Rm,
        Kind::Tty,
        Kind::Interactive,
        Kind::Entrypoint,
        Kind::Pull,
        Kind::Platform,
        Kind::Other,
    ];

    /// What stands before it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Command => "command",
            Self::Name => "name",
            Self::Env => "env",
            Self::EnvFile => "env file",
            Self::Mount => "mount",
            Self::Port => "port",
            Self::Shm => "shm size",
            Self::Ipc => "ipc",
            Self::Ulimit => "ulimit",
            Self::User => "user",
            Self::Workdir => "workdir",
            Self::Restart => "restart",
            Self::Network => "network",
            Self::Memory => "memory",
            Self::Cpus => "cpus",
            Self::Rm => "--rm",
            Self::Tty => "-t",
            Self::Interactive => "-i",
            Self::Entrypoint => "entrypoint",
            Self::Pull => "pull",
            Self::Platform => "platform",
            Self::Other => "other flags",
        }
    }

    /// What an empty one says.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Image => "name:tag, or an id",
            Self::Command => "the image's own",
            Self::Name => "the engine invents one",
            Self::Env => "NAME=value, or NAME for your own value",
            Self::EnvFile => "a file of NAME=value lines; tab completes",
            Self::Mount => "/host/folder:/in/container[:ro], tab completes; or type=bind,source=…",
            Self::Port => "8000:8000, 127.0.0.1:8000:8000",
            Self::Shm => "64m is the engine's own; 8g for data loaders",
            Self::Ipc => "host, private, shareable, container:NAME",
            Self::Ulimit => "memlock=-1, stack=67108864",
            Self::User => "name or uid[:gid]; the image's own",
            Self::Workdir => "the image's own",
            Self::Restart => "no, on-failure[:5], always, unless-stopped",
            Self::Network => "bridge, host, none, or a network's name",
            Self::Memory => "no limit; 64g",
            Self::Cpus => "no limit; 8, 0.5",
            Self::Rm => "remove it when it ends",
            Self::Tty => "a terminal: progress bars move",
            Self::Interactive => "keep its standard input open",
            Self::Entrypoint => "the image's own; \"\" for none",
            Self::Pull => "missing, always, never",
            Self::Platform => "linux/amd64",
            Self::Other => "--cap-add=SYS_PTRACE --privileged …",
        }
    }

    /// Whether there may be several.
    pub fn many(self) -> bool {
        matches!(
            self,
            Self::Env | Self::EnvFile | Self::Mount | Self::Port | Self::Ulimit | Self::Network
        )
    }

    /// Whether it is on or off, without text.
    pub fn switch(self) -> bool {
        matches!(self, Self::Rm | Self::Tty | Self::Interactive)
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Words(Vec<String>),
    Env(EnvVar),
    Mount(MountAsk),
    Port(PortAsk),
    Ulimit(Ulimit),
    Bytes(u64),
    NanoCpus(u64),
    Restart(Restart),
    Pull(PullPolicy),
    Flags(Vec<OtherFlag>),
    On,
}

/// A field on the screen.
#[derive(Debug, Clone)]
pub struct Row {
    pub kind: Kind,
    pub input: Input,
    /// What its text means; `None` where it is empty, or cannot be read.
    pub value: Option<Value>,
    /// Why it cannot be read.
    pub error: Option<String>,
    /// Why it is filled in, where nobody asked for it.
    pub why: Option<String>,
}

impl Row {
    /// An empty one.
    pub fn empty(kind: Kind) -> Self {
        Self {
            kind,
            input: Input::default(),
            value: None,
            error: None,
            why: None,
        }
    }

    /// One that holds this.
    pub fn of(kind: Kind, value: Value) -> Self {
        let text = syntax::show(&value);
        Self {
            input: Input::new(text),
            value: Some(value),
            ..Self::empty(kind)
        }
    }

    /// Reads its text anew.
    pub fn edited(&mut self, around: &Surroundings) {
        self.why = None;
        match syntax::read(self.kind, self.input.value(), around) {
            Ok(value) => {
                self.value = value;
                self.error = None;
            }
            Err(why) => {
                self.value = None;
                self.error = Some(crate::model::text::clean(&why, 200));
            }
        }
    }

    /// Puts a text into it.
    pub fn set(&mut self, text: &str, around: &Surroundings) {
        self.input = Input::new(text.to_owned());
        self.edited(around);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.value == Some(Value::On)
    }

    /// Turns a switch.
    pub fn toggle(&mut self) {
        self.why = None;
        self.value = (!self.is_on()).then_some(Value::On);
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.input.value().is_empty() && self.value.is_none()
    }
}

/// The rows of a launch, each kind once at least.
pub fn rows(spec: &LaunchSpec) -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let values = values(spec, *kind);
        if values.is_empty() {
            rows.push(Row::empty(*kind));
        }
        rows.extend(values.into_iter().map(|value| Row::of(*kind, value)));
    }
    rows
}

fn values(spec: &LaunchSpec, kind: Kind) -> Vec<Value> {
    let text = |text: &Option<String>| text.clone().map(Value::Text).into_iter().collect();
    let texts = |list: &[String]| list.iter().cloned().map(Value::Text).collect();
    let on = |on: bool| on.then_some(Value::On).into_iter().collect();
    match kind {
        Kind::Image if spec.image.is_empty() => Vec::new(),
        Kind::Image => vec![Value::Text(spec.image.clone())],
        Kind::Command if spec.command.is_empty() => Vec::new(),
        Kind::Command => vec![Value::Words(spec.command.clone())],
        Kind::Name => text(&spec.name),
        Kind::Env => spec.env.iter().cloned().map(Value::Env).collect(),
        Kind::EnvFile => texts(&spec.env_files),
        Kind::Mount => spec.mounts.iter().cloned().map(Value::Mount).collect(),
        Kind::Port => spec.ports.iter().cloned().map(Value::Port).collect(),
        Kind::Shm => spec.shm_bytes.map(Value::Bytes).into_iter().collect(),
        Kind::Ipc => text(&spec.ipc),
        Kind::Ulimit => spec.ulimits.iter().cloned().map(Value::Ulimit).collect(),
        Kind::User => text(&spec.user),
        Kind::Workdir => text(&spec.workdir),
        Kind::Restart => spec.restart.map(Value::Restart).into_iter().collect(),
        Kind::Network => texts(&spec.networks),
        Kind::Memory => spec.memory_bytes.map(Value::Bytes).into_iter().collect(),
        Kind::Cpus => spec.nano_cpus.map(Value::NanoCpus).into_iter().collect(),
        Kind::Rm => on(spec.rm),
        Kind::Tty => on(spec.tty),
        Kind::Interactive => on(spec.interactive),
        Kind::Entrypoint => text(&spec.entrypoint),
        Kind::Pull => spec.pull.map(Value::Pull).into_iter().collect(),
        Kind::Platform => text(&spec.platform),
        Kind::Other if spec.other.is_empty() => Vec::new(),
        Kind::Other => vec![Value::Flags(spec.other.clone())],
    }
}

/// Puts a field's value where it belongs.
pub fn put(spec: &mut LaunchSpec, kind: Kind, value: Value) {
    match (kind, value) {
        (Kind::Image, Value::Text(text)) => spec.image = text,
        (Kind::Command, Value::Words(words)) => spec.command = words,
        (Kind::Name, Value::Text(text)) => spec.name = Some(text),
        (Kind::Env, Value::Env(var)) => spec.env.push(var),
        (Kind::EnvFile, Value::Text(text)) => spec.env_files.push(text),
        (Kind::Mount, Value::Mount(mount)) => spec.mounts.push(mount),
        (Kind::Port, Value::Port(port)) => spec.ports.push(port),
        (Kind::Shm, Value::Bytes(bytes)) => spec.shm_bytes = Some(bytes),
        (Kind::Ipc, Value::Text(text)) => spec.ipc = Some(text),
        (Kind::Ulimit, Value::Ulimit(limit)) => spec.ulimits.push(limit),
        (Kind::User, Value::Text(text)) => spec.user = Some(text),
        (Kind::Workdir, Value::Text(text)) => spec.workdir = Some(text),
        (Kind::Restart, Value::Restart(restart)) => spec.restart = Some(restart),
        (Kind::Network, Value::Text(text)) => spec.networks.push(text),
        (Kind::Memory, Value::Bytes(bytes)) => spec.memory_bytes = Some(bytes),
        (Kind::Cpus, Value::NanoCpus(cpus)) => spec.nano_cpus = Some(cpus),
        (Kind::Rm, Value::On) => spec.rm = true,
        (Kind::Tty, Value::On) => spec.tty = true,
        (Kind::Interactive, Value::On) => spec.interactive = true,
        (Kind::Entrypoint, Value::Text(text)) => spec.entrypoint = Some(text),
        (Kind::Pull, Value::Pull(policy)) => spec.pull = Some(policy),
        (Kind::Platform, Value::Text(text)) => spec.platform = Some(text),
        (Kind::Other, Value::Flags(flags)) => spec.other = flags,
        // `syntax::read` gives each kind its own shape.
        _ => {}
    }
}
