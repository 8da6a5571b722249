//! The NVIDIA Container Toolkit of this machine: its version and how it is set to hand GPUs over.
//!
//! Files and defaults as in NVIDIA/nvidia-container-toolkit v1.20.0. What cannot be read is not known.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::read;

/// Its configuration: the package's, and the GPU operator's.
const CONFIGS: [&str; 2] = [
    "etc/nvidia-container-runtime/config.toml",
    "usr/local/nvidia/toolkit/.config/nvidia-container-runtime/config.toml",
];
/// Where its programs are looked for.
const FOLDERS: [&str; 7] = [
    "usr/bin",
    "usr/local/bin",
    "usr/sbin",
    "usr/local/sbin",
    "usr/local/nvidia/toolkit",
    "opt/nvidia/toolkit",
    "run/current-system/sw/bin",
];
/// The package that names the version, in the order of preference.
const PACKAGES: [&[u8]; 2] = [
    b"nvidia-container-toolkit",
    b"nvidia-container-toolkit-base",
];
/// Bytes of the configuration that are read.
const MAX_CONFIG: usize = 64 << 10;
/// Bytes of the list of packages that are read; a desktop's has about 5 MB.
const MAX_STATUS: u64 = 64 << 20;
/// How long its own program may take to say its version.
const ASK: Duration = Duration::from_secs(2);

/// What is known of the toolkit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toolkit {
    /// `1.17.8`: of the distribution's package, else of `nvidia-ctk --version`.
    pub version: Option<String>,
    /// `nvidia-container-runtime.mode` as configured: `auto`, `legacy`, `cdi`, `csv`, `jit-cdi`.
    pub mode: Option<String>,
    /// `nvidia-container-runtime.modes.legacy.cuda-compat-mode`: `ldconfig`, `mount`, `hook`, `disabled`.
    pub compat_mode: Option<String>,
    /// `disable-require = true`: `NVIDIA_REQUIRE_*` is not looked at.
    pub disable_require: bool,
    /// Whether `nvidia-container-runtime-hook` is there.
    pub hook: bool,
    /// Whether `nvidia-cdi-hook` is there.
    pub cdi_hook: bool,
}

impl Toolkit {
    /// What the simulated machine has installed.
    pub fn simulated() -> Self {
        Self {
            version: Some("1.17.8".to_owned()),
            mode: Some("auto".to_owned()),
            hook: true,
            ..Self::default()
        }
    }

    /// Reads it under a root (`/`; another one in tests, where no program is run). May take 2 s where the
    /// version is in no list of packages.
    pub fn read(root: &Path) -> Self {
        let config = CONFIGS
            .iter()
            .find_map(|path| read::text(&root.join(path), MAX_CONFIG).ok());
        let mut toolkit = config.as_deref().map(from_config).unwrap_or_default();
        toolkit.hook = program(root, "nvidia-container-runtime-hook").is_some();
        toolkit.cdi_hook = program(root, "nvidia-cdi-hook").is_some();
        toolkit.version = packaged(&root.join("var/lib/dpkg/status")).or_else(|| {
            let program = program(root, "nvidia-ctk")?;
            (root == Path::new("/")).then(|| ask(&program, ASK))?
        });
        toolkit
    }
}

/// The configuration's part; a broken file tells nothing.
fn from_config(text: &str) -> Toolkit {
    let Ok(config) = text.parse::<toml::Table>() else {
        return Toolkit::default();
    };
    let runtime = config.get("nvidia-container-runtime");
    let word = |value: Option<&toml::Value>| {
        let text = crate::model::text::clean(value?.as_str()?.trim(), 64);
        (!text.is_empty()).then_some(text)
    };
    let legacy = runtime
        .and_then(|table| table.get("modes"))
        .and_then(|table| table.get("legacy"));
    Toolkit {
        mode: word(runtime.and_then(|table| table.get("mode"))),
        compat_mode: word(legacy.and_then(|table| table.get("cuda-compat-mode"))),
        disable_require: config.get("disable-require").and_then(toml::Value::as_bool) == Some(true),
        ..Toolkit::default()
    }
}

fn program(root: &Path, name: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| root.join(folder).join(name))
        .find(|path| path.is_file())
}

/// The installed package's version, without the packaging's own number.
fn packaged(status: &Path) -> Option<String> {
    let mut lines = BufReader::new(File::open(status).ok()?.take(MAX_STATUS));
    let mut best: Option<(usize, String)> = None;
    let (mut rank, mut installed, mut version) = (None, false, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = lines.read_until(b'\n', &mut line).ok()?;
        let text = line.trim_ascii_end();
        if let Some(name) = text.strip_prefix(b"Package: ") {
            rank = PACKAGES.iter().position(|package| *package == name);
        } else if rank.is_some() {
            if let Some(state) = text.strip_prefix(b"Status: ") {
                installed = state.ends_with(b" installed");
            } else if let Some(text) = text.strip_prefix(b"Version: ") {
                version = plain_version(&String::from_utf8_lossy(text));
            }
        }
        if text.is_empty() {
            if let (Some(rank), true, Some(version)) = (rank, installed, version.take())
                && best.as_ref().is_none_or(|(known, _)| rank < *known)
            {
                best = Some((rank, version));
            }
            (rank, installed, version) = (None, false, None);
        }
        if count == 0 {
            return best.map(|(_, version)| version);
        }
    }
}

