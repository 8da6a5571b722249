//! One connection to an engine, from its first list to its end: events, refreshed rows, inspections.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::{
    Container, ContainerDetail, ContainerKey, ContainerState, EngineInfo, EngineNews, EventKind,
    HostId, Image,
};

use super::convert::Listing;
use super::docker::Docker;
use super::error::EngineError;
use super::events::{self, Cutter, Told};
use super::info::{Answered, Facts};
use super::source::Shared;
use super::transport::{self, REQUEST_TIMEOUT};
use super::turns::Turns;

/// Inspections under way at a time.
const INSPECTIONS: usize = 4;
/// Between two refreshes of rows: a burst of events becomes few requests, and a single one waits for nothing.
const REFRESH_GAP: Duration = Duration::from_millis(50);
/// More changed rows than this are refreshed by a whole list.
const MANY_ROWS: usize = 64;
/// After so long without a word it is asked whether it is alive.
const QUIET: Duration = Duration::from_secs(10);
/// After an image event the images are fetched once the burst is over.
const IMAGES_GAP: Duration = Duration::from_millis(500);

/// How often a row is asked for again where the list lags behind an event, [`REFRESH_GAP`] apart.
const LAG_TRIES: u8 = 10;

/// What the holder of the source asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Relist,
    Images,
}

/// What outlives a connection.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What is known of the engine.
    pub info: Option<EngineInfo>,
    /// The last event's time, by the engine's clock.
    last_event: Option<Timestamp>,
    /// Whether the images were ever asked for.
    images: bool,
}

/// A finished question.
enum Answer {
    Facts(Result<Box<Facts>, EngineError>),
    Listed(Result<(Listing, Answered), EngineError>),
    Refreshed(Vec<ContainerKey>, Result<Listing, EngineError>),
    Inspected(ContainerKey, Result<Inspected, EngineError>),
    Images(Result<Vec<Image>, EngineError>),
    Ping(Result<(), EngineError>),
    Stream(Result<Incoming, EngineError>),
}

/// Facts, and the state of the moment.
type Inspected = (Box<ContainerDetail>, Option<ContainerState>);

/// The state of one connection.
pub(super) struct Session<'a> {
    docker: &'a Docker,
    shared: &'a Arc<Shared>,
    host: HostId,
    info: EngineInfo,
    memory: &'a mut Memory,
    asking: JoinSet<Answer>,
    rows: HashMap<ContainerKey, Container>,
    /// Facts of containers whose row has not come yet.
    early: HashMap<ContainerKey, Box<ContainerDetail>>,
    inspections: Turns<ContainerKey>,
    dirty: HashSet<ContainerKey>,
    refreshing: bool,
    relist: bool,
    refresh_at: Option<Instant>,
    images_at: Option<Instant>,
    /// Events up to here may be older than the list.
    replay_until: Option<Timestamp>,
    relist_on_stream: bool,
    /// States as inspections told them after the last event.
    live: HashMap<ContainerKey, ContainerState>,
    /// How often a row was asked for again because the list lagged behind.
    lagging: HashMap<ContainerKey, u8>,
    heard: Instant,
    pinging: bool,
    /// Whether inspections may begin.
    ready: bool,
    /// Inspections that failed, and when they are tried again.
    failed: HashSet<ContainerKey>,
    retry_at: Option<Instant>,
}

impl<'a> Session<'a> {
    pub fn new(
        docker: &'a Docker,
        shared: &'a Arc<Shared>,
        host: HostId,
        info: EngineInfo,
        memory: &'a mut Memory,
    ) -> Self {
        Self {
            docker,
            shared,
            host,
            info,
            memory,
            asking: JoinSet::new(),
            rows: HashMap::new(),
            early: HashMap::new(),
            inspections: Turns::new(INSPECTIONS),
            dirty: HashSet::new(),
            refreshing: false,
            relist: false,
            refresh_at: None,
            images_at: None,
            replay_until: None,
            relist_on_stream: false,
            live: HashMap::new(),
            lagging: HashMap::new(),
            heard: Instant::now(),
            pinging: false,
            ready: false,
            failed: HashSet::new(),
            retry_at: None,
        }
    }

