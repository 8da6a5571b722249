//! From a project folder to a served page, in the dashboard: `B` builds it on a real engine, the launch form opens
//! with the port that it exposes, and the page answers. What ends at once is explained.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fake_nvml::Scenario;

use crate::docker::{Docker, IMAGE};
use crate::nvml::FakeNvml;
use crate::pty::Terminal;

/// A network of the test's own: the test engine has no bridge.
struct Network<'a>(&'a Docker, String);

impl<'a> Network<'a> {
    fn new(docker: &'a Docker) -> Self {
        let name = docker.name("net");
        docker.docker(&["network", "create", &name]);
        Self(docker, name)
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        let endpoint = self.0.endpoint();
        let client = |words: &[&str]| {
            let output = Command::new("docker")
                .args(["-H", &endpoint])
                .args(words)
                .output();
            output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        };
        let filter = format!("network={}", self.1);
        for id in client(&["ps", "-aq", "--filter", &filter])
            .unwrap_or_default()
            .lines()
        {
            let _ = client(&["rm", "-f", id]);
        }
        let _ = client(&["network", "rm", &self.1]);
    }
}

/// Gets a page from inside the engine's network namespace, as its own machine would.
fn page(docker: &Docker, port: u16) -> Option<String> {
    let socket = docker.endpoint().trim_start_matches("unix://").to_owned();
    let pid = Path::new(&socket).parent()?.join("dockerd.pid");
    let pid = std::fs::read_to_string(pid).ok()?;
    let url = format!("http://127.0.0.1:{port}/");
    let output = Command::new("nsenter")
        .args(["-t", pid.trim(), "-n", "busybox", "wget", "-qO-", &url])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn project(folder: &Path) {
    std::fs::create_dir_all(folder.join("app")).unwrap();
    std::fs::create_dir_all(folder.join(".git")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    // The shape of a FastAPI project; the server is busybox's.
    write(
        "Dockerfile",
        &format!(
            "FROM {IMAGE}\nWORKDIR /app\nCOPY . .\nRUN busybox test -f requirements.txt && busybox test ! -e .git\nEXPOSE 7860\n\
             CMD [\"busybox\", \"httpd\", \"-f\", \"-p\", \"7860\", \"-h\", \"/app/app\"]\n"
        ),
    );
    write("requirements.txt", "fastapi\nuvicorn\n");
    write(".dockerignore", ".git\n");
    write(".git/HEAD", "x");
    write("app/index.html", "<h1>served from the container</h1>");
}

/// The field, or the GPU, that the form is at: the beginning of its row.
fn place(text: &str) -> Option<String> {
    let row = text.lines().find(|line| line.contains('▶'))?;
    let (_, rest) = row.split_once('▶')?;
    Some(rest.chars().take(24).collect())
}

/// Moves to a field of the form. Each step is awaited by the field's own mark: a plan that comes in meanwhile
/// changes the screen too.
fn go_to(terminal: &mut Terminal, field: &str) {
    for _ in 0..60 {
        // Half a frame may have no mark, or two.
        terminal.settle(Duration::from_millis(40));
        let Some(before) = place(&terminal.text()) else {
            continue;
        };
        if before.starts_with(field) {
            return;
        }
        terminal.keys("\x1b[B");
        terminal.wait("the next field", |screen| {
            place(&screen.contents()).is_some_and(|now| now != before)
        });
    }
    panic!("there is no field {field}: {}", terminal.text());
}

#[test]
fn a_folder_becomes_a_served_page() {
    let Some(docker) = Docker::for_test("mw-form") else {
        return;
    };
    let network = Network::new(&docker);
    let folder = tempfile::tempdir().unwrap();
    let name = format!("mw-form-app-{}", std::process::id());
    let root = folder.path().join(&name);
    project(&root);
    let library = FakeNvml::new(&Scenario::h100(2));
    let (endpoint, data) = (docker.endpoint(), folder.path().join("data"));
    let arguments = [
        "-H",
        &endpoint,
        "--nvml",
        library.path.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let mut terminal = Terminal::midwatch(&arguments, &[], 120, 45);
    terminal.wait_for("Containers");
    terminal.keys("B");
    terminal.wait_for("build an image");
    terminal.keys(root.to_str().unwrap());
    terminal.wait_for(&name);
    terminal.keys("\r");
    // Built, the form opens with the port that the Dockerfile exposes.
    terminal.wait_for("7860:7860");
    terminal.wait_for(&format!("docker run -d -p 7860:7860 {name}"));
    go_to(&mut terminal, "network");
    terminal.keys(&network.1);
    terminal.wait_for(&format!("--network {}", network.1));
    terminal.wait_for("nothing stands in the way");
    terminal.keys("\x13");
    terminal.wait_for("was started");
    terminal.wait_for("[Logs]");
    let end = Instant::now() + Duration::from_secs(20);
    let page = loop {
        match page(&docker, 7860) {
            Some(page) => break page,
            None if Instant::now() > end => panic!("it does not answer: {}", terminal.text()),
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(page.contains("served from the container"), "{page}");
    // It is among the last launches: two keys start it again, to learn that the port is taken.
    terminal.keys("o");
    terminal.wait_for("-p 7860:7860");
    terminal.keys("1");
    terminal.wait_for("port 7860/tcp is taken by container");
    terminal.keys("\x1bq");
    docker.docker(&["ps", "-a"]);
    drop(terminal);
    drop(network);
    let _ = Command::new("docker")
        .args(["-H", &endpoint, "rmi", "-f", &name])
        .output();
}

#[test]
fn what_ends_at_once_is_explained() {
    let Some(docker) = Docker::for_test("mw-form-end") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let image = format!("mw-form-end-{}", std::process::id());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "Dockerfile",
        &format!(
            "FROM {IMAGE}\nLABEL name={image}\nCMD [\"sh\", \"-c\", \"echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB'; exit 1\"]\n"
        ),
    );
    docker.docker(&["build", "-q", "-t", &image, folder.path().to_str().unwrap()]);
    let library = FakeNvml::new(&Scenario::h100(2));
    let (endpoint, data) = (docker.endpoint(), folder.path().join("data"));
    let arguments = [
        "-H",
        &endpoint,
        "--nvml",
        library.path.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let mut terminal = Terminal::midwatch(&arguments, &[], 100, 40);
    terminal.wait_for("Containers");
    terminal.keys("3");
    terminal.wait_for(&image);
    terminal.keys("/");
    terminal.keys(&image);
    terminal.wait("the one row", |screen| {
        !screen.contents().contains("midwatch-test:busybox")
    });
    terminal.keys("\r");
    terminal.keys("L");
    terminal.wait_for("nothing stands in the way");
    go_to(&mut terminal, "name");
    let container = docker.name("c");
    terminal.keys(&container);
    go_to(&mut terminal, "network");
    terminal.keys("none");
    terminal.wait_for("--network none");
    terminal.wait_for("nothing stands in the way");
    terminal.keys("\x13");
    terminal.wait_for("ended with exit code 1");
    let text = terminal.text();
    assert!(text.contains("memory is full"), "the known failure: {text}");
    assert!(text.contains("Tried to allocate"), "its last lines: {text}");
    drop(terminal);
    docker.docker(&["rm", "-f", &container]);
    docker.docker(&["rmi", "-f", &image]);
}
