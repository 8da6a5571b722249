//! The CUDA verdict: a pure function from facts of an image and of a host to what will happen.
//!
//! It never looks at the machine. First it is worked out which libcuda is in effect, then all rules apply,
//! in the order of the decision procedure; the root cause comes first. A rule that lacks a fact makes the
//! answer unknown: nothing ever guesses "works".

pub mod catalogue;
pub mod device;
pub mod effective;
pub mod explain;
pub mod facts;
pub mod finding;
pub mod hypothetical;
pub mod matrix;
pub mod need;
mod notes;
mod places;
pub mod remedy;
pub mod require;
pub mod rules;
pub mod version;

#[cfg(test)]
mod tests;

pub use catalogue::Catalogue;
pub use finding::{Answer, Finding, Rule, Severity};
pub use version::Version;

use effective::LibCuda;
use facts::{HostFacts, ImageFacts, Injection, Scan};
use rules::{Case, Findings, code, compat, content, driver, grant};

/// What will happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub answer: Answer,
    /// Root cause first.
    pub findings: Vec<Finding>,
    /// Facts that were missing, for an unknown answer.
    pub unknown: Vec<String>,
    /// What was taken for granted, and what is newer than the catalogue.
    pub notes: Vec<String>,
    /// The CUDA the image needs, for the badge: the newest of its needs.
    pub needs: Option<Version>,
}

