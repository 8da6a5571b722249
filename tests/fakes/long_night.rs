//! 100,000 seconds of a dashboard's life with time injected: nothing grows. In a process of its own, so that
//! no other test is counted in.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use midwatch::demo::DemoHost;
use midwatch::model::{
    Container, ContainerId, ContainerKey, EngineEvent, EngineNews, EventKind, GpuSnapshot, GpuUuid,
    HostId, Stamp, UsageSnapshot,
};
use midwatch::tui::{Event, Key, KeyPress, State, StateConfig, Theme, draw, update};
use midwatch::watch::World;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const TICKS: u64 = 100_000;
/// The charts' hour and everything else that fills up once is full by then.
const WARM: u64 = 10_000;
/// The simulated host is asked anew each so many ticks; in between its last answers are told again.
const FRESH: u64 = 16;
/// The state takes in what a few ticks have folded, as after a burst of news.
const UPDATE: u64 = 5;
/// A frame for each so many ticks.
const FRAME: u64 = 200;
/// A container of a short life comes each so many ticks, and goes after as many again.
const GUEST: u64 = 20;
/// A card with an UUID of its own is in the machine for so many ticks.
const CARD: u64 = 1_000;

#[derive(Debug)]
struct Footprint {
    descriptors: usize,
    threads: usize,
    resident_kib: u64,
}

fn footprint() -> Footprint {
    let count = |dir: &str| std::fs::read_dir(dir).unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    Footprint {
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        resident_kib: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
    }
}

#[test]
fn a_hundred_thousand_ticks_leave_nothing_behind() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "long_night::child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    println!("{text}");
    let err = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}{err}");
    assert!(text.contains("1 passed"), "{text}");
}

/// The dashboard over the simulated host, with guests that the host does not know.
struct Night {
    host: DemoHost,
    state: State,
    theme: Theme,
    buffer: Buffer,
    guest: Container,
    gpus: GpuSnapshot,
    usage: UsageSnapshot,
}

fn at(tick: u64) -> Stamp {
    Stamp::simulated(
        "2026-01-10T22:00:00Z".parse().unwrap(),
        Duration::from_secs(tick),
    )
}

fn guest_key(tick: u64) -> ContainerKey {
    let mut id = [0xaa; 32];
    id[..8].copy_from_slice(&tick.to_be_bytes());
    ContainerKey {
        host: HostId::default(),
        id: ContainerId::from_bytes(id),
    }
}

impl Night {
    fn new() -> Self {
        let host = DemoHost::new(7, at(0));
        let mut config = StateConfig::new(HostId::default());
        config.size = (100, 30);
        config.demo = true;
        let mut state = State::new(config, at(0));
        let containers = host.containers(at(0));
        let guest = containers[0].clone();
        let world = &mut state.world;
        world.engine_news(EngineNews::Up(host.info()), at(0));
        world.engine_news(EngineNews::Listed(containers.clone()), at(0));
        for container in &containers {
            let detail = host.detail(container.key, at(0)).unwrap();
            world.engine_news(
                EngineNews::Inspected(container.key, Box::new(detail)),
                at(0),
            );
        }
        Self {
            state,
            theme: Theme::default(),
            buffer: Buffer::empty(Rect::new(0, 0, 100, 30)),
            guest,
            gpus: host.gpus(at(0)),
            usage: host.usage(at(0)),
            host,
        }
    }

