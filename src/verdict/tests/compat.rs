//! Base images with their compat packages.

use super::*;

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
fn the_toolkits_version_mode_and_settings_decide() {
    use Answer::{Fails, Limited, Unknown, Works};
    let b124 = base("12.4.1", R124, Some("550.54.15"));
    let mut b129 = base("12.9.1", "cuda>=12.9", None);
    b129.compat = effective::base_image_compat(&v("12.9.1"), "linux/amd64");
    let cdi = Injection::Cdi;
    let jit = Injection::JitCdi;
    let legacy = Injection::Legacy;
    // Driver 575.51.03 is of the branch that the package's note lists, and an older build.
    for (image, driver, gpu, mode, toolkit, answer, root) in [
        (
            &b124,
            "535.183.01",
            "RTX 3090",
            cdi,
            Some("1.17.4"),
            Works,
            Some(103),
        ),
        (
            &b124,
            "545.23.08",
            "RTX 3090",
            cdi,
            Some("1.17.4"),
            Works,
            Some(103),
        ),
        (
            &b124,
            "535.183.01",
            "RTX 3090",
            jit,
            Some("1.18.0"),
            Limited,
            Some(106),
        ),
        (
            &b124,
            "535.183.01",
            "RTX 3090",
            legacy,
            Some("1.17.4"),
            Works,
            Some(103),
        ),
        (
            &b124,
            "535.183.01",
            "RTX 3090",
            legacy,
            Some("1.3.0"),
            Works,
            Some(103),
        ),
        (
            &b124,
            "535.183.01",
            "RTX 3090",
            legacy,
            None,
            Limited,
            Some(106),
        ),
        (&b124, "535.183.01", "A100", cdi, None, Works, Some(104)),
        (&b129, "575.51.03", "A100", cdi, Some("1.18.0"), Works, None),
        (&b129, "575.51.03", "A100", cdi, Some("1.20.0"), Works, None),
        (&b129, "575.51.03", "A100", cdi, None, Works, None),
        (
            &b129,
            "575.51.03",
            "RTX 4090",
            cdi,
            Some("1.18.0"),
            Works,
            None,
        ),
        (
            &b129,
            "575.51.03",
            "RTX 4090",
            cdi,
            Some("1.20.0"),
            Limited,
            Some(106),
        ),
        (&b129, "575.51.03", "RTX 4090", cdi, None, Unknown, None),
        (&b129, "575.57.08", "RTX 4090", cdi, None, Works, None),
        (
            &b129,
            "545.23.08",
            "A100",
            cdi,
            Some("1.18.0"),
            Fails,
            Some(106),
        ),
        (
            &b129,
            "545.23.08",
            "A100",
            cdi,
            Some("1.20.0"),
            Works,
            Some(103),
        ),
    ] {
        let mut host = host(driver, &[gpu], mode);
        host.toolkit = toolkit.map(v);
        let mut image = image.clone();
        image.requirements = require::Requirements::default();
        let what = format!("{driver}, {gpu}, {mode:?}, {toolkit:?}");
        check(&what, &image, &host, answer, root);
    }
    // Settings of the toolkit.
    let mut off = host("535.183.01", &["RTX 3090"], legacy);
    off.compat_disabled = true;
    check("no compat", &b124, &off, Works, Some(103));
    let mut h100 = host("545.23.08", &["H100"], legacy);
    h100.require_disabled = true;
    check("no check", &b124, &h100, Fails, Some(106));
    h100.compat_disabled = true;
    check("neither", &b124, &h100, Works, Some(103));
    // No exact one library: the hook does nothing.
    let mut two = b124.clone();
    two.compat.as_mut().unwrap().candidates = 2;
    check(
        "two libraries",
        &two,
        &host("535.183.01", &["RTX 3090"], cdi),
        Works,
        Some(103),
    );
}

#[test]
fn compat_that_is_in_effect_and_not_new_enough() {
    use Answer::{Fails, Limited, Unknown, Works};
    let forced = |need: &str, driver: &str| {
        let mut image = torch("2.x", need, &TORCH_280, &[]);
        image.compat = Some(Compat {
            path: "/usr/local/cuda/compat".into(),
            driver: v(driver),
            cuda: None,
            note: None,
            forced_by: Some("LD_LIBRARY_PATH".into()),
            candidates: 1,
        });
        image.env.push((
            "LD_LIBRARY_PATH".into(),
            "/usr/local/cuda/compat:/opt/x".into(),
        ));
        image
    };
    let legacy = Injection::Legacy;
    let a100 = |driver: &str| host(driver, &["A100"], legacy);
    // Its CUDA 12.4, the image's 12.8: minor-version compatibility on the library's CUDA.
    check(
        "minor",
        &forced("12.8", "550.54.15"),
        &a100("535.183.01"),
        Works,
        Some(103),
    );
    check(
        "native",
        &forced("12.4", "550.54.15"),
        &a100("535.183.01"),
        Works,
        Some(104),
    );
    check(
        "another major",
        &forced("13.0", "550.54.15"),
        &a100("535.183.01"),
        Fails,
        Some(102),
    );
    check(
        "only bridge and minor",
        &forced("12.8", "550.54.15"),
        &a100("470.256.02"),
        Limited,
        Some(104),
    );
    check(
        "the host's own again",
        &forced("12.4", "550.54.15"),
        &a100("550.54.15"),
        Works,
        None,
    );
    check(
        "older than the host",
        &forced("12.4", "550.54.15"),
        &a100("580.95.05"),
        Fails,
        Some(106),
    );
    let sm = host("535.183.01", &["sm_80"], legacy);
    check(
        "no brand",
        &forced("12.4", "550.54.15"),
        &sm,
        Unknown,
        Some(104),
    );
    let both = host("535.183.01", &["A100", "RTX 3090"], legacy);
    check(
        "one of two",
        &forced("12.4", "550.54.15"),
        &both,
        Limited,
        Some(106),
    );
    let verdict = judge(&forced("12.4", "520.61.05"), &a100("580.95.05"));
    let remedy = verdict.findings[0].remedy.join("\n");
    assert!(remedy.contains("-e LD_LIBRARY_PATH=/opt/x"), "{remedy}");
    // Without brand, where no rule asks for one.
    let plain = torch("2.x", "12.4", &TORCH_260, &[]);
    check(
        "no brand needed",
        &plain,
        &host("550.163.01", &["sm_80"], legacy),
        Works,
        None,
    );
}

/// Never a driver that is older than the host's: what carries the image without compat is to leave it out.
#[test]
fn out_of_support_and_not_needed_is_taken_out_of_the_way() {
    let mut image = torch("2.8.0", "12.9", &[80, 90], &[]);
    image.compat = Some(Compat {
        path: "/usr/local/cuda-12.9/compat".into(),
        driver: v("575.57.08"),
        note: None,
        cuda: Some(v("12.9")),
        forced_by: Some("LD_LIBRARY_PATH".into()),
        candidates: 1,
    });
    let path = "/usr/local/cuda/compat:/usr/local/cuda/lib64";
    image.env = vec![("LD_LIBRARY_PATH".into(), path.into())];
    let verdict = judge(&image, &host("550.54.15", &["A100"], Injection::Legacy));
    assert_eq!(verdict.answer, Answer::Limited);
    let found = verdict.root().unwrap();
    assert_eq!(found.rule, Rule(104));
    assert_eq!(
        found.remedy,
        ["start it with `-e LD_LIBRARY_PATH=/usr/local/cuda/lib64` (the compat folder taken out)"]
    );
}
