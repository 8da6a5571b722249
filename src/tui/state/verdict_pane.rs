//! The Verdict tab's text: headline, progress, host, findings with remedies, facts. Written when something of
//! it changes, and wrapped for one width.

use crate::check::{Progress, Subject};
use crate::inspect::Known;
use crate::model::{Container, ContainerKey, ImageId};
use crate::tui::fmt::{Bytes, Gib, LongAge, put};
use crate::tui::widgets::Tone;
use crate::verdict::facts::{HostFacts, ImageFacts, Injection, Scan};
use crate::verdict::{Answer, Finding, Verdict};

use super::checks::{Running, Stage, percent};
use super::paragraphs::{Paragraphs, TextLine};
use super::verdict_facts;
use super::verdicts::{Knowledge, Verdicts, severity_mark};

/// Columns of the facts' labels.
pub const LABEL: u16 = 13;
/// From this many columns on a check's progress stands in one line.
const WIDE: u16 = 100;
/// Evidence, remedies, frameworks, runtimes that are shown.
pub const MOST: usize = 12;

/// Whose verdict is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    Container(ContainerKey),
    Image(ImageId),
}

/// The tab's text.
#[derive(Debug, Default)]
pub struct Pane {
    made: Option<(Whose, u16, u64)>,
    pub lines: Vec<TextLine>,
    /// What `copy` puts on the clipboard: the first remedy of the first finding that has one.
    pub remedy: Option<String>,
}

/// What the text is made from.
pub struct Source<'a> {
    pub whose: Whose,
    pub world: &'a crate::watch::World,
    pub verdicts: &'a Verdicts,
    /// Keys of the actions, as they are now.
    pub check: &'a str,
    pub check_own: &'a str,
    pub back: &'a str,
    pub read_only: bool,
    pub zone: &'a jiff::tz::TimeZone,
}

impl Pane {
    /// Whether the text is of this, in this width and state.
    pub fn is_of(&self, whose: &Whose, width: u16, changes: u64) -> bool {
        let made = self.made.as_ref();
        made.is_some_and(|(w, c, n)| *c == width && *n == changes && w == whose)
    }

    /// Writes it anew.
    pub fn write(&mut self, source: &Source<'_>, width: u16) {
        self.remedy = None;
        let mut out = Paragraphs::new(width);
        self.story(source, &mut out);
        self.lines = out.lines;
        self.made = Some((source.whose.clone(), width, source.verdicts.changes()));
    }

    fn story(&mut self, source: &Source<'_>, out: &mut Paragraphs) {
        let verdicts = source.verdicts;
        let container = match &source.whose {
            Whose::Container(key) => match source.world.rows.get(key) {
                Some(row) => Some(&row.container),
                None => return,
            },
            Whose::Image(_) => None,
        };
        let image = match (&source.whose, container) {
            (Whose::Image(id), _) => id,
            (_, Some(container)) => &container.image_id,
            _ => return,
        };
        let own = container.and_then(|c| verdicts.own(&c.key));
        let knowledge = match own {
            Some((known, _)) => Knowledge::Known(std::sync::Arc::clone(known)),
            None => verdicts.image(image),
        };
        let verdict = match &source.whose {
            Whose::Container(key) => verdicts.of_container(key),
            Whose::Image(id) => verdicts.of_image(id),
        };
        let known = match &knowledge {
            Knowledge::Known(known) => known,
            other => {
                unknown(source, other, image, out);
                checks(source, container, image, None, out);
                return;
            }
        };
        let Some(verdict) = verdict else { return };
        let (facts, host) = verdicts.inputs(source.world, known, container);
        headline(verdict, &facts, out);
        missing(verdict, &facts, out);
        checks(source, container, image, Some(known), out);
        let named = names_first(verdict);
        for (place, finding) in verdict.findings.iter().enumerate() {
            if place > 0 || !named {
                out.gap();
                let (mark, tone) = severity_mark(finding.severity);
                out.begin(2, tone, mark)
                    .text(tone, &finding.rule.to_string())
                    .text(Tone::Text, " ")
                    .prose(Tone::Strong, &finding.title);
            }
            self.finding(finding, &host, out);
        }
        if let Some(first) = verdict.findings.first() {
            out.begin(2, Tone::Dim, "").prose(
                Tone::Dim,
                &format!("`midwatch explain {}` tells more", first.rule),
            );
        }
        out.gap();
        judged_for(&host, container, out);
        looked_at(source, container, known, own.map(|(_, at)| at), out);
        verdict_facts::write(verdict, &facts, out);
    }

