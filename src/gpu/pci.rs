//! NVIDIA GPUs as the kernel knows them, whether NVML lists them or not: sysfs and the driver's procfs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::same_pci_address;

/// A GPU as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PciGpu {
    /// `0000:17:00.0`.
    pub address: String,
    /// Product name, where the driver's procfs gives it.
    pub name: Option<String>,
    /// UUID, where the driver's procfs gives a whole one.
    pub uuid: Option<String>,
    /// Kernel driver bound to the device (`nvidia`, `vfio-pci`).
    pub driver: Option<String>,
    /// Whether the driver's procfs lists it.
    pub in_procfs: bool,
    /// Whether an administrator excluded it from use.
    pub excluded: bool,
    /// The file that says whether it sleeps; `None` where it never does.
    pub runtime_status: Option<PathBuf>,
}

/// All NVIDIA GPUs of the machine, by address: the order in which NVML numbers them.
pub(super) fn scan(sysfs: &Path, procfs: &Path) -> Vec<PciGpu> {
    let mut gpus = scan_sysfs(sysfs);
    let (listed, procfs_there) = scan_procfs(procfs);
    for entry in listed {
        match gpus
            .iter_mut()
            .find(|g| same_pci_address(&g.address, &entry.address))
        {
            Some(gpu) => {
                gpu.name = entry.name;
                gpu.uuid = entry.uuid;
                gpu.in_procfs = true;
                gpu.excluded = entry.excluded;
            }
            None => gpus.push(entry),
        }
    }
    // A container sees every device in sysfs, and in procfs those it was given.
    let given = |g: &PciGpu| g.in_procfs || !procfs_there || g.driver.as_deref() != Some("nvidia");
    gpus.retain(given);
    // Another driver has it: handed through to a virtual machine, or nouveau.
    gpus.retain(|g| g.driver.as_deref().is_none_or(|d| d == "nvidia") || g.in_procfs);
    gpus.sort_by_key(|g| g.address.to_ascii_lowercase());
    gpus
}

fn scan_sysfs(sysfs: &Path) -> Vec<PciGpu> {
    let Ok(entries) = fs::read_dir(sysfs.join("bus/pci/devices")) else {
        return Vec::new();
    };
    let is = |path: &Path, name: &str, wanted: &[&str]| {
        fs::read_to_string(path.join(name))
            .is_ok_and(|text| wanted.iter().any(|w| text.trim().starts_with(w)))
    };
    entries
        .flatten()
        .map(|entry| {
            (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            )
        })
        .filter(|(path, _)| is(path, "vendor", &["0x10de"]))
        // Display controllers: VGA-compatible and 3D.
        .filter(|(path, _)| is(path, "class", &["0x0300", "0x0302"]))
        .map(|(path, address)| PciGpu {
            address,
            name: None,
            uuid: None,
            driver: fs::read_link(path.join("driver"))
                .ok()
                .and_then(|target| Some(target.file_name()?.to_string_lossy().into_owned())),
            in_procfs: false,
            excluded: false,
            runtime_status: is(&path, "power/control", &["auto"])
                .then(|| path.join("power/runtime_status")),
        })
        .collect()
}

/// The GPUs in `driver/nvidia/gpus`, and whether that directory is there.
fn scan_procfs(procfs: &Path) -> (Vec<PciGpu>, bool) {
    let Ok(entries) = fs::read_dir(procfs.join("driver/nvidia/gpus")) else {
        return (Vec::new(), false);
    };
    let gpus = entries.flatten().map(|entry| {
        let text = fs::read_to_string(entry.path().join("information")).unwrap_or_default();
        information(&entry.file_name().to_string_lossy(), &text)
    });
    (gpus.collect(), true)
}

/// Reads `Name: value` lines of an `information` file; the directory's name is the address.
fn information(directory: &str, text: &str) -> PciGpu {
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    PciGpu {
        address: field("Bus Location").unwrap_or_else(|| directory.to_owned()),
        name: field("Model").filter(|name| name != "Unknown"),
        // A GPU that did not come up has question marks in it.
        uuid: field("GPU UUID").filter(|uuid| !uuid.contains('?')),
        driver: Some("nvidia".to_owned()),
        in_procfs: true,
        excluded: field("GPU Excluded").is_some_and(|v| v.eq_ignore_ascii_case("yes")),
        runtime_status: None,
    }
}

/// Whether a GPU sleeps now; reading this does not wake it.
pub(super) fn is_asleep(runtime_status: &Path) -> bool {
    fs::read_to_string(runtime_status)
        .is_ok_and(|text| matches!(text.trim(), "suspended" | "suspending"))
}

/// The loaded kernel module's version, from `driver/nvidia/version`.
pub(super) fn module_version(procfs: &Path) -> Option<String> {
    let text = fs::read_to_string(procfs.join("driver/nvidia/version")).ok()?;
    module_version_in(&text)
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Thu …` -> `550.163.01`. The open module writes
/// `NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build`.
fn module_version_in(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_whitespace()
        .find(|word| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.'))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_version_is_found_in_both_forms() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\nGCC version:  gcc version 12.2.0\n";
        assert_eq!(module_version_in(closed).as_deref(), Some("550.163.01"));
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build  (dvs-builder@U22)\n";
        assert_eq!(module_version_in(open).as_deref(), Some("570.133.20"));
        assert_eq!(module_version_in("nonsense"), None);
    }

    #[test]
    fn an_information_file_is_read_and_question_marks_are_no_uuid() {
        let text = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\nGPU UUID: \t GPU-????????-????-????-????-????????????\nBus Location: \t 0000:17:00.0\nGPU Excluded:\t No\n";
        let gpu = information("0000:17:00.0", text);
        assert_eq!(gpu.name.as_deref(), Some("NVIDIA H100 80GB HBM3"));
        assert_eq!(gpu.uuid, None);
        assert!(!gpu.excluded);
    }

    #[test]
    fn a_device_given_away_or_not_given_to_us_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let device = |address: &str, class: &str, driver: Option<&str>| {
            let path = dir.path().join("sys/bus/pci/devices").join(address);
            fs::create_dir_all(path.join("power")).unwrap();
            fs::write(path.join("vendor"), "0x10de\n").unwrap();
            fs::write(path.join("class"), class).unwrap();
            if let Some(driver) = driver {
                std::os::unix::fs::symlink(format!("/x/{driver}"), path.join("driver")).unwrap();
            }
        };
        device("0000:17:00.0", "0x030200\n", Some("nvidia"));
        device("0000:18:00.0", "0x030200\n", Some("nvidia"));
        device("0000:19:00.0", "0x030200\n", Some("vfio-pci"));
        device("0000:1a:00.0", "0x030000\n", None);
        device("0000:1b:00.0", "0x040300\n", None);
        let seen = |procfs: &Path| -> Vec<String> {
            let gpus = scan(&dir.path().join("sys"), procfs);
            gpus.into_iter().map(|g| g.address).collect()
        };
        let none = dir.path().join("none");
        assert_eq!(
            seen(&none),
            ["0000:17:00.0", "0000:18:00.0", "0000:1a:00.0"]
        );
        let proc = dir.path().join("proc");
        fs::create_dir_all(proc.join("driver/nvidia/gpus/0000:17:00.0")).unwrap();
        assert_eq!(seen(&proc), ["0000:17:00.0", "0000:1a:00.0"]);
    }
}
