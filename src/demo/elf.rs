//! Writes small ELF libraries with device code, as NVIDIA's compilers lay it out: for the simulated images,
//! and for tests of what reads them.
//!
//! Layout of fatbinaries: checked on 31 libraries of 9 frameworks. Payloads are noise of a small size.

use super::random::Dice;

/// The machine of an ELF file (`e_machine`).
const X86_64: u16 = 62;
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
/// Bytes of one piece of device code; real ones are up to some 100,000.
const PAYLOAD: usize = 1024;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_RUNPATH: u64 = 29;
const SHT_PROGBITS: u32 = 1;
const SHT_STRTAB: u32 = 3;
const SHT_DYNAMIC: u32 = 6;
const SHT_NOTE: u32 = 7;

/// The device code of one container of a fatbinary: architectures as `90`, `90a`, `100f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code<'a> {
    /// Machine code for these.
    pub sass: &'a [&'a str],
    /// PTX for these, with the version of the PTX ISA.
    pub ptx: &'a [(&'a str, (u16, u16))],
}

/// A fatbinary: these containers one behind the other, as in `.nv_fatbin`.
pub fn fatbinary(containers: &[Code<'_>]) -> Vec<u8> {
    let dice = Dice::new(0, "device code");
    let mut out = Vec::new();
    for container in containers {
        let mut body = Vec::new();
        for arch in container.sass {
            entry(&mut body, 2, arch, (1, 7), &noise(dice, PAYLOAD));
        }
        for (arch, isa) in container.ptx {
            let text = format!("//\n.version {}.{}\n.target sm_{arch}\n", isa.0, isa.1);
            entry(&mut body, 1, arch, *isa, text.as_bytes());
        }
        put32(&mut out, 0xBA55_ED50);
        put16(&mut out, 1);
        put16(&mut out, 16);
        put64(&mut out, body.len() as u64);
        out.extend_from_slice(&body);
    }
    out
}

fn entry(out: &mut Vec<u8>, kind: u16, arch: &str, version: (u16, u16), payload: &[u8]) {
    let digits = arch.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    // Bits of the flags: 64-bit, Linux; architecture-specific, family.
    let suffix = match arch.strip_prefix(digits) {
        Some("a") => 0x10_0000,
        Some("f") => 0x20_0000,
        _ => 0,
    };
    let padded = payload.len().next_multiple_of(8);
    put16(out, kind);
    put16(out, 0x0101);
    put32(out, 64);
    put64(out, padded as u64);
    put64(out, 0);
    put16(out, version.1);
    put16(out, version.0);
    put32(out, digits.parse().unwrap_or(0));
    put64(out, 0);
    put64(out, 0x11 | suffix);
    put64(out, 0);
    put64(out, 0);
    let end = out.len() + padded;
    out.extend_from_slice(payload);
    out.resize(end, 0);
}

fn noise(dice: Dice, size: usize) -> Vec<u8> {
    (0..size as u64 / 8)
        .flat_map(|k| dice.at(k).to_le_bytes())
        .collect()
}

struct Section {
    name: String,
    kind: u32,
    bytes: Vec<u8>,
}

/// A shared library to be.
pub struct Library {
    soname: String,
    needed: Vec<String>,
    runpath: Option<String>,
    sections: Vec<Section>,
}

impl Library {
    /// A library without anything in it.
    pub fn new(soname: &str) -> Self {
        Self {
            soname: soname.to_owned(),
            needed: Vec::new(),
            runpath: None,
            sections: Vec::new(),
        }
    }

    /// It needs these (`DT_NEEDED`).
    #[must_use]
    pub fn needs(mut self, names: &[&str]) -> Self {
        self.needed
            .extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Where it looks for them first (`DT_RUNPATH`).
    #[must_use]
    pub fn runpath(mut self, path: &str) -> Self {
        self.runpath = Some(path.to_owned());
        self
    }

    /// A section of its own.
    #[must_use]
    pub fn section(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.sections.push(Section {
            name: name.to_owned(),
            kind: SHT_PROGBITS,
            bytes,
        });
        self
    }

    /// Device code: so many containers of this.
    #[must_use]
    pub fn code(self, code: Code<'_>, containers: usize) -> Self {
        self.section(".nv_fatbin", fatbinary(&vec![code; containers]))
    }

    /// The note in which a forward-compatibility libcuda says which hosts it is for, as JSON.
    #[must_use]
    pub fn compat_note(mut self, json: &str) -> Self {
        let owner = b"NVIDIA Corporation\0";
        let mut note = Vec::new();
        put32(&mut note, owner.len() as u32);
        put32(&mut note, json.len() as u32);
        put32(&mut note, 1);
        for part in [&owner[..], json.as_bytes()] {
            note.extend_from_slice(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        self.sections.push(Section {
            name: ".note.cuda.fwd_compatibility".into(),
            kind: SHT_NOTE,
            bytes: note,
        });
        self
    }

    /// The file: headers, names, sections, dynamic section, and the section table at the end, as linkers
    /// write it.
    pub fn build(self) -> Vec<u8> {
        let mut names = vec![0];
        let mut name = |text: &str| {
            let at = names.len() as u64;
            names.extend_from_slice(text.as_bytes());
            names.push(0);
            at
        };
        let mut dynamic: Vec<(u64, u64)> = self
            .needed
            .iter()
            .map(|needed| (DT_NEEDED, name(needed)))
            .collect();
        dynamic.push((DT_SONAME, name(&self.soname)));
        if let Some(path) = &self.runpath {
            dynamic.push((DT_RUNPATH, name(path)));
        }
        let strings_at = HEADER + 2 * PROGRAM_HEADER;
        // Addresses are places in the file.
        dynamic.push((DT_STRTAB, strings_at as u64));
        dynamic.push((DT_STRSZ, names.len() as u64));
        dynamic.push((0, 0));
        let mut dynamics = Vec::new();
        for (tag, value) in &dynamic {
            put64(&mut dynamics, *tag);
            put64(&mut dynamics, *value);
        }

        let section = |name: &str, kind, bytes| Section {
            name: name.into(),
            kind,
            bytes,
        };
        let mut sections = vec![section(".dynstr", SHT_STRTAB, names)];
        sections.extend(self.sections);
        sections.push(section(".dynamic", SHT_DYNAMIC, dynamics));
        sections.push(section(".shstrtab", SHT_STRTAB, Vec::new()));
        let mut titles = vec![0];
        let titles_at: Vec<u32> = sections
            .iter()
            .map(|section| {
                let at = titles.len() as u32;
                titles.extend_from_slice(section.name.as_bytes());
                titles.push(0);
                at
            })
            .collect();
        if let Some(last) = sections.last_mut() {
            last.bytes = titles;
        }

        let mut body = Vec::new();
        let mut table = vec![0; SECTION_HEADER];
        let mut dynamic_at = (0, 0);
        for (section, title) in sections.iter().zip(titles_at) {
            body.resize(body.len().next_multiple_of(8), 0);
            let at = strings_at + body.len();
            if section.kind == SHT_DYNAMIC {
                dynamic_at = (at as u64, section.bytes.len() as u64);
            }
            put32(&mut table, title);
            put32(&mut table, section.kind);
            put64(&mut table, 0);
            put64(&mut table, at as u64);
            put64(&mut table, at as u64);
            put64(&mut table, section.bytes.len() as u64);
            put64(&mut table, 0);
            put64(&mut table, 8);
            put64(&mut table, 0);
            body.extend_from_slice(&section.bytes);
        }
        body.resize(body.len().next_multiple_of(8), 0);
        let table_at = (strings_at + body.len()) as u64;

        let count = sections.len() as u16 + 1;
        let mut file = header(table_at, count);
        program_header(&mut file, PT_LOAD, (0, table_at));
        program_header(&mut file, PT_DYNAMIC, dynamic_at);
        file.extend_from_slice(&body);
        file.extend_from_slice(&table);
        file
    }
}

fn header(table_at: u64, count: u16) -> Vec<u8> {
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    put64(&mut out, 0);
    // A shared object.
    put16(&mut out, 3);
    put16(&mut out, X86_64);
    put32(&mut out, 1);
    put64(&mut out, 0);
    put64(&mut out, HEADER as u64);
    put64(&mut out, table_at);
    put32(&mut out, 0);
    put16(&mut out, HEADER as u16);
    put16(&mut out, PROGRAM_HEADER as u16);
    put16(&mut out, 2);
    put16(&mut out, SECTION_HEADER as u16);
    put16(&mut out, count);
    put16(&mut out, count - 1);
    out
}

fn program_header(out: &mut Vec<u8>, kind: u32, (at, size): (u64, u64)) {
    put32(out, kind);
    put32(out, 4);
    for value in [at, at, at, size, size, 8] {
        put64(out, value);
    }
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}
