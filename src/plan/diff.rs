//! Where the live fleet deviates from the spec: a pure comparison of what was read with what is written.

use super::launch::description;
use crate::model::{Image, Instance, Market, SecurityGroupId, SubnetId, Survey, tags};
use crate::spec::Fleet;
use crate::spec::fleet::HostsSpec;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// All that is compared.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The checked spec.
    pub fleet: &'a Fleet,
    /// `fleet:` of the spec.
    pub hosts: &'a HostsSpec,
    /// The look at the account.
    pub survey: &'a Survey,
    /// The image that the next host would be started from, where there is one.
    pub image: Option<&'a Image>,
    /// Digests by which hosts are tagged that have today's release: pushed, and born with it. Empty when nobody knows.
    pub releases: &'a [String],
    /// World time.
    pub now: Timestamp,
}

/// One fact that is not as the spec says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deviation {
    /// For example `size`, or `tag team`.
    pub fact: String,
    /// As the spec, or the newest image, says.
    pub wanted: String,
    /// As it is.
    pub found: String,
}

/// Collects what is not equal.
#[derive(Default)]
struct Deviations(Vec<Deviation>);

impl Deviations {
    fn unless(&mut self, equal: bool, fact: &str, wanted: impl Into<String>, found: impl Into<String>) {
        if !equal {
            self.0.push(Deviation { fact: fact.to_owned(), wanted: wanted.into(), found: found.into() });
        }
    }
}

/// What deviates in the fleet as a whole: its size, and what its next host would be born from.
pub fn fleet(input: &Input<'_>) -> Vec<Deviation> {
    let Input { fleet, hosts, survey, image, .. } = input;
    let mut all = Deviations::default();
    let count = survey.instances.iter().filter(|host| host.counts()).count();
    all.unless(usize::try_from(hosts.size) == Ok(count), "size", hosts.size.to_string(), count.to_string());
    let newest = survey.launch_template.iter().flat_map(|template| &template.versions).max_by_key(|v| v.number);
    match (newest, image) {
        (Some(version), Some(image)) => {
            let name = format!("version {}", version.number);
            let named = version.image.as_deref().unwrap_or("none");
            all.unless(named == image.id.as_str(), "image of the launch template", image.id.as_str(), named);
            let same = version.description.as_deref() == Some(&description(fleet, image));
            all.unless(same, "launch template", "made of this spec and image", format!("{name}, made of others"));
        }
        (None, _) if count > 0 => all.unless(false, "launch template", "one of this spec", "none"),
        (Some(_) | None, _) => {}
    }
    all.0
}

/// What deviates on one live host.
pub fn host(input: &Input<'_>, host: &Instance) -> Vec<Deviation> {
    let Input { fleet, hosts, survey, image, releases, now } = input;
    let template = survey.template.as_ref();
    let mut all = Deviations::default();
    let one_of = |own: Vec<&str>, other: Option<&str>| -> BTreeSet<String> {
        if own.is_empty() {
            other.into_iter().map(str::to_owned).collect()
        } else {
            own.into_iter().map(str::to_owned).collect()
        }
    };
    let list = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");

    // What has the requirements of the spec is a question to the offers, not to the host.
    let of_template = template.map(|t| t.instance_type.as_str()).filter(|_| hosts.requirements.is_none());
    let types = one_of(hosts.types.iter().map(String::as_str).collect(), of_template);
    all.unless(types.is_empty() || types.contains(&host.instance_type), "type", list(&types), &host.instance_type);
    let subnets = hosts.subnets.iter().map(SubnetId::as_str).collect();
    let subnets = one_of(subnets, template.and_then(|t| t.subnet.as_ref()).map(SubnetId::as_str));
    let subnet = host.subnet.as_ref().map_or("none", SubnetId::as_str);
    all.unless(subnets.is_empty() || subnets.contains(subnet), "subnet", list(&subnets), subnet);
    all.unless(
        hosts.spot_percent > 0 || host.market == Market::OnDemand,
        "market",
        Market::OnDemand.to_string(),
        host.market.to_string(),
    );

    let groups = |of: &[SecurityGroupId]| of.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let join = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let mut wanted = groups(&hosts.security_groups);
    if wanted.is_empty() {
        wanted = template.map(|t| groups(&t.security_groups)).unwrap_or_default();
    }
    let found = groups(&host.security_groups);
    all.unless(wanted.is_empty() || wanted == found, "security groups", join(&wanted), join(&found));

    let profile = |of: Option<&str>| of.map_or("none", |of| of.rsplit('/').next().unwrap_or(of)).to_owned();
    let wanted = hosts.instance_profile.as_deref().or(template.and_then(|t| t.instance_profile.as_deref()));
    let (wanted, found) = (profile(wanted), profile(host.instance_profile.as_deref()));
    all.unless(wanted == found, "instance profile", wanted, found);
    let key = hosts.key_name.as_deref().or(template.and_then(|t| t.key_name.as_deref())).unwrap_or("none");
    let found = host.key_name.as_deref().unwrap_or("none");
    all.unless(key == found, "key pair", key, found);
    if let Some(image) = image {
        all.unless(image.id == host.image, "image", image.id.as_str(), host.image.as_str());
    }

    let tokens = |required: bool| if required { "required" } else { "optional" };
    if let Some(found) = host.imds_tokens_required {
        let wanted = hosts.metadata.tokens_required;
        all.unless(wanted == found, "metadata tokens", tokens(wanted), tokens(found));
    }
    if let Some(found) = host.imds_hop_limit {
        let wanted = i32::from(hosts.metadata.hop_limit);
        all.unless(wanted == found, "metadata hop limit", wanted.to_string(), found.to_string());
    }

    let tag = |key: &str| host.tags.get(key).unwrap_or("none");
    for (key, value) in fleet.tags.iter() {
        all.unless(tag(key) == value, &format!("tag {key}"), value, tag(key));
    }
    let release = tag(tags::RELEASE);
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    if let Some(today) = releases.first() {
        all.unless(releases.iter().any(|known| known == release), "release", short(today), short(release));
    }
    // Hosts of a group have no end of their own: the group has.
    if hosts.group.is_some() {
        return all.0;
    }
    let until = host.tags.get(tags::EXPIRES).and_then(|text| text.parse::<Timestamp>().ok());
    all.unless(until.is_some_and(|until| until > *now), "expires", "in the future", tag(tags::EXPIRES));
    all.0
}
