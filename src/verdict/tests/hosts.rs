//! Hosts of which something is missing, mixed or new.

use super::*;

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
fn what_is_newer_than_the_catalogue_is_judged_by_numbers_and_said() {
    use Answer::{Fails, Limited, Unknown, Works};
    let t260 = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let ptx = torch("x", "13.2", &[90], &[(90, (9, 2))]);
    let host_of = |driver: &str, cuda: Option<&str>, gpu: &str, live: bool| {
        let mut host = host(driver, &[gpu], Injection::Legacy);
        host.cuda = cuda.map(v);
        host.hypothetical = !live;
        host
    };
    for (what, image, driver, cuda, gpu, live, answer, root) in [
        (
            "newer driver",
            &t260,
            "700.10",
            Some("14.0"),
            "A100",
            false,
            Works,
            None,
        ),
        (
            "without its CUDA",
            &t260,
            "700.10",
            None,
            "A100",
            false,
            Unknown,
            None,
        ),
        (
            "Volta on it",
            &t260,
            "700.10",
            Some("14.0"),
            "V100",
            false,
            Unknown,
            None,
        ),
        (
            "Volta on it, live",
            &t260,
            "700.10",
            Some("14.0"),
            "V100",
            true,
            Works,
            None,
        ),
        (
            "a newer GPU",
            &t260,
            "700.10",
            Some("14.0"),
            "sm_130",
            true,
            Fails,
            Some(201),
        ),
        (
            "a newer GPU, PTX",
            &ptx,
            "700.10",
            Some("14.0"),
            "sm_130",
            true,
            Limited,
            Some(202),
        ),
        (
            "a newer GPU, PTX",
            &ptx,
            "615.71.09",
            Some("13.4"),
            "sm_130",
            false,
            Limited,
            Some(202),
        ),
        (
            "on an old driver",
            &ptx,
            "595.71.05",
            Some("13.2"),
            "sm_130",
            false,
            Unknown,
            Some(202),
        ),
        // A live host's listed GPU is known to its driver, whatever the table says.
        (
            "listed",
            &ptx,
            "595.71.05",
            Some("13.2"),
            "sm_107",
            true,
            Limited,
            Some(202),
        ),
    ] {
        let host = host_of(driver, cuda, gpu, live);
        check(
            &format!("{what}: {driver} {gpu}"),
            image,
            &host,
            answer,
            root,
        );
    }
    let newer = judge(&t260, &host_of("700.10", Some("14.0"), "A100", true));
    assert!(newer.notes[0].contains("700.10"), "{newer:#?}");
    let gpu = judge(&ptx, &host_of("615.71.09", Some("13.4"), "sm_130", true));
    assert!(gpu.notes[0].contains("sm_130"), "{gpu:#?}");
    let base = base("12.4.1", R124, None);
    let assumed = judge(&base, &host("580.95.05", &["RTX 5090"], Injection::Legacy));
    assert_eq!(assumed.answer, Works);
    assert!(assumed.notes[0].contains("unmodified"), "{assumed:#?}");
    assert!(assumed.notes[1].contains("12.8"), "{assumed:#?}");
}

#[test]
fn where_both_modes_agree_the_mode_does_not_matter() {
    use Answer::{Fails, Works};
    let unknown = |driver: &str, gpu: &str| host(driver, &[gpu], Injection::Unknown);
    let mut b131 = base("13.1.1", "cuda>=13.1", Some("590.48.01"));
    check(
        "both fail",
        &b131,
        &unknown("550.163.01", "RTX 4090"),
        Fails,
        Some(105),
    );
    b131.requirements = requirements([]);
    check(
        "both work",
        &b131,
        &unknown("595.71.05", "RTX 4090"),
        Works,
        None,
    );
}

