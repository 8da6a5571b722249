//! One pass over a file system's archive: keeps what tells something, within a bound.
//!
//! Memory: the kept paths, texts and libraries are bounded each ([`MAX_PATHS`], [`MAX_TEXTS`],
//! [`MAX_CODE`]); one library is read at a time in about 2 MiB, its device code in at most 8 MiB more. In
//! all it stays under 64 MiB, whatever the archive says (a test holds it).

use std::collections::BTreeMap;

use super::content::{Content, Node};
use super::elf::{ElfStream, is_elf};
use super::interest::{self, Interest, file_name};
use super::packages::Packages;
use super::tar::{Entry, Kind, Reader, Sink, TarError};
use crate::verdict::facts::DeviceCode;

/// Bytes of kept paths and link targets, each counted with what a map's node costs.
pub const MAX_PATHS: usize = 16 << 20;
/// Bytes of kept texts.
pub const MAX_TEXTS: usize = 4 << 20;
/// Entries of kept device code, of all libraries together.
pub const MAX_CODE: usize = 256 << 10;
/// Bytes of what libraries need, all together.
const MAX_NEEDED: usize = 4 << 20;
/// What a kept path costs besides its bytes.
const NODE_COST: usize = 96;
/// Bytes of a glibc that are looked at: all of it (about 2 MB).
const MAX_LIBC: u64 = 8 << 20;

/// The walk.
#[derive(Debug, Default)]
pub struct Walk {
    reader: Reader,
    found: Found,
}

/// What the archive's entries left so far.
#[derive(Debug, Default)]
struct Found {
    content: Content,
    current: Option<Current>,
    paths: usize,
    texts: usize,
    code: usize,
    needed: usize,
    /// Archives of layers: in which layer each path was kept.
    layers: Option<Layers>,
}

#[derive(Debug, Default)]
struct Layers {
    current: u32,
    since: BTreeMap<String, u32>,
}

/// The file whose data is streaming by.
#[derive(Debug)]
struct Current {
    path: String,
    size: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Whether it is an ELF file shows with its first bytes.
    First(Vec<u8>),
    Elf(Box<ElfStream>, Option<Banner>),
    Text(Vec<u8>),
    Packages(Packages),
    Nothing,
}

impl Walk {
    /// A walk over one archive, as `docker export` gives it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A walk over the archives of an image's layers, lowest first.
    pub fn layered() -> Self {
        Self {
            found: Found {
                layers: Some(Layers::default()),
                ..Found::default()
            },
            ..Self::default()
        }
    }

    /// Takes the next bytes of the archive.
    ///
    /// # Errors
    /// When it is no tar archive, or a hostile one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        self.found.content.bytes += bytes.len() as u64;
        self.reader.feed(bytes, &mut self.found)
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.found.content.bytes
    }

    /// This layer's archive has ended; the next one is laid over it.
    ///
    /// # Errors
    /// When it ended inside an entry.
    pub fn next_layer(&mut self) -> Result<(), TarError> {
        self.reader.finish()?;
        self.break_layer();
        Ok(())
    }

    /// This layer's archive cannot be read on: what came of it stays, the next one is laid over it.
    pub fn break_layer(&mut self) {
        self.found.content.entries += self.reader.entries();
        self.reader = Reader::default();
        self.found.current = None;
        if let Some(layers) = &mut self.found.layers {
            layers.current += 1;
        }
    }

    /// Notes what could not be read, in words.
    pub fn gap(&mut self, gap: String) {
        self.found.gap(gap);
    }

    /// The archive has ended.
    ///
    /// # Errors
    /// When it ended inside an entry: what was kept is not the whole.
    pub fn finish(mut self) -> Result<Content, TarError> {
        self.next_layer()?;
        Ok(self.found.content)
    }

    /// The same where an end inside an entry is a gap like another.
    pub fn end(mut self) -> Content {
        if let Err(error) = self.next_layer() {
            self.gap(format!(
                "its file system could not be read to its end: {error}"
            ));
            self.break_layer();
        }
        self.found.content
    }
}

