//! The made-up host's images: what is known of them, and facts made by hand.

use std::sync::Arc;

use super::fixture::{GIB, at, image_id, night};
use super::state::State;
use super::{Event, Outcome, update};
use crate::inspect::{Config, Content, Known};
use crate::model::Image;
use crate::verdict::Version;
use crate::verdict::facts::{
    Build, ContainerShape, CudaLibrary, DeviceCode, Framework, ImageFacts, Libc, Runtime, Scan,
    Target, Variant,
};
use crate::verdict::require::requirements;

/// What is known of an image of the night: a configuration whose one label names it, and its content where it
/// was looked into.
pub fn known(name: &str, looked_into: bool) -> Arc<Known> {
    let env = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    };
    let content = Content {
        bytes: 13 * GIB,
        entries: 184_210,
        ..Content::default()
    };
    Arc::new(Known {
        config: Config {
            platform: Some("linux/amd64".into()),
            env: match name {
                "jupyter:cuda13" => env(&[
                    ("CUDA_VERSION", "13.0.1"),
                    ("NVIDIA_REQUIRE_CUDA", "cuda>=13.0"),
                ]),
                _ => Vec::new(),
            },
            labels: vec![("fixture".into(), name.into())],
            size_bytes: Some(14 * GIB),
            ..Config::default()
        },
        content: looked_into.then(|| Arc::new(content)),
        live: false,
    })
}

/// The facts of the night's images, made by hand.
pub fn facts(known: &Known) -> ImageFacts {
    let config = &known.config;
    let pairs = config.env.iter();
    let mut facts = ImageFacts {
        platform: config.platform.clone(),
        env: config.env.clone(),
        requirements: requirements(pairs.map(|(n, v)| (n.as_str(), v.as_str()))),
        declared_cuda: config.env("CUDA_VERSION").and_then(Version::parse),
        ..ImageFacts::default()
    };
    if known.content.is_none() {
        return facts;
    }
    facts.scan = Scan::Full;
    facts.libc = Some(Libc::Glibc(Version::parse("2.35")));
    match config.labels.first().map(|(_, name)| name.as_str()) {
        Some("my-train:0.4") => {
            torch(
                &mut facts,
                "2.6.0+cu124",
                "12.4",
                &[50, 60, 70, 75, 80, 86, 90],
            );
            facts.cudnn = Some("9.1.0".into());
            facts.nccl = Some("2.21.5".into());
        }
        Some("my-train:0.3") => {
            torch(
                &mut facts,
                "2.9.0+cu130",
                "13.0",
                &[75, 80, 86, 90, 100, 120],
            );
        }
        Some("vllm/vllm-openai:0.9") => {
            torch(
                &mut facts,
                "2.7.0+cu128",
                "12.8",
                &[75, 80, 86, 90, 100, 120],
            );
            if let Some(torch) = facts.frameworks.first_mut() {
                torch.jits_ptx = true;
            }
        }
        Some("jupyter:cuda13") => {
            torch(
                &mut facts,
                "2.9.0+cu130",
                "13.0",
                &[75, 80, 86, 90, 100, 120],
            );
            facts.gaps = vec!["/opt/broken/lib\u{1b}[31mx.so: the file is cut short".into()];
        }
        _ => {}
    }
    facts
}

fn torch(facts: &mut ImageFacts, version: &str, cuda: &str, sass: &[u32]) {
    let place = "/usr/local/lib/python3.10/site-packages";
    let path = format!("{place}/torch/lib/libtorch_cuda.so");
    let mut code = DeviceCode::default();
    code.add(ContainerShape {
        sass: sass
            .iter()
            .map(|n| Target::from_number(*n, Variant::Plain))
            .collect(),
        ptx: Vec::new(),
    });
    facts.frameworks.push(Framework {
        name: "torch".into(),
        version: Some(version.into()),
        build: Build::Cuda(Version::parse(cuda)),
        evidence: format!("torch/version.py: cuda = '{cuda}'"),
        place: place.into(),
        on_path: Some(true),
        library: Some(path.clone()),
        libraries: vec![path.clone()],
        uses_shm: true,
        ..Framework::default()
    });
    facts.libraries.push(CudaLibrary {
        path,
        size_bytes: GIB,
        code,
        ..CudaLibrary::default()
    });
    facts.runtimes.push(Runtime {
        version: Version::parse(&format!("{cuda}.127")).unwrap(),
        path: format!("{place}/nvidia/cuda_runtime/lib/libcudart.so"),
        evidence: "its dist-info".into(),
    });
}

/// Tells the state what is known of an image.
pub fn learn(state: &mut State, name: &str, looked_into: bool, second: u64) {
    state.verdicts.derive = facts;
    let outcome = Outcome::Known {
        image: image_id(name),
        result: Ok(known(name, looked_into)),
    };
    update(state, Event::Outcome(outcome), at(second));
}

/// The night with verdicts of every kind.
pub fn judged(columns: u16, rows: u16) -> State {
    let mut state = night(columns, rows);
    for (name, looked_into) in [
        ("my-train:0.4", true),
        ("vllm/vllm-openai:0.9", true),
        ("jupyter:cuda13", false),
        ("rag-api:2.1", false),
        ("pgvector/pgvector:pg17", true),
        ("my-train:0.3", true),
    ] {
        learn(&mut state, name, looked_into, 400);
    }
    state
}

/// The night's images.
pub fn images() -> Vec<Image> {
    let image = |name: &str, gib: u64| Image {
        id: image_id(name),
        tags: vec![name.into()],
        size_bytes: Some(gib * GIB),
        created_at: Some(at(0).wall),
        containers: None,
    };
    let mut images = vec![
        image("my-train:0.4", 14),
        image("vllm/vllm-openai:0.9", 22),
        image("jupyter:cuda13", 11),
        image("rag-api:2.1", 2),
        image("pgvector/pgvector:pg17", 1),
        image("my-train:0.3", 13),
        image("old", 9),
    ];
    if let Some(untagged) = images.last_mut() {
        untagged.tags.clear();
    }
    images
}
