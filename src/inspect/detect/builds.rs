//! What the known frameworks say of themselves: for which CUDA they were built, or for none.

use std::collections::BTreeMap;

use super::frameworks::{Scene, built};
use super::python::Site;
use super::tree::join;
use crate::inspect::interest::file_name;
use crate::model::text::clean;
use crate::verdict::Version;
use crate::verdict::facts::{Build, Framework};

/// `NAME = 'value'` and `NAME: Optional[str] = 'value'` of a Python file; `None` for Python's `None` too.
pub(super) fn python_value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start();
        let value = match rest.strip_prefix(':') {
            Some(annotated) => annotated.split_once('=')?.1,
            None => rest.strip_prefix('=')?,
        }
        .trim();
        let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let inner = value.get(1..)?;
        Some(clean(inner.get(..inner.find(quote)?)?, 64))
    })
}

/// `+cu124` of a version.
pub(super) fn local_cuda(version: Option<&str>) -> Option<Version> {
    let (_, local) = version?.split_once('+')?;
    crate::verdict::catalogue::variant_cuda(local.split('.').next()?)
}

fn major_minor(text: &str) -> Option<Version> {
    let version = Version::parse(text)?;
    Some(Version::from_pair(version.major(), version.minor()))
}

pub(super) fn torch(framework: &mut Framework, site: &Site, text: Option<&str>) {
    let Some(text) = text else {
        return;
    };
    framework.evidence = format!("/{}/torch/version.py", site.folder);
    if let Some(version) = python_value(text, "__version__") {
        framework.version = Some(version);
    }
    let cuda = python_value(text, "cuda");
    framework.build = if let Some(cuda) = &cuda {
        framework.evidence.push_str(&format!(": cuda = '{cuda}'"));
        Build::Cuda(major_minor(cuda))
    } else if let Some(hip) = python_value(text, "hip") {
        framework.evidence.push_str(&format!(": hip = '{hip}'"));
        Build::Rocm(Some(hip))
    } else {
        framework.evidence.push_str(": cuda = None");
        Build::Cpu
    };
    if matches!(framework.build, Build::Cuda(_)) && framework.library.is_none() {
        framework.missing.push("libtorch_cuda.so".to_owned());
    }
}

/// `build_info.build_info['cuda_version']`, written as a dictionary or a list of pairs.
pub(super) fn build_info(text: &str, key: &str) -> Option<String> {
    let at = text
        .find(&format!("'{key}'"))
        .or_else(|| text.find(&format!("\"{key}\"")))?;
    let rest = text.get(at + key.len() + 2..)?;
    let rest = rest.trim_start_matches([' ', ',', ':', '\n', '\t']);
    let value = rest.split([',', ')', '}', '\n']).next()?.trim();
    let value = value.trim_start_matches('u').trim_matches(['\'', '"']);
    Some(clean(value, 64)).filter(|v| !v.is_empty() && v != "None")
}

pub(super) fn tensorflow(
    framework: &mut Framework,
    scene: &Scene<'_>,
    site: &Site,
    dist: Option<&str>,
    libraries: &[&str],
) {
    let path = join(&site.folder, "tensorflow/python/platform/build_info.py");
    let Some(text) = scene.tree.text(&path) else {
        framework.build = match dist {
            Some("tensorflow_cpu") => Build::Cpu,
            _ if libraries.is_empty() => Build::Unknown,
            _ => built(scene, libraries, &site.folder),
        };
        return;
    };
    framework.evidence = format!("/{path}");
    let said = |key: &str| build_info(text, key);
    framework.build = if said("is_rocm_build").as_deref() == Some("True") {
        Build::Rocm(said("rocm_version"))
    } else if said("is_cuda_build").as_deref() == Some("True") {
        let cuda = said("cuda_version");
        if let Some(cuda) = &cuda {
            framework
                .evidence
                .push_str(&format!(": cuda_version '{cuda}'"));
        }
        Build::Cuda(cuda.and_then(|v| major_minor(&v)))
    } else {
        framework.evidence.push_str(": is_cuda_build False");
        Build::Cpu
    };
}

pub(super) fn jax(framework: &mut Framework, scene: &Scene<'_>, site: &Site, libraries: &[&str]) {
    let plugin = [
        "jax_cuda13_plugin",
        "jax_cuda12_plugin",
        "jax_cuda13_pjrt",
        "jax_cuda12_pjrt",
    ]
    .iter()
    .find(|name| site.version(name).is_some());
    let jaxlib = site.version("jaxlib").unwrap_or("");
    framework.build = if let Some(name) = plugin {
        framework.evidence = site.record(name).unwrap_or_default();
        let major = if name.contains("cuda13") { 13 } else { 12 };
        of_major(scene, libraries, site, major, 0)
    } else if let Some((_, local)) = jaxlib.split_once("+cuda") {
        // `cuda12.cudnn89`, `cuda118`.
        let end = local
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(local.len());
        let digits = local.get(..end).unwrap_or("");
        let (major, minor) = digits.split_at_checked(2).unwrap_or((digits, ""));
        match major.parse() {
            Ok(major) => of_major(scene, libraries, site, major, minor.parse().unwrap_or(0)),
            Err(_) => Build::Cuda(None),
        }
    } else if site.beginning("jax_rocm").is_some() {
        Build::Rocm(None)
    } else if jaxlib.is_empty() {
        // jax without jaxlib does not start at all.
        Build::Unknown
    } else {
        framework.evidence.push_str(" without a CUDA plugin");
        Build::Cpu
    };
}

