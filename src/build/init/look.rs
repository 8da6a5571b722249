//! What a project folder is: what is started, what is required, which Python. Bounded: a few folders deep, some
//! hundred files, the first bytes of each; links are not followed out of the folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;

use regex::Regex;

use super::needs::{Clause, Requirement};
use super::{Entry, Kind, Project, Source};
use crate::model::text::clean;

/// Most bytes of a file that are read.
const MAX_FILE: u64 = 256 << 10;

/// Most Python files that are looked into.
const MAX_FILES: usize = 200;

/// Most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 1000;

/// Most requirements.
const MAX_REQUIREMENTS: usize = 500;

/// Folders that hold no code of the project.
const PASSED: [&str; 14] = [
    "venv",
    "env",
    "node_modules",
    "__pycache__",
    "site-packages",
    "tests",
    "test",
    "docs",
    "build",
    "dist",
    "data",
    "datasets",
    "checkpoints",
    "wandb",
];

/// Module name -> package, for what an application of one file imports.
const PACKAGES: [(&str, &str); 34] = [
    ("torch", "torch"),
    ("torchvision", "torchvision"),
    ("torchaudio", "torchaudio"),
    ("transformers", "transformers"),
    ("diffusers", "diffusers"),
    ("accelerate", "accelerate"),
    ("datasets", "datasets"),
    ("peft", "peft"),
    ("trl", "trl"),
    ("timm", "timm"),
    ("lightning", "lightning"),
    ("pytorch_lightning", "pytorch-lightning"),
    ("sentence_transformers", "sentence-transformers"),
    ("ultralytics", "ultralytics"),
    ("tensorflow", "tensorflow[and-cuda]"),
    ("jax", "jax"),
    ("onnxruntime", "onnxruntime-gpu"),
    ("vllm", "vllm"),
    ("fastapi", "fastapi"),
    ("uvicorn", "uvicorn"),
    ("gradio", "gradio"),
    ("pydantic", "pydantic"),
    ("numpy", "numpy"),
    ("pandas", "pandas"),
    ("scipy", "scipy"),
    ("sklearn", "scikit-learn"),
    ("PIL", "pillow"),
    ("cv2", "opencv-python-headless"),
    ("matplotlib", "matplotlib"),
    ("requests", "requests"),
    ("httpx", "httpx"),
    ("tqdm", "tqdm"),
    ("wandb", "wandb"),
    ("yaml", "pyyaml"),
];

/// Looks at a folder.
///
/// # Errors
/// It cannot be read, or is none.
pub fn look(folder: &Path, kind: Kind) -> io::Result<Project> {
    let files = python_files(folder)?;
    let (entry, text) = find_entry(folder, kind, &files);
    let mut project = Project {
        name: image_name(folder),
        imports: imports(&text),
        packages: files
            .iter()
            .filter_map(|file| Some(file.split_once('/')?.0.to_owned()))
            .collect(),
        entry,
        ..Project::default()
    };
    requirements(folder, &mut project);
    if let Some(text) = read(folder, ".python-version") {
        project.python = python_version(&text);
    }
    Ok(project)
}

/// The start of a text file of the folder; `None` where it is not there, no plain file or no text.
fn read(folder: &Path, name: &str) -> Option<String> {
    let path = folder.join(name);
    // A pipe would block.
    if !fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .ok()?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Python files of the folder and of the folders in it, two deep, in the order of their names; the nearest first.
fn python_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut level = vec![String::new()];
    for depth in 0..3 {
        let mut next = Vec::new();
        for inner in &level {
            let entries = match fs::read_dir(folder.join(inner)) {
                Ok(entries) => entries,
                Err(error) if depth == 0 => return Err(error),
                Err(_) => continue,
            };
            for entry in entries.flatten().take(MAX_ENTRIES) {
                // A name that is no UTF-8 is no module, and `file_type` follows no link.
                let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type())
                else {
                    continue;
                };
                let path = if inner.is_empty() {
                    name.clone()
                } else {
                    format!("{inner}/{name}")
                };
                let hidden = name.starts_with('.');
                if kind.is_dir() && !hidden && !PASSED.contains(&name.as_str()) {
                    next.push(path);
                } else if kind.is_dir() && depth == 0 && PASSED.contains(&name.as_str()) {
                    // Not searched for what is started, but kept in the image where it is code.
                    found.extend(code_in(folder, &name));
                } else if kind.is_file() && name.ends_with(".py") && !hidden {
                    found.push(path);
                }
            }
        }
        next.sort();
        next.truncate(50);
        level = next;
    }
    found.sort_by_key(|path| (path.matches('/').count(), path.clone()));
    found.truncate(MAX_FILES);
    Ok(found)
}

