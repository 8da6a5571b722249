//! Whole screens as text, in many states and sizes; the important colours.

use std::time::Duration;

use insta::assert_snapshot;
use ratatui::style::Style;

use crate::check::{Progress, Subject};
use crate::model::*;
use crate::tui::fixture::*;
use crate::tui::keymap::Key;
use crate::tui::state::State;
use crate::tui::{Event, Outcome, update};

const SIZES: [(u16, u16); 3] = [(80, 24), (140, 40), (200, 50)];

/// One snapshot a size of the same story.
fn snap(name: &str, story: impl Fn(u16, u16) -> State) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (columns, rows) in SIZES {
            let state = story(columns, rows);
            assert_snapshot!(format!("{name}_{columns}x{rows}"), screen(&state));
        }
    });
}

fn problem(what: &str, why: &str, remedy: &str) -> Problem {
    Problem {
        what: what.into(),
        why: why.into(),
        remedy: remedy.into(),
    }
}

fn no_engine() -> Problem {
    problem(
        "cannot reach the Docker engine at unix:///var/run/docker.sock",
        "permission denied: the socket belongs to group docker and you are not in it",
        "sudo usermod -aG docker $USER, then log in again",
    )
}

fn no_driver() -> Problem {
    problem(
        "no NVIDIA driver",
        "libnvidia-ml.so.1 is not on this machine and no NVIDIA device is on its PCI bus",
        "nothing to do if it has no NVIDIA GPU; else install the driver",
    )
}

fn driver_down(state: &mut State, problem: Problem) {
    let mut snapshot = gpus();
    snapshot.gpus.clear();
    snapshot.processes.clear();
    snapshot.driver = DriverStatus::Down(problem);
    state.world.gpus = None;
    state.world.gpu_snapshot(snapshot, at(400));
}

#[test]
fn live() {
    snap("live", night);
}

#[test]
fn loading() {
    snap("loading", |c, r| {
        let mut state = blank(c, r);
        state.world.engine_news(
            EngineNews::Connecting("unix:///var/run/docker.sock".into()),
            at(0),
        );
        told(&mut state, 0);
        state
    });
}

#[test]
fn first_run_with_nothing() {
    snap("nothing", |c, r| {
        let mut state = blank(c, r);
        state
            .world
            .engine_news(EngineNews::Down(no_engine()), at(0));
        driver_down(&mut state, no_driver());
        told(&mut state, 3);
        state
    });
}

#[test]
fn the_engine_went_away() {
    snap("engine_down", |c, r| {
        let mut state = night(c, r);
        let gone = problem(
            "cannot reach the Docker engine at unix:///var/run/docker.sock",
            "connection refused",
            "sudo systemctl start docker",
        );
        state.world.engine_news(EngineNews::Down(gone), at(410));
        for second in 411..500 {
            let mut snapshot = gpus();
            for gpu in &mut snapshot.gpus {
                gpu.sampled = at(second);
            }
            state.world.gpu_snapshot(snapshot, at(second));
        }
        told(&mut state, 500);
        state
    });
}

#[test]
fn a_gpu_lost_and_one_stuck() {
    snap("gpu_lost_and_stuck", |c, r| {
        let mut state = night(c, r);
        let mut snapshot = gpus();
        for gpu in &mut snapshot.gpus {
            gpu.sampled = at(470);
        }
        snapshot.gpus[3].state = GpuState::Lost("NVML says that it is lost".into());
        snapshot.gpus[3].index = Some(3);
        snapshot.gpus[1].state = GpuState::Stuck;
        snapshot.gpus[1].sampled = at(423);
        snapshot.gpus[0].throttle_reasons = Some(ThrottleReasons(0x44));
        snapshot.gpus[0].temperature_celsius = Some(89);
        state.world.xid(XidEvent {
            time: at(420).wall,
            gpu: Some(gpu_key(3)),
            pci_bus_id: "0000:1a:00".into(),
            xid: Some(79),
            source: XidSource::KernelLog,
            pid: None,
            text: "GPU has fallen off the bus.".into(),
        });
        state.world.gpu_snapshot(snapshot, at(470));
        told(&mut state, 470);
        state
    });
}

