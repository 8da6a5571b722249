//! Compiled code on GPUs.

use super::*;

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

/// onnxruntime-gpu 1.31.1: as many containers for each target as were counted in its wheel.
fn onnxruntime() -> ImageFacts {
    let shapes = [
        (217, "75 80 86 89 90a 120a", ""),
        (91, "80 86 89 90a 120a", ""),
        (9, "120a", ""),
        (292, "90a", ""),
    ];
    framework(
        "onnxruntime",
        Some("13.0"),
        vec![shaped("ort/libonnxruntime_providers_cuda.so", &shapes)],
    )
}

/// torch 2.15.0: main library and linear algebra.
fn torch_2150() -> ImageFacts {
    let main = [
        (412, "75 80 86 90 100 120", ""),
        (59, "75 80 86 90 100 100a 103f 120", ""),
        (4, "75 80 86 90 90a 100 120", ""),
        (1, "75 80 86 89 90 100 120 120a 121a", ""),
    ];
    let linalg = [(32, "80 86 90 100 120", ""), (1, "75 80 86 90 100 120", "")];
    framework(
        "torch",
        Some("13.2"),
        vec![
            shaped("torch/lib/libtorch_cuda.so", &main),
            shaped("torch/lib/libtorch_cuda_linalg.so", &linalg),
        ],
    )
}

