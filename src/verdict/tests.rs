//! Whole verdicts: real images' values on real drivers and GPUs.

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
    for finding in &verdict.findings {
        assert!(!finding.evidence.is_empty(), "{finding:?} quotes nothing");
        if finding.severity == Severity::Error {
            assert!(!finding.remedy.is_empty(), "{finding:?} has no remedy");
        }
    }
}

#[test]
fn torch_wheels_on_drivers_and_gpus() {
    use Answer::{Fails, Limited, Works};
    let t260 = torch("2.6.0+cu124", "12.4", &TORCH_260, &[]);
    let t280 = torch("2.8.0+cu128", "12.8", &TORCH_280, &[]);
    let t2150 = torch("2.15.0+cu132", "13.2", &TORCH_2150, &[]);
    let t251 = torch("2.5.1+cu124", "12.4", &TORCH_260, &[]);
    let ptx86 = torch("x", "12.4", &[80], &[(80, (8, 4))]);
    let cases: &[(&ImageFacts, &str, &str, Answer, Option<u16>)] = &[
        (&t260, "550.163.01", "H100", Works, None),
        (&t260, "535.183.01", "H100", Works, Some(103)),
        (&t260, "470.256.02", "A100", Fails, Some(102)),
        (&t260, "580.95.05", "RTX 5090", Fails, Some(201)),
        (&t260, "550.163.01", "RTX 5090", Fails, Some(108)),
        (&t251, "570.124.06", "RTX 5090", Fails, Some(201)),
        (&t280, "550.54.15", "RTX 4090", Works, Some(103)),
        (&t280, "580.95.05", "GTX 1080 Ti", Fails, Some(201)),
        (&t280, "570.124.06", "RTX 5090", Works, None),
        (&t280, "580.95.05", "V100", Works, None),
        (&t2150, "580.95.05", "V100", Fails, Some(203)),
        (&t2150, "535.274.02", "A100", Fails, Some(102)),
        (&t2150, "580.95.05", "A100", Works, Some(103)),
        (&t2150, "595.71.05", "B200", Works, None),
        (&t2150, "580.95.05", "GB10", Works, Some(103)),
        (&t2150, "590.48.01", "V100", Fails, Some(108)),
        (&t260, "525.60.13", "A100", Works, Some(103)),
        (&t260, "525.53", "A100", Fails, Some(102)),
        (&t260, "550.163.01", "L40S", Works, None),
        (&t260, "550.163.01", "T4", Works, None),
        (&t260, "550.163.01", "GTX 1080", Works, None),
        (&ptx86, "550.163.01", "H100", Limited, Some(202)),
        (&ptx86, "535.183.01", "H100", Fails, Some(107)),
        (&ptx86, "550.163.01", "RTX 3090", Works, None),
        (&t260, "550.163.01", "sm_90", Works, None),
        (&t260, "550.163.01", "sm_86", Works, None),
        (&t280, "580.95.05", "sm_110", Fails, Some(201)),
    ];
    for (image, driver, gpu, answer, root) in cases {
        let host = host(driver, &[gpu], Injection::Legacy);
        let verdict = judge(image, &host);
        let who = image.frameworks[0].version.as_deref().unwrap();
        assert_eq!(
            (verdict.answer, first(&verdict)),
            (*answer, *root),
            "{who} on {driver} with {gpu}: {verdict:#?}"
        );
    }
}

const R128: &str = "cuda>=12.8 brand=unknown,driver>=470,driver<471 brand=grid,driver>=470,driver<471 brand=tesla,driver>=470,driver<471 brand=nvidia,driver>=470,driver<471 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 brand=nvidia,driver>=550,driver<551 brand=tesla,driver>=550,driver<551";
const R124: &str = "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 brand=geforce,driver>=535,driver<536 brand=tesla,driver>=535,driver<536";