fn mig(parent: u32, place: u32, profile: &str, total: u64, used: u64) -> MigInstance {
    MigInstance {
        key: GpuKey {
            host: HostId(0),
            uuid: GpuUuid::new(&format!("MIG-{parent}-{place}")),
        },
        parent: gpu_key(parent).uuid,
        profile: Some(profile.into()),
        gpu_instance: Some(place + 1),
        compute_instance: Some(0),
        memory: Some(GpuMemory {
            total_bytes: total,
            used_bytes: used,
            reserved_bytes: None,
        }),
    }
}

#[test]
fn mig_instances_are_rows_of_their_own() {
    snap("mig", |c, r| {
        let mut state = night(c, r);
        let mut snapshot = gpus();
        for gpu in &mut snapshot.gpus {
            gpu.sampled = at(470);
        }
        snapshot.gpus.truncate(2);
        let gpu = &mut snapshot.gpus[1];
        gpu.mig_mode = Some(true);
        gpu.gpu_percent = None;
        gpu.mig_instances = vec![
            mig(1, 0, "3g.40gb", 40 * GIB, 22 * GIB),
            mig(1, 1, "1g.10gb", 10 * GIB, 0),
        ];
        snapshot.processes[1].mig = Some(gpu.mig_instances[0].key.clone());
        snapshot.processes[1].sm_percent = None;
        state.world.gpu_snapshot(snapshot, at(470));
        told(&mut state, 470);
        state
    });
}

#[test]
fn without_a_driver() {
    snap("no_driver", |c, r| {
        let mut state = night(c, r);
        driver_down(&mut state, no_driver());
        told(&mut state, 400);
        state
    });
}

#[test]
fn an_engine_elsewhere() {
    snap("remote", |c, r| {
        let mut state = blank(c, r);
        let mut info = engine();
        info.endpoint = "ssh://ana@gpu-box-9".into();
        info.context = Some("box9".into());
        info.remote_by_nature = true;
        state.world.engine_news(EngineNews::Up(info), at(0));
        state
            .world
            .engine_news(EngineNews::Listed(containers()), at(0));
        state.world.gpu_snapshot(gpus(), at(0));
        let mut usages = usages(0);
        usages.not_local = std::mem::take(&mut usages.local);
        usages.interval_ms = 5000;
        state.world.usage_snapshot(usages, at(0));
        told(&mut state, 1);
        state
    });
}

#[test]
fn hostile_and_wide_names() {
    snap("wide", |c, r| {
        let mut state = night(c, r);
        let names = [
            "訓練-実行-長い名前のコンテナ",
            "e\u{301}valuation",
            "a\u{202e}b\x1b[31mc",
            "👩‍💻-notebook",
        ];
        for (number, name) in (20u8..).zip(names) {
            let mut row = container(
                number,
                name,
                "レジストリ/イメージ:最新",
                ContainerState::Running,
            );
            row.key = key(number);
            state
                .world
                .engine_news(EngineNews::Changed(Box::new(row)), at(390));
        }
        told(&mut state, 410);
        state
    });
}

#[test]
fn sixteen_gpus() {
    snap("sixteen_gpus", |c, r| {
        let mut state = night(c, r);
        let mut snapshot = gpus();
        snapshot.gpus = (0..16)
            .map(|i| gpu(i, i * 6, u64::from(i) * 5 * GIB, 40 + i, 100.0))
            .collect();
        for gpu in &mut snapshot.gpus {
            gpu.sampled = at(400);
        }
        state.world.gpu_snapshot(snapshot, at(400));
        told(&mut state, 400);
        state
    });
}

#[test]
fn the_gpus_page() {
    snap("gpus_page", |c, r| {
        let mut state = night(c, r);
        type_keys(&mut state, "2", 400);
        state
    });
    snap("gpus_page_facts", |c, r| {
        let mut state = night(c, r);
        type_keys(&mut state, "2i", 400);
        state
    });
    snap("gpus_page_xids", |c, r| {
        let mut state = night(c, r);
        for (second, number) in [(100, 31), (300, 79)] {
            state.world.xid(XidEvent {
                time: at(second).wall,
                gpu: Some(gpu_key(3)),
                pci_bus_id: "0000:1a:00".into(),
                xid: Some(number),
                source: XidSource::Nvml,
                pid: Some(7001),
                text: String::new(),
            });
        }
        type_keys(&mut state, "2[", 400);
        state
    });
}

