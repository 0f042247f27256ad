//! The top of a fleet.yaml: who, where, tags, template and image.

use super::{DAY, SECOND, build, distinct, foreign, hosts, id, notify, number, recycle, rehearsal, span, ssh, work};
use crate::model::group::of_fleet;
use crate::model::{AccountId, FleetName, InstanceId, Region, Tags, tags};
use crate::spec::check::Check;
use crate::spec::fleet::{Canary, Fleet, NO_ACCOUNT, NO_REGION, Template};
use crate::spec::image::ImageSpec;
use crate::spec::problem::quote;
use crate::spec::region::{self, Named};
use crate::spec::section::{Field, Section};
use crate::spec::tree::{Kind, Node, Span};
use crate::spec::{aws, value};
use std::path::PathBuf;
use std::time::Duration;

/// Reads the whole tree; what is wrong is noted, and the fleet is then good for nothing but further checks.
pub(crate) fn fleet(check: &mut Check<'_>, file: PathBuf, root: &Node) -> Option<Fleet> {
    let start = Span { end: root.span.start, ..root.span };
    if !matches!(root.kind, Kind::Map(_)) {
        check.error_with(
            start,
            "wrong-type",
            "a fleet.yaml is a section of keys and values",
            Some("start with `version: 1`"),
        );
        return None;
    }
    let mut s = check.section(&Field { path: String::new(), key: start, node: root }, "`version: 1`")?;
    let version = s.need("version", "1").and_then(|f| super::whole(check, &f, (1, u32::MAX)).zip(Some(f)));
    if let Some((version, field)) = version.filter(|(v, _)| *v != 1) {
        let message = format!("`version` is {version}; this program reads version 1");
        check.error(field.node.span, "out-of-range", message);
    }
    let implied = Implied::of(&s);
    let name = required(&mut s, "name", "nightly-crawl", implied.name, |f| {
        let text = check.text_of(f)?;
        check.judged(f, aws::fleet_name(text)).map(FleetName::from)
    });
    let account = required(&mut s, "account", "\"123456789012\"", implied.account, |f| {
        let text = check.text_of(f)?;
        check.judged(f, aws::account(text)).map(AccountId::from)
    });
    let region = required(&mut s, "region", "us-east-1", implied.region, |f| region(check, f));
    let state = s.get("state").and_then(|f| {
        let text = check.text_of(&f)?;
        check.judged(&f, aws::shared_state(text))
    });
    let own = s.get("tags").map(|f| own_tags(check, &f)).unwrap_or_default();
    let (mut template, built) = s.get("template").and_then(|f| template(check, &f)).unzip();
    let built = built.flatten();
    let is_built = built.is_some();
    let image = image(check, s.get("image"), name.as_ref(), region.as_ref());
    let mut hosts = s.get("fleet").and_then(|f| hosts::hosts(check, &f));
    if let (Some(template), Some(built)) = (&mut template, built) {
        template.build = build::settled(check, built, hosts.as_mut());
    }
    let ssh = ssh::ssh(check, s.get("ssh"));
    let foreign = s.get("hosts");
    if let Some(field) = foreign.as_ref().filter(|_| hosts.is_some() || template.is_some()) {
        let message = "`hosts` names machines that fleetwright did not launch; `fleet` and `template` are about those that it does";
        check.error_with(field.key, "conflict", message, Some("give each of them a spec of its own"));
    }
    let foreign = foreign.map(|f| foreign::hosts(check, &f, &ssh)).unwrap_or_default();
    let release = s.get("release").and_then(|f| work::release(check, &f));
    let worker = s.get("worker").and_then(|f| work::worker(check, &f));
    let queue = s.get("queue").and_then(|f| work::queue(check, &f, account.as_ref(), region.as_ref()));
    let feed = s.get("feed").and_then(|f| work::feed(check, &f));
    let done = work::done(check, s.get("done"), hosts.as_ref().map(|hosts| hosts.expires));
    if is_built {
        let feed = feed.as_ref().zip(s.get("feed").map(|f| f.key));
        let completed = done.completed.as_ref().and_then(|_| s.get("done")).map(|f| f.key);
        build::lasting(check, feed, completed);
    }
    let grouped = hosts.as_ref().is_some_and(|hosts| hosts.group.is_some());
    let group = name.as_ref().filter(|_| grouped).map(|name| of_fleet(name.as_str()));
    let recycle = s.get("recycle").and_then(|f| recycle::recycle(check, &f, group));
    let budget = s.get("budget").and_then(|f| work::budget(check, &f));
    let notify = s.get("notify").map(|f| notify::notify(check, &f)).unwrap_or_default();
    let rehearsal = s.get("rehearsal").and_then(|f| rehearsal::rehearsal(check, &f)).unwrap_or_default();
    canary_needs(check, &mut s);
    s.close(check, &[]);
    // What is missing here is an error already; the stand-ins only let the playbooks be read for their own problems.
    let name = name.unwrap_or_else(|| FleetName::from("unnamed"));
    let account = account.unwrap_or_else(|| AccountId::from("000000000000"));
    let region = region.unwrap_or_else(|| Region::from("us-east-1"));
    let dir = check.dir.clone();
    let digest = String::new();
    Some(Fleet {
        file,
        dir,
        digest,
        name,
        account,
        region,
        state,
        tags: own,
        template,
        image,
        fleet: hosts,
        ssh,
        hosts: foreign,
        release,
        worker,
        queue,
        feed,
        done,
        recycle,
        budget,
        notify,
        rehearsal,
    })
}

