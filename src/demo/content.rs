//! What is in the simulated images: real archives with real ELF libraries, made when they are asked for.
//!
//! The story, on 4x H100 under R550 (CUDA 12.4): what was built for 12.4 runs, what was built for a newer
//! 12.x runs by minor-version compatibility, what was built for 13 does not; some have no CUDA at all.
//! Device code as in the wheels of those versions.

use super::elf::{Code, Library};
use super::tar::Tar;

/// What an image begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// glibc 2.35.
    Ubuntu22,
    /// glibc 2.39.
    Ubuntu24,
    /// glibc 2.36.
    Debian12,
    /// musl 1.2.5.
    Alpine,
    /// Static programs alone.
    Busybox,
}

/// A Python with its packages.
#[derive(Debug, Clone, Copy)]
struct Python {
    prefix: &'static str,
    /// `3.12`.
    version: &'static str,
    /// `site-packages`, or `dist-packages` for Debian's own.
    site: &'static str,
    conda: bool,
}

/// A build of PyTorch.
#[derive(Debug, Clone, Copy)]
struct Torch {
    /// Without the local part.
    version: &'static str,
    /// `cu124`; none: for the CPU.
    local: &'static str,
    cuda: Option<&'static str>,
    /// Version of the runtime's wheel.
    runtime: &'static str,
    code: Code<'static>,
}

const CONDA_311: Python = Python {
    prefix: "opt/conda",
    version: "3.11",
    site: "site-packages",
    conda: true,
};
const CONDA_312: Python = Python {
    version: "3.12",
    ..CONDA_311
};
const CONDA_313: Python = Python {
    version: "3.13",
    ..CONDA_311
};
const DOCKER_312: Python = Python {
    prefix: "usr/local",
    version: "3.12",
    site: "site-packages",
    conda: false,
};
const UBUNTU_312: Python = Python {
    site: "dist-packages",
    ..DOCKER_312
};

const NO_PTX: &[(&str, (u16, u16))] = &[];
const TO_HOPPER: Code<'_> = Code {
    sass: &["50", "60", "70", "75", "80", "86", "90"],
    ptx: NO_PTX,
};
const TORCH_26: Torch = Torch {
    version: "2.6.0",
    local: "cu124",
    cuda: Some("12.4"),
    runtime: "12.4.127",
    code: TO_HOPPER,
};
const TORCH_27_CU126: Torch = Torch {
    version: "2.7.1",
    local: "cu126",
    cuda: Some("12.6"),
    runtime: "12.6.77",
    code: TO_HOPPER,
};
const TORCH_27: Torch = Torch {
    version: "2.7.0",
    local: "cu128",
    cuda: Some("12.8"),
    runtime: "12.8.57",
    code: Code {
        sass: &["75", "80", "86", "90", "100", "120"],
        ptx: &[("120", (8, 7))],
    },
};
const TORCH_28: Torch = Torch {
    version: "2.8.0",
    local: "cu128",
    cuda: Some("12.8"),
    runtime: "12.8.90",
    code: Code {
        sass: &["70", "75", "80", "86", "90", "100", "120"],
        ptx: NO_PTX,
    },
};
const TORCH_29: Torch = Torch {
    version: "2.9.0",
    local: "cu130",
    cuda: Some("13.0"),
    runtime: "13.0.48",
    code: Code {
        sass: &["75", "80", "86", "90", "100", "120"],
        ptx: NO_PTX,
    },
};
const TORCH_211: Torch = Torch {
    version: "2.11.0",
    runtime: "13.0.96",
    ..TORCH_29
};
const TORCH_CPU: Torch = Torch {
    version: "2.7.1",
    local: "cpu",
    cuda: None,
    runtime: "",
    code: Code {
        sass: &[],
        ptx: NO_PTX,
    },
};

