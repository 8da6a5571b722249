//! Whole verdicts: real images' values on real drivers and GPUs.

mod code;
mod compat;
mod content;
mod drivers;
mod explain;
mod grant;
mod hosts;
mod images;
mod matrix;

use super::facts::*;
use super::require::requirements;
use super::*;
use crate::model::ComputeCapability;

fn v(text: &str) -> Version {
    Version::parse(text).unwrap()
}

pub fn host(driver: &str, gpus: &[&str], injection: Injection) -> HostFacts {
    let gpus = gpus
        .iter()
        .map(|name| {
            let found = Catalogue::get().find_gpus(name);
            let (capability, brand) = match found.first() {
                Some(model) => (Some(model.compute_capability), model.brand.clone()),
                None => (catalogue::parse_capability(name), None),
            };
            HostGpu {
                id: (*name).to_owned(),
                name: (*name).to_owned(),
                capability,
                brand,
            }
        })
        .collect();
    HostFacts {
        driver: Some(v(driver)),
        cuda: Catalogue::get().cuda_of_driver(&v(driver)),
        gpus,
        injection,
        toolkit: Some(v("1.18.0")),
        platform: Some("linux/amd64".into()),
        hypothetical: true,
        month: "2026-11".into(),
        ..HostFacts::default()
    }
}

fn library(path: &str, sass: &[u32], ptx: &[(u32, (u32, u32))]) -> CudaLibrary {
    let mut code = DeviceCode::default();
    for _ in 0..100 {
        code.add(ContainerShape {
            sass: sass
                .iter()
                .map(|n| Target::from_number(*n, Variant::Plain))
                .collect(),
            ptx: ptx
                .iter()
                .map(|(n, isa)| PtxCode {
                    target: Target::from_number(*n, Variant::Plain),
                    isa: *isa,
                })
                .collect(),
        });
    }
    CudaLibrary {
        path: path.into(),
        size_bytes: 1 << 30,
        code,
        ..CudaLibrary::default()
    }
}

fn torch(version: &str, cuda: &str, sass: &[u32], ptx: &[(u32, (u32, u32))]) -> ImageFacts {
    let path = "/usr/local/lib/python3.10/site-packages/torch/lib/libtorch_cuda.so";
    ImageFacts {
        scan: Scan::Full,
        platform: Some("linux/amd64".into()),
        frameworks: vec![Framework {
            name: "torch".into(),
            version: Some(version.into()),
            build: Build::Cuda(Some(v(cuda))),
            evidence: format!("torch/version.py: cuda = '{cuda}'"),
            place: "/usr/local/lib/python3.10/site-packages".into(),
            on_path: Some(true),
            library: Some(path.into()),
            libraries: vec![path.into()],
            uses_shm: true,
            ..Framework::default()
        }],
        libraries: vec![library(path, sass, ptx)],
        libc: Some(Libc::Glibc(None)),
        ..ImageFacts::default()
    }
}

/// A library of such containers: how many, their SASS (`80 90a 100f`), their PTX (`80@9.0`).
fn shaped(path: &str, shapes: &[(u32, &str, &str)]) -> CudaLibrary {
    let target = |text: &str| {
        let variant = match text.as_bytes().last() {
            Some(b'a') => Variant::Architecture,
            Some(b'f') => Variant::Family,
            _ => Variant::Plain,
        };
        let number = text.trim_end_matches(['a', 'f']).parse().unwrap();
        Target::from_number(number, variant)
    };
    let mut code = DeviceCode::default();
    for (count, sass, ptx) in shapes {
        for _ in 0..*count {
            code.add(ContainerShape {
                sass: sass.split_whitespace().map(target).collect(),
                ptx: ptx
                    .split_whitespace()
                    .map(|text| {
                        let (own, isa) = text.split_once('@').unwrap();
                        PtxCode {
                            target: target(own),
                            isa: v(isa).pair(),
                        }
                    })
                    .collect(),
            });
        }
    }
    CudaLibrary {
        path: path.into(),
        size_bytes: 1 << 30,
        code,
        ..CudaLibrary::default()
    }
}

