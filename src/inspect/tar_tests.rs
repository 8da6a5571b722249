//! Archives of every form, whole, damaged and hostile.

use super::*;
use proptest::prelude::*;

/// What a sink saw.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(crate) struct Seen {
    pub entries: Vec<Entry>,
    pub data: Vec<u8>,
    pub ends: usize,
}

impl Sink for Seen {
    fn entry(&mut self, entry: &Entry) {
        self.entries.push(entry.clone());
    }
    fn data(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }
    fn end(&mut self) {
        self.ends += 1;
    }
}

pub(crate) fn header(name: &str, kind: u8, size: u64, link: &str) -> Vec<u8> {
    let mut block = vec![0u8; BLOCK];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..263].copy_from_slice(b"ustar\0");
    finish(&mut block);
    block
}

fn finish(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub(crate) fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, b'0', content.len() as u64, "");
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
    bytes
}

pub(crate) fn meta(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header("././@LongLink", kind, content.len() as u64, "");
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
    bytes
}

fn read(bytes: &[u8], piece: usize) -> (Seen, Result<(), TarError>) {
    let mut reader = Reader::default();
    let mut seen = Seen::default();
    for piece in bytes.chunks(piece) {
        if let Err(error) = reader.feed(piece, &mut seen) {
            return (seen, Err(error));
        }
    }
    let end = reader.finish();
    (seen, end)
}

pub(crate) fn record(key: &str, value: &str) -> String {
    let body = format!(" {key}={value}\n");
    let mut length = body.len() + 1;
    while format!("{length}{body}").len() != length {
        length += 1;
    }
    format!("{length}{body}")
}

#[test]
fn names_of_every_form_and_data_in_any_pieces() {
    let long = format!("opt/{}/x.so", "d".repeat(200));
    let mut tar = file("./etc/os-release", b"ID=debian\n");
    tar.extend(meta(b'L', format!("{long}\0").as_bytes()));
    tar.extend(file("short", &[7; 700]));
    tar.extend(meta(
        b'x',
        (record("path", "/a/../b/\u{1b}[31mc") + &record("size", "3")).as_bytes(),
    ));
    tar.extend(file("ignored", b"abc"));
    tar.extend(header("lib/x.so", b'2', 0, "x.so.1"));
    tar.extend(header("usr/", b'5', 0, ""));
    tar.extend([0; 1024]);
    tar.extend(b"what follows does not count");
    let (whole, end) = read(&tar, tar.len());
    assert_eq!(end, Ok(()));
    let paths: Vec<&str> = whole.entries.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "etc/os-release",
            &long,
            "a/b/\u{fffd}[31mc",
            "lib/x.so",
            "usr"
        ]
    );
    assert_eq!(whole.entries[3].link, "x.so.1");
    assert_eq!(whole.data.len(), 10 + 700 + 3);
    assert_eq!(whole.ends, 3);
    for piece in [1, 7, 512, 513, 4096] {
        assert_eq!(read(&tar, piece).0, whole, "pieces of {piece}");
    }
}

#[test]
fn hostile_headers_are_errors_or_passed_over() {
    let mut damaged = file("x", b"y");
    damaged[0] = b'z';
    assert_eq!(read(&damaged, 512).1, Err(TarError::Checksum(0)));
    let (_, end) = read(&header("x", b'0', 1 << 30, ""), 512);
    assert_eq!(end, Err(TarError::Cut));
    // A long name of 10 MiB is not kept; its file is passed over.
    let mut long = meta(b'L', &vec![b'a'; 10 << 20]);
    long.extend(file("x", b"y"));
    long.extend([0; 1024]);
    let (seen, end) = read(&long, 65536);
    assert_eq!(end, Ok(()));
    assert_eq!(seen.entries[0].kind, Kind::Other);
    assert!(seen.data.is_empty());
    // Base-256 size.
    let mut block = header("big", b'0', 0, "");
    block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    finish(&mut block);
    block.extend(b"12345");
    block.resize(1024, 0);
    assert_eq!(read(&block, 512).0.data, b"12345");
    // A size that overflows.
    let mut block = header("big", b'0', 0, "");
    block[124..136].fill(0xff);
    finish(&mut block);
    assert_eq!(read(&block, 512).1, Err(TarError::Size(0)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), piece in 1usize..600) {
        let _ = read(&bytes, piece);
    }

    #[test]
    fn a_damaged_archive_is_read_without_panic(at in 0usize..3000, with in any::<u8>(), piece in 1usize..600) {
        let mut tar = file("etc/a", &[1; 600]);
        tar.extend(meta(b'x', record("path", "b").as_bytes()));
        tar.extend(file("c", b"d"));
        tar.extend([0; 1024]);
        if let Some(byte) = tar.get_mut(at) {
            *byte = with;
        }
        let _ = read(&tar, piece);
    }
}
