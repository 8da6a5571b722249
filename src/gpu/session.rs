//! One opening of NVML: the library loaded, initialized, its versions and its number of GPUs.

use std::ffi::OsString;
use std::path::Path;
use std::sync::mpsc::Sender;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{cuda_driver_version_major, cuda_driver_version_minor};

use super::raw::{ListVersion, Lists};
use super::supervisor::Message;
use crate::model::DriverInfo;

/// What is loaded where nothing is named.
pub(super) const DEFAULT_LIBRARY: &str = "libnvidia-ml.so.1";

/// NVML, open. When the last holder lets go it is shut down, the library unloaded, and the supervisor told.
#[derive(Debug)]
pub(super) struct Session {
    /// Counts the openings.
    pub generation: u64,
    /// What the driver says of itself.
    pub driver: DriverInfo,
    /// GPUs that NVML lists, those we may not touch included.
    pub count: u32,
    /// Process lists.
    pub lists: Lists,
    nvml: Option<Nvml>,
    closed: Sender<Message>,
}

impl Session {
    /// Loads and initializes NVML. Takes seconds where the driver has to wake up, and 45 and more where it is
    /// sick: never called on a thread that somebody waits for.
    ///
    /// # Errors
    /// NVML's or the loader's own.
    pub fn open(
        path: Option<&Path>,
        generation: u64,
        closed: Sender<Message>,
    ) -> Result<Self, NvmlError> {
        let name = path.map_or_else(|| OsString::from(DEFAULT_LIBRARY), OsString::from);
        let nvml = Nvml::builder().lib_path(&name).init()?;
        let count = nvml.device_count()?;
        let driver = DriverInfo {
            driver_version: nvml.sys_driver_version().ok().map(clean),
            cuda_driver_version: nvml.sys_cuda_driver_version().ok().and_then(|version| {
                let major = u32::try_from(cuda_driver_version_major(version)).ok()?;
                let minor = u32::try_from(cuda_driver_version_minor(version)).ok()?;
                (major > 0).then_some((major, minor))
            }),
            nvml_version: nvml.sys_nvml_version().ok().map(clean),
        };
        Ok(Self {
            generation,
            driver,
            count,
            lists: Lists::load(&nvml),
            nvml: Some(nvml),
            closed,
        })
    }

    /// NVML itself.
    ///
    /// # Errors
    /// Never, while the session lives.
    pub fn nvml(&self) -> Result<&Nvml, NvmlError> {
        self.nvml.as_ref().ok_or(NvmlError::Uninitialized)
    }

    /// The process list to ask for: v3, but not on the drivers that fill it with longer entries.
    pub fn list_version(&self) -> ListVersion {
        let trusted = !self
            .driver
            .driver_version
            .as_deref()
            .is_some_and(writes_wide_entries);
        if trusted && self.lists.has(ListVersion::V3) {
            ListVersion::V3
        } else if self.lists.has(ListVersion::V2) {
            ListVersion::V2
        } else {
            ListVersion::V1
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Shuts NVML down and unloads the library; only then it is closed.
        drop(self.nvml.take());
        let _ = self.closed.send(Message::Closed(self.generation));
    }
}

/// Drivers 535.43 to 535.85 wrote process entries of 32 bytes into v3 lists (nvitop#88, nvml-wrapper#48).
fn writes_wide_entries(driver: &str) -> bool {
    let mut parts = driver.split('.').map(|p| p.parse::<u32>().ok());
    matches!(
        (parts.next(), parts.next()),
        (Some(Some(535)), Some(Some(43..=85)))
    )
}

/// Text of the driver without control characters.
pub(super) fn clean(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars().filter(|c| !c.is_control()).collect()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_with_wide_entries_are_known() {
        for (driver, wide) in [
            ("535.43.02", true),
            ("535.54.03", true),
            ("535.86.05", false),
            ("535.104.05", false),
            ("550.54.14", false),
            ("535", false),
            ("", false),
        ] {
            assert_eq!(writes_wide_entries(driver), wide, "{driver}");
        }
    }
}
