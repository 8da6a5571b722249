use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;
use crate::build::{BuildNews, place};

struct Stub {
    folder: tempfile::TempDir,
}

impl Stub {
    /// A `docker` whose `buildx build` runs this shell text, with its arguments in `$@`.
    fn new(build: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("bin")).unwrap();
        fs::create_dir(root.join("project")).unwrap();
        fs::write(root.join("project/Dockerfile"), "FROM scratch\n").unwrap();
        let script = format!(
            "#!/bin/sh\nif [ \"$1 $2\" = 'buildx version' ]; then echo 'github.com/docker/buildx v0.17.1 abc'; exit 0; fi\necho \"$@\" >{0}/args\nenv >{0}/env\n{build}\n",
            root.display()
        );
        // Written by another process: a file that any thread's child still has open cannot be run.
        fs::write(root.join("script"), script).unwrap();
        let made = std::process::Command::new("install")
            .args(["-m", "755"])
            .args([root.join("script"), root.join("bin/docker")])
            .status()
            .unwrap();
        assert!(made.success());
        Self { folder }
    }

    fn surroundings(&self) -> Surroundings {
        let path = format!("{}/bin:/usr/bin:/bin", self.folder.path().display());
        Surroundings {
            env: [
                ("PATH", path.as_str()),
                ("DOCKER_HOST", "tcp://stray:1"),
                ("BUILDX_BUILDER", "stray"),
                ("HF_TOKEN", "t"),
            ]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
            cwd: "/".into(),
            ..Surroundings::default()
        }
    }

    fn said(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn run(&self, ask: &BuildAsk, reach: &CliReach, cancel: &Cancel) -> Ran {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&seen);
        let stop = cancel.clone();
        let mut record = Record::new(Arc::new(move |news| {
            // The line that a test waits for cancels it.
            if news == BuildNews::Line("cancel me".to_owned()) {
                stop.cancel();
            }
            own.lock().unwrap().push(news);
        }));
        let surroundings = self.surroundings();
        let opened =
            place::open(&self.folder.path().join("project"), None, Path::new("/")).unwrap();
        let result = runtime.block_on(async {
            let buildx = find(&surroundings).await.unwrap();
            assert_eq!(buildx.version, "v0.17.1");
            let job = Job {
                opened: &opened,
                ask,
                args: &ask.args,
                reach,
                surroundings: &surroundings,
            };
            buildx.run(&job, &mut record, cancel).await
        });
        drop(record);
        let news = seen.lock().unwrap().clone();
        (result, news)
    }
}

type Ran = (Result<Option<String>, BuildError>, Vec<BuildNews>);

fn reach() -> CliReach {
    CliReach {
        context: None,
        env: vec![("DOCKER_HOST".into(), "unix:///run/x.sock".into())],
    }
}

