//! The engine's event stream: what is asked for, how its JSON is cut and read, and what an event alone
//! already says of a row. Pure.

use jiff::Timestamp;

use crate::model::text::clean;
use crate::model::{
    Container, ContainerId, ContainerKey, ContainerState, EngineEvent, EventKind, HealthState,
    HostId,
};

use super::error::EngineError;
use super::json;

/// What is asked for, in Docker's words. dockerd compares by prefix as soon as `health_status` is among
/// them (its words carry a state behind a colon), and no unwanted word begins with one of these.
const CONTAINER_EVENTS: [&str; 13] = [
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "stop",
    "pause",
    "unpause",
    "restart",
    "destroy",
    "rename",
    "update",
    "health_status",
];
const IMAGE_EVENTS: [&str; 6] = ["pull", "tag", "untag", "delete", "import", "load"];
/// Longest single event, bytes: its attributes hold all labels of a container.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// The path that opens the stream from `since` on (by the engine's clock). Podman's own words differ from
/// those that its compatible stream gives, so there all events of the two types are taken.
pub(super) fn path(since: Option<Timestamp>, podman: bool) -> String {
    let mut filters = String::from(r#"{"type":["container","image"]"#);
    if !podman {
        let words: Vec<String> = CONTAINER_EVENTS
            .iter()
            .chain(&IMAGE_EVENTS)
            .map(|word| format!("\"{word}\""))
            .collect();
        filters.push_str(&format!(",\"event\":[{}]", words.join(",")));
    }
    filters.push('}');
    let filters: String = filters
        .chars()
        .map(|c| match c {
            '{' => "%7B".into(),
            '}' => "%7D".into(),
            '"' => "%22".into(),
            '[' => "%5B".into(),
            ']' => "%5D".into(),
            ':' => "%3A".into(),
            c => c.to_string(),
        })
        .collect();
    match since {
        None => format!("/events?filters={filters}"),
        Some(since) => format!(
            "/events?since={}.{:09}&filters={filters}",
            since.as_second(),
            since.subsec_nanosecond().max(0)
        ),
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(rename = "Type", deserialize_with = "json::text")]
    kind: Option<String>,
    #[serde(rename = "Action", deserialize_with = "json::text")]
    action: Option<String>,
    #[serde(rename = "Actor", deserialize_with = "json::object")]
    actor: Actor,
    #[serde(deserialize_with = "json::int")]
    time: Option<i64>,
    #[serde(rename = "timeNano", deserialize_with = "json::int")]
    time_nano: Option<i64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Actor {
    #[serde(rename = "ID", deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(rename = "Attributes", deserialize_with = "json::object")]
    attributes: Attributes,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "json::text")]
    name: Option<String>,
    #[serde(rename = "exitCode", deserialize_with = "json::int")]
    exit_code: Option<i64>,
    #[serde(rename = "containerExitCode", deserialize_with = "json::int")]
    podman_exit_code: Option<i64>,
    #[serde(deserialize_with = "json::text")]
    signal: Option<String>,
    #[serde(rename = "midwatch.scan", deserialize_with = "json::text")]
    scan: Option<String>,
}

/// An event, and whether its container carries a scan's label (which an image may carry, too).
#[derive(Debug)]
pub(super) struct Told {
    pub event: EngineEvent,
    pub labelled: bool,
}

/// Cuts the stream into events, wherever its pieces are cut.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    buffer: Vec<u8>,
}

impl Cutter {
    /// Takes a piece and gives the events that are whole now; those that mean nothing to us are left out.
    /// An error is text that no engine sends.
    pub fn push(&mut self, piece: &[u8], host: HostId) -> Result<Vec<Told>, EngineError> {
        self.buffer.extend_from_slice(piece);
        let mut events = Vec::new();
        let mut raws =
            serde_json::Deserializer::from_slice(&self.buffer).into_iter::<json::Object<Raw>>();
        let mut used = 0;
        loop {
            match raws.next() {
                None => {
                    used = self.buffer.len();
                    break;
                }
                Some(Ok(raw)) => {
                    used = raws.byte_offset();
                    events.extend(raw.0.and_then(|raw| event(raw, host)));
                }
                Some(Err(error)) if error.is_eof() => break,
                Some(Err(error)) => {
                    return Err(EngineError::Protocol(clean(
                        &format!("the event stream is not JSON: {error}"),
                        300,
                    )));
                }
            }
        }
        self.buffer.drain(..used);
        if self.buffer.len() > MAX_EVENT {
            return Err(EngineError::Protocol("an event without an end".into()));
        }
        Ok(events)
    }
}