/// The package says the major (and at least which minor); its libraries may say more.
fn of_major(scene: &Scene<'_>, libraries: &[&str], site: &Site, major: u32, minor: u32) -> Build {
    let least = Version::from_pair(major, minor);
    match built(scene, libraries, &site.folder) {
        Build::Cuda(Some(version)) if version.major() == major && version > least => {
            Build::Cuda(Some(version))
        }
        _ => Build::Cuda(Some(least)),
    }
}

/// The package's name says the major: `cupy-cuda12x`. conda's and self-made ones do not.
pub(super) fn cupy(
    framework: &mut Framework,
    scene: &Scene<'_>,
    site: &Site,
    dist: Option<&str>,
    libraries: &[&str],
) {
    let named = dist
        .and_then(|name| name.strip_prefix("cupy_cuda")?.strip_suffix('x'))
        .and_then(|major| major.parse().ok());
    framework.build = match named {
        Some(major) => of_major(scene, libraries, site, major, 0),
        None => built(scene, libraries, &site.folder),
    };
}

pub(super) fn onnxruntime(
    framework: &mut Framework,
    scene: &Scene<'_>,
    site: &Site,
    dist: Option<&str>,
    libraries: &[&str],
) {
    let path = join(&site.folder, "onnxruntime/capi/build_and_package_info.py");
    let said = scene
        .tree
        .text(&path)
        .and_then(|t| python_value(t, "cuda_version"));
    let gpu = dist.is_some_and(|name| name.contains("gpu")) || framework.library.is_some();
    framework.build = match said.filter(|v| !v.is_empty()) {
        Some(cuda) => {
            framework.evidence = format!("/{path}: cuda_version = '{cuda}'");
            Build::Cuda(major_minor(&cuda))
        }
        None if gpu => built(scene, libraries, &site.folder),
        None => Build::Cpu,
    };
}

/// One library for each CUDA; it takes the one that equals torch's, or fails.
pub(super) fn bitsandbytes(framework: &mut Framework, scene: &Scene<'_>, site: &Site) {
    let mut builds: BTreeMap<Version, String> = BTreeMap::new();
    for path in &framework.libraries {
        let name = file_name(path);
        let digits = name
            .strip_prefix("libbitsandbytes_cuda")
            .and_then(|rest| rest.strip_suffix(".so"));
        if let Some(cuda) =
            digits.and_then(|d| crate::verdict::catalogue::variant_cuda(&format!("cu{d}")))
        {
            builds.insert(cuda, path.clone());
        }
    }
    let torch = scene.tree.text(&join(&site.folder, "torch/version.py"));
    let cuda = torch
        .and_then(|text| python_value(text, "cuda"))
        .and_then(|cuda| major_minor(&cuda));
    match cuda {
        None if torch.is_some() => {
            framework.library = None;
            framework.libraries.clear();
            let hip = torch.and_then(|text| python_value(text, "hip"));
            framework.build = hip.map_or(Build::Cpu, |hip| Build::Rocm(Some(hip)));
            framework.evidence.push_str("; torch beside it has no CUDA");
        }
        Some(cuda) => {
            framework.library = builds.get(&cuda).cloned();
            if framework.library.is_none() && !builds.is_empty() {
                let name = format!("libbitsandbytes_cuda{}{}.so", cuda.major(), cuda.minor());
                framework.missing.push(name);
            }
            framework.libraries = framework.library.iter().cloned().collect();
            framework.evidence = format!(
                "{}; it takes the build that equals torch's CUDA",
                framework.evidence
            );
            framework.build = Build::Cuda(Some(cuda));
        }
        None if builds.is_empty() => framework.build = Build::Unknown,
        None => {
            framework.build = Build::Cuda(None);
            framework.library = None;
            framework.alternatives = builds.into_keys().collect();
        }
    }
}

/// numba compiles PTX at run time, where it has NVVM to do so with.
pub(super) fn numba(framework: &mut Framework, scene: &Scene<'_>, site: &Site) {
    framework.jits_ptx = scene.tree.all_libraries().any(|path| {
        file_name(path).starts_with("libnvvm.so")
            && !scene.tree.is_stored(path)
            && scene.tree.would_find(file_name(path), &site.folder)
    });
}
