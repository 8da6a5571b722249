//! Why an image could not be fetched, from the words of engines and registries.

use crate::engine::error::EngineError;
use crate::engine::registry::{HUB, Reference};
use crate::model::Problem;
use crate::model::text::clean;

/// What kind of failure a pull ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PullFault {
    /// The registry has no such repository, tag or digest.
    NoSuchImage,
    /// The registry wants a login, or refused the one it got, or says no to tell whether the image is there.
    Unauthorized,
    /// The registry cannot be reached.
    Unreachable,
    /// The registry's certificate is not trusted, or it does not speak TLS.
    Insecure,
    /// There is no room for the layers.
    DiskFull,
    /// It broke off in the middle.
    Cut,
    /// The registry lets this address or account fetch no more for now.
    RateLimit,
    /// The image is not there for that platform.
    NoPlatform,
    /// The engine is gone, or speaks nonsense.
    Engine,
    /// The caller wants no more.
    Cancelled,
    /// Anything else; the text says what.
    Other,
}

/// A pull that did not give an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullError {
    /// What was pulled.
    pub reference: Box<Reference>,
    /// What kind.
    pub fault: PullFault,
    /// The engine's own text, cleaned; empty for [`PullFault::Cancelled`].
    pub text: String,
    /// Whether credentials were sent.
    pub with_credentials: bool,
    /// Why none could be sent, where Docker's configuration has some that cannot be read.
    pub no_credentials: Option<Box<Problem>>,
}

impl std::error::Error for PullError {}

impl std::fmt::Display for PullError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem().fmt(f)
    }
}

impl PullError {
    /// What, why, and what to type or do.
    pub fn problem(&self) -> Problem {
        let name = clean(&self.reference.familiar(), 300);
        let host = match self.reference.host == HUB {
            true => "Docker Hub".to_owned(),
            false => clean(&self.reference.host, 200),
        };
        let login = clean(&self.reference.login(), 300);
        let text = &self.text;
        if let (PullFault::Unauthorized, Some(problem)) = (self.fault, &self.no_credentials) {
            return Problem {
                what: format!("cannot fetch {name}"),
                why: format!(
                    "{host} wants a login, and midwatch {}: {}",
                    problem.what, problem.why
                ),
                remedy: problem.remedy.clone(),
            };
        }
        let (why, remedy) = match self.fault {
            PullFault::NoSuchImage => (
                format!("{host} has no such image: {text}"),
                "check its name and tag".to_owned(),
            ),
            PullFault::Unauthorized if self.with_credentials => (
                format!("{host} refused the credentials: {text}"),
                format!("log in again: {login}"),
            ),
            PullFault::Unauthorized => (
                format!("{host} wants a login, or has no such image: {text}"),
                format!("check its name, or log in: {login}"),
            ),
            PullFault::Unreachable => (
                format!("the engine cannot reach {host}: {text}"),
                "check the network of the engine's machine, its name server and its proxy".to_owned(),
            ),
            PullFault::Insecure => (
                format!("the connection to {host} cannot be secured: {text}"),
                "put the registry's certificate into /etc/docker/certs.d on the engine's machine, or list it in insecure-registries of daemon.json".to_owned(),
            ),
            PullFault::DiskFull => (
                format!("the engine's disk is full: {text}"),
                "make room, for instance: docker image prune".to_owned(),
            ),
            PullFault::Cut => (
                format!("it broke off in the middle: {text}"),
                "try again: layers that are whole are not fetched a second time".to_owned(),
            ),
            PullFault::RateLimit => (
                format!("{host} lets no more be fetched for now: {text}"),
                match self.with_credentials {
                    true => "wait, or use another account or a mirror".to_owned(),
                    false => format!("wait, or log in for a higher limit: {login}"),
                },
            ),
            PullFault::NoPlatform => (
                text.clone(),
                "choose another platform, or an image that is made for it".to_owned(),
            ),
            PullFault::Engine => (
                format!("the engine is gone: {text}"),
                "see that it runs: docker info".to_owned(),
            ),
            PullFault::Cancelled => ("cancelled".to_owned(), String::new()),
            PullFault::Other => (text.clone(), String::new()),
        };
        Problem {
            what: format!("cannot fetch {name}"),
            why,
            remedy,
        }
    }
}

