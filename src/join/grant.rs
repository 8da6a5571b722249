//! Grants resolved to GPUs: which GPUs a container was given when it started.
//!
//! Where the words come from: the NVIDIA container toolkit's `NVIDIA_VISIBLE_DEVICES` (`all`, `none`,
//! `void`, a list of indices, UUIDs and `GPU:MIG` pairs), CDI names (`nvidia.com/gpu=…`), and Docker's
//! device requests, which the engine turns into the same variable (`--gpus 2` becomes `0,1`).

use crate::model::{Gpu, GpuGrant, GpuSnapshot, MigInstance, same_pci_address};

use super::GpuRef;

/// The GPUs in the order a grant counts them.
///
/// A grant's indices are those of the container's start. While every GPU is listed they are NVML's. Once
/// NVML was loaded anew without a lost card, the indices behind it move up; NVML counts in PCI bus order, so
/// the place among all cards of the machine, lost ones included, is the old index again.
pub struct Board<'a> {
    slots: Vec<(u32, &'a Gpu)>,
}

impl<'a> Board<'a> {
    /// Orders the snapshot's GPUs.
    pub fn new(snapshot: &'a GpuSnapshot) -> Self {
        let gpus = &snapshot.gpus;
        let listed: Option<Vec<(u32, &Gpu)>> =
            gpus.iter().map(|g| g.index.map(|i| (i, g))).collect();
        let mut slots = listed.unwrap_or_else(|| by_place(gpus));
        slots.sort_by_key(|(slot, _)| *slot);
        Self { slots }
    }

    /// Resolves a grant. GPUs come in slot order without repetition; what names no known GPU is left out.
    pub fn resolve(&self, grant: &GpuGrant) -> Vec<GpuRef> {
        let mut given = Vec::new();
        match grant {
            GpuGrant::All => self.add_all(&mut given),
            // The device nodes of the whole cards: a MIG instance needs capabilities on top, which
            // `--privileged` gives as well, so the card stands for its instances.
            GpuGrant::Privileged => {
                for (_, gpu) in &self.slots {
                    push(&mut given, whole(gpu));
                }
            }
            GpuGrant::Count(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                for (_, gpu) in self.slots.iter().take(count) {
                    push(&mut given, whole(gpu));
                }
            }
            GpuGrant::Devices(ids) => {
                for id in ids {
                    self.add_word(id, &mut given);
                }
            }
            GpuGrant::Cdi(names) => {
                for name in names {
                    self.add_cdi(name, &mut given);
                }
            }
            GpuGrant::VisibleDevices(value) => {
                for word in value.split(',') {
                    self.add_word(word, &mut given);
                }
            }
            GpuGrant::DeviceNodes(paths) => {
                for path in paths {
                    self.add_node(path, &mut given);
                }
            }
        }
        self.in_slot_order(given)
    }

