//! What a launch gives.

use super::*;

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
fn capabilities_devices_and_what_has_no_cuda() {
    use Answer::{Fails, Limited, NoCuda, Unknown, Works};
    use Injection::{Cdi, JitCdi, Legacy};
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let plain = ImageFacts {
        scan: Scan::Full,
        ..ImageFacts::default()
    };
    for (image, name, value, mode, answer, root) in [
        (
            &t,
            "NVIDIA_DRIVER_CAPABILITIES",
            "compute,utility",
            Legacy,
            Works,
            None,
        ),
        (
            &t,
            "NVIDIA_DRIVER_CAPABILITIES",
            "utility,compute,video",
            Legacy,
            Works,
            None,
        ),
        (&t, "NVIDIA_DRIVER_CAPABILITIES", "", Legacy, Works, None),
        (
            &t,
            "NVIDIA_DRIVER_CAPABILITIES",
            "graphics,display",
            Legacy,
            Fails,
            Some(403),
        ),
        (
            &t,
            "NVIDIA_DRIVER_CAPABILITIES",
            "video",
            JitCdi,
            Works,
            Some(403),
        ),
        (
            &t,
            "NVIDIA_DRIVER_CAPABILITIES",
            "utility",
            Injection::Unknown,
            Unknown,
            None,
        ),
        (
            &plain,
            "NVIDIA_DRIVER_CAPABILITIES",
            "utility",
            Legacy,
            NoCuda,
            None,
        ),
        (
            &t,
            "NVIDIA_VISIBLE_DEVICES",
            "none",
            Cdi,
            Limited,
            Some(402),
        ),
        (&t, "NVIDIA_VISIBLE_DEVICES", "", Cdi, Limited, Some(402)),
        (&t, "NVIDIA_VISIBLE_DEVICES", "0,1", Legacy, Works, None),
        (
            &plain,
            "NVIDIA_VISIBLE_DEVICES",
            "void",
            Legacy,
            NoCuda,
            None,
        ),
    ] {
        let mut image = image.clone();
        image.env.push((name.into(), value.into()));
        let host = host("550.163.01", &["A100"], mode);
        check(
            &format!("{name}={value} {mode:?}"),
            &image,
            &host,
            answer,
            root,
        );
    }
    // Proven for the host, whatever the image.
    let mut refused = host("550.163.01", &["A100"], Legacy);
    refused.no_gpu_runtime = Some("no known GPU vendor found".into());
    for image in [&t, &base("12.4.1", R124, Some("550.54.15"))] {
        let verdict = judge(image, &refused);
        let count = verdict.findings.iter().filter(|f| f.rule.0 == 401).count();
        assert_eq!(
            (verdict.answer, first(&verdict), count),
            (Fails, Some(401), 1)
        );
    }
    let mut cdi = refused.clone();
    cdi.injection = Injection::Unknown;
    check("unknown mode, proven", &t, &cdi, Fails, Some(401));
    check(
        "no driver, proven",
        &t,
        &HostFacts {
            driver: None,
            cuda: None,
            ..refused
        },
        Fails,
        Some(401),
    );
    // One that asks for no GPU is not failed by it.
    let mut plain = ImageFacts {
        scan: Scan::Full,
        platform: Some("linux/amd64".into()),
        ..ImageFacts::default()
    };
    check("no CUDA, proven", &plain, &cdi, Answer::NoCuda, None);
    plain.scan = Scan::Config;
    check(
        "not looked into, proven",
        &plain,
        &cdi,
        Answer::Unknown,
        None,
    );
    // Shared memory.
    for (bytes, shm, answer, root) in [
        (Some(64 << 20), true, Limited, Some(404)),
        (Some(32 << 20), true, Limited, Some(404)),
        (Some(65 << 20), true, Works, None),
        (None, true, Works, None),
        (Some(64 << 20), false, Works, None),
    ] {
        let mut image = t.clone();
        image.frameworks[0].uses_shm = shm;
        let mut host = host("550.163.01", &["A100"], Legacy);
        host.launch = Some(LaunchFacts {
            grants_gpus: true,
            shm_bytes: bytes,
        });
        check(&format!("{bytes:?} {shm}"), &image, &host, answer, root);
    }
}

