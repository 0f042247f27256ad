//! `fleet:` what to launch.

use super::top::each;
use super::{DAY, SECOND, boolean, id, number, span, whole};
use crate::model::{SecurityGroupId, SubnetId};
use crate::spec::check::Check;
use crate::spec::fleet::{GroupSpec, HostsSpec, MetadataSpec, Otherwise, Requirements, RootVolume};
use crate::spec::problem::quote;
use crate::spec::section::{Field, Section, not_yet};
use crate::spec::tree::Kind;
use crate::spec::{aws, value};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// RunInstances takes 16 KiB of user data before encoding.
const MOST_USER_DATA: usize = 16 << 10;
/// The largest types have 896 vCPUs (u-24tb1) and 32 TiB (u7inh-32tb).
const MOST_VCPUS: u32 = 1_024;
const MOST_GIB: u32 = 32_768;
/// Most hosts of a fleet.
const MOST_HOSTS: u32 = 10_000;

pub(super) fn hosts(check: &mut Check<'_>, field: &Field<'_>) -> Option<HostsSpec> {
    let mut s = check.section(field, "`fleet: {size: 40, spot: 90%}`")?;
    let size = s.need("size", "40").and_then(|f| whole(check, &f, (1, MOST_HOSTS)));
    let group = mode(check, &mut s);
    let accept = accept(check, &mut s, size);
    let spot = s.get("spot").map(|f| check.parsed(&f, value::percent));
    let on_demand = number(&mut s, check, "on_demand", (0, MOST_HOSTS), 0);
    let fallback_on_demand = fallback(check, &mut s, group.is_some());
    let (types, requirements) = kinds(check, &mut s);
    let subnets = each(check, s.get("subnets"), 64, |c, f| id(c, f, "subnet-").map(SubnetId::new));
    let security_groups = each(check, s.get("security_groups"), 16, |c, f| id(c, f, "sg-").map(SecurityGroupId::new));
    let instance_profile = s.get("instance_profile").and_then(|f| check.parsed(&f, aws::instance_profile));
    let key_name = s.get("key_name").and_then(|f| check.parsed(&f, aws::key_pair));
    let max_price = s.get("max_price").and_then(|f| check.parsed(&f, value::price).zip(Some(f)));
    // A share that could not be read is not none.
    let no_spot = matches!(spot, None | Some(Some(0)));
    if let Some((_, f)) = max_price.as_ref().filter(|_| no_spot) {
        let help = "on-demand hosts cost the list price; set `spot`, or leave `max_price` out";
        check.warn(f.key, "no-effect", "`fleet.max_price` bounds spot prices, but no host is spot", help);
    }
    let root = root(check, &mut s);
    let expires = span(&mut s, check, "expires", (10 * 60 * SECOND, 30 * DAY), 12 * 3600 * SECOND);
    let user_data = s.get("user_data").and_then(|f| user_data(check, &f));
    let metadata = metadata(check, &mut s);
    s.close(check, &[]);
    Some(HostsSpec {
        size: size?,
        group,
        accept_min: accept.min.or(size)?,
        accept_within: accept.within,
        otherwise: accept.otherwise,
        spot_percent: spot.flatten().unwrap_or(0),
        on_demand,
        fallback_on_demand,
        types,
        requirements,
        subnets,
        security_groups,
        instance_profile,
        key_name,
        max_price: max_price.map(|(price, _)| price),
        root,
        expires,
        user_data,
        metadata,
    })
}

/// What holds the hosts together, and how it behaves when it is a group.
fn mode(check: &mut Check<'_>, s: &mut Section<'_>) -> Option<GroupSpec> {
    let words = value::choice(&[("instances", false), ("auto-scaling-group", true)]);
    let grouped = s.get("mode").and_then(|field| check.parsed(&field, words)).unwrap_or(false);
    let mut out = GroupSpec { grace: Duration::from_mins(5), rebalance: false, drain_within: Duration::from_mins(5) };
    if let Some(field) = s.get("group") {
        if !grouped {
            let message = "`fleet.group` is about an Auto Scaling group, and `fleet.mode` makes none";
            check.error_with(field.key, "conflict", message, Some("add `mode: auto-scaling-group`, or leave it out"));
        }
        if let Some(mut s) = check.section(&field, "`group: {grace: 5m}`") {
            out.grace = span(&mut s, check, "grace", (Duration::ZERO, 7200 * SECOND), out.grace);
            out.drain_within = span(&mut s, check, "drain_within", (30 * SECOND, 7200 * SECOND), out.drain_within);
            out.rebalance = boolean(&mut s, check, "rebalance", out.rebalance);
            s.close(check, &[]);
        }
    }
    grouped.then_some(out)
}