impl Sink for Found {
    fn entry(&mut self, entry: &Entry) {
        self.current = None;
        if self.layers.is_some() && self.lay_over(entry) {
            return;
        }
        match entry.kind {
            Kind::Directory if interest::of_folder(&entry.path) => {
                self.keep(&entry.path, Node::Folder);
            }
            Kind::Symlink if interest::of_link(&entry.path) => {
                self.keep(&entry.path, Node::Link(entry.link.clone()));
            }
            Kind::Hardlink => self.hardlink(entry),
            Kind::File => self.file(entry),
            _ => {}
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else {
            return;
        };
        match &mut current.what {
            What::First(first) => {
                // The magic is six bytes; a piece that splits it is put together.
                first.extend_from_slice(bytes);
                if first.len() < 8 && (first.len() as u64) < current.size {
                    return;
                }
                let first = std::mem::take(first);
                current.what = if is_elf(&first) {
                    let name = file_name(&current.path);
                    let mut elf = Box::new(if name.starts_with("libcuda.so") {
                        ElfStream::with_note()
                    } else {
                        ElfStream::new()
                    });
                    elf.feed(&first);
                    let mut banner = is_libc(name).then(Banner::default);
                    if let Some(banner) = &mut banner {
                        banner.feed(&first);
                    }
                    What::Elf(elf, banner)
                } else {
                    What::Nothing
                };
            }
            What::Elf(elf, banner) => {
                elf.feed(bytes);
                if let Some(banner) = banner {
                    banner.feed(bytes);
                }
            }
            What::Text(text) => text.extend_from_slice(bytes),
            What::Packages(packages) => packages.feed(bytes),
            What::Nothing => {}
        }
    }

    fn end(&mut self) {
        let Some(current) = self.current.take() else {
            return;
        };
        match current.what {
            What::Elf(elf, banner) => self.elf(&current.path, current.size, *elf, banner),
            What::Text(text) => {
                self.texts += current.path.len() + text.len();
                let text = String::from_utf8_lossy(&text).into_owned();
                self.content.texts.insert(current.path, text);
            }
            What::Packages(packages) => {
                for package in packages.finish() {
                    if self.content.packages.len() < 4096 {
                        self.content.packages.push(package);
                    }
                }
            }
            What::First(_) | What::Nothing => {}
        }
    }
}

impl Found {
    fn file(&mut self, entry: &Entry) {
        let what = match interest::of_file(&entry.path, entry.size) {
            Interest::Nothing => return,
            Interest::Program => What::First(Vec::new()),
            Interest::Library => {
                self.keep(&entry.path, Node::File(entry.size));
                What::First(Vec::new())
            }
            Interest::Path => {
                self.keep(&entry.path, Node::File(entry.size));
                return;
            }
            Interest::Text(most) => {
                self.keep(&entry.path, Node::File(entry.size));
                if entry.size > most {
                    self.gap(format!("{} is too large for what it is", entry.path));
                    return;
                }
                if self.texts + entry.path.len() + entry.size as usize > MAX_TEXTS {
                    self.gap("more texts of interest than any real image has".to_owned());
                    return;
                }
                What::Text(Vec::new())
            }
            Interest::Packages => {
                if self.layers.is_some() && entry.path.ends_with("status") {
                    // A later layer's list is the whole list again.
                    self.content.packages.clear();
                }
                What::Packages(Packages::default())
            }
        };
        self.record(&entry.path);
        self.current = Some(Current {
            path: entry.path.clone(),
            size: entry.size,
            what,
        });
    }

    /// A file inside a package's record proves the record where the archive has no folder entries.
    fn record(&mut self, path: &str) {
        let folder = interest::parent(path);
        if interest::is_record(file_name(folder)) && !self.content.nodes.contains_key(folder) {
            self.keep(folder, Node::Folder);
        }
    }

    fn hardlink(&mut self, entry: &Entry) {
        let name = file_name(&entry.path);
        let told = !matches!(
            interest::of_file(&entry.path, 0),
            Interest::Nothing | Interest::Program
        );
        let target = super::tar::clean_path(&entry.link);
        if told || interest::is_library(name) || self.content.elves.contains_key(&target) {
            self.keep(&entry.path, Node::Link(format!("/{target}")));
        }
        self.record(&entry.path);
    }

    fn keep(&mut self, path: &str, node: Node) {
        let link = match &node {
            Node::Link(target) => target.len(),
            _ => 0,
        };
        self.paths += path.len() + link + NODE_COST;
        if self.paths > MAX_PATHS {
            return self.gap("more paths of interest than any real image has".to_owned());
        }
        self.content.nodes.insert(path.to_owned(), node);
        if let Some(layers) = &mut self.layers {
            layers.since.insert(path.to_owned(), layers.current);
        }
    }