#[test]
fn dialogs() {
    snap("help", |c, r| {
        let mut state = night(c, r);
        type_keys(&mut state, "?", 400);
        state
    });
    snap("confirm_remove", |c, r| {
        let mut state = night(c, r);
        type_keys(&mut state, "g", 400);
        ctrl(&mut state, 'a', 400);
        ctrl(&mut state, 'd', 400);
        state
    });
    snap("stop_menu", |c, r| {
        let mut state = night(c, r);
        ctrl(&mut state, 't', 400);
        state
    });
    snap("columns", |c, r| {
        let mut state = night(c, r);
        type_keys(&mut state, "C", 400);
        state
    });
}

#[test]
fn processes_and_images() {
    snap("processes", |c, r| {
        let mut state = night(c, r);
        type_keys(&mut state, "p", 400);
        state
    });
    snap("images", |c, r| {
        let mut state = night(c, r);
        state
            .world
            .engine_news(EngineNews::Images(images()), at(390));
        type_keys(&mut state, "3", 400);
        state
    });
}

#[test]
fn no_containers_is_said_only_where_the_engine_said_so() {
    let mut state = blank(80, 24);
    state.world.gpu_snapshot(gpus(), at(0));
    told(&mut state, 1);
    assert!(!screen(&state).contains("no containers"));
    state.world.engine_news(EngineNews::Up(engine()), at(1));
    told(&mut state, 1);
    assert!(screen(&state).contains("asking the engine"));
    state
        .world
        .engine_news(EngineNews::Listed(Vec::new()), at(1));
    told(&mut state, 1);
    assert!(screen(&state).contains("no containers"));
    state
        .world
        .engine_news(EngineNews::Down(no_engine()), at(2));
    told(&mut state, 2);
    assert!(screen(&state).contains("there were no containers when the engine last answered"));
}

#[test]
fn too_small_is_said_in_one_line() {
    let state = night(59, 24);
    assert_eq!(screen(&state).trim(), "midwatch needs 60x12, this is 59x24");
    let narrow = night(22, 10);
    assert_eq!(screen(&narrow).trim(), "needs 60x12, has 22x10");
    for (columns, rows) in [
        (1, 1),
        (60, 12),
        (60, 13),
        (61, 14),
        (79, 18),
        (230, 20),
        (300, 80),
    ] {
        let mut state = night(columns, rows);
        screen(&state);
        type_keys(&mut state, "2?", 401);
        screen(&state);
    }
}

/// The style of the first cell of a text on the screen.
fn style_of(state: &State, text: &str) -> Style {
    let buffer = buffer(state);
    let area = *buffer.area();
    let wanted: Vec<char> = text.chars().collect();
    for y in 0..area.height {
        for x in 0..area.width.saturating_sub(wanted.len() as u16) {
            let found = wanted.iter().enumerate().all(|(i, c)| {
                buffer
                    .cell((x + i as u16, y))
                    .is_some_and(|cell| cell.symbol().starts_with(*c))
            });
            if found {
                return buffer.cell((x, y)).map(|c| c.style()).unwrap_or_default();
            }
        }
    }
    panic!("{text} is not on the screen:\n{}", screen(state));
}

#[test]
fn colours_mean_what_they_say() {
    let theme = theme();
    let mut state = night(140, 40);
    // What a theme leaves open stays as the terminal has it; what it sets must be there.
    let is = |state: &State, text: &str, role: Style| {
        let style = style_of(state, text);
        let colour = role.fg.is_none_or(|fg| style.fg == Some(fg));
        let ground = role.bg.is_none_or(|bg| style.bg == Some(bg));
        let kept = style.add_modifier.contains(role.add_modifier);
        assert!(
            colour && ground && kept,
            "{text}: {style:?} is not {role:?}"
        );
    };
    assert_ne!(theme.bad, theme.text);
    is(&state, "exited 137 OOM", theme.bad);
    is(&state, "up 9h OOM×2 unhealthy", theme.bad);
    is(&state, "llama-sft     my-train", theme.selection);
    state
        .world
        .engine_news(EngineNews::Down(no_engine()), at(401));
    told(&mut state, 402);
    is(&state, "rag-api-1", theme.stale);
    is(&state, "engine down since", theme.bad);
}

