use serde_json::Value;

use super::*;

const FIRST: &str = include_str!("../../tests/data/cuda/require_vectors.json");
const SECOND: &str = include_str!("../../tests/data/cuda/require_vectors_2.json");

/// Evaluates `value` for the one-GPU host of a vector file's row.
fn on_host(value: &str, host: &Value, cuda_key: &str) -> Outcome {
    let version = |key: &str| {
        host.get(key)
            .and_then(Value::as_str)
            .and_then(Version::parse)
    };
    let (cuda, driver, arch) = (version(cuda_key), version("driver"), version("arch"));
    let brand = host.get("brand").and_then(Value::as_str);
    let gpu = GpuTerms {
        arch: arch.as_ref().map_or(Fact::CountsAsTrue, Fact::Known),
        brand: brand.map_or(Fact::CountsAsTrue, Fact::Known),
    };
    evaluate(
        value,
        &HostTerms {
            cuda: cuda.as_ref().map_or(Fact::CountsAsTrue, Fact::Known),
            driver: driver.as_ref().map_or(Fact::CountsAsTrue, Fact::Known),
            gpus: &[gpu],
        },
    )
}

#[test]
fn real_images_on_real_hosts_first_set() {
    let file: Value = serde_json::from_str(FIRST).unwrap();
    let mut cases = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let value = vector["value"].as_str().unwrap();
        for case in vector["cases"].as_array().unwrap() {
            let outcome = on_host(value, case, "cuda_max");
            match (case["satisfied"].as_bool().unwrap(), &outcome) {
                (true, Outcome::Satisfied { by }) => {
                    assert_eq!(case["by"].as_str(), Some(by.as_str()), "{value} {case}");
                }
                (false, Outcome::Unsatisfied { .. }) => {}
                _ => panic!("{value} {case}: {outcome:?}"),
            }
            cases += 1;
        }
    }
    assert!(cases >= 50, "{cases}");
}

#[test]
fn edge_cases_first_set() {
    let file: Value = serde_json::from_str(FIRST).unwrap();
    for case in file["edge_cases"].as_array().unwrap() {
        let outcome = on_host(case["value"].as_str().unwrap(), &case["host"], "cuda_max");
        let fits = match &case["libnvidia_container"] {
            Value::Bool(true) => matches!(outcome, Outcome::Satisfied { .. }),
            Value::Bool(false) => matches!(outcome, Outcome::Unsatisfied { .. }),
            _ => matches!(outcome, Outcome::Invalid { .. }),
        };
        assert!(fits, "{case}: {outcome:?}");
    }
}

#[test]
fn real_images_on_real_hosts_second_set() {
    let file: Value = serde_json::from_str(SECOND).unwrap();
    let mut cases = 0;
    for image in file["images"].as_array().unwrap() {
        let value = image["value"].as_str().unwrap();
        for (name, expected) in image["expect"].as_object().unwrap() {
            let outcome = on_host(value, &file["hosts"][name], "cuda");
            match (expected.as_str(), &outcome) {
                (Some(group), Outcome::Satisfied { by }) => assert_eq!(by, group, "{value} {name}"),
                (None, Outcome::Unsatisfied { condition, .. }) => {
                    let message = image["message_if_unsatisfied"].as_str().unwrap();
                    assert_eq!(runtime_message(condition), message, "{value} {name}");
                }
                _ => panic!("{value} on {name}: {outcome:?}, expected {expected}"),
            }
            cases += 1;
        }
    }
    assert!(cases >= 300, "{cases}");
}

#[test]
fn grammar_second_set() {
    let file: Value = serde_json::from_str(SECOND).unwrap();
    for case in file["grammar"].as_array().unwrap() {
        let outcome = on_host(case["value"].as_str().unwrap(), &case["host"], "cuda");
        let fits = match case["ok"].as_bool() {
            Some(true) => matches!(outcome, Outcome::Satisfied { .. }),
            Some(false) => matches!(outcome, Outcome::Unsatisfied { .. }),
            None => matches!(outcome, Outcome::Invalid { .. }),
        };
        assert!(fits, "{case}: {outcome:?}");
    }
}

#[test]
fn every_visible_gpu_must_pass_and_an_unknown_brand_is_never_true() {
    let cuda = Version::parse("12.2").unwrap();
    let driver = Version::parse("535.183.01").unwrap();
    let arch = Version::parse("8.0").unwrap();
    let gpu = |brand| GpuTerms {
        arch: Fact::Known(&arch),
        brand,
    };
    let value = "cuda>=12.8 brand=tesla,driver>=535,driver<536";
    let on = |gpus: &[GpuTerms<'_>]| {
        evaluate(
            value,
            &HostTerms {
                cuda: Fact::Known(&cuda),
                driver: Fact::Known(&driver),
                gpus,
            },
        )
    };
    let tesla = gpu(Fact::Known("Tesla"));
    let geforce = gpu(Fact::Known("GeForce"));
    assert!(matches!(on(&[tesla, tesla]), Outcome::Satisfied { .. }));
    let Outcome::Unsatisfied {
        gpu: which, failed, ..
    } = on(&[tesla, geforce])
    else {
        panic!("one GeForce is enough to fail");
    };
    assert_eq!(
        (which, failed),
        (1, vec!["cuda>=12.8".to_owned(), "brand=tesla".to_owned()])
    );
    assert_eq!(
        on(&[gpu(Fact::Unknown)]),
        Outcome::Unknown {
            rule: "brand=tesla".to_owned()
        }
    );
    assert!(matches!(on(&[]), Outcome::Satisfied { .. }));
}

#[test]
fn variables_are_collected_as_the_runtime_does() {
    let of = |env: &[(&'static str, &'static str)]| requirements(env.iter().copied());
    let both = of(&[
        ("NVIDIA_REQUIRE_CUDA", "cuda>=12.4"),
        ("NVIDIA_REQUIRE_ARCH", "arch>=8.0"),
    ]);
    assert_eq!(both.predicates.len(), 2);
    assert!(!both.legacy);
    assert!(
        of(&[("NVIDIA_REQUIRE_JETPACK_HOST", "x")])
            .predicates
            .is_empty()
    );
    let legacy = of(&[("CUDA_VERSION", "12.4.1")]);
    assert_eq!(
        legacy.predicates,
        [("CUDA_VERSION".to_owned(), "cuda>=12.4".to_owned())]
    );
    assert!(legacy.legacy);
    let ngc = of(&[
        ("CUDA_VERSION", "13.0.2.006"),
        ("NVIDIA_REQUIRE_CUDA", "cuda>=9.0"),
    ]);
    assert_eq!(ngc.predicates.len(), 1);
    assert!(!ngc.legacy);
    assert_eq!(
        of(&[("CUDA_VERSION", "nightly")])
            .bad_cuda_version
            .as_deref(),
        Some("nightly")
    );
    for (value, off) in [
        ("1", true),
        ("true", true),
        ("T", true),
        ("yes", false),
        ("on", false),
        ("", false),
    ] {
        assert_eq!(
            of(&[("NVIDIA_DISABLE_REQUIRE", value)]).disabled,
            off,
            "{value:?}"
        );
    }
}
