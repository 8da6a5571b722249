//! The engine's words on a pull, folded to how far it is. What comes in is a registry's and an engine's: lines,
//! layers and texts are bounded.

use std::collections::HashMap;

use crate::engine::json;
use crate::model::text::clean;

use super::{LayerProgress, PullProgress};

/// Longest line that is read; a longer one is passed over.
const MAX_LINE: usize = 64 * 1024;
/// Most layers that are told of (Docker's own limit is 127).
const MAX_LAYERS: usize = 512;
/// Characters of a layer's id, of its status, and of a line.
const MAX_ID: usize = 32;
const MAX_STATUS: usize = 80;
const MAX_TEXT: usize = 400;
/// The statuses of a layer that is fetched.
const FETCHED: [&str; 5] = [
    "Verifying Checksum",
    "Download complete",
    "Extracting",
    "Pull complete",
    "Already exists",
];

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(deserialize_with = "json::count")]
    current: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    total: Option<u64>,
    /// `s`: seconds, not bytes.
    #[serde(deserialize_with = "json::text")]
    units: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ErrorDetail {
    #[serde(deserialize_with = "json::text")]
    message: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(deserialize_with = "json::text")]
    status: Option<String>,
    #[serde(rename = "progressDetail", deserialize_with = "json::object")]
    detail: Detail,
    #[serde(deserialize_with = "json::text")]
    error: Option<String>,
    #[serde(rename = "errorDetail", deserialize_with = "json::object")]
    error_detail: ErrorDetail,
}

/// What a layer's bytes over the network are.
#[derive(Debug, Clone, Copy, Default)]
struct Fetched {
    bytes: u64,
    total: Option<u64>,
}

/// A pull so far.
#[derive(Debug, Default)]
pub(super) struct Fold {
    progress: PullProgress,
    places: HashMap<String, usize>,
    fetched: Vec<Fetched>,
    line: Vec<u8>,
    too_long: bool,
    error: Option<String>,
}

impl Fold {
    pub fn of(reference: &str) -> Self {
        Self {
            progress: PullProgress {
                reference: clean(reference, MAX_TEXT),
                ..PullProgress::default()
            },
            ..Self::default()
        }
    }

    pub fn progress(&self) -> &PullProgress {
        &self.progress
    }

    /// The engine's word that it failed, cleaned.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Whether the registry has been heard of: layers are known.
    pub fn begun(&self) -> bool {
        !self.progress.layers.is_empty()
    }

