//! Real configurations.

use super::*;

#[test]
fn configuration_alone_never_proves_a_success() {
    let mut image = base("12.4.1", R124, None);
    image.unmodified_base = false;
    let verdict = judge(&image, &host("550.163.01", &["A100"], Injection::Legacy));
    assert_eq!(verdict.answer, Answer::Unknown);
    let verdict = judge(
        &image,
        &host("470.256.02", &["RTX 3090"], Injection::Legacy),
    );
    assert_eq!(verdict.answer, Answer::Fails);
}

/// A configuration of `tests/data/cuda/images.json`, as an unmodified base image where it is one.
fn configured(reference: &str) -> ImageFacts {
    known(reference).unwrap_or_else(|| panic!("no {reference}"))
}

fn known(reference: &str) -> Option<ImageFacts> {
    const IMAGES: &str = include_str!("../../../tests/data/cuda/images.json");
    let all: serde_json::Value = serde_json::from_str(IMAGES).unwrap();
    let image = all.as_array()?.iter().find(|i| i["ref"] == reference)?;
    let env: Vec<(String, String)> = image["env"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    let platform = format!("linux/{}", image["arch"].as_str().unwrap());
    let declared_cuda = env
        .iter()
        .find(|(name, _)| name == "CUDA_VERSION")
        .and_then(|(_, value)| Version::parse(value));
    let unmodified_base = reference.starts_with("nvidia/cuda:");
    Some(ImageFacts {
        scan: Scan::Config,
        unmodified_base,
        requirements: requirements(env.iter().map(|(n, val)| (n.as_str(), val.as_str()))),
        compat: declared_cuda
            .as_ref()
            .filter(|_| unmodified_base)
            .and_then(|cuda| effective::base_image_compat(cuda, &platform)),
        platform: Some(platform),
        env,
        declared_cuda,
        ..ImageFacts::default()
    })
}

/// `NVIDIA_REQUIRE_CUDA` of an image of this CUDA with the twelve brands, from the vectors.
fn later(cuda: &str) -> ImageFacts {
    const VECTORS: [&str; 2] = [
        include_str!("../../../tests/data/cuda/require_vectors.json"),
        include_str!("../../../tests/data/cuda/require_vectors_2.json"),
    ];
    let pair = v(cuda).pair();
    let start = format!("cuda>={}.{} ", pair.0, pair.1);
    // The longest value of that start: partial ones are cases of the grammar.
    fn collect(value: &serde_json::Value, start: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) if text.starts_with(start) => found.push(text.clone()),
            serde_json::Value::Array(items) => items.iter().for_each(|i| collect(i, start, found)),
            serde_json::Value::Object(items) => {
                items.values().for_each(|i| collect(i, start, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for file in VECTORS {
        collect(&serde_json::from_str(file).unwrap(), &start, &mut found);
    }
    let require = found
        .into_iter()
        .max_by_key(String::len)
        .unwrap_or_else(|| panic!("no {start}"));
    let mut image = base(cuda, &require, None);
    image.compat = effective::base_image_compat(&v(cuda), "linux/amd64");
    image
}

#[test]
fn real_base_images_under_the_legacy_hook() {
    use Answer::{Fails, Limited, Works};
    let cases: &[(&str, &str, &str, Answer, Option<u16>)] = &[
        // Released for one branch of Tesla cards and the driver's own.
        ("10.0-base-ubuntu18.04", "390.87", "V100", Fails, Some(101)),
        (
            "10.0-base-ubuntu18.04",
            "384.183",
            "V100",
            Limited,
            Some(104),
        ),
        (
            "10.2-base-ubuntu18.04",
            "418.226.00",
            "V100",
            Limited,
            Some(104),
        ),
        (
            "10.2-base-ubuntu18.04",
            "418.226.00",
            "T4",
            Fails,
            Some(101),
        ),
        ("10.2-base-ubuntu18.04", "440.100", "T4", Works, None),
        ("11.0.3-base-ubuntu20.04", "450.80.02", "T4", Works, None),
        (
            "11.3.1-base-ubuntu20.04",
            "450.248.02",
            "T4",
            Limited,
            Some(104),
        ),
        (
            "11.3.1-base-ubuntu18.04",
            "460.80",
            "GTX 1650",
            Limited,
            Some(106),
        ),
        ("11.4.3-base-ubuntu20.04", "470.256.02", "T4", Works, None),
        (
            "11.4.3-base-ubuntu20.04",
            "460.106.00",
            "T4",
            Fails,
            Some(101),
        ),
        (
            "11.4.3-base-ubuntu18.04",
            "450.248.02",
            "V100",
            Limited,
            Some(104),
        ),
        (
            "11.4.3-base-ubuntu18.04",
            "450.248.02",
            "T4",
            Fails,
            Some(101),
        ),
        // The rebuilt tags list 470 alone.
        ("11.8.0-base-ubuntu20.04", "520.61.05", "A100", Works, None),
        (
            "11.8.0-base-ubuntu20.04",
            "515.105.01",
            "A100",
            Fails,
            Some(101),
        ),
        (
            "11.8.0-base-ubuntu18.04",
            "515.105.01",
            "A100",
            Limited,
            Some(104),
        ),
        (
            "11.8.0-base-ubuntu18.04",
            "515.105.01",
            "RTX 3090",
            Limited,
            Some(106),
        ),
        (
            "12.0.1-base-ubuntu22.04",
            "520.61.05",
            "A100",
            Fails,
            Some(101),
        ),
        (
            "12.0.1-base-ubuntu18.04",
            "515.105.01",
            "A100",
            Limited,
            Some(104),
        ),
        (
            "12.1.1-base-ubuntu22.04",
            "525.147.05",
            "A100",
            Limited,
            Some(104),
        ),
        (
            "12.1.1-base-ubuntu22.04",
            "530.30.02",
            "RTX 4090",
            Works,
            None,
        ),
        (
            "12.2.2-base-ubuntu22.04",
            "525.147.05",
            "RTX 2080 Ti",
            Limited,
            Some(106),
        ),
        (
            "12.2.2-base-ubuntu22.04",
            "535.104.05",
            "RTX 4090",
            Works,
            None,
        ),
        (
            "12.3.2-base-ubuntu22.04",
            "535.274.02",
            "A100",
            Works,
            Some(104),
        ),
        (
            "12.3.2-base-ubuntu22.04",
            "535.183.01",
            "RTX 3080",
            Limited,
            Some(106),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "535.183.01",
            "RTX 3090",
            Limited,
            Some(106),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "535.274.02",
            "A100",
            Works,
            Some(104),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "545.23.08",
            "H100",
            Fails,
            Some(101),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "545.23.08",
            "L40S",
            Fails,
            Some(101),
        ),
        ("12.4.1-base-ubuntu22.04", "550.54.15", "H100", Works, None),
        (
            "12.4.1-base-ubuntu22.04",
            "470.256.02",
            "T4",
            Limited,
            Some(104),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "470.256.02",
            "RTX 3090",
            Fails,
            Some(105),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "525.147.05",
            "A100",
            Limited,
            Some(104),
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "530.30.02",
            "A100",
            Fails,
            Some(101),
        ),
        ("12.4.1-base-ubuntu22.04", "580.95.05", "V100", Works, None),
        (
            "12.4.1-base-ubuntu22.04",
            "580.95.05",
            "RTX 5090",
            Works,
            None,
        ),
        (
            "12.4.1-base-ubuntu22.04",
            "590.48.01",
            "V100",
            Fails,
            Some(108),
        ),
        // From 12.5 on no GeForce and no TITAN is let in below the own driver.
        (
            "12.5.1-base-ubuntu22.04",
            "550.163.01",
            "RTX 4090",
            Fails,
            Some(101),
        ),
        (
            "12.5.1-base-ubuntu22.04",
            "535.183.01",
            "RTX 4090",
            Fails,
            Some(101),
        ),
        (
            "12.5.1-base-ubuntu22.04",
            "535.183.01",
            "TITAN RTX",
            Fails,
            Some(101),
        ),
        (
            "12.5.1-base-ubuntu22.04",
            "535.183.01",
            "L40S",
            Works,
            Some(104),
        ),
        (
            "12.5.1-base-ubuntu22.04",
            "535.183.01",
            "RTX 6000 Ada Generation",
            Works,
            Some(104),
        ),
        (
            "12.5.1-base-ubuntu22.04",
            "550.163.01",
            "A100",
            Limited,
            Some(104),
        ),
        (
            "12.6.3-base-ubuntu24.04",
            "560.35.05",
            "RTX 4090",
            Works,
            None,
        ),
        (
            "12.6.3-base-ubuntu24.04",
            "555.42.06",
            "A100",
            Fails,
            Some(101),
        ),
        (
            "12.6.3-base-ubuntu24.04",
            "570.124.06",
            "RTX 5090",
            Works,
            None,
        ),
    ];
    for (tag, driver, gpu, answer, root) in cases {
        // The data holds one tag of each configuration.
        let variants = ["ubuntu18.04", "ubuntu20.04"].map(|os| {
            let (head, own) = tag.rsplit_once('-').unwrap();
            format!(
                "nvidia/cuda:{head}-{}",
                if own == "ubuntu18.04" { own } else { os }
            )
        });
        let image = variants.iter().rev().find_map(|r| known(r)).unwrap();
        let host = host(driver, &[gpu], Injection::Legacy);
        check(
            &format!("{tag} on {driver} with {gpu}"),
            &image,
            &host,
            *answer,
            *root,
        );
    }
}

#[test]
fn later_base_images_under_the_legacy_hook_and_cdi() {
    use Answer::{Fails, Limited, Works};
    use Injection::{Cdi, Legacy};
    let cases: &[Case<(&str, &str, Injection)>] = &[
        (
            "12.8.1",
            ("535.183.01", "RTX 3090", Legacy),
            Fails,
            Some(101),
        ),
        (
            "12.8.1",
            ("535.183.01", "RTX 3090", Cdi),
            Limited,
            Some(106),
        ),
        ("12.8.1", ("535.274.02", "A100", Legacy), Works, Some(104)),
        ("12.8.1", ("550.163.01", "A100", Legacy), Limited, Some(104)),
        ("12.8.1", ("565.57.01", "A100", Legacy), Limited, Some(104)),
        ("12.8.1", ("545.23.08", "A100", Legacy), Fails, Some(101)),
        ("12.8.1", ("545.23.08", "A100", Cdi), Fails, Some(106)),
        ("12.8.1", ("570.124.06", "RTX 5090", Legacy), Works, None),
        ("12.8.1", ("575.57.08", "A100", Legacy), Works, None),
        ("12.8.1", ("525.60.13", "V100", Legacy), Fails, Some(101)),
        (
            "12.9.1",
            ("570.133.20", "RTX 4090", Legacy),
            Fails,
            Some(101),
        ),
        (
            "12.9.1",
            ("570.133.20", "RTX 4090", Cdi),
            Limited,
            Some(106),
        ),
        ("12.9.1", ("570.133.20", "H100", Legacy), Works, Some(104)),
        ("12.9.1", ("565.57.01", "A100", Legacy), Limited, Some(104)),
        ("13.1.1", ("580.95.05", "RTX 5090", Cdi), Limited, Some(106)),
        (
            "13.1.1",
            ("580.95.05", "RTX 6000 Ada Generation", Legacy),
            Works,
            Some(104),
        ),
        ("13.1.1", ("580.95.05", "V100", Legacy), Fails, Some(203)),
        ("13.1.1", ("550.163.01", "RTX 4090", Cdi), Fails, Some(105)),
        ("13.1.1", ("550.163.01", "A100", Legacy), Limited, Some(104)),
        ("13.1.1", ("535.274.02", "A100", Cdi), Works, Some(104)),
        ("13.1.1", ("565.57.01", "A100", Cdi), Fails, Some(105)),
        ("13.1.1", ("595.71.05", "RTX 5090", Cdi), Works, None),
        ("13.1.1", ("470.256.02", "A100", Cdi), Fails, Some(105)),
    ];
    for (cuda, (driver, gpu, mode), answer, root) in cases {
        let image = later(cuda);
        let host = host(driver, &[gpu], *mode);
        check(
            &format!("{cuda} on {driver} with {gpu} ({mode:?})"),
            &image,
            &host,
            *answer,
            *root,
        );
    }
}

#[test]
fn images_that_are_more_than_their_base() {
    use Answer::{Fails, Unknown};
    use Injection::{Cdi, Legacy};
    let vllm = configured("vllm/vllm-openai:v0.23.0");
    let spark = configured("glm-darkdevotion-b12x:20260625-arm64-mtp1-trim");
    let torch = configured("pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime");
    for (image, driver, gpu, mode, answer, root) in [
        (&vllm, "535.274.02", "RTX 4090", Legacy, Fails, Some(101)),
        (&vllm, "550.163.01", "RTX 4090", Cdi, Fails, Some(102)),
        (&vllm, "580.95.05", "RTX 4090", Legacy, Unknown, None),
        (&vllm, "580.95.05", "V100", Legacy, Fails, Some(203)),
        (&spark, "580.95.05", "A100", Legacy, Fails, Some(307)),
        (&torch, "550.163.01", "A100", Legacy, Unknown, None),
        (&torch, "390.87", "A100", Legacy, Fails, Some(108)),
    ] {
        let what = format!("{:?} on {driver} with {gpu}", image.declared_cuda);
        check(&what, image, &host(driver, &[gpu], mode), answer, root);
    }
}
