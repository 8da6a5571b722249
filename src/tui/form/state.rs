//! The form: its fields, where the cursor is, what is known of the plan, and how far a start is.

use std::time::Duration;

use super::fields::{self, Kind, Row, Value};
use super::gpus::GpuField;
use crate::check::Subject;
use crate::engine::PullProgress;
use crate::launch::{LaunchSpec, Surroundings};
use crate::launcher::{Conflict, Field, LaunchFault, Plan};
use crate::model::{Problem, Stamp};
use crate::tui::KeyPress;
use crate::tui::state::layers::edit_request;

/// A plan is asked for once the form has rested this long.
pub const SETTLE: Duration = Duration::from_millis(300);

/// A plan older than this is asked for anew before a start: the host may be another one.
pub const FRESH: Duration = Duration::from_secs(5);

/// And one this old while the form is only looked at.
const AGAIN: Duration = Duration::from_secs(10);

/// Where the cursor can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// A field, by its place.
    Row(usize),
    /// How GPUs are chosen.
    Gpus,
    /// The chosen GPUs as text.
    Devices,
    /// A line of the table of GPUs.
    Gpu(usize),
    /// `[ Launch ]`.
    Launch,
}

/// What the form is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// The user writes.
    Edit,
    /// A start waits for the plan.
    Planning,
    /// The image is fetched.
    Pulling(PullProgress),
    /// The image is looked into.
    Checking(Subject),
    /// The container is made and started.
    Starting,
}

/// What a start has been allowed, and what it has done already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// A verdict that says no.
    pub force: bool,
    /// A verdict that says "not as it should".
    pub limited: bool,
    /// To start without looking inside.
    pub skip: bool,
    /// The image was fetched.
    pub pulled: bool,
}

/// What is known of the plan.
#[derive(Debug, Default)]
pub struct Planned {
    /// When the next one is to be asked for.
    pub due: Option<Duration>,
    /// The newest question: its number, and which change of the form it is about.
    pub asked: Option<(u64, u64)>,
    /// The newest answer: which change it is about, when it came, what it says.
    pub answer: Option<(u64, Stamp, Result<Box<Plan>, String>)>,
    /// The engine was away when it was to be asked for.
    pub away: bool,
}

/// Host paths that a text could go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The question's number.
    pub id: u64,
    /// The row it is for, and the text that it had.
    pub row: usize,
    pub text: String,
    /// What was found; `None` while it is looked for.
    pub found: Option<Result<Vec<String>, String>>,
}

/// The form.
#[derive(Debug)]
pub struct Form {
    pub rows: Vec<Row>,
    pub gpus: GpuField,
    detach: bool,
    pub spot: Spot,
    /// Lines past the end of the form that are scrolled to.
    pub below: usize,
    /// Grows with every change.
    pub revision: u64,
    pub plan: Planned,
    pub phase: Phase,
    pub allowed: Allowed,
    /// The number under which it pulls and starts.
    pub id: u64,
    /// The check that it waits for is its own: it is stopped with it.
    pub own_check: bool,
    /// It was asked to stop.
    pub cancelling: bool,
    /// Why it did not come about.
    pub fault: Option<Problem>,
    pub paths: Option<Paths>,
    /// What the user should know, until the next change.
    pub note: Option<String>,
    pub surroundings: Surroundings,
    /// The port that the whole form was opened for is none of these: nothing was changed yet.
    pub touched: bool,
}

impl Form {
    /// The form of a launch.
    pub fn of(spec: &LaunchSpec, surroundings: Surroundings) -> Self {
        Self {
            rows: fields::rows(spec),
            gpus: GpuField::of(spec.gpus.as_ref()),
            detach: spec.detach,
            spot: Spot::Row(0),
            below: 0,
            revision: 1,
            plan: Planned::default(),
            phase: Phase::Edit,
            allowed: Allowed::default(),
            id: 0,
            own_check: false,
            cancelling: false,
            fault: None,
            paths: None,
            note: None,
            surroundings,
            touched: false,
        }
    }

    /// The launch that it describes; a field that cannot be read is left out (see [`Self::faulty`]).
    pub fn spec(&self) -> LaunchSpec {
        let mut spec = LaunchSpec {
            gpus: self.gpus.ask(),
            detach: self.detach,
            ..LaunchSpec::default()
        };
        for row in &self.rows {
            if let Some(value) = row.value.clone() {
                fields::put(&mut spec, row.kind, value);
            }
        }
        spec
    }

    /// The launch as it would be typed: with the GPUs of the plan where there is one.
    pub fn words(&self) -> Vec<String> {
        match self.current() {
            Some(plan) if !plan.docker_run.is_empty() => plan.docker_run.clone(),
            _ => super::line::of(&self.spec()),
        }
    }

