//! A host that is not here: `--driver 535.104.05 --gpu A100 --gpu sm_120 --cuda 12.2`.

use super::catalogue::{Catalogue, GpuModel, parse_capability};
use super::facts::{HostFacts, HostGpu, Injection};
use super::require::same_brand;
use super::version::Version;

/// Most names that are offered in place of one that is not known or not clear.
const OFFERED: usize = 6;

/// Why such a host cannot be made: wrong usage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HypotheticalError {
    /// No driver version.
    #[error("`{0}` is no driver version (550.163.01, or a branch: 550)")]
    Driver(String),
    /// No CUDA version.
    #[error("`{0}` is no CUDA version (12.4)")]
    Cuda(String),
    /// No GPU of that name.
    #[error("no GPU is called `{name}`{}", offer(.nearest, "; near it: "))]
    UnknownGpu {
        /// As it was asked for.
        name: String,
        /// Names that are near, nearest first.
        nearest: Vec<String>,
    },
    /// Several GPUs that are not judged alike.
    #[error("`{name}` may be several GPUs{}", offer(.candidates, ": "))]
    AmbiguousGpu {
        /// As it was asked for.
        name: String,
        /// The full names, each with its compute capability.
        candidates: Vec<String>,
    },
}

fn offer(names: &[String], lead: &str) -> String {
    if names.is_empty() {
        return " (`sm_90` names a compute capability)".to_owned();
    }
    format!("{lead}{}", names.join(", "))
}

/// The facts of a host that is not here. `cuda` replaces what the catalogue tells of the driver; for a driver
/// newer than the catalogue without it, the CUDA is not known. `mode` unknown is the legacy hook.
///
/// # Errors
/// A version that cannot be read; a GPU's name that is not known, or that fits GPUs of several compute
/// capabilities or brands.
pub fn host(
    driver: Option<&str>,
    cuda: Option<&str>,
    gpus: &[String],
    mode: Injection,
    platform: Option<&str>,
    month: &str,
) -> Result<HostFacts, HypotheticalError> {
    let driver = driver
        .map(|text| {
            Version::parse(text.trim())
                .filter(|version| version.major() >= 100)
                .ok_or_else(|| HypotheticalError::Driver(text.to_owned()))
        })
        .transpose()?;
    let cuda = match cuda {
        Some(text) => Some(
            Version::parse(text.trim())
                .filter(|version| (1..100).contains(&version.major()))
                .ok_or_else(|| HypotheticalError::Cuda(text.to_owned()))?,
        ),
        None => driver
            .as_ref()
            .and_then(|driver| Catalogue::get().cuda_of_driver(driver)),
    };
    // Some GPUs come with their CPU.
    let on_arm = gpus.iter().any(|name| comes_with_arm(name.trim()));
    let platform = platform.or(on_arm.then_some("linux/arm64"));
    Ok(HostFacts {
        driver,
        cuda,
        gpus: gpus
            .iter()
            .map(|name| gpu(name))
            .collect::<Result<_, _>>()?,
        injection: match mode {
            Injection::Unknown => Injection::Legacy,
            mode => mode,
        },
        platform: platform.map(str::to_owned),
        hypothetical: true,
        month: month.to_owned(),
        ..HostFacts::default()
    })
}

/// Whether every GPU of this name is on one board with an Arm CPU: Grace machines, DGX Spark and Jetson.
fn comes_with_arm(name: &str) -> bool {
    const BOARDS: [&str; 4] = ["GH200", "GB200", "GB300", "GB10"];
    let found = Catalogue::get().find_gpus(name);
    let on_board = |model: &&GpuModel| {
        let mut words = model.name.split(' ');
        model.class == "jetson" || words.any(|word| BOARDS.contains(&word))
    };
    !found.is_empty() && found.iter().all(on_board)
}

/// A GPU by its name (`A100` finds every A100), or by its compute capability (`sm_120`, `12.0`), which has
/// no brand.
///
/// # Errors
/// As [`host`].
pub fn gpu(name: &str) -> Result<HostGpu, HypotheticalError> {
    let name = name.trim();
    if let Some(capability) = is_capability(name)
        .then(|| parse_capability(name))
        .flatten()
    {
        return Ok(HostGpu {
            id: name.to_owned(),
            name: name.to_owned(),
            capability: Some(capability),
            brand: None,
        });
    }
    let found = Catalogue::get().find_gpus(name);
    let Some(first) = found.first() else {
        return Err(HypotheticalError::UnknownGpu {
            name: name.to_owned(),
            nearest: nearest(name),
        });
    };
    if found.iter().any(|other| !alike(first, other)) {
        return Err(HypotheticalError::AmbiguousGpu {
            name: name.to_owned(),
            candidates: candidates(&found),
        });
    }
    Ok(HostGpu {
        id: name.to_owned(),
        name: if found.len() == 1 {
            first.name.clone()
        } else {
            name.to_owned()
        },
        capability: Some(first.compute_capability),
        brand: first.brand.clone(),
    })
}

/// `sm_120`, `sm_90a` and `12.0`; a bare number is a name (`4090`).
fn is_capability(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = name.strip_prefix("sm_") {
        let rest = rest.trim_end_matches(['a', 'f']);
        return (2..=3).contains(&rest.len()) && digits(rest);
    }
    name.split_once('.').is_some_and(|(major, minor)| {
        digits(major) && major.len() <= 2 && digits(minor) && minor.len() == 1
    })
}

