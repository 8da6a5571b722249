//! What is known of images and containers, and their verdicts. They are judged when facts, host or grant
//! change, never for a frame.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::check::Subject;
use crate::inspect::Known;
use crate::model::{Container, ContainerKey, EngineStatus, ImageId, Stamp};
use crate::tui::fmt::put;
use crate::tui::widgets::Tone;
use crate::verdict::facts::{HostFacts, ImageFacts};
use crate::verdict::{Answer, Severity, Verdict, judge};
use crate::watch::World;

use super::checks::{Checks, Stage};
use super::judging::{Given, HostBasis, facts, host_facts, of_container};

/// Containers are looked through at most this often while nothing says that one of them changed.
const LOOK: Duration = Duration::from_secs(3);

/// Configurations that are asked for at once.
const AT_ONCE: usize = 4;

/// A verdict in seven columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Badge {
    pub text: String,
    pub tone: Tone,
    /// What needs a look comes first: fails, limited, unknown, works, no CUDA.
    pub rank: u8,
}

impl Badge {
    /// The badge of a verdict. That this host gives no GPU at all (MW401) is no image's fault.
    fn of(verdict: &Verdict) -> Self {
        let first = verdict.findings.first();
        let needs = verdict.needs.as_ref();
        let mut text = String::new();
        let (tone, rank) = match verdict.answer {
            Answer::Fails if first.is_some_and(|f| f.rule.0 == 401) => {
                text.push('?');
                (Tone::Dim, 2)
            }
            Answer::Fails => {
                text.push('✘');
                if let Some(finding) = first {
                    put(&mut text, format_args!(" {}", finding.rule));
                }
                (Tone::Bad, 0)
            }
            Answer::Limited => {
                text.push('~');
                match (needs, first) {
                    (Some(cuda), _) => {
                        put(
                            &mut text,
                            format_args!(" {}.{}", cuda.major(), cuda.minor()),
                        );
                    }
                    (None, Some(finding)) => put(&mut text, format_args!(" {}", finding.rule)),
                    (None, None) => {}
                }
                (Tone::Warn, 1)
            }
            Answer::Unknown => {
                text.push('?');
                (Tone::Dim, 2)
            }
            Answer::Works => {
                text.push('✔');
                if let Some(cuda) = needs {
                    put(
                        &mut text,
                        format_args!(" {}.{}", cuda.major(), cuda.minor()),
                    );
                }
                (Tone::Good, 3)
            }
            Answer::NoCuda => {
                text.push_str(crate::tui::fmt::ABSENT);
                (Tone::Dim, 4)
            }
        };
        Self { text, tone, rank }
    }
}

/// A verdict with what it was judged from.
#[derive(Debug)]
struct Judged {
    known: Arc<Known>,
    host: u64,
    given: Given,
    verdict: Verdict,
    badge: Badge,
}

/// What is known of an image.
#[derive(Debug, Clone)]
pub enum Knowledge {
    /// Nothing, and nobody asked.
    Nothing,
    /// It has been asked for.
    Asked,
    /// This.
    Known(Arc<Known>),
    /// It could not be had. It is not asked for again by itself.
    Failed(String),
}

#[derive(Debug)]
struct ImageEntry {
    knowledge: Knowledge,
    judged: Option<Judged>,
}

impl ImageEntry {
    /// What the lists say where its configuration could not be had.
    fn no_answer(&self) -> Option<(&'static str, Tone)> {
        matches!(self.knowledge, Knowledge::Failed(_)).then_some(("?", Tone::Dim))
    }
}

#[derive(Debug, Default)]
struct ContainerEntry {
    /// Its own file system as it was scanned, and when.
    own: Option<(Arc<Known>, Stamp)>,
    judged: Option<Judged>,
    /// The state of all knowledge when it was last looked at.
    seen: u64,
}

/// Everything known and judged.
#[derive(Debug)]
pub struct Verdicts {
    images: HashMap<ImageId, ImageEntry>,
    containers: HashMap<ContainerKey, ContainerEntry>,
    pub checks: Checks,
    basis: HostBasis,
    host: HostFacts,
    /// Counts the host's changes.
    host_changes: u64,
    /// Counts changes of what is known.
    known_changes: u64,
    /// Counts changes of anything here that may be shown.
    changes: u64,
    /// Images of containers of which nothing is known and nobody asked.
    unknown: BTreeSet<ImageId>,
    asked: usize,
    /// The engine answered when it was last looked at.
    up: bool,
    /// When the containers are looked through again, and what was the case when they last were: their number,
    /// what is known, the host.
    look_at: Duration,
    looked: (usize, u64, u64),
    /// How facts are made of what is known.
    pub derive: fn(&Known) -> ImageFacts,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            images: HashMap::new(),
            containers: HashMap::new(),
            checks: Checks::default(),
            basis: HostBasis::default(),
            host: HostFacts::default(),
            host_changes: 0,
            known_changes: 1,
            changes: 0,
            unknown: BTreeSet::new(),
            asked: 0,
            up: false,
            look_at: Duration::ZERO,
            looked: (0, 0, 0),
            derive: facts,
        }
    }
}

