//! From a project folder to an image: the context with its `.dockerignore`, the engine's builder or
//! `docker buildx`, and what the Dockerfile exposes.

mod buildx;
pub mod choose;
mod classic;
pub mod context;
pub mod dockerfile;
pub mod fault;
pub mod ignore;
pub mod init;
mod lines;
pub mod name;
pub mod place;
mod record;
mod tar;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::check::Cancel;
use crate::engine::registry::RegistryConfig;
use crate::engine::{Engine, Env};
use crate::launch::{PortAsk, Surroundings};
use crate::model::{ImageId, Problem};

use choose::Builder;
use dockerfile::Dockerfile;
pub use fault::{BuildError, Failure};

/// Between two looks at whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// Hears how a build goes on.
pub type Told = Arc<dyn Fn(BuildNews) + Send + Sync>;

/// What a build takes from its surroundings.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// Environment and working directory of whoever builds.
    pub surroundings: Surroundings,
    /// Where Docker's configuration is, for base images from registries that need a login.
    pub docker: Option<Env>,
}

/// What is to be built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildAsk {
    /// The context folder.
    pub folder: PathBuf,
    /// `-f`; `None` is the context's `Dockerfile`.
    pub dockerfile: Option<PathBuf>,
    /// `-t`, as many as wanted.
    pub tags: Vec<String>,
    /// `--build-arg NAME[=VALUE]`; `None` takes the value of whoever builds.
    pub args: Vec<(String, Option<String>)>,
    /// `--target`.
    pub target: Option<String>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--pull`: ask for newer base images.
    pub pull: bool,
    /// `--platform`.
    pub platform: Option<String>,
    /// `--network`: the network of its steps.
    pub network: Option<String>,
}

/// What a build tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildNews {
    /// Who builds, and why that one (`docker buildx 0.17`, `the engine's own builder: …`).
    Builder(String),
    /// Bytes of the context sent, and how many there are.
    Context {
        /// Sent.
        bytes: u64,
        /// All, once they are counted.
        total_bytes: Option<u64>,
    },
    /// A line of its log, control characters removed.
    Line(String),
    /// The same line again with a newer text (a progress bar).
    Replace(String),
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image.
    pub image: ImageId,
    /// What it is to be called: the first tag, else the id.
    pub name: String,
    /// The ports that it exposes.
    pub exposed: Vec<PortAsk>,
}

/// Builds an image. Nothing is left behind of one that fails or is cancelled but what the engine keeps for the
/// next build.
///
/// # Errors
/// A file of the project cannot be read, the build fails, the engine does not do it, or it was cancelled.
pub async fn build(
    engine: &Engine,
    ask: &BuildAsk,
    how: &How,
    told: Told,
    cancel: &Cancel,
) -> Result<Built, BuildError> {
    let opened = {
        let (folder, file) = (ask.folder.clone(), ask.dockerfile.clone());
        let cwd = how.surroundings.cwd.clone();
        blocking(move || place::open(&folder, file.as_deref(), &cwd)).await??
    };
    let mut ask = ask.clone();
    if ask.tags.is_empty() {
        ask.tags.push(name::of_folder(&opened.context.root));
    }
    let args = values(&ask, &how.surroundings);
    let known: BTreeMap<String, String> = args
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
        .collect();
    let file = Dockerfile::read(&opened.text, &known);
    if let Some(target) = &ask.target
        && file.stage(Some(target)).is_none()
    {
        return Err(BuildError::Problem(no_stage(target, &file)));
    }
    let about = engine.about().await?;
    let buildx = buildx::find(&how.surroundings).await;
    let reach = engine.cli_reach();
    let builder = choose::builder(
        buildx.as_ref().map(|buildx| buildx.version.as_str()),
        reach.is_some(),
        about.name == "Podman",
    );
    choose::refuse(&builder, &file)?;
    told(BuildNews::Builder(builder.to_string()));
    let mut record = record::Record::new(Arc::clone(&told));
    let built = match (&builder, buildx, reach) {
        (Builder::Buildx(_), Ok(buildx), Some(reach)) => {
            let job = buildx::Job {
                opened: &opened,
                ask: &ask,
                args: &args,
                reach: &reach,
                surroundings: &how.surroundings,
            };
            buildx.run(&job, &mut record, cancel).await
        }
        _ => {
            if let Some(syntax) = &file.syntax {
                record.line(format!(
                    "note: `# syntax={syntax}` counts for nothing with the engine's own builder"
                ));
            }
            let logins = logins(how, about.name == "Podman", &mut record).await;
            let job = classic::Job {
                opened,
                ask: &ask,
                args,
                logins,
            };
            classic::run(engine, job, &mut record, &told, cancel).await
        }
    };
    let id = built?;
    let tag = ask.tags.first().cloned();
    let wanted = id.clone().or_else(|| tag.clone()).unwrap_or_default();
    let Some((image, json)) = engine.find_image(&wanted).await? else {
        return Err(BuildError::Problem(Problem {
            what: "the build ended without an image".to_owned(),
            why: format!(
                "the engine has none of the name {}",
                crate::model::text::clean(&wanted, 200)
            ),
            remedy: String::new(),
        }));
    };
    Ok(Built {
        name: tag.unwrap_or_else(|| image.0.to_string()),
        exposed: exposed(&json),
        image,
    })
}

