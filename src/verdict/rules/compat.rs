//! MW104 to MW106: the image's forward-compatibility library, needed or not.

use crate::verdict::catalogue::Catalogue;
use crate::verdict::effective::{
    Activation, LibCuda, Support, branch_support, brand_support, compat_cuda,
};
use crate::verdict::facts::{Compat, HostGpu};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::need::{Carry, Need, carry};
use crate::verdict::remedy::driver_upgrade;
use crate::verdict::version::Version;

use super::{Case, Findings};

/// How the host's own library would do, were the compat library not in effect.
#[derive(Clone, Copy)]
struct Host {
    /// It carries everything.
    carries: bool,
    /// It is as new as everything.
    native: bool,
}

/// MW104, MW105 and MW106.
pub fn compat(case: &Case<'_>, out: &mut Findings) {
    let (Some(compat), Some(driver)) = (&case.image.compat, &case.host.driver) else {
        return;
    };
    let how = |need: &Need| {
        let cuda = case.host.cuda.as_ref()?;
        Some(carry(&need.cuda, cuda, Some(driver)))
    };
    let host = Host {
        carries: case
            .needs
            .iter()
            .all(|n| how(n).is_some_and(Carry::carries)),
        native: case.needs.iter().all(|n| how(n) == Some(Carry::Native)),
    };
    match &case.libcuda {
        LibCuda::Compat { activation, .. } => active(case, compat, driver, activation, host, out),
        // MW102 stands; say why the image's own bridge is not taken.
        LibCuda::Host
            if !host.carries
                && case.host.cuda.is_some()
                && bridges(case, compat)
                && branch_support(case.image, compat, driver) == Support::BranchRefused =>
        {
            out.add(unsupported(case, compat, driver, Vec::new()));
        }
        _ => {}
    }
}

/// Whether the compat library would carry everything that the image needs.
fn bridges(case: &Case<'_>, compat: &Compat) -> bool {
    let Some(cuda) = compat_cuda(compat) else {
        return false;
    };
    !case.needs.is_empty()
        && case
            .needs
            .iter()
            .all(|need| carry(&need.cuda, &cuda, None).carries())
}

fn active(
    case: &Case<'_>,
    compat: &Compat,
    driver: &Version,
    activation: &Activation,
    host: Host,
    out: &mut Findings,
) {
    // The host's own version again: nothing differs.
    if compat.driver == *driver {
        return;
    }
    let support = branch_support(case.image, compat, driver);
    let how = match activation {
        Activation::Forced(by) => format!("put first on the library path by {by}"),
        Activation::Toolkit => "put in by the NVIDIA container toolkit".to_owned(),
    };
    let library = format!("{} (driver {}), {how}", compat.path, compat.driver);
    // Older than the host, or of a branch the package does not accept: user and kernel halves do not fit.
    if support == Support::BranchRefused {
        out.add(if host.carries {
            Finding::new(106, Severity::Error, format!("the image's compat library is in effect and does not fit {}", case.driver_text()))
                .because(library.as_str())
                .because(format!("it does not accept host driver branch {}; it ends in error 803, `system has unsupported display driver / cuda driver combination`", driver.major()))
                .because("the host's own library would carry this image")
                .try_these(disable(case, compat, activation))
        } else {
            unsupported(case, compat, driver, Vec::new())
        });
        return;
    }
    if case.host.gpus.iter().any(|g| brand_support(g).is_none()) {
        out.lacks(
            "the brand of a GPU, which decides whether the image's compat library works on it",
        );
    }
    let refused: Vec<&HostGpu> = case
        .host
        .gpus
        .iter()
        .filter(|g| brand_support(g) == Some(false))
        .collect();
    if !refused.is_empty() {
        let ids: Vec<String> = refused.iter().map(|g| g.id.clone()).collect();
        out.add(if host.carries {
            Finding::new(106, Severity::Warning, "forward compatibility is in effect on a GPU that it is not offered for; it may end in error 804")
                .because(library.as_str())
                .because("GeForce and TITAN are not supported: `forward compatibility was attempted on non supported HW`")
                .because("the host's own library would carry this image")
                .try_these(disable(case, compat, activation))
                .on(ids)
        } else {
            unsupported(case, compat, driver, ids)
        });
        if refused.len() == case.host.gpus.len() {
            return;
        }
    }
    if !host.native {
        let way_out = host.carries.then(|| disable(case, compat, activation));
        carried(case, compat, driver, &library, support, way_out, out);
    }
}

