//! What is found in a folder, and what is written to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// Paths and texts.
type Files<'a> = &'a [(&'a str, &'a str)];

fn folder(files: Files) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// The words of `CMD` for a folder.
fn command(kind: Kind, files: Files) -> (Vec<String>, Made) {
    let root = folder(files);
    let project = look(root.path(), kind).unwrap();
    let made = make(kind, &project, &HostFacts::default());
    (check(&made), made)
}

#[test]
fn a_fastapi_application_is_found() {
    let app = "import os\nfrom fastapi import FastAPI\n\napp = FastAPI(title='x')\n";
    let cases: &[(Files, &[&str])] = &[
        (&[("app/main.py", app)], &["app.main:app"]),
        (&[("main.py", app)], &["main:app"]),
        (&[("main.py", app), ("app/main.py", app)], &["app.main:app"]),
        (
            &[("src/service/web.py", "api: FastAPI = fastapi.FastAPI()\n")],
            &["src.service.web:api"],
        ),
        (
            &[(
                "app/main.py",
                "def create_app():\n    app = FastAPI()\n    return app\n",
            )],
            &["--factory", "app.main:create_app"],
        ),
        // Not a name of Python; in a comment; in an environment.
        (&[("my-app/main.py", app)], &["app.main:app"]),
        (&[("main.py", "# app = FastAPI()\n")], &["app.main:app"]),
        (
            &[(".venv/lib/main.py", app), ("venv/main.py", app)],
            &["app.main:app"],
        ),
        (&[("tests/main.py", app)], &["app.main:app"]),
    ];
    for (index, (files, wanted)) in cases.iter().enumerate() {
        let (words, made) = command(Kind::FastApi, files);
        let mut line = vec!["uvicorn"];
        line.extend(*wanted);
        line.extend(["--host", "0.0.0.0", "--port", "7860"]);
        assert_eq!(words, line, "{files:?}");
        let found = index < 5;
        assert_eq!(made.notes.is_empty(), found, "{files:?} {:?}", made.notes);
    }
}

#[test]
fn a_gradio_application_is_found() {
    let page = "import gradio as gr\ngr.Interface(f, 'image', 'image').launch()\n";
    let cases: &[(Files, &str, u16)] = &[
        (&[("app.py", page)], "app.py", 7860),
        (&[("ui/paint it.py", page)], "ui/paint it.py", 7860),
        (&[("we\"ird$HOME'\\.py", page)], "we\"ird$HOME'\\.py", 7860),
        (
            &[("app.py", "print('no page')"), ("web.py", page)],
            "web.py",
            7860,
        ),
        (
            &[("app.py", "import gradio\nx.launch(server_port=8080)\n")],
            "app.py",
            8080,
        ),
    ];
    for (files, file, port) in cases {
        let (words, made) = command(Kind::Gradio, files);
        assert_eq!(words, ["python", file], "{files:?}");
        assert_eq!(made.port, Some(*port));
        assert!(made.notes.is_empty(), "{:?}", made.notes);
        assert!(made.dockerfile.contains("GRADIO_SERVER_NAME=0.0.0.0"));
    }
    let deaf = "import gradio\nx.launch(server_name='127.0.0.1')\n";
    let (_, made) = command(Kind::Gradio, &[("app.py", deaf)]);
    assert!(made.notes[0].contains("127.0.0.1"), "{:?}", made.notes);
    let (words, made) = command(Kind::Gradio, &[]);
    assert_eq!(words, ["python", "app.py"]);
    assert!(made.notes[0].contains("no Gradio application was found"));
}

#[test]
fn a_training_is_found() {
    let cases: &[(Files, &str)] = &[
        (&[("train.py", "")], "train.py"),
        (&[("src/train.py", ""), ("other.py", "")], "src/train.py"),
        (&[("main.py", ""), ("train.py", "")], "train.py"),
        (&[("finetune/train_lora.py", "")], "finetune/train_lora.py"),
        (&[("other.py", "")], "train.py"),
    ];
    for (files, file) in cases {
        let (words, made) = command(Kind::Train, files);
        assert_eq!(words, ["python", file], "{files:?}");
        assert_eq!(made.port, None);
        assert!(
            made.dockerfile.contains("--shm-size=8g") && made.dockerfile.contains("--ipc=host")
        );
    }
}

