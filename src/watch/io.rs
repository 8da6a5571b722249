//! The one I/O thread: a current-thread tokio runtime on which every engine request and timer runs.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The I/O thread; it ends when this is dropped. Tasks that are stuck are left behind, never joined.
#[derive(Debug)]
pub struct IoThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl IoThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system gives neither a thread nor the runtime's descriptors.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("midwatch-io".into())
            .spawn(move || {
                // An error means that the sender is gone, which is the same word.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// For spawning tasks on it from any thread.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // The runtime drops its tasks (and with them their sockets and children) before it ends; that
            // takes no time unless one of them blocks, and then nobody waits for it.
            let deadline = std::time::Instant::now() + std::time::Duration::from_millis(300);
            while !thread.is_finished() && std::time::Instant::now() < deadline {
                thread::yield_now();
                thread::sleep(std::time::Duration::from_millis(1));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_on_it_and_it_ends_with_its_owner() {
        let io = IoThread::start().unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        io.handle().spawn(async move {
            tx.send(thread::current().name().map(str::to_owned))
                .unwrap();
            std::future::pending::<()>().await;
        });
        let name = rx.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(name.as_deref(), Some("midwatch-io"));
        drop(io);
        assert!(rx.recv().is_err(), "the task was dropped");
    }
}
