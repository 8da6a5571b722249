//! Python environments: which folders hold packages, which packages are there, and which `python` the
//! image's PATH gets.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Tree, join};
use crate::inspect::config::Config;
use crate::inspect::content::Node;
use crate::inspect::interest::{file_name, is_conda_record, is_python, is_record, is_site, parent};
use crate::model::text::clean;

/// Environments that are looked at: real images have a dozen at most.
const MAX_SITES: usize = 256;
/// Records of conda that are looked at.
const MAX_CONDA: usize = 65_536;

/// The packages of one folder.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// `usr/local/lib/python3.10/site-packages`.
    pub folder: String,
    /// Distributions by normalized name (lower case, `_`).
    packages: BTreeMap<String, Dist>,
}

/// An installed distribution.
#[derive(Debug)]
struct Dist {
    version: String,
    /// Path of the record that says so.
    record: String,
}

impl Site {
    fn new(folder: String) -> Self {
        Self {
            folder,
            packages: BTreeMap::new(),
        }
    }

    /// A distribution's version.
    pub fn version(&self, name: &str) -> Option<&str> {
        self.packages.get(name).map(|dist| dist.version.as_str())
    }

    /// The path of the record that told it, from the root.
    pub fn record(&self, name: &str) -> Option<String> {
        self.packages
            .get(name)
            .map(|dist| format!("/{}", dist.record))
    }

    /// The first distribution whose name begins so: name and version.
    pub fn beginning(&self, begin: &str) -> Option<(&str, &str)> {
        let (name, dist) = self.packages.range(begin.to_owned()..).next()?;
        name.starts_with(begin).then_some((name, &dist.version))
    }

    fn add(&mut self, path: &str) {
        if let Some((name, version)) = record(file_name(path)) {
            let record = path.to_owned();
            self.packages.insert(name, Dist { version, record });
        }
    }
}

/// Every folder that holds packages, by path, with conda's own records folded in; and whether that is all.
pub(super) fn sites(tree: &Tree<'_>, config: &Config) -> (Vec<Site>, bool) {
    let mut found: BTreeMap<String, Site> = BTreeMap::new();
    let mut whole = true;
    let mut last: Option<(&str, String)> = None;
    for path in tree.content.nodes.keys() {
        // conda keeps a copy of everything under `pkgs`: what runs is linked from there.
        let Some(folder) = site_of(path).filter(|f| !f.contains("/pkgs/")) else {
            continue;
        };
        let resolved = match last.take() {
            Some((known, resolved)) if known == folder => resolved,
            _ => tree.resolve(folder),
        };
        if found.len() < MAX_SITES || found.contains_key(&resolved) {
            let site = found
                .entry(resolved.clone())
                .or_insert_with(|| Site::new(resolved.clone()));
            if is_record(file_name(path)) && parent(path) == folder {
                site.add(path);
            }
        } else {
            whole = false;
        }
        last = Some((folder, resolved));
    }
    // `pip install --target` makes a folder of packages of any name; PYTHONPATH tells of it.
    for folder in python_path(config).take(MAX_SITES) {
        let folder = tree.resolve(folder);
        if folder.is_empty() || site_of(&folder).is_some() || found.contains_key(&folder) {
            continue;
        }
        let mut site = Site::new(folder);
        for (path, _) in tree.below(&site.folder) {
            if is_record(file_name(path)) && parent(path) == site.folder {
                site.add(path);
            }
        }
        if !site.packages.is_empty() {
            found.insert(site.folder.clone(), site);
        }
    }
    let mut sites: Vec<Site> = found.into_values().collect();
    let mut room = MAX_CONDA;
    for path in tree.content.nodes.keys().filter(|p| is_conda_record(p)) {
        let Some((name, version)) = conda_record(file_name(path)) else {
            continue;
        };
        let prefix = join(parent(parent(path)), "lib/");
        for site in sites.iter_mut().filter(|s| s.folder.starts_with(&prefix)) {
            if room == 0 {
                whole = false;
                break;
            }
            room -= 1;
            site.packages.entry(name.clone()).or_insert_with(|| Dist {
                version: version.clone(),
                record: path.clone(),
            });
        }
    }
    (sites, whole)
}

fn python_path(config: &Config) -> impl Iterator<Item = &str> {
    let folders = config.env("PYTHONPATH").unwrap_or("").split(':');
    folders.filter(|folder| folder.starts_with('/'))
}

/// The environment a file is in; `sites` are sorted by folder.
pub(super) fn site_holding<'s>(sites: &'s [Site], path: &str) -> Option<&'s Site> {
    path.match_indices('/').find_map(|(at, _)| {
        let folder = path.get(..at)?;
        let index = sites
            .binary_search_by(|site| site.folder.as_str().cmp(folder))
            .ok()?;
        sites.get(index)
    })
}