#[test]
fn nvidia_base_images_with_their_compat_packages() {
    use Answer::{Fails, Limited, Works};
    let b128 = base("12.8.1", R128, Some("570.124.06"));
    let b124 = base("12.4.1", R124, Some("550.54.15"));
    let b131 = base("13.1.1", "cuda>=13.1", Some("590.48.01"));
    let b118 = base("11.8.0", "cuda>=11.8", Some("520.61.05"));
    let legacy = Injection::Legacy;
    expect(
        &b128,
        &host("535.183.01", &["RTX 3090"], legacy),
        Fails,
        Some(101),
    );
    // The requirement passes, the hook selects the compat library, GeForce may end in 804.
    expect(
        &b124,
        &host("535.183.01", &["RTX 3090"], legacy),
        Limited,
        Some(106),
    );
    expect(
        &b128,
        &host("535.274.02", &["A100"], legacy),
        Works,
        Some(104),
    );
    expect(
        &b128,
        &host("550.163.01", &["A100"], legacy),
        Limited,
        Some(104),
    );
    expect(
        &b124,
        &host("545.23.08", &["H100"], legacy),
        Fails,
        Some(101),
    );
    expect(&b128, &host("580.95.05", &["H100"], legacy), Works, None);
    expect(&b118, &host("535.183.01", &["T4"], legacy), Works, None);
    // Under CDI nothing checks the requirement.
    let cdi = host("535.183.01", &["RTX 3090"], Injection::Cdi);
    expect(&b128, &cdi, Limited, Some(106));
    let b5090 = host("580.95.05", &["RTX 5090"], Injection::Cdi);
    expect(&b131, &b5090, Limited, Some(106));
    // Unknown injection: the refusal cannot be told.
    let unknown = judge(
        &b128,
        &host("535.183.01", &["RTX 3090"], Injection::Unknown),
    );
    assert_eq!(unknown.answer, Answer::Unknown, "{unknown:#?}");
    // NVIDIA_DISABLE_REQUIRE.
    let mut off = b124.clone();
    off.requirements.disabled = true;
    let verdict = judge(&off, &host("545.23.08", &["H100"], legacy));
    assert!(
        verdict.findings.iter().all(|f| f.rule.0 != 101),
        "{verdict:#?}"
    );
    // Another major with a bridge that GeForce may not use.
    let geforce = host("550.163.01", &["RTX 4090"], Injection::Cdi);
    expect(&b131, &geforce, Fails, Some(105));
    // Forced onto a host that is newer than the package.
    let mut forced = b118.clone();
    forced.compat.as_mut().unwrap().forced_by = Some("LD_LIBRARY_PATH".into());
    expect(
        &forced,
        &host("580.95.05", &["A100"], legacy),
        Fails,
        Some(106),
    );
}

#[test]
fn configuration_alone_never_proves_a_success() {
    let mut image = base("12.4.1", R124, None);
    image.unmodified_base = false;
    let verdict = judge(&image, &host("550.163.01", &["A100"], Injection::Legacy));
    assert_eq!(verdict.answer, Answer::Unknown);
    let verdict = judge(
        &image,
        &host("470.256.02", &["RTX 3090"], Injection::Legacy),
    );
    assert_eq!(verdict.answer, Answer::Fails);
}

