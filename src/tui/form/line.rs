//! The form's side of `docker run` lines.

use crate::launch::{LaunchSpec, OtherFlag, Surroundings, parse, words};

pub use words::one_line;

/// Stands for an image where flags alone are read or written.
const IMAGE: &str = "image";

/// The words of a field's text, as a shell reads what stands after an image: `NAME=value` is no assignment there.
///
/// # Errors
/// A quote that is not closed; what a shell would execute.
pub fn split(text: &str, around: &Surroundings) -> Result<Vec<String>, String> {
    let split = words::split(&format!("x {text}"), around)?;
    Ok(split.words.into_iter().skip(1).collect())
}

/// The launch as it would be typed.
pub fn of(spec: &LaunchSpec) -> Vec<String> {
    spec.docker_run()
}

/// Flags that have no field of their own, as words.
pub fn flag_words(flags: &[OtherFlag]) -> Vec<String> {
    let spec = LaunchSpec {
        image: IMAGE.to_owned(),
        other: flags.to_vec(),
        ..LaunchSpec::default()
    };
    let mut words = spec.docker_run();
    words.pop();
    words.into_iter().skip(2).collect()
}

/// Reads a line.
///
/// # Errors
/// Why it cannot be read.
pub fn read(text: &str, around: &Surroundings) -> Result<LaunchSpec, String> {
    let parsed = parse::line(text, around).map_err(|why| why.to_string())?;
    Ok(parsed.spec)
}

/// Reads flags that have no field of their own.
///
/// # Errors
/// Why they cannot be read.
pub fn flags(text: &str, around: &Surroundings) -> Result<Vec<OtherFlag>, String> {
    let mut words = split(text, around)?;
    words.push(IMAGE.to_owned());
    let spec = parse::args(&words, around, false)
        .map_err(|why| why.to_string())?
        .spec;
    if spec.image != IMAGE || !spec.command.is_empty() {
        return Err(format!(
            "`{}` is no flag",
            crate::model::text::clean(&spec.image, 60)
        ));
    }
    let only = LaunchSpec {
        image: spec.image.clone(),
        other: spec.other.clone(),
        ..LaunchSpec::default()
    };
    if spec != only {
        return Err("one of these has a field of its own in the form: write it there".to_owned());
    }
    Ok(spec.other)
}