impl Verdicts {
    /// Brings the verdicts up to date.
    pub fn rebuild(&mut self, world: &World, now: Stamp) {
        let today = now.wall.to_zoned(jiff::tz::TimeZone::UTC);
        let month = (today.year(), today.month());
        if !self.basis.holds(world, month) {
            self.basis.renew(world, month);
            self.host = host_facts(world, &self.basis);
            self.host_changes += 1;
            self.changes += 1;
        }
        let up = matches!(world.engine, EngineStatus::Up(_));
        if up && !std::mem::replace(&mut self.up, up) {
            // What failed may have failed for want of the engine.
            self.retry();
        }
        self.up = up;
        self.judge_images();
        let looked = (world.rows.len(), self.known_changes, self.host_changes);
        if self.looked != looked || now.mono >= self.look_at {
            self.looked = looked;
            self.look_at = now.mono + LOOK;
            self.judge_containers(world);
            self.forget(world);
        }
    }

    /// Something about the containers or what they were given may have changed.
    pub fn look_again(&mut self) {
        self.look_at = Duration::ZERO;
    }

    fn judge_images(&mut self) {
        for entry in self.images.values_mut() {
            let Knowledge::Known(known) = &entry.knowledge else {
                continue;
            };
            let holds = entry
                .judged
                .as_ref()
                .is_some_and(|j| j.host == self.host_changes && Arc::ptr_eq(&j.known, known));
            if !holds {
                let verdict = judge(&(self.derive)(known), &self.host);
                entry.judged = Some(Judged {
                    known: Arc::clone(known),
                    host: self.host_changes,
                    given: Given::default(),
                    badge: Badge::of(&verdict),
                    verdict,
                });
                self.changes += 1;
            }
        }
    }

    fn judge_containers(&mut self, world: &World) {
        for (key, row) in &world.rows {
            let entry = self.containers.entry(*key).or_default();
            let detail = row.container.detail.as_deref();
            let gpus = world.joined.containers.get(key);
            let given = gpus.map_or(&[][..], |g| &g.given);
            let same = |judged: &Judged| {
                judged.host == self.host_changes && judged.given.holds(detail, given)
            };
            if entry.seen == self.known_changes && entry.judged.as_ref().is_none_or(same) {
                continue;
            }
            entry.seen = self.known_changes;
            let image = &row.container.image_id;
            let known = match &entry.own {
                Some((known, _)) => Some(known),
                None => match self.images.get(image).map(|i| &i.knowledge) {
                    Some(Knowledge::Known(known)) => Some(known),
                    Some(_) => None,
                    None => {
                        self.unknown.insert(image.clone());
                        None
                    }
                },
            };
            let Some(known) = known else {
                self.changes += u64::from(entry.judged.take().is_some());
                continue;
            };
            let judged = entry.judged.as_ref();
            if judged.is_some_and(|j| Arc::ptr_eq(&j.known, known) && same(j)) {
                continue;
            }
            let (facts, host) = of_container(self.derive, &self.host, world, known, detail, gpus);
            let verdict = judge(&facts, &host);
            entry.judged = Some(Judged {
                known: Arc::clone(known),
                host: self.host_changes,
                given: Given {
                    inspected: detail.is_some(),
                    gpus: given.iter().map(|g| g.key.clone()).collect(),
                },
                badge: Badge::of(&verdict),
                verdict,
            });
            self.changes += 1;
        }
    }

    /// Drops what belongs to containers and images that are no more.
    fn forget(&mut self, world: &World) {
        if self.containers.len() > world.rows.len() {
            self.containers
                .retain(|key, _| world.rows.contains_key(key));
        }
        let listed = world.images.as_ref().map_or(0, Vec::len);
        if self.images.len() > 64 + world.rows.len() + listed {
            let rows = world.rows.values().map(|r| &r.container.image_id);
            let images = world.images.iter().flatten().map(|i| &i.id);
            let used: HashSet<&ImageId> = rows.chain(images).collect();
            self.images
                .retain(|id, e| used.contains(id) || matches!(e.knowledge, Knowledge::Asked));
        }
    }

