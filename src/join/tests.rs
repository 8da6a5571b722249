use super::*;
use crate::model::*;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn stamp() -> Stamp {
    Stamp::simulated(jiff::Timestamp::UNIX_EPOCH, std::time::Duration::ZERO)
}

fn key(uuid: &str) -> GpuKey {
    GpuKey {
        host: HostId(0),
        uuid: GpuUuid::new(uuid),
    }
}

fn gpu(index: Option<u32>, uuid: &str, bus: u32) -> Gpu {
    let bus = format!("00000000:{bus:02X}:00.0");
    Gpu {
        memory: Some(GpuMemory {
            total_bytes: 80 * GIB,
            used_bytes: 0,
            reserved_bytes: Some(479 * MIB),
        }),
        ..Gpu::silent(key(uuid), index, "H100", &bus, stamp())
    }
}

fn mig(parent: &str, uuid: &str, gi: u32, ci: u32) -> MigInstance {
    MigInstance {
        key: key(uuid),
        parent: GpuUuid::new(parent),
        profile: None,
        gpu_instance: Some(gi),
        compute_instance: Some(ci),
        memory: Some(GpuMemory {
            total_bytes: 40 * GIB,
            used_bytes: 10 * GIB,
            reserved_bytes: Some(0),
        }),
    }
}

fn snapshot(gpus: Vec<Gpu>, processes: Vec<GpuProcess>) -> GpuSnapshot {
    GpuSnapshot {
        at: stamp(),
        driver: DriverStatus::Starting,
        gpus,
        processes,
        notice: None,
        xid_note: None,
    }
}

/// Four GPUs; number 2 is cut into two compute instances of one GPU instance, and a third.
fn board() -> GpuSnapshot {
    let mut gpus = vec![
        gpu(Some(0), "GPU-aaaa0000-0000", 0x17),
        gpu(Some(1), "GPU-bbbb0000-0000", 0x3b),
        gpu(Some(2), "GPU-cccc0000-0000", 0x65),
        gpu(Some(3), "GPU-dddd0000-0000", 0xc1),
    ];
    gpus[2].mig_mode = Some(true);
    gpus[2].mig_instances = vec![
        mig("GPU-cccc0000-0000", "MIG-1111", 2, 0),
        mig("GPU-cccc0000-0000", "MIG-1122", 2, 1),
        mig("GPU-cccc0000-0000", "MIG-3333", 3, 0),
    ];
    snapshot(gpus, Vec::new())
}

fn resolved(snapshot: &GpuSnapshot, grant: &GpuGrant) -> Vec<String> {
    grant::Board::new(snapshot)
        .resolve(grant)
        .into_iter()
        .map(|r| match r.key.uuid.as_str().strip_prefix("GPU-") {
            Some(uuid) => uuid.chars().take(1).collect(),
            None => r.key.uuid.to_string(),
        })
        .collect()
}

#[test]
fn every_form_of_grant_resolves() {
    let strings = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let devices = |words: &[&str]| GpuGrant::Devices(strings(words));
    let cdi = |words: &[&str]| GpuGrant::Cdi(strings(words));
    let env = |word: &str| GpuGrant::VisibleDevices(word.to_owned());
    let all = "a b MIG-1111 MIG-1122 MIG-3333 d";
    let cases = [
        (GpuGrant::All, all),
        (GpuGrant::Privileged, "a b c d"),
        (GpuGrant::Count(0), ""),
        (GpuGrant::Count(2), "a b"),
        (GpuGrant::Count(9), "a b c d"),
        (devices(&["1", "0"]), "a b"),
        (devices(&["1", "1"]), "b"),
        (devices(&["7"]), ""),
        (devices(&["GPU-bbbb0000-0000"]), "b"),
        (devices(&["gpu-x", "GPU-BBBB"]), "b"),
        (devices(&["GPU-"]), ""),
        (devices(&["MIG-3333"]), "MIG-3333"),
        (devices(&["MIG-11"]), ""),
        (devices(&["MIG-GPU-cccc0000-0000/2/1"]), "MIG-1122"),
        (devices(&["MIG-GPU-cccc0000-0000/9/1"]), ""),
        (devices(&["2:1"]), "MIG-1122"),
        (devices(&["2:9"]), ""),
        (devices(&["0000:3b:00.0"]), "b"),
        (cdi(&["nvidia.com/gpu=all"]), all),
        (cdi(&["nvidia.com/gpu=0", "nvidia.com/gpu=gpu1"]), "a b"),
        (cdi(&["nvidia.com/gpu=GPU-dddd0000-0000"]), "d"),
        (cdi(&["nvidia.com/mig=2:0"]), "MIG-1111"),
        (cdi(&["nvidia.com/mig=mig2:1"]), "MIG-1122"),
        (cdi(&["nvidia.com/gpu=2:2"]), "MIG-3333"),
        (cdi(&["nvidia.com/mig=all"]), "MIG-1111 MIG-1122 MIG-3333"),
        (cdi(&["management.nvidia.com/gpu=all"]), all),
        (cdi(&["nvidia.com/gds=all", "amd.com/gpu=0"]), ""),
        (env("all"), all),
        (env("none"), ""),
        (env("void"), ""),
        (env(""), ""),
        (env("3, 0"), "a d"),
        (env("nvidia.com/gpu=1"), "b"),
        (
            GpuGrant::DeviceNodes(strings(&[
                "/dev/nvidia3",
                "/dev/nvidiactl",
                "/dev/nvidia-uvm",
            ])),
            "d",
        ),
        (
            GpuGrant::DeviceNodes(strings(&["/dev/nvidia1:/dev/nvidia0:rwm"])),
            "b",
        ),
    ];
    let board = board();
    for (grant, expected) in cases {
        assert_eq!(resolved(&board, &grant).join(" "), expected, "{grant:?}");
    }
}

