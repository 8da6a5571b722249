//! One pass over a file system's archive: keeps what tells something, within a bound.
//!
//! Memory: the kept paths, texts, libraries and their code are bounded each ([`MAX_PATHS`], [`MAX_TEXTS`],
//! [`MAX_ELVES`], [`MAX_CODE`]); one library is read at a time in about 2 MiB, its device code in at most
//! 8 MiB more. In all it stays under 64 MiB, whatever the archive says (a test holds it).

use super::content::{Content, Node};
use super::elf::{ElfStream, is_elf};
use super::interest::{self, Interest, file_name};
use super::kept::{Kept, Used, elf_cost, entries_of, node_cost, text_cost};
use super::packages::Packages;
use super::tar::{Entry, Kind, Problem, Reader, Sink, TarError};
use crate::model::text::clean;

/// Bytes of kept paths and link targets, each counted with what a map's node costs.
pub const MAX_PATHS: usize = 12 << 20;
/// Bytes of kept texts, counted so too.
pub const MAX_TEXTS: usize = 4 << 20;
/// Bytes of what libraries need and say, counted so too.
pub const MAX_ELVES: usize = 8 << 20;
/// Entries of kept device code, of all libraries together.
pub const MAX_CODE: usize = 256 << 10;
/// Packages of the distribution that are kept.
const MAX_PACKAGES: usize = 4096;
/// Bytes of a glibc that are looked at: all of it (about 2 MB).
const MAX_LIBC: u64 = 8 << 20;
/// C libraries whose version is kept.
const MAX_LIBCS: usize = 8;
/// Gaps that are told.
const MAX_GAPS: usize = 32;

/// The walk.
#[derive(Debug, Default)]
pub struct Walk {
    reader: Reader,
    found: Found,
}

/// What the archive's entries left so far.
#[derive(Debug, Default)]
struct Found {
    /// What lower layers left.
    lower: Kept,
    /// What this layer has; without layers, all.
    here: Kept,
    layered: bool,
    current: Option<Current>,
    used: Used,
    bytes: u64,
    entries: u64,
    gaps: Vec<String>,
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
                layered: true,
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
        self.found.bytes += bytes.len() as u64;
        self.reader.feed(bytes, &mut self.found)
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.found.bytes
    }

    /// Whether the end mark of this archive was read: what follows it does not count.
    pub fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    /// Whether what is counted as kept is what is kept: for tests.
    #[cfg(test)]
    pub(super) fn within_bounds(&self) -> bool {
        let mut used = Used::default();
        for kept in [&self.found.lower, &self.found.here] {
            used.count(kept);
        }
        used == self.found.used
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
        self.found.entries += self.reader.entries();
        self.reader = Reader::default();
        self.found.current = None;
        self.found.lay_down();
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
        Ok(self.found.content())
    }

    /// The same where an end inside an entry is a gap like another.
    pub fn end(mut self) -> Content {
        if let Err(error) = self.next_layer() {
            self.gap(format!(
                "its file system could not be read to its end: {error}"
            ));
            self.break_layer();
        }
        self.found.content()
    }
}

impl Sink for Found {
    fn entry(&mut self, entry: &Entry) {
        self.current = None;
        if self.layered && self.lay_over(entry) {
            return;
        }
        match entry.problem {
            Some(Problem::Name) => {
                return self.gap("an entry's name is longer than any real one".to_owned());
            }
            Some(Problem::Sparse) => return self.sparse(entry),
            None => {}
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
                // A piece that splits the magic is put together with the next one.
                if first.is_empty() && bytes.len() >= 8 {
                    current.what = begin(&current.path, bytes);
                    return;
                }
                first.extend_from_slice(bytes);
                if first.len() < 8 && (first.len() as u64) < current.size {
                    return;
                }
                let first = std::mem::take(first);
                current.what = begin(&current.path, &first);
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
            What::Text(text) => self.text(current.path, &text),
            What::Packages(packages) => {
                let found = packages.finish();
                if self.used.packages + found.len() > MAX_PACKAGES {
                    return self.gap("more packages than any real image has".to_owned());
                }
                if !found.is_empty() {
                    self.used.packages += found.len();
                    let before = self.here.packages.insert(current.path, found);
                    self.used.packages -= before.map_or(0, |list| list.len());
                }
            }
            What::First(_) | What::Nothing => {}
        }
    }
}

/// What a file is, by its first bytes.
fn begin(path: &str, first: &[u8]) -> What {
    if !is_elf(first) {
        return What::Nothing;
    }
    let name = file_name(path);
    let mut elf = Box::new(if name.starts_with("libcuda.so") {
        ElfStream::with_note()
    } else {
        ElfStream::new()
    });
    elf.feed(first);
    let mut banner = is_libc(path).then(Banner::default);
    if let Some(banner) = &mut banner {
        banner.feed(first);
    }
    What::Elf(elf, banner)
}

