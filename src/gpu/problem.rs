//! NVML's errors in plain words: what, why, and what to do.

use std::path::Path;

use nvml_wrapper::error::NvmlError;

use super::pci;
use crate::model::Problem;

/// Why NVML could not be opened, as far as it decides the words.
#[derive(Debug)]
pub(super) enum Trouble {
    /// NVML or the loader answered with an error.
    Nvml(NvmlError),
    /// The call has not come back.
    NoAnswer {
        /// For how many seconds.
        seconds: u64,
    },
    /// NVML works, and there is no GPU to see.
    NoGpus,
}

/// Where midwatch looks, for the words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The library by its path or name.
    pub library: &'a str,
    /// Root of procfs.
    pub procfs: &'a Path,
    /// NVIDIA GPUs that the PCI bus shows.
    pub on_bus: usize,
    /// Whether midwatch runs in a container.
    pub in_container: bool,
}

impl Place<'_> {
    fn gpus_on_bus(&self) -> String {
        match self.on_bus {
            0 => "no NVIDIA GPU is on the PCI bus".to_owned(),
            1 => "1 NVIDIA GPU is on the PCI bus".to_owned(),
            n => format!("{n} NVIDIA GPUs are on the PCI bus"),
        }
    }
}

const IN_CONTAINER: &str =
    "start the container with --gpus all --pid=host, or run midwatch on the host";

/// The problem in words for the user.
pub(super) fn describe(trouble: &Trouble, place: Place<'_>) -> Problem {
    match trouble {
        Trouble::NoAnswer { seconds } => problem(
            "the NVIDIA driver does not answer",
            format!("a call to it has not come back for {seconds} s"),
            "look at `dmesg | grep NVRM`; a GPU reset or a reboot mends a hung driver",
        ),
        Trouble::NoGpus => no_gpus(place),
        Trouble::Nvml(error) => by_error(error, place),
    }
}

fn by_error(error: &NvmlError, place: Place<'_>) -> Problem {
    match error {
        NvmlError::LibloadingError(error) => not_loaded(&loader_text(error), place),
        NvmlError::DriverNotLoaded => driver_not_loaded(place),
        NvmlError::LibRmVersionMismatch => mismatch(place),
        NvmlError::NoPermission => problem(
            "no permission to talk to the NVIDIA driver",
            "NVML answers NO_PERMISSION".to_owned(),
            if place.in_container {
                IN_CONTAINER
            } else {
                "check the modes of /dev/nvidiactl and /dev/nvidia* (usually 0666, or a group to join)"
            },
        ),
        NvmlError::Unknown | NvmlError::OperatingSystem if place.in_container => problem(
            "the NVIDIA driver cannot be reached from this container",
            format!(
                "NVML answers \"{error}\": the container has lost its GPU devices, as after `systemctl daemon-reload`"
            ),
            "restart the container",
        ),
        NvmlError::FailedToLoadSymbol(symbol) => problem(
            "this NVIDIA driver library is too old, or none at all",
            format!("{}: {}", place.library, one_line(symbol)),
            "name the right libnvidia-ml.so.1 with --nvml PATH, or upgrade the driver (450 or newer)",
        ),
        error => problem(
            "NVML cannot be used",
            format!("it answers \"{error}\""),
            "try `nvidia-smi` and look at `dmesg | grep NVRM`",
        ),
    }
}

fn not_loaded(text: &str, place: Place<'_>) -> Problem {
    let wrong_class = text.contains("wrong ELF class");
    let missing = text.contains("No such file");
    let library = place.library;
    let why = if missing {
        format!("{library} is not installed here ({})", place.gpus_on_bus())
    } else {
        text.to_owned()
    };
    let remedy = if wrong_class {
        "name a library of this machine's architecture with --nvml PATH"
    } else if !missing {
        "name the driver's libnvidia-ml.so.1 with --nvml PATH"
    } else if place.in_container {
        IN_CONTAINER
    } else if place.on_bus == 0 {
        "on a machine with an NVIDIA GPU install its driver; without one the container views work all the same"
    } else {
        "install the NVIDIA driver (its package with libnvidia-ml.so.1), or name the library with --nvml PATH"
    };
    problem("the NVIDIA driver library cannot be loaded", why, remedy)
}

fn driver_not_loaded(place: Place<'_>) -> Problem {
    let remedy = if place.in_container {
        "load the driver on the host: sudo modprobe nvidia"
    } else if place.on_bus == 0 {
        "check that the GPU is seated and powered: lspci -d 10de:"
    } else {
        "sudo modprobe nvidia; if that fails, see `dmesg | grep NVRM` (after a kernel update the module must be built anew)"
    };
    problem(
        "the NVIDIA kernel driver is not loaded",
        format!(
            "the library is here, the module is not ({})",
            place.gpus_on_bus()
        ),
        remedy,
    )
}

fn mismatch(place: Place<'_>) -> Problem {
    let loaded = pci::module_version(place.procfs).map_or_else(String::new, |v| format!(" {v}"));
    problem(
        "the NVIDIA driver was upgraded under the running kernel module",
        format!(
            "the loaded module{loaded} and the installed library are of different versions; running jobs go on, new ones fail"
        ),
        "reboot or reload the module once the running jobs are done",
    )
}

fn no_gpus(place: Place<'_>) -> Problem {
    let remedy = if place.in_container {
        IN_CONTAINER
    } else if place.on_bus == 0 {
        "check that the GPU is seated, powered and not given to a virtual machine: lspci -k -d 10de:"
    } else {
        "see `dmesg | grep NVRM` for why the driver did not bring them up"
    };
    problem(
        "no GPU to watch",
        format!(
            "the NVIDIA driver works and lists no GPU ({})",
            place.gpus_on_bus()
        ),
        remedy,
    )
}

fn problem(what: &str, why: String, remedy: &str) -> Problem {
    Problem {
        what: what.to_owned(),
        why,
        remedy: remedy.to_owned(),
    }
}

/// The loader's own text is in the error's source.
fn loader_text(error: &dyn std::error::Error) -> String {
    let text = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    one_line(&text)
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(on_bus: usize, in_container: bool) -> Place<'static> {
        Place {
            library: "libnvidia-ml.so.1",
            procfs: Path::new("/nonexistent"),
            on_bus,
            in_container,
        }
    }

    #[test]
    fn every_trouble_has_a_remedy_and_the_container_one_is_its_own() {
        let errors = || {
            [
                Trouble::Nvml(NvmlError::DriverNotLoaded),
                Trouble::Nvml(NvmlError::LibRmVersionMismatch),
                Trouble::Nvml(NvmlError::NoPermission),
                Trouble::Nvml(NvmlError::Unknown),
                Trouble::Nvml(NvmlError::UnexpectedVariant(27)),
                Trouble::NoGpus,
                Trouble::NoAnswer { seconds: 9 },
            ]
        };
        let mut seen = std::collections::BTreeSet::new();
        for trouble in errors() {
            let p = describe(&trouble, place(2, false));
            assert!(!p.why.is_empty() && !p.remedy.is_empty(), "{p}");
            assert!(!p.to_string().chars().any(char::is_control), "{p}");
            seen.insert(p.what);
        }
        assert_eq!(seen.len(), 6, "{seen:?}");
        let p = describe(&Trouble::NoGpus, place(0, true));
        assert!(p.remedy.contains("--gpus all"), "{p}");
    }
}
