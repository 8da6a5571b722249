//! Frameworks: what each Python environment and program folder holds, and what it was built for.

use std::collections::{BTreeSet, HashMap};

use super::builds;
use super::cuda::so_version;
use super::programs;
use super::python::Site;
use super::tree::{Tree, join};
use super::{missing, shadowed};
use crate::inspect::interest::{file_name, parent};
use crate::verdict::facts::{Build, Framework, Runtime, is_nvidia_library};
use crate::verdict::{Catalogue, Version};

/// Packages and programs with device code that are told: real images have a dozen.
const MAX_FRAMEWORKS: usize = 256;

/// What the detectors of frameworks look at.
pub(super) struct Scene<'a> {
    pub tree: &'a Tree<'a>,
    pub sites: &'a [Site],
    pub runtimes: &'a [Runtime],
    /// Resolved folders of the Python that starts, first ones first.
    pub started: Option<&'a [String]>,
}

/// A framework of Python packages.
struct Known {
    name: &'static str,
    /// Its distributions, the main one first.
    dists: &'static [&'static str],
    /// Folders and files of its libraries inside the environment, by how they begin.
    libraries: &'static [&'static str],
    /// Its main library, by file name.
    main: &'static [&'static str],
    uses_shm: bool,
}

const KNOWN: &[Known] = &[
    Known {
        name: "torch",
        dists: &["torch", "pytorch"],
        libraries: &["torch/"],
        main: &["libtorch_cuda.so", "libtorch_cuda_cu.so"],
        uses_shm: true,
    },
    Known {
        name: "tensorflow",
        dists: &[
            "tensorflow",
            "tensorflow_gpu",
            "tensorflow_cpu",
            "tensorflow_rocm",
            "tf_nightly",
            "tensorflow_intel",
        ],
        libraries: &["tensorflow/"],
        main: &["libtensorflow_cc.so.2", "_pywrap_tensorflow_internal.so"],
        uses_shm: false,
    },
    Known {
        name: "jax",
        dists: &["jaxlib", "jax"],
        libraries: &[
            "jax_plugins/",
            "jax_cuda12_plugin/",
            "jax_cuda13_plugin/",
            "jaxlib/",
        ],
        main: &["xla_cuda_plugin.so"],
        uses_shm: false,
    },
    Known {
        name: "cupy",
        dists: &["cupy_cuda13x", "cupy_cuda12x", "cupy_cuda11x", "cupy"],
        libraries: &["cupy/"],
        main: &[],
        uses_shm: false,
    },
    Known {
        name: "onnxruntime",
        dists: &["onnxruntime_gpu", "ort_nightly_gpu", "onnxruntime"],
        libraries: &["onnxruntime/"],
        main: &["libonnxruntime_providers_cuda.so"],
        uses_shm: false,
    },
    Known {
        name: "bitsandbytes",
        dists: &["bitsandbytes"],
        libraries: &["bitsandbytes/"],
        main: &[],
        uses_shm: false,
    },
    Known {
        name: "vllm",
        dists: &["vllm"],
        libraries: &["vllm/"],
        main: &["_C.abi3.so"],
        uses_shm: true,
    },
    Known {
        name: "flash-attn",
        dists: &["flash_attn"],
        libraries: &["flash_attn_2_cuda", "flash_attn/"],
        main: &[],
        uses_shm: false,
    },
    Known {
        name: "xgboost",
        dists: &["xgboost"],
        libraries: &["xgboost/"],
        main: &["libxgboost.so"],
        uses_shm: false,
    },
    Known {
        name: "ctranslate2",
        dists: &["ctranslate2"],
        libraries: &["ctranslate2"],
        main: &[],
        uses_shm: false,
    },
    Known {
        name: "triton",
        dists: &["triton", "pytorch_triton"],
        libraries: &[],
        main: &[],
        uses_shm: false,
    },
    Known {
        name: "numba",
        dists: &["numba"],
        libraries: &[],
        main: &[],
        uses_shm: false,
    },
];

/// How the libraries of these frameworks begin inside an environment.
pub(super) fn beginnings(frameworks: &[Framework]) -> Vec<&'static str> {
    let known = |k: &&Known| frameworks.iter().any(|f| f.name == k.name);
    let found = KNOWN.iter().filter(known);
    found.flat_map(|k| k.libraries).copied().collect()
}

