//! Frameworks in the layouts of their wheels and images.

use super::{Image, SITE, line};
use crate::inspect::elf::ElfFacts;

const TORCH: &[&str] = &[
    "libcudart.so.12",
    "libcudnn.so.9",
    "libcuda.so.1",
    "libc10_cuda.so",
];

fn version_py(version: &str, cuda: &str, hip: &str) -> String {
    format!(
        "from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']\n\
         __version__ = '{version}'\ndebug = False\ncuda: Optional[str] = {cuda}\n\
         git_version = 'abc'\nhip: Optional[str] = {hip}\n"
    )
}

fn torch(image: Image, version: &str, cuda: &str, hip: &str) -> Image {
    image.text(
        &format!("{SITE}/torch/version.py"),
        &version_py(version, cuda, hip),
    )
}

fn in_site(path: &str) -> String {
    format!("{SITE}/{path}")
}

/// Torch 2.6 of PyPI with all that it needs.
fn pypi_torch() -> Image {
    torch(Image::python(), "2.6.0+cu124", "'12.4'", "None")
        .dists(
            SITE,
            &[
                "torch-2.6.0",
                "nvidia_cuda_runtime_cu12-12.4.127",
                "nvidia_cudnn_cu12-9.1.0.70",
                "triton-3.2.0",
            ],
        )
        .cuda(&in_site("torch/lib/libtorch_cuda.so"), TORCH)
        .cuda(
            &in_site("torch/lib/libtorch_cuda_linalg.so"),
            &["libcudart.so.12"],
        )
        .file(&in_site("nvidia/cuda_runtime/lib/libcudart.so.12"))
        .cuda(&in_site("nvidia/cudnn/lib/libcudnn.so.9"), &[])
        .cuda(&in_site("nvidia/cudnn/lib/libcudnn_ops.so.9"), &[])
}

#[test]
fn torch_in_every_layout() {
    let facts = pypi_torch().facts();
    let lines: Vec<String> = facts.frameworks.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "torch 2.6.0+cu124: CUDA 12.4, on path",
            "triton 3.2.0: unknown, on path"
        ]
    );
    let found = &facts.frameworks[0];
    assert_eq!(
        found.library,
        Some(format!("/{SITE}/torch/lib/libtorch_cuda.so"))
    );
    assert_eq!(found.libraries.len(), 2);
    assert_eq!(
        found.evidence,
        format!("/{SITE}/torch/version.py: cuda = '12.4'")
    );
    assert_eq!(facts.cudnn.as_deref(), Some("9.1.0.70"));
    assert_eq!(facts.runtimes[0].version.to_string(), "12.4.127");
    assert!(
        facts.runtimes[0]
            .evidence
            .ends_with("nvidia_cuda_runtime_cu12-12.4.127.dist-info")
    );

    // aarch64 of 2.6 on PyPI: no `+cpu`, but no CUDA either.
    for version in ["2.6.0+cpu", "2.6.0"] {
        let cpu = torch(Image::python(), version, "None", "None").dist(SITE, "torch-2.6.0");
        assert_eq!(cpu.lines(), [format!("torch {version}: CPU, on path")]);
    }
    let rocm = torch(Image::python(), "2.6.0+rocm6.2", "None", "'6.2.41133'").elf(
        &in_site("torch/lib/libtorch_hip.so"),
        ElfFacts {
            hip: true,
            ..ElfFacts::default()
        },
    );
    assert_eq!(
        rocm.lines(),
        ["torch 2.6.0+rocm6.2: ROCm 6.2.41133, on path"]
    );
    // NGC: CUDA of /usr/local and dpkg.
    let ngc = torch(
        Image::python(),
        "2.6.0a0+ecf3bae40a.nv25.01",
        "'12.8'",
        "None",
    )
    .cuda(&in_site("torch/lib/libtorch_cuda.so"), TORCH)
    .package("cuda-cudart-12-8", "12.8.57-1")
    .file("usr/local/cuda-12.8/targets/x86_64-linux/lib/libcudart.so.12.8.57")
    .link(
        "usr/local/cuda-12.8/targets/x86_64-linux/lib/libcudart.so.12",
        "libcudart.so.12.8.57",
    )
    .file("usr/lib/x86_64-linux-gnu/libcudnn.so.9.7.0")
    .link(
        "usr/lib/x86_64-linux-gnu/libcudnn.so.9",
        "libcudnn.so.9.7.0",
    )
    .facts();
    assert_eq!(
        line(&ngc.frameworks[0]),
        "torch 2.6.0a0+ecf3bae40a.nv25.01: CUDA 12.8, on path"
    );
    assert_eq!(ngc.cudnn.as_deref(), Some("9.7.0"));
    // Old wheels carry everything in torch/lib, under names of their own; cuDNN there is not torch's.
    let old = torch(Image::python(), "1.12.1+cu116", "'11.6'", "None")
        .cuda(
            &in_site("torch/lib/libtorch_cuda_cu.so"),
            &["libcudart-1a2b3c4d.so.11.0"],
        )
        .cuda(
            &in_site("torch/lib/libtorch_cuda_cpp.so"),
            &["libcudart-1a2b3c4d.so.11.0"],
        )
        .cuda(&in_site("torch/lib/libcudnn_ops_infer.so.8"), &[])
        .file(&in_site("torch/lib/libcudart-1a2b3c4d.so.11.0"))
        .facts();
    assert_eq!(
        line(&old.frameworks[0]),
        "torch 1.12.1+cu116: CUDA 11.6, on path"
    );
    assert_eq!(old.frameworks.len(), 1);
    assert_eq!(old.frameworks[0].libraries.len(), 2);
    assert_eq!(old.runtimes[0].version.to_string(), "11.6");
    // A CUDA build whose library was left out.
    let bare = torch(Image::python(), "2.6.0+cu124", "'12.4'", "None");
    assert_eq!(
        bare.lines(),
        ["torch 2.6.0+cu124: CUDA 12.4, on path; lacks libtorch_cuda.so"]
    );
}

