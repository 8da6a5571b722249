//! What the dashboard knows and shows. Only `update` writes it; views read it.

pub(crate) mod checks;
pub(crate) mod columns;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod jobs;
mod judging;
pub(crate) mod launches;
pub(crate) mod layers;
pub(crate) mod list;
mod lost;
mod order;
pub(crate) mod paragraphs;
mod place;
pub(crate) mod processes;
pub(crate) mod strip;
pub(crate) mod top;
mod verdict_facts;
pub(crate) mod verdict_pane;
pub(crate) mod verdicts;
pub(crate) mod xid;

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::launch::Surroundings;
use crate::logs::{Limits, LogTarget};
use crate::model::{ContainerKey, EngineStatus, GpuKey, HostId, Stamp};
use crate::tui::Action;
use crate::tui::form;
use crate::tui::form::after::Launching;
use crate::tui::form::state::Phase;
use crate::tui::keymap::{Hint, Keymap, Mode};
use crate::tui::logs::{LogsState, Viewport};
use crate::tui::preferences::Preferences;
use crate::tui::views::Regions;
use crate::tui::views::layout::{self, Layout};
use crate::watch::World;

pub use place::{Focus, Page, Tab};

use columns::Column;
use images::Images;
use inspect::{Inspect, Subject};
use jobs::Jobs;
use launches::Launches;
use layers::{Layer, Prompt};
use list::List;
use processes::{Processes, Scope};
use top::Top;
use verdict_pane::{Pane, Source, Whose};
use verdicts::Verdicts;

/// What the state starts with.
#[derive(Debug, Clone)]
pub struct StateConfig {
    /// The host whose world is shown.
    pub host: HostId,
    /// The keys in force.
    pub keymap: Keymap,
    /// What the user chose last time.
    pub preferences: Preferences,
    /// The last launches and presets.
    pub launches: Launches,
    /// Environment and folders of who launches.
    pub surroundings: Surroundings,
    /// Refuse everything that changes something.
    pub read_only: bool,
    /// The simulated host is shown.
    pub demo: bool,
    /// Stop timeouts offered beside the container's own.
    pub stop_timeouts: Vec<Duration>,
    /// A question that nobody answers for so long closes itself, undone; zero: never.
    pub confirm_timeout: Duration,
    /// How much of an open log is kept.
    pub log_limits: Limits,
    /// The zone that the clock is shown in.
    pub time_zone: TimeZone,
    /// Whether the mouse is captured.
    pub mouse: bool,
    /// The terminal's columns and rows.
    pub size: (u16, u16),
}

impl StateConfig {
    /// The usual start: no preferences, default keys, UTC, 80 by 24.
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            keymap: Keymap::default(),
            preferences: Preferences::default(),
            launches: Launches::default(),
            surroundings: Surroundings::default(),
            read_only: false,
            demo: false,
            stop_timeouts: [10, 60, 300, 1800].map(Duration::from_secs).to_vec(),
            confirm_timeout: Duration::from_secs(60),
            log_limits: Limits::default(),
            time_zone: TimeZone::UTC,
            mouse: false,
            size: (80, 24),
        }
    }
}

/// Where the user is.
#[derive(Debug)]
pub(crate) struct Ui {
    pub page: Page,
    pub focus: Focus,
    pub zoom: bool,
    /// The chosen tab of each page.
    pub tabs: [Tab; 3],
    pub layers: Vec<Layer>,
    pub mouse: bool,
    pub size: (u16, u16),
    pub regions: Regions,
    /// Charts show five minutes instead of the hour; `None`: whichever has something to show.
    pub fine: Option<bool>,
    /// First line of the Env tab, the users, the Xid events, a GPU's facts.
    pub scroll: usize,
    /// When the selection was last moved.
    pub moved: Duration,
}

/// The GPUs page.
#[derive(Debug, Default)]
pub(crate) struct GpuPage {
    pub selected: usize,
    pub offset: usize,
    anchor: Option<GpuKey>,
    pub released: bool,
    /// The Processes tab shows those of all GPUs, not of the selected one alone.
    pub all_processes: bool,
}

