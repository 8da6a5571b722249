//! The kept paths as a file system: links followed, libraries found by name and by the loader's folders.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::inspect::config::Config;
use crate::inspect::content::{Content, Node};
use crate::inspect::elf::ElfFacts;
use crate::inspect::interest::{file_name, is_library, parent};

/// Links followed before it is called a loop, as the kernel does.
const MAX_LINKS: u32 = 40;
/// Parts of a path that are followed, those of links too.
const MAX_PARTS: u32 = 256;
/// Folders of one library name that are looked at.
const MAX_NAMED: usize = 64;

/// A folder that the loader searches, and what put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Searched {
    /// As it is written.
    pub entry: String,
    /// Resolved, without leading slash.
    pub folder: String,
    /// `LD_LIBRARY_PATH`, a file of `/etc/ld.so.conf.d`, or `the loader`.
    pub by: String,
}

/// The kept paths.
pub(super) struct Tree<'a> {
    pub content: &'a Content,
    libraries: HashMap<&'a str, Vec<&'a str>>,
    /// Files of package stores that something outside of them links to.
    linked: HashSet<&'a str>,
    /// `LD_LIBRARY_PATH` in order.
    pub library_path: Vec<Searched>,
    /// The loader's cache in order: configured folders, then its own.
    pub cached: Vec<Searched>,
}

impl<'a> Tree<'a> {
    pub fn new(content: &'a Content, config: &Config) -> Self {
        let mut libraries: HashMap<&str, Vec<&str>> = HashMap::new();
        for path in content.nodes.keys() {
            let name = file_name(path);
            if is_library(name) {
                libraries.entry(name).or_default().push(path);
            }
        }
        let mut tree = Self {
            content,
            libraries,
            linked: HashSet::new(),
            library_path: Vec::new(),
            cached: Vec::new(),
        };
        tree.linked = tree.links_into_stores();
        tree.library_path = config
            .env("LD_LIBRARY_PATH")
            .unwrap_or("")
            .split(':')
            .filter(|folder| folder.starts_with('/'))
            .map(|folder| Searched {
                entry: folder.to_owned(),
                folder: tree.resolve(folder),
                by: "LD_LIBRARY_PATH".to_owned(),
            })
            .collect();
        tree.cached = tree.loader_folders();
        tree
    }

    /// The path with its links followed, without leading slash. A part that is not kept is taken as it is;
    /// a path without end (links that lead to each other) ends somewhere.
    pub fn resolve(&self, path: &str) -> String {
        let mut ahead: VecDeque<&str> = parts(path).collect();
        let mut done = String::new();
        let mut links = 0;
        let mut steps = 0;
        while let Some(part) = ahead.pop_front() {
            steps += 1;
            if steps > MAX_PARTS {
                break;
            }
            let before = done.len();
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            if before > 0 {
                done.push('/');
            }
            done.push_str(part);
            let Some(Node::Link(target)) = self.content.nodes.get(&done) else {
                continue;
            };
            if links == MAX_LINKS {
                continue;
            }
            links += 1;
            done.truncate(if target.starts_with('/') { 0 } else { before });
            for part in parts(target).rev() {
                ahead.push_front(part);
            }
        }
        done
    }

    /// Whether this is a package manager's own copy of a file, which no program loads: in conda's `pkgs`, in
    /// uv's cache. Environments may link to it, and then it is theirs.
    pub fn is_stored(&self, path: &str) -> bool {
        in_store(path) && !self.linked.contains(path)
    }

