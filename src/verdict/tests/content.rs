//! What is in the image.

use super::*;

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
fn libraries_in_the_way() {
    use Answer::{Fails, Limited, Works};
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let legacy = host("550.163.01", &["A100"], Injection::Legacy);
    let cdi = host("550.163.01", &["A100"], Injection::Cdi);
    let with = |change: &dyn Fn(&mut ImageFacts)| {
        let mut image = t.clone();
        change(&mut image);
        image
    };
    let hidden = with(&|i| {
        i.frameworks[0].shadowed = vec![Shadowed {
            soname: "libcudnn.so.9".into(),
            path: "/usr/local/cuda-11.8/lib64/libcudnn.so.9".into(),
            version: Some("9.1.0 for CUDA 11".into()),
            by: "LD_LIBRARY_PATH".into(),
        }];
        i.env.push((
            "LD_LIBRARY_PATH".into(),
            "/usr/local/cuda-11.8/lib64:/usr/lib".into(),
        ));
    });
    check("shadowed", &hidden, &legacy, Limited, Some(302));
    let verdict = judge(&hidden, &legacy);
    assert!(
        verdict.findings[0].remedy[0].contains("-e LD_LIBRARY_PATH=/usr/lib`"),
        "{verdict:#?}"
    );
    let mut several = hidden.clone();
    for text in ["11.8.89", "12.4.127"] {
        several.runtimes.push(Runtime {
            version: v(text),
            path: format!("/x/{text}"),
            evidence: "its name".into(),
        });
    }
    check(
        "several, one shadowed",
        &several,
        &legacy,
        Limited,
        Some(302),
    );
    let stub = |by: &str| {
        with(&|i| {
            i.stubs = vec![Stub {
                path: "/usr/local/cuda/lib64/stubs".into(),
                has_soname: true,
                searched_by: Some(by.into()),
            }];
        })
    };
    let cached = "/etc/ld.so.conf.d/stubs.conf";
    check(
        "by the variable",
        &stub("LD_LIBRARY_PATH"),
        &cdi,
        Fails,
        Some(303),
    );
    check("by the cache", &stub(cached), &legacy, Fails, Some(303));
    check("by the cache", &stub(cached), &cdi, Limited, Some(303));
    let baked = |version: &str| {
        with(&|i| {
            i.driver_libraries = vec![DriverLibrary {
                path: format!("/usr/lib/libcuda.so.{version}"),
                version: Some(v(version)),
                empty: false,
            }];
        })
    };
    check(
        "the host's own",
        &baked("550.163.01"),
        &legacy,
        Works,
        Some(304),
    );
    check("newer", &baked("550.164.01"), &legacy, Fails, Some(304));
    check("older", &baked("550.54.15"), &legacy, Limited, Some(304));
}

