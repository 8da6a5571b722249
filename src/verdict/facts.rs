//! What is known of an image and of a host: the verdict's two inputs. Absent is `None`, never a guess.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::ComputeCapability;

use super::require::Requirements;
use super::version::Version;

/// Which GPUs a piece of compiled code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Compute capability it names.
    pub capability: ComputeCapability,
    /// Plain, architecture-specific or family-specific.
    pub variant: Variant,
}

/// The suffix of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Variant {
    /// `sm_90`.
    Plain,
    /// `sm_90a`: this capability alone.
    Architecture,
    /// `sm_100f`: this capability and later ones of its family.
    Family,
}

impl Target {
    /// A target from a fatbinary entry's decimal architecture (90, 120) and suffix.
    pub fn from_number(number: u32, variant: Variant) -> Self {
        Self {
            capability: ComputeCapability {
                major: number / 10,
                minor: number % 10,
            },
            variant,
        }
    }

    /// Whether SASS of this target runs on a GPU: same major and not a higher minor; `a` exactly; `f` like
    /// plain within its major. `sm_101` of CUDA 12.8 and 12.9 is Thor, later called 11.0.
    ///
    /// Sources: NVIDIA's Ampere and Ada compatibility guides; ptxas 13.4 and 13.5 run for the suffixes.
    pub fn sass_runs_on(self, gpu: ComputeCapability) -> bool {
        if (self.capability.major, self.capability.minor) == (10, 1) {
            return (gpu.major, gpu.minor) == (11, 0);
        }
        match self.variant {
            Variant::Plain | Variant::Family => {
                self.capability.major == gpu.major && self.capability.minor <= gpu.minor
            }
            Variant::Architecture => self.capability == gpu,
        }
    }

    /// Whether PTX of this target can be compiled for a GPU: plain for this and any later capability; `a`
    /// exactly; `f` within its family.
    pub fn ptx_compiles_for(self, gpu: ComputeCapability) -> bool {
        match self.variant {
            Variant::Plain => self.capability <= gpu,
            _ => self.sass_runs_on(gpu),
        }
    }

    fn suffix(self) -> &'static str {
        match self.variant {
            Variant::Plain => "",
            Variant::Architecture => "a",
            Variant::Family => "f",
        }
    }

    /// `sm_90a`.
    pub fn sass_name(self) -> String {
        format!(
            "sm_{}{}{}",
            self.capability.major,
            self.capability.minor,
            self.suffix()
        )
    }

    /// `compute_90a`.
    pub fn ptx_name(self) -> String {
        format!(
            "compute_{}{}{}",
            self.capability.major,
            self.capability.minor,
            self.suffix()
        )
    }
}

/// PTX in a container: its target and the PTX ISA it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PtxCode {
    /// For which GPUs.
    pub target: Target,
    /// PTX ISA, as (8, 7).
    pub isa: (u32, u32),
}

/// A kind of fatbinary container and how often the library has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContainerShape {
    /// Compiled code, sorted.
    pub sass: Vec<Target>,
    /// PTX, sorted.
    pub ptx: Vec<PtxCode>,
}

/// The device code of one library or of several: its containers, one per translation unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCode {
    /// Distinct containers with their counts; those without any code are not counted.
    pub shapes: Vec<(ContainerShape, u32)>,
    /// PTX found in `__nv_relfatbin` alone: it counts as "maybe", never as proof.
    pub relocatable_ptx: Vec<PtxCode>,
}

/// How much of some device code serves a GPU, as shares of its containers (0 to 1).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Coverage {
    /// With SASS that runs.
    pub sass: f64,
    /// Without such SASS, with PTX that the driver compiles.
    pub jit: f64,
    /// Without such SASS, with PTX that is too new for the driver.
    pub ptx_too_new: f64,
}

impl DeviceCode {
    /// Containers in all.
    pub fn containers(&self) -> u32 {
        self.shapes.iter().map(|(_, count)| count).sum()
    }

