//! `--network` and what goes with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use crate::launch::field::{csv, said};

/// What is said of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::launch) struct Ends {
    pub target: String,
    pub aliases: Vec<String>,
    pub links: Vec<String>,
    pub link_local: Vec<String>,
    pub ip: Option<String>,
    pub ip6: Option<String>,
    pub mac: Option<String>,
    pub driver: Vec<(String, String)>,
    pub priority: i64,
}

/// One `--network`: a name, or `name=NET,alias=A,ip=I`.
///
/// # Errors
/// No name; a key or value that Docker does not know.
pub(in crate::launch) fn network(text: &str) -> Result<Ends, String> {
    let mut ends = Ends::default();
    if !is_long(text) {
        if text.trim().is_empty() {
            return Err("a network needs a name: bridge, host, none, or one of yours".to_owned());
        }
        ends.target = text.to_owned();
        return Ok(ends);
    }
    for field in csv::split(text)? {
        let Some((key, value)) = field.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(format!(
                "{} needs a value: name=NET,alias=NAME,ip=ADDRESS",
                said(&field)
            ));
        };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "name" => value.clone_into(&mut ends.target),
            "alias" => ends.aliases.push(value.to_owned()),
            "ip" => ends.ip = Some(ipv4(value)?),
            "ip6" => ends.ip6 = Some(ipv6(value)?),
            "mac-address" => ends.mac = Some(mac(value)?),
            "link-local-ip" => ends.link_local.push(ip(value)?),
            "driver-opt" => {
                let Some((name, value)) =
                    value.split_once('=').filter(|(name, _)| !name.is_empty())
                else {
                    return Err(format!("{} is no pair: driver-opt=NAME=VALUE", said(value)));
                };
                ends.driver
                    .push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "gw-priority" => {
                ends.priority = value
                    .parse()
                    .map_err(|_| format!("{} is no number: gw-priority=1", said(value)))?;
            }
            _ => {
                return Err(format!(
                    "there is no {} in a network: name=, alias=, ip=, ip6=, mac-address=, link-local-ip=, \
                     driver-opt=, gw-priority=",
                    said(key)
                ));
            }
        }
    }
    if ends.target.is_empty() {
        return Err("a network needs a name: name=NET".to_owned());
    }
    Ok(ends)
}

/// Whether a word character stands on both sides of a `=`: then it is not a name alone.
fn is_long(text: &str) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c == '_' || c.is_ascii_alphanumeric());
    let chars: Vec<char> = text.chars().collect();
    chars.windows(3).any(|three| match three {
        [before, '=', after] => word(Some(*before)) && word(Some(*after)),
        _ => false,
    })
}

pub(in crate::launch) fn ip(text: &str) -> Result<String, String> {
    text.trim()
        .parse::<IpAddr>()
        .map(|ip| ip.to_string())
        .map_err(|_| format!("{} is no IP address", said(text)))
}

pub(in crate::launch) fn ipv4(text: &str) -> Result<String, String> {
    text.trim()
        .parse::<Ipv4Addr>()
        .map(|ip| ip.to_string())
        .map_err(|_| format!("{} is no IPv4 address", said(text)))
}

pub(in crate::launch) fn ipv6(text: &str) -> Result<String, String> {
    text.trim()
        .parse::<Ipv6Addr>()
        .map(|ip| ip.to_string())
        .map_err(|_| format!("{} is no IPv6 address", said(text)))
}

/// A MAC address: six or eight pairs of hexadecimal digits.
pub(in crate::launch) fn mac(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.trim().split([':', '-']).collect();
    let pairs = parts
        .iter()
        .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()));
    if pairs && matches!(parts.len(), 6 | 8 | 20) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is no MAC address: 92:d0:c6:0a:29:33",
        said(text)
    ))
}

/// Whether it is a network that somebody made.
fn is_user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none" | "nat")
        && !target.starts_with("container:")
}