    /// Tells the list and then everything that changes, until the engine goes away (its error) or nobody
    /// holds the source any more (`None`).
    pub async fn run(
        mut self,
        listing: Listing,
        answered: Answered,
        wishes: &mut mpsc::UnboundedReceiver<Wish>,
    ) -> Option<EngineError> {
        self.tell(EngineNews::Up(self.info.clone()));
        self.memory.info = Some(self.info.clone());
        self.whole(listing);
        self.open_stream(&answered);
        // Grants are read with the engine's default runtime in hand, so inspections wait for the facts.
        self.ask(|docker| async move { Answer::Facts(docker.facts().await.map(Box::new)) });
        if self.memory.images {
            self.images_at = Some(Instant::now());
        }
        let mut stream: Option<Incoming> = None;
        let mut cutter = Cutter::default();
        loop {
            self.pump();
            let due = self.due();
            tokio::select! {
                piece = next(&mut stream) => match piece {
                    Some(Ok(piece)) => {
                        self.heard = Instant::now();
                        match cutter.push(&piece, self.host) {
                            Ok(events) => events.into_iter().for_each(|e| self.event(e)),
                            Err(error) => return Some(error),
                        }
                    }
                    Some(Err(error)) => return Some(error),
                    None => return Some(EngineError::closed()),
                },
                Some(answer) = self.asking.join_next(), if !self.asking.is_empty() => match answer {
                    Ok(Answer::Stream(Ok(body))) => {
                        stream = Some(body);
                        self.relist |= std::mem::take(&mut self.relist_on_stream);
                    }
                    Ok(answer) => if let Some(error) = self.answer(answer) {
                        return Some(error);
                    },
                    Err(_) => return Some(EngineError::Protocol("a question was not answered".into())),
                },
                wish = wishes.recv() => match wish {
                    None => return None,
                    Some(Wish::Relist) => self.relist = true,
                    Some(Wish::Images) => {
                        self.memory.images = true;
                        self.images_at = Some(Instant::now());
                    }
                },
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    fn tell(&self, news: EngineNews) {
        self.shared.lanes.news.push(news);
    }

    fn ask<F>(&mut self, question: impl FnOnce(Docker) -> F)
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.asking.spawn(question(self.docker.clone()));
    }

    /// Opens the event stream from a moment before the list, or from behind the last event that is known.
    fn open_stream(&mut self, answered: &Answered) {
        // The head's clock has whole seconds: the list was made up to a second later than it says, and the
        // question was sent (at most its time limit) earlier.
        let second = SignedDuration::from_secs(1);
        let before = answered
            .date
            .and_then(|date| date.checked_sub(second * 2).ok());
        self.replay_until = answered.date.and_then(|date| date.checked_add(second).ok());
        let behind = self
            .memory
            .last_event
            .and_then(|last| last.checked_add(SignedDuration::from_nanos(1)).ok());
        let since = behind.or(before);
        // An engine that tells no time cannot be asked for what happened meanwhile: list again then.
        self.relist_on_stream = since.is_none();
        let path = events::path(since, answered.podman);
        self.ask(|docker| async move {
            let opened = async {
                let request = Request::get(path)
                    .body(Full::default())
                    .map_err(|e| EngineError::Protocol(e.to_string()))?;
                let response = docker.transport().request(request, REQUEST_TIMEOUT).await?;
                let response = transport::success(response, REQUEST_TIMEOUT).await?;
                Ok(response.into_body())
            };
            Answer::Stream(opened.await)
        });
    }

    /// The next moment at which something is due by time alone; always in the future after [`Self::pump`].
    fn due(&self) -> Instant {
        let refresh = self.refresh_at.filter(|_| !self.refreshing);
        let quiet = (!self.pinging).then(|| self.heard + QUIET);
        [refresh, quiet, self.images_at, self.retry_at]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + QUIET)
    }

    /// Asks what may be asked now.
    fn pump(&mut self) {
        let now = Instant::now();
        if !self.refreshing && self.refresh_at.is_none_or(|at| at <= now) {
            self.refresh_at = None;
            if self.relist || !self.dirty.is_empty() {
                self.refresh(now);
            }
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            for key in std::mem::take(&mut self.failed) {
                self.inspections.want(key, false);
            }
        }
        while self.ready
            && let Some(key) = self.inspections.next()
        {
            self.ask(|docker| async move {
                let told = docker.inspect_live(key).await;
                Answer::Inspected(key, told.map(|(detail, state)| (Box::new(detail), state)))
            });
        }
        if self.images_at.is_some_and(|at| at <= now) {
            self.images_at = None;
            self.ask(|docker| async move { Answer::Images(docker.images().await) });
        }
        if self.heard + QUIET <= now && !self.pinging {
            self.ping();
        }
    }

    fn ping(&mut self) {
        self.pinging = true;
        self.ask(|docker| async move { Answer::Ping(docker.ping().await) });
    }

    fn refresh(&mut self, now: Instant) {
        self.refreshing = true;
        self.refresh_at = Some(now + REFRESH_GAP);
        let keys: Vec<ContainerKey> = self.dirty.drain().collect();
        if std::mem::take(&mut self.relist) || keys.len() > MANY_ROWS {
            self.ask(|docker| async move { Answer::Listed(docker.list().await) });
        } else {
            self.ask(|docker| async move {
                let listing = docker.list_some(&keys).await;
                Answer::Refreshed(keys, listing)
            });
        }
    }

    fn facts(&mut self, facts: Result<Box<Facts>, EngineError>) -> Option<EngineError> {
        match facts {
            Ok(facts) => {
                facts.apply(&mut self.info);
                self.memory.info = Some(self.info.clone());
                self.tell(EngineNews::Up(self.info.clone()));
                None
            }
            Err(error) => Some(error),
        }
    }

    /// Folds an answer; an error ends the connection.
    fn answer(&mut self, answer: Answer) -> Option<EngineError> {
        let error = match answer {
            Answer::Stream(Ok(_)) => None,
            Answer::Facts(facts) => {
                self.ready = true;
                self.facts(facts)
            }
            Answer::Stream(Err(error)) => return Some(error),
            Answer::Ping(Ok(())) => {
                self.pinging = false;
                None
            }
            Answer::Ping(Err(error)) => return Some(error),
            Answer::Listed(Ok((listing, _))) => {
                self.refreshing = false;
                self.whole(listing);
                None
            }
            Answer::Listed(Err(error)) => {
                self.refreshing = false;
                self.relist = true;
                self.refresh_at = Some(Instant::now() + QUIET / 10);
                Some(error)
            }
            Answer::Refreshed(keys, Ok(listing)) => {
                self.refreshing = false;
                self.refreshed(&keys, listing);
                None
            }
            Answer::Refreshed(keys, Err(error)) => {
                self.refreshing = false;
                self.dirty.extend(keys);
                self.refresh_at = Some(Instant::now() + QUIET / 10);
                Some(error)
            }
            Answer::Inspected(key, Ok((detail, state))) => {
                self.inspected(key, detail, state);
                None
            }
            Answer::Inspected(key, Err(error)) => {
                self.inspections.done(key);
                if error.is_not_found() {
                    None
                } else {
                    self.failed.insert(key);
                    self.retry_at = Some(Instant::now() + QUIET / 2);
                    Some(error)
                }
            }
            Answer::Images(Ok(images)) => {
                self.tell(EngineNews::Images(images));
                None
            }
            Answer::Images(Err(error)) => Some(error),
        };
        match error {
            None => self.heard = Instant::now(),
            Some(error) => {
                tracing::warn!(%error, "the engine did not answer a question");
                // A slow answer is not yet a dead engine: what failed is asked again later, and a ping decides.
                if error.is_connection() && !self.pinging {
                    self.ping();
                }
            }
        }
        None
    }

    /// The whole truth: rows not in it are gone. Everything is inspected anew, what runs first.
    fn whole(&mut self, listing: Listing) {
        if listing.unreadable != self.info.unreadable_rows {
            self.info.unreadable_rows = listing.unreadable;
            self.tell(EngineNews::Up(self.info.clone()));
        }
        if listing.unreadable > 0 {
            tracing::warn!(
                rows = listing.unreadable,
                "rows of the engine's list could not be read"
            );
        }
        let gone: Vec<ContainerKey> = {
            let present: HashSet<ContainerKey> = listing.containers.iter().map(|c| c.key).collect();
            self.rows
                .keys()
                .filter(|k| !present.contains(k))
                .copied()
                .collect()
        };
        for key in gone {
            self.inspections.forget(key);
            self.failed.remove(&key);
        }
        self.live.clear();
        self.lagging.clear();
        self.rows = listing
            .containers
            .iter()
            .map(|c| (c.key, c.clone()))
            .collect();
        for live in [true, false] {
            for row in listing
                .containers
                .iter()
                .filter(|c| c.state.is_live() == live)
            {
                self.inspections.want(row.key, false);
            }
        }
        self.tell(EngineNews::Listed(listing.containers));
        for (key, detail) in std::mem::take(&mut self.early) {
            if self.rows.contains_key(&key) {
                self.tell(EngineNews::Inspected(key, detail));
            }
        }
    }

    fn refreshed(&mut self, keys: &[ContainerKey], listing: Listing) {
        let mut missing: HashSet<ContainerKey> = keys.iter().copied().collect();
        for row in listing.containers {
            missing.remove(&row.key);
            if self.lags(&row) {
                self.dirty.insert(row.key);
            } else {
                self.row(row);
            }
        }
        // A row that could not be read is not gone.
        if listing.unreadable == 0 {
            for key in missing {
                self.removed(key);
            }
        }
    }

    /// Whether a row from the list is older than what is known. dockerd tells of an end before its list
    /// knows of it (seen on 20.10: `die`, and the list still says running), while inspect reads the
    /// container itself. Such a row is asked for again, a few times.
    fn lags(&mut self, row: &Container) -> bool {
        let known = match (self.live.get(&row.key), self.rows.get(&row.key)) {
            (Some(live), _) => *live,
            (None, Some(old)) => old.state,
            (None, None) => return false,
        };
        let tries = self.lagging.entry(row.key).or_default();
        if known == row.state || *tries >= LAG_TRIES {
            self.lagging.remove(&row.key);
            return false;
        }
        *tries += 1;
        self.inspections.want(row.key, true);
        true
    }

    fn row(&mut self, row: Container) {
        let key = row.key;
        if self.rows.get(&key) != Some(&row) {
            self.rows.insert(key, row.clone());
            self.tell(EngineNews::Changed(Box::new(row)));
        }
        if let Some(detail) = self.early.remove(&key) {
            self.tell(EngineNews::Inspected(key, detail));
        }
    }

    fn removed(&mut self, key: ContainerKey) {
        self.inspections.forget(key);
        self.failed.remove(&key);
        self.live.remove(&key);
        self.lagging.remove(&key);
        self.early.remove(&key);
        self.dirty.remove(&key);
        if self.rows.remove(&key).is_some() {
            self.tell(EngineNews::Removed(key));
        }
    }

    fn inspected(
        &mut self,
        key: ContainerKey,
        detail: Box<ContainerDetail>,
        state: Option<ContainerState>,
    ) {
        self.inspections.done(key);
        let Some(row) = self.rows.get_mut(&key) else {
            self.early.insert(key, detail);
            return;
        };
        if let Some(state) = state {
            self.live.insert(key, state);
            if row.state != state {
                events::enter(row, state, detail.exit_code);
                let row = Box::new(row.clone());
                self.dirty.insert(key);
                self.tell(EngineNews::Changed(row));
            }
        }
        self.tell(EngineNews::Inspected(key, detail));
    }

    fn event(&mut self, told: Told) {
        let Told { event, labelled } = told;
        let replayed = self.replay_until.is_some_and(|until| event.time <= until);
        self.memory.last_event = self.memory.last_event.max(Some(event.time));
        // A scan's container is never a row: it comes and goes without a word.
        if labelled
            && matches!(event.kind, EventKind::Create | EventKind::Destroy)
            && !(event.container).is_some_and(|key| self.rows.contains_key(&key))
        {
            return;
        }
        match (event.container, &event.kind) {
            (None, _) => {
                if self.memory.images {
                    self.images_at
                        .get_or_insert_with(|| Instant::now() + IMAGES_GAP);
                }
            }
            (Some(key), EventKind::Destroy) if !replayed => self.removed(key),
            // A signal changes nothing yet: what it leads to has an event of its own.
            (Some(_), EventKind::Kill(_)) => {}
            (Some(key), _) => {
                if !replayed
                    && let Some(row) = self.rows.get_mut(&key)
                    && events::hint(row, &event)
                {
                    let row = Box::new(row.clone());
                    self.tell(EngineNews::Changed(row));
                }
                self.live.remove(&key);
                self.lagging.remove(&key);
                self.dirty.insert(key);
                self.inspections.want(key, true);
            }
        }
        self.tell(EngineNews::Event(event));
    }
}

/// The stream's next piece; never, while it is not open.
async fn next(stream: &mut Option<Incoming>) -> Option<Result<bytes::Bytes, EngineError>> {
    match stream {
        Some(body) => transport::next_data(body, None).await,
        None => std::future::pending().await,
    }
}
