//! The verdicts that `ps` tells: from configurations and from scans that were kept; nothing is looked into.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::ps::{self, Verdicts};
use crate::check::{self, host, judged};
use crate::host::Toolkit;
use crate::inspect::Known;
use crate::inspect::cache::Cache;
use crate::model::{EngineStatus, GpuKey, ImageId, Stamp};
use crate::verdict::judge;
use crate::watch::{Watch, World};

/// How long the engine may take over all images together.
const ALL: Duration = Duration::from_millis(2_500);
/// Questions under way at a time.
const AT_ONCE: usize = 8;

/// Of the containers that are listed; one whose image the engine does not tell in time has none.
pub(super) fn of(world: &World, watch: &Watch, all: bool, cache: &Cache) -> Verdicts {
    let known = known(world, watch, all, cache);
    let no_toolkit = Toolkit::default();
    let engine = match &world.engine {
        EngineStatus::Up(info) => Some(info),
        _ => None,
    };
    let here = host::facts(&host::Sources {
        engine,
        gpus: world.gpus.as_ref(),
        toolkit: world.toolkit.as_ref().unwrap_or(&no_toolkit),
        local: world.judgeable(),
        gives: world.gives_gpus(),
        month: &Stamp::now().wall.strftime("%Y-%m").to_string(),
    });
    let cards = world.gpus.as_ref().map_or(&[][..], |s| &s.gpus);
    ps::rows(world, all)
        .into_iter()
        .filter_map(|row| {
            let it = &row.container;
            let known = known.get(&it.image_id)?;
            let verdict = match &it.detail {
                Some(detail) => {
                    let joined = world.joined.containers.get(&it.key);
                    let given: Vec<GpuKey> = joined
                        .iter()
                        .flat_map(|gpus| &gpus.given)
                        .map(|gpu| gpu.key.clone())
                        .collect();
                    judge(
                        &judged::launched(known, detail).facts(),
                        &judged::host(&here, detail, &given, cards),
                    )
                }
                None => judge(&known.facts(), &here),
            };
            Some((it.key, verdict.answer))
        })
        .collect()
}

fn known(world: &World, watch: &Watch, all: bool, cache: &Cache) -> HashMap<ImageId, Arc<Known>> {
    let Some(engine) = watch.control().engine() else {
        return HashMap::new();
    };
    let mut images: Vec<ImageId> = ps::rows(world, all)
        .iter()
        .map(|row| row.container.image_id.clone())
        .collect();
    images.sort();
    images.dedup();
    let cache = cache.clone();
    let (send, receive) = std::sync::mpsc::channel();
    watch.runtime().spawn(async move {
        let mut asked = stream::iter(images)
            .map(|image| {
                let (engine, cache) = (engine.clone(), cache.clone());
                async move { (check::known(&engine, &cache, &image).await, image) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((known, image)) = asked.next().await {
            if let Ok(known) = known
                && send.send((image, Arc::new(known))).is_err()
            {
                return;
            }
        }
    });
    let end = std::time::Instant::now() + ALL;
    let mut found = HashMap::new();
    while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
        match receive.recv_timeout(left) {
            Ok((image, known)) => found.insert(image, known),
            Err(_) => break,
        };
    }
    found
}
