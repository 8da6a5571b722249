//! Python environments: which one the image's `python` gets.

use super::Image;

/// A torch of this CUDA in a folder of packages.
fn torch(image: Image, site: &str, cuda: &str) -> Image {
    image
        .dist(site, "torch-2.6.0")
        .text(
            &format!("{site}/torch/version.py"),
            &format!("__version__ = '2.6.0'\ncuda: Optional[str] = '{cuda}'\n"),
        )
        .cuda(&format!("{site}/torch/lib/libtorch_cuda.so"), &[])
}

/// `12.4 on path` for each, by folder.
fn told(image: Image) -> Vec<String> {
    let facts = image.facts();
    let program = facts.python.as_deref().unwrap_or("none").to_owned();
    let mut lines: Vec<String> = facts
        .frameworks
        .iter()
        .map(|f| {
            let cuda = f.build.to_string().replace("CUDA ", "");
            match f.on_path {
                Some(true) => format!("{cuda} on path"),
                Some(false) => format!("{cuda} off path"),
                None => cuda,
            }
        })
        .collect();
    lines.push(program);
    lines
}

const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn debian() -> Image {
    Image::new()
        .env("PATH", USUAL)
        .file("usr/bin/python3.11")
        .link("usr/bin/python3", "python3.11")
        .link("bin", "usr/bin")
        .link("lib", "usr/lib")
}

#[test]
fn system_pythons() {
    // Debian's own, with pip's folder before apt's.
    let image = torch(debian(), "usr/local/lib/python3.11/dist-packages", "12.4");
    let image = torch(image, "usr/lib/python3/dist-packages", "11.8");
    assert_eq!(
        told(image),
        ["11.8 off path", "12.4 on path", "/usr/bin/python3"]
    );
    // The official image's in /usr/local comes first on the PATH.
    let image = debian()
        .file("usr/local/bin/python3.12")
        .link("usr/local/bin/python3", "python3.12")
        .link("usr/local/bin/python", "python3");
    let image = torch(image, "usr/local/lib/python3.12/site-packages", "12.8");
    let image = torch(image, "usr/lib/python3/dist-packages", "11.8");
    assert_eq!(
        told(image),
        ["11.8 off path", "12.8 on path", "/usr/local/bin/python"]
    );
    // Red Hat's has 64-bit packages in lib64.
    let image = Image::new()
        .file("usr/bin/python3.9")
        .link("usr/bin/python3", "python3.9");
    let image = torch(image, "usr/local/lib64/python3.9/site-packages", "12.1");
    assert_eq!(told(image), ["12.1 on path", "/usr/bin/python3"]);
    // The user's own packages come before the system's.
    let image = torch(
        debian().env("HOME", "/home/me"),
        "home/me/.local/lib/python3.11/site-packages",
        "12.6",
    );
    let image = torch(image, "usr/local/lib/python3.11/dist-packages", "12.4");
    assert_eq!(
        told(image),
        ["12.6 on path", "12.4 off path", "/usr/bin/python3"]
    );
    // PYTHONPATH before all, be it named like a folder of packages or not.
    for folder in ["srv/deps", "srv/site-packages"] {
        let image = torch(
            debian().env("PYTHONPATH", &format!("/{folder}:relative")),
            folder,
            "13.0",
        );
        let image = torch(image, "usr/local/lib/python3.11/dist-packages", "12.4");
        assert_eq!(
            told(image),
            ["13.0 on path", "12.4 off path", "/usr/bin/python3"]
        );
    }
}

