//! Values of the file to what the program uses, each refusal in words.

use std::time::Duration;

use toml::de::DeValue;

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn wrong<T>(wanted: &str, value: &DeValue<'_>) -> Result<T, String> {
    Err(format!("must be {wanted}, not {}", kind(value)))
}

/// `true` or `false`.
pub fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    value
        .as_bool()
        .map_or_else(|| wrong("true or false", value), Ok)
}

/// A text.
pub fn text(value: &DeValue<'_>) -> Result<String, String> {
    value
        .as_str()
        .map_or_else(|| wrong("a text", value), |text| Ok(text.to_owned()))
}

/// A list of texts; a single one is a list of one.
pub fn texts(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    if let Some(one) = value.as_str() {
        return Ok(vec![one.to_owned()]);
    }
    let Some(list) = value.as_array() else {
        return wrong("a list of texts", value);
    };
    list.iter().map(|item| text(item.get_ref())).collect()
}

/// One of these words.
pub fn choice<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let given = text(value)?;
    if let Some((_, chosen)) = words.iter().find(|(word, _)| *word == given) {
        return Ok(*chosen);
    }
    let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    Err(format!("{given:?} is not one of {}", all.join(", ")))
}

/// A whole number of `least` to `most`; underscores may group it.
pub fn number(value: &DeValue<'_>, least: usize, most: usize) -> Result<usize, String> {
    let Some(integer) = value.as_integer() else {
        return wrong("a whole number", value);
    };
    let digits = integer.as_str().replace('_', "");
    match usize::from_str_radix(&digits, integer.radix()) {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(format!("must be {least} to {most}")),
    }
}

/// A number before a unit: `"8 MiB"` is `(8.0, "mib")`.
fn with_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.parse().ok()?;
    Some((number, unit.trim().to_ascii_lowercase()))
}

/// `"500ms"`, `"2s"`, `"5m"`, `"1h"`, or a number of seconds; within `least..=most`.
pub fn duration(value: &DeValue<'_>, least: Duration, most: Duration) -> Result<Duration, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(n) if n.radix() == 10 => n.as_str().replace('_', ""),
        DeValue::Float(n) => n.as_str().replace('_', ""),
        _ => return wrong("a time as \"500ms\", \"2s\" or \"5m\"", value),
    };
    let seconds = with_unit(&text).and_then(|(n, unit)| {
        Some(match unit.as_str() {
            "ms" => n / 1000.0,
            "" | "s" => n,
            "m" | "min" => n * 60.0,
            "h" => n * 3600.0,
            _ => return None,
        })
    });
    let duration = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
    match duration {
        None => Err(format!(
            "{text:?} is no time: write \"500ms\", \"2s\" or \"5m\""
        )),
        Some(d) if (least..=most).contains(&d) => Ok(d),
        Some(_) => Err(format!("must be {} to {}", spell(least), spell(most))),
    }
}

/// A duration as the file spells it.
pub fn spell(d: Duration) -> String {
    let ms = d.as_millis();
    if ms == 0 {
        "0s".to_owned()
    } else if ms.is_multiple_of(3_600_000) {
        format!("{}h", ms / 3_600_000)
    } else if ms.is_multiple_of(60_000) {
        format!("{}m", ms / 60_000)
    } else if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{ms}ms")
    }
}

/// `"8MiB"`, `"512kB"` or a number of bytes; within `least..=most`.
pub fn bytes(value: &DeValue<'_>, least: usize, most: usize) -> Result<usize, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(n) if n.radix() == 10 => n.as_str().replace('_', ""),
        _ => return wrong("a size as \"8MiB\"", value),
    };
    let size = with_unit(&text).and_then(|(n, unit)| {
        let factor = match unit.as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "kib" | "k" => 1024.0,
            "mb" => 1e6,
            "mib" | "m" => 1_048_576.0,
            "gb" => 1e9,
            "gib" | "g" => 1_073_741_824.0,
            _ => return None,
        };
        Some(n * factor)
    });
    match size {
        None => Err(format!("{text:?} is no size: write \"8MiB\"")),
        Some(n) if n >= least as f64 && n <= most as f64 => Ok(n as usize),
        Some(_) => Err(format!("must be {least} to {most} bytes")),
    }
}