/// The file system of a picture as a tar, by its tag; an unknown one is a plain Debian.
pub fn archive(tag: &str) -> Vec<u8> {
    let mut tar = Tar::new();
    let t = &mut tar;
    let name = tag.split_once(':').map_or(tag, |(name, _)| name);
    match (name, tag) {
        ("my-train", _) => {
            base(t, Base::Ubuntu22);
            cuda(t, "12.4", "12.4.127");
            compat(t, "12.4", "550.54.15", None);
            python(t, CONDA_311);
            torch(t, CONDA_311, TORCH_26);
            t.file("workspace/train.py", b"import torch\n");
        }
        ("vllm" | "vllm/vllm-openai", _) => {
            base(t, Base::Ubuntu22);
            cuda(t, "12.8", "12.8.90");
            python(t, UBUNTU_312);
            torch(t, UBUNTU_312, TORCH_27);
            vllm(t, UBUNTU_312);
        }
        ("quay.io/jupyter/pytorch-notebook", tag) if tag.contains("cuda13") => {
            base(t, Base::Ubuntu24);
            python(t, CONDA_313);
            torch(t, CONDA_313, TORCH_211);
        }
        ("quay.io/jupyter/pytorch-notebook", _) => {
            base(t, Base::Ubuntu24);
            python(t, CONDA_312);
            torch(t, CONDA_312, TORCH_27_CU126);
        }
        ("acme/serve-x", _) => {
            base(t, Base::Debian12);
            python(t, DOCKER_312);
            torch(t, DOCKER_312, TORCH_29);
        }
        ("acme/embed", _) => {
            base(t, Base::Debian12);
            python(t, DOCKER_312);
            torch(t, DOCKER_312, TORCH_CPU);
        }
        ("acme/simulate", _) => {
            base(t, Base::Debian12);
            python(t, DOCKER_312);
            torch(t, DOCKER_312, TORCH_28);
            numba(t, DOCKER_312);
        }
        ("nvidia/cuda", tag) if tag.contains("13.0") => {
            base(t, Base::Ubuntu24);
            cuda(t, "13.0", "13.0.96");
            devel(t, "13.0");
            let note = r#"{"format": 1, "CUDA version": "13.0", "driver": [535, 550, 570, 575, 580], "device": [1, 2, 7, 8, 9, 10, 11, 12, 13, 14]}"#;
            compat(t, "13.0", "580.95.05", Some(note));
        }
        ("nvidia/cuda", _) => {
            base(t, Base::Ubuntu22);
            cuda(t, "12.4", "12.4.127");
            compat(t, "12.4", "550.54.15", None);
        }
        ("nvcr.io/nvidia/k8s/dcgm-exporter", _) => {
            base(t, Base::Ubuntu22);
            library(t, "usr/lib/x86_64-linux-gnu/libdcgm.so.4", &["libc.so.6"]);
            t.file("usr/bin/dcgm-exporter", b"#!/bin/sh\n");
        }
        ("pytorch/pytorch", _) => {
            base(t, Base::Ubuntu22);
            python(t, CONDA_311);
            torch(t, CONDA_311, TORCH_26);
        }
        ("redis" | "grafana/grafana", _) => base(t, Base::Alpine),
        ("prom/prometheus" | "busybox", _) => base(t, Base::Busybox),
        _ => base(t, Base::Debian12),
    }
    tar.finish()
}

fn base(tar: &mut Tar, base: Base) {
    let (release, glibc) = match base {
        Base::Ubuntu22 => (
            "NAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nID=ubuntu\n",
            "Ubuntu GLIBC 2.35-0ubuntu3.10",
        ),
        Base::Ubuntu24 => (
            "NAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nID=ubuntu\n",
            "Ubuntu GLIBC 2.39-0ubuntu8.4",
        ),
        Base::Debian12 => (
            "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n",
            "Debian GLIBC 2.36-9+deb12u10",
        ),
        Base::Alpine => ("NAME=\"Alpine Linux\"\nVERSION_ID=3.21.3\nID=alpine\n", ""),
        Base::Busybox => ("NAME=\"BusyBox\"\nID=busybox\n", ""),
    };
    tar.file("etc/os-release", release.as_bytes());
    tar.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    if base == Base::Alpine {
        library(tar, "lib/ld-musl-x86_64.so.1", &[]);
        tar.link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1");
        tar.file(
            "lib/apk/db/installed",
            b"P:musl\nV:1.2.5-r9\nA:x86_64\n\nP:busybox\nV:1.37.0-r12\nA:x86_64\n\n",
        );
        return;
    }
    tar.file("bin/busybox", b"#!/bin/true\n");
    if base == Base::Busybox {
        return;
    }
    let short = glibc.split(' ').nth(2).unwrap_or_default();
    let upstream = short.split('-').next().unwrap_or_default();
    let banner =
        format!("\0GNU C Library ({glibc}) stable release version {upstream}.\nCopyright (C)\n\0");
    let libc = Library::new("libc.so.6").section(".rodata", banner.into_bytes());
    tar.file("lib/x86_64-linux-gnu/libc.so.6", &libc.build());
    tar.file("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n");
    tar.file(
        "etc/ld.so.conf.d/x86_64-linux-gnu.conf",
        b"/usr/local/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n",
    );
    tar.file(
        "var/lib/dpkg/status",
        format!("Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: {short}\n\n")
            .as_bytes(),
    );
}

fn library(tar: &mut Tar, path: &str, needs: &[&str]) {
    let name = path.rsplit('/').next().unwrap_or(path);
    tar.file(path, &Library::new(name).needs(needs).build());
}

