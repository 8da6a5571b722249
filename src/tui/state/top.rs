//! The top of the screen, formatted when the world changes: header, banners, the GPU strip.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use crate::join::Owner;
use crate::model::{
    DriverStatus, EngineInfo, EngineStatus, Gpu, GpuKey, GpuState, MigInstance, Problem, Stamp,
    ThrottleReasons,
};
use crate::tui::fmt::{ABSENT, Gib, LongAge, between, push_clean, push_gpu_name, put};
use crate::tui::widgets::{Tone, width};
use crate::watch::{Locality, World};

use super::StateConfig;
use super::xid;

/// Numbers older than this are shown as old.
pub const STALE_SECONDS: u64 = 5;

/// A piece of the header, in forms of falling length; an empty form leaves it out.
#[derive(Debug, Default)]
pub struct Segment {
    pub forms: [String; 3],
    pub form: usize,
    pub tone: Tone,
}

impl Segment {
    /// The form in use.
    pub fn text(&self) -> &str {
        self.forms.get(self.form).map_or("", String::as_str)
    }
}

/// One line of trouble under the header, with what to do about it.
#[derive(Debug)]
pub struct Banner {
    pub tone: Tone,
    pub text: String,
    pub remedy: String,
}

/// One line of the GPU strip.
#[derive(Debug, Default)]
pub struct StripLine {
    pub key: Option<GpuKey>,
    /// `GPU 0`, or `0.1` for a MIG instance.
    pub label: String,
    pub name: String,
    /// A line of words instead of numbers: lost, stuck without numbers, an error.
    pub message: Option<(String, Tone)>,
    pub busy: Option<u32>,
    pub memory_share: Option<f64>,
    pub memory: String,
    pub temperature: String,
    pub temperature_tone: Tone,
    pub power: String,
    /// Throttle alarms, staleness.
    pub alarm: String,
    pub holders: String,
    pub holders_tone: Tone,
    pub mig: bool,
    pub stale: bool,
}

/// Header, banners, strip.
#[derive(Debug, Default)]
pub struct Top {
    pub left: Vec<Segment>,
    pub right: Vec<Segment>,
    pub banners: Vec<Banner>,
    pub strip: Vec<StripLine>,
    /// Before the strip: no driver, starting, released, or what the user should know of the whole.
    pub strip_message: Option<Banner>,
    /// Who held a GPU when it last answered.
    pub last_holders: HashMap<GpuKey, String>,
    /// Something shown here grows older by the second.
    pub ages: bool,
}

impl Top {
    /// Formats everything anew.
    pub fn rebuild(
        &mut self,
        world: &World,
        config: &StateConfig,
        now: Stamp,
        columns: u16,
        mouse: bool,
    ) {
        self.ages = false;
        self.banners(world, config, now);
        self.gpu_lines(world, now, &config.time_zone);
        self.header(world, config, now, mouse);
        self.fit(columns);
    }

    fn header(&mut self, world: &World, config: &StateConfig, now: Stamp, mouse: bool) {
        self.left.clear();
        self.right.clear();
        let mut left = |forms: [String; 3], tone| {
            self.left.push(Segment {
                forms,
                form: 0,
                tone,
            });
        };
        left(
            ["midwatch".into(), String::new(), String::new()],
            Tone::Accent,
        );
        let mut host = String::new();
        push_clean(&mut host, &world.report.hostname);
        if !host.is_empty() {
            left([host.clone(), host, String::new()], Tone::Strong);
        }
        if let Some(DriverStatus::Up(info)) = world.gpus.as_ref().map(|g| &g.driver) {
            let version = info.driver_version.as_deref().unwrap_or(ABSENT);
            left(
                [
                    format!("driver {version}"),
                    version.to_owned(),
                    String::new(),
                ],
                Tone::Text,
            );
            if let Some((major, minor)) = info.cuda_driver_version {
                let cuda = format!("CUDA {major}.{minor}");
                left([cuda.clone(), cuda, String::new()], Tone::Text);
            }
        }
        let (info, tone) = match &world.engine {
            EngineStatus::Up(info) => (Some(info), Tone::Text),
            EngineStatus::Down { info, .. } => (info.as_ref(), Tone::Bad),
            EngineStatus::Connecting { .. } => (None, Tone::Warn),
        };
        match (&world.engine, info) {
            (EngineStatus::Connecting { endpoint }, _) => {
                left(endpoint_forms("connecting to ", endpoint), Tone::Warn);
            }
            (_, Some(info)) => {
                let down = if tone == Tone::Bad { " down" } else { "" };
                let name = format!("{} {}{down}", info.name, info.version);
                left(
                    [
                        format!("{name} (API {})", info.api_version),
                        name.clone(),
                        name,
                    ],
                    tone,
                );
                left(place_forms(info), Tone::Dim);
            }
            (_, None) => left(
                ["engine down".into(), "engine down".into(), "down".into()],
                Tone::Bad,
            ),
        }
        let mut right = |text: &str, short: &str, tone| {
            self.right.push(Segment {
                forms: [text.into(), short.into(), short.into()],
                form: 0,
                tone,
            });
        };
        if config.demo {
            right("DEMO: simulated host", "DEMO", Tone::Warn);
        }
        if config.read_only {
            right("read-only", "r/o", Tone::Warn);
        }
        if mouse {
            right("mouse", "", Tone::Dim);
        }
        let clock = now.wall.to_zoned(config.time_zone.clone());
        let clock = clock.strftime("%H:%M").to_string();
        right(&clock, &clock, Tone::Strong);
    }

