//! A walk over an archive and the detectors after it: any bytes, and the same in pieces of any size.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use midwatch::inspect::walk::Walk;
use midwatch::inspect::{Content, Known};

fn walk(bytes: &[u8], piece: usize) -> Option<Content> {
    let mut walk = Walk::new();
    for piece in bytes.chunks(piece) {
        walk.feed(piece).ok()?;
    }
    Some(walk.end())
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let bytes = summed(bytes);
    let whole = walk(&bytes, usize::MAX);
    assert_eq!(walk(&bytes, usize::from(*first) + 1), whole);
    if let Some(content) = whole {
        let known = Known {
            content: Some(Arc::new(content)),
            ..Known::default()
        };
        let _ = known.facts();
    }
});

/// Every block that looks like a header gets its checksum: chance finds none.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] != *b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}
