//! MW101: `NVIDIA_REQUIRE_*` against the host.

use crate::verdict::effective::{LibCuda, Support, branch_support, brand_support};
use crate::verdict::facts::{HostGpu, Injection};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::need::{Carry, carry};
use crate::verdict::remedy::{base_image, driver_for};
use crate::verdict::require::{Fact, GpuTerms, HostTerms, Outcome, evaluate, runtime_message};
use crate::verdict::version::Version;

use super::compat::hide;
use super::{Case, Findings};

const SWITCH_OFF: &str = "-e NVIDIA_DISABLE_REQUIRE=1";

/// MW101: `NVIDIA_REQUIRE_*` is not met.
pub fn requirement_unsatisfied(case: &Case<'_>, out: &mut Findings) {
    let requirements = &case.image.requirements;
    if requirements.disabled || case.host.require_disabled {
        return;
    }
    let enforced = match case.host.injection {
        Injection::Legacy | Injection::Csv => Some(true),
        Injection::Cdi | Injection::JitCdi => Some(false),
        Injection::Unknown => None,
    };
    if let Some(version) = &requirements.bad_cuda_version {
        bad_cuda_version(version, enforced, out);
        if enforced != Some(false) {
            return;
        }
    }
    for (name, value) in &requirements.predicates {
        for found in unmet(case, name, value, enforced, out) {
            out.add(match enforced {
                Some(true) => refused(case, found, value),
                _ => Finding::new(
                    101,
                    Severity::Info,
                    format!("{} (not enforced with CDI)", found.title),
                )
                .because_of(found.evidence)
                .because("with CDI nothing checks NVIDIA_REQUIRE_*: the rules below decide")
                .on(found.gpus),
            });
        }
    }
}

fn bad_cuda_version(version: &str, enforced: Option<bool>, out: &mut Findings) {
    match enforced {
        Some(true) => out.add(
            Finding::new(
                101,
                Severity::Error,
                format!(
                    "CUDA_VERSION={version} is no version: the NVIDIA hook refuses to start it"
                ),
            )
            .because(format!(
                "CUDA_VERSION={version} without NVIDIA_REQUIRE_CUDA makes it a legacy image"
            ))
            .try_this("give it a version: add `-e CUDA_VERSION=12.4.1` with the CUDA that is in it")
            .try_this(format!("or switch the check off: `{SWITCH_OFF}`")),
        ),
        Some(false) => {}
        None => out.lacks(INJECTION),
    }
}

const INJECTION: &str = "how this host injects GPUs: with the legacy hook the container is refused, with CDI nothing checks NVIDIA_REQUIRE_*";

/// A requirement that is not met.
struct Unmet {
    title: String,
    evidence: Vec<String>,
    gpus: Vec<String>,
}

/// Tests one variable for every GPU. The runtime stops at the first GPU that fails; all that fail are told,
/// so that those left over may be named.
fn unmet(
    case: &Case<'_>,
    name: &str,
    value: &str,
    enforced: Option<bool>,
    out: &mut Findings,
) -> Vec<Unmet> {
    let mut found: Vec<Unmet> = Vec::new();
    let one_by_one: Vec<Option<&HostGpu>> = if case.host.gpus.is_empty() {
        vec![None]
    } else {
        case.host.gpus.iter().map(Some).collect()
    };
    for gpu in one_by_one {
        let (title, evidence) = match outcome(case, gpu, value) {
            Outcome::Satisfied { .. } => continue,
            Outcome::Unknown { rule } => {
                if enforced != Some(false) {
                    out.lacks(format!("a host value that {name} asks for (`{rule}`)"));
                }
                continue;
            }
            Outcome::Invalid { piece } => (
                format!("{name} cannot be read at `{piece}`: the NVIDIA hook refuses to start it"),
                vec![written(case, name, value)],
            ),
            Outcome::Unsatisfied {
                condition, failed, ..
            } => (
                format!("{} does not meet {name}: {condition}", case.driver_text()),
                vec![written(case, name, value), not_met(&failed)],
            ),
        };
        if enforced.is_none() {
            out.lacks(INJECTION);
            continue;
        }
        let ids = gpu.map(|g| g.id.clone());
        match found.iter_mut().find(|f| f.title == title) {
            Some(same) => same.gpus.extend(ids),
            None => found.push(Unmet {
                title,
                evidence,
                gpus: ids.into_iter().collect(),
            }),
        }
    }
    found
}

