//! A build by `docker buildx`, a program of Docker's: found, run, its log read line by line, stopped.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::choose::Why;
use super::fault::BuildError;
use super::place::Opened;
use super::record::Record;
use super::{BuildAsk, stopped};
use crate::check::Cancel;
use crate::engine::CliReach;
use crate::launch::Surroundings;
use crate::model::Problem;
use crate::model::text::clean;

/// How long `docker buildx version` may take.
const ASK: Duration = Duration::from_secs(10);
/// How long it may take to stop once it was asked to.
const STOP: Duration = Duration::from_secs(10);
/// How long what it left may hold its output open.
const DRAIN: Duration = Duration::from_secs(2);
/// What would send it to another engine or builder than ours.
const STRAY: [&str; 7] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "BUILDX_BUILDER",
    "BUILDKIT_PROGRESS",
];

/// Docker's command with the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Buildx {
    program: PathBuf,
    pub version: String,
}

/// What it is to do.
pub(super) struct Job<'a> {
    pub opened: &'a Opened,
    pub ask: &'a BuildAsk,
    pub args: &'a [(String, Option<String>)],
    pub reach: &'a CliReach,
    pub surroundings: &'a Surroundings,
}

/// Looks for it on the PATH.
pub(super) async fn find(surroundings: &Surroundings) -> Result<Buildx, Why> {
    let path = surroundings.env.get("PATH").map_or("", String::as_str);
    let runs = |program: &PathBuf| {
        program
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let program = std::env::split_paths(path)
        .map(|folder| folder.join("docker"))
        .find(runs)
        .ok_or(Why::NoDocker)?;
    let mut asking = command(&program, surroundings);
    asking
        .args(["buildx", "version"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let answer = tokio::time::timeout(ASK, asking.output()).await;
    let output = match answer {
        Ok(Ok(output)) if output.status.success() => output,
        _ => return Err(Why::NoBuildx),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    // `github.com/docker/buildx v0.17.1 257815a`
    let version = text.split_whitespace().nth(1).unwrap_or_default();
    Ok(Buildx {
        program,
        version: clean(version, 40),
    })
}

fn command(program: &Path, surroundings: &Surroundings) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(
            surroundings
                .env
                .iter()
                .filter(|(name, _)| !STRAY.contains(&name.as_str())),
        )
        .current_dir(&surroundings.cwd)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

impl Buildx {
    /// Builds; gives the image's id.
    pub async fn run(
        &self,
        job: &Job<'_>,
        record: &mut Record,
        cancel: &Cancel,
    ) -> Result<Option<String>, BuildError> {
        let folder = Private::make().map_err(|e| fault(&e))?;
        let id_file = folder.0.join("id");
        let (reader, writer) = std::io::pipe().map_err(|e| fault(&e))?;
        let mut command = command(&self.program, job.surroundings);
        command
            .args(words(job, &id_file))
            .envs(job.reach.env.iter().cloned())
            .stdout(writer.try_clone().map_err(|e| fault(&e))?)
            .stderr(writer)
            // A Ctrl-C of the terminal's reaches it through us alone.
            .process_group(0);
        let mut child = command.spawn().map_err(|e| fault(&e))?;
        // Our copies of the pipe's end go with it.
        drop(command);
        let status = follow(&mut child, reader, record, cancel).await?;
        record.end();
        if status.success() {
            let id = std::fs::read_to_string(&id_file).unwrap_or_default();
            return Ok(Some(clean(&id, 128)).filter(|id| !id.is_empty()));
        }
        let message = match record.last_line() {
            Some(line) => line.strip_prefix("ERROR: ").unwrap_or(line).to_owned(),
            None => format!("docker buildx ended: {status}"),
        };
        Err(BuildError::Failed(record.failure(&message, None)))
    }
}

/// The command line.
fn words(job: &Job<'_>, id_file: &Path) -> Vec<std::ffi::OsString> {
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    if let Some(context) = &job.reach.context {
        words.extend(["--context".into(), context.into()]);
    }
    // The builder of a context has the context's name: the engine's own BuildKit, never one elsewhere.
    let builder = job.reach.context.as_deref().unwrap_or("default");
    for word in [
        "buildx",
        "build",
        "--builder",
        builder,
        "--progress=plain",
        "--load",
    ] {
        words.push(word.into());
    }
    words.extend(["--iidfile".into(), id_file.into()]);
    words.extend(["--file".into(), job.opened.dockerfile.clone().into()]);
    for tag in &job.ask.tags {
        words.extend(["--tag".into(), tag.into()]);
    }
    for (name, value) in job.args {
        words.push("--build-arg".into());
        words.push(match value {
            Some(value) => format!("{name}={value}").into(),
            None => name.into(),
        });
    }
    let optional = [
        ("--target", &job.ask.target),
        ("--platform", &job.ask.platform),
        ("--network", &job.ask.network),
    ];
    for (flag, value) in optional {
        if let Some(value) = value {
            words.extend([flag.into(), value.into()]);
        }
    }
    for (flag, set) in [("--no-cache", job.ask.no_cache), ("--pull", job.ask.pull)] {
        if set {
            words.push(flag.into());
        }
    }
    words.extend(["--".into(), job.opened.context.root.clone().into()]);
    words
}

/// Reads its log until it has ended.
async fn follow(
    child: &mut Child,
    reader: std::io::PipeReader,
    record: &mut Record,
    cancel: &Cancel,
) -> Result<ExitStatus, BuildError> {
    let mut output =
        tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into()).map_err(|e| fault(&e))?;
    let mut text = Utf8::default();
    let mut piece = vec![0; 16 * 1024];
    let stop = stopped(cancel);
    tokio::pin!(stop);
    let mut status = None;
    let mut patience = Duration::MAX;
    loop {
        let read = tokio::time::timeout(patience, output.read(&mut piece));
        tokio::select! {
            biased;
            () = &mut stop => {
                end(child).await;
                return Err(BuildError::Cancelled);
            }
            read = read => match read {
                Ok(Ok(count)) if count > 0 => {
                    record.text(&text.push(piece.get(..count).unwrap_or_default()));
                }
                _ => break,
            },
            ended = child.wait(), if status.is_none() => {
                status = Some(ended.map_err(|e| fault(&e))?);
                patience = DRAIN;
            }
        }
    }
    match status {
        Some(status) => Ok(status),
        None => tokio::select! {
            () = &mut stop => {
                end(child).await;
                Err(BuildError::Cancelled)
            }
            ended = child.wait() => ended.map_err(|e| fault(&e)),
        },
    }
}

/// Asks it to stop as Ctrl-C does, and ends it where it does not.
async fn end(child: &mut Child) {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::INT);
        if tokio::time::timeout(STOP, child.wait()).await.is_err() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    let _ = child.wait().await;
}

fn fault(error: &std::io::Error) -> BuildError {
    BuildError::Problem(Problem {
        what: "cannot run docker buildx".to_owned(),
        why: clean(&error.to_string(), 200),
        remedy: String::new(),
    })
}

/// A folder that nobody else may enter, removed when dropped.
struct Private(PathBuf);

impl Private {
    fn make() -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "midwatch-build-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        // One that a program of our number left behind is not used, and not in the way.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes as text in whatever pieces they come.
#[derive(Default)]
struct Utf8(Vec<u8>);

impl Utf8 {
    fn push(&mut self, piece: &[u8]) -> String {
        self.0.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&self.0) {
            Ok(_) => self.0.len(),
            // A character that is cut at the end waits for its rest.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.0.len(),
        };
        let rest = self.0.split_off(whole);
        let text = String::from_utf8_lossy(&self.0).into_owned();
        self.0 = rest;
        text
    }
}

#[cfg(test)]
#[path = "buildx_tests.rs"]
mod tests;
