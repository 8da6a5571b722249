//! Which base image and wheel index: what the project requires, held against the host's driver and GPUs.

use crate::model::ComputeCapability;
use crate::model::text::clean;
use crate::verdict::facts::{HostFacts, HostGpu};
use crate::verdict::need::{Carry, carry};
use crate::verdict::remedy::{TorchBuild, driver_upgrade, sm, torch_build};
use crate::verdict::{Catalogue, Version};

use super::needs::{PIN_TORCH, Requirement, TORCH, WITH_TORCH};
use super::{Project, Source};

/// The driver that is written for where none is known: the floor of CUDA 12, which every driver since early 2023
/// carries. Blackwell and newer need more, and a note says so.
const CAREFUL_DRIVER: &str = "525.60.13";

/// Pythons to choose from, the one that most wheels are there for first.
const PYTHONS: [u32; 7] = [12, 11, 13, 10, 14, 9, 8];

/// What is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// For `FROM`.
    pub image: String,
    /// Why this one: sentences for the comment above it.
    pub why: Vec<String>,
    /// How the packages get in.
    pub install: Install,
}

/// How the packages get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Install {
    /// From PyPI alone.
    Plain {
        /// Its packages bring CUDA along.
        gpu: bool,
    },
    /// PyTorch first, from its own index.
    Torch {
        /// The packages, as pip is to be given them.
        packages: Vec<String>,
        /// The index.
        index: String,
    },
    /// Python and CUDA of the system: the image has no pip.
    Cuda {
        /// The image asks for a newer driver than it needs.
        lenient: bool,
        /// A bound for a package that the requirements leave open.
        bound: Option<String>,
    },
    /// By conda, for a driver of this CUDA.
    Conda {
        /// The environment's file.
        file: String,
        /// The CUDA.
        cuda: Version,
    },
}

impl Base {
    /// Whether it uses a GPU.
    pub fn is_gpu(&self) -> bool {
        !matches!(self.install, Install::Plain { gpu: false })
    }
}

/// The host that is written for, and in words.
struct For {
    host: HostFacts,
    gpus: Vec<ComputeCapability>,
    words: String,
    known: bool,
}

impl For {
    fn new(host: &HostFacts) -> Self {
        let known = host.driver.is_some() && host.cuda.is_some();
        let hypothetical = host.hypothetical;
        let host = if known { host.clone() } else { careful(host) };
        let gpus = host.gpus.iter().filter_map(|gpu| gpu.capability).collect();
        let words = match (&host.driver, &host.cuda, known) {
            (Some(driver), Some(cuda), true) => {
                format!(
                    "Driver {driver} (CUDA {}.{}){}",
                    cuda.major(),
                    cuda.minor(),
                    names(&host.gpus)
                )
            }
            (driver, ..) => format!(
                "{}: written for any from {} on{}",
                if hypothetical {
                    "No driver is named"
                } else {
                    "No driver was found here"
                },
                driver.as_ref().map_or_else(String::new, Version::to_string),
                names(&host.gpus)
            ),
        };
        Self {
            host,
            gpus,
            words,
            known,
        }
    }

    fn cuda(&self) -> Version {
        self.host
            .cuda
            .clone()
            .unwrap_or_else(|| Version::from_pair(12, 0))
    }

    fn carries(&self, need: &Version) -> Carry {
        carry(need, &self.cuda(), self.host.driver.as_ref())
    }
}

/// A host without a driver gets the careful one, or the first that knows the GPUs that are named.
fn careful(host: &HostFacts) -> HostFacts {
    let first = host.gpus.iter().filter_map(|gpu| {
        let arch = Catalogue::get().arch(gpu.capability?)?;
        arch.first_branch
    });
    let floor = Version::parse(CAREFUL_DRIVER);
    let driver = match (first.max(), &floor) {
        (Some(first), Some(floor)) if first > floor.major() => Some(Version::from_parts(&[first])),
        _ => floor,
    };
    HostFacts {
        cuda: driver
            .as_ref()
            .and_then(|d| Catalogue::get().cuda_of_driver(d)),
        driver,
        ..host.clone()
    }
}

