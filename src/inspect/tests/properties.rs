//! What holds for any bytes: no panic, the same in pieces of any size, counters within their bounds.

use proptest::prelude::*;

use super::samples::{code, elf, file, header, meta, tar};
use crate::inspect::elf::{ElfFacts, ElfStream};
use crate::inspect::fatbin::Scanner;
use crate::inspect::tar::tests::record;
use crate::inspect::walk::Walk;
use crate::inspect::{Config, Content, Known};
use crate::verdict::Version;
use crate::verdict::require::{Fact, GpuTerms, HostTerms, evaluate, requirements};

fn read_elf(bytes: &[u8], piece: usize) -> ElfFacts {
    let mut stream = ElfStream::with_note();
    for piece in bytes.chunks(piece) {
        stream.feed(piece);
    }
    stream.finish()
}

fn scan(bytes: &[u8], words: usize) -> Scanner {
    let mut scanner = Scanner::default();
    for piece in bytes.chunks(words * 8) {
        scanner.feed(piece);
    }
    scanner
}

/// What came of it, and whether it was read to its end.
fn walk(bytes: &[u8], piece: usize) -> Option<Content> {
    let mut walk = Walk::new();
    for piece in bytes.chunks(piece) {
        walk.feed(piece).ok()?;
    }
    walk.finish().ok()
}

fn library() -> Vec<u8> {
    let mut note = vec![0u8; 8];
    note.extend(19u32.to_le_bytes());
    note.extend(24u32.to_le_bytes());
    note.extend(1u32.to_le_bytes());
    note.extend(b"NVIDIA Corporation\0\0");
    note.extend(b"{\"CUDA version\": \"12.9\"}");
    elf(
        &["libcudart.so.12", "libcublas.so.12", "libc.so.6"],
        &[
            (".note", note),
            (
                ".nv_fatbin",
                [
                    code(&[80, 90], Some((90, (8, 4)))),
                    code(&[80], None),
                    code(&[120], None),
                ]
                .concat(),
            ),
            ("__nv_relfatbin", code(&[], Some((120, (8, 7))))),
        ],
    )
}

fn archive() -> Vec<u8> {
    let long = format!(
        "usr/lib/python3.11/site-packages/{}/libx.so",
        "d".repeat(120)
    );
    tar(&[
        meta(b'L', long.as_bytes()),
        file("short", &library()),
        meta(
            b'x',
            (record("path", "opt/libcuda.so.550.1") + &record("mtime", "1.5")).as_bytes(),
        ),
        file("other", &library()),
        file("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n"),
        file(
            "x/torch/version.py",
            b"__version__ = '2.6.0'\ncuda = '12.4'\n",
        ),
        header("usr/lib/libx.so", b'2', 0, "libx.so.1"),
        header("usr/lib/liby.so", b'1', 0, "opt/libcuda.so.550.1"),
        file(
            "var/lib/dpkg/status",
            b"Package: libc6\nVersion: 2.36-9\n\n",
        ),
    ])
}

/// A valid file with some bytes changed, and maybe cut.
fn damaged(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = valid.len();
    let changes = proptest::collection::vec((0..len, any::<u8>()), 0..8);
    (changes, 0..len * 4).prop_map(move |(changes, end)| {
        let mut bytes = valid.clone();
        for (at, with) in changes {
            bytes[at] = with;
        }
        bytes.truncate(end.max(1));
        bytes
    })
}

#[test]
fn the_whole_ones_are_read_in_full() {
    let facts = read_elf(&library(), 13);
    assert_eq!(facts.needed.len(), 3);
    assert_eq!(facts.code.containers(), 3);
    assert!(facts.note.is_some_and(|note| note.contains("12.9")));
    let content = walk(&archive(), 100).unwrap();
    assert_eq!(content.elves.len(), 2);
    assert_eq!(content.nodes.len(), 6);
}

proptest! {
    #[test]
    fn any_text_as_a_requirement(
        text in "((cuda|driver|brand|arch|x)(>=|<=|!=|=|<|>)[0-9a-z.]{0,8}[ ,]{0,2}){0,6}|\\PC{0,80}",
    ) {
        let found = requirements([
            ("NVIDIA_REQUIRE_CUDA", text.as_str()),
            ("NVIDIA_REQUIRE_X", text.as_str()),
            ("CUDA_VERSION", text.as_str()),
            ("NVIDIA_DISABLE_REQUIRE", text.as_str()),
        ]);
        let version = Version::from_pair(12, 4);
        let gpu = GpuTerms { arch: Fact::Known(&version), brand: Fact::Known("tesla") };
        for gpus in [&[gpu][..], &[]] {
            let host = HostTerms { cuda: Fact::Known(&version), driver: Fact::Unknown, gpus };
            for (_, value) in &found.predicates {
                let _ = evaluate(value, &host);
            }
        }
    }

    #[test]
    fn any_bytes_as_a_library(bytes in proptest::collection::vec(any::<u8>(), 0..3000), piece in 1usize..700) {
        let mut bytes = bytes;
        for (at, with) in [0x7f, b'E', b'L', b'F', 2, 1].into_iter().enumerate() {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
        }
        prop_assert_eq!(read_elf(&bytes, piece), read_elf(&bytes, 1 << 20));
    }

    #[test]
    fn a_damaged_library(bytes in damaged(library()), piece in 1usize..700) {
        prop_assert_eq!(read_elf(&bytes, piece), read_elf(&bytes, 1 << 20));
    }

    #[test]
    fn damaged_device_code(
        bytes in damaged([code(&[80, 90], Some((90, (8, 4)))), vec![0; 16], code(&[50], None)].concat()),
        words in 1usize..20,
    ) {
        let (pieces, whole) = (scan(&bytes, words), scan(&bytes, 1 << 16));
        prop_assert_eq!(pieces.found(), whole.found());
        prop_assert_eq!(pieces.shapes(), whole.shapes());
        prop_assert_eq!(pieces.problem(), whole.problem());
        prop_assert_eq!(pieces.broken(), whole.broken());
    }

    #[test]
    fn a_damaged_archive_and_its_facts(bytes in damaged(archive()), piece in 1usize..700) {
        let whole = walk(&bytes, 1 << 20);
        prop_assert_eq!(&walk(&bytes, piece), &whole);
        if let Some(content) = whole {
            let known = Known {
                config: Config::default(),
                content: Some(std::sync::Arc::new(content)),
                live: false,
            };
            let _ = known.facts();
        }
    }

    #[test]
    fn any_entries_as_layers(
        layers in proptest::collection::vec(
            proptest::collection::vec(("[ab]{1,2}(/(\\.wh\\.)?[ab]{1,2}){0,3}(/\\.wh\\.\\.wh\\.\\.opq|\\.so)?", 0u8..8), 0..12),
            1..4,
        ),
    ) {
        let mut walk = Walk::layered();
        for layer in layers {
            let entries: Vec<Vec<u8>> = layer
                .iter()
                .map(|(path, kind)| header(path, b'0' + kind, 0, "a/b.so"))
                .collect();
            walk.feed(&tar(&entries)).unwrap();
            walk.next_layer().unwrap();
        }
        prop_assert!(walk.within_bounds());
        let content = walk.finish().unwrap();
        let facts = Known { content: Some(std::sync::Arc::new(content)), ..Known::default() }.facts();
        prop_assert!(facts.frameworks.is_empty());
    }
}
