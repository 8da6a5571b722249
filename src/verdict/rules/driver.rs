//! MW102, MW103 and MW108: the image's CUDA and the GPUs against the driver.

use crate::model::ComputeCapability;
use crate::verdict::catalogue::{Arch, Catalogue};
use crate::verdict::effective::LibCuda;
use crate::verdict::facts::{HostGpu, Injection};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::need::{Carry, Need, carry};
use crate::verdict::remedy::{driver_for, driver_upgrade, sm};
use crate::verdict::version::Version;

use super::{Case, Findings};

/// MW108: the driver branch does not know the GPU: it will not be seen at all. A GPU that a live host's NVML
/// lists is known, whatever the table says; Jetson's drivers are numbered apart.
pub fn driver_does_not_know_gpu(case: &Case<'_>, out: &mut Findings) {
    if !case.host.hypothetical || case.host.injection == Injection::Csv {
        return;
    }
    for gpu in &case.host.gpus {
        let Some(capability) = gpu.capability else {
            continue;
        };
        match Catalogue::get().arch(capability) {
            Some(arch) => against_arch(case, gpu, arch, out),
            None => newer_gpu(case, gpu, capability, out),
        }
    }
}

/// A GPU newer than the catalogue: a driver of an older branch than the newest known cannot be told to know it.
fn newer_gpu(case: &Case<'_>, gpu: &HostGpu, capability: ComputeCapability, out: &mut Findings) {
    let newest = Catalogue::get().newest_branch().map(|b| b.branch);
    let Some(driver) = &case.host.driver else {
        return;
    };
    if newest.is_some_and(|newest| driver.major() < newest) {
        out.lacks(format!(
            "which driver branch first knows {} ({}), which the catalogue does not have",
            gpu.name,
            sm(capability)
        ));
    }
}

fn against_arch(case: &Case<'_>, gpu: &HostGpu, arch: &Arch, out: &mut Findings) {
    let catalogue = Catalogue::get();
    let Some((at_least, at_most)) = branches(case) else {
        return;
    };
    if let Some(first) = arch.first_branch.filter(|first| at_most < *first) {
        out.add(
            Finding::new(
                108,
                Severity::Error,
                format!(
                    "{} does not know {}: {} begins with branch {first}",
                    case.driver_text(),
                    gpu.name,
                    arch.name
                ),
            )
            .because(format!(
                "compute capability {} first appears in driver branch {first}",
                arch.compute_capability
            ))
            .because("the container sees no GPU at all (`torch.cuda.is_available()` is False)")
            .try_these(driver_upgrade(
                &arch.first_toolkit,
                &[arch.compute_capability],
                &case.host.month,
            ))
            .on([gpu.id.clone()]),
        );
        return;
    }
    let Some(last) = arch.last_branch.filter(|last| at_least > *last) else {
        return;
    };
    if catalogue
        .newest_branch()
        .is_some_and(|b| at_least > b.branch)
    {
        out.lacks(format!(
            "whether {}, newer than the catalogue, still knows {} (branch {last} was the last for {})",
            case.driver_text(),
            gpu.name,
            arch.name
        ));
        return;
    }
    out.add(
        Finding::new(
            108,
            Severity::Error,
            format!(
                "{} no longer knows {}: branch {last} is the last for {}",
                case.driver_text(),
                gpu.name,
                arch.name
            ),
        )
        .because(format!(
            "support for compute capability {} ended with driver branch {last}",
            arch.compute_capability
        ))
        .because("the container sees no GPU at all")
        .try_this(format!(
            "install driver branch {last}, the last for {}",
            arch.name
        ))
        .on([gpu.id.clone()]),
    );
}

/// The lowest and the highest branch that the host's driver can be of: its own, or those of its CUDA where
/// the version is not told.
fn branches(case: &Case<'_>) -> Option<(u32, u32)> {
    if let Some(driver) = &case.host.driver {
        return Some((driver.major(), driver.major()));
    }
    let cuda = case.host.cuda.as_ref()?;
    let rows = &Catalogue::get().branches;
    let newest = rows.last()?;
    if *cuda > newest.cuda {
        return Some((newest.branch + 1, u32::MAX));
    }
    let of_cuda = || rows.iter().filter(|b| b.cuda.pair() == cuda.pair());
    Some((of_cuda().next()?.branch, of_cuda().next_back()?.branch))
}