    fn tick(&mut self, tick: u64) {
        let now = at(tick);
        let mut changes = self.guests(tick);
        let world = &mut self.state.world;
        if tick.is_multiple_of(FRESH) {
            self.gpus = self.host.gpus(now);
            self.usage = self.host.usage(now);
            changes.merge(world.proc_snapshot(self.host.procs(now)));
            changes.merge(world.host_report(self.host.report(now)));
        }
        // Half of the rounds are NVML's, half the containers': each is a tick of its own.
        if tick.is_multiple_of(2) {
            let mut gpus = self.gpus.clone();
            gpus.gpus.iter_mut().for_each(|gpu| gpu.sampled = now);
            let mut card = gpus.gpus[0].clone();
            card.index = Some(4);
            card.key.uuid = GpuUuid::new(&format!("GPU-{}", tick / CARD));
            gpus.gpus.push(card);
            changes.merge(world.gpu_snapshot(gpus, now));
        } else {
            let mut usage = self.usage.clone();
            usage.entries.iter_mut().for_each(|one| one.at = now);
            changes.merge(world.usage_snapshot(usage, now));
        }
        if tick.is_multiple_of(UPDATE) || changes.targets {
            let _ = update(&mut self.state, Event::World(changes), now);
        }
        if tick.is_multiple_of(FRAME) {
            let _ = update(&mut self.state, Event::Tick, now);
            for key in keys(tick / FRAME) {
                let _ = update(
                    &mut self.state,
                    Event::Key(KeyPress::new(key, false, false, false)),
                    now,
                );
            }
            let regions = draw(&self.state, &self.theme, &mut self.buffer);
            std::hint::black_box(regions);
        }
    }

    /// A container comes, is marked by nobody, and is removed.
    fn guests(&mut self, tick: u64) -> midwatch::watch::Changes {
        let now = at(tick);
        let world = &mut self.state.world;
        let mut changes = midwatch::watch::Changes::default();
        if !tick.is_multiple_of(GUEST) {
            return changes;
        }
        let mut guest = self.guest.clone();
        guest.key = guest_key(tick);
        guest.name = format!("guest-{tick}");
        let event = |kind| {
            EngineNews::Event(EngineEvent {
                time: now.wall,
                container: Some(guest_key(tick)),
                name: None,
                kind,
            })
        };
        changes.merge(world.engine_news(event(EventKind::Create), now));
        changes.merge(world.engine_news(EngineNews::Changed(Box::new(guest)), now));
        if let Some(before) = tick.checked_sub(GUEST) {
            changes.merge(world.engine_news(event(EventKind::Destroy), now));
            changes.merge(world.engine_news(EngineNews::Removed(guest_key(before)), now));
        }
        changes
    }
}

/// Pages, tabs and marks in turn, so that every view is drawn.
fn keys(frame: u64) -> Vec<Key> {
    let text = [
        "1", "t", "p", "i", " j", "2", "]", "]", "1", "l", "t", " k", "3", "1v", "s\x1b",
    ];
    let text = text[usize::try_from(frame).unwrap() % text.len()];
    let key = |c| if c == '\x1b' { Key::Esc } else { Key::Char(c) };
    text.chars().map(key).collect()
}

fn assert_bounded(world: &World) {
    let rows = world.rows.len();
    assert!(rows < 12, "{rows} rows");
    assert!(
        world.container_charts.len() <= rows,
        "{}",
        world.container_charts.len()
    );
    assert_eq!(world.gpu_charts.len(), 5);
    assert!(world.events.len() <= 256 && world.xids.len() <= 256);
    assert!(world.joined.containers.len() <= rows);
    for chart in world.container_charts.values() {
        assert!(chart.cpu_percent.fine().len() <= 300 && chart.cpu_percent.coarse().len() <= 360);
    }
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child() {
    let mut night = Night::new();
    let began = Instant::now();
    for tick in 0..WARM {
        night.tick(tick);
    }
    assert_bounded(&night.state.world);
    let before = footprint();
    for tick in WARM..TICKS {
        night.tick(tick);
        if tick.is_multiple_of(10_000) {
            assert_bounded(&night.state.world);
        }
    }
    assert_bounded(&night.state.world);
    let after = footprint();
    let now: Timestamp = at(TICKS).wall;
    println!(
        "{TICKS} ticks, until {now}, in {:?}; after {WARM} and in the end: descriptors {} -> {}, threads {} -> {}, \
         resident {} -> {} KiB",
        began.elapsed(),
        before.descriptors,
        after.descriptors,
        before.threads,
        after.threads,
        before.resident_kib,
        after.resident_kib,
    );
    assert_eq!(after.descriptors, before.descriptors);
    assert_eq!(after.threads, before.threads);
    assert!(
        after.resident_kib <= before.resident_kib + 2_048,
        "{before:?} {after:?}"
    );
}
