//! The command line, as data.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;

use crate::model::Problem;

use super::check::{FailOn, Mode, ScanMode};

/// A GPU-aware terminal dashboard for Docker. Without a command: the dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "midwatch",
    version,
    subcommand_help_heading = "Commands",
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Options that hold for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do; nothing named is the dashboard.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that hold for every command. They stand before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Options (before the command)")]
pub struct GlobalArgs {
    /// Engine to talk to: unix://PATH, tcp://HOST:PORT or ssh://[USER@]HOST[:PORT]
    #[arg(short = 'H', long, value_name = "ENDPOINT", conflicts_with = "context")]
    pub host: Option<String>,
    /// Docker context to use
    #[arg(short = 'c', long, value_name = "NAME")]
    pub context: Option<String>,
    /// NVIDIA library to load instead of libnvidia-ml.so.1
    #[arg(long, value_name = "PATH")]
    pub nvml: Option<PathBuf>,
    /// Where the host's procfs is mounted
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/proc",
        hide_default_value = true
    )]
    pub procfs: PathBuf,
    /// Where the host's sysfs is mounted
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/sys",
        hide_default_value = true
    )]
    pub sysfs: PathBuf,
    /// Where midwatch keeps its own files
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file (see `midwatch config print`)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Refuse everything that changes a container or a process
    #[arg(long)]
    pub read_only: bool,
    /// A simulated host: no Docker, no GPU, no network
    #[arg(long, conflicts_with_all = ["host", "context", "nvml"])]
    pub demo: bool,
    /// Write timings of sources, frames, lanes and drops to a file
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// List containers with what they use, GPUs included
    Ps {
        /// Show stopped containers too
        #[arg(short, long)]
        all: bool,
        /// Print one JSON document (schema midwatch/ps/v1)
        #[arg(long)]
        json: bool,
    },
    /// List GPUs with their processes and containers
    Gpus {
        /// Print one JSON document (schema midwatch/gpus/v1)
        #[arg(long)]
        json: bool,
    },
    /// Tell whether images will run on this host, or on one that is named
    Check(CheckArgs),
    /// Build an image from a project folder, and tell whether it will run on this host
    Build(BuildArgs),
    /// Launch an image with docker run's flags, on the right GPUs (see `midwatch run --help`)
    #[command(disable_help_flag = true)]
    Run {
        /// docker run's flags and midwatch's own, the image, its command
        #[arg(
            value_name = "FLAGS] IMAGE [COMMAND",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<String>,
    },
    /// Write a Dockerfile and a .dockerignore for a project folder, for this host's driver and GPUs
    Init(InitArgs),
    /// Explain a rule of the verdict
    Explain {
        /// Its code, as MW102
        rule: String,
    },
    /// The configuration file
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// What to check, and for which host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// Images or containers of the engine, or files of `docker save` or OCI tools
    #[arg(required = true, value_name = "IMAGE|CONTAINER|FILE.tar")]
    pub subjects: Vec<String>,
    /// How much to look at
    #[arg(long, value_enum, default_value_t, hide_possible_values = false)]
    pub scan: ScanMode,
    /// Judge for a host with this driver instead of this one
    #[arg(long, value_name = "VERSION")]
    pub driver: Option<String>,
    /// Highest CUDA of that driver, where its version is newer than midwatch knows
    #[arg(long, value_name = "X.Y")]
    pub cuda: Option<String>,
    /// A GPU of that host, by name or compute capability; may be given again: all must be served
    #[arg(long, value_name = "NAME|sm_NN")]
    pub gpu: Vec<String>,
    /// How that host hands GPUs to containers [default: legacy]
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Every driver branch against every GPU generation
    #[arg(long)]
    pub matrix: bool,
    /// What makes the answer a no
    #[arg(long, value_enum, default_value_t)]
    pub fail_on: FailOn,
    /// Print one JSON document (schema midwatch/check/v1)
    #[arg(long)]
    pub json: bool,
}

/// What to build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct BuildArgs {
    /// Name of the image; may be given again [default: the folder's name]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    /// The Dockerfile [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A value for an ARG of the Dockerfile; without =VALUE that of the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// The stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Take nothing from earlier builds
    #[arg(long)]
    pub no_cache: bool,
    /// Ask for newer base images
    #[arg(long)]
    pub pull: bool,
    /// Build for this platform
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Network of the RUN steps
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Fail where what was built will not run on this host, or nobody can tell
    #[arg(long)]
    pub check: bool,
    /// Print one JSON document (schema midwatch/build/v1)
    #[arg(long)]
    pub json: bool,
    /// The project's folder
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    pub path: PathBuf,
}

/// What kind of project gets a Dockerfile, where, and for which host.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InitArgs {
    /// What kind of project it is
    #[arg(value_enum)]
    pub kind: InitKind,
    /// Its folder
    #[arg(default_value = ".", hide_default_value = true, value_hint = clap::ValueHint::DirPath)]
    pub path: PathBuf,
    /// Write for a host with this driver instead of this one
    #[arg(long, value_name = "VERSION")]
    pub driver: Option<String>,
    /// Highest CUDA of that driver, where its version is newer than midwatch knows
    #[arg(long, value_name = "X.Y")]
    pub cuda: Option<String>,
    /// A GPU of that host, by name or compute capability; may be given again: all are served
    #[arg(long, value_name = "NAME|sm_NN")]
    pub gpu: Vec<String>,
}