impl Verdict {
    /// The finding that decides: the root cause where it fails.
    pub fn root(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// For a list: the answer, and beside it the CUDA that it needs (`12.4`), the rule it fails by (`MW102`),
    /// or nothing.
    pub fn badge(&self) -> (Answer, String) {
        let text = match self.answer {
            Answer::Works | Answer::Limited => self
                .needs
                .as_ref()
                .map_or_else(String::new, |v| format!("{}.{}", v.major(), v.minor())),
            Answer::Fails => self.root().map_or_else(String::new, |f| f.rule.to_string()),
            Answer::NoCuda | Answer::Unknown => String::new(),
        };
        (self.answer, text)
    }
}

/// The order in which findings of one severity explain each other: what makes later ones moot comes first.
const ROOT_CAUSE: [u16; 24] = [
    401, 307, 108, 305, 306, 402, 403, 101, 106, 105, 102, 203, 201, 107, 304, 303, 204, 202, 301,
    308, 404, 104, 103, 302,
];

/// Judges an image on a host. Where a fact is missing that would decide between two cases, both are judged:
/// what they agree on is the answer.
pub fn judge(image: &ImageFacts, host: &HostFacts) -> Verdict {
    match places::ambiguous(image) {
        Some(choices) => places::judge(image, host, &choices),
        None => in_either_mode(image, host),
    }
}

/// Under the legacy hook and under CDI, where it is not known how GPUs get in.
fn in_either_mode(image: &ImageFacts, host: &HostFacts) -> Verdict {
    if host.injection != Injection::Unknown {
        return with_either_library(image, host);
    }
    let under = |injection| {
        let host = HostFacts {
            injection,
            ..host.clone()
        };
        with_either_library(image, &host)
    };
    let (hook, mut cdi) = (under(Injection::Legacy), under(Injection::Cdi));
    if hook.answer != cdi.answer || hook.answer == Answer::Unknown {
        return with_either_library(image, host);
    }
    cdi.findings.retain(|f| f.rule != Rule(101));
    cdi
}

/// With the host's libcuda and with the image's, where it is not known which is in effect.
fn with_either_library(image: &ImageFacts, host: &HostFacts) -> Verdict {
    let libcuda = effective::libcuda(image, host);
    if let (LibCuda::Unknown { .. }, Some(compat), Some(_)) =
        (&libcuda, &image.compat, &host.driver)
    {
        let own = with_library(image, host, LibCuda::Host);
        let activation = effective::Activation::Toolkit;
        let images = with_library(image, host, LibCuda::Compat { compat, activation });
        if own.answer == images.answer && own.answer != Answer::Unknown {
            return own;
        }
    }
    with_library(image, host, libcuda)
}

fn with_library(image: &ImageFacts, host: &HostFacts, libcuda: LibCuda<'_>) -> Verdict {
    let cuda = match &libcuda {
        LibCuda::Host => host.cuda.clone(),
        LibCuda::Compat { compat, .. } => effective::compat_cuda(compat),
        LibCuda::Unknown { .. } => None,
    };
    let driver = match &libcuda {
        LibCuda::Host => host.driver.as_ref(),
        _ => None,
    };
    let needs = need::needs(image, cuda.as_ref(), driver);
    let case = Case {
        image,
        host,
        libcuda,
        cuda,
        needs: needs.known,
        lacking: needs.lacking,
    };
    let mut out = Findings::default();
    for rule in [
        grant::no_gpu_runtime,
        content::platform,
        driver::driver_does_not_know_gpu,
        rules::require::requirement_unsatisfied,
        driver::driver_against_cuda,
        compat::compat,
        code::gpu_dropped,
        code::device_code,
        content::cpu_only,
        content::several_runtimes,
        content::stub_on_path,
        content::driver_library,
        content::musl,
        content::rocm,
        content::missing_libraries,
        grant::devices_void,
        grant::capabilities_lack_compute,
        grant::small_shm,
    ] {
        rule(&case, &mut out);
    }
    if !host.hypothetical {
        some_gpus_only(host, &mut out);
    }
    out.found
        .sort_by_key(|f| (std::cmp::Reverse(f.severity), rank(f)));
    older_than_both(&mut out.found);
    let needs = case.needs.iter().map(|n| n.cuda.clone()).max();
    Verdict {
        answer: answer(&case, &mut out),
        findings: out.found,
        unknown: out.unknown,
        notes: notes::notes(&case),
        needs,
    }
}

/// A driver that is too old for the image fails it on every GPU: that comes before what it does not know of
/// this one, as the decision procedure asks for the CUDA (its step 3) before the GPU (its step 6).
fn older_than_both(found: &mut Vec<Finding>) {
    let at = |code| {
        found
            .iter()
            .position(|f| f.rule == Rule(code) && f.severity == Severity::Error)
    };
    if let (Some(gpu), Some(cuda)) = (at(108), at(102))
        && gpu < cuda
        && at(101).is_none()
    {
        let finding = found.remove(cuda);
        found.insert(gpu, finding);
    }
}

fn rank(finding: &Finding) -> usize {
    // How much of a library serves the GPU is a remark, no cause.
    if finding.severity == Severity::Info && finding.rule == Rule(201) {
        return ROOT_CAUSE.len();
    }
    ROOT_CAUSE
        .iter()
        .position(|code| *code == finding.rule.0)
        .unwrap_or(ROOT_CAUSE.len())
}

/// MW204: of a live host's GPUs some are served. What fails on the others is then a warning each.
fn some_gpus_only(host: &HostFacts, out: &mut Findings) {
    let about_gpus = |f: &Finding| f.severity == Severity::Error && !f.gpus.is_empty();
    let about_host = |f: &Finding| f.severity == Severity::Error && f.gpus.is_empty();
    if out.found.iter().any(about_host) {
        return;
    }
    let failing = |id: &String| {
        out.found
            .iter()
            .any(|f| about_gpus(f) && f.gpus.contains(id))
    };
    let (bad, good): (Vec<_>, Vec<_>) = host.gpus.iter().partition(|g| failing(&g.id));
    if bad.is_empty() || good.is_empty() {
        return;
    }
    let names = |gpus: &[&facts::HostGpu]| {
        let mut names: Vec<String> = gpus.iter().map(|g| g.name.clone()).collect();
        names.dedup();
        names.join(", ")
    };
    let finding = Finding::new(
        204,
        Severity::Warning,
        format!(
            "it works on some of this host's GPUs alone: {}",
            names(&good)
        ),
    )
    .because(format!("not on {}", names(&bad)))
    .try_this(format!(
        "name the GPUs: `--gpus '\"device={}\"'`",
        good.iter()
            .map(|g| g.id.as_str())
            .collect::<Vec<_>>()
            .join(",")
    ))
    .on(bad.iter().map(|g| g.id.clone()));
    for f in out.found.iter_mut().filter(|f| about_gpus(f)) {
        f.severity = Severity::Warning;
    }
    out.add(finding);
}

fn answer(case: &Case<'_>, out: &mut Findings) -> Answer {
    let (image, host) = (case.image, case.host);
    let worst = out.found.iter().map(|f| f.severity).max();
    if worst == Some(Severity::Error) {
        return Answer::Fails;
    }
    if image.scan == Scan::Config && !image.unmodified_base {
        out.lacks("the image's content: its configuration can prove a failure, never a success");
        return Answer::Unknown;
    }
    for gap in image.gaps.iter().chain(&case.lacking) {
        out.lacks(gap.clone());
    }
    if case.has_cuda() {
        if host.gpus.is_empty() {
            out.lacks("the GPUs it would run on");
        }
        if host.driver.is_none() && host.cuda.is_none() {
            out.lacks("the host's driver");
        }
    }
    match worst {
        _ if !out.unknown.is_empty() => Answer::Unknown,
        Some(Severity::Warning) => Answer::Limited,
        _ if !case.has_cuda() => Answer::NoCuda,
        _ => Answer::Works,
    }
}
