//! Feeds the lanes that NVML, cgroups and procfs feed on a real host, once a second.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::lanes::{Queue, Slot};
use crate::model::{GpuSnapshot, HostReport, ProcSnapshot, Stamp, UsageSnapshot, XidEvent};

use super::DemoHost;

const ROUND: Duration = Duration::from_secs(1);

/// Where the simulated machine's news go.
#[derive(Debug, Clone)]
pub struct DemoLanes {
    /// GPUs.
    pub gpus: Slot<GpuSnapshot>,
    /// Container statistics.
    pub usage: Slot<UsageSnapshot>,
    /// GPU processes.
    pub procs: Slot<ProcSnapshot>,
    /// The machine.
    pub report: Slot<HostReport>,
    /// Xid events.
    pub xids: Queue<XidEvent>,
}

/// The feeding thread; it ends when this is dropped.
#[derive(Debug)]
pub struct DemoThread {
    kick: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl DemoThread {
    /// Feeds a round now instead of at the next second (after an action, so that its effect shows).
    pub fn kick(&self) {
        if let Some(kick) = &self.kick {
            // A thread that is gone has nothing to feed.
            let _ = kick.send(());
        }
    }
}

impl Drop for DemoThread {
    fn drop(&mut self) {
        self.kick = None;
        if let Some(thread) = self.thread.take() {
            // It waits on the channel alone: dropping the sender has woken it.
            let _ = thread.join();
        }
    }
}

/// Starts feeding: the first round at once, then one a second and one after each [`DemoThread::kick`].
///
/// # Errors
/// When the system gives no thread.
pub fn start(host: DemoHost, lanes: DemoLanes) -> std::io::Result<DemoThread> {
    let (kick, kicked) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("midwatch-demo".into())
        .spawn(move || {
            for xid in host.xids() {
                lanes.xids.push(xid);
            }
            loop {
                feed(&host, &lanes, Stamp::now());
                match kicked.recv_timeout(ROUND) {
                    Ok(()) | Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
        })?;
    Ok(DemoThread {
        kick: Some(kick),
        thread: Some(thread),
    })
}

/// One round.
fn feed(host: &DemoHost, lanes: &DemoLanes, now: Stamp) {
    lanes.gpus.put(host.gpus(now));
    lanes.procs.put(host.procs(now));
    lanes.usage.put(host.usage(now));
    lanes.report.put(host.report(now));
}
