//! The images of the simulated store. Data alone.

/// An image of the store.
#[derive(Debug)]
pub(super) struct Picture {
    pub tag: &'static str,
    pub size: u64,
    /// Days before the start at which it was built.
    pub age_days: i64,
    pub env: &'static [&'static str],
    pub entrypoint: &'static [&'static str],
    pub command: &'static [&'static str],
    pub labels: &'static [(&'static str, &'static str)],
    pub layers: u64,
}

/// The images, in the order of the store.
pub(super) const PICTURES: &[Picture] = &[
    Picture {
        tag: "my-train:0.4",
        size: 9_843_120_774,
        age_days: 3,
        env: TRAINER_ENV_IMAGE,
        entrypoint: &[],
        command: &["/bin/bash"],
        labels: &[
            ("maintainer", "alice"),
            ("org.opencontainers.image.version", "22.04"),
        ],
        layers: 14,
    },
    Picture {
        tag: "vllm:0.9",
        size: 18_204_771_310,
        age_days: 40,
        env: &[
            "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CUDA_VERSION=12.8.1",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            "NVIDIA_REQUIRE_CUDA=cuda>=12.8 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=550,driver<551",
            "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
            "VLLM_USAGE_SOURCE=production-docker-image",
        ],
        entrypoint: &["python3", "-m"],
        command: &["vllm.entrypoints.openai.api_server"],
        labels: &[("maintainer", "NVIDIA CORPORATION <cudatools@nvidia.com>")],
        layers: 31,
    },
    Picture {
        tag: "quay.io/jupyter/pytorch-notebook:cuda12-python-3.12",
        size: 11_902_335_104,
        age_days: 21,
        env: &[
            "PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            "NB_USER=jovyan",
            "NB_UID=1000",
            "CONDA_DIR=/opt/conda",
            "JUPYTER_PORT=8888",
        ],
        entrypoint: &["tini", "-g", "--", "start.sh"],
        command: &["start-notebook.py"],
        labels: &[("maintainer", "Jupyter Project <jupyter@googlegroups.com>")],
        layers: 46,
    },
    Picture {
        tag: "acme/serve-x:2.1",
        size: 7_411_209_566,
        age_days: 1,
        env: &[
            "PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHON_VERSION=3.12.11",
            "TORCH_VERSION=2.9.0+cu130",
        ],
        entrypoint: &[],
        command: &["python", "-m", "serve_x"],
        labels: &[],
        layers: 11,
    },
    Picture {
        tag: "nvidia/cuda:13.0.2-devel-ubuntu24.04",
        size: 7_066_104_202,
        age_days: 17,
        env: &[
            "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NVARCH=x86_64",
            "NVIDIA_REQUIRE_CUDA=cuda>=13.0 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536 brand=tesla,driver>=550,driver<551 brand=nvidia,driver>=550,driver<551",
            "NV_CUDA_CUDART_VERSION=13.0.96-1",
            "CUDA_VERSION=13.0.2",
            "LD_LIBRARY_PATH=/usr/local/cuda/lib64",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ],
        entrypoint: &["/opt/nvidia/nvidia_entrypoint.sh"],
        command: &[],
        labels: &[("maintainer", "NVIDIA CORPORATION <cudatools@nvidia.com>")],
        layers: 10,
    },
    Picture {
        tag: "nvidia/cuda:12.4.1-base-ubuntu22.04",
        size: 243_900_131,
        age_days: 480,
        env: &[
            "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NVARCH=x86_64",
            "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=nvidia,driver>=470,driver<471 brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536",
            "NV_CUDA_CUDART_VERSION=12.4.127-1",
            "CUDA_VERSION=12.4.1",
            "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        ],
        entrypoint: &[],
        command: &["/bin/bash"],
        labels: &[("maintainer", "NVIDIA CORPORATION <cudatools@nvidia.com>")],
        layers: 5,
    },
    Picture {
        tag: "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3-4.1.3-ubuntu22.04",
        size: 1_240_772_904,
        age_days: 60,
        env: &["NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DISABLE_REQUIRE=true"],
        entrypoint: &["/usr/local/dcgm/dcgm-exporter-entrypoint.sh"],
        command: &[],
        labels: &[],
        layers: 12,
    },
    plain(
        "redis:7.4-alpine",
        60_510_022,
        30,
        &["docker-entrypoint.sh"],
        &["redis-server"],
    ),
    plain(
        "postgres:16.9",
        451_009_713,
        33,
        &["docker-entrypoint.sh"],
        &["postgres"],
    ),
    plain(
        "prom/prometheus:v3.4.1",
        313_882_144,
        44,
        &["/bin/prometheus"],
        &[],
    ),
    plain("grafana/grafana:12.0.2", 723_190_448, 29, &["/run.sh"], &[]),
];

const TRAINER_ENV_IMAGE: &[&str] = &[
    "PATH=/opt/conda/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "CUDA_VERSION=12.4.1",
    "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=nvidia,driver>=535,driver<536",
    "NVIDIA_VISIBLE_DEVICES=all",
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    "PYTORCH_VERSION=2.6.0",
];

const fn plain(
    tag: &'static str,
    size: u64,
    age_days: i64,
    entrypoint: &'static [&'static str],
    command: &'static [&'static str],
) -> Picture {
    Picture {
        tag,
        size,
        age_days,
        env: &["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        entrypoint,
        command,
        labels: &[],
        layers: 8,
    }
}
