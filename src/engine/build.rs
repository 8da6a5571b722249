//! The engine's own builder: a context goes to it as it is read, its words come back line by line.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use super::docker::Docker;
use super::endpoint::{Endpoint, Target};
use super::error::EngineError;
use super::json;
use super::transport;
use crate::model::EngineInfo;
use crate::model::text::{clean, plain};

/// A build may take a day; whoever waits for less cancels it.
const DAY: Duration = Duration::from_secs(24 * 3600);
const ERROR_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest line of the engine's that is read; a longer one is left out.
const MAX_LINE: usize = 4 * 1024 * 1024;
/// Longest piece of its log that is passed on at once, in characters.
const MAX_TEXT: usize = 64 * 1024;
const MAX_ERROR: usize = 2000;

/// What the engine is asked to build from the context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildParams {
    /// The Dockerfile's path in the context.
    pub dockerfile: String,
    /// Names for the image.
    pub tags: Vec<String>,
    /// Build arguments; `None` leaves the Dockerfile's own default.
    pub args: Vec<(String, Option<String>)>,
    /// The stage to stop at.
    pub target: Option<String>,
    /// Whether nothing is taken from earlier builds.
    pub no_cache: bool,
    /// Whether newer base images are asked for.
    pub pull: bool,
    /// `linux/arm64`…
    pub platform: Option<String>,
    /// The network of its steps: `default`, `host`, `none` or a name.
    pub network: Option<String>,
}

/// A word of the engine's while it builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildWord {
    /// Some of its log: whole lines or parts of one.
    Text(String),
    /// The image.
    Image(String),
    /// A base image is fetched.
    Pull {
        /// The layer, or the image at the beginning and the end.
        id: Option<String>,
        /// `Downloading`, `Pull complete`…
        status: String,
        /// Bytes of the step.
        bytes: Option<u64>,
        /// Bytes there are.
        total_bytes: Option<u64>,
    },
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildFault {
    /// The build failed.
    #[error("{message}")]
    Failed {
        /// The engine's own text.
        message: String,
        /// How its command ended, where one did.
        exit_code: Option<i64>,
    },
    /// The caller wants no more.
    #[error("cancelled")]
    Cancelled,
    /// The engine did not do it.
    #[error("{0}")]
    Engine(#[from] EngineError),
}

/// How Docker's own command reaches the same engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CliReach {
    /// The context that is named to it.
    pub context: Option<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
}

impl CliReach {
    pub(super) fn to(endpoint: &Endpoint) -> Option<Self> {
        if let Some(context) = endpoint.context.as_ref().filter(|name| *name != "default") {
            return Some(Self {
                context: Some(context.clone()),
                env: Vec::new(),
            });
        }
        let host = |host: String| ("DOCKER_HOST".to_owned(), host);
        let env = match &endpoint.target {
            Target::Unix(path) => vec![host(format!("unix://{}", path.to_str()?))],
            Target::Tcp(authority) => vec![host(format!("tcp://{authority}"))],
            Target::Tls {
                authority,
                material,
            } => {
                let verify = if material.verify {
                    "DOCKER_TLS_VERIFY"
                } else {
                    "DOCKER_TLS"
                };
                vec![
                    host(format!("tcp://{authority}")),
                    (verify.to_owned(), "1".to_owned()),
                    (
                        "DOCKER_CERT_PATH".to_owned(),
                        material.folder.to_str()?.to_owned(),
                    ),
                ]
            }
            Target::Ssh(target) => vec![host(target.to_string())],
            Target::Simulated(_) => return None,
        };
        Some(Self { context: None, env })
    }
}

/// The context on its way, as a request's body.
struct Sending(mpsc::Receiver<std::io::Result<Bytes>>);

impl Body for Sending {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| {
            piece.map(|piece| match piece {
                Ok(bytes) => Ok(Frame::data(bytes)),
                Err(error) => Err(error.into()),
            })
        })
    }
}

