//! What the form says beside its fields: the plan, the verdict, in one line and at length.

use super::act;
use super::state::{Form, Phase};
use crate::launch::Which;
use crate::launcher::{Conflict, Plan};
use crate::tui::state::paragraphs::Paragraphs;
use crate::tui::widgets::{Tone, split};
use crate::verdict::{Answer, Verdict};

/// Columns of a lead.
const LEAD: u16 = 2;
/// Findings, GPUs, notes that are shown.
const MOST: usize = 6;
/// Columns of a line of a question.
const QUESTION: u16 = 64;

/// Keys as they are bound.
#[derive(Debug, Default)]
pub struct Keys {
    pub mend: String,
}

/// The verdict in a few words.
pub fn headline(verdict: &Verdict) -> (Tone, String) {
    let root = verdict.root();
    let why = root.map_or_else(String::new, |f| format!(": {} {}", f.rule, f.title));
    match verdict.answer {
        Answer::Works => {
            let needs = verdict.needs.as_ref().map(|n| format!(" (CUDA {n})"));
            (
                Tone::Good,
                format!("✔ it runs{}", needs.unwrap_or_default()),
            )
        }
        Answer::Limited => (Tone::Warn, format!("~ it runs, not as it should{why}")),
        Answer::Fails => (Tone::Bad, format!("✘ it will not run{why}")),
        Answer::NoCuda => (Tone::Text, "— there is no CUDA in the image".to_owned()),
        Answer::Unknown => {
            let first = verdict.unknown.first();
            let why = first.map_or_else(String::new, |w| format!(": {w}"));
            (Tone::Dim, format!("? whether it runs cannot be told{why}"))
        }
    }
}

/// What a question tells of a verdict: findings, evidence, what to do.
pub fn reasons(verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in verdict.findings.iter().take(MOST) {
        lines.push(format!("{} {}", finding.rule, finding.title));
        lines.extend(finding.evidence.iter().take(2).map(|e| format!("  {e}")));
        lines.extend(finding.remedy.iter().take(2).map(|r| format!("  → {r}")));
    }
    // Wrapped here: the question's list has a line for each.
    let mut wrapped = Vec::new();
    for line in &lines {
        let indent = if line.starts_with(' ') { "  " } else { "" };
        let clean = crate::model::text::clean(line, 400);
        let mut rest = clean.as_str();
        while !rest.is_empty() {
            let (piece, after) = split(rest, QUESTION);
            wrapped.push(format!("{indent}{piece}"));
            rest = if after.len() < rest.len() { after } else { "" };
        }
    }
    wrapped
}

/// One line over the `docker run` line: what a start would do now.
pub fn status(form: &Form, keys: &Keys) -> (Tone, String) {
    if let Some(note) = &form.note {
        return (Tone::Warn, note.clone());
    }
    if form.phase == Phase::Planning {
        return (Tone::Accent, "finding out what would happen…".to_owned());
    }
    match form.faults() {
        0 => {}
        1 => return (Tone::Bad, "a field cannot be read".to_owned()),
        more => return (Tone::Bad, format!("{more} fields cannot be read")),
    }
    if form.spec().image.is_empty() {
        return (Tone::Warn, "it needs an image".to_owned());
    }
    if let Some(why) = form.plan_error() {
        return (Tone::Bad, why.to_owned());
    }
    let Some(plan) = form.current() else {
        return (Tone::Dim, "finding out what would happen…".to_owned());
    };
    let mend = act::offered(form).filter(|_| !keys.mend.is_empty());
    let mend = mend.map_or_else(String::new, |(_, words)| {
        format!(" · {}: {words}", keys.mend)
    });
    if let Some(conflict) = plan.conflicts.iter().find(|c| c.stops) {
        return (Tone::Bad, format!("cannot start: {}{mend}", conflict.text));
    }
    let (tone, text) = match plan.decisive() {
        Some(verdict) => headline(verdict),
        None if plan.image.is_none() => (
            Tone::Text,
            "the image is not here: a start pulls it first".to_owned(),
        ),
        None => (Tone::Text, "nothing stands in the way".to_owned()),
    };
    (tone, format!("{text}{mend}"))
}

