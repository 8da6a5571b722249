//! Archives and libraries made by hand.

use crate::inspect::fatbin::tests::{container, entry};
use crate::inspect::tar::BLOCK;
pub(crate) use crate::inspect::tar::tests::{file, header, meta};
use crate::inspect::walk::Walk;
use crate::inspect::{Config, Content, Known};

/// An ELF file that needs these libraries and has these sections, as linkers lay it out: names first, the
/// section table last.
pub(crate) fn elf(needed: &[&str], sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    const BASE: u64 = 0x10_0000;
    let align = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(16), 0);
    let mut file = vec![0u8; 64 + 2 * 56];
    align(&mut file);
    let strings = file.len() as u64;
    file.push(0);
    let mut dynamic: Vec<[u64; 2]> = Vec::new();
    for name in needed {
        dynamic.push([1, file.len() as u64 - strings]);
        file.extend(name.as_bytes());
        file.push(0);
    }
    dynamic.push([5, BASE + strings]);
    dynamic.push([0, 0]);
    align(&mut file);
    let mut table: Vec<(usize, u64, u64)> = vec![(0, 0, 0)];
    let mut names = vec![0u8];
    for (name, bytes) in sections {
        table.push((names.len(), file.len() as u64, bytes.len() as u64));
        names.extend(name.as_bytes());
        names.push(0);
        file.extend(bytes);
        align(&mut file);
    }
    let dynamic_at = file.len() as u64;
    let dynamic: Vec<u8> = dynamic
        .iter()
        .flatten()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    file.extend(&dynamic);
    table.push((0, file.len() as u64, names.len() as u64));
    file.extend(&names);
    align(&mut file);
    let table_at = file.len() as u64;
    for (name, offset, size) in &table {
        let mut header = [0u8; 64];
        header[..4].copy_from_slice(&(*name as u32).to_le_bytes());
        header[24..32].copy_from_slice(&offset.to_le_bytes());
        header[32..40].copy_from_slice(&size.to_le_bytes());
        file.extend(header);
    }
    let len = file.len() as u64;
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[40..48].copy_from_slice(&table_at.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&2u16.to_le_bytes());
    file[58..60].copy_from_slice(&64u16.to_le_bytes());
    file[60..62].copy_from_slice(&(table.len() as u16).to_le_bytes());
    file[62..64].copy_from_slice(&(table.len() as u16 - 1).to_le_bytes());
    let mut program = |at: usize, kind: u32, offset: u64, size: u64| {
        file[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        file[at + 8..at + 16].copy_from_slice(&offset.to_le_bytes());
        file[at + 16..at + 24].copy_from_slice(&(BASE + offset).to_le_bytes());
        file[at + 32..at + 40].copy_from_slice(&size.to_le_bytes());
    };
    program(64, 1, 0, len);
    program(64 + 56, 2, dynamic_at, dynamic.len() as u64);
    file
}

/// A container with SASS for these architectures and PTX for this one.
pub(crate) fn code(sass: &[u32], ptx: Option<(u32, (u16, u16))>) -> Vec<u8> {
    let mut entries: Vec<Vec<u8>> = sass
        .iter()
        .map(|arch| entry(2, *arch, 0, (1, 7), 64, 16))
        .collect();
    entries.extend(ptx.map(|(arch, isa)| entry(1, arch, 0, isa, 72, 8)));
    container(&entries)
}

/// A library of CUDA.
pub(crate) fn cuda_library(needed: &[&str], sass: &[u32]) -> Vec<u8> {
    elf(needed, &[(".nv_fatbin", code(sass, None))])
}

/// Archives one after another, with the end mark.
pub(crate) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// What a walk over an archive keeps.
pub(crate) fn walked(tar: &[u8], piece: usize) -> Content {
    let mut walk = Walk::new();
    for piece in tar.chunks(piece) {
        walk.feed(piece).unwrap();
    }
    walk.finish().unwrap()
}

/// What a walk over layers keeps.
pub(crate) fn layered(layers: &[Vec<u8>]) -> Content {
    let mut walk = Walk::layered();
    for layer in layers {
        walk.feed(layer).unwrap();
        walk.next_layer().unwrap();
    }
    walk.finish().unwrap()
}

pub(crate) fn known(content: Content) -> Known {
    Known {
        config: Config::default(),
        content: Some(std::sync::Arc::new(content)),
        live: false,
    }
}