    fn links_into_stores(&self) -> HashSet<&'a str> {
        self.content
            .nodes
            .iter()
            .filter(|(path, node)| matches!(node, Node::Link(_)) && !in_store(path))
            .filter_map(|(path, _)| Some(self.find(path)?.0))
            .filter(|real| in_store(real))
            .collect()
    }

    /// A kept path, its links followed: where it ends and what is there.
    pub fn find(&self, path: &str) -> Option<(&'a str, &'a Node)> {
        let (path, node) = self.content.nodes.get_key_value(&self.resolve(path))?;
        Some((path, node))
    }

    /// The size of a regular file, bytes.
    pub fn size(&self, path: &str) -> u64 {
        match self.find(path) {
            Some((_, Node::File(size))) => *size,
            _ => 0,
        }
    }

    /// A kept text.
    pub fn text(&self, path: &str) -> Option<&'a str> {
        self.content
            .texts
            .get(&self.resolve(path))
            .map(String::as_str)
    }

    /// What a library's ELF told.
    pub fn elf(&self, path: &str) -> Option<&'a ElfFacts> {
        self.content.elves.get(&self.resolve(path))
    }

    /// Paths of libraries of exactly this name, links too.
    pub fn named(&self, name: &str) -> &[&'a str] {
        self.libraries.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every library's path, links too.
    pub fn all_libraries(&self) -> impl Iterator<Item = &'a str> {
        self.libraries.values().flatten().copied()
    }

    /// Kept paths inside a folder, however deep.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Node)> + use<'a> {
        let begin = format!("{folder}/");
        self.content
            .nodes
            .range(begin.clone()..)
            .take_while(move |(path, _)| path.starts_with(&begin))
            .map(|(path, node)| (path.as_str(), node))
    }

    /// What the loader's cache is made from, in its order: `/etc/ld.so.conf` with what it includes, then the
    /// built-in folders.
    fn loader_folders(&self) -> Vec<Searched> {
        let mut found = Vec::new();
        let texts = &self.content.texts;
        let file = |name: &str, text: &str, found: &mut Vec<Searched>| {
            let lines = text
                .lines()
                .map(|l| l.split('#').next().unwrap_or("").trim());
            for folder in lines.filter(|l| l.starts_with('/')) {
                found.push(Searched {
                    entry: folder.to_owned(),
                    folder: self.resolve(folder),
                    by: format!("/{name}"),
                });
            }
        };
        const CONF: &str = "etc/ld.so.conf";
        const FOLDER: &str = "etc/ld.so.conf.d/";
        let main = texts.get(CONF).map_or("", String::as_str);
        // Debian's and Red Hat's file is the one line `include /etc/ld.so.conf.d/*.conf`.
        let includes = main.is_empty() || main.contains("ld.so.conf.d/");
        if includes {
            let conf = texts.range(FOLDER.to_owned()..);
            for (name, text) in conf.take_while(|(name, _)| name.starts_with(FOLDER)) {
                if name.ends_with(".conf") {
                    file(name, text, &mut found);
                }
            }
        }
        file(CONF, main, &mut found);
        for folder in [
            "/lib/x86_64-linux-gnu",
            "/usr/lib/x86_64-linux-gnu",
            "/lib/aarch64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/lib64",
            "/usr/lib64",
            "/lib",
            "/usr/lib",
        ] {
            found.push(Searched {
                entry: folder.to_owned(),
                folder: self.resolve(folder),
                by: "the loader".to_owned(),
            });
        }
        found
    }

    /// Whether the loader finds files of this folder before those of the host's driver, and what put it
    /// there. The driver's libraries are put into the distribution's library folder.
    pub fn before_the_driver(&self, folder: &str) -> Option<&Searched> {
        let folder = self.resolve(folder);
        if let Some(searched) = self.library_path.iter().find(|s| s.folder == folder) {
            return Some(searched);
        }
        let is_drivers = |s: &Searched| {
            matches!(
                s.folder.as_str(),
                "usr/lib/x86_64-linux-gnu" | "usr/lib/aarch64-linux-gnu" | "usr/lib64" | "lib64"
            )
        };
        self.cached
            .iter()
            .take_while(|s| !is_drivers(s))
            .find(|s| s.folder == folder)
    }

    /// Whether a program of this place would find a library of this name: beside its packages, in its
    /// environment's `lib`, or where the loader looks.
    pub fn would_find(&self, name: &str, place: &str) -> bool {
        self.named(name)
            .iter()
            .take(MAX_NAMED)
            .any(|path| self.find(path).is_some() && self.reaches(path, place))
    }

    fn reaches(&self, path: &str, place: &str) -> bool {
        let folder = self.resolve(parent(path));
        if path.starts_with(place) && path.get(place.len()..).is_some_and(|r| r.starts_with('/')) {
            return true;
        }
        // `opt/conda/lib/python3.11/site-packages` -> `opt/conda/lib`.
        let environment = parent(parent(place));
        let own = (!environment.is_empty() && folder == environment)
            || self.library_path.iter().any(|s| s.folder == folder)
            || self.cached.iter().any(|s| s.folder == folder);
        // Toolkit folders are commonly put on the path by the program's own environment.
        own || path.starts_with("usr/local/cuda")
    }
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn in_store(path: &str) -> bool {
    path.contains("/pkgs/") || path.contains("/archive-v0/")
}

pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_and_loops_end() {
        let mut content = Content::default();
        for (path, target) in [
            ("usr/local/cuda", "/etc/alternatives/cuda"),
            ("etc/alternatives/cuda", "/usr/local/cuda-12.4"),
            ("lib", "usr/lib"),
            ("a", "b"),
            ("b", "a"),
            ("opt/venv/bin/python", "../../../usr/bin/python3"),
            ("usr/bin/python3", "python3.11"),
        ] {
            content.nodes.insert(path.into(), Node::Link(target.into()));
        }
        let tree = Tree::new(&content, &Config::default());
        for (path, expected) in [
            ("/usr/local/cuda/lib64", "usr/local/cuda-12.4/lib64"),
            ("/lib/x/libc.so.6", "usr/lib/x/libc.so.6"),
            ("opt/venv/bin/python", "usr/bin/python3.11"),
            ("/../../etc/passwd", "etc/passwd"),
            ("/", ""),
        ] {
            assert_eq!(tree.resolve(path), expected, "{path}");
        }
        // Whatever it gives, it ends.
        let _ = tree.resolve("a/b/c");
    }

    #[test]
    fn what_stands_before_the_driver_is_told_with_its_reason() {
        let mut content = Content::default();
        let conf = |name: &str, text: &str, content: &mut Content| {
            content
                .texts
                .insert(format!("etc/ld.so.conf.d/{name}"), text.into());
        };
        conf("00-compat.conf", "/usr/local/cuda/compat\n", &mut content);
        conf(
            "x86_64-linux-gnu.conf",
            "# multiarch\n/usr/lib/x86_64-linux-gnu\n",
            &mut content,
        );
        conf("zz-late.conf", "/usr/local/late\n", &mut content);
        let config = Config {
            env: vec![("LD_LIBRARY_PATH".into(), "/opt/a:relative:/opt/b".into())],
            ..Config::default()
        };
        let tree = Tree::new(&content, &config);
        let by = |folder: &str| tree.before_the_driver(folder).map(|s| s.by.clone());
        assert_eq!(
            by("/usr/local/cuda/compat").as_deref(),
            Some("/etc/ld.so.conf.d/00-compat.conf")
        );
        assert_eq!(by("/opt/b").as_deref(), Some("LD_LIBRARY_PATH"));
        assert_eq!(by("/usr/local/late"), None);
        assert_eq!(by("/nowhere"), None);
    }
}
