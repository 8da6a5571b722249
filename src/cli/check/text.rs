//! What `check` prints for people.

use std::fmt::Write as _;

use super::report::{Entry, Judged, Report};
use crate::model::text::clean;
use crate::verdict::facts::{
    Build, CudaLibrary, Framework, HostFacts, ImageFacts, Injection, Libc, Scan,
};
use crate::verdict::{Answer, Severity};

/// Longest line of a fact or of evidence.
const LONGEST: usize = 400;

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, 0, &format!("host: {}", host(&report.host)));
    for entry in &report.entries {
        out.push('\n');
        match entry {
            Entry::Judged(judged) => {
                self::judged(&mut out, judged, &report.host);
                if let Some(matrix) = report.matrix(judged) {
                    out.push('\n');
                    let _ = write!(out, "{matrix}");
                    line(
                        &mut out,
                        0,
                        "works; ~ limited; a code: it fails by that rule; ?: cannot be told; empty: no such machine (the driver does not know the GPU)",
                    );
                }
            }
            // Why stands on standard error, as every error does.
            Entry::Failed { name, .. } => line(&mut out, 0, &format!("? {name}  cannot be told")),
        }
    }
    out
}

fn line(out: &mut String, indent: usize, text: &str) {
    let _ = writeln!(out, "{:indent$}{}", "", clean(text, LONGEST));
}

/// `driver 550.163.01 (CUDA 12.4), 4x H100 80GB HBM3 (9.0), legacy hook`.
pub fn host(host: &HostFacts) -> String {
    let mut parts = Vec::new();
    parts.push(match (&host.driver, &host.cuda) {
        (Some(driver), Some(cuda)) => format!("driver {driver} (CUDA {cuda})"),
        (Some(driver), None) => {
            format!("driver {driver} (its CUDA is not known: --cuda X.Y says it)")
        }
        (None, Some(cuda)) => format!("a driver of CUDA {cuda}"),
        (None, None) => "no driver known".to_owned(),
    });
    let mut gpus: Vec<(String, usize)> = Vec::new();
    for gpu in &host.gpus {
        let name = match gpu.capability {
            Some(capability) if gpu.name.starts_with("sm_") => {
                format!("{} ({capability})", gpu.name)
            }
            Some(capability) => {
                format!("{} (sm_{}{})", gpu.name, capability.major, capability.minor)
            }
            None => gpu.name.clone(),
        };
        match gpus.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => gpus.push((name, 1)),
        }
    }
    if gpus.is_empty() {
        parts.push("no GPU known".to_owned());
    }
    parts.extend(gpus.into_iter().map(|(name, count)| match count {
        1 => name,
        count => format!("{count}x {name}"),
    }));
    parts.push(
        match host.injection {
            Injection::Legacy => "GPUs by the legacy hook",
            Injection::Cdi => "GPUs by CDI",
            Injection::JitCdi => "GPUs by the nvidia runtime (jit-cdi)",
            Injection::Csv => "GPUs by csv (Jetson)",
            Injection::Unknown => "how GPUs get into containers is not known",
        }
        .to_owned(),
    );
    if host.hypothetical {
        parts.push("as named on the command line".to_owned());
    }
    parts.join(", ")
}

fn mark(answer: Answer) -> &'static str {
    match answer {
        Answer::Works => "✔",
        Answer::Limited => "~",
        Answer::Fails => "✘",
        Answer::NoCuda => "-",
        Answer::Unknown => "?",
    }
}

fn words(answer: Answer) -> &'static str {
    match answer {
        Answer::Works => "works",
        Answer::Limited => "limited",
        Answer::Fails => "fails",
        Answer::NoCuda => "no CUDA in it",
        Answer::Unknown => "cannot be told",
    }
}

