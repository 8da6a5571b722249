//! The Verdict tab's facts: CUDA, frameworks with their code, libraries, what could not be read.

use crate::tui::fmt::put;
use crate::tui::widgets::Tone;
use crate::verdict::Verdict;
use crate::verdict::facts::{Build, Framework, ImageFacts, Libc, Scan};

use super::paragraphs::Paragraphs;
use super::verdict_pane::{LABEL, MOST};

/// Writes what was found in the image.
pub fn write(verdict: &Verdict, facts: &ImageFacts, out: &mut Paragraphs) {
    cuda(verdict, facts, out);
    let mut frameworks: Vec<&Framework> = facts.frameworks.iter().collect();
    let main = facts.main_framework().map(std::ptr::from_ref);
    frameworks.sort_by_key(|f| Some(std::ptr::from_ref(*f)) != main);
    for framework in frameworks.iter().take(MOST) {
        write_framework(framework, facts, out);
    }
    if frameworks.len() > MOST {
        out.begin(LABEL, Tone::Dim, "")
            .text(Tone::Dim, &format!("and {} more", frameworks.len() - MOST));
    }
    let libc = facts.libc.as_ref().map(|libc| match libc {
        Libc::Glibc(Some(version)) => format!("glibc {version}"),
        Libc::Glibc(None) => "glibc".to_owned(),
        Libc::Musl => "musl".to_owned(),
    });
    let named = |name: &str, value: Option<String>| value.map(|v| format!("{name} {v}"));
    let libraries = [
        named("cuDNN", facts.cudnn.clone()),
        named("NCCL", facts.nccl.clone()),
        libc,
        named(
            "toolkit (nvcc)",
            facts.toolkit.as_ref().map(|t| t.to_string()),
        ),
    ];
    let libraries: Vec<String> = libraries.into_iter().flatten().collect();
    if !libraries.is_empty() {
        out.begin(LABEL, Tone::Dim, "libraries")
            .text(Tone::Text, &libraries.join(" · "));
    }
    if let Some(compat) = &facts.compat {
        let mut text = format!("{}: driver {}", compat.path, compat.driver);
        if let Some(cuda) = &compat.cuda {
            put(&mut text, format_args!(", CUDA {cuda}"));
        }
        if let Some(by) = &compat.forced_by {
            put(&mut text, format_args!(", forced by {by}"));
        }
        out.begin(LABEL, Tone::Dim, "cuda-compat")
            .text(Tone::Text, &text);
    }
    for (name, value) in &facts.requirements.predicates {
        out.begin(LABEL, Tone::Dim, "requires")
            .text(Tone::Text, &requirement(name, value));
    }
    if let Some(platform) = &facts.platform {
        out.begin(LABEL, Tone::Dim, "platform")
            .text(Tone::Text, platform);
    }
    for gap in facts.gaps.iter().take(MOST) {
        out.begin(LABEL, Tone::Warn, "not read")
            .text(Tone::Text, gap);
    }
}

/// The first alternatives of a requirement: NVIDIA's own have dozens. The finding that fails names the one
/// that decides; the Env tab has the whole.
fn requirement(name: &str, value: &str) -> String {
    const SHOWN: usize = 3;
    let all: Vec<&str> = value.split(' ').filter(|g| !g.is_empty()).collect();
    let mut text = format!(
        "{name}={}",
        all.get(..SHOWN.min(all.len())).unwrap_or(&[]).join(" ")
    );
    if all.len() > SHOWN {
        put(
            &mut text,
            format_args!(" … or one of {} more", all.len() - SHOWN),
        );
    }
    text
}

/// `declared 12.4.1 · runtime 12.4.127 · needs 12.4`.
fn cuda(verdict: &Verdict, facts: &ImageFacts, out: &mut Paragraphs) {
    let mut parts = Vec::new();
    if let Some(declared) = &facts.declared_cuda {
        parts.push(format!("declared {declared}"));
    }
    for runtime in facts.runtimes.iter().take(MOST) {
        parts.push(format!("runtime {} ({})", runtime.version, runtime.path));
    }
    if let Some(needs) = &verdict.needs {
        parts.push(format!("needs {needs}"));
    }
    if parts.is_empty() {
        let text = match facts.scan {
            Scan::Config => "its configuration names none",
            Scan::Full => "none found",
        };
        out.begin(LABEL, Tone::Dim, "CUDA").text(Tone::Dim, text);
    } else {
        out.begin(LABEL, Tone::Dim, "CUDA")
            .text(Tone::Text, &parts.join(" · "));
    }
}

fn write_framework(framework: &Framework, facts: &ImageFacts, out: &mut Paragraphs) {
    let mut text = String::new();
    if let Some(version) = &framework.version {
        put(&mut text, format_args!("{version} · "));
    }
    match &framework.build {
        Build::Unknown => text.push_str("what it is built for is not known"),
        build => put(&mut text, format_args!("built for {build}")),
    }
    put(&mut text, format_args!(" · {}", framework.place));
    let (python, tone) = match framework.on_path {
        Some(true) => (" · `python` gets it", Tone::Text),
        Some(false) => (" · `python` on the PATH does not get it", Tone::Dim),
        None => ("", Tone::Text),
    };
    // A long name has no room before its facts.
    let name: String = framework
        .name
        .chars()
        .take(usize::from(LABEL) - 1)
        .collect();
    out.begin(LABEL, Tone::Accent, &name)
        .text(tone, &text)
        .prose(tone, python);
    if let Some(library) = framework.library.as_deref().and_then(|p| facts.library(p)) {
        let names = |list: Vec<String>| match list.is_empty() {
            true => "none".to_owned(),
            false => list.join(" "),
        };
        let sass = library.code.main_sass().into_iter().map(|t| t.sass_name());
        let mut ptx: Vec<String> = library
            .code
            .main_ptx()
            .into_iter()
            .map(|p| p.target.ptx_name())
            .collect();
        ptx.dedup();
        let file = library.path.rsplit('/').next().unwrap_or(&library.path);
        out.begin(LABEL, Tone::Dim, "").text(
            Tone::Dim,
            &format!(
                "{file}: SASS {} · PTX {}",
                names(sass.collect()),
                names(ptx)
            ),
        );
        if let Some(problem) = &library.problem {
            out.text(Tone::Warn, &format!(" · {problem}"));
        }
    }
    if !framework.missing.is_empty() {
        out.begin(LABEL, Tone::Dim, "").text(
            Tone::Warn,
            &format!("not in the image: {}", framework.missing.join(" ")),
        );
    }
}