/// The runtime of a toolkit's packages.
fn cuda(tar: &mut Tar, version: &str, runtime: &str) {
    let home = format!("usr/local/cuda-{version}");
    let major = version.split('.').next().unwrap_or(version);
    let folder = format!("{home}/targets/x86_64-linux/lib");
    let file = Library::new(&format!("libcudart.so.{major}")).build();
    tar.file(&format!("{folder}/libcudart.so.{runtime}"), &file);
    tar.link(
        &format!("{folder}/libcudart.so.{major}"),
        &format!("libcudart.so.{runtime}"),
    );
    tar.link(&format!("{home}/lib64"), "targets/x86_64-linux/lib");
    tar.link("usr/local/cuda", &format!("cuda-{version}"));
    tar.file(
        "etc/ld.so.conf.d/000_cuda.conf",
        b"/usr/local/cuda/targets/x86_64-linux/lib\n",
    );
}

/// Compiler and stubs.
fn devel(tar: &mut Tar, version: &str) {
    let home = format!("usr/local/cuda-{version}");
    tar.file(&format!("{home}/bin/nvcc"), b"#!/bin/sh\n");
    let folder = format!("{home}/targets/x86_64-linux/lib");
    tar.file(
        &format!("{folder}/stubs/libcuda.so"),
        &Library::new("libcuda.so.1").build(),
    );
    tar.file(
        &format!("{home}/version.json"),
        format!("{{\"cuda\": {{\"name\": \"CUDA SDK\", \"version\": \"{version}.2\"}}}}\n")
            .as_bytes(),
    );
}

/// The forward-compatibility package.
fn compat(tar: &mut Tar, version: &str, driver: &str, note: Option<&str>) {
    let folder = format!("usr/local/cuda-{version}/compat");
    let mut file = Library::new("libcuda.so.1");
    if let Some(note) = note {
        file = file.compat_note(note);
    }
    tar.file(&format!("{folder}/libcuda.so.{driver}"), &file.build());
    tar.link(
        &format!("{folder}/libcuda.so.1"),
        &format!("libcuda.so.{driver}"),
    );
    tar.link(&format!("{folder}/libcuda.so"), "libcuda.so.1");
}

fn python(tar: &mut Tar, python: Python) {
    let Python {
        prefix, version, ..
    } = python;
    // Debian's own interpreter is not where its administrator's packages are.
    let bin = match python.site {
        "dist-packages" => "usr/bin".to_owned(),
        _ => format!("{prefix}/bin"),
    };
    tar.file(&format!("{bin}/python{version}"), b"#!/bin/true\n");
    tar.link(&format!("{bin}/python3"), &format!("python{version}"));
    tar.link(&format!("{bin}/python"), "python3");
    if python.conda {
        let record = format!("{prefix}/conda-meta/python-{version}.11-h9e4cc4f_0_cpython.json");
        let text = format!("{{\"name\": \"python\", \"version\": \"{version}.11\"}}\n");
        tar.file(&record, text.as_bytes());
    }
}

fn site(python: Python) -> String {
    format!(
        "{}/lib/python{}/{}",
        python.prefix, python.version, python.site
    )
}

/// A package's record.
fn record(tar: &mut Tar, site: &str, name: &str, version: &str) {
    let title = name.replace('_', "-");
    let path = format!("{site}/{name}-{version}.dist-info");
    let text = format!("Metadata-Version: 2.1\nName: {title}\nVersion: {version}\n");
    tar.file(&format!("{path}/METADATA"), text.as_bytes());
}