/// `1:1.17.8-1` -> `1.17.8`.
fn plain_version(text: &str) -> Option<String> {
    let text = text.rsplit_once(':').map_or(text, |(_, rest)| rest);
    let text = text.rsplit_once('-').map_or(text, |(own, _)| own);
    let good = text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 64
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".~+-".contains(c));
    good.then(|| text.to_owned())
}

/// Asks the toolkit's program; it is ended where it takes too long.
fn ask(program: &Path, limit: Duration) -> Option<String> {
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = child.stdout.take()?;
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.take(64 << 10).read_to_string(&mut text);
        // Nobody waits any more once the limit is over.
        let _ = tell.send(read.map(|_| text));
    });
    let text = told.recv_timeout(limit);
    let _ = child.kill();
    let _ = child.wait();
    said(&text.ok()?.ok()?)
}

/// `NVIDIA Container Toolkit CLI version 1.17.8`, and a line with the commit.
fn said(text: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.split_once("version "))
        .and_then(|(_, rest)| plain_version(rest.split_whitespace().next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_configuration_is_read_and_a_broken_one_tells_nothing() {
        let whole = "disable-require = true\n#swarm-resource = \"DOCKER_RESOURCE_GPU\"\n\
            [nvidia-container-cli]\nload-kmods = true\n[nvidia-container-runtime]\nlog-level = \"info\"\n\
            mode = \"auto\"\n[nvidia-container-runtime.modes.csv]\nmount-spec-path = \"/etc\"\n\
            [nvidia-container-runtime.modes.legacy]\ncuda-compat-mode = \"disabled\"\n";
        let cases: [(&str, Option<&str>, Option<&str>, bool); 7] = [
            (whole, Some("auto"), Some("disabled"), true),
            ("", None, None, false),
            ("disable-require = false", None, None, false),
            ("disable-require = \"true\"", None, None, false),
            (
                "[nvidia-container-runtime]\nmode = \"cdi\"",
                Some("cdi"),
                None,
                false,
            ),
            (
                "[nvidia-container-runtime\nmode = \"cdi\"",
                None,
                None,
                false,
            ),
            (
                "nvidia-container-runtime = 3\ndisable-require = true",
                None,
                None,
                true,
            ),
        ];
        for (text, mode, compat, disabled) in cases {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), CONFIGS[0], text);
            let toolkit = Toolkit::read(root.path());
            let want = Toolkit {
                mode: mode.map(str::to_owned),
                compat_mode: compat.map(str::to_owned),
                disable_require: disabled,
                ..Toolkit::default()
            };
            assert_eq!(toolkit, want, "{text}");
        }
    }

    #[test]
    fn the_package_names_the_version() {
        let entry = |name: &str, status: &str, version: &str| {
            format!(
                "Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\nDescription: x\n Version: 9\n\n"
            )
        };
        let (main, base) = ("nvidia-container-toolkit", "nvidia-container-toolkit-base");
        let installed = "install ok installed";
        let cases = [
            (entry(main, installed, "1.17.8-1"), Some("1.17.8")),
            (
                entry(base, installed, "1.18.0~rc.1-1")
                    + &entry("nvidia-container-toolkit-x", installed, "9"),
                Some("1.18.0~rc.1"),
            ),
            (
                entry(base, installed, "1.17.7-1") + &entry(main, installed, "1.17.8-1"),
                Some("1.17.8"),
            ),
            (entry(main, "deinstall ok config-files", "1.14.0-1"), None),
            (entry("bash", installed, "5.2-1"), None),
            (
                entry(main, installed, "1:1.9.0-1").trim_end().to_owned(),
                Some("1.9.0"),
            ),
            (entry(main, installed, "\u{1b}[2J"), None),
            (String::new(), None),
        ];
        for (status, want) in cases {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), "var/lib/dpkg/status", &status);
            let toolkit = Toolkit::read(root.path());
            assert_eq!(toolkit.version.as_deref(), want, "{status}");
        }
    }

    #[test]
    fn its_programs_are_found_and_under_another_root_none_is_run() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Toolkit::read(root.path()), Toolkit::default());
        put(root.path(), "usr/bin/nvidia-container-runtime-hook", "");
        put(root.path(), "usr/local/nvidia/toolkit/nvidia-cdi-hook", "");
        put(
            root.path(),
            "usr/bin/nvidia-ctk",
            "#!/bin/sh\necho version 1.2.3\n",
        );
        let toolkit = Toolkit::read(root.path());
        assert!(toolkit.hook && toolkit.cdi_hook);
        assert_eq!(toolkit.version, None);
    }

    #[test]
    fn its_own_program_is_asked_and_not_waited_for_too_long() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            put(root.path(), name, text);
            let path = root.path().join(name);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        assert_eq!(
            said("NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80\n").as_deref(),
            Some("1.17.8")
        );
        assert_eq!(said("nonsense"), None);
        let stuck = script("stuck", "#!/bin/sh\nexec sleep 60\n");
        let begun = std::time::Instant::now();
        assert_eq!(ask(&stuck, Duration::from_millis(50)), None);
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(ask(Path::new("/nonexistent"), ASK), None);
    }
}
