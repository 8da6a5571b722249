//! What a second costs inside the program: folding statistics, joining, printing. `cargo bench --bench world`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark, not the product"
)]

use std::time::Duration;

use divan::{AllocProfiler, Bencher};
use jiff::Timestamp;
use midwatch::cli::ps;
use midwatch::model::*;
use midwatch::verdict::facts::{
    Build, ContainerShape, CudaLibrary, Framework, ImageFacts, Injection, Scan, Target, Variant,
};
use midwatch::watch::World;

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
        cpu_percent: Some(second as f64),
        memory_used_bytes: Some(1 << 30),
        memory_limit_bytes: None,
        network_rx_bytes: Some(second * 1000),
        network_tx_bytes: Some(second * 2000),
        block_read_bytes: Some(0),
        block_write_bytes: Some(second),
        pids: Some(12),
        oom_kills: Some(0),
    }
}

fn snapshot(count: u16, second: u64) -> UsageSnapshot {
    UsageSnapshot {
        entries: (0..count).map(|n| usage(n, second)).collect(),
        local: (0..count).map(key).collect(),
        not_local: Vec::new(),
        interval_ms: 1000,
    }
}

fn world(count: u16) -> World {
    let mut world = World::new(HostId(0));
    world.engine_news(EngineNews::Up(EngineInfo::default()), stamp(0));
    world.engine_news(
        EngineNews::Listed((0..count).map(container).collect()),
        stamp(0),
    );
    world.usage_snapshot(snapshot(count, 1), stamp(1));
    world
}

#[divan::bench(args = [50, 500])]
fn fold_a_round_of_statistics(bencher: Bencher, count: u16) {
    let mut world = world(count);
    let mut second = 1;
    bencher
        .with_inputs(|| {
            second += 1;
            (snapshot(count, second), stamp(second))
        })
        .bench_local_values(|(snapshot, now)| world.usage_snapshot(snapshot, now));
}

#[divan::bench(args = [50, 500])]
fn fold_a_list(bencher: Bencher, count: u16) {
    let mut world = world(count);
    bencher
        .with_inputs(|| EngineNews::Listed((0..count).map(container).collect()))
        .bench_local_values(|news| world.engine_news(news, stamp(2)));
}

#[divan::bench(args = [50, 500])]
fn print_ps(bencher: Bencher, count: u16) {
    let world = world(count);
    bencher.bench_local(|| ps::table(&world, true).render(None));
}

/// PyTorch's main library: 476 containers of six targets.
fn torch() -> ImageFacts {
    let mut library = CudaLibrary {
        path: "torch/lib/libtorch_cuda.so".into(),
        size_bytes: 1 << 30,
        ..CudaLibrary::default()
    };
    for _ in 0..476 {
        library.code.add(ContainerShape {
            sass: [75, 80, 86, 90, 100, 120]
                .map(|number| Target::from_number(number, Variant::Plain))
                .to_vec(),
            ptx: Vec::new(),
        });
    }
    ImageFacts {
        scan: Scan::Full,
        frameworks: vec![Framework {
            name: "torch".into(),
            build: Build::Cuda(midwatch::verdict::Version::parse("12.8")),
            library: Some(library.path.clone()),
            libraries: vec![library.path.clone()],
            ..Framework::default()
        }],
        libraries: vec![library],
        ..ImageFacts::default()
    }
}

/// One verdict: what each row of the image list costs.
#[divan::bench]
fn verdict(bencher: Bencher<'_, '_>) {
    let image = torch();
    let gpus: Vec<String> = vec!["A100".into(); 8];
    let host = midwatch::verdict::hypothetical::host(
        Some("535.183.01"),
        None,
        &gpus,
        Injection::Legacy,
        None,
        "2026-11",
    )
    .unwrap();
    bencher.bench(|| midwatch::verdict::judge(divan::black_box(&image), &host));
}

/// An image's whole matrix: every branch against every generation.
#[divan::bench]
fn verdict_matrix(bencher: Bencher<'_, '_>) {
    let image = torch();
    bencher.bench(|| {
        midwatch::verdict::matrix::matrix(divan::black_box(&image), Injection::Legacy, "2026-11")
    });
}
