//! `midwatch check`: will these images run here, or on the host that is named?

mod json;
pub(super) mod live;
mod report;
mod text;

use std::path::Path;
use std::sync::Arc;

use crate::check::judged;
use crate::check::subject::{self, Found};
use crate::check::{Cancel, ScanError, Subject, Told, whole};
use crate::engine::Connected;
use crate::inspect::Known;
use crate::inspect::archive::ArchiveError;
use crate::inspect::cache::Cache;
use crate::model::{Problem, Stamp};
use crate::verdict::facts::{HostFacts, Injection};
use crate::verdict::{Answer, hypothetical, judge};

use super::args::{CheckArgs, GlobalArgs};
use super::bar::Bar;
use super::{Exit, complain, print};

pub use json::{FindingJson, finding};
use live::Live;
use report::{Entry, Judged, Report};

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ScanMode {
    /// Inside, unless the configuration settles it
    #[default]
    Auto,
    /// The configuration alone
    Config,
    /// Inside, always
    Full,
}

/// What is a no besides a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum FailOn {
    /// Nothing
    #[default]
    Error,
    /// A limited one too
    Warning,
}

/// How the named host hands GPUs to containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Mode {
    /// NVIDIA's prestart hook, which enforces NVIDIA_REQUIRE_*
    #[default]
    Legacy,
    /// CDI, which does not
    Cdi,
}

/// Runs it.
///
/// # Errors
/// What is asked cannot be begun: no engine where one is needed, no thread.
pub fn run(global: &GlobalArgs, args: &CheckArgs) -> Result<Exit, Problem> {
    let month = Stamp::now().wall.strftime("%Y-%m").to_string();
    let named = match named_host(args, &month) {
        Ok(named) => named,
        Err(problem) => {
            complain(&problem);
            return Ok(Exit::Usage);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem {
            what: "cannot check".to_owned(),
            why: error.to_string(),
            remedy: "See whether the system gives descriptors (`ulimit -n`)".to_owned(),
        })?;
    let exit = runtime.block_on(check(global, args, named, &month));
    // What still runs must not hold the program: a removal was waited for, a hung driver call is not.
    runtime.shutdown_background();
    exit
}

/// The host of `--driver`, `--cuda` and `--gpu`; `None` where none of them is given.
fn named_host(args: &CheckArgs, month: &str) -> Result<Option<HostFacts>, Problem> {
    if args.driver.is_none() && args.cuda.is_none() && args.gpu.is_empty() {
        return match args.mode {
            None => Ok(None),
            Some(_) => Err(Problem {
                what: "wrong usage".to_owned(),
                why: "--mode belongs to a named host".to_owned(),
                remedy: "Give --driver and --gpu too".to_owned(),
            }),
        };
    }
    let mode = match args.mode.unwrap_or_default() {
        Mode::Legacy => Injection::Legacy,
        Mode::Cdi => Injection::Cdi,
    };
    host_of(&args.driver, &args.cuda, &args.gpu, mode, month).map(Some)
}

/// The host that is named; a problem is one of usage.
pub(super) fn host_of(
    driver: &Option<String>,
    cuda: &Option<String>,
    gpus: &[String],
    mode: Injection,
    month: &str,
) -> Result<HostFacts, Problem> {
    hypothetical::host(driver.as_deref(), cuda.as_deref(), gpus, mode, None, month).map_err(
        |error| Problem {
            what: "wrong usage".to_owned(),
            why: error.to_string(),
            remedy: "`--gpu` takes a product's name (H100) or a compute capability (sm_90)"
                .to_owned(),
        },
    )
}

/// The verdict of an image that was just built, as `check` would give it.
#[derive(Debug)]
pub struct Built(Report);

impl Built {
    /// Judges it for this host. `None` where there is no driver to judge by, which is said.
    ///
    /// # Errors
    /// A status to end with because a signal came; or the engine cannot be asked.
    pub async fn judge(
        global: &GlobalArgs,
        image: &str,
    ) -> Result<Result<Option<Self>, u8>, Problem> {
        let month = Stamp::now().wall.strftime("%Y-%m").to_string();
        let live = Live::open(global, true, true).await?;
        let host = live.host(&month);
        if host.driver.is_none() {
            let problem = live.no_driver();
            complain(&Problem {
                what: format!("no verdict: {}", problem.what),
                why: problem.why,
                remedy: format!(
                    "`midwatch check {image} --driver 550.54.15 --gpu H100` judges for another host"
                ),
            });
            return Ok(Ok(None));
        }
        let args = CheckArgs {
            subjects: vec![image.to_owned()],
            ..CheckArgs::default()
        };
        let run = Run {
            args: &args,
            read_only: global.read_only,
            cache: Cache::of(global.data_dir.as_deref(), global.demo),
            live,
            host,
            cancel: Cancel::default(),
            bar: Arc::new(Bar::new()),
        };
        let ended = run.until_stopped().await;
        run.bar.clear();
        let entries = match ended {
            Ok(entries) => entries,
            Err(signal) => return Ok(Err(signal)),
        };
        for entry in &entries {
            if let Entry::Failed { problem, .. } = entry {
                complain(problem);
            }
        }
        Ok(Ok(Some(Self(Report {
            host: run.host,
            entries,
            host_matters: true,
            matrix: None,
        }))))
    }

    /// What `check` prints.
    pub fn text(&self) -> String {
        text::report(&self.0)
    }

    /// How `check` would end.
    pub fn exit(&self) -> Exit {
        report::exit(&self.0, FailOn::Error)
    }

    /// The document of `check`.
    pub fn json(&self) -> impl serde::Serialize + '_ {
        json::document(&self.0)
    }
}

