//! The `midwatch` binary: reads the command line, hands over, ends with the right status.

use std::process::ExitCode;

use midwatch::cli::args::{self, Command, ConfigCommand, Refusal};
use midwatch::cli::{self, Exit, lists};
use midwatch::model::Problem;
use midwatch::tui;

fn main() -> ExitCode {
    let exit = match args::parse(std::env::args_os()) {
        Ok(cli) => run(&cli),
        Err(Refusal::Answered(text)) => cli::print(text.as_bytes()).map(|()| Exit::Done),
        Err(Refusal::Wrong(problem)) => {
            cli::complain(&problem);
            Ok(Exit::Usage)
        }
    };
    let exit = exit.unwrap_or_else(|problem| {
        cli::complain(&problem);
        Exit::Unknown
    });
    ExitCode::from(exit.code())
}

/// Does what was asked.
fn run(cli: &args::Cli) -> Result<Exit, Problem> {
    match &cli.command {
        Some(Command::Completions { shell }) => {
            cli::print(&args::completions(*shell)).map(|()| Exit::Done)
        }
        Some(Command::Ps { all, json }) => lists::run_ps(&cli.global, *all, *json),
        Some(Command::Gpus { json }) => lists::run_gpus(&cli.global, *json),
        Some(Command::Config {
            command: ConfigCommand::Print,
        }) => cli::print(tui::config::default_text().as_bytes()).map(|()| Exit::Done),
        None => cli::dashboard::run(&cli.global),
    }
}
