//! What is known of toolkits, drivers, GPUs, PTX and wheels: data in `assets/cuda/*.toml`, read once.
//!
//! The tables only ever explain and suggest. A driver or GPU newer than they are is judged by NVML's own
//! numbers, and the verdict says so.

use std::sync::OnceLock;

use serde::Deserialize;

use crate::model::ComputeCapability;

use super::device::renamed;
use super::require::same_brand;
use super::version::Version;

/// Everything in `assets/cuda/`.
#[derive(Debug)]
pub struct Catalogue {
    /// Toolkits, oldest first.
    pub toolkits: Vec<Toolkit>,
    /// Minor-version compatibility floors.
    pub minor_floors: Vec<MinorFloor>,
    /// Driver branches, oldest first.
    pub branches: Vec<Branch>,
    /// GPU products.
    pub gpus: Vec<GpuModel>,
    /// Compute capabilities, lowest first.
    pub archs: Vec<Arch>,
    /// PTX versions, oldest first.
    pub ptx: Vec<Ptx>,
    /// Forward-compatibility packages.
    pub compat: Vec<CompatPackage>,
    /// Brands that forward compatibility is offered for.
    pub compat_brands: Vec<String>,
    /// PyTorch on PyPI: version ranges and their CUDA.
    pub torch_pypi: Vec<TorchPypi>,
    /// PyTorch's own index: variants by minor version.
    pub torch_index: Vec<TorchIndex>,
    /// What each variant is compiled for.
    pub torch_archs: Vec<TorchArchs>,
}

/// A CUDA toolkit.
#[derive(Debug, Deserialize)]
pub struct Toolkit {
    /// `12.4`.
    #[serde(deserialize_with = "version")]
    pub cuda: Version,
    /// Driver of its first release: what full function needs.
    #[serde(deserialize_with = "version")]
    pub min_driver: Version,
    /// Driver of its newest update, where that is another.
    #[serde(default, deserialize_with = "optional_version")]
    pub newest_update_driver: Option<Version>,
    /// A tag of `nvidia/cuda` that exists (`12.4.1-runtime-ubuntu22.04`).
    pub image: Option<String>,
}

/// A floor of minor-version compatibility.
#[derive(Debug, Deserialize)]
pub struct MinorFloor {
    /// CUDA major.
    pub major: u32,
    /// Lowest driver that runs every program of that major.
    #[serde(deserialize_with = "version")]
    pub min_driver: Version,
}

/// What a driver branch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BranchKind {
    /// Long-term support.
    Lts,
    /// Production branch.
    Production,
    /// New feature branch.
    NewFeature,
    /// Shipped with a toolkit alone.
    Developer,
    /// The last for old hardware.
    Legacy,
    /// Not known yet.
    Unknown,
}

/// A driver branch.
#[derive(Debug, Deserialize)]
pub struct Branch {
    /// `550`.
    pub branch: u32,
    /// Highest CUDA it supports.
    #[serde(deserialize_with = "version")]
    pub cuda: Version,
    /// What it is for.
    pub kind: BranchKind,
    /// Last month of support, `2026-06`.
    pub end_of_life: Option<String>,
    /// Support ended, the month is not known.
    #[serde(default)]
    pub ended: bool,
}

impl Branch {
    /// Whether NVIDIA still supports it in `month` (`2026-11`).
    pub fn is_supported(&self, month: &str) -> bool {
        !self.ended && self.end_of_life.as_deref().is_none_or(|end| month <= end)
    }
}

/// A GPU product.
#[derive(Debug, Deserialize)]
pub struct GpuModel {
    /// As NVML spells it, without `NVIDIA `.
    pub name: String,
    /// Compute capability.
    #[serde(deserialize_with = "capability")]
    pub compute_capability: ComputeCapability,
    /// Architecture.
    pub architecture: String,
    /// `datacenter`, `geforce`, `titan`, `quadro`, `quadro-rtx`, `rtx-pro`, `jetson`, `integrated`.
    pub class: String,
    /// NVML brand by family; absent where nobody has seen it.
    pub brand: Option<String>,
}