#[test]
fn requirements_are_read_where_they_stand() {
    let project = |files: Files| look(folder(files).path(), Kind::Train).unwrap();
    let names = |project: &Project| -> Vec<String> {
        project
            .requirements
            .iter()
            .map(|r| r.text.clone())
            .collect()
    };

    let plain = project(&[
        (
            "requirements.txt",
            "# x\ntorch>=2.1,<3  # comment\n-r more.txt\n--extra-index-url https://download.pytorch.org/whl/cu124\nTorch_Vision ; python_version > '3.8'\ngit+https://example.org/x.git\nodd[a,b]==1; x\n",
        ),
        ("more.txt", "numpy (>=1.2)\n-r ../../etc/passwd\n"),
    ]);
    assert_eq!(plain.source, Source::Requirements);
    assert_eq!(
        names(&plain),
        ["torch>=2.1,<3", "numpy>=1.2", "Torch_Vision", "odd[a,b]==1"]
    );
    assert!(plain.needs_all && plain.needs_git);
    assert_eq!(plain.torch_index.as_deref(), Some("cu124"));
    assert_eq!(plain.requirements[2].name, "torch-vision");

    let listed = project(&[(
        "pyproject.toml",
        "[project]\nrequires-python = '>=3.11'\ndependencies = ['torch', 'x[y]>1']\n",
    )]);
    assert_eq!(listed.source, Source::Project);
    assert_eq!(names(&listed), ["torch", "x[y]>1"]);
    assert!(!listed.python_allowed[0].fits(3, 10) && listed.python_allowed[0].fits(3, 11));

    let poetry = project(&[(
        "pyproject.toml",
        "[tool.poetry.dependencies]\npython = '^3.10'\ntorch = '^2.1'\n",
    )]);
    assert_eq!(poetry.source, Source::Backend);
    assert_eq!(names(&poetry), ["torch"]);
    assert!(poetry.python_allowed[0].fits(3, 12) && !poetry.python_allowed[0].fits(3, 9));

    let conda = project(&[(
        "environment.yml",
        "dependencies:\n  - python=3.10\n  - conda-forge::pytorch\n",
    )]);
    assert_eq!(conda.source, Source::Conda("environment.yml".to_owned()));

    let none = project(&[(
        "train.py",
        "import torch\nfrom PIL import Image\nimport os, sys\nfrom sklearn.svm import SVC\n",
    )]);
    assert_eq!(none.source, Source::None);
    assert_eq!(
        none.imports.iter().collect::<Vec<_>>(),
        ["pillow", "scikit-learn", "torch"]
    );

    for broken in ["[project", "project = 3", "[project]\ndependencies = 'x'\n"] {
        let read = project(&[("pyproject.toml", broken)]);
        assert!(read.requirements.is_empty(), "{broken}");
    }
    assert_eq!(project(&[(".python-version", "3.11.4\n")]).python, Some(11));
    assert_eq!(project(&[(".python-version", "pypy3.10\n")]).python, None);
}

#[test]
fn every_kind_of_requirements_gets_installed() {
    let run = |files: Files| {
        let (_, made) = command(Kind::FastApi, files);
        let all = instructions(&made.dockerfile);
        let copies: Vec<String> = all
            .iter()
            .filter(|(w, _)| w == "COPY")
            .map(|(_, r)| r.clone())
            .collect();
        let installs: Vec<String> = all
            .iter()
            .filter(|(word, rest)| {
                word == "RUN" && (rest.contains("pip install") || rest.contains("mamba"))
            })
            .map(|(_, rest)| rest.clone())
            .collect();
        (copies, installs, made)
    };
    let (copies, installs, made) = run(&[("requirements.txt", "fastapi\nuvicorn\n")]);
    assert_eq!(copies, ["requirements.txt ./", "--chown=app . ."]);
    assert_eq!(installs, ["pip install -r requirements.txt"]);
    assert_eq!(made.requirements, None);
    // What starts it is not named.
    let (_, installs, _) = run(&[("requirements.txt", "pydantic\n")]);
    assert_eq!(
        installs,
        ["pip install -r requirements.txt fastapi 'uvicorn[standard]'"]
    );
    let (_, installs, _) = run(&[("requirements.txt", "fastapi[standard]\n")]);
    assert_eq!(installs, ["pip install -r requirements.txt"]);
    let (copies, _, _) = run(&[("requirements.txt", "-r base.txt\nfastapi\nuvicorn\n")]);
    assert_eq!(copies, [". .", "--chown=app . ."]);
    let (copies, installs, _) = run(&[(
        "pyproject.toml",
        "[project]\ndependencies = ['fastapi', 'uvicorn']\n",
    )]);
    assert_eq!(copies, ["pyproject.toml ./", "--chown=app . ."]);
    assert!(installs[0].contains("tomllib"), "{installs:?}");
    let (_, installs, _) = run(&[(
        "pyproject.toml",
        "[build-system]\nrequires = ['hatchling']\n",
    )]);
    assert_eq!(installs, ["pip install . fastapi 'uvicorn[standard]'"]);
    let (copies, installs, _) = run(&[(
        "environment.yml",
        "dependencies:\n  - fastapi\n  - uvicorn\n",
    )]);
    assert_eq!(copies, ["environment.yml ./", ". ."]);
    assert!(installs[0].starts_with("mamba env update"), "{installs:?}");
    // Nothing says it: the imports do, and the file is made.
    let (_, installs, made) = run(&[(
        "main.py",
        "import numpy\nfrom fastapi import FastAPI\napp = FastAPI()\n",
    )]);
    assert_eq!(installs, ["pip install -r requirements.txt"]);
    let made = made.requirements.unwrap();
    let lines: Vec<&str> = made.lines().skip(1).collect();
    assert_eq!(lines, ["fastapi", "numpy", "uvicorn[standard]"]);
}

