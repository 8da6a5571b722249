//! The simulated engine as a Docker API server over any byte stream, so that the engine module's own code
//! (list, events, logs, attach, shells) runs against it: in memory behind `--demo`, over a socket in tests.
//!
//! HTTP/1.1 with kept-alive connections, written by hand: a handful of endpoints and a client of our own.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::model::{ContainerCommand, ContainerKey, ImageId, Signal, Stamp};

use super::cast::{API_VERSION, ENGINE_VERSION};
use super::engine::ByteStream;
use super::made::LastEnd;
use super::request::Request;
use super::{DemoEngine, DemoError, DemoHost, DemoShell, LogQuery, Output, frame};

/// Bytes under way in each direction of an in-memory connection.
const PIPE: usize = 64 * 1024;
/// Longest head and longest body of a request, bytes.
const MAX_REQUEST: usize = 256 * 1024;
/// How often a quiet connection looks at its container.
const LOOK: Duration = Duration::from_millis(100);

/// A connection's end: the client went away, or the answer was the last.
type Ended = std::io::Result<bool>;

impl DemoHost {
    /// Opens an in-memory connection to the simulated engine. Needs a tokio runtime, on which it is served.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let engine = DemoEngine::new(self.clone());
        tokio::spawn(async move {
            // An error is a client that went away.
            let _ = serve(&engine, theirs).await;
        });
        ours
    }

    /// Serves one connection until it ends.
    ///
    /// # Errors
    /// When the client goes away in the middle of an answer.
    pub async fn serve<S>(&self, stream: S) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        serve(&DemoEngine::new(self.clone()), stream).await
    }
}

async fn serve<S>(engine: &DemoEngine, mut stream: S) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut ahead = BytesMut::new();
    loop {
        let Some(request) = read(&mut stream, &mut ahead).await? else {
            return Ok(());
        };
        if !answer(engine, &request, &mut stream, &mut ahead).await? {
            return stream.shutdown().await;
        }
    }
}

/// Reads one request; `None` at the end of the connection, and for what is no request.
async fn read<S>(stream: &mut S, ahead: &mut BytesMut) -> std::io::Result<Option<Request>>
where
    S: AsyncRead + Unpin,
{
    let mut request: Option<Request> = None;
    loop {
        if request.is_none()
            && let Some(end) = ahead.windows(4).position(|w| w == b"\r\n\r\n")
        {
            let head = ahead.split_to(end + 4);
            let Some(parsed) = Request::parse(&String::from_utf8_lossy(&head)) else {
                return Ok(None);
            };
            request = Some(parsed);
        }
        if let Some(known) = &mut request
            && ahead.len() >= known.length
        {
            known.body = ahead.split_to(known.length).to_vec();
            return Ok(request);
        }
        if ahead.len() > MAX_REQUEST || stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    }
}

