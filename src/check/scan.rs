//! Reads a file system out of the engine and keeps what tells something.
//!
//! A thread of its own, at low priority, reads the stream and walks it; the engine's file system is never
//! written anywhere. The container made for it is removed however the scan ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Cancel, Progress, Subject};
use crate::engine::{Engine, EngineError, ScanContainer};
use crate::inspect::cache::Cache;
use crate::inspect::walk::Walk;
use crate::inspect::{Config, Content, Known};
use crate::model::{ContainerKey, ImageId};

/// Between two looks at whether it should stop, and between two words of progress.
const LOOK: Duration = Duration::from_millis(50);
pub(super) const TELL: Duration = Duration::from_millis(100);
/// Nice value of the reading thread: what trains goes first.
const NICE: i32 = 10;
/// A file system may be this many times what the engine says of its size, and this much more.
const MOST_TIMES: u64 = 8;
const MOST_MORE: u64 = 64 << 30;

/// Why there is nothing to judge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The caller wants no more.
    #[error("cancelled")]
    Cancelled,
    /// There is no such image or container.
    #[error("there is no such image")]
    Absent,
    /// The engine did not do it.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The system gave no thread.
    #[error("the system gives no thread: {0}")]
    Thread(String),
}

/// Hears of progress.
pub type Told = Arc<dyn Fn(Progress) + Send + Sync>;

/// An image's configuration, and its content where a scan of it was kept: nothing is read but that.
///
/// # Errors
/// The engine does not answer, or has no such image.
pub async fn known(engine: &Engine, cache: &Cache, image: &ImageId) -> Result<Known, ScanError> {
    let (id, json) = engine
        .find_image(&image.0)
        .await?
        .ok_or(ScanError::Absent)?;
    let config = Config::from_image(&json);
    let key = Cache::key(&id, config.platform.as_deref());
    let cache = cache.clone();
    let content = tokio::task::spawn_blocking(move || cache.load(&key)).await;
    Ok(Known {
        config,
        content: content.ok().flatten().map(Arc::new),
        live: false,
    })
}

/// The whole of a subject: from the cache where it was kept, else by reading it.
///
/// # Errors
/// The engine does not do it, the subject is gone, or the caller cancelled.
pub async fn whole(
    engine: &Engine,
    cache: &Cache,
    subject: &Subject,
    told: Told,
    cancel: &Cancel,
) -> Result<Known, ScanError> {
    match subject {
        Subject::Image(image) => {
            let known = known(engine, cache, image).await?;
            if known.content.is_some() {
                return Ok(known);
            }
            let content = image_content(engine, image, &known.config, told, cancel).await?;
            let key = Cache::key(image, known.config.platform.as_deref());
            let (cache, kept) = (cache.clone(), Arc::clone(&content));
            // A cache that cannot be written costs the next check its time, and nothing else.
            let _ = tokio::task::spawn_blocking(move || cache.store(&key, &kept)).await;
            Ok(Known {
                content: Some(content),
                ..known
            })
        }
        Subject::Container(key) => {
            let (key, json) = engine
                .find_container(&key.id.to_string())
                .await?
                .ok_or(ScanError::Absent)?;
            let image = json.get("Image").and_then(serde_json::Value::as_str);
            let base = match image {
                Some(image) => known(engine, &Cache::default(), &ImageId(image.into()))
                    .await
                    .map(|k| k.config)
                    .unwrap_or_default(),
                None => Config::default(),
            };
            let config = base.of_container(&json);
            let content = read(engine, key, config.size_bytes, told, cancel).await?;
            Ok(Known {
                config,
                content: Some(Arc::new(content)),
                live: true,
            })
        }
    }
}

async fn image_content(
    engine: &Engine,
    image: &ImageId,
    config: &Config,
    told: Told,
    cancel: &Cancel,
) -> Result<Arc<Content>, ScanError> {
    if cancel.is_cancelled() {
        return Err(ScanError::Cancelled);
    }
    let made = engine
        .create_scan_container(image, config.platform.as_deref())
        .await?;
    let guard = Guard {
        engine: engine.clone(),
        made: Some(made),
    };
    let content = read(engine, made.key, config.size_bytes, told, cancel).await;
    guard.remove().await;
    content.map(Arc::new)
}

/// Removes the container also where nobody waits for the scan any more.
struct Guard {
    engine: Engine,
    made: Option<ScanContainer>,
}

impl Guard {
    async fn remove(mut self) {
        if let Some(made) = self.made.take() {
            // What cannot be removed now is swept at the next start.
            let _ = self.engine.remove_scan_container(made.key).await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(made) = self.made.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let engine = self.engine.clone();
            runtime.spawn(async move {
                let _ = engine.remove_scan_container(made.key).await;
            });
        }
    }
}

/// Reads a container's file system on a thread of its own.
async fn read(
    engine: &Engine,
    key: ContainerKey,
    total: Option<u64>,
    told: Told,
    cancel: &Cancel,
) -> Result<Content, ScanError> {
    let (send, receive) = oneshot::channel();
    let (engine, cancel) = (engine.clone(), cancel.clone());
    std::thread::Builder::new()
        .name("midwatch-scan".into())
        .spawn(move || {
            // Linux counts niceness by thread; where it is refused the scan is only less polite.
            let _ = rustix::process::setpriority_process(None, NICE);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let content = match runtime {
                Ok(runtime) => runtime.block_on(walk(&engine, key, total, &told, &cancel)),
                Err(error) => Err(ScanError::Thread(error.to_string())),
            };
            let _ = send.send(content);
        })
        .map_err(|error| ScanError::Thread(error.to_string()))?;
    receive
        .await
        .unwrap_or_else(|_| Err(ScanError::Thread("it ended".to_owned())))
}

async fn walk(
    engine: &Engine,
    key: ContainerKey,
    total: Option<u64>,
    told: &Told,
    cancel: &Cancel,
) -> Result<Content, ScanError> {
    let began = Instant::now();
    let progress = |bytes| Progress {
        bytes,
        total_bytes: total,
        elapsed: began.elapsed(),
    };
    told(progress(0));
    let stop = async {
        while !cancel.is_cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::pin!(stop);
    let mut export = tokio::select! {
        biased;
        () = &mut stop => return Err(ScanError::Cancelled),
        opened = engine.export(key) => opened?,
    };
    let most = total
        .unwrap_or(0)
        .saturating_mul(MOST_TIMES)
        .saturating_add(MOST_MORE);
    let mut walk = Walk::new();
    let mut piece = Vec::with_capacity(512 << 10);
    let mut last = Instant::now();
    loop {
        piece.clear();
        let more = tokio::select! {
            biased;
            () = &mut stop => return Err(ScanError::Cancelled),
            more = export.read(&mut piece) => more?,
        };
        if let Err(error) = walk.feed(&piece) {
            walk.gap(format!(
                "its file system is no archive that can be read: {error}"
            ));
            walk.break_layer();
            break;
        }
        if walk.bytes() > most {
            walk.gap("its file system is far larger than the engine says".to_owned());
            walk.break_layer();
            break;
        }
        if !more {
            break;
        }
        if last.elapsed() >= TELL {
            last = Instant::now();
            told(progress(walk.bytes()));
        }
    }
    told(progress(walk.bytes()));
    Ok(walk.end())
}
