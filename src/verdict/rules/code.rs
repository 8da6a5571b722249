//! MW107, MW201 to MW203: compiled code against the GPU.

use crate::model::ComputeCapability;
use crate::verdict::catalogue::Catalogue;
use crate::verdict::device::Coverage;
use crate::verdict::facts::{CudaLibrary, Framework, HostGpu};
use crate::verdict::finding::{Finding, Severity};
use crate::verdict::need::{Need, needed_major};
use crate::verdict::remedy::{driver_for, sm, torch_wheel};
use crate::verdict::version::Version;

use super::{Case, Findings};

/// MW203: this CUDA major no longer supports the GPU. Files beat the table: where a framework's library has
/// code for the GPU, nothing was dropped.
pub fn gpu_dropped(case: &Case<'_>, out: &mut Findings) {
    for gpu in &case.host.gpus {
        let Some(arch) = gpu.capability.and_then(|c| Catalogue::get().arch(c)) else {
            continue;
        };
        let Some(last) = &arch.last_toolkit else {
            continue;
        };
        let dropped = |need: &&Need| {
            need.cuda.major() > last.major() && !serves_otherwise(case, need, arch, last)
        };
        let Some(need) = case.needs.iter().find(dropped) else {
            continue;
        };
        let torch = need.who.starts_with("torch");
        out.add(
            Finding::new(
                203,
                case.severity_of(need.framework),
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
            .because("the driver and the runtime start; the first kernel ends in error 209, `no kernel image is available for execution on the device`")
            .try_these(
                torch
                    .then(|| torch_wheel(case.host, &[arch.compute_capability]))
                    .flatten(),
            )
            .try_this(format!("use an image of CUDA {last} or older"))
            .on([gpu.id.clone()]),
        );
    }
}

/// Whether the need's framework has code for the GPU all the same, or another build beside it that has not
/// dropped the GPU.
fn serves_otherwise(
    case: &Case<'_>,
    need: &Need,
    arch: &crate::verdict::catalogue::Arch,
    last: &Version,
) -> bool {
    let Some(framework) = need.framework.and_then(|i| case.image.frameworks.get(i)) else {
        return false;
    };
    if framework
        .alternatives
        .iter()
        .any(|v| v.major() <= last.major())
    {
        return true;
    }
    main_library(case, framework).is_some_and(|library| {
        let coverage = library.code.coverage(arch.compute_capability, None);
        coverage.counts(coverage.sass + coverage.jit)
    })
}

/// MW107, MW201, MW202 for each framework's main library, and a warning for its other libraries.
pub fn device_code(case: &Case<'_>, out: &mut Findings) {
    for gpu in &case.host.gpus {
        let Some(capability) = gpu.capability else {
            if !case.image.libraries.is_empty() {
                out.lacks(format!("the compute capability of {}", gpu.name));
            }
            continue;
        };
        for (index, main) in judged(case, capability) {
            let subject = Subject {
                case,
                gpu,
                capability,
                index,
                framework: index.and_then(|i| case.image.frameworks.get(i)),
            };
            subject.judge(main, out);
        }
    }
    unread(case, out);
}

/// A CUDA framework of whose code nothing was found: what it was compiled for is not known.
fn unread(case: &Case<'_>, out: &mut Findings) {
    use crate::verdict::facts::Build;
    for (_, framework) in case.image.deciding() {
        let paths = framework.library.iter().chain(&framework.libraries);
        let has_code = paths
            .filter_map(|path| case.image.library(path))
            .any(|l| l.code.containers() > 0 && !l.is_nvidias());
        // Helpers and what compiles at run time have kernels of their own making.
        let exempt = framework.is_helper() || framework.jits_ptx;
        if matches!(framework.build, Build::Cuda(_)) && !has_code && !exempt {
            out.lacks(format!("for which GPUs {} was compiled", framework.title()));
        }
    }
}

/// The libraries that decide: each framework's main one, or of several builds the best; without frameworks
/// the largest with code.
fn judged<'a>(case: &'a Case<'_>, gpu: ComputeCapability) -> Vec<(Option<usize>, &'a CudaLibrary)> {
    let image = case.image;
    let mut judged: Vec<_> = image
        .deciding()
        .into_iter()
        .filter_map(|(index, f)| {
            let library = if f.alternatives.is_empty() {
                main_library(case, f)?
            } else {
                best_build(case, f, gpu)?
            };
            Some((Some(index), library))
        })
        .filter(|(_, library)| library.code.containers() > 0 || library.problem.is_some())
        .collect();
    if judged.is_empty() {
        let own = image
            .libraries
            .iter()
            .filter(|l| l.code.containers() > 0 && !l.is_nvidias())
            .max_by_key(|l| l.size_bytes);
        judged.extend(own.map(|l| (None, l)));
    }
    judged
}

