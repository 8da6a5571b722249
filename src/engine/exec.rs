//! A shell in a container, over the connection that everything else uses.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::model::ContainerKey;

use super::docker::Docker;
use super::error::EngineError;
use super::json;
use super::transport::{self, REQUEST_TIMEOUT, Upgraded};

/// Starting a process may have to wait for a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 1024 * 1024;

/// The exit statuses that a shell gives where a program is not there or may not be run.
const NO_SUCH_PROGRAM: [i64; 2] = [127, 126];

/// A terminal's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// Tells an exec's terminal its size, and how it ended; clones mean the same exec.
#[derive(Debug, Clone)]
pub struct ExecControl {
    docker: Docker,
    id: String,
}

/// A program running in a container, with a terminal there.
#[derive(Debug)]
pub struct Exec {
    control: ExecControl,
    stream: Upgraded,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inspected {
    running: bool,
    exit_code: Option<i64>,
}

impl Exec {
    /// Starts `bash`, or `sh` where there is none, with a terminal of this size. `term` is its `TERM`.
    ///
    /// # Errors
    /// The daemon's own text: not running, paused, no shell in the image.
    pub async fn shell(
        docker: &Docker,
        key: ContainerKey,
        size: TerminalSize,
        term: &str,
    ) -> Result<Self, EngineError> {
        // One request decides: the image's own `sh` looks for bash. Only an image without `sh` and with
        // bash needs another try.
        let look = "command -v bash >/dev/null 2>&1 && exec bash || exec sh";
        match Self::start(docker, key, &["sh", "-c", look], size, term).await {
            Err(error) if no_such_program(&error) => {
                match Self::start(docker, key, &["bash"], size, term).await {
                    Err(again) if no_such_program(&again) => Err(EngineError::Status {
                        code: 400,
                        message: format!("no bash and no sh in this image: {error}"),
                    }),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// Starts a program with a terminal of this size.
    ///
    /// # Errors
    /// The daemon's own text.
    pub async fn start(
        docker: &Docker,
        key: ContainerKey,
        command: &[&str],
        size: TerminalSize,
        term: &str,
    ) -> Result<Self, EngineError> {
        let create = serde_json::json!({
            "AttachStdin": true,
            "AttachStdout": true,
            "AttachStderr": true,
            "Tty": true,
            "Cmd": command,
            "Env": [format!("TERM={term}")],
            "ConsoleSize": [size.rows, size.columns],
        });
        let path = format!("/containers/{}/exec", key.id);
        let answer = post(docker, &path, &create).await?;
        let created: Created = json::parse(&answer)?;
        if created.id.is_empty() || !created.id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(EngineError::Protocol("an exec without an id".into()));
        }
        let control = ExecControl {
            docker: docker.clone(),
            id: created.id,
        };
        let start = serde_json::json!({"Detach": false, "Tty": true});
        let request = request(&format!("/exec/{}/start", control.id), &start)?;
        let (_, stream) = docker.transport().upgrade(request, START_TIMEOUT).await?;
        // Engines before 1.42 do not know ConsoleSize. A program that ended at once has no size to set.
        let _ = control.resize(size).await;
        let mut exec = Self { control, stream };
        exec.check_started().await?;
        Ok(exec)
    }

    /// Some engines accept the start and then write why it failed into the stream: a program that is not
    /// there has ended with 126 or 127 before it wrote a byte of its own.
    async fn check_started(&mut self) -> Result<(), EngineError> {
        let state = self.control.inspect().await?;
        let code = state.exit_code.unwrap_or(0);
        if state.running || !NO_SUCH_PROGRAM.contains(&code) {
            return Ok(());
        }
        let mut text = Vec::new();
        let _ = tokio::time::timeout(
            REQUEST_TIMEOUT,
            (&mut self.stream).take(4096).read_to_end(&mut text),
        )
        .await;
        Err(EngineError::from_answer(400, &text))
    }

    /// What tells the size and the end.
    pub fn control(&self) -> ExecControl {
        self.control.clone()
    }

    /// What the program prints, and what it is told.
    pub fn split(
        self,
    ) -> (
        impl AsyncRead + Send + Unpin + use<>,
        impl AsyncWrite + Send + Unpin + use<>,
    ) {
        tokio::io::split(self.stream)
    }

    /// Carries bytes between a terminal and the program until it ends, and gives its exit status where the
    /// engine tells it. `sizes` gives the terminal's size whenever it changes. The terminal itself is left
    /// as it is: raw mode is the caller's.
    ///
    /// # Errors
    /// The connection or the terminal broke.
    pub async fn pump<R, W>(
        self,
        mut input: R,
        mut output: W,
        mut sizes: tokio::sync::watch::Receiver<TerminalSize>,
    ) -> Result<Option<i64>, EngineError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let control = self.control();
        let (mut from, mut to) = self.split();
        let printed = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let count = from.read(&mut buffer).await?;
                let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                    return std::io::Result::Ok(());
                };
                output.write_all(bytes).await?;
                output.flush().await?;
            }
        };
        let typed = async {
            let mut buffer = vec![0; 4096];
            loop {
                match input.read(&mut buffer).await {
                    // No more keys; what the program prints still counts.
                    Ok(0) | Err(_) => std::future::pending::<()>().await,
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default();
                        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                }
            }
        };
        let resized = async {
            while sizes.changed().await.is_ok() {
                let size = *sizes.borrow_and_update();
                let _ = control.resize(size).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = printed => ended.map_err(|e| EngineError::from_io(&e))?,
            () = typed => {}
            () = resized => {}
        }
        control.exit_code().await
    }
}

impl ExecControl {
    /// Tells the program's terminal its size.
    ///
    /// # Errors
    /// The daemon's own text.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), EngineError> {
        let path = format!(
            "/exec/{}/resize?h={}&w={}",
            self.id, size.rows, size.columns
        );
        post(&self.docker, &path, &serde_json::Value::Null)
            .await
            .map(|_| ())
    }

    async fn inspect(&self) -> Result<Inspected, EngineError> {
        let path = format!("/exec/{}/json", self.id);
        let body = self
            .docker
            .transport()
            .get(&path, REQUEST_TIMEOUT, MAX_ANSWER)
            .await?;
        json::parse(&body)
    }

    /// The exit status; `None` while it runs or where the engine does not tell.
    ///
    /// # Errors
    /// The daemon's own text.
    pub async fn exit_code(&self) -> Result<Option<i64>, EngineError> {
        let state = self.inspect().await?;
        Ok(state.exit_code.filter(|_| !state.running))
    }
}

fn no_such_program(error: &EngineError) -> bool {
    let EngineError::Status { message, .. } = error else {
        return false;
    };
    ["executable file not found", "no such file or directory"]
        .iter()
        .any(|words| message.contains(words))
}

fn request(path: &str, body: &serde_json::Value) -> Result<Request<Full<Bytes>>, EngineError> {
    let body = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    Request::post(path)
        .header(hyper::header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| EngineError::Protocol(e.to_string()))
}

async fn post(docker: &Docker, path: &str, body: &serde_json::Value) -> Result<Bytes, EngineError> {
    let response = docker
        .transport()
        .request(request(path, body)?, START_TIMEOUT)
        .await?;
    let response = transport::success(response, REQUEST_TIMEOUT).await?;
    transport::read_body(response.into_body(), REQUEST_TIMEOUT, MAX_ANSWER).await
}