    fn slot(&self, slot: u32) -> Option<&'a Gpu> {
        self.slots
            .iter()
            .find(|(s, _)| *s == slot)
            .map(|(_, gpu)| *gpu)
    }

    /// `all`: whole cards, and where a card is cut up its MIG instances.
    fn add_all(&self, given: &mut Vec<GpuRef>) {
        for (_, gpu) in &self.slots {
            if gpu.mig_instances.is_empty() {
                push(given, whole(gpu));
            }
            for instance in &gpu.mig_instances {
                push(given, part(gpu, instance));
            }
        }
    }

    /// One word of a device list.
    fn add_word(&self, word: &str, given: &mut Vec<GpuRef>) {
        let word = word.trim();
        if word.is_empty() || word.eq_ignore_ascii_case("none") || word.eq_ignore_ascii_case("void")
        {
            return;
        }
        if word.eq_ignore_ascii_case("all") {
            return self.add_all(given);
        }
        if word.contains('=') {
            return self.add_cdi(word, given);
        }
        if let Some(found) = self.named(word) {
            push(given, found);
        }
    }

    /// The GPU or MIG instance that an index, a `GPU:MIG` pair, a UUID (or its beginning) or a PCI address
    /// names.
    fn named(&self, word: &str) -> Option<GpuRef> {
        if let Ok(slot) = word.parse() {
            return self.slot(slot).map(whole);
        }
        if let Some((gpu, mig)) = word.split_once(':')
            && let (Ok(slot), Ok(place)) = (gpu.parse::<u32>(), mig.parse::<usize>())
        {
            let gpu = self.slot(slot)?;
            return gpu.mig_instances.get(place).map(|m| part(gpu, m));
        }
        if let Some(rest) = word.strip_prefix("MIG-GPU-") {
            return self.old_mig_name(rest);
        }
        if word.starts_with("MIG-") {
            return self.only(self.slots.iter().flat_map(|(_, gpu)| {
                gpu.mig_instances
                    .iter()
                    .filter(|m| begins(m.key.uuid.as_str(), word))
                    .map(|m| part(gpu, m))
            }));
        }
        if word.starts_with("GPU-") {
            return self.only(
                self.slots
                    .iter()
                    .filter(|(_, gpu)| begins(gpu.key.uuid.as_str(), word))
                    .map(|(_, gpu)| whole(gpu)),
            );
        }
        self.slots
            .iter()
            .find(|(_, gpu)| same_pci_address(&gpu.pci_bus_id, word))
            .map(|(_, gpu)| whole(gpu))
    }

    /// `MIG-GPU-<uuid>/<gpu instance>/<compute instance>`: the names drivers before R470 gave.
    fn old_mig_name(&self, rest: &str) -> Option<GpuRef> {
        let mut parts = rest.split('/');
        let uuid = parts.next()?;
        let gi: u32 = parts.next()?.parse().ok()?;
        let ci: u32 = parts.next()?.parse().ok()?;
        self.slots
            .iter()
            .filter(|(_, gpu)| gpu.key.uuid.as_str().strip_prefix("GPU-") == Some(uuid))
            .find_map(|(_, gpu)| {
                gpu.mig_instances
                    .iter()
                    .find(|m| m.gpu_instance == Some(gi) && m.compute_instance == Some(ci))
                    .map(|m| part(gpu, m))
            })
    }

    /// The one hit; several mean that the name is too short to name one.
    fn only(&self, mut hits: impl Iterator<Item = GpuRef>) -> Option<GpuRef> {
        let first = hits.next()?;
        hits.next().is_none().then_some(first)
    }

    /// `nvidia.com/gpu=all|0|gpu0|UUID`, `nvidia.com/mig=0:1|mig0:1|UUID`; other kinds give no GPU
    /// (`nvidia.com/gds`, `nvidia.com/imex-channel`).
    fn add_cdi(&self, name: &str, given: &mut Vec<GpuRef>) {
        let Some((kind, device)) = name.split_once('=') else {
            return;
        };
        let Some((vendor, class)) = kind.split_once('/') else {
            return;
        };
        if vendor != "nvidia.com" && !vendor.ends_with(".nvidia.com") {
            return;
        }
        match class {
            "gpu" => {
                let device = device.strip_prefix("gpu").unwrap_or(device);
                self.add_word(device.strip_prefix("mig").unwrap_or(device), given);
            }
            "mig" if device == "all" => {
                for (_, gpu) in &self.slots {
                    for instance in &gpu.mig_instances {
                        push(given, part(gpu, instance));
                    }
                }
            }
            "mig" => self.add_word(device.strip_prefix("mig").unwrap_or(device), given),
            _ => {}
        }
    }

    /// `/dev/nvidiaN`, also as `host:container:permissions`. N is the minor number; the model does not hold
    /// it, and it is taken for the slot, which it is where the driver probed the cards in bus order.
    fn add_node(&self, path: &str, given: &mut Vec<GpuRef>) {
        let host = path.split(':').next().unwrap_or(path);
        let minor = host
            .strip_prefix("/dev/nvidia")
            .and_then(|digits| digits.parse().ok());
        if let Some(gpu) = minor.and_then(|minor| self.slot(minor)) {
            push(given, whole(gpu));
        }
    }

    fn in_slot_order(&self, mut given: Vec<GpuRef>) -> Vec<GpuRef> {
        let place = |wanted: &GpuRef| {
            self.slots.iter().position(|(_, gpu)| {
                gpu.key == wanted.key || gpu.mig_instances.iter().any(|m| m.key == wanted.key)
            })
        };
        given.sort_by_cached_key(place);
        given
    }
}

/// The places of the GPUs in PCI bus order; where an address cannot be read, lost GPUs take the free places.
fn by_place(gpus: &[Gpu]) -> Vec<(u32, &Gpu)> {
    let addresses: Option<Vec<(Address, &Gpu)>> = gpus
        .iter()
        .map(|g| address(&g.pci_bus_id).map(|a| (a, g)))
        .collect();
    if let Some(mut addresses) = addresses {
        addresses.sort_by_key(|(address, _)| *address);
        return (0u32..)
            .zip(addresses)
            .map(|(place, (_, gpu))| (place, gpu))
            .collect();
    }
    let taken: Vec<u32> = gpus.iter().filter_map(|g| g.index).collect();
    let mut free = (0u32..).filter(|place| !taken.contains(place));
    gpus.iter()
        .filter_map(|gpu| Some((gpu.index.or_else(|| free.next())?, gpu)))
        .collect()
}

/// Domain, bus, device.
type Address = (u32, u32, u32);

fn address(text: &str) -> Option<Address> {
    let mut parts = text.trim().split(':');
    let hex = |part: &str| u32::from_str_radix(part, 16).ok();
    let domain = hex(parts.next()?)?;
    let bus = hex(parts.next()?)?;
    let device = parts.next()?;
    let device = hex(device.split('.').next().unwrap_or(device))?;
    Some((domain, bus, device))
}

/// Whether `uuid` begins with `word`, in any case of letters.
fn begins(uuid: &str, word: &str) -> bool {
    uuid.get(..word.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(word))
}

fn whole(gpu: &Gpu) -> GpuRef {
    GpuRef {
        key: gpu.key.clone(),
        index: gpu.index,
    }
}

fn part(gpu: &Gpu, instance: &MigInstance) -> GpuRef {
    GpuRef {
        key: instance.key.clone(),
        index: gpu.index,
    }
}

fn push(given: &mut Vec<GpuRef>, found: GpuRef) {
    if !given.iter().any(|g| g.key == found.key) {
        given.push(found);
    }
}
