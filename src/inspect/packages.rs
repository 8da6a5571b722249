//! The list of installed packages, read line by line as it streams by.

use super::interest::of_package;
use crate::model::text::clean;

/// Longer lines than this are passed over.
const MAX_LINE: usize = 4096;
/// More packages of interest than any image has.
const MOST: usize = 2048;

/// Reads Debian's `status` and Alpine's `installed`.
#[derive(Debug, Default)]
pub(super) struct Packages {
    line: Vec<u8>,
    too_long: bool,
    name: Option<String>,
    version: Option<String>,
    removed: bool,
    found: Vec<(String, String)>,
}

impl Packages {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, whole) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            if self.line.len() + text.len() > MAX_LINE {
                self.too_long = true;
            } else {
                self.line.extend_from_slice(text);
            }
            if whole {
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.too_long) {
                    self.line(&line);
                }
            }
        }
    }

    /// The packages of interest: name and version.
    pub fn finish(mut self) -> Vec<(String, String)> {
        let line = std::mem::take(&mut self.line);
        self.line(&line);
        self.close();
        self.found
    }

    fn line(&mut self, line: &[u8]) {
        if line.is_empty() {
            return self.close();
        }
        let text = String::from_utf8_lossy(line);
        let value = |names: [&str; 2]| names.iter().find_map(|name| text.strip_prefix(name));
        if let Some(name) = value(["Package: ", "P:"]) {
            self.name = Some(clean(name, 128)).filter(|n| of_package(n));
        } else if let Some(version) = value(["Version: ", "V:"]) {
            self.version = Some(clean(version, 128));
        } else if let Some(status) = text.strip_prefix("Status: ") {
            self.removed = !status.trim_end().ends_with(" installed");
        }
    }

    fn close(&mut self) {
        let removed = std::mem::take(&mut self.removed);
        if let (Some(name), Some(version)) = (self.name.take(), self.version.take())
            && !removed
            && self.found.len() < MOST
        {
            self.found.push((name, version));
        }
        self.version = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_in_any_pieces() {
        let long = "x".repeat(3 * MAX_LINE);
        let text = format!(
            "Package: cuda-cudart-12-4\nStatus: install ok installed\nDescription: {long}\nVersion: 12.4.127-1\n\n\
             Package: bash\nStatus: install ok installed\nVersion: 5\n\n\
             Package: libcudnn8\nStatus: deinstall ok config-files\nVersion: 8.9\n\n\
             Package: libc6\nVersion: 2.36-9+deb12u10\n\nP:musl\nV:1.2.5-r0"
        );
        for piece in [1, 7, 100, 1 << 20] {
            let mut packages = Packages::default();
            for part in text.as_bytes().chunks(piece) {
                packages.feed(part);
            }
            let found = packages.finish();
            let names: Vec<String> = found.iter().map(|(n, v)| format!("{n} {v}")).collect();
            assert_eq!(
                names,
                [
                    "cuda-cudart-12-4 12.4.127-1",
                    "libc6 2.36-9+deb12u10",
                    "musl 1.2.5-r0"
                ]
            );
        }
    }
}