    /// Shortens the header's pieces, the least missed first, until it fits.
    fn fit(&mut self, columns: u16) {
        let total = |top: &Self| -> u32 {
            let texts = top.left.iter().chain(&top.right).map(Segment::text);
            texts
                .filter(|t| !t.is_empty())
                .map(|t| u32::from(width(t)) + 2)
                .sum()
        };
        let room = u32::from(columns);
        for form in 1..3 {
            for place in (0..self.left.len()).rev() {
                if total(self) <= room {
                    return;
                }
                // The program's own name says least.
                let place = if place + 1 == self.left.len() && form == 1 {
                    0
                } else if form == 1 {
                    place + 1
                } else {
                    place
                };
                if let Some(segment) = self.left.get_mut(place) {
                    segment.form = form;
                }
            }
            for place in 0..self.right.len() {
                if total(self) <= room {
                    return;
                }
                if let Some(segment) = self.right.get_mut(place) {
                    segment.form = form;
                }
            }
        }
    }

    fn banners(&mut self, world: &World, config: &StateConfig, now: Stamp) {
        self.banners.clear();
        if let EngineStatus::Down { problem, since, .. } = &world.engine {
            self.ages = true;
            let at = since.wall.to_zoned(config.time_zone.clone());
            let mut text = String::new();
            put(
                &mut text,
                format_args!(
                    "engine down since {} ({}): ",
                    at.strftime("%H:%M:%S"),
                    LongAge(now.since(*since))
                ),
            );
            // Why first: the endpoint stands in the header too.
            if problem.why.is_empty() {
                push_clean(&mut text, &problem.what);
            } else {
                push_clean(&mut text, &problem.why);
                text.push_str(" (");
                push_clean(&mut text, &problem.what);
                text.push(')');
            }
            self.push_banner(Tone::Bad, text, &problem.remedy);
        }
        if let EngineStatus::Up(info) = &world.engine
            && info.unreadable_rows > 0
        {
            let text = format!(
                "{} rows of the engine's list could not be read and are not shown",
                info.unreadable_rows
            );
            self.push_banner(Tone::Warn, text, "");
        }
        let no_gpus = world.gpus.as_ref().is_none_or(|g| g.gpus.is_empty());
        if no_gpus {
            return;
        }
        if let Some(info) = elsewhere(world) {
            let mut text = String::new();
            put(
                &mut text,
                format_args!(
                    "the GPUs shown are this machine's ({}), not those of the engine at ",
                    world.report.hostname
                ),
            );
            push_clean(&mut text, &info.endpoint);
            self.push_banner(
                Tone::Warn,
                text,
                "run midwatch on the engine's machine to see who uses what",
            );
        } else if let Some(problem) = world
            .procs
            .as_ref()
            .and_then(|p| p.blind.as_ref())
            .or(world.joined.problem.as_ref())
        {
            let mut text = String::new();
            problem_text(&mut text, problem);
            self.push_banner(Tone::Warn, text, &problem.remedy);
        }
    }

    fn push_banner(&mut self, tone: Tone, text: String, remedy: &str) {
        let mut clean = String::new();
        push_clean(&mut clean, remedy);
        self.banners.push(Banner {
            tone,
            text,
            remedy: clean,
        });
    }