/// What a spec need not say, because nothing is launched from it and the rest says it already.
#[derive(Default)]
struct Implied {
    name: Option<FleetName>,
    account: Option<AccountId>,
    region: Option<Region>,
}

impl Implied {
    /// A queue's URL tells account, region and a name, `recycle.group` a name; a list of foreign machines, none of them
    /// by tag or group, needs neither account nor region.
    fn of(s: &Section<'_>) -> Self {
        if ["template", "fleet", "state"].iter().any(|key| s.peek(key).is_some()) {
            return Self::default();
        }
        let url = match s.peek("queue").map(|queue| &queue.kind) {
            Some(Kind::Map(entries)) => entries.iter().find(|(key, _)| key.text == "url").map(|(_, node)| &node.kind),
            Some(Kind::Scalar { .. } | Kind::List(_)) | None => None,
        };
        let url = match url {
            // What comes from the environment is not shown, so it names nothing.
            Some(Kind::Scalar { text, .. }) if !text.contains("${") => aws::queue_url(text).ok(),
            Some(Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_)) | None => None,
        };
        match (url, s.peek("hosts")) {
            (Some(url), _) => Self {
                name: aws::tame(&url.name).map(FleetName::new),
                account: Some(AccountId::new(url.account)),
                region: url.region.map(Region::new),
            },
            // Who is found by a tag is found in some account.
            (None, Some(hosts)) => {
                let listed = !foreign::asks_aws(hosts);
                Self {
                    name: Some(FleetName::from("hosts")),
                    account: listed.then(|| AccountId::from(NO_ACCOUNT)),
                    region: listed.then(|| Region::from(NO_REGION)),
                }
            }
            // The group tells a name; account and region must be said.
            (None, None) => Self { name: group(s).and_then(aws::tame).map(FleetName::new), ..Self::default() },
        }
    }
}

/// The group that `recycle` is about.
fn group<'n>(s: &Section<'n>) -> Option<&'n str> {
    let Kind::Map(entries) = &s.peek("recycle")?.kind else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.text == "group")?;
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

