//! Small file systems through the walk, whole and in layers.

use super::samples::{code, cuda_library, elf, file, header, known, layered, tar, walked};
use crate::inspect::content::Node;
use crate::verdict::Version;
use crate::verdict::facts::{Build, Libc};

fn glibc(version: &str) -> Vec<u8> {
    let said =
        format!("\0GNU C Library (Debian GLIBC {version}-9) stable release version {version}.\n\0");
    elf(&[], &[(".rodata", said.into_bytes())])
}

#[test]
fn one_archive_tells_the_same_in_pieces_of_any_size() {
    let site = "usr/lib/python3.11/site-packages";
    let library = elf(
        &["libcudart.so.12", "libc.so.6", "libcuda.so.1"],
        &[
            (".text", vec![0x90; 5000]),
            (
                ".nv_fatbin",
                [
                    code(&[80, 90], None),
                    code(&[80], None),
                    code(&[80, 90], None),
                ]
                .concat(),
            ),
            ("__nv_relfatbin", code(&[], Some((90, (8, 4))))),
        ],
    );
    let archive = tar(&[
        file(
            &format!("{site}/torch/version.py"),
            b"__version__ = '2.6.0+cu124'\ncuda: Optional[str] = '12.4'\n",
        ),
        file(&format!("{site}/torch/lib/libtorch_cuda.so"), &library),
        file(&format!("{site}/torch-2.6.0.dist-info/METADATA"), b"x"),
        file("usr/lib/x86_64-linux-gnu/libc.so.6", &glibc("2.36")),
        file("opt/sysroot/lib64/libc.so.6", &glibc("2.17")),
        file(
            "var/lib/dpkg/status",
            b"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\n",
        ),
        file("app/notes.txt", b"torch"),
        header("usr/bin/python3", b'2', 0, "python3.11"),
    ]);
    let whole = walked(&archive, archive.len());
    for piece in [1, 7, 64, 511, 512, 4096] {
        assert_eq!(walked(&archive, piece), whole, "pieces of {piece}");
    }
    assert_eq!(whole.gaps, Vec::<String>::new());
    let found = &whole.elves[&format!("{site}/torch/lib/libtorch_cuda.so")];
    assert_eq!(
        found.needed,
        ["libcudart.so.12", "libc.so.6", "libcuda.so.1"]
    );
    assert_eq!(found.problem, None);
    assert_eq!(found.code.containers(), 3);
    assert_eq!(found.code.shapes[0].1, 2);
    assert_eq!(found.code.relocatable_ptx[0].isa, (8, 4));
    let facts = known(whole).facts();
    assert_eq!(facts.libc, Some(Libc::Glibc(Version::parse("2.36"))));
    let torch = &facts.frameworks[0];
    assert_eq!(torch.build, Build::Cuda(Version::parse("12.4")));
    assert_eq!(torch.version.as_deref(), Some("2.6.0+cu124"));
    assert_eq!(torch.missing, ["libcudart.so.12"]);
}

/// A hand-made archive may have no entries for folders: a file inside tells of its package's record.
#[test]
fn packages_are_found_without_entries_for_folders() {
    let site = "usr/lib/python3/dist-packages";
    let archive = tar(&[
        file(&format!("{site}/jax-0.6.0.dist-info/METADATA"), b"x"),
        file(&format!("{site}/jaxlib-0.6.0.dist-info/RECORD"), b"x"),
        file(&format!("{site}/jaxlib/version.py"), b"x"),
    ]);
    let facts = known(walked(&archive, 512)).facts();
    let jax = &facts.frameworks[0];
    assert_eq!((jax.name.as_str(), &jax.build), ("jax", &Build::Cpu));
}

fn paths(content: &crate::inspect::Content) -> Vec<&str> {
    content.nodes.keys().map(String::as_str).collect()
}

#[test]
fn upper_layers_hide_and_replace_what_lower_ones_have() {
    let a = cuda_library(&[], &[80]);
    let b = cuda_library(&[], &[90]);
    let base = tar(&[
        file("opt/a/libone.so", &a),
        file("opt/a/libtwo.so", &a),
        file("opt/b/libthree.so", &a),
        file("opt/ab/libfour.so", &a),
        file("opt/c", &a),
        header("opt/d.so", b'2', 0, "a/libone.so"),
        file("etc/ld.so.conf.d/a.conf", b"/opt/a\n"),
        file(
            "var/lib/dpkg/status",
            b"Package: cuda-cudart-12-4\nVersion: 12.4.127-1\n",
        ),
    ]);
    let names = |upper: &[Vec<u8>]| {
        let content = layered(&[base.clone(), tar(upper)]);
        assert_eq!(content.gaps, Vec::<String>::new());
        content
    };
    // A whiteout of a file, of a folder, and an opaque folder that has something new.
    let content = names(&[file("opt/a/.wh.libone.so", b""), file("opt/.wh.b", b"")]);
    assert_eq!(
        paths(&content),
        [
            "etc/ld.so.conf.d/a.conf",
            "opt/a/libtwo.so",
            "opt/ab/libfour.so",
            "opt/d.so"
        ]
    );
    let new = file("opt/a/libnew.so", &b);
    for upper in [
        [new.clone(), file("opt/a/.wh..wh..opq", b"")],
        [file("opt/a/.wh..wh..opq", b""), new],
    ] {
        let content = names(&upper);
        assert!(content.nodes.contains_key("opt/a/libnew.so"));
        assert!(!content.elves.contains_key("opt/a/libone.so"));
        assert!(content.elves.contains_key("opt/ab/libfour.so"));
    }
    // A folder becomes a file, a file becomes a folder, a link a file and a file a link.
    let content = names(&[
        file("opt/a", b"x"),
        header("opt/b/libthree.so/", b'5', 0, ""),
        file("opt/b/libthree.so/libin.so", &b),
        file("opt/d.so", &b),
        header("opt/ab/libfour.so", b'2', 0, "/opt/d.so"),
    ]);
    assert_eq!(
        content.elves.keys().collect::<Vec<_>>(),
        ["opt/b/libthree.so/libin.so", "opt/d.so"]
    );
    assert_eq!(
        content.nodes["opt/ab/libfour.so"],
        Node::Link("/opt/d.so".into())
    );
    // A hard link to a lower layer's file, and the newest list of packages.
    let content = names(&[
        header("srv/libone.so", b'1', 0, "opt/a/libone.so"),
        file(
            "var/lib/dpkg/status",
            b"Package: libnccl2\nVersion: 2.21.5-1\n",
        ),
        file("etc/ld.so.conf.d/.wh.a.conf", b""),
    ]);
    assert_eq!(
        content.nodes["srv/libone.so"],
        Node::Link("/opt/a/libone.so".into())
    );
    assert_eq!(
        content.packages,
        [("libnccl2".to_owned(), "2.21.5-1".to_owned())]
    );
    assert!(content.texts.is_empty());
    let content = names(&[
        file("var/lib/dpkg/.wh.status", b""),
        file(".wh..wh..opq", b""),
    ]);
    assert!(content.nodes.is_empty() && content.packages.is_empty() && content.elves.is_empty());
}
