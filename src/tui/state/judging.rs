//! What a verdict is judged from: facts of what is known, the host as it is, what a container was given.

use std::sync::Arc;

use crate::check::{self, judged};
use crate::host::Toolkit;
use crate::inspect::Known;
use crate::join::{ContainerGpus, GpuRef};
use crate::model::{
    ComputeCapability, ContainerDetail, DriverStatus, EngineInfo, EngineStatus, GpuKey, GpuState,
};
use crate::verdict::Version;
use crate::verdict::facts::{HostFacts, ImageFacts};
use crate::watch::World;

/// The facts of what is known.
pub fn facts(known: &Known) -> ImageFacts {
    known.facts()
}

/// The host as it is now.
pub fn host_facts(world: &World, basis: &HostBasis) -> HostFacts {
    let none = Toolkit::default();
    let mut host = check::host::facts(&check::host::Sources {
        engine: basis.engine.as_ref(),
        gpus: world.gpus.as_ref(),
        toolkit: basis.toolkit.as_ref().unwrap_or(&none),
        local: basis.local,
        gives: basis.gives,
        month: &format!("{:04}-{:02}", basis.month.0, basis.month.1),
    });
    // While NVML is let go of, its last word stands.
    host.driver = basis.driver.as_deref().and_then(Version::parse);
    host.cuda = basis
        .cuda
        .map(|(major, minor)| Version::from_pair(major, minor));
    host
}

/// What of a GPU counts.
#[derive(Debug, PartialEq)]
struct BasisGpu {
    key: GpuKey,
    name: Arc<str>,
    capability: Option<ComputeCapability>,
    brand: Option<Arc<str>>,
    lost: bool,
}

/// What the host's facts are made from, to see cheaply whether they still hold.
#[derive(Debug, Default, PartialEq)]
pub struct HostBasis {
    driver: Option<String>,
    cuda: Option<(u32, u32)>,
    gpus: Vec<BasisGpu>,
    month: (i16, i8),
    /// The engine is taken to run here; else nothing is known of the GPUs its containers get.
    local: bool,
    gives: bool,
    engine: Option<EngineInfo>,
    toolkit: Option<Toolkit>,
}

impl HostBasis {
    pub fn holds(&self, world: &World, month: (i16, i8)) -> bool {
        if self.month != month
            || self.local != world.judgeable()
            || self.gives != world.gives_gpus()
            || self.engine.as_ref() != engine(world)
            || self.toolkit != world.toolkit
        {
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
                    && known.lost == matches!(gpu.state, GpuState::Lost(_))
            })
    }

    pub fn renew(&mut self, world: &World, month: (i16, i8)) {
        self.month = month;
        self.local = world.judgeable();
        self.gives = world.gives_gpus();
        self.engine = engine(world).cloned();
        self.toolkit.clone_from(&world.toolkit);
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
            lost: matches!(gpu.state, GpuState::Lost(_)),
        }));
    }
}

fn engine(world: &World) -> Option<&EngineInfo> {
    match &world.engine {
        EngineStatus::Up(info) => Some(info),
        EngineStatus::Down { info, .. } => info.as_ref(),
        EngineStatus::Connecting { .. } => None,
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
    let given: Vec<GpuKey> = gpus
        .iter()
        .flat_map(|g| &g.given)
        .map(|g| g.key.clone())
        .collect();
    let cards = world.gpus.as_ref().map_or(&[][..], |s| &s.gpus);
    (
        derive(&judged::launched(known, detail)),
        judged::host(host, detail, &given, cards),
    )
}