/// MW104, where the library carries the image; where it is itself older than what the image needs,
/// minor-version compatibility (MW103) is told on its CUDA, and this only where the host would not do.
/// `way_out`: how to take it out of the way, where the host's own library carries the image.
fn carried(
    case: &Case<'_>,
    compat: &Compat,
    driver: &Version,
    library: &str,
    support: Support,
    way_out: Option<Vec<String>>,
    out: &mut Findings,
) {
    if !bridges(case, compat) {
        return;
    }
    let natively = compat_cuda(compat)
        .is_some_and(|cuda| case.needs.iter().all(|n| n.cuda.pair() <= cuda.pair()));
    if !natively && way_out.is_some() && support == Support::Supported {
        return;
    }
    let branch = driver.major();
    let (severity, note) = match support {
        Support::OutOfSupport => (
            Severity::Warning,
            format!(
                "branch {branch} is named by the package or the image and not in NVIDIA's support matrix: it works in practice, out of support"
            ),
        ),
        _ => (
            Severity::Info,
            format!("branch {branch} is in NVIDIA's support matrix for this package"),
        ),
    };
    let finding = Finding::new(
        104,
        severity,
        format!(
            "forward compatibility carries it: the image's libcuda of driver {} is in effect",
            compat.driver
        ),
    )
    .because(library)
    .because(note);
    out.add(
        match (
            severity,
            case.needs.iter().max_by(|a, b| a.cuda.cmp(&b.cuda)),
        ) {
            (Severity::Warning, Some(_)) if way_out.is_some() => finding
                .because(
                    "the host's own library would carry this image by minor-version compatibility",
                )
                .try_these(way_out.unwrap_or_default()),
            (Severity::Warning, Some(need)) => finding.try_these(driver_upgrade(
                &need.cuda,
                &case.capabilities(),
                &case.host.month,
            )),
            _ => finding,
        },
    );
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
        format!("only the image's compat library could carry it, and it is not supported on this host: {}", case.driver_text()),
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
        None => finding.try_these(super::super::remedy::base_image(case.host)),
    }
}

/// How to take the compat library out of the way.
pub fn disable(case: &Case<'_>, compat: &Compat, activation: &Activation) -> Vec<String> {
    match activation {
        Activation::Forced(by) if by.starts_with("LD_LIBRARY_PATH") => {
            let rest: Vec<&str> = case
                .image
                .env("LD_LIBRARY_PATH")
                .unwrap_or_default()
                .split(':')
                .filter(|folder| !folder.is_empty() && !folder.contains("/compat"))
                .collect();
            vec![format!(
                "start it with `-e LD_LIBRARY_PATH={}` (the compat folder taken out)",
                rest.join(":")
            )]
        }
        Activation::Forced(by) => vec![format!(
            "remove {by} in a derived image: `RUN rm -f {by} && ldconfig`"
        )],
        Activation::Toolkit => vec![
            format!("hide it: add `{}` to the launch", hide(compat)),
            "or set `cuda-compat-mode = \"disabled\"` under [nvidia-container-runtime.modes.legacy] in /etc/nvidia-container-runtime/config.toml (legacy mode alone)".to_owned(),
        ],
    }
}

/// The option of `docker run` that covers the compat folder with an empty one.
pub fn hide(compat: &Compat) -> String {
    format!("--mount type=tmpfs,dst={}", compat.path)
}

/// `cuda-compat` as a way out, where this host is eligible: the image's own, not put in by this toolkit, or
/// a package to add.
pub fn remedy(case: &Case<'_>, need: &Need) -> Option<String> {
    let driver = case.host.driver.as_ref()?;
    let eligible = !case.host.gpus.is_empty()
        && case
            .host
            .gpus
            .iter()
            .all(|g| brand_support(g) == Some(true));
    if !eligible {
        return None;
    }
    if let Some(compat) = &case.image.compat {
        let fits = bridges(case, compat)
            && branch_support(case.image, compat, driver) != Support::BranchRefused;
        let rest = case.image.env("LD_LIBRARY_PATH").unwrap_or_default();
        let rest = if rest.is_empty() {
            String::new()
        } else {
            format!(":{rest}")
        };
        return (case.libcuda == LibCuda::Host && fits).then(|| {
            format!(
                "or use the image's own compat library: start it with `-e LD_LIBRARY_PATH={}{rest}` (the container toolkit puts it in by itself from 1.17.5 on)",
                compat.path
            )
        });
    }
    let package = Catalogue::get().compat.iter().find(|p| {
        p.cuda.pair() >= need.cuda.pair()
            && p.cuda.major() == need.cuda.major()
            && p.matrix.contains(&driver.major())
    })?;
    Some(format!(
        "or add the package cuda-compat-{}-{} to the image (data-center GPUs on branch {} may use it) and put /usr/local/cuda/compat first on LD_LIBRARY_PATH",
        package.cuda.major(),
        package.cuda.minor(),
        driver.major()
    ))
}
