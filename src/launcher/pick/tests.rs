use super::*;
use crate::model::{
    ContainerDetail, ContainerId, ContainerKey, ContainerState, DriverInfo, GpuMemory, GpuProcess,
    GpuUuid, HostId, ImageId, ProcessKind, Stamp,
};
use jiff::Timestamp;
use std::time::Duration;

fn key(uuid: &str) -> GpuKey {
    GpuKey {
        host: HostId(0),
        uuid: GpuUuid::new(uuid),
    }
}

/// Four GPUs: 0 has a process, 1 is idle, 2 is lost, 3 is idle and another product.
fn host() -> HostNow {
    let now = Stamp::simulated(Timestamp::UNIX_EPOCH, Duration::ZERO);
    let card = |index: u32, name: &str| {
        let mut gpu = Gpu::silent(
            key(&format!("GPU-{index}")),
            Some(index),
            name,
            &format!("00000000:{:02x}:00.0", index + 1),
            now,
        );
        gpu.memory = Some(GpuMemory {
            total_bytes: 80 << 30,
            used_bytes: if index == 0 { 60 << 30 } else { 1 << 20 },
            reserved_bytes: Some(500 << 20),
        });
        gpu
    };
    let mut gpus = vec![
        card(0, "H100"),
        card(1, "H100"),
        card(2, "H100"),
        card(3, "A100"),
    ];
    gpus[2].state = GpuState::Lost("gone".into());
    HostNow {
        local: true,
        gpus: Some(GpuSnapshot {
            driver: DriverStatus::Up(DriverInfo {
                driver_version: Some("550.54.15".into()),
                cuda_driver_version: Some((12, 4)),
                nvml_version: None,
            }),
            gpus,
            processes: vec![GpuProcess {
                gpu: key("GPU-0"),
                mig: None,
                pid: 77,
                kind: ProcessKind::Compute,
                memory_used_bytes: None,
                sm_percent: None,
            }],
            ..GpuSnapshot::starting(now)
        }),
        ..HostNow::default()
    }
}

fn asked(which: Which) -> LaunchSpec {
    LaunchSpec {
        image: "x".into(),
        gpus: Some(GpuAsk::of(which)),
        ..LaunchSpec::default()
    }
}

fn container(name: &str, state: ContainerState, grant: GpuGrant) -> Container {
    Container {
        key: ContainerKey {
            host: HostId(0),
            id: ContainerId::from_bytes([7; 32]),
        },
        name: name.into(),
        image: "x".into(),
        image_id: ImageId("sha256:ab".into()),
        command: String::new(),
        state,
        status: String::new(),
        health: None,
        created_at: None,
        compose: None,
        ports: Vec::new(),
        detail: Some(Box::new(ContainerDetail {
            grant: Some(grant),
            ..ContainerDetail::default()
        })),
    }
}

fn run(which: Which, host: &HostNow, containers: &[Container]) -> Picked {
    pick(&asked(which), host, containers, &HashMap::new(), &|_| None)
}

/// What is sent, and what is said.
fn told(picked: &Picked) -> (String, Vec<String>) {
    let sent = match &picked.ask {
        None => "-".to_owned(),
        Some(ask) => match &ask.which {
            Which::All => "all".to_owned(),
            Which::Count(n) => format!("count {n}"),
            Which::Devices(ids) => ids.join(","),
            Which::Free(n) => format!("free {n}"),
        },
    };
    let said = picked.conflicts.iter().map(|c| {
        let mend = c
            .mend
            .as_ref()
            .map_or(String::new(), |m| format!(" -> {m:?}"));
        format!("{}{}{mend}", if c.stops { "! " } else { "" }, c.text)
    });
    (sent, said.collect())
}

#[test]
fn what_is_asked_for_is_pinned_by_uuid() {
    let host = host();
    let devices = |words: &[&str]| Which::Devices(words.iter().map(|w| (*w).to_owned()).collect());
    for (which, sent, said) in [
        (Which::Free(1), "GPU-1", vec![]),
        (
            Which::Free(2),
            "GPU-1,GPU-3",
            vec!["the free GPUs are of several kinds: A100, H100"],
        ),
        (
            Which::Free(3),
            "-",
            vec![
                "! 3 free GPUs are asked for and 2 are (GPU 0: in use by pid 77; GPU 2: lost) -> Gpus(Free(2))",
            ],
        ),
        (
            Which::Count(1),
            "GPU-0",
            vec![
                "GPU 0 is in use by pid 77, 60.0 of 80.0 GiB of its memory are taken -> Gpus(Free(1))",
            ],
        ),
        (
            Which::Count(9),
            "GPU-0,GPU-1,GPU-2,GPU-3",
            vec![
                "! GPU 2 is lost: it cannot be given",
                "GPU 0 is in use by pid 77, 60.0 of 80.0 GiB of its memory are taken",
                "! 9 GPUs are asked for and this host has 4",
            ],
        ),
        (devices(&["1"]), "GPU-1", vec![]),
        (devices(&["GPU-3", "1", "GPU-1"]), "GPU-3,GPU-1", vec![]),
        (
            devices(&["2"]),
            "GPU-2",
            vec!["! GPU 2 is lost: it cannot be given"],
        ),
        (
            devices(&["7", "x"]),
            "7,x",
            vec!["! no GPU here is called 7, x"],
        ),
    ] {
        let picked = run(which.clone(), &host, &[]);
        let (got, words) = told(&picked);
        assert_eq!(
            (got.as_str(), words),
            (sent, said.iter().map(|s| (*s).to_owned()).collect()),
            "{which:?}"
        );
    }
}

