//! Executes what `update` asks for, outside the UI thread; each result comes back as an [`Outcome`].

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use super::effect::{Effect, Outcome};
use super::preferences::Preferences;
use crate::engine::Engine;
use crate::lanes::Queue;
use crate::logs::LogCommand;
use crate::model::{ContainerCommand, ContainerKey, EngineNews, ImageId, ProcKey, Signal};

/// A shell in a container, from the engine.
pub struct ShellStream {
    /// What it prints.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// What it is told.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// Tells it the terminal's columns and rows.
    pub resize: Box<dyn Fn(u16, u16) + Send>,
}

impl std::fmt::Debug for ShellStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShellStream")
    }
}

/// What the dashboard may ask of the services behind it.
pub trait Backend: Send + Sync + 'static {
    /// The engine's current connection; `None` while it is away.
    fn engine(&self) -> Option<Engine>;
    /// Brings news into the world, as though the engine's source had (lists of images).
    fn news(&self, news: EngineNews);
    /// Asks the engine's source to list everything again.
    fn relist(&self);
    /// Which containers' rows are on the screen.
    fn set_visible(&self, keys: Vec<ContainerKey>);
    /// Lets go of NVML (`true`), or takes it again.
    fn release_gpus(&self, release: bool);
    /// Sends a signal to exactly this process. Blocks shortly; called on a blocking thread.
    fn signal_process(&self, process: &ProcKey, signal: Signal) -> Result<(), String>;
    /// Asks the log service.
    fn log(&self, command: LogCommand);
    /// Ends every attachment to a container before this returns: nothing may be attached to while this
    /// process does not read (suspended, or the terminal in other hands).
    fn hold_logs(&self);
    /// Attaching may begin again.
    fn resume_logs(&self);
    /// Opens a shell (`bash`, else `sh`) in the container, with a terminal of this size.
    fn open_shell(
        &self,
        key: ContainerKey,
        cols: u16,
        rows: u16,
    ) -> BoxFuture<'static, Result<ShellStream, String>>;
}

/// Runs effects as tasks of the I/O runtime.
pub struct Runner<B> {
    backend: Arc<B>,
    runtime: Handle,
    outcomes: Queue<Outcome>,
    read_only: bool,
    preferences: PathBuf,
}

const READ_ONLY: &str = "refused: midwatch runs with --read-only";
const AWAY: &str = "the engine is not connected";

impl<B: Backend> Runner<B> {
    /// A runner whose outcomes go to `outcomes`; `preferences` is the file they are kept in.
    pub fn new(
        backend: Arc<B>,
        runtime: Handle,
        outcomes: Queue<Outcome>,
        read_only: bool,
        preferences: PathBuf,
    ) -> Self {
        Self {
            backend,
            runtime,
            outcomes,
            read_only,
            preferences,
        }
    }

    /// The services.
    pub fn backend(&self) -> &Arc<B> {
        &self.backend
    }

    /// The I/O runtime.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Where outcomes go.
    pub fn outcomes(&self) -> &Queue<Outcome> {
        &self.outcomes
    }

    /// Why a shell is refused, if it is.
    pub fn refuses_shell(&self) -> Option<String> {
        self.read_only.then(|| READ_ONLY.to_owned())
    }