#[test]
fn content_rules() {
    let good = host("550.163.01", &["A100"], Injection::Legacy);
    let plain = ImageFacts {
        scan: Scan::Full,
        platform: Some("linux/amd64".into()),
        ..ImageFacts::default()
    };
    expect(&plain, &good, Answer::NoCuda, None);
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let with = |change: &dyn Fn(&mut ImageFacts)| {
        let mut image = t.clone();
        change(&mut image);
        image
    };
    let cpu = with(&|i| {
        i.libraries.clear();
        i.frameworks[0].library = None;
        i.frameworks[0].build = Build::Cpu;
    });
    expect(&cpu, &good, Answer::Limited, Some(301));
    let rocm = with(&|i| {
        i.libraries.clear();
        i.frameworks[0].build = Build::Rocm(Some("6.2".into()));
    });
    expect(&rocm, &good, Answer::Fails, Some(306));
    expect(
        &with(&|i| i.libc = Some(Libc::Musl)),
        &good,
        Answer::Fails,
        Some(305),
    );
    expect(
        &with(&|i| i.platform = Some("linux/arm64".into())),
        &good,
        Answer::Fails,
        Some(307),
    );
    let stub = |has_soname, by: Option<&str>| {
        with(&|i| {
            i.stubs = vec![Stub {
                path: "/usr/local/cuda/lib64/stubs".into(),
                has_soname,
                searched_by: by.map(str::to_owned),
            }];
        })
    };
    expect(
        &stub(true, Some("LD_LIBRARY_PATH")),
        &good,
        Answer::Fails,
        Some(303),
    );
    expect(
        &stub(false, Some("LD_LIBRARY_PATH")),
        &good,
        Answer::Limited,
        Some(303),
    );
    expect(&stub(true, None), &good, Answer::Works, None);
    let baked = |version: &str, empty| {
        with(&|i| {
            i.driver_libraries = vec![DriverLibrary {
                path: format!("/usr/lib/x86_64-linux-gnu/libcuda.so.{version}"),
                version: Some(v(version)),
                empty,
            }];
        })
    };
    expect(&baked("560.35.03", false), &good, Answer::Fails, Some(304));
    expect(
        &baked("535.104.05", false),
        &good,
        Answer::Limited,
        Some(304),
    );
    expect(&baked("535.104.05", true), &good, Answer::Works, Some(304));
    expect(
        &with(&|i| i.frameworks[0].missing = vec!["libcudnn.so.9".into()]),
        &good,
        Answer::Limited,
        Some(308),
    );
    let two = with(&|i| {
        for text in ["11.8.89", "12.4.127"] {
            i.runtimes.push(Runtime {
                version: v(text),
                path: format!("/x/{text}"),
                evidence: "file name".into(),
            });
        }
    });
    expect(&two, &good, Answer::Works, Some(302));
    let jit = with(&|i| i.frameworks[0].jits_ptx = true);
    expect(
        &jit,
        &host("535.183.01", &["A100"], Injection::Legacy),
        Answer::Limited,
        Some(103),
    );
    let gap = with(&|i| i.gaps = vec!["a library that is too large".into()]);
    assert_eq!(judge(&gap, &good).answer, Answer::Unknown);
}

#[test]
fn grant_rules() {
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let env = |name: &str, value: &str| {
        let mut image = t.clone();
        image.env.push((name.into(), value.into()));
        image
    };
    let legacy = host("550.163.01", &["A100"], Injection::Legacy);
    let cdi = host("550.163.01", &["A100"], Injection::Cdi);
    expect(
        &env("NVIDIA_VISIBLE_DEVICES", "void"),
        &legacy,
        Answer::Limited,
        Some(402),
    );
    expect(
        &env("NVIDIA_VISIBLE_DEVICES", ""),
        &legacy,
        Answer::Limited,
        Some(402),
    );
    expect(
        &env("NVIDIA_VISIBLE_DEVICES", "none"),
        &legacy,
        Answer::Limited,
        Some(402),
    );
    expect(
        &env("NVIDIA_VISIBLE_DEVICES", "void"),
        &cdi,
        Answer::Works,
        None,
    );
    expect(
        &env("NVIDIA_VISIBLE_DEVICES", "all"),
        &legacy,
        Answer::Works,
        None,
    );
    expect(
        &env("NVIDIA_DRIVER_CAPABILITIES", "utility"),
        &legacy,
        Answer::Fails,
        Some(403),
    );
    expect(
        &env("NVIDIA_DRIVER_CAPABILITIES", "utility"),
        &cdi,
        Answer::Works,
        Some(403),
    );
    expect(
        &env("NVIDIA_DRIVER_CAPABILITIES", "all"),
        &legacy,
        Answer::Works,
        None,
    );
    let mut launch = legacy.clone();
    launch.launch = Some(LaunchFacts {
        grants_gpus: true,
        shm_bytes: Some(64 << 20),
    });
    expect(&t, &launch, Answer::Limited, Some(404));
    launch.launch = Some(LaunchFacts {
        grants_gpus: true,
        shm_bytes: Some(8 << 30),
    });
    expect(&t, &launch, Answer::Works, None);
    launch.launch = Some(LaunchFacts {
        grants_gpus: true,
        shm_bytes: None,
    });
    expect(
        &env("NVIDIA_VISIBLE_DEVICES", "void"),
        &launch,
        Answer::Works,
        None,
    );
    let mut none = legacy.clone();
    none.no_gpu_runtime =
        Some("could not select device driver \"\" with capabilities: [[gpu]]".into());
    expect(&t, &none, Answer::Fails, Some(401));
}

