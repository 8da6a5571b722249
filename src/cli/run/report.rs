//! What `run` says of a plan: remarks on standard error, the line and the JSON document of `--dry-run`.

use serde::Serialize;
use serde_json::Value;

use crate::cli::check::{FindingJson, finding};
use crate::cli::format::bytes;
use crate::cli::json;
use crate::engine::PullProgress;
use crate::launch::words;
use crate::launch::{LaunchSpec, Which};
use crate::launcher::{ChosenGpu, Launched, Plan};
use crate::model::{MASK, Problem, looks_secret, mask_command};
use crate::verdict::{Answer, Severity, Verdict};

/// What `midwatch run --help` prints.
pub(super) const HELP: &str = "\
Launch an image with docker run's flags, on the right GPUs

Usage: midwatch [OPTIONS] run [DOCKER RUN'S FLAGS] [FLAGS BELOW] IMAGE [COMMAND...]

Which GPUs:
  --gpus all|N|device=0,GPU-...   As docker run has it; a number or an index is pinned by UUID
  --free N                        N GPUs that nobody uses: no process, memory free, idle, sound, given to
                                  no container by name

Before it starts:
  --scan auto|config|full   How much of the image is looked at for the verdict [default: auto]
  --force                   Start it although the verdict or a conflict is against it
  --dry-run                 Say what would be done, and do nothing
  --json                    With --dry-run or -d: one JSON document (schema midwatch/run/v1)

All other flags have docker run's own meaning (-d, -it, --rm, -v, -p, -e, --shm-size, --ipc, ...).
In the foreground signals are passed on (the third SIGINT or SIGTERM lets go of a container that takes no
notice), and with -it Ctrl-P Ctrl-Q detaches.
Exit status: the container's; 125 where it was refused, 126 or 127 where its command cannot be run.
";

/// Which GPUs and why, what is against it, the verdict where it is no plain yes.
pub(super) fn remarks(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let free = matches!(&plan.spec.gpus, Some(ask) if matches!(ask.which, Which::Free(_)));
    if free {
        for gpu in &plan.gpus.chosen {
            lines.push(format!("{} ({}): {}", gpu.label(), gpu.name, gpu.why));
        }
    }
    for conflict in plan.conflicts.iter().filter(|c| !c.stops) {
        lines.push(match conflict.remedy.is_empty() {
            true => format!("warning: {}", conflict.text),
            false => format!("warning: {}; {}", conflict.text, conflict.remedy),
        });
    }
    if let Some(verdict) = plan.decisive() {
        lines.extend(doubts(verdict));
    }
    lines
}

fn doubts(verdict: &Verdict) -> Vec<String> {
    match verdict.answer {
        Answer::Works | Answer::NoCuda | Answer::Fails => Vec::new(),
        Answer::Limited => verdict
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Warning)
            .map(|f| {
                let remedy = f.remedy.first();
                let remedy = remedy.map_or_else(String::new, |r| format!("; {r}"));
                format!("warning: {} {}{remedy}", f.rule, f.title)
            })
            .collect(),
        Answer::Unknown => {
            let why = verdict.unknown.first();
            let why = why.map_or_else(String::new, |w| format!(": {w}"));
            vec![format!(
                "whether it works on these GPUs cannot be told{why}"
            )]
        }
    }
}

/// `vllm/vllm-openai:v0.9.0: 3 of 12 layers, 1.2 GiB of 4.5 GiB, 27 %`.
pub(super) fn pulled(progress: &PullProgress) -> String {
    let done = progress
        .layers
        .iter()
        .filter(|l| matches!(l.status.as_str(), "Pull complete" | "Already exists"))
        .count();
    let mut line = format!("{}: ", progress.reference);
    if progress.layers.is_empty() {
        line.push_str(&progress.line);
        return line;
    }
    line.push_str(&format!("{done} of {} layers", progress.layers.len()));
    if progress.total_bytes > 0 {
        let percent = progress.bytes as f64 / progress.total_bytes as f64 * 100.0;
        line.push_str(&format!(
            ", {} of {}, {:.0} %",
            bytes(progress.bytes),
            bytes(progress.total_bytes),
            percent.clamp(0.0, 100.0)
        ));
    }
    line
}

/// The equal `docker run` line, secrets masked.
pub(super) fn dry_run(plan: &Plan) -> String {
    format!("{}\n", words::one_line(&masked(&plan.docker_run)))
}

/// Words with the values of secret-looking variables and options masked: `NAME=x`, `--token=x`, `--token x`.
fn masked(words: &[String]) -> Vec<String> {
    let mut next = false;
    words
        .iter()
        .map(|word| {
            let hide = std::mem::take(&mut next) && !word.starts_with('-');
            if hide {
                return MASK.to_owned();
            }
            match word.split_once('=') {
                Some((name, value)) if !value.is_empty() && looks_secret(name) => {
                    format!("{name}={MASK}")
                }
                // Addresses with a password, tokens known by their beginning, what a shell in there is told.
                Some(_) => mask_command(word),
                None => {
                    next = word.starts_with("--") && looks_secret(word);
                    mask_command(word)
                }
            }
        })
        .collect()
}