/// A Python file right in a folder that is not searched; none in an environment.
fn code_in(folder: &Path, name: &str) -> Option<String> {
    if ["venv", "node_modules", "site-packages", "__pycache__"].contains(&name) {
        return None;
    }
    let entries = fs::read_dir(folder.join(name)).ok()?;
    let mut names = entries
        .flatten()
        .take(MAX_ENTRIES)
        .filter_map(|entry| entry.file_name().into_string().ok());
    let file = names.find(|file| file.ends_with(".py"))?;
    Some(format!("{name}/{file}"))
}

/// What is started, and the text of its file.
fn find_entry(folder: &Path, kind: Kind, files: &[String]) -> (Option<Entry>, String) {
    let usual: &[&str] = match kind {
        Kind::FastApi => &[
            "app/main.py",
            "main.py",
            "app.py",
            "api.py",
            "server.py",
            "app/app.py",
            "app/api.py",
            "src/main.py",
            "src/app.py",
        ],
        Kind::Gradio => &[
            "app.py",
            "main.py",
            "demo.py",
            "gradio_app.py",
            "app/main.py",
        ],
        Kind::Train => &[
            "train.py",
            "main.py",
            "src/train.py",
            "scripts/train.py",
            "run.py",
        ],
    };
    let searched = |file: &&str| {
        !PASSED
            .iter()
            .any(|passed| file.split('/').next() == Some(passed))
    };
    let rest = files.iter().map(String::as_str).filter(searched);
    let candidates = usual
        .iter()
        .copied()
        .filter(|name| files.iter().any(|file| file == name))
        .chain(rest.filter(|name| !usual.contains(name)));
    for file in candidates {
        let Some(text) = read(folder, file) else {
            continue;
        };
        let entry = match kind {
            Kind::FastApi => asgi(file, &text),
            Kind::Gradio => gradio(file, &text),
            // A name that says so, or one of the usual ones.
            Kind::Train => {
                let says = usual.contains(&file) || file.contains("train");
                says.then(|| script(file))
            }
        };
        if entry.is_some() {
            return (entry, text);
        }
    }
    (None, String::new())
}

fn script(file: &str) -> Entry {
    Entry::Script {
        file: file.to_owned(),
        port: None,
        address: None,
    }
}

/// `name = FastAPI(`, or a function that makes one; only of a file whose path can be a module's name.
fn asgi(file: &str, text: &str) -> Option<Entry> {
    let module = module(file)?;
    let found = |pattern: &'static str, cell: &'static OnceLock<Option<Regex>>| {
        let regex = cell.get_or_init(|| Regex::new(pattern).ok()).as_ref()?;
        let name = regex.captures(text)?.get(1)?.as_str().to_owned();
        Some(name)
    };
    static APP: OnceLock<Option<Regex>> = OnceLock::new();
    static FACTORY: OnceLock<Option<Regex>> = OnceLock::new();
    let app = found(
        r"(?m)^([A-Za-z_]\w{0,60})\s*(?::[^=\n]{1,60})?=\s*(?:fastapi\.)?FastAPI\(",
        &APP,
    );
    if let Some(name) = app {
        return Some(Entry::Uvicorn {
            target: format!("{module}:{name}"),
            factory: false,
        });
    }
    let makes = found(
        r"(?m)^def\s+((?:create|make|get|build)_app\w{0,40})\s*\(\s*\)",
        &FACTORY,
    );
    let name = makes.filter(|_| text.contains("FastAPI("))?;
    Some(Entry::Uvicorn {
        target: format!("{module}:{name}"),
        factory: true,
    })
}

/// `app/main.py` -> `app.main`; `None` where a part is no Python name.
fn module(file: &str) -> Option<String> {
    let path = file.strip_suffix(".py")?;
    let is_name = |part: &str| {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        part.starts_with(first) && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    path.split('/').all(is_name).then(|| path.replace('/', "."))
}

/// A file that makes a Gradio page and starts it.
fn gradio(file: &str, text: &str) -> Option<Entry> {
    static PORT: OnceLock<Option<Regex>> = OnceLock::new();
    static ADDRESS: OnceLock<Option<Regex>> = OnceLock::new();
    if !(text.contains("gradio") && text.contains("launch(")) {
        return None;
    }
    let named = |cell: &'static OnceLock<Option<Regex>>, pattern: &'static str| {
        let regex = cell.get_or_init(|| Regex::new(pattern).ok()).as_ref()?;
        Some(regex.captures(text)?.get(1)?.as_str().to_owned())
    };
    Some(Entry::Script {
        file: file.to_owned(),
        port: named(&PORT, r"server_port\s*=\s*(\d{1,5})\b")
            .and_then(|port| port.parse().ok())
            .filter(|port| *port > 0),
        address: named(&ADDRESS, r#"server_name\s*=\s*["']([\w.:-]{1,60})["']"#)
            .filter(|address| address != "0.0.0.0" && address != "::"),
    })
}

/// Packages by the imports of a file.
fn imports(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.trim().split([' ', ',', '.', ';']);
            let first = words.next()?;
            let module = words.find(|word| !word.is_empty())?;
            matches!(first, "import" | "from").then_some(module)
        })
        .filter_map(|module| PACKAGES.iter().find(|(name, _)| *name == module))
        .map(|(_, package)| (*package).to_owned())
        .collect()
}

