//! Libraries of a framework's own wheels that an older one of the same name stands before.
//!
//! `LD_LIBRARY_PATH` is searched before the `RUNPATH` of NVIDIA's wheels: an older `libnvJitLink.so.12` there
//! ends `import torch` with `undefined symbol: __nvJitLinkComplete_12_4`, an older cuDNN with a version
//! mismatch. A newer one of the same major serves.

use super::cuda::so_version;
use super::frameworks::Scene;
use super::python::Site;
use super::tree::join;
use crate::inspect::interest::file_name;
use crate::verdict::Version;
use crate::verdict::facts::{Build, Framework, Shadowed};

/// Wheels by how their names begin, and the soname without its major.
const WHEELS: &[(&str, &str)] = &[
    ("nvidia_nvjitlink_cu", "libnvJitLink.so"),
    ("nvidia_cudnn_cu", "libcudnn.so"),
    ("nvidia_cublas_cu", "libcublas.so"),
    ("nvidia_cusparse_cu", "libcusparse.so"),
    ("nvidia_cusolver_cu", "libcusolver.so"),
    ("nvidia_cufft_cu", "libcufft.so"),
    ("nvidia_nccl_cu", "libnccl.so"),
];

/// Fills in what stands before the framework's own.
pub(super) fn fill(framework: &mut Framework, scene: &Scene<'_>, site: &Site) {
    if !matches!(framework.build, Build::Cuda(_)) || framework.library.is_none() {
        return;
    }
    for (wheel, name) in WHEELS {
        let Some(own) = site.beginning(wheel).and_then(|(_, v)| Version::parse(v)) else {
            continue;
        };
        let soname = format!("{name}.{}", own.major());
        let first = scene.tree.library_path.iter().find_map(|searched| {
            let (path, _) = scene.tree.find(&join(&searched.folder, &soname))?;
            Some((searched, path))
        });
        let Some((searched, path)) = first else {
            continue;
        };
        let version = so_version(file_name(path)).and_then(Version::parse);
        let older = version.as_ref().is_some_and(|v| v.pair() < own.pair());
        if older && !path.starts_with(&site.folder) {
            framework.shadowed.push(Shadowed {
                soname,
                path: format!("/{path}"),
                version: version.map(|v| v.to_string()),
                by: searched.by.clone(),
            });
        }
    }
}
