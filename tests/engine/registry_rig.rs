//! A registry of a test's own (Debian's docker-registry) in the network of the engine under test, and a way to
//! it that can be made to wait or to break.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::engine_rig::{PATIENCE, docker, try_docker};

/// Of the registry that wants a login.
pub const NAME: &str = "ada";
pub const PASSWORD: &str = "pw:é";
const HTPASSWD: &str = "ada:$2y$05$1gKLP0FiKhKCzerY7cv6wuapIL33D0Vvuh1rHhPR4L08gyZEmgNKe\n";

/// The engine's process, which says in whose network a registry has to be.
fn engine_process(socket: &str) -> i32 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        stream.peer_cred().unwrap().pid().unwrap()
    })
}

/// A registry on a loopback port of the engine's network: engines trust those without TLS.
pub struct Registry {
    process: Child,
    pub port: u16,
    socket: String,
    pushed: Mutex<BTreeSet<String>>,
}

impl Registry {
    /// Whether there is one to start; `None` (told loudly) where there is none, a failure where the engine is
    /// required.
    pub fn program() -> Option<()> {
        let there = Command::new("docker-registry").arg("--version").output();
        if there.is_ok() {
            return Some(());
        }
        assert_ne!(
            std::env::var("MIDWATCH_REQUIRE_ENGINE").as_deref(),
            Ok("1"),
            "no docker-registry on this machine"
        );
        eprintln!("SKIPPED: no docker-registry on this machine");
        None
    }

    /// Starts one over a folder; two may share one.
    pub fn start(socket: &str, folder: &Path, login: bool) -> Self {
        let auth = if login {
            let file = folder.join("htpasswd");
            std::fs::write(&file, HTPASSWD).unwrap();
            format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                file.display()
            )
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '127.0.0.1:0'}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n{auth}",
            folder.join("data").display()
        );
        let file = folder.join(format!("config-{login}.yml"));
        std::fs::write(&file, config).unwrap();
        let mut process = Command::new("nsenter")
            .args(["-t", &engine_process(socket).to_string(), "-n"])
            .args(["docker-registry", "serve", file.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let mut all = String::new();
        let port = loop {
            let mut line = String::new();
            let count = said.read_line(&mut line).unwrap();
            all.push_str(&line);
            assert_ne!(count, 0, "docker-registry ended: {all}");
            let port = line.split_once("listening on 127.0.0.1:").map(|(_, rest)| {
                rest.chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
            });
            if let Some(port) = port {
                break port.parse().unwrap();
            }
        };
        // It says more, and would wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self {
            process,
            port,
            socket: socket.to_owned(),
            pushed: Mutex::default(),
        }
    }

    /// Builds an image of these layers' sizes, pushes it under `path`, and takes it out of the engine. Gives
    /// its id.
    pub fn push(&self, path: &str, layers: &[usize], seed: u64) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut recipe = String::from("FROM scratch\n");
        let mut random = seed ^ u64::from(std::process::id()) << 32 | 1;
        for (n, size) in layers.iter().enumerate() {
            let mut bytes = Vec::with_capacity(size + 8);
            while bytes.len() < *size {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                bytes.extend(random.to_le_bytes());
            }
            std::fs::write(folder.path().join(format!("layer{n}")), bytes).unwrap();
            recipe.push_str(&format!("COPY layer{n} /layer{n}\n"));
        }
        recipe.push_str("CMD [\"/layer0\"]\n");
        std::fs::write(folder.path().join("Dockerfile"), recipe).unwrap();
        let name = format!("127.0.0.1:{}/{path}", self.port);
        let built = Command::new("docker")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/nonexistent")
            .env("DOCKER_BUILDKIT", "0")
            .args([
                "-H",
                &format!("unix://{}", self.socket),
                "build",
                "-q",
                "-t",
                &name,
            ])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        let id = docker(&self.socket, &["image", "inspect", "-f", "{{.Id}}", &name]);
        docker(&self.socket, &["push", "-q", &name]);
        // With the builder's steps, which have no name: none of the layers stays.
        docker(&self.socket, &["rmi", &name]);
        self.forget_at_end(&name);
        id
    }

    /// Takes this name out of the engine when the test ends.
    pub fn forget_at_end(&self, name: &str) {
        self.pushed.lock().unwrap().insert(name.to_owned());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for name in self.pushed.lock().unwrap().iter() {
            try_docker(&self.socket, &["rmi", "-f", name]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Default)]
struct Way {
    /// Bytes that may come back from the registry, and those that came.
    allowed: u64,
    passed: u64,
    /// Connections that the engine holds open.
    open: usize,
    cut: bool,
}

/// A way to a registry. At first it is shut after so many bytes.
pub struct Proxy {
    pub port: u16,
    way: Arc<(Mutex<Way>, Condvar)>,
}

impl Proxy {
    /// To a port of the engine's loopback; this many bytes come through until more are let.
    pub fn to(socket: &str, port: u16, allowed: u64) -> Self {
        let way = Arc::new((
            Mutex::new(Way {
                allowed,
                ..Way::default()
            }),
            Condvar::new(),
        ));
        let space = File::open(format!("/proc/{}/ns/net", engine_process(socket))).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&way);
        std::thread::spawn(move || {
            // This thread, and those it starts, are in the engine's network.
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            tell.send(listener.local_addr().unwrap().port()).unwrap();
            for client in listener.incoming() {
                let client = client.unwrap();
                if shared.0.lock().unwrap().cut {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                carry(client, server, &shared);
            }
        });
        Self {
            port: told.recv_timeout(PATIENCE).unwrap(),
            way,
        }
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.change(|way| way.allowed = u64::MAX);
    }

    /// Breaks every connection, now and from now on.
    pub fn cut(&self) {
        self.change(|way| way.cut = true);
    }

    /// Waits until the engine holds no connection; the bytes that came through.
    pub fn wait_until_left(&self) -> u64 {
        self.wait(|way| way.open == 0);
        self.way.0.lock().unwrap().passed
    }

    fn change(&self, change: impl FnOnce(&mut Way)) {
        change(&mut self.way.0.lock().unwrap());
        self.way.1.notify_all();
    }

    fn wait(&self, until: impl Fn(&Way) -> bool) {
        let way = self.way.0.lock().unwrap();
        let waited = self
            .way
            .1
            .wait_timeout_while(way, PATIENCE, |way| !until(way));
        assert!(!waited.unwrap().1.timed_out(), "not within {PATIENCE:?}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

const READ: usize = 16 * 1024;
/// Between two pieces: 10 MB a second. An engine tells of progress ten times a second at most.
const PACE: Duration = Duration::from_micros(1600);

fn carry(client: TcpStream, server: TcpStream, way: &Arc<(Mutex<Way>, Condvar)>) {
    way.0.lock().unwrap().open += 1;
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let left = Arc::clone(way);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        left.0.lock().unwrap().open -= 1;
        left.1.notify_all();
    });
    let (mut from, mut to, way) = (server, client, Arc::clone(way));
    std::thread::spawn(move || {
        let mut buffer = vec![0; READ];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let state = way.0.lock().unwrap();
            let paced = way.1.wait_timeout_while(state, PACE, |way| !way.cut);
            let mut state = paced.unwrap().0;
            while !state.cut && state.passed + count as u64 > state.allowed {
                state = way.1.wait(state).unwrap();
            }
            if state.cut {
                break;
            }
            state.passed += count as u64;
            drop(state);
            way.1.notify_all();
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