#[test]
fn measured_wheels_on_gpus() {
    use Answer::{Fails, Limited, Works};
    let ort = onnxruntime();
    let t2150 = torch_2150();
    let t280 = framework(
        "torch",
        Some("12.8"),
        vec![
            shaped(
                "torch/lib/libtorch_cuda.so",
                &[
                    (387, "70 75 80 86 90 100 120", ""),
                    (4, "70 75 80 86 90 90a 100 120", ""),
                    (1, "70 75 80 86 89 90 100 120", ""),
                    (1, "70 75 80 86 90 100 100a 120 120a", ""),
                ],
            ),
            shaped(
                "torch/lib/libtorch_cuda_linalg.so",
                &[(107, "50 60 70 80 86 90 100 120", "")],
            ),
        ],
    );
    let tensorflow = framework(
        "tensorflow",
        Some("12.5.1"),
        vec![
            shaped(
                "tf/libtensorflow_cc.so.2",
                &[(249, "60 70 80 89 90", "90@8.3")],
            ),
            shaped(
                "tf/libtensorflow_framework.so.2",
                &[(40, "60 70 80 89 90", "90@8.3")],
            ),
        ],
    );
    let jax12 = framework(
        "jax",
        None,
        vec![shaped(
            "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
            &[(52, "50 60 70 80 90 100 101 120", "120@8.8")],
        )],
    );
    let jax13 = framework(
        "jax",
        None,
        vec![shaped(
            "jax_plugins/xla_cuda13/xla_cuda_plugin.so",
            &[(52, "75 80 90 100 110 120", "120@9.0")],
        )],
    );
    let cupy = framework(
        "cupy",
        None,
        vec![shaped(
            "cupy/cuda/cub.so",
            &[(1, "50 52 60 61 70 75 80 86 89 90 100f 120f", "100@8.8")],
        )],
    );
    let ctranslate2 = ImageFacts {
        frameworks: Vec::new(),
        ..framework(
            "ctranslate2",
            None,
            vec![shaped(
                "libctranslate2.so",
                &[(34, "53 60 61 70 75 80 86", "86@8.7")],
            )],
        )
    };
    let t1131 = framework(
        "torch",
        Some("11.7"),
        vec![shaped(
            "torch/lib/libtorch_cuda_cu.so",
            &[
                (221, "37 50 60 70 75 80 86", ""),
                (50, "35 50 60 70 75 80 86", ""),
                (8, "70 75 80 86", ""),
                (8, "80", ""),
                (15, "90", ""),
            ],
        )],
    );
    let cases: &[Case<(&ImageFacts, &str, &str)>] = &[
        ("ort", (&ort, "580.95.05", "T4"), Works, Some(201)),
        ("ort", (&ort, "580.95.05", "A100"), Works, Some(201)),
        ("ort", (&ort, "580.95.05", "L40S"), Works, Some(201)),
        ("ort", (&ort, "580.95.05", "H100"), Works, Some(201)),
        ("ort", (&ort, "580.95.05", "RTX 5090"), Works, Some(201)),
        ("ort", (&ort, "580.95.05", "B200"), Fails, Some(201)),
        ("ort", (&ort, "580.95.05", "B300"), Fails, Some(201)),
        ("ort", (&ort, "580.95.05", "GB10"), Fails, Some(201)),
        ("ort", (&ort, "550.163.01", "A100"), Fails, Some(102)),
        ("2.15", (&t2150, "595.71.05", "A100"), Works, None),
        ("2.15", (&t2150, "595.71.05", "L40S"), Works, None),
        ("2.15", (&t2150, "595.71.05", "B300"), Works, None),
        ("2.15", (&t2150, "595.71.05", "GB10"), Works, None),
        ("2.15", (&t2150, "595.71.05", "RTX 5090"), Works, None),
        // One of 33 containers of a secondary library: a remark.
        ("2.15", (&t2150, "595.71.05", "T4"), Works, Some(201)),
        ("2.15", (&t2150, "595.71.05", "sm_110"), Fails, Some(201)),
        ("2.15", (&t2150, "580.95.05", "V100"), Fails, Some(203)),
        ("2.8", (&t280, "580.95.05", "V100"), Works, None),
        ("2.8", (&t280, "580.95.05", "GTX 1080 Ti"), Fails, Some(201)),
        ("2.8", (&t280, "580.95.05", "GTX 980"), Fails, Some(201)),
        ("2.8", (&t280, "550.54.15", "RTX 4090"), Works, Some(103)),
        ("tf", (&tensorflow, "580.95.05", "T4"), Works, None),
        ("tf", (&tensorflow, "580.95.05", "RTX 3090"), Works, None),
        ("tf", (&tensorflow, "580.95.05", "B200"), Limited, Some(202)),
        (
            "tf",
            (&tensorflow, "570.124.06", "RTX 5090"),
            Limited,
            Some(202),
        ),
        ("tf", (&tensorflow, "535.183.01", "H100"), Works, Some(103)),
        ("jax12", (&jax12, "580.95.05", "sm_110"), Works, None),
        ("jax12", (&jax12, "580.95.05", "T4"), Works, None),
        ("jax12", (&jax12, "525.60.13", "V100"), Works, Some(103)),
        ("jax12", (&jax12, "520.61.05", "V100"), Fails, Some(102)),
        ("jax13", (&jax13, "580.95.05", "sm_110"), Works, None),
        ("jax13", (&jax13, "580.95.05", "V100"), Fails, Some(203)),
        ("jax13", (&jax13, "575.57.08", "A100"), Fails, Some(102)),
        ("cupy", (&cupy, "580.95.05", "B300"), Works, None),
        ("cupy", (&cupy, "580.95.05", "GB10"), Works, None),
        ("cupy", (&cupy, "580.95.05", "sm_110"), Limited, Some(202)),
        (
            "ct2",
            (&ctranslate2, "580.95.05", "H100"),
            Limited,
            Some(202),
        ),
        (
            "ct2",
            (&ctranslate2, "550.163.01", "H100"),
            Fails,
            Some(107),
        ),
        (
            "ct2",
            (&ctranslate2, "550.163.01", "L40S"),
            Works,
            Some(103),
        ),
        ("1.13", (&t1131, "470.256.02", "T4"), Works, Some(103)),
        ("1.13", (&t1131, "535.183.01", "RTX 3090"), Works, Some(201)),
        ("1.13", (&t1131, "535.183.01", "RTX 4090"), Works, Some(201)),
        (
            "1.13",
            (&t1131, "470.256.02", "Tesla K80"),
            Works,
            Some(103),
        ),
    ];
    for (who, (image, driver, gpu), answer, root) in cases {
        let host = host(driver, &[gpu], Injection::Legacy);
        check(
            &format!("{who} on {driver} with {gpu}"),
            image,
            &host,
            *answer,
            *root,
        );
    }
    let verdict = judge(&ort, &host("580.95.05", &["A100"], Injection::Legacy));
    assert!(
        verdict.findings[0].title.contains("308 of 609"),
        "{verdict:#?}"
    );
}

