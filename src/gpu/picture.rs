//! What is told: the newest of every GPU, those that NVML no longer lists, and Xids with the GPU they are of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::pci::PciGpu;
use super::track::{Track, empty_gpu, forget_readings, is_asleep};
use super::xid::{RawXid, XidNews};
use crate::lanes::Queue;
use crate::model::{
    DriverInfo, DriverStatus, Gpu, GpuKey, GpuProcess, GpuSnapshot, GpuState, GpuUuid, HostId,
    Problem, Stamp, XidEvent, same_pci_address,
};

/// How long the PCI bus is believed unread.
const BUS_HOLDS: Duration = Duration::from_secs(60);
/// Xids kept until it is known which GPUs there are.
const PENDING: usize = 4_096;

/// The newest known.
#[derive(Debug)]
pub(super) struct Picture {
    host: HostId,
    /// GPUs on the PCI bus.
    pub bus: Vec<PciGpu>,
    /// When the bus was read.
    pub bus_read: Option<Duration>,
    driver: DriverStatus,
    notice: Option<Problem>,
    shown: BTreeMap<u32, (Gpu, Vec<GpuProcess>)>,
    /// Every GPU that ever answered, without readings.
    seen: Vec<Gpu>,
    pending: Vec<RawXid>,
    nvml_note: Option<String>,
    log_note: Option<String>,
}

impl Picture {
    pub fn new(host: HostId) -> Self {
        Self {
            host,
            bus: Vec::new(),
            bus_read: None,
            driver: DriverStatus::Starting,
            notice: None,
            shown: BTreeMap::new(),
            seen: Vec::new(),
            pending: Vec::new(),
            nvml_note: None,
            log_note: None,
        }
    }

    /// NVML was opened: GPUs of this opening only are shown from now on.
    pub fn up(&mut self, driver: DriverInfo) {
        self.driver = DriverStatus::Up(driver);
        self.notice = None;
        self.shown.clear();
        self.bus_read = Some(Stamp::now().mono);
    }

    /// NVML cannot be used; what was known of GPUs stays, without readings.
    pub fn down(&mut self, problem: Problem) {
        self.notice = None;
        for (gpu, processes) in self.shown.values_mut() {
            if gpu.state == GpuState::Ok {
                gpu.state = GpuState::Error(problem.what.clone());
            }
            forget_readings(gpu);
            processes.clear();
        }
        self.driver = DriverStatus::Down(problem);
    }

    pub fn starting(&mut self) {
        self.driver = DriverStatus::Starting;
    }

    /// Let go of on request.
    pub fn released(&mut self) {
        self.driver = DriverStatus::Released;
        self.notice = None;
        self.nvml_note = None;
        self.shown.clear();
    }

    pub fn notice(&mut self, problem: Problem) {
        self.notice = Some(problem);
    }

    /// A GPU was visited.
    pub fn visited(&mut self, track: &Track) {
        let gpu = track.gpu.clone();
        if track.known && gpu.state == GpuState::Ok {
            match self.seen.iter_mut().find(|s| s.key == gpu.key) {
                Some(seen) => seen.sampled = gpu.sampled,
                None => {
                    let mut bare = gpu.clone();
                    forget_readings(&mut bare);
                    self.seen.push(bare);
                }
            }
        }
        self.shown
            .insert(track.index, (gpu, track.processes.clone()));
    }

    /// Overrides a shown GPU's state; one that never answered is shown by what the bus tells of it.
    pub fn set_state(&mut self, index: u32, state: GpuState) {
        if let Some((gpu, _)) = self.shown.get_mut(&index) {
            gpu.state = state;
            return;
        }
        let device = self.bus.get(index as usize);
        let address = device.map_or("unknown", |d| d.address.as_str());
        let uuid = device.map_or_else(
            || format!("index-{index}"),
            |d| format!("PCI-{}", d.address),
        );
        let mut gpu = empty_gpu(self.key(&uuid), address, Stamp::now());
        if let Some(device) = device {
            self.name_by_bus(&mut gpu, device);
        }
        gpu.index = Some(index);
        gpu.state = state;
        self.shown.insert(index, (gpu, Vec::new()));
    }

