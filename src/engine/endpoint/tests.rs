use std::fs;

use super::*;

fn ask(host: Option<&str>, context: Option<&str>) -> Asked {
    Asked {
        host: host.map(str::to_owned),
        context: context.map(str::to_owned),
    }
}

fn add_context(dir: &Path, name: &str, meta: &str) -> PathBuf {
    let id: String = ring::digest::digest(&ring::digest::SHA256, name.as_bytes())
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let folder = dir.join("contexts/meta").join(&id);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("meta.json"), meta).unwrap();
    let tls = dir.join("contexts/tls").join(&id).join("docker");
    fs::create_dir_all(&tls).unwrap();
    tls
}

fn named(choice: Result<Choice, Problem>) -> Endpoint {
    match choice {
        Ok(Choice::Named(endpoint)) => endpoint,
        other => panic!("{other:?}"),
    }
}

/// A Docker folder with two contexts, `prod` being the current one.
fn docker_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("config.json"),
        r#"{"auths":{},"currentContext":"prod"}"#,
    )
    .unwrap();
    add_context(
        dir.path(),
        "prod",
        r#"{"Name":"prod","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://ops@prod","SkipTLSVerify":false}}}"#,
    );
    add_context(
        dir.path(),
        "lab",
        r#"{"Name":"lab","Endpoints":{"docker":{"Host":"tcp://lab:2375"}}}"#,
    );
    dir
}

/// Each line of Docker's order beats all lines below it.
#[test]
fn the_order_is_dockers() {
    let dir = docker_folder();
    let config = dir.path().to_str().unwrap();
    let all = [
        ("DOCKER_CONFIG", config),
        ("DOCKER_HOST", "tcp://env:1"),
        ("DOCKER_CONTEXT", "lab"),
    ];
    let host = ("tcp://flag:2", None, "--host");
    type Case<'a> = (
        Asked,
        &'a [(&'a str, &'a str)],
        (&'a str, Option<&'a str>, &'a str),
    );
    let cases: [Case<'_>; 6] = [
        (ask(Some("tcp://flag:2"), None), &all, host),
        (
            ask(None, Some("lab")),
            &all,
            ("tcp://lab:2375", Some("lab"), "--context"),
        ),
        (ask(None, None), &all, ("tcp://env:1", None, "DOCKER_HOST")),
        (
            ask(None, None),
            &[("DOCKER_CONFIG", config), ("DOCKER_CONTEXT", "lab")],
            ("tcp://lab:2375", Some("lab"), "DOCKER_CONTEXT"),
        ),
        (
            ask(None, None),
            &[
                ("DOCKER_CONFIG", config),
                ("DOCKER_HOST", ""),
                ("DOCKER_CONTEXT", ""),
            ],
            ("ssh://ops@prod", Some("prod"), "context prod"),
        ),
        (
            ask(None, Some("default")),
            &all,
            ("tcp://env:1", Some("default"), "DOCKER_HOST"),
        ),
    ];
    for (asked, vars, (url, context, by)) in cases {
        let endpoint = named(resolve(&asked, &Env::of(vars, Path::new("/"))));
        assert_eq!(
            (
                endpoint.url.as_str(),
                endpoint.context.as_deref(),
                endpoint.chosen_by.as_str()
            ),
            (url, context, by)
        );
    }
    let both = resolve(
        &ask(Some("tcp://a"), Some("lab")),
        &Env::of(&all, Path::new("/")),
    );
    assert!(both.unwrap_err().why.contains("both"));
}

#[test]
fn the_folder_is_homes_where_docker_config_is_not_set() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    fs::write(
        home.path().join(".docker/config.json"),
        r#"{"currentContext":"x"}"#,
    )
    .unwrap();
    let vars = [("HOME", home.path().to_str().unwrap())];
    let problem = resolve(&ask(None, None), &Env::of(&vars, Path::new("/"))).unwrap_err();
    assert!(problem.what.contains("\"x\"") && problem.why.contains("no such context"));
}

#[test]
fn only_where_nothing_is_named_the_sockets_are_searched() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().to_str().unwrap();
    let vars = [
        ("DOCKER_CONFIG", config),
        ("XDG_RUNTIME_DIR", "/run/user/7"),
    ];
    let Ok(Choice::Search(found)) = resolve(&ask(None, None), &Env::of(&vars, Path::new("/")))
    else {
        panic!("no search");
    };
    let urls: Vec<&str> = found.iter().map(|e| e.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "unix:///var/run/docker.sock",
            "unix:///run/user/7/docker.sock",
            "unix:///run/user/7/podman/podman.sock",
            "unix:///run/podman/podman.sock",
        ]
    );
    assert!(found.iter().all(|e| e.chosen_by == "found"));
}

