//! Wheels on drivers and GPUs.

use super::*;

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

#[test]
fn floors_majors_and_drivers_named_in_part() {
    use Answer::{Fails, Unknown, Works};
    let t118 = torch("2.3.1+cu118", "11.8", &[50, 60, 70, 75, 80, 86, 90], &[]);
    let t102 = torch("1.12.1+cu102", "10.2", &[37, 50, 60, 70], &[]);
    let t260 = torch("2.6.0+cu124", "12.4", &TORCH_260, &[]);
    let t2110 = torch("2.11.0+cu130", "13.0", &TORCH_2150, &[]);
    let t2150 = torch("2.15.0+cu132", "13.2", &TORCH_2150, &[]);
    for (image, driver, gpu, answer, root) in [
        (&t118, "450.80.02", "A100", Works, Some(103)),
        (&t118, "450.51.06", "A100", Fails, Some(102)),
        (&t118, "470.256.02", "A100", Works, Some(103)),
        (&t118, "440.100", "V100", Fails, Some(102)),
        (&t118, "535.183.01", "H100", Works, None),
        (&t102, "418.226.00", "V100", Fails, Some(102)),
        (&t102, "440.100", "V100", Works, None),
        (&t102, "470.256.02", "T4", Works, None),
        (&t102, "550.163.01", "A100", Fails, Some(201)),
        (&t260, "525", "A100", Works, Some(103)),
        (&t260, "520.61.05", "A100", Fails, Some(102)),
        (&t260, "580", "GTX 1080 Ti", Works, None),
        (&t260, "470.256.02", "Tesla K80", Fails, Some(102)),
        (&t2110, "575.57.08", "RTX 5090", Fails, Some(102)),
        (&t2110, "580.65.06", "RTX 5090", Works, None),
        (&t2110, "580", "B200", Works, None),
        (&t2150, "580.65.06", "H100", Works, Some(103)),
        (&t2150, "580.45", "H100", Fails, Some(102)),
        (&t2150, "615.71.09", "sm_107", Works, None),
        (&t2150, "610.43.02", "sm_107", Fails, Some(108)),
        (&t2150, "570.124.06", "B300", Fails, Some(102)),
        (&t260, "470.256.02", "H100", Fails, Some(102)),
        (&t260, "395.1", "T4", Fails, Some(102)),
    ] {
        let who = image.frameworks[0].title();
        let host = host(driver, &[gpu], Injection::Legacy);
        check(
            &format!("{who} on {driver} with {gpu}"),
            image,
            &host,
            answer,
            root,
        );
    }
    // The CUDA version alone, without the driver's.
    for (cuda, gpu, answer, root) in [
        ("12.4", "A100", Works, None),
        ("12.2", "A100", Works, Some(103)),
        ("12.0", "A100", Unknown, Some(103)),
        ("11.4", "A100", Fails, Some(102)),
        ("12.4", "RTX 5090", Fails, Some(108)),
        ("13.1", "V100", Fails, Some(108)),
    ] {
        let mut host = host("550.163.01", &[gpu], Injection::Legacy);
        host.driver = None;
        host.cuda = Some(v(cuda));
        check(
            &format!("CUDA {cuda} with {gpu}"),
            &t260,
            &host,
            answer,
            root,
        );
    }
}

#[test]
fn what_an_image_needs_is_told_by_its_files() {
    use Answer::{Fails, NoCuda, Unknown, Works};
    let a100 = |driver: &str| host(driver, &["A100"], Injection::Legacy);
    // Static runtime: the PTX tells the lowest CUDA.
    let xgboost = framework(
        "xgboost",
        None,
        vec![shaped(
            "x/libxgboost.so",
            &[(65, "50 60 70 80 90 100 120", "120@8.8")],
        )],
    );
    check("xgboost", &xgboost, &a100("580.95.05"), Works, None);
    check("xgboost", &xgboost, &a100("550.163.01"), Works, Some(103));
    check("xgboost", &xgboost, &a100("470.256.02"), Fails, Some(102));
    // Neither PTX nor a needed runtime: nothing tells.
    let bare = framework(
        "thing",
        None,
        vec![shaped("x/libthing.so", &[(3, "80", "")])],
    );
    check("thing", &bare, &a100("580.95.05"), Unknown, None);
    let mut own = bare.clone();
    own.frameworks.clear();
    check("a library alone", &own, &a100("580.95.05"), Unknown, None);
    own.libraries[0].needed = vec!["libcudart.so.12".into()];
    check("a library alone", &own, &a100("580.95.05"), Works, None);
    check(
        "a library alone",
        &own,
        &a100("470.256.02"),
        Fails,
        Some(102),
    );
    own.runtimes = vec![Runtime {
        version: v("12.9.79"),
        path: "/usr/local/cuda/lib64/libcudart.so.12".into(),
        evidence: "its name".into(),
    }];
    check("its runtime", &own, &a100("550.163.01"), Works, Some(103));
    // Beside a framework for the CPU, a program's own CUDA library needs its driver.
    let mut both = own.clone();
    both.runtimes.clear();
    both.frameworks = framework("onnxruntime", None, Vec::new()).frameworks;
    both.frameworks[0].build = Build::Cpu;
    check(
        "beside a CPU build",
        &both,
        &a100("550.163.01"),
        Works,
        None,
    );
    check(
        "beside a CPU build",
        &both,
        &a100("470.256.02"),
        Fails,
        Some(102),
    );
    // A main library that is not told: the largest of its own.
    let mut unnamed = torch("2.6.0", "12.4", &TORCH_260, &[]);
    unnamed.frameworks[0].library = None;
    check("unnamed", &unnamed, &a100("550.163.01"), Works, None);
    let b200 = host("580.95.05", &["B200"], Injection::Legacy);
    check("unnamed", &unnamed, &b200, Fails, Some(201));
    // A framework whose build is not told is not nothing.
    let mut untold = framework("torch", None, Vec::new());
    untold.frameworks[0].build = Build::Unknown;
    check(
        "an untold build",
        &untold,
        &a100("580.95.05"),
        Unknown,
        None,
    );
    // A CUDA build whose code was not found.
    let empty = framework("torch", Some("12.4"), Vec::new());
    check("no library", &empty, &a100("580.95.05"), Unknown, None);
    // The framework decides, not the runtime beside it or the declared version.
    let mut beside = torch("2.6.0+cu124", "12.4", &TORCH_260, &[]);
    beside.declared_cuda = Some(v("13.0.2"));
    beside.runtimes = own.runtimes.clone();
    beside.runtimes[0].version = v("13.0.96");
    check("torch decides", &beside, &a100("550.163.01"), Works, None);
    let v100 = host("580.95.05", &["V100"], Injection::Legacy);
    check("torch decides", &beside, &v100, Works, None);
    // A CPU build beside a runtime that the driver is too old for.
    let mut cpu = beside.clone();
    cpu.libraries.clear();
    cpu.frameworks[0].library = None;
    cpu.frameworks[0].build = Build::Cpu;
    check("CPU", &cpu, &a100("470.256.02"), Answer::Limited, Some(301));
    cpu.frameworks[0].name = "onnxruntime".into();
    check("CPU", &cpu, &a100("470.256.02"), NoCuda, None);
}
