//! Fetches an image with the credentials of Docker's own configuration.

use crate::check::Cancel;
use crate::engine::registry::Reference;
use crate::engine::{Engine, Env, Logins, PullFault, PullProgress};
use crate::model::text::clean;
use crate::model::{ImageId, Problem};

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The caller wants no more.
    Cancelled,
    /// What, why, and what to do.
    Failed(Problem),
}

/// Fetches it. `env` is where Docker's configuration is looked for; `told` hears at most ten times a second.
///
/// # Errors
/// No such image, no login, the registry or the engine cannot be reached, it broke off; nothing of it is left.
pub async fn fetch(
    engine: &Engine,
    env: &Env,
    image: &str,
    platform: Option<&str>,
    told: &(dyn Fn(PullProgress) + Send + Sync),
    cancel: &Cancel,
) -> Result<ImageId, FetchError> {
    let reference = Reference::parse(image).map_err(|why| {
        FetchError::Failed(Problem {
            what: format!("cannot pull {}", clean(image, 200)),
            why,
            remedy: String::new(),
        })
    })?;
    let logins = Logins {
        env,
        podman: engine.is_podman().await,
    };
    let pulled = engine
        .fetch(&reference, platform, logins, told, &|| {
            cancel.is_cancelled()
        })
        .await;
    pulled.map_err(|error| match error.fault {
        PullFault::Cancelled => FetchError::Cancelled,
        _ => FetchError::Failed(error.problem()),
    })
}