    /// Adds one container.
    pub fn add(&mut self, mut shape: ContainerShape) {
        shape.sass.sort_unstable();
        shape.sass.dedup();
        shape.ptx.sort_unstable();
        shape.ptx.dedup();
        if shape.sass.is_empty() && shape.ptx.is_empty() {
            return;
        }
        match self.shapes.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, count)) => *count += 1,
            None => self.shapes.push((shape, 1)),
        }
    }

    /// How much serves this GPU under a driver that compiles PTX up to `newest_ptx` (`None`: unknown,
    /// counted as new enough, since only NVML's own number may fail something).
    pub fn coverage(&self, gpu: ComputeCapability, newest_ptx: Option<(u32, u32)>) -> Coverage {
        let total = f64::from(self.containers());
        let mut coverage = Coverage::default();
        if total == 0.0 {
            return coverage;
        }
        for (shape, count) in &self.shapes {
            let share = f64::from(*count) / total;
            if shape.sass.iter().any(|t| t.sass_runs_on(gpu)) {
                coverage.sass += share;
                continue;
            }
            let mut fitting = shape
                .ptx
                .iter()
                .filter(|p| p.target.ptx_compiles_for(gpu))
                .peekable();
            if fitting.peek().is_none() {
                continue;
            }
            if fitting.any(|p| newest_ptx.is_none_or(|newest| p.isa <= newest)) {
                coverage.jit += share;
            } else {
                coverage.ptx_too_new += share;
            }
        }
        coverage
    }

    /// Share of containers that have each SASS target, lowest target first.
    pub fn sass_shares(&self) -> Vec<(Target, f64)> {
        self.shares(|shape| shape.sass.clone())
    }

    /// Share of containers that have each PTX target, lowest first.
    pub fn ptx_shares(&self) -> Vec<(PtxCode, f64)> {
        self.shares(|shape| shape.ptx.clone())
    }

    fn shares<T: Ord + Copy>(&self, of: impl Fn(&ContainerShape) -> Vec<T>) -> Vec<(T, f64)> {
        let total = f64::from(self.containers());
        let mut counts = std::collections::BTreeMap::new();
        for (shape, count) in &self.shapes {
            for item in of(shape) {
                *counts.entry(item).or_insert(0u32) += count;
            }
        }
        counts
            .into_iter()
            .map(|(item, count)| (item, f64::from(count) / total))
            .collect()
    }

    /// The targets that the code is really built for: stray entries in few containers (under a tenth of
    /// the most common share) left out.
    pub fn main_sass(&self) -> Vec<Target> {
        let shares = self.sass_shares();
        let most = shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
        shares
            .into_iter()
            .filter(|(_, share)| *share >= most / 10.0)
            .map(|(target, _)| target)
            .collect()
    }

    /// As [`DeviceCode::main_sass`], for PTX targets.
    pub fn main_ptx(&self) -> Vec<PtxCode> {
        let shares = self.ptx_shares();
        let sass_most = self
            .sass_shares()
            .iter()
            .map(|(_, s)| *s)
            .fold(0.0, f64::max);
        let most = shares
            .iter()
            .map(|(_, share)| *share)
            .fold(sass_most, f64::max);
        shares
            .into_iter()
            .filter(|(_, share)| *share >= most / 10.0)
            .map(|(code, _)| code)
            .collect()
    }
}

/// A library with device code.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CudaLibrary {
    /// Path in the image.
    pub path: String,
    /// Size of the file, bytes.
    pub size_bytes: u64,
    /// Its code.
    pub code: DeviceCode,
    /// `DT_NEEDED` entries.
    pub needed: Vec<String>,
    /// Why its code could not be read in full.
    pub problem: Option<String>,
}

/// What a framework was built for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Build {
    /// CUDA of this version, as exactly as its files say; `None`: some CUDA.
    Cuda(Option<Version>),
    /// The CPU alone.
    Cpu,
    /// AMD.
    Rocm(Option<String>),
    /// Its files do not say.
    #[default]
    Unknown,
}