/// `x/site-packages/torch/version.py` -> `x/site-packages`; the outermost one.
pub(super) fn site_of(path: &str) -> Option<&str> {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if is_site(part) {
            return path.get(..end);
        }
        end += 1;
    }
    None
}

fn normalized(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}

/// `nvidia_cuda_runtime_cu12-12.4.127.dist-info`, `torch-1.13.1-py3.10.egg-info`.
fn record(name: &str) -> Option<(String, String)> {
    let stem = name
        .strip_suffix(".dist-info")
        .or_else(|| name.strip_suffix(".egg-info"))?;
    let (name, rest) = stem.split_once('-')?;
    let version = rest.split('-').next()?;
    Some((normalized(&clean(name, 128)), clean(version, 64)))
}

/// `cuda-cudart-12.4.127-he02047a_2.json`.
fn conda_record(name: &str) -> Option<(String, String)> {
    let stem = name.strip_suffix(".json")?;
    let mut parts = stem.rsplitn(3, '-');
    let (_build, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((normalized(&clean(name, 128)), clean(version, 64)))
}

/// A Python and the folders it takes packages from, first ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python {
    /// Its path as it is started.
    pub program: String,
    /// Resolved folders.
    pub sites: Vec<String>,
}

/// The Python that the image's command starts, where it names one by path; else what `python` or `python3`
/// on its PATH gets.
pub(super) fn started(tree: &Tree<'_>, config: &Config) -> Option<Python> {
    let first = config.command.first().map(String::as_str).unwrap_or("");
    let beside = |name: &str| {
        let path = first.strip_prefix('/')?;
        let path = if is_python(path) {
            path.to_owned()
        } else if matches!(parent(path), "bin" | "sbin" | "usr/bin" | "usr/sbin") {
            // A shell, `tini`, `env`: no part of a Python environment.
            return None;
        } else {
            join(parent(path), name)
        };
        (file_name(parent(&path)) == "bin" && exists(tree, &path)).then_some(path)
    };
    // A command without a path (`python3.11`) is looked for as it is.
    let named = (!first.contains('/') && is_python(&join("bin", first))).then_some(first);
    let program = beside("python").or_else(|| {
        let path = config
            .env("PATH")
            .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        named
            .into_iter()
            .chain(["python", "python3"])
            .find_map(|name| {
                path.split(':')
                    .filter_map(|folder| folder.strip_prefix('/'))
                    .map(|folder| join(folder.trim_end_matches('/'), name))
                    .find(|path| exists(tree, path))
            })
    })?;
    Some(Python {
        sites: sites_of(tree, config, &program, 0),
        program: format!("/{program}"),
    })
}

fn exists(tree: &Tree<'_>, path: &str) -> bool {
    matches!(tree.find(path), Some((_, Node::File(_))))
}

/// Where an interpreter takes packages from. A virtual environment is told by the `pyvenv.cfg` above the
/// folder it is started in, before links are followed (PEP 405).
fn sites_of(tree: &Tree<'_>, config: &Config, program: &str, depth: u8) -> Vec<String> {
    let prefix = parent(parent(program));
    let cfg = tree.text(&join(prefix, "pyvenv.cfg"));
    let real = tree.resolve(program);
    let version = cfg
        .and_then(|text| setting(text, &["version", "version_info"]))
        .and_then(|v| pair(&v))
        .or_else(|| file_name(&real).strip_prefix("python").and_then(pair));
    let mut found = Vec::new();
    if depth == 0 {
        found.extend(python_path(config).map(str::to_owned));
    }
    let home = config
        .env("HOME")
        .unwrap_or("/root")
        .trim_start_matches('/');
    if cfg.is_none()
        && let Some(version) = &version
    {
        found.push(format!("{home}/.local/lib/python{version}/site-packages"));
    }
    let own = match cfg {
        Some(_) => prefix.to_owned(),
        None => parent(parent(&real)).to_owned(),
    };
    let mut of = |prefix: &str| {
        for lib in ["lib", "lib64"] {
            match &version {
                Some(version) => {
                    found.push(format!("{prefix}/{lib}/python{version}/site-packages"));
                    found.push(format!("{prefix}/{lib}/python{version}/dist-packages"));
                }
                None => found.extend(versions_in(tree, &join(prefix, lib))),
            }
        }
    };
    // Debian's own Python looks in /usr/local first.
    if own == "usr" || own.is_empty() {
        of("usr/local");
    }
    of(&own);
    if own == "usr" || own.is_empty() {
        found.push("usr/lib/python3/dist-packages".to_owned());
    }
    if depth < 4
        && let Some(cfg) = cfg
        && setting(cfg, &["include-system-site-packages"]).as_deref() == Some("true")
        && let Some(home) = setting(cfg, &["home"])
    {
        let base = join(home.trim_matches('/'), "python3");
        found.extend(sites_of(tree, config, &base, depth + 1));
    }
    let mut seen = BTreeSet::new();
    found
        .iter()
        .map(|folder| tree.resolve(folder))
        .filter(|folder| seen.insert(folder.clone()))
        .collect()
}

