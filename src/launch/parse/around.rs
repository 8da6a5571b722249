//! What stands around the flags: `sudo`, assignments, the program and its own flags, the verb.

use std::collections::BTreeMap;

use super::{ParseFault, Parsed, args};
use crate::launch::field::{said, shown};
use crate::launch::{EnvVar, LaunchSpec, OtherFlag, Surroundings, words};

/// Reads a whole line: `sudo`, assignments, `docker`, `podman` or `nvidia-docker` with their own flags, `run` or
/// `create`; also `midwatch run`. Without a program it is what follows `run`.
///
/// # Errors
/// As [`args`]; another command; what a shell would execute.
pub fn line(text: &str, surroundings: &Surroundings) -> Result<Parsed, ParseFault> {
    let split = words::split(text, surroundings).map_err(|why| ParseFault::one("", why))?;
    let mut given = split.assigned;
    let mut words = split.words.as_slice();
    loop {
        let Some((first, rest)) = words.split_first() else {
            return Err(ParseFault::one("", "no command: write docker run IMAGE"));
        };
        match program(first) {
            "sudo" => words = after_sudo(rest, &mut given)?,
            "env" | "time" | "exec" | "command" | "nohup" => {
                words = rest;
                while let Some((name, value)) = words
                    .first()
                    .filter(|word| !word.starts_with('-'))
                    .and_then(|word| word.split_once('='))
                {
                    given.insert(name.to_owned(), value.to_owned());
                    words = words.split_first().map_or(&[], |(_, rest)| rest);
                }
            }
            _ => break,
        }
    }
    let mut around = Globals::default();
    let Some((first, rest)) = words.split_first() else {
        return Err(ParseFault::one("", "no command: write docker run IMAGE"));
    };
    let program = program(first);
    let rest = match program {
        "docker" | "podman" | "nvidia-docker" | "nvidia-docker2" | "docker.exe" => {
            around.read(rest)?
        }
        "midwatch" => around.verb(rest, "midwatch")?,
        "run" => rest,
        _ if first.starts_with('-') => words,
        _ => {
            return Err(ParseFault::one(
                "",
                format!("{} is not docker run: write docker run IMAGE", said(first)),
            ));
        }
    };
    let mut parsed = args(rest, surroundings, program == "midwatch")?;
    parsed.create = around.create;
    parsed.host = around.host;
    parsed.context = around.context;
    let mut notes = around.notes;
    notes.extend(split.unset.iter().map(|name| {
        format!(
            "${} is not set here, so nothing stands in its place",
            shown(name)
        )
    }));
    notes.append(&mut parsed.notes);
    parsed.notes = notes;
    if program.starts_with("nvidia-docker") {
        nvidia_docker(&mut parsed.spec, &given, surroundings);
    }
    // A variable that the line sets for the command is one of whoever launches.
    for var in &mut parsed.spec.env {
        if var.value.is_none() {
            var.value = given.get(&var.name).cloned();
        }
    }
    Ok(parsed)
}

/// The program's name without its folder.
fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn after_sudo<'a>(
    words: &'a [String],
    given: &mut BTreeMap<String, String>,
) -> Result<&'a [String], ParseFault> {
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        rest = match first.as_str() {
            "-E" | "-H" | "-n" | "-S" | "-b" | "-k" | "--preserve-env" => after,
            "-u" | "-g" | "-C" | "-p" => after.split_first().map_or(&[], |(_, rest)| rest),
            "--" => return Ok(after),
            flag if flag.starts_with("--preserve-env=") || flag.starts_with("--user=") => after,
            flag if flag.starts_with('-') => {
                return Err(ParseFault::one(
                    "",
                    format!("sudo's {} is not read: leave sudo out", said(flag)),
                ));
            }
            word => match word.split_once('=') {
                Some((name, value)) if !name.contains('/') => {
                    given.insert(name.to_owned(), value.to_owned());
                    after
                }
                _ => return Ok(rest),
            },
        };
    }
    Ok(rest)
}

/// What the wrapper adds: the runtime, and the GPUs of `NV_GPU`.
fn nvidia_docker(
    spec: &mut LaunchSpec,
    given: &BTreeMap<String, String>,
    surroundings: &Surroundings,
) {
    if spec.gpus.is_none() && spec.other_value("runtime").is_none() {
        spec.other.push(OtherFlag {
            name: "runtime".to_owned(),
            value: "nvidia".to_owned(),
        });
    }
    let asked = given
        .get("NV_GPU")
        .or_else(|| surroundings.env.get("NV_GPU"))
        .filter(|gpus| !gpus.is_empty());
    if let Some(gpus) = asked {
        spec.env.insert(
            0,
            EnvVar {
                name: "NVIDIA_VISIBLE_DEVICES".to_owned(),
                value: Some(gpus.clone()),
            },
        );
    }
}

/// What stands between the program and its verb.
#[derive(Default)]
struct Globals {
    create: bool,
    host: Option<String>,
    context: Option<String>,
    notes: Vec<String>,
}

impl Globals {
    fn read<'a>(&mut self, words: &'a [String]) -> Result<&'a [String], ParseFault> {
        let mut rest = words;
        while let Some((first, after)) = rest.split_first() {
            if !first.starts_with('-') {
                break;
            }
            let (name, inline) = match first.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (first.as_str(), None),
            };
            let wants = matches!(
                name,
                "-H" | "--host"
                    | "-c"
                    | "--context"
                    | "-l"
                    | "--log-level"
                    | "--config"
                    | "--tlscacert"
                    | "--tlscert"
                    | "--tlskey"
            );
            let (value, after) = match (wants, inline, after.split_first()) {
                (false, inline, _) => (inline.unwrap_or_default(), after),
                (true, Some(inline), _) => (inline, after),
                (true, None, Some((value, after))) => (value.clone(), after),
                (true, None, None) => return Err(ParseFault::one(name, "has no value")),
            };
            match name {
                "-H" | "--host" => self.host = Some(value),
                "-c" | "--context" => self.context = Some(value),
                "-D" | "--debug" | "-l" | "--log-level" => self.notes.push(format!(
                    "{name} is about Docker's own client and is not used"
                )),
                "--config" | "--tls" | "--tlsverify" | "--tlscacert" | "--tlscert" | "--tlskey" => {
                    return Err(ParseFault::one(
                        name,
                        "how the engine is reached is told to midwatch itself: see midwatch --help",
                    ));
                }
                _ => {
                    return Err(ParseFault::one(
                        name,
                        "is no flag of docker itself: flags of the container come after run",
                    ));
                }
            }
            rest = after;
        }
        self.verb(rest, "docker")
    }

    fn verb<'a>(&mut self, words: &'a [String], program: &str) -> Result<&'a [String], ParseFault> {
        let (first, rest) = words.split_first().unzip();
        let (verb, rest) = match (first.map(String::as_str), rest) {
            (Some("container"), Some(rest)) => {
                let (first, rest) = rest.split_first().unzip();
                (first.map(String::as_str), rest)
            }
            pair => pair,
        };
        match (verb, rest) {
            (Some("run"), Some(rest)) => Ok(rest),
            (Some("create"), Some(rest)) if program != "midwatch" => {
                self.create = true;
                Ok(rest)
            }
            (Some(verb), _) => Err(ParseFault::one(
                "",
                format!("this is {program} {}, not {program} run", shown(verb)),
            )),
            (None, _) => Err(ParseFault::one("", format!("write {program} run IMAGE"))),
        }
    }
}
