//! What the library plays: plain data, as TOML.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The whole scenario. A value left out answers `NOT_SUPPORTED`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// `550.163.01`.
    pub driver: Option<String>,
    /// `major * 1000 + minor * 10`; left out: `LIBRARY_NOT_FOUND`, as without libcuda.
    pub cuda: Option<i32>,
    /// NVML's own version.
    pub nvml: Option<String>,
    /// The GPUs of the machine, in index order.
    #[serde(rename = "gpu")]
    pub gpus: Vec<Gpu>,
    /// Xid events that have happened. One that appears while an event set waits is delivered.
    #[serde(rename = "xid")]
    pub xids: Vec<Xid>,
    /// Function name -> NVML's code, for every GPU (`*`: every function that takes a device).
    pub fail: BTreeMap<String, u32>,
    /// Function name -> milliseconds that a call takes. Taking the entry away ends a running call.
    pub delay_ms: BTreeMap<String, u64>,
    /// `v3` process lists are filled with entries of 32 bytes, as drivers 535.43 to 535.85 did.
    pub wide_processes: bool,
    /// Each call appends its name and the GPU's UUID to this file.
    pub trace: Option<String>,
}

/// One GPU. Bytes, MiB are never used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gpu {
    /// `GPU-…`; the handle hangs on it.
    pub uuid: String,
    /// `00000000:17:00.0`.
    pub pci: String,
    /// Product name.
    pub name: Option<String>,
    /// `nvmlBrandType_t`.
    pub brand: Option<u32>,
    /// `nvmlDeviceArchitecture_t`.
    pub architecture: Option<u32>,
    /// Compute capability.
    pub capability: Option<(i32, i32)>,
    /// Framebuffer, bytes.
    pub memory_total: Option<u64>,
    /// Used without reserved, bytes.
    pub memory_used: u64,
    /// Reserved by the driver, bytes.
    pub memory_reserved: u64,
    /// Percent.
    pub gpu_percent: Option<u32>,
    /// Percent.
    pub memory_percent: Option<u32>,
    /// °C.
    pub temperature: Option<u32>,
    /// °C.
    pub memory_temperature: Option<u32>,
    /// °C.
    pub slowdown: Option<u32>,
    /// mW.
    pub power_mw: Option<u32>,
    /// mW.
    pub power_limit_mw: Option<u32>,
    /// mJ.
    pub energy_mj: Option<u64>,
    /// MHz.
    pub sm_clock: Option<u32>,
    /// MHz.
    pub memory_clock: Option<u32>,
    /// Percent.
    pub fan: Option<u32>,
    /// Present PCIe generation.
    pub pcie_gen: Option<u32>,
    /// Highest PCIe generation.
    pub pcie_gen_max: Option<u32>,
    /// Present lanes.
    pub pcie_width: Option<u32>,
    /// Most lanes.
    pub pcie_width_max: Option<u32>,
    /// P-state.
    pub pstate: Option<u32>,
    /// `nvmlComputeMode_t`.
    pub compute_mode: Option<u32>,
    /// Persistence mode.
    pub persistence: Option<bool>,
    /// Clock event reasons.
    pub throttle: Option<u64>,
    /// Uncorrected since the driver was loaded.
    pub ecc_volatile: Option<u64>,
    /// Uncorrected over the card's life.
    pub ecc_aggregate: Option<u64>,
    /// Row remapping: (pending, failed).
    pub remapped: Option<(bool, bool)>,
    /// MIG mode.
    pub mig: Option<bool>,
    /// MIG compute instances, in slot order.
    #[serde(rename = "instance")]
    pub instances: Vec<Mig>,
    /// Under MIG the whole GPU's process lists answer `NO_PERMISSION`, as for an unprivileged user.
    pub mig_denied: bool,
    /// Processes on it.
    #[serde(rename = "process")]
    pub processes: Vec<Process>,
    /// Every call answers `GPU_IS_LOST`, and goes on so until NVML was shut down and initialized again.
    pub lost: bool,
    /// Not in NVML's list at all.
    pub hidden: bool,
    /// It offers no Xid events.
    pub no_events: bool,
    /// As in [`Scenario::fail`], for this GPU.
    pub fail: BTreeMap<String, u32>,
    /// As in [`Scenario::delay_ms`], for this GPU.
    pub delay_ms: BTreeMap<String, u64>,
}

