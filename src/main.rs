//! The `midwatch` binary: reads the command line, hands over, ends with the right status.

use std::process::ExitCode;

use midwatch::cli::args::{self, Command, ConfigCommand, Refusal};
use midwatch::cli::{self, Exit, lists};
use midwatch::model::Problem;
use midwatch::tui;

fn main() -> ExitCode {
    let exit = match args::parse(std::env::args_os()) {
        Ok(cli) => run(&cli),
        Err(Refusal::Answered(text)) => answer(&text),
        Err(Refusal::Wrong(problem)) => {
            cli::complain(&problem);
            Ok(Exit::Usage)
        }
    };
    let exit = exit.unwrap_or_else(|error| {
        cli::complain(&problem_of(error));
        Exit::Unknown
    });
    ExitCode::from(exit.code())
}

/// Prints what was asked of the command line itself.
fn answer(text: &str) -> anyhow::Result<Exit> {
    cli::print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// What went wrong as the user is told it: a [`Problem`] as it is, anything else with its causes.
fn problem_of(error: anyhow::Error) -> Problem {
    error.downcast().unwrap_or_else(|error| Problem {
        what: "midwatch cannot go on".to_owned(),
        why: format!("{error:#}"),
        remedy: String::new(),
    })
}

/// Does what was asked.
fn run(cli: &args::Cli) -> anyhow::Result<Exit> {
    let exit = match &cli.command {
        Some(Command::Completions { shell }) => {
            cli::print(&args::completions(*shell))?;
            Exit::Done
        }
        Some(Command::Ps { all, json }) => lists::run_ps(&cli.global, *all, *json)?,
        Some(Command::Gpus { json }) => lists::run_gpus(&cli.global, *json)?,
        Some(Command::Explain { rule }) => cli::explain::run(rule)?,
        Some(Command::Check(args)) => cli::check::run(&cli.global, args)?,
        Some(Command::Build(args)) => cli::build::run(&cli.global, args)?,
        Some(Command::Run { words }) => cli::run::run(&cli.global, words)?,
        Some(Command::Init(args)) => cli::init::run(&cli.global, args)?,

        Some(Command::Config {
            command: ConfigCommand::Print,
        }) => {
            cli::print(tui::config::default_text().as_bytes())?;
            Exit::Done
        }
        None => cli::dashboard::run(&cli.global)?,
    };
    Ok(exit)
}