/// Folders of packages of whatever Pythons there are below a `lib`.
fn versions_in(tree: &Tree<'_>, lib: &str) -> Vec<String> {
    let mut found: Vec<String> = tree
        .below(lib)
        .filter_map(|(path, _)| site_of(path).map(str::to_owned))
        .collect();
    found.dedup();
    found
}

/// `key = value` of a `pyvenv.cfg`.
fn setting(text: &str, keys: &[&str]) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        keys.contains(&key.trim().to_ascii_lowercase().as_str())
            .then(|| value.to_owned())
    })
}

/// `3.10.12` and `3.10` -> `3.10`.
fn pair(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(major) && digits(minor)).then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::content::Content;

    #[test]
    fn records_tell_name_and_version() {
        for (name, expected) in [
            ("torch-2.6.0.dist-info", Some(("torch", "2.6.0"))),
            (
                "nvidia_cuda_runtime_cu12-12.4.127.dist-info",
                Some(("nvidia_cuda_runtime_cu12", "12.4.127")),
            ),
            (
                "Flash.Attn-2.8.3+cu12torch2.7.dist-info",
                Some(("flash_attn", "2.8.3+cu12torch2.7")),
            ),
            ("torch-1.13.1-py3.10.egg-info", Some(("torch", "1.13.1"))),
            ("odd.dist-info", None),
        ] {
            let found = record(name);
            let found = found.as_ref().map(|(n, v)| (n.as_str(), v.as_str()));
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(
            conda_record("pytorch-2.4.1-py3.11_cuda12.4_cudnn9.1.0_0.json"),
            Some(("pytorch".into(), "2.4.1".into()))
        );
    }

    fn content(files: &[&str], links: &[(&str, &str)], texts: &[(&str, &str)]) -> Content {
        let mut content = Content::default();
        for file in files {
            content.nodes.insert((*file).into(), Node::File(1));
        }
        for (path, target) in links {
            content
                .nodes
                .insert((*path).into(), Node::Link((*target).into()));
        }
        for (path, text) in texts {
            content.nodes.insert((*path).into(), Node::File(1));
            content.texts.insert((*path).into(), (*text).into());
        }
        content
    }

    fn config(path: &str, command: &[&str]) -> Config {
        Config {
            env: vec![("PATH".into(), path.into())],
            command: command.iter().map(|c| (*c).to_owned()).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn the_python_that_starts_and_where_it_looks() {
        let debian = content(
            &["usr/bin/python3.11", "opt/conda/bin/python3.10"],
            &[
                ("usr/bin/python3", "python3.11"),
                ("opt/conda/bin/python", "python3.10"),
                ("app/.venv/bin/python", "/usr/bin/python3"),
                ("lib", "usr/lib"),
            ],
            &[(
                "app/.venv/pyvenv.cfg",
                "home = /usr/bin\nversion_info = 3.11.2\ninclude-system-site-packages = false\n",
            )],
        );
        let usual = "/usr/local/bin:/usr/bin:/bin";
        let cases: [(&str, &[&str], &str, &str); 5] = [
            (
                usual,
                &[],
                "/usr/bin/python3",
                "usr/local/lib/python3.11/dist-packages",
            ),
            (
                "/opt/conda/bin:/usr/bin",
                &["bash"],
                "/opt/conda/bin/python",
                "opt/conda/lib/python3.10/site-packages",
            ),
            (
                "/app/.venv/bin:/usr/bin",
                &[],
                "/app/.venv/bin/python",
                "app/.venv/lib/python3.11/site-packages",
            ),
            (
                usual,
                &["/app/.venv/bin/python", "x.py"],
                "/app/.venv/bin/python",
                "app/.venv/lib/python3.11/site-packages",
            ),
            (
                usual,
                &["/app/.venv/bin/uvicorn"],
                "/app/.venv/bin/python",
                "app/.venv/lib/python3.11/site-packages",
            ),
        ];
        for (path, command, program, site) in cases {
            let config = config(path, command);
            let tree = Tree::new(&debian, &config);
            let python = started(&tree, &config).unwrap();
            assert_eq!(python.program, program, "{path} {command:?}");
            assert!(
                python.sites.iter().any(|s| s == site),
                "{path} {command:?}: {python:?}"
            );
        }
        let config = config("/nowhere", &[]);
        assert_eq!(started(&Tree::new(&debian, &config), &config), None);
    }
}