    /// Executes one effect; those that concern the terminal itself are handed back.
    pub fn execute(&self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Act { targets, command } => {
                for key in targets {
                    self.act(key, command.clone());
                }
            }
            Effect::SignalProcess { process, signal } => self.signal(process, signal),
            Effect::Inspect(key) => self.inspect(key),
            Effect::InspectImage(id) => self.inspect_image(id),
            Effect::FetchImages => self.fetch_images(),
            Effect::Log(command) => self.backend.log(command),
            Effect::SaveFile { path, text } => {
                self.blocking(move || Outcome::Saved(save_new(&path, text.as_bytes())));
            }
            Effect::SavePreferences(preferences) => {
                let path = self.preferences.clone();
                self.blocking(move || Outcome::Saved(save_preferences(&path, &preferences)));
            }
            Effect::ReleaseGpus(release) => self.backend.release_gpus(release),
            Effect::Relist => self.backend.relist(),
            Effect::Visible(keys) => self.backend.set_visible(keys),
            terminal @ (Effect::Shell(_)
            | Effect::Copy(_)
            | Effect::Mouse(_)
            | Effect::Redraw
            | Effect::Suspend
            | Effect::Quit) => return Some(terminal),
        }
        None
    }

    fn blocking(&self, work: impl FnOnce() -> Outcome + Send + 'static) {
        let outcomes = self.outcomes.clone();
        self.runtime.spawn_blocking(move || {
            outcomes.push(work());
        });
    }

    fn act(&self, key: ContainerKey, command: ContainerCommand) {
        let outcomes = self.outcomes.clone();
        let acted = move |command, result| {
            outcomes.push(Outcome::Acted {
                key,
                command,
                result,
            });
        };
        if self.read_only {
            return acted(command, Err(READ_ONLY.to_owned()));
        }
        let Some(engine) = self.backend.engine() else {
            return acted(command, Err(AWAY.to_owned()));
        };
        self.runtime.spawn(async move {
            let result = engine.act(key, &command).await;
            acted(command, result.map_err(|e| e.to_string()));
        });
    }

    fn signal(&self, process: ProcKey, signal: Signal) {
        if self.read_only {
            let result = Err(READ_ONLY.to_owned());
            self.outcomes.push(Outcome::Signalled { process, result });
            return;
        }
        let backend = Arc::clone(&self.backend);
        self.blocking(move || {
            let result = backend.signal_process(&process, signal);
            Outcome::Signalled { process, result }
        });
    }

    fn inspect(&self, key: ContainerKey) {
        let outcomes = self.outcomes.clone();
        let Some(engine) = self.backend.engine() else {
            let result = Err(AWAY.to_owned());
            outcomes.push(Outcome::Inspected { key, result });
            return;
        };
        self.runtime.spawn(async move {
            let result = engine.inspect_json(key).await;
            let result = result.map(Arc::new).map_err(|e| e.to_string());
            outcomes.push(Outcome::Inspected { key, result });
        });
    }

    fn inspect_image(&self, id: ImageId) {
        let outcomes = self.outcomes.clone();
        let Some(engine) = self.backend.engine() else {
            let result = Err(AWAY.to_owned());
            outcomes.push(Outcome::ImageInspected { id, result });
            return;
        };
        self.runtime.spawn(async move {
            let result = engine.inspect_image_json(&id).await;
            let result = result.map(Arc::new).map_err(|e| e.to_string());
            outcomes.push(Outcome::ImageInspected { id, result });
        });
    }

    fn fetch_images(&self) {
        let outcomes = self.outcomes.clone();
        let Some(engine) = self.backend.engine() else {
            outcomes.push(Outcome::ImagesFailed(AWAY.to_owned()));
            return;
        };
        let backend = Arc::clone(&self.backend);
        self.runtime.spawn(async move {
            match engine.images().await {
                Ok(images) => backend.news(EngineNews::Images(images)),
                Err(error) => {
                    outcomes.push(Outcome::ImagesFailed(error.to_string()));
                }
            }
        });
    }
}

/// Writes a file that must not exist yet, for its owner's eyes only: logs may hold secrets.
fn save_new(path: &Path, bytes: &[u8]) -> Result<PathBuf, String> {
    let shown = path.display();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => format!("{shown} exists already: choose another name"),
            io::ErrorKind::NotFound => format!("{shown}: there is no such folder"),
            io::ErrorKind::PermissionDenied => format!("{shown}: permission denied"),
            _ => format!("{shown}: {error}"),
        })?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // Half a file would look like a whole one.
        let _ = std::fs::remove_file(path);
        return Err(format!("{shown}: {error}"));
    }
    Ok(path.to_owned())
}

/// Writes the preferences beside their file and puts them in its place, so that a full disk or a crash
/// leaves the old ones.
fn save_preferences(path: &Path, preferences: &Preferences) -> Result<PathBuf, String> {
    let why = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = toml::to_string(preferences).map_err(|e| why(&e))?;
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| why(&e))?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&beside);
        return Err(why(&error));
    }
    Ok(path.to_owned())
}

/// Reads the preferences; a missing file is the default, a broken one is told and not overwritten silently.
pub fn load_preferences(path: &Path) -> Result<Preferences, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|e: toml::de::Error| format!("{}: {}", path.display(), e.message())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Preferences::default()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.txt");
        assert_eq!(save_new(&path, b"one"), Ok(path.clone()));
        let error = save_new(&path, b"two").unwrap_err();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        let error = save_new(&dir.path().join("no/log.txt"), b"x").unwrap_err();
        assert!(error.contains("no such folder"), "{error}");
    }

    #[test]
    fn preferences_come_back_and_a_broken_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/preferences.toml");
        assert_eq!(load_preferences(&path), Ok(Preferences::default()));
        let preferences = Preferences {
            columns: vec!["name".into(), "gpu-mem".into()],
            sort: Some("cpu".into()),
            log_wrap: Some(false),
            ..Preferences::default()
        };
        save_preferences(&path, &preferences).unwrap();
        assert_eq!(load_preferences(&path), Ok(preferences));
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
        std::fs::write(&path, "columns = 3").unwrap();
        assert!(load_preferences(&path).is_err());
    }
}
