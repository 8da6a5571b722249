//! A [`LaunchSpec`] as the equal `docker run` line.

use super::field::{nano_text, size_text};
use super::flags::{self, Takes};
use super::{LaunchSpec, Which};

impl LaunchSpec {
    /// The equal `docker run`, one word each, in one order whatever the order it was written in. Docker knows no
    /// free GPUs: where those are asked for and not yet chosen it is the `midwatch run`.
    #[must_use]
    pub fn docker_run(&self) -> Vec<String> {
        match &self.gpus {
            Some(ask) if matches!(ask.which, Which::Free(_)) => self.midwatch_run(),
            _ => self.words("docker"),
        }
    }

    /// The equal `midwatch run`.
    #[must_use]
    pub fn midwatch_run(&self) -> Vec<String> {
        self.words("midwatch")
    }

    /// The last value of a flag of [`Self::other`].
    #[must_use]
    pub fn other_value(&self, name: &str) -> Option<&str> {
        self.other
            .iter()
            .rev()
            .find(|flag| flag.name == name)
            .map(|flag| flag.value.as_str())
    }

    fn words(&self, program: &str) -> Vec<String> {
        let mut words = vec![program.to_owned(), "run".to_owned()];
        let switches = match (self.interactive, self.tty) {
            (true, true) => Some("-it"),
            (true, false) => Some("-i"),
            (false, true) => Some("-t"),
            (false, false) => None,
        };
        let flags = [
            self.detach.then_some("-d"),
            switches,
            self.rm.then_some("--rm"),
        ];
        words.extend(flags.into_iter().flatten().map(str::to_owned));
        let mut pair = |flag: &str, value: &str| {
            words.push(flag.to_owned());
            words.push(value.to_owned());
        };
        let texts = |pair: &mut dyn FnMut(&str, &str), of: &[(&str, &Option<String>)]| {
            for (flag, value) in of {
                if let Some(value) = value {
                    pair(flag, value);
                }
            }
        };
        texts(&mut pair, &[("--name", &self.name)]);
        if let Some(ask) = &self.gpus {
            let [flag, value] = ask.to_flag();
            pair(&flag, &value);
        }
        for var in &self.env {
            pair("-e", &var.to_string());
        }
        for file in &self.env_files {
            pair("--env-file", file);
        }
        for mount in &self.mounts {
            let [flag, value] = mount.to_flag();
            pair(&flag, &value);
        }
        for port in &self.ports {
            pair("-p", &port.to_string());
        }
        let shm = self.shm_bytes.map(size_text);
        texts(&mut pair, &[("--shm-size", &shm), ("--ipc", &self.ipc)]);
        for limit in &self.ulimits {
            pair("--ulimit", &limit.to_string());
        }
        texts(
            &mut pair,
            &[
                ("-u", &self.user),
                ("-w", &self.workdir),
                ("--restart", &self.restart.map(|policy| policy.to_string())),
            ],
        );
        for network in &self.networks {
            pair("--network", network);
        }
        texts(
            &mut pair,
            &[
                ("-m", &self.memory_bytes.map(size_text)),
                ("--cpus", &self.nano_cpus.map(nano_text)),
                ("--pull", &self.pull.map(|policy| policy.to_string())),
                ("--platform", &self.platform),
                ("--entrypoint", &self.entrypoint),
            ],
        );
        for other in &self.other {
            let switch =
                flags::by_long(&other.name, false).is_some_and(|flag| flag.takes == Takes::Switch);
            match (switch, other.value.as_str()) {
                (true, "true") => words.push(format!("--{}", other.name)),
                (true, value) => words.push(format!("--{}={value}", other.name)),
                (false, value) => {
                    words.push(format!("--{}", other.name));
                    words.push(value.to_owned());
                }
            }
        }
        if self.image.starts_with('-') {
            words.push("--".to_owned());
        }
        words.push(self.image.clone());
        words.extend(self.command.iter().cloned());
        words
    }
}
