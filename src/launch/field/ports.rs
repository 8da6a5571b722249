//! `-p`.

use std::fmt;
use std::net::IpAddr;

use super::said;
use crate::launch::{PortAsk, PortRange};

impl PortRange {
    /// A single port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// How many ports.
    #[must_use]
    pub fn count(self) -> u32 {
        u32::from(self.last.saturating_sub(self.first)) + 1
    }

    /// `80` or `8000-8010`.
    ///
    /// # Errors
    /// No ports, or the last before the first.
    pub fn parse(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| {
                    format!(
                        "{} is no port: a number from 0 to 65535, or two as in 8000-8010",
                        said(text)
                    )
                })
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if last < first {
            return Err(format!("{} ends before it begins", said(text)));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last == self.first {
            return Ok(());
        }
        write!(f, "-{}", self.last)
    }
}

impl PortAsk {
    /// `[IP:][HOST:]CONTAINER[/PROTOCOL]` with ports or ranges, or `published=8080,target=80[,protocol=tcp]`.
    ///
    /// # Errors
    /// What is no port, address or protocol; ranges of different length.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('=') {
            return Self::parse(&plain(text)?);
        }
        let (rest, last) = match text.rsplit_once(':') {
            Some((rest, last)) => (Some(rest), last),
            None => (None, text),
        };
        let (container, protocol) = last.split_once('/').unwrap_or((last, "tcp"));
        if container.is_empty() {
            return Err(format!(
                "{} names no port of the container: write 8080:80, host port first",
                said(text)
            ));
        }
        let protocol = match protocol.to_ascii_lowercase() {
            protocol if protocol.is_empty() => "tcp".to_owned(),
            protocol if matches!(protocol.as_str(), "tcp" | "udp" | "sctp") => protocol,
            protocol => {
                return Err(format!(
                    "{} is no protocol: tcp, udp or sctp",
                    said(&protocol)
                ));
            }
        };
        let (ip, host) = match rest {
            None => (None, ""),
            Some(rest) => match rest.rsplit_once(':') {
                Some((ip, host)) => (Some(ip), host),
                None => (None, rest),
            },
        };
        let ip = ip.filter(|ip| !ip.is_empty()).map(address).transpose()?;
        let container = PortRange::parse(container)?;
        if container.first == 0 {
            return Err("a container's port is a number from 1 to 65535".to_owned());
        }
        let host = match host {
            "" => None,
            host => Some(PortRange::parse(host)?),
        };
        if let Some(host) = host
            && host.count() != container.count()
            && container.count() != 1
        {
            return Err(format!(
                "{} has {} host ports for {} of the container: both ranges must be as long",
                said(text),
                host.count(),
                container.count()
            ));
        }
        Ok(Self {
            ip,
            host,
            container,
            protocol,
        })
    }

    /// The flag and its value.
    #[must_use]
    pub fn to_flag(&self) -> [String; 2] {
        ["-p".to_owned(), self.to_string()]
    }
}

/// The long form as the short one.
fn plain(text: &str) -> Result<String, String> {
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some(("mode", _)) => {
                return Err("mode= is for services, not for containers: leave it out".to_owned());
            }
            _ => {
                return Err(format!(
                    "{} is no part of a port: published=8080,target=80,protocol=tcp",
                    said(part)
                ));
            }
        }
    }
    if [published, target, protocol]
        .iter()
        .any(|part| part.contains([':', '/', '=']))
    {
        return Err(format!(
            "{} is no port: published=8080,target=80",
            said(text)
        ));
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn address(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'));
    bare.filter(|ip| ip.parse::<IpAddr>().is_ok())
        .map(str::to_owned)
        .ok_or_else(|| {
            format!(
                "{} is no address: write 127.0.0.1:8080:80, or [::1]:8080:80",
                said(text)
            )
        })
}

impl fmt::Display for PortAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ip {
            Some(ip) if ip.contains(':') => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        match self.host {
            Some(host) => write!(f, "{host}:")?,
            None if self.ip.is_some() => f.write_str(":")?,
            None => {}
        }
        write!(f, "{}", self.container)?;
        if self.protocol == "tcp" {
            return Ok(());
        }
        write!(f, "/{}", self.protocol)
    }
}