/// A compute capability's life.
#[derive(Debug, Deserialize)]
pub struct Arch {
    /// Which.
    #[serde(deserialize_with = "capability")]
    pub compute_capability: ComputeCapability,
    /// Architecture.
    pub name: String,
    /// First toolkit that compiles for it.
    #[serde(deserialize_with = "version")]
    pub first_toolkit: Version,
    /// First driver branch that knows it.
    pub first_branch: Option<u32>,
    /// Last toolkit that compiles for it.
    #[serde(default, deserialize_with = "optional_version")]
    pub last_toolkit: Option<Version>,
    /// Last driver branch that knows it.
    pub last_branch: Option<u32>,
}

/// A PTX version.
#[derive(Debug, Deserialize)]
pub struct Ptx {
    /// PTX ISA.
    #[serde(deserialize_with = "version")]
    pub isa: Version,
    /// First CUDA whose driver compiles it.
    #[serde(deserialize_with = "version")]
    pub cuda: Version,
}

/// A `cuda-compat` package.
#[derive(Debug, Deserialize)]
pub struct CompatPackage {
    /// Which CUDA it brings.
    #[serde(deserialize_with = "version")]
    pub cuda: Version,
    /// Host branches in NVIDIA's support matrix.
    pub matrix: Vec<u32>,
    /// Host branches that the package or its image names.
    pub named: Vec<u32>,
}

