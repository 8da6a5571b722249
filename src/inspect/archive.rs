//! Images in files: what `docker save` and OCI tools write, and a bare file system as `docker export` gives.
//!
//! An archive lies in a file, so it can be read at any place: its entries are listed first, by their
//! headers alone, then the layers are walked lowest first, out of their compression as they stream.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::config::Config;
use super::decompress::Layer;
use super::tar::{BLOCK, Entry, Kind, Reader, Sink, TarError};
use super::walk::Walk;
use super::{Content, Known};

/// Bytes of one JSON file in an archive.
const MAX_JSON: u64 = 16 << 20;
/// Entries of an archive that are listed: an image's has some hundreds, a bare file system more.
const MAX_LISTED: usize = 16_384;
/// Bytes of their names.
const MAX_NAMES: usize = 4 << 20;
/// Images of one archive that are read.
const MAX_IMAGES: usize = 64;
/// Layers of one image (engines allow 127).
const MAX_LAYERS: usize = 512;
/// Manifests below manifests.
const MAX_DEPTH: u8 = 3;
/// Pieces that are read.
const PIECE: usize = 256 << 10;
/// An image that unpacks to more than this many times its size, and to more than [`BOMB_FLOOR`], is a bomb:
/// gzip's best is about a thousand, on nothing but zeros.
const BOMB: u64 = 200;
const BOMB_FLOOR: u64 = 8 << 30;

/// An image found in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Its tag, where the archive says one.
    pub name: Option<String>,
    /// Its id: the digest of its configuration.
    pub id: Option<String>,
    /// What it is.
    pub known: Known,
}

/// Why a file is no image.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is no archive.
    #[error("it is no tar archive: {0}")]
    Tar(#[from] TarError),
    /// It is compressed as a whole.
    #[error("it is compressed as a whole, and an image is read at many places")]
    Compressed,
    /// Its lists do not fit its content.
    #[error("{0}")]
    Odd(String),
    /// The caller wants no more.
    #[error("cancelled")]
    Cancelled,
}

/// Told after every piece: bytes read and bytes in all; `false` stops it.
pub type Told<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Reads every image of a file. `platform` (`linux/amd64`) chooses where one name stands for several.
///
/// # Errors
/// When the file cannot be read, or holds no image.
pub fn read(
    path: &Path,
    platform: Option<&str>,
    told: Told<'_>,
) -> Result<Vec<Archived>, ArchiveError> {
    let mut file = File::open(path)?;
    let mut first = [0u8; 4];
    let got = file.read(&mut first)?;
    file.seek(SeekFrom::Start(0))?;
    let first = first.get(..got).unwrap_or(&[]);
    if first.starts_with(&[0x1f, 0x8b]) || first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Err(ArchiveError::Compressed);
    }
    let index = list(&mut file)?;
    let is_bare = index.as_ref().is_none_or(is_file_system);
    let mut archive = Archive {
        index: index.unwrap_or_default(),
        file,
    };
    let images = if is_bare {
        return Ok(vec![archive.bare(told)?]);
    } else if archive.index.contains_key("manifest.json") {
        archive.docker()?
    } else if archive.index.contains_key("index.json") {
        archive.oci(platform)?
    } else {
        return Ok(vec![archive.bare(told)?]);
    };
    let total = images.iter().flat_map(|i| &i.layers).map(|p| p.size).sum();
    let mut done = 0;
    let mut found = Vec::new();
    for image in images.into_iter().take(MAX_IMAGES) {
        let content = archive.walk(&image.layers, &mut done, total, told)?;
        found.push(Archived {
            name: image.name,
            id: image.id,
            known: Known {
                config: image.config,
                content: Some(Arc::new(content)),
                live: false,
            },
        });
    }
    if found.is_empty() {
        return Err(ArchiveError::Odd("it lists no image".to_owned()));
    }
    Ok(found)
}

/// Where an entry's data lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    size: u64,
}

struct Archive {
    file: File,
    index: HashMap<String, Place>,
}

/// An image's parts, found in the archive.
struct Parts {
    name: Option<String>,
    id: Option<String>,
    config: Config,
    layers: Vec<Place>,
}