/// The footer's keys, printed once.
#[derive(Debug)]
pub(crate) struct Hints {
    hints: Vec<(Mode, Vec<Hint>)>,
}

impl Hints {
    fn new(keymap: &Keymap) -> Self {
        let hints = Mode::ALL
            .iter()
            .map(|m| (*m, keymap.hints(*m, Action::ALL)));
        Self {
            hints: hints.collect(),
        }
    }

    /// Key and word of an action; `None` where it has no key in this mode.
    pub fn get(&self, mode: Mode, action: Action) -> Option<(&str, &'static str)> {
        let (_, hints) = self.hints.iter().find(|(m, _)| *m == mode)?;
        let hint = hints.iter().find(|h| h.action == action)?;
        Some((&hint.key, hint.label))
    }
}

/// Everything the dashboard knows and shows.
#[derive(Debug)]
pub struct State {
    /// The newest truth; the loop folds news into it and then sends [`crate::tui::Event::World`].
    pub world: World,
    pub(crate) config: StateConfig,
    pub(crate) ui: Ui,
    pub(crate) top: Top,
    pub(crate) list: List,
    pub(crate) gpus: GpuPage,
    pub(crate) processes: Processes,
    pub(crate) images: Images,
    pub(crate) inspect: Inspect,
    pub(crate) verdicts: Verdicts,
    pub(crate) verdict_pane: Pane,
    pub(crate) logs: LogsState,
    /// The containers whose logs are merged, while the user wants that.
    pub(crate) merged: Vec<ContainerKey>,
    /// A shell has the terminal, or is about to: no log is read meanwhile.
    pub(crate) away: bool,
    pub(crate) jobs: Jobs,
    pub(crate) launch: Launching,
    pub(crate) hints: Hints,
    pub(crate) now: Stamp,
    /// The rows that were last told to be on the screen.
    pub(crate) told_visible: Vec<ContainerKey>,
    /// The number of the newest build.
    pub(crate) builds: u64,
    /// The engine was asked to take away what killed checks left.
    pub(crate) swept: bool,
    /// When the details of a new selection are fetched: not while the user runs down the list.
    pub(crate) settle: Option<Duration>,
    dirty: bool,
}

impl State {
    /// A state in which nothing has been heard yet.
    pub fn new(config: StateConfig, now: Stamp) -> Self {
        let mut logs = LogsState::new(config.time_zone.clone(), config.log_limits);
        logs.prefer(
            config.preferences.log_wrap,
            config.preferences.log_timestamps,
        );
        let mut state = Self {
            world: World::new(config.host),
            ui: Ui {
                page: Page::Containers,
                focus: Focus::List,
                zoom: false,
                tabs: [Tab::Charts, Tab::Processes, Tab::Verdict],
                layers: Vec::new(),
                mouse: config.mouse,
                size: config.size,
                regions: Regions::default(),
                fine: None,
                scroll: 0,
                moved: Duration::ZERO,
            },
            top: Top::default(),
            list: List::new(&config.preferences),
            gpus: GpuPage::default(),
            processes: Processes::default(),
            images: Images::default(),
            inspect: Inspect::default(),
            verdicts: Verdicts::default(),
            verdict_pane: Pane::default(),
            logs,
            merged: Vec::new(),
            away: false,
            jobs: Jobs::default(),
            launch: Launching::new(config.launches.clone()),
            hints: Hints::new(&config.keymap),
            config,
            now,
            told_visible: Vec::new(),
            builds: 0,
            swept: false,
            settle: None,
            dirty: true,
        };
        state.refresh(true);
        state
    }

    /// Whether a frame is owed.
    pub fn frame_owed(&self) -> bool {
        self.dirty
    }

