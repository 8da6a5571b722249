//! The simulated engine as a source of news, in the words of the real one.

use crate::demo::{DemoEngine, DemoHost};
use crate::lanes::Queue;
use crate::model::{ContainerKey, EngineNews, EventKind};

/// Tells of the simulated engine until the task is dropped.
pub async fn run(host: DemoHost, news: Queue<EngineNews>) {
    let engine = DemoEngine::new(host);
    let mut events = engine.events();
    news.push(EngineNews::Up(engine.info()));
    list(&engine, &news).await;
    loop {
        let Some(event) = events.next_model().await else {
            list(&engine, &news).await;
            continue;
        };
        let (key, kind) = (event.container, event.kind.clone());
        news.push(EngineNews::Event(event));
        match (key, kind) {
            (Some(key), EventKind::Destroy) => {
                news.push(EngineNews::Removed(key));
            }
            (Some(key), _) => changed(&engine, &news, key).await,
            (None, _) => images(&engine, &news).await,
        }
    }
}

/// Tells of all containers, with details.
pub async fn list(engine: &DemoEngine, news: &Queue<EngineNews>) {
    // The simulated engine refuses nothing here; were it to, the last list stays.
    let Ok(mut containers) = engine.list().await else {
        return;
    };
    for container in &mut containers {
        container.detail = engine.inspect(container.key).await.ok().map(Box::new);
    }
    news.push(EngineNews::Listed(containers));
}

/// Tells of the images.
pub async fn images(engine: &DemoEngine, news: &Queue<EngineNews>) {
    if let Ok(images) = engine.images().await {
        news.push(EngineNews::Images(images));
    }
}

async fn changed(engine: &DemoEngine, news: &Queue<EngineNews>, key: ContainerKey) {
    let Ok(containers) = engine.list().await else {
        return;
    };
    if let Some(mut container) = containers.into_iter().find(|c| c.key == key) {
        container.detail = engine.inspect(key).await.ok().map(Box::new);
        news.push(EngineNews::Changed(Box::new(container)));
    }
}
