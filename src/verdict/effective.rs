//! Which libcuda is in effect in the container: the host's, or the image's compat library.
//!
//! Sources: nvidia-container-toolkit tags 1.17.5 to 1.20.0 (`enable-cuda-compat`), libnvidia-container
//! `src/cli/compat_mode.c`.

use super::catalogue::Catalogue;
use super::facts::{Compat, HostFacts, HostGpu, ImageFacts, Injection};
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
            why: "the host's driver version",
        };
    };
    let by_toolkit = match host.injection {
        Injection::Legacy => Some(newer_major(compat, driver)),
        Injection::Cdi | Injection::JitCdi => by_hook(compat, driver, host.toolkit.as_ref()),
        Injection::Csv => Some(false),
        Injection::Unknown => {
            let legacy = newer_major(compat, driver);
            let hook = by_hook(compat, driver, host.toolkit.as_ref());
            (hook == Some(legacy)).then_some(legacy)
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

fn newer_major(compat: &Compat, driver: &Version) -> bool {
    compat.driver.major() > driver.major()
}

/// `nvidia-cdi-hook enable-cuda-compat`; `None` where the toolkit's version would decide and is not known.
fn by_hook(compat: &Compat, driver: &Version, toolkit: Option<&Version>) -> Option<bool> {
    if compat.candidates != 1 {
        return Some(false);
    }
    let majors = newer_major(compat, driver);
    let by_note = match &compat.note {
        Some(note) => note.drivers.contains(&driver.major()) && compat.driver > *driver,
        None => majors,
    };
    match toolkit {
        Some(version) if *version < Version::from_parts(&[1, 17, 5]) => Some(false),
        Some(version) if *version < Version::from_parts(&[1, 20, 0]) => Some(majors),
        Some(_) => Some(by_note),
        None => (majors == by_note).then_some(majors),
    }
}

/// Whether a compat package accepts the host's branch.
pub fn branch_support(compat: &Compat, driver: &Version) -> Support {
    let branch = driver.major();
    let row = compat.cuda.as_ref().and_then(|cuda| {
        Catalogue::get()
            .compat
            .iter()
            .find(|p| p.cuda.pair() == cuda.pair())
    });
    if row.is_some_and(|p| p.matrix.contains(&branch)) {
        return Support::Supported;
    }
    let named = match &compat.note {
        Some(note) => note.drivers.contains(&branch),
        None => row.is_some_and(|p| p.named.contains(&branch)),
    };
    if named {
        Support::OutOfSupport
    } else {
        Support::BranchRefused
    }
}

/// Whether forward compatibility is offered for a GPU; `None` where its brand is not known.
pub fn brand_support(gpu: &HostGpu) -> Option<bool> {
    gpu.brand
        .as_deref()
        .map(|brand| Catalogue::get().is_compat_brand(brand))
}