    /// Whether a frame is owed; asking settles it.
    pub fn take_frame_owed(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// A frame has been drawn, and this is where its parts are (for the mouse).
    pub fn drawn(&mut self, regions: Regions) {
        self.ui.regions = regions;
        self.dirty = false;
    }

    /// What the keyboard does at the moment.
    pub fn mode(&self) -> Mode {
        match self.ui.layers.last() {
            Some(Layer::Prompt(_) | Layer::BuildForm(_)) => Mode::Input,
            Some(Layer::Form(form)) if form.phase == Phase::Edit => Mode::Form,
            Some(_) => Mode::Dialog,
            None if self.logs_focused() && self.logs.wants_text() => Mode::Input,
            None if self.logs_focused() => Mode::Logs,
            None => Mode::Normal,
        }
    }

    pub(crate) fn logs_focused(&self) -> bool {
        self.ui.focus == Focus::Details && self.logs_visible()
    }

    /// Whose logs should be open now: the merged ones, else the selected container's or project's; none while
    /// the tab is not on the screen.
    pub(crate) fn log_targets(&self) -> Vec<LogTarget> {
        if self.away || !self.logs_visible() {
            return Vec::new();
        }
        let keys = if self.merged.is_empty() {
            match self.list.selected_item() {
                Some(list::Item::Container(key)) => vec![*key],
                Some(list::Item::Project(project)) => list::members(&self.world, project).collect(),
                None => Vec::new(),
            }
        } else {
            self.merged.clone()
        };
        let target = |key: ContainerKey| {
            let row = self.world.rows.get(&key)?;
            let mut name = String::new();
            crate::tui::fmt::push_clean(&mut name, &row.container.name);
            Some(LogTarget { key, name })
        };
        keys.into_iter().filter_map(target).collect()
    }

    /// When (on the monotonic clock) the loop should send a `Tick` at the latest; `None`: not before
    /// something happens.
    pub fn deadline(&self) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        let mut at = |time: Duration| next = Some(next.map_or(time, |n| n.min(time)));
        for toast in &self.jobs.toasts {
            at(toast.until);
        }
        if let Some(settle) = self.settle {
            at(settle);
        }
        for due in [form::flow::deadline(self), self.launch.deadline()] {
            due.into_iter().for_each(&mut at);
        }
        if let Some(until) = self.question_until() {
            at(until);
        }
        if let Some(again) = self.images.again.filter(|_| self.images_visible()) {
            at(again);
        }
        if let Some(until) = self.list.flash_until {
            at(until);
        }
        if self.top.ages {
            at(self.now.mono + Duration::from_secs(1));
        }
        // The clock in the header.
        let second = self.now.wall.as_second().rem_euclid(60);
        let rest = u64::try_from(60 - second).unwrap_or(60);
        at(self.now.mono + Duration::from_secs(rest));
        next
    }

    /// When the question on top closes itself.
    pub(crate) fn question_until(&self) -> Option<Duration> {
        let limit = self.config.confirm_timeout;
        match self.ui.layers.last() {
            Some(Layer::Confirm(confirm)) if !limit.is_zero() => Some(confirm.asked + limit),
            _ => None,
        }
    }

    /// The choices to keep for the next time.
    pub fn preferences(&self) -> Preferences {
        let default = self.list.columns == Column::DEFAULT;
        let ids = self.list.columns.iter().map(|c| c.id().to_owned());
        Preferences {
            columns: if default { Vec::new() } else { ids.collect() },
            sort: Some(self.list.sort.id().to_owned()),
            sort_reversed: self.list.reversed,
            show_stopped: Some(self.list.show_stopped),
            log_timestamps: self.logs.shows_timestamps(),
            log_wrap: Some(self.logs.wraps()),
        }
    }

    /// Whether the log of the selected container is on the screen (for attaching to it).
    pub fn logs_visible(&self) -> bool {
        self.ui.page == Page::Containers
            && self.tab() == Tab::Logs
            && self.layout().details.is_some()
    }

