//! Writes tar archives (ustar) in memory: for the simulated images, and for tests of what reads them.

const BLOCK: usize = 512;

/// An archive to be; folders of a path are written when something in them first is.
#[derive(Debug, Default)]
pub struct Tar {
    bytes: Vec<u8>,
    folders: Vec<String>,
}

impl Tar {
    /// An archive without an entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file. Paths are without leading slash and have at most 255 bytes.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        self.parents(path);
        let mode = if path.contains("bin/") { 0o755 } else { 0o644 };
        self.header(path, b'0', mode, content.len(), "");
        self.bytes.extend_from_slice(content);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.header(path, b'2', 0o777, 0, target);
    }

    /// Adds a folder.
    pub fn folder(&mut self, path: &str) {
        self.parents(path);
        if !self.folders.iter().any(|known| known == path) {
            self.folders.push(path.to_owned());
            self.header(&format!("{path}/"), b'5', 0o755, 0, "");
        }
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
    }

    /// The archive, with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn header(&mut self, path: &str, kind: u8, mode: u32, size: usize, link: &str) {
        let (prefix, name) = split(path);
        let mut block = Vec::with_capacity(BLOCK);
        let put = |block: &mut Vec<u8>, text: &str, width: usize| {
            let end = block.len() + width;
            block.extend(text.bytes().take(width));
            block.resize(end, 0);
        };
        put(&mut block, name, 100);
        put(&mut block, &format!("{mode:07o}"), 8);
        put(&mut block, "0000000", 8);
        put(&mut block, "0000000", 8);
        put(&mut block, &format!("{size:011o}"), 12);
        // When torch 2.6 came out.
        put(&mut block, &format!("{:011o}", 1_738_108_800), 12);
        let before = block.len();
        put(&mut block, "        ", 8);
        block.push(kind);
        put(&mut block, link, 100);
        put(&mut block, "ustar\0\x30\x30", 8);
        put(&mut block, "root", 32);
        put(&mut block, "root", 32);
        put(&mut block, "", 16);
        put(&mut block, prefix, 155);
        block.resize(BLOCK, 0);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        block.splice(before..before + 8, sum.bytes());
        self.bytes.extend_from_slice(&block);
    }
}

/// A path longer than a name's field is cut at a slash.
fn split(path: &str) -> (&str, &str) {
    if path.len() <= 100 {
        return ("", path);
    }
    path.char_indices()
        .filter(|(_, c)| *c == '/')
        .filter_map(|(at, _)| Some((path.get(..at)?, path.get(at + 1..)?)))
        .find(|(_, name)| !name.is_empty() && name.len() <= 100)
        .unwrap_or(("", path))
}
