//! The `midwatch` binary: reads the command line, hands over, ends with the right status.

use std::process::ExitCode;

use midwatch::cli::args::{self, Command, Refusal};
use midwatch::cli::{self, Exit};
use midwatch::model::Problem;

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
        _ => Ok(Exit::Unknown),
    }
}