/// Every framework of the image, and whether that is all.
pub(super) fn find(scene: &Scene<'_>) -> (Vec<Framework>, bool) {
    let mut found = Vec::new();
    for site in scene.sites {
        let mut own = Vec::new();
        for known in KNOWN {
            own.extend(in_site(scene, site, known));
        }
        let others = programs::others(scene, site, &own);
        found.extend(own);
        found.extend(others);
        if found.len() > MAX_FRAMEWORKS {
            break;
        }
    }
    if found.len() <= MAX_FRAMEWORKS {
        let programs = programs::programs(scene, &found);
        found.extend(programs);
    }
    let whole = found.len() <= MAX_FRAMEWORKS;
    found.truncate(MAX_FRAMEWORKS);
    reach(scene, &mut found);
    (found, whole)
}

/// Of a framework that is in several folders of the Python that starts, the first folder's is the one that
/// is imported. Where that Python has none of the frameworks, the program finds its own way to one: which
/// cannot be told from here.
fn reach(scene: &Scene<'_>, found: &mut [Framework]) {
    let rank = |framework: &Framework| {
        let place = framework.place.trim_start_matches('/');
        scene.started?.iter().position(|folder| folder == place)
    };
    let mut first: HashMap<String, usize> = HashMap::new();
    for framework in found.iter() {
        if let Some(rank) = rank(framework) {
            let best = first.entry(framework.name.clone()).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    for framework in found.iter_mut().filter(|f| f.on_path == Some(true)) {
        let hidden = rank(framework) != first.get(&framework.name).copied();
        framework.on_path = Some(!hidden);
    }
    if !found.iter().any(|f| f.on_path == Some(true)) {
        for framework in found {
            framework.on_path = None;
        }
    }
}

pub(super) fn on_path(scene: &Scene<'_>, site: &Site) -> Option<bool> {
    Some(scene.started?.contains(&site.folder))
}

fn in_site(scene: &Scene<'_>, site: &Site, known: &Known) -> Option<Framework> {
    let dist = known
        .dists
        .iter()
        .find_map(|d| site.version(d).map(|version| (*d, version)));
    let text = |path: &str| scene.tree.text(&join(&site.folder, path));
    let said = match known.name {
        "torch" => text("torch/version.py"),
        "tensorflow" => text("tensorflow/python/platform/build_info.py"),
        _ => None,
    };
    let mut libraries = libraries_in(scene.tree, site, known.libraries);
    if dist.is_none() && said.is_none() && libraries.is_empty() {
        return None;
    }
    if libraries.is_empty() && known.name == "torch" {
        libraries = beside(scene.tree, site, known.main);
    }
    let main = main_library(scene.tree, &libraries, known.main);
    let record = dist.and_then(|(name, _)| site.record(name));
    let first = main.or(libraries.first().copied());
    let mut framework = Framework {
        name: known.name.to_owned(),
        version: dist.map(|(_, version)| version.to_owned()),
        build: Build::Unknown,
        evidence: record
            .or(first.map(|path| format!("/{path}")))
            .unwrap_or_default(),
        place: format!("/{}", site.folder),
        on_path: on_path(scene, site),
        library: main.map(|path| format!("/{path}")),
        libraries: libraries.iter().map(|path| format!("/{path}")).collect(),
        missing: Vec::new(),
        shadowed: Vec::new(),
        jits_ptx: false,
        uses_shm: known.uses_shm,
        alternatives: Vec::new(),
    };
    let dist = dist.map(|(name, _)| name);
    match known.name {
        "torch" => builds::torch(&mut framework, site, said),
        "tensorflow" => builds::tensorflow(&mut framework, scene, site, dist, &libraries),
        "jax" => builds::jax(&mut framework, scene, site, &libraries),
        "cupy" => builds::cupy(&mut framework, scene, site, dist, &libraries),
        "onnxruntime" => builds::onnxruntime(&mut framework, scene, site, dist, &libraries),
        "bitsandbytes" => builds::bitsandbytes(&mut framework, scene, site),
        "numba" => builds::numba(&mut framework, scene, site),
        "triton" => {}
        "vllm" => {
            framework.build = builds::local_cuda(framework.version.as_deref()).map_or_else(
                || built(scene, &libraries, &site.folder),
                |v| Build::Cuda(Some(v)),
            );
        }
        _ => framework.build = built(scene, &libraries, &site.folder),
    }
    missing::fill(&mut framework, scene, &site.folder);
    shadowed::fill(&mut framework, scene, site);
    Some(framework)
}

/// Libraries with device code whose path in the environment begins so, at the ends of their links. NVIDIA's
/// own, which old wheels carry along, are not the framework's.
fn libraries_in<'a>(tree: &Tree<'a>, site: &Site, begins: &[&str]) -> Vec<&'a str> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for begin in begins {
        let start = join(&site.folder, begin);
        let all = tree.content.nodes.range(start.clone()..);
        for (path, _) in all.take_while(|(path, _)| path.starts_with(&start)) {
            found.extend(device_library(tree, path));
        }
    }
    found.into_iter().collect()
}

