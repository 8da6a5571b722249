//! Which CUDA an image needs, and how a libcuda of a given CUDA carries it.

use super::catalogue::Catalogue;
use super::facts::{Build, Framework, ImageFacts};
use super::version::Version;

/// One thing in the image that needs a CUDA, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What needs it (`torch 2.6.0`, `CUDA runtime`).
    pub who: String,
    /// The CUDA it needs.
    pub cuda: Version,
    /// Which file or variable said so.
    pub evidence: String,
    /// Index of the framework, where it is one.
    pub framework: Option<usize>,
}

/// How a libcuda carries a need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// It is as new or newer.
    Native,
    /// Same major, newer minor, from the floor on.
    MinorVersion,
    /// Same major from 11 on, but the driver is under that major's floor.
    UnderFloor,
    /// A newer major, or a newer minor of a major that has no minor-version compatibility.
    TooOld,
}

/// What carries `need` on a libcuda of CUDA `cuda`, whose driver version is `driver` where it is the
/// host's (a compat library is always above its major's floor).
pub fn carry(need: &Version, cuda: &Version, driver: Option<&Version>) -> Carry {
    if need.pair() <= cuda.pair() {
        return Carry::Native;
    }
    if need.major() != cuda.major() || need.major() < 11 {
        return Carry::TooOld;
    }
    match (Catalogue::get().minor_floor(need.major()), driver) {
        (Some(floor), Some(driver)) if driver < floor => Carry::UnderFloor,
        _ => Carry::MinorVersion,
    }
}

/// What the image needs. Frameworks decide where there are any; several builds in one place need the one
/// that fits best; without frameworks the newest runtime library, else what the configuration declares.
pub fn needs(image: &ImageFacts, cuda: Option<&Version>) -> Vec<Need> {
    let mut needs: Vec<Need> = image
        .frameworks
        .iter()
        .enumerate()
        .filter(|(_, f)| f.on_path != Some(false))
        .filter_map(|(index, f)| framework_need(index, f, cuda))
        .collect();
    if needs.is_empty() {
        needs.extend(runtime_need(image));
    }
    needs
}

fn framework_need(index: usize, framework: &Framework, cuda: Option<&Version>) -> Option<Need> {
    let who = match &framework.version {
        Some(version) => format!("{} {version}", framework.name),
        None => framework.name.clone(),
    };
    let version = match &framework.build {
        Build::Cuda(Some(version)) if framework.alternatives.is_empty() => version.clone(),
        Build::Cuda(_) => best_alternative(&framework.alternatives, cuda)?.clone(),
        _ => return None,
    };
    Some(Need {
        who,
        cuda: version,
        evidence: framework.evidence.clone(),
        framework: Some(index),
    })
}

/// The newest alternative of the driver's major or older; else the oldest.
fn best_alternative<'a>(all: &'a [Version], cuda: Option<&Version>) -> Option<&'a Version> {
    let fitting = cuda.and_then(|cuda| all.iter().filter(|v| v.major() <= cuda.major()).max());
    fitting.or_else(|| all.iter().min())
}

fn runtime_need(image: &ImageFacts) -> Option<Need> {
    if let Some(runtime) = image
        .runtimes
        .iter()
        .max_by(|a, b| a.version.cmp(&b.version))
    {
        return Some(Need {
            who: "the CUDA runtime".to_owned(),
            cuda: runtime.version.clone(),
            evidence: runtime.evidence.clone(),
            framework: None,
        });
    }
    let declared = image.declared_cuda.as_ref()?;
    Some(Need {
        who: "the image".to_owned(),
        cuda: declared.clone(),
        evidence: format!("CUDA_VERSION={declared} in the image's environment"),
        framework: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carrying_follows_majors_minors_and_floors() {
        let v = |t: &str| Version::parse(t).unwrap();
        let cases = [
            // need, libcuda's CUDA, driver, outcome
            ("12.4", "12.4", "550.54.15", Carry::Native),
            ("12.4.1", "12.4", "550.54.15", Carry::Native),
            ("11.8", "12.2", "535.183.01", Carry::Native),
            ("12.8", "12.4", "550.54.15", Carry::MinorVersion),
            ("12.8", "12.0", "525.60.13", Carry::MinorVersion),
            ("12.8", "12.0", "525.53", Carry::UnderFloor),
            ("11.8", "11.0", "450.80.02", Carry::MinorVersion),
            ("11.8", "11.0", "450.51.06", Carry::UnderFloor),
            ("12.1", "11.4", "470.256.02", Carry::TooOld),
            ("13.0", "12.4", "550.54.15", Carry::TooOld),
            ("10.2", "10.1", "418.226.00", Carry::TooOld),
            ("10.1", "10.2", "440.33", Carry::Native),
            ("13.2", "13.0", "580.95.05", Carry::MinorVersion),
            ("13.2", "13.0", "580.45", Carry::UnderFloor),
        ];
        for (need, cuda, driver, expected) in cases {
            assert_eq!(
                carry(&v(need), &v(cuda), Some(&v(driver))),
                expected,
                "{need} on {cuda} ({driver})"
            );
        }
        assert_eq!(carry(&v("12.8"), &v("12.0"), None), Carry::MinorVersion);
    }

    #[test]
    fn the_best_of_several_builds_is_what_counts() {
        let v = |t: &str| Version::parse(t).unwrap();
        let all = [v("11.8"), v("12.4"), v("13.0")];
        let best = |cuda: Option<&Version>| best_alternative(&all, cuda).unwrap().to_string();
        assert_eq!(best(Some(&v("12.2"))), "12.4");
        assert_eq!(best(Some(&v("13.1"))), "13.0");
        assert_eq!(best(Some(&v("10.2"))), "11.8");
        assert_eq!(best(None), "11.8");
    }
}
