//! What a frame and a second's news cost on the screen's side, in time and allocations: 50 containers, no GPU,
//! 140 by 40. `cargo bench --bench screen`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark, not the product"
)]

use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use jiff::Timestamp;
use midwatch::model::*;
use midwatch::tui::{Event, State, StateConfig, Theme, draw, update};
use midwatch::watch::Changes;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn stamp(seconds: u64) -> Stamp {
    Stamp::simulated(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
}

fn key(number: u16) -> ContainerKey {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    ContainerKey {
        host: HostId(0),
        id: ContainerId::from_bytes(id),
    }
}

fn container(number: u16) -> Container {
    Container {
        key: key(number),
        name: format!("worker-{number}"),
        image: "registry.example/team/train:2026-11".into(),
        image_id: ImageId("sha256:aa".into()),
        command: "python train.py".into(),
        state: ContainerState::Running,
        status: "Up 9 hours".into(),
        health: None,
        created_at: Some(Timestamp::UNIX_EPOCH),
        compose: None,
        ports: Vec::new(),
        detail: Some(Box::default()),
    }
}

fn usage(number: u16, second: u64) -> ContainerUsage {
    ContainerUsage {
        key: key(number),
        at: stamp(second),
        source: UsageSource::Cgroup,
        cpu_percent: Some(second as f64 + f64::from(number)),
        memory_used_bytes: Some(1 << 30),
        memory_limit_bytes: None,
        network_rx_bytes: Some(second * 1000),
        network_tx_bytes: Some(second * 1000),
        block_read_bytes: Some(0),
        block_write_bytes: Some(0),
        pids: Some(12),
        oom_kills: Some(0),
    }
}

fn usages(second: u64, count: u16) -> UsageSnapshot {
    UsageSnapshot {
        entries: (0..count).map(|n| usage(n, second)).collect(),
        local: (0..count).map(key).collect(),
        not_local: Vec::new(),
        interval_ms: 1000,
    }
}

/// A running dashboard with this many containers.
fn dashboard(count: u16) -> State {
    let mut config = StateConfig::new(HostId(0));
    config.size = (140, 40);
    let mut state = State::new(config, stamp(0));
    let up = EngineNews::Up(EngineInfo {
        name: "Docker".into(),
        version: "28.2.2".into(),
        endpoint: "unix:///var/run/docker.sock".into(),
        ..EngineInfo::default()
    });
    state.world.engine_news(up, stamp(0));
    let rows = (0..count).map(container).collect();
    state.world.engine_news(EngineNews::Listed(rows), stamp(0));
    for second in 0..60 {
        state
            .world
            .usage_snapshot(usages(second, count), stamp(second));
    }
    told(&mut state, 60);
    state
}

fn told(state: &mut State, second: u64) {
    let changes = Changes {
        visible: true,
        targets: false,
    };
    update(state, Event::World(changes), stamp(second));
}

#[divan::bench]
fn one_frame(bencher: Bencher) {
    let state = dashboard(50);
    let theme = Theme::default();
    let mut buffer = Buffer::empty(Rect::new(0, 0, 140, 40));
    bencher.bench_local(|| draw(&state, &theme, &mut buffer));
}

#[divan::bench(args = [50, 500])]
fn one_update(bencher: Bencher, count: u16) {
    let mut state = dashboard(count);
    let mut second = 60;
    bencher.bench_local(|| {
        second += 1;
        told(&mut state, second);
    });
}
