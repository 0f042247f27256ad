//! `template.build:` how the template instance is made; it and `fleet` fill each other's gaps.

use super::hosts::instance_type;
use super::top::each;
use super::{SECOND, id};
use crate::model::{ImageId, SecurityGroupId, SubnetId};
use crate::spec::aws;
use crate::spec::build::{BaseImage, Build};
use crate::spec::check::Check;
use crate::spec::fleet::{Feed, FeedSource, HostsSpec, RootVolume};
use crate::spec::section::Field;
use crate::spec::tree::{Kind, Span};
use std::path::PathBuf;
use std::time::Duration;

/// How long a built template lives at most where no `fleet.expires` says it: as hosts do.
const EXPIRES: Duration = SECOND.saturating_mul(12 * 3600);

/// The section as it is written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Where its key stands.
    span: Span,
    /// Keys that are there, good or not.
    given: Vec<String>,
    base_image: BaseImage,
    instance_type: String,
    playbook: PathBuf,
    subnet: Option<SubnetId>,
    security_groups: Vec<SecurityGroupId>,
    key_name: Option<String>,
    instance_profile: Option<String>,
}

pub(super) fn build(check: &mut Check<'_>, field: &Field<'_>) -> Option<Written> {
    let example =
        "`build: {base_image: ami-0123456789abcdef0, instance_type: m7i.large, playbook: playbooks/provision.yaml}`";
    let mut s = check.section(field, example)?;
    let given = s.fields().map(|(key, _)| key.text.clone()).collect();
    let base_image = s.need("base_image", "ami-0123456789abcdef0").and_then(|f| base_image(check, &f));
    let instance_type = s.need("instance_type", "m7i.large").and_then(|f| instance_type(check, &f));
    let playbook = s.need("playbook", "playbooks/provision.yaml").and_then(|f| check.file(&f, false));
    let subnet = s.get("subnet").and_then(|f| id(check, &f, "subnet-")).map(SubnetId::new);
    let security_groups = each(check, s.get("security_groups"), 16, |c, f| id(c, f, "sg-").map(SecurityGroupId::new));
    let key_name = s.get("key_name").and_then(|f| check.parsed(&f, aws::key_pair));
    let instance_profile = s.get("instance_profile").and_then(|f| check.parsed(&f, aws::instance_profile));
    s.close(check, &[]);
    Some(Written {
        span: field.key,
        given,
        base_image: base_image?,
        instance_type: instance_type?,
        playbook: playbook?,
        subnet,
        security_groups,
        key_name,
        instance_profile,
    })
}

/// An image's id, or the owner and the name by which the newest is found; whoever names a parameter that holds an id is told
/// how to read it.
fn base_image(check: &mut Check<'_>, field: &Field<'_>) -> Option<BaseImage> {
    if let Kind::Map(_) = field.node.kind {
        let example = "{owner: amazon, name: \"al2023-ami-2023.*-x86_64\"}";
        let mut s = check.section(field, example)?;
        let owner = s.need("owner", "amazon").and_then(|f| check.parsed(&f, aws::image_owner));
        let name = s.need("name", "\"al2023-ami-2023.*-x86_64\"").and_then(|f| check.parsed(&f, aws::image_pattern));
        s.close(check, &[]);
        return Some(BaseImage::Newest { owner: owner?, name: name? });
    }
    let text = check.text_of(field)?;
    let Some(name) = text.strip_prefix("resolve:").unwrap_or(text).strip_prefix("ssm:") else {
        return id(check, field, "ami-").map(|id| BaseImage::Named(ImageId::new(id)));
    };
    let message = format!("`{}` must be an image's id, not the parameter that holds one", field.path);
    let name = crate::spec::problem::printable(name);
    let help =
        format!("write what this prints: aws ssm get-parameter --name {name} --query Parameter.Value --output text");
    check.error_with(field.node.span, "bad-value", message, Some(help));
    None
}

/// The whole of it. What it leaves out is that of `fleet`, and what `fleet` leaves out is that of it: there is no instance
/// yet that both could take it from.
pub(super) fn settled(check: &mut Check<'_>, written: Written, hosts: Option<&mut HostsSpec>) -> Option<Build> {
    let span = written.span;
    let mut out = written;
    if let Some(hosts) = hosts.as_deref() {
        out.subnet = out.subnet.or_else(|| hosts.subnets.first().cloned());
        if out.security_groups.is_empty() {
            out.security_groups.clone_from(&hosts.security_groups);
        }
        out.key_name = out.key_name.or_else(|| hosts.key_name.clone());
        out.instance_profile = out.instance_profile.or_else(|| hosts.instance_profile.clone());
    }
    let mut lacking = |key: &str, fleet: &str, example: &str| {
        if out.given.iter().any(|given| given == key) {
            return;
        }
        let message = format!("`template.build` needs `{key}`: there is no instance to take it from");
        let help = format!("add `{key}: {example}` to `template.build`, or `{fleet}` to `fleet`");
        check.error_with(span, "missing-key", message, Some(help));
    };
    if out.subnet.is_none() {
        lacking("subnet", "subnets", "subnet-0aaaaaaaaaaaaaaaa");
    }
    if out.security_groups.is_empty() {
        lacking("security_groups", "security_groups", "[sg-0123456789abcdef0]");
    }
    if out.key_name.is_none() {
        lacking("key_name", "key_name", "ops");
    }
    let root = RootVolume { size_gib: None, volume_type: "gp3".to_owned(), encrypted: true };
    let (root, expires) = hosts.as_deref().map_or((root, EXPIRES), |hosts| (hosts.root.clone(), hosts.expires));
    let build = Build {
        base_image: out.base_image,
        instance_type: out.instance_type,
        playbook: out.playbook,
        subnet: out.subnet?,
        security_groups: out.security_groups,
        key_name: out.key_name?,
        instance_profile: out.instance_profile,
        root: RootVolume { encrypted: true, ..root },
        expires,
    };
    if let Some(hosts) = hosts {
        if hosts.types.is_empty() && hosts.requirements.is_none() {
            hosts.types = vec![build.instance_type.clone()];
        }
        if hosts.subnets.is_empty() {
            hosts.subnets = vec![build.subnet.clone()];
        }
        if hosts.security_groups.is_empty() {
            hosts.security_groups.clone_from(&build.security_groups);
        }
        hosts.key_name.get_or_insert_with(|| build.key_name.clone());
        hosts.instance_profile = hosts.instance_profile.take().or_else(|| build.instance_profile.clone());
    }
    Some(build)
}

/// Refuses commands on a template that is ended as soon as its image is there.
pub(super) fn lasting(check: &mut Check<'_>, feed: Option<(&Feed, Span)>, completed: Option<Span>) {
    let listed = feed.filter(|(feed, _)| matches!(feed.from, FeedSource::Run(_))).map(|(_, span)| span);
    let probed = |feed: &Feed| feed.hold.as_ref().is_some_and(|hold| hold.probe.is_some());
    let probed = feed.filter(|(feed, _)| probed(feed)).map(|(_, span)| span);
    for (span, field) in [(listed, "feed.from"), (probed, "feed.hold_when.probe"), (completed, "done.completed")] {
        let Some(span) = span else { continue };
        let message = format!("`{field}` runs a command on the template, and one that is built ends with its image");
        let help = "name an instance that stays as `template.instance`, or leave it out";
        check.error_with(span, "conflict", message, Some(help));
    }
}