    fn gpu_lines(&mut self, world: &World, now: Stamp, zone: &TimeZone) {
        self.strip_message = None;
        let mut lines = std::mem::take(&mut self.strip);
        lines.clear();
        let plain = |text: &str, remedy: &str, tone| Banner {
            tone,
            text: text.to_owned(),
            remedy: remedy.to_owned(),
        };
        let Some(snapshot) = &world.gpus else {
            self.strip_message = Some(plain("GPUs: loading NVML…", "", Tone::Dim));
            self.strip = lines;
            return;
        };
        let told = |problem: &Problem| {
            let mut banner = plain("", "", Tone::Warn);
            problem_text(&mut banner.text, problem);
            push_clean(&mut banner.remedy, &problem.remedy);
            banner
        };
        self.strip_message = match &snapshot.driver {
            DriverStatus::Down(problem) => Some(told(problem)),
            DriverStatus::Starting => Some(plain("GPUs: loading NVML…", "", Tone::Dim)),
            DriverStatus::Released => Some(plain(
                "GPUs released: midwatch holds no NVML now",
                "the same key takes them again",
                Tone::Warn,
            )),
            DriverStatus::Up(_) => match &snapshot.notice {
                Some(notice) => Some(told(notice)),
                None if snapshot.gpus.is_empty() => {
                    Some(plain("the driver answers and finds no GPU", "", Tone::Warn))
                }
                None => None,
            },
        };
        let live = matches!(snapshot.driver, DriverStatus::Up(_));
        for gpu in &snapshot.gpus {
            let line = self.gpu_line(world, gpu, now, live, zone);
            lines.push(line);
            if gpu.state == GpuState::Ok {
                for (place, instance) in gpu.mig_instances.iter().enumerate() {
                    lines.push(mig_line(world, gpu, place, instance));
                }
            }
        }
        self.strip = lines;
    }

    fn gpu_line(
        &mut self,
        world: &World,
        gpu: &Gpu,
        now: Stamp,
        live: bool,
        zone: &TimeZone,
    ) -> StripLine {
        let mut line = StripLine {
            key: Some(gpu.key.clone()),
            ..StripLine::default()
        };
        match gpu.index {
            Some(index) => put(&mut line.label, format_args!("GPU {index}")),
            None => line.label.push_str("GPU ?"),
        }
        push_gpu_name(&mut line.name, &gpu.name);
        holders(world, gpu, None, &mut line);
        let age = now.since(gpu.sampled);
        match &gpu.state {
            GpuState::Lost(how) => {
                line.message = Some((lost_text(world, gpu, how, now, zone), Tone::Bad));
                line.holders = match self.last_holders.get(&gpu.key) {
                    Some(held) => format!("(was: {held})"),
                    None if line.holders.is_empty() || line.holders == "free" => String::new(),
                    None => format!("(was: {})", line.holders.trim_start_matches("idle · ")),
                };
                line.holders_tone = Tone::Dim;
                return line;
            }
            GpuState::Error(text) => {
                let mut message = String::from("error: ");
                push_clean(&mut message, text);
                line.message = Some((message, Tone::Bad));
                return line;
            }
            GpuState::Stuck => {
                self.ages = true;
                line.stale = true;
                put(
                    &mut line.alarm,
                    format_args!("stuck {}: a driver call does not return", LongAge(age)),
                );
            }
            GpuState::Ok if !live || age.as_secs() >= STALE_SECONDS => {
                self.ages = true;
                line.stale = true;
                put(&mut line.alarm, format_args!("{} old", LongAge(age)));
            }
            GpuState::Ok => {
                if line.holders_tone == Tone::Strong {
                    self.last_holders
                        .insert(gpu.key.clone(), line.holders.clone());
                }
            }
        }
        numbers(gpu, &mut line);
        line
    }
}

