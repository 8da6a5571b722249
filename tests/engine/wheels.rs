//! Real wheels in a real engine: what `midwatch check` finds is exactly what the wheels hold.
//!
//! `MIDWATCH_TEST_WHEELS` names a folder with `nvidia_cuda_runtime_cu12-12.4.127` and `bitsandbytes-0.50.2`
//! as PyPI has them for x86_64 (`.ci/run` fetches them). Their numbers were taken with another reader.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use midwatch::inspect::elf::ElfStream;
use serde_json::{Value, json};

use crate::engine_rig::{socket, try_docker};

const TAG: &str = "midwatch-test:wheels";
const SITE: &str = "usr/local/lib/python3.11/site-packages";

/// CUDA of its name, SASS, PTX, ISA of the PTX.
type Library = (&'static str, &'static [u32], u32, (u32, u32));

/// The libraries of bitsandbytes 0.50.2: SASS, and PTX with its ISA, which is in `__nv_relfatbin` alone.
const LIBRARIES: &[Library] = &[
    ("118", &[60, 70, 75, 80, 86, 89, 90], 90, (7, 8)),
    ("121", &[60, 70, 75, 80, 86, 89, 90], 90, (8, 1)),
    ("124", &[60, 70, 75, 80, 86, 89, 90], 90, (8, 4)),
    ("126", &[60, 70, 75, 80, 86, 89, 90], 90, (8, 5)),
    ("128", &[70, 75, 80, 86, 89, 90, 100, 120], 120, (8, 7)),
    ("130", &[75, 80, 86, 89, 90, 100, 120], 120, (9, 0)),
    ("132", &[75, 80, 86, 89, 90, 100, 120], 120, (9, 2)),
];

/// The folder of wheels; `None` (told loudly) where none is named, a failure where an engine is required.
fn wheels() -> Option<PathBuf> {
    let named = std::env::var_os("MIDWATCH_TEST_WHEELS").filter(|folder| !folder.is_empty());
    if named.is_none() {
        assert_ne!(
            std::env::var("MIDWATCH_REQUIRE_ENGINE").as_deref(),
            Ok("1"),
            "MIDWATCH_TEST_WHEELS names no folder of wheels, and MIDWATCH_REQUIRE_ENGINE=1 wants one"
        );
        eprintln!("SKIPPED, NOT PASSED: MIDWATCH_TEST_WHEELS names no folder of wheels");
    }
    named.map(PathBuf::from)
}

fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}

