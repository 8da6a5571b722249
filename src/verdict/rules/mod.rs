//! The rules, one function each, grouped by what they look at.

pub mod code;
pub mod compat;
pub mod content;
pub mod driver;
pub mod grant;
pub mod require;

use crate::model::ComputeCapability;

use super::catalogue::Catalogue;
use super::effective::LibCuda;
use super::facts::{Build, Framework, HostFacts, ImageFacts, Scan};
use super::finding::{Finding, Severity};
use super::need::Need;
use super::version::Version;

/// What every rule may look at.
pub struct Case<'a> {
    /// The image.
    pub image: &'a ImageFacts,
    /// The host.
    pub host: &'a HostFacts,
    /// The libcuda in effect.
    pub libcuda: LibCuda<'a>,
    /// Its CUDA; `None` where unknown.
    pub cuda: Option<Version>,
    /// What the image needs.
    pub needs: Vec<Need>,
    /// What it may need and could not be told.
    pub lacking: Vec<String>,
}

/// What the rules leave behind.
#[derive(Debug, Default)]
pub struct Findings {
    /// What was found.
    pub found: Vec<Finding>,
    /// What a rule would have needed to know.
    pub unknown: Vec<String>,
}

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Notes a fact that a rule lacks, once.
    pub fn lacks(&mut self, fact: impl Into<String>) {
        let fact = fact.into();
        if !self.unknown.contains(&fact) {
            self.unknown.push(fact);
        }
    }
}

impl Case<'_> {
    /// The capabilities of the GPUs, where known.
    pub fn capabilities(&self) -> Vec<ComputeCapability> {
        self.host.gpus.iter().filter_map(|g| g.capability).collect()
    }

    /// `driver 535.104.05 (CUDA 12.2)`.
    pub fn driver_text(&self) -> String {
        match (&self.host.driver, &self.host.cuda) {
            (Some(driver), Some(cuda)) => format!("driver {driver} (CUDA {cuda})"),
            (Some(driver), None) => format!("driver {driver}"),
            (None, Some(cuda)) => format!("a driver of CUDA {cuda}"),
            (None, None) => "the driver".to_owned(),
        }
    }

    /// The driver whose version counts for floors: a compat library is the user half of its own driver, above
    /// every floor of its major.
    pub fn libcuda_driver(&self) -> Option<&Version> {
        match self.libcuda {
            LibCuda::Host => self.host.driver.as_ref(),
            _ => None,
        }
    }

    /// The newest PTX ISA that the libcuda in effect compiles, where the table reaches that far.
    pub fn newest_ptx(&self) -> Option<(u32, u32)> {
        let catalogue = Catalogue::get();
        let cuda = self.cuda.as_ref()?;
        let covered = catalogue.ptx.last().is_some_and(|last| *cuda <= last.cuda);
        covered
            .then(|| catalogue.newest_ptx(cuda))
            .flatten()
            .map(Version::pair)
    }

    /// Whether anything in the image uses CUDA, as far as is known.
    pub fn has_cuda(&self) -> bool {
        !self.needs.is_empty()
            || !self.image.libraries.is_empty()
            || self
                .image
                .frameworks
                .iter()
                .any(|f| matches!(f.build, Build::Cuda(_)))
    }

    /// Whether the configuration or the launch asks for a GPU.
    pub fn asks_for_a_gpu(&self) -> bool {
        let launched = self.host.launch.as_ref().is_some_and(|l| l.grants_gpus);
        let devices = self.image.env("NVIDIA_VISIBLE_DEVICES");
        launched
            || self.image.declared_cuda.is_some()
            || !self.image.requirements.predicates.is_empty()
            || devices.is_some_and(|value| !matches!(value, "" | "void" | "none"))
    }

    /// Whether something in the image may use CUDA: nothing rules it out before its content is known.
    pub fn may_use_cuda(&self) -> bool {
        self.image.scan == Scan::Config || self.has_cuda() || !self.image.gaps.is_empty()
    }

    /// How bad it is when a framework fails: what is an addition to another leaves the rest running.
    pub fn severity_of(&self, framework: Option<usize>) -> Severity {
        let helper = framework
            .and_then(|i| self.image.frameworks.get(i))
            .is_some_and(Framework::is_helper);
        let others = self
            .image
            .deciding()
            .iter()
            .any(|(_, f)| !f.is_helper() && matches!(f.build, Build::Cuda(_)));
        if helper && others {
            Severity::Warning
        } else {
            Severity::Error
        }
    }

    /// The libcuda in effect, in words: `driver 535.104.05 (CUDA 12.2)`, `the image's compat library …`.
    pub fn libcuda_text(&self) -> String {
        match (&self.libcuda, &self.cuda) {
            (LibCuda::Compat { compat, .. }, Some(cuda)) => format!(
                "the image's compat library (driver {}, CUDA {cuda})",
                compat.driver
            ),
            _ => self.driver_text(),
        }
    }

    /// Ways out for an image that is too new for the driver.
    pub fn older_software(&self, need: &Need) -> Vec<String> {
        let mut remedies = Vec::new();
        if need.who.starts_with("torch") {
            remedies.extend(super::remedy::torch_wheel(self.host, &self.capabilities()));
        }
        remedies.extend(super::remedy::base_image(self.host));
        remedies
    }
}