#[test]
fn a_grant_stays_true_when_gpus_are_lost() {
    // Lost while we looked: the index is still known.
    let mut lost = board();
    lost.gpus[1].state = GpuState::Lost("Xid 79".into());
    assert_eq!(resolved(&lost, &GpuGrant::Devices(vec!["1".into()])), ["b"]);
    // Lost, and NVML loaded anew: the cards behind it moved up, the grant did not.
    let mut moved = board();
    moved.gpus[1].index = None;
    moved.gpus[2].index = Some(1);
    moved.gpus[3].index = Some(2);
    for (id, name) in [("0", "a"), ("1", "b"), ("2", "c"), ("3", "d")] {
        let grant = GpuGrant::Devices(vec![id.into()]);
        assert_eq!(resolved(&moved, &grant), [name]);
    }
    assert_eq!(resolved(&moved, &GpuGrant::Count(2)), ["a", "b"]);
    let shown = grant::Board::new(&moved).resolve(&GpuGrant::Devices(vec!["3".into()]));
    assert_eq!(shown[0].index, Some(2), "shown with NVML's present index");
    // An address that cannot be read: the lost card takes the free place.
    moved.gpus[0].pci_bus_id = "?".into();
    assert_eq!(
        resolved(&moved, &GpuGrant::Devices(vec!["3".into()])),
        ["b"]
    );
}

fn id(n: u8) -> ContainerId {
    ContainerId::from_bytes([n; 32])
}

fn container(n: u8, grant: Option<GpuGrant>) -> Container {
    Container {
        key: ContainerKey {
            host: HostId(0),
            id: id(n),
        },
        name: format!("c{n}"),
        image: "i".into(),
        image_id: ImageId("sha256:0".into()),
        command: String::new(),
        state: ContainerState::Running,
        status: "Up".into(),
        health: None,
        created_at: None,
        compose: None,
        ports: Vec::new(),
        detail: Some(Box::new(ContainerDetail {
            grant,
            ..ContainerDetail::default()
        })),
    }
}

fn process(pid: u32, gpu: &str, mib: Option<u64>, sm: Option<u32>) -> GpuProcess {
    GpuProcess {
        gpu: key(gpu),
        mig: None,
        pid,
        kind: ProcessKind::Compute,
        memory_used_bytes: mib.map(|m| m * MIB),
        sm_percent: sm,
    }
}

fn info(pid: u32, user: Option<&str>, owner: CgroupOwner) -> ProcInfo {
    ProcInfo {
        key: Some(ProcKey {
            host: HostId(0),
            boot: BootId(1),
            pid,
            start_ticks: u64::from(pid) * 10,
        }),
        pid,
        uid: None,
        user: user.map(Into::into),
        command: Some("python train.py".into()),
        owner,
    }
}

fn within(ids: &[u8]) -> CgroupOwner {
    CgroupOwner::Containers(
        ids.iter()
            .map(|n| CgroupContainer {
                runtime: RuntimeKind::Docker,
                id: id(*n),
            })
            .collect(),
    )
}

fn joined(
    containers: &[Container],
    local: bool,
    gpus: &GpuSnapshot,
    procs: Option<&ProcSnapshot>,
) -> Joined {
    let containers: Vec<&Container> = containers.iter().collect();
    join(&JoinInput {
        containers: &containers,
        local: &|_| local,
        gpus,
        procs,
    })
}

