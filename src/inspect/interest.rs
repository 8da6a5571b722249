//! Which paths of a file system tell something, and what is kept of each.

/// What is done with a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    /// Nothing is kept of it, unless it proves to be a program with device code.
    Program,
    /// Its path alone.
    Path,
    /// Its text, up to this many bytes.
    Text(u64),
    /// A library: path, and what its ELF tells.
    Library,
    /// A list of installed packages in Debian's or Alpine's form.
    Packages,
    /// Nothing.
    Nothing,
}

/// Most bytes of one kept text.
const TEXT: u64 = 64 << 10;
/// Smaller programs hold no device code worth a look.
const LEAST_PROGRAM: u64 = 64 << 10;

/// Small files whose text says what a framework was built for, by the end of their path. Not bound to
/// `site-packages`: package managers link files there from a cache that comes first in the stream.
const TEXTS: &[&str] = &[
    "/torch/version.py",
    "/tensorflow/python/platform/build_info.py",
    "/onnxruntime/capi/build_and_package_info.py",
    "/cupy/.data/_wheel.json",
    "/pyvenv.cfg",
];

/// Whether a folder of this name holds Python packages.
pub(super) fn is_site(name: &str) -> bool {
    matches!(name, "site-packages" | "dist-packages")
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether a file name is a shared library's: `libcuda.so`, `libcudart.so.12.4.127`, `_C.abi3.so`.
pub(super) fn is_library(name: &str) -> bool {
    let Some(at) = name.find(".so") else {
        return false;
    };
    let rest = name.get(at + 3..).unwrap_or("");
    rest.is_empty()
        || rest
            .strip_prefix('.')
            .is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// What is kept of a regular file.
pub(super) fn of_file(path: &str, size: u64) -> Interest {
    let name = file_name(path);
    if is_library(name) {
        return Interest::Library;
    }
    match path {
        "var/lib/dpkg/status" | "lib/apk/db/installed" | "usr/lib/apk/db/installed" => {
            return Interest::Packages;
        }
        "etc/ld.so.conf" | "etc/os-release" | "usr/lib/os-release" => return Interest::Text(TEXT),
        _ => {}
    }
    if path.starts_with("var/lib/dpkg/status.d/") {
        return Interest::Packages;
    }
    if path.starts_with("etc/ld.so.conf.d/")
        || TEXTS.iter().any(|end| path.ends_with(end))
        || path == "pyvenv.cfg"
        || (matches!(name, "version.json" | "version.txt") && under_cuda(path))
    {
        return Interest::Text(TEXT);
    }
    if is_python(path) || (name == "nvcc" && path.contains("bin/")) || is_conda_record(path) {
        return Interest::Path;
    }
    // Object files and archives are for linkers, not for running.
    if size < LEAST_PROGRAM || name.ends_with(".o") || name.ends_with(".a") {
        return Interest::Nothing;
    }
    Interest::Program
}

/// Whether a link is kept: those that name libraries, Pythons, toolkits or the folders they are found by.
pub(super) fn of_link(path: &str) -> bool {
    let name = file_name(path);
    let depth = path.matches('/').count();
    is_library(name)
        || is_python(path)
        || depth <= 2
        || path.starts_with("etc/alternatives/")
        || (depth <= 3 && (path.starts_with("usr/local/") || path.starts_with("opt/")))
        || (name == "nvcc" || name == "lib" || name == "lib64" || name == "compat")
        || TEXTS.iter().any(|end| path.ends_with(end))
        || is_site(name)
}

/// Whether a folder's presence tells something: a Python package's record, a Python environment.
pub(super) fn of_folder(path: &str) -> bool {
    let name = file_name(path);
    is_record(name) || is_site(name) || name == "conda-meta"
}

/// `torch-2.6.0.dist-info`, `torch-2.6.0-py3.10.egg-info`.
pub(super) fn is_record(name: &str) -> bool {
    name.ends_with(".dist-info") || name.ends_with(".egg-info")
}

/// A conda package's record, whose name tells package, version and build.
pub(super) fn is_conda_record(path: &str) -> bool {
    path.ends_with(".json") && file_name(parent(path)) == "conda-meta"
}

/// `usr/bin/python3.10`, `opt/venv/bin/python`.
pub(super) fn is_python(path: &str) -> bool {
    let name = file_name(path);
    name.strip_prefix("python")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        && file_name(parent(path)) == "bin"
}

fn under_cuda(path: &str) -> bool {
    file_name(parent(path)).starts_with("cuda")
}

/// Whether a package of the distribution is worth its line.
pub(super) fn of_package(name: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "cuda-", "libcu", "libnccl", "libnv", "nvidia-", "libnpp", "tensorrt", "cudnn",
    ];
    matches!(name, "libc6" | "musl" | "libc-bin") || BEGINNINGS.iter().any(|b| name.starts_with(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        use Interest::{Library, Nothing, Packages, Path, Program, Text};
        for (path, size, expected) in [
            ("usr/lib/libcudart.so.12.4.127", 10, Library),
            ("x/site-packages/vllm/_C.abi3.so", 10, Library),
            ("lib/libfoo.so", 0, Library),
            ("lib/libfoo.sofa", 10, Nothing),
            ("lib/libfoo.so.py", 10, Nothing),
            ("x/site-packages/torch/version.py", 10, Text(TEXT)),
            (
                "root/.cache/uv/archive-v0/a/torch/version.py",
                10,
                Text(TEXT),
            ),
            ("opt/venv/pyvenv.cfg", 10, Text(TEXT)),
            ("usr/local/cuda-12.4/version.json", 10, Text(TEXT)),
            ("srv/app/version.json", 10, Nothing),
            ("etc/ld.so.conf.d/00-compat.conf", 10, Text(TEXT)),
            ("var/lib/dpkg/status", 10, Packages),
            ("var/lib/dpkg/status.d/libc6", 10, Packages),
            ("usr/bin/python3.10", 10, Path),
            ("usr/bin/python3.10-config", 10, Nothing),
            (
                "opt/conda/conda-meta/pytorch-2.4.1-py3.11_cuda12.4_0.json",
                10,
                Path,
            ),
            ("usr/local/cuda-12.4/bin/nvcc", 1 << 20, Path),
            ("app/llama-server", 1 << 20, Program),
            ("usr/local/cuda/lib64/libcublas_static.a", 1 << 20, Nothing),
            ("usr/share/doc/x", 100, Nothing),
        ] {
            assert_eq!(of_file(path, size), expected, "{path}");
        }
        for (path, kept) in [
            ("lib", true),
            ("usr/local/cuda", true),
            ("etc/alternatives/cuda", true),
            ("opt/venv/bin/python", true),
            ("usr/lib/x86_64-linux-gnu/libcuda.so.1", true),
            ("usr/share/terminfo/x/xterm", false),
            ("usr/lib/ssl/certs/0a1b.0", false),
        ] {
            assert_eq!(of_link(path), kept, "{path}");
        }
        assert!(of_folder("x/site-packages/torch-2.6.0.dist-info"));
        assert!(!of_folder("x/site-packages/torch"));
    }
}
