//! What NVML says of a GPU. Any metric may be missing: then it is `None`, never 0.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::{GpuKey, GpuUuid, Problem, Stamp};

/// A GPU's compute capability, as 9.0 or `sm_90`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct ComputeCapability {
    /// The 9 of 9.0.
    pub major: u32,
    /// The 0 of 9.0.
    pub minor: u32,
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Whether a GPU answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuState {
    /// It answers.
    Ok,
    /// It fell off the bus, or NVML no longer lists it although the machine has it. The text says how
    /// this is known.
    Lost(String),
    /// A call to it has not come back for longer than the deadline; its numbers are old.
    Stuck,
    /// It answers with an error that is not a loss: the text is for the user.
    Error(String),
}

/// Framebuffer memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuMemory {
    /// Whole framebuffer.
    pub total_bytes: u64,
    /// In use, without what the driver keeps for itself (NVML's v2 meaning).
    pub used_bytes: u64,
    /// Kept by the driver; `None` on drivers older than R510, where `used_bytes` counts it in.
    pub reserved_bytes: Option<u64>,
}

/// PCI Express link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pcie {
    /// Present generation (drops at idle).
    pub generation: Option<u32>,
    /// Highest of GPU and slot.
    pub generation_max: Option<u32>,
    /// Present lanes.
    pub width: Option<u32>,
    /// Highest of GPU and slot.
    pub width_max: Option<u32>,
}

/// ECC error counts, where ECC is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ecc {
    /// Since the driver was loaded.
    pub volatile_uncorrected: Option<u64>,
    /// Over the card's life.
    pub aggregate_uncorrected: Option<u64>,
}

/// Row remapping (Ampere and newer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemappedRows {
    /// A remapping waits for the next GPU reset.
    pub pending: bool,
    /// A remapping failed: the card is due for service.
    pub failed: bool,
}

/// Clock event ("throttle") reasons, NVML's bit mask.
///
/// Source: nvml.h, `nvmlClocksEventReason*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ThrottleReasons(pub u64);

