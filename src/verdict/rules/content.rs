//! MW301 to MW308: what is in the image, or missing from it.

use crate::verdict::facts::{Build, Libc};
use crate::verdict::finding::{Finding, Severity};

use super::{Case, Findings};

/// Frameworks that train: built for the CPU they do so silently.
const TRAINING: [&str; 3] = ["torch", "tensorflow", "jax"];

/// MW301: a training framework built without CUDA.
pub fn cpu_only(case: &Case<'_>, out: &mut Findings) {
    for framework in &case.image.frameworks {
        let training = TRAINING.contains(&framework.name.as_str());
        if framework.build != Build::Cpu || !training || framework.on_path == Some(false) {
            continue;
        }
        let version = framework.version.as_deref().unwrap_or("");
        let remedy = match framework.name.as_str() {
            "torch" => super::super::remedy::torch_wheel(case.host, &case.capabilities()),
            "tensorflow" => Some("pip install 'tensorflow[and-cuda]'".to_owned()),
            _ => Some("pip install 'jax[cuda12]'".to_owned()),
        };
        out.add(
            Finding::new(
                301,
                Severity::Warning,
                format!("{} {version} is built for the CPU alone", framework.name),
            )
            .because(framework.evidence.clone())
            .because("it would train on the CPU without a word: no error, no GPU use")
            .try_these(remedy),
        );
    }
}

/// MW302: several CUDA runtimes side by side.
pub fn several_runtimes(case: &Case<'_>, out: &mut Findings) {
    let mut majors: Vec<u32> = case
        .image
        .runtimes
        .iter()
        .map(|r| r.version.major())
        .collect();
    majors.sort_unstable();
    majors.dedup();
    if majors.len() < 2 {
        return;
    }
    let finding = case.image.runtimes.iter().fold(
        Finding::new(302, Severity::Info, "several CUDA runtimes are in the image; their names differ, so each program finds its own"),
        |finding, runtime| finding.because(format!("CUDA {} at {}", runtime.version, runtime.path)),
    );
    out.add(finding);
}

/// MW303: a stub libcuda that the loader finds first.
pub fn stub_on_path(case: &Case<'_>, out: &mut Findings) {
    for stub in &case.image.stubs {
        let Some(by) = &stub.searched_by else {
            continue;
        };
        let (severity, title) = if stub.has_soname {
            (
                Severity::Error,
                "a stub libcuda.so.1 is searched before the driver's",
            )
        } else {
            (
                Severity::Warning,
                "a folder of stub libraries is on the library path",
            )
        };
        out.add(
            Finding::new(303, severity, title)
                .because(format!("{}, put on the path by {by}", stub.path))
                .because(
                    "a program that loads the stub gets error 34, `CUDA driver is a stub library`",
                )
                .try_this(format!("take {} out of the library path", stub.path)),
        );
    }
}

/// MW304: driver libraries baked into the image.
pub fn driver_library(case: &Case<'_>, out: &mut Findings) {
    for library in &case.image.driver_libraries {
        if library.empty {
            out.add(
                Finding::new(
                    304,
                    Severity::Info,
                    "empty driver library files, as `docker commit` of a GPU container leaves",
                )
                .because(library.path.clone()),
            );
            continue;
        }
        let newer = match (&library.version, &case.host.driver) {
            (Some(own), Some(host)) => own > host,
            _ => false,
        };
        let severity = if newer {
            Severity::Error
        } else {
            Severity::Warning
        };
        let version = library
            .version
            .as_ref()
            .map_or_else(String::new, |v| format!(" {v}"));
        out.add(
            Finding::new(304, severity, format!("a driver library{version} is part of the image: it may be loaded instead of the host's"))
                .because(library.path.clone())
                .because("a user half of another version than the kernel's ends in error 803 or `Driver/library version mismatch`")
                .try_this(format!("remove it in a derived image: `RUN rm -f {}`", library.path)),
        );
    }
}

/// MW305: CUDA without glibc.
pub fn musl(case: &Case<'_>, out: &mut Findings) {
    let cuda = !case.image.runtimes.is_empty() || !case.image.libraries.is_empty();
    if case.image.libc == Some(Libc::Musl) && cuda {
        out.add(
            Finding::new(305, Severity::Error, "CUDA in an image without glibc (musl): neither CUDA nor the driver's libraries load")
                .because("the image's loader is ld-musl")
                .try_this("use a glibc base (debian, ubuntu, `nvidia/cuda`), not alpine"),
        );
    }
}

/// MW306: built for AMD.
pub fn rocm(case: &Case<'_>, out: &mut Findings) {
    for framework in &case.image.frameworks {
        if let Build::Rocm(_) = framework.build {
            out.add(
                Finding::new(
                    306,
                    Severity::Error,
                    format!(
                        "{} is built for AMD ({}), not for NVIDIA",
                        framework.name, framework.build
                    ),
                )
                .because(framework.evidence.clone())
                .try_these(
                    (framework.name == "torch")
                        .then(|| super::super::remedy::torch_wheel(case.host, &case.capabilities()))
                        .flatten(),
                ),
            );
        }
    }
}

/// MW307: an image of another CPU architecture.
pub fn platform(case: &Case<'_>, out: &mut Findings) {
    let (Some(image), Some(host)) = (&case.image.platform, &case.host.platform) else {
        return;
    };
    let cpu = |platform: &str| platform.split('/').nth(1).map(str::to_owned);
    if cpu(image) != cpu(host) {
        out.add(
            Finding::new(
                307,
                Severity::Error,
                format!("the image is for {image}, this host is {host}"),
            )
            .because("it ends in `exec format error`, or runs emulated without any GPU")
            .try_this(format!(
                "pull it for this host: `docker pull --platform {host} IMAGE`"
            )),
        );
    }
}

/// MW308: a CUDA build whose libraries are not there.
pub fn missing_libraries(case: &Case<'_>, out: &mut Findings) {
    for framework in &case.image.frameworks {
        if framework.missing.is_empty() || !matches!(framework.build, Build::Cuda(_)) {
            continue;
        }
        out.add(
            Finding::new(
                308,
                Severity::Warning,
                format!(
                    "{} needs libraries that are not in the image: {}",
                    framework.name,
                    framework.missing.join(", ")
                ),
            )
            .because(framework.evidence.clone())
            .because("it falls back to the CPU without an error")
            .try_this(install_hint(&framework.name)),
        );
    }
}

fn install_hint(framework: &str) -> String {
    match framework {
        "onnxruntime" => "pip install 'onnxruntime-gpu[cuda,cudnn]'".to_owned(),
        "tensorflow" => "pip install 'tensorflow[and-cuda]'".to_owned(),
        "jax" => "pip install 'jax[cuda12]'".to_owned(),
        _ => "install the CUDA libraries that its wheel or package lists, or begin from an `nvidia/cuda` runtime image".to_owned(),
    }
}
