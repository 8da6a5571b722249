//! The simulated engine's asynchronous face: the methods of a real one.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::broadcast;
use tokio::time;

use crate::model::{
    Container, ContainerCommand, ContainerDetail, ContainerKey, EngineEvent, EngineInfo, Image,
    ImageId, Stamp, UsageSnapshot,
};

use super::{Acted, DemoError, DemoEvent, DemoHost, DemoShell, LogQuery};

/// How often a waiting task lets the world's time pass.
const LOOK: Duration = Duration::from_millis(50);

/// Raw bytes of a log or an attached container, as a real engine sends them.
pub type ByteStream = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// An engine that is not there; clones share its world.
#[derive(Debug, Clone)]
pub struct DemoEngine {
    host: DemoHost,
}

impl DemoEngine {
    /// The engine of this world.
    pub fn new(host: DemoHost) -> Self {
        Self { host }
    }

    /// Its world.
    pub fn host(&self) -> &DemoHost {
        &self.host
    }

    /// What it says of itself.
    pub fn info(&self) -> EngineInfo {
        self.host.info()
    }

    /// All containers, stopped ones too.
    ///
    /// # Errors
    /// None.
    pub async fn list(&self) -> Result<Vec<Container>, DemoError> {
        Ok(self.host.containers(Stamp::now()))
    }

    /// Inspect's facts.
    ///
    /// # Errors
    /// No such container.
    pub async fn inspect(&self, key: ContainerKey) -> Result<ContainerDetail, DemoError> {
        self.host.detail(key, Stamp::now())
    }

    /// Inspect as an engine gives it.
    ///
    /// # Errors
    /// No such container.
    pub async fn inspect_json(&self, key: ContainerKey) -> Result<serde_json::Value, DemoError> {
        self.host.inspect_json(key, Stamp::now())
    }

    /// Image inspect as an engine gives it.
    ///
    /// # Errors
    /// No such image.
    pub async fn inspect_image_json(
        &self,
        image: &ImageId,
    ) -> Result<serde_json::Value, DemoError> {
        self.host.inspect_image_json(image, Stamp::now())
    }

    /// The images.
    ///
    /// # Errors
    /// None.
    pub async fn images(&self) -> Result<Vec<Image>, DemoError> {
        Ok(self.host.images(Stamp::now()))
    }

    /// What the containers spend.
    ///
    /// # Errors
    /// None.
    pub async fn usage(&self) -> Result<UsageSnapshot, DemoError> {
        Ok(self.host.usage(Stamp::now()))
    }

