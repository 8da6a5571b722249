//! MW401 to MW404: whether a GPU gets in at all, and what a launch adds.

use crate::verdict::facts::Injection;
use crate::verdict::finding::{Finding, Severity};

use super::{Case, Findings};

/// MW401: the engine cannot give GPUs. An image that asks for none runs there all the same.
pub fn no_gpu_runtime(case: &Case<'_>, out: &mut Findings) {
    let Some(proof) = &case.host.no_gpu_runtime else {
        return;
    };
    if case.has_cuda() || case.asks_for_a_gpu() {
        out.add(
            Finding::new(401, Severity::Error, "this engine cannot give GPUs to containers")
                .because(proof.clone())
                .try_this("install the NVIDIA Container Toolkit, then `sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker`"),
        );
    }
}

/// MW402: the environment asks for no GPU, and nothing else grants one.
pub fn devices_void(case: &Case<'_>, out: &mut Findings) {
    let Some(value) = case.image.env("NVIDIA_VISIBLE_DEVICES") else {
        return;
    };
    if !case.may_use_cuda() {
        return;
    }
    let granted = case.host.launch.as_ref().is_some_and(|l| l.grants_gpus);
    if granted || !matches!(value, "" | "void" | "none") {
        return;
    }
    if value == "void" && matches!(case.host.injection, Injection::Cdi | Injection::JitCdi) {
        return;
    }
    let seen = if value == "none" {
        "the driver's libraries get in, and no GPU"
    } else {
        "nothing of the driver gets in: CUDA ends in error 35"
    };
    out.add(
        Finding::new(
            402,
            Severity::Warning,
            format!("NVIDIA_VISIBLE_DEVICES={value} asks for no GPU"),
        )
        .because(seen)
        .try_this("start it with `--gpus all` or `-e NVIDIA_VISIBLE_DEVICES=all`"),
    );
}

/// MW403: the capabilities leave compute out.
pub fn capabilities_lack_compute(case: &Case<'_>, out: &mut Findings) {
    // Unset and empty: `utility,compute`, and all for a legacy image.
    let Some(value) = case.image.env("NVIDIA_DRIVER_CAPABILITIES") else {
        return;
    };
    if !case.may_use_cuda() {
        return;
    }
    let compute = value
        .split(',')
        .any(|c| matches!(c.trim(), "compute" | "all"));
    if compute || value.is_empty() {
        return;
    }
    let finding = |severity| {
        Finding::new(
            403,
            severity,
            format!("NVIDIA_DRIVER_CAPABILITIES={value} lacks compute"),
        )
        .try_this("start it with `-e NVIDIA_DRIVER_CAPABILITIES=compute,utility`")
    };
    match case.host.injection {
        Injection::Legacy => out.add(
            finding(Severity::Error)
                .because("libcuda is not put into the container: CUDA ends in error 35"),
        ),
        Injection::Cdi | Injection::JitCdi => {
            out.add(
                finding(Severity::Info)
                    .because("CDI puts in all that its specification lists, whatever this says"),
            );
        }
        _ => out.lacks(
            "how this host injects GPUs, which decides whether NVIDIA_DRIVER_CAPABILITIES counts",
        ),
    }
}

/// MW404: data loaders in 64 MiB of shared memory.
pub fn small_shm(case: &Case<'_>, out: &mut Findings) {
    const DEFAULT: u64 = 64 << 20;
    let Some(launch) = &case.host.launch else {
        return;
    };
    let small = launch.shm_bytes.filter(|bytes| *bytes <= DEFAULT);
    let loader = case
        .image
        .frameworks
        .iter()
        .find(|f| f.uses_shm && f.on_path != Some(false));
    if let (Some(bytes), Some(framework)) = (small, loader) {
        out.add(
            Finding::new(404, Severity::Warning, format!("/dev/shm is {} MiB, and {} shares batches between its workers there", bytes >> 20, framework.name))
                .because("a data-loader worker dies with `Bus error` or `unable to write to file </torch_…>`")
                .try_this("add `--shm-size=8g`, or `--ipc=host`"),
        );
    }
}
