//! What an Xid means and what to do: the data is in `assets/xid.toml`.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// How bad an Xid is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XidSeverity {
    /// Nothing to do.
    Info,
    /// A program failed; the GPU is sound.
    Application,
    /// The GPU needs a reset, or is failing.
    Gpu,
    /// Only a reboot, a repair or a change of the machine mends it.
    Host,
}

/// An Xid in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct XidExplanation {
    /// Short name: `GPU has fallen off the bus`.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub action: String,
    /// How bad it is.
    pub severity: XidSeverity,
}

#[derive(Debug, Deserialize)]
struct Entry {
    codes: Vec<u32>,
    #[serde(flatten)]
    explanation: XidExplanation,
}

#[derive(Debug, Deserialize)]
struct Table {
    xid: Vec<Entry>,
}

/// The explanation of an Xid; an unknown number gets one that says so.
pub fn explain(xid: u32) -> &'static XidExplanation {
    static UNKNOWN: OnceLock<XidExplanation> = OnceLock::new();
    table().get(&xid).unwrap_or_else(|| {
        UNKNOWN.get_or_init(|| XidExplanation {
            name: "unknown Xid".to_owned(),
            meaning: "this number is not in midwatch's table".to_owned(),
            action: "look it up in NVIDIA's Xid catalogue (docs.nvidia.com/deploy/xid-errors)"
                .to_owned(),
            severity: XidSeverity::Gpu,
        })
    })
}

fn table() -> &'static HashMap<u32, XidExplanation> {
    static TABLE: OnceLock<HashMap<u32, XidExplanation>> = OnceLock::new();
    TABLE.get_or_init(|| {
        // A test reads the file: it is whole in every build that passed.
        let table: Table = toml::from_str(include_str!("../../assets/xid.toml"))
            .unwrap_or(Table { xid: Vec::new() });
        let mut by_code = HashMap::new();
        for entry in table.xid {
            for code in entry.codes {
                by_code.insert(code, entry.explanation.clone());
            }
        }
        by_code
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole_and_no_number_is_there_twice() {
        let table: Table = toml::from_str(include_str!("../../assets/xid.toml")).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for entry in &table.xid {
            let words = &entry.explanation;
            for text in [&words.name, &words.meaning, &words.action] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
            }
            for code in &entry.codes {
                assert!(seen.insert(*code), "{code} is there twice");
            }
        }
        assert!(seen.len() > 100, "{}", seen.len());
    }

    #[test]
    fn the_ones_everybody_meets_say_the_right_thing() {
        assert_eq!(explain(79).severity, XidSeverity::Host);
        assert!(explain(79).action.contains("reboot"));
        assert_eq!(explain(31).severity, XidSeverity::Application);
        assert_eq!(explain(63).severity, XidSeverity::Info);
        assert!(explain(119).meaning.contains("45 s"));
        assert_eq!(explain(4_000).name, "unknown Xid");
    }
}