/// What a run of the command holds.
struct Run<'a> {
    args: &'a CheckArgs,
    read_only: bool,
    cache: Cache,
    live: Live,
    host: HostFacts,
    cancel: Cancel,
    bar: Arc<Bar>,
}

async fn check(
    global: &GlobalArgs,
    args: &CheckArgs,
    named: Option<HostFacts>,
    month: &str,
) -> Result<Exit, Problem> {
    let files_alone = args.subjects.iter().all(|word| subject::is_file_name(word));
    let live = Live::open(global, !files_alone, named.is_none()).await?;
    let host = match named {
        Some(named) => named,
        None => live.host(month),
    };
    let unknown_host = !host.hypothetical && host.driver.is_none();
    if host.no_gpu_runtime.is_none() && unknown_host && !args.matrix {
        complain(&live.no_driver());
    }
    let run = Run {
        args,
        read_only: global.read_only,
        cache: Cache::of(global.data_dir.as_deref(), global.demo),
        live,
        host,
        cancel: Cancel::default(),
        bar: Arc::new(Bar::new()),
    };
    let ended = run.until_stopped().await;
    run.bar.clear();
    let entries = match ended {
        Ok(entries) => entries,
        Err(signal) => return Ok(Exit::Ended(signal)),
    };
    let report = Report {
        host: run.host,
        entries,
        host_matters: !(args.matrix && unknown_host),
        matrix: args.matrix.then(|| month.to_owned()),
    };
    for entry in &report.entries {
        if let Entry::Failed { problem, .. } = entry {
            complain(problem);
        }
    }
    if args.json {
        print(&super::json::document(&json::document(&report))?)?;
    } else {
        print(text::report(&report).as_bytes())?;
    }
    Ok(report::exit(&report, args.fail_on))
}

