//! From configuration and content to facts: one detector for each kind of thing.

mod builds;
mod cuda;
mod frameworks;
mod missing;
mod programs;
mod python;
mod shadowed;
mod tree;

#[cfg(test)]
mod tests;

use super::config::Config;
use super::content::Content;
use crate::verdict::Version;
use crate::verdict::effective::base_image_compat;
use crate::verdict::facts::{CudaLibrary, ImageFacts, Scan};
use crate::verdict::require::requirements;

use frameworks::Scene;
use tree::Tree;

/// Repositories of NVIDIA's own base images.
const BASES: &[&str] = &[
    "nvidia/cuda",
    "docker.io/nvidia/cuda",
    "nvcr.io/nvidia/cuda",
];

/// Everything that is known of an image.
pub(super) fn facts(config: &Config, content: Option<&Content>, live: bool) -> ImageFacts {
    let mut facts = of_config(config);
    let Some(content) = content else {
        return facts;
    };
    facts.scan = Scan::Full;
    facts.gaps = content.gaps.clone();
    let tree = Tree::new(content, config);
    let (sites, whole) = python::sites(&tree, config);
    if !whole {
        facts
            .gaps
            .push("more Python environments than any real image has".to_owned());
    }
    let named = tree.library_path.iter();
    facts.library_path = named
        .map(|s| (s.entry.clone(), format!("/{}", s.folder)))
        .collect();
    cuda::fill(&mut facts, &tree, &sites, live);
    let started = python::started(&tree, config);
    let scene = Scene {
        tree: &tree,
        sites: &sites,
        runtimes: &facts.runtimes,
        started: started.as_ref().map(|p| p.sites.as_slice()),
    };
    let (frameworks, whole) = frameworks::find(&scene);
    facts.frameworks = frameworks;
    if !whole {
        facts
            .gaps
            .push("more programs with device code than any real image has".to_owned());
    }
    facts.python = started.map(|p| p.program);
    facts.libraries = libraries(&tree);
    facts
}

/// What the configuration alone says.
fn of_config(config: &Config) -> ImageFacts {
    let pairs = || config.env.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let declared = config.env("CUDA_VERSION").filter(|v| !v.is_empty());
    let declared = declared.and_then(Version::parse);
    let unmodified_base = config
        .repositories
        .iter()
        .any(|name| BASES.contains(&name.as_str()));
    ImageFacts {
        // NVIDIA's base images carry the compat package of their CUDA, which their configuration implies.
        compat: declared
            .as_ref()
            .filter(|_| unmodified_base)
            .and_then(|cuda| base_image_compat(cuda, config.platform.as_deref()?)),
        scan: Scan::Config,
        platform: config.platform.clone(),
        requirements: requirements(pairs()),
        declared_cuda: declared,
        ngc: is_ngc(config),
        unmodified_base,
        cudnn: config.env("NV_CUDNN_VERSION").map(before_dash),
        nccl: config.env("NCCL_VERSION").map(before_dash),
        env: config.env.clone(),
        ..ImageFacts::default()
    }
}

fn before_dash(version: &str) -> String {
    crate::model::text::clean(version.split('-').next().unwrap_or(version), 64)
}

/// NVIDIA's framework images: they name the driver that belongs to their CUDA, and their
/// `NVIDIA_REQUIRE_CUDA` says `cuda>=9.0` whatever they need.
fn is_ngc(config: &Config) -> bool {
    let named =
        config.env("NVIDIA_BUILD_ID").is_some() || config.env("NVIDIA_PRODUCT_NAME").is_some();
    named && config.env("CUDA_DRIVER_VERSION").is_some()
}

/// Libraries with device code, or with code that could not be read.
fn libraries(tree: &Tree<'_>) -> Vec<CudaLibrary> {
    let told = tree.content.elves.iter().filter(|(path, elf)| {
        !tree.is_stored(path)
            && (elf.code.containers() > 0
                || !elf.code.relocatable_ptx.is_empty()
                || elf.problem.is_some())
    });
    told.map(|(path, elf)| CudaLibrary {
        path: format!("/{path}"),
        size_bytes: tree.size(path),
        code: elf.code.clone(),
        needed: elf.needed.clone(),
        problem: elf.problem.clone(),
    })
    .collect()
}
