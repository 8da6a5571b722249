//! The form's GPUs: how they are chosen, and this host's with their present load.

use tui_input::Input;

use crate::join::Owner;
use crate::launch::{GpuAsk, Which};
use crate::model::{Gpu, GpuKey, GpuState, MigInstance};
use crate::tui::fmt::{ABSENT, Gib, push_clean, push_gpu_name, put};
use crate::watch::World;

/// How GPUs are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    None,
    Free,
    These,
    All,
    First,
}

impl Choice {
    /// In the order of the line.
    pub const ALL: [Choice; 5] = [
        Choice::None,
        Choice::Free,
        Choice::These,
        Choice::All,
        Choice::First,
    ];
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuLine {
    /// Its UUID.
    pub uuid: String,
    /// `0`, or `0.1` for a MIG instance.
    pub label: String,
    pub name: String,
    pub busy: String,
    pub memory: String,
    /// Who uses it.
    pub holders: String,
    /// Why it cannot be chosen.
    pub lost: Option<String>,
    /// Nobody uses it.
    pub idle: bool,
}

/// The GPUs of the form.
#[derive(Debug, Clone)]
pub struct GpuField {
    pub choice: Choice,
    /// For `Free` and `First`.
    pub count: u32,
    /// For `These`, as they were given.
    pub devices: Vec<String>,
    /// The same as text.
    pub input: Input,
    pub error: Option<String>,
    /// Why they are filled in, where nobody asked for them.
    pub why: Option<String>,
    /// Capabilities, driver and options of the request.
    rest: GpuAsk,
    pub lines: Vec<GpuLine>,
    /// Why there are none.
    pub note: Option<&'static str>,
}

impl GpuField {
    /// Those of a launch.
    pub fn of(ask: Option<&GpuAsk>) -> Self {
        let mut field = Self {
            choice: Choice::None,
            count: 1,
            devices: Vec::new(),
            input: Input::default(),
            error: None,
            why: None,
            rest: GpuAsk::of(Which::All),
            lines: Vec::new(),
            note: None,
        };
        let Some(ask) = ask else {
            return field;
        };
        field.rest = ask.clone();
        field.put(&ask.which);
        field
    }

    /// Chooses these.
    pub fn put(&mut self, which: &Which) {
        self.error = None;
        match which {
            Which::All => self.choice = Choice::All,
            Which::Count(count) => {
                self.choice = Choice::First;
                self.count = *count;
            }
            Which::Free(count) => {
                self.choice = Choice::Free;
                self.count = *count;
            }
            Which::Devices(devices) => {
                self.choice = Choice::These;
                self.devices.clone_from(devices);
                self.write();
            }
        }
    }

    /// What is asked for; `None`: nothing.
    pub fn ask(&self) -> Option<GpuAsk> {
        let which = match self.choice {
            Choice::None => return None,
            Choice::All => Which::All,
            Choice::First => Which::Count(self.count),
            Choice::Free => Which::Free(self.count),
            Choice::These => Which::Devices(self.devices.clone()),
        };
        Some(GpuAsk {
            which,
            ..self.rest.clone()
        })
    }

    /// What else the request says: `capabilities=utility`; empty where nothing.
    pub fn rest(&self) -> String {
        let rest = &self.rest;
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                put(&mut text, format_args!(" {name}={value}"));
            }
        };
        add("capabilities", &rest.capabilities.join(","));
        add("driver", &rest.driver);
        let options = rest.options.iter().map(|(n, v)| format!("{n}={v}"));
        add("options", &options.collect::<Vec<_>>().join(","));
        text.trim_start().to_owned()
    }

    /// The next or last way to choose.
    pub fn turn(&mut self, by: isize) {
        self.why = None;
        let at = Choice::ALL.iter().position(|c| *c == self.choice);
        let at = isize::try_from(at.unwrap_or(0)).unwrap_or(0);
        let to = (at + by).rem_euclid(Choice::ALL.len() as isize);
        if let Some(choice) = Choice::ALL.get(usize::try_from(to).unwrap_or(0)) {
            self.choice = *choice;
        }
        self.check();
    }

    /// More or fewer.
    pub fn more(&mut self, by: i32) {
        self.why = None;
        if !matches!(self.choice, Choice::Free | Choice::First) {
            self.choice = Choice::Free;
        }
        self.count = self.count.saturating_add_signed(by).clamp(1, 64);
        self.error = None;
    }

    /// None.
    pub fn clear(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        *self = Self {
            lines,
            ..Self::of(None)
        };
    }

    /// Whether a line's GPU is among those.
    pub fn has(&self, line: &GpuLine) -> bool {
        self.choice == Choice::These && self.devices.iter().any(|d| names(d, line))
    }

    /// Marks a line's GPU, or takes the mark away. What cannot be chosen stays as it is.
    pub fn mark(&mut self, place: usize) -> Result<(), String> {
        let Some(line) = self.lines.get(place) else {
            return Ok(());
        };
        if let Some(why) = &line.lost {
            return Err(format!("GPU {} cannot be chosen: {why}", line.label));
        }
        self.why = None;
        if self.choice != Choice::These {
            self.choice = Choice::These;
            self.devices.clear();
        }
        let before = self.devices.len();
        self.devices.retain(|d| !names(d, line));
        if self.devices.len() == before {
            self.devices.push(line.uuid.clone());
        }
        self.write();
        self.check();
        Ok(())
    }

    fn write(&mut self) {
        self.input = Input::new(self.devices.join(","));
    }

    /// Its text was changed.
    pub fn typed(&mut self) {
        self.why = None;
        let words = self.input.value().split(',').map(str::trim);
        self.devices = words.filter(|w| !w.is_empty()).map(str::to_owned).collect();
        self.check();
    }

    fn check(&mut self) {
        let none = self.choice == Choice::These && self.devices.is_empty();
        self.error = none.then(|| {
            "mark GPUs with space, or type indices or UUIDs with commas between".to_owned()
        });
    }

    /// Lays out this host's GPUs.
    pub fn rebuild(&mut self, world: &World) {
        self.lines.clear();
        self.note = None;
        // An engine elsewhere gives GPUs of its own.
        if !world.judgeable() {
            self.note = Some(
                "the engine is not proven to be on this machine: its GPUs are not seen from here",
            );
            return;
        }
        for gpu in world.gpus.iter().flat_map(|s| &s.gpus) {
            if gpu.mig_instances.is_empty() {
                self.lines.push(line(world, gpu, None));
            }
            for (place, mig) in gpu.mig_instances.iter().enumerate() {
                self.lines.push(line(world, gpu, Some((place, mig))));
            }
        }
        if self.lines.is_empty() {
            self.note = Some("no GPU is seen on this machine");
        }
    }
}