/// A root file system may hold a file of any name, an image's archive has none of these folders.
fn is_file_system(index: &HashMap<String, Place>) -> bool {
    let folders = ["etc/", "usr/", "bin/", "lib/"];
    index
        .keys()
        .any(|path| folders.iter().any(|folder| path.starts_with(folder)))
}

/// Lists an archive by its headers; `None`: no image's archive has so many entries.
fn list(file: &mut File) -> Result<Option<HashMap<String, Place>>, ArchiveError> {
    #[derive(Default)]
    struct Names {
        found: Vec<(Entry, Option<u64>)>,
        bytes: usize,
        too_many: bool,
    }
    impl Sink for Names {
        fn entry(&mut self, entry: &Entry) {
            self.bytes += entry.path.len() + entry.link.len();
            self.too_many |= self.found.len() >= MAX_LISTED || self.bytes > MAX_NAMES;
            if !self.too_many {
                self.found.push((entry.clone(), None));
            }
        }
        fn data(&mut self, _: &[u8]) {}
        fn end(&mut self) {}
    }
    let length = file.metadata()?.len();
    let mut reader = Reader::default();
    let mut names = Names::default();
    let mut block = [0u8; BLOCK];
    while !reader.is_done() {
        let known = names.found.len();
        let mut got = 0;
        while got < BLOCK {
            match file.read(block.get_mut(got..).unwrap_or(&mut []))? {
                0 => break,
                n => got += n,
            }
        }
        if got == 0 {
            break;
        }
        reader.feed(block.get(..got).unwrap_or(&[]), &mut names)?;
        if names.too_many {
            return Ok(None);
        }
        let ahead = reader.ahead();
        if let Some((_, offset)) = names.found.get_mut(known) {
            *offset = Some(reader.position());
        }
        // Whole blocks alone are passed over: what is left and its padding come as a block again.
        let pass = ahead / BLOCK as u64 * BLOCK as u64;
        if pass > 0 {
            if reader.position().saturating_add(pass) > length {
                return Err(TarError::Cut.into());
            }
            file.seek(SeekFrom::Current(i64::try_from(pass).unwrap_or(i64::MAX)))?;
            reader.pass(pass);
        }
    }
    reader.finish()?;
    Ok(Some(index(names.found)))
}

/// Names to places; links (old archives share layers so) followed once.
fn index(found: Vec<(Entry, Option<u64>)>) -> HashMap<String, Place> {
    let mut index = HashMap::new();
    let mut links = Vec::new();
    for (entry, offset) in found {
        match (entry.kind, offset) {
            (Kind::File, Some(offset)) => {
                let size = entry.size;
                index.insert(entry.path, Place { offset, size });
            }
            (Kind::Symlink, _) => {
                let folder = super::interest::parent(&entry.path).to_owned();
                links.push((entry.path, beside(&folder, &entry.link)));
            }
            (Kind::Hardlink, _) => links.push((entry.path, beside("", &entry.link))),
            _ => {}
        }
    }
    for (path, target) in links {
        if let Some(place) = index.get(&target).copied() {
            index.insert(path, place);
        }
    }
    index
}