fn event(raw: Raw, host: HostId) -> Option<Told> {
    let labelled = raw.actor.attributes.scan.is_some();
    Some(Told {
        event: read(raw, host)?,
        labelled,
    })
}

fn read(raw: Raw, host: HostId) -> Option<EngineEvent> {
    let time = match (raw.time_nano, raw.time) {
        (Some(nano), _) => Timestamp::from_nanosecond(i128::from(nano)).ok()?,
        (None, Some(seconds)) => Timestamp::from_second(seconds).ok()?,
        (None, None) => return None,
    };
    let action = raw.action.unwrap_or_default();
    let attributes = raw.actor.attributes;
    let name = attributes.name.map(|name| clean(&name, 512));
    if raw.kind.as_deref() == Some("image") {
        return Some(EngineEvent {
            time,
            container: None,
            name: name.or_else(|| raw.actor.id.map(|id| clean(&id, 128))),
            kind: EventKind::Image,
        });
    }
    if raw.kind.as_deref() != Some("container") {
        return None;
    }
    let kind = match action.split_once(':') {
        Some(("health_status", state)) => EventKind::Health(clean(state, 64)),
        Some(_) => return None,
        None => match action.as_str() {
            "create" => EventKind::Create,
            "start" | "init" => EventKind::Start,
            "die" | "died" => EventKind::Die(attributes.exit_code.or(attributes.podman_exit_code)),
            "oom" => EventKind::Oom,
            "kill" => EventKind::Kill(attributes.signal.map(|s| clean(&s, 32))),
            "stop" => EventKind::Stop,
            "pause" => EventKind::Pause,
            "unpause" => EventKind::Unpause,
            "restart" => EventKind::Restart,
            "destroy" | "remove" => EventKind::Destroy,
            "rename" => EventKind::Rename,
            "update" => EventKind::Update,
            _ => return None,
        },
    };
    Some(EngineEvent {
        time,
        container: Some(ContainerKey {
            host,
            id: ContainerId::parse(raw.actor.id.as_deref()?)?,
        }),
        name,
        kind,
    })
}

/// Puts what an event alone says into a row, so that it shows before the engine is asked again. Says
/// whether anything changed.
pub(super) fn hint(row: &mut Container, event: &EngineEvent) -> bool {
    let before = (row.state, row.health, row.name.clone());
    match &event.kind {
        EventKind::Start | EventKind::Restart => enter(row, ContainerState::Running, None),
        EventKind::Die(code) => enter(row, ContainerState::Exited, *code),
        EventKind::Pause => enter(row, ContainerState::Paused, None),
        EventKind::Unpause => row.state = ContainerState::Running,
        EventKind::Rename => {
            if let Some(name) = event.name.as_deref() {
                row.name = name.strip_prefix('/').unwrap_or(name).to_owned();
            }
        }
        EventKind::Health(state) => row.health = HealthState::parse(state),
        EventKind::Create
        | EventKind::Oom
        | EventKind::Kill(_)
        | EventKind::Stop
        | EventKind::Destroy
        | EventKind::Update
        | EventKind::Image => {}
    }
    before != (row.state, row.health, row.name.clone())
}

