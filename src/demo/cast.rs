//! Who lives on the simulated machine: containers, images, users. Data alone.
//!
//! The machine: four H100 under driver 550.163.01 (CUDA 12.4), two of them training since 9 h, one held by a
//! notebook that does nothing, one that fell off the bus 43 minutes ago.

use super::requires;

/// What a container's main process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// Two-GPU training; checkpoints on SIGTERM.
    Trainer,
    /// Model evaluation that met the Xid and then ran out of host memory.
    Evaluation,
    /// A notebook server with one kernel on a GPU.
    Notebook,
    /// A server whose image needs a newer driver.
    Server,
    /// Key-value store.
    Redis,
    /// Database.
    Postgres,
    /// Dashboards.
    Grafana,
    /// Metrics.
    Prometheus,
    /// GPU metrics exporter: is given all GPUs and computes on none.
    Exporter,
    /// A short job that a timer of the host starts now and then.
    Backup,
    /// A training that a user made: computes on all its GPUs.
    Training,
    /// A server that a user made: holds most of its GPUs' memory.
    Serving,
    /// `nvidia-smi`: a look at the GPUs.
    Smi,
    /// Ends at once.
    Brief,
    /// Anything else that a user made: runs until it is stopped.
    Job,
}

/// How GPUs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Not at all.
    Nothing,
    /// `--gpus all`.
    All,
    /// `--gpus '"device=…"'`.
    Devices(&'static [&'static str]),
}

/// A run of a container before the story begins; seconds before the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct PastRun {
    /// Start.
    pub began: i64,
    /// End with exit code and whether the kernel killed it for memory; `None`: it still runs.
    pub ended: Option<(i64, i64, bool)>,
}

/// A container as it was created.
#[derive(Debug)]
pub(super) struct Role {
    pub name: &'static str,
    pub image: &'static str,
    pub program: Program,
    pub entrypoint: &'static [&'static str],
    pub command: &'static [&'static str],
    pub env: &'static [&'static str],
    pub asked: Asked,
    /// Host user that its processes belong to, and the uid.
    pub user: (&'static str, u32),
    /// Compose project and service.
    pub compose: Option<(&'static str, &'static str)>,
    /// Container port and where it is published on the host.
    pub ports: &'static [(u16, Option<u16>)],
    /// Source, target, writable.
    pub mounts: &'static [(&'static str, &'static str, bool)],
    pub workdir: &'static str,
    pub tty: bool,
    /// Memory limit, bytes; 0: none.
    pub memory_limit: u64,
    /// `/dev/shm`, bytes.
    pub shm: u64,
    pub restart: &'static str,
    pub health: bool,
    pub stop_timeout: Option<u64>,
    /// Whether its image has bash (all but one have sh).
    pub bash: bool,
    /// Seconds before the start at which it was created.
    pub created: i64,
    pub runs: &'static [PastRun],
}

pub(super) const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// When GPU 3 fell off the bus, seconds before the start.
pub(super) const XID_AGO: i64 = 43 * MINUTE;
/// Name of the machine.
pub(super) const HOST_NAME: &str = "gpu-box-3";
/// Logical CPUs.
pub(super) const CPUS: u32 = 112;
/// Memory of the machine, bytes.
pub(super) const HOST_MEMORY: u64 = 1_081_980_452_864;
/// Driver, as NVML tells it.
pub(super) const DRIVER: &str = "550.163.01";
/// Engine.
pub(super) const ENGINE_VERSION: &str = "28.2.2";
/// Its API.
pub(super) const API_VERSION: &str = "1.50";

/// What the machine runs.
pub(super) const OPERATING_SYSTEM: &str = "Ubuntu 22.04.5 LTS";
/// The engine's OCI runtimes.
pub(super) const RUNTIMES: &[&str] = &["io.containerd.runc.v2", "nvidia", "runc"];

const TRAINER_ENV: &[&str] = &[
    "PATH=/opt/conda/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "CUDA_VERSION=12.4.1",
    requires::CUDA_12_4,
    "NVIDIA_VISIBLE_DEVICES=all",
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
    "PYTORCH_VERSION=2.6.0",
    "NCCL_DEBUG=WARN",
    "OMP_NUM_THREADS=8",
    "TOKENIZERS_PARALLELISM=false",
    "HF_HOME=/data/hf",
    "HF_TOKEN=hf_DemoTokenThatOpensNothing0000000000",
    "WANDB_PROJECT=llama-sft",
    "WANDB_API_KEY=0000demo0000key0000that0000opens0000nothing",
];

/// A role for what has none yet.
pub(super) static NOBODY: Role = Role {
    name: "",
    image: "",
    program: Program::Job,
    entrypoint: &[],
    command: &[],
    env: &[],
    asked: Asked::Nothing,
    user: ("root", 0),
    compose: None,
    ports: &[],
    mounts: &[],
    workdir: "/",
    tty: false,
    memory_limit: 0,
    shm: 64 * MIB,
    restart: "no",
    health: false,
    stop_timeout: None,
    bash: false,
    created: 0,
    runs: &[],
};

