//! `fake_engine SOCKET [--containers N] [--flood LINES_PER_SECOND] [--line-bytes N]`: a server for benchmarks.
//! Says `ready` and serves until standard input ends. The flood is the log of container `c0`.

use std::io::Read;
use std::path::Path;

use fake_engine::{FakeEngine, LogKind, Script, id_of};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|a| a == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let Some(socket) = arguments.first().filter(|a| !a.starts_with('-')) else {
        eprintln!(
            "usage: fake_engine SOCKET [--containers N] [--flood LINES_PER_SECOND] [--line-bytes N]"
        );
        std::process::exit(2);
    };
    let script = Script::with_containers(number("--containers", 50));
    let per_second = number("--flood", 0);
    if per_second > 0 {
        let bytes = number("--line-bytes", 100) as usize;
        script.change(&id_of(0), |c| c.log = LogKind::Flood { per_second, bytes });
    }
    let engine = match FakeEngine::unix(Path::new(socket), script) {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("fake_engine: cannot listen at {socket}: {error}");
            std::process::exit(1);
        }
    };
    println!("ready");
    // Reads until the parent closes the pipe or ends.
    let _ = std::io::copy(&mut std::io::stdin().take(u64::MAX), &mut std::io::sink());
    drop(engine);
}