/// Whether a word of `device=` names a line's GPU.
fn names(device: &str, line: &GpuLine) -> bool {
    device == line.label
        || device == line.uuid
        || device.replace(':', ".") == line.label
        // nvidia-container-cli takes the beginning of a UUID too.
        || (device.starts_with("GPU-") && device.len() > 8 && line.uuid.starts_with(device))
}

fn line(world: &World, gpu: &Gpu, mig: Option<(usize, &MigInstance)>) -> GpuLine {
    let index = gpu.index.map_or("?".to_owned(), |i| i.to_string());
    let mut name = String::new();
    push_gpu_name(&mut name, &gpu.name);
    let (key, label, memory) = match mig {
        Some((place, mig)) => {
            if let Some(profile) = &mig.profile {
                name.push(' ');
                push_clean(&mut name, profile);
            }
            (&mig.key, format!("{index}.{place}"), mig.memory)
        }
        None => (&gpu.key, index, gpu.memory),
    };
    let holders = holders(world, key, mig.is_some());
    GpuLine {
        uuid: key.uuid.as_str().to_owned(),
        label,
        name,
        busy: match gpu.gpu_percent {
            Some(busy) if mig.is_none() => format!("{busy}%"),
            _ => ABSENT.to_owned(),
        },
        memory: match memory {
            Some(memory) => format!("{}/{} GiB", Gib(memory.used_bytes), Gib(memory.total_bytes)),
            None if gpu.unified_memory => "host memory".to_owned(),
            None => ABSENT.to_owned(),
        },
        idle: holders.is_empty() && gpu.gpu_percent.unwrap_or(0) == 0,
        lost: match &gpu.state {
            GpuState::Ok => None,
            GpuState::Lost(_) => Some("it is lost".to_owned()),
            GpuState::Stuck => Some("a driver call to it does not return".to_owned()),
            GpuState::Error(text) => Some(crate::model::text::clean(text, 80)),
        },
        holders,
    }
}

/// Containers and processes on a GPU: `llama-sft, 2 of the host`; then those it was given to by name.
fn holders(world: &World, key: &GpuKey, mig: bool) -> String {
    let here = |p: &&crate::join::ProcUse| {
        if mig {
            p.mig.as_ref() == Some(key)
        } else {
            p.gpu == *key
        }
    };
    let mut names: Vec<String> = Vec::new();
    let mut others = 0usize;
    for process in world.joined.processes.iter().filter(here) {
        let row = match &process.owner {
            Owner::Container(key) => world.rows.get(key),
            _ => None,
        };
        let Some(row) = row else {
            others += 1;
            continue;
        };
        let mut name = String::new();
        push_clean(&mut name, &row.container.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if others > 0 {
        let es = if others == 1 { "" } else { "es" };
        names.push(format!("{others} process{es}"));
    }
    if names.is_empty() {
        let given = world.rows.iter().filter(|(container, row)| {
            let gpus = world.joined.containers.get(container);
            let by_name = row
                .container
                .detail
                .as_ref()
                .and_then(|d| d.grant.as_ref())
                .is_some_and(|g| matches!(g, crate::model::GpuGrant::Devices(_)));
            row.container.state.is_live()
                && by_name
                && gpus.is_some_and(|g| g.given.iter().any(|g| g.key == *key))
        });
        for (_, row) in given {
            let mut text = String::from("given to ");
            push_clean(&mut text, &row.container.name);
            names.push(text);
        }
    }
    names.join(", ")
}
