//! Fetching an image from a registry.

mod fault;
mod progress;

use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper::Request;
use serde_json::{Value, json};

use crate::model::ImageId;

use super::Engine;
use super::create::encoded;
use super::docker::{Docker, in_path};
use super::endpoint::Env;
use super::error::EngineError;
use super::registry::{Credentials, Reference, RegistryConfig};

pub use fault::{PullError, PullFault};

use progress::Fold;

/// Longest silence of the engine: a layer may be slow, and extracting a large one tells nothing.
const IDLE: Duration = Duration::from_secs(600);
/// A silence is asked after by a ping this often.
const QUIET: Duration = Duration::from_secs(20);
/// Between two looks at whether to stop, and between two words of progress.
const LOOK: Duration = Duration::from_millis(100);

/// How far a pull is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// What is pulled.
    pub reference: String,
    /// The layers, in the order of their first mention.
    pub layers: Vec<LayerProgress>,
    /// Bytes fetched of the layers whose size is known.
    pub bytes: u64,
    /// Bytes of the layers whose size is known.
    pub total_bytes: u64,
    /// The newest line that is of no layer.
    pub line: String,
}

/// One layer of a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerProgress {
    /// Its short id.
    pub id: String,
    /// The engine's word: `Downloading`, `Extracting`, `Pull complete`…
    pub status: String,
    /// Bytes done of the present step.
    pub bytes: u64,
    /// Bytes of the present step, where told.
    pub total_bytes: Option<u64>,
}

/// Where credentials are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Logins<'a> {
    /// Environment and home of who asks.
    pub env: &'a Env,
    /// Whether the engine is Podman: its own file of credentials goes first.
    pub podman: bool,
}

impl Engine {
    /// Has the engine fetch an image, and gives its id. `platform` (`linux/arm64`) picks one of an image of
    /// several. `told` hears of progress, at most ten times a second; `cancelled` is asked as often. To
    /// cancel, and to drop the future, closes the connection, at which the engine stops: layers that are whole
    /// stay in its cache, no image is left.
    ///
    /// # Errors
    /// See [`PullFault`]; never a success without the image.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&str>,
        credentials: Option<&Credentials>,
        told: &(dyn Fn(PullProgress) + Send + Sync),
        cancelled: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<ImageId, PullError> {
        let Self::Docker(docker) = self;
        let error = |fault: PullFault, text: String| PullError {
            reference: Box::new(reference.clone()),
            fault,
            text,
            with_credentials: credentials.is_some(),
            no_credentials: None,
        };
        let of_engine = |e: EngineError, begun| {
            let fault = fault::of_engine(&e, begun);
            error(fault, e.to_string())
        };
        let mut path = format!(
            "/images/create?fromImage={}&tag={}",
            encoded(&reference.name()),
            encoded(reference.version())
        );
        if let Some(platform) = platform {
            path.push_str(&format!("&platform={}", encoded(platform)));
        }
        let mut request = Request::post(path);
        if let Some(credentials) = credentials {
            request = request.header("X-Registry-Auth", credentials.header());
        }
        let mut watch = Watch::over(docker);
        let mut fold = Fold::of(&reference.familiar());
        // The engine's head comes once the registry has answered.
        let heading = docker.stream(request, IDLE);
        tokio::pin!(heading);
        let mut body = loop {
            watch.check(cancelled).map_err(|why| why.error(error))?;
            if let Some(answer) = watch.next(heading.as_mut()).await {
                break answer.map_err(|e| of_engine(e, false))?;
            }
        };
        let mut shown = Instant::now();
        let mut owed = true;
        loop {
            watch.check(cancelled).map_err(|why| why.error(error))?;
            let next = body.next();
            tokio::pin!(next);
            match watch.next(next).await {
                Some(Some(Ok(data))) => {
                    watch.heard();
                    owed |= fold.push(data);
                }
                Some(Some(Err(e))) => return Err(of_engine(e, true)),
                Some(None) => break,
                None => {}
            }
            if owed && shown.elapsed() >= LOOK {
                told(fold.progress().clone());
                (owed, shown) = (false, Instant::now());
            }
        }
        fold.finish();
        told(fold.progress().clone());
        if let Some(text) = fold.error() {
            // Engines that answer before they asked the registry tell every error so.
            return Err(error(fault::of_text(text, fold.begun()), text.to_owned()));
        }
        match docker.find_image(&reference.in_store()).await {
            Ok(Some((id, value))) => match other_platform(platform, &value) {
                Some(is) if !docker.has_platform(reference, platform).await => Err(error(
                    PullFault::NoPlatform,
                    format!("the image is for {is} alone"),
                )),
                _ => Ok(id),
            },
            Ok(None) => Err(error(
                PullFault::Cut,
                "the engine ended the pull without an image".into(),
            )),
            Err(e) => Err(of_engine(e, true)),
        }
    }
}

