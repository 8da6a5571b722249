//! The rules, one function each, grouped by what they look at.

pub mod code;
pub mod content;
pub mod driver;
pub mod grant;

use crate::model::ComputeCapability;

use super::effective::LibCuda;
use super::facts::{HostFacts, ImageFacts};
use super::finding::Finding;
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
