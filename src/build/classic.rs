//! A build by the engine's own builder.

use std::time::Duration;

use super::context::Sent;
use super::fault::BuildError;
use super::place::Opened;
use super::record::Record;
use super::{BuildAsk, BuildNews, Told, blocking, stopped};
use crate::check::Cancel;
use crate::engine::{BuildFault, BuildParams, BuildWord, Engine};
use crate::model::Problem;

/// How long the reader of a context that is not wanted any more may take to notice.
const NOTICE: Duration = Duration::from_secs(5);

/// What it is to do.
pub(super) struct Job<'a> {
    pub opened: Opened,
    pub ask: &'a BuildAsk,
    pub args: Vec<(String, Option<String>)>,
    /// The value of `X-Registry-Config`.
    pub logins: Option<String>,
}

/// Sends the context and passes on what the engine says; gives the image's id where it was told.
pub(super) async fn run(
    engine: &Engine,
    job: Job<'_>,
    record: &mut Record,
    told: &Told,
    cancel: &Cancel,
) -> Result<Option<String>, BuildError> {
    let Job {
        opened,
        ask,
        args,
        logins,
    } = job;
    let context = opened.context;
    let counting = {
        let (context, cancel) = (context.clone(), cancel.clone());
        blocking(move || context.count(&cancel))
    };
    let counted = counting.await??;
    if cancel.is_cancelled() {
        return Err(BuildError::Cancelled);
    }
    if let Some(warning) = counted.warning() {
        record.line(format!("warning: {warning}"));
    }
    let total = Some(counted.bytes);
    let params = BuildParams {
        dockerfile: context.place.name().to_owned(),
        tags: ask.tags.clone(),
        args,
        target: ask.target.clone(),
        no_cache: ask.no_cache,
        pull: ask.pull,
        platform: ask.platform.clone(),
        network: ask.network.clone(),
    };
    // The sending ends with the build, however that ends.
    let enough = Cancel::default();
    let own = std::sync::Arc::clone(told);
    let (pieces, sending) = context.stream(
        std::sync::Arc::new(move |bytes| {
            own(BuildNews::Context {
                bytes,
                total_bytes: total,
            });
        }),
        enough.clone(),
    );
    let mut hear = |word| match word {
        BuildWord::Text(text) => {
            // Engines tell the id in words where they do not tell it apart.
            if record.image.is_none()
                && let Some(id) = text.trim().strip_prefix("Successfully built ")
            {
                record.image = Some(id.trim().to_owned());
            }
            record.text(&text);
        }
        BuildWord::Image(id) => record.image = Some(id),
        BuildWord::Pull {
            id,
            status,
            bytes,
            total_bytes,
        } => record.pull(id.as_deref(), &status, bytes, total_bytes),
    };
    let ended = engine
        .build(
            &params,
            logins.as_deref(),
            pieces,
            &mut hear,
            stopped(cancel),
        )
        .await;
    enough.cancel();
    if ended == Err(BuildFault::Cancelled) {
        return Err(BuildError::Cancelled);
    }
    let sent: Result<Sent, Problem> = match tokio::time::timeout(NOTICE, sending).await {
        Ok(Ok(sent)) => sent,
        _ => Ok(Sent::default()),
    };
    // What broke the stream says more than the engine's word that it broke.
    for note in sent?.notes {
        record.line(format!("note: {note}"));
    }
    record.end();
    match ended {
        Ok(()) => Ok(record.image.take()),
        Err(BuildFault::Cancelled) => Err(BuildError::Cancelled),
        Err(BuildFault::Engine(error)) => Err(BuildError::Engine(error)),
        Err(BuildFault::Failed { message, exit_code }) => {
            Err(BuildError::Failed(record.failure(&message, exit_code)))
        }
    }
}