    /// Whether images are on the screen, so that they are worth fetching again after an image event.
    pub fn images_visible(&self) -> bool {
        self.ui.page == Page::Images
    }

    pub(crate) fn tab(&self) -> Tab {
        let [containers, gpus, images] = self.ui.tabs;
        match self.ui.page {
            Page::Containers => containers,
            Page::Gpus => gpus,
            Page::Images => images,
        }
    }

    pub(crate) fn set_tab(&mut self, tab: Tab) {
        let [containers, gpus, images] = &mut self.ui.tabs;
        match self.ui.page {
            Page::Containers => *containers = tab,
            Page::Gpus => *gpus = tab,
            Page::Images => *images = tab,
        }
        self.ui.scroll = 0;
    }

    pub(crate) fn layout(&self) -> Layout {
        layout::compute(self)
    }

    pub(crate) fn touch(&mut self) {
        self.dirty = true;
    }

    /// The engine's rows may no longer be true.
    pub(crate) fn stale(&self) -> bool {
        matches!(self.world.engine, EngineStatus::Down { .. })
    }

    /// The prompt on top, if it is of that page's filter.
    pub(crate) fn filter_prompt(&self) -> Option<&Prompt> {
        match self.ui.layers.last() {
            Some(Layer::Prompt(prompt)) if prompt.kind == layers::PromptKind::Filter => {
                Some(prompt)
            }
            _ => None,
        }
    }

    /// Brings everything that is shown up to date with the world and the user's wishes.
    pub(crate) fn refresh(&mut self, forced: bool) {
        let now = self.now;
        let columns = self.ui.size.0;
        self.verdicts.rebuild(&self.world, now);
        self.top.no_runtime(self.verdicts.host());
        self.top
            .rebuild(&self.world, &self.config, now, columns, self.ui.mouse);
        self.list.rebuild(&self.world, &self.verdicts, now, forced);
        self.follow_gpu();
        if self.ui.page == Page::Images {
            self.images.rebuild(&self.world, &self.verdicts);
        }
        if self.tab() == Tab::Processes {
            let scope = Scope::of(self);
            self.processes.rebuild(&self.world, scope);
        }
        self.window();
        let world = &self.world;
        for layer in &mut self.ui.layers {
            if let Layer::Form(form) = layer {
                form.rebuild(world);
            }
        }
        self.write_verdict();
        self.check_question();
    }

    /// Lays the windows of lists and tables over the selection, and formats what is in them.
    fn window(&mut self) {
        let layout = self.layout();
        let jobs = &self.jobs;
        let inside = layout.list_inside();
        let pending = |key: &crate::model::ContainerKey| jobs.pending(key);
        if self.ui.page == Page::Containers {
            self.list.format(
                &self.world,
                &self.verdicts,
                self.now,
                usize::from(inside.height),
                inside.width,
                &pending,
            );
        }
        let rows = usize::from(inside.height);
        match self.ui.page {
            Page::Images => self.images.window(rows),
            Page::Gpus => {
                let total = self.top.strip.len();
                if self.gpus.selected < self.gpus.offset {
                    self.gpus.offset = self.gpus.selected;
                } else if rows > 0 && self.gpus.selected >= self.gpus.offset + rows {
                    self.gpus.offset = self.gpus.selected + 1 - rows;
                }
                self.gpus.offset = self.gpus.offset.min(total.saturating_sub(rows));
            }
            Page::Containers => {}
        }
        let details = layout.details_inside();
        let used = 1 + u16::from(self.logs.wants_text());
        self.logs.set_viewport(Viewport {
            columns: details.width,
            rows: details.height.saturating_sub(used).max(1),
        });
        self.processes
            .window(usize::from(details.height.saturating_sub(1)));
    }

    fn follow_gpu(&mut self) {
        let strip = &self.top.strip;
        let found = self
            .gpus
            .anchor
            .as_ref()
            .and_then(|key| strip.iter().position(|l| l.key.as_ref() == Some(key)));
        self.gpus.selected = found
            .unwrap_or(self.gpus.selected)
            .min(strip.len().saturating_sub(1));
    }

