//! Remedies that can be typed: the driver to upgrade to, or the newest image or wheel this driver carries.

use crate::model::ComputeCapability;

use super::catalogue::{BranchKind, Catalogue, variant_cuda};
use super::facts::HostFacts;
use super::need::{Carry, carry};
use super::version::Version;

/// The drivers to upgrade to so that CUDA `need` runs on these GPUs: the lowest that serves and the
/// recommended branch. A GPU whose last branch is older leaves nothing to recommend.
pub fn driver_upgrade(need: &Version, gpus: &[ComputeCapability], month: &str) -> Vec<String> {
    let catalogue = Catalogue::get();
    let lowest = if need.major() >= 11 {
        catalogue.minor_floor(need.major()).cloned()
    } else {
        catalogue.toolkit(need).map(|t| t.min_driver.clone())
    };
    let first = gpus
        .iter()
        .filter_map(|gpu| catalogue.arch(*gpu)?.first_branch)
        .max();
    let last = gpus
        .iter()
        .filter_map(|gpu| catalogue.arch(*gpu)?.last_branch)
        .min();
    let Some(lowest) = lowest else {
        return vec![format!(
            "upgrade the driver to one whose CUDA is {}.{} or newer (`nvidia-smi` prints it)",
            need.major(),
            need.minor()
        )];
    };
    let lowest_branch = lowest.major().max(first.unwrap_or(0));
    if last.is_some_and(|last| last < lowest_branch) {
        return Vec::new();
    }
    let mut remedies = vec![if lowest_branch > lowest.major() {
        format!(
            "upgrade the host driver to branch {lowest_branch} or newer (the first that knows this GPU)"
        )
    } else {
        format!("upgrade the host driver to {lowest} or newer")
    }];
    let recommended = catalogue.branches.iter().rfind(|b| {
        b.branch >= lowest_branch
            && last.is_none_or(|last| b.branch <= last)
            && b.is_supported(month)
            && matches!(b.kind, BranchKind::Lts | BranchKind::Production)
    });
    if let Some(branch) = recommended {
        let kind = match branch.kind {
            BranchKind::Lts => "long-term support branch",
            _ => "production branch",
        };
        remedies.push(format!(
            "recommended: driver branch {} ({kind}, CUDA {}): `sudo apt-get install nvidia-driver-{}-server` or your distribution's package, then reboot",
            branch.branch, branch.cuda, branch.branch
        ));
    }
    remedies
}

/// The newest `nvidia/cuda` line that this driver carries without compat.
pub fn base_image(host: &HostFacts) -> Option<String> {
    let cuda = host.cuda.as_ref()?;
    let toolkit = Catalogue::get()
        .toolkits
        .iter()
        .rfind(|t| t.cuda.pair() <= cuda.pair())?;
    Some(format!(
        "use an image of CUDA {} or older, such as `nvidia/cuda:{}.1-runtime-ubuntu22.04`",
        toolkit.cuda, toolkit.cuda
    ))
}

/// The newest PyTorch wheel of its own index that this driver carries and that has SASS for these GPUs.
pub fn torch_wheel(host: &HostFacts, gpus: &[ComputeCapability]) -> Option<String> {
    let cuda = host.cuda.as_ref()?;
    let catalogue = Catalogue::get();
    for row in catalogue.torch_index.iter().rev() {
        let mut variants: Vec<(&String, Version)> = row
            .variants
            .iter()
            .filter_map(|v| variant_cuda(v).map(|cuda| (v, cuda)))
            .filter(|(_, need)| {
                matches!(
                    carry(need, cuda, host.driver.as_ref()),
                    Carry::Native | Carry::MinorVersion
                )
            })
            .filter(|(variant, _)| {
                catalogue
                    .torch_archs
                    .iter()
                    .filter(|a| {
                        a.variants.contains(variant) && a.first <= row.torch && row.torch <= a.last
                    })
                    .any(|a| {
                        gpus.iter().all(|gpu| {
                            a.compute_capabilities
                                .iter()
                                .any(|c| c.major == gpu.major && c.minor <= gpu.minor)
                        })
                    })
            })
            .collect();
        variants.sort_by(|a, b| a.1.cmp(&b.1));
        if let Some((variant, _)) = variants.pop() {
            return Some(format!(
                "pip install 'torch=={}.*' --index-url https://download.pytorch.org/whl/{variant}",
                row.torch
            ));
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
        assert!(wheel("580.95.05", cc(12, 0)).unwrap().ends_with("cu132"));
        assert!(wheel("470.256.02", cc(8, 0)).unwrap().ends_with("cu118"));
        assert_eq!(wheel("390.87", cc(7, 0)), None);
    }
}