async fn answer<S>(
    engine: &DemoEngine,
    request: &Request,
    stream: &mut S,
    ahead: &mut BytesMut,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let host = engine.host();
    let now = Stamp::now();
    let found = |name: &str| host.find(name, now);
    let done = match (request.method.as_str(), parts.as_slice()) {
        (_, ["_ping"]) => return whole(stream, request, 200, "text/plain", b"OK").await,
        ("GET", ["version"]) => Ok(host.version_json()),
        ("GET", ["info"]) => Ok(host.info_json(now)),
        ("GET", ["events"]) => return events(host, request, stream, ahead).await,
        ("GET", ["containers", "json"]) => Ok(list(host, request, now)),
        ("POST", ["containers", "create"]) => {
            match host.create(&request.json(), request.value("name"), now) {
                Ok(made) => return json_answer(stream, request, 201, &made).await,
                Err(error) => Err(error),
            }
        }
        ("POST", ["containers", id, "wait"]) => {
            match found(id).and_then(|key| Ok((key, host.last_end(key, now)?))) {
                Ok((key, first)) => return wait(host, key, first, request, stream, ahead).await,
                Err(error) => Err(error),
            }
        }
        ("POST", ["containers", id, "resize"]) => match found(id) {
            Ok(_) => return empty(stream, 200).await,
            Err(error) => Err(error),
        },
        ("POST", ["images", "create"]) => match pull(host, request, now) {
            Ok(body) => return chunked(stream, body, ahead).await,
            Err(error) => Err(error),
        },
        ("DELETE", ["containers", id]) if host.remove_scan(id, now) => {
            return empty(stream, 204).await;
        }
        ("GET", ["containers", id, "export"]) => match host.export(id, now) {
            Ok(body) => return chunked(stream, body, ahead).await,
            Err(error) => Err(error),
        },
        ("GET", ["containers", id, "json"]) => match host.scan_json(id, now) {
            Some(scan) => Ok(scan),
            None => found(id).and_then(|key| host.inspect_json(key, now)),
        },
        ("GET", ["containers", id, "stats"]) => found(id).and_then(|key| host.stats_json(key, now)),
        ("GET", ["containers", id, "logs"]) => match logs(engine, found(id), request).await {
            Ok(body) => return chunked(stream, body, ahead).await,
            Err(error) => Err(error),
        },
        ("POST", ["containers", id, "attach"]) => match attach(engine, found(id)).await {
            Ok(body) => return raw(stream, body, ahead, request.flag("stdin")).await,
            Err(error) => Err(error),
        },
        ("POST", ["containers", id, "exec"]) => {
            match found(id).and_then(|key| host.make_exec(key, &request.json(), now)) {
                Ok(made) => return json_answer(stream, request, 201, &json!({"Id": made})).await,
                Err(error) => Err(error),
            }
        }
        ("POST", ["exec", id, "start"]) => match host.start_exec(id, now) {
            Ok(shell) => return run_shell(host, id, shell, stream, ahead).await,
            Err(error) => Err(error),
        },
        ("POST", ["exec", _, "resize"]) => return empty(stream, 200).await,
        ("GET", ["exec", id, "json"]) => host.exec_json(id),
        ("POST", ["build"]) => Err(DemoError::new(
            501,
            "the simulated engine builds nothing: a real one is needed",
        )),
        ("GET", ["images", "json"]) => Ok(host.images_json(now)),
        ("GET", ["images", name @ .., "json"]) => {
            host.inspect_image_json(&ImageId(name.join("/").into()), now)
        }
        _ => match command(request, &parts) {
            Some((id, command)) => match act(engine, found(id), &command).await {
                Ok(status) => return empty(stream, status).await,
                Err(error) => Err(error),
            },
            None => Err(DemoError::new(404, "page not found")),
        },
    };
    match done {
        Ok(value) => json_answer(stream, request, 200, &value).await,
        Err(error) => {
            let body = json!({"message": error.message});
            json_answer(stream, request, error.status, &body).await
        }
    }
}

/// The action that a request asks for, and of whom.
fn command<'a>(request: &Request, parts: &[&'a str]) -> Option<(&'a str, ContainerCommand)> {
    let grace = || {
        let seconds = request.value("t").and_then(|t| t.parse().ok());
        seconds.map(Duration::from_secs)
    };
    let (id, command) = match (request.method.as_str(), parts) {
        ("DELETE", ["containers", id]) => {
            let (force, volumes) = (request.flag("force"), request.flag("v"));
            (id, ContainerCommand::Remove { force, volumes })
        }
        ("POST", ["containers", id, word]) => {
            let command = match *word {
                "start" => ContainerCommand::Start,
                "stop" => ContainerCommand::Stop { grace: grace() },
                "restart" => ContainerCommand::Restart { grace: grace() },
                "pause" => ContainerCommand::Pause,
                "unpause" => ContainerCommand::Unpause,
                "kill" => {
                    let asked = request.value("signal").unwrap_or("KILL");
                    let bare = asked.strip_prefix("SIG").unwrap_or(asked);
                    let signal = Signal::ALL.into_iter().find(|s| s.0 == bare)?;
                    ContainerCommand::Kill { signal }
                }
                "rename" => ContainerCommand::Rename {
                    to: request.value("name").unwrap_or_default().to_owned(),
                },
                _ => return None,
            };
            (id, command)
        }
        _ => return None,
    };
    Some((*id, command))
}

async fn act(
    engine: &DemoEngine,
    key: Result<ContainerKey, DemoError>,
    command: &ContainerCommand,
) -> Result<u16, DemoError> {
    engine.act(key?, command).await?;
    Ok(204)
}

