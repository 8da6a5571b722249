use proptest::prelude::*;

use super::*;
use crate::launch::{GpuAsk, MountAsk, PortAsk, PortRange, Surroundings, Which};

fn here() -> Surroundings {
    Surroundings {
        env: [("HOME".to_owned(), "/home/ada".to_owned())].into(),
        cwd: "/proj/demo".into(),
        home: Some("/home/ada".into()),
        uid: 1000,
        gid: 1000,
    }
}

#[test]
fn sizes() {
    for (text, size) in [
        ("0", 0),
        ("1000", 1000),
        ("1000b", 1000),
        ("1k", 1024),
        ("64M", 64 << 20),
        ("8g", 8 << 30),
        ("8GB", 8 << 30),
        ("8GiB", 8 << 30),
        ("16 gb", 16 << 30),
        ("1.5g", 3 << 29),
        ("2t", 2 << 40),
        ("1.0001k", 1024),
    ] {
        assert_eq!(bytes(text), Ok(size), "{text}");
    }
    for bad in [
        "", "g", "8x", "8gg", "-1", "8  g", "1.2.3", "8gibs", "1e3", "99999p", "８g",
    ] {
        assert!(bytes(bad).is_err(), "{bad}");
    }
    for (size, text) in [
        (8 << 30, "8g"),
        (64 << 20, "64m"),
        (1000, "1000"),
        (0, "0"),
        (3 << 29, "1536m"),
    ] {
        assert_eq!(size_text(size), text);
    }
}

#[test]
fn cpus() {
    for (text, nano) in [
        ("1.5", 1_500_000_000),
        ("4", 4_000_000_000),
        (".5", 500_000_000),
        ("0.000000001", 1),
        ("3/2", 1_500_000_000),
        ("1.50000000000", 1_500_000_000),
        ("2.", 2_000_000_000),
    ] {
        assert_eq!(nano_cpus(text), Ok(nano), "{text}");
    }
    for bad in [
        "",
        ".",
        "1.0000000001",
        "1/3",
        "1/0",
        "-1",
        "1,5",
        "x",
        "99999999999999",
    ] {
        assert!(nano_cpus(bad).is_err(), "{bad}");
    }
}

#[test]
fn gpus() {
    let devices = |ids: &[&str]| Which::Devices(ids.iter().map(|id| (*id).to_owned()).collect());
    for (text, which, print) in [
        ("all", Which::All, "all"),
        ("-1", Which::All, "all"),
        ("count=all", Which::All, "all"),
        ("2", Which::Count(2), "2"),
        ("0", Which::Count(0), "0"),
        ("count=2", Which::Count(2), "2"),
        ("device=0", devices(&["0"]), "device=0"),
        ("\"device=0,1\"", devices(&["0", "1"]), "\"device=0,1\""),
        // Docker always refuses this one: the second field is a count to it.
        ("device=0,1", devices(&["0", "1"]), "\"device=0,1\""),
        ("device=GPU-1:0", devices(&["GPU-1:0"]), "device=GPU-1:0"),
        ("free=2", Which::Free(2), "free=2"),
    ] {
        assert_eq!(GpuAsk::parse(text), Ok(GpuAsk::of(which)), "{text}");
        assert_eq!(GpuAsk::parse(text).unwrap().to_string(), print);
    }
    let ask =
        GpuAsk::parse("\"device=0,1\",\"capabilities=utility,compute\",driver=nvidia").unwrap();
    assert_eq!(ask.which, devices(&["0", "1"]));
    assert_eq!(ask.capabilities, ["utility", "compute"]);
    assert_eq!(ask.driver, "nvidia");
    let ask = GpuAsk::parse("capabilities=utility,compute,all").unwrap();
    assert_eq!((ask.which, ask.capabilities.len()), (Which::All, 2));
    let ask = GpuAsk::parse("capabilities=utility").unwrap();
    assert_eq!(ask.which, Which::Count(1));
    let ask = GpuAsk::parse("all,\"options=a=b,c=d\"").unwrap();
    assert_eq!(ask.options.len(), 2);
    for (bad, say) in [
        ("", "nothing"),
        ("0,1", "\"device=0,1\""),
        ("GPU-3f", "device=GPU-3f"),
        ("device=0,count=2", "cannot both"),
        ("all,device=1", "cannot both"),
        ("device=", "by index or UUID"),
        ("device=\"0,1\"", "whole field"),
        ("\"device=0,1", "not closed"),
        ("gpu=1", "there is no"),
        ("driver=a,driver=b", "twice"),
        ("all,2", "counts to Docker"),
    ] {
        let error = GpuAsk::parse(bad).unwrap_err();
        assert!(error.contains(say), "{bad}: {error}");
    }
}