impl ThrottleReasons {
    /// Bits and their names in the JSON contract, lowest first.
    pub const NAMES: [(u64, &'static str); 9] = [
        (0x1, "gpu_idle"),
        (0x2, "applications_clocks_setting"),
        (0x4, "sw_power_cap"),
        (0x8, "hw_slowdown"),
        (0x10, "sync_boost"),
        (0x20, "sw_thermal_slowdown"),
        (0x40, "hw_thermal_slowdown"),
        (0x80, "hw_power_brake_slowdown"),
        (0x100, "display_clock_setting"),
    ];
    /// The reasons that cost speed for want of cooling or power supply: the ones to warn about.
    pub const ALARMS: Self = Self(0x8 | 0x20 | 0x40 | 0x80);

    /// The names of the set bits; a bit nobody has named yet comes as `bit_N`.
    pub fn names(self) -> Vec<String> {
        let known = Self::NAMES.iter().fold(0, |mask, (bit, _)| mask | bit);
        let mut names: Vec<String> = Self::NAMES
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .map(|(_, name)| (*name).to_owned())
            .collect();
        let rest = self.0 & !known;
        names.extend(
            (0..64)
                .filter(|bit| rest & (1u64 << bit) != 0)
                .map(|bit| format!("bit_{bit}")),
        );
        names
    }

    /// Whether one of `other`'s reasons holds.
    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A MIG instance: a compute instance as NVML hands it out as a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigInstance {
    /// Its own key (`MIG-…`).
    pub key: GpuKey,
    /// The GPU it is a part of.
    pub parent: GpuUuid,
    /// Profile, as `1g.10gb`.
    pub profile: Option<String>,
    /// GPU instance id.
    pub gpu_instance: Option<u32>,
    /// Compute instance id. Two compute instances of one GPU instance share one memory: never add them up.
    pub compute_instance: Option<u32>,
    /// Its framebuffer memory.
    pub memory: Option<GpuMemory>,
}

/// One GPU with its newest numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpu {
    /// Which GPU. For a device that never answered, the UUID may be `PCI-<address>`.
    pub key: GpuKey,
    /// NVML's present index; `None` when NVML does not list it.
    pub index: Option<u32>,
    /// Product name.
    pub name: Arc<str>,
    /// `00000000:17:00.0`.
    pub pci_bus_id: Arc<str>,
    /// Brand in NVML's words (`Tesla`, `GeForce`, `NvidiaRTX`…).
    pub brand: Option<Arc<str>>,
    /// Architecture (`Hopper`…).
    pub architecture: Option<Arc<str>>,
    /// Compute capability.
    pub compute_capability: Option<ComputeCapability>,
    /// Whether it answers.
    pub state: GpuState,
    /// When the numbers below were read.
    pub sampled: Stamp,
    /// Framebuffer memory; `None` on unified-memory GPUs too (see `unified_memory`).
    pub memory: Option<GpuMemory>,
    /// It shares the host's memory (GB10, Jetson): no framebuffer of its own.
    pub unified_memory: bool,
    /// Device busy time, percent of the sample period; not SM utilization. `None` under MIG.
    pub gpu_percent: Option<u32>,
    /// Memory controller busy time, percent.
    pub memory_percent: Option<u32>,
    /// GPU core, °C.
    pub temperature_celsius: Option<u32>,
    /// Memory, °C.
    pub memory_temperature_celsius: Option<u32>,
    /// Hardware slowdown threshold, °C.
    pub slowdown_celsius: Option<u32>,
    /// Draw, watts (a 1 s average on Ampere and newer except GA100).
    pub power_watts: Option<f64>,
    /// Enforced limit, watts.
    pub power_limit_watts: Option<f64>,
    /// Since the driver was loaded, joules.
    pub energy_joules: Option<f64>,
    /// SM clock, MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock, MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Intended fan speed, percent; may exceed 100. `None` on passively cooled cards.
    pub fan_percent: Option<u32>,
    /// PCI Express link.
    pub pcie: Pcie,
    /// P-state: 0 is the fastest.
    pub performance_state: Option<u8>,
    /// `Default`, `Exclusive_Process`, `Prohibited`.
    pub compute_mode: Option<Arc<str>>,
    /// Whether persistence mode is on.
    pub persistence_mode: Option<bool>,
    /// Why clocks are below their highest.
    pub throttle_reasons: Option<ThrottleReasons>,
    /// ECC counts; `None` where ECC is off or absent.
    pub ecc: Option<Ecc>,
    /// Row remapping; `None` where not supported (also under MIG).
    pub remapped_rows: Option<RemappedRows>,
    /// Whether MIG mode is on; `None` where the card has none.
    pub mig_mode: Option<bool>,
    /// Its MIG instances.
    pub mig_instances: Vec<MigInstance>,
}

impl Gpu {
    /// A GPU of which nothing but its identity is known yet: it counts as answering, every metric is absent.
    pub fn silent(
        key: GpuKey,
        index: Option<u32>,
        name: &str,
        pci_bus_id: &str,
        now: Stamp,
    ) -> Self {
        Self {
            key,
            index,
            name: name.into(),
            pci_bus_id: pci_bus_id.into(),
            brand: None,
            architecture: None,
            compute_capability: None,
            state: GpuState::Ok,
            sampled: now,
            memory: None,
            unified_memory: false,
            gpu_percent: None,
            memory_percent: None,
            temperature_celsius: None,
            memory_temperature_celsius: None,
            slowdown_celsius: None,
            power_watts: None,
            power_limit_watts: None,
            energy_joules: None,
            sm_clock_mhz: None,
            memory_clock_mhz: None,
            fan_percent: None,
            pcie: Pcie::default(),
            performance_state: None,
            compute_mode: None,
            persistence_mode: None,
            throttle_reasons: None,
            ecc: None,
            remapped_rows: None,
            mig_mode: None,
            mig_instances: Vec::new(),
        }
    }
}

/// What a process does on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProcessKind {
    /// CUDA.
    Compute,
    /// OpenGL, Vulkan.
    Graphics,
    /// CUDA and graphics.
    ComputeAndGraphics,
}

impl ProcessKind {
    /// nvidia-smi's letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compute => "C",
            Self::Graphics => "G",
            Self::ComputeAndGraphics => "C+G",
        }
    }
}