/// Whether on-demand hosts take the place of spot that can't be had.
fn fallback(check: &mut Check<'_>, s: &mut Section<'_>, grouped: bool) -> bool {
    let Some(field) = s.get("fallback") else { return !grouped };
    let wanted = check.parsed(&field, value::choice(&[("on-demand", true), ("none", false)])).unwrap_or(!grouped);
    if wanted && grouped {
        let message = "an Auto Scaling group keeps asking for spot and never falls back to on-demand by itself";
        let help = "write `fallback: none`, and `on_demand: N` for hosts that must be there in any case";
        check.error_with(field.node.span, "conflict", message, Some(help));
    }
    wanted
}

struct Accept {
    min: Option<u32>,
    within: Duration,
    otherwise: Otherwise,
}

fn accept(check: &mut Check<'_>, s: &mut Section<'_>, size: Option<u32>) -> Accept {
    let mut out = Accept { min: None, within: Duration::from_mins(10), otherwise: Otherwise::Abort };
    let Some(mut s) = s.get("accept").and_then(|f| check.section(&f, "`accept: {min: 36, within: 10m}`")) else {
        return out;
    };
    if let Some(field) = s.get("min") {
        out.min = match (&field.node.kind, size) {
            (Kind::Scalar { text, .. }, Some(size)) if text.ends_with('%') => {
                let hosts = value::percent(text).ok().map(|share| (size * u32::from(share)).div_ceil(100).max(1));
                check.judged::<u32>(&field, Err(value::Wrong::bad("a number of hosts").likely(hosts)))
            }
            _ => whole(check, &field, (1, MOST_HOSTS)),
        };
        if let Some((min, size)) = out.min.zip(size).filter(|(min, size)| min > size) {
            let message = format!("`{}` is {min}, more than `fleet.size`, which is {size}", field.path);
            check.error_with(field.node.span, "conflict", message, Some(format!("write {size} or less")));
        }
    }
    out.within = span(&mut s, check, "within", (60 * SECOND, DAY), out.within);
    let words = value::choice(&[("abort", Otherwise::Abort), ("keep", Otherwise::Keep)]);
    out.otherwise = s.get("otherwise").and_then(|f| check.parsed(&f, words)).unwrap_or(out.otherwise);
    s.close(check, &[]);
    out
}

/// Instance types by name, or what they must have.
fn kinds(check: &mut Check<'_>, s: &mut Section<'_>) -> (Vec<String>, Option<Requirements>) {
    let (types, required) = (s.get("types"), s.get("requirements"));
    if let Some(field) = required.as_ref().filter(|_| types.is_some()) {
        let message = "`fleet.types` names the types, `fleet.requirements` lets them be found: only one of the two";
        check.error_with(field.key, "conflict", message, Some("leave one of them out"));
    }
    if let Some(f) = types.as_ref().filter(|f| matches!(f.node.kind, Kind::Map(_))) {
        let message = "`fleet.types` must be a list, but is a section of keys and values";
        check.error_with(f.key, "wrong-type", message, Some("requirements have a key of their own: `requirements`"));
        return (Vec::new(), None);
    }
    // An EC2 fleet takes 300 overrides in a request, types times subnets.
    let types = each(check, types, 40, instance_type);
    (types, required.and_then(|f| requirements(check, &f)))
}

/// A type; one of a size that EC2 does not have is used, since sizes come and go, but warned about.
pub(super) fn instance_type(check: &mut Check<'_>, field: &Field<'_>) -> Option<String> {
    let name = check.parsed(field, aws::instance_type)?;
    if !aws::is_usual_size(&name) {
        let message =
            format!("`{}`: {} has a size that was not known when this program was built", field.path, quote(&name));
        let help = match aws::likely_size(&name) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "aws ec2 describe-instance-type-offerings lists the types of a region".to_owned(),
        };
        check.warn(field.node.span, "odd-type", message, &help);
    }
    Some(name)
}