impl Docker {
    /// See [`super::Engine::build`].
    pub(super) async fn build(
        &self,
        params: &BuildParams,
        registries: Option<&str>,
        context: mpsc::Receiver<std::io::Result<Bytes>>,
        told: &mut (dyn FnMut(BuildWord) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), BuildFault> {
        let mut request = Request::post(format!("/build?{}", query(params)))
            .header(hyper::header::CONTENT_TYPE, "application/x-tar");
        if let Some(registries) = registries {
            request = request.header("X-Registry-Config", registries);
        }
        let request = request
            .body(Sending(context).boxed_unsync())
            .map_err(|e| EngineError::Protocol(clean(&e.to_string(), MAX_ERROR)))?;
        tokio::pin!(stop);
        // What is dropped here takes its connection along: the engine then stops the build and removes what
        // it runs in.
        let answer = tokio::select! {
            biased;
            () = &mut stop => return Err(BuildFault::Cancelled),
            answer = self.transport().send(request, DAY) => answer?,
        };
        let mut body = transport::success(answer, ERROR_TIMEOUT).await?.into_body();
        let mut lines = Lines::default();
        let mut failed = None;
        loop {
            let piece = tokio::select! {
                biased;
                () = &mut stop => return Err(BuildFault::Cancelled),
                piece = transport::next_data(&mut body, None) => piece,
            };
            let piece = match piece {
                Some(piece) => piece?,
                None => break,
            };
            lines.push(&piece, &mut |line| match Said::read(line) {
                Some(Said::Word(word)) => told(word),
                Some(Said::Failed(fault)) => failed = Some(fault),
                None => {}
            });
        }
        failed.map_or(Ok(()), Err)
    }

    /// Which engine it is, for the choice of a builder.
    pub(super) async fn about(&self) -> Result<EngineInfo, EngineError> {
        let mut info = EngineInfo::default();
        self.facts().await?.apply(&mut info);
        Ok(info)
    }
}

/// Cuts the answer into lines.
#[derive(Default)]
struct Lines {
    begun: BytesMut,
    /// Whether the line is too long and is skipped.
    skipping: bool,
}

impl Lines {
    fn push(&mut self, mut piece: &[u8], line: &mut dyn FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (head, rest) = piece.split_at(end);
            piece = rest.get(1..).unwrap_or_default();
            if !std::mem::take(&mut self.skipping) {
                self.begun.extend_from_slice(head);
                line(&self.begun);
            }
            self.begun.clear();
        }
        if self.skipping {
            return;
        }
        self.begun.extend_from_slice(piece);
        if self.begun.len() > MAX_LINE {
            self.skipping = true;
            self.begun = BytesMut::new();
        }
    }
}

