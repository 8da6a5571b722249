//! Dotted version numbers as the NVIDIA runtime compares them.

use std::cmp::Ordering;
use std::fmt;

/// Longer versions than this are refused: no driver or toolkit has them.
const MAX_PARTS: usize = 8;

/// A version of digits and dots. Parts are numbers (12.10 > 12.9; 450.80.02 = 450.80.2) and missing parts
/// count as 0 (12.4 = 12.4.0).
///
/// Source: libnvidia-container `src/cli/dsl.c`.
#[derive(Debug, Clone)]
pub struct Version {
    parts: Vec<u32>,
    text: String,
}

impl Version {
    /// Reads digits and dots; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<u32> = text
            .split('.')
            .map(|part| {
                (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
                    .then(|| part.parse().ok())
                    .flatten()
            })
            .collect::<Option<_>>()?;
        (parts.len() <= MAX_PARTS).then(|| Self {
            parts,
            text: text.to_owned(),
        })
    }

    /// `major.minor`.
    pub fn from_pair(major: u32, minor: u32) -> Self {
        Self {
            parts: vec![major, minor],
            text: format!("{major}.{minor}"),
        }
    }

    /// From its numbers.
    pub fn from_parts(parts: &[u32]) -> Self {
        let text: Vec<String> = parts.iter().map(u32::to_string).collect();
        Self {
            parts: parts.to_vec(),
            text: text.join("."),
        }
    }

    /// The first number.
    pub fn major(&self) -> u32 {
        self.part(0)
    }

    /// The second number, 0 where there is none.
    pub fn minor(&self) -> u32 {
        self.part(1)
    }

    /// `(major, minor)`.
    pub fn pair(&self) -> (u32, u32) {
        (self.major(), self.minor())
    }

    /// A major alone (`535`): of a driver it means the branch's newest build.
    pub fn is_bare(&self) -> bool {
        self.parts.len() == 1
    }

    fn part(&self, index: usize) -> u32 {
        self.parts.get(index).copied().unwrap_or(0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let longest = self.parts.len().max(other.parts.len());
        (0..longest)
            .map(|i| self.part(i).cmp(&other.part(i)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbers_and_missing_ones_are_zero() {
        let v = |t: &str| Version::parse(t).unwrap();
        assert_eq!(v("12.4"), v("12.4.0"));
        assert!(v("12.4") < v("12.4.1"));
        assert!(v("12.10") > v("12.9"));
        assert_eq!(v("450.80.02"), v("450.80.2"));
        assert_eq!(v("550.163.01").to_string(), "550.163.01");
        for bad in [
            "",
            ".",
            "12.",
            ".4",
            "12.x",
            "v12",
            "12 4",
            "99999999999",
            "1.1.1.1.1.1.1.1.1",
        ] {
            assert!(Version::parse(bad).is_none(), "{bad:?}");
        }
    }
}