    /// Takes bytes, whatever their borders; whether anything is new.
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        let mut new = false;
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            self.keep(line);
            new |= self.end_line();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
        new
    }

    /// The end of the answer.
    pub fn finish(&mut self) {
        self.end_line();
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.line.len() + bytes.len() > MAX_LINE {
            self.too_long = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) || line.trim_ascii().is_empty() {
            return false;
        }
        match json::parse::<json::Object<Message>>(&line) {
            Ok(json::Object(Some(message))) => {
                self.take(message);
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, message: Message) {
        let said = message.error_detail.message.or(message.error);
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            let said = clean(&said, MAX_TEXT);
            self.progress.line.clone_from(&said);
            // The first is the cause of those after it.
            self.error.get_or_insert(said);
            return;
        }
        let status = message.status.unwrap_or_default();
        let id = message.id.unwrap_or_default();
        // The first word names the tag in the layers' place.
        if id.is_empty() || status.starts_with("Pulling from") {
            self.progress.line = clean(&status, MAX_TEXT);
            return;
        }
        let id = clean(&id, MAX_ID);
        let Some(place) = self.place(id) else { return };
        let status = clean(&status, MAX_STATUS);
        let in_bytes = message.detail.units.is_none_or(|units| units.is_empty());
        let (bytes, total) = match in_bytes {
            true => (
                message.detail.current,
                message.detail.total.filter(|n| *n > 0),
            ),
            false => (None, None),
        };
        if let Some(fetched) = self.fetched.get_mut(place) {
            if status == "Downloading" {
                fetched.total = total.or(fetched.total);
                fetched.bytes = bytes.unwrap_or(fetched.bytes);
            } else if FETCHED.contains(&status.as_str()) {
                // Extracting counts the same compressed bytes again.
                fetched.total = fetched.total.or(total);
                fetched.bytes = fetched.total.unwrap_or(fetched.bytes);
            }
        }
        if let Some(layer) = self.progress.layers.get_mut(place) {
            layer.status = status;
            layer.bytes = bytes.unwrap_or(0);
            layer.total_bytes = total;
        }
        let known = self
            .fetched
            .iter()
            .filter_map(|f| Some((f.bytes, f.total?)));
        let sums = known.fold((0u64, 0u64), |(bytes, total), (b, t)| {
            (bytes.saturating_add(b.min(t)), total.saturating_add(t))
        });
        (self.progress.bytes, self.progress.total_bytes) = sums;
    }

    /// A layer's place, a new one for a new layer; `None` beyond the bound.
    fn place(&mut self, id: String) -> Option<usize> {
        if let Some(place) = self.places.get(&id) {
            return Some(*place);
        }
        let place = self.progress.layers.len();
        if id.is_empty() || place >= MAX_LAYERS {
            return None;
        }
        self.progress.layers.push(LayerProgress {
            id: id.clone(),
            ..LayerProgress::default()
        });
        self.fetched.push(Fetched::default());
        self.places.insert(id, place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> Fold {
        let mut fold = Fold::of("r.io/x:1");
        fold.push(text.as_bytes());
        fold.finish();
        fold
    }

    fn layer(fold: &Fold, id: &str) -> LayerProgress {
        let layers = &fold.progress().layers;
        layers.iter().find(|l| l.id == id).unwrap().clone()
    }

    // As 20.10 says it.
    const BEGIN: &str = concat!(
        "{\"status\":\"Pulling from x\",\"id\":\"1\"}\r\n",
        "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"aaa\"}\r\n",
        "{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"ccc\"}\r\n",
        "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"bbb\"}\r\n",
        "{\"status\":\"Waiting\",\"progressDetail\":{},\"id\":\"bbb\"}\r\n",
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":30,\"total\":100},\"progress\":\"[>  ]\",\"id\":\"aaa\"}\r\n",
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":50},\"id\":\"bbb\"}\r\n",
    );

    #[test]
    fn layers_bytes_and_totals_are_told() {
        let fold = folded(BEGIN);
        let progress = fold.progress();
        assert_eq!((progress.bytes, progress.total_bytes), (35, 150));
        assert_eq!(progress.line, "Pulling from x");
        let ids: Vec<&str> = progress.layers.iter().map(|l| l.id.as_str()).collect();
        assert_eq!(ids, ["aaa", "ccc", "bbb"]);
        let first = layer(&fold, "aaa");
        assert_eq!((first.bytes, first.total_bytes), (30, Some(100)));
        assert_eq!(layer(&fold, "ccc").status, "Already exists");
    }

    #[test]
    fn what_is_fetched_stays_fetched_while_it_is_extracted() {
        let fold = folded(&format!(
            "{BEGIN}{}",
            concat!(
                "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"aaa\"}\n",
                "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":10,\"total\":100},\"id\":\"aaa\"}\n",
                // Engine 29: seconds.
                "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":3,\"units\":\"s\"},\"id\":\"ddd\"}\n",
                "{\"status\":\"Retrying in 5 seconds\",\"progressDetail\":{},\"id\":\"bbb\"}\n",
                "{\"status\":\"Status: Downloaded newer image for x:1\"}",
            )
        ));
        assert_eq!(fold.progress().bytes, 105);
        assert_eq!(fold.progress().total_bytes, 150);
        let first = layer(&fold, "aaa");
        assert_eq!((first.bytes, first.total_bytes), (10, Some(100)));
        assert_eq!(layer(&fold, "ddd").total_bytes, None);
        assert_eq!(layer(&fold, "bbb").status, "Retrying in 5 seconds");
        assert!(fold.progress().line.starts_with("Status: Downloaded"));
        assert_eq!(fold.error(), None);
    }

    #[test]
    fn the_first_error_is_kept_and_clean() {
        let fold = folded(concat!(
            "{\"errorDetail\":{\"message\":\"unexpected\\u001b[2J EOF\"},\"error\":\"unexpected EOF\"}\n",
            "{\"error\":\"context canceled\"}\n",
        ));
        assert_eq!(fold.error(), Some("unexpected EOF"));
        assert!(!fold.begun());
        assert!(folded(BEGIN).begun());
        assert_eq!(folded("{\"error\":\"plain\"}").error(), Some("plain"));
        assert_eq!(
            folded("{\"error\":\"\"}\n{\"error\":7}\n[]\nx\n").error(),
            None
        );
    }

    #[test]
    fn floods_stay_within_bounds() {
        let mut fold = Fold::of("x");
        for n in 0..2000 {
            let id = format!("{n}{}", "\u{1b}x".repeat(100));
            let line = serde_json::json!({"id": id, "status": "y".repeat(5000),
                "progressDetail": {"current": u64::MAX, "total": u64::MAX}});
            fold.push(format!("{line}\n").as_bytes());
        }
        // A line without an end, in pieces, then a good one.
        for _ in 0..100 {
            fold.push(&[b'z'; 10_000]);
            assert!(fold.line.len() <= MAX_LINE);
        }
        fold.push(b"\n{\"status\":\"good\"}\n");
        let progress = fold.progress();
        assert_eq!(progress.line, "good");
        assert_eq!(progress.layers.len(), MAX_LAYERS);
        assert!(progress.layers.iter().all(|l| {
            l.status.chars().count() <= MAX_STATUS
                && l.id.chars().count() <= MAX_ID
                && !l.id.contains('\u{1b}')
        }));
        for status in ["Downloading", "Extracting"] {
            let line = serde_json::json!({"id": "0x", "status": status,
                "progressDetail": {"current": u64::MAX, "total": u64::MAX}});
            fold.push(format!("{line}\n{line}\n").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_their_borders_do_not_matter(
            lines in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..60),
                    ("[a-c]{0,2}", "Downloading|Extracting|Pull complete|.{0,9}", any::<u64>(), any::<u64>()).prop_map(
                        |(id, status, current, total)| serde_json::json!({"id": id, "status": status,
                            "progressDetail": {"current": current, "total": total}}).to_string().into_bytes()),
                ],
                0..20,
            ),
            size in 1usize..50,
        ) {
            let bytes = lines.join(&b'\n');
            let mut whole = Fold::of("x");
            whole.push(&bytes);
            whole.finish();
            let mut parts = Fold::of("x");
            for part in bytes.chunks(size) {
                parts.push(part);
            }
            parts.finish();
            prop_assert_eq!(whole.progress(), parts.progress());
            prop_assert_eq!(whole.error(), parts.error());
            prop_assert!(whole.progress().bytes <= whole.progress().total_bytes);
        }
    }
}
