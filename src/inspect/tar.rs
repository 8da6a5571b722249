//! A tar reader for hostile input: push-based, forward only, bounded memory, nothing written anywhere.
//!
//! Reads what engines and archives hold: ustar with prefix, GNU long names, PAX `path`, `linkpath` and
//! `size`, base-256 sizes. Names and PAX records over their limits are told as such instead of being kept;
//! so are sparse files, whose data here is not what the file holds (engines write none).

use crate::model::text::is_unsafe;

/// A block of the format.
pub const BLOCK: usize = 512;
/// Longest path kept; Linux has no longer ones.
const MAX_NAME: usize = 4096;
/// Most bytes of one PAX header kept (as Go's reader, which engines use): extended attributes may be large.
const MAX_PAX: u64 = 1 << 20;
/// Entries before it is called hostile: the largest images have some 500,000.
const MAX_ENTRIES: u64 = 3_000_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A second name of an earlier file.
    Hardlink,
    /// Devices, pipes and what else there is.
    Other,
}

/// Why the data of a file is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Its name or its records are over their limits: what it is cannot be told.
    Name,
    /// It is stored with its holes left out.
    Sparse,
}

/// An entry's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path without leading `/` or `./`; control characters and bytes that are no UTF-8 replaced.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of data that follow.
    pub size: u64,
    /// What a link points at, as written.
    pub link: String,
    /// Why no data of it comes, where that is so.
    pub problem: Option<Problem>,
}

/// Takes what the reader finds.
pub trait Sink {
    /// A new entry begins.
    fn entry(&mut self, entry: &Entry);
    /// The next piece of its data; comes only for regular files.
    fn data(&mut self, bytes: &[u8]);
    /// Its data is complete.
    fn end(&mut self);
}

/// Why a stream is no tar that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// A header's checksum does not fit.
    #[error("a header at byte {0} is damaged")]
    Checksum(u64),
    /// A number in a header cannot be read.
    #[error("a header at byte {0} has no readable size")]
    Size(u64),
    /// More entries than any real image has.
    #[error("it has more than {MAX_ENTRIES} entries")]
    TooMany,
    /// It ended inside an entry.
    #[error("it ends in the middle of an entry")]
    Cut,
}

/// What a long name or PAX header says of the entry that follows.
#[derive(Debug, Default)]
struct Ahead {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
    problem: Option<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meta {
    LongName,
    LongLink,
    Pax,
    Ignored,
}

#[derive(Debug)]
enum State {
    Header,
    /// Further blocks of an old GNU sparse map.
    SparseMap {
        size: u64,
        file: bool,
    },
    Data {
        left: u64,
        padding: u64,
        file: bool,
    },
    Meta {
        what: Meta,
        left: u64,
        padding: u64,
        kept: Vec<u8>,
        whole: bool,
    },
    Padding {
        left: u64,
    },
    Done,
}

/// The reader.
#[derive(Debug)]
pub struct Reader {
    state: State,
    block: Vec<u8>,
    ahead: Ahead,
    position: u64,
    zeros: u8,
    entries: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            ahead: Ahead::default(),
            position: 0,
            zeros: 0,
            entries: 0,
        }
    }
}

impl Reader {
    /// Entries seen.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Whether the end mark was read: what follows it does not count.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Bytes of data ahead that say nothing to a reader of names alone: who can seek may pass over them.
    pub fn ahead(&self) -> u64 {
        match self.state {
            State::Data { left, .. }
            | State::Meta {
                left, whole: false, ..
            } => left,
            _ => 0,
        }
    }