/// `../<id>/layer.tar` seen from a folder.
fn beside(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Archive {
    fn place(&self, name: &str) -> Result<Place, ArchiveError> {
        let name = beside("", name);
        self.index
            .get(&name)
            .copied()
            .ok_or_else(|| ArchiveError::Odd(format!("it lists {name} and does not hold it")))
    }

    fn json(&mut self, name: &str) -> Result<Value, ArchiveError> {
        let place = self.place(name)?;
        if place.size > MAX_JSON {
            return Err(ArchiveError::Odd(format!(
                "{name} is too large for what it is"
            )));
        }
        self.file.seek(SeekFrom::Start(place.offset))?;
        let mut text = Vec::new();
        (&mut self.file).take(place.size).read_to_end(&mut text)?;
        serde_json::from_slice(&text)
            .map_err(|error| ArchiveError::Odd(format!("{name} cannot be read: {error}")))
    }

    /// `manifest.json` of `docker save`.
    fn docker(&mut self) -> Result<Vec<Parts>, ArchiveError> {
        let manifest = self.json("manifest.json")?;
        let mut found = Vec::new();
        for image in manifest.as_array().into_iter().flatten().take(MAX_IMAGES) {
            let text = |key: &str| image.get(key).and_then(Value::as_str);
            let config = text("Config").unwrap_or_default().to_owned();
            let layers = image.get("Layers").and_then(Value::as_array);
            let layers: Vec<&str> = layers
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let name = image
                .get("RepoTags")
                .and_then(|t| t.get(0))
                .and_then(Value::as_str);
            found.push(self.parts(name, &config, &layers)?);
        }
        Ok(found)
    }

    fn parts(
        &mut self,
        name: Option<&str>,
        config: &str,
        layers: &[&str],
    ) -> Result<Parts, ArchiveError> {
        if layers.len() > MAX_LAYERS {
            return Err(ArchiveError::Odd(
                "an image has more layers than engines allow".to_owned(),
            ));
        }
        let json = self.json(config)?;
        let digest = super::interest::file_name(config).trim_end_matches(".json");
        let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Parts {
            name: name.map(|n| crate::model::text::clean(n, 256)),
            id: is_digest.then(|| format!("sha256:{digest}")),
            config: Config::from_file(&json),
            layers: layers
                .iter()
                .map(|l| self.place(l))
                .collect::<Result<_, _>>()?,
        })
    }

    /// `index.json` of the OCI image layout.
    fn oci(&mut self, platform: Option<&str>) -> Result<Vec<Parts>, ArchiveError> {
        let index = self.json("index.json")?;
        let mut found = Vec::new();
        self.oci_index(&index, None, platform, 0, &mut found)?;
        Ok(found)
    }

    fn oci_index(
        &mut self,
        index: &Value,
        name: Option<&str>,
        platform: Option<&str>,
        depth: u8,
        found: &mut Vec<Parts>,
    ) -> Result<(), ArchiveError> {
        let manifests = index.get("manifests").and_then(Value::as_array);
        let manifests: Vec<Value> = manifests.into_iter().flatten().cloned().collect();
        // Of several platforms, the host's; where it is not among them, all: the verdict tells.
        let fits = |m: &Value| {
            let said = |key: &str| {
                m.pointer(&format!("/platform/{key}"))
                    .and_then(Value::as_str)
            };
            match (platform, said("os"), said("architecture")) {
                (Some(wanted), Some(os), Some(cpu)) => {
                    let mut parts = wanted.split('/');
                    parts.next() == Some(os) && parts.next() == Some(cpu)
                }
                _ => true,
            }
        };
        // An archive of one platform may list the others without holding them.
        let held = |m: &Value| blob(m).is_ok_and(|name| self.index.contains_key(&name));
        let here: Vec<&Value> = match manifests.iter().any(held) {
            true => manifests.iter().filter(|m| held(m)).collect(),
            false => manifests.iter().collect(),
        };
        let any = here.iter().any(|m| fits(m));
        for manifest in here.into_iter().filter(|m| !any || fits(m)) {
            let annotation = |key: &str| {
                manifest
                    .get("annotations")
                    .and_then(|a| a.get(key))
                    .and_then(Value::as_str)
            };
            if annotation("vnd.docker.reference.type").is_some() || found.len() >= MAX_IMAGES {
                continue;
            }
            let named = annotation("io.containerd.image.name")
                .or_else(|| annotation("org.opencontainers.image.ref.name"))
                .or(name)
                .map(str::to_owned);
            let blob = blob(manifest)?;
            let json = self.json(&blob)?;
            if json.get("manifests").is_some() && depth < MAX_DEPTH {
                self.oci_index(&json, named.as_deref(), platform, depth + 1, found)?;
                continue;
            }
            let config = self::blob(json.get("config").unwrap_or(&Value::Null))?;
            let layers = json.get("layers").and_then(Value::as_array);
            let layers: Vec<String> = layers
                .into_iter()
                .flatten()
                .map(self::blob)
                .collect::<Result<_, _>>()?;
            let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
            found.push(self.parts(named.as_deref(), &config, &layers)?);
        }
        Ok(())
    }

    fn walk(
        &mut self,
        layers: &[Place],
        done: &mut u64,
        total: u64,
        told: Told<'_>,
    ) -> Result<Content, ArchiveError> {
        let mut walk = Walk::layered();
        let begun = *done;
        // The same layer again and again is none that a tool writes.
        let length = self.file.metadata()?.len();
        let sizes = layers.iter().map(|place| place.size);
        if sizes.fold(0, u64::saturating_add) > length.saturating_mul(2) {
            walk.gap("its layers are larger than its file".to_owned());
            return Ok(walk.finish()?);
        }
        for place in layers {
            self.file.seek(SeekFrom::Start(place.offset))?;
            let before = *done;
            let outcome = one_layer(&mut self.file, *place, &mut walk, before - begun, |read| {
                told(before + read, total)
            });
            *done = before + place.size;
            match outcome {
                Ok(()) => {}
                Err(ArchiveError::Io(error)) => {
                    walk.gap(format!("a layer cannot be unpacked: {error}"));
                    walk.break_layer();
                }
                Err(ArchiveError::Tar(error)) => {
                    walk.gap(format!("a layer is no whole archive: {error}"));
                    walk.break_layer();
                }
                Err(ArchiveError::Odd(why)) => {
                    walk.gap(why);
                    walk.break_layer();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(walk.finish()?)
    }

    /// No image, but a file system by itself: nothing is known of its configuration.
    fn bare(&mut self, told: Told<'_>) -> Result<Archived, ArchiveError> {
        let size = self.file.metadata()?.len();
        self.file.seek(SeekFrom::Start(0))?;
        let mut walk = Walk::new();
        let place = Place { offset: 0, size };
        one_layer(&mut self.file, place, &mut walk, 0, |read| told(read, size))?;
        let content = walk.finish()?;
        if content.entries == 0 {
            return Err(ArchiveError::Odd("there is nothing in it".to_owned()));
        }
        Ok(Archived {
            name: None,
            id: None,
            known: Known {
                content: Some(Arc::new(content)),
                ..Known::default()
            },
        })
    }
}

/// `sha256:0123…` of a descriptor -> `blobs/sha256/0123…`.
fn blob(descriptor: &Value) -> Result<String, ArchiveError> {
    let digest = descriptor
        .get("digest")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match digest.split_once(':') {
        Some((kind, hex)) if !hex.contains('/') && !kind.contains('/') => {
            Ok(format!("blobs/{kind}/{hex}"))
        }
        _ => Err(ArchiveError::Odd(
            "a descriptor without a digest".to_owned(),
        )),
    }
}

/// Walks one layer, before which `before` bytes of the image's layers were read; `told` hears of bytes of
/// the file.
fn one_layer(
    file: &mut File,
    place: Place,
    walk: &mut Walk,
    before: u64,
    mut told: impl FnMut(u64) -> bool,
) -> Result<(), ArchiveError> {
    let read = Cell::new(0);
    let source = Counted {
        inner: file.take(place.size),
        read: &read,
    };
    let mut layer = Layer::new(BufReader::with_capacity(PIECE, source))?;
    let mut piece = vec![0u8; PIECE];
    while !walk.is_done() {
        let got = layer.read(&mut piece)?;
        if got == 0 {
            break;
        }
        walk.feed(piece.get(..got).unwrap_or(&[]))?;
        if !told(read.get()) {
            return Err(ArchiveError::Cancelled);
        }
        if is_bomb(walk.bytes(), before + read.get()) {
            return Err(ArchiveError::Odd(
                "a layer unpacks to more than any real one".to_owned(),
            ));
        }
    }
    walk.next_layer()?;
    Ok(())
}

fn is_bomb(unpacked: u64, packed: u64) -> bool {
    unpacked > BOMB_FLOOR && unpacked / BOMB > packed
}

/// Counts what was read of the file itself.
struct Counted<'a, R> {
    inner: R,
    read: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.read.set(self.read.get() + got as u64);
        Ok(got)
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
