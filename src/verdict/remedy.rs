//! Remedies that can be typed: the driver to upgrade to, or the newest image or wheel this driver carries.

use crate::model::ComputeCapability;

use super::catalogue::{Arch, Branch, BranchKind, Catalogue, variant_cuda};
use super::facts::{HostFacts, Target, Variant};
use super::need::{Carry, carry};
use super::version::Version;

/// `sm_120`.
pub fn sm(capability: ComputeCapability) -> String {
    format!("sm_{}{}", capability.major, capability.minor)
}

/// What bounds the drivers for some GPUs: the branch that first knows them all and the last that does.
struct Bounds<'a> {
    first: Option<u32>,
    last: Option<(u32, &'a Arch)>,
    last_toolkit: Option<u32>,
}

fn bounds(gpus: &[ComputeCapability]) -> Bounds<'static> {
    let archs: Vec<&'static Arch> = gpus
        .iter()
        .filter_map(|gpu| Catalogue::get().arch(*gpu))
        .collect();
    Bounds {
        first: archs.iter().filter_map(|a| a.first_branch).max(),
        last: archs
            .iter()
            .filter_map(|a| Some((a.last_branch?, *a)))
            .min_by_key(|(last, _)| *last),
        last_toolkit: archs
            .iter()
            .filter_map(|a| Some(a.last_toolkit.as_ref()?.major()))
            .min(),
    }
}

/// The drivers to upgrade to so that CUDA `need` runs on these GPUs: the lowest that serves and the
/// recommended branch. A GPU whose last branch is older leaves nothing to recommend, and neither does one
/// that this CUDA no longer supports: no driver mends that.
pub fn driver_upgrade(need: &Version, gpus: &[ComputeCapability], month: &str) -> Vec<String> {
    let catalogue = Catalogue::get();
    let bounds = bounds(gpus);
    if bounds.last_toolkit.is_some_and(|last| last < need.major()) {
        return Vec::new();
    }
    let lowest = if need.major() >= 11 {
        catalogue.minor_floor(need.major()).cloned()
    } else {
        catalogue.toolkit(need).map(|t| t.min_driver.clone())
    };
    let Some(lowest) = lowest else {
        return vec![format!(
            "upgrade the driver to one whose CUDA is {}.{} or newer (`nvidia-smi` prints it)",
            need.major(),
            need.minor()
        )];
    };
    let lowest_branch = lowest.major().max(bounds.first.unwrap_or(0));
    if bounds.last.is_some_and(|(last, _)| last < lowest_branch) {
        return Vec::new();
    }
    let up_to = bounds.last.map_or_else(String::new, |(last, arch)| {
        format!(", up to branch {last}, the last for {}", arch.name)
    });
    let mut remedies = vec![if lowest_branch > lowest.major() {
        format!(
            "upgrade the host driver to branch {lowest_branch} or newer (the first that knows this GPU){up_to}"
        )
    } else {
        format!("upgrade the host driver to {lowest} or newer{up_to}")
    }];
    remedies.extend(recommended(
        lowest_branch,
        bounds.last.map(|(last, _)| last),
        month,
    ));
    remedies
}

/// The newest supported long-term or production branch in a range.
fn recommended(lowest: u32, last: Option<u32>, month: &str) -> Option<String> {
    let suits = |b: &&Branch| {
        b.branch >= lowest
            && last.is_none_or(|last| b.branch <= last)
            && b.is_supported(month)
            && matches!(b.kind, BranchKind::Lts | BranchKind::Production)
    };
    let branch = Catalogue::get().branches.iter().rfind(suits)?;
    let kind = match branch.kind {
        BranchKind::Lts => "long-term support",
        _ => "production branch",
    };
    Some(format!(
        "recommended: driver branch {} ({kind}, CUDA {}) from your distribution's packages (on Ubuntu `sudo ubuntu-drivers list --gpgpu` names them), then reboot",
        branch.branch, branch.cuda
    ))
}

/// To be of CUDA `wanted` itself (a requirement, PTX) the driver must be that toolkit's own or newer.
pub fn driver_for(wanted: &Version, host: &HostFacts) -> Vec<String> {
    let gpus: Vec<ComputeCapability> = host.gpus.iter().filter_map(|g| g.capability).collect();
    let Some(toolkit) = Catalogue::get().toolkit(wanted) else {
        return driver_upgrade(wanted, &gpus, &host.month);
    };
    let bounds = bounds(&gpus);
    let branch = toolkit.min_driver.major();
    if bounds.last.is_some_and(|(last, _)| last < branch) {
        return Vec::new();
    }
    let lowest = match bounds.first {
        Some(first) if first > branch => format!("branch {first}"),
        _ if toolkit.min_driver.is_bare() => format!("branch {branch}"),
        _ => toolkit.min_driver.to_string(),
    };
    vec![format!(
        "upgrade the host driver to {lowest} or newer (CUDA {wanted})"
    )]
}

/// The newest `nvidia/cuda` image that this driver carries without compat and whose CUDA compiles for these
/// GPUs.
pub fn base_image(host: &HostFacts) -> Option<String> {
    let cuda = host.cuda.as_ref()?;
    let catalogue = Catalogue::get();
    let archs: Vec<&Arch> = host
        .gpus
        .iter()
        .filter_map(|g| catalogue.arch(g.capability?))
        .collect();
    let suits = |toolkit: &Version| {
        toolkit.pair() <= cuda.pair()
            && archs.iter().all(|a| {
                a.first_toolkit <= *toolkit
                    && a.last_toolkit.as_ref().is_none_or(|last| toolkit <= last)
            })
    };
    let toolkit = catalogue.toolkits.iter().rfind(|t| suits(&t.cuda))?;
    let tag = catalogue
        .toolkits
        .iter()
        .rfind(|t| suits(&t.cuda) && t.image.is_some())
        .and_then(|t| t.image.as_deref());
    let such = tag.map_or_else(String::new, |tag| format!(", such as `nvidia/cuda:{tag}`"));
    Some(format!(
        "use an image of CUDA {} or older{such}",
        toolkit.cuda
    ))
}

