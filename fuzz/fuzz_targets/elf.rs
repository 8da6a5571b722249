//! The ELF reader: any bytes, and the same result in pieces of any size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midwatch::inspect::elf::{ElfFacts, ElfStream};

fn read(bytes: &[u8], piece: usize) -> ElfFacts {
    let mut stream = ElfStream::with_note();
    for piece in bytes.chunks(piece) {
        stream.feed(piece);
    }
    stream.finish()
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let whole = read(bytes, usize::MAX);
    assert_eq!(read(bytes, usize::from(*first) + 1), whole);
});
