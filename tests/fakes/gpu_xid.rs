//! Xid events: from NVML as they happen, and from the kernel log, earlier ones included.

use std::fs;
use std::io::Write;

use fake_nvml::{Gpu, Scenario, Xid};
use midwatch::model::{GpuState, XidSource};

use crate::nvml::FakeNvml;

fn xid(gpu: usize, number: u64) -> Xid {
    Xid {
        gpu: Gpu::h100(gpu).uuid,
        xid: number,
    }
}

#[test]
fn events_come_in_order_with_their_gpu_and_also_when_it_is_gone() {
    let mut scenario = Scenario::h100(4);
    // Before our start: NVML does not tell it.
    scenario.xids.push(xid(0, 31));
    // One GPU without events must not cost the others theirs.
    scenario.gpus[1].no_events = true;
    let fake = FakeNvml::new(&scenario);
    let source = fake.start();
    source.wait("watched", |s| {
        s.xid_note.as_deref().is_some_and(|n| n.contains("kmsg")) && s.gpus.len() == 4
    });
    let mut told = Vec::new();
    // The watch is set up a moment after the first round: an event before it is not told.
    let begin = std::time::Instant::now();
    while told.is_empty() {
        assert!(begin.elapsed() < crate::nvml::PATIENCE);
        scenario.xids.push(xid(2, 1_000));
        fake.play(&scenario);
        source
            .waker
            .wait(Some(std::time::Duration::from_millis(300)));
        told.extend(source.lanes.xids.drain().items);
    }
    scenario.xids.extend([xid(3, 13), xid(3, 45), xid(0, 79)]);
    scenario.gpus[0].lost = true;
    fake.play(&scenario);
    let begin = std::time::Instant::now();
    while !told.iter().any(|e| e.xid == Some(79)) {
        assert!(begin.elapsed() < crate::nvml::PATIENCE, "{told:?}");
        source
            .waker
            .wait(Some(std::time::Duration::from_millis(100)));
        told.extend(source.lanes.xids.drain().items);
    }
    let numbers: Vec<_> = told
        .iter()
        .filter_map(|e| e.xid)
        .filter(|x| *x < 1_000)
        .collect();
    assert_eq!(numbers, [13, 45, 79]);
    for event in &told {
        assert_eq!(event.source, XidSource::Nvml);
    }
    let last = told.last().unwrap();
    assert_eq!(last.gpu.as_ref().unwrap().uuid.as_str(), Gpu::h100(0).uuid);
    assert_eq!(last.pci_bus_id, "00000000:17:00.0");
    source.wait("lost", |s| matches!(s.gpus[0].state, GpuState::Lost(_)));
}

#[test]
fn the_kernel_log_tells_earlier_ones_and_new_ones() {
    let fake = FakeNvml::new(&Scenario::h100(2));
    fs::write(
        fake.at("kmsg"),
        "6,1,1000,-;usb 1-1: new device\n\
         4,2,2000000,-;NVRM: Xid (PCI:0000:1F:00): 63, pid=1896, name=python, Row Remapper: New row marked for remapping, reset gpu to activate.\n\
         4,3,3000000,-;NVRM: Xid (PCI:0000:99:00): 79, GPU has fallen off the bus.\n",
    )
    .unwrap();
    let source = fake.start();
    let earlier = source.xids(2);
    assert_eq!(earlier[0].xid, Some(63));
    assert_eq!(earlier[0].pid, Some(1896));
    assert_eq!(earlier[0].source, XidSource::KernelLog);
    assert_eq!(
        earlier[0].gpu.as_ref().unwrap().uuid.as_str(),
        Gpu::h100(1).uuid
    );
    assert!(earlier[0].time < earlier[1].time);
    assert_eq!((earlier[1].xid, &earlier[1].gpu), (Some(79), &None));
    let snapshot = source.wait("no complaint", |s| {
        s.xid_note.is_none() && s.gpus.len() == 2
    });
    assert_eq!(snapshot.gpus[1].state, GpuState::Ok);
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(fake.at("kmsg"))
        .unwrap();
    let before = jiff::Timestamp::now();
    log.write_all(b"4,4,4000000,-;NVRM: The NVIDIA GPU 0000:17:00.0\n4,5,4000001,-;NVRM: (PCI ID: 10de:2330) installed in this system has\n4,6,4000002,-;NVRM: fallen off the bus and is not responding to commands.\n").unwrap();
    let new = source.xids(1);
    assert_eq!(new[0].xid, None);
    assert!(new[0].time >= before, "{}", new[0].time);
    assert_eq!(
        new[0].gpu.as_ref().unwrap().uuid.as_str(),
        Gpu::h100(0).uuid
    );
}
