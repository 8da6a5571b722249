//! CUDA itself: runtimes, toolkit, compat, stubs, driver libraries, the C library.

use super::Image;
use crate::inspect::elf::ElfFacts;
use crate::verdict::facts::Libc;

#[test]
fn runtimes_with_their_exact_versions() {
    let found = |image: Image| -> Vec<String> {
        let facts = image.facts();
        facts
            .runtimes
            .iter()
            .map(|r| r.version.to_string())
            .collect()
    };
    let site = "usr/lib/python3/dist-packages";
    let image = Image::new()
        .file("usr/local/cuda-11.8/targets/x86_64-linux/lib/libcudart.so.11.8.89")
        .link(
            "usr/local/cuda-11.8/targets/x86_64-linux/lib/libcudart.so.11.0",
            "libcudart.so.11.8.89",
        )
        .link(
            "usr/local/cuda-11.8/targets/x86_64-linux/lib/libcudart.so",
            "libcudart.so.11.0",
        )
        .file("usr/local/cuda-12.4/targets/x86_64-linux/lib/libcudart.so.12.4.127")
        .dist(site, "nvidia_cuda_runtime-13.0.96")
        .file(&format!("{site}/nvidia/cu13/lib/libcudart.so.13"))
        .dist(site, "nvidia_cuda_runtime_cu12-12.8.90")
        .file(&format!("{site}/nvidia/cuda_runtime/lib/libcudart.so.12"));
    assert_eq!(found(image), ["13.0.96", "12.8.90", "11.8.89", "12.4.127"]);
    // By the package, by the name alone, and none that are links to nothing or empty.
    let image = Image::new()
        .package("cuda-cudart-12-4", "12.4.127-1")
        .file("opt/x/libcudart.so.12")
        .file("opt/y/libcudart.so.11.0")
        .link("opt/z/libcudart.so.12", "nowhere")
        .sized("opt/w/libcudart.so.12.1.105", 0);
    assert_eq!(found(image), ["12.4.127", "11.0"]);
}

#[test]
fn the_toolkit_by_its_compiler() {
    let found = |image: Image| image.facts().toolkit.map(|v| v.to_string());
    let nvcc = |folder: &str| Image::new().file(&format!("{folder}/bin/nvcc"));
    let json = r#"{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}, "cuda_cudart": {"version": "12.4.127"}}"#;
    for (image, expected) in [
        (
            nvcc("usr/local/cuda-12.4").text("usr/local/cuda-12.4/version.json", json),
            Some("12.4.1"),
        ),
        (
            nvcc("usr/local/cuda-10.2")
                .text("usr/local/cuda-10.2/version.txt", "CUDA Version 10.2.300\n"),
            Some("10.2.300"),
        ),
        (
            nvcc("usr/local/cuda-11.8").text("usr/local/cuda-11.8/version.json", "{"),
            Some("11.8"),
        ),
        (
            nvcc("opt/nvidia/hpc_sdk/Linux_x86_64/24.5/cuda/12.4"),
            Some("12.4"),
        ),
        (
            nvcc("opt/conda")
                .file("opt/conda/lib/python3.11/site-packages/x.so")
                .file("opt/conda/conda-meta/cuda-nvcc-12.6.77-hcdd1206_0.json"),
            Some("12.6.77"),
        ),
        (
            Image::new().package("cuda-nvcc-12-4", "12.4.131-1"),
            Some("12.4.131"),
        ),
        (nvcc("usr"), None),
        (
            Image::new().file("usr/local/cuda-12.4/lib64/libcudart.so.12.4.127"),
            None,
        ),
    ] {
        assert_eq!(found(image).as_deref(), expected);
    }
}

const COMPAT: &str = "usr/local/cuda-12.4/compat";

fn compat() -> Image {
    Image::new()
        .link("usr/local/cuda", "/etc/alternatives/cuda")
        .link("etc/alternatives/cuda", "/usr/local/cuda-12.4")
        .file(&format!("{COMPAT}/libcuda.so.550.54.15"))
        .link(&format!("{COMPAT}/libcuda.so.1"), "libcuda.so.550.54.15")
        .file(&format!("{COMPAT}/libnvidia-ptxjitcompiler.so.550.54.15"))
}

