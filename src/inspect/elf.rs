//! Reads an ELF library as it streams by: which sections its device code is in, and what it needs.
//!
//! The section table of an ELF stands at its end and a tar stream goes forward alone. So the header (first
//! 64 bytes) tells in advance which ranges to keep: the program headers, the dynamic section, the last
//! 64 KiB before the section table and the table itself. Device code containers are found by their magic on
//! the way and counted to their sections at the end. Memory: about 2 MiB at most, whatever the file says, and
//! what the scanner of containers takes.

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::fatbin::Scanner;
use crate::verdict::facts::{ContainerShape, DeviceCode, PtxCode};

const HEADER: usize = 64;
const MAX_PROGRAM_HEADERS: u64 = 64 << 10;
const MAX_DYNAMIC: u64 = 64 << 10;
const MAX_SECTION_TABLE: u64 = 1 << 20;
/// Section names stand right before the section table in what linkers write.
const BEFORE_TABLE: u64 = 64 << 10;
const MAX_STRINGS: usize = 1024;
const MAX_STRING: usize = 200;
/// Bytes of a piece's end that the next one may need to complete a name.
const TAIL: usize = 2 * MAX_STRING;
/// Sections of one name that count: real libraries have one.
const MAX_ALIKE: usize = 16;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;

/// A range of the file to keep.
#[derive(Debug)]
struct Capture {
    offset: u64,
    bytes: Vec<u8>,
    want: usize,
}

impl Capture {
    fn new(offset: u64, len: u64) -> Self {
        Self {
            offset,
            bytes: Vec::new(),
            want: usize::try_from(len).unwrap_or(0),
        }
    }

    fn feed(&mut self, position: u64, piece: &[u8]) {
        let next = self.offset + self.bytes.len() as u64;
        let missing = self.want - self.bytes.len();
        if missing == 0 || position > next {
            return;
        }
        let skip = usize::try_from(next - position).unwrap_or(usize::MAX);
        if let Some(rest) = piece.get(skip..) {
            let take = rest.len().min(missing);
            self.bytes
                .extend_from_slice(rest.get(..take).unwrap_or(&[]));
        }
    }

    /// The kept bytes from an offset of the file on.
    fn at(&self, offset: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..)
    }
}

/// What was found in a library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// `e_machine`: 62 x86_64, 183 aarch64.
    pub machine: u16,
    /// `DT_NEEDED` names, as far as they were seen.
    pub needed: Vec<String>,
    /// Device code of `.nv_fatbin` (of the whole file where the section table cannot be read).
    pub code: DeviceCode,
    /// An AMD fat binary section.
    pub hip: bool,
    /// JSON text of NVIDIA's forward-compatibility note, in a compat `libcuda`.
    pub note: Option<String>,
    /// Why the device code is not told in full.
    pub problem: Option<String>,
}

/// Whether a file may be worth reading: the ELF magic of a 64-bit little-endian file.
pub fn is_elf(first: &[u8]) -> bool {
    first.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1])
}

/// Reads one library.
#[derive(Debug)]
pub struct ElfStream {
    position: u64,
    /// Bytes short of a word, for the scanner.
    partial: Vec<u8>,
    header: Vec<u8>,
    captures: Vec<Capture>,
    section_table: Option<(u64, u16, u16)>,
    scanner: Scanner,
    strings: Vec<(u64, String)>,
    tail: Vec<u8>,
    dot_so: memmem::Finder<'static>,
    planned: bool,
    note: Option<NoteSearch>,
}

impl Default for ElfStream {
    fn default() -> Self {
        Self {
            position: 0,
            partial: Vec::new(),
            header: Vec::new(),
            captures: Vec::new(),
            section_table: None,
            scanner: Scanner::default(),
            strings: Vec::new(),
            tail: Vec::new(),
            dot_so: memmem::Finder::new(b".so"),
            planned: false,
            note: None,
        }
    }
}

impl ElfStream {
    /// A reader at the file's first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for a `libcuda`, which may have the forward-compatibility note.
    pub fn with_note() -> Self {
        Self {
            note: Some(NoteSearch::default()),
            ..Self::default()
        }
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.header.len() < HEADER {
            let missing = HEADER - self.header.len();
            self.header.extend(piece.iter().take(missing));
            if self.header.len() == HEADER {
                self.plan();
            }
        }
        for capture in &mut self.captures {
            capture.feed(self.position, piece);
        }
        self.plan_dynamic(piece);
        if let Some(note) = &mut self.note {
            note.feed(piece);
        }
        self.find_names(piece);
        self.scan(piece);
        self.position += piece.len() as u64;
    }

