//! The form holds a launch and loses nothing of it; what it shows, in pictures.

use insta::assert_snapshot;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::fields::{Kind, rows};
use super::flow_tests::*;
use super::state::{Form, Spot};
use crate::launch::*;
use crate::model::EngineNews;
use crate::tui::fixture::*;
use crate::tui::keymap::Key;
use crate::tui::state::State;

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_.-]{1,8}"
}

fn path() -> impl Strategy<Value = String> {
    "(/[a-zé]{1,5}){1,3}"
}

fn gpus() -> impl Strategy<Value = GpuAsk> {
    let which = prop_oneof![
        Just(Which::All),
        (0u32..9).prop_map(Which::Count),
        (1u32..9).prop_map(Which::Free),
        vec("[0-9]|GPU-[a-f0-9]{8}|0:1", 1..4).prop_map(Which::Devices),
    ];
    (which, vec("utility|compute", 0..2), "|nvidia").prop_map(|(which, capabilities, driver)| {
        GpuAsk {
            which,
            capabilities,
            driver,
            options: Vec::new(),
        }
    })
}

fn mount() -> impl Strategy<Value = MountAsk> {
    prop_oneof![
        (path(), path(), "|ro|ro,z").prop_map(|(source, target, options)| MountAsk::Bind {
            source,
            target,
            options
        }),
        (word(), path()).prop_map(|(source, target)| MountAsk::Bind {
            source,
            target,
            options: String::new()
        }),
        path().prop_map(|target| MountAsk::Anonymous { target }),
        (path(), "|size=64m").prop_map(|(target, options)| MountAsk::Tmpfs { target, options }),
        (path(), path(), any::<bool>()).prop_map(|(source, target, ro)| {
            let mut fields = vec![
                ("type".to_owned(), Some("bind".to_owned())),
                ("source".to_owned(), Some(source)),
                ("target".to_owned(), Some(target)),
            ];
            if ro {
                fields.push(("readonly".to_owned(), None));
            }
            MountAsk::Mount(fields)
        }),
    ]
}

fn port() -> impl Strategy<Value = PortAsk> {
    let protocol = prop_oneof![Just("tcp"), Just("udp")];
    let host = of((1u16..60_000, 0u16..3));
    (of("127\\.0\\.0\\.[1-9]"), host, 1u16..60_000, protocol).prop_map(
        |(ip, host, first, protocol)| {
            let more = host.map_or(0, |(_, more)| more);
            PortAsk {
                ip,
                host: host.map(|(first, more)| PortRange {
                    first,
                    last: first + more,
                }),
                container: PortRange {
                    first,
                    last: first + more,
                },
                protocol: protocol.to_owned(),
            }
        },
    )
}

/// A flag that may be there once is there once.
fn other() -> impl Strategy<Value = Vec<OtherFlag>> {
    let flag = |(name, value): (&str, String)| OtherFlag {
        name: name.to_owned(),
        value,
    };
    let many = prop_oneof![
        "[a-z]{1,5}(=[A-Za-z:'\" $é]{0,8})?".prop_map(|value| ("label", value)),
        "SYS_PTRACE|ALL".prop_map(|value| ("cap-add", value)),
    ];
    let switches = proptest::sample::subsequence(vec!["privileged", "read-only", "init"], 0..4);
    (vec(many, 0..4), switches).prop_map(move |(many, switches)| {
        let switches = switches.into_iter().map(|name| (name, "true".to_owned()));
        many.into_iter().chain(switches).map(flag).collect()
    })
}

fn spec() -> impl Strategy<Value = LaunchSpec> {
    let names = (
        "[a-z]{1,6}(/[a-z]{1,5})?(:[0-9.]{1,3})?",
        vec("[ -~é]{0,9}", 0..4),
        of("|[a-z/]{1,8}"),
        of(word()),
        of(gpus()),
    );
    let lists = (
        vec(
            ("[A-Z_]{1,6}", of("[ -~é\n\t]{0,9}")).prop_map(|(name, value)| EnvVar { name, value }),
            0..4,
        ),
        vec(path(), 0..3),
        vec(mount(), 0..4),
        vec(port(), 0..3),
        vec(
            ("memlock|stack|nofile", -1i64..9999, 0i64..9999).prop_map(|(name, soft, more)| {
                Ulimit {
                    name,
                    soft,
                    hard: if soft < 0 { -1 } else { soft + more },
                }
            }),
            0..3,
        ),
        vec(word(), 0..3),
        other(),
    );
    let single = (
        of(1u64..1 << 44),
        of(Just("host".to_owned())),
        of("[a-z]{1,6}|[0-9]{1,4}:[0-9]{1,4}"),
        of(path()),
        of(prop_oneof![
            Just(Restart::No),
            (0u32..9).prop_map(Restart::OnFailure),
            Just(Restart::Always),
            Just(Restart::UnlessStopped),
        ]),
        of(1u64..1 << 44),
        of(1u64..64_000_000_000),
        of(prop_oneof![
            Just(PullPolicy::Always),
            Just(PullPolicy::Missing),
            Just(PullPolicy::Never),
        ]),
        of(Just("linux/arm64".to_owned())),
    );
    let switches = any::<(bool, bool, bool, bool)>();
    (names, lists, single, switches).prop_map(|(names, lists, single, switches)| {
        let (image, command, entrypoint, name, gpus) = names;
        let (env, env_files, mounts, ports, ulimits, networks, other) = lists;
        let (shm_bytes, ipc, user, workdir, restart, memory_bytes, nano_cpus, pull, platform) =
            single;
        let (rm, detach, tty, interactive) = switches;
        LaunchSpec {
            image,
            command,
            entrypoint,
            name,
            gpus,
            env,
            env_files,
            mounts,
            ports,
            shm_bytes,
            ipc,
            ulimits,
            user,
            workdir,
            restart,
            networks,
            memory_bytes,
            nano_cpus,
            rm,
            detach,
            tty,
            interactive,
            pull,
            platform,
            other,
        }
    })
}

