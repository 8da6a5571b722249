//! Frameworks: what each Python environment and program folder holds, and what it was built for.

use std::collections::BTreeMap;

use super::cuda::so_version;
use super::python::{Site, site_of};
use super::tree::{Tree, join};
use super::{missing, shadowed};
use crate::inspect::interest::{file_name, parent};
use crate::verdict::facts::{Build, Framework, Runtime, is_nvidia_library};
use crate::verdict::{Catalogue, Version};

/// What the detectors of frameworks look at.
pub(super) struct Scene<'a> {
    pub tree: &'a Tree<'a>,
    pub sites: &'a [Site],
    pub runtimes: &'a [Runtime],
    /// Resolved folders of the Python that starts.
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
        libraries: &["torch/lib/"],
        main: &["libtorch_cuda.so", "libtorch_cuda_cu.so"],
        uses_shm: true,
    },
    Known {
        name: "tensorflow",
        dists: &[
            "tensorflow",
            "tensorflow_gpu",
            "tensorflow_cpu",
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

/// Every framework of the image.
pub(super) fn find(scene: &Scene<'_>) -> Vec<Framework> {
    let mut found = Vec::new();
    for site in scene.sites {
        for known in KNOWN {
            found.extend(in_site(scene, site, known));
        }
        found.extend(others(scene, site));
    }
    let programs = programs(scene, &found);
    found.extend(programs);
    // Where the Python that starts has none of them, the program finds its own way to one: which cannot be
    // told from here.
    let reached = found.iter().any(|f| f.on_path == Some(true));
    if !reached {
        for framework in &mut found {
            framework.on_path = None;
        }
    }
    found
}

fn on_path(scene: &Scene<'_>, site: &Site) -> Option<bool> {
    Some(scene.started?.contains(&site.folder))
}

fn in_site(scene: &Scene<'_>, site: &Site, known: &Known) -> Option<Framework> {
    let dist = known
        .dists
        .iter()
        .find_map(|d| site.version(d).map(|version| (*d, version)));
    let text = match known.name {
        "torch" => scene.tree.text(&join(&site.folder, "torch/version.py")),
        _ => None,
    };
    if dist.is_none() && text.is_none() {
        return None;
    }
    let libraries = libraries_in(scene.tree, site, known.libraries);
    let main = main_library(scene.tree, &libraries, known.main);
    let record = dist.map(|(name, version)| format!("/{}/{name}-{version}.dist-info", site.folder));
    let mut framework = Framework {
        name: known.name.to_owned(),
        version: dist.map(|(_, version)| version.to_owned()),
        build: Build::Unknown,
        evidence: record.unwrap_or_default(),
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
    match known.name {
        "torch" => torch(&mut framework, site, text),
        "tensorflow" => tensorflow(&mut framework, scene, site, dist),
        "jax" => jax(&mut framework, scene, site, &libraries),
        "onnxruntime" => onnxruntime(&mut framework, scene, site, dist, &libraries),
        "bitsandbytes" => bitsandbytes(&mut framework, scene, site),
        "numba" => numba(&mut framework, scene, site),
        "triton" => {}
        "vllm" => {
            framework.build = local_cuda(framework.version.as_deref()).map_or_else(
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

/// `NAME = 'value'` and `NAME: Optional[str] = 'value'` of a Python file; `None` for Python's `None` too.
pub(super) fn python_value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start();
        let value = match rest.strip_prefix(':') {
            Some(annotated) => annotated.split_once('=')?.1,
            None => rest.strip_prefix('=')?,
        }
        .trim();
        let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let inner = value.get(1..)?;
        Some(inner.get(..inner.find(quote)?)?.to_owned())
    })
}

/// `+cu124` of a version.
fn local_cuda(version: Option<&str>) -> Option<Version> {
    let (_, local) = version?.split_once('+')?;
    crate::verdict::catalogue::variant_cuda(local.split('.').next()?)
}

fn major_minor(text: &str) -> Option<Version> {
    let version = Version::parse(text)?;
    Some(Version::from_pair(version.major(), version.minor()))
}

fn torch(framework: &mut Framework, site: &Site, text: Option<&str>) {
    let Some(text) = text else {
        return;
    };
    framework.evidence = format!("/{}/torch/version.py", site.folder);
    if let Some(version) = python_value(text, "__version__") {
        framework.version = Some(version);
    }
    let cuda = python_value(text, "cuda");
    framework.build = if let Some(cuda) = &cuda {
        framework.evidence.push_str(&format!(": cuda = '{cuda}'"));
        Build::Cuda(major_minor(cuda))
    } else if let Some(hip) = python_value(text, "hip") {
        framework.evidence.push_str(&format!(": hip = '{hip}'"));
        Build::Rocm(Some(hip))
    } else {
        framework.evidence.push_str(": cuda = None");
        Build::Cpu
    };
    if matches!(framework.build, Build::Cuda(_)) && framework.library.is_none() {
        framework.missing.push("libtorch_cuda.so".to_owned());
    }
}

/// `build_info.build_info['cuda_version']`, written as a dictionary or a list of pairs.
fn build_info(text: &str, key: &str) -> Option<String> {
    let at = text
        .find(&format!("'{key}'"))
        .or_else(|| text.find(&format!("\"{key}\"")))?;
    let rest = text.get(at + key.len() + 2..)?;
    let rest = rest.trim_start_matches([' ', ',', ':', '\n', '\t']);
    let value = rest.split([',', ')', '}', '\n']).next()?.trim();
    Some(value.trim_matches(['\'', '"', 'u']).to_owned()).filter(|v| !v.is_empty())
}

fn tensorflow(
    framework: &mut Framework,
    scene: &Scene<'_>,
    site: &Site,
    dist: Option<(&str, &str)>,
) {
    let path = join(&site.folder, "tensorflow/python/platform/build_info.py");
    if dist.is_some_and(|(name, _)| name == "tensorflow_cpu") {
        framework.build = Build::Cpu;
    }
    let Some(text) = scene.tree.text(&path) else {
        return;
    };
    framework.evidence = format!("/{path}");
    let said = |key: &str| build_info(text, key);
    framework.build = if said("is_rocm_build").as_deref() == Some("True") {
        Build::Rocm(None)
    } else if said("is_cuda_build").as_deref() == Some("True") {
        let cuda = said("cuda_version");
        if let Some(cuda) = &cuda {
            framework
                .evidence
                .push_str(&format!(": cuda_version '{cuda}'"));
        }
        Build::Cuda(cuda.and_then(|v| major_minor(&v)))
    } else {
        framework.evidence.push_str(": is_cuda_build False");
        Build::Cpu
    };
}

fn jax(framework: &mut Framework, scene: &Scene<'_>, site: &Site, libraries: &[&str]) {
    let plugin = [
        "jax_cuda13_plugin",
        "jax_cuda12_plugin",
        "jax_cuda13_pjrt",
        "jax_cuda12_pjrt",
    ]
    .iter()
    .find_map(|name| site.version(name).map(|version| (*name, version)));
    let jaxlib = site.version("jaxlib").unwrap_or("");
    framework.build = if let Some((name, version)) = plugin {
        framework.evidence = format!("/{}/{name}-{version}.dist-info", site.folder);
        let major = if name.contains("cuda13") { 13 } else { 12 };
        match built(scene, libraries, &site.folder) {
            Build::Cuda(Some(version)) if version.major() == major => Build::Cuda(Some(version)),
            _ => Build::Cuda(Some(Version::from_pair(major, 0))),
        }
    } else if let Some(at) = jaxlib.find("+cuda") {
        let digits: String = jaxlib
            .chars()
            .skip(at + 5)
            .take_while(char::is_ascii_digit)
            .collect();
        // `cuda12` and `cuda118`.
        let (major, minor) = digits.split_at_checked(2).unwrap_or((&digits, ""));
        Build::Cuda(Version::parse(&format!(
            "{major}.{}",
            if minor.is_empty() { "0" } else { minor }
        )))
    } else if site.version("jax_rocm60_plugin").is_some() || site.beginning("jax_rocm").is_some() {
        Build::Rocm(None)
    } else if jaxlib.is_empty() {
        // jax without jaxlib does not start at all.
        Build::Unknown
    } else {
        framework.evidence.push_str(" without a CUDA plugin");
        Build::Cpu
    };
}

fn onnxruntime(
    framework: &mut Framework,
    scene: &Scene<'_>,
    site: &Site,
    dist: Option<(&str, &str)>,
    libraries: &[&str],
) {
    let path = join(&site.folder, "onnxruntime/capi/build_and_package_info.py");
    let said = scene
        .tree
        .text(&path)
        .and_then(|t| python_value(t, "cuda_version"));
    let gpu = dist.is_some_and(|(name, _)| name.contains("gpu")) || framework.library.is_some();
    framework.build = match said.filter(|v| !v.is_empty()) {
        Some(cuda) => {
            framework.evidence = format!("/{path}: cuda_version = '{cuda}'");
            Build::Cuda(major_minor(&cuda))
        }
        None if gpu => built(scene, libraries, &site.folder),
        None => Build::Cpu,
    };
}

/// One library for each CUDA; it takes the one that equals torch's, or fails.
fn bitsandbytes(framework: &mut Framework, scene: &Scene<'_>, site: &Site) {
    let mut builds: BTreeMap<Version, String> = BTreeMap::new();
    for path in &framework.libraries {
        let name = file_name(path);
        let digits = name
            .strip_prefix("libbitsandbytes_cuda")
            .and_then(|rest| rest.strip_suffix(".so"));
        if let Some(cuda) =
            digits.and_then(|d| crate::verdict::catalogue::variant_cuda(&format!("cu{d}")))
        {
            builds.insert(cuda, path.clone());
        }
    }
    let torch = scene
        .tree
        .text(&join(&site.folder, "torch/version.py"))
        .and_then(|text| python_value(text, "cuda"))
        .and_then(|cuda| major_minor(&cuda));
    match torch {
        Some(cuda) => {
            framework.library = builds.get(&cuda).cloned();
            if framework.library.is_none() && !builds.is_empty() {
                let name = format!("libbitsandbytes_cuda{}{}.so", cuda.major(), cuda.minor());
                framework.missing.push(name);
            }
            framework.libraries = framework.library.iter().cloned().collect();
            framework.evidence = format!(
                "{}; it takes the build that equals torch's CUDA",
                framework.evidence
            );
            framework.build = Build::Cuda(Some(cuda));
        }
        None if builds.is_empty() => framework.build = Build::Unknown,
        None => {
            framework.build = Build::Cuda(None);
            framework.alternatives = builds.into_keys().collect();
        }
    }
}

/// numba compiles PTX at run time, where it has NVVM to do so with.
fn numba(framework: &mut Framework, scene: &Scene<'_>, site: &Site) {
    let nvvm = scene
        .tree
        .all_libraries()
        .any(|path| file_name(path).starts_with("libnvvm.so") && !path.contains("/pkgs/"));
    framework.jits_ptx = nvvm || site.version("numba_cuda").is_some();
}

/// Libraries with device code whose path in the environment begins so, links left out.
fn libraries_in<'a>(tree: &Tree<'a>, site: &Site, begins: &[&str]) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for begin in begins {
        let start = join(&site.folder, begin);
        let all = tree.content.nodes.range(start.clone()..);
        for (path, _) in all.take_while(|(path, _)| path.starts_with(&start)) {
            let told = tree
                .elf(path)
                .is_some_and(|elf| elf.code.containers() > 0 || elf.hip || elf.problem.is_some());
            let real = tree.find(path).map(|(real, _)| real);
            if let Some(real) = real.filter(|_| told)
                && !found.contains(&real)
            {
                found.push(real);
            }
        }
    }
    found
}

fn main_library<'a>(tree: &Tree<'_>, libraries: &[&'a str], names: &[&str]) -> Option<&'a str> {
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
fn built(scene: &Scene<'_>, libraries: &[&str], place: &str) -> Build {
    let elves = || libraries.iter().filter_map(|path| scene.tree.elf(path));
    if elves().any(|e| e.hip) {
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
        let near = of_major().filter(|r| r.path.trim_start_matches('/').starts_with(place));
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

/// Packages with device code of their own that are none of the known ones: one framework a package.
fn others(scene: &Scene<'_>, site: &Site) -> Vec<Framework> {
    let known = |inner: &str| {
        inner.starts_with("nvidia/")
            || KNOWN
                .iter()
                .any(|k| k.libraries.iter().any(|begin| inner.starts_with(begin)))
    };
    let mut packages: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (path, elf) in &scene.tree.content.elves {
        let own = site_of(path).is_some_and(|folder| scene.tree.resolve(folder) == site.folder);
        let inner = path
            .get(site_of(path).map_or(0, str::len) + 1..)
            .unwrap_or("");
        let nvidias = is_nvidia_library(path);
        if !own || nvidias || known(inner) || (elf.code.containers() == 0 && !elf.hip) {
            continue;
        }
        let package = inner.split(['/', '.']).next().unwrap_or(inner).to_owned();
        packages.entry(package).or_default().push(path);
    }
    packages
        .into_iter()
        .map(|(name, libraries)| {
            let version = site.version(&name.to_ascii_lowercase()).map(str::to_owned);
            unknown(
                scene,
                name,
                version,
                &site.folder,
                libraries,
                on_path(scene, site),
            )
        })
        .collect()
}

fn unknown(
    scene: &Scene<'_>,
    name: String,
    version: Option<String>,
    place: &str,
    libraries: Vec<&str>,
    on_path: Option<bool>,
) -> Framework {
    let main = main_library(scene.tree, &libraries, &[]);
    let mut framework = Framework {
        name,
        version,
        build: built(scene, &libraries, place),
        evidence: main
            .or(libraries.first().copied())
            .map_or_else(String::new, |p| format!("/{p}")),
        place: format!("/{place}"),
        on_path,
        library: main.map(|path| format!("/{path}")),
        libraries: libraries.iter().map(|path| format!("/{path}")).collect(),
        ..Framework::default()
    };
    missing::fill(&mut framework, scene, place);
    framework
}

/// Ollama's folder, of one of its CUDA generations' folders (`cuda_v12`).
fn ollama_home(folder: &str) -> Option<&str> {
    let home = parent(folder);
    (file_name(folder).starts_with("cuda_v") && file_name(home) == "ollama").then_some(home)
}

/// Programs outside Python's folders: Ollama's runners, llama.cpp, whatever else has device code.
fn programs(scene: &Scene<'_>, claimed: &[Framework]) -> Vec<Framework> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let is_claimed = |path: &str| {
        let all = claimed.iter().flat_map(|f| &f.libraries);
        all.map(|l| l.trim_start_matches('/')).any(|l| l == path)
    };
    for (path, elf) in &scene.tree.content.elves {
        let own = site_of(path).is_none()
            && (elf.code.containers() > 0 || elf.hip)
            && !path.contains("/pkgs/")
            && !path.starts_with("usr/local/cuda")
            && !path.starts_with("opt/nvidia/nsight")
            && !is_claimed(path)
            && !is_nvidia_library(path);
        if own {
            folders.entry(parent(path)).or_default().push(path);
        }
    }
    let mut found: Vec<Framework> = Vec::new();
    for (folder, libraries) in folders {
        let build = built(scene, &libraries, folder);
        if let Some(home) = ollama_home(folder) {
            let place = format!("/{home}");
            let known = found.iter().position(|f| f.place == place);
            let index = known.unwrap_or_else(|| {
                found.push(Framework {
                    name: "ollama".to_owned(),
                    build: Build::Cuda(None),
                    evidence: format!("/{folder}"),
                    place,
                    ..Framework::default()
                });
                found.len() - 1
            });
            if let (Some(framework), Build::Cuda(Some(cuda))) = (found.get_mut(index), build) {
                framework.alternatives.push(cuda);
                framework
                    .libraries
                    .extend(libraries.iter().map(|p| format!("/{p}")));
            }
            continue;
        }
        let main = main_library(scene.tree, &libraries, &["libggml-cuda.so"]);
        let file = main.or(libraries.first().copied()).map_or("", file_name);
        let name = match file {
            "libggml-cuda.so" | "llama-server" | "llama-cli" => "llama.cpp",
            file => file,
        };
        found.push(unknown(
            scene,
            name.to_owned(),
            None,
            folder,
            libraries,
            None,
        ));
    }
    found
}