    /// Where in the stream the next byte stands.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Passes over this many bytes of data (at most what is [`Reader::ahead`]).
    pub fn pass(&mut self, bytes: u64) {
        let (left, padding, meta) = match &mut self.state {
            State::Data { left, padding, .. } => (left, *padding, None),
            State::Meta {
                what,
                left,
                padding,
                whole: false,
                ..
            } => (left, *padding, Some(*what)),
            _ => return,
        };
        let bytes = bytes.min(*left);
        *left -= bytes;
        self.position += bytes;
        if *left == 0 {
            if let Some(what) = meta {
                self.meta(what, &[], false);
            }
            self.state = State::Padding { left: padding };
            self.skip_empty_padding();
        }
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When the stream is no tar, or a hostile one.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut dyn Sink) -> Result<(), TarError> {
        while !bytes.is_empty() {
            let used = self.step(bytes, sink)?;
            self.position += used as u64;
            bytes = bytes.get(used..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When it ended inside an entry. A missing end mark is forgiven.
    pub fn finish(&self) -> Result<(), TarError> {
        match self.state {
            State::Done => Ok(()),
            State::Header if self.block.is_empty() => Ok(()),
            _ => Err(TarError::Cut),
        }
    }

    fn step(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<usize, TarError> {
        match &mut self.state {
            State::Done => Ok(bytes.len()),
            State::Header => {
                let take = self.take_block(bytes);
                if self.block.len() == BLOCK {
                    self.header(
                        (self.position + take as u64).saturating_sub(BLOCK as u64),
                        sink,
                    )?;
                    self.block.clear();
                }
                Ok(take)
            }
            State::SparseMap { size, file } => {
                let (size, file) = (*size, *file);
                let take = self.take_block(bytes);
                if self.block.len() == BLOCK {
                    // An extension block says itself at byte 504 whether another follows.
                    if self.block.get(504) != Some(&1) {
                        self.begin_data(size, file, sink);
                    }
                    self.block.clear();
                }
                Ok(take)
            }
            State::Data {
                left,
                padding,
                file,
            } => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                if *file {
                    sink.data(bytes.get(..take).unwrap_or(&[]));
                }
                *left -= take as u64;
                if *left == 0 {
                    if *file {
                        sink.end();
                    }
                    self.state = State::Padding { left: *padding };
                    self.skip_empty_padding();
                }
                Ok(take)
            }
            State::Meta {
                what,
                left,
                padding,
                kept,
                whole,
            } => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                if *whole {
                    kept.extend_from_slice(bytes.get(..take).unwrap_or(&[]));
                }
                *left -= take as u64;
                if *left == 0 {
                    let (what, padding, whole) = (*what, *padding, *whole);
                    let kept = std::mem::take(kept);
                    self.meta(what, &kept, whole);
                    self.state = State::Padding { left: padding };
                    self.skip_empty_padding();
                }
                Ok(take)
            }
            State::Padding { left } => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= take as u64;
                self.skip_empty_padding();
                Ok(take)
            }
        }
    }

    fn take_block(&mut self, bytes: &[u8]) -> usize {
        let take = (BLOCK - self.block.len()).min(bytes.len());
        self.block
            .extend_from_slice(bytes.get(..take).unwrap_or(&[]));
        take
    }

    fn skip_empty_padding(&mut self) {
        if matches!(self.state, State::Padding { left: 0 }) {
            self.state = State::Header;
        }
    }

    fn header(&mut self, start: u64, sink: &mut dyn Sink) -> Result<(), TarError> {
        if self.block.iter().all(|b| *b == 0) {
            self.zeros += 1;
            if self.zeros == 2 {
                self.state = State::Done;
            }
            return Ok(());
        }
        self.zeros = 0;
        if !checksum_fits(&self.block) {
            return Err(TarError::Checksum(start));
        }
        let stored = number(self.field(124, 12)).ok_or(TarError::Size(start))?;
        let kind = self.block.get(156).copied().unwrap_or(0);
        match kind {
            b'L' => return self.begin_meta(Meta::LongName, stored, MAX_NAME as u64 + 1),
            b'K' => return self.begin_meta(Meta::LongLink, stored, MAX_NAME as u64 + 1),
            b'x' => return self.begin_meta(Meta::Pax, stored, MAX_PAX),
            b'g' => return self.begin_meta(Meta::Ignored, stored, 0),
            _ => {}
        }
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(TarError::TooMany);
        }
        let ahead = std::mem::take(&mut self.ahead);
        let size = ahead.size.unwrap_or(stored);
        let what = match kind {
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::Hardlink,
            b'2' => Kind::Symlink,
            b'5' => Kind::Directory,
            _ => Kind::Other,
        };
        let path = ahead.path.unwrap_or_else(|| self.name());
        let problem = ahead.problem.or((kind == b'S').then_some(Problem::Sparse));
        let unnamed = problem == Some(Problem::Name);
        let file = what == Kind::File && problem.is_none();
        let entry = Entry {
            path: clean_path(&path),
            kind: if unnamed { Kind::Other } else { what },
            size: if what == Kind::File { size } else { 0 },
            link: ahead.link.unwrap_or_else(|| text(self.field(157, 100))),
            problem,
        };
        sink.entry(&entry);
        // Links, folders, devices and pipes have no data, whatever their size says.
        let size = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        if kind == b'S' && self.block.get(482) == Some(&1) {
            self.state = State::SparseMap { size, file };
        } else {
            self.begin_data(size, file, sink);
        }
        Ok(())
    }