fn reading(processes: Vec<ProcInfo>) -> ProcSnapshot {
    ProcSnapshot {
        at: stamp(),
        processes,
        blind: None,
        pending: false,
    }
}

#[test]
fn owners_are_the_innermost_container_this_engine_knows() {
    let cases = [
        (within(&[1]), Owner::Container(container(1, None).key)),
        (within(&[1, 2]), Owner::Container(container(2, None).key)),
        (within(&[1, 9]), Owner::Container(container(1, None).key)),
        (
            within(&[8, 9]),
            Owner::Foreign {
                runtime: RuntimeKind::Docker,
                id: id(9),
            },
        ),
        (CgroupOwner::Host, Owner::Host),
        (CgroupOwner::NotPermitted, Owner::NotPermitted),
        (CgroupOwner::Hidden, Owner::Unknown),
        (CgroupOwner::Gone, Owner::Unknown),
    ];
    let containers = [container(1, None), container(2, None)];
    for (cgroup, owner) in cases {
        let gpus = snapshot(
            board().gpus,
            vec![process(7, "GPU-aaaa0000-0000", Some(1), None)],
        );
        let procs = reading(vec![info(7, Some("ann"), cgroup.clone())]);
        let joined = joined(&containers, true, &gpus, Some(&procs));
        assert_eq!(joined.processes[0].owner, owner, "{cgroup:?}");
        assert_eq!(joined.processes[0].start_ticks, Some(70));
        assert_eq!(
            joined.problem.is_some(),
            matches!(owner, Owner::NotPermitted)
        );
    }
    let gpus = snapshot(
        board().gpus,
        vec![process(7, "GPU-aaaa0000-0000", Some(1), None)],
    );
    for procs in [None, Some(reading(Vec::new()))] {
        let joined = joined(&containers, true, &gpus, procs.as_ref());
        assert_eq!(joined.processes[0].owner, Owner::Unknown);
    }
}

#[test]
fn use_is_summed_by_gpu_and_a_process_on_two_gpus_counts_on_both() {
    let (a, b) = ("GPU-aaaa0000-0000", "GPU-bbbb0000-0000");
    let gpus = snapshot(
        board().gpus,
        vec![
            process(7, b, Some(100), Some(40)),
            process(7, a, Some(200), None),
            process(8, b, None, Some(20)),
            // The same process in the graphics list: told twice, counted once.
            GpuProcess {
                kind: ProcessKind::Graphics,
                ..process(7, b, Some(100), Some(40))
            },
        ],
    );
    let procs = reading(vec![
        info(7, Some("ann"), within(&[1])),
        info(8, Some("bob"), within(&[1])),
    ]);
    let one = [container(1, Some(GpuGrant::Count(1)))];
    let joined = joined(&one, true, &gpus, Some(&procs));
    assert_eq!(joined.processes.len(), 3);
    assert_eq!(joined.processes[0].kind, ProcessKind::ComputeAndGraphics);
    let entry = &joined.containers[&one[0].key];
    assert_eq!(entry.given_as.as_deref(), Some("count=1"));
    assert_eq!(entry.given.len(), 1);
    let used: Vec<_> = entry
        .used
        .iter()
        .map(|u| {
            (
                u.gpu.index,
                u.memory_used_bytes.map(|m| m / MIB),
                u.sm_percent,
                u.processes.clone(),
            )
        })
        .collect();
    assert_eq!(
        used,
        [
            (Some(0), Some(200), None, vec![1]),
            (Some(1), Some(100), Some(60), vec![0, 2]),
        ]
    );
    assert_eq!(entry.memory_used_bytes(), Some(300 * MIB));
    assert_eq!(entry.sm_percent(), Some(60));
    let users: Vec<_> = joined
        .users
        .iter()
        .map(|u| {
            let gpus: Vec<_> = u.gpus.iter().filter_map(|g| g.index).collect();
            (&*u.user, gpus, u.memory_used_bytes, u.processes)
        })
        .collect();
    assert_eq!(
        users,
        [
            ("ann", vec![0, 1], Some(300 * MIB), 1),
            ("bob", vec![1], None, 1)
        ]
    );
}

