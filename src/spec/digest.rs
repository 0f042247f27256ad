//! The digest by which two machines recognise the same fleet.

use super::fleet::Fleet;
use super::playbook::Playbook;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;

/// SHA-256, hex, over everything that decides what a host of the fleet is.
///
/// In it: account, region and name; the owner's tags; `template.instance`; `image.name`; `image.encrypt`; `ssh.user` and
/// `ssh.port`; of `fleet` the mode, the spot share and its fallback, types or requirements, subnets, security groups,
/// instance profile, key pair, root volume, metadata options and `expires`; the bytes of the user data file, not its path;
/// what the host unit does with the worker: `worker.service`, `worker.restart_every`, `worker.logs_to`, the bytes of
/// `worker.drain`.
///
/// Not in it: `fleet.size`, `fleet.group`, `accept`, `max_price`, image retention, regions of copies, where state is
/// shared, how many SSH connections are made and with which keys, release, the rest of worker, queue, feed, done, budget,
/// notify, recycle, rehearsal and the verify playbook. None of them makes another host, so a change of size or pace is no
/// other fleet. Paths are left out, so two checkouts in different folders agree.
pub(crate) fn of(fleet: &Fleet, drain: Option<&Playbook>) -> io::Result<String> {
    let mut hosts = match &fleet.fleet {
        None => serde_json::Value::Null,
        Some(h) => serde_json::json!({
            "spot": h.spot_percent,
            "fallback": h.fallback_on_demand,
            "types": h.types,
            "subnets": h.subnets,
            "security_groups": h.security_groups,
            "instance_profile": h.instance_profile,
            "key_name": h.key_name,
            "root": h.root,
            "metadata": h.metadata,
            "expires": h.expires.as_secs(),
            "user_data": h.user_data.as_ref().map(std::fs::read).transpose()?.map(|bytes| hex(&[&bytes])),
        }),
    };
    // Only where there are any: a list of types means the same hosts as ever.
    if let (Some(required), serde_json::Value::Object(hosts)) =
        (fleet.fleet.as_ref().and_then(|h| h.requirements.as_ref()), &mut hosts)
    {
        hosts.insert("requirements".to_owned(), serde_json::json!(required));
    }
    if let (Some(_), serde_json::Value::Object(hosts)) =
        (fleet.fleet.as_ref().and_then(|h| h.group.as_ref()), &mut hosts)
    {
        hosts.insert("mode".to_owned(), "auto-scaling-group".into());
    }
    if let (Some(worker), serde_json::Value::Object(hosts)) = (&fleet.worker, &mut hosts) {
        hosts.insert("service".to_owned(), worker.service.as_str().into());
        // Each only where it is: without it the host unit does what it ever did.
        if let Some(drain) = drain {
            hosts.insert("drain".to_owned(), drain.digest.as_str().into());
        }
        if let Some(every) = worker.restart_every {
            hosts.insert("restart_every".to_owned(), every.as_secs().into());
        }
        if let Some(logs) = &worker.logs_to {
            hosts.insert("logs_to".to_owned(), serde_json::json!(logs));
        }
    }
    let mut canonical = serde_json::json!({
        "digest": 1,
        "account": fleet.account,
        "region": fleet.region,
        "name": fleet.name,
        "tags": fleet.tags,
        "template": fleet.template.as_ref().map(|t| &t.instance),
        "image": fleet.image.name,
        "ssh": {"user": fleet.ssh.user, "port": fleet.ssh.port},
        "hosts": hosts,
    });
    // Only where there is one: an image as the template's volumes are means the same hosts as ever.
    if let (Some(key), serde_json::Value::Object(canonical)) = (&fleet.image.kms_key, &mut canonical) {
        canonical.insert("kms_key".to_owned(), key.as_str().into());
    }
    Ok(hex(&[canonical.to_string().as_bytes()]))
}

/// SHA-256 over parts, each after its length, so that no two lists of parts share their bytes.
pub(crate) fn hex(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    sha.finalize().iter().fold(String::with_capacity(64), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap_or_default();
        out
    })
}