#[test]
fn requirements_name_every_gpu_and_the_runtimes_words() {
    use Answer::{Fails, Limited, Unknown, Works};
    let mut image = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let require = |image: &mut ImageFacts, env: &[(&str, &str)]| {
        image.requirements = requirements(env.iter().copied());
    };
    let legacy = Injection::Legacy;
    for (env, driver, gpu, mode, answer, root) in [
        (
            &[("NVIDIA_REQUIRE_CUDA", "cuda>=12.8")][..],
            "550.163.01",
            "A100",
            legacy,
            Fails,
            Some(101),
        ),
        (
            &[("NVIDIA_REQUIRE_CUDA", "cuda>=12.8")],
            "550.163.01",
            "A100",
            Injection::Cdi,
            Works,
            Some(101),
        ),
        (
            &[("NVIDIA_REQUIRE_CUDA", "cuda>=12.8")],
            "550.163.01",
            "A100",
            Injection::Unknown,
            Unknown,
            None,
        ),
        (
            &[
                ("NVIDIA_REQUIRE_CUDA", "cuda>=12.8"),
                ("NVIDIA_DISABLE_REQUIRE", "1"),
            ],
            "550.163.01",
            "A100",
            legacy,
            Works,
            None,
        ),
        (
            &[
                ("NVIDIA_REQUIRE_CUDA", "cuda>=12.8"),
                ("NVIDIA_DISABLE_REQUIRE", "yes"),
            ],
            "550.163.01",
            "A100",
            legacy,
            Fails,
            Some(101),
        ),
        (
            &[("NVIDIA_REQUIRE_ARCH", "arch>=8.9")],
            "550.163.01",
            "A100",
            legacy,
            Fails,
            Some(101),
        ),
        (
            &[("NVIDIA_REQUIRE_ARCH", "arch>=8.9")],
            "550.163.01",
            "L40S",
            legacy,
            Works,
            None,
        ),
        (
            &[("NVIDIA_REQUIRE_X", "cuda==12.4")],
            "550.163.01",
            "A100",
            legacy,
            Fails,
            Some(101),
        ),
        (
            &[("NVIDIA_REQUIRE_BRAND", "brand=nvidia")],
            "550.163.01",
            "sm_80",
            legacy,
            Unknown,
            None,
        ),
        (
            &[("NVIDIA_REQUIRE_CUDA", "cuda>=12.4 brand=nvidia")],
            "550.163.01",
            "sm_80",
            legacy,
            Works,
            None,
        ),
        (
            &[("CUDA_VERSION", "12.6.0")],
            "550.163.01",
            "A100",
            legacy,
            Fails,
            Some(101),
        ),
        (
            &[("CUDA_VERSION", "12.4.1")],
            "550.163.01",
            "A100",
            legacy,
            Works,
            None,
        ),
        (
            &[("CUDA_VERSION", "latest")],
            "550.163.01",
            "A100",
            legacy,
            Fails,
            Some(101),
        ),
        (
            &[("CUDA_VERSION", "latest")],
            "550.163.01",
            "A100",
            Injection::Cdi,
            Works,
            None,
        ),
        (
            &[
                ("NVIDIA_REQUIRE_CUDA", "cuda>=9.0"),
                ("CUDA_VERSION", "13.0.2.006"),
            ],
            "550.163.01",
            "A100",
            legacy,
            Works,
            None,
        ),
        (
            &[("NVIDIA_REQUIRE_JETPACK", "csv-mounts=all")],
            "550.163.01",
            "A100",
            legacy,
            Works,
            None,
        ),
    ] {
        require(&mut image, env);
        check(
            &format!("{env:?} on {driver} with {gpu}"),
            &image,
            &host(driver, &[gpu], mode),
            answer,
            root,
        );
    }
    // All GPUs that are refused are named, so that those left over can be given.
    require(
        &mut image,
        &[(
            "NVIDIA_REQUIRE_CUDA",
            "cuda>=12.8 brand=nvidia,driver>=550,driver<551",
        )],
    );
    let mut mixed = host("550.163.01", &["RTX 3090", "RTX 4090", "A100"], legacy);
    mixed.hypothetical = false;
    check("two of three refused", &image, &mixed, Limited, Some(101));
    let verdict = judge(&image, &mixed);
    let only = verdict.findings.iter().find(|f| f.rule.0 == 204).unwrap();
    assert_eq!(only.gpus, ["RTX 3090", "RTX 4090"]);
    assert!(only.remedy[0].contains("device=A100"), "{only:?}");
    // Where the check alone stands in the way, the remedy switches it off, and hides what would then harm.
    let b128 = base("12.8.1", R128, Some("570.124.06"));
    let verdict = judge(&b128, &host("535.183.01", &["RTX 3090"], legacy));
    let remedy = verdict.findings[0].remedy.join("\n");
    assert!(
        remedy
            .contains("-e NVIDIA_DISABLE_REQUIRE=1 --mount type=tmpfs,dst=/usr/local/cuda/compat"),
        "{remedy}"
    );
    assert!(
        verdict.findings[0]
            .evidence
            .iter()
            .any(|e| e.contains("please update your driver"))
    );
}

