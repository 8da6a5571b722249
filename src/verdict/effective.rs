//! Which libcuda is in effect in the container: the host's, or the image's compat library.
//!
//! Sources: nvidia-container-toolkit tags 1.17.5 to 1.20.0 (`enable-cuda-compat`), libnvidia-container
//! `src/cli/compat_mode.c`.

use super::catalogue::{Catalogue, CompatPackage};
use super::facts::{Compat, CompatNote, HostFacts, HostGpu, ImageFacts, Injection};
use super::version::Version;

/// How the compat library came into effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// The image puts it on the library path itself, without any check.
    Forced(String),
    /// The container toolkit puts it in.
    Toolkit,
}

/// The libcuda in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibCuda<'a> {
    /// The host driver's.
    Host,
    /// The image's.
    Compat {
        /// Which.
        compat: &'a Compat,
        /// How.
        activation: Activation,
    },
    /// It depends on a fact that is not known.
    Unknown {
        /// Which fact.
        why: &'static str,
    },
}

/// Whether a compat package is supported on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// In NVIDIA's matrix.
    Supported,
    /// The package names the branch, the matrix does not: it works and is out of support.
    OutOfSupport,
    /// The host branch is not among those it accepts.
    BranchRefused,
}

/// Works out which libcuda the processes of the container will load.
pub fn libcuda<'a>(image: &'a ImageFacts, host: &HostFacts) -> LibCuda<'a> {
    let Some(compat) = &image.compat else {
        return LibCuda::Host;
    };
    if let Some(by) = &compat.forced_by {
        return LibCuda::Compat {
            compat,
            activation: Activation::Forced(by.clone()),
        };
    }
    let Some(driver) = &host.driver else {
        return LibCuda::Unknown {
            why: "the host's driver version, which decides whether the image's compat library is used",
        };
    };
    let toolkit = host.toolkit.as_ref();
    let legacy = || Some(!host.compat_disabled && by_legacy(compat, driver, toolkit));
    let by_toolkit = match host.injection {
        Injection::Legacy => legacy(),
        Injection::Cdi | Injection::JitCdi => by_hook(compat, driver, toolkit),
        Injection::Csv => by_csv(compat, host),
        Injection::Unknown => {
            let hook = by_hook(compat, driver, toolkit);
            if hook == legacy() { hook } else { None }
        }
    };
    match by_toolkit {
        Some(true) => LibCuda::Compat {
            compat,
            activation: Activation::Toolkit,
        },
        Some(false) => LibCuda::Host,
        None => LibCuda::Unknown {
            why: "the container toolkit's version and mode, which decide whether the image's compat library is used",
        },
    }
}

/// The CUDA that a compat library brings: its note's or folder's, else that of its driver's branch.
pub fn compat_cuda(compat: &Compat) -> Option<Version> {
    compat
        .cuda
        .clone()
        .or_else(|| compat.note.as_ref().and_then(|note| note.cuda.clone()))
        .or_else(|| Catalogue::get().cuda_of_driver(&compat.driver))
}

fn newer_major(compat: &Compat, driver: &Version) -> bool {
    compat.driver.major() > driver.major()
}

/// libnvidia-container drops compat libraries whose major is not newer than the host's. It knows them from
/// 1.4.0 on; 1.17.4 alone left them out.
fn by_legacy(compat: &Compat, driver: &Version, toolkit: Option<&Version>) -> bool {
    let mounts = toolkit.is_none_or(|version| {
        let from = |parts: &[u32]| *version >= Version::from_parts(parts);
        from(&[1, 4, 0]) && (!from(&[1, 17, 4]) || from(&[1, 17, 5]))
    });
    mounts && newer_major(compat, driver)
}

/// `nvidia-cdi-hook enable-cuda-compat`; `None` where the toolkit's version would decide and is not known
/// (1.17.5 or newer is taken for granted then).
fn by_hook(compat: &Compat, driver: &Version, toolkit: Option<&Version>) -> Option<bool> {
    if compat.candidates != 1 {
        return Some(false);
    }
    let majors = newer_major(compat, driver);
    let by_note = match &compat.note {
        Some(note) => note.drivers.contains(&driver.major()) && is_newer(&compat.driver, driver),
        None => majors,
    };
    match toolkit {
        Some(version) if *version < Version::from_parts(&[1, 17, 5]) => Some(false),
        Some(version) if *version < Version::from_parts(&[1, 20, 0]) => Some(majors),
        Some(_) => Some(by_note),
        None => (majors == by_note).then_some(majors),
    }
}