#[test]
fn code_in_part_in_strays_and_in_doubt() {
    use Answer::{Fails, Limited, Unknown, Works};
    let of = |shapes: &[(u32, &str, &str)]| {
        framework("torch", Some("12.4"), vec![shaped("main.so", shapes)])
    };
    let stray = of(&[(475, "90", ""), (1, "89 90", "")]);
    let stray_jit = of(&[(475, "80", "80@8.4"), (1, "80 90", "80@8.4")]);
    let mixed = of(&[(60, "80 90", ""), (40, "80", "80@8.4")]);
    let orin = of(&[(9, "87", "")]);
    let desktop = of(&[(9, "80 86", "")]);
    let volta = of(&[(9, "70", "")]);
    let xavier = of(&[(9, "72", "")]);
    let ptx_a = of(&[(9, "80", "90a@8.0")]);
    let newest = of(&[(9, "80", "80@9.9")]);
    let mut relocatable = of(&[(7, "80", "")]);
    relocatable.libraries[0].code.relocatable_ptx = vec![PtxCode {
        target: Target::from_number(80, Variant::Plain),
        isa: (8, 4),
    }];
    let mut torn = of(&[(7, "80", "")]);
    torn.libraries[0].problem = Some("cut short".into());
    let mut no_jit = of(&[(9, "80", "80@8.4")]);
    no_jit.env.push(("CUDA_DISABLE_PTX_JIT".into(), "1".into()));
    for (what, image, driver, gpu, answer, root) in [
        ("one of 476", &stray, "550.163.01", "L40S", Fails, Some(201)),
        ("one of 476", &stray, "550.163.01", "H100", Works, None),
        (
            "strays, PTX for the rest",
            &stray_jit,
            "550.163.01",
            "H100",
            Limited,
            Some(202),
        ),
        (
            "strays, PTX too new",
            &stray_jit,
            "535.183.01",
            "H100",
            Fails,
            Some(107),
        ),
        ("in part", &mixed, "550.163.01", "H100", Limited, Some(202)),
        (
            "in part, too new",
            &mixed,
            "535.183.01",
            "H100",
            Limited,
            Some(107),
        ),
        ("in part", &mixed, "535.183.01", "A100", Works, Some(103)),
        ("Orin", &orin, "550.163.01", "sm_87", Works, None),
        (
            "Orin's on a desktop",
            &orin,
            "550.163.01",
            "L40S",
            Fails,
            Some(201),
        ),
        (
            "a desktop's on Orin",
            &desktop,
            "550.163.01",
            "sm_87",
            Fails,
            Some(201),
        ),
        (
            "Volta's on Xavier",
            &volta,
            "550.163.01",
            "sm_72",
            Fails,
            Some(201),
        ),
        ("Volta's on Turing", &volta, "550.163.01", "T4", Works, None),
        (
            "Xavier's on Turing",
            &xavier,
            "550.163.01",
            "T4",
            Fails,
            Some(201),
        ),
        (
            "PTX of one chip",
            &ptx_a,
            "580.95.05",
            "B200",
            Fails,
            Some(201),
        ),
        (
            "PTX of one chip",
            &ptx_a,
            "580.95.05",
            "H100",
            Limited,
            Some(202),
        ),
        (
            "relocatable PTX",
            &relocatable,
            "550.163.01",
            "H100",
            Unknown,
            None,
        ),
        (
            "relocatable PTX",
            &relocatable,
            "550.163.01",
            "A100",
            Works,
            None,
        ),
        ("a torn file", &torn, "550.163.01", "H100", Unknown, None),
        ("a torn file", &torn, "550.163.01", "A100", Works, None),
        (
            "PTX newer than the table",
            &newest,
            "550.163.01",
            "H100",
            Fails,
            Some(107),
        ),
        (
            "no compiler allowed",
            &no_jit,
            "550.163.01",
            "H100",
            Fails,
            Some(201),
        ),
        (
            "no compiler needed",
            &no_jit,
            "550.163.01",
            "A100",
            Works,
            None,
        ),
    ] {
        let host = host(driver, &[gpu], Injection::Legacy);
        check(
            &format!("{what}: {driver}, {gpu}"),
            image,
            &host,
            answer,
            root,
        );
    }
    // A driver newer than the catalogue is neither trusted nor failed with newer PTX.
    let mut newer = host("700.10", &["H100"], Injection::Legacy);
    newer.cuda = Some(v("14.0"));
    check(
        "newer PTX, newer driver",
        &newest,
        &newer,
        Unknown,
        Some(202),
    );
    check(
        "known PTX, newer driver",
        &stray_jit,
        &newer,
        Limited,
        Some(202),
    );
}

