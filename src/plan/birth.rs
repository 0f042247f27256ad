//! What hosts are born from: what the spec says, what it leaves to the template instance, and what the image brings.

use super::launch::{description, reusable, template_name};
use super::types::{Wanted, choose, wanted};
use super::userdata::{LIMIT, Unit, compose};
use super::{Action, Step, Unplannable, group};
use crate::exit::Exit;
use crate::model::{Image, Offers, SecurityGroupId, SubnetId, Survey, TemplateRequest, tags};
use crate::spec::Fleet;
use crate::spec::fleet::HostsSpec;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// All that a version of the launch template is made from.
#[derive(Clone, Debug)]
pub struct Birth<'a> {
    /// The checked spec.
    pub fleet: &'a Fleet,
    /// `fleet:` of the spec.
    pub hosts: &'a HostsSpec,
    /// The look at the account.
    pub survey: &'a Survey,
    /// What types there are and what they cost; none where that may not be read.
    pub offers: Option<&'a Offers>,
    /// The image to launch.
    pub image: &'a Image,
    /// User data as read from the spec's file.
    pub user_data: Option<&'a [u8]>,
    /// The drain playbook's steps as user data carries them.
    pub drain: Option<&'a [u8]>,
}

/// The steps after which the fleet's group launches whatever it launches next from this image, or from the one that the step
/// `of` leaves, and what to know of them. None where it does so already, and where there is no group of ours.
///
/// # Errors
///
/// When spec and account can't be brought together: every reason names what to change.
pub fn follow(birth: &Birth<'_>, of: Option<&str>, now: Timestamp) -> Result<(Vec<Step>, Vec<String>), Unplannable> {
    let Birth { fleet, hosts, survey, image, .. } = birth;
    let (Some(spec), Some(there)) = (&hosts.group, group::ours(fleet, survey)) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let settings = settings(birth)?;
    let group = group::request(fleet, (hosts, spec), &settings.types, &settings.subnets);
    let epoch = reusable(survey, &description(fleet, image), expires(hosts), now);
    if of.is_none() && group::is_as_wanted(survey, &group, epoch) {
        return Ok((Vec::new(), Vec::new()));
    }
    let notes = group::notes(there, survey.hook.as_ref(), &group);
    let title = format!("{} launches from it from now on", group.name);
    let steps = vec![
        epoch_step(birth, template(birth, &settings), of),
        Step::new("group", title, Action::GroupFollows(Box::new(group))),
    ];
    Ok((steps, notes))
}

/// How long a host may live.
pub(super) fn expires(hosts: &HostsSpec) -> SignedDuration {
    SignedDuration::try_from(hosts.expires).unwrap_or(SignedDuration::MAX)
}

/// The step that has the launch template's version, of the image that the step `of` leaves where there is one.
pub(super) fn epoch_step(birth: &Birth<'_>, wanted: TemplateRequest, of: Option<&str>) -> Step {
    Step::new(
        "epoch",
        format!("launch template {} for {}", wanted.name, birth.image.name),
        Action::Epoch {
            wanted: Box::new(wanted),
            expires_seconds: expires(birth.hosts).as_secs(),
            grouped: birth.hosts.group.is_some(),
            of: of.map(str::to_owned),
        },
    )
}

/// The version that hosts of this spec and image are born from.
pub(super) fn template(birth: &Birth<'_>, settings: &Settings) -> TemplateRequest {
    let Birth { fleet, hosts, image, .. } = birth;
    let request = TemplateRequest {
        name: template_name(fleet.name.as_str()),
        onto: None,
        token: String::new(),
        description: String::new(),
        template_tags: fleet.tags.clone().with(tags::FLEET, fleet.name.as_str()),
        image: image.id.clone(),
        instance_type: settings.types.first().cloned().unwrap_or_default(),
        key_name: settings.key_name.clone(),
        instance_profile: settings.instance_profile.clone(),
        security_groups: settings.security_groups.clone(),
        user_data: Some(data_encoding::BASE64.encode(&compose(birth.user_data, &Unit::of(fleet, birth.drain)))),
        root_device: String::new(),
        root_gib: hosts.root.size_gib,
        root_type: hosts.root.volume_type.clone(),
        root_encrypted: hosts.root.encrypted,
        metadata_tokens_required: hosts.metadata.tokens_required,
        metadata_hop_limit: hosts.metadata.hop_limit,
        host_tags: fleet.tags.clone().with(tags::FLEET, fleet.name.as_str()).with(tags::NAME, fleet.name.as_str()),
    };
    of_image(request, fleet, image)
}

