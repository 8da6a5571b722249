use super::*;
use crate::launch::{PortRange, Restart};
use crate::model::{ContainerId, ContainerKey, ContainerState, HostId, ImageId};
use std::cell::RefCell;

struct Fake {
    busy: Vec<u16>,
    paths: Vec<&'static str>,
    asked: RefCell<Vec<u16>>,
}

impl Here for Fake {
    fn is_free(&self, _ip: Option<IpAddr>, port: u16, _protocol: &str) -> bool {
        self.asked.borrow_mut().push(port);
        !self.busy.contains(&port)
    }

    fn exists(&self, path: &Path) -> bool {
        self.paths.iter().any(|p| Path::new(p) == path)
    }
}

fn here() -> Fake {
    Fake {
        busy: vec![22, 8001],
        paths: vec!["/data"],
        asked: RefCell::default(),
    }
}

fn container(name: &str, state: ContainerState, ports: Vec<Port>) -> Container {
    Container {
        key: ContainerKey {
            host: HostId(0),
            id: ContainerId::from_bytes([name.len() as u8; 32]),
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
        ports,
        detail: None,
    }
}

fn published(host: u16, ip: &str) -> Port {
    Port {
        container: 80,
        host: Some(host),
        ip: Some(ip.into()),
        protocol: "tcp".into(),
    }
}

fn ask(host: u16, ip: Option<&str>) -> PortAsk {
    PortAsk {
        ip: ip.map(str::to_owned),
        host: Some(PortRange {
            first: host,
            last: host,
        }),
        container: PortRange {
            first: 80,
            last: 80,
        },
        protocol: "tcp".into(),
    }
}

fn texts(spec: &LaunchSpec) -> Vec<String> {
    let others = [
        container(
            "web",
            ContainerState::Running,
            vec![published(8000, "0.0.0.0"), published(9000, "127.0.0.1")],
        ),
        container(
            "old",
            ContainerState::Exited,
            vec![published(7000, "0.0.0.0")],
        ),
        container("web-2", ContainerState::Created, Vec::new()),
    ];
    find(spec, &others, true, Some(&here()))
        .into_iter()
        .map(|c| {
            let mend = match c.mend {
                Some(Mend::Port { host, .. }) => format!(" -> {host}"),
                Some(Mend::Name(name)) => format!(" -> {name}"),
                Some(Mend::MakeFolder(path)) => format!(" -> mkdir {path}"),
                _ => String::new(),
            };
            format!("{}{}{mend}", if c.stops { "! " } else { "" }, c.text)
        })
        .collect()
}

fn spec() -> LaunchSpec {
    LaunchSpec {
        image: "x".into(),
        ..LaunchSpec::default()
    }
}

#[test]
fn ports_that_are_taken_are_told_with_one_that_is_free() {
    for (ports, expected) in [
        (
            vec![ask(8000, None)],
            vec!["! port 8000/tcp is taken by container web -> 8002"],
        ),
        (
            vec![ask(8000, Some("127.0.0.1"))],
            vec!["! port 8000/tcp is taken by container web -> 8002"],
        ),
        (vec![ask(9000, Some("192.0.2.1"))], vec![]),
        (
            vec![ask(9000, None)],
            vec!["! port 9000/tcp is taken by container web -> 9001"],
        ),
        (vec![ask(7000, None)], vec![]),
        (
            vec![ask(22, None)],
            vec!["! port 22/tcp is taken by a program of this host -> 23"],
        ),
        (
            vec![ask(5000, None), ask(5000, None)],
            vec!["! port 5000/tcp is taken by another line of this launch -> 5001"],
        ),
        (
            vec![PortAsk {
                host: Some(PortRange {
                    first: 7999,
                    last: 8003,
                }),
                container: PortRange {
                    first: 80,
                    last: 84,
                },
                ..ask(1, None)
            }],
            vec!["! port 8000/tcp is taken by container web"],
        ),
        (
            vec![PortAsk {
                host: None,
                ..ask(1, None)
            }],
            vec![],
        ),
        (
            vec![PortAsk {
                protocol: "udp".into(),
                ..ask(8000, None)
            }],
            vec![],
        ),
    ] {
        assert_eq!(
            texts(&LaunchSpec {
                ports: ports.clone(),
                ..spec()
            }),
            expected,
            "{ports:?}"
        );
    }
}

#[test]
fn names_mounts_and_flags_that_exclude_each_other() {
    let bind = |source: &str| MountAsk::Bind {
        source: source.into(),
        target: "/x".into(),
        options: String::new(),
    };
    let mount = MountAsk::Mount(vec![
        ("type".into(), Some("bind".into())),
        ("source".into(), Some("/gone".into())),
        ("target".into(), Some("/x".into())),
    ]);
    for (spec, expected) in [
        (
            LaunchSpec {
                name: Some("web".into()),
                ..spec()
            },
            vec!["! a container (running) is called web already -> web-3"],
        ),
        (
            LaunchSpec {
                name: Some("new".into()),
                ..spec()
            },
            vec![],
        ),
        (
            LaunchSpec {
                mounts: vec![bind("/data"), bind("/nope"), bind("volume")],
                ..spec()
            },
            vec![
                "/nope is not there: the engine would make an empty folder owned by root -> mkdir /nope",
            ],
        ),
        (
            LaunchSpec {
                mounts: vec![mount],
                ..spec()
            },
            vec!["! /gone is not there -> mkdir /gone"],
        ),
        (
            LaunchSpec {
                ipc: Some("host".into()),
                shm_bytes: Some(1 << 30),
                ..spec()
            },
            vec!["--shm-size has no effect beside --ipc: /dev/shm is the other's"],
        ),
        (
            LaunchSpec {
                rm: true,
                restart: Some(Restart::Always),
                ..spec()
            },
            vec!["! --rm and --restart exclude each other"],
        ),
        (
            LaunchSpec {
                rm: true,
                restart: Some(Restart::No),
                ..spec()
            },
            vec![],
        ),
        (LaunchSpec::default(), vec!["! no image is named"]),
    ] {
        assert_eq!(texts(&spec), expected, "{spec:?}");
    }
}

#[test]
fn nothing_is_asked_of_this_machine_for_an_engine_elsewhere() {
    let asked = LaunchSpec {
        ports: vec![ask(22, None)],
        mounts: vec![MountAsk::Bind {
            source: "/nope".into(),
            target: "/x".into(),
            options: String::new(),
        }],
        ..spec()
    };
    assert!(find(&asked, &[], true, None).is_empty());
    let never = LaunchSpec {
        pull: Some(PullPolicy::Never),
        ..spec()
    };
    assert_eq!(find(&never, &[], false, None).len(), 1);
    assert!(find(&never, &[], true, None).is_empty());
}

#[test]
fn the_machine_itself_is_looked_at() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let local = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
    assert!(!Machine.is_free(local, port, "tcp"));
    assert!(!Machine.is_free(None, port, "tcp"));
    drop(listener);
    assert!(Machine.is_free(local, port, "tcp"));
    assert!(Machine.exists(Path::new("/")));
    assert!(!Machine.exists(Path::new("/no/such/path")));
}

#[test]
fn of_a_range_for_one_port_a_free_one_is_enough() {
    let range = |first, last, inner: (u16, u16)| LaunchSpec {
        image: "x".into(),
        ports: vec![PortAsk {
            host: Some(PortRange { first, last }),
            container: PortRange {
                first: inner.0,
                last: inner.1,
            },
            ..ask(1, None)
        }],
        ..LaunchSpec::default()
    };
    let told = |spec: &LaunchSpec| {
        let found = find(spec, &[], true, Some(&here()));
        found.into_iter().map(|c| c.text).collect::<Vec<_>>()
    };
    // 8001 is taken.
    assert!(told(&range(8000, 8003, (80, 80))).is_empty());
    let taken = "port 8001/tcp is taken by a program of this host";
    assert_eq!(told(&range(8001, 8001, (80, 80))), [taken]);
    assert_eq!(told(&range(8000, 8003, (80, 83))), [taken]);
    let host = LaunchSpec {
        networks: vec!["host".into()],
        ..range(8001, 8001, (80, 80))
    };
    let found = find(&host, &[], true, Some(&here()));
    assert!(found.iter().all(|c| !c.stops), "{found:?}");
}