    /// From the file's header: which ranges to keep. Those that begin in the piece being fed are fed after.
    fn plan(&mut self) {
        let u64_at = |at| read_u64(&self.header, at).unwrap_or(0);
        let u16_at = |at| read_u16(&self.header, at).unwrap_or(0);
        let program = u64_at(32);
        let program_len = u64::from(u16_at(54)) * u64::from(u16_at(56));
        let table = u64_at(40);
        let entry = u64::from(u16_at(58));
        let count = u16_at(60);
        if program_len > 0 && program_len <= MAX_PROGRAM_HEADERS {
            self.captures.push(Capture::new(program, program_len));
        }
        let table_len = entry * u64::from(count);
        if entry == 64 && table_len > 0 && table_len <= MAX_SECTION_TABLE {
            let from = table.saturating_sub(BEFORE_TABLE);
            if let Some(len) = (table - from).checked_add(table_len) {
                self.captures.push(Capture::new(from, len));
                self.section_table = Some((table, count, u16_at(62)));
            }
        }
        // What of the header piece came before this moment must be kept too.
        let header = std::mem::take(&mut self.header);
        for capture in &mut self.captures {
            capture.feed(0, &header);
        }
        self.header = header;
    }

    /// Once the program headers are there: keep the dynamic section, which is still to come or in this piece.
    fn plan_dynamic(&mut self, piece: &[u8]) {
        if self.planned {
            return;
        }
        let Some(program) = self.program_headers().map(<[u8]>::to_vec) else {
            return;
        };
        self.planned = true;
        for header in program.chunks_exact(56) {
            if read_u32(header, 0) == Some(PT_DYNAMIC) {
                let (Some(offset), Some(len)) = (read_u64(header, 8), read_u64(header, 32)) else {
                    continue;
                };
                if len <= MAX_DYNAMIC && offset >= self.position && self.captures.len() < 8 {
                    let mut capture = Capture::new(offset, len);
                    capture.feed(self.position, piece);
                    self.captures.push(capture);
                }
            }
        }
    }

    fn program_headers(&self) -> Option<&[u8]> {
        let offset = read_u64(&self.header, 32)?;
        let len =
            usize::from(read_u16(&self.header, 54)?) * usize::from(read_u16(&self.header, 56)?);
        let capture = self
            .captures
            .iter()
            .find(|c| c.offset == offset && c.want == len)?;
        (len > 0 && capture.bytes.len() == len).then_some(capture.bytes.as_slice())
    }

