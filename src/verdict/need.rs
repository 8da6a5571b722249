//! Which CUDA an image needs, and how a libcuda of a given CUDA carries it.

use super::catalogue::Catalogue;
use super::facts::{Build, CudaLibrary, Framework, ImageFacts, Scan};
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

/// What an image needs, and of what that could not be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is known.
    pub known: Vec<Need>,
    /// Facts that are missing, in words.
    pub lacking: Vec<String>,
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

impl Carry {
    /// Whether the program starts.
    pub fn carries(self) -> bool {
        matches!(self, Self::Native | Self::MinorVersion)
    }
}

/// What carries `need` on a libcuda of CUDA `cuda`, whose driver version is `driver` where it is the
/// host's (a compat library is always above its major's floor). A driver named by its branch alone is that
/// branch's newest build.
pub fn carry(need: &Version, cuda: &Version, driver: Option<&Version>) -> Carry {
    if need.pair() <= cuda.pair() {
        return Carry::Native;
    }
    if need.major() != cuda.major() || need.major() < 11 {
        return Carry::TooOld;
    }
    let under = |floor: &Version, driver: &Version| {
        if driver.is_bare() {
            driver.major() < floor.major()
        } else {
            driver < floor
        }
    };
    match (Catalogue::get().minor_floor(need.major()), driver) {
        (Some(floor), Some(driver)) if under(floor, driver) => Carry::UnderFloor,
        _ => Carry::MinorVersion,
    }
}

/// What the image needs. Frameworks decide where there are any; several builds in one place need the one
/// that fits best; without frameworks the program's own libraries and the newest runtime, else what the
/// configuration declares.
pub fn needs(image: &ImageFacts, cuda: Option<&Version>, driver: Option<&Version>) -> Needs {
    let mut needs = Needs::default();
    let deciding = image.deciding();
    for (index, framework) in &deciding {
        match framework_need(image, framework, cuda, driver) {
            Told::Needs(cuda, evidence) => needs.known.push(Need {
                who: framework.title(),
                cuda,
                evidence,
                framework: Some(*index),
            }),
            Told::Nothing => {}
            Told::Lacking(what) => needs.lacking.push(what),
        }
    }
    // A framework built for the CPU or for AMD decides too: what lies beside it is not what it uses.
    let framework_decides = deciding.iter().any(|(_, f)| !f.is_helper());
    if needs.known.is_empty() {
        own_needs(image, framework_decides, &mut needs);
    }
    needs
}

enum Told {
    Needs(Version, String),
    Nothing,
    Lacking(String),
}

fn framework_need(
    image: &ImageFacts,
    framework: &Framework,
    cuda: Option<&Version>,
    driver: Option<&Version>,
) -> Told {
    let by_libraries = || {
        let libraries = framework
            .libraries
            .iter()
            .chain(&framework.library)
            .filter_map(|path| image.library(path));
        lower_bound(image, libraries)
    };
    let lacking = || Told::Lacking(format!("which CUDA {} was built with", framework.title()));
    match &framework.build {
        Build::Cuda(_) if !framework.alternatives.is_empty() => {
            match alternative(image, framework, cuda, driver) {
                Some(version) => Told::Needs(version.clone(), framework.evidence.clone()),
                None => Told::Nothing,
            }
        }
        Build::Cuda(Some(version)) => Told::Needs(version.clone(), framework.evidence.clone()),
        Build::Cuda(None) => match by_libraries() {
            Some((version, evidence)) => Told::Needs(version, evidence),
            // What compiles at run time alone has no CUDA of its own.
            None if framework.is_helper() => Told::Nothing,
            None => lacking(),
        },
        Build::Unknown => match by_libraries() {
            Some((version, evidence)) => Told::Needs(version, evidence),
            None if framework.is_helper() => Told::Nothing,
            None => Told::Lacking(format!(
                "whether {} was built for CUDA or for the CPU",
                framework.title()
            )),
        },
        Build::Cpu | Build::Rocm(_) => Told::Nothing,
    }
}

/// Of several builds in one place the one that is used: bitsandbytes takes that of torch's CUDA, others the
/// newest that this driver carries; where none fits, the oldest.
pub fn alternative<'a>(
    image: &'a ImageFacts,
    framework: &'a Framework,
    cuda: Option<&Version>,
    driver: Option<&Version>,
) -> Option<&'a Version> {
    let all = &framework.alternatives;
    if framework.name == "bitsandbytes" {
        let torch = image.frameworks.iter().find_map(|f| match &f.build {
            Build::Cuda(Some(version)) if f.name == "torch" && f.place == framework.place => {
                Some(version)
            }
            _ => None,
        });
        if let Some(torch) = torch {
            return all.iter().find(|v| v.pair() == torch.pair());
        }
    }
    let fitting = cuda.and_then(|cuda| {
        all.iter()
            .filter(|v| carry(v, cuda, driver).carries())
            .max()
    });
    fitting.or_else(|| all.iter().min())
}

