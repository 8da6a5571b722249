//! `midwatch`: the dashboard, from options, configuration and preferences to the loop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::Env;
use crate::inspect::cache::Cache;
use crate::lanes::{Queue, Waker};
use crate::launch::Surroundings;
use crate::logs::Limits;
use crate::model::{HostId, Problem, Stamp};
use crate::trace::Kind;
use crate::tui::config::{self, Config, Overrides};
use crate::tui::launching::{launches_path, load_launches};
use crate::tui::live::Services;
use crate::tui::preferences::Preferences;
use crate::tui::run::{self, Options};
use crate::tui::runner::Runner;
use crate::tui::{Dashboard, Launches, State, StateConfig};
use crate::watch::Watch;

use super::args::GlobalArgs;
use super::{Exit, complain, lists};

/// Outcomes of effects that wait for the loop: as many as a user can ask for.
const OUTCOMES: usize = 64 << 10;

/// How long the end waits for checks to take away what they made on the engine. What is left then is swept at
/// the next start.
const LAST_CHECKS: Duration = Duration::from_secs(3);

/// Runs the dashboard until it ends.
///
/// # Errors
/// The configuration cannot be used, there is no terminal, or the system gives no thread.
pub fn run(global: &GlobalArgs) -> Result<Exit, Problem> {
    let overrides = Overrides {
        read_only: global.read_only,
        theme: std::env::var("MIDWATCH_THEME").ok(),
    };
    let config = Config::load(global.config.as_deref(), &overrides).map_err(|error| Problem {
        what: "the configuration file cannot be used".to_owned(),
        why: error.to_string(),
        remedy: "`midwatch config print` shows a whole one with comments".to_owned(),
    })?;
    let waker = Waker::new();
    let watch_config = lists::watch_config(global, config.refresh)?;
    let trace = watch_config.trace.clone();
    trace.mark("start");
    // The engine's first request goes out now; everything else is made while it is under way.
    let watch = Watch::start(watch_config, &waker).map_err(|error| Problem {
        what: "cannot start the sources".to_owned(),
        why: error.to_string(),
        remedy: "See whether the system gives threads (`ulimit -u`)".to_owned(),
    })?;
    let mut options = Options::detect();
    options.capabilities = config.capabilities(options.capabilities);
    options.mouse = config.mouse;
    let theme = config
        .load_theme(options.capabilities)
        .map_err(|error| Problem {
            what: format!("the theme {} cannot be used", config.theme),
            why: error.to_string(),
            remedy: "Set `theme` to one of dark, light, high-contrast, mono".to_owned(),
        })?;
    let kept = config::preferences_path(global.data_dir.as_deref());
    let state = State::new(state_config(global, &config, kept.as_ref()), Stamp::now());
    let runtime = watch.runtime().clone();
    let (services, mut feed) = Services::new(
        watch,
        global.procfs.clone(),
        Cache::of(global.data_dir.as_deref(), global.demo),
        match global.demo {
            true => Env::of(&[], Path::new("/")),
            false => Env::from_process(),
        },
        waker.clone(),
        trace.clone(),
    );
    let runner = Runner::new(
        Arc::new(services),
        runtime,
        Queue::new(OUTCOMES, waker.clone()),
        config.read_only,
        kept.unwrap_or_else(|| PathBuf::from("midwatch-preferences.toml")),
    );
    let mut dashboard = Dashboard { state, theme };
    let (reason, stats) =
        run::run(&mut dashboard, &mut feed, &runner, &waker, &options).map_err(|error| {
            Problem {
                what: "the dashboard cannot run here".to_owned(),
                why: error.to_string(),
                remedy: "`midwatch ps` and `midwatch gpus` print without a terminal".to_owned(),
            }
        })?;
    runner.end_checks(LAST_CHECKS);
    runner.end_launches(LAST_CHECKS);
    runner.end_builds(LAST_CHECKS);
    trace.count(Kind::Frame, "frames", stats.frames);
    trace.count(Kind::Frame, "bytes", stats.bytes);
    Ok(Exit::Ended(reason.code()))
}

/// The state's start: preferences made on screen stand above the configuration file.
fn state_config(global: &GlobalArgs, config: &Config, kept: Option<&PathBuf>) -> StateConfig {
    let preferences = kept.map_or_else(Preferences::default, preferences);
    StateConfig {
        keymap: config.keys.clone(),
        preferences: Preferences {
            columns: if preferences.columns.is_empty() {
                config.columns.clone()
            } else {
                preferences.columns
            },
            sort: preferences
                .sort
                .or_else(|| (!config.sort.is_empty()).then(|| config.sort.clone())),
            sort_reversed: preferences.sort_reversed,
            show_stopped: preferences.show_stopped.or(Some(config.show_stopped)),
            log_timestamps: preferences.log_timestamps || config.logs.timestamps,
            log_wrap: preferences.log_wrap.or(Some(config.logs.wrap)),
        },
        launches: kept
            .filter(|_| !global.demo)
            .map_or_else(Launches::default, |path| launches(path)),
        surroundings: Surroundings::of_process(),
        read_only: config.read_only,
        demo: global.demo,
        time_zone: TimeZone::system(),
        mouse: config.mouse,
        stop_timeouts: config.stop_timeouts.clone(),
        confirm_timeout: config.confirm_timeout,
        log_limits: Limits {
            lines: config.logs.max_lines,
            bytes: config.logs.max_bytes,
        },
        ..StateConfig::new(HostId::default())
    }
}

/// The preferences file; one that cannot be read costs its choices and a line, never the start.
fn preferences(path: &PathBuf) -> Preferences {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Preferences::default();
        }
        Err(error) => {
            complain(&ignored(path, error.to_string()));
            return Preferences::default();
        }
    };
    toml::from_str(&text).unwrap_or_else(|error: toml::de::Error| {
        complain(&ignored(path, error.message().to_owned()));
        Preferences::default()
    })
}

/// What was launched; a file that cannot be read costs the list and a line, never the start.
fn launches(preferences: &std::path::Path) -> Launches {
    let path = launches_path(preferences);
    load_launches(&path).unwrap_or_else(|why| {
        complain(&Problem {
            what: "the last launches are not known".to_owned(),
            why,
            remedy: "Nothing is written into that file before it can be read again".to_owned(),
        });
        Launches::default()
    })
}

fn ignored(path: &std::path::Path, why: String) -> Problem {
    Problem {
        what: format!("the preferences in {} are left out", path.display()),
        why,
        remedy: "Saving preferences in the dashboard writes them anew".to_owned(),
    }
}