/// A host driver named by its branch alone is that branch's newest build.
fn is_newer(compat: &Version, driver: &Version) -> bool {
    if driver.is_bare() {
        return compat.major() > driver.major();
    }
    compat > driver
}

/// On Jetson: from 1.19 on by the note's CUDA alone, and only with a compat folder configured, which
/// cannot be seen from here.
fn by_csv(compat: &Compat, host: &HostFacts) -> Option<bool> {
    let knows = host
        .toolkit
        .as_ref()
        .is_none_or(|version| *version >= Version::from_parts(&[1, 19, 0]));
    let newer = compat
        .note
        .as_ref()
        .and_then(|note| note.cuda.as_ref())
        .zip(host.cuda.as_ref())
        .is_some_and(|(own, host)| own > host);
    (!(knows && newer)).then_some(false)
}

/// The compat package that an unmodified `nvidia/cuda` image of this CUDA carries on a platform: all on amd64
/// from 10.0 on, on arm64 from 12.5 on. `None` for others and for a CUDA newer than the catalogue.
///
/// Source: the images' Dockerfiles. The ELF note is in the packages from 12.9 on.
pub fn base_image_compat(cuda: &Version, platform: &str) -> Option<Compat> {
    let first = match platform.split('/').nth(1)? {
        "amd64" => Version::from_pair(10, 0),
        "arm64" => Version::from_pair(12, 5),
        _ => return None,
    };
    if *cuda < first {
        return None;
    }
    let pair = Version::from_pair(cuda.major(), cuda.minor());
    let toolkit = Catalogue::get().toolkit(&pair)?;
    let driver = toolkit
        .newest_update_driver
        .as_ref()
        .filter(|_| *cuda > pair)
        .unwrap_or(&toolkit.min_driver);
    let package = package(&pair);
    Some(Compat {
        path: format!("/usr/local/cuda-{pair}/compat"),
        driver: driver.clone(),
        note: package
            .filter(|_| pair >= Version::from_pair(12, 9) && !driver.is_bare())
            .map(|package| CompatNote {
                cuda: Some(pair.clone()),
                drivers: package.accepted(),
                devices: Vec::new(),
            }),
        cuda: Some(pair),
        forced_by: None,
        candidates: 1,
    })
}

fn package(cuda: &Version) -> Option<&'static CompatPackage> {
    Catalogue::get()
        .compat
        .iter()
        .find(|p| p.cuda.pair() == cuda.pair())
}

/// Whether a compat package accepts the host's branch: NVIDIA's matrix, then what the package's own note and
/// the image's `NVIDIA_REQUIRE_CUDA` name. A package newer than the catalogue is not refused by table.
pub fn branch_support(image: &ImageFacts, compat: &Compat, driver: &Version) -> Support {
    let branch = driver.major();
    let cuda = compat_cuda(compat);
    let row = cuda.as_ref().and_then(package);
    if row.is_some_and(|p| p.matrix.contains(&branch)) {
        return Support::Supported;
    }
    let newest = Catalogue::get().compat.last().map(|p| &p.cuda);
    let newer = cuda.as_ref() > newest && compat.driver.major() > branch;
    let named = match &compat.note {
        Some(note) if !note.drivers.is_empty() => note.drivers.contains(&branch),
        _ => newer || row.is_some_and(|p| p.named.contains(&branch)) || image_names(image, branch),
    };
    if named {
        Support::OutOfSupport
    } else {
        Support::BranchRefused
    }
}

/// Whether a group of `NVIDIA_REQUIRE_CUDA` lets this driver branch in: `driver>=535,driver<536`.
fn image_names(image: &ImageFacts, branch: u32) -> bool {
    let bound = |group: &str, operator: &str| -> Option<u32> {
        group
            .split(',')
            .find_map(|rule| rule.strip_prefix("driver")?.strip_prefix(operator))
            .and_then(Version::parse)
            .map(|version| version.major())
    };
    image
        .requirements
        .predicates
        .iter()
        .filter(|(name, _)| name == "NVIDIA_REQUIRE_CUDA")
        .flat_map(|(_, value)| value.split(' '))
        .any(|group| {
            bound(group, ">=").is_some_and(|from| from <= branch)
                && bound(group, "<").is_none_or(|to| branch < to)
        })
}

/// Whether forward compatibility is offered for a GPU; `None` where its brand is not known.
pub fn brand_support(gpu: &HostGpu) -> Option<bool> {
    gpu.brand
        .as_deref()
        .map(|brand| Catalogue::get().is_compat_brand(brand))
}