    fn key(&self, uuid: &str) -> GpuKey {
        GpuKey {
            host: self.host,
            uuid: GpuUuid::new(uuid),
        }
    }

    /// Gives a GPU that has not answered the name and UUID it is known by.
    pub fn name_by_bus(&self, gpu: &mut Gpu, device: &PciGpu) {
        let seen = self
            .seen
            .iter()
            .find(|s| same_pci_address(&s.pci_bus_id, &device.address));
        if let Some(seen) = seen {
            let index = gpu.index;
            *gpu = seen.clone();
            gpu.index = index;
            return;
        }
        if let Some(uuid) = &device.uuid {
            gpu.key = self.key(uuid);
        }
        if let Some(name) = &device.name {
            gpu.name = Arc::from(name.as_str());
        }
    }

    pub fn bus_is_old(&self) -> bool {
        self.bus_read
            .is_none_or(|at| Stamp::now().mono.saturating_sub(at) >= BUS_HOLDS)
    }

    /// GPUs that the machine has, or had, and NVML does not list.
    fn missing(&self) -> Vec<Gpu> {
        // While a listed GPU's own address is unknown it cannot be told which one is missing.
        let listed = |address: &str| {
            self.shown
                .values()
                .any(|(g, _)| same_pci_address(&g.pci_bus_id, address))
        };
        if self
            .shown
            .values()
            .any(|(g, _)| !same_pci_address(&g.pci_bus_id, &g.pci_bus_id))
        {
            return Vec::new();
        }
        let mut missing = Vec::new();
        let now = Stamp::now();
        for device in self
            .bus
            .iter()
            .filter(|d| !d.excluded && !listed(&d.address))
        {
            let uuid = format!("PCI-{}", device.address);
            let mut gpu = empty_gpu(self.key(&uuid), &device.address, now);
            self.name_by_bus(&mut gpu, device);
            gpu.index = None;
            gpu.state = GpuState::Lost(
                if device.driver.is_none() {
                    "it is on the PCI bus, and the driver did not bring it up (see dmesg | grep NVRM)"
                } else {
                    "it is on the PCI bus, and NVML does not list it (see dmesg | grep NVRM)"
                }
                .to_owned(),
            );
            missing.push(gpu);
        }
        for seen in &self.seen {
            let here = listed(&seen.pci_bus_id)
                || self.shown.values().any(|(g, _)| g.key == seen.key)
                || missing.iter().any(|g| g.key == seen.key);
            if !here {
                let mut gpu = seen.clone();
                gpu.index = None;
                gpu.state = GpuState::Lost("NVML no longer lists it".to_owned());
                missing.push(gpu);
            }
        }
        missing
    }

    pub fn missing_count(&self) -> usize {
        self.missing().len()
    }

    /// Whether a new opening of NVML may mend something.
    pub fn wants_reopening(&self) -> bool {
        self.shown.values().any(|(gpu, _)| match &gpu.state {
            GpuState::Lost(_) => true,
            GpuState::Error(text) => !is_asleep(&gpu.state) && !text.starts_with("no permission"),
            GpuState::Ok | GpuState::Stuck => false,
        }) || self.missing_count() > 0
    }

    /// A lost GPU tells not even its UUID to a new NVML session. Where it is the only one without a name, and one
    /// alone of those that have answered before is not among the others, it is that one.
    fn recognize(&self, gpus: &mut [Gpu]) {
        let mut absent = self
            .seen
            .iter()
            .filter(|seen| !gpus.iter().any(|gpu| gpu.key == seen.key));
        let (Some(seen), None) = (absent.next().cloned(), absent.next()) else {
            return;
        };
        let unnamed = |gpu: &&mut Gpu| !same_pci_address(&gpu.pci_bus_id, &gpu.pci_bus_id);
        let mut nameless = gpus.iter_mut().filter(unnamed);
        let (Some(gpu), None) = (nameless.next(), nameless.next()) else {
            return;
        };
        if gpu.state != GpuState::Ok {
            let (index, state) = (gpu.index, gpu.state.clone());
            *gpu = seen;
            gpu.index = index;
            gpu.state = state;
        }
    }