#[test]
fn keys_do_not_wait_for_anything() {
    // A frame is owed after a key, and not after news that change nothing to see.
    let mut state = night(80, 24);
    state.take_frame_owed();
    update(
        &mut state,
        Event::World(crate::watch::Changes::default()),
        at(401),
    );
    assert!(!state.frame_owed());
    press(&mut state, Key::Down, 401);
    assert!(state.take_frame_owed());
}

/// Goes to the container of a name.
fn select(state: &mut State, name: &str) {
    press(state, Key::Home, 401);
    for _ in 0..20 {
        let key = state.list.selected_key();
        if key.is_some_and(|key| state.world.rows[&key].container.name == name) {
            return;
        }
        press(state, Key::Down, 401);
    }
    panic!("{name} is not in the list");
}

fn told_progress(state: &mut State, subject: Subject, gib: u64) {
    let progress = Progress {
        bytes: gib * GIB,
        total_bytes: Some(14 * GIB),
        elapsed: Duration::from_secs(10),
    };
    let outcome = Outcome::CheckProgress { subject, progress };
    update(state, Event::Outcome(outcome), at(403));
}

#[test]
fn badges_in_the_lists() {
    snap("badges", judged);
    snap("badges_running", |c, r| {
        let mut state = judged(c, r);
        select(&mut state, "notebook");
        type_keys(&mut state, "c1", 402);
        told_progress(&mut state, Subject::Image(image_id("jupyter:cuda13")), 5);
        type_keys(&mut state, "t", 403);
        press(&mut state, Key::Tab, 403);
        select(&mut state, "rag-api-1");
        type_keys(&mut state, "ct", 403);
        state
    });
    snap("images_by_verdict", |c, r| {
        let mut state = judged(c, r);
        state
            .world
            .engine_news(EngineNews::Images(images()), at(390));
        type_keys(&mut state, "3s", 400);
        state
    });
}

#[test]
fn the_verdict_tab() {
    let of = |name: &'static str| {
        move |c, r| {
            let mut state = judged(c, r);
            select(&mut state, name);
            type_keys(&mut state, "d", 402);
            state
        }
    };
    snap("verdict_works", of("llama-sft"));
    snap("verdict_fails", of("data-prep"));
    snap("verdict_limited", of("eval-7b"));
    snap("verdict_config_only", of("rag-api-1"));
    snap("verdict_no_cuda", of("rag-db-1"));
    snap("verdict_running", |c, r| {
        let mut state = judged(c, r);
        select(&mut state, "notebook");
        type_keys(&mut state, "c", 402);
        told_progress(&mut state, Subject::Image(image_id("jupyter:cuda13")), 5);
        state
    });
    snap("verdict_failed_scan", |c, r| {
        let mut state = judged(c, r);
        select(&mut state, "rag-api-1");
        type_keys(&mut state, "c", 402);
        let outcome = Outcome::Checked {
            subject: Subject::Image(image_id("rag-api:2.1")),
            result: Err("cannot create a container: no space left on device".into()),
        };
        update(&mut state, Event::Outcome(outcome), at(404));
        state
    });
    snap("verdict_zoomed", |c, r| {
        let mut state = judged(c, r);
        select(&mut state, "notebook");
        learn(&mut state, "jupyter:cuda13", true, 402);
        type_keys(&mut state, "dz", 402);
        state
    });
}

#[test]
fn an_engine_that_gives_no_gpus_is_said_at_the_top() {
    let mut state = judged(140, 40);
    let host = crate::verdict::facts::HostFacts {
        no_gpu_runtime: Some("could not select device driver \u{1b}[31mwith".into()),
        ..Default::default()
    };
    state.top.no_runtime(&host);
    let columns = state.ui.size.0;
    let State {
        top, world, config, ..
    } = &mut state;
    top.rebuild(world, config, at(401), columns, false);
    let text = screen(&state);
    assert!(
        text.contains("this engine cannot give GPUs to containers (MW401): could not select"),
        "{text}"
    );
}
