//! The reader of device code containers: any bytes, and the same result in pieces of any number of words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midwatch::inspect::fatbin::Scanner;

fn scan(bytes: &[u8], piece: usize) -> Scanner {
    let mut scanner = Scanner::default();
    for piece in bytes.chunks(piece) {
        scanner.feed(piece);
    }
    scanner
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let (pieces, whole) = (scan(bytes, 8 * (usize::from(*first) + 1)), scan(bytes, 1 << 20));
    assert_eq!(pieces.found(), whole.found());
    assert_eq!(pieces.shapes(), whole.shapes());
    assert_eq!(pieces.problem(), whole.problem());
    assert_eq!(pieces.broken(), whole.broken());
});
