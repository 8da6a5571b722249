//! Which endpoint a request is for.

use crate::Request;

/// What is asked of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `start`.
    Start,
    /// `stop`, with the grace in seconds where one was given.
    Stop(Option<i64>),
    /// `restart`, likewise.
    Restart(Option<i64>),
    /// `pause`.
    Pause,
    /// `unpause`.
    Unpause,
    /// `kill`, with the signal as given.
    Kill(String),
    /// `DELETE`, forced or not.
    Remove(bool),
    /// `rename`.
    Rename(String),
}

/// An endpoint; names and ids as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/_ping`.
    Ping,
    /// `/version`.
    Version,
    /// `/info`.
    Info,
    /// `/events`.
    Events,
    /// `/containers/json`.
    List,
    /// `/containers/ID/json`.
    Inspect(String),
    /// `/containers/ID/stats`.
    Stats(String),
    /// `/containers/ID/logs`.
    Logs(String),
    /// `/containers/ID/export`.
    Export(String),
    /// `/containers/ID/attach`.
    Attach(String),
    /// `/containers/ID/exec`.
    ExecCreate(String),
    /// `/exec/ID/start`.
    ExecStart(String),
    /// `/exec/ID/resize`.
    ExecResize(String),
    /// `/exec/ID/json`.
    ExecInspect(String),
    /// `/images/json`.
    Images,
    /// `/images/NAME/json`.
    InspectImage(String),
    /// An action.
    Act(String, Action),
    /// No endpoint of these.
    Unknown,
}

/// Reads a request's method and path.
pub fn route(request: &Request) -> Route {
    let path = request.path.trim_matches('/');
    let seconds = || request.query.get("t").and_then(|t| t.parse().ok());
    if let Some(name) = path
        .strip_prefix("images/")
        .and_then(|rest| rest.strip_suffix("/json"))
    {
        return Route::InspectImage(name.to_owned());
    }
    let parts: Vec<&str> = path.split('/').collect();
    let act = |id: &str, action| Route::Act(id.to_owned(), action);
    match (request.method.as_str(), parts.as_slice()) {
        ("GET" | "HEAD", ["_ping"]) => Route::Ping,
        ("GET", ["version"]) => Route::Version,
        ("GET", ["info"]) => Route::Info,
        ("GET", ["events"]) => Route::Events,
        ("GET", ["images", "json"]) => Route::Images,
        ("GET", ["containers", "json"]) => Route::List,
        ("GET", ["containers", id, "json"]) => Route::Inspect((*id).to_owned()),
        ("GET", ["containers", id, "stats"]) => Route::Stats((*id).to_owned()),
        ("GET", ["containers", id, "logs"]) => Route::Logs((*id).to_owned()),
        ("GET", ["containers", id, "export"]) => Route::Export((*id).to_owned()),
        ("POST", ["containers", id, "attach"]) => Route::Attach((*id).to_owned()),
        ("POST", ["containers", id, "exec"]) => Route::ExecCreate((*id).to_owned()),
        ("POST", ["exec", id, "start"]) => Route::ExecStart((*id).to_owned()),
        ("POST", ["exec", id, "resize"]) => Route::ExecResize((*id).to_owned()),
        ("GET", ["exec", id, "json"]) => Route::ExecInspect((*id).to_owned()),
        ("DELETE", ["containers", id]) => act(id, Action::Remove(request.flag("force"))),
        ("POST", ["containers", id, "start"]) => act(id, Action::Start),
        ("POST", ["containers", id, "stop"]) => act(id, Action::Stop(seconds())),
        ("POST", ["containers", id, "restart"]) => act(id, Action::Restart(seconds())),
        ("POST", ["containers", id, "pause"]) => act(id, Action::Pause),
        ("POST", ["containers", id, "unpause"]) => act(id, Action::Unpause),
        ("POST", ["containers", id, "kill"]) => {
            let signal = request.query.get("signal").cloned();
            act(id, Action::Kill(signal.unwrap_or_else(|| "KILL".into())))
        }
        ("POST", ["containers", id, "rename"]) => {
            let name = request.query.get("name").cloned();
            act(id, Action::Rename(name.unwrap_or_default()))
        }
        _ => Route::Unknown,
    }
}