fn judged(out: &mut String, judged: &Judged, host: &HostFacts) {
    let answer = judged.verdict.answer;
    let scan = match judged.facts.scan {
        Scan::Config => "  (configuration alone)",
        Scan::Full => "",
    };
    line(
        out,
        0,
        &format!("{} {}  {}{scan}", mark(answer), judged.name, words(answer)),
    );
    if judged.host.gpus != host.gpus {
        line(out, 4, &format!("given: {}", self::host(&judged.host)));
    }
    for fact in facts(&judged.facts) {
        line(out, 4, &fact);
    }
    for note in &judged.verdict.notes {
        line(out, 4, &format!("note: {note}"));
    }
    for lacking in &judged.verdict.unknown {
        line(out, 4, &format!("not known: {lacking}"));
    }
    for finding in &judged.verdict.findings {
        let severity = match finding.severity {
            Severity::Error => "✘",
            Severity::Warning => "~",
            Severity::Info => "i",
        };
        line(
            out,
            2,
            &format!("{severity} {} {}", finding.rule, finding.title),
        );
        for evidence in &finding.evidence {
            line(out, 8, evidence);
        }
        for remedy in &finding.remedy {
            line(out, 6, &format!("→ {remedy}"));
        }
    }
}

/// The facts that matter, a line each.
fn facts(facts: &ImageFacts) -> Vec<String> {
    let mut lines: Vec<String> = facts
        .frameworks
        .iter()
        .map(|framework| self::framework(facts, framework))
        .collect();
    let mut parts = Vec::new();
    if let Some(runtime) = runtime(facts) {
        parts.push(format!("CUDA runtime {runtime}"));
    } else if let Some(declared) = &facts.declared_cuda {
        parts.push(format!("CUDA_VERSION {declared}"));
    }
    if let Some(toolkit) = &facts.toolkit {
        parts.push(format!("toolkit {toolkit}"));
    }
    if let Some(compat) = &facts.compat {
        parts.push(format!("compat library {}", compat.driver));
    }
    if let Some(cudnn) = &facts.cudnn {
        parts.push(format!("cuDNN {cudnn}"));
    }
    if let Some(nccl) = &facts.nccl {
        parts.push(format!("NCCL {nccl}"));
    }
    parts.extend(libc(facts));
    if let Some(python) = facts
        .python
        .as_ref()
        .filter(|_| !facts.frameworks.is_empty())
    {
        parts.push(format!("starts {python}"));
    }
    if !parts.is_empty() {
        lines.push(parts.join(", "));
    }
    lines
}

fn framework(facts: &ImageFacts, framework: &Framework) -> String {
    let version = framework.version.as_deref().unwrap_or("");
    let mut text = format!("{} {version}", framework.name)
        .trim_end()
        .to_owned();
    match &framework.build {
        Build::Unknown => {}
        build => {
            let _ = write!(text, "  {build}");
        }
    }
    if let Some(library) = framework
        .library
        .as_deref()
        .and_then(|path| facts.library(path))
    {
        let (sass, ptx) = (sass(library), ptx(library));
        if !sass.is_empty() {
            let _ = write!(text, "  {}", sass.join(" "));
        }
        match ptx.is_empty() {
            true => text.push_str(", no PTX"),
            false => {
                let _ = write!(text, ", PTX {}", ptx.join(" "));
            }
        }
    }
    let _ = write!(text, "  {}", framework.place);
    if framework.on_path == Some(false) {
        text.push_str("  (not what `python` gets)");
    }
    text
}

/// What the library is really built for.
pub fn sass(library: &CudaLibrary) -> Vec<String> {
    library
        .code
        .main_sass()
        .iter()
        .map(|t| t.sass_name())
        .collect()
}

/// Its PTX targets, each once.
pub fn ptx(library: &CudaLibrary) -> Vec<String> {
    let mut names: Vec<String> = library
        .code
        .main_ptx()
        .iter()
        .map(|p| p.target.ptx_name())
        .collect();
    names.dedup();
    names
}

/// The runtime that the framework which decides finds, else the newest.
pub fn runtime(facts: &ImageFacts) -> Option<String> {
    let place = facts.main_framework().map(|f| f.place.as_str());
    let near = facts
        .runtimes
        .iter()
        .filter(|r| place.is_some_and(|place| r.path.starts_with(place)));
    let newest = |a: &&crate::verdict::facts::Runtime, b: &&crate::verdict::facts::Runtime| {
        a.version.cmp(&b.version)
    };
    near.max_by(newest)
        .or_else(|| facts.runtimes.iter().max_by(newest))
        .map(|r| r.version.to_string())
}

/// `glibc 2.36`, `musl`.
pub fn libc(facts: &ImageFacts) -> Option<String> {
    Some(match facts.libc.as_ref()? {
        Libc::Glibc(Some(version)) => format!("glibc {version}"),
        Libc::Glibc(None) => "glibc".to_owned(),
        Libc::Musl => "musl".to_owned(),
    })
}