#[test]
fn hosts_are_read_as_docker_reads_them() {
    let tls = &[("DOCKER_TLS_VERIFY", "1")] as &[_];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 13] = [
        ("unix:///x/y.sock", &[], "unix:///x/y.sock"),
        ("unix://", &[], "unix:///var/run/docker.sock"),
        ("tcp://box", &[], "tcp://box:2375"),
        ("tcp://box", tls, "tcp://box:2376"),
        ("tcp://box:99/", &[], "tcp://box:99"),
        ("tcp://", &[], "tcp://127.0.0.1:2375"),
        ("box:99", &[], "tcp://box:99"),
        (":99", &[], "tcp://127.0.0.1:99"),
        ("tcp://[::1]:99", &[], "tcp://[::1]:99"),
        ("tcp://[::1]", &[], "tcp://[::1]:2375"),
        ("ssh://box", &[], "ssh://box"),
        ("ssh://me@box:2222", &[], "ssh://me@box:2222"),
        (
            "ssh://me@[::1]:22/run/d.sock",
            &[],
            "ssh://me@[::1]:22/run/d.sock",
        ),
    ];
    for (text, vars, want) in cases {
        let endpoint = named(resolve(
            &ask(Some(text), None),
            &Env::of(vars, Path::new("/")),
        ));
        assert_eq!(endpoint.url, want, "{text}");
        assert_eq!(endpoint.is_remote(), !want.starts_with("unix"), "{text}");
    }
    let bad = [
        ("npipe:////./pipe/docker_engine", "Windows"),
        ("fd://", "dockerd itself"),
        ("http://box", "tcp://"),
        ("gopher://x", "not known"),
        ("unix://relative", "must begin with /"),
        ("tcp://box:0", "not a port"),
        ("tcp://box:port", "not a port"),
        ("tcp://a b", "not HOST:PORT"),
        ("tcp://box/path", "not HOST:PORT"),
        ("tcp://::1:2375", "brackets"),
        ("ssh://me:secret@box", "password"),
        ("ssh://-oProxyCommand=x", "not [USER@]HOST"),
        ("ssh://", "not [USER@]HOST"),
        ("ssh://box:x", "not a port"),
    ];
    for (text, why) in bad {
        let problem = resolve(&ask(Some(text), None), &Env::of(&[], Path::new("/"))).unwrap_err();
        assert!(problem.why.contains(why), "{text}: {problem}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[test]
fn a_contexts_certificates_are_found_and_skipping_is_honoured() {
    let dir = docker_folder();
    let meta = |skip: bool| {
        format!(
            r#"{{"Name":"tls","Endpoints":{{"docker":{{"Host":"tcp://box:2376","SkipTLSVerify":{skip}}}}}}}"#
        )
    };
    let vars = [("DOCKER_CONFIG", dir.path().to_str().unwrap())];
    let env = Env::of(&vars, Path::new("/"));
    let load = || named(resolve(&ask(None, Some("tls")), &env)).target;
    let folder = add_context(dir.path(), "tls", &meta(false));
    assert_eq!(load(), Target::Tcp("box:2376".into()));
    add_context(dir.path(), "tls", &meta(true));
    assert!(
        matches!(load(), Target::Tls { material, .. } if !material.verify && material.ca.is_none())
    );
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    add_context(dir.path(), "tls", &meta(false));
    let Target::Tls { material, .. } = load() else {
        panic!("not TLS");
    };
    assert!(material.verify);
    assert_eq!(material.ca, Some(folder.join("ca.pem")));
    assert_eq!(
        material.identity,
        Some((folder.join("cert.pem"), folder.join("key.pem")))
    );
}

#[test]
fn the_environments_certificates_follow_dockers_rules() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca.pem"), "x").unwrap();
    let config = dir.path().to_str().unwrap();
    let target = |vars: &[(&str, &str)]| {
        named(resolve(
            &ask(Some("tcp://box"), None),
            &Env::of(vars, Path::new("/")),
        ))
        .target
    };
    // A folder alone switches nothing on.
    assert!(matches!(
        target(&[("DOCKER_CERT_PATH", config)]),
        Target::Tcp(_)
    ));
    let Target::Tls { material, .. } =
        target(&[("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CONFIG", config)])
    else {
        panic!("not TLS");
    };
    assert_eq!(
        (material.ca, material.identity),
        (Some(dir.path().join("ca.pem")), None)
    );
    let Target::Tls { material, .. } = target(&[("DOCKER_TLS", "1"), ("DOCKER_CERT_PATH", "/c")])
    else {
        panic!("not TLS");
    };
    assert!(!material.verify && material.identity.is_some());
}

#[test]
fn what_is_wrong_with_a_context_is_told_and_nothing_else_is_used_instead() {
    let dir = docker_folder();
    add_context(dir.path(), "empty", r#"{"Name":"empty","Endpoints":{}}"#);
    add_context(dir.path(), "broken", "{");
    add_context(
        dir.path(),
        "win",
        r#"{"Endpoints":{"docker":{"Host":"npipe:////./pipe/docker_engine"}}}"#,
    );
    let vars = [("DOCKER_CONFIG", dir.path().to_str().unwrap())];
    let env = Env::of(&vars, Path::new("/"));
    let cases = [
        ("absent", "no such context"),
        ("empty", "names no Docker engine"),
        ("broken", "not its JSON"),
        ("win", "Windows"),
        ("../../../etc", "no such context"),
    ];
    for (name, why) in cases {
        let problem = resolve(&ask(None, Some(name)), &env).unwrap_err();
        assert!(problem.why.contains(why), "{name}: {problem}");
    }
    let problem = resolve(&ask(None, Some("absent")), &env).unwrap_err();
    assert!(problem.remedy.contains("lab, prod"), "{problem}");
    fs::write(dir.path().join("config.json"), "{nonsense").unwrap();
    let problem = resolve(&ask(None, None), &env).unwrap_err();
    assert!(problem.why.contains("config.json"), "{problem}");
    // What is named on the command line does not need that file.
    assert!(resolve(&ask(None, Some("lab")), &env).is_ok());
}