/// The containers.
pub(super) const ROLES: &[Role] = &[
    Role {
        name: "llama-sft",
        image: "my-train:0.4",
        program: Program::Trainer,
        entrypoint: &[],
        command: &[
            "python",
            "train.py",
            "--config",
            "configs/llama3-8b-sft.yaml",
            "--gpus",
            "2",
        ],
        env: TRAINER_ENV,
        asked: Asked::Devices(&["0", "1"]),
        user: ("alice", 1001),
        compose: None,
        ports: &[],
        mounts: &[
            ("/srv/datasets", "/data", false),
            ("/home/alice/runs/llama-sft", "/runs", true),
        ],
        workdir: "/workspace",
        tty: false,
        memory_limit: 0,
        shm: 16 * GIB,
        restart: "no",
        health: false,
        stop_timeout: Some(60),
        bash: true,
        created: 9 * HOUR + 12 * MINUTE,
        runs: &[PastRun {
            began: 9 * HOUR + 12 * MINUTE - 1,
            ended: None,
        }],
    },
    Role {
        name: "eval-7b",
        image: "vllm:0.9",
        program: Program::Evaluation,
        entrypoint: &["python3", "-m"],
        command: &[
            "lm_eval",
            "--model",
            "vllm",
            "--tasks",
            "mmlu,gsm8k",
            "--batch_size",
            "auto",
        ],
        env: &[
            "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CUDA_VERSION=12.8.1",
            requires::CUDA_12_8,
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            "LD_LIBRARY_PATH=/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
            "VLLM_USAGE_SOURCE=production-docker-image",
            "HF_TOKEN=hf_DemoTokenThatOpensNothing0000000000",
        ],
        asked: Asked::Devices(&["3"]),
        user: ("alice", 1001),
        compose: None,
        ports: &[],
        mounts: &[("/srv/datasets", "/data", false)],
        workdir: "/vllm-workspace",
        tty: false,
        memory_limit: 64 * GIB,
        shm: 8 * GIB,
        restart: "no",
        health: false,
        stop_timeout: None,
        bash: true,
        created: 4 * HOUR + 5 * MINUTE,
        runs: &[PastRun {
            began: 4 * HOUR + 5 * MINUTE - 1,
            ended: Some((32 * MINUTE + 14, 137, true)),
        }],
    },
    Role {
        name: "notebook",
        image: "quay.io/jupyter/pytorch-notebook:cuda12-python-3.12",
        program: Program::Notebook,
        entrypoint: &["tini", "-g", "--", "start.sh"],
        command: &["start-notebook.py"],
        env: &[
            "PATH=/opt/conda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            "NB_USER=jovyan",
            "NB_UID=1000",
            "CONDA_DIR=/opt/conda",
            "JUPYTER_PORT=8888",
            "JUPYTER_TOKEN=demo-token-that-opens-nothing",
        ],
        asked: Asked::Devices(&["2"]),
        user: ("bob", 1000),
        compose: None,
        ports: &[(8888, Some(8888))],
        mounts: &[("/home/bob/work", "/home/jovyan/work", true)],
        workdir: "/home/jovyan",
        tty: true,
        memory_limit: 0,
        shm: 64 * MIB,
        restart: "unless-stopped",
        health: true,
        stop_timeout: None,
        bash: true,
        created: 2 * DAY + 3 * HOUR,
        runs: &[PastRun {
            began: 2 * DAY + 3 * HOUR - 1,
            ended: None,
        }],
    },
    Role {
        name: "serve-x",
        image: "acme/serve-x:2.1",
        program: Program::Server,
        entrypoint: &[],
        command: &["python", "-m", "serve_x", "--port", "8000"],
        env: &[
            "PATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHON_VERSION=3.12.11",
            "MODEL_NAME=acme/x-13b",
            "DATABASE_URL=postgres://serve:demo-password@postgres:5432/serve",
            "API_SECRET=demo-secret-that-opens-nothing",
        ],
        asked: Asked::All,
        user: ("root", 0),
        compose: None,
        ports: &[(8000, Some(8000))],
        mounts: &[],
        workdir: "/app",
        tty: false,
        memory_limit: 0,
        shm: 64 * MIB,
        restart: "no",
        health: false,
        stop_timeout: None,
        bash: true,
        created: HOUR + 20 * MINUTE,
        runs: &[PastRun {
            began: HOUR + 20 * MINUTE - 1,
            ended: Some((HOUR + 20 * MINUTE - 8, 1, false)),
        }],
    },
    Role {
        name: "platform-redis-1",
        image: "redis:7.4-alpine",
        program: Program::Redis,
        entrypoint: &["docker-entrypoint.sh"],
        command: &["redis-server", "--save", "60", "1"],
        env: &[
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "REDIS_VERSION=7.4.5",
        ],
        asked: Asked::Nothing,
        user: ("999", 999),
        compose: Some(("platform", "redis")),
        ports: &[(6379, None)],
        mounts: &[("platform_redis", "/data", true)],
        workdir: "/data",
        tty: false,
        memory_limit: 4 * GIB,
        shm: 64 * MIB,
        restart: "unless-stopped",
        health: true,
        stop_timeout: None,
        bash: false,
        created: 12 * DAY,
        runs: &[PastRun {
            began: 12 * DAY - 2,
            ended: None,
        }],
    },
    Role {
        name: "platform-postgres-1",
        image: "postgres:16.9",
        program: Program::Postgres,
        entrypoint: &["docker-entrypoint.sh"],
        command: &["postgres"],
        env: &[
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/16/bin",
            "PG_MAJOR=16",
            "PG_VERSION=16.9-1.pgdg120+1",
            "PGDATA=/var/lib/postgresql/data",
            "POSTGRES_USER=platform",
            "POSTGRES_PASSWORD=demo-password-that-opens-nothing",
        ],
        asked: Asked::Nothing,
        user: ("999", 999),
        compose: Some(("platform", "postgres")),
        ports: &[(5432, None)],
        mounts: &[("platform_postgres", "/var/lib/postgresql/data", true)],
        workdir: "/",
        tty: false,
        memory_limit: 16 * GIB,
        shm: 256 * MIB,
        restart: "unless-stopped",
        health: true,
        stop_timeout: None,
        bash: true,
        created: 12 * DAY,
        runs: &[PastRun {
            began: 12 * DAY - 2,
            ended: None,
        }],
    },
    Role {
        name: "platform-prometheus-1",
        image: "prom/prometheus:v3.4.1",
        program: Program::Prometheus,
        entrypoint: &["/bin/prometheus"],
        command: &[
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
        ],
        env: &["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        asked: Asked::Nothing,
        user: ("nobody", 65534),
        compose: Some(("platform", "prometheus")),
        ports: &[(9090, Some(9090))],
        mounts: &[("platform_prometheus", "/prometheus", true)],
        workdir: "/prometheus",
        tty: false,
        memory_limit: 0,
        shm: 64 * MIB,
        restart: "unless-stopped",
        health: false,
        stop_timeout: None,
        bash: false,
        created: 12 * DAY,
        runs: &[PastRun {
            began: 12 * DAY - 1,
            ended: None,
        }],
    },
    Role {
        name: "platform-grafana-1",
        image: "grafana/grafana:12.0.2",
        program: Program::Grafana,
        entrypoint: &["/run.sh"],
        command: &[],
        env: &[
            "PATH=/usr/share/grafana/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "GF_PATHS_DATA=/var/lib/grafana",
            "GF_SECURITY_ADMIN_PASSWORD=demo-password-that-opens-nothing",
        ],
        asked: Asked::Nothing,
        user: ("472", 472),
        compose: Some(("platform", "grafana")),
        ports: &[(3000, Some(3000))],
        mounts: &[("platform_grafana", "/var/lib/grafana", true)],
        workdir: "/usr/share/grafana",
        tty: false,
        memory_limit: 0,
        shm: 64 * MIB,
        restart: "unless-stopped",
        health: false,
        stop_timeout: None,
        bash: true,
        created: 12 * DAY,
        runs: &[PastRun {
            began: 12 * DAY - 1,
            ended: None,
        }],
    },
    Role {
        name: "platform-dcgm-exporter-1",
        image: "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3-4.1.3-ubuntu22.04",
        program: Program::Exporter,
        entrypoint: &["/usr/local/dcgm/dcgm-exporter-entrypoint.sh"],
        command: &[],
        env: &[
            "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NVIDIA_VISIBLE_DEVICES=all",
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility,compat32",
            "NVIDIA_DISABLE_REQUIRE=true",
            "NO_SETCAP=",
        ],
        asked: Asked::All,
        user: ("root", 0),
        compose: Some(("platform", "dcgm-exporter")),
        ports: &[(9400, None)],
        mounts: &[],
        workdir: "/",
        tty: false,
        memory_limit: 0,
        shm: 64 * MIB,
        restart: "unless-stopped",
        health: false,
        stop_timeout: None,
        bash: true,
        created: 12 * DAY,
        runs: &[PastRun {
            began: 12 * DAY - 1,
            ended: None,
        }],
    },
    Role {
        name: "platform-backup-1",
        image: "postgres:16.9",
        program: Program::Backup,
        entrypoint: &["docker-entrypoint.sh"],
        command: &[
            "pg_dump",
            "-h",
            "postgres",
            "-U",
            "platform",
            "-Fc",
            "-f",
            "/backup/platform.dump",
        ],
        env: &[
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/16/bin",
            "PG_MAJOR=16",
            "PGPASSWORD=demo-password-that-opens-nothing",
        ],
        asked: Asked::Nothing,
        user: ("999", 999),
        compose: Some(("platform", "backup")),
        ports: &[],
        mounts: &[("/srv/backup/platform", "/backup", true)],
        workdir: "/",
        tty: false,
        memory_limit: GIB,
        shm: 64 * MIB,
        restart: "no",
        health: false,
        stop_timeout: None,
        bash: true,
        created: 12 * DAY,
        runs: &[PastRun {
            began: 22 * MINUTE,
            ended: Some((22 * MINUTE - 41, 0, false)),
        }],
    },
];