impl Engine {
    /// As [`Self::pull`], with the credentials that Docker's own configuration has for the registry. One that
    /// cannot be read (a helper that is not there) stops no pull that needs none; where the registry wants
    /// some, the error says why there were none.
    ///
    /// # Errors
    /// See [`PullFault`].
    pub async fn fetch(
        &self,
        reference: &Reference,
        platform: Option<&str>,
        logins: Logins<'_>,
        told: &(dyn Fn(PullProgress) + Send + Sync),
        cancelled: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<ImageId, PullError> {
        let found = match RegistryConfig::load(logins.env, logins.podman) {
            Ok(config) => config.credentials(reference).await,
            Err(problem) => Err(problem),
        };
        let (credentials, why_none) = match found {
            Ok(found) => (found, None),
            Err(problem) => (None, Some(Box::new(problem))),
        };
        let pulling = self.pull(reference, platform, credentials.as_ref(), told, cancelled);
        pulling.await.map_err(|error| PullError {
            no_credentials: why_none,
            ..error
        })
    }
}

impl Engine {
    /// Whether an image (its inspect) is there for this platform; text that is no reference is not doubted.
    pub async fn is_for(&self, image: &str, platform: &str, inspected: &Value) -> bool {
        let Self::Docker(docker) = self;
        let asked = Some(platform).filter(|asked| !asked.is_empty());
        if other_platform(asked, inspected).is_none() {
            return true;
        }
        match Reference::parse(image) {
            Ok(reference) => docker.has_platform(&reference, asked).await,
            Err(_) => true,
        }
    }
}

impl Docker {
    /// Whether a store of several platforms has this one, though it shows another first (API 1.49; older
    /// engines show the same again).
    async fn has_platform(&self, reference: &Reference, platform: Option<&str>) -> bool {
        let mut parts = platform.unwrap_or_default().split('/');
        let (os, architecture) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let wanted = json!({"os": os, "architecture": architecture}).to_string();
        let path = format!(
            "/images/{}/json?platform={}",
            in_path(&reference.in_store()),
            encoded(&wanted)
        );
        let Ok(body) = self.get(&path).await else {
            return false;
        };
        let image: Result<Value, _> = super::json::parse(&body);
        image.is_ok_and(|image| other_platform(platform, &image).is_none())
    }
}

/// What the image is for, where that is another platform than asked: an engine takes an image of one platform
/// whatever was asked for.
fn other_platform(asked: Option<&str>, image: &Value) -> Option<String> {
    let text = |name| image.get(name).and_then(Value::as_str).unwrap_or_default();
    let (os, architecture) = (text("Os"), text("Architecture"));
    let mut parts = asked?.split('/');
    let (first, second) = (parts.next()?, parts.next());
    let usual = |name: &str| match name.to_ascii_lowercase().as_str() {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        other => other.to_owned(),
    };
    // One word is an operating system, or an architecture.
    let same = match second {
        Some(second) => usual(first) == usual(os) && usual(second) == usual(architecture),
        None => [os, architecture].map(usual).contains(&usual(first)),
    };
    (!same && !os.is_empty())
        .then(|| crate::model::text::clean(&format!("{os}/{architecture}"), 80))
}

type Ping = Pin<Box<dyn Future<Output = Result<(), EngineError>> + Send>>;

/// Tells a silence from a death, and looks up now and then while it waits.
struct Watch {
    docker: Docker,
    heard: Instant,
    asked: Instant,
    ping: Option<Ping>,
    dead: Option<EngineError>,
}

/// Why not to wait any more.
enum Stop {
    Cancelled,
    Silent,
    Dead(EngineError),
}

impl Stop {
    fn error(self, error: impl Fn(PullFault, String) -> PullError) -> PullError {
        match self {
            Self::Cancelled => error(PullFault::Cancelled, String::new()),
            Self::Silent => error(
                PullFault::Cut,
                format!("the engine said nothing for {} s", IDLE.as_secs()),
            ),
            Self::Dead(why) => error(PullFault::Engine, why.to_string()),
        }
    }
}

impl Watch {
    fn over(docker: &Docker) -> Self {
        Self {
            docker: docker.clone(),
            heard: Instant::now(),
            asked: Instant::now(),
            ping: None,
            dead: None,
        }
    }

    fn heard(&mut self) {
        self.heard = Instant::now();
        self.asked = self.heard;
        self.ping = None;
    }

    /// What `waited` gives; `None` where it is time to look up.
    async fn next<F: Future>(&mut self, waited: Pin<&mut F>) -> Option<F::Output> {
        let pinged = async {
            match &mut self.ping {
                Some(ping) => ping.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            output = waited => Some(output),
            answer = pinged => {
                self.ping = None;
                self.dead = answer.err();
                None
            }
            () = tokio::time::sleep(LOOK) => None,
        }
    }

    fn check(&mut self, cancelled: &(dyn Fn() -> bool + Send + Sync)) -> Result<(), Stop> {
        if cancelled() {
            return Err(Stop::Cancelled);
        }
        if let Some(why) = self.dead.take() {
            return Err(Stop::Dead(why));
        }
        if self.heard.elapsed() > IDLE {
            return Err(Stop::Silent);
        }
        if self.asked.elapsed() > QUIET && self.ping.is_none() {
            self.asked = Instant::now();
            let docker = self.docker.clone();
            self.ping = Some(Box::pin(async move { docker.ping().await }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_another_platform_is_known() {
        let image = json!({"Os": "linux", "Architecture": "amd64"});
        for same in [
            None,
            Some("linux/amd64"),
            Some("linux/x86_64"),
            Some("linux/amd64/v3"),
            Some("amd64"),
            Some("linux"),
        ] {
            assert_eq!(other_platform(same, &image), None, "{same:?}");
        }
        for other in ["linux/arm64", "windows/amd64", "arm64"] {
            let is = other_platform(Some(other), &image);
            assert_eq!(is.as_deref(), Some("linux/amd64"), "{other}");
        }
        // An image that does not say is not refused.
        assert_eq!(other_platform(Some("linux/arm64"), &json!({})), None);
    }
}
