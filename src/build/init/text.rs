//! The files' text.

use std::collections::BTreeSet;

use super::base::{Base, Install};
use super::needs::{PIN_TORCH, TORCH};
use super::{Entry, Kind, PORT, Project, Source};
use crate::model::text::is_unsafe;

/// Columns of a comment.
const WIDTH: usize = 96;

/// What makes an image large, slow to build, or gives secrets away: heading, and patterns.
const IGNORED: [(&str, &[&str]); 4] = [
    (
        "The history, and what editors and tools leave.",
        &[
            ".git",
            ".gitignore",
            ".github",
            ".vscode",
            ".idea",
            "**/.DS_Store",
            ".dockerignore",
            "compose*.yml",
            "compose*.yaml",
            "docker-compose*.yml",
        ],
    ),
    (
        "Environments and caches: they are made anew in the image.",
        &[
            ".venv",
            "venv",
            "env",
            "node_modules",
            "**/__pycache__",
            "**/*.pyc",
            "**/.ipynb_checkpoints",
            ".pytest_cache",
            ".mypy_cache",
            ".ruff_cache",
            "*.egg-info",
            "build",
            "dist",
        ],
    ),
    (
        "Secrets: give them at the start (--env-file .env).",
        &[
            "**/.env",
            "**/.env.*",
            "**/*.pem",
            "**/*.key",
            ".ssh",
            ".aws",
            ".netrc",
        ],
    ),
    (
        "What trainings write and read: mount it.",
        &[
            "checkpoints",
            "lightning_logs",
            "runs",
            "outputs",
            "logs",
            "wandb",
            "mlruns",
            "datasets",
        ],
    ),
];

impl Kind {
    /// Its word on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FastApi => "fastapi",
            Self::Gradio => "gradio",
            Self::Train => "train",
        }
    }
}

/// The `.dockerignore`. A folder of the project's own code is left in, whatever it is called.
pub(super) fn dockerignore(kind: Kind, packages: &BTreeSet<String>) -> String {
    let mut out = String::from(
        "# What stays out of the image and is not sent to the builder (made by midwatch init).\n",
    );
    for (head, patterns) in IGNORED {
        out.push_str(&format!("\n# {head}\n"));
        for pattern in patterns.iter().filter(|p| !packages.contains(**p)) {
            out.push_str(pattern);
            out.push('\n');
        }
        if head.starts_with("What trainings") {
            // A server may need its data and weights in the image; a training gets them mounted.
            let more: [&str; 5] = ["data", "*.ckpt", "*.pt", "*.safetensors", "*.parquet"];
            if kind == Kind::Train {
                for pattern in more.iter().filter(|p| !packages.contains(**p)) {
                    out.push_str(pattern);
                    out.push('\n');
                }
            } else {
                out.push_str("# Weights and data that the application does not load from here:\n");
                for pattern in more {
                    out.push_str(&format!("# {pattern}\n"));
                }
            }
        }
    }
    out
}

/// A `requirements.txt`, where nothing says what is required.
pub(super) fn requirements(project: &Project) -> Option<String> {
    if project.source != Source::None {
        return None;
    }
    let mut out = String::from(
        "# Made by midwatch init from what the code imports: complete it, and pin versions (`pip freeze`).\n",
    );
    for requirement in &project.requirements {
        out.push_str(&requirement.text);
        out.push('\n');
    }
    Some(out)
}

/// The Dockerfile. It needs no BuildKit: the engine's own builder reads it too.
pub(super) fn dockerfile(
    kind: Kind,
    project: &Project,
    base: &Base,
    entry: &Entry,
    port: Option<u16>,
) -> String {
    let mut out = head(kind, project, base, port);
    out.push_str(&format!("FROM {}\n\n", base.image));
    out.push_str(&environment(kind, entry, base));
    out.push_str("WORKDIR /app\n\n");
    let served = kind != Kind::Train;
    let conda = matches!(base.install, Install::Conda { .. });
    out.push_str(&system_packages(project, base));
    out.push_str(&install(kind, project, base));
    if served && !conda {
        out.push_str(
            "# A user of its own: what is served to others need not be root.\nRUN useradd --create-home app && chown app /app\nCOPY --chown=app . .\nUSER app\n\n",
        );
    } else {
        out.push_str("COPY . .\n\n");
    }
    out.push_str(&command(kind, project, entry, port));
    out
}