impl Run<'_> {
    /// All entries, or the status to end with because a signal came: what was made is removed first.
    async fn until_stopped(&self) -> Result<Vec<Entry>, u8> {
        use tokio::signal::unix::{SignalKind, signal};
        let all = self.all();
        tokio::pin!(all);
        let signals = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
            signal(SignalKind::hangup()),
        );
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
            return Ok(all.await);
        };
        let ended = tokio::select! {
            entries = &mut all => return Ok(entries),
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
            _ = hangup.recv() => 129,
        };
        self.cancel.cancel();
        let _ = all.await;
        Err(ended)
    }

    async fn all(&self) -> Vec<Entry> {
        if let (Some(connected), false) = (&self.live.engine, self.read_only) {
            // What a crash left behind; an engine that cannot do it now is asked again the next time.
            let _ = connected.engine.sweep_scan_containers().await;
        }
        let mut entries = Vec::new();
        for word in &self.args.subjects {
            if self.cancel.is_cancelled() {
                break;
            }
            self.bar.begin(word);
            match self.one(word).await {
                Ok(found) => entries.extend(found),
                Err(problem) => entries.push(Entry::Failed {
                    name: word.clone(),
                    problem,
                }),
            }
        }
        entries
    }

    async fn one(&self, word: &str) -> Result<Vec<Entry>, Problem> {
        let found = match &self.live.engine {
            Some(connected) => subject::find(&connected.engine, &self.cache, word)
                .await
                .map_err(|e| self.scan_problem(connected, word, &e))?,
            None => Found::File,
        };
        match (found, &self.live.engine) {
            (Found::Image(subject, config), Some(connected)) => {
                self.image(connected, word, subject, *config).await
            }
            (Found::Container(launched), Some(connected)) => {
                self.container(connected, word, *launched).await
            }
            (Found::File, _) => self.file(word).await,
            _ => Err(Problem {
                what: word.to_owned(),
                why: "there is no such image, container or file".to_owned(),
                remedy: format!("`docker pull {word}`, if it is an image to be fetched"),
            }),
        }
    }

    async fn look_inside(
        &self,
        connected: &Connected,
        word: &str,
        subject: &Subject,
    ) -> Result<Known, Problem> {
        whole(
            &connected.engine,
            &self.cache,
            subject,
            self.told(),
            &self.cancel,
        )
        .await
        .map_err(|e| self.scan_problem(connected, word, &e))
    }

    async fn image(
        &self,
        connected: &Connected,
        word: &str,
        subject: Subject,
        known: Known,
    ) -> Result<Vec<Entry>, Problem> {
        let Subject::Image(id) = &subject else {
            return Ok(Vec::new());
        };
        let known = if self.wants_scan(&known, &self.host)? && known.content.is_none() {
            self.look_inside(connected, word, &subject).await?
        } else {
            known
        };
        let id = Some(id.0.to_string());
        Ok(vec![self.judged(
            word.to_owned(),
            id,
            &known,
            self.host.clone(),
        )])
    }

    /// Its own file system is read, whatever the cache has of its image: somebody may have installed into it.
    async fn container(
        &self,
        connected: &Connected,
        word: &str,
        launched: subject::Launched,
    ) -> Result<Vec<Entry>, Problem> {
        let host = match &launched.container {
            Some(container) => {
                let gpus = self.live.gpus.as_ref();
                let given = gpus.and_then(|gpus| subject::given(container, gpus));
                let given = given.unwrap_or_default();
                let cards = gpus.map_or(&[][..], |g| &g.gpus);
                match &container.detail {
                    Some(detail) => judged::host(&self.host, detail, &given, cards),
                    None => self.host.clone(),
                }
            }
            None => self.host.clone(),
        };
        let config = Known {
            config: launched.config,
            content: None,
            live: true,
        };
        let known = if self.wants_scan(&config, &host)? {
            let subject = Subject::Container(launched.key);
            self.look_inside(connected, word, &subject).await?
        } else {
            config
        };
        let id = Some(launched.key.id.to_string());
        Ok(vec![self.judged(word.to_owned(), id, &known, host)])
    }

    async fn file(&self, word: &str) -> Result<Vec<Entry>, Problem> {
        let path = word.to_owned();
        let (told, cancel) = (self.told(), self.cancel.clone());
        let platform = self.host.platform.clone();
        let read = tokio::task::spawn_blocking(move || {
            subject::file(Path::new(&path), platform.as_deref(), &told, &cancel)
        });
        let images = match read.await {
            Ok(Ok(images)) => images,
            Ok(Err(error)) => return Err(file_problem(word, &error)),
            Err(error) => return Err(file_problem(word, &ArchiveError::Odd(error.to_string()))),
        };
        let many = images.len() > 1;
        Ok(images
            .into_iter()
            .map(|image| {
                let name = match image.name.filter(|_| many) {
                    Some(name) => format!("{word}: {name}"),
                    None => word.to_owned(),
                };
                self.judged(name, image.id, &image.known, self.host.clone())
            })
            .collect())
    }

    /// Whether the content is to be read.
    fn wants_scan(&self, known: &Known, host: &HostFacts) -> Result<bool, Problem> {
        let wanted = match self.args.scan {
            ScanMode::Config => false,
            ScanMode::Full => true,
            ScanMode::Auto if self.args.matrix => !known.facts().unmodified_base,
            ScanMode::Auto => judge(&known.facts(), host).answer == Answer::Unknown,
        };
        let needs_container = known.content.is_none() && !known.live;
        if !(wanted && self.read_only && needs_container) {
            return Ok(wanted);
        }
        match self.args.scan {
            ScanMode::Full => Err(Problem {
                what: "cannot look inside".to_owned(),
                why: "a scan makes a container (never started), and --read-only refuses that"
                    .to_owned(),
                remedy: "Leave --read-only out, or give --scan config".to_owned(),
            }),
            _ => Ok(false),
        }
    }

    fn judged(&self, name: String, id: Option<String>, known: &Known, host: HostFacts) -> Entry {
        let facts = known.facts();
        Entry::Judged(Box::new(Judged {
            verdict: judge(&facts, &host),
            name,
            id,
            facts,
            host,
        }))
    }

    fn told(&self) -> Told {
        let bar = Arc::clone(&self.bar);
        Arc::new(move |progress| bar.show(progress))
    }

    fn scan_problem(&self, connected: &Connected, word: &str, error: &ScanError) -> Problem {
        match error {
            ScanError::Engine(error) if error.is_connection() => connected.problem(error),
            other => Problem {
                what: word.to_owned(),
                why: other.to_string(),
                remedy: String::new(),
            },
        }
    }
}

fn file_problem(word: &str, error: &ArchiveError) -> Problem {
    let remedy = match error {
        ArchiveError::Compressed => {
            format!("Unpack it first: `gunzip < {word} > image.tar`, or `unzstd` for zstd")
        }
        ArchiveError::Io(_) => "Give a file that can be read".to_owned(),
        ArchiveError::Cancelled => String::new(),
        _ => "Give a file that `docker save -o FILE.tar IMAGE` wrote".to_owned(),
    };
    Problem {
        what: word.to_owned(),
        why: error.to_string(),
        remedy,
    }
}
