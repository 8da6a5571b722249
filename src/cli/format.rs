//! Numbers as tables show them. What is not known is a dash, and nothing is clamped.

/// What is not known.
pub const UNKNOWN: &str = "—";

/// A cell of what may not be known.
pub fn cell<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), show)
}

/// Bytes with three figures: `0 B`, `512 B`, `61.2 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in UNITS.iter().skip(1) {
        // 1023.95 would print as 1024.0.
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if value < 99.95 {
        format!("{value:.1} {unit}")
    } else {
        format!("{value:.0} {unit}")
    }
}

/// Percent: one decimal below ten.
pub fn percent(value: f64) -> String {
    if value < 9.95 {
        format!("{value:.1}%")
    } else {
        format!("{value:.0}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures_and_the_right_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (65_712_160_768, "61.2 GiB"),
            (123 * 1024 * 1024 * 1024, "123 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(percent(0.04), "0.0%");
        assert_eq!(percent(9.96), "10%");
        assert_eq!(percent(1600.0), "1600%");
        assert_eq!(cell(None::<u64>, bytes), "—");
    }
}
