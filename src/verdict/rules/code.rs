//! MW107, MW201 to MW203: compiled code against the GPU.

use crate::model::ComputeCapability;
use crate::verdict::catalogue::Catalogue;
use crate::verdict::facts::{CudaLibrary, Framework, HostGpu};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::remedy::{driver_upgrade, torch_wheel};
use crate::verdict::version::Version;

use super::{Case, Findings};

/// MW203: this CUDA major no longer supports the GPU.
pub fn gpu_dropped(case: &Case<'_>, out: &mut Findings) {
    for gpu in &case.host.gpus {
        let Some(arch) = gpu.capability.and_then(|c| Catalogue::get().arch(c)) else {
            continue;
        };
        let Some(last) = &arch.last_toolkit else {
            continue;
        };
        let Some(need) = case.needs.iter().find(|n| n.cuda.major() > last.major()) else {
            continue;
        };
        out.add(
            Finding::new(
                203,
                Severity::Error,
                format!(
                    "CUDA {} no longer supports {}: {last} was the last for {}",
                    need.cuda.major(),
                    gpu.name,
                    arch.name
                ),
            )
            .because(need.evidence.clone())
            .because(format!(
                "no CUDA {} compiler makes code for compute capability {}",
                need.cuda.major(),
                arch.compute_capability
            ))
            .try_these(
                need.who
                    .starts_with("torch")
                    .then(|| torch_wheel(case.host, &[arch.compute_capability]))
                    .flatten(),
            )
            .try_this(format!("use an image of CUDA {last} or older"))
            .on([gpu.id.clone()]),
        );
    }
}

/// MW107, MW201, MW202 for each framework's main library, and a warning for its other libraries.
pub fn device_code(case: &Case<'_>, out: &mut Findings) {
    let newest = case.cuda.as_ref().and_then(newest_ptx);
    for gpu in &case.host.gpus {
        let Some(capability) = gpu.capability else {
            if !case.image.libraries.is_empty() {
                out.lacks(format!("the compute capability of {}", gpu.name));
            }
            continue;
        };
        for (framework, main) in judged(case) {
            judge(case, gpu, capability, framework, main, newest, out);
        }
    }
}

/// The libraries that decide: each framework's main one; without frameworks the largest with code.
fn judged<'a>(case: &'a Case<'_>) -> Vec<(Option<&'a Framework>, &'a CudaLibrary)> {
    let image = case.image;
    let mut judged: Vec<_> = image
        .frameworks
        .iter()
        .filter(|f| f.on_path != Some(false) && f.alternatives.is_empty())
        .filter_map(|f| Some((Some(f), image.library(f.library.as_deref()?)?)))
        .filter(|(_, library)| library.code.containers() > 0)
        .collect();
    if judged.is_empty() {
        let own = image
            .libraries
            .iter()
            .filter(|l| l.code.containers() > 0 && !is_nvidia_library(&l.path))
            .max_by_key(|l| l.size_bytes);
        judged.extend(own.map(|l| (None, l)));
    }
    judged
}

