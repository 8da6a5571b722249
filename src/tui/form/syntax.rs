//! Between a field's text and what it means: docker's own syntax.

use super::fields::{Kind, Value};
use super::line;
use crate::launch::field;
use crate::launch::{EnvVar, MountAsk, PortAsk, PullPolicy, Restart, Surroundings, Ulimit};

/// What stands for an empty text where that means something else than nothing.
const EMPTY: &str = "\"\"";

/// What a field's text means; `None` where it is empty.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read(kind: Kind, text: &str, around: &Surroundings) -> Result<Option<Value>, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    let plain = || {
        let text = if trimmed == EMPTY { "" } else { trimmed };
        Ok(Value::Text(text.to_owned()))
    };
    let value = match kind {
        Kind::Image | Kind::EnvFile | Kind::Network | Kind::Platform => plain(),
        Kind::Ipc | Kind::User | Kind::Workdir | Kind::Entrypoint => plain(),
        Kind::Name => field::name(trimmed).map(Value::Text),
        Kind::Command => line::split(trimmed, around).map(Value::Words),
        // Blanks at the end may be part of the value.
        Kind::Env => EnvVar::parse(text.trim_start()).map(Value::Env),
        Kind::Mount => mount(trimmed, around).map(Value::Mount),
        Kind::Port => PortAsk::parse(trimmed).map(Value::Port),
        Kind::Ulimit => Ulimit::parse(trimmed).map(Value::Ulimit),
        Kind::Shm | Kind::Memory => field::bytes(trimmed).map(Value::Bytes),
        Kind::Cpus => field::nano_cpus(trimmed).map(Value::NanoCpus),
        Kind::Restart => Restart::parse(trimmed).map(Value::Restart),
        Kind::Pull => PullPolicy::parse(trimmed).map(Value::Pull),
        Kind::Other => line::flags(trimmed, around).map(Value::Flags),
        Kind::Rm | Kind::Tty | Kind::Interactive => Ok(Value::On),
    };
    value.map(Some)
}

/// `--tmpfs /tmp:size=1g`, `type=bind,source=/a,target=/b`, else `-v`'s form.
fn mount(text: &str, around: &Surroundings) -> Result<MountAsk, String> {
    if let Some(tmpfs) = text.strip_prefix("--tmpfs") {
        return MountAsk::tmpfs(tmpfs.trim_start_matches(['=', ' ']));
    }
    let first = text.split([',', ':']).next().unwrap_or_default();
    if !text.starts_with('/') && first.contains('=') {
        return MountAsk::mount(text, around);
    }
    MountAsk::volume(text, around)
}

/// The text of a value.
pub fn show(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => EMPTY.to_owned(),
        Value::Text(text) => text.clone(),
        Value::Words(words) => line::one_line(words),
        Value::Env(var) => var.to_string(),
        Value::Mount(mount) => match mount {
            MountAsk::Tmpfs { .. } => format!("--tmpfs {mount}"),
            _ => mount.to_string(),
        },
        Value::Port(port) => port.to_string(),
        Value::Ulimit(limit) => limit.to_string(),
        Value::Bytes(bytes) => field::size_text(*bytes),
        Value::NanoCpus(nano) => field::nano_text(*nano),
        Value::Restart(restart) => restart.to_string(),
        Value::Pull(policy) => policy.to_string(),
        Value::Flags(flags) => line::one_line(&line::flag_words(flags)),
        Value::On => String::new(),
    }
}