/// The variable as it stands in the environment; of a legacy image with what the runtime makes of it.
fn written(case: &Case<'_>, name: &str, value: &str) -> String {
    let legacy = case.image.requirements.legacy && name == "CUDA_VERSION";
    match case.image.env(name).filter(|_| legacy) {
        Some(own) => format!("{name}={own}, which without NVIDIA_REQUIRE_CUDA asks for {value}"),
        None => format!("{name}={value}"),
    }
}

/// The rule by which each of the alternatives fails, each rule once.
fn not_met(failed: &[String]) -> String {
    let mut rules: Vec<&str> = Vec::new();
    for rule in failed {
        if !rules.contains(&rule.as_str()) {
            rules.push(rule);
        }
    }
    format!("not met: {}", rules.join(", "))
}

fn outcome(case: &Case<'_>, gpu: Option<&HostGpu>, value: &str) -> Outcome {
    // On Jetson the check knows CUDA and the architecture alone: no driver version, an empty brand.
    let csv = case.host.injection == Injection::Csv;
    let arch = gpu
        .and_then(|g| g.capability)
        .map(|c| Version::from_pair(c.major, c.minor));
    let none = Version::from_pair(0, 0);
    let terms = gpu.map(|gpu| GpuTerms {
        arch: arch.as_ref().map_or(Fact::Unknown, Fact::Known),
        brand: if csv {
            Fact::Known("")
        } else {
            gpu.brand.as_deref().map_or(Fact::Unknown, Fact::Known)
        },
    });
    let driver = case.host.driver.as_ref().map_or(Fact::Unknown, Fact::Known);
    evaluate(
        value,
        &HostTerms {
            cuda: case.host.cuda.as_ref().map_or(Fact::Unknown, Fact::Known),
            driver: if csv { Fact::Known(&none) } else { driver },
            gpus: terms.as_slice(),
        },
    )
}

fn refused(case: &Case<'_>, found: Unmet, value: &str) -> Finding {
    let first = value.split(' ').find(|g| !g.is_empty()).unwrap_or(value);
    let message = if found.title.contains("cannot be read") {
        "nvidia-container-cli: requirement error: invalid expression".to_owned()
    } else if case.host.injection == Injection::Csv {
        format!("requirements not met: unsatisfied condition: {first}")
    } else {
        format!(
            "nvidia-container-cli: requirement error: {}",
            runtime_message(first)
        )
    };
    let mut finding = Finding::new(101, Severity::Error, found.title)
        .because_of(found.evidence)
        .because(format!("the start fails with: {message}"))
        .on(found.gpus);
    let wanted = first
        .strip_prefix("cuda>=")
        .and_then(|rest| Version::parse(rest.split(',').next().unwrap_or(rest)));
    if let Some(wanted) = &wanted {
        let pair = Version::from_pair(wanted.major(), wanted.minor());
        finding = finding.try_these(driver_for(&pair, case.host));
    }
    if let Some(how) = carried(case) {
        let hide = compat_in_the_way(case).map_or_else(String::new, |hide| format!(" {hide}"));
        finding = finding.try_this(format!("or start it with `{SWITCH_OFF}{hide}`: {how}"));
    }
    // Another CUDA is no way out of what is asked of the GPU, or of what cannot be read.
    if wanted.is_some() {
        finding = finding.try_these(base_image(case.host));
    }
    if finding.remedy.is_empty() {
        finding = finding.try_this(format!(
            "to start it all the same: `{SWITCH_OFF}` (CUDA in it may fail then)"
        ));
    }
    finding
}

/// What hides a compat library that would come into effect and not work here, once the check is off.
fn compat_in_the_way(case: &Case<'_>) -> Option<String> {
    let LibCuda::Compat { compat, .. } = &case.libcuda else {
        return None;
    };
    let driver = case.host.driver.as_ref()?;
    let refused = branch_support(case.image, compat, driver) == Support::BranchRefused
        || case
            .host
            .gpus
            .iter()
            .any(|g| brand_support(g) != Some(true));
    refused.then(|| hide(compat))
}

/// How the host's own libcuda would carry everything that the image needs; `None`: it would not.
fn carried(case: &Case<'_>) -> Option<&'static str> {
    let cuda = case.host.cuda.as_ref()?;
    let driver = case.host.driver.as_ref();
    let mut how = case.needs.iter().map(|n| carry(&n.cuda, cuda, driver));
    if case.needs.is_empty() || !how.clone().all(Carry::carries) {
        return None;
    }
    Some(if how.any(|how| how == Carry::MinorVersion) {
        "minor-version compatibility carries this CUDA on this driver"
    } else {
        "this driver is new enough for the CUDA in it"
    })
}
