//! What an image's configuration says, before anything of its content is looked at.

use serde_json::Value;

/// Most variables, labels and words that are kept of one configuration.
const MOST: usize = 4096;

/// An image's (or container's) configuration, as far as the verdict needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `linux/amd64`, `linux/arm64/v8`.
    pub platform: Option<String>,
    /// Environment, in order; a later variable of the same name wins.
    pub env: Vec<(String, String)>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Entrypoint and command together.
    pub command: Vec<String>,
    /// Repositories it was pulled from (of its `RepoDigests`): `nvidia/cuda`.
    pub repositories: Vec<String>,
    /// Ports that it exposes: `8000/tcp`, in order.
    pub exposed: Vec<String>,
    /// The size the engine gives, bytes: what a scan has before it.
    pub size_bytes: Option<u64>,
}

impl Config {
    /// From `GET /images/NAME/json`.
    pub fn from_image(json: &Value) -> Self {
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        Self {
            platform: platform(text("Os"), text("Architecture"), text("Variant")),
            repositories: strings(json.get("RepoDigests"))
                .iter()
                .filter_map(|digest| digest.split_once('@').map(|(name, _)| name.to_owned()))
                .collect(),
            size_bytes: json.get("Size").and_then(Value::as_u64),
            ..Self::of(json.get("Config").unwrap_or(&Value::Null))
        }
    }

    /// From the configuration file of an archive (`docker save`, OCI).
    pub fn from_file(json: &Value) -> Self {
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        Self {
            platform: platform(text("os"), text("architecture"), text("variant")),
            ..Self::of(json.get("config").unwrap_or(&Value::Null))
        }
    }

    /// The image's configuration as a container's launch left it: `GET /containers/ID/json` holds the whole
    /// environment, the image's and the launch's.
    #[must_use]
    pub fn of_container(&self, json: &Value) -> Self {
        let own = Self::of(json.get("Config").unwrap_or(&Value::Null));
        Self {
            platform: self.platform.clone(),
            repositories: self.repositories.clone(),
            size_bytes: json
                .get("SizeRootFs")
                .and_then(Value::as_u64)
                .or(self.size_bytes),
            ..own
        }
    }

    /// The same with another environment (`NAME=value`), as a running container has it.
    #[must_use]
    pub fn with_env(&self, env: &[String]) -> Self {
        Self {
            env: pairs(env),
            ..self.clone()
        }
    }

    fn of(config: &Value) -> Self {
        let labels = config.get("Labels").and_then(Value::as_object);
        let mut command = strings(config.get("Entrypoint"));
        command.extend(strings(config.get("Cmd")));
        Self {
            env: pairs(&strings(config.get("Env"))),
            labels: labels
                .into_iter()
                .flatten()
                .take(MOST)
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            command,
            exposed: exposed(config.get("ExposedPorts")),
            ..Self::default()
        }
    }

    /// The last value of a variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .rfind(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

fn platform(os: &str, cpu: &str, variant: &str) -> Option<String> {
    if os.is_empty() || cpu.is_empty() {
        return None;
    }
    Some(match variant {
        "" => format!("{os}/{cpu}"),
        variant => format!("{os}/{cpu}/{variant}"),
    })
}

/// `{"8000/tcp": {}}`; the engine gives them in no order.
fn exposed(value: Option<&Value>) -> Vec<String> {
    let ports = value.and_then(Value::as_object);
    let mut ports: Vec<String> = ports
        .into_iter()
        .flatten()
        .take(MOST)
        .map(|(p, _)| p.clone())
        .collect();
    ports.sort_by_key(|port| {
        let number = port
            .split(['/', '-'])
            .next()
            .and_then(|n| n.parse::<u16>().ok());
        (number, port.clone())
    });
    ports
}

fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items
            .iter()
            .take(MOST)
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect(),
        // Old engines give a shell-form entrypoint as one string.
        Some(Value::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}

fn pairs(env: &[String]) -> Vec<(String, String)> {
    env.iter()
        .map(|item| match item.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (item.clone(), String::new()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_images_and_an_archives_configuration_are_the_same() {
        let inner = json!({
            "Env": ["PATH=/bin", "CUDA_VERSION=12.4.1", "EMPTY=", "BARE"],
            "Labels": {"maintainer": "NVIDIA CORPORATION", "odd": 3},
            "Entrypoint": ["/opt/nvidia/nvidia_entrypoint.sh"],
            "Cmd": ["bash"],
        });
        let image = Config::from_image(&json!({
            "Os": "linux", "Architecture": "arm64", "Variant": "v8", "Config": inner, "Size": 7,
            "RepoDigests": ["nvidia/cuda@sha256:0123", "bad"],
        }));
        assert_eq!(image.platform.as_deref(), Some("linux/arm64/v8"));
        assert_eq!(image.env("CUDA_VERSION"), Some("12.4.1"));
        assert_eq!(image.env("EMPTY"), Some(""));
        assert_eq!(image.env("BARE"), Some(""));
        assert_eq!(image.labels.len(), 1);
        assert_eq!(image.command, ["/opt/nvidia/nvidia_entrypoint.sh", "bash"]);
        assert_eq!(image.repositories, ["nvidia/cuda"]);
        let file = Config::from_file(&json!({
            "os": "linux", "architecture": "arm64", "variant": "v8", "config": inner,
        }));
        assert_eq!(
            (file.platform, file.env),
            (image.platform.clone(), image.env.clone())
        );
        let launched = image.with_env(&["CUDA_VERSION=12.8.0".to_owned()]);
        assert_eq!(launched.env("CUDA_VERSION"), Some("12.8.0"));
        assert_eq!(launched.env("PATH"), None);
        assert_eq!(Config::from_image(&Value::Null), Config::default());
    }
}