/// A conflict, with what would mend it.
pub fn conflict(conflict: &Conflict, keys: &Keys, hang: u16, out: &mut Paragraphs) {
    let (tone, mark) = match conflict.stops {
        true => (Tone::Bad, "✘ "),
        false => (Tone::Warn, "! "),
    };
    out.begin(hang, tone, "")
        .text(tone, mark)
        .text(tone, &conflict.text);
    if !conflict.remedy.is_empty() {
        out.text(Tone::Dim, " → ")
            .prose(Tone::Text, &conflict.remedy);
    }
    if let Some(mend) = conflict.mend.as_ref().filter(|_| !keys.mend.is_empty()) {
        out.text(Tone::Text, " · ")
            .whole(Tone::Key, &keys.mend)
            .text(Tone::Text, &format!(": {}", act::in_words(mend)));
    }
}

/// The whole plan.
pub fn plan(form: &Form, keys: &Keys, out: &mut Paragraphs) {
    let Some(plan) = form.last_plan() else {
        let text = form
            .plan_error()
            .unwrap_or("finding out what would happen…");
        out.begin(0, Tone::Dim, "").text(Tone::Dim, text);
        return;
    };
    let old = form.current().is_none();
    if old {
        out.begin(0, Tone::Dim, "")
            .text(Tone::Dim, "before the last change:");
    }
    gpus(plan, out);
    verdict(plan, out);
    let elsewhere = plan
        .conflicts
        .iter()
        .filter(|c| form.spot_of(c.field).is_none());
    for each in elsewhere {
        conflict(each, keys, LEAD, out);
    }
}

fn gpus(plan: &Plan, out: &mut Paragraphs) {
    let chosen = &plan.gpus.chosen;
    match plan.spec.gpus.as_ref().map(|g| &g.which) {
        None => {
            out.begin(LEAD, Tone::Dim, "").text(Tone::Dim, "no GPU");
        }
        Some(Which::All) if chosen.is_empty() => {
            out.begin(LEAD, Tone::Text, "").text(Tone::Text, "all GPUs");
        }
        Some(_) => {}
    }
    for gpu in chosen.iter().take(16) {
        let label = match gpu.index {
            Some(index) if !gpu.key.uuid.as_str().starts_with("MIG-") => format!("GPU {index} "),
            _ => format!("{} ", gpu.key.uuid),
        };
        out.begin(LEAD, Tone::Good, "•").text(Tone::Strong, &label);
        out.text(Tone::Text, &short_name(&gpu.name));
        if !gpu.why.is_empty() {
            out.text(Tone::Dim, &format!(": {}", gpu.why));
        }
    }
    for (label, why) in plan.gpus.left_out.iter().take(16) {
        out.begin(LEAD, Tone::Dim, "")
            .text(Tone::Dim, &format!("not {label}: {why}"));
    }
}

fn short_name(name: &str) -> String {
    let mut text = String::new();
    crate::tui::fmt::push_gpu_name(&mut text, name);
    text
}

fn verdict(plan: &Plan, out: &mut Paragraphs) {
    if plan.image.is_none() {
        out.begin(LEAD, Tone::Text, "")
            .text(Tone::Text, "the image is not here: a start pulls it first");
    }
    let Some(verdict) = &plan.verdict else {
        return;
    };
    out.gap();
    if plan.decisive().is_none() {
        out.begin(LEAD, Tone::Dim, "")
            .text(Tone::Dim, "were it given this host's GPUs:");
    }
    let (tone, text) = headline(verdict);
    out.begin(LEAD, tone, "").text(tone, &text);
    for finding in verdict.findings.iter().take(MOST) {
        let (mark, tone) = crate::tui::state::verdicts::severity_mark(finding.severity);
        // The first one is the headline already.
        if verdict.root() != Some(finding) || finding.severity == crate::verdict::Severity::Info {
            out.begin(LEAD, tone, mark)
                .text(tone, &format!("{} ", finding.rule))
                .prose(Tone::Text, &finding.title);
        }
        for line in finding.evidence.iter().take(2) {
            out.begin(4, Tone::Dim, "").prose(Tone::Dim, line);
        }
        for line in finding.remedy.iter().take(2) {
            out.begin(4, Tone::Dim, "  →").prose(Tone::Text, line);
        }
    }
    for line in verdict.unknown.iter().skip(1).take(MOST) {
        out.begin(LEAD, Tone::Dim, "?").text(Tone::Dim, line);
    }
    for line in verdict.notes.iter().take(MOST) {
        out.begin(LEAD, Tone::Dim, "").text(Tone::Dim, line);
    }
    if plan.scan_would_tell {
        out.begin(LEAD, Tone::Dim, "").text(
            Tone::Dim,
            "nobody looked inside the image yet: a start does so first",
        );
    }
}