#[test]
fn ports() {
    let port = |ip: Option<&str>,
                host: Option<(u16, u16)>,
                (first, last): (u16, u16),
                protocol: &str| PortAsk {
        ip: ip.map(str::to_owned),
        host: host.map(|(first, last)| PortRange { first, last }),
        container: PortRange { first, last },
        protocol: protocol.to_owned(),
    };
    for (text, ask, print) in [
        ("80", port(None, None, (80, 80), "tcp"), "80"),
        (":80", port(None, None, (80, 80), "tcp"), "80"),
        (
            "8080:80",
            port(None, Some((8080, 8080)), (80, 80), "tcp"),
            "8080:80",
        ),
        ("0:80", port(None, Some((0, 0)), (80, 80), "tcp"), "0:80"),
        (
            "53:53/UDP",
            port(None, Some((53, 53)), (53, 53), "udp"),
            "53:53/udp",
        ),
        (
            "127.0.0.1::80",
            port(Some("127.0.0.1"), None, (80, 80), "tcp"),
            "127.0.0.1::80",
        ),
        (
            "[::1]:80:80",
            port(Some("::1"), Some((80, 80)), (80, 80), "tcp"),
            "[::1]:80:80",
        ),
        (
            "::1:81:80",
            port(Some("::1"), Some((81, 81)), (80, 80), "tcp"),
            "[::1]:81:80",
        ),
        (
            "127.0.0.1:8000-8010:80-90/tcp",
            port(Some("127.0.0.1"), Some((8000, 8010)), (80, 90), "tcp"),
            "127.0.0.1:8000-8010:80-90",
        ),
        (
            "9000-9010:80",
            port(None, Some((9000, 9010)), (80, 80), "tcp"),
            "9000-9010:80",
        ),
        (
            "published=8080,target=80,protocol=udp",
            port(None, Some((8080, 8080)), (80, 80), "udp"),
            "8080:80/udp",
        ),
        (
            "8888-8888:1-1",
            port(None, Some((8888, 8888)), (1, 1), "tcp"),
            "8888:1",
        ),
    ] {
        assert_eq!(PortAsk::parse(text), Ok(ask), "{text}");
        assert_eq!(PortAsk::parse(text).unwrap().to_string(), print);
    }
    for bad in [
        "",
        ":",
        "80:",
        "x",
        "70000",
        "80/icmp",
        "90-80",
        "8000-8010:80-81",
        "1.2.3:80:80",
        "host:80:80",
        "[::1:80:80",
        "0",
        "+80",
        "mode=host,target=80",
        "published=1:2,target=80",
    ] {
        assert!(PortAsk::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn volumes() {
    let bind = |source: &str, target: &str, options: &str| MountAsk::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        options: options.to_owned(),
    };
    for (text, mount) in [
        ("/data:/data", bind("/data", "/data", "")),
        (
            "./models:/models:ro",
            bind("/proj/demo/models", "/models", "ro"),
        ),
        (".:/app", bind("/proj/demo", "/app", "")),
        ("../x/./y/:/app", bind("/proj/x/y", "/app", "")),
        (
            "~/.cache/huggingface:/root/.cache/huggingface",
            bind(
                "/home/ada/.cache/huggingface",
                "/root/.cache/huggingface",
                "",
            ),
        ),
        ("~:/home", bind("/home/ada", "/home", "")),
        ("ollama:/root/.ollama", bind("ollama", "/root/.ollama", "")),
        ("/a:/b:ro,Z,rshared", bind("/a", "/b", "ro,Z,rshared")),
        (
            "/cache",
            MountAsk::Anonymous {
                target: "/cache".to_owned(),
            },
        ),
    ] {
        assert_eq!(MountAsk::volume(text, &here()), Ok(mount), "{text}");
    }
    for (bad, say) in [
        ("", "path from /"),
        ("x:y", "no volume name"),
        ("data:y", "path from /"),
        ("/a:/b:", "lacks"),
        (":/b", "lacks"),
        ("/a:/b:ro:x", "colons"),
        ("/a:/b:readonly", "no option"),
        ("data/x:/y", "./data/x"),
        ("~bob/x:/y", "another user"),
        ("/a:/", "whole file system"),
        ("/a:/x/..", "whole file system"),
        ("x y:/z", "no volume name"),
    ] {
        let error = MountAsk::volume(bad, &here()).unwrap_err();
        assert!(error.contains(say), "{bad}: {error}");
    }
}

#[test]
fn mounts() {
    let ask = MountAsk::mount("type=bind,src=./x,dst=/y,readonly", &here()).unwrap();
    assert_eq!(
        ask.to_string(),
        "type=bind,src=/proj/demo/x,dst=/y,readonly"
    );
    assert_eq!(
        (ask.host_path(), ask.target()),
        (Some("/proj/demo/x"), "/y")
    );
    let ask = MountAsk::mount(
        "source=vol,\"target=/a,b\",\"volume-opt=o=addr=1,rw\"",
        &here(),
    )
    .unwrap();
    assert_eq!(ask.target(), "/a,b");
    assert_eq!(
        ask.to_string(),
        "source=vol,\"target=/a,b\",\"volume-opt=o=addr=1,rw\""
    );
    assert!(matches!(
        MountAsk::tmpfs("/run:size=64m,mode=1777"),
        Ok(MountAsk::Tmpfs { ref options, .. }) if options == "size=64m,mode=1777"
    ));
    for (bad, say) in [
        ("", "nothing"),
        ("type=bind,source=/a", "target=/data"),
        ("type=bind,target=/a,volume-nocopy", "type=volume"),
        ("type=tmpfs,target=/a,tmpfs-size=x", "no size"),
        ("type=bind,target=/a,foo=1", "no `foo`"),
        ("type=bind,target=/a,foo", "needs a value"),
        ("type=bind,source=/s,target=a", "path from /"),
        (
            "type=bind,source=/s,target=/a,bind-recursive=readonly",
            "rprivate",
        ),
    ] {
        let error = MountAsk::mount(bad, &here()).unwrap_err();
        assert!(error.contains(say), "{bad}: {error}");
    }
    assert!(MountAsk::tmpfs("run").is_err());
}

#[test]
fn words() {
    for (text, print) in [
        ("memlock=-1", "memlock=-1"),
        ("memlock=-1:-1", "memlock=-1"),
        ("nofile=1024:65536", "nofile=1024:65536"),
        ("stack=67108864", "stack=67108864"),
        ("core=infinity", "core=-1"),
    ] {
        assert_eq!(Ulimit::parse(text).unwrap().to_string(), print);
    }
    for bad in [
        "memlock",
        "files=1",
        "nofile=",
        "nofile=2:1",
        "nofile=-1:1",
        "nofile=1:2:3",
        "nofile=x",
    ] {
        assert!(Ulimit::parse(bad).is_err(), "{bad}");
    }
    for text in [
        "no",
        "always",
        "unless-stopped",
        "on-failure",
        "on-failure:3",
    ] {
        assert_eq!(Restart::parse(text).unwrap().to_string(), text);
    }
    for bad in ["", "never", "always:3", "on-failure:x", "on-failure:-1"] {
        assert!(Restart::parse(bad).is_err(), "{bad}");
    }
    for text in ["always", "missing", "never"] {
        assert_eq!(PullPolicy::parse(text).unwrap().to_string(), text);
    }
    assert!(PullPolicy::parse("ifnotpresent").is_err());
    for good in ["ab", "my-train_1.2", "0a"] {
        assert!(name(good).is_ok(), "{good}");
    }
    for bad in ["", "a", "-ab", "a b", "é2", "a/b"] {
        assert!(name(bad).is_err(), "{bad}");
    }
    assert_eq!(
        EnvVar::parse("A=b=c").unwrap().value.as_deref(),
        Some("b=c")
    );
    assert_eq!(EnvVar::parse("A=").unwrap().value.as_deref(), Some(""));
    assert_eq!(EnvVar::parse("A").unwrap().value, None);
    assert!(EnvVar::parse("=b").is_err());
    assert!(EnvVar::parse("").is_err());
}

/// An error says in one short line what to type.
#[test]
fn errors_are_clean() {
    let hostile = "\u{1b}[31m\u{202e}\n".repeat(50);
    let say = |result: Result<(), String>| {
        let error = result.unwrap_err();
        assert!(
            error.chars().all(|c| !crate::model::text::is_unsafe(c)),
            "{error:?}"
        );
        assert!(error.len() < 500, "{error}");
    };
    say(bytes(&hostile).map(drop));
    say(nano_cpus(&hostile).map(drop));
    say(PortAsk::parse(&hostile).map(drop));
    say(Ulimit::parse(&format!("{hostile}=1")).map(drop));
    say(Restart::parse(&hostile).map(drop));
    say(PullPolicy::parse(&hostile).map(drop));
    say(name(&hostile).map(drop));
    say(MountAsk::volume(&hostile, &here()).map(drop));
    say(MountAsk::volume(&format!("data/{hostile}:/x"), &here()).map(drop));
    say(MountAsk::volume(&format!("./a:{hostile}"), &here()).map(drop));
    say(MountAsk::mount(
        &format!("\"type={hostile}\",target=/x,bind-nonrecursive"),
        &here(),
    )
    .map(drop));
    say(MountAsk::mount(
        &format!("type=tmpfs,target=/x,\"tmpfs-size={hostile}\""),
        &here(),
    )
    .map(drop));
    say(GpuAsk::parse(&format!("\"{hostile}\"")).map(drop));
    say(GpuAsk::parse(&format!("\"GPU-{hostile}\"")).map(drop));
}

proptest! {
    #[test]
    fn sizes_print_and_read(size in prop_oneof![0..=(i64::MAX as u64), (0u64..4096).prop_map(|n| n << 30), (0u64..4096).prop_map(|n| n << 20)]) {
        prop_assert_eq!(bytes(&size_text(size)), Ok(size));
    }

    #[test]
    fn cpus_print_and_read(nano in prop_oneof![0..=(i64::MAX as u64), (0u64..10_000).prop_map(|n| n * 250_000_000)]) {
        prop_assert_eq!(nano_cpus(&nano_text(nano)), Ok(nano));
    }

    #[test]
    fn csv_prints_and_reads(fields in prop::collection::vec("[a-z,\" \n=é]{0,6}", 1..5)) {
        prop_assert_eq!(csv::split(&csv::join(fields.iter().map(String::as_str))), Ok(fields));
    }

    #[test]
    fn no_text_panics_and_what_is_read_prints_the_same(text in "\\PC{0,24}|[a-z0-9/:.,=\"~-]{0,24}") {
        let here = here();
        let _ = (bytes(&text), nano_cpus(&text), name(&text));
        if let Ok(ask) = GpuAsk::parse(&text) {
            prop_assert_eq!(GpuAsk::parse(&ask.to_string()), Ok(ask));
        }
        if let Ok(ask) = PortAsk::parse(&text) {
            prop_assert_eq!(PortAsk::parse(&ask.to_string()), Ok(ask));
        }
        if let Ok(ask) = MountAsk::volume(&text, &here) {
            prop_assert_eq!(MountAsk::volume(&ask.to_string(), &here), Ok(ask));
        }
        if let Ok(ask) = MountAsk::mount(&text, &here) {
            prop_assert_eq!(MountAsk::mount(&ask.to_string(), &here), Ok(ask));
        }
        if let Ok(ask) = MountAsk::tmpfs(&text) {
            prop_assert_eq!(MountAsk::tmpfs(&ask.to_string()), Ok(ask));
        }
        if let Ok(var) = EnvVar::parse(&text) {
            prop_assert_eq!(EnvVar::parse(&var.to_string()), Ok(var));
        }
    }
}
