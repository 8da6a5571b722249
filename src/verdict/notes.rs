//! What a verdict takes for granted, and what is newer than the catalogue: said, never failed by table.

use super::catalogue::Catalogue;
use super::facts::Scan;
use super::remedy::sm;
use super::rules::Case;

/// The notes of a case.
pub fn notes(case: &Case<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let catalogue = Catalogue::get();
    if let Some(driver) = &case.host.driver {
        let newest = catalogue.newest_branch().map_or(0, |b| b.branch);
        if catalogue.is_newer_driver(driver) {
            notes.push(format!(
                "driver {driver} is newer than this program's catalogue (up to branch {newest}): the CUDA version that the driver itself tells decides"
            ));
        }
    }
    let newest = catalogue.toolkits.last().map(|t| &t.cuda);
    for need in &case.needs {
        if newest.is_some_and(|newest| need.cuda.pair() > newest.pair()) {
            notes.push(format!(
                "CUDA {} of {} is newer than this program's catalogue",
                need.cuda, need.who
            ));
        }
    }
    for gpu in &case.host.gpus {
        let Some(capability) = gpu.capability else {
            continue;
        };
        if catalogue.arch(capability).is_none() {
            notes.push(format!(
                "{} ({}) is not in this program's catalogue: judged by the rules for compiled code alone",
                gpu.name,
                sm(capability)
            ));
        }
    }
    let platform = case.image.platform.as_deref();
    if case.host.hypothetical
        && case.host.platform.is_none()
        && let Some(platform) = platform.filter(|p| *p != "linux/amd64")
    {
        notes.push(format!(
            "the image is for {platform}: judged for a host of that architecture"
        ));
    }
    unmodified_base(case, &mut notes);
    notes.dedup();
    notes
}

/// An `nvidia/cuda` image without a program in it has nothing to fail on a GPU.
fn unmodified_base(case: &Case<'_>, notes: &mut Vec<String>) {
    if !case.image.unmodified_base || case.image.scan != Scan::Config {
        return;
    }
    notes.push(
        "judged by its configuration as an unmodified nvidia/cuda image: a program that is added to it brings its own code for the GPU".to_owned(),
    );
    let Some(cuda) = case.needs.iter().map(|n| &n.cuda).max() else {
        return;
    };
    for gpu in &case.host.gpus {
        let arch = gpu.capability.and_then(|c| Catalogue::get().arch(c));
        if let Some(arch) = arch.filter(|a| a.first_toolkit.pair() > cuda.pair()) {
            notes.push(format!(
                "CUDA {cuda} has no code for {}: {} begins with CUDA {}",
                gpu.name, arch.name, arch.first_toolkit
            ));
        }
    }
}