/// The same version for this image: all that depends on which it is.
#[must_use]
pub fn of_image(request: TemplateRequest, fleet: &Fleet, image: &Image) -> TemplateRequest {
    let host_tags = match image.tags.get(tags::RELEASE) {
        Some(release) => request.host_tags.with(tags::RELEASE, release),
        None => request.host_tags,
    };
    TemplateRequest {
        description: description(fleet, image),
        image: image.id.clone(),
        root_device: image.root_device.clone().unwrap_or_else(|| "/dev/xvda".to_owned()),
        host_tags,
        ..request
    }
}

/// What the spec leaves out and the template instance gives.
pub(super) struct Settings {
    pub(super) types: Vec<String>,
    pub(super) subnets: Vec<SubnetId>,
    security_groups: Vec<SecurityGroupId>,
    key_name: Option<String>,
    instance_profile: Option<String>,
}

/// Settles what hosts and their group have beside the image.
///
/// # Errors
///
/// What is named nowhere, what is not there, and user data that is too long.
pub(super) fn settings(birth: &Birth<'_>) -> Result<Settings, Unplannable> {
    let Birth { hosts, survey, .. } = birth;
    let template = survey.template.as_ref();
    let lacking = |what: &str, key: &str| {
        Unplannable::new(
            Exit::Usage,
            format!("no {what}: the spec names none and there is no template instance to take it from"),
            format!("add `fleet.{key}` to the spec"),
        )
    };
    let subnets = if hosts.subnets.is_empty() {
        template.and_then(|t| t.subnet.clone()).into_iter().collect()
    } else {
        hosts.subnets.clone()
    };
    if subnets.is_empty() {
        return Err(lacking("subnet", "subnets"));
    }
    let mut zones = BTreeMap::new();
    for id in &subnets {
        let Some(subnet) = survey.subnets.iter().find(|subnet| &subnet.id == id) else {
            return Err(Unplannable::new(
                Exit::Usage,
                format!("subnet {id} is not in {} of account {}", survey.region, survey.account),
                "aws ec2 describe-subnets",
            ));
        };
        if let Some(other) = zones.insert(subnet.zone.clone(), id) {
            return Err(Unplannable::new(
                Exit::Usage,
                format!(
                    "subnets {other} and {id} are both in {}: a fleet request takes one subnet per zone",
                    subnet.zone
                ),
                "keep one of the two in `fleet.subnets`",
            ));
        }
    }
    let from_template: Vec<String> = template.iter().map(|t| t.instance_type.clone()).collect();
    let architecture = birth.image.architecture.as_deref();
    let wanted = wanted(hosts, &from_template, architecture);
    let types = match (birth.offers, wanted) {
        (_, Wanted::Named([])) => return Err(lacking("instance type", "types")),
        (Some(offers), wanted) => {
            let zones: Vec<_> = zones.into_keys().collect();
            choose(&wanted, &offers.types, &zones, architecture, hosts.spot_percent > 0, survey.region.as_str())?
        }
        (None, Wanted::Named(names)) => names.to_vec(),
        (None, Wanted::Like(..)) => {
            return Err(Unplannable::new(
                Exit::Denied,
                "requirements can't be met without a look at what types there are",
                "allow ec2:DescribeInstanceTypes and ec2:DescribeInstanceTypeOfferings, or list `fleet.types`",
            ));
        }
    };
    let security_groups = if hosts.security_groups.is_empty() {
        template.map(|t| t.security_groups.clone()).unwrap_or_default()
    } else {
        hosts.security_groups.clone()
    };
    if security_groups.is_empty() {
        return Err(lacking("security group", "security_groups"));
    }
    let bytes = compose(birth.user_data, &Unit::of(birth.fleet, birth.drain)).len();
    if bytes > LIMIT {
        return Err(Unplannable::new(
            Exit::Usage,
            format!(
                "user data, the host unit and `worker.drain` together are {bytes} bytes as gzip, and EC2 takes {LIMIT}"
            ),
            "move what is long into the image or the release",
        ));
    }
    let instance_profile = hosts.instance_profile.clone().or_else(|| template.and_then(|t| t.instance_profile.clone()));
    if instance_profile.is_none() && birth.fleet.worker.as_ref().is_some_and(|worker| worker.logs_to.is_some()) {
        return Err(Unplannable::new(
            Exit::Usage,
            "no host may write to `worker.logs_to`: neither the spec nor the template instance names an instance profile",
            "add `fleet.instance_profile` to the spec",
        ));
    }
    Ok(Settings {
        types,
        subnets,
        security_groups,
        key_name: hosts.key_name.clone().or_else(|| template.and_then(|t| t.key_name.clone())),
        instance_profile,
    })
}