    fn begin_data(&mut self, size: u64, file: bool, sink: &mut dyn Sink) {
        if size == 0 {
            if file {
                sink.end();
            }
            self.state = State::Header;
        } else {
            self.state = State::Data {
                left: size,
                padding: padding(size),
                file,
            };
        }
    }

    fn begin_meta(&mut self, what: Meta, size: u64, limit: u64) -> Result<(), TarError> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(TarError::TooMany);
        }
        if size > 0 {
            self.state = State::Meta {
                what,
                left: size,
                padding: padding(size),
                kept: Vec::new(),
                whole: size <= limit,
            };
        }
        Ok(())
    }

    fn meta(&mut self, what: Meta, kept: &[u8], whole: bool) {
        if !whole {
            if what != Meta::Ignored {
                self.ahead.problem = Some(Problem::Name);
            }
            return;
        }
        match what {
            Meta::LongName => self.ahead.path = Some(text(kept)),
            Meta::LongLink => self.ahead.link = Some(text(kept)),
            Meta::Pax => self.pax(kept),
            Meta::Ignored => {}
        }
    }

    /// Records `LENGTH KEY=VALUE\n`.
    fn pax(&mut self, mut records: &[u8]) {
        while !records.is_empty() {
            let Some(space) = records.iter().take(20).position(|b| *b == b' ') else {
                return;
            };
            let length = records
                .get(..space)
                .and_then(|d| std::str::from_utf8(d).ok())
                .and_then(|d| d.parse::<usize>().ok());
            let Some(length) = length.filter(|l| *l > space + 1 && *l <= records.len()) else {
                return;
            };
            let record = records.get(space + 1..length - 1).unwrap_or(&[]);
            if let Some(equals) = record.iter().position(|b| *b == b'=') {
                let (key, value) = (record.get(..equals), record.get(equals + 1..));
                if let (Some(key), Some(value)) = (key, value) {
                    self.pax_record(key, value);
                }
            }
            records = records.get(length..).unwrap_or(&[]);
        }
    }

    fn pax_record(&mut self, key: &[u8], value: &[u8]) {
        match key {
            b"path" if value.len() <= MAX_NAME => self.ahead.path = Some(text(value)),
            b"linkpath" if value.len() <= MAX_NAME => self.ahead.link = Some(text(value)),
            b"path" | b"linkpath" => self.ahead.problem = Some(Problem::Name),
            b"size" => match std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()) {
                Some(size) => self.ahead.size = Some(size),
                None => self.ahead.problem = Some(Problem::Name),
            },
            _ if key.starts_with(b"GNU.sparse.") => {
                if key == b"GNU.sparse.name" && value.len() <= MAX_NAME {
                    self.ahead.path = Some(text(value));
                }
                self.ahead.problem = self.ahead.problem.or(Some(Problem::Sparse));
            }
            _ => {}
        }
    }

    fn field(&self, at: usize, len: usize) -> &[u8] {
        self.block.get(at..at + len).unwrap_or(&[])
    }

    fn name(&self) -> String {
        let name = text(self.field(0, 100));
        let ustar = self.field(257, 6) == b"ustar\0";
        let prefix = if ustar {
            text(self.field(345, 155))
        } else {
            String::new()
        };
        if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        }
    }
}

fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

/// Up to the first NUL, as text.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or(&[])).into_owned()
}

/// Octal, or base-256 when the top bit of the first byte is set.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let mut value = u64::from(first & 0x7f);
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(value);
    }
    let digits: &[u8] = field;
    let mut value = 0u64;
    let mut seen = false;
    for byte in digits {
        match byte {
            b'0'..=b'7' => {
                value = value.checked_mul(8)?.checked_add(u64::from(byte - b'0'))?;
                seen = true;
            }
            b' ' if !seen => {}
            b' ' | 0 => break,
            _ => return None,
        }
    }
    Some(value)
}

/// The sum of all bytes, its own field counted as spaces.
fn checksum_fits(block: &[u8]) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|b| u32::from(*b)).sum::<u32>();
    let Some(field) = block.get(148..156) else {
        return false;
    };
    let spaces = 8 * u32::from(b' ');
    number(field) == Some(u64::from(sum(block) - sum(field) + spaces))
}

/// Without leading slashes and dots, `.` and `..` taken out, control characters replaced.
pub(super) fn clean_path(path: &str) -> String {
    let mut clean = String::with_capacity(path.len());
    for part in path.split('/').filter(|p| !matches!(*p, "" | "." | "..")) {
        if !clean.is_empty() {
            clean.push('/');
        }
        clean.extend(
            part.chars()
                .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }),
        );
    }
    clean
}

#[cfg(test)]
#[path = "tar_tests.rs"]
pub(crate) mod tests;