enum Said {
    Word(BuildWord),
    Failed(BuildFault),
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Line {
    #[serde(deserialize_with = "json::text")]
    stream: Option<String>,
    #[serde(deserialize_with = "json::object")]
    aux: Aux,
    #[serde(deserialize_with = "json::text")]
    status: Option<String>,
    #[serde(deserialize_with = "json::text")]
    id: Option<String>,
    #[serde(rename = "progressDetail", deserialize_with = "json::object")]
    progress: Progress,
    #[serde(deserialize_with = "json::text")]
    error: Option<String>,
    #[serde(rename = "errorDetail", deserialize_with = "json::object")]
    detail: Detail,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Aux {
    #[serde(rename = "ID", deserialize_with = "json::text")]
    id: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Progress {
    #[serde(deserialize_with = "json::count")]
    current: Option<u64>,
    #[serde(deserialize_with = "json::count")]
    total: Option<u64>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(deserialize_with = "json::int")]
    code: Option<i64>,
    #[serde(deserialize_with = "json::text")]
    message: Option<String>,
}

impl Said {
    fn read(line: &[u8]) -> Option<Self> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let line: Line = json::parse(line).ok()?;
        if let Some(message) = line.error.or(line.detail.message) {
            return Some(Self::Failed(BuildFault::Failed {
                message: clean(&message, MAX_ERROR),
                exit_code: line.detail.code.filter(|code| *code != 0),
            }));
        }
        if let Some(text) = line.stream {
            return Some(Self::Word(BuildWord::Text(
                text.chars().take(MAX_TEXT).collect(),
            )));
        }
        if let Some(id) = line.aux.id {
            return Some(Self::Word(BuildWord::Image(clean(&id, 128))));
        }
        let status = plain(&line.status?, 200);
        Some(Self::Word(BuildWord::Pull {
            id: line.id.map(|id| clean(&id, 80)),
            status,
            bytes: line.progress.current,
            total_bytes: line.progress.total.filter(|total| *total > 0),
        }))
    }
}

/// The query of a build. Containers of its steps are removed however it ends.
fn query(params: &BuildParams) -> String {
    let mut pairs: Vec<(&str, String)> = vec![
        ("dockerfile", params.dockerfile.clone()),
        ("rm", "1".to_owned()),
        ("forcerm", "1".to_owned()),
    ];
    pairs.extend(params.tags.iter().map(|tag| ("t", tag.clone())));
    if !params.args.is_empty() {
        let args: serde_json::Map<String, serde_json::Value> = params
            .args
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        pairs.push(("buildargs", serde_json::Value::Object(args).to_string()));
    }
    let optional = [
        ("target", &params.target),
        ("platform", &params.platform),
        ("networkmode", &params.network),
    ];
    for (name, value) in optional {
        pairs.extend(value.iter().map(|value| (name, value.clone())));
    }
    for (name, set) in [("nocache", params.no_cache), ("pull", params.pull)] {
        if set {
            pairs.push((name, "1".to_owned()));
        }
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_dockers() {
        let params = BuildParams {
            dockerfile: "docker/gpu.Dockerfile".into(),
            tags: vec!["a/b:1".into(), "c".into()],
            args: vec![
                ("V".into(), Some("a&b \"c\"".into())),
                ("NONE".into(), None),
            ],
            target: Some("final".into()),
            no_cache: true,
            pull: true,
            platform: Some("linux/arm64".into()),
            network: Some("host".into()),
        };
        assert_eq!(
            query(&params),
            "dockerfile=docker%2Fgpu.Dockerfile&rm=1&forcerm=1&t=a%2Fb%3A1&t=c&buildargs=%7B%22NONE%22%3Anull%2C%22V%22%3A%22a%26b%20%5C%22c%5C%22%22%7D&target=final&platform=linux%2Farm64&networkmode=host&nocache=1&pull=1"
        );
        assert_eq!(query(&BuildParams::default()), "dockerfile=&rm=1&forcerm=1");
    }

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut |line| {
                out.push(match Said::read(line) {
                    Some(Said::Word(word)) => format!("{word:?}"),
                    Some(Said::Failed(fault)) => format!("{fault:?}"),
                    None => "nothing".to_owned(),
                });
            });
        }
        out
    }

    #[test]
    fn the_engines_words_are_read_in_whatever_pieces_they_come() {
        let text = concat!(
            "{\"stream\":\"Step 1/2 : FROM a\"}\r\n",
            "{\"stream\":\"\\n\"}\n\n",
            "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":9},\"id\":\"ab\"}\n",
            "{\"aux\":{\"ID\":\"sha256:12\"}}\n",
            "no json\n",
            "{\"errorDetail\":{\"code\":3,\"message\":\"x\"},\"error\":\"it returned 3\"}\n",
        );
        let want = [
            "Text(\"Step 1/2 : FROM a\")",
            "Text(\"\\n\")",
            "nothing",
            "Pull { id: Some(\"ab\"), status: \"Downloading\", bytes: Some(5), total_bytes: Some(9) }",
            "Image(\"sha256:12\")",
            "nothing",
            "Failed { message: \"it returned 3\", exit_code: Some(3) }",
        ];
        assert_eq!(all(&[text.as_bytes()]), want);
        for cut in [1, 7, 40] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            assert_eq!(all(&pieces), want, "{cut}");
        }
    }

    #[test]
    fn a_line_without_end_is_left_out_and_costs_no_memory() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            lines.push(&piece, &mut |_| panic!("no line"));
            assert!(lines.begun.len() <= MAX_LINE);
        }
        let mut seen = Vec::new();
        lines.push(b"\n{\"stream\":\"y\"}\n", &mut |line| {
            seen.push(line.to_vec());
        });
        assert_eq!(seen, [b"{\"stream\":\"y\"}".to_vec()]);
    }
}