#[test]
fn its_command_line_and_its_engine_are_ours() {
    let stub = Stub::new(
        "echo '#1 [1/1] FROM scratch' >&2\nprintf 'half' ; printf ' line\\n'\nwhile [ \"$1\" != --iidfile ]; do shift; done\necho sha256:feed >\"$2\"",
    );
    let ask = BuildAsk {
        tags: vec!["my/app:1".into(), "b".into()],
        args: vec![("A".into(), Some("1 2".into())), ("HF_TOKEN".into(), None)],
        target: Some("final".into()),
        no_cache: true,
        pull: true,
        platform: Some("linux/arm64".into()),
        network: Some("host".into()),
        ..BuildAsk::default()
    };
    let (result, news) = stub.run(&ask, &reach(), &Cancel::default());
    assert_eq!(result, Ok(Some("sha256:feed".to_owned())));
    assert_eq!(
        news.first(),
        Some(&BuildNews::Line("#1 [1/1] FROM scratch".into()))
    );
    let half = match news.last() {
        Some(BuildNews::Line(text) | BuildNews::Replace(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(half, "half line");
    let args = stub.said("args");
    let project = stub.folder.path().join("project");
    let project = project.canonicalize().unwrap();
    let (before, after) = args.split_once("--iidfile ").unwrap();
    assert_eq!(
        before,
        "buildx build --builder default --progress=plain --load "
    );
    let (_, after) = after.split_once(' ').unwrap();
    assert_eq!(
        after.trim_end().replace(
            &stub.folder.path().join("project").display().to_string(),
            &project.display().to_string()
        ),
        format!(
            "--file {0}/Dockerfile --tag my/app:1 --tag b --build-arg A=1 2 --build-arg HF_TOKEN --target final --platform linux/arm64 --network host --no-cache --pull -- {0}",
            project.display()
        )
    );
    let env = stub.said("env");
    assert!(env.contains("DOCKER_HOST=unix:///run/x.sock\n"), "{env}");
    assert!(env.contains("HF_TOKEN=t\n"), "{env}");
    assert!(!env.contains("stray"), "{env}");
}

#[test]
fn a_context_is_named_with_its_builder() {
    let stub = Stub::new("exit 0");
    let reach = CliReach {
        context: Some("prod".into()),
        env: Vec::new(),
    };
    let (result, _) = stub.run(&BuildAsk::default(), &reach, &Cancel::default());
    assert_eq!(result, Ok(None));
    assert!(
        stub.said("args")
            .starts_with("--context prod buildx build --builder prod "),
    );
    assert!(!stub.said("env").contains("DOCKER_HOST"));
}

#[test]
fn a_failure_is_read_from_its_log() {
    let stub = Stub::new(
        "printf '#5 [2/2] RUN exit 3\\n#5 ERROR: x\\n------\\n > [2/2] RUN exit 3:\\n------\\nERROR: failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3\\n' >&2; exit 1",
    );
    let (result, _) = stub.run(&BuildAsk::default(), &reach(), &Cancel::default());
    let Err(BuildError::Failed(failure)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(failure.step.as_deref(), Some("2/2 (RUN exit 3)"));
    assert_eq!(failure.exit_code, Some(3));
    assert!(
        failure.message.starts_with("failed to solve: "),
        "{failure:?}"
    );
    // One that says nothing at all.
    let silent = Stub::new("exit 7");
    let (result, _) = silent.run(&BuildAsk::default(), &reach(), &Cancel::default());
    let text = result.unwrap_err().to_string();
    assert_eq!(
        text,
        "the build failed: docker buildx ended: exit status: 7"
    );
}

#[test]
fn cancelling_interrupts_it_and_waits_for_its_end() {
    // It takes the interrupt, says so in a file, and ends as buildx does.
    let stub = Stub::new(
        "trap 'echo interrupted >>\"$0.said\"; exit 130' INT\necho 'cancel me'\nwhile :; do sleep 0.05; done",
    );
    let began = Instant::now();
    let (result, _) = stub.run(&BuildAsk::default(), &reach(), &Cancel::default());
    assert_eq!(result, Err(BuildError::Cancelled));
    assert!(began.elapsed() < STOP, "it was killed, not interrupted");
    assert_eq!(stub.said("bin/docker.said"), "interrupted\n");
}

#[test]
fn where_it_is_not_the_reason_is_known() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stub = Stub::new("exit 0");
    fs::write(
        stub.folder.path().join("bin/docker"),
        "#!/bin/sh\necho \"docker: 'buildx' is not a docker command.\" >&2\nexit 1\n",
    )
    .unwrap();
    let find = |surroundings| runtime.block_on(async move { find(&surroundings).await });
    assert_eq!(find(stub.surroundings()), Err(Why::NoBuildx));
    fs::set_permissions(
        stub.folder.path().join("bin/docker"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let mut alone = stub.surroundings();
    alone.env.insert(
        "PATH".into(),
        stub.folder.path().join("bin").display().to_string(),
    );
    assert_eq!(find(alone.clone()), Err(Why::NoDocker));
    alone.env.remove("PATH");
    assert_eq!(find(alone), Err(Why::NoDocker));
}

#[test]
fn characters_that_are_cut_wait_for_their_rest() {
    let mut text = Utf8::default();
    let bytes = "aé日".as_bytes();
    let got: String = bytes.chunks(1).map(|b| text.push(b)).collect();
    assert_eq!(got, "aé日");
    assert_eq!(text.push(b"\xffx"), "\u{fffd}x");
}