    fn finding(&mut self, finding: &Finding, host: &HostFacts, out: &mut Paragraphs) {
        for line in finding.evidence.iter().take(MOST) {
            out.begin(4, Tone::Dim, "  ").prose(Tone::Text, line);
        }
        let some = !finding.gpus.is_empty() && finding.gpus.len() < host.gpus.len();
        if some {
            let named = host.gpus.iter().filter(|g| finding.gpus.contains(&g.id));
            let names: Vec<String> = named
                .map(|g| format!("{} ({})", g.name, short_id(&g.id)))
                .collect();
            out.begin(4, Tone::Dim, "  ")
                .text(Tone::Dim, &format!("about {}", names.join(", ")));
        }
        for remedy in finding.remedy.iter().take(MOST) {
            if self.remedy.is_none() {
                self.remedy = Some(typeable(remedy).to_owned());
            }
            if is_command(remedy) {
                out.begin(4, Tone::Accent, "  $ ").text(Tone::Key, remedy);
            } else {
                out.begin(4, Tone::Accent, "  → ").prose(Tone::Text, remedy);
            }
        }
    }
}

/// Whether a remedy is a command as it stands.
fn is_command(remedy: &str) -> bool {
    ["pip ", "docker ", "sudo ", "conda ", "uv "]
        .iter()
        .any(|word| remedy.starts_with(word))
}

/// What of a remedy can be typed: the first piece between backticks, else all of it.
fn typeable(remedy: &str) -> &str {
    if is_command(remedy) {
        return remedy;
    }
    remedy.split('`').nth(1).unwrap_or(remedy)
}

fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn unknown(source: &Source<'_>, knowledge: &Knowledge, image: &ImageId, out: &mut Paragraphs) {
    match knowledge {
        Knowledge::Failed(why) => {
            out.begin(2, Tone::Dim, "?")
                .text(Tone::Strong, "cannot be told: ")
                .text(Tone::Bad, why);
            // A failed check says itself how to try again.
            let checks = &source.verdicts.checks;
            if checks.is_idle() && checks.failure(&Subject::Image(image.clone())).is_none() {
                out.begin(2, Tone::Dim, "")
                    .whole(Tone::Key, source.check)
                    .text(Tone::Dim, " tries again");
            }
        }
        _ => {
            out.begin(2, Tone::Dim, "?")
                .text(Tone::Dim, "asking the engine for its configuration…");
        }
    }
}

/// Whether the headline is the first finding's own title.
fn names_first(verdict: &Verdict) -> bool {
    matches!(verdict.answer, Answer::Fails | Answer::Limited) && !verdict.findings.is_empty()
}

fn headline(verdict: &Verdict, facts: &ImageFacts, out: &mut Paragraphs) {
    let (mark, tone, words) = match verdict.answer {
        Answer::Fails => ("✘", Tone::Bad, "fails on this host"),
        Answer::Limited => ("~", Tone::Warn, "works, not as it should"),
        Answer::Works => ("✔", Tone::Good, "works on this host"),
        Answer::NoCuda => ("—", Tone::Dim, "there is no CUDA in it"),
        Answer::Unknown if facts.scan == Scan::Config => ("?", Tone::Dim, "cannot be told yet"),
        Answer::Unknown => ("?", Tone::Dim, "cannot be told"),
    };
    let strong = match verdict.answer {
        Answer::Unknown | Answer::NoCuda => Tone::Strong,
        _ => tone,
    };
    out.begin(2, tone, mark).text(strong, words);
    if names_first(verdict)
        && let Some(first) = verdict.findings.first()
    {
        out.text(strong, ": ")
            .prose(Tone::Strong, &first.title)
            .text(tone, &format!(" ({})", first.rule));
    }
    match verdict.answer {
        Answer::Works => {
            if let Some(needs) = &verdict.needs {
                out.text(Tone::Text, &format!(": it needs CUDA {needs}"));
            }
        }
        Answer::NoCuda => {
            out.text(
                Tone::Text,
                ": it asks nothing of driver and GPU, and uses none",
            );
        }
        _ => {}
    }
}