/// A framework's main library; where it is not told or has no code, the largest of the others that has.
fn main_library<'a>(case: &'a Case<'_>, framework: &Framework) -> Option<&'a CudaLibrary> {
    let with_code = |path: &String| {
        case.image
            .library(path)
            .filter(|library| library.code.containers() > 0 || library.problem.is_some())
    };
    framework.library.as_ref().and_then(with_code).or_else(|| {
        framework
            .libraries
            .iter()
            .filter_map(with_code)
            .filter(|library| !library.is_nvidias())
            .max_by_key(|library| library.size_bytes)
    })
}

/// Of several builds in one place the one that serves this GPU best, among those that this driver carries.
fn best_build<'a>(
    case: &'a Case<'_>,
    framework: &Framework,
    gpu: ComputeCapability,
) -> Option<&'a CudaLibrary> {
    let newest = case.newest_ptx();
    let chosen = crate::verdict::need::alternative(
        case.image,
        framework,
        case.cuda.as_ref(),
        case.libcuda_driver(),
    );
    let fits = |library: &CudaLibrary| match (build_major(library), &case.cuda) {
        (Some(major), Some(cuda)) => major <= cuda.major(),
        _ => true,
    };
    // bitsandbytes takes exactly one; its file's name tells which.
    let exact = |library: &CudaLibrary| {
        framework.name != "bitsandbytes"
            || chosen.is_none_or(|v| {
                library
                    .path
                    .contains(&format!("cuda{}{}.", v.major(), v.minor()))
            })
    };
    let libraries = || {
        framework
            .libraries
            .iter()
            .filter_map(|path| case.image.library(path))
            .filter(|l| l.code.containers() > 0)
    };
    let score = |library: &&CudaLibrary| {
        let c = library.code.coverage(gpu, newest);
        (c.sass * 1e6 + c.jit * 1e3 + c.ptx_too_new).round() as u64
    };
    libraries()
        .filter(|l| fits(l) && exact(l))
        .max_by_key(score)
        .or_else(|| libraries().max_by_key(score))
}

/// The CUDA major of one of several builds: by what it needs, else by its path (`cuda_v12`, `cuda128`).
fn build_major(library: &CudaLibrary) -> Option<u32> {
    needed_major(library).or_else(|| {
        let (_, rest) = library.path.rsplit_once("cuda")?;
        let rest = rest.trim_start_matches("_v");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.get(..2)?.parse().ok()
    })
}

/// One GPU and one framework under one driver.
struct Subject<'a> {
    case: &'a Case<'a>,
    gpu: &'a HostGpu,
    capability: ComputeCapability,
    index: Option<usize>,
    framework: Option<&'a Framework>,
}

