//! Hostile archives: bounded time, bounded memory, and the reason said. Memory is measured, in a process of
//! its own.

use std::process::Command;
use std::time::{Duration, Instant};

use super::samples::{cuda_library, elf, file, header, known, meta, tar, walked};
use crate::inspect::content::Node;
use crate::inspect::elf::ElfStream;
use crate::inspect::fatbin::tests::{container, entry};
use crate::inspect::tar::{BLOCK, TarError};
use crate::inspect::walk::Walk;
use crate::inspect::{Config, Content, Known};

/// What `walk.rs` promises, KiB.
const BOUND: u64 = 64 << 10;
/// Set where the process is the one that is measured.
const CHILD: &str = "MIDWATCH_TEST_HOSTILE_WALK";

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A header whose size is in base 256.
fn huge(name: &str, size: u64) -> Vec<u8> {
    let mut block = header(name, b'0', 0, "");
    block[124..136].fill(0);
    block[124] = 0x80;
    block[128..136].copy_from_slice(&size.to_be_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn note() -> Vec<u8> {
    let mut text = b"{\"x\": \"".to_vec();
    text.resize(4090, b'y');
    text.extend(b"\"}");
    let mut note = vec![0u8; 4];
    note.extend(19u32.to_le_bytes());
    note.extend((text.len() as u32).to_le_bytes());
    note.extend(1u32.to_le_bytes());
    note.extend(b"NVIDIA Corporation\0\0");
    note.extend(text);
    note
}

/// Thousands of distinct containers, each repeated.
fn many_shapes(shapes: u32, times: u32) -> Vec<u8> {
    let mut code = Vec::new();
    for n in 0..shapes * times {
        let bits = n % shapes;
        let entries: Vec<Vec<u8>> = (0..13)
            .filter(|bit| bits & (1 << bit) != 0)
            .map(|bit| entry(2, 50 + bit, 0, (1, 7), 64, 0))
            .collect();
        code.extend(container(&entries));
    }
    elf(&["libcudart.so.12"], &[(".nv_fatbin", code)])
}

/// Everything at once: each kind of thing far over its bound.
fn feed_all(walk: &mut Walk, entries: usize) {
    let mut feed = |bytes: &[u8]| walk.feed(bytes).unwrap();
    let small = cuda_library(&[], &[80, 90]);
    for n in 0..entries / 50 {
        feed(&file(
            &format!("p/{n}/program"),
            &[&small[..], &[0; 70_000]].concat(),
        ));
    }
    let shapes = many_shapes(4096, 3);
    for n in 0..20 {
        feed(&file(&format!("s/{n}/libs.so"), &shapes));
    }
    let compat = elf(&[], &[(".note", note())]);
    for n in 0..2000 {
        feed(&file(&format!("n/{n}/libcuda.so.1"), &compat));
    }
    let needed: Vec<String> = (0..1000).map(|n| format!("libcudart{n:0150}.so")).collect();
    let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
    let greedy = cuda_library(&needed, &[80]);
    for n in 0..100 {
        feed(&file(&format!("g/{n}/libg.so"), &greedy));
    }
    for n in 0..100 {
        feed(&file(&format!("t/{n}/pyvenv.cfg"), &[0xff; 60_000]));
    }
    for n in 0..entries / 20 {
        feed(&header(&format!("u/{n}/pyvenv.cfg"), b'0', 0, ""));
    }
    let line: String = (0..2000)
        .map(|n| {
            format!(
                "Package: cuda-{n}{}\nVersion: {}\n\n",
                "x".repeat(500),
                "9".repeat(500)
            )
        })
        .collect();
    for n in 0..5 {
        feed(&file(
            &format!("var/lib/dpkg/status.d/{n}"),
            line.as_bytes(),
        ));
    }
    for n in 0..entries {
        feed(&header(
            &format!("opt/{n:x}/\u{1b}[31m\u{7}libx.so"),
            b'2',
            0,
            "libx.so.1",
        ));
    }
    let long = "d/".repeat(2040);
    for n in 0..6000 {
        feed(&meta(b'L', format!("{long}{n}/libx.so").as_bytes()));
        feed(&header("short", b'2', 0, "libx.so.1"));
    }
}

#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS:");
    let start = Instant::now();
    let mut walk = Walk::new();
    feed_all(&mut walk, 1_000_000);
    assert!(walk.within_bounds());
    println!("fed in {:?}", start.elapsed());
    // Now a library of ten thousand million zeros, of which nothing is held.
    let zeros = vec![0u8; 1 << 20];
    let mut first = huge("z/libz.so", (10 << 30) + 128);
    first.extend(&elf(&[], &[])[..64]);
    walk.feed(&first).unwrap();
    for _ in 0..10 << 10 {
        walk.feed(&zeros).unwrap();
    }
    let content = walk.finish();
    assert_eq!(content, Err(TarError::Cut), "64 bytes are missing");
    println!("and ten GiB in {:?}", start.elapsed());
    println!("MEMORY {}", memory("VmHWM:") - before);
}

#[test]
fn whatever_an_archive_says_memory_stays_within_the_bound() {
    let start = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["inspect::tests::bounds::child", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
    let used: u64 = said
        .lines()
        .find_map(|line| line.split("MEMORY ").nth(1)?.trim().parse().ok())
        .unwrap();
    assert!(used < BOUND, "{used} KiB of {BOUND}");
    assert!(start.elapsed() < Duration::from_secs(300));
}

#[test]
fn what_is_over_its_bound_is_told_and_the_facts_come_in_time() {
    let mut walk = Walk::new();
    feed_all(&mut walk, 20_000);
    let content = walk.finish().unwrap();
    assert!(content.nodes.keys().all(|path| !path.contains('\u{1b}')));
    let start = Instant::now();
    let facts = known(content).facts();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    for said in [
        "more paths of interest",
        "more texts of interest",
        "more device code",
        "more packages",
        "more programs with device code",
    ] {
        assert!(
            facts.gaps.iter().any(|gap| gap.starts_with(said)),
            "{said}: {:?}",
            facts.gaps
        );
    }
}

#[test]
fn lying_headers_are_errors_or_gaps() {
    let mut walk = Walk::new();
    walk.feed(&huge("usr/lib/libcuda.so.1", 8 << 60)).unwrap();
    walk.feed(&vec![0; 4 << 20]).unwrap();
    assert_eq!(walk.finish(), Err(TarError::Cut));
    let gaps = |entries: &[Vec<u8>]| walked(&tar(entries), 700).gaps;
    // Sparse files: one that matters, one that does not.
    let mut sparse = file("opt/libx.so", &[1; 600]);
    sparse[156] = b'S';
    sparse[148..156].fill(b' ');
    let sum: u32 = sparse[..BLOCK].iter().map(|b| u32::from(*b)).sum();
    sparse[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(
        gaps(&[sparse]),
        ["opt/libx.so is stored as a sparse file, which is not read"]
    );
    let record = crate::inspect::tar::tests::record;
    for (name, told) in [("opt/liby.so", 1), ("var/log/lastlog", 0)] {
        let pax = record("GNU.sparse.name", name) + &record("GNU.sparse.major", "1");
        let found = gaps(&[
            meta(b'x', pax.as_bytes()),
            file("GNUSparseFile.0/x", b"1\n"),
        ]);
        assert_eq!(found.len(), told, "{name}: {found:?}");
    }
    // A name and a record over their limits.
    for over in [
        meta(b'L', &[b'a'; 5000]),
        meta(b'x', record("path", &"a".repeat(5000)).as_bytes()),
    ] {
        assert_eq!(gaps(&[over, file("x", b"y")]).len(), 1);
    }
    let found = gaps(&[file("opt/x/torch/version.py", &[b'x'; 70_000])]);
    assert_eq!(
        found,
        ["opt/x/torch/version.py is too large for what it is"]
    );
}

#[test]
fn paths_that_lead_out_or_in_circles_end_inside() {
    let content = walked(
        &tar(&[
            header(
                "../../etc/ld.so.conf.d/x.so",
                b'2',
                0,
                "../../../../../etc/passwd",
            ),
            header("a", b'2', 0, "b"),
            header("b", b'2', 0, "a"),
            header("usr/local/cuda", b'2', 0, "cuda/cuda/cuda/cuda"),
            file("/usr/local/cuda/lib64/libcudart.so.12.4.127", b"x"),
            header("usr/bin/python", b'2', 0, "python"),
        ]),
        512,
    );
    assert!(
        content
            .nodes
            .keys()
            .all(|path| !path.starts_with('/') && !path.contains(".."))
    );
    let facts = known(content).facts();
    assert_eq!(facts.runtimes.len(), 1);
    // Links that double what they lead to, over and over.
    let mut content = Content::default();
    let deep = "x/".repeat(2000);
    for n in 0..4000 {
        let target = format!("{deep}l{}.so/{deep}l{}.so", n + 1, n + 1);
        content.nodes.insert(format!("l{n}.so"), Node::Link(target));
    }
    let start = Instant::now();
    let _ = known(content).facts();
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn names_with_escape_codes_reach_no_fact() {
    let site = "usr/lib/python3.11/site-packages";
    let mut content = Content::default();
    let text = "__version__ = '2.6\u{1b}]0;x\u{7}.0'\ncuda = '12.4\u{202e}'\n";
    content
        .nodes
        .insert(format!("{site}/torch/version.py"), Node::File(1));
    content
        .texts
        .insert(format!("{site}/torch/version.py"), text.into());
    content.nodes.insert(
        format!("{site}/tensorflow-2\u{9b}31m.dist-info"),
        Node::Folder,
    );
    let facts = Known {
        config: Config {
            env: vec![("NCCL_VERSION".into(), "2.\u{1b}[31m1".into())],
            ..Config::default()
        },
        ..known(content)
    }
    .facts();
    assert_eq!(facts.frameworks.len(), 2);
    for framework in &facts.frameworks {
        let said = format!(
            "{}{}{}",
            framework.version.as_deref().unwrap_or(""),
            framework.build,
            framework.name
        );
        assert!(!said.contains(crate::model::text::is_unsafe), "{said:?}");
    }
    assert!(!facts.nccl.unwrap().contains('\u{1b}'));
}

#[test]
fn lying_elf_tables_are_survived() {
    let good = cuda_library(&["libcudart.so.12"], &[80]);
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        let mut stream = ElfStream::new();
        for piece in bytes.chunks(100) {
            stream.feed(piece);
        }
        stream.finish()
    };
    let whole = patched(0, &[0x7f]);
    assert_eq!((whole.code.containers(), &whole.problem), (1, &None));
    for (what, at, with) in [
        (
            "section table beyond the end",
            40,
            u64::MAX.to_le_bytes().to_vec(),
        ),
        (
            "section table before itself",
            40,
            8u64.to_le_bytes().to_vec(),
        ),
        ("65,535 sections", 60, vec![0xff, 0xff]),
        ("no sections", 60, vec![0, 0]),
        ("sections of 1 byte", 58, vec![1, 0]),
        ("names in no section", 62, vec![0xff, 0xff]),
    ] {
        let facts = patched(at, &with);
        assert_eq!(facts.code.containers(), 1, "{what}");
        assert!(facts.problem.is_some(), "{what}");
    }
    for (what, at, with) in [
        (
            "program headers beyond the end",
            32,
            u64::MAX.to_le_bytes().to_vec(),
        ),
        ("65,535 program headers", 56, vec![0xff, 0xff]),
        ("no program headers", 56, vec![0, 0]),
        (
            "a dynamic section of 2^64",
            64 + 56 + 32,
            u64::MAX.to_le_bytes().to_vec(),
        ),
        (
            "a dynamic section beyond the end",
            64 + 56 + 8,
            u64::MAX.to_le_bytes().to_vec(),
        ),
    ] {
        let facts = patched(at, &with);
        assert_eq!(facts.needed, Vec::<String>::new(), "{what}");
        assert_eq!(facts.code.containers(), 1, "{what}");
    }
    // Damaged device code in its section is told; the same bytes elsewhere are no device code.
    let mut damaged = container(&[entry(2, 80, 0, (1, 7), 64, 8)]);
    damaged[18] = 9;
    for (section, told) in [(".nv_fatbin", true), (".rodata", false)] {
        let mut stream = ElfStream::new();
        stream.feed(&elf(&[], &[(section, damaged.clone())]));
        assert_eq!(stream.finish().problem.is_some(), told, "{section}");
    }
    // Many containers of many kinds take no time to count.
    let start = Instant::now();
    let mut stream = ElfStream::new();
    stream.feed(&many_shapes(4096, 40));
    let facts = stream.finish();
    assert_eq!(facts.code.containers(), 4095 * 40);
    assert!(start.elapsed() < Duration::from_secs(20));
}
