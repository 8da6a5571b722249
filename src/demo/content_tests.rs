//! The simulated images read as real ones are: by `inspect`'s own readers.

use std::collections::BTreeMap;

use super::elf::{Code, Library};
use super::pictures::PICTURES;
use super::tar::Tar;
use super::{DemoHost, content};
use crate::engine::endpoint::Endpoint;
use crate::engine::transport::Transport;
use crate::engine::{Docker, Engine};
use crate::inspect::elf::{ElfFacts, ElfStream, is_elf};
use crate::inspect::tar::{Entry, Kind, Reader, Sink};
use crate::model::{HostId, Stamp};

#[derive(Default)]
struct Files {
    entries: Vec<Entry>,
    content: BTreeMap<String, Vec<u8>>,
}

impl Sink for Files {
    fn entry(&mut self, entry: &Entry) {
        self.entries.push(entry.clone());
    }
    fn data(&mut self, bytes: &[u8]) {
        let path = self.entries.last().unwrap().path.clone();
        self.content.entry(path).or_default().extend(bytes);
    }
    fn end(&mut self) {}
}

fn read(archive: &[u8]) -> Files {
    let mut files = Files::default();
    let mut reader = Reader::default();
    for piece in archive.chunks(10_007) {
        reader.feed(piece, &mut files).unwrap();
    }
    reader.finish().unwrap();
    assert!(reader.is_done());
    files
}

fn elf(bytes: &[u8], piece: usize) -> ElfFacts {
    assert!(is_elf(bytes));
    let mut stream = ElfStream::new();
    for piece in bytes.chunks(piece) {
        stream.feed(piece);
    }
    stream.finish()
}

fn sass(facts: &ElfFacts) -> Vec<String> {
    let shares = facts.code.sass_shares();
    shares
        .iter()
        .map(|(target, share)| {
            assert!((share - 1.0).abs() < 1e-9);
            target.sass_name().replace("sm_", "")
        })
        .collect()
}

#[test]
fn a_library_is_read_as_it_was_written() {
    let code = Code {
        sass: &["80", "90a", "100f"],
        ptx: &[("90", (8, 4)), ("120", (8, 7))],
    };
    let bytes = Library::new("libx.so.1")
        .needs(&["libcudart.so.12", "libc.so.6"])
        .runpath("$ORIGIN/lib")
        .section(
            "__nv_relfatbin",
            super::elf::fatbinary(&[Code {
                sass: &[],
                ptx: &[("80", (8, 0))],
            }]),
        )
        .code(code, 3)
        .build();
    for piece in [64, 1000, 4096] {
        let facts = elf(&bytes, piece);
        assert_eq!(facts.problem, None);
        assert_eq!(facts.machine, 62);
        assert_eq!(facts.code.containers(), 3);
        assert_eq!(sass(&facts), ["80", "90a", "100f"]);
        let ptx: Vec<_> = facts
            .code
            .ptx_shares()
            .iter()
            .map(|(p, _)| (p.target.ptx_name(), p.isa))
            .collect();
        assert_eq!(
            ptx,
            [
                ("compute_90".to_owned(), (8, 4)),
                ("compute_120".to_owned(), (8, 7))
            ]
        );
        assert_eq!(facts.code.relocatable_ptx.len(), 1);
        if piece < 200 {
            assert_eq!(facts.needed, ["libcudart.so.12", "libc.so.6"]);
        }
    }
}

#[test]
fn an_archive_is_read_as_it_was_written() {
    let long = format!("opt/{}/{}/x.so", "a".repeat(60), "b".repeat(60));
    let mut tar = Tar::new();
    tar.file("etc/os-release", b"ID=x\n");
    tar.file(&long, &[7; 1000]);
    tar.link("usr/lib64", "lib");
    tar.folder("etc");
    let files = read(&tar.finish());
    let names: Vec<&str> = files.entries.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(names[..2], ["etc", "etc/os-release"]);
    assert_eq!(names.iter().filter(|n| **n == "etc").count(), 1);
    assert_eq!(files.content[&long].len(), 1000);
    let link = files.entries.last().unwrap();
    assert_eq!((link.kind, link.link.as_str()), (Kind::Symlink, "lib"));
}