    fn elf(&mut self, path: &str, size: u64, elf: ElfStream, banner: Option<Banner>) {
        if let Some(version) = banner.and_then(|b| b.version) {
            self.content.glibc = Some(version);
        }
        let facts = elf.finish();
        let entries = entries_of(&facts.code);
        let tells = entries > 0
            || facts.hip
            || facts.note.is_some()
            || facts.problem.is_some()
            || facts.needed.iter().any(|n| is_cuda_name(n));
        if !tells {
            return;
        }
        let needed: usize = facts.needed.iter().map(|n| n.len() + 32).sum();
        if self.code + entries > MAX_CODE || self.needed + needed + path.len() > MAX_NEEDED {
            return self.gap("more device code than any real image has".to_owned());
        }
        self.code += entries;
        self.needed += needed + path.len() + NODE_COST;
        if !self.content.nodes.contains_key(path) {
            self.keep(path, Node::File(size));
        }
        self.content.elves.insert(path.to_owned(), facts);
    }

    fn gap(&mut self, gap: String) {
        if !self.content.gaps.contains(&gap) && self.content.gaps.len() < 32 {
            self.content.gaps.push(gap);
        }
    }

    /// Lays a layer's entry over what lower layers left; says whether that was all there is to do.
    fn lay_over(&mut self, entry: &Entry) -> bool {
        let name = file_name(&entry.path);
        let folder = interest::parent(&entry.path);
        if name == ".wh..wh..opq" {
            self.forget_below(folder);
            return true;
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let path = match folder {
                "" => hidden.to_owned(),
                folder => format!("{folder}/{hidden}"),
            };
            self.forget(&path);
            self.forget_below(&path);
            return true;
        }
        self.forget(&entry.path);
        if entry.kind != Kind::Directory {
            self.forget_below(&entry.path);
        }
        false
    }

    fn is_lower(&self, path: &str) -> bool {
        self.layers
            .as_ref()
            .is_some_and(|l| l.since.get(path).is_none_or(|since| *since < l.current))
    }

    fn forget(&mut self, path: &str) {
        if self.is_lower(path) {
            self.content.nodes.remove(path);
            self.content.texts.remove(path);
            self.content.elves.remove(path);
        }
    }

    fn forget_below(&mut self, folder: &str) {
        let begin = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let below: Vec<String> = self
            .content
            .nodes
            .range(begin.clone()..)
            .take_while(|(path, _)| path.starts_with(&begin))
            .map(|(path, _)| path.clone())
            .collect();
        for path in below {
            self.forget(&path);
        }
    }
}

fn entries_of(code: &DeviceCode) -> usize {
    let shapes: usize = code
        .shapes
        .iter()
        .map(|(shape, _)| shape.sass.len() + shape.ptx.len() + 4)
        .sum();
    shapes + code.relocatable_ptx.len()
}

/// Whether a needed library is CUDA's or the driver's.
pub(super) fn is_cuda_name(name: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "libcuda.so",
        "libcudart",
        "libcublas",
        "libcudnn",
        "libcufft",
        "libcurand",
        "libcusolver",
        "libcusparse",
        "libcupti",
        "libcufile",
        "libcutensor",
        "libnccl",
        "libnvrtc",
        "libnvJitLink",
        "libnvToolsExt",
        "libnvshmem",
        "libnvinfer",
        "libnvidia-",
        "libnpp",
        "libnvjpeg",
        "libamdhip",
    ];
    BEGINNINGS.iter().any(|b| name.starts_with(b))
}

fn is_libc(name: &str) -> bool {
    name == "libc.so.6" || (name.starts_with("libc-2.") && name.ends_with(".so"))
}

/// glibc says its version in words: `GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.`
#[derive(Debug, Default)]
struct Banner {
    kept: Vec<u8>,
    seen: u64,
    version: Option<String>,
}

impl Banner {
    fn feed(&mut self, bytes: &[u8]) {
        const WORDS: &[u8] = b"release version ";
        self.seen += bytes.len() as u64;
        if self.version.is_some() || self.seen > MAX_LIBC {
            return;
        }
        self.kept.extend_from_slice(bytes);
        if let Some(at) = memchr::memmem::find(&self.kept, WORDS) {
            let digits: String = self
                .kept
                .iter()
                .skip(at + WORDS.len())
                .take_while(|b| b.is_ascii_digit() || **b == b'.')
                .take(16)
                .map(|b| char::from(*b))
                .collect();
            self.version = Some(digits.trim_end_matches('.').to_owned()).filter(|v| !v.is_empty());
        }
        let keep = self.kept.len().min(64);
        self.kept.drain(..self.kept.len() - keep);
    }
}
