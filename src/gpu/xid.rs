//! Xid events through NVML's event set: a thread that sleeps in the driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, EventSet, Nvml};

use super::raw::same_handle;
use super::session::{Session, clean};
use super::supervisor::Message;
use crate::model::XidSource;

/// One sleep in the driver. Letting go of NVML waits at most this long.
const WAIT_MS: u32 = 500;
/// Pause after an error, doubled up to eight times as long.
const PAUSE: Duration = Duration::from_secs(1);

/// An Xid before it is known which GPU its address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawXid {
    /// When it happened.
    pub time: Timestamp,
    /// The GPU's UUID, where the source knows it.
    pub uuid: Option<String>,
    /// PCI address as the source gave it.
    pub pci_bus_id: String,
    /// Number.
    pub xid: Option<u32>,
    /// Where it was read.
    pub source: XidSource,
    /// Pid the kernel named.
    pub pid: Option<u32>,
    /// The source's own text.
    pub text: String,
}

/// An Xid, or how they come.
#[derive(Debug)]
pub(super) enum XidNews {
    /// One event.
    Event(RawXid),
    /// Why NVML gives none; `None`: it does.
    Nvml(Option<String>),
    /// Why the kernel log gives none; `None`: it does.
    KernelLog(Option<String>),
}

/// The waiting thread's owner. Dropping it ends the thread at its next wake-up; nobody waits for it.
#[derive(Debug)]
pub(super) struct Watch {
    indices: Vec<u32>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Starts to wait for Xids of these GPUs; `None` where no thread is to be had.
    pub fn start(session: &Arc<Session>, indices: Vec<u32>, out: &Sender<Message>) -> Option<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (session, out) = (Arc::clone(session), out.clone());
        let (theirs, gpus) = (Arc::clone(&stop), indices.clone());
        thread::Builder::new()
            .name("gpu-xid".to_owned())
            .spawn(move || run(&session, &gpus, &theirs, &out))
            .ok()?;
        Some(Self { indices, stop })
    }

    /// Whether it was started with all of these GPUs.
    pub fn covers(&self, indices: &[u32]) -> bool {
        indices.iter().all(|i| self.indices.contains(i))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A GPU that is watched.
struct Watched<'n> {
    device: Device<'n>,
    uuid: Option<String>,
    pci: String,
}

fn run(session: &Session, indices: &[u32], stop: &AtomicBool, out: &Sender<Message>) {
    let Ok(nvml) = session.nvml() else { return };
    let mut pause = PAUSE;
    while !stop.load(Ordering::Relaxed) {
        match register(nvml, indices) {
            Ok(Some((set, watched))) => {
                tell(out, None);
                if wait(&set, &watched, stop, out).is_ok() {
                    return;
                }
            }
            Ok(None) => {
                tell(
                    out,
                    Some("NVML offers no Xid events on these GPUs".to_owned()),
                );
                return;
            }
            Err(error) => {
                tell(out, Some(format!("NVML's Xid events do not come: {error}")));
            }
        }
        rest(pause, stop);
        pause = (pause * 2).min(PAUSE * 8);
    }
}

fn tell(out: &Sender<Message>, note: Option<String>) {
    let _ = out.send(Message::Xid(XidNews::Nvml(note)));
}

/// Sleeps, and ends within the time of one wait when told to stop.
fn rest(pause: Duration, stop: &AtomicBool) {
    let slice = Duration::from_millis(u64::from(WAIT_MS));
    let mut left = pause;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let now = left.min(slice);
        thread::sleep(now);
        left -= now;
    }
}

type Registered<'n> = Option<(EventSet<'n>, Vec<Watched<'n>>)>;

/// A set with every GPU that offers Xid events; `None` where none does.
fn register<'n>(nvml: &'n Nvml, indices: &[u32]) -> Result<Registered<'n>, NvmlError> {
    let mut set = nvml.create_event_set()?;
    let mut watched = Vec::new();
    let mut last = None;
    for index in indices {
        let registered = (|set: EventSet<'n>| {
            let device = match nvml.device_by_index(*index) {
                Ok(device) => device,
                Err(error) => return (Some(set), Err(error)),
            };
            // A refused registration takes the whole set with it: ask what is offered first.
            match device.supported_event_types() {
                Ok(types) if types.contains(EventTypes::CRITICAL_XID_ERROR) => {}
                Ok(_) => return (Some(set), Err(NvmlError::NotSupported)),
                Err(error) => return (Some(set), Err(error)),
            }
            match device.register_events(EventTypes::CRITICAL_XID_ERROR, set) {
                Ok(set) => (Some(set), Ok(device)),
                Err(error) => (None, Err(error.error)),
            }
        })(set);
        match registered {
            (Some(same), result) => {
                set = same;
                match result {
                    Ok(device) => watched.push(Watched {
                        uuid: device.uuid().ok().map(clean),
                        pci: device
                            .pci_info()
                            .map_or_else(|_| String::new(), |p| clean(p.bus_id)),
                        device,
                    }),
                    Err(NvmlError::NotSupported) => {}
                    Err(error) => last = Some(error),
                }
            }
            // The set is gone: begin again without this GPU.
            (None, _) => {
                let others: Vec<u32> = indices.iter().copied().filter(|i| i != index).collect();
                return register(nvml, &others);
            }
        }
    }
    match (watched.is_empty(), last) {
        (false, _) => Ok(Some((set, watched))),
        (true, Some(error)) => Err(error),
        (true, None) => Ok(None),
    }
}

/// Waits until told to stop; an error means that the set must be made anew.
fn wait(
    set: &EventSet<'_>,
    watched: &[Watched<'_>],
    stop: &AtomicBool,
    out: &Sender<Message>,
) -> Result<(), NvmlError> {
    while !stop.load(Ordering::Relaxed) {
        match set.wait(WAIT_MS) {
            Ok(event) => {
                let Some(xid) = event.event_data else {
                    continue;
                };
                let number = match xid {
                    XidError::Value(number) => u32::try_from(number).ok(),
                    XidError::Unknown => None,
                };
                let gpu = watched
                    .iter()
                    .find(|w| same_handle(&w.device, &event.device));
                let text = number.map_or_else(
                    || "an Xid without a known number".to_owned(),
                    |n| format!("Xid {n}"),
                );
                let _ = out.send(Message::Xid(XidNews::Event(RawXid {
                    time: Timestamp::now(),
                    uuid: gpu.and_then(|g| g.uuid.clone()),
                    pci_bus_id: gpu.map_or_else(String::new, |g| g.pci.clone()),
                    xid: number,
                    source: XidSource::Nvml,
                    pid: None,
                    text,
                })));
            }
            Err(NvmlError::Timeout) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
