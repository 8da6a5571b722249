//! Base image and wheel index, by what the verdict says of them.

use super::*;
use crate::verdict::catalogue::{TorchArchs, parse_capability, variant_cuda};
use crate::verdict::facts::*;
use crate::verdict::{Answer, Catalogue, Rule, Version, judge, require};

const HOSTS: [(&str, &str, &[&str]); 5] = [
    ("H100, driver 550", "550.163.01", &["H100 SXM5 80GB"]),
    ("RTX 5090, driver 570", "570.86.15", &["RTX 5090"]),
    ("V100, driver 535", "535.183.01", &["V100-SXM2-32GB"]),
    ("RTX 4090, driver 580", "580.95.05", &["RTX 4090"]),
    ("no driver", "", &[]),
];

fn gpu_name(name: &str) -> String {
    // A full name, or the first of that family.
    let found = Catalogue::get().find_gpus(name);
    found
        .first()
        .map_or_else(|| name.to_owned(), |g| g.name.clone())
}

fn of(host_of: &(&str, &str, &[&str])) -> HostFacts {
    let names: Vec<String> = host_of
        .2
        .iter()
        .map(|name| {
            gpu_name(
                name.split(' ')
                    .next()
                    .filter(|w| *w != "RTX")
                    .unwrap_or(name),
            )
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    host(host_of.1, &names)
}

fn project(kind: Kind, requirements: &[&str]) -> Project {
    let script = |file: &str| Entry::Script {
        file: file.to_owned(),
        port: None,
        address: None,
    };
    Project {
        name: "my-app".to_owned(),
        entry: Some(match kind {
            Kind::FastApi => Entry::Uvicorn {
                target: "app.main:app".to_owned(),
                factory: false,
            },
            Kind::Gradio => script("app.py"),
            Kind::Train => script("train.py"),
        }),
        source: Source::Requirements,
        requirements: requirements
            .iter()
            .filter_map(|line| Requirement::parse(line))
            .collect(),
        ..Project::default()
    }
}

fn golden(kind: Kind, requirements: &[&str]) -> String {
    let mut out = String::new();
    for named in &HOSTS {
        let made = make(kind, &project(kind, requirements), &of(named));
        check(&made);
        out.push_str(&format!("===== {}\n", named.0));
        for note in &made.notes {
            out.push_str(&format!("note: {note}\n"));
        }
        out.push_str(&made.dockerfile);
        out.push('\n');
    }
    out
}

#[test]
fn a_fastapi_application_for_each_host() {
    insta::assert_snapshot!(golden(
        Kind::FastApi,
        &["fastapi", "uvicorn", "torch", "transformers"]
    ));
}

#[test]
fn a_gradio_application_for_each_host() {
    insta::assert_snapshot!(golden(Kind::Gradio, &["gradio", "onnxruntime-gpu"]));
}

#[test]
fn a_training_for_each_host() {
    insta::assert_snapshot!(golden(
        Kind::Train,
        &["torch>=2.4", "torchvision", "lightning"]
    ));
}

#[test]
fn what_stays_out_of_the_image() {
    let made = |kind| make(kind, &project(kind, &[]), &HostFacts::default()).dockerignore;
    insta::assert_snapshot!(format!(
        "{}\n===== gradio\n{}",
        made(Kind::Train),
        made(Kind::Gradio)
    ));
}

fn index(made: &Made) -> Option<&str> {
    let at = made
        .dockerfile
        .find("--index-url https://download.pytorch.org/whl/")?;
    let rest = made.dockerfile.get(at..)?;
    rest.lines().next()?.rsplit('/').next()
}

fn torch_of(made: &Made) -> Version {
    let run = instructions(&made.dockerfile)
        .into_iter()
        .find(|(word, rest)| word == "RUN" && rest.contains("--index-url"))
        .unwrap()
        .1;
    let digits = run.split("torch==").nth(1).unwrap();
    let end = digits
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap();
    let numbers: Vec<u32> = digits
        .get(..end)
        .unwrap()
        .split('.')
        .filter_map(|n| n.parse().ok())
        .collect();
    Version::from_pair(numbers[0], numbers[1])
}

/// The image that the Dockerfile makes, as far as its PyTorch goes.
fn torch_image(made: &Made) -> ImageFacts {
    let (variant, torch) = (index(made).unwrap().to_owned(), torch_of(made));
    let built = |row: &&TorchArchs| {
        row.variants.contains(&variant) && row.first <= torch && torch <= row.last && !row.arm64
    };
    let row = Catalogue::get().torch_archs.iter().find(built).unwrap();
    let mut code = DeviceCode::default();
    code.add(ContainerShape {
        sass: row
            .compute_capabilities
            .iter()
            .map(|capability| Target {
                capability: *capability,
                variant: Variant::Plain,
            })
            .collect(),
        ptx: Vec::new(),
    });
    let path = "/usr/local/lib/python3.12/site-packages/torch/lib/libtorch_cuda.so";
    ImageFacts {
        scan: Scan::Full,
        platform: Some("linux/amd64".into()),
        frameworks: vec![Framework {
            name: "torch".into(),
            version: Some(torch.to_string()),
            build: Build::Cuda(variant_cuda(&variant)),
            place: "/usr/local/lib/python3.12/site-packages".into(),
            on_path: Some(true),
            library: Some(path.into()),
            libraries: vec![path.into()],
            ..Framework::default()
        }],
        libraries: vec![CudaLibrary {
            path: path.into(),
            size_bytes: 1 << 30,
            code,
            ..CudaLibrary::default()
        }],
        libc: Some(Libc::Glibc(None)),
        ..ImageFacts::default()
    }
}

#[test]
fn every_index_chosen_runs_on_the_host_it_was_chosen_for() {
    let project = project(Kind::Train, &["torch"]);
    let mut judged = 0;
    for branch in Catalogue::get().branches.iter().filter(|b| b.branch >= 450) {
        for sm in [
            "6.0", "7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0",
        ] {
            let mut here = host(&branch.branch.to_string(), &[sm]);
            here.platform = Some("linux/amd64".into());
            let made = make(Kind::Train, &project, &here);
            check(&made);
            let verdict = judge(&torch_image(&made), &here);
            if verdict.findings.iter().any(|f| f.rule == Rule(108)) {
                continue; // There is no such machine.
            }
            let runs = matches!(verdict.answer, Answer::Works | Answer::Limited);
            assert_eq!(
                runs,
                made.notes.is_empty(),
                "{} {sm}: {:?} {:?}\n{:?}",
                branch.branch,
                verdict.answer,
                verdict.findings,
                made.notes
            );
            judged += 1;
        }
    }
    assert!(judged > 80, "{judged}");
}

#[test]
fn the_careful_choice_runs_on_what_it_says() {
    let made = make(
        Kind::Train,
        &project(Kind::Train, &["torch"]),
        &HostFacts::default(),
    );
    assert!(made.notes[0].contains("525.60.13"), "{:?}", made.notes);
    for (driver, gpu) in [
        ("525.60.13", "8.0"),
        ("535.104.05", "7.0"),
        ("580.65.06", "9.0"),
    ] {
        let mut here = host(driver, &[gpu]);
        here.platform = Some("linux/amd64".into());
        let answer = judge(&torch_image(&made), &here).answer;
        assert!(
            matches!(answer, Answer::Works | Answer::Limited),
            "{driver} {gpu}: {answer:?}"
        );
    }
    // A GPU without its driver: the first branch that knows it.
    let made = make(
        Kind::Train,
        &project(Kind::Train, &["torch"]),
        &host("", &["RTX 5090"]),
    );
    assert_eq!(index(&made), Some("cu128"), "{}", made.dockerfile);
}

/// Driver, GPU, requirements; index, image, what a note says.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a [&'a str],
    Option<&'a str>,
    &'a str,
    &'a str,
);

#[test]
fn what_the_project_pins_decides() {
    let cases: &[Case] = &[
        (
            "550.163.01",
            "9.0",
            &["torch==2.6.0"],
            Some("cu124"),
            "python:3.12-slim",
            "",
        ),
        (
            "550.163.01",
            "9.0",
            &["torch==2.6.0+cu118"],
            Some("cu118"),
            "python:3.12-slim",
            "",
        ),
        (
            "550.163.01",
            "9.0",
            &["torch<2.2"],
            Some("cu121"),
            "python:3.11-slim",
            "",
        ),
        (
            "570.86.15",
            "12.0",
            &["torch~=2.7.0"],
            Some("cu128"),
            "python:3.12-slim",
            "",
        ),
        (
            "570.86.15",
            "12.0",
            &["torch==2.5.1"],
            Some("cu118"),
            "python:3.12-slim",
            "PyTorch 2.11 of cu128",
        ),
        (
            "580.95.05",
            "7.0",
            &["accelerate"],
            Some("cu126"),
            "python:3.12-slim",
            "",
        ),
        (
            "390.87",
            "7.0",
            &["torch"],
            Some("cu126"),
            "python:3.12-slim",
            "upgrade the host driver to 525.60.13",
        ),
        (
            "580.95.05",
            "9.0",
            &["vllm", "torch"],
            None,
            "python:3.12-slim",
            "",
        ),
        (
            "580.95.05",
            "9.0",
            &["tensorflow[and-cuda]"],
            None,
            "python:3.12-slim",
            "",
        ),
        (
            "580.95.05",
            "9.0",
            &["tensorflow==2.19"],
            None,
            "python:3.12-slim",
            "tensorflow[and-cuda]",
        ),
        (
            "470.256.02",
            "8.0",
            &["tensorflow[and-cuda]"],
            None,
            "python:3.12-slim",
            "it needs one from 525.60.13 on",
        ),
        (
            "580.95.05",
            "9.0",
            &["jax"],
            None,
            "python:3.12-slim",
            "jax[cuda13]",
        ),
        (
            "580.95.05",
            "7.0",
            &["jax"],
            None,
            "python:3.12-slim",
            "jax[cuda12]",
        ),
        (
            "550.163.01",
            "9.0",
            &["jax[cuda13]"],
            None,
            "python:3.12-slim",
            "JAX brings CUDA 13",
        ),
        (
            "550.163.01",
            "9.0",
            &["cupy-cuda12x"],
            None,
            "nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04",
            "",
        ),
        (
            "580.95.05",
            "9.0",
            &["onnxruntime-gpu"],
            None,
            "nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04",
            "",
        ),
        (
            "580.95.05",
            "7.0",
            &["onnxruntime-gpu"],
            None,
            "nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04",
            "",
        ),
        (
            "535.104.05",
            "8.0",
            &["onnxruntime-gpu==1.20.1"],
            None,
            "nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04",
            "",
        ),
        (
            "535.104.05",
            "8.0",
            &["onnxruntime-gpu==1.16.3"],
            None,
            "nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04",
            "",
        ),
        (
            "535.104.05",
            "8.0",
            &["onnxruntime-gpu==1.31.1"],
            None,
            "nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04",
            "needs CUDA 13",
        ),
        (
            "550.163.01",
            "9.0",
            &["numpy", "pandas"],
            None,
            "python:3.12-slim",
            "",
        ),
    ];
    for (driver, gpu, requirements, wheels, image, note) in cases {
        let made = make(
            Kind::Train,
            &project(Kind::Train, requirements),
            &host(driver, &[gpu]),
        );
        check(&made);
        let at = format!(
            "{driver} {gpu} {requirements:?}: {:?}\n{}",
            made.notes, made.dockerfile
        );
        assert_eq!(index(&made), *wheels, "{at}");
        assert!(made.dockerfile.contains(&format!("FROM {image}\n")), "{at}");
        match *note {
            "" => assert!(made.notes.is_empty(), "{at}"),
            note => assert!(made.notes.iter().any(|n| n.contains(note)), "{at}"),
        }
        assert_eq!(made.gpu, !requirements.contains(&"numpy"), "{at}");
    }
}

#[test]
fn an_image_that_asks_too_much_of_the_driver_is_made_lenient() {
    let made = |driver| {
        let project = project(Kind::Train, &["onnxruntime-gpu"]);
        make(Kind::Train, &project, &host(driver, &["8.0"])).dockerfile
    };
    assert!(made("535.104.05").contains("NVIDIA_DISABLE_REQUIRE=1"));
    assert!(made("535.104.05").contains("'onnxruntime-gpu>=1.19,<1.26'"));
    assert!(!made("550.163.01").contains("NVIDIA_DISABLE_REQUIRE=1"));
    assert!(!made("580.95.05").contains("<1.26"));
}

#[test]
fn every_cuda_image_chosen_runs_on_the_host_it_was_chosen_for() {
    let mut judged = 0;
    for branch in Catalogue::get().branches.iter().filter(|b| b.branch >= 450) {
        for sm in ["7.0", "7.5", "8.6", "8.9", "9.0", "12.0"] {
            let mut here = host(&branch.branch.to_string(), &[sm]);
            here.platform = Some("linux/amd64".into());
            let made = make(
                Kind::Gradio,
                &project(Kind::Gradio, &["onnxruntime-gpu"]),
                &here,
            );
            let tag = instructions(&made.dockerfile).remove(0).1;
            let cuda = Version::parse(
                tag.trim_start_matches("nvidia/cuda:")
                    .split('-')
                    .next()
                    .unwrap(),
            );
            let lenient = made.dockerfile.contains("NVIDIA_DISABLE_REQUIRE=1");
            let cuda = cuda.unwrap();
            let required = format!("cuda>={}.{}", cuda.major(), cuda.minor());
            let env = [
                ("NVIDIA_REQUIRE_CUDA", required.as_str()),
                ("NVIDIA_DISABLE_REQUIRE", "1"),
            ];
            let env: Vec<(String, String)> = env
                .iter()
                .take(if lenient { 2 } else { 1 })
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let image = ImageFacts {
                scan: Scan::Full,
                platform: Some("linux/amd64".into()),
                requirements: require::requirements(
                    env.iter()
                        .map(|(name, value)| (name.as_str(), value.as_str())),
                ),
                runtimes: vec![Runtime {
                    version: cuda.clone(),
                    path: "/usr/local/cuda/lib64/libcudart.so".into(),
                    evidence: "its name".into(),
                }],
                env,
                libc: Some(Libc::Glibc(None)),
                ..ImageFacts::default()
            };
            let verdict = judge(&image, &here);
            if verdict.findings.iter().any(|f| f.rule == Rule(108)) {
                continue;
            }
            assert_eq!(
                verdict.answer != Answer::Fails,
                made.notes.is_empty(),
                "{} {sm} {tag}: {:?} {:?}",
                branch.branch,
                verdict.findings,
                made.notes
            );
            judged += 1;
        }
    }
    assert!(judged > 50, "{judged}");
}

#[test]
fn the_python_is_one_that_the_project_and_pytorch_take() {
    let image = |python: Option<u32>, allowed: &str, requirements: &[&str]| {
        let project = Project {
            python,
            python_allowed: Clause::parse_all(allowed),
            ..project(Kind::Train, requirements)
        };
        let made = make(Kind::Train, &project, &host("550.163.01", &["9.0"]));
        let from = instructions(&made.dockerfile).remove(0).1;
        let torch = made
            .dockerfile
            .contains("torch==")
            .then(|| torch_of(&made).to_string());
        (from, torch.unwrap_or_default())
    };
    let cases = [
        (None, "", &[][..], "python:3.12-slim", ""),
        (Some(10), "", &[], "python:3.10-slim", ""),
        (None, ">=3.9,<3.12", &[], "python:3.11-slim", ""),
        (None, ">=3.13", &[], "python:3.13-slim", ""),
        (None, "^3.10", &[], "python:3.12-slim", ""),
        (None, "==3.9.*", &["torch"], "python:3.9-slim", "2.8"),
        (None, "<3.10", &["torch"], "python:3.9-slim", "2.8"),
        (Some(8), "", &["torch"], "python:3.8-slim", "2.4"),
        (None, "", &["torch==1.13.1"], "python:3.10-slim", "1.13"),
        (None, "nonsense", &[], "python:3.12-slim", ""),
    ];
    for (python, allowed, requirements, from, torch) in cases {
        let told = image(python, allowed, requirements);
        assert_eq!(
            (told.0.as_str(), told.1.as_str()),
            (from, torch),
            "{python:?} {allowed}"
        );
    }
}

#[test]
fn names_of_gpus_cannot_break_the_file() {
    let mut here = host("550.163.01", &["9.0"]);
    here.gpus[0].name = "H100\nRUN evil \u{1b}[31m\u{202e}".to_owned();
    assert_eq!(parse_capability("9.0"), here.gpus[0].capability);
    let made = make(Kind::Train, &project(Kind::Train, &["torch"]), &here);
    check(&made);
    assert!(
        made.dockerfile.contains("H100 RUN evil (sm_90)"),
        "{}",
        made.dockerfile
    );
    let evil = instructions(&made.dockerfile)
        .into_iter()
        .any(|(_, rest)| rest.contains("evil"));
    assert!(!evil, "{}", made.dockerfile);
}
