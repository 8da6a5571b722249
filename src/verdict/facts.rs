//! What is known of an image and of a host: the verdict's two inputs. Absent is `None`, never a guess.

use std::fmt;

use crate::model::ComputeCapability;

pub use super::device::{ContainerShape, Coverage, DeviceCode, PtxCode, Target, Variant};
use super::require::Requirements;
use super::version::Version;

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

impl CudaLibrary {
    /// Whether it is one of NVIDIA's own.
    pub fn is_nvidias(&self) -> bool {
        is_nvidia_library(&self.path)
    }
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
        "libcutensor",
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

/// A library that a framework needs and that the loader finds in another place first: by the image's library
/// path another CUDA's build of the same soname comes before the framework's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shadowed {
    /// What the framework needs (`libcudnn.so.9`).
    pub soname: String,
    /// Path of the one that is found first.
    pub path: String,
    /// Its version, where its file or package tells.
    pub version: Option<String>,
    /// What puts its folder first (`LD_LIBRARY_PATH`).
    pub by: String,
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
    /// Needed libraries that resolve to another CUDA major's first.
    pub shadowed: Vec<Shadowed>,
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
    /// The folders of `LD_LIBRARY_PATH` as they are written there, each with where its links lead.
    pub library_path: Vec<(String, String)>,
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
            .max_by_key(|f| (f.on_path != Some(false), !f.is_helper(), size(f)))
    }

    /// The frameworks that decide, with their index: those that `python` on the PATH gets or may get, and
    /// programs; where none is, all of them.
    pub fn deciding(&self) -> Vec<(usize, &Framework)> {
        let all = || self.frameworks.iter().enumerate();
        // One Python is on the PATH: of a framework that it has, no other copy counts.
        let taken = |f: &Framework| {
            f.on_path.is_none()
                && self
                    .frameworks
                    .iter()
                    .any(|other| other.on_path == Some(true) && other.name == f.name)
        };
        let on_path: Vec<_> = all()
            .filter(|(_, f)| f.on_path != Some(false) && !taken(f))
            .collect();
        if on_path.is_empty() {
            return all().collect();
        }
        on_path
    }
}

impl Framework {
    /// An addition to another framework: what fails of it leaves the rest running.
    pub fn is_helper(&self) -> bool {
        matches!(
            self.name.replace('_', "-").as_str(),
            "bitsandbytes" | "flash-attn" | "triton" | "xformers" | "numba"
        )
    }

    /// `torch 2.6.0+cu124`.
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
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
