//! Libraries that a framework needs and the image does not have.

use super::builds::build_info;
use super::frameworks::Scene;
use super::tree::join;
use crate::inspect::walk::is_cuda_name;
use crate::verdict::facts::{Build, Framework};

/// Libraries that frameworks load by name at run time, beside what their ELF lists: by CUDA major.
///
/// Sources: TensorFlow's "Cannot dlopen some GPU libraries" list of 2.14 to 2.21; jax plugin metadata;
/// ONNX Runtime's execution provider requirements.
fn loaded(framework: &str, major: u32) -> &'static [&'static str] {
    match (framework, major) {
        ("tensorflow", 11) => &[
            "libcublas.so.11",
            "libcudnn.so.8",
            "libcufft.so.10",
            "libcusparse.so.11",
        ],
        ("tensorflow", 12) => &[
            "libcublas.so.12",
            "libcufft.so.11",
            "libcusolver.so.11",
            "libcusparse.so.12",
        ],
        ("jax", 12) => &[
            "libcublas.so.12",
            "libcudnn.so.9",
            "libcufft.so.11",
            "libcusolver.so.11",
            "libcusparse.so.12",
        ],
        ("jax", 13) => &[
            "libcublas.so.13",
            "libcudnn.so.9",
            "libcufft.so.12",
            "libcusolver.so.12",
            "libcusparse.so.12",
        ],
        ("ctranslate2", 11) => &["libcublas.so.11"],
        ("ctranslate2", 12) => &["libcublas.so.12"],
        _ => &[],
    }
}

/// Any of these will do.
fn loaded_any(framework: &str, major: u32) -> &'static [&'static str] {
    match (framework, major) {
        ("onnxruntime", 11) => &["libcudnn.so.8"],
        ("onnxruntime", 12) => &["libcudnn.so.9", "libcudnn.so.8"],
        ("onnxruntime", 13) => &["libcudnn.so.9"],
        ("tensorflow", 12) => &["libcudnn.so.9", "libcudnn.so.8"],
        _ => &[],
    }
}

/// What the driver brings: it is not in the image, and must not be.
fn is_drivers(name: &str) -> bool {
    const NAMES: &[&str] = &["libcuda.so", "libnvidia-", "libnvcuvid", "libcudadebugger"];
    NAMES.iter().any(|n| name.starts_with(n))
}

/// Libraries of CUDA that one library needs: real ones need some twenty.
const MAX_NEEDED: usize = 64;

/// Fills in what a CUDA build lacks.
pub(super) fn fill(framework: &mut Framework, scene: &Scene<'_>, place: &str) {
    let Build::Cuda(cuda) = &framework.build else {
        return;
    };
    let major = cuda.as_ref().map_or(0, crate::verdict::Version::major);
    let found = |name: &str| scene.tree.would_find(name, place);
    let mut lacking: Vec<String> = Vec::new();
    // The main library decides; a missing part of a side library is that part's matter.
    let needed = framework
        .library
        .as_deref()
        .and_then(|path| scene.tree.elf(path));
    let needed = needed.iter().flat_map(|elf| &elf.needed);
    let needed = needed.filter(|name| is_cuda_name(name) && !is_drivers(name));
    for name in needed.take(MAX_NEEDED) {
        if !found(name) {
            lacking.push(name.clone());
        }
    }
    lacking.extend(
        loaded(&framework.name, major)
            .iter()
            .filter(|name| !found(name))
            .map(|name| (*name).to_owned()),
    );
    if let Some(cudnn) = built_with_cudnn(framework, scene, place) {
        lacking.retain(|name| !name.starts_with("libcudnn.so."));
        lacking.extend(Some(cudnn).filter(|name| !found(name)));
        return add(framework, lacking);
    }
    let any = loaded_any(&framework.name, major);
    if !any.is_empty() && !any.iter().any(|name| found(name)) {
        lacking.extend(any.first().map(|name| (*name).to_owned()));
    }
    add(framework, lacking);
}

/// TensorFlow says itself which cuDNN it was built with: it loads that major alone.
fn built_with_cudnn(framework: &Framework, scene: &Scene<'_>, place: &str) -> Option<String> {
    if framework.name != "tensorflow" {
        return None;
    }
    let path = join(place, "tensorflow/python/platform/build_info.py");
    let said = build_info(scene.tree.text(&path)?, "cudnn_version")?;
    let major: u32 = said.split('.').next()?.parse().ok()?;
    Some(format!("libcudnn.so.{major}"))
}

fn add(framework: &mut Framework, lacking: Vec<String>) {
    for name in lacking {
        if !framework.missing.contains(&name) {
            framework.missing.push(name);
        }
    }
}
