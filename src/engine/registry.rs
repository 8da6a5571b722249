//! Image references as Docker reads them: which registry, which repository, which tag or digest.
//!
//! The rules are those of distribution/reference (`normalize.go`, `regexp.go`): what has no host in front is
//! Docker Hub's, what has no folder there is `library/`'s, what has no tag and no digest is `latest`.

mod credentials;

pub use credentials::{Credentials, RegistryConfig};

use crate::model::text::clean;

/// Docker Hub as references name it.
pub const HUB: &str = "docker.io";
/// Longest name with its host.
const MAX_NAME: usize = 255;
/// Longest tag.
const MAX_TAG: usize = 128;

/// An image's name, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry: `docker.io`, `nvcr.io`, `127.0.0.1:5000`.
    pub host: String,
    /// The repository there: `library/busybox`.
    pub path: String,
    /// The tag; `latest` where neither tag nor digest is given.
    pub tag: Option<String>,
    /// `sha256:…`; it goes before the tag.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// What is wrong with it, in one clean line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = || clean(text, 200);
        if text.is_empty() {
            return Err("an image has a name".into());
        }
        if text.len() == 64 && is_hex(text) {
            return Err(format!(
                "{} is an image's id: what is not in the engine's store cannot be found by it",
                shown()
            ));
        }
        let (host, rest) = match text.split_once('/') {
            Some((host, rest)) if is_host(host) => (host, rest),
            _ => (HUB, text),
        };
        let host = if host == "index.docker.io" { HUB } else { host };
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format!("a repository's name is lower-case: {}", shown()));
        }
        let good = is_domain(host)
            && path.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        if !good {
            return Err(format!("not an image's name: {}", shown()));
        }
        let path = match host == HUB && !path.contains('/') {
            true => format!("library/{path}"),
            false => path.to_owned(),
        };
        if host.len() + 1 + path.len() > MAX_NAME {
            return Err(format!(
                "a name of more than {MAX_NAME} characters: {}",
                shown()
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            path,
            tag: match (tag, digest) {
                (None, None) => Some("latest".into()),
                (tag, _) => tag.map(str::to_owned),
            },
            digest: digest.map(str::to_owned),
        })
    }

    /// Host and repository: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The digest, else the tag.
    pub fn version(&self) -> &str {
        let version = self.digest.as_deref().or(self.tag.as_deref());
        version.unwrap_or("latest")
    }

    /// As the engine's store knows it once it is pulled: a digest goes without a tag.
    pub fn in_store(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.name()),
            None => format!("{}:{}", self.name(), self.version()),
        }
    }

    /// As people write it: without what Docker adds by itself but the tag.
    pub fn familiar(&self) -> String {
        let mut text = match self.host == HUB {
            true => self
                .path
                .strip_prefix("library/")
                .unwrap_or(&self.path)
                .to_owned(),
            false => self.name(),
        };
        if let Some(tag) = &self.tag {
            text.push_str(&format!(":{tag}"));
        }
        if let Some(digest) = &self.digest {
            text.push_str(&format!("@{digest}"));
        }
        text
    }

    /// The command that logs in there.
    pub fn login(&self) -> String {
        match self.host == HUB {
            true => "docker login".into(),
            false => format!("docker login {}", self.host),
        }
    }
}

/// Whether what stands before the first slash is a host: it looks like one, or no repository could be called
/// so.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|b| b.is_ascii_uppercase())
}

/// `host`, `host:port`, `[::1]:port`.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((address, port)) => {
                let good = !address.is_empty()
                    && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
                if !good {
                    return false;
                }
                ("v6", port)
            }
            None => return false,
        },
        None => match text.find(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    port_is_good && host.split('.').all(label)
}