    /// Acts on a container; like a real engine it answers a stop when the container has ended.
    ///
    /// # Errors
    /// What a real engine refuses, in its words.
    pub async fn act(
        &self,
        key: ContainerKey,
        command: &ContainerCommand,
    ) -> Result<(), DemoError> {
        if self.host.act(key, command, Stamp::now())? == Acted::Stopping {
            while self.host.is_stopping(key, Stamp::now()) {
                time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Events from now on. The subscription begins with this call, not with the first poll.
    pub fn events(&self) -> DemoEvents {
        DemoEvents {
            host: self.host.clone(),
            events: self.host.subscribe(),
        }
    }

    /// Events since a time, as far as they are remembered, and from now on.
    pub fn events_since(&self, since: Option<jiff::Timestamp>) -> (Vec<DemoEvent>, DemoEvents) {
        let (past, events) = self.host.subscribe_since(since, Stamp::now());
        let host = self.host.clone();
        (past, DemoEvents { host, events })
    }

    /// A container's log as the logs endpoint sends it: framed unless it has a pseudo-terminal; with
    /// `follow`, new lines as they come, until the container ends.
    ///
    /// # Errors
    /// No such container.
    pub async fn logs(
        &self,
        key: ContainerKey,
        query: LogQuery,
        timestamps: bool,
        follow: bool,
    ) -> Result<ByteStream, DemoError> {
        let now = Stamp::now();
        let tty = self.host.has_tty(key, now)?;
        let first = self.host.log(key, &query, now)?;
        let newest = first.last().map(|record| record.time).or(query.since);
        let first: Bytes = first
            .iter()
            .flat_map(|record| record.to_bytes(tty, timestamps))
            .collect();
        let state = Following {
            host: self.host.clone(),
            key,
            tty,
            timestamps,
            newest: newest.unwrap_or(now.wall),
            first: Some(first),
            follow,
        };
        Ok(Box::pin(futures_util::stream::unfold(
            state,
            |mut state| async {
                let bytes = state.next().await?;
                Some((bytes, state))
            },
        )))
    }

    /// What an attached client sees from now on, until the container ends. One that has never run is waited
    /// for.
    ///
    /// # Errors
    /// No such container, or it does not run any more.
    pub async fn attach(&self, key: ContainerKey) -> Result<ByteStream, DemoError> {
        let now = Stamp::now();
        let tty = self.host.has_tty(key, now)?;
        if !self.host.is_live(key, now) && !self.host.is_new(key, now) {
            return Err(DemoError::new(
                409,
                format!("container {} is not running", key.id),
            ));
        }
        let state = (self.host.clone(), now);
        Ok(Box::pin(futures_util::stream::unfold(
            state,
            move |(host, from)| async move {
                loop {
                    let now = Stamp::now();
                    let live = host.is_live(key, now);
                    let records = host.written(key, from, now).ok()?;
                    if !records.is_empty() {
                        let bytes = records
                            .iter()
                            .flat_map(|r| r.to_bytes(tty, false))
                            .collect();
                        return Some((bytes, (host, now)));
                    }
                    if !live && !host.is_new(key, now) {
                        return None;
                    }
                    time::sleep(LOOK).await;
                }
            },
        )))
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// Not running, paused, or no such program in the image.
    pub async fn exec(
        &self,
        key: ContainerKey,
        command: &[String],
        tty: bool,
    ) -> Result<DemoShell, DemoError> {
        self.host.exec(key, command, tty, Stamp::now())
    }
}

/// The simulated engine's events.
#[derive(Debug)]
pub struct DemoEvents {
    host: DemoHost,
    events: broadcast::Receiver<DemoEvent>,
}

impl DemoEvents {
    /// The next event. `None`: some were missed, so list again.
    pub async fn next(&mut self) -> Option<DemoEvent> {
        loop {
            match time::timeout(LOOK * 5, self.events.recv()).await {
                Ok(Ok(event)) => return Some(event),
                // The sender lives as long as the host in our hands: only a lag comes here.
                Ok(Err(_)) => return None,
                // What is due happens although nobody asked for anything.
                Err(_) => self.host.advance(Stamp::now()),
            }
        }
    }

    /// The next event as the model has it. `None`: some were missed, so list again.
    pub async fn next_model(&mut self) -> Option<EngineEvent> {
        self.next().await.map(|event| event.to_model())
    }
}

struct Following {
    host: DemoHost,
    key: ContainerKey,
    tty: bool,
    timestamps: bool,
    newest: jiff::Timestamp,
    first: Option<Bytes>,
    follow: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Some(first);
        }
        loop {
            if !self.follow {
                return None;
            }
            let now = Stamp::now();
            let live = self.host.is_live(self.key, now);
            let query = LogQuery {
                since: self
                    .newest
                    .checked_add(jiff::SignedDuration::from_nanos(1))
                    .ok(),
                ..LogQuery::default()
            };
            let records = self.host.log(self.key, &query, now).ok()?;
            if let Some(last) = records.last() {
                self.newest = last.time;
                return Some(
                    records
                        .iter()
                        .flat_map(|r| r.to_bytes(self.tty, self.timestamps))
                        .collect(),
                );
            }
            if !live {
                return None;
            }
            time::sleep(LOOK * 2).await;
        }
    }
}