    /// Keeps strings that look like library names, with their offsets: those in the dynamic string table
    /// are told apart at the end.
    fn find_names(&mut self, piece: &[u8]) {
        if self.strings.len() >= MAX_STRINGS {
            return;
        }
        // First what stands across the border to the piece before, then the piece by itself.
        let (begin, _) = piece.split_at(piece.len().min(TAIL));
        if !self.tail.is_empty() {
            let base = self.position - self.tail.len() as u64;
            let mut border = std::mem::take(&mut self.tail);
            border.extend_from_slice(begin);
            self.names_in(&border, base);
            self.tail = border;
        }
        self.names_in(piece, self.position);
        if piece.len() >= TAIL {
            self.tail.clear();
            self.tail
                .extend_from_slice(piece.get(piece.len() - TAIL..).unwrap_or(&[]));
        } else {
            if self.tail.is_empty() {
                self.tail.extend_from_slice(piece);
            }
            let excess = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..excess);
        }
    }

    /// Names that lie in these bytes from their first byte to the zero behind them.
    fn names_in(&mut self, bytes: &[u8], base: u64) {
        for hit in self.dot_so.find_iter(bytes) {
            let start = bytes
                .get(hit.saturating_sub(MAX_STRING)..hit)
                .and_then(|before| memchr::memrchr(0, before))
                .map(|zero| hit.saturating_sub(MAX_STRING) + zero + 1);
            let end = bytes
                .get(hit..bytes.len().min(hit + MAX_STRING))
                .and_then(|after| memchr::memchr(0, after))
                .map(|zero| hit + zero);
            let (Some(start), Some(end)) = (start, end) else {
                continue;
            };
            let name = bytes.get(start..end).unwrap_or(&[]);
            let plain = name.starts_with(b"lib")
                && name
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(b));
            if !plain {
                continue;
            }
            let offset = base + start as u64;
            if self.strings.last().is_none_or(|(last, _)| *last < offset) {
                self.strings
                    .push((offset, String::from_utf8_lossy(name).into_owned()));
                if self.strings.len() >= MAX_STRINGS {
                    return;
                }
            }
        }
    }

    /// Hands whole words to the scanner.
    fn scan(&mut self, mut piece: &[u8]) {
        if !self.partial.is_empty() {
            let missing = 8 - self.partial.len();
            let take = missing.min(piece.len());
            self.partial
                .extend_from_slice(piece.get(..take).unwrap_or(&[]));
            piece = piece.get(take..).unwrap_or(&[]);
            if self.partial.len() < 8 {
                return;
            }
            self.scanner.feed(&self.partial);
            self.partial.clear();
        }
        let whole = piece.len() / 8 * 8;
        let (words, rest) = piece.split_at(whole);
        self.scanner.feed(words);
        self.partial.extend_from_slice(rest);
    }

    /// The file has ended.
    pub fn finish(self) -> ElfFacts {
        let sections = self.sections();
        let mut facts = ElfFacts {
            machine: read_u16(&self.header, 18).unwrap_or(0),
            needed: self.needed(),
            problem: self.scanner.problem().map(str::to_owned),
            note: self.note.as_ref().and_then(|n| n.found.clone()),
            ..ElfFacts::default()
        };
        let Some(sections) = sections else {
            self.count_everything(&mut facts);
            return facts;
        };
        facts.hip = sections.hip;
        let shapes = self.scanner.shapes();
        let mut counts = vec![0u32; shapes.len()];
        let mut is_relocatable = vec![false; shapes.len()];
        for found in self.scanner.found() {
            let index = found.shape as usize;
            if within(&sections.fatbin, found.offset) {
                if let Some(count) = counts.get_mut(index) {
                    *count += 1;
                }
            } else if within(&sections.relocatable, found.offset)
                && let Some(flag) = is_relocatable.get_mut(index)
            {
                *flag = true;
            }
        }
        let mut relocatable: Vec<PtxCode> = shapes
            .iter()
            .zip(is_relocatable)
            .filter(|(_, found)| *found)
            .flat_map(|(shape, _)| shape.ptx.iter().copied())
            .collect();
        facts.code.shapes = counted(shapes, &counts);
        relocatable.sort_unstable();
        relocatable.dedup();
        relocatable.shrink_to_fit();
        facts.code.relocatable_ptx = relocatable;
        let damaged = |offset: &u64| {
            within(&sections.fatbin, *offset) || within(&sections.relocatable, *offset)
        };
        if facts.problem.is_none() {
            if sections.too_many {
                facts.problem = Some("it has more sections of device code than one".to_owned());
            } else if self.scanner.broken().iter().any(damaged) {
                facts.problem = Some("some of its device code is damaged".to_owned());
            }
        }
        facts
    }

    /// Without a section table every container counts, and that is said.
    fn count_everything(&self, facts: &mut ElfFacts) {
        let shapes = self.scanner.shapes();
        let mut counts = vec![0u32; shapes.len()];
        for found in self.scanner.found() {
            if let Some(count) = counts.get_mut(found.shape as usize) {
                *count += 1;
            }
        }
        facts.code.shapes = counted(shapes, &counts);
        if facts.code.containers() > 0 && facts.problem.is_none() {
            facts.problem = Some("its section table could not be read".to_owned());
        }
    }

    fn capture_at(&self, offset: u64) -> Option<&[u8]> {
        self.captures
            .iter()
            .find_map(|c| c.at(offset).filter(|b| !b.is_empty()))
    }

    fn sections(&self) -> Option<Sections> {
        let (table, count, names_index) = self.section_table?;
        let bytes = self.capture_at(table)?.get(..usize::from(count) * 64)?;
        let header = |index: u16| bytes.get(usize::from(index) * 64..usize::from(index) * 64 + 64);
        let names_offset = read_u64(header(names_index)?, 24)?;
        let names = self.capture_at(names_offset)?;
        let mut sections = Sections::default();
        for entry in bytes.chunks_exact(64) {
            let name = names.get(read_u32(entry, 0)? as usize..)?;
            let list = if name.starts_with(b".nv_fatbin\0") {
                &mut sections.fatbin
            } else if name.starts_with(b"__nv_relfatbin\0") {
                &mut sections.relocatable
            } else {
                sections.hip |= name.starts_with(b".hip_fatbin\0");
                continue;
            };
            if list.len() < MAX_ALIKE {
                list.push((read_u64(entry, 24)?, read_u64(entry, 32)?));
            } else {
                sections.too_many = true;
            }
        }
        Some(sections)
    }

    /// `DT_NEEDED`: the dynamic section gives offsets into the dynamic string table, whose address the
    /// program headers turn into a place in the file.
    fn needed(&self) -> Vec<String> {
        let Some(program) = self.program_headers() else {
            return Vec::new();
        };
        let find = |kind: u32| {
            program
                .chunks_exact(56)
                .filter(move |h| read_u32(h, 0) == Some(kind))
        };
        let Some(dynamic) = find(PT_DYNAMIC).next().and_then(|h| {
            self.capture_at(read_u64(h, 8)?)?
                .get(..usize::try_from(read_u64(h, 32)?).ok()?)
        }) else {
            return Vec::new();
        };
        let entries = || {
            dynamic
                .chunks_exact(16)
                .filter_map(|e| Some((read_u64(e, 0)?, read_u64(e, 8)?)))
                .take_while(|(tag, _)| *tag != 0)
        };
        let Some((_, address)) = entries().find(|(tag, _)| *tag == DT_STRTAB) else {
            return Vec::new();
        };
        let in_file = find(PT_LOAD).find_map(|h| {
            let (offset, start, len) = (read_u64(h, 8)?, read_u64(h, 16)?, read_u64(h, 32)?);
            let inside = address.checked_sub(start)?;
            (inside < len).then(|| offset.checked_add(inside)).flatten()
        });
        let Some(base) = in_file else {
            return Vec::new();
        };
        entries()
            .filter(|(tag, _)| *tag == DT_NEEDED)
            .filter_map(|(_, at)| {
                let offset = base.checked_add(at)?;
                let index = self
                    .strings
                    .binary_search_by_key(&offset, |(o, _)| *o)
                    .ok()?;
                self.strings.get(index).map(|(_, name)| name.clone())
            })
            .collect()
    }
}