fn head(kind: Kind, project: &Project, base: &Base, port: Option<u16>) -> String {
    let gpus = if base.is_gpu() { " --gpus all" } else { "" };
    let port = port.map_or_else(String::new, |port| format!(" -p {port}:{port}"));
    let shm = match kind {
        Kind::Train => " --shm-size=8g -v \"$PWD/checkpoints:/app/checkpoints\"",
        _ => "",
    };
    let name = &project.name;
    let mut out = format!(
        "# Made by `midwatch init {}`; it is yours to change. Build and start:\n#   docker build -t {name} .\n#   docker run --rm{gpus}{port}{shm} {name}\n#\n",
        kind.as_str()
    );
    out.push_str(&comment(&base.why.join(" ")));
    out
}

fn environment(kind: Kind, entry: &Entry, base: &Base) -> String {
    let mut out = String::from(
        "# What Python prints is in the log at once; pip leaves no cache in the image.\nENV PYTHONUNBUFFERED=1 \\\n    PIP_NO_CACHE_DIR=1 \\\n    PIP_DISABLE_PIP_VERSION_CHECK=1\n",
    );
    if let Install::Conda { cuda, .. } = &base.install {
        out.push_str(&format!(
            "ENV CONDA_OVERRIDE_CUDA={}.{}\n",
            cuda.major(),
            cuda.minor()
        ));
    }
    if let Install::Cuda { lenient: true, .. } = &base.install {
        out.push_str(&comment(
            "The image asks for a newer driver than minor-version compatibility needs, and its compatibility library is not for every GPU.",
        ));
        out.push_str("ENV NVIDIA_DISABLE_REQUIRE=1\nRUN rm -rf /usr/local/cuda*/compat\n");
    }
    if let (Kind::Gradio, Entry::Script { port, .. }) = (kind, entry) {
        out.push_str("# Gradio listens on 127.0.0.1 otherwise, which nobody outside the container reaches.\n");
        out.push_str("ENV GRADIO_SERVER_NAME=0.0.0.0");
        if port.is_none() {
            out.push_str(&format!(" \\\n    GRADIO_SERVER_PORT={PORT}"));
        }
        out.push('\n');
    }
    out.push('\n');
    out
}

/// What pip cannot bring.
fn system_packages(project: &Project, base: &Base) -> String {
    let requires = |name: &str| project.requirements.iter().any(|r| r.name == name);
    let mut packages = Vec::new();
    let mut why = Vec::new();
    if let Install::Cuda { .. } = base.install {
        packages.extend(["python3", "python3-venv"]);
        why.push("Python, in an environment of its own");
    }
    if project.needs_git {
        packages.push("git");
        why.push("git, for a requirement that is fetched by it");
    }
    if requires("opencv-python") || requires("opencv-contrib-python") {
        packages.extend(["libgl1", "libglib2.0-0"]);
        why.push("what OpenCV loads (opencv-python-headless needs none of it)");
    }
    if packages.is_empty() {
        return String::new();
    }
    let mut out = comment(&format!("{}.", capital(&why.join("; "))));
    out.push_str(&format!(
        "RUN apt-get update \\\n && apt-get install -y --no-install-recommends {} \\\n && rm -rf /var/lib/apt/lists/*\n",
        packages.join(" ")
    ));
    if let Install::Cuda { .. } = base.install {
        out.push_str("RUN python3 -m venv /opt/venv\nENV PATH=/opt/venv/bin:$PATH\n");
    }
    out.push('\n');
    out
}

fn install(kind: Kind, project: &Project, base: &Base) -> String {
    let mut out = String::new();
    let mut more = lacking(kind, project);
    match &base.install {
        Install::Torch { packages, index } => {
            out.push_str(&comment(
                "PyTorch first, from the index chosen above: what comes after keeps it.",
            ));
            let packages: Vec<String> = packages.iter().map(|p| quoted(p)).collect();
            out.push_str(&format!(
                "RUN pip install {} \\\n    --index-url {index}\n\n",
                packages.join(" ")
            ));
        }
        Install::Cuda {
            bound: Some(bound), ..
        } => more.push(bound.clone()),
        Install::Conda { file, .. } => {
            out.push_str("# The environment before the code: its layer is built anew only when it changes.\n");
            out.push_str(&format!(
                "COPY {file} ./\nRUN mamba env update --name base --file {file} && mamba clean --all --yes\n"
            ));
            if !more.is_empty() {
                let more: Vec<String> = more.iter().map(|p| quoted(p)).collect();
                out.push_str(&format!("RUN pip install {}\n", more.join(" ")));
            }
            out.push('\n');
            return out;
        }
        _ => {}
    }
    let more: String = more.iter().map(|p| format!(" {}", quoted(p))).collect();
    let before =
        "# The requirements before the code: their layer is built anew only when they change.\n";
    match &project.source {
        Source::Requirements if project.needs_all => out.push_str(&format!(
            "# The requirements name other files of the project, so all of it comes first.\nCOPY . .\nRUN pip install -r requirements.txt{more}\n\n"
        )),
        Source::Requirements | Source::None => out.push_str(&format!(
            "{before}COPY requirements.txt ./\nRUN pip install -r requirements.txt{more}\n\n"
        )),
        Source::Project if has_tomllib(&base.image) => out.push_str(&format!(
            "{before}COPY pyproject.toml ./\nRUN python -c \"import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\\n')\" > /tmp/requirements.txt \\\n && pip install -r /tmp/requirements.txt{more}\n\n"
        )),
        _ => out.push_str(&format!("COPY . .\nRUN pip install .{more}\n\n")),
    }
    out
}