/// `NetworkMode`, and the settings at each network. `common` holds the flags that are about the first.
///
/// # Errors
/// What Docker's client refuses: a thing said twice, names or links at a network that has none, a network twice.
pub(super) fn endpoints(
    networks: &[String],
    common: Ends,
) -> Result<(String, Map<String, Value>), String> {
    let mut asked = networks
        .iter()
        .map(|text| network(text))
        .collect::<Result<Vec<_>, _>>()?;
    let named = !asked.is_empty();
    if !named {
        asked.push(Ends {
            target: "default".to_owned(),
            ..Ends::default()
        });
    }
    let user_defined = asked
        .iter()
        .filter(|ends| is_user_defined(&ends.target))
        .count();
    if user_defined > 0 && user_defined < asked.len() {
        return Err(
            "networks of your own and bridge, host, none or container: cannot be joined together"
                .to_owned(),
        );
    }
    let mode = asked
        .first()
        .map(|ends| ends.target.clone())
        .unwrap_or_default();
    if let Some(first) = asked.first_mut() {
        combine(first, common)?;
    }
    let single = asked.len() == 1;
    let mut all = Map::new();
    for ends in asked {
        let target = ends.target.clone();
        if all.contains_key(&target) {
            return Err(format!("--network {} is given twice", said(&target)));
        }
        let settings = settings(ends)?;
        if single && settings.is_empty() {
            continue;
        }
        all.insert(target, Value::Object(settings));
    }
    Ok((mode, all))
}

/// The flags about the first network, put there.
fn combine(first: &mut Ends, common: Ends) -> Result<(), String> {
    let twice = |what: &str| Err(format!("{what} is given both by itself and in --network"));
    if !common.aliases.is_empty() {
        if !first.aliases.is_empty() {
            return twice("--network-alias");
        }
        first.aliases = common.aliases;
    }
    // At the default bridge a link is one of the old kind, and stands in the host's part of the body.
    if is_user_defined(&first.target) {
        first.links = common.links;
    }
    if !common.link_local.is_empty() {
        if !first.link_local.is_empty() {
            return twice("--link-local-ip");
        }
        first.link_local = common.link_local;
    }
    for (mine, theirs, flag) in [
        (&mut first.ip, common.ip, "--ip"),
        (&mut first.ip6, common.ip6, "--ip6"),
        (&mut first.mac, common.mac, "--mac-address"),
    ] {
        if theirs.is_some() {
            if mine.is_some() {
                return twice(flag);
            }
            *mine = theirs;
        }
    }
    Ok(())
}

fn settings(ends: Ends) -> Result<Map<String, Value>, String> {
    if !is_user_defined(&ends.target) && !ends.aliases.is_empty() {
        return Err(format!(
            "a network alias needs a network of your own, and {} is none",
            said(&ends.target)
        ));
    }
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    if !ends.aliases.is_empty() {
        put("Aliases", json!(ends.aliases));
    }
    if !ends.links.is_empty() {
        put("Links", json!(ends.links));
    }
    let mut ipam = Map::new();
    if let Some(ip) = ends.ip {
        ipam.insert("IPv4Address".to_owned(), json!(ip));
    }
    if let Some(ip) = ends.ip6 {
        ipam.insert("IPv6Address".to_owned(), json!(ip));
    }
    if !ends.link_local.is_empty() {
        ipam.insert("LinkLocalIPs".to_owned(), json!(ends.link_local));
    }
    if !ipam.is_empty() {
        put("IPAMConfig", Value::Object(ipam));
    }
    if let Some(mac) = ends.mac {
        put("MacAddress", json!(mac));
    }
    if !ends.driver.is_empty() {
        let options: Map<String, Value> = ends
            .driver
            .into_iter()
            .map(|(name, value)| (name, json!(value)))
            .collect();
        put("DriverOpts", Value::Object(options));
    }
    if ends.priority != 0 {
        put("GwPriority", json!(ends.priority));
    }
    Ok(map)
}
