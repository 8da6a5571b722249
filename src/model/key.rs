//! Keys: what a thing is called for as long as it lives, whatever row or index shows it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// The engine's host as midwatch numbers it in this process (one today; several hosts come later).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct HostId(pub u16);

/// A container's full 256-bit id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId([u8; 32]);

impl ContainerId {
    /// Reads the 64 lower-case or upper-case hex digits an engine prints; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut id = [0u8; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            let high = (*high as char).to_digit(16)?;
            let low = (*low as char).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(Self(id))
    }

    /// The id made of these 32 bytes (the simulated host and tests make theirs so).
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first 12 hex digits, as `docker ps` prints them.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// A container on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerKey {
    /// The engine that knows it.
    pub host: HostId,
    /// Its full id.
    pub id: ContainerId,
}

/// An image's content id as the engine prints it (`sha256:…`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub Arc<str>);

/// A GPU's or MIG instance's UUID as NVML prints it (`GPU-…`, `MIG-…`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GpuUuid(pub Arc<str>);

impl GpuUuid {
    /// The UUID from its text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The UUID's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GpuUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A GPU or a MIG instance on a host. The index is for display alone: it is not stable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GpuKey {
    /// The machine that holds it.
    pub host: HostId,
    /// Its UUID.
    pub uuid: GpuUuid,
}

/// One boot of a host (`/proc/sys/kernel/random/boot_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BootId(pub u128);

impl BootId {
    /// Reads the kernel's dashed hex form; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let hex: String = text.trim().chars().filter(|c| *c != '-').collect();
        if hex.len() != 32 {
            return None;
        }
        u128::from_str_radix(&hex, 16).ok().map(Self)
    }
}

/// A process, safe against reuse of its pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcKey {
    /// The machine it runs on.
    pub host: HostId,
    /// The boot it belongs to.
    pub boot: BootId,
    /// Its pid in the host's namespace.
    pub pid: u32,
    /// Start time in clock ticks after boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
}

/// One run of a container: from one start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunKey {
    /// Which container.
    pub container: ContainerKey,
    /// When this run began.
    pub started_at: Timestamp,
}

/// What a content scan of an image is cached under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScanKey {
    /// The image's content id.
    pub image_id: ImageId,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Raised whenever the detectors change.
    pub scanner_version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_id_reads_64_hex_digits_and_nothing_else() {
        let text = "48798bba53d3b487d09df7b5348255addc17ee0be6db2b8f22a11b2a5c6e9e13";
        let id = ContainerId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short(), "48798bba53d3");
        for bad in ["", "48798bba53d3", text.split_at(1).1, &format!("{text}0")] {
            assert_eq!(ContainerId::parse(bad), None, "{bad:?}");
        }
        assert_eq!(ContainerId::parse(&"g".repeat(64)), None);
        assert_eq!(ContainerId::parse(&"é".repeat(32)), None);
    }

    #[test]
    fn boot_id_reads_the_kernels_form() {
        let id = BootId::parse("0a1b2c3d-0000-0000-0000-0000000000ff\n").unwrap();
        assert_eq!(id.0, 0x0a1b2c3d_0000_0000_0000_0000000000ff);
        assert_eq!(BootId::parse("nonsense"), None);
    }
}