/// Puts a row into a state of which the list does not tell yet, with a status line as the engine's would be.
pub(super) fn enter(row: &mut Container, state: ContainerState, code: Option<i64>) {
    row.state = state;
    match state {
        ContainerState::Running => {
            row.health = None;
            row.status = "Up Less than a second".into();
        }
        ContainerState::Exited => {
            row.health = None;
            row.status = match code {
                Some(code) => format!("Exited ({code}) Less than a second ago"),
                None => "Exited Less than a second ago".into(),
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b35b3ae37fec5dd98070d814ab338b0d5f169c91883e20a775af092d6937eb0";

    /// As engine 20.10 sends it.
    fn line(action: &str, extra: &str) -> String {
        format!(
            r#"{{"status":"{action}","id":"{ID}","from":"busybox","Type":"container","Action":"{action}","Actor":{{"ID":"{ID}","Attributes":{{"image":"busybox","name":"probe"{extra}}}}},"scope":"local","time":1795450963,"timeNano":1795450963725779002}}"#
        ) + "\n"
    }

    fn kinds(text: &str) -> Vec<EventKind> {
        let events = Cutter::default().push(text.as_bytes(), HostId(0)).unwrap();
        events.into_iter().map(|e| e.event.kind).collect()
    }

    #[test]
    fn the_words_of_docker_and_podman_are_read_and_noise_is_left_out() {
        let cases = [
            (line("create", ""), Some(EventKind::Create)),
            (line("start", ""), Some(EventKind::Start)),
            (
                line("die", r#","exitCode":"137""#),
                Some(EventKind::Die(Some(137))),
            ),
            (
                line("died", r#","containerExitCode":"1""#),
                Some(EventKind::Die(Some(1))),
            ),
            (line("die", ""), Some(EventKind::Die(None))),
            (
                line("kill", r#","signal":"15""#),
                Some(EventKind::Kill(Some("15".into()))),
            ),
            (
                line("health_status: healthy", ""),
                Some(EventKind::Health("healthy".into())),
            ),
            (line("destroy", ""), Some(EventKind::Destroy)),
            (line("remove", ""), Some(EventKind::Destroy)),
            (line("exec_create: sh", ""), None),
            (line("exec_die", ""), None),
            (line("top", ""), None),
            (line("attach", ""), None),
            (
                r#"{"Type":"network","Action":"connect","time":1}"#.into(),
                None,
            ),
            (
                r#"{"Type":"image","Action":"pull","Actor":{"ID":"nginx:1"},"time":1}"#.into(),
                Some(EventKind::Image),
            ),
            ("null 5 \"x\" []".into(), None),
        ];
        for (text, want) in cases {
            assert_eq!(kinds(&text), want.into_iter().collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn a_scans_label_is_told() {
        let labelled = |extra: &str| {
            let text = line("create", extra);
            let told = Cutter::default().push(text.as_bytes(), HostId(0)).unwrap();
            told[0].labelled
        };
        assert!(labelled(r#","midwatch.scan":"box-1""#));
        assert!(!labelled(""));
    }

    #[test]
    fn events_come_out_whole_wherever_the_stream_is_cut() {
        let text = line("create", "") + &line("start", "") + line("die", "").trim_end();
        for cut in 0..text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            let mut cutter = Cutter::default();
            let mut events = cutter.push(head, HostId(0)).unwrap();
            events.extend(cutter.push(tail, HostId(0)).unwrap());
            assert_eq!(events.len(), 3, "cut at {cut}");
            assert!(cutter.buffer.is_empty());
        }
    }

    #[test]
    fn nonsense_and_endless_events_are_errors() {
        assert!(Cutter::default().push(b"<html>", HostId(0)).is_err());
        let mut cutter = Cutter::default();
        assert!(cutter.push(br#"{"x":""#, HostId(0)).unwrap().is_empty());
        assert!(cutter.push(&vec![b'a'; MAX_EVENT + 1], HostId(0)).is_err());
    }

    #[test]
    fn the_path_asks_for_no_noise() {
        let docker = path(Some("2026-01-01T00:00:00.5Z".parse().unwrap()), false);
        assert!(
            docker.starts_with("/events?since=1767225600.500000000&filters=%7B%22type%22"),
            "{docker}"
        );
        assert!(docker.contains("health_status") && !docker.contains("exec"));
        assert!(!path(None, true).contains("event%22"));
        assert!(
            path(None, true).parse::<hyper::Uri>().is_ok() && docker.parse::<hyper::Uri>().is_ok()
        );
    }

    #[test]
    fn a_row_follows_its_events() {
        let json =
            format!(r#"[{{"Id":"{ID}","Names":["/a"],"State":"created","Status":"Created"}}]"#);
        let mut row = super::super::convert::list(json.as_bytes(), HostId(0))
            .unwrap()
            .containers
            .remove(0);
        let mut apply = |kind, name: Option<&str>| {
            let event = EngineEvent {
                time: Timestamp::UNIX_EPOCH,
                container: Some(row.key),
                name: name.map(str::to_owned),
                kind,
            };
            let changed = hint(&mut row, &event);
            (changed, row.state, row.name.clone(), row.exit_code())
        };
        use ContainerState as S;
        assert_eq!(
            apply(EventKind::Start, None),
            (true, S::Running, "a".into(), None)
        );
        assert_eq!(
            apply(EventKind::Start, None),
            (false, S::Running, "a".into(), None)
        );
        assert_eq!(
            apply(EventKind::Pause, None),
            (true, S::Paused, "a".into(), None)
        );
        assert_eq!(
            apply(EventKind::Die(Some(3)), None),
            (true, S::Exited, "a".into(), Some(3))
        );
        assert_eq!(
            apply(EventKind::Rename, Some("b")),
            (true, S::Exited, "b".into(), Some(3))
        );
        assert!(!apply(EventKind::Oom, None).0);
    }
}
