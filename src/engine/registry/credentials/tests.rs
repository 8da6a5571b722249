use super::*;

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A folder with a `config.json`, and what is found in it.
struct Here {
    dir: tempfile::TempDir,
}

impl Here {
    fn with(config: &str) -> Self {
        let here = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::write(here.dir.path().join("config.json"), config).unwrap();
        here
    }

    fn helper(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn env(&self) -> Env {
        let dir = self.dir.path().to_str().unwrap();
        let path = format!("{dir}:/usr/bin:/bin");
        let vars = [
            ("DOCKER_CONFIG", dir),
            ("PATH", &path),
            ("XDG_RUNTIME_DIR", dir),
        ];
        Env::of(&vars, Path::new("/nonexistent"))
    }

    fn find(&self, podman: bool, reference: &str) -> Result<Option<serde_json::Value>, Problem> {
        let config = RegistryConfig::load(&self.env(), podman)?;
        let reference = Reference::parse(reference).unwrap();
        let found = block(config.credentials(&reference))?;
        Ok(found.map(|found| found.json()))
    }
}

fn auth(name: &str, password: &str) -> String {
    BASE64.encode(format!("{name}:{password}"))
}

#[test]
fn names_and_passwords_are_found_by_registry() {
    let config = serde_json::json!({"auths": {
        "https://index.docker.io/v1/": {"auth": auth("hub", "h:1")},
        "r.io": {"auth": auth("rio", "é")},
        "https://old.io/v2/": {"auth": auth("old", "o").trim_end_matches('=')},
        "token.io": {"auth": auth("t", ""), "identitytoken": "ident"},
        "plain.io": {"username": "p", "password": "q"},
        "odd.io": {"auth": "%%%"}, "odder.io": 3, "empty.io": {},
    }});
    let here = Here::with(&config.to_string());
    let cases = [
        ("busybox", "hub", "h:1"),
        ("r.io/x:1", "rio", "é"),
        ("old.io/x", "old", "o"),
        ("plain.io/x", "p", "q"),
    ];
    for (reference, name, password) in cases {
        let found = here.find(false, reference).unwrap().unwrap();
        assert_eq!(found["username"], name, "{reference}");
        assert_eq!(found["password"], password, "{reference}");
    }
    let hub = here.find(false, "a/b").unwrap().unwrap();
    assert_eq!(hub["serveraddress"], "https://index.docker.io/v1/");
    let token = here.find(false, "token.io/x").unwrap().unwrap();
    assert_eq!(token["identitytoken"], "ident");
    for none in [
        "odd.io/x",
        "odder.io/x",
        "empty.io/x",
        "other.io/x",
        "r.io:5000/x",
    ] {
        assert_eq!(here.find(false, none), Ok(None), "{none}");
    }
}

#[test]
fn nothing_there_is_no_error_and_nonsense_is_one() {
    let nowhere = Env::of(&[], Path::new("/nonexistent"));
    let config = RegistryConfig::load(&nowhere, true).unwrap();
    let reference = Reference::parse("x").unwrap();
    assert_eq!(block(config.credentials(&reference)), Ok(None));
    for fine in ["", " \n", "{}", "{\"auths\":null,\"credHelpers\":[]}", "[]"] {
        let found = Here::with(fine).find(false, "x");
        assert!(
            matches!(found, Ok(None)) || fine == "[]",
            "{fine:?}: {found:?}"
        );
    }
    let told = Here::with("{\"auths\": secret")
        .find(false, "x")
        .unwrap_err();
    assert!(told.to_string().contains("config.json: not JSON"), "{told}");
    assert!(!told.to_string().contains("secret"), "{told}");
}

#[test]
fn a_variable_goes_before_the_file() {
    let here = Here::with("{\"auths\":{\"r.io\":{\"username\":\"file\",\"password\":\"x\"}}}");
    let dir = here.dir.path().to_str().unwrap();
    let text = "{\"auths\":{\"r.io\":{\"username\":\"variable\",\"password\":\"x\"}}}";
    let vars = [("DOCKER_CONFIG", dir), ("DOCKER_AUTH_CONFIG", text)];
    let env = Env::of(&vars, Path::new("/nonexistent"));
    let config = RegistryConfig::load(&env, false).unwrap();
    let found = block(config.credentials(&Reference::parse("r.io/x").unwrap()));
    assert_eq!(found.unwrap().unwrap().username, "variable");
}

#[test]
fn helpers_are_asked_by_registry_and_then_the_store() {
    let config = serde_json::json!({
        "auths": {"own.io": {"auth": auth("file", "f")}, "r.io": {"auth": auth("file", "f")}},
        "credsStore": "store", "credHelpers": {"r.io": "one", "own.io": "", "gone.io": "gone",
            "bad.io": "bad", "path.io": "../x", "odd.io": "odd"},
    });
    let here = Here::with(&config.to_string());
    here.helper(
        "one",
        "read server; [ \"$1\" = get ] && printf '{\"ServerURL\":\"%s\",\"Username\":\"u\",\"Secret\":\"s\"}' \"$server\"",
    );
    here.helper(
        "store",
        "read server; case $server in https://index.docker.io/v1/) echo '{\"Username\":\"<token>\",\"Secret\":\"tok\"}';; *) echo credentials not found in native keychain; exit 1;; esac",
    );
    here.helper("bad", "echo 'key ring is locked'; echo secret >&2; exit 1");
    here.helper("odd", "echo secret without form");
    let found = here.find(false, "r.io/x").unwrap().unwrap();
    assert_eq!(
        (&found["username"], &found["password"]),
        (&"u".into(), &"s".into())
    );
    let hub = here.find(false, "x").unwrap().unwrap();
    assert_eq!(hub["identitytoken"], "tok");
    assert_eq!(hub.get("username"), None);
    // The store knows nothing of it; the file is not asked, as Docker does not.
    assert_eq!(here.find(false, "other.io/x"), Ok(None));
    let own = here.find(false, "own.io/x").unwrap().unwrap();
    assert_eq!(own["username"], "file");
    for (reference, words) in [
        ("gone.io/x", "docker-credential-gone: no such program"),
        ("bad.io/x", "key ring is locked"),
        ("path.io/x", "no program's name"),
        ("odd.io/x", "not what a helper says"),
    ] {
        let told = here.find(false, reference).unwrap_err();
        assert!(told.to_string().contains(words), "{told}");
        assert!(told.remedy.contains("docker login"), "{told}");
        assert!(!told.to_string().contains("secret"), "{told}");
    }
}

#[test]
fn podmans_own_file_goes_first_where_the_engine_is_podman() {
    let here = Here::with(
        &serde_json::json!({"auths": {"r.io": {"auth": auth("docker", "d")},
            "d.io": {"auth": auth("docker", "d")}}})
        .to_string(),
    );
    let folder = here.dir.path().join("containers");
    std::fs::create_dir(&folder).unwrap();
    let own = serde_json::json!({"auths": {
        "r.io": {"auth": auth("podman", "p")}, "r.io/team": {"auth": auth("team", "t")},
        "docker.io": {"auth": auth("hub", "h")}}});
    std::fs::write(folder.join("auth.json"), own.to_string()).unwrap();
    for (podman, reference, name) in [
        (true, "r.io/x", Some("podman")),
        (true, "r.io/team/x:1", Some("team")),
        (true, "r.io/teams/x:1", Some("podman")),
        (true, "busybox", Some("hub")),
        (true, "d.io/x", Some("docker")),
        (false, "r.io/team/x", Some("docker")),
        (false, "busybox", None),
    ] {
        let found = here.find(podman, reference).unwrap();
        let found = found.map(|found| found["username"].as_str().unwrap().to_owned());
        assert_eq!(found.as_deref(), name, "{podman} {reference}");
    }
}

#[test]
fn what_is_sent_is_dockers_form_and_nothing_is_shown() {
    let secret = Credentials::new("ada", "pa?ss>word~", "r.io");
    let json = URL_SAFE.decode(secret.header()).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"username":"ada","password":"pa?ss>word~","serveraddress":"r.io"})
    );
    assert_eq!(format!("{secret:?}"), "Credentials { .. }");

    let config = serde_json::json!({
        "auths": {"a.io": {"auth": auth("a", "1")}, "https://index.docker.io/v1/": {"auth": auth("h", "2")}},
        "credHelpers": {"c.io": "c", "gone.io": "gone"},
    });
    let here = Here::with(&config.to_string());
    here.helper(
        "c",
        "cat >/dev/null; echo '{\"Username\":\"c\",\"Secret\":\"3\"}'",
    );
    let loaded = RegistryConfig::load(&here.env(), false).unwrap();
    assert!(!format!("{loaded:?}").contains('1'));
    let header = block(loaded.build_header()).unwrap();
    let all: serde_json::Value = serde_json::from_slice(&URL_SAFE.decode(header).unwrap()).unwrap();
    let names: Vec<(&String, &str)> = all
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key, value["username"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            (&"a.io".to_owned(), "a"),
            (&"c.io".to_owned(), "c"),
            (&"https://index.docker.io/v1/".to_owned(), "h")
        ]
    );
    let empty = RegistryConfig::load(&Env::of(&[], Path::new("/nonexistent")), false).unwrap();
    assert_eq!(block(empty.build_header()), None);
}
