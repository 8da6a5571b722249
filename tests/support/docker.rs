//! The tests' real engine, through its own command line client. Never the engine of the person who runs the tests.

use std::process::{Command, Stdio};

/// The image that `.ci/engine` makes: busybox.
pub const IMAGE: &str = "midwatch-test:busybox";

/// The engine that `MIDWATCH_TEST_ENGINE` names. What was run through it is removed at the end.
pub struct Docker {
    socket: String,
    prefix: String,
    made: std::sync::Mutex<Vec<String>>,
}

impl Docker {
    /// The engine; `None` is a loud skip, and a failure where `MIDWATCH_REQUIRE_ENGINE=1`.
    /// `prefix` begins the names of the test's containers.
    pub fn for_test(prefix: &str) -> Option<Self> {
        let named = std::env::var("MIDWATCH_TEST_ENGINE")
            .ok()
            .filter(|s| !s.is_empty());
        let Some(socket) = named else {
            assert_ne!(
                std::env::var("MIDWATCH_REQUIRE_ENGINE").as_deref(),
                Ok("1"),
                "MIDWATCH_TEST_ENGINE names no engine, and MIDWATCH_REQUIRE_ENGINE=1 wants one"
            );
            eprintln!("SKIPPED, NOT PASSED: {prefix}: MIDWATCH_TEST_ENGINE names no engine");
            return None;
        };
        let socket = socket.trim_start_matches("unix://").to_owned();
        let prefix = format!("{prefix}-{}", std::process::id());
        Some(Self {
            socket,
            prefix,
            made: std::sync::Mutex::default(),
        })
    }

    /// `unix://…`.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket)
    }

    /// Runs the client; its standard output, trimmed.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("docker");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DOCKER_") {
                command.env_remove(name);
            }
        }
        let output = command
            .args(["-H", &self.endpoint()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The full name of a container of this test.
    pub fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.prefix)
    }

    /// Starts a container without network; its id.
    pub fn run(&self, short: &str, options: &[&str], script: &str) -> String {
        self.make(&["run", "-d"], short, options, script)
    }

    /// Makes a container without network, not started; its id.
    pub fn create(&self, short: &str, options: &[&str], script: &str) -> String {
        self.make(&["create"], short, options, script)
    }

    fn make(&self, verb: &[&str], short: &str, options: &[&str], script: &str) -> String {
        let name = self.name(short);
        self.made.lock().unwrap().push(name.clone());
        let mut arguments = verb.to_vec();
        arguments.extend(["--name", &name, "--network", "none"]);
        arguments.extend(options);
        arguments.extend([IMAGE, "sh", "-c", script]);
        self.docker(&arguments)
    }

    /// A field of inspect, as a Go template.
    pub fn inspect(&self, short: &str, template: &str) -> String {
        self.docker(&["inspect", "--format", template, &self.name(short)])
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let made = self
            .made
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if made.is_empty() {
            return;
        }
        let _ = Command::new("docker")
            .args(["-H", &format!("unix://{}", self.socket), "rm", "-fv"])
            .args(made)
            .output();
    }
}