/// The credentials that a build is sent with. A configuration that cannot be read is said: most base images
/// need none.
async fn logins(how: &How, podman: bool, record: &mut record::Record) -> Option<String> {
    match RegistryConfig::load(how.docker.as_ref()?, podman) {
        Ok(config) => config.build_header().await,
        Err(problem) => {
            record.line(format!(
                "note: base images are fetched without a login: {problem}"
            ));
            None
        }
    }
}

/// The ports of an image's configuration, sorted.
pub fn exposed(image: &Value) -> Vec<PortAsk> {
    let ports = image
        .pointer("/Config/ExposedPorts")
        .and_then(Value::as_object);
    let ports = ports.into_iter().flatten().take(1000);
    dockerfile::sorted(
        ports
            .filter_map(|(port, _)| dockerfile::port(port))
            .collect(),
    )
}

/// The build arguments; one without a value takes that of the environment, and stays without where there is
/// none there either.
fn values(ask: &BuildAsk, surroundings: &Surroundings) -> Vec<(String, Option<String>)> {
    let value = |name: &String, value: &Option<String>| {
        value
            .clone()
            .or_else(|| surroundings.env.get(name).cloned())
    };
    ask.args
        .iter()
        .map(|(name, given)| (name.clone(), value(name, given)))
        .collect()
}

fn no_stage(target: &str, file: &Dockerfile) -> Problem {
    let names = file.targets();
    Problem {
        what: "cannot build".to_owned(),
        why: format!(
            "the Dockerfile has no stage {}",
            crate::model::text::clean(target, 60)
        ),
        remedy: match names.is_empty() {
            true => "None of its stages has a name: leave --target out".to_owned(),
            false => format!("It has: {}", names.join(", ")),
        },
    }
}

/// Does what blocks on another thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        BuildError::Problem(Problem {
            what: "cannot build".to_owned(),
            why: error.to_string(),
            remedy: String::new(),
        })
    })
}

/// Ends once the caller wants no more.
async fn stopped(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposed_ports_are_read_and_sorted() {
        let image = serde_json::json!({"Config": {"ExposedPorts": {
            "9000/tcp": {}, "7860/tcp": {}, "53/udp": {}, "x": {}, "7000-7002/tcp": null
        }}});
        let ports: Vec<(u16, u16, String)> = exposed(&image)
            .into_iter()
            .map(|p| (p.container.first, p.container.last, p.protocol))
            .collect();
        let tcp = || "tcp".to_owned();
        assert_eq!(
            ports,
            [
                (53, 53, "udp".to_owned()),
                (7000, 7002, tcp()),
                (7860, 7860, tcp()),
                (9000, 9000, tcp())
            ]
        );
        for other in [
            serde_json::json!({}),
            serde_json::json!({"Config": {"ExposedPorts": []}}),
        ] {
            assert_eq!(exposed(&other), []);
        }
    }

    #[test]
    fn an_argument_without_a_value_takes_the_environments() {
        let ask = BuildAsk {
            args: vec![
                ("A".into(), Some("1".into())),
                ("B".into(), None),
                ("C".into(), None),
            ],
            ..BuildAsk::default()
        };
        let surroundings = Surroundings {
            env: [("A", "9"), ("B", "2")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            ..Surroundings::default()
        };
        assert_eq!(
            values(&ask, &surroundings),
            [
                ("A".to_owned(), Some("1".to_owned())),
                ("B".to_owned(), Some("2".to_owned())),
                ("C".to_owned(), None)
            ]
        );
    }
}