fn requirements(check: &mut Check<'_>, field: &Field<'_>) -> Option<Requirements> {
    let mut s = check.section(field, "`requirements: {vcpus: 2, memory: 8GiB}`")?;
    let vcpus = s.need("vcpus", "2").and_then(|f| check.parsed(&f, value::between("", MOST_VCPUS)));
    let memory = s.need("memory", "8GiB").and_then(|f| check.parsed(&f, value::between("GiB", MOST_GIB)));
    let words = value::choice(&[("x86_64", "x86_64"), ("arm64", "arm64")]);
    let architecture = s.get("architecture").and_then(|f| check.parsed(&f, words)).map(str::to_owned);
    let words = value::choice(&[("current", true), ("any", false)]);
    let current_only = s.get("generation").and_then(|f| check.parsed(&f, words)).unwrap_or(true);
    let burstable = boolean(&mut s, check, "burstable", false);
    let exclude = each(check, s.get("exclude"), 40, |c, f| c.parsed(f, aws::type_pattern));
    s.close(check, &[]);
    Some(Requirements { vcpus: vcpus?, memory_gib: memory?, architecture, current_only, burstable, exclude })
}

fn root(check: &mut Check<'_>, s: &mut Section<'_>) -> RootVolume {
    let mut out = RootVolume { size_gib: None, volume_type: "gp3".to_owned(), encrypted: true };
    let Some(mut s) = s.get("root").and_then(|f| check.section(&f, "`root: {size: 30GiB}`")) else { return out };
    // EBS: io2 goes to 64 TiB, and root volumes of general purpose type to 64 TiB as well.
    out.size_gib = s.get("size").and_then(|f| check.parsed(&f, value::gib(1, 65_536)));
    let kinds = value::choice(&[("gp3", "gp3"), ("gp2", "gp2"), ("standard", "standard")]);
    if let Some(field) = s.get("type") {
        let text = check.raw(&field).map(|(text, _)| text);
        if matches!(text, Some("io1" | "io2")) {
            not_yet(check, field.node.span, "io1 and io2 in `fleet.root.type`", "they need an IOPS figure; use gp3");
        } else if let Some(kind) = check.parsed(&field, kinds) {
            kind.clone_into(&mut out.volume_type);
        }
    }
    let key = s.get("encrypted").map(|f| f.key);
    out.encrypted = boolean(&mut s, check, "encrypted", true);
    if let Some(key) = key.filter(|_| !out.encrypted) {
        check.warn(key, "weak", "root volumes will not be encrypted", "leave `encrypted` out to encrypt them");
    }
    s.close(check, &[]);
    out
}

fn metadata(check: &mut Check<'_>, s: &mut Section<'_>) -> MetadataSpec {
    let mut out = MetadataSpec { tokens_required: true, hop_limit: 1 };
    let Some(mut s) = s.get("metadata").and_then(|f| check.section(&f, "`metadata: {tokens: required}`")) else {
        return out;
    };
    if let Some(field) = s.get("tokens") {
        let words = value::choice(&[("required", true), ("optional", false)]);
        out.tokens_required = check.parsed(&field, words).unwrap_or(true);
        if !out.tokens_required {
            let message =
                "IMDSv1 will answer: any program that fetches URLs for others can leak the host's credentials";
            check.warn(field.node.span, "weak", message, "leave `tokens` out to require IMDSv2");
        }
    }
    out.hop_limit = u8::try_from(number(&mut s, check, "hop_limit", (1, 64), 1)).unwrap_or(1);
    s.close(check, &[]);
    out
}

/// A file that goes into the create call: bounded, and free of what must not be kept in a journal.
fn user_data(check: &mut Check<'_>, field: &Field<'_>) -> Option<PathBuf> {
    let path = check.file(field, false)?;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path);
    let bytes = match file.and_then(|file| file.take(MOST_USER_DATA as u64 + 1).read_to_end(&mut bytes)) {
        Ok(_) => bytes,
        Err(error) => {
            check.error(field.node.span, "unreadable", format!("`{}` can't be read: {error}", field.path));
            return None;
        }
    };
    if bytes.len() > MOST_USER_DATA {
        let message =
            format!("`{}` names a file of more than {MOST_USER_DATA} bytes, the most that EC2 takes", field.path);
        check.error(field.node.span, "too-large", message);
    }
    if let Some(what) = secret(&String::from_utf8_lossy(&bytes)) {
        let message = format!(
            "`{}` names a file that holds {what}: user data is readable on every host and in the API",
            field.path
        );
        let help = "bring secrets to hosts over SSH, or use the instance profile";
        check.error_with(field.node.span, "secret", message, Some(help));
    }
    Some(path)
}

/// What looks like a credential: an access key's id, or a private key.
fn secret(text: &str) -> Option<&'static str> {
    let key_id = ["AKIA", "ASIA"].iter().flat_map(|prefix| text.match_indices(prefix)).any(|(at, _)| {
        let alone = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let long = text[at..].bytes().take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit()).count() == 20;
        alone && long
    });
    if key_id {
        return Some("an AWS access key");
    }
    (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")).then_some("a private key")
}