/// A PyTorch of its own index that a host can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchBuild {
    /// Its minor version, `2.6`.
    pub torch: Version,
    /// The index, `cu124`.
    pub variant: String,
    /// The CUDA of that index.
    pub cuda: Version,
    /// How the host's driver carries it.
    pub carry: Carry,
}

impl TorchBuild {
    /// Address of its index.
    pub fn index(&self) -> String {
        format!("https://download.pytorch.org/whl/{}", self.variant)
    }
}

/// The newest PyTorch wheel of its own index that this driver carries and that has SASS for these GPUs.
pub fn torch_wheel(host: &HostFacts, gpus: &[ComputeCapability]) -> Option<String> {
    let build = torch_build(host, gpus, &|_, _| true)?;
    Some(format!(
        "pip install 'torch=={}.*' --index-url {}",
        build.torch,
        build.index()
    ))
}

/// The newest PyTorch of its own index that this driver carries, that has SASS for these GPUs, and whose minor
/// version and index are `wanted`.
pub fn torch_build(
    host: &HostFacts,
    gpus: &[ComputeCapability],
    wanted: &dyn Fn(&Version, &str) -> bool,
) -> Option<TorchBuild> {
    let cuda = host.cuda.as_ref()?;
    let catalogue = Catalogue::get();
    let on_arm = host
        .platform
        .as_deref()
        .is_some_and(|p| p.split('/').nth(1) == Some("arm64"));
    let serves = |capabilities: &[ComputeCapability]| {
        gpus.iter().all(|gpu| {
            capabilities.iter().any(|capability| {
                let target = Target {
                    capability: *capability,
                    variant: Variant::Plain,
                };
                target.sass_runs_on(*gpu)
            })
        })
    };
    for row in catalogue.torch_index.iter().rev() {
        let compiled = |variant: &String| {
            catalogue
                .torch_archs
                .iter()
                .filter(|a| a.arm64 == on_arm)
                .filter(|a| a.variants.contains(variant))
                .filter(|a| a.first <= row.torch && row.torch <= a.last)
                .any(|a| serves(&a.compute_capabilities))
        };
        let newest = row
            .variants
            .iter()
            .filter(|variant| wanted(&row.torch, variant))
            .filter_map(|v| variant_cuda(v).map(|cuda| (v, cuda)))
            .filter(|(_, need)| carry(need, cuda, host.driver.as_ref()).carries())
            .filter(|(variant, _)| compiled(variant))
            // What the driver carries natively before what minor-version compatibility carries.
            .max_by(|a, b| (a.1 <= *cuda).cmp(&(b.1 <= *cuda)).then(a.1.cmp(&b.1)));
        if let Some((variant, need)) = newest {
            return Some(TorchBuild {
                torch: row.torch.clone(),
                variant: variant.clone(),
                carry: carry(&need, cuda, host.driver.as_ref()),
                cuda: need,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn cc(major: u32, minor: u32) -> ComputeCapability {
        ComputeCapability { major, minor }
    }

    fn host(driver: &str) -> HostFacts {
        HostFacts {
            driver: Some(v(driver)),
            cuda: Catalogue::get().cuda_of_driver(&v(driver)),
            ..HostFacts::default()
        }
    }

    #[test]
    fn the_driver_named_serves_the_cuda_and_the_gpu() {
        let up = |need: &str, gpu| driver_upgrade(&v(need), &[gpu], "2026-11");
        let h100 = up("13.0", cc(9, 0));
        assert!(h100[0].contains("580.65.06"), "{h100:?}");
        assert!(h100[1].contains("595"), "{h100:?}");
        let blackwell = up("12.4", cc(12, 0));
        assert!(blackwell[0].contains("branch 570"), "{blackwell:?}");
        let volta = up("12.8", cc(7, 0));
        assert!(volta[0].contains("525.60.13"), "{volta:?}");
        assert!(
            volta[1].contains("580"),
            "the last branch for Volta: {volta:?}"
        );
        assert!(up("13.0", cc(3, 7)).is_empty(), "Kepler ends at 470");
        assert!(up("10.1", cc(7, 0))[0].contains("418.39"));
    }

    #[test]
    fn the_wheel_named_runs_on_driver_and_gpu() {
        let wheel = |driver: &str, gpu| torch_wheel(&host(driver), &[gpu]);
        assert!(
            wheel("550.163.01", cc(9, 0)).unwrap().ends_with("cu126"),
            "minor compatibility carries cu126"
        );
        assert!(
            wheel("580.95.05", cc(7, 0)).unwrap().ends_with("cu126"),
            "Volta's refuge"
        );
        assert!(
            wheel("580.95.05", cc(12, 0)).unwrap().ends_with("cu130"),
            "its own CUDA before what minor compatibility carries"
        );
        assert!(wheel("595.58.03", cc(12, 0)).unwrap().ends_with("cu132"));
        assert!(wheel("470.256.02", cc(8, 0)).unwrap().ends_with("cu118"));
        assert_eq!(wheel("390.87", cc(7, 0)), None);
    }
}