    /// The images to ask for now, those of `first`, then where `others` says so those of
    /// any container. They count as asked for.
    pub fn wanted<'a>(
        &mut self,
        first: impl Iterator<Item = &'a ImageId>,
        others: bool,
    ) -> Vec<ImageId> {
        let mut room = AT_ONCE.saturating_sub(self.asked);
        let mut wanted = Vec::new();
        if room == 0 {
            return wanted;
        }
        for id in first {
            if !self.images.contains_key(id) && !wanted.contains(id) {
                wanted.push(id.clone());
                room -= 1;
                if room == 0 {
                    break;
                }
            }
        }
        for id in &wanted {
            self.unknown.remove(id);
        }
        while others
            && room > 0
            && let Some(id) = self.unknown.pop_first()
        {
            if !self.images.contains_key(&id) {
                wanted.push(id);
                room -= 1;
            }
        }
        for id in &wanted {
            let entry = ImageEntry {
                knowledge: Knowledge::Asked,
                judged: None,
            };
            self.images.insert(id.clone(), entry);
            self.asked += 1;
            self.changes += 1;
        }
        wanted
    }

    /// Whether an image of a container waits to be asked for.
    pub fn wants(&self) -> bool {
        !self.unknown.is_empty() && self.asked < AT_ONCE
    }

    /// An image's configuration came, or why it did not. What a scan has told meanwhile stays.
    pub fn known(&mut self, image: ImageId, result: Result<Arc<Known>, String>) {
        let old = self.images.get(&image).map(|e| &e.knowledge);
        if matches!(old, Some(Knowledge::Asked)) {
            self.asked = self.asked.saturating_sub(1);
        }
        if matches!(old, Some(Knowledge::Known(known)) if known.content.is_some()) {
            return;
        }
        let knowledge = match result {
            Ok(known) => Knowledge::Known(known),
            Err(text) => Knowledge::Failed(text),
        };
        self.set(image, knowledge);
    }

    /// A scan told all.
    pub fn scanned(&mut self, subject: &Subject, known: Arc<Known>, now: Stamp) {
        match subject {
            Subject::Image(image) => {
                let old = self.images.get(image).map(|e| &e.knowledge);
                if matches!(old, Some(Knowledge::Asked)) {
                    self.asked = self.asked.saturating_sub(1);
                }
                self.set(image.clone(), Knowledge::Known(known));
            }
            Subject::Container(key) => {
                // A container that is gone is not remembered.
                if let Some(entry) = self.containers.get_mut(key) {
                    entry.own = Some((known, now));
                    entry.seen = 0;
                    self.look_at = Duration::ZERO;
                    self.changes += 1;
                }
            }
        }
    }

    fn set(&mut self, image: ImageId, knowledge: Knowledge) {
        self.unknown.remove(&image);
        self.known_changes += 1;
        self.changes += 1;
        let judged = None;
        self.images.insert(image, ImageEntry { knowledge, judged });
    }

    /// What failed may be asked for again.
    pub fn retry(&mut self) {
        self.images
            .retain(|_, e| !matches!(e.knowledge, Knowledge::Failed(_)));
        self.known_changes += 1;
        self.changes += 1;
    }

    /// Something about a check changed.
    pub fn touch(&mut self) {
        self.changes += 1;
    }

    /// Grows with every change of what may be shown.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What is known of an image.
    pub fn image(&self, image: &ImageId) -> Knowledge {
        let entry = self.images.get(image);
        entry.map_or(Knowledge::Nothing, |e| e.knowledge.clone())
    }

    /// Whether an image was looked into.
    pub fn has_content(&self, image: &ImageId) -> bool {
        let knowledge = self.images.get(image).map(|e| &e.knowledge);
        matches!(knowledge, Some(Knowledge::Known(known)) if known.content.is_some())
    }

    /// A container's own file system, where that was scanned, and when.
    pub fn own(&self, key: &ContainerKey) -> Option<&(Arc<Known>, Stamp)> {
        self.containers.get(key)?.own.as_ref()
    }

    /// An image's verdict on this host.
    pub fn of_image(&self, image: &ImageId) -> Option<&Verdict> {
        Some(&self.images.get(image)?.judged.as_ref()?.verdict)
    }

    /// A container's verdict with what it was given.
    pub fn of_container(&self, key: &ContainerKey) -> Option<&Verdict> {
        Some(&self.containers.get(key)?.judged.as_ref()?.verdict)
    }

    /// The host it is judged for.
    pub fn host(&self) -> &HostFacts {
        &self.host
    }

    /// Facts of a container and the host as it sees it.
    pub fn inputs(
        &self,
        world: &World,
        known: &Known,
        container: Option<&Container>,
    ) -> (ImageFacts, HostFacts) {
        match container {
            Some(container) => {
                let gpus = world.joined.containers.get(&container.key);
                let detail = container.detail.as_deref();
                of_container(self.derive, &self.host, world, known, detail, gpus)
            }
            None => ((self.derive)(known), self.host.clone()),
        }
    }

    /// What the list says of an image; `None` while nothing is known of it.
    pub fn image_badge(&self, image: &ImageId) -> Option<(&str, Tone)> {
        if !self.checks.is_idle()
            && let Some(badge) = self.check_badge(&Subject::Image(image.clone()))
        {
            return Some(badge);
        }
        let entry = self.images.get(image)?;
        match &entry.judged {
            Some(judged) => Some((&judged.badge.text, judged.badge.tone)),
            None => entry.no_answer(),
        }
    }

    /// What the list says of a container; `None` while nothing is known of its image.
    pub fn container_badge(&self, container: &Container) -> Option<(&str, Tone)> {
        if !self.checks.is_idle() {
            let own = self.check_badge(&Subject::Container(container.key));
            let image = || self.check_badge(&Subject::Image(container.image_id.clone()));
            if let Some(badge) = own.or_else(image) {
                return Some(badge);
            }
        }
        match &self.containers.get(&container.key)?.judged {
            Some(judged) => Some((&judged.badge.text, judged.badge.tone)),
            None => self.images.get(&container.image_id)?.no_answer(),
        }
    }

    fn check_badge(&self, subject: &Subject) -> Option<(&str, Tone)> {
        match self.checks.stage(subject) {
            Stage::Running(running) => Some((&running.badge, Tone::Accent)),
            Stage::Waiting(_) => Some(("waits", Tone::Dim)),
            Stage::Idle => None,
        }
    }

    /// An image's place in the order of verdicts.
    pub fn image_rank(&self, image: &ImageId) -> Option<u8> {
        Some(self.images.get(image)?.judged.as_ref()?.badge.rank)
    }

    /// A container's place in the order of verdicts.
    pub fn container_rank(&self, key: &ContainerKey) -> Option<u8> {
        Some(self.containers.get(key)?.judged.as_ref()?.badge.rank)
    }
}

