//! CUDA itself: runtimes, toolkit, compat package, stubs, driver libraries, cuDNN, NCCL, the C library.

use serde::Deserialize;

use super::python::{Site, site_holding};
use super::tree::{Tree, join};
use crate::inspect::content::Node;
use crate::inspect::interest::{file_name, parent};
use crate::model::text::clean;
use crate::verdict::facts::{Compat, CompatNote, DriverLibrary, ImageFacts, Libc, Runtime, Stub};
use crate::verdict::{Catalogue, Version};

/// Runtimes, compat folders and driver libraries that are told: real images have a handful.
const MAX_FOUND: usize = 64;

/// The version behind `NAME.so.`: `libcudart.so.12.4.127` -> `12.4.127`.
pub(super) fn so_version(name: &str) -> Option<&str> {
    let at = name.find(".so.")?;
    name.get(at + 4..).filter(|v| !v.is_empty())
}

/// Every `libcudart`, as exactly as its file name or its package says.
///
/// CUDA 11.0 to 11.8 all have the soname `libcudart.so.11.0`; from 12 on it is the major alone.
pub(super) fn runtimes(tree: &Tree<'_>, sites: &[Site]) -> Vec<Runtime> {
    let mut found: Vec<Runtime> = Vec::new();
    for path in files(tree, "libcudart").into_iter().take(MAX_FOUND) {
        let name = file_name(path);
        let Some(soname) = so_version(name) else {
            continue;
        };
        let of_name = || {
            let evidence = format!("/{path}: its name tells the major alone");
            Version::parse(soname).map(|version| (version, evidence))
        };
        if let Some((version, evidence)) = exact(tree, sites, path, soname).or_else(of_name) {
            found.push(Runtime {
                version,
                path: format!("/{path}"),
                evidence,
            });
        }
    }
    found
}

/// Libraries whose names begin so, links left out, by path. What only a package store has does not count.
fn files<'a>(tree: &Tree<'a>, begin: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> = tree
        .all_libraries()
        .filter(|path| file_name(path).starts_with(begin) && !tree.is_stored(path))
        .filter(|path| matches!(tree.content.nodes.get(*path), Some(Node::File(size)) if *size > 0))
        .collect();
    found.sort_unstable();
    found
}

fn exact(tree: &Tree<'_>, sites: &[Site], path: &str, soname: &str) -> Option<(Version, String)> {
    // `12.4.127` tells all; `12` and `11.0` are sonames.
    if soname.matches('.').count() >= 2 {
        return Some((Version::parse(soname)?, format!("/{path}: its name")));
    }
    let major: u32 = soname.split('.').next()?.parse().ok()?;
    let of_major = |text: &str| Version::parse(text).filter(|v| v.major() == major);
    if let Some(site) = site_holding(sites, path) {
        for name in [
            format!("nvidia_cuda_runtime_cu{major}"),
            "nvidia_cuda_runtime".to_owned(),
        ] {
            if let Some(version) = site.version(&name).and_then(of_major) {
                return Some((version, site.record(&name).unwrap_or_default()));
            }
        }
        // Old wheels carry it themselves (`torch/lib/libcudart-1a2b3c4d.so.11.0`): the package says which.
        let text = tree.text(&join(&site.folder, "torch/version.py"))?;
        let version = of_major(&super::builds::python_value(text, "cuda")?)?;
        return Some((version, format!("/{}/torch/version.py", site.folder)));
    }
    let packages = &tree.content.packages;
    packages.iter().find_map(|(name, version)| {
        let version = of_major(version.split('-').next()?)?;
        name.starts_with("cuda-cudart-")
            .then(|| (version, format!("package {name}")))
    })
}

/// `nvcc`'s toolkit, the newest of several.
pub(super) fn toolkit(tree: &Tree<'_>, sites: &[Site]) -> Option<Version> {
    let nvcc = tree
        .content
        .nodes
        .keys()
        .filter(|path| path.ends_with("/bin/nvcc") && !path.contains("/pkgs/"));
    let found = nvcc.take(MAX_FOUND).filter_map(|path| {
        let (real, _) = tree.find(path)?;
        let home = parent(parent(real));
        // conda's is in the environment's own `bin`.
        let lib = join(home, "lib/");
        let conda = sites.iter().find(|site| site.folder.starts_with(&lib));
        if let Some(version) = conda.and_then(|site| site.version("cuda_nvcc")) {
            return Version::parse(version);
        }
        let told = tree
            .text(&join(home, "version.json"))
            .and_then(version_json)
            .or_else(|| tree.text(&join(home, "version.txt")).and_then(version_txt));
        // `/usr/local/cuda-12.4`, and `…/cuda/12.4` of the HPC SDK.
        let named = file_name(home);
        told.or_else(|| Version::parse(named.strip_prefix("cuda-").unwrap_or(named)))
    });
    let packaged = tree.content.packages.iter().filter_map(|(name, version)| {
        name.starts_with("cuda-nvcc-")
            .then(|| Version::parse(version.split('-').next()?))
            .flatten()
    });
    found.chain(packaged).max()
}