/// The list, with the filter by id that a refresh of some rows uses.
fn list(host: &DemoHost, request: &Request, now: Stamp) -> Value {
    let all = request.flag("all");
    let filters: Value = request
        .value("filters")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    let wanted = |name: &str, value: &str, exact: bool| {
        // Both forms are in use: a list of values, and a map of them to booleans.
        let given: Vec<&str> = match filters.get(name) {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            Some(Value::Object(values)) => values.keys().map(String::as_str).collect(),
            _ => return true,
        };
        let hit = |given: &&str| {
            if exact {
                value == *given
            } else {
                value.starts_with(*given)
            }
        };
        given.iter().any(hit)
    };
    let labelled = |row: &Value| {
        let Some(Value::Array(given)) = filters.get("label") else {
            return true;
        };
        given.iter().filter_map(Value::as_str).all(|given| {
            let (name, value) = given
                .split_once('=')
                .map_or((given, None), |(name, value)| (name, Some(value)));
            let label = row.get("Labels").and_then(|labels| labels.get(name));
            label.is_some_and(|label| value.is_none_or(|value| label == value))
        })
    };
    let Value::Array(rows) = host.list_json(now) else {
        return json!([]);
    };
    rows.into_iter()
        .chain(host.scan_rows(now))
        .filter(|row| {
            let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            let state = text("State");
            let named = filters.get("status").is_some() || filters.get("id").is_some();
            (all || named || state == "running" || state == "paused")
                && wanted("id", text("Id"), false)
                && wanted("status", state, true)
                && labelled(row)
        })
        .collect()
}

async fn logs(
    engine: &DemoEngine,
    key: Result<ContainerKey, DemoError>,
    request: &Request,
) -> Result<ByteStream, DemoError> {
    let time = |name: &str| {
        request
            .value(name)
            .filter(|text| *text != "0")
            .and_then(moment)
    };
    let query = LogQuery {
        since: time("since"),
        until: time("until"),
        tail: request.value("tail").and_then(|n| n.parse().ok()),
    };
    let follow = request.flag("follow");
    engine
        .logs(key?, query, request.flag("timestamps"), follow)
        .await
}

/// `seconds[.nanoseconds]` since 1970, or RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let Ok(seconds) = whole.parse::<i64>() else {
        return text.parse().ok();
    };
    let digits: String = part.chars().chain("000000000".chars()).take(9).collect();
    Timestamp::new(seconds, digits.parse().ok()?).ok()
}

/// The words of a pull.
fn pull(host: &DemoHost, request: &Request, now: Stamp) -> Result<ByteStream, DemoError> {
    let name = request.value("fromImage").unwrap_or_default();
    let tag = request.value("tag").unwrap_or_default();
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => host.pull(name, tag, now),
        _ => host.pull(name, tag, now),
    }
}

/// Answers at once with a head, and with the exit status when there is one.
async fn wait<S>(
    host: &DemoHost,
    key: ContainerKey,
    first: LastEnd,
    request: &Request,
    stream: &mut S,
    ahead: &mut BytesMut,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let condition = request.value("condition").unwrap_or_default();
    start_chunks(stream).await?;
    loop {
        let last = host.last_end(key, Stamp::now()).ok();
        let over = last.is_none_or(|last| match condition {
            "removed" => last.gone,
            "next-exit" => last.gone || last.at != first.at,
            _ => !last.live,
        });
        if over {
            let code = last.map_or(0, |last| last.code);
            let answer = format!("{}\n", json!({"StatusCode": code}));
            chunk(stream, answer.as_bytes()).await?;
            stream.write_all(b"0\r\n\r\n").await?;
            return Ok(true);
        }
        if let Ok(read) = tokio::time::timeout(LOOK, stream.read_buf(ahead)).await
            && read? == 0
        {
            return Ok(false);
        }
    }
}

async fn attach(
    engine: &DemoEngine,
    key: Result<ContainerKey, DemoError>,
) -> Result<ByteStream, DemoError> {
    engine.attach(key?).await
}

/// The event stream: from `since` on what is remembered, then what comes.
async fn events<S>(
    host: &DemoHost,
    request: &Request,
    stream: &mut S,
    ahead: &mut BytesMut,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (past, mut events) =
        DemoEngine::new(host.clone()).events_since(request.value("since").and_then(moment));
    start_chunks(stream).await?;
    for event in past {
        let line = format!("{}\n", host.event_json(&event));
        chunk(stream, line.as_bytes()).await?;
    }
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => {
                    let line = format!("{}\n", host.event_json(&event));
                    chunk(stream, line.as_bytes()).await?;
                }
                // Some were missed: a stream that ends makes its reader list again.
                None => return Ok(false),
            },
            read = stream.read_buf(ahead) => if read? == 0 { return Ok(false) },
        }
    }
}