/// Looks for an ELF note of owner `NVIDIA Corporation` whose descriptor is JSON, wherever it stands.
///
/// Source: libcuda 575.57.08 and 590.44.01 of the compat packages.
#[derive(Debug, Default)]
struct NoteSearch {
    kept: Vec<u8>,
    found: Option<String>,
}

const NOTE_OWNER: &[u8] = b"NVIDIA Corporation\0";
const MAX_NOTE: usize = 4096;

impl NoteSearch {
    fn feed(&mut self, piece: &[u8]) {
        if self.found.is_some() {
            return;
        }
        self.kept.extend_from_slice(piece);
        self.found = memchr::memmem::find_iter(&self.kept, NOTE_OWNER)
            .find_map(|at| note_at(&self.kept, at));
        // What a note that began here may still need, with its header before it.
        let keep = self.kept.len().min(2 * MAX_NOTE);
        self.kept.drain(..self.kept.len() - keep);
    }
}

/// The descriptor of the note whose owner begins at `at`.
fn note_at(bytes: &[u8], at: usize) -> Option<String> {
    let header = at.checked_sub(12)?;
    let name_len = read_u32(bytes, header)? as usize;
    let len = read_u32(bytes, header + 4)? as usize;
    if name_len != NOTE_OWNER.len() || len > MAX_NOTE {
        return None;
    }
    let start = at + name_len.next_multiple_of(4);
    let text = bytes.get(start..start.checked_add(len)?)?;
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
    text.starts_with('{').then(|| text.to_owned())
}

/// Where device code is: offsets and sizes.
#[derive(Debug, Default)]
struct Sections {
    fatbin: Vec<(u64, u64)>,
    relocatable: Vec<(u64, u64)>,
    hip: bool,
    too_many: bool,
}

fn within(ranges: &[(u64, u64)], offset: u64) -> bool {
    ranges
        .iter()
        .any(|(start, size)| offset >= *start && offset - start < *size)
}

/// Shapes with how often they were found; those without code are not told.
fn counted(shapes: &[ContainerShape], counts: &[u32]) -> Vec<(ContainerShape, u32)> {
    shapes
        .iter()
        .zip(counts)
        .filter(|(shape, count)| **count > 0 && !(shape.sass.is_empty() && shape.ptx.is_empty()))
        .map(|(shape, count)| (shape.clone(), *count))
        .collect()
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        bytes.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the files named in an environment variable: for checking against real wheels by hand.
    #[test]
    fn real_libraries_if_named() {
        let Ok(paths) = std::env::var("MIDWATCH_TEST_LIBRARIES") else {
            return;
        };
        for path in paths.split(':') {
            let bytes = std::fs::read(path).unwrap();
            let start = std::time::Instant::now();
            let mut stream = ElfStream::new();
            for piece in bytes.chunks(65_521) {
                stream.feed(piece);
            }
            let facts = stream.finish();
            println!("{path}: {} MB in {:?}", bytes.len() >> 20, start.elapsed());
            println!(
                "  {} containers, {:?}",
                facts.code.containers(),
                facts.problem
            );
            for (target, share) in facts.code.sass_shares() {
                println!("  {} {share:.3}", target.sass_name());
            }
            for (code, share) in facts.code.ptx_shares() {
                println!("  {} {:?} {share:.3}", code.target.ptx_name(), code.isa);
            }
            println!(
                "  rel {:?}",
                facts
                    .code
                    .relocatable_ptx
                    .iter()
                    .map(|p| p.target.ptx_name())
                    .collect::<Vec<_>>()
            );
            println!("  needed {:?}", facts.needed);
        }
    }
}