/// `{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}, …}`.
fn version_json(text: &str) -> Option<Version> {
    #[derive(Deserialize)]
    struct File {
        cuda: Part,
    }
    #[derive(Deserialize)]
    struct Part {
        version: String,
    }
    Version::parse(&serde_json::from_str::<File>(text).ok()?.cuda.version)
}

/// `CUDA Version 10.2.300`.
fn version_txt(text: &str) -> Option<Version> {
    Version::parse(text.trim().strip_prefix("CUDA Version ")?)
}

/// `/usr/local/cuda-12.4/compat`; NVIDIA's framework images keep the libraries in `compat/lib.real`, which
/// their entrypoint links as `lib` where it finds it of use.
fn is_compat(folder: &str) -> bool {
    let name = file_name(folder);
    name == "compat"
        || (matches!(name, "lib" | "lib.real") && file_name(parent(folder)) == "compat")
}

const TOOLKITS_COMPAT: &str = "/usr/local/cuda/compat";

/// The forward-compatibility package: the one at `/usr/local/cuda/compat`, which is where the container
/// toolkit looks, else the newest one that something on the library path puts into effect.
pub(super) fn compat(tree: &Tree<'_>) -> Option<Compat> {
    let mut folders: Vec<String> = tree
        .all_libraries()
        .filter(|path| file_name(path).starts_with("libcuda.so."))
        .filter(|path| is_compat(parent(path)))
        .map(|path| tree.resolve(parent(path)))
        .collect();
    folders.sort();
    folders.dedup();
    folders.truncate(MAX_FOUND);
    let default = tree.resolve(TOOLKITS_COMPAT);
    let found = folders.iter().filter_map(|folder| compat_in(tree, folder));
    found.max_by_key(|c| {
        let usual = tree.resolve(&c.path) == default || c.path == format!("/{default}/lib.real");
        (c.forced_by.is_some(), usual, c.driver.clone())
    })
}

fn compat_in(tree: &Tree<'_>, folder: &str) -> Option<Compat> {
    let mut libraries: Vec<(Version, &str)> = tree
        .below(folder)
        .filter(|(path, _)| parent(path) == folder)
        .filter_map(|(path, node)| {
            let version = file_name(path).strip_prefix("libcuda.so.")?;
            let full = version.contains('.') && matches!(node, Node::File(size) if *size > 0);
            full.then(|| Version::parse(version))
                .flatten()
                .map(|v| (v, path))
        })
        .collect();
    libraries.sort();
    let candidates = u32::try_from(libraries.len()).unwrap_or(u32::MAX);
    let (driver, path) = libraries.pop()?;
    let note = tree.elf(path).and_then(|elf| note(elf.note.as_deref()?));
    let home = folder.strip_suffix("/lib.real").unwrap_or(folder);
    let named = file_name(parent(home)).strip_prefix("cuda-");
    let cuda = note
        .as_ref()
        .and_then(|n| n.cuda.clone())
        .or_else(|| Version::parse(named?))
        .or_else(|| Catalogue::get().cuda_of_driver(&driver));
    Some(Compat {
        path: format!("/{folder}"),
        driver,
        cuda,
        note,
        forced_by: tree.before_the_driver(folder).map(|s| s.by.clone()),
        candidates,
    })
}

/// `{"format": 1, "CUDA version": "12.9", "driver": [535, …], "device": [1, …]}`.
fn note(text: &str) -> Option<CompatNote> {
    #[derive(Deserialize)]
    struct Json {
        #[serde(rename = "CUDA version")]
        cuda: Option<String>,
        #[serde(default)]
        driver: Vec<u32>,
        #[serde(default)]
        device: Vec<u32>,
    }
    let json: Json = serde_json::from_str(text).ok()?;
    Some(CompatNote {
        cuda: json.cuda.and_then(|v| Version::parse(&v)),
        drivers: json.driver,
        devices: json.device,
    })
}

/// Folders of stub libraries.
pub(super) fn stubs(tree: &Tree<'_>) -> Vec<Stub> {
    let mut folders: Vec<String> = tree
        .all_libraries()
        .filter(|path| file_name(path).starts_with("libcuda.so"))
        .map(|path| tree.resolve(parent(path)))
        .filter(|folder| file_name(folder) == "stubs")
        .collect();
    folders.sort();
    folders.dedup();
    folders
        .into_iter()
        .map(|folder| Stub {
            has_soname: tree.find(&join(&folder, "libcuda.so.1")).is_some(),
            searched_by: tree.before_the_driver(&folder).map(|s| s.by.clone()),
            path: format!("/{folder}"),
        })
        .collect()
}