#[test]
fn the_compat_package_and_what_forces_it() {
    let found = |image: Image| {
        let facts = image.facts();
        assert_eq!(
            facts.driver_libraries,
            [],
            "compat libraries are no driver's"
        );
        let compat = facts.compat.unwrap();
        let cuda = compat.cuda.map(|v| v.to_string()).unwrap_or_default();
        (
            format!("{} {} {cuda}", compat.path, compat.driver),
            compat.forced_by,
            compat.candidates,
        )
    };
    let usual = format!("/{COMPAT} 550.54.15 12.4");
    assert_eq!(found(compat()), (usual.clone(), None, 1));
    // The toolkit's hook wants exactly one.
    let two = compat().file(&format!("{COMPAT}/libcuda.so.545.23.08"));
    assert_eq!(found(two), (usual.clone(), None, 2));
    for (image, by) in [
        (
            compat().env(
                "LD_LIBRARY_PATH",
                "/usr/local/nvidia/lib:/usr/local/cuda/compat",
            ),
            "LD_LIBRARY_PATH",
        ),
        (
            compat().env("LD_LIBRARY_PATH", "/usr/local/cuda-12.4/compat/"),
            "LD_LIBRARY_PATH",
        ),
        (
            compat()
                .text(
                    "etc/ld.so.conf.d/00-compat.conf",
                    "/usr/local/cuda/compat\n",
                )
                .text(
                    "etc/ld.so.conf.d/x86_64-linux-gnu.conf",
                    "/usr/lib/x86_64-linux-gnu\n",
                ),
            "/etc/ld.so.conf.d/00-compat.conf",
        ),
    ] {
        assert_eq!(found(image), (usual.clone(), Some(by.to_owned()), 1));
    }
    // After the driver's own folder it does nothing.
    let late = compat()
        .text(
            "etc/ld.so.conf.d/x86_64-linux-gnu.conf",
            "/usr/lib/x86_64-linux-gnu\n",
        )
        .text(
            "etc/ld.so.conf.d/zz-compat.conf",
            "/usr/local/cuda/compat\n",
        );
    assert_eq!(found(late), (usual, None, 1));
    // NVIDIA's framework images.
    let ngc = Image::new()
        .link("usr/local/cuda", "cuda-12.8")
        .file("usr/local/cuda-12.8/compat/lib.real/libcuda.so.570.86.10")
        .env(
            "LD_LIBRARY_PATH",
            "/usr/local/cuda/compat/lib:/usr/local/nvidia/lib",
        );
    assert_eq!(
        found(ngc),
        (
            "/usr/local/cuda-12.8/compat/lib.real 570.86.10 12.8".to_owned(),
            None,
            1
        )
    );
}

#[test]
fn the_compat_note_says_whom_it_serves() {
    let note =
        r#"{"format": 1, "CUDA version": "12.9", "driver": [535, 550], "device": [1, 2, 4]}"#;
    let noted = |text: &str| {
        let facts = ElfFacts {
            note: Some(text.to_owned()),
            ..ElfFacts::default()
        };
        Image::new()
            .elf("usr/local/cuda/compat/libcuda.so.575.57.08", facts)
            .facts()
            .compat
            .unwrap()
    };
    let compat = noted(note);
    assert_eq!(compat.cuda.unwrap().to_string(), "12.9");
    let note = compat.note.unwrap();
    assert_eq!(
        (note.drivers, note.devices),
        (vec![535, 550], vec![1, 2, 4])
    );
    // A note of another form says nothing; the catalogue still knows the driver's CUDA.
    let compat = noted("{\"driver\": \"all\"}");
    assert_eq!(compat.note, None);
    assert_eq!(compat.cuda.unwrap().to_string(), "12.9");
}

