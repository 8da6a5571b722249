//! Launches outside the UI thread: plans, pulls, starts, and the file of what was launched.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::launch::LaunchSpec;
use crate::launch::from_body::from_inspect;
use crate::launcher::{HostNow, LaunchFault, Plan, Stage};
use crate::model::{ContainerKey, ImageId, Problem};

use super::effect::{Effect, Outcome};
use super::form::complete;
use super::runner::{Backend, READ_ONLY, Runner, replace_file};
use super::state::launches::{Keep, Launches};

/// Bytes of the file that are read; twenty launches have a few kilobytes.
const MOST: u64 = 4 << 20;

/// The file of what was launched, beside that of the preferences.
#[must_use]
pub fn launches_path(preferences: &Path) -> PathBuf {
    preferences.with_file_name("launches.toml")
}

/// Reads what was launched; a missing file is nothing.
///
/// # Errors
/// The file cannot be read, or is none of ours: it is left as it is.
pub fn load_launches(path: &Path) -> Result<Launches, String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Launches::default()),
        Err(error) => return Err(format!("{shown}: {error}")),
        Ok(meta) if meta.len() > MOST => return Err(format!("{shown}: it is too large")),
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    toml::from_str(&text).map_err(|error| format!("{shown}: {}", error.message()))
}

/// Applies a change to the file as it is now: another midwatch may have written it meanwhile.
///
/// # Errors
/// It cannot be read or written; then it is as it was.
pub fn keep_launch(path: &Path, change: Keep) -> Result<Launches, String> {
    let mut launches = load_launches(path)?;
    launches.keep(change);
    let text = toml::to_string(&launches).map_err(|e| format!("{}: {e}", path.display()))?;
    replace_file(path, &text)?;
    Ok(launches)
}

impl<B: Backend> Runner<B> {
    /// Executes an effect that is about launches.
    pub(super) fn launches(&self, effect: Effect) {
        match effect {
            Effect::PlanLaunch { id, spec, host } => self.plan(id, *spec, *host),
            Effect::Pull {
                id,
                reference,
                platform,
            } => self.pull(id, reference, platform),
            Effect::Launch {
                id,
                plan,
                host,
                force,
            } => self.launch(id, *plan, *host, force),
            Effect::LaunchLike { key, image } => self.launch_like(key, image),
            Effect::CancelLaunch(id) => self.launches.cancel(&id),
            Effect::ExplainEnd { key, name } => self.explain_end(key, name),
            Effect::CompletePath { id, text } => self.blocking(move || {
                let home = std::env::var_os("HOME").map(PathBuf::from);
                let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
                let result = complete(&text, home.as_deref(), &cwd);
                Outcome::PathsFound { id, result }
            }),
            Effect::MakeFolder(path) if self.read_only => {
                let result = Err(format!("{READ_ONLY}: {path} is not made"));
                self.outcomes().push(Outcome::FolderMade(result));
            }
            Effect::MakeFolder(path) => self.blocking(move || {
                let made = std::fs::create_dir_all(&path);
                let result = made.map_err(|error| format!("{path}: {error}"));
                Outcome::FolderMade(result.map(|()| path))
            }),
            Effect::KeepLaunch(change) => {
                let path = launches_path(&self.preferences);
                self.blocking(move || Outcome::LaunchesKept(keep_launch(&path, change)));
            }
            _ => {}
        }
    }

    fn plan(&self, id: u64, spec: LaunchSpec, host: HostNow) {
        let outcomes = self.outcomes().clone();
        let plan = self.backend().plan(spec, host);
        self.runtime().spawn(async move {
            let result = plan.await.map(Box::new);
            outcomes.push(Outcome::Planned { id, result });
        });
    }