/// A framework found in the image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Framework {
    /// `torch`, `tensorflow`, `jax`, `cupy`, `onnxruntime`…
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What it was built for.
    pub build: Build,
    /// Which file said so.
    pub evidence: String,
    /// The environment it is in: a `site-packages` path, or the folder of a program.
    pub place: String,
    /// Whether `python` on the image's PATH gets this one; `None` where that cannot be told.
    pub on_path: Option<bool>,
    /// Path of its main (largest) CUDA library.
    pub library: Option<String>,
    /// Its CUDA libraries by path, the main one too.
    pub libraries: Vec<String>,
    /// Needed CUDA libraries that are not in the image (`libcudnn.so.9`).
    pub missing: Vec<String>,
    /// It compiles PTX at run time with a compiler of its own CUDA (numba, CuPy's NVRTC without cubin).
    pub jits_ptx: bool,
    /// It starts worker processes that share memory (data loaders).
    pub uses_shm: bool,
    /// Several builds in one place, of which it picks what fits (bitsandbytes, Ollama): the CUDA of each.
    pub alternatives: Vec<Version>,
}

/// A CUDA runtime library (`libcudart`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// As exactly as its file or package says.
    pub version: Version,
    /// Where.
    pub path: String,
    /// Which file said so.
    pub evidence: String,
}

/// The ELF note of a newer compat `libcuda`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompatNote {
    /// CUDA it brings.
    pub cuda: Option<Version>,
    /// Host branches it accepts.
    pub drivers: Vec<u32>,
    /// `nvmlBrandType` values it accepts.
    pub devices: Vec<u32>,
}

/// The image's forward-compatibility package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compat {
    /// Folder of its `libcuda.so.<driver>`.
    pub path: String,
    /// The driver it is the user half of.
    pub driver: Version,
    /// CUDA it brings, from its note, its folder or the catalogue.
    pub cuda: Option<Version>,
    /// Its ELF note, where it has one.
    pub note: Option<CompatNote>,
    /// What puts it first on the library path without the toolkit's doing (`LD_LIBRARY_PATH`, a file of
    /// `/etc/ld.so.conf.d`).
    pub forced_by: Option<String>,
    /// How many `libcuda.so.*.*` are in the folder: the toolkit's hook wants exactly one.
    pub candidates: u32,
}

/// The C library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Libc {
    /// GNU, with its version where known.
    Glibc(Option<Version>),
    /// musl.
    Musl,
}

/// A stub `libcuda` that the loader may find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Its folder.
    pub path: String,
    /// Whether the folder has `libcuda.so.1`, not `libcuda.so` alone.
    pub has_soname: bool,
    /// What puts the folder on the library path; `None`: nothing does.
    pub searched_by: Option<String>,
}

/// A driver library that is part of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverLibrary {
    /// Path.
    pub path: String,
    /// Driver version in its name.
    pub version: Option<Version>,
    /// An empty file, as `docker commit` of a GPU container leaves.
    pub empty: bool,
}

/// How much of the image was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scan {
    /// Its configuration alone.
    #[default]
    Config,
    /// Its content too.
    Full,
}

/// Everything known of an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageFacts {
    /// What was looked at.
    pub scan: Scan,
    /// `linux/amd64`.
    pub platform: Option<String>,
    /// Environment of image and launch together, the launch's over the image's.
    pub env: Vec<(String, String)>,
    /// What it asks of the driver.
    pub requirements: Requirements,
    /// `CUDA_VERSION`.
    pub declared_cuda: Option<Version>,
    /// An NGC image: its `NVIDIA_REQUIRE_CUDA` and CUDA label are meaningless floors.
    pub ngc: bool,
    /// An unmodified `nvidia/cuda` image: its configuration alone tells all.
    pub unmodified_base: bool,
    /// CUDA runtimes.
    pub runtimes: Vec<Runtime>,
    /// A toolkit (`nvcc`), with its version where known.
    pub toolkit: Option<Version>,
    /// Forward-compatibility package.
    pub compat: Option<Compat>,
    /// cuDNN.
    pub cudnn: Option<String>,
    /// NCCL.
    pub nccl: Option<String>,
    /// The Python that the image's command or PATH starts, where there is one.
    pub python: Option<String>,
    /// Frameworks.
    pub frameworks: Vec<Framework>,
    /// Libraries with device code.
    pub libraries: Vec<CudaLibrary>,
    /// C library.
    pub libc: Option<Libc>,
    /// Stubs.
    pub stubs: Vec<Stub>,
    /// Driver libraries in the image.
    pub driver_libraries: Vec<DriverLibrary>,
    /// What could not be read, in words.
    pub gaps: Vec<String>,
}