/// What words tell of each kind; the first that fits counts. From dockerd 20.10 to 29, containerd, Podman and
/// the registries' own error codes (distribution's `errcode`).
const WORDS: [(PullFault, &[&str]); 8] = [
    (
        PullFault::RateLimit,
        &["toomanyrequests", "rate limit", "too many requests"],
    ),
    (
        PullFault::DiskFull,
        &["no space left on device", "disk quota exceeded"],
    ),
    (
        PullFault::NoPlatform,
        &[
            "no matching manifest",
            "no match for platform",
            "does not match the specified platform",
            "no image found in image index for",
            "no image found in manifest list for",
        ],
    ),
    (
        PullFault::Unauthorized,
        &[
            "unauthorized",
            "no basic auth credentials",
            "authentication required",
            "access denied",
            "access to the resource is denied",
            "incorrect username or password",
            "authorization failed",
            "insufficient_scope",
            "403 forbidden",
            "invalid username/password",
        ],
    ),
    (
        PullFault::Insecure,
        &[
            "x509:",
            "certificate",
            "server gave http response to https client",
        ],
    ),
    (
        PullFault::NoSuchImage,
        &[
            "manifest unknown",
            "name unknown",
            "repository name not known",
            "not found",
            "does not exist",
        ],
    ),
    (
        PullFault::Cut,
        &[
            "unexpected eof",
            "connection reset",
            "broken pipe",
            "short read",
            "context canceled",
            "error pulling image configuration",
            "use of closed network connection",
        ],
    ),
    (
        PullFault::Unreachable,
        &[
            "connection refused",
            "no such host",
            "network is unreachable",
            "no route to host",
            "i/o timeout",
            "tls handshake timeout",
            "awaiting headers",
            "proxyconnect",
            "name resolution",
            "server misbehaving",
            "deadline exceeded",
            "dial tcp",
            ": eof",
        ],
    ),
];

/// The kind by the engine's text. `begun`: layers were already being fetched.
pub(super) fn of_text(text: &str, begun: bool) -> PullFault {
    let text = text.to_lowercase();
    let found = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)));
    match found {
        // The registry was there, and went away.
        Some((PullFault::Unreachable, _)) if begun => PullFault::Cut,
        Some((fault, _)) => *fault,
        None if text == "eof" => PullFault::Cut,
        None => PullFault::Other,
    }
}