/// A value that must be there, unless the rest of the spec implies it.
fn required<T>(
    s: &mut Section<'_>,
    key: &'static str,
    example: &str,
    implied: Option<T>,
    read: impl FnOnce(&Field<'_>) -> Option<T>,
) -> Option<T> {
    match (s.get(key), implied) {
        (Some(field), _) => read(&field),
        (None, Some(implied)) => Some(implied),
        (None, None) => s.need(key, example).and_then(|_| None),
    }
}

/// A region; one that was not known when this was written is used, but warned about.
fn region(check: &mut Check<'_>, field: &Field<'_>) -> Option<Region> {
    let text = check.text_of(field)?;
    match check.judged(field, region::region(text))? {
        Named::Known(name) => Some(Region::from(name)),
        Named::Strange(name, near) => {
            let message = format!("no region {} was known when this program was built", quote(name));
            let help = near.map_or("aws account list-regions shows those of the account".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
            check.warn(field.node.span, "odd-region", message, &help);
            Some(Region::from(name))
        }
    }
}

/// The owner's own tags: 50 are allowed on a resource, ours and `Name` need the rest.
fn own_tags(check: &mut Check<'_>, field: &Field<'_>) -> Tags {
    let Some(section) = check.section(field, "`tags: {team: data}`") else { return Tags::default() };
    let mut out = Tags::default();
    for (n, (key, field)) in section.fields().enumerate() {
        let reserved = [tags::PREFIX, "aws:"].into_iter().find(|p| key.text.to_lowercase().starts_with(p));
        let good = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        if key.text.contains("${") {
            let message = format!("the tag {} can't take its name from the environment", quote(&key.text));
            check.error(key.span, "environment", message);
        } else if let Some(prefix) = reserved {
            let message = format!(
                "the tag {} is reserved: `{prefix}` belongs to {}",
                quote(&key.text),
                if prefix == "aws:" { "AWS" } else { "fleetwright" }
            );
            check.error(key.span, "reserved-tag", message);
        } else if key.text == tags::NAME {
            let help = Some("leave it out: hosts are named after the fleet");
            check.error_with(key.span, "reserved-tag", "the tag `Name` is set by fleetwright", help);
        } else if !(1..=128).contains(&key.text.chars().count()) || !key.text.chars().all(good) {
            let what = "a tag's key must be 1 to 128 letters, digits, spaces and any of _.:/=+-@";
            check.error(key.span, "bad-value", format!("{what}, not {}", quote(&key.text)));
        } else if n >= 40 {
            check.error(
                key.span,
                "out-of-range",
                "there are more than 40 tags; AWS allows 50 and fleetwright needs the others",
            );
            break;
        }
        let value = check.parsed(&field, |text| {
            let ok = text.chars().count() <= 256 && text.chars().all(good);
            let wanted = "at most 256 letters, digits, spaces and any of _.:/=+-@";
            ok.then(|| text.to_owned()).ok_or_else(|| value::Wrong::bad(wanted))
        });
        if let Some(value) = value {
            out = out.with(&key.text, value);
        }
    }
    out
}

/// The template, and how it is made where nobody has made it by hand.
fn template(check: &mut Check<'_>, field: &Field<'_>) -> Option<(Template, Option<build::Written>)> {
    let mut s = check.section(field, "`template: {instance: i-0123456789abcdef0}`")?;
    let build = s.get("build");
    let named = if build.is_some() { s.get("instance") } else { s.need("instance", "i-0123456789abcdef0") };
    if let Some(field) = named.as_ref().filter(|_| build.is_some()) {
        let message =
            "`template.instance` names an instance that is there, `template.build` makes one: only one of the two";
        check.error_with(field.key, "conflict", message, Some("leave one of them out"));
    }
    let both = named.is_some() && build.is_some();
    let instance = named.and_then(|f| id(check, &f, "i-")).map(InstanceId::new);
    let is_built = build.is_some();
    // Beside an instance it is refused already, and what it lacks is of no interest.
    let build = build.and_then(|f| build::build(check, &f)).filter(|_| !both);
    let verify = s.get("verify").and_then(|f| check.file(&f, false));
    let canary = s.get("canary").and_then(|f| {
        let mut s = check.section(&f, "`canary: {items: 3}`")?;
        let items = number(&mut s, check, "items", (1, 100), 3);
        let within = span(&mut s, check, "within", (10 * SECOND, DAY), Duration::from_mins(5));
        s.close(check, &[]);
        Some(Canary { items, within })
    });
    s.close(check, &[]);
    if instance.is_none() && !is_built {
        return None;
    }
    Some((Template { instance, build: None, verify, canary }, build))
}

fn image(
    check: &mut Check<'_>,
    field: Option<Field<'_>>,
    name: Option<&FleetName>,
    home: Option<&Region>,
) -> ImageSpec {
    let fallback = name.map_or("fleet", FleetName::as_str).to_owned();
    let name = if fallback.len() < 3 { format!("{fallback}-image") } else { fallback };
    let mut out = ImageSpec { name, keep: 3, kms_key: None, copy_to: Vec::new() };
    let Some(mut s) = field.and_then(|f| check.section(&f, "`image: {keep: 3}`")) else { return out };
    if let Some(name) = s.get("name").and_then(|f| check.parsed(&f, aws::image_name)) {
        out.name = name;
    }
    out.keep = number(&mut s, check, "keep", (0, 1000), 3);
    out.copy_to = each(check, s.get("copy_to"), 20, |c, f| copy_to(c, f, home));
    out.kms_key = s.get("encrypt").and_then(|f| encrypt(check, &f, home, &out.copy_to));
    s.close(check, &[]);
    out
}

/// A region that images are copied to: another one of the same partition.
fn copy_to(check: &mut Check<'_>, field: &Field<'_>, home: Option<&Region>) -> Option<Region> {
    let to = region(check, field)?;
    let home = home?;
    if to == *home {
        let message = format!("`{}` is the fleet's own region, where its images are anyway", field.path);
        check.error_with(field.node.span, "own-region", message, Some("leave it out"));
        return None;
    }
    if to.partition() != home.partition() {
        let (there, here) = (to.partition().name, home.partition().name);
        let message = format!("`{}` is {to}, which is in the partition {there}; {home} is in {here}", field.path);
        let help = "CopyImage stays within a partition; CreateStoreImageTask and CreateRestoreImageTask cross it by S3";
        check.error_with(field.node.span, "other-partition", message, Some(help));
        return None;
    }
    Some(to)
}

/// The key of encrypted images, which must be one in every region that has them.
fn encrypt(check: &mut Check<'_>, field: &Field<'_>, home: Option<&Region>, copies: &[Region]) -> Option<String> {
    let mut s = check.section(field, "`encrypt: {kms_key: alias/fleet}`")?;
    let field = s.need("kms_key", "alias/fleet");
    let key = field.as_ref().and_then(|f| check.parsed(f, aws::kms_key));
    s.close(check, &[]);
    let (key, field) = key.zip(field)?;
    let of_region = key.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
    if let Some((region, home)) = of_region.zip(home).filter(|(region, home)| *region != home.as_str()) {
        let message = format!("`{}` is a key of {region}; the image is encrypted in {home}", field.path);
        check.error_with(field.node.span, "other-region", message, Some("a key never leaves its region"));
    } else if !copies.is_empty() && !key.starts_with("alias/") && !key.starts_with("mrk-") {
        let message = format!("`{}` names a key of one region, and `image.copy_to` has others", field.path);
        let help =
            "give each region a key of the same alias and write the alias, or the id of a multi-region key (mrk-...)";
        check.error_with(field.node.span, "one-region", message, Some(help));
    }
    Some(key)
}

/// A canary runs real items through a private queue on the template: it needs all that this takes.
fn canary_needs(check: &mut Check<'_>, s: &mut Section<'_>) {
    let has = |map: &Field<'_>, key: &str| match &map.node.kind {
        Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(k, _)| k.span),
        Kind::Scalar { .. } | Kind::List(_) => None,
    };
    let Some(canary) = s.get("template").and_then(|t| has(&t, "canary")) else { return };
    let command = s.get("worker").and_then(|w| has(&w, "command"));
    let needs = [
        (command.is_some(), "worker.command", "a command that starts a worker on the queue {{ queue_url }}"),
        (s.get("queue").is_some(), "queue", "the queue whose settings the private one copies"),
        (s.get("feed").is_some(), "feed", "the source of its items"),
    ];
    for (_, key, what) in needs.into_iter().filter(|(there, ..)| !there) {
        let message = format!("`template.canary` needs `{key}`: {what}");
        check.error_with(canary, "missing-key", message, Some(format!("add `{key}`, or leave the canary out")));
    }
}

/// Paths or ids of a list, each read by `one`, none twice.
pub(super) fn each<T>(
    check: &mut Check<'_>,
    field: Option<Field<'_>>,
    most: usize,
    mut one: impl FnMut(&mut Check<'_>, &Field<'_>) -> Option<T>,
) -> Vec<T> {
    let Some((field, items)) = field.and_then(|f| check.list(&f).map(|items| (f, items))) else { return Vec::new() };
    if items.is_empty() || items.len() > most {
        let code = if items.is_empty() { "empty" } else { "out-of-range" };
        let message = format!("`{}` has {} entries; it must have 1 to {most}", field.path, items.len());
        check.error_with(field.key, code, message, items.is_empty().then_some("leave the key out to take the default"));
        return Vec::new();
    }
    let texts: Vec<String> = items
        .iter()
        .map(|f| match &f.node.kind {
            Kind::Scalar { text, .. } => text.clone(),
            Kind::List(_) | Kind::Map(_) => f.path.clone(),
        })
        .collect();
    distinct(check, &items, &texts);
    items.iter().filter_map(|f| one(check, f)).collect()
}