    fn pull(&self, id: u64, reference: String, platform: Option<String>) {
        let outcomes = self.outcomes().clone();
        if self.read_only {
            let result = Err(read_only("an image would be pulled"));
            outcomes.push(Outcome::Pulled { id, result });
            return;
        }
        let Some(cancel) = self.launches.begin(id) else {
            return;
        };
        let told = {
            let outcomes = outcomes.clone();
            Box::new(move |progress| {
                let stage = Stage::Pulling(progress);
                outcomes.push(Outcome::LaunchStage { id, stage });
            })
        };
        let pull = self.backend().pull(reference, platform, told, cancel);
        let launches = Arc::clone(&self.launches);
        self.runtime().spawn(async move {
            let result = pull.await;
            launches.end(&id);
            outcomes.push(Outcome::Pulled { id, result });
        });
    }

    fn launch(&self, id: u64, plan: Plan, host: HostNow, force: bool) {
        let outcomes = self.outcomes().clone();
        if self.read_only {
            let problem = read_only("a container would be started");
            let result = Err(LaunchFault { problem, exit: 125 });
            outcomes.push(Outcome::Launched { id, result });
            return;
        }
        let Some(cancel) = self.launches.begin(id) else {
            return;
        };
        let told = {
            let outcomes = outcomes.clone();
            Box::new(move |stage| {
                outcomes.push(Outcome::LaunchStage { id, stage });
            })
        };
        let launch = self.backend().launch(plan, host, force, told, cancel);
        let launches = Arc::clone(&self.launches);
        self.runtime().spawn(async move {
            let result = launch.await;
            launches.end(&id);
            outcomes.push(Outcome::Launched { id, result });
        });
    }

    fn launch_like(&self, key: ContainerKey, image: ImageId) {
        let outcomes = self.outcomes().clone();
        let Some(engine) = self.backend().engine() else {
            let result = Err("the engine is not connected".to_owned());
            outcomes.push(Outcome::LaunchLike { key, result });
            return;
        };
        self.runtime().spawn(async move {
            // An image that is gone has only itself to say what it sets.
            let image = engine.inspect_image_json(&image).await.ok();
            let result = match engine.inspect_json(key).await {
                Ok(json) => {
                    let (spec, notes) = from_inspect(&json, image.as_ref());
                    Ok((Box::new(spec), notes))
                }
                Err(error) => Err(error.to_string()),
            };
            outcomes.push(Outcome::LaunchLike { key, result });
        });
    }

    fn explain_end(&self, key: ContainerKey, name: String) {
        let outcomes = self.outcomes().clone();
        let explained = self.backend().explain_end(key, name.clone());
        self.runtime().spawn(async move {
            let (title, lines) = explained.await;
            outcomes.push(Outcome::EndExplained {
                key,
                name,
                title,
                lines,
            });
        });
    }

    /// Stops every pull and start and waits, `within` at most, until nothing of them is left half made. For
    /// the end of the program; whether all of them ended.
    pub fn end_launches(&self, within: Duration) -> bool {
        self.launches.end_all(within)
    }
}

fn read_only(what: &str) -> Problem {
    Problem {
        what: "refused".to_owned(),
        why: format!("midwatch runs with --read-only, and {what}"),
        remedy: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn changes_of_two_programs_are_both_kept_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = launches_path(&dir.path().join("state/preferences.toml"));
        assert_eq!(path, dir.path().join("state/launches.toml"));
        assert_eq!(load_launches(&path), Ok(Launches::default()));
        let here = keep_launch(&path, Keep::Last("docker run a".into())).unwrap();
        let there = keep_launch(&path, Keep::Last("docker run 'b\n\"c\"'".into())).unwrap();
        assert_eq!(here.last.len(), 1);
        assert_eq!(there.last, ["docker run 'b\n\"c\"'", "docker run a"]);
        assert_eq!(load_launches(&path), Ok(there));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_told_and_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("launches.toml");
        std::fs::write(&path, "last = 3").unwrap();
        let error = keep_launch(&path, Keep::Last("docker run a".into())).unwrap_err();
        assert!(error.contains("launches.toml"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "last = 3");
    }
}
