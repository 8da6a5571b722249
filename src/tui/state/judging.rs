//! What a verdict is judged from: facts of what is known, the host as it is, what a container was given.

use std::sync::Arc;

use crate::inspect::Known;
use crate::join::{ContainerGpus, GpuRef};
use crate::model::{ComputeCapability, ContainerDetail, DriverStatus, GpuGrant, GpuKey};
use crate::verdict::facts::{HostFacts, HostGpu, ImageFacts, Injection, LaunchFacts, Scan};
use crate::verdict::{Version, require};
use crate::watch::World;

/// The facts of what is known.
pub fn facts(known: &Known) -> ImageFacts {
    let config = &known.config;
    let env = || {
        let pairs = config.env.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    };
    ImageFacts {
        scan: Scan::Config,
        platform: config.platform.clone(),
        env: config.env.clone(),
        requirements: require::requirements(env()),
        declared_cuda: config.env("CUDA_VERSION").and_then(Version::parse),
        ..ImageFacts::default()
    }
}

/// The host as it is now.
pub fn host_facts(world: &World, basis: &HostBasis) -> HostFacts {
    let gpus = world.gpus.iter().flat_map(|s| &s.gpus);
    HostFacts {
        driver: basis.driver.as_deref().and_then(Version::parse),
        cuda: basis
            .cuda
            .map(|(major, minor)| Version::from_pair(major, minor)),
        gpus: gpus
            .filter(|_| basis.local)
            .map(|gpu| HostGpu {
                id: gpu.key.uuid.as_str().to_owned(),
                name: gpu.name.as_ref().to_owned(),
                capability: gpu.compute_capability,
                brand: gpu.brand.as_deref().map(str::to_owned),
            })
            .collect(),
        injection: Injection::Unknown,
        month: format!("{:04}-{:02}", basis.month.0, basis.month.1),
        ..HostFacts::default()
    }
}

/// What of a GPU counts.
#[derive(Debug, PartialEq)]
struct BasisGpu {
    key: GpuKey,
    name: Arc<str>,
    capability: Option<ComputeCapability>,
    brand: Option<Arc<str>>,
}

/// What the host's facts are made from, to see cheaply whether they still hold.
#[derive(Debug, Default, PartialEq)]
pub struct HostBasis {
    driver: Option<String>,
    cuda: Option<(u32, u32)>,
    gpus: Vec<BasisGpu>,
    month: (i16, i8),
    /// The engine is proven to run here; else nothing is known of the GPUs its containers get.
    local: bool,
}

impl HostBasis {
    pub fn holds(&self, world: &World, month: (i16, i8)) -> bool {
        if self.month != month || self.local != world.joinable() {
            return false;
        }
        if !self.local {
            return true;
        }
        let Some(snapshot) = &world.gpus else {
            return self.gpus.is_empty() && self.driver.is_none();
        };
        let driver = match &snapshot.driver {
            DriverStatus::Up(info) => {
                info.driver_version == self.driver && info.cuda_driver_version == self.cuda
            }
            // While NVML is let go of, the last word stands.
            DriverStatus::Starting | DriverStatus::Released => true,
            DriverStatus::Down(_) => self.driver.is_none() && self.cuda.is_none(),
        };
        driver
            && self.gpus.len() == snapshot.gpus.len()
            && self.gpus.iter().zip(&snapshot.gpus).all(|(known, gpu)| {
                known.key == gpu.key
                    && known.name == gpu.name
                    && known.capability == gpu.compute_capability
                    && known.brand == gpu.brand
            })
    }

    pub fn renew(&mut self, world: &World, month: (i16, i8)) {
        self.month = month;
        self.local = world.joinable();
        self.gpus.clear();
        let snapshot = world.gpus.as_ref().filter(|_| self.local);
        match snapshot.map(|s| &s.driver) {
            Some(DriverStatus::Up(info)) => {
                self.driver.clone_from(&info.driver_version);
                self.cuda = info.cuda_driver_version;
            }
            Some(DriverStatus::Starting | DriverStatus::Released) => {}
            Some(DriverStatus::Down(_)) | None => {
                self.driver = None;
                self.cuda = None;
            }
        }
        let gpus = snapshot.iter().flat_map(|s| &s.gpus);
        self.gpus.extend(gpus.map(|gpu| BasisGpu {
            key: gpu.key.clone(),
            name: Arc::clone(&gpu.name),
            capability: gpu.compute_capability,
            brand: gpu.brand.clone(),
        }));
    }
}

/// What a container was given, as far as the verdict depends on it. Environment, grant and shared memory of a
/// container never change: whether inspect has told them is enough.
#[derive(Debug, Default, PartialEq)]
pub struct Given {
    pub inspected: bool,
    pub gpus: Vec<GpuKey>,
}

impl Given {
    pub fn holds(&self, detail: Option<&ContainerDetail>, gpus: &[GpuRef]) -> bool {
        self.inspected == detail.is_some()
            && self.gpus.len() == gpus.len()
            && self.gpus.iter().zip(gpus).all(|(a, b)| *a == b.key)
    }
}

/// The facts of a container, its environment over the image's, and the host with the GPUs it was given.
pub fn of_container(
    derive: fn(&Known) -> ImageFacts,
    host: &HostFacts,
    world: &World,
    known: &Known,
    detail: Option<&ContainerDetail>,
    gpus: Option<&ContainerGpus>,
) -> (ImageFacts, HostFacts) {
    let Some(detail) = detail else {
        return (derive(known), host.clone());
    };
    let launched = Known {
        config: known.config.with_env(&detail.env),
        content: known.content.clone(),
    };
    let mut host = host.clone();
    let grants = match &detail.grant {
        None => None,
        // The variable is part of the environment, and judged there.
        Some(GpuGrant::VisibleDevices(_)) => Some(false),
        Some(_) => Some(true),
    };
    host.launch = grants.map(|grants_gpus| LaunchFacts {
        grants_gpus,
        shm_bytes: detail.shm_size_bytes,
    });
    let given = gpus.map_or(&[][..], |g| &g.given);
    if !given.is_empty() {
        let mine: Vec<HostGpu> = given
            .iter()
            .filter_map(|gpu| given_gpu(world, &host, &gpu.key))
            .collect();
        if !mine.is_empty() {
            host.gpus = mine;
        }
    }
    (derive(&launched), host)
}

/// A given GPU, or the GPU that a given MIG instance is part of, under the instance's name.
fn given_gpu(world: &World, host: &HostFacts, key: &GpuKey) -> Option<HostGpu> {
    let mut gpus = world.gpus.iter().flat_map(|s| &s.gpus);
    let gpu = gpus.find(|g| g.key == *key || g.mig_instances.iter().any(|m| m.key == *key))?;
    let whole = host.gpus.iter().find(|g| g.id == gpu.key.uuid.as_str())?;
    Some(HostGpu {
        id: key.uuid.as_str().to_owned(),
        ..whole.clone()
    })
}
