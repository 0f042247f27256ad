//! The plan of `bake`: an image of the verified template.

use super::{Action, Plan, Step};
use crate::model::{ImageRequest, tags};
use crate::spec::Fleet;
use crate::spec::fleet::Template;

/// All that a bake is planned from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The checked spec.
    pub fleet: &'a Fleet,
    /// `template:` of the spec.
    pub template: &'a Template,
    /// The run's id.
    pub run: &'a str,
    /// The run's short id, appended to the image's name.
    pub run_short: &'a str,
    /// Digest of the verification that the image rests on; none when the operator did without.
    pub attestation: Option<&'a str>,
    /// Digest of release and playbooks, where the spec names a release.
    pub release: Option<&'a str>,
    /// Whether somebody logs in to the template: the worker is stopped and the disk searched.
    pub login: bool,
    /// Whether the template is left running while its disk is read.
    pub no_reboot: bool,
    /// Digest of spec, verb and arguments.
    pub request: String,
}

/// Plans a bake.
pub fn plan(input: &Input<'_>) -> Plan {
    let Input { fleet, template, .. } = input;
    let mut image_tags = fleet
        .tags
        .clone()
        .with(tags::FLEET, fleet.name.as_str())
        .with(tags::RUN, input.run)
        .with(tags::INTENT, super::token::run_intent(input.run))
        .with(tags::NAME, format!("{}-{}", fleet.image.name, input.run_short));
    if let Some(attestation) = input.attestation {
        image_tags = image_tags.with(tags::ATTESTATION, attestation);
    }
    if let Some(release) = input.release {
        image_tags = image_tags.with(tags::RELEASE, release);
    }
    let request = ImageRequest {
        name: format!("{}-{}", fleet.image.name, input.run_short),
        instance: template.instance.clone(),
        description: format!("fleetwright: {} from {}", fleet.name, template.instance),
        no_reboot: input.no_reboot,
        tags: image_tags,
    };
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    let stopped = input.login && fleet.worker.is_some();
    // The search comes first: a template that is refused keeps its worker.
    if input.login {
        steps.push(Step::new("scan", "look for what must not be copied", Action::Scan));
    } else {
        notes.push(format!("{} is not searched for keys and credentials, and its worker goes on", template.instance));
    }
    if stopped {
        steps.push(Step::new("quiesce", "stop the worker", Action::Quiesce));
    }
    steps.push(Step::new("image", format!("image {}", request.name), Action::Image(request)));
    steps.push(Step::new("available", "wait until the image is available", Action::ImageAvailable));
    if stopped {
        steps.push(Step::new("unquiesce", "start the worker again", Action::Unquiesce));
    }
    Plan {
        verb: "bake".to_owned(),
        fleet: fleet.key(),
        request: input.request.clone(),
        steps,
        notes,
        arguments: Vec::new(),
        estimate: None,
    }
}