/// Driver libraries that are part of the image: one for each version, its `libcuda` before others. Of a
/// live container the empty files are where the runtime mounts the host's: they say nothing.
pub(super) fn driver_libraries(tree: &Tree<'_>, live: bool) -> Vec<DriverLibrary> {
    const NAMES: &[&str] = &[
        "libcuda.so.",
        "libnvidia-ml.so.",
        "libnvidia-ptxjitcompiler.so.",
        "libnvidia-nvvm.so.",
    ];
    let mut found: Vec<(usize, DriverLibrary)> = Vec::new();
    for path in tree.all_libraries() {
        let name = file_name(path);
        let folder = parent(path);
        let apart = is_compat(folder) || file_name(folder) == "stubs" || tree.is_stored(path);
        let Some(rank) = NAMES.iter().position(|n| name.starts_with(n)) else {
            continue;
        };
        let Some(Node::File(size)) = tree.content.nodes.get(path).filter(|_| !apart) else {
            continue;
        };
        // `libcuda.so.550.54.15`; a bare `libcuda.so.1` file is none that a driver package puts there.
        let version = so_version(name)
            .and_then(Version::parse)
            .filter(|v| v.major() >= 100);
        let empty = *size == 0;
        if (empty && live) || (version.is_none() && !empty) {
            continue;
        }
        let library = DriverLibrary {
            path: format!("/{path}"),
            version,
            empty,
        };
        let room = found.len() < MAX_FOUND;
        match found
            .iter_mut()
            .find(|(_, l)| l.version == library.version && l.empty == empty)
        {
            Some(known) if (rank, &library.path) < (known.0, &known.1.path) => {
                *known = (rank, library)
            }
            None if room => found.push((rank, library)),
            _ => {}
        }
    }
    found.sort_by(|a, b| a.1.path.cmp(&b.1.path));
    found.into_iter().map(|(_, library)| library).collect()
}

/// cuDNN's or NCCL's version: the Python package, the distribution's, the file's name, the environment.
pub(super) fn library_version(
    tree: &Tree<'_>,
    sites: &[Site],
    dist: &str,
    package: &str,
    file: &str,
    env: &[Option<&str>],
) -> Option<String> {
    let from_site = sites
        .iter()
        .find_map(|site| site.beginning(dist).map(|(_, version)| version.to_owned()));
    let packaged = || {
        tree.content.packages.iter().find_map(|(name, version)| {
            let own =
                name.starts_with(package) && !name.contains("-dev") && !name.contains("headers");
            let end = version.find(['-', '+']).unwrap_or(version.len());
            own.then(|| version.get(..end).unwrap_or(version).to_owned())
        })
    };
    let named = || {
        files(tree, file)
            .into_iter()
            .filter_map(|path| so_version(file_name(path)).filter(|v| v.contains('.')))
            .filter_map(Version::parse)
            .max()
            .map(|version| version.to_string())
    };
    let declared = || {
        let text = env.iter().flatten().find(|v| !v.is_empty())?;
        Some(clean(text.split('-').next().unwrap_or(text), 64))
    };
    from_site.or_else(packaged).or_else(named).or_else(declared)
}

/// The C library.
pub(super) fn libc(tree: &Tree<'_>) -> Option<Libc> {
    let content = tree.content;
    let glibc = content.glibc.as_deref().or_else(|| {
        let packaged = content.packages.iter().find(|(name, _)| name == "libc6");
        packaged.and_then(|(_, version)| version.split('-').next())
    });
    if let Some(version) = glibc {
        return Some(Libc::Glibc(Version::parse(version)));
    }
    if !tree.named("libc.so.6").is_empty() {
        return Some(Libc::Glibc(None));
    }
    let musl = tree.all_libraries().any(|path| {
        let name = file_name(path);
        name.starts_with("ld-musl-") || name.starts_with("libc.musl-")
    });
    musl.then_some(Libc::Musl)
}

/// Fills in what is CUDA's own.
pub(super) fn fill(facts: &mut ImageFacts, tree: &Tree<'_>, sites: &[Site], live: bool) {
    facts.runtimes = runtimes(tree, sites);
    facts.toolkit = toolkit(tree, sites);
    facts.compat = compat(tree);
    facts.stubs = stubs(tree);
    facts.driver_libraries = driver_libraries(tree, live);
    facts.libc = libc(tree);
    let env = |name: &str| facts.env(name).map(str::to_owned);
    let (cudnn, cudnn_old) = (env("NV_CUDNN_VERSION"), env("CUDNN_VERSION"));
    let nccl = env("NCCL_VERSION");
    facts.cudnn = library_version(
        tree,
        sites,
        "nvidia_cudnn_cu",
        "libcudnn",
        "libcudnn",
        &[cudnn.as_deref(), cudnn_old.as_deref()],
    );
    facts.nccl = library_version(
        tree,
        sites,
        "nvidia_nccl_cu",
        "libnccl2",
        "libnccl",
        &[nccl.as_deref()],
    );
}
