//! `midwatch build`: an image from a project folder, its log live, then whether it will run here.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::args::{BuildArgs, GlobalArgs};
use super::check::Built as Judged;
use super::format::bytes;
use super::lists::DEMO_SEED;
use super::{Exit, complain, print};
use crate::build::{self, BuildAsk, BuildError, BuildNews, Built, How};
use crate::check::Cancel;
use crate::demo::DemoHost;
use crate::engine::{Asked, Connected, Env, SourceConfig, connect, connect_simulated};
use crate::launch::{PortAsk, Surroundings};
use crate::model::{HostId, Problem, Stamp};

/// Runs it.
///
/// # Errors
/// The engine cannot be asked.
pub fn run(global: &GlobalArgs, args: &BuildArgs) -> Result<Exit, Problem> {
    let ask = match ask(global, args) {
        Ok(ask) => ask,
        Err(problem) => {
            complain(&problem);
            return Ok(Exit::Usage);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem {
            what: "cannot build".to_owned(),
            why: error.to_string(),
            remedy: "See whether the system gives descriptors (`ulimit -n`)".to_owned(),
        })?;
    let exit = runtime.block_on(whole(global, args, &ask));
    // A hung driver call must not hold the program.
    runtime.shutdown_background();
    exit
}

/// What is asked for; the error is wrong usage.
fn ask(global: &GlobalArgs, args: &BuildArgs) -> Result<BuildAsk, Problem> {
    let wrong = |why: String, remedy: &str| Problem {
        what: "wrong usage".to_owned(),
        why,
        remedy: remedy.to_owned(),
    };
    if global.read_only {
        return Err(wrong(
            "--read-only refuses to build: a build makes an image".to_owned(),
            "Leave --read-only out",
        ));
    }
    for path in [Some(&args.path), args.file.as_ref()].into_iter().flatten() {
        if is_no_path(path) {
            return Err(wrong(
                format!(
                    "{} is no folder: only folders are built, with a Dockerfile in a file",
                    crate::model::text::clean(&path.to_string_lossy(), 200)
                ),
                "Fetch it first (`git clone`), then name the folder",
            ));
        }
    }
    let mut values = Vec::new();
    for text in &args.build_arg {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), None),
        };
        if name.is_empty() {
            return Err(wrong(
                format!("--build-arg {text} has no name"),
                "Write it as NAME=VALUE, or as NAME for the environment's value",
            ));
        }
        values.push((name.to_owned(), value));
    }
    Ok(BuildAsk {
        folder: args.path.clone(),
        dockerfile: args.file.clone(),
        tags: args.tag.clone(),
        args: values,
        target: args.target.clone(),
        no_cache: args.no_cache,
        pull: args.pull,
        platform: args.platform.clone(),
        network: args.network.clone(),
    })
}

/// What docker reads from elsewhere: standard input, a repository, an archive of the web.
fn is_no_path(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text == "-"
        || [
            "http://",
            "https://",
            "git://",
            "ssh://",
            "git@",
            "github.com/",
        ]
        .iter()
        .any(|start| text.starts_with(start))
}

async fn whole(global: &GlobalArgs, args: &BuildArgs, ask: &BuildAsk) -> Result<Exit, Problem> {
    let connected = open(global).await?;
    let log = Arc::new(Log::new());
    let ended = until_stopped(&connected, ask, &log).await;
    log.end();
    let built = match ended {
        Ok(built) => built,
        Err(Ended::Signal(status)) => return Ok(Exit::Ended(status)),
        Err(Ended::Fault(BuildError::Engine(error))) if error.is_connection() => {
            return Err(connected.problem(&error));
        }
        Err(Ended::Fault(error)) => {
            complain(&error.problem());
            return Ok(Exit::No);
        }
    };
    if !args.json {
        print(format!("built {}  {}\n", built.name, built.image.0).as_bytes())?;
    }
    let judged = match Judged::judge(global, &built.name).await {
        Ok(Ok(judged)) => judged,
        Ok(Err(status)) => return Ok(Exit::Ended(status)),
        // The image is there all the same.
        Err(problem) => {
            complain(&problem);
            None
        }
    };
    let exit = match (&judged, args.check) {
        (_, false) => Exit::Done,
        (Some(judged), true) => judged.exit(),
        (None, true) => Exit::Unknown,
    };
    let line = run_line(&built);
    if args.json {
        print(&super::json::document(&Document {
            schema: "midwatch/build/v1",
            name: &built.name,
            id: &built.image.0,
            builder: log.builder(),
            exposed: built.exposed.iter().map(port).collect(),
            run: &line,
            check: judged.as_ref().map(Judged::json),
        })?)?;
        return Ok(exit);
    }
    let mut out = String::new();
    if let Some(judged) = &judged {
        out.push_str(&judged.text());
    }
    out.push_str(&format!("run it: {line}\n"));
    print(out.as_bytes())?;
    Ok(exit)
}