/// A kind of project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InitKind {
    /// A FastAPI application under uvicorn
    Fastapi,
    /// A Gradio application
    Gradio,
    /// A training
    Train,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Print the default configuration file with comments
    Print,
}

/// Why there is nothing to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Help or the version was asked for: this text goes to standard output, exit status 0.
    Answered(String),
    /// Wrong usage: exit status 2.
    Wrong(Problem),
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// [`Refusal::Answered`] where help or the version was asked for, [`Refusal::Wrong`] where it cannot be read.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Cli, Refusal> {
    Cli::try_parse_from(line).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Refusal::Answered(error.render().to_string())
        }
        _ => Refusal::Wrong(usage_problem(&error)),
    })
}

/// The completion script for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "midwatch", &mut script);
    script
}

/// clap's many lines as what, why and remedy.
fn usage_problem(error: &clap::Error) -> Problem {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let why = one_line(paragraphs.next().unwrap_or_default())
        .trim_start_matches("error: ")
        .to_owned();
    let tip = paragraphs
        .map(one_line)
        .find_map(|p| p.strip_prefix("tip: ").map(str::to_owned));
    let remedy = misplaced_global(error)
        .or(tip)
        .unwrap_or_else(|| "Try `midwatch --help`".to_owned());
    Problem {
        what: "wrong usage".to_owned(),
        why,
        remedy,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A global option after the command is the likeliest slip of who knows Docker's order by heart less well.
fn misplaced_global(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let name = match error.get(clap::error::ContextKind::InvalidArg)? {
        clap::error::ContextValue::String(name) => name.clone(),
        _ => return None,
    };
    let name = name.split('=').next().unwrap_or_default().to_owned();
    let known = Cli::command().get_arguments().any(|arg| {
        arg.get_long()
            .is_some_and(|long| name == format!("--{long}"))
            || arg
                .get_short()
                .is_some_and(|short| name == format!("-{short}"))
    });
    known.then(|| format!("{name} goes before the command: `midwatch {name} … COMMAND`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, Refusal> {
        parse(
            std::iter::once("midwatch")
                .chain(line.split_whitespace())
                .map(OsString::from),
        )
    }

    fn wrong(line: &str) -> String {
        match read(line) {
            Err(Refusal::Wrong(problem)) => problem.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_the_command() {
        let cli = read(
            "-H unix:///run/d.sock --nvml /x.so --procfs /host/proc --read-only ps --all --json",
        )
        .unwrap();
        assert_eq!(cli.global.host.as_deref(), Some("unix:///run/d.sock"));
        assert_eq!(cli.global.procfs, PathBuf::from("/host/proc"));
        assert_eq!(cli.global.sysfs, PathBuf::from("/sys"));
        assert!(cli.global.read_only);
        assert_eq!(
            cli.command,
            Some(Command::Ps {
                all: true,
                json: true
            })
        );
        assert_eq!(
            read("-c prod gpus").unwrap().global.context.as_deref(),
            Some("prod")
        );
        assert_eq!(read("--demo").unwrap().command, None);
        assert_eq!(
            read("config print").unwrap().command,
            Some(Command::Config {
                command: ConfigCommand::Print
            })
        );
        assert_eq!(
            wrong("ps -H unix:///x"),
            "wrong usage: unexpected argument '-H' found. -H goes before the command: `midwatch -H … COMMAND`"
        );
    }

    #[test]
    fn wrong_usage_is_one_line_with_a_remedy() {
        for line in [
            "frobnicate",
            "--frob",
            "ps --jsn",
            "-H a -c b ps",
            "--demo -H x",
            "completions fish2",
            "config",
            "-H",
        ] {
            let text = wrong(line);
            assert!(text.starts_with("wrong usage: "), "{line}: {text}");
            assert!(!text.contains('\n'), "{line}: {text}");
            assert!(!text.contains("error:"), "{line}: {text}");
        }
        assert!(
            wrong("ps --jsn").contains("'--json'"),
            "{}",
            wrong("ps --jsn")
        );
        assert!(
            wrong("--frob").ends_with("Try `midwatch --help`"),
            "{}",
            wrong("--frob")
        );
    }

    #[test]
    fn help_and_version_are_answers() {
        for line in ["--help", "-h", "--version", "-V", "ps --help"] {
            assert!(matches!(read(line), Err(Refusal::Answered(_))), "{line}");
        }
    }

    #[test]
    fn every_shell_gets_a_script_that_names_the_commands() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let script = String::from_utf8(completions(shell)).unwrap();
            for word in [
                "ps",
                "gpus",
                "build",
                "build-arg",
                "init",
                "completions",
                "read-only",
            ] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
