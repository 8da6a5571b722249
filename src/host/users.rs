//! User names by uid, from a passwd file. What it does not hold (LDAP, SSSD) is looked up with `getent`
//! in `lookup`; a uid nobody knows is shown in digits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::model::text::clean;

use super::read;

/// The longest name kept, characters.
const LONGEST: usize = 64;

/// Names by uid.
#[derive(Debug)]
pub struct Users {
    passwd: PathBuf,
    version: Option<(SystemTime, u64)>,
    names: HashMap<u32, Arc<str>>,
}

impl Users {
    /// Names of the passwd file at `passwd`, read when first asked.
    pub fn new(passwd: &Path) -> Self {
        Self {
            passwd: passwd.to_owned(),
            version: None,
            names: HashMap::new(),
        }
    }

    /// The user's name. A uid not found reads the file again if it changed.
    pub fn name(&mut self, uid: u32) -> Option<Arc<str>> {
        if let Some(name) = self.names.get(&uid) {
            return Some(Arc::clone(name));
        }
        let meta = std::fs::metadata(&self.passwd).ok()?;
        let version = (meta.modified().ok()?, meta.len());
        if self.version != Some(version) {
            self.version = Some(version);
            let text = read::text(&self.passwd, 4 << 20).ok()?;
            self.names = text.lines().filter_map(line).collect();
        }
        self.names.get(&uid).map(Arc::clone)
    }
}

/// Uid and name of a passwd line.
pub fn line(line: &str) -> Option<(u32, Arc<str>)> {
    let mut parts = line.split(':');
    let name = clean(parts.next()?, LONGEST);
    let uid = parts.nth(1)?.parse().ok()?;
    (!name.is_empty()).then(|| (uid, name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "root:x:0:0:root:/root:/bin/sh\n# x\nann\u{1b}[31m:x:1000:1000::/:/bin/sh\nbad:x:y:\n+::::\n",
        )
        .unwrap();
        let mut users = Users::new(file.path());
        assert_eq!(users.name(0).as_deref(), Some("root"));
        assert_eq!(users.name(1000).as_deref(), Some("ann"));
        assert_eq!(users.name(1001), None);
        std::fs::write(file.path(), "bob:x:1001:1001::/:/bin/sh\n").unwrap();
        assert_eq!(users.name(1001).as_deref(), Some("bob"));
        assert_eq!(Users::new(Path::new("/nonexistent")).name(0), None);
    }
}