/// NVIDIA's own libraries choose kernels themselves and say nothing of what the program is built for.
pub fn is_nvidia_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    [
        "libcublas",
        "libcudnn",
        "libcufft",
        "libcurand",
        "libcusolver",
        "libcusparse",
        "libnccl",
        "libnpp",
        "libnvjpeg",
        "libnvrtc",
        "libnvinfer",
        "libcupti",
        "libnvshmem",
        "libcudart",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// The newest PTX ISA of a libcuda of this CUDA, where the table reaches that far.
fn newest_ptx(cuda: &Version) -> Option<(u32, u32)> {
    let catalogue = Catalogue::get();
    let covered = catalogue.ptx.last().is_some_and(|last| *cuda <= last.cuda);
    covered
        .then(|| catalogue.newest_ptx(cuda))
        .flatten()
        .map(Version::pair)
}

fn judge(
    case: &Case<'_>,
    gpu: &HostGpu,
    capability: ComputeCapability,
    framework: Option<&Framework>,
    main: &CudaLibrary,
    newest: Option<(u32, u32)>,
    out: &mut Findings,
) {
    let coverage = main.code.coverage(capability, newest);
    let who = framework.map_or_else(
        || main.path.clone(),
        |f| {
            format!("{} {}", f.name, f.version.as_deref().unwrap_or(""))
                .trim_end()
                .to_owned()
        },
    );
    let built_for = built_for(main);
    let gpu_text = format!("{} (sm_{}{})", gpu.name, capability.major, capability.minor);
    let relocatable = main
        .code
        .relocatable_ptx
        .iter()
        .any(|p| p.target.ptx_compiles_for(capability));
    if coverage.sass > 0.0 {
        secondary(case, gpu, capability, framework, main, newest, out);
        return;
    }
    if main.problem.is_some() {
        out.lacks(format!("all of the device code in {}", main.path));
        return;
    }
    if coverage.jit > 0.0 {
        out.add(
            Finding::new(202, Severity::Warning, format!("{who} has no compiled code for {gpu_text}: its PTX is compiled at the first start"))
                .because(format!("{}: {built_for}", main.path))
                .because("the first start is slow (minutes), and the compiled cache dies with the container")
                .try_this("keep the cache: add `-v cuda-cache:/root/.nv/ComputeCache -e CUDA_CACHE_MAXSIZE=4294967296`")
                .on([gpu.id.clone()]),
        );
    } else if coverage.ptx_too_new > 0.0 {
        let isa = main
            .code
            .main_ptx()
            .iter()
            .map(|p| p.isa)
            .min()
            .unwrap_or((0, 0));
        let needed = Catalogue::get().cuda_for_ptx(&Version::from_pair(isa.0, isa.1));
        out.add(
            Finding::new(107, Severity::Error, format!("{who} has only PTX {}.{} for {gpu_text}, and this driver cannot compile it", isa.0, isa.1))
                .because(format!("{}: {built_for}", main.path))
                .because("it ends in error 222, `the provided PTX was compiled with an unsupported toolchain`")
                .try_these(needed.map(|cuda| driver_for(cuda, case)).unwrap_or_default())
                .try_these(torch_remedy(case, framework, capability))
                .on([gpu.id.clone()]),
        );
    } else if relocatable {
        out.lacks(format!(
            "whether the PTX in __nv_relfatbin of {} is used for {gpu_text}",
            main.path
        ));
    } else {
        out.add(
            Finding::new(
                201,
                Severity::Error,
                format!("{who} has no code for {gpu_text}"),
            )
            .because(format!(
                "{}: {built_for}; none of its {} containers runs there",
                main.path,
                main.code.containers()
            ))
            .because(
                "it ends in error 209, `no kernel image is available for execution on the device`",
            )
            .try_these(torch_remedy(case, framework, capability))
            .try_this(format!(
                "use a build for sm_{}{} (CUDA {} or newer)",
                capability.major,
                capability.minor,
                first_toolkit(capability)
            ))
            .on([gpu.id.clone()]),
        );
    }
}

fn driver_for(cuda: &Version, case: &Case<'_>) -> Vec<String> {
    match Catalogue::get().toolkit(cuda) {
        Some(toolkit) => vec![format!(
            "upgrade the host driver to {} or newer (CUDA {cuda})",
            toolkit.min_driver
        )],
        None => driver_upgrade(cuda, &case.capabilities(), &case.host.month),
    }
}

fn torch_remedy(
    case: &Case<'_>,
    framework: Option<&Framework>,
    capability: ComputeCapability,
) -> Option<String> {
    framework
        .filter(|f| f.name == "torch")
        .and_then(|_| torch_wheel(case.host, &[capability]))
}

fn first_toolkit(capability: ComputeCapability) -> String {
    Catalogue::get()
        .arch(capability)
        .map_or_else(|| "of its time".to_owned(), |a| a.first_toolkit.to_string())
}

/// `sm_50 sm_60 … and compute_90`.
fn built_for(library: &CudaLibrary) -> String {
    let sass: Vec<String> = library
        .code
        .main_sass()
        .iter()
        .map(|t| t.sass_name())
        .collect();
    let ptx: Vec<String> = library
        .code
        .main_ptx()
        .iter()
        .map(|p| p.target.ptx_name())
        .collect();
    match (sass.is_empty(), ptx.is_empty()) {
        (true, true) => "no device code".to_owned(),
        (false, true) => format!("{}, no PTX", sass.join(" ")),
        (true, false) => format!("PTX alone: {}", ptx.join(" ")),
        (false, false) => format!("{} and PTX {}", sass.join(" "), ptx.join(" ")),
    }
}

/// A library beside the main one without any code for the GPU: parts of the framework fail.
fn secondary(
    case: &Case<'_>,
    gpu: &HostGpu,
    capability: ComputeCapability,
    framework: Option<&Framework>,
    main: &CudaLibrary,
    newest: Option<(u32, u32)>,
    out: &mut Findings,
) {
    let Some(framework) = framework else { return };
    for path in &framework.libraries {
        let Some(library) = case.image.library(path).filter(|l| l.path != main.path) else {
            continue;
        };
        if library.code.containers() == 0 || library.problem.is_some() || is_nvidia_library(path) {
            continue;
        }
        let coverage = library.code.coverage(capability, newest);
        let maybe = library
            .code
            .relocatable_ptx
            .iter()
            .any(|p| p.target.ptx_compiles_for(capability));
        if coverage.sass + coverage.jit > 0.0 || maybe {
            continue;
        }
        out.add(
            Finding::new(
                201,
                Severity::Warning,
                format!(
                    "a part of {} has no code for {} (sm_{}{})",
                    framework.name, gpu.name, capability.major, capability.minor
                ),
            )
            .because(format!("{path}: {}", built_for(library)))
            .because("what needs this library ends in error 209; the rest works")
            .on([gpu.id.clone()]),
        );
    }
}