/// Unpacks the wheel whose name begins so: a zip without comment, encryption or 64-bit sizes.
fn unpack(folder: &Path, begins: &str, into: &Path) {
    let wheel = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(begins) && name.ends_with(".whl")
        })
        .unwrap_or_else(|| panic!("{} has no {begins}*.whl", folder.display()));
    let bytes = std::fs::read(wheel).unwrap();
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    let mut at = number(&bytes, end + 16, 4);
    for _ in 0..number(&bytes, end + 10, 2) {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let (method, packed) = (number(&bytes, at + 10, 2), number(&bytes, at + 20, 4));
        let name_len = number(&bytes, at + 28, 2);
        let name = std::str::from_utf8(&bytes[at + 46..at + 46 + name_len]).unwrap();
        let local = number(&bytes, at + 42, 4);
        at += 46 + name_len + number(&bytes, at + 30, 2) + number(&bytes, at + 32, 2);
        let start = local + 30 + number(&bytes, local + 26, 2) + number(&bytes, local + 28, 2);
        if name.ends_with('/') || name.contains("..") {
            continue;
        }
        let data = &bytes[start..start + packed];
        let mut content = Vec::new();
        match method {
            0 => content.extend(data),
            _ => {
                let mut inflate = flate2::read::DeflateDecoder::new(data);
                inflate.read_to_end(&mut content).unwrap();
            }
        }
        let path = into.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn import(socket: &str, folder: &Path) {
    let mut tar = Command::new("tar")
        .args(["-C", folder.to_str().unwrap(), "-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = Command::new("docker")
        .args(["-H", &format!("unix://{socket}"), "import"])
        .args(["-c", "ENV PATH=/usr/local/bin:/usr/bin", "-", TAG])
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(
        tar.wait().unwrap().success() && output.status.success(),
        "{output:?}"
    );
}

/// The image's part of `midwatch check --json`, for a host that is not here.
fn check(socket: &str) -> Value {
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(["-H", &format!("unix://{socket}"), "--data-dir"])
        .arg(data.path())
        .args(["check", TAG, "--json"])
        .args(["--driver", "550.54.15", "--gpu", "H100", "--scan", "full"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    document["images"][0].clone()
}

fn names(prefix: &str, numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|n| format!("{prefix}_{n}")).collect()
}

#[test]
fn real_wheels_are_told_exactly() {
    let (Some(socket), Some(wheels)) = (socket(), wheels()) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join(SITE);
    std::fs::create_dir_all(&site).unwrap();
    unpack(&wheels, "nvidia_cuda_runtime_cu12-12.4.127-", &site);
    unpack(&wheels, "bitsandbytes-0.50.2-", &site);
    // Torch for the CPU, as its wheel says it.
    let torch = "__version__ = '2.6.0+cpu'\ndebug = False\ncuda: Optional[str] = None\nhip: Optional[str] = None\n";
    std::fs::create_dir_all(site.join("torch-2.6.0+cpu.dist-info")).unwrap();
    std::fs::create_dir_all(site.join("torch")).unwrap();
    std::fs::write(site.join("torch/version.py"), torch).unwrap();
    let bin = folder.path().join("usr/local/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("python3.11"), "x").unwrap();
    std::os::unix::fs::symlink("python3.11", bin.join("python")).unwrap();

    import(&socket, folder.path());
    let image = check(&socket);
    try_docker(&socket, &["rmi", "-f", TAG]);

    assert_eq!(image["cuda"]["runtimes"], json!(["12.4.127"]), "{image}");
    assert_eq!(image["python"], "/usr/local/bin/python");
    let framework = |name: &str| -> Value {
        let all = image["frameworks"].as_array().unwrap();
        all.iter().find(|f| f["name"] == name).unwrap().clone()
    };
    let torch = framework("torch");
    assert_eq!(
        (&torch["version"], &torch["build"], &torch["on_path"]),
        (&json!("2.6.0+cpu"), &json!("cpu"), &json!(true))
    );
    assert_eq!(framework("bitsandbytes")["version"], "0.50.2");
    assert_eq!(framework("bitsandbytes")["build"], "cpu");
    assert_eq!(image["frameworks"].as_array().unwrap().len(), 2);

    let libraries = image["libraries"].as_array().unwrap();
    assert_eq!(libraries.len(), LIBRARIES.len(), "{libraries:#?}");
    for (cuda, sass, ptx, isa) in LIBRARIES {
        let path = format!("bitsandbytes/libbitsandbytes_cuda{cuda}.so");
        let library = libraries
            .iter()
            .find(|l| l["path"] == format!("/{SITE}/{path}"))
            .unwrap();
        let found: Vec<&String> = library["sass"].as_object().unwrap().keys().collect();
        let mut expected = names("sm", sass);
        expected.sort();
        assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{cuda}");
        assert!(
            library["sass"]
                .as_object()
                .unwrap()
                .values()
                .all(|share| *share == 1.0)
        );
        assert_eq!(library["ptx"], json!([]), "{cuda}");
        assert_eq!(
            library["ptx_relocatable"],
            json!(names("compute", &[*ptx])),
            "{cuda}"
        );
        assert_eq!(
            (&library["containers"], &library["problem"]),
            (&json!(1), &Value::Null)
        );
        // The ISA, which the document does not tell.
        let mut stream = ElfStream::new();
        for piece in std::fs::read(site.join(&path)).unwrap().chunks(65_521) {
            stream.feed(piece);
        }
        let facts = stream.finish();
        let found: Vec<(u32, u32)> = facts.code.relocatable_ptx.iter().map(|p| p.isa).collect();
        assert_eq!(found, [*isa], "{cuda}");
        let runtime = if cuda.starts_with("11") {
            "libcudart.so.11.0"
        } else {
            "libcudart.so."
        };
        assert!(
            facts.needed.iter().any(|n| n.starts_with(runtime)),
            "{cuda}: {:?}",
            facts.needed
        );
    }
}
