//! Sizes and numbers of CPUs.

use super::said;

const KIB: u64 = 1024;
const UNITS: [(char, u64); 5] = [
    ('k', KIB),
    ('m', KIB * KIB),
    ('g', KIB * KIB * KIB),
    ('t', KIB * KIB * KIB * KIB),
    ('p', KIB * KIB * KIB * KIB * KIB),
];

fn no_size(text: &str) -> String {
    format!(
        "{} is no size: a number with b, k, m, g or t, as in 8g or 512m",
        said(text)
    )
}

/// Bytes of a size as Docker reads it: `8g`, `512m`, `1.5GiB`, `1000`; units count by 1024, in either case.
///
/// # Errors
/// No such size, or more than an engine can take (2^63 - 1).
pub fn bytes(text: &str) -> Result<u64, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (Some(number), Some(unit)) = (text.get(..end), text.get(end..)) else {
        return Err(no_size(text));
    };
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" | "b" => 1,
        unit => {
            let mut chars = unit.chars();
            let factor = chars
                .next()
                .and_then(|first| UNITS.iter().find(|(name, _)| *name == first))
                .map(|(_, factor)| *factor);
            match (factor, chars.as_str()) {
                (Some(factor), "" | "b" | "ib" | "i") => factor,
                _ => return Err(no_size(text)),
            }
        }
    };
    let most = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    let size = if let Ok(whole) = number.parse::<u64>() {
        whole.checked_mul(factor)
    } else {
        let number: f64 = number.parse().map_err(|_| no_size(text))?;
        // A 64-bit float holds every factor exactly; what is cut off is less than a byte, as with Docker.
        let size = (number * factor as f64) as u64;
        Some(size)
    };
    size.filter(|size| *size <= most)
        .ok_or_else(|| format!("{} is more than an engine can count", said(text)))
}

/// The shortest text that [`bytes`] reads as this many: `8g`, `64m`, `1000`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    UNITS
        .iter()
        .rev()
        .filter(|(name, _)| *name != 'p')
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor))
        .map_or_else(
            || bytes.to_string(),
            |(name, factor)| format!("{}{name}", bytes / factor),
        )
}

const NANO: u64 = 1_000_000_000;

/// Billionths of a CPU of `1.5`, `0.25` or `3/2`.
///
/// # Errors
/// No number, or one finer than a billionth.
pub fn nano_cpus(text: &str) -> Result<u64, String> {
    let no = || {
        format!(
            "{} is no number of CPUs: write one like 4 or 1.5",
            said(text)
        )
    };
    let fine = || format!("{} is finer than a billionth of a CPU", said(text));
    if let Some((above, below)) = text.split_once('/') {
        let above: u128 = above.parse::<u64>().map_err(|_| no())?.into();
        let below: u128 = below.parse::<u64>().map_err(|_| no())?.into();
        let all = above * u128::from(NANO);
        return match (all.checked_div(below), all.checked_rem(below)) {
            (Some(nano), Some(0)) => u64::try_from(nano)
                .ok()
                .filter(|n| i64::try_from(*n).is_ok())
                .ok_or_else(no),
            (Some(_), Some(_)) => Err(fine()),
            _ => Err(no()),
        };
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || !text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(no());
    }
    if part.len() > 9 {
        return Err(fine());
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| no())?
    };
    let part: u64 = format!("{part:0<9}").parse().map_err(|_| no())?;
    whole
        .checked_mul(NANO)
        .and_then(|nano| nano.checked_add(part))
        .filter(|nano| i64::try_from(*nano).is_ok())
        .ok_or_else(no)
}

/// The shortest text that [`nano_cpus`] reads as this many billionths of a CPU.
#[must_use]
pub fn nano_text(nano: u64) -> String {
    let (whole, part) = (nano / NANO, nano % NANO);
    if part == 0 {
        return whole.to_string();
    }
    let part = format!("{part:09}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}