fn head(status: u16, more: &str) -> String {
    let reason = match status {
        101 => "UPGRADED",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        409 => "Conflict",
        _ => "Internal Server Error",
    };
    let date = Stamp::now().wall.strftime("%a, %d %b %Y %H:%M:%S GMT");
    format!(
        "HTTP/1.1 {status} {reason}\r\nApi-Version: {API_VERSION}\r\nServer: Docker/{ENGINE_VERSION} (linux)\r\n\
         Ostype: linux\r\nDate: {date}\r\n{more}\r\n"
    )
}

async fn empty<S: AsyncWrite + Unpin>(stream: &mut S, status: u16) -> Ended {
    let length = if status == 204 {
        ""
    } else {
        "Content-Length: 0\r\n"
    };
    stream.write_all(head(status, length).as_bytes()).await?;
    Ok(true)
}

async fn json_answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request,
    status: u16,
    value: &Value,
) -> Ended {
    let body = format!("{value}\n");
    whole(stream, request, status, "application/json", body.as_bytes()).await
}

async fn whole<S: AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request,
    status: u16,
    kind: &str,
    body: &[u8],
) -> Ended {
    let more = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    stream.write_all(head(status, &more).as_bytes()).await?;
    if request.method != "HEAD" {
        stream.write_all(body).await?;
    }
    Ok(true)
}

async fn start_chunks<S: AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    let head = head(200, "Transfer-Encoding: chunked\r\n");
    stream.write_all(head.as_bytes()).await
}

async fn chunk<S: AsyncWrite + Unpin>(stream: &mut S, data: &[u8]) -> std::io::Result<()> {
    if data.is_empty() {
        // An empty chunk would end the body.
        return Ok(());
    }
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend(data);
    bytes.extend(b"\r\n");
    stream.write_all(&bytes).await
}

/// A body as it comes; ends with it, or when the client goes away.
async fn chunked<S>(stream: &mut S, mut body: ByteStream, ahead: &mut BytesMut) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    start_chunks(stream).await?;
    loop {
        tokio::select! {
            data = body.next() => match data {
                Some(data) => chunk(stream, &data).await?,
                None => {
                    stream.write_all(b"0\r\n\r\n").await?;
                    return Ok(true);
                }
            },
            read = stream.read_buf(ahead) => if read? == 0 { return Ok(false) },
        }
    }
}

const UPGRADED: &str =
    "Content-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n";

/// An attached container: its output until it ends, what is typed goes nowhere. The end of what is typed
/// (`stdin`) is not the client's.
async fn raw<S>(stream: &mut S, mut body: ByteStream, ahead: &mut BytesMut, stdin: bool) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(head(101, UPGRADED).as_bytes()).await?;
    let mut typing = true;
    loop {
        tokio::select! {
            data = body.next() => match data {
                Some(data) => stream.write_all(&data).await?,
                None => return Ok(false),
            },
            read = stream.read_buf(ahead), if typing => {
                typing = read? > 0;
                if !typing && !stdin { return Ok(false) }
                ahead.clear();
            }
        }
    }
}

/// A shell: input to it, output from it, until one of the two ends.
async fn run_shell<S>(
    host: &DemoHost,
    id: &str,
    mut shell: DemoShell,
    stream: &mut S,
    ahead: &mut BytesMut,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(head(101, UPGRADED).as_bytes()).await?;
    loop {
        if ahead.has_remaining() {
            let typed = ahead.split();
            shell.input(&typed, Stamp::now());
        }
        let output = shell.take_output();
        if !output.is_empty() {
            if shell.has_tty() {
                stream.write_all(&output).await?;
            } else {
                stream.write_all(&frame(Output::Stdout, &output)).await?;
            }
        }
        if let Some(code) = shell.exit_code() {
            host.end_exec(id, code);
            return Ok(false);
        }
        match tokio::time::timeout(LOOK, stream.read_buf(ahead)).await {
            Ok(Ok(0)) => shell.close_input(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                host.end_exec(id, 137);
                return Err(error);
            }
            Err(_) => shell.check(Stamp::now()),
        }
    }
}