#[test]
fn folders_with_code_are_never_ignored() {
    let (_, made) = command(
        Kind::Train,
        &[
            ("train.py", ""),
            ("data/loader.py", ""),
            ("runs/__init__.py", ""),
            ("env/gym.py", ""),
        ],
    );
    let lines: Vec<&str> = made.dockerignore.lines().collect();
    for kept in ["data", "runs", "env"] {
        assert!(!lines.contains(&kept), "{kept}");
    }
    for ignored in [
        ".git",
        ".venv",
        "**/__pycache__",
        "checkpoints",
        "datasets",
        "**/.env",
        "wandb",
    ] {
        assert!(lines.contains(&ignored), "{ignored}");
    }
}

fn contents(root: &Path) -> Vec<(String, Option<String>)> {
    let mut all: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).ok())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn nothing_is_written_over() {
    let made = make(Kind::Gradio, &Project::default(), &HostFacts::default());
    // A Dockerfile, a folder of that name, a link to nowhere: nothing is touched.
    let root = folder(&[("Dockerfile", "FROM mine\n")]);
    assert_eq!(write(root.path(), &made), Ok(Written::Refused));
    assert_eq!(
        contents(root.path()),
        [("Dockerfile".to_owned(), Some("FROM mine\n".to_owned()))]
    );

    let root = folder(&[("Dockerfile/x", "")]);
    assert_eq!(write(root.path(), &made), Ok(Written::Refused));

    let root = folder(&[]);
    let outside = root.path().join("outside");
    let inner = root.path().join("inner");
    fs::create_dir(&inner).unwrap();
    symlink(&outside, inner.join("Dockerfile")).unwrap();
    assert_eq!(write(&inner, &made), Ok(Written::Refused));
    assert!(!outside.exists());
    assert_eq!(contents(&inner).len(), 1);

    // The others are kept, a link to nowhere too.
    let root = folder(&[(".dockerignore", "mine\n")]);
    symlink(
        root.path().join("outside"),
        root.path().join("requirements.txt"),
    )
    .unwrap();
    assert_eq!(
        write(root.path(), &made),
        Ok(Written::Done {
            new: vec!["Dockerfile"],
            kept: vec![".dockerignore", "requirements.txt"],
        })
    );
    assert_eq!(
        fs::read_to_string(root.path().join(".dockerignore")).unwrap(),
        "mine\n"
    );
    assert!(!root.path().join("outside").exists());

    let gone = write(Path::new("/nonexistent/folder"), &made).unwrap_err();
    assert_eq!(gone.what, "cannot write Dockerfile");
}

#[test]
fn odd_folders_are_survived() {
    let cases = [
        ("My Project (v2)", "my-project-v2"),
        ("--", "my-app"),
        ("ÄÖ", "my-app"),
        ("evil\u{1b}[31m", "evil"),
        ("a__b..c", "a-b-c"),
    ];
    for (name, image) in cases {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join(name);
        fs::create_dir(&inner).unwrap();
        assert_eq!(look(&inner, Kind::Train).unwrap().name, image, "{name}");
    }
    let root = folder(&[]);
    symlink(root.path(), root.path().join("loop")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("requirements.txt"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    // Neither goes round in circles nor waits at the pipe.
    let project = look(root.path(), Kind::FastApi).unwrap();
    assert_eq!(project.source, Source::None);
    assert!(look(Path::new("/nonexistent/folder"), Kind::Train).is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_of_a_project_gets_out_of_its_place(
        requirements in "(torch|fastapi|jax|vllm|[-\\w.'\"\\[\\]<>=!~,;@#$`\\\\ ]{0,20}|\\PC{0,8}|\n){0,20}",
        project in "(\\[project\\]|\\[tool.poetry.dependencies\\]|python = '\\^3.9'|[a-z]+ = |'\\PC{0,6}'|\n){0,12}",
        code in "(import |from |FastAPI\\(|app = |def create_app\\(|gradio|launch\\(|server_(port|name)=|'?[0-9.]{1,6}'?|\\PC{0,4}|\n){0,30}",
        file in "[^/\0]{1,12}",
    ) {
        let name = format!("{}.py", file.trim_start_matches('.'));
        let root = folder(&[("requirements.txt", &requirements), ("pyproject.toml", &project), (&name, &code)]);
        for kind in [Kind::FastApi, Kind::Gradio, Kind::Train] {
            let project = look(root.path(), kind).unwrap();
            let made = make(kind, &project, &host("550.163.01", &["9.0"]));
            let words = check(&made);
            proptest::prop_assert!(words[0] == "uvicorn" || words[0] == "python");
            for (word, rest) in instructions(&made.dockerfile) {
                // In a shell, single quotes come in pairs and nothing is substituted.
                let shell = word == "RUN" && !rest.contains("tomllib");
                proptest::prop_assert!(!shell || rest.matches('\'').count() % 2 == 0, "{rest}");
                proptest::prop_assert!(!shell || !rest.contains(['`', '$']), "{rest}");
            }
        }
    }
}