/// Whether two models are judged the same: capability, and whether brand rules tell them apart.
fn alike(a: &GpuModel, b: &GpuModel) -> bool {
    let brands = match (&a.brand, &b.brand) {
        (Some(a), Some(b)) => same_brand(a, b),
        (None, None) => true,
        _ => false,
    };
    a.compute_capability == b.compute_capability && brands
}

/// One model of each kind first, so that a short list shows what the choice is about.
fn candidates(found: &[&GpuModel]) -> Vec<String> {
    let mut kinds: Vec<&GpuModel> = Vec::new();
    for model in found {
        if !kinds.iter().any(|known| alike(known, model)) {
            kinds.push(model);
        }
    }
    let rest = found
        .iter()
        .copied()
        .filter(|model| !kinds.iter().any(|k| k.name == model.name));
    let all: Vec<&GpuModel> = kinds.iter().copied().chain(rest).collect();
    all.into_iter()
        .take(OFFERED)
        .map(|model| format!("{} ({})", model.name, model.compute_capability))
        .collect()
}

/// Known names near to one that is not known: by the spelling of their words.
fn nearest(name: &str) -> Vec<String> {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .take(8)
            .map(|word| word.to_ascii_lowercase().chars().take(16).collect())
            .collect()
    };
    let wanted = words(name);
    let letters: usize = wanted.iter().map(String::len).sum();
    let score = |model: &str| -> usize {
        let own = words(model);
        let nearest = |word: &String| own.iter().map(|w| distance(word, w)).min().unwrap_or(16);
        wanted.iter().map(nearest).sum()
    };
    let mut scored: Vec<(usize, &str)> = Catalogue::get()
        .gpus
        .iter()
        .map(|model| (score(&model.name), model.name.as_str()))
        .filter(|(score, _)| *score * 2 <= letters)
        .collect();
    scored.sort_by_key(|(score, _)| *score);
    let best = scored.first().map_or(0, |(score, _)| *score);
    scored
        .into_iter()
        .take_while(|(score, _)| *score <= best + 1)
        .take(OFFERED)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Levenshtein's distance of two short texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, above), left_above) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(i + 1);
            let change = left_above + usize::from(x != *y);
            next.push(change.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str) -> Result<(String, Option<String>), String> {
        gpu(name)
            .map(|g| (g.capability.unwrap().to_string(), g.brand))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn names_are_matched_whole_and_what_is_unclear_is_asked_back() {
        for (name, capability, brand) in [
            ("A100", "8.0", Some("Nvidia")),
            ("a100", "8.0", Some("Nvidia")),
            ("NVIDIA H100 80GB HBM3", "9.0", Some("Nvidia")),
            ("H100", "9.0", Some("Nvidia")),
            ("4090", "8.9", Some("GeForce")),
            ("RTX 5090", "12.0", Some("GeForce")),
            ("GeForce GTX 1080 Ti", "6.1", Some("GeForce")),
            ("V100", "7.0", Some("Tesla")),
            ("T4", "7.5", Some("Nvidia")),
            ("L40S", "8.9", Some("Nvidia")),
            ("RTX A2000", "8.6", Some("NvidiaRTX")),
            ("GB10", "12.1", None),
            ("sm_120", "12.0", None),
            ("sm_90a", "9.0", None),
            ("12.0", "12.0", None),
            ("8.6", "8.6", None),
        ] {
            assert_eq!(
                one(name),
                Ok((capability.to_owned(), brand.map(str::to_owned))),
                "{name}"
            );
        }
        for (name, part) in [
            ("RTX 4000", "several GPUs"),
            ("RTX 4000", "(8.9)"),
            ("RTX 4000", "(7.5)"),
            ("A1000", "near it"),
            ("A1000", "A100"),
            ("RTX 5091", "5090"),
            ("H1000", "H100"),
            ("", "no GPU"),
            ("sm_", "no GPU"),
            ("sm_9999", "no GPU"),
            ("sm_xx", "no GPU"),
            ("550.163.01", "no GPU"),
        ] {
            let error = one(name).unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn the_catalogue_tells_the_drivers_cuda_and_the_caller_may_overrule_it() {
        let make = |driver, cuda| host(driver, cuda, &[], Injection::Unknown, None, "2026-11");
        let cuda = |driver, cuda| {
            make(driver, cuda)
                .unwrap()
                .cuda
                .map(|version| version.to_string())
        };
        assert_eq!(cuda(Some("535.104.05"), None).as_deref(), Some("12.2"));
        assert_eq!(cuda(Some("535"), None).as_deref(), Some("12.2"));
        assert_eq!(
            cuda(Some("535.104.05"), Some("12.4")).as_deref(),
            Some("12.4")
        );
        assert_eq!(cuda(Some("900.10"), None), None);
        assert_eq!(cuda(Some("900.10"), Some("15.0")).as_deref(), Some("15.0"));
        assert_eq!(cuda(None, Some("12.2")).as_deref(), Some("12.2"));
        let facts = make(Some("550"), None).unwrap();
        assert_eq!(facts.injection, Injection::Legacy);
        assert!(facts.hypothetical && facts.toolkit.is_none());
        for (driver, cuda) in [
            (Some("x"), None),
            (Some(""), None),
            (Some("12.4"), None),
            (None, Some("cu124")),
            (None, Some("550.54")),
        ] {
            assert!(make(driver, cuda).is_err(), "{driver:?} {cuda:?}");
        }
    }
}