impl CompatPackage {
    /// Every branch that it accepts, supported or not, lowest first.
    pub fn accepted(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.matrix.iter().chain(&self.named).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// PyTorch wheels on PyPI.
#[derive(Debug, Deserialize)]
pub struct TorchPypi {
    /// First version of the range.
    #[serde(deserialize_with = "version")]
    pub first: Version,
    /// Last version of the range.
    #[serde(deserialize_with = "version")]
    pub last: Version,
    /// Its CUDA.
    #[serde(deserialize_with = "version")]
    pub cuda: Version,
}

/// Variants on PyTorch's own index.
#[derive(Debug, Deserialize)]
pub struct TorchIndex {
    /// `2.6`.
    #[serde(deserialize_with = "version")]
    pub torch: Version,
    /// `cu118`, `cu124`…
    pub variants: Vec<String>,
}

/// What a variant is compiled for.
#[derive(Debug, Deserialize)]
pub struct TorchArchs {
    /// First minor version.
    #[serde(deserialize_with = "version")]
    pub first: Version,
    /// Last minor version.
    #[serde(deserialize_with = "version")]
    pub last: Version,
    /// Which variants.
    pub variants: Vec<String>,
    /// SASS.
    #[serde(deserialize_with = "capabilities")]
    pub compute_capabilities: Vec<ComputeCapability>,
    /// PTX of the newest too.
    pub ptx: bool,
    /// The wheels for arm64; else those for x86-64.
    #[serde(default)]
    pub arm64: bool,
}

/// The CUDA of a variant's name: `cu124` -> 12.4, `cu102` -> 10.2.
pub fn variant_cuda(variant: &str) -> Option<Version> {
    let digits = variant.strip_prefix("cu")?;
    let (major, minor) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
    Some(Version::from_pair(major.parse().ok()?, minor.parse().ok()?))
}

/// `9.0`, `sm_90`, `sm_90a` and `120` -> a compute capability.
pub fn parse_capability(text: &str) -> Option<ComputeCapability> {
    if let Some((major, minor)) = text.split_once('.') {
        return Some(ComputeCapability {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        });
    }
    let digits = text.strip_prefix("sm_").unwrap_or(text);
    let digits = digits.trim_end_matches(['a', 'f']);
    let (major, minor) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
    Some(ComputeCapability {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

impl Catalogue {
    /// The catalogue compiled into the program. Its files are checked by a test; one that could not be
    /// read would leave its tables empty, which only costs explanations and remedies.
    pub fn get() -> &'static Self {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| Self::load().unwrap_or_else(|_| Self::empty()))
    }

    fn load() -> Result<Self, toml::de::Error> {
        #[derive(Deserialize)]
        struct Drivers {
            toolkit: Vec<Toolkit>,
            minor_floor: Vec<MinorFloor>,
            branch: Vec<Branch>,
        }
        #[derive(Deserialize)]
        struct Gpus {
            gpu: Vec<GpuModel>,
        }
        #[derive(Deserialize)]
        struct Archs {
            arch: Vec<Arch>,
            ptx: Vec<Ptx>,
        }
        #[derive(Deserialize)]
        struct Compat {
            eligible_brands: Vec<String>,
            package: Vec<CompatPackage>,
        }
        #[derive(Deserialize)]
        struct Wheels {
            torch_pypi: Vec<TorchPypi>,
            torch_index: Vec<TorchIndex>,
            torch_archs: Vec<TorchArchs>,
        }
        let drivers: Drivers = toml::from_str(include_str!("../../assets/cuda/drivers.toml"))?;
        let gpus: Gpus = toml::from_str(include_str!("../../assets/cuda/gpus.toml"))?;
        let archs: Archs = toml::from_str(include_str!("../../assets/cuda/archs.toml"))?;
        let compat: Compat = toml::from_str(include_str!("../../assets/cuda/compat.toml"))?;
        let wheels: Wheels = toml::from_str(include_str!("../../assets/cuda/wheels.toml"))?;
        Ok(Self {
            toolkits: drivers.toolkit,
            minor_floors: drivers.minor_floor,
            branches: drivers.branch,
            gpus: gpus.gpu,
            archs: archs.arch,
            ptx: archs.ptx,
            compat: compat.package,
            compat_brands: compat.eligible_brands,
            torch_pypi: wheels.torch_pypi,
            torch_index: wheels.torch_index,
            torch_archs: wheels.torch_archs,
        })
    }

    fn empty() -> Self {
        Self {
            toolkits: Vec::new(),
            minor_floors: Vec::new(),
            branches: Vec::new(),
            gpus: Vec::new(),
            archs: Vec::new(),
            ptx: Vec::new(),
            compat: Vec::new(),
            compat_brands: Vec::new(),
            torch_pypi: Vec::new(),
            torch_index: Vec::new(),
            torch_archs: Vec::new(),
        }
    }

    /// The newest branch that the table has.
    pub fn newest_branch(&self) -> Option<&Branch> {
        self.branches.last()
    }

    /// Whether a driver is of a branch newer than the table: it is never failed by table.
    pub fn is_newer_driver(&self, driver: &Version) -> bool {
        self.newest_branch()
            .is_some_and(|newest| driver.major() > newest.branch)
    }

    /// The branch of a driver, where the table has it.
    pub fn branch_of(&self, driver: &Version) -> Option<&Branch> {
        self.branches.iter().find(|b| b.branch == driver.major())
    }

    /// Highest CUDA of a driver known by its version alone (hypothetical hosts): the table's row, or the
    /// next older branch's for one between two rows; `None` for one newer than the table, where nothing
    /// is guessed upward.
    pub fn cuda_of_driver(&self, driver: &Version) -> Option<Version> {
        let newest = self.branches.last()?.branch;
        if driver.major() > newest {
            return None;
        }
        self.branches
            .iter()
            .rfind(|b| b.branch <= driver.major())
            .map(|b| b.cuda.clone())
    }

    /// Lowest driver that runs every program of this CUDA major (11 and newer).
    pub fn minor_floor(&self, major: u32) -> Option<&Version> {
        self.minor_floors
            .iter()
            .find(|f| f.major == major)
            .map(|f| &f.min_driver)
    }

    /// The toolkit of this `major.minor`.
    pub fn toolkit(&self, cuda: &Version) -> Option<&Toolkit> {
        self.toolkits.iter().find(|t| t.cuda.pair() == cuda.pair())
    }

    /// The life of a compute capability.
    pub fn arch(&self, capability: ComputeCapability) -> Option<&Arch> {
        let capability = renamed(capability);
        self.archs
            .iter()
            .find(|a| a.compute_capability == capability)
    }

    /// Highest PTX ISA that a driver of this CUDA version compiles; `None` for one older than the table.
    /// For a CUDA newer than the table it is the newest row: a lower bound.
    pub fn newest_ptx(&self, cuda: &Version) -> Option<&Version> {
        self.ptx.iter().rfind(|p| p.cuda <= *cuda).map(|p| &p.isa)
    }

    /// First CUDA whose driver compiles this PTX ISA; `None` for one newer than the table.
    pub fn cuda_for_ptx(&self, isa: &Version) -> Option<&Version> {
        self.ptx.iter().find(|p| p.isa >= *isa).map(|p| &p.cuda)
    }

    /// Whether forward compatibility is offered for a brand.
    pub fn is_compat_brand(&self, brand: &str) -> bool {
        self.compat_brands.iter().any(|b| same_brand(b, brand))
    }

    /// GPU models whose name, normalized, is `name` or begins with it as a whole word: "A100" finds every
    /// A100, "RTX 4000" does not find "RTX 4000 Ada" when "Quadro RTX 4000" is meant by neither.
    pub fn find_gpus(&self, name: &str) -> Vec<&GpuModel> {
        let wanted = normalize(name);
        if wanted.is_empty() {
            return Vec::new();
        }
        let exact: Vec<&GpuModel> = self
            .gpus
            .iter()
            .filter(|g| normalize(&g.name) == wanted)
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        let by = |fits: fn(&[String], &[String]) -> bool| -> Vec<&GpuModel> {
            let gpus = self.gpus.iter();
            gpus.filter(|g| fits(&normalize(&g.name), &wanted))
                .collect()
        };
        let found = by(contains_words);
        if found.is_empty() {
            return by(contains_joined);
        }
        found
    }
}

/// Lower-case words: `NVIDIA A100-SXM4-80GB` -> [a100, sxm4, 80gb].
fn normalize(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_lowercase)
        .filter(|w| w != "nvidia")
        .collect()
}

fn contains_words(words: &[String], wanted: &[String]) -> bool {
    words.windows(wanted.len()).any(|window| window == wanted)
}

/// `rtx4090`: the words without what stood between them.
fn contains_joined(words: &[String], wanted: &[String]) -> bool {
    let wanted = wanted.concat();
    (0..words.len()).any(|from| {
        let mut joined = String::new();
        words.iter().skip(from).any(|word| {
            joined.push_str(word);
            joined == wanted
        })
    })
}

fn version<'de, D: serde::Deserializer<'de>>(de: D) -> Result<Version, D::Error> {
    let text = String::deserialize(de)?;
    Version::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("no version: {text}")))
}

fn optional_version<'de, D: serde::Deserializer<'de>>(de: D) -> Result<Option<Version>, D::Error> {
    version(de).map(Some)
}

fn capability<'de, D: serde::Deserializer<'de>>(de: D) -> Result<ComputeCapability, D::Error> {
    let text = String::deserialize(de)?;
    parse_capability(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("no compute capability: {text}")))
}

fn capabilities<'de, D: serde::Deserializer<'de>>(
    de: D,
) -> Result<Vec<ComputeCapability>, D::Error> {
    Vec::<String>::deserialize(de)?
        .iter()
        .map(|text| {
            parse_capability(text)
                .ok_or_else(|| serde::de::Error::custom(format!("no compute capability: {text}")))
        })
        .collect()
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
