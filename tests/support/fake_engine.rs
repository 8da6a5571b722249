//! The fake engine for tests: scripted (with faults), or with the simulated host behind a real socket.

use std::path::{Path, PathBuf};

use midwatch::demo::DemoHost;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

pub use fake_engine::*;

/// The simulated host served at a Unix socket by a thread of its own; ends, and removes it, when dropped.
pub struct DemoSocket {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl DemoSocket {
    /// Serves at a path that does not exist yet.
    pub fn start(path: &Path, host: DemoHost) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(path).unwrap()
        };
        let (stop, mut stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        _ = &mut stopped => break,
                        accepted = listener.accept() => {
                            let Ok((stream, _)) = accepted else { continue };
                            let host = host.clone();
                            tokio::spawn(async move {
                                let _ = host.serve(stream).await;
                            });
                        }
                    }
                }
            });
            // Dropping the runtime drops its connections.
        });
        Self {
            path: path.to_owned(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// As `DOCKER_HOST` has it.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

impl Drop for DemoSocket {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}