/// Busy, memory, heat, power, alarms.
fn numbers(gpu: &Gpu, line: &mut StripLine) {
    line.busy = gpu.gpu_percent;
    match gpu.memory {
        Some(memory) => {
            put(
                &mut line.memory,
                format_args!("{}/{} GiB", Gib(memory.used_bytes), Gib(memory.total_bytes)),
            );
            if memory.total_bytes > 0 {
                line.memory_share = Some(memory.used_bytes as f64 / memory.total_bytes as f64);
            }
        }
        None if gpu.unified_memory => line.memory.push_str("host memory"),
        None => line.memory.push_str(ABSENT),
    }
    match gpu.temperature_celsius {
        Some(heat) => {
            put(&mut line.temperature, format_args!("{heat}°C"));
            let margin = gpu.slowdown_celsius.map(|s| s.saturating_sub(heat));
            line.temperature_tone = match margin {
                Some(0) => Tone::Bad,
                Some(1..=5) => Tone::Warn,
                _ => Tone::Text,
            };
        }
        None => line.temperature.push_str(ABSENT),
    }
    match (gpu.power_watts, gpu.power_limit_watts) {
        (Some(power), Some(limit)) => put(&mut line.power, format_args!("{power:.0}/{limit:.0} W")),
        (Some(power), None) => put(&mut line.power, format_args!("{power:.0} W")),
        _ => line.power.push_str(ABSENT),
    }
    let alarms = gpu
        .throttle_reasons
        .filter(|r| r.has_any(ThrottleReasons::ALARMS));
    if let Some(reasons) = alarms {
        let names = ThrottleReasons(reasons.0 & ThrottleReasons::ALARMS.0).names();
        for name in names {
            if !line.alarm.is_empty() {
                line.alarm.push(' ');
            }
            line.alarm.push_str(&name);
        }
    }
    if gpu.remapped_rows.is_some_and(|r| r.failed) {
        line.alarm.push_str(" row remapping failed");
    }
}

fn mig_line(world: &World, gpu: &Gpu, place: usize, instance: &MigInstance) -> StripLine {
    let mut line = StripLine {
        key: Some(instance.key.clone()),
        mig: true,
        ..StripLine::default()
    };
    match gpu.index {
        Some(index) => put(&mut line.label, format_args!("{index}.{place}")),
        None => put(&mut line.label, format_args!("?.{place}")),
    }
    push_clean(&mut line.name, instance.profile.as_deref().unwrap_or("MIG"));
    match instance.memory {
        Some(memory) => {
            put(
                &mut line.memory,
                format_args!("{}/{} GiB", Gib(memory.used_bytes), Gib(memory.total_bytes)),
            );
            if memory.total_bytes > 0 {
                line.memory_share = Some(memory.used_bytes as f64 / memory.total_bytes as f64);
            }
        }
        None => line.memory.push_str(ABSENT),
    }
    holders(world, gpu, Some(&instance.key), &mut line);
    line
}

