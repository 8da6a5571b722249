//! MW101 to MW106 and MW108: the image's CUDA against the driver.

use crate::verdict::catalogue::Catalogue;
use crate::verdict::effective::{Activation, LibCuda, Support, branch_support, brand_support};
use crate::verdict::facts::{Compat, HostGpu, Injection};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::need::{Carry, Need, carry};
use crate::verdict::remedy::driver_upgrade;
use crate::verdict::require::{Fact, GpuTerms, HostTerms, Outcome, evaluate, runtime_message};
use crate::verdict::version::Version;

use super::{Case, Findings};

/// MW108: the driver branch does not know the GPU: it will not be seen at all.
pub fn driver_does_not_know_gpu(case: &Case<'_>, out: &mut Findings) {
    let Some(driver) = &case.host.driver else {
        return;
    };
    for gpu in &case.host.gpus {
        let Some(arch) = gpu.capability.and_then(|c| Catalogue::get().arch(c)) else {
            continue;
        };
        let branch = driver.major();
        if let Some(first) = arch.first_branch.filter(|first| branch < *first) {
            out.add(
                Finding::new(
                    108,
                    Severity::Error,
                    format!(
                        "driver {driver} does not know {}: {} begins with branch {first}",
                        gpu.name, arch.name
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
        } else if let Some(last) = arch.last_branch.filter(|last| branch > *last) {
            out.add(
                Finding::new(
                    108,
                    Severity::Error,
                    format!(
                        "driver {driver} no longer knows {}: branch {last} is the last for {}",
                        gpu.name, arch.name
                    ),
                )
                .because(format!(
                    "support for compute capability {} ended with driver branch {last}",
                    arch.compute_capability
                ))
                .try_this(format!(
                    "install driver branch {last}, the last for {}",
                    arch.name
                ))
                .on([gpu.id.clone()]),
            );
        }
    }
}

/// MW101: `NVIDIA_REQUIRE_*` is not met.
pub fn requirement_unsatisfied(case: &Case<'_>, out: &mut Findings) {
    let requirements = &case.image.requirements;
    if requirements.disabled || case.host.injection == Injection::Csv {
        return;
    }
    let enforced = match case.host.injection {
        Injection::Legacy => Some(true),
        Injection::Cdi | Injection::JitCdi => Some(false),
        _ => None,
    };
    if let (Some(version), Some(true)) = (&requirements.bad_cuda_version, enforced) {
        out.add(
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
            .try_this("add `-e NVIDIA_DISABLE_REQUIRE=1`"),
        );
        return;
    }
    let archs: Vec<Option<Version>> = case
        .host
        .gpus
        .iter()
        .map(|g| g.capability.map(|c| Version::from_pair(c.major, c.minor)))
        .collect();
    let gpus: Vec<GpuTerms<'_>> = case
        .host
        .gpus
        .iter()
        .zip(&archs)
        .map(|(gpu, arch)| GpuTerms {
            arch: arch.as_ref().map_or(Fact::Unknown, Fact::Known),
            brand: gpu.brand.as_deref().map_or(Fact::Unknown, Fact::Known),
        })
        .collect();
    let terms = HostTerms {
        cuda: case.host.cuda.as_ref().map_or(Fact::Unknown, Fact::Known),
        driver: case.host.driver.as_ref().map_or(Fact::Unknown, Fact::Known),
        gpus: &gpus,
    };
    for (name, value) in &requirements.predicates {
        let (title, evidence, gpu) = match evaluate(value, &terms) {
            Outcome::Satisfied { .. } => continue,
            Outcome::Unknown { rule } => {
                if enforced != Some(false) {
                    out.lacks(format!("a host value that {name} asks for (`{rule}`)"));
                }
                continue;
            }
            Outcome::Invalid { piece } => (
                format!("{name} cannot be read at `{piece}`: the NVIDIA hook refuses to start it"),
                format!("{name}={value}"),
                None,
            ),
            Outcome::Unsatisfied {
                gpu,
                condition,
                failed,
            } => (
                format!("{} does not meet {name}: {condition}", case.driver_text()),
                format!("{name}={value}: not met: {}", failed.join(" and ")),
                case.host.gpus.get(gpu),
            ),
        };
        let finding = match enforced {
            Some(true) => refused(case, title, evidence, value),
            Some(false) => Finding::new(
                101,
                Severity::Info,
                format!("{title} (not enforced with CDI)"),
            )
            .because(evidence)
            .because("with CDI nothing checks NVIDIA_REQUIRE_*: the rules below decide"),
            None => {
                out.lacks("how this host injects GPUs: with the legacy hook the container is refused, with CDI nothing checks NVIDIA_REQUIRE_*");
                continue;
            }
        };
        out.add(finding.on(gpu.map(|g: &HostGpu| g.id.clone())));
    }
}

fn refused(case: &Case<'_>, title: String, evidence: String, value: &str) -> Finding {
    let first = value.split(' ').find(|g| !g.is_empty()).unwrap_or(value);
    let mut finding = Finding::new(101, Severity::Error, title)
        .because(evidence)
        .because(format!(
            "the start fails with: nvidia-container-cli: requirement error: {}",
            runtime_message(first)
        ));
    let wanted = first
        .strip_prefix("cuda>=")
        .and_then(|rest| Version::parse(rest.split(',').next().unwrap_or(rest)));
    if let Some(wanted) = wanted {
        finding = finding.try_these(upgrade_to(&wanted, case));
    }
    let carried = !case.needs.is_empty()
        && case.needs.iter().all(|need| {
            case.host.cuda.as_ref().is_some_and(|cuda| {
                matches!(
                    carry(&need.cuda, cuda, case.host.driver.as_ref()),
                    Carry::Native | Carry::MinorVersion
                )
            })
        });
    if carried {
        finding = finding.try_this(
            "or start it with `-e NVIDIA_DISABLE_REQUIRE=1`: minor-version compatibility carries this CUDA on this driver",
        );
    }
    finding.try_these(super::super::remedy::base_image(case.host))
}

/// To meet `cuda>=X.Y` the driver itself must be of that CUDA.
fn upgrade_to(wanted: &Version, case: &Case<'_>) -> Vec<String> {
    match Catalogue::get().toolkit(wanted) {
        Some(toolkit) => vec![format!(
            "upgrade the host driver to {} or newer (CUDA {wanted})",
            toolkit.min_driver
        )],
        None => driver_upgrade(wanted, &case.capabilities(), &case.host.month),
    }
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
    // A compat library is the user half of its own driver: above every floor of its major.
    let driver = match case.libcuda {
        LibCuda::Host => case.host.driver.as_ref(),
        _ => None,
    };
    for need in &case.needs {
        match carry(&need.cuda, cuda, driver) {
            Carry::Native => {}
            Carry::MinorVersion => out.add(minor_version(case, need, cuda)),
            how @ (Carry::UnderFloor | Carry::TooOld) => out.add(too_old(case, need, cuda, how)),
        }
    }
}

fn minor_version(case: &Case<'_>, need: &Need, cuda: &Version) -> Finding {
    let jits = need
        .framework
        .and_then(|i| case.image.frameworks.get(i))
        .is_some_and(|f| f.jits_ptx)
        || case.image.frameworks.iter().any(|f| f.jits_ptx);
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
            case.driver_text()
        ),
    )
    .because(need.evidence.clone())
    .because(format!(
        "same CUDA major ({}), driver over its floor, driver's CUDA {cuda}",
        need.cuda.major()
    ));
    if jits {
        finding
            .because("code that compiles PTX at run time ends in error 222 (unsupported toolchain): its PTX is newer than the driver")
            .try_these(driver_upgrade_for_native(need, case))
    } else {
        finding
    }
}

fn driver_upgrade_for_native(need: &Need, case: &Case<'_>) -> Vec<String> {
    upgrade_to(
        &Version::from_pair(need.cuda.major(), need.cuda.minor()),
        case,
    )
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
    Finding::new(
        102,
        Severity::Error,
        format!("{} is too old for {}: it needs CUDA {}", case.driver_text(), need.who, need.cuda),
    )
    .because(need.evidence.clone())
    .because(why)
    .because("it ends in error 35, `CUDA driver version is insufficient for CUDA runtime version`; torch prints a warning, says is_available() == False and would train on the CPU")
    .try_these(driver_upgrade(&need.cuda, &case.capabilities(), &case.host.month))
    .try_these(case.older_software(need))
    .try_these(compat_remedy(case, need))
}

/// `cuda-compat` as a way out, where this host is eligible and the image has none.
fn compat_remedy(case: &Case<'_>, need: &Need) -> Option<String> {
    let driver = case.host.driver.as_ref()?;
    if case.image.compat.is_some() || case.host.gpus.is_empty() {
        return None;
    }
    let eligible = case
        .host
        .gpus
        .iter()
        .all(|g| brand_support(g) == Some(true));
    let package = Catalogue::get().compat.iter().find(|p| {
        p.cuda.pair() >= need.cuda.pair()
            && p.cuda.major() == need.cuda.major()
            && p.matrix.contains(&driver.major())
    })?;
    eligible.then(|| {
        format!(
            "or add the package cuda-compat-{}-{} to the image (data-center GPUs on branch {} may use it) and put /usr/local/cuda/compat first on LD_LIBRARY_PATH",
            package.cuda.major(),
            package.cuda.minor(),
            driver.major()
        )
    })
}

/// MW104, MW105 and MW106: the compat library, needed or not.
pub fn compat(case: &Case<'_>, out: &mut Findings) {
    let (Some(compat), Some(driver)) = (&case.image.compat, &case.host.driver) else {
        return;
    };
    let host_carries = case.needs.iter().all(|need| {
        case.host.cuda.as_ref().is_some_and(|cuda| {
            matches!(
                carry(&need.cuda, cuda, Some(driver)),
                Carry::Native | Carry::MinorVersion
            )
        })
    });
    let host_native = case.needs.iter().all(|need| {
        case.host
            .cuda
            .as_ref()
            .is_some_and(|cuda| need.cuda.pair() <= cuda.pair())
    });
    match &case.libcuda {
        LibCuda::Compat { activation, .. } => active(
            case,
            compat,
            driver,
            activation,
            host_carries,
            host_native,
            out,
        ),
        // MW102 stands; say why the image's own bridge is not taken.
        LibCuda::Host
            if !host_carries
                && !case.needs.is_empty()
                && branch_support(compat, driver) == Support::BranchRefused =>
        {
            out.add(unsupported(case, compat, driver, Vec::new()));
        }
        _ => {}
    }
}

fn active(
    case: &Case<'_>,
    compat: &Compat,
    driver: &Version,
    activation: &Activation,
    host_carries: bool,
    host_native: bool,
    out: &mut Findings,
) {
    let support = branch_support(compat, driver);
    let refused: Vec<&HostGpu> = case
        .host
        .gpus
        .iter()
        .filter(|g| brand_support(g) == Some(false))
        .collect();
    if case.host.gpus.iter().any(|g| brand_support(g).is_none()) {
        out.lacks(
            "the brand of a GPU, which decides whether the image's compat library works on it",
        );
    }
    let how = match activation {
        Activation::Forced(by) => format!("put first on the library path by {by}"),
        Activation::Toolkit => "put in by the NVIDIA container toolkit".to_owned(),
    };
    let library = format!("{} (driver {}), {how}", compat.path, compat.driver);
    // Older than the host, or of a branch the package does not accept: user and kernel halves do not fit.
    if support == Support::BranchRefused {
        if host_carries {
            out.add(
                Finding::new(106, Severity::Error, format!("the image's compat library is in effect and does not fit {}", case.driver_text()))
                    .because(library.as_str())
                    .because(format!("it does not accept host driver branch {}; it ends in error 803, `system has unsupported display driver / cuda driver combination`", driver.major()))
                    .because("the host's own library would carry this image")
                    .try_these(disable(activation)),
            );
        } else {
            out.add(unsupported(case, compat, driver, Vec::new()));
        }
        return;
    }
    if !refused.is_empty() {
        let ids: Vec<String> = refused.iter().map(|g| g.id.clone()).collect();
        if host_carries {
            out.add(
                Finding::new(106, Severity::Warning, "forward compatibility is in effect on a GPU that it is not offered for; it may end in error 804")
                    .because(library.as_str())
                    .because("GeForce and TITAN are not supported: `forward compatibility was attempted on non supported HW`")
                    .because("the host's own library would carry this image")
                    .try_these(disable(activation))
                    .on(ids),
            );
        } else {
            out.add(unsupported(case, compat, driver, ids));
        }
        if refused.len() == case.host.gpus.len() {
            return;
        }
    }
    if !host_native {
        let (severity, note) = match support {
            Support::OutOfSupport => (
                Severity::Warning,
                format!(
                    "branch {} is in the package's own list and no longer in NVIDIA's support matrix: it works in practice, out of support",
                    driver.major()
                ),
            ),
            _ => (
                Severity::Info,
                format!(
                    "branch {} is in NVIDIA's support matrix for this package",
                    driver.major()
                ),
            ),
        };
        out.add(
            Finding::new(104, severity, format!("forward compatibility carries it: the image's libcuda of driver {} is in effect", compat.driver))
                .because(library.as_str())
                .because(note),
        );
    }
}

fn unsupported(case: &Case<'_>, compat: &Compat, driver: &Version, gpus: Vec<String>) -> Finding {
    let why = if gpus.is_empty() {
        format!(
            "its package does not accept host driver branch {} (may end in error 803)",
            driver.major()
        )
    } else {
        "forward compatibility is not offered for GeForce and TITAN (may end in error 804)"
            .to_owned()
    };
    let finding = Finding::new(
        105,
        Severity::Error,
        format!("only the image's compat library could carry it, and it is not supported on this host ({})", case.driver_text()),
    )
    .because(format!("{} (driver {})", compat.path, compat.driver))
    .because(why)
    .on(gpus);
    match case.needs.iter().max_by(|a, b| a.cuda.cmp(&b.cuda)) {
        Some(need) => finding
            .try_these(driver_upgrade(
                &need.cuda,
                &case.capabilities(),
                &case.host.month,
            ))
            .try_these(case.older_software(need)),
        None => finding,
    }
}

fn disable(activation: &Activation) -> Vec<String> {
    match activation {
        Activation::Forced(by) if by.starts_with("LD_LIBRARY_PATH") => vec![
            "start it with `-e LD_LIBRARY_PATH=` (or with the compat folder taken out of it)".to_owned(),
        ],
        Activation::Forced(by) => vec![format!("remove {by} in a derived image, and run ldconfig")],
        Activation::Toolkit => vec![
            "hide it: add `--mount type=tmpfs,dst=/usr/local/cuda/compat` to the launch".to_owned(),
            "or set `cuda-compat-mode = \"disabled\"` under [nvidia-container-runtime.modes.legacy] in /etc/nvidia-container-runtime/config.toml".to_owned(),
        ],
    }
}
