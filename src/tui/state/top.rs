//! The top of the screen, formatted when the world changes: header, banners, the GPU strip.

use std::collections::HashMap;

use crate::model::{DriverStatus, EngineInfo, EngineStatus, GpuKey, GpuState, Problem, Stamp};
use crate::tui::Action;
use crate::tui::fmt::{ABSENT, LongAge, push_clean, put};
use crate::tui::keymap::Mode;
use crate::tui::widgets::{Tone, width};
use crate::watch::{Locality, World};

use super::StateConfig;
use super::strip::{StripLine, gpu_line, mig_line};

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
    /// The engine's proof that it cannot give GPUs (MW401): of the host, and of no single image.
    no_runtime: Option<String>,
    /// Something shown here grows older by the second.
    pub ages: bool,
}

impl Top {
    /// Takes the host's word on whether its engine can give GPUs.
    pub fn no_runtime(&mut self, host: &crate::verdict::facts::HostFacts) {
        if self.no_runtime != host.no_gpu_runtime {
            self.no_runtime.clone_from(&host.no_gpu_runtime);
        }
    }

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
        self.gpu_lines(world, now, config);
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
        if let Some(proof) = &self.no_runtime {
            let mut text = "this engine cannot give GPUs to containers (MW401): ".to_owned();
            push_clean(&mut text, proof);
            let remedy =
                "install the NVIDIA Container Toolkit and configure the engine with `nvidia-ctk`";
            self.push_banner(Tone::Bad, text, remedy);
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

    fn gpu_lines(&mut self, world: &World, now: Stamp, config: &StateConfig) {
        let zone = &config.time_zone;
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
            DriverStatus::Released => {
                let key = config
                    .keymap
                    .key_label(Mode::Normal, Action::ReleaseGpus)
                    .unwrap_or_else(|| "SIGUSR1".to_owned());
                Some(plain(
                    "GPUs released: midwatch holds no NVML now",
                    &format!("{key} takes them again"),
                    Tone::Warn,
                ))
            }
            DriverStatus::Up(_) => match &snapshot.notice {
                Some(notice) => Some(told(notice)),
                None if snapshot.gpus.is_empty() => {
                    Some(plain("the driver answers and finds no GPU", "", Tone::Warn))
                }
                None => None,
            },
        };
        if self.last_holders.len() > snapshot.gpus.len() {
            self.last_holders
                .retain(|key, _| snapshot.gpus.iter().any(|gpu| gpu.key == *key));
        }
        let live = matches!(snapshot.driver, DriverStatus::Up(_));
        for gpu in &snapshot.gpus {
            let line = gpu_line(
                &mut self.last_holders,
                &mut self.ages,
                world,
                gpu,
                now,
                live,
                zone,
            );
            lines.push(line);
            if gpu.state == GpuState::Ok {
                for (place, instance) in gpu.mig_instances.iter().enumerate() {
                    lines.push(mig_line(world, gpu, place, instance));
                }
            }
        }
        self.strip = lines;
    }
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