#[test]
fn virtual_environments() {
    let cfg = |more: &str| {
        format!("home = /usr/bin\nversion = 3.11.2\ninclude-system-site-packages = {more}\n")
    };
    let venv = |more: &str, path: &str| {
        let image = debian()
            .env("PATH", path)
            .link("opt/venv/bin/python", "/usr/bin/python3")
            .text("opt/venv/pyvenv.cfg", &cfg(more));
        torch(image, "usr/local/lib/python3.11/dist-packages", "11.8")
    };
    let activated = "/opt/venv/bin:/usr/bin";
    let site = "opt/venv/lib/python3.11/site-packages";
    let image = torch(venv("false", activated), site, "12.4");
    assert_eq!(
        told(image),
        ["12.4 on path", "11.8 off path", "/opt/venv/bin/python"]
    );
    // Not on the PATH: by the command's own path, or not at all.
    let image = torch(venv("false", USUAL), site, "12.4");
    assert_eq!(
        told(image),
        ["12.4 off path", "11.8 on path", "/usr/bin/python3"]
    );
    for command in [
        &["/opt/venv/bin/uvicorn", "app:app"][..],
        &["/opt/venv/bin/python", "-m", "x"],
    ] {
        let image = torch(venv("false", USUAL), site, "12.4").command(command);
        assert_eq!(
            told(image),
            ["12.4 on path", "11.8 off path", "/opt/venv/bin/python"]
        );
    }
    // System packages count where they are let in, and the environment's come first.
    assert_eq!(
        told(venv("true", activated)),
        ["11.8 on path", "/opt/venv/bin/python"]
    );
    let image = torch(venv("true", activated), site, "12.4");
    assert_eq!(
        told(image),
        ["12.4 on path", "11.8 off path", "/opt/venv/bin/python"]
    );
    // A PATH whose Python has none of them says nothing of which one is used.
    assert_eq!(
        told(venv("false", activated)),
        ["11.8", "/opt/venv/bin/python"]
    );
    // A shell or tini in /usr/bin is no part of Debian's Python; a named interpreter is looked for.
    let image = debian()
        .env("PATH", "/opt/conda/bin:/usr/bin")
        .link("usr/bin/python", "python3")
        .file("opt/conda/bin/python3.10")
        .link("opt/conda/bin/python", "python3.10");
    let image = torch(image, "opt/conda/lib/python3.10/site-packages", "12.4");
    let image = torch(
        image.command(&["/usr/bin/tini", "--"]),
        "usr/lib/python3/dist-packages",
        "11.8",
    );
    assert_eq!(
        told(image),
        ["12.4 on path", "11.8 off path", "/opt/conda/bin/python"]
    );
    let image = debian()
        .env("PATH", "/opt/conda/bin:/usr/bin")
        .file("opt/conda/bin/python3.10")
        .link("opt/conda/bin/python", "python3.10")
        .command(&["python3.11", "train.py"]);
    let image = torch(image, "usr/local/lib/python3.11/dist-packages", "11.8");
    assert_eq!(told(image), ["11.8 on path", "/usr/bin/python3.11"]);
}

#[test]
fn uv_and_its_cache() {
    let cache = "root/.cache/uv/archive-v0/x1Y2z3";
    let site = "srv/app/.venv/lib/python3.12/site-packages";
    let image = Image::new()
        .env("PATH", "/srv/app/.venv/bin:/usr/bin")
        .file("root/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3.12")
        .link("srv/app/.venv/bin/python", "/root/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3.12")
        .text("srv/app/.venv/pyvenv.cfg", "home = /root/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin\nimplementation = CPython\nuv = 0.5\nversion_info = 3.12.4\n")
        .text(&format!("{cache}/torch/version.py"), "__version__ = '2.6.0+cu124'\ncuda = '12.4'\n")
        .cuda(&format!("{cache}/torch/lib/libtorch_cuda.so"), &[])
        .cuda(&format!("{cache}/own/_C.so"), &[])
        .dist(site, "torch-2.6.0")
        .link(&format!("{site}/torch/version.py"), &format!("/{cache}/torch/version.py"))
        .link(&format!("{site}/torch/lib/libtorch_cuda.so"), &format!("/{cache}/torch/lib/libtorch_cuda.so"))
        .link(&format!("{site}/own/_C.so"), &format!("/{cache}/own/_C.so"))
        // Another version that only the cache has.
        .text("root/.cache/uv/archive-v0/old/torch/version.py", "__version__ = '2.0'\ncuda = '11.7'\n")
        .cuda("root/.cache/uv/archive-v0/old/torch/lib/libtorch_cuda.so", &[]);
    let facts = image.facts();
    let lines: Vec<String> = facts.frameworks.iter().map(super::line).collect();
    assert_eq!(
        lines,
        [
            "torch 2.6.0+cu124: CUDA 12.4, on path",
            "own -: CUDA, on path"
        ]
    );
    assert_eq!(facts.libraries.len(), 2);
    for framework in &facts.frameworks {
        assert!(
            facts
                .library(framework.library.as_deref().unwrap())
                .is_some()
        );
    }
}

#[test]
fn conda_and_its_environments() {
    let image = |path: &str| {
        let image = Image::new()
            .env("PATH", path)
            .files(&[
                "opt/conda/bin/python3.11",
                "opt/conda/envs/ml/bin/python3.10",
            ])
            .link("opt/conda/bin/python", "python3.11")
            .link("opt/conda/envs/ml/bin/python", "python3.10")
            .file("opt/conda/envs/ml/conda-meta/pytorch-2.4.1-py3.10_cuda12.4_cudnn9.1.0_0.json");
        torch(
            image,
            "opt/conda/envs/ml/lib/python3.10/site-packages",
            "12.4",
        )
    };
    assert_eq!(
        told(image("/opt/conda/envs/ml/bin:/opt/conda/bin")),
        ["12.4 on path", "/opt/conda/envs/ml/bin/python"]
    );
    // `conda run` or an activation script finds it: that cannot be seen.
    assert_eq!(
        told(image("/opt/conda/bin")),
        ["12.4", "/opt/conda/bin/python"]
    );
    let both = torch(
        image("/opt/conda/bin"),
        "opt/conda/lib/python3.11/site-packages",
        "11.8",
    );
    assert_eq!(
        told(both),
        ["12.4 off path", "11.8 on path", "/opt/conda/bin/python"]
    );
    assert_eq!(
        told(torch(Image::new(), "srv/x/site-packages", "12.4")),
        ["12.4", "none"]
    );
}
