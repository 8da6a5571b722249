//! How a container was granted GPUs, read from what inspect says. Pure.
//!
//! Ways and their marks were seen on real engines: a device request (count or ids), a CDI device in a
//! request of driver `cdi` or (Podman) in `Devices`, the nvidia runtime with `NVIDIA_VISIBLE_DEVICES`, plain
//! `/dev/nvidiaN` nodes, and privileged containers.

use crate::model::GpuGrant;

use super::json::{self, List};

/// One of `HostConfig.DeviceRequests`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct DeviceRequest {
    #[serde(deserialize_with = "json::text")]
    driver: Option<String>,
    #[serde(deserialize_with = "json::int")]
    count: Option<i64>,
    #[serde(rename = "DeviceIDs", deserialize_with = "json::texts")]
    device_ids: Vec<String>,
    capabilities: Capabilities,
}

/// `[["gpu","utility"]]`: whether one set asks for a GPU.
#[derive(Debug, Default)]
struct Capabilities {
    gpu: bool,
}

impl<'de> serde::Deserialize<'de> for Capabilities {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> serde::de::Visitor<'de> for Any {
            type Value = Capabilities;
            json::scalars_are!(Capabilities::default());
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Capabilities, A::Error> {
                while map
                    .next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?
                    .is_some()
                {}
                Ok(Capabilities::default())
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Capabilities, A::Error> {
                let mut gpu = false;
                while let Some(Words(words)) = seq.next_element()? {
                    gpu |= words.iter().any(|w| w == "gpu" || w == "nvidia");
                }
                Ok(Capabilities { gpu })
            }
        }
        d.deserialize_any(Any)
    }
}

struct Words(Vec<String>);

impl<'de> serde::Deserialize<'de> for Words {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        json::texts(d).map(Words)
    }
}

/// One of `HostConfig.Devices`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Device {
    #[serde(deserialize_with = "json::text")]
    path_on_host: Option<String>,
}

/// What a grant is read from.
pub(super) struct GrantFacts<'a> {
    pub requests: &'a List<DeviceRequest>,
    pub devices: &'a List<Device>,
    pub privileged: bool,
    /// The container's own runtime, else the engine's default one.
    pub runtime: Option<&'a str>,
    /// `NVIDIA_VISIBLE_DEVICES` of image or launch.
    pub visible_devices: Option<&'a str>,
}

/// How GPUs were granted; `None`: not at all. The most specific way is told: a request or a CDI name is what
/// the user typed, also where the container is privileged besides.
pub(super) fn grant(facts: &GrantFacts<'_>) -> Option<GpuGrant> {
    let asked = facts.requests.iter().filter_map(requested).last();
    if asked.is_some() {
        return asked;
    }
    let paths = || {
        facts
            .devices
            .iter()
            .filter_map(|d| d.path_on_host.as_deref())
    };
    let cdi: Vec<String> = paths().filter(|p| is_nvidia_cdi(p)).map(clean).collect();
    if !cdi.is_empty() {
        return Some(GpuGrant::Cdi(cdi));
    }
    if facts.runtime.is_some_and(is_nvidia_runtime)
        && let Some(value) = facts.visible_devices
        && !matches!(value, "" | "void" | "none")
    {
        return Some(GpuGrant::VisibleDevices(clean(value)));
    }
    let nodes: Vec<String> = paths().filter(|p| is_gpu_node(p)).map(clean).collect();
    if !nodes.is_empty() {
        return Some(GpuGrant::DeviceNodes(nodes));
    }
    facts.privileged.then_some(GpuGrant::Privileged)
}

fn requested(request: &DeviceRequest) -> Option<GpuGrant> {
    let ids = || {
        request
            .device_ids
            .iter()
            .map(|id| clean(id))
            .collect::<Vec<_>>()
    };
    match request.driver.as_deref() {
        Some("cdi") => {
            let names: Vec<String> = ids().into_iter().filter(|id| is_nvidia_cdi(id)).collect();
            (!names.is_empty()).then_some(GpuGrant::Cdi(names))
        }
        None | Some("" | "nvidia") if request.capabilities.gpu => match request.count {
            _ if !request.device_ids.is_empty() => Some(GpuGrant::Devices(ids())),
            Some(n) if n < 0 => Some(GpuGrant::All),
            Some(n) if n > 0 => u32::try_from(n).ok().map(GpuGrant::Count),
            _ => None,
        },
        _ => None,
    }
}

/// `nvidia.com/gpu=0`: a qualified CDI name of NVIDIA's vendor.
fn is_nvidia_cdi(name: &str) -> bool {
    name.split_once('=')
        .and_then(|(kind, _)| kind.split_once('/'))
        .is_some_and(|(vendor, _)| vendor == "nvidia.com" || vendor.ends_with(".nvidia.com"))
}

/// `nvidia`, and the names that the toolkit also sets up: `nvidia-cdi`, `nvidia-legacy`,
/// `nvidia-experimental`; Podman tells a path.
fn is_nvidia_runtime(runtime: &str) -> bool {
    let name = runtime.rsplit('/').next().unwrap_or(runtime);
    matches!(
        name,
        "nvidia" | "nvidia-cdi" | "nvidia-legacy" | "nvidia-experimental"
    ) || name.starts_with("nvidia-container-runtime")
}

/// `/dev/nvidia0`: a GPU's own node (`nvidiactl`, `nvidia-uvm` and the like are not).
fn is_gpu_node(path: &str) -> bool {
    path.strip_prefix("/dev/nvidia")
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn clean(text: &str) -> String {
    crate::model::text::clean(text, 4096)
}
