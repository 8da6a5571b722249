//! An archive of an image, from a file: any bytes.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use midwatch::inspect::archive;

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("midwatch-fuzz-{}.tar", std::process::id()));
    let mut file = std::fs::File::create(&path).expect("a temporary file");
    file.write_all(data).expect("a temporary file");
    let _ = archive::read(&path, Some("linux/amd64"), &mut |_, _| true);
});