/// The body with the same masked.
fn masked_body(body: &Value) -> Value {
    let mut body = body.clone();
    for name in ["Env", "Cmd", "Entrypoint"] {
        let Some(list) = body.get_mut(name).filter(|v| v.is_array()) else {
            continue;
        };
        let words: Vec<String> = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect();
        *list = masked(&words).into();
    }
    mask_keys(&mut body);
    body
}

/// Masks texts under secret-looking keys: labels, options of a log or a volume driver.
fn mask_keys(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if !text.is_empty() && looks_secret(key) => {
                        MASK.clone_into(text);
                    }
                    value => mask_keys(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask_keys),
        _ => {}
    }
}

#[derive(Debug, Serialize)]
struct RunJson<'a> {
    schema: &'static str,
    docker_run: String,
    create: Option<Value>,
    image: ImageJson<'a>,
    gpus: Vec<GpuJson<'a>>,
    left_out: Vec<LeftOutJson<'a>>,
    verdict: Option<&'static str>,
    findings: Vec<FindingJson<'a>>,
    unknown: Vec<&'a str>,
    conflicts: Vec<ConflictJson<'a>>,
    container: Option<ContainerJson<'a>>,
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct ImageJson<'a> {
    reference: &'a str,
    id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct GpuJson<'a> {
    uuid: &'a str,
    index: Option<u32>,
    name: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct LeftOutJson<'a> {
    gpu: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct ConflictJson<'a> {
    severity: &'static str,
    text: &'a str,
    remedy: &'a str,
}

#[derive(Debug, Serialize)]
struct ContainerJson<'a> {
    id: String,
    name: &'a str,
}

fn gpu(gpu: &ChosenGpu) -> GpuJson<'_> {
    GpuJson {
        uuid: gpu.key.uuid.as_str(),
        index: gpu.index,
        name: &gpu.name,
        reason: &gpu.why,
    }
}

/// The document of `--json`.
pub(super) fn document(
    plan: &Plan,
    launched: Option<&Launched>,
    spec: &LaunchSpec,
) -> Result<Vec<u8>, Problem> {
    let verdict = plan.verdict.as_ref();
    let gpus = launched.map_or(&plan.gpus.chosen, |l| &l.gpus);
    json::document(&RunJson {
        schema: "midwatch/run/v1",
        docker_run: words::one_line(&masked(&plan.docker_run)),
        create: plan.create.as_ref().map(masked_body),
        image: ImageJson {
            reference: &spec.image,
            id: plan.image.as_ref().map(|id| &*id.0),
        },
        gpus: gpus.iter().map(gpu).collect(),
        left_out: plan
            .gpus
            .left_out
            .iter()
            .map(|(gpu, reason)| LeftOutJson { gpu, reason })
            .collect(),
        verdict: verdict.map(|v| v.answer.as_str()),
        findings: verdict
            .iter()
            .flat_map(|v| &v.findings)
            .map(finding)
            .collect(),
        unknown: verdict
            .iter()
            .flat_map(|v| &v.unknown)
            .map(String::as_str)
            .collect(),
        conflicts: plan
            .conflicts
            .iter()
            .map(|c| ConflictJson {
                severity: if c.stops { "error" } else { "warning" },
                text: &c.text,
                remedy: &c.remedy,
            })
            .collect(),
        container: launched.map(|l| ContainerJson {
            id: l.key.id.to_string(),
            name: &l.name,
        }),
        notes: launched.map_or(&[], |l| &l.notes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_in_the_line_and_in_the_body() {
        let words: Vec<String> = [
            "-e",
            "HF_TOKEN=abc",
            "-e",
            "A=b",
            "x",
            "--api-key",
            "k",
            "--password=p",
            "--port",
            "1",
            "DB=postgres://me:pw@db/x",
            "curl -H 'Authorization: Bearer abc'  x",
        ]
        .iter()
        .map(|w| (*w).to_owned())
        .collect();
        let line = masked(&words).join(" ");
        assert_eq!(
            line,
            format!(
                "-e HF_TOKEN={MASK} -e A=b x --api-key {MASK} --password={MASK} --port 1 \
                 DB=postgres://me:{MASK}@db/x curl -H 'Authorization: Bearer {MASK}  x"
            )
        );
        let body =
            masked_body(&json!({"Env": ["DB_PASSWORD=x", "A=b"], "Cmd": null, "Image": "x"}));
        assert_eq!(body["Env"], json!([format!("DB_PASSWORD={MASK}"), "A=b"]));
        assert_eq!(body["Cmd"], Value::Null);
        let body = masked_body(&json!({
            "Labels": {"api_key": "x", "a": "b"},
            "HostConfig": {
                "LogConfig": {"Config": {"splunk-token": "x", "tag": "t"}},
                "Mounts": [{"VolumeOptions": {"DriverConfig": {"Options": {"password": "x"}}}}],
            },
        }));
        let text = body.to_string();
        assert!(!text.contains("\"x\""), "{text}");
        assert!(text.contains("\"b\"") && text.contains("\"t\""), "{text}");
    }
}