/// A scanned image with one framework and its libraries, the main one first.
fn framework(name: &str, cuda: Option<&str>, libraries: Vec<CudaLibrary>) -> ImageFacts {
    let paths: Vec<String> = libraries.iter().map(|l| l.path.clone()).collect();
    ImageFacts {
        scan: Scan::Full,
        platform: Some("linux/amd64".into()),
        frameworks: vec![Framework {
            name: name.into(),
            build: Build::Cuda(cuda.map(v)),
            evidence: format!("{name} says so"),
            on_path: Some(true),
            library: paths.first().cloned(),
            libraries: paths,
            ..Framework::default()
        }],
        libraries,
        libc: Some(Libc::Glibc(None)),
        ..ImageFacts::default()
    }
}

/// A row: what it is, on what, the answer, and the first finding's rule.
type Case<T> = (&'static str, T, Answer, Option<u16>);

/// One case: the whole verdict is printed where it comes out otherwise.
#[track_caller]
fn check(what: &str, image: &ImageFacts, host: &HostFacts, answer: Answer, root: Option<u16>) {
    let verdict = judge(image, host);
    assert_eq!(
        (verdict.answer, first(&verdict)),
        (answer, root),
        "{what}: {verdict:#?}"
    );
    assert!(
        (verdict.answer == Answer::Unknown) != verdict.unknown.is_empty()
            || verdict.answer == Answer::Fails,
        "{what}: unknown if and only if a fact is missing: {verdict:#?}"
    );
    sound(&verdict);
}

/// What every finding must have.
#[track_caller]
fn sound(verdict: &Verdict) {
    for finding in &verdict.findings {
        assert!(!finding.evidence.is_empty(), "{finding:?} quotes nothing");
        assert!(
            super::explain::explain(finding.rule).is_some(),
            "{finding:?} is not explained"
        );
        if finding.severity == Severity::Error {
            assert!(!finding.remedy.is_empty(), "{finding:?} has no remedy");
        }
    }
}

const TORCH_260: [u32; 7] = [50, 60, 70, 75, 80, 86, 90];
const TORCH_280: [u32; 7] = [70, 75, 80, 86, 90, 100, 120];
const TORCH_2150: [u32; 6] = [75, 80, 86, 90, 100, 120];

/// An `nvidia/cuda` base image with its compat package.
fn base(cuda: &str, require: &str, compat_driver: Option<&str>) -> ImageFacts {
    let env: Vec<(String, String)> = vec![
        ("NVIDIA_REQUIRE_CUDA".into(), require.into()),
        ("CUDA_VERSION".into(), cuda.into()),
        ("NVIDIA_VISIBLE_DEVICES".into(), "all".into()),
        (
            "NVIDIA_DRIVER_CAPABILITIES".into(),
            "compute,utility".into(),
        ),
    ];
    let compat = compat_driver.map(|driver| Compat {
        path: "/usr/local/cuda/compat".into(),
        driver: v(driver),
        cuda: Some(Version::from_pair(v(cuda).major(), v(cuda).minor())),
        note: None,
        forced_by: None,
        candidates: 1,
    });
    ImageFacts {
        scan: Scan::Config,
        unmodified_base: true,
        platform: Some("linux/amd64".into()),
        requirements: requirements(env.iter().map(|(n, val)| (n.as_str(), val.as_str()))),
        env,
        declared_cuda: Some(v(cuda)),
        compat,
        ..ImageFacts::default()
    }
}

fn first(verdict: &Verdict) -> Option<u16> {
    verdict.findings.first().map(|f| f.rule.0)
}

#[track_caller]
fn expect(image: &ImageFacts, host: &HostFacts, answer: Answer, root: Option<u16>) {
    let verdict = judge(image, host);
    assert_eq!(
        (verdict.answer, first(&verdict)),
        (answer, root),
        "{verdict:#?}"
    );
    sound(&verdict);
}

const R128: &str = "cuda>=12.8 brand=unknown,driver>=470,driver<471 brand=grid,driver>=470,driver<471 brand=tesla,driver>=470,driver<471 brand=nvidia,driver>=470,driver<471 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 brand=nvidia,driver>=550,driver<551 brand=tesla,driver>=550,driver<551";
const R124: &str = "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 brand=geforce,driver>=535,driver<536 brand=tesla,driver>=535,driver<536";