impl Subject<'_> {
    /// `RTX 4090 (sm_89)`.
    fn gpu_text(&self) -> String {
        format!("{} ({})", self.gpu.name, sm(self.capability))
    }

    /// The coverage under this driver and the environment's switches of the PTX compiler.
    fn coverage(&self, library: &CudaLibrary) -> Coverage {
        let mut coverage = library
            .code
            .coverage(self.capability, self.case.newest_ptx());
        if self.is_set("CUDA_DISABLE_PTX_JIT") {
            coverage.jit = 0.0;
            coverage.ptx_too_new = 0.0;
        }
        coverage
    }

    fn is_set(&self, variable: &str) -> bool {
        self.case.image.env(variable) == Some("1")
    }

    fn relocatable(&self, library: &CudaLibrary) -> bool {
        library
            .code
            .relocatable_ptx
            .iter()
            .any(|p| p.target.ptx_compiles_for(self.capability))
    }

    fn judge(&self, main: &CudaLibrary, out: &mut Findings) {
        let coverage = self.coverage(main);
        let severity = self.case.severity_of(self.index);
        let who = self
            .framework
            .map_or_else(|| main.path.clone(), Framework::title);
        if self.is_newer_than_known(main, &coverage) {
            out.lacks(format!(
                "whether this driver compiles the PTX of {}, which is newer than the catalogue",
                main.path
            ));
        }
        if coverage.counts(coverage.sass + coverage.jit) {
            if main.problem.is_some() && !coverage.counts(coverage.sass) {
                out.lacks(format!("all of the device code in {}", main.path));
                return;
            }
            self.served(&who, main, &coverage, out);
            self.secondary(main, out);
            return;
        }
        if main.problem.is_some() {
            out.lacks(format!("all of the device code in {}", main.path));
        } else if coverage.counts(coverage.ptx_too_new) {
            out.add(self.ptx_too_new(severity, &who, main, ""));
        } else if self.relocatable(main) {
            out.lacks(format!(
                "whether the PTX in __nv_relfatbin of {} is used for {}",
                main.path,
                self.gpu_text()
            ));
        } else {
            out.add(self.no_code(severity, &who, main, &coverage));
        }
    }

    /// On a driver newer than the catalogue, PTX newer than the catalogue's is neither served nor refused.
    fn is_newer_than_known(&self, main: &CudaLibrary, coverage: &Coverage) -> bool {
        if coverage.counts(coverage.sass) || self.case.newest_ptx().is_some() {
            return false;
        }
        let known = Catalogue::get().ptx.last().map(|p| p.isa.pair());
        coverage.jit > 0.0 && self.fitting_isa(main) > known
    }

    /// The lowest ISA among the PTX that fits the GPU.
    fn fitting_isa(&self, library: &CudaLibrary) -> Option<(u32, u32)> {
        let shapes = library.code.shapes.iter();
        shapes
            .flat_map(|(shape, _)| &shape.ptx)
            .filter(|p| p.target.ptx_compiles_for(self.capability))
            .map(|p| p.isa)
            .min()
    }

    /// Served by SASS, by the PTX compiler, or by each in part.
    fn served(&self, who: &str, main: &CudaLibrary, coverage: &Coverage, out: &mut Findings) {
        let has_sass = coverage.counts(coverage.sass);
        let built = format!("{}: {}", main.path, built_for(main));
        let part = |share| format!("{} of its containers", coverage.in_words(share));
        if !has_sass || coverage.counts(coverage.jit) {
            let title = if has_sass {
                format!(
                    "{who} has compiled code for {} in part: the rest is compiled from PTX at the first start",
                    self.gpu_text()
                )
            } else {
                format!(
                    "{who} has no compiled code for {}: its PTX is compiled at the first start",
                    self.gpu_text()
                )
            };
            out.add(
                Finding::new(202, Severity::Warning, title)
                    .because(built.as_str())
                    .because(format!("compiled at the first start: {}", part(coverage.jit)))
                    .because("the first start is slow (minutes), and the compiled cache dies with the container")
                    .try_this("keep the cache: add `-v cuda-cache:/root/.nv/ComputeCache -e CUDA_CACHE_MAXSIZE=4294967296`")
                    .on([self.gpu.id.clone()]),
            );
        }
        if coverage.counts(coverage.ptx_too_new) {
            let in_part = format!(" in {}", part(coverage.ptx_too_new));
            out.add(self.ptx_too_new(Severity::Warning, who, main, &in_part));
        } else if has_sass && !coverage.counts(coverage.jit) && coverage.sass < 0.9995 {
            // Kernels for other architectures alone: the rest of the library serves this one.
            out.add(
                Finding::new(
                    201,
                    Severity::Info,
                    format!(
                        "{who} serves {} with {}",
                        self.gpu_text(),
                        part(coverage.sass)
                    ),
                )
                .because(built)
                .because(
                    "the others hold kernels for other architectures alone, or none for this one",
                )
                .on([self.gpu.id.clone()]),
            );
        }
    }

    fn ptx_too_new(
        &self,
        severity: Severity,
        who: &str,
        library: &CudaLibrary,
        part: &str,
    ) -> Finding {
        let isa = self.fitting_isa(library).unwrap_or((0, 0));
        let needed = Catalogue::get().cuda_for_ptx(&Version::from_pair(isa.0, isa.1));
        Finding::new(
            107,
            severity,
            format!(
                "{who} has only PTX {}.{} for {}{part}, and this driver cannot compile it",
                isa.0,
                isa.1,
                self.gpu_text()
            ),
        )
        .because(format!("{}: {}", library.path, built_for(library)))
        .because("it ends in error 222, `the provided PTX was compiled with an unsupported toolchain`; minor-version compatibility does not cover PTX")
        .try_these(needed.map(|cuda| driver_for(cuda, self.case.host)).unwrap_or_default())
        .try_these(self.torch_remedy())
        .try_this(format!("use a build with compiled code for {}", sm(self.capability)))
        .on([self.gpu.id.clone()])
    }

    fn no_code(
        &self,
        severity: Severity,
        who: &str,
        main: &CudaLibrary,
        coverage: &Coverage,
    ) -> Finding {
        let containers = main.code.containers();
        let count = if coverage.sass > 0.0 {
            format!(
                "only {} containers run there, which does not make it a build for this GPU",
                coverage.in_words(coverage.sass)
            )
        } else {
            format!("none of its {containers} containers runs there")
        };
        let disabled = self.is_set("CUDA_DISABLE_PTX_JIT")
            && main.code.coverage(self.capability, None).jit > 0.0;
        let finding = Finding::new(
            201,
            severity,
            format!("{who} has no code for {}", self.gpu_text()),
        )
        .because(format!("{}: {}; {count}", main.path, built_for(main)));
        let finding = if disabled {
            finding
                .because("CUDA_DISABLE_PTX_JIT=1 forbids to compile its PTX: it ends in error 223, `PTX JIT compilation was disabled`")
                .try_this("start it with `-e CUDA_DISABLE_PTX_JIT=0`")
        } else {
            finding.because(
                "it ends in error 209, `no kernel image is available for execution on the device`",
            )
        };
        finding
            .try_these(self.torch_remedy())
            .try_this(format!(
                "use a build for {}{}",
                sm(self.capability),
                toolkits(self.capability)
            ))
            .on([self.gpu.id.clone()])
    }

    fn torch_remedy(&self) -> Option<String> {
        self.framework
            .filter(|f| f.name == "torch")
            .and_then(|_| torch_wheel(self.case.host, &[self.capability]))
    }

    /// A library beside the main one without any code for the GPU: parts of the framework fail.
    fn secondary(&self, main: &CudaLibrary, out: &mut Findings) {
        let Some(framework) = self.framework.filter(|f| f.alternatives.is_empty()) else {
            return;
        };
        for path in &framework.libraries {
            let Some(library) = self.case.image.library(path) else {
                continue;
            };
            let other = library.path != main.path
                && library.code.containers() > 0
                && library.problem.is_none()
                && !library.is_nvidias();
            // Kernels for one architecture alone (FlashAttention 3 for sm_90a) are picked where they fit.
            let general = library
                .code
                .shapes
                .iter()
                .flat_map(|(shape, _)| &shape.sass)
                .any(|t| t.variant == crate::verdict::facts::Variant::Plain);
            if other && (general || !library.code.main_ptx().is_empty()) {
                self.part(framework, library, out);
            }
        }
    }

    fn part(&self, framework: &Framework, library: &CudaLibrary, out: &mut Findings) {
        let coverage = self.coverage(library);
        if coverage.counts(coverage.sass + coverage.jit) || self.relocatable(library) {
            return;
        }
        let name = framework.name.as_str();
        if coverage.counts(coverage.ptx_too_new) {
            let who = format!("a part of {name}");
            out.add(self.ptx_too_new(Severity::Warning, &who, library, ""));
            return;
        }
        let (severity, count) = if coverage.sass > 0.0 {
            (
                Severity::Info,
                format!(
                    "; {} containers run there",
                    coverage.in_words(coverage.sass)
                ),
            )
        } else {
            (Severity::Warning, String::new())
        };
        out.add(
            Finding::new(
                201,
                severity,
                format!("a part of {name} has no code for {}", self.gpu_text()),
            )
            .because(format!("{}: {}{count}", library.path, built_for(library)))
            .because("what needs this library ends in error 209; the rest works")
            .on([self.gpu.id.clone()]),
        );
    }
}

/// ` (CUDA 12.8 or newer)`, with the last that compiles for the GPU.
fn toolkits(capability: ComputeCapability) -> String {
    let Some(arch) = Catalogue::get().arch(capability) else {
        return String::new();
    };
    match &arch.last_toolkit {
        Some(last) => format!(" (CUDA {} to {last})", arch.first_toolkit),
        None => format!(" (CUDA {} or newer)", arch.first_toolkit),
    }
}

/// `sm_50 sm_60 … and compute_90`.
fn built_for(library: &CudaLibrary) -> String {
    let sass: Vec<String> = library
        .code
        .main_sass()
        .iter()
        .map(|t| t.sass_name())
        .collect();
    let mut ptx: Vec<String> = library
        .code
        .main_ptx()
        .iter()
        .map(|p| p.target.ptx_name())
        .collect();
    ptx.dedup();
    match (sass.is_empty(), ptx.is_empty()) {
        (true, true) => "no device code".to_owned(),
        (false, true) => format!("{}, no PTX", sass.join(" ")),
        (true, false) => format!("PTX alone: {}", ptx.join(" ")),
        (false, false) => format!("{} and PTX {}", sass.join(" "), ptx.join(" ")),
    }
}
