//! What is said of a GPU that is lost: the Xid that tells why, what to do, and whose it was.

use jiff::tz::TimeZone;

use super::xid;
use crate::join::ContainerGpus;
use crate::model::{Gpu, Stamp, XidEvent, same_pci_address};
use crate::tui::fmt::{between, push_clean, put};
use crate::watch::{Row, World};

/// The line in two lengths: with the first step of the remedy as it stands in the table, and in the fewest words.
pub(super) fn text(
    world: &World,
    gpu: &Gpu,
    how: &str,
    now: Stamp,
    zone: &TimeZone,
) -> (String, String) {
    let mut text = String::from("lost — ");
    let Some(event) = cause(world, gpu) else {
        push_clean(&mut text, how);
        // As nvidia-smi says of a lost GPU: nothing less is known to bring it back.
        text.push_str("; reboot needed");
        return (text, "lost — no Xid seen; reboot needed".to_owned());
    };
    xid::push_name(&mut text, event);
    let at = event.time.to_zoned(zone.clone());
    let recent = between(event.time, now.wall).as_secs() < 86_400;
    let form = if recent { "%H:%M" } else { "%b %d %H:%M" };
    put(&mut text, format_args!(" at {}: ", at.strftime(form)));
    let name = xid::name(event);
    push_clean(&mut text, name.strip_prefix("GPU has ").unwrap_or(name));
    let mut short = text.clone();
    // The first step alone: the GPUs page has the rest.
    let action = xid::action(event);
    let first = action.split(';').next().unwrap_or(action);
    put(&mut text, format_args!("; {first}"));
    put(
        &mut short,
        format_args!("; {}", xid::short_action(event).unwrap_or(first)),
    );
    (text, short)
}

/// The event that tells why it is lost: the gravest, and of equals the latest. Programs' own faults tell nothing of it.
fn cause<'w>(world: &'w World, gpu: &Gpu) -> Option<&'w XidEvent> {
    let here = |event: &&XidEvent| {
        event.gpu.as_ref() == Some(&gpu.key) || same_pci_address(&event.pci_bus_id, &gpu.pci_bus_id)
    };
    world
        .xids
        .iter()
        .filter(here)
        .filter_map(|event| Some((xid::loss_rank(event)?, event)))
        .max_by_key(|(rank, event)| (*rank, event.time))
        .map(|(_, event)| event)
}

/// The container that this very GPU was given to: a running one first, then the one that ran last. Grants of all
/// GPUs or of a number of them say nothing of one.
pub(super) fn given_by_name<'w>(world: &'w World, gpu: &Gpu) -> Option<&'w str> {
    let last_run = |row: &Row| {
        let detail = row.container.detail.as_ref()?;
        detail.finished_at.max(detail.started_at)
    };
    world
        .joined
        .containers
        .iter()
        .filter(|(_, gpus)| by_name(gpus) && gpus.given.iter().any(|g| g.key == gpu.key))
        .filter_map(|(key, _)| world.rows.get(key))
        .filter(|row| row.container.started_at().is_some())
        .max_by_key(|row| (row.container.state.is_live(), last_run(row)))
        .map(|row| row.container.name.as_str())
}

fn by_name(gpus: &ContainerGpus) -> bool {
    let grant = gpus.given_as.as_deref();
    grant.is_some_and(|grant| !grant.starts_with("count=")) && !of_all(gpus)
}

/// Whether it was granted all GPUs of the machine, as monitoring is: that claims none of them.
pub(super) fn of_all(gpus: &ContainerGpus) -> bool {
    gpus.given_as
        .as_deref()
        .is_some_and(|grant| grant == "all" || grant.ends_with("=all") || grant == "privileged")
}