#[derive(Serialize)]
struct Document<'a, C: Serialize> {
    schema: &'static str,
    name: &'a str,
    id: &'a str,
    builder: String,
    exposed: Vec<String>,
    run: &'a str,
    check: Option<C>,
}

async fn open(global: &GlobalArgs) -> Result<Connected, Problem> {
    if global.demo {
        return connect_simulated(DemoHost::new(DEMO_SEED, Stamp::now())).map_err(|error| {
            Problem {
                what: "cannot reach the simulated engine".to_owned(),
                why: error.to_string(),
                remedy: String::new(),
            }
        });
    }
    connect(&SourceConfig {
        host: HostId::default(),
        asked: Asked {
            host: global.host.clone(),
            context: global.context.clone(),
        },
        env: Env::from_process(),
    })
    .await
}

enum Ended {
    Signal(u8),
    Fault(BuildError),
}

/// Builds; a signal cancels it, and what it made is gone before the program ends.
async fn until_stopped(
    connected: &Connected,
    ask: &BuildAsk,
    log: &Arc<Log>,
) -> Result<Built, Ended> {
    use tokio::signal::unix::{SignalKind, signal};
    let cancel = Cancel::default();
    let how = How {
        surroundings: Surroundings::of_process(),
        docker: Some(Env::from_process()),
    };
    let own = Arc::clone(log);
    let told: build::Told = Arc::new(move |news| own.show(news));
    let building = build::build(&connected.engine, ask, &how, told, &cancel);
    tokio::pin!(building);
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    );
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
        return building.await.map_err(Ended::Fault);
    };
    let ended = tokio::select! {
        built = &mut building => return built.map_err(Ended::Fault),
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
        _ = hangup.recv() => 129,
    };
    cancel.cancel();
    let _ = building.await;
    Err(Ended::Signal(ended))
}

/// `midwatch run -p 7860:7860 my-ai-api`.
fn run_line(built: &Built) -> String {
    let mut words = vec!["midwatch run".to_owned()];
    words.extend(
        built
            .exposed
            .iter()
            .map(|port| format!("-p {}", published(port))),
    );
    words.push(built.name.clone());
    words.join(" ")
}

/// `7860:7860`, `53:53/udp`.
fn published(port: &PortAsk) -> String {
    let numbers = match port.container.first == port.container.last {
        true => port.container.first.to_string(),
        false => format!("{}-{}", port.container.first, port.container.last),
    };
    match port.protocol.as_str() {
        "tcp" => format!("{numbers}:{numbers}"),
        protocol => format!("{numbers}:{numbers}/{protocol}"),
    }
}

/// `7860/tcp`.
fn port(port: &PortAsk) -> String {
    match port.container.first == port.container.last {
        true => format!("{}/{}", port.container.first, port.protocol),
        false => format!(
            "{}-{}/{}",
            port.container.first, port.container.last, port.protocol
        ),
    }
}

/// The log on standard error. On a terminal a line that is told again is written over; elsewhere only what
/// it became at last is written below it.
#[derive(Debug)]
struct Log {
    terminal: bool,
    state: Mutex<LogState>,
}

#[derive(Debug, Default)]
struct LogState {
    builder: String,
    /// The line that may be told again: on a terminal it stands there without its end.
    open: Option<String>,
    /// Whether a line of progress stands on the terminal.
    progress: bool,
}

impl Log {
    fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    fn builder(&self) -> String {
        let state = self.state.lock();
        state
            .unwrap_or_else(PoisonError::into_inner)
            .builder
            .clone()
    }

    fn show(&self, news: BuildNews) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stderr().lock();
        let _ = out.write_all(state.bytes(self.terminal, news).as_bytes());
        let _ = out.flush();
    }

    fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = state.close(self.terminal);
        let _ = std::io::stderr().lock().write_all(rest.as_bytes());
    }
}

impl LogState {
    /// Ends the line that stands open.
    fn close(&mut self, terminal: bool) -> String {
        let mut out = String::new();
        if std::mem::take(&mut self.progress) {
            out.push_str("\r\x1b[K");
        }
        if let Some(line) = self.open.take() {
            match terminal {
                true => out.push('\n'),
                false => out = format!("{line}\n"),
            }
        }
        out
    }