fn requirements(folder: &Path, project: &mut Project) {
    let pyproject =
        read(folder, "pyproject.toml").and_then(|text| text.parse::<toml::Table>().ok());
    if let Some(table) = &pyproject {
        project.python_allowed = python_allowed(table);
    }
    if let Some(text) = read(folder, "requirements.txt") {
        project.source = Source::Requirements;
        read_lines(folder, &text, project, 0);
    } else if let Some(table) = &pyproject {
        let listed = table.get("project").and_then(|p| p.get("dependencies"));
        project.source = match listed.and_then(toml::Value::as_array) {
            Some(listed) => {
                let lines = listed.iter().filter_map(toml::Value::as_str);
                project.requirements = lines
                    .filter_map(Requirement::parse)
                    .take(MAX_REQUIREMENTS)
                    .collect();
                Source::Project
            }
            None => Source::Backend,
        };
        // Poetry's own table: name = "^1.2".
        let poetry = table
            .get("tool")
            .and_then(|t| t.get("poetry")?.get("dependencies"))
            .and_then(toml::Value::as_table);
        if let (Source::Backend, Some(poetry)) = (&project.source, poetry) {
            project.requirements = poetry
                .keys()
                .filter(|name| *name != "python")
                .filter_map(|name| Requirement::parse(name))
                .take(MAX_REQUIREMENTS)
                .collect();
        }
    } else if let Some(name) = ["environment.yml", "environment.yaml", "conda.yml"]
        .into_iter()
        .find(|name| folder.join(name).is_file())
    {
        project.source = Source::Conda(name.to_owned());
        let lines = read(folder, name).unwrap_or_default();
        project.requirements = lines
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- "))
            .map(|line| {
                line.rsplit("::")
                    .next()
                    .unwrap_or(line)
                    .trim_matches(['"', '\''])
            })
            .filter_map(|line| {
                let name = line.split(['=', '<', '>', ' ']).next().unwrap_or(line);
                Requirement::parse(name)
            })
            .take(MAX_REQUIREMENTS)
            .collect();
    }
}

fn read_lines(folder: &Path, text: &str, project: &mut Project, depth: usize) {
    for line in text.lines().map(str::trim) {
        if let Some(at) = line.find("download.pytorch.org/whl/") {
            let rest = line.get(at..).unwrap_or_default();
            let name = rest.trim_start_matches("download.pytorch.org/whl/");
            let end = name.find(|c: char| !c.is_ascii_alphanumeric());
            let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
            if !line.starts_with('#') && !name.is_empty() {
                project.torch_index = Some(name.to_owned());
            }
        }
        let other = ["-r", "--requirement", "-c", "--constraint"]
            .into_iter()
            .find_map(|flag| line.strip_prefix(flag))
            .map(|rest| rest.trim_start_matches(['=', ' ', '\t']));
        if let Some(other) = other {
            project.needs_all = true;
            let inside = !other.starts_with('/') && !other.split('/').any(|part| part == "..");
            if depth < 3
                && inside
                && let Some(text) = read(folder, other)
            {
                read_lines(folder, &text, project, depth + 1);
            }
        } else if line.starts_with("-e")
            || line.starts_with("--editable")
            || line.starts_with('.')
            || line.contains("file:")
        {
            project.needs_all = true;
        } else if let Some(requirement) = Requirement::parse(line)
            && project.requirements.len() < MAX_REQUIREMENTS
        {
            project.requirements.push(requirement);
        } else if line.starts_with("git+") || line.contains("@ git+") {
            project.needs_git = true;
        }
    }
}

fn python_allowed(table: &toml::Table) -> Vec<Clause> {
    let asked = table
        .get("project")
        .and_then(|p| p.get("requires-python")?.as_str());
    let poetry = || {
        table
            .get("tool")?
            .get("poetry")?
            .get("dependencies")?
            .get("python")?
            .as_str()
    };
    Clause::parse_all(asked.or_else(poetry).unwrap_or_default())
}

/// `3.11.4` -> 11; `None` for another Python.
fn python_version(text: &str) -> Option<u32> {
    let first = text
        .lines()
        .map(str::trim)
        .find(|l| !l.is_empty() && !l.starts_with('#'))?;
    let first = first.strip_prefix("cpython-").unwrap_or(first);
    let mut numbers = first.split('.');
    (numbers.next() == Some("3")).then_some(())?;
    let minor: u32 = numbers.next()?.parse().ok()?;
    (7..=20).contains(&minor).then_some(minor)
}

/// The folder's name as an image may be called: lower case letters, digits and single dashes.
fn image_name(folder: &Path) -> String {
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let words: Vec<String> = clean(&name, 60)
        .to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if words.is_empty() {
        return "my-app".to_owned();
    }
    words.join("-")
}