/// Where this path ends, if that is a library with device code which is not NVIDIA's own.
pub(super) fn device_library<'a>(tree: &Tree<'a>, path: &str) -> Option<&'a str> {
    if is_nvidia_library(path) {
        return None;
    }
    let (real, _) = tree.find(path)?;
    let elf = tree.content.elves.get(real)?;
    let told = elf.code.containers() > 0 || elf.hip || elf.problem.is_some();
    (told && !is_nvidia_library(real)).then_some(real)
}

/// conda's packages may have their libraries in the environment's own `lib`.
fn beside<'a>(tree: &Tree<'a>, site: &Site, names: &[&str]) -> Vec<&'a str> {
    let folder = parent(parent(&site.folder));
    let paths = names.iter().map(|name| join(folder, name));
    paths
        .filter_map(|path| device_library(tree, &path))
        .collect()
}

pub(super) fn main_library<'a>(
    tree: &Tree<'_>,
    libraries: &[&'a str],
    names: &[&str],
) -> Option<&'a str> {
    let named = names
        .iter()
        .find_map(|name| libraries.iter().find(|path| file_name(path) == *name));
    named
        .or_else(|| {
            libraries
                .iter()
                .filter(|path| tree.elf(path).is_some_and(|e| e.code.containers() > 0))
                .max_by_key(|path| tree.size(path))
        })
        .copied()
}

/// What some libraries were built for, from what they need and from their device code alone.
pub(super) fn built(scene: &Scene<'_>, libraries: &[&str], place: &str) -> Build {
    let elves = || libraries.iter().filter_map(|path| scene.tree.elf(path));
    if elves().any(|e| e.hip) && elves().all(|e| e.code.containers() == 0) {
        return Build::Rocm(None);
    }
    let needed = elves().flat_map(|e| &e.needed).find_map(|name| {
        so_version(name.strip_prefix("libcudart")?)?
            .split('.')
            .next()?
            .parse::<u32>()
            .ok()
    });
    if let Some(major) = needed {
        let of_major = || scene.runtimes.iter().filter(|r| r.version.major() == major);
        let near = of_major().filter(|r| {
            r.path
                .trim_start_matches('/')
                .starts_with(&format!("{place}/"))
        });
        let version = near
            .map(|r| r.version.clone())
            .max()
            .or_else(|| of_major().map(|r| r.version.clone()).max())
            .unwrap_or_else(|| Version::from_pair(major, 0));
        return Build::Cuda(Some(Version::from_pair(version.major(), version.minor())));
    }
    if elves().all(|e| e.code.containers() == 0) {
        return if libraries.is_empty() {
            Build::Cpu
        } else {
            Build::Unknown
        };
    }
    // Static: PTX says at least which CUDA compiled it.
    let ptx = elves()
        .flat_map(|e| {
            let shapes = e.code.shapes.iter().flat_map(|(shape, _)| &shape.ptx);
            shapes.chain(&e.code.relocatable_ptx)
        })
        .map(|ptx| ptx.isa)
        .max();
    let cuda = ptx.and_then(|(major, minor)| {
        Catalogue::get()
            .cuda_for_ptx(&Version::from_pair(major, minor))
            .cloned()
    });
    Build::Cuda(cuda)
}