    /// The same as one line.
    pub fn line(&self) -> String {
        super::line::one_line(&self.words())
    }

    /// The first field that cannot be read.
    pub fn faulty(&self) -> Option<Spot> {
        let row = self.rows.iter().position(|r| r.error.is_some());
        match row {
            Some(row) => Some(Spot::Row(row)),
            None => self.gpus.error.is_some().then_some(Spot::Devices),
        }
    }

    /// How many fields cannot be read.
    pub fn faults(&self) -> usize {
        let rows = self.rows.iter().filter(|r| r.error.is_some());
        rows.count() + usize::from(self.gpus.error.is_some())
    }

    /// Every place of the cursor, from the top down.
    pub fn spots(&self) -> Vec<Spot> {
        let mut spots = Vec::with_capacity(self.rows.len() + self.gpus.lines.len() + 3);
        for (place, row) in self.rows.iter().enumerate() {
            spots.push(Spot::Row(place));
            if row.kind == Kind::Image {
                spots.push(Spot::Gpus);
                if self.gpus.choice == super::gpus::Choice::These {
                    spots.push(Spot::Devices);
                }
                spots.extend((0..self.gpus.lines.len()).map(Spot::Gpu));
            }
        }
        spots.push(Spot::Launch);
        spots
    }

    /// Moves the cursor; past the end, what stands below is scrolled.
    pub fn travel(&mut self, by: isize) {
        let spots = self.spots();
        let last = spots.len().saturating_sub(1);
        let at = spots.iter().position(|s| *s == self.spot).unwrap_or(0);
        if by < 0 && self.below > 0 {
            self.below = self.below.saturating_sub(by.unsigned_abs());
            return;
        }
        let to = at.saturating_add_signed(by);
        if at == last && by > 0 {
            self.below = self.below.saturating_add(by.unsigned_abs()).min(200);
            return;
        }
        self.go(spots.get(to.min(last)).copied().unwrap_or(Spot::Launch));
    }

    /// Puts the cursor somewhere.
    pub fn go(&mut self, spot: Spot) {
        if self.spot != spot {
            self.paths = None;
        }
        self.spot = spot;
        self.below = 0;
    }

    /// The field under the cursor.
    pub fn row(&self) -> Option<&Row> {
        match self.spot {
            Spot::Row(place) => self.rows.get(place),
            _ => None,
        }
    }

    fn row_mut(&mut self) -> Option<&mut Row> {
        match self.spot {
            Spot::Row(place) => self.rows.get_mut(place),
            _ => None,
        }
    }

    /// Whether a text is being written where the cursor is.
    pub fn writes(&self) -> bool {
        match self.spot {
            Spot::Row(_) => self.row().is_some_and(|r| !r.kind.switch()),
            Spot::Devices => true,
            _ => false,
        }
    }

    /// Something changed: the plan is asked for once it rests.
    pub fn changed(&mut self, now: Duration) {
        self.revision += 1;
        self.touched = true;
        self.fault = None;
        self.note = None;
        self.plan.due = Some(now + SETTLE);
    }

    /// When a plan is to be asked for: a change has rested, or the host may have changed since the last one.
    pub fn due(&self) -> Option<Duration> {
        let old = match (&self.plan.asked, &self.plan.answer) {
            (None, Some((_, at, _))) if self.phase == Phase::Edit => Some(at.mono + AGAIN),
            _ => None,
        };
        self.plan.due.or(old)
    }

    /// The plan is asked for at once.
    pub fn plan_now(&mut self, now: Duration) {
        self.revision += 1;
        self.plan.due = Some(now);
    }

    /// A key for the text under the cursor; whether it meant something.
    pub fn key(&mut self, press: KeyPress, now: Duration) -> bool {
        let around = self.surroundings.clone();
        let Some(request) = edit_request(press) else {
            return false;
        };
        match self.spot {
            Spot::Devices => {
                let change = self.gpus.input.handle(request);
                if change.is_some_and(|c| c.value) {
                    self.gpus.typed();
                    self.changed(now);
                }
            }
            _ => {
                let Some(row) = self.row_mut().filter(|r| !r.kind.switch()) else {
                    return false;
                };
                let change = row.input.handle(request);
                if change.is_some_and(|c| c.value) {
                    row.edited(&around);
                    self.paths = None;
                    self.changed(now);
                }
            }
        }
        true
    }

    /// Puts pasted text in, control characters left out.
    pub fn paste(&mut self, text: &str, now: Duration) {
        for c in text.chars().filter(|c| !c.is_control()).take(4000) {
            self.key(KeyPress::char(c), now);
        }
    }