#[test]
fn mig_instances_are_gpus_of_their_own_and_their_memory_is_never_added_up() {
    let parent = "GPU-cccc0000-0000";
    let within_mig = |pid, mig: &str, mib| GpuProcess {
        mig: Some(key(mig)),
        ..process(pid, parent, Some(mib), None)
    };
    // Two compute instances of one GPU instance both say 10 GiB; the parent says 10 GiB and a little.
    let mut gpus = board();
    gpus.gpus[2].memory = Some(GpuMemory {
        total_bytes: 80 * GIB,
        used_bytes: 10 * GIB + 59 * MIB,
        reserved_bytes: Some(479 * MIB),
    });
    gpus.processes = vec![
        within_mig(7, "MIG-1111", 6 * 1024),
        within_mig(8, "MIG-1122", 4 * 1024),
    ];
    let procs = reading(vec![
        info(7, Some("ann"), within(&[1])),
        info(8, Some("ann"), within(&[1])),
    ]);
    let one = [container(1, None)];
    let joined = joined(&one, true, &gpus, Some(&procs));
    let entry = &joined.containers[&one[0].key];
    let used: Vec<_> = entry
        .used
        .iter()
        .map(|u| (u.gpu.key.uuid.as_str(), u.gpu.index))
        .collect();
    assert_eq!(used, [("MIG-1111", Some(2)), ("MIG-1122", Some(2))]);
    assert_eq!(entry.memory_used_bytes(), Some(10 * GIB));
    assert_eq!(joined.unattributed[&key(parent)], 0);
    assert!(!joined.unattributed.contains_key(&key("MIG-1111")));
}

#[test]
fn memory_nobody_accounts_for_is_told_where_it_can_be() {
    let a = "GPU-aaaa0000-0000";
    type Change = fn(&mut GpuSnapshot);
    let cases: [(&str, Change, Option<u64>); 8] = [
        ("held by nobody", |_| {}, Some(20 * GIB)),
        (
            "below the driver's overhead",
            |s| s.gpus[0].memory.as_mut().unwrap().used_bytes = 60 * GIB + 130 * MIB,
            Some(0),
        ),
        (
            "less than the processes say",
            |s| s.gpus[0].memory.as_mut().unwrap().used_bytes = GIB,
            Some(0),
        ),
        (
            "a silent process",
            |s| {
                s.processes
                    .push(process(8, "GPU-aaaa0000-0000", None, None))
            },
            None,
        ),
        (
            "a silent process elsewhere",
            |s| {
                s.processes
                    .push(process(8, "GPU-bbbb0000-0000", None, None))
            },
            Some(20 * GIB),
        ),
        ("unified", |s| s.gpus[0].unified_memory = true, None),
        (
            "old driver",
            |s| s.gpus[0].memory.as_mut().unwrap().reserved_bytes = None,
            None,
        ),
        ("stuck", |s| s.gpus[0].state = GpuState::Stuck, None),
    ];
    for (name, change, expected) in cases {
        let mut gpus = board();
        gpus.gpus[0].memory.as_mut().unwrap().used_bytes = 80 * GIB;
        gpus.processes = vec![process(7, a, Some(60 * 1024), None)];
        change(&mut gpus);
        let joined = joined(&[], true, &gpus, None);
        assert_eq!(
            joined.unattributed.get(&key(a)).copied(),
            expected,
            "{name}"
        );
    }
}

#[test]
fn nothing_is_resolved_for_an_engine_elsewhere_and_nothing_told_when_blind() {
    let one = [container(1, Some(GpuGrant::All)), container(2, None)];
    let mut gpus = board();
    gpus.processes = vec![process(7, "GPU-aaaa0000-0000", Some(1), None)];
    let elsewhere = joined(&one, false, &gpus, None);
    let entry = &elsewhere.containers[&one[0].key];
    assert_eq!(entry.given_as.as_deref(), Some("all"));
    assert!(entry.given.is_empty());
    assert!(!elsewhere.containers.contains_key(&one[1].key));
    // The cgroup of a process names the container: that is the proof of locality itself.
    let procs = reading(vec![info(7, None, within(&[1]))]);
    let proven = joined(&one, false, &gpus, Some(&procs));
    assert_eq!(proven.containers[&one[0].key].used.len(), 1);
    assert!(!proven.containers[&one[0].key].given.is_empty());

    let mut procs = reading(vec![info(7, Some("ann"), within(&[1]))]);
    procs.blind = Some(Problem {
        what: "cannot see".into(),
        ..Problem::default()
    });
    let blind = joined(&one, true, &gpus, Some(&procs));
    assert_eq!(blind.processes[0].owner, Owner::Unknown);
    assert!(blind.users.is_empty() && blind.unattributed.is_empty());
    assert_eq!(blind.problem, procs.blind);
}
