//! What a training wants of its launch: offered in the form, visible and removable.

use super::{Ulimit, Which};

/// Size of `/dev/shm` that is offered, bytes. Docker's own is 64 MiB, in which data loaders die.
const SHM_BYTES: u64 = 8 << 30;
/// NVIDIA's advice for its framework images: `--ulimit stack=67108864`.
const STACK_BYTES: i64 = 67_108_864;

/// Pieces of an image's name that tell of a framework whose workers share memory.
const LOADERS: [&str; 19] = [
    "torch",
    "tensorflow",
    "jax",
    "mxnet",
    "paddle",
    "nemo",
    "megatron",
    "deepspeed",
    "transformers",
    "train",
    "finetune",
    "axolotl",
    "unsloth",
    "vllm",
    "sglang",
    "tensorrt-llm",
    "tensorrtllm",
    "text-generation-inference",
    "comfyui",
];

/// Pieces of an image's name that tell of CUDA.
const CUDA: [&str; 8] = [
    "cuda", "nvidia", "nvcr.io", "triton", "rapids", "ollama", "gpu", "whisper",
];

/// What is known of an image.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inside<'a> {
    /// It was looked into: then its name says nothing any more.
    pub looked_into: bool,
    /// A framework in it whose data loaders share memory.
    pub loader: Option<&'a str>,
    /// There is CUDA in it, or its configuration asks for a GPU.
    pub cuda: bool,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `--gpus`, `--free`.
    Gpus(Which),
    /// `--shm-size`, bytes.
    Shm(u64),
    /// `--ulimit`.
    Ulimit(Ulimit),
}

/// A setting that is offered, and the word why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What.
    pub setting: Setting,
    /// Why.
    pub why: String,
}

/// What is offered for an image of this name. `--shm-size` rather than `--ipc=host`: it ends with the
/// container, and shares no memory with other users of the host.
#[must_use]
pub fn training(inside: Inside<'_>, image: &str) -> Vec<Offer> {
    let name = image.to_ascii_lowercase();
    let named = |pieces: &[&str]| pieces.iter().any(|piece| name.contains(piece));
    let by_name = !inside.looked_into && named(&LOADERS);
    let mut offers = Vec::new();
    let mut offer = |setting, why: String| offers.push(Offer { setting, why });
    let loader = inside.loader.is_some() || by_name;
    if inside.cuda || loader || (!inside.looked_into && named(&CUDA)) {
        offer(
            Setting::Gpus(Which::Free(1)),
            "one GPU that nobody uses".to_owned(),
        );
    }
    if !loader {
        return offers;
    }
    let who = match inside.loader {
        Some(framework) => format!("{framework} is in the image: its data loaders share memory"),
        None => "by its name it trains or serves models: data loaders share memory".to_owned(),
    };
    offer(
        Setting::Shm(SHM_BYTES),
        format!("{who} in /dev/shm, and die in Docker's 64 MiB (--ipc=host would do too)"),
    );
    let unlimited = |name: &str, limit| {
        Setting::Ulimit(Ulimit {
            name: name.to_owned(),
            soft: limit,
            hard: limit,
        })
    };
    offer(
        unlimited("memlock", -1),
        "pinned host memory and NCCL's buffers are locked memory".to_owned(),
    );
    offer(
        unlimited("stack", STACK_BYTES),
        "NVIDIA's advice for framework images: 64 MiB stacks".to_owned(),
    );
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(offers: &[Offer]) -> Vec<String> {
        let word = |offer: &Offer| match &offer.setting {
            Setting::Gpus(Which::Free(count)) => format!("free {count}"),
            Setting::Gpus(other) => format!("{other:?}"),
            Setting::Shm(bytes) => format!("shm {}", bytes >> 30),
            Setting::Ulimit(limit) => format!("{} {}:{}", limit.name, limit.soft, limit.hard),
        };
        assert!(offers.iter().all(|o| !o.why.is_empty()));
        offers.iter().map(word).collect()
    }

    #[test]
    fn what_is_inside_decides_and_the_name_where_nobody_looked() {
        let all = [
            "free 1",
            "shm 8",
            "memlock -1:-1",
            "stack 67108864:67108864",
        ];
        let gpu = ["free 1"];
        let none: [&str; 0] = [];
        let unknown = Inside::default();
        let empty = Inside {
            looked_into: true,
            ..unknown
        };
        let torch = Inside {
            loader: Some("torch"),
            cuda: true,
            ..empty
        };
        let cuda = Inside {
            cuda: true,
            ..empty
        };
        let config = Inside {
            cuda: true,
            ..unknown
        };
        for (inside, image, want) in [
            (unknown, "pytorch/pytorch:2.6", &all[..]),
            (unknown, "nvcr.io/nvidia/pytorch:25.01-py3", &all),
            (unknown, "vllm/vllm-openai:latest", &all),
            (unknown, "nvidia/cuda:12.4.1-base", &gpu),
            (unknown, "ollama/ollama", &gpu),
            (unknown, "postgres:17", &none),
            (config, "team/thing", &gpu),
            // Whatever it is called.
            (empty, "my-train:1", &none),
            (torch, "postgres", &all),
            (cuda, "pytorch-docs", &gpu),
        ] {
            assert_eq!(words(&training(inside, image)), want, "{image} {inside:?}");
        }
        let offers = training(torch, "x");
        assert!(offers[1].why.starts_with("torch is in the image"));
    }
}