    fn bytes(&mut self, terminal: bool, news: BuildNews) -> String {
        match news {
            BuildNews::Builder(builder) => {
                let mut out = self.close(terminal);
                out.push_str(&format!("builds with {builder}\n"));
                self.builder = builder;
                out
            }
            BuildNews::Context { .. } if !terminal => String::new(),
            BuildNews::Context {
                bytes: sent,
                total_bytes,
            } => {
                let mut out = match self.progress {
                    true => String::new(),
                    false => self.close(terminal),
                };
                self.progress = true;
                out.push_str(&format!("\r\x1b[Ksending the context: {}", bytes(sent)));
                if let Some(total) = total_bytes {
                    out.push_str(&format!(" of {}", bytes(total)));
                }
                out
            }
            BuildNews::Line(line) if terminal => {
                let mut out = self.close(terminal);
                out.push_str(&line);
                self.open = Some(line);
                out
            }
            BuildNews::Line(line) => {
                let out = self.close(terminal);
                format!("{out}{line}\n")
            }
            BuildNews::Replace(line) if terminal => {
                let columns = super::terminal_width().unwrap_or(80);
                let cut = crate::model::text::plain(&line, columns.saturating_sub(1));
                self.open = Some(line);
                format!("\r\x1b[K{cut}")
            }
            BuildNews::Replace(line) => {
                self.open = Some(line);
                String::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::dockerfile;
    use crate::model::ImageId;

    fn line(text: &str) -> BuildNews {
        BuildNews::Line(text.into())
    }

    fn again(text: &str) -> BuildNews {
        BuildNews::Replace(text.into())
    }

    #[test]
    fn a_log_that_is_no_terminals_has_whole_lines_alone() {
        let mut state = LogState::default();
        let mut out = String::new();
        for news in [
            BuildNews::Builder("docker buildx v0".into()),
            BuildNews::Context {
                bytes: 1,
                total_bytes: Some(2),
            },
            line("one"),
            line("1 %"),
            again("50 %"),
            again("100 %"),
            line("two"),
        ] {
            out.push_str(&state.bytes(false, news));
        }
        out.push_str(&state.close(false));
        assert_eq!(out, "builds with docker buildx v0\none\n1 %\n100 %\ntwo\n");
    }

    #[test]
    fn on_a_terminal_a_line_is_written_over() {
        let mut state = LogState::default();
        let mut out = String::new();
        for news in [
            BuildNews::Context {
                bytes: 1024,
                total_bytes: Some(2048),
            },
            line("1 %"),
            again("2 %"),
            line("two"),
        ] {
            out.push_str(&state.bytes(true, news));
        }
        out.push_str(&state.close(true));
        assert_eq!(
            out,
            "\r\x1b[Ksending the context: 1.0 KiB of 2.0 KiB\r\x1b[K1 %\r\x1b[K2 %\ntwo\n"
        );
    }

    #[test]
    fn the_line_to_run_it_publishes_what_is_exposed() {
        let built = Built {
            image: ImageId("sha256:1".into()),
            name: "my-api".into(),
            exposed: ["7860", "53/udp", "7000-7002"]
                .iter()
                .filter_map(|text| dockerfile::port(text))
                .collect(),
        };
        assert_eq!(
            run_line(&built),
            "midwatch run -p 7860:7860 -p 53:53/udp -p 7000-7002:7000-7002 my-api"
        );
    }

    #[test]
    fn what_is_no_folder_is_wrong_usage() {
        let global = GlobalArgs::default();
        for path in ["-", "https://github.com/a/b.git", "git@github.com:a/b"] {
            let args = BuildArgs {
                path: path.into(),
                ..BuildArgs::default()
            };
            let text = ask(&global, &args).unwrap_err().to_string();
            assert!(text.contains("only folders are built"), "{text}");
        }
        let args = BuildArgs {
            path: ".".into(),
            build_arg: vec!["A=1=2".into(), "B".into(), "C=".into()],
            ..BuildArgs::default()
        };
        assert_eq!(
            ask(&global, &args).unwrap().args,
            [
                ("A".to_owned(), Some("1=2".to_owned())),
                ("B".to_owned(), None),
                ("C".to_owned(), Some(String::new()))
            ]
        );
        let none = BuildArgs {
            build_arg: vec!["=x".into()],
            ..args.clone()
        };
        assert!(ask(&global, &none).is_err());
        let read_only = GlobalArgs {
            read_only: true,
            ..global
        };
        assert!(
            ask(&read_only, &args)
                .unwrap_err()
                .why
                .contains("--read-only refuses")
        );
    }
}