#[test]
fn a_live_host_with_mixed_gpus_is_limited_and_a_hypothetical_one_fails() {
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let mut mixed = host("580.95.05", &["A100", "RTX 5090"], Injection::Legacy);
    expect(&t, &mixed, Answer::Fails, Some(201));
    mixed.hypothetical = false;
    let verdict = judge(&t, &mixed);
    assert_eq!(verdict.answer, Answer::Limited);
    assert!(
        verdict.findings.iter().any(|f| f.rule.0 == 204),
        "{verdict:#?}"
    );
    let mut all_bad = host("580.95.05", &["RTX 5090", "RTX 5080"], Injection::Legacy);
    all_bad.hypothetical = false;
    assert_eq!(judge(&t, &all_bad).answer, Answer::Fails);
}

#[test]
fn missing_facts_are_unknown_never_works() {
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let full = host("550.163.01", &["A100"], Injection::Legacy);
    let mut no_gpus = full.clone();
    no_gpus.gpus.clear();
    assert_eq!(judge(&t, &no_gpus).answer, Answer::Unknown);
    let mut no_driver = full.clone();
    no_driver.driver = None;
    no_driver.cuda = None;
    assert_eq!(judge(&t, &no_driver).answer, Answer::Unknown);
    let mut no_capability = full.clone();
    no_capability.gpus[0].capability = None;
    assert_eq!(judge(&t, &no_capability).answer, Answer::Unknown);
    // A driver newer than the catalogue is judged by NVML's own number.
    let mut newer = full;
    newer.driver = Some(v("900.10"));
    newer.cuda = Some(v("15.0"));
    assert_eq!(judge(&t, &newer).answer, Answer::Works);
}

#[test]
fn targets_run_where_the_compatibility_guides_say() {
    let cc = |major, minor| ComputeCapability { major, minor };
    let t = |n, variant| Target::from_number(n, variant);
    use Variant::{Architecture as A, Family as F, Plain as P};
    for (target, gpu, sass, ptx) in [
        (t(80, P), cc(8, 6), true, true),
        (t(80, P), cc(8, 9), true, true),
        (t(80, P), cc(9, 0), false, true),
        (t(86, P), cc(8, 0), false, false),
        (t(89, P), cc(8, 6), false, false),
        (t(90, P), cc(9, 0), true, true),
        (t(90, A), cc(9, 0), true, true),
        (t(90, A), cc(10, 0), false, false),
        (t(100, P), cc(10, 3), true, true),
        (t(100, A), cc(10, 3), false, false),
        (t(100, F), cc(10, 3), true, true),
        (t(100, F), cc(10, 7), true, true),
        (t(103, F), cc(10, 0), false, false),
        (t(100, F), cc(12, 0), false, false),
        (t(100, P), cc(12, 0), false, true),
        (t(120, P), cc(12, 1), true, true),
        (t(120, F), cc(12, 1), true, true),
        (t(121, F), cc(12, 0), false, false),
        (t(70, P), cc(7, 5), true, true),
        (t(101, P), cc(11, 0), true, true),
        (t(110, F), cc(11, 0), true, true),
    ] {
        assert_eq!(
            (target.sass_runs_on(gpu), target.ptx_compiles_for(gpu)),
            (sass, ptx),
            "{} on {gpu}",
            target.sass_name()
        );
    }
    assert_eq!(t(90, A).sass_name(), "sm_90a");
    assert_eq!(t(120, F).ptx_name(), "compute_120f");
}
