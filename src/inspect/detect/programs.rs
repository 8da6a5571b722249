//! Device code that belongs to none of the known frameworks: other Python packages, Ollama, llama.cpp,
//! whatever programs there are.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::frameworks::{Scene, beginnings, built, device_library, main_library, on_path};
use super::missing;
use super::python::{Site, site_holding};
use crate::inspect::interest::{file_name, parent};
use crate::model::text::clean;
use crate::verdict::facts::{Build, Framework};

/// Packages with device code of their own that are none of the known ones (`own`): one framework a package.
pub(super) fn others(scene: &Scene<'_>, site: &Site, own: &[Framework]) -> Vec<Framework> {
    let claimed = claimed(own);
    // Builds that a framework does not take are its own all the same.
    let begins = beginnings(own);
    let mut packages: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (path, _) in scene.tree.below(&site.folder) {
        let inner = path.get(site.folder.len() + 1..).unwrap_or("");
        if inner.starts_with("nvidia/") || begins.iter().any(|begin| inner.starts_with(begin)) {
            continue;
        }
        if let Some(real) = device_library(scene.tree, path)
            && !claimed.contains(real)
            && tells(scene, real)
        {
            let package = inner.split(['/', '.']).next().unwrap_or(inner);
            packages.entry(clean(package, 64)).or_default().insert(real);
        }
    }
    packages
        .into_iter()
        .map(|(name, libraries)| {
            let libraries = libraries.into_iter().collect();
            let version = site.version(&name.to_ascii_lowercase()).map(str::to_owned);
            let on_path = on_path(scene, site);
            unknown(scene, name, version, &site.folder, libraries, on_path)
        })
        .collect()
}

/// A library whose code could not be read at all belongs to nobody.
fn tells(scene: &Scene<'_>, path: &str) -> bool {
    let elf = scene.tree.elf(path);
    elf.is_some_and(|elf| elf.code.containers() > 0 || elf.hip)
}

fn claimed(frameworks: &[Framework]) -> HashSet<&str> {
    let all = frameworks.iter().flat_map(|f| &f.libraries);
    all.map(|path| path.trim_start_matches('/')).collect()
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

/// Ollama's folder, of one of its CUDA generations' folders (`cuda_v12`, `cuda_jetpack6`); older ones have
/// `runners` between them.
fn ollama_home(folder: &str) -> Option<&str> {
    let mut home = parent(folder);
    if file_name(home) == "runners" {
        home = parent(home);
    }
    (file_name(folder).starts_with("cuda_") && file_name(home) == "ollama").then_some(home)
}

/// Programs outside Python's folders: Ollama's runners, llama.cpp, whatever else has device code.
pub(super) fn programs(scene: &Scene<'_>, found: &[Framework]) -> Vec<Framework> {
    let claimed = claimed(found);
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in scene.tree.content.elves.keys() {
        let own = !path.starts_with("usr/local/cuda")
            && !path.starts_with("opt/nvidia/nsight")
            && site_holding(scene.sites, path).is_none()
            && !scene.tree.is_stored(path)
            && !claimed.contains(path.as_str())
            && device_library(scene.tree, path) == Some(path)
            && tells(scene, path);
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
            if let Some(framework) = found.get_mut(index) {
                if let Build::Cuda(Some(cuda)) = build {
                    framework.alternatives.push(cuda);
                }
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
            clean(name, 64),
            None,
            folder,
            libraries,
            None,
        ));
    }
    found
}
