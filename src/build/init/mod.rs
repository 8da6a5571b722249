//! `midwatch init`: a Dockerfile and a `.dockerignore` for a project folder, with the base image or the wheel index
//! that this host's driver and GPUs can run.
//!
//! [`look`] reads the folder (bounded), [`make`] is pure text making, [`write`] never touches what is there.

mod base;
mod look;
mod needs;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::model::text::clean;
use crate::verdict::facts::HostFacts;

pub use look::look;
pub use needs::{Clause, Requirement};
pub use write::{Written, write};

/// The port that a server is given, as in the chapter this grew from; Hugging Face Spaces use it too.
pub const PORT: u16 = 7860;

/// What kind of project it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A FastAPI application, served by uvicorn.
    FastApi,
    /// A Gradio application.
    Gradio,
    /// A training.
    Train,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An ASGI application, `app.main:app`.
    Uvicorn {
        /// Module and variable.
        target: String,
        /// The name is a function that makes the application.
        factory: bool,
    },
    /// A script.
    Script {
        /// Path in the folder, `/` between its parts.
        file: String,
        /// The port that it names itself.
        port: Option<u16>,
        /// The address that it names itself, where that is not all of them.
        address: Option<String>,
    },
}

/// Where the requirements stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: they are taken from the imports.
    #[default]
    None,
    /// In `requirements.txt`.
    Requirements,
    /// In the `[project]` table of `pyproject.toml`.
    Project,
    /// In `pyproject.toml`, for a build backend alone to read.
    Backend,
    /// In a conda environment file of this name.
    Conda(String),
}

/// What is known of the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// The folder's name, as an image may be called.
    pub name: String,
    /// What was found to be started.
    pub entry: Option<Entry>,
    /// Where the requirements stand.
    pub source: Source,
    /// What is required.
    pub requirements: Vec<Requirement>,
    /// The requirements name other files of the folder: they need all of it.
    pub needs_all: bool,
    /// A requirement is fetched by git.
    pub needs_git: bool,
    /// The requirements name an index of PyTorch themselves, as `cu124`.
    pub torch_index: Option<String>,
    /// The Python that the project names, `3.N`.
    pub python: Option<u32>,
    /// The Pythons that it allows.
    pub python_allowed: Vec<Clause>,
    /// Folders at its root that hold Python code: never ignored.
    pub packages: BTreeSet<String>,
    /// Packages by the imports of what is started.
    pub imports: BTreeSet<String>,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `Dockerfile`.
    pub dockerfile: String,
    /// `.dockerignore`.
    pub dockerignore: String,
    /// `requirements.txt`, where the project says nowhere what it requires.
    pub requirements: Option<String>,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
    /// The port that is served.
    pub port: Option<u16>,
    /// Whether it uses a GPU.
    pub gpu: bool,
}

/// Makes the files' text for a host. A host whose driver is not known gets what runs on the most drivers, and
/// a note says so.
#[must_use]
pub fn make(kind: Kind, project: &Project, host: &HostFacts) -> Made {
    let mut notes = Vec::new();
    let project = with_imports(kind, project);
    let base = base::choose(&project, host, &mut notes);
    let entry = entry(kind, &project, &mut notes);
    let port = match (kind, &entry) {
        (Kind::Train, _) => None,
        (_, Entry::Script { port, .. }) => Some(port.unwrap_or(PORT)),
        (_, Entry::Uvicorn { .. }) => Some(PORT),
    };
    Made {
        dockerfile: text::dockerfile(kind, &project, &base, &entry, port),
        dockerignore: text::dockerignore(kind, &project.packages),
        requirements: text::requirements(&project),
        port,
        gpu: base.is_gpu(),
        notes,
    }
}

/// Where nothing says what is required, the imports do.
fn with_imports(kind: Kind, project: &Project) -> Project {
    let mut project = project.clone();
    if project.source == Source::None {
        let own: &[&str] = match kind {
            Kind::FastApi => &["fastapi", "uvicorn[standard]"],
            Kind::Gradio => &["gradio"],
            Kind::Train if project.imports.is_empty() => &["torch"],
            Kind::Train => &[],
        };
        let all: BTreeSet<&str> = own
            .iter()
            .copied()
            .chain(project.imports.iter().map(String::as_str))
            .filter(|name| !(*name == "uvicorn" && kind == Kind::FastApi))
            .collect();
        project.requirements = all.into_iter().filter_map(Requirement::parse).collect();
    }
    project
}

/// What is started, with what is to be said of it.
fn entry(kind: Kind, project: &Project, notes: &mut Vec<String>) -> Entry {
    let script = |file: &str| Entry::Script {
        file: file.to_owned(),
        port: None,
        address: None,
    };
    let Some(entry) = &project.entry else {
        let (entry, sought) = match kind {
            Kind::FastApi => (
                Entry::Uvicorn {
                    target: "app.main:app".to_owned(),
                    factory: false,
                },
                "no FastAPI application was found; the last line starts app.main:app",
            ),
            Kind::Gradio => (
                script("app.py"),
                "no Gradio application was found; the last line starts app.py",
            ),
            Kind::Train => (
                script("train.py"),
                "no training script was found; the last line starts train.py",
            ),
        };
        notes.push(format!("{sought}: change it to what is there"));
        return entry;
    };
    if let (
        Kind::Gradio,
        Entry::Script {
            file,
            address: Some(address),
            ..
        },
    ) = (kind, entry)
    {
        notes.push(format!(
            "{} names the address {address} itself, and nobody outside the container reaches that: take server_name out of launch()",
            clean(file, 80)
        ));
    }
    entry.clone()
}