impl Found {
    fn file(&mut self, entry: &Entry) {
        self.record(&entry.path);
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
                if !self.keep(&entry.path, Node::File(entry.size)) {
                    return;
                }
                if entry.size > most {
                    return self.gap(format!(
                        "{} is too large for what it is",
                        clean(&entry.path, 200)
                    ));
                }
                What::Text(Vec::new())
            }
            Interest::Packages => What::Packages(Packages::default()),
        };
        self.current = Some(Current {
            path: entry.path.clone(),
            size: entry.size,
            what,
        });
    }

    /// A file with its holes left out: its name tells something, its content cannot be read.
    fn sparse(&mut self, entry: &Entry) {
        let told = interest::of_file(&entry.path, entry.size);
        if matches!(told, Interest::Nothing | Interest::Program) {
            return;
        }
        self.keep(&entry.path, Node::File(entry.size));
        if told != Interest::Path {
            self.gap(format!(
                "{} is stored as a sparse file, which is not read",
                clean(&entry.path, 200)
            ));
        }
    }

    /// A file inside a package's record proves the record where the archive has no folder entries.
    fn record(&mut self, path: &str) {
        let folder = interest::parent(path);
        if interest::is_record(file_name(folder)) && !self.has_node(folder) {
            self.keep(folder, Node::Folder);
        }
    }

    fn has_node(&self, path: &str) -> bool {
        self.here.nodes.contains_key(path) || self.lower.nodes.contains_key(path)
    }

    fn hardlink(&mut self, entry: &Entry) {
        let told = !matches!(
            interest::of_file(&entry.path, 0),
            Interest::Nothing | Interest::Program
        );
        let target = super::tar::clean_path(&entry.link);
        let known =
            || self.here.elves.contains_key(&target) || self.lower.elves.contains_key(&target);
        if told || known() {
            self.keep(&entry.path, Node::Link(format!("/{target}")));
        }
        self.record(&entry.path);
    }

    /// Keeps a path, unless there is no room.
    fn keep(&mut self, path: &str, node: Node) -> bool {
        let cost = node_cost(path, &node);
        if self.used.paths + cost > MAX_PATHS {
            self.gap("more paths of interest than any real image has".to_owned());
            return false;
        }
        self.used.paths += cost;
        let before = self.here.nodes.insert(path.to_owned(), node);
        if let Some(before) = before {
            // A second entry of the same path: what the first one left is no more.
            self.used.paths -= node_cost(path, &before);
            self.here.forget_content(path, &mut self.used);
        }
        true
    }

    fn text(&mut self, path: String, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        let cost = text_cost(&path, &text);
        if self.used.texts + cost > MAX_TEXTS {
            return self.gap("more texts of interest than any real image has".to_owned());
        }
        self.used.texts += cost;
        self.here.texts.insert(path, text);
    }

    fn elf(&mut self, path: &str, size: u64, elf: ElfStream, banner: Option<Banner>) {
        if let Some(version) = banner.and_then(|b| b.version)
            && self.here.glibc.len() < MAX_LIBCS
        {
            self.here.glibc.insert(path.to_owned(), version);
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
        let cost = elf_cost(path, &facts);
        if self.used.code + entries > MAX_CODE || self.used.elves + cost > MAX_ELVES {
            return self.gap("more device code than any real image has".to_owned());
        }
        if !self.here.nodes.contains_key(path) && !self.keep(path, Node::File(size)) {
            return;
        }
        self.used.code += entries;
        self.used.elves += cost;
        if let Some(before) = self.here.elves.insert(path.to_owned(), facts) {
            self.used.code -= entries_of(&before.code);
            self.used.elves -= elf_cost(path, &before);
        }
    }

    fn gap(&mut self, gap: String) {
        if self.gaps.len() < MAX_GAPS && !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// Lays a layer's entry over what lower layers left; says whether that was all there is to do.
    fn lay_over(&mut self, entry: &Entry) -> bool {
        let name = file_name(&entry.path);
        let folder = interest::parent(&entry.path);
        if name == ".wh..wh..opq" {
            self.lower.forget_below(folder, &mut self.used);
            return true;
        }
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let path = match folder {
                "" => hidden.to_owned(),
                folder => format!("{folder}/{hidden}"),
            };
            self.lower.forget(&path, &mut self.used);
            self.lower.forget_below(&path, &mut self.used);
            return true;
        }
        if entry.path.is_empty() {
            return false;
        }
        self.lower.forget(&entry.path, &mut self.used);
        if entry.kind != Kind::Directory {
            self.lower.forget_below(&entry.path, &mut self.used);
        }
        false
    }

    /// This layer is complete: it becomes part of what is below the next one.
    fn lay_down(&mut self) {
        let here = std::mem::take(&mut self.here);
        self.lower.lay(here);
    }

    fn content(self) -> Content {
        Content {
            nodes: self.lower.nodes,
            texts: self.lower.texts,
            elves: self.lower.elves,
            packages: self.lower.packages.into_values().flatten().collect(),
            glibc: self.lower.glibc.into_values().next_back(),
            bytes: self.bytes,
            entries: self.entries,
            gaps: self.gaps,
        }
    }
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

/// The system's own glibc; toolchains and other architectures bring further ones.
fn is_libc(path: &str) -> bool {
    const FOLDERS: &[&str] = &[
        "lib",
        "lib64",
        "usr/lib",
        "usr/lib64",
        "lib/x86_64-linux-gnu",
        "lib/aarch64-linux-gnu",
        "usr/lib/x86_64-linux-gnu",
        "usr/lib/aarch64-linux-gnu",
    ];
    let name = file_name(path);
    (name == "libc.so.6" || (name.starts_with("libc-2.") && name.ends_with(".so")))
        && FOLDERS.contains(&interest::parent(path))
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
            // Its end must be here too.
            if at + WORDS.len() + digits.len() < self.kept.len() {
                self.version =
                    Some(digits.trim_end_matches('.').to_owned()).filter(|v| !v.is_empty());
            }
        }
        let keep = self.kept.len().min(64);
        self.kept.drain(..self.kept.len() - keep);
    }
}
