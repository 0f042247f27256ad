//! `hosts:` machines that fleetwright did not launch.

use super::whole;
use crate::model::{Address, Tags};
use crate::spec::check::Check;
use crate::spec::fleet::SshSpec;
use crate::spec::named::{ForeignHost, Which};
use crate::spec::problem::quote;
use crate::spec::section::{Field, Section};
use crate::spec::tree::{Kind, Node};
use crate::spec::value::{Wrong, word};

/// Most machines of a list; as many as a fleet may have hosts.
const MOST: usize = 10_000;
/// What a host's name may be: it goes into file names and on command lines.
const NAME: &str = "a name of at most 64 letters, digits, `.`, `_` and `-`";

/// Whether one of the entries names machines by what AWS knows of them.
pub(super) fn asks_aws(hosts: &Node) -> bool {
    match &hosts.kind {
        Kind::Scalar { .. } => false,
        Kind::List(entries) => entries.iter().any(asks_aws),
        Kind::Map(entries) => entries.iter().any(|(key, _)| ["tag", "group"].contains(&key.text.as_str())),
    }
}

/// Reads the list, or the one entry that stands in its place.
pub(super) fn hosts(check: &mut Check<'_>, field: &Field<'_>, ssh: &SshSpec) -> Vec<ForeignHost> {
    if let Kind::Map(_) = field.node.kind {
        return host(check, field).into_iter().collect();
    }
    let Some(entries) = check.list(field) else { return Vec::new() };
    if entries.is_empty() || entries.len() > MOST {
        let message = format!("`{}` has {} entries; it must have 1 to {MOST}", field.path, entries.len());
        check.error(field.key, if entries.is_empty() { "empty" } else { "out-of-range" }, message);
        return Vec::new();
    }
    let mut out: Vec<ForeignHost> = Vec::with_capacity(entries.len());
    let mut names = std::collections::HashSet::new();
    let mut places = std::collections::HashSet::new();
    for entry in &entries {
        let Some(host) = host(check, entry) else { continue };
        if let Which::At { name, address } = &host.which {
            let help = Some("every machine stands here once, with a name of its own");
            let place = Address { host: address.clone(), port: host.port.unwrap_or(ssh.port) }.to_string();
            if !places.insert(place.clone()) {
                let message = format!("`{}` is at {} like one before it", entry.path, quote(&place));
                check.error_with(entry.node.span, "duplicate-value", message, help);
            } else if !names.insert(name.clone()) {
                let message = format!("`{}` is named {} like one before it", entry.path, quote(name));
                check.error_with(entry.node.span, "duplicate-value", message, help);
            }
        }
        out.push(host);
    }
    out
}