/// Who holds it: containers by name, then host processes; without any, who was given it, or `free`.
fn holders(world: &World, gpu: &Gpu, mig: Option<&GpuKey>, line: &mut StripLine) {
    let mut names: Vec<String> = Vec::new();
    let here = |process: &&crate::join::ProcUse| {
        process.gpu == gpu.key && mig.is_none_or(|m| process.mig.as_ref() == Some(m))
    };
    if mig.is_none() && !gpu.mig_instances.is_empty() {
        line.holders = format!("MIG, {} instances", gpu.mig_instances.len());
        line.holders_tone = Tone::Dim;
        return;
    }
    for process in world.joined.processes.iter().filter(here) {
        let mut name = String::new();
        owner_name(&mut name, world, process);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let target = mig.unwrap_or(&gpu.key);
    let idle = mig.is_some() || gpu.gpu_percent == Some(0);
    if !names.is_empty() {
        if idle && mig.is_none() {
            line.holders.push_str("idle · ");
        }
        line.holders.push_str(&names.join(", "));
        line.holders_tone = Tone::Strong;
        return;
    }
    let unattributed = world.joined.unattributed.get(target).copied().unwrap_or(0);
    if unattributed >= 1 << 30 {
        put(
            &mut line.holders,
            format_args!("{} GiB held by no visible process", Gib(unattributed)),
        );
        line.holders_tone = Tone::Warn;
        return;
    }
    if !world.joinable() {
        line.holders.push_str(if idle { "idle" } else { "" });
        line.holders_tone = Tone::Dim;
        return;
    }
    let mut given: Vec<&str> = world
        .joined
        .containers
        .iter()
        .filter(|(_, gpus)| gpus.given.iter().any(|g| g.key == *target))
        .filter_map(|(key, _)| world.rows.get(key))
        .filter(|row| row.container.state.is_live())
        .map(|row| row.container.name.as_str())
        .collect();
    given.sort_unstable();
    line.holders_tone = Tone::Dim;
    if given.is_empty() {
        line.holders.push_str("free");
        line.holders_tone = Tone::Good;
    } else {
        line.holders.push_str("idle · ");
        push_clean(&mut line.holders, &given.join(", "));
    }
}

/// A process's owner as a name: the container's, or where else it runs.
pub fn owner_name(out: &mut String, world: &World, process: &crate::join::ProcUse) {
    match &process.owner {
        Owner::Container(key) => match world.rows.get(key) {
            Some(row) => push_clean(out, &row.container.name),
            None => out.push_str(&key.id.short()),
        },
        Owner::Foreign { runtime, id } => {
            put(out, format_args!("{} {}", runtime.as_str(), id.short()));
        }
        Owner::Host => {
            out.push_str("host: ");
            let command = process.command.as_deref().unwrap_or("");
            let program = command.split_whitespace().next().unwrap_or("");
            let program = program.rsplit('/').next().unwrap_or(program);
            if program.is_empty() {
                put(out, format_args!("pid {}", process.pid));
            } else {
                push_clean(out, program);
            }
            if let Some(user) = process.user.as_deref() {
                out.push_str(" (");
                push_clean(out, user);
                out.push(')');
            }
        }
        Owner::NotPermitted => put(out, format_args!("not permitted (pid {})", process.pid)),
        Owner::Unknown => put(out, format_args!("pid {}", process.pid)),
    }
}

fn lost_text(world: &World, gpu: &Gpu, how: &str, now: Stamp, zone: &TimeZone) -> String {
    let mut text = String::from("lost");
    let event = world.xids.iter().rev().find(|event| {
        event.gpu.as_ref() == Some(&gpu.key)
            || crate::model::same_pci_address(&event.pci_bus_id, &gpu.pci_bus_id)
    });
    match event {
        Some(event) => {
            text.push_str(" — ");
            xid::push_name(&mut text, event);
            let at = event.time.to_zoned(zone.clone());
            let recent = between(event.time, now.wall).as_secs() < 86_400;
            let form = if recent { "%H:%M" } else { "%b %d %H:%M" };
            put(&mut text, format_args!(" at {}", at.strftime(form)));
            text.push_str(": ");
            push_clean(&mut text, xid::name(event));
            // The first step alone: the GPUs page has the rest.
            let action = xid::action(event);
            let first = action.split(';').next().unwrap_or(action);
            put(&mut text, format_args!("; {first}"));
        }
        None => {
            text.push_str(" — ");
            push_clean(&mut text, how);
        }
    }
    text
}

/// The engine, where it is known not to run on this machine.
pub fn elsewhere(world: &World) -> Option<&EngineInfo> {
    let info = match &world.engine {
        EngineStatus::Up(info) => info,
        EngineStatus::Down {
            info: Some(info), ..
        } => info,
        _ => return None,
    };
    let away = world.locality == Locality::Elsewhere
        || (info.remote_by_nature && world.locality != Locality::Proven);
    (away && !info.simulated).then_some(info)
}

fn problem_text(out: &mut String, problem: &Problem) {
    push_clean(out, &problem.what);
    if !problem.why.is_empty() {
        out.push_str(": ");
        push_clean(out, &problem.why);
    }
}

fn endpoint_forms(before: &str, endpoint: &str) -> [String; 3] {
    let mut clean = String::new();
    push_clean(&mut clean, endpoint);
    let short = clean.strip_prefix("unix://").unwrap_or(&clean).to_owned();
    [
        format!("{before}{clean}"),
        format!("{before}{short}"),
        short,
    ]
}

/// Endpoint and context: always on the screen, in one length or another.
fn place_forms(info: &EngineInfo) -> [String; 3] {
    let [long, short, _] = endpoint_forms("", &info.endpoint);
    let file = short.rsplit('/').next().unwrap_or(&short).to_owned();
    match info.context.as_deref() {
        Some(context) => {
            let mut clean = String::new();
            push_clean(&mut clean, context);
            [
                format!("{long} context {clean}"),
                format!("{short} ({clean})"),
                format!("({clean})"),
            ]
        }
        None if info.remote_by_nature => [long, short.clone(), short],
        None => [long, short, file],
    }
}
