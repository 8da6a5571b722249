//! Compiled device code: which GPUs a target runs on, and how much of a library serves a GPU.

use serde::{Deserialize, Serialize};

use crate::model::ComputeCapability;

/// Which GPUs a piece of compiled code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Compute capability it names.
    pub capability: ComputeCapability,
    /// Plain, architecture-specific or family-specific.
    pub variant: Variant,
}

/// Thor was 10.1 in CUDA 12.8 and 12.9 and is 11.0 since 13.0.
pub fn renamed(capability: ComputeCapability) -> ComputeCapability {
    match (capability.major, capability.minor) {
        (10, 1) => ComputeCapability {
            major: 11,
            minor: 0,
        },
        _ => capability,
    }
}

/// Jetson's chips: the promise that SASS runs on a higher minor does not hold from, to and between them
/// (CUDA programming guide). GB10 (12.1) is none of them.
pub fn is_tegra(capability: ComputeCapability) -> bool {
    matches!(
        (capability.major, capability.minor),
        (5, 3) | (6, 2) | (7, 2) | (8, 7) | (10, 1) | (11, 0)
    )
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
    /// plain within its major; to, from and between Tegra chips exactly.
    ///
    /// Sources: NVIDIA's Ampere and Ada compatibility guides; ptxas 13.4 and 13.5 run for the suffixes.
    pub fn sass_runs_on(self, gpu: ComputeCapability) -> bool {
        let (own, gpu) = (renamed(self.capability), renamed(gpu));
        if self.variant == Variant::Architecture || is_tegra(own) || is_tegra(gpu) {
            return own == gpu;
        }
        own.major == gpu.major && own.minor <= gpu.minor
    }

    /// Whether PTX of this target can be compiled for a GPU: plain for this and any later capability; `a`
    /// exactly; `f` within its family.
    pub fn ptx_compiles_for(self, gpu: ComputeCapability) -> bool {
        match self.variant {
            Variant::Plain => self.capability <= renamed(gpu),
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

/// A share of a library's containers under this part of its most common target's is a stray: such code
/// does not make the library one that is built for a GPU (torch 2.15 has `sm_121a` once in 476).
const STRAY: f64 = 0.1;

/// How much of some device code serves a GPU, as shares of its containers (0 to 1).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Coverage {
    /// With SASS that runs.
    pub sass: f64,
    /// Without such SASS, with PTX that the driver compiles.
    pub jit: f64,
    /// Without such SASS, with PTX that is too new for the driver.
    pub ptx_too_new: f64,
    /// The share of the most common target: what the others are measured by.
    pub most: f64,
    /// Containers in all.
    pub containers: u32,
}

impl Coverage {
    /// Whether a share is more than strays.
    pub fn counts(&self, share: f64) -> bool {
        share > 0.0 && share >= self.most * STRAY
    }

    /// `308 of 609`.
    pub fn in_words(&self, share: f64) -> String {
        let count = (share * f64::from(self.containers)).round();
        format!("{count} of {}", self.containers)
    }
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
        let mut coverage = Coverage {
            most: self.most(),
            containers: self.containers(),
            ..Coverage::default()
        };
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

    /// The share of the most common target, SASS or PTX.
    fn most(&self) -> f64 {
        let sass = self.sass_shares().into_iter().map(|(_, share)| share);
        let ptx = self.ptx_shares().into_iter().map(|(_, share)| share);
        sass.chain(ptx).fold(0.0, f64::max)
    }

    /// The targets that the code is really built for: stray entries in few containers (under a tenth of
    /// the most common share) left out.
    pub fn main_sass(&self) -> Vec<Target> {
        let most = self
            .sass_shares()
            .iter()
            .map(|(_, s)| *s)
            .fold(0.0, f64::max);
        self.sass_shares()
            .into_iter()
            .filter(|(_, share)| *share >= most * STRAY)
            .map(|(target, _)| target)
            .collect()
    }

    /// As [`DeviceCode::main_sass`], for PTX targets.
    pub fn main_ptx(&self) -> Vec<PtxCode> {
        let most = self.most();
        self.ptx_shares()
            .into_iter()
            .filter(|(_, share)| *share >= most * STRAY)
            .map(|(code, _)| code)
            .collect()
    }
}