#[test]
fn platforms_libcs_and_builds() {
    use Answer::{Fails, Limited, NoCuda, Works};
    let t = torch("2.6.0", "12.4", &TORCH_260, &[]);
    let on = |image: &str, machine: &str| {
        let mut facts = t.clone();
        facts.platform = Some(image.into());
        let mut host = host("550.163.01", &["A100"], Injection::Legacy);
        host.platform = Some(machine.into());
        (facts, host)
    };
    for (image, machine, answer, root) in [
        ("linux/amd64", "linux/amd64", Works, None),
        ("linux/amd64", "linux/x86_64", Works, None),
        ("linux/arm64/v8", "linux/arm64", Works, None),
        ("linux/arm64", "linux/aarch64", Works, None),
        ("linux/arm64", "linux/amd64", Fails, Some(307)),
        ("windows/amd64", "linux/amd64", Fails, Some(307)),
        ("linux/386", "linux/amd64", Works, None),
        ("linux/ppc64le", "linux/amd64", Fails, Some(307)),
    ] {
        let (facts, host) = on(image, machine);
        check(
            &format!("{image} on {machine}"),
            &facts,
            &host,
            answer,
            root,
        );
    }
    let good = host("550.163.01", &["A100"], Injection::Legacy);
    let empty = ImageFacts {
        scan: Scan::Full,
        libc: Some(Libc::Musl),
        ..ImageFacts::default()
    };
    check("alpine without CUDA", &empty, &good, NoCuda, None);
    let mut alpine = framework("torch", Some("12.4"), Vec::new());
    alpine.libc = Some(Libc::Musl);
    check("torch in alpine", &alpine, &good, Fails, Some(305));
    let mut runtime = empty.clone();
    runtime.runtimes = vec![Runtime {
        version: v("12.4.127"),
        path: "/usr/local/cuda/lib64/libcudart.so.12".into(),
        evidence: "its name".into(),
    }];
    check("a runtime in alpine", &runtime, &good, Fails, Some(305));
    let mut program = empty.clone();
    program.libraries = vec![shaped("/app/server", &[(3, "80", "80@8.4")])];
    check("a program in alpine", &program, &good, Fails, Some(305));
    let built = |name: &str, build: Build| {
        let mut image = framework(name, None, Vec::new());
        image.frameworks[0].build = build;
        image
    };
    for (name, build, answer, root) in [
        ("torch", Build::Cpu, Limited, Some(301)),
        ("tensorflow", Build::Cpu, Limited, Some(301)),
        ("jax", Build::Cpu, Limited, Some(301)),
        ("onnxruntime", Build::Cpu, NoCuda, None),
        ("torch", Build::Rocm(Some("6.2".into())), Fails, Some(306)),
        ("torch", Build::Rocm(None), Fails, Some(306)),
        ("tensorflow", Build::Rocm(None), Fails, Some(306)),
        ("jax", Build::Rocm(None), Fails, Some(306)),
    ] {
        check(name, &built(name, build), &good, answer, root);
    }
    for (name, missing) in [
        ("onnxruntime", "libcudnn.so.9"),
        ("tensorflow", "libcudnn.so.9"),
        ("jax", "libcusparse.so.12"),
        ("torch", "libnccl.so.2"),
    ] {
        let mut image = torch("x", "12.4", &TORCH_260, &[]);
        image.frameworks[0].name = name.into();
        image.frameworks[0].missing = vec![missing.into()];
        check(name, &image, &good, Limited, Some(308));
    }
}

#[test]
fn python_environments() {
    use Answer::{Fails, Unknown, Works};
    let two = |first: Option<bool>, second: Option<bool>, second_cuda: &str| {
        let mut image = torch("2.6.0", "12.4", &TORCH_260, &[]);
        image.frameworks[0].on_path = first;
        let mut other = image.frameworks[0].clone();
        other.place = "/opt/venv/lib/python3.12/site-packages".into();
        other.build = Build::Cuda(Some(v(second_cuda)));
        other.on_path = second;
        image.frameworks.push(other);
        image
    };
    let host = host("550.163.01", &["A100"], Injection::Legacy);
    for (first, second, cuda, answer, root) in [
        (Some(true), Some(false), "13.0", Works, None),
        (Some(false), Some(true), "13.0", Fails, Some(102)),
        (Some(true), None, "13.0", Works, None),
        // None is on the PATH: an entrypoint may start any.
        (None, None, "13.0", Unknown, None),
        (Some(false), Some(false), "13.0", Unknown, None),
        (None, None, "12.4", Works, None),
        (None, None, "12.8", Works, Some(103)),
    ] {
        let what = format!("{first:?} {second:?} {cuda}");
        check(&what, &two(first, second, cuda), &host, answer, root);
    }
}

/// The folder is told by where its links lead, the variable names it as it likes.
#[test]
fn what_is_taken_out_of_the_library_path_is_what_stands_in_it() {
    let real = "/usr/local/cuda-12.4/targets/x86_64-linux/lib/stubs";
    let cases = [
        (
            "/usr/local/cuda/lib64/stubs:/usr/local/cuda/lib64",
            "=/usr/local/cuda/lib64`",
        ),
        (
            "/opt/lib:/usr/local/cuda-12.4/targets/x86_64-linux/lib/stubs/",
            "=/opt/lib`",
        ),
        ("/usr/local/cuda/lib64/stubs", "=`"),
    ];
    for (path, left) in cases {
        let mut image = torch("2.6.0", "12.4", &[80], &[]);
        image.env = vec![("LD_LIBRARY_PATH".into(), path.into())];
        image.library_path = vec![("/usr/local/cuda/lib64/stubs".into(), real.into())];
        image.stubs = vec![Stub {
            path: real.into(),
            has_soname: true,
            searched_by: Some("LD_LIBRARY_PATH".into()),
        }];
        let verdict = judge(&image, &host("550.54.15", &["A100"], Injection::Legacy));
        let remedy = &verdict.root().unwrap().remedy[0];
        assert!(remedy.contains(left), "{path}: {remedy}");
    }
}