/// Real values are long: what fails is told once each, apart from the value.
#[test]
fn what_is_not_met_is_told_apart_from_the_value_and_once() {
    let value = "cuda>=12.6 brand=tesla,driver>=470,driver<471 brand=nvidia,driver>=470,driver<471 \
                 brand=tesla,driver>=535,driver<536";
    let mut image = torch("2.6.0", "12.6", &[80], &[]);
    image.requirements = requirements([("NVIDIA_REQUIRE_CUDA", value)]);
    let verdict = judge(&image, &host("545.23.08", &["A100"], Injection::Legacy));
    let found = verdict.root().unwrap();
    assert_eq!(found.rule, Rule(101));
    assert_eq!(found.evidence[0], format!("NVIDIA_REQUIRE_CUDA={value}"));
    assert_eq!(
        found.evidence[1],
        "not met: cuda>=12.6, brand=tesla, driver<471"
    );
}

/// What switching the check off does is told as it is, and only what helps is offered.
#[test]
fn remedies_of_a_requirement_fit_what_fails() {
    let cases = [
        (
            "NVIDIA_REQUIRE_ARCH",
            "arch>=9.0",
            "580.95.05",
            "new enough",
        ),
        ("NVIDIA_REQUIRE_CUDA", "cuda==12", "580.95.05", "new enough"),
        (
            "NVIDIA_REQUIRE_CUDA",
            "cuda>=12.8",
            "550.54.15",
            "minor-version",
        ),
        ("CUDA_VERSION", "12.8.1", "550.54.15", "minor-version"),
    ];
    for (name, value, driver, said) in cases {
        let mut image = torch("2.8.0", "12.8", &[80], &[]);
        image.env = vec![(name.into(), value.into())];
        image.requirements = requirements([(name, value)]);
        let verdict = judge(&image, &host(driver, &["A100"], Injection::Legacy));
        let found = verdict.root().unwrap();
        let offers = |text: &str| found.remedy.iter().any(|r| r.contains(text));
        assert!(offers(said), "{name}={value}: {:?}", found.remedy);
        assert_eq!(
            offers("use an image of CUDA"),
            said == "minor-version",
            "{name}={value}"
        );
        assert!(
            found.evidence[0].starts_with(&format!("{name}={value}")),
            "{name}={value}"
        );
    }
}
