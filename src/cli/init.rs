//! `midwatch init`: a Dockerfile and a `.dockerignore` for a project folder.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::build::init::{self, Kind, Made, Written};
use crate::model::text::clean;
use crate::model::{Problem, Stamp};
use crate::verdict::facts::{HostFacts, Injection};

use super::args::{GlobalArgs, InitArgs, InitKind};
use super::check::host_of;
use super::check::live::Live;
use super::{Exit, complain, print};

/// Runs it: 0 written, 1 there is a Dockerfile already (nothing is written), 2 wrong usage.
///
/// # Errors
/// The folder cannot be read or written to.
pub fn run(global: &GlobalArgs, args: &InitArgs) -> Result<Exit, Problem> {
    let month = Stamp::now().wall.strftime("%Y-%m").to_string();
    let kind = match args.kind {
        InitKind::Fastapi => Kind::FastApi,
        InitKind::Gradio => Kind::Gradio,
        InitKind::Train => Kind::Train,
    };
    if let Err(problem) = is_folder(&args.path) {
        complain(&problem);
        return Ok(Exit::Usage);
    }
    // A link to nowhere is there too. Asked first: no driver need be woken for a no.
    if fs::symlink_metadata(args.path.join("Dockerfile")).is_ok() {
        complain(&there_is_one(&args.path));
        return Ok(Exit::No);
    }
    let named = args.driver.is_some() || args.cuda.is_some() || !args.gpu.is_empty();
    let host = if named {
        match host_of(
            &args.driver,
            &args.cuda,
            &args.gpu,
            Injection::Legacy,
            &month,
        ) {
            Ok(host) => host,
            Err(problem) => {
                complain(&problem);
                return Ok(Exit::Usage);
            }
        }
    } else {
        this_host(global, &month)?
    };
    let project = init::look(&args.path, kind).map_err(|error| Problem {
        what: format!("cannot read {}", shown(&args.path)),
        why: error.to_string(),
        remedy: "Give a folder that you may read".to_owned(),
    })?;
    let made = init::make(kind, &project, &host);
    match init::write(&args.path, &made)? {
        Written::Refused => {
            complain(&there_is_one(&args.path));
            Ok(Exit::No)
        }
        Written::Done { new, kept } => {
            for note in &made.notes {
                let _ = writeln!(std::io::stderr().lock(), "midwatch: {note}");
            }
            print(report(&project.name, &made, &new, &kept).as_bytes())?;
            Ok(Exit::Done)
        }
    }
}

fn is_folder(path: &Path) -> Result<(), Problem> {
    let why = match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is no folder".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Problem {
        what: format!("wrong usage: {}", shown(path)),
        why,
        remedy: "Give the project's folder".to_owned(),
    })
}

fn there_is_one(path: &Path) -> Problem {
    Problem {
        what: format!("nothing was written to {}", shown(path)),
        why: "there is a Dockerfile already".to_owned(),
        remedy: "Move it away first, if another is wanted".to_owned(),
    }
}

fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy(), 200)
}

/// This machine's driver and GPUs; the engine is not asked.
fn this_host(global: &GlobalArgs, month: &str) -> Result<HostFacts, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem {
            what: "cannot ask the driver".to_owned(),
            why: error.to_string(),
            remedy: "See whether the system gives descriptors (`ulimit -n`)".to_owned(),
        })?;
    let live = runtime.block_on(Live::open(global, false, true));
    // A hung driver call must not hold the program.
    runtime.shutdown_background();
    Ok(live?.host(month))
}

/// What became of each file, and what to do next.
fn report(name: &str, made: &Made, new: &[&str], kept: &[&str]) -> String {
    let mut out = String::new();
    for file in new {
        out.push_str(&format!("{file}: written\n"));
    }
    for file in kept {
        out.push_str(&format!("{file}: kept as it is\n"));
    }
    let gpus = if made.gpu { " --gpus all" } else { "" };
    let rest = made.port.map_or_else(
        || " --shm-size 8g".to_owned(),
        |port| format!(" -p {port}:{port}"),
    );
    out.push_str(&format!(
        "\nNext, in that folder:\n  midwatch build -t {name} .\n  midwatch run --rm{gpus}{rest} {name}\n"
    ));
    out
}
