//! The template, whether SSH enters it, and whether the types fit its architecture; whether images can be made public.

use super::finding::Notes;
use super::wanted;
use crate::exit::Exit;
use crate::model::checkup::{Checkup, NotChosen};
use crate::model::{ImageState, InstanceState};
use crate::spec::Fleet;
use crate::spec::build::BaseImage;

pub(super) fn judge(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    if let Some(build) = fleet.build() {
        base(&build.base_image, fleet, checkup, notes);
    }
    if let Some(id) = fleet.template_instance() {
        match &checkup.template {
            None => notes.unchecked("template", "not looked for"),
            Some(Err(fault)) => notes.needed("template", fault),
            Some(Ok(None)) => notes.problem(
                "template",
                Exit::Usage,
                format!("{id} is not in {}", fleet.region),
                "correct `template.instance` in the spec",
            ),
            Some(Ok(Some(instance))) if instance.state != InstanceState::Running => notes.problem(
                "template",
                Exit::Usage,
                format!("{id} is {}", instance.state),
                format!("aws ec2 start-instances --region {} --instance-ids {id}", fleet.region),
            ),
            Some(Ok(Some(instance))) => notes.ok("template", format!("{id} runs: {}", instance.instance_type)),
        }
        match &checkup.ssh {
            None => notes.unchecked("ssh", "the template can't be entered as it is now"),
            Some(Ok(())) => notes.ok("ssh", format!("{id} lets {} in", fleet.ssh.user)),
            Some(Err((why, fix))) => notes.problem("ssh", Exit::Partial, why.clone(), fix.clone()),
        }
    }
    if fleet.template.is_some() {
        match &checkup.image_sharing {
            None => {}
            Some(Err(fault)) => notes.unseen("public-images", fault),
            Some(Ok(state)) if state == "unblocked" => notes.warning(
                "public-images",
                format!(
                    "images in {} can be made public by one call; those of the fleet hold the release",
                    fleet.region
                ),
                format!(
                    "aws ec2 enable-image-block-public-access --region {} --image-block-public-access-state \
                     block-new-sharing",
                    fleet.region
                ),
            ),
            Some(Ok(state)) => notes.ok("public-images", format!("blocked ({state})")),
        }
    }
    types(fleet, checkup, notes);
}

/// The image that the template is built of.
fn base(wanted: &BaseImage, fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    let correct = "correct `template.build.base_image` in the spec";
    match &checkup.base {
        None => notes.unchecked("base-image", "not looked for"),
        Some(Err(NotChosen::Unseen(fault))) => notes.needed("base-image", fault),
        Some(Err(NotChosen::None(why, fix))) => notes.problem("base-image", Exit::Usage, why.clone(), fix.clone()),
        Some(Ok(None)) => {
            let why = format!("{wanted} is not in {}, or its owner lets us not use it", fleet.region);
            notes.problem("base-image", Exit::Usage, why, correct);
        }
        Some(Ok(Some(image))) if image.state != ImageState::Available => {
            notes.problem("base-image", Exit::Usage, format!("{wanted} is {}", image.state.as_str()), correct);
        }
        Some(Ok(Some(image))) => {
            let found = if wanted.id().is_some() { "there".to_owned() } else { image.id.to_string() };
            notes.ok("base-image", format!("{wanted} is {found}: {}, of {}", image.name, image.owner));
        }
    }
    notes.unchecked("ssh", "the template is entered when it is built");
}

/// The first of many names.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 6;
    match names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
        None => names.join(", "),
    }
}

fn types(fleet: &Fleet, checkup: &Checkup, notes: &mut Notes) {
    if let Some(Err(why)) = &checkup.chosen {
        return match why {
            NotChosen::Unseen(fault) => notes.needed("types", fault),
            NotChosen::None(why, fix) => notes.problem("types", Exit::Usage, why.clone(), fix.clone()),
        };
    }
    let found = match &checkup.types {
        None if fleet.fleet.as_ref().is_some_and(|hosts| hosts.requirements.is_some()) => {
            return notes
                .unchecked("types", "they follow from `fleet.requirements`, and the subnets' zones are not known");
        }
        None if fleet.fleet.is_some() => {
            return notes.unchecked("types", "the spec names no type, and the template's is not known");
        }
        None => return,
        Some(Err(fault)) => return notes.needed("types", fault),
        Some(Ok(found)) => found,
    };
    let wanted = wanted(fleet, checkup);
    let absent: Vec<&str> = wanted.types.iter().map(String::as_str).filter(|kind| !found.contains_key(*kind)).collect();
    if !absent.is_empty() {
        return notes.problem(
            "types",
            Exit::Usage,
            format!("{} does not offer {}", fleet.region, absent.join(", ")),
            format!(
                "aws ec2 describe-instance-type-offerings --region {}     # then correct `fleet.types`",
                fleet.region
            ),
        );
    }
    let Some((what, architecture)) = &wanted.architecture else {
        return notes.unchecked("architecture", "neither an image of the fleet nor the template says which it has");
    };
    let wrong: Vec<String> = wanted
        .types
        .iter()
        .filter_map(|kind| found.get(kind))
        .filter(|facts| !facts.architectures.iter().any(|has| has == architecture))
        .map(|facts| format!("{} ({})", facts.name, facts.architectures.join(", ")))
        .collect();
    if wrong.is_empty() {
        notes.ok("architecture", format!("{what} is {architecture}, and so are {}", few(&wanted.types)));
    } else {
        notes.problem(
            "architecture",
            Exit::Usage,
            format!("{what} is {architecture}, which {} can't run", wrong.join(", ")),
            format!("name types of {architecture} only in `fleet.types`"),
        );
    }
}