fn torch(tar: &mut Tar, python: Python, torch: Torch) {
    let site = site(python);
    let local = format!("{}+{}", torch.version, torch.local);
    record(tar, &site, "torch", &local);
    let cuda = torch
        .cuda
        .map_or_else(|| "None".to_owned(), |version| format!("'{version}'"));
    let text = format!(
        "from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'xpu']\n\
         __version__ = '{local}'\ndebug = False\ncuda: Optional[str] = {cuda}\n\
         git_version = '1eba9b3aa3c43f86f4a2c807ac8e12c4a7767340'\nhip: Optional[str] = None\n\
         xpu: Optional[str] = None\n"
    );
    tar.file(&format!("{site}/torch/version.py"), text.as_bytes());
    let lib = format!("{site}/torch/lib");
    library(tar, &format!("{lib}/libc10.so"), &["libc.so.6"]);
    library(
        tar,
        &format!("{lib}/libtorch_cpu.so"),
        &["libc10.so", "libc.so.6"],
    );
    let Some(version) = torch.cuda else {
        return;
    };
    let new = version.starts_with("13");
    let (runtime, others, runpath) = if new {
        (
            13,
            CUDA_13,
            "$ORIGIN/../../nvidia/cudnn/lib:$ORIGIN/../../nvidia/nccl/lib:$ORIGIN/../../nvidia/cu13/lib",
        )
    } else {
        (
            12,
            CUDA_12,
            "$ORIGIN/../../nvidia/cublas/lib:$ORIGIN/../../nvidia/cuda_runtime/lib:$ORIGIN/../../nvidia/cudnn/lib:$ORIGIN/../../nvidia/nccl/lib:$ORIGIN/../../nvidia/cufft/lib:$ORIGIN/../../nvidia/cusparse/lib",
        )
    };
    let cudart = format!("libcudart.so.{runtime}");
    let mut needs: Vec<&str> = others.iter().map(|(_, name)| *name).collect();
    needs.extend([
        cudart.as_str(),
        "libc10_cuda.so",
        "libtorch_cpu.so",
        "libc10.so",
    ]);
    let main = Library::new("libtorch_cuda.so")
        .needs(&needs)
        .runpath(runpath)
        .code(torch.code, 40);
    tar.file(&format!("{lib}/libtorch_cuda.so"), &main.build());
    let linear = Library::new("libtorch_cuda_linalg.so")
        .needs(&["libtorch_cuda.so", &cudart])
        .code(torch.code, 6);
    tar.file(&format!("{lib}/libtorch_cuda_linalg.so"), &linear.build());
    library(tar, &format!("{lib}/libc10_cuda.so"), &[&cudart]);
    for (folder, name) in others {
        library(tar, &format!("{site}/nvidia/{folder}/lib/{name}"), &[]);
    }
    let (folder, package) = if new {
        record(tar, &site, "cuda_toolkit", "13.0.2");
        ("cu13", "nvidia_cuda_runtime".to_owned())
    } else {
        ("cuda_runtime", format!("nvidia_cuda_runtime_cu{runtime}"))
    };
    library(tar, &format!("{site}/nvidia/{folder}/lib/{cudart}"), &[]);
    record(tar, &site, &package, torch.runtime);
    record(
        tar,
        &site,
        &format!("nvidia_cudnn_cu{runtime}"),
        "9.10.2.21",
    );
    record(tar, &site, &format!("nvidia_nccl_cu{runtime}"), "2.26.2");
    record(tar, &site, "triton", "3.3.0");
}

/// What torch needs besides the runtime: folder and name.
const CUDA_12: &[(&str, &str)] = &[
    ("cublas", "libcublas.so.12"),
    ("cublas", "libcublasLt.so.12"),
    ("cudnn", "libcudnn.so.9"),
    ("nccl", "libnccl.so.2"),
    ("cufft", "libcufft.so.11"),
    ("cusparse", "libcusparse.so.12"),
];
const CUDA_13: &[(&str, &str)] = &[
    ("cu13", "libcublas.so.13"),
    ("cu13", "libcublasLt.so.13"),
    ("cudnn", "libcudnn.so.9"),
    ("nccl", "libnccl.so.2"),
    ("cu13", "libcufft.so.12"),
    ("cu13", "libcusparse.so.12"),
];

fn vllm(tar: &mut Tar, python: Python) {
    let site = site(python);
    record(tar, &site, "vllm", "0.9.2");
    for (path, sass) in [
        (
            "vllm/_C.abi3.so",
            &["75", "80", "86", "89", "90", "100", "120"][..],
        ),
        (
            "vllm/_moe_C.abi3.so",
            &["75", "80", "86", "89", "90", "100", "120"],
        ),
        (
            "vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so",
            &["80", "86", "89", "90"],
        ),
        ("vllm/vllm_flash_attn/_vllm_fa3_C.abi3.so", &["80", "90a"]),
    ] {
        let name = path.rsplit('/').next().unwrap_or(path);
        let file = Library::new(name)
            .needs(&["libtorch_cuda.so", "libcudart.so.12"])
            .code(Code { sass, ptx: NO_PTX }, 8);
        tar.file(&format!("{site}/{path}"), &file.build());
    }
}

/// Compiles PTX when a program runs, with what NVVM gives it.
fn numba(tar: &mut Tar, python: Python) {
    let site = site(python);
    record(tar, &site, "numba", "0.61.2");
    tar.file(&format!("{site}/numba/__init__.py"), b"");
    record(tar, &site, "nvidia_cuda_nvcc_cu12", "12.8.93");
    library(
        tar,
        &format!("{site}/nvidia/cuda_nvcc/nvvm/lib64/libnvvm.so"),
        &[],
    );
}