/// The mark and tone of a severity.
pub fn severity_mark(severity: Severity) -> (&'static str, Tone) {
    match severity {
        Severity::Error => ("✘", Tone::Bad),
        Severity::Warning => ("!", Tone::Warn),
        Severity::Info => ("·", Tone::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Finding, Version};

    fn badge(answer: Answer, rule: Option<u16>, needs: Option<&str>) -> (String, Tone, u8) {
        let findings = rule.map(|rule| Finding::new(rule, Severity::Error, "x"));
        let badge = Badge::of(&Verdict {
            answer,
            findings: findings.into_iter().collect(),
            unknown: Vec::new(),
            notes: Vec::new(),
            needs: needs.and_then(Version::parse),
        });
        assert!(crate::tui::widgets::width(&badge.text) <= 8);
        (badge.text, badge.tone, badge.rank)
    }

    #[test]
    fn a_badge_says_it_in_seven_columns() {
        let cases = [
            (Answer::Fails, Some(102), Some("13.0"), "✘ MW102", 0),
            (Answer::Limited, Some(103), Some("12.8.1"), "~ 12.8", 1),
            (Answer::Limited, Some(301), None, "~ MW301", 1),
            (Answer::Unknown, None, Some("12.4"), "?", 2),
            (Answer::Works, None, Some("12.4.127"), "✔ 12.4", 3),
            (Answer::Works, None, None, "✔", 3),
            (Answer::NoCuda, None, None, "—", 4),
            // The host's fault is no image's.
            (Answer::Fails, Some(401), Some("12.4"), "?", 2),
        ];
        for (answer, rule, needs, text, rank) in cases {
            let (shown, _, ranked) = badge(answer, rule, needs);
            assert_eq!(
                (shown.as_str(), ranked),
                (text, rank),
                "{answer:?} {rule:?}"
            );
        }
        assert_eq!(badge(Answer::Fails, Some(401), None).1, Tone::Dim);
    }
}