    /// Adds a row like the one under the cursor, below it.
    pub fn add(&mut self, now: Duration) -> bool {
        let Spot::Row(place) = self.spot else {
            return false;
        };
        let Some(kind) = self.rows.get(place).map(|r| r.kind).filter(|k| k.many()) else {
            return false;
        };
        self.rows.insert(place + 1, Row::empty(kind));
        self.go(Spot::Row(place + 1));
        let _ = now;
        true
    }

    /// Takes the row under the cursor away, or empties it where it is the only one of its kind.
    pub fn remove(&mut self, now: Duration) -> bool {
        match self.spot {
            Spot::Row(place) => {
                let Some(kind) = self.rows.get(place).map(|r| r.kind) else {
                    return false;
                };
                let alike = self.rows.iter().filter(|r| r.kind == kind).count();
                if alike > 1 {
                    self.rows.remove(place);
                    let same = self.rows.get(place).is_some_and(|r| r.kind == kind);
                    self.go(Spot::Row(place.saturating_sub(usize::from(!same))));
                } else if let Some(row) = self.rows.get_mut(place) {
                    *row = Row::empty(kind);
                }
            }
            Spot::Gpus | Spot::Devices | Spot::Gpu(_) => {
                self.gpus.clear();
                self.go(Spot::Gpus);
            }
            Spot::Launch => return false,
        }
        self.changed(now);
        true
    }

    /// Sets the only field of a kind, or the one of this place among its kind.
    pub fn set(&mut self, kind: Kind, nth: usize, text: &str, now: Duration) {
        let row = self.rows.iter_mut().filter(|r| r.kind == kind).nth(nth);
        if let Some(row) = row {
            row.set(text, &self.surroundings);
            self.changed(now);
        }
    }

    /// Fills a field in that is empty, with the word why.
    pub fn offer(&mut self, kind: Kind, value: Value, why: String) {
        let row = Row {
            why: Some(why),
            ..Row::of(kind, value)
        };
        let empty = self
            .rows
            .iter()
            .position(|r| r.kind == kind && r.is_empty());
        match empty.and_then(|place| self.rows.get_mut(place)) {
            Some(place) => *place = row,
            None if kind.many() => {
                let after = self.rows.iter().rposition(|r| r.kind == kind);
                self.rows.insert(after.map_or(0, |p| p + 1), row);
            }
            None => {}
        }
    }

    /// The newest plan that is about the form as it is.
    pub fn current(&self) -> Option<&Plan> {
        match &self.plan.answer {
            Some((revision, _, Ok(plan))) if *revision == self.revision => Some(plan),
            _ => None,
        }
    }

    /// The newest plan, though the form may have changed since.
    pub fn last_plan(&self) -> Option<&Plan> {
        match &self.plan.answer {
            Some((_, _, Ok(plan))) => Some(plan),
            _ => None,
        }
    }

    /// Why there is no plan.
    pub fn plan_error(&self) -> Option<&str> {
        match &self.plan.answer {
            Some((revision, _, Err(why))) if *revision == self.revision => Some(why),
            _ => None,
        }
    }

    /// What stands in the way of a field, or should be known.
    pub fn conflicts(&self, spot: Spot) -> Vec<&Conflict> {
        let plan = self.current();
        let all = plan.iter().flat_map(|p| &p.conflicts);
        all.filter(|c| self.spot_of(c.field) == Some(spot))
            .collect()
    }

    /// Where a conflict's field is on the screen. `None`: nowhere.
    pub fn spot_of(&self, field: Field) -> Option<Spot> {
        let (kind, nth) = match field {
            Field::Image => (Kind::Image, 0),
            Field::Gpus => return Some(Spot::Gpus),
            Field::Name => (Kind::Name, 0),
            Field::Mount(nth) => (Kind::Mount, nth),
            Field::Port(nth) => (Kind::Port, nth),
            Field::Env => (Kind::EnvFile, 0),
            Field::Memory => (Kind::Shm, 0),
            Field::Other => return None,
        };
        // The place in the launch's list counts only what is in it.
        let mut of_kind = self.rows.iter().enumerate().filter(|(_, r)| r.kind == kind);
        let held = of_kind.clone().filter(|(_, r)| r.value.is_some()).nth(nth);
        held.or_else(|| of_kind.next())
            .map(|(place, _)| Spot::Row(place))
    }

    /// Brings the table of GPUs up to date.
    pub fn rebuild(&mut self, world: &crate::watch::World) {
        self.gpus.rebuild(world);
        if let Spot::Gpu(place) = self.spot
            && place >= self.gpus.lines.len()
        {
            self.go(Spot::Gpus);
        }
    }

    /// A start did not come about: the form is to be changed.
    pub fn refuse(&mut self, fault: LaunchFault) {
        self.stop();
        self.fault = Some(fault.problem);
    }

    /// No start goes on any more.
    pub fn stop(&mut self) {
        self.phase = Phase::Edit;
        self.allowed = Allowed::default();
        self.cancelling = false;
    }
}
