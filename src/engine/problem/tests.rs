use std::time::Duration;

use super::*;
use crate::engine::endpoint::{Asked, Choice, Env, resolve};

fn endpoint(url: &str, vars: &[(&str, &str)]) -> Endpoint {
    let asked = Asked {
        host: Some(url.into()),
        context: None,
    };
    match resolve(&asked, &Env::of(vars, Path::new("/"))) {
        Ok(Choice::Named(endpoint)) => endpoint,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_failure_names_the_endpoint_the_reason_and_the_command() {
    use EngineError as E;
    let absent = || E::Absent("no such socket".into());
    let slow = || E::Timeout {
        what: "connecting",
        after: Duration::from_secs(3),
    };
    let cases = [
        ("unix:///var/run/docker.sock", E::PermissionDenied, "permission denied", "sudo usermod -aG docker $USER && newgrp docker"),
        ("unix:///var/run/docker.sock", absent(), "no such socket", "sudo systemctl start docker"),
        ("unix:///var/run/docker.sock", E::Refused, "nobody listens", "sudo systemctl restart docker"),
        ("unix:///run/user/1000/docker.sock", absent(), "no such socket", "systemctl --user start docker"),
        ("unix:///run/user/1000/podman/podman.sock", absent(), "no such socket", "systemctl --user start podman.socket"),
        ("unix:///run/podman/podman.sock", absent(), "no such socket", "sudo systemctl start podman.socket"),
        ("unix:///run/podman/podman.sock", E::PermissionDenied, "permission denied", "systemctl --user start podman.socket && export DOCKER_HOST="),
        ("unix:///srv/x.sock", absent(), "no such socket", "leave --host out"),
        ("tcp://box:2375", E::Refused, "connection refused", "dockerd -H tcp://box:2375"),
        ("tcp://box:2375", absent(), "no such socket", "getent hosts box"),
        ("tcp://box:2375", slow(), "connecting took longer than 3 s", "ping box"),
        ("ssh://me@box:2222", E::Ssh("Permission denied (publickey).".into()), "ssh: Permission denied (publickey).", "ssh -p 2222 me@box docker version"),
        (
            "tcp://box:2376",
            E::from_answer(400, b"Client sent an HTTP request to an HTTPS server.\n"),
            "it answered 400: Client sent an HTTP request",
            "DOCKER_TLS_VERIFY=1",
        ),
        (
            "unix:///var/run/docker.sock",
            E::from_answer(400, br#"{"message":"client version 1.25 is too old. Minimum supported API version is 1.44"}"#),
            "client version 1.25 is too old. Minimum supported API version is 1.44",
            "check that",
        ),
    ];
    for (url, error, why, remedy) in cases {
        let problem = error.problem(&endpoint(url, &[]));
        assert!(
            problem.what.contains(url) && problem.what.contains("(--host)"),
            "{problem}"
        );
        assert!(problem.why.contains(why), "{problem}");
        assert!(problem.remedy.contains(remedy), "{problem}");
    }
}

#[test]
fn a_tls_failure_names_where_its_files_belong() {
    let vars = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
    let error = EngineError::Tls("/certs/ca.pem: No such file".into());
    let problem = error.problem(&endpoint("tcp://box", &vars));
    assert_eq!(
        problem.remedy,
        "put ca.pem, cert.pem and key.pem for it into /certs"
    );
    assert!(problem.why.contains("/certs/ca.pem"));
    assert!(problem.what.contains("tcp://box:2376"));
}

#[test]
fn of_several_searched_sockets_the_one_that_refuses_is_told() {
    let found = |path: &str, error| (endpoint(&format!("unix://{path}"), &[]), error);
    let absent = || EngineError::Absent("no such socket".into());
    let problem = nothing_found(&[
        found("/var/run/docker.sock", EngineError::PermissionDenied),
        found("/run/podman/podman.sock", absent()),
    ]);
    assert!(problem.what.contains("/var/run/docker.sock") && problem.remedy.contains("usermod"));
    let problem = nothing_found(&[
        found("/var/run/docker.sock", absent()),
        found("/run/podman/podman.sock", absent()),
    ]);
    assert!(
        problem
            .why
            .contains("/var/run/docker.sock, /run/podman/podman.sock")
    );
    assert!(problem.remedy.contains("--demo"));
}
