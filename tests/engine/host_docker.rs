//! Docker's own command line against the test engine, for tests that compare with what it says.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The test engine.
#[derive(Clone)]
pub struct Docker {
    pub socket: String,
}

/// A container, removed with the value.
pub struct Running {
    docker: Docker,
    pub id: String,
    pub pid: u32,
}

impl Docker {
    /// `None`: there is no engine, which is said loudly, or is a failure where one is required.
    pub fn find() -> Option<Self> {
        if let Ok(socket) = std::env::var("MIDWATCH_TEST_ENGINE") {
            let socket = socket.trim_start_matches("unix://").to_owned();
            return Some(Self { socket });
        }
        let required = std::env::var("MIDWATCH_REQUIRE_ENGINE").is_ok_and(|v| v == "1");
        assert!(
            !required,
            "MIDWATCH_REQUIRE_ENGINE=1 and no MIDWATCH_TEST_ENGINE"
        );
        eprintln!("SKIPPED: no MIDWATCH_TEST_ENGINE (see CONTRIBUTING)");
        None
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["-H", &format!("unix://{}", self.socket)])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub fn try_ask(&self, args: &[&str]) -> Result<String, String> {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    pub fn ask(&self, args: &[&str]) -> String {
        self.try_ask(args)
            .unwrap_or_else(|error| panic!("docker {args:?}: {error}"))
    }

    /// Runs a shell script in a container of this name.
    pub fn run(&self, name: &str, options: &[&str], script: &str) -> Running {
        let _ = self.try_ask(&["rm", "-f", name]);
        let mut args = vec!["run", "-d", "--name", name];
        if !options.iter().any(|o| o.starts_with("--network")) {
            args.push("--network=none");
        }
        args.extend(options);
        args.extend(["midwatch-test:busybox", "sh", "-c", script]);
        let id = self.ask(&args);
        let pid = self.ask(&["inspect", "-f", "{{.State.Pid}}", &id]);
        Running {
            docker: self.clone(),
            pid: pid.parse().unwrap(),
            id,
        }
    }
}

impl Running {
    /// Waits for a line in its log.
    pub fn says(&self, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if self.docker.ask(&["logs", &self.id]).contains(line) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("no {line:?} in the log within 20 s");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.docker.try_ask(&["rm", "-f", &self.id]);
    }
}
