//! Executes what `update` asks for, outside the UI thread; each result comes back as an [`Outcome`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use super::effect::{Effect, Outcome};
use super::preferences::Preferences;
use crate::build::{BuildAsk, BuildError, Built};
use crate::check::{Cancel, Progress, Subject};
use crate::engine::{Engine, PullProgress};
use crate::inspect::Known;
use crate::lanes::Queue;
use crate::launch::LaunchSpec;
use crate::launcher::{HostNow, LaunchFault, Launched, Plan, Stage};
use crate::logs::LogCommand;
use crate::model::{ContainerCommand, ContainerKey, EngineNews, ImageId, Problem, ProcKey, Signal};

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

/// What a backend without launches says of them.
const NO_LAUNCHES: &str = "nothing can be launched here";

fn no_launches(what: String) -> Problem {
    Problem {
        what,
        why: NO_LAUNCHES.to_owned(),
        remedy: String::new(),
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
    /// Takes away what checks that were killed left on the engine.
    fn sweep(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
    /// What is known of an image without looking inside: its configuration, and the cache. An engine that is
    /// away is an error.
    fn know(&self, image: ImageId) -> BoxFuture<'static, Result<Arc<Known>, String>>;
    /// Looks inside. Tells its progress a few times a second at most, and ends with `cancelled` soon after
    /// `cancel` says so; what it made on the engine is gone when it ends.
    fn check(
        &self,
        subject: Subject,
        progress: Box<dyn Fn(Progress) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Arc<Known>, String>>;
    /// Builds an image, tells how it goes, and ends soon after `cancel` says so with nothing left of it.
    fn build(
        &self,
        ask: BuildAsk,
        told: crate::build::Told,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Built, BuildError>> {
        let _ = (ask, told, cancel);
        Box::pin(std::future::ready(Err(BuildError::Problem(Problem {
            what: "cannot build".to_owned(),
            why: "nothing can be built here".to_owned(),
            remedy: String::new(),
        }))))
    }
    /// What a launch would do. Changes nothing.
    fn plan(&self, spec: LaunchSpec, host: HostNow) -> BoxFuture<'static, Result<Plan, String>> {
        let _ = (spec, host);
        Box::pin(std::future::ready(Err(NO_LAUNCHES.to_owned())))
    }
    /// Fetches an image. Tells its progress a few times a second at most, and ends soon after `cancel` says
    /// so, with nothing half made left.
    fn pull(
        &self,
        reference: String,
        platform: Option<String>,
        told: Box<dyn Fn(PullProgress) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<(), Problem>> {
        let _ = (told, cancel, platform);
        Box::pin(std::future::ready(Err(no_launches(reference))))
    }
    /// Makes and starts a container; one that does not start is removed again.
    fn launch(
        &self,
        plan: Plan,
        host: HostNow,
        force: bool,
        told: Box<dyn Fn(Stage) + Send + Sync>,
        cancel: Cancel,
    ) -> BoxFuture<'static, Result<Launched, LaunchFault>> {
        let _ = (host, force, told, cancel);
        let problem = no_launches(plan.spec.image);
        Box::pin(std::future::ready(Err(LaunchFault { problem, exit: 125 })))
    }
    /// Why a container ended that was just launched: a title, and lines to read.
    fn explain_end(
        &self,
        key: ContainerKey,
        name: String,
    ) -> BoxFuture<'static, (String, Vec<String>)> {
        let _ = key;
        Box::pin(std::future::ready((format!("{name} ended"), Vec::new())))
    }
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
    pub(super) read_only: bool,
    pub(super) preferences: PathBuf,
    checks: Arc<Running<Subject>>,
    pub(super) launches: Arc<Running<u64>>,
    pub(super) builds: Arc<Running<u64>>,
}

/// What runs and can be stopped.
#[derive(Debug)]
pub(super) struct Running<K> {
    tasks: Mutex<HashMap<K, Cancel>>,
    ended: Condvar,
}

impl<K> Default for Running<K> {
    fn default() -> Self {
        Self {
            tasks: Mutex::default(),
            ended: Condvar::new(),
        }
    }
}

impl<K: Eq + Hash> Running<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Cancel>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One begins; `None` where it runs already: its end is on the way.
    pub(super) fn begin(&self, key: K) -> Option<Cancel> {
        let cancel = Cancel::default();
        match self.lock().entry(key) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(place) => place.insert(cancel.clone()),
        };
        Some(cancel)
    }

    /// One is asked to stop.
    pub(super) fn cancel(&self, key: &K) {
        if let Some(cancel) = self.lock().get(key) {
            cancel.cancel();
        }
    }

    /// One ended.
    pub(super) fn end(&self, key: &K) {
        self.lock().remove(key);
        self.ended.notify_all();
    }

    /// Stops all and waits, `within` at most; whether all of them ended.
    pub(super) fn end_all(&self, within: Duration) -> bool {
        let running = self.lock();
        for cancel in running.values() {
            cancel.cancel();
        }
        let waited = self
            .ended
            .wait_timeout_while(running, within, |tasks| !tasks.is_empty());
        let (running, _) = waited.unwrap_or_else(PoisonError::into_inner);
        running.is_empty()
    }
}

