//! Writes a tar archive of the ustar format, with a pax header for what does not fit into it. Pure.

/// Everything in an archive is a multiple of this many bytes.
pub(super) const BLOCK: u64 = 512;
/// Two empty blocks end an archive.
pub(super) const END: [u8; 1024] = [0; 1024];
/// The largest size of eleven octal digits.
const MAX_OCTAL: u64 = 0o777_7777_7777;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    File { size: u64 },
    Folder,
    Link { target: &'a [u8] },
}

/// The header of an entry, its pax header before it where one is needed. `path` is relative, without a slash
/// at its end; owner and group are 0, as Docker sends them; `mtime` is in seconds since 1970.
pub(super) fn header(path: &[u8], kind: Kind<'_>, mode: u32, mtime: u64) -> Vec<u8> {
    let mut name = path.to_vec();
    if kind == Kind::Folder {
        name.push(b'/');
    }
    let (flag, size, target) = match kind {
        Kind::File { size } => (b'0', size, &[][..]),
        Kind::Folder => (b'5', 0, &[][..]),
        Kind::Link { target } => (b'2', 0, target),
    };
    let mut records = Vec::new();
    if name.len() > 100 {
        record(&mut records, "path", &name);
    }
    if target.len() > 100 {
        record(&mut records, "linkpath", target);
    }
    if size > MAX_OCTAL {
        record(&mut records, "size", size.to_string().as_bytes());
    }
    let mut out = Vec::with_capacity(512);
    if !records.is_empty() {
        let length = records.len() as u64;
        out.extend(block(b"PaxHeaders/entry", b'x', length, &[], 0o644, 0));
        out.append(&mut records);
        out.resize(out.len() + padding(length), 0);
    }
    out.extend(block(&name, flag, size, target, mode, mtime));
    out
}

/// Bytes between the end of `size` bytes and the next block.
pub(super) fn padding(size: u64) -> usize {
    usize::try_from((BLOCK - size % BLOCK) % BLOCK).unwrap_or(0)
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn block(name: &[u8], flag: u8, size: u64, target: &[u8], mode: u32, mtime: u64) -> [u8; 512] {
    let mut block = [0u8; 512];
    put(&mut block, 0, 100, name);
    put(
        &mut block,
        100,
        8,
        format!("{:07o}", mode & 0o7777).as_bytes(),
    );
    put(&mut block, 108, 8, b"0000000");
    put(&mut block, 116, 8, b"0000000");
    put(
        &mut block,
        124,
        12,
        format!("{:011o}", if size > MAX_OCTAL { 0 } else { size }).as_bytes(),
    );
    put(
        &mut block,
        136,
        12,
        format!("{:011o}", mtime.min(MAX_OCTAL)).as_bytes(),
    );
    put(&mut block, 148, 8, b"        ");
    put(&mut block, 156, 1, &[flag]);
    put(&mut block, 157, 100, target);
    put(&mut block, 257, 8, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, 8, format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Writes a field, cut where it is too long.
fn put(block: &mut [u8; 512], at: usize, room: usize, bytes: &[u8]) {
    let field = block.iter_mut().skip(at).take(room);
    for (slot, byte) in field.zip(bytes) {
        *slot = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records_count_their_own_length() {
        for (value, want) in [
            ("x".repeat(2), "11 path=xx\n".to_owned()),
            ("x".to_owned(), "9 path=x\n".to_owned()),
            ("x".repeat(90), format!("99 path={}\n", "x".repeat(90))),
            ("x".repeat(91), format!("101 path={}\n", "x".repeat(91))),
        ] {
            let mut out = Vec::new();
            record(&mut out, "path", value.as_bytes());
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text, want);
            assert_eq!(text.split(' ').next().unwrap(), text.len().to_string());
        }
    }

    #[test]
    fn a_size_is_filled_up_to_a_block() {
        for (size, want) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(size), want);
        }
    }

    #[test]
    fn sizes_beyond_eight_gigabytes_go_into_a_pax_header() {
        let plain = header(b"f", Kind::File { size: MAX_OCTAL }, 0o644, 0);
        assert_eq!(plain.len(), 512);
        let big = header(
            b"f",
            Kind::File {
                size: MAX_OCTAL + 1,
            },
            0o644,
            0,
        );
        assert_eq!(big.len(), 3 * 512);
        assert!(big[512..].starts_with(b"19 size=8589934592\n"));
    }
}