/// Lower-case letters and digits in groups, with one dot, one or two underscores or any dashes between.
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut between = String::new();
    let mut begun = false;
    for c in text.chars() {
        if c.is_ascii() && word(c as u8) {
            let good = between.is_empty()
                || matches!(between.as_str(), "." | "_" | "__")
                || between.bytes().all(|b| b == b'-');
            if !good || (!begun && !between.is_empty()) {
                return false;
            }
            between.clear();
            begun = true;
        } else {
            between.push(c);
        }
    }
    begun && between.is_empty()
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && is_hex(hex)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHA: &str = "sha256:52e8f809746f47c187fdeea159ff9dda9df8a9633474d12a1e79d197c04f17bd";

    #[test]
    fn references_are_read_as_docker_reads_them() {
        for (text, host, path, version, familiar) in [
            (
                "busybox",
                "docker.io",
                "library/busybox",
                "latest",
                "busybox:latest",
            ),
            (
                "busybox:1.36",
                "docker.io",
                "library/busybox",
                "1.36",
                "busybox:1.36",
            ),
            (
                "docker.io/busybox",
                "docker.io",
                "library/busybox",
                "latest",
                "busybox:latest",
            ),
            (
                "index.docker.io/library/busybox",
                "docker.io",
                "library/busybox",
                "latest",
                "busybox:latest",
            ),
            (
                "vllm/vllm-openai:v0.6.3",
                "docker.io",
                "vllm/vllm-openai",
                "v0.6.3",
                "vllm/vllm-openai:v0.6.3",
            ),
            (
                "nvcr.io/nvidia/pytorch:24.10-py3",
                "nvcr.io",
                "nvidia/pytorch",
                "24.10-py3",
                "nvcr.io/nvidia/pytorch:24.10-py3",
            ),
            (
                "localhost/x",
                "localhost",
                "x",
                "latest",
                "localhost/x:latest",
            ),
            (
                "127.0.0.1:5000/a/b",
                "127.0.0.1:5000",
                "a/b",
                "latest",
                "127.0.0.1:5000/a/b:latest",
            ),
            (
                "[::1]:5000/a",
                "[::1]:5000",
                "a",
                "latest",
                "[::1]:5000/a:latest",
            ),
            // A host by its capitals; `box:5000` without a slash is a tag.
            ("Box/a", "Box", "a", "latest", "Box/a:latest"),
            ("box:5000", "docker.io", "library/box", "5000", "box:5000"),
            (
                "a__b/c.d-e---f_g",
                "docker.io",
                "a__b/c.d-e---f_g",
                "latest",
                "a__b/c.d-e---f_g:latest",
            ),
        ] {
            let got = Reference::parse(text).unwrap();
            assert_eq!(
                (
                    got.host.as_str(),
                    got.path.as_str(),
                    got.version(),
                    got.familiar().as_str()
                ),
                (host, path, version, familiar),
                "{text}"
            );
        }
        let got = Reference::parse(&format!("a/b:1@{SHA}")).unwrap();
        assert_eq!((got.version(), got.tag.as_deref()), (SHA, Some("1")));
        assert_eq!(got.familiar(), format!("a/b:1@{SHA}"));
        assert_eq!(got.in_store(), format!("docker.io/a/b@{SHA}"));
        let got = Reference::parse(&format!("a/b@{SHA}")).unwrap();
        assert_eq!((got.version(), &got.tag), (SHA, &None));
        assert_eq!(Reference::parse("x").unwrap().login(), "docker login");
        let other = Reference::parse("r.io:5/x").unwrap();
        assert_eq!(other.login(), "docker login r.io:5");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let hex = "a".repeat(64);
        let long = "a".repeat(300);
        let tag = format!("a:{}", "t".repeat(129));
        for bad in [
            "",
            "a b",
            "Busybox",
            "a/B:1",
            "a:",
            ":1",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a:-x",
            "a@sha256:12",
            "a@md5:00",
            "a@",
            "a:1:2",
            "http://a/b",
            "a.b:x/c",
            "a_.b",
            "é",
            &hex,
            &long,
            &tag,
            "r.io/",
            "-r.io/x",
            "[zz]:1/a",
            "[::1/a",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?}");
        }
        let told = Reference::parse("a\u{1b}[2J\nb").unwrap_err();
        assert!(!told.chars().any(char::is_control), "{told:?}");
    }

    proptest! {
        #[test]
        fn whatever_is_read_reads_the_same_again(text in "[a-zA-Z0-9._:/@-]{0,40}|.{0,30}") {
            if let Ok(first) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&first.familiar()), Ok(first.clone()));
                let full = format!("{}:{}", first.name(), first.tag.clone().unwrap_or("x".into()));
                prop_assert_eq!(Reference::parse(&full).map(|r| r.name()), Ok(first.name()));
            }
        }
    }
}