pub(super) const READ_ONLY: &str = "refused: midwatch runs with --read-only";
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
            checks: Arc::default(),
            launches: Arc::default(),
            builds: Arc::default(),
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
            Effect::Sweep if self.read_only => {}
            Effect::Sweep => {
                self.runtime.spawn(self.backend.sweep());
            }
            Effect::Know(images) => images.into_iter().for_each(|image| self.know(image)),
            Effect::Check(subject) => self.check(subject),
            Effect::CancelCheck(subject) => self.checks.cancel(&subject),
            Effect::Build { id, ask } => self.build(id, *ask),
            Effect::CancelBuild(id) => self.builds.cancel(&id),
            Effect::BuildPaths(text) => self.build_paths(text),
            launch @ (Effect::PlanLaunch { .. }
            | Effect::Pull { .. }
            | Effect::Launch { .. }
            | Effect::LaunchLike { .. }
            | Effect::CancelLaunch(_)
            | Effect::ExplainEnd { .. }
            | Effect::CompletePath { .. }
            | Effect::MakeFolder(_)
            | Effect::KeepLaunch(_)) => self.launches(launch),
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

    pub(super) fn blocking(&self, work: impl FnOnce() -> Outcome + Send + 'static) {
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

    fn know(&self, image: ImageId) {
        let outcomes = self.outcomes.clone();
        let known = self.backend.know(image.clone());
        self.runtime.spawn(async move {
            let result = known.await;
            outcomes.push(Outcome::Known { image, result });
        });
    }

    fn check(&self, subject: Subject) {
        let outcomes = self.outcomes.clone();
        if self.read_only {
            let result = Err(format!("{READ_ONLY}: a scan creates a container"));
            outcomes.push(Outcome::Checked { subject, result });
            return;
        }
        let Some(cancel) = self.checks.begin(subject.clone()) else {
            return;
        };
        let progress = {
            let (outcomes, subject) = (outcomes.clone(), subject.clone());
            Box::new(move |progress| {
                let subject = subject.clone();
                outcomes.push(Outcome::CheckProgress { subject, progress });
            })
        };
        let check = self.backend.check(subject.clone(), progress, cancel);
        let checks = Arc::clone(&self.checks);
        self.runtime.spawn(async move {
            let result = check.await;
            checks.end(&subject);
            outcomes.push(Outcome::Checked { subject, result });
        });
    }

    /// Stops every check and waits, `within` at most, until what they made on the engine is gone. For the
    /// end of the program; whether all of them ended.
    pub fn end_checks(&self, within: Duration) -> bool {
        self.checks.end_all(within)
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
    let text = toml::to_string(preferences).map_err(|e| format!("{}: {e}", path.display()))?;
    replace_file(path, &text)
}

/// Writes a file of ours anew, for its owner's eyes only.
pub(super) fn replace_file(path: &Path, text: &str) -> Result<PathBuf, String> {
    let why = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| why(&e))?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&beside, path)
    };
    let written = write();
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

    /// A backend whose check goes on until it is cancelled.
    struct Endless;

    impl Backend for Endless {
        fn engine(&self) -> Option<Engine> {
            None
        }
        fn news(&self, _news: EngineNews) {}
        fn relist(&self) {}
        fn set_visible(&self, _keys: Vec<ContainerKey>) {}
        fn release_gpus(&self, _release: bool) {}
        fn signal_process(&self, _process: &ProcKey, _signal: Signal) -> Result<(), String> {
            Ok(())
        }
        fn log(&self, _command: LogCommand) {}
        fn hold_logs(&self) {}
        fn resume_logs(&self) {}
        fn know(&self, image: ImageId) -> BoxFuture<'static, Result<Arc<Known>, String>> {
            Box::pin(async move { Err(format!("{} is gone", image.0)) })
        }
        fn check(
            &self,
            _subject: Subject,
            progress: Box<dyn Fn(Progress) + Send + Sync>,
            cancel: Cancel,
        ) -> BoxFuture<'static, Result<Arc<Known>, String>> {
            Box::pin(async move {
                progress(Progress::default());
                while !cancel.is_cancelled() {
                    tokio::task::yield_now().await;
                }
                Err("cancelled".to_owned())
            })
        }
        fn pull(
            &self,
            reference: String,
            _platform: Option<String>,
            told: Box<dyn Fn(PullProgress) + Send + Sync>,
            cancel: Cancel,
        ) -> BoxFuture<'static, Result<(), Problem>> {
            Box::pin(async move {
                told(PullProgress::default());
                while !cancel.is_cancelled() {
                    tokio::task::yield_now().await;
                }
                Err(Problem {
                    what: reference,
                    ..Problem::default()
                })
            })
        }
        fn open_shell(
            &self,
            _key: ContainerKey,
            _cols: u16,
            _rows: u16,
        ) -> BoxFuture<'static, Result<ShellStream, String>> {
            Box::pin(async { Err("none".to_owned()) })
        }
    }

    /// Runs a story against a runner; returns the outcomes.
    fn outcomes(
        read_only: bool,
        story: impl FnOnce(&Runner<Endless>),
        done: impl Fn(&[Outcome]) -> bool,
    ) -> Vec<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || runtime.block_on(ended));
        let queue = Queue::new(64, crate::lanes::Waker::new());
        let runner = Runner::new(
            Arc::new(Endless),
            handle,
            queue.clone(),
            read_only,
            PathBuf::new(),
        );
        story(&runner);
        let begun = std::time::Instant::now();
        let mut all = Vec::new();
        while !done(&all) {
            all.extend(queue.drain().items);
            assert!(begun.elapsed() < Duration::from_secs(20), "{all:?}");
            std::thread::yield_now();
        }
        drop(end);
        assert!(thread.join().is_ok());
        all
    }

    fn image(name: &str) -> ImageId {
        ImageId(name.into())
    }

    #[test]
    fn a_check_tells_its_progress_runs_once_and_can_be_cancelled() {
        let subject = Subject::Image(image("a"));
        let story = |runner: &Runner<Endless>| {
            for _ in 0..2 {
                runner.execute(Effect::Check(subject.clone()));
            }
            runner.execute(Effect::CancelCheck(Subject::Image(image("other"))));
            runner.execute(Effect::CancelCheck(subject.clone()));
        };
        let all = outcomes(false, story, |all| all.len() >= 2);
        let result = Err("cancelled".to_owned());
        let progress = Progress::default();
        let expected = [
            Outcome::CheckProgress {
                subject: subject.clone(),
                progress,
            },
            Outcome::Checked {
                subject: subject.clone(),
                result,
            },
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_pull_tells_its_progress_runs_once_and_can_be_stopped() {
        let pull = || Effect::Pull {
            id: 7,
            reference: "a:1".into(),
            platform: None,
        };
        let story = |runner: &Runner<Endless>| {
            runner.execute(pull());
            runner.execute(pull());
            runner.execute(Effect::CancelLaunch(8));
            runner.execute(Effect::CancelLaunch(7));
        };
        let all = outcomes(false, story, |all| all.len() >= 2);
        let progress = PullProgress::default();
        let problem = Problem {
            what: "a:1".into(),
            ..Problem::default()
        };
        let expected = [
            Outcome::LaunchStage {
                id: 7,
                stage: Stage::Pulling(progress),
            },
            Outcome::Pulled {
                id: 7,
                result: Err(problem),
            },
        ];
        assert_eq!(all, expected);
        let story = |runner: &Runner<Endless>| {
            runner.execute(pull());
            assert!(runner.end_launches(Duration::from_secs(20)));
        };
        outcomes(false, story, |all| all.len() >= 2);
        let refused = outcomes(
            true,
            |runner| {
                runner.execute(pull());
            },
            |all| !all.is_empty(),
        );
        let [
            Outcome::Pulled {
                result: Err(why), ..
            },
        ] = refused.as_slice()
        else {
            panic!("{refused:?}");
        };
        assert!(why.to_string().contains("--read-only"), "{why}");
    }

    #[test]
    fn the_end_stops_every_check_and_waits_for_it() {
        let story = |runner: &Runner<Endless>| {
            runner.execute(Effect::Check(Subject::Image(image("a"))));
            runner.execute(Effect::Check(Subject::Image(image("b"))));
            assert!(runner.end_checks(Duration::from_secs(20)));
            assert!(runner.end_checks(Duration::ZERO), "none is left");
        };
        let ended = |all: &[Outcome]| {
            let ends = all.iter().filter(|o| matches!(o, Outcome::Checked { .. }));
            ends.count() == 2
        };
        outcomes(false, story, ended);
    }

    #[test]
    fn read_only_refuses_a_check_and_not_a_question() {
        let story = |runner: &Runner<Endless>| {
            runner.execute(Effect::Check(Subject::Image(image("a"))));
            runner.execute(Effect::Know(vec![image("b")]));
        };
        let all = outcomes(true, story, |all| all.len() >= 2);
        let why = |outcome: &Outcome| match outcome {
            Outcome::Checked {
                result: Err(why), ..
            }
            | Outcome::Known {
                result: Err(why), ..
            } => why.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            why(&all[0]),
            "refused: midwatch runs with --read-only: a scan creates a container"
        );
        assert_eq!(why(&all[1]), "b is gone");
    }

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
