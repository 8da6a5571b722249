//! MW301 to MW308: what is in the image, or missing from it.

use crate::verdict::facts::{Build, Framework, Injection, Libc};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::need::alternative;
use crate::verdict::remedy::torch_wheel;

use super::{Case, Findings};

/// Frameworks that train: built for the CPU they do so silently.
const TRAINING: [&str; 3] = ["torch", "tensorflow", "jax"];

/// MW301: a training framework built without CUDA.
pub fn cpu_only(case: &Case<'_>, out: &mut Findings) {
    for (_, framework) in case.image.deciding() {
        let training = TRAINING.contains(&framework.name.as_str());
        if framework.build != Build::Cpu || !training {
            continue;
        }
        let remedy = match framework.name.as_str() {
            "torch" => torch_wheel(case.host, &case.capabilities()),
            "tensorflow" => Some("pip install 'tensorflow[and-cuda]'".to_owned()),
            _ => Some("pip install 'jax[cuda12]'".to_owned()),
        };
        out.add(
            Finding::new(
                301,
                Severity::Warning,
                format!("{} is built for the CPU alone", framework.title()),
            )
            .because(framework.evidence.clone())
            .because("it would train on the CPU without a word: no error, no GPU use")
            .try_these(remedy),
        );
    }
}

/// MW302: several CUDA runtimes side by side, and libraries that one hides from another.
pub fn several_runtimes(case: &Case<'_>, out: &mut Findings) {
    for (_, framework) in case.image.deciding() {
        for hidden in &framework.shadowed {
            let version = hidden
                .version
                .as_ref()
                .map_or_else(String::new, |v| format!(" ({v})"));
            let by = if hidden.by.is_empty() {
                "the library path"
            } else {
                &hidden.by
            };
            out.add(
                Finding::new(
                    302,
                    Severity::Warning,
                    format!(
                        "{} needs {}, and another CUDA's is found first",
                        framework.name, hidden.soname
                    ),
                )
                .because(format!("{}{version}, put first by {by}", hidden.path))
                .because("a library of another CUDA ends in `undefined symbol`, `CUDNN_STATUS_…` or wrong versions at run time")
                .try_this(unshadow(case, &hidden.path, by)),
            );
        }
    }
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

/// How to take a folder out of the library path.
fn unshadow(case: &Case<'_>, path: &str, by: &str) -> String {
    let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
    if by != "LD_LIBRARY_PATH" {
        return format!("take {folder} out of the library path ({by}) in a derived image");
    }
    let rest: Vec<&str> = case
        .image
        .env("LD_LIBRARY_PATH")
        .unwrap_or_default()
        .split(':')
        .filter(|f| !f.is_empty() && !leads_to(case, f, folder))
        .collect();
    format!(
        "start it with `-e LD_LIBRARY_PATH={}` ({folder} taken out)",
        rest.join(":")
    )
}

/// Whether a folder of the library path is this one, by its name or by its links.
fn leads_to(case: &Case<'_>, entry: &str, folder: &str) -> bool {
    let links = &case.image.library_path;
    entry.trim_end_matches('/') == folder
        || links.iter().any(|(own, to)| own == entry && to == folder)
}

/// MW303: a stub libcuda that the loader finds first. `LD_LIBRARY_PATH` comes before the loader's cache
/// however the driver gets in; in the cache CDI puts the driver's folder before the image's own.
pub fn stub_on_path(case: &Case<'_>, out: &mut Findings) {
    for stub in &case.image.stubs {
        let Some(by) = &stub.searched_by else {
            continue;
        };
        let by_variable = by.starts_with("LD_LIBRARY_PATH");
        let cdi = matches!(case.host.injection, Injection::Cdi | Injection::JitCdi);
        let (severity, title) = if stub.has_soname && (by_variable || !cdi) {
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
        let remedy = if by_variable {
            unshadow(
                case,
                &format!("{}/libcuda.so", stub.path),
                "LD_LIBRARY_PATH",
            )
        } else {
            format!(
                "take {} out of {by} in a derived image, and run ldconfig",
                stub.path
            )
        };
        out.add(
            Finding::new(303, severity, title)
                .because(format!("{}, put on the path by {by}", stub.path))
                .because(
                    "a program that loads the stub gets error 34, `CUDA driver is a stub library`",
                )
                .try_this(remedy),
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
        let severity = match (&library.version, &case.host.driver) {
            (Some(own), Some(host)) if own > host => Severity::Error,
            // The host's own version: nothing differs, until the host is upgraded.
            (Some(own), Some(host)) if own == host => Severity::Info,
            _ => Severity::Warning,
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
    let cuda = !case.image.runtimes.is_empty()
        || !case.image.libraries.is_empty()
        || case
            .image
            .frameworks
            .iter()
            .any(|f| matches!(f.build, Build::Cuda(_)));
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
    for (_, framework) in case.image.deciding() {
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
                        .then(|| torch_wheel(case.host, &case.capabilities()))
                        .flatten(),
                )
                .try_this("use its CUDA build instead"),
            );
        }
    }
}

/// MW307: an image of another CPU architecture.
pub fn platform(case: &Case<'_>, out: &mut Findings) {
    let (Some(image), Some(host)) = (&case.image.platform, &case.host.platform) else {
        return;
    };
    let parts = |platform: &str| {
        let mut parts = platform.split('/').map(|part| match part {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_ascii_lowercase(),
        });
        (parts.next(), parts.next())
    };
    let (own, here) = (parts(image), parts(host));
    // A 64-bit kernel runs the 32-bit programs of its own family.
    let narrower = matches!(
        (own.1.as_deref(), here.1.as_deref()),
        (Some("386"), Some("amd64")) | (Some("arm"), Some("arm64"))
    );
    if own.0 != here.0 || (own.1 != here.1 && !narrower) {
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
    for (_, framework) in case.image.deciding() {
        no_fitting_build(case, framework, out);
        if framework.missing.is_empty() || !matches!(framework.build, Build::Cuda(_)) {
            continue;
        }
        let seen = match framework.name.as_str() {
            "torch" | "vllm" => "importing it ends in `OSError: … cannot open shared object file`",
            _ => "it falls back to the CPU without an error",
        };
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
            .because(seen)
            .try_this(install_hint(&framework.name)),
        );
    }
}

/// bitsandbytes takes the build of torch's CUDA alone.
fn no_fitting_build(case: &Case<'_>, framework: &Framework, out: &mut Findings) {
    if framework.alternatives.is_empty()
        || alternative(case.image, framework, case.cuda.as_ref(), None).is_some()
    {
        return;
    }
    let have: Vec<String> = framework
        .alternatives
        .iter()
        .map(ToString::to_string)
        .collect();
    out.add(
        Finding::new(
            308,
            Severity::Warning,
            format!(
                "{} has no build for the CUDA of torch beside it",
                framework.title()
            ),
        )
        .because(framework.evidence.clone())
        .because(format!("it has builds for CUDA {}", have.join(", ")))
        .because("its GPU functions fail at the first call")
        .try_this(format!("pip install --upgrade {}", framework.name)),
    );
}

fn install_hint(framework: &str) -> String {
    match framework {
        "onnxruntime" => "pip install 'onnxruntime-gpu[cuda,cudnn]'".to_owned(),
        "tensorflow" => "pip install 'tensorflow[and-cuda]'".to_owned(),
        "jax" => "pip install 'jax[cuda12]'".to_owned(),
        _ => "install the CUDA libraries that its wheel or package lists, or begin from an `nvidia/cuda` runtime image".to_owned(),
    }
}