/// The lowest CUDA that libraries can have been built with: by the runtime they need, and by the PTX in them.
fn lower_bound<'a>(
    image: &ImageFacts,
    libraries: impl Iterator<Item = &'a CudaLibrary>,
) -> Option<(Version, String)> {
    let mut best: Option<(Version, String)> = None;
    for library in libraries {
        let by_name = needed_major(library).map(|major| {
            let runtime = image
                .runtimes
                .iter()
                .filter(|r| r.version.major() == major)
                .map(|r| r.version.clone())
                .min();
            runtime.unwrap_or_else(|| Version::from_pair(major, 0))
        });
        let by_ptx = newest_ptx_cuda(library);
        for (version, why) in [
            (by_name, "the CUDA runtime that it needs"),
            (by_ptx, "the PTX in it"),
        ] {
            let Some(version) = version else { continue };
            if best.as_ref().is_none_or(|(known, _)| version > *known) {
                let evidence = format!("{}: CUDA {version} or newer, by {why}", library.path);
                best = Some((version, evidence));
            }
        }
    }
    best
}

/// The CUDA major in the names of the libraries it needs: `libcudart.so.12`, `libcublas.so.12`.
pub fn needed_major(library: &CudaLibrary) -> Option<u32> {
    library.needed.iter().find_map(|name| {
        let rest = ["libcudart.so.", "libcublas.so.", "libcublasLt.so."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))?;
        rest.split('.').next()?.parse().ok()
    })
}

/// The CUDA that first wrote its newest PTX: a lower bound, as a compiler may write older PTX.
fn newest_ptx_cuda(library: &CudaLibrary) -> Option<Version> {
    let code = &library.code;
    let in_containers = code.shapes.iter().flat_map(|(shape, _)| &shape.ptx);
    let isa = in_containers
        .chain(&code.relocatable_ptx)
        .map(|ptx| ptx.isa)
        .max()?;
    Catalogue::get()
        .cuda_for_ptx(&Version::from_pair(isa.0, isa.1))
        .cloned()
}

/// What programs of no known framework need; beside a framework that decides, runtimes and variables do not count.
fn own_needs(image: &ImageFacts, framework_decides: bool, needs: &mut Needs) {
    let of_framework = |path: &String| {
        image
            .frameworks
            .iter()
            .any(|f| f.library.as_ref() == Some(path) || f.libraries.contains(path))
    };
    let own: Vec<&CudaLibrary> = image
        .libraries
        .iter()
        .filter(|l| l.code.containers() > 0 && !l.is_nvidias() && !of_framework(&l.path))
        .collect();
    if framework_decides && own.is_empty() {
        return;
    }
    let bound = lower_bound(image, own.iter().copied());
    let runtime = image
        .runtimes
        .iter()
        .max_by(|a, b| a.version.cmp(&b.version));
    // A file named by its major alone says less than the variable of the image it came with.
    let declared = image.declared_cuda.as_ref();
    let runtime = runtime.filter(|runtime| {
        let more = declared.filter(|d| d.major() == runtime.version.major());
        !(runtime.version.is_bare() && more.is_some())
    });
    let (who, cuda, evidence) = match (bound, runtime) {
        (Some((cuda, evidence)), _) => ("the program in the image", cuda, evidence),
        (None, Some(runtime)) => (
            "the CUDA runtime",
            // `12.6.77` is the library's build: its CUDA is 12.6.
            match runtime.version.is_bare() {
                true => runtime.version.clone(),
                false => Version::from_pair(runtime.version.major(), runtime.version.minor()),
            },
            runtime.evidence.clone(),
        ),
        (None, None) => match (&image.declared_cuda, own.first()) {
            (Some(declared), _) => (
                "the image",
                declared.clone(),
                declared_evidence(image, declared),
            ),
            (None, Some(library)) => {
                let what = format!("which CUDA {} was built with", library.path);
                needs.lacking.push(what);
                return;
            }
            (None, None) => return,
        },
    };
    needs.known.push(Need {
        who: who.to_owned(),
        cuda,
        evidence,
        framework: None,
    });
}

fn declared_evidence(image: &ImageFacts, declared: &Version) -> String {
    let more = if image.scan == Scan::Config && !image.unmodified_base {
        "; what a scan finds in its files counts more"
    } else {
        ""
    };
    format!("CUDA_VERSION={declared} in the image's environment{more}")
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
        let ollama = Framework {
            name: "ollama".into(),
            build: Build::Cuda(None),
            alternatives: all.to_vec(),
            ..Framework::default()
        };
        let image = ImageFacts::default();
        let best = |cuda: Option<&Version>| {
            alternative(&image, &ollama, cuda, None)
                .unwrap()
                .to_string()
        };
        assert_eq!(best(Some(&v("12.2"))), "12.4");
        assert_eq!(best(Some(&v("13.1"))), "13.0");
        assert_eq!(best(Some(&v("10.2"))), "11.8");
        assert_eq!(best(None), "11.8");
    }

    #[test]
    fn a_runtime_named_by_its_major_alone_leaves_the_minor_to_the_variable() {
        let v = |t: &str| Version::parse(t).unwrap();
        for (file, declared, expected) in [
            ("12", Some("12.8.1"), "12.8.1"),
            ("12.4.127", Some("12.8.1"), "12.4"),
            ("12", Some("13.0.2"), "12"),
            ("12", None, "12"),
        ] {
            let image = ImageFacts {
                scan: Scan::Full,
                declared_cuda: declared.map(v),
                runtimes: vec![crate::verdict::facts::Runtime {
                    version: v(file),
                    path: "/usr/local/cuda/lib64/libcudart.so.12".into(),
                    evidence: "its name".into(),
                }],
                ..ImageFacts::default()
            };
            let needs = needs(&image, None, None);
            assert_eq!(
                needs.known[0].cuda.to_string(),
                expected,
                "{file} {declared:?}"
            );
        }
    }
}