#[test]
fn stubs_and_drivers_that_are_in_the_image() {
    let stubs = "usr/local/cuda-12.4/targets/x86_64-linux/lib/stubs";
    let image = Image::new()
        .link("usr/local/cuda", "cuda-12.4")
        .link("usr/local/cuda-12.4/lib64", "targets/x86_64-linux/lib")
        .file(&format!("{stubs}/libcuda.so"));
    let facts = image
        .env("LD_LIBRARY_PATH", "/usr/local/cuda/lib64/stubs")
        .facts();
    assert_eq!(facts.stubs.len(), 1);
    assert_eq!(
        facts.stubs[0].searched_by.as_deref(),
        Some("LD_LIBRARY_PATH")
    );
    assert!(!facts.stubs[0].has_soname);
    assert_eq!(
        facts.library_path,
        [(
            "/usr/local/cuda/lib64/stubs".to_owned(),
            format!("/{stubs}")
        )]
    );
    assert_eq!(facts.driver_libraries, []);
    let facts = Image::new()
        .file(&format!("{stubs}/libcuda.so"))
        .link(&format!("{stubs}/libcuda.so.1"), "libcuda.so")
        .env("LIBRARY_PATH", &format!("/{stubs}"))
        .facts();
    assert!(facts.stubs[0].has_soname);
    assert_eq!(facts.stubs[0].searched_by, None);

    let lib = "usr/lib/x86_64-linux-gnu";
    let drivers = |image: Image| -> Vec<String> {
        image
            .facts()
            .driver_libraries
            .iter()
            .map(|l| {
                format!(
                    "{} {:?} {}",
                    l.path,
                    l.version.as_ref().map(ToString::to_string),
                    l.empty
                )
            })
            .collect()
    };
    let baked = || {
        Image::new()
            .file(&format!("{lib}/libcuda.so.535.104.05"))
            .file(&format!("{lib}/libnvidia-ml.so.535.104.05"))
            .link(&format!("{lib}/libcuda.so.1"), "libcuda.so.535.104.05")
    };
    let one = format!("/{lib}/libcuda.so.535.104.05 Some(\"535.104.05\") false");
    assert_eq!(drivers(baked()), std::slice::from_ref(&one));
    let two = baked().file("opt/old/libnvidia-ml.so.470.57.02");
    assert_eq!(
        drivers(two),
        [
            "/opt/old/libnvidia-ml.so.470.57.02 Some(\"470.57.02\") false".to_owned(),
            one
        ]
    );
    // What `docker commit` of a GPU container leaves; in the container itself the host's are mounted there.
    let left = || {
        Image::new()
            .sized(&format!("{lib}/libcuda.so.550.54.15"), 0)
            .sized(&format!("{lib}/libcuda.so.1"), 0)
    };
    assert_eq!(drivers(left()).len(), 2);
    assert!(drivers(left().live()).is_empty());
    assert_eq!(drivers(baked().live()).len(), 1);
    // A program's own file of that name is no driver's.
    assert!(drivers(Image::new().file("opt/x/libcuda.so.1")).is_empty());
}

#[test]
fn the_c_library_and_what_else_has_versions() {
    let libc = |image: Image| match image.facts().libc {
        Some(Libc::Glibc(Some(version))) => format!("glibc {version}"),
        Some(Libc::Glibc(None)) => "glibc".to_owned(),
        Some(Libc::Musl) => "musl".to_owned(),
        None => "none".to_owned(),
    };
    let mut told = Image::new().package("libc6", "2.35-0ubuntu3.8");
    assert_eq!(libc(told), "glibc 2.35");
    told = Image::new().package("libc6", "2.35-0ubuntu3.8");
    told.content.glibc = Some("2.31".into());
    assert_eq!(libc(told), "glibc 2.31");
    assert_eq!(libc(Image::new().file("lib64/libc.so.6")), "glibc");
    assert_eq!(libc(Image::new().file("lib/ld-musl-x86_64.so.1")), "musl");
    assert_eq!(libc(Image::new()), "none");

    let version = |image: Image| {
        let facts = image.facts();
        (
            facts.cudnn.unwrap_or_default(),
            facts.nccl.unwrap_or_default(),
        )
    };
    let lib = "usr/lib/x86_64-linux-gnu";
    for (image, cudnn, nccl) in [
        (
            Image::new()
                .package("libcudnn9-cuda-12", "9.1.0.70-1")
                .package("libnccl2", "2.21.5-1+cuda12.4"),
            "9.1.0.70",
            "2.21.5",
        ),
        (
            Image::new()
                .package("libcudnn8-dev", "8.9.0-1")
                .file(&format!("{lib}/libcudnn.so.8.9.7")),
            "8.9.7",
            "",
        ),
        // Numbers, not letters, decide which is newer.
        (
            Image::new()
                .file(&format!("{lib}/libcudnn.so.9.9.0"))
                .file(&format!("{lib}/libcudnn_ops.so.9.10.2")),
            "9.10.2",
            "",
        ),
        (
            Image::new()
                .env("NV_CUDNN_VERSION", "9.7.0.66-1")
                .env("NCCL_VERSION", "2.16.2-1"),
            "9.7.0.66",
            "2.16.2",
        ),
        (Image::new(), "", ""),
    ] {
        assert_eq!(version(image), (cudnn.to_owned(), nccl.to_owned()));
    }
}
