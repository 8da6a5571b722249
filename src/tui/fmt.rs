//! Numbers and texts for people: one place, never clamped, and what is absent is `—`.
//!
//! Everything here writes into a `fmt::Write`, so that a frame needs no allocation of its own.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::model::text::is_unsafe;

/// What stands where there is no value.
pub const ABSENT: &str = "—";

const UNITS: [(&str, &str); 5] = [
    ("B", "B"),
    ("KiB", "K"),
    ("MiB", "M"),
    ("GiB", "G"),
    ("TiB", "T"),
];

/// Scales by 1024 until it fits in four digits: the value and the unit's index.
fn scaled(bytes: f64) -> (f64, usize) {
    let mut value = bytes;
    let mut unit = 0;
    while value.abs() >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    (value, unit)
}

fn digits(out: &mut impl Write, value: f64, whole: bool) -> fmt::Result {
    if whole || value.abs() >= 99.95 {
        write!(out, "{value:.0}")
    } else {
        write!(out, "{value:.1}")
    }
}

/// Bytes with a unit: `61.2 GiB`, `512 B`.
#[derive(Clone, Copy)]
pub struct Bytes(pub f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = scaled(self.0);
        digits(f, value, unit == 0)?;
        write!(f, " {}", UNITS.get(unit).map_or("B", |u| u.0))
    }
}

/// Bytes in little room: `61.2G`, `512B`.
#[derive(Clone, Copy)]
pub struct ShortBytes(pub f64);

impl fmt::Display for ShortBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = scaled(self.0);
        digits(f, value, unit == 0)?;
        f.write_str(UNITS.get(unit).map_or("B", |u| u.1))
    }
}

/// GiB without unit, for pairs like `61.2/80.0 GiB`.
#[derive(Clone, Copy)]
pub struct Gib(pub u64);

impl fmt::Display for Gib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0 as f64 / (1024.0 * 1024.0 * 1024.0);
        write!(f, "{value:.1}")
    }
}

/// Percent; one decimal below ten, none above: `0.4`, `9.9`, `91`, `412`.
#[derive(Clone, Copy)]
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.abs() < 9.95 && self.0 != 0.0 {
            write!(f, "{:.1}%", self.0)
        } else {
            write!(f, "{:.0}%", self.0)
        }
    }
}

/// A stretch of time in its greatest unit, two below ten: `45s`, `3m`, `9h`, `2d`, `5w`.
#[derive(Clone, Copy)]
pub struct Age(pub Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "{seconds}s"),
            60..3600 => write!(f, "{}m", seconds / 60),
            3600..172_800 => write!(f, "{}h", seconds / 3600),
            172_800..1_209_600 => write!(f, "{}d", seconds / 86_400),
            _ => write!(f, "{}w", seconds / 604_800),
        }
    }
}

/// A stretch of time in two units: `9h12m`, `3m05s`, `2d4h`.
#[derive(Clone, Copy)]
pub struct LongAge(pub Duration);

impl fmt::Display for LongAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "{seconds}s"),
            60..3600 => write!(f, "{}m{:02}s", seconds / 60, seconds % 60),
            3600..86_400 => write!(f, "{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
            _ => write!(f, "{}d{}h", seconds / 86_400, seconds % 86_400 / 3600),
        }
    }
}

/// Time between two wall-clock moments; zero where the second is not after the first.
pub fn between(earlier: jiff::Timestamp, later: jiff::Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// Appends `text` without hostile characters; each becomes a space.
pub fn push_clean(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if is_unsafe(c) { ' ' } else { c }));
}

/// A GPU's product name without the words that say nothing: `NVIDIA H100 80GB HBM3` -> `H100 80GB`.
pub fn push_gpu_name(out: &mut String, name: &str) {
    let start = out.len();
    for word in name.split_whitespace() {
        if matches!(word, "NVIDIA" | "GeForce" | "Tesla" | "Graphics" | "Device") {
            continue;
        }
        if word.starts_with("HBM") || word == "Generation" {
            continue;
        }
        if out.len() > start {
            out.push(' ');
        }
        push_clean(out, word);
    }
    if out.len() == start {
        push_clean(out, name);
    }
}

/// Writes into a string; a `String` never refuses.
pub fn put(out: &mut String, args: fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_unit_that_fits() {
        let cases = [
            (0.0, "0 B", "0B"),
            (512.0, "512 B", "512B"),
            (1536.0, "1.5 KiB", "1.5K"),
            (65_712_000_000.0, "61.2 GiB", "61.2G"),
            (130_996_502_528.0, "122 GiB", "122G"),
            (1e18, "909495 TiB", "909495T"),
        ];
        for (bytes, long, short) in cases {
            assert_eq!(Bytes(bytes).to_string(), long);
            assert_eq!(ShortBytes(bytes).to_string(), short);
        }
    }

    #[test]
    fn numbers_are_never_clamped() {
        assert_eq!(Percent(412.3).to_string(), "412%");
        assert_eq!(Percent(0.0).to_string(), "0%");
        assert_eq!(Percent(0.44).to_string(), "0.4%");
        assert_eq!(Percent(9.96).to_string(), "10%");
        assert_eq!(Percent(25_600.0).to_string(), "25600%");
    }

    #[test]
    fn ages_read_as_people_say_them() {
        let age = |s| Age(Duration::from_secs(s)).to_string();
        assert_eq!(
            [
                age(5),
                age(65),
                age(3 * 3600),
                age(30 * 3600),
                age(3 * 86_400),
                age(40 * 86_400)
            ],
            ["5s", "1m", "3h", "30h", "3d", "5w"]
        );
        assert_eq!(LongAge(Duration::from_secs(33_120)).to_string(), "9h12m");
        assert_eq!(LongAge(Duration::from_secs(185)).to_string(), "3m05s");
    }

    #[test]
    fn hostile_characters_become_spaces() {
        let mut out = String::new();
        push_clean(&mut out, "a\x1b[31mb\u{202e}c\td");
        assert_eq!(out, "a [31mb c d");
    }

    #[test]
    fn gpu_names_lose_what_says_nothing() {
        let short = |name| {
            let mut out = String::new();
            push_gpu_name(&mut out, name);
            out
        };
        assert_eq!(short("NVIDIA H100 80GB HBM3"), "H100 80GB");
        assert_eq!(short("NVIDIA GeForce RTX 4090"), "RTX 4090");
        assert_eq!(short("Tesla V100-SXM2-16GB"), "V100-SXM2-16GB");
        assert_eq!(short("NVIDIA"), "NVIDIA");
    }
}
