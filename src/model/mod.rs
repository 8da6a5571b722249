//! Pure data: what a container, a GPU, a process and a host are, and the keys that name them.
//!
//! No I/O and no clock: every other module may use this one, and it uses none of ours.

mod command;
mod container;
mod gpu;
mod image;
mod key;
mod news;
mod process;
mod secret;
mod status;
pub mod text;
mod time;
mod usage;

pub use command::{ContainerCommand, Signal};
pub use container::{
    Compose, Container, ContainerDetail, ContainerState, GpuGrant, HealthState, Mount, Port,
};
pub use gpu::{
    ComputeCapability, DriverInfo, DriverStatus, Ecc, Gpu, GpuMemory, GpuProcess, GpuSnapshot,
    GpuState, MigInstance, Pcie, ProcessKind, RemappedRows, ThrottleReasons, XidEvent, XidSource,
    same_pci_address,
};
pub use image::Image;
pub use key::{
    BootId, ContainerId, ContainerKey, GpuKey, GpuUuid, HostId, ImageId, ProcKey, RunKey, ScanKey,
};
pub use news::{EngineEvent, EngineNews, EventKind};
pub use process::{CgroupContainer, CgroupOwner, ProcInfo, ProcSnapshot, RuntimeKind};
pub use secret::{MASK, looks_secret, mask_command};
pub use status::{EngineInfo, EngineStatus, Problem};
pub use time::Stamp;
pub use usage::{ContainerUsage, HostReport, UsageSnapshot, UsageSource};
