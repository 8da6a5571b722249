//! Scans that were made, kept on disk: facts, never verdicts, by image id, platform and scanner version.
//!
//! A file that is missing, damaged or of another version is a scan to be made again, never an error.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::content::Content;
use crate::model::{ImageId, ScanKey};

/// Raised whenever what a scan keeps changes.
pub const SCANNER_VERSION: u32 = 2;
/// Bytes of one file that are read.
const MAX_FILE: u64 = 128 << 20;
/// Bytes of all files that are kept; the oldest go first.
const MAX_ALL: u64 = 256 << 20;

/// Where scans are kept; without a folder nothing is.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Kept<C> {
    image_id: String,
    platform: String,
    scanner_version: u32,
    content: C,
}

impl Cache {
    /// In this folder, which is made when it is first needed.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
        }
    }

    /// As [`Cache::usual`]; for the simulated host nothing is kept unless a folder is named.
    pub fn of(data_dir: Option<&Path>, simulated: bool) -> Self {
        match data_dir {
            None if simulated => Self::default(),
            data_dir => Self::usual(data_dir),
        }
    }

    /// Under `data_dir` where one is named, else in `$XDG_CACHE_HOME/midwatch/scans`
    /// (`~/.cache/midwatch/scans`).
    pub fn usual(data_dir: Option<&Path>) -> Self {
        use etcetera::BaseStrategy;
        let folder = match data_dir {
            Some(folder) => Some(folder.join("scans")),
            None => etcetera::base_strategy::Xdg::new()
                .ok()
                .map(|base| base.cache_dir().join("midwatch/scans")),
        };
        Self { folder }
    }

    /// The key of an image's scan by this version.
    pub fn key(image: &ImageId, platform: Option<&str>) -> ScanKey {
        ScanKey {
            image_id: image.clone(),
            platform: platform.unwrap_or("unknown").to_owned(),
            scanner_version: SCANNER_VERSION,
        }
    }

    fn path(&self, key: &ScanKey) -> Option<PathBuf> {
        let plain = |text: &str| -> String {
            let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            text.chars().take(200).map(keep).collect()
        };
        let name = format!(
            "{}-{}-v{}.json",
            plain(&key.image_id.0),
            plain(&key.platform),
            key.scanner_version
        );
        Some(self.folder.as_ref()?.join(name))
    }

    /// What was kept of a scan.
    pub fn load(&self, key: &ScanKey) -> Option<Content> {
        let path = self.path(key)?;
        let mut bytes = Vec::new();
        let file = fs::File::open(path).ok()?;
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        let kept: Kept<Content> = serde_json::from_slice(&bytes).ok()?;
        let same = kept.image_id == *key.image_id.0
            && kept.platform == key.platform
            && kept.scanner_version == key.scanner_version;
        same.then_some(kept.content)
    }

    /// Keeps a scan. It is written beside its place and put there whole; a full disk costs only the cache.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, key: &ScanKey, content: &Content) -> std::io::Result<()> {
        let (Some(path), Some(folder)) = (self.path(key), &self.folder) else {
            return Ok(());
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let kept = Kept {
            image_id: key.image_id.0.to_string(),
            platform: key.platform.clone(),
            scanner_version: key.scanner_version,
            content,
        };
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|file| {
                let mut out = std::io::BufWriter::new(file);
                serde_json::to_writer(&mut out, &kept)?;
                std::io::Write::flush(&mut out)
            })
            .and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written?;
        self.prune(folder);
        Ok(())
    }

    /// Removes the oldest files beyond the bound.
    fn prune(&self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                let named = entry.path().extension().is_some_and(|e| e == "json");
                named.then(|| Some((about.modified().ok()?, about.len(), entry.path())))?
            })
            .collect();
        files.sort();
        let mut all: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if all <= MAX_ALL {
                return;
            }
            if fs::remove_file(path).is_ok() {
                all = all.saturating_sub(size);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::content::Node;

    #[test]
    fn a_scan_comes_back_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_folder(dir.path().join("scans"));
        let key = Cache::key(&ImageId("sha256:ab/../cd".into()), Some("linux/amd64"));
        assert_eq!(cache.load(&key), None);
        let mut content = Content::default();
        content
            .nodes
            .insert("lib".into(), Node::Link("usr/lib".into()));
        content.gaps.push("x".into());
        cache.store(&key, &content).unwrap();
        assert_eq!(cache.load(&key), Some(content.clone()));
        let other = Cache::key(&key.image_id, Some("linux/arm64"));
        assert_eq!(cache.load(&other), None);
        let newer = ScanKey {
            scanner_version: SCANNER_VERSION + 1,
            ..key.clone()
        };
        assert_eq!(cache.load(&newer), None);
        let files: Vec<PathBuf> = fs::read_dir(dir.path().join("scans"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1);
        fs::write(&files[0], "{\"half").unwrap();
        assert_eq!(cache.load(&key), None);
        cache.store(&key, &content).unwrap();
        assert_eq!(cache.load(&key), Some(content));
        assert!(Cache::default().store(&key, &Content::default()).is_ok());
    }
}