#[test]
fn all_stays_all_unless_the_image_runs_on_some_alone() {
    let mut host = host();
    let picked = run(Which::All, &host, &[]);
    let (sent, said) = told(&picked);
    assert_eq!(sent, "GPU-0,GPU-1,GPU-3", "a lost one cannot be given");
    assert_eq!(
        said,
        ["all GPUs are asked for; it gets those it can use (GPU 2: lost)"]
    );
    host.gpus.as_mut().unwrap().gpus[2].state = GpuState::Ok;
    assert_eq!(told(&run(Which::All, &host, &[])), ("all".into(), vec![]));
    let only_hopper = |gpu: &Gpu| (&*gpu.name == "A100").then(|| "MW201 no code".to_owned());
    let picked = pick(
        &asked(Which::All),
        &host,
        &[],
        &HashMap::new(),
        &only_hopper,
    );
    assert_eq!(told(&picked).0, "GPU-0,GPU-1,GPU-2");
    let nowhere = |_: &Gpu| Some("MW201 no code".to_owned());
    let picked = pick(&asked(Which::All), &host, &[], &HashMap::new(), &nowhere);
    assert_eq!(told(&picked), ("all".into(), vec![]), "the verdict says it");
    let picked = pick(
        &asked(Which::Free(1)),
        &host,
        &[],
        &HashMap::new(),
        &only_hopper,
    );
    assert_eq!(told(&picked).0, "GPU-1");
}

#[test]
fn given_by_name_reserves_and_given_all_does_not() {
    let host = host();
    let live = ContainerState::Running;
    for (grant, state, sent) in [
        (GpuGrant::Devices(vec!["1".into()]), live, "GPU-3"),
        (
            GpuGrant::Devices(vec!["GPU-1".into()]),
            ContainerState::Exited,
            "GPU-1",
        ),
        (GpuGrant::Count(2), live, "GPU-3"),
        (GpuGrant::VisibleDevices("1".into()), live, "GPU-3"),
        (GpuGrant::VisibleDevices("all".into()), live, "GPU-1"),
        (GpuGrant::All, live, "GPU-1"),
        (GpuGrant::Privileged, live, "GPU-1"),
        (
            GpuGrant::Cdi(vec!["nvidia.com/gpu=all".into()]),
            live,
            "GPU-1",
        ),
        (
            GpuGrant::Cdi(vec!["nvidia.com/gpu=1".into()]),
            live,
            "GPU-3",
        ),
    ] {
        let picked = run(
            Which::Free(1),
            &host,
            &[container("other", state, grant.clone())],
        );
        assert_eq!(told(&picked).0, sent, "{grant}");
    }
    let mut taken = HashMap::new();
    taken.insert(key("GPU-1"), "given to x just now".to_owned());
    let picked = pick(&asked(Which::Free(1)), &host, &[], &taken, &|_| None);
    assert_eq!(told(&picked).0, "GPU-3");
    assert!(
        picked
            .plan
            .left_out
            .contains(&("GPU 1".into(), "given to x just now".into()))
    );
}

#[test]
fn where_the_gpus_cannot_be_seen_only_free_is_refused() {
    let mut elsewhere = host();
    elsewhere.local = false;
    let mut down = host();
    down.gpus = None;
    for host in [&elsewhere, &down] {
        let picked = run(Which::Free(1), host, &[]);
        assert!(picked.ask.is_none());
        assert!(picked.conflicts[0].stops, "{:?}", picked.conflicts);
        let picked = run(Which::Count(2), host, &[]);
        assert_eq!(told(&picked).0, "count 2");
        assert!(!picked.conflicts[0].stops);
    }
}

#[test]
fn what_other_flags_grant_is_looked_at_and_left_alone() {
    let mut spec = asked(Which::All);
    spec.gpus = None;
    spec.other = vec![crate::launch::OtherFlag {
        name: "device".into(),
        value: "nvidia.com/gpu=0".into(),
    }];
    let picked = pick(&spec, &host(), &[], &HashMap::new(), &|_| None);
    assert_eq!(told(&picked).0, "-");
    assert_eq!(picked.plan.chosen.len(), 1);
    assert!(picked.conflicts[0].text.contains("in use by pid 77"));
    spec.other.clear();
    let picked = pick(&spec, &host(), &[], &HashMap::new(), &|_| None);
    assert!(picked.plan.chosen.is_empty() && picked.conflicts.is_empty());
}