#[test]
fn the_best_of_several_builds_and_what_is_an_addition() {
    use Answer::{Fails, Limited, Works};
    let mut ollama = framework(
        "ollama",
        None,
        vec![
            shaped(
                "/usr/lib/ollama/cuda_v12/libggml-cuda.so",
                &[(90, "50 60 70 75 80 86 89 90 100 120", "")],
            ),
            shaped(
                "/usr/lib/ollama/cuda_v13/libggml-cuda.so",
                &[(90, "75 80 86 89 90 100 120", "")],
            ),
        ],
    );
    ollama.frameworks[0].alternatives = vec![v("12.8"), v("13.0")];
    for (driver, gpu, answer, root) in [
        ("580.95.05", "V100", Works, None),
        ("580.95.05", "RTX 5090", Works, None),
        ("550.163.01", "A100", Works, Some(103)),
        ("520.61.05", "A100", Fails, Some(102)),
        ("470.256.02", "Tesla K80", Fails, Some(102)),
    ] {
        let host = host(driver, &[gpu], Injection::Legacy);
        check(
            &format!("ollama on {driver} with {gpu}"),
            &ollama,
            &host,
            answer,
            root,
        );
    }
    let with_torch = |cuda: &str, builds: &[&str]| {
        let mut image = torch("2.x", cuda, &TORCH_280, &[]);
        let place = image.frameworks[0].place.clone();
        for build in builds {
            let path = format!(
                "{place}/bitsandbytes/libbitsandbytes_cuda{}.so",
                build.replace('.', "")
            );
            image
                .libraries
                .push(shaped(&path, &[(7, "60 70 75 80 86 89 90", "")]));
        }
        let libraries = image.libraries[1..]
            .iter()
            .map(|l| l.path.clone())
            .collect();
        image.frameworks.push(Framework {
            name: "bitsandbytes".into(),
            version: Some("0.50.2".into()),
            build: Build::Cuda(None),
            evidence: "its files".into(),
            place,
            on_path: Some(true),
            libraries,
            alternatives: builds.iter().map(|b| v(b)).collect(),
            ..Framework::default()
        });
        image
    };
    let h100 = host("580.95.05", &["H100"], Injection::Legacy);
    let blackwell = host("580.95.05", &["B200"], Injection::Legacy);
    check(
        "torch's own",
        &with_torch("12.8", &["12.4", "12.8"]),
        &h100,
        Works,
        None,
    );
    check(
        "none for torch",
        &with_torch("12.8", &["11.8", "12.4"]),
        &h100,
        Limited,
        Some(308),
    );
    check(
        "an addition fails",
        &with_torch("12.8", &["12.4", "12.8"]),
        &blackwell,
        Limited,
        Some(201),
    );
    // Kernels for one architecture alone are picked where they fit.
    let mut vllm = framework(
        "vllm",
        Some("13.0"),
        vec![
            shaped("vllm/_C.abi3.so", &[(118, "75 80 86 89 90 100 120", "")]),
            shaped("vllm/_vllm_fa3_C.abi3.so", &[(192, "90a", "")]),
            shaped("vllm/_flashmla_C.abi3.so", &[(53, "90a 100f", "")]),
        ],
    );
    check(
        "vllm",
        &vllm,
        &host("580.95.05", &["A100"], Injection::Legacy),
        Works,
        None,
    );
    vllm.libraries
        .push(shaped("vllm/_extra.so", &[(5, "90", "")]));
    vllm.frameworks[0].libraries.push("vllm/_extra.so".into());
    check(
        "vllm",
        &vllm,
        &host("580.95.05", &["A100"], Injection::Legacy),
        Limited,
        Some(201),
    );
}