/// What an unknown answer lacks. That the content was not looked at is said with how to do so. And what was
/// taken for granted, whatever the answer.
fn missing(verdict: &Verdict, facts: &ImageFacts, out: &mut Paragraphs) {
    for text in verdict.notes.iter().take(MOST) {
        out.begin(4, Tone::Dim, "  note: ").prose(Tone::Dim, text);
    }
    if verdict.answer != Answer::Unknown {
        return;
    }
    let scan =
        |text: &&String| facts.scan == Scan::Full || !text.starts_with("the image's content");
    for text in verdict.unknown.iter().filter(scan).take(MOST) {
        out.begin(4, Tone::Dim, "  missing: ")
            .prose(Tone::Text, text);
    }
}

/// The check that runs or waits, the one that failed, or how to start one.
fn checks(
    source: &Source<'_>,
    container: Option<&Container>,
    image: &ImageId,
    known: Option<&Known>,
    out: &mut Paragraphs,
) {
    let checks = &source.verdicts.checks;
    let of_image = Subject::Image(image.clone());
    let own = container.map(|c| Subject::Container(c.key));
    let mut idle = true;
    for (subject, what) in [
        (own.as_ref(), "its own file system"),
        (Some(&of_image), "the image"),
    ] {
        let Some(subject) = subject else { continue };
        match checks.stage(subject) {
            Stage::Running(running) => {
                progress(source, running, what, out);
                idle = false;
            }
            Stage::Waiting(before) => {
                let checks = if before == 1 { "check" } else { "checks" };
                out.begin(2, Tone::Dim, "").text(
                    Tone::Accent,
                    &format!("looking inside {what} waits for {before} other {checks}"),
                );
                cancel_hint(source, out);
                idle = false;
            }
            Stage::Idle => {
                if let Some(why) = checks.failure(subject) {
                    let key = match subject {
                        Subject::Image(_) => source.check,
                        Subject::Container(_) => source.check_own,
                    };
                    out.begin(2, Tone::Bad, "✘")
                        .text(Tone::Bad, &format!("looking inside {what} failed: "))
                        .text(Tone::Text, why)
                        .text(Tone::Dim, " · ")
                        .whole(Tone::Key, key)
                        .text(Tone::Dim, " tries again");
                    idle = false;
                }
            }
        }
    }
    let Some(known) = known.filter(|k| idle && k.content.is_none()) else {
        return;
    };
    out.begin(2, Tone::Dim, "");
    if source.read_only {
        out.text(
            Tone::Dim,
            "configuration only: midwatch runs with --read-only, and looking inside creates a container",
        );
        return;
    }
    out.text(Tone::Dim, "configuration only; press ")
        .whole(Tone::Key, source.check)
        .text(Tone::Dim, " to look inside");
    if let Some(size) = known.config.size_bytes {
        out.text(Tone::Dim, &format!(" ({})", Bytes(size as f64)));
    }
}

/// On a line of its own where the line before may or may not have room for it: what follows must not jump.
fn cancel_hint(source: &Source<'_>, out: &mut Paragraphs) {
    if out.room() < WIDE {
        out.begin(2, Tone::Dim, "");
    } else {
        out.text(Tone::Dim, " · ");
    }
    out.whole(Tone::Key, source.check)
        .text(Tone::Dim, " or ")
        .whole(Tone::Key, source.back)
        .text(Tone::Dim, " cancels");
}

/// `looking inside the image  ████░░░░  34 %  4.8 of 14.2 GiB  1m12s left`
fn progress(source: &Source<'_>, running: &Running, what: &str, out: &mut Paragraphs) {
    out.begin(2, Tone::Dim, "")
        .text(Tone::Accent, &format!("looking inside {what} "));
    if running.cancelling {
        out.text(Tone::Warn, "· stopping…");
        return;
    }
    let Some(told) = &running.progress else {
        out.text(Tone::Dim, "· starting…");
        cancel_hint(source, out);
        return;
    };
    if let Some(percent) = percent(told) {
        let cells = if out.room() < WIDE { 10 } else { 20 };
        let full = usize::try_from(percent).unwrap_or(0) * cells / 100;
        out.whole(Tone::BarFull, &"█".repeat(full))
            .whole(Tone::BarEmpty, &"░".repeat(cells.saturating_sub(full)))
            .text(Tone::Strong, &format!(" {percent} %"));
    }
    out.text(Tone::Dim, " · ").text(Tone::Text, &read(told));
    cancel_hint(source, out);
}