#[test]
fn every_picture_holds_what_its_story_tells() {
    // Tag, torch's version and CUDA, its machine code, and another path that must be there.
    type Torch<'a> = Option<(&'a str, &'a str)>;
    let cases: [(&str, Torch<'_>, &str, &str); 8] = [
        (
            "my-train:0.4",
            Some(("2.6.0+cu124", "'12.4'")),
            "50 60 70 75 80 86 90",
            "usr/local/cuda-12.4/compat/libcuda.so.550.54.15",
        ),
        (
            "vllm:0.9",
            Some(("2.7.0+cu128", "'12.8'")),
            "75 80 86 90 100 120",
            "usr/local/lib/python3.12/dist-packages/vllm/_C.abi3.so",
        ),
        (
            "quay.io/jupyter/pytorch-notebook:cuda12-python-3.12",
            Some(("2.7.1+cu126", "'12.6'")),
            "50 60 70 75 80 86 90",
            "opt/conda/bin/python3.12",
        ),
        (
            "quay.io/jupyter/pytorch-notebook:cuda13-python-3.13",
            Some(("2.11.0+cu130", "'13.0'")),
            "75 80 86 90 100 120",
            "opt/conda/lib/python3.13/site-packages/nvidia/cu13/lib/libcudart.so.13",
        ),
        (
            "acme/serve-x:2.1",
            Some(("2.9.0+cu130", "'13.0'")),
            "75 80 86 90 100 120",
            "usr/local/bin/python3.12",
        ),
        (
            "acme/simulate:1.2",
            Some(("2.8.0+cu128", "'12.8'")),
            "70 75 80 86 90 100 120",
            "usr/local/lib/python3.12/site-packages/numba-0.61.2.dist-info/METADATA",
        ),
        (
            "acme/embed:0.3",
            Some(("2.7.1+cpu", "None")),
            "",
            "lib/x86_64-linux-gnu/libc.so.6",
        ),
        ("redis:7.4-alpine", None, "", "lib/ld-musl-x86_64.so.1"),
    ];
    for (tag, torch, code, path) in cases {
        let picture = PICTURES.iter().find(|p| p.tag == tag).unwrap();
        let files = read(&content::archive(picture.tag));
        assert!(files.content.contains_key(path), "{tag}: {path}");
        let ending = |end: &str| files.content.iter().find(|(path, _)| path.ends_with(end));
        let version =
            ending("/torch/version.py").map(|(_, text)| String::from_utf8_lossy(text).into_owned());
        assert_eq!(version.is_some(), torch.is_some(), "{tag}");
        if let (Some(text), Some((version, cuda))) = (version, torch) {
            assert!(
                text.contains(&format!("__version__ = '{version}'")),
                "{tag}"
            );
            assert!(
                text.contains(&format!("cuda: Optional[str] = {cuda}\n")),
                "{tag}"
            );
        }
        let library = ending("/torch/lib/libtorch_cuda.so");
        assert_eq!(library.is_some(), !code.is_empty(), "{tag}");
        if let Some((_, bytes)) = library {
            let facts = elf(bytes, 4096);
            assert_eq!(sass(&facts).join(" "), code, "{tag}");
            assert_eq!(facts.code.containers(), 40);
            assert!(
                bytes.len() > 200_000 && bytes.len() < 600_000,
                "{}",
                bytes.len()
            );
            // What it needs is in the image.
            assert!(facts.needed.len() > 5, "{:?}", facts.needed);
            for name in facts.needed.iter().filter(|n| !n.starts_with("libc.")) {
                assert!(ending(&format!("/{name}")).is_some(), "{tag}: {name}");
            }
        }
    }
    for picture in PICTURES {
        let archive = content::archive(picture.tag);
        assert!(
            archive.len() < 4 << 20,
            "{}: {}",
            picture.tag,
            archive.len()
        );
        assert_eq!(archive, content::archive(picture.tag));
        assert!(!read(&archive).entries.is_empty());
        // What the environment says is what the files say.
        let env = |name: &str| picture.env.iter().find_map(|e| e.strip_prefix(name));
        if let Some(cuda) = env("CUDA_VERSION=") {
            let short = cuda.rsplit_once('.').unwrap().0;
            let home = format!("usr/local/cuda-{short}/");
            assert!(
                read(&archive)
                    .content
                    .keys()
                    .any(|path| path.starts_with(&home)),
                "{}",
                picture.tag
            );
            let require = env("NVIDIA_REQUIRE_CUDA=").unwrap();
            assert!(
                require.starts_with(&format!("cuda>={short} ")),
                "{}",
                picture.tag
            );
        }
    }
}

#[tokio::test]
async fn the_simulated_engine_is_scanned_as_a_real_one() {
    let host = DemoHost::new(7, Stamp::now());
    let transport = Transport::to(&Endpoint::simulated(host.clone())).unwrap();
    let engine = Engine::Docker(Docker::new(transport, HostId(0)));
    let (image, json) = engine.find_image("my-train:0.4").await.unwrap().unwrap();
    let hex = image.0.strip_prefix("sha256:").unwrap();
    let (same, _) = engine
        .find_image(hex.get(..12).unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(same, image);
    assert_eq!(engine.find_image("nosuch:1").await, Ok(None));
    let events = host.recent_events(Stamp::now()).len();

    let scan = engine
        .create_scan_container(&image, Some("linux/amd64"))
        .await
        .unwrap();
    let rows = engine.list().await.unwrap();
    assert!(!rows.is_empty() && !rows.iter().any(|row| row.key == scan.key));
    let (found, told) = engine
        .find_container(&scan.key.id.to_string())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found, &told["Image"]), (scan.key, &json["Id"]));
    // This process lives: its scan stays.
    assert_eq!(engine.sweep_scan_containers().await, Ok(0));
    let begun = tokio::time::Instant::now();
    let mut export = engine.export(scan.key).await.unwrap();
    let (mut out, mut pieces) = (Vec::new(), 0);
    while export.read(&mut out).await.unwrap() {
        pieces += 1;
    }
    assert_eq!(out, content::archive("my-train:0.4"));
    assert_eq!(json["Size"].as_u64(), Some(out.len() as u64));
    let took = begun.elapsed().as_millis();
    assert!(
        (1000..4000).contains(&took) && pieces > 20,
        "{took} ms, {pieces} pieces"
    );

    // Given up in its middle, it ends.
    let mut export = engine.export(scan.key).await.unwrap();
    assert!(export.read(&mut out).await.unwrap());
    drop(export);
    engine.remove_scan_container(scan.key).await.unwrap();
    engine.remove_scan_container(scan.key).await.unwrap();
    assert_eq!(
        engine.find_container(&scan.key.id.to_string()).await,
        Ok(None)
    );
    assert!(engine.export(scan.key).await.unwrap_err().is_not_found());
    assert_eq!(host.recent_events(Stamp::now()).len(), events);

    // A container's own file system, running or not.
    for (name, tag) in [
        ("platform-redis-1", "redis:7.4-alpine"),
        ("serve-x", "acme/serve-x:2.1"),
    ] {
        let (key, _) = engine.find_container(name).await.unwrap().unwrap();
        let mut export = engine.export(key).await.unwrap();
        out.clear();
        while export.read(&mut out).await.unwrap() {}
        assert_eq!(out, content::archive(tag));
    }
}