    pub(crate) fn select_gpu(&mut self, index: usize) {
        self.gpus.selected = index.min(self.top.strip.len().saturating_sub(1));
        let line = self.top.strip.get(self.gpus.selected);
        self.gpus.anchor = line.and_then(|l| l.key.clone());
    }

    /// The selected GPU; the parent where a MIG instance is selected.
    pub(crate) fn selected_gpu(&self) -> Option<&crate::model::Gpu> {
        let key = self.top.strip.get(self.gpus.selected)?.key.as_ref()?;
        let mut gpus = self.world.gpus.iter().flat_map(|s| &s.gpus);
        gpus.find(|g| g.key == *key || g.mig_instances.iter().any(|m| m.key == *key))
    }

    /// What the Inspect and Env tabs are about, where one of them is on the screen.
    pub(crate) fn inspect_subject(&self) -> Option<Subject> {
        if !matches!(self.tab(), Tab::Inspect | Tab::Env) || self.layout().details.is_none() {
            return None;
        }
        match self.ui.page {
            Page::Containers => self.list.selected_key().map(Subject::Container),
            Page::Images => self.images.selected_id().map(Subject::Image),
            Page::Gpus => None,
        }
    }

    /// Whose verdict the Verdict tab would show.
    pub(crate) fn verdict_of(&self) -> Option<Whose> {
        match self.ui.page {
            Page::Containers => self.list.selected_key().map(Whose::Container),
            Page::Images => self.images.selected_id().map(Whose::Image),
            Page::Gpus => None,
        }
    }

    /// Whether the Verdict tab is on the screen.
    pub(crate) fn verdict_visible(&self) -> bool {
        self.tab() == Tab::Verdict && self.layout().details.is_some()
    }

    /// Writes the Verdict tab's text, where it is on the screen and something of it changed.
    fn write_verdict(&mut self) {
        if !self.verdict_visible() {
            return;
        }
        let Some(whose) = self.verdict_of() else {
            return;
        };
        let inside = self.layout().details_inside();
        let (width, changes) = (inside.width.saturating_sub(2), self.verdicts.changes());
        if !self.verdict_pane.is_of(&whose, width, changes) {
            let key = |action| {
                self.hints
                    .get(Mode::Normal, action)
                    .map_or("", |(key, _)| key)
            };
            let source = Source {
                whose,
                world: &self.world,
                verdicts: &self.verdicts,
                check: key(Action::Check),
                check_own: key(Action::CheckContainer),
                back: key(Action::Back),
                read_only: self.config.read_only,
                zone: &self.config.time_zone,
            };
            self.verdict_pane.write(&source, width);
        }
        let most = self.verdict_pane.lines.len();
        let most = most.saturating_sub(usize::from(inside.height).max(1));
        self.ui.scroll = self.ui.scroll.min(most);
    }

    /// What inspect's answer about the selected container depends on.
    pub(crate) fn inspect_basis(&self) -> inspect::Basis {
        let Some(Subject::Container(key)) = self.inspect_subject() else {
            return None;
        };
        let container = &self.world.rows.get(&key)?.container;
        Some((
            container.state,
            container.started_at(),
            container.name.clone(),
        ))
    }

    /// A question stands for exactly the set it showed: what vanished is struck out, and `No` is chosen again.
    fn check_question(&mut self) {
        let Some(Layer::Confirm(confirm)) = self.ui.layers.last_mut() else {
            return;
        };
        if let layers::Ask::Containers { targets, .. } = &mut confirm.ask {
            for target in targets {
                let row = self.world.rows.get(&target.key);
                let gone = row.is_none();
                let live = row.is_some_and(|r| r.container.state.is_live());
                if gone != target.gone || live != target.live {
                    target.gone = gone;
                    target.live = live;
                    confirm.changed = true;
                    confirm.yes = false;
                }
            }
        }
    }
}
