//! Bounded reading of small kernel files into a buffer that is used again, and numbers out of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The most read of any one file, bytes: far above what procfs and cgroupfs give for what is read here.
pub const MAX: usize = 256 << 10;

/// Reads a file into `buffer`, at most `max` bytes; what is beyond is left out.
pub fn file(path: &Path, buffer: &mut Vec<u8>, max: usize) -> io::Result<()> {
    buffer.clear();
    let limit = u64::try_from(max).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(buffer)?;
    Ok(())
}

/// Reads a small file's text, at most `max` bytes; bytes that are no UTF-8 are replaced.
pub fn text(path: &Path, max: usize) -> io::Result<String> {
    let mut buffer = Vec::new();
    file(path, &mut buffer, max)?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// Reads an open file from its start again, as one moment's content. The buffer grows to the file's size
/// once; after that nothing is allocated and one system call does.
pub fn again<'b>(file: &File, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    if buffer.is_empty() {
        buffer.resize(4096, 0);
    }
    loop {
        let room = buffer.len();
        let mut count = read_at(file, buffer, 0)?;
        // Kernel files end a read at a line that no longer fits: a well filled buffer may not be all.
        if count > room / 2 && count < room {
            count += read_at(file, buffer.get_mut(count..).unwrap_or_default(), count)?;
        }
        if count < room || room >= MAX {
            return Ok(buffer.get(..count).unwrap_or_default());
        }
        buffer.resize((room * 4).min(MAX), 0);
    }
}

fn read_at(file: &File, buffer: &mut [u8], at: usize) -> io::Result<usize> {
    let at = u64::try_from(at).unwrap_or(u64::MAX);
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The decimal number that `bytes` begin with, after blanks; `None` where there is none or it is too big.
pub fn number(bytes: &[u8]) -> Option<u64> {
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace())?;
    let digits = bytes.get(start..)?;
    let end = digits
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    let digits = digits.get(..end).filter(|d| !d.is_empty())?;
    digits.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// The number on the line `key value`.
pub fn field(bytes: &[u8], key: &[u8]) -> Option<u64> {
    let mut rest = bytes;
    loop {
        if let Some(value) = rest.strip_prefix(key)
            && value.first() == Some(&b' ')
        {
            return number(value);
        }
        let end = rest.iter().position(|b| *b == b'\n')?;
        rest = rest.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn numbers_and_fields() {
        assert_eq!(number(b" 12\n"), Some(12));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        let stat = b"inactive_file 1\ntotal_inactive_file 22\nlast 3";
        assert_eq!(field(stat, b"total_inactive_file"), Some(22));
        assert_eq!(field(stat, b"inactive_file"), Some(1));
        assert_eq!(field(stat, b"last"), Some(3));
        assert_eq!(field(stat, b"inactive"), None);
        assert_eq!(field(b"", b"x"), None);
    }

    #[test]
    fn a_file_is_read_again_whole_whatever_its_size() {
        let mut file = tempfile::tempfile().unwrap();
        let mut buffer = Vec::new();
        for size in [0, 1, 2048, 4096, 5000, 9000, 100_000, 3] {
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            file.write_all(&vec![b'x'; size]).unwrap();
            assert_eq!(again(&file, &mut buffer).unwrap(), vec![b'x'; size]);
        }
        file.set_len(2 * MAX as u64).unwrap();
        assert_eq!(again(&file, &mut buffer).unwrap().len(), MAX);
    }
}