impl ImageFacts {
    /// The last value of a variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rfind(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The library at a path.
    pub fn library(&self, path: &str) -> Option<&CudaLibrary> {
        self.libraries.iter().find(|l| l.path == path)
    }

    /// The framework that decides: on the PATH's Python first, then the one with the largest library.
    pub fn main_framework(&self) -> Option<&Framework> {
        let size = |f: &Framework| {
            f.library
                .as_deref()
                .and_then(|path| self.library(path))
                .map_or(0, |l| l.size_bytes)
        };
        self.frameworks
            .iter()
            .max_by_key(|f| (f.on_path != Some(false), size(f)))
    }
}

/// How GPUs get into containers on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Injection {
    /// The prestart hook: requirements are enforced.
    Legacy,
    /// CDI, by the engine.
    Cdi,
    /// CDI made by the nvidia runtime at start (its default from toolkit 1.18).
    JitCdi,
    /// Jetson.
    Csv,
    /// Cannot be told.
    #[default]
    Unknown,
}

impl Injection {
    /// Its name in the JSON contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Cdi => "cdi",
            Self::JitCdi => "jit-cdi",
            Self::Csv => "csv",
            Self::Unknown => "unknown",
        }
    }
}

/// A GPU of the host judged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostGpu {
    /// UUID, or the name it was asked for by.
    pub id: String,
    /// Product name.
    pub name: String,
    /// Compute capability.
    pub capability: Option<ComputeCapability>,
    /// Brand in NVML's words; `None` where not known (`--gpu sm_120`).
    pub brand: Option<String>,
}

/// Everything known of a host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostFacts {
    /// Driver version.
    pub driver: Option<Version>,
    /// Highest CUDA of the driver.
    pub cuda: Option<Version>,
    /// The GPUs judged for.
    pub gpus: Vec<HostGpu>,
    /// How GPUs get into containers.
    pub injection: Injection,
    /// NVIDIA Container Toolkit's version.
    pub toolkit: Option<Version>,
    /// `linux/amd64`.
    pub platform: Option<String>,
    /// `disable-require = true` in the toolkit's configuration: nothing checks requirements.
    pub require_disabled: bool,
    /// `cuda-compat-mode = "disabled"` in the toolkit's configuration: the legacy hook puts no compat library in.
    pub compat_disabled: bool,
    /// The engine's proof that it cannot give GPUs at all, in its own words.
    pub no_gpu_runtime: Option<String>,
    /// A host that is not here (`--driver`, `--gpu`): all its GPUs must be served.
    pub hypothetical: bool,
    /// The month of today, `2026-11`, for branch life.
    pub month: String,
    /// What the launch asks: `None` where no launch is judged.
    pub launch: Option<LaunchFacts>,
}

/// What a launch or a running container adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchFacts {
    /// A device request or CDI device grants GPUs, whatever the environment says.
    pub grants_gpus: bool,
    /// Size of `/dev/shm`, bytes; `None` with `--ipc=host`.
    pub shm_bytes: Option<u64>,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(Some(version)) => write!(f, "CUDA {version}"),
            Self::Cuda(None) => f.write_str("CUDA"),
            Self::Cpu => f.write_str("CPU"),
            Self::Rocm(Some(version)) => write!(f, "ROCm {version}"),
            Self::Rocm(None) => f.write_str("ROCm"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