/// Python 3.11 has a reader of TOML.
fn has_tomllib(image: &str) -> bool {
    let minor = image
        .strip_prefix("python:3.")
        .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    minor.is_some_and(|minor| minor >= 11) || image.ends_with("ubuntu24.04")
}

/// What starts the application and is not required by the project.
fn lacking(kind: Kind, project: &Project) -> Vec<String> {
    let find = |name: &str| project.requirements.iter().find(|r| r.name == name);
    let standard = find("fastapi").is_some_and(|r| {
        let mut extras = r.extras.iter();
        extras.any(|extra| extra == "standard" || extra == "all")
    });
    let wanted: &[&str] = match kind {
        Kind::FastApi if standard => &[],
        Kind::FastApi => &["fastapi", "uvicorn"],
        Kind::Gradio => &["gradio"],
        Kind::Train => &[],
    };
    // vLLM and others bring it; a pip of theirs must not be argued with.
    let brought = project
        .requirements
        .iter()
        .any(|r| PIN_TORCH.contains(&r.name.as_str()) && !TORCH.contains(&r.name.as_str()));
    wanted
        .iter()
        .filter(|name| find(name).is_none() && !(brought && **name == "fastapi"))
        .map(|name| match *name {
            "uvicorn" => "uvicorn[standard]".to_owned(),
            name => name.to_owned(),
        })
        .collect()
}

fn command(kind: Kind, project: &Project, entry: &Entry, port: Option<u16>) -> String {
    let mut out = String::new();
    if let Some(port) = port {
        out.push_str(&format!("EXPOSE {port}\n"));
    }
    if kind == Kind::Train {
        out.push_str(&comment(
            "Data loader workers, and GPUs among each other, share memory through /dev/shm, which has 64 MiB unless the start says --shm-size=8g or --ipc=host. Checkpoints belong on a mount, or they are gone with the container; so does the data:",
        ));
        out.push_str(&format!(
            "#   docker run --rm --gpus all --shm-size=8g --ulimit memlock=-1 --ulimit stack=67108864 \\\n#     -v \"$PWD/checkpoints:/app/checkpoints\" -v \"$PWD/data:/app/data:ro\" {}\n# With --user \"$(id -u):$(id -g)\" what it writes there is yours.\n",
            project.name
        ));
    }
    let port = PORT.to_string();
    let words: Vec<&str> = match entry {
        Entry::Uvicorn { target, factory } => {
            let factory: &[&str] = if *factory { &["--factory"] } else { &[] };
            ["uvicorn"]
                .iter()
                .chain(factory)
                .chain(&[
                    target.as_str(),
                    "--host",
                    "0.0.0.0",
                    "--port",
                    port.as_str(),
                ])
                .copied()
                .collect()
        }
        Entry::Script { file, .. } => vec!["python", file],
    };
    // JSON, as the Dockerfile's exec form wants it: any name survives.
    let words: Vec<String> = words.iter().map(|word| json(word)).collect();
    out.push_str(&format!("CMD [{}]\n", words.join(", ")));
    out
}

/// A JSON string whose letters cannot turn a line around either.
fn json(word: &str) -> String {
    let plain = serde_json::Value::from(word).to_string();
    let safe = |c: char| match is_unsafe(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    plain.chars().map(safe).collect()
}

/// For a shell: in quotes where it must be.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{word}'")
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Lines of a comment, broken between words.
fn comment(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
    out
}