/// One compute instance, which NVML hands out as a MIG device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mig {
    /// `MIG-…`; empty: an empty slot.
    pub uuid: String,
    /// GPU instance id.
    pub gi: u32,
    /// Compute instance id.
    pub ci: u32,
    /// GPU slices of the GPU instance.
    pub gpu_slices: u32,
    /// Slices of the compute instance.
    pub compute_slices: u32,
    /// Memory of the GPU instance, bytes.
    pub memory_total: u64,
    /// Used, bytes.
    pub memory_used: u64,
    /// Name, as newer drivers give it (`NVIDIA H100 80GB HBM3 MIG 1g.10gb`).
    pub name: Option<String>,
}

/// A process on a GPU.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Process {
    /// Host pid.
    pub pid: u32,
    /// Bytes; left out: "not available" (all ones).
    pub memory: Option<u64>,
    /// `C`, `G` or `C+G`; empty is `C`.
    pub kind: String,
    /// SM utilization: a fresh sample for each question.
    pub sm: Option<u32>,
    /// Utilization samples with their own times.
    #[serde(rename = "sample")]
    pub samples: Vec<Sample>,
    /// GPU instance id under MIG.
    pub gi: Option<u32>,
    /// Compute instance id under MIG.
    pub ci: Option<u32>,
}

/// One utilization sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// µs since 1970.
    pub at: u64,
    /// Percent as the driver says it (may be over 100).
    pub sm: u32,
}

/// An Xid event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Xid {
    /// UUID of the GPU.
    pub gpu: String,
    /// Xid number.
    pub xid: u64,
}

impl Scenario {
    /// A machine with `count` H100s on driver 550.163.01, half of them busy.
    pub fn h100(count: usize) -> Self {
        Self {
            driver: Some("550.163.01".into()),
            cuda: Some(12040),
            nvml: Some("12.550.163.01".into()),
            gpus: (0..count).map(Gpu::h100).collect(),
            ..Self::default()
        }
    }

    /// Writes the scenario beside `path` and puts it in place by a rename.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let mut file = std::fs::File::create(&name)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&name, path)
    }

    /// Reads a scenario file.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        toml::from_str(&std::fs::read_to_string(path)?).map_err(std::io::Error::other)
    }
}

impl Gpu {
    /// The `index`th H100 80GB HBM3: values of a real capture (driver 590.48.01, MIT-licensed
    /// utkuozdemir/nvidia_gpu_exporter), idle where `index` is odd.
    pub fn h100(index: usize) -> Self {
        let busy = index.is_multiple_of(2);
        let pick = |yes: u32, no: u32| Some(if busy { yes } else { no });
        Self {
            uuid: format!("GPU-00000000-0000-4000-8000-{index:012x}"),
            pci: format!("00000000:{:02X}:00.0", 0x17 + index * 8),
            name: Some("NVIDIA H100 80GB HBM3".into()),
            brand: Some(14),
            architecture: Some(9),
            capability: Some((9, 0)),
            memory_total: Some(81_559 << 20),
            memory_used: if busy { 61_000 << 20 } else { 0 },
            memory_reserved: 479 << 20,
            gpu_percent: pick(92, 0),
            memory_percent: pick(41, 0),
            temperature: pick(59, 41),
            memory_temperature: pick(54, 48),
            slowdown: Some(87),
            power_mw: pick(632_000, 69_000),
            power_limit_mw: Some(700_000),
            energy_mj: Some(1_000_000 + index as u64),
            sm_clock: pick(1980, 345),
            memory_clock: Some(2619),
            fan: None,
            pcie_gen: Some(5),
            pcie_gen_max: Some(5),
            pcie_width: Some(16),
            pcie_width_max: Some(16),
            pstate: Some(0),
            compute_mode: Some(0),
            persistence: Some(true),
            throttle: Some(if busy { 0x4 } else { 0x1 }),
            ecc_volatile: Some(0),
            ecc_aggregate: Some(0),
            remapped: Some((false, false)),
            mig: Some(false),
            ..Self::default()
        }
    }

    /// A GPU of which NVML tells its UUID and address and nothing else.
    pub fn bare(uuid: &str, pci: &str) -> Self {
        Self {
            uuid: uuid.into(),
            pci: pci.into(),
            ..Self::default()
        }
    }

    /// With this process on it.
    pub fn with_process(mut self, process: Process) -> Self {
        self.processes.push(process);
        self
    }
}

impl Process {
    /// A CUDA process.
    pub fn compute(pid: u32, memory: u64, sm: u32) -> Self {
        Self {
            pid,
            memory: Some(memory),
            kind: "C".into(),
            sm: Some(sm),
            ..Self::default()
        }
    }
}
