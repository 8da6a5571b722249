//! A container judged with what it was given: its GPUs, its environment over the image's.

use crate::inspect::Known;
use crate::model::{ContainerDetail, Gpu, GpuGrant, GpuKey};
use crate::verdict::facts::{HostFacts, HostGpu, LaunchFacts};

/// What is known of a container's image (or of its own file system), with the environment it runs with.
#[must_use]
pub fn launched(known: &Known, detail: &ContainerDetail) -> Known {
    Known {
        config: known.config.with_env(&detail.env),
        ..known.clone()
    }
}

/// The host as a container has it: the GPUs it was given alone, and what its launch adds. One that was
/// granted none is judged as its image would be on the whole host. A host that is not here has the GPUs that
/// were named, whatever the container was given on this one.
#[must_use]
pub fn host(
    host: &HostFacts,
    detail: &ContainerDetail,
    given: &[GpuKey],
    gpus: &[Gpu],
) -> HostFacts {
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
    let own: Vec<HostGpu> = given
        .iter()
        .filter_map(|key| given_gpu(&host, gpus, key))
        .collect();
    if !own.is_empty() && !host.hypothetical {
        host.gpus = own;
    }
    host
}

/// A given GPU, or the GPU that a given MIG instance is part of, under the instance's name.
fn given_gpu(host: &HostFacts, gpus: &[Gpu], key: &GpuKey) -> Option<HostGpu> {
    let gpu = gpus
        .iter()
        .find(|g| g.key == *key || g.mig_instances.iter().any(|m| m.key == *key))?;
    let whole = host.gpus.iter().find(|g| g.id == gpu.key.uuid.as_str())?;
    Some(HostGpu {
        id: key.uuid.as_str().to_owned(),
        ..whole.clone()
    })
}