    /// What is told now.
    pub fn snapshot(&self, now: Stamp) -> GpuSnapshot {
        let mut gpus: Vec<Gpu> = self.shown.values().map(|(gpu, _)| gpu.clone()).collect();
        self.recognize(&mut gpus);
        if matches!(self.driver, DriverStatus::Up(_)) {
            for gpu in self.missing() {
                let address = normal(&gpu.pci_bus_id);
                let at = gpus
                    .iter()
                    .position(|g| normal(&g.pci_bus_id) > address)
                    .unwrap_or(gpus.len());
                gpus.insert(at, gpu);
            }
        }
        let notes: Vec<&str> = [&self.nvml_note, &self.log_note]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        GpuSnapshot {
            at: now,
            driver: self.driver.clone(),
            gpus,
            processes: self
                .shown
                .values()
                .flat_map(|(_, processes)| processes.iter().cloned())
                .collect(),
            notice: self.notice.clone(),
            xid_note: (!notes.is_empty()).then(|| notes.join("; ")),
        }
    }

    /// Takes in an Xid, or how they come.
    pub fn xid(&mut self, news: XidNews, out: &Queue<XidEvent>) {
        match news {
            XidNews::Event(event) => {
                if self.awaits_gpus() && self.pending.len() < PENDING {
                    self.pending.push(event);
                } else {
                    out.push(self.resolve(event));
                }
            }
            XidNews::Nvml(note) => self.nvml_note = note,
            XidNews::KernelLog(note) => self.log_note = note,
        }
    }

    /// Whether the first GPUs are still to come: an Xid's address says nothing before.
    pub fn awaits_gpus(&self) -> bool {
        match self.driver {
            DriverStatus::Starting => true,
            // A driver that lists none has a notice that says so.
            DriverStatus::Up(_) => {
                self.shown.is_empty() && self.seen.is_empty() && self.notice.is_none()
            }
            DriverStatus::Down(_) | DriverStatus::Released => false,
        }
    }

    /// Sends the Xids that waited for the GPUs.
    pub fn flush_xids(&mut self, out: &Queue<XidEvent>) {
        for event in std::mem::take(&mut self.pending) {
            out.push(self.resolve(event));
        }
    }

    fn resolve(&self, event: RawXid) -> XidEvent {
        let at = |address: &str| same_pci_address(address, &event.pci_bus_id);
        let by_bus = || {
            let device = self.bus.iter().find(|d| at(&d.address))?;
            device.uuid.as_deref().map(|uuid| self.key(uuid))
        };
        let gpu = event
            .uuid
            .as_deref()
            .map(|uuid| self.key(uuid))
            .or_else(|| {
                self.shown
                    .values()
                    .map(|(gpu, _)| gpu)
                    .chain(&self.seen)
                    .find(|g| at(&g.pci_bus_id) && !g.key.uuid.as_str().starts_with("PCI-"))
                    .map(|g| g.key.clone())
                    .or_else(by_bus)
            });
        XidEvent {
            time: event.time,
            gpu,
            pci_bus_id: event.pci_bus_id,
            xid: event.xid,
            source: event.source,
            pid: event.pid,
            text: event.text,
        }
    }
}

/// An address in a form that sorts: domain with eight digits, lower case.
fn normal(address: &str) -> String {
    let address = address.to_ascii_lowercase();
    match address.split_once(':') {
        Some((domain, rest)) => format!("{domain:0>8}:{rest}"),
        None => address,
    }
}
