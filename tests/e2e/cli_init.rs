//! `init` as a user runs it.

use std::fs;
use std::path::Path;

use crate::cli_commands::midwatch;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = midwatch(arguments).current_dir(folder).output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn the_chapters_projects_get_their_files() {
    let root = tempfile::tempdir().unwrap();
    let api = root.path().join("my-ai-api");
    fs::create_dir_all(api.join("app")).unwrap();
    fs::write(
        api.join("app/main.py"),
        "from fastapi import FastAPI\napp = FastAPI()\n",
    )
    .unwrap();
    fs::write(api.join("requirements.txt"), "fastapi\nuvicorn\n").unwrap();
    let (code, out, err) = run(&api, &["init", "fastapi"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("Dockerfile: written"), "{out}");
    assert!(
        out.contains("midwatch run --rm -p 7860:7860 my-ai-api"),
        "{out}"
    );
    let made = fs::read_to_string(api.join("Dockerfile")).unwrap();
    let command = r#"CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "7860"]"#;
    assert!(
        made.ends_with(&format!("EXPOSE 7860\n{command}\n")),
        "{made}"
    );

    let ui = root.path().join("cartoonizer-ui");
    fs::create_dir_all(&ui).unwrap();
    fs::write(
        ui.join("app.py"),
        "import gradio as gr\nimport torch\ngr.Interface(f, 'image', 'image').launch()\n",
    )
    .unwrap();
    let named = [
        "init",
        "gradio",
        "cartoonizer-ui",
        "--driver",
        "570.86.15",
        "--gpu",
        "RTX 5090",
    ];
    let (code, out, err) = run(root.path(), &named);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let made = fs::read_to_string(ui.join("Dockerfile")).unwrap();
    assert!(
        made.contains("https://download.pytorch.org/whl/cu128"),
        "{made}"
    );
    assert!(made.ends_with("CMD [\"python\", \"app.py\"]\n"), "{made}");
    let required = fs::read_to_string(ui.join("requirements.txt")).unwrap();
    assert!(required.ends_with("gradio\ntorch\n"), "{required}");

    // Again: it is not written over.
    fs::write(ui.join("Dockerfile"), "FROM mine\n").unwrap();
    let (code, out, err) = run(root.path(), &named);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert_eq!(
        err,
        "midwatch: nothing was written to cartoonizer-ui: there is a Dockerfile already. Move it away first, if another is wanted\n"
    );
    assert_eq!(
        fs::read_to_string(ui.join("Dockerfile")).unwrap(),
        "FROM mine\n"
    );
}

#[test]
fn the_simulated_hosts_driver_is_written_for() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("requirements.txt"), "torch\n").unwrap();
    fs::write(root.path().join("train.py"), "").unwrap();
    let (code, _, err) = run(root.path(), &["--demo", "init", "train"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let made = fs::read_to_string(root.path().join("Dockerfile")).unwrap();
    assert!(made.contains("Driver 550.163.01 (CUDA 12.4)"), "{made}");
    assert!(made.contains("/whl/cu126"), "{made}");
}

#[test]
fn what_cannot_be_done_has_its_status() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    fs::create_dir(root.path().join("linked")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("linked/Dockerfile")).unwrap();
    for (arguments, code, words) in [
        (&["init"][..], 2, "KIND"),
        (&["init", "flask"], 2, "'flask'"),
        (&["init", "train", "absent"], 2, "absent"),
        (&["init", "train", "file"], 2, "it is no folder"),
        (&["init", "train", "--gpu", "H1000"], 2, "no GPU is called"),
        (&["init", "train", "--driver", "x"], 2, "no driver version"),
        (
            &["init", "train", "linked"],
            1,
            "there is a Dockerfile already",
        ),
    ] {
        let (found, out, err) = run(root.path(), arguments);
        assert_eq!((found, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(words) && err.lines().count() == 1, "{err}");
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    assert!(!root.path().join("linked/nowhere").exists());
}