fn host(check: &mut Check<'_>, field: &Field<'_>) -> Option<ForeignHost> {
    let (at, mut section) = match &field.node.kind {
        Kind::Scalar { .. } => (Some(field.clone()), None),
        Kind::List(_) | Kind::Map(_) => {
            let mut s = check.section(field, "`- {address: 10.0.0.5, user: admin}`")?;
            (s.get("address"), Some(s))
        }
    };
    let mut get = |key| section.as_mut().and_then(|s: &mut Section<'_>| s.get(key));
    let (tag, group) = (get("tag"), get("group"));
    let (name, user, port) = (get("name"), get("user"), get("port"));
    let login = word("a login name of at most 32 letters, digits, `.`, `_` and `-`", 32, "._-");
    let user = user.and_then(|f| check.parsed(&f, login));
    let port = port.and_then(|f| whole(check, &f, (1, 65_535))).and_then(|n| u16::try_from(n).ok());
    let ways: Vec<&Field<'_>> = [&at, &tag, &group].into_iter().flatten().collect();
    match ways.as_slice() {
        [_] => {}
        [] => {
            if let Some(s) = section.as_mut() {
                s.need("address", "10.0.0.5");
            }
        }
        [_, second, ..] => {
            let message = format!("`{}` has more than one of `address`, `tag` and `group`", field.path);
            check.error_with(second.key, "conflict", message, Some("give each of them an entry of its own"));
        }
    }
    if let Some(f) = name.as_ref().filter(|_| at.is_none() && !ways.is_empty()) {
        let message = format!("`{}` goes with `address`: what a tag or a group finds has its id for a name", f.path);
        check.error(f.key, "conflict", message);
    }
    let name = name.and_then(|f| check.parsed(&f, word(NAME, 64, "._-")));
    let at = at.and_then(|f| check.parsed(&f, address));
    let tags = tag.map(|f| tags(check, &f));
    let group = group.and_then(|f| check.parsed(&f, super::recycle::group_name));
    if let Some(section) = section {
        section.close(check, &[]);
    }
    let which = match (at, tags, group) {
        (Some(address), _, _) => Which::At { name: name.unwrap_or_else(|| named(&address)), address },
        (None, Some(tags), _) => Which::Tagged(tags?),
        (None, None, Some(group)) => Which::of_group(group),
        (None, None, None) => return None,
    };
    Some(ForeignHost { which, port, user })
}

/// One `KEY=VALUE`, or a list of them that must all be there.
fn tags(check: &mut Check<'_>, field: &Field<'_>) -> Option<Tags> {
    if let Kind::Scalar { .. } = field.node.kind {
        return check.parsed(field, tag).map(|pair| Tags::from_iter([pair]));
    }
    let entries = check.list(field)?;
    if entries.is_empty() || entries.len() > 10 {
        let message = format!("`{}` has {} entries; it must have 1 to 10", field.path, entries.len());
        check.error(field.key, if entries.is_empty() { "empty" } else { "out-of-range" }, message);
        return None;
    }
    entries.iter().map(|entry| check.parsed(entry, tag)).collect()
}

/// Reads `Role=web`. Wildcards, which EC2's filters know, would find more than is named.
pub(crate) fn tag(text: &str) -> Result<(String, String), Wrong> {
    let wrong = || Wrong::bad("a tag such as `Role=web`: letters, digits, spaces and any of `_.:/=+-@`, no wildcards");
    let good = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let fits = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
    if fits && text.chars().all(good) { Ok((key.to_owned(), value.to_owned())) } else { Err(wrong()) }
}

/// What a machine is called that nobody has named.
fn named(address: &str) -> String {
    address.replace(':', ".")
}

/// Reads one machine of a file: `[user@]address[:port]`.
pub(crate) fn machine(text: &str) -> Result<ForeignHost, Wrong> {
    let (user, host, port) =
        parts(text).ok_or_else(|| Wrong::bad("a machine such as `10.0.0.5` or `ada@web-1:2222`"))?;
    let which = Which::At { name: named(host), address: host.to_owned() };
    Ok(ForeignHost { which, port, user: user.map(str::to_owned) })
}

/// A DNS name or an IP address, nothing around it.
fn address(text: &str) -> Result<String, Wrong> {
    let wrong = || Wrong::bad("a host's name or IP address");
    let bare = text.trim_start_matches("ssh://");
    match parts(bare).ok_or_else(wrong)? {
        (None, host, None) if host == text => Ok(text.to_owned()),
        (user, host, port) => {
            let user = user.map(|user| format!(", user: {user}")).unwrap_or_default();
            let port = port.map(|port| format!(", port: {port}")).unwrap_or_default();
            Err(wrong().help(format!("write {{address: {host}{user}{port}}}")))
        }
    }
}

/// `[user@]address[:port]` in its parts; an IPv6 address before a port stands in brackets.
fn parts(text: &str) -> Option<(Option<&str>, &str, Option<u16>)> {
    let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
    let login = |user: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        (1..=32).contains(&user.len()) && user.bytes().all(good) && !user.starts_with('-')
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None if rest.parse::<std::net::IpAddr>().is_ok() => (rest, None),
        None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let label = |l: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&l.len()) && l.bytes().all(good) && !l.starts_with('-') && !l.ends_with('-')
    };
    let numbers = |h: &str| h.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = host.len() <= 253 && host.split('.').all(label) && !numbers(host);
    let good = (is_name || host.parse::<std::net::IpAddr>().is_ok()) && user.is_none_or(login);
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    good.then_some((user, host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_alone() {
        for good in ["10.0.0.5", "fe80::1", "build", "build-2.example.com", "i_1.internal"] {
            assert_eq!(address(good), Ok(good.to_owned()));
        }
        let help = |text| address(text).err().and_then(|wrong| wrong.help);
        assert_eq!(help("ada@10.0.0.5:2222").as_deref(), Some("write {address: 10.0.0.5, user: ada, port: 2222}"));
        assert_eq!(help("build:22").as_deref(), Some("write {address: build, port: 22}"));
        assert_eq!(help("[fe80::1]:22").as_deref(), Some("write {address: fe80::1, port: 22}"));
        for bad in [
            "",
            "10.0.0.256",
            "build:",
            "build:0",
            "build:65536",
            "@build",
            "-x@build",
            "[build",
            "fe80::1:x",
            "-x",
            "a b",
            "a/b",
            "10.0.0",
            "a..b",
            "$(id)",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn machines_of_a_file_and_tags() {
        let read = |text| machine(text).map(|m| (m.user, m.which, m.port));
        let at = |name: &str, address: &str| Which::At { name: name.into(), address: address.into() };
        assert_eq!(read("ada@web-1:2222"), Ok((Some("ada".into()), at("web-1", "web-1"), Some(2222))));
        assert_eq!(read("fe80::1"), Ok((None, at("fe80..1", "fe80::1"), None)));
        assert_eq!(read("[fe80::1]:22"), Ok((None, at("fe80..1", "fe80::1"), Some(22))));
        assert!(read("ssh://web-1").is_err() && read("a b").is_err() && read("a;b@c").is_err());

        assert_eq!(tag("Role=web"), Ok(("Role".into(), "web".into())));
        assert_eq!(tag("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(tag("Role="), Ok(("Role".into(), String::new())));
        for bad in ["Role", "=web", "Role=w*", "Role=w?b", "Role=a\\b", "Role=\n"] {
            assert!(tag(bad).is_err(), "{bad}");
        }
    }
}
