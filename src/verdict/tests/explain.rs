//! Every rule is explained, and its example is what a check says.

use super::*;
use crate::verdict::explain::{RULES, explain, page};

/// The image and the host of a rule's example.
fn example(code: u16) -> (ImageFacts, HostFacts) {
    use Injection::{Cdi, Legacy};
    let t260 = || torch("2.6.0+cu124", "12.4", &TORCH_260, &[]);
    let with = |change: &dyn Fn(&mut ImageFacts)| {
        let mut image = t260();
        change(&mut image);
        image
    };
    let h = |driver: &str, gpu: &str| host(driver, &[gpu], Legacy);
    let a100 = || h("550.163.01", "A100");
    let b124 = || base("12.4.1", R124, Some("550.54.15"));
    let b128 = || base("12.8.1", R128, Some("570.124.06"));
    let t2150 = || torch("2.15.0+cu132", "13.2", &TORCH_2150, &[]);
    let ptx = || {
        let mut image = ImageFacts {
            frameworks: Vec::new(),
            ..framework(
                "x",
                None,
                vec![shaped("/app/program", &[(9, "80", "80@8.4")])],
            )
        };
        image.libraries[0].needed = vec!["libcudart.so.12".into()];
        image
    };
    let env = |name: &'static str, value: &'static str| {
        with(&|i| i.env.push((name.into(), value.into())))
    };
    match code {
        101 => (b128(), h("535.183.01", "RTX 3090")),
        102 => (t2150(), h("535.274.02", "A100")),
        103 => (t260(), h("535.183.01", "H100")),
        104 => (b128(), h("535.274.02", "A100")),
        105 => (
            base("13.1.1", "", Some("590.48.01")),
            host("550.163.01", &["RTX 4090"], Cdi),
        ),
        106 => (b124(), h("535.183.01", "RTX 3090")),
        107 => (ptx(), h("535.183.01", "H100")),
        108 => (t260(), h("550.163.01", "RTX 5090")),
        201 => (
            torch("2.5.1+cu124", "12.4", &TORCH_260, &[]),
            h("570.124.06", "RTX 5090"),
        ),
        202 => (ptx(), h("550.163.01", "H100")),
        203 => (t2150(), h("580.95.05", "V100")),
        204 => {
            let mut host = host("580.95.05", &["A100", "RTX 5090"], Legacy);
            host.hypothetical = false;
            (t260(), host)
        }
        301 => (
            with(&|i| {
                i.libraries.clear();
                i.frameworks[0].version = Some("2.6.0+cpu".into());
                i.frameworks[0].library = None;
                i.frameworks[0].build = Build::Cpu;
            }),
            a100(),
        ),
        302 => (
            with(&|i| {
                for (version, path) in [("11.8.89", "/usr/local/cuda"), ("12.4.127", "wheels")] {
                    i.runtimes.push(Runtime {
                        version: v(version),
                        path: path.into(),
                        evidence: path.into(),
                    });
                }
            }),
            a100(),
        ),
        303 => (
            with(&|i| {
                i.stubs.push(Stub {
                    path: "/usr/local/cuda/lib64/stubs".into(),
                    has_soname: true,
                    searched_by: Some("LD_LIBRARY_PATH".into()),
                });
            }),
            a100(),
        ),
        304 => (
            with(&|i| {
                i.driver_libraries.push(DriverLibrary {
                    path: "/usr/lib/x86_64-linux-gnu/libcuda.so.560.35.03".into(),
                    version: Some(v("560.35.03")),
                    empty: false,
                });
            }),
            a100(),
        ),
        305 => (with(&|i| i.libc = Some(Libc::Musl)), a100()),
        306 => (
            with(&|i| {
                i.libraries.clear();
                i.frameworks[0].build = Build::Rocm(Some("6.2".into()));
            }),
            a100(),
        ),
        307 => (with(&|i| i.platform = Some("linux/arm64".into())), a100()),
        308 => (
            with(&|i| {
                i.frameworks[0].name = "onnxruntime".into();
                i.frameworks[0].version = Some("1.20.1".into());
                i.frameworks[0].missing = vec!["libcudnn.so.9".into()];
            }),
            a100(),
        ),
        401 => {
            let mut host = a100();
            host.no_gpu_runtime = Some("could not select device driver".into());
            (t260(), host)
        }
        402 => (env("NVIDIA_VISIBLE_DEVICES", "void"), a100()),
        403 => (env("NVIDIA_DRIVER_CAPABILITIES", "utility"), a100()),
        404 => {
            let mut host = a100();
            host.launch = Some(LaunchFacts {
                grants_gpus: true,
                shm_bytes: Some(64 << 20),
            });
            (t260(), host)
        }
        _ => panic!("MW{code} has no example"),
    }
}

#[test]
fn every_rule_is_explained_and_its_example_is_true() {
    let mut codes: Vec<u16> = RULES.iter().map(|r| r.rule.0).collect();
    assert!(codes.is_sorted());
    let mut ordered = super::super::ROOT_CAUSE.to_vec();
    ordered.sort_unstable();
    codes.dedup();
    assert_eq!(codes, ordered, "explained and ordered");
    for rule in RULES {
        assert_eq!(explain(rule.rule), Some(rule));
        let (image, host) = example(rule.rule.0);
        let verdict = judge(&image, &host);
        let said: Vec<String> = verdict
            .findings
            .iter()
            .map(|f| format!("{} {}: {}", f.rule, f.severity.as_str(), f.title))
            .collect();
        assert!(
            said.iter().any(|line| line == rule.output),
            "{} says {:?}, not {said:#?}",
            rule.rule,
            rule.output
        );
        for text in [rule.name, rule.outcome, rule.text, rule.seen, rule.remedy] {
            assert!(!text.is_empty() && !text.contains('\n'), "{rule:?}");
        }
        assert!(rule.to_string().contains(rule.output));
    }
    assert_eq!(explain(Rule(999)), None);
}

#[test]
fn the_page_of_rules_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/rules.md");
    if std::env::var_os("MIDWATCH_WRITE_PAGE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page(),
        "assets/rules.md is not what the rules say: MIDWATCH_WRITE_PAGE=1 cargo test --lib verdict::tests::explain writes it anew"
    );
}
