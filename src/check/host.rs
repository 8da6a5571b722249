//! The host that is here, as the verdict needs it: driver and GPUs from NVML, how GPUs get into containers
//! from the engine and the container toolkit. Pure: everything is handed in.

use crate::host::Toolkit;
use crate::model::{DriverStatus, EngineInfo, Gpu, GpuSnapshot, GpuState};
use crate::verdict::Version;
use crate::verdict::facts::{HostFacts, HostGpu, Injection};

/// What the facts are made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The engine; `None` where none is asked (an image in a file).
    pub engine: Option<&'a EngineInfo>,
    /// NVML's newest picture; `None` before the first.
    pub gpus: Option<&'a GpuSnapshot>,
    /// The container toolkit of this machine.
    pub toolkit: &'a Toolkit,
    /// Whether the engine's containers run on this machine.
    pub local: bool,
    /// A container that was granted GPUs runs on this engine: it can give them, wherever its hook lies.
    pub gives: bool,
    /// Today's month, `2026-11`.
    pub month: &'a str,
}

/// The host's facts. Where the engine is not proven to be on this machine, this machine's GPUs and driver
/// say nothing of it: they stay unknown.
pub fn facts(from: &Sources<'_>) -> HostFacts {
    let mut host = HostFacts {
        month: from.month.to_owned(),
        platform: from
            .engine
            .and_then(|e| e.platform.clone())
            .or_else(|| from.engine.is_none().then(this_platform)),
        ..HostFacts::default()
    };
    if !from.local {
        return host;
    }
    if let Some(snapshot) = from.gpus {
        if let DriverStatus::Up(driver) = &snapshot.driver {
            host.driver = driver.driver_version.as_deref().and_then(Version::parse);
            host.cuda = driver
                .cuda_driver_version
                .map(|(major, minor)| Version::from_pair(major, minor));
        }
        host.gpus = snapshot
            .gpus
            .iter()
            .filter(|g| is_there(g))
            .map(gpu)
            .collect();
    }
    host.injection = injection(from.engine, from.toolkit);
    host.toolkit = from.toolkit.version.as_deref().and_then(leading_version);
    host.require_disabled = from.toolkit.disable_require;
    host.compat_disabled = from.toolkit.compat_mode.as_deref() == Some("disabled");
    host.no_gpu_runtime = from
        .engine
        .filter(|_| !from.gives)
        .and_then(|e| no_gpu_runtime(e, from.toolkit));
    host
}

/// Whether the engine's containers are taken to run on this machine before a container of it was found here:
/// a local socket whose engine gives this machine's name. A socket that is forwarded gives another.
pub fn looks_local(engine: &EngineInfo, host_name: &str) -> bool {
    engine.simulated
        || (!engine.remote_by_nature
            && engine
                .host_name
                .as_deref()
                .is_some_and(|name| !name.is_empty() && name == host_name))
}

fn this_platform() -> String {
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{cpu}")
}

/// A lost GPU runs nothing; one that only does not answer at the moment is still there.
fn is_there(gpu: &Gpu) -> bool {
    !matches!(gpu.state, GpuState::Lost(_))
}

fn gpu(gpu: &Gpu) -> HostGpu {
    HostGpu {
        id: gpu.key.uuid.to_string(),
        name: gpu.name.to_string(),
        capability: gpu.compute_capability,
        brand: gpu.brand.as_ref().map(ToString::to_string),
    }
}

/// `1.17.8~rc.1` -> 1.17.8.
fn leading_version(text: &str) -> Option<Version> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    Version::parse(text.get(..end)?.trim_end_matches('.'))
}

/// How `--gpus` hands GPUs over here.
///
/// Sources: moby PR 50228 (from 29.2 on CDI first, where `nvidia-cdi-hook` and a specification are there);
/// nvidia-container-toolkit 1.18 (`auto` of the nvidia runtime is jit-cdi); Podman knows CDI alone.
fn injection(engine: Option<&EngineInfo>, toolkit: &Toolkit) -> Injection {
    let Some(engine) = engine else {
        return Injection::Unknown;
    };
    let cdi = engine
        .cdi_devices
        .iter()
        .any(|name| name.starts_with("nvidia.com/"));
    if engine.name == "Podman" {
        return Injection::Cdi;
    }
    if engine.default_runtime.as_deref() == Some("nvidia") {
        return match toolkit.mode.as_deref() {
            Some("legacy") => Injection::Legacy,
            Some("cdi") => Injection::Cdi,
            Some("csv") => Injection::Csv,
            Some("jit-cdi") => Injection::JitCdi,
            _ => match toolkit.version.as_deref().and_then(leading_version) {
                Some(version) if version < Version::from_pair(1, 18) => Injection::Legacy,
                Some(_) => Injection::JitCdi,
                None => Injection::Unknown,
            },
        };
    }
    let cdi_first = leading_version(&engine.version)
        .is_some_and(|version| version >= Version::from_parts(&[29, 2]));
    match (cdi && cdi_first && toolkit.cdi_hook, toolkit.hook) {
        (true, _) => Injection::Cdi,
        (false, true) => Injection::Legacy,
        _ if cdi => Injection::Cdi,
        _ => Injection::Unknown,
    }
}