/// MW102 and MW103: the libcuda in effect against the image's CUDA.
pub fn driver_against_cuda(case: &Case<'_>, out: &mut Findings) {
    let Some(cuda) = &case.cuda else {
        if !case.needs.is_empty() {
            out.lacks(match &case.libcuda {
                LibCuda::Unknown { why } => (*why).to_owned(),
                _ => "the host driver's CUDA version".to_owned(),
            });
        }
        return;
    };
    for need in &case.needs {
        match carry(&need.cuda, cuda, case.libcuda_driver()) {
            Carry::Native => {}
            Carry::MinorVersion => {
                // The floor of a major lies within its first minor's branch.
                let host = matches!(case.libcuda, LibCuda::Host);
                if host && case.host.driver.is_none() && cuda.minor() == 0 {
                    out.lacks(format!(
                        "the host's driver version: minor-version compatibility of CUDA {} has a floor",
                        cuda.major()
                    ));
                }
                out.add(minor_version(case, need, cuda));
            }
            how @ (Carry::UnderFloor | Carry::TooOld) => out.add(too_old(case, need, cuda, how)),
        }
    }
}

fn minor_version(case: &Case<'_>, need: &Need, cuda: &Version) -> Finding {
    let jits = case.image.deciding().iter().any(|(_, f)| f.jits_ptx);
    let severity = if jits {
        Severity::Warning
    } else {
        Severity::Info
    };
    let finding = Finding::new(
        103,
        severity,
        format!(
            "{} needs CUDA {}; {} carries it by minor-version compatibility",
            need.who,
            need.cuda,
            case.libcuda_text()
        ),
    )
    .because(need.evidence.clone())
    .because(format!(
        "same CUDA major ({}), driver over its floor, CUDA {cuda} in effect; compiled code is needed, PTX of a newer CUDA is not covered",
        need.cuda.major()
    ));
    if jits {
        finding
            .because("code that compiles PTX at run time ends in error 222 (unsupported toolchain): its PTX is newer than the driver")
            .try_these(driver_for(&Version::from_pair(need.cuda.major(), need.cuda.minor()), case.host))
    } else {
        finding
    }
}

fn too_old(case: &Case<'_>, need: &Need, cuda: &Version, how: Carry) -> Finding {
    let why = match how {
        Carry::UnderFloor => format!(
            "minor-version compatibility of CUDA {} begins with driver {}",
            need.cuda.major(),
            Catalogue::get()
                .minor_floor(need.cuda.major())
                .map_or_else(|| "of its own toolkit".to_owned(), ToString::to_string)
        ),
        _ if need.cuda.major() == cuda.major() => {
            "CUDA 10 and older have no minor-version compatibility".to_owned()
        }
        _ => "a driver runs its own CUDA major and older ones, never a newer major".to_owned(),
    };
    let helps = match case.libcuda {
        LibCuda::Host => super::compat::remedy(case, need),
        _ => None,
    };
    Finding::new(
        102,
        case.severity_of(need.framework),
        format!(
            "{} is too old for {}: it needs CUDA {}",
            case.libcuda_text(),
            need.who,
            need.cuda
        ),
    )
    .because(need.evidence.clone())
    .because(why)
    .because(if need.who.starts_with("torch") {
        "it ends in error 35, `CUDA driver version is insufficient for CUDA runtime version`; torch prints a warning, says is_available() == False and would train on the CPU"
    } else {
        "it ends in error 35, `CUDA driver version is insufficient for CUDA runtime version`; programs that can do so fall back to the CPU without a word"
    })
    .try_these(driver_upgrade(&need.cuda, &case.capabilities(), &case.host.month))
    .try_these(case.older_software(need))
    .try_these(helps)
}
