//! How a launch grants GPUs, whichever flag does it, and the forms in which an engine is asked for them.

use super::{GpuAsk, GpuRequest, LaunchSpec, Which};
use crate::model::{EngineInfo, GpuGrant};

/// CDI's kind for NVIDIA GPUs.
const KIND: &str = "nvidia.com/gpu";

/// The grant of a launch as `inspect` will show it; `None`: none. `--free` grants nothing before it is chosen.
#[must_use]
pub fn grant(spec: &LaunchSpec) -> Option<GpuGrant> {
    if let Some(ask) = &spec.gpus {
        return match &ask.which {
            Which::All => Some(GpuGrant::All),
            Which::Count(0) | Which::Free(_) => None,
            Which::Count(count) => Some(GpuGrant::Count(*count)),
            Which::Devices(ids) => Some(GpuGrant::Devices(ids.clone())),
        };
    }
    let devices = || values(spec, "device");
    let cdi: Vec<String> = devices()
        .filter(|name| {
            name.split_once('=')
                .and_then(|(kind, _)| kind.split_once('/'))
                .is_some_and(|(vendor, _)| {
                    vendor == "nvidia.com" || vendor.ends_with(".nvidia.com")
                })
        })
        .map(str::to_owned)
        .collect();
    if !cdi.is_empty() {
        return Some(GpuGrant::Cdi(cdi));
    }
    let runtime = values(spec, "runtime").last();
    if runtime.is_some_and(|name| name.starts_with("nvidia")) {
        let set = spec
            .env
            .iter()
            .rev()
            .find(|var| var.name == "NVIDIA_VISIBLE_DEVICES");
        // Without the variable it is the image's that counts; CUDA images say `all`.
        let value = set.and_then(|var| var.value.clone());
        let value = value.unwrap_or_else(|| "all".to_owned());
        return (!matches!(value.as_str(), "" | "void" | "none"))
            .then_some(GpuGrant::VisibleDevices(value));
    }
    let nodes: Vec<String> = devices()
        .filter(|path| {
            path.strip_prefix("/dev/nvidia")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .map(str::to_owned)
        .collect();
    (!nodes.is_empty()).then_some(GpuGrant::DeviceNodes(nodes))
}

/// Whether a grant names GPUs: then they are that container's. All GPUs, and the rights of a privileged
/// container, name none.
#[must_use]
pub fn is_named(grant: &GpuGrant) -> bool {
    match grant {
        GpuGrant::All | GpuGrant::Privileged => false,
        GpuGrant::Count(_) | GpuGrant::Devices(_) | GpuGrant::DeviceNodes(_) => true,
        GpuGrant::Cdi(names) => !names.iter().any(|name| name.ends_with("=all")),
        GpuGrant::VisibleDevices(value) => !value.split(',').any(|word| word.trim() == "all"),
    }
}

/// A GPU or MIG instance to be asked for, under each of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `GPU-…`, `MIG-…`.
    pub uuid: String,
    /// `3`, or `3:1` for an instance; `None` where NVML does not list it.
    pub index: Option<String>,
}

/// The forms in which this engine may be asked, the most likely first. Which one it serves shows only when a
/// container starts: the hook is not in what it says of itself.
///
/// Sources: `facts/engine.md` (Podman drops device requests; CDI names), moby 25 (CDI).
#[must_use]
pub fn forms(ask: &GpuAsk, named: &[Named], engine: &EngineInfo) -> Vec<GpuRequest> {
    let device = GpuRequest::plain(ask).filter(|_| engine.name != "Podman");
    let cdi = speaks_cdi(engine).then(|| cdi(ask, named, engine));
    let runtime = engine
        .runtimes
        .iter()
        .find(|name| *name == "nvidia" || name.ends_with("/nvidia-container-runtime"));
    let runtime = runtime.and_then(|name| {
        Some(GpuRequest::Runtime {
            name: name.clone(),
            visible: visible(ask)?,
            capabilities: (!ask.capabilities.is_empty()).then(|| ask.capabilities.join(",")),
        })
    });
    device
        .into_iter()
        .chain(cdi.into_iter().flatten())
        .chain(runtime)
        .collect()
}

/// Podman knows CDI alone; Docker from 25 on.
fn speaks_cdi(engine: &EngineInfo) -> bool {
    let major = engine.version.split('.').next();
    engine.name == "Podman"
        || !engine.cdi_devices.is_empty()
        || major
            .and_then(|m| m.parse::<u32>().ok())
            .is_some_and(|m| m >= 25)
}

fn cdi(ask: &GpuAsk, named: &[Named], engine: &EngineInfo) -> Vec<GpuRequest> {
    let name = |device: &str| format!("{KIND}={device}");
    let by = |each: &dyn Fn(&Named) -> Option<String>| -> Option<Vec<String>> {
        named.iter().map(|n| each(n).map(|d| name(&d))).collect()
    };
    match &ask.which {
        Which::All => vec![GpuRequest::Cdi(vec![name("all")])],
        Which::Free(_) => Vec::new(),
        _ if !named.is_empty() => {
            let uuids = by(&|n| Some(n.uuid.clone()));
            let indices = by(&|n| n.index.clone());
            let listed = |names: &Vec<String>| {
                names
                    .iter()
                    .all(|name| engine.cdi_devices.iter().any(|known| known == name))
            };
            let both = [uuids, indices].into_iter().flatten();
            let known: Vec<Vec<String>> = both.clone().filter(listed).collect();
            // An engine that lists none (before 28.2) may still have them.
            let forms = match known.is_empty() {
                true => both.collect(),
                false => known,
            };
            forms.into_iter().map(GpuRequest::Cdi).collect()
        }
        Which::Count(count) => {
            let names = (0..*count).map(|index| name(&index.to_string()));
            vec![GpuRequest::Cdi(names.collect())]
        }
        Which::Devices(ids) => vec![GpuRequest::Cdi(ids.iter().map(|id| name(id)).collect())],
    }
}

fn visible(ask: &GpuAsk) -> Option<String> {
    match &ask.which {
        Which::All => Some("all".to_owned()),
        Which::Count(count) => {
            let indices: Vec<String> = (0..*count).map(|index| index.to_string()).collect();
            Some(indices.join(","))
        }
        Which::Devices(ids) => Some(ids.join(",")),
        Which::Free(_) => None,
    }
}

/// Whether a created container (its `inspect`) has what was asked: Podman drops requests without a word.
#[must_use]
pub fn is_kept(request: &GpuRequest, inspected: &serde_json::Value) -> bool {
    let filled = |name: &str| {
        inspected
            .pointer(&format!("/HostConfig/{name}"))
            .and_then(serde_json::Value::as_array)
            .is_some_and(|list| !list.is_empty())
    };
    match request {
        GpuRequest::Device { .. } => filled("DeviceRequests"),
        // Podman puts the device nodes of the specification in.
        GpuRequest::Cdi(_) => filled("DeviceRequests") || filled("Devices"),
        GpuRequest::Runtime { name, .. } => inspected
            .pointer("/HostConfig/Runtime")
            .and_then(serde_json::Value::as_str)
            .is_some_and(|runtime| runtime == name),
    }
}

/// Whether the engine's refusal means that it does not serve this form of request: another may do.
#[must_use]
pub fn is_not_served(error: &str) -> bool {
    error.contains("could not select device driver")
        || error.contains("unresolvable CDI devices")
        || error.contains("unknown or invalid runtime name")
        || error.contains("Unknown runtime specified")
        || error.contains("CDI device injection failed")
}

fn values<'a>(spec: &'a LaunchSpec, name: &'a str) -> impl Iterator<Item = &'a str> {
    spec.other
        .iter()
        .filter(move |flag| flag.name == name)
        .map(|flag| flag.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{EnvVar, OtherFlag};
    use serde_json::json;

    fn flag(name: &str, value: &str) -> OtherFlag {
        OtherFlag {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn every_way_to_grant_is_seen() {
        let env = |value: Option<&str>| EnvVar {
            name: "NVIDIA_VISIBLE_DEVICES".into(),
            value: value.map(str::to_owned),
        };
        let spec = |other: Vec<OtherFlag>, env: Vec<EnvVar>| LaunchSpec {
            other,
            env,
            ..LaunchSpec::default()
        };
        let asked = |which| LaunchSpec {
            gpus: Some(GpuAsk::of(which)),
            ..LaunchSpec::default()
        };
        for (spec, told, named) in [
            (LaunchSpec::default(), None, false),
            (asked(Which::All), Some("all"), false),
            (asked(Which::Count(2)), Some("count=2"), true),
            (asked(Which::Count(0)), None, false),
            (asked(Which::Free(2)), None, false),
            (
                asked(Which::Devices(vec!["0".into(), "GPU-a".into()])),
                Some("device=0,GPU-a"),
                true,
            ),
            (
                spec(vec![flag("device", "nvidia.com/gpu=all")], vec![]),
                Some("nvidia.com/gpu=all"),
                false,
            ),
            (
                spec(vec![flag("device", "nvidia.com/gpu=1")], vec![]),
                Some("nvidia.com/gpu=1"),
                true,
            ),
            (
                spec(
                    vec![
                        flag("device", "/dev/nvidia0"),
                        flag("device", "/dev/nvidiactl"),
                    ],
                    vec![],
                ),
                Some("device=/dev/nvidia0"),
                true,
            ),
            (
                spec(vec![flag("runtime", "nvidia")], vec![]),
                Some("NVIDIA_VISIBLE_DEVICES=all"),
                false,
            ),
            (
                spec(vec![flag("runtime", "nvidia")], vec![env(Some("0,1"))]),
                Some("NVIDIA_VISIBLE_DEVICES=0,1"),
                true,
            ),
            (
                spec(vec![flag("runtime", "nvidia")], vec![env(Some("void"))]),
                None,
                false,
            ),
            (
                spec(vec![flag("device", "/dev/dri")], vec![env(Some("0"))]),
                None,
                false,
            ),
        ] {
            let found = grant(&spec);
            assert_eq!(
                found.as_ref().map(ToString::to_string).as_deref(),
                told,
                "{spec:?}"
            );
            assert_eq!(found.as_ref().is_some_and(is_named), named, "{spec:?}");
        }
    }

    #[test]
    fn the_forms_follow_the_engine() {
        let engine = |name: &str, version: &str, runtimes: &[&str], cdi: &[&str]| EngineInfo {
            name: name.into(),
            version: version.into(),
            runtimes: runtimes.iter().map(|r| (*r).to_owned()).collect(),
            cdi_devices: cdi.iter().map(|d| (*d).to_owned()).collect(),
            ..EngineInfo::default()
        };
        let pinned = GpuAsk::of(Which::Devices(vec!["GPU-a".into()]));
        let named = [Named {
            uuid: "GPU-a".into(),
            index: Some("1".into()),
        }];
        let told = |ask: &GpuAsk, named: &[Named], engine: &EngineInfo| -> Vec<String> {
            forms(ask, named, engine)
                .iter()
                .map(|form| match form {
                    GpuRequest::Device { ids, count, .. } => {
                        format!("device {} {count}", ids.join(","))
                    }
                    GpuRequest::Cdi(names) => format!("cdi {}", names.join(",")),
                    GpuRequest::Runtime { name, visible, .. } => format!("{name} {visible}"),
                })
                .collect()
        };
        let old = engine("Docker", "20.10.24", &["runc", "nvidia"], &[]);
        assert_eq!(
            told(&pinned, &named, &old),
            ["device GPU-a 0", "nvidia GPU-a"]
        );
        let new = engine("Docker", "28.2.2", &["runc"], &[]);
        assert_eq!(
            told(&pinned, &named, &new),
            [
                "device GPU-a 0",
                "cdi nvidia.com/gpu=GPU-a",
                "cdi nvidia.com/gpu=1"
            ]
        );
        let listed = engine(
            "Docker",
            "28.2.2",
            &["runc"],
            &["nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all"],
        );
        assert_eq!(
            told(&pinned, &named, &listed),
            ["device GPU-a 0", "cdi nvidia.com/gpu=1"]
        );
        let podman = engine("Podman", "5.4.2", &["crun"], &[]);
        let all = GpuAsk::of(Which::All);
        assert_eq!(told(&all, &[], &podman), ["cdi nvidia.com/gpu=all"]);
        let count = GpuAsk::of(Which::Count(2));
        assert_eq!(
            told(&count, &[], &new),
            ["device  2", "cdi nvidia.com/gpu=0,nvidia.com/gpu=1"]
        );
        assert!(told(&GpuAsk::of(Which::Free(1)), &[], &new).is_empty());
    }

    #[test]
    fn what_was_dropped_is_seen() {
        let request = |which| GpuRequest::plain(&GpuAsk::of(which)).unwrap();
        let all = request(Which::All);
        let kept = json!({"HostConfig": {"DeviceRequests": [{"Count": -1}]}});
        let dropped = json!({"HostConfig": {"DeviceRequests": null, "Devices": []}});
        assert!(is_kept(&all, &kept));
        assert!(!is_kept(&all, &dropped));
        let cdi = GpuRequest::Cdi(vec!["nvidia.com/gpu=all".into()]);
        assert!(is_kept(&cdi, &kept));
        assert!(is_kept(
            &cdi,
            &json!({"HostConfig": {"Devices": [{"PathOnHost": "/dev/nvidia0"}]}})
        ));
        assert!(!is_kept(&cdi, &dropped));
        let runtime = GpuRequest::Runtime {
            name: "nvidia".into(),
            visible: "all".into(),
            capabilities: None,
        };
        assert!(is_kept(
            &runtime,
            &json!({"HostConfig": {"Runtime": "nvidia"}})
        ));
        assert!(!is_kept(&runtime, &dropped));
        assert!(is_not_served(
            r#"could not select device driver "" with capabilities: [[gpu]]"#
        ));
        assert!(!is_not_served("nvidia-container-cli: requirement error"));
    }
}
