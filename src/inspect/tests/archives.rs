//! Archives of images: what `docker save` wrote and writes, OCI layouts, bare file systems, damaged ones.

use std::io::Write;

use serde_json::json;

use super::samples::{cuda_library, file, header, tar};
use crate::inspect::archive::{ArchiveError, Archived, read};

fn open(bytes: &[u8], platform: Option<&str>) -> Result<Vec<Archived>, ArchiveError> {
    let mut temporary = tempfile::NamedTempFile::new().unwrap();
    temporary.write_all(bytes).unwrap();
    read(temporary.path(), platform, &mut |_, _| true)
}

fn libraries(image: &Archived) -> Vec<&str> {
    let content = image.known.content.as_ref().unwrap();
    content.elves.keys().map(String::as_str).collect()
}

fn gaps(image: &Archived) -> Vec<&str> {
    let content = image.known.content.as_ref().unwrap();
    content.gaps.iter().map(String::as_str).collect()
}

fn layers() -> [Vec<u8>; 2] {
    [
        tar(&[
            file("opt/libone.so", &cuda_library(&[], &[80])),
            file("opt/libtwo.so", &cuda_library(&[], &[80])),
        ]),
        tar(&[
            file("opt/.wh.libone.so", b""),
            file("opt/libthree.so", &cuda_library(&[], &[90])),
        ]),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn json(name: &str, value: &serde_json::Value) -> Vec<u8> {
    file(name, value.to_string().as_bytes())
}

fn config(cpu: &str) -> serde_json::Value {
    json!({"os": "linux", "architecture": cpu, "config": {"Env": ["CUDA_VERSION=12.4.1"]}})
}

const CONFIG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn docker_save_old_and_new_and_two_images_in_one() {
    let [one, two] = layers();
    let old = tar(&[
        file("aa/layer.tar", &one),
        file("bb/layer.tar", &two),
        header("cc/layer.tar", b'2', 0, "../aa/layer.tar"),
        json(&format!("{CONFIG}.json"), &config("amd64")),
        json("other.json", &config("arm64")),
        json(
            "manifest.json",
            &json!([
                {"Config": format!("{CONFIG}.json"), "RepoTags": ["mine:1"], "Layers": ["aa/layer.tar", "bb/layer.tar"]},
                {"Config": "other.json", "RepoTags": null, "Layers": ["cc/layer.tar"]},
            ]),
        ),
    ]);
    let images = open(&old, None).unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(images[0].name.as_deref(), Some("mine:1"));
    assert_eq!(images[0].id, Some(format!("sha256:{CONFIG}")));
    assert_eq!(images[0].known.config.env("CUDA_VERSION"), Some("12.4.1"));
    assert_eq!(libraries(&images[0]), ["opt/libthree.so", "opt/libtwo.so"]);
    assert_eq!(libraries(&images[1]), ["opt/libone.so", "opt/libtwo.so"]);
    assert_eq!(
        images[1].known.config.platform.as_deref(),
        Some("linux/arm64")
    );
    assert_eq!(images[1].name, None);

    let new = tar(&[
        file("blobs/sha256/one", &gzip(&one)),
        file("blobs/sha256/two", &zstd(&two)),
        json(&format!("blobs/sha256/{CONFIG}"), &config("amd64")),
        json("index.json", &json!({"manifests": []})),
        json(
            "manifest.json",
            &json!([{"Config": format!("blobs/sha256/{CONFIG}"), "RepoTags": ["mine:2"],
                     "Layers": ["blobs/sha256/one", "blobs/sha256/two"]}]),
        ),
    ]);
    let images = open(&new, None).unwrap();
    assert_eq!(libraries(&images[0]), ["opt/libthree.so", "opt/libtwo.so"]);
    assert!(gaps(&images[0]).is_empty());
}

/// An OCI layout whose index lists an index of platforms, each with its attestation.
fn oci(held: &[&str]) -> Vec<u8> {
    let [one, two] = layers();
    let mut parts = vec![
        file("blobs/sha256/one", &gzip(&one)),
        file("blobs/sha256/two", &two),
    ];
    let platforms = ["amd64", "arm64", "arm"];
    let mut listed = Vec::new();
    for cpu in platforms {
        listed.push(json!({"digest": format!("sha256:m-{cpu}"), "platform": {"os": "linux", "architecture": cpu}}));
        listed.push(json!({
            "digest": format!("sha256:a-{cpu}"),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        }));
        if held.contains(&cpu) {
            parts.push(json(&format!("blobs/sha256/c-{cpu}"), &config(cpu)));
            parts.push(json(
                &format!("blobs/sha256/m-{cpu}"),
                &json!({"config": {"digest": format!("sha256:c-{cpu}")},
                        "layers": [{"digest": "sha256:one"}, {"digest": "sha256:two"}]}),
            ));
        }
    }
    parts.push(json("blobs/sha256/inner", &json!({"manifests": listed})));
    parts.push(json(
        "index.json",
        &json!({"manifests": [{"digest": "sha256:inner",
                "annotations": {"io.containerd.image.name": "docker.io/library/mine:3"}}]}),
    ));
    tar(&parts)
}

#[test]
fn an_oci_index_gives_the_platform_that_is_asked_for() {
    let cpus = |held: &[&str], platform: Option<&str>| -> Vec<String> {
        let images = open(&oci(held), platform).unwrap();
        for image in &images {
            assert_eq!(image.name.as_deref(), Some("docker.io/library/mine:3"));
            assert_eq!(libraries(image), ["opt/libthree.so", "opt/libtwo.so"]);
        }
        images
            .into_iter()
            .map(|i| i.known.config.platform.unwrap())
            .collect()
    };
    let all = ["amd64", "arm64", "arm"];
    assert_eq!(cpus(&all, Some("linux/amd64")), ["linux/amd64"]);
    // `arm64` is not `arm`.
    assert_eq!(cpus(&all, Some("linux/arm64/v8")), ["linux/arm64"]);
    assert_eq!(cpus(&all, None).len(), 3);
    // Asked for one that is not among them: all, and the verdict tells of the mismatch.
    assert_eq!(cpus(&all, Some("linux/riscv64")).len(), 3);
    // Listed, but not in the archive.
    assert_eq!(cpus(&["arm64"], Some("linux/amd64")), ["linux/arm64"]);
    assert_eq!(cpus(&["arm64"], None), ["linux/arm64"]);
    assert!(open(&oci(&[]), None).is_err());
}

#[test]
fn a_damaged_layer_is_a_gap_and_the_others_count() {
    let [one, two] = layers();
    let broken_gzip = {
        let mut bytes = gzip(&one);
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let broken_zstd = {
        let mut bytes = zstd(&one);
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    let broken_header = {
        let mut bytes = one.clone();
        bytes[3] ^= 1;
        bytes
    };
    for (damage, layer, reason) in [
        (
            "gzip that ends early",
            broken_gzip,
            "a layer cannot be unpacked",
        ),
        (
            "zstd that ends early",
            broken_zstd,
            "a layer cannot be unpacked",
        ),
        (
            "a header that does not fit",
            broken_header,
            "a layer is no whole archive",
        ),
        (
            "cut inside a file",
            one[..700].to_vec(),
            "a layer is no whole archive",
        ),
        (
            "a window of 2 GiB",
            vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0xA8, 0, 0, 0, 0],
            "a layer cannot be unpacked",
        ),
    ] {
        let archive = tar(&[
            file("l1", &layer),
            file("l2", &two),
            json("c.json", &config("amd64")),
            json(
                "manifest.json",
                &json!([{"Config": "c.json", "Layers": ["l1", "l2"]}]),
            ),
        ]);
        let images = open(&archive, None).unwrap();
        assert!(
            libraries(&images[0]).contains(&"opt/libthree.so"),
            "{damage}"
        );
        assert_eq!(gaps(&images[0]).len(), 1, "{damage}");
        assert!(
            gaps(&images[0])[0].starts_with(reason),
            "{damage}: {:?}",
            gaps(&images[0])
        );
    }
}

#[test]
fn a_bare_file_system_and_what_is_none_at_all() {
    let bare = tar(&[
        file("manifest.json", b"{}"),
        file("etc/ld.so.conf.d/a.conf", b"/opt\n"),
        file("opt/libone.so", &cuda_library(&[], &[80])),
    ]);
    let images = open(&bare, None).unwrap();
    assert_eq!(libraries(&images[0]), ["opt/libone.so"]);
    assert_eq!(images[0].id, None);
    // More entries than an image's archive has.
    let mut many: Vec<Vec<u8>> = (0..17_000)
        .map(|n| header(&format!("srv/{n}"), b'0', 0, ""))
        .collect();
    many.push(file("srv/libone.so", &cuda_library(&[], &[80])));
    assert_eq!(
        libraries(&open(&tar(&many), None).unwrap()[0]),
        ["srv/libone.so"]
    );
    for (bytes, said) in [
        (gzip(&bare), "compressed as a whole"),
        (b"no archive at all, but text".repeat(100), "damaged"),
        (bare[..900].to_vec(), "middle of an entry"),
        (
            tar(&[json(
                "manifest.json",
                &json!([{"Config": "../../etc/passwd", "Layers": []}]),
            )]),
            "does not hold it",
        ),
        (Vec::new(), "nothing in it"),
        (tar(&[]), "nothing in it"),
        (tar(&[file("manifest.json", b"not json")]), "cannot be read"),
        (tar(&[json("manifest.json", &json!([]))]), "lists no image"),
        (
            tar(&[json(
                "index.json",
                &json!({"manifests": [{"digest": "sha256:a/../../b"}]}),
            )]),
            "without a digest",
        ),
    ] {
        let error = open(&bytes, None).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut temporary = tempfile::NamedTempFile::new().unwrap();
    temporary.write_all(&bare).unwrap();
    let cancelled = read(temporary.path(), None, &mut |_, _| false);
    assert!(matches!(cancelled, Err(ArchiveError::Cancelled)));
}

#[test]
fn a_layer_named_a_thousand_times_is_not_read_so_often() {
    let [one, _] = layers();
    let archive = tar(&[
        file("l1", &one),
        json("c.json", &config("amd64")),
        json(
            "manifest.json",
            &json!([{"Config": "c.json", "Layers": vec!["l1"; 500]}]),
        ),
    ]);
    let images = open(&archive, None).unwrap();
    assert_eq!(gaps(&images[0]), ["its layers are larger than its file"]);
}