fn read(progress: &Progress) -> String {
    let mut text = String::new();
    let bytes = Bytes(progress.bytes as f64);
    match progress.total_bytes {
        Some(total) if total >= 1 << 30 => put(
            &mut text,
            format_args!("{}/{} GiB", Gib(progress.bytes), Gib(total)),
        ),
        Some(total) => put(
            &mut text,
            format_args!("{bytes} of {}", Bytes(total as f64)),
        ),
        None => put(
            &mut text,
            format_args!("{bytes} in {}", LongAge(progress.elapsed)),
        ),
    }
    if let Some(left) = progress.left() {
        put(&mut text, format_args!(" · {} left", LongAge(left)));
    }
    text
}

fn judged_for(host: &HostFacts, container: Option<&Container>, out: &mut Paragraphs) {
    let mut text = String::new();
    match &host.driver {
        Some(driver) => put(&mut text, format_args!("driver {driver}")),
        None => text.push_str("driver not known"),
    }
    if let Some(cuda) = &host.cuda {
        put(&mut text, format_args!(", CUDA {cuda}"));
    }
    text.push_str(" · ");
    gpus(&mut text, host);
    let detail = container.and_then(|c| c.detail.as_deref());
    if let Some(detail) = detail {
        match &detail.grant {
            Some(grant) => put(&mut text, format_args!(", given to it by {grant}")),
            None => text.push_str(", of which it was given none"),
        }
    }
    text.push_str(" · ");
    text.push_str(match host.injection {
        Injection::Legacy => "GPUs are put in by the nvidia hook",
        Injection::Cdi => "GPUs are put in by the engine (CDI)",
        Injection::JitCdi => "GPUs are put in by the nvidia runtime (CDI)",
        Injection::Csv => "GPUs are put in as on Jetson (CSV)",
        Injection::Unknown => "how GPUs are put in is not known",
    });
    if let Some(toolkit) = &host.toolkit {
        put(&mut text, format_args!(", container toolkit {toolkit}"));
    }
    out.begin(LABEL, Tone::Dim, "judged for")
        .text(Tone::Text, &text);
}

/// `H100 80GB (cc 9.0), 3 × A100 (cc 8.0)`.
fn gpus(text: &mut String, host: &HostFacts) {
    if host.gpus.is_empty() {
        text.push_str("no GPU known");
        return;
    }
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for gpu in &host.gpus {
        let mut name = String::new();
        crate::tui::fmt::push_gpu_name(&mut name, &gpu.name);
        if let Some(capability) = gpu.capability {
            put(&mut name, format_args!(" (cc {capability})"));
        }
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => kinds.push((name, 1)),
        }
    }
    for (place, (name, count)) in kinds.iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        if *count > 1 {
            put(text, format_args!("{count} × "));
        }
        text.push_str(name);
    }
}

fn looked_at(
    source: &Source<'_>,
    container: Option<&Container>,
    known: &Known,
    own: Option<&crate::model::Stamp>,
    out: &mut Paragraphs,
) {
    let mut text = String::new();
    match (container, own) {
        (_, Some(at)) => {
            let at = at.wall.to_zoned(source.zone.clone());
            put(
                &mut text,
                format_args!("its own file system, at {}", at.strftime("%H:%M:%S")),
            );
        }
        (Some(container), None) => put(&mut text, format_args!("its image {}", container.image)),
        (None, None) => text.push_str("the image"),
    }
    match &known.content {
        Some(content) => {
            put(
                &mut text,
                format_args!(
                    ": {} in {} entries",
                    Bytes(content.bytes as f64),
                    content.entries
                ),
            );
        }
        None => text.push_str(": its configuration alone"),
    }
    out.begin(LABEL, Tone::Dim, "looked at")
        .text(Tone::Text, &text);
    if container.is_some() && own.is_none() && known.content.is_some() && !source.read_only {
        out.text(Tone::Dim, " · ")
            .whole(Tone::Key, source.check_own)
            .text(Tone::Dim, " looks at its own file system");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_can_be_typed() {
        let cases = [
            (
                "pip install 'torch==2.6.*' --index-url u",
                "pip install 'torch==2.6.*' --index-url u",
            ),
            ("or start it with `-e A=1`: it carries", "-e A=1"),
            (
                "upgrade the host driver to 580.65.06 or newer",
                "upgrade the host driver to 580.65.06 or newer",
            ),
        ];
        for (remedy, typed) in cases {
            assert_eq!(typeable(remedy), typed);
        }
    }
}