proptest! {
    /// Nothing is lost on the way into the form and out of it.
    #[test]
    fn a_launch_comes_out_of_the_form_as_it_went_in(spec in spec()) {
        let form = Form::of(&spec, Surroundings::default());
        prop_assert_eq!(form.spec(), spec);
    }

    /// And every field's text means what it was made from: as though the user had written it.
    #[test]
    fn every_text_of_the_form_reads_as_what_it_stands_for(spec in spec()) {
        let mut form = Form::of(&spec, Surroundings::default());
        for row in &mut form.rows {
            if !row.kind.switch() {
                row.edited(&Surroundings::default());
                prop_assert!(row.error.is_none(), "{}: {:?}", row.input.value(), row.error);
            }
        }
        if form.gpus.choice == super::gpus::Choice::These {
            form.gpus.typed();
        }
        prop_assert_eq!(form.spec(), spec);
    }
}

#[test]
fn every_field_is_there_once_at_least_and_in_order() {
    let kinds: Vec<Kind> = rows(&LaunchSpec::default())
        .iter()
        .map(|r| r.kind)
        .collect();
    assert_eq!(kinds, Kind::ALL);
    let form = Form::of(&LaunchSpec::default(), Surroundings::default());
    let spots = form.spots();
    assert_eq!(spots[..2], [Spot::Row(0), Spot::Gpus]);
    assert_eq!(spots.last(), Some(&Spot::Launch));
}

/// One snapshot a size of the same story.
fn snap(name: &str, story: impl Fn(u16, u16) -> State) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (columns, rows) in [(80, 24), (200, 50)] {
            let state = story(columns, rows);
            assert_snapshot!(format!("{name}_{columns}x{rows}"), screen(&state));
        }
    });
}

#[test]
fn the_form_as_it_opens_and_with_its_plan() {
    snap("form_open", opened);
    snap("form_planned", |c, r| {
        let mut state = opened(c, r);
        answer(&mut state, |_| {}, 401);
        state
    });
    snap("form_conflicts", |c, r| {
        let mut state = opened(c, r);
        answer(&mut state, |plan| plan.conflicts = conflicts(), 401);
        state
    });
    snap("form_fails", |c, r| {
        let mut state = opened(c, r);
        answer(&mut state, |plan| plan.verdict = Some(fails()), 401);
        for _ in 0..60 {
            press(&mut state, Key::Down, 402);
        }
        state
    });
}

#[test]
fn the_form_while_it_is_written() {
    snap("form_written", |c, r| {
        let mut state = opened(c, r);
        go(&mut state, Kind::Env);
        type_keys(&mut state, "HF_TOKEN=hf_secret", 401);
        ctrl(&mut state, 'n', 401);
        type_keys(&mut state, "EPOCHS=3", 401);
        go(&mut state, Kind::Ulimit);
        type_keys(&mut state, "x", 401);
        state
    });
}

#[test]
fn the_form_while_it_starts() {
    snap("form_pulling", pulling);
    snap("form_checking", checking);
    snap("form_force", |c, r| {
        let mut state = opened(c, r);
        answer(&mut state, |plan| plan.verdict = Some(fails()), 401);
        ctrl(&mut state, 's', 402);
        state
    });
    snap("form_refused", refused);
}

#[test]
fn the_list_of_launches() {
    snap("launches", |c, r| {
        let mut state = kept(c, r);
        type_keys(&mut state, "o", 401);
        state
    });
}

#[test]
fn gpus_that_cannot_be_chosen_say_so() {
    snap("form_lost_gpu", |c, r| {
        let mut state = judged(c, r);
        let mut snapshot = crate::tui::fixture::gpus();
        for gpu in &mut snapshot.gpus {
            gpu.sampled = at(400);
        }
        snapshot.gpus[1].state = crate::model::GpuState::Lost("gone".into());
        state.world.gpu_snapshot(snapshot, at(400));
        state
            .world
            .engine_news(EngineNews::Images(images()), at(390));
        type_keys(&mut state, "3", 400);
        open(&mut state, "my-train:0.4", 400);
        state
    });
}
