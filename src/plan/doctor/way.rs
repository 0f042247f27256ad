//! How AWS is reached from here: proxy variables and certificates, as far as they are set.

use super::finding::Notes;
use crate::exit::Exit;
use crate::model::checkup::Checkup;
use crate::spec::Fleet;

/// Proxies in the order in which they are asked for, for https.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// What goes around them.
const AROUND: [&str; 2] = ["NO_PROXY", "no_proxy"];

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| Some((*name, checkup.way.get(name).filter(|value| !value.is_empty())?)))
    };
    let service = format!("ec2.{}.{}", fleet.region, fleet.region.partition().domain);
    let around = first(&AROUND);
    if let Some((name, list)) = around
        && let Some(star) = list.split(',').map(str::trim).find(|entry| entry.len() > 1 && entry.contains('*'))
    {
        let plain = star.trim_start_matches("*.").replace('*', "");
        notes.warning(
            "no-proxy",
            format!("{name} has `{star}`, which matches nothing: only a lone `*` is a wildcard"),
            format!("write {plain}, which takes in all names below it"),
        );
    }
    match (first(&PROXIES), checkup.way.get("AWS_ENDPOINT_URL")) {
        // A named endpoint is what is asked, whatever the region's own is called.
        (_, Some(endpoint)) => notes.ok("endpoint", format!("{endpoint} is asked in place of {service}")),
        (None, None) => notes.ok("proxy", "no proxy is named: AWS is reached directly"),
        (Some((name, proxy)), None) => {
            let shown = without_password(proxy);
            if around.is_some_and(|(_, list)| excepts(list, &service)) {
                notes
                    .ok("proxy", format!("{name} is {shown}, and NO_PROXY excepts {service}: AWS is reached directly"));
            } else if proxy.rsplit("://").next().unwrap_or_default().trim_matches('/').is_empty() {
                notes.problem(
                    "proxy",
                    Exit::Usage,
                    format!("{name} is {shown}, which names no host"),
                    format!("export {name}=http://HOST:PORT"),
                );
            } else if let Err(fault) = &checkup.caller
                && fault.kind.retryable()
            {
                notes.problem(
                    "proxy",
                    Exit::Unavailable,
                    format!("AWS is not reached through {shown} ({name})"),
                    format!("is the proxy up, and does it let CONNECT {service}:443 through?"),
                );
            } else {
                notes.ok("proxy", format!("AWS is reached through {shown} ({name}); SSH to hosts never is"));
            }
        }
    }
    if let Some(bundle) = checkup.way.get("AWS_CA_BUNDLE").filter(|bundle| !bundle.is_empty()) {
        notes.ok("certificates", format!("AWS_CA_BUNDLE: {bundle} takes the place of the system's"));
    }
}

/// A proxy's URL as it may be shown.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => url.to_owned(),
    }
}

/// Whether a NO_PROXY list excepts a host: `*`, the name itself, or a domain above it, with or without its dot.
fn excepts(list: &str, host: &str) -> bool {
    list.split(',').map(|entry| entry.trim().trim_start_matches('.')).filter(|entry| !entry.is_empty()).any(|entry| {
        let above = host.strip_suffix(entry);
        entry == "*" || above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}