#[test]
fn badges_say_the_cuda_or_the_rule() {
    let t260 = torch("2.6.0", "12.4.127", &TORCH_260, &[]);
    for (driver, gpu, answer, text) in [
        ("550.163.01", "A100", Answer::Works, "12.4"),
        ("470.256.02", "A100", Answer::Fails, "MW102"),
        ("580.95.05", "RTX 5090", Answer::Fails, "MW201"),
    ] {
        let verdict = judge(&t260, &host(driver, &[gpu], Injection::Legacy));
        assert_eq!(verdict.badge(), (answer, text.to_owned()));
        assert_eq!(verdict.root().map(|f| f.rule.0), first(&verdict));
    }
    let plain = ImageFacts {
        scan: Scan::Full,
        ..ImageFacts::default()
    };
    let host = host("550.163.01", &["A100"], Injection::Legacy);
    assert_eq!(
        judge(&plain, &host).badge(),
        (Answer::NoCuda, String::new())
    );
    let unread = ImageFacts::default();
    assert_eq!(
        judge(&unread, &host).badge(),
        (Answer::Unknown, String::new())
    );
}

#[test]
fn a_live_hosts_gpus_that_are_served_are_named() {
    use Answer::{Fails, Limited, Works};
    let t260 = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let t2150 = torch("2.15.0", "13.2", &TORCH_2150, &[]);
    for (image, driver, gpus, answer, root, left) in [
        (
            &t260,
            "580.95.05",
            &["A100", "B200"][..],
            Limited,
            Some(201),
            Some("A100"),
        ),
        (
            &t2150,
            "580.95.05",
            &["V100", "T4", "A100"],
            Limited,
            Some(203),
            Some("T4,A100"),
        ),
        (
            &t260,
            "580.95.05",
            &["RTX 5090", "RTX 5080"],
            Fails,
            Some(201),
            None,
        ),
        (&t260, "550.163.01", &["A100", "L40S"], Works, None, None),
        // What fails for the host as a whole leaves no GPU over.
        (
            &t2150,
            "550.163.01",
            &["A100", "V100"],
            Fails,
            Some(102),
            None,
        ),
    ] {
        let mut host = host(driver, gpus, Injection::Legacy);
        host.hypothetical = false;
        check(&format!("{driver} {gpus:?}"), image, &host, answer, root);
        let verdict = judge(image, &host);
        let only = verdict.findings.iter().find(|f| f.rule.0 == 204);
        assert_eq!(only.is_some(), left.is_some(), "{verdict:#?}");
        if let Some(left) = left {
            let remedy = &only.unwrap().remedy[0];
            assert!(remedy.contains(&format!("device={left}\"")), "{remedy}");
        }
    }
}

/// Grace, DGX Spark and Jetson come with their Arm CPU; other GPUs do not tell.
#[test]
fn a_named_gpu_may_tell_the_platform() {
    let cases = [
        ("GB10", Some("linux/arm64")),
        ("GH200", Some("linux/arm64")),
        ("GB200", Some("linux/arm64")),
        ("Orin", Some("linux/arm64")),
        ("B200", None),
        ("H200", None),
        ("A100", None),
        ("sm_121", None),
    ];
    for (gpu, platform) in cases {
        let host = hypothetical::host(
            Some("580.95.05"),
            None,
            &[gpu.to_owned()],
            Injection::Unknown,
            None,
            "2026-11",
        )
        .unwrap();
        assert_eq!(host.platform.as_deref(), platform, "{gpu}");
        let mut image = torch("2.11.0", "13.0", &[80, 87, 90, 100, 120], &[]);
        let rule = |image: &ImageFacts| judge(image, &host).root().map(|f| f.rule.0);
        assert_eq!(rule(&image) == Some(307), platform.is_some(), "{gpu}");
        image.platform = Some("linux/arm64".into());
        assert_ne!(rule(&image), Some(307), "{gpu}");
        let noted = judge(&image, &host)
            .notes
            .iter()
            .any(|n| n.contains("arm64"));
        assert_eq!(noted, platform.is_none(), "{gpu}");
    }
}
