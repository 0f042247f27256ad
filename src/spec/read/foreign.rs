//! `hosts:` machines that fleetwright did not launch.

use super::whole;
use crate::model::Address;
use crate::spec::check::Check;
use crate::spec::fleet::{ForeignHost, SshSpec};
use crate::spec::problem::quote;
use crate::spec::section::{Field, Section, not_yet};
use crate::spec::tree::Kind;
use crate::spec::value::{Wrong, word};

/// Most machines of a list; as many as a fleet may have hosts.
const MOST: usize = 10_000;
/// What a host's name may be: it goes into file names and on command lines.
const NAME: &str = "a name of at most 64 letters, digits, `.`, `_` and `-`";

/// Reads the list; what an entry leaves out is taken from `ssh`.
pub(super) fn hosts(check: &mut Check<'_>, field: &Field<'_>, ssh: &SshSpec) -> Vec<ForeignHost> {
    if let Kind::Map(_) = field.node.kind {
        not_yet(
            check,
            field.key,
            "`hosts` by tag or group",
            "list the machines, for example [10.0.0.5, build.example.com]",
        );
        return Vec::new();
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
        let Some(host) = host(check, entry, ssh) else { continue };
        let help = Some("every machine stands here once, with a name of its own");
        if !places.insert(host.address.to_string()) {
            let message = format!("`{}` is at {} like one before it", entry.path, quote(&host.address.to_string()));
            check.error_with(entry.node.span, "duplicate-value", message, help);
        } else if !names.insert(host.name.clone()) {
            let message = format!("`{}` is named {} like one before it", entry.path, quote(&host.name));
            check.error_with(entry.node.span, "duplicate-value", message, help);
        }
        out.push(host);
    }
    out
}

fn host(check: &mut Check<'_>, field: &Field<'_>, ssh: &SshSpec) -> Option<ForeignHost> {
    let (at, mut section) = match &field.node.kind {
        Kind::Scalar { .. } => (Some(field.clone()), None),
        Kind::List(_) | Kind::Map(_) => {
            let mut s = check.section(field, "`- {address: 10.0.0.5, user: admin}`")?;
            (s.need("address", "10.0.0.5"), Some(s))
        }
    };
    let mut get = |key| section.as_mut().and_then(|s: &mut Section<'_>| s.get(key));
    let (name, user, port) = (get("name"), get("user"), get("port"));
    let at = at.and_then(|f| check.parsed(&f, address));
    let login = word("a login name of at most 32 letters, digits, `.`, `_` and `-`", 32, "._-");
    let user = user.and_then(|f| check.parsed(&f, login)).unwrap_or_else(|| ssh.user.clone());
    let port = port.and_then(|f| whole(check, &f, (1, 65_535))).and_then(|n| u16::try_from(n).ok());
    let name = name.and_then(|f| check.parsed(&f, word(NAME, 64, "._-")));
    if let Some(section) = section {
        section.close(check, &[]);
    }
    let host = at?;
    let name = name.unwrap_or_else(|| host.replace(':', "."));
    Some(ForeignHost { name, address: Address { host, port: port.unwrap_or(ssh.port) }, user })
}

/// A DNS name or an IP address, nothing around it.
fn address(text: &str) -> Result<String, Wrong> {
    let wrong = || Wrong::bad("a host's name or IP address");
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    let bare = text.trim_start_matches("ssh://");
    let (user, rest) = bare.rsplit_once('@').map_or((None, bare), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        Some(_) | None => (rest, None),
    };
    let label = |l: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&l.len()) && l.bytes().all(good) && !l.starts_with('-') && !l.ends_with('-')
    };
    let numbers = |h: &str| h.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let named = host.len() <= 253 && host.split('.').all(label) && !numbers(host);
    if !named && host.parse::<std::net::IpAddr>().is_err() {
        return Err(wrong());
    }
    if user.is_none() && port.is_none() && bare == text {
        return Ok(text.to_owned());
    }
    let user = user.map(|user| format!(", user: {user}")).unwrap_or_default();
    let port = port.map(|port| format!(", port: {port}")).unwrap_or_default();
    Err(wrong().help(format!("write {{address: {host}{user}{port}}}")))
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
        for bad in ["", "10.0.0.256", "-x", "a b", "a/b", "10.0.0", "a..b", "$(id)"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