/// A process on one GPU (the same process on two GPUs is two of these).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuProcess {
    /// The physical GPU.
    pub gpu: GpuKey,
    /// The MIG instance it runs in, where it does.
    pub mig: Option<GpuKey>,
    /// Pid in the host's namespace.
    pub pid: u32,
    /// What it does.
    pub kind: ProcessKind,
    /// Framebuffer memory it holds, bytes.
    pub memory_used_bytes: Option<u64>,
    /// SM utilization on this GPU, percent; `None` under MIG and where NVML does not tell.
    pub sm_percent: Option<u32>,
}

/// What the driver says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverInfo {
    /// `550.163.01`.
    pub driver_version: Option<String>,
    /// Highest CUDA the driver supports, as (12, 4).
    pub cuda_driver_version: Option<(u32, u32)>,
    /// NVML's own version.
    pub nvml_version: Option<String>,
}

/// The state of NVML and the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverStatus {
    /// NVML is being loaded and initialized (seconds, without persistence mode).
    Starting,
    /// It answers.
    Up(DriverInfo),
    /// It cannot be used: what, why and the remedy. Retried all the while.
    Down(Problem),
    /// Released on the user's request, so that a GPU reset or driver upgrade can go on.
    Released,
}

/// Everything NVML said in one round, newest wins.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuSnapshot {
    /// When the round ended.
    pub at: Stamp,
    /// Driver and NVML.
    pub driver: DriverStatus,
    /// The GPUs, in index order, lost ones included.
    pub gpus: Vec<Gpu>,
    /// Processes on them.
    pub processes: Vec<GpuProcess>,
    /// Something about the whole that the user should know though the driver answers: it lists no GPU.
    pub notice: Option<Problem>,
    /// Why Xid events do not come from NVML or the kernel log, and how to mend it; `None`: they do.
    pub xid_note: Option<String>,
}

impl GpuSnapshot {
    /// What is known before the driver answered.
    pub fn starting(now: Stamp) -> Self {
        Self {
            at: now,
            driver: DriverStatus::Starting,
            gpus: Vec::new(),
            processes: Vec::new(),
            notice: None,
            xid_note: None,
        }
    }
}

/// Where an Xid was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum XidSource {
    /// NVML's event set, as it happened.
    Nvml,
    /// The kernel log (`NVRM: Xid …`).
    KernelLog,
}

/// One Xid event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XidEvent {
    /// When it happened.
    pub time: Timestamp,
    /// The GPU, where its address could be matched.
    pub gpu: Option<GpuKey>,
    /// PCI address as the source gave it.
    pub pci_bus_id: String,
    /// Xid number; `None` for a loss the kernel told of without a number.
    pub xid: Option<u32>,
    /// Where it was read.
    pub source: XidSource,
    /// Pid the kernel named, where it did.
    pub pid: Option<u32>,
    /// The line's own text, control characters removed.
    pub text: String,
}

/// Whether two PCI addresses name one device: NVML writes `00000000:17:00.0`, the kernel log `0000:17:00`.
pub fn same_pci_address(a: &str, b: &str) -> bool {
    match (pci_parts(a), pci_parts(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// Domain, bus and device; the function is always 0 for a GPU.
fn pci_parts(address: &str) -> Option<(u32, u32, u32)> {
    let mut parts = address.trim().split(':').rev();
    let device = parts.next()?;
    let device = device.split_once('.').map_or(device, |(d, _)| d);
    let bus = parts.next()?;
    let domain = parts.next().unwrap_or("0");
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    Some((hex(domain)?, hex(bus)?, hex(device)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttle_reasons_are_named_and_unknown_bits_kept() {
        assert_eq!(
            ThrottleReasons(0x44).names(),
            ["sw_power_cap", "hw_thermal_slowdown"]
        );
        assert_eq!(ThrottleReasons(0x200).names(), ["bit_9"]);
        assert!(ThrottleReasons(0).names().is_empty());
        assert!(!ThrottleReasons(0x4).has_any(ThrottleReasons::ALARMS));
        assert!(ThrottleReasons(0x44).has_any(ThrottleReasons::ALARMS));
    }

    #[test]
    fn pci_addresses_of_nvml_and_the_kernel_log_match() {
        assert!(same_pci_address("00000000:17:00.0", "0000:17:00"));
        assert!(same_pci_address("0000000F:01:00.0", "000f:01:00.0"));
        assert!(!same_pci_address("00000000:17:00.0", "0000:18:00"));
        assert!(!same_pci_address("nonsense", "nonsense"));
    }
}