/// `, NVIDIA H100 80GB HBM3 (sm_90) and RTX 4090 (sm_89)`.
fn names(gpus: &[HostGpu]) -> String {
    let mut names: Vec<String> = Vec::new();
    for gpu in gpus {
        let capability = gpu.capability.map(sm);
        let name = clean(&gpu.name, 60);
        let name = match capability {
            Some(sm) if sm != name => format!("{name} ({sm})"),
            _ => name,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(4);
    if names.is_empty() {
        return String::new();
    }
    format!(", {}", names.join(" and "))
}

/// Chooses.
pub(super) fn choose(project: &Project, host: &HostFacts, notes: &mut Vec<String>) -> Base {
    let host = For::new(host);
    let has = |names: &[&str]| {
        project
            .requirements
            .iter()
            .find(|r| names.contains(&r.name.as_str()))
    };
    let base = if let Source::Conda(file) = &project.source {
        conda(file, &host)
    } else if let Some(one) = has(&PIN_TORCH) {
        brings_own(project, &host, &one.name)
    } else if has(&TORCH).is_some() || has(&WITH_TORCH).is_some() {
        torch(project, &host, notes)
    } else if let Some(one) = has(&["tensorflow", "tensorflow-gpu"]) {
        tensorflow(project, &host, one, notes)
    } else if let Some(one) = has(&["jax"]) {
        jax(project, &host, one, notes)
    } else if let Some((one, major)) = needs_system_cuda(project, &host) {
        system(&host, one, major, notes)
    } else {
        return Base {
            image: python_image(project, &|_| true),
            why: vec![
                "No framework that uses a GPU is required, so it is Python alone.".to_owned(),
            ],
            install: Install::Plain { gpu: false },
        };
    };
    if !host.known {
        let driver = host
            .host
            .driver
            .as_ref()
            .map_or_else(String::new, Version::to_string);
        let who = match host.host.hypothetical {
            true => "no driver is named",
            false => "no NVIDIA driver was found on this machine",
        };
        notes.push(format!(
            "{who}: written for drivers from {driver} on; name the host that is meant, as `--driver 570.86.15 --gpu \"RTX 5090\"`"
        ));
    }
    base
}

/// The image of the Python that project and packages agree on.
fn python_image(project: &Project, fits: &dyn Fn(u32) -> bool) -> String {
    let allowed = |minor: &u32| project.python_allowed.iter().all(|c| c.fits(3, *minor));
    let minor = project.python.unwrap_or_else(|| {
        let both = PYTHONS.iter().find(|minor| allowed(minor) && fits(**minor));
        *both
            .or_else(|| PYTHONS.iter().find(|m| allowed(m)))
            .unwrap_or(&12)
    });
    format!("python:3.{minor}-slim")
}

/// Whether wheels of PyTorch `2.minor` are there for Python `3.python` (its release notes: 3.8 to 2.4, 3.9 to
/// 2.8, 3.12 from 2.2, 3.13 from 2.6, 3.14 from 2.10).
fn torch_has_python(torch: &Version, python: u32) -> bool {
    let torch = torch.pair();
    match python {
        ..=7 => torch < (2, 0),
        8 => torch <= (2, 4),
        9 => torch <= (2, 8),
        10 => true,
        11 => torch >= (2, 0),
        12 => torch >= (2, 2),
        13 => torch >= (2, 6),
        _ => torch >= (2, 10),
    }
}

fn torch(project: &Project, host: &For, notes: &mut Vec<String>) -> Base {
    let asked: Vec<&Requirement> = project
        .requirements
        .iter()
        .filter(|r| TORCH.contains(&r.name.as_str()))
        .collect();
    let own = asked.iter().find(|r| r.name == "torch");
    let local = own
        .and_then(|r| r.local.as_deref())
        .or(project.torch_index.as_deref());
    let python_fits = |torch: &Version| match project.python {
        Some(python) => torch_has_python(torch, python),
        None => PYTHONS.iter().any(|python| {
            torch_has_python(torch, *python)
                && project.python_allowed.iter().all(|c| c.fits(3, *python))
        }),
    };
    let asked_for = |torch: &Version, variant: &str| {
        own.is_none_or(|r| r.fits(torch.major(), torch.minor()))
            && local.is_none_or(|local| local == variant)
    };
    let wanted = |torch: &Version, variant: &str| asked_for(torch, variant) && python_fits(torch);
    let found = torch_build(&host.host, &host.gpus, &wanted);
    let build = found.clone().unwrap_or_else(|| fallback(host, own, notes));
    let mut packages: Vec<String> = asked
        .iter()
        .map(|r| match r.name.as_str() {
            // An open bound lets pip take a newer one, whose code may not be for these GPUs.
            "torch" if !r.is_pinned() => pinned(&build),
            _ => r.text.split('+').next().unwrap_or_default().to_owned(),
        })
        .collect();
    if own.is_none() {
        packages.insert(0, pinned(&build));
    }
    let mut why = vec![host.words.clone() + "."];
    if found.is_some() {
        why.push(carried(&build, host));
    } else if let Some(note) = notes.last() {
        why.push(format!("It will not run here: {note}."));
    }
    why.push(
        "For another host change the index below: `midwatch init` names it with --driver and --gpu. RTX 50 and B200 need cu128 or newer, Volta and older cu126.".to_owned(),
    );
    Base {
        image: python_image(project, &|python| torch_has_python(&build.torch, python)),
        why,
        install: Install::Torch {
            packages,
            index: build.index(),
        },
    }
}

fn pinned(build: &TorchBuild) -> String {
    format!("torch=={}.*", build.torch)
}

/// `PyTorch 2.14 of cu126: CUDA 12.6 on this driver's 12.4, which minor-version compatibility carries.`
fn carried(build: &TorchBuild, host: &For) -> String {
    let how = match build.carry {
        Carry::Native => "which this driver has itself".to_owned(),
        _ => {
            let floor = Catalogue::get().minor_floor(build.cuda.major());
            let floor = floor.map_or_else(String::new, |f| format!(" from {f} on"));
            format!("which drivers{floor} carry (minor-version compatibility)")
        }
    };
    let code = if host.gpus.is_empty() {
        String::new()
    } else {
        ", with code for these GPUs".to_owned()
    };
    format!(
        "The newest PyTorch for it is {} of {}: CUDA {}, {how}{code}.",
        build.torch, build.variant, build.cuda
    )
}

/// Nothing fits: the nearest, and why it will not run.
fn fallback(host: &For, own: Option<&&Requirement>, notes: &mut Vec<String>) -> TorchBuild {
    let any = torch_build(&host.host, &host.gpus, &|_, _| true);
    let careful = For::new(&HostFacts::default());
    let fits = |torch: &Version, _: &str| own.is_none_or(|r| r.fits(torch.major(), torch.minor()));
    let other = torch_build(&careful.host, &[], &fits)
        .or_else(|| torch_build(&careful.host, &[], &|_, _| true));
    match (&any, own) {
        (Some(build), Some(own)) => notes.push(format!(
            "{} has no build for this driver, GPU and Python: PyTorch {} of {} has one",
            own.text, build.torch, build.variant
        )),
        (Some(build), None) => notes.push(format!(
            "the Python or index asked for has no PyTorch for this host: PyTorch {} of {} has one",
            build.torch, build.variant
        )),
        (None, _) => {
            let up = driver_upgrade(&Version::from_pair(12, 6), &host.gpus, &host.host.month);
            let up = up.first().map_or_else(
                || "no driver mends that".to_owned(),
                |up| up.trim_end_matches('.').to_owned(),
            );
            notes.push(format!("no PyTorch of today runs on this host: {up}"));
        }
    }
    other.or(any).unwrap_or_else(|| TorchBuild {
        torch: Version::from_pair(2, 10),
        variant: "cu126".to_owned(),
        cuda: Version::from_pair(12, 6),
        carry: Carry::MinorVersion,
    })
}

/// vLLM and others pin a PyTorch of PyPI.
fn brings_own(project: &Project, host: &For, name: &str) -> Base {
    Base {
        image: python_image(project, &|_| true),
        why: vec![
            host.words.clone() + ".",
            format!(
                "{name} pins a PyTorch with CUDA of its own, which pip brings: no index is named here. Its CUDA must be one that this driver carries: `midwatch check IMAGE` tells after the build."
            ),
        ],
        install: Install::Plain { gpu: true },
    }
}

fn tensorflow(project: &Project, host: &For, one: &Requirement, notes: &mut Vec<String>) -> Base {
    if !one.extras.iter().any(|extra| extra == "and-cuda") {
        notes.push(
            "tensorflow alone runs on the CPU: write tensorflow[and-cuda] in the requirements"
                .to_owned(),
        );
    }
    pip_cuda(project, host, "TensorFlow", 12, notes)
}

fn jax(project: &Project, host: &For, one: &Requirement, notes: &mut Vec<String>) -> Base {
    let newer = host.carries(&Version::from_pair(13, 0)).carries()
        && host
            .gpus
            .iter()
            .all(|gpu| serves(*gpu, &Version::from_pair(13, 0)));
    let major = if newer { 13 } else { 12 };
    let asked = one
        .extras
        .iter()
        .find_map(|extra| extra.strip_prefix("cuda"));
    if asked.is_none() {
        notes.push(format!(
            "jax alone runs on the CPU: write jax[cuda{major}] in the requirements"
        ));
    }
    let asked = asked.and_then(|text| text.get(..2)?.parse().ok());
    pip_cuda(project, host, "JAX", asked.unwrap_or(major), notes)
}

/// A framework whose wheels bring CUDA `major` along.
fn pip_cuda(
    project: &Project,
    host: &For,
    name: &str,
    major: u32,
    notes: &mut Vec<String>,
) -> Base {
    let need = Version::from_pair(major, 0);
    let floor = Catalogue::get().minor_floor(major);
    let floor = floor.map_or_else(String::new, |f| format!(" from {f} on"));
    if !host.carries(&need).carries() {
        notes.push(format!(
            "{name} brings CUDA {major}, and this driver does not carry that: it needs one{floor}"
        ));
    }
    Base {
        image: python_image(project, &|_| true),
        why: vec![
            host.words.clone() + ".",
            format!(
                "{name} brings CUDA {major} along by pip, for drivers{floor}: no CUDA image is needed."
            ),
        ],
        install: Install::Plain { gpu: true },
    }
}

/// Whether a toolkit compiles for a GPU.
fn serves(gpu: ComputeCapability, cuda: &Version) -> bool {
    Catalogue::get().arch(gpu).is_none_or(|arch| {
        arch.first_toolkit <= *cuda && arch.last_toolkit.as_ref().is_none_or(|last| cuda <= last)
    })
}

/// Packages without CUDA of their own, and the major that each is built for: ONNX Runtime to 1.18 is of CUDA 11,
/// to 1.25 of 12, from 1.27 on of 13; CuPy says it in its name; CTranslate2 is of 12.
fn needs_system_cuda<'a>(project: &'a Project, host: &For) -> Option<(&'a Requirement, u32)> {
    let named = |name: &str| {
        let digits = name.strip_prefix("cupy-cuda")?.strip_suffix('x')?;
        digits.parse::<u32>().ok()
    };
    project.requirements.iter().find_map(|r| {
        let major = match r.name.as_str() {
            "onnxruntime-gpu" => {
                let newest = Version::from_pair(13, 0);
                let new = r.fits(1, 31) || r.fits(1, 27);
                let middle = (19..=25).any(|minor| r.fits(1, minor));
                let carried = host.carries(&newest).carries()
                    && host.gpus.iter().all(|gpu| serves(*gpu, &newest));
                match (new && (carried || !middle), middle) {
                    (true, _) => 13,
                    (false, true) => 12,
                    (false, false) => 11,
                }
            }
            "ctranslate2" | "faster-whisper" => 12,
            name => named(name)?,
        };
        Some((r, major))
    })
}

fn system(host: &For, one: &Requirement, major: u32, notes: &mut Vec<String>) -> Base {
    // cuDNN 9 is in the images from 12.4 on (before, they are named by cuDNN 8).
    let least = Version::from_pair(12, 4);
    let images = || {
        let all = Catalogue::get().toolkits.iter();
        all.filter(|t| t.cuda.major() == major && (major != 12 || t.cuda >= least))
            .filter(|t| host.gpus.iter().all(|gpu| serves(*gpu, &t.cuda)))
            .filter_map(|t| Some((&t.cuda, t.image.as_deref()?)))
    };
    let native = images().rfind(|(cuda, _)| host.carries(cuda) == Carry::Native);
    let by_minor = || images().find(|(cuda, _)| host.carries(cuda).carries());
    let chosen = native.or_else(by_minor);
    let lenient = native.is_none();
    let (cuda, tag) = match chosen.or_else(|| images().next()) {
        Some((cuda, tag)) => (cuda.clone(), tag.to_owned()),
        None => (least, "12.4.1-runtime-ubuntu22.04".to_owned()),
    };
    if chosen.is_none() {
        let up = driver_upgrade(&cuda, &host.gpus, &host.host.month);
        let up = up.first().map_or("no driver mends that", |up| up.as_str());
        notes.push(format!(
            "{} needs CUDA {major}, which this host does not run: {up}",
            one.name
        ));
    }
    let cudnn = match (cuda.major(), cuda.minor()) {
        (11, _) => "cudnn8",
        _ => "cudnn",
    };
    let tag = tag.replace("-runtime-", &format!("-{cudnn}-runtime-"));
    let how = if lenient {
        "carried by minor-version compatibility"
    } else {
        "which this driver has itself"
    };
    let open = one.name == "onnxruntime-gpu" && major == 12 && one.fits(1, 31);
    Base {
        image: format!("nvidia/cuda:{tag}"),
        why: vec![
            host.words.clone() + ".",
            format!(
                "{} has no CUDA of its own and is built for CUDA {major} with cuDNN: this image has {cuda}, {how}.",
                one.name
            ),
            "For another host take the nvidia/cuda tag of its driver's CUDA or older, of the same major."
                .to_owned(),
        ],
        install: Install::Cuda {
            lenient,
            bound: open.then(|| "onnxruntime-gpu>=1.19,<1.26".to_owned()),
        },
    }
}

fn conda(file: &str, host: &For) -> Base {
    Base {
        image: "condaforge/miniforge3".to_owned(),
        why: vec![
            host.words.clone() + ".",
            "conda chooses its CUDA packages by the driver that it sees, and a build sees none: CONDA_OVERRIDE_CUDA tells it this host's. Put there what `nvidia-smi` prints as CUDA version on another.".to_owned(),
        ],
        install: Install::Conda {
            file: file.to_owned(),
            cuda: host.cuda(),
        },
    }
}