/// The kind by the engine's answer.
pub(super) fn of_engine(error: &EngineError, begun: bool) -> PullFault {
    match error {
        EngineError::Status { code: 401, .. } => PullFault::Unauthorized,
        EngineError::Status { code: 429, .. } => PullFault::RateLimit,
        EngineError::Status { message, code } => match of_text(message, begun) {
            PullFault::Other if *code == 404 => PullFault::NoSuchImage,
            fault => fault,
        },
        _ => PullFault::Engine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PullFault as F;

    #[test]
    fn the_words_of_engines_and_registries_are_understood() {
        for (text, begun, want) in [
            (
                "manifest for x:2 not found: manifest unknown: manifest unknown",
                false,
                F::NoSuchImage,
            ),
            (
                "failed to resolve reference \"docker.io/library/x:9\": docker.io/library/x:9: not found",
                false,
                F::NoSuchImage,
            ),
            (
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                false,
                F::Unauthorized,
            ),
            (
                "Head \"http://127.0.0.1:5057/v2/t/bb/manifests/1\": no basic auth credentials",
                false,
                F::Unauthorized,
            ),
            (
                "unauthorized: authentication required",
                false,
                F::Unauthorized,
            ),
            (
                "Head \"https://r.io/v2/x/manifests/1\": unauthorized: incorrect username or password",
                false,
                F::Unauthorized,
            ),
            (
                "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                false,
                F::Unauthorized,
            ),
            (
                "Get \"http://127.0.0.1:5056/v2/\": dial tcp 127.0.0.1:5056: connect: connection refused",
                false,
                F::Unreachable,
            ),
            (
                "Get \"https://no.example/v2/\": dial tcp: lookup no.example on 10.0.0.2:53: no such host",
                false,
                F::Unreachable,
            ),
            (
                "Get \"https://r.io/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
                false,
                F::Unreachable,
            ),
            ("dial tcp 1.2.3.4:443: i/o timeout", true, F::Cut),
            ("Get \"https://r.io/v2/\": EOF", false, F::Unreachable),
            ("unexpected EOF", true, F::Cut),
            ("EOF", true, F::Cut),
            (
                "read tcp 1.2.3.4:5->6.7.8.9:443: read: connection reset by peer",
                true,
                F::Cut,
            ),
            (
                "Get \"https://r.io/v2/\": x509: certificate signed by unknown authority",
                false,
                F::Insecure,
            ),
            (
                "Get \"https://r.io/v2/\": http: server gave HTTP response to HTTPS client",
                false,
                F::Insecure,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit",
                false,
                F::RateLimit,
            ),
            (
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                false,
                F::NoPlatform,
            ),
            (
                "failed to register layer: Error processing tar file(exit status 1): write /x: no space left on device",
                true,
                F::DiskFull,
            ),
            (
                "layers from manifest don't match image configuration",
                true,
                F::Other,
            ),
        ] {
            assert_eq!(of_text(text, begun), want, "{text}");
        }
        let status = |code, message: &str| EngineError::Status {
            code,
            message: message.into(),
        };
        for (error, want) in [
            (status(404, "odd"), F::NoSuchImage),
            (status(401, "odd"), F::Unauthorized),
            (status(429, "odd"), F::RateLimit),
            (status(500, "odd"), F::Other),
            (EngineError::Refused, F::Engine),
        ] {
            assert_eq!(of_engine(&error, false), want, "{error:?}");
        }
    }

    #[test]
    fn every_kind_says_what_to_do() {
        let error = |fault, with_credentials, reference: &str| PullError {
            reference: Box::new(Reference::parse(reference).unwrap()),
            fault,
            text: "its words".into(),
            with_credentials,
            no_credentials: None,
        };
        for fault in [
            F::NoSuchImage,
            F::Unauthorized,
            F::Unreachable,
            F::Insecure,
            F::DiskFull,
            F::Cut,
            F::RateLimit,
            F::NoPlatform,
            F::Engine,
        ] {
            let problem = error(fault, false, "r.io/x:1").problem();
            assert_eq!(problem.what, "cannot fetch r.io/x:1");
            assert!(problem.why.contains("its words"), "{problem}");
            assert!(!problem.remedy.is_empty(), "{problem}");
        }
        for (reference, with, words) in [
            ("r.io:5/x", false, "log in: docker login r.io:5"),
            ("r.io:5/x", true, "log in again: docker login r.io:5"),
            ("x", true, "log in again: docker login"),
        ] {
            let problem = error(F::Unauthorized, with, reference).problem();
            assert!(problem.remedy.ends_with(words), "{problem}");
        }
        let problem = PullError {
            no_credentials: Some(Box::new(Problem {
                what: "cannot read the credentials".into(),
                why: "no such helper".into(),
                remedy: "install it".into(),
            })),
            ..error(F::Unauthorized, false, "r.io/x")
        };
        assert_eq!(
            problem.to_string(),
            "cannot fetch r.io/x:latest: r.io wants a login, and midwatch cannot read the credentials: no such \
             helper. install it"
        );
        let text = error(F::Cancelled, false, "x").to_string();
        assert_eq!(text, "cannot fetch x:latest: cancelled");
    }
}