/// Proof that this engine cannot give GPUs at all: it has told of its runtimes, and neither there nor among
/// its devices nor on this machine is anything of NVIDIA's.
fn no_gpu_runtime(engine: &EngineInfo, toolkit: &Toolkit) -> Option<String> {
    let told = engine.platform.is_some() && !engine.runtimes.is_empty();
    let nothing = !engine.runtimes.iter().any(|r| r.contains("nvidia"))
        && engine.cdi_devices.is_empty()
        && !toolkit.hook
        && !toolkit.cdi_hook
        && toolkit.version.is_none()
        && engine.name != "Podman";
    (told && nothing && !engine.simulated).then(|| {
        format!(
            "its runtimes are {}; it knows no CDI device, and the NVIDIA Container Toolkit is not installed",
            engine.runtimes.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(version: &str, default: &str, cdi: bool) -> EngineInfo {
        EngineInfo {
            name: "Docker".into(),
            version: version.into(),
            platform: Some("linux/amd64".into()),
            runtimes: vec!["nvidia".into(), "runc".into()],
            default_runtime: Some(default.into()),
            cdi_devices: if cdi {
                vec!["nvidia.com/gpu=all".into()]
            } else {
                Vec::new()
            },
            host_name: Some("box".into()),
            ..EngineInfo::default()
        }
    }

    #[test]
    fn how_gpus_get_in_follows_engine_and_toolkit() {
        let toolkit = |version: &str, mode: &str, hook, cdi_hook| Toolkit {
            version: Some(version.into()),
            mode: Some(mode.into()),
            hook,
            cdi_hook,
            ..Toolkit::default()
        };
        let usual = toolkit("1.17.8", "auto", true, true);
        use Injection::{Cdi, Csv, JitCdi, Legacy, Unknown};
        for (engine, toolkit, expected) in [
            (engine("28.2.2", "runc", false), usual.clone(), Legacy),
            (engine("28.5.0", "runc", true), usual.clone(), Legacy),
            (engine("29.2.0", "runc", true), usual.clone(), Cdi),
            (engine("29.2.0", "runc", false), usual.clone(), Legacy),
            (
                engine("29.2.0-rc.1", "runc", true),
                toolkit("1.18.0", "auto", true, false),
                Legacy,
            ),
            (engine("28.2.2", "nvidia", false), usual.clone(), Legacy),
            (
                engine("28.2.2", "nvidia", false),
                toolkit("1.18.0", "auto", true, true),
                JitCdi,
            ),
            (
                engine("28.2.2", "nvidia", false),
                toolkit("1.18.0", "legacy", true, true),
                Legacy,
            ),
            (
                engine("28.2.2", "nvidia", false),
                toolkit("1.18.0~rc.1", "csv", true, true),
                Csv,
            ),
            (engine("28.2.2", "runc", false), Toolkit::default(), Unknown),
            (
                EngineInfo {
                    name: "Podman".into(),
                    ..engine("5.4.2", "crun", false)
                },
                Toolkit::default(),
                Cdi,
            ),
        ] {
            assert_eq!(
                injection(Some(&engine), &toolkit),
                expected,
                "{engine:?} {toolkit:?}"
            );
        }
        assert_eq!(injection(None, &usual), Unknown);
    }

    #[test]
    fn no_gpu_runtime_needs_proof() {
        let bare = EngineInfo {
            runtimes: vec!["io.containerd.runc.v2".into(), "runc".into()],
            ..engine("28.2.2", "runc", false)
        };
        assert!(no_gpu_runtime(&bare, &Toolkit::default()).is_some());
        let hook = Toolkit {
            hook: true,
            ..Toolkit::default()
        };
        assert!(no_gpu_runtime(&bare, &hook).is_none());
        assert!(no_gpu_runtime(&engine("28.2.2", "runc", false), &Toolkit::default()).is_none());
        // A running container that was granted GPUs proves the contrary, wherever the hook lies.
        for (gives, proven) in [(false, true), (true, false)] {
            let host = facts(&Sources {
                engine: Some(&bare),
                gpus: None,
                toolkit: &Toolkit::default(),
                local: true,
                gives,
                month: "2026-11",
            });
            assert_eq!(host.no_gpu_runtime.is_some(), proven, "{gives}");
        }
        let unasked = EngineInfo {
            runtimes: Vec::new(),
            ..bare
        };
        assert!(no_gpu_runtime(&unasked, &Toolkit::default()).is_none());
    }

    #[test]
    fn an_engine_elsewhere_says_nothing_of_this_machines_gpus() {
        let info = engine("28.2.2", "runc", false);
        assert!(looks_local(&info, "box"));
        assert!(!looks_local(&info, "other"));
        assert!(!looks_local(
            &EngineInfo {
                remote_by_nature: true,
                ..info.clone()
            },
            "box"
        ));
        let toolkit = Toolkit {
            hook: true,
            ..Toolkit::default()
        };
        let host = facts(&Sources {
            engine: Some(&info),
            gpus: None,
            toolkit: &toolkit,
            local: false,
            gives: false,
            month: "2026-11",
        });
        assert_eq!(host.injection, Injection::Unknown);
        assert_eq!((host.driver, host.gpus.len()), (None, 0));
        assert_eq!(host.platform.as_deref(), Some("linux/amd64"));
    }
}
