//! The grammar of `NVIDIA_REQUIRE_*`: any text, for a host that is known in part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midwatch::verdict::Version;
use midwatch::verdict::require::{Fact, GpuTerms, HostTerms, evaluate, requirements};

fuzz_target!(|text: &str| {
    let found = requirements([
        ("NVIDIA_REQUIRE_CUDA", text),
        ("NVIDIA_REQUIRE_OTHER", text),
        ("CUDA_VERSION", text),
        ("NVIDIA_DISABLE_REQUIRE", text),
    ]);
    let version = Version::from_pair(12, 4);
    let gpus = [
        GpuTerms {
            arch: Fact::Known(&version),
            brand: Fact::Known("tesla"),
        },
        GpuTerms {
            arch: Fact::CountsAsTrue,
            brand: Fact::Unknown,
        },
    ];
    for gpus in [&gpus[..], &gpus[..1], &[]] {
        let host = HostTerms {
            cuda: Fact::Known(&version),
            driver: Fact::Unknown,
            gpus,
        };
        for (_, value) in &found.predicates {
            let _ = evaluate(value, &host);
        }
    }
});
