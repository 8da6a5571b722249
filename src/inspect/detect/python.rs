//! Python environments: which folders hold packages, which packages are there, and which `python` the
//! image's PATH gets.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Tree, join};
use crate::inspect::config::Config;
use crate::inspect::content::Node;
use crate::inspect::interest::{file_name, is_conda_record, is_python, is_record, is_site, parent};

/// The packages of one folder.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// `usr/local/lib/python3.10/site-packages`.
    pub folder: String,
    /// Distributions by normalized name (lower case, `_`), with their versions.
    pub packages: BTreeMap<String, String>,
}

impl Site {
    /// A distribution's version.
    pub fn version(&self, name: &str) -> Option<&str> {
        self.packages.get(name).map(String::as_str)
    }

    /// The first distribution whose name begins so: name and version.
    pub fn beginning(&self, begin: &str) -> Option<(&str, &str)> {
        let (name, version) = self.packages.range(begin.to_owned()..).next()?;
        name.starts_with(begin).then_some((name, version))
    }
}

/// Every folder that holds packages, with conda's own records folded in.
pub(super) fn sites(tree: &Tree<'_>) -> Vec<Site> {
    let mut found: BTreeMap<String, Site> = BTreeMap::new();
    for path in tree.content.nodes.keys() {
        // conda keeps a copy of everything under `pkgs`: what runs is linked from there.
        let Some(folder) = site_of(path).filter(|f| !f.contains("/pkgs/")) else {
            continue;
        };
        let folder = tree.resolve(folder);
        let site = found.entry(folder.clone()).or_insert_with(|| Site {
            folder,
            ..Site::default()
        });
        if is_record(file_name(path))
            && site_of(parent(path)).is_none_or(|f| f == parent(path))
            && let Some((name, version)) = record(file_name(path))
        {
            site.packages.insert(name, version);
        }
    }
    let mut sites: Vec<Site> = found.into_values().collect();
    for path in tree.content.nodes.keys().filter(|p| is_conda_record(p)) {
        let Some((name, version)) = conda_record(file_name(path)) else {
            continue;
        };
        let prefix = join(parent(parent(path)), "lib/");
        for site in sites.iter_mut().filter(|s| s.folder.starts_with(&prefix)) {
            site.packages
                .entry(name.clone())
                .or_insert_with(|| version.clone());
        }
    }
    sites
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
    Some((normalized(name), version.to_owned()))
}

/// `cuda-cudart-12.4.127-he02047a_2.json`.
fn conda_record(name: &str) -> Option<(String, String)> {
    let stem = name.strip_suffix(".json")?;
    let mut parts = stem.rsplitn(3, '-');
    let (_build, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((normalized(name), version.to_owned()))
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
        } else {
            join(parent(path), name)
        };
        (file_name(parent(&path)) == "bin" && exists(tree, &path)).then_some(path)
    };
    let program = beside("python").or_else(|| {
        let path = config
            .env("PATH")
            .unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        ["python", "python3"].iter().find_map(|name| {
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
        let paths = config.env("PYTHONPATH").unwrap_or("").split(':');
        found.extend(paths.filter(|p| p.starts_with('/')).map(str::to_owned));
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