#[test]
fn torch_of_conda_and_conda_forge() {
    let site = "opt/conda/lib/python3.11/site-packages";
    let base = || {
        Image::new()
            .env("PATH", "/opt/conda/bin:/usr/bin")
            .file("opt/conda/bin/python3.11")
            .link("opt/conda/bin/python", "python3.11")
            .text(
                &format!("{site}/torch/version.py"),
                &version_py("2.5.1", "'12.6'", "None"),
            )
            .files(&[
                "opt/conda/conda-meta/pytorch-2.5.1-cuda126_generic_py311_h1_200.json",
                "opt/conda/conda-meta/cuda-cudart-12.6.77-h5888daf_0.json",
                "opt/conda/conda-meta/cudnn-9.3.0.75-hc149ed5_0.json",
                "opt/conda/lib/libcudart.so.12.6.77",
                "opt/conda/lib/libcudnn.so.9.3.0",
            ])
            .link("opt/conda/lib/libcudart.so.12", "libcudart.so.12.6.77")
            .link("opt/conda/lib/libcudnn.so.9", "libcudnn.so.9.3.0")
            // What a package cache has counts once.
            .cuda(
                "opt/conda/pkgs/libtorch-2.5.1-h1/lib/libtorch_cuda.so",
                TORCH,
            )
            .file("opt/conda/pkgs/cuda-cudart-12.1/lib/libcudart.so.12.1.105")
            .text(
                "opt/conda/pkgs/p/lib/python3.11/site-packages/torch/version.py",
                "__version__ = '1'\n",
            )
    };
    let expected = ["torch 2.5.1: CUDA 12.6, on path"];
    // Linked from torch/lib, and found beside where it is not.
    let linked = base().cuda("opt/conda/lib/libtorch_cuda.so", TORCH).link(
        &format!("{site}/torch/lib/libtorch_cuda.so"),
        "../../../../libtorch_cuda.so",
    );
    assert_eq!(linked.lines(), expected);
    let beside = base().cuda("opt/conda/lib/libtorch_cuda.so", TORCH).facts();
    assert_eq!(
        beside.frameworks.iter().map(line).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(beside.libraries.len(), 1);
    assert_eq!(beside.runtimes.len(), 1);
    assert_eq!(beside.cudnn.as_deref(), Some("9.3.0"));
    // The environment's file is a second name of the cache's.
    let hard = base()
        .link(
            &format!("{site}/torch/lib/libtorch_cuda.so"),
            "/opt/conda/pkgs/libtorch-2.5.1-h1/lib/libtorch_cuda.so",
        )
        .facts();
    assert_eq!(
        hard.frameworks.iter().map(line).collect::<Vec<_>>(),
        expected
    );
    assert!(
        hard.library(hard.frameworks[0].library.as_deref().unwrap())
            .is_some()
    );
}

#[test]
fn tensorflow_says_itself_what_it_is() {
    let ordered = "import collections\n\nbuild_info = collections.OrderedDict([('cpu_compiler', '/usr/lib/llvm-18/bin/clang'), \
        ('cuda_compute_capabilities', ['sm_60', 'sm_70', 'compute_90']), ('cuda_version', '12.5.1'), ('cudnn_version', '9'), \
        ('is_cuda_build', True), ('is_rocm_build', False), ('is_tensorrt_build', True)])\n";
    let older = ordered.replace("'12.5.1'", "'12.3'").replace("'9'", "'8'");
    let dictionary = "build_info = {'cuda_version': u'11.2', 'cudnn_version': u'8', 'is_cuda_build': True, 'is_rocm_build': False}\n";
    let pairs = "build_info = {\n    \"cuda_version\": \"10.1\",\n    \"is_cuda_build\": True,\n    \"is_rocm_build\": False,\n}\n";
    let cpu = "build_info = collections.OrderedDict([('is_cuda_build', False), ('is_rocm_build', False)])\n";
    let rocm = "build_info = collections.OrderedDict([('is_cuda_build', False), ('is_rocm_build', True), ('rocm_version', '6.0')])\n";
    for (dist, text, expected) in [
        (
            "tensorflow-2.21.0",
            ordered,
            "tensorflow 2.21.0: CUDA 12.5, on path; lacks libcublas.so.12 libcufft.so.11 libcusolver.so.11 libcusparse.so.12 libcudnn.so.9",
        ),
        (
            "tensorflow-2.16.1",
            older.as_str(),
            "tensorflow 2.16.1: CUDA 12.3, on path; lacks libcublas.so.12 libcufft.so.11 libcusolver.so.11 libcusparse.so.12 libcudnn.so.8",
        ),
        (
            "tensorflow-2.10.0",
            dictionary,
            "tensorflow 2.10.0: CUDA 11.2, on path; lacks libcublas.so.11 libcufft.so.10 libcusparse.so.11 libcudnn.so.8",
        ),
        (
            "tensorflow_gpu-2.3.0",
            pairs,
            "tensorflow 2.3.0: CUDA 10.1, on path",
        ),
        (
            "tensorflow_cpu-2.21.0",
            cpu,
            "tensorflow 2.21.0: CPU, on path",
        ),
        (
            "tensorflow_rocm-2.14.0",
            rocm,
            "tensorflow 2.14.0: ROCm 6.0, on path",
        ),
    ] {
        let image = Image::python()
            .dist(SITE, dist)
            .text(&in_site("tensorflow/python/platform/build_info.py"), text)
            .fixed(&in_site("tensorflow/libtensorflow_cc.so.2"), (8, 3));
        assert_eq!(image.lines(), [expected]);
    }
    let bare = Image::python().dist(SITE, "tensorflow_cpu-2.16.1");
    assert_eq!(bare.lines(), ["tensorflow 2.16.1: CPU, on path"]);
}

#[test]
fn jax_is_what_its_plugin_is() {
    let twelve = [
        "libcublas.so.12",
        "libcudnn.so.9",
        "libcufft.so.11",
        "libcusolver.so.11",
        "libcusparse.so.12",
    ];
    let all = |image: Image| {
        let libraries =
            twelve
                .iter()
                .chain(&["libcublas.so.13", "libcufft.so.12", "libcusolver.so.12"]);
        libraries.fold(image, |image, name| {
            image.file(&in_site(&format!("nvidia/x/lib/{name}")))
        })
    };
    let base = |version: &str| {
        all(Image::python()).dists(
            SITE,
            &[&format!("jax-{version}"), &format!("jaxlib-{version}")],
        )
    };
    let plugin = |major: u32, isa: (u32, u32)| {
        base("0.10.2")
            .dists(
                SITE,
                &[
                    &format!("jax_cuda{major}_plugin-0.10.2"),
                    &format!("jax_cuda{major}_pjrt-0.10.2"),
                ],
            )
            .fixed(
                &in_site(&format!("jax_plugins/xla_cuda{major}/xla_cuda_plugin.so")),
                isa,
            )
            .fixed(&in_site(&format!("jax_cuda{major}_plugin/_linalg.so")), isa)
    };
    let found = plugin(12, (8, 8)).facts();
    assert_eq!(line(&found.frameworks[0]), "jax 0.10.2: CUDA 12.9, on path");
    assert!(
        found.frameworks[0]
            .library
            .as_deref()
            .unwrap()
            .ends_with("xla_cuda_plugin.so")
    );
    assert!(
        found.frameworks[0]
            .evidence
            .ends_with("jax_cuda12_plugin-0.10.2.dist-info")
    );
    assert_eq!(
        plugin(13, (9, 0)).lines(),
        ["jax 0.10.2: CUDA 13.0, on path"]
    );
    // The plugin's name decides about the major.
    assert_eq!(
        plugin(13, (8, 8)).lines(),
        ["jax 0.10.2: CUDA 13.0, on path"]
    );
    assert_eq!(base("0.10.2").lines(), ["jax 0.10.2: CPU, on path"]);
    let bare = Image::python().dists(
        SITE,
        &["jax-0.10.2", "jaxlib-0.10.2", "jax_cuda12_plugin-0.10.2"],
    );
    assert_eq!(
        bare.lines(),
        [format!(
            "jax 0.10.2: CUDA 12.0, on path; lacks {}",
            twelve.join(" ")
        )]
    );
    for (local, expected) in [
        ("cuda12.cudnn89", "12.3"),
        ("cuda118", "11.8"),
        ("cuda11.cudnn86", "11.0"),
    ] {
        let old = all(Image::python())
            .dist(SITE, &format!("jaxlib-0.4.23+{local}"))
            .fixed(&in_site("jaxlib/xla_extension.so"), (8, 3));
        assert_eq!(
            old.lines(),
            [format!("jax 0.4.23+{local}: CUDA {expected}, on path")]
        );
    }
}

#[test]
fn other_known_packages() {
    let runtime = |image: Image| {
        image
            .dist(SITE, "nvidia_cuda_runtime_cu12-12.8.90")
            .file(&in_site("nvidia/cuda_runtime/lib/libcudart.so.12"))
    };
    let needs = &["libcudart.so.12", "libcuda.so.1"];
    for (what, image, expected) in [
        (
            "cupy",
            Image::python().dist(SITE, "cupy_cuda12x-14.2.0").fixed(&in_site("cupy/cuda/thrust.cpython-311.so"), (8, 8)),
            "cupy 14.2.0: CUDA 12.9, on path",
        ),
        (
            "cupy without PTX",
            Image::python().dist(SITE, "cupy_cuda11x-13.0.0").cuda(&in_site("cupy/cuda/thrust.so"), &[]),
            "cupy 13.0.0: CUDA 11.0, on path",
        ),
        (
            "vllm of another CUDA",
            runtime(Image::python()).dist(SITE, "vllm-0.11.0+cu129").cuda(&in_site("vllm/_C.abi3.so"), needs),
            "vllm 0.11.0+cu129: CUDA 12.9, on path",
        ),
        (
            "vllm",
            runtime(Image::python()).dist(SITE, "vllm-0.11.0").cuda(&in_site("vllm/_C.abi3.so"), needs),
            "vllm 0.11.0: CUDA 12.8, on path",
        ),
        (
            "flash-attn",
            runtime(Image::python())
                .dist(SITE, "flash_attn-2.8.3+cu12torch2.7cxx11abiTRUE")
                .cuda(&in_site("flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so"), needs),
            "flash-attn 2.8.3+cu12torch2.7cxx11abiTRUE: CUDA 12.8, on path",
        ),
        (
            "xgboost: static, so PTX tells at least which",
            Image::python().dist(SITE, "xgboost-3.0.0").fixed(&in_site("xgboost/lib/libxgboost.so"), (8, 7)),
            "xgboost 3.0.0: CUDA 12.8, on path",
        ),
        (
            "ctranslate2",
            Image::python().dist(SITE, "ctranslate2-4.8.5").fixed(&in_site("ctranslate2.libs/libctranslate2-a7a60d30.so.4.8.5"), (8, 7)),
            "ctranslate2 4.8.5: CUDA 12.8, on path; lacks libcublas.so.12",
        ),
        (
            "onnxruntime",
            Image::python().dist(SITE, "onnxruntime-1.31.1"),
            "onnxruntime 1.31.1: CPU, on path",
        ),
        (
            "onnxruntime-gpu without cuDNN",
            runtime(Image::python())
                .dist(SITE, "onnxruntime_gpu-1.20.0")
                .text(&in_site("onnxruntime/capi/build_and_package_info.py"), "package_name = 'onnxruntime-gpu'\n__version__ = '1.20.0'\ncuda_version = '12.4'\n")
                .cuda(&in_site("onnxruntime/capi/libonnxruntime_providers_cuda.so"), needs),
            "onnxruntime 1.20.0: CUDA 12.4, on path; lacks libcudnn.so.9",
        ),
        (
            "onnxruntime-gpu with an older cuDNN",
            runtime(Image::python())
                .dist(SITE, "onnxruntime_gpu-1.17.0")
                .file(&in_site("nvidia/cudnn/lib/libcudnn.so.8"))
                .cuda(&in_site("onnxruntime/capi/libonnxruntime_providers_cuda.so"), needs),
            "onnxruntime 1.17.0: CUDA 12.8, on path",
        ),
        ("numba without NVVM", Image::python().dist(SITE, "numba-0.61.0"), "numba 0.61.0: unknown, on path"),
        (
            "numba with the toolkit's NVVM",
            Image::python().dist(SITE, "numba-0.61.0").file("usr/local/cuda-12.4/nvvm/lib64/libnvvm.so.4.0.0"),
            "numba 0.61.0: unknown, on path, jits",
        ),
        (
            "numba with NVVM of pip",
            Image::python().dist(SITE, "numba-0.61.0").file(&in_site("nvidia/cuda_nvcc/nvvm/lib64/libnvvm.so")),
            "numba 0.61.0: unknown, on path, jits",
        ),
        (
            "a package that nobody knows",
            runtime(Image::python())
                .dist(SITE, "deep_thing-1.0")
                .cuda(&in_site("deep_thing/_C.so"), needs)
                .cuda(&in_site("deep_thing.libs/libmore-1a.so"), needs),
            "deep_thing 1.0: CUDA 12.8, on path",
        ),
        (
            "a known one whose record was removed",
            Image::python().fixed(&in_site("xgboost/lib/libxgboost.so"), (8, 7)),
            "xgboost -: CUDA 12.8, on path",
        ),
    ] {
        assert_eq!(image.lines(), [expected], "{what}");
    }
}

#[test]
fn bitsandbytes_takes_the_build_that_equals_torchs() {
    let builds = |image: Image| {
        ["118", "124", "128", "130"]
            .iter()
            .fold(image, |image, cuda| {
                image.cuda(
                    &in_site(&format!("bitsandbytes/libbitsandbytes_cuda{cuda}.so")),
                    &[],
                )
            })
    };
    let alone = builds(Image::python()).dist(SITE, "bitsandbytes-0.50.2");
    assert_eq!(
        alone.lines(),
        ["bitsandbytes 0.50.2: CUDA of 11.8 12.4 12.8 13.0, on path"]
    );
    let with = |version: &str, cuda: &str| {
        let image = builds(Image::python()).dist(SITE, "bitsandbytes-0.50.2");
        let facts = torch(image, version, cuda, "None")
            .cuda(&in_site("torch/lib/libtorch_cuda.so"), &[])
            .facts();
        assert_eq!(
            facts.frameworks.len(),
            2,
            "builds that are not taken are no frameworks"
        );
        let found = facts
            .frameworks
            .iter()
            .find(|f| f.name == "bitsandbytes")
            .unwrap()
            .clone();
        (line(&found), found.library.unwrap_or_default())
    };
    let (said, library) = with("2.8.0+cu128", "'12.8'");
    assert_eq!(said, "bitsandbytes 0.50.2: CUDA 12.8, on path");
    assert!(library.ends_with("cuda128.so"));
    let (said, library) = with("2.9.0+cu129", "'12.9'");
    assert_eq!(
        said,
        "bitsandbytes 0.50.2: CUDA 12.9, on path; lacks libbitsandbytes_cuda129.so"
    );
    assert_eq!(library, "");
    assert_eq!(
        with("2.9.0+cpu", "None").0,
        "bitsandbytes 0.50.2: CPU, on path"
    );
}

#[test]
fn programs_outside_of_python() {
    let ollama = |folder: &str, major: u32| {
        (
            format!("usr/lib/ollama/{folder}/libggml-cuda.so"),
            format!("libcudart.so.{major}"),
        )
    };
    let mut image = Image::new()
        .file("usr/lib/ollama/cuda_v12/libcudart.so.12.8.90")
        .file("usr/lib/ollama/cuda_v13/libcudart.so.13.0.96")
        .cuda("usr/lib/ollama/cuda_v12/libcublasLt.so.12.8.4.1", &[]);
    for (path, runtime) in [ollama("cuda_v12", 12), ollama("cuda_v13", 13)] {
        image = image.cuda(&path, &[&runtime]);
    }
    let facts = image.facts();
    assert_eq!(
        facts.frameworks.iter().map(line).collect::<Vec<_>>(),
        ["ollama -: CUDA of 12.8 13.0"]
    );
    assert_eq!(facts.frameworks[0].libraries.len(), 2);
    assert_eq!(facts.frameworks[0].place, "/usr/lib/ollama");

    let llama = Image::new()
        .env("LD_LIBRARY_PATH", "/usr/local/cuda/lib64")
        .link("usr/local/cuda", "cuda-12.4")
        .file("usr/local/cuda-12.4/lib64/libcudart.so.12.4.127")
        .link(
            "usr/local/cuda-12.4/lib64/libcudart.so.12",
            "libcudart.so.12.4.127",
        )
        .cuda(
            "app/libggml-cuda.so",
            &["libcudart.so.12", "libcublas.so.12", "libcuda.so.1"],
        );
    assert_eq!(
        llama.lines(),
        ["llama.cpp -: CUDA 12.4; lacks libcublas.so.12"]
    );
    let linked = Image::new().fixed("usr/local/bin/llama-server", (8, 4));
    assert_eq!(linked.lines(), ["llama.cpp -: CUDA 12.4"]);
    let own = Image::new().fixed("srv/simulate", (8, 0));
    assert_eq!(own.lines(), ["simulate -: CUDA 12.0"]);
}

#[test]
fn nvidias_own_libraries_are_no_frameworks() {
    let mut image = Image::python().dists(
        SITE,
        &[
            "nvidia_cudnn_cu12-9.1.0.70",
            "tensorrt_cu12-10.3.0",
            "nvidia_cusparselt_cu12-0.6.2",
        ],
    );
    for path in [
        "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
        "nvidia/cusparselt/lib/libcusparseLt.so.0",
        "nvidia/anything/lib/libnew.so.1",
        "nvidia/nccl/lib/libnccl.so.2",
        "cusparselt/lib/libcusparseLt.so.0",
        "tensorrt_libs/libnvinfer.so.10",
        "torch/lib/libcudnn_adv.so.9",
    ] {
        image = image.cuda(&in_site(path), &[]);
    }
    for path in [
        "usr/lib/x86_64-linux-gnu/libcudnn.so.8.9.7",
        "usr/lib/x86_64-linux-gnu/libnvinfer_builder_resource.so.10.0.1",
        "usr/lib/x86_64-linux-gnu/libnccl.so.2.21.5",
        "usr/local/cuda-12.4/targets/x86_64-linux/lib/libcublasLt.so.12.4.5.8",
        "usr/local/cuda-12.4/extras/demo_suite/nbody",
        "opt/conda/lib/libcufft.so.11.2.1.3",
        "root/.cache/uv/archive-v0/x1/xgboost/lib/libxgboost.so",
    ] {
        image = image.cuda(path, &[]);
    }
    let facts = image.facts();
    assert_eq!(
        facts.frameworks.iter().map(line).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    assert_eq!(facts.cudnn.as_deref(), Some("9.1.0.70"));
}
